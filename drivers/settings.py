"""Owns the refusal of trains and pairs that a unit cannot give, before a byte is sent; owns no exchange with it."""

from __future__ import annotations

from drivers.magstim.units import UnitFacts, train_refusals
from drivers.trouble import UnitProblem
from rtloop.model.pulse import Pair, Train
from rtloop.model.status import Fault


def refuse_train(facts: UnitFacts, power_pct_mso: int | None, train: Train | None) -> None:
    """UnitProblem with all reasons at once; a power of None is not looked at."""
    if train is None:
        return
    if power_pct_mso is None and isinstance(train, Train) and facts.capabilities.trains:
        return
    _refuse("no such train", train_refusals(facts, power_pct_mso or 0, train))


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
