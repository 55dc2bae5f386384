"""Owns what every loop does about faults and pulses, of a plan or of a script; owns no pace and no order of its own.

Look out, tell the interlock, give through the gate, match what is seen, tell the accounts. Every result is an event.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rtloop.clock import Clock
from rtloop.model.pulse import Outcome, Pulse, PulseSeen, Source
from rtloop.model.status import Fault
from rtloop.ports import SampleSource
from rtloop.record import kinds
from rtloop.safety.gate import Gate, GateResult
from rtloop.safety.interlock import Interlock
from rtloop.session.accounts import Account, seen_dict
from rtloop.session.arming import Arming, Emit
from rtloop.session.bulletin import Bulletin
from rtloop.session.ends import Ends
from rtloop.session.tally import News, Tally, uncommanded_words
from rtloop.session.vigil import Vigil

_GIVEN = (Outcome.FIRED, Outcome.UNCERTAIN)


class Watching:
    """What a loop does in each pass before anything else. Every method: the loop's thread only.

    Parameters
    ----------
    told : called with what the accounts told, after it was journalled and before what follows from it
    locked : why the participant is locked after an emergency; empty when not
    participant : whose lock that is
    detailed : the detail of a fault that the vigil found, as it is told
    """

    def __init__(
        self, *, clock: Clock, ends: Ends, interlock: Interlock, vigil: Vigil, tally: Tally, emit: Emit,
        told: Callable[[News], None], locked: Callable[[], str], participant: Callable[[], str],
        detailed: Callable[[Fault, str], str] = lambda fault, detail: detail,
    ) -> None:  # fmt: skip
        self._clock, self._ends, self._interlock, self._vigil = clock, ends, interlock, vigil
        self._tally, self._emit, self._told, self._participant = tally, emit, told, participant
        self._detailed = detailed
        self._bulletin = Bulletin(interlock, ends.board)
        self.announced = self._bulletin.announced
        self.arming = Arming(
            interlock=interlock, gate=ends.gate, vigil=vigil, loopback=tally.loopback, emit=emit,
            tell=self.tell_interlock, alive=self.alive, locked=locked,
        )  # fmt: skip

    def look(self, now_s: float, *, accounts: bool = True) -> None:
        """Stream, unit, processes, lock, trains; ``accounts``: also the pulses that are missing in the stream by now."""
        raised, cleared = self._vigil.look(now_s, self._interlock.lamp)
        for fault, detail in raised:
            self.fault(fault, self._detailed(fault, detail))
        for fault in cleared:
            self._interlock.cleared(fault, now_s)
        self.look_for_lock(now_s)
        train = self._tally.accounts.unbounded
        n_seen = 0 if train is None else len(train.sightings)
        over = None if self._ends.gate is None else self._ends.gate.train_over(n_seen)
        for news in () if over is None else self._tally.train_over(over):
            self.tell(news)
        if accounts:
            self.account(now_s)
        self.tell_interlock()
        for kind, data in self._bulletin.standing(now_s, self._vigil.health, self._vigil.standing):
            self._emit(kind, **data)

    def look_for_lock(self, now_s: float = math.inf) -> None:
        """A lock that somebody set meanwhile ends the giving of pulses as STOP does."""
        words = self.arming.newly_locked(now_s, self._participant())
        if words and self._ends.gate is not None:
            self.fault(Fault.STOP, words)

    def account(self, now_s: float) -> None:
        """Pulses that are missing by now, and records that can be closed."""
        for news in self._tally.look(now_s):
            self.tell(news)

    def alive(self) -> None:
        """Bounded work or a bounded wait is under way: the loop is not frozen, and nothing can be fired meanwhile."""
        self._ends.board.beat("engine")
        self._vigil.waited(self._clock.now_s())

    def fault(self, fault: Fault, detail: str) -> None:
        """Do what the fault table says: disarm first, tell afterwards."""
        if self._ends.gate is not None:
            self._ends.gate.fault(fault, detail)
            self.alive()
        else:
            self._interlock.fault(fault, self._clock.now_s(), detail)
        self.tell_interlock()

    def passed(self) -> None:
        """SAFE -> READY: everything that is expected was found in order."""
        self._interlock.preflight_ok()
        self.tell_interlock("preflight passed")

    def tell(self, news: News) -> None:
        """Write what the accounts say, and do what follows from it."""
        self._emit(news.kind, **news.data)
        self._told(news)
        if news.fault is not None:
            self.fault(*news.fault)

    def tell_interlock(self, words: str = "") -> None:
        """Make events of what changed in the interlock since the last time."""
        for kind, data in self._bulletin.interlock(words):
            self._emit(kind, **data)

    def give(
        self, gate: Gate, pulse: Pulse, block: str, shows_in: SampleSource | None
    ) -> tuple[GateResult, float | None]:
        """Through the gate, once; journalled whatever comes of it. Also when it was sent, s; None: it was certainly not given.

        ``shows_in``: the stream that will show it, if any does.
        """
        self._tally.blocks[pulse.pulse_id] = block
        from_s = self._clock.now_s()
        permit = gate.permit(pulse, from_s)
        result = (
            GateResult(outcome=Outcome.REFUSED, refusals=permit)
            if isinstance(permit, tuple)
            else gate.fire(pulse, permit)
        )
        self.alive()
        sent_s = None if result.receipt is None else result.receipt.t_sent_s
        if result.outcome is Outcome.UNCERTAIN and sent_s is None:
            sent_s = self._clock.now_s()  # it may have gone out until now
        given_s = sent_s if result.outcome in _GIVEN else None
        if given_s is not None and shows_in is not None:
            shows_in.expect_pulse(given_s)
        for news in self._tally.closed(
            pulse, result, sent_s, None if isinstance(permit, tuple) else permit.permit_id, from_s
        ):
            self.tell(news)
        return result, given_s

    def saw(self, seen: PulseSeen, taken: Callable[[Account], int | None]) -> None:
        """A pulse in the stream: matched, told, and a fault where nobody commanded it.

        ``taken`` takes it and returns the number of its command, or of one that is welcome without; None: nobody's.
        """
        row, fault = self._tally.accounts.saw(seen)
        if seen.source is Source.HOST:
            return  # only our own fire time: nothing was observed, and ``overdue`` will say so
        number = taken(row)
        if number is None:
            dose = {} if self._ends.gate is None else self._ends.gate.uncommanded(seen.sample)
            self._emit(kinds.PULSE_UNCOMMANDED, pulse_id=-1 - seen.sample, **dose, **seen_dict(seen))
        else:
            delay_s = None if row.t_sent_s is None else seen.t_s - row.t_sent_s
            self._emit(kinds.PULSE_SEEN, pulse_id=number, after_command_s=delay_s, **seen_dict(seen))
            for news in self._tally.saw(row, seen):
                self.tell(news)
            if lacks := self._tally.mismatch(row, seen):
                self.fault(Fault.PULSE_NOT_SEEN, lacks)
        if fault is not None:
            self.fault(fault, uncommanded_words(seen))
