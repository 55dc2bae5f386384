"""A mapping step by step: first visits, looks, returns, repairs, restarts, and its end."""

from __future__ import annotations

import pytest
from decide_tools import FINE, candidate, facts

from rtloop.decide.comparability import compare
from rtloop.decide.course import CourseSpec, Do, Restart, Visit, next_step
from rtloop.decide.look import Look, LookSpec, Outcome, look
from rtloop.decide.mapping import Question
from rtloop.errors import ValidationProblem

LOOKS = LookSpec(question=Question.LOW, looks=3, block=70)
ORDER = ("PSI", "M1", "ACC", "DLPFC")
SPEC = CourseSpec(targets=ORDER, look=LOOKS, question=Question.LOW)
FIRST = tuple(Visit(target=t, accepted=100) for t in ORDER)
NEAR = [candidate("M1", 0.06), candidate("DLPFC", 0.05), candidate("ACC", 0.01), candidate("PSI", 0.03)]


def _back(number: int) -> Look:
    found = look(NEAR, FINE, LOOKS, number)
    assert found.outcome is Outcome.RETURN
    return found


def test_first_visits_in_the_order_of_the_plan_then_a_look() -> None:
    for k, target in enumerate(ORDER):
        step = next_step(SPEC, FIRST[:k])
        assert (step.do, step.target, step.pulses, step.move) == (Do.VISIT, target, 100, True)
        assert f"target {k + 1} of 4" in step.why
    step = next_step(SPEC, FIRST)
    assert (step.do, step.number) == (Do.LOOK, 1)


def test_the_arm_that_asks_nothing_gets_no_look() -> None:
    for question in (Question.NONE, Question.CLASSIC):
        step = next_step(CourseSpec(targets=ORDER, question=question), FIRST)
        assert step.do is Do.END
        assert "asks nothing" in step.why


def test_returns_begin_where_the_coil_is_and_lead_to_the_next_look() -> None:
    spec = CourseSpec(targets=ORDER[::-1], look=LOOKS, question=Question.LOW)  # the coil ends at PSI
    history = [*FIRST[::-1], _back(1)]
    step = next_step(spec, history)
    assert (step.target, step.pulses, step.move) == ("PSI", 70, False)
    history.append(Visit(target="PSI", accepted=70))
    step = next_step(spec, history)
    assert (step.target, step.move) == ("ACC", True)
    history.append(Visit(target="ACC", accepted=97))
    assert next_step(spec, history).number == 2
    history.append(_back(2))
    assert next_step(spec, history).target == "ACC"  # the coil is there now
    history += [Visit(target="ACC", accepted=100), Visit(target="PSI", accepted=100)]
    assert next_step(spec, history).number == 3


def test_the_nearest_of_the_two_first() -> None:
    places = {"DLPFC": (0.0, 0.0, 0.0), "ACC": (0.01, 0.0, 0.0), "PSI": (0.09, 0.0, 0.0)}
    near = CourseSpec(targets=ORDER, look=LOOKS, question=Question.LOW, places_m=places)
    assert next_step(near, [*FIRST, _back(1)]).target == "ACC"
    assert next_step(SPEC, [*FIRST, _back(1)]).target == "PSI"  # unknown: the order of the plan


def test_an_answer_ends_it() -> None:
    named = look([*NEAR[:3], candidate("PSI", 0.05)], FINE, LOOKS, 1)
    assert named.outcome is Outcome.NAMED
    step = next_step(SPEC, [*FIRST, named])
    assert (step.do, step.why) == (Do.END, named.words)
    unplanned = Look(
        number=0, of=3, outcome=Outcome.NAMED, question=Question.LOW, words="", leader="M1", declared=False
    )
    assert next_step(SPEC, [*FIRST, unplanned]).do is Do.LOOK  # a look outside the plan steers nothing


def _refusal(**changes) -> Look:
    rows = compare([facts("M1"), facts("DLPFC"), facts("ACC"), facts("PSI", **changes)])
    return look(NEAR, rows, LOOKS, 1)


def test_missing_pulses_are_fetched_once_and_the_look_is_not_spent() -> None:
    refused = _refusal(accepted=45)
    history = [*FIRST, refused]
    step = next_step(SPEC, history)
    assert (step.do, step.target, step.pulses) == (Do.VISIT, "PSI", 15)
    assert "missing" in step.why
    history.append(Visit(target="PSI", accepted=10))
    step = next_step(SPEC, history)
    assert (step.do, step.number) == (Do.LOOK, 1)
    history.append(refused)
    step = next_step(SPEC, history)
    assert step.do is Do.END
    assert "not comparable" in step.why


def test_pulses_below_n0_are_fetched_too() -> None:
    spec = CourseSpec(
        targets=ORDER, look=LookSpec(question=Question.LOW, n0=80, block=70), question=Question.LOW
    )
    few = [*NEAR[:3], candidate("PSI", 0.03, n=72)]
    assert spec.look is not None
    refused = look(few, FINE, spec.look, 1)
    assert "nothing is decided below 80" in refused.words
    step = next_step(spec, [Visit(target="PSI", accepted=72), *FIRST[1:], refused])
    assert (step.target, step.pulses) == ("PSI", 8)


def test_other_failures_end_it_until_the_operator_restarts_a_target() -> None:
    refused = _refusal(residue=4.0)
    assert next_step(SPEC, [*FIRST, refused]).do is Do.END
    history = [*FIRST, refused, Restart(target="PSI")]
    step = next_step(SPEC, history)
    assert (step.do, step.target, step.pulses, step.move) == (Do.VISIT, "PSI", 100, True)
    assert "from the beginning" in step.why
    history.append(Visit(target="PSI", accepted=100))
    assert (next_step(SPEC, history).do, next_step(SPEC, history).number) == (Do.LOOK, 1)


def test_refused() -> None:
    with pytest.raises(ValidationProblem, match="not of the plan"):
        next_step(SPEC, [Visit(target="SMA", accepted=100)])
    with pytest.raises(ValidationProblem, match="only to that one"):
        CourseSpec(targets=ORDER, look=LOOKS, question=Question.HIGH)
    with pytest.raises(ValidationProblem, match="only to that one"):
        CourseSpec(targets=ORDER, question=Question.LOW)
    with pytest.raises(ValidationProblem, match="first visit"):
        CourseSpec(targets=ORDER, look=LOOKS, question=Question.LOW, first=59)
    with pytest.raises(ValidationProblem, match="incomparable by their own"):
        CourseSpec(targets=ORDER, look=LOOKS, question=Question.LOW, first=90)
    with pytest.raises(ValidationProblem, match="each once"):
        CourseSpec(targets=("M1", "M1"))
