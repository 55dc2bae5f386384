"""Owns the refusal of powers, trains and pairs that a unit cannot give, all reasons at once; owns no exchange."""

from __future__ import annotations

from drivers.magstim.units import UnitFacts, train_refusals
from drivers.requests import Options
from drivers.trouble import UnitProblem
from rtloop.model.pulse import Pair, Train
from rtloop.model.status import Fault

LEAST_POWER_PCT_MSO = 1  # what a train may be given at: more power allows no train that this refuses


def refuse_power(facts: UnitFacts, power_pct_mso: object) -> None:
    """UnitProblem unless it is a whole number that the unit has."""
    low, high = facts.power_low_pct_mso, facts.power_high_pct_mso
    if type(power_pct_mso) is not int or not low <= power_pct_mso <= high:
        raise UnitProblem(
            Fault.UNIT_UNEXPECTED, "no such power", found=repr(power_pct_mso),
            expected=f"a whole number of {low} to {high} % MSO",
        )  # fmt: skip


def refuse_train(facts: UnitFacts, power_pct_mso: int | None, train: Train | None) -> None:
    """UnitProblem with all reasons at once; with the power unknown (None), those that stand at the least power."""
    if train is not None:
        power = LEAST_POWER_PCT_MSO if power_pct_mso is None else power_pct_mso
        _refuse("no such train", train_refusals(facts, power, train))


def refuse_pair(facts: UnitFacts, pair: Pair | None) -> None:
    """UnitProblem with all reasons at once."""
    if pair is not None:
        _refuse("no such pair", facts.pair_refusals(pair))


def _refuse(what: str, reasons: tuple[str, ...]) -> None:
    if reasons:
        raise UnitProblem(
            Fault.UNIT_UNEXPECTED, what, expected="what the unit can give", found="; ".join(reasons),
            todo="change the plan",
        )  # fmt: skip


def wrong_options(facts: UnitFacts, options: Options) -> None:
    """UnitProblem with everything in the options that no unit of this model has."""
    wrong = []
    code, least = options.unlock_code, options.software_at_least
    if not isinstance(code, str) or not all(0x20 <= ord(c) <= 0xFF for c in code):
        wrong.append("an unlock code is text of single bytes")
    if not (isinstance(least, tuple) and all(type(part) is int and part >= 0 for part in least)):
        wrong.append(f"a software version is whole numbers, not {least!r}")
    if facts.kind != "rapid" and (code or least):
        wrong.append(f"the model {facts.model} has neither unlock code nor a version that it tells")
    if wrong:
        raise UnitProblem(
            Fault.UNIT_UNEXPECTED, "the unit's options are wrong", found="; ".join(wrong),
            todo="correct the unit in the site file",
        )  # fmt: skip
