"""Owns the shape of a course file, pure data: its phases, its planned visits, their windows and gaps; owns no calendar.

Days are whole numbers, counted from the day on which session 1 is held: that day is 0. Dates come in when somebody
enrols (``rtloop.study``); nothing here knows today. ``load_course`` reads a file, of the library or of a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from rtloop.plan.schema import Name, Table, Text

Days = Annotated[int, Field(ge=0, le=400)]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip


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


class Calendar(Table):
    """``[calendar]``: what holds for all sessions.

    ``treatment``: the treatment plan of every session, a name of the library or a path beside the course file.
    ``last_day``: no session is held later than on this day. ``closed``: weekdays on which no session is held.
    ``made_up_max``: how many missed sessions (not held within their window) may be held later all the same, each with
    the gap of its own phase and none after ``last_day``; 0: a missed session is dropped.
    """

    treatment: Text
    last_day: Days
    closed: Annotated[tuple[Weekday, ...], Field(max_length=6)]
    made_up_max: Annotated[int, Field(ge=0, le=100)]


class Phase(Table):
    """One of ``[[phases]]``: sessions on day ``first_day``, then every ``every_days``.

    Each has the window from ``early_days`` before its planned day to ``late_days`` after it, both included.
    ``gap_days_min``: least number of days since the session held last, whichever it was (1: the next day at the earliest).
    """

    name: Name
    sessions: Annotated[int, Field(ge=1, le=100)]
    first_day: Days
    every_days: Days
    early_days: Days
    late_days: Days
    gap_days_min: Days


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One planned session: ``number`` from 1, days counted from session 1; the window has both its ends."""

    number: int
    phase: str
    day: int
    earliest_day: int
    latest_day: int
    gap_days_min: int


class Course(Table):
    """A whole course file. ``load_course`` also checks that its days do not contradict each other."""

    plan: CourseHead
    calendar: Calendar
    phases: Annotated[tuple[Phase, ...], Field(min_length=1, max_length=20)]
    _sha256: str = PrivateAttr(default="")
    _source: bytes = PrivateAttr(default=b"")

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def sha256(self) -> str:
        """Of the text the course was loaded from, hexadecimal; empty for one made in code."""
        return self._sha256

    @property
    def source(self) -> bytes:
        """The text the course was loaded from."""
        return self._source

    @property
    def sessions(self) -> int:
        """How many are planned."""
        return sum(p.sessions for p in self.phases)

    def visits(self) -> tuple[Visit, ...]:
        """Every planned session in order. Session 1 is day 0 by definition: its window is that day alone."""
        out: list[Visit] = []
        for phase in self.phases:
            for k in range(phase.sessions):
                day = phase.first_day + k * phase.every_days
                first = not out
                out.append(
                    Visit(
                        number=len(out) + 1, phase=phase.name, day=day,
                        earliest_day=day if first else max(0, day - phase.early_days),
                        latest_day=day if first else min(self.calendar.last_day, day + phase.late_days),
                        gap_days_min=phase.gap_days_min,
                    )
                )  # fmt: skip
        return tuple(out)

    def open_on(self, day: date) -> bool:
        """Whether sessions are held on this weekday."""
        return WEEKDAYS[day.weekday()] not in self.calendar.closed

    def dates(self, visit: Visit, first: date) -> tuple[date, ...]:
        """The open days of a visit's window, in order, when session 1 is held on ``first``; may be empty."""
        days = (first + timedelta(days=d) for d in range(visit.earliest_day, visit.latest_day + 1))
        return tuple(d for d in days if self.open_on(d))
