"""Owns what a pulse does to electrodes, amplifier, muscles and eyes; owns no brain.

Shapes: decay A/(1 + t/tau)^2 with a sign of its own at each electrode, pulse shorter at higher sampling rates
(Freche 2018, 10.1371/journal.pcbi.1006177); cranial muscle at about 5 and 10 ms, over by 25-40 ms (Rogasch
2013).
"""

from __future__ import annotations

import zlib

import numpy as np

from hardware_sim.scene import Scene
from rtloop.model.montage import HEAD_RADIUS_M, Montage, position_of
from rtloop.model.samples import F32, F64

#: largest contribution: six standard deviations of the second muscle peak, and the blink
_MUSCLE_END_S = 0.045


class Artifacts:
    """The artifacts of a pulse at one target, seen by one montage at one rate."""

    def __init__(self, scene: Scene, target: str, montage: Montage, rate_hz: float) -> None:
        self.scene, self.truth, self.rate_hz = scene, scene.target(target), rate_hz
        home = scene.geometry_of(target)
        coil = position_of(home.coil)
        assert coil is not None
        e = montage.positions_m / HEAD_RADIUS_M
        near = np.exp(-np.linalg.norm(e - coil, axis=1) / 0.9)
        # the electrode's own properties hang on its name, so that every montage and rate sees the same cap
        chance = np.array([_own_chance(scene.person.head_seed, name) for name in montage.names])
        pulse = near * np.where(chance[:, 0] < 0.5, -1.0, 1.0) * (0.4 + 0.6 * chance[:, 1])
        self.pulse_uv: F64 = scene.artifact.pulse_uv * pulse / np.abs(pulse).max()
        size = np.exp(0.5 * _normal(chance[:, 2]))
        self.decay_uv: F64 = self.truth.decay_uv * near * size * np.where(chance[:, 3] < 0.5, -1.0, 1.0)
        self.decay_tau_s: F64 = 1e-3 * scene.artifact.decay_tau_ms * np.exp(0.3 * _normal(chance[:, 4]))
        self.muscle: F64 = self._muscle_fields(e, coil)
        eyes = np.array([[-0.35, 0.93, -0.25], [0.35, 0.93, -0.25]])
        blink = sum(np.exp(-(np.linalg.norm(e - eye, axis=1) ** 2) / 0.35) for eye in eyes)
        self.blink: F64 = np.asarray(blink) / max(float(np.max(blink)), 0.2)
        self.pulse_tau_s = float(np.clip(0.22e-3 * np.sqrt(5000.0 / rate_hz), 0.12e-3, 0.6e-3))

    def _muscle_fields(self, e: F64, coil: F64) -> F64:
        """Two patterns: temporal and frontal muscle on the side of the coil, weaker on the other;
        float64[n_ch, 2].
        """
        side = -1.0 if coil[0] <= 0 else 1.0
        out = np.zeros((len(e), 2))
        for k, (front, height, width) in enumerate(((0.35, -0.05, 0.38), (-0.15, 0.05, 0.42))):
            for s, strength in ((side, 1.0), (-side, 0.35 if abs(coil[0]) > 0.15 else 0.9)):
                belly = np.array([s * 0.93, front, height])
                d2 = np.sum((e - belly) ** 2, axis=1)
                out[:, k] += strength * (1.0 - 1.2 * d2 / width) * np.exp(-d2 / (2 * width**2))
        return out / max(float(np.abs(out).max()), 0.2)

    def smooth_part(
        self, t_s: F64, n_trials: int, rng: np.random.Generator, power_pct_mso: float | None = None
    ) -> F32:
        """Decay, muscle, recharge spike and blink: float32[n_trials, n_channels, n_samples], µV; ``t_s`` >=
        0.
        """
        power = self.scene.person.reference_pct_mso if power_pct_mso is None else power_pct_mso
        drive = np.float32(power / self.scene.person.reference_pct_mso)
        t = t_s.astype(np.float32)
        n_ch = len(self.decay_uv)
        decay = self.decay_uv[:, None] / (1.0 + t / self.decay_tau_s[:, None]) ** 2
        each = 1.0 + 0.15 * rng.standard_normal((n_trials, 1)) + 0.08 * rng.standard_normal((n_trials, n_ch))
        out = drive * each.astype(np.float32)[:, :, None] * decay.astype(np.float32)
        early = int(np.searchsorted(t_s, _MUSCLE_END_S))
        if early:
            courses = self._muscle_courses(t[:early], n_trials, rng) * (
                drive**2 * np.float32(self.truth.muscle_uv)
            )
            out[:, :, :early] += self.muscle.astype(np.float32) @ courses
        kind = self.scene.artifact
        if kind.recharge_ms:
            z = (t - np.float32(1e-3 * kind.recharge_ms)) / np.float32(max(0.0004, 0.6 / self.rate_hz))
            out += (self.pulse_uv / kind.pulse_uv * kind.recharge_uv).astype(np.float32)[:, None] * np.exp(
                -0.5 * z * z
            )
        for trial in np.flatnonzero(rng.random(n_trials) < kind.blink_probability):
            centre, width = rng.uniform(0.12, 0.42), rng.uniform(0.045, 0.07)
            bump = kind.blink_uv * rng.uniform(0.6, 1.2) * np.exp(-0.5 * ((t_s - centre) / width) ** 2)
            out[trial] += np.outer(self.blink, bump).astype(np.float32)
        return np.asarray(out)

    def _muscle_courses(self, t: F32, n_trials: int, rng: np.random.Generator) -> F32:
        """Two courses, each two opposite peaks (5, 10 ms) under a fast ripple, fading: float32[n_trials, 2,
        n].
        """
        out = np.empty((n_trials, 2, t.size), np.float32)
        for k in range(2):
            size = np.exp(0.25 * rng.standard_normal((n_trials, 1)) - 0.03).astype(np.float32)
            late = (0.0003 * rng.standard_normal((n_trials, 1)) + 0.0006 * k).astype(np.float32)
            x = t - late
            first = np.exp(-0.5 * ((x - 0.005) / 0.0012) ** 2)
            second = -0.8 * np.exp(-0.5 * ((x - 0.0105) / 0.0021) ** 2)
            tail = (
                0.25 * np.sin(2 * np.pi * (150.0 + 40.0 * k) * x) * np.exp(-0.5 * ((x - 0.012) / 0.008) ** 2)
            )
            out[:, k] = size * (first + second + tail)
        return out

    def pulse_part(self, t_s: F64, rng: np.random.Generator, power_pct_mso: float) -> F32:
        """The pulse itself after the amplifier's low-pass: float32[n_channels, n_samples], µV, largest at
        ``t_s`` 0.
        """
        drive = power_pct_mso / self.scene.person.reference_pct_mso * (1.0 + 0.02 * rng.standard_normal())
        course = np.exp(-t_s / self.pulse_tau_s) * np.cos(2 * np.pi * t_s / (8 * self.pulse_tau_s))
        return np.asarray(np.outer(self.pulse_uv * drive, course), dtype=np.float32)


def _own_chance(seed: int, name: str) -> F64:
    return np.random.default_rng([seed, zlib.crc32(name.encode())]).random(5)


def _normal(uniform: F64) -> F64:
    """Roughly normal values from uniform ones: logit scaled to unit variance."""
    return np.log(np.clip(uniform, 1e-3, 0.999) / np.clip(1 - uniform, 1e-3, 0.999)) / 1.81
