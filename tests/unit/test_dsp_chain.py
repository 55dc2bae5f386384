"""The chain as a whole: what a raw epoch with a pulse becomes, and what it says about bad input."""

from __future__ import annotations

import numpy as np
import pytest

from rtloop.dsp.chain import Chain
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.model.montage import Montage, names_for
from rtloop.model.samples import Epoch

RATE = 2000.0
MONTAGE = Montage.from_names(names_for(16))
CHAIN = Chain(ChainSpec(), rate_hz=RATE, montage=MONTAGE)


def raw(seed=0, n=16, rate=RATE):
    rng = np.random.default_rng(seed)
    count = round(1.4 * rate) + 1
    f = np.fft.rfftfreq(2 * count, 1 / rate)
    spectrum = np.fft.rfft(rng.standard_normal((n, 2 * count))) / np.maximum(f, 1.0)
    pink = np.fft.irfft(spectrum)[:, :count]
    return (10 * pink / pink.std() + 1.0 * rng.standard_normal((n, count))).astype(np.float32)


def epoch(data, rate=RATE):
    return Epoch(data=data, rate_hz=rate, pulse_sample=round(0.8 * rate))


def test_a_pulse_of_30_mv_leaks_less_than_half_a_microvolt():
    data = raw()
    p = round(0.8 * RATE)
    pulsed = data.copy()
    pulsed[:, p - 1 : p + 9] += np.where(np.arange(10) < 4, 30000.0, -30000.0).astype(np.float32)
    pulsed[:, p + 9 : p + 20] += 800.0
    a = CHAIN.process(epoch(data), trial_id=1)
    b = CHAIN.process(epoch(pulsed), trial_id=2)
    assert np.abs(a.eeg_uv - b.eeg_uv).max() < 0.5
    assert np.abs(a.analytic_re - b.analytic_re).max() < 0.05
    assert b.verdict.accepted, b.verdict.words()


def test_gap_is_marked_and_raw_gap_samples_have_no_influence_at_all():
    data = raw(1)
    p = round(0.8 * RATE)
    wild = data.copy()
    wild[:, p - 4 : p + 25] = np.nan
    a, b = (CHAIN.process(epoch(d), trial_id=1) for d in (data, wild))
    assert np.array_equal(a.eeg_uv, b.eeg_uv)
    gap = CHAIN.times_s[~a.valid]
    assert gap[0] == pytest.approx(-0.002)
    assert gap[-1] == pytest.approx(0.012)


def test_same_epoch_transposed_or_longer_gives_the_same_trial():
    data = raw(2)
    a = CHAIN.process(epoch(data), trial_id=1)
    b = CHAIN.process(epoch(np.ascontiguousarray(data.T).T), trial_id=1)
    longer = np.concatenate([raw(3)[:, :100], data, raw(4)[:, :50]], axis=1)
    c = CHAIN.process(Epoch(data=longer, rate_hz=RATE, pulse_sample=round(0.8 * RATE) + 100), trial_id=1)
    assert np.array_equal(a.eeg_uv, b.eeg_uv)
    assert np.array_equal(a.eeg_uv, c.eeg_uv)
    assert np.abs(a.eeg_uv.mean(axis=0)).max() < 1e-3  # average reference


def test_bad_channels_are_named_with_reasons_zeroed_and_do_not_touch_the_others():
    data = raw(5)
    reference = CHAIN.process(epoch(data), trial_id=1, known_bad=(0, 3, 7, 11))
    bad = data.copy()
    bad[3, 100] = np.nan
    bad[7] = 12.5
    bad[0, ::2] = 1e30
    bad[11] += 3000 * np.sin(np.arange(bad.shape[1])).astype(np.float32)
    trial = CHAIN.process(epoch(bad), trial_id=2)
    assert "not a number" in trial.bad_channels[3]
    assert "wild" in trial.bad_channels[0]
    assert "flat" in trial.bad_channels[7]
    assert "SD before the pulse" in trial.bad_channels[11]
    assert trial.verdict.accepted
    assert trial.verdict.numbers["bad_channels_pct"] == pytest.approx(400 / 16)
    assert not trial.eeg_uv[[0, 3, 7, 11]].any()
    assert np.abs(trial.eeg_uv - reference.eeg_uv).max() < 1e-3


@pytest.mark.parametrize("fill", [np.nan, np.inf, 0.0])
def test_an_epoch_without_any_signal_is_rejected_without_nan(fill):
    trial = CHAIN.process(epoch(np.full_like(raw(), fill)), trial_id=1)
    assert not trial.verdict.accepted
    assert "bad channels: 100 %" in trial.verdict.words()
    assert len(trial.bad_channels) == 16
    for array in (trial.eeg_uv, trial.analytic_re, trial.ongoing_im, trial.decay_uv):
        assert np.isfinite(array).all()
    assert all(np.isfinite(v) for v in trial.verdict.numbers.values())


