"""Owns power by frequency and time near the coil: ERSP and the natural frequency; owns no band and no pair.

ERSP: mean over trials of |A|² over that of the baseline, dB (Delorme & Makeig 2004,
10.1016/j.jneumeth.2003.10.009). Natural frequency: where the ERSP, cumulated over 20-200 ms, is largest
(Rosanova 2009, 10.1523/JNEUROSCI.0445-09.2009). The wavelets reach ``REACH_SIGMAS`` SD to each side: at 8 Hz
±174 ms, so the first instants hold time before the pulse and the bridged gap as well; that is inherent.
Those of the baseline end before the gap.
Per pulse only the rows near the coil are kept; the transform waits until a result is asked for.
"""

from __future__ import annotations

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.measures.history import TrialSlots, grown, touch
from rtloop.model.samples import F32, F64, I64, Bool

#: assumptions of this project, named; the window is the paper's
FREQUENCIES_HZ: F64 = np.arange(8.0, 45.5)
CYCLES = 3.5
REACH_SIGMAS = 2.5
WINDOW_S = (0.020, 0.200)
BASELINE_S = (-0.600, -0.010)
STEP_S = 0.010
#: trials transformed in one piece
_AT_ONCE = 32


def ersp_db(power: F64, baseline: F64) -> F64:
    """10 log10(power / baseline), dB, any shapes that fit each other, both means over trials (µV²).

    NaN where either is not above 0: there is no such ratio.
    """
    fine = (power > 0) & (baseline > 0)
    ratio = np.divide(power, baseline, out=np.full(fine.shape, np.nan), where=fine)
    return np.asarray(10 * np.log10(ratio))


def natural_frequency(ersp: F64, frequencies_hz: F64) -> tuple[float, float]:
    """Frequency (Hz) and height (dB, mean over instants) of the largest cumulated ERSP.

    ersp : float64[n_frequencies, n_instants], dB. (NaN, NaN) where a value is NaN
    """
    cumulated = ersp.mean(axis=1)
    if not np.isfinite(cumulated).all():
        return float("nan"), float("nan")
    at = int(np.argmax(cumulated))
    return float(frequencies_hz[at]), float(cumulated[at])


def wavelets(times_s: F64, at: I64, frequency_hz: float) -> F32:
    """Matrix float32[n_times, 2 * n_instants], real parts then imaginary: Morlet, gain 2 (analytic) at its frequency.

    times_s : evenly spaced; at : columns of the instants. Made blind to offset. ``ValidationProblem`` where a
    wavelet reaches out of ``times_s``.
    """
    reach, step_s = _reach(times_s, frequency_hz), times_s[1] - times_s[0]
    if not (at.size and at.min() >= reach and at.max() + reach < times_s.size):
        raise ValidationProblem(
            f"a wavelet of {frequency_hz:g} Hz reaches out of the epoch",
            expected=f"{reach * step_s:.3f} s to each side of an instant",
            found=f"{times_s[0]:.3f} .. {times_s[-1]:.3f} s", todo="record a longer epoch around the pulse",
        )  # fmt: skip
    lag = np.arange(-reach, reach + 1) * step_s
    envelope = np.exp(-0.5 * (lag * 2 * np.pi * frequency_hz / CYCLES) ** 2)
    h = envelope * np.exp(-2j * np.pi * frequency_hz * lag)
    h -= envelope * (h.sum() / envelope.sum())
    h *= 2 / np.abs((h * np.exp(2j * np.pi * frequency_hz * lag)).sum())
    out = np.zeros((times_s.size, 2 * at.size), dtype=np.float32)
    for k, column in enumerate(at):
        rows = slice(column - reach, column + reach + 1)
        out[rows, k], out[rows, at.size + k] = h.real, h.imag
    return out


def _reach(times_s: F64, frequency_hz: float) -> int:
    """Samples to each side."""
    return int(REACH_SIGMAS * CYCLES / (2 * np.pi * frequency_hz) / (times_s[1] - times_s[0]) + 1e-6)


