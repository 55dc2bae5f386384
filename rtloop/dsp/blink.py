"""Owns the blink: where one is, which fields it has, and its removal by regression; owns no verdict.

A blink lasts 50-400 ms and has one or two fields over the scalp (design notes), so only what is slower than ``SMOOTH_S`` is
touched, only along those fields, and only where a blink is: elsewhere a trial stays as it is, to the bit. Its course is that
of the field in ongoing EEG's own metric, s = (P' C^-1 P)^-1 P' C^-1 x (minimum variance: van Veen 1997,
10.1109/10.623056), so that what the rest of the scalp explains is not taken for a blink. The fields P are generalised
eigenvectors of the covariance in blinks against that of other trials: past trials only.
"""

from __future__ import annotations

import numpy as np

from rtloop.dsp.covariance import RunningCovariance
from rtloop.dsp.muscle import patterns
from rtloop.dsp.rows import padded
from rtloop.model.estimate import Verdict
from rtloop.model.samples import F32, F64, Bool

SMOOTH_S = 0.040
#: a blink begins and ends where it has fallen to this share of the gate; there the removal fades in and out
EDGE_SHARE, FADE_S = 0.25, 0.060
#: power in blinks over power in other trials that makes a field one of a blink; and the noise added to the latter
RATIO, RIDGE = 4.0, 0.01
#: trials without a blink before anything is removed
USUAL_FIRST = 5
#: reasons after which a trial still teaches: the blink itself, and what is too fast or too short to reach its course
TEACHES_DESPITE = (
    "blink-like frontal amplitude", "peak to peak pre pulse", "peak to peak post pulse", "residual decay",
    "fast activity before the pulse", "fast activity after the pulse", "no artifact filter yet, trials learnt",
)  # fmt: skip


def smoothed(rows: F32, known: Bool, width: int) -> F64:
    """float64[n_times, n]: mean over ``width`` samples around each, of ``known`` bool[n_times] ones; what no known sample
    reaches is bridged by a straight line."""
    padding = ((width // 2 + 1, width - width // 2 - 1), (0, 0))
    summed = np.cumsum(np.pad(np.where(known[:, None], rows, 0.0), padding), axis=0, dtype=np.float64)
    count = np.cumsum(np.pad(known.astype(np.float64), padding[0]))
    n = count[width:] - count[:-width]
    out: F64 = (summed[width:] - summed[:-width]) / np.maximum(n, 1.0)[:, None]
    lost = np.flatnonzero(n < 0.5)
    if lost.size and lost.size < n.size:
        have = np.flatnonzero(n >= 0.5)
        for c in range(out.shape[1]):
            out[lost, c] = np.interp(lost, have, out[have, c])
    return out


def blink_at(course: F64, gate_uv: float, fade: int) -> F64:
    """Weight float64[n_times], 0 to 1: how far a blink is there. All zero where ``course`` float64[n_times] (µV, frontal,
    smoothed) never exceeds the gate; NaN opens nothing."""
    size = np.abs(course)
    near = (size > EDGE_SHARE * gate_uv).astype(np.int8)
    edges = np.flatnonzero(np.diff(near, prepend=0, append=0)).reshape(-1, 2)
    inside = np.zeros(course.size)
    for a, b in edges:
        if (size[a:b] > gate_uv).any():
            inside[max(0, a - fade) : b + fade] = 1.0
    if not inside.any():
        return inside
    ramp = np.hanning(2 * fade + 1)
    wide = np.pad(inside, fade, mode="edge")
    return np.minimum(1.0, np.convolve(wide, ramp / ramp.sum(), mode="valid"))


def blink_fields(during: F64, usual: F64, *, most: int = 2) -> tuple[F64, F64]:
    """Fields of blinks float64[m, k] of unit length and the weights float64[k, m] that give their course, from covariances
    float64[m, m] µV² of the smoothed signal in blinks and in other trials. k may be 0."""
    m = usual.shape[0]
    metric = usual + np.eye(m) * (RIDGE * np.trace(usual) / m)
    fields, _ = patterns(during, metric, ratio=RATIO, most=most)
    if not fields.size:
        return fields, np.zeros((0, m))
    inverse = np.linalg.solve(metric, fields)
    return fields, np.asarray(np.linalg.solve(fields.T @ inverse, inverse.T))


class Blinks:
    """Blinks of one stream at the low rate, after the reference.

    Parameters
    ----------
    times_s : float64[n_times]; known : bool[n_times], False where an artifact of the pulse hides the blink
    frontal : channels nearest Fpz; none: nothing is ever removed
    gate_uv : of the smoothed mean of the frontal ones; first : blinks to be learnt before one is removed
    """

    def __init__(
        self, times_s: F64, known: Bool, frontal: tuple[int, ...], n_channels: int, *, gate_uv: float, first: int, most: int
    ) -> None:  # fmt: skip
        rate = 1.0 / float(times_s[1] - times_s[0])
        self._known, self._frontal, self._gate_uv = known, frontal, gate_uv
        self._first, self._most, self._n = first, most, n_channels
        self._width, self._fade = max(1, round(SMOOTH_S * rate)), max(1, round(FADE_S * rate))
        self._during, self._usual = (RunningCovariance(padded(n_channels), capped=c) for c in (True, False))
        self._latest: F32 = np.zeros((padded(n_channels), padded(n_channels)), dtype=np.float32)
        self._good: Bool = np.zeros(padded(n_channels), dtype=np.bool_)
        self._blinked = self._held = False
        self.removed_uv = 0.0

    def apply(self, rows: F32, good: Bool) -> bool:
        """Note a trial float32[n_times, padded channels] (µV, referenced, bad channels 0) and take its blink out in place;
        True where something was taken out."""
        self.removed_uv, self._held = 0.0, False
        frontal = [c for c in self._frontal if good[c]]
        if not frontal:
            return False
        some = np.flatnonzero(good)
        slow = smoothed(rows[:, : self._n], self._known, self._width)
        weight = blink_at(slow[:, frontal].mean(axis=1), self._gate_uv, self._fade)
        self._blinked = bool(weight.any())
        x = slow[weight >= 0.5] if self._blinked else slow
        self._latest[: self._n, : self._n] = x.T @ x / len(x)
        self._good[: self._n], self._held = good, True
        if not self._blinked or self._during.n < self._first or self._usual.n < USUAL_FIRST:
            return False
        fields, course_of = blink_fields(
            self._during.of(self._good), self._usual.of(self._good), most=self._most
        )
        if not (fields.size and np.isfinite(fields).all() and np.isfinite(course_of).all()):
            return False
        out = weight[:, None] * (slow[:, some] @ course_of.T @ fields.T)
        self.removed_uv = float(np.abs(out).max())
        rows[:, some] -= out.astype(np.float32)
        return True

    def learn(self, verdict: Verdict) -> None:
        """Count the noted trial as it was before anything was taken out, unless more was wrong with it than
        ``TEACHES_DESPITE``."""
        if self._held and all(reason[0] in TEACHES_DESPITE for reason in verdict.reasons):
            (self._during if self._blinked else self._usual).add(self._latest, self._good)
        self._held = False
