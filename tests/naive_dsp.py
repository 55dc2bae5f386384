"""Slow, obvious twins of the cleaning stages, in float64, straight from their definitions."""

from __future__ import annotations

import numpy as np


def bridged(x, first, last, flank):
    out = np.array(x, dtype=np.float64)
    known = [*range(first - flank, first), *range(last + 1, last + 1 + flank)]
    middle = (first + last) / 2
    for c in range(out.shape[0]):
        p = np.polynomial.Polynomial.fit(np.array(known) - middle, out[c, known], 3)
        for i in range(first, last + 1):
            out[c, i] = p(i - middle)
    return out


def fitted_decay(t, y, taus):
    """Best (amplitude at t[0], tau) of A (1+t/tau)^-2 + offset by plain least squares for every tau."""
    best = None
    for tau in taus:
        g = (1 + t / tau) ** -2
        g = g / g[0]
        design = np.stack([g, np.ones_like(g)], axis=1)
        coefficients, *_ = np.linalg.lstsq(design, y, rcond=None)
        error = np.sum((y - design @ coefficients) ** 2)
        if best is None or error < best[0]:
            best = (error, coefficients[0], tau)
    return best[1], best[2]


def analytic(t, x, at, low, high, reach):
    """One complex value per channel: Gaussian-windowed exponential, blind to offset and slope, unit gain."""
    sigma = 1 / (2 * np.pi * (high - low) / 2 / np.sqrt(np.log(2)))
    centre = (low + high) / 2
    inside = np.abs(t - at) <= reach + 1e-9
    lag = t[inside] - at
    g = np.exp(-(lag**2) / (2 * sigma**2))
    h = g * np.exp(-2j * np.pi * centre * lag)
    # weighted least squares on (1, lag): remove g * (a + b lag) such that sum h = sum h lag = 0
    m = np.array([[np.sum(g), np.sum(g * lag)], [np.sum(g * lag), np.sum(g * lag**2)]])
    a, b = np.linalg.solve(m, np.array([np.sum(h), np.sum(h * lag)]))
    h = h - g * (a + b * lag)
    h = 2 * h / abs(np.sum(h * np.exp(2j * np.pi * centre * lag)))
    return x[:, inside] @ h
