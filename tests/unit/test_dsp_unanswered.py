"""Patterns learnt before the brain can have answered, and what is constant at each electrode."""

from __future__ import annotations

import numpy as np
import pytest
from test_dsp_spatial_stage import MONTAGE, TIMES, N, agreement, brain, noisy
from test_dsp_spatial_stage import run as run_stage

from rtloop.dsp.electrode import EarlySamples, answer_sd_uv, functionals_of, shrunk
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.sphere import leadfield

LATE = ChainSpec(muscle=True, spatial_first=6, spatial_every=5, quality=False, decay=False)
SPEC = ChainSpec.from_dict({**LATE.to_dict(), "muscle_early": True})
COUNT = 16


def electrodes(n, seed=0):
    """Decay and step with a sign and size of its own at each electrode, much the same in every trial; float32[n, N, 1401]."""
    fixed, rng = np.random.default_rng(7), np.random.default_rng(seed + 3000)
    size = 60 * fixed.lognormal(0, 0.5, N) * np.sign(fixed.standard_normal(N))
    tau = 0.012 * np.exp(0.3 * fixed.standard_normal(N))
    step = 15 * fixed.standard_normal(N)
    after = np.maximum(TIMES, 0.0)
    each = 1 + 0.15 * rng.standard_normal((n, 1, 1)) + 0.05 * rng.standard_normal((n, N, 1))
    out = each * size[:, None] / (1 + after / tau[:, None]) ** 2 + step[:, None] * np.exp(-after / 2.0)
    return (out * (TIMES >= 0)).astype(np.float32)


def answer(at_s=0.025, width_s=0.005):
    """A response of the cortex, the same in every trial: float32[N, 1401], 5 µV at the largest electrode."""
    field = leadfield(MONTAGE.positions_m, MONTAGE.positions_m[10:11] * (0.07 / 0.088))[:, 0]
    field = 5 * (field - field.mean()) / np.abs(field - field.mean()).max()
    return np.outer(field, np.exp(-0.5 * ((TIMES - at_s) / width_s) ** 2) * (TIMES > 0)).astype(np.float32)


DATA = noisy(COUNT) + electrodes(COUNT)


def run(data, spec=SPEC, **how):
    return run_stage(data, spec, **how)


USUAL, BEHIND = run(DATA), run(DATA, LATE)


def left(spec, more, without):
    """Share of ``more``, put into every trial, that is left in the average of the cleaned ones, 12-50 ms."""
    shown = (TIMES > 0.0125) & (TIMES <= 0.05)
    change = average(run(DATA + more, spec))[:, shown] - average(without)[:, shown]
    true = more[:, shown] - more[:, shown].mean(axis=0)
    return float(np.sum(change * true) / np.sum(true**2))


def average(trials):
    return np.mean([t.eeg_uv for t in trials[6:]], axis=0)


def test_an_answer_that_is_the_same_in_every_trial_is_left_and_the_artifact_is_not():
    assert left(SPEC, answer(), USUAL) > 0.8
    assert left(SPEC, answer(0.015, 0.003), USUAL) > 0.75
    assert left(LATE, answer(), BEHIND) < 0.5  # why they are learnt before
    truth = brain(COUNT)
    assert agreement(USUAL[6:], truth[6:]) > 0.72
    late = (TIMES > 0.1) & (TIMES < 0.4)  # where no pattern is taken out: the step
    off, was = (np.abs(average(x) - truth[6:].mean(axis=0))[:, late].mean() for x in (USUAL, BEHIND))
    assert off < 0.75 * was
    assert [t.verdict.numbers["spatial_early"] for t in USUAL] == [0] * 6 + [6] * 5 + [11] * 5
    assert "spatial_early" not in BEHIND[0].verdict.numbers


def test_past_pulses_only_and_work_between_pulses_changes_nothing():
    other = DATA.copy()
    other[12] += 50 * answer(0.02)
    for a, b, c in zip(run(other), run(DATA, between=True), USUAL, strict=True):
        assert np.array_equal(b.eeg_uv, c.eeg_uv)
        assert np.array_equal(a.eeg_uv, c.eeg_uv) == (
            a.trial_id != 12
        )  # the next filter is made after the last


