"""Owns one command and its reply on the line, each within a deadline; owns no meaning of either.

It stands where MagPy has a child process behind two queues, which may wait for ever: one command in flight, the line
drained before each, so no reply is taken for another command's. One that may be the late reply to an earlier command of
the same letter says so (``late_s``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from magpy.magstim import calcCRC

from drivers.magstim.line import Line
from drivers.trouble import Cut, Garbled, LineTrouble, Lost, Refused, Silent
from rtloop.clock import Clock

REPLY_DEADLINE_S = 0.4
ARMED_REPLY_S = 0.25  # a unit that is armed and falls silent is an error within 0.5 s
LATE_S = 1.0  # a reply that has not come by then comes no more
_POLL_S = 0.001
_TAIL_S = 0.008  # after a lone "?": long enough at 9600 baud for a next byte that belongs to it
LONGEST_VERSION = 24  # bytes
_EA = b"EA" + bytes(calcCRC(b"EA"))


class Exchange:
    """Both of MagPy's queues at once: ``put`` writes a command and reads its reply, ``get`` hands it over."""

    def __init__(self, line: Line, clock: Clock, urgent: Callable[[], bool]) -> None:
        self._line, self._clock, self._urgent = line, clock, urgent
        self._reply: bytearray | None = None
        self.last = b""
        self.t_sent_s = self.t_reply_s = clock.now_s()
        self.not_after_s = math.inf  # no command is written then or later
        self.reply_s = REPLY_DEADLINE_S
        self.junk = 0  # bytes that nobody had asked for, dropped
        self.late_s = 0.0  # of the last reply: see ``Reply``
        self._owed: list[tuple[bytes, float]] = []  # first letter and instant of commands without a reply
        self._cuts = 0  # EA written since the line was quiet last
        self._part = b""  # what had come of a reply that EA interrupted

    def put(self, item: tuple[bytes | int | None, str | None, int | None]) -> None:
        """Write the command and read its reply within the deadline; raises LineTrouble."""
        message, receipt, n_bytes = item
        if not isinstance(message, bytes) or receipt is None or (n_bytes is None and message[:1] != b"N"):
            raise Refused(f"{item!r} is not a command with a receipt", written=False)
        self._reply, self.last, self._part = None, b"", b""
        try:
            waiting = self._line.in_waiting
            if waiting:
                self.junk += waiting
                self._line.reset_input_buffer()
        except OSError as err:
            raise Lost(f"the line is gone: {err}", written=False) from err
        if self._urgent():
            try:
                self.cut()
            except Lost as err:
                raise Lost(f"{message!r} not sent; {err}", written=False) from err
            raise Cut(f"{message!r} not sent: something more urgent came", written=False)
        late_s = self._clock.now_s() - self.not_after_s
        if not late_s < 0:
            raise LineTrouble(f"missed: {1e3 * late_s:.1f} ms after its deadline, not sent", written=False)
        self._write(message)
        self.t_sent_s = self._clock.now_s()
        self._owed.append((message[:1], self.t_sent_s))
        try:
            self._reply = self._receive(message, n_bytes)
        except Garbled:
            self._answered(message[:1])
            raise
        self.last = bytes(self._reply)
        self.t_reply_s = self._clock.now_s()
        self._answered(message[:1])

    def get(self) -> list[Any]:
        """MagPy's form of a reply: [0, bytes]."""
        if self._reply is None:
            raise Silent("no reply to hand over", written=False)
        reply, self._reply = self._reply, None
        return [0, reply]

    def _answered(self, letter: bytes) -> None:
        """A reply came: the oldest command of this letter that still waits for one may be the one it answers."""
        self._owed = [(of, t_s) for of, t_s in self._owed if self._clock.now_s() - t_s < LATE_S]
        oldest = next((i for i, (of, _) in enumerate(self._owed) if of == letter), None)
        self.late_s = 0.0 if oldest is None else self.t_sent_s - self._owed.pop(oldest)[1]

    def cut(self) -> None:
        """Write EA at once, whatever is in flight. Its reply is left to ``swallow``."""
        self._write(_EA)
        self._owed.append((_EA[:1], self._clock.now_s()))
        self._cuts += 1

    def swallow(
        self, *, quiet_s: float = 0.02, at_most_s: float = 0.1, answer_s: float = ARMED_REPLY_S
    ) -> bool:
        """Drop what still comes in, until each EA was answered (``answer_s``) and the line was quiet, or something is urgent.

        False: EA is on the line, and nothing came.
        """
        start_s, came = self._clock.now_s(), False
        got, self._part = self._part, b""
        cuts, self._cuts = self._cuts, 0
        asked = cuts > 0
        quiet_at_s, end_s = start_s + quiet_s, start_s + at_most_s + (answer_s if asked else 0.0)
        while not self._urgent():
            waits = cuts > 0 and got[-3:-2] != _EA[:1]
            now_s = self._clock.now_s()
            if not now_s < (start_s + answer_s if waits else min(end_s, quiet_at_s)):
                break
            if byte := self._byte():
                got, came = got + byte, True
                quiet_at_s = self._clock.now_s() + quiet_s
                if got[-3:-2] == _EA[:1] and _whole(got[-3:]):
                    if _whole(got[:-3]):  # of the command that EA interrupted
                        self._answered(got[:1])
                    self._answered(_EA[:1])
                    cuts, got = cuts - 1, b""
        return came or not asked

    def hear(self) -> None:
        """``swallow``, and Silent where nothing came after EA."""
        if not self.swallow():
            raise Silent("no word from the unit after EA", written=True)

    def _write(self, message: bytes) -> None:
        try:
            self._line.write(message)
        except OSError as err:
            raise Lost(f"the line failed while {message!r} was written: {err}", written=True) from err

    def _byte(self) -> bytes:
        """One byte, or none after a short wait."""
        before_s = self._clock.now_s()
        try:
            byte = self._line.read(1)
        except (OSError, TypeError) as err:  # pyserial: TypeError when the descriptor vanished under it
            raise Lost(f"the line failed while a reply was awaited: {err}", written=True) from err
        if not byte:
            self._clock.sleep_until(before_s + _POLL_S)
        return byte

    def _receive(self, message: bytes, n_bytes: int | None) -> bytearray:
        """Lengths as MagPy reads them: ``?`` is one byte, ``x?`` and ``xS`` three, else ``n_bytes``.

        None: a version, which ends with a zero byte and the check byte.
        """
        end_s = self._clock.now_s() + self.reply_s
        reply = bytearray()
        while len(reply) < _length(reply, n_bytes):
            if self._urgent():
                self._part = bytes(reply)
                self._cuts += message[:1] == _EA[:1]  # its reply looks like EA's, and comes first
                self.cut()
                raise Cut(f"the wait for the reply to {message!r} was cut short", written=True)
            late = not self._clock.now_s() < end_s
            byte = self._byte()
            if late and not byte:  # what has arrived while this process stood still is read
                raise Silent(
                    f"{len(reply)} of {n_bytes} bytes in reply to {message!r} within {self.reply_s} s",
                    written=True,
                )
            reply += byte
        if reply == b"?":
            end_s = self._clock.now_s() + _TAIL_S
            while self._clock.now_s() < end_s:
                if self._byte():
                    raise Garbled(f"a reply to {message!r} that begins with '?' and goes on", written=True)
        elif not _whole(reply):
            raise Garbled(f"wrong check byte in {bytes(reply)!r}, the reply to {message!r}", written=True)
        return reply


def _whole(reply: bytes | bytearray) -> bool:
    """Whether it ends with its own check byte."""
    return bytes(calcCRC(reply[:-1])) == reply[-1:]


def _length(reply: bytearray, n_bytes: int | None) -> int:
    if reply.startswith(b"?"):
        return 1
    if bytes(reply[1:2]) in (b"?", b"S"):
        return 3
    if n_bytes is not None:
        return n_bytes
    text = reply[2:]  # the byte after N may be a status byte of zero
    return min(LONGEST_VERSION, text.index(0) + 4) if 0 in text else LONGEST_VERSION
