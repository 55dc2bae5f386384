"""Owns how far apart two scores must be, at declared and at undeclared looks, and when going on is pointless; owns
no target.

Constants and formulae: design note DECISION section 3. z is on the plain scale of the score, on which it was
calibrated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Estimate

#: one-sided 5 % over all looks, constant boundary (Pocock 1977, 10.1093/biomet/64.2.191), by number of looks
Z_BY_LOOKS = {1: 1.65, 2: 1.90, 3: 2.00, 4: 2.07, 5: 2.12}
#: going on needs a chance of at least a tenth that the pair will separate (normal quantile .90)
FUTILITY_QUANTILE = 1.28
#: two-sided level of the boundary that holds at every pulse, and its scale in SE100 (assumptions)
ANY_TIME_ALPHA, ANY_TIME_SCALE = 0.10, 2.5


def z_needed(looks: int) -> float:
    """The boundary of a plan with so many declared looks (1 to 5); ``ValidationProblem`` for any other number."""
    if looks not in Z_BY_LOOKS:
        raise ValidationProblem(
            "no boundary is known for this number of looks",
            expected="1 to 5 declared looks",
            found=str(looks),
        )
    return Z_BY_LOOKS[looks]


def variance(score: Estimate, *, visits: int, placement_sd: float) -> float:
    """SE² + placement_sd² / visits: what is not known of a target's score."""
    return score.se**2 + placement_sd**2 / visits


def separation(gap: float, first: float, second: float) -> float:
    """z of a gap between two scores with these variances; 0 where nothing separates two certain equal scores."""
    spread = math.sqrt(first + second)
    if spread > 0:
        return gap / spread
    return math.copysign(math.inf, gap) if gap else 0.0


def chance_left(gap: float, now: float, cap: float) -> float:
    """The largest z to hope for at the cap: gap/sqrt(v') + 1.28 sqrt(v/v' - 1); v = ``now``, v' = ``cap``.

    Going on is futile where it stays under the boundary. ``cap`` above ``now`` counts as ``now``: pulses teach
    something or nothing.
    """
    if not (now > 0 and cap > 0):
        return separation(gap, now, 0.0)
    cap = min(cap, now)
    return gap / math.sqrt(cap) + FUTILITY_QUANTILE * math.sqrt(now / cap - 1.0)


def any_time_z(v: float, scale: float, alpha: float = ANY_TIME_ALPHA) -> float:
    """Boundary that holds at every pulse, for an approximately normal score: the normal mixture (Robbins 1970,
    10.1214/aoms/1177696786).

    z² >= (v + t²)/t² [2 ln(1/alpha) + ln((v + t²)/v)]; v variance of the difference, t = ``scale``, in its unit.

    Raises ``ValidationProblem`` unless v and scale are positive and 0 < alpha < 1.
    """
    if not (v > 0 and scale > 0 and 0 < alpha < 1):
        raise ValidationProblem(
            "the boundary for an undeclared look needs a spread", expected="v, scale > 0, 0 < alpha < 1",
            found=f"{v}, {scale}, {alpha}",
        )  # fmt: skip
    t2 = scale**2
    return math.sqrt((v + t2) / t2 * (2 * math.log(1 / alpha) + math.log((v + t2) / v)))


def any_time_scale(first: Estimate, second: Estimate) -> float:
    """t = 2.5 SE100 of the pair, SE100 = SE sqrt(n/100), root mean square of the two."""
    at_100 = (first.se**2 * first.n + second.se**2 * second.n) / 200
    return ANY_TIME_SCALE * math.sqrt(at_100)


def placement_variance(pairs: Sequence[tuple[Estimate, Estimate]]) -> float:
    """What placing the coil anew adds to a score's variance, from (first visit, return visit) of the same target.

    mean of ((x1 - x2)² - SE1² - SE2²)/2, not below 0; unit of the score squared. From few returns this is a poor
    number: k of them estimate a variance with k degrees of freedom. NaN without any.
    """
    if not pairs:
        return math.nan
    extra = [((a.value - b.value) ** 2 - a.se**2 - b.se**2) / 2 for a, b in pairs]
    return max(0.0, sum(extra) / len(extra))
