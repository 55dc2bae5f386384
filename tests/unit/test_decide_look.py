"""One look: both scores must agree, the boundary is that of the declared looks, and every answer is told in words."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from decide_tools import FINE, candidate, facts

from rtloop.decide.comparability import compare
from rtloop.decide.look import LookSpec, Outcome, Scale, decision_of, look
from rtloop.decide.mapping import TRIAL_NOTE, DecisionKind, Question
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Estimate

LOW = LookSpec(question=Question.LOW)
#: z between two targets of SE 0.01 is the gap over 0.01414
CLEAR = (candidate("M1", 0.06), candidate("DLPFC", 0.05), candidate("ACC", 0.01), candidate("PSI", 0.07))


def test_a_clear_map_is_named() -> None:
    found = look(CLEAR, FINE, LOW, 1)
    assert (found.outcome, found.leader, found.challenger) == (Outcome.NAMED, "ACC", "DLPFC")
    assert found.contests[0].z == pytest.approx((0.04 / math.sqrt(2e-4),) * 2)
    assert "ACC has the lowest GLOBAL score" in found.words
    assert "1.90 was needed" in found.words
    decision = decision_of(found, CLEAR)
    assert (decision.kind, decision.target, decision.note) == (DecisionKind.DECIDED, "ACC", TRIAL_NOTE)


def test_the_highest_is_named_only_when_the_arm_asks_for_it() -> None:
    high = replace(LOW, question=Question.HIGH)
    clear = (*CLEAR[:3], candidate("PSI", 0.1))
    assert look(clear, FINE, high, 1).leader == "PSI"
    assert "highest" in look(clear, FINE, high, 1).words
    for question in (Question.NONE, Question.CLASSIC):
        with pytest.raises(ValidationProblem, match="nothing to look for"):
            LookSpec(question=question)


def test_one_look_needs_less_than_two() -> None:
    near = (candidate("ACC", 0.01), candidate("M1", 0.01 + 1.8 * math.sqrt(2e-4)))
    assert look(near, FINE, replace(LOW, looks=1), 1).outcome is Outcome.NAMED
    assert look(near, FINE, LOW, 2).outcome is Outcome.UNDECIDED


def test_raw_and_matched_must_agree() -> None:
    """The weak target is lowest on the raw score only: nobody is named, whatever the raw distance."""
    weak = (candidate("DLPFC", 0.01, 0.05), *(candidate(t, 0.09, 0.05) for t in ("M1", "ACC", "PSI")))
    assert look(weak, FINE, replace(LOW, agree=(Scale.RAW,)), 2).leader == "DLPFC"
    found = look(weak, FINE, LOW, 2)
    assert found.outcome is Outcome.UNDECIDED
    only_matched = (candidate("ACC", 0.09, 0.01), *(candidate(t, 0.08, 0.06) for t in ("M1", "DLPFC", "PSI")))
    assert look(only_matched, FINE, LOW, 2).outcome is Outcome.UNDECIDED
    assert look(only_matched, FINE, replace(LOW, agree=(Scale.MATCHED,)), 2).leader == "ACC"


def test_a_return_goes_to_the_two_that_are_near() -> None:
    close = (*CLEAR[:1], candidate("DLPFC", 0.02), *CLEAR[2:])
    found = look(close, FINE, LOW, 1)
    assert (found.outcome, found.leader, found.challenger) == (Outcome.RETURN, "ACC", "DLPFC")
    assert "100 accepted pulses each" in found.words
    assert "same intensity, angle and place" in found.words
    assert not any(
        t in found.words for t in ("ACC", "DLPFC", "lowest")
    )  # the ranking stays closed until an answer
    with pytest.raises(ValidationProblem, match="no answer yet"):
        decision_of(found, close)


def test_the_last_look_ends_undecided_with_both_names() -> None:
    close = (*CLEAR[:1], candidate("DLPFC", 0.02), *CLEAR[2:])
    found = look(close, FINE, LOW, 2)
    assert found.outcome is Outcome.UNDECIDED
    assert "ACC or DLPFC has the lowest" in found.words
    assert "This is an answer" in found.words
    decision = decision_of(found, close)
    assert (decision.kind, decision.target) == (DecisionKind.UNDECIDED, None)
    three = (candidate("ACC", 0.01), candidate("DLPFC", 0.012), candidate("M1", 0.014))
    assert "which target has the lowest GLOBAL score cannot be told" in look(three, FINE, LOW, 2).words


def test_futility_stops_before_pointless_pulses() -> None:
    """Equal scores with one block to come: hope = 1.28 sqrt(2 - 1) = 1.28, under 1.90."""
    tie = (candidate("ACC", 0.01), candidate("M1", 0.01), candidate("PSI", 0.2))
    found = look(tie, FINE, LOW, 1)
    assert found.outcome is Outcome.UNDECIDED
    assert found.contests[0].hope == pytest.approx(1.28)
    assert "hardly part" in found.words
    assert look(tie, FINE, replace(LOW, block=300), 1).outcome is Outcome.RETURN


def test_placement_variance_widens_and_more_visits_narrow() -> None:
    near = (candidate("ACC", 0.01), candidate("M1", 0.05))
    assert look(near, FINE, LOW, 2).outcome is Outcome.NAMED
    wide = replace(LOW, placement_sd=0.015)
    assert look(near, FINE, wide, 2).contests[0].z[0] == pytest.approx(
        0.04 / math.sqrt(2 * (1e-4 + 0.015**2))
    )
    assert look(near, FINE, wide, 2).outcome is Outcome.UNDECIDED
    often = [replace(c, visits=4) for c in near]
    assert look(often, FINE, wide, 2).outcome is Outcome.NAMED


def test_a_spread_of_places_widens_and_no_pulse_or_visit_narrows_it() -> None:
    """Equal coupling gives unequal scores at unlike places; a part of the score that no pulse takes away."""
    near = (candidate("ACC", 0.05), candidate("M1", 0.09))
    assert look(near, FINE, LOW, 2).outcome is Outcome.NAMED
    wide = replace(LOW, place_spread=0.15)
    variance = 2e-4 + 0.15**2 * (0.05**2 + 0.09**2)
    assert look(near, FINE, wide, 2).contests[0].z[0] == pytest.approx(0.04 / math.sqrt(variance))
    often = [replace(c, visits=40) for c in near]
    assert look(often, FINE, wide, 2).contests == look(near, FINE, wide, 2).contests
    tie = (candidate("ACC", 0.05), candidate("M1", 0.06), candidate("PSI", 0.5))
    hopes = [look(tie, FINE, replace(spec, block=10**6), 1).contests[0].hope for spec in (LOW, wide)]
    assert hopes[0] > 100  # where the places are alike so many pulses part them
    assert hopes[1] < 1.90 * 2
    below = (candidate("ACC", -0.05), candidate("M1", 0.0))
    assert look(below, FINE, wide, 2).contests == look(below, FINE, LOW, 2).contests  # a share of nothing


@pytest.mark.parametrize("question", [Question.LOW, Question.HIGH])
def test_a_name_says_what_it_assumes(question: Question) -> None:
    told = "lowest" if question is Question.LOW else "highest"
    clear = (*CLEAR[:3], candidate("PSI", 0.3))
    for spread, within in ((0.0, "exactly"), (0.15, "within 15 %")):
        found = look(clear, FINE, replace(LOW, question=question, place_spread=spread), 1)
        assert found.outcome is Outcome.NAMED
        assert f"place of the {told} score" in found.words
        assert f"equal coupling gives equal scores at these places {within}" in found.words


def test_nothing_is_decided_below_n0_or_without_numbers() -> None:
    few = (*CLEAR[:3], candidate("PSI", 0.07, n=59))
    found = look(few, FINE, LOW, 1)
    assert (found.outcome, found.leader, found.spent) == (Outcome.NOT_COMPARABLE, None, False)
    assert "PSI has 59 accepted pulses; nothing is decided below 60" in found.words
    for bad in (
        Estimate.absent("no pulse yet"),
        Estimate.normal(0.01, math.nan, n=100),
        Estimate.normal(0.01, 0.0, n=100),
    ):
        broken = (*CLEAR[:3], replace(CLEAR[3], matched=bad))
        assert look(broken, FINE, LOW, 1).outcome is Outcome.NOT_COMPARABLE


def test_not_comparable_is_an_answer_with_its_remedy() -> None:
    rows = compare([facts("M1"), facts("DLPFC"), facts("ACC", accepted=40), facts("PSI", residue=5)])
    found = look(CLEAR, rows, LOW, 1)
    assert found.outcome is Outcome.NOT_COMPARABLE
    assert found.contests == ()
    decision = decision_of(found, CLEAR)
    assert (decision.kind, decision.target, decision.more_pulses) == (DecisionKind.NOT_COMPARABLE, None, 20)
    assert "record 20 more accepted pulses at ACC" in decision.text
    assert "mark the channel bad" in decision.text


def test_refused() -> None:
    for number in (0, 3):
        with pytest.raises(ValidationProblem, match="not declared"):
            look(CLEAR, FINE, LOW, number)
    with pytest.raises(ValidationProblem, match="two targets"):
        look(CLEAR[:1], FINE, LOW, 1)
    with pytest.raises(ValidationProblem, match="two targets"):
        look((CLEAR[0], CLEAR[0]), FINE, LOW, 1)
    with pytest.raises(ValidationProblem, match="no boundary"):
        LookSpec(question=Question.LOW, looks=6)
    with pytest.raises(ValidationProblem, match="make no sense"):
        LookSpec(question=Question.LOW, placement_sd=math.nan)
    with pytest.raises(ValidationProblem, match="make no sense"):
        LookSpec(question=Question.LOW, place_spread=-0.1)
