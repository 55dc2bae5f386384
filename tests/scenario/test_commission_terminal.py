"""``rtloop commission`` as a person at a terminal goes through it, on a line and a stream that it takes for real ones.

The whole walk of a Rapid² takes about 50 s: ``RTLOOP_LONG=1 pytest -s tests/scenario/test_commission_terminal.py``, which also
prints the transcript for a reader. Without it the walk is ended by Ctrl-C while the unit is armed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import Bedside, start_bedside
from hardware_sim.magstim import UNLOCK_CODE
from rtloop.record.commissioning import STEPS, STEPS_TRAINS, read_record

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

from terminal_tools import Terminal

pytestmark = pytest.mark.timeout(280)
SESSION = f"commission-terminal-{os.getpid()}"
NAME = "Ada Example"


@pytest.fixture
def bedside(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bedside]:
    model = request.param
    spec = BedsideSpec(
        n_channels=8, rate_hz=1000.0, stream_name="amp", source_id="amp-1", markers=False, unit=model, transport="pty",
        session=SESSION,
    )  # fmt: skip
    with start_bedside(spec) as there:
        code = f'unlock_code = "{UNLOCK_CODE}"\n' if "rapid" in model else ""
        (tmp_path / "rtloop.toml").write_text(
            f'data_dir = "data"\n[unit]\nmodel = "{model}"\nport = "{there.port}"\n{code}[stream]\nname = "amp"\n'
        )
        yield there


@pytest.fixture
def terminal(tmp_path: Path, bedside: Bedside) -> Iterator[Terminal]:
    made = Terminal(
        tmp_path, "commission", "--by", NAME, "--site", "rtloop.toml", "--data-dir", str(tmp_path / "data"),
        RTLOOP_LSL_SESSION=SESSION,
    )  # fmt: skip
    yield made
    made.close()


def arms(terminal: Terminal) -> None:
    terminal.answers(r'ARMED.*: type "arm"', "arm")
    terminal.answers(r'within 10 s: type "confirm"', "confirm")


def wait_until_armed(bedside: Bedside) -> None:
    end_s = time.monotonic() + 20.0
    while not bedside.state()["unit"]["armed"]:
        assert time.monotonic() < end_s
        time.sleep(0.02)


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize("bedside", ["200"], indirect=True)
def test_wrong_words_arm_nothing_and_ctrl_c_while_armed_disarms_and_leaves_no_record(
    tmp_path: Path, bedside: Bedside, terminal: Terminal
) -> None:
    terminal.until("BENCH commissioning of 200")
    terminal.until(
        "will NOT let a person under the coil"
    )  # nobody verified this site's limits: said before the work
    terminal.answers("nobody near it.*yes/no", "perhaps")
    terminal.answers("yes or no", "yes")
    terminal.until("step 3 of 8")
    terminal.answers(r'FIRE 10 single pulses at 40 % MSO: type "arm"', "amr")
    terminal.answers(r'that was not "arm", nothing is armed', "")
    terminal.until(r'that was not "arm", nothing is armed')
    assert not bedside.state()["unit"]["armed"]
    terminal.types("arm")
    terminal.answers(r'within 10 s: type "confirm"', "confirm")
    wait_until_armed(bedside)
    terminal.ctrl_c()
    terminal.until(
        "commissioning was interrupted; disarmed; the unit says standby; no record was written", 20.0
    )
    assert terminal.ends() == 6
    unit = bedside.state()["unit"]
    assert not unit["armed"]
    assert not unit["remote"]
    assert not (tmp_path / "commissioning").exists()
    assert not list(tmp_path.glob("data/commissioning/*/ring*"))  # nothing of the run is left in the way


@pytest.mark.skipif("RTLOOP_LONG" not in os.environ, reason="RTLOOP_LONG is not set (about 1 min)")
@pytest.mark.parametrize("bedside", ["rapid"], indirect=True)
def test_the_whole_walk_at_a_terminal_on_a_unit_whose_trains_ea_stops(
    tmp_path: Path, bedside: Bedside, terminal: Terminal
) -> None:
    bedside.inject({"kind": "train_obeys_ea"})
    terminal.answers("nobody near it.*yes/no", "yes")
    arms(terminal)  # pulses
    arms(terminal)
    terminal.until("PRESS THE UNIT'S OWN STOP NOW")
    bedside.inject({"kind": "standby_unexpectedly"})
    terminal.answers("display show standby.*yes/no", "yes")
    arms(terminal)
    terminal.answers("display show standby.*yes/no", "yes")  # STOP
    arms(terminal)  # the train
    for _ in ("frozen", "killed"):
        arms(terminal)
        terminal.answers("display show standby.*yes/no", "yes")
    arms(terminal)
    terminal.until("PULL THE UNIT'S SERIAL CABLE NOW")
    bedside.inject({"kind": "cable_out"})
    terminal.answers("display show standby.*yes/no", "yes")
    terminal.answers('sign: type your name exactly as "Ada Example"', "Ada")
    terminal.answers('that was not "Ada Example"', NAME)
    path = Path(terminal.until(r"/\S+\.json"))
    code = terminal.ends()
    print(terminal.text)
    record = read_record(path)
    assert code == (0 if record.missing == () else 5)
    assert {s.step for s in record.steps} == {*STEPS, *STEPS_TRAINS}
    assert record.mode == "BENCH"
    assert record.stops_running_train is True
    assert record.signature == NAME
    assert "the port stayed, the unit fell silent" in terminal.text
    assert "EA stops a running train" in terminal.text
    assert [s.step for s in record.steps if not s.passed] == []
