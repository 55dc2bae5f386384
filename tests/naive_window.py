"""Synchrony over one window as its definition says it, slowly: ground for the tests of what gates the trains."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from rtloop.model.samples import F32, F64


def naive_value(
    uv: F32, rate_hz: float, rows: tuple[int, ...], band_hz: tuple[float, float], measure: str
) -> float:
    """plv or dwpli2 of raw samples float32[n, n_channels], all good: the rate a whole number of kHz."""
    block = round(rate_hz / 1000.0)
    x = np.array([uv[i : i + block].astype(np.float64).mean(axis=0) for i in range(0, len(uv), block)])
    rate_hz /= block
    x = x - x.mean(axis=1, keepdims=True)
    t = np.arange(len(x)) / rate_hz
    sigma = np.sqrt(np.log(2)) / (np.pi * (band_hz[1] - band_hz[0]))
    reach, centre = 3 * sigma, sum(band_hz) / 2
    instants = int((len(x) / rate_hz - 2 * reach) / (2 * sigma)) + 1
    waves: list[F64] = []
    for row in rows:
        wave = []
        for at in np.linspace(t[0] + reach, t[-1] - reach, instants):
            near = np.abs(t - at) <= reach + 1e-9
            lag, weight = t[near] - at, np.exp(-0.5 * ((t[near] - at) / sigma) ** 2)
            # what a weighted straight line leaves of the samples, against the wave
            line = np.stack([np.ones(lag.size), lag], axis=1)
            fit = np.linalg.lstsq(
                line * np.sqrt(weight)[:, None], x[near, row] * np.sqrt(weight), rcond=None
            )[0]
            wave.append(np.sum(weight * (x[near, row] - line @ fit) * np.exp(-2j * np.pi * centre * lag)))
        waves.append(np.array(wave))
    return float(np.mean([_pair(a, b, measure) for a, b in combinations(waves, 2)]))


def _pair(a: F64, b: F64, measure: str) -> float:
    cross = a * np.conj(b)
    if measure == "plv":
        return float(abs(np.mean(cross / np.abs(cross))))
    up = down = 0.0
    for i, j in combinations(range(len(cross)), 2):
        up += cross[i].imag * cross[j].imag
        down += abs(cross[i].imag * cross[j].imag)
    return up / down
