"""Owns how the engine's questions and advice are put to the operator: button names and keys; owns no question and no fault.

The engine speaks of words that are typed at a terminal (`reconnect`, "say arm, then confirm"). Who sits at the window has
buttons: they are called here as they are written on them.
"""

from __future__ import annotations

import re

from rtloop.link.server import SEAT
from rtloop.safety.interlock import FAULTS

#: word -> (text, key)
WORDS = {
    "placed": ("Coil is placed", "F2"), "go": ("Go", "F3"), "accept": ("Accept", "F4"), "next": ("Next target", "F4"),
    "arm": ("Arm", "F6"), "redo": ("Do it again", "F7"), "confirm": ("Confirm arming", "F8"), "skip": ("Skip target", "F9"),
    "resume": ("Resume", "F5"), "pause": ("Pause", "F11"), "stop": ("End the session", "Ctrl+E"), "note": ("Note …", "Ctrl+N"),
    "emergency": ("Emergency", "Ctrl+Shift+E"),
    "reconnect": ("Open the stream again", "Ctrl+R"),
    SEAT: ("Take the seat", "Ctrl+K"),
}  # fmt: skip
#: of a treatment besides: answers of its checklists, and what is told in words
TREAT_WORDS = {
    "yes": ("Yes", "F2"), "no": ("No", "F3"), "none": ("None", "F2"), "mild": ("Mild", "F3"), "moderate": ("Moderate", "F4"),
    "severe": ("Severe", "F9"), "back": ("One back", "F7"), "sign": ("Sign", "F8"), "sensation": ("Sensation …", "Ctrl+T"),
    "adverse": ("Adverse event …", "Ctrl+Shift+T"), "abort": ("Abort …", "Ctrl+Shift+A"),
}  # fmt: skip
#: block of every phase of a treatment
TREATMENT = "treatment"
BASE = {fault.value: row.words for fault, row in FAULTS.items()}
TODO = {fault.value: row.todo for fault, row in FAULTS.items()}


def called(word: str) -> str:
    """A button as it is written on the screen, with its key: Go (F3)."""
    text, key = WORDS[word]
    return f"{text} ({key})"


#: what the engine advises -> what is pressed for it; in this order
_ADVICE = (
    ("check the amplifier, reconnect, arm again", f"check the amplifier, then {called('reconnect')}, then {called('arm')}"),
    ("arm again", f"{called('arm')}, then {called('confirm')}"),
    ("start a new run with a note", "start a new session and note why"),
    ("start a new run", "start a new session"),
    ("; new run", "; start a new session"),
    ("say `reconnect`", called("reconnect")),
)  # fmt: skip
_ARMING = re.compile(r",? then (Arm|arm again).*$|, arm again$|, " + re.escape(called("arm")) + ".*$")
_FOUND = re.compile(r"\bfound:? (.*?)(?:;|, expected|$)")


def advice(todo: str, *, listens: bool = False) -> str:
    """What to do, in the names and keys of the buttons; where no unit is connected nothing is armed."""
    for engines, ours in _ADVICE:
        todo = todo.replace(engines, ours)
    return _ARMING.sub("", todo) if listens else todo


def trouble(name: str, words: str, todo: str) -> str:
    """A fault said once: its name, and in brackets what was found (not what was expected, and not what to do)."""
    base = BASE.get(name, "")
    words = words.removesuffix(f"; {todo}") if todo else words
    if not base or not words.startswith(f"{base} (") or not words.endswith(")"):
        return words or base or name
    detail = words[len(base) + 2 : -1]
    found = _FOUND.search(detail)
    if found:
        detail = found[1]
    detail = detail.removeprefix(base).strip(" :;,")
    return f"{base} ({detail})" if detail else base


def question(phase: str, target: str, block: str, power_pct_mso: int | None, engines: str) -> tuple[str, str]:
    """(what is asked, what is pressed to answer) of a phase; of an unknown one what the engine says."""
    if block == TREATMENT:
        return _treating(phase, engines)
    match phase:
        case "place" | "place_control":
            return capital(engines), f"when it is there, {called('placed')}"
        case "go":
            return f"{target}: look at the preview", f"{called('go')}, another intensity, or {called('redo')}"
        case "arm" if power_pct_mso is not None:
            what = f"Arm for {target} {block} at {power_pct_mso} % MSO"
            return what, f"{called('arm')}, then {called('confirm')}"
        case "review" if engines and not engines.endswith("accept this block, or do it again?"):
            return engines, f"{called('accept')} or {called('redo')}"  # a visit that the map asked for
        case "review":
            return f"{target}: the block is complete", f"{called('accept')} or {called('redo')}"
        case "paused":
            return capital(engines), f"{called('resume')} or {called('skip')}"
    return engines, ""


def _treating(phase: str, engines: str) -> tuple[str, str]:
    match phase:
        case "arm":
            return capital(engines), f"{called('arm')}, then {called('confirm')}"
        case "paused":
            return capital(engines), f"{called('resume')}, then arm again; or {called('stop')}"
    return capital(engines), ""


def capital(words: str) -> str:
    """With a big first letter."""
    return words[:1].upper() + words[1:]
