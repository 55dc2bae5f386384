"""Every artifact differs from one pulse to the next by the stated amount, and stands still when that is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hardware_sim.artifacts import Artifacts
from hardware_sim.head import Head, generate_trials
from hardware_sim.scene import Scene, load_scene
from hardware_sim.trials import TrialSource
from rtloop.model.montage import NAMES_63, Montage, names_for

MONTAGE = Montage.from_names(NAMES_63)
SMALL = Montage.from_names(names_for(16))
RATE_HZ = 5000.0
NONE = dict.fromkeys(
    (
        "pulse_cv", "pulse_tau_cv", "decay_cv", "decay_own_cv", "decay_tau_cv", "decay_tau_own_cv", "muscle_cv",
        "muscle_ms", "muscle_pattern_cv", "recharge_cv", "recharge_ms", "blink_side_cv",
    ),
    0.0,
)  # fmt: skip
QUIET = {"blink_probability": 0.0, "recharge_uv": 300.0}


def _scene(
    decay: float = 0.0, muscle: float = 0.0, artifact: dict[str, Any] | None = None, **vary: float
) -> Scene:
    scene = load_scene("default").varied("M1", decay_uv=decay, muscle_uv=muscle)
    return scene.varied(artifact=QUIET | (artifact or {}) | {"vary": NONE | vary})


def _trials(scene: Scene, n: int = 60, end_s: float = 0.05, montage: Montage = MONTAGE) -> np.ndarray:
    t_s = np.arange(0, end_s, 1 / RATE_HZ)
    return Artifacts(scene, "M1", montage, RATE_HZ).smooth_part(t_s, n, np.random.default_rng(4))


@pytest.mark.parametrize(
    ("kinds", "vary"),
    [
        ({"decay": 100.0}, "decay_cv"), ({"decay": 100.0}, "decay_own_cv"), ({"decay": 100.0}, "decay_tau_cv"),
        ({"decay": 100.0}, "decay_tau_own_cv"), ({"muscle": 500.0}, "muscle_cv"), ({"muscle": 500.0}, "muscle_ms"),
        ({"muscle": 500.0}, "muscle_pattern_cv"), ({"artifact": {"recharge_ms": 30.0}}, "recharge_cv"),
        ({"artifact": {"recharge_ms": 30.0}}, "recharge_ms"),
    ],
)  # fmt: skip
def test_without_variation_all_pulses_are_alike_and_with_it_they_differ(
    kinds: dict[str, Any], vary: str
) -> None:
    still = _trials(_scene(**kinds), 8, montage=SMALL)
    assert np.ptp(still, axis=0).max() < 1e-3
    moving = _trials(_scene(**kinds, **{vary: 0.2}), 8, montage=SMALL)
    assert np.ptp(moving, axis=0).max() > 0.05 * np.abs(still).max()


def test_decay_has_its_amplitude_and_its_tau_electrode_by_electrode() -> None:
    scene = _scene(decay=100.0, decay_cv=0.15, decay_own_cv=0.08, decay_tau_cv=0.1, decay_tau_own_cv=0.05)
    artifacts, found = Artifacts(scene, "M1", MONTAGE, RATE_HZ), _trials(scene, 200)
    at_pulse = found[:, :, 0] / artifacts.decay_uv
    assert at_pulse.mean(1).std() == pytest.approx(0.15, rel=0.2)
    assert (at_pulse - at_pulse.mean(1, keepdims=True)).std() == pytest.approx(0.08, rel=0.1)
    # A/(1+t/tau)^2: sqrt(A/x) - 1 = t/tau
    t_s = 0.02
    tau = t_s / (np.sqrt(found[:, :, 0] / found[:, :, 100]) - 1.0)
    relative = np.log(tau / artifacts.decay_tau_s)
    assert relative.mean(1).std() == pytest.approx(0.10, rel=0.2)
    assert (relative - relative.mean(1, keepdims=True)).std() == pytest.approx(0.05, rel=0.1)
    assert np.log(artifacts.decay_tau_s).std() > 0.15, "tau is the same at all electrodes"


def test_muscle_keeps_a_low_rank_but_its_field_turns() -> None:
    fixed, turning = (_trials(_scene(muscle=800.0, muscle_cv=0.25, muscle_ms=0.3, muscle_pattern_cv=cv), 80)
                      for cv in (0.0, 0.15))  # fmt: skip
    values = [
        np.linalg.svd(x.transpose(1, 0, 2).reshape(63, -1), compute_uv=False) ** 2 for x in (fixed, turning)
    ]
    share = [v / v.sum() for v in values]
    assert share[0][2:].sum() < 1e-6, "without turning it has two patterns"
    assert 0.002 < share[1][2:].sum() < 0.1, share[1][:5]
    assert share[1][4:].sum() < 1e-6, "four bellies"
    peak_s = np.argmax(np.abs(turning[:, :, :37]).max(axis=1), axis=1) / RATE_HZ  # the first of the two
    assert 0.004 < np.median(peak_s) < 0.0065
    assert peak_s.std() > 0.0001


def test_dipoles_outside_the_skull_are_lateral_bipolar_and_steep() -> None:
    smooth, steep = (
        Artifacts(_scene(muscle=500.0, artifact={"muscle_dipoles": d}), "M1", MONTAGE, RATE_HZ).muscle
        for d in (False, True)
    )
    for field in (smooth, steep):
        assert np.abs(field).max() == pytest.approx(1.0)
        worst = MONTAGE.positions_m[np.argmax(np.abs(field).max(axis=1))]
        assert worst[0] < -0.04, "not on the side of the coil"
        assert np.abs(field[MONTAGE.index("Cz")]).max() < 0.15
    assert steep.min() < -0.15 < 0.15 < steep.max()


def test_recharge_spike_and_pulse_differ_in_size_and_time() -> None:
    scene = _scene(artifact={"recharge_ms": 30.0}, recharge_cv=0.1, recharge_ms=0.3)
    found = np.abs(_trials(scene, 200)).max(axis=1)
    assert found.max(axis=1).std() / found.max(axis=1).mean() == pytest.approx(0.1, rel=0.25)
    assert (np.argmax(found, axis=1) / RATE_HZ).std() == pytest.approx(0.0003, rel=0.25)
    artifacts = Artifacts(_scene(pulse_cv=0.02, pulse_tau_cv=0.1), "M1", SMALL, 25_000.0)
    rng, t_s = np.random.default_rng(2), np.arange(0, 0.002, 1 / 25_000.0)
    pulses = np.array([artifacts.pulse_part(t_s, rng, 45.0) for _ in range(200)])
    first = np.abs(pulses[:, :, 0]).max(axis=1)
    assert first.std() / first.mean() == pytest.approx(0.02, rel=0.2)
    assert (pulses[:, 0, 5] / pulses[:, 0, 0]).std() > 0.005, "its length never differs"


def test_blinks_differ_in_moment_size_and_side() -> None:
    scene = _scene(artifact={"blink_probability": 1.0}, blink_side_cv=0.1)
    found = _trials(scene, 60, end_s=0.6)
    peak = np.abs(found).max(axis=1)
    assert 0.1 < (np.argmax(peak, axis=1) / RATE_HZ).min() < (np.argmax(peak, axis=1) / RATE_HZ).max() < 0.45
    assert 60.0 < peak.max(axis=1).min() < peak.max(axis=1).max() < 200.0
    left, right = (np.abs(found[:, MONTAGE.index(c)]).max(axis=1) for c in ("Fp1", "Fp2"))
    assert np.log(left / right).std() > 0.05


def test_a_step_begins_at_the_pulse_and_leaks_away_without_a_jump() -> None:
    loud = {"artifact": {"step_uv": 20.0, "pulse_uv": 1e-6}}
    quiet = {"artifact": {"step_uv": 0.0, "pulse_uv": 1e-6}}
    a, b = (_scene(**kind, decay_cv=0.15) for kind in (loud, quiet))
    with_step, without = (Head(s, SMALL, 500.0, seed=1) for s in (a, b))
    for head in (with_step, without):
        head.pulse(100, "M1", 45.0)
    step = np.concatenate([with_step.block(n) for n in (130, 7, 4000, 4000)])
    step = step - np.concatenate([without.block(n) for n in (130, 7, 4000, 4000)])
    assert not step[:100].any()
    assert np.abs(step[100]).max() > 10.0
    np.testing.assert_allclose(step[1100], step[100] * np.exp(-1.0), atol=1e-2)
    assert np.abs(np.diff(step[100:], axis=0)).max() < 0.3
    assert np.abs(step[8000:]).max() < 0.05
    assert not with_step._steps
    trial = TrialSource(a, "M1", seed=1, montage=SMALL, rate_hz=500.0).trial(0)
    plain = TrialSource(b, "M1", seed=1, montage=SMALL, rate_hz=500.0).trial(0)
    found = (trial.raw_uv - plain.raw_uv)[:, trial.pulse_sample]
    assert np.abs(found).max() > 10.0
    bulk = [generate_trials(s, "M1", 2, seed=1, montage=SMALL)[0] for s in (a, b)]
    assert np.abs(bulk[0] - bulk[1])[0, :, 801:].max() > 10.0


def test_line_noise_is_not_locked_to_the_pulse_and_bad_channels_are_bad() -> None:
    scene = _scene().varied(noise={"line_uv": 5.0, "bad_channels": ("Oz",)})
    source = TrialSource(scene, "M1", rate_hz=1000.0)
    trials = np.array([(t.raw_uv - t.brain_uv)[:, :800] for t in source.trials(40)])
    turn = np.exp(-2j * np.pi * 50.0 * np.arange(800) / 1000.0)
    phasors = trials @ turn / 800
    size = np.abs(phasors).mean(0)
    assert size[MONTAGE.index("Cz")] > 1.0
    assert np.abs(np.mean(phasors / np.abs(phasors), axis=0)).max() < 0.45
    assert size[MONTAGE.index("Oz")] > 8 * np.median(size)
    rest = trials - 2 * np.real(phasors[:, :, None] * np.conj(turn))
    assert rest[:, MONTAGE.index("Oz")].std() == pytest.approx(20.0, rel=0.1)
    assert np.median(rest.std(axis=(0, 2))) == pytest.approx(0.7, rel=0.1)
