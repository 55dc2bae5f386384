"""Owns raw trials with their truth: what the amplifier gives around each pulse, and beside it, sample for sample,
what the brain alone did.

It owns no estimator and no stream. Every trial is fixed by scene, target, montage, rate, seed and its own number:
trial 7 is the same whether or not trial 6 was made, and the brain of a trial is the same whatever the artifacts,
the noise or the montage's bad channels (each part draws from a chance of its own).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hardware_sim.artifacts import STEP_TAU_S, Artifacts
from hardware_sim.brain import Answer, Draws, EvokedCourses, Ongoing
from hardware_sim.emg import Mep, Muscle
from hardware_sim.head import line_sizes_uv, noise_sd_uv
from hardware_sim.scene import Scene
from hardware_sim.sensory import Sensory
from rtloop.errors import ValidationProblem
from rtloop.model.montage import NAMES_63, Montage
from rtloop.model.samples import F32, F64, Epoch

_BRAIN, _ONGOING, _ARTIFACT, _NOISE, _SENSORY, _MUSCLE, _STEP = range(7)
#: after the first so many seconds nothing is left of the pulse itself
_PULSE_S = 0.006


@dataclass(frozen=True, kw_only=True)
class RawTrial:
    """One pulse: ``raw_uv`` as the amplifier gives it, and the parts of it that are brain.

    Arrays are float32[n_channels, n_samples], µV, reference at infinity, at one rate; the pulse is at column
    ``pulse_sample``. ``answer_uv``: the direct answer to the pulse (evoked and induced; zero before it).
    ``sensory_uv``: the brain's answer to click and tap, the same under sham.
    ``ongoing_uv``: the activity that would have been there without a pulse. ``raw_uv`` adds pulse, decay, muscle,
    blink, step, line and amplifier noise, and clips at the rail. ``draws``: what chance decided for the answer.
    ``emg_uv`` float32[n_samples] and ``mep``: the hand muscle, where the scene has one.
    """

    number: int
    target: str
    rate_hz: float
    pulse_sample: int
    raw_uv: F32
    answer_uv: F32
    sensory_uv: F32
    ongoing_uv: F32
    draws: Draws
    emg_uv: F32 | None = None
    mep: Mep | None = None

    @property
    def brain_uv(self) -> F32:
        """All that is brain: answer, sensory answer and ongoing activity. The truth a cleaned single trial is compared with."""
        return self.answer_uv + self.sensory_uv + self.ongoing_uv

    @property
    def epoch(self) -> Epoch:
        """The raw trial as ``rtloop.dsp.chain.Chain.process`` takes it."""
        return Epoch(data=self.raw_uv, rate_hz=self.rate_hz, pulse_sample=self.pulse_sample)

    @property
    def times_s(self) -> F64:
        """float64[n_samples], seconds from the pulse."""
        return (np.arange(self.raw_uv.shape[1]) - self.pulse_sample) / self.rate_hz

    def truth_at(self, times_s: F64, part: str = "brain") -> F32:
        """A part at other instants: float32[n_channels, n_times], µV; "brain", "answer", "sensory" or "ongoing".

        Exact where the instants are samples; between them linear (the brain has nothing above 200 Hz, so at
        5 kHz the error is below 0.4 %).

        Raises
        ------
        ValueError : an instant outside the trial, or another part
        """
        if part not in ("brain", "answer", "sensory", "ongoing"):
            raise ValueError(f"part is brain, answer, sensory or ongoing, not {part!r}")
        data: F32 = getattr(self, f"{part}_uv")
        column = np.asarray(times_s, np.float64) * self.rate_hz + self.pulse_sample
        if not bool(np.all((column >= -1e-6) & (column <= data.shape[1] - 1 + 1e-6))):
            raise ValueError(f"instants outside the trial of {data.shape[1]} samples at {self.rate_hz:g} Hz")
        left = np.clip(np.floor(column + 1e-6).astype(np.int64), 0, data.shape[1] - 1)
        right = np.minimum(left + 1, data.shape[1] - 1)
        share = np.clip(column - left, 0.0, 1.0).astype(np.float32)
        return np.asarray(data[:, left] * (1.0 - share) + data[:, right] * share, dtype=np.float32)


class TrialSource:
    """Raw trials of one target, made one by one: ``trial(k)`` for any k >= 0, in any order.

    Parameters
    ----------
    rate_hz : the amplifier's; the whole chain is meant for 5000
    epoch_s : seconds from the pulse; the default reaches further than the chain's -0.8..+0.6
    power_pct_mso : None is the scene's reference intensity
    background : float32[n_samples, n_channels], µV: a seamless loop of ongoing EEG in place of the simulated
        one (``hardware_sim.background.background_loop``), cut at ``background_at`` (samples, one per trial;
        None: by chance)
    evoked : time courses in place of the simulated bumps (``hardware_sim.real.evoked_courses``)
    """

    def __init__(
        self,
        scene: Scene,
        target: str,
        *,
        seed: int = 0,
        rate_hz: float = 5000.0,
        montage: Montage | None = None,
        epoch_s: tuple[float, float] = (-0.85, 0.65),
        power_pct_mso: float | None = None,
        background: F32 | None = None,
        background_at: tuple[int, ...] | None = None,
        evoked: EvokedCourses | None = None,
    ) -> None:
        self.scene, self.target, self.seed, self.rate_hz = scene, target, seed, float(rate_hz)
        self.montage = montage = Montage.from_names(NAMES_63) if montage is None else montage
        if not epoch_s[0] < 0.0 < epoch_s[1]:
            raise ValidationProblem("the pulse lies outside the epoch", found=str(epoch_s))
        self.power_pct_mso = scene.person.reference_pct_mso if power_pct_mso is None else power_pct_mso
        self.pulse_sample = round(-epoch_s[0] * self.rate_hz)
        self.n_samples = self.pulse_sample + round(epoch_s[1] * self.rate_hz) + 1
        self.answer = Answer(scene, target, montage, evoked)
        self.artifacts = Artifacts(scene, target, montage, self.rate_hz)
        if background is not None and (background.ndim != 2 or background.shape[1] != montage.n_channels):
            raise ValidationProblem(
                "the background does not fit the montage",
                expected=f"[n_samples, {montage.n_channels}]",
                found=str(background.shape),
            )
        self.sensory = Sensory(scene, target, montage)
        self._muscle = None if scene.emg is None else Muscle(scene, self.rate_hz)
        self._loop, self._at = background, background_at
        self._ongoing = Ongoing(scene, montage) if background is None else None
        self._after_s: F64 = np.arange(self.n_samples - self.pulse_sample) / self.rate_hz
        self._sd, self._line = noise_sd_uv(scene, montage), line_sizes_uv(scene, montage)

    def _chance(self, part: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, 7, part, zlib.crc32(self.target.encode()), number])

    def trial(self, number: int) -> RawTrial:
        """Trial ``number`` (from 0); the same each time it is asked for."""
        if number < 0:
            raise ValidationProblem("trials are counted from 0", found=str(number))
        answer: F32 = np.zeros((self.montage.n_channels, self.n_samples), np.float32)
        draws = self.answer.draw(1, self._chance(_BRAIN, number), self.power_pct_mso)
        answer[:, self.pulse_sample :] = self.answer.fields @ self.answer.courses(draws, self._after_s)[0]
        sensory = np.zeros_like(answer)
        if not self.sensory.silent:
            chance = self._chance(_SENSORY, number)
            courses = self.sensory.courses(1, self._after_s, chance, self.power_pct_mso)[0]
            sensory[:, self.pulse_sample :] = self.sensory.fields @ courses
        ongoing = self._background(number)
        raw = answer + sensory + ongoing + self._noise(number)
        after = raw[:, self.pulse_sample :]
        chance = self._chance(_ARTIFACT, number)
        after += self.artifacts.smooth_part(self._after_s, 1, chance, self.power_pct_mso)[0]
        short = self._after_s < _PULSE_S
        after[:, short] += self.artifacts.pulse_part(self._after_s[short], chance, self.power_pct_mso)
        if self.scene.artifact.step_uv:
            step = self.artifacts.step(1, self._chance(_STEP, number), self.power_pct_mso)[0]
            after += step[:, None] * np.exp(-self._after_s / STEP_TAU_S).astype(np.float32)
        rail = self.scene.artifact.rail_uv
        np.clip(raw, -rail, rail, out=raw)
        emg_uv, mep = self._emg(number)
        return RawTrial(
            number=number, target=self.target, rate_hz=self.rate_hz, pulse_sample=self.pulse_sample, raw_uv=raw,
            answer_uv=answer, sensory_uv=sensory, ongoing_uv=ongoing, draws=draws, emg_uv=emg_uv, mep=mep,
        )  # fmt: skip

    def trials(self, count: int, first: int = 0) -> Iterator[RawTrial]:
        """``count`` trials one after the other; 63 channels at 5 kHz are 1.9 MB per part and trial."""
        for number in range(first, first + count):
            yield self.trial(number)

    def _background(self, number: int) -> F32:
        chance = self._chance(_ONGOING, number)
        if self._ongoing is not None:
            return np.asarray(
                self._ongoing.trials(1, self.n_samples, self.rate_hz, chance)[0], dtype=np.float32
            )
        assert self._loop is not None
        n = len(self._loop)
        pulse = int(chance.integers(0, n)) if self._at is None else self._at[number % len(self._at)]
        rows = np.arange(pulse - self.pulse_sample, pulse - self.pulse_sample + self.n_samples) % n
        return np.ascontiguousarray(self._loop[rows].T, dtype=np.float32)

    def _emg(self, number: int) -> tuple[F32 | None, Mep | None]:
        if self._muscle is None:
            return None, None
        chance = self._chance(_MUSCLE, number)
        mep = self._muscle.draw(self.target, self.power_pct_mso, chance)
        out = self._muscle.emg.noise_uv * chance.standard_normal(self.n_samples, dtype=np.float32)
        out[self.pulse_sample :] += self._muscle.response(mep, self._after_s, self.power_pct_mso, chance)
        return np.asarray(out, dtype=np.float32), mep

    def _noise(self, number: int) -> F32:
        """Amplifier noise, and the line at a phase of its own in each trial (pulses are not locked to it)."""
        chance = self._chance(_NOISE, number)
        shape = (self.montage.n_channels, self.n_samples)
        out = chance.standard_normal(shape, dtype=np.float32) * self._sd[:, None]
        if self.scene.noise.line_uv > 0:
            t_s = (np.arange(self.n_samples) - self.pulse_sample) / self.rate_hz
            phase = 2 * np.pi * (self.scene.noise.line_hz * t_s + chance.random())
            out += self._line[:, None] * np.sin(phase).astype(np.float32)
        return np.asarray(out, dtype=np.float32)
