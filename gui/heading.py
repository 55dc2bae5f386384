"""Owns what a session is called on the screen, who may speak to it and whether it lives, in words; owns no fault."""

from __future__ import annotations

from gui.live import Live
from gui.shown import Line, Tone
from rtloop.model.view import View

#: an engine whose heartbeat is older than this is called frozen; the port process disarms after 0.25 s of silence
FROZEN_S = 1.0
#: while it starts it may be busy for so long (kernels are compiled); nothing can be armed then
STARTING_S = 20.0
#: from the confirmed second step to the unit's own "armed"
ARMING_S = 3.0
KINDS = {"map": "Mapping", "probe": "Probe", "watch": "Listen-only", "treat": "Treatment"}


def listens(view: View) -> bool:
    """Whether no unit is connected in this session."""
    return view.started.get("mode") == "LISTEN" or view.started.get("kind") == "watch"


def starting(view: View) -> bool:
    """Whether the pre-flight has not passed yet: nothing can be armed."""
    return view.phase in ("not started", "started") and view.lamp == "SAFE"


def engine_trouble(view: View, live: Live) -> str:
    """Why no word reaches the engine ("gone", "frozen"), or empty."""
    if live.review or view.ended is not None or not live.board_seen or live.engine_ended:
        return ""
    if not live.engine_lives:
        return "gone"
    limit_s = STARTING_S if starting(view) else FROZEN_S
    return "frozen" if limit_s < live.engine_age_s < float("inf") else ""


def title(view: View) -> str:
    """Mapping · P017 · map-200"""
    s = view.started
    parts = (KINDS.get(s.get("kind", ""), "Session"), s.get("participant", ""), s.get("plan", ""))
    return " · ".join(str(p) for p in parts if p)


def banner(view: View, live: Live) -> Line:
    """What this is, in one word that is always on the screen."""
    mode, scene = str(view.started.get("mode", "")), view.started.get("scene")
    simulated = mode == "SIMULATED" or scene is not None
    if live.review:
        return Line(text="REVIEW · SIMULATED" if simulated else f"REVIEW · {mode}".strip(" ·"), tone=Tone.OFF)
    match mode:
        case "HUMAN":
            return Line(text="HUMAN", tone=Tone.BAD)
        case "BENCH":
            return Line(text="BENCH", tone=Tone.ATTENTION)
        case "LISTEN":
            return Line(
                text="LISTEN · SIMULATED" if simulated else "LISTEN",
                tone=Tone.ATTENTION if simulated else Tone.OFF,
            )
        case "SIMULATED":
            return Line(text="SIMULATED", tone=Tone.ATTENTION)
    return Line(text="STARTING", tone=Tone.OFF)


def seat_line(view: View, live: Live) -> Line:
    """Who may say words to the engine."""
    if live.review:
        return Line(text="review", tone=Tone.OFF)
    if view.ended is not None:
        return Line(text="the session has ended", tone=Tone.OFF)
    by = view.started.get("answered_by")
    match live.seat:
        case "ours":
            return Line(text="operator: this window" + ("; the simulated operator answers too" if by == "simulated" else ""),
                        tone=Tone.GOOD)  # fmt: skip
        case "another":
            return Line(text="another window has the operator's seat: this one watches", tone=Tone.ATTENTION)
        case "lost":
            return Line(text="this window has lost the operator's seat", tone=Tone.BAD)
    if by == "terminal":
        return Line(text="answered at its terminal: this window watches", tone=Tone.ATTENTION)
    return Line(text="no operator's seat yet", tone=Tone.OFF)


def arming(view: View, live: Live) -> bool:
    """Whether both steps were taken and the unit's own "armed" is still awaited."""
    for h in reversed(view.history):
        if h["kind"] == "arm_confirmed":
            return bool(h.get("accepted")) and live.now_s - float(h.get("t_s", 0.0)) <= ARMING_S
        if h["kind"] in ("disarmed", "lamp_changed"):
            return False
    return False
