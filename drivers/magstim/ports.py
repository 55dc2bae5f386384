"""Owns which port class speaks to which kind of unit; owns no exchange itself."""

from __future__ import annotations

from collections.abc import Callable

from drivers.magstim.bistim_port import BistimPort
from drivers.magstim.line import Line
from drivers.magstim.magpy_port import MagpyPort
from drivers.magstim.rapid_port import RapidPort
from drivers.magstim.units import UnitFacts
from rtloop.clock import Clock


def port_of(
    facts: UnitFacts, line: Line, clock: Clock, urgent: Callable[[], bool], *, unlock_code: str = ""
) -> MagpyPort:
    """The port of a unit; parameters as ``MagpyPort`` and ``RapidPort``."""
    if facts.kind == "rapid":
        return RapidPort(line, clock, urgent, unlock_code=unlock_code)
    return (BistimPort if facts.kind == "bistim" else MagpyPort)(line, clock, urgent)
