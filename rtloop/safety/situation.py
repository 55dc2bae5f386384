"""Owns what the rules look at - situation, threshold, rig - and the form of a refusal; owns no rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from rtloop.model.pulse import Pair, Pulse, Train, finite
from rtloop.model.status import Capabilities, Lamp, Mode, StreamHealth, UnitStatus
from rtloop.model.waiver import Waiver
from rtloop.safety.ledger import NO_PULSES, Counts
from rtloop.safety.limits import Limits


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why not, in words: the rule, what it expected, what it found, what to do."""

    rule: str
    expected: str
    found: str
    todo: str

    def words(self) -> str:
        return f"{self.rule}: expected {self.expected}, found {self.found}; {self.todo}"


@dataclass(frozen=True, kw_only=True)
class Rig:
    """What a motor threshold is bound to besides the person. ``waveform`` includes the current direction."""

    unit_model: str
    coil: str
    waveform: str


@dataclass(frozen=True, kw_only=True)
class MotorThreshold:
    """Resting motor threshold, % of maximum output; ``method`` "EMG" or "visual"; ``date`` YYYY-MM-DD."""

    participant: str
    pct_mso: float
    date: str
    method: str
    coil: str
    waveform: str
    unit_model: str

    def __post_init__(self) -> None:
        texts = ((n, getattr(self, n)) for n in ("participant", "date", "coil", "waveform", "unit_model"))
        wrong = [f"{name} is text, not {value!r}" for name, value in texts if not isinstance(value, str)]
        if not 0 < finite(self.pct_mso) <= 100:
            wrong.append(f"a motor threshold lies in 0..100 % of maximum output, not at {self.pct_mso!r}")
        if self.method not in ("EMG", "visual"):
            wrong.append(f"method is EMG or visual, not {self.method!r}")
        try:
            date.fromisoformat(str(self.date))
        except ValueError as err:
            wrong.append(f"date: {err}")
        if wrong:
            raise ValueError("; ".join(wrong))

    def to_mso(self, pct_rmt: float) -> int:
        """% RMT -> % MSO, rounded DOWN (exact in decimals); ValueError unless finite and positive."""
        if not 0 < pct_rmt < math.inf:
            raise ValueError(f"% RMT must be finite and positive, not {pct_rmt}")
        return math.floor(Fraction(str(pct_rmt)) * Fraction(str(self.pct_mso)) / 100)

    def to_rmt(self, pct_mso: int) -> Fraction:
        """% MSO -> % RMT, exactly."""
        return Fraction(pct_mso) * 100 / Fraction(str(self.pct_mso))


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything the rules look at. The gate itself fills the fields marked *; what is left unsaid refuses.

    Ages are seconds; ``armed_since_s`` and ``last_pulse_t_s`` are instants (None: not armed, no pulse yet).
    """

    mode: Mode
    now_s: float
    pulse: Pulse
    lamp: Lamp = Lamp.SAFE  # *
    unit: UnitStatus | None = None  # *
    unit_simulated: bool | None = None  # *
    capabilities: Capabilities | None = None  # *
    shape: tuple[Train | None, Pair | None] | None = None  # * last set on the unit (None: not known)
    unit_says: tuple[str, ...] | None = None  # * the unit's own refusals of this train (None: not asked)
    train_under_way: bool | None = None  # *
    last_train_end_s: float | None = None  # * latest instant at which the last train may have ended
    eeg_simulated: bool | None = None
    stream: StreamHealth | None = None
    recorder_age_s: float = math.inf
    durable_lag_s: float = math.inf  # EEG received and not yet on disk
    port_age_s: float = math.inf
    operator_age_s: float = math.inf
    last_pulse_t_s: float | None = None  # * latest instant at which the last pulse may have been given
    min_interval_s: float = math.nan  # * the unit's own gap at this power
    counts: Counts = NO_PULSES  # *
    latest_day: str = ""  # * last UTC day in the ledger
    armed_since_s: float | None = None  # *
    today: str = ""  # * UTC date
    participant: str = ""
    lock: str | None = None  # why the participant is locked; "": nothing locks, None: nobody looked
    rig: Rig | None = None
    threshold: MotorThreshold | None = None
    commissioned: bool = False
    plan_sha256: str = ""
    waivers: tuple[Waiver, ...] = ()

    def waived(self, rule: str) -> bool:
        """Whether a signed waiver lifts ``rule`` for exactly this plan."""
        return any(w.rule == rule and w.plan_sha256 == self.plan_sha256 != "" for w in self.waivers)

    def pct_rmt(self, power_pct_mso: int) -> Fraction | None:
        """The power in % of the threshold, exactly; None without a threshold."""
        return None if self.threshold is None else self.threshold.to_rmt(power_pct_mso)


Said = Refusal | None
Rule = Callable[[Situation, Limits], Said]


def refuse(rule: str, expected: str, found: object, todo: str) -> Refusal:
    """A refusal, in the order in which it is read."""
    return Refusal(rule=rule, expected=expected, found=str(found), todo=todo)


def within(low: float, value: float, high: float) -> bool:
    return low <= value <= high  # False for NaN
