"""Raw trials with their truth: fixed by seed and number, part by part, and true to the stated concentrations."""

from __future__ import annotations

import numpy as np
import pytest

from hardware_sim.brain import bessel_ratio
from hardware_sim.scene import Scene, Target, load_scene
from hardware_sim.trials import TrialSource
from hardware_sim.truth import sensor_indices, source_truth
from rtloop.errors import ValidationProblem
from rtloop.model.montage import Montage, names_for

SMALL = Montage.from_names(names_for(16))
SCENE = load_scene("default")
SILENT = {
    "noise": {"sensor_uv": 0.0, "line_uv": 0.0},
    "artifact": {"pulse_uv": 0.0, "blink_probability": 0.0},
}


def test_a_trial_hangs_on_seed_and_number_alone() -> None:
    one, other = (TrialSource(SCENE, "M1", seed=3, montage=SMALL, rate_hz=1000.0) for _ in range(2))
    first, again = one.trial(5), [other.trial(k) for k in (2, 5)][1]
    np.testing.assert_array_equal(first.raw_uv, again.raw_uv)
    for changed in (one.trial(6), TrialSource(SCENE, "M1", seed=4, montage=SMALL, rate_hz=1000.0).trial(5),
                    TrialSource(SCENE, "PSI", seed=3, montage=SMALL, rate_hz=1000.0).trial(5)):  # fmt: skip
        for part in ("ongoing_uv", "raw_uv", "answer_uv"):
            a, b = getattr(first, part), getattr(changed, part)
            assert np.abs(np.corrcoef(a[:, 860:].ravel(), b[:, 860:].ravel())[0, 1]) < 0.97, part
    assert [t.number for t in one.trials(2, first=5)] == [5, 6]
    with pytest.raises(ValidationProblem):
        one.trial(-1)


def test_the_brain_is_the_same_whatever_the_artifacts_and_raw_is_brain_plus_them() -> None:
    loud = SCENE.varied("M1", muscle_uv=1500.0, decay_uv=300.0)
    none = SCENE.varied("M1", muscle_uv=0.0, decay_uv=0.0).varied(**SILENT)
    a, b = (TrialSource(s, "M1", seed=1, montage=SMALL, rate_hz=2000.0).trial(9) for s in (loud, none))
    np.testing.assert_array_equal(a.brain_uv, b.brain_uv)
    np.testing.assert_allclose(b.raw_uv, b.brain_uv, atol=1e-3)
    assert not a.answer_uv[:, : a.pulse_sample].any()
    assert np.abs(a.raw_uv - a.brain_uv)[:, : a.pulse_sample].max() < 30.0
    at = np.argmax(np.abs(a.raw_uv).max(axis=0))
    assert at == a.pulse_sample
    assert np.abs(a.raw_uv[:, at]).max() > 20_000.0


def test_the_rail_clips_and_the_epoch_is_what_the_chain_takes() -> None:
    source = TrialSource(SCENE.varied(artifact={"rail_uv": 5000.0}), "M1", montage=SMALL)
    trial = source.trial(0)
    assert np.abs(trial.raw_uv).max() == 5000.0
    epoch = trial.epoch
    assert epoch.data is trial.raw_uv
    assert epoch.data.shape == (16, round(1.5 * 5000) + 1)
    assert trial.times_s[epoch.pulse_sample] == 0.0


def test_truth_at_other_instants() -> None:
    trial = TrialSource(SCENE, "M1", montage=SMALL).trial(0)
    every = trial.pulse_sample + 5 * np.arange(-800, 601)
    np.testing.assert_array_equal(trial.truth_at(np.arange(-800, 601) / 1000.0), trial.brain_uv[:, every])
    half = trial.truth_at(np.array([0.0501]) + 0.0001, "answer")
    between = (
        0.5 * trial.answer_uv[:, [trial.pulse_sample + 250]]
        + 0.5 * trial.answer_uv[:, [trial.pulse_sample + 252]]
    )
    np.testing.assert_allclose(half, between, atol=0.02)
    with pytest.raises(ValueError, match="outside"):
        trial.truth_at(np.array([1.0]))
    with pytest.raises(ValueError, match="noise"):
        trial.truth_at(np.array([0.0]), "noise")


