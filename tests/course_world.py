"""A whole simulated trial: its plan and course, its people day by day, its outcomes with a known effect, and what must hold.

Owns the trial around the visits (course_sessions): enrolment, maps, allocation, targets, missed and moved visits, outcomes, and
the invariants of the whole. Outcomes follow a stated model: LOCAL at M1 is normal over people; the probe measures it with an
error; the fall of pain (% of baseline) goes with the true LOCAL in the classic arm by ``EFFECT``, in the others not at all. What
the report estimates is the slope of the *measured* LOCAL, whose true value is ``EFFECT * RELIABILITY``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from course_sessions import Held, Place, instant
from study_tools import AS, OP, STAT, screened

from rtloop.app.dose import ledger_of
from rtloop.app.study_sessions import gather
from rtloop.clock import SteppedClock
from rtloop.errors import ValidationProblem
from rtloop.model.course import Arm, TreatmentGiven
from rtloop.plan.course_load import parse_course
from rtloop.plan.treat_load import load_treatment
from rtloop.safety.limits import load_limits
from rtloop.study.allocation import permuted_blocks
from rtloop.study.association import Association, Row, association, by_arm
from rtloop.study.calendar import days_between, own_span, shifted, whats_next
from rtloop.study.fields import Role
from rtloop.study.records import Enrolled, Mapped, Missed, Moved, OutcomeTaken, Probed
from rtloop.study.reported import Seen, baseline_rows
from rtloop.study.study import Study

FIRST_DAY = "2026-11-23"  # a Monday
TARGETS = ("M1", "DLPFC", "ACC")
PLAN = """
[plan]
name = "simulated-course"
kind = "treat"
schema = 1
label = "assumed"
citation = "none: the shortest treatment that the rules allow, for the simulation of courses"
notes = "Two trains of 5 pulses. No treatment."
[unit]
model = "super-rapid"
waveform = "biphasic"
[trains]
frequency_hz = 10.0
pulses = 5
count = 2
pause_s = 5.2
[threshold]
method = "EMG"
max_age_days = 7
[caps]
power_pct_mso_max = 60
pulses_session_max = 10
""" + "".join(
    f"""[[targets]]
