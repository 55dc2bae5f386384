"""Owns the lines to a simulated unit: a loopback socket, a pseudo-terminal, and a stepped in-process port.

It owns no command and no state of the unit (``hardware_sim.unit``), and knows no driver. Replies become
visible byte by byte at 9600 baud, never earlier.
"""

from __future__ import annotations

import select
import socket
import threading
from collections import deque

import serial

from hardware_sim.ends import Endpoint, PtyEnd, SocketEnd
from hardware_sim.packet import BYTE_S
from hardware_sim.unit import Unit
from rtloop.clock import Clock, SteppedClock
from rtloop.errors import NotReady

TICK_S = 0.004  # longest time between two looks of the unit at the clock
STEP_S = 0.001
FOREVER_S = 60.0  # a stepped read without timeout gives up after this
_TRACE_LENGTH = 200_000


class Wire:
    """The unit's end of a line: paces replies, keeps the trace. Call it under ``lock`` from several threads.

    ``trace`` is (t_s, "in" or "out", bytes): "in" at the arrival of the last byte, "out" when visible.
    """

    def __init__(self, unit: Unit, clock: Clock) -> None:
        self.unit, self.clock = unit, clock
        self.lock = threading.RLock()
        self._due: deque[tuple[float, int]] = deque()
        self._trace: deque[tuple[float, str, bytes]] = deque(maxlen=_TRACE_LENGTH)

    @property
    def trace(self) -> list[tuple[float, str, bytes]]:
        """A copy of the line's history, the last 200 000 entries."""
        with self.lock:
            return list(self._trace)

    def host_sent(self, data: bytes, now_s: float) -> None:
        """Bytes from the host, put on the line at ``now_s``."""
        with self.lock:
            replies = self.unit.receive(data, now_s)
            self._trace.append((self.unit.rx_free_s, "in", data))
            self._schedule(replies)

    def visible(self, now_s: float) -> bytes:
        """Let the unit live until ``now_s``; the bytes that have arrived at the host since the last call."""
        with self.lock:
            self._schedule(self.unit.tick(now_s))
            out = bytearray()
            while self._due and self._due[0][0] <= now_s:
                out.append(self._due.popleft()[1])
            if out:
                self._trace.append((now_s, "out", bytes(out)))
            return bytes(out)

    def host_event(self, what: str, now_s: float) -> None:
        """See ``Unit.host_event``."""
        with self.lock:
            self.unit.host_event(what, now_s)

    def next_due_s(self) -> float | None:
        """When the next byte of a reply will be visible."""
        return self._due[0][0] if self._due else None

    def forget(self) -> None:
        """Drop replies that are under way."""
        with self.lock:
            self._due.clear()

    def _schedule(self, replies: list[tuple[float, bytes]]) -> None:
        for last_s, reply in replies:
            first_s = last_s - (len(reply) - 1) * BYTE_S
            self._due.extend((first_s + i * BYTE_S, byte) for i, byte in enumerate(reply))


class Line:
    """A unit on a line with a thread, on the wall clock. While its port is not there the unit lives on.

    ``port`` is the address; a pseudo-terminal may come back under another one.
    """

    def __init__(self, unit: Unit, clock: Clock, endpoint: Endpoint) -> None:
        self.unit, self.clock, self.port = unit, clock, endpoint.port
        self.wire = Wire(unit, clock)
        self.lock = self.wire.lock  # hold it to call the unit from another thread
        self._endpoint = endpoint
        self._ending = threading.Event()
        self._wake_out, self._wake_in = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"unit on {self.port}", daemon=False)
        self._closed = False

    @property
    def trace(self) -> list[tuple[float, str, bytes]]:
        """See ``Wire``."""
        return self.wire.trace

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """End within 1 s; may be called twice. Raises NotReady if the thread does not end."""
        if self._closed:
            return
        self._closed = True
        self._ending.set()
        self._wake_in.send(b"x")
        if self._thread.ident is not None:
            self._thread.join(1.0)
        if self._thread.is_alive():
            raise NotReady(
                "the simulated unit's line does not end", expected="an end within 1 s", found=self.port
            )
        self._endpoint.close()
        self._wake_in.close()
        self._wake_out.close()

    def _run(self) -> None:
        plugged = True
        while not self._ending.is_set():
            now_s = self.clock.now_s()
            arrived = self.wire.visible(now_s)
            if self.unit.unplugged(now_s) is plugged:
                plugged = self._replug(not plugged, now_s)
            watched = [self._wake_out.fileno()]
            if plugged:
                if arrived:
                    self._endpoint.write(arrived)
                # the next bytes wait in the port's buffer until the line is free: the unit never sees ahead
                if self.unit.rx_free_s <= now_s and (data := self._endpoint.read()):
                    self.wire.host_sent(data, self.clock.now_s())  # read after the bytes: never too early
                if self._endpoint.accept():
                    self.wire.forget()
                for what in self._endpoint.events():
                    self.wire.host_event(what, self.clock.now_s())
                if self.unit.rx_free_s <= now_s:
                    watched += self._endpoint.watched()
            wake_s = [now_s + TICK_S, self.wire.next_due_s(), self.unit.rx_free_s]
            until_s = min(t_s for t_s in wake_s if t_s is not None and t_s > now_s)
            select.select(watched, [], [], max(0.0, until_s - self.clock.now_s()))

    def _replug(self, plugged: bool, now_s: float) -> bool:
        """The port vanishes or is back; whether it is there now."""
        if not plugged:
            self._endpoint.close()
            self.wire.forget()
            self.wire.host_event("unplug", now_s)
            return False
        try:
            self._endpoint.open()
        except OSError:
            return False  # the next look tries again
        self.port = self._endpoint.port
        return True


