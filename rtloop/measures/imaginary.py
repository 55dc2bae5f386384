"""Owns imaginary coherence of pairs from whole trials; owns no running sum.

Nolte 2004 (10.1016/j.clinph.2004.04.029): Im E[S] / sqrt(E[Sxx] E[Syy]). Signed for a pair (the sign turns with
the order of its channels), blind to coupling at zero lag; a scope takes its absolute value at each instant. That
is biased by N: about 0.56/sqrt(N) where nothing is coupled. Off the critical path: one pass over all trials.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rtloop.measures import kernels
from rtloop.measures.lagged import upper_pairs
from rtloop.model.samples import F64, Bool

Real = npt.NDArray[np.floating[Any]]


class ImaginaryCoherence:
    """Imaginary coherence of all pairs over the trials given; pairs in the order of ``numpy.triu_indices(n, 1)``.

    Parameters
    ----------
    re, im : float[n_trials, n_channels, n_points], 0 where a channel is bad
    good : bool[n_trials, n_channels]; each pair is exact over the trials in which both were good
    meanwhile : called between pieces of work, here as in ``scores``
    """

    def __init__(
        self, re: Real, im: Real, good: Bool, *, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        self._re, self._im, self._good = (np.ascontiguousarray(v) for v in (re, im, good))
        self._pairs = upper_pairs(re.shape[1])
        shape = (self._pairs.shape[0], re.shape[2])
        self._cross, self._xx, self._yy = (np.zeros(shape) for _ in range(3))
        at_once = self._at_once(shape[0])
        for first in range(0, re.shape[0], at_once):
            some = slice(first, first + at_once)
            kernels.coherence_sums(re.dtype)(
                self._re[some], self._im[some], self._good[some], self._pairs, self._cross, self._xx, self._yy
            )
            meanwhile()

    @staticmethod
    def _at_once(n_pairs: int) -> int:
        """Trials in one piece of work, about 10 ms."""
        return max(1, 20_000 // max(1, n_pairs))

    def values(self) -> F64:
        """float64[n_pairs, n_points], signed, -1 to 1; 0 where there is no power."""
        return _ratio(self._cross, self._xx, self._yy)

    def scores(
        self, weights: F64, slices: dict[str, slice], *, meanwhile: Callable[[], None] = lambda: None
    ) -> tuple[F64, F64]:
        """Weighted means of |value| over each band: float64[n_scopes, n_bands], and without each trial
        float64[n_trials, n_scopes, n_bands].

        weights : float64[n_scopes, n_pairs], each summing to one; slices : band -> columns
        """
        value = _means(weights @ np.abs(self.values()), slices)
        n = self._re.shape[0]
        each = np.zeros((n, *value.shape))
        for scope, row in enumerate(weights):
            some, w = np.ascontiguousarray(self._pairs[row != 0]), np.ascontiguousarray(row[row != 0])
            at_once = self._at_once(some.shape[0])
            for first in range(0, n, at_once):
                slots = np.arange(first, min(first + at_once, n))
                out = np.zeros((slots.size, self._re.shape[2]))
                kernels.without_each_imaginary(self._re.dtype)(
                    self._re, self._im, self._good, slots, some, w, self._cross, self._xx, self._yy, out
                )
                each[slots, scope] = _means(out, slices)
                meanwhile()
        return value, each


def _ratio(cross: F64, xx: F64, yy: F64) -> F64:
    """Cross / sqrt(xx yy); 0 where there is no power."""
    fine = (xx > 0) & (yy > 0)
    return np.divide(cross, np.sqrt(np.where(fine, xx * yy, 1.0)), out=np.zeros_like(cross), where=fine)


def _means(at_points: F64, slices: dict[str, slice]) -> F64:
    return np.stack([at_points[..., s].mean(axis=-1) for s in slices.values()], axis=-1)
