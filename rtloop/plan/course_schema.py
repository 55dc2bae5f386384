"""Owns the shape of a course file, pure data, and the way from it to the ``Course`` that a study holds; owns no calendar.

Days are whole numbers, counted from the day of the first treatment: that day is 0. Nothing here knows today.
``rtloop.plan.course_load`` reads a file, of the library or of a path.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from rtloop.model.course import Assessment, Course, Visit
from rtloop.plan.schema import Name, Table, Text

DaysBefore = Annotated[int, Field(ge=-365, le=3650)]
Days = Annotated[int, Field(ge=0, le=365)]


class Grade(StrEnum):
    """How well founded a protocol is: published as it stands, derived from what is published, or assumed."""

    PUBLISHED = "published"
    DERIVED = "derived"
    ASSUMED = "assumed"


class CourseHead(Table):
    """``[plan]`` of a course file."""

    name: Name
    kind: Literal["course"]
    schema_: Annotated[Literal[1], Field(alias="schema")]
    label: Annotated[Grade, Field(strict=False)]
    citation: Text
    notes: Annotated[str, Field(max_length=4000)] = ""


class CourseTable(Table):
    """``[course]``: what holds for all of it.

    ``treatment``: the treatment plan of every session, a name of the library, or a path as seen from the course file.
    ``baseline`` and ``primary``: the assessments that the responder flag compares. ``start_within_days`` of the enrolment
    the first treatment is due; without it there is no limit. ``if_undecided``: what a low or high arm treats where the map is
    undecided or not comparable: ``classic`` (left M1), ``chance`` (one of the map's targets by lot), ``more`` (nothing until
    more pulses decide). It has no default: a trial must have thought of it. ``closed``: weekdays without treatment ("sunday");
    ``last_day``: of any treatment, without it there is no limit; ``made_up_max``: how many may be moved out of their window.
    """

    treatment: Text
    if_undecided: Literal["classic", "chance", "more"]
    baseline: Text
    primary: Text
    start_within_days: Annotated[int, Field(ge=0, le=3650)] | None = None
    closed: Annotated[tuple[Text, ...], Field(max_length=7)] = ()
    last_day: Annotated[int, Field(ge=0, le=3650)] | None = None
    made_up_max: Annotated[int, Field(ge=0, le=100)] = 0


class Phase(Table):
    """One of ``[[phases]]``: sessions on day ``first_day``, then every ``every_days``.

    Each may be held from ``early_days`` before its day to ``late_days`` after it, both included, and at least
    ``min_gap_days`` after the session before it (1: the next day).
    """

    name: Name
    sessions: Annotated[int, Field(ge=1, le=100)]
    first_day: Days
    every_days: Days
    early_days: Days
    late_days: Days
    min_gap_days: Annotated[int, Field(ge=1, le=365)]


class AssessmentRow(Table):
    """One of ``[[assessments]]``: a visit at which outcomes are taken; ``day`` is negative before the first treatment."""

    name: Text
    day: DaysBefore
    early_days: Days
    late_days: Days


class CourseFile(Table):
    """A whole course file, as ``load_course`` makes it."""

    plan: CourseHead
    course: CourseTable
    phases: Annotated[tuple[Phase, ...], Field(min_length=1, max_length=20)]
    assessments: Annotated[tuple[AssessmentRow, ...], Field(min_length=1, max_length=40)]
    _sha256: str = PrivateAttr(default="")
    _source: bytes = PrivateAttr(default=b"")
    _path: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def sha256(self) -> str:
        """Of the text it was loaded from, hexadecimal."""
        return self._sha256

    @property
    def source(self) -> bytes:
        """The text it was loaded from."""
        return self._source

    @property
    def path(self) -> str:
        """Where it was loaded from; a bare name is of the library."""
        return self._path

    def value(self) -> Course:
        """The course that a study holds; ``ValidationProblem`` with every contradiction between its days."""
        visits: list[Visit] = []
        for phase in self.phases:
            for k in range(phase.sessions):
                first = not visits  # its day is what all others are counted from: it has no window
                visits.append(
                    Visit(
                        number=len(visits) + 1, day=phase.first_day + k * phase.every_days,
                        early_days=0 if first else phase.early_days, late_days=0 if first else phase.late_days,
                        min_gap_days=phase.min_gap_days,
                    )
                )  # fmt: skip
        return Course(
            name=self.plan.name, label=str(self.plan.label), sha256=self._sha256, visits=tuple(visits),
            assessments=tuple(Assessment(**a.model_dump()) for a in self.assessments),
            baseline=self.course.baseline, primary=self.course.primary,
            start_within_days=self.course.start_within_days, treatment=self.course.treatment,
            if_undecided=self.course.if_undecided, closed=self.course.closed, last_day=self.course.last_day,
            made_up_max=self.course.made_up_max,
        )  # fmt: skip

    def phase_of(self, number: int) -> Phase:
        """The phase of a visit by its number, from 1; ``KeyError`` if there is none."""
        last = 0
        for phase in self.phases:
            last += phase.sessions
            if 1 <= number <= last:
                return phase
        raise KeyError(number)
