"""Owns the report of one participant's course: planned, given and measured over the weeks, as far as one person may see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rtloop.record.course_figures import Bar, Dot, Panel, dose_figure, weeks_figure
from rtloop.record.document import ABSENT, Document, Grid, Section
from rtloop.record.report import number
from rtloop.record.study_items import head_of, items, record_section
from rtloop.study.adherence import adherence, findings
from rtloop.study.calendar import Session, days_between, own_span, span
from rtloop.study.fields import SCALES
from rtloop.study.over_time import baseline_of, changes
from rtloop.study.over_time import words as change_words
from rtloop.study.reported import Seen, first_treated, probed, retests
from rtloop.study.state import Participant
from rtloop.study.study import Study

LOCAL_WORDS = "LOCAL at M1: dwPLI² among the four electrodes nearest the coil, pooled 8 to 30 Hz, with its 95 % interval"
NO_CUTOFF = "No published cut-off exists for local M1 connectivity: a change is told, never judged."


def course_report(study: Study, code: str, *, by: str) -> Document:
    """The report of one participant for one person of the study."""
    seen = Seen(study, by=by, what=f"report of {code}")
    who, course = study.state.participants[code], study.course
    facts = {"Participant": code, "Enrolled": who.calendar.enrolled or ABSENT}
    facts |= {"Stratum": who.stratum} if who.stratum else {}
    facts |= {"Target": who.target or "not chosen"} if seen.sees("target") else {}
    arm = seen.arm_of(code)
    facts |= {} if arm is None else {"Arm": arm or "not allocated"}
    facts["Course"] = f"{course.name} [{course.label}]: {len(course.visits)} treatments"
    if who.calendar.stopped:
        facts["Stopped"] = who.calendar.stopped
    sections = [
        _given(seen, who), _weeks(seen, who), _m1(seen, who), _map(seen, who), _thresholds(seen, who),
        _deviations(seen, who), events_section(seen, code), items(seen, code), record_section(seen),
    ]  # fmt: skip
    return head_of(
        seen, title=f"Course of {code}", facts=facts, sections=tuple(s for s in sections if s is not None)
    )


def zero_day(who: Participant) -> tuple[str, str]:
    """(day, what it is): of the first treatment, else of the enrolment."""
    first = next((s.day for s in who.calendar.given), None)
    return (first, "the first treatment") if first else (who.calendar.enrolled or "", "the enrolment")


def _given(seen: Seen, who: Participant) -> Section:
    course, calendar = seen.study.course, who.calendar
    sessions = {s.visit: s for s in calendar.given}
    if not seen.sees("treatment_given", "planned"):
        rows = tuple(
            (str(v.number), sessions[v.number].day if v.number in sessions else _state(who, v.number))
            for v in course.visits
        )
        return Section(
            title="Treatments",
            tables=(Grid(head=("Treatment", "Given on"), rows=rows),),
            notes=("Target, plan and pulses are not shown to your role.",),
        )
    a = adherence(course, calendar, seen.study.today)
    share = ABSENT if a.share is None else f"{100 * a.share:.0f} %"
    words = [
        f"{a.done} of {a.visits} treatments given ({a.whole} whole), {a.missed} missed, {a.overdue} overdue, {a.moved} moved; "
        f"adherence {share} of those that were due. {a.delivered} of {a.planned} pulses certainly delivered, {a.uncertain} "
        "uncertain (they count as given)."
    ]  # fmt: skip
    words += [
        f"Outside of the course: {s.session_id} on {s.day} at {s.runs[0].target}, {s.given_most} pulses count as given."
        for s in calendar.given
        if course.visit(s.visit) is None
    ]
    words += [f"Look into: {f}." for f in findings(course, calendar)]
    table = Grid(
        head=("No.", "Window", "Given on", "Planned", "Delivered", "Uncertain", "Not given", "Trains", "% RMT", "% MSO",
              "Threshold", "Ended"),
        rows=tuple(_visit(seen, who, v.number) for v in course.visits), numbers=frozenset(range(3, 11)), small=True,
    )  # fmt: skip
    bars = [_bar(v.number, [s for s in calendar.given if s.visit == v.number]) for v in course.visits]
    figures = (
        ((dose_figure(bars), "Pulses planned and given in each treatment."),)
        if any(b.planned for b in bars)
        else ()
    )
    return Section(
        title="Planned and given", words=tuple(words), figures=figures, tables=(table,),
        notes=("Pulses; planned = delivered + uncertain + not given. Uncertain: nobody knows whether they were given.",),
    )  # fmt: skip


def _bar(visit: int, sessions: Sequence[Session]) -> Bar:
    return Bar(
        label=str(visit), planned=sum(s.planned for s in sessions), delivered=sum(s.delivered for s in sessions),
        uncertain=sum(s.uncertain for s in sessions),
    )  # fmt: skip


def _state(who: Participant, visit: int) -> str:
    if visit in who.calendar.missed:
        return "missed"
    return f"moved to {who.calendar.moved[visit]}" if visit in who.calendar.moved else ABSENT


def _visit(seen: Seen, who: Participant, visit: int) -> tuple[str, ...]:
    course, calendar = seen.study.course, who.calendar
    planned = course.visits[visit - 1]
    mine = [s for s in calendar.given if s.visit == visit]
    window = own_span(course, calendar, planned) if mine else span(course, calendar, planned)
    when = ABSENT if window is None else window.due
    if window is not None and (window.earliest, window.latest) != (window.due, window.due):
        when = f"{window.earliest} to {window.latest}"
    if not mine:
        return (str(visit), when, _state(who, visit), *[ABSENT] * 9)
    run, runs = mine[0].runs[-1], [r for s in mine for r in s.runs]
    planned_n, left = sum(s.planned for s in mine), sum(s.left for s in mine)
    counts = (
        planned_n,
        sum(s.delivered for s in mine),
        sum(s.uncertain for s in mine),
        left,
        sum(s.trains_given for s in mine),
    )
    ended = "; ".join(str(getattr(r, "ended", "no end yet")) for r in runs)
    return (
        str(visit), when, ", ".join(s.day for s in mine), *map(str, counts), f"{run.intensity_pct_rmt:g}", str(run.power_pct_mso),
        f"{run.threshold_pct_mso} % ({run.threshold_day})", ended,
    )  # fmt: skip


def _weeks(seen: Seen, who: Participant) -> Section | None:
    zero, what = zero_day(who)
    panels: list[Panel] = []
    rows = seen.rows("outcome", who.code)
    gone = {r["corrects"] for r in rows if r["corrects"] is not None}
    standing = [r for r in rows if r["n"] not in gone]
    for scale in sorted({r["scale"] for r in standing}, key=lambda s: (s != "pain", s)):
        dots = tuple(
            Dot(day=days_between(zero, r["day"]), value=r["value"]) for r in standing if r["scale"] == scale
        )
        low, high = SCALES.get(scale, (None, None))
        margin = 0.05 * ((high or 0.0) - (low or 0.0))
        limits = None if low is None or high is None else (low - margin, high + margin)
        panels.append(Panel(label=scale, dots=dots, limits=limits))
    m1 = tuple(
        Dot(day=days_between(zero, m.day), value=m.value, low=m.low, high=m.high)
        for m in probed(seen, who.code)
    )
    panels += [Panel(label="LOCAL at M1", dots=m1)] if m1 else []
    taken = seen.rows("threshold", who.code)
    dots = tuple(
        Dot(
            day=days_between(zero, r["day"]), value=r["pct_mso"], low=r["low_pct_mso"], high=r["high_pct_mso"]
        )
        for r in taken
    )
    panels += [Panel(label="RMT, % MSO", dots=dots)] if dots else []
    if not panels:
        return None
    treated = [float(days_between(zero, s.day)) for s in who.calendar.given]
    figure = (
        weeks_figure(panels, treated, what),
        "Values over the weeks, with 95 % intervals where there are any.",
    )
    words: list[str] = []
    tables: list[Grid] = []
    if seen.sees("outcome"):
        words.append(response_words(seen, who))
        tables.append(_outcomes(standing))
    return Section(title="Over the weeks", words=tuple(words), figures=(figure,), tables=tuple(tables))


def response_words(seen: Seen, who: Participant) -> str:
    """Pain from baseline to the primary assessment, in words."""
    r, course = who.response(seen.study.course), seen.study.course
    if r.baseline is None or r.primary is None:
        lacking = course.baseline if r.baseline is None else course.primary
        return f"Response: not defined, pain was not taken at {lacking}."
    if r.fall_pct is None:
        return "Response: not defined, pain was 0 at baseline."
    flag = "a responder" if r.responder else "no responder"
    moved = f"a fall of {r.fall_pct:.0f} %" if r.fall_pct >= 0 else f"a rise of {-r.fall_pct:.0f} %"
    return (
        f"Pain {r.baseline:g} at {course.baseline} and {r.primary:g} at {course.primary}: {moved} of the "
        f"baseline, {flag} by the trial's definition (at least 30 %)."
    )


def _outcomes(rows: Sequence[dict[str, Any]]) -> Grid:
    scales = sorted({r["scale"] for r in rows}, key=lambda s: (s != "pain", s))
    kept: dict[tuple[str, str], dict[str, float]] = {}
    for r in rows:
        kept.setdefault((r["day"], r["assessment"]), {})[r["scale"]] = r["value"]
    body = tuple((name, day, *(number(v.get(s)) for s in scales)) for (day, name), v in sorted(kept.items()))
    return Grid(
        head=("Assessment", "Day", *scales),
        rows=body,
        caption="Outcomes",
        numbers=frozenset(range(2, 2 + len(scales))),
    )


def _m1(seen: Seen, who: Participant) -> Section | None:
    if not seen.sees("probe", sealed=True):
        return None
    points = probed(seen, who.code)
    if not points:
        return Section(title="M1 over time", words=("M1 was not probed.",))
    base = baseline_of(points, first_treated(who))
    told = {c.later: change_words(c) for c in changes(points, base, retests(seen))}
    rows = tuple(
        (
            m.day, number(m.value, 3), _interval(m.low, m.high, 3),
            "baseline" if m == base else told.get(m, ABSENT),
        )
        for m in points
    )  # fmt: skip
    words = [f"{LOCAL_WORDS}."]
    words += (
        []
        if base is not None
        else ["There is no probe from before the first treatment: no change can be told."]
    )
    grid = Grid(head=("Day", "LOCAL", "95 % interval", "Change from the baseline"), rows=rows)
    return Section(title="M1 over time", words=tuple(words), tables=(grid,), notes=(NO_CUTOFF,))


def _map(seen: Seen, who: Participant) -> Section | None:
    if not seen.sees("mapping", sealed=True):
        return None
    maps = seen.rows("mapping", who.code, sealed=True)
    if not maps:
        return None
    grid = Grid(
        head=("Day", "Target", "GLOBAL", "95 % interval", "Accepted trials", "Map accepted"),
        rows=tuple(
            (m["day"], m["target"], number(m["score"]), _interval(m["low"], m["high"]),
             str(m["n_accepted"] or ABSENT), "yes" if m["accepted"] else "no")
            for m in maps
        ), numbers=frozenset((2, 4)),
    )  # fmt: skip
    answers = tuple(
        (a["day"], a["question"], a["answer"].replace("_", " "), a["target"] or ABSENT, str(a["more_pulses"] or ABSENT),
         a["words"])
        for a in seen.rows("map_answer", who.code, sealed=True)
    )  # fmt: skip
    asked = Grid(
        head=("Day", "Asked for", "Answer", "Target", "More pulses", "In words"), rows=answers, caption="What the map answers",
        small=True,
    )  # fmt: skip
    why = [r["words"] for r in seen.rows("resolution", who.code, sealed=True)]
    if not why and who.target:
        why = [f"The target {who.target} was chosen by a person, not from a map."]
    return Section(title="Map and target", words=tuple(why), tables=(grid, *((asked,) if answers else ())))


def _thresholds(seen: Seen, who: Participant) -> Section | None:
    rows = seen.rows("threshold", who.code)
    if not rows:
        return None
    body = tuple(
        (r["day"], str(r["pct_mso"]),
         _interval(r["low_pct_mso"], r["high_pct_mso"], 3),
         r["method"], r["unit"], r["coil"], r["waveform"])
        for r in rows
    )  # fmt: skip
    head = ("Day", "% MSO", "95 % interval", "Told by", "Unit", "Coil", "Waveform")
    return Section(title="Motor thresholds", tables=(Grid(head=head, rows=body, numbers=frozenset((1,))),))


def _deviations(seen: Seen, who: Participant) -> Section | None:
    if not seen.sees("missed"):
        return None
    why, code = seen.reasons(), who.code
    found = [(r["n"], f"treatment {r['visit']} missed") for r in seen.rows("missed", code)]
    found += [(r["n"], f"treatment {r['visit']} moved to {r['to_day']}") for r in seen.rows("moved", code)]
    found += [(r["n"], f"the course was stopped on {r['day']}") for r in seen.rows("stopped", code)]
    found += [
        (r["n"], f"{'treatment ' + str(r['visit']) + ': ' if r['visit'] else ''}{r['what']}")
        for r in seen.rows("deviation", code)
    ]
    title = "Deviations" if seen.sees("deviation") else "Missed and moved treatments"
    if not found:
        return Section(title=title, words=("None was recorded.",))
    when = {r["n"]: r["utc"][:10] for r in seen.rows("entry")}
    body = tuple((when.get(n, ABSENT), words, why.get(n, ABSENT)) for n, words in sorted(found))
    notes = () if seen.sees("entry", "reason") else ("Reasons are not shown to your role.",)
    return Section(title=title, tables=(Grid(head=("Written on", "What", "Why"), rows=body),), notes=notes)


def events_section(seen: Seen, code: str | None) -> Section:
    """Adverse events of one participant or of all; corrected ones are left out."""
    rows = seen.rows("adverse_event", code)
    gone = {r["corrects"] for r in rows if r["corrects"] is not None}
    standing = [r for r in rows if r["n"] not in gone]
    if not standing:
        return Section(title="Adverse events", words=("None was recorded.",))
    body = tuple(
        (r["participant"], r["day"], r["what"], r["severity"], _serious(r["serious"]), r["related"], _yes(r["anticipated"]),
         _yes(r["device_deficiency"]), r["state"], r["action"] or ABSENT)
        for r in standing
    )  # fmt: skip
    head = (
        "Participant",
        "Day",
        "What",
        "Severity",
        "Serious",
        "Related",
        "Expected",
        "Device deficiency",
        "State",
        "Action",
    )
    return Section(title="Adverse events", tables=(Grid(head=head, rows=body, small=True),))


def _serious(kept: str) -> str:
    return ", ".join(json.loads(kept)) or "no"


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _interval(low: float | None, high: float | None, digits: int = 4) -> str:
    return ABSENT if low is None else f"{number(low, digits)} to {number(high, digits)}"
