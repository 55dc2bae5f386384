"""P(lowest) and P(highest): against simulation, against closed forms, and whatever the numbers are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from rtloop.decide.ranking import p_lowest, rank
from rtloop.model.estimate import Estimate

_SCORE = st.floats(-1, 1).map(lambda x: round(x, 6))
_SE = st.one_of(st.floats(1e-6, 1).map(lambda x: round(x, 7)), st.just(0.0))
_TARGETS = st.lists(st.tuples(_SCORE, _SE), min_size=2, max_size=6)
_EASY = settings(max_examples=150, deadline=None, derandomize=True)


@pytest.mark.parametrize("seed", range(6))
def test_against_simulation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    value, se = rng.normal(0, 0.02, 4), rng.lognormal(np.log(0.015), 0.8, 4)
    draws = value + se * rng.standard_normal((400_000, 4))
    simulated = np.bincount(draws.argmin(axis=1), minlength=4) / len(draws)
    assert np.abs(p_lowest(value, se) - simulated).max() < 0.004  # 5 standard errors of the simulation
    simulated = np.bincount(draws.argmax(axis=1), minlength=4) / len(draws)
    assert np.abs(p_lowest(-value, se) - simulated).max() < 0.004


@_EASY
@given(_SCORE, _SCORE, st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_two_targets_have_a_closed_form(a: float, b: float, se_a: float, se_b: float) -> None:
    exact = float(ndtr((b - a) / math.hypot(se_a, se_b)))
    assert p_lowest(np.array([a, b]), np.array([se_a, se_b]))[0] == pytest.approx(exact, abs=1e-4)


def test_equal_targets_share_equally() -> None:
    for n in (1, 2, 4, 7):
        for se in (0.0, 1e-3):
            assert p_lowest(np.full(n, 0.3), np.full(n, se)) == pytest.approx(np.full(n, 1 / n), abs=1e-9)


def test_a_certain_score_against_an_uncertain_one() -> None:
    assert p_lowest(np.array([0.0, 0.1]), np.array([0.0, 0.1]))[0] == pytest.approx(
        float(ndtr(1.0)), abs=1e-5
    )
    assert p_lowest(np.array([0.0, 1.0]), np.array([0.0, 0.0])) == pytest.approx([1.0, 0.0])


@_EASY
@given(_TARGETS)
def test_sums_to_one_and_the_order_does_not_matter(targets: list[tuple[float, float]]) -> None:
    value, se = np.array(targets).T
    p = p_lowest(value, se)
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert (p >= 0).all()
    assert p_lowest(value[::-1], se[::-1])[::-1] == pytest.approx(p, abs=1e-9)
    assert (p_lowest(value, se) == p).all()  # deterministic
    assert p_lowest(1e-3 * value + 5.0, 1e-3 * se) == pytest.approx(
        p, abs=2e-3
    )  # neither unit nor origin matter


@_EASY
@given(_TARGETS)
def test_the_ranking_follows_the_targets(targets: list[tuple[float, float]]) -> None:
    named = [(f"t{i}", Estimate.normal(v, s, n=60)) for i, (v, s) in enumerate(targets)]
    straight = {p.target: p for p in rank(named).places}
    turned = {p.target: p for p in rank(named[::-1]).places}
    assert rank(named).lowest_first == rank(named[::-1]).lowest_first
    for name, place in straight.items():
        assert place.rank == turned[name].rank
        assert place.p_lowest == pytest.approx(turned[name].p_lowest, abs=1e-9)
        assert place.p_highest == pytest.approx(turned[name].p_highest, abs=1e-9)


def test_missing_scores_are_left_out_with_the_reason() -> None:
    a, b = Estimate.normal(0.02, 0.01, n=60), Estimate.normal(0.03, 0.01, n=60)
    with_gap = rank([
        ("M1", a), ("ACC", Estimate.absent("no pulse yet")), ("PSI", b),
        ("DLPFC", Estimate(value=math.inf, se=1.0, low=0.0, high=0.0, n=3)),
        ("SMA", Estimate(value=0.0, se=math.nan, low=0.0, high=0.0, n=3)),
    ])  # fmt: skip
    alone = {p.target: p for p in rank([("M1", a), ("PSI", b)]).places}
    places = {p.target: p for p in with_gap.places}
    assert with_gap.lowest_first == ("M1", "PSI")
    assert places["M1"] == alone["M1"]
    assert dict(with_gap.excluded) == {
        "ACC": "no pulse yet",
        "DLPFC": "the score is not a finite number (inf)",
        "SMA": "the standard error is not usable (nan)",
    }
    assert places["ACC"].p_lowest is None
    assert with_gap.label == "sampling error only, not a decision"


def test_one_score_has_no_probability() -> None:
    only = rank([("M1", Estimate.normal(0.02, 0.01, n=60)), ("ACC", Estimate.absent("no pulse yet"))]).places[
        0
    ]
    assert (only.p_lowest, only.p_highest, only.rank) == (None, None, 1)
    assert only.why_absent == "no other target has a score yet"
    with pytest.raises(ValueError, match="occurs twice"):
        rank([("M1", Estimate.absent("x")), ("M1", Estimate.absent("x"))])


@pytest.mark.parametrize(
    ("value", "se"), [([], []), ([1.0], [1.0, 2.0]), ([math.nan, 0.0], [1.0, 1.0]), ([0.0, 0.0], [1.0, -1.0])]
)
def test_unusable_numbers(value: list[float], se: list[float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        p_lowest(np.array(value), np.array(se))
