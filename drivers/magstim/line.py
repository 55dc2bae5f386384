"""Owns the opening of a serial line by name, exclusively; owns no byte that goes over it.

A name is a serial device or pseudo-terminal (``COM3``, ``/dev/ttyUSB0``) or ``socket://host:port``.
``exclusive`` is ignored on sockets and advisory elsewhere, so the port's name is locked as well. A foreign
program that honours neither cannot be kept out. Opening a device may raise RTS for an instant in the
operating system, before pyserial can lower it: a trigger cable on RTS may fire, which is why lines are
opened only in SAFE.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, Protocol

import serial

from rtloop.errors import NotReady

READ_TIMEOUT_S = 0.002
WRITE_TIMEOUT_S = 0.3


class Line(Protocol):
    """The part of a pyserial port that the exchange uses."""

    @property
    def in_waiting(self) -> int: ...

    def read(self, size: int = 1, /) -> bytes:
        """At most ``size`` bytes; returns empty after a short timeout."""
        ...

    def write(self, data: bytes, /) -> int | None: ...

    def reset_input_buffer(self) -> None: ...

    def close(self) -> None: ...


class PortLock:
    """Ownership of a port's name among the programs of this project; ends with the process or ``release``."""

    def __init__(self, port: str) -> None:
        digest = hashlib.sha256(_canonical(port).encode()).hexdigest()[:16]
        self.path = Path(tempfile.gettempdir()) / f"rtloop-port-{digest}.lock"
        self._file: IO[Any] | None = None
        self._port = port

    def take(self) -> None:
        """Own the name, or NotReady naming the owner."""
        try:
            file = _opened(self.path)
        except OSError as err:
            raise NotReady(
                f"cannot tell who owns port {self._port}", expected=f"a lock file {self.path}",
                found=str(err), todo="let every user of this computer read that file",
            ) from err  # fmt: skip
        try:
            _lock(file)
        except OSError as err:
            owner = _owner(file)
            file.close()
            raise NotReady(
                f"port {self._port} already owned by {owner}", expected="one owner of the unit",
                found=str(self.path), todo="end the other session; a unit has one owner",
            ) from err  # fmt: skip
        self._file = file
        self._sign(str(os.getpid()))

    def release(self) -> None:
        """Give the name back; the file stays (removing it would let two owners in)."""
        if self._file is not None:
            self._sign("")
            self._file.close()
            self._file = None

    def _sign(self, owner: str) -> None:
        if self._file is not None and self._file.writable():  # else another user's file: only locked
            self._file.truncate(0)
            self._file.seek(0)
            self._file.write(owner.encode())


def _opened(path: Path) -> IO[Any]:
    """The lock file, made where there is none; only to be read where another user made it. OSError."""
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
    except PermissionError:
        return open(path, "rb", buffering=0)
    if hasattr(os, "fchmod") and os.fstat(file.fileno()).st_uid == os.geteuid():
        os.fchmod(file.fileno(), 0o644)  # whatever the umask
    return file


def _canonical(port: str) -> str:
    if "://" in port:
        return port.lower().replace("//localhost:", "//127.0.0.1:")
    return port.upper() if sys.platform == "win32" else os.path.realpath(port)


def _owner(file: IO[Any]) -> str:
    try:
        file.seek(0)
        text = file.read(32).decode("ascii", "replace").strip()
    except OSError:  # Windows does not let others read a locked byte
        text = ""
    return f"process {text}" if text else "another process"


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[Any]) -> None:
        file.seek(1024)  # past the pid, so that others can read it
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[Any]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


class OwnedLine:
    """An open port together with the ownership of its name."""

    def __init__(self, port: str) -> None:
        self._lock = PortLock(port)
        self._lock.take()
        try:
            self._port = _open(port)
        except BaseException:
            self._lock.release()
            raise

    @property
    def in_waiting(self) -> int:
        return int(self._port.in_waiting)

    def read(self, size: int = 1, /) -> bytes:
        return bytes(self._port.read(size))

    def write(self, data: bytes, /) -> int | None:
        return self._port.write(data)

    def reset_input_buffer(self) -> None:
        self._port.reset_input_buffer()

    def close(self) -> None:
        try:
            self._port.close()
        except OSError:
            pass  # a port that vanished is closed
        finally:
            self._lock.release()


def _open(port: str) -> serial.Serial:
    settings: dict[str, Any] = {
        "baudrate": 9600, "bytesize": serial.EIGHTBITS, "parity": serial.PARITY_NONE,
        "stopbits": serial.STOPBITS_ONE, "xonxoff": False, "timeout": READ_TIMEOUT_S,
        "write_timeout": WRITE_TIMEOUT_S,
    }  # fmt: skip
    try:
        if "://" in port:
            remote = serial.serial_for_url(port, **settings)
            _send_at_once(remote)
            return remote  # type: ignore[no-any-return, unused-ignore]
        device = serial.Serial(exclusive=None if sys.platform == "win32" else True, **settings)
        device.dtr = device.rts = False  # both stay low; pyserial tolerates lines without them (ENOTTY)
        device.port = port
        device.open()
        return device
    except (OSError, ValueError) as err:  # SerialException is an OSError
        raise NotReady(
            f"cannot open port {port}", found=str(err),
            expected="a serial device, or socket://host:port, that nobody has open",
            todo="check the cable, the port's name in the site file, and your right to use it",
        ) from err  # fmt: skip


def _send_at_once(remote: Any) -> None:
    """pyserial leaves Nagle's algorithm on: EA behind an unanswered command would wait 40 ms for its ACK."""
    connection = getattr(remote, "_socket", None)
    if isinstance(connection, socket.socket):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
