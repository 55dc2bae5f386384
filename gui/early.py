"""Owns the early response by intensity, held against the plan's criterion in words; owns no verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gui.asking import PULSING, asked_step, step_buttons
from gui.kept import kept
from gui.live import Live
from gui.numbers import estimate_of, newest_pulse, number, power_words
from gui.shown import Button, Early, EarlyStep, Line
from rtloop.model.view import View


def early_shown(view: View, live: Live) -> Early:
    """The steps of intensity of the target that is looked at."""
    target = view.target
    rows = _rows(view, target)
    criteria = (view.started.get("criteria") or {}).get(target) or {}
    wanted = criteria.get("early_response_uv_min")
    if wanted is None:
        wanted = next(
            (r["early_response_uv_min"] for r in rows if r.get("early_response_uv_min") is not None), None
        )
    now = _power_now(view) if view.phase in (*PULSING, "arm", "go") else None
    title, steps, words = _early(rows, target, None if wanted is None else float(wanted), now)
    returned = _returned(view, target, rows)
    if returned and not steps:
        words = returned
    return Early(title=title, criterion_uv=None if wanted is None else float(wanted), steps=steps, words=Line(text=words),
                 since=Line(text=returned if steps else ""), buttons=_buttons(view, live))  # fmt: skip


def _buttons(view: View, live: Live) -> tuple[Button, ...]:
    """Buttons only where one of them could be pressed sooner or later in this step: not in a review, not in a run."""
    asked = asked_step(view)
    previewing = (
        view.phase in ("preview", "go")
        or "preview" in view.options
        or (asked is not None and asked[1] == "preview")
    )
    return step_buttons(view, live) if previewing and not live.review and view.ended is None else ()


def _rows(view: View, target: str) -> tuple[Mapping[str, Any], ...]:
    """One row for each power: of where the coil is placed now, else of an earlier visit."""
    rows = tuple(r for r in view.early.get(target, ()) if r.get("power_pct_mso") is not None)
    return tuple(r for r in rows if not r.get("earlier")) or rows


def _returned(view: View, target: str, rows: tuple[Mapping[str, Any], ...]) -> str:
    """Where a return visit has no preview: what the steps are of, and the early response over the trials of the run."""
    earlier = any(r.get("earlier") for r in rows)
    if not earlier and (rows or not view.visits.get(target)):
        return ""
    run = view.targets.get(target)
    scores = (run.scores if run is not None else None) or {}
    told = ["seen before this placement" if earlier else "return visit, not previewed in this session"]
    if evoked := scores.get("evoked"):
        value = estimate_of(evoked.get("early_local_pp_uv"), "µV")
        told.append(f"run {number(value, unit=' µV')}, n {scores['n_accepted']}")
    return "; ".join(told)


def _power_now(view: View) -> int | None:
    newest = newest_pulse(view.pulses)
    power = view.power_pct_mso
    if power is None and newest is not None:
        power = newest.get("power_pct_mso")
    return None if power is None else int(power)


@kept
def _early(
    rows: tuple[Mapping[str, Any], ...], target: str, wanted: float | None, now: int | None
) -> tuple[str, tuple[EarlyStep, ...], str]:
    title = f"Early response near the coil: {target}" if target else "Early response near the coil"
    wants = "" if wanted is None else f", the plan wants {wanted:g} or more"
    steps = []
    for row in rows:
        value = estimate_of(row.get("early"), "µV")
        said = number(value, unit=" µV") + (wants if value.present else "")
        steps.append(
            EarlyStep(
                power_pct_mso=int(row["power_pct_mso"]), power_pct_rmt=row.get("power_pct_rmt"),
                n_accepted=int(row.get("n_accepted", 0)), n_rejected=int(row.get("n_rejected", 0)), value=value,
                now=now is not None and int(row["power_pct_mso"]) == now,
                words=f"{power_words(row)}: {said}, n {row.get('n_accepted', 0)}, {row.get('n_rejected', 0)} rejected",
            )
        )  # fmt: skip
    steps.sort(key=lambda s: s.power_pct_mso)
    shown = next((s for s in steps if s.now), steps[-1] if steps else None)
    if shown is None:
        return (
            title,
            (),
            f"no preview yet{wants.replace(', the', '; the')}{' µV' if wanted is not None else ''}",
        )
    return title, tuple(steps), shown.words
