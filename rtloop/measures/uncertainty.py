"""Owns standard errors and intervals of scores; owns no score.

Always the jackknife of the score itself, never a bootstrap with replacement (duplicate trials bias dwPLI² and
PPC). Near zero coupling the jackknife over-covers (97-99 %).
"""

from __future__ import annotations

import math

import numpy as np

from rtloop.model.estimate import Estimate
from rtloop.model.samples import F64

#: constants c*N of the square-root scale, by scope; assumptions of the design notes, coverage 94-99 %; that of the
#: seed score is 1.75 times its spread without coupling, as the others' are (docs/decisions/0017)
SQRT_CONSTANT = {"global": 0.12, "local": 0.8, "local_8": 0.4, "seed": 0.22}


def jackknife_se(without_each: F64) -> F64:
    """sqrt((n-1)/n sum (g_i - mean)²) along the first axis (Efron & Stein 1981)."""
    n = without_each.shape[0]
    return np.asarray(np.sqrt((n - 1) / n * ((without_each - without_each.mean(axis=0)) ** 2).sum(axis=0)))


def sqrt_interval(value: float, se: float, *, n: int, scope: str) -> tuple[float, float]:
    """95 % interval of a dwPLI² score on the square-root scale, for display only.

    h = sqrt(max(G + c, 0.3 c)), SE_h = SE/(2h), bounds (h ± 1.96 SE_h)² - c with h >= 0 below.
    """
    c = SQRT_CONSTANT[scope] / n
    h = math.sqrt(max(value + c, 0.3 * c))
    half = 1.96 * se / (2 * h)
    return max(h - half, 0.0) ** 2 - c, (h + half) ** 2 - c


def estimate(value: float, se: float, *, n: int, unit: str = "", sqrt_scope: str | None = None) -> Estimate:
    """An Estimate, on the square-root scale if ``sqrt_scope`` is given; absent, in words, where there is no
    number."""
    if not (math.isfinite(value) and math.isfinite(se)):
        return Estimate.absent("the trials hold no signal to compute this from", n=n, unit=unit)
    if sqrt_scope is None:
        return Estimate.normal(value, se, n=n, unit=unit)
    # a value below the scale's floor -c stays inside its own interval: widening costs no coverage
    low, high = sqrt_interval(value, se, n=n, scope=sqrt_scope)
    return Estimate(value=value, se=se, low=min(low, value), high=high, n=n, unit=unit)
