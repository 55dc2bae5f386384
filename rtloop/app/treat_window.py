"""Owns how a window answers a treatment session: its words over the link, its heartbeat as the operator's presence; owns no
screen, no seat's rule (the link's) and no word's meaning (the runner's).

The thread that runs the session shows nobody's presence here: a frozen or dead window disarms, as in every other session. That
this thread itself moves is watched too: without it nobody's word would be heard.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from rtloop.app.script_loop import ScriptLoop
from rtloop.app.sitting import FROZEN_AFTER_S
from rtloop.app.treat_unit import TreatTms
from rtloop.app.treat_words import URGENT
from rtloop.errors import NotReady
from rtloop.link.server import LinkServer
from rtloop.model.status import Fault, Lamp
from rtloop.session.orders import Said

#: a window's word is answered within this; the session's thread looks for words about every 20 ms
ANSWER_WITHIN_S = 0.5
#: words that are done as soon as they can be, however late: they end, hold or write down. Any other that is late is not done
KEPT = ("stop", "abort", "halt", "emergency", "pause", "note", "sensation", "adverse")
BUSY = "the session is busy for a moment: say it again"
TAKES = Callable[[str, tuple[str, ...]], str]


class WindowLoop(ScriptLoop):
    """The loop of a session whose operator is a window: the session's own thread is no sign of the operator."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._moved_s = self._clock.now_s()

    @staticmethod
    def detailed(fault: Fault, detail: str) -> str:
        """As it was found: no script is missing here."""
        return detail

    def present(self) -> None:
        """The session's own thread moves; whether somebody is there is the window's to show."""
        self._moved_s = self._clock.now_s()

    def _pass(self) -> None:
        super()._pass()
        still_s = self._clock.now_s() - self._moved_s
        if still_s > self._vigil.operator_max_age_s and self._interlock.lamp in (Lamp.ARMED, Lamp.HELD):
            self._watching.fault(
                Fault.ENGINE_LATE, f"the session's own thread has not moved for {still_s:.1f} s"
            )


class WindowTms(TreatTms):
    """The stimulator of a treatment session that a window answers; ``open_to`` lets windows in, until the last record."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._server: LinkServer | None = None
        self._seated_ns = 0
        super().__init__(*arguments, **{"loop": WindowLoop, **named})

    def open_to(self, take: TAKES) -> None:
        """Hear a window's words; NotReady where no line can be opened."""
        if self._bench.link is None:
            raise NotReady("no window can reach this session", expected="a place for its words", found="none")
        self._server = LinkServer(self._bench.link, take, self._seated, gone=self._frozen)
        self._server.start()

    def end(self, words: str, *, clean: bool) -> None:
        """As without a window; then every window is sent away."""
        try:
            super().end(words, clean=clean)
        finally:
            if self._server is not None:
                self._server.close()

    def _seated(self, pid: int) -> None:
        board = self._bench.board
        self._seated_ns = board.now_ns()
        board["seat_pid"] = board["pid_operator"] = pid

    def _frozen(self) -> bool:
        """Whether the window with the seat shows no sign of life: then another may take the seat."""
        board = self._bench.board
        return board.now_ns() - max(board["beat_operator"], self._seated_ns) > FROZEN_AFTER_S * 1e9


class _Asked:
    """One word of a window. ``heard``: the session took it up, and it will be done; ``given_up``: it came too late for that."""

    def __init__(self, said: Said) -> None:
        self.said, self.why = said, ""
        self.heard = self.given_up = False
        self.done = threading.Event()


class WindowOperator:
    """A person at a window: words come from the link's threads, are heard in the session's, and each is answered."""

    def __init__(self, name: str) -> None:
        self.name, self.by = name or "operator at the window", "person at the window"
        self._tms: WindowTms | None = None
        self._stop: Callable[[], None] = lambda: None
        self._words: queue.SimpleQueue[_Asked] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open: list[_Asked] = []  # heard, not answered: the session's thread only

    def attend(self, tms: WindowTms) -> None:
        """Whose session it is; before ``start``."""
        self._tms = tms

    def start(self, stop: Callable[[], None]) -> None:
        assert self._tms is not None, "attend comes first"
        self._stop = stop
        self._tms.open_to(self.take)

    def tell(self, kind: str, data: Mapping[str, Any], now_s: float) -> None:
        """The window reads the record itself."""

    def heard(self, now_s: float) -> list[Said]:
        """The words since the last time; of those that came too late only the ``KEPT`` ones."""
        while not self._words.empty():
            asked = self._words.get_nowait()
            with self._lock:
                asked.heard = not asked.given_up
            if asked.heard:
                self._open.append(asked)
        return [asked.said for asked in self._open]

    def answered(self, said: Said, why: str) -> None:
        """What became of a word that was heard: "" or why it was not taken."""
        for asked in [a for a in self._open if a.said is said]:
            self._open.remove(asked)
            asked.why = why
            asked.done.set()

    def take(self, word: str, args: tuple[str, ...] = ()) -> str:
        """A window's word, in that window's thread; why it is not taken, or "". STOP goes out at once."""
        asked = _Asked(Said(word=word.lower(), args=tuple(args)))
        if asked.said.word in URGENT:
            self._stop()
        self._words.put(asked)
        if asked.done.wait(ANSWER_WITHIN_S) or asked.said.word in KEPT:
            return asked.why
        with self._lock:
            asked.given_up = not asked.heard
        if asked.given_up:
            return BUSY
        asked.done.wait(ANSWER_WITHIN_S)  # it is being done
        return asked.why
