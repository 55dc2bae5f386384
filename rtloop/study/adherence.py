"""Owns what a calendar says of a course in hindsight: what was not as it should be, adherence, assessments; plans nothing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from rtloop.model.course import LEAST_HOURS, Course, rest_faults
from rtloop.study.calendar import Calendar, Session, Span, days_between, shifted, span


def findings(course: Course, calendar: Calendar) -> tuple[str, ...]:
    """What happened and should not have, as facts: twice on a day, twice the same treatment, too early, too late, too close."""
    out, given = [], calendar.given
    for a, b in pairwise(given):
        visit = course.visit(b.visit)
        if a.day == b.day:
            out.append(f"two treatment sessions on {a.day}: {a.session_id} and {b.session_id}")
        elif visit is not None and days_between(a.day, b.day) < visit.min_gap_days:
            out.append(f"treatment {b.visit} on {b.day}, less than {visit.min_gap_days} days after {a.day}")
        elif rest_faults(a.runs, min(r.utc for r in b.runs)):
            out.append(
                f"treatment {b.visit} on {b.day} began less than {LEAST_HOURS} hours after that of {a.day}"
            )
    for number in sorted(calendar.done):
        same = [s.session_id for s in given if s.visit == number]
        out += (
            [f"treatment {number} was given in more than one session: {', '.join(same)}"]
            if len(same) > 1
            else []
        )
    for s in given:
        if s.visit and course.visit(s.visit) is None:
            out.append(f"the course has no treatment {s.visit}, which {s.session_id} gave on {s.day}")
        elif s.visit in calendar.missed:
            out.append(f"treatment {s.visit} was recorded as missed and given on {s.day}")
        out += (
            [f"{s.session_id} gave {s.given_most} of {s.planned} pulses"] if s.given_most > s.planned else []
        )
        out += [f"{s.session_id} has runs of several days"] if len({r.day for r in s.runs}) > 1 else []
        out += _late(course, calendar, s)
    return tuple(out)


def _late(course: Course, calendar: Calendar, session: Session) -> list[str]:
    visit, anchor = course.visit(session.visit), calendar.anchor(course)
    if visit is None or anchor is None or visit.number in calendar.moved:
        return []
    off = days_between(shifted(anchor, visit.day), session.day)
    if -visit.early_days <= off <= visit.late_days:
        return []
    return [
        f"treatment {visit.number} on {session.day}, {abs(off)} day(s) {'after' if off > 0 else 'before'} its day"
    ]


@dataclass(frozen=True, kw_only=True)
class Adherence:
    """Treatments of the course: how many were given, given whole, missed, moved, are still open; and their pulses."""

    visits: int
    done: int
    whole: int
    missed: int
    moved: int
    overdue: int
    planned: int
    delivered: int
    uncertain: int

    @property
    def share(self) -> float | None:
        """Treatments given, of those given, missed or overdue; None before any."""
        due = self.done + self.missed + self.overdue
        return None if due == 0 else self.done / due


def adherence(course: Course, calendar: Calendar, today: str) -> Adherence:
    """As of today. Missed ones that were given after all count as given."""
    inside = [s for s in calendar.given if course.visit(s.visit)]
    done = {s.visit for s in inside}
    open_ = [v for v in course.visits if v.number not in done | calendar.missed]
    spans = [span(course, calendar, v) for v in open_]
    return Adherence(
        visits=len(course.visits), done=len(done), whole=len({s.visit for s in inside if s.left == 0 and not s.uncertain}),
        missed=len(calendar.missed - done), moved=len(calendar.moved), planned=sum(s.planned for s in inside),
        overdue=0 if calendar.stopped else sum(w is not None and w.latest < today for w in spans),
        delivered=sum(s.delivered for s in inside), uncertain=sum(s.uncertain for s in inside),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Due:
    """An assessment: its days (None before the course has begun), when it was taken, and what is to be said of it today."""

    name: str
    span: Span | None
    taken: str | None
    words: str


def assessments(course: Course, calendar: Calendar, today: str) -> tuple[Due, ...]:
    """Every assessment of the course: taken, due now, coming, or overdue."""
    anchor, out = calendar.anchor(course), []
    for a in course.assessments:
        window = None
        if anchor is not None:
            due = shifted(anchor, a.day)
            window = Span(
                due=due, earliest=shifted(due, -a.early_days), latest=shifted(due, a.late_days), fits=True
            )
        taken = calendar.assessed.get(a.name)
        if taken is not None:
            words = f"taken on {taken}"
            if window is not None and not window.earliest <= taken <= window.latest:
                words += f", outside its days: {window.earliest} to {window.latest}"
        elif window is None:
            words = "due before the first treatment" if a.day <= 0 else "after the course has begun"
        elif today < window.earliest:
            words = f"coming: {window.earliest} to {window.latest}"
        else:
            words = (
                f"due until {window.latest}" if today <= window.latest else f"OVERDUE since {window.latest}"
            )
        out.append(Due(name=a.name, span=window, taken=taken, words=words))
    return tuple(out)
