"""Owns the commands that several models of simulated units share: what each does with its data.

It owns neither the state machine that obeys them (``hardware_sim.unit``) nor the models' tables, and shares no
code with any driver. Commands and lengths: design note STIMULATOR section 1.
"""

from __future__ import annotations

from collections.abc import Mapping

from hardware_sim.packet import Command, Refusal
from hardware_sim.unit import Unit


def number(data: bytes) -> int | None:
    """The value of ASCII digits; None when there is anything else."""
    return int(data) if data and all(0x30 <= byte <= 0x39 for byte in data) else None


def control(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
    """``Q@``: take remote control."""
    if data != b"@":
        return Refusal.BAD_DATA
    unit.take_control()
    return b""


def release(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
    """``R@``: disarm and give remote control back."""
    if data != b"@":
        return Refusal.BAD_DATA
    unit.release_control()
    return b""


def execute(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
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


def power(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
    """``@ddd``: set the power, % MSO."""
    value = number(data)
    if value is None or value > unit.power_limit_pct_mso:
        return Refusal.BAD_DATA
    return b"" if unit.set_power(value, t_s) else Refusal.CONFLICT


def temperatures(unit: Unit, data: bytes, t_s: float) -> bytes | Refusal:
    """``F@``: both windings of the coil, 0.1 °C (here the same)."""
    tenths = min(999, max(0, round(unit.temperature_c(t_s) * 10)))
    return b"%03d%03d" % (tenths, tenths) if data == b"@" else Refusal.BAD_DATA


SHARED: Mapping[int, Command] = {
    ord("Q"): Command(data_bytes=1, reply_bytes=3, effect=control, status_after=True),
    ord("R"): Command(data_bytes=1, reply_bytes=3, effect=release, status_after=True),
    ord("E"): Command(data_bytes=1, reply_bytes=3, effect=execute),
    ord("@"): Command(data_bytes=3, reply_bytes=3, effect=power),
    ord("F"): Command(data_bytes=1, reply_bytes=9, effect=temperatures),
}
