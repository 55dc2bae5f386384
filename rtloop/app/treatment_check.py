"""Owns `rtloop check` of a treatment plan and of a course: words, JSON, exit code; owns no rule and starts nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtloop.errors import UsageProblem
from rtloop.model.status import Mode
from rtloop.safety.ledger import Counts

if TYPE_CHECKING:
    from rtloop.app.config import Site
    from rtloop.model.course import Course
    from rtloop.model.threshold import Threshold
    from rtloop.model.waiver import Waiver
    from rtloop.plan.breach import Breach
    from rtloop.plan.course_schema import CourseFile
    from rtloop.plan.treat_rehearse import TreatmentRehearsal, UnitOnPaper
    from rtloop.plan.treat_schema import TreatmentPlan
    from rtloop.safety.limits import Limits

Told = tuple[str, Any, int]


@dataclass(frozen=True, kw_only=True)
class CheckAsked:
    """What `rtloop check` was asked beside the plan. ``rmt_pct_mso`` and ``threshold`` (a file of `rtloop threshold`) None: no
    threshold; ``rmt_date`` "": of today."""

    site: Path | None = None
    waivers: Path | None = None
    target: str | None = None
    rmt_pct_mso: int | None = None
    rmt_date: str = ""
    mode: str = "simulated"
    threshold: Path | None = None

    @property
    def only_of_treatments(self) -> tuple[str, ...]:
        """Options given that only a treatment plan or a course has."""
        mode = None if self.mode == "simulated" else self.mode
        given = (
            ("--target", self.target),
            ("--rmt", self.rmt_pct_mso),
            ("--rmt-date", self.rmt_date),
            ("--mode", mode),
        )
        return tuple(name for name, value in given if value not in (None, ""))


def check_treatment(name: str, asked: CheckAsked, today: str) -> Told:
    """Rehearse a session at each target, or at the one asked for; exit 3 when a rule is broken, also for want of a waiver."""
    from rtloop.app.config import load_site
    from rtloop.plan.treat_load import load_treatment
    from rtloop.safety.waivers import load_waivers

    plan = load_treatment(name)
    site = load_site(asked.site)
    signed = (
        () if asked.waivers is None else load_waivers(asked.waivers, plan_sha256=plan.sha256, today=today)
    )
    unit, limits = _unit_and_limits(plan, site)
    targets, of_file = _targets(plan, asked.target), _of_file(asked)
    rehearsals = [_rehearse(plan, t, unit, limits, asked, today, signed) for t in targets]
    unwaived = [_rehearse(plan, t, unit, limits, asked, today, ()) for t in targets] if signed else rehearsals
    lines = [
        f"SHA-256 of the plan, as a waiver names it: {plan.sha256}",
        f"{plan.name}: a treatment, {str(plan.plan.label).upper()}: {plan.plan.citation}",
        f"unit: {unit.words}; a threshold by EMG, at most {_max_age(plan, limits)}",
        *([] if of_file is None else [f"threshold: {of_file.words()}"]),
    ]
    for group in _alike(rehearsals):
        lines += _words(group, unit, limits)
        lines += _gate_words(plan, group[0])
    lifts = [_lift(w, unwaived) for w in signed]
    lines += [row["told"] for row in lifts]
    lines += _wanted(plan, rehearsals)
    may = all(r.may_arm for r in rehearsals)
    lines.append("may be armed" if may else "may NOT be armed")
    data = {
        "plan": plan.name, "sha256": plan.sha256, "kind": "treat", "label": str(plan.plan.label),
        "citation": plan.plan.citation, "unit": unit.words, "coil_assumption": unit.coil_words,
        "targets": [r.data() for r in rehearsals], "waivers": lifts, "waivers_wanted": _waivable(rehearsals), "may_arm": may,
    }  # fmt: skip
    return "\n".join(lines), data, 0 if may else 3


def check_course(name: str, asked: CheckAsked, today: str) -> Told:
    """A course's visits, and whether its treatment, given at each of them, keeps to the caps of day and course.

    The treatment itself is checked too: exit 3 when either breaks a rule.
    """
    from rtloop.plan.course_load import load_course

    course = load_course(name)
    value = course.value()
    treatment = treatment_of(course)
    words, data, code = check_treatment(treatment, asked, today)
    broken = _of_the_course(treatment, asked, today, len(value.visits))
    lines = [f"{course.name}: a course, {value.label.upper()}: {course.plan.citation}"]
    lines.append(f"{len(value.visits)} sessions, days counted from the first treatment (day 0):")
    for v in value.visits:
        window = (
            ""
            if not v.early_days and not v.late_days
            else f", {v.day - v.early_days} to {v.day + v.late_days} will do"
        )
        gap = "" if v.number == 1 else f", at least {v.min_gap_days} day(s) after the one before"
        lines.append(f"  session {v.number}: day {v.day}{window}{gap} ({course.phase_of(v.number).name})")
    lines += [
        f"  assessment {a.name}: day {a.day}, {a.day - a.early_days} to {a.day + a.late_days} will do"
        for a in value.assessments
    ]
    lines += [f"  refused: {b.words()}" for b in broken]
    lines += [f"its treatment, {treatment}:", words]
    out = {
        "course": course.name, "kind": "course", "label": value.label, "sha256": course.sha256,
        "visits": [asdict(v) for v in value.visits], "assessments": [asdict(a) for a in value.assessments],
        "breaches": [asdict(b) for b in broken], "treatment": data,
    }  # fmt: skip
    return "\n".join(lines), out, 3 if broken else code


def treatment_of(course: CourseFile) -> str:
    """The treatment plan of a course: a name of the library, or a path as seen from the course file."""
    named = course.course.treatment
    if Path(named).suffix != ".toml" or not Path(course.path).suffix:
        return named
    return str(Path(course.path).parent / named)


def course_named(name: str) -> Course:
    """The course of a file or of the library as a study holds it: with the name that its treatment plan gives itself.

    ``FileProblem`` where course or plan cannot be used.
    """
    from rtloop.plan.course_load import load_course
    from rtloop.plan.treat_load import load_treatment

    course = load_course(name)
    return replace(course.value(), treatment=load_treatment(treatment_of(course)).name)


def _of_the_course(treatment: str, asked: CheckAsked, today: str, sessions: int) -> tuple[Breach, ...]:
    """What the gate would say of day and course at the last session, all before it given whole."""
    from rtloop.app.config import load_site
    from rtloop.plan.treat_load import load_treatment
    from rtloop.safety.waivers import load_waivers

    plan = load_treatment(treatment)
    unit, limits = _unit_and_limits(plan, load_site(asked.site))
    signed = (
        () if asked.waivers is None else load_waivers(asked.waivers, plan_sha256=plan.sha256, today=today)
    )
    before = Counts(treatment_course=plan.pulses * (sessions - 1), other_treatment_sessions=sessions - 1)
    found = _rehearse(
        plan, _targets(plan, asked.target)[0], unit, limits, asked, today, signed, before
    ).breaches
    return tuple(
        replace(b, step=None, where="the last session") for b in found if b.rule == "treatment_course"
    )


def _unit_and_limits(plan: TreatmentPlan, site: Site) -> tuple[UnitOnPaper, Limits]:
    from drivers.magstim.units import device_limits
    from rtloop.app.paper_unit import paper_unit
    from rtloop.safety.limits import tightest

    model, own = plan.unit.model, site.unit.model == plan.unit.model
    unit = paper_unit(model, site.unit.supply_v, site.unit.software_at_least if own else ())
    return unit, tightest(site.limits(), device=device_limits(model))


def _targets(plan: TreatmentPlan, target: str | None) -> tuple[str, ...]:
    names = tuple(t.name for t in plan.targets)
    if target is not None and target not in names:
        raise UsageProblem(
            f"the plan {plan.name} has no target {target}", expected=", ".join(names), found=target
        )
    return names if target is None else (target,)


def _rehearse(
    plan: TreatmentPlan, target: str, unit: UnitOnPaper, limits: Limits, asked: CheckAsked, today: str,
    waivers: tuple[Waiver, ...], before: Counts | None = None,
) -> TreatmentRehearsal:  # fmt: skip
    from rtloop.app.threshold_asked import motor_threshold
    from rtloop.plan.treat_rehearse import AS_CHECKED, rehearse_treatment
    from rtloop.safety.rules import MotorThreshold

    rig, threshold, of_file = plan.rig(target), None, _of_file(asked)
    if of_file is not None:
        threshold = motor_threshold(of_file)
    elif asked.rmt_pct_mso is not None:
        try:
            threshold = MotorThreshold(
                participant=AS_CHECKED, pct_mso=asked.rmt_pct_mso, date=asked.rmt_date or today, method="EMG",
                coil=rig.coil, waveform=rig.waveform_words, unit_model=rig.unit_model,
            )  # fmt: skip
        except ValueError as err:
            raise UsageProblem(
                "--rmt and --rmt-date name no threshold",
                expected="whole % of maximum output, YYYY-MM-DD",
                found=str(err),
            ) from err
    made = rehearse_treatment(
        plan, target, unit=unit, limits=limits, today=today, threshold=threshold, mode=_mode(asked.mode),
        before=before or Counts(), waivers=waivers, participant=AS_CHECKED if of_file is None else of_file.participant,
    )  # fmt: skip
    if of_file is None or of_file.mode is Mode.HUMAN:
        return made
    kept = (*made.breaches, _of_no_person(of_file)), made.over_a_person
    if made.mode is not Mode.HUMAN:
        kept = made.breaches, (*made.over_a_person, _of_no_person(of_file))
    return replace(made, breaches=kept[0], over_a_person=kept[1])


def _of_file(asked: CheckAsked) -> Threshold | None:
    """The threshold of the file that was given; IntegrityProblem when it cannot be trusted."""
    from rtloop.record.thresholds import read_threshold

    if asked.threshold is not None and (asked.rmt_pct_mso is not None or asked.rmt_date):
        raise UsageProblem("--threshold and --rmt exclude each other", expected="one of them", found="both")
    return None if asked.threshold is None else read_threshold(asked.threshold)[0]


def _of_no_person(threshold: Threshold) -> Breach:
    """What the rules of a pulse cannot see in a threshold: where it was taken."""
    from rtloop.plan.breach import Breach

    return Breach(
        step=None, where="the plan", rule="threshold_taken_in", expected=f"a threshold taken in mode {Mode.HUMAN}",
        found=str(threshold.mode), todo="take it of the person: a simulation or a phantom says nothing of one",
        citation="project default: rtloop.model.threshold",
    )  # fmt: skip


def _mode(name: str) -> Mode:
    modes = {str(m).lower(): m for m in (Mode.SIMULATED, Mode.BENCH, Mode.HUMAN)}
    if name.lower() not in modes:
        raise UsageProblem(f"no mode {name}", expected=", ".join(modes), found=name)
    return modes[name.lower()]


def _max_age(plan: TreatmentPlan, limits: Limits) -> str:
    from rtloop.plan.treat_steps import prescribed

    days, own = prescribed(plan, limits).threshold_max_age_days, plan.threshold.max_age_days
    return f"{days:g} days old" + (f" (the plan would take {own:g}; the limit holds)" if days < own else "")


def _alike(rehearsals: Iterable[TreatmentRehearsal]) -> list[list[TreatmentRehearsal]]:
    """Those that differ in target and coil only, together."""
    out: dict[TreatmentRehearsal, list[TreatmentRehearsal]] = {}
    for r in rehearsals:
        out.setdefault(replace(r, target="", coil=""), []).append(r)
    return list(out.values())


def _words(group: Sequence[TreatmentRehearsal], unit: UnitOnPaper, limits: Limits) -> list[str]:
    r, train = group[0], group[0].train
    powers = ", then ".join(f"{p} %" for p in r.powers_pct_mso)
    rmt = (
        f"no threshold given; at worst, with {r.threshold_pct_mso} % MSO, the highest that the plan's cap allows"
        if r.at_worst
        else f"with a threshold of {r.threshold_pct_mso} % MSO"
    )
    lines = [f"{'; '.join(f'{x.target} ({x.coil})' for x in group)}:"]
    lines.append(f"  {r.intensity_pct_rmt:g} % RMT = {powers} MSO ({rmt})")
    lines.append(
        f"  {r.trains} {'train' if r.trains == 1 else 'trains'} of {train.n_pulses} pulses at {train.frequency_hz:g} Hz "
        f"({train.duration_s:g} s each), {r.pulses} pulses, {_minutes(r.duration_s)} without arming"
    )
    if r.pause_s is not None:
        own, unit_s, rule_s = r.pause_s
        lines.append(
            f"  pauses {own:g} s from the end of a train; the unit needs at least {unit_s:.3g} s, the rules {rule_s:g} s"
        )
    _, high, end = r.coil_c
    lines.append(
        f"  energy {r.energy_j / 1000:.1f} kJ of the unit ({unit.energy_j(r.powers_pct_mso[-1]):.1f} J a pulse)"
    )
    lines.append(f"  coil about {high:.0f} °C at most, {end:.0f} °C at the end ({unit.coil_words})")
    if r.hot_train is not None:
        lines.append(
            f"  NOTE: by that estimate the coil passes {limits.coil_stop_c:g} °C in train {r.hot_train}, where a session stops: "
            "take a cooled coil, longer pauses or a second coil"
        )
    lines.append(
        f"  software may not be able to stop a running train: {r.cannot_stop_s:.1f} s; use the unit's own stop switch"
    )
    lines += [f"  refused: {b.words()}" for b in r.breaches]
    lines += [f"  over a person also refused: {b.words()}" for b in r.over_a_person]
    return lines


def _gate_words(plan: TreatmentPlan, r: TreatmentRehearsal) -> list[str]:
    """What a state-gated treatment waits for, and how long it may take."""
    gate = plan.gate
    if gate is None or r.waits_s is None:
        return []
    then = "is given all the same" if gate.then == "give" else "is passed over"
    begins = (
        f"each train begins only while it holds: {gate.condition}"
        if gate.begin_by == "state"
        else f"CONTROL: each train waits as long as this would make it wait, whatever the state: {gate.condition}"
    )
    fewest, most = (_minutes(r.duration_s + w) for w in r.waits_s)
    return [
        f"  {begins}",
        f"  looked at every {gate.every_s:g} s, from {gate.recovery_s:g} s after a train; after {gate.time_out_s:g} s it {then}",
        f"  {fewest} to {most} with calibration and waits (paused by hand or by a fault: longer); it needs the EEG of the stream",
    ]


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s"


def _lift(waiver: Waiver, unwaived: Iterable[TreatmentRehearsal]) -> dict[str, Any]:
    from rtloop.safety.waivers import WAIVABLE

    needed = list(dict.fromkeys(b.where for r in unwaived for b in r.breaches if b.rule == waiver.rule))
    why = f"needed by {', '.join(needed)}" if needed else "no step of this plan needs it"
    return waiver.data() | {
        "lifts": WAIVABLE[waiver.rule], "words": waiver.words(), "needed_by": needed,
        "told": f"{waiver.words()}; it lifts: {WAIVABLE[waiver.rule]} ({why})",
    }  # fmt: skip


def _waivable(rehearsals: Iterable[TreatmentRehearsal]) -> list[str]:
    from rtloop.safety.waivers import WAIVABLE

    return list(dict.fromkeys(b.rule for r in rehearsals for b in r.breaches if b.rule in WAIVABLE))


def _wanted(plan: TreatmentPlan, rehearsals: Iterable[TreatmentRehearsal]) -> list[str]:
    """A blank for each waiver that is missing: rule and plan stand in it, the rest is the signing person's."""
    from rtloop.safety.waivers import WAIVABLE

    out = []
    for rule in _waivable(rehearsals):
        out += [
            f"a waiver is missing: {rule}, {WAIVABLE[rule]}. The person who takes the responsibility fills in and signs:",
            *(f"    {line}" for line in blank(rule, plan.sha256)),
        ]
    return out


def blank(rule: str, plan_sha256: str) -> tuple[str, ...]:
    """The lines of a waiver that nobody has filled in."""
    empty = ("reason", "citation", "person", "signed_on")
    return ("[[waiver]]", f'rule = "{rule}"', *(f'{k} = ""' for k in empty), f'plan_sha256 = "{plan_sha256}"')
