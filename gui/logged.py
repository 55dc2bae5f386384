"""Owns the log: what happened in a session, one line each; owns no event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gui.kept import kept, kept_each
from gui.shown import Line, Tone
from rtloop.safety.interlock import FAULTS

LOG_LINES = 300
_BASE = {fault.value: row.words for fault, row in FAULTS.items()}


@kept
def log_shown(history: tuple[Mapping[str, Any], ...]) -> tuple[Line, ...]:
    """What happened, oldest first: lamps, faults, words said, refusals, notes."""
    first = max(0, len(history) - LOG_LINES)
    return tuple(_lines(dict(enumerate(history[first:], first))))


def _logged(h: Mapping[str, Any]) -> Line:
    tone = Tone.PLAIN
    match h["kind"]:
        case "lamp_changed":
            words = f"unit {h.get('before')} -> {h.get('after')}" + (
                f": {h['words']}" if h.get("words") else ""
            )
            tone = Tone.BAD if h.get("after") == "TRIPPED" else tone
        case "fault_raised":
            words = f"{h.get('words')} [{h.get('action')}]"
            tone = Tone.ATTENTION if h.get("action") == "hold" else Tone.BAD
        case "fault_cleared":
            words, tone = f"over: {_BASE.get(str(h.get('fault')), h.get('fault'))}", Tone.GOOD
        case "command_received":
            words = "said: " + " ".join([str(h.get("word", "")), *(str(a) for a in h.get("args", ()))])
        case "power_set":
            words = f"{h.get('power_pct_mso')} % MSO, read back"
        case "refused":
            words, tone = "refused: " + " | ".join(listed(h.get("words"))), Tone.ATTENTION
        case "arm_requested" | "arm_confirmed" if not h.get("accepted"):
            words, tone = f"refused: {h.get('words', '')}", Tone.ATTENTION
        case "disarmed" if not h.get("confirmed", True):
            words, tone = f"{h.get('words', '')}", Tone.BAD
        case "session_ended":
            words = f"the session ended: {h.get('words', '')}"
            tone = Tone.GOOD if h.get("clean") else Tone.ATTENTION
        case "treatment_paused" | "treatment_resumed":
            words = f"{h['kind'].removeprefix('treatment_')} by the {h.get('by')}: {h.get('words', '')}"
            tone = Tone.ATTENTION if h["kind"] == "treatment_paused" else tone
        case "train_given":
            words, tone = _train(h), tone if h.get("ok", True) else Tone.BAD
        case "train_refused":
            words, tone = (
                f"train {h.get('train')} was not given: {' | '.join(listed(h.get('words')))}",
                Tone.ATTENTION,
            )
        case "checklist_signed":
            words = f"{h.get('title')}: signed by {h.get('signed_by')}"
            tone = tone if h.get("eligible", True) else Tone.ATTENTION
        case "sensation_told" | "adverse_event_told":
            what = "sensation" if h["kind"] == "sensation_told" else "ADVERSE EVENT"
            words, tone = (
                f"{what}: {h.get('what')} ({h.get('severity') or 'no severity said'})",
                Tone.ATTENTION,
            )
        case "hold_lasts":
            words, tone = f"{h.get('words', '')}; {h.get('todo', '')}", Tone.ATTENTION
        case "note_written" if h.get("by") == "operator":
            words = f"note: {h.get('words', '')}"
        case _:
            words = " ".join(listed(h.get("words") or h["kind"].replace("_", " ")))
    return Line(text=f"{str(h.get('utc', ''))[11:19]}  {words}", tone=tone)


def _train(h: Mapping[str, Any]) -> str:
    least, most = h.get("delivered_min"), h.get("delivered_max")
    given = f"{most}" if least == most else f"{least} to {most}"
    said = "" if h.get("ok", True) else f": {h.get('words')}"
    return f"train {h.get('train')} at {h.get('power_pct_mso')} % MSO: {given} of {h.get('planned')} pulses given{said}"


def listed(words: Any) -> list[str]:
    return [str(w) for w in words] if isinstance(words, list | tuple) else [str(words or "no reason given")]


_lines = kept_each(lambda place, row: _logged(row))
