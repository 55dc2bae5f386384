"""Owns the check of what a script asks for, all reasons at once; owns neither the site's limits nor the gate's rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from drivers.magstim.units import facts_of
from rtloop.errors import RtloopError, SafetyStop, UsageProblem, ValidationProblem
from rtloop.model.pulse import Purpose
from rtloop.model.status import Mode
from rtloop.safety.rules import MotorThreshold, Rig

Found = TypeVar("Found")

#: by the names of ``stimulator``: the types, what to write, and what says nothing
TYPES: Mapping[str, tuple[Any, str, Any]] = {
    "port": (str, 'text: "sim:200", "/dev/ttyUSB0", "COM3"', "sim:200"),
    "participant": (str, "text", "unknown"),
    "model": (str | None, "text", None),
    "caps": (Mapping | None, "values by the names of limits", None),
    "eeg": (str | None, "text: the name of a stream", None),
    "mode": (str | None, 'text: "human"', None),
    "threshold": (MotorThreshold | None, "a MotorThreshold", None),
    "rig": (Rig | None, "a Rig", None),
    "purpose": (str, "probe or treatment", Purpose.PROBE.value),
    "data_dir": (str | Path | None, "a path", None),
    "site": (str | Path | None, "a path", None),
    "waivers": (str | Path | None, "a path", None),
    "say": (Callable, "a function of one text", print),
}
OF_THE_PORT = ("model", "eeg", "mode")  # what they may be hangs on the port


def wrong_types(asked: Mapping[str, Any]) -> tuple[list[RtloopError], dict[str, Any]]:
    """One problem for each value of a type that the call does not take, and the same call without these values."""
    wrong = [name for name, (kind, _, _) in TYPES.items() if not isinstance(asked[name], kind)]
    without = {*wrong, *(OF_THE_PORT if "port" in wrong else ())}
    problems: list[RtloopError] = [
        UsageProblem(f"{name}= is of the wrong type", expected=TYPES[name][1], found=repr(asked[name]))
        for name in wrong
    ]
    return problems, {name: TYPES[name][2] if name in without else asked[name] for name in TYPES}


def wrong_wishes(
    *, named: str, simulated: bool, participant: str, model: str | None, eeg: str | None, mode: str | None,
    true: Mode, purpose: str,
) -> list[RtloopError]:  # fmt: skip
    """One problem for each wish that no script can have; ``mode``: asked for, unless it is HUMAN; ``true``: the port's own."""
    problems: list[RtloopError] = []
    if simulated and model not in (None, named):
        problems.append(UsageProblem("the model is named twice", expected=named, found=model or ""))
    also(problems, lambda: facts_of(named))  # refuses an unknown model in words
    if simulated and eeg is not None:
        problems.append(UsageProblem("a simulated unit brings its own EEG", expected="no eeg=", found=eeg))
    if not participant.strip():
        problems.append(UsageProblem(
            "the dose belongs to somebody", expected='participant="..."', found=repr(participant)
        ))  # fmt: skip
    if purpose not in (Purpose.PROBE, Purpose.TREATMENT):
        problems.append(UsageProblem(
            "no such purpose of a script", expected="probe or treatment", found=repr(purpose)
        ))  # fmt: skip
    if mode is not None and mode.upper() != true:
        problems.append(UsageProblem("the mode is not what this port means", expected=true, found=mode))
    return problems


def wished(kind: Callable[..., Found], **fields: object) -> Found:
    """A train or a pair; UsageProblem with everything that is wrong with it."""
    try:
        return kind(**fields)
    except ValueError as err:
        raise UsageProblem("this cannot be set", expected="what a unit can be told", found=str(err)) from err


def also(problems: list[RtloopError], work: Callable[[], Found]) -> Found | None:
    """What ``work`` returns; None where it refuses, and the refusal is one more problem."""
    try:
        return work()
    except RtloopError as err:
        problems.append(err)
        return None


def all_of(problems: list[RtloopError]) -> RtloopError:
    """One problem as it is; several as one, of the gravest kind among them."""
    if len(problems) == 1:
        return problems[0]
    kinds = (SafetyStop, UsageProblem, ValidationProblem)
    kind = next((k for k in kinds if any(isinstance(p, k) for p in problems)), UsageProblem)
    return kind(
        f"{len(problems)} things that the script asks for cannot be", found=" | ".join(map(str, problems))
    )
