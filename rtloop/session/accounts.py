"""Owns the bookkeeping of each pulse: commanded, fired, acknowledged, seen; owns no dose (that is the ledger)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rtloop.model.pulse import Delivery, Outcome, Pulse, PulseSeen, Source
from rtloop.model.status import Fault
from rtloop.safety.gate import GateResult

#: a seen pulse belongs to a command when it lies this far from the instant the command was sent
EARLIEST_S = -0.010
LATEST_S = 0.400
#: a delivered pulse not found in the stream after this long is missing
NOT_SEEN_AFTER_S = 0.8


@dataclass(kw_only=True)
class Account:
    """One pulse through its life."""

    pulse: Pulse | None  # None: seen, never commanded
    outcome: Outcome | None = None
    t_sent_s: float | None = None
    seen: PulseSeen | None = None
    missing: bool = False


@dataclass(kw_only=True)
class Accounts:
    """Matches what was commanded with what was seen. ``listening``: nobody commands, every pulse is welcome."""

    listening: bool = False
    rows: list[Account] = field(default_factory=list)

    def closed(self, pulse: Pulse, outcome: Outcome, t_sent_s: float | None) -> None:
        """A command ended with ``outcome``; ``t_sent_s`` is None when nothing was sent."""
        self.rows.append(Account(pulse=pulse, outcome=outcome, t_sent_s=t_sent_s))

    def saw(self, seen: PulseSeen) -> tuple[Account, Fault | None]:
        """Match a pulse found in the stream. The fault is set when nobody commanded it."""
        for row in reversed(self.rows[-8:]):
            if (
                row.seen is None
                and row.t_sent_s is not None
                and EARLIEST_S <= seen.t_s - row.t_sent_s <= LATEST_S
            ):
                row.seen = seen
                row.missing = False
                return row, None
        row = Account(pulse=None, seen=seen)
        if seen.source is Source.HOST:  # only our own fire time: not an observation
            return row, None
        self.rows.append(row)
        return row, None if self.listening else Fault.PULSE_UNCOMMANDED

    def overdue(self, now_s: float) -> list[Account]:
        """Delivered (or uncertain) pulses that the stream does not show; each is reported once."""
        out = []
        for row in self.rows[-8:]:
            due = row.t_sent_s is not None and row.outcome in (Outcome.FIRED, Outcome.UNCERTAIN)
            unseen = row.seen is None or row.seen.source is Source.HOST
            if due and unseen and not row.missing and now_s - (row.t_sent_s or 0.0) > NOT_SEEN_AFTER_S:
                row.missing = True
                out.append(row)
        return out

    def counts(self) -> Mapping[str, int]:
        """How many were commanded, fired, seen, uncertain, missing, uncommanded."""
        commanded = [r for r in self.rows if r.pulse is not None]
        return {
            "commanded": len(commanded),
            "fired": sum(r.outcome is Outcome.FIRED for r in commanded),
            "uncertain": sum(r.outcome is Outcome.UNCERTAIN for r in commanded),
            "missed": sum(r.outcome is Outcome.MISSED for r in commanded),
            "refused": sum(r.outcome is Outcome.REFUSED for r in commanded),
            "seen": sum(r.seen is not None and r.seen.source is not Source.HOST for r in self.rows),
            "not_seen": sum(r.missing for r in commanded),
            "uncommanded": sum(r.pulse is None for r in self.rows),
        }


def seen_dict(seen: PulseSeen) -> dict[str, Any]:
    """A seen pulse as JSON values."""
    return {
        "sample": seen.sample,
        "source": seen.source.value,
        "t_seen_s": seen.t_s,
        "checked_by": None if seen.checked_by is None else seen.checked_by.value,
        "disagreement_samples": seen.disagreement_samples,
        "alarm": seen.alarm,
    }


def closed_dict(pulse: Pulse, block: str, result: GateResult, sent_s: float | None) -> dict[str, Any]:
    """A pulse that left the gate as JSON values; ``sent_s`` is None when nothing was sent."""
    receipt = result.receipt
    closing = result.closing or {"pulse_id": pulse.pulse_id, "delivery": Delivery.NOT_DELIVERED.value}
    return {
        **closing, "outcome": result.outcome.value, "target": pulse.target, "block": block,
        "power_pct_mso": pulse.power_pct_mso, "due_s": pulse.due_s, "t_sent_s": sent_s,
        "t_reply_s": None if receipt is None else receipt.t_reply_s, "reason": "" if receipt is None else receipt.reason,
        "refusals": [r.words() for r in result.refusals],
    }  # fmt: skip
