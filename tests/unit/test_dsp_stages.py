"""Each cleaning stage against its slow twin and against what a user would miss."""

from __future__ import annotations

import naive_dsp
import numpy as np
import pytest

from rtloop.dsp import rows
from rtloop.dsp.analytic import BandKernels
from rtloop.dsp.bridge import Bridge, bridge
from rtloop.dsp.decay import DecayFit
from rtloop.dsp.decimate import Decimator, decimate
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import BANDS_HZ


def test_bridge_equals_the_twin_and_forgets_what_was_inside():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 120)).astype(np.float32)
    dirty = x.copy()
    dirty[:, 50:64] = np.nan
    Bridge(first=50, last=63, flank=8, n_samples=120).apply(dirty)
    assert np.allclose(dirty, naive_dsp.bridged(x, 50, 63, 8), atol=1e-4)
    assert np.array_equal(dirty[:, :50], x[:, :50])


def test_bridge_without_room_is_refused_in_words():
    with pytest.raises(ValidationProblem, match="no room for the bridge"):
        Bridge(first=3, last=8, flank=5, n_samples=100)


@pytest.mark.parametrize("rate_hz", [1024.0, 2048.0, 4800.0, 5000.0, 25000.0])
def test_decimation_keeps_the_band_and_the_pulse_instant_and_rejects_aliases(rate_hz):
    before = round(0.3 * rate_hz)
    t = (np.arange(before + round(0.4 * rate_hz)) - before) / rate_hz
    tones = np.stack([np.cos(2 * np.pi * 20 * t), np.cos(2 * np.pi * 990 * t), np.ones_like(t)]).astype(
        np.float32
    )
    out, t_out = decimate(tones, rate_hz=rate_hz, pulse_sample=before)
    assert np.any(np.abs(t_out) < 1e-12)
    assert np.allclose(np.diff(t_out), 1e-3)
    inner = slice(20, -20)
    assert np.abs(out[0] - np.cos(2 * np.pi * 20 * t_out))[inner].max() < 2e-3
    assert np.abs(out[2] - 1).max() < 1e-5
    if rate_hz > 2000:
        assert np.abs(out[1])[inner].max() < 3e-3


@pytest.mark.parametrize(
    ("rate_hz", "repeats"), [(1024.0, False), (2000.0, True), (2048.0, False), (4800.0, True), (5000.0, True), (25000.0, True)]
)  # fmt: skip
@pytest.mark.parametrize("before", [0.3, 0.3003])
def test_decimation_in_blocks_is_the_sum_over_the_taps_at_each_output(rate_hz, repeats, before):
    n_in = round(0.7 * rate_hz)
    d = Decimator(n_in=n_in, pulse_sample=round(before * rate_hz), rate_hz=rate_hz)
    assert (d._blocks is not None) == repeats
    x = np.random.default_rng(0).standard_normal((n_in, 16)).astype(np.float32)
    x[:, 3] = np.nan  # stays alone
    out = np.zeros((d.times_s.size, 16), dtype=np.float32)
    d.rows(x, out)
    at = d._first[:, None] + np.arange(d._taps.shape[1])
    wanted = np.einsum("jk,jkc->jc", d._taps.astype(float), x[at].astype(float))
    assert np.isnan(out[:, 3]).all()
    assert np.abs(np.delete(out - wanted, 3, axis=1)).max() < 2e-6
    if repeats:  # nearly all of them
        assert d._blocks.stop - d._blocks.start > 0.94 * d.times_s.size


def test_at_the_working_rate_decimation_is_identity():
    x = np.random.default_rng(0).standard_normal((2, 300)).astype(np.float32)
    out, t = decimate(x, rate_hz=1000.0, pulse_sample=100)
    assert np.array_equal(out, x)
    assert t[100] == 0.0


def test_rates_outside_are_refused():
    for rate in (500.0, 30000.0, float("nan")):
        with pytest.raises(ValidationProblem, match="sampling rate"):
            Decimator(n_in=1000, pulse_sample=500, rate_hz=rate)


def _decay(**kw):
    t = (np.arange(7001) - 4000) / 5000.0
    return t, DecayFit(t, start_s=0.012, end_s=0.15, baseline_s=(-0.6, -0.01), **kw)


