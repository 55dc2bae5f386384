"""Owns what is told of the accounts: closed records, pulses that are missing, a moved delay; owns no match and no fault table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rtloop.model.pulse import Outcome, Pulse, PulseSeen, Source
from rtloop.model.status import Fault
from rtloop.record import kinds
from rtloop.safety.gate import GateResult
from rtloop.session.accounts import Account, Accounts, accounted_dict, closed_dict, lacking
from rtloop.session.loopback import Loopback


@dataclass(frozen=True, kw_only=True)
class News:
    """One event to be written, and what follows from it: a fault with its detail, a pulse that is settled without a trial."""

    kind: str
    data: dict[str, Any]
    fault: tuple[Fault, str] | None = None
    settles: Pulse | None = None


@dataclass(kw_only=True)
class Tally:
    """The accounts of one session and its loopback delay. Every method returns what must be told; nothing is told twice.

    ``blind``: why no stream can show these pulses; empty where one does.
    """

    accounts: Accounts
    loopback: Loopback = field(default_factory=Loopback)
    blocks: dict[int, str] = field(default_factory=dict)  # pulse_id -> block
    blind: str = ""

    def closed(
        self, pulse: Pulse, result: GateResult, sent_s: float | None, permit_id: int | None = None,
        from_s: float | None = None,
    ) -> tuple[News, ...]:  # fmt: skip
        """A pulse left the gate, or was never let in. A train that was acknowledged is under way: it is closed when over."""
        row = self.accounts.closed(
            pulse, result.outcome, sent_s, result.receipt, permit_id, closing=result.closing, from_s=from_s
        )
        data = closed_dict(pulse, self.blocks[pulse.pulse_id], result, sent_s)
        if result.outcome is Outcome.FIRED and result.closing is None:
            return (News(kind=kinds.TRAIN_STARTED, data={k: v for k, v in data.items() if k != "delivery"}),)
        news = News(kind=kinds.PULSE_CLOSED if result.closing else kinds.PULSE_REFUSED, data=data)
        return (news, *self._nothing_to_see(row))

    def train_over(self, result: GateResult) -> tuple[News, ...]:
        """The gate closed the train that was under way: its bounds."""
        row = self.accounts.unbounded
        if row is None or row.pulse is None:
            return ()
        fault = self.accounts.train_ended(result.receipt, result.closing)
        data = closed_dict(row.pulse, self.blocks[row.pulse.pulse_id], result, row.t_sent_s)
        data |= {"t_reply_s": row.t_reply_s, "delivered_min": row.least, "delivered_max": row.most}
        words = f"{len(row.sightings)} seen, more than the unit says that it gave"
        if fault is not None:
            row.against.append(words)
            words = f"pulse {row.pulse.pulse_id}: {words}"
        news = News(kind=kinds.PULSE_CLOSED, data=data, fault=None if fault is None else (fault, words))
        return (news, *self._nothing_to_see(row))

    def _nothing_to_see(self, row: Account) -> tuple[News, ...]:
        """The record of a pulse that was not given, or that no stream can show, is closed at once."""
        assert row.pulse is not None
        news = []
        if row.most > 0:
            if not self.blind:
                return ()
            news = [News(kind=kinds.PULSE_NOT_SEEN, data=_not_seen(row, self.blind))]
        return (*news, *map(self._accounted, self.accounts.close([row])))

    def _accounted(self, row: Account) -> News:
        assert row.pulse is not None
        data = accounted_dict(row, self.blocks[row.pulse.pulse_id])
        single = max(row.pulse.n_pulses, row.most) == 1  # it settles with its trial
        return News(kind=kinds.PULSE_ACCOUNTED, data=data, settles=None if single else row.pulse)

    def saw(self, row: Account, seen: PulseSeen) -> Iterator[News]:
        """A commanded pulse was seen: what its delay says (of a train its first pulse)."""
        if row.seen is not seen or not self.loopback.took(seen, row.t_sent_s):
            return
        words = self.loopback.words
        row.against += [w for w in (self.loopback.single,) if w]
        fault = (Fault.LATENCY_OFF, words) if words else None
        yield News(kind=kinds.LATENCY_MEASURED, data=self.loopback.numbers(), fault=fault)

    def mismatch(self, row: Account, seen: PulseSeen) -> str:
        """What trigger or artifact should have shown of a commanded pulse and did not; told once of each command.

        The coil of a control block is a sham, or lies on the shoulder: no artifact is wanted of it.
        """
        if row.pulse is None or row.pulse.pulse_id not in self.blocks:
            return ""
        number = row.pulse.pulse_id
        words = lacking(seen, artifact=self.blocks[number] != "control")
        if not words or words in row.against:
            return ""
        row.against.append(words)
        return f"pulse {number}: {words}"

    def look(self, now_s: float) -> Iterator[News]:
        """Pulses that are missing by now, and records that can be closed."""
        for row in self.accounts.overdue(now_s):
            assert row.pulse is not None
            number, n = row.pulse.pulse_id, len(row.sightings)
            detail = f"pulse {number} was acknowledged and is not in the stream"
            if row.pulse.n_pulses > 1:
                detail = f"pulse {number}: {n} of at least {row.expected_seen} were seen in the stream"
            yield News(
                kind=kinds.PULSE_NOT_SEEN, data=_not_seen(row, detail), fault=(Fault.PULSE_NOT_SEEN, detail),
                settles=row.pulse,
            )  # fmt: skip
        yield from map(self._accounted, self.accounts.settled(now_s))

    def ended(self) -> Iterator[News]:
        """The session is over: the records that are still open, and the delay of the session where one can be known."""
        yield from map(self._accounted, self.accounts.cut_off())
        if not self.blind:
            yield News(kind=kinds.LATENCY_MEASURED, data=self.loopback.numbers())


def _not_seen(row: Account, words: str) -> dict[str, Any]:
    assert row.pulse is not None
    return {
        "pulse_id": row.pulse.pulse_id, "seen": len(row.sightings), "expected": row.expected_seen, "words": words,
    }  # fmt: skip


def uncommanded_words(seen: PulseSeen) -> str:
    """A pulse that nobody commanded, for its fault."""
    switched = (
        ", or every channel jumped at once (amplifier switched?)" if seen.source is Source.ARTIFACT else ""
    )
    return f"a pulse at sample {seen.sample} was found ({seen.source.value}) that nobody commanded{switched}"
