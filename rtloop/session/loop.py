"""Owns one pass from samples to pulses, and the order in which things are looked at; owns no thread, process or device.

Look at the stream, the unit and the processes; judge trials; ask the engine; obey through the gate. Every result is an
event, journalled before it is shown. ``step`` never waits but for the gate, whose waits all have deadlines.
"""

from __future__ import annotations

import math
import queue
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rtloop.clock import Clock
from rtloop.errors import RtloopError
from rtloop.model.event import Event
from rtloop.model.pulse import Pulse, PulseSeen
from rtloop.model.status import Lamp
from rtloop.model.view import View, fold
from rtloop.plan.expand import Listen, Run
from rtloop.record import kinds
from rtloop.safety.interlock import Interlock
from rtloop.safety.ledger import PULSE_INTENDED
from rtloop.session import engine as e
from rtloop.session.accounts import Account, Accounts
from rtloop.session.companions import pending
from rtloop.session.course import Course
from rtloop.session.ends import Append, Ends, Told
from rtloop.session.line import Label, SignalLine, Trial
from rtloop.session.looking import block_looked_at, early_measured, step_looked_at
from rtloop.session.loopback import Loopback
from rtloop.session.results import Results
from rtloop.session.tally import News, Tally
from rtloop.session.telling import Teller
from rtloop.session.vigil import Vigil
from rtloop.session.watching import Watching

#: no earlier trial is cleaned again when a pulse is due within this time
CLEAR_S = 0.1


