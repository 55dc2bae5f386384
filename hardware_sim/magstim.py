"""Owns the commands and limits of simulated Magstim units, as tables; at present those of the 200².

It owns neither the state machine that obeys them (``hardware_sim.unit``) nor the line, and shares no code
with any driver. Commands, lengths, limits: design note STIMULATOR section 1. A new model is one more table.
"""

from __future__ import annotations

from collections.abc import Mapping

from hardware_sim.unit import Command, Discharge, Model, Refusal, Unit, UnitState, crc

__all__ = ["COMMANDS_200", "MODEL_200", "Discharge", "Unit200", "UnitState", "crc", "min_gap_200_s"]


def _control(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
    """``Q@``: take remote control."""
    if data != b"@":
        return Refusal.BAD_DATA
    unit.take_control()
    return b""


def _release(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
    """``R@``: disarm and give remote control back."""
    if data != b"@":
        return Refusal.BAD_DATA
    unit.release_control()
    return b""


def _execute(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
    """``EA`` disarm, ``EB`` arm, ``EH`` fire."""
    if data == b"A":
        unit.disarm()
    elif data == b"B":
        return b"" if unit.arm(t_s) else Refusal.CONFLICT
    elif data == b"H":
        return b"" if unit.fire(t_s) else Refusal.CONFLICT
    else:
        return Refusal.BAD_DATA
    return b""


def _power(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
    """``@ddd``: set the power, % MSO."""
    if not all(0x30 <= byte <= 0x39 for byte in data) or int(data) > unit.model.max_power_pct_mso:
        return Refusal.BAD_DATA
    return b"" if unit.set_power(int(data), t_s) else Refusal.CONFLICT


def _parameters(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
    """``J@``: power A as asked for; power B and interval, which a 200² has not, are 0."""
    return b"%03d000000" % unit.setpoint_pct_mso if data == b"@" else Refusal.BAD_DATA


def _temperatures(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
    """``F@``: both windings of the coil, 0.1 °C (here the same)."""
    tenths = min(999, max(0, round(unit.temperature_c(t_s) * 10)))
    return b"%03d%03d" % (tenths, tenths) if data == b"@" else Refusal.BAD_DATA


def min_gap_200_s(power_pct_mso: float) -> float:
    """Shortest time between pulses of a 200²: 2 s below 50 %, 3 s below 80 %, 4 s up to 100 %."""
    return 2.0 if power_pct_mso < 50 else 3.0 if power_pct_mso < 80 else 4.0


COMMANDS_200: Mapping[int, Command] = {
    ord("Q"): Command(data_bytes=1, reply_bytes=3, effect=_control, status_after=True),
    ord("R"): Command(data_bytes=1, reply_bytes=3, effect=_release, status_after=True),
    ord("E"): Command(data_bytes=1, reply_bytes=3, effect=_execute),
    ord("@"): Command(data_bytes=3, reply_bytes=3, effect=_power),
    ord("J"): Command(data_bytes=1, reply_bytes=12, effect=_parameters),
    ord("F"): Command(data_bytes=1, reply_bytes=9, effect=_temperatures),
}
MODEL_200 = Model(name="200", commands=COMMANDS_200, max_power_pct_mso=100, min_gap_s=min_gap_200_s)


class Unit200(Unit):
    """A Magstim 200². Parameters as ``Unit``."""

    model = MODEL_200
