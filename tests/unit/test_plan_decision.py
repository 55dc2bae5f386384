"""[decision] and [comparability] of a plan: what they fix, and what is refused when the plan is loaded."""

from __future__ import annotations

import pytest
from decision_plan_tools import DECISION, asking

from rtloop.decide.look import LookSpec
from rtloop.decide.mapping import Question
from rtloop.decide.prescription import Prescription
from rtloop.errors import ValidationProblem
from rtloop.plan.decision import prescription_of, pulses_of_returns
from rtloop.plan.expand import Place, Review, Run, returns_at_most, visit_again
from rtloop.plan.load import parse_plan
from rtloop.plan.rehearse import rehearse


def test_a_plan_says_what_the_course_is_fixed_to_and_it_survives_the_record() -> None:
    found = prescription_of(parse_plan(asking()))
    assert found is not None
    assert found.course.targets == ("M1", "PSI")
    assert (found.course.first, found.course.repairs) == (12, 1)
    assert found.look == LookSpec(question=Question.LOW, n0=12, block=8, looks=2, place_spread=0.15)
    assert found.course.comparability.accepted_min == 12
    assert found.course.places_m["M1"][0] < 0  # left
    assert found.most(8) == 10
    assert found.most(3) == 4
    assert Prescription.from_dict(found.to_dict()) == found
    with pytest.raises(ValidationProblem, match="no prescription"):
        Prescription.from_dict({"course": {}})


def test_a_plan_without_the_table_fixes_nothing() -> None:
    assert prescription_of(parse_plan(asking(""))) is None


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (asking(question="classic"), "asks nothing of a map"),
        (asking(question="none"), "asks nothing of a map"),
        (asking(DECISION.replace("n0 = 12", "n0 = 13")), "first visit must bring"),
        (asking(DECISION.replace("accepted_min = 12", "accepted_min = 30")), "first visit must bring"),
        (asking(DECISION.replace("looks = 2", "looks = 5")), "incomparable by their own number"),
        (asking(DECISION.replace("looks = 2", "looks = 6")), "looks"),
        (asking(DECISION.replace("block_max = 10", "block_max = 7")), "return visits that may give"),
        (asking(DECISION.replace("block = 8\n", "")), "decision.block"),
        (asking("[comparability]\naccepted_min = 12\n"), "nothing is compared"),
        (asking(cap=60), "more pulses than its own cap"),
        (asking().replace("pulses_wanted = 12", "pulses_wanted = 13", 1), "unequal length"),
        (asking().replace("pulses_wanted = 12", "pulses_wanted = 12\ngap_ms = [-2, 14]", 1), "unlike windows"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_decided_by_is_refused(plan: str, words: str) -> None:
    with pytest.raises(ValidationProblem, match=words):
        parse_plan(plan)


def test_return_visits_are_in_the_rehearsal_and_its_cap() -> None:
    plan = parse_plan(asking())
    without = parse_plan(asking(""))
    more = rehearse(plan, today="2026-11-23").pulses[1] - rehearse(without, today="2026-11-23").pulses[1]
    assert more == 2 * 10 + 2 * 15  # returns to two; a repair of twelve at each of two, ten given for eight
    one = parse_plan(asking(DECISION.replace("repairs = 1", "repairs = 0")))
    assert (
        rehearse(one, today="2026-11-23").pulses[1] == rehearse(plan, today="2026-11-23").pulses[1] - 2 * 15
    )
    steps = returns_at_most(plan)
    assert sum(s.pulses_max for s in steps) == pulses_of_returns(plan.decision, 2, plan.comparability)  # type: ignore[arg-type]
    assert rehearse(plan, today="2026-11-23").pulses[0] == rehearse(without, today="2026-11-23").pulses[0]


def test_a_return_visit_adds_to_the_earlier_trials_at_the_same_intensity() -> None:
    place, run, review = visit_again(parse_plan(asking()), "PSI", 8, 10, "because")
    assert isinstance(place, Place)
    assert (place.target, place.why) == ("PSI", "because")
    assert isinstance(run, Run)
    assert (run.pulses_wanted, run.pulses_max, run.power_pct_mso, run.adds) == (8, 10, 45, True)
    assert isinstance(review, Review)
    assert "earlier trials do not count" in review.question
