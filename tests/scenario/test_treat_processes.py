"""``rtloop treat`` as a real process on a unit that outlives it: kill -9 and freeze in a train and in a pause, Ctrl-C, STOP.

Each leaves a disarmed unit, an honest count, and a resume that gives what is left. The unit is a simulated Super Rapid² of the
test's own, given by its address as a real one would be (mode BENCH), and a person (the test) types at the terminal.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from treat_process_tools import PULSES, Treatment

from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import Bedside, start_bedside
from rtloop.app.dose import ledger_of
from rtloop.errors import NotReady
from rtloop.model.course import Ended
from rtloop.record.folder import SessionFolder
from rtloop.record.verify import verify

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="signals of POSIX"), pytest.mark.timeout(600)]
DISARMED_S = 0.6  # 0.3 s of the port process, and the test's own polling on a busy machine

Run = Callable[..., Treatment]


@pytest.fixture
def bedside() -> Iterator[Bedside]:
    """A bedside that survives the session; a train stops when the unit is disarmed."""
    name = f"treat-{os.getpid()}-{time.monotonic_ns()}"
    options = {"obeys_ea_in_train": True}
    made = start_bedside(
        BedsideSpec(n_channels=8, rate_hz=1000.0, stream_name=name, unit="super-rapid", unit_options=options)
    )
    yield made
    made.close()


@pytest.fixture
def run(bedside: Bedside, tmp_path: Path) -> Iterator[Run]:
    made: list[Treatment] = []

    def start(*more: str) -> Treatment:
        for _ in range(4):
            made.append(Treatment(tmp_path, bedside.port, bedside.stream_name, *more))
            if made[-1].came_up():
                break
        return made[-1]

    yield start
    for treatment in made:
        treatment.close()


def is_armed(bedside: Bedside) -> bool:
    unit = bedside.state()["unit"]
    return bool(unit["armed"] or unit["ready"])


def until_disarmed(bedside: Bedside) -> None:
    t0_s = time.monotonic()
    while is_armed(bedside):
        assert time.monotonic() - t0_s <= DISARMED_S, f"still armed after {DISARMED_S} s"
        time.sleep(0.002)


def until_given(treatment: Treatment, bedside: Bedside, pulses: int) -> None:
    """Answer until so many pulses were discharged."""
    end_s = time.monotonic() + 60.0
    while len(bedside.discharges()) < pulses:
        assert time.monotonic() < end_s, treatment.text
        assert treatment.process.poll() is None, treatment.text
        treatment._answer()
        time.sleep(0.01)


def until_released(data_dir: Path) -> int:
    """The participant's dose, once the processes beside a killed session have ended by themselves."""
    end_s = time.monotonic() + 15.0
    while True:
        try:
            return ledger_of(data_dir, "P017", simulated=False).count()
        except NotReady:
            assert time.monotonic() < end_s
            time.sleep(0.05)


@pytest.mark.req("R-ORPHAN", "R-RESUME", "R-TRAIN-END")
def test_killed_in_a_train_then_frozen_in_a_pause_what_is_left_is_given_and_nothing_twice(
    run: Run, bedside: Bedside
) -> None:
    first = run()
    until_given(first, bedside, 5)
    first.process.kill()  # in mid-train
    until_disarmed(bedside)
    assert first.ended() == -signal.SIGKILL
    assert until_released(first.data_dir) == PULSES  # nobody closed it: all of it counts
    given = first.given()
    assert (given.ended, given.planned, given.delivered, given.uncertain, given.refused) == (
        Ended.CRASHED, 3 * PULSES, 0, PULSES, 2 * PULSES,
    )  # fmt: skip
    first_run = given.run_id
    again = run()  # without --resume
    assert again.ended() == 3
    assert "gave 28 of 84 pulses in 1 trains, and was not finished" in again.text

    before = len(bedside.discharges())
    second = run("--resume")
    second.until("pause of 7 s before train 3 of 3")
    second.process.send_signal(signal.SIGSTOP)  # in the pause, armed
    until_disarmed(bedside)
    second.process.kill()
    assert second.ended() == -signal.SIGKILL
    assert until_released(second.data_dir) == 2 * PULSES
    given = second.given()
    assert (given.ended, given.planned, given.delivered, given.refused) == (
        Ended.CRASHED,
        2 * PULSES,
        PULSES,
        PULSES,
    )
    assert given.session_id == first_run
    assert len(bedside.discharges()) == before + PULSES

    third = run("--resume")
    assert third.ended(120.0) == 0, third.text
    given = third.given()
    assert (given.ended, given.planned, given.delivered, given.trains_given) == (
        Ended.COMPLETE,
        PULSES,
        PULSES,
        1,
    )
    assert [d["train"] for d in third.told("train_given")] == [3]
    assert until_released(third.data_dir) == 3 * PULSES
    assert len(bedside.discharges()) == before + 2 * PULSES
    assert not is_armed(bedside)
    assert run("--resume").ended() == 3  # one treatment a day
    assert all(verify(f.path).ok for f in SessionFolder.all_in(third.data_dir)[-1:])
    assert (third.folder().report).is_file()


@pytest.mark.req("R-ORPHAN", "R-TRAIN-END")
def test_frozen_in_a_train_it_is_disarmed_and_ctrl_c_afterwards_tells_what_was_given(
    run: Run, bedside: Bedside
) -> None:
    t = run()
    until_given(t, bedside, 5)
    t.process.send_signal(signal.SIGSTOP)
    until_disarmed(bedside)
    time.sleep(1.0)
    n = len(bedside.discharges())
    assert 5 <= n < PULSES  # the unit obeys EA in a train
    t.process.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    t.process.send_signal(signal.SIGINT)
    assert t.ended() in (5, 6), t.text
    given = t.given()
    (said,) = t.told("treatment_given")
    assert said == given.data()
    assert given.ended in (Ended.STOPPED, Ended.TRIPPED, Ended.ABORTED)
    assert given.delivered <= n <= given.given_most <= PULSES
    assert given.planned == given.delivered + given.refused + given.uncertain
    assert not is_armed(bedside)
    assert t.told("session_ended")


@pytest.mark.req("R-STOP")
def test_stop_from_another_terminal_ends_it_and_sigterm_too(run: Run, bedside: Bedside) -> None:
    t = run()
    t.until("pause of 7 s before train 2 of 3")
    t.process.send_signal(signal.SIGTERM)
    assert t.ended() == 6, t.text
    assert "2 train(s) are left" in t.text
    (given,) = t.told("treatment_given")
    assert (given["ended"], given["delivered"], given["refused"]) == ("stopped", PULSES, 2 * PULSES)
    assert not is_armed(bedside)
    t = run("--resume")
    t.until("pause of 7 s before train 3 of 3")
    stopped = subprocess.run(
        [sys.executable, "-m", "rtloop.app.cli", "stop", "--data-dir", str(t.data_dir)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "disarmed" in stopped.stdout, stopped
    until_disarmed(bedside)
    assert t.ended() == 5, t.text
    (given,) = t.told("treatment_given")
    assert (given["ended"], given["delivered"], given["refused"]) == ("tripped", PULSES, PULSES)
