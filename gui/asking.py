"""Owns what may be said to the engine now: buttons with their keys, and why one is disabled; owns no answer.

Esc is STOP and nothing else; ``arm`` and ``confirm`` never share a key. A button is enabled when the engine, as far as its
events tell, would take the word; the engine decides, and its refusal comes back in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gui.heading import arming, engine_trouble, listens
from gui.kept import kept
from gui.live import Live
from gui.numbers import block_words
from gui.phrases import BASE, WORDS, called, question
from gui.shown import Button, Question
from rtloop.link.server import SEAT
from rtloop.model.view import View
from rtloop.safety.interlock import Action

#: the step of the question that is expected next
_PRIMARY = {
    "place": "placed",
    "place_control": "placed",
    "go": "go",
    "review": "accept",
    "paused": "resume",
    "arm": "arm",
}
#: never among the question's own buttons: they are always there
ALWAYS = ("pause", "stop", "note", "reconnect", "emergency")
PULSING = ("preview", "run", "control")
CONFIRM_WINDOW_S = 10.0
#: faults that ``arm`` acknowledges: their cause need not stand any more, and only the operator can know
ACKNOWLEDGED = ("pulse_not_seen", "unit_silent", "unit_unexpected", "unit_hot", "latency_off", "engine_late")
LOST = "stream_lost"


def why_no_words(view: View, live: Live) -> str:
    """Why no word at all can be said now; empty when words are taken."""
    if live.review:
        return "this is the review of a session"
    if view.ended is not None or live.engine_ended:
        return "the session has ended"
    trouble = engine_trouble(view, live)
    if trouble:
        return "the engine is gone" if trouble == "gone" else "the engine does not move"
    if not live.board_seen or not view.started:
        return "the engine is still starting"
    match live.seat:
        case "ours":
            return ""
        case "another":
            return "another window has the operator's seat"
        case "lost":
            return "this window has lost the operator's seat"
    by = view.started.get("answered_by")
    return (
        "the session is answered at its terminal"
        if by == "terminal"
        else "this window has no operator's seat yet"
    )


def why_not_arm(view: View, live: Live) -> str:
    """Why ``arm`` would be refused; empty when it would be taken."""
    if listens(view):
        return "no unit is connected"
    if view.locked:
        return "the participant is locked after an emergency"
    if live.stop_asked_s is not None or view.lamp == "TRIPPED":
        return "tripped: only a new run clears this"
    if view.lamp in ("ARMED", "HELD"):
        return "it is armed already"
    if arming(view, live):
        return "arming: the unit charges"
    if "arm" not in view.options:
        return "arming is not asked for now"
    standing = [BASE.get(name, name) for name in view.faults if name not in ACKNOWLEDGED]
    if standing:
        return "; ".join(standing)
    if view.lamp == "SAFE" and not view.faults:
        return "the pre-flight has not passed"
    return ""


def asked_step(view: View) -> tuple[int, str] | None:
    """(% MSO, block) of the step that arming is asked for; None in other phases."""
    if view.phase != "arm" or view.asked_pct_mso is None:
        return None
    return view.asked_pct_mso, view.block


@kept
def _asked_s(history: tuple[Mapping[str, Any], ...]) -> float | None:
    """When arming was asked for and nothing has undone it since; None otherwise."""
    for row in reversed(history):
        match row["kind"]:
            case "arm_requested":
                return float(row["t_s"]) if row.get("accepted") else None
            case "arm_confirmed" | "disarmed" | "lamp_changed":
                return None
            case "fault_raised" if row.get("action") != Action.HOLD.value:
                return None
    return None


def confirm_left_s(view: View, live: Live) -> float | None:
    """Seconds that are left for the second step; None when the first was not taken."""
    asked_s = _asked_s(view.history)
    if asked_s is None:
        return None
    limits = view.started.get("limits") or {}
    left_s = float(limits.get("confirm_window_s", CONFIRM_WINDOW_S)) - (live.now_s - asked_s)
    return left_s if left_s > 0 else None


def why_not_confirm(view: View, live: Live) -> str:
    """Why ``confirm`` would be refused; empty when it would be taken."""
    no = why_not_arm(view, live)
    if no:
        return no
    if view.lamp != "READY":
        return f"what stands must be acknowledged first: {called('arm')}"
    return "" if confirm_left_s(view, live) is not None else f"two steps, in order: first {called('arm')}"


def why_no_seat(view: View, live: Live) -> str:
    """Why the operator's seat cannot be asked for; the engine decides whether it is given."""
    if live.seat == "ours":
        return "this window has it"
    if live.seat == "none" and view.started.get("answered_by") == "terminal":
        return "the session is answered at its terminal"
    return why_no_words(view, replace(live, seat="ours"))


def _why_not(word: str, view: View, live: Live) -> str:
    if word == SEAT:
        return why_no_seat(view, live)
    if (
        word == "emergency" and view.ended is None and not live.engine_ended
    ):  # it needs neither seat nor engine
        return ""
    no = why_no_words(view, live)
    if no:
        return no
    match word:
        case "arm":
            return why_not_arm(view, live)
        case "confirm":
            return why_not_confirm(view, live)
        case "pause":
            if view.phase == "paused":
                return "it is paused"
            return "" if "pause" in view.options else "no pulses are given now"
        case "stop" | "note":
            return ""
        case "reconnect":
            if view.lamp in ("ARMED", "HELD"):
                return f"the unit is armed: first {called('pause')}"
            return "" if LOST in view.faults else "the stream is not lost"
    return "" if word in view.options else f"not asked for now ({view.phase})"


