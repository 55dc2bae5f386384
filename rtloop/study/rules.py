"""Owns what may be written into a study: every reason against a record at once, of the state it would follow; writes nothing.

What a treatment came to is a fact and always taken in; whether one may begin is judged before.
"""

from __future__ import annotations

from rtloop.model.course import TreatmentBegun, TreatmentGiven
from rtloop.model.status import Mode
from rtloop.study.allocation import next_place
from rtloop.study.calendar import missed_faults, moved_faults, too_soon, whats_next
from rtloop.study.fields import Role
from rtloop.study.log import Anything, kind_of
from rtloop.study.records import (
    AdverseEvent,
    Allocated,
    CourseStopped,
    Deviation,
    Enrolled,
    Kept,
    ListMade,
    Missed,
    Moved,
    OutcomeTaken,
    PersonAdded,
    StudyMade,
    TargetChosen,
    TargetResolved,
)
from rtloop.study.roles import may_write
from rtloop.study.state import Hidden, Participant, State, runs_of

#: kinds that need a reason in the entry
REASONED = (Missed, Moved, Deviation, CourseStopped)


def refusals(
    state: State, hidden: Hidden | None, record: Anything, *, role: Role, today: str, reason: str
) -> list[str]:
    """Every reason why this record may not be written now by this role; empty: it may."""
    kind = kind_of(record)
    if isinstance(record, StudyMade):
        return ["the study was made already"] if state.study else []
    if state.course is None:
        return ["the study has no first record"]
    bad = (
        []
        if may_write(role, kind, blinded=state.blinded)
        else [f"the role {role} does not write {kind.replace('_', ' ')}"]
    )
    day = getattr(record, "day", None)
    if isinstance(day, str) and day > today:
        bad.append(f"{day} is not over, today is {today} (UTC)")
    if isinstance(record, REASONED) and not reason.strip():
        bad.append("a reason is needed")
    code = getattr(record, "participant", None)
    who = None if code is None else state.participants.get(code)
    if code is not None and who is None and not isinstance(record, Enrolled):
        return [*bad, f"{code} is not enrolled"]
    if isinstance(record, PersonAdded) and record.person in state.people:
        bad.append(f"{record.person} is in the study already, as {state.people[record.person]}")
    elif isinstance(record, Enrolled):
        bad += _enrolled(state, record)
    elif isinstance(record, ListMade):
        bad += _listed(state, hidden, record)
    elif who is not None:
        if isinstance(record, TargetChosen) and role is Role.OPERATOR and state.blinded:
            bad += _as_resolved(hidden, record)
        bad += _of_participant(state, hidden, who, record, today=today, reason=reason)
    return bad


def _enrolled(state: State, record: Enrolled) -> list[str]:
    bad = [f"{record.participant} is enrolled already"] if record.participant in state.participants else []
    strata = state.study.strata if state.study else ()
    if record.stratum not in (strata or ("",)):
        bad.append(
            f"stratum {record.stratum!r}, expected {', '.join(strata) if strata else 'none: this study has no strata'}"
        )
    return bad


def _listed(state: State, hidden: Hidden | None, record: ListMade) -> list[str]:
    bad = ["there is an allocation list already, and there is only one"] if hidden and hidden.listed else []
    strata = set(state.study.strata if state.study else ()) or {""}
    wrong = sorted({e[0] for e in record.entries} - strata)
    lacking = sorted(strata - {e[0] for e in record.entries})
    bad += (
        [f"the list names strata that the study does not have: {', '.join(map(repr, wrong))}"]
        if wrong
        else []
    )
    return bad + ([f"the list has no place for {', '.join(map(repr, lacking))}"] if lacking else [])


def _of_participant(
    state: State, hidden: Hidden | None, who: Participant, record: Anything, *, today: str, reason: str
) -> list[str]:
    course = state.course
    assert course is not None
    if isinstance(record, TreatmentGiven):
        return _right_study(state, record)
    if isinstance(record, TreatmentBegun):
        return [
            *_right_study(state, record),
            *not_today(state, who, today, record.utc),
            *_as_next(state, who, record, today),
        ]
    if isinstance(record, Missed):
        return missed_faults(course, who.calendar, record.visit)
    if isinstance(record, Moved):
        return moved_faults(course, who.calendar, record.visit, record.to_day, today)
    if isinstance(record, CourseStopped):
        return [f"the course was stopped on {who.calendar.stopped} already"] if who.calendar.stopped else []
    if isinstance(record, TargetChosen):
        given = bool(who.calendar.given)
        bad = (
            [f"the target is {who.target}, and treatment has begun"]
            if given and who.target != record.target
            else []
        )
        return bad + ([] if "allocated" in who.kept else [f"{who.code} is not allocated"])
    if isinstance(record, OutcomeTaken):
        return _outcome(state, who, record, reason)
    if isinstance(record, AdverseEvent):
        return _corrects(
            record.corrects, {n for n, _ in who.events}, {e.corrects for _, e in who.events}, reason
        )
    if isinstance(record, TargetResolved):
        known = hidden is not None and who.code in hidden.resolved
        return [f"the target of {who.code} was resolved already"] if known else []
    if isinstance(record, Allocated):
        return _allocated(hidden, who, record)
    if isinstance(record, Kept) and record.sealed_n in state.announced:
        return [f"sealed line {record.sealed_n} is told of already"]
    return []


