"""Owns the report of a whole study for one of its people: who took part, what was given, what came of it, as they may see it."""

from __future__ import annotations

from typing import Any

from rtloop.model.course import Arm
from rtloop.record.course_figures import Dot, Scatter, association_figure, courses_figure
from rtloop.record.course_report import LOCAL_WORDS, NO_CUTOFF, events_section, zero_day
from rtloop.record.document import ABSENT, Document, Grid, Section
from rtloop.record.report import number
from rtloop.record.study_items import head_of, items, record_section
from rtloop.study.adherence import adherence, findings
from rtloop.study.association import EXPLORATORY, Association, association, by_arm, difference, share_interval
from rtloop.study.calendar import days_between
from rtloop.study.outcomes import PAIN
from rtloop.study.reported import Seen, baseline_rows
from rtloop.study.resolve import NO_BENEFIT
from rtloop.study.state import Participant
from rtloop.study.study import Study

#: the slope is told for this much of LOCAL: about two standard deviations between people (docs/validation.md, section 2)
PER = 0.1


def study_report(study: Study, *, by: str) -> Document:
    """The report of the study for one person of it."""
    seen = Seen(study, by=by, what="report of the study")
    people, course = seen.people(), study.course
    facts = {
        "Course": f"{course.name} [{course.label}]: {len(course.visits)} treatments, {len(course.assessments)} assessments",
        "Participants": str(len(people)),
    }
    sections = [
        _flow(seen, people), _given(seen, people), _pain(seen, people), _association(seen), _deviations(seen, people),
        events_section(seen, None), items(seen, None), record_section(seen),
    ]  # fmt: skip
    return head_of(
        seen, title=f"Study {study.state.study.name if study.state.study else ''}", facts=facts,
        sections=tuple(s for s in sections if s is not None),
    )  # fmt: skip


def _groups(seen: Seen, people: dict[str, Participant]) -> dict[str, list[str]]:
    """Codes by arm where arms are seen, else all together."""
    if not seen.sees("allocation", sealed=True):
        return {"everybody": list(people)}
    return {str(a): [c for c in people if seen.arm_of(c) == a] for a in Arm}


def _flow(seen: Seen, people: dict[str, Participant]) -> Section:
    groups = _groups(seen, people)
    columns = {"all": list(people), **({} if "everybody" in groups else groups)}
    visits = len(seen.study.course.visits)

    def row(name: str, test: object) -> tuple[str, ...]:
        assert callable(test)
        return (name, *(str(sum(bool(test(people[c])) for c in codes)) for codes in columns.values()))

    rows = [row("enrolled", lambda w: True)]
    if seen.sees("screening"):
        rows.append(row("may take part (screened)", lambda w: w.eligible))
    if seen.sees("kept"):
        rows.append(row("allocated", lambda w: "allocated" in w.kept))
    rows.append(row("treated at least once", lambda w: w.calendar.given))
    rows.append(row("every treatment given", lambda w: len(w.calendar.done) == visits))
    rows.append(row("course stopped", lambda w: w.calendar.stopped))
    if seen.sees("outcome"):
        rows.append(row("primary outcome taken", lambda w: w.response(seen.study.course).primary is not None))
    grid = Grid(head=("", *columns), rows=tuple(rows), numbers=frozenset(range(1, 1 + len(columns))))
    return Section(title="Participants", tables=(grid,))


def _given(seen: Seen, people: dict[str, Participant]) -> Section:
    course, today = seen.study.course, seen.study.today
    dosed = seen.sees("treatment_given", "planned")
    head = [
        "Participant",
        *(["Arm"] if seen.sees("allocation", sealed=True) else []),
        *(["Target"] if seen.sees("target") else []),
    ]
    head += ["Given", "Missed", "Overdue", "Stopped"] + (
        ["Planned", "Delivered", "Uncertain", "Look into"] if dosed else []
    )
    rows, planned, delivered, uncertain = [], 0, 0, 0
    for code, who in people.items():
        a, arm = adherence(course, who.calendar, today), seen.arm_of(code)
        cells = [
            code,
            *([] if arm is None else [arm or ABSENT]),
            *([who.target or ABSENT] if seen.sees("target") else []),
        ]
        cells += [f"{a.done} of {a.visits}", str(a.missed), str(a.overdue), who.calendar.stopped or ABSENT]
        if dosed:
            cells += [
                str(a.planned),
                str(a.delivered),
                str(a.uncertain),
                str(len(findings(course, who.calendar)) or ABSENT),
            ]
            planned, delivered, uncertain = (
                planned + a.planned,
                delivered + a.delivered,
                uncertain + a.uncertain,
            )
        rows.append(tuple(cells))
    words: tuple[str, ...] = ()
    if dosed and planned:
        words = (
            f"{delivered} of {planned} planned pulses certainly delivered ({100 * delivered / planned:.1f} %), {uncertain} "
            "uncertain: they count as given.",
        )
    at = len(head) - (8 if dosed else 4)
    grid = Grid(head=tuple(head), rows=tuple(rows), numbers=frozenset(range(at, len(head))), small=True)
    return Section(title="Planned and given", words=words, tables=(grid,))


