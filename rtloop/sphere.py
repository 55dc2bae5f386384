"""Owns the potential of current dipoles in a three-shell sphere; owns no electrodes, sources or noise.

Radii 81, 85, 88 mm, conductivities 0.33, 0.33/50, 0.33 S/m (brain and fluid, skull, scalp). The series is
that of a dipole in concentric shells (Rush & Driscoll 1969, 10.1109/TBME.1969.4502598; de Munck & Peters
1993, 10.1109/10.245623), here with one transfer factor per degree found by matching potential and current at
each border.
"""

from __future__ import annotations

import numpy as np

from rtloop.model.samples import F64

RADII_M = (0.081, 0.085, 0.088)
CONDUCTIVITIES_S_PER_M = (0.33, 0.33 / 50.0, 0.33)
#: relative size below which further terms of the series are left out
_TOLERANCE = 1e-9
_MOST_TERMS = 600


def transfer_factors(
    n_terms: int,
    radii_m: tuple[float, ...] = RADII_M,
    conductivities_s_per_m: tuple[float, ...] = CONDUCTIVITIES_S_PER_M,
) -> F64:
    """Surface potential per unit of source field, for each degree n = 1..n_terms: float64[n_terms], no unit.

    In each shell phi_n = A r^n + B r^-(n+1), r in units of the outer radius. No current leaves the head, so
    outside B = A n/(n+1); potential and sigma dphi/dr are carried inward border by border; the factor is
    phi_n(1)/B of the innermost shell. A homogeneous sphere gives (2n+1)/n.
    """
    n = np.arange(1, n_terms + 1, dtype=np.float64)
    a, b = np.ones(n_terms), n / (n + 1.0)
    surface = a + b
    rho = np.asarray(radii_m) / radii_m[-1]
    for k in range(len(radii_m) - 2, -1, -1):
        r, outer, inner = rho[k], conductivities_s_per_m[k + 1], conductivities_s_per_m[k]
        rising, falling = a * r**n, b * r ** -(n + 1.0)
        phi = rising + falling
        current = outer / inner * (n * rising - (n + 1.0) * falling)
        falling_in = (n * phi - current) / (2.0 * n + 1.0)
        a, b = (phi - falling_in) / r**n, falling_in * r ** (n + 1.0)
    return np.asarray(surface / b)


def leadfield(
    positions_m: F64,
    sources_m: F64,
    orientations: F64 | None = None,
    *,
    radii_m: tuple[float, ...] = RADII_M,
    conductivities_s_per_m: tuple[float, ...] = CONDUCTIVITIES_S_PER_M,
) -> F64:
    """Potential at each electrode of unit dipoles: float64[n_electrodes, n_sources], V per A·m, reference at
    infinity.

    Parameters
    ----------
    positions_m : float64[n_electrodes, 3], metres from the centre; moved along their radius onto the scalp
    sources_m : float64[n_sources, 3], metres; must lie inside the innermost shell
    orientations : float64[n_sources, 3], unit vectors; None means radial
    radii_m, conductivities_s_per_m : the shells from the inside out, when the head is another one

    Raises
    ------
    ValueError : wrong shapes, an electrode at the centre, a source outside the innermost shell or not finite
    """
    electrodes = _rows_of_three(positions_m, "positions_m")
    sources = _rows_of_three(sources_m, "sources_m")
    radius = np.linalg.norm(electrodes, axis=1)
    if not bool(np.all(radius > 0.0)):
        raise ValueError("an electrode at the centre (or not finite) has no place on the scalp")
    depth = np.linalg.norm(sources, axis=1)
    if not bool(np.all(depth < radii_m[0])):
        raise ValueError(
            f"sources must lie within {radii_m[0]} m of the centre, found {float(np.max(depth)):.4f} m"
        )
    central = depth < 1e-9
    if orientations is None:
        if bool(np.any(central)):
            raise ValueError("a dipole at the centre needs an orientation")
        moments = sources / depth[:, None]
    else:
        moments = _rows_of_three(orientations, "orientations")
        if moments.shape != sources.shape:
            raise ValueError(f"orientations {moments.shape} do not fit sources {sources.shape}")
    radial = np.where(central[:, None], moments, sources / np.where(central, 1.0, depth)[:, None])
    e = electrodes / radius[:, None]
    x = e @ radial.T
    along = np.sum(moments * radial, axis=1)
    across = e @ moments.T - x * along
    f = depth / radii_m[-1]
    n_terms = _terms_for(float(np.max(f, initial=0.0)))
    factors = transfer_factors(n_terms, radii_m, conductivities_s_per_m)
    return _series(x, f, along, across, factors) / (
        4.0 * np.pi * conductivities_s_per_m[0] * radii_m[-1] ** 2
    )


def _rows_of_three(points: F64, name: str) -> F64:
    out = np.asarray(points, dtype=np.float64)
    if out.ndim != 2 or out.shape[1] != 3:
        raise ValueError(f"{name} must be float64[n, 3], found {out.shape}")
    return out


def _terms_for(f: float) -> int:
    """Degrees needed so that n^2 f^n is below the tolerance."""
    n = 8
    while n < _MOST_TERMS and n * n * f**n > _TOLERANCE:
        n += 8
    return n


def _series(x: F64, f: F64, along: F64, across: F64, factors: F64) -> F64:
    """Sum over n of factor_n f^(n-1) [n P_n(x) along + P_n'(x) across], block by block of sources to stay in
    cache.
    """
    out = np.empty_like(x)
    for first in range(0, x.shape[1], 64):
        cut = slice(first, first + 64)
        out[:, cut] = _series_block(x[:, cut], f[cut], along[cut], across[:, cut], factors)
    return out


def _series_block(x: F64, f: F64, along: F64, across: F64, factors: F64) -> F64:
    radial_only = bool(np.all(np.abs(across) < 1e-12))
    total = np.zeros_like(x)
    p_before, p = np.ones_like(x), x.copy()  # P_0, P_1
    d_before, d = np.zeros_like(x), np.ones_like(x)  # P_0', P_1'
    power = np.ones_like(f)
    for n in range(1, factors.size + 1):
        weight = factors[n - 1] * power
        total += p * (n * weight * along)
        if not radial_only:
            total += d * across * weight
            d_before, d = d, d_before + (2 * n + 1) * p  # P'_{n+1} = P'_{n-1} + (2n+1) P_n
        p_before, p = p, ((2 * n + 1) / (n + 1.0)) * x * p - (n / (n + 1.0)) * p_before
        power = power * f
    return total
