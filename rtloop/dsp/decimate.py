"""Owns the step from the amplifier's rate to the working rate; owns no other filter.

A zero-phase Kaiser-windowed sinc evaluated at every output instant (Crochiere & Rabiner 1983): one row of
taps per output sample, so any ratio, 4800 Hz to 1000 Hz included, is exact and the pulse stays at exactly t =
0. Rows that reach over the ends of the epoch are cut and renormalised: only samples nearer to an end than
``half_s`` are affected.

Where the ratio of the rates repeats after a few output samples (5 kHz: after each), so do the taps: a block of outputs is one
small matrix times the rows it reaches, for all blocks the same, and a product of matrices is several times faster than a sum
tap by tap. Other ratios, and the ends of the epoch, are summed tap by tap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtloop.dsp.rows import padded, weighted
from rtloop.errors import ValidationProblem
from rtloop.model.samples import F32, F64, I64

#: outputs of a block, at least; taps repeat after so many outputs at most, and are then the same to this
_BLOCK, _LONGEST, _SAME = 8, 16, 1e-6


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Outputs [start, stop): block b is ``matrix`` float32[outputs, reach] times the rows from ``first + b * step`` on."""

    start: int
    stop: int
    first: int
    step: int
    matrix: F32


class Decimator:
    """float32[n_channels, n_in] -> float32[n_channels, n_out]; identity when the rates agree.

    ``times_s`` float64[n_out] are the output instants, seconds from the pulse.
    """

    def __init__(
        self,
        *,
        n_in: int,
        pulse_sample: int,
        rate_hz: float,
        rate_out_hz: float = 1000.0,
        pass_hz: float = 300.0,
        stop_hz: float = 700.0,
        stop_db: float = 60.0,
    ) -> None:
        if not rate_out_hz - 1e-6 <= rate_hz <= 25000.0 + 1e-6:
            raise ValidationProblem(
                "sampling rate outside what the chain can take", expected=f"{rate_out_hz:g}-25000 Hz",
                found=f"{rate_hz:g} Hz", todo="set the amplifier to 1-25 kHz",
            )  # fmt: skip
        self.n_in = n_in
        self.identity = abs(rate_hz - rate_out_hz) < 1e-6
        self._blocks: Blocks | None = None
        if self.identity:
            self.times_s: F64 = (np.arange(n_in) - pulse_sample) / rate_hz
            self.half_s = 0.0
            return
        j = np.arange(
            np.ceil(-pulse_sample / rate_hz * rate_out_hz - 1e-6),
            np.floor((n_in - 1 - pulse_sample) / rate_hz * rate_out_hz + 1e-6) + 1,
        )
        self.times_s = j / rate_out_hz
        width = (stop_db - 7.95) / (2.285 * 2 * np.pi * (stop_hz - pass_hz) / rate_hz)
        beta = (
            0.1102 * (stop_db - 8.7)
            if stop_db > 50
            else 0.5842 * (stop_db - 21) ** 0.4 + 0.07886 * (stop_db - 21)
        )
        half = width / 2
        self.half_s = half / rate_hz
        n_taps = min(8 * int(np.ceil((width + 1) / 8)), 8 * (n_in // 8))
        centre = pulse_sample + self.times_s * rate_hz
        nearest = np.floor(centre - (n_taps - 1) / 2 + 0.5 - 1e-6)  # of two as near, always the former
        first = np.clip(nearest.astype(np.int64), 0, n_in - n_taps)
        offset = first[:, None] + np.arange(n_taps)[None, :] - centre[:, None]
        cut = (pass_hz + stop_hz) / rate_hz  # = 2 * mean of both, in cycles per sample
        inside = np.abs(offset) <= half
        window = np.i0(beta * np.sqrt(np.where(inside, 1 - (offset / half) ** 2, 0.0)))
        taps = np.where(inside, np.sinc(cut * offset) * window, 0.0)
        taps /= taps.sum(axis=1, keepdims=True)
        self._first: I64 = np.ascontiguousarray(first)
        self._taps: F32 = np.ascontiguousarray(taps, dtype=np.float32)
        whole = np.flatnonzero(
            (first > 0) & (first < n_in - n_taps) & (centre >= half) & (centre <= n_in - 1 - half)
        )
        if whole.size:
            self._blocks = blocks_of(first, taps, whole, rate_hz / rate_out_hz)

    def apply(self, data_uv: F32) -> F32:
        """A new array at the output rate."""
        n = data_uv.shape[0]
        rows = np.zeros((self.n_in, padded(n)), dtype=np.float32)
        rows[:, :n] = data_uv.T
        out = np.empty((self.times_s.size, rows.shape[1]), dtype=np.float32)
        self.rows(rows, out)
        return np.ascontiguousarray(out[:, :n].T)

    def rows(self, rows: F32, out: F32) -> None:
        """The same over rows, float32[n_in, n] into float32[n_out, n]."""
        b = self._blocks
        if self.identity:
            out[...] = rows
        elif b is None:
            weighted(rows, self._first, self._taps, out)
        else:
            for some in (slice(None, b.start), slice(b.stop, None)):
                weighted(rows, self._first[some], self._taps[some], out[some])
            (outputs, reach), (row, number) = b.matrix.shape, rows.strides
            shape = (b.stop - b.start) // outputs, reach, rows.shape[1]
            stretches: F32 = np.ndarray(shape, np.float32, rows, b.first * row, (b.step * row, row, number))
            np.matmul(b.matrix, stretches, out=out[b.start : b.stop].reshape(shape[0], outputs, shape[2]))


def blocks_of(first: I64, taps: F64, whole: I64, ratio: float) -> Blocks | None:
    """The blocks that the taps of ``Decimator`` make up, ``ratio`` input samples per output; None where they do not repeat.

    first, taps : first input int64[n_out] and taps float64[n_out, n_taps] of each output; whole : outputs that reach over no end
    """
    again = np.arange(1, _LONGEST + 1)
    period = again[np.abs(again * ratio - np.round(again * ratio)) < 1e-9]
    if not period.size:
        return None
    n = int(period[0]) * -(-_BLOCK // int(period[0]))
    start, step, count = int(whole[0]), round(n * ratio), whole.size // n
    at = first[start : start + count * n].reshape(count, n) - step * np.arange(count)[:, None]
    own = taps[start : start + count * n].reshape(count, n, -1)
    if not count or (at != at[0]).any() or np.abs(own - own[0]).max() > _SAME * np.abs(own).max():
        return None
    low = int(at[0].min())
    matrix = np.zeros((n, int(at[0].max()) - low + taps.shape[1]), dtype=np.float32)
    for row, to, values in zip(matrix, at[0] - low, own[0], strict=True):
        row[to : to + values.size] = values
    return Blocks(start=start, stop=start + count * n, first=low, step=step, matrix=matrix)


def decimate(
    data_uv: F32, *, rate_hz: float, pulse_sample: int, rate_out_hz: float = 1000.0
) -> tuple[F32, F64]:
    """Decimated copy of a bridged epoch float32[n_channels, n_samples], and its instants in seconds from the
    pulse."""
    step = Decimator(
        n_in=data_uv.shape[1], pulse_sample=pulse_sample, rate_hz=rate_hz, rate_out_hz=rate_out_hz
    )
    return step.apply(np.ascontiguousarray(data_uv, dtype=np.float32)), step.times_s
