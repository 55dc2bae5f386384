"""Owns the state machine of a simulated unit on explicit time: bytes in, timed bytes and pulses out.

It owns no command (``hardware_sim.magstim``), no transport, thread or clock (``hardware_sim.line``).
Rules and replies: design note STIMULATOR section 1; where that note is silent, "our choice" says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from hardware_sim.faults import Fault, FaultKind, FaultSchedule

BYTE_S = 10 / 9600  # start bit, 8 data bits, stop bit at 9600 baud
PROCESSING_S = 0.001  # from the last byte of a command to the first bit of its reply (our choice)
PACKET_GAP_S = 0.05  # a packet interrupted for longer is forgotten (our choice)
SERIAL_LATENCY_S = 0.0084  # from the last byte of ``EH`` to the discharge, 200² (MagPy's published plot)
ARMING_S = 1.0
SELF_DISARM_S = 60.0
KEEP_ALIVE_ARMED_S = 1.0
KEEP_ALIVE_STANDBY_S = 10.0
RAMP_UP_S_PER_PCT = 0.010
RAMP_DOWN_S_PER_PCT = 0.100
HOT_C = 40.0
AMBIENT_C = 22.0
HEATING_C = 0.15  # rise by one pulse at 100 %, goes with the square of power (our choice)
COOLING_TAU_S = 600.0  # our choice
_EPS_S = 1e-6


class Refusal(Enum):
    """Second byte of a reply that says no."""

    BAD_DATA = b"?"
    CONFLICT = b"S"


@dataclass(frozen=True, kw_only=True)
class Discharge:
    """One pulse of the coil, on record as soon as it is inevitable: ``t_s`` may lie up to ~10 ms ahead."""

    t_s: float
    power_pct_mso: int


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


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command byte: its length on the line, the length of a good reply, and what it does.

    ``effect(unit, data, t_s)`` returns the reply's payload after the status byte, or a refusal.
    """

    data_bytes: int
    reply_bytes: int
    effect: Callable[[Unit, bytes, float], bytes | Refusal]
    status_after: bool = False  # the status byte shows the state after the command (Q and R only)


@dataclass(frozen=True, kw_only=True)
class Model:
    """What distinguishes one unit from another on the line."""

    name: str
    commands: Mapping[int, Command]  # by command byte
    max_power_pct_mso: int
    min_gap_s: Callable[[float], float]  # by % MSO


def crc(body: bytes) -> int:
    """Complement of the byte sum (design note STIMULATOR section 1)."""
    return ~sum(body) & 0xFF


