"""Owns what a finished mapping answers to each question that an arm may ask, read from its journal; owns no arm and no rule.

A map is asked one question while it is made; which target the other one would name follows from the same scores, the same
comparability test and the same look, so that nobody at the bedside need know the arm before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rtloop.decide.comparability import Comparability
from rtloop.decide.course import Event as Entry
from rtloop.decide.look import Candidate, Look, LookSpec, decision_of, look, more_to_decide
from rtloop.decide.mapping import DecisionKind, Question
from rtloop.decide.prescription import Prescription
from rtloop.decide.recorded import event_of, score_of
from rtloop.model.event import Event
from rtloop.model.view import View
from rtloop.record import kinds
from rtloop.session.keeping import visits_of
from rtloop.study.records import Answer

_ASKED = (Question.LOW, Question.HIGH)
_HISTORY = (kinds.MAP_VISITED, kinds.MAP_RESTARTED, kinds.MAP_LOOKED_AT)


def answers_of(view: View, events: Sequence[Event]) -> dict[str, Answer]:
    """question -> what the map answers to it; {} for a map that was asked nothing (its plan has no ``[decision]``).

    The question that the map was made with has the session's own answer. ValidationProblem where the record cannot be read.
    """
    decided, fixed = view.decision, view.started.get("decision")
    if decided is None or fixed is None or decided["kind"] not in ("decided", "undecided", "not_comparable"):
        return {}
    spec = Prescription.from_dict(fixed).look
    history = _history(events)
    candidates = [
        Candidate(target=s.target, visits=max(1, visits_of(history, s.target)), raw=s.raw, matched=s.matched)
        for s in map(score_of, decided.get("scores", ()))
    ]
    found = next((e for e in reversed(history) if isinstance(e, Look)), None)
    own = Answer(
        kind=decided["kind"], target=decided["target"] or "", more_pulses=decided["more_pulses"], words=decided["words"][:500]
    )  # fmt: skip
    if found is None or found.comparability is None or not candidates:
        return {q.value: own for q in _ASKED}
    out = {}
    for question in _ASKED:
        asked = replace(spec, question=question)
        answer = own if question is spec.question else _answer(candidates, found.comparability, asked, found)
        if answer.kind != DecisionKind.DECIDED:
            more = more_to_decide(candidates, found.comparability, asked)
            answer = replace(answer, more_pulses=more or None)
        out[question.value] = answer
    return out


def _answer(candidates: list[Candidate], compared: Comparability, asked: LookSpec, found: Look) -> Answer:
    """The same look with another question."""
    other = look(candidates, compared, asked, found.number)
    if other.leader is not None and other.outcome.value == "return to two":
        words = f"{other.words} The map ended before them."
        return Answer(kind=str(DecisionKind.UNDECIDED), target="", more_pulses=None, words=words[:500])
    told = decision_of(other, candidates)
    return Answer(
        kind=str(told.kind), target=told.target or "", more_pulses=told.more_pulses, words=told.words[:500]
    )


def _history(events: Sequence[Event]) -> list[Entry]:
    out: list[Entry] = []
    for e in events:
        if e.kind == kinds.MAP_RESUMED:
            out = [event_of(d) for d in e.data["history"]]
        elif e.kind in _HISTORY:
            out.append(event_of(e.data))
    return out
