"""Owns P(lowest) and P(highest) of targets from their scores and standard errors; owns no choice of a target.

These numbers are a display. They hold the sampling error only: they know nothing of recording quality,
placement or the number of looks taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from rtloop.model.estimate import Estimate
from rtloop.model.samples import F64

SAMPLING_ONLY = "sampling error only, not a decision"
_KNOTS = np.array([-9.0, -6.0, -4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


@dataclass(frozen=True, kw_only=True)
class Place:
    """One target in the ranking. ``p_lowest`` and ``p_highest`` are None where they cannot be known:
    ``why_absent``."""

    target: str
    score: Estimate
    p_lowest: float | None
    p_highest: float | None
    rank: int | None  # 1 is the lowest score
    why_absent: str = ""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """All targets, in the order given; ``label`` belongs beside every number shown."""

    places: tuple[Place, ...]
    label: str = SAMPLING_ONLY

    @property
    def lowest_first(self) -> tuple[str, ...]:
        """Names of the targets that have a score, lowest score first (the name decides between equals)."""
        ranked = [(p.rank, p.target) for p in self.places if p.rank is not None]
        return tuple(name for _, name in sorted(ranked))

    @property
    def excluded(self) -> tuple[tuple[str, str], ...]:
        """(target, reason) of those without a place."""
        return tuple((p.target, p.why_absent) for p in self.places if p.rank is None)


def p_lowest(value: F64, se: F64) -> F64:
    """P(X_i is the smallest), float64[n], of independent normals with mean ``value`` and SD ``se``.

    Both float64[n], finite, se >= 0, else ``ValueError``. Sums to 1.
    P_i = integral of phi_i(x) prod_{j != i} (1 - Phi_j(x)) dx (David & Nagaraja 2003, Order Statistics),
    by Gauss-Legendre between knots at multiples of every SE, so that unequal SEs are resolved.
    """
    value, se = np.asarray(value, dtype=np.float64), np.asarray(se, dtype=np.float64)
    if value.ndim != 1 or value.shape != se.shape or value.size == 0:
        raise ValueError(
            f"value {value.shape} and se {se.shape} must be one-dimensional, of one length, not empty"
        )
    if not (np.isfinite(value).all() and np.isfinite(se).all() and (se >= 0).all()):
        raise ValueError("scores and standard errors must be finite, standard errors not negative")
    centred = value - value.min()
    scale = max(float(centred.max()), float(se.max()))
    if scale == 0.0:  # all equal and all certain
        return np.full(value.size, 1.0 / value.size)
    centred, se = centred / scale, np.maximum(se / scale, 1e-9)  # a certain score is a very narrow normal
    knots = np.unique((centred[:, None] + se[:, None] * _KNOTS).ravel())
    half = np.diff(knots) / 2
    x = ((knots[:-1] + half)[:, None] + half[:, None] * _NODES).ravel()
    weight = (half[:, None] * _WEIGHTS).ravel()
    z = (x - centred[:, None]) / se[:, None]
    density = np.exp(-0.5 * z * z) / (se[:, None] * math.sqrt(2 * math.pi))
    above = ndtr(-z)
    out = np.empty(value.size)
    for i in range(value.size):
        others = np.prod(np.delete(above, i, axis=0), axis=0)
        out[i] = float(np.sum(weight * density[i] * others))
    return np.asarray(out / out.sum())


def rank(scores: Iterable[tuple[str, Estimate]]) -> Ranking:
    """Rank (target, score) pairs.

    A score that is absent or not finite is left out, with the reason, and takes no part in the probabilities
    of the others; with fewer than two scores no probability is given.
    ``ValueError`` when a target occurs twice.
    """
    given = list(scores)
    names = [name for name, _ in given]
    if len(set(names)) != len(names):
        raise ValueError(f"a target occurs twice in {names}")
    usable = [i for i, (_, score) in enumerate(given) if not _why_absent(score)]
    low: dict[int, float] = {}
    high: dict[int, float] = {}
    if len(usable) >= 2:
        value = np.array([given[i][1].value for i in usable])
        se = np.array([given[i][1].se for i in usable])
        low = dict(zip(usable, p_lowest(value, se).tolist(), strict=True))
        high = dict(zip(usable, p_lowest(-value, se).tolist(), strict=True))
    order = sorted(usable, key=lambda i: (given[i][1].value, given[i][0]))
    places = []
    for i, (name, score) in enumerate(given):
        why = _why_absent(score)
        if not why and len(usable) < 2:
            why = "no other target has a score yet"
        places.append(
            Place(
                target=name,
                score=score,
                p_lowest=low.get(i),
                p_highest=high.get(i),
                rank=order.index(i) + 1 if i in order else None,
                why_absent=why,
            )
        )
    return Ranking(places=tuple(places))


def _why_absent(score: Estimate) -> str:
    if not score.present:
        return score.why_absent
    if not math.isfinite(score.value):
        return f"the score is not a finite number ({score.value})"
    if not (math.isfinite(score.se) and score.se >= 0):
        return f"the standard error is not usable ({score.se})"
    return ""
