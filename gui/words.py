"""Owns the one prioritised status line and the words on the STOP; owns neither a fault nor what is done about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gui.asking import LOST, asked
from gui.heading import FROZEN_S, STARTING_S, engine_trouble, listens
from gui.kept import kept
from gui.live import Live
from gui.logged import listed
from gui.numbers import age, block_words, newest_pulse
from gui.phrases import TODO, advice, capital, trouble
from gui.shown import Status, Stop, Tone
from rtloop.link.server import SEAT
from rtloop.model.view import View
from rtloop.safety.interlock import Action

#: how long STOP may take until the line says that it was not followed
SERVED_WITHIN_S, CONFIRMED_WITHIN_S = 0.5, 1.5
#: a refused word stays on the line this long
REFUSED_FOR_S = 8.0
RECORDER_SILENT_S = 1.0
HARDWARE = "use the unit's own stop switch"
NOBODY_YET = "no window has taken the operator's seat"  # as the vigil says it before the first heartbeat
NOT_REOPENED = "check the amplifier; where the stream does not come back, end the session: a new one gives what is left (resume)"
_ORDER = {Action.TRIP.value: 4, Action.DISARM.value: 5, Action.HOLD.value: 6}
_Item = tuple[int, Tone, str, str]


def stop_words(view: View, live: Live) -> tuple[str, bool]:
    """What became of the STOP, and whether it is known to have been followed; empty when nobody asked."""
    asked_s = live.stop_asked_s
    if asked_s is None:
        return "", True
    since_s = live.now_s - asked_s
    if listens(view):
        return "STOP asked for; no unit is connected, the session ends", True
    if live.stop_confirmed == 1:
        took = (
            ""
            if live.stop_served_s is None
            else f", disarm written after {(live.stop_served_s - asked_s) * 1e3:.0f} ms"
        )
        return f"STOP: the unit itself says disarmed{took}", True
    if live.stop_confirmed == -1:
        return "STOP: NOT confirmed by the unit", False
    if live.stop_served_s is not None:
        if since_s <= CONFIRMED_WITHIN_S:
            return (
                f"STOP: disarm written after {(live.stop_served_s - asked_s) * 1e3:.0f} ms; waiting for the unit's word",
                False,
            )
        return "STOP: disarm written, NOT confirmed by the unit", False
    if live.port_state == 2:
        return "STOP: the line to the unit is lost; it lets go by itself after about 1 s of silence", False
    if view.ended is not None or live.port_state == 3:
        return "STOP asked for; the unit had already been disarmed and released", True
    if since_s <= SERVED_WITHIN_S:
        return "STOP asked for", False
    return f"STOP: NOT answered by the port process for {age(since_s)}", False


def stop_shown(view: View, live: Live) -> Stop:
    """The STOP button."""
    words, _ = stop_words(view, live)
    if live.review:
        return Stop(enabled=False, words="review: nothing is connected", tone=Tone.OFF)
    if view.ended is not None:
        return Stop(
            enabled=False, words=words or "the session has ended", tone=Tone.BAD if words else Tone.OFF
        )
    if listens(view):
        return Stop(enabled=False, words="no unit is connected: there is nothing to stop", tone=Tone.OFF)
    if not (live.board_seen or view.started):
        return Stop(enabled=False, words="nothing runs yet", tone=Tone.OFF)
    return Stop(enabled=True, words=words)


def status_shown(view: View, live: Live) -> Status:
    """What is wrong (or going on) and what to do; everything else that stands, in order, in ``more``."""
    items: list[_Item] = []
    _stop(view, live, items)
    if live.damaged:
        items.append((1, Tone.BAD, f"the record of this session is damaged: {live.damaged}",
                      "trust nothing below; STOP if a unit is connected; rtloop verify the folder"))  # fmt: skip
    if view.locked and not live.review:
        items.append(
            (
                1,
                Tone.BAD,
                f"EMERGENCY: {view.locked}",
                "coil away, unit off at its own switch, help the person",
            )
        )
    _engine(view, live, items)
    _seat(view, live, items)
    _faults(view, live, items)
    _recorder(view, live, items)
    _refused(view, live, items)
    items.append(_going_on(view, live))
    items.sort(key=lambda item: item[0])
    first = items[0]
    more = tuple(f"{what} - {todo}" if todo else what for _, _, what, todo in items[1:])
    return Status(tone=first[1], what=first[2], todo=first[3], more=more)


def _stop(view: View, live: Live, items: list[_Item]) -> None:
    words, followed = stop_words(view, live)
    if not words or live.review or (view.ended is not None and followed):
        return
    if followed:
        items.append((4, Tone.BAD, words, "" if listens(view) else advice(TODO["stop"])))
    else:
        waiting = live.stop_asked_s is not None and live.now_s - live.stop_asked_s <= SERVED_WITHIN_S
        items.append((0, Tone.BAD, words, "wait" if waiting else f"{HARDWARE} now, take the coil away"))


def _engine(view: View, live: Live, items: list[_Item]) -> None:
    trouble = engine_trouble(view, live)
    if not trouble:
        return
    if trouble == "gone":
        what = "the engine is gone" + (
            ""
            if listens(view)
            else ": the unit is disarmed by its own process, or lets go by itself within a second"
        )
        todo = "the record is kept: start a new session, the dose goes on"
    else:
        what = f"the engine has not moved for {live.engine_age_s:.0f} s" + (
            "" if listens(view) else ": the port process has disarmed the unit"
        )
        todo = "wait; if it does not come back, STOP and start a new session: the record is kept"
    items.append((2, Tone.BAD, what, todo if listens(view) else f"take the coil away; {todo}"))


def _seat(view: View, live: Live, items: list[_Item]) -> None:
    if view.ended is not None or live.review or engine_trouble(view, live):
        return
    if live.seat == "lost":
        todo = (
            "it connects again by itself; then arm again"
            if not listens(view)
            else "it connects again by itself"
        )
        items.append(
            (3, Tone.BAD, "this window has lost the operator's seat: its words do not reach the engine", todo)
        )
    elif live.seat == "another":
        items.append((3, Tone.ATTENTION, "another window has the operator's seat: this one watches",
                      "STOP works from here too; the seat is free once the other window closes"))  # fmt: skip


def _faults(view: View, live: Live, items: list[_Item]) -> None:
    over = live.review or view.ended is not None
    for name, row in view.faults.items():
        action = str(row.get("action", ""))
        todo = str(row.get("todo", "")) or TODO.get(name, "")
        what = trouble(name, str(row.get("words", "")), todo)
        todo = advice(todo, listens=listens(view))
        if name == LOST and view.treatment is not None:  # no word opens it again there
            todo = NOT_REOPENED
        did = {"trip": "TRIPPED: ", "disarm": "Disarmed: ", "hold": "Held: "}.get(action, "")
        if listens(view):
            did = ""
        if live.seat == "ours" and NOBODY_YET in str(
            row.get("words", "")
        ):  # it has just been taken: seen in a moment
            items.append((6, Tone.ATTENTION, "this window takes the operator's seat", "a moment"))
        elif (
            action == "trip" and over and not live.review
        ):  # why it ended, and what is still to be done, before the end itself
            items.append((8, Tone.BAD, f"the session was ended: {what}", todo))
        elif over:
            items.append((12, Tone.ATTENTION, f"at the end stood: {what}", todo))
        else:
            tone = Tone.ATTENTION if action == "hold" else Tone.BAD
            items.append((_ORDER.get(action, 5), tone, f"{did}{what}", todo))


def _recorder(view: View, live: Live, items: list[_Item]) -> None:
    if live.review or view.ended is not None or "recorder_dead" in view.faults:
        return
    if RECORDER_SILENT_S < live.recorder_age_s < float("inf"):
        items.append(
            (
                7,
                Tone.BAD,
                f"the recorder is silent for {age(live.recorder_age_s)}",
                advice(TODO["recorder_dead"]),
            )
        )


def _refused(view: View, live: Live, items: list[_Item]) -> None:
    if live.review or view.ended is not None:
        return
    for answer in reversed(live.answers):
        if answer.why_not and live.now_s - answer.t_s <= REFUSED_FOR_S:
            said = "the seat" if answer.word == SEAT else " ".join((answer.word, *answer.args))
            items.append((8, Tone.ATTENTION, f"{said}: not taken: {answer.why_not}", ""))
            break
    paused = view.phase == "paused"
    reasons = _refusal(view.history)
    if reasons is not None and (paused or live.now_s - reasons[0] <= REFUSED_FOR_S):
        items.append((8, Tone.ATTENTION, reasons[1], ""))
    pulse = _refused_pulse(view.pulses)
    if pulse is not None and (paused or live.now_s - pulse[0] <= REFUSED_FOR_S):
        items.append((8, Tone.ATTENTION, pulse[1], ""))


@kept
def _refusal(history: tuple[Mapping[str, Any], ...]) -> tuple[float, str] | None:
    """The newest refusal in the record that nothing accepted came after: (instant, words with all reasons)."""
    for row in reversed(history[-40:]):
        t_s = float(row.get("t_s", 0.0))
        match row["kind"]:
            case "refused":
                power = row.get("power_pct_mso")
                what = "refused" if power is None else f"{power} % MSO refused"
                return t_s, f"{what}: {' | '.join(listed(row.get('words')))}"
            case "arm_requested" | "arm_confirmed":
                step = "arm" if row["kind"] == "arm_requested" else "confirm"
                return None if row.get("accepted") else (t_s, f"{step}: refused: {row.get('words', '')}")
            case "power_set":
                return None
            case "lamp_changed" if row.get("after") == "ARMED":
                return None
            case "command_received" if row.get("word") == "resume":
                return None
            case "note_written" if row.get("by", "engine") == "engine":
                return t_s, str(row.get("words", ""))
    return None


@kept
def _refused_pulse(pulses: Mapping[int, Mapping[str, Any]]) -> tuple[float, str] | None:
    """The newest pulse, when it was refused or missed: (due, words with all reasons)."""
    newest = newest_pulse(pulses)
    if newest is None or newest.get("outcome") not in ("refused", "missed"):
        return None
    why = " | ".join(listed(newest.get("refusals") or newest.get("reason")))
    return float(newest.get("due_s") or 0.0), f"pulse {newest['pulse_id']} {newest['outcome']}: {why}"


def _going_on(view: View, live: Live) -> _Item:
    if view.ended is not None:
        clean, words = bool(view.ended.get("clean")), str(view.ended.get("words", ""))
        tone = Tone.GOOD if clean else Tone.ATTENTION
        first = 4 if "the interlock tripped" not in words else 9
        todo = (
            f"report: {live.report}" if live.report else "" if live.review else "the report is being written"
        )
        return 0 if live.review else first, tone, f"the session ended: {words}", todo
    if live.review:
        what = (
            "the record has no last entry: the session was cut short"
            if view.started
            else "nothing could be read yet"
        )
        return (
            0 if view.started else 9,
            Tone.ATTENTION,
            what,
            "rtloop verify tells what is whole" if view.started else "",
        )
    if live.engine_ended:
        return (
            9,
            Tone.ATTENTION,
            "the engine has ended and the record has no last entry",
            "rtloop verify tells what is whole",
        )
    if not live.board_seen and not view.started:
        return 10, Tone.PLAIN, "the engine is starting", "wait"
    if view.phase in ("not started", "started"):
        busy = f" (busy for {live.engine_age_s:.0f} s)" if FROZEN_S < live.engine_age_s < STARTING_S else ""
        what = f"pre-flight: expected against found{busy}"
        return 10, Tone.PLAIN, what, "wait; what is not in order will be named"
    if view.phase == "listen":
        t = view.targets.get(view.target)
        counts = "" if t is None else f"; {t.n_accepted} accepted, {t.n_rejected} rejected"
        return 10, Tone.GOOD if live.stream_ok else Tone.PLAIN, f"{view.asking}{counts}", ""
    if view.asking:
        what, todo = asked(view)
        if view.treatment is not None and not view.options:  # nothing is asked: the session goes by itself
            return 10, Tone.GOOD if view.lamp == "ARMED" else Tone.PLAIN, what, ""
        return 9, Tone.ATTENTION, what, capital(todo)
    t = view.targets.get(view.target if view.phase == "run" else f"{view.target}/{view.phase}")
    counts = "" if t is None else f": {t.n_accepted} accepted, {t.n_rejected} rejected"
    tone = Tone.GOOD if view.lamp == "ARMED" else Tone.PLAIN
    return 10, tone, f"pulses at {block_words(view.target, view.phase)}{counts}", ""
