"""Owns the private socket (or named pipe) and its frames: small JSON objects, never pickles; owns no meaning of them.

Who may connect is decided by the file system: mode 0600 in a folder of mode 0700 (Windows: a pipe of a random name, which
only the folder's address file tells). No further key: whoever can read that folder can also write the board.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import stat
import struct
import sys
import tempfile
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from rtloop.errors import NotReady

MAX_BYTES = 64 * 1024
#: a unix socket's path holds 108 bytes on Linux, 104 elsewhere
_PATH_BYTES = 100
_WRITE_S = 1.0  # a frame is sent, or its rest received, within so long, or the connection is over


class Frames:
    """One connection. ``take`` and ``give`` raise OSError or EOFError when it is over; every wait has a deadline."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.peer_pid = 0
        if sys.platform != "win32":
            with socket.socket(
                fileno=os.dup(connection.fileno())
            ) as twin:  # same socket, so the same options
                span = struct.pack("ll", int(_WRITE_S), 0)
                twin.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
                twin.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
                if hasattr(socket, "SO_PEERCRED"):
                    pid = twin.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                    self.peer_pid = int(struct.unpack("iii", pid)[0])

    def ready(self, timeout_s: float) -> bool:
        """Whether something (a frame, or the end) can be taken within ``timeout_s``."""
        return self._connection.poll(timeout_s)

    def take(self) -> dict[str, Any]:
        """The next frame; OSError for what is too long, no JSON object, or does not come whole."""
        try:
            got = json.loads(self._connection.recv_bytes(MAX_BYTES).decode())
        except (ValueError, RecursionError) as err:
            raise OSError(f"no JSON: {err}") from err
        if not isinstance(got, dict):
            raise OSError("a frame is no JSON object")
        return got

    def give(self, frame: dict[str, Any]) -> None:
        """Send a frame."""
        data = json.dumps(frame).encode()
        if len(data) > MAX_BYTES:
            raise OSError(f"a frame of {len(data)} bytes is too long")
        self._connection.send_bytes(data)

    def hang_up(self) -> None:
        """Wake whoever waits on this connection, in any thread: it is over."""
        if sys.platform != "win32":
            with (
                contextlib.suppress(OSError),
                socket.socket(fileno=os.dup(self._connection.fileno())) as twin,
            ):
                twin.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close; a second close does nothing."""
        with contextlib.suppress(OSError):
            self._connection.close()


class Door:
    """Where connections come in. ``path`` is the socket itself, or a file that tells where it is."""

    def __init__(self, path: Path) -> None:
        """NotReady when it cannot be opened, or the path is taken."""
        self.path, self._short = path, ""
        self._socket: socket.socket | None = None
        self._listener: Listener | None = None
        try:
            if path.exists():
                raise FileExistsError(17, "it exists already")
            if sys.platform == "win32":
                address = rf"\\.\pipe\rtloop-{secrets.token_hex(12)}"
                self._listener = Listener(address, family="AF_PIPE", backlog=8)
                self._leave(address)
                return
            address = str(path)
            if len(os.fsencode(address)) > _PATH_BYTES:
                self._short = tempfile.mkdtemp(prefix="rtloop-")  # mode 0700
                address = str(Path(self._short) / "link")
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.bind(address)
            os.chmod(address, 0o600)
            self._socket.listen(8)
            if self._short:
                self._leave(address)
        except OSError as err:
            self.close()
            raise NotReady(
                f"windows cannot be let in at {path}", expected="a new socket in the session's private folder",
                found=str(err), todo="the session can go on from the terminal",
            ) from err  # fmt: skip

    def _leave(self, address: str) -> None:
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump({"address": address}, file)

    def accept(self, timeout_s: float) -> Frames | None:
        """The next who comes in within ``timeout_s`` (Windows: whenever one comes); OSError when the door is closed."""
        if self._listener is not None:
            connection = self._listener.accept()
            return Frames(connection)
        if self._socket is None:
            raise OSError("closed")
        self._socket.settimeout(timeout_s)
        try:
            came, _ = self._socket.accept()
        except TimeoutError:
            return None
        came.setblocking(True)
        return Frames(Connection(came.detach()))

    def close(self) -> None:
        """Nobody comes in any more; what lies in the file system is removed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            with contextlib.suppress(OSError):
                self.path.unlink()
        if self._listener is not None:
            listener, self._listener = self._listener, None
            with contextlib.suppress(OSError):  # wakes the one who waits in accept
                Client(listener.address, family="AF_PIPE").close()
            listener.close()
            with contextlib.suppress(OSError):
                self.path.unlink()
        if self._short:
            shutil.rmtree(self._short, ignore_errors=True)
            self._short = ""


def dial(path: Path, timeout_s: float) -> Frames:
    """Connect within ``timeout_s``; OSError when nobody is there."""
    real = Path(os.path.realpath(path))  # the session folder holds a link, and its own path may be too long
    address = str(real)
    if stat.S_ISREG(os.stat(real).st_mode):
        try:
            address = str(json.loads(real.read_text(encoding="utf-8"))["address"])
        except (ValueError, KeyError, TypeError) as err:
            raise OSError(f"{path} tells no address: {err}") from err
    if sys.platform == "win32":
        return Frames(Client(address, family="AF_PIPE"))
    came = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        came.settimeout(timeout_s)
        came.connect(address)
        came.setblocking(True)
        return Frames(Connection(came.detach()))
    except OSError:
        came.close()
        raise
