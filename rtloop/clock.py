"""Owns the reading of time; nothing else in the project reads a clock.

World instants are seconds on the monotonic clock (suffix ``_s``), which on the tested platforms is also
liblsl's ``local_clock`` (``rtloop doctor`` checks it). EEG instants are sample indices and never come from here.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the straight line needs of time."""

    def now_s(self) -> float:
        """Seconds on the monotonic clock."""
        ...

    def sleep_until(self, t_s: float) -> None:
        """Return at or after ``t_s``."""
        ...

    def utc(self) -> str:
        """Wall-clock instant, ISO 8601 in UTC, for records only."""
        ...


class WallClock:
    """The machine's monotonic clock."""

    def now_s(self) -> float:
        return time.monotonic()

    def sleep_until(self, t_s: float) -> None:
        delay_s = t_s - time.monotonic()
        if delay_s > 0:
            time.sleep(delay_s)

    def utc(self) -> str:
        return datetime.now(UTC).isoformat(timespec="milliseconds")


class SteppedClock:
    """A clock that stands still until it is moved: the same code, without waiting.

    ``on_advance`` is called with the new instant after each step, so simulated devices can live on it.
    """

    def __init__(self, start_s: float = 1000.0) -> None:
        self._now_s = start_s
        self._listeners: list[SteppedListener] = []

    def listen(self, listener: SteppedListener) -> None:
        """Call ``listener(now_s)`` after each step."""
        self._listeners.append(listener)

    def now_s(self) -> float:
        return self._now_s

    def sleep_until(self, t_s: float) -> None:
        if t_s > self._now_s:
            self._now_s = t_s
            for listener in self._listeners:
                listener(t_s)

    def advance(self, dt_s: float) -> None:
        """Move on by ``dt_s`` seconds."""
        self.sleep_until(self._now_s + dt_s)

    def utc(self) -> str:
        return datetime.fromtimestamp(self._now_s, UTC).isoformat(timespec="milliseconds")


class SteppedListener(Protocol):
    """Called after each step of a stepped clock."""

    def __call__(self, now_s: float, /) -> None: ...


WALL = WallClock()
