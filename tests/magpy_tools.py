"""Owns what lets MagPy, its source unmodified, talk to a simulated unit over any pyserial address: a port that
tolerates lines without RTS, in a thread instead of a process, with deadlines where MagPy has none.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import magpy.magstim
import pytest
import serial

DEADLINE_S = 3.0
READ_S = 2.0


class TimedQueue(queue.Queue):  # type: ignore[type-arg]
    """MagPy waits for a reply without limit; here a missing one is an error."""

    def get(self, block: bool = True, timeout: Any = "none given") -> Any:
        return super().get(block, DEADLINE_S if timeout == "none given" else timeout)


class ThreadedPort(magpy.magstim.serialPortController):  # type: ignore[misc]
    """MagPy's own port loop, in a thread of this process."""

    def start(self) -> None:
        self._thread = threading.Thread(target=self.run, name="magpy", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(DEADLINE_S if timeout is None else timeout)


class Called:
    """A MagPy device that remembers which of its public calls were used."""

    def __init__(self, device: Any) -> None:
        self.device, self.names = device, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.names.add(name)
        return getattr(self.device, name)


@contextmanager
def magpy_over(monkeypatch: pytest.MonkeyPatch, edge: Callable[[], None]) -> Iterator[None]:
    """MagPy made inside drives any pyserial address; ``edge`` is called for a rising RTS (the trigger cable)."""

    own = serial.Serial

    def opened(port: str, **options: Any) -> Any:
        kind = serial.serial_for_url if "://" in port else own
        made = kind(port, timeout=READ_S, **options)
        made.setRTS = lambda level=True: edge() if level else None
        return made

    monkeypatch.setattr(magpy.magstim, "Queue", TimedQueue)
    monkeypatch.setattr(magpy.magstim, "serialPortController", ThreadedPort)
    with monkeypatch.context() as patch:
        patch.setattr(serial, "Serial", opened)
        yield
