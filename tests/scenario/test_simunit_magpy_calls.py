"""Owns the check that MagPy's working public calls, its source unmodified, drive every simulated model.

``SKIPPED`` names each public call that is not used, with its defect; every other one is used.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from magpy.magstim import BiStim, Magstim, MagstimError, Rapid
from magpy_tools import Called, magpy_over

from hardware_sim.line import Line, PtyLine, SocketLine
from hardware_sim.magstim import UNLOCK_CODE, Unit, unit_of
from rtloop.clock import WALL

SKIPPED = {
    Magstim: {"isArmed": "true whenever remote control is on"},
    Rapid: {
        "isArmed": "true whenever remote control is on",
        "setNPulses": "sends seconds where tenths of a second are meant",
        "getErrorCode": "drops the last digit",
        "getChargeDelay": "reads one byte too many from software 9 (reads on for ever)",
        "ignoreCoilSafetySwitch": "overrides a safety switch; the simulated units do not know the command",
    },
}
SKIPPED_BEFORE_9 = {
    "setPower": "KeyError without an unlock code",
    "isEnhanced": "KeyError without an unlock code",
}
# poke() is used silently only: with a command its reply is mistaken for the next one's
LINES = [SocketLine] + ([] if sys.platform == "win32" else [PtyLine])
ARMING_S = 0.05


def public_calls(kind: type) -> set[str]:
    """What a device of MagPy can be asked for: methods, not its calculators."""
    own = {n for n, f in inspect.getmembers(kind, inspect.isfunction) if not n.startswith("_")}
    return {n for n in own if "self" in inspect.signature(getattr(kind, n)).parameters}


@contextmanager
def device(
    monkeypatch: pytest.MonkeyPatch, line_kind: Callable[..., Line], unit: Unit, make: Callable[[str], Any]
) -> Iterator[Called]:
    """MagPy connected to a unit; at the end disconnected, the unit in standby and released."""
    line = line_kind(unit, WALL)
    line.start()

    def edge() -> None:
        with line.lock:
            unit.trigger_edge(WALL.now_s())

    try:
        with magpy_over(monkeypatch, edge):
            called = Called(make(line.port))
            called.connect()
            try:
                yield called
            finally:
                called.disconnect()
                assert not called.device._connection.is_alive()
    finally:
        line.close()
    state = unit.state()
    assert (state.remote, state.armed) == (False, False)
    assert unit.history == []


def until(holds: Callable[[], bool]) -> None:
    limit_s = WALL.now_s() + 3.0
    while not holds() and WALL.now_s() < limit_s:
        time.sleep(0.01)
    assert holds()


def common(magpy: Called, unit: Unit) -> None:
    """What every model does: power, temperature, arming, one pulse by command, one by the trigger cable."""
    assert magpy.remoteControl(True, receipt=True)[1]["instr"]["remoteStatus"] == 1
    assert magpy.isUnderControl() is True
    error, message = magpy.getTemperature()
    assert (error, message["magstimTemp"]) == (0, {"coil1Temp": 22.0, "coil2Temp": 22.0})
    assert magpy.fire(receipt=True) == Magstim.COMMAND_CONFLICT_ERR
    assert magpy.isReadyToFire() is False
    assert magpy.arm(receipt=True)[0] == 0
    until(magpy.isReadyToFire)
    magpy.poke(silent=True)
    error, message = magpy.fire(receipt=True)
    assert (error, message["instr"]["ready"]) == (0, 1)
    until(magpy.isReadyToFire)
    before = len(unit.discharges)
    magpy.quickFire()
    until(lambda: len(unit.discharges) > before)
    magpy.resetQuickFire()
    assert magpy.disarm(receipt=True)[0] == 0
    until(lambda: not unit.state().armed)


@pytest.mark.parametrize("line_kind", LINES)
def test_200(monkeypatch: pytest.MonkeyPatch, line_kind: Any) -> None:
    unit = unit_of("200", arming_s=ARMING_S)
    with device(monkeypatch, line_kind, unit, Magstim) as magpy:
        assert magpy.setPower(30, receipt=True, delay=True)[0] == 0
        assert magpy.getParameters()[1]["magstimParam"] == {"power": 30}
        common(magpy, unit)
        assert [d.power_pct_mso for d in unit.discharges] == [30, 30]
    assert magpy.names | set(SKIPPED[Magstim]) >= public_calls(Magstim)


@pytest.mark.parametrize("line_kind", LINES[-1:])
def test_bistim(monkeypatch: pytest.MonkeyPatch, line_kind: Any) -> None:
    unit = unit_of("bistim", arming_s=ARMING_S)
    with device(monkeypatch, line_kind, unit, BiStim) as magpy:
        assert magpy.highResolutionMode(True, receipt=True)[0] == 0
        assert magpy.setPulseInterval(2.5, receipt=True)[0] == 0
        assert magpy.setPowerA(40, receipt=True, delay=True)[0] == 0
        assert magpy.setPowerB(30, receipt=True, delay=True)[0] == 0
        error, message = magpy.getParameters()
        assert (error, message["bistimParam"]) == (0, {"powerA": 40, "powerB": 30, "ppOffset": 2.5})
        assert magpy.highResolutionMode(False, receipt=True)[0] == 0
        assert magpy.setPulseInterval(0, receipt=True)[0] == 0  # simultaneous
        assert magpy.setPower(45, receipt=True)[0] == 0
        common(magpy, unit)
        assert [(d.power_pct_mso, d.part) for d in unit.discharges] == [(45, "A"), (30, "B")] * 2
    assert [b.t_s - a.t_s for a, b in pairwise(unit.discharges)][::2] == [0.0, 0.0]
    assert magpy.names | set(SKIPPED[Magstim]) >= public_calls(BiStim)


def trains(magpy: Called, unit: Unit) -> None:
    """Into train mode, 8 pulses at 20 Hz, out of it."""
    assert magpy.rTMSMode(True, receipt=True)[0] == 0
    assert magpy.getParameters()[1]["rapidParam"]["frequency"] == 1.0
    assert magpy.setFrequency(20, receipt=True)[0] == 0
    assert magpy.setDuration(0.4, receipt=True)[0] == 0
    error, message = magpy.getParameters()
    assert (error, message["rapid"]["singlePulseMode"]) == (0, 0)
    assert message["rapidParam"] == {
        "power": 50,
        "frequency": 20.0,
        "nPulses": 8,
        "duration": 0.4,
        "wait": 0.5,
    }
    before = len(unit.discharges)
    assert magpy.arm(receipt=True)[0] == 0
    until(magpy.isReadyToFire)
    assert magpy.fire(receipt=True) == Magstim.SEQUENCE_VALIDATION_ERR
    assert magpy.validateSequence()[0] == 0
    assert magpy.fire(receipt=True)[0] == 0
    assert magpy.getParameters()[1]["rapid"]["train"] == 1
    until(magpy.isReadyToFire)
    assert len(unit.discharges) == before + 8
    assert {round(b.t_s - a.t_s, 6) for a, b in pairwise(unit.discharges[before:])} == {0.05}
    assert magpy.disarm(receipt=True)[0] == 0
    assert magpy.rTMSMode(False, receipt=True)[0] == 0
    assert magpy.getParameters()[1]["rapid"]["singlePulseMode"] == 1


@pytest.mark.parametrize("line_kind", LINES)
def test_rapid_with_software_9_and_its_unlock_code(monkeypatch: pytest.MonkeyPatch, line_kind: Any) -> None:
    unit = unit_of("super-rapid", version=(9, 0, 0), arming_s=ARMING_S)

    def make(port: str) -> Any:
        return Rapid(port, superRapid=1, unlockCode=UNLOCK_CODE)

    with device(monkeypatch, line_kind, unit, make) as magpy:
        assert magpy.getVersion() == (0, (9, 0, 0))
        assert magpy.enhancedPowerMode(True, receipt=True)[0] == 0
        assert magpy.isEnhanced() is True
        assert (
            magpy.setPower(105, receipt=True) == Magstim.PARAMETER_RANGE_ERR
        )  # its parent class stops at 100
        assert magpy.enhancedPowerMode(False, receipt=True)[0] == 0
        assert magpy.setPower(50, receipt=True, delay=True)[0] == 0
        assert magpy.setChargeDelay(100, receipt=True)[0] == 0
        assert magpy.setChargeDelay(0, receipt=True)[0] == 0
        error, message = magpy.getSystemStatus()
        assert (error, message["rapid"]["singlePulseMode"], message["instr"]["remoteStatus"]) == (0, 1, 1)
        common(magpy, unit)
        assert len(unit.discharges) == 2
        trains(magpy, unit)
    assert magpy.names | set(SKIPPED[Rapid]) >= public_calls(Rapid)


@pytest.mark.parametrize(("version", "line_kind"), [((7, 0, 0), LINES[0]), ((5, 0, 0), LINES[-1])])
def test_rapid_with_older_software(
    monkeypatch: pytest.MonkeyPatch, line_kind: Any, version: tuple[int, ...]
) -> None:
    unit = unit_of("rapid", version=version, power_pct_mso=50, arming_s=ARMING_S)
    with device(monkeypatch, line_kind, unit, Rapid) as magpy:
        assert magpy.getVersion() == (0, version)
        assert magpy.getSystemStatus() == magpy.setChargeDelay(1) == Magstim.SYSTEM_STATUS_VERSION_ERR
        assert magpy.enhancedPowerMode(True, receipt=True)[0] == 0
        assert magpy.enhancedPowerMode(False, receipt=True)[0] == 0
        common(magpy, unit)
        # status queries cancel MagPy's validation here: it is asked for right before the fire
        trains(magpy, unit)
    assert magpy.names | set(SKIPPED[Rapid]) | set(SKIPPED_BEFORE_9) >= public_calls(Rapid)


def test_magpy_is_not_answered_with_a_wrong_unlock_code(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = unit_of("rapid")
    line = SocketLine(unit, WALL)
    line.start()
    monkeypatch.setattr("magpy_tools.READ_S", 0.2)  # MagPy itself would wait for ever
    try:
        with magpy_over(monkeypatch, lambda: None), pytest.raises(MagstimError):
            Rapid(line.port, unlockCode="0000-00000000-zz").connect()
    finally:
        line.close()
    assert not unit.state().remote
    assert [way for _, way, _ in line.trace] == ["in"] * len(line.trace)
