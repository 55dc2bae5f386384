"""Owns the words of a simulated unit: packets and checksum, refusals, pulses, snapshots, what a model is.

It owns no state and no time (``hardware_sim.unit``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardware_sim.unit import Unit

BYTE_S = 10 / 9600  # start bit, 8 data bits, stop bit at 9600 baud


class Refusal(Enum):
    """Second byte of a reply that says no; SILENT: there is no reply at all."""

    BAD_DATA = b"?"
    CONFLICT = b"S"
    SILENT = b""


@dataclass(frozen=True, kw_only=True)
class Discharge:
    """One pulse of the coil, on record as soon as it is inevitable: ``t_s`` may lie up to ~10 ms ahead."""

    t_s: float
    power_pct_mso: int
    part: str = "A"  # "B": the second discharge of a pair
    commanded: bool = True  # by the host; not by another program, an edge from nowhere, somebody at the panel


@dataclass(frozen=True, kw_only=True)
class UnitState:
    """The unit as of the last instant it was shown."""

    t_s: float
    instr: int  # status byte
    remote: bool
    armed: bool  # a B was obeyed and nothing has undone it; includes ready
    ready: bool
    setpoint_pct_mso: int
    actual_pct_mso: float
    coil_temp_c: float
    train_running: bool = False


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command byte: its length on the line, the length of a good reply, and what it does.

    ``effect(unit, data, t_s)`` returns the reply's payload after the status byte, or a refusal.
    ``reply_bytes`` 0: the reply has no fixed length.
    """

    data_bytes: int
    reply_bytes: int
    effect: Callable[[Any, bytes, float], bytes | Refusal]  # Any: a unit of the model that has the command
    status_after: bool = False  # the status byte shows the state after the command (Q and R only)


@dataclass(frozen=True, kw_only=True)
class Model:
    """What distinguishes one unit from another on the line.

    ``heating_c`` is the coil's rise by one pulse at 100 % (our choice for every model; it goes with the square
    of power); ``serial_latency_s`` from the last byte of ``EH`` to the discharge (MagPy's published plots).
    """

    name: str
    commands: Mapping[int, Command]  # by command byte
    max_power_pct_mso: int
    min_gap_s: Callable[[float], float]  # by % MSO
    heating_c: float = 0.15
    serial_latency_s: float = 0.0084
    trains: bool = False
    pairs: bool = False


Effect = Callable[["Unit", bytes, float], bytes | Refusal]


def crc(body: bytes) -> int:
    """Complement of the byte sum (design note STIMULATOR section 1)."""
    return ~sum(body) & 0xFF


def sealed(body: bytes) -> bytes:
    """A body with its checksum."""
    return body + bytes([crc(body)])


def spoiled(reply: bytes) -> bytes:
    """The same bytes but for a wrong checksum."""
    return reply[:-1] + bytes([reply[-1] ^ 0x5A])
