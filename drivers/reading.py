"""Owns how the unit's state stands on the board, and what in it forbids a pulse; owns no exchange with the unit."""

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


def publish(board: Board, instr: int, status: UnitStatus) -> None:
    """What ``status_on`` reads; ``instr`` is the status byte itself."""
    board["unit_instr"], board["unit_t"] = instr, int(status.t_s * 1e9)
    board["unit_power"] = -1 if status.power_pct_mso is None else status.power_pct_mso
    board["unit_temp_mc"] = -1 if status.coil_temp_c is None else round(1000 * status.coil_temp_c)


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
