"""Both methods against simulated responders and their naive twins: bias, coverage, pulses, how they end, what they say."""

from __future__ import annotations

import numpy as np
import pytest
from naive_threshold import fitted as naive_fitted
from naive_threshold import relative as naive_relative
from threshold_tools import Responder, course_of

from rtloop.errors import ValidationProblem
from rtloop.model.threshold import Answer
from rtloop.threshold.adaptive import AdaptiveSpec
from rtloop.threshold.curve import Curve, fitted
from rtloop.threshold.methods import METHODS, name_of, next_step
from rtloop.threshold.relative import RelativeSpec
from rtloop.threshold.steps import Do


def answers_of(text: str) -> list[Answer]:
    """ "40+ 30-": responses and none, by power."""
    return [Answer(pct_mso=int(word[:-1]), response=word[-1] == "+") for word in text.split()]


@pytest.mark.parametrize(
    ("spec", "n", "bias_most", "sd_most", "covered_least", "pulses"),
    [
        # of 500 each (tests/bench/validate_threshold.py): bias 0.0 % and 0.9 % of threshold, SD 2.0 and 2.1 %, 95 and 97 %
        (AdaptiveSpec(), 80, 0.008, 0.03, 0.85, (12, 30)),
        (RelativeSpec(), 40, 0.025, 0.04, 0.85, (20, 150)),
    ],
)
def test_many_responders_are_found_near_their_threshold_and_inside_the_interval(
    spec: AdaptiveSpec | RelativeSpec, n: int, bias_most: float, sd_most: float, covered_least: float, pulses: tuple[int, int]
) -> None:  # fmt: skip
    off, covered = [], 0
    for seed in range(n):
        t = 30.0 + 40.0 * seed / n
        step, answers = course_of(spec, Responder(t, seed=seed))
        assert step.do is Do.FOUND, step.why
        assert pulses[0] <= len(answers) <= pulses[1]
        assert step.low_pct_mso is not None
        assert step.high_pct_mso is not None
        assert step.low_pct_mso <= step.estimate_pct_mso <= step.high_pct_mso
        off.append(step.estimate_pct_mso / t - 1)
        covered += step.low_pct_mso <= t <= step.high_pct_mso
    assert abs(float(np.mean(off))) < bias_most
    assert float(np.std(off)) < sd_most
    assert covered / n >= covered_least


@pytest.mark.parametrize("seed", range(6))
def test_the_likelihood_is_that_of_its_naive_twin(seed: int) -> None:
    chance = np.random.default_rng(seed)
    curve = Curve(spread=0.03 + 0.02 * seed, lapse=0.01)
    answers = [
        Answer(pct_mso=int(chance.integers(20, 90)), response=bool(chance.random() < 0.5)) for _ in range(1 + 3 * seed)
    ]  # fmt: skip
    found, want = fitted(curve, answers), naive_fitted(answers, curve.spread, curve.lapse)
    assert found.estimate_pct_mso == pytest.approx(want[0], abs=0.051)
    for a, b in ((found.low_pct_mso, want[1]), (found.high_pct_mso, want[2])):
        assert (a is None) == (b is None)
        assert a is None or a == pytest.approx(b, abs=0.11)


@pytest.mark.parametrize("seed", range(20))
def test_the_relative_method_goes_the_way_of_its_naive_twin(seed: int) -> None:
    spec = RelativeSpec(start_pct_mso=25 + seed % 20, most_pct_mso=70, pulses_max=90 if seed % 5 else 30)
    threshold, spread = 20.0 + 3.0 * seed, 0.02 + 0.005 * (seed % 7)
    step, answers = course_of(spec, Responder(threshold, spread, seed))
    twin, powers = Responder(threshold, spread, seed), []

    def pulse(at: int) -> bool:
        powers.append(at)
        return twin.answer(at)

    word, found = naive_relative(spec, pulse)
    assert powers == [a.pct_mso for a in answers]
    assert step.do.value == word
    assert word == "failed" or step.estimate_pct_mso == found


@pytest.mark.parametrize("method", METHODS)
def test_the_same_answers_give_the_same_next_step(method: str) -> None:
    spec = METHODS[method]()
    _, answers = course_of(spec, Responder(47.0, seed=3))
    steps = [next_step(spec, answers[:k]) for k in range(len(answers) + 1)]
    assert steps == [next_step(spec, tuple(answers[:k])) for k in range(len(answers) + 1)]
    assert [s.pct_mso for s in steps[:-1]] == [a.pct_mso for a in answers]


def test_the_adaptive_method_surprises_nobody_with_a_jump_and_keeps_its_bounds() -> None:
    spec = AdaptiveSpec(start_pct_mso=20, most_pct_mso=60, rise_pct=8)
    for seed, t in enumerate(np.linspace(15, 75, 25)):
        _, answers = course_of(spec, Responder(float(t), seed=seed))
        powers = [a.pct_mso for a in answers]
        assert all(p <= max(powers[:i]) + 8 for i, p in enumerate(powers) if i)
        assert min(powers) >= spec.least_pct_mso
        assert max(powers) <= 60


