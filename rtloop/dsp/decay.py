"""Owns the removal of the electrode decay after the pulse, where there clearly is one; owns no other
artifact.

Model (Freche 2018, 10.1371/journal.pcbi.1006177): A/(1 + t/tau)^2 + offset, fitted by variable projection
(Golub & Pereyra 1973) over a fixed grid of tau. Fitting where there is no decay removes brain signal, so a
channel is touched only if the fitted amplitude at the end of the gap exceeds a floor in µV AND several times
the amplitude which the same fit finds in the ongoing EEG before the pulse AND explains most of the window's
variance.
"""

from __future__ import annotations

import numpy as np

from rtloop.dsp.rows import energy_about_mean, mean_square, strongest
from rtloop.model.samples import F32, F64, I64, Bool

#: courses that are smaller beside the largest one are rounding of float32
ROUNDING = 1e-7


class DecayFit:
    """Precomputed fit for one epoch layout.

    Parameters
    ----------
    times_s : float64[n_samples], seconds from the pulse
    start_s, end_s : stretch fitted; the model is subtracted from ``start_s`` to the end of the epoch
    baseline_s : ongoing EEG, where the fit's own noise is measured
    """

    def __init__(
        self,
        times_s: F64,
        *,
        start_s: float,
        end_s: float,
        baseline_s: tuple[float, float],
        tau_s: tuple[float, float] = (0.0005, 0.05),
        taus: int = 24,
        min_uv: float = 20.0,
        noise_ratio: float = 4.0,
        min_share: float = 0.5,
        windows: int = 6,
    ) -> None:
        self.first = int(np.searchsorted(times_s, start_s, side="right"))
        self.stop = int(np.searchsorted(times_s, end_s, side="right"))
        n = self.stop - self.first
        t = times_s[self.first :]
        tau = np.geomspace(*tau_s, taus)[:, None]
        shape = (1 + t / tau) ** -2
        shape /= shape[:, :1]  # amplitude = value at the end of the gap
        centred = shape[:, :n] - shape[:, :n].mean(axis=1, keepdims=True)
        self._norm = np.linalg.norm(centred, axis=1).astype(np.float32)
        unit = centred / self._norm[:, None]
        # decays of near tau are much alike: 8 courses make up all 24 (Eckart & Young 1936, 10.1007/BF02288367)
        weights, size, courses = np.linalg.svd(unit, full_matrices=False)
        some = size > ROUNDING * size[0]
        self._weights: F32 = np.ascontiguousarray(weights[:, some] * size[some], dtype=np.float32)
        self._courses: F32 = np.ascontiguousarray(courses[some], dtype=np.float32)
        self._along_shapes: F32 = (unit @ shape[:, :n].T).astype(np.float32)
        #: float32[taus, n_samples]: each decay, 1 at the end of the gap and 0 before it
        self.shapes: F32 = np.zeros((taus, times_s.size), dtype=np.float32)
        self.shapes[:, self.first :] = shape
        self._gates = (min_uv, noise_ratio, min_share)
        a = int(np.searchsorted(times_s, baseline_s[0], side="left"))
        b = int(np.searchsorted(times_s, baseline_s[1], side="right"))
        last = max(a, b - n)
        self._starts = sorted({int(s) for s in np.linspace(a, last, windows)}) if b - a >= n else []

    def amplitude_uv(self, stretch_uv: F32) -> tuple[I64, F32, F32]:
        """Best tau's index, amplitude (µV at the end of the gap) and explained energy of float32[n_channels,
        n]."""
        return self._best(self._along(stretch_uv.T))

    def _along(self, rows: F32) -> F32:
        """Projections float32[taus, n] of float32[n_fitted, n] on the decays, each of unit length and mean 0."""
        return self._weights @ (self._courses @ rows)

    def _best(self, along: F32) -> tuple[I64, F32, F32]:
        """The same from the projections float32[taus, n_channels]."""
        best = np.empty(along.shape[1], dtype=np.int64)
        value = np.empty(along.shape[1], dtype=np.float32)
        strongest(along, best, value)
        return best, value / self._norm[best], value * value

    def apply(self, data_uv: F32, usable: Bool) -> tuple[F32, F32]:
        """Subtract in place from the channels of float32[n_channels, n_samples] whose gate opens.

        Returns
        -------
        removed_uv : float32[n_channels], amplitude removed at the end of the gap, 0 where nothing was done
        residual_uv : float32[n_channels], amplitude which the same fit still finds afterwards
        """
        removed, residual, which = self.fit(np.ascontiguousarray(data_uv.T), usable)
        opened = np.flatnonzero(removed)
        data_uv[opened, self.first :] -= removed[opened, None] * self.shapes[which[opened], self.first :]
        return removed, residual

    def fit(self, rows: F32, usable: Bool) -> tuple[F32, F32, I64]:
        """What there is to remove from float32[n_samples, n]: amplitude (0 where the gate stays shut), amplitude
        that the same fit will still find, and which of ``shapes`` it is. Nothing is changed."""
        min_uv, noise_ratio, min_share = self._gates
        n = self.stop - self.first
        along = self._along(rows[self.first : self.stop])
        best, amplitude, energy = self._best(along)
        total = np.empty(rows.shape[1], dtype=np.float32)
        energy_about_mean(rows, self.first, self.stop, total)
        size = np.abs(amplitude)
        opened = usable & (size >= min_uv) & (energy >= min_share * total)
        near = np.flatnonzero(opened)
        if near.size and self._starts:
            sizes = np.empty((len(self._starts), len(self._courses), opened.size), dtype=np.float32)
            for of_window, s in zip(sizes, self._starts, strict=True):
                np.matmul(self._courses, rows[s : s + n], out=of_window)
            noise = np.empty_like(size)
            mean_square(self._weights @ sizes, self._norm, noise)
            opened &= size >= noise_ratio * np.sqrt(noise)
        removed: F32 = np.where(opened, amplitude, np.float32(0))
        which = np.flatnonzero(opened)
        residual = size
        if which.size:
            left: F32 = np.ascontiguousarray(
                along[:, which] - removed[which] * self._along_shapes[:, best[which]]
            )
            residual = size.copy()
            residual[which] = np.abs(self._best(left)[1])
        return removed, residual, best
