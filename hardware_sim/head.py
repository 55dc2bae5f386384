"""Owns the simulated head under the electrodes: a continuous stream that answers pulses, and trials made in
bulk.

It owns no clock, transport or fault: samples are counted, not timed. Everything follows from scene, montage,
rate and seed; ``block`` may be asked for in pieces of any size and gives the same stream.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from hardware_sim.artifacts import STEP_TAU_S, Artifacts
from hardware_sim.brain import ANSWER_S, Answer, EvokedCourses, Ongoing
from hardware_sim.emg import EMG_ANSWER_S, Mep, Muscle
from hardware_sim.rhythm import LocalRhythm
from hardware_sim.scene import Scene
from hardware_sim.sensory import Sensory
from hardware_sim.truth import truth_of
from rtloop.model.montage import NAMES_63, Montage
from rtloop.model.samples import F32

#: size of the loop of ongoing activity; its length follows from channels and rate
_LOOP_BYTES = 96 * 2**20
_NOISE_BYTES = 24 * 2**20
EPOCH_S = (-0.8, 0.6)


class Head:
    """A person with electrodes on, as the amplifier's input sees them.

    Parameters
    ----------
    background : float32[n_samples, n_channels], µV, or None: a seamless loop in place of the simulated
    ongoing EEG
        (see ``hardware_sim.background``)
    evoked : time courses in place of the simulated bumps (see ``hardware_sim.real``), or None
    """

    def __init__(
        self, scene: Scene, montage: Montage, rate_hz: float, seed: int = 0, *, background: F32 | None = None,
        evoked: EvokedCourses | None = None,
    ) -> None:  # fmt: skip
        self.scene, self.montage, self.rate_hz, self.seed = scene, montage, float(rate_hz), seed
        self._evoked = evoked
        self.position = 0  # index of the next sample
        self._chance = np.random.default_rng([seed, 1])
        made = np.random.default_rng([seed, 2])
        if background is None:
            frame = 4 * montage.n_channels
            n = int(min(60.0, _LOOP_BYTES / (frame * self.rate_hz)) * self.rate_hz)
            from scipy.fft import prev_fast_len

            background = Ongoing(scene, montage).stretch(
                prev_fast_len(max(n, 200), real=True), self.rate_hz, made
            )
        if background.ndim != 2 or background.shape[1] != montage.n_channels:
            raise ValueError(f"background {background.shape} does not fit {montage.n_channels} channels")
        self._loop = np.ascontiguousarray(background, dtype=np.float32)
        self._noise = self._amplifier_noise(made)
        self._line = line_sizes_uv(scene, montage)
        #: an ongoing rhythm whose locking is known, None where the scene has none
        self.rhythm: LocalRhythm | None = None
        self._running: list[tuple[int, F32]] = []
        self._steps: list[tuple[int, F32]] = []
        self._answers: dict[str, tuple[Answer, Artifacts, Sensory]] = {}
        #: names of the EMG channels; ``emg_block`` gives them
        self.emg_names: tuple[str, ...] = () if scene.emg is None else (scene.emg.name,)
        self.meps: list[tuple[int, Mep]] = []  # sample of the pulse and what the muscle did: the truth
        self._muscle = None if scene.emg is None else Muscle(scene, self.rate_hz)
        self._muscle_chance = np.random.default_rng([seed, 4])
        self._rest_chance = np.random.default_rng([seed, 5])
        self._twitches: list[tuple[int, F32]] = []
        self._emg_position = 0
        if scene.rhythm is not None:
            fields = self.prepare(scene.rhythm.target)[0].fields
            self.rhythm = LocalRhythm(scene.rhythm, fields, self.rate_hz)

    def _amplifier_noise(self, rng: np.random.Generator) -> F32:
        """White noise; its length shares no factor with the loop's, so the sum hardly ever repeats."""
        n = min(_NOISE_BYTES // (4 * self.montage.n_channels), int(7.3 * self.rate_hz))
        n = max(n - 1 - n % 2, 101)
        out = rng.standard_normal((n, self.montage.n_channels), dtype=np.float32)
        out *= noise_sd_uv(self.scene, self.montage)
        return out

    def prepare(self, target: str) -> tuple[Answer, Artifacts, Sensory]:
        """Make (once) what a pulse at ``target`` needs; ValidationProblem when the scene has no such
        target.
        """
        if target not in self._answers:
            artifacts = Artifacts(self.scene, target, self.montage, self.rate_hz)
            sensory = Sensory(self.scene, target, self.montage)
            answer = Answer(self.scene, target, self.montage, self._evoked)
            self._answers[target] = (answer, artifacts, sensory)
        return self._answers[target]

    def control_of(self, target: str) -> str:
        """Name of the control block of ``target`` (``Scene.with_control``), which the scene has from now on."""
        self.scene, name = self.scene.with_control(target)
        if self._muscle is not None:
            self._muscle.scene = self.scene
        return name

    def pulse(self, sample_index: int, target: str, power_pct_mso: float) -> int:
        """A pulse whose first affected sample is ``sample_index``; returns the index used.

        A sample already handed out cannot change: a late call lands on the next one, which the return value
        tells.
        """
        answer, artifacts, sensory = self.prepare(target)
        at = max(sample_index, self.position)
        t_s = np.arange(int(ANSWER_S * self.rate_hz)) / self.rate_hz
        draws = answer.draw(1, self._chance, power_pct_mso)
        response = answer.courses(draws, t_s)[0].T @ answer.fields.T
        response += artifacts.smooth_part(t_s, 1, self._chance, power_pct_mso)[0].T
        short = t_s < 0.006
        response[short] += artifacts.pulse_part(t_s[short], self._chance, power_pct_mso).T
        if not sensory.silent:
            response += sensory.courses(1, t_s, self._chance, power_pct_mso)[0].T @ sensory.fields.T
        if self.scene.artifact.step_uv:
            self._steps.append((at, artifacts.step(1, self._chance, power_pct_mso)[0]))
        self._running.append((at, np.ascontiguousarray(response)))
        if self._muscle is not None:
            chance = self._muscle_chance
            mep = self._muscle.draw(target, power_pct_mso, chance)
            t_s = np.arange(int(EMG_ANSWER_S * self.rate_hz)) / self.rate_hz
            self._twitches.append((at, self._muscle.response(mep, t_s, power_pct_mso, chance)))
            self.meps.append((at, mep))
        return at

    def block(self, n: int) -> F32:
        """The next ``n`` samples: float32[n, n_channels], µV, clipped at the amplifier's rail."""
        first, self.position = self.position, self.position + n
        out = _cut(self._loop, first, n)
        out += _cut(self._noise, first, n)
        if self.scene.noise.line_uv > 0:
            t_s = (first + np.arange(n)) / self.rate_hz
            wave = np.sin(2 * np.pi * np.remainder(t_s * self.scene.noise.line_hz, 1.0)).astype(np.float32)
            out += wave[:, None] * self._line
        if self.rhythm is not None:
            out += self.rhythm.block(first, n)
        touched = bool(self._running or self._steps)
        if self._running:
            for start, response in self._running:
                a, b = max(first, start), min(first + n, start + len(response))
                if a < b:
                    out[a - first : b - first] += response[a - start : b - start]
            self._running = [(s, r) for s, r in self._running if s + len(r) > first + n]
        for start, step in self._steps:
            a = max(first, start)
            if a < first + n:
                t_s = (np.arange(a, first + n) - start) / self.rate_hz
                out[a - first :] += np.exp(-t_s / STEP_TAU_S).astype(np.float32)[:, None] * step
        self._steps = [(s, v) for s, v in self._steps if first + n - s < 7 * STEP_TAU_S * self.rate_hz]
        if touched:
            rail = self.scene.artifact.rail_uv
            np.clip(out, -rail, rail, out=out)
        return out

    def emg_block(self, n: int) -> F32:
        """The next ``n`` samples of the muscle: float32[n, len(emg_names)], µV. Kept in step with ``block``: ask both
        for the same pieces.
        """
        first, self._emg_position = self._emg_position, self._emg_position + n
        out: F32 = np.zeros((n, len(self.emg_names)), np.float32)
        if self.scene.emg is None:
            return out
        out[:, 0] = self.scene.emg.noise_uv * self._rest_chance.standard_normal(n, dtype=np.float32)
        for start, course in self._twitches:
            a, b = max(first, start), min(first + n, start + len(course))
            if a < b:
                out[a - first : b - first, 0] += course[a - start : b - start]
        self._twitches = [(s, c) for s, c in self._twitches if s + len(c) > first + n]
        return out

    def truth(self, target: str) -> dict[str, Any]:
        """What is true at ``target``: see ``hardware_sim.truth.truth_of``."""
        return truth_of(self.scene, target)


def noise_sd_uv(scene: Scene, montage: Montage) -> F32:
    """SD of the amplifier's white noise: float32[n_channels], µV; 20 at the scene's bad channels."""
    out = np.full(montage.n_channels, scene.noise.sensor_uv, np.float32)
    out[[montage.index(name) for name in scene.noise.bad_channels if name in montage.names]] = 20.0
    return out


def line_sizes_uv(scene: Scene, montage: Montage) -> F32:
    """Amplitude of the line's sine: float32[n_channels], µV; 20 times as much at the scene's bad channels."""
    rng = np.random.default_rng([scene.person.head_seed, 50])
    out = scene.noise.line_uv * rng.lognormal(0.0, 0.4, montage.n_channels) * np.sqrt(2.0)
    out[[montage.index(name) for name in scene.noise.bad_channels if name in montage.names]] *= 20.0
    return np.asarray(out, dtype=np.float32)


def _cut(loop: F32, first: int, n: int) -> F32:
    """A fresh copy of ``n`` rows of an endless loop."""
    at = first % len(loop)
    if at + n <= len(loop):
        return loop[at : at + n].copy()
    return np.take(loop, np.arange(at, at + n), axis=0, mode="wrap")


def generate_trials(
    scene: Scene,
    target: str,
    n_trials: int,
    rate_hz: float = 1000.0,
    seed: int = 0,
    montage: Montage | None = None,
    *,
    noise: bool = True,
    artifacts: bool = True,
    power_pct_mso: float | None = None,
) -> tuple[F32, int]:
    """Trials in bulk by the same truth: what is left after the pulse itself was bridged and the rate reduced.

    ``seed`` and the target's name fix everything: two targets with one seed share no chance.

    Returns
    -------
    trials : float32[n_trials, n_channels, n_samples], µV, -0.8..+0.6 s, reference at infinity. The spike of
    the pulse
        is absent; decay, muscle and blinks are there (``artifacts=False``: not), -2..+10 ms stays to be
        bridged. ``noise=False`` leaves the evoked response alone (with artifacts unless they are off as
        well).
    pulse_sample : column of the pulse
    """
    montage = Montage.from_names(NAMES_63) if montage is None else montage
    rng = np.random.default_rng([seed, 3, zlib.crc32(target.encode())])
    answer = Answer(scene, target, montage)
    artifact = Artifacts(scene, target, montage, rate_hz)
    sensory = Sensory(scene, target, montage)
    power = scene.person.reference_pct_mso if power_pct_mso is None else power_pct_mso
    ongoing = Ongoing(scene, montage) if noise else None
    before, after = (round(abs(edge) * rate_hz) for edge in EPOCH_S)
    n_samples = before + after
    out = np.zeros((n_trials, montage.n_channels, n_samples), np.float32)
    t_s = np.arange(after) / rate_hz
    white = (
        rng.standard_normal(2**22, dtype=np.float32) * np.float32(scene.noise.sensor_uv) if noise else None
    )
    for first in range(0, n_trials, 16):
        part = out[first : first + 16]
        if ongoing is not None and white is not None:
            part[:] = ongoing.trials(len(part), n_samples, rate_hz, rng)
            for trial in part:
                at = int(rng.integers(0, white.size - trial.size)) if trial.size < white.size else 0
                trial += np.resize(white[at : at + trial.size], trial.shape)
        draws = answer.draw(len(part), rng, power_pct_mso)
        part[:, :, before:] += answer.fields @ answer.courses(draws, t_s)
        if not sensory.silent:
            part[:, :, before:] += sensory.fields @ sensory.courses(len(part), t_s, rng, power)
        if artifacts:
            part[:, :, before:] += artifact.smooth_part(t_s, len(part), rng, power_pct_mso)
            if scene.artifact.step_uv:
                step = artifact.step(len(part), rng, power)[:, :, None]
                part[:, :, before:] += step * np.exp(-t_s / STEP_TAU_S).astype(np.float32)
    return out, before