class Loop:
    """The straight line, one ``step`` at a time.

    Parameters
    ----------
    clock, ends, append : the reader of time, the devices, the journal
    interlock : its table decides what a fault does
    engine : the plan's progress
    line : from pulse seen to scores
    vigil : looks at stream, unit, processes and names their faults
    criteria : target -> what the operator holds a block against, by name (from the plan)
    results : writes the pages that a window reads
    show : called with each event after it was journalled (screen, simulated operator); must return at once
    loopback : the delay from command to EEG that is expected
    course : what a mapping visits next, where the plan asks a question of the map
    locked : why the participant is locked after an emergency; empty when not. Asked at each step of arming
    """

    def __init__(
        self, *, clock: Clock, ends: Ends, append: Append, interlock: Interlock, engine: e.Engine, line: SignalLine,
        vigil: Vigil, accounts: Accounts, show: Callable[[Event, View], None],
        criteria: Mapping[str, Mapping[str, Any]] | None = None, results: Results | None = None,
        loopback: Loopback | None = None, locked: Callable[[], str] = lambda: "", course: Course | None = None,
    ) -> None:  # fmt: skip
        self._clock, self._ends, self._append, self._show = clock, ends, append, show
        self._interlock, self._engine, self._line = interlock, engine, line
        self._accounts, self._criteria, self._results = accounts, criteria or {}, results
        self.inbox: queue.SimpleQueue[e.Said | Told] = queue.SimpleQueue()
        self._messages: list[e.Message] = []
        self._tally = Tally(accounts=accounts, loopback=loopback or Loopback())
        self._watching = Watching(
            clock=clock, ends=ends, interlock=interlock, vigil=vigil, tally=self._tally, emit=self.emit, told=self._told,
            locked=locked, participant=lambda: str(self.view.started.get("participant")),
        )  # fmt: skip
        self.fault, self._alive = self._watching.fault, self._watching.alive
        line.meanwhile = self._alive
        self._course = course
        if course is not None:
            course.emit = self.emit
        self._tell = Teller(line, self.emit, lambda: self.view, self._criteria)
        self._blocks = self._tally.blocks
        self._open: set[int] = set()  # fired, not judged yet
        self._heard = 0
        self._due_s = -math.inf  # of the announced pulse
        self.view = View()
        self.finished: e.Finish | None = None

    def step(self) -> None:
        """One pass. After it, ``finished`` says whether the session is over."""
        now_s = self._clock.now_s()
        self._ends.board.beat("engine")
        self._watching.look(now_s)
        for seen in self._line.look(now_s):
            self._watching.saw(seen, partial(self._taken, seen))
        for t_s, value in self._ends.source.take_markers():
            self.emit("marker_received", t_marker_s=t_s, value=value)
        for trial in self._line.trials():
            self._judged(trial)
        if not 0 <= self._due_s - now_s <= CLEAR_S:
            self._again()
        self._listen(now_s)
        for order in self._engine.advance(now_s, self._take(), self._standing()):
            self._obey(order)

    def why_not(self, said: e.Said) -> str:
        """Why a word would change nothing now; empty when it would be taken. Any thread may ask."""
        return self._engine.why_not(said)

    def emit(self, kind: str, /, *, sync: bool = False, **data: Any) -> None:
        """Journal an event, fold it into the view, show it."""
        event = self._append(kind, data, sync=sync)
        self.view = fold(self.view, event)
        self._show(event, self.view)

    # -- faults and the lamp -----------------------------------------------------------------------------------

    def end_of_pulses(self) -> None:
        """The session ends: a lock and the delay of the session are told, if they were not."""
        self._watching.look_for_lock()
        self._watching.account(self._clock.now_s())
        for news in self._tally.ended():
            self._watching.tell(news)

    def _told(self, news: News) -> None:
        if news.settles is not None:
            pulse = news.settles
            self._settle(pulse.pulse_id, pulse.target, self._blocks[pulse.pulse_id], accepted=False)

    def preflight_passed(self) -> None:
        """SAFE -> READY: everything the plan expects was found in order."""
        self._watching.passed()

    def measure(self, *, last: bool = False) -> None:
        """What stands beside the scores, and real against control, where it is not known: seconds, the unit disarmed."""
        if self._interlock.lamp in (Lamp.ARMED, Lamp.HELD):
            return  # the next review, or the end, makes it up
        for kind, data in pending(self.view, self._line, last=last):
            self.emit(kind, **data)
            self._alive()

    def disarm(self, reason: str) -> None:
        """Never refused; says whether the unit confirmed."""
        if self._ends.gate is not None:
            done = self._ends.gate.disarm(reason)
            self._alive()
            self._watching.tell_interlock(done.words)
            self.emit("disarmed", reason=reason, confirmed=done.confirmed, words=done.words)

    # -- what is seen ------------------------------------------------------------------------------------------

    def _taken(self, seen: PulseSeen, row: Account) -> int | None:
        """Make a trial of a seen pulse; its number, None when it is nobody's."""
        label = self._label(row.pulse)
        if label is not None and (
            row.pulse is None or max(row.pulse.n_pulses, row.most) == 1
        ):  # of a train or a pair no trial is made, nor of what may have been one
            self._line.take(seen, label)
        return None if label is None else label.pulse_id

    def _label(self, pulse: Pulse | None) -> Label | None:
        """The block that a seen pulse belongs to: its command's, or when listening the one under way."""
        if pulse is not None:
            return Label(pulse_id=pulse.pulse_id, target=pulse.target, block=self._blocks[pulse.pulse_id])
        step = self._engine.step
        if not self._accounts.listening or not isinstance(step, Listen):
            return None
        self._heard += 1
        return Label(pulse_id=self._heard, target=step.target, block="run")

    def _judged(self, trial: Trial) -> None:
        label = trial.label
        self._tell.trial(trial)
        self._page(label.target, label.block, trial)
        self._settle(label.pulse_id, label.target, label.block, accepted=trial.verdict.accepted)
        self._line.prepare(label.target, label.block)

    def _again(self) -> None:
        """Clean one of the trials that came before the first filter again: one in a step, so that no pulse waits for it."""
        waiting = self._line.earlier()
        if not waiting:
            return
        again = self._line.again(waiting[0])
        label = again.trial.label
        self._tell.again(again)
        if again.cleaned:
            self._page(label.target, label.block, again.trial)
        if again.changed:
            self._messages.append(e.Judged(target=label.target, block=label.block, accepted=again.changed))
        self._alive()

    def _settle(self, pulse_id: int, target: str, block: str, *, accepted: bool) -> None:
        if not self._accounts.listening and pulse_id not in self._open:
            return  # settled before: found only after it was reported missing
        self._open.discard(pulse_id)
        self._messages.append(e.Judged(target=target, block=block, accepted=accepted))

    # -- what is said ------------------------------------------------------------------------------------------

    def _listen(self, now_s: float) -> None:
        while not self.inbox.empty():
            said = self.inbox.get_nowait()
            if isinstance(said, Told):
                self.emit(said.kind, **said.data)
                continue
            self.emit(kinds.COMMAND_RECEIVED, word=said.word, args=list(said.args))
            match said.word:
                case "arm":
                    self._watching.arming.ask(now_s)
                case "confirm":
                    self._watching.arming.confirm(now_s)
                case "take_out" | "reinstate":
                    self._move_trial(said)
                case "halt" | "emergency":
                    self._ends.board.ask_stop()
                case "note":
                    self.emit(kinds.NOTE_WRITTEN, words=" ".join(said.args), by="operator")
                case "reconnect" | "inject":
                    pass  # done beside the loop; what came of it is told
                case _:
                    self._messages.append(said)

    def _move_trial(self, said: e.Said) -> None:
        into = said.word == "reinstate"
        try:
            trial_id = int(said.args[0])
            label, trial = self._line.trial_block[trial_id]
            scores = (self._line.reinstate if into else self._line.take_out)(trial_id)
        except (IndexError, ValueError, KeyError, RtloopError) as err:
            self.emit(
                kinds.NOTE_WRITTEN, words=f"{said.word}: no such trial, or nothing to do ({err})", by="engine"
            )
            return
        self.emit(
            "trial_reinstated" if into else "trial_taken_out", trial_id=trial_id, pulse_id=label.pulse_id,
            target=label.target, block=label.block,
            words=f"{said.word} by the operator; the chain said: {trial.verdict.words() or 'good'}",
        )  # fmt: skip
        self._tell.scores(label.target, label.block, scores.to_dict(), 0.0)
        if label.block == "preview":
            self.emit("early_measured", **early_measured(self.view, self._line, label))
        self._page(label.target, label.block)

    # -- what is done ------------------------------------------------------------------------------------------

    def _take(self) -> list[e.Message]:
        taken, self._messages = self._messages, []
        return taken

    def _standing(self) -> e.Standing:
        status = None if self._ends.gate is None else self._ends.gate.status()
        return e.Standing(
            lamp=self._interlock.lamp,
            power_pct_mso=None if status is None else status.power_pct_mso,
            outstanding=len(self._open | self._line.waiting) + len(self._line.earlier()),
            ready=status is None or status.ready,
        )

    def _obey(self, order: e.Order) -> None:
        match order:
            case e.Ask():
                if order.phase == "review":
                    criteria = self._criteria.get(order.target, {})
                    looked = block_looked_at(self.view, self._line, order.target, "run", criteria)
                    self.emit("block_looked_at", **looked)
                    self._tell.quality(order.target, "run", running=False)
                about = {"block": order.block, "power_pct_mso": order.power_pct_mso}
                self._phase(order.phase, order.target, order.words, *order.options, **about)
                if order.phase == "review":
                    self.measure()
            case e.Enter():
                more = ("preview",) if order.block == "preview" else ()
                self._phase(order.phase, order.target, "", *more, "pause", "stop", block=order.block)
            case e.Restart():
                self._line.restart(order.target, order.block)
                self._alive()
                self.emit("block_restarted", target=order.target, block=order.block)
                if self._course is not None and order.block == "run":
                    self._course.restarted(order.target)
                self._page(order.target, order.block)
            case e.Note():
                self.emit(kinds.NOTE_WRITTEN, words=order.words, by="engine")
            case e.Looked():
                step = order.step
                criteria = self._criteria.get(step.target, {})
                self.emit("block_looked_at", **step_looked_at(self.view, self._line, step, criteria))
                self._tell.quality(step.target, "preview", running=False)
            case e.AcceptTarget():
                self.emit("target_accepted", target=order.target)
                if self._course is not None:
                    self._course.accepted(order.target)
                self._tell.quality(order.target, "run", running=False)
                durable = {name: self._ends.board[name] for name in ("durable_sample", "durable_journal")}
                self.emit(kinds.RECORDING_CHECKED, sync=True, **durable)
                self.measure()  # where the operator moved a trial since
            case e.Propose():  # the unit was disarmed before: a look takes a second or so
                steps = () if self._course is None else self._course.next(order.left_out)
                for run in (
                    s for s in steps if isinstance(s, Run) and s.adds
                ):  # now, disarmed: growing takes long
                    self._line.scorer(run.target, "run").make_room(run.pulses_max)
                    self._alive()
                self._messages.append(e.Proposed(steps=steps))
            case e.Disarm():
                self.disarm(order.reason)
            case e.Power():
                self._power(order.power_pct_mso)
            case e.Announce():
                if self._ends.gate is not None:
                    self._ends.gate.announce(order.due_s)
                self._watching.announced(order.due_s)
                self._due_s = order.due_s
            case e.Give():
                self._give(order.pulse, order.block)
            case e.Finish():
                self.finished = order

    def _phase(self, phase: str, target: str, words: str, *options: str, **step: Any) -> None:
        self.emit("phase_entered", phase=phase, target=target, words=words, options=list(options), **step)

    def _page(self, target: str, block: str, trial: Trial | None = None) -> None:
        """Let a window see the trial and the block's sums; what fails there is noted and changes nothing here."""
        if self._results is None:
            return
        words = [] if trial is None else [self._results.trial(trial)]
        for failed in filter(None, [*words, self._results.block(target, block)]):
            self.emit(kinds.NOTE_WRITTEN, words=failed, by="engine")

    def _power(self, power_pct_mso: int) -> None:
        assert self._ends.gate is not None
        try:
            status = self._ends.gate.set_power(power_pct_mso)
        except RtloopError as err:  # the gate has disarmed and told the interlock
            self._watching.tell_interlock(str(err))
            self._messages.append(e.Failed(words=str(err)))
            return
        finally:
            self._alive()
        if isinstance(status, tuple):
            self.emit("refused", power_pct_mso=power_pct_mso, words=[r.words() for r in status])
            self._messages.append(e.Failed(words="the power was refused"))
        else:
            self.emit("power_set", power_pct_mso=status.power_pct_mso)

    def _give(self, pulse: Pulse, block: str) -> None:
        gate = self._ends.gate
        assert gate is not None
        result, given_s = self._watching.give(gate, pulse, block, self._ends.source)
        if given_s is not None:
            self._open.add(pulse.pulse_id)
        self._watching.tell_interlock(f"pulse {pulse.pulse_id}: {result.outcome.value}")
        self._messages.append(e.Closed(pulse=pulse, outcome=result.outcome))

    def intended(self, charge: dict[str, Any]) -> None:
        """The gate's own record of an intent: durable when this returns, before anything is sent."""
        self.emit(PULSE_INTENDED, sync=True, **charge)