name = "{name}"
coil_at = "{at}"
coil = "70 mm figure-of-eight, cooled"
current_direction = "posterior-anterior"
intensity_pct_rmt = 80.0
"""
    for name, at in zip(TARGETS, ("C3", "F3", "FCz"), strict=True)
)
COURSE = """
[plan]
name = "simulated"
kind = "course"
schema = 1
label = "derived"
citation = "as course-derived, with closed weekends, a last day and two treatments that may be made up"
[course]
treatment = "simulated-course"
if_undecided = "chance"
baseline = "baseline"
primary = "week 8"
start_within_days = 14
closed = ["saturday", "sunday"]
last_day = 60
made_up_max = 2
[[phases]]
name = "daily"
sessions = 5
first_day = 0
every_days = 1
early_days = 0
late_days = 4
min_gap_days = 1
[[phases]]
name = "weekly"
sessions = 7
first_day = 7
every_days = 7
early_days = 2
late_days = 4
min_gap_days = 2
[[assessments]]
name = "baseline"
day = -1
early_days = 13
late_days = 1
[[assessments]]
name = "week 8"
day = 60
early_days = 5
late_days = 20
"""
#: LOCAL at M1: mean and SD over people, error of one probe (docs/validation.md, section 2)
LOCAL, LOCAL_SD, PROBE_SE = 0.35, 0.05, 0.0155
#: percentage points of fall for 1 more LOCAL in the classic arm; what else the fall of pain is made of: mean, SD
EFFECT, FALL, FALL_SD = 200.0, 30.0, 10.0
RELIABILITY = LOCAL_SD**2 / (LOCAL_SD**2 + PROBE_SE**2)
SLOPE = EFFECT * RELIABILITY


@dataclass(frozen=True, kw_only=True)
class Person:
    """A simulated participant: what is true of it and what the probe measured."""

    code: str
    starts: str
    local: float
    measured: float
    pain: float
    noise: float
    low: str  # target of the map's lowest score; "": undecided
    high: str

    @classmethod
    def drawn(cls, number: int, seed: str) -> Person:
        chance = Random(f"{seed}|person|{number}")
        local = chance.gauss(LOCAL, LOCAL_SD)
        low, high = chance.sample(TARGETS, 2)
        return cls(
            code=f"P{number:03d}", starts=shifted(FIRST_DAY, chance.randrange(5)), local=local,
            measured=chance.gauss(local, PROBE_SE), pain=chance.uniform(5.0, 9.0), noise=chance.gauss(0.0, FALL_SD),
            low=low if chance.random() < 0.85 else "", high=high if chance.random() < 0.85 else "",
        )  # fmt: skip

    def fall_pct(self, arm: str) -> float:
        return FALL + self.noise + (EFFECT * (self.local - LOCAL) if arm == Arm.CLASSIC else 0.0)

    def mapped(self, low: str, high: str, seed: str) -> Mapped:
        chance = Random(f"{seed}|map|{self.code}")
        scores = {t: (round(chance.uniform(0.2, 0.8), 3), None, None) for t in TARGETS}

        def answer(target: str) -> tuple[str, str, int | None, str]:
            return (
                ("decided", target, None, f"it is {target}.")
                if target
                else ("undecided", "", None, "No target leads.")
            )

        return Mapped(
            participant=self.code, day=self.starts, session=f"map-{self.code}", accepted=True, decision="see the answers",
            scores=scores, n_accepted=dict.fromkeys(TARGETS, 100), answers={"low": answer(low), "high": answer(high)},
        )  # fmt: skip

    def probed(self) -> Probed:
        x, half = self.measured, 1.96 * PROBE_SE
        return Probed(
            participant=self.code, day=self.starts, session=f"{self.starts.replace('-', '')}-083000_{self.code}", target="M1",
            values={"local": (x, x - half, x + half)}, n_accepted={"M1": 100},
        )  # fmt: skip


class Trial:
    """A trial under way, day by day: ``open_day`` says who comes, ``visit_of`` treats them, ``close_day`` takes it in."""

    def __init__(self, folder: Path, participants: int, seed: str) -> None:
        self.seed, self.today, self.chance = seed, FIRST_DAY, Random(f"{seed}|trial")
        self.place = Place(
            study=folder / "study", plan=folder / "simulated-course.toml", data=folder / "data"
        )
        self.place.plan.write_text(PLAN, encoding="utf-8")
        self.people = {p.code: p for p in (Person.drawn(n + 1, seed) for n in range(participants))}
        self.clock = SteppedClock(instant(FIRST_DAY, 7))
        self.course = parse_course(COURSE).value()
        self.held: list[Held] = []
        self.faults: list[str] = []
        self.moved = self.missed = self.refused = 0
        self.study = Study.make(self.place.study, name="trial", course=self.course, by=STAT, simulated=True,
                                people={OP: Role.OPERATOR, AS: Role.ASSESSOR}, clock=self.clock)  # fmt: skip
        self.study.write(permuted_blocks(participants, seed=seed.replace("|", "-")), by=STAT)

    @property
    def over(self) -> bool:
        people = self.study.state.participants
        return len(people) == len(self.people) and all(
            "week 8" in who.calendar.assessed for who in people.values()
        )

    def open_day(self, *, treats: bool = True) -> list[str]:
        """Enrol who comes today, miss and move visits by chance; who is treated today (nobody unless ``treats``)."""
        self.clock.sleep_until(instant(self.today, 8))
        self.study.follow()
        for person in self.people.values():
            if person.starts == self.today:
                self._enter(person)
        return [code for code in self.study.state.participants if treats and self._comes(code)]

    def close_day(self, held: Iterable[Held]) -> None:
        """What came of the day, with what crashed and nobody resumed; then the next one."""
        self.held += held
        self.clock.sleep_until(instant(self.today, 20))
        self.study.follow()
        for code, who in self.study.state.participants.items():
            if any(s.unclosed for s in who.calendar.sessions.values()):
                found = gather(self.study, self.place.data_of(code), by=OP)
                self.faults += [f"not gathered: {p}" for p in found.problems]
            self._assess(code)
        self.today = shifted(self.today, 1)

    def _enter(self, person: Person) -> None:
        study, code = self.study, person.code
        study.write(Enrolled(participant=code, day=self.today, stratum=""), by=OP)
        study.write(screened(code, self.today), by=OP)
        pain = OutcomeTaken(
            participant=code, assessment="baseline", day=self.today, scales={"pain": person.pain}
        )
        study.write(pain, by=AS)
        study.write(person.mapped(person.low, person.high, self.seed), by=OP)
        study.write(person.probed(), by=OP)
        study.allocate(code, by=OP)
        study.resolve(code, by=OP)

    def _comes(self, code: str) -> bool:
        calendar = self.study.state.participants[code].calendar
        while True:
            due = whats_next(self.course, calendar, self.today)
            if due.kind != "treat" or due.span is None or "week 8" in calendar.assessed:
                return False
            late = self.today > due.span.latest or not due.span.fits
            chance = self.chance.random()
            if not late and due.not_today:
                return False
            if not late and chance >= 0.03:  # it comes, or perhaps tomorrow, or on a day that is agreed on
                return chance > 0.10 or (chance > 0.06 and not self._move(code, due.visit))
            if late and self.chance.random() < 0.5 and self._move(code, due.visit):
                return False
            if due.visit == 1 or not self._write(Missed(participant=code, visit=due.visit)):
                return not due.not_today
            self.missed += 1
            calendar = self.study.state.participants[code].calendar

    def _move(self, code: str, visit: int) -> bool:
        done = self._write(
            Moved(participant=code, visit=visit, to_day=shifted(self.today, self.chance.randint(1, 3)))
        )
        self.moved += done
        return done

    def _write(self, record: Any) -> bool:
        try:
            self.study.write(record, by=OP, reason="the participant's wish")
        except ValidationProblem:
            self.refused += 1
            return False
        return True

    def _assess(self, code: str) -> None:
        who, person = self.study.state.participants[code], self.people[code]
        start = who.calendar.anchor(self.course) or person.starts
        if days_between(start, self.today) < 60 or "week 8" in who.calendar.assessed:
            return
        arm = self.study.arm_of(code)
        assert arm is not None
        pain = min(10.0, max(0.0, person.pain * (1.0 - person.fall_pct(arm.arm) / 100.0)))
        taken = OutcomeTaken(participant=code, assessment="week 8", day=self.today, scales={"pain": pain})
        self.study.write(taken, by=AS)

    # -- what must hold at the end ---------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """Everything of the whole that is not as it must be; empty: it is."""
        bad = [*self.faults, *(f"{h.code} {h.day} ({h.befell}): {f}" for h in self.held for f in h.faults)]
        self.study.follow()
        bad += self.study.problems()
        live = self.study.dumps()
        self.study.rebuild()
        bad += [] if self.study.dumps() == live else ["the rebuilt store is not the live one"]
        for code in self.people:
            bad += [f"{code}: {f}" for f in self._dose(code)]
        return bad

    def _dose(self, code: str) -> list[str]:
        """Of one participant: the simulated unit's own count, the ledger, the study and the limits."""
        plan, mine = load_treatment(self.place.plan), [h for h in self.held if h.code == code]
        ledger = ledger_of(self.place.data_of(code), code, simulated=True)
        truth, limits, bad = sum(h.discharges for h in mine), load_limits(), list[str]()
        sessions = [s for s in self.study.state.participants[code].calendar.sessions.values() if s.given_most]
        if ledger.count() < truth or ledger.count() != sum(s.given_most for s in sessions):
            bad.append(
                f"unit {truth}, ledger {ledger.count()}, study {sum(s.given_most for s in sessions)} pulses"
            )
        days = [s.day for s in sessions]
        bad += ["two sessions on one day"] if len(days) != len(set(days)) else []
        bad += (
            []
            if len(sessions) <= min(len(self.course.visits), limits.max_treatment_sessions_course)
            else ["too many sessions"]
        )
        bad += (
            []
            if truth <= plan.pulses * len(self.course.visits) <= limits.max_treatment_pulses_course
            else ["course limit"]
        )
        calendar = self.study.state.participants[code].calendar
        for s in sessions:
            of_unit = sum(h.discharges for h in mine if h.session_id == s.session_id)
            bad += [f"{s.day}: more than the plan"] if max(of_unit, s.given_most) > plan.pulses else []
            bad += [f"{s.day}: runs without an end"] if s.unclosed else []
            bad += [f"{s.day}: a sum is wrong" for r in s.closed if not _adds_up(r)]
            own = own_span(self.course, calendar, self.course.visits[s.visit - 1])
            inside = own is not None and own.earliest <= s.day <= own.latest
            bad += (
                [] if inside or calendar.moved.get(s.visit) == s.day else [f"{s.day}: outside of its window"]
            )
        last = max(days, default="")
        start = calendar.anchor(self.course)
        bad += (
            ["treated after the last day"]
            if start and self.course.last_day and last > shifted(start, self.course.last_day)
            else []
        )
        return bad

    def associations(self) -> dict[str, Association]:
        """As the report of the study tells them."""
        return dict(
            by_arm(baseline_rows(Seen(self.study, by=STAT, what="the simulation")), [str(a) for a in Arm])
        )


