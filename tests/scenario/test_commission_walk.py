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

from rtloop.app.commission_person import SimulatedPerson, TerminalPerson
from rtloop.clock import WALL
from rtloop.errors import OperatorAbort
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
    assert len(record.transcripts) == 4
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


class Doubter(SimulatedPerson):
    """Says that the display does not show standby, and types another name."""

    def confirms(self, what: str, question: str, tick: Any) -> bool:
        return what == "phantom" and super().confirms(what, question, tick)

    def act(self, what: str, words: str) -> None:
        if what == "hardware_stop":
            self._bedside.inject({"kind": "unplug"})  # the wrong thing at the wrong time

    def signature(self, tick: Any) -> str:
        return "somebody else"


def test_a_person_who_sees_the_unit_armed_and_a_cable_pulled_too_early_fail_the_walk(tmp_path: Path) -> None:
    script = tmp_path / "walk.py"
    script.write_text(WALK)
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "d"), tests, str(Path(__file__).parent)], capture_output=True, text=True,
        timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["exit_code"] == 5
    passed = {s["step"]: s["passed"] for s in told["steps"]}
    assert passed["identity"]
    assert passed["pulses"]
    assert not passed["hardware_stop"]
    assert not passed["stop"]
    assert not passed["engine_killed"]
    assert not passed["unplug"]
    assert told["signature"] == "somebody else"


WALK = """
import json, sys
sys.path[:0] = sys.argv[2:4]
from pathlib import Path

def walk():
    from test_commission_walk import Doubter
    from rtloop.app.commission import CommissionRequest, commission
    request = CommissionRequest(simulate=True, data_dir=Path(sys.argv[1]), power_pct_mso=30)
    _, data, _ = commission(request, lambda words: print(words, file=sys.stderr), Doubter)
    print(json.dumps(data))

if __name__ == "__main__":
    walk()
"""


# -- the person at the terminal -----------------------------------------------------------------------------------


class Lines:
    """A terminal at which these lines are typed."""

    def __init__(self, *lines: str) -> None:
        self._lines = lines

    def __iter__(self) -> Any:
        return iter(self._lines)


def test_a_person_answers_in_words_and_the_walk_ends_when_the_terminal_does() -> None:
    said: list[str] = []
    ticks: list[int] = []
    person = TerminalPerson("Ada", said.append, Lines("perhaps\n", "Yes\n", "no\n", "arm\n", "disarm\n"))  # type: ignore[arg-type]
    assert person.confirms("standby", "Standby?", lambda: ticks.append(1))
    assert not person.confirms("standby", "Standby?", lambda: None)
    person.says("arm", "to arm", lambda: None)
    with pytest.raises(OperatorAbort, match="not confirm"):
        person.says("confirm", "to arm", lambda: None)
    with pytest.raises(OperatorAbort, match="nobody is at the terminal"):
        person.confirms("standby", "Standby?", lambda: None)
    assert ticks  # the heartbeats go on while a person thinks
    assert "Standby?" in said[0]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--port", "X"), ("--by is missing",)),
        (("--by", "Ada"), ("no unit is named",)),
        (("--simulate", "--power", "5", "--pulses", "3"), ("--power 5", "--pulses 3")),
        (("--simulate", "--power", "101"), ("--power 101",)),
    ],
)
def test_what_cannot_be_is_refused_at_once_before_anything_is_started(
    tmp_path: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    done = rtloop(tmp_path, "commission", *arguments, "--data-dir", str(tmp_path / "d"))
    assert done.returncode == 2
    assert all(p in done.stderr for p in parts)
    assert not (tmp_path / "d").exists()


def test_the_person_who_does_not_confirm_the_phantom_ends_it_before_the_unit_is_opened(
    tmp_path: Path,
) -> None:
    done = rtloop(
        tmp_path, "commission", "--by", "Ada", "--port", "socket://127.0.0.1:9", "--data-dir", str(tmp_path / "d")
    )  # fmt: skip
    assert done.returncode == 6  # its terminal is closed: nobody said yes
    assert "PHANTOM" in done.stderr
    assert not (tmp_path / "d").exists()
