"""Owns the unfolding of a treatment plan into its trains, and the limits it sets itself; owns neither running nor judging."""

from __future__ import annotations

from dataclasses import dataclass

from rtloop.model.pulse import Train
from rtloop.plan.dose import pct_mso_from_rmt
from rtloop.plan.treat_schema import TreatmentPlan
from rtloop.safety.limits import Limits, tightest


@dataclass(frozen=True, kw_only=True)
class TrainStep:
    """One train: ``index`` from 0, ``pause_s`` from the END of the train before to its first pulse (0 before the first).

    ``ramping``: one of those at a lower intensity.
    """

    index: int
    target: str
    power_pct_mso: int
    power_pct_rmt: float
    train: Train
    pause_s: float
    ramping: bool


def trains_of(plan: TreatmentPlan, target: str, threshold_pct_mso: int) -> tuple[TrainStep, ...]:
    """Every train of a session in order. % of threshold becomes whole % MSO, rounded DOWN.

    What is left after n trains is ``trains_of(...)[n:]``. ``KeyError`` if the plan has no such target. A power that no unit
    has (0, or above 100) is left as it comes: the rules refuse it.
    """
    full, ramp = plan.target(target).intensity_pct_rmt, plan.ramp_up
    shares = [] if ramp is None else [s for s in ramp.steps_pct_rmt for _ in range(ramp.trains_each)]
    pause_s = plan.trains.pause_s or 0.0
    return tuple(
        TrainStep(
            index=i, target=target, power_pct_mso=pct_mso_from_rmt(pct_rmt, threshold_pct_mso), power_pct_rmt=pct_rmt,
            train=plan.train, pause_s=pause_s if i else 0.0, ramping=i < len(shares),
        )
        for i, pct_rmt in enumerate([*shares, *[full] * (plan.trains.count - len(shares))])
    )  # fmt: skip


def begins_s(steps: tuple[TrainStep, ...]) -> tuple[float, ...]:
    """When each train begins at the earliest, s after the first pulse of the first."""
    out: list[float] = []
    end_s = 0.0
    for step in steps:
        out.append(end_s + step.pause_s)
        end_s = out[-1] + step.train.duration_s
    return tuple(out)


def duration_s(plan: TreatmentPlan) -> float:
    """From the first pulse to the end of the last train, without interruptions."""
    return plan.trains.count * plan.train.duration_s + (plan.trains.count - 1) * (plan.trains.pause_s or 0.0)


def prescribed(plan: TreatmentPlan, limits: Limits) -> Limits:
    """The limits as this plan tightens them, for its rehearsal and for the gate of its session; never looser than ``limits``."""
    own = {
        "max_power_pct_mso": float(plan.caps.power_pct_mso_max),
        "max_treatment_pulses_session": float(plan.caps.pulses_session_max),
        "threshold_max_age_days": float(plan.threshold.max_age_days),
    }
    pause_s = (
        plan.trains.pause_s or 0.0
    ) - limits.interval_margin_s  # as a rehearsal counts a planned interval
    if pause_s > 0:
        own["min_between_trains_s"] = pause_s
    return tightest(limits, prescription=own)
