"""Owns what is said of a number that was measured at several visits: each with its interval, and whether it changed by more than
measurement error does; owns no score, no threshold of good or bad, and no view of why it changed.

Minimal detectable change: MDC95 = 1.96 sqrt(2) SEM (Weir 2005, 10.1519/15184.1): of two measurements of the same true value, the
difference stays below it in 95 of 100. The SEM is one of two, and which of them is always told:

- from the intervals of the two measurements: the chance of trials only. Placing the coil anew, another day, other electrodes add
  to it: it is the least that a real change must exceed (docs/validation.md, section 2: 0.0155 for LOCAL at 100 simulated trials);
- from retests of the study: the within-subject standard deviation sqrt(sum d² / 2n) over pairs of measurements between which
  nothing was done (Bland and Altman 1996, 10.1136/bmj.313.7059.744). It holds what the first one lacks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.96
#: pairs of retests from which their SEM is used [A]
RETESTS_LEAST = 10
INTERVALS = "the intervals of the two (chance of trials only; coil, day and electrodes add to it)"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A number of one day with its 95 % interval, None where it has none; ``at``: for the order within a day."""

    day: str
    value: float
    low: float | None = None
    high: float | None = None
    at: str = ""

    @property
    def se(self) -> float | None:
        """Standard error by the width of the interval: (high - low) / 3.92."""
        return None if self.low is None or self.high is None else (self.high - self.low) / (2 * Z95)


@dataclass(frozen=True, kw_only=True)
class Sem:
    """A standard error of measurement and where it is from, in words."""

    value: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """From the first of two measurements to the later: ``value`` with its 95 % interval, and the minimal detectable change.

    ``beyond``: whether the change is larger than the MDC. All three None, with ``why_absent``, where no error is known.
    """

    first: Measured
    later: Measured
    value: float
    low: float | None = None
    high: float | None = None
    mdc: float | None = None
    beyond: bool | None = None
    source: str = ""
    why_absent: str = ""


def mdc(sem: float) -> float:
    """1.96 sqrt(2) SEM."""
    return Z95 * math.sqrt(2.0) * sem


def retest_sem(pairs: Sequence[tuple[float, float]]) -> Sem | None:
    """Of pairs of measurements between which nothing was done; None below ``RETESTS_LEAST`` pairs."""
    if len(pairs) < RETESTS_LEAST:
        return None
    value = math.sqrt(math.fsum((b - a) ** 2 for a, b in pairs) / (2 * len(pairs)))
    return Sem(value=value, source=f"{len(pairs)} retests of this study without treatment between them")


def change(first: Measured, later: Measured, retest: Sem | None = None) -> Change:
    """The change between two, judged by ``retest`` where it is known and by their own intervals elsewhere."""
    value, errors = later.value - first.value, (first.se, later.se)
    if retest is not None:
        sem = retest
    elif errors[0] is not None and errors[1] is not None:
        sem = Sem(value=math.sqrt((errors[0] ** 2 + errors[1] ** 2) / 2), source=INTERVALS)
    else:
        return Change(first=first, later=later, value=value, why_absent="one of the two has no interval")
    least = mdc(sem.value)
    return Change(
        first=first, later=later, value=value, low=value - least, high=value + least, mdc=least, beyond=abs(value) > least,
        source=sem.source,
    )  # fmt: skip


def changes(
    points: Sequence[Measured], first: Measured | None, retest: Sem | None = None
) -> tuple[Change, ...]:
    """From ``first`` (the baseline) to each later one; () without a baseline."""
    if first is None:
        return ()
    later = sorted((p for p in points if (p.day, p.at) > (first.day, first.at)), key=lambda p: (p.day, p.at))
    return tuple(change(first, p, retest) for p in later)


def baseline_of(points: Sequence[Measured], first_treatment: str | None) -> Measured | None:
    """The last measurement before the first treatment (an instant, ISO 8601; None: not treated yet): by its instant ``at`` where
    it has one, else by an earlier day."""
    before = [
        p for p in points
        if first_treatment is None or (p.at < first_treatment if p.at else p.day < first_treatment[:10])
    ]  # fmt: skip
    return max(before, key=lambda p: (p.day, p.at), default=None)


def words(found: Change, unit: str = "") -> str:
    """One line; never a verdict."""
    tail = f" {unit}" if unit else ""
    if found.mdc is None:
        return f"{found.value:+.3g}{tail}; whether that is more than measurement error is not known: {found.why_absent}"
    size = "more" if found.beyond else "no more"
    return f"{found.value:+.3g}{tail}, {size} than the minimal detectable change of {found.mdc:.2g}{tail} (by {found.source})"
