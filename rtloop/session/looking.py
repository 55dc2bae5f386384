"""Owns the numbers that the operator looks at before go / no-go and before a review, as events; owns no judgement of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtloop.model.estimate import Estimate
from rtloop.model.view import View, key_of
from rtloop.plan.expand import Preview
from rtloop.session.display import early_response_uv
from rtloop.session.line import Label, SignalLine


def early_measured(view: View, line: SignalLine, label: Label) -> dict[str, Any]:
    """The early response near the coil after one more trial of a preview: its step's intensity, counts, estimate in µV."""
    pulse = view.pulses.get(label.pulse_id, {})
    return {
        "target": label.target, "block": label.block, "power_pct_mso": pulse.get("power_pct_mso"),
        "power_pct_rmt": pulse.get("power_pct_rmt"), **_counts(view, label.target, label.block),
        "early": line.scorer(label.target, label.block).early().to_dict(),
    }  # fmt: skip


def step_looked_at(
    view: View, line: SignalLine, step: Preview, criteria: Mapping[str, Any]
) -> dict[str, Any]:
    """What a step of the preview showed, with the criteria it is held against."""
    power = {"power_pct_mso": step.power_pct_mso, "power_pct_rmt": step.power_pct_rmt}
    return block_looked_at(view, line, step.target, "preview", criteria) | power


def block_looked_at(
    view: View, line: SignalLine, target: str, block: str, criteria: Mapping[str, Any]
) -> dict[str, Any]:
    """What a block showed, with the criteria it is held against."""
    scorer = line.scorer(target, block)
    early: Estimate = scorer.early()
    return {
        "target": target, "block": block, **_counts(view, target, block),
        "early_local_pp_uv": early_response_uv(scorer), "early": early.to_dict(), **criteria,
    }  # fmt: skip


def _counts(view: View, target: str, block: str) -> dict[str, int]:
    seen = view.targets.get(key_of(target, block))
    return {"n_accepted": seen.n_accepted if seen else 0, "n_rejected": seen.n_rejected if seen else 0}
