"""Owns the event: small, past tense, numbered without gaps; owns neither where it is kept nor what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: raised whenever a field of an event kind changes its meaning; written in the first record of each journal
EVENT_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened. ``data`` holds only JSON values; arrays go by reference (first sample, count)."""

    n: int
    t_s: float
    utc: str
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
