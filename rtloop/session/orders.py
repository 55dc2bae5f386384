"""Owns the messages that reach the engine and the orders that leave it; owns no progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from rtloop.model.pulse import Outcome, Pulse
from rtloop.model.status import Lamp
from rtloop.plan.expand import Preview, Step


@dataclass(frozen=True, kw_only=True)
class Said:
    """The operator's word, with its arguments."""

    word: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Closed:
    """A pulse left the gate."""

    pulse: Pulse
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A trial was judged (or lost: then ``accepted`` is False); -1: one that counted was cleaned again and counts no more."""

    target: str
    block: str
    accepted: int


@dataclass(frozen=True, kw_only=True)
class Failed:
    """An order could not be carried out; it is tried again only after the operator was asked."""

    words: str


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """What the map asks for next; no steps: nothing more."""

    steps: tuple[Step, ...]


Message: TypeAlias = Said | Closed | Judged | Failed | Proposed


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the engine must know of the world each time."""

    lamp: Lamp
    power_pct_mso: int | None  # as the unit reads back
    outstanding: int  # pulses fired whose trial is not judged yet
    ready: bool = True  # the unit's own word; False while it recharges


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Show the operator what to do and the words that are understood."""

    phase: str
    target: str
    words: str
    options: tuple[str, ...]
    block: str = ""  # of the step that is asked about
    power_pct_mso: int | None = None  # that arming is asked for


@dataclass(frozen=True, kw_only=True)
class Enter:
    """A phase without a question begins."""

    phase: str
    target: str
    block: str


@dataclass(frozen=True, kw_only=True)
class Power:
    power_pct_mso: int


@dataclass(frozen=True, kw_only=True)
class Announce:
    due_s: float


@dataclass(frozen=True, kw_only=True)
class Give:
    pulse: Pulse
    block: str


@dataclass(frozen=True, kw_only=True)
class Disarm:
    reason: str


@dataclass(frozen=True, kw_only=True)
class Restart:
    """Averages and scores of a block begin anew (site, angle or intensity changed)."""

    target: str
    block: str


@dataclass(frozen=True, kw_only=True)
class Note:
    """Words for the operator and the record."""

    words: str


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A step of the preview is over, its last trial judged: what it showed is to be told."""

    step: Preview


@dataclass(frozen=True, kw_only=True)
class AcceptTarget:
    target: str


@dataclass(frozen=True, kw_only=True)
class Propose:
    """All steps are over: ask the mapping's course for the next; ``left_out`` is a target whose proposed visit was skipped."""

    left_out: str = ""


@dataclass(frozen=True, kw_only=True)
class Finish:
    reason: str
    complete: bool


Order: TypeAlias = (
    Ask | Enter | Power | Announce | Give | Disarm | Restart | Note | Looked | AcceptTarget | Propose | Finish
)
