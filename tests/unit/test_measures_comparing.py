"""Equal numbers of trials, spread of halves, control blocks, norms, and the signal before the pulse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtloop.errors import ValidationProblem
from rtloop.measures.contrast import difference, subtracted_average
from rtloop.measures.norms import NORMS, PRESET, share_below, standing
from rtloop.measures.ongoing import OngoingKernels, RunningOngoing, locking_within
from rtloop.measures.sampling import equalised, half_sample_se, plus_minus, subset
from rtloop.model.estimate import Estimate
from rtloop.model.montage import HEAD_RADIUS_M, position_of


def test_a_subset_is_drawn_again_exactly_and_without_replacement():
    a = subset(100, 60, draw=3)
    assert a.sum() == 60
    assert np.array_equal(a, subset(100, 60, draw=3))
    assert not np.array_equal(a, subset(100, 60, draw=4))
    assert not np.array_equal(a, subset(100, 60, draw=3, seed=1))
    assert subset(7, 7).all()
    shares = np.mean([subset(20, 5, draw=d) for d in range(2000)], axis=0)
    assert np.abs(shares - 0.25).max() < 0.05
    for n in (0, 8):
        with pytest.raises(ValidationProblem, match="no such subset"):
            subset(7, n)


def plv(units):
    return lambda chosen: np.abs(units[chosen].mean(axis=0)).mean(keepdims=True)


def test_equal_n_takes_the_bias_of_unequal_n_out_of_plv():
    rng = np.random.default_rng(0)
    units = np.exp(1j * rng.uniform(0, 2 * np.pi, (120, 300)))  # 300 pairs without coupling
    few, many = units[:40], units
    raw = plv(many)(np.ones(120, bool)) - plv(few)(np.ones(40, bool))
    assert raw[0] < -0.04  # 0.886 (1/sqrt(120) - 1/sqrt(40)) = -0.059
    a, b = equalised(plv(many), 120, 40), equalised(plv(few), 40, 40)
    assert abs(a.value[0] - b.value[0]) < 0.01
    assert (a.n, a.n_of, a.draws, b.draws) == (40, 120, 20, 1)
    assert b.spread[0] == 0
    assert a.se(np.array([0.01]))[0] == pytest.approx(math.hypot(0.01, a.spread[0] / math.sqrt(20)))


def test_half_samples_give_the_standard_error_of_a_mean_and_of_a_median():
    x = np.random.default_rng(1).standard_normal(61)
    se = half_sample_se(lambda c: float(x[c].mean()), 61, draws=400)
    assert se == pytest.approx(x.std(ddof=1) / math.sqrt(61), rel=0.1)
    of_median = half_sample_se(lambda c: float(np.median(x[c])), 61, draws=400)
    assert of_median == pytest.approx(1.25 * x.std() / math.sqrt(61), rel=0.4)
    assert math.isnan(half_sample_se(lambda c: 1.0, 3))


def test_a_plus_minus_average_keeps_the_noise_and_loses_the_response():
    rng = np.random.default_rng(5)
    for n in (100, 101):
        noise = rng.standard_normal((n, 4000))
        left = plus_minus(n) @ (noise + 7)
        assert abs(left.mean()) < 0.01
        assert left.std() == pytest.approx(1 / math.sqrt(n), rel=0.05)
    assert np.array_equal(plus_minus(100), plus_minus(100))
    assert not plus_minus(1).any()


def test_control_is_subtracted_with_both_errors():
    d = difference(
        Estimate.normal(0.05, 0.003, n=100), Estimate.normal(0.02, 0.004, n=60), measure="dwpli2:local:alpha"
    )
    assert (d.value, d.se, d.n) == (pytest.approx(0.03), pytest.approx(0.005), 60)
    assert (d.low, d.high) == (pytest.approx(0.03 - 1.96 * 0.005), pytest.approx(0.03 + 1.96 * 0.005))


def test_control_is_refused_in_words_where_it_would_mislead():
    real, control = Estimate.normal(0.5, 0.1, n=100, unit="µV"), Estimate.normal(0.4, 0.1, n=60, unit="µV")
    for measure in ("plv", "wpli:global:alpha", "itc_local:alpha", "pcist", "imcoh:local:pooled", "lmfp_uv"):
        e = difference(real, control, measure=measure)
        assert "100 real and 60 control" in e.why_absent, measure
        assert difference(real, Estimate.normal(0.4, 0.1, n=100, unit="µV"), measure=measure).present
    assert "units differ" in difference(real, Estimate.normal(1, 1, n=100), measure="snr").why_absent
    gone = difference(real, Estimate.absent("no trials", n=2), measure="snr")
    assert gone.why_absent == "control block: no trials"


def test_averages_are_subtracted_only_where_they_fit():
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(subtracted_average(a, a / 2), a / 2)
    with pytest.raises(ValidationProblem, match="do not fit"):
        subtracted_average(a, a[:1])


def test_norms_are_the_published_table():
    assert len(NORMS) == 10
    row = NORMS["lmfp:15-120"]
    assert (row.mean, row.sd, row.icc, row.sem, row.unit) == (0.304, 0.204, 0.85, 0.076, "µV·s")
    assert row.mdc95 == pytest.approx(0.2105, abs=1e-3)
    for name, n in NORMS.items():  # SEM = SD sqrt(1 - ICC), as far as the published digits go
        assert n.sem == pytest.approx(n.sd * math.sqrt(1 - n.icc), rel=0.13), name


@pytest.mark.parametrize("name", list(NORMS))
def test_the_shape_assumed_has_the_published_mean_and_sd(name):
    row = NORMS[name]
    x = np.linspace(-40, 140, 200001) if row.mean > 1 else np.linspace(-1, 4, 50001)
    density = np.diff([share_below(row, float(v)) for v in x[::40]])
    middle = (x[::40][1:] + x[::40][:-1]) / 2
    mean = (density * middle).sum()
    assert density.sum() == pytest.approx(1, abs=2e-3)
    assert mean == pytest.approx(row.mean, rel=0.02)
    assert math.sqrt((density * (middle - mean) ** 2).sum()) == pytest.approx(row.sd, rel=0.03)


def test_a_percentile_is_given_for_the_preset_of_the_norm_only():
    whole, c4 = (0.015, 0.300), list(HEAD_RADIUS_M * position_of("C4"))
    s = standing("pcist:15-300", 34.8, preset=PRESET, spatial_filter=False, coil_m=c4, window_s=whole)
    assert 45 < s.percentile < 60
    assert 0 < s.low < s.percentile < s.high < 100
    for change, words in (
        ({"preset": "fast chain"}, "holds for the preprocessing"),
        ({"spatial_filter": True}, "spatial filter"),
        ({"value": math.nan}, "no value"),
        ({"coil_m": None}, "not known"),
        ({"coil_m": list(HEAD_RADIUS_M * position_of("F3"))}, "holds for M1"),
        ({"coil_m": [math.nan] * 3}, "holds for M1"),
        ({"window_s": (0.015, 0.120)}, "15-300 ms, and this is of 15-120 ms"),
    ):
        ask = {
            "value": 34.8,
            "preset": PRESET,
            "spatial_filter": False,
            "coil_m": c4,
            "window_s": whole,
        } | change
        gone = standing("pcist:15-300", ask.pop("value"), **ask)
        assert gone.percentile is None
        assert words in gone.why_absent


RATE, BEFORE = 1000.0, 800


def epoch(rng, n=4, coupled=0.0):
    x = rng.standard_normal((n, 1400)) + coupled * rng.standard_normal((1, 1400))
    return (10 * x + 20000).astype(np.float32)


def test_nothing_at_or_after_the_gap_is_read():
    k = OngoingKernels(RATE, BEFORE, -0.002)
    x = epoch(np.random.default_rng(2))
    wild = x.copy()
    wild[:, BEFORE - 2 :] = np.nan
    good = np.ones(4, bool)
    a, b = (k.analytic(k.referenced(eeg, (0, 2), good)) for eeg in (x, wild))
    assert np.array_equal(a[0], b[0])
    assert np.array_equal(a[1], b[1])
    wild = x.copy()
    wild[:, BEFORE - 3] += 1e4 * np.arange(4)  # the last sample that may be read is
    assert not np.array_equal(a[0], k.analytic(k.referenced(wild, (0, 2), good))[0])
    assert all(p.max() < -0.002 for p in k.points_s.values())


def test_the_ongoing_signal_has_the_amplitude_and_phase_of_a_sine_whatever_offset_and_slope():
    k = OngoingKernels(RATE, BEFORE, -0.002)
    t = (np.arange(1400) - BEFORE) / RATE
    x = (7 * np.cos(2 * np.pi * 10 * t + 0.4) + 500 + 100 * t).astype(np.float32)
    re, im = k.analytic(k.referenced(np.stack([x, -x]), (0,), np.ones(2, bool)))
    s = k.slices["alpha"]
    wanted = 7 * np.exp(1j * (2 * np.pi * 10 * k.points_s["alpha"] + 0.4))
    assert np.abs(re[0, s] + 1j * im[0, s] - wanted).max() < 0.1


def test_local_synchrony_before_the_pulse_is_seen_and_removed_trials_are_gone():
    rng = np.random.default_rng(3)
    k = OngoingKernels(RATE, BEFORE, -0.002)
    good = np.arange(12) < 11

    def run(x, between=False, **kw):
        r = RunningOngoing(k, (0, 1, 2), **kw)
        for i, trial in enumerate(x):
            ring = trial.copy()
            r.add(i, ring, good)
            ring[:] = np.nan  # the ring goes on before the trial is summed
            if between:
                r.catch_up()
        return r

    alone = [epoch(rng, 12) for _ in range(30)]
    together = [np.concatenate([epoch(rng, 3, coupled=3.0), epoch(rng, 9)]) for _ in range(30)]
    assert run(together).sums.pair_values()["ppc"].mean() > 0.3
    assert run(alone).sums.pair_values()["ppc"].mean() < 0.15
    assert run(together).latest["low_beta"] > run(alone).latest["low_beta"]
    r = run(alone, capacity=1)
    r.sums.remove(4)
    fresh = run(alone[:4] + alone[5:])
    assert np.allclose(r.sums.pair_values()["dwpli2"], fresh.sums.pair_values()["dwpli2"], atol=1e-5)
    lazy, eager = run(alone), run(alone, between=True)  # summed between pulses or when asked for: the same
    assert lazy.latest == eager.latest
    for name, values in eager.sums.pair_values().items():
        assert np.array_equal(lazy.sums.pair_values()[name], values)
    assert lazy.sums.n == 30


def test_locking_within_a_trial_is_one_for_equal_channels_and_nothing_for_one():
    re = np.random.default_rng(4).standard_normal((2, 16)).astype(np.float32)
    re[1] = 3 * re[0]
    im = np.ones_like(re) * np.array([[1], [3]], dtype=np.float32)
    assert locking_within(re, im, {"alpha": slice(0, 16)})["alpha"] == pytest.approx(1)
    assert locking_within(re[:1], im[:1], {"alpha": slice(0, 16)}) == {}


@pytest.mark.parametrize(
    ("rate", "n", "gap"), [(RATE, 200, -0.002), (RATE, BEFORE, 0.0), (float("nan"), 800, -0.002)]
)
def test_too_little_before_the_pulse_is_refused_in_words(rate, n, gap):
    with pytest.raises(ValidationProblem, match="before the pulse"):
        OngoingKernels(rate, n, gap)
