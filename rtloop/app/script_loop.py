"""Owns the loop of a script: it watches stream, unit and processes, serves the script at the gate and accounts for each pulse.

It owns neither the pace of the script nor its presence: the script's own thread shows that it lives, only while it calls.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
from collections.abc import Callable
from typing import Any

from rtloop.app.wiring import Bench
from rtloop.clock import Clock
from rtloop.errors import IntegrityProblem, RtloopError, SafetyStop
from rtloop.model.event import Event
from rtloop.model.pulse import Pulse
from rtloop.model.status import Fault
from rtloop.record import kinds
from rtloop.record.journal import Journal
from rtloop.safety.gate import Disarmed, Gate, GateResult
from rtloop.safety.interlock import Interlock
from rtloop.safety.ledger import PULSE_INTENDED
from rtloop.session.accounts import Account, Accounts
from rtloop.session.arming import Answer
from rtloop.session.ends import Ends
from rtloop.session.loopback import Band, Loopback
from rtloop.session.tally import News, Tally
from rtloop.session.vigil import Vigil
from rtloop.session.watching import Watching

TICK_S = 0.002
PRESENT_EVERY_S = 0.02
END_WITHIN_S = 3.0
#: the pulses given last may still be on their way through the stream when the script ends, or a train's end be unknown
SETTLE_S = 2.0
NO_EEG_WORDS = "no EEG is used in this script: the simulated stand-in cannot show a real unit's pulse"


class _Job:
    """One request of the script, done in the loop's thread; one that was given up is never begun."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work, self.done, self.given_up = work, threading.Event(), False
        self.value: Any = None
        self.error: BaseException | None = None


