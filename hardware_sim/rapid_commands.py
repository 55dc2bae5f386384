"""Owns the commands of simulated Magstim Rapid² units, by version of their software.

It owns no state (``hardware_sim.rapid``). Commands and lengths: design note STIMULATOR section 1; where that
note is silent the layout is the one that MagPy's public calls read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hardware_sim.commands import SHARED, number
from hardware_sim.packet import Command, Refusal

if TYPE_CHECKING:
    from hardware_sim.rapid import UnitRapid

Effect = Callable[["UnitRapid", bytes, float], bytes | Refusal]


def _unlock(unit: UnitRapid, data: bytes, t_s: float) -> bytes | Refusal:
    """``Q`` and the unlock code; another code is not answered (our choice: MagPy hangs on it)."""
    if data != (unit.unlock_code.encode("latin-1") or b"@"):
        return Refusal.SILENT if unit.unlock_code else Refusal.BAD_DATA
    unit.take_control()
    return b""


def _version(unit: UnitRapid, data: bytes, t_s: float) -> bytes | Refusal:
    """``ND``: status byte, the version's numbers with dots, NUL (the status byte is what MagPy skips)."""
    return ".".join(map(str, unit.version)).encode() + b"\x00" if data == b"D" else Refusal.BAD_DATA


def _parameters(unit: UnitRapid, data: bytes, t_s: float) -> bytes | Refusal:
    """``\\@``: power, frequency, pulses, duration, wait; the widths of the last three depend on the version."""
    if data != b"@":
        return Refusal.BAD_DATA
    pulses, duration, wait = _widths(unit.version)
    digits = (
        f"{unit.setpoint_pct_mso:03d}{unit.frequency_tenths:04d}{unit.n_pulses:0{pulses}d}"
        f"{unit.duration_tenths:0{duration}d}{min(unit.wait_tenths(), 10**wait - 1):0{wait}d}"
    )
    return bytes([unit.rapid_byte(t_s)]) + digits.encode()


def _error(unit: UnitRapid, data: bytes, t_s: float) -> bytes | Refusal:
    """``I@``: source and two digits; 000 without an error (values: our choice)."""
    if data != b"@":
        return Refusal.BAD_DATA
    return b"101" if unit.instr(t_s) & 1 << 5 else b"000"


def _setting(change: Callable[[UnitRapid, int], bool]) -> Effect:
    """A setting of trains: only under control, in train mode, outside a train and its pause."""

    def effect(unit: UnitRapid, data: bytes, t_s: float) -> bytes | Refusal:
        value, before = number(data), unit.rapid_byte(t_s)
        if value is None:
            return Refusal.BAD_DATA
        if not unit.remote or unit.single_pulse_mode or unit.resting(t_s):
            return Refusal.CONFLICT
        return bytes([before]) if change(unit, value) else Refusal.BAD_DATA

    return effect


def _duration(unit: UnitRapid, data: bytes, t_s: float) -> bytes | Refusal:
    """``[``: duration, and with it the mode."""
    value, before = number(data), unit.rapid_byte(t_s)
    if value is None:
        return Refusal.BAD_DATA
    changes_mode = (value == 0) != unit.single_pulse_mode
    if not unit.remote or unit.resting(t_s) or (changes_mode and (unit.enhanced or not unit.standby)):
        return Refusal.CONFLICT
    return bytes([before]) if unit.set_duration(value) else Refusal.BAD_DATA


def _enhanced(on: bool) -> Effect:
    def effect(unit: UnitRapid, data: bytes, t_s: float) -> bytes | Refusal:
        before = unit.rapid_byte(t_s)
        if data != b"@":
            return Refusal.BAD_DATA
        if not unit.remote or not unit.single_pulse_mode or not unit.standby or unit.resting(t_s):
            return Refusal.CONFLICT
        unit.set_enhanced(on, t_s)
        return bytes([before])

    effect.__doc__ = "``^@`` / ``_@``: enhanced power on / off, in single-pulse mode and standby only."
    return effect


def _system(unit: UnitRapid, data: bytes, t_s: float) -> bytes | Refusal:
    """``x@``: rapid byte and extended status, high byte first."""
    if data != b"@":
        return Refusal.BAD_DATA
    return bytes([unit.rapid_byte(t_s), 0, unit.extended_byte()]) if unit.remote else Refusal.CONFLICT


def _set_charge_delay(unit: UnitRapid, data: bytes, t_s: float) -> bytes | Refusal:
    """``n``: 0 to 2000 ms (software 9) or 10 000 ms (from 10)."""
    value, modern = number(data), unit.version >= (10,)
    before = bytes([unit.rapid_byte(t_s)]) + (bytes([0, unit.extended_byte()]) if modern else b"")
    if value is None or value > (10_000 if modern else 2000):
        return Refusal.BAD_DATA
    if not unit.remote or unit.resting(t_s):
        return Refusal.CONFLICT
    unit.charge_delay_ms = value
    return before


def _charge_delay(unit: UnitRapid, data: bytes, t_s: float) -> bytes | Refusal:
    """``o@``: ms, four digits, five from software 10."""
    if data != b"@":
        return Refusal.BAD_DATA
    if not unit.remote:
        return Refusal.CONFLICT
    return (b"%05d" if unit.version >= (10,) else b"%04d") % unit.charge_delay_ms


def _widths(version: tuple[int, ...]) -> tuple[int, int, int]:
    """Digits of pulses, duration and wait."""
    return (5, 4, 4) if version >= (9,) else (4, 3, 4) if version >= (7,) else (4, 3, 3)


def commands_of(version: tuple[int, ...], unlock_code: str) -> dict[int, Command]:
    """The commands that a Rapid² with this software knows."""
    pulses, duration, wait = _widths(version)
    modern = version >= (10,)
    out = {
        **SHARED,
        ord("N"): Command(data_bytes=1, reply_bytes=0, effect=_version),
        ord("\\"): Command(data_bytes=1, reply_bytes=11 + pulses + duration + wait, effect=_parameters),
        ord("B"): Command(
            data_bytes=4, reply_bytes=4, effect=_setting(lambda unit, v: unit.set_frequency(v))
        ),
        ord("D"): Command(
            data_bytes=pulses, reply_bytes=4, effect=_setting(lambda unit, v: unit.set_pulses(v))
        ),
        ord("["): Command(data_bytes=duration, reply_bytes=4, effect=_duration),
        ord("^"): Command(data_bytes=1, reply_bytes=4, effect=_enhanced(True)),
        ord("_"): Command(data_bytes=1, reply_bytes=4, effect=_enhanced(False)),
        ord("I"): Command(data_bytes=1, reply_bytes=6, effect=_error),
    }
    if version >= (9,):
        code_bytes = len(unlock_code.encode("latin-1")) or 1
        out[ord("Q")] = Command(data_bytes=code_bytes, reply_bytes=3, effect=_unlock, status_after=True)
        out[ord("x")] = Command(data_bytes=1, reply_bytes=6, effect=_system)
        out[ord("n")] = Command(
            data_bytes=5 if modern else 4, reply_bytes=6 if modern else 4, effect=_set_charge_delay
        )
        out[ord("o")] = Command(data_bytes=1, reply_bytes=8 if modern else 7, effect=_charge_delay)
    return out
