"""Average, mean field powers, early response, SNR and intervals against slow twins."""

from __future__ import annotations

import naive_measures
import numpy as np
import pytest

from rtloop.measures.evoked import RunningEvoked
from rtloop.measures.uncertainty import estimate, jackknife_se, sqrt_interval

T = np.arange(-50, 101) / 1000
VALID = ~((T >= -0.002) & (T <= 0.012))
COLUMNS = (T >= 0.015) & (T <= 0.08)


def some(n=8, seed=0):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((n, 6, T.size)) + 3 * np.sin(40 * T) * rng.standard_normal((6, 1))).astype(
        np.float32
    )
    return x, rng.uniform(1, 2, (n, 2, 6, 3))


def running(x, power, good=None, **kw):
    r = RunningEvoked(6, T, VALID, 3, **kw)
    for i in range(len(x)):
        r.add(i, x[i], np.ones(6, dtype=bool) if good is None else good[i], power[i])
    return r


def test_fields_and_average_and_snr_equal_the_twins_with_each_left_out():
    x, power = some()
    r = running(x, power, capacity=3)
    used = np.ones(6, dtype=bool)
    value, each = r.fields(used, (1, 4), (0.015, 0.08))
    assert np.allclose(r.average(), x.mean(axis=0), atol=1e-5)
    assert np.allclose(value, naive_measures.fields(x, (1, 4), COLUMNS), rtol=1e-5)
    snr, snr_each = r.snr(used)
    total = power.sum(axis=(0, 2))
    assert np.allclose(snr, total[0] / total[1] - 1)
    early, early_each = r.early_response((1, 4), (0.008, 0.05))
    at = VALID & (T >= 0.008) & (T <= 0.05)
    assert early == pytest.approx(np.ptp(x.mean(axis=0)[[1, 4]].mean(axis=0)[at]), rel=1e-5)
    for i in range(len(x)):
        rest = np.delete(x, i, 0)
        assert np.allclose(each[i], naive_measures.fields(rest, (1, 4), COLUMNS), rtol=1e-5)
        left = np.delete(power, i, 0).sum(axis=(0, 2))
        assert np.allclose(snr_each[i], left[0] / left[1] - 1)
        assert early_each[i] == pytest.approx(np.ptp(rest.mean(axis=0)[[1, 4]].mean(axis=0)[at]), rel=1e-5)
    assert np.allclose(r.fields(used, (1, 4), (0.015, 0.08), each=False)[0], value)


def test_gap_samples_never_count():
    x, power = some()
    wild = x.copy()
    wild[:, :, ~VALID] = 1e4
    used = np.ones(6, dtype=bool)
    a, b = running(x, power), running(wild, power)
    for span in ((0.0, 0.08), (0.008, 0.05)):
        assert np.allclose(a.fields(used, (0,), span)[0], b.fields(used, (0,), span)[0])
        assert a.early_response((0,), span)[0] == b.early_response((0,), span)[0]


def test_removed_is_as_if_never_added_with_bad_channels_too():
    x, power = some()
    good = np.ones((8, 6), dtype=bool)
    good[2, 3] = good[5, 0] = False
    r = running(x, power, good)
    r.remove(5)
    r.remove(1)
    keep = [0, 2, 3, 4, 6, 7]
    fresh = running(x[keep], power[keep], good[keep])
    used = np.ones(6, dtype=bool)
    assert np.allclose(r.average(), fresh.average(), atol=1e-5)
    assert np.allclose(r.fields(used, (0, 3), (0.015, 0.08))[1], fresh.fields(used, (0, 3), (0.015, 0.08))[1])
    assert np.allclose(r.snr(used)[1], fresh.snr(used)[1])
    assert np.allclose(r.average()[3], x[[0, 3, 4, 6, 7], 3].mean(axis=0), atol=1e-5)
    r.reinstate(1)
    r.reinstate(5)
    assert np.allclose(r.average(), running(x, power, good).average(), atol=1e-5)


def test_common_signal_counts_in_lmfp_but_not_in_gmfp():
    x, power = some()
    shifted = x + np.float32(50)
    used = np.ones(6, dtype=bool)
    a, b = (running(y, power).fields(used, (1, 2), (0.015, 0.08))[0] for y in (x, shifted))
    assert b[0] == pytest.approx(a[0], rel=1e-3)
    assert b[1] > 40


def test_jackknife_of_a_mean_is_the_standard_error_of_the_mean():
    x = np.random.default_rng(1).standard_normal(30)
    each = (x.sum() - x) / 29
    assert jackknife_se(each) == pytest.approx(x.std(ddof=1) / np.sqrt(30))


def test_sqrt_interval_by_hand_and_its_floor():
    low, high = sqrt_interval(0.02, 0.004, n=100, scope="global")
    h = np.sqrt(0.02 + 0.0012)
    assert low == pytest.approx((h - 1.96 * 0.004 / (2 * h)) ** 2 - 0.0012)
    assert high == pytest.approx((h + 1.96 * 0.004 / (2 * h)) ** 2 - 0.0012)
    low, high = sqrt_interval(-0.05, 0.01, n=100, scope="local")
    assert low == pytest.approx(-0.008)
    assert high > low
    e = estimate(float("nan"), 1.0, n=5)
    assert not e.present
    assert e.why_absent