def test_a_given_background_is_cut_where_it_is_told() -> None:
    loop = np.random.default_rng(0).standard_normal((5000, 16)).astype(np.float32)
    source = TrialSource(
        SCENE, "M1", montage=SMALL, rate_hz=1000.0, background=loop, background_at=(1000, 4900)
    )
    np.testing.assert_array_equal(source.trial(0).ongoing_uv, loop[150:1651].T)
    np.testing.assert_array_equal(source.trial(3).ongoing_uv[:, source.pulse_sample + 100], loop[0])
    with pytest.raises(ValidationProblem, match="background"):
        TrialSource(SCENE, "M1", montage=SMALL, background=loop[:, :5])


def test_the_drawn_phases_have_the_itc_and_plv_of_their_concentrations() -> None:
    scene = Scene(name="one", targets={"M1": Target(coil="C3", kappa_global=0.9, kappa_local=4.0)})
    answer = TrialSource(scene, "M1", montage=SMALL).answer
    draws = answer.draw(20_000, np.random.default_rng(2))
    truth = source_truth(scene, "M1")
    unit = np.exp(1j * draws.phase)
    itc = np.abs(unit.mean(0))  # [source, band]
    plv = np.abs(np.mean(unit * np.conj(unit[:, :1]), axis=0))
    np.testing.assert_allclose(itc[0], truth["itc"], atol=0.02)
    np.testing.assert_allclose(itc[1:4], truth["itc_local"], atol=0.02)
    np.testing.assert_allclose(itc[4:], truth["itc_distant"], atol=0.02)
    np.testing.assert_allclose(plv[1:4], bessel_ratio(4.0), atol=0.02)
    np.testing.assert_allclose(plv[4:], bessel_ratio(0.9), atol=0.02)
    later = np.exp(1j * (draws.phase[:, 0] + 2 * np.pi * draws.hz * 0.2))
    found, at = np.abs(later.mean(0)), source_truth(scene, "M1", 0.2)
    np.testing.assert_allclose(found, [at["itc"], at["itc_low_beta"], at["itc_high_beta"]], atol=0.02)


def test_sensor_indices_find_a_known_coupling_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(5)
    t = np.arange(1000) / 1000.0
    kappa_reset, kappa = 1.5, 3.0
    start = rng.vonmises(0.0, kappa_reset, 600)[:, None]
    turn = 2 * np.pi * 10.0 * t
    data = np.zeros((600, 4, 1000))
    data[:, 0] = np.cos(turn + start)
    data[:, 1] = np.cos(turn + start + np.pi / 2 + rng.vonmises(0.0, kappa, 600)[:, None])
    data[:, 2] = np.cos(turn + rng.uniform(0, 2 * np.pi, 600)[:, None])
    data[:, 3] = -data[:, :3].sum(axis=1)  # so that the average reference changes nothing
    got = sensor_indices(data, 1000.0, 400, band_hz=(8.0, 12.0), window_s=(0.0, 0.2))
    assert got.itc[0] == pytest.approx(bessel_ratio(kappa_reset), abs=0.04)
    assert got.itc[2] < 0.1
    assert got.plv[0, 1] == pytest.approx(bessel_ratio(kappa), abs=0.04)
    assert got.plv[0, 2] < 0.12
    assert got.wpli[0, 1] > 0.95
    assert got.wpli[0, 2] < 0.15
    assert got.dwpli2[0, 1] > 0.9
    assert abs(got.dwpli2[0, 2]) < 0.02
    with pytest.raises(ValueError, match="window"):
        sensor_indices(data, 1000.0, 400, band_hz=(8.0, 12.0), window_s=(0.0, 0.7))
