"""Every example is run as its reader would run it, with the simulated unit; what it leaves is a whole record.

The listening example and the test with a fault have data of their own: they run beside the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtloop.app.dose import ledger_of
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.verify import verify
from rtloop.safety.ledger import Ledger
from rtloop.study.study import Study

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
#: example -> (pulses that it gives, how often the stream shows one, what it says of them)
GIVEN = {
    "rapid_trains": (10, 10, "10 of 10 pulses given"),
    "magstim_session": (3, 3, "3 pulse(s) in this script"),
    "bistim_pair": (2, 1, "2 of 2 pulses given"),  # 2.5 ms apart: one sighting
}
BESIDE = {
    "listen_only": (str(EXAMPLES / "listen_only.py"),),
    "test_with_a_fault": (
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:pytest-qt", "-c", str(ROOT / "pyproject.toml"),
        "--rootdir", str(ROOT), str(EXAMPLES / "test_with_a_fault.py"),
    ),
}  # fmt: skip
ALONE = ("course", "treat_session")
LONGEST_S = 90.0  # about 10 s on a quiet machine


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RTLOOP_")}
    return subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
        stdin=subprocess.DEVNULL,
        env={**kept, "RTLOOP_SITE_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def said_by(process: subprocess.Popen[str]) -> str:
    """All that it said, when it has ended well."""
    try:
        said, _ = process.communicate(timeout=LONGEST_S)
    finally:
        process.kill()
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Those that have data of their own, under way."""
    started = {name: start(tmp_path_factory.mktemp(name), *command) for name, command in BESIDE.items()}
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the others run, one after the other: the dose of their participant goes on."""
    return tmp_path_factory.mktemp("examples")


def test_every_example_is_run_here() -> None:
    assert {p.stem for p in EXAMPLES.glob("*.py")} == {*GIVEN, *BESIDE, *ALONE}
    assert all(f"{name}.py" in (EXAMPLES / "README.md").read_text() for name in (*GIVEN, *BESIDE, *ALONE))


def test_the_first_example_is_about_fifteen_lines() -> None:
    lines = (EXAMPLES / "magstim_session.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 15


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("name", GIVEN)
def test_an_example_gives_its_pulses_leaves_a_whole_record_and_knows_what_was_given_before(
    name: str, folder: Path
) -> None:
    n_pulses, n_seen, words = GIVEN[name]
    before = ledger_of(folder / "data", "P001", simulated=True).count()
    said = said_by(start(folder, str(EXAMPLES / f"{name}.py")))
    assert words in said
    assert f"{before + n_pulses} in all" in said
    session = SessionFolder.all_in(folder / "data")[-1]
    events = read_journal(session.journal).events
    assert Ledger.from_events(events).count() == n_pulses
    assert sum(e.kind == "pulse_seen" for e in events) >= n_seen
    # a busy machine may hold for a moment; nothing may disarm
    assert not [e.data for e in events if e.kind == "fault_raised" and e.data["action"] != "hold"]
    assert verify(session.path).ok


def test_the_listening_example_finds_pulses(beside: dict[str, subprocess.Popen[str]]) -> None:
    said = said_by(beside["listen_only"])
    assert said.count("told by trigger") >= 3
    assert "0 gaps" in said


def test_the_test_with_an_injected_fault_passes(beside: dict[str, subprocess.Popen[str]]) -> None:
    assert "2 passed" in said_by(beside["test_with_a_fault"])


def test_the_course_of_an_example_ends_with_what_is_next_and_a_report(tmp_path: Path) -> None:
    said = said_by(start(tmp_path, str(EXAMPLES / "course.py")))
    assert "P017: treatment 2 is next" in said
    assert "one a day" in said
    (folder,) = tmp_path.glob("course-*")
    with Study.open(folder) as study:
        (session,) = study.state.participants["P017"].calendar.given
        assert (session.planned, session.delivered, session.uncertain) == (30, 30, 0)
        assert study.problems() == []
    assert "30 of 30 pulses certainly delivered" in (folder / "P017.html").read_text("utf-8")
    (kept,) = SessionFolder.all_in(tmp_path / "data")
    assert kept.path.name == session.runs[0].folder
    assert verify(kept.path).ok


def test_a_treatment_session_gives_its_trains_and_leaves_its_report(tmp_path: Path) -> None:
    lines = (EXAMPLES / "treat_session.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 15
    said = said_by(start(tmp_path, str(EXAMPLES / "treat_session.py")))
    assert "every train of the plan was given" in said
    assert "30 of 30 pulses delivered, 0 uncertain" in said
    (kept,) = SessionFolder.all_in(tmp_path / "data")
    assert verify(kept.path).ok
    assert "Planned 30 pulses = delivered 30" in kept.report.read_text("utf-8")
    assert ledger_of(tmp_path / "data", "P017", simulated=True).count(purpose="treatment") == 30
