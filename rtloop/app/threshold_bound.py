"""Owns how a motor threshold from its file joins a plan or a treatment: checked against who sits there and with what; owns no
intensity.

A plan that is written once for everybody says % of threshold and holds no threshold; the file of ``rtloop threshold`` brings it.
What the gate then checks of each pulse is the same as of a threshold that was typed into the plan.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rtloop.app.threshold_asked import motor_threshold
from rtloop.errors import ValidationProblem
from rtloop.model.status import Mode
from rtloop.model.threshold import Rig, Threshold, Use, fit, unfit
from rtloop.plan.problems import from_pydantic, refuse
from rtloop.plan.schema import Plan
from rtloop.plan.schema import Threshold as Table
from rtloop.plan.treat_schema import TreatmentPlan
from rtloop.plan.treat_steps import prescribed
from rtloop.record.thresholds import read_threshold
from rtloop.safety.limits import Limits
from rtloop.safety.rules import MotorThreshold


def bound(
    plan: Plan, file: Path | None, *, participant: str, mode: Mode, today: str, max_age_days: float
) -> tuple[Plan, dict[str, Any] | None]:
    """The plan with the threshold of ``file``, and what the journal tells of it; without a file the plan as it is.

    ValidationProblem with every reason why not; IntegrityProblem where the file is not as it was written.
    """
    if file is None:
        return plan, None
    threshold, sha256 = read_threshold(file)
    no = list(_unfit_plan(plan, threshold))
    if plan.unit is not None:
        waveform, _, direction = plan.unit.waveform.partition(", ")
        rig = Rig(
            unit_model=plan.unit.model, coil=plan.unit.coil, waveform=waveform, current_direction=direction
        )
        use = Use(
            participant=participant, rig=rig, today=today, mode=mode, max_age_days=max_age_days,
            cap_on=True,  # there is no map and no probe without one; it lifts the coil off the head
        )  # fmt: skip
        no += unfit(threshold, use)
    if no:
        raise ValidationProblem(
            f"the motor threshold of {file} cannot be used with the plan {plan.name}",
            expected="a fresh EMG threshold of exactly this participant and of the plan's [unit]", found="; ".join(no),
            todo="take it again with what is used today: rtloop threshold; a plan names waveform and current direction as in "
            'waveform = "monophasic, posterior-anterior"',
        )  # fmt: skip
    assert plan.unit is not None
    table = {
        "pct_mso": threshold.pct_mso, "date": date.fromisoformat(threshold.day), "method": "EMG", "coil": plan.unit.coil,
        "waveform": plan.unit.waveform, "participant": participant,
    }  # fmt: skip
    try:
        fields = {name: getattr(plan, name) for name in Plan.model_fields}
        made = Plan.model_validate(fields | {"threshold": Table.model_validate(table)})
    except ValidationError as wrong:
        raise refuse("plan", f"{plan.name} with {file}", from_pydantic(wrong)) from wrong
    made._sha256, made._source = plan.sha256, plan.source
    return made, {"sha256": sha256, **threshold.data()}


def for_treatment(
    plan: TreatmentPlan, target: str, file: Path, *, participant: str, mode: Mode, today: str, limits: Limits
) -> tuple[MotorThreshold, Threshold, str]:
    """The threshold of ``file`` for a treatment of ``target``: as the gate takes it, as it was taken, and its digest.

    ValidationProblem with every reason why not (the stricter age of plan and limits holds); KeyError: no such target.
    """
    threshold, sha256 = read_threshold(file)
    use = Use(
        participant=participant, rig=plan.rig(target), today=today, mode=mode,
        max_age_days=prescribed(plan, limits).threshold_max_age_days,
    )  # fmt: skip
    return motor_threshold(fit(threshold, use)), threshold, sha256


def _unfit_plan(plan: Plan, threshold: Threshold) -> list[str]:
    if plan.unit is None:
        return ["the plan: expected one with a [unit], found one that fires nothing"]
    if plan.threshold is not None:
        return [
            f"the plan: expected none of its own, found a [threshold] of {plan.threshold.pct_mso} % there; "
            f"the file says {threshold.pct_mso} %"
        ]
    if not plan.in_pct_rmt:
        return ["the plan: expected intensities in % of threshold, found % of maximum output throughout"]
    return []
