"""The noise-matched score: against its naive twin and the live sums, and what it is for."""

from __future__ import annotations

from dataclasses import replace

import naive_decide
import numpy as np
import pytest
from decide_tools import BANDS, signal

from rtloop.decide.lagged import channel_major, lagged_scores
from rtloop.decide.matching import MatchSpec, match, noise_factors, shifts_for, with_noise
from rtloop.decide.signals import rhythm_change, snr_of, worst_residue
from rtloop.errors import ValidationProblem
from rtloop.measures.connectivity import RunningConnectivity

BAD = [(k, 2) for k in range(0, 24, 3)] + [(5, 0), (6, 4)]


def _four(n=24, **more):
    sizes = (1.0, 0.8, 1.0, 0.6)
    return [
        signal(t, n, amplitude=a, seed=k, **more) for k, (t, a) in enumerate(zip("ABCD", sizes, strict=True))
    ]


def test_against_the_naive_twin() -> None:
    signals = [*_four(channels=5)[:2], signal("C", 24, channels=5, seed=9, bad=BAD)]
    spec = MatchSpec(shifts=2)
    found = match(signals, spec)
    for s, m in zip(signals, found, strict=True):
        assert m.snr_by_band == pytest.approx(naive_decide.snr(s), rel=1e-4)
        value, each = naive_decide.score(naive_decide._complex(s)[0], s)
        assert (m.raw.value, m.raw.se) == pytest.approx((value, naive_decide.se(each)), abs=1e-5)
    expected = naive_decide.matched(signals, [shifts_for(24, spec)] * 3)
    for m, (value, se) in zip(found, expected, strict=True):
        assert (m.matched.value, m.matched.se) == pytest.approx((value, se), abs=2e-5)


def test_the_raw_score_is_that_of_the_live_sums() -> None:
    s = signal("A", 40, bad=[*BAD, (30, 7)])
    live = RunningConnectivity(8, BANDS, capacity=40)
    for k in range(40):
        live.add(k, s.re[k].copy(), s.im[k].copy(), s.good[k])
    w = np.stack([s.weights, np.zeros_like(s.weights)])
    mask = s.good[:, :, None]
    planes = [channel_major(np.where(mask, p, np.float32(0))) for p in (s.re, s.im)]
    value, each = lagged_scores(*planes, s.weights, BANDS)
    assert value == pytest.approx(s.weights @ live.pair_values()["dwpli2"], abs=1e-6)
    assert each == pytest.approx(live.without_each(w, lagged_only=True)["dwpli2"][:, 0], abs=1e-6)


def test_equal_coupling_at_unequal_amplitude_is_made_equal() -> None:
    """What it is for: at 0.7 of the amplitude the raw score halves, the matched one stays."""
    ratios = []
    for seed in range(6):
        strong = signal("strong", 200, seed=2 * seed, head=seed)
        weak = signal("weak", 200, amplitude=0.7, seed=2 * seed + 1, head=seed)
        a, b = match([strong, weak])
        ratios.append((b.raw.value / a.raw.value, b.matched.value / a.matched.value))
        assert b.noise_by_band == pytest.approx(0.0)
        assert b.matched == b.raw
        assert a.weakest_by_band == ("weak",) * 3
        assert "matched to target weak" in a.words
        assert "not altered" in b.words
    raw, matched = np.mean(ratios, axis=0)
    assert raw < 0.7
    assert 0.9 < matched < 1.1


def test_matching_keeps_a_true_difference() -> None:
    weak = signal("weak", 200, amplitude=0.7, seed=3)
    loose = signal("loose", 200, kappa=0.7, seed=4)
    a, b = match([weak, loose])
    assert b.matched.value < 0.5 * a.matched.value
    assert b.raw.value > b.matched.value  # noise was added to the stronger one


def test_every_target_ends_at_the_lowest_snr() -> None:
    signals = _four(200)
    factors = noise_factors(np.stack([snr_of(s)[0] for s in signals]), MatchSpec(), tuple(BANDS))
    lowest = np.stack([snr_of(s)[0] for s in signals]).min(axis=0)
    for s, c in zip(signals, factors, strict=True):
        re, im = with_noise(s, c, 7)
        size = (re**2 + im**2).mean(axis=(0, 1))
        before = (s.ongoing_re**2 + s.ongoing_im**2).mean(axis=(0, 1))
        for j, band in enumerate(BANDS.values()):
            quiet = before[band].mean() * (1 + c[j] ** 2)
            assert size[band].mean() / quiet - 1 == pytest.approx(lowest[j], abs=0.05)


