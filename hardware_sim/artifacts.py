"""Owns what a pulse does to electrodes, amplifier, muscles and eyes; owns no brain.

Shapes: decay A/(1 + t/tau)^2 with a sign of its own at each electrode, pulse shorter at higher sampling rates
(Freche 2018, 10.1371/journal.pcbi.1006177); cranial muscle at about 5 and 10 ms, over by 25-40 ms (Rogasch
2013).
"""

from __future__ import annotations

import zlib

import numpy as np

from hardware_sim.conduction import true_places_m
from hardware_sim.scene import Scene
from rtloop.model.montage import HEAD_RADIUS_M, Montage, position_of
from rtloop.model.samples import F32, F64

#: largest contribution: six standard deviations of the second muscle peak
_MUSCLE_END_S = 0.045
#: the step at a pulse leaks away through the amplifier's coupling
STEP_TAU_S = 2.0
#: bellies of the two muscle patterns: front, height, width in head radii (temporal, frontal)
_BELLIES = ((0.35, -0.05, 0.38), (-0.15, 0.05, 0.42))
_MUSCLE_RADIUS_M, _MUSCLE_SIZE_M = 0.0865, 0.010


class Artifacts:
    """The artifacts of a pulse at one target, seen by one montage at one rate.

    ``muscle`` float64[n_channels, 2]: the mean field of the two patterns; in each trial every belly differs.
    """

    def __init__(self, scene: Scene, target: str, montage: Montage, rate_hz: float) -> None:
        self.scene, self.truth, self.rate_hz = scene, scene.target(target), rate_hz
        home = scene.geometry_of(target)
        coil = position_of(home.coil)
        assert coil is not None
        e = true_places_m(scene, montage) / HEAD_RADIUS_M
        near = np.exp(-np.linalg.norm(e - coil, axis=1) / 0.9)
        # the electrode's own properties hang on its name, so that every montage and rate sees the same cap
        chance = np.array([_own_chance(scene.person.head_seed, name) for name in montage.names])
        pulse = near * np.where(chance[:, 0] < 0.5, -1.0, 1.0) * (0.4 + 0.6 * chance[:, 1])
        self._pulse_shape: F64 = pulse / np.abs(pulse).max()
        self.pulse_uv: F64 = scene.artifact.pulse_uv * self.truth.pulse * self._pulse_shape
        size = np.exp(0.5 * _normal(chance[:, 2]))
        self.decay_uv: F64 = self.truth.decay_uv * near * size * np.where(chance[:, 3] < 0.5, -1.0, 1.0)
        self.decay_tau_s: F64 = 1e-3 * scene.artifact.decay_tau_ms * np.exp(0.3 * _normal(chance[:, 4]))
        self.step_uv: F64 = scene.artifact.step_uv * self.truth.pulse * np.roll(size, 1) * np.sign(pulse)
        bellies = (_dipoles if scene.artifact.muscle_dipoles else _bellies)(e, coil)  # [n_ch, pattern, side]
        bellies /= max(float(np.abs(bellies.sum(axis=2)).max()), 0.2)
        self._bellies: F64 = bellies.reshape(len(e), 4)
        self.muscle: F64 = bellies.sum(axis=2)
        eyes = np.array([[-0.35, 0.93, -0.25], [0.35, 0.93, -0.25]])
        blink = np.stack([np.exp(-(np.linalg.norm(e - eye, axis=1) ** 2) / 0.35) for eye in eyes], axis=1)
        self._blinks: F64 = blink / max(float(blink.sum(axis=1).max()), 0.2)
        self.blink: F64 = self._blinks.sum(axis=1)
        self.pulse_tau_s = float(np.clip(0.22e-3 * np.sqrt(5000.0 / rate_hz), 0.12e-3, 0.6e-3))

    def smooth_part(
        self, t_s: F64, n_trials: int, rng: np.random.Generator, power_pct_mso: float | None = None
    ) -> F32:
        """Decay, muscle, recharge spike and blink: float32[n_trials, n_channels, n_samples], µV; ``t_s`` >=
        0. Each differs from trial to trial as ``scene.artifact.vary`` says.
        """
        kind, vary = self.scene.artifact, self.scene.artifact.vary
        more = rng.spawn(1)[0]  # a chance of its own: what ``rng`` gives next does not hang on these
        power = self.scene.person.reference_pct_mso if power_pct_mso is None else power_pct_mso
        drive = np.float32(power / self.scene.person.reference_pct_mso)
        t = t_s.astype(np.float32)
        n_ch = len(self.decay_uv)
        each = 1.0 + vary.decay_cv * rng.standard_normal((n_trials, 1))
        each = drive * (each + vary.decay_own_cv * rng.standard_normal((n_trials, n_ch)))
        slower = vary.decay_tau_cv * more.standard_normal((n_trials, 1))
        slower = slower + vary.decay_tau_own_cv * more.standard_normal((n_trials, n_ch))
        faster = (np.exp(-slower) / self.decay_tau_s).astype(np.float32)
        out = 1.0 + faster[:, :, None] * t
        np.divide((each * self.decay_uv).astype(np.float32)[:, :, None], out * out, out=out)
        early = int(np.searchsorted(t_s, _MUSCLE_END_S))
        if early:
            courses = self._muscle_courses(t[:early], n_trials, rng) * (
                drive**2 * np.float32(self.truth.muscle_uv)
            )
            share = 1.0 + vary.muscle_pattern_cv * more.standard_normal((n_trials, 1, 4))
            fields = (self._bellies * share).reshape(n_trials, n_ch, 2, 2).sum(axis=3)
            out[:, :, :early] += fields.astype(np.float32) @ courses
        if kind.recharge_ms:
            late_s = 1e-3 * (kind.recharge_ms + vary.recharge_ms * more.standard_normal((n_trials, 1)))
            z = (t - late_s.astype(np.float32)) / np.float32(max(0.0004, 0.6 / self.rate_hz))
            spike = np.exp(-0.5 * z * z) * (1.0 + vary.recharge_cv * more.standard_normal((n_trials, 1)))
            field = self._pulse_shape * self.truth.pulse * kind.recharge_uv
            out += field.astype(np.float32)[:, None] * spike.astype(np.float32)[:, None, :]
        for trial in np.flatnonzero(rng.random(n_trials) < kind.blink_probability):
            centre, width = rng.uniform(0.12, 0.42), rng.uniform(0.045, 0.07)
            bump = kind.blink_uv * rng.uniform(0.6, 1.2) * np.exp(-0.5 * ((t_s - centre) / width) ** 2)
            eyes = 1.0 + vary.blink_side_cv * more.standard_normal() * np.array([1.0, -1.0])
            out[trial] += np.outer(self._blinks @ eyes, bump).astype(np.float32)
        return np.asarray(out)

    def _muscle_courses(self, t: F32, n_trials: int, rng: np.random.Generator) -> F32:
        """Two courses, each two opposite peaks (5, 10 ms) under a fast ripple, fading: float32[n_trials, 2,
        n].
        """
        vary = self.scene.artifact.vary
        out = np.empty((n_trials, 2, t.size), np.float32)
        for k in range(2):
            size = np.exp(vary.muscle_cv * rng.standard_normal((n_trials, 1)) - 0.5 * vary.muscle_cv**2)
            late = 1e-3 * vary.muscle_ms * rng.standard_normal((n_trials, 1)) + 0.0006 * k
            x = t - late.astype(np.float32)
            first = np.exp(-0.5 * ((x - 0.005) / 0.0012) ** 2)
            second = -0.8 * np.exp(-0.5 * ((x - 0.0105) / 0.0021) ** 2)
            tail = (
                0.25 * np.sin(2 * np.pi * (150.0 + 40.0 * k) * x) * np.exp(-0.5 * ((x - 0.012) / 0.008) ** 2)
            )
            out[:, k] = size.astype(np.float32) * (first + second + tail)
        return out

    def pulse_part(self, t_s: F64, rng: np.random.Generator, power_pct_mso: float) -> F32:
        """The pulse itself after the amplifier's low-pass: float32[n_channels, n_samples], µV, largest at
        ``t_s`` 0.
        """
        vary = self.scene.artifact.vary
        drive = power_pct_mso / self.scene.person.reference_pct_mso
        drive *= 1.0 + vary.pulse_cv * rng.standard_normal()
        tau_s = self.pulse_tau_s * np.exp(vary.pulse_tau_cv * rng.spawn(1)[0].standard_normal())
        course = np.exp(-t_s / tau_s) * np.cos(2 * np.pi * t_s / (8 * tau_s))
        return np.asarray(np.outer(self.pulse_uv * drive, course), dtype=np.float32)

    def step(self, n_trials: int, rng: np.random.Generator, power_pct_mso: float) -> F32:
        """Size of the step at the pulse: float32[n_trials, n_channels], µV; it falls with STEP_TAU_S."""
        vary, drive = self.scene.artifact.vary, power_pct_mso / self.scene.person.reference_pct_mso
        each = 1.0 + vary.decay_cv * rng.standard_normal((n_trials, 1))
        return np.asarray(drive * each * self.step_uv, dtype=np.float32)


