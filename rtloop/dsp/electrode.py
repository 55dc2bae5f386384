"""Owns the courses that an electrode's own artifact (decay and step) can take, and how their sizes are read from a trial in
which a cortical answer may lie; owns no sum over trials and no pattern.

Model of one electrode after the pulse: sum over ``TAUS_S`` of a_k / (1 + t/tau_k)^2 (Freche 2018,
10.1371/journal.pcbi.1006177; two of them come near any tau between) plus a step that leaks away. The sizes are the
generalised least squares estimate (Aitken 1936) with ridge, under an ongoing EEG that is correlated over ``EEG_S`` and an
evoked answer of unknown course: a Gaussian process over log time, nothing before ``ANSWER_FROM_S``, ``ANSWER_UV`` from
there on, little after ``ANSWER_UNTIL_S``. So a decay is read from where the brain cannot have answered yet, and a step
from where it no longer does; what looks like an answer in between is left to be one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rtloop.model.samples import F32, F64, I64, Bool

#: decays, seconds
TAUS_S = (0.006, 0.020)
#: the step leaks away through the amplifier's coupling; any time constant beyond the epoch does
STEP_S = 2.0
#: SD of the sizes before anything was seen, µV: decays, step
DECAY_UV, STEP_UV = 60.0, 10.0
#: an answer may rise within the first span and is gone after the second; its size in between and after, µV; its shortest
#: course, in log time
ANSWER_FROM_S, ANSWER_UNTIL_S = (0.004, 0.010), (0.250, 0.350)
ANSWER_UV, LATE_UV, ANSWER_LOG = 10.0, 1.0, 0.25
#: ongoing EEG in an average of some 25 trials, µV; white part, µV²; correlation time
EEG_UV, WHITE_UV2, EEG_S = 1.0, 0.01, 0.030
#: every low-rate sample until here is used, then every fourth
DENSE_UNTIL_S = 0.050
#: a bin of early samples
BIN_S = 0.001


@dataclass(frozen=True, kw_only=True)
class ElectrodeCourses:
    """What one unit of each course looks like, and how to read the sizes.

    ``low`` float32[n_times, k] at the low rate, less the line, bridged as the chain bridges; ``functionals``
    float32[k, n_early + n_late]; ``late`` int64[n_late] the low-rate samples they read behind the early bins; ``shown``
    bool[n_times] samples in which decays become patterns; ``decays`` how many of the courses are decays (the first).
    """

    low: F32
    functionals: F32
    late: I64
    shown: Bool
    decays: int


def answer_sd_uv(times_s: F64) -> F64:
    """How large an evoked answer may be at each instant, µV."""
    rise = np.clip((times_s - ANSWER_FROM_S[0]) / (ANSWER_FROM_S[1] - ANSWER_FROM_S[0]), 0.0, 1.0)
    fall = np.clip((times_s - ANSWER_UNTIL_S[0]) / (ANSWER_UNTIL_S[1] - ANSWER_UNTIL_S[0]), 0.0, 1.0)
    return np.asarray((0.5 - 0.5 * np.cos(np.pi * rise)) * (ANSWER_UV + (LATE_UV - ANSWER_UV) * fall))


def functionals_of(times_s: F64, courses: F64) -> F64:
    """Linear functionals float64[k, n] that give the sizes of ``courses`` float64[n, k] (decays first, the step last) in
    samples at ``times_s`` float64[n] > 0."""
    log_t, sd = np.log(times_s), answer_sd_uv(times_s)
    spread = np.exp(-0.5 * ((log_t[:, None] - log_t) / ANSWER_LOG) ** 2) * sd[:, None] * sd
    spread += EEG_UV**2 * np.exp(-np.abs(times_s[:, None] - times_s) / EEG_S)
    spread[np.diag_indices(times_s.size)] += WHITE_UV2
    prior = np.full(courses.shape[1], DECAY_UV)
    prior[-1] = STEP_UV
    weighted = np.linalg.solve(spread, courses)
    return np.asarray(np.linalg.solve(courses.T @ weighted + np.diag(prior**-2), weighted.T))


def electrode_courses(
    times_in_s: F64,
    times_s: F64,
    early: Callable[[F32], F64],
    seen: Callable[[F32], F32],
    line: tuple[F32, F32, F64],
    valid: Bool,
    early_s: Sequence[float],
    until_s: float,
) -> ElectrodeCourses:
    """The courses for one epoch layout.

    Parameters
    ----------
    times_in_s, times_s : instants of the raw epoch and of the low rate
    early : raw rows float32[n_in, k] -> means in the early bins float64[n_early, k]; ``early_s`` their instants
    seen : float32[k, n_in] -> float32[k, n_times], bridge and decimation (the array may be changed)
    line : functionals float32[2, n_times], columns float32[n_times, 2] of the line, and the same columns float64[n_early, 2]
        at the early bins
    valid : bool[n_times] False in gaps; until_s : end of the stretch in which patterns are taken out
    """
    after = np.maximum(times_in_s, 0.0)
    shapes = np.stack([(1 + after / tau) ** -2 for tau in TAUS_S] + [np.exp(-after / STEP_S)])
    raw: F32 = np.ascontiguousarray(shapes * (times_in_s >= 0), dtype=np.float32)
    first = early(np.ascontiguousarray(raw.T))
    flat = seen(raw).T
    amounts = line[0] @ flat
    low: F64 = np.asarray(flat - line[1] @ amounts, dtype=np.float64)
    first = np.asarray(first - line[2] @ amounts, dtype=np.float64)
    behind = np.flatnonzero(valid & (times_s > early_s[-1] + BIN_S / 2))
    late = behind[(times_s[behind] <= DENSE_UNTIL_S) | (np.arange(behind.size) % 4 == 0)]
    functionals = functionals_of(
        np.concatenate([np.asarray(early_s), times_s[late]]), np.concatenate([first, low[late]])
    )
    return ElectrodeCourses(
        low=np.ascontiguousarray(low, dtype=np.float32),
        functionals=np.ascontiguousarray(functionals, dtype=np.float32), late=late,
        shown=valid & (times_s > 0) & (times_s <= until_s), decays=len(TAUS_S),
    )  # fmt: skip


class EarlySamples:
    """Means of the raw signal in bins of ``BIN_S`` over a span between the pulse and the end of the gap.

    ``times_s`` float64[n] their middles; ``rows`` float32[n, width] of the last trial.
    """

    def __init__(self, span_s: tuple[float, float], *, rate_hz: float, pulse: int, width: int) -> None:
        n = int((span_s[1] - span_s[0]) / BIN_S + 1e-6)
        self.times_s: F64 = np.asarray(span_s[0] + BIN_S * (np.arange(n) + 0.5), dtype=np.float64)
        firsts = [pulse + int(np.ceil((t - BIN_S / 2) * rate_hz - 1e-6)) for t in self.times_s]
        stops = [pulse + int(np.ceil((t + BIN_S / 2) * rate_hz - 1e-6)) for t in self.times_s]
        self._bins = [slice(a, max(b, a + 1)) for a, b in zip(firsts, stops, strict=True)]
        self._all = slice(self._bins[0].start, self._bins[-1].stop)
        self.rows: F32 = np.zeros((n, width), dtype=np.float32)
        self._moving: Bool = np.zeros(width, dtype=np.bool_)

    def of(self, raw: F32) -> F64:
        """Means of any raw rows float32[n_in, k]: float64[n, k]."""
        return np.stack([raw[span].mean(axis=0, dtype=np.float64) for span in self._bins])

    def see(self, raw: F32) -> None:
        """Note a trial's raw rows float32[n_in, width], before anything is bridged."""
        for row, span in zip(self.rows, self._bins, strict=True):
            np.mean(raw[span], axis=0, out=row)
        whole = raw[self._all]
        np.not_equal(whole.min(axis=0), whole.max(axis=0), out=self._moving)

    def refer(self, line: F32, good: Bool, most_uv: float) -> bool:
        """Take the line float32[n, width] and the mean of the good channels out of ``rows``, zero the others; False if the
        amplifier had not recovered in a good channel: not a number, one value throughout, or more than ``most_uv``."""
        if not (self._moving[good].all() and np.isfinite(self.rows[:, good]).all()):
            return False
        self.rows[:, ~good] = 0.0
        self.rows -= line
        self.rows[:, ~good] = 0.0
        self.rows -= self.rows.sum(axis=1, keepdims=True) / np.float32(max(1, good.sum()))
        self.rows[:, ~good] = 0.0
        return bool(np.abs(self.rows).max() <= most_uv)


def shrunk(mean: F64, error: F64) -> F64:
    """Sizes less what chance put into them (multivariate empirical Bayes, Efron & Morris 1972): float64[k, m] from means
    float64[k, m] and the covariances float64[m, k, k] of their errors.

    K = S (S + E)^-1 for each electrode, S the covariance of the true sizes over electrodes: that of the means less the mean
    error, without electrodes that err more than ten times as much as the median one. The courses are alike, so what all
    electrodes share in shape is kept where each size alone is uncertain.
    """
    k = len(mean)
    size = np.trace(error, axis1=1, axis2=2)
    some = size <= 10 * np.median(size)
    values, vectors = np.linalg.eigh(
        mean[:, some] @ mean[:, some].T / max(1, int(some.sum())) - error[some].mean(axis=0)
    )
    true = (vectors * np.maximum(values, 0.0)) @ vectors.T
    loading = 1e-9 * (np.trace(true) + size[:, None, None]) + 1e-12
    return np.asarray(
        (true @ np.linalg.solve(true + error + loading * np.eye(k), mean.T[:, :, None]))[:, :, 0].T
    )
