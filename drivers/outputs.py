"""Owns the shapes of the two output lines beside the serial one, as the port process uses them; owns neither line."""

from __future__ import annotations

from typing import Protocol


class Trigger(Protocol):
    """Another way to fire (``drivers.trigger``)."""

    def fire(self, *, not_after_s: float = ...) -> float: ...

    def close(self) -> None: ...


class Stop(Protocol):
    """An output to the unit's STOP input (``drivers.stop_line``)."""

    def assert_stop(self) -> bool: ...

    def release(self) -> None: ...

    def close(self) -> None: ...