class ScriptLoop:
    """The engine of a script, in a thread of its own; ``ask`` is for the script's thread, all else for the loop's.

    Parameters
    ----------
    sees : whether the stream can show this unit's pulses (an amplifier is attached, or both are simulated)
    gate_of : makes the gate, given what makes an intent durable
    participant, locked : who it is; why that one is locked after an emergency, empty when not
    band : what the delay from command to EEG may be
    show : called with the kind and the data of each event, in either thread; must return at once
    """

    def __init__(
        self, *, bench: Bench, interlock: Interlock, vigil: Vigil, journal: Journal, clock: Clock, sees: bool,
        gate_of: Callable[[Callable[[dict[str, Any]], None]], Gate], show: Callable[[str, dict[str, Any]], None],
        participant: str, locked: Callable[[], str], band: Band,
    ) -> None:  # fmt: skip
        self._bench, self._interlock, self._vigil, self._journal = bench, interlock, vigil, journal
        self._clock, self._sees, self._show = clock, sees, show
        self.gate = gate_of(self._intended)
        self._tally = Tally(accounts=Accounts(), loopback=Loopback(band), blind="" if sees else NO_EEG_WORDS)
        self._watching = Watching(
            clock=clock, ends=Ends(source=bench.source, board=bench.board, gate=self.gate), interlock=interlock, vigil=vigil,
            tally=self._tally, emit=self.emit, told=self._told_of, locked=locked, participant=lambda: participant,
            detailed=self.detailed,
        )  # fmt: skip
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._told = threading.Event()
        self._outstanding: set[int] = set()  # given, and its record not closed yet
        self._train_end_s = -math.inf  # when the last train is over at the latest, by its own length
        self.closings: dict[int, dict[str, Any]] = {}  # pulse_id -> its closing record
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rtloop-script-loop")

    @staticmethod
    def detailed(fault: Fault, detail: str) -> str:
        """What was found of a fault, as it is told."""
        hint = ": the script made no call; it must wait with tms.wait(seconds), not sleep"
        return f"{detail}{hint}" if fault is Fault.OPERATOR_GONE else detail

    # -- the script's side -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch and to serve."""
        self._vigil.standing = {}  # whatever stands now is told at the first look
        self._thread.start()

    def present(self) -> None:
        """The script's own thread is here: the only sign of the operator's presence there is."""
        self._bench.board.beat("operator")

    def check(self) -> None:
        """SafetyStop when the loop has ended by a failure (the unit is then disarmed)."""
        if self.failure is not None or not self._thread.is_alive():
            raise SafetyStop(
                "the script's loop has ended, the unit is disarmed", found=repr(self.failure),
                todo="report the journal; start again with a note",
            ) from self.failure  # fmt: skip

    def ask(self, work: Callable[[], Any], within_s: float) -> Any:
        """Have ``work`` done in the loop's thread, showing presence meanwhile; its result or its error."""
        job, end_s = _Job(work), self._clock.now_s() + within_s
        self._jobs.put(job)
        try:
            while not job.done.wait(PRESENT_EVERY_S):
                self.present()
                self.check()
                if not self._clock.now_s() < end_s:
                    raise SafetyStop("the script's loop did not answer", expected=f"within {within_s:g} s")
        except BaseException:
            job.given_up = True
            raise
        self.present()
        if job.error is not None:
            raise job.error
        return job.value

    def settle(self) -> Disarmed:
        """Disarm at once, let the last pulses be seen, end the thread; every wait has a deadline. Nothing is given afterwards."""
        done = self.gate.disarm("the script ends")
        end_s = max(self._clock.now_s(), self._train_end_s) + SETTLE_S
        while self._outstanding and self.failure is None and self._clock.now_s() < end_s:
            self._clock.sleep_until(self._clock.now_s() + TICK_S)
        self._told.set()
        if self._thread.ident is not None:
            self._thread.join(END_WITHIN_S)
        if not self._thread.is_alive() and self.failure is None:
            for news in self._tally.ended():
                self.emit(news.kind, **news.data)
        return done

    def end(self, words: str, *, clean: bool, meanwhile: Callable[[], None] = lambda: None) -> None:
        """``settle``, do ``meanwhile``, then write the last record."""
        done = self.settle()
        board = self._bench.board
        if self._thread.is_alive() or self.failure is not None:
            words, clean = f"{words}; the loop failed: {self.failure!r}", False
        meanwhile()
        self.emit("disarmed", reason="the script ends", confirmed=done.confirmed, words=done.words)
        self.emit(
            kinds.SESSION_ENDED, sync=True, clean=clean, words=words, durable_sample=board["durable_sample"],
            durable_journal=board["durable_journal"],
        )  # fmt: skip

    def emit(self, kind: str, /, *, sync: bool = False, **data: Any) -> Event:
        """Journal an event, then show it."""
        event = self._journal.append(kind, data, sync=sync)
        self._show(kind, data)
        return event

    def _intended(self, charge: dict[str, Any]) -> None:
        self.emit(PULSE_INTENDED, sync=True, **charge)

    # -- the loop's side ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._told.is_set():
                self._pass()
                with contextlib.suppress(queue.Empty):
                    self._serve(self._jobs.get(timeout=TICK_S))
        except BaseException as err:
            self.failure = err
            why = Fault.JOURNAL_FAILED if isinstance(err, IntegrityProblem) else Fault.BUG
            self.gate.fault(why, f"{type(err).__name__}: {err}")  # disarms; needs no journal
        finally:
            if self.failure is None:
                with contextlib.suppress(RtloopError):
                    self._watching.tell_interlock()

    def _pass(self) -> None:
        now_s = self._clock.now_s()
        self._bench.board.beat("engine")
        self._watching.look(now_s, accounts=self._sees)
        found = self._bench.source.pulses(now_s)
        if not self._sees:
            return
        for t_s, value in self._bench.source.take_markers():
            self.emit("marker_received", t_marker_s=t_s, value=value)
        for seen in found:
            self._watching.saw(seen, _number)

    def _serve(self, job: _Job) -> None:
        if job.given_up:
            return
        try:
            job.value = job.work()
        except BaseException as err:  # the gate has disarmed; it is the script that must know
            job.error = err
        self._watching.alive()
        self._watching.tell_interlock()
        job.done.set()

    # -- what the script may ask for (in the loop's thread, by ``ask``) ------------------------------------------

    def active(self) -> dict[Fault, str]:
        """The faults that stand, in words."""
        return dict(self._interlock.active)

    def passed(self) -> None:
        """Everything needed was found in order: SAFE -> READY."""
        self._watching.passed()

    def arm_requested(self) -> Answer:
        """Step one; it also acknowledges the faults whose cause no longer stands."""
        return self._watching.arming.ask(self._clock.now_s())

    def arm_confirmed(self, said: str, by: str) -> Answer:
        """Step two, in words; then the unit is armed. Raises what the unit says when it does not get ready."""
        self.emit(kinds.COMMAND_RECEIVED, word="confirm", args=[said, f"by the {by}"])
        answer = self._watching.arming.confirm(self._clock.now_s())
        if answer.error is not None:
            raise answer.error
        return answer

    def fire(self, pulse: Pulse) -> GateResult:
        """Through the gate, once; journalled whatever comes of it."""
        shows_in = self._bench.source if self._sees else None
        self._outstanding.add(pulse.pulse_id)  # before what is told of it settles it
        result, given_s = self._watching.give(self.gate, pulse, "script", shows_in)
        if given_s is None:
            self._outstanding.discard(pulse.pulse_id)
        elif pulse.train is not None:
            self._train_end_s = given_s + pulse.train.duration_s
        return result

    def _told_of(self, news: News) -> None:
        number = int(news.data.get("pulse_id", 0))
        if news.kind == kinds.PULSE_CLOSED:
            self.closings[number] = news.data
        elif news.kind in (kinds.PULSE_NOT_SEEN, kinds.PULSE_ACCOUNTED):
            self._outstanding.discard(number)


def _number(row: Account) -> int | None:
    """Of the pulse that was commanded; None: nobody's."""
    return None if row.pulse is None else row.pulse.pulse_id
