"""Owns the list of simulated Magstim units by model name, and the 200².

It owns neither the state machine (``hardware_sim.unit``) nor the line, and shares no code with any driver.
Commands, lengths, limits: design note STIMULATOR section 1. The other models: ``hardware_sim.rapid``,
``hardware_sim.bistim``.
"""

from __future__ import annotations

from typing import Any

from hardware_sim.bistim import MODEL_BISTIM, UnitBistim, min_gap_200_s
from hardware_sim.commands import SHARED
from hardware_sim.packet import Command, Discharge, Model, Refusal, UnitState, crc
from hardware_sim.rapid import RAPID_MODELS, UNLOCK_CODE, UnitRapid
from hardware_sim.unit import Unit
from rtloop.errors import ValidationProblem

__all__ = [
    "COMMANDS_200", "MODELS", "MODEL_200", "UNLOCK_CODE", "Discharge", "Unit200", "UnitBistim", "UnitRapid",
    "UnitState", "crc", "min_gap_200_s", "unit_of",
]  # fmt: skip


def _parameters(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
    """``J@``: power A as asked for; power B and interval, which a 200² has not, are 0."""
    return b"%03d000000" % unit.setpoint_pct_mso if data == b"@" else Refusal.BAD_DATA


COMMANDS_200 = {**SHARED, ord("J"): Command(data_bytes=1, reply_bytes=12, effect=_parameters)}
MODEL_200 = Model(name="200", commands=COMMANDS_200, max_power_pct_mso=100, min_gap_s=min_gap_200_s)


class Unit200(Unit):
    """A Magstim 200². Parameters as ``Unit``."""

    model = MODEL_200


MODELS: dict[str, Model] = {m.name: m for m in (MODEL_200, MODEL_BISTIM, *RAPID_MODELS.values())}


def unit_of(model: str, **options: Any) -> Unit:
    """A unit by its model's name, one of ``MODELS``; ``options`` as of ``Unit200``, ``UnitBistim``, ``UnitRapid``.

    Raises ValidationProblem for a name that is none, or options that the model has not.
    """
    if model not in MODELS:
        raise ValidationProblem(
            "there is no simulated unit of this model", expected=" or ".join(MODELS), found=repr(model)
        )
    try:
        if model in RAPID_MODELS:
            return UnitRapid(family=model, **options)
        return UnitBistim(**options) if model == "bistim" else Unit200(**options)
    except TypeError as err:
        raise ValidationProblem(
            f"a simulated unit of model {model!r} has no such option", found=str(err)
        ) from err
