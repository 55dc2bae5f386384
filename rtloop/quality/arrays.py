"""Owns the numbers of a recording's quality that need arrays: halves, vertex, equal channels, added phase locking; owns no
limit and no light."""

from __future__ import annotations

import math

import numpy as np

from rtloop.model.montage import Montage, position_of
from rtloop.model.samples import C64, F32, F64, Bool

#: electrodes taken as the vertex: good ones within so many degrees of Cz
VERTEX_DEG = 26.0
#: N100-P200 at the vertex (Casarotto 2022 looks there for the sensory response)
LATE_S = (0.080, 0.250)
#: the difference of two bridged electrodes is this share of their own size, at most
EQUAL_SHARE = 0.02


def split_half_r(first_uv: F32 | F64, second_uv: F32 | F64) -> float:
    """Reliability of an average from those of its two halves (odd and even trials), [n_channels, n_times], µV.

    Pearson r over all channels and instants, stepped up by Spearman and Brown (1910): 2r / (1 + r). NaN where a half has
    no variance; 0 where r <= 0, where the formula means nothing.
    """
    a, b = (np.asarray(x, dtype=np.float64).ravel() for x in (first_uv, second_uv))
    if a.size == 0 or a.shape != b.shape:
        return math.nan
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    if not (size > 0 and math.isfinite(size)):
        return math.nan
    r = float(a @ b) / size
    return 2 * r / (1 + r) if r > 0 else 0.0


def vertex_late_uv(average_uv: F32, times_s: F64, montage: Montage, good: Bool) -> float:
    """Peak to peak (µV) of the mean of the good electrodes around Cz, 80-250 ms; NaN where there is none.

    average_uv : float32[n_channels, n_times], average reference; good : bool[n_channels]
    """
    top = position_of("Cz")
    assert top is not None
    length = np.linalg.norm(montage.positions_m, axis=1).clip(1e-9)
    near = good & ((montage.positions_m @ top) / length >= math.cos(math.radians(VERTEX_DEG)))
    inside = (times_s >= LATE_S[0] - 1e-9) & (times_s <= LATE_S[1] + 1e-9)
    if not near.any() or not inside.any():
        return math.nan
    return float(np.ptp(average_uv[np.ix_(near, inside)].mean(axis=0)))


def equal_channels(x_uv: F32, good: Bool) -> tuple[tuple[int, int], ...]:
    """Pairs of good channels whose difference is at most EQUAL_SHARE of their own size (RMS): electrodes joined by gel.

    x_uv : float32[n_channels, n_times], before the pulse, any one reference. After Alschuler 2014
    (10.1016/j.clinph.2013.08.008), with a share of the signal instead of a distance in µV².
    """
    chosen = np.flatnonzero(good)
    x = np.asarray(x_uv[chosen], dtype=np.float64)
    x = x - x.mean(axis=1, keepdims=True)
    power = (x * x).mean(axis=1)
    difference = power[:, None] + power[None] - 2 * (x @ x.T) / max(1, x.shape[1])
    limit = EQUAL_SHARE**2 * np.minimum(power[:, None], power[None])
    a, b = np.nonzero(np.triu((difference <= limit) & (limit > 0), 1))
    return tuple((int(chosen[i]), int(chosen[j])) for i, j in zip(a, b, strict=True))


def pre_plv_inflation(before: C64, after: C64) -> float:
    """How much phase locking spatial cleaning adds where there is no pulse: mean over pairs of PLV after - PLV before.

    Parameters
    ----------
    before, after : complex64[n_trials, n_channels, n_points], analytic signal before the pulse of the same good channels,
        without and with the spatial stage, the same reference

    Both PLVs (Lachaux 1999) carry the same bias by the number of trials, so it cancels. NaN with fewer than 3 trials or 2
    channels.
    """
    if before.shape != after.shape or before.shape[0] < 3 or before.shape[1] < 2:
        return math.nan
    a, b = np.triu_indices(before.shape[1], 1)
    plv = []
    for x in (before, after):
        size = np.abs(x)
        unit = np.divide(x, size, out=np.zeros_like(x), where=size > 0)
        locked = np.einsum("kit,kjt->ijt", unit, unit.conj()) / x.shape[0]
        plv.append(float(np.abs(locked[a, b]).mean()))
    return plv[1] - plv[0]
