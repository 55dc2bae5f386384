"""Owns one pass from samples to pulses, and the order in which things are looked at; owns no thread, process or device.

Look at the stream, the unit and the processes; judge trials; ask the engine; obey through the gate. Every result is an
event, journalled before it is shown. ``step`` never waits but for the gate, whose waits all have deadlines.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rtloop.board import Board
from rtloop.clock import Clock
from rtloop.errors import RtloopError
from rtloop.model.event import Event
from rtloop.model.pulse import Delivery, Outcome, Pulse, PulseSeen, Source
from rtloop.model.status import Fault, Lamp
from rtloop.model.view import View, fold, key_of
from rtloop.plan.expand import Listen
from rtloop.ports import SampleSource
from rtloop.record import kinds
from rtloop.safety.gate import Gate, GateResult
from rtloop.safety.interlock import FAULTS, Action, Interlock
from rtloop.safety.ledger import PULSE_INTENDED
from rtloop.safety.rules import Refusal
from rtloop.session import engine as e
from rtloop.session.accounts import Accounts, seen_dict
from rtloop.session.display import early_response_uv, ranking_dict
from rtloop.session.line import Label, SignalLine, Trial, trial_dict
from rtloop.session.vigil import Vigil


class Append(Protocol):
    """Journals one event and returns it; with ``sync`` it is durable on return."""

    def __call__(self, kind: str, data: Mapping[str, Any], *, sync: bool = False) -> Event: ...


@dataclass(frozen=True, kw_only=True)
class Ends:
    """What stands at the two ends of the line. ``gate`` is None when only listening."""

    source: SampleSource
    board: Board
    gate: Gate | None = None


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
    show : called with each event after it was journalled (screen, simulated operator); must return at once
    """

    def __init__(
        self, *, clock: Clock, ends: Ends, append: Append, interlock: Interlock, engine: e.Engine, line: SignalLine,
        vigil: Vigil, accounts: Accounts, show: Callable[[Event, View], None],
        criteria: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        self._clock, self._ends, self._append, self._show = clock, ends, append, show
        self._interlock, self._engine, self._line, self._vigil = interlock, engine, line, vigil
        self._accounts, self._criteria = accounts, criteria or {}
        line.meanwhile = self._alive
        self.inbox: queue.SimpleQueue[e.Said] = queue.SimpleQueue()
        self._messages: list[e.Message] = []
        self._blocks: dict[int, str] = {}
        self._open: set[int] = set()  # fired, not judged yet
        self._heard = 0
        self._lamp = interlock.lamp
        self._active: dict[Fault, str] = {}
        self.view = View()
        self.finished: e.Finish | None = None

    def step(self) -> None:
        """One pass. After it, ``finished`` says whether the session is over."""
        now_s = self._clock.now_s()
        self._ends.board.beat("engine")
        self._watch(now_s)
        for seen in self._line.look(now_s):
            self._seen(seen)
        for t_s, value in self._ends.source.take_markers():
            self.emit("marker_received", t_marker_s=t_s, value=value)
        for trial in self._line.trials():
            self._judged(trial)
        self._listen(now_s)
        for order in self._engine.advance(now_s, self._take(), self._standing()):
            self._obey(order)

    def _alive(self) -> None:
        """Bounded work or a bounded wait is under way: the loop is not frozen, and nothing can be fired meanwhile."""
        self._ends.board.beat("engine")
        self._vigil.waited(self._clock.now_s())

    def emit(self, kind: str, /, *, sync: bool = False, **data: Any) -> None:
        """Journal an event, fold it into the view, show it."""
        event = self._append(kind, data, sync=sync)
        self.view = fold(self.view, event)
        self._show(event, self.view)

    # -- faults and the lamp -----------------------------------------------------------------------------------

    def _watch(self, now_s: float) -> None:
        raised, cleared = self._vigil.look(now_s, self._interlock.lamp)
        for fault, detail in raised:
            self.fault(fault, detail)
        for fault in cleared:
            self._interlock.cleared(fault, now_s)
        for row in self._accounts.overdue(now_s):
            assert row.pulse is not None
            self.emit(kinds.PULSE_NOT_SEEN, pulse_id=row.pulse.pulse_id)
            self._settle(
                row.pulse.pulse_id, row.pulse.target, self._blocks[row.pulse.pulse_id], accepted=False
            )
            self.fault(
                Fault.PULSE_NOT_SEEN, f"pulse {row.pulse.pulse_id} was acknowledged and is not in the stream"
            )
        self._tell_interlock()

    def fault(self, fault: Fault, detail: str) -> None:
        """Do what the fault table says: disarm first, tell afterwards."""
        if self._ends.gate is not None:
            self._ends.gate.fault(fault, detail)
            self._alive()
        else:
            self._interlock.fault(fault, self._clock.now_s(), detail)
        self._tell_interlock()

    def preflight_passed(self) -> None:
        """SAFE -> READY: everything the plan expects was found in order."""
        self._interlock.preflight_ok()
        self._tell_interlock("preflight passed")

    def disarm(self, reason: str) -> None:
        """Never refused; says whether the unit confirmed."""
        if self._ends.gate is not None:
            done = self._ends.gate.disarm(reason)
            self._alive()
            self._tell_interlock(done.words)
            self.emit("disarmed", reason=reason, confirmed=done.confirmed, words=done.words)

    def _tell_interlock(self, words: str = "") -> None:
        """Make events of what changed in the interlock since the last time."""
        active, before = dict(self._interlock.active), self._active
        self._active = active
        for fault in [f for f in active if active[f] != before.get(f)]:
            row = FAULTS[fault]
            self.emit(
                kinds.FAULT_RAISED, fault=fault.value, action=row.action.value, clears=row.clears, words=active[fault],
                todo=row.todo,
            )  # fmt: skip
        for fault in [f for f in before if f not in active]:
            self.emit(kinds.FAULT_CLEARED, fault=fault.value)
        lamp = self._interlock.lamp
        if lamp is not self._lamp:
            old, self._lamp = self._lamp, lamp
            self._ends.board["engine_lamp"] = list(Lamp).index(lamp)
            self.emit(kinds.LAMP_CHANGED, before=old.value, after=lamp.value, words=words)

    # -- what is seen ------------------------------------------------------------------------------------------

    def _seen(self, seen: PulseSeen) -> None:
        row, fault = self._accounts.saw(seen)
        if seen.source is Source.HOST:
            return  # only our own fire time: nothing was observed, and ``overdue`` will say so
        label = self._label(row.pulse)
        if label is None:
            dose = {} if self._ends.gate is None else self._ends.gate.uncommanded(seen.sample)
            self.emit(kinds.PULSE_UNCOMMANDED, pulse_id=-1 - seen.sample, **dose, **seen_dict(seen))
        else:
            delay_s = None if row.t_sent_s is None else seen.t_s - row.t_sent_s
            self.emit(kinds.PULSE_SEEN, pulse_id=label.pulse_id, after_command_s=delay_s, **seen_dict(seen))
            self._line.take(seen, label)
        if fault is not None:
            self.fault(
                fault,
                f"a pulse at sample {seen.sample} was found ({seen.source.value}) that nobody commanded",
            )

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
        self.emit(kinds.TRIAL_JUDGED, **trial_dict(trial, self._line.montage))
        if trial.scores is not None:
            self._scored(label.target, label.block, trial.scores.to_dict(), trial.stage_s["scores"])
        self._settle(label.pulse_id, label.target, label.block, accepted=trial.verdict.accepted)

    def _settle(self, pulse_id: int, target: str, block: str, *, accepted: bool) -> None:
        if not self._accounts.listening and pulse_id not in self._open:
            return  # settled before: found only after it was reported missing
        self._open.discard(pulse_id)
        self._messages.append(e.Judged(target=target, block=block, accepted=accepted))

    def _scored(self, target: str, block: str, scores: Mapping[str, Any], scores_s: float) -> None:
        self.emit(kinds.SCORES_UPDATED, target=target, block=block, scores=scores, scores_s=scores_s)
        if (
            block == "run"
            and sum(t.block == "run" and t.scores is not None for t in self.view.targets.values()) > 1
        ):
            self.emit(kinds.RANKING_MADE, **ranking_dict(self.view))

    # -- what is said ------------------------------------------------------------------------------------------

    def _listen(self, now_s: float) -> None:
        while not self.inbox.empty():
            said = self.inbox.get_nowait()
            self.emit(kinds.COMMAND_RECEIVED, word=said.word, args=list(said.args))
            match said.word:
                case "arm":
                    self._ask_arm(now_s)
                case "confirm":
                    self._confirm(now_s)
                case "take_out" | "reinstate":
                    self._move_trial(said)
                case "halt":
                    self._ends.board.ask_stop()
                case _:
                    self._messages.append(said)

    def _ask_arm(self, now_s: float) -> None:
        """Step one; it also acknowledges the faults whose cause no longer stands."""
        for fault in [f for f in self._interlock.active if f not in self._vigil.standing]:
            if FAULTS[fault].action is not Action.TRIP:
                self._interlock.cleared(fault, now_s)
        self._tell_interlock()
        step = self._interlock.arm_requested(now_s)
        self.emit("arm_requested", accepted=step.accepted, words=step.words)

    def _confirm(self, now_s: float) -> None:
        """Step two; then the unit is armed."""
        step = self._interlock.arm_confirmed(now_s)
        self.emit("arm_confirmed", accepted=step.accepted, words=step.words)
        if not step.accepted or self._ends.gate is None:
            return
        try:
            armed = self._ends.gate.arm()
        except RtloopError as err:  # the gate has disarmed and told the interlock
            self._tell_interlock(str(err))
            return
        finally:
            self._alive()
        self._tell_interlock(armed.words)

    def _move_trial(self, said: e.Said) -> None:
        into = said.word == "reinstate"
        try:
            trial_id = int(said.args[0])
            label, trial = self._line.trial_block[trial_id]
            scores = (self._line.reinstate if into else self._line.take_out)(trial_id)
        except (IndexError, ValueError, KeyError, RtloopError) as err:
            self.emit(kinds.NOTE_WRITTEN, words=f"{said.word}: no such trial, or nothing to do ({err})")
            return
        self.emit(
            "trial_reinstated" if into else "trial_taken_out", trial_id=trial_id, pulse_id=label.pulse_id,
            target=label.target, block=label.block,
            words=f"{said.word} by the operator; the chain said: {trial.verdict.words() or 'good'}",
        )  # fmt: skip
        self._scored(label.target, label.block, scores.to_dict(), 0.0)

    # -- what is done ------------------------------------------------------------------------------------------

    def _take(self) -> list[e.Message]:
        taken, self._messages = self._messages, []
        return taken

    def _standing(self) -> e.Standing:
        status = None if self._ends.gate is None else self._ends.gate.status()
        return e.Standing(
            lamp=self._interlock.lamp,
            power_pct_mso=None if status is None else status.power_pct_mso,
            outstanding=len(self._open | self._line.waiting),
            ready=status is None or status.ready,
        )

    def _obey(self, order: e.Order) -> None:
        match order:
            case e.Ask():
                self._look_at(order)
                self.emit(
                    "phase_entered",
                    phase=order.phase,
                    target=order.target,
                    words=order.words,
                    options=list(order.options),
                )
            case e.Enter():
                self.emit(
                    "phase_entered",
                    phase=order.phase,
                    target=order.target,
                    words="",
                    options=["pause", "stop"],
                )
            case e.Restart():
                self._line.restart(order.target, order.block)
                self._alive()
                self.emit("block_restarted", target=order.target, block=order.block)
            case e.Note():
                self.emit(kinds.NOTE_WRITTEN, words=order.words)
            case e.AcceptTarget():
                self.emit("target_accepted", target=order.target)
                board = self._ends.board
                durable = {name: board[name] for name in ("durable_sample", "durable_journal")}
                self.emit(kinds.RECORDING_CHECKED, sync=True, **durable)
            case e.Disarm():
                self.disarm(order.reason)
            case e.Power():
                self._power(order.power_pct_mso)
            case e.Announce():
                if self._ends.gate is not None:
                    self._ends.gate.announce(order.due_s)
            case e.Give():
                self._give(order.pulse, order.block)
            case e.Finish():
                self.finished = order

    def _look_at(self, ask: e.Ask) -> None:
        """Before go / no-go and before the review: the numbers that the plan's criteria are held against."""
        block = {"go": "preview", "review": "run"}.get(ask.phase)
        if block is None:
            return
        seen = self.view.targets.get(key_of(ask.target, block))
        scorer = self._line.scorer(ask.target, block)
        self.emit(
            "block_looked_at", target=ask.target, block=block, n_accepted=seen.n_accepted if seen else 0,
            n_rejected=seen.n_rejected if seen else 0, early_local_pp_uv=early_response_uv(scorer),
            **self._criteria.get(ask.target, {}),
        )  # fmt: skip

    def _power(self, power_pct_mso: int) -> None:
        assert self._ends.gate is not None
        try:
            status = self._ends.gate.set_power(power_pct_mso)
        except RtloopError as err:  # the gate has disarmed and told the interlock
            self._tell_interlock(str(err))
            self._messages.append(e.Failed(words=str(err)))
            return
        finally:
            self._alive()
        if isinstance(status, tuple):
            self._refused({"power_pct_mso": power_pct_mso}, status)
            self._messages.append(e.Failed(words="the power was refused"))
        else:
            self.emit("power_set", power_pct_mso=status.power_pct_mso)

    def _refused(self, what: dict[str, Any], refusals: tuple[Refusal, ...]) -> None:
        self.emit("refused", **what, words=[r.words() for r in refusals])

    def _give(self, pulse: Pulse, block: str) -> None:
        gate = self._ends.gate
        assert gate is not None
        self._blocks[pulse.pulse_id] = block
        permit = gate.permit(pulse, self._clock.now_s())
        result = (
            GateResult(outcome=Outcome.REFUSED, refusals=permit)
            if isinstance(permit, tuple)
            else gate.fire(pulse, permit)
        )
        self._alive()
        self._closed(pulse, block, result)

    def intended(self, charge: dict[str, Any]) -> None:
        """The gate's own record of an intent: durable when this returns, before anything is sent."""
        self.emit(PULSE_INTENDED, sync=True, **charge)

    def _closed(self, pulse: Pulse, block: str, result: GateResult) -> None:
        receipt, outcome = result.receipt, result.outcome
        sent_s = None if receipt is None else receipt.t_sent_s
        if outcome is Outcome.UNCERTAIN and sent_s is None:
            sent_s = self._clock.now_s()  # it may have gone out until now
        closing = result.closing or {"pulse_id": pulse.pulse_id, "delivery": Delivery.NOT_DELIVERED.value}
        self.emit(
            kinds.PULSE_CLOSED if result.closing else "pulse_refused",
            **closing, outcome=outcome.value, target=pulse.target, block=block, power_pct_mso=pulse.power_pct_mso,
            due_s=pulse.due_s, t_sent_s=sent_s, t_reply_s=None if receipt is None else receipt.t_reply_s,
            reason="" if receipt is None else receipt.reason, refusals=[r.words() for r in result.refusals],
        )  # fmt: skip
        self._accounts.closed(pulse, outcome, sent_s)
        if outcome in (Outcome.FIRED, Outcome.UNCERTAIN) and sent_s is not None:
            self._open.add(pulse.pulse_id)
            self._ends.source.expect_pulse(sent_s)
        self._tell_interlock(f"pulse {pulse.pulse_id}: {outcome.value}")
        self._messages.append(e.Closed(pulse=pulse, outcome=outcome))
