"""Scripts as real processes on a unit that outlives them: kill -9 and freeze in mid-train, signals, words typed, STOP, sleep.

The unit is a simulated Rapid² of the test's own, given by its address as a real one would be: the scripts run in mode BENCH.
What needs no process of its own is tried on the stepped clock: tests/unit/test_scripting_stepped.py.
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
from scripting_tools import Script

from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import Bedside, start_bedside
from rtloop.app.dose import ledger_of
from rtloop.errors import NotReady
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.verify import verify

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
ALLOWANCE_S = 0.3  # for the test's own polling on a busy machine
ENGINE_S = 0.3
OPERATOR_S = 2.0
TRAIN = 28  # pulses at 10 Hz

OPEN = 'stimulator(port, model="rapid", participant="P001", data_dir=data_dir, site=site, eeg=eeg, say=say)'
GIVE_A_TRAIN = f"""
with {OPEN} as tms:
    tms.set_power(30)
    say("at worst", tms.set_train(frequency_hz=10, n_pulses={TRAIN}), "s")
    for _ in range(10):
        try:
            again(tms, lambda: tms.lamp == "ARMED" or tms.arm("I am at the unit"))
            say("about to give")
            say(tms.train())
        except Refused as no:
            say("not yet:", no.reasons)
            tms.wait(0.5)
"""

Run = Callable[..., Script]


@pytest.fixture
def bedside() -> Iterator[Bedside]:
    """A bedside that survives the script; a train stops when the unit is disarmed."""
    name = f"bed-{os.getpid()}-{time.monotonic_ns()}"
    options = {"obeys_ea_in_train": True}
    made = start_bedside(
        BedsideSpec(n_channels=8, rate_hz=1000.0, stream_name=name, unit="rapid", unit_options=options)
    )
    yield made
    made.close()


@pytest.fixture
def run(bedside: Bedside, tmp_path: Path) -> Iterator[Run]:
    made: list[Script] = []

    def start(body: str, *, eeg: bool = False) -> Script:
        more = (bedside.stream_name,) if eeg else ()
        made.append(Script(tmp_path, body, bedside.port, *more))
        return made[-1]

    yield start
    for script in made:
        script.close()


def is_armed(bedside: Bedside) -> bool:
    unit = bedside.state()["unit"]
    return bool(unit["armed"] or unit["ready"])


def seconds_until_disarmed(bedside: Bedside, within_s: float) -> float:
    t0_s = time.monotonic()
    while is_armed(bedside):
        assert time.monotonic() - t0_s <= within_s, f"still armed after {within_s} s"
        time.sleep(0.002)
    return time.monotonic() - t0_s


def in_mid_train(script: Script, bedside: Bedside, before: int) -> None:
    """Arm by hand, until five pulses of a train have been given."""
    script.arm("about to give")
    end_s = time.monotonic() + 30.0
    while len(bedside.discharges()) < before + 5:
        assert time.monotonic() < end_s, script.text
        time.sleep(0.01)


def counted(script: Script) -> int:
    """What the next session of this participant finds in the ledger."""
    end_s = time.monotonic() + 10.0
    while True:
        try:
            return ledger_of(script.data_dir, "P001", simulated=False).count()
        except NotReady:  # the processes beside a killed script end by themselves
            assert time.monotonic() < end_s
            time.sleep(0.05)


@pytest.mark.req("R-ORPHAN", "R-RESUME", "R-TRAIN-END")
def test_a_script_that_is_interrupted_then_killed_in_mid_train_leaves_no_armed_unit_and_a_whole_charge(
    run: Run, bedside: Bedside
) -> None:
    script = run(
        f"""
try:
    with {OPEN} as tms:
        tms.set_power(30)
        for _ in range(10):  # a hold that lasts disarms: armed anew
            again(tms, lambda: tms.arm("I am at the unit"))
            say("armed")
            for _ in range(100):
                tms.wait(0.1)
