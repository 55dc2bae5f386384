"""Running sums against slow twins, against mne-connectivity, and against recomputation."""

from __future__ import annotations

import naive_measures
import numpy as np
import pytest

from rtloop.errors import ValidationProblem
from rtloop.measures.connectivity import RunningConnectivity
from rtloop.measures.imaginary import ImaginaryCoherence
from rtloop.measures.scopes import usable, weights
from rtloop.model.estimate import MEASURES

BANDS = {"alpha": slice(0, 3), "low_beta": slice(3, 5), "high_beta": slice(5, 9)}


def noise(n=9, channels=5, seed=0, points=9):
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, 1, points)) * 0.7
    a = rng.standard_normal((n, channels, points)) + 1j * rng.standard_normal((n, channels, points))
    return a + common * np.exp(1j * np.arange(channels))[:, None]


def running(a, dtype=np.float64, good=None, **kw):
    r = RunningConnectivity(a.shape[1], BANDS, dtype=dtype, **kw)
    for i, trial in enumerate(a):
        r.add(i, trial.real, trial.imag, None if good is None else good[i])
    return r


def some_weights(channels=5, seed=0):
    pairs = channels * (channels - 1) // 2
    w = np.random.default_rng(seed).uniform(0.5, 1.5, (2, pairs))
    w[1, 3:] = 0
    return w / w.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_values_equal_the_twin(dtype, tolerance):
    a = noise()
    got, wanted = running(a, dtype).pair_values(), naive_measures.pair_values(a, BANDS)
    for m in MEASURES:
        assert np.abs(got[m] - wanted[m]).max() < tolerance, m
    assert np.abs(running(a, dtype).itc(tuple(range(5))) - naive_measures.itc(a, BANDS)).max() < tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-5), (np.float64, 1e-12)])
def test_leave_one_out_equals_recomputing_without_each(dtype, tolerance):
    a, w = noise(seed=3, channels=11), some_weights(11)
    got, wanted = running(a, dtype).without_each(w), naive_measures.without_each(a, BANDS, w)
    for m in MEASURES:
        assert np.abs(got[m] - wanted[m]).max() < tolerance, m
    itc = running(a, dtype).itc_without_each((0, 4))
    for i in range(len(a)):
        assert np.abs(itc[i] - naive_measures.itc(np.delete(a, i, 0), BANDS)[[0, 4]]).max() < tolerance


def test_a_channel_bad_in_some_trials_is_scored_over_the_others_exactly():
    a, w = noise(seed=4, n=12), some_weights()
    good = np.ones((12, 5), dtype=bool)
    good[2, 1] = good[7, 1] = good[5, 4] = False
    missing = np.where(good[..., None], a, np.nan)
    r = running(missing, good=good)
    wanted = naive_measures.pair_values(missing, BANDS)
    each = naive_measures.without_each(missing, BANDS, w)
    got, got_each = r.pair_values(), r.without_each(w)
    for m in MEASURES:
        assert np.abs(got[m] - wanted[m]).max() < 1e-12, m
        assert np.abs(got_each[m] - each[m]).max() < 1e-12, m
    assert list(r.pair_counts[:4]) == [10, 12, 12, 11]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-12)])
def test_removed_is_as_if_never_added_and_reinstated_as_if_never_removed(dtype, tolerance):
    a = noise(n=14)
    r = running(a, dtype, capacity=2)  # grows three times on the way
    assert r.remove(3)
    assert r.remove(9)
    assert not r.remove(9)
    fresh = running(np.delete(a, [3, 9], 0), dtype)
    for m in MEASURES:
        assert np.abs(r.pair_values()[m] - fresh.pair_values()[m]).max() < tolerance, m
    assert np.allclose(r.itc((0, 3)), fresh.itc((0, 3)), atol=tolerance)
    assert r.n == 12
    assert r.slots.ids() == [i for i in range(14) if i not in (3, 9)]
    assert r.reinstate(9)
    assert r.reinstate(3)
    assert not r.reinstate(3)
    for m in MEASURES:
        assert np.abs(r.pair_values()[m] - running(a, dtype).pair_values()[m]).max() < tolerance, m


def test_a_trial_kept_but_not_counted_changes_nothing_until_reinstated():
    a = noise(n=6)
    r = running(a[:5])
    before = r.pair_values()
    r.add(5, a[5].real, a[5].imag, counts=False)
    assert all(np.array_equal(before[m], r.pair_values()[m]) for m in MEASURES)
    r.reinstate(5)
    assert np.allclose(r.pair_values()["dwpli2"], running(a).pair_values()["dwpli2"])


