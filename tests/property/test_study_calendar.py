"""The calendar: whoever obeys it never treats twice on a day nor repeats nor leaves the course; days as a slow twin has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import naive_study
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_tools import MONDAY, begun, course
from study_tools import given as ended

from rtloop.model.course import Course, TreatmentBegun
from rtloop.study.adherence import adherence, findings
from rtloop.study.calendar import (
    Calendar,
    fold,
    missed_faults,
    moved_faults,
    shifted,
    step,
    too_soon,
    whats_next,
)
from rtloop.study.records import Enrolled, Missed, Moved, Record

CODE = "P001"
COURSE = course()
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["day", "day", "day", "treat", "treat", "treat", "part", "crash", "gather", "miss", "move", "again"]),
        st.integers(1, 6), st.integers(0, 3000),
    ),
    max_size=40,
)  # fmt: skip


@dataclass
class Life:
    """One participant's course as people live it: they do whatever the calendar does not refuse."""

    course: Course
    today: str = MONDAY
    records: list[Record | TreatmentBegun] = field(default_factory=list)
    calendar: Calendar = field(default_factory=Calendar)
    runs: int = 0

    def put(self, record: Record | TreatmentBegun) -> None:
        self.records.append(record)
        self.calendar = step(self.calendar, record)

    def treat(self, end: Callable[[TreatmentBegun], TreatmentBegun | None]) -> None:
        due = whats_next(self.course, self.calendar, self.today)
        if due.not_today:
            return
        self.runs += 1
        planned = due.left if due.kind == "resume" else 3000
        run = begun(CODE, due.visit, self.today, run_id=f"r{self.runs}", planned=planned,
                    session_id=due.session_id or f"s{self.runs}", trains_planned=30 - due.trains_given)  # fmt: skip
        self.put(run)
        if (closed := end(run)) is not None:
            self.put(closed)

    def do(self, verb: str, number: int, size: int) -> None:
        if verb == "day":
            self.today = shifted(self.today, number)
        elif verb == "treat":
            self.treat(ended)
        elif verb == "part":
            self.treat(
                lambda run: ended(
                    run, min(size, run.planned), uncertain=min(7, run.planned - min(size, run.planned))
                )
            )
        elif verb == "crash":
            self.treat(lambda run: None)
        elif verb == "gather":
            for s in self.calendar.sessions.values():
                for run in s.unclosed:
                    self.put(ended(run, min(size, run.planned)))
        elif verb == "again":
            self.records += self.records[-1:]
        elif verb == "miss" and not missed_faults(self.course, self.calendar, number):
            self.put(Missed(participant=CODE, visit=number))
        elif verb == "move":
            to_day = shifted(self.today, size % 9)
            if not moved_faults(self.course, self.calendar, number, to_day, self.today):
                self.put(Moved(participant=CODE, visit=number, to_day=to_day))


def lived(steps: list[tuple[str, int, int]]) -> Life:
    life = Life(course=COURSE)
    life.put(Enrolled(participant=CODE, day=MONDAY, stratum=""))
    for one in steps:
        life.do(*one)
    return life


@settings(max_examples=150, deadline=None, derandomize=True)
@given(STEPS)
def test_whoever_obeys_the_calendar_never_treats_twice_nor_outside_it(
    steps: list[tuple[str, int, int]],
) -> None:
    life = lived(steps)
    given_ = life.calendar.given
    days = [s.day for s in given_]
    assert len(set(days)) == len(days)
    assert len({s.visit for s in given_}) == len(given_)
    assert [s.visit for s in given_] == sorted(s.visit for s in given_)
    odd = [f for f in findings(COURSE, life.calendar) if "day(s)" not in f or "before" in f]
    assert odd == []  # later than its window a treatment can be only where it was moved and missed again
    assert not any(COURSE.open_on(d) is False for d in days)
    for s in life.calendar.sessions.values():
        assert s.given_most + s.left == s.planned == 3000
        assert s.trains_given <= s.trains_planned


@settings(max_examples=100, deadline=None, derandomize=True)
@given(STEPS)
def test_each_treatment_is_given_missed_or_open_and_the_fold_is_one(
    steps: list[tuple[str, int, int]],
) -> None:
    life = lived(steps)
    again = fold(life.records)
    assert again == life.calendar
    assert fold(r for r in life.records for _ in (0, 1)) == again  # the same record twice counts once
    a = adherence(COURSE, again, life.today)
    left = [v.number for v in COURSE.visits if v.number not in again.done | again.missed]
    assert a.done + a.missed + len(left) == a.visits == 5
    assert a.overdue <= len(left)
    assert a.share is None or 0 <= a.share <= 1
    assert a.delivered + a.uncertain <= a.planned == 3000 * len(again.given)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(STEPS.filter(bool), st.integers(0, 30))
