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

from rtloop.model.samples import F64, Bool

Real = npt.NDArray[np.floating[Any]]


class ImaginaryCoherence:
    """Imaginary coherence of all pairs over the trials given; pairs in the order of ``numpy.triu_indices(n, 1)``.

    Parameters
    ----------
    re, im : float[n_trials, n_channels, n_points], 0 where a channel is bad
    good : bool[n_trials, n_channels]; each pair is exact over the trials in which both were good
    meanwhile : called after each trial, here as in ``scores``
    """

    def __init__(
        self, re: Real, im: Real, good: Bool, *, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        self._re, self._im, self._good = re, im, good
        self.first, self.second = np.triu_indices(re.shape[1], 1)
        a, b = self.first, self.second
        self._cross: F64 = np.zeros((a.size, re.shape[2]))
        for k in range(re.shape[0]):
            self._cross += self._of_trial(k, a, b)
            meanwhile()
        power = (re.astype(np.float64) ** 2 + im.astype(np.float64) ** 2).transpose(1, 2, 0)
        shared = power @ good.astype(np.float64)  # [x, instant, y]: power of x where y was good too
        self._xx, self._yy = shared[a, :, b], shared[b, :, a]

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
        chosen = np.flatnonzero((weights != 0).any(axis=0))
        a, b, w = self.first[chosen], self.second[chosen], weights[:, chosen]
        cross, xx, yy = self._cross[chosen], self._xx[chosen], self._yy[chosen]
        each = np.zeros((self._re.shape[0], *value.shape))
        for k in range(self._re.shape[0]):
            power = self._re[k].astype(np.float64) ** 2 + self._im[k].astype(np.float64) ** 2
            both = (self._good[k, a] & self._good[k, b])[:, None]
            left = _ratio(
                cross - self._of_trial(k, a, b) * both, xx - power[a] * both, yy - power[b] * both, xx, yy
            )
            each[k] = _means(w @ np.abs(left), slices)
            meanwhile()
        return value, each

    def _of_trial(self, k: int, a: Any, b: Any) -> F64:
        re, im = self._re[k].astype(np.float64), self._im[k].astype(np.float64)
        return np.asarray(im[a] * re[b] - re[a] * im[b])


def _ratio(cross: F64, xx: F64, yy: F64, whole_xx: F64 | None = None, whole_yy: F64 | None = None) -> F64:
    """Cross / sqrt(xx yy); 0 where the power is nothing, or rounding beside the power of all trials."""
    floor_xx = 0.0 if whole_xx is None else 1e-9 * whole_xx
    floor_yy = 0.0 if whole_yy is None else 1e-9 * whole_yy
    fine = (xx > floor_xx) & (yy > floor_yy)
    return np.divide(cross, np.sqrt(np.where(fine, xx * yy, 1.0)), out=np.zeros_like(cross), where=fine)


def _means(at_points: F64, slices: dict[str, slice]) -> F64:
    return np.stack([at_points[..., s].mean(axis=-1) for s in slices.values()], axis=-1)
