"""Owns what is on the session's screen: one pure function of the view, the look and the choice; owns no drawing.

No Qt, no clock, no file: the same arguments give the same screen. What is costly is kept by the identity of the view's parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gui.accounting import latency_shown, pulses_shown
from gui.asking import always_shown, question_shown
from gui.beside import beside_shown
from gui.early import early_shown
from gui.heading import banner, seat_line, title
from gui.health import stream_shown, unit_shown
from gui.kept import kept
from gui.lights import quality_shown
from gui.live import Live
from gui.logged import log_shown
from gui.progress import progress_shown
from gui.scores import head_shown, scores_shown
from gui.shown import Session, Tick, Tone
from gui.treating import asks_for_treatment, treat_always, treat_progress, treat_question, treatment_shown
from gui.trials import evoked_shown, judged_trial, trial_shown, trials_shown
from gui.words import status_shown, stop_shown
from rtloop.model.estimate import POOLED
from rtloop.model.view import View


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the operator chose to look at. ``block`` is a key of the view ("M1", "M1/preview"); None: what is under way."""

    band: str = POOLED
    trial_id: int | None = None
    block: str | None = None
    role: str = "operator"  # "unblinded" sees the scores of a blinded study


def session_shown(view: View, live: Live, choice: Choice) -> Session:
    """Everything on the mapping, probe, listen-only and review screens."""
    evoked = evoked_shown(view, choice.block)
    treats, progress = view.treatment is not None, progress_shown(view, live)
    if treats:
        progress = treat_progress(progress, view)
    return Session(
        title=title(view), kind=str(view.started.get("kind", "map")), banner=banner(view, live),
        status=status_shown(view, live), stop=stop_shown(view, live), unit=unit_shown(view, live),
        stream=stream_shown(view, live),
        question=treat_question(view, live) if asks_for_treatment(view, live) else question_shown(view, live),
        always=treat_always(view, live) if treats else always_shown(view, live),
        trial=trial_shown(view, live, choice.trial_id), trials=trials_shown(view.pulses, view.started), evoked=evoked,
        early=early_shown(view, live), scores=scores_shown(view, choice.band, choice.role),
        head=head_shown(view, live, choice.block, choice.band, choice.role), progress=progress,
        pulses=pulses_shown(view), latency=latency_shown(view), log=log_shown(view.history),
        preflight=_preflight(view.preflight), seat=seat_line(view, live), ended=view.ended is not None,
        report=live.report, quality=quality_shown(view, evoked.block, judged_trial(view.pulses, view.started, choice.trial_id)),
        beside=beside_shown(view, evoked.block, choice.role), treatment=treatment_shown(view, live),
    )  # fmt: skip


@kept
def _preflight(items: tuple[Mapping[str, Any], ...]) -> tuple[Tick, ...]:
    return tuple(
        Tick(
            name=str(i.get("name", "")), expected=str(i.get("expected", "")), found=str(i.get("found", "")),
            tone=Tone.GOOD if i.get("ok") else Tone.BAD, todo="" if i.get("ok") else str(i.get("todo", "")),
        )
        for i in items
    )  # fmt: skip
