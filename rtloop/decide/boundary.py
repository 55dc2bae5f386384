"""Owns how far apart two scores must be at declared looks, and when going on is pointless; owns no target.

Constants and formulae: design note DECISION section 3. z is on the plain scale of the score, on which it was
calibrated.
"""

from __future__ import annotations

import math

from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Estimate

#: one-sided 5 % over all looks, constant boundary (Pocock 1977, 10.1093/biomet/64.2.191), by number of looks
Z_BY_LOOKS = {1: 1.65, 2: 1.90, 3: 2.00, 4: 2.07, 5: 2.12}
#: going on needs a chance of at least a tenth that the pair will separate (normal quantile .90)
FUTILITY_QUANTILE = 1.28


def z_needed(looks: int) -> float:
    """The boundary of a plan with so many declared looks (1 to 5); ``ValidationProblem`` for any other number."""
    if looks not in Z_BY_LOOKS:
        raise ValidationProblem(
            "no boundary is known for this number of looks",
            expected="1 to 5 declared looks",
            found=str(looks),
        )
    return Z_BY_LOOKS[looks]


def variance(score: Estimate, *, visits: int, placement_sd: float, place_spread: float = 0.0) -> float:
    """SE² + placement_sd² / visits + (place_spread score)²: what is not known of a target's score.

    The last is the same however many pulses and visits there are; of a score below 0 it is 0.
    """
    return score.se**2 + placement_sd**2 / visits + (place_spread * max(score.value, 0.0)) ** 2


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
