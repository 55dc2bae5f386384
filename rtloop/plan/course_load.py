"""Owns the way from the text of a course file to a checked ``Course``, and the courses that ship; owns no calendar."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rtloop.plan.course_schema import Calendar, Course, CourseHead, Phase
from rtloop.plan.problems import Problem, parse_toml, refuse
from rtloop.plan.sections import read_tables, shelf, text_of

FOLDER = "course"
_SPECIAL = {
    "plan.schema": ("the course is written for another version", "schema = 1", "bring the course up to date"),
    "plan.kind": ("the file is no course", 'kind = "course"', "name a course file here"),
}


def courses() -> tuple[str, ...]:
    """Names of the courses that ship, sorted."""
    return shelf(FOLDER)


def load_course(path_or_library_name: str | Path) -> Course:
    """A course from a file, or from the library: a bare name without .toml is of the library.

    ``FileProblem`` (a ``ValidationProblem``) tells all problems at once.
    """
    return _build(*text_of(path_or_library_name, "course", FOLDER))


def parse_course(text: str, source: str = "text") -> Course:
    """A course from its text; raises as ``load_course``."""
    data = text.encode("utf-8", errors="surrogatepass")
    return _build(parse_toml("course", source, data), data, source)


def _build(raw: dict[str, Any], text: bytes, source: str) -> Course:
    shapes: dict[str, type[BaseModel]] = {"plan": CourseHead, "calendar": Calendar}
    tables, problems = read_tables(
        raw, shapes, required=("plan", "calendar"), lists={"phases": (Phase, 20)}, special=_SPECIAL
    )
    phases = [(f"phases[{i}]", p) for i, p in enumerate(tables.get("phases") or ()) if p is not None]
    problems += _days(phases, tables.get("calendar"))
    if problems:
        raise refuse("course", source, problems)
    course = Course(**tables)
    course._sha256, course._source = hashlib.sha256(text).hexdigest(), text
    return course


def _days(phases: list[tuple[str, Phase]], calendar: Calendar | None) -> Iterator[Problem]:
    """Planned days that cannot all be held: each a plan that says so of itself, without a single deviation."""
    if phases and phases[0][0] == "phases[0]" and phases[0][1].first_day != 0:
        yield Problem(
            where="phases[0].first_day", what="the course does not begin with session 1", expected="0",
            found=str(phases[0][1].first_day), todo="count the days from session 1, whose day is 0",
        )  # fmt: skip
    names = [p.name.casefold() for _, p in phases]
    for where, phase in phases:
        if names.count(phase.name.casefold()) > 1:
            yield Problem(
                where=f"{where}.name", what="the name occurs twice", expected="each phase with a name of its own",
                found=phase.name, todo="rename one of the phases",
            )  # fmt: skip
        if phase.sessions > 1 and phase.every_days < phase.gap_days_min:
            yield Problem(
                where=f"{where}.every_days", what="the planned days are closer than the least gap",
                expected=f"at least gap_days_min = {phase.gap_days_min}", found=str(phase.every_days),
                todo="plan the sessions further apart, or allow a smaller gap",
            )  # fmt: skip
        last = phase.first_day + (phase.sessions - 1) * phase.every_days
        if calendar is not None and last > calendar.last_day:
            yield Problem(
                where=f"{where}.sessions", what="a session is planned after the last day of the course",
                expected=f"no day after calendar.last_day = {calendar.last_day}", found=f"day {last}",
                todo="plan fewer or closer sessions, or lengthen the course",
            )  # fmt: skip
    for (_, before), (where, phase) in pairwise(phases):
        last = before.first_day + (before.sessions - 1) * before.every_days
        if phase.first_day < last + phase.gap_days_min:
            yield Problem(
                where=f"{where}.first_day", what="the phase begins too early after the one before",
                expected=f"day {last + phase.gap_days_min} or later (gap_days_min = {phase.gap_days_min} after day {last})",
                found=f"day {phase.first_day}", todo="begin the phase later, or allow a smaller gap",
            )  # fmt: skip