def _as_resolved(hidden: Hidden | None, record: TargetChosen) -> list[str]:
    """Why an operator may not write this target: nothing is chosen at the bedside."""
    known = None if hidden is None else hidden.resolved.get(record.participant)
    if known is not None and known.target == record.target:
        return []
    return [
        "an operator takes the target that follows from arm and map (--from-map); an unblinded person may name one"
    ]


def _right_study(state: State, record: TreatmentBegun) -> list[str]:
    simulated = state.study is not None and state.study.simulated
    wanted = Mode.SIMULATED if simulated else Mode.HUMAN
    return (
        []
        if record.mode == wanted
        else [f"a treatment in mode {record.mode}, this study takes {wanted} only"]
    )


def not_today(state: State, who: Participant, today: str, now_utc: str = "") -> list[str]:
    """Every reason why this participant may not be treated today, as far as the study knows; never the arm.

    ``now_utc``: the instant, so that the hours since the last treatment are looked at too.
    """
    assert state.course is not None
    bad = [] if who.eligible else ["no signed screening says that this participant may take part"]
    bad += [] if "allocated" in who.kept else ["not allocated"]
    bad += [] if who.target else ["no target was chosen"]
    if not who.calendar.given and state.course.baseline not in who.values:
        bad.append(
            f"the assessment {state.course.baseline} was not taken: after the first treatment there is no baseline"
        )
    due = whats_next(state.course, who.calendar, today)
    return [
        *bad,
        *due.not_today,
        *(too_soon(who.calendar, now_utc) if now_utc and due.kind == "treat" else ()),
    ]


def _as_next(state: State, who: Participant, record: TreatmentBegun, today: str) -> list[str]:
    assert state.course is not None
    due = whats_next(state.course, who.calendar, today)
    bad = [] if record.day == today else [f"its day is {record.day}, today is {today}"]
    bad += (
        [f"the target is {record.target}, expected {who.target}"]
        if who.target and record.target != who.target
        else []
    )
    plan = state.course.treatment
    bad += [f"the plan is {record.plan}, the course has {plan}"] if plan and record.plan != plan else []
    bad += (
        [f"treatment {record.visit}, expected {due.visit}"] if due.visit and record.visit != due.visit else []
    )
    bad += [f"the run {record.run_id} was told of already"] if record.run_id in runs_of(who) else []
    if due.kind == "resume":
        if record.session_id != due.session_id:
            bad.append(f"session {record.session_id}, expected to resume {due.session_id} of today")
        session = who.calendar.sessions[due.session_id]
        if record.planned > due.left:
            bad.append(f"{record.planned} pulses planned, but only {due.left} of the session are left")
        if record.trains_planned > (trains := session.trains_planned - session.trains_given):
            bad.append(f"{record.trains_planned} trains planned, but only {trains} of the session are left")
        first = session.runs[0]
        if (record.plan_sha256, record.session_planned) != (first.plan_sha256, first.session_planned):
            bad.append(
                f"another plan than that of the session ({first.plan}, {first.session_planned} pulses)"
            )
    elif record.session_id in who.calendar.sessions and who.calendar.sessions[record.session_id].day != today:
        bad.append(f"session {record.session_id} is of another day")
    return bad


def _outcome(state: State, who: Participant, record: OutcomeTaken, reason: str) -> list[str]:
    assert state.course is not None
    names = [a.name for a in state.course.assessments]
    if record.assessment not in names:
        return [f"the course has no assessment {record.assessment!r} (it has {', '.join(names)})"]
    if record.corrects is None:
        have = sorted(set(who.values.get(record.assessment, {})) & set(record.scales))
        return (
            [f"{', '.join(have)} was taken at {record.assessment} already: correct it, with a reason"]
            if have
            else []
        )
    same = {n: r for n, r in who.outcomes if r.assessment == record.assessment}
    bad = _corrects(record.corrects, set(same), {r.corrects for _, r in who.outcomes}, reason)
    before = same.get(record.corrects)
    if not bad and before is not None and set(before.scales) != set(record.scales):
        bad.append(
            f"a correction gives every scale of the record it corrects: {', '.join(sorted(before.scales))}"
        )
    return bad


def _corrects(corrects: int | None, mine: set[int], gone: set[int | None], reason: str) -> list[str]:
    if corrects is None:
        return []
    bad = [] if corrects in mine else [f"record {corrects} is no such record of this participant"]
    bad += [f"record {corrects} was corrected already: correct the newest"] if corrects in gone else []
    return bad + ([] if reason.strip() else ["a correction needs a reason"])


def _allocated(hidden: Hidden | None, who: Participant, record: Allocated) -> list[str]:
    if hidden is None or hidden.listed is None:
        return ["there is no allocation list"]
    bad = [] if who.eligible else ["no signed screening says that this participant may take part"]
    if who.code in hidden.allocated:
        return [*bad, f"{who.code} is allocated already"]
    place = next_place(
        hidden.listed, list(hidden.allocated.values()), participant=who.code, stratum=who.stratum
    )
    return bad + ([] if place == record else ["it is not the next place of the list"])
