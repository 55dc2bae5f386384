"""Owns the picture of many channels over one another: how many lines pass over each pixel; owns no Qt and no colours' meaning.

Each channel's polyline covers, in each pixel column, the rows from its least to its greatest value there. The two ends are
entered in a difference array, whose running sum down the column is the number of lines on each pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rtloop.jit import kernel
from rtloop.model.samples import F32, F64, Bool

U32 = npt.NDArray[np.uint32]


@kernel("void(Array(float32, 2, 'C', readonly=True), float64[::1], int64[::1], boolean[::1], float32, float32,"
        " int32[:,:,::1], uint32[:,::1], uint32[:,::1])")  # fmt: skip
def _paint(
    values: Any, at: Any, first: Any, front: Any, most: Any, scale: Any, steps: Any, shades: Any, out: Any
) -> None:
    """``at`` place (in samples) of each column edge, NaN outside; ``first`` first sample at or after each edge.

    ``steps`` int32[2, height + 1, width] scratch; ``shades`` uint32[2, 8]; ``out`` uint32[height, width].
    """
    height, width = out.shape
    for layer in range(2):
        for r in range(height + 1):
            for j in range(width):
                steps[layer, r, j] = 0
    last = values.shape[1] - 2
    nan, rows = np.float32(np.nan), np.float32(height)
    for c in range(values.shape[0]):
        row = values[c]
        layer = 1 if front[c] else 0
        before = nan
        for j in range(width + 1):
            here = nan
            if at[j] >= 0.0:
                i = min(int(at[j]), last)
                share = np.float32(at[j] - i)
                here = row[i] if share == 0.0 else row[i] + share * (row[i + 1] - row[i])
            if j > 0:
                low, high = np.float32(np.inf), np.float32(-np.inf)
                for i in range(first[j - 1], first[j]):
                    v = row[i]
                    low = v if v < low else low  # false for NaN
                    high = v if v > high else high
                for v in (before, here):
                    low = v if v < low else low
                    high = v if v > high else high
                if low <= high:
                    top = min(max((most - high) * scale, np.float32(-1.0)), rows)
                    bottom = min(max((most - low) * scale, np.float32(-1.0)), rows)
                    a = max(int(np.floor(top)), 0)
                    b = min(int(np.floor(bottom)) + 1 + layer, height)
                    if b > a:
                        steps[layer, a, j - 1] += 1
                        steps[layer, b, j - 1] -= 1
            before = here
    for layer in range(2):
        for r in range(1, height):
            for j in range(width):
                steps[layer, r, j] += steps[layer, r - 1, j]
    for r in range(height):
        for j in range(width):
            ahead = steps[1, r, j]
            out[r, j] = shades[1, min(ahead, 7)] if ahead > 0 else shades[0, min(steps[0, r, j], 7)]


class LinePicture:
    """Draws channels into an array and keeps its scratch for the next time."""

    def __init__(self) -> None:
        self._steps = np.empty((2, 1, 0), np.int32)
        self._out: U32 = np.empty((0, 0), np.uint32)

    def draw(
        self, times: F64, values: F32, front: Bool, *, x: tuple[float, float], y: tuple[float, float],
        size: tuple[int, int], shades: U32,
    ) -> U32:  # fmt: skip
        """Picture uint32[height, width]; valid until the next call.

        times : float64[n_times], ascending; values : float32[n_channels, n_times], NaN is a hole; front : bool[n_channels]
        are drawn over the others and two pixels wide; x, y : what is shown; size : width and height in pixels; shades :
        uint32[2, 8], colour for 0, 1, ... 7 and more lines on a pixel, behind and in front.
        """
        width, height = size
        if self._out.shape != (height, width):
            self._out = np.empty((height, width), np.uint32)
            self._steps = np.empty((2, height + 1, width), np.int32)
        if times.size < 2 or not values.shape[0]:
            self._out[:] = shades[0, 0]
            return self._out
        edges = np.linspace(x[0], x[1], width + 1)
        at = np.interp(edges, times, np.arange(times.size), left=np.nan, right=np.nan)
        first = np.searchsorted(times, edges).astype(np.int64)
        most, scale = np.float32(y[1]), np.float32(height / (y[1] - y[0]))
        _paint(np.ascontiguousarray(values), at, first, front, most, scale, self._steps, shades, self._out)
        return self._out
