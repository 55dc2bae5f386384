"""Owns a mapping's course while a session runs: its history, its looks, the visit that is proposed; owns no pulse and no coil.

What is next is a function of the history alone (``rtloop.decide.course``), and every entry of the history is an event.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rtloop.decide.comparability import Comparability, compare, facts_of
from rtloop.decide.course import Do, Event, Restart, Visit, next_step
from rtloop.decide.course import Step as Proposal
from rtloop.decide.look import Candidate, Look, Outcome, decision_of, look
from rtloop.decide.mapping import TRIAL_NOTE, Decision, DecisionKind
from rtloop.decide.matching import MatchedScore, match
from rtloop.decide.prescription import Prescription
from rtloop.decide.ranking import rank
from rtloop.decide.recorded import event_dict, score_dict, score_of
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.model.view import key_of
from rtloop.plan.decision import prescription_of
from rtloop.plan.expand import Review, Step, visit_again, visit_anew
from rtloop.plan.schema import Plan
from rtloop.record import kinds
from rtloop.record.folder import SessionFolder
from rtloop.session.keeping import Earlier, Keeper, taken_over, visits_of
from rtloop.session.line import SignalLine
from rtloop.session.ongoing import Ongoing, with_common_pairs

KIND_OF: dict[type[Event], str] = {
    Visit: kinds.MAP_VISITED,
    Restart: kinds.MAP_RESTARTED,
    Look: kinds.MAP_LOOKED_AT,
}


class Emit(Protocol):
    """Journals an event and shows it."""

    def __call__(self, kind: str, /, *, sync: bool = False, **data: Any) -> None: ...


def setup_of(rig: Mapping[str, str], chain: ChainSpec, left_out: Sequence[str]) -> dict[str, str]:
    """What must be the same at all targets, in words. ``rig``: coil and waveform; the rest holds for the whole session."""
    return {
        **rig,
        "reference": "average" if chain.average_reference else "as recorded",
        "filter": f"none but the bands; bridge {'on' if chain.bridge else 'off'}, decay {'on' if chain.decay else 'off'}, "
        f"detrend {'on' if chain.detrend else 'off'}",
        "channels left out": ", ".join(left_out) or "none",
    }  # fmt: skip


def look_at(
    line: SignalLine, ongoing: Ongoing, prescription: Prescription, history: Sequence[Event], number: int,
    rig: Mapping[str, str],
) -> tuple[Look, tuple[MatchedScore, ...]]:  # fmt: skip
    """Look ``number`` at the trials as they stand: the answer and both scores of every target, () where none were made.

    Takes passes over all trials (about half a second for four targets of 100): for the pause between two visits.
    """
    spec, names = prescription.look, prescription.course.targets
    try:
        signals = [ongoing.signal(key_of(t, "run"), line.scorer(t, "run")) for t in names]
        common, lost = with_common_pairs(signals, line.montage.positions_m)
        line.meanwhile()
        scores = match(common, prescription.match, meanwhile=line.meanwhile)
        setup = setup_of(rig, line.spec, [line.montage.names[c] for c in lost])
        facts = []
        for signal, score in zip(common, scores, strict=True):
            facts.append(facts_of(signal, score, line.montage.names, setup))
            line.meanwhile()
        compared: Comparability = compare(facts, prescription.course.comparability)
    except ValidationProblem as err:
        words = "; ".join(w for w in (err.what, err.found) if w)
        todo = f" What to do: {err.todo}." if err.todo else ""
        return Look(
            number=number, of=spec.looks, outcome=Outcome.NOT_COMPARABLE, question=spec.question,
            words=f"The targets are not comparable: {words}.{todo}",
        ), ()  # fmt: skip
    candidates = [
        Candidate(target=s.target, visits=max(1, visits_of(history, s.target)), raw=s.raw, matched=s.matched)
        for s in scores
    ]
    return look(candidates, compared, spec, number), scores


class Course:
    """The course of one session. ``emit`` is given by who journals (the loop) before anything is asked.

    Parameters
    ----------
    plan : whose targets are visited
    rig : coil and waveform, in words
    """

    def __init__(
        self, plan: Plan, prescription: Prescription, line: SignalLine, rig: Mapping[str, str]
    ) -> None:
        self._plan, self._prescription, self._line, self._rig = plan, prescription, line, rig
        self._renews = plan.decision is not None and plan.decision.return_filter == "fresh"
        self._ongoing = line.ongoing = Ongoing()
        self.history: list[Event] = []
        self._scores: tuple[MatchedScore, ...] = ()
        self._asked = False  # the operator was asked whether a target is recorded anew
        self._over = ""  # why the course ended without its look
        self._keeper: Keeper | None = None  # where nothing is kept (a recording), no run can resume
        self._powers: Mapping[str, tuple[int, float | None]] = {}  # at which an earlier run visited
        self._here = True  # where the coil is is known from the history
        self.emit: Emit = lambda kind, /, *, sync=False, **data: None

    def fixed(self) -> dict[str, Any]:
        """What the study fixed beforehand, as JSON values, for the record: a replay decides by it."""
        return self._prescription.to_dict() | {
            "rig": dict(self._rig),
            "return_filter": "fresh" if self._renews else "kept",
        }

    def _enter(self, event: Event) -> None:
        self.history.append(event)
        self.emit(KIND_OF[type(event)], **event_dict(event))

    def keep_in(self, folder: SessionFolder) -> None:
        """Keep the trials of each visit in the session's folder, for a run that resumes it."""
        self._keeper = Keeper(folder, self._line, self._ongoing)

    def resume(self, earlier: Earlier, now: Mapping[str, Any]) -> None:
        """Go on with the map of an earlier run of the session, as far as its trials are whole. ``now``: ``session_started``.

        IntegrityProblem when this session's folder cannot take the trials over.
        """
        assert self._keeper is not None
        plain = json.loads(json.dumps(now))
        over = self._is_over(earlier.history)
        taken = taken_over(earlier, plain, over=over, n_channels=self._line.montage.n_channels)
        rows = self._keeper.take(taken)
        self.history, self._powers, self._here = list(taken.history), taken.powers, False
        scores = earlier.scores if taken.history and any(isinstance(e, Look) for e in taken.history) else []
        self._scores = tuple(score_of(s) for s in scores)
        self.emit(
            kinds.MAP_RESUMED, sync=True, run=earlier.folder.path.name, files=rows, scores=scores, lost=list(taken.lost),
            history=[event_dict(e) for e in self.history], bytes=sum(r["bytes"] for r in rows),
            words=_resumed_words(taken.words, sum(r["bytes"] for r in rows), over),
        )  # fmt: skip

    def _is_over(self, history: Sequence[Event]) -> bool:
        """Whether the map has its answer already."""
        last = next((e for e in reversed(history) if isinstance(e, Look)), None)
        step = next_step(self._prescription.course, history)
        return step.do is Do.END and last is not None and last.outcome is not Outcome.NOT_COMPARABLE

    def left_of(self, steps: Sequence[Step], earlier: Earlier | None) -> tuple[Step, ...]:
        """The plan's first visits that are still to be made, before anything is asked of the map."""
        if earlier is None:
            return tuple(steps)
        if self._is_over(earlier.history):
            return ()
        return tuple(s for s in steps if not visits_of(earlier.history, s.target))

    def _counted(self, target: str) -> int:
        n = 0
        for event in self.history:
            if not isinstance(event, Look) and event.target == target:
                n = n + event.accepted if isinstance(event, Visit) else 0
        return n

    def _n_now(self, target: str) -> int:
        """Trials of a target that count now, those of an earlier run with them."""
        return self._line.scorer(target, "run").n_accepted + self._ongoing.n_carried(key_of(target, "run"))

    def accepted(self, target: str) -> None:
        """The operator accepted what a visit brought."""
        if self._asked:  # nothing was recorded: it stays at what the look said
            self._over = "the targets are not comparable, and none was recorded again"
            return
        self._here = True
        self._enter(Visit(target=target, accepted=max(0, self._n_now(target) - self._counted(target))))
        if self._keeper is not None:
            kept = self._keeper.keep(target)
            self.emit(kinds.VISIT_KEPT, sync=True, **kept)

    def restarted(self, target: str) -> None:
        """The trials of a target's run were forgotten."""
        self._asked = False
        if visits_of(self.history, target):
            self._enter(Restart(target=target))

    def next(self, left_out: str = "") -> tuple[Step, ...]:
        """The steps of the next visit, after any look that is due; () when there is nothing more to do.

        left_out : the target of a proposed visit that the operator skipped: then there is no more
        """
        if left_out:
            self._over = f"the proposed visit of {left_out} was left out"
        if self._over:
            return ()
        while (step := next_step(self._prescription.course, self.history)).do is Do.LOOK:
            found, self._scores = look_at(
                self._line, self._ongoing, self._prescription, self.history, step.number, self._rig
            )
            if self._scores:
                self.emit(
                    kinds.TARGETS_MATCHED, number=step.number, scores=[score_dict(s) for s in self._scores]
                )
            self._enter(found)
        if step.do is Do.END:
            return self._remedy()
        return self._visit(step)

    def _visit(self, step: Proposal) -> tuple[Step, ...]:
        assert step.target is not None
        most = self._prescription.most(step.pulses)
        move = step.move or not self._here
        self.emit(kinds.VISIT_PROPOSED, target=step.target, pulses=step.pulses, move=move, words=step.why)
        if not visits_of(self.history, step.target):
            return visit_anew(self._plan, step.target, step.why)
        why = f"{step.why}; its {self._n_now(step.target)} accepted trials so far count on"
        why = why if move else f"{why}; the coil is there already"
        self._filter_of_return(step.target, move)
        return visit_again(
            self._plan, step.target, step.pulses, most, why, power=self._powers.get(step.target)
        )

    def _filter_of_return(self, target: str, move: bool) -> None:
        """Which artifact filter cleans the trials of a return visit, told where the coil is placed anew or none is there."""
        if not (self._line.spec.sound or self._line.spec.muscle):
            return
        seen = self._line.scorer(target, "run").seen
        if move and self._renews and self._line.renew(target, "run"):
            words = f"{target}: the coil is placed anew, so this visit learns its own artifact filter, as a first visit does"
        elif not seen and self._ongoing.n_carried(key_of(target, "run")):
            words = f"{target}: what the run before learnt of its artifacts ended with it: this visit learns its own filter"
        elif move and seen and not self._renews:
            words = f"{target}: the coil is placed anew, and this visit goes on with the artifact filter of the visit before"
            self.emit(
                kinds.NOTE_WRITTEN, words=f'{words}, as the plan says (return_filter = "kept")', by="engine"
            )
            return
        else:
            return
        self.emit(kinds.FILTER_RENEWED, target=target, block="run", words=words)

    def _remedy(self) -> tuple[Step, ...]:
        """Where the targets are not comparable: whether the worst is recorded from the beginning."""
        found = self._last
        if found is None or found.outcome is not Outcome.NOT_COMPARABLE or found.comparability is None:
            return ()
        failures = sorted(found.comparability.failures, key=lambda f: f.more_pulses is not None)
        if not failures:
            return ()
        target = failures[0].target
        self._asked = True
        question = f"{found.words} Redo: {target} from the beginning (its trials so far do not count then); accept: end so."
        return (Review(index=0, target=target, rejected_share_max=1.0, question=question),)

    @property
    def _last(self) -> Look | None:
        return next((e for e in reversed(self.history) if isinstance(e, Look)), None)

    def of_a_recording(self, emit: Emit) -> dict[str, Any]:
        """The answer to a recording that is over: every target that has trials was visited once, and no visit follows."""
        self.emit = emit
        for target in self._prescription.course.targets:
            if self._line.scorer(target, "run").seen:
                self.accepted(target)
        self.next()
        return self.decision()

    def decision(self) -> dict[str, Any]:
        """The answer as JSON values, with both scores of every target and every row of the comparability test."""
        found, scores = self._last, self._scores
        answer = self._answer(found)
        rows = () if found is None or found.comparability is None else found.comparability.findings
        told = {} if found is None else event_dict(found)
        return {
            "kind": answer.kind.value, "question": answer.question.value, "target": answer.target, "words": answer.words,
            "note": answer.note, "more_pulses": answer.more_pulses, "scores": [score_dict(s) for s in scores],
            "findings": told["comparability"]["findings"] if rows else [],
            "looks": [event_dict(e) for e in self.history if isinstance(e, Look)],
        }  # fmt: skip

    def _answer(self, found: Look | None) -> Decision:
        if found is not None and found.outcome is not Outcome.RETURN and not self._begun_anew():
            given = [Candidate(target=s.target, visits=1, raw=s.raw, matched=s.matched) for s in self._scores]
            return decision_of(found, given)
        spec = self._prescription.look
        spent = sum(1 for e in self.history if isinstance(e, Look) and e.spent)
        why = self._over or "the pulses end here"
        return Decision(
            kind=DecisionKind.UNDECIDED, question=spec.question, target=None, note=TRIAL_NOTE,
            words=f"Undecided: {why}, before look {spent + 1} of {spec.looks}. No target is named from this map.",
            ranking=rank((s.target, s.raw) for s in self._scores),
        )  # fmt: skip

    def _begun_anew(self) -> bool:
        """Whether a target was restarted after the last look: what that look said holds no more."""
        since = next(
            (i for i, e in enumerate(reversed(self.history)) if isinstance(e, Look)), len(self.history)
        )
        return any(isinstance(e, Restart) for e in self.history[len(self.history) - since :])


def _resumed_words(words: str, size: int, over: bool) -> str:
    if over:
        return "the map was answered before the run before ended: no pulse is needed for it"
    return f"{words} ({size / 1e6:.1f} MB on the disk)" if size else words


def course_of(plan: Plan, line: SignalLine) -> Course | None:
    """The course of a session by this plan; None where it asks nothing of the map, or names no target from it."""
    prescription = prescription_of(plan)
    if prescription is None:
        return None
    rig = {} if plan.unit is None else {"coil": plan.unit.coil, "waveform": plan.unit.waveform}
    return Course(plan, prescription, line, rig)
