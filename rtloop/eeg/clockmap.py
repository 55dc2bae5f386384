"""Owns the one conversion between sample index and LSL seconds, and the search for gaps; owns no samples.

Time base is the sample count. Chunk stamps only place a robust line under it (their delays are one-sided:
late, never early), so a late chunk moves nothing, while lost samples shift every later stamp. LSL's own
dejittering is never used: after a loss its stamps stay wrong for tens of seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace

import numpy as np

from rtloop.eeg.ring import Ring
from rtloop.errors import NotReady

MEMORY_S = 60.0  # the line is fitted over this much
BIN_S = 0.1  # of each bin only the earliest stamp counts
FREE_SLOPE_S = 3.0  # with less history the slope is the nominal sample period
JUMP_S = 0.020  # a stamp this far off the line is a gap at once ...
SHIFT_S = 0.003  # ... and this far off in the earliest stamp of two bins in a row is one, found late
JITTER_FACTOR = 5.0  # both grow with the spread of the stamps seen
LATE_FACTOR, LATE_WEIGHT = 10.0, 0.01  # so does the first, with the stamps' mean lateness
PROBATION_S = 0.5  # a jump whose later stamps return to the old line was a late chunk
QUANTILE = 0.25  # of the bins' stamps; the line lies on it
SEAM_S = 0.25  # so much missing is a seam: the stream was lost and is there again, nothing carries over
KEEP = 64  # lines, invalid stretches and seams remembered


@dataclass(kw_only=True)
class _Line:
    """``t = t0 + (sample - s0) * period``; holds from sample ``start`` on."""

    start: int
    s0: int
    t0: float
    period: float

    def at(self, sample: float) -> float:
        return self.t0 + (sample - self.s0) * self.period


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Samples missing (or stamps that stepped back: 0) somewhere in ``first .. last`` (sample indices)."""

    first: int
    last: int
    lost_samples: int
    t_s: float


@dataclass(frozen=True, kw_only=True)
class Seam:
    """The first sample after so much missing; told at once, also where it turns out to be a late chunk."""

    sample: int
    missing_s: float


@dataclass(kw_only=True)
class _Trial:
    """A jump on probation: what was believed before it."""

    line: _Line
    bins: list[tuple[int, float]]
    gap: Gap
    until_s: float


