"""Owns the picture of many traces: least and greatest sample of each pixel column, drawn as spans; owns no Qt and no clock.

A curve of n samples over w pixels looks the same as w vertical spans between the least and the greatest sample of each
column, each stretched to touch its neighbour. Columns lie on a fixed grid of samples, so a column once full never changes,
and a tick works on the new ones only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rtloop.eeg.ring import Ring
from rtloop.errors import NotReady
from rtloop.jit import kernel
from rtloop.model.samples import F32

U32 = npt.NDArray[np.uint32]
I32 = npt.NDArray[np.int32]
_BLANK_LOW, _BLANK_HIGH = np.float32(np.inf), np.float32(-np.inf)  # nothing there yet
_MIDDLES = 128  # columns looked at for a channel's level

_IN = "Array(float32, 2, 'C', readonly=True)"
_ANY = "Array(float32, 2, 'A', readonly=True)"


@kernel(
    f"void({_IN}, int64, int64, int64, int64, int64, int64[::1], float32[:,::1], float32[:,::1], float32[:,::1])"
)
def columns_of_rows(
    rows: F32,
    base: int,
    samples: int,
    width: int,
    k0: int,
    k1: int,
    columns: Any,
    lo: F32,
    hi: F32,
    scratch: F32,
) -> None:
    """Least and greatest sample of grid columns ``k0 .. k1``, from sample-major rows that begin at sample ``base``.

    Column k holds samples ``k * samples // width`` up to the next one's (at least one). NaN is passed over; a column of
    nothing else becomes NaN. ``lo, hi`` float32[n_channels, width], written at k modulo width; ``scratch`` float32[2, n_row].
    """
    n_all = rows.shape[1]
    low, high = scratch[0], scratch[1]
    for k in range(k0, k1):
        a = k * samples // width
        b = max((k + 1) * samples // width, a + 1)
        for c in range(n_all):
            low[c], high[c] = np.float32(np.inf), np.float32(-np.inf)
        for i in range(a - base, b - base):
            row = rows[i]
            for c in range(n_all):
                v = row[c]
                low[c] = v if v < low[c] else low[c]  # false for NaN; one instruction for eight channels
                high[c] = v if v > high[c] else high[c]
        x = k % width
        for j in range(columns.shape[0]):
            c = columns[j]
            if low[c] <= high[c]:
                lo[j, x], hi[j, x] = low[c], high[c]
            else:
                lo[j, x] = hi[j, x] = np.float32(np.nan)


@kernel(f"void({_ANY}, int64, int64, int64, int64, float32[:,::1], float32[:,::1])")
def columns_of_recording(data: F32, first: int, samples: int, width: int, end: int, lo: F32, hi: F32) -> None:
    """The same for channel-major ``data`` float32[n_channels, n_samples]: the page of ``samples`` from sample ``first``.

    Columns beyond ``end`` (or before sample 0) are left as they are.
    """
    for j in range(data.shape[0]):
        for x in range(width):
            a = first + x * samples // width
            b = max(first + (x + 1) * samples // width, a + 1)
            if a < 0 or b > end:
                continue
            low, high = np.float32(np.inf), np.float32(-np.inf)
            for i in range(a, b):
                v = data[j, i]
                low = v if v < low else low
                high = v if v > high else high
            if low <= high:
                lo[j, x], hi[j, x] = low, high
            else:
                lo[j, x] = hi[j, x] = np.float32(np.nan)


@kernel("void(float32[:,::1], float32[:,::1], float32[::1], float32[::1])")
def levels(lo: F32, hi: F32, scratch: F32, out: F32) -> None:
    """Level of each channel: median over columns of the middle between least and greatest; 0 where nothing is there."""
    n, width = lo.shape
    step = max(1, width // scratch.shape[0])
    for j in range(n):
        count = 0
        for x in range(0, width, step):
            middle = np.float32(0.5) * (lo[j, x] + hi[j, x])  # blank: inf - inf is NaN
            if count < scratch.shape[0] and np.isfinite(middle):
                scratch[count] = middle
                count += 1
        out[j] = np.float32(np.median(scratch[:count])) if count else np.float32(0.0)


@kernel(
    "void(uint32[:,::1], float32[:,::1], float32[:,::1], float32[::1], float64, uint32[::1], uint32[::1], uint32,"
    " int64, int64, int64, int32[:,::1])"
)
def draw_spans(
    image: U32, lo: F32, hi: F32, level: F32, span_uv: float, colours: U32, ground: U32, gap: int,
    x0: int, x1: int, thick: int, scratch: I32,
) -> None:  # fmt: skip
    """Paint columns ``x0 .. x1`` of all lanes; ``span_uv`` is what fits into one lane, whose centre is the ``level``.

    ``image`` uint32[height, width]; ``ground`` uint32[width] is what lies behind; a column of NaN fills its lane with
    ``gap``. Clipped to the lane. More lanes than rows: lanes share a row, the later one in front. ``scratch`` int32[2, width].
    """
    n, height, m = lo.shape[0], image.shape[0], x1 - x0
    top, size, behind = scratch[0, :m], scratch[1, :m], ground[x0:x1]
    clean = 0  # rows above this one already have their ground
    half = np.float32(0.5)
    for j in range(n):
        first = j * height // n
        last = max((j + 1) * height // n, first + 1)
        scale = np.float32((last - first) / span_uv)
        centre = half * np.float32(first + last) + level[j] * scale
        least, most = np.float32(first), np.float32(last - 1)
        lows, highs = lo[j, x0:x1], hi[j, x0:x1]
        before = x0 > 0
        low_before, high_before = (lo[j, x0 - 1], hi[j, x0 - 1]) if before else (highs[0], lows[0])
        gaps = False
        for x in range(m):
            low, high = lows[x], highs[x]
            upper = centre - (max(high, low_before) if low_before <= high_before else high) * scale
            lower = centre - (min(low, high_before) if low_before <= high_before else low) * scale
            upper = upper if upper > least else least
            upper = upper if upper < most else most
            lower = lower if lower > least else least
            lower = lower if lower < most else most
            here = low <= high
            gaps |= low != low
            length = max(np.int32(lower) - np.int32(upper) + 1, thick)
            top[x] = max(min(np.int32(upper), last - length), first)
            size[x] = min(length, last - first) if here else 0
            low_before, high_before = low, high
        colour = colours[j]
        for y in range(first, last):
            line = image[y, x0:x1]
            row = np.int32(y)
            if y >= clean:
                for x in range(m):
                    line[x] = colour if np.uint32(row - top[x]) < np.uint32(size[x]) else behind[x]
            else:
                for x in range(m):
                    line[x] = colour if np.uint32(row - top[x]) < np.uint32(size[x]) else line[x]
            if gaps:
                for x in range(m):
                    line[x] = gap if lows[x] != lows[x] else line[x]
        clean = last


class Raster:
    """Spans and picture of ``n_channels`` lanes, ``width`` x ``height`` pixels, over a window of ``samples``.

    ``image`` uint32[height, width], 0xffRRGGBB. Two ways to fill it: ``sweep`` (a ring, new columns only) and ``page``
    (a stretch of a recording). The sweep writes column k at k modulo the width, with a blank stretch ahead of the newest.
    """

    def __init__(self, *, n_channels: int, samples: int, width: int, height: int, thick: int = 1) -> None:
        if not (n_channels >= 1 and samples >= 1 and width >= 8 and height >= 1 and thick >= 1):
            raise ValueError(
                f"raster of {n_channels} channels, {samples} samples, {width} x {height}, {thick}"
            )
        self.samples, self.width, self.height, self.thick = samples, width, height, thick
        self.lo: F32 = np.full((n_channels, width), _BLANK_LOW, np.float32)
        self.hi: F32 = np.full((n_channels, width), _BLANK_HIGH, np.float32)
        self.image: U32 = np.zeros((height, width), np.uint32)
        self.level: F32 = np.zeros(n_channels, np.float32)
        self.colours: U32 = np.full(n_channels, 0xFFFFFFFF, np.uint32)
        self.ground: U32 = np.full(width, 0xFF000000, np.uint32)
        self.gap_colour, self.span_uv = 0xFF808000, 100.0
        self.ahead = max(4, width // 60)  # blank columns in front of the newest
        self.newest: int | None = None  # grid column after the newest drawn one
        self._span = np.empty((2, width), np.int32)
        self._middles = np.empty(_MIDDLES, np.float32)
        self._row = np.empty((2, 1), np.float32)

    def sweep(self, ring: Ring, columns: npt.NDArray[np.int64]) -> tuple[int, int]:
        """Take what is new in the ring; returns the grid columns ``(k0, k1)`` that were taken (equal: none).

        After a stall longer than the window, or when samples were overwritten while they were read, the window is taken
        anew. Needs ``draw`` afterwards.
        """
        n, w = self.samples, self.width
        head = ring.head()
        end = head * w // n
        oldest = max(0, head - ring.readable + int(ring.rate_hz * 0.25))
        start = max(end - w + self.ahead, -(-oldest * w // n), 0)
        if self.newest is None or self.newest > end or self.newest < start:
            self.blank()
        else:
            start = self.newest
        if start >= end:
            return end, end
        first, last = start * n // w, max(end * n // w, (end - 1) * n // w + 1)
        if self._row.shape[1] != ring.n_channels:
            self._row = np.empty((2, ring.n_channels), np.float32)
        try:
            rows = ring.view(first, last - first)
        except NotReady:
            return self.blank()
        columns_of_rows(rows, first, n, w, start, end, columns, self.lo, self.hi, self._row)
        if not ring.intact(first):
            return self.blank()
        for k in range(end, end + self.ahead):
            self.lo[:, k % w], self.hi[:, k % w] = _BLANK_LOW, _BLANK_HIGH
        self.newest = end
        return start, end

    def page(self, data: F32, first: int) -> None:
        """Take the page of a recording, float32[n_channels, n_samples], that begins at sample ``first``."""
        self.blank()
        columns_of_recording(data, first, self.samples, self.width, data.shape[1], self.lo, self.hi)

    def blank(self) -> tuple[int, int]:
        """Forget every column."""
        self.lo[:], self.hi[:] = _BLANK_LOW, _BLANK_HIGH
        self.newest = None
        return 0, 0

    def find_levels(self) -> float:
        """Put each lane's centre at the channel's level; returns the largest move in µV."""
        before = self.level.copy()
        levels(self.lo, self.hi, self._middles, self.level)
        return float(np.abs(self.level - before).max())

    def draw(self, x0: int = 0, x1: int | None = None) -> None:
        """Paint picture columns ``x0 .. x1`` from the spans."""
        draw_spans(
            self.image, self.lo, self.hi, self.level, self.span_uv, self.colours, self.ground, self.gap_colour,
            x0, self.width if x1 is None else x1, self.thick, self._span,
        )  # fmt: skip
