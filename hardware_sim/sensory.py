"""Owns the brain's answer to what is heard and felt of a pulse; owns nothing that the pulse does to the cortex.

P50-N100-P180 of the click, of both auditory cortices, largest at the vertex (Nikouline 1999), and a later,
lateralised one of touch (Conde 2019, 10.1016/j.neuroimage.2018.10.052); latencies and sizes are assumptions. It is
time-locked brain activity: without a control block nothing separates it from the answer of the target.
"""

from __future__ import annotations

import numpy as np

from hardware_sim.brain import topographies
from hardware_sim.scene import Scene
from rtloop.model.montage import Montage, position_of
from rtloop.model.samples import F32, F64

#: latency, width, size relative to N100, seconds: click, then touch
_CLICK = ((0.050, 0.010, 0.35), (0.100, 0.018, -1.0), (0.185, 0.032, 0.9))
_TOUCH = ((0.060, 0.010, 0.3), (0.115, 0.020, -1.0), (0.200, 0.035, 0.7))
_DEPTH_M = 0.058


class Sensory:
    """The sensory answer at one target. ``fields`` float32[n_channels, 2], µV: click, touch; ``silent`` if none."""

    def __init__(self, scene: Scene, target: str, montage: Montage) -> None:
        self.scene, truth = scene, scene.target(target)
        kind = scene.sensory
        self.silent = truth.sensory == 0.0 or kind.auditory_uv + kind.somatosensory_uv == 0.0
        self.fields: F32 = np.zeros((montage.n_channels, 2), np.float32)
        if self.silent:
            return
        coil = position_of(truth.coil)
        assert coil is not None
        # both temporal planes, dipoles upright and forward: largest at the fronto-central vertex
        where = np.array([[-0.8, 0.0, 0.35], [0.8, 0.0, 0.35], [-0.68, -0.1, 0.6], [0.68, -0.1, 0.6]])
        where *= _DEPTH_M / np.linalg.norm(where, axis=1)[:, None]
        up = np.array([[0.12, 0.3, 0.95], [-0.12, 0.3, 0.95], [0.3, 0.1, 0.95], [-0.3, 0.1, 0.95]])
        up /= np.linalg.norm(up, axis=1)[:, None]
        # touch: weaker on the side of the coil
        side = float(np.clip(coil[0] / 0.3, -1.0, 1.0))
        mix = np.zeros((4, 2))
        mix[:2, 0] = 1.0
        mix[2, 1], mix[3, 1] = 0.65 + 0.35 * side, 0.65 - 0.35 * side
        size = np.array([kind.auditory_uv, kind.somatosensory_uv]) * truth.sensory
        self.fields = (topographies(scene, montage, where, up, mix) * size).astype(np.float32)

    def courses(self, n_trials: int, t_s: F64, rng: np.random.Generator, power_pct_mso: float) -> F32:
        """float32[n_trials, 2, n_samples], no unit, -1 at N100 on average; ``t_s`` from the pulse. A louder click
        for more power: proportional.
        """
        kind = self.scene.sensory
        sigma = np.sqrt(np.log1p(kind.gain_cv**2))
        gain = np.exp(sigma * rng.standard_normal((n_trials, 2)) - 0.5 * sigma**2)
        gain *= power_pct_mso / self.scene.person.reference_pct_mso
        late_s = 1e-3 * kind.jitter_ms * rng.standard_normal((n_trials, 2))
        out = np.zeros((n_trials, 2, t_s.size), np.float32)
        for k, bumps in enumerate((_CLICK, _TOUCH)):
            for latency_s, width_s, size in bumps:
                z = (t_s - latency_s - late_s[:, k, None]) / width_s
                out[:, k] += (size * gain[:, k, None] * np.exp(-0.5 * z * z)).astype(np.float32)
        return out
