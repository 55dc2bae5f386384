"""Every example is run as its reader would run it, with the simulated unit; what it leaves is a whole record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.verify import verify
from rtloop.safety.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
#: example -> (pulses that it gives, how often the stream shows one, what it says of them)
GIVEN = {
    "magstim_session": (3, 3, "3 pulse(s) in this script"),
    "rapid_trains": (10, 10, "10 of 10 pulses given"),
    "bistim_pair": (2, 1, "2 of 2 pulses given"),  # 2.5 ms apart: one sighting
}
LONGEST_S = 90.0  # about 10 s on a quiet machine


def run(tmp_path: Path, *command: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RTLOOP_")}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=LONGEST_S, check=False, cwd=tmp_path,
        env={**kept, "RTLOOP_SITE_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_run_here() -> None:
    named = {*GIVEN, "listen_only", "test_with_a_fault"}
    assert {p.stem for p in EXAMPLES.glob("*.py")} == named
    assert all(f"{name}.py" in (EXAMPLES / "README.md").read_text() for name in named)


@pytest.mark.parametrize("name", GIVEN)
def test_an_example_gives_its_pulses_and_leaves_a_whole_record(name: str, tmp_path: Path) -> None:
    n_pulses, n_seen, words = GIVEN[name]
    said = run(tmp_path, str(EXAMPLES / f"{name}.py"))
    assert words in said
    (folder,) = SessionFolder.all_in(tmp_path / "data")
    events = read_journal(folder.journal).events
    assert Ledger.from_events(events).count() == n_pulses
    assert sum(e.kind == "pulse_seen" for e in events) >= n_seen
    # a busy machine may hold for a moment; nothing may disarm
    assert not [e.data for e in events if e.kind == "fault_raised" and e.data["action"] != "hold"]
    assert verify(folder.path).ok


def test_the_first_example_is_about_fifteen_lines() -> None:
    lines = (EXAMPLES / "magstim_session.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 15


def test_the_next_script_knows_what_was_given_before(tmp_path: Path) -> None:
    for course in (2, 4):
        assert f"{course} in all" in run(tmp_path, str(EXAMPLES / "bistim_pair.py"))


def test_the_listening_example_finds_pulses(tmp_path: Path) -> None:
    said = run(tmp_path, str(EXAMPLES / "listen_only.py"))
    assert said.count("told by trigger") >= 3
    assert "0 gaps" in said


def test_the_test_with_an_injected_fault_passes(tmp_path: Path) -> None:
    said = run(
        tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:pytest-qt", "-c", str(ROOT / "pyproject.toml"),
        "--rootdir", str(ROOT), str(EXAMPLES / "test_with_a_fault.py"),
    )  # fmt: skip
    assert "3 passed" in said
