"""Owns who answers a treatment session: a person at the terminal, or the simulated operator; owns neither screen nor session.

``halt`` and ``emergency`` ask for STOP in the thread that reads them, whatever the session is waiting for.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rtloop.session.orders import Said

URGENT = ("halt", "emergency")
#: so often in a row the simulated operator arms or goes on; then it ends the session, as a person would
GIVE_UP_AFTER = 12
SIMULATED = "simulated operator"


class Operator(Protocol):
    """Who answers."""

    name: str  # who signs where nobody else is named
    by: str  # what the journal calls this way of answering

    def start(self, stop: Callable[[], None]) -> None:
        """Begin to listen; ``stop`` asks for STOP, from any thread."""
        ...

    def tell(self, kind: str, data: Mapping[str, Any], now_s: float) -> None:
        """What happened."""
        ...

    def heard(self, now_s: float) -> list[Said]:
        """The words since the last time."""
        ...

    def answered(self, said: Said, why: str) -> None:
        """What became of one of them: "", or why it was not taken."""
        ...


class Terminal:
    """A person who types. The thread ends with the process: a read cannot be cut short."""

    def __init__(self, name: str) -> None:
        self.name, self.by = name, "person at the terminal"
        self._lines: queue.SimpleQueue[Said] = queue.SimpleQueue()

    def start(self, stop: Callable[[], None]) -> None:
        threading.Thread(target=self._read, args=(stop,), name="rtloop-treat-terminal", daemon=True).start()

    def tell(self, kind: str, data: Mapping[str, Any], now_s: float) -> None:
        """The screen shows it."""

    def heard(self, now_s: float) -> list[Said]:
        out = []
        while not self._lines.empty():
            out.append(self._lines.get_nowait())
        return out

    def answered(self, said: Said, why: str) -> None:
        """The screen says it."""

    def _read(self, stop: Callable[[], None]) -> None:
        try:
            for line in sys.__stdin__ or ():
                word, *args = line.split() or [""]
                if word.lower() in URGENT:
                    stop()
                if word:
                    self._lines.put(Said(word=word.lower(), args=tuple(args)))
        except (OSError, ValueError):  # no terminal there: nobody can answer
            return


class Simulated:
    """Answers each question after a short while as the checklist expects it; arms in two steps, resumes, gives up."""

    def __init__(self, after_s: float = 0.3) -> None:
        self.name, self.by, self._after_s = SIMULATED, SIMULATED, after_s
        self._plans: list[tuple[float, Said]] = []
        self._tries = 0
        self._arming = False

    def start(self, stop: Callable[[], None]) -> None:
        """It needs no line."""

    def tell(self, kind: str, data: Mapping[str, Any], now_s: float) -> None:
        if kind == "phase_entered":
            self._plans.clear()
            self._arming = data["phase"] == "arm"
            if data["phase"] in ("before", "after"):
                self._say(now_s, "sign", self.name) if "sign NAME" in data["options"] else self._say(
                    now_s, data["expected"]
                )
            elif self._arming:
                self._arm(now_s)
            elif data["phase"] == "paused":
                self._tries += 1
                self._say(now_s, "stop" if self._tries > GIVE_UP_AFTER else "resume")
            elif data["phase"] == "train":
                self._tries = 0
        elif kind == "arm_requested" and data["accepted"]:
            self._say(now_s, "confirm")
        elif (kind in ("arm_requested", "arm_confirmed") and not data["accepted"]) or (
            kind == "fault_raised" and self._arming
        ):
            self._arm(now_s)

    def heard(self, now_s: float) -> list[Said]:
        due = [said for t_s, said in self._plans if t_s <= now_s]
        self._plans = [(t_s, said) for t_s, said in self._plans if t_s > now_s]
        return due

    def answered(self, said: Said, why: str) -> None:
        """What follows is told as it happens."""

    def _arm(self, now_s: float) -> None:
        self._tries += 1
        self._plans.clear()
        if self._tries > GIVE_UP_AFTER:
            self._say(now_s, "stop")
        else:
            self._say(now_s, "arm", after_s=self._after_s * min(2 ** (self._tries - 1), 8))

    def _say(self, now_s: float, word: str, *args: str, after_s: float | None = None) -> None:
        self._plans.append(
            (now_s + (self._after_s if after_s is None else after_s), Said(word=word, args=args))
        )
