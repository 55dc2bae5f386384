"""Owns what a method of finding a threshold says next, in values; owns no method."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Do(StrEnum):
    """What is next."""

    GIVE = "give"
    FOUND = "found"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Step:
    """The next step; ``why`` for the operator.

    GIVE: a pulse at ``pct_mso``. FOUND: ``estimate_pct_mso`` with its 95 % interval, None where the pulses do not bound a side.
    FAILED: no threshold can be told; ``why`` says what to do.
    """

    do: Do
    why: str
    pct_mso: int = 0
    estimate_pct_mso: float = 0.0
    low_pct_mso: float | None = None
    high_pct_mso: float | None = None


def give(pct_mso: int, why: str) -> Step:
    return Step(do=Do.GIVE, pct_mso=pct_mso, why=why)


def failed(why: str) -> Step:
    return Step(do=Do.FAILED, why=why)
