"""A map names no target for the low or high arm in this version; every text tells what the trial found."""

from __future__ import annotations

import itertools
import math

import pytest

from rtloop.decide.mapping import TRIAL_NOTE, Decision, DecisionKind, DecisionSpec, Question, decide
from rtloop.decide.precision import (
    Enough,
    TargetState,
    enough,
    next_pulse_needed,
    run_is_over,
)
from rtloop.decide.ranking import SAMPLING_ONLY, rank
from rtloop.model.estimate import Estimate


def _state(target: str, value: float, se: float = 0.001) -> TargetState:
    return TargetState(
        target=target, wanted=100, most=160, given=120, accepted=100, rejected=20,
        score=Estimate.normal(value, se, n=100),
    )  # fmt: skip


CLEAR = (_state("M1", 0.09), _state("DLPFC", 0.05), _state("ACC", 0.01), _state("PSI", 0.07))


@pytest.mark.parametrize("question", ["low", "high", Question.LOW, Question.HIGH])
def test_the_map_arms_are_switched_off_even_for_a_clear_map(question: str) -> None:
    d = decide(CLEAR, question)
    assert d.kind is DecisionKind.SWITCHED_OFF
    assert d.target is None
    assert "switched off" in d.text
    assert "recording quality" in d.text
    assert "80 % of the evoked amplitude" in d.text
    assert TRIAL_NOTE in d.text
    assert d.ranking.lowest_first == ("ACC", "DLPFC", "PSI", "M1")
    assert d.ranking.label == SAMPLING_ONLY
    assert d.more_pulses is None
    assert not any(s.target in d.words for s in CLEAR)


def test_the_words_of_the_note() -> None:
    assert (
        TRIAL_NOTE
        == "In the trial (n = 90) choosing the target by this map brought no benefit over classic M1."
    )


@pytest.mark.parametrize("states", [CLEAR, (), (_state("ACC", math.nan),)])
def test_classic_gets_m1_whatever_the_map_says(states: tuple[TargetState, ...]) -> None:
    d = decide(states, "classic")
    assert (d.kind, d.target) == (DecisionKind.DECIDED, "M1")
    assert "whatever the map says" in d.text
    assert TRIAL_NOTE in d.text
    assert decide(states, "classic", DecisionSpec(classic_target="left M1")).target == "left M1"


@pytest.mark.parametrize("states", [CLEAR, (), (_state("ACC", math.nan),)])
def test_no_target_is_named_when_nothing_was_asked(states: tuple[TargetState, ...]) -> None:
    d = decide(states, "none")
    assert (d.kind, d.target) == (DecisionKind.NOT_ASKED, None)
    assert TRIAL_NOTE in d.text
    assert not any(s.target in d.words for s in states)


def test_the_order_of_the_targets_does_not_matter() -> None:
    for order in itertools.permutations(CLEAR):
        d = decide(order, "low")
        assert (d.kind, d.words, d.ranking.lowest_first) == (
            DecisionKind.SWITCHED_OFF, decide(CLEAR, "low").words, ("ACC", "DLPFC", "PSI", "M1"),
        )  # fmt: skip


def test_only_a_decision_names_a_target() -> None:
    for kind, target in (
        (DecisionKind.UNDECIDED, "M1"),
        (DecisionKind.SWITCHED_OFF, "M1"),
        (DecisionKind.DECIDED, None),
    ):
        with pytest.raises(ValueError, match="belongs to a decision"):
            Decision(kind=kind, question=Question.LOW, target=target, words="", note="", ranking=rank([]))
    with pytest.raises(ValueError, match="lowest"):
        decide(CLEAR, "lowest")


@pytest.mark.parametrize(
    ("given", "accepted", "rejected", "says"),
    [
        (0, 0, 0, Enough.NOT_YET),
        (15, 13, 2, Enough.MOST_REACHED),
        (14, 14, 0, Enough.WANTED_REACHED),
        (15, 14, 1, Enough.WANTED_REACHED),
        (14, 13, 1, Enough.NOT_YET),
        (14, 12, 2, Enough.NOT_YET),
        (16, 3, 0, Enough.MOST_REACHED),  # uncertain pulses count as given
        (20, 20, 0, Enough.WANTED_REACHED),
    ],
)
def test_enough(given: int, accepted: int, rejected: int, says: Enough) -> None:
    state = TargetState(target="M1", wanted=14, most=15, given=given, accepted=accepted, rejected=rejected)
    assert enough(state) is says
    assert next_pulse_needed(state) is (says is Enough.NOT_YET)
    assert run_is_over(accepted, given, 14, 15) is (says is not Enough.NOT_YET)


@pytest.mark.parametrize("bad", [{"wanted": 0}, {"most": 13}, {"given": -1}, {"accepted": -1}])
def test_impossible_counts(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="target M1: counts"):
        TargetState(**({"target": "M1", "wanted": 14, "most": 15} | bad))  # type: ignore[arg-type]
