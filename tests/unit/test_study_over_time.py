"""A number over the weeks: its change against measurement error, and how an outcome goes with it; against formulas and scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from rtloop.study.association import (
    LEAST,
    Row,
    association,
    by_arm,
    difference,
    share_interval,
    t_quantile,
)
from rtloop.study.over_time import Measured, baseline_of, change, changes, mdc, retest_sem, words


def at(day: str, value: float, half: float | None = 0.03, clock: str = "") -> Measured:
    low, high = (None, None) if half is None else (value - half, value + half)
    return Measured(day=day, value=value, low=low, high=high, at=clock)


def test_the_minimal_detectable_change_holds_in_95_of_100() -> None:
    """Of two measurements of the same value with the errors that their intervals say."""
    rng, n, se = np.random.default_rng(5), 20_000, 0.0155
    first, later = rng.normal(0.2, se, n), rng.normal(0.2, 2 * se, n)
    beyond = sum(
        bool(change(at("2026-01-01", a, 1.96 * se), at("2026-02-01", b, 1.96 * 2 * se)).beyond)
        for a, b in zip(first.tolist(), later.tolist(), strict=True)
    )
    assert abs(beyond / n - 0.05) < 3 * math.sqrt(0.05 * 0.95 / n)
    assert mdc(0.0155) == pytest.approx(2.77 * 0.0155, rel=1e-3)  # design note SCIENCE section 3


def test_a_change_says_by_what_it_was_judged() -> None:
    a, b = at("2026-01-01", 0.2), at("2026-02-01", 0.26)
    by_intervals = change(a, b)
    assert by_intervals.mdc == pytest.approx(0.03 * math.sqrt(2))
    assert by_intervals.beyond
    assert "the intervals of the two (chance of trials only" in words(by_intervals)
    assert (by_intervals.low, by_intervals.high) == pytest.approx(
        (0.06 - 0.03 * math.sqrt(2), 0.06 + 0.03 * math.sqrt(2))
    )
    retest = retest_sem([(0.2, 0.26), (0.26, 0.2)] * 5)
    assert retest is not None
    assert retest.value == pytest.approx(0.06 / math.sqrt(2))
    assert retest_sem([(0.2, 0.26)] * 9) is None
    wider = change(a, b, retest)
    assert not wider.beyond
    assert words(wider) == (
        "+0.06, no more than the minimal detectable change of 0.12 (by 10 retests of this study without treatment between them)"
    )
    assert "not known: one of the two has no interval" in words(change(a, at("2026-02-01", 0.3, None)), "x")


def test_the_baseline_is_the_last_before_the_first_treatment() -> None:
    early, late = at("2026-01-01", 0.1), at("2026-01-05", 0.2)
    same_day = at("2026-01-06", 0.3, clock="2026-01-06T08:00:00")
    after = at("2026-01-06", 0.4, clock="2026-01-06T10:00:00")
    points = [after, late, same_day, early]
    assert baseline_of(points, "2026-01-06T09:00:00.000+00:00") == same_day
    assert (
        baseline_of([at("2026-01-06", 0.3), late], "2026-01-06T09:00:00.000+00:00") == late
    )  # no instant: not that day
    assert baseline_of(points, None) == after
    assert baseline_of([after], "2026-01-06T09:00:00.000+00:00") is None
    assert [c.later for c in changes(points, late)] == [same_day, after]
    assert changes(points, None) == ()


def rows(arm: str, n: int, slope: float, noise: float, seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.05, 0.4, n)
    y = 40 + slope * x + rng.normal(0, noise, n)
    return [
        Row(participant=f"P{i:03}", arm=arm, x=float(a), y=float(b))
        for i, (a, b) in enumerate(zip(x, y, strict=True))
    ]


@pytest.mark.parametrize(("n", "seed"), list(itertools.product((LEAST, 30), (1, 2, 3))))
def test_slope_and_correlation_are_those_of_scipy(n: int, seed: int) -> None:
    made = rows("classic", n, -100.0, 15.0, seed)
    got = association("classic", made)
    x, y = [r.x for r in made], [r.y for r in made]
    told = stats.linregress(x, y)
    assert (got.slope, got.intercept, got.se) == pytest.approx((told.slope, told.intercept, told.stderr))
    half = stats.t.ppf(0.975, n - 2) * told.stderr
    assert (got.low, got.high) == pytest.approx((told.slope - half, told.slope + half))
    r = stats.pearsonr(x, y)
    interval = r.confidence_interval(0.95)
    assert got.r == pytest.approx(r.statistic)
    assert (got.r_low, got.r_high) == pytest.approx(
        (interval.low, interval.high), abs=2e-4
    )  # 1.96 there: 1.959964


def test_the_interval_covers_the_truth_in_95_of_100() -> None:
    hits = 0
    for seed in range(600):
        got = association("classic", rows("classic", 30, -80.0, 15.0, seed))
        hits += got.low <= -80.0 <= got.high
    assert abs(hits / 600 - 0.95) < 3 * math.sqrt(0.05 * 0.95 / 600)


def test_few_or_equal_values_have_no_slope_and_error_in_x_is_told() -> None:
    few = association("low", rows("low", LEAST - 1, 0, 1, 0))
    assert few.why_absent == "4 participant(s), fewer than 5"
    assert math.isnan(few.slope)
    same = association("low", [Row(participant="P1", arm="low", x=0.2, y=float(k)) for k in range(9)])
    assert same.why_absent == "all have the same value"
    sure = [
        Row(participant=r.participant, arm=r.arm, x=r.x, y=r.y, x_se=0.05) for r in rows("low", 40, 0, 1, 0)
    ]
    got = association("low", sure).reliability
    assert got == pytest.approx(1 - 0.05**2 / np.var([r.x for r in sure], ddof=1))
    assert association("low", rows("low", 40, 0, 1, 0)).reliability is None


def test_two_arms_differ_as_by_welch() -> None:
    both = rows("classic", 30, -100, 10, 1) + rows("low", 20, 0, 30, 2)
    found = by_arm(both, ("low", "high", "classic"))
    assert list(found) == ["low", "high", "classic"]
    a, b = found["classic"], found["low"]
    got = difference(a, b)
    assert got is not None
    free = (a.se**2 + b.se**2) ** 2 / (a.se**4 / 28 + b.se**4 / 18)
    half = stats.t.ppf(0.975, free) * math.hypot(a.se, b.se)
    assert (got.value, got.low, got.high) == pytest.approx(
        (a.slope - b.slope, a.slope - b.slope - half, a.slope - b.slope + half)
    )
    assert difference(a, found["high"]) is None


def test_quantiles_and_shares() -> None:
    for free, p in itertools.product((1, 2, 3, 7.3, 28, 500), (0.6, 0.9, 0.975, 0.999)):
        assert t_quantile(p, free) == pytest.approx(stats.t.ppf(p, free), rel=1e-9)
    for k, n in ((0, 5), (3, 9), (9, 9), (40, 90)):
        told = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert share_interval(k, n) == pytest.approx((told.low, told.high), abs=1e-4)
