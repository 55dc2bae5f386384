"""Slow twins of the window's kernels, for tests: plain loops that can be read against the definition."""

from __future__ import annotations

import math

import numpy as np


def columns(
    data: np.ndarray, first: int, samples: int, width: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest sample (float32[n_channels, count]) of ``count`` columns from sample ``first``, NaN passed over."""
    lo = np.full((len(data), count), np.nan, np.float32)
    hi = lo.copy()
    for j, row in enumerate(data):
        for k in range(count):
            a = first + k * samples // width
            b = max(first + (k + 1) * samples // width, a + 1)
            known = [v for v in row[a:b] if not math.isnan(v)]
            if known:
                lo[j, k], hi[j, k] = min(known), max(known)
    return lo, hi


def picture(
    lo: np.ndarray, hi: np.ndarray, level: np.ndarray, span_uv: float, colours: np.ndarray, ground: np.ndarray,
    gap: int, height: int, thick: int,
) -> np.ndarray:  # fmt: skip
    """The image of ``gui.raster.draw_spans``, pixel by pixel."""
    n, width = lo.shape
    image = np.tile(ground, (height, 1))
    for j in range(n):
        first = j * height // n
        last = max((j + 1) * height // n, first + 1)
        for x in range(width):
            low, high = float(lo[j, x]), float(hi[j, x])
            if math.isnan(low):
                image[first:last, x] = gap
                continue
            if not low <= high:
                continue
            if x > 0 and lo[j, x - 1] <= hi[j, x - 1]:
                low, high = min(low, float(hi[j, x - 1])), max(high, float(lo[j, x - 1]))
            centre, scale = (first + last) / 2, (last - first) / span_uv
            top, bottom = (
                int(min(max(centre - (v - float(level[j])) * scale, first), last - 1)) for v in (high, low)
            )
            size = max(bottom - top + 1, thick)
            top = max(min(top, last - size), first)
            image[top : min(top + size, last), x] = colours[j]
    return image
