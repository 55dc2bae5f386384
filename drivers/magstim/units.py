"""Owns the facts of each unit model, with where they come from; owns no exchange with a unit.

Sources: Magstim 200² operator's manual as summarised in the design notes (sections 1 and 3), and the
comments of MagPy 1.4 (McNair 2017, 10.1016/j.jneumeth.2016.11.006). Not confirmed on a real unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rtloop.errors import NotReady


@dataclass(frozen=True, kw_only=True)
class UnitFacts:
    """What holds for one unit model. Seconds and % of maximum stimulator output (MSO)."""

    model: str
    power_low_pct_mso: int = 0
    power_high_pct_mso: int
    interval_s: Callable[[int], float]  # shortest time between two pulses at a power
    ramp_up_s_per_pct: float = 0.01
    ramp_down_s_per_pct: float = 0.1
    arm_s: float = 1.0  # longest time from EB to ready
    keep_armed_s: float = 0.4  # we speak at least this often; the unit lets go after about 1 s of silence
    keep_standby_s: float = 2.0  # ... after about 10 s of silence
    lets_go_armed_s: float = 1.0
    idle_disarm_s: float = 60.0  # armed without a pulse

    def ramp_s(self, from_pct_mso: int, to_pct_mso: int) -> float:
        """Time the unit needs to change its power."""
        change = to_pct_mso - from_pct_mso
        return change * self.ramp_up_s_per_pct if change > 0 else -change * self.ramp_down_s_per_pct


def interval_200_s(power_pct_mso: int) -> float:
    """200²: 2 s below 50 %, 3 s below 80 %, 4 s up to 100 %; refuses anything else (also NaN)."""
    if 0 <= power_pct_mso < 50:
        return 2.0
    if 50 <= power_pct_mso < 80:
        return 3.0
    if 80 <= power_pct_mso <= 100:
        return 4.0
    raise ValueError(f"no such power on a 200²: {power_pct_mso} % MSO")


UNITS: Mapping[str, UnitFacts] = {
    "200": UnitFacts(model="200", power_high_pct_mso=100, interval_s=interval_200_s),
}


def facts_of(model: str) -> UnitFacts:
    """The facts of a model, or NotReady naming the models that are known."""
    if model not in UNITS:
        raise NotReady(
            f"no driver for the unit model {model!r}", expected=", ".join(sorted(UNITS)), found=model,
            todo="set the model of the unit in the site file",
        )  # fmt: skip
    return UNITS[model]
