"""Scripts as real processes on a unit that outlives them: kill -9, freeze, Ctrl-C, exceptions, sleep; the unit must be disarmed.

The unit is a simulated one of the test's own, given by its address as a real one would be: the scripts run in mode BENCH.
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
from rtloop.record.verify import verify
from rtloop.safety.ledger import Ledger

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
ALLOWANCE_S = 0.3  # for the test's own polling on a busy machine
ENGINE_S = 0.3
OPERATOR_S = 2.0

ARMED = """
    with stimulator(port, participant="P001", data_dir=data_dir, eeg=eeg, say=say) as tms:
        tms.set_power(40)
        for _ in range(10):  # a hold that lasts disarms: armed anew
            again(tms, lambda: tms.arm("I am at the unit"))
            say("armed")
            for _ in range(100):
                tms.wait(0.1)
"""

Run = Callable[..., Script]


@pytest.fixture
def bedside() -> Iterator[Bedside]:
    """A bedside that survives the script."""
    name = f"bed-{os.getpid()}-{time.monotonic_ns()}"
    made = start_bedside(BedsideSpec(n_channels=8, rate_hz=1000.0, stream_name=name))
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


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGINT, signal.SIGTERM])
def test_a_script_that_is_killed_frozen_or_interrupted_leaves_no_armed_unit(
    run: Run, bedside: Bedside, how: signal.Signals
) -> None:
    script = run(ARMED)
    script.arm("armed")
    assert is_armed(bedside) or "stream" in script.text
    script.process.send_signal(how)
    seconds_until_disarmed(bedside, ENGINE_S + ALLOWANCE_S)
    if how is signal.SIGSTOP:
        time.sleep(0.3)
        assert not is_armed(bedside)
        script.process.send_signal(signal.SIGKILL)
    assert script.ended() != 0
    ends = script.told("session_ended")
    if how in (signal.SIGINT, signal.SIGTERM):
        assert "KeyboardInterrupt" in ends[0]["words"]
        assert ends[0]["clean"] is False
        assert "KeyboardInterrupt" in script.text  # the script itself learns of it
        assert verify(script.folder().path).ok
    else:
        assert ends == []
    assert bedside.discharges() == []


def test_a_script_that_sleeps_is_disarmed_and_told_every_reason(run: Run, bedside: Bedside) -> None:
    """Also: an unguarded script is run once; its pulses are seen; what it raises at last disarms and is journalled."""
    script = run(
        """
        say("the script runs")
        with stimulator(port, participant="P001", data_dir=data_dir, eeg=eeg, caps={"max_power_pct_mso": 60}, say=say) as tms:
            try:
                tms.set_power(61)
            except Refused as no:
                say("refused:", no.reasons)
            tms.set_power(45)
            given = 0
            while given < 2:
                if tms.lamp not in ("ARMED", "HELD"):
                    again(tms, lambda: tms.arm("I am at the unit"))
                try:
                    say(tms.pulse())
                    given += 1
                except Refused as no:
                    say("not yet:", no.reasons)
                    tms.wait(0.5)
            again(tms, lambda: tms.lamp == "ARMED" or tms.arm("I am at the unit"))
            say("asleep")
            time.sleep(4.0)
            try:
                tms.pulse()
            except Refused as no:
                say("refused:", no.reasons)
            again(tms, lambda: tms.arm("I am at the unit"))
            say("armed again")
            say(tms.dose())
            raise RuntimeError("the script's own mistake")
        """,
        eeg=True,
    )
    script.arm("asleep")
    assert is_armed(bedside)
    t0_s = time.monotonic()
    took_s = seconds_until_disarmed(bedside, OPERATOR_S + ENGINE_S + ALLOWANCE_S)
    assert took_s > 1.0, f"a script may compute for a moment: disarmed after {took_s:.2f} s"
    assert time.monotonic() - t0_s < 4.0
    script.arm("armed again")
    assert script.ended() == 1
    assert not is_armed(bedside)
    assert script.said.count("the script runs") == 1  # no child process imported it
    reasons = [line for line in script.said if line.startswith("refused:")]
    assert "power_cap" in reasons[0]
    assert "60" in reasons[0]
    assert "lamp_armed" in reasons[1]
    assert "unit_ready" in reasons[1]
    assert "tms.wait" in script.text  # what to do instead of sleeping
    assert "2 pulse(s) in this script" in script.text
    assert len(bedside.discharges()) == 2
    events = script.events()
    assert Ledger.from_events(events).count() == 2
    assert len(script.told("pulse_seen")) == 2
    assert "the script's own mistake" in script.told("session_ended")[0]["words"]
    assert script.told("session_started")[0]["mode"] == "BENCH"
    assert verify(script.folder().path).ok


def test_words_that_nobody_types_do_not_arm_and_stop_is_heard_from_outside(
    run: Run, bedside: Bedside
) -> None:
    """Without EEG: the stand-in keeps every rule in force, and the journal says that no pulse could be seen."""
    script = run(
        """
        with stimulator(port, participant="P001", data_dir=data_dir, say=say) as tms:
            tms.set_power(40)
            try:
                tms.arm("I am at the unit")
            except Refused as no:
                say("refused:", no.reasons)
            again(tms, lambda: tms.arm("I am at the unit"))
            say(again(tms, tms.pulse))
            say("waiting")
            tms.wait(4)
            try:
                tms.pulse()
            except Refused as no:
                say("refused:", no.reasons)
        """
    )
    script.until("type within")
    script.type("yes")
    script.arm("waiting")
    assert is_armed(bedside)
    told = subprocess.run(
        [sys.executable, "-m", "rtloop.app.cli", "stop", str(script.folder().path)],
        capture_output=True, text=True, timeout=30.0, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    seconds_until_disarmed(bedside, ALLOWANCE_S)
    assert script.ended() == 0
    refused = [line for line in script.said if line.startswith("refused:")]
    assert "found 'yes'" in refused[0]
    assert "STOP" in refused[1]
    assert len(bedside.discharges()) == 1
    started = script.told("session_started")[0]
    assert "no EEG is used" in started["eeg"]
    assert started["scene"] is None  # its pulses count among the real ones
    assert "no EEG is used" in script.told("pulse_not_seen")[0]["words"]
    assert script.told("session_ended")[0]["clean"] is False  # it tripped
    assert verify(script.folder().path).ok
