"""Owns the way from % of threshold to % of the unit's output, and the unit's own gap; owns no limit."""

from __future__ import annotations

import math
from fractions import Fraction

#: shortest time between two pulses of the 200², s: (below this % MSO, gap) (design note STIMULATOR section 1)
GAPS_200_S: tuple[tuple[int, float], ...] = ((50, 2.0), (80, 3.0), (101, 4.0))


def pct_mso_from_rmt(pct_rmt: float, threshold_pct_mso: int) -> int:
    """Whole % MSO for an intensity in % of threshold, rounded DOWN; exact (110 % of 50 is 55, not 54 or
    56)."""
    return math.floor(Fraction(repr(float(pct_rmt))) * threshold_pct_mso / 100)


def unit_gap_s(power_pct_mso: int) -> float:
    """Shortest time between two pulses that a 200² allows at this power; ``ValueError`` outside 0-100."""
    if not 0 <= power_pct_mso <= 100:
        raise ValueError(f"{power_pct_mso} % MSO is outside 0-100")
    return next(gap for below, gap in GAPS_200_S if power_pct_mso < below)
