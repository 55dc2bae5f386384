"""Owns one simulated recording of ``validate_signal``: raw trials through every method, each measured against the truth."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import validate_signal_metrics as metrics
from methods.kinds import Batch, Method
from methods.listed import BLANK, lacking

from hardware_sim.real import RealParts, real_parts
from hardware_sim.scene import Scene, load_scene
from hardware_sim.trials import TrialSource
from rtloop.dsp.analytic import BandKernels
from rtloop.dsp.chain import Chain
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import BANDS_HZ
from rtloop.model.montage import HEAD_RADIUS_M, Montage, names_for, position_of
from rtloop.model.samples import F32, F64, Bool, Epoch
from rtloop.sphere import leadfield

#: trials before this one are cleaned but not judged: the online chain may settle
FROM_PULSE = 10
#: 35 Hz is outside the product's bands; half-power width 10 Hz
EXTRA_HZ = {"35 Hz": (30.0, 40.0)}
WINDOW_S, EXTRA_WINDOW_S = (0.015, 0.300), (0.015, 0.080)
POINTS = 8
#: the injected dipole: latency, SD of its course, largest electrode, how far from the coil along the scalp
DIPOLE_AT_S, DIPOLE_SD_S, DIPOLE_UV, DIPOLE_FAR_M = 0.025, 0.005, 5.0, 0.03


@dataclass(frozen=True, kw_only=True)
class Task:
    """One recording: a scene's target, a seed, how many pulses, channels and at which rate.

    ``real``: a folder of real recordings (``hardware_sim.real``); then background, pulse times and evoked courses are real,
    the channels are those of its EEG and ``channels`` says how many these are.
    """

    scene: str
    target: str
    seed: int
    pulses: int
    channels: int
    rate_hz: float
    real: str = ""

    @property
    def case(self) -> str:
        """What it is called in tables."""
        return f"{self.scene}/{self.target}" + (", real EEG" if self.real else "")


def without_eyes(loop: F32, names: tuple[str, ...]) -> F32:
    """An EEG float32[n_samples, n_channels] less what goes, by least squares, with the mean of Fp1, Fpz and Fp2 (blinks) and
    with AF7 less AF8 (side)."""
    at = {n.lower(): k for k, n in enumerate(names)}
    up, side = (
        loop[:, [at[n] for n in ("fp1", "fpz", "fp2")]].mean(axis=1),
        loop[:, at["af7"]] - loop[:, at["af8"]],
    )
    eyes = np.stack([up, side], axis=1)
    weights = np.linalg.lstsq(
        (eyes.T @ eyes).astype(np.float64), (eyes.T @ loop).astype(np.float64), rcond=None
    )[0]
    return np.asarray(loop - eyes @ weights.astype(np.float32), dtype=np.float32)


@cache
def real_of(folder: str, rate_hz: float) -> RealParts:
    """The parts of a folder, the eyes taken out of its EEG (the truth is to be brain); read once a process: resampling takes
    seconds."""
    parts = real_parts(folder, rate_hz)
    return replace(parts, loop=without_eyes(parts.loop, parts.names))


def source_of(task: Task, scene: Scene) -> TrialSource:
    """The trials of a task; ValidationProblem where the real recordings have another number of channels."""
    if not task.real:
        montage = Montage.from_names(names_for(task.channels))
        return TrialSource(scene, task.target, seed=task.seed, rate_hz=task.rate_hz, montage=montage)
    parts = real_of(task.real, task.rate_hz)
    if len(parts.names) != task.channels:
        raise ValidationProblem(
            "the real recordings have another number of channels", expected=str(task.channels), found=str(len(parts.names))
        )  # fmt: skip
    return parts.source(scene, task.target, seed=task.seed)


def injected(scene: Scene, target: str, montage: Montage, seed: int, size_uv: float = DIPOLE_UV) -> F64:
    """Map of the injected dipole float64[n_channels], µV, average reference: radial, 72 mm from the centre, near the coil
    by chance; ``size_uv`` at the largest electrode."""
    coil = position_of(scene.target(target).coil)
    assert coil is not None
    aside = np.random.default_rng([seed, 35]).standard_normal(3)
    aside -= (aside @ coil) * coil
    angle = DIPOLE_FAR_M / HEAD_RADIUS_M
    where = np.cos(angle) * coil + np.sin(angle) * aside / np.linalg.norm(aside)
    field = leadfield(montage.positions_m, 0.072 * where[None])[:, 0]
    field = field - field.mean()
    return np.asarray(size_uv * field / np.abs(field).max())


class Recording:
    """The raw trials of a task and the truth of them, seen through the chain's linear steps alone."""

    def __init__(self, task: Task) -> None:
        scene = load_scene(task.scene)
        source = source_of(task, scene)
        self.task, self.montage = task, source.montage
        linear = replace(BLANK, bridge=False, flat_uv=0.0)  # a far electrode of a small truth is not flat
        view = Chain(linear, rate_hz=task.rate_hz, montage=self.montage)
        self.times_s, self.valid = view.times_s, view.valid
        self.good: Bool = np.array([n not in scene.noise.bad_channels for n in self.montage.names])
        self.raw: list[Epoch] = []
        self.brain: F32 = np.empty((task.pulses, task.channels, self.times_s.size), np.float32)
        answer = np.zeros((task.channels, source.n_samples))
        self._view, self._pulse_sample, self._muscle = view, source.pulse_sample, source.artifacts.muscle
        for k, trial in enumerate(source.trials(task.pulses)):
            self.raw.append(trial.epoch)
            self.brain[k] = self.seen(trial.brain_uv)
            if k >= FROM_PULSE:
                answer += trial.answer_uv
        self.answer: F32 = self.seen(answer / max(1, task.pulses - FROM_PULSE))
        self._scene, self._times_s = scene, trial.times_s
        self.dipole: F32 = self.seen(self.raw_dipole())

    def seen(self, data: npt.NDArray[np.floating]) -> F32:
        """A noise-free part of a trial as the chain's linear steps show it: float32[n_channels, n_times]."""
        epoch = Epoch(
            data=data.astype(np.float32), rate_hz=self.task.rate_hz, pulse_sample=self._pulse_sample
        )
        return self._view.process(epoch, trial_id=0).eeg_uv

    def raw_dipole(
        self, size_uv: float = DIPOLE_UV, at_s: float = DIPOLE_AT_S, place: int | None = None
    ) -> F32:
        """The dipole of one trial at the amplifier's rate, float32[n_channels, n_samples]; ``place``: whose place, by
        default the seed's."""
        course = np.exp(-0.5 * ((self._times_s - at_s) / DIPOLE_SD_S) ** 2)
        seed = self.task.seed if place is None else place
        field = injected(self._scene, self.task.target, self.montage, seed, size_uv)
        return np.outer(field, course).astype(np.float32)

    def muscle_share(self, field: npt.NDArray[np.floating]) -> float:
        """How much of a field's power (float[n_channels]) the scene's two muscle fields could hold: 0 to 1."""
        muscle = np.linalg.qr(self._muscle - self._muscle.mean(axis=0))[0]
        own = field - field.mean()
        return float(np.sum((muscle.T @ own) ** 2) / np.sum(own**2))

    def with_dipole(self, dipole: F32 | None = None, present: Bool | None = None) -> list[Epoch]:
        """The same raw trials with the dipole in each of them, or where ``present`` bool[n_trials] says."""
        more = self.raw_dipole() if dipole is None else dipole
        there = np.ones(len(self.raw), dtype=np.bool_) if present is None else present
        return [replace(e, data=e.data + more) if p else e for e, p in zip(self.raw, there, strict=True)]


