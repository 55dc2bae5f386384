"""Owns the running of a treatment session: the machine is asked, its orders are done, what happened is told; owns no rule, no
pause (the machine's) and no way to a pulse but the unit's.

The thread that runs this shows the operator's presence (at a terminal; docs/decisions/0012): it hears the words and never blocks
but in what the unit is asked for. Whatever ends it, the unit is disarmed, and what was given is counted from the journal.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

from rtloop.app.treat_asked import Wanted
from rtloop.app.treat_checklist import AFTER, BEFORE, checklist
from rtloop.app.treat_given import Books
from rtloop.app.treat_questions import asked
from rtloop.app.treat_state import gating_of
from rtloop.app.treat_unit import READY_WITHIN_S, TreatTms
from rtloop.app.treat_words import Operator
from rtloop.clock import Clock
from rtloop.errors import NotReady, RtloopError, SafetyStop
from rtloop.model import course
from rtloop.model.course import Ended
from rtloop.model.status import Lamp
from rtloop.record import kinds
from rtloop.safety.locked import lock
from rtloop.session.operator import NOTE_MAX
from rtloop.session.orders import Said
from rtloop.treat.machine import WORDS, Machine, Pace
from rtloop.treat.orders import AskToArm, Begin, ConfirmArm, Disarm, Give, Order, Phase, SetUp
from rtloop.treat.told import adverse_event, sensation

TURN_S = 0.02
#: the unit is asked for its coil's temperature about every 4 s: a reading this long after a train is of after it
COIL_FRESH_S = 4.5
#: a train that nobody closed by then, after the gate's own deadline, may have been given
CLOSED_WITHIN_S = 2.0
#: a trip's reason is told this soon after it
WHY_WITHIN_S = 0.5
ALWAYS = ("note", "sensation", "adverse", "emergency", "inject")
ANSWERS = ("yes", "no", "none", "mild", "moderate", "severe", "back", "sign")


class StudySide(Protocol):
    """What the study asks of a session (rtloop.app.treat_visit.Visit)."""

    @property
    def held(self) -> bool: ...


class Runner:
    """One run. ``run`` it inside the session that holds ``tms``; then ``machine.end`` and ``books`` say what came of it.

    Parameters
    ----------
    operator : who answers
    study : asked before each train whether this computer still holds the participant; None outside of a study
    """

    def __init__(
        self, tms: TreatTms, want: Wanted, operator: Operator, books: Books, clock: Clock, *,
        study: StudySide | None = None, pace: Pace | None = None,
    ) -> None:  # fmt: skip
        limits, now_s = tms.setting.limits, clock.now_s()
        self.tms, self.want, self.operator, self.books, self._clock = tms, want, operator, books, clock
        self._study, self._say = study, tms.setting.say
        self._gating = gating_of(tms, want.plan, want.target)  # None: trains begin by the clock
        after_s = want.plan.trains.pause_s or 0.0
        self.machine = Machine(
            want.steps,
            pace or Pace(arm_timeout_s=limits.arm_timeout_s, coil_stop_c=limits.coil_stop_c),
            not_before_s=now_s + tms.setting.ledger.maybe_running_s + after_s if want.given else now_s,
            gated=self._gating is not None,
            calibrate=self._gating is not None,
        )
        self.lists = {BEFORE: checklist(BEFORE), AFTER: checklist(AFTER)}
        self._pulse: tuple[int, float] | None = None  # number and latest end of the train under way
        self._ended_s = -float("inf")  # of the last train
        self._coil_told = -1
        self._shown: tuple[object, ...] = ()
        self._paused, self._due_told = "", -1
        self._tripped, self._trip_s = "", float("inf")  # why, and since when
        self._offered, self._offered_s = -1, 0.0  # the train whose turn it is, since when
        tms.at_end, tms.last_words = self._at_end, self._last_words
        books.attend(tms.tell)

    def run(self) -> None:
        """Until the session is over. Raises what the machinery raises; the session around it disarms and counts."""
        self.operator.start(self.tms.stop)
        try:
            while self.machine.phase is not Phase.OVER:
                self.turn()
                self.tms.wait(TURN_S)
        except BaseException as err:
            self._failed(err)
            raise

    def turn(self) -> None:
        """Hear, ask the machine, do what it orders."""
        self.tms.present()
        now_s = self._clock.now_s()
        for kind, data in self.tms.news():
            self._happened(kind, data, now_s)
        for said in self.operator.heard(now_s):
            self.operator.answered(said, self.hear(said))
        self._train_over()
        self._read_coil(now_s)
        earliest_s = self.tms.earliest_s()  # no earlier than the instant at which it is asked
        now_s = self._clock.now_s()
        if self.tms.lamp is Lamp.TRIPPED:
            self._trip_s = min(self._trip_s, now_s)
            if not self._tripped and now_s < self._trip_s + WHY_WITHIN_S:
                return  # the loop is about to tell why; nothing can be given any more
            self.machine.ends(Ended.TRIPPED, self._tripped or "tripped", 5)
        order = self.machine.look(now_s, self.tms.lamp, earliest_s)
        self._tell_phase(now_s)
        if order is not None:
            self._do(order, now_s)
        if self._gating is not None:
            self._gating.turn(self.machine, now_s)

    # -- what is heard -------------------------------------------------------------------------------------------

    def hear(self, said: Said) -> str:
        """A word; why it was not taken, or "". What was said is journalled either way."""
        text = " ".join(said.args)
        why = self._taken(said.word, text)
        self.tms.tell(kinds.COMMAND_RECEIVED, word=said.word, args=[*said.args, f"by the {self.operator.by}"])
        if why:
            self._say(f"   {said.word}: {why}")
        return why

    def _taken(self, word: str, text: str) -> str:
        match word:
            case "halt":
                self.tms.stop()
                return self.machine.hear(word, text)
            case "emergency":
                self.tms.stop()
                self.machine.hear("halt", text)
                return self._lock(text or "no words were given")
            case "note":
                if not text.strip() or len(text) > NOTE_MAX:
                    return f"a note has 1 to {NOTE_MAX} characters"
                self.tms.tell(kinds.NOTE_WRITTEN, words=text, by="operator")
                return ""
            case "sensation" | "adverse":
                data, why = sensation(text) if word == "sensation" else adverse_event(text)
                if not why:
                    kind = course.SENSATION_TOLD if word == "sensation" else course.ADVERSE_EVENT_TOLD
                    self.tms.tell(kind, sync=True, **data, train=self._train_number(), by=self.operator.by)
                return why
            case "inject":
                return self._inject(text)
            case _ if word in ANSWERS:
                return self._answer(word, text)
        if word in WORDS:
            return self.machine.hear(word, text, self.operator.by)
        return f"not understood; the words are {', '.join((*WORDS, *ALWAYS))}"

    def _lock(self, words: str) -> str:
        """Lock the participant, durably; why not, or ""."""
        s = self.tms.setting
        try:
            lock(s.data_dir, s.participant, words=words, session=self.tms.folder.name, clock=self._clock)
        except RtloopError as err:
            return f"NOT LOCKED: {err}"
        return ""

    def _inject(self, text: str) -> str:
        if self.tms.simulator is None:
            return "only a simulated bedside can be given a fault"
        try:
            self.tms.simulator.inject(json.loads(text))
        except (ValueError, KeyError, TypeError, RtloopError) as err:
            return f"not done: {err}"
        self.tms.tell(kinds.NOTE_WRITTEN, words=f"simulated fault: {text}", by="engine")
        return ""

    def _answer(self, word: str, text: str) -> str:
        when = self._asked()
        if when is None:
            return "nothing is asked now"
        before = self.lists[when]
        if word == "sign":
            after, why = before.signed(text or self.want.by)
        elif word == "back":
            after, why = before.back()
        else:
            after, why = before.answered(word, text)
        self.lists[when] = after
        if not why and after.signed_by:
            self.tms.tell(course.CHECKLIST_SIGNED, sync=True, when=when, **after.data())
            if when == BEFORE and after.against:
                words = "; ".join(after.findings)
                self.machine.ends(
                    Ended.STOPPED, f"the checklist speaks against a treatment today: {words}", 3
                )
            self.machine.signed()
        return why

    def _asked(self) -> str | None:
        return {Phase.BEFORE: BEFORE, Phase.AFTER: AFTER}.get(self.machine.phase)

    # -- what happened -------------------------------------------------------------------------------------------

    def _happened(self, kind: str, data: Mapping[str, Any], now_s: float) -> None:
        self.operator.tell(kind, data, now_s)
        if kind == kinds.FAULT_RAISED and data["action"] == "trip":
            self._tripped = self._tripped or str(data["words"])
        if self._gating is not None:
            self._gating.heard(kind, data)
        if words := self.books.heard(kind, data):
            self._say(words)

    def _train_over(self) -> None:
        if self._pulse is None:
            return
        number, over_s = self._pulse
        closing, step = self.tms.closing(number), self.machine.running
        late = self._clock.now_s() > over_s + self.tms.setting.limits.train_end_max_wait_s + CLOSED_WITHIN_S
        if step is None or (closing is None and not late):
            return
        self._pulse, self._ended_s, n = None, over_s, step.train.n_pulses
        if closing is None:  # the gate's own deadline has passed too
            self.machine.over(0, n, over_s)
            return
        least, most = closing.get("delivered_min"), closing.get("delivered_max")
        delivery = closing.get("delivery")
        self.machine.over(
            (n if delivery == "delivered" else 0) if least is None else int(least),
            (0 if delivery == "not_delivered" else n) if most is None else int(most), over_s,
        )  # fmt: skip

    def _read_coil(self, now_s: float) -> None:
        if self.machine.running is not None or now_s < self._ended_s + COIL_FRESH_S:
            return
        coil_c, trains = self.tms.coil_c(), len(self.machine.given)
        self.machine.read_coil(coil_c)
        if self._coil_told != trains and self.machine.phase not in (Phase.BEFORE, Phase.OVER):
            self._coil_told = trains
            self.tms.tell(course.COIL_TEMPERATURE_READ, coil_c=coil_c, after_train=self._train_number())

    def _train_number(self) -> int:
        """The number of the train that was begun last, from 1 in the whole session; 0: none."""
        begun = [g.step for g in self.machine.given if g.most > 0]
        step = self.machine.running or (begun[-1] if begun else None)
        return self.want.given if step is None else step.index + 1

    def _failed(self, err: BaseException) -> None:
        words = f"{type(err).__name__}: {err}".rstrip(": ")
        if self.tms.lamp is Lamp.TRIPPED or isinstance(err, SafetyStop):
            self.machine.ends(Ended.TRIPPED, words, 5)
        elif isinstance(err, KeyboardInterrupt):
            self.machine.ends(Ended.STOPPED, "interrupted (Ctrl-C, SIGTERM or the terminal's end)", 6)
        else:
            self.machine.ends(Ended.ABORTED, words, getattr(err, "exit_code", 1))

    # -- what is told --------------------------------------------------------------------------------------------

    def _tell_phase(self, now_s: float) -> None:
        m, step = self.machine, self.machine.step
        at, when = m.running or step, self._asked()
        item = None if when is None else len(self.lists[when].answers)
        shown = (
            m.phase,
            item,
            m.paused if m.phase is Phase.PAUSED else "",
            None if step is None else step.index,
        )
        if bool(m.paused) is not bool(self._paused):
            kind = course.TREATMENT_PAUSED if m.paused else course.TREATMENT_RESUMED
            by_hand = m.paused.startswith("the operator") or not m.paused
            self.tms.tell(kind, words=m.paused or self._paused, by=self.operator.by if by_hand else "engine")
            self._paused = m.paused
        if shown == self._shown:
            return
        entered = m.phase is not (self._shown[0] if self._shown else None)
        self._shown = shown
        if m.phase is Phase.AFTER and entered:
            self.books.given(self.tms, m)
        words, options = asked(m, self.want, self.tms.cannot_stop, None if when is None else self.lists[when])
        self.tms.tell(
            "phase_entered", phase=str(m.phase), target=self.want.target, words=words, options=list(options),
            block="treatment", power_pct_mso=None if at is None else at.power_pct_mso,
            train=None if at is None else at.index + 1, of=self.want.plan.trains.count,
            expected=self._expected(when), until_s=_finite(m.deadline_s()),
        )  # fmt: skip
        self._say(f"-> {words}  [{' | '.join(options)}]" if options else f"   {words}")
        waits = m.phase in (Phase.ARM, Phase.PAUSE, Phase.GATE)
        if waits and step is not None and self._due_told != step.index:
            self._due_told = step.index
            self.tms.tell(
                course.TRAIN_DUE, train=step.index + 1, power_pct_mso=step.power_pct_mso,
                pulses=step.train.n_pulses, due_s=_finite(max(m.due_s, self.tms.earliest_s())), pause_s=step.pause_s,
            )  # fmt: skip
        if m.armed:
            self.tms.announce(m.due_s)

    def _expected(self, when: str | None) -> str | None:
        item = None if when is None else self.lists[when].open
        return None if item is None else item.expected

    # -- what is done --------------------------------------------------------------------------------------------

    def _do(self, order: Order, now_s: float) -> None:
        m, tms = self.machine, self.tms
        try:
            match order:
                case Disarm():
                    tms.disarm(order.reason)
                case SetUp():
                    tms.set_up(order.step, shape=order.shape)
                    m.is_set(order)
                case Begin():
                    self.books.begin(tms)
                    m.has_begun()
                case AskToArm():
                    words = tms.ask_to_arm()
                    self._say(f"-> to arm, say within {tms.setting.limits.confirm_window_s:g} s: {words}")
                case ConfirmArm():
                    tms.confirm(order.said, self.operator.by)
                case Give():
                    self._give(order, now_s)
        except (SafetyStop, NotReady) as err:
            if isinstance(order, Begin):
                raise
            reasons = getattr(err, "reasons", None)
            if not (isinstance(err, NotReady) or reasons):
                raise  # the loop has failed, or STOP came
            self._not_done(order, tuple(reasons or (str(err),)))

    def _not_done(self, order: Order, reasons: tuple[str, ...]) -> None:
        """Refused, or the unit did not follow: the operator is asked; nothing was given."""
        words = "; ".join(reasons)
        if isinstance(order, Give):
            self.tms.tell(course.TRAIN_REFUSED, train=order.step.index + 1, words=list(reasons))
            self.machine.refused(f"train {order.step.index + 1} was refused: {words}")
        elif isinstance(order, SetUp):
            self.machine.unset()
            self.machine.pause(f"the unit was not set: {words}")
        else:
            self._say(f"   not armed: {words}")

    def _give(self, order: Give, now_s: float) -> None:
        """Begin the train, once the unit says ready or has had its time."""
        m, tms = self.machine, self.tms
        if self._offered != order.step.index:
            self._offered, self._offered_s = order.step.index, now_s
        if not tms.ready() and now_s < self._offered_s + READY_WITHIN_S:
            return
        self._offered = -1
        if self._study is not None and not self._study.held:
            words = "the lease was lost: another computer may run this participant now; what is left: --resume, later today"
            m.ends(Ended.ABORTED, words, 4)
            return
        number, over_s, sent = tms.send(order.step)
        if not sent:
            self._not_done(order, ("missed: the computer was late, and a late train is not given",))
            return
        self._pulse = (number, over_s)
        self.books.sent(number, order.step)
        m.started(order.step, over_s)

    # -- the end -------------------------------------------------------------------------------------------------

    def _at_end(self) -> None:
        """Everything is settled: what was given is counted, whatever ended it. The last record comes in any case."""
        try:
            for kind, data in self.tms.news():
                if words := self.books.heard(kind, data):
                    self._say(words)
            self._train_over()
            self.books.given(self.tms, self.machine)
        except Exception as err:
            words = f"what was given could not be written down: {type(err).__name__}: {err}; it is counted from the journal"
            self._say(f"!! {words}")
            with contextlib.suppress(RtloopError):
                self.tms.tell(kinds.NOTE_WRITTEN, words=words[:NOTE_MAX], by="engine")

    def _last_words(self, words: str, clean: bool) -> tuple[str, bool]:
        end = self.machine.end
        if end is None:
            return words, False
        return end.words, clean and end.ended in (Ended.COMPLETE, Ended.STOPPED)


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
