"""Owns the unfolding of a plan into ordered steps with whole powers; owns neither running nor judging."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TypeAlias

from rtloop.errors import ValidationProblem
from rtloop.model.pulse import Purpose
from rtloop.plan.decision import least_accepted, most_given
from rtloop.plan.dose import pct_mso_from_rmt
from rtloop.plan.schema import Kind, Plan, Target


@dataclass(frozen=True, kw_only=True)
class Place:
    """The operator places the coil on the target; ``why`` this visit, where a mapping's course proposed it."""

    index: int
    target: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Single pulses at one step of intensity, to look at."""

    index: int
    target: str
    power_pct_mso: int
    power_pct_rmt: float | None
    pulses: int
    purpose: Purpose = Purpose.PREVIEW


@dataclass(frozen=True, kw_only=True)
class GoNoGo:
    """The operator says go or no-go, against the plan's criteria."""

    index: int
    target: str
    early_response_uv_min: float
    rejected_share_max: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """Pulses until ``pulses_wanted`` are accepted or ``pulses_max`` are given, whichever is first.

    ``adds``: they are added to those of earlier visits, and nothing begins anew.
    """

    index: int
    target: str
    power_pct_mso: int
    power_pct_rmt: float | None
    pulses_wanted: int
    pulses_max: int
    purpose: Purpose
    adds: bool = False


@dataclass(frozen=True, kw_only=True)
class Control:
    """A control block: ``kind`` is "sham" or "shoulder"."""

    index: int
    target: str
    kind: str
    power_pct_mso: int
    power_pct_rmt: float | None
    pulses: int
    purpose: Purpose = Purpose.CONTROL


@dataclass(frozen=True, kw_only=True)
class Review:
    """The operator accepts the target, redoes it, or goes on to the next; ``question`` in place of the usual one."""

    index: int
    target: str
    rejected_share_max: float
    question: str = ""


@dataclass(frozen=True, kw_only=True)
class Listen:
    """Pulses of an unconnected stimulator are looked for until ``pulses_wanted`` are accepted."""

    index: int
    target: str
    pulses_wanted: int


Step: TypeAlias = Place | Preview | GoNoGo | Run | Control | Review | Listen


def expand(plan: Plan) -> tuple[Step, ...]:
    """The steps, ``index`` counting from 0. % of threshold becomes whole % MSO, rounded DOWN.

    ``ValidationProblem`` when an intensity is in % of threshold and the plan holds no threshold.
    """
    if plan.in_pct_rmt and plan.threshold is None:
        raise ValidationProblem(
            "the intensity is in % of the motor threshold and there is no threshold",
            expected="a [threshold] table", found="none",
            todo="take the threshold by EMG with the EEG cap on and write it into the plan",
        )  # fmt: skip
    steps: list[Step] = []
    for target in targets_in_order(plan):
        steps += _listen(len(steps), target) if plan.kind is Kind.WATCH else _visit(plan, len(steps), target)
    return tuple(steps)


#: what doing a return visit again means
AGAIN = "{target}: accept this visit, or do {target} again from the beginning (its earlier trials do not count then)?"


def visit_anew(plan: Plan, target: str, why: str) -> tuple[Step, ...]:
    """A first visit of a target, from its preview on."""
    place, *rest = _visit(plan, 0, plan.target(target))
    return (replace(place, why=why), *rest)  # type: ignore[arg-type]


def visit_again(
    plan: Plan, target: str, pulses_wanted: int, pulses_max: int, why: str, *, power: tuple[int, float | None] | None = None
) -> tuple[Step, ...]:  # fmt: skip
    """A return visit: the same intensity, no preview, pulses added to those of the visits before.

    ``power`` (% MSO, % RMT): at which an earlier run of the session visited; None: the plan's, or as chosen in this run.
    """
    steps = _visit(plan, 0, plan.target(target))
    (run,), review = [s for s in steps if isinstance(s, Run)], steps[-1]
    assert isinstance(review, Review)
    if power is not None:
        run = replace(run, power_pct_mso=power[0], power_pct_rmt=power[1])
    return (
        Place(index=0, target=target, why=why),
        replace(run, index=1, pulses_wanted=pulses_wanted, pulses_max=pulses_max, adds=True),
        replace(review, index=2, question=AGAIN.format(target=target)),
    )


def returns_at_most(plan: Plan) -> tuple[Run, ...]:
    """Visits after the first ones that a rehearsal must allow for: before each further look to the two targets with most
    power, and everywhere the repairs for missing pulses, with every pulse they may give."""
    decision = plan.decision
    if decision is None:
        return ()
    runs = [s for s in expand(plan) if isinstance(s, Run)]
    two = sorted(runs, key=lambda s: (-s.power_pct_mso, -s.pulses_max))[:2]
    least = least_accepted(decision, plan.comparability)
    most = most_given(decision, least)
    returns = [
        replace(s, pulses_wanted=decision.block, pulses_max=decision.block_max, adds=True) for s in two
    ]
    repairs = [replace(s, pulses_wanted=least, pulses_max=most, adds=True) for s in runs]
    return (*returns * (decision.looks - 1), *repairs * decision.repairs)


def targets_in_order(plan: Plan) -> tuple[Target, ...]:
    """The targets as listed, or shuffled by the plan's own seed."""
    order = list(plan.targets)
    if plan.order.kind == "random":
        random.Random(plan.order.seed).shuffle(order)
    return tuple(order)


def _listen(first: int, target: Target) -> list[Step]:
    return [
        Place(index=first, target=target.name),
        Listen(index=first + 1, target=target.name, pulses_wanted=target.pulses_wanted),
    ]


def _visit(plan: Plan, first: int, target: Target) -> list[Step]:
    preview, accept = target.preview, target.accept
    assert preview is not None  # this and the next two were checked with the plan
    assert accept is not None
    assert target.pulses_max is not None
    threshold = plan.threshold.pct_mso if plan.threshold else None

    def power(mso: int | None, rmt: float | None) -> tuple[int, float | None]:
        if mso is not None:
            return mso, (100.0 * mso / threshold if threshold else None)
        assert rmt is not None
        assert threshold is not None
        return pct_mso_from_rmt(rmt, threshold), rmt

    name = target.name
    steps: list[Step] = [Place(index=first, target=name)]
    powers = [power(p, None) for p in preview.steps_pct_mso or ()]
    powers += [power(None, p) for p in preview.steps_pct_rmt or ()]
    for mso, rmt in powers:
        steps.append(
            Preview(
                index=first + len(steps),
                target=name,
                power_pct_mso=mso,
                power_pct_rmt=rmt,
                pulses=preview.pulses,
            )
        )
    steps.append(
        GoNoGo(
            index=first + len(steps),
            target=name,
            early_response_uv_min=accept.early_response_uv_min,
            rejected_share_max=accept.rejected_share_max,
        )
    )
    mso, rmt = power(target.intensity_pct_mso, target.intensity_pct_rmt)
    steps.append(
        Run(
            index=first + len(steps),
            target=name,
            power_pct_mso=mso,
            power_pct_rmt=rmt,
            pulses_wanted=target.pulses_wanted,
            pulses_max=target.pulses_max,
            purpose=Purpose.PROBE if plan.kind is Kind.PROBE else Purpose.MAPPING,
        )
    )
    if target.control is not None:
        steps.append(
            Control(
                index=first + len(steps),
                target=name,
                kind=target.control.kind,
                power_pct_mso=mso,
                power_pct_rmt=rmt,
                pulses=target.control.pulses,
            )
        )
    steps.append(Review(index=first + len(steps), target=name, rejected_share_max=accept.rejected_share_max))
    return steps
