"""Owns the calendar of one participant: a pure fold over what happened, and what it says of today; owns no clock and no file.

What was given is a fact and is never refused here, however odd; what may be given next is judged by ``whats_next``. Counted
pessimistically: a run that nobody closed has given everything it set out to give. Days are UTC dates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from rtloop.model.course import Course, TreatmentBegun, TreatmentGiven, Visit, rest_faults
from rtloop.study.records import CourseStopped, Enrolled, Missed, Moved, OutcomeTaken, Record


def shifted(day: str, days: int) -> str:
    """The day so many days later (or earlier)."""
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def days_between(first: str, last: str) -> int:
    """Days from the first to the last, negative when the last is earlier."""
    return (date.fromisoformat(last) - date.fromisoformat(first)).days


@dataclass(frozen=True, kw_only=True)
class Session:
    """One treatment session: all its runs, which are of one day. A run without an end counts as given."""

    session_id: str
    visit: int
    day: str
    planned: int
    trains_planned: int
    runs: tuple[TreatmentBegun, ...]

    @property
    def closed(self) -> tuple[TreatmentGiven, ...]:
        """Runs of which is known what they gave."""
        return tuple(r for r in self.runs if isinstance(r, TreatmentGiven))

    @property
    def unclosed(self) -> tuple[TreatmentBegun, ...]:
        """Runs that began and of which nobody has said more."""
        return tuple(r for r in self.runs if not isinstance(r, TreatmentGiven))

    @property
    def delivered(self) -> int:
        return sum(r.delivered for r in self.closed)

    @property
    def uncertain(self) -> int:
        """Pulses of which is not known whether they were given."""
        return sum(r.uncertain for r in self.closed) + sum(r.planned for r in self.unclosed)

    @property
    def given_most(self) -> int:
        """Pulses that count as given."""
        return self.delivered + self.uncertain

    @property
    def left(self) -> int:
        """Pulses of the session's plan that were certainly not given yet."""
        return max(0, self.planned - self.given_most)

    @property
    def trains_given(self) -> int:
        """Trains of the session's plan of which a pulse may have been given, counted from its first one."""
        return min(
            self.trains_planned,
            sum(r.trains_given for r in self.closed) + sum(r.trains_planned for r in self.unclosed),
        )

    @property
    def goes_on(self) -> bool:
        """Whether whole trains of a treatment of the course are left, as far as is known: a broken one is not made up for."""
        return bool(
            self.visit and self.left and self.trains_given < self.trains_planned and not self.unclosed
        )


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Everything about one participant's course so far."""

    enrolled: str | None = None
    sessions: Mapping[str, Session] = field(default_factory=dict)
    missed: frozenset[int] = frozenset()
    moved: Mapping[int, str] = field(default_factory=dict)
    stopped: str | None = None
    assessed: Mapping[str, str] = field(default_factory=dict)

    @property
    def given(self) -> tuple[Session, ...]:
        """Sessions in which a pulse may have been given, by day."""
        return tuple(
            sorted(
                (s for s in self.sessions.values() if s.given_most > 0), key=lambda s: (s.day, s.session_id)
            )
        )

    @property
    def done(self) -> frozenset[int]:
        """Visits of the course that were treated, at least in part."""
        return frozenset(s.visit for s in self.given if s.visit)

    def anchor(self, course: Course) -> str | None:
        """Day 0: of the first treatment of the course; None before it."""
        first = next((s for s in self.given if course.visit(s.visit)), None)
        return None if first is None else shifted(first.day, -course.visits[first.visit - 1].day)


def step(calendar: Calendar, record: Record | TreatmentBegun) -> Calendar:
    """The calendar after one more record; other kinds change nothing. The same record twice counts once."""
    if isinstance(record, TreatmentBegun):
        return replace(calendar, sessions={**calendar.sessions, record.session_id: _with(calendar, record)})
    if isinstance(record, Enrolled):
        return replace(calendar, enrolled=record.day)
    if isinstance(record, Missed):
        return replace(calendar, missed=calendar.missed | {record.visit})
    if isinstance(record, Moved):
        return replace(
            calendar,
            moved={**calendar.moved, record.visit: record.to_day},
            missed=calendar.missed - {record.visit},
        )
    if isinstance(record, CourseStopped):
        return replace(calendar, stopped=record.day)
    if isinstance(record, OutcomeTaken):
        return replace(calendar, assessed={**calendar.assessed, record.assessment: record.day})
    return calendar