class RunningOscillation:
    """Power by frequency and instant of the electrodes near the coil, over the trials that count.

    Parameters
    ----------
    times_s : float64[n_times] of a cleaned trial, seconds from the pulse
    gap_start_s : where missing data begin, negative
    """

    def __init__(self, n_roi: int, times_s: F64, gap_start_s: float, *, capacity: int = 400) -> None:
        self.frequencies_hz: F64 = FREQUENCIES_HZ
        wanted = np.arange(WINDOW_S[0], WINDOW_S[1] + 1e-9, STEP_S)
        self._after_at: I64 = np.searchsorted(times_s, wanted - 1e-9).clip(0, times_s.size - 1)
        self.instants_s: F64 = times_s[self._after_at]
        self._times_s, self._gap_start_s = times_s, gap_start_s
        self._blocks: list[tuple[F32, F32]] = []
        #: in words, where the epoch is too short for the longest wavelet
        self.why_absent = ""
        try:
            self._blocks_at(float(self.frequencies_hz[0]))
        except ValidationProblem as e:
            self.why_absent = f"the epoch is too short: {e.what}"
        self.slots = TrialSlots(capacity)
        self._x: F32 = np.empty((self.slots.capacity, n_roi, times_s.size), dtype=np.float32)
        self._good: Bool = np.zeros((self.slots.capacity, n_roi), dtype=np.bool_)
        shape = (self.slots.capacity, n_roi, self.frequencies_hz.size)
        self._after: F32 = np.empty((*shape, self.instants_s.size), dtype=np.float32)
        self._before: F32 = np.empty(shape, dtype=np.float32)
        self._done = 0

    def add(self, trial_id: int, rows: F32, good: Bool, *, counts: bool = True) -> None:
        """Keep float32[n_roi, n_times] µV of one trial and bool[n_roi]; nothing is computed yet."""
        if self.slots.full:
            self.make_room()
        slot = self.slots.enter(trial_id)
        self._x[slot], self._good[slot] = rows, good
        if counts:
            self.slots.count(trial_id, True)

    def replace(self, trial_id: int, rows: F32, good: Bool, *, counts: bool = True) -> None:
        """Put other rows in the place of a trial of the history; unknown ids are refused."""
        slot = self.slots.of(trial_id)
        self._x[slot], self._good[slot] = rows, good
        self._done = min(self._done, slot)  # transformed again, with those after it
        self.slots.count(trial_id, counts)

    def remove(self, trial_id: int) -> bool:
        """Stop counting a trial; False if it did not count."""
        return self.slots.count(trial_id, False) is not None

    def reinstate(self, trial_id: int) -> bool:
        """Count a trial again; False if it counts already."""
        return self.slots.count(trial_id, True) is not None

    def make_room(self, spare: int = 1) -> None:
        """Double the history when fewer than ``spare`` slots are free; call it between pulses."""
        if len(self.slots) + spare <= self.slots.capacity:
            return
        self.slots.grow()
        for name in ("_x", "_good", "_after", "_before"):
            setattr(self, name, grown(getattr(self, name), self.slots.capacity))

    def ready(self) -> None:
        """Have the memory of the next trial's rows at hand; call it between pulses. Changes no result."""
        touch(len(self.slots), self._x, self._good)

    def power(self, chosen: Bool | None = None) -> tuple[F64, F64]:
        """Means over trials, µV²: float64[n_roi, n_frequencies, n_instants] and the baseline's [n_roi, n_frequencies].

        chosen : bool[n_counting] of the trials that count, in order of arrival; None: all. 0 for an
        electrode that was good in none of them. ``ValidationProblem`` where there is a ``why_absent``.
        """
        self._transform()
        slots = self.slots.counting()
        slots = slots if chosen is None else slots[chosen]
        good = self._good[slots].astype(np.float64)
        share = good / np.maximum(good.sum(axis=0), 1)
        return (
            np.einsum("kc,kcft->cft", share, self._after[slots]),
            np.einsum("kc,kcf->cf", share, self._before[slots]),
        )

    def ersp(self, roi: Bool, chosen: Bool | None = None) -> F64:
        """float64[n_frequencies, n_instants], dB, mean over the electrodes of ``roi`` (bool[n_roi])."""
        after, before = self.power(chosen)
        return np.asarray(ersp_db(after[roi], before[roi][..., None]).mean(axis=0))

    def _blocks_at(self, frequency_hz: float) -> tuple[F32, F32]:
        t = self._times_s
        reach = _reach(t, frequency_hz)
        first = int(np.searchsorted(t, BASELINE_S[0] - 1e-9)) + reach
        end = int(np.searchsorted(t, min(self._gap_start_s, BASELINE_S[1] + 1e-9) - 1e-9)) - reach
        before = np.arange(end - 1, first - 1, -max(1, round(STEP_S / (t[1] - t[0]))))
        if not before.size:
            raise ValidationProblem(f"no baseline at {frequency_hz:g} Hz before the pulse")
        return wavelets(t, self._after_at, frequency_hz), wavelets(t, before, frequency_hz)

    def _transform(self) -> None:
        if self._done == len(self.slots):
            return
        if self.why_absent:
            raise ValidationProblem("no power by frequency", found=self.why_absent)
        if not self._blocks:
            self._blocks = [self._blocks_at(float(f)) for f in self.frequencies_hz]
        for first in range(self._done, len(self.slots), _AT_ONCE):
            some = slice(first, min(first + _AT_ONCE, len(self.slots)))
            x = self._x[some].reshape(-1, self._x.shape[2])
            shape = self._before[some].shape[:2]
            for j, (after, before) in enumerate(self._blocks):
                self._after[some, :, j] = _squared(x @ after).reshape(*shape, -1)
                self._before[some, :, j] = _squared(x @ before).mean(axis=1).reshape(shape)
        self._done = len(self.slots)


def _squared(both: F32) -> F32:
    half = both.shape[1] // 2
    return np.asarray(both[:, :half] ** 2 + both[:, half:] ** 2)
