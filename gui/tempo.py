"""Owns when the window looks: at a steady pace, and sooner when there is news; owns no look."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QTimer

from rtloop.clock import WALL

#: a look this often; sooner, but never sooner than ``LEAST_MS`` after the last one ended, when the journal has news
LOOK_MS, NEWS_MS, LEAST_MS = 28, 5, 12


def timer(owner: QObject, every_ms: int, do: Callable[[], None]) -> QTimer:
    """A precise timer, not started."""
    made = QTimer(owner, interval=every_ms, timerType=Qt.TimerType.PreciseTimer)
    made.timeout.connect(do)
    return made


class Tempo:
    """Calls ``look`` every LOOK_MS, and at once where ``news`` (asked every NEWS_MS, so it must be cheap) says so."""

    def __init__(self, owner: QObject, look: Callable[[], None], news: Callable[[], bool]) -> None:
        self._look, self._news = look, news
        self._looked_s = 0.0
        self._steady, self._asking = timer(owner, LOOK_MS, self._now), timer(owner, NEWS_MS, self._ask)

    def start(self) -> None:
        """Look from now on."""
        self._steady.start()
        self._asking.start()

    def stop(self) -> None:
        """No look any more."""
        self._steady.stop()
        self._asking.stop()

    def _now(self) -> None:
        try:
            self._look()
        finally:
            self._looked_s = WALL.now_s()

    def _ask(self) -> None:
        if WALL.now_s() - self._looked_s >= LEAST_MS / 1000 and self._news():
            self._steady.start()  # the next regular look is a whole period after this one
            self._now()
