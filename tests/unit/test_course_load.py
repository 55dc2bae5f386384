"""Course files: what they unfold to, every contradiction in words, and the course that ships."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta

import pytest
from treat_tools import COURSE, spoiled

from rtloop.model.course import Assessment, Visit
from rtloop.plan.course_load import courses, load_course, parse_course
from rtloop.plan.problems import FileProblem
from rtloop.plan.treat_load import treatments

WRONG = [
    ("first_day = 0", "first_day = 2", "visit 1 is day 0 of the course: its day and window are 0"),
    ("first_day = 7", "first_day = 5", "visit 4 is 3 days after visit 3, less than its min_gap_days"),
    ("every_days = 1", "every_days = 0", "visit 2 is 0 days after visit 1, less than its min_gap_days"),
    ('baseline = "before"', 'baseline = "never"', "baseline = 'never' is no assessment of the course (before, after)"),
    ("min_gap_days = 1", "min_gap_days = 0", "phases[0].min_gap_days: the number is too small; expected: at least 1; found: 0"),
    ("late_days = 2", "late_days = 2.5", "phases[0].late_days: not a whole number"),
    ("[course]", "[calendar]\nx = 1\n[course]", "calendar: the table is not known"),
    ('kind = "course"', 'kind = "treat"', "plan.kind: the file is no course; expected: kind = \"course\"; found: 'treat'"),
    ('label = "assumed"\n', "", "plan.label: the key is missing"),
    ('if_undecided = "classic"\n', "", "course.if_undecided: the key is missing"),
    ('if_undecided = "classic"', 'if_undecided = "M1"', "course.if_undecided: "),
    ("[course]", '[course]\nclosed = ["Sonntag"]', "closed: 'Sonntag' is no weekday"),
    ("[course]", "[course]\nlast_day = 13", "visit 5 is planned after last_day = 13"),
]  # fmt: skip


def test_a_course_unfolds_to_what_a_study_holds() -> None:
    course = parse_course(COURSE)
    value = course.value()
    assert value.sha256 == course.sha256 == hashlib.sha256(COURSE.encode()).hexdigest()
    assert (value.name, value.label, value.baseline, value.primary, value.start_within_days) == (
        "good", "assumed", "before", "after", None,
    )  # fmt: skip
    assert (value.treatment, value.if_undecided) == ("treat-10hz-4s", "classic")
    assert value.visits == (
        Visit(number=1, day=0, min_gap_days=1),
        Visit(number=2, day=1, early_days=1, late_days=2, min_gap_days=1),
        Visit(number=3, day=2, early_days=1, late_days=2, min_gap_days=1),
        Visit(number=4, day=7, early_days=2, late_days=3, min_gap_days=4),
        Visit(number=5, day=14, early_days=2, late_days=3, min_gap_days=4),
    )
    assert value.assessments == (
        Assessment(name="before", day=-1, early_days=5, late_days=1), Assessment(name="after", day=20, late_days=3),
    )  # fmt: skip
    assert [course.phase_of(n).name for n in (1, 3, 4, 5)] == ["daily", "daily", "weekly", "weekly"]
    for n in (0, 6):
        with pytest.raises(KeyError):
            course.phase_of(n)


def test_closed_days_the_last_day_and_what_may_be_made_up_are_the_files_to_say() -> None:
    plain = parse_course(COURSE).value()
    assert (plain.closed, plain.last_day, plain.made_up_max) == ((), None, 0)
    said = '[course]\nclosed = ["saturday", "sunday"]\nlast_day = 20\nmade_up_max = 2\n'
    value = parse_course(spoiled(COURSE, ("[course]\n", said))).value()
    assert (value.closed, value.last_day, value.made_up_max) == (("saturday", "sunday"), 20, 2)


@pytest.mark.parametrize(("old", "new", "words"), WRONG)
def test_contradictions_in_words(old: str, new: str, words: str) -> None:
    with pytest.raises(FileProblem) as caught:
        parse_course(spoiled(COURSE, (old, new)))
    assert words in str(caught.value)
    assert len(caught.value.problems) == 1
    assert caught.value.exit_code == 3


def test_contradictions_are_told_at_once() -> None:
    with pytest.raises(FileProblem) as caught:
        parse_course(spoiled(COURSE, ('name = "after"', 'name = "before"')))
    assert [p.found for p in caught.value.problems] == [
        "the assessment 'before' occurs twice", "primary = 'after' is no assessment of the course (before, before)",
    ]  # fmt: skip


def test_the_course_that_ships() -> None:
    assert courses() == ("course-derived",)
    course = load_course("course-derived")
    value = course.value()
    assert value.label == "derived"
    assert [v.day for v in value.visits] == [
        0,
        1,
        2,
        3,
        4,
        7,
        14,
        21,
        28,
        35,
        42,
        49,
    ]  # 5 daily, then weeks 2 to 8
    assert all(v.day < 56 for v in value.visits)
    assert course.course.treatment in treatments()
    assert {a.name for a in value.assessments} == {"baseline", "week 8"} == {value.baseline, value.primary}


@pytest.mark.parametrize("begins_on", range(5))
def test_it_can_be_held_on_working_days_whenever_it_begins(begins_on: int) -> None:
    """Whatever working day it begins on, each visit has a working day in its window that keeps the gap."""
    first = date(2026, 11, 23) + timedelta(days=begins_on)  # a Monday, and the four days after it
    held: list[date] = []
    for v in load_course("course-derived").value().visits:
        window = [first + timedelta(days=d) for d in range(v.day - v.early_days, v.day + v.late_days + 1)]
        fits = [d for d in window if d.weekday() < 5 and (not held or (d - held[-1]).days >= v.min_gap_days)]
        later = [d for d in fits if (d - first).days >= v.day]  # nobody is early who need not be
        assert fits, v
        held.append((later or fits)[0])
    assert len(held) == len(set(held)) == 12
