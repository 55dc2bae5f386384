"""Owns what a unit's tables say of it, as the gate asks; owns no line, no process and no table (magstim/units.py)."""

from __future__ import annotations

from drivers.magstim.units import UnitFacts, train_refusals
from rtloop.model.pulse import Train
from rtloop.model.status import Capabilities, UnitIdentity


class Described:
    """The part of a ``Stimulator`` that needs no unit: ``facts`` of its model and software, and who it is."""

    def __init__(self, facts: UnitFacts, identity: UnitIdentity) -> None:
        self._facts, self._identity = facts, identity

    @property
    def identity(self) -> UnitIdentity:
        """Which unit this is."""
        return self._identity

    @property
    def capabilities(self) -> Capabilities:
        """What this unit can do."""
        return self._facts.capabilities

    def min_interval_s(self, power_pct_mso: int, train: Train | None = None) -> float:
        """Shortest time from the end of the last pulse or train; ValueError for a power the unit does not have."""
        return self._facts.min_interval_s(power_pct_mso, train)

    def train_refusals(self, power_pct_mso: int, train: Train) -> tuple[str, ...]:
        """Everything the unit's own rules say against this train at this power."""
        return train_refusals(self._facts, power_pct_mso, train)
