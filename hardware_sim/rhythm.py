"""Owns an ongoing rhythm near a target whose locking comes and goes, with its truth; owns no noise and no pulse.

The places under the coil (the stimulated region and its neighbours) oscillate. Place k runs at ``hz + a_k m(t)`` with a_k spread
evenly over ± ``apart_hz`` and m(t) = (1 - cos(2 pi t / period)) / 2: at m = 0 the phases keep their differences, at m = 1 they
drift. The phase is the integral, in closed form: a stretch of any length is the same whatever the pieces it is asked for in.
"""

from __future__ import annotations

import numpy as np

from hardware_sim.scene import Rhythm
from rtloop.model.samples import F32, F64

N_PLACES = 4  # of the columns of Answer.fields: the stimulated region and three neighbours
#: phases of the places while they are locked, off 0 and pi so that the imaginary part sees it
_AT = (0.0, 1.9, -1.2, 0.8)


class LocalRhythm:
    """Of one head. ``fields``: as ``hardware_sim.brain.Answer`` has them, float[n_channels, 4 or more]."""

    def __init__(self, rhythm: Rhythm, fields: F32, rate_hz: float) -> None:
        self.rhythm, self.rate_hz = rhythm, rate_hz
        self._apart = np.linspace(-rhythm.apart_hz, rhythm.apart_hz, N_PLACES)
        field = fields[:, :N_PLACES].astype(np.float64)
        field -= field.mean(axis=0)
        largest = np.sqrt(0.5) * np.abs(field).sum(axis=1).max()
        self._fields = (fields[:, :N_PLACES] * (rhythm.uv / largest)).astype(np.float32)

    def phases(self, t_s: F64) -> F64:
        """Of each place at these instants, from sample 0: float64[4, len(t_s)], rad."""
        period = self.rhythm.period_s
        drift_s = 0.5 * (t_s - period / (2 * np.pi) * np.sin(2 * np.pi * t_s / period))
        turns = self.rhythm.hz * t_s + self._apart[:, None] * drift_s
        return np.asarray(2 * np.pi * np.remainder(turns, 1.0) + np.array(_AT)[:, None])

    def block(self, first: int, n: int) -> F32:
        """Samples ``first .. first + n``: float32[n, n_channels], µV."""
        course = np.cos(self.phases((first + np.arange(n)) / self.rate_hz)).astype(np.float32)
        return np.asarray(course.T @ self._fields.T)

    def locking(self, from_s: float, to_s: float) -> float:
        """Truth: phase locking of the places over a stretch, |mean exp(i difference)|, mean over their pairs; 1: locked."""
        wave = np.exp(1j * self.phases(np.linspace(from_s, to_s, 400)))
        x, y = np.triu_indices(N_PLACES, 1)
        return float(np.abs((wave[x] * wave[y].conj()).mean(axis=1)).mean())
