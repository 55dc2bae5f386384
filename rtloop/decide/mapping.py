"""Owns the place where a map becomes a choice of target, or says why it does not; owns no score.

Without the noise-matched score, the comparability test and the stopping boundary naming a target for the low or the
high arm is switched off; with them ``rtloop.decide.look`` answers (design note DECISION sections 1-3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rtloop.decide.precision import TargetState
from rtloop.decide.ranking import Ranking, rank

#: belongs to every text about choosing a target by the map
TRIAL_NOTE = "In the trial (n = 90) choosing the target by this map brought no benefit over classic M1."
SWITCHED_OFF = (
    "Naming a target from the map is switched off: the plan has no table [decision]. The raw ranking follows recording "
    "quality: a target with 80 % of the evoked amplitude and equal coupling comes out lowest in most draws "
    "(simulated). A choice needs the noise-matched score, the comparability test and the stopping boundary: "
    "to switch them on, add [decision] with looks, block and block_max to the plan."
)


class Question(StrEnum):
    """What the arm asks of the map. ``NONE`` asks nothing; ``CLASSIC`` gets classic M1 without asking."""

    NONE = "none"
    CLASSIC = "classic"
    LOW = "low"
    HIGH = "high"


class DecisionKind(StrEnum):
    """The answers; "undecided" and "not comparable" are answers, not failures."""

    DECIDED = "decided"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not_comparable"
    SWITCHED_OFF = "switched_off"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, kw_only=True)
class DecisionSpec:
    """What the study fixed beforehand."""

    classic_target: str = "M1"  # left M1: SCIENCE section 1


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The answer. ``target`` is given only when ``kind`` is DECIDED; ``words`` and ``note`` are shown
    together."""

    kind: DecisionKind
    question: Question
    target: str | None
    words: str
    note: str
    ranking: Ranking
    more_pulses: int | None = None  # None: not estimated

    def __post_init__(self) -> None:
        if (self.kind is DecisionKind.DECIDED) != (self.target is not None):
            raise ValueError("a target belongs to a decision of kind 'decided', and only to that")

    @property
    def text(self) -> str:
        """Words and note in one."""
        return " ".join(p for p in (self.words, self.note) if p)


def decide(
    states: tuple[TargetState, ...], question: Question | str, spec: DecisionSpec | None = None
) -> Decision:
    """Answer the arm's question. Pure: the same states give the same answer, in any order of the targets.

    ``ValueError`` for a question that does not exist.
    """
    asked = Question(question)
    spec = spec or DecisionSpec()
    ranking = rank((s.target, s.score) for s in states)
    if asked is Question.NONE:
        return Decision(
            kind=DecisionKind.NOT_ASKED,
            question=asked,
            target=None,
            words="The plan's arm asks nothing of the map: no target is named from it.",
            note=TRIAL_NOTE,
            ranking=ranking,
        )
    if asked is Question.CLASSIC:
        return Decision(
            kind=DecisionKind.DECIDED,
            question=asked,
            target=spec.classic_target,
            words=f"The classic arm gets {spec.classic_target}, whatever the map says.",
            note=TRIAL_NOTE,
            ranking=ranking,
        )
    return Decision(
        kind=DecisionKind.SWITCHED_OFF,
        question=asked,
        target=None,
        words=f"No target is named for the {asked.value} arm. {SWITCHED_OFF}",
        note=TRIAL_NOTE,
        ranking=ranking,
    )
