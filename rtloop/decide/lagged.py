"""Owns the compiled loop that scores an array of trials by dwPLI² with each trial left out; owns no signal.

The same number as the running sums of the live loop (a test compares them), from arrays, for signals that were
changed after they were recorded. Vinck et al. 2011, 10.1016/j.neuroimage.2011.01.055.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtloop.jit import kernel
from rtloop.model.samples import F32, F64

#: a denominator below this share of its own scale is rounding, not coupling: the value is 0
NOTHING = 1e-6
Real = npt.NDArray[np.floating[Any]]


@kernel("void(float32[:,:,::1], float32[:,:,::1], float32[::1], float32[:,::1], float32[:,::1])", sums=True)
def _each(re: Any, im: Any, weights: Any, held: Any, out: Any) -> None:
    """``re, im`` [n_channels, n_trials, n_points]; ``held`` [n_trials, n_points] is scratch; ``out``
    [n_trials + 1, n_points], added to: without each trial, and last with all."""
    zero, one, tiny = np.float32(0), np.float32(1), np.float32(NOTHING)
    n_trials, n_points = held.shape
    s = np.empty(n_points, dtype=np.float32)
    q = np.empty(n_points, dtype=np.float32)
    d = np.empty(n_points, dtype=np.float32)
    p = -1
    for a in range(re.shape[0]):
        for b in range(a + 1, re.shape[0]):
            p += 1
            w = weights[p]
            if w == zero:
                continue
            s[:] = zero
            q[:] = zero
            d[:] = zero
            for i in range(n_trials):
                xr, xi, yr, yi, h = re[a, i], im[a, i], re[b, i], im[b, i], held[i]
                for k in range(n_points):
                    v = xi[k] * yr[k] - xr[k] * yi[k]
                    h[k] = v
                    s[k] += v
                    q[k] += v * v
                    d[k] += abs(v)
            for i in range(n_trials):
                h, to = held[i], out[i]
                for k in range(n_points):
                    v = h[k]
                    left_s = s[k] - v
                    left_q = q[k] - v * v
                    left_d = d[k] - abs(v)
                    scale = tiny * d[k]
                    den = left_d * left_d - left_q
                    fine = den > scale * d[k]
                    to[k] += np.divide(w * (left_s * left_s - left_q) if fine else zero, den if fine else one)
            to = out[n_trials]
            for k in range(n_points):
                den = d[k] * d[k] - q[k]
                fine = den > tiny * d[k] * d[k]
                to[k] += np.divide(w * (s[k] * s[k] - q[k]) if fine else zero, den if fine else one)


def channel_major(plane: Real) -> F32:
    """[n_trials, n_channels, n_points] -> contiguous float32[n_channels, n_trials, n_points]."""
    return np.ascontiguousarray(plane.swapaxes(0, 1), dtype=np.float32)


def lagged_scores(re: F32, im: F32, weights: F64, bands: Mapping[str, slice]) -> tuple[F64, F64]:
    """Weighted dwPLI² per band, float64[n_bands], and without each trial, float64[n_trials, n_bands].

    re, im : float32[n_channels, n_trials, n_points] (``channel_major``); 0 where a channel is bad in a trial,
    which leaves that trial out of its pairs
    """
    n_trials, n_points = re.shape[1:]
    out = np.zeros((n_trials + 1, n_points), dtype=np.float32)
    _each(re, im, weights.astype(np.float32), np.empty((n_trials, n_points), dtype=np.float32), out)
    by_band = np.stack([out[:, s].mean(axis=1, dtype=np.float64) for s in bands.values()], axis=1)
    return by_band[-1], by_band[:-1]
