"""Owns who stands at the unit during commissioning: a person at the terminal, or one who looks at the simulated unit.

It owns no step and no judgement: what the person saw is a yes or a no.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from rtloop.clock import WALL, Clock
from rtloop.errors import OperatorAbort

Tick = Callable[[], None]
Say = Callable[[str], None]
ANSWER_S = 600.0
YES, NO = ("yes", "y"), ("no", "n")
END = "end"
EVERY_STEP_ANEW = "start it again: every step anew"


def ended(err: BaseException, says: str) -> OperatorAbort:
    """The walk was ended by ``err`` (Ctrl-C or OperatorAbort): what ended it, what is known of the unit, and no record."""
    what = err.what if isinstance(err, OperatorAbort) else "commissioning was interrupted"
    return OperatorAbort(f"{what}; {says}; no record was written", todo=EVERY_STEP_ANEW)


class Person(Protocol):
    """Somebody at the unit. Every wait ends after ``ANSWER_S`` in OperatorAbort; ``tick`` is called meanwhile."""

    name: str

    def confirms(self, what: str, question: str, tick: Tick) -> bool:
        """Whether it is as the question says; ``what`` names the thing to look at."""
        ...

    def says(self, word: str, why: str, tick: Tick) -> None:
        """Say a word of the two steps of arming, asked again until it is said; OperatorAbort when the walk is ended instead."""
        ...

    def act(self, what: str, words: str) -> None:
        """Do something at the unit (press its stop, pull the cable), soon; not waited for."""
        ...

    def signature(self, tick: Tick) -> str:
        """The name, typed as a signature; empty: nothing is signed."""
        ...


class TerminalPerson:
    """A person at the terminal; lines are read in a thread of their own, so that waiting never stops a heartbeat."""

    def __init__(self, name: str, say: Say, lines: TextIO | None = None, clock: Clock = WALL) -> None:
        self.name, self._say, self._clock = name, say, clock
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._source = sys.stdin if lines is None else lines
        threading.Thread(target=self._read, name="commissioning's terminal", daemon=True).start()

    def _read(self) -> None:
        for line in self._source:
            self._lines.put(line.strip())
        self._lines.put(None)

    def _line(self, tick: Tick) -> str:
        end_s = self._clock.now_s() + ANSWER_S
        while self._clock.now_s() < end_s:
            tick()
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                self._clock.sleep_until(self._clock.now_s() + 0.01)
                continue
            if line is None:
                raise OperatorAbort("nobody is at the terminal any more", todo=EVERY_STEP_ANEW)
            return line
        raise OperatorAbort(f"no answer within {ANSWER_S:g} s", todo=EVERY_STEP_ANEW)

    def confirms(self, what: str, question: str, tick: Tick) -> bool:
        self._say(f"-> {question} [yes/no]")
        while (line := self._line(tick).lower()) not in YES + NO:
            self._say("   yes or no")
        return line in YES

    def says(self, word: str, why: str, tick: Tick) -> None:
        self._say(f'-> {why}: type "{word}"')
        while (line := self._line(tick).lower()) != word:
            if line == END:
                raise OperatorAbort("the walk was ended at the terminal", todo=EVERY_STEP_ANEW)
            self._say(
                f'   that was not "{word}", nothing is armed by it: type "{word}", or "{END}" to end the walk'
            )

    def act(self, what: str, words: str) -> None:
        self._say(f"=> {words}")

    def signature(self, tick: Tick) -> str:
        self._say(f'-> sign: type your name exactly as "{self.name}"; an empty line signs nothing')
        while (line := self._line(tick)) not in ("", self.name):
            self._say(f'   that was not "{self.name}": type it exactly, or an empty line to sign nothing')
        return line


class SimulatedPerson:
    """Somebody who looks at the simulated unit's own state and does things to it; answers nothing unseen."""

    def __init__(self, bedside: Any, name: str = "SIMULATED person") -> None:
        self.name, self._bedside = name, bedside

    def confirms(self, what: str, question: str, tick: Tick) -> bool:
        tick()
        if what == "phantom":
            return True  # there is no head and no coil: nothing that could be harmed
        if what == "standby":
            unit = self._bedside.state()["unit"]
            return not unit["armed"] and not unit["ready"]
        return False  # what is not simulated was not seen

    def says(self, word: str, why: str, tick: Tick) -> None:
        tick()

    def act(self, what: str, words: str) -> None:
        kinds = {"hardware_stop": "standby_unexpectedly", "unplug": "unplug"}
        if what in kinds:
            self._bedside.inject({"kind": kinds[what]})

    def signature(self, tick: Tick) -> str:
        return self.name
