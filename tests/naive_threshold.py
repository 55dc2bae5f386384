"""Slow twins of the methods of ``rtloop.threshold``: plain loops, no arrays, nothing remembered between calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rtloop.model.threshold import Answer
from rtloop.threshold.relative import RelativeSpec


def chance(x: float, t: float, spread: float, lapse: float) -> float:
    """Of a response at power ``x`` with threshold ``t``."""
    return lapse + (1 - 2 * lapse) * 0.5 * math.erfc(-(x - t) / (spread * t) / math.sqrt(2))


def fitted(
    answers: Sequence[Answer], spread: float, lapse: float
) -> tuple[float, float | None, float | None]:
    """Estimate, low and high end, thresholds from 1 to 120 % in tenths."""
    grid = [k / 10 for k in range(10, 1201)]
    lls = []
    for t in grid:
        ll = 0.0
        for a in answers:
            p = chance(a.pct_mso, t, spread, lapse)
            ll += math.log(p if a.response else 1 - p)
        lls.append(ll)
    most = max(lls)
    best = [t for t, ll in zip(grid, lls, strict=True) if ll >= most - 1e-9]
    within = [t for t, ll in zip(grid, lls, strict=True) if ll >= most - 1.920729]
    low = None if within[0] == grid[0] else within[0]
    high = None if within[-1] == grid[-1] else within[-1]
    return sum(best) / len(best), low, high


def relative(spec: RelativeSpec, pulse: Callable[[int], bool]) -> tuple[str, int]:
    """("found", threshold) or ("failed", last power): told as a person would do it, pulse by pulse."""
    given = 0
    power = spec.start_pct_mso

    class Spent(Exception):
        pass

    def give(at: int) -> bool:
        nonlocal given
        if given >= spec.pulses_max:
            raise Spent
        given += 1
        return pulse(at)

    try:
        while not all(give(power) for _ in range(spec.sure)):
            if power == spec.most_pct_mso:
                return "failed", power
            power = min(power + spec.coarse_pct, spec.most_pct_mso)
        passed: dict[int, bool] = {}
        while True:
            yes = no = 0
            while yes < spec.needed and no <= spec.of - spec.needed:
                if give(power):
                    yes += 1
                else:
                    no += 1
            passed[power] = yes >= spec.needed
            there = power - spec.fine_pct if passed[power] else power + spec.fine_pct
            if there in passed:
                return "found", max(power, there)
            if not spec.least_pct_mso <= there <= spec.most_pct_mso:
                return "failed", power
            power = there
    except Spent:
        return "failed", power