except KeyboardInterrupt:
    say("interrupted")
{GIVE_A_TRAIN}""",
        eeg=True,
    )
    script.arm("armed")
    assert is_armed(bedside) or "stream" in script.text
    script.process.send_signal(signal.SIGINT)
    seconds_until_disarmed(bedside, ENGINE_S + ALLOWANCE_S)
    script.until("interrupted")  # the script itself learns of it
    first = SessionFolder.all_in(script.data_dir)[0]
    ended = next(e.data for e in read_journal(first.journal).events if e.kind == "session_ended")
    assert "KeyboardInterrupt" in ended["words"]
    assert ended["clean"] is False
    assert bedside.discharges() == []
    in_mid_train(script, bedside, 0)
    script.process.send_signal(signal.SIGKILL)
    seconds_until_disarmed(bedside, ENGINE_S + ALLOWANCE_S)
    assert script.ended() == -signal.SIGKILL
    assert script.told("session_ended") == []
    assert 5 <= len(bedside.discharges()) < TRAIN  # the port process stopped it
    assert script.told("pulse_closed") == []
    assert verify(first.path).ok
    assert counted(script) == TRAIN  # nobody knows how far it came: counted whole


@pytest.mark.req("R-ORPHAN", "R-TRAIN-END")
def test_a_script_that_freezes_in_mid_train_is_disarmed_and_ends_in_order_when_it_wakes_to_a_signal(
    run: Run, bedside: Bedside
) -> None:
    script, before = run(GIVE_A_TRAIN, eeg=True), len(bedside.discharges())
    in_mid_train(script, bedside, before)
    assert "use the unit's hardware stop" in script.text
    script.process.send_signal(signal.SIGSTOP)
    seconds_until_disarmed(bedside, ENGINE_S + ALLOWANCE_S)
    time.sleep(0.3)
    assert not is_armed(bedside)
    given = len(bedside.discharges()) - before
    assert 5 <= given < TRAIN
    script.process.send_signal(signal.SIGTERM)
    script.process.send_signal(signal.SIGCONT)
    assert script.ended() != 0
    assert len(bedside.discharges()) - before == given
    assert not is_armed(bedside)
    assert "KeyboardInterrupt" in script.told("session_ended")[0]["words"]
    assert script.told("session_ended")[0]["clean"] is False
    assert given <= counted(script) <= TRAIN
    assert verify(script.folder().path).ok


def test_words_are_typed_by_a_person_sleep_disarms_and_stop_is_heard_from_outside(
    run: Run, bedside: Bedside
) -> None:
    """Without EEG. Also: an unguarded script is run once; what it raises at last is journalled, and its exit code tells."""
    before = len(bedside.discharges())
    script = run(
        f"""
say("the script runs")
with {OPEN} as tms:
    tms.set_power(40)
    try:
        tms.arm("I am at the unit")
    except Refused as no:
        say("refused:", no.reasons)
    again(tms, lambda: tms.arm("I am at the unit"))
    say(again(tms, tms.pulse))
    again(tms, lambda: tms.lamp == "ARMED" or tms.arm("I am at the unit"))
    say("asleep")
    time.sleep(3.0)
    try:
        tms.pulse()
    except Refused as no:
        say("refused:", no.reasons)
    again(tms, lambda: tms.arm("I am at the unit"))
    say("armed again")
    for _ in range(80):
        if tms.lamp == "TRIPPED":
            break
        tms.wait(0.1)
    try:
        tms.pulse()
    except Refused as no:
        say("refused:", no.reasons)
    say(tms.dose())
    raise RuntimeError("the script's own mistake")
"""
    )
    script.until("type within")
    script.type("yes")
    script.arm("asleep")
    assert is_armed(bedside)
    took_s = seconds_until_disarmed(bedside, OPERATOR_S + ENGINE_S + ALLOWANCE_S)
    assert took_s > 1.0, f"a script may compute for a moment: disarmed after {took_s:.2f} s"
    script.arm("armed again")
    assert is_armed(bedside)
    told = subprocess.run(
        [sys.executable, "-m", "rtloop.app.cli", "stop", str(script.folder().path)],
        capture_output=True, text=True, timeout=30.0, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    seconds_until_disarmed(bedside, ALLOWANCE_S)
    assert script.ended() == 1
    assert script.said.count("the script runs") == 1  # no child process imported it
    refused = [line for line in script.said if line.startswith("refused:")]
    assert "found 'yes'" in refused[0]
    assert "lamp_armed" in refused[1]
    assert "unit_ready" in refused[1]
    assert "STOP" in refused[-1]
    assert "tms.wait" in script.text  # what to do instead of sleeping
    assert "1 pulse(s) in this script" in script.text
    assert len(bedside.discharges()) - before == 1
    assert counted(script) == 1
    assert "no EEG is used" in script.told("session_started")[0]["eeg"]
    assert script.told("session_started")[0]["scene"] is None  # its pulses count among the real ones
    assert "no EEG is used" in script.told("pulse_not_seen")[0]["words"]
    ended = script.told("session_ended")[0]
    assert ended["clean"] is False
    assert "the script's own mistake" in ended["words"]
    assert verify(script.folder().path).ok
