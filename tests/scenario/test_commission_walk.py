"""The whole walk of commissioning on a simulated unit, as a newcomer starts it; and steps that must fail."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commission_tools import here, site_in

from rtloop.app.commission import CommissionRequest, commission
from rtloop.app.commission_person import TerminalPerson
from rtloop.clock import WALL
from rtloop.errors import OperatorAbort, UsageProblem
from rtloop.record.commissioning import STEPS, STEPS_TRAINS, commissioned, read_record

pytestmark = [
    pytest.mark.timeout(280),
    pytest.mark.skipif(sys.platform == "win32", reason="a process is frozen by a signal"),
]


def rtloop(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("RTLOOP_")}
    return subprocess.run(
        [sys.executable, "-m", "rtloop.app.cli", *arguments], cwd=folder, env=environ, capture_output=True, text=True,
        timeout=250, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.req("R-MODE")
def test_the_whole_walk_on_a_simulated_rapid_passes_and_never_unlocks_human(tmp_path: Path) -> None:
    done = rtloop(
        tmp_path, "commission", "--simulate", "--unit", "rapid", "--data-dir", str(tmp_path / "d"), "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    record = read_record(Path(told["record"]))
    assert record.missing == ()
    assert {s.step for s in record.steps} == {*STEPS, *STEPS_TRAINS}
    assert record.mode == "SIMULATED"
    assert record.unit.firmware == "9.0.0"
    # what was measured is what the simulated unit does, not what was hoped for
    by_name = {s.step: s for s in record.steps}
    numbers = by_name["pulses"].numbers
    assert numbers["pulses_seen"] == numbers["pulses_fired"] == 10
    assert (
        5.0 <= numbers["pulse_delay_ms_median"] <= 30.0
    )  # 5.1 ms of the unit, three bytes, the stamp of the stream
    assert (
        record.stops_running_train is False
    )  # the simulated unit goes on with a train after EA, unless told otherwise
    assert by_name["train_and_disarm"].numbers["pulses_seen_in_train"] == 20
    assert 0 < by_name["engine_frozen"].numbers["until_ea_ms"] <= 300
    assert 0 < by_name["engine_killed"].numbers["until_ea_ms"] <= 300
    assert 0 < by_name["stop"].numbers["stop_to_ea_ms"] <= 50
    # every byte is kept beside it, and the record knows the files
    where = Path(told["record"]).parent
    assert len(record.transcripts) == 5
    for name, digest in record.transcripts.items():
        assert hashlib.sha256((where / name).read_bytes()).hexdigest() == digest
    # and it never lets a person under the coil, not even where everything else fits
    site = site_in(tmp_path)
    found = here(
        site, model="rapid", port_identity=record.unit.port_identity, firmware="9.0.0", stream=record.stream,
        software=record.software,
    )  # fmt: skip
    reasons = commissioned(record, WALL.utc(), found)
    assert any("SIMULATED" in r for r in reasons)


# -- the person at the terminal -----------------------------------------------------------------------------------


class Lines:
    """A terminal at which these lines are typed."""

    def __init__(self, *lines: str) -> None:
        self._lines = lines

    def __iter__(self) -> Any:
        return iter(self._lines)


def terminal(*lines: str) -> tuple[TerminalPerson, list[str]]:
    said: list[str] = []
    return TerminalPerson("Ada", said.append, Lines(*lines)), said  # type: ignore[arg-type]


def test_a_person_answers_in_words_and_the_walk_ends_when_the_terminal_does() -> None:
    ticks: list[int] = []
    person, said = terminal("perhaps\n", "Yes\n", "no\n", "arm\n")
    assert person.confirms("standby", "Standby?", lambda: ticks.append(1))
    assert not person.confirms("standby", "Standby?", lambda: None)
    person.says("arm", "to arm", lambda: None)
    with pytest.raises(OperatorAbort, match="nobody is at the terminal"):
        person.confirms("standby", "Standby?", lambda: None)
    assert ticks  # the heartbeats go on while a person thinks
    assert "Standby?" in said[0]


@pytest.mark.parametrize("typo", ["amr", "", "confirm", "yes", "arm now"])
def test_a_word_of_arming_that_is_mistyped_arms_nothing_and_is_asked_again(typo: str) -> None:
    person, said = terminal(f"{typo}\n", "ARM\n")
    person.says("arm", "to arm", lambda: None)
    assert "nothing is armed" in said[1]
    assert '"end"' in said[1]


def test_end_instead_of_a_word_of_arming_ends_the_walk() -> None:
    person, _ = terminal("amr\n", "end\n")
    with pytest.raises(OperatorAbort, match="ended at the terminal"):
        person.says("arm", "to arm", lambda: None)


def test_a_name_that_is_mistyped_is_asked_again_and_an_empty_line_signs_nothing() -> None:
    person, said = terminal("Adda\n", "ada\n", "Ada\n")
    assert person.signature(lambda: None) == "Ada"
    assert 'that was not "Ada"' in said[1]
    person, _ = terminal("Adda\n", "\n")
    assert person.signature(lambda: None) == ""


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        ({"port": "X"}, ("--by is missing",)),
        ({"port": "X", "by": "  "}, ("--by is missing",)),
        ({"by": "Ada"}, ("no unit is named",)),
        ({"simulate": True, "power_pct_mso": 5, "pulses": 3}, ("--power 5", "--pulses 3")),
        ({"simulate": True, "power_pct_mso": 101}, ("--power 101",)),
    ],
)
def test_what_cannot_be_is_refused_at_once_before_anything_is_started(
    tmp_path: Path, asked: dict[str, Any], parts: tuple[str, ...]
) -> None:
    with pytest.raises(UsageProblem) as refused:
        commission(CommissionRequest(data_dir=tmp_path / "d", **asked), lambda words: None)
    assert refused.value.exit_code == 2
    assert all(p in str(refused.value) for p in parts)
    assert not (tmp_path / "d").exists()


def test_the_person_who_does_not_confirm_the_phantom_ends_it_before_the_unit_is_opened(
    tmp_path: Path,
) -> None:
    done = rtloop(
        tmp_path, "commission", "--by", "Ada", "--port", "socket://127.0.0.1:9", "--data-dir", str(tmp_path / "d")
    )  # fmt: skip
    assert done.returncode == 6  # its terminal is closed: nobody said yes
    assert "PHANTOM" in done.stderr
    assert "nobody is at the terminal any more; nothing was connected; no record was written" in done.stderr
    assert not (tmp_path / "d").exists()