def _alpha(t, rng, uv=10.0):
    return (
        uv * np.sin(2 * np.pi * 10 * t + rng.uniform(0, 6.28, (8, 1))) + rng.standard_normal((8, t.size))
    ).astype(np.float32)


def test_without_decay_the_signal_is_untouched():
    t, fit = _decay()
    x = _alpha(t, np.random.default_rng(2))
    x += (8 * np.exp(-(((t - 0.03) / 0.008) ** 2)) - 8 * np.exp(-(((t - 0.1) / 0.03) ** 2))).astype(
        np.float32
    )
    before = x.copy()
    removed, _ = fit.apply(x, np.ones(8, dtype=bool))
    assert np.array_equal(x, before)
    assert not removed.any()


def test_decay_is_removed_where_it_is_and_only_there_and_reported():
    t, fit = _decay()
    clean = _alpha(t, np.random.default_rng(3), uv=5.0)
    after = t > 0.012
    decay = np.where(after, (1 + np.maximum(t, 0) / 0.004) ** -2, 0.0)
    decay /= decay[after][0]
    x = clean.copy()
    x[2] += 300 * decay
    x[5] -= 120 * decay
    dirty_error = np.abs(x - clean)[:, after].mean(axis=1)
    removed, residual = fit.apply(x, np.ones(8, dtype=bool))
    error = np.abs(x - clean)[:, after].mean(axis=1)
    assert set(np.flatnonzero(removed)) == {2, 5}
    assert removed[2] == pytest.approx(300, abs=15)
    assert removed[5] == pytest.approx(-120, abs=15)
    assert error[2] < 0.15 * dirty_error[2]
    assert error[5] < 0.25 * dirty_error[5]
    assert residual.max() < 20
    assert np.array_equal(x[:, t <= 0.012], clean[:, t <= 0.012])


def test_fit_equals_plain_least_squares():
    t, fit = _decay(taus=8)
    y = _alpha(t, np.random.default_rng(4)) + (100 * (1 + np.maximum(t, 0) / 0.01) ** -2).astype(np.float32)
    _, amplitude, _ = fit.amplitude_uv(y[:, fit.first : fit.stop])
    for c in range(8):
        wanted, _ = naive_dsp.fitted_decay(
            t[fit.first : fit.stop], y[c, fit.first : fit.stop].astype(float), np.geomspace(0.0005, 0.05, 8)
        )
        assert amplitude[c] == pytest.approx(wanted, rel=1e-3)


def _kernels(t, **kw):
    return BandKernels(
        t,
        gaps_s=((-0.002, 0.012),),
        window_s=(0.015, 0.3),
        points=(32, 32, 64),
        **({"max_gap_share": 0.125} | kw),
    )


def test_analytic_signal_equals_the_twin():
    t = np.arange(-800, 601) / 1000
    k = _kernels(t)
    x = np.random.default_rng(5).standard_normal((2, t.size)).astype(np.float32)
    re, im, pre_re, pre_im = k.apply(x)
    for band, (low, high) in BANDS_HZ.items():
        for instants, cols, r, i in (
            (k.points_s, k.slices[band], re, im),
            (k.ongoing_s, k.ongoing_slices[band], pre_re, pre_im),
        ):
            for col in range(cols.start, cols.stop, 7):
                wanted = naive_dsp.analytic(t, x, instants[col], low, high, k.leakage[band].reach_s)
                assert np.allclose(r[:, col] + 1j * i[:, col], wanted, atol=2e-5)


def test_a_tone_in_the_band_has_its_amplitude_and_phase_and_drift_has_none():
    t = np.arange(-800, 601) / 1000
    k = _kernels(t)
    tone = 7 * np.cos(2 * np.pi * 10 * t + 0.4)
    drift = 100 + 500 * t
    re, im, *_ = k.apply(np.stack([tone, drift]).astype(np.float32))
    s = k.slices["alpha"]
    a = re[0, s] + 1j * im[0, s]
    assert np.allclose(np.abs(a), 7, rtol=1e-3)
    assert np.allclose(np.angle(a * np.exp(-2j * np.pi * 10 * k.points_s[s])), 0.4, atol=2e-3)
    assert np.abs(re[1]).max() < 5e-3
    assert np.abs(im[1]).max() < 5e-3


