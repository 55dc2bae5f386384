"""Owns what a person is told of a study and of each participant: values by name, each only where the role may read its source."""

from __future__ import annotations

from typing import Any

from rtloop.study.adherence import adherence, assessments, findings
from rtloop.study.calendar import Span, whats_next
from rtloop.study.fields import Role
from rtloop.study.roles import Columns, readable
from rtloop.study.rules import not_today
from rtloop.study.state import Participant
from rtloop.study.study import Study


class Sight:
    """What a role sees: ``sees("target")`` a table, ``sees("treatment_given", "words")`` a column of it."""

    def __init__(self, role: Role, *, blinded: bool) -> None:
        self._open, self._sealed = readable(role, blinded=blinded)

    def sees(self, table: str, column: str = "", *, sealed: bool = False) -> bool:
        columns: Columns = self._sealed if sealed else self._open
        return table in columns and (not column or column in columns[table])


def sight_of(study: Study, by: str) -> Sight:
    """What this person sees."""
    return Sight(study.role_of(by), blinded=study.state.blinded)


def participant(study: Study, code: str, *, by: str, arm: bool = False) -> dict[str, Any]:
    """Everything this person may be told of one participant (JSON values). ``arm``: with it; ``Study.read`` keeps who looked."""
    see, who, today = sight_of(study, by), study.state.participants[code], study.today
    course, calendar = study.course, who.calendar
    next_ = whats_next(course, calendar, today)
    told: dict[str, Any] = {"participant": code, "stratum": who.stratum, "enrolled": calendar.enrolled}
    treatment: dict[str, Any] = {"kind": next_.kind, "visit": next_.visit, "span": _span(next_.span)}
    treatment["done"], treatment["missed"] = sorted(calendar.done), sorted(calendar.missed)
    if see.sees("treatment_given", "planned"):
        treatment |= {"session_id": next_.session_id, "left": next_.left, "trains_given": next_.trains_given}
        treatment["not_today"] = not_today(study.state, who, today, study.clock.utc())
        told["findings"] = list(findings(course, calendar))
        told["adherence"] = _adherence(study, who)
    told["treatment"] = treatment
    if see.sees("screening"):
        told["eligible"] = None if who.screening is None else who.eligible
    if see.sees("kept"):
        told["allocated"] = "allocated" in who.kept
    if see.sees("target"):
        told["target"] = who.target
        if who.target is None and (words := study.map_told(code)):
            told["map"] = words
    if see.sees("threshold"):
        told["threshold"] = None if who.threshold is None else who.threshold.data()
    if see.sees("outcome"):
        due = assessments(course, calendar, today)
        told["assessments"] = [
            {"name": d.name, "span": _span(d.span), "taken": d.taken, "words": d.words} for d in due
        ]
        told["outcomes"] = who.values
        r = who.response(course)
        told["response"] = {
            "baseline": r.baseline,
            "primary": r.primary,
            "fall_pct": r.fall_pct,
            "responder": r.responder,
        }
    if see.sees("adverse_event"):
        told["adverse_events"] = len(_standing(who))
        told["serious"] = sum(bool(e.serious) for e in _standing(who))
    if arm and see.sees("allocation", sealed=True) and not study.no_seal:
        place = study.arm_of(code)
        told["arm"] = None if place is None else place.arm
    return told


def status(study: Study, *, by: str) -> dict[str, Any]:
    """Everything this person may be told of the study and of each participant (JSON values). Keeps who looked."""
    study.read(by=by, what="status")
    first = study.state.study
    assert first is not None
    return {
        "study": first.name, "blinded": first.blinded, "simulated": first.simulated, "course": study.course.name,
        "label": study.course.label, "today": study.today, "by": by, "role": str(study.role_of(by)), "entries": study.state.n,
        "head": study.state.head,
        "participants": [participant(study, c, by=by, arm=True) for c in sorted(study.state.participants)],
    }  # fmt: skip


def _span(span: Span | None) -> dict[str, Any] | None:
    return (
        None
        if span is None
        else {"due": span.due, "earliest": span.earliest, "latest": span.latest, "fits": span.fits}
    )


def _standing(who: Participant) -> list[Any]:
    gone = {e.corrects for _, e in who.events}
    return [e for n, e in who.events if n not in gone]


def _adherence(study: Study, who: Participant) -> dict[str, Any]:
    a = adherence(study.course, who.calendar, study.today)
    return {
        "visits": a.visits, "done": a.done, "whole": a.whole, "missed": a.missed, "moved": a.moved, "overdue": a.overdue,
        "share": a.share, "planned": a.planned, "delivered": a.delivered, "uncertain": a.uncertain,
    }  # fmt: skip
