"""Owns how an outcome goes with a baseline value within each arm: slope and correlation with intervals; owns no claim of a cause.

Exploratory by its nature: the arms are small, the question was not the trial's primary one, nothing is corrected for the number
of looks. The slope is that of the measured value: its own error flattens it (regression dilution; Hutcheon 2010,
10.1136/bmj.c2289), by the factor ``reliability`` where intervals say how large it is; the slope is given as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

#: fewer participants in an arm give a number that says nothing [A]
LEAST = 5
EXPLORATORY = (
    "Exploratory: it was looked for after the fact, in few people, without correction for the number of looks. It says nothing "
    "of what would happen to anybody, and is no reason to treat or not to treat."
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One participant: baseline ``x`` with its standard error (None: not known), outcome ``y``."""

    participant: str
    arm: str
    x: float
    y: float
    x_se: float | None = None


@dataclass(frozen=True, kw_only=True)
class Association:
    """Of ``n`` participants: ``slope`` (units of y for one unit of x), its 95 % interval and standard error by ordinary least
    squares (Student's t, n - 2 degrees of freedom); ``intercept``; Pearson's ``r`` with its interval by Fisher's z.

    ``reliability``: 1 - mean squared error of x over its variance; None where errors are not known. ``why_absent``: then nothing
    else holds.
    """

    arm: str
    n: int
    slope: float = math.nan
    low: float = math.nan
    high: float = math.nan
    se: float = math.nan
    intercept: float = math.nan
    r: float = math.nan
    r_low: float = math.nan
    r_high: float = math.nan
    reliability: float | None = None
    why_absent: str = ""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Slope of the first minus that of the second arm, with a 95 % interval (Welch and Satterthwaite's degrees of freedom)."""

    first: str
    second: str
    value: float
    low: float
    high: float


def association(arm: str, rows: Sequence[Row]) -> Association:
    """How y goes with x among these participants."""
    n = len(rows)
    if n < LEAST:
        return Association(arm=arm, n=n, why_absent=f"{n} participant(s), fewer than {LEAST}")
    mx, my = math.fsum(r.x for r in rows) / n, math.fsum(r.y for r in rows) / n
    sxx = math.fsum((r.x - mx) ** 2 for r in rows)
    syy = math.fsum((r.y - my) ** 2 for r in rows)
    sxy = math.fsum((r.x - mx) * (r.y - my) for r in rows)
    if not (sxx > 1e-12 * max(1.0, mx * mx) and syy > 0):
        return Association(arm=arm, n=n, why_absent="all have the same value")
    slope = sxy / sxx
    se = math.sqrt(max(0.0, syy - slope * sxy) / (n - 2) / sxx)
    half = t_quantile(0.975, n - 2) * se
    r = max(-1.0, min(1.0, sxy / math.sqrt(sxx * syy)))
    z, dz = math.atanh(max(-1 + 1e-15, min(1 - 1e-15, r))), 1.96 / math.sqrt(n - 3)
    errors = [r.x_se for r in rows if r.x_se is not None]
    noise = math.fsum(e * e for e in errors) / n if len(errors) == n else None
    return Association(
        arm=arm, n=n, slope=slope, low=slope - half, high=slope + half, se=se, intercept=my - slope * mx, r=r,
        r_low=math.tanh(z - dz), r_high=math.tanh(z + dz),
        reliability=None if noise is None else max(0.0, 1.0 - noise / (sxx / (n - 1))),
    )  # fmt: skip


def by_arm(rows: Sequence[Row], arms: Sequence[str]) -> Mapping[str, Association]:
    """arm -> association within it, in this order."""
    return {arm: association(arm, [r for r in rows if r.arm == arm]) for arm in arms}


def difference(a: Association, b: Association) -> Difference | None:
    """Between the slopes of two arms; None where one of them has none."""
    if a.why_absent or b.why_absent:
        return None
    va, vb = a.se**2, b.se**2
    value, spread = a.slope - b.slope, math.sqrt(va + vb)
    if spread == 0:
        return Difference(first=a.arm, second=b.arm, value=value, low=value, high=value)
    free = (va + vb) ** 2 / (va**2 / (a.n - 2) + vb**2 / (b.n - 2))
    half = t_quantile(0.975, free) * spread
    return Difference(first=a.arm, second=b.arm, value=value, low=value - half, high=value + half)


def share_interval(k: int, n: int) -> tuple[float, float]:
    """95 % interval of a share k of n (Wilson 1927, 10.1080/01621459.1927.10502953); n at least 1."""
    z2, p = 1.96**2, k / n
    middle, half = p + z2 / (2 * n), 1.96 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, (middle - half) / (1 + z2 / n)), min(1.0, (middle + half) / (1 + z2 / n))


@cache
def t_quantile(p: float, free: float) -> float:
    """Quantile of Student's t for .5 < p < 1, by bisection of its distribution function."""
    low, high = 0.0, 1.0
    while _t_below(high, free) < p:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_below(middle, free) < p else (low, middle)
    return (low + high) / 2


def _t_below(t: float, free: float) -> float:
    """P(T < t), t >= 0: 1 - I_x(free/2, 1/2) / 2 with x = free / (free + t²) (Abramowitz and Stegun 26.5.27)."""
    return 1.0 - _beta_share(free / (free + t * t), free / 2, 0.5) / 2


def _beta_share(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b) by its continued fraction (Abramowitz and Stegun 26.5.8, Lentz's method)."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _beta_share(1.0 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    tiny, c = 1e-300, 1.0
    d = 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1), tiny)
    total = d
    for m in range(1, 300):
        up = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1.0 / _not_zero(1.0 + up * d, tiny), _not_zero(1.0 + up / c, tiny)
        total *= d * c
        down = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1.0 / _not_zero(1.0 + down * d, tiny), _not_zero(1.0 + down / c, tiny)
        total *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return front * total / a


def _not_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