class ClockMap:
    """Reads the ring's chunk log; ``update`` after new data, then ask. Not for several threads."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._nominal = 1.0 / ring.rate_hz
        self._cursor = 0
        self._lines: list[_Line] = []
        self._bins: list[tuple[int, float]] = []  # (sample, stamp) of the earliest chunk of each full bin
        self._open: list[tuple[int, float, float]] = []  # (sample, stamp, residual) of the bin being filled
        self._bin_end = 0
        self._bin_start = 0
        self._shifted = 0
        self._trials: list[_Trial] = []  # oldest first
        self._next = 0  # first sample not yet in a chunk seen
        self._spread_s = 0.0
        self._late_s = 0.0  # mean distance of the stamps from the line
        self._all_lost = 0
        self._gaps = 0
        self.recent: list[Gap] = []  # newest last
        self.seams: list[Seam] = []  # newest last
        self.late_chunks = 0  # jumps that turned out to be late chunks
        self.residual_s = math.nan  # of the newest chunk against the line

    @property
    def gaps(self) -> int:
        """Gaps found since the start."""
        return self._gaps

    @property
    def lost_samples(self) -> int:
        return self._all_lost

    @property
    def ready(self) -> bool:
        """Whether a chunk has been seen: only then are there times."""
        return bool(self._lines)

    @property
    def seen(self) -> int:
        """Index after the last sample whose chunk was taken in."""
        return self._next

    @property
    def jitter_s(self) -> float:
        """Spread of the bins' earliest stamps about the line (75 % minus 25 % quantile), s."""
        return self._spread_s

    def update(self) -> None:
        """Take in every chunk since the last call."""
        self._cursor, rows = self._ring.chunks(self._cursor)
        for first, count, t_last_s, _ in rows.tolist():
            self._chunk(int(first), int(count), t_last_s)

    def time_of(self, sample: float) -> float:
        """LSL seconds of a sample index (fractions allowed); raises NotReady before the first chunk."""
        return self._line_of(sample).at(sample)

    def sample_of(self, t_s: float) -> float:
        """Sample index (with fraction) of an LSL instant; inside a gap, the first sample after it."""
        if not self._lines:
            raise NotReady("no sample has arrived yet", todo="wait for the stream")
        for line in reversed(self._lines):
            if t_s >= line.at(line.start) or line is self._lines[0]:
                return line.s0 + (t_s - line.t0) / line.period
            previous = self._lines[self._lines.index(line) - 1]
            if t_s > previous.at(line.start - 1):
                return float(line.start)
        raise AssertionError("unreachable")

    def valid(self, first: int, count: int) -> bool:
        """False when a gap touches samples ``first .. first + count``."""
        return not any(g.first < first + count and first <= g.last for g in self.recent)

    def _limit_s(self) -> float:
        return max(JUMP_S, JITTER_FACTOR * self._spread_s, LATE_FACTOR * self._late_s)

    def _line_of(self, sample: float) -> _Line:
        if not self._lines:
            raise NotReady("no sample has arrived yet", todo="wait for the stream")
        at = bisect_right(self._lines, sample, key=lambda line: line.start) - 1
        return self._lines[max(0, at)]

    def _chunk(self, first: int, count: int, t_s: float) -> None:
        last = first + count - 1
        skipped = first - self._next if self._lines else 0  # rows that fell out of the log: not watched
        touched = self._next - 1
        self._next = last + 1
        if not math.isfinite(t_s):
            self._mark(Gap(first=max(0, touched), last=last, lost_samples=0, t_s=t_s))
            return
        if not self._lines:
            self._lines.append(_Line(start=0, s0=last, t0=t_s, period=self._nominal))
            self._new_bin(last)
        line = self._lines[-1]
        residual = t_s - line.at(last)
        if self._trials and self._settle(last, t_s):
            line = self._lines[-1]
            residual = t_s - line.at(last)
        if skipped > 0 or not abs(residual) <= self._limit_s():
            if not abs(residual) < SEAM_S:
                self.seams.append(Seam(sample=first, missing_s=residual))
                del self.seams[:-KEEP]
            self._jump(max(0, touched), last, t_s, residual)
            residual = 0.0
        elif residual < 0 and len(self._bins) < 5:  # young line: an earlier stamp is a better one
            line.s0, line.t0 = last, t_s
            residual = 0.0
        self._late_s += LATE_WEIGHT * (min(abs(residual), JUMP_S) - self._late_s)
        self.residual_s = residual
        if last >= self._bin_end and self._open:
            self._close_bin()
            self._new_bin(last)
            residual = t_s - self._lines[-1].at(last)
        self._open.append((last, t_s, residual))

    def _new_bin(self, sample: int) -> None:
        self._open = []
        self._bin_start = sample
        self._bin_end = sample + max(1, round(BIN_S / self._nominal))

    def _close_bin(self) -> None:
        sample, t_s, residual = min(self._open, key=lambda row: row[2])
        limit = max(SHIFT_S, JITTER_FACTOR * self._spread_s)
        if len(self._bins) >= 5 and residual > limit:
            self._shifted += 1
            if self._shifted == 2:
                back = 2 * (self._bin_end - self._bin_start)
                self._jump(max(0, self._bin_start - back), self._next - 1, t_s, residual, at=sample)
            return
        self._shifted = 0
        self._bins.append((sample, t_s))
        while (self._bins[-1][0] - self._bins[0][0]) * self._nominal > MEMORY_S:
            self._bins.pop(0)
        self._fit()

    def _fit(self) -> None:
        """Slope: Theil's incomplete method (1950), pairs half a history apart; level: lower quartile."""
        if len(self._bins) < 2:
            return
        line = self._lines[-1]
        s = np.array([b[0] for b in self._bins], float) - self._bins[-1][0]
        t = np.array([b[1] for b in self._bins]) - self._bins[-1][1]
        period = self._nominal
        if -s[0] * self._nominal >= FREE_SLOPE_S:
            half = len(s) // 2
            period = float(np.median((t[half:] - t[: len(t) - half]) / (s[half:] - s[: len(s) - half])))
        level = np.sort(t - s * period)
        n = len(level)
        line.period = period
        line.s0 = self._bins[-1][0]
        line.t0 = self._bins[-1][1] + float(level[int(QUANTILE * (n - 1))])
        self._spread_s = float(level[(3 * (n - 1)) // 4] - level[(n - 1) // 4]) if n >= 8 else 0.0

    def _jump(self, first: int, last: int, t_s: float, residual: float, *, at: int | None = None) -> None:
        """Restart the line; the old one is kept on probation; earlier ones may still be."""
        old = self._lines[-1]
        sample = last if at is None else at
        gap = Gap(first=first, last=last, lost_samples=max(0, round(residual / old.period)), t_s=t_s)
        if at is None:
            self._trials.append(_Trial(line=old, bins=self._bins, gap=gap, until_s=t_s + PROBATION_S))
        else:
            self._trials = []
        self._lines.append(_Line(start=first + 1, s0=sample, t0=t_s, period=old.period))
        del self._lines[:-KEEP]
        self._bins = []
        self._shifted = 0
        self._new_bin(last)
        self._mark(gap)

    def _mark(self, gap: Gap) -> None:
        self._gaps += 1
        self._all_lost += gap.lost_samples
        self.recent.append(gap)
        del self.recent[:-KEEP]

    def _settle(self, last: int, t_s: float) -> bool:
        """During probation: return to an old line if the stamps did (late chunks), or make the loss exact."""
        near = self._limit_s() / 2
        for i, trial in enumerate(self._trials):
            if abs(t_s - trial.line.at(last)) <= near:
                self._withdraw(i)
                self._new_bin(last)
                return True
        newest = self._trials[-1]
        shift = (t_s - newest.line.at(last)) / newest.line.period
        if 0 < shift < newest.gap.lost_samples:  # an earlier stamp: a better estimate
            better = replace(newest.gap, lost_samples=round(shift))
            self._all_lost += better.lost_samples - newest.gap.lost_samples
            self.recent = [better if g is newest.gap else g for g in self.recent]
            newest.gap = better
        self._trials = [trial for trial in self._trials if t_s < trial.until_s]
        return False

    def _withdraw(self, i: int) -> None:
        """The jumps from trial ``i`` on were late chunks: nothing is missing."""
        line = self._trials[i].line
        self._bins = self._trials[i].bins
        while self._lines and self._lines[-1] is not line:
            self._lines.pop()
        self._lines = self._lines or [line]
        for trial in self._trials[i:]:
            self._gaps -= 1
            self._all_lost -= trial.gap.lost_samples
            self.recent = [g for g in self.recent if g is not trial.gap]
            self.late_chunks += 1
        del self._trials[i:]