def button(
    word: str, view: View, live: Live, *, args: tuple[str, ...] = (), text: str = "", key: str | None = None
) -> Button:
    """One word as a button."""
    why_not = _why_not(word, view, live)
    own, own_key = WORDS[word]
    return Button(
        word=word, text=text or own, args=args, key=own_key if key is None else key, enabled=not why_not, why_not=why_not,
        primary=not why_not and not args and word == _primary(view, live),
    )  # fmt: skip


def _primary(view: View, live: Live) -> str:
    if LOST in view.faults and not _why_not("reconnect", view, live):
        return "reconnect"
    word = _PRIMARY.get(view.phase, "")
    return "confirm" if word == "arm" and not why_not_confirm(view, live) else word


def asked(view: View) -> tuple[str, str]:
    """(what the operator is asked, what is pressed for it)."""
    return question(view.phase, view.target, view.block, view.asked_pct_mso, view.asking)


def question_shown(view: View, live: Live) -> Question:
    """What the operator is asked, and the words that answer it; of a session that ended, how it did."""
    if view.ended is not None or live.review:
        return Question(phase="ended", words=_how_it_ended(view), buttons=())
    words = [w for w in view.options if w in WORDS and w not in ALWAYS]
    if LOST in view.faults:
        words = ["reconnect", *(w for w in words if w != "confirm")]  # nothing to be confirmed before that
    what, todo = asked(view)
    if view.phase == "arm" and not why_no_words(view, live):
        left_s = confirm_left_s(view, live)
        if arming(view, live):
            todo = "the unit charges, a moment"
        elif left_s is not None and not why_not_confirm(view, live):
            todo = f"confirm within {left_s:.0f} s"
    if LOST in view.faults:
        todo = f"first {called('reconnect')}"
    if not view.started:
        what, todo = "the engine is starting", ""
    elif view.phase == "started":
        what, todo = "pre-flight: nothing is asked", ""
    elif view.phase in PULSING and not what:
        what, todo = (
            f"{block_words(view.target, view.phase)}: pulses are given",
            f"nothing is asked; {called('pause')} disarms",
        )
    text = f"{what}: {todo}" if what and todo else what
    if view.phase == "arm" and (
        waived := [f"{w['rule']} (by {w['person']})" for w in view.started.get("waivers") or ()]
    ):
        text += f". WAIVED: {', '.join(waived)}"
    return Question(phase=view.phase, words=text, buttons=tuple(button(w, view, live) for w in words))


def _how_it_ended(view: View) -> str:
    """How many pulses were given at how many targets, and that the decision (or none) stands beside the table."""
    if not view.started:
        return ""
    blocks = [(key, t) for key, t in view.targets.items() if "/" not in key]
    counts = ", ".join(f"{key} {t.n_accepted} accepted and {t.n_rejected} rejected" for key, t in blocks)
    return counts or "no trial was accepted in any run"


def always_shown(view: View, live: Live) -> tuple[Button, ...]:
    """The words that are there in every phase; of a review none."""
    if live.review:
        return ()
    words = ["pause", "note", "stop", "emergency"] if not listens(view) else ["note", "stop", "emergency"]
    if not why_no_seat(view, live):
        words = [SEAT, *(w for w in words if w != "pause")]  # without the seat nothing can be paused
    return tuple(button(w, view, live) for w in words)


def move_button(trial_id: int, accepted: bool, view: View, live: Live) -> Button | None:
    """Take an accepted trial out, reinstate a rejected one; in a review nothing is moved."""
    if live.review:
        return None
    why_not = why_no_words(view, live)
    word, text = ("take_out", "Take it out") if accepted else ("reinstate", "Reinstate it")
    return Button(
        word=word, text=text, args=(str(trial_id),), key="Ctrl+T", enabled=not why_not, why_not=why_not
    )


def step_buttons(view: View, live: Live) -> tuple[Button, ...]:
    """The other intensities of this target: to be previewed (during preview and at go / no-go), or to go at; none in a review."""
    if live.review:
        return ()
    steps = [
        s
        for s in view.started.get("steps") or ()
        if s.get("target") == view.target and s.get("block") == "preview"
    ]
    powers = list(dict.fromkeys(int(s["power_pct_mso"]) for s in steps if s.get("power_pct_mso") is not None))
    no = why_no_words(view, live)
    buttons = []
    for place, power in enumerate(powers, start=1):
        why = no or ("" if _previewing(view) else "only while previewing and at go / no-go")
        buttons.append(
            Button(word="preview", text=f"Preview {power} %", args=(str(power),), key=f"Ctrl+{place}" if place < 10 else "",
                   enabled=not why, why_not=why)
        )  # fmt: skip
    seen = {r.get("power_pct_mso") for r in view.early.get(view.target, ()) if not r.get("earlier")}
    for place, power in enumerate(powers, start=1):
        why = no or (
            "only at go / no-go" if view.phase != "go" else "" if power in seen else "it was not previewed"
        )
        buttons.append(
            Button(word="go", text=f"Go at {power} %", args=(str(power),), key=f"Ctrl+F{place}" if place < 10 else "",
                   enabled=not why, why_not=why)
        )  # fmt: skip
    return tuple(buttons)


def _previewing(view: View) -> bool:
    asked = asked_step(view)
    return (
        view.phase == "preview" or "preview" in view.options or (asked is not None and asked[1] == "preview")
    )
