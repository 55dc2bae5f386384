"""Owns the way from a plan's [decision] and [comparability] to what the course of a mapping is fixed to; decides nothing.

The modules of the decision are imported only where a plan has the table: they bring compiled code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rtloop.errors import ValidationProblem
from rtloop.plan.problems import Problem
from rtloop.plan.schema import Arm, Comparability, Decision, Kind, Plan, Question, Target

if TYPE_CHECKING:
    from rtloop.decide.prescription import Prescription


def prescription_of(plan: Plan) -> Prescription | None:
    """What a mapping may name a target by; None where the plan has no [decision]."""
    if plan.decision is None:
        return None
    from rtloop.plan.expand import targets_in_order

    return _prescription(plan.decision, plan.comparability, plan.arm, targets_in_order(plan))


def _prescription(
    decision: Decision, comparability: Comparability | None, arm: Arm, targets: Sequence[Target]
) -> Prescription:
    from rtloop.decide.comparability import ComparabilitySpec
    from rtloop.decide.course import CourseSpec
    from rtloop.decide.look import LookSpec
    from rtloop.decide.mapping import Question as Asked
    from rtloop.decide.matching import MatchSpec
    from rtloop.decide.prescription import Prescription

    question = Asked(arm.question.value)
    points = {t.name: t.point_m() for t in targets}
    return Prescription(
        course=CourseSpec(
            targets=tuple(t.name for t in targets), first=min(t.pulses_wanted for t in targets), question=question,
            look=LookSpec(
                question=question, n0=decision.n0, block=decision.block, looks=decision.looks,
                placement_sd=decision.placement_sd, place_spread=decision.place_spread,
            ),
            comparability=ComparabilitySpec(**{} if comparability is None else comparability.model_dump()),
            repairs=decision.repairs,
            places_m={name: (float(p[0]), float(p[1]), float(p[2])) for name, p in points.items()},
        ),
        match=MatchSpec(shifts=decision.shifts, seed=decision.seed), block_max=decision.block_max,
    )  # fmt: skip


def pulses_of_returns(decision: Decision, n_targets: int, comparability: Comparability | None) -> int:
    """Pulses that visits after the first may give at most: returns to two before each further look, and repairs."""
    repair = most_given(decision, least_accepted(decision, comparability))
    return 2 * (decision.looks - 1) * decision.block_max + decision.repairs * n_targets * repair


def least_accepted(decision: Decision, comparability: Comparability | None) -> int:
    """Accepted pulses without which a target is compared with none: what a visit for missing pulses may want at most."""
    return max(decision.n0, 0 if comparability is None else comparability.accepted_min)


def most_given(decision: Decision, wanted: int) -> int:
    """Pulses given at most for ``wanted`` accepted ones after the first visits (as ``Prescription.most``)."""
    return -(-wanted * decision.block_max // decision.block)


def decision_wrong(
    tables: Mapping[str, Any], targets: Sequence[Target], kind: Kind | None
) -> Iterator[Problem]:
    """Everything that keeps a mapping from naming a target as planned."""
    decision: Decision | None = tables.get("decision")
    comparability: Comparability | None = tables.get("comparability")
    arm: Arm | None = tables.get("arm")
    if decision is None:
        if comparability is not None and "decision" in tables:
            yield Problem(
                where="comparability", what="nothing is compared", expected="a table [decision] beside it",
                found="none", todo="add [decision], or remove [comparability]",
            )  # fmt: skip
        return
    if arm is None or kind is None:
        return
    if kind is not Kind.MAP or arm.question not in (Question.LOW, Question.HIGH):
        yield Problem(
            where="decision", what="the plan's arm asks nothing of a map",
            expected='kind = "map" and question = "low" or "high"', found=f"{kind.value}, {arm.question.value}",
            todo="remove [decision] and [comparability], or correct the kind or the question",
        )  # fmt: skip
        return
    wanted = sorted({t.pulses_wanted for t in targets})
    if len(wanted) > 1:
        yield Problem(
            where="targets", what="the first visits are of unequal length", expected="one pulses_wanted at all targets",
            found=", ".join(map(str, wanted)), todo="want as many accepted pulses at each target of a comparison",
        )  # fmt: skip
    signal = tables.get("signal")
    gaps = {str(signal.gap_ms if t.gap_ms is None and signal is not None else t.gap_ms) for t in targets}
    if len(gaps) > 1:
        yield Problem(
            where="targets", what="the scores of the targets are of unlike windows", expected="one gap_ms at all targets",
            found=", ".join(sorted(gaps)), todo="take one gap_ms, the longest that a target needs, for all",
        )  # fmt: skip
    if any(not isinstance(t.coil_at, str) or _known(t) for t in targets) and targets:
        try:
            _prescription(decision, comparability, arm, targets)
        except ValidationProblem as err:
            yield Problem(
                where="decision", what=err.what, expected=err.expected or "settings that fit each other", found=err.found
                or "others", todo=err.todo or "correct [decision] or [comparability]",
            )  # fmt: skip


def _known(target: Target) -> bool:
    try:
        target.point_m()
    except ValueError:
        return False
    return True