def fold(records: Iterable[Record | TreatmentBegun]) -> Calendar:
    """The calendar after all records of one participant, in the order of the log."""
    calendar = Calendar()
    for record in records:
        calendar = step(calendar, record)
    return calendar


def _with(calendar: Calendar, run: TreatmentBegun) -> Session:
    before = calendar.sessions.get(run.session_id)
    if before is None:
        return Session(session_id=run.session_id, visit=run.visit, day=run.day, planned=run.session_planned,
                       trains_planned=run.trains_planned, runs=(run,))  # fmt: skip
    known = [r for r in before.runs if r.run_id == run.run_id]
    if not known:
        return replace(before, runs=(*before.runs, run))
    # a run that was closed stays closed; of two ends of one run the one that says the most stands
    if isinstance(known[0], TreatmentGiven) and not (
        isinstance(run, TreatmentGiven) and run.given_most > known[0].given_most
    ):
        return before
    return replace(before, runs=tuple(run if r is known[0] else r for r in before.runs))


@dataclass(frozen=True, kw_only=True)
class Span:
    """When a visit is due and the first and last day that will do; ``fits`` is false where no day will do."""

    due: str
    earliest: str
    latest: str
    fits: bool


def _span(course: Course, due: str, earliest: str, latest: str) -> Span:
    n = max(0, days_between(earliest, latest) + 1)
    days = [d for d in (shifted(earliest, k) for k in range(n)) if course.open_on(d)]
    if not days:
        return Span(due=due, earliest=earliest, latest=latest, fits=False)
    on = next((d for d in days if d >= due), days[-1])
    return Span(due=on, earliest=days[0], latest=days[-1], fits=True)


def own_span(course: Course, calendar: Calendar, visit: Visit) -> Span | None:
    """The window of a visit as the course has it, whatever was moved; None where the course has not begun."""
    anchor = calendar.anchor(course)
    if anchor is not None:
        due = shifted(anchor, visit.day)
        return _span(course, due, shifted(due, -visit.early_days), shifted(due, visit.late_days))
    start = calendar.enrolled
    if start is None or visit.number != 1 or course.start_within_days is None:
        return None
    return _span(course, start, start, shifted(start, course.start_within_days))


def span(course: Course, calendar: Calendar, visit: Visit) -> Span | None:
    """The window of a visit that is not done, after the gap since the last treatment; a moved one has the one day."""
    before, moved = [s.day for s in calendar.given], calendar.moved.get(visit.number)
    free = shifted(max(before), visit.min_gap_days) if before else ""
    if moved is not None:
        return _span(course, moved, max(moved, free), moved)
    own = own_span(course, calendar, visit)
    return own if own is None or not own.fits else _span(course, own.due, max(own.earliest, free), own.latest)


def made_up(course: Course, calendar: Calendar) -> frozenset[int]:
    """Visits that were moved out of their own window."""
    out = set()
    for number, day in calendar.moved.items():
        visit = course.visit(number)
        own = None if visit is None else own_span(course, calendar, visit)
        if own is not None and not own.earliest <= day <= own.latest:
            out.add(number)
    return frozenset(out)


@dataclass(frozen=True, kw_only=True)
class Next:
    """What is next. ``kind``: "treat", "resume" (the session of today, from where it stands), "over", "stopped".

    ``not_today`` tells every reason why nothing may be given today; empty: it may, as far as the calendar knows.
    """

    kind: str
    visit: int = 0
    span: Span | None = None
    session_id: str = ""
    left: int = 0
    trains_given: int = 0
    not_today: tuple[str, ...] = ()


def whats_next(course: Course, calendar: Calendar, today: str) -> Next:
    """What is next for this participant, as of today."""
    reasons = _open_runs(calendar)
    latest = max((s.day for s in calendar.given), default="")
    if latest > today:
        reasons.append(
            f"today is {today}, but the last treatment was on {latest}: the date of this computer is wrong"
        )
    if calendar.enrolled is None:
        reasons.append("not enrolled")
    if calendar.stopped is not None:
        return Next(kind="stopped", not_today=(*reasons, f"the course was stopped on {calendar.stopped}"))
    of_today = [s for s in calendar.given if s.day == today]
    if len(of_today) == 1 and of_today[0].goes_on:
        s = of_today[0]
        return Next(kind="resume", visit=s.visit, session_id=s.session_id, left=s.left, trains_given=s.trains_given,
                    not_today=tuple(reasons))  # fmt: skip
    visit = next((v for v in course.visits if v.number not in calendar.done | calendar.missed), None)
    if visit is None:
        return Next(kind="over", not_today=(*reasons, "every treatment of the course was given or missed"))
    window = span(course, calendar, visit)
    if of_today:
        reasons.append(
            f"a treatment was given today ({', '.join(s.session_id for s in of_today)}): one a day"
        )
    reasons += _outside(visit, window, today) if window is not None else []
    if not course.open_on(today):
        reasons.append(f"{today} is a weekday on which the course is closed ({', '.join(course.closed)})")
    anchor = calendar.anchor(course)
    if (
        anchor is not None
        and course.last_day is not None
        and today > (end := shifted(anchor, course.last_day))
    ):
        reasons.append(f"the course ended on {end}: record what was not given as missed, with the reason")
    return Next(kind="treat", visit=visit.number, span=window, not_today=tuple(reasons))