def test_may_treat_as_the_slow_twin_says(steps: list[tuple[str, int, int]], later: int) -> None:
    life = lived([s for s in steps if s[0] not in ("part", "crash", "gather", "again")])
    today = shifted(life.today, later)
    c = life.calendar
    due = whats_next(COURSE, c, today)
    given_ = {s.visit: s.day for s in c.given}
    want = naive_study.may_treat(COURSE, given_, set(c.missed), dict(c.moved), MONDAY, today)
    assert (0 if due.not_today else due.visit) == want


def closed_day(day: str, visit: int, delivered: int) -> list[TreatmentBegun]:
    run = begun(CODE, visit, day)
    return [run, ended(run, delivered)]


START: list[Record | TreatmentBegun] = [Enrolled(participant=CODE, day=MONDAY, stratum="")]


def test_a_second_treatment_on_a_day_is_refused() -> None:
    calendar = fold([*START, *closed_day(MONDAY, 1, 3000)])
    due = whats_next(COURSE, calendar, MONDAY)
    assert due.visit == 2
    assert due.not_today == (
        "a treatment was given today (P001-1): one a day",
        "treatment 2 is due on 2026-11-24, from 2026-11-24 to 2026-11-26",
    )
    assert whats_next(COURSE, calendar, "2026-11-24").not_today == ()


def test_a_crashed_run_is_given_whole_until_its_folder_is_gathered_then_goes_on() -> None:
    run = begun(CODE, 1, MONDAY)
    due = whats_next(COURSE, fold([*START, run]), MONDAY)
    assert "has no end: all its 3000 pulses count as given until its folder 1 is gathered" in due.not_today[0]
    due = whats_next(COURSE, fold([*START, run, ended(run, 1000, uncertain=100)]), MONDAY)
    assert (due.kind, due.left, due.trains_given, due.session_id, due.not_today) == (
        "resume",
        1900,
        11,
        "P001-1",
        (),
    )
    # the rest is not carried over to another day
    due = whats_next(COURSE, fold([*START, run, ended(run, 1000)]), "2026-11-24")
    assert (due.kind, due.visit, due.not_today) == ("treat", 2, ())


def test_a_broken_last_train_leaves_nothing_to_go_on_with() -> None:
    run = begun(CODE, 1, MONDAY)
    due = whats_next(COURSE, fold([*START, run, ended(run, 2950)]), MONDAY)
    assert (due.kind, due.visit) == ("treat", 2)
    assert due.not_today[0] == "a treatment was given today (P001-1): one a day"


def test_no_two_treatments_within_hours_where_a_utc_day_ends_between_them() -> None:
    """Four o'clock in the afternoon on the west coast of America is midnight in UTC."""
    run = begun(CODE, 1, MONDAY, utc=f"{MONDAY}T23:40:00.000+00:00")
    calendar = fold([*START, run, ended(run, 3000, ended_utc=f"{MONDAY}T23:55:00.000+00:00")])
    assert whats_next(COURSE, calendar, "2026-11-24").not_today == ()  # days alone do not see it
    told = too_soon(calendar, "2026-11-24T00:10:00.000+00:00")
    assert told == ["the last treatment ended at 2026-11-23T23:55+00:00: at least 12 hours between two, also where a UTC day "
                    "ends between them"]  # fmt: skip
    assert too_soon(calendar, "2026-11-24T11:54:59.999+00:00")
    assert too_soon(calendar, "2026-11-24T11:55:00.000+00:00") == []
    assert too_soon(fold(START), f"{MONDAY}T09:00:00.000+00:00") == []
    after = begun(
        CODE, 2, "2026-11-24", utc="2026-11-24T00:10:00.000+00:00"
    )  # it was given all the same: told, not hidden
    both = step(step(calendar, after), ended(after, 3000, ended_utc="2026-11-24T00:25:00.000+00:00"))
    assert findings(COURSE, both) == (
        "treatment 2 on 2026-11-24 began less than 12 hours after that of 2026-11-23",
    )


