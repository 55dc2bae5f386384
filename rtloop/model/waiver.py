"""Owns the value of a waiver: a person's signed word that lifts one rule for one plan; owns no loading of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """One rule, lifted for the plan whose file has this SHA-256, by a person who signed on ``signed_on`` (YYYY-MM-DD)."""

    rule: str
    reason: str
    citation: str
    person: str
    signed_on: str
    plan_sha256: str

    def data(self) -> dict[str, Any]:
        """The data of its event (JSON values only)."""
        return asdict(self)

    def words(self) -> str:
        """One line to print before anything is armed."""
        return (
            f"WAIVER of {self.rule} for the plan {self.plan_sha256[:12]}: {self.reason} ({self.citation}); "
            f"signed by {self.person} on {self.signed_on}"
        )


def waiver_words(started: Mapping[str, Any]) -> tuple[str, ...]:
    """A line for each waiver that ``session_started`` tells of; older journals tell of none."""
    return tuple(Waiver(**w).words() for w in started.get("waivers") or ())
