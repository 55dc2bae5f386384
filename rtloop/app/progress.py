"""Owns what a terminal shows while a session runs, and what is typed there; owns no result."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from rtloop.model.event import Event
from rtloop.model.view import View
from rtloop.model.waiver import waiver_words
from rtloop.session.deciding import look_words, matched_words
from rtloop.session.display import MASKED, blinded, local_words, number, scores_of
from rtloop.session.engine import Said
from rtloop.session.loopback import band_words


class Progress:
    """Takes events from the loop at once, shows them from the supervising thread."""

    def __init__(self, say: Callable[[str], None], *, listening: bool) -> None:
        self._say, self._listening, self._told_delay, self._told_quality = say, listening, "", ""
        self._events: queue.SimpleQueue[tuple[Event, View]] = queue.SimpleQueue()

    def take(self, event: Event, view: View) -> None:
        """Called by the loop; returns at once."""
        self._events.put((event, view))

    def show(self) -> list[Event]:
        """Print what came since the last time; returns the events."""
        shown = []
        while not self._events.empty():
            event, view = self._events.get_nowait()
            words = self._words(event, view)
            if words:
                self._say(words)
            shown.append(event)
        return shown

    def say(self, words: str) -> None:
        """A line of its own."""
        self._say(words)

    def listen_to_terminal(self, put: Callable[[Said], None]) -> None:
        """Turn typed lines into the operator's words. The thread ends with the process: a read cannot be cut short."""
        threading.Thread(target=_read, args=(put,), name="rtloop-terminal", daemon=True).start()

    def _words(self, event: Event, view: View) -> str:
        d = event.data
        match event.kind:
            case "session_started":
                return "\n".join(
                    [*(f"!! {words}" for words in waiver_words(d)), *_resumed(d), *self._delay(d["loopback"])]
                )
            case "latency_measured":
                return "".join(self._delay(d))
            case "phase_entered":
                if d["words"]:
                    return f"-> {d['words']}  [{' | '.join(d['options'])}]"
                return f"   {d['target']}: {d['phase']}"
            case "lamp_changed":
                if self._listening:  # no unit: the lamp says nothing that the stream's words do not
                    return ""
                return f"   unit {d['before']} -> {d['after']}" + (f" ({d['words']})" if d["words"] else "")
            case "fault_raised":
                return f"{'  ' if d['action'] == 'hold' else '!!'} {d['words']} [{d['action']}]"
            case "fault_cleared":
                return f"   over: {d['fault']}"
            case "disarmed":
                return "" if d["confirmed"] else f"!! {d['words']}"
            case "arm_requested" | "arm_confirmed":
                return f"   {d['words']}"
            case "pulse_refused" | "refused":
                words = d.get("refusals") or d.get("words") or []
                return "!! refused: " + " | ".join(words)
            case "pulse_closed":
                return (
                    ""
                    if d["outcome"] == "fired"
                    else f"!! pulse {d['pulse_id']}: {d['outcome']} {d['reason']}"
                )
            case "pulse_seen":
                return f"!! pulse {d['pulse_id']}: {d['alarm']}" if d["alarm"] else ""
            case "pulse_not_seen":
                return f"!! pulse {d['pulse_id']} was not seen in the stream"
            case "pulse_uncommanded":
                return f"!! a pulse at sample {d['sample']} that nobody commanded"
            case "trial_judged":
                return self._trial(event, view)
            case "scores_updated":
                return self._scores(event, view)
            case "block_looked_at":
                early = "none" if d["early_local_pp_uv"] is None else f"{d['early_local_pp_uv']:.1f} µV"
                wanted = d.get("early_response_uv_min")
                share = d["n_rejected"] / max(1, d["n_accepted"] + d["n_rejected"])
                return (
                    f"   {d['target']} {d['block']}{_at(d)}: {d['n_accepted']} accepted, {100 * share:.0f} % rejected"
                    + (
                        f" (at most {100 * d['rejected_share_max']:.0f} %)"
                        if "rejected_share_max" in d
                        else ""
                    )
                    + f"; early response near the coil {early}"
                    + (f" (the plan wants {wanted:g} µV or more)" if wanted is not None else "")
                )
            case (
                "trial_taken_out"
                | "trial_reinstated"
                | "trial_recleaned"
                | "filter_renewed"
                | "note_written"
                | "channels_judged"
                | "channels_held"
                | "stream_reopened"
            ):
                return f"   {d['words']}"
            case "map_looked_at":
                return f"== {look_words(d, view)}"
            case "map_resumed":
                return f"== {d['words']}"
            case "visit_kept" if d["why_absent"]:
                return f"!! the trials of this visit could not be kept: {d['why_absent']}"
            case "targets_matched":
                return "\n".join(f"   {line}" for line in matched_words(d, view))
            case "quality_judged" if not d["running"]:
                return self._quality(d)
            case "hold_lasts":
                return f"!! {d['words']}: {d['todo']}"
        return ""

    def _delay(self, band: Mapping[str, Any]) -> list[str]:
        """What is expected of the delay from command to EEG, and by whose word, where that is new."""
        words, before = band_words(band), self._told_delay
        self._told_delay = words
        return [] if self._listening or words == before else [f"   fire command to EEG: {words}"]

    def _quality(self, d: Mapping[str, Any]) -> str:
        """The light of a block with each number that is not GREEN; the same words are told once."""
        rows = [f for f in d["findings"] if f["light"] in ("red", "yellow")]
        lines = [f"   quality of {d['target']} {d['block']}: {d['light']}"]
        lines += [f"      {f['words']}: {f['todo']}" for f in sorted(rows, key=lambda f: str(f["light"]))]
        words, before = "\n".join(lines), self._told_quality
        self._told_quality = words
        return "" if words == before else words

    def _trial(self, event: Event, view: View) -> str:
        d = event.data
        if d["accepted"] and d["block"] == "run":
            return ""
        verdict = "good" if d["accepted"] else f"rejected: {d['words']}"
        early = d["numbers"].get("early_local_pp_uv")
        more = "" if early is None else f", early response {early:.1f} µV"
        return f"   {d['target']} {d['block']} trial {d['trial_id']}: {verdict}{more}"

    def _scores(self, event: Event, view: View) -> str:
        d = event.data
        key = d["target"] if d["block"] == "run" else f"{d['target']}/{d['block']}"
        target = view.targets[key]
        scores = scores_of(target)
        assert scores is not None
        if not scores.score("global").present:
            return f"   {key} n={target.n_accepted}: {scores.score('global').why_absent}"
        if blinded(view):
            snr = f"SNR {number(scores.evoked['snr'], 1, 2)}"
            return f"   {key} n={target.n_accepted} rej={target.n_rejected}: {MASKED} | {snr}"
        local = f"LOCAL {number(scores.score('local'), 1e3)}"
        snr = f"SNR {number(scores.evoked['snr'], 1, 2)}"
        if view.started.get("kind") == "probe":
            parts = [f"{local} (dwPLI² x1000)", *local_words(scores), snr]
        else:
            parts = [f"GLOBAL {number(scores.score('global'), 1e3)}", f"{local} (dwPLI² x1000)", snr]
        for place in (view.ranking or {}).get("places", []):
            if place["target"] == d["target"] and d["block"] == "run" and place["p_lowest"] is not None:
                parts.append(
                    f"P(lowest) {place['p_lowest']:.2f} P(highest) {place['p_highest']:.2f} (sampling error only)"
                )
        return f"   {key} n={target.n_accepted} rej={target.n_rejected}: " + " | ".join(parts)


def _resumed(d: Mapping[str, Any]) -> list[str]:
    if d["session_id"] == d["run_id"]:
        return []
    n = d["dose_before"]["session"]
    return [
        f"   this run goes on with session {d['session_id']}, which did not come to its end: its {n} pulses count here"
    ]


def _at(d: Mapping[str, Any]) -> str:
    power = d.get("power_pct_mso")
    return "" if power is None else f" at {power} % MSO"


def _read(put: Callable[[Said], None]) -> None:
    for line in sys.stdin:
        word, *args = line.split() or [""]
        if word:
            put(Said(word=word.lower(), args=tuple(args)))
