"""Owns one look at the map: named, return to two, undecided or not comparable; owns no visit and no pulse.

Algorithm of design note DECISION section 3. The leader must beat every other target on each score that must
agree (raw and noise-matched), by the boundary of the number of looks fixed beforehand. There is no division by
the number of targets: a wrong name must win against the true one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rtloop.decide import boundary
from rtloop.decide.comparability import Comparability
from rtloop.decide.mapping import TRIAL_NOTE, Decision, DecisionKind, Question
from rtloop.decide.ranking import rank
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Estimate


class Scale(StrEnum):
    """The two scores of a target."""

    RAW = "raw"
    MATCHED = "noise-matched"


class Outcome(StrEnum):
    """What a look says. All four are full answers."""

    NAMED = "named"
    RETURN = "return to two"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True, kw_only=True)
class LookSpec:
    """What the study fixed beforehand. ``placement_sd`` (unit of the score) is unknown for this measure: 0 says
    that placing the coil anew adds nothing, an assumption. ``place_spread`` (share of the score): by how much places of
    equal coupling differ in score, because they differ in phase lags; no pulse lessens it, 0 says not at all."""

    question: Question
    n0: int = 60  # accepted pulses each target needs before anything is computed
    block: int = 100  # accepted pulses of a return visit
    looks: int = 2
    placement_sd: float = 0.0
    place_spread: float = 0.0
    agree: tuple[Scale, ...] = (Scale.RAW, Scale.MATCHED)

    def __post_init__(self) -> None:
        boundary.z_needed(self.looks)
        if self.question not in (Question.LOW, Question.HIGH):
            raise ValidationProblem(
                "there is nothing to look for", expected="the question low or high", found=self.question.value
            )
        spreads = (self.placement_sd, self.place_spread)
        if self.n0 < 3 or self.block < 1 or not all(0 <= sd < math.inf for sd in spreads) or not self.agree:
            raise ValidationProblem("the settings of the looks make no sense", found=str(self))


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One target as a look sees it: both scores over all its visits since its last restart."""

    target: str
    visits: int
    raw: Estimate
    matched: Estimate

    def score(self, scale: Scale) -> Estimate:
        """The score on one scale."""
        return self.raw if scale is Scale.RAW else self.matched


@dataclass(frozen=True, kw_only=True)
class Contest:
    """The leader against one other target: z on each scale that must agree, the one needed, and the least z to hope
    for at the cap (None at the last look)."""

    target: str
    z: tuple[float, ...]
    needed: float
    hope: float | None = None

    @property
    def won(self) -> bool:
        """Whether the leader beats it on every scale."""
        return all(z >= self.needed for z in self.z)


@dataclass(frozen=True, kw_only=True)
class Look:
    """The answer of one look. ``leader`` and ``challenger`` are None where no ranking was computed; ``declared`` False
    (a look outside the plan) is made by no version. A look that finds the targets not comparable is not spent."""

    number: int
    of: int
    outcome: Outcome
    question: Question
    words: str
    leader: str | None = None
    challenger: str | None = None
    contests: tuple[Contest, ...] = ()
    comparability: Comparability | None = None
    declared: bool = True

    @property
    def spent(self) -> bool:
        """Whether it counts against the number of looks."""
        return self.declared and self.outcome is not Outcome.NOT_COMPARABLE


