"""Owns one session as the window looks at it, with its last picture; owns no widget and none of what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gui.desk import Desk
from gui.shown import Session, Status
from gui.told import Told

#: name of a session's screen -> of the one that shows it where it is a treatment
OF_TREATMENT = {"session": "treatment", "reviewed": "reviewed_treatment"}


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the window is put together from; ``gui.app`` gives the real ones, a test may give others.

    ``join(folder, attach, pages)`` -> gui.live.LiveSession; ``shown(view, live, choice)`` -> gui.shown.Session;
    ``screen(name)``: a widget as gui.screens describes (``start``, ``session``, ``review``, ``reviewed``, ``settings``, and
    those of ``OF_TREATMENT``).
    """

    join: Callable[[Path, bool, Path | None], Any]
    shown: Callable[[Any, Any, Any], Session]
    choice: Callable[[str], Any]
    screen: Callable[[str, Any], Any]


def kind_of(name: str, place: Place | None) -> str:
    """The screen for what is looked at: of a treatment its own."""
    return OF_TREATMENT.get(name, name) if place is not None and place.treats else name


def plain_of(name: str) -> str:
    """Where one is, whatever kind of session is looked at."""
    return next((plain for plain, treats in OF_TREATMENT.items() if treats == name), name)


class Place:
    """One session that is looked at: the joined one or the reviewed one, with its last picture."""

    def __init__(self, source: Any, choice: Any, folder: Path) -> None:
        self.source, self.choice, self.folder = source, choice, folder
        self.shown: Session | None = None
        self.numbers: Any = None
        self.trouble: Status | None = None

    @property
    def over(self) -> bool:
        """Whether nothing runs there any more: it ended, or its engine is gone."""
        gone = self.numbers is not None and self.numbers.board_seen and not self.numbers.engine_lives
        return self.shown is not None and (self.shown.ended or gone)

    @property
    def treats(self) -> bool:
        """Whether it is known to be a treatment."""
        return self.shown is not None and self.shown.treatment is not None

    def lock(self, desk: Desk, words: str) -> str:
        """After an emergency: lock the participant, in words; the session's journal gets them where its engine still hears."""
        told = desk.lock(self.folder, words)
        if self.numbers is not None and self.numbers.seat == "ours":
            self.source.say("note", f"EMERGENCY: {words}")
        return told

    def look(self, shown: Callable[[Any, Any, Any], Session], own: Told) -> None:
        """Take a new picture; where that fails the last one stays, and what is wrong is said."""
        try:
            view, self.numbers = self.source.look()
            self.shown = shown(view, self.numbers, self.choice)
            self.trouble = None
        except Exception as err:
            self.trouble = own.failed(err, "the session cannot be read now; the last picture stays")