def _pain(seen: Seen, people: dict[str, Participant]) -> Section | None:
    if not seen.sees("outcome"):
        return None
    course, lines, rows = seen.study.course, {}, []
    standing = _standing(seen)
    for group, codes in _groups(seen, people).items():
        told = []
        for code in codes:
            zero = zero_day(people[code])[0]
            dots = [
                Dot(day=days_between(zero, r["day"]), value=r["value"])
                for r in standing
                if r["participant"] == code and r["scale"] == PAIN
            ]
            told += [(code, dots)] if dots else []
        lines[group] = told
        answers = [people[c].response(course) for c in codes]
        known = [r for r in answers if r.responder is not None]
        falls = [r.fall_pct for r in known if r.fall_pct is not None]
        if not known:
            rows.append((group, "0", ABSENT, ABSENT, ABSENT))
            continue
        k = sum(bool(r.responder) for r in known)
        low, high = share_interval(k, len(known))
        rows.append(
            (group, str(len(known)), f"{sum(falls) / len(falls):.0f} %", f"{k}", f"{100 * low:.0f} to {100 * high:.0f} %")
        )  # fmt: skip
    figures: tuple[tuple[str, str], ...] = ()
    if any(lines.values()):
        figures = (
            (courses_figure(lines, "pain, 0 to 10", (-0.5, 10.5)), "Pain of each participant over the days."),
        )
    grid = Grid(
        head=("", "With both values", "Mean fall of pain", "Responders", "95 % interval of their share"), rows=tuple(rows),
        numbers=frozenset((1, 2, 3)),
    )  # fmt: skip
    definition = (
        f"A responder's pain fell by at least 30 % from {course.baseline} to {course.primary}. Intervals of shares by Wilson. "
        "Participants without both values are not counted: that is no analysis by intention to treat."
    )
    notes = (definition, NO_BENEFIT) if seen.sees("allocation", sealed=True) else (definition,)
    return Section(title="Pain", figures=figures, tables=(grid,), notes=notes)


def _standing(seen: Seen) -> list[dict[str, Any]]:
    rows = seen.rows("outcome")
    gone = {r["corrects"] for r in rows if r["corrects"] is not None}
    return [r for r in rows if r["n"] not in gone]


def _association(seen: Seen) -> Section | None:
    if not (
        seen.sees("probe", sealed=True) and seen.sees("allocation", sealed=True) and seen.sees("outcome")
    ):
        return None
    rows = baseline_rows(seen)
    found = by_arm(rows, [str(a) for a in Arm])
    everybody = association("all", rows)
    others = association("low and high", [r for r in rows if r.arm != Arm.CLASSIC])
    table = Grid(
        head=("Arm", "n", f"Fall of pain for {PER:g} more LOCAL, percentage points", "95 % interval", "Correlation",
              "95 % interval", "Reliability of the baseline"),
        rows=tuple(_row(a) for a in (*found.values(), everybody)), numbers=frozenset((1, 2, 4, 6)),
    )  # fmt: skip
    words = [f"How the fall of pain goes with LOCAL at M1 before the first treatment. {LOCAL_WORDS}."]
    between = difference(found[str(Arm.CLASSIC)], others)
    if between is not None:
        words.append(
            f"The slope in the classic arm less that in the other two together: {PER * between.value:+.1f} percentage points for "
            f"{PER:g} more LOCAL (95 % interval {PER * between.low:+.1f} to {PER * between.high:+.1f})."
        )
    scatter = [
        Scatter(
            arm=arm, x=tuple(r.x for r in rows if r.arm == arm), y=tuple(r.y for r in rows if r.arm == arm),
            fit=None if a.why_absent else (a.intercept, a.slope), title=f"{arm}, n = {a.n}",
        )
        for arm, a in found.items()
    ]  # fmt: skip
    figures: tuple[tuple[str, str], ...] = ()
    if rows:
        figures = (
            (
                association_figure(scatter, "baseline LOCAL at M1", "fall of pain, %"),
                "One mark for each participant.",
            ),
        )
    notes = (
        EXPLORATORY,
        "Slopes by ordinary least squares with Student's t; correlations by Fisher's z. The measured LOCAL has an error of its "
        "own, which flattens a slope: reliability 1 would be none.",
        NO_CUTOFF,
    )
    return Section(
        title="Baseline M1 and what came of it: exploratory",
        words=tuple(words),
        figures=figures,
        tables=(table,),
        notes=notes,
    )


def _row(a: Association) -> tuple[str, ...]:
    if a.why_absent:
        return (a.arm, str(a.n), f"{ABSENT} ({a.why_absent})", *[ABSENT] * 4)
    return (
        a.arm, str(a.n), f"{PER * a.slope:+.1f}", f"{PER * a.low:+.1f} to {PER * a.high:+.1f}", f"{a.r:+.2f}",
        f"{a.r_low:+.2f} to {a.r_high:+.2f}", number(a.reliability, 2),
    )  # fmt: skip


def _deviations(seen: Seen, people: dict[str, Participant]) -> Section | None:
    if not seen.sees("deviation"):
        return None
    why = seen.reasons()
    rows = [(r["n"], r["participant"], r["what"]) for r in seen.rows("deviation")]
    rows += [(r["n"], r["participant"], f"treatment {r['visit']} missed") for r in seen.rows("missed")]
    rows += [
        (r["n"], r["participant"], f"treatment {r['visit']} moved to {r['to_day']}")
        for r in seen.rows("moved")
    ]
    rows += [(r["n"], r["participant"], f"course stopped on {r['day']}") for r in seen.rows("stopped")]
    odd = [f"{code}: {f}." for code, who in people.items() for f in findings(seen.study.course, who.calendar)]
    if not rows:
        return Section(title="Deviations", words=("None was recorded.", *odd))
    body = tuple((code, what, why.get(n, ABSENT)) for n, code, what in sorted(rows))
    notes = () if seen.sees("entry", "reason") else ("Reasons are not shown to your role.",)
    return Section(
        title="Deviations", words=tuple(odd), notes=notes,
        tables=(Grid(head=("Participant", "What", "Why"), rows=body, small=True),),
    )  # fmt: skip