def _sides(coil: F64) -> tuple[tuple[float, float], tuple[float, float]]:
    """(side, strength): the muscle on the side of the coil, weaker on the other."""
    side = -1.0 if coil[0] <= 0 else 1.0
    return (side, 1.0), (-side, 0.35 if abs(coil[0]) > 0.15 else 0.9)


def _bellies(e: F64, coil: F64) -> F64:
    """Smooth bellies: temporal and frontal muscle; float64[n_channels, 2 patterns, 2 sides]."""
    out = np.zeros((len(e), 2, 2))
    for k, (front, height, width) in enumerate(_BELLIES):
        for j, (s, strength) in enumerate(_sides(coil)):
            d2 = np.sum((e - np.array([s * 0.93, front, height])) ** 2, axis=1)
            out[:, k, j] = strength * (1.0 - 1.2 * d2 / width) * np.exp(-d2 / (2 * width**2))
    return out


def _dipoles(e: F64, coil: F64) -> F64:
    """Current dipoles outside the skull, along the fibres of the temporal muscle; float64[n_channels, 2, 2].

    Potential of a dipole in the conducting scalp, p.(r - r0) / |r - r0|^3, the distance softened by the size of the
    belly. Each pattern is a fan of five dipoles.
    """
    out = np.zeros((len(e), 2, 2))
    for k, (front, height, _) in enumerate(_BELLIES):
        for j, (s, strength) in enumerate(_sides(coil)):
            for turn in np.linspace(-0.5, 0.5, 5):
                where = np.array([s * 0.93, front + 0.35 * turn, height])
                where *= _MUSCLE_RADIUS_M / np.linalg.norm(where)
                fibre = np.array([0.0, turn, 1.0])
                fibre -= where * (fibre @ where) / (where @ where)
                apart = HEAD_RADIUS_M * e - where
                distance = np.sqrt(np.sum(apart**2, axis=1) + _MUSCLE_SIZE_M**2)
                out[:, k, j] += strength * (apart @ fibre) / distance**3 / np.linalg.norm(fibre)
    return np.asarray(out / np.abs(out).max())


def _own_chance(seed: int, name: str) -> F64:
    return np.random.default_rng([seed, zlib.crc32(name.encode())]).random(5)


def _normal(uniform: F64) -> F64:
    """Roughly normal values from uniform ones: logit scaled to unit variance."""
    return np.log(np.clip(uniform, 1e-3, 0.999) / np.clip(1 - uniform, 1e-3, 0.999)) / 1.81
