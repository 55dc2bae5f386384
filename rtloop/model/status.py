"""Owns the states, modes, faults and health readings that travel between islands; owns no rule about them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum


class Mode(StrEnum):
    """How dangerous this run is; printed everywhere."""

    SIMULATED = "SIMULATED"  # simulated unit and simulated amplifier
    BENCH = "BENCH"  # real unit, coil on a phantom
    HUMAN = "HUMAN"  # a person under the coil: needs a commissioning record
    LISTEN = "LISTEN"  # no unit connected: nothing can be fired


class Lamp(StrEnum):
    """State of the interlock."""

    SAFE = "SAFE"
    READY = "READY"
    ARMED = "ARMED"
    HELD = "HELD"
    TRIPPED = "TRIPPED"


class Fault(StrEnum):
    """Everything that may take the permission to pulse away; the action of each is in ``safety.interlock``."""

    STOP = "stop"  # operator's STOP, from any window, key or command
    STREAM_STALE = "stream_stale"  # no sample for 50 ms
    STREAM_LOST = "stream_lost"  # no sample for 250 ms, or the outlet is gone
    STREAM_BAD = "stream_bad"  # rate, gap, NaN, flat, saturated, repeated
    STREAM_IMPOSTOR = "stream_impostor"  # another outlet claims to be ours
    UNIT_SILENT = "unit_silent"  # no reply within the deadline
    UNIT_LOST = "unit_lost"  # the port vanished
    UNIT_UNEXPECTED = "unit_unexpected"  # coil absent, error bit, standby though armed, wrong read-back
    UNIT_STALE = "unit_stale"  # status older than allowed
    UNIT_HOT = "unit_hot"  # coil above the stop temperature
    PORT_DEAD = "port_dead"  # the port process died or froze
    RECORDER_DEAD = "recorder_dead"  # the recorder died, froze or cannot write
    JOURNAL_FAILED = "journal_failed"  # an intent could not be made durable
    ENGINE_LATE = "engine_late"  # the loop missed its own heartbeat, or a pulse its deadline
    OPERATOR_GONE = "operator_gone"  # the operator's window died or froze
    UNCERTAIN_PULSE = "uncertain_pulse"  # a fire whose outcome is not known
    PULSE_NOT_SEEN = "pulse_not_seen"  # commanded, not in the EEG, or by only one of trigger and artifact
    PULSE_UNCOMMANDED = "pulse_uncommanded"  # found in the EEG, never commanded
    LATENCY_OFF = "latency_off"  # pulses come later or earlier after their command than they did
    CLOCK_JUMP = "clock_jump"
    BUG = "bug"  # an exception in the loop


@dataclass(frozen=True, kw_only=True)
class UnitIdentity:
    """Who answers on the line. ``model`` is e.g. ``"200"``; ``simulated`` is what the wiring knows, not the unit."""

    model: str
    port: str
    simulated: bool
    firmware: str = "not reported by this model"


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a unit can do beyond single pulses, and what software cannot."""

    power_high_pct_mso: int = 100
    trains: bool = False
    pairs: bool = False
    stops_running_train: bool = (
        False  # whether EA is known to stop a train under way (commissioning measures it)
    )


@dataclass(frozen=True, kw_only=True)
class UnitStatus:
    """The unit's own last status byte and what was read with it; ``t_s`` is when it arrived."""

    t_s: float
    standby: bool
    armed: bool
    ready: bool
    coil_present: bool
    replace_coil: bool
    error: bool
    error_fatal: bool
    remote: bool
    power_pct_mso: int | None = None
    coil_temp_c: float | None = None

    @classmethod
    def from_instr(
        cls, instr: int, *, t_s: float, power_pct_mso: int | None = None, coil_temp_c: float | None = None
    ) -> UnitStatus:
        """Unpack an instr byte (bits 0 standby .. 7 remote control; design note STIMULATOR section 1)."""
        bit = [bool(instr >> i & 1) for i in range(8)]
        return cls(
            t_s=t_s,
            standby=bit[0],
            armed=bit[1],
            ready=bit[2],
            coil_present=bit[3],
            replace_coil=bit[4],
            error=bit[5],
            error_fatal=bit[6],
            remote=bit[7],
            power_pct_mso=power_pct_mso,
            coil_temp_c=coil_temp_c,
        )

    @property
    def may_discharge(self) -> bool:
        """Armed or ready: a fire command or a trigger edge would (soon) discharge the coil."""
        return self.armed or self.ready

    def age_s(self, now_s: float) -> float:
        """Seconds since the unit said so."""
        return now_s - self.t_s


@dataclass(frozen=True, kw_only=True)
class Breach:
    """One thing wrong with the stream: ``fault`` to act on, words to show."""

    fault: Fault
    what: str
    expected: str
    found: str


@dataclass(frozen=True, kw_only=True)
class StreamHealth:
    """One look at the stream. ``breaches`` empty means pulses are not vetoed by the stream."""

    t_s: float
    head: int  # samples ever written: index of the next sample
    rate_hz: float  # measured over the last seconds
    nominal_rate_hz: float
    age_s: float  # since the newest sample arrived
    gaps: int  # gaps found since the start
    lost_samples: int
    clock_residual_s: float  # of the newest chunk against the robust line
    bad_channels: tuple[str, ...] = ()
    breaches: tuple[Breach, ...] = field(default=())

    @property
    def ok(self) -> bool:
        return not self.breaches and math.isfinite(self.age_s)
