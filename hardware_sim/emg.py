"""Owns the simulated hand muscle: its rest, and the motor-evoked potential (MEP) of a pulse; owns no brain.

Median peak-to-peak size over power: a Boltzmann curve of its logarithm (recruitment, Devanne 1997,
Exp Brain Res 114:329), through 50 µV at the person's threshold; each pulse log-normally about it (Goetz 2014,
Brain Stimul 7:541). Parameters are assumptions, stated in ``hardware_sim.scene.Emg``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardware_sim.scene import Emg, Scene
from rtloop.errors import ValidationProblem
from rtloop.model.montage import HEAD_RADIUS_M, position_of
from rtloop.model.samples import F32, F64

#: the definition of the resting motor threshold: half the pulses give at least this, peak to peak
THRESHOLD_UV = 50.0
#: what an MEP falls to far below the threshold, and how long it lasts
_LEAST_UV = 1.0
_MEP_S = 0.016
#: an answer in the channel ends so long after the pulse
EMG_ANSWER_S = 0.06


@dataclass(frozen=True, kw_only=True)
class Mep:
    """One motor-evoked potential: onset from the pulse, seconds, and size, µV peak to peak."""

    latency_s: float
    pp_uv: float


def median_pp_uv(emg: Emg, rmt_pct_mso: float, power_pct_mso: float) -> float:
    """Median peak-to-peak size, µV: log size runs from log(1 µV) to log(``most_uv``) as a logistic function of the
    power, shifted so that it is 50 µV at the threshold. No pulse (power 0) gives 0.
    """
    if power_pct_mso <= 0.0:
        return 0.0
    low, high = np.log(_LEAST_UV), np.log(emg.most_uv)
    at_threshold = (np.log(THRESHOLD_UV) - low) / (high - low)
    x = (power_pct_mso - rmt_pct_mso) / emg.slope_pct_mso + np.log(at_threshold / (1.0 - at_threshold))
    return float(np.exp(low + (high - low) / (1.0 + np.exp(-x))))


class Muscle:
    """The muscle of a scene's person. ValidationProblem when the scene has no EMG channel.

    Its answer hangs on where the coil is: off the hotspot the power that reaches the hand area falls over
    ``reach_mm``; a control block never reaches it.
    """

    def __init__(self, scene: Scene, rate_hz: float) -> None:
        if scene.emg is None:
            raise ValidationProblem(
                "the scene has no EMG channel", found=scene.name, todo="add a table [emg] to it"
            )
        if not scene.emg.most_uv > THRESHOLD_UV:
            raise ValidationProblem(
                "the muscle never reaches its threshold", expected=f"emg.most_uv above {THRESHOLD_UV:g}",
                found=f"{scene.emg.most_uv:g}",
            )  # fmt: skip
        self.scene, self.emg, self.rate_hz = scene, scene.emg, rate_hz

    def effective_power(self, target: str, power_pct_mso: float) -> float:
        """Power as the hand area feels it, % of maximum output."""
        truth = self.scene.target(target)
        coil, hot = position_of(truth.coil), position_of(self.emg.hotspot)
        assert coil is not None
        assert hot is not None
        if truth.control_of or truth.amplitude == 0.0:
            return 0.0
        arc_mm = 1e3 * HEAD_RADIUS_M * float(np.arccos(np.clip(coil @ hot, -1.0, 1.0)))
        off_mm = float(np.hypot(arc_mm, truth.placement_mm))
        return power_pct_mso * float(np.exp(-0.5 * (off_mm / self.emg.reach_mm) ** 2))

    def draw(self, target: str, power_pct_mso: float, rng: np.random.Generator) -> Mep:
        """One MEP. Stronger pulses answer a little earlier: 1 ms from threshold to twice it."""
        rmt = self.scene.person.rmt_pct_mso
        power = self.effective_power(target, power_pct_mso)
        sigma = np.sqrt(np.log1p(self.emg.size_cv**2))
        size = median_pp_uv(self.emg, rmt, power) * float(np.exp(sigma * rng.standard_normal()))
        sooner_ms = float(np.clip((power - rmt) / rmt, 0.0, 1.0))
        late_ms = self.emg.latency_ms - sooner_ms + self.emg.latency_jitter_ms * rng.standard_normal()
        return Mep(latency_s=1e-3 * max(late_ms, 10.0), pp_uv=size)

    def response(self, mep: Mep, t_s: F64, power_pct_mso: float, rng: np.random.Generator) -> F32:
        """Pulse artifact and MEP: float32[n_samples], µV; ``t_s`` from the pulse. Two opposite lobes."""
        x = (t_s - mep.latency_s) / _MEP_S
        lobe = np.where((x > 0.0) & (x < 1.0), np.sin(2 * np.pi * np.clip(x, 0.0, 1.0)), 0.0)
        lobe *= np.exp(-1.5 * x)
        fine = np.linspace(0.0, 1.0, 2001)
        lobe /= float(np.ptp(np.sin(2 * np.pi * fine) * np.exp(-1.5 * fine)))
        drive = power_pct_mso / self.scene.person.reference_pct_mso * (1.0 + 0.05 * rng.standard_normal())
        pulse = self.emg.pulse_uv * drive * np.exp(-t_s / 0.0008) * (t_s >= 0.0)
        return np.asarray(mep.pp_uv * lobe + pulse, dtype=np.float32)
