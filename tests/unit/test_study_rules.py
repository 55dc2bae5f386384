"""What may be written into a study: every reason at once; outcomes, corrections, the responder flag; treatments that are next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from study_tools import (
    AS,
    MONDAY,
    OP,
    STAT,
    at,
    begun,
    course,
    enter,
    folder_in_memory,
    given,
    go_to,
    listed,
    made_in,
    screened,
    treat,
)

from rtloop.clock import SteppedClock
from rtloop.errors import IntegrityProblem, ValidationProblem
from rtloop.model.course import Assessment, Course, Ended, TreatmentBegun, TreatmentGiven, Visit, is_code
from rtloop.study.outcomes import fall, responder
from rtloop.study.records import (
    OPEN_KINDS,
    AdverseEvent,
    CourseStopped,
    Deviation,
    Enrolled,
    Missed,
    OutcomeTaken,
    PersonAdded,
    TargetChosen,
    ThresholdTaken,
)
from rtloop.study.study import Study


@pytest.fixture
def clock() -> SteppedClock:
    return at(MONDAY)


@pytest.fixture
def study(clock: SteppedClock) -> Iterator[Study]:
    with folder_in_memory() as folder, made_in(folder / "study", clock) as study:
        study.write(listed(), by=STAT)
        enter(study, "P001")
        yield study


def refused(study: Study, record: object, by: str, *words: str, reason: str = "") -> None:
    n = study.state.n
    with pytest.raises(ValidationProblem) as why:
        study.write(record, by=by, reason=reason)  # type: ignore[arg-type]
    for part in words:
        assert part in why.value.found
    assert study.state.n == n


def outcome(**changed: object) -> OutcomeTaken:
    made = {"participant": "P001", "assessment": "week 3", "day": MONDAY, "scales": {"pain": 4.0}}
    return OutcomeTaken(**{**made, **changed})  # type: ignore[arg-type]


def test_everything_that_speaks_against_a_treatment_is_told_at_once(study: Study) -> None:
    study.write(Enrolled(participant="P002", day=MONDAY, stratum=""), by=OP)
    run = begun("P002", 2, MONDAY, mode="HUMAN")
    refused(
        study, run, OP, "a treatment in mode HUMAN, this study takes SIMULATED only",
        "no signed screening says that this participant may take part", "not allocated", "no target was chosen",
        "the assessment baseline was not taken: after the first treatment there is no baseline", "treatment 2, expected 1",
    )  # fmt: skip
    refused(study, begun("P009", 1, MONDAY), OP, "P009 is not enrolled")
    refused(study, begun("P001", 1, MONDAY, target="ACC"), OP, "the target is ACC, expected M1")
    refused(study, begun("P001", 1, "2026-11-22"), OP, "its day is 2026-11-22, today is 2026-11-23")


def test_a_crash_is_gone_on_with_and_never_repeated(study: Study) -> None:
    first = begun("P001", 1, MONDAY)
    study.write(first, by=OP)
    refused(study, replace(first, run_id="r2"), OP, "has no end: all its 3000 pulses count as given")
    study.write(given(first, 1000, uncertain=100), by=OP)
    rest = replace(first, run_id="r2", planned=1900, trains_planned=19)
    refused(
        study, replace(rest, planned=2000), OP, "2000 pulses planned, but only 1900 of the session are left"
    )
    refused(study, replace(rest, session_id="new"), OP, "session new, expected to resume P001-1 of today")
    refused(study, replace(rest, run_id=first.run_id), OP, "was told of already")
    refused(
        study, replace(rest, trains_planned=20), OP, "20 trains planned, but only 19 of the session are left"
    )
    other = "another plan than that of the session (treat, 3000 pulses)"
    refused(study, replace(rest, plan_sha256="e" * 64), OP, other)
    refused(study, replace(rest, session_planned=3600), OP, other)
    study.write(rest, by=OP)
    study.write(given(rest), by=OP)
    refused(study, replace(first, run_id="r3", session_id="s3", visit=2), OP, "one a day")
    (session,) = study.state.participants["P001"].calendar.given
    assert (session.delivered, session.uncertain, session.given_most, session.left) == (2900, 100, 3000, 0)


def test_a_utc_day_that_ends_in_the_afternoon_gives_no_second_treatment(
    study: Study, clock: SteppedClock
) -> None:
    """In a time zone where UTC's midnight falls into the clinic's day, two UTC days may lie minutes apart."""
    clock.sleep_until(at(MONDAY, 23).now_s())
    run = begun("P001", 1, MONDAY, utc=clock.utc())
    study.write(run, by=OP)
    clock.sleep_until(clock.now_s() + 1800.0)
    study.write(given(run, ended_utc=clock.utc()), by=OP)
    clock.sleep_until(clock.now_s() + 3600.0)
    tuesday = "2026-11-24"
    assert study.today == tuesday
    words = "the last treatment ended at 2026-11-23T23:30+00:00: at least 12 hours between two"
    refused(study, begun("P001", 2, tuesday, utc=clock.utc()), OP, words)
    from rtloop.study.shown import participant

    assert [r[: len(words)] for r in participant(study, "P001", by=OP)["treatment"]["not_today"]] == [words]
    clock.sleep_until(at(tuesday, 12).now_s())
    study.write(begun("P001", 2, tuesday, utc=clock.utc()), by=OP)


def test_facts_are_taken_in_whatever_they_are(study: Study) -> None:
    """Pulses that were given were given: also unplanned ones, on a day that was refused."""
    treat(study, "P001", 1)
    study.write(given(begun("P001", 3, MONDAY, session_id="x", run_id="x")), by=OP)
    from rtloop.study.shown import participant

    assert (
        "two treatment sessions on 2026-11-23: P001-1 and x" in participant(study, "P001", by=OP)["findings"]
    )
    refused(study, given(begun("P001", 3, MONDAY, mode="HUMAN")), OP, "this study takes SIMULATED only")


@pytest.mark.parametrize("delivered", [-1, 2999, 3001, True, 1.0])
def test_pulses_that_do_not_add_up_are_no_record(delivered: object) -> None:
    with pytest.raises(ValidationProblem, match="the record of a treatment is not valid"):
        given(begun("P001", 1, MONDAY), delivered, refused=0)  # type: ignore[arg-type]


def test_a_record_of_a_treatment_survives_json_and_nothing_else() -> None:
    made = given(begun("P001", 1, MONDAY), 1000, uncertain=3)
    assert TreatmentGiven.of(made.data()) == made
    assert made.begun == begun("P001", 1, MONDAY)
    assert TreatmentBegun.of(made.begun.data()) == made.begun
    with pytest.raises(ValidationProblem, match="has other fields"):
        TreatmentGiven.of({**made.data(), "more": 1})
    for wrong in ({"intensity_pct_rmt": float("nan")}, {"utc": "2026-11-23 09:00"}, {"participant": "Jane"}, {"head_hash": ""},
                  {"trains_given": 31}, {"ended": "well"}, {"day": "20261123"}, {"planned": 4000}):  # fmt: skip
        with pytest.raises(ValidationProblem):
            TreatmentGiven.of({**made.data(), **wrong})
    assert TreatmentGiven.of({**made.data(), "head_hash": "", "ended": "crashed"}).ended is Ended.CRASHED


@pytest.mark.parametrize(
    ("text", "fits"),
    [("P017", True), ("S01-P017", True), ("AB12", True), ("Jane", False), ("P1", False), ("p017", False), ("1970-01-01", False),
     ("P19700101", False), ("P017 ", False), ("JDOE", False), (17, False)],
)  # fmt: skip
def test_a_code_is_no_name_and_no_birth_date(text: object, fits: bool) -> None:
    assert is_code(text) is fits


def test_a_missed_visit_and_a_stop_need_a_reason(study: Study) -> None:
    for record in (Missed(participant="P001", visit=2), CourseStopped(participant="P001", day=MONDAY),
                   Deviation(participant="P001", visit=0, what="late")):  # fmt: skip
        refused(study, record, OP, "a reason is needed", reason="  ")
    study.write(CourseStopped(participant="P001", day=MONDAY), by=OP, reason="wish")
    refused(study, begun("P001", 1, MONDAY), OP, "the course was stopped on 2026-11-23")
    study.write(outcome(), by=AS)  # may still be taken


def test_who_is_enrolled_allocated_and_given_a_target(study: Study, clock: SteppedClock) -> None:
    refused(study, Enrolled(participant="P001", day=MONDAY, stratum=""), OP, "P001 is enrolled already")
    refused(study, Enrolled(participant="P002", day="2026-11-24", stratum="x"), OP, "2026-11-24 is not over",
            "stratum 'x', expected none")  # fmt: skip
    study.write(Enrolled(participant="P002", day=MONDAY, stratum=""), by=OP)
    with pytest.raises(ValidationProblem, match="no signed screening"):
        study.allocate("P002", by=OP)
    study.write(screened("P002", MONDAY, eligible=False), by=OP)
    with pytest.raises(ValidationProblem, match="no signed screening"):
        study.allocate("P002", by=OP)
    refused(study, TargetChosen(participant="P002", target="M1"), STAT, "P002 is not allocated")
    refused(
        study,
        TargetChosen(participant="P001", target="M1"),
        OP,
        "an operator takes the target that follows from arm and map",
    )
    with pytest.raises(ValidationProblem, match="P001 is allocated already"):
        study.allocate("P001", by=OP)
    with pytest.raises(ValidationProblem, match="found: not enrolled"):
        study.allocate("P009", by=OP)
    treat(study, "P001", 1)
    refused(
        study,
        TargetChosen(participant="P001", target="ACC"),
        STAT,
        "the target is M1, and treatment has begun",
    )
    refused(
        study, PersonAdded(person=OP, role="unblinded"), STAT, "Ola Op is in the study already, as operator"
    )
    refused(study, listed(), STAT, "there is an allocation list already")
    go_to(clock, "2026-11-24")
    study.write(screened("P002", "2026-11-24"), by=OP)
    study.allocate("P002", by=OP)
    assert [study.arm_of(c).position for c in ("P001", "P002")] == [1, 2]  # type: ignore[union-attr]


def test_strata_have_places_of_their_own() -> None:
    with folder_in_memory() as folder, made_in(folder / "s", at(MONDAY), strata=("north", "south")) as study:
        refused(study, listed("low", stratum="north"), STAT, "the list has no place for 'south'")
        refused(study, listed("low", stratum="east"), STAT, "strata that the study does not have: 'east'")
        refused(
            study,
            Enrolled(participant="P001", day=MONDAY, stratum=""),
            OP,
            "stratum '', expected north, south",
        )


def test_an_outcome_is_corrected_never_changed(study: Study) -> None:
    n = study.write(outcome(scales={"pain": 4.0, "sleep": 2}), by=AS).n
    refused(
        study,
        outcome(scales={"pain": 3.0}),
        AS,
        "pain was taken at week 3 already: correct it, with a reason",
    )
    refused(study, outcome(assessment="week 9"), AS, "no assessment 'week 9' (it has baseline, week 3)")
    refused(study, outcome(corrects=n), AS, "a correction needs a reason")
    refused(
        study,
        outcome(corrects=n),
        AS,
        "gives every scale of the record it corrects: pain, sleep",
        reason="misread",
    )
    refused(
        study, outcome(corrects=2), AS, "record 2 is no such record of this participant", reason="misread"
    )
    entry = study.write(outcome(scales={"pain": 3.0, "sleep": 2}, corrects=n), by=AS, reason="misread")
    assert entry.old == {"assessment": "week 3", "corrects": None, "day": MONDAY, "participant": "P001",
                         "scales": {"pain": 4.0, "sleep": 2}}  # fmt: skip
    assert study.state.participants["P001"].values["week 3"] == {"pain": 3.0, "sleep": 2}
    refused(
        study,
        outcome(scales={"pain": 3.0, "sleep": 2}, corrects=n),
        AS,
        "was corrected already",
        reason="again",
    )
    told = study.state.participants["P001"].response(study.course)
    assert (told.baseline, told.primary, told.fall_pct, told.responder) == (6.0, 3.0, 50.0, True)


@pytest.mark.parametrize(
    "scales",
    [
        {},
        {"pain": 10.5},
        {"pain": -1},
        {"pgic": 8},
        {"pain": float("nan")},
        {"pain": True},
        {"Pain": 3},
        {"x": "3"},
    ],
)
def test_values_that_no_scale_has_are_refused(scales: dict[str, object]) -> None:
    with pytest.raises(ValidationProblem, match="pain 0 to 10"):
        outcome(scales=scales)


@pytest.mark.parametrize(
    ("before", "after", "is_one"),
    [
        (10, 7, True),
        (10, 7.01, False),
        (0.1, 0.07, True),
        (6, 4.2, True),
        (6, 8, False),
        (0, 0, None),
        (None, 3, None),
        (3, None, None),
    ],
)
def test_the_responder_flag(before: float | None, after: float | None, is_one: bool | None) -> None:
    assert responder(before, after) is is_one


@settings(max_examples=50, deadline=None, derandomize=True)
@drawn(st.integers(1, 100), st.integers(0, 100))
def test_the_responder_flag_is_exact(before: int, after: int) -> None:
    assert responder(before / 10, after / 10) is (10 * (before - after) >= 3 * before)
    assert fall(before / 10, before / 10) == 0


def test_an_adverse_event_stands_on_its_axes(study: Study) -> None:
    event = AdverseEvent(participant="P001", day=MONDAY, what="syncope", severity="severe", serious=("hospital",),
                         related="probable", anticipated=True, device_deficiency=False, state="resolved")  # fmt: skip
    n = study.write(event, by=AS).n
    study.write(replace(event, related="not related", corrects=n), by=OP, reason="seen by the physician")
    with pytest.raises(ValidationProblem) as wrong:
        AdverseEvent(participant="P001", day="x", what=" ", severity="bad", serious=("very",), related="no", anticipated=1,  # type: ignore[arg-type]
                     device_deficiency=False, state="gone")  # fmt: skip
    for field in (
        "day = 'x'",
        "what = ' '",
        "severity = 'bad'",
        "serious = ('very',)",
        "related = 'no'",
        "anticipated = 1",
        "state",
    ):
        assert field in wrong.value.found


def test_a_threshold_is_from_emg_and_inside_its_interval() -> None:
    made = {"participant": "P001", "day": MONDAY, "pct_mso": 50, "low_pct_mso": 48.0, "high_pct_mso": 52.0, "method": "EMG",
            "unit": "200", "coil": "D70", "waveform": "monophasic"}  # fmt: skip
    assert ThresholdTaken(**made).pct_mso == 50  # type: ignore[arg-type]
    for wrong, words in (({"method": "twitch"}, "reads about 11 % too high"), ({"low_pct_mso": 51.0}, "does not hold 50"),
                         ({"high_pct_mso": None}, "does not hold 50"), ({"pct_mso": 50.5}, "a whole number")):  # fmt: skip
        with pytest.raises(ValidationProblem, match=words):
            ThresholdTaken(**{**made, **wrong})  # type: ignore[arg-type]


def test_records_of_another_version_are_refused() -> None:
    with pytest.raises(IntegrityProblem, match="a record enrolled has other fields"):
        OPEN_KINDS["enrolled"].of({"participant": "P001", "day": MONDAY})


def test_a_course_that_contradicts_itself_is_told_whole() -> None:
    visits = (Visit(number=1, day=0), Visit(number=2, day=1, min_gap_days=2))
    with pytest.raises(ValidationProblem) as wrong:
        course(visits=visits, primary="week 9", sha256="x", closed=("funday",), made_up_max=-1)
    for part in ("visit 2 is 1 days after visit 1", "primary = 'week 9' is no assessment", "sha256", "'funday' is no weekday",
                 "made_up_max = -1"):  # fmt: skip
        assert part in wrong.value.found
    with pytest.raises(ValidationProblem, match="visit 2 is planned after last_day = 0"):
        course(visits=(Visit(number=1, day=0), Visit(number=2, day=1)), last_day=0)
    with pytest.raises(ValidationProblem, match="visit 1 is day 0"):
        course(visits=(Visit(number=1, day=0, late_days=1),))
    with pytest.raises(ValidationProblem, match="occurs twice"):
        course(
            assessments=(Assessment(name="baseline", day=0), Assessment(name="baseline", day=1)),
            primary="baseline",
        )
    assert Course.of(course().data()) == course()