def look(candidates: Sequence[Candidate], comparability: Comparability, spec: LookSpec, number: int) -> Look:
    """Look ``number`` (from 1) of ``spec.looks``. Pure; the order of the candidates does not matter.

    ``ValidationProblem`` for a look that was not declared, fewer than two targets, or one twice.
    """
    if not 1 <= number <= spec.looks:
        raise ValidationProblem(
            "this look was not declared", expected=f"1 to {spec.looks}", found=str(number),
            todo="plan the number of looks beforehand",
        )  # fmt: skip
    refused = _refused(candidates, comparability, spec, number)
    if refused is not None:
        return refused
    leader, others = _leader(candidates, spec)
    last = number == spec.looks
    needed = boundary.z_needed(spec.looks)
    contests = []
    for c in others:
        z = tuple(_z(leader, c, scale, spec) for scale in spec.agree)
        hope = None if last else min(_hope(leader, c, s, spec, spec.looks - number) for s in spec.agree)
        contests.append(Contest(target=c.target, z=z, needed=needed, hope=hope))
    contests.sort(key=lambda c: (min(c.z), c.target))
    closest, told = contests[0], _told(spec.question)
    beaten = [c.target for c in contests if c.won]
    place, scales = f"look {number} of {spec.looks}", " and ".join(s.value for s in spec.agree)
    if closest.won:
        outcome, words = Outcome.NAMED, (
            f"{leader.target} has the {told} GLOBAL score: at {place} it beats every other target on the {scales} "
            f"score, the closest ({closest.target}) by z = {min(closest.z):.2f}; {needed:.2f} was needed. "
            f"{_assumed(spec)}"
        )  # fmt: skip
    elif last or (closest.hope is not None and closest.hope < needed):
        outcome = Outcome.UNDECIDED
        pair = f"{leader.target} or {closest.target}"
        who = (
            f"{pair} has the {told} GLOBAL score, and which of them cannot be told"
            if len(beaten) == len(contests) - 1
            else f"which target has the {told} GLOBAL score cannot be told"
        )
        why = (
            f"{leader.target} leads {closest.target} by z = {min(closest.z):.2f}, {needed:.2f} was needed"
            if last
            else f"even all pulses the plan allows would hardly part {leader.target} from {closest.target} "
            f"(z = {closest.hope:.2f} to hope for, {needed:.2f} needed)"
        )
        words = f"Undecided at {place}: {who}; {why}. This is an answer: no target is named from this map."
    else:
        outcome, words = Outcome.RETURN, (
            f"Not decided at {place}: return to two targets, {spec.block} accepted pulses each, with the same "
            "intensity, angle and place as before."
        )  # fmt: skip
    return Look(
        number=number, of=spec.looks, outcome=outcome, question=spec.question, words=words, leader=leader.target,
        challenger=closest.target, contests=tuple(contests), comparability=comparability,
    )  # fmt: skip


def decision_of(found: Look, candidates: Sequence[Candidate]) -> Decision:
    """The look as the answer that is recorded and shown, with the note on what the trial found.

    ``ValidationProblem`` for a look that says to go on: that is no answer yet.
    """
    kinds = {
        Outcome.NAMED: DecisionKind.DECIDED,
        Outcome.UNDECIDED: DecisionKind.UNDECIDED,
        Outcome.NOT_COMPARABLE: DecisionKind.NOT_COMPARABLE,
    }
    if found.outcome not in kinds:
        raise ValidationProblem("the look is no answer yet", found=found.words, todo="make the return visits")
    missing = [f.more_pulses or 0 for f in found.comparability.failures] if found.comparability else []
    return Decision(
        kind=kinds[found.outcome], question=found.question, words=found.words, note=TRIAL_NOTE,
        target=found.leader if found.outcome is Outcome.NAMED else None,
        ranking=rank((c.target, c.raw) for c in candidates), more_pulses=sum(missing) or None,
    )  # fmt: skip


#: pulses more at a target that are still worth naming: beyond, a session does not end
MORE_MOST = 3000
_MORE_STEP = 10


def more_to_decide(
    candidates: Sequence[Candidate], comparability: Comparability, spec: LookSpec
) -> int | None:
    """Accepted pulses in all, at the leader and at each target it does not beat yet, after which one more visit of each would
    name the leader, if the scores stay where they are; 0: it is named already.

    An expectation, no promise: scores move. None where pulses are not what is missing (not comparable for another reason, a
    gap that no number of pulses below ``MORE_MOST`` at a target parts).
    """
    if not comparability.passed or _refused(candidates, comparability, spec, 1) is not None:
        wanted = [f.more_pulses for f in comparability.failures]
        return sum(w for w in wanted if w) if wanted and all(wanted) else None
    leader, others = _leader(candidates, spec)
    needed = boundary.z_needed(spec.looks)
    behind = [c for c in others if any(_z(leader, c, s, spec) < needed for s in spec.agree)]
    if not behind:
        return 0
    for more in range(_MORE_STEP, MORE_MOST + 1, _MORE_STEP):
        if all(_expected_z(leader, c, s, spec, more) >= needed for c in behind for s in spec.agree):
            return more * (1 + len(behind))
    return None


