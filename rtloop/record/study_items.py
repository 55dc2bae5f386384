"""Owns what the reports of a course and of a study share: the head, the items that such a report should tell, the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rtloop import __version__
from rtloop.record.document import ABSENT, Document, Grid, Section
from rtloop.record.report import MODE_WORDS
from rtloop.study.fields import Role
from rtloop.study.reported import Seen

UNKNOWN = "not held by this study's store: tell it yourself"
HIDDEN = "not shown to your role"
TAILORED = "the intensity follows from each participant's own motor threshold"
SOURCES = (
    "Items in our own words, after TIDieR (Hoffmann 2014, 10.1136/bmj.g1687) and the checklist for TMS of the motor system "
    "(Chipchase 2012, 10.1016/j.clinph.2012.05.003). What is not held here is said to be so."
)
ADVICE = "Nothing here is medical advice, and rtloop is not a certified medical device. It supports Part 11 style controls."


def head_of(seen: Seen, *, title: str, facts: Mapping[str, str], sections: tuple[Section, ...]) -> Document:
    """A report's frame for the person who sees it."""
    study = seen.study
    first = study.state.study
    assert first is not None
    simulated = first.simulated
    role = study.role_of(seen.by)
    all_facts = {
        "Study": first.name, **facts, "Made (UTC)": study.clock.utc()[:19].replace("T", " "), "For": f"{seen.by}, {role}",
        "Software": f"rtloop {__version__}", "Head of the log": study.heads[0],
    }  # fmt: skip
    warnings = []
    if first.blinded and seen.sees("allocation", sealed=True):
        warnings.append(
            "Unblinded: this report shows arms and scores. It is as secret as the folder sealed; who made it is kept in the log."
        )
    elif role is Role.UNBLINDED:
        warnings.append(
            f"The sealed part of this study cannot be read here ({study.no_seal}): arms and scores are left out."
        )
    elif first.blinded:
        warnings.append(
            f"Blinded study: what the role {role} may not read is left out of this report by design."
        )
    if seen.sees("allocation", sealed=True):
        all_facts["Head of the sealed log"] = study.heads[1]
    return Document(
        title=title, sub=f"{first.name} · {study.today}", mode="SIMULATED" if simulated else "HUMAN",
        mode_words="Simulated participants. No person, no coil." if simulated else MODE_WORDS["HUMAN"], facts=all_facts,
        sections=sections, warnings=tuple(warnings),
        footer=f"{ADVICE} A hash chain does not show a cut tail by itself: compare the head with one kept elsewhere.",
    )  # fmt: skip


def items(seen: Seen, code: str | None) -> Section:
    """What is known of the items that a report of an intervention should tell."""
    runs = seen.rows("treatment_given", code)
    taken, course = seen.rows("threshold", code), seen.study.course
    screened = seen.rows("screening", code)
    made: list[tuple[str, str]] = [
        ("Brief name", f"repetitive TMS, course {course.name}"),
        ("Why", UNKNOWN),
        ("Materials: stimulator", _each(runs, "unit")),
        ("Materials: coil", _each(runs, "coil")),
        ("Where on the head", _each(runs, "target")),
        ("Procedure: plan of treatment", _plans(runs)),
        ("Procedure: screening", _each(screened, "form", "form_version") if seen.sees("screening") else HIDDEN),
        ("Motor threshold: how", _threshold(taken) if seen.sees("threshold") else HIDDEN),
        ("Who provided", _known([r for r in seen.rows("entry", code) if r["kind"] == "treatment_given"], "by") or ABSENT),
        ("Mode and place of delivery", "one person at a time, at the unit; the place: " + UNKNOWN),
        ("When and how much", f"{len(course.visits)} treatments on days {', '.join(str(v.day) for v in course.visits)}"),
        ("Intensity", _span_words(runs, "intensity_pct_rmt", "% RMT")),
        ("Power", _span_words(runs, "power_pct_mso", "% MSO")),
        ("Pulses of a session", _span_words(runs, "session_planned", "planned")),
        ("Tailoring", TAILORED if seen.sees("treatment_given", "unit") else HIDDEN),
        ("Modifications", _modified(seen, code)),
        ("How well: planned and actual", _actual(runs)),
        ("Medication, sleep, caffeine, attention", UNKNOWN),
        ("Age, sex, handedness, diagnosis", "by code only here: kept elsewhere"),
    ]  # fmt: skip
    return Section(
        title="Items of a report",
        tables=(Grid(head=("Item", "What is known"), rows=tuple(made)),),
        notes=(SOURCES,),
    )


def _threshold(taken: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(filter(None, (_known(taken, "method"), _known(taken, "waveform")))) or ABSENT


def _modified(seen: Seen, code: str | None) -> str:
    moved = f"{len(seen.rows('moved', code))} moved treatments"
    return f"{len(seen.rows('deviation', code))} deviations, {moved}" if seen.sees("deviation") else moved


def record_section(seen: Seen) -> Section:
    """Whether the record is whole, and the head of its chain."""
    problems = seen.study.problems()
    words = [
        f"{seen.study.state.n} entries. "
        + ("The record is whole." if not problems else "The record is NOT whole.")
    ]
    return Section(title="Record", words=(*words, *(f"PROBLEM: {p}" for p in problems)))


def _known(rows: Sequence[Mapping[str, Any]], *columns: str) -> str:
    found = dict.fromkeys(" ".join(str(r[c]) for c in columns) for r in rows if all(c in r for c in columns))
    return ", ".join(found)


def _each(rows: Sequence[Mapping[str, Any]], *columns: str) -> str:
    return _known(rows, *columns) or (ABSENT if not rows else HIDDEN)


def _plans(runs: Sequence[Mapping[str, Any]]) -> str:
    found = dict.fromkeys((r["plan"], r["plan_sha256"]) for r in runs if "plan_sha256" in r)
    return "; ".join(_plan(*which) for which in found) or _each(runs, "plan")


def _plan(name: str, sha256: str) -> str:
    """Name and digest of a plan, and what its trains are where it is one of the library, unchanged."""
    from rtloop.errors import RtloopError
    from rtloop.plan.treat_load import load_treatment, treatments

    head = f"{name}, SHA-256 {sha256}"
    try:
        plan = load_treatment(name) if name in treatments() else None
    except RtloopError:
        plan = None
    if plan is None or plan.sha256 != sha256:
        return f"{head} (its text lies in the session folders)"
    t = plan.trains
    pauses = "" if t.pause_s is None else f", {t.pause_s:g} s from the end of each to the next"
    trains = f"{t.frequency_hz:g} Hz, {t.count} trains of {t.pulses} pulses{pauses}"
    return f"{head}: {trains}; {plan.plan.label}: {plan.plan.citation}"


def _span_words(runs: Sequence[Mapping[str, Any]], column: str, unit: str) -> str:
    values = [r[column] for r in runs if column in r]
    if not values:
        return _each(runs, column)
    least, most = min(values), max(values)
    return f"{least:g} {unit}" if least == most else f"{least:g} to {most:g} {unit}"


def _actual(runs: Sequence[Mapping[str, Any]]) -> str:
    if not runs or "delivered" not in runs[0]:
        return _each(runs, "delivered")
    parts = [sum(r[c] for r in runs) for c in ("delivered", "uncertain")]
    return f"{parts[0]} pulses certainly delivered, {parts[1]} uncertain, in {len(runs)} runs"
