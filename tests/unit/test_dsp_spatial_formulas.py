"""Running covariances, SOUND and SSP-SIR against slow twins, and what they say about input they cannot use."""

from __future__ import annotations

import naive_spatial as naive
import numpy as np
import pytest

from rtloop.dsp.covariance import MOST_POWER, RunningCovariance, referred
from rtloop.dsp.muscle import allowed, artifact_fields, patterns, rank_of, rebuilt, ssp_sir
from rtloop.dsp.sound import of_channels, prior_of, sound_filter, sound_noise
from rtloop.errors import ValidationProblem
from rtloop.model.montage import Montage, names_for
from rtloop.sphere import leadfield

MONTAGE = Montage.from_names(names_for(20))
M = 20


def sources(n=60, seed=0):
    rng = np.random.default_rng(seed)
    where = rng.standard_normal((n, 3))
    where[:, 2] = np.abs(where[:, 2])
    where *= 0.07 / np.linalg.norm(where, axis=1)[:, None]
    field = leadfield(MONTAGE.positions_m, where)
    field -= field.mean(axis=0)
    return field / np.sqrt(np.mean(field**2))


def test_pairs_count_the_trials_in_which_both_channels_were_good():
    rng = np.random.default_rng(1)
    trials = [rng.standard_normal((6, 40)) for _ in range(7)]
    good = rng.random((7, 6)) > 0.3
    running = RunningCovariance(6)
    for x, g in zip(trials, good, strict=True):
        spoilt = np.where(g[:, None], x, 0.0)
        running.add((spoilt @ spoilt.T / 40).astype(np.float32), g)
    np.testing.assert_allclose(running.sums / running.weights, naive.covariance(trials, good), atol=1e-6)
    everyone = np.ones(6, dtype=bool)
    of = running.of(everyone)
    assert np.linalg.eigvalsh(of).min() > -1e-12
    np.testing.assert_allclose(of.sum(axis=0), 0.0, atol=1e-9)  # average reference
    assert np.array_equal(running.known(3), good.sum(axis=0) >= 3)


def test_forgetting_lets_old_trials_fade_and_one_wild_trial_does_not_rule():
    one, nine = np.eye(4, dtype=np.float32), 9 * np.eye(4, dtype=np.float32)
    good = np.ones(4, dtype=bool)
    running = RunningCovariance(4, memory=5)
    for k in range(40):
        running.add(one if k < 20 else nine, good)
    share = (1 - 1 / 5) ** 20
    expected = (9 - 8 * share - share**2) / (1 - share**2)
    assert running.sums[0, 0] / running.weights[0, 0] == pytest.approx(expected, rel=1e-6)
    assert running.known(10).all()
    capped = RunningCovariance(4, capped=True)
    for x in (one, one, 1e6 * one):
        capped.add(x, good)
    assert capped.sums[0, 0] == pytest.approx(2 + MOST_POWER)
    with pytest.raises(ValidationProblem):
        RunningCovariance(4, memory=1)


def test_sound_equals_the_twin_that_leaves_each_channel_out():
    rng = np.random.default_rng(2)
    field = sources()
    noise = rng.uniform(0.3, 3.0, M)
    data = field @ rng.standard_normal((60, 400)) + noise[:, None] * rng.standard_normal((M, 400))
    data -= data.mean(axis=0)
    prior = field @ field.T
    for rounds in (1, 6):
        found, scale = sound_noise(data @ data.T / 400, prior, lambda0=0.1, rounds=rounds)
        expected, expected_scale = naive.sound_noise(data, field, 0.1, rounds)
        np.testing.assert_allclose(found, expected, rtol=1e-7)
        assert scale == pytest.approx(expected_scale, rel=1e-7)
    clean = sound_filter(data @ data.T / 400, prior, lambda0=0.1, rounds=6) @ data
    np.testing.assert_allclose(clean, naive.sound(data, field, 0.1, 6), atol=1e-8)


def test_sound_with_the_head_model_finds_the_noisy_electrode_and_lowers_the_error():
    rng = np.random.default_rng(3)
    brain = sources(seed=5) @ rng.standard_normal((60, 3000))
    noise = rng.standard_normal((M, 3000)) * np.where(np.arange(M) == 7, 12.0, 1.0)[:, None]
    data = brain + noise
    data -= data.mean(axis=0)
    prior = of_channels(prior_of(MONTAGE), np.ones(M, dtype=bool))
    variance, _ = sound_noise(data @ data.T / 3000, prior)
    assert variance.argmax() == 7
    assert 90 < variance[7] < 150  # 144, of which the average reference spreads some over the others
    assert np.median(variance) < 20
    clean = sound_filter(data @ data.T / 3000, prior) @ data
    truth = brain - brain.mean(axis=0)
    assert np.sqrt(np.mean((clean - truth) ** 2)) < 0.9 * np.sqrt(np.mean((data - truth) ** 2))
    assert np.abs(clean.mean(axis=0)).max() < 1e-9


def test_two_copies_of_a_channel_do_not_spoil_sound():
    rng = np.random.default_rng(4)
    data = sources() @ rng.standard_normal((60, 500)) + rng.standard_normal((M, 500))
    data[3] = data[4]
    data -= data.mean(axis=0)
    prior = of_channels(prior_of(MONTAGE), np.ones(M, dtype=bool))
    filtered = sound_filter(data @ data.T / 500, prior)
    assert np.isfinite(filtered).all()
    assert np.abs(filtered).max() < 3.0


