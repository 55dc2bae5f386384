"""Owns the shapes of what is tied to the loop: devices at its ends, the journal, what was done beside it; owns no work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rtloop.board import Board
from rtloop.model.event import Event
from rtloop.ports import SampleSource
from rtloop.safety.gate import Gate


class Append(Protocol):
    """Journals one event and returns it; with ``sync`` it is durable on return."""

    def __call__(self, kind: str, data: Mapping[str, Any], *, sync: bool = False) -> Event: ...


@dataclass(frozen=True, kw_only=True)
class Told:
    """Something that was done beside the loop and belongs into the record: the loop journals it at its next pass."""

    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ends:
    """What stands at the two ends of the line. ``gate`` is None when only listening."""

    source: SampleSource
    board: Board
    gate: Gate | None = None