@pytest.mark.parametrize(
    ("text", "pct_mso", "why"),
    [
        ("", 40, "the first pulse"),
        ("40-", 50, "no response so far: up"),
        ("40+", 30, "only responses so far: down"),
        ("40- 50- 60+", 55, "most likely 54.8 % after 3 pulse(s)"),
        ("20- 20- 30+", 25, "most likely 25.1 % after 3 pulse(s)"),
    ],
)
def test_what_the_adaptive_method_asks_for_next(text: str, pct_mso: int, why: str) -> None:
    step = next_step(AdaptiveSpec(), answers_of(text))
    assert (step.do, step.pct_mso, step.why) == (Do.GIVE, pct_mso, why)


@pytest.mark.parametrize(
    ("spec", "text", "why"),
    [
        (AdaptiveSpec(most_pct_mso=60), "40- 50- 60- 60- 60-", "the muscle answered to no pulse, up to 60 %"),
        (AdaptiveSpec(), "20+ 10+ 10+ 10+", "the muscle answered to every pulse, down to 10 %"),
        (
            AdaptiveSpec(pulses_min=3, pulses_max=4, most_pct_mso=50),
            "50- 50- 50- 40+ 50-",
            "lies outside 1 to 50 %",
        ),
        (RelativeSpec(most_pct_mso=40), "30- 35- 40-", "does not answer reliably up to 40 %"),
        (RelativeSpec(most_pct_mso=30), "30+ 30+ 30+ 30- 30- 30- 30- 30- 30-", "at 30 %, the most allowed"),
        (
            RelativeSpec(least_pct_mso=30),
            "30+ 30+ 30+ 30+ 30+ 30+ 30+ 30+",
            "the muscle answers down to 30 %",
        ),
        (RelativeSpec(pulses_max=2), "30- 35-", "no threshold within 2 pulses"),
    ],
)
def test_where_no_threshold_can_be_told_that_is_said(
    spec: AdaptiveSpec | RelativeSpec, text: str, why: str
) -> None:
    step = next_step(spec, answers_of(text))
    assert step.do is Do.FAILED
    assert why in step.why


def test_five_of_ten_is_the_threshold_and_four_is_not() -> None:
    climb, passed = "34+ 34+ 34+", "34+ 34- 34+ 34- 34+ 34- 34+ 34- 34+"
    at_33 = "33- 33+ 33- 33+ 33- 33+ 33- 33+ 33-"
    spec = RelativeSpec(start_pct_mso=34)
    left = next_step(spec, answers_of(f"{climb} {passed} {at_33}"))
    assert (left.do, left.pct_mso) == (Do.GIVE, 33)  # 4 of 9: the tenth decides
    assert left.why == "4 of 9 pulses answered at 33 %; 5 of 10 wanted"
    found = next_step(spec, answers_of(f"{climb} {passed} {at_33} 33-"))
    assert (found.do, found.estimate_pct_mso) == (Do.FOUND, 34.0)
    assert found.why == "5 of 9 pulses answered at 34 %, 4 of 10 at 33 %"
    more = next_step(spec, answers_of(f"{climb} {passed} {at_33} 33+"))
    assert (more.do, more.pct_mso) == (Do.GIVE, 32)  # 5 of 10 at 33 %


def test_pulses_that_the_relative_method_did_not_ask_for_are_refused() -> None:
    with pytest.raises(ValidationProblem, match=r"pulse 2 is not one.*expected: 35 %; found: 40 %"):
        next_step(RelativeSpec(), answers_of("30- 40+"))
    with pytest.raises(ValidationProblem, match="no pulse: the method had ended"):
        next_step(RelativeSpec(pulses_max=1), answers_of("30- 35+"))


def test_a_wide_interval_at_the_last_pulse_is_said() -> None:
    spec = AdaptiveSpec(pulses_max=12)
    step, _ = course_of(spec, Responder(50.0, 0.07, seed=4))
    assert step.do is Do.FOUND
    assert "12 pulses are the most" in step.why


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: AdaptiveSpec(start_pct_mso=5), lambda: AdaptiveSpec(pulses_min=40), lambda: AdaptiveSpec(rise_pct=0),
        lambda: AdaptiveSpec(width_share=float("nan")), lambda: AdaptiveSpec(most_pct_mso=101),
        lambda: Curve(spread=float("nan")),
        lambda: RelativeSpec(needed=11), lambda: RelativeSpec(fine_pct=6), lambda: RelativeSpec(start_pct_mso=True),
        lambda: Curve(lapse=0.0), lambda: Answer(pct_mso=0, response=True), lambda: Answer(pct_mso=40, response=1),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_numbers_that_no_method_can_work_with_are_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValidationProblem):
        wrong()


def test_names() -> None:
    assert [name_of(spec()) for spec in METHODS.values()] == [
        "adaptive maximum likelihood",
        "relative frequency",
    ]
