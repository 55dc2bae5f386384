"""Owns the bookkeeping of each pulse: commanded, permitted, sent, acknowledged, seen; owns no dose (that is the ledger)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rtloop.model.pulse import Delivery, FireReceipt, Outcome, Pulse, PulseSeen, Source
from rtloop.model.status import Fault
from rtloop.safety.gate import GateResult

#: a seen pulse belongs to a command when it lies this far from the instant the command was sent
EARLIEST_S = -0.010
LATEST_S = 0.400
#: a delivered pulse not found in the stream after this long is missing
NOT_SEEN_AFTER_S = 0.8
#: a train's bounds are waited for so long after its planned end (the driver promises them within 1 s)
BOUNDS_WITHIN_S = 1.5
#: the two pulses of a pair closer than this may show as one
PAIR_APART_MS = 30.0
#: pulses that a command gave beyond its permit follow one another within this: then they are its own
NEXT_WITHIN_S = 1.0
#: sources that show a pulse; the host's own fire time shows none
SHOWING = (Source.TRIGGER, Source.ARTIFACT, Source.MARKER)
#: commands that are looked back at when a pulse is seen
_NEWEST = 8
_GIVEN = (Outcome.FIRED, Outcome.UNCERTAIN)


@dataclass(kw_only=True)
class Account:
    """One pulse (or train, or pair) through its life. ``least`` and ``most``: how many the unit may have given."""

    pulse: Pulse | None  # None: seen, never commanded
    outcome: Outcome | None = None
    t_sent_s: float | None = None
    t_from_s: float | None = None  # before ``t_sent_s`` where that is only the latest that it can have been
    t_reply_s: float | None = None
    permit_id: int | None = None  # None: never permitted
    sent: bool | None = False  # None: not known, the line failed meanwhile
    against: list[str] = field(default_factory=list)  # what else contradicts, in words
    sightings: list[PulseSeen] = field(default_factory=list)
    least: int = 0
    most: int = 0
    bounded: bool = True  # False: a train whose bounds are still to come
    missing: bool = False
    told: bool = False  # its record is closed

    @property
    def seen(self) -> PulseSeen | None:
        """The first sighting."""
        return self.sightings[0] if self.sightings else None

    @property
    def beyond(self) -> bool:
        """Whether it may have given more than was permitted: somebody had set the unit to a train, or to another one."""
        return self.pulse is not None and max(self.most, len(self.sightings)) > self.pulse.n_pulses

    @property
    def lasts_s(self) -> float:
        """From the first pulse to the last, as commanded; of one that gave more, until no more of it can be expected."""
        pulse = self.pulse
        if pulse is None:
            return 0.0
        pair_s = 0.0 if pulse.pair is None else pulse.pair.interval_ms * 1e-3
        planned_s = pair_s if pulse.train is None else pulse.train.last_pulse_after_s
        if self.t_sent_s is None or not (self.beyond and self.sightings):
            return planned_s
        return max(planned_s, self.sightings[-1].t_s - self.t_sent_s + NEXT_WITHIN_S)

    @property
    def delivered(self) -> tuple[int, int]:
        """Least and most pulses that were given, with what the stream shows: a sighting is a delivery."""
        return max(self.least, min(len(self.sightings), self.most)), self.most

    @property
    def expected_seen(self) -> int:
        """As many must be seen, at least one of whatever may have been given."""
        pair = None if self.pulse is None else self.pulse.pair
        as_one = pair is not None and pair.interval_ms < PAIR_APART_MS
        return min(self.most, 1 if as_one else max(1, self.least))

    def told_by(self, source: Source) -> int:
        """How many of the sightings this source told of."""
        return sum(source in seen.told_by for seen in self.sightings)

    def due(self, now_s: float) -> bool:
        """Whether all that can be seen of it has been, and its bounds are known or will not come."""
        if self.t_sent_s is None:
            return False
        since_s = now_s - self.t_sent_s - self.lasts_s
        return since_s > (NOT_SEEN_AFTER_S if self.bounded else BOUNDS_WITHIN_S)


@dataclass(kw_only=True)
class Accounts:
    """Matches what was commanded with what was seen. ``listening``: nobody commands, every pulse is welcome."""

    listening: bool = False
    rows: list[Account] = field(default_factory=list)
    _open: list[Account] = field(default_factory=list)  # sent, not closed yet

    def closed(
        self, pulse: Pulse, outcome: Outcome, t_sent_s: float | None, receipt: FireReceipt | None = None,
        permit_id: int | None = None, *, closing: Mapping[str, Any] | None = None, from_s: float | None = None,
    ) -> Account:  # fmt: skip
        """A command ended with ``outcome``; ``t_sent_s`` is None when nothing was sent, ``permit_id`` when none was given.

        ``closing``: what the ledger says of it; ``from_s``: nothing was sent before. A train is acknowledged before it is
        given: its own bounds come with ``train_ended``.
        """
        row = Account(pulse=pulse, outcome=outcome, t_sent_s=t_sent_s, permit_id=permit_id)
        row.sent = t_sent_s is not None
        if outcome is Outcome.UNCERTAIN and receipt is not None and receipt.t_sent_s is None:
            row.sent, row.t_from_s = None, from_s  # ``t_sent_s`` is then the latest that it can have been
        if outcome in _GIVEN:
            row.most, row.least = pulse.n_pulses, pulse.n_pulses if outcome is Outcome.FIRED else 0
            row.bounded = pulse.train is None
            if receipt is not None:
                row.t_reply_s = receipt.t_reply_s
            _bound(row, receipt, closing)
            if t_sent_s is not None:
                self._open.append(row)
        self.rows.append(row)
        return row

    @property
    def unbounded(self) -> Account | None:
        """The train whose bounds are still to come, if any."""
        return next((row for row in reversed(self._open) if not row.bounded), None)

    def train_ended(
        self, receipt: FireReceipt | None, closing: Mapping[str, Any] | None = None
    ) -> Fault | None:
        """The bounds of the train that was under way. The fault is set when more was seen than the unit can have given.

        What was seen beyond the train was a fault when it was seen.
        """
        row = self.unbounded
        if row is None or row.pulse is None:
            return None
        row.bounded = True
        _bound(row, receipt, closing)
        most = row.most if receipt is None or receipt.pulses_max is None else receipt.pulses_max
        return Fault.PULSE_UNCOMMANDED if min(len(row.sightings), row.pulse.n_pulses) > most else None

    def saw(self, seen: PulseSeen) -> tuple[Account, Fault | None]:
        """Match a pulse found in the stream. The fault is set when nobody commanded it: no command near, one that sent
        nothing, or one whose pulses have all been seen. Until a train's bounds are known it is that train's all the same:
        they will not lie below what was seen of it.
        """
        commanded = [row for row in self.rows[-64:] if row.pulse is not None and row.outcome in _GIVEN]
        for row in reversed(commanded[-_NEWEST:]):
            one_more = len(row.sightings) >= row.most
            if row.t_sent_s is None or (one_more and row.bounded):
                continue
            from_s = row.t_sent_s if row.t_from_s is None else row.t_from_s
            if from_s + EARLIEST_S <= seen.t_s <= row.t_sent_s + LATEST_S + row.lasts_s:
                if seen.source is not Source.HOST:
                    row.sightings.append(seen)
                    if row.told:  # its record was closed without this one: it is closed again
                        row.told = False
                        self._open.append(row)
                    row.missing = row.missing and len(row.sightings) < row.expected_seen
                    return row, Fault.PULSE_UNCOMMANDED if one_more else None
                return row, None
        nobodys = Account(pulse=None, sightings=[seen])
        if seen.source is Source.HOST:  # only our own fire time: not an observation
            return nobodys, None
        self.rows.append(nobodys)
        return nobodys, None if self.listening else Fault.PULSE_UNCOMMANDED

    def overdue(self, now_s: float) -> list[Account]:
        """Delivered (or uncertain) pulses that the stream does not show; each is reported once."""
        out = []
        for row in self._open:
            if row.due(now_s) and not row.missing and len(row.sightings) < row.expected_seen:
                row.missing = True
                out.append(row)
        return out

    def settled(self, now_s: float) -> list[Account]:
        """Records that can be closed now, each once: everything was seen, or nothing more will be."""
        return self.close(
            [
                row
                for row in self._open
                if row.due(now_s) or (row.bounded and 0 < row.most <= len(row.sightings))
            ]
        )

    def cut_off(self) -> list[Account]:
        """The records that the session's end leaves open, closed."""
        for row in self._open:
            row.against.append("the session ended before all of it could be seen")
        return self.close(list(self._open))

    def close(self, rows: list[Account]) -> list[Account]:
        """These records are told now; one of them that is seen later is closed again."""
        for row in rows:
            row.told = True
        if rows:
            self._open = [row for row in self._open if not row.told]
        return rows

    def counts(self) -> Mapping[str, int]:
        """How many were commanded, fired, seen, uncertain, missing, uncommanded."""
        commanded = [r for r in self.rows if r.pulse is not None]
        return {
            "commanded": len(commanded),
            "fired": sum(r.outcome is Outcome.FIRED for r in commanded),
            "uncertain": sum(r.outcome is Outcome.UNCERTAIN for r in commanded),
            "missed": sum(r.outcome is Outcome.MISSED for r in commanded),
            "refused": sum(r.outcome is Outcome.REFUSED for r in commanded),
            "seen": sum(len(r.sightings) for r in self.rows),
            "not_seen": sum(r.missing for r in commanded),
            "uncommanded": sum(r.pulse is None for r in self.rows),
        }


