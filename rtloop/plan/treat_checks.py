"""Owns the checks between the keys of a treatment plan, and why bursts are refused; owns neither a key nor a safety limit.

Every check runs on whatever tables are well formed, so that a file's problems are told all at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from rtloop.model.pulse import Train
from rtloop.plan.checks import coil_misplaced, names_twice
from rtloop.plan.gate_checks import gate_wrong
from rtloop.plan.problems import Problem, shown
from rtloop.plan.treat_schema import RampUp, Trains, TreatCaps, TreatTarget

#: trains closer than this are a pattern of bursts: a program that times trains over a serial line cannot give it, and a Rapid²
#: takes no command within 0.5 s of a train's end (design note STIMULATOR section 1)
BURST_PAUSE_S = 1.0
NO_BURSTS = (
    "over the serial line one command starts one train of one frequency, and the program times the trains; there is no command "
    "for bursts inside a train (theta burst, intermittent patterns), and what the unit's own panel could do is not under the gate"
)
_BURST_WORDS = re.compile(r"burst|theta|tbs|pattern|intermittent|triplet|doublet", re.IGNORECASE)
_NO_BURSTS_TODO = "give regular trains: frequency_hz, pulses, count, pause_s; remove what describes bursts"


def bursts_in(raw: Mapping[str, Any]) -> list[Problem]:
    """Every key or word by which a file asks for bursts inside a train, each refused with the reason. ``raw``: as parsed."""
    out = []
    trains = raw.get("trains")
    rows = [(key, key, value) for key, value in raw.items()]
    rows += [(f"trains.{k}", k, v) for k, v in trains.items()] if isinstance(trains, dict) else []
    for where, key, value in rows:
        said = f"{key} {value}" if isinstance(value, str) else key
        if _BURST_WORDS.search(said):
            out.append(_burst(where, f"{key} = {shown(value)}"))
    return out


def _burst(where: str, found: str) -> Problem:
    return Problem(
        where=where, what=f"serial control cannot do bursts: {NO_BURSTS}", expected="regular trains", found=found,
        todo=_NO_BURSTS_TODO,
    )  # fmt: skip


def treatment_wrong(tables: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong between keys. ``tables`` maps table name -> its value; malformed ones are left out or None."""
    targets = [(f"targets[{i}]", t) for i, t in enumerate(tables.get("targets") or ()) if t is not None]
    trains, ramp = tables.get("trains"), tables.get("ramp_up")
    out = list(names_twice(targets))
    for where, target in targets:
        out += coil_misplaced(where, target.coil_at)
    if trains is not None:
        out += _trains(trains)
        out += _dose(trains, tables.get("caps"))
    if ramp is not None:
        out += _ramp(ramp, trains, targets)
    if (gate := tables.get("gate")) is not None:
        out += gate_wrong(gate, trains)
    return out


def _trains(trains: Trains) -> Iterator[Problem]:
    try:
        Train(frequency_hz=trains.frequency_hz, n_pulses=trains.pulses)
    except ValueError as err:
        yield Problem(
            where="trains.frequency_hz", what="no train of a unit", expected="a whole number of 0.1 Hz, 2 pulses or more",
            found=str(err), todo="correct the frequency or the pulses",
        )  # fmt: skip
    if (trains.pause_s is None) is not (trains.count == 1):
        yield Problem(
            where="trains.pause_s", what="the pause does not go with the number of trains",
            expected="a pause between trains, none after a single one",
            found=f"count = {trains.count}, {'no pause' if trains.pause_s is None else f'pause_s = {trains.pause_s:g}'}",
            todo="add the pause (counted from the end of a train)" if trains.pause_s is None else "remove the pause",
        )  # fmt: skip
    elif trains.pause_s is not None and not trains.pause_s >= BURST_PAUSE_S:
        yield _burst(
            "trains.pause_s",
            f"{trains.pulses} pulses at {trains.frequency_hz:g} Hz every {trains.pause_s:g} s",
        )


def _dose(trains: Trains, caps: TreatCaps | None) -> Iterator[Problem]:
    total = trains.pulses * trains.count
    if caps is not None and total > caps.pulses_session_max:
        yield Problem(
            where="caps.pulses_session_max", what="the plan gives more pulses than its own cap",
            expected=f"at most {caps.pulses_session_max} pulses", found=f"{total} pulses ({trains.count} x {trains.pulses})",
            todo="give fewer or shorter trains, or raise the cap",
        )  # fmt: skip


def _ramp(ramp: RampUp, trains: Trains | None, targets: list[tuple[str, TreatTarget]]) -> Iterator[Problem]:
    steps = ramp.steps_pct_rmt
    words = ", ".join(f"{s:g}" for s in steps)
    if any(b <= a for a, b in pairwise(steps)):
        yield Problem(
            where="ramp_up.steps_pct_rmt", what="the steps do not rise", expected="each step above the one before",
            found=words, todo="order the steps",
        )  # fmt: skip
    for where, target in targets:
        if not max(steps) < target.intensity_pct_rmt:
            yield Problem(
                where="ramp_up.steps_pct_rmt", what=f"a step is not below the intensity of {where}",
                expected=f"less than {target.intensity_pct_rmt:g} % RMT", found=words, todo="lower the steps",
            )  # fmt: skip
    ramping = len(steps) * ramp.trains_each
    if trains is not None and not ramping < trains.count:
        yield Problem(
            where="ramp_up.trains_each", what="the ramp is as long as the session",
            expected=f"fewer trains than trains.count = {trains.count}", found=str(ramping), todo="shorten the ramp",
        )  # fmt: skip
