"""Owns the replacement of the gap around the pulse by a smooth bridge; owns no claim that the bridge is
signal.

A cubic by least squares through both flanks. No bridge recovers the signal (cubic, linear and autoregressive
ones all err by as much as the signal's own SD), so bridged samples are marked invalid and feed filters only.
The raw samples inside the gap have no influence on anything: filtering across a raw pulse leaks tens of µV
into its surroundings.
"""

from __future__ import annotations

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.samples import F32, F64


class Bridge:
    """Bridges one stretch [first, last] (inclusive columns) of arrays float32[n_channels, n_samples], in
    place."""

    def __init__(self, *, first: int, last: int, flank: int, n_samples: int) -> None:
        if not (flank >= 2 and first - flank >= 0 and last + flank < n_samples and first <= last):
            raise ValidationProblem(
                "no room for the bridge over the pulse",
                expected=f"{flank} (>= 2) samples on both sides of the gap",
                found=f"gap {first}..{last} in {n_samples} samples",
                todo="use a longer epoch or a shorter gap",
            )  # fmt: skip
        self.first, self.last = first, last
        self._left = slice(first - flank, first)
        self._right = slice(last + 1, last + 1 + flank)
        known = np.r_[first - flank : first, last + 1 : last + 1 + flank].astype(np.float64)
        gap = np.arange(first, last + 1, dtype=np.float64)
        middle, half = (first + last) / 2, (last - first) / 2 + flank
        order = 3
        to_known = np.vander((known - middle) / half, order + 1)
        to_gap = np.vander((gap - middle) / half, order + 1)
        matrix: F64 = (to_gap @ np.linalg.pinv(to_known)).T
        self._from_left: F32 = np.ascontiguousarray(matrix[:flank].T, dtype=np.float32)
        self._from_right: F32 = np.ascontiguousarray(matrix[flank:].T, dtype=np.float32)

    def apply(self, data_uv: F32) -> None:
        """Overwrite the gap; what was there (NaN and clipping included) is forgotten."""
        self.rows(data_uv.T)

    def rows(self, rows: F32) -> None:
        """The same over rows, float32[n_samples, n]."""
        filled = self._from_left @ rows[self._left]
        filled += self._from_right @ rows[self._right]
        rows[self.first : self.last + 1] = filled


def gap_columns(gap_s: tuple[float, float], *, rate_hz: float, pulse_sample: int) -> tuple[int, int]:
    """First and last column (inclusive) that lie inside a gap."""
    first = pulse_sample + int(np.ceil(gap_s[0] * rate_hz - 1e-6))
    last = pulse_sample + int(np.floor(gap_s[1] * rate_hz + 1e-6))
    return first, last


def bridge(
    data_uv: F32, *, rate_hz: float, pulse_sample: int, gap_s: tuple[float, float], flank_s: float = 0.010
) -> F32:
    """A copy of float32[n_channels, n_samples] with the gap bridged."""
    first, last = gap_columns(gap_s, rate_hz=rate_hz, pulse_sample=pulse_sample)
    out = np.array(data_uv, dtype=np.float32)
    flank = max(2, round(flank_s * rate_hz))
    Bridge(first=first, last=last, flank=flank, n_samples=out.shape[1]).apply(out)
    return out