def _bound(row: Account, receipt: FireReceipt | None, closing: Mapping[str, Any] | None) -> None:
    """Take over the bounds that the ledger counts by, else those of the receipt; they may lie above what was commanded."""
    said = closing or {}
    low, high = said.get("delivered_min"), said.get("delivered_max")
    if high is None and receipt is not None:
        low, high = receipt.pulses_min, receipt.pulses_max
    if high is not None:
        row.most = high
        row.bounded = True
    if low is not None:
        row.least = min(low, row.most)


def lacking(seen: PulseSeen, *, artifact: bool = True) -> str:
    """What was looked for and did not show this pulse, in words; empty: nothing. ``artifact``: whether one is wanted."""
    by = ", ".join(source.value for source in seen.told_by if source is not Source.HOST)
    missing = {Source.TRIGGER: "no edge in the trigger channel", Source.ARTIFACT: "no artifact in the EEG"}
    words = [missing[s] for s in seen.absent if artifact or s is not Source.ARTIFACT]
    return f"seen by {by}, {' and '.join(words)}" if words else ""


def seen_dict(seen: PulseSeen) -> dict[str, Any]:
    """A seen pulse as JSON values."""
    return {
        "sample": seen.sample,
        "source": seen.source.value,
        "t_seen_s": seen.t_s,
        "checked_by": None if seen.checked_by is None else seen.checked_by.value,
        "sources": [source.value for source in seen.told_by],
        "disagreement_samples": seen.disagreement_samples,
        "alarm": seen.alarm,
        "absent": [source.value for source in seen.absent],
    }


