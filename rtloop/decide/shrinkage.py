"""Owns a person's score drawn towards their earlier visits; owns no visit. Never to be used for testing change.

Design note DECISION section 4: the prior is normal with the mean of K visits and variance
sigma_d² + (SE² + sigma_d²)/K, sigma_d the true day-to-day SD.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtloop.model.estimate import Estimate

#: belongs beside every shrunk number
HIDES_CHANGE = "drawn towards earlier visits: steadier, but it hides change"


def shrunk(today: Estimate, earlier: Sequence[Estimate], day_sd: float) -> Estimate:
    """(m/V + x/SE²)/(1/V + 1/SE²) with SE (1/V + 1/SE²)^-1/2; absent, in words, where it cannot be had.

    earlier : the same score, preset, intensity and target on earlier days, present ones count
    day_sd : sigma_d, unit of the score; unknown for these scores, hence a plan value
    """
    past = [e for e in earlier if e.present and np.isfinite(e.value) and np.isfinite(e.se)]
    if not today.present:
        return Estimate.absent(today.why_absent, n=today.n, unit=today.unit)
    if not past:
        return Estimate.absent("no earlier visit to draw towards", n=today.n, unit=today.unit)
    if not day_sd >= 0:
        return Estimate.absent(f"the day-to-day SD is not usable ({day_sd})", n=today.n, unit=today.unit)
    k = len(past)
    se2 = float(np.mean([e.se**2 for e in past]))
    mean = float(np.mean([e.value for e in past]))
    v = day_sd**2 + (se2 + day_sd**2) / k
    if not (v > 0 and today.se > 0):
        return Estimate.absent(
            "a score without a standard error cannot be weighed", n=today.n, unit=today.unit
        )
    precision = 1 / v + 1 / today.se**2
    value = (mean / v + today.value / today.se**2) / precision
    return Estimate.normal(value, precision**-0.5, n=today.n, unit=today.unit)