class Unit:
    """A unit of some model. Methods take the instant; an earlier instant than the last counts as the last.

    Parameters
    ----------
    faults : counted from the first instant the unit is shown
    coil_temp_c : at the start
    on_discharge : called with (t_s, power_pct_mso) as soon as a pulse is inevitable, a few ms before ``t_s``
    ambient_c : what the coil cools towards
    power_pct_mso : setpoint at the start, reached
    check_crc : refuse packets with a wrong CRC as bad data
    """

    model: ClassVar[Model]

    def __init__(
        self,
        *,
        faults: Sequence[Fault] = (),
        coil_temp_c: float = AMBIENT_C,
        ambient_c: float = AMBIENT_C,
        on_discharge: Callable[[float, int], None] | None = None,
        check_crc: bool = True,
        arming_s: float = ARMING_S,
        serial_latency_s: float = SERIAL_LATENCY_S,
        power_pct_mso: int = 0,
    ) -> None:
        self.discharges: list[Discharge] = []
        self.packets: list[
            tuple[float, bytes]
        ] = []  # whole packets with a good CRC, and when they were whole
        self.history: list[tuple[float, str]] = []  # what the unit did by itself, in words
        self.rx_free_s = -math.inf  # when the last byte handed in has arrived
        self._faults = FaultSchedule(faults)
        self._on_discharge = on_discharge
        self._check_crc, self._arming_s, self._latency_s = check_crc, arming_s, serial_latency_s
        self._t_s = self._tx_free_s = self._last_byte_s = self._last_packet_s = -math.inf
        self._buffer = bytearray()
        self._unsent: list[tuple[float, bytes]] = []
        self._remote = False
        self._armed_s: float | None = None
        self.setpoint_pct_mso = power_pct_mso  # asked for; reached when the ramp is over
        self._ramp_from, self._ramp_start_s, self._ramp_end_s = float(power_pct_mso), -math.inf, -math.inf
        self._temp_c, self._ambient_c, self._temp_t_s = coil_temp_c, ambient_c, -math.inf

    # ---- what the line calls -------------------------------------------------------------------

    def receive(self, data: bytes, now_s: float) -> list[tuple[float, bytes]]:
        """Bytes put on the line at ``now_s``; returns replies and when the LAST byte of each has left."""
        out = self.tick(now_s)
        t_s = max(now_s, self.rx_free_s)
        for byte in data:
            t_s += BYTE_S
            out += self.tick(t_s)
            out += self._take(byte, t_s)
        self.rx_free_s = t_s
        return out

    def tick(self, now_s: float) -> list[tuple[float, bytes]]:
        """Let time pass; returns unsolicited bytes (only a fault sends any)."""
        if self._t_s == -math.inf:
            self._faults.begin(now_s)
            self._t_s = self._temp_t_s = self._last_packet_s = now_s
        now_s = max(now_s, self._t_s)
        out, self._unsent = self._unsent, []
        for t_s in [*self._faults.starts(self._t_s, now_s), now_s]:
            self._lapse(t_s)
            self._t_s = t_s
            self._forbid(t_s)
            for fault in self._faults.once(FaultKind.UNSOLICITED_BYTES, t_s):
                out += self._send(fault.data or b"", t_s)
        return out

    def unplugged(self, now_s: float) -> bool:
        """Whether the port has vanished."""
        return self._faults.active(FaultKind.UNPLUG, max(now_s, self._t_s)) is not None

    # ---- what tests and scenarios call -----------------------------------------------------------

    def inject(self, fault: Fault, now_s: float | None = None) -> None:
        """Add a fault live; its times count from ``now_s`` (None: the last instant the unit was shown)."""
        origin_s = self._t_s if now_s is None else now_s
        self._faults.add(fault, None if origin_s == -math.inf else origin_s)

    def clear(self, kind: FaultKind | None = None) -> None:
        """Take away the faults of one kind, or all."""
        self._faults.clear(kind)

    def state(self) -> UnitState:
        """Snapshot as of the last instant shown; changes nothing."""
        t_s = self._t_s
        return UnitState(
            t_s=t_s, instr=self._instr(t_s), remote=self._remote, armed=self._armed_s is not None,
            ready=self._ready(t_s), setpoint_pct_mso=self.setpoint_pct_mso, actual_pct_mso=self._actual(t_s),
            coil_temp_c=self.temperature_c(t_s),
        )  # fmt: skip

    def external_fire(
        self, now_s: float, *, power_pct_mso: int | None = None, needs_arming: bool = False
    ) -> Discharge | None:
        """A pulse by trigger input or front panel at ``now_s``, at the actual or the given power.

        Without ``needs_arming`` somebody at the panel is taken to have armed the unit. None when the unit
        could not: within the minimum gap, not ready though that was asked for, or no coil.
        """
        self._unsent += self.tick(now_s)
        t_s = self._t_s
        power = round(self._actual(t_s)) if power_pct_mso is None else power_pct_mso
        if self._faults.active(FaultKind.COIL_ABSENT, t_s) or (needs_arming and not self._ready(t_s)):
            return None
        if not t_s >= self._recharged_s(power) - _EPS_S:
            return None
        return self._discharge(t_s, power)

    # ---- the line ------------------------------------------------------------------------------

    def _take(self, byte: int, t_s: float) -> list[tuple[float, bytes]]:
        if self.unplugged(t_s):
            self._buffer.clear()
            return []
        if t_s - self._last_byte_s > PACKET_GAP_S:
            self._buffer.clear()
        self._last_byte_s = t_s
        self._buffer.append(byte)
        command = self.model.commands.get(self._buffer[0])
        if command is None:
            self._buffer.clear()
            return self._send(b"?", t_s)
        if len(self._buffer) < 2 + command.data_bytes:
            return []
        packet = bytes(self._buffer)
        self._buffer.clear()
        return self._obey(command, packet, t_s)

    def _obey(self, command: Command, packet: bytes, t_s: float) -> list[tuple[float, bytes]]:
        name, data = packet[:1], packet[1:-1]
        if self._check_crc and packet[-1] != crc(packet[:-1]):
            return self._send(_sealed(name + Refusal.BAD_DATA.value), t_s, packet)
        self.packets.append((t_s, packet))
        self._last_packet_s = t_s  # any whole packet keeps control alive, obeyed or not (our choice)
        if self._faults.strike(FaultKind.ANSWER_UNKNOWN, t_s, packet):
            return self._send(b"?", t_s, packet)
        if self._faults.strike(FaultKind.ANSWER_CONFLICT, t_s, packet):
            return self._send(_sealed(name + Refusal.CONFLICT.value), t_s, packet)
        before = self._instr(t_s)
        pulses = len(self.discharges)
        payload = command.effect(self, data, t_s)
        if isinstance(payload, Refusal):
            return self._send(_sealed(name + payload.value), t_s, packet)
        status = self._instr(t_s) if command.status_after else before
        reply = _sealed(name + bytes([status]) + payload)
        assert len(reply) == command.reply_bytes, (name, reply)
        fired = len(self.discharges) > pulses
        if fired and (fault := self._faults.strike(FaultKind.UNCERTAIN_FIRE, t_s, packet)):
            reply = _spoiled(reply) if fault.how == "bad_crc" else b""
        return self._send(reply, t_s, packet)

    def _send(self, reply: bytes, t_s: float, packet: bytes | None = None) -> list[tuple[float, bytes]]:
        """Put a reply on the line after the last one; faults of replies meet only answers to packets."""
        start_s = t_s + PROCESSING_S
        if packet is not None:
            if self._faults.strike(FaultKind.MUTE, t_s, packet):
                return []
            if self._faults.strike(FaultKind.BAD_CRC, t_s, packet):
                reply = _spoiled(reply)
            if fault := self._faults.strike(FaultKind.SHORT_REPLY, t_s, packet):
                reply = reply[: 1 if fault.n_bytes is None else fault.n_bytes]
            if fault := self._faults.strike(FaultKind.STRAY_BYTES, t_s, packet):
                reply = (fault.data or b"") + reply
            if fault := self._faults.strike(FaultKind.DELAYED_REPLY, t_s, packet):
                start_s += fault.delay_s or 0.0
        if not reply:
            return []
        self._tx_free_s = max(start_s, self._tx_free_s) + len(reply) * BYTE_S
        return [(self._tx_free_s, reply)]

    # ---- time ------------------------------------------------------------------------------------

    def _lapse(self, until_s: float) -> None:
        """Keep-alive and self-disarm, in the order in which they fall due."""
        while True:
            due: list[tuple[float, str]] = []
            if self._remote:
                limit_s = KEEP_ALIVE_STANDBY_S if self._armed_s is None else KEEP_ALIVE_ARMED_S
                due.append((self._last_packet_s + limit_s, "control lost: keep-alive missed"))
            if self._armed_s is not None:
                last_s = self.discharges[-1].t_s if self.discharges else -math.inf
                due.append((max(self._armed_s, last_s) + SELF_DISARM_S, "disarmed: no pulse for 60 s"))
            if not due or not min(due)[0] <= until_s:
                return
            t_s, words = min(due)
            self._disarm(t_s, words)
            if words.startswith("control"):
                self._remote = False

    def _forbid(self, t_s: float) -> None:
        """Fall back to standby where the unit's own protection says so."""
        once = self._faults.once(FaultKind.STANDBY_UNEXPECTEDLY, t_s)
        if self._armed_s is not None and (why := self._cannot_arm(t_s) or ("fault" if once else "")):
            self._disarm(t_s, f"disarmed: {why}")

    def _cannot_arm(self, t_s: float) -> str:
        if self._faults.active(FaultKind.COIL_ABSENT, t_s):
            return "no coil"
        if self._faults.active(FaultKind.ERROR_BIT, t_s):
            return "error"
        return "coil above 40 degrees C" if not self.temperature_c(t_s) <= HOT_C else ""

    def _disarm(self, t_s: float, words: str) -> None:
        self.history.append((t_s, words))
        self._armed_s = None

    def _cooled(self, t_s: float) -> float:
        """Newton's law of cooling since the last pulse."""
        since_s = 0.0 if self._temp_t_s == -math.inf else max(0.0, t_s - self._temp_t_s)
        return self._ambient_c + (self._temp_c - self._ambient_c) * math.exp(-since_s / COOLING_TAU_S)

    def _actual(self, t_s: float) -> float:
        if t_s >= self._ramp_end_s:
            return float(self.setpoint_pct_mso)
        share = (t_s - self._ramp_start_s) / (self._ramp_end_s - self._ramp_start_s)
        return self._ramp_from + (self.setpoint_pct_mso - self._ramp_from) * share

    def _recharged_s(self, power: float) -> float:
        """Earliest next discharge. The longer gap of the last and the coming power counts (our choice)."""
        if not self.discharges:
            return -math.inf
        last = self.discharges[-1]
        return last.t_s + max(self.model.min_gap_s(last.power_pct_mso), self.model.min_gap_s(power))

    def _ready(self, t_s: float) -> bool:
        """Ready is off, and armed on, while arming, ramping and recharging (our choice for the last)."""
        return (
            self._armed_s is not None
            and t_s >= self._armed_s + self._arming_s - _EPS_S
            and t_s >= self._ramp_end_s - _EPS_S
            and t_s + self._latency_s >= self._recharged_s(self.setpoint_pct_mso) - _EPS_S
            and not self._faults.active(FaultKind.STUCK_BUSY, t_s)
        )

    def _instr(self, t_s: float) -> int:
        armed, ready = self._armed_s is not None, self._ready(t_s)
        coil = not self._faults.active(FaultKind.COIL_ABSENT, t_s)
        replace = self._faults.active(FaultKind.REPLACE_COIL, t_s)
        error = self._faults.active(FaultKind.ERROR_BIT, t_s)
        fatal = error is not None and error.fatal
        bits = (not armed, armed and not ready, ready, coil, replace, error, fatal, self._remote)
        return sum(1 << i for i, bit in enumerate(bits) if bit)

    def _discharge(self, t_s: float, power: int) -> Discharge:
        pulse = Discharge(t_s=t_s, power_pct_mso=power)
        self._temp_c, self._temp_t_s = self._cooled(t_s) + HEATING_C * (power / 100) ** 2, t_s
        self.discharges.append(pulse)
        if self._on_discharge is not None:
            self._on_discharge(t_s, power)
        return pulse

    # ---- what commands do --------------------------------------------------------------------------

    def take_control(self) -> None:
        """Remote control on."""
        self._remote = True

    def release_control(self) -> None:
        """Disarm, remote control off."""
        self._armed_s, self._remote = None, False

    def arm(self, t_s: float) -> bool:
        """Start arming; False when not in standby, not under control, or the unit protects itself."""
        if not self._remote or self._armed_s is not None or self._cannot_arm(t_s):
            return False
        self._armed_s = t_s
        return True

    def disarm(self) -> None:
        """To standby, at once, from any state, with or without control."""
        self._armed_s = None

    def fire(self, t_s: float) -> bool:
        """Discharge ``serial_latency_s`` later; False when not ready or not under control."""
        if not self._remote or not self._ready(t_s):
            return False
        if not self._faults.strike(FaultKind.FIRE_WITHOUT_DISCHARGE, t_s, b"EH"):
            self._discharge(t_s + self._latency_s, round(self._actual(t_s)))
        return True

    def set_power(self, power_pct_mso: int, t_s: float) -> bool:
        """Start the ramp to a power; False when not under control."""
        if not self._remote:
            return False
        actual = self._actual(t_s)
        per_pct_s = RAMP_UP_S_PER_PCT if power_pct_mso > actual else RAMP_DOWN_S_PER_PCT
        self._ramp_from, self._ramp_start_s = actual, t_s
        self._ramp_end_s = t_s + abs(power_pct_mso - actual) * per_pct_s
        self.setpoint_pct_mso = power_pct_mso
        return True

    def temperature_c(self, t_s: float) -> float:
        """What the coil's sensor reads: the value of a hot-coil fault, else the coil's own."""
        fault = self._faults.active(FaultKind.HOT_COIL, t_s)
        return self._cooled(t_s) if fault is None else float(fault.temp_c or 0.0)


def _sealed(body: bytes) -> bytes:
    return body + bytes([crc(body)])


def _spoiled(reply: bytes) -> bytes:
    return reply[:-1] + bytes([reply[-1] ^ 0x5A])
