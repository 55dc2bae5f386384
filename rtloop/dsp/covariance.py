"""Owns running covariances over trials with channels that come and go; owns no filter made from them.

Every pair of channels has its own count: a trial adds to a pair only if both its channels were good in it. Memory is
constant. Without forgetting each trial counts alike; with a memory of m trials a trial's weight falls by 1 - 1/m
with each later one.
"""

from __future__ import annotations

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.samples import F32, F64, Bool

#: a trial counts at most as if it had so many times the running mean power: one wild trial does not rule
MOST_POWER = 4.0


class RunningCovariance:
    """Second moments about zero of chosen stretches of a trial, µV².

    ``n`` trials added; ``sums`` float64[width, width] weighted sum of the trials' covariances; ``weights``
    float64[width, width] what to divide by.

    Parameters
    ----------
    width : channels of a row, padding included
    memory : trials after which a trial's weight has fallen to 1/e; 0 = never forget
    capped : limit each trial's power to ``MOST_POWER`` times the running mean
    """

    def __init__(self, width: int, *, memory: int = 0, capped: bool = False) -> None:
        if not (memory == 0 or memory >= 2):
            raise ValidationProblem(
                "the memory of a running covariance", expected="0 or at least 2", found=str(memory)
            )
        self.n = 0
        self._keep = 1.0 - 1.0 / memory if memory else 1.0
        self._capped = capped
        self.sums: F64 = np.zeros((width, width))
        self.weights: F64 = np.zeros((width, width))
        self._pairs: F64 = np.zeros((width, width))
        self._power_sum = self._power_weight = 0.0

    def add(self, covariance: F32, good: Bool) -> None:
        """Count one trial: float32[width, width] µV², of which only ``good`` bool[width] channels are used."""
        np.multiply(good[:, None], good[None, :], out=self._pairs, casting="unsafe")
        power = float(np.mean(np.diagonal(covariance)[good], dtype=np.float64)) if good.any() else 0.0
        share = 1.0
        if self._capped and self._power_weight > 0.0:
            limit = MOST_POWER * self._power_sum / self._power_weight
            share = limit / power if power > limit else 1.0
        self._power_sum = self._keep * self._power_sum + share * power
        self._power_weight = self._keep * self._power_weight + 1.0
        self.sums *= self._keep
        self.weights *= self._keep
        self.weights += self._pairs
        self._pairs *= covariance
        self._pairs *= share
        self.sums += self._pairs
        self.n += 1

    def known(self, fewest: float) -> Bool:
        """bool[width]: channels that were good in ``fewest`` trials at least (weighted where trials are forgotten)."""
        return np.asarray(np.diagonal(self.weights) >= min(fewest, self._limit(fewest)) - 1e-9)

    def _limit(self, fewest: float) -> float:
        """Weight that ``fewest`` trials in a row have together."""
        return fewest if self._keep == 1.0 else (1.0 - self._keep**fewest) / (1.0 - self._keep)

    def of(self, channels: Bool) -> F64:
        """float64[m, m] of the chosen channels, average-referenced over them, symmetric, no negative eigenvalue.

        Pairs that were never good together count as uncorrelated. Counting pair by pair may give small negative
        eigenvalues: they are set to zero.
        """
        some = np.flatnonzero(channels)
        square = np.ix_(some, some)
        out = self.sums[square] / np.maximum(self.weights[square], 1e-12)
        same = bool(np.ptp(self.weights[square]) < 1e-9) if some.size else True
        out = referred(out)
        if not same:
            values, vectors = np.linalg.eigh(out)
            out = (vectors * np.maximum(values, 0.0)) @ vectors.T
        return np.asarray(out)


def referred(covariance: F64) -> F64:
    """The covariance float64[m, m] of the same signals less their mean over the channels."""
    out = covariance - covariance.mean(axis=0, keepdims=True)
    out = out - out.mean(axis=1, keepdims=True)
    return np.asarray((out + out.T) / 2)