class Phases:
    """Analytic signals of trials at the product's instants and at 35 Hz, after and before the pulse."""

    def __init__(self, times_s: F64) -> None:
        def kernels(bands_hz: dict[str, tuple[float, float]], window_s: tuple[float, float]) -> BandKernels:
            return BandKernels(
                times_s, gaps_s=BLANK.gaps_s, window_s=window_s, points=(POINTS,) * len(bands_hz),
                max_gap_share=BLANK.max_gap_share, bands_hz=bands_hz,
            )  # fmt: skip

        self.after = (kernels(BANDS_HZ, WINDOW_S), kernels(EXTRA_HZ, EXTRA_WINDOW_S))
        self.before = kernels(BANDS_HZ | EXTRA_HZ, WINDOW_S)

    @property
    def spans_ms(self) -> dict[str, list[float]]:
        """Band -> first and last instant scored, ms: where a kernel reaches too far into the gap nothing is scored."""
        return {
            band: [round(1e3 * float(leak.points_s[0])), round(1e3 * float(leak.points_s[-1]))]
            for k in self.after for band, leak in k.leakage.items()
        }  # fmt: skip

    def of(self, eeg: F64) -> dict[str, dict[str, dict[str, Any]]]:
        """ "after" and "before" -> band -> indices, from [n_trials, n_channels, n_times]."""
        out: dict[str, dict[str, dict[str, Any]]] = {"after": {}, "before": {}}
        trials = [np.ascontiguousarray(trial, dtype=np.float32) for trial in eeg]
        for k in self.after:
            planes = np.stack([re + 1j * im for re, im, _, _ in map(k.apply, trials)])
            for band, columns in k.slices.items():
                out["after"][band] = metrics.phase_measures(planes[:, :, columns])
        planes = np.stack([re + 1j * im for _, _, re, im in map(self.before.apply, trials)])
        for band, columns in self.before.ongoing_slices.items():
            out["before"][band] = metrics.phase_measures(planes[:, :, columns])
        return out