def too_soon(calendar: Calendar, utc: str) -> list[str]:
    """Why a new treatment may not begin at this instant: another one ended less than ``LEAST_HOURS`` before it."""
    return rest_faults((r for s in calendar.given for r in s.runs), utc)


def _open_runs(calendar: Calendar) -> list[str]:
    return [
        f"the run {r.run_id} of {r.day} on {r.host} has no end: all its {r.planned} pulses count as given until its folder "
        f"{r.folder} is gathered"
        for s in calendar.sessions.values()
        for r in s.unclosed
    ]


def _outside(visit: Visit, window: Span, today: str) -> list[str]:
    if not window.fits:
        return [
            f"treatment {visit.number} cannot be given in its window: no open day from {window.earliest} (after the gap) to "
            f"{window.latest}; move it or record it as missed, with the reason"
        ]
    if today < window.earliest:
        return [f"treatment {visit.number} is due on {window.due}, from {window.earliest} to {window.latest}"]
    if today > window.latest:
        return [
            f"treatment {visit.number} was due on {window.due}, by {window.latest} at the latest; move it or record it as "
            "missed, with the reason"
        ]
    return []


def missed_faults(course: Course, calendar: Calendar, visit: int) -> list[str]:
    """Why this visit cannot be recorded as missed."""
    bad = _not_open(course, calendar, visit)
    if not bad and visit == 1 and calendar.anchor(course) is None:
        bad.append("treatment 1 fixes the days of the course: move it, or stop the course")
    return bad


def moved_faults(course: Course, calendar: Calendar, visit: int, to_day: str, today: str) -> list[str]:
    """Why this visit cannot be moved to that day."""
    bad = _not_open(course, calendar, visit, missed_too=False)
    if bad:
        return bad
    if to_day < today:
        bad.append(f"{to_day} is over, today is {today}")
    gap = course.visits[visit - 1].min_gap_days
    bad += [
        f"{to_day} is less than {gap} day(s) after the treatment of {s.day}"
        for s in calendar.given
        if to_day < shifted(s.day, gap)
    ]
    bad += (
        []
        if course.open_on(to_day)
        else [f"the course is closed on that weekday ({', '.join(course.closed)})"]
    )
    anchor = calendar.anchor(course)
    if anchor is None and visit != 1:
        bad.append("the course has no days before treatment 1 was given: move that one")
    if (
        anchor is not None
        and course.last_day is not None
        and to_day > (end := shifted(anchor, course.last_day))
    ):
        bad.append(f"{to_day} is after the course's last day, {end}")
    then = made_up(course, replace(calendar, moved={**calendar.moved, visit: to_day}))
    if visit in then and len(then) > course.made_up_max:
        others = ", ".join(str(n) for n in sorted(then - {visit})) or "none"
        most = course.made_up_max
        bad.append(
            f"{to_day} is outside its window: at most {most} may be made up so (moved out already: {others})"
        )
    clash = [
        n
        for n, day in calendar.moved.items()
        if n != visit and day == to_day and n not in calendar.done | calendar.missed
    ]
    return bad + [f"treatment {n} was moved to {to_day} too: one a day" for n in clash]


def _not_open(course: Course, calendar: Calendar, visit: int, *, missed_too: bool = True) -> list[str]:
    if course.visit(visit) is None:
        return [f"the course has no treatment {visit} (1 to {len(course.visits)})"]
    bad = [f"treatment {visit} was given"] if visit in calendar.done else []
    bad += (
        [f"treatment {visit} is recorded as missed already"]
        if missed_too and visit in calendar.missed
        else []
    )
    return bad + ([f"the course was stopped on {calendar.stopped}"] if calendar.stopped else [])