class SocketLine(Line):
    """A unit behind a loopback port (``port`` is pyserial's ``socket://`` address). One client at a time."""

    def __init__(self, unit: Unit, clock: Clock) -> None:
        super().__init__(unit, clock, SocketEnd())


class PtyLine(Line):
    """A unit behind a pseudo-terminal (Linux, macOS); ``port`` is its path. It has no modem lines (RTS)."""

    def __init__(self, unit: Unit, clock: Clock) -> None:
        super().__init__(unit, clock, PtyEnd())


class SteppedLine:
    """A look-alike of an open serial port in this process, on a stepped clock, the unit at its other end.

    Reading moves the clock by 1 ms steps until the bytes are there or ``timeout`` is over (None: an error
    after 60 s). Raises serial.SerialException (an OSError) when closed or unplugged; after an unplug it is of no
    use until it has been closed and, once the port is back, opened again.
    """

    def __init__(self, unit: Unit, clock: SteppedClock, *, timeout: float | None = 0.4) -> None:
        self.unit, self.clock, self.timeout = unit, clock, timeout
        self.write_timeout: float | None = 0.3
        self.port = self.name = "stepped unit"
        self.is_open = True
        self.wire = Wire(unit, clock)
        self._input = bytearray()
        self._torn = False
        self._listening(clock.now_s())
        self.wire.host_event("open", clock.now_s())
        clock.listen(self._listening)

    @property
    def trace(self) -> list[tuple[float, str, bytes]]:
        """See ``Wire``."""
        return self.wire.trace

    def _listening(self, now_s: float) -> None:
        arrived = self.wire.visible(now_s)
        if self.unit.unplugged(now_s):
            self.wire.forget()
            if self.is_open and not self._torn:
                self._torn = True
                self.wire.host_event("unplug", now_s)
        elif self.is_open and not self._torn:
            self._input += arrived

    def _check(self) -> None:
        if not self.is_open:
            raise serial.PortNotOpenError
        if self._torn or self.unit.unplugged(self.clock.now_s()):
            raise serial.SerialException("the port of the simulated unit has vanished")

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        self._check()
        return len(self._input)

    def write(self, data: bytes) -> int:
        """Put bytes on the line; returns at once."""
        self._check()
        self.wire.host_sent(bytes(data), self.clock.now_s())
        return len(data)

    def flush(self) -> None:
        """Move the clock until everything written has left."""
        self._check()
        self.clock.sleep_until(self.unit.rx_free_s)

    def read(self, n: int = 1) -> bytes:
        """Up to ``n`` bytes, fewer when ``timeout`` is over."""
        self._check()
        limit_s = self.clock.now_s() + (FOREVER_S if self.timeout is None else self.timeout)
        while len(self._input) < n and self.clock.now_s() < limit_s:
            self.clock.sleep_until(min(limit_s, self.clock.now_s() + STEP_S))
            self._check()
        if self.timeout is None and len(self._input) < n:
            raise NotReady(
                "a read without timeout got nothing", expected=f"{n} bytes", found=bytes(self._input).hex()
            )
        out = bytes(self._input[:n])
        del self._input[:n]
        return out

    def reset_input_buffer(self) -> None:
        """Forget what has arrived (not what is still under way)."""
        self._check()
        self._input.clear()

    def open(self) -> None:
        """Open it again after ``close``; serial.SerialException while it is open, or not there."""
        if self.is_open:
            raise serial.SerialException("the port is already open")
        if self.unit.unplugged(self.clock.now_s()):
            raise serial.SerialException("the port of the simulated unit is not there")
        self._input.clear()
        self.wire.forget()
        self.is_open, self._torn = True, False
        self.wire.host_event("open", self.clock.now_s())

    def close(self) -> None:
        """The unit lives on."""
        if self.is_open:
            self.is_open = False
            self.wire.host_event("close", self.clock.now_s())
