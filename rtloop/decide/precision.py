"""Owns when a target has had enough pulses; owns neither their timing nor their permission.

The rule counts pulses. It does not stop on a small standard error: that buys nothing, because the error of
one target says nothing about its distance from the others (design note DECISION section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rtloop.model.estimate import Estimate

NO_SCORE = Estimate.absent("no accepted trial yet")
NOT_MATCHED = Estimate.absent("the noise-matched score is made at a declared look only")


@dataclass(frozen=True, kw_only=True)
class TargetState:
    """What is known of one target. ``given`` counts every pulse that was or may have been delivered in the
    run."""

    target: str
    wanted: int  # accepted pulses wanted
    most: int  # pulses allowed
    given: int = 0
    accepted: int = 0
    rejected: int = 0
    score: Estimate = NO_SCORE  # GLOBAL, dwPLI², pooled
    matched: Estimate = NOT_MATCHED

    def __post_init__(self) -> None:
        if min(self.given, self.accepted, self.rejected) < 0 or self.wanted < 1 or self.most < self.wanted:
            raise ValueError(f"target {self.target}: counts must be >= 0 and 1 <= wanted <= most")


class Enough(StrEnum):
    """Why there is no next pulse, or that there is one."""

    NOT_YET = "not yet"
    WANTED_REACHED = "as many accepted pulses as wanted"
    MOST_REACHED = "as many pulses given as allowed"


def enough(state: TargetState) -> Enough:
    """Stop when accepted >= wanted or given >= most."""
    if state.accepted >= state.wanted:
        return Enough.WANTED_REACHED
    if state.given >= state.most:
        return Enough.MOST_REACHED
    return Enough.NOT_YET


def next_pulse_needed(state: TargetState) -> bool:
    """Whether the run goes on."""
    return enough(state) is Enough.NOT_YET


def run_is_over(accepted: int, given: int, wanted: int, most: int) -> bool:
    """Whether a run of so many accepted of so many given pulses needs none any more."""
    state = TargetState(target="", wanted=wanted, most=most, given=given, accepted=accepted)
    return not next_pulse_needed(state)
