"""Owns the running sums of one target's pairs and the history behind them; owns no scope, weight or interval.

Adding and removing a trial cost the same whatever the number of trials; the history of complex values makes
removal, reinstatement and exact leave-one-out possible. float32 for the stream, float64 as the exact twin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtloop.errors import ValidationProblem
from rtloop.measures import kernels
from rtloop.measures.history import TrialSlots, grown, touch
from rtloop.model.estimate import MEASURES
from rtloop.model.samples import F32, F64, I64, Bool

#: trials left out in one piece of work
_AT_ONCE = 25
#: pairs whose sums are turned into values at once
_PAIRS_AT_ONCE = 2048
Real = npt.NDArray[np.floating[Any]]


class RunningConnectivity:
    """dwPLI², wPLI, PLV, PPC per pair and band, ITC per channel and band, over the trials that count.

    Parameters
    ----------
    bands : band -> columns (slice) of the analytic signal that belong to it
    dtype : float32 (within 1e-5 of exact) or float64 (within 1e-9)
    """

    def __init__(
        self, n_channels: int, bands: Mapping[str, slice], *, capacity: int = 400, dtype: type = np.float32
    ) -> None:
        if n_channels < 2:
            raise ValidationProblem(
                "connectivity needs pairs", expected="at least 2 channels", found=str(n_channels)
            )
        self.bands = tuple(bands)
        self._columns = _columns(bands)
        n_points = int(self._columns.max())
        self.first, self.second = np.triu_indices(n_channels, 1)
        n_pairs = self.first.size
        tile = (self.second // 8, self.first // 8)
        self._by_tile: I64 = np.lexsort(
            (self.second, self.first, *tile)
        )  # pairs that share channels side by side
        self._sums: list[Real] = [kernels.aligned((n_pairs, n_points), dtype) for _ in range(5)]
        for plane in self._sums:
            plane[...] = 0
        self._count: Real = np.zeros(n_pairs, dtype=dtype)
        self.slots = TrialSlots(capacity)
        shape = (self.slots.capacity, n_channels, n_points)
        self._re: Real = kernels.aligned(shape, dtype)
        self._im: Real = kernels.aligned(shape, dtype)
        self._unit_re: Real = kernels.aligned(shape, dtype)
        self._unit_im: Real = kernels.aligned(shape, dtype)
        self._good: Bool = np.zeros(shape[:2], dtype=np.bool_)
        self._itc: F64 = np.zeros((2, n_channels, n_points))
        self._channel_count: F64 = np.zeros(n_channels)
        self._values: F64 = np.zeros((4, n_pairs, len(self.bands)))
        self._one = np.dtype(dtype).type(1)

    @property
    def n(self) -> int:
        """Trials that count."""
        return self.slots.n

    @property
    def pair_counts(self) -> Real:
        """float[n_pairs]: trials in which both channels were good."""
        return self._count.copy()

    def add(
        self, trial_id: int, re: F32 | F64, im: F32 | F64, good: Bool | None = None, *, counts: bool = True
    ) -> None:
        """Keep one trial's analytic signal [n_channels, n_points] and, if it ``counts``, add it to the sums.

        Raises
        ------
        ValidationProblem : wrong shape, NaN or infinity in a good channel, or an id seen before
        """
        if self.slots.full:
            self.make_room()
        self._fill(len(self.slots), trial_id, re, im, good)
        self.slots.enter(trial_id)
        if counts:
            self.reinstate(trial_id)

    def replace(
        self, trial_id: int, re: F32 | F64, im: F32 | F64, good: Bool | None = None, *, counts: bool = True
    ) -> None:
        """Put another analytic signal in the place of a trial of the history, cleaned anew; costs two ``add``.

        Raises
        ------
        ValidationProblem : as ``add``, or an unknown id; nothing counts of the trial then
        """
        slot = self.slots.of(trial_id)
        self.remove(trial_id)
        self._fill(slot, trial_id, re, im, good)
        if counts:
            self.reinstate(trial_id)

    def _fill(self, slot: int, trial_id: int, re: F32 | F64, im: F32 | F64, good: Bool | None) -> None:
        wanted = self._re.shape[1:]
        if re.shape != wanted or im.shape != wanted:
            raise ValidationProblem(
                "wrong shape of an analytic signal", expected=str(wanted), found=str(re.shape)
            )
        self._re[slot], self._im[slot], self._good[slot] = re, im, True if good is None else good
        finite = kernels.unit(self._re.dtype)(
            self._re[slot], self._im[slot], self._unit_re[slot], self._unit_im[slot], self._good[slot]
        )
        if not finite:
            raise ValidationProblem(
                f"trial {trial_id} holds values that are no numbers",
                expected="finite values in good channels",
                found="NaN or infinity", todo="mark those channels bad",
            )  # fmt: skip

    def remove(self, trial_id: int) -> bool:
        """Subtract a trial; it stays in the history. False if it did not count."""
        slot = self.slots.count(trial_id, False)
        return slot is not None and self._apply(slot, -self._one)

    def reinstate(self, trial_id: int) -> bool:
        """Add a trial of the history again. False if it counts already."""
        slot = self.slots.count(trial_id, True)
        return slot is not None and self._apply(slot, self._one)

    def make_room(self, spare: int = 1) -> None:
        """Double the history when fewer than ``spare`` slots are free; call it between pulses."""
        if len(self.slots) + spare <= self.slots.capacity:
            return
        self.slots.grow()
        for name in ("_re", "_im", "_unit_re", "_unit_im", "_good"):
            setattr(self, name, grown(getattr(self, name), self.slots.capacity))

    def ready(self) -> None:
        """Have the memory of the next trial at hand; call it between pulses. Changes no result."""
        touch(len(self.slots), self._re, self._im, self._unit_re, self._unit_im, self._good)

    def pair_values(self) -> dict[str, F64]:
        """Measure -> float64[n_pairs, n_bands], means over the band's instants; never clipped."""
        return dict(zip(MEASURES, self._values.copy(), strict=True))

    def kept(self) -> tuple[Real, Real, Bool]:
        """Copies of the trials that count, in order: Re and Im [n_trials, n_channels, n_points], µV, and
        bool[n_trials, n_channels] which were good (a bad channel's values are 0)."""
        slots = self.slots.counting()
        return self._re[slots], self._im[slots], self._good[slots]

    @property
    def slices(self) -> dict[str, slice]:
        """Band -> columns."""
        return {b: slice(int(a), int(e)) for b, (a, e) in zip(self.bands, self._columns, strict=True)}

    def values_of(self, chosen: Bool) -> dict[str, F64]:
        """``pair_values`` of some of the trials that count (bool[n], in order); costs one ``add`` for each."""
        sums = [kernels.aligned(s.shape, s.dtype) for s in self._sums]
        for plane in sums:
            plane[...] = 0
        count, values = np.zeros_like(self._count), np.zeros_like(self._values)
        for slot in self.slots.counting()[chosen]:
            kernels.update(self._re.dtype)(
                self._re[slot], self._im[slot], self._unit_re[slot], self._unit_im[slot], self._one,
                self._good[slot], *sums, count, self._columns, values,
            )  # fmt: skip
        return dict(zip(MEASURES, values, strict=True))

    def values_in(self, weights: F64, slices: Mapping[str, slice]) -> dict[str, F64]:
        """Weighted measures over other stretches of instants than the bands: measure -> float64[n_scopes, n_slices].

        Each pair's value is the mean over the instants of the stretch, as in ``pair_values``; dwPLI² and PPC may be negative,
        wPLI and PLV are 0 to 1. Costs one pass over the sums: off the critical path.

        weights : float64[n_scopes, n_pairs]; slices : name -> columns of the analytic signal
        """
        out = np.zeros((len(MEASURES), len(weights), self._re.shape[2]))
        for first in range(0, self.first.size, _PAIRS_AT_ONCE):
            some = slice(first, first + _PAIRS_AT_ONCE)
            im, square, size, ure, uim = (v[some].astype(np.float64) for v in self._sums)
            n = self._count[some].astype(np.float64)[:, None]
            den = size**2 - square
            fine, r2 = den > kernels.NOTHING * size**2, ure**2 + uim**2
            at_points = (
                np.divide(im**2 - square, den, out=np.zeros_like(im), where=fine),
                np.divide(np.abs(im), size, out=np.zeros_like(im), where=size > 0),
                np.sqrt(r2) / np.maximum(n, 1),
                np.where(n >= 2, (r2 - n) / np.maximum(n * (n - 1), 1), 0.0),
            )
            for k, values in enumerate(at_points):
                out[k] += weights[:, some] @ values
        return {m: _means(v, _columns(slices)) for m, v in zip(MEASURES, out, strict=True)}

    def itc_of(self, channels: tuple[int, ...], chosen: Bool) -> F64:
        """``itc`` of some of the trials that count (bool[n], in order), float64[n_selected, n_bands]."""
        pick = np.ix_(self.slots.counting()[chosen], np.array(channels, dtype=np.int64))
        n = np.maximum(self._good[pick].sum(axis=0), 1)[:, None]
        return _means(
            np.hypot(
                self._unit_re[pick].sum(axis=0, dtype=np.float64),
                self._unit_im[pick].sum(axis=0, dtype=np.float64),
            )
            / n,
            self._columns,
        )

    def without_each(
        self, weights: F64, *, lagged_only: bool = False, meanwhile: Callable[[], None] = lambda: None,
        slices: Mapping[str, slice] | None = None,
    ) -> dict[str, F64]:  # fmt: skip
        """Weighted scores with each trial left out, exactly: measure -> float64[n_trials, n_scopes, n_bands].

        weights : float64[n_scopes, n_pairs], such as (global, local), each summing to one (or all zero)
        slices : name -> columns, in the place of the bands
        meanwhile : called about every 10-20 ms of work, so that a caller can show that it lives
        """
        counting, columns = self.slots.counting(), self._columns if slices is None else _columns(slices)
        parts = []
        for first in range(0, max(counting.size, 1), _AT_ONCE):
            parts.append(self._without(counting[first : first + _AT_ONCE], weights, lagged_only, columns))
            meanwhile()
        return {m: np.concatenate([p[m] for p in parts]) for m in parts[0]}

    def _without(self, slots: I64, weights: F64, lagged_only: bool, columns: I64) -> dict[str, F64]:
        dtype, n_points = self._re.dtype, self._re.shape[2]
        measures = MEASURES[:2] if lagged_only else MEASURES
        out = {m: np.zeros((slots.size, len(weights), len(columns))) for m in measures}
        s_im, s_sq, s_abs, s_ure, s_uim = self._sums
        for scope in range(len(weights)):
            chosen = self._by_tile[weights[scope][self._by_tile] != 0]
            pairs = np.stack([chosen, self.first[chosen], self.second[chosen]], axis=1)
            w = weights[scope][chosen].astype(dtype)
            at_points = kernels.aligned((len(out), slots.size, n_points), dtype)
            at_points[...] = 0
            kernels.without_each_lagged(dtype)(
                self._re, self._im, slots, pairs, w, s_im, s_sq, s_abs, at_points[:2]
            )
            if not lagged_only:
                kernels.without_each_locked(dtype)(
                    self._unit_re,
                    self._unit_im,
                    self._good,
                    slots,
                    pairs,
                    w,
                    s_ure,
                    s_uim,
                    self._count,
                    at_points[2:],
                )
            for measure, values in zip(out, at_points, strict=True):
                out[measure][:, scope] = _means(values, columns)
        return out

    def itc(self, channels: tuple[int, ...], slices: Mapping[str, slice] | None = None) -> F64:
        """Inter-trial coherence (Delorme & Makeig 2004), 0 to 1, means float64[n_selected, n_bands] over the instants of each
        band, or of ``slices`` (name -> columns).

        0 for a channel without trials.
        """
        chosen = np.array(channels, dtype=np.int64)
        re, im = self._itc[:, chosen]
        columns = self._columns if slices is None else _columns(slices)
        return _means(np.hypot(re, im) / np.maximum(self._channel_count[chosen], 1)[:, None], columns)

    def itc_without_each(self, channels: tuple[int, ...], slices: Mapping[str, slice] | None = None) -> F64:
        """The same with each trial left out, float64[n_trials, n_selected, n_bands]."""
        chosen = np.array(channels, dtype=np.int64)
        pick = np.ix_(self.slots.counting(), chosen)
        left = np.maximum(self._channel_count[chosen][None] - self._good[pick], 1)
        re = self._itc[0][chosen][None] - self._unit_re[pick]
        im = self._itc[1][chosen][None] - self._unit_im[pick]
        columns = self._columns if slices is None else _columns(slices)
        return _means(np.hypot(re, im) / left[..., None], columns)

    def _apply(self, slot: int, sign: Any) -> bool:
        s_im, s_sq, s_abs, s_ure, s_uim = self._sums
        kernels.update(self._re.dtype)(
            self._re[slot], self._im[slot], self._unit_re[slot], self._unit_im[slot], sign, self._good[slot],
            s_im, s_sq, s_abs, s_ure, s_uim, self._count, self._columns, self._values,
        )  # fmt: skip
        self._itc[0] += sign * self._unit_re[slot]
        self._itc[1] += sign * self._unit_im[slot]
        self._channel_count += sign * self._good[slot]
        return True


def _columns(slices: Mapping[str, slice]) -> I64:
    return np.array([[s.start, s.stop] for s in slices.values()], dtype=np.int64).reshape(-1, 2)


def _means(at_points: Real, columns: I64) -> F64:
    """Means over each stretch of instants along the last axis."""
    parts = [at_points[..., a:b].mean(axis=-1, dtype=np.float64) for a, b in columns]
    return np.stack(parts, axis=-1) if parts else np.zeros((*at_points.shape[:-1], 0))