def _expected_z(leader: Candidate, other: Candidate, scale: Scale, spec: LookSpec, more: int) -> float:
    """z where each of the two gets so many accepted pulses more in one visit, and both scores stay."""
    gap, spread = _asked(other, scale, spec) - _asked(leader, scale, spec), []
    for c in (leader, other):
        e = c.score(scale)
        e = replace(e, se=e.se * math.sqrt(e.n / (e.n + more)))
        spread.append(
            boundary.variance(
                e, visits=c.visits + 1, placement_sd=spec.placement_sd, place_spread=spec.place_spread
            )
        )
    return boundary.separation(gap, *spread)


def _assumed(spec: LookSpec) -> str:
    """What a name assumes beyond the scores it compares."""
    within = f"within {100 * spec.place_spread:g} %" if spec.place_spread else "exactly"
    return (
        f"It is the place of the {_told(spec.question)} score; that its coupling is the {_told(spec.question)} assumes that "
        f"equal coupling gives equal scores at these places {within}."
    )


def _told(question: Question) -> str:
    return "lowest" if question is Question.LOW else "highest"


def _refused(
    candidates: Sequence[Candidate], comparability: Comparability, spec: LookSpec, number: int
) -> Look | None:
    names = [c.target for c in candidates]
    if len(names) < 2 or len(set(names)) != len(names):
        raise ValidationProblem("a look needs two targets or more, each once", found=", ".join(names))
    words = "" if comparability.passed else comparability.words
    for c in sorted(candidates, key=lambda c: c.target):
        for scale in spec.agree:
            e = c.score(scale)
            if not (e.present and math.isfinite(e.value) and 0 < e.se < math.inf):
                why = e.why_absent or f"score {e.value}, standard error {e.se}"
                words += f" {c.target} has no usable {scale.value} score: {why}."
            elif e.n < spec.n0:
                words += f" {c.target} has {e.n} accepted pulses; nothing is decided below {spec.n0}."
    if not words:
        return None
    return Look(
        number=number, of=spec.looks, outcome=Outcome.NOT_COMPARABLE, question=spec.question, words=words.strip(),
        comparability=comparability,
    )  # fmt: skip


def _asked(c: Candidate, scale: Scale, spec: LookSpec) -> float:
    """The score, turned so that the question is always for the lowest."""
    value = c.score(scale).value
    return value if spec.question is Question.LOW else -value


def _leader(candidates: Sequence[Candidate], spec: LookSpec) -> tuple[Candidate, list[Candidate]]:
    """By the noise-matched score where it must agree: the raw one follows recording quality."""
    scale = Scale.MATCHED if Scale.MATCHED in spec.agree else Scale.RAW
    ordered = sorted(candidates, key=lambda c: (_asked(c, scale, spec), c.target))
    return ordered[0], ordered[1:]


def _variance(c: Candidate, scale: Scale, spec: LookSpec, more: int = 0) -> float:
    """``more``: as it will be after so many further visits."""
    e = c.score(scale)
    e = replace(e, se=e.se * math.sqrt(e.n / (e.n + more * spec.block)))
    return boundary.variance(
        e, visits=c.visits + more, placement_sd=spec.placement_sd, place_spread=spec.place_spread
    )


def _z(leader: Candidate, other: Candidate, scale: Scale, spec: LookSpec) -> float:
    gap = _asked(other, scale, spec) - _asked(leader, scale, spec)
    return boundary.separation(gap, _variance(leader, scale, spec), _variance(other, scale, spec))


def _hope(leader: Candidate, other: Candidate, scale: Scale, spec: LookSpec, left: int) -> float:
    gap = _asked(other, scale, spec) - _asked(leader, scale, spec)
    now, cap = (sum(_variance(c, scale, spec, more) for c in (leader, other)) for more in (0, left))
    return boundary.chance_left(gap, now, cap)
