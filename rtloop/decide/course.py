"""Owns which target a mapping visits next, with how many pulses and why; owns no pulse, coil or permission.

A pure function of what the study fixed and of what happened so far: the same history gives the same next step,
live, after a crash and in a replay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from rtloop.decide.comparability import ComparabilitySpec
from rtloop.decide.look import Look, LookSpec, Outcome
from rtloop.decide.mapping import Question
from rtloop.errors import ValidationProblem


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A stay at a target is over, with so many accepted pulses."""

    target: str
    accepted: int


@dataclass(frozen=True, kw_only=True)
class Restart:
    """Place, angle or intensity at a target were changed: what was recorded there does not count any more."""

    target: str


Event: TypeAlias = Visit | Restart | Look


@dataclass(frozen=True, kw_only=True)
class CourseSpec:
    """What the study fixed beforehand.

    ``targets`` in the order of the first visits (randomise it before); ``places_m`` target -> x, y, z metres, for the
    way of the coil, or empty; ``first`` accepted pulses of a first visit; ``look`` None where the arm asks nothing of
    the map; ``repairs`` visits a target may get for missing pulses only.
    """

    targets: tuple[str, ...]
    first: int = 100
    look: LookSpec | None = None
    comparability: ComparabilitySpec = field(default_factory=ComparabilitySpec)
    question: Question = Question.NONE
    repairs: int = 1
    places_m: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        asked = self.question in (Question.LOW, Question.HIGH)
        if asked != (self.look is not None) or (
            self.look is not None and self.look.question is not self.question
        ):
            raise ValidationProblem(
                "looks belong to the question low or high, and only to that one", found=self.question.value
            )
        if (
            not self.targets
            or len(set(self.targets)) != len(self.targets)
            or self.first < 1
            or self.repairs < 0
        ):
            raise ValidationProblem("a course needs targets, each once, and pulses", found=str(self.targets))
        if self.look is None:
            return
        need = max(self.look.n0, self.comparability.accepted_min)
        if len(self.targets) < 2 or self.first < need:
            raise ValidationProblem(
                "a first visit must bring what a look needs", expected=f"two targets, {need} pulses each",
                found=f"{len(self.targets)} target(s), {self.first}",
            )  # fmt: skip
        most = (self.first + (self.look.looks - 1) * self.look.block) / self.first
        if not most <= self.comparability.accepted_ratio_max:
            raise ValidationProblem(
                "the return visits would make the targets incomparable by their own number of pulses",
                expected=f"at most {self.comparability.accepted_ratio_max:g} times the first visit", found=f"{most:.2g}",
                todo="plan fewer looks, smaller blocks or longer first visits",
            )  # fmt: skip


class Do(StrEnum):
    """What is next."""

    VISIT = "visit"
    LOOK = "look"
    END = "end"


@dataclass(frozen=True, kw_only=True)
class Step:
    """The next step. VISIT: ``target`` and ``pulses`` (accepted ones wanted); LOOK: ``number``; ``why`` for the operator.

    ``move`` False: the coil is there already.
    """

    do: Do
    why: str
    target: str | None = None
    pulses: int = 0
    number: int = 0
    move: bool = True


def next_step(spec: CourseSpec, history: Sequence[Event]) -> Step:
    """What to do after ``history``. ``ValidationProblem`` for a target that is not of the plan."""
    coil: str | None = None
    counted: dict[str, int] = {}
    for event in history:
        if isinstance(event, Look):
            continue
        if event.target not in spec.targets:
            raise ValidationProblem("a target that is not of the plan", found=event.target)
        if isinstance(event, Restart):
            counted.pop(event.target, None)
        else:
            coil = event.target
            counted[event.target] = counted.get(event.target, 0) + event.accepted
    last, found = -1, None
    for i, event in enumerate(history):
        if isinstance(event, Look) and event.declared:
            last, found = i, event
    if found is not None and found.outcome in (Outcome.NAMED, Outcome.UNDECIDED):
        return Step(do=Do.END, why=found.words)
    missing = [t for t in spec.targets if t not in counted]
    if missing:
        place = spec.targets.index(missing[0]) + 1
        why = f"first visit, target {place} of {len(spec.targets)}"
        if any(isinstance(e, Restart) and e.target == missing[0] for e in history):
            why = "recorded from the beginning, because place, angle or intensity changed"
        return _visit(missing[0], spec.first, why, coil)
    if spec.look is None:
        return Step(do=Do.END, why="every target was visited; the plan's arm asks nothing of the map")
    spent = sum(1 for e in history if isinstance(e, Look) and e.spent)
    if found is None:
        return _look(spent + 1, spec.look)
    since = [e.target for e in history[last + 1 :] if isinstance(e, Visit)]
    if found.outcome is Outcome.RETURN:
        pair = [t for t in (found.leader, found.challenger) if t is not None and t not in since]
        if pair:
            target = _nearest(pair, coil, spec)
            return _visit(
                target,
                spec.look.block,
                "return visit before the next look; same intensity, angle, place",
                coil,
            )
        return _look(spent + 1, spec.look)
    return _after_refusal(spec, history, found, since, coil, counted)


def _after_refusal(
    spec: CourseSpec,
    history: Sequence[Event],
    found: Look,
    since: list[str],
    coil: str | None,
    counted: Mapping[str, int],
) -> Step:
    """Not comparable: pulses where only pulses are missing, another look where something was done, else the end."""
    assert spec.look is not None
    failures = found.comparability.failures if found.comparability is not None else ()
    short = {t: spec.look.n0 - n for t, n in counted.items() if n < spec.look.n0}
    for f in failures:
        if f.more_pulses:
            short[f.target] = max(short.get(f.target, 0), f.more_pulses)
    only_pulses = all(f.more_pulses for f in failures)
    left = [t for t in short if t not in since and _repairs(history, t) < spec.repairs]
    if only_pulses and left:
        target = _nearest(left, coil, spec)
        return _visit(target, short[target], "accepted pulses are missing there for a fair comparison", coil)
    if since:
        return _look(1 + sum(1 for e in history if isinstance(e, Look) and e.spent), spec.look)
    return Step(do=Do.END, why=found.words)


def _repairs(history: Sequence[Event], target: str) -> int:
    """Visits made at a target right after looks that found the targets not comparable, since its last restart."""
    count, refused = 0, False
    for event in history:
        if isinstance(event, Look):
            refused = event.outcome is Outcome.NOT_COMPARABLE if event.declared else refused
        elif event.target == target:
            count = 0 if isinstance(event, Restart) else count + refused
    return count


def _visit(target: str, pulses: int, why: str, coil: str | None) -> Step:
    return Step(do=Do.VISIT, target=target, pulses=pulses, why=why, move=target != coil)


def _look(number: int, spec: LookSpec) -> Step:
    return Step(
        do=Do.LOOK, number=number, why=f"look {number} of {spec.looks}: all pulses it needs were given"
    )


def _nearest(targets: Sequence[str], coil: str | None, spec: CourseSpec) -> str:
    """The one where the coil is, else the nearest, else the first in the order of the plan."""

    def way(t: str) -> tuple[bool, float, int]:
        here, there = spec.places_m.get(coil or ""), spec.places_m.get(t)
        far = math.dist(here, there) if here is not None and there is not None else 0.0
        return t != coil, far, spec.targets.index(t)

    return min(targets, key=way)
