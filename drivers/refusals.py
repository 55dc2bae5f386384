"""Owns the refusal of powers, trains, pairs and options that a unit cannot have, all reasons at once; owns no exchange."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from drivers.magstim.line import PortLock
from drivers.magstim.units import UNITS, UnitFacts, train_refusals, wrong_facts
from drivers.requests import Options
from drivers.trigger import OutputSetting
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


def refuse_due(due_s: object) -> None:
    """UnitProblem unless it is an instant in s."""
    if not (isinstance(due_s, int | float) and not isinstance(due_s, bool) and math.isfinite(due_s)):
        _refuse("no such instant", (f"a pulse is due at a number of seconds, not {due_s!r}",))


def _refuse(what: str, reasons: tuple[str, ...]) -> None:
    if reasons:
        raise UnitProblem(
            Fault.UNIT_UNEXPECTED, what, expected="what the unit can give", found="; ".join(reasons),
            todo="change the plan",
        )  # fmt: skip


def wrong_options(model: str, options: Options, *, port: str | None = None) -> None:
    """UnitProblem with everything in model, port and options that no unit of this model has."""
    wrong = [*wrong_facts(model, options.supply_v, options.stops_running_train)]
    code, least = options.unlock_code, options.software_at_least
    if not isinstance(code, str) or not all(0x20 <= ord(c) <= 0xFF for c in code):
        wrong.append("an unlock code is text of single bytes")
    if not (isinstance(least, tuple) and all(type(part) is int and part >= 0 for part in least)):
        wrong.append(f"a software version is whole numbers, not {least!r}")
    if isinstance(model, str) and model in UNITS and UNITS[model].kind != "rapid" and (code or least):
        wrong.append(f"the model {model} has neither unlock code nor a version that it tells")
    wrong += _wrong_ports(port, options)
    if options.stop_level not in ("low", "high"):
        wrong.append(f'the level that stops is "low" or "high", not {options.stop_level!r}')
    if not isinstance(options.transcript, Path | None):
        wrong.append(f"the transcript is a path, not {options.transcript!r}")
    if wrong:
        raise UnitProblem(
            Fault.UNIT_UNEXPECTED, "the unit's options are wrong", found="; ".join(wrong),
            todo="correct the unit in the site file",
        )  # fmt: skip


def _wrong_ports(port: object, options: Options) -> Iterator[str]:
    """No port, no setting of a line, and two lines on one port, by whatever names."""
    taken: dict[Path, str] = {}
    if isinstance(port, str) and port:
        taken[PortLock(port).path] = "the unit"
    elif port is not None:
        yield f"the unit's port is the name of a serial port, not {port!r}"
    for what, line in (("the trigger line", options.trigger), ("the STOP line", options.stop_line)):
        if isinstance(line, OutputSetting):
            owner = taken.setdefault(PortLock(line.port).path, what)
            if owner != what:
                yield f"{what} {line.port} is the port of {owner}"
        elif line is not None:
            yield f"{what} is an OutputSetting, not {line!r}"
