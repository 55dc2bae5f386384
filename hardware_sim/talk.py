"""Owns how a simulated unit listens and answers: packets out of bytes, timed replies, the faults of replies.

It owns no command and no state of the unit (``hardware_sim.unit``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hardware_sim.faults import FaultKind, FaultSchedule
from hardware_sim.packet import BYTE_S, Command, Refusal, crc, sealed, spoiled

if TYPE_CHECKING:
    from hardware_sim.unit import Unit

PROCESSING_S = 0.001  # from the last byte of a command to the first bit of its reply (our choice)
PACKET_GAP_S = 0.05  # a packet interrupted for longer is forgotten (our choice)


class Talk:
    """The unit's side of the line. ``packets``: whole ones with a good CRC, and when they were whole."""

    def __init__(self, unit: Unit, faults: FaultSchedule, *, check_crc: bool) -> None:
        self.packets: list[tuple[float, bytes]] = []
        self.last_packet_s = -math.inf
        self._unit, self._faults, self._check_crc = unit, faults, check_crc
        self._last_byte_s = self._tx_free_s = -math.inf
        self._buffer = bytearray()

    def take(self, byte: int, t_s: float) -> list[tuple[float, bytes]]:
        """One byte that has arrived; the reply when it completes a packet, with the end of its last byte."""
        if self._unit.unplugged(t_s):
            self._buffer.clear()
            return []
        if t_s - self._last_byte_s > PACKET_GAP_S:
            self._buffer.clear()
        self._last_byte_s = t_s
        self._buffer.append(byte)
        command = self._unit.commands.get(self._buffer[0])
        if command is None:
            self._buffer.clear()
            return self.send(b"?", t_s)
        if len(self._buffer) < self._unit.packet_bytes(command, bytes(self._buffer)):
            return []
        packet = bytes(self._buffer)
        self._buffer.clear()
        return self._obey(command, packet, t_s)

    def _obey(self, command: Command, packet: bytes, t_s: float) -> list[tuple[float, bytes]]:
        name, data = packet[:1], packet[1:-1]
        if self._check_crc and packet[-1] != crc(packet[:-1]):
            return self.send(sealed(name + Refusal.BAD_DATA.value), t_s, packet)
        self.packets.append((t_s, packet))
        self.last_packet_s = t_s  # any whole packet keeps control alive, obeyed or not (our choice)
        if self._faults.strike(FaultKind.ANSWER_UNKNOWN, t_s, packet):
            return self.send(b"?", t_s, packet)
        if self._faults.strike(FaultKind.ANSWER_CONFLICT, t_s, packet):
            return self.send(sealed(name + Refusal.CONFLICT.value), t_s, packet)
        before = self._unit.instr(t_s)
        pulses = len(self._unit.discharges)
        payload = command.effect(self._unit, data, t_s)
        if payload is Refusal.SILENT:
            return []
        if isinstance(payload, Refusal):
            return self.send(sealed(name + payload.value), t_s, packet)
        status = self._unit.instr(t_s) if command.status_after else before
        reply = sealed(name + bytes([status]) + payload)
        assert command.reply_bytes in (0, len(reply)), (name, reply)
        fired = len(self._unit.discharges) > pulses
        if fired and (fault := self._faults.strike(FaultKind.UNCERTAIN_FIRE, t_s, packet)):
            reply = spoiled(reply) if fault.how == "bad_crc" else b""
        return self.send(reply, t_s, packet)

    def send(self, reply: bytes, t_s: float, packet: bytes | None = None) -> list[tuple[float, bytes]]:
        """Put a reply on the line after the last one; faults of replies meet only answers to packets."""
        start_s, out = t_s + PROCESSING_S, []  # type: float, list[tuple[float, bytes]]
        if packet is not None:
            if self._faults.strike(FaultKind.MUTE, t_s, packet):
                return []
            if self._faults.strike(FaultKind.BAD_CRC, t_s, packet):
                reply = spoiled(reply)
            if fault := self._faults.strike(FaultKind.SHORT_REPLY, t_s, packet):
                reply = reply[: 1 if fault.n_bytes is None else fault.n_bytes]
            if fault := self._faults.strike(FaultKind.STRAY_BYTES, t_s, packet):
                if fault.delay_s is None:
                    reply = (fault.data or b"") + reply
                else:
                    out, start_s = self.send(fault.data or b"", t_s), start_s + fault.delay_s
            if fault := self._faults.strike(FaultKind.DELAYED_REPLY, t_s, packet):
                start_s += fault.delay_s or 0.0
        if not reply:
            return out
        self._tx_free_s = max(start_s, self._tx_free_s) + len(reply) * BYTE_S
        return [*out, (self._tx_free_s, reply)]
