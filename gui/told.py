"""Owns what the window itself has to say: brief words, failures of its own, and which of all words comes first."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gui.desk import Exit
from gui.nav import NAMES
from gui.shown import Status, Stop, Tone
from rtloop.clock import WALL, Clock
from rtloop.errors import RtloopError

BRIEFLY_S, FAILURE_S = 6.0, 30.0


class Told:
    """Words of the window, each for a while."""

    def __init__(self, *, clock: Clock = WALL) -> None:
        self._clock = clock
        self._brief: tuple[Status, float] | None = None
        self._failures: dict[str, int] = {}

    def briefly(self, what: str, todo: str = "", *, tone: Tone = Tone.ATTENTION) -> None:
        """Words for a few seconds, unless something worse is to be said."""
        self.say(Status(tone=tone, what=what, todo=todo))

    def say(self, status: Status) -> None:
        """As ``briefly``."""
        self._brief = (status, self._clock.now_s() + BRIEFLY_S)

    def failed(self, err: BaseException, what: str) -> Status:
        """Tell a failure on stderr (once for each kind and place) and give it as a status."""
        where = traceback.extract_tb(err.__traceback__)
        key = type(err).__name__ + (f" {where[-1].filename}:{where[-1].lineno}" if where else "")
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] == 1:
            traceback.print_exception(err, file=sys.stderr)
        if isinstance(err, RtloopError):
            return Status(tone=Tone.BAD, what=err.what, todo=err.todo or what, more=(str(err),))
        return Status(
            tone=Tone.BAD, what=f"The window met an error: {type(err).__name__}: {err}",
            todo=f"{what}; STOP works; the terminal has the details", more=(f"{self._failures[key]} time(s): {key}",),
        )  # fmt: skip

    def failed_in_a_slot(self, err: BaseException, what: str = "it goes on") -> None:
        """A failure nobody else tells."""
        self._brief = (self.failed(err, what), self._clock.now_s() + FAILURE_S)

    def now(self) -> list[Status]:
        """What is to be said now."""
        if self._brief is None or self._clock.now_s() > self._brief[1]:
            return []
        return [self._brief[0]]

    def first(self, place: Any, told: Status | None, starting: object, here: str) -> Status:
        """The status line: what the window, the session that is looked at (gui.place) and the screen say, and a start."""
        lines = self.now()
        if place is not None:
            lines += [
                s
                for s in (place.trouble, place.shown.status if place.shown is not None else None)
                if s is not None
            ]
        if told is not None:
            lines.append(told)
        if starting is not None:
            lines.append(
                Status(tone=Tone.ATTENTION, what="The session is being started", todo="wait a few seconds")
            )
        return first_of(lines) if lines else Status(tone=Tone.PLAIN, what=NAMES.get(here, ("rtloop", ""))[0])


def first_of(lines: Iterable[Status]) -> Status:
    """The one that comes first: the first that is bad, else the first; all others stand under "more"."""
    said = list(lines)
    first = next((s for s in said if s.tone is Tone.BAD), said[0])
    rest = tuple(f"{s.what} {s.todo}".strip() for s in said if s is not first)
    return replace(first, more=first.more + rest)


def did_not_start(ended: Exit) -> Status:
    """An engine that ended before it could be joined."""
    words = ended.words[-1] if ended.words else "it said nothing"
    return Status(
        tone=Tone.BAD, what=f"The session did not start (exit code {ended.code}): {words}",
        todo="mend what it names and start again", more=ended.words[:-1],
    )  # fmt: skip


def stop_elsewhere(running: int, words: str) -> Stop:
    """The STOP of a window in which no session runs; ``running``: sessions of this machine, ``words``: what became of it."""
    if running:
        return Stop(
            words=words or f"{running} running elsewhere: STOP reaches every one", tone=Tone.ATTENTION
        )
    return Stop(enabled=False, words=words or "nothing to stop: no unit is connected here", tone=Tone.OFF)


CANNOT_STOP = Status(
    tone=Tone.BAD, what="STOP cannot reach the session's board", todo="use the unit's own stop switch now"
)
