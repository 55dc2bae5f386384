"""Owns the values of one pulse: what is wanted, what came of it, where it was seen; owns no decision about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from rtloop.model.status import UnitStatus

MOST_PULSES = 1_000_000  # of a train as a value; what a unit can give is far less, and its own rules say so


class Purpose(StrEnum):
    """Why a pulse is given; each purpose has its own caps."""

    PREVIEW = "preview"
    MAPPING = "mapping"
    PROBE = "probe"
    CONTROL = "control"
    TREATMENT = "treatment"  # its pulses have a day and a course; all others share the caps of single pulses


class Delivery(StrEnum):
    """The three outcomes of a fire command at the line. UNCERTAIN counts as delivered."""

    DELIVERED = "delivered"
    NOT_DELIVERED = "not_delivered"
    UNCERTAIN = "uncertain"


class Outcome(StrEnum):
    """The four outcomes at the gate."""

    FIRED = "fired"
    MISSED = "missed"  # its deadline had passed: never late
    REFUSED = "refused"  # a rule said no: nothing was sent
    UNCERTAIN = "uncertain"  # counts as delivered and trips


class Source(StrEnum):
    """Where the instant of a pulse comes from, best first (``rank`` 0 is best)."""

    TRIGGER = "trigger"
    ARTIFACT = "artifact"
    MARKER = "marker"
    HOST = "host"

    @property
    def rank(self) -> int:
        return list(Source).index(self)


def finite(value: object) -> float:
    """A number's value; NaN, which every comparison refuses, for all else (also for True and for what no float holds)."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if number else math.nan  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Train:
    """A train that one fire command starts: ``n_pulses`` (2 to a million) at ``frequency_hz``, a whole number of tenths.

    ``duration_s`` is what a Rapid² counts as its length: pulses over frequency. The last pulse comes one period before its end.
    ValueError with everything that is wrong, types included.
    """

    frequency_hz: float
    n_pulses: int

    def __post_init__(self) -> None:
        wrong = []
        tenths = 10 * finite(self.frequency_hz)
        if not (tenths > 0 and abs(tenths - round(tenths)) < 1e-6):
            wrong.append(
                f"a train's frequency is a positive whole number of 0.1 Hz, not {self.frequency_hz!r}"
            )
        if not (type(self.n_pulses) is int and 2 <= self.n_pulses <= MOST_PULSES):
            wrong.append(f"a train has a whole number of 2 to {MOST_PULSES} pulses, not {self.n_pulses!r}")
        if wrong:
            raise ValueError("; ".join(wrong))

    @property
    def duration_s(self) -> float:
        """Pulses over frequency, s."""
        return self.n_pulses / self.frequency_hz

    @property
    def last_pulse_after_s(self) -> float:
        """From the first pulse to the last, s."""
        return (self.n_pulses - 1) / self.frequency_hz


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two discharges of a BiStim² for one fire command: the first at the pulse's own power, then ``power_b_pct_mso``.

    ``interval_ms``: 0 is simultaneous discharge; else 1 to 999 in whole ms, or below 100 in tenths (high resolution).
    ValueError with everything that is wrong, types included.
    """

    power_b_pct_mso: int
    interval_ms: float

    def __post_init__(self) -> None:
        wrong = []
        if not (type(self.power_b_pct_mso) is int and 0 <= self.power_b_pct_mso <= 100):
            wrong.append(f"power B is a whole number of 0 to 100 % MSO, not {self.power_b_pct_mso!r}")
        tenths = 10 * finite(self.interval_ms)
        if not (
            0 <= tenths <= 9990
            and abs(tenths - round(tenths)) < 1e-6
            and (tenths < 1000 or round(tenths) % 10 == 0)
        ):
            wrong.append(f"an interval is 0 to 999 ms, in tenths below 100 ms, not {self.interval_ms!r}")
        if wrong:
            raise ValueError("; ".join(wrong))

    @property
    def high_resolution(self) -> bool:
        """Whether the interval needs the unit's resolution of 0.1 ms."""
        return round(self.interval_ms * 10) % 10 != 0


def pulses_of(train: Train | None, pair: Pair | None) -> int:
    """How many pulses one fire command gives: what the dose is charged."""
    return train.n_pulses if train is not None else 2 if pair is not None else 1


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """A pulse (or train, or pair) that the plan wants: not yet permitted, not yet fired."""

    pulse_id: int  # counts up within a run
    target: str
    purpose: Purpose
    power_pct_mso: int
    power_pct_rmt: float | None  # None where no threshold is bound (bench, simulated scenes)
    due_s: float
    deadline_s: float  # later than this it is missed
    train: Train | None = None
    pair: Pair | None = None

    @property
    def n_pulses(self) -> int:
        """How many pulses one fire command gives: what the dose is charged."""
        return pulses_of(self.train, self.pair)

    def __post_init__(self) -> None:
        if self.train is not None and self.pair is not None:
            raise ValueError(f"pulse {self.pulse_id}: a train or a pair, not both")
        if not (math.isfinite(self.due_s) and math.isfinite(self.deadline_s)):
            raise ValueError(f"pulse {self.pulse_id}: due and deadline must be finite")
        if self.deadline_s < self.due_s:
            raise ValueError(f"pulse {self.pulse_id}: deadline before due")


@dataclass(frozen=True, kw_only=True)
class FireReceipt:
    """What the driver knows after a fire command.

    ``pulses_min`` and ``pulses_max`` bound how many pulses were given, where the command starts more than one: a train that
    was cut short, or whose outcome is not known. None: as ``delivery`` says, all or none.
    """

    delivery: Delivery
    t_sent_s: float | None  # last byte handed to the line; None when nothing was sent
    t_reply_s: float | None
    status: UnitStatus | None
    reason: str = ""
    pulses_min: int | None = None
    pulses_max: int | None = None


@dataclass(frozen=True, kw_only=True)
class PulseSeen:
    """A pulse found in the stream. ``sample`` is the EEG instant (index of the first affected sample)."""

    sample: int
    source: Source
    t_s: float  # the same instant on the LSL clock, by the clock map
    checked_by: Source | None = None
    disagreement_samples: float | None = None  # of the checking source, signed (its instant minus ours)
    alarm: str = ""  # words, when the disagreement is larger than the sources allow
    sources: tuple[Source, ...] = ()  # every source that told of it in time, best first; empty: the two above
    absent: tuple[Source, ...] = ()  # trigger or artifact: looked for, and did not show this pulse

    @property
    def told_by(self) -> tuple[Source, ...]:
        """Every source that told of it, best first."""
        return self.sources or tuple(x for x in (self.source, self.checked_by) if x is not None)