def cleaned(method: Method, raw: list[Epoch], batch: Batch) -> tuple[F32, dict[str, Any], float]:
    """Trials cleaned by one method, its note, and seconds of CPU."""
    start_s = time.process_time()
    if method.offline is not None:
        done = method.offline(batch)
        return done.eeg_uv, done.note, time.process_time() - start_s + done.note.get("shared_cpu_s", 0.0)
    assert method.spec is not None
    chain = Chain(method.spec, rate_hz=raw[0].rate_hz, montage=batch.montage)
    out = np.empty((len(raw), batch.montage.n_channels, chain.times_s.size), np.float32)
    kept = bad = 0
    for k, epoch in enumerate(raw):
        trial = chain.process(epoch, trial_id=k)
        out[k] = trial.eeg_uv
        kept, bad = kept + trial.verdict.accepted, bad + len(trial.bad_channels)
    note = {"accepted": kept / len(raw), "bad_channels_a_trial": bad / len(raw)}
    return out, note, time.process_time() - start_s


def measured(
    recording: Recording, eeg: F32, with_it: F32 | None, phases: Phases, truth: dict[str, Any]
) -> dict[str, Any]:
    """All numbers of one method on one recording; ``truth`` is ``phases.of`` the brain's trials."""
    r, late, t = recording, slice(FROM_PULSE, None), recording.times_s
    found = metrics.referred(eeg[late], r.good)
    brain = metrics.referred(r.brain[late], r.good)
    average = found.mean(axis=0)
    own = phases.of(found)
    out: dict[str, Any] = {
        "single": metrics.singles(found, brain, t, r.valid),
        "tep": metrics.tep(average, metrics.referred(r.answer, r.good), t, r.valid),
        "phase": {band: metrics.off(own["after"][band], truth["after"][band]) for band in own["after"]},
        "before": {band: metrics.off(own["before"][band], truth["before"][band]) for band in own["before"]},
    }
    if with_it is not None:
        at = r.valid & (t >= metrics.WINDOWS_S["12-50"][0]) & (t <= metrics.WINDOWS_S["12-50"][1])
        more = metrics.referred(with_it[late], r.good).mean(axis=0)
        out["survival"] = metrics.survival(
            more[:, at], average[:, at], metrics.referred(r.dipole, r.good)[:, at]
        )
    return out


def record(task: Task, wanted: dict[str, Method], dipole: bool = True) -> dict[str, Any]:
    """Every method on one recording: method -> numbers, or {"absent": why}."""
    start_s = time.process_time()
    recording = Recording(task)
    phases = Phases(recording.times_s)
    truth = phases.of(metrics.referred(recording.brain[FROM_PULSE:], recording.good))
    blank = Method(name="blank", title="", settings="", spec=BLANK)
    takes = [recording.raw, recording.with_dipole()] if dipole else [recording.raw]
    empty = Batch(
        blanked_uv=np.empty((0, 0, 0), np.float32), times_s=recording.times_s, rate_hz=BLANK.rate_out_hz,
        montage=recording.montage, seed=task.seed,
    )  # fmt: skip
    batches = [replace(empty, blanked_uv=cleaned(blank, raw, empty)[0]) for raw in takes]
    out: dict[str, Any] = {
        "spans_ms": phases.spans_ms,
        "made_s": time.process_time() - start_s,
        "methods": {},
    }
    for name, method in wanted.items():
        if why := lacking(method):
            out["methods"][name] = {"absent": why}
            continue
        (eeg, note, spent_s), *more = [cleaned(method, raw, b) for raw, b in zip(takes, batches, strict=True)]
        numbers = measured(recording, eeg, more[0][0] if more else None, phases, truth)
        out["methods"][name] = numbers | {"note": note, "cpu_s": spent_s}
    return out
