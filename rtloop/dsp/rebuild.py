"""Owns the rebuilding of bad channels from good ones by spherical splines, for people to look at; owns no verdict.

A rebuilt channel is a sum of its neighbours: it counts in no pair, no reference and no average over trials.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from rtloop.model.montage import Montage
from rtloop.model.samples import F32, F64

#: order of the spline, terms of its series, diagonal loading (Perrin 1989, 10.1016/0013-4694(89)90180-6; usual values)
STIFFNESS, TERMS, LOADING = 4, 50, 1e-5
#: with fewer good channels nothing is rebuilt
FEWEST = 4
_SETS_KEPT = 16


def spline_g(cosines: F64) -> F64:
    """g(x) = 1/(4 pi) sum_n (2n+1) / (n (n+1))^m P_n(x), n = 1..TERMS, m = STIFFNESS (Perrin 1989, equation 3).

    cosines : float64[...], cosine of the angle between two electrodes
    """
    x = np.asarray(cosines, dtype=np.float64)
    out, p_before, p = np.zeros_like(x), np.ones_like(x), x.copy()
    for n in range(1, TERMS + 1):
        out += (2 * n + 1) / float(n * (n + 1)) ** STIFFNESS * p
        p_before, p = p, ((2 * n + 1) * x * p - n * p_before) / (n + 1)
    return np.asarray(out / (4 * np.pi))


def spline_weights(positions_m: F64, bad: Collection[int]) -> F64:
    """float64[n_bad, n_good]: what of each good channel makes up each bad one, channels in rising order.

    Constants are kept: each row sums to one. positions_m : float64[n_channels, 3], from the head's centre, any radius.
    """
    unit = positions_m / np.linalg.norm(positions_m, axis=1, keepdims=True)
    away = np.zeros(len(unit), dtype=np.bool_)
    away[list(bad)] = True
    good = unit[~away]
    n = len(good)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = spline_g((good @ good.T).clip(-1, 1)) + LOADING * np.eye(n)
    system[n, n] = 0.0
    wanted = np.ones((int(away.sum()), n + 1))
    wanted[:, :n] = spline_g((unit[away] @ good.T).clip(-1, 1))
    return np.asarray((wanted @ np.linalg.pinv(system))[:, :n])


class Rebuilder:
    """Spline weights for the sets of bad channels of one montage; the last few sets are kept."""

    def __init__(self, montage: Montage) -> None:
        self._positions_m = montage.positions_m
        length = np.linalg.norm(montage.positions_m, axis=1)
        #: why nothing can be rebuilt at all; empty where it can
        self.why_not = "" if bool(np.all(length > 0)) else "a channel has no position"
        self._known: dict[tuple[int, ...], F32] = {}

    def apply(self, eeg_uv: F32, bad: Collection[int]) -> bool:
        """Rebuild the bad rows of float32[n_channels, n_times] in place; False (nothing is changed) where it cannot be."""
        key = tuple(sorted(bad))
        if not key or self.why_not or eeg_uv.shape[0] - len(key) < FEWEST:
            return False
        weights = self._known.get(key)
        if weights is None:
            if len(self._known) >= _SETS_KEPT:
                self._known.pop(next(iter(self._known)))
            weights = self._known[key] = spline_weights(self._positions_m, key).astype(np.float32)
        away = np.zeros(eeg_uv.shape[0], dtype=np.bool_)
        away[list(key)] = True
        eeg_uv[away] = weights @ eeg_uv[~away]
        return True
