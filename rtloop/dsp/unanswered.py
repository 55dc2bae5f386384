"""Owns what past pulses say of the artifact before the brain can have answered, and of what is constant at each electrode:
running sums, and the patterns and sizes made from them; owns no course and no filter.

Patterns learnt behind the gap hold a share of every response that is locked to the pulse as the artifact is. Between the
amplifier's recovery and the first cortical answers there is only artifact: muscle at its largest (peaks at about 5 and
10 ms, Rogasch 2013, 10.1002/hbm.22016), found in the second difference. Decay and step are read by
``rtloop.dsp.electrode``; what of them is the same in every trial is subtracted, and the decays' strongest fields are
patterns too, for their size varies from trial to trial.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rtloop.dsp.covariance import RunningCovariance
from rtloop.dsp.electrode import EarlySamples, ElectrodeCourses, electrode_courses, shrunk
from rtloop.dsp.muscle import patterns
from rtloop.dsp.spec import ChainSpec
from rtloop.model.samples import F32, F64, Bool

#: so many fields of the decay at most, each with more than so many µV (RMS over channels and the stretch)
DECAY_FIELDS, DECAY_FIELD_UV = 2, 0.7


class EarlyLearning:
    """Running sums over usable trials. ``trials`` counts them; ``usable`` whether the last held one was.

    ``line`` float32[n_early, 2]: the columns of offset and slope at the early bins.
    """

    def __init__(
        self, spec: ChainSpec, samples: EarlySamples, courses: ElectrodeCourses, line: F32, width: int
    ) -> None:
        self._spec, self._samples, self.courses, self._line = spec, samples, courses, line
        n, k = samples.rows.shape[0], courses.low.shape[1]
        self._keep = 1.0 - 1.0 / spec.spatial_memory if spec.spatial_memory else 1.0
        self._fast = RunningCovariance(width, memory=spec.spatial_memory, capped=True)
        self._pairs = [(a, b) for a in range(k) for b in range(a, k)]
        self._spread = [RunningCovariance(width, memory=spec.spatial_memory) for _ in self._pairs]
        self._sums: F64 = np.zeros((k, width))
        self._weights: F64 = np.zeros(width)
        self._read: F32 = np.zeros((n + courses.late.size, width), dtype=np.float32)
        self._sizes: F32 = np.zeros((k, width), dtype=np.float32)
        self._second: F32 = np.zeros((n - 2, width), dtype=np.float32)
        self._latest: F32 = np.zeros((width, width), dtype=np.float32)
        self.usable = False

    @property
    def trials(self) -> int:
        """Usable trials learnt from."""
        return self._fast.n

    def see(self, raw: F32) -> None:
        """A trial's raw rows, before the bridge."""
        self._samples.see(raw)

    def hold(self, rows: F32, good: Bool, amounts: F32) -> None:
        """Note a trial: cleaned-up rows float32[n_times, width] as ``SpatialStage.hold`` gets them, ``good`` bool[width],
        ``amounts`` float32[2, width] of offset and slope that were taken out."""
        early = self._samples.rows
        self.usable = self._samples.refer(self._line @ amounts, good, self._spec.early_most_uv)
        if not self.usable:
            return
        n = len(early)
        self._read[:n] = early
        np.take(rows, self.courses.late, axis=0, out=self._read[n:])
        np.matmul(self.courses.functionals, self._read, out=self._sizes)
        d = self._second
        np.add(early[2:], early[:-2], out=d)
        d -= early[1:-1]
        d -= early[1:-1]
        np.matmul(d.T, d, out=self._latest)
        self._latest /= np.float32(len(d))

    def learn(self, good: Bool) -> None:
        """Count the held trial, if it was usable."""
        if not self.usable:
            return
        self._fast.add(self._latest, good)
        for spread, (a, b) in zip(self._spread, self._pairs, strict=True):
            np.outer(self._sizes[a], self._sizes[b], out=self._latest)
            spread.add(self._latest, good)
        self._sums *= self._keep
        self._weights *= self._keep
        self._sums[:, good] += self._sizes[:, good]
        self._weights += good

    def found(self, wide: Bool, fast_usual: F64, usual: F64, most: int) -> tuple[F64, F64, F64]:
        """From the trials so far, for m channels ``wide`` bool[width]: artifact fields float64[m, n], orthonormal; their
        power after the pulse over what is usual, float64[n]; and the constant sizes float64[k, m], µV.

        fast_usual, usual : float64[m, m] of the second difference and of the signal, see ``rtloop.dsp.muscle.allowed``
        most : fields at most, muscle first but for what the decay may need
        """
        spec, courses = self._spec, self.courses
        decays = min(DECAY_FIELDS, most // 3)
        fields, ratios = patterns(
            self._fast.of(wide), fast_usual, ratio=spec.muscle_ratio, most=most - decays
        )
        fields = np.linalg.qr(fields)[0]
        rest = np.eye(usual.shape[0]) - fields @ fields.T
        mean, error = self._sizes_of(wide, rest)
        shown = courses.low[courses.shown, : courses.decays].astype(np.float64) @ mean[: courses.decays]
        _, strength, maps = np.linalg.svd(shown, full_matrices=False)
        count = int(np.count_nonzero(strength[:decays] > DECAY_FIELD_UV * np.sqrt(shown.size)))
        more = maps[:count].T
        power = np.einsum("ij,ik,kj->j", more, usual, more)
        ratios = np.concatenate([ratios, strength[:count] ** 2 / (len(shown) * np.maximum(power, 1e-30))])
        return np.linalg.qr(np.concatenate([fields, more], axis=1))[0], ratios, shrunk(mean, error)

    def _sizes_of(self, wide: Bool, rest: F64) -> tuple[F64, F64]:
        """Mean sizes behind the projection ``rest`` float64[k, m], and the covariance of their errors float64[m, k, k]."""
        weights = np.maximum(self._weights[wide], 1e-12)
        mean = self._sums[:, wide] / weights
        mean = (mean - mean.mean(axis=1, keepdims=True)) @ rest
        error = np.empty((mean.shape[1], len(mean), len(mean)))
        for spread, (a, b) in zip(self._spread, self._pairs, strict=True):
            square = np.sum((rest @ spread.of(wide)) * rest, axis=1)
            error[:, a, b] = error[:, b, a] = (square - mean[a] * mean[b]) / np.maximum(weights - 1.0, 1.0)
        return mean, error


def learning_of(
    spec: ChainSpec,
    times_in_s: F64,
    times_s: F64,
    *,
    rate_hz: float,
    width: int,
    seen: Callable[[F32], F32],
    line: tuple[F32, F32],
    valid: Bool,
) -> EarlyLearning:
    """What is learnt in one epoch layout; ``seen``, ``line`` and ``valid`` as in ``electrode_courses``."""
    pulse = int(np.searchsorted(times_in_s, -1e-9))
    samples = EarlySamples(spec.early_s, rate_hz=rate_hz, pulse=pulse, width=width)
    base = (times_s >= spec.baseline_s[0] - 1e-9) & (times_s <= spec.baseline_s[1] + 1e-9)
    own = np.stack([np.ones_like(samples.times_s), samples.times_s - times_s[base].mean()], axis=1)
    courses = electrode_courses(
        times_in_s,
        times_s,
        samples.of,
        seen,
        (*line, own),
        valid,
        tuple(samples.times_s),
        spec.muscle_until_s,
    )
    return EarlyLearning(spec, samples, courses, own.astype(np.float32), width)
