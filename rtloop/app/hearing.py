"""Owns the hearing of a person's words: which are taken and why others are not, and what a word does beside the loop.

What is done beside the loop (the simulated coil is moved, a fault injected, the lost stream connected again) is done by the
supervising thread or one of its own, never by the loop. It owns no engine and no line to a window.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from typing import Any

from rtloop.app.wiring import Bench
from rtloop.errors import RtloopError
from rtloop.model.event import Event
from rtloop.model.status import Fault, Lamp
from rtloop.record import kinds
from rtloop.safety.interlock import Interlock
from rtloop.session.ends import Told
from rtloop.session.loop import Loop
from rtloop.session.operator import NOTE_MAX, WORDS
from rtloop.session.orders import Said
from rtloop.session.vigil import Vigil

#: a lost stream is looked for so long
RECONNECT_S = 5.0


class Hearing:
    """Takes words from a terminal or a window; any thread may call ``take``.

    Parameters
    ----------
    lock : locks the participant after an emergency, in the words given; returns why it could not, or ""
    person : whether a person answers: then ``placed`` moves the simulated coil (a simulated operator moves it himself)
    """

    def __init__(
        self, loop: Loop, interlock: Interlock, vigil: Vigil, bench: Bench, say: Callable[[str], None], *, person: bool,
        lock: Callable[[str], str] = lambda words: "no lock can be kept here",
    ) -> None:  # fmt: skip
        self._loop, self._interlock, self._vigil, self._bench, self._say = loop, interlock, vigil, bench, say
        self._person, self._lock = person, lock
        self._errands: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._phase, self._target = "", ""
        self._reconnecting: threading.Thread | None = None

    def take(self, word: str, args: tuple[str, ...] = ()) -> str:
        """Take a word; returns why not, or "". ``halt`` and ``emergency`` ask for STOP at once."""
        said = Said(word=word.lower(), args=tuple(args))
        if said.word in ("halt", "emergency"):
            self._bench.board.ask_stop()
        why = self._why_not(said)
        if said.word == "emergency":  # STOP came first; the lock is on disk before the word is answered
            why = self._lock(" ".join(said.args).strip() or "no words were given") or why
        if not why:
            if said.word == "reconnect":
                self._errands.put(("reconnect", None))
            elif said.word == "inject":
                self._errands.put(("inject", json.loads(" ".join(said.args))))
            self._loop.inbox.put(said)
        return why

    def hear(self, said: Said) -> None:
        """A typed word, in the terminal's thread."""
        if why := self.take(said.word, said.args):
            self._say(f"   {said.word}: {why}")

    def _why_not(self, said: Said) -> str:
        text = " ".join(said.args)
        match said.word:
            case word if word not in WORDS:
                return f"not understood; the words are {', '.join(WORDS)}"
            case "note" if not text.strip():
                return "nothing to note"
            case "note" if len(text) > NOTE_MAX:
                return f"a note holds at most {NOTE_MAX} characters, this one has {len(text)}"
            case "take_out" | "reinstate" if not (len(said.args) == 1 and text.isdecimal()):
                return "expected the number of a trial"
            case "arm" | "confirm" if self._bench.unit is None:
                return "no unit is connected: nothing can be armed"
            case "inject":
                return self._why_no_fault(text)
            case "reconnect":
                return self._why_no_reconnecting()
        return self._loop.why_not(said)

    def _why_no_fault(self, text: str) -> str:
        if self._bench.bedside is None:
            return "only a simulated bedside can be given a fault"
        try:
            fault = json.loads(text)
        except ValueError as err:
            return f"the fault cannot be read: {err}"
        return "" if isinstance(fault, dict) and "kind" in fault else 'expected {"kind": ...}'

    def _why_no_reconnecting(self) -> str:
        if self._interlock.lamp in (Lamp.ARMED, Lamp.HELD):
            return "the unit is armed: say pause first"
        if self._reconnecting is not None and self._reconnecting.is_alive():
            return "it is being connected already"
        return "" if Fault.STREAM_LOST in self._vigil.standing else "the stream is not lost"

    def tell(self, event: Event) -> None:
        """Hear what happened (supervising thread): the simulated coil goes where a person says that it is."""
        if event.kind == "phase_entered":
            self._phase, self._target = event.data["phase"], event.data["target"]
        placed = event.kind == "command_received" and event.data["word"] == "placed"
        asked = self._phase in ("place", "place_control")
        if placed and asked and self._person and self._bench.bedside is not None:
            self._errands.put((self._phase, self._target))

    def work(self) -> None:
        """Do what waits (supervising thread); each errand has its own deadline."""
        while not self._errands.empty():
            what, value = self._errands.get_nowait()
            bedside = self._bench.bedside
            if what == "reconnect":
                self._reconnecting = threading.Thread(
                    target=self._reconnect, name="rtloop-reconnect", daemon=True
                )
                self._reconnecting.start()
                continue
            assert bedside is not None
            try:
                if what == "place":
                    bedside.place(value)
                elif what == "place_control":
                    bedside.place_control(value)
                else:
                    bedside.inject(value)
                    self._note(f"simulated fault: {json.dumps(value)}")
            except (RtloopError, ValueError, KeyError, TypeError) as err:
                self._note(f"{what} {value}: not done: {err}")

    def _reconnect(self) -> None:
        try:
            done = self._bench.source.reopen(RECONNECT_S)
            self._loop.inbox.put(
                Told(kind="stream_reopened", data={"gap_s": done.gap_s, "words": done.words})
            )
        except Exception as err:  # a thread of its own: whatever it is, it is told
            self._note(f"the stream is not connected again: {err}")

    def _note(self, words: str) -> None:
        self._loop.inbox.put(Told(kind=kinds.NOTE_WRITTEN, data={"words": words, "by": "engine"}))

    def close(self) -> None:
        """Wait for an errand that is under way, with its deadline."""
        if self._reconnecting is not None:
            self._reconnecting.join(RECONNECT_S + 1.0)
