"""Owns the judgement of the stream: what is wrong with it right now, in words; owns no action on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtloop.eeg.clockmap import ClockMap
from rtloop.eeg.ring import Ring
from rtloop.errors import NotReady
from rtloop.jit import kernel
from rtloop.model.samples import F32, I64
from rtloop.model.status import Breach, Fault, StreamHealth

RATE_LOOK_S = 0.02  # the rate is measured anew this often
LOST_TODO = "say `reconnect` when the amplifier streams again"
_TABLE = 16384  # rows remembered by their hash
#: columns of the per-channel state, int64[n_channels, 3]
_FLAT, _RAIL, _BAD = 0, 1, 2
#: slots of the shared state, int64[4]
_REPEATED, _LAST_BAD = 0, 1


@dataclass(frozen=True, kw_only=True)
class WatchLimits:
    """What the stream may do before it is called bad."""

    stale_s: float = 0.050
    lost_s: float = 0.250
    rate_span_s: float = 2.0
    rate_least_s: float = 0.5  # with less history the rate is not known, which is a breach too
    rate_tolerance: float = 0.02
    gap_hold_s: float = 1.0  # a gap stays a breach this long
    nan_hold_s: float = 1.0
    flat_s: float = 1.0
    rail_uv: float = 100_000.0  # at or beyond this a sample counts as saturated
    rail_s: float = 0.5  # uninterrupted; pulses interrupt
    repeat_s: float = 0.1  # rows seen before, uninterrupted
    repeat_within_s: float = 2.0  # how far back a row counts as seen before
    bad_share: float = 0.30  # of the channels; fewer are listed, more are a breach


@kernel(
    "void(Array(float32, 2, 'C', readonly=True),"
    "int64, int64[::1], float32, float32[::1], int64[:, ::1], int64[::1],"
    "uint64[::1], int64[::1], int64)"
)
def scan(
    rows: F32,
    first: int,
    columns: I64,
    rail_uv: Any,
    last: F32,
    per_channel: Any,
    shared: Any,
    hashes: Any,
    seen: Any,
    within: int,
) -> None:
    """Take new rows in: runs of equal values, runs at the rail, non-finite samples, rows seen before.

    Parameters
    ----------
    rows : float32[n, all columns], µV; ``columns`` picks the EEG ones; ``first`` is the index of rows[0]
    last : float32[n_eeg], the newest value of each channel
    per_channel : int64[n_eeg, 3], flat run, rail run, index after the last non-finite sample
    shared : int64[4], run of repeated rows, index after the last non-finite sample
    hashes, seen : uint64[_TABLE], int64[_TABLE], newest index at which a row with that hash came
    within : a row seen at most this many samples ago counts as repeated
    """
    words = rows.view(np.uint32)
    n_eeg = columns.size
    for i in range(rows.shape[0]):
        h = np.uint64(1469598103934665603)  # FNV-1a over the row's words (Fowler, Noll & Vo 1991)
        for k in range(n_eeg):
            c = columns[k]
            x = rows[i, c]
            h = (h ^ np.uint64(words[i, c])) * np.uint64(1099511628211)
            if x == last[k]:
                per_channel[k, _FLAT] += 1
            else:
                per_channel[k, _FLAT] = 0
                last[k] = x
            if np.isfinite(x) and abs(x) >= rail_uv:
                per_channel[k, _RAIL] += 1
            else:
                per_channel[k, _RAIL] = 0
            if not np.isfinite(x):
                per_channel[k, _BAD] = first + i + 1
                shared[_LAST_BAD] = first + i + 1
        h ^= h >> np.uint64(29)
        slot = np.int64(h & np.uint64(_TABLE - 1))
        if hashes[slot] == h and 0 < first + i - seen[slot] <= within:
            shared[_REPEATED] += 1
        else:
            shared[_REPEATED] = 0
        hashes[slot] = h
        seen[slot] = first + i


class StreamWatch:
    """Looks at every new sample once per ``look``; cheap, never blocks. Call ``ClockMap.update`` before."""

    def __init__(
        self,
        ring: Ring,
        clock_map: ClockMap,
        *,
        names: tuple[str, ...],
        columns: tuple[int, ...],
        opened_s: float,
        limits: WatchLimits | None = None,
    ) -> None:
        self._ring, self._map, self._names = ring, clock_map, names
        self._columns = np.array(columns, np.int64)
        self._opened_s = opened_s
        self.limits = limits or WatchLimits()
        n = len(columns)
        self._last = np.full(n, np.nan, np.float32)
        self._per_channel = np.zeros((n, 3), np.int64)
        self._shared = np.zeros(4, np.int64)
        self._hashes = np.zeros(_TABLE, np.uint64)
        self._seen = np.full(_TABLE, -1, np.int64)
        self._cursor = 0
        self._missed_until = -1
        self._rate_hz, self._rate_again_s = math.nan, -math.inf

    def note_pulse(self) -> None:
        """A pulse was found in the stream: saturation up to here is its artifact."""
        self._per_channel[:, _RAIL] = 0

    def restart(self) -> None:
        """The connection was opened anew: runs of equal, saturated or repeated samples begin anew."""
        self._per_channel[:, :_BAD] = 0
        self._shared[_REPEATED] = 0
        self._rate_again_s = -math.inf

    def look(self, now_s: float, *, lost: bool = False, more: tuple[Breach, ...] = ()) -> StreamHealth:
        """The stream's health at ``now_s``; ``lost`` and ``more`` are what the connection itself says."""
        head = self._ring.head()
        self._take(head)
        limits, rate = self.limits, self._ring.rate_hz
        breaches: list[Breach] = []
        try:
            received_s = self._ring.chunk(-1)[3]
        except NotReady:
            received_s = self._opened_s
        age_s = now_s - received_s
        age_s = 0.0 if age_s < 0 else age_s  # NaN stays NaN, which is lost
        if lost or not age_s <= limits.lost_s:
            stays = "" if lost else f"nothing for {age_s * 1e3:.0f} ms; if it stays away, "
            why = f"{stays or 'the connection ended; '}{LOST_TODO}"
            breaches.append(_breach(Fault.STREAM_LOST, "the EEG stream is lost", "a sample every 50 ms", why))
        elif not age_s <= limits.stale_s:
            breaches.append(
                _breach(
                    Fault.STREAM_STALE,
                    "the EEG stream stands still",
                    f"<= {limits.stale_s * 1e3:.0f} ms",
                    f"nothing for {age_s * 1e3:.0f} ms",
                )
            )
        if not now_s < self._rate_again_s:
            self._rate_hz, self._rate_again_s = self._rate(), now_s + RATE_LOOK_S
        measured_hz = self._rate_hz
        if not abs(measured_hz - rate) <= limits.rate_tolerance * rate:
            breaches.append(
                _bad(
                    "the sampling rate is wrong",
                    f"{rate:g} Hz ± {limits.rate_tolerance:.0%}",
                    f"{measured_hz:.0f} Hz" if math.isfinite(measured_hz) else "not known yet",
                )
            )
        breaches += self._content(head)
        flat = self._per_channel[:, _FLAT] >= limits.flat_s * rate
        railed = self._per_channel[:, _RAIL] >= limits.rail_s * rate
        bad = self._named(flat | railed)
        if len(bad) > limits.bad_share * len(self._names):
            breaches.append(
                _bad(
                    f"{int(flat.sum())} channels are flat, {int(railed.sum())} saturated",
                    f"at most {limits.bad_share:.0%} of {len(self._names)}",
                    ", ".join(bad),
                )
            )
        return StreamHealth(
            t_s=now_s,
            head=head,
            rate_hz=measured_hz,
            nominal_rate_hz=rate,
            age_s=age_s,
            gaps=self._map.gaps,
            lost_samples=self._map.lost_samples,
            clock_residual_s=self._map.residual_s,
            bad_channels=bad,
            breaches=(*breaches, *more),
        )

    def _take(self, head: int) -> None:
        oldest = head - self._ring.readable
        if self._cursor < oldest:  # not looked at for a whole ring: say so, go on with the newest
            self._missed_until = head
            self._cursor = head - self._ring.readable // 2
        if head > self._cursor:
            scan(
                self._rows(head),
                self._cursor,
                self._columns,
                np.float32(self.limits.rail_uv),
                self._last,
                self._per_channel,
                self._shared,
                self._hashes,
                self._seen,
                round(self.limits.repeat_within_s * self._ring.rate_hz),
            )
            self._cursor = head

    def _rows(self, head: int) -> F32:
        return self._ring.view(self._cursor, head - self._cursor)

    def _content(self, head: int) -> list[Breach]:
        limits, rate = self.limits, self._ring.rate_hz
        out: list[Breach] = []
        gap = self._map.recent[-1] if self._map.recent else None
        if gap is not None and head - gap.last <= limits.gap_hold_s * rate:
            out.append(
                _bad(
                    "samples are missing",
                    "no gap",
                    f"{gap.lost_samples} samples "
                    f"({gap.lost_samples / rate * 1e3:.0f} ms) lost near sample {gap.last}",
                )
            )
        hold = limits.nan_hold_s * rate
        if self._shared[_LAST_BAD] and head - self._shared[_LAST_BAD] < hold:
            sick = (self._per_channel[:, _BAD] > 0) & (head - self._per_channel[:, _BAD] < hold)
            out.append(_bad("samples are not numbers", "finite values", ", ".join(self._named(sick))))
        if self._shared[_REPEATED] >= limits.repeat_s * rate:
            out.append(
                _bad(
                    "the amplifier repeats itself",
                    "new samples",
                    f"{self._shared[_REPEATED] / rate:.2f} s of rows that came before",
                )
            )
        if self._missed_until >= 0 and head - self._missed_until < hold:
            out.append(
                _bad("the watch fell a whole ring behind", "a look at every sample", "samples not looked at")
            )
        return out

    def _rate(self) -> float:
        """Samples per second over the last span, by stamps or arrival, whichever is nearer to nominal.

        Never across a seam: what came before a lost stream says nothing of the one that is there now.
        """
        nominal = self._ring.rate_hz
        try:
            first, count, stamp_s, received_s = self._ring.chunk(-1)
            oldest = self._chunk_before(received_s - self.limits.rate_span_s)
        except NotReady:
            return math.nan
        n = first + count - (oldest[0] + oldest[1])
        spans = (stamp_s - oldest[2], received_s - oldest[3])
        rates = [n / span for span in spans if span >= self.limits.rate_least_s]
        return min(rates, key=lambda r: abs(r - nominal)) if rates else math.nan

    def _chunk_before(self, t_s: float) -> tuple[int, int, float, float]:
        """The newest chunk that arrived at or before ``t_s``, else the oldest since the last seam (bisection)."""
        seam = self._map.seams[-1].sample if self._map.seams else 0
        low, high = self._ring.chunk_bounds()
        while high - low > 1:
            mid = (low + high) // 2
            first, _, _, received_s = self._ring.chunk(mid)
            if received_s <= t_s or first < seam:
                low = mid
            else:
                high = mid
        oldest = self._ring.chunk(low)
        return oldest if oldest[0] >= seam else self._ring.chunk(low + 1)

    def _named(self, mask: npt.NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(self._names[i] for i in np.flatnonzero(mask))


def _breach(fault: Fault, what: str, expected: str, found: str) -> Breach:
    return Breach(fault=fault, what=what, expected=expected, found=found)


def _bad(what: str, expected: str, found: str) -> Breach:
    return _breach(Fault.STREAM_BAD, what, expected, found)