@pytest.mark.parametrize("kind", ["still", "nan", "large"])
def test_where_the_amplifier_had_not_recovered_a_trial_teaches_nothing_here(kind):
    spoilt = DATA.copy()
    early = (TIMES > 0.003) & (TIMES < 0.0095)
    spoilt[:, 4, early] = {"still": 900.0, "nan": np.nan, "large": 6000.0 + 100 * TIMES[early]}[kind]
    trials = run(spoilt)
    assert {t.verdict.numbers["spatial_early"] for t in trials} == {0.0}
    for a, b in zip(trials, BEHIND, strict=True):  # as if nothing of it were there, to the bit
        assert np.array_equal(a.eeg_uv, b.eeg_uv)
    if kind != "nan":
        return
    some = DATA.copy()
    some[2:4] = spoilt[2:4]
    assert [t.verdict.numbers["spatial_early"] for t in run(some)] == [0] * 11 + [9] * 5
    assert {t.verdict.numbers["spatial_trials"] for t in run(some)[6:11]} == {6}


def test_channels_that_come_and_go_leave_numbers_in_all_others():
    broken = DATA.copy()
    broken[:8, 5] = 0.0
    broken[12, 9] = np.nan
    trials = run(broken)
    assert all(np.isfinite(t.eeg_uv).all() for t in trials)
    assert set(trials[7].bad_channels) == {5}
    assert set(trials[12].bad_channels) == {5, 9}
    assert agreement(trials[6:8], brain(COUNT)[6:8]) > 0.7


def test_sizes_are_read_from_where_no_answer_is():
    t = np.concatenate([np.arange(4, 9), np.arange(13, 600)]) / 1000.0
    courses = np.stack([(1 + t / 0.006) ** -2, (1 + t / 0.02) ** -2, np.exp(-t / 2)], axis=1)
    sizes = functionals_of(t, courses)
    for tau in (0.007, 0.012, 0.018):
        decay = (1 + t / tau) ** -2
        np.testing.assert_allclose(courses @ (sizes @ decay), decay, atol=0.03)
    np.testing.assert_allclose(courses @ (sizes @ np.exp(-t / 2)), np.exp(-t / 2), atol=0.05)
    for at_s, width_s, most in ((0.025, 0.005, 0.05), (0.045, 0.008, 0.05), (0.1, 0.02, 0.1)):
        bump = np.exp(-0.5 * ((t - at_s) / width_s) ** 2)
        taken = courses @ (sizes @ bump)
        assert abs(bump @ taken) < most * (bump @ bump)
    np.testing.assert_allclose(answer_sd_uv(np.array([0.003, 0.02, 0.2, 0.5])), [0, 10, 10, 1])


def test_what_chance_put_into_the_sizes_is_taken_back():
    rng = np.random.default_rng(3)
    error = np.tile(
        np.array([[4.0, -3.8], [-3.8, 4.0]]), (300, 1, 1)
    )  # two courses that are hardly told apart
    chance = np.linalg.cholesky(error[0]) @ rng.standard_normal((2, 300))
    assert np.mean(shrunk(chance, error) ** 2) < 0.1 * np.mean(chance**2)
    true = np.outer([3.0, 2.0], rng.standard_normal(300))  # one shape, a size of its own at each electrode
    off = shrunk(true + chance, error) - true
    assert np.mean(off**2) < 0.2 * np.mean(chance**2)
    loose, erring = true + chance, error.copy()
    loose[:, 7], erring[7] = 500.0, 1e6 * np.eye(2)  # an electrode that jumped once
    again = shrunk(loose, erring)
    assert np.abs(again[:, 7]).max() < 1.0
    assert np.mean((again - true)[:, 8:] ** 2) < 0.2 * np.mean(chance**2)
    assert not shrunk(np.zeros((2, 4)), np.zeros((4, 2, 2))).any()


def test_bins_hold_the_means_around_their_middles():
    samples = EarlySamples((0.0035, 0.0085), rate_hz=5000.0, pulse=100, width=16)
    np.testing.assert_allclose(samples.times_s, [0.004, 0.005, 0.006, 0.007, 0.008])
    raw = np.tile((np.arange(300, dtype=np.float32)[:, None] - 100) / 5.0, (1, 16))  # ms from the pulse
    samples.see(raw)
    np.testing.assert_allclose(samples.rows[:, 3], [4.0, 5.0, 6.0, 7.0, 8.0], atol=0.11)
    np.testing.assert_allclose(samples.of(raw)[:, 3], samples.rows[:, 3], rtol=1e-6)


@pytest.mark.parametrize(
    "wrong", [{"early_s": (0.0, 0.008)}, {"early_s": (0.004, 0.007)}, {"early_most_uv": 0.0}, {"decay": True}]
)
def test_settings_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(ValidationProblem, match="learning before the brain can have answered"):
        ChainSpec.from_dict({**SPEC.to_dict(), **wrong})
    ChainSpec.from_dict({**SPEC.to_dict(), **wrong, "muscle": False})  # the switch alone does nothing
