"""Owns the values of one pulse: what is wanted, what came of it, where it was seen; owns no decision about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from rtloop.model.status import UnitStatus


class Purpose(StrEnum):
    """Why a pulse is given; each purpose has its own caps."""

    PREVIEW = "preview"
    MAPPING = "mapping"
    PROBE = "probe"
    CONTROL = "control"


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


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """A pulse that the plan wants: not yet permitted, not yet fired."""

    pulse_id: int  # counts up within a run
    target: str
    purpose: Purpose
    power_pct_mso: int
    power_pct_rmt: float | None  # None where no threshold is bound (bench, simulated scenes)
    due_s: float
    deadline_s: float  # later than this it is missed

    def __post_init__(self) -> None:
        if not (math.isfinite(self.due_s) and math.isfinite(self.deadline_s)):
            raise ValueError(f"pulse {self.pulse_id}: due and deadline must be finite")
        if self.deadline_s < self.due_s:
            raise ValueError(f"pulse {self.pulse_id}: deadline before due")


@dataclass(frozen=True, kw_only=True)
class FireReceipt:
    """What the driver knows after a fire command."""

    delivery: Delivery
    t_sent_s: float | None  # last byte handed to the line; None when nothing was sent
    t_reply_s: float | None
    status: UnitStatus | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class PulseSeen:
    """A pulse found in the stream. ``sample`` is the EEG instant (index of the first affected sample)."""

    sample: int
    source: Source
    t_s: float  # the same instant on the LSL clock, by the clock map
    checked_by: Source | None = None
    disagreement_samples: float | None = None  # of the checking source, signed (its instant minus ours)
    alarm: str = ""  # words, when the disagreement is larger than the sources allow
