"""Owns what semi-synthetic trials take from real recordings: evoked time courses, pulse times, background; keeps no
file.

Real background EEG and real time courses of an evoked response on simulated dipoles, with simulated artifacts: the
closest to a real recording whose truth is still known. The real topographies are not used (a published average may
come without channel names).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardware_sim.background import background_loop, load_background
from hardware_sim.brain import EvokedCourses
from hardware_sim.scene import Scene
from hardware_sim.trials import TrialSource
from rtloop.errors import ValidationProblem
from rtloop.model.montage import Montage
from rtloop.model.samples import F32, F64

#: the published average is filtered without phase: nothing before this is the brain's
_TRUE_FROM_S = 0.012
_TAPER_S = (0.45, 0.58)
#: singular values below this share of the largest are noise of the average
_LEAST = 0.03


def evoked_courses(
    average_uv: F64, rate_hz: float, pulse_sample: int, *, most: int = 8, true_from_s: float = _TRUE_FROM_S
) -> EvokedCourses:
    """Singular time courses of a published average, scaled so that orthonormal maps give back its GMFP.

    Parameters
    ----------
    average_uv : float[n_channels, n_samples], µV, any reference (the average reference is taken)
    true_from_s : before it the courses rise smoothly from zero instead of what was published

    Raises
    ------
    ValidationProblem : not a matrix, not finite, or too short (it must reach 0.3 s)
    """
    data = np.asarray(average_uv, dtype=np.float64)
    if data.ndim != 2 or len(data) < 4 or not bool(np.all(np.isfinite(data))):
        raise ValidationProblem(
            "this is no average", expected="finite [n_channels, n_samples]", found=str(data.shape)
        )
    after = data.shape[1] - pulse_sample
    if pulse_sample < 0 or after < 0.3 * rate_hz:
        raise ValidationProblem("the average is too short", expected="0.3 s from the pulse",
                                found=f"{after / rate_hz:.3f} s")  # fmt: skip
    part = data[:, pulse_sample:]
    part = part - part.mean(axis=0)
    t_s = np.arange(after) / rate_hz
    ends_s = min(_TAPER_S[1], float(t_s[-1]))
    fall_s = min(_TAPER_S[0], ends_s - 0.05)
    weight = 0.5 - 0.5 * np.cos(np.pi * np.clip((t_s - 0.6 * true_from_s) / (0.4 * true_from_s), 0.0, 1.0))
    weight *= 0.5 + 0.5 * np.cos(np.pi * np.clip((t_s - fall_s) / (ends_s - fall_s), 0.0, 1.0))
    _, size, courses = np.linalg.svd(part * weight, full_matrices=False)
    keep = min(most, int(np.sum(size > _LEAST * size[0])))
    scaled = size[:keep, None] * courses[:keep] / np.sqrt(len(data))
    return EvokedCourses(times_s=t_s, courses_uv=scaled)


def pulse_times_s(events: str | Path, value: str = "R128") -> F64:
    """Instants of the events of one kind in a BIDS events.tsv, seconds from the first of them: float64[n].

    ValidationProblem when the file is missing, has no columns onset and value, or none of these events.
    """
    try:
        with open(events, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        found = np.array([float(r["onset"]) for r in rows if r["value"] == value])
    except (OSError, KeyError, TypeError, ValueError) as err:
        raise ValidationProblem(
            f"{events} gives no pulse times", expected="columns onset and value", found=repr(err)
        ) from err
    if not found.size or bool(np.any(np.diff(found) <= 0.0)):
        raise ValidationProblem(
            f"{events} gives no pulse times",
            expected=f"rising onsets of {value}",
            found=f"{found.size} events",
        )
    return np.asarray(found - found[0])


@dataclass(frozen=True, kw_only=True)
class RealParts:
    """What a folder of real recordings gives: see ``real_parts``. ``loop`` float32[n, n_channels] at ``rate_hz``."""

    names: tuple[str, ...]
    loop: F32
    rate_hz: float
    evoked: EvokedCourses
    times_s: F64

    def source(
        self, scene: Scene, target: str, *, seed: int = 0, power_pct_mso: float | None = None
    ) -> TrialSource:
        """Raw trials with truth: real background at the real pulse times, real evoked courses on the scene's dipoles,
        the scene's coupling and artifacts. The loop is shorter than the session: after its end it begins again.
        """
        start = int(np.random.default_rng([seed, 8]).integers(0, len(self.loop)))
        at = start + np.round(self.times_s * self.rate_hz).astype(np.int64)
        return TrialSource(
            scene, target, seed=seed, rate_hz=self.rate_hz, montage=Montage.from_names(self.names),
            power_pct_mso=power_pct_mso, background=self.loop, evoked=self.evoked,
            background_at=tuple(int(i) for i in at % len(self.loop)),
        )  # fmt: skip


def real_parts(folder: str | Path, rate_hz: float = 5000.0, person: int = 0) -> RealParts:
    """The parts from a folder laid out as the project's shared data: rest64/*.edf, tep_m1/evoked_*_1kHz.npy (pulse at
    1 s), pulse_times/*.tsv (``person`` chooses one). Reading EDF needs mne (``rtloop[recordings]``).

    Raises
    ------
    ValidationProblem : a file is missing or unreadable; NotReady : mne is not installed
    """
    base = Path(folder)
    found = [sorted(base.glob(p)) for p in ("rest64/*.edf", "tep_m1/evoked_*_1kHz.npy", "pulse_times/*.tsv")]
    if not all(found) or not 0 <= person < len(found[2]):
        raise ValidationProblem(
            f"{base} does not hold what semi-synthetic trials need",
            expected="rest64/*.edf, tep_m1/evoked_*_1kHz.npy, pulse_times/*.tsv",
            found=", ".join(str(p.relative_to(base)) for files in found for p in files) or "nothing",
        )
    recording = load_background(found[0][0])
    return RealParts(
        names=recording.names, loop=background_loop(recording, rate_hz), rate_hz=rate_hz,
        evoked=evoked_courses(np.load(found[1][0]), 1000.0, 1000), times_s=pulse_times_s(found[2][person]),
    )  # fmt: skip