def _adds_up(run: TreatmentGiven) -> bool:
    return run.planned == run.delivered + run.refused + run.uncertain


# -- outcomes alone -----------------------------------------------------------------------------------------------------------


def outcomes_only(folder: Path, participants: int, seed: str) -> Trial:
    """A trial whose people are enrolled, mapped, probed, allocated and assessed, and never treated; close its study."""
    trial = Trial(folder, participants, seed)
    while not trial.over:
        trial.open_day(treats=False)
        trial.close_day(())
    return trial


def coverage(draws: int, seed: str, per_arm: int = 30) -> tuple[int, int]:
    """Of so many trials, without sessions: in how many the report's interval of the classic slope covers the true slope of the
    measured LOCAL, and in how many that of the true LOCAL (which its error flattens)."""
    of_measured = of_true = 0
    for k in range(draws):
        people = [Person.drawn(n, f"{seed}|{k}") for n in range(per_arm)]
        made = association("classic", [_row(p) for p in people])
        of_measured += made.low <= SLOPE <= made.high
        of_true += made.low <= EFFECT <= made.high
    return of_measured, of_true


def _row(p: Person) -> Row:
    pain = min(10.0, max(0.0, p.pain * (1.0 - p.fall_pct("classic") / 100.0)))
    fall = 100.0 * (p.pain - pain) / p.pain
    assert math.isfinite(fall)
    return Row(participant=p.code, arm="classic", x=p.measured, y=fall, x_se=PROBE_SE)
