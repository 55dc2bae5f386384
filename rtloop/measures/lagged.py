"""Owns dwPLI² computed anew from whole trials: shift predictor and evoked-subtracted value; owns no running sum.

Both stand beside a score and say how much of it two channels earn by being locked to the pulse alone (SCIENCE
section 2). Shift predictor: channel x of a trial with channel y of the next accepted one (Perkel 1967,
10.1016/S0006-3495(67)86597-4): what is locked to the pulse stays, an interaction within trials goes.
Evoked-subtracted: the average over trials is taken from each trial before (Truccolo 2002,
10.1016/S1388-2457(01)00739-8): what is locked goes; gain and jitter from trial to trial stay.
Off the critical path: both cost one pass over all trials, and belong to the end of a block or a declared look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rtloop.errors import ValidationProblem
from rtloop.measures import kernels
from rtloop.model.samples import F64, I64, Bool

Real = npt.NDArray[np.floating[Any]]
#: trials left out in one piece of work
_AT_ONCE = 25


def upper_pairs(n_channels: int, *, apart: int = 0) -> I64:
    """int64[n_pairs, 3]: place, row of x, row of y (shifted by ``apart``) in the order of ``numpy.triu_indices(n, 1)``."""
    a, b = np.triu_indices(n_channels, 1)
    return np.ascontiguousarray(np.stack([np.arange(a.size), a, b + apart], axis=1).astype(np.int64))


def shifted(re: Real, im: Real) -> tuple[Real, Real]:
    """Rows of a trial, then rows of the next: [n_trials - 1, 2 n_channels, n_points].

    With ``upper_pairs(n, apart=n)`` the pairs are those of successive trials. Needs 2 trials.
    """
    if re.shape[0] < 2:
        raise ValidationProblem("no successive trials", expected="at least 2 trials", found=str(re.shape[0]))
    re, im = (np.concatenate([v[:-1], v[1:]], axis=1) for v in (re, im))
    return re, im


def evoked_subtracted(re: Real, im: Real, good: Bool) -> tuple[Real, Real]:
    """Trials without the average over the trials in which the channel was good; bad channels stay 0.

    re, im : [n_trials, n_channels, n_points], 0 where bad; good : bool[n_trials, n_channels]
    """
    n = np.maximum(good.sum(axis=0), 1)[:, None]
    re, im = (
        np.ascontiguousarray((v - v.sum(axis=0, dtype=np.float64) / n) * good[..., None], dtype=v.dtype)
        for v in (re, im)
    )
    return re, im


def lagged_scores(
    re: Real,
    im: Real,
    pairs: I64,
    weights: F64,
    slices: dict[str, slice],
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[F64, F64]:
    """Weighted dwPLI² (Vinck 2011, never clipped): float64[n_scopes, n_bands], and without each trial
    float64[n_trials, n_scopes, n_bands].

    Parameters
    ----------
    re, im : float32 or float64 [n_trials, n_rows, n_points], contiguous
    pairs : int64[n_pairs, 3], see ``upper_pairs``
    weights : float64[n_scopes, n_pairs], each summing to one (or all zero, then 0)
    slices : band -> columns
    meanwhile : called between pieces of work
    """
    dtype, n_points, n = re.dtype, re.shape[2], re.shape[0]
    sums = [np.zeros((pairs.shape[0], n_points), dtype=dtype) for _ in range(3)]
    chosen = np.ascontiguousarray(pairs[(weights != 0).any(axis=0)])
    for first in range(0, n, _AT_ONCE):
        kernels.lagged_sums(dtype)(re[first : first + _AT_ONCE], im[first : first + _AT_ONCE], chosen, *sums)
        meanwhile()
    s, q, d = (v.astype(np.float64) for v in sums)
    den = d * d - q
    fine = den > kernels.NOTHING * d * d
    at_points = np.divide(s * s - q, den, out=np.zeros_like(s), where=fine)
    value = _means(weights @ at_points, slices)
    each = np.zeros((n, len(weights), len(slices)))
    for scope, row in enumerate(weights):
        some = np.ascontiguousarray(pairs[row != 0])
        w = row[row != 0].astype(dtype)
        for first in range(0, n, _AT_ONCE):
            slots = np.arange(first, min(first + _AT_ONCE, n))
            out = np.zeros((2, slots.size, n_points), dtype=dtype)
            kernels.without_each_lagged(dtype)(re, im, slots, some, w, *sums, out)
            each[slots, scope] = _means(out[0], slices)
            meanwhile()
    return value, each


def _means(at_points: Real, slices: dict[str, slice]) -> F64:
    return np.stack([at_points[..., s].mean(axis=-1, dtype=np.float64) for s in slices.values()], axis=-1)
