"""Owns the reading of the unit's state from the board; owns no write to it."""

from __future__ import annotations

from rtloop.board import Board
from rtloop.model.status import UnitStatus


def status_on(board: Board) -> UnitStatus:
    """The newest status byte the port process published; ``t_s`` is -inf when there is none."""
    instr, power, temp_mc = board["unit_instr"], board["unit_power"], board["unit_temp_mc"]
    return UnitStatus.from_instr(
        max(0, instr),
        t_s=board["unit_t"] * 1e-9 if instr >= 0 else float("-inf"),
        power_pct_mso=power if power >= 0 else None,
        coil_temp_c=temp_mc / 1000 if temp_mc >= 0 else None,
    )


def firmware_of(software: tuple[int, ...]) -> str:
    """As an identity tells it."""
    return ".".join(map(str, software)) or "not reported by this model"


def wrong_with(status: UnitStatus) -> str:
    """What forbids a pulse, in words; "" when nothing does."""
    wrong = {
        "no coil": not status.coil_present, "the coil must be replaced": status.replace_coil,
        "an error": status.error or status.error_fatal, "remote control is lost": not status.remote,
    }  # fmt: skip
    return ", ".join(words for words, true in wrong.items() if true)
