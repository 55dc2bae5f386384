"""Owns how much phase locking the spatial stage adds where there is no pulse, trial by trial; owns no stage and no limit."""

from __future__ import annotations

import math

import numpy as np

from rtloop.model.estimate import BANDS_HZ
from rtloop.model.samples import C64, F32, F64, Bool

#: trials below which nothing is told (an assumption)
FEWEST = 10
#: reach of a kernel, in its standard deviations
_SIGMAS = 2.5


class AddedLocking:
    """PLV (Lachaux 1999) of all pairs before the pulse, of the same trials without and with the spatial stage.

    One Gaussian-windowed exponential at two instants of each band, from samples before the pulse alone. Sums of unit phasors
    per pair, so memory does not grow. Trials that an operator takes out later stay in it. Both PLVs carry the same bias by
    the number of trials: it cancels in the difference.
    """

    def __init__(self, times_s: F64, span_s: tuple[float, float], n_channels: int) -> None:
        a, b = np.searchsorted(times_s, [span_s[0] - 1e-9, span_s[1] + 1e-9])
        self._span, t = slice(int(a), int(b)), times_s[a:b]
        rows = []
        for low, high in BANDS_HZ.values():
            sigma_s = math.sqrt(2 * math.log(2)) / (math.pi * (high - low))  # half power at the band's edges
            reach_s = min(_SIGMAS * sigma_s, float(t[-1] - t[0]) / 2)
            for at in (t[0] + reach_s, t[-1] - reach_s):
                window = np.exp(-(((t - at) / sigma_s) ** 2) / 2) * (np.abs(t - at) <= reach_s + 1e-9)
                rows.append(window * np.exp(-1j * math.pi * (low + high) * t))
        both = np.stack(rows)
        self._re: F32 = np.ascontiguousarray(both.real, dtype=np.float32)
        self._im: F32 = np.ascontiguousarray(both.imag, dtype=np.float32)
        self._n = n_channels
        self._first, self._second = np.triu_indices(n_channels, 1)
        n_pairs = self._first.size
        self._sums: C64 = np.zeros((2, len(rows), n_pairs), dtype=np.complex64)
        self._counts: F32 = np.zeros(n_pairs, dtype=np.float32)
        self._work: C64 = np.zeros((2, len(rows), n_pairs), dtype=np.complex64)
        self._latest: tuple[C64, C64, Bool] | None = None
        self.n = 0

    def phasors(self, rows: F32) -> C64:
        """complex64[n_instants, n_channels] of unit length (0 where there is no signal) of rows float32[n_times, n_channels
        or more], µV."""
        x = rows[self._span, : self._n]
        out = self._re @ x + 1j * (self._im @ x)
        size = np.abs(out)
        return np.asarray(np.divide(out, size, out=np.zeros_like(out), where=size > 0), dtype=np.complex64)

    def note(self, before: C64, after: C64, good: Bool) -> None:
        """A trial that the stage has cleaned: its phasors without and with it; ``count`` adds it."""
        self._latest = before, after, good.copy()

    def count(self, accepted: bool) -> dict[str, float]:
        """Add the noted trial if it was accepted; the number for its verdict, from FEWEST trials on."""
        latest, self._latest = self._latest, None
        if latest is not None and accepted:
            both = latest[2][self._first] & latest[2][self._second]
            of_pair, other = self._work
            for sums, u in zip(self._sums, latest[:2], strict=True):
                # "clip" writes into ``out`` without a copy
                np.take(u, self._first, axis=1, out=of_pair, mode="clip")
                np.take(u.conj(), self._second, axis=1, out=other, mode="clip")
                of_pair *= other
                of_pair *= both
                sums += of_pair
            self._counts += both
            self.n += 1
        value = self.value()
        return {"pre_plv_inflation": value} if math.isfinite(value) else {}

    def value(self) -> float:
        """Mean over pairs, bands and instants of PLV with the stage less PLV without; NaN below FEWEST trials."""
        known = self._counts >= FEWEST
        if self.n < FEWEST or not known.any():
            return math.nan
        plv = np.abs(self._sums)
        plv = plv / self._counts if known.all() else plv[:, :, known] / self._counts[known]
        without, with_it = plv.mean(axis=(1, 2), dtype=np.float64)
        return float(with_it - without)
