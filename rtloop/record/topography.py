"""Owns scalp maps: spherical-spline interpolation and the flat projection; owns no drawing.

Spherical splines, order m = 4: Perrin et al. 1989, 10.1016/0013-4694(89)90180-6. The projection is azimuthal
equidistant: the distance from the centre is the angle from the vertex; 1 is the ring through Fpz, T7, Oz, T8.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial import legendre

from rtloop.model.samples import F64

#: angle from the vertex to the main ring, degrees (rtloop.model.montage)
RING_DEG = 92.0
_ORDER, _TERMS = 4, 40


def flat(positions_m: F64) -> F64:
    """Project positions float64[n, 3] (x right, y nose, z vertex) to float64[n, 2]; the main ring has radius
    1."""
    unit = positions_m / np.linalg.norm(positions_m, axis=1, keepdims=True)
    angle = np.degrees(np.arccos(np.clip(unit[:, 2], -1.0, 1.0))) / RING_DEG
    across = np.hypot(unit[:, 0], unit[:, 1])
    scale = np.divide(angle, across, out=np.zeros_like(angle), where=across > 1e-12)
    return np.asarray(unit[:, :2] * scale[:, None])


def _unflat(points: F64) -> F64:
    radius = np.hypot(points[:, 0], points[:, 1])
    angle = np.radians(radius * RING_DEG)
    scale = np.divide(np.sin(angle), radius, out=np.ones_like(radius), where=radius > 1e-12)
    return np.column_stack([points * scale[:, None], np.cos(angle)])


def _kernel(cosine: F64) -> F64:
    n = np.arange(1, _TERMS + 1, dtype=float)
    weights = np.concatenate([[0.0], (2 * n + 1) / (4 * np.pi * (n * (n + 1)) ** _ORDER)])
    return np.asarray(legendre.legval(np.clip(cosine, -1.0, 1.0), weights))


def interpolation(positions_m: F64, points: F64, *, smoothing: float = 1e-8) -> F64:
    """Matrix float64[n_points, n_channels] that takes channel values to flat ``points`` float64[n_points,
    2]."""
    unit = positions_m / np.linalg.norm(positions_m, axis=1, keepdims=True)
    count = len(unit)
    system = np.zeros((count + 1, count + 1))
    system[:count, :count] = _kernel(unit @ unit.T) + smoothing * np.eye(count)
    system[:count, count] = system[count, :count] = 1.0
    rows = np.column_stack([_kernel(_unflat(points) @ unit.T), np.ones(len(points))])
    return np.asarray(np.linalg.solve(system, rows.T).T[:, :count])


def grid(size: int = 81, *, edge: float = 1.08) -> tuple[F64, F64]:
    """(points float64[size * size, 2], axis float64[size]) of a square that holds the head."""
    axis = np.linspace(-edge, edge, size)
    x, y = np.meshgrid(axis, axis)
    return np.column_stack([x.ravel(), y.ravel()]), axis
