"""Owns the facts of each unit model, with where they come from; owns no exchange with a unit.

Sources: Magstim 200², BiStim² and Rapid² operator's manuals as summarised in the design notes (sections 1 and
3), the comments of MagPy 1.4 (McNair 2017, 10.1016/j.jneumeth.2016.11.006) and the frequency table that it
ships. Not confirmed on a real unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources

import yaml

from rtloop.errors import NotReady
from rtloop.model.pulse import Pair, Train
from rtloop.model.status import Capabilities

MOST_PULSES = 6000
AFTER_TRAIN_S = 0.5
JOULES_A_PULSE = 252.0  # at 100 %
JOULES_A_SECOND = 1050.0  # what the unit can give for ever
JOULES_A_MINUTE = 63000.0
TENTHS_UP_TO_HZ = 30.0  # above, whole numbers only
_SUPPLIES_V = (115, 240)
_FAMILIES = {"rapid": 0, "super-rapid": 1, "super-rapid-plus": 2}


@dataclass(frozen=True, kw_only=True)
class UnitFacts:
    """What holds for one unit model. Seconds and % of maximum stimulator output (MSO).

    ``software`` is what a Rapid² said of itself; () while that is not known.
    """

    model: str
    kind: str  # "200", "bistim" or "rapid": which port class speaks to it
    power_low_pct_mso: int = 0
    power_high_pct_mso: int
    interval_s: Callable[[int], float]  # shortest time between two single pulses or pairs at a power
    capabilities: Capabilities = field(default_factory=Capabilities)
    supply_v: int = 240
    software: tuple[int, ...] = ()
    ramp_up_s_per_pct: float = 0.01
    ramp_down_s_per_pct: float = 0.1
    arm_s: float = 1.0  # longest time from EB to ready
    keep_armed_s: float = 0.15  # we speak at least this often; the unit lets go after about 1 s of silence
    keep_standby_s: float = 2.0  # ... after about 10 s of silence
    lets_go_armed_s: float = 1.0

    def ramp_s(self, from_pct_mso: int, to_pct_mso: int) -> float:
        """Time the unit needs to change its power."""
        change = to_pct_mso - from_pct_mso
        return max(change * self.ramp_up_s_per_pct, -change * self.ramp_down_s_per_pct)

    def min_interval_s(self, power_pct_mso: int, train: Train | None = None) -> float:
        """Shortest time from the last pulse, or the end of ``train``, to the next; ValueError for no power of ours."""
        single_s = self.interval_s(power_pct_mso)
        return single_s if train is None else train_wait_s(power_pct_mso, train)

    def pair_refusals(self, pair: Pair) -> tuple[str, ...]:
        """Everything that the unit's own rules say against this pair."""
        if not isinstance(pair, Pair):
            return (f"no pair, but {type(pair).__name__}",)
        return () if self.capabilities.pairs else (f"the model {self.model} gives no pairs",)


def interval_200_s(power_pct_mso: int) -> float:
    """200²: 2 s below 50 %, 3 s below 80 %, 4 s up to 100 %; refuses anything else (also NaN)."""
    if not 0 <= power_pct_mso <= 100:
        raise ValueError(f"no such power on a 200²: {power_pct_mso} % MSO")
    return 2.0 if power_pct_mso < 50 else 3.0 if power_pct_mso < 80 else 4.0


def interval_bistim_s(power_pct_mso: int) -> float:
    """BiStim²: 0.25 Hz at most, at any power (MagPy 1.4, class BiStim); refuses anything else (also NaN)."""
    if 0 <= power_pct_mso <= 100:
        return 4.0
    raise ValueError(f"no such power on a BiStim²: {power_pct_mso} % MSO")


def interval_rapid_s(power_pct_mso: int) -> float:
    """Rapid²: single pulses over serial at 1 Hz at most (MagPy 1.4, class Rapid); refuses anything else."""
    if 0 <= power_pct_mso <= 100:
        return 1.0
    raise ValueError(f"no such power on a Rapid²: {power_pct_mso} % MSO")


def energy_j(power_pct_mso: float) -> float:
    """Energy of one pulse of a Rapid², J: 252 (p/100)² (the design notes, section 1)."""
    return JOULES_A_PULSE * (power_pct_mso / 100) ** 2


def train_wait_s(power_pct_mso: int, train: Train) -> float:
    """Shortest time from the end of a train to the next, s: max(0.5, N (f E - 1050) / (1050 f))."""
    f_hz, joules = train.frequency_hz, energy_j(power_pct_mso)
    return max(AFTER_TRAIN_S, train.n_pulses * (f_hz * joules - JOULES_A_SECOND) / (JOULES_A_SECOND * f_hz))


def on_time_s(power_pct_mso: int, frequency_hz: float) -> float:
    """Longest time a minute in which trains may run, s: 63000 / (E f)."""
    joules = energy_j(power_pct_mso)
    return JOULES_A_MINUTE / (joules * frequency_hz) if joules > 0 else math.inf


@cache
def _ceilings_hz() -> Mapping[int, Mapping[int, Mapping[int, float]]]:
    """By supply, family and power, as MagPy ships them, made to fall with power.

    A ceiling that rises with power is none. 240 V Super Rapid² at 80 %: 30 Hz, the lower of the published values.
    """
    text = resources.files("magpy").joinpath("rapid_system_info.yaml").read_text("utf-8")
    tables = yaml.safe_load(text)["maxFrequency"]
    tables[240][1][80] = 30
    return {
        volts: {
            family: {p: float(min(row[q] for q in range(p + 1))) for p in range(101)}
            for family, row in families.items()
        }
        for volts, families in tables.items()
    }


