"""Owns drawing subsets of trials with fixed seeds: equal numbers of trials, and the spread of halves; owns no measure.

PLV, ITC, wPLI, imaginary coherence and PCIst grow as trials get fewer (PLV by 0.886/sqrt(N), wPLI by
1.12/sqrt(N) where nothing is coupled). Targets with unequal N are compared on subsets of the smallest N.
A half-sample is drawn without replacement: duplicates would bias what is debiased.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.samples import F64, Bool

#: measures that must not be compared at unequal N
BIASED_BY_N = ("plv", "itc", "wpli", "imcoh", "pcist", "gmfp_uv", "lmfp_uv", "early_local_pp_uv")
#: into the record, so that anyone can draw the same trials
SEED = 20160523
DRAWS = 20


@dataclass(frozen=True, kw_only=True)
class Equalised:
    """A measure at ``n`` of ``n_of`` trials: mean over ``draws`` subsets, SD between them, first seed."""

    value: F64
    spread: F64
    n: int
    n_of: int
    draws: int
    seed: int

    def se(self, se_of_all: F64) -> F64:
        """Standard error of ``value``: that of all trials together, and that of drawing a finite number of subsets.

        The mean over all subsets varies as the statistic of all trials does (to first order).
        """
        return np.sqrt(np.asarray(se_of_all) ** 2 + self.spread**2 / self.draws)


def subset(n_of: int, n: int, *, seed: int = SEED, draw: int = 0) -> Bool:
    """bool[n_of] with ``n`` True: which of the trials that count, in order of arrival. The same for the same numbers.

    ``ValidationProblem`` unless 1 <= n <= n_of.
    """
    if not 1 <= n <= n_of:
        raise ValidationProblem(
            "no such subset of the trials", expected=f"1 to {n_of} trials", found=str(n),
            todo="use the smallest number of accepted trials among the targets",
        )  # fmt: skip
    chosen = np.zeros(n_of, dtype=np.bool_)
    chosen[np.random.default_rng((seed, draw, n_of, n)).permutation(n_of)[:n]] = True
    return chosen


def equalised(
    score: Callable[[Bool], F64], n_of: int, n: int, *, draws: int = DRAWS, seed: int = SEED
) -> Equalised:
    """``score`` (of a bool[n_of] of trials) at ``n`` trials; all of them once when ``n`` is ``n_of``."""
    times = 1 if n == n_of else draws
    values = np.array([score(subset(n_of, n, seed=seed, draw=d)) for d in range(times)])
    spread = values.std(axis=0, ddof=1) if times > 1 else np.zeros_like(values[0])
    return Equalised(value=values.mean(axis=0), spread=spread, n=n, n_of=n_of, draws=times, seed=seed)


def half_sample_se(
    score: Callable[[Bool], float], n_of: int, *, draws: int = DRAWS, seed: int = SEED
) -> float:
    """Standard error from halves of the trials (delete-d jackknife, d = n/2: Shao & Wu 1989, 10.1214/aos/1176347263).

    For what is not smooth in the trials (a maximum, a count), where leaving out one at a time fails.
    NaN below 4 trials, or where a half gives no number.
    """
    if n_of < 4:
        return math.nan
    kept = n_of - n_of // 2
    values = np.array([score(subset(n_of, kept, seed=seed, draw=d)) for d in range(draws)])
    return float(np.sqrt(kept / (n_of - kept)) * values.std(ddof=1))


def plus_minus(n: int, *, seed: int = SEED) -> F64:
    """float64[n] weights, +1/n for one half of the trials and -1/n for the other: their weighted sum is an average
    whose noise is that of the average and in which what is alike in all trials is gone (Schimmel 1967,
    10.1126/science.157.3784.92). Of an odd number the last drawn gets 0, and the others 1/(n - 1).
    """
    order = np.random.default_rng((seed, n)).permutation(n)
    out = np.zeros(n)
    half = n // 2
    out[order[:half]], out[order[half : 2 * half]] = 1 / max(1, 2 * half), -1 / max(1, 2 * half)
    return out