def test_a_run_of_which_nothing_was_given_uses_up_nothing() -> None:
    due = whats_next(COURSE, fold([*START, *closed_day(MONDAY, 1, 0)]), MONDAY)
    assert (due.kind, due.visit, due.not_today) == ("treat", 1, ())


def test_a_gap_that_pushes_a_treatment_out_of_its_window() -> None:
    tight = course(visits=(COURSE.visits[0], *(v for v in COURSE.visits[1:])), last_day=None)
    records = [*START]
    for day, visit in ((MONDAY, 1), ("2026-11-24", 2)):
        records += closed_day(day, visit, 3000)
    records += [Moved(participant=CODE, visit=3, to_day="2026-12-02"), *closed_day("2026-12-02", 3, 3000)]
    due = whats_next(tight, fold(records), "2026-12-03")
    assert due.visit == 4
    assert due.span is not None
    assert not due.span.fits
    assert due.not_today == (
        "treatment 4 cannot be given in its window: no open day from 2026-12-05 (after the gap) to 2026-12-03; move it or record "
        "it as missed, with the reason",
    )


@pytest.mark.parametrize(
    ("today", "words"),
    [
        ("2026-11-27", "treatment 2 was due on 2026-11-24, by 2026-11-26 at the latest; move it or record it as missed, with the "
         "reason"),
        ("2026-11-22", "today is 2026-11-22, but the last treatment was on 2026-11-23: the date of this computer is wrong"),
        ("2026-12-20", "the course ended on 2026-12-13: record what was not given as missed, with the reason"),
        ("2026-11-29", "2026-11-29 is a weekday on which the course is closed (sunday)"),
    ],
)  # fmt: skip
def test_why_not_today_in_words(today: str, words: str) -> None:
    assert words in whats_next(COURSE, fold([*START, *closed_day(MONDAY, 1, 3000)]), today).not_today


@pytest.mark.parametrize(
    ("visit", "to_day", "words"),
    [
        (9, "2026-11-25", "the course has no treatment 9 (1 to 5)"),
        (1, "2026-11-25", "treatment 1 was given"),
        (2, "2026-11-23", "2026-11-23 is less than 1 day(s) after the treatment of 2026-11-23"),
        (2, "2026-11-22", "2026-11-22 is over, today is 2026-11-23"),
        (2, "2026-11-29", "the course is closed on that weekday (sunday)"),
        (5, "2026-12-14", "2026-12-14 is after the course's last day, 2026-12-13"),
    ],
)
def test_why_a_visit_cannot_be_moved(visit: int, to_day: str, words: str) -> None:
    assert words in moved_faults(COURSE, fold([*START, *closed_day(MONDAY, 1, 3000)]), visit, to_day, MONDAY)


def test_before_the_first_treatment_only_that_one_can_be_moved() -> None:
    """The others have no days yet: a move could lie anywhere, and would count as made up afterwards."""
    assert moved_faults(COURSE, fold(START), 2, "2027-02-01", MONDAY) == [
        "the course has no days before treatment 1 was given: move that one"
    ]
    assert moved_faults(COURSE, fold(START), 1, "2026-11-25", MONDAY) == []


def test_so_many_may_be_made_up_and_no_more() -> None:
    before = [*START, *closed_day(MONDAY, 1, 3000), Moved(participant=CODE, visit=2, to_day="2026-11-28")]
    assert moved_faults(COURSE, fold(before), 3, "2026-11-30", MONDAY) == [
        "2026-11-30 is outside its window: at most 1 may be made up so (moved out already: 2)"
    ]
    assert moved_faults(COURSE, fold(before), 3, "2026-11-27", MONDAY) == []  # inside its own window
    assert (
        moved_faults(COURSE, fold(before), 3, "2026-11-28", MONDAY)[-1]
        == "treatment 2 was moved to 2026-11-28 too: one a day"
    )


def test_facts_that_should_not_be_are_taken_and_told() -> None:
    runs = [
        begun(CODE, 1, MONDAY),
        begun(CODE, 1, MONDAY, session_id="x", run_id="x"),
        begun(CODE, 4, "2026-11-24"),
    ]
    told = findings(COURSE, fold([*START, *(ended(r) for r in runs)]))
    assert "two treatment sessions on 2026-11-23: P001-1 and x" in told
    assert "treatment 1 was given in more than one session: P001-1, x" in told
    assert "treatment 4 on 2026-11-24, less than 3 days after 2026-11-23" in told
    assert "treatment 4 on 2026-11-24, 6 day(s) before its day" in told
