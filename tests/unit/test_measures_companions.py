"""What stands beside the score: shift predictor, evoked-subtracted value, imaginary coherence, wider scopes."""

from __future__ import annotations

import naive_measures
import numpy as np
import pytest

from rtloop.errors import ValidationProblem
from rtloop.measures.connectivity import RunningConnectivity
from rtloop.measures.imaginary import ImaginaryCoherence
from rtloop.measures.lagged import evoked_subtracted, lagged_scores, shifted, upper_pairs
from rtloop.measures.scopes import weights, wider_weights
from rtloop.model.estimate import MEASURES

BANDS = {"alpha": slice(0, 2), "low_beta": slice(2, 3), "high_beta": slice(3, 6)}


def trials(n=9, channels=5, seed=0, points=6):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((2, n, channels, points))
    common = rng.standard_normal((n, 1, points)) * np.exp(1j * np.arange(channels))[:, None]
    return a[0] + 1j * a[1] + common


def planes(a, dtype=np.float64):
    a = np.nan_to_num(a)
    return np.ascontiguousarray(a.real, dtype=dtype), np.ascontiguousarray(a.imag, dtype=dtype)


def band_means(at_points):
    return np.stack([at_points[..., s].mean(axis=-1) for s in BANDS.values()], axis=-1)


def some_weights(channels=5):
    w = np.random.default_rng(1).uniform(0.5, 1.5, (3, channels * (channels - 1) // 2))
    w[1, 3:] = 0
    return w / w.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-11)])
def test_shift_predictor_and_its_leave_one_out_equal_the_twin(dtype, tolerance):
    a, w = trials(), some_weights()
    re, im = shifted(*planes(a, dtype))
    value, each = lagged_scores(re, im, upper_pairs(5, apart=5), w, BANDS)
    assert np.abs(value - band_means(w @ naive_measures.shift_predictor(a))).max() < tolerance
    s = [a[:-1, i] * np.conj(a[1:, j]) for i, j in zip(*np.triu_indices(5, 1), strict=True)]
    for k in range(8):
        left = np.array([naive_measures.dwpli2(np.delete(p, k, 0)) for p in s])
        assert np.abs(each[k] - band_means(w @ left)).max() < tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-11)])
def test_evoked_subtracted_equals_the_twin_with_channels_missing(dtype, tolerance):
    a, w = trials(n=12, seed=2), some_weights()
    good = np.ones((12, 5), dtype=bool)
    good[3, 2] = good[7, 2] = good[7, 4] = False
    a[~good] = np.nan
    value, _ = lagged_scores(*evoked_subtracted(*planes(a, dtype), good), upper_pairs(5), w, BANDS)
    assert np.abs(value - band_means(w @ naive_measures.evoked_subtracted(a))).max() < tolerance


def test_whole_trials_give_what_the_running_sums_give():
    a, w = trials(n=7, seed=3), some_weights()
    r = RunningConnectivity(5, BANDS, dtype=np.float64)
    for i, trial in enumerate(a):
        r.add(i, trial.real, trial.imag)
    re, im, _ = r.kept()
    value, each = lagged_scores(re, im, upper_pairs(5), w, r.slices)
    assert np.allclose(value, w @ r.pair_values()["dwpli2"], atol=1e-12)
    assert np.allclose(each, r.without_each(w)["dwpli2"], atol=1e-12)
    some = np.array([True, False, True, True, False, True, True])
    fresh = RunningConnectivity(5, BANDS, dtype=np.float64)
    for i in np.flatnonzero(some):
        fresh.add(int(i), a[i].real, a[i].imag)
    for m in MEASURES:
        assert np.allclose(r.values_of(some)[m], fresh.pair_values()[m], atol=1e-12), m
    assert np.allclose(r.itc_of((0, 3), some), fresh.itc((0, 3)))


def test_locked_channels_fill_the_shift_predictor_and_interacting_ones_the_evoked_subtracted():
    rng = np.random.default_rng(4)
    n, w = 60, np.ones((1, 1))
    own = rng.standard_normal((2, n, 2, 6)) * 0.5
    own = own[0] + 1j * own[1]
    lag = np.exp(1j * np.array([0.0, 1.2]))[:, None]
    locked = own + 2 * lag
    source = rng.standard_normal((n, 1, 6)) + 1j * rng.standard_normal((n, 1, 6))
    interacting = own + 2 * source * lag

    def both(a):
        shift, _ = lagged_scores(*shifted(*planes(a)), upper_pairs(2, apart=2), w, BANDS)
        rest, _ = lagged_scores(
            *evoked_subtracted(*planes(a), np.ones((n, 2), bool)), upper_pairs(2), w, BANDS
        )
        return shift.mean(), rest.mean()

    shift, rest = both(locked)
    assert shift > 0.9
    assert abs(rest) < 0.1
    shift, rest = both(interacting)
    assert abs(shift) < 0.1
    assert rest > 0.8


def test_one_trial_has_no_successor():
    re, im = planes(trials(n=1))
    with pytest.raises(ValidationProblem, match="no successive trials"):
        shifted(re, im)


def test_imaginary_coherence_and_its_leave_one_out_equal_the_twin_with_channels_missing():
    a, w = trials(n=10, seed=5), some_weights()
    good = np.ones((10, 5), dtype=bool)
    good[2, 1] = good[8, 1] = good[8, 3] = False
    a[~good] = np.nan
    coherence = ImaginaryCoherence(*planes(a), good)
    wanted = naive_measures.imaginary_coherence(a)
    assert np.abs(coherence.values() - wanted).max() < 1e-12
    value, each = coherence.scores(w, BANDS)
    assert np.abs(value - band_means(w @ np.abs(wanted))).max() < 1e-12
    for k in range(10):
        left = naive_measures.imaginary_coherence(np.delete(a, k, 0))
        assert np.abs(each[k] - band_means(w @ np.abs(left))).max() < 1e-12


def test_imaginary_coherence_is_blind_at_zero_lag_and_biased_by_n_as_stated():
    a = trials(n=20, channels=3, seed=7)
    a[:, 1] = -2 * a[:, 0]
    a[:, 2] = 0
    c = ImaginaryCoherence(*planes(a), np.ones((20, 3), dtype=bool))
    assert np.abs(c.values()).max() < 1e-15
    assert np.isfinite(c.scores(np.ones((1, 3)) / 3, BANDS)[1]).all()
    rng = np.random.default_rng(8)
    a = rng.standard_normal((50, 40, 6)) + 1j * rng.standard_normal((50, 40, 6))
    mean = np.abs(ImaginaryCoherence(*planes(a), np.ones((50, 40), dtype=bool)).values()).mean()
    assert mean == pytest.approx(0.564 / np.sqrt(50), rel=0.05)


def test_wider_scopes_weigh_the_pairs_they_name():
    positions = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 5]], dtype=float)
    ok = np.array([True, True, False, True, True, True])
    w = wider_weights(positions, ok, (0, 1), (0, 1, 2))
    assert list(w[0] > 0) == [True, True, False, True, False, False]
    assert np.allclose(w[0][w[0] > 0], 1 / 3)
    seed = np.array([0, 2, 0, np.sqrt(5), np.sqrt(26), 0])  # 0-1 lies within, 0-3 is not usable, 2-3 outside
    assert np.allclose(w[1], seed / seed.sum())
    assert not wider_weights(positions, np.zeros(6, dtype=bool), (0, 1), (0, 1)).any()
    assert np.allclose(w[0], weights(positions, ok, (0, 1, 2))[1])
