"""Owns the way from the text of a course file to a checked ``CourseFile``, and the courses that ship; owns no calendar."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rtloop.errors import ValidationProblem
from rtloop.plan.course_schema import AssessmentRow, CourseFile, CourseHead, CourseTable, Phase
from rtloop.plan.problems import Problem, parse_toml, refuse
from rtloop.plan.sections import read_tables, shelf, text_of

FOLDER = "course"
_SHAPES: dict[str, type[BaseModel]] = {"plan": CourseHead, "course": CourseTable}
_SPECIAL = {
    "plan.schema": ("the course is written for another version", "schema = 1", "bring the course up to date"),
    "plan.kind": ("the file is no course", 'kind = "course"', "name a course file here"),
}


def courses() -> tuple[str, ...]:
    """Names of the courses that ship, sorted."""
    return shelf(FOLDER)


def load_course(path_or_library_name: str | Path) -> CourseFile:
    """A course from a file, or from the library: a bare name without .toml is of the library.

    ``FileProblem`` (a ``ValidationProblem``) tells all problems at once; ``CourseFile.value()`` is what a study holds.
    """
    return _build(*text_of(path_or_library_name, "course", FOLDER))


def parse_course(text: str, source: str = "text") -> CourseFile:
    """A course from its text; raises as ``load_course``."""
    data = text.encode("utf-8", errors="surrogatepass")
    return _build(parse_toml("course", source, data), data, source)


def _build(raw: dict[str, Any], text: bytes, source: str) -> CourseFile:
    lists: dict[str, tuple[type[BaseModel], int]] = {
        "phases": (Phase, 20),
        "assessments": (AssessmentRow, 40),
    }
    tables, problems = read_tables(raw, _SHAPES, required=("plan", "course"), lists=lists, special=_SPECIAL)
    if problems:
        raise refuse("course", source, problems)
    course = CourseFile(**tables)
    course._sha256, course._source, course._path = hashlib.sha256(text).hexdigest(), text, source
    try:
        course.value()
    except ValidationProblem as err:
        wrong = [
            Problem(
                where="phases and assessments", what="they contradict each other", expected="a course that can be held",
                found=fault, todo=err.todo,
            )
            for fault in err.found.split("; ")
        ]  # fmt: skip
        raise refuse("course", source, wrong) from err
    return course
