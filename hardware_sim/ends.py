"""Owns the ways in which bytes reach a simulated unit from another process: a loopback socket, a
pseudo-terminal.

It owns no pacing and no unit (``hardware_sim.line``).
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Protocol

from rtloop.errors import NotReady

#: more than the longest packet: a look that comes late never tears what a host has sent in one write
READ_BYTES = 32

if sys.platform != "win32":
    import pty
    import tty


class Endpoint(Protocol):
    """One way of carrying bytes to and from a host program. Calls never block."""

    port: str

    def watched(self) -> list[int]:
        """File descriptors to wait on for reading."""
        ...

    def accept(self) -> bool:
        """Let a host in, turn others away; True when the host has changed since the last call."""
        ...

    def read(self) -> bytes:
        """What the host has sent, at most READ_BYTES."""
        ...

    def write(self, data: bytes) -> None:
        """Bytes to the host; lost when there is none."""
        ...

    def events(self) -> list[str]:
        """What hosts have done since the last call: "open", "close", "crash"; empty where none can tell."""
        ...

    def open(self) -> None:
        """Be there (again); OSError when that is not possible now."""
        ...

    def close(self) -> None: ...


class SocketEnd:
    """One client at a time on a loopback port; others are turned away. The port's number stays."""

    def __init__(self) -> None:
        self._number = 0
        self._host: socket.socket | None = None
        self._events: list[str] = []
        self.open()
        self.port = f"socket://127.0.0.1:{self._number}"

    def open(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self._number))
        self._server.setblocking(False)
        self._number = self._server.getsockname()[1]

    def events(self) -> list[str]:
        out, self._events = self._events, []
        return out

    def watched(self) -> list[int]:
        return [self._server.fileno()] + ([] if self._host is None else [self._host.fileno()])

    def _busy(self) -> bool | None:
        """Whether a host is there; None when only reading what it has sent will tell."""
        if self._host is None:
            return False
        try:
            self._host.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            pass
        return None

    def accept(self) -> bool:
        busy = self._busy()
        try:
            if busy is None:
                return False
            host, _ = self._server.accept()
        except (BlockingIOError, InterruptedError):
            return False
        if busy:
            host.close()
            return False
        host.setblocking(False)
        host.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = host
        self._events.append("open")
        return True

    def read(self) -> bytes:
        if self._host is None:
            return b""
        try:
            data = self._host.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError:
            data = b""
            self._events.append("crash")
        else:
            self._events += [] if data else ["close"]
        if not data:
            self._host.close()
            self._host = None
        return data

    def write(self, data: bytes) -> None:
        if self._host is not None:
            try:
                self._host.send(data)
            except OSError:
                return  # nobody listens: on a serial line such bytes are lost too

    def close(self) -> None:
        self._server.close()
        if self._host is not None:
            self._host.close()
            self._host = None


class PtyEnd:
    """A pseudo-terminal; it may come back under another path, as adapters do."""

    def __init__(self) -> None:
        if sys.platform == "win32":
            raise NotReady("no pseudo-terminals on Windows", todo="use the socket line of the simulated unit")
        self.open()

    def open(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._closed = False

    def events(self) -> list[str]:
        return []  # a terminal cannot tell who holds it

    def watched(self) -> list[int]:
        return [self._master]

    def accept(self) -> bool:
        return False  # a terminal cannot tell who holds it; exclusive opening is the driver's duty

    def read(self) -> bytes:
        try:
            return os.read(self._master, READ_BYTES)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        try:
            os.write(self._master, data)
        except OSError:
            return

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._master)
            os.close(self._slave)
