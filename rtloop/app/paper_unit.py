"""Owns what stands for a unit where a treatment is only rehearsed: the driver's rules, the simulated coil; opens nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from drivers.magstim.units import UnitFacts, energy_j, facts_of, train_refusals
from drivers.pacing import Pace
from hardware_sim.coil import COOLING_TAU_S, Coil
from hardware_sim.rapid import HEATING_C
from hardware_sim.unit import AMBIENT_C
from rtloop.model.pulse import Train
from rtloop.model.status import Capabilities
from rtloop.plan.treat_rehearse import Command


@dataclass(frozen=True)
class PaperUnit:
    """A unit by its facts: ``rtloop.plan.treat_rehearse.UnitOnPaper``."""

    facts: UnitFacts

    @property
    def words(self) -> str:
        said = ".".join(map(str, self.facts.software)) or "not known, so read as before 9"
        return f"{self.facts.model}, {self.facts.supply_v} V, software {said}"

    @property
    def capabilities(self) -> Capabilities:
        return self.facts.capabilities

    def min_interval_s(self, power_pct_mso: int, train: Train) -> float:
        return self.facts.min_interval_s(power_pct_mso, train)

    def train_refusals(self, power_pct_mso: int, train: Train) -> tuple[str, ...]:
        return train_refusals(self.facts, power_pct_mso, train)

    def in_sequence(self, commands: Sequence[Command]) -> tuple[str, ...]:
        """By the driver's own second check; nothing of trains that the unit refuses by themselves."""
        pace, out = Pace(), []
        for t_s, power, train in commands:
            if self.train_refusals(power, train):
                out.append("")
                continue
            out.append(pace.refusal(self.facts, t_s, power, train))
            pace.given(t_s, power, train)
        return tuple(out)

    def energy_j(self, power_pct_mso: int) -> float:
        return energy_j(power_pct_mso)

    def coil_c(self, commands: Sequence[Command]) -> tuple[float, ...]:
        """Cooling is linear, so that trains add up: each distinct one is given once to the simulated coil."""
        rises = {(power, train): _rise_c(power, train) for _, power, train in commands}
        out, above_c, last_s = [AMBIENT_C], 0.0, 0.0
        for t_s, power, train in commands:
            end_s = t_s + train.duration_s
            above_c = above_c * math.exp((last_s - end_s) / COOLING_TAU_S) + rises[power, train]
            last_s = end_s
            out.append(AMBIENT_C + above_c)
        return tuple(out)

    @property
    def coil_words(self) -> str:
        return (
            f"as the simulated coil heats, an assumption and not a measurement: from {AMBIENT_C:g} °C, {HEATING_C:g} °C a pulse "
            f"at 100 %, with the square of power, cooling with {COOLING_TAU_S:g} s; your coil's manual and its own sensor count"
        )


def _rise_c(power_pct_mso: int, train: Train) -> float:
    """What one train alone leaves in a coil at rest, at its end."""
    coil = Coil(AMBIENT_C, AMBIENT_C, HEATING_C)
    for k in range(train.n_pulses):
        coil.heat(k / train.frequency_hz, power_pct_mso)
    return coil.at(train.duration_s) - AMBIENT_C


def paper_unit(model: str, supply_v: int, software: tuple[int, ...]) -> PaperUnit:
    """A unit of this model; ``software`` () where nobody knows it. NotReady for a model that is not known."""
    return PaperUnit(replace(facts_of(model, supply_v=supply_v), software=software))
