"""Owns the commands and the pairs of a simulated Magstim BiStim².

It owns no state machine (``hardware_sim.unit``) and shares no code with any driver. Commands: design note
STIMULATOR section 1; "our choice" marks what that note does not say.
"""

from __future__ import annotations

from typing import Any

from hardware_sim.commands import SHARED, number
from hardware_sim.packet import Command, Discharge, Model, Refusal
from hardware_sim.unit import Unit

PAIR_GAP_S = 4.0  # at most 0.25 Hz with an interval between the pulses (MagPy's documentation of the model)
LOW_INTERVAL, HIGH_INTERVAL = 10, 10  # after Z: 10 ms; after Y: 1.0 ms, in tenths (MagPy's documentation)


def min_gap_200_s(power_pct_mso: float) -> float:
    """Shortest time between pulses of a 200²: 2 s below 50 %, 3 s below 80 %, 4 s up to 100 %."""
    return 2.0 if power_pct_mso < 50 else 3.0 if power_pct_mso < 80 else 4.0


def _power_b(unit: UnitBistim, data: bytes, t_s: float) -> bytes | Refusal:
    """``Addd``: power of the second pulse, % MSO."""
    value = number(data)
    if value is None or value > unit.power_limit_pct_mso:
        return Refusal.BAD_DATA
    if not unit.remote:
        return Refusal.CONFLICT
    unit.set_power_b(value, t_s)
    return b""


def _interval(unit: UnitBistim, data: bytes, t_s: float) -> bytes | Refusal:
    """``Cddd``: interval, ms or (high resolution) 0.1 ms. To and from 0 only in standby (our choice)."""
    value = number(data)
    if value is None:
        return Refusal.BAD_DATA
    if not unit.remote or ((value == 0) != (unit.interval == 0) and not unit.standby):
        return Refusal.CONFLICT
    unit.interval = value
    return b""


def _resolution(high: bool) -> Any:
    def effect(unit: UnitBistim, data: bytes, t_s: float) -> bytes | Refusal:
        if data != b"@":
            return Refusal.BAD_DATA
        if not unit.remote or not unit.standby:
            return Refusal.CONFLICT
        unit.high_resolution, unit.interval = high, HIGH_INTERVAL if high else LOW_INTERVAL
        return b""

    effect.__doc__ = "``Y@`` / ``Z@``: steps of 0.1 ms / 1 ms, in standby; the interval goes to its default."
    return effect


def _parameters(unit: UnitBistim, data: bytes, t_s: float) -> bytes | Refusal:
    """``J@``: both powers as asked for, and the interval in the resolution's steps."""
    if data != b"@":
        return Refusal.BAD_DATA
    return b"%03d%03d%03d" % (unit.setpoint_pct_mso, unit.power_b_pct_mso, unit.interval)


MODEL_BISTIM = Model(
    name="bistim",
    commands={
        **SHARED,
        ord("A"): Command(data_bytes=3, reply_bytes=3, effect=_power_b),
        ord("C"): Command(data_bytes=3, reply_bytes=3, effect=_interval),
        ord("Y"): Command(data_bytes=1, reply_bytes=3, effect=_resolution(True)),
        ord("Z"): Command(data_bytes=1, reply_bytes=3, effect=_resolution(False)),
        ord("J"): Command(data_bytes=1, reply_bytes=12, effect=_parameters),
    },
    max_power_pct_mso=100,
    min_gap_s=min_gap_200_s,
    pairs=True,
)


class UnitBistim(Unit):
    """A Magstim BiStim². Parameters as ``Unit``, and power B, interval (in steps) and resolution at the start.

    One fire gives the pulse A, then B after the interval; both at once when that is 0. With power B at 0 there
    is no second pulse (our choice).
    """

    model = MODEL_BISTIM

    def __init__(
        self, *, power_b_pct_mso: int = 0, interval: int = LOW_INTERVAL, high_resolution: bool = False,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.interval, self.high_resolution = interval, high_resolution
        self._ramp_b = type(self._ramp)(power_b_pct_mso)

    @property
    def power_b_pct_mso(self) -> int:
        """Power B asked for."""
        return self._ramp_b.setpoint_pct_mso

    @property
    def interval_s(self) -> float:
        """From A to B."""
        return self.interval * (1e-4 if self.high_resolution else 1e-3)

    def set_power_b(self, power_pct_mso: int, t_s: float) -> None:
        """Start the ramp of B."""
        self._ramp_b.to(power_pct_mso, t_s)

    def _ready(self, t_s: float, latency_s: float | None = None) -> bool:
        return super()._ready(t_s, latency_s) and t_s >= self._ramp_b.end_s - 1e-6

    def _gap_s(self, power: float) -> float:
        """0.25 Hz with an interval; simultaneous: as a 200² at the stronger power (our choice)."""
        return PAIR_GAP_S if self.interval else super()._gap_s(max(power, self.power_b_pct_mso))

    def _shots(self, first_s: float, power: int) -> list[Discharge]:
        second = round(self._ramp_b.at(self._t_s))
        shots = super()._shots(first_s, power)
        if second > 0:
            shots.append(Discharge(t_s=first_s + self.interval_s, power_pct_mso=second, part="B"))
        return shots
