"""Owns the compiled search for pulse onsets, trigger edges and artifacts; owns no pairing of sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtloop.jit import kernel
from rtloop.model.samples import F32, I64

_STEP = 0.02  # the running median moves by this share of itself per look


@dataclass(frozen=True, kw_only=True)
class OnsetLimits:
    """What counts as an onset. An artifact is a jump far beyond eye and muscle on many channels in 1 ms."""

    span_s: float = 0.001
    floor_uv: float = 500.0  # least jump within the span (a blink makes ~5, hard clenching some hundreds)
    noise_factor: float = 12.0  # and this many times the channel's running median |difference| over the span
    share: float = 0.20  # of the channels must jump, and
    least_channels: int = 3
    refractory_s: float = (
        0.015  # after an onset (muscle, decay, ringing); bounds the pulse rate that is resolved
    )
    settle_s: float = 0.5  # from the start: the channels' noise is learnt, no artifact is looked for
    trigger_rise: float = 0.5  # a step up of at least this in the trigger channel is an edge


@kernel(
    "int64(Array(float32, 2, 'C', readonly=True),"
    "int64, int64[::1], int64, float32[::1], int64[::1], float64, float64,"
    "int64, int64, float64, int64[::1], int64[::1])"
)
def find(
    rows: F32,
    first: int,
    columns: I64,
    trigger: int,
    medians: F32,
    state: I64,
    floor_uv: float,
    factor: float,
    needed: int,
    refractory: int,
    rise: float,
    onsets: I64,
    edges: I64,
) -> int:
    """Search rows[span:] (rows[:span] is history); returns how many onsets (low 16 bits), edges (above).

    Parameters
    ----------
    rows : float32[span + n, all columns], µV; ``first`` is the sample index of rows[span]
    columns, trigger : EEG columns; the trigger column or -1
    medians : float32[n_eeg], running median of |x[i] - x[i - span]|, µV: moves 2 % once a span
    state : int64[4], quiet until (artifact), quiet until (trigger), span
    onsets, edges : int64[...], sample indices found
    """
    span = state[2]
    n_on, n_edge = 0, 0
    n_eeg = columns.size
    for i in range(span, rows.shape[0]):
        sample = first + i - span
        if (
            trigger >= 0
            and sample >= state[1]
            and rows[i, trigger] - rows[i - 1, trigger] >= rise
            and n_edge < edges.size
        ):
            edges[n_edge] = sample
            n_edge += 1
            state[1] = sample + refractory
        learn = sample % span == 0
        if sample >= state[0] and n_on < onsets.size:
            jumped = 0
            for k in range(n_eeg):
                c = columns[k]
                d = abs(rows[i, c] - rows[i - span, c])
                if d >= floor_uv and d >= factor * medians[k]:
                    jumped += 1
            if jumped >= needed:
                j = i - span + 1  # the first sample that has left the level before: a quarter of the way
                while j < i:
                    away = 0
                    for k in range(n_eeg):
                        c = columns[k]
                        if abs(rows[j, c] - rows[i - span, c]) >= 0.25 * max(floor_uv, factor * medians[k]):
                            away += 1
                    if away >= needed:
                        break
                    j += 1
                onsets[n_on] = first + j - span
                n_on += 1
                state[0] = first + j - span + refractory
        if learn:
            for k in range(n_eeg):
                c = columns[k]
                d = abs(rows[i, c] - rows[i - span, c])
                if d > medians[k]:
                    medians[k] = min(medians[k] * np.float32(1.0 + _STEP), np.float32(1e6))
                elif d < medians[k]:
                    medians[k] = max(medians[k] * np.float32(1.0 - _STEP), np.float32(0.01))
    return n_on + (n_edge << 16)


class Onsets:
    """The search with its memory. ``search`` takes every row once, each time with the span before it."""

    def __init__(
        self,
        *,
        rate_hz: float,
        columns: tuple[int, ...],
        trigger: int | None,
        limits: OnsetLimits | None = None,
    ) -> None:
        self.limits = limits or OnsetLimits()
        self._rate_hz = rate_hz
        self.span = max(1, round(self.limits.span_s * rate_hz))
        self._columns = np.array(columns, np.int64)
        self._trigger = -1 if trigger is None else trigger
        self._medians = np.full(len(columns), 2.0, np.float32)
        self._state = np.array([round(self.limits.settle_s * rate_hz), 0, self.span, 0], np.int64)
        self._refractory = max(1, round(self.limits.refractory_s * rate_hz))
        self._needed = max(
            min(self.limits.least_channels, len(columns)), round(self.limits.share * len(columns))
        )
        self._onsets, self._edges = np.zeros(4096, np.int64), np.zeros(4096, np.int64)

    def restart(self, sample: int, *, settle: bool) -> None:
        """The stream begins anew at ``sample``; with ``settle`` as at the start: no artifact is looked for at first."""
        self._state[0] = max(
            self._state[0], sample + (round(self.limits.settle_s * self._rate_hz) if settle else 0)
        )

    def search(self, rows: F32, first: int) -> tuple[I64, I64]:
        """Artifact onsets, trigger edges, int64 sample indices; ``rows`` float32[span + n, all columns]."""
        limits = self.limits
        got = find(
            rows,
            first,
            self._columns,
            self._trigger,
            self._medians,
            self._state,
            limits.floor_uv,
            limits.noise_factor,
            self._needed,
            self._refractory,
            limits.trigger_rise,
            self._onsets,
            self._edges,
        )
        return self._onsets[: got & 0xFFFF].copy(), self._edges[: got >> 16].copy()