def test_blink_muscle_and_big_swings_are_rejected_with_number_and_limit():
    t = (np.arange(raw().shape[1]) - round(0.8 * RATE)) / RATE
    blink = raw(6)
    frontal = [i for i, n in enumerate(MONTAGE.names) if n.startswith(("Fp", "AF"))]
    assert frontal
    blink[frontal] += (250 * np.exp(-(((t - 0.25) / 0.08) ** 2))).astype(np.float32)
    assert "blink" in CHAIN.process(epoch(blink), trial_id=1).verdict.words()
    jaw = raw(7)
    jaw[9] += (250 * np.sin(2 * np.pi * 150 * t) * ((t > -0.6) & (t < -0.01)) * 0.4).astype(np.float32)
    verdict = CHAIN.process(epoch(jaw), trial_id=1).verdict
    assert not verdict.accepted or 9 in CHAIN.process(epoch(jaw), trial_id=1).bad_channels
    swing = raw(8)
    swing[4] += (900 * ((t > 0.2) & (t < 0.4))).astype(np.float32)
    verdict = CHAIN.process(epoch(swing), trial_id=1).verdict
    assert "peak to peak post pulse" in verdict.words()
    assert verdict.reasons[0][1] > verdict.reasons[0][2]
    fine = CHAIN.process(epoch(raw(9)), trial_id=1).verdict
    assert fine.accepted
    assert {"pre_pp_uv", "post_pp_uv", "blink_uv", "muscle_post_uv", "residual_decay_uv"} <= set(fine.numbers)


def test_decay_in_an_epoch_is_reduced_and_reported():
    data = raw(10)
    clean = CHAIN.process(epoch(data.copy()), trial_id=0).eeg_uv[6]
    t = (np.arange(data.shape[1]) - round(0.8 * RATE)) / RATE
    data[6] += np.where(t > 0, 2000 * (1 + np.maximum(t, 0) / 0.005) ** -2, 0).astype(np.float32)
    with_fit = CHAIN.process(epoch(data), trial_id=1)
    without = Chain(ChainSpec(decay=False), rate_hz=RATE, montage=MONTAGE).process(epoch(data), trial_id=1)
    early = (CHAIN.times_s > 0.012) & (CHAIN.times_s < 0.03)
    assert with_fit.decay_uv[6] > 100
    left = np.abs(with_fit.eeg_uv[6] - clean)[early].mean()
    assert left < 0.2 * np.abs(without.eeg_uv[6] - clean)[early].mean()


def test_every_stage_can_be_switched_off():
    data = raw(11)
    for spec in (
        ChainSpec(bridge=False), ChainSpec(decay=False), ChainSpec(detrend=False),
        ChainSpec(average_reference=False),
        ChainSpec(quality=False), ChainSpec(recharge_gap_s=(0.05, 0.06)),
    ):  # fmt: skip
        trial = Chain(spec, rate_hz=RATE, montage=MONTAGE).process(epoch(data), trial_id=1)
        assert np.isfinite(trial.eeg_uv).all()
    assert (
        Chain(ChainSpec(quality=False), rate_hz=RATE, montage=MONTAGE)
        .process(epoch(data * 40), trial_id=1)
        .verdict.accepted
    )


def test_epochs_that_do_not_fit_are_refused_in_words():
    data = raw()
    for bad in (
        Epoch(data=data[:, 300:].copy(), rate_hz=RATE, pulse_sample=round(0.8 * RATE) - 300),
        Epoch(data=data[:12], rate_hz=RATE, pulse_sample=round(0.8 * RATE)),
        Epoch(data=data, rate_hz=1000.0, pulse_sample=round(0.8 * RATE)),
    ):
        with pytest.raises(ValidationProblem, match="does not fit the cleaning chain"):
            CHAIN.process(bad, trial_id=1)
    with pytest.raises(ValidationProblem, match="too few channels"):
        Chain(ChainSpec(), rate_hz=RATE, montage=Montage.from_names(["Cz"]))


def test_stage_times_are_recorded_from_the_given_clock():
    trial = CHAIN.process(epoch(raw()), trial_id=1)
    assert list(trial.stage_s) == ["load", "decay", "bridge", "decimate", "detrend", "quality", "analytic"]
    assert all(s >= 0 for s in trial.stage_s.values())