def test_leakage_is_stated_and_kept_below_the_limit_and_ongoing_kernels_never_reach_the_gap():
    t = np.arange(-800, 601) / 1000
    k = _kernels(t)
    for band, leak in k.leakage.items():
        assert leak.gap_share.max() <= 0.125
        assert leak.points_s[-1] == pytest.approx(0.3)
        assert np.all(np.diff(leak.pre_share) <= 1e-12)
        assert k.ongoing_s[k.ongoing_slices[band]].max() + leak.reach_s <= -0.002 + 2e-3
    assert 0.3 < k.leakage["alpha"].pre_share[0] < 0.55  # about half pre-pulse at +15 ms
    x = np.zeros((1, t.size), dtype=np.float32)
    x[0, t > -0.001] = 1000.0
    *_, pre_re, pre_im = k.apply(x)
    assert np.abs(pre_re).max() == np.abs(pre_im).max() == 0.0


def test_an_epoch_too_short_for_a_band_is_refused_in_words():
    with pytest.raises(ValidationProblem, match="no instant of the alpha band"):
        _kernels(np.arange(-200, 200) / 1000)


def test_spec_round_trips_and_refuses_what_it_does_not_know():
    import json

    spec = ChainSpec(recharge_gap_s=(0.04, 0.05), decay=False)
    assert ChainSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    with pytest.raises(ValidationProblem, match="gap_ms"):
        ChainSpec.from_dict({"gap_ms": 3})
    with pytest.raises(ValidationProblem, match="contradict"):
        ChainSpec(gap_s=(-0.002, 0.02))
    with pytest.raises(ValidationProblem, match="contradict"):
        ChainSpec(gap_s=(-0.002, float("nan")))


def test_bridge_of_an_array_is_a_copy():
    x = np.ones((1, 400), dtype=np.float32)
    x[0, 198:205] = 30000.0
    out = bridge(x, rate_hz=1000.0, pulse_sample=200, gap_s=(-0.002, 0.012))
    assert np.allclose(out, 1.0, atol=1e-3)
    assert x[0, 200] == 30000.0


def test_loops_over_rows_equal_what_numpy_gives():
    rng = np.random.default_rng(2)
    x, known = rng.standard_normal((203, 16)).astype(np.float32), rng.random(203) > 0.2
    near, width = np.array([1, 5, 9]), 20
    summed = np.cumsum(x[:, near].mean(axis=1), dtype=np.float64)
    slow = (summed[width:] - summed[:-width]) / width
    middle = known[width // 2 : width // 2 + slow.size]
    assert rows.slow_peak(x, near, width, known) == pytest.approx(np.abs(slow[middle]).max(), abs=1e-6)
    parts = np.array([[3, 40], [60, 203]])
    assert rows.swing(x, parts) == pytest.approx(np.ptp(np.concatenate([x[3:40], x[60:]]), axis=0).max())
    along, size, out = (
        x[:192].reshape(8, 24, 16),
        rng.random(24).astype(np.float32) + 0.5,
        np.empty(16, np.float32),
    )
    at = np.abs(along).argmax(axis=1)
    largest = np.take_along_axis(along, at[:, None], axis=1)[:, 0]
    rows.mean_square(along, size, out)
    assert np.allclose(out, ((largest / size[at]) ** 2).mean(axis=0))
    which, value = np.empty(16, np.int64), np.empty(16, np.float32)
    rows.strongest(along[0], which, value)
    assert np.array_equal(which, at[0])
    assert np.array_equal(value, largest[0])
    turned = np.empty((13, 203), np.float32)
    rows.upright(x, turned)
    assert np.array_equal(turned, x[:, :13].T)
    flat, loaded, spread = x.reshape(-1).copy(), np.zeros((203, 16), np.float32), np.empty(13, np.float32)
    flat.flags.writeable = False
    moments = np.empty((2, 16), np.float32)
    rows.load(flat, 16, 13, 7, np.array([[0, 90], [101, 203]]), 3, 86, loaded, spread, moments)
    assert np.array_equal(loaded[:, :13], x[:, :13] - x[7, :13])
    assert np.allclose(
        spread, np.abs(np.delete(loaded[:, :13], np.s_[90:101], axis=0)).mean(axis=0), rtol=1e-5
    )
    wanted = loaded[3:86].sum(axis=0), (loaded[3:86] ** 2).sum(axis=0)
    assert np.allclose(moments, wanted, rtol=1e-4, atol=1e-4)