def closed_dict(pulse: Pulse, block: str, result: GateResult, sent_s: float | None) -> dict[str, Any]:
    """A pulse that left the gate as JSON values; ``sent_s`` is None when nothing was sent."""
    receipt = result.receipt
    closing = result.closing or {"pulse_id": pulse.pulse_id, "delivery": Delivery.NOT_DELIVERED.value}
    return {
        **closing, "outcome": result.outcome.value, "target": pulse.target, "block": block,
        "power_pct_mso": pulse.power_pct_mso, "n_pulses": pulse.n_pulses, "due_s": pulse.due_s, "t_sent_s": sent_s,
        "t_reply_s": None if receipt is None else receipt.t_reply_s, "reason": "" if receipt is None else receipt.reason,
        "refusals": [r.words() for r in result.refusals],
    }  # fmt: skip


def accounted_dict(row: Account, block: str) -> dict[str, Any]:
    """The closed record of a pulse, all stations in one, whatever became of it: JSON values. ``ok``: nothing contradicts."""
    pulse, outcome = row.pulse, row.outcome
    assert pulse is not None
    low, high = row.delivered
    n_seen = len(row.sightings)
    problems = [
        f"{n_seen} of at least {row.expected_seen} seen" if row.missing else "",
        f"{n_seen} seen, at most {row.most} can have been given" if n_seen > row.most else "",
        f"more than the {pulse.n_pulses} permitted may have been given" if row.beyond else "",
        *dict.fromkeys(seen.alarm for seen in row.sightings),
        *row.against,
    ]
    uncertain = outcome is Outcome.UNCERTAIN
    delivery = Delivery.UNCERTAIN if uncertain and low < 1 else Delivery.DELIVERED
    if outcome not in _GIVEN:
        words, delivery = f"not delivered: {outcome}", Delivery.NOT_DELIVERED
    elif low == high:
        words = f"delivered: {low}" + (", since it was seen" if uncertain else "")
    else:
        words = f"delivered: {low} to {high}, counted as {high}"
    first = row.seen
    return {
        "pulse_id": pulse.pulse_id, "permit_id": row.permit_id, "target": pulse.target, "block": block,
        "commanded": pulse.n_pulses, "permitted": row.permit_id is not None, "sent": row.sent,
        "acknowledged": outcome is Outcome.FIRED, "outcome": None if outcome is None else outcome.value,
        "delivery": delivery.value,
        "delivered_min": low, "delivered_max": high, "seen": n_seen,
        **{f"seen_{source.value}": row.told_by(source) for source in SHOWING},
        "loopback_s": None if first is None or row.t_sent_s is None else first.t_s - row.t_sent_s,
        "ok": not (row.missing or row.against or row.beyond) and n_seen <= row.most,
        "words": "; ".join([words, *filter(None, problems)]),
    }  # fmt: skip
