"""Owns which stimulator is wanted and the one way in which it is opened: a port process of its own; starts nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.client import MagstimUnit


@dataclass(frozen=True, kw_only=True)
class UnitWanted:
    """Which stimulator, on which line."""

    model: str
    port: str
    simulated: bool
    options: Mapping[str, Any] = field(default_factory=dict)  # as drivers.requests.Options has them

    @property
    def words(self) -> str:
        """The unit, and by what it is fired and stopped beside its own line."""
        trigger, stop = self.options.get("trigger"), self.options.get("stop_line")
        words = f"{self.model} on {self.port}"
        if trigger is not None:
            words += f", fired by {'RTS' if trigger.by == 'rts' else 'a byte'} on {trigger.port}"
        if stop is not None:
            words += f", STOP line on {stop.port} ({self.options.get('stop_level', 'low')} stops)"
        return words


def open_unit(unit: UnitWanted, *, board: Path, run_id: str, key: bytes) -> MagstimUnit:
    """The unit behind a port process of its own, standby read back; NotReady in words otherwise."""
    return MagstimUnit.open(
        port=unit.port, model=unit.model, board_path=board, run_id=run_id, key=key, simulated=unit.simulated, **unit.options
    )  # fmt: skip
