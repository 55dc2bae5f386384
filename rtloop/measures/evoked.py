"""Owns the running average of one target with GMFP, LMFP, early response and SNR; owns no pair measure.

GMFP (Lehmann & Skrandies 1980, amplitude form) over all good channels; LMFP is the root mean square over the
region of the average referenced to ALL good channels. Both are means over their window; times the window's
length they are the integrals of the norm tables. SNR is a single-trial power ratio in the band, (Ppost -
Ppre)/Ppre; ERSP is the same ratio per channel in dB (Delorme & Makeig 2004), of the whole window and of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from rtloop.measures import kernels
from rtloop.measures.history import TrialSlots, grown, touch
from rtloop.model.samples import F32, F64, Bool


class RunningEvoked:
    """Average over the trials that count; ``times_s`` float64[n_times] seconds from the pulse; ``valid``
    bool[n_times]. ``n_windows``: further stretches after the pulse whose band power comes with each trial."""

    def __init__(
        self,
        n_channels: int,
        times_s: F64,
        valid: Bool,
        n_bands: int,
        *,
        n_windows: int = 0,
        capacity: int = 400,
    ) -> None:
        self.times_s, self.valid = times_s, valid
        self.slots = TrialSlots(capacity)
        self._x: F32 = np.empty((self.slots.capacity, n_channels, times_s.size), dtype=np.float32)
        self._good: Bool = np.zeros((self.slots.capacity, n_channels), dtype=np.bool_)
        #: mean |A|² per trial, channel, band; after and before the pulse, then in each further window
        self._power: F64 = np.zeros((self.slots.capacity, 2 + n_windows, n_channels, n_bands))
        self._sum: F64 = np.zeros((n_channels, times_s.size))
        self._power_sum: F64 = np.zeros((2 + n_windows, n_channels, n_bands))
        self._count: F64 = np.zeros(n_channels)

    @property
    def n(self) -> int:
        """Trials that count."""
        return self.slots.n

    @property
    def channel_counts(self) -> F64:
        """float64[n_channels]: trials in which the channel was good."""
        return self._count.copy()

    def add(self, trial_id: int, x: F32, good: Bool, power: F64, *, counts: bool = True) -> None:
        """Keep float32[n_channels, n_times] µV and the band powers float64[2 + n_windows, n_channels,
        n_bands] of one trial: after the pulse, before it, in each further window (0 where a band has no
        instant in it)."""
        if self.slots.full:
            self.make_room()
        self._fill(self.slots.enter(trial_id), x, good, power)
        if counts:
            self.reinstate(trial_id)

    def replace(self, trial_id: int, x: F32, good: Bool, power: F64, *, counts: bool = True) -> None:
        """Put another cleaned signal in the place of a trial of the history; unknown ids are refused."""
        slot = self.slots.of(trial_id)
        self.remove(trial_id)
        self._fill(slot, x, good, power)
        if counts:
            self.reinstate(trial_id)

    def _fill(self, slot: int, x: F32, good: Bool, power: F64) -> None:
        self._x[slot], self._good[slot] = x, good
        self._power[slot] = power * good[None, :, None]

    def remove(self, trial_id: int) -> bool:
        """Subtract a trial; False if it did not count."""
        slot = self.slots.count(trial_id, False)
        if slot is not None:
            self._sum[self._good[slot]] -= self._x[slot][self._good[slot]]
            self._power_sum -= self._power[slot]
            self._count -= self._good[slot]
        return slot is not None

    def reinstate(self, trial_id: int) -> bool:
        """Add a trial of the history again; False if it counts already."""
        slot = self.slots.count(trial_id, True)
        if slot is not None:
            good = self._good[slot]
            if good.all():
                self._sum += self._x[slot]
            else:
                self._sum[good] += self._x[slot][good]
            self._power_sum += self._power[slot]
            self._count += good
        return slot is not None

    def make_room(self, spare: int = 1) -> None:
        """Double the history when fewer than ``spare`` slots are free; call it between pulses."""
        if len(self.slots) + spare <= self.slots.capacity:
            return
        self.slots.grow()
        for name in ("_x", "_good", "_power"):
            setattr(self, name, grown(getattr(self, name), self.slots.capacity))

    def ready(self) -> None:
        """Have the memory of the next trial at hand; call it between pulses. Changes no result."""
        touch(len(self.slots), self._x, self._good, self._power)

    def average(self) -> F32:
        """float32[n_channels, n_times] µV; zeros for a channel without trials."""
        return (self._sum / np.maximum(self._count, 1)[:, None]).astype(np.float32)

    def average_of(self, weights: F64) -> F64:
        """Weighted average of the trials that count, in order of arrival, float64[n_channels, n_times] µV.

        weights : float64[n]; a channel's are scaled so that their sizes sum to one over the trials in which it was
        good (0 where it was in none). Signs stay: see ``rtloop.measures.sampling.plus_minus``
        """
        total, size = np.zeros(self._sum.shape), np.zeros(self._count.shape)
        for slot, w in zip(self.slots.counting(), weights, strict=True):
            if w:
                total += (w * self._good[slot])[:, None] * self._x[slot]
                size += abs(w) * self._good[slot]
        return total / np.where(size > 0, size, 1)[:, None]

    def averages_without_each(self) -> Iterator[F64]:
        """The average without each trial that counts, in order of arrival: float64[n_channels, n_times] µV each."""
        for slot in self.slots.counting():
            good = self._good[slot][:, None]
            yield (self._sum - self._x[slot] * good) / np.maximum(self._count[:, None] - good, 1)

    def inside(self, span_s: tuple[float, float]) -> Bool:
        """bool[n_times]: the valid instants of a span."""
        t = self.times_s
        return np.asarray(self.valid & (t >= span_s[0] - 1e-9) & (t <= span_s[1] + 1e-9))

    def halves(
        self, used: Bool, span_s: tuple[float, float], meanwhile: Callable[[], None] = lambda: None
    ) -> tuple[F64, F64]:
        """Averages over every other trial that counts, float64[n_used, n_valid_times] µV each, in order of arrival:
        1st, 3rd, ... and 2nd, 4th, ...; empty with fewer than 2 trials. Cost grows with the number of trials;
        ``meanwhile`` is called every 50 of them, so that a caller can show that it lives."""
        a, b = np.searchsorted(self.times_s, [span_s[0] - 1e-9, span_s[1] + 1e-9])
        slots, valid = self.slots.counting(), self.valid[a:b]
        if slots.size < 2:
            return np.empty((0, 0)), np.empty((0, 0))
        out = []
        for half in (slots[::2], slots[1::2]):
            total, count = np.zeros((used.size, int(b - a))), np.zeros(used.size)
            for i, slot in enumerate(half):
                if i % 50 == 49:
                    meanwhile()
                good = self._good[slot]
                if good.all():
                    total += self._x[slot, :, a:b]
                else:
                    total[good] += self._x[slot, good, a:b]
                count += good
            out.append((total / np.maximum(count, 1)[:, None])[np.ix_(used, valid)])
        return out[0], out[1]

    def newest(self) -> tuple[F32, Bool] | None:
        """float32[n_channels, n_times] µV and bool[n_channels] of the newest trial that counts, or None."""
        slots = self.slots.counting()
        return (self._x[slots[-1]], self._good[slots[-1]]) if slots.size else None

    def fields(
        self, used: Bool, roi: tuple[int, ...], span_s: tuple[float, float], *, each: bool = True
    ) -> tuple[F64, F64]:
        """GMFP and LMFP window means: value float64[2], and without each trial float64[n_trials, 2], µV.

        used : bool[n_channels]; each must have at least 2 trials. ``each`` False leaves the second empty
        """
        a, b = np.searchsorted(self.times_s, [span_s[0] - 1e-9, span_s[1] + 1e-9])
        slots = self.slots.counting()[: None if each else 0]
        inside = np.zeros(used.size, dtype=np.bool_)
        inside[[c for c in roi if used[c]]] = True
        out = np.empty((slots.size + 1, 2, int(b - a)))
        total = np.ascontiguousarray(self._sum[:, a:b])
        kernels.field_power(self._x, self._good, slots, total, self._count, int(a), used, inside, out)
        means = out[:, :, self.valid[a:b]].mean(axis=2)
        return means[-1], means[:-1]

    def early_response(
        self, roi: tuple[int, ...], span_s: tuple[float, float], *, each: bool = True
    ) -> tuple[float, F64]:
        """Peak to peak (µV) of the region's mean average over valid instants, and without each trial
        float64[n]."""
        inside = (self.times_s >= span_s[0] - 1e-9) & (self.times_s <= span_s[1] + 1e-9)
        at, chosen = np.flatnonzero(self.valid & inside), np.array(roi, dtype=np.int64)
        total, count = self._sum[np.ix_(chosen, at)], self._count[chosen]
        whole = (total / np.maximum(count, 1)[:, None]).mean(axis=0)
        slots = self.slots.counting()[: None if each else 0]
        good = self._good[np.ix_(slots, chosen)]
        x = self._x[np.ix_(slots, chosen, at)] * good[..., None]
        left = np.maximum(count[None] - good, 1)[..., None]
        return float(np.ptp(whole)), np.ptp(((total[None] - x) / left).mean(axis=1), axis=1)

    def ersp(self, roi: tuple[int, ...], *, each: bool = True) -> tuple[F64, F64]:
        """Event-related power over that before the pulse, dB, mean over the channels of ``roi``.

        Returns float64[1 + n_windows, n_bands] (whole window first) and without each trial float64[n_trials,
        1 + n_windows, n_bands]; NaN where a band has no instant in a window, or no power before the pulse.
        """
        chosen = np.array(roi, dtype=np.int64)
        slots = self.slots.counting()[: None if each else 0]
        total = self._power_sum[:, chosen]
        rest = total[None] - self._power[slots][:, :, chosen]
        return _db(total[None], total)[0], _db(rest, total)

    def snr(self, used: Bool, *, each: bool = True) -> tuple[F64, F64]:
        """(Ppost - Ppre)/Ppre per band, power pooled over trials and used channels, and without each trial.

        Returns float64[n_bands] and float64[n_trials, n_bands]; NaN where there is no power before the pulse.
        """
        slots = self.slots.counting()[: None if each else 0]
        total = self._power_sum[:, used].sum(axis=1)
        without = total[None] - self._power[slots][:, :, used].sum(axis=2)
        return _ratio(total[None])[0], _ratio(without)


def _ratio(power: F64) -> F64:
    before = np.where(power[:, 1] > 0, power[:, 1], np.nan)
    return np.asarray((power[:, 0] - before) / before)


def _db(power: F64, whole: F64) -> F64:
    """dB over the baseline (row 1), mean over channels; what is rounding beside ``whole`` counts as nothing."""
    fine = (power > 1e-9 * whole) & (whole > 0)
    level = np.log10(np.where(fine, power, np.nan))
    ratio = 10 * (level - level[:, 1:2])
    return np.asarray(np.delete(ratio, 1, axis=1).mean(axis=2))