def test_wrong_shape_nan_double_and_unknown_ids_are_refused_and_leave_the_sums_alone():
    a = noise()
    r = running(a)
    before = r.pair_values()["ppc"]
    with pytest.raises(ValidationProblem, match="wrong shape"):
        r.add(99, a[0].real[:, :4], a[0].imag[:, :4])
    with pytest.raises(ValidationProblem, match="no numbers"):
        r.add(99, a[0].real * np.nan, a[0].imag)
    with pytest.raises(ValidationProblem, match="already there"):
        r.add(0, a[0].real, a[0].imag)
    with pytest.raises(ValidationProblem, match="unknown"):
        r.remove(77)
    assert np.array_equal(before, r.pair_values()["ppc"])
    assert r.n == len(a)


def test_identical_channels_have_no_lagged_coupling_and_no_nan():
    a = noise(n=20)
    a[:, 1] = a[:, 0]
    a[:, 2] = 2 * a[:, 0]
    a[:, 3] = 0
    values = running(a, np.float32).pair_values()
    for m in MEASURES:
        assert np.isfinite(values[m]).all()
    assert values["dwpli2"][0].max() == values["wpli"][0].max() == values["dwpli2"][1].max() == 0.0
    assert values["plv"][0] == pytest.approx(1.0, abs=1e-5)
    assert np.isfinite(running(a, np.float32).without_each(some_weights())["dwpli2"]).all()


def test_without_coupling_the_debiased_measures_average_zero_and_the_others_do_not():
    rng = np.random.default_rng(8)
    n, channels = 20, 40
    a = rng.standard_normal((n, channels, 9)) + 1j * rng.standard_normal((n, channels, 9))
    mean = {m: v.mean() for m, v in running(a, np.float32).pair_values().items()}
    assert abs(mean["dwpli2"]) < 0.004  # SD of one value 2.7/N = 0.13, 7020 of them
    assert abs(mean["ppc"]) < 0.003
    assert mean["plv"] == pytest.approx(0.886 / np.sqrt(n), rel=0.03)
    assert mean["wpli"] == pytest.approx(1.12 / np.sqrt(n), rel=0.05)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-9)])
def test_equal_to_mne_connectivity_on_the_same_analytic_signal(dtype, tolerance):
    mne = pytest.importorskip("mne")
    connectivity = pytest.importorskip("mne_connectivity")
    a = noise(n=25, channels=6, seed=9)
    names = {"dwpli2": "wpli2_debiased", "wpli": "wpli", "plv": "plv", "ppc": "ppc"}
    # instants stand where mne expects frequencies: its estimators treat both alike
    spectrum = mne.time_frequency.EpochsSpectrumArray(
        a, mne.create_info(6, 100.0, "eeg"), freqs=np.arange(1.0, 10.0)
    )
    first, second = np.triu_indices(6, 1)
    *peer, imaginary = connectivity.spectral_connectivity_epochs(
        spectrum, method=[*names.values(), "imcoh"], indices=(first, second), verbose="error"
    )
    r = running(a, dtype)
    ours = r.pair_values()
    assert np.abs(ImaginaryCoherence(*r.kept()).values() - imaginary.get_data()).max() < tolerance
    for (measure, _), theirs in zip(names.items(), peer, strict=True):
        at_points = theirs.get_data()
        wanted = np.stack([at_points[:, b].mean(axis=1) for b in BANDS.values()], axis=1)
        assert np.abs(ours[measure] - wanted).max() < tolerance, measure


def test_weights_are_distances_and_the_nearest_and_leave_out_what_cannot_be_used():
    positions = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 5]], dtype=float)
    ok = usable(np.array([10, 10, 4, 10, 10, 10]), 10)
    assert list(ok) == [True, True, False, True, True, True]
    w = weights(positions, ok, (0, 1, 2))
    d = np.array([1, 2, 0, np.sqrt(5), np.sqrt(26), np.sqrt(29)])
    assert np.allclose(w[0], d / d.sum())
    assert np.allclose(w[1], [1 / 3, 1 / 3, 0, 1 / 3, 0, 0])
    assert not weights(positions, np.zeros(6, dtype=bool), (0, 1)).any()
