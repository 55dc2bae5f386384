"""Owns what a session tells of itself at its start: steps, criteria, places, earlier dose, as JSON values; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rtloop.app.config import Site
from rtloop.plan.expand import Control, Listen, Preview, Run, Step
from rtloop.plan.schema import Plan
from rtloop.record.commissioning import Record, StepFound
from rtloop.safety.ledger import Ledger
from rtloop.session.loopback import COMMISSIONED, LEARNT, SITE, Band


def steps_dict(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The blocks of pulses in the order of the plan; no power and no most where somebody else's stimulator fires."""
    rows: list[dict[str, Any]] = []
    for step in steps:
        match step:
            case Preview() | Control():
                block = "preview" if isinstance(step, Preview) else "control"
                rows.append(
                    _row(step.target, block, step.power_pct_mso, step.power_pct_rmt, step.pulses, step.pulses)
                )
            case Run():
                power = (step.power_pct_mso, step.power_pct_rmt)
                rows.append(_row(step.target, "run", *power, step.pulses_wanted, step.pulses_max))
            case Listen():
                rows.append(_row(step.target, "run", None, None, step.pulses_wanted, None))
    return rows


def _row(
    target: str, block: str, mso: int | None, rmt: float | None, wanted: int, most: int | None
) -> dict[str, Any]:
    return {
        "target": target, "block": block, "power_pct_mso": mso, "power_pct_rmt": rmt, "pulses_wanted": wanted,
        "pulses_max": most,
    }  # fmt: skip


def criteria_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """Target -> what the operator holds a block against, by name."""
    return {t.name: t.accept.model_dump() for t in plan.targets if t.accept is not None}


def controls_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """Target -> its control block as planned (``kind``, ``pulses``, ``subtract``); targets without one are not in it."""
    return {t.name: t.control.model_dump() for t in plan.targets if t.control is not None}


def places_of(plan: Plan) -> dict[str, str]:
    """Target -> where the coil goes, in words."""
    return {t.name: t.coil_at if isinstance(t.coil_at, str) else "the given point" for t in plan.targets}


def band_of(site: Site, record: Record | None) -> Band:
    """What the delay from fire command to EEG may be: as the covering record measured it, else as the site says, else learnt."""
    own, measured_s = site.loopback, None if record is None else expected_delay_s(record.steps)
    said_s = None if own.expected_ms is None else own.expected_ms * 1e-3
    expected_s, whose = next(
        ((s, w) for s, w in ((measured_s, COMMISSIONED), (said_s, SITE)) if s is not None), (None, LEARNT)
    )
    return Band(
        expected_s=expected_s, off_s=own.off_ms * 1e-3, single_off_s=own.single_off_ms * 1e-3, newest=own.newest,
        whose=whose,
    )  # fmt: skip


def expected_delay_s(steps: Sequence[StepFound]) -> float | None:
    """The delay from fire command to EEG that was commissioned, s; None where no walk measured it."""
    found = [s.numbers.get("pulse_delay_ms_median") for s in steps if s.step == "pulses" and s.passed]
    return found[-1] * 1e-3 if found and found[-1] is not None else None


def dose_before(
    ledger: Ledger, day_utc: str, session_id: str = "", targets: Iterable[str] = ()
) -> dict[str, Any]:
    """Pulses of this participant before this run: on this UTC day, in all, in this session (by target); uncertain ones count.

    In this session there were some only where the run resumes it. ``treatment``: of these the treatment, whose caps are its own.
    """
    so_far = ledger.counts(target="", session_id=session_id, day=day_utc)
    return {
        "day": ledger.count(day=day_utc), "course": ledger.count(), "day_utc": day_utc,
        "session": ledger.count(session_id=session_id),
        "targets": {t: ledger.count(session_id=session_id, target=t) for t in targets},
        "treatment": {
            "session": so_far.treatment_session, "day": so_far.treatment_day, "course": so_far.treatment_course,
        },
    }  # fmt: skip
