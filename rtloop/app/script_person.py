"""Owns what a script needs before a person may be under the coil, and the person at its terminal; owns no rule.

What stands in the way of mode HUMAN is told all at once, before anything is touched. A script cannot confirm for a person.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import sys
import threading
from collections.abc import Callable

from rtloop.app.commissioned import Covered, covered
from rtloop.app.config import Site
from rtloop.clock import Clock
from rtloop.errors import SafetyStop
from rtloop.model.status import Mode

#: types within so many seconds, showing meanwhile that the script lives; the line, "" when none came
Person = Callable[[float, Callable[[], None], Clock], str]


def refuse_human(site: Site, *, simulated: bool, eeg: str | None, threshold: tuple[str, ...]) -> Covered:
    """The record that covers a person; SafetyStop with everything that stands in the way of mode HUMAN.

    Parameters
    ----------
    threshold : what is wrong with motor threshold and rig, in words
    """
    reasons = ["the unit is simulated"] if simulated else []
    if eeg is None:
        reasons.append('no EEG: eeg="NAME" names the amplifier\'s stream')
    if not site.file:
        reasons.append("no site file: its limits, checked by the site, are what a person is held to")
    if not at_a_terminal():
        reasons.append("nobody can confirm: the script's input is no terminal, where a person types")
    found = covered(site)
    reasons += [*(() if found.ok else found.reasons), *threshold]
    if reasons:
        raise SafetyStop(
            "mode HUMAN refuses this script",
            expected="a real unit and its EEG, a site file, a commissioning record that covers them, a dated EMG threshold of "
            "exactly this participant and rig, a person at the terminal",
            found="; ".join(reasons), todo='put the coil on a phantom and use mode="bench", or see docs/commissioning.md',
        )  # fmt: skip
    return found


def asked_for(mode: Mode, words: str) -> str:
    """What the person must type: in HUMAN the words and three digits made up now, which no pipe and no habit can know."""
    return f"{words} {secrets.randbelow(1000):03d}" if mode is Mode.HUMAN else words


def at_a_terminal() -> bool:
    """Whether a person can type: what was the process's own input at its start is a terminal."""
    try:
        return sys.__stdin__ is not None and sys.__stdin__.isatty()
    except ValueError:  # closed
        return False


class _Terminal:
    """Lines typed at the terminal; one reader for the whole process, since a read cannot be cut short."""

    def __init__(self) -> None:
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="rtloop-script-terminal", daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # no terminal there: nobody can answer
            for line in sys.__stdin__ or ():  # a script that replaces sys.stdin does not type here
                self.lines.put(line.strip())


_terminal: list[_Terminal] = []


def typed_by_a_person(within_s: float, present: Callable[[], None], clock: Clock) -> str:
    """The next line typed from now on, "" when none comes in time; what was typed before is not an answer."""
    if not _terminal:
        _terminal.append(_Terminal())
    lines, end_s = _terminal[0].lines, clock.now_s() + within_s
    while not lines.empty():
        lines.get_nowait()
    while clock.now_s() < end_s:
        present()
        with contextlib.suppress(queue.Empty):
            return lines.get(timeout=0.05)
    return ""