def test_unit_and_order_of_the_targets_do_not_matter() -> None:
    signals = _four()
    straight = {m.target: m for m in match(signals)}
    for m in match(signals[::-1]):
        assert (m.raw, m.matched, m.shifts) == (
            straight[m.target].raw, straight[m.target].matched, straight[m.target].shifts,
        )  # fmt: skip
    planes = ("re", "im", "ongoing_re", "ongoing_im")
    louder = [replace(s, **{p: 8 * getattr(s, p) for p in planes}) if s.target == "B" else s for s in signals]
    for m in match(louder):
        assert m.matched.value == pytest.approx(straight[m.target].matched.value, abs=1e-6)
        assert m.matched.se == pytest.approx(straight[m.target].matched.se, abs=1e-6)


def test_the_trials_are_not_changed_and_the_caller_can_show_life() -> None:
    signals = _four()[2:]
    before = [s.re.copy() for s in signals]
    beats: list[int] = []
    match(signals, MatchSpec(shifts=3), meanwhile=lambda: beats.append(1))
    assert all((s.re == b).all() for s, b in zip(signals, before, strict=True))
    assert len(beats) == 2 + 3  # the weakest is not drawn again


def test_shifts_are_fixed_and_far_enough() -> None:
    spec = MatchSpec(shifts=8)
    assert shifts_for(60, spec) == shifts_for(60, spec)
    assert shifts_for(60, replace(spec, seed=1)) != shifts_for(60, spec)
    for n in (11, 60, 101):
        found = shifts_for(n, spec)
        assert len(set(found)) == len(found) == min(8, n - 9)
        assert all(5 <= s <= n - 5 for s in found)
    with pytest.raises(ValidationProblem, match="too few trials"):
        shifts_for(9, spec)


def test_one_ratio_for_all_bands_where_asked() -> None:
    snr = np.array([[0.4, 0.6, 0.6], [0.4, 0.3, 0.3], [-0.2, 0.0, 0.3]])
    own = noise_factors(snr, MatchSpec(), tuple(BANDS))
    assert own[0] == pytest.approx(np.sqrt([0.4 / 0.02 - 1, 0.6 / 0.02 - 1, 1.0]))
    beta = noise_factors(snr[:2], MatchSpec(ratio_bands=("low_beta", "high_beta")), tuple(BANDS))
    assert beta == pytest.approx(np.array([[1.0] * 3, [0.0] * 3]))


def test_residue_and_rhythm_see_what_they_are_for() -> None:
    plain = signal("A", 120, seed=1, channels=12)
    locked = plain.re.copy()
    locked[:, 3, BANDS["high_beta"]] += 6.0
    assert worst_residue(plain)[0] < 2
    assert worst_residue(replace(plain, re=locked)) == (pytest.approx(6 / np.sqrt(2), rel=0.2), 3)
    lost = signal("A", 120, seed=1, channels=12, alpha=0.8)
    assert rhythm_change(lost) / rhythm_change(plain) == pytest.approx(0.64, abs=0.1)
    loose = signal("A", 120, seed=1, channels=12, kappa=0.0)
    assert rhythm_change(loose) / rhythm_change(plain) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("plane", ["re", "im", "ongoing_re", "ongoing_im"])
def test_numbers_that_are_none(plane: str) -> None:
    s = signal("A", bad=[(0, 0)])
    broken = getattr(s, plane).copy()
    broken[0, 0] = np.nan
    assert (
        match([replace(s, **{plane: broken}), signal("B", seed=1)])[0].raw
        == match([s, signal("B", seed=1)])[0].raw
    )
    broken[1, 1, 2] = np.inf
    with pytest.raises(ValidationProblem, match="no numbers"):
        replace(s, **{plane: broken})


def test_refused() -> None:
    a, b = signal("A"), signal("B", seed=1)
    with pytest.raises(ValidationProblem, match="each target once"):
        match([a, a])
    with pytest.raises(ValidationProblem, match="each target once"):
        match([])
    with pytest.raises(ValidationProblem, match="do not fit"):
        replace(a, ongoing_re=a.ongoing_re[:, :, :5], ongoing_im=a.ongoing_im[:, :, :5])
    with pytest.raises(ValidationProblem, match="no power before"):
        match([replace(a, ongoing_re=0 * a.re, ongoing_im=0 * a.re), b])
    with pytest.raises(ValidationProblem, match="different bands"):
        match([a, replace(b, bands={"alpha": slice(0, 9)})])
    with pytest.raises(ValidationProblem, match="make no sense"):
        MatchSpec(snr_floor=float("nan"))