def max_frequency_hz(facts: UnitFacts, power_pct_mso: int) -> float:
    """The highest frequency of a train at this power, Hz, by the unit's model and supply."""
    return _ceilings_hz()[facts.supply_v][_FAMILIES[facts.model]][power_pct_mso]


def train_refusals(facts: UnitFacts, power_pct_mso: int, train: Train) -> tuple[str, ...]:
    """Everything that the unit's own rules say against this train at this power; () when nothing does.

    A train whose length is no whole number of tenths of a second is refused: the unit holds frequency, pulses and
    duration (tenths) at once, and only when all three agree is it known how many pulses it gives.
    """
    if not facts.capabilities.trains:
        return (f"the model {facts.model} gives no trains",)
    reasons = []
    power_is_one = type(power_pct_mso) is int and 1 <= power_pct_mso <= facts.power_high_pct_mso
    if not power_is_one:
        reasons.append(f"no power for a train: {power_pct_mso!r}, 1 to {facts.power_high_pct_mso} % MSO")
    if not isinstance(train, Train):
        return (*reasons, f"no train, but {type(train).__name__}")
    f_hz, n, duration_s = train.frequency_hz, train.n_pulses, train.duration_s
    tenths_hz = round(10 * f_hz)  # a Train has no other
    if not f_hz <= TENTHS_UP_TO_HZ and tenths_hz % 10:
        reasons.append(f"{f_hz:g} Hz: only whole numbers above {TENTHS_UP_TO_HZ:g} Hz")
    if not n <= MOST_PULSES:
        reasons.append(f"{n} pulses: at most {MOST_PULSES} in a train")
    if 100 * n % tenths_hz:
        reasons.append(
            f"{n} pulses at {f_hz:g} Hz take {duration_s:.4g} s, which is no whole number of 0.1 s"
        )
    longest_s = 999.9 if facts.software >= (9,) else 99.9
    if not duration_s <= longest_s:
        reasons.append(f"{duration_s:g} s: at most {longest_s:g} s with the unit's software")
    if power_is_one:
        ceiling_hz = max_frequency_hz(facts, power_pct_mso)
        if not f_hz <= ceiling_hz:
            reasons.append(f"{f_hz:g} Hz at {power_pct_mso} %: at most {ceiling_hz:g} Hz on this unit")
        allowed_s = on_time_s(power_pct_mso, f_hz)
        if not min(duration_s, 60.0) <= allowed_s:
            reasons.append(
                f"{duration_s:g} s of {f_hz:g} Hz at {power_pct_mso} %: at most {allowed_s:.1f} s a minute (energy)"
            )
    return tuple(reasons)


_RAPID = {
    model: UnitFacts(
        model=model, kind="rapid", power_high_pct_mso=100, interval_s=interval_rapid_s,
        capabilities=Capabilities(trains=True),
    )
    for model in _FAMILIES
}  # fmt: skip
UNITS: Mapping[str, UnitFacts] = {
    "200": UnitFacts(model="200", kind="200", power_high_pct_mso=100, interval_s=interval_200_s),
    "bistim": UnitFacts(
        model="bistim",
        kind="bistim",
        power_high_pct_mso=100,
        interval_s=interval_bistim_s,
        capabilities=Capabilities(pairs=True),
    ),
    **_RAPID,
}


def wrong_facts(model: object, supply_v: object, stops_running_train: object) -> tuple[str, ...]:
    """Everything that keeps these from being a unit that is known, in words; () when nothing does."""
    wrong = []
    if not (isinstance(model, str) and model in UNITS):
        wrong.append(f"no driver for the unit model {model!r}, only for {', '.join(sorted(UNITS))}")
    if not (type(supply_v) is int and supply_v in _SUPPLIES_V):
        wrong.append(f"no tables for a supply of {supply_v!r} V, only for 115 and 240")
    if type(stops_running_train) is not bool:
        wrong.append(f"whether EA stops a train is True or False, not {stops_running_train!r}")
    return tuple(wrong)


def facts_of(model: str, *, supply_v: int = 240, stops_running_train: bool = False) -> UnitFacts:
    """The facts of a model, or NotReady with all of ``wrong_facts``.

    ``stops_running_train``: whether commissioning saw that EA stops a train under way on this very unit.
    """
    if wrong := wrong_facts(model, supply_v, stops_running_train):
        raise NotReady(
            "no driver for such a unit", found="; ".join(wrong), todo="correct the unit in the site file"
        )
    facts = UNITS[model]
    stops = stops_running_train and facts.capabilities.trains
    capabilities = replace(
        facts.capabilities, power_high_pct_mso=facts.power_high_pct_mso, stops_running_train=stops
    )
    return replace(facts, supply_v=supply_v, capabilities=capabilities)


def device_limits(model: str) -> dict[str, float]:
    """The limits, by their names, that a unit of this model itself sets; none of one that is not known."""
    if model not in UNITS:
        return {}
    return {"max_power_pct_mso": float(facts_of(model).capabilities.power_high_pct_mso)}
