"""Owns readings of a trial for its quality: when the pulse's artifact was over, channels that stand still, line noise; owns
no limit."""

from __future__ import annotations

import math

import numpy as np

from rtloop.jit import kernel
from rtloop.model.samples import F32, F64, I64, Bool

#: a channel is back once it stays within this of its mean before the pulse, or within so many of its own SD (assumptions)
BACK_UV, BACK_SDS = 50.0, 5.0
#: looked at so long after the pulse
WITHIN_S = 0.150
#: of the good channels
SHARE = 0.9
#: mains
LINE_HZ = (50.0, 60.0)


@kernel(
    "void(float32[:,::1], float32[:,::1], int64, int64, int64, float32, float32, float32[:,::1], int64[::1])"
)
def last_away(
    rows: F32,
    moments: F32,
    count: int,
    pulse: int,
    stop: int,
    back_uv: float,
    sds: float,
    work: F32,
    last: I64,
) -> None:
    """last[c]: rows from ``pulse`` to the last row in [pulse, stop) in which channel c is away from its mean before the pulse,
    plus one; 0 if it never is. ``moments`` float32[2, n]: sums of the values and of their squares over ``count`` rows there.
    ``work`` float32[2, n]: mean, limit."""
    mean, limit = work[0], work[1]
    last[:] = 0
    n = np.float32(count)
    for c in range(last.size):
        mean[c] = moments[0, c] / n
        sd = np.sqrt(max(np.float32(0.0), moments[1, c] / n - mean[c] * mean[c]))
        limit[c] = max(np.float32(back_uv), np.float32(sds) * sd)
    for i in range(pulse, stop):
        row = rows[i]
        for c in range(last.size):
            if abs(row[c] - mean[c]) > limit[c]:
                last[c] = i - pulse + 1


@kernel("void(float32[:,::1], int64[:,::1], int64, int64[::1])")
def longest_still(rows: F32, stretches: I64, step: int, longest: I64) -> None:
    """longest[c]: most looks in a row at which channel c had the value of the look before, every ``step`` rows of each
    stretch [first, stop)."""
    run = np.zeros(longest.size, dtype=np.int64)
    longest[:] = 0
    for s in range(stretches.shape[0]):
        run[:] = 0
        for i in range(stretches[s, 0] + step, stretches[s, 1], step):
            now, before = rows[i], rows[i - step]
            for c in range(longest.size):
                run[c] = run[c] + 1 if now[c] == before[c] else 0
                longest[c] = max(longest[c], run[c])


class Settling:
    """When the artifact of the pulse is over, from the raw epoch as rows at the full rate."""

    def __init__(
        self, *, rate_hz: float, pulse: int, n_rows: int, before: tuple[int, int], width: int
    ) -> None:
        self._rate_hz, self._pulse, self.before = rate_hz, pulse, before
        self._stop = min(n_rows, pulse + round(WITHIN_S * rate_hz))
        self._work: F32 = np.zeros((2, width), dtype=np.float32)
        self._longest: I64 = np.zeros(width, dtype=np.int64)
        self._last: I64 = np.zeros(width, dtype=np.int64)

    def still_s(self, rows: F32, stretches: I64) -> F64:
        """float64[width]: longest time, in steps of 1 ms, for which each channel had one and the same value inside a
        stretch [first, stop) of rows float32[n_samples, width]."""
        step = max(1, round(0.001 * self._rate_hz))
        longest_still(rows, stretches, step, self._longest)
        return np.asarray(self._longest * (step / self._rate_hz))

    def back_ms(self, rows: F32, usable: Bool, moments: F32 | None = None) -> float:
        """Milliseconds from the pulse after which SHARE of the usable channels are back at their mean before the pulse
        (BACK_UV or BACK_SDS) for the rest of WITHIN_S; NaN without usable channels.

        rows : float32[n_samples, width], µV, raw but finite in the usable channels; usable : bool[width]
        moments : float32[2, width], sums of the values and of their squares over the rows ``before``; None: from ``rows``
        """
        if not usable.any():
            return math.nan
        a, b = self.before
        if moments is None:
            moments = np.stack([rows[a:b].sum(axis=0), (rows[a:b] ** 2).sum(axis=0)])
        last_away(rows, moments, b - a, self._pulse, self._stop, BACK_UV, BACK_SDS, self._work, self._last)
        steps = np.sort(self._last[usable])
        return float(steps[math.ceil(SHARE * steps.size) - 1]) / self._rate_hz * 1e3


class LineNoise:
    """Amplitude at 50 or 60 Hz before the pulse, the larger of the two, by a sine and cosine fitted over whole cycles."""

    def __init__(self, times_s: F64, first: int, stop: int) -> None:
        step_s = float(times_s[1] - times_s[0])
        self._span = slice(first, stop)
        rows: list[F64] = []
        for hz in LINE_HZ:
            cycles = int((stop - first) * step_s * hz + 1e-6)
            n = round(cycles / hz / step_s)
            if cycles < 5 or n > stop - first or hz > 0.4 / step_s:
                continue
            t = times_s[stop - n : stop]
            turn = np.exp(-2j * np.pi * hz * t) * np.hanning(n)  # pink background leaks less than the line
            turn -= turn.mean() * np.hanning(n) / np.hanning(n).mean()
            turn *= 2 / np.hanning(n).sum()
            rows += [np.pad(part, (stop - first - n, 0)) for part in (turn.real, turn.imag)]
        self._matrix: F32 = np.array(rows, dtype=np.float32).reshape(len(rows), stop - first)

    def worst_uv(self, x: F32, good: Bool) -> float:
        """Amplitude (µV, peak) at the worst good channel of float32[n_times, n_channels or more]; NaN where no span holds
        five cycles or no channel is good."""
        if not (len(self._matrix) and good.any()):
            return math.nan
        both = (self._matrix @ x[self._span])[:, : good.size]
        return float(np.hypot(both[::2], both[1::2])[:, good].max())