@pytest.mark.parametrize("fill", [0.0, np.nan])
def test_sound_refuses_what_holds_no_signal(fill):
    with pytest.raises(ValidationProblem, match="no noise can be estimated"):
        sound_noise(np.full((M, M), fill), np.eye(M))
    with pytest.raises(ValidationProblem, match="shape"):
        sound_noise(np.eye(M), np.eye(M - 1))


def test_planted_patterns_are_found_and_nothing_is_found_where_nothing_is():
    rng = np.random.default_rng(6)
    before = referred(np.cov(sources() @ rng.standard_normal((60, 4000)) + rng.standard_normal((M, 4000))))
    planted = rng.standard_normal((M, 2))
    planted -= planted.mean(axis=0)
    after = before + 400 * planted @ planted.T
    fields, ratios = patterns(after, before)
    assert ratios.size == 2
    assert ratios[0] >= ratios[1] > 4
    outside = planted - fields @ np.linalg.lstsq(fields, planted)[0]
    assert np.linalg.norm(outside) < 1e-6 * np.linalg.norm(planted)
    np.testing.assert_allclose(np.linalg.norm(fields, axis=0), 1.0)
    assert patterns(1.5 * before, before)[1].size == 0
    assert patterns(after, before, most=1)[0].shape == (M, 1)
    assert patterns(after, np.zeros_like(before))[0].shape == (M, 0)
    with pytest.raises(ValidationProblem, match="finite"):
        patterns(np.full((M, M), np.nan), before)


def test_ssp_sir_equals_its_twin_and_leaves_nothing_of_the_pattern():
    rng = np.random.default_rng(7)
    field = sources()
    data = field @ rng.standard_normal((60, 50))
    fields = rng.standard_normal((M, 3))
    fields -= fields.mean(axis=0)
    cleaner = ssp_sir(fields, field @ field.T, M - 1)
    np.testing.assert_allclose(cleaner @ data, naive.ssp_sir(data, fields, field, M - 1), atol=1e-6)
    assert np.abs(cleaner @ fields).max() < 1e-9
    assert (
        np.corrcoef((cleaner @ data).ravel(), data.ravel())[0, 1] > 0.8
    )  # reconstructed, not only projected
    with pytest.raises(ValidationProblem, match="nothing is left"):
        ssp_sir(fields, field @ field.T, 3)
    assert rank_of(field @ field.T) == M - 1


def test_rebuilding_equals_the_wiener_filter_of_endless_noise_and_leaves_all_else_alone():
    rng = np.random.default_rng(8)
    field = sources()
    usual = field @ field.T + np.eye(M)  # full rank, so that the plain inverse of the twin exists
    fields = rng.standard_normal((M, 2))
    data = field @ rng.standard_normal((60, 30))
    cleaner = rebuilt(fields, usual)
    np.testing.assert_allclose(cleaner @ data, naive.conditional_mean(data, fields, usual), atol=1e-4)
    np.testing.assert_allclose(
        cleaner @ (data + 1e4 * fields @ rng.standard_normal((2, 30))), cleaner @ data, atol=1e-6
    )
    np.testing.assert_allclose(rebuilt(np.zeros((M, 0)), usual), np.eye(M), atol=1e-9)
    with pytest.raises(ValidationProblem, match="nothing is left"):
        rebuilt(np.eye(M), np.eye(M))


def test_a_smooth_answer_is_allowed_for_and_a_ragged_one_is_an_artifact():
    everyone = np.ones(M, dtype=bool)
    prior = of_channels(prior_of(MONTAGE), everyone)
    before = referred(sources() @ sources().T)
    usual = allowed(before, prior, 3.0)
    assert np.trace(usual) == pytest.approx(4 * np.trace(before))
    smooth = sources(1, seed=9)[:, 0]
    ragged = np.random.default_rng(10).choice([-1.0, 1.0], M)
    ragged -= ragged.mean()
    size = np.trace(before) / M
    after = before + 0.5 * size * np.outer(smooth, smooth) + 0.5 * size * np.outer(ragged, ragged)
    fields, ratios = artifact_fields(None, after, usual)
    assert ratios.size == 1
    assert abs(fields[:, 0] @ ragged) / np.linalg.norm(ragged) > 0.9
    assert artifact_fields(None, after, before)[1].size == 2  # without the allowance
    fast = (before + 50 * size * np.outer(smooth, smooth), before)
    both, _ = artifact_fields(fast, after, usual)
    np.testing.assert_allclose(both.T @ both, np.eye(2), atol=1e-9)
    assert abs(both[:, 0] @ smooth) / np.linalg.norm(smooth) > 0.9  # fast: an artifact, smooth or not
    assert artifact_fields(fast, after, usual, most=1)[0].shape == (M, 1)


def test_sound_agrees_with_mne_denoise():
    from mne_denoise.sound import compute_sound

    rng = np.random.default_rng(11)
    field = sources()
    noise = rng.uniform(0.5, 4.0, M)
    data = field @ rng.standard_normal((60, 2000)) + noise[:, None] * rng.standard_normal((M, 2000))
    data -= data.mean(axis=0)
    operator, sigmas, _ = compute_sound(data, field, lambda_=0.1, n_iter=20, random_state=0, verbose="ERROR")
    found, _ = sound_noise(data @ data.T / 2000, field @ field.T, lambda0=0.1, rounds=20)
    np.testing.assert_allclose(
        np.sqrt(found), sigmas, rtol=0.03
    )  # they update one after the other, in chance order
    eight = sound_filter(data @ data.T / 2000, field @ field.T, lambda0=0.1, rounds=8)
    assert np.corrcoef((eight @ data).ravel(), (operator @ data).ravel())[0, 1] > 0.999
