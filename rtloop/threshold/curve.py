"""Owns the likelihood of a threshold given the answers, its maximum and its interval; owns no pace and no next pulse.

Probability of a response at power x, threshold t: lapse + (1 - 2 lapse) Phi((x - t) / (spread t)), the cumulative Gaussian
whose spread is proportional to the threshold (Awiszus 2003, 10.1016/S1567-424X(09)70205-3). ``lapse`` is an assumption of
this project: one answer misread does not shift the estimate for good.

The interval is that of the likelihood ratio: all t whose log-likelihood lies within 1.92 (half the 95 % quantile of
chi-squared with one degree of freedom) of the maximum. The rule by which powers were chosen does not change the likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from rtloop.errors import ValidationProblem
from rtloop.model.pulse import finite
from rtloop.model.samples import F64
from rtloop.model.threshold import Answer, counted

DROP = 1.920729  # half the 0.95 quantile of chi-squared, one degree of freedom
#: 1 to 120 % in tenths: a threshold may lie above what the unit can give
GRID_PCT_MSO: F64 = np.linspace(1.0, 120.0, 1191).round(1)
GRID_PCT_MSO.setflags(write=False)
_TIE = 1e-9


@dataclass(frozen=True)
class Curve:
    """The assumed curve. ``spread``: SD as a share of the threshold, 0.07 [S, Awiszus 2003]; ``lapse`` 0.01 [A]."""

    spread: float = 0.07
    lapse: float = 0.01

    def __post_init__(self) -> None:
        if not (0.005 <= finite(self.spread) <= 0.5 and 0.0001 <= finite(self.lapse) <= 0.2):
            raise ValidationProblem(
                "this is no curve of responses", expected="a spread of 0.005 to 0.5 and a lapse of 0.0001 to 0.2",
                found=f"{self.spread!r}, {self.lapse!r}",
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Found:
    """The threshold of maximum likelihood, % of maximum output, and the interval; None: not bounded on that side."""

    estimate_pct_mso: float
    low_pct_mso: float | None
    high_pct_mso: float | None

    @property
    def width_pct_mso(self) -> float:
        """Of the interval; infinite where a side is open."""
        if self.low_pct_mso is None or self.high_pct_mso is None:
            return float("inf")
        return self.high_pct_mso - self.low_pct_mso


@lru_cache(maxsize=4096)
def _logs(curve: Curve, pct_mso: int) -> tuple[F64, F64]:
    """log P(response) and log P(none) at a power for every threshold of the grid."""
    p = curve.lapse + (1 - 2 * curve.lapse) * ndtr((pct_mso - GRID_PCT_MSO) / (curve.spread * GRID_PCT_MSO))
    return np.log(p), np.log1p(-p)


def log_likelihood(curve: Curve, answers: Sequence[Answer]) -> F64:
    """float64[grid], for each threshold of ``GRID_PCT_MSO``."""
    out: F64 = np.zeros(len(GRID_PCT_MSO))
    for pct_mso, (yes, n) in counted(answers).items():
        log_yes, log_no = _logs(curve, pct_mso)
        out += yes * log_yes + (n - yes) * log_no
    return out


def fitted(curve: Curve, answers: Sequence[Answer]) -> Found:
    """Maximum and interval. Several best thresholds (no answer yet, a flat top): their mean."""
    ll = log_likelihood(curve, answers)
    most = float(ll.max())
    best = float(GRID_PCT_MSO[ll >= most - _TIE].mean())
    within = np.flatnonzero(ll >= most - DROP)
    first, last = int(within[0]), int(within[-1])
    return Found(
        estimate_pct_mso=best, low_pct_mso=None if first == 0 else float(GRID_PCT_MSO[first]),
        high_pct_mso=None if last == len(GRID_PCT_MSO) - 1 else float(GRID_PCT_MSO[last]),
    )  # fmt: skip
