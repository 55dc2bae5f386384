"""Owns the record of every byte on a line, for commissioning; owns no meaning of any.

A JSONL file: one object for each write and each read that brought bytes, with its instant; the last line has
``"end": true`` and the counts, so that a file without it is known to be cut off. It holds whatever was sent, an
unlock code too. A file that cannot be written never stands in the way of a byte: the recording ends, the line goes on.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from drivers.magstim.line import Line
from rtloop.clock import Clock
from rtloop.errors import NotReady


class RecordingLine:
    """A line whose traffic is written to a new file, flushed after each entry. Same interface as the line."""

    def __init__(self, line: Line, path: str | Path, clock: Clock) -> None:
        self._line, self._clock = line, clock
        self.trouble = ""  # why the recording ended early
        self._sent = self._received = 0
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as err:
            raise NotReady(
                f"cannot write the transcript {path}", expected="a new file", found=str(err),
                todo="name a file that does not exist yet, in a folder that does",
            ) from err  # fmt: skip
        self._file = os.fdopen(fd, "w", encoding="utf-8")

    @property
    def in_waiting(self) -> int:
        return self._line.in_waiting

    def read(self, size: int = 1, /) -> bytes:
        data = self._line.read(size)
        if data:
            self._received += len(data)
            self._note({"received": data.hex()})
        return data

    def write(self, data: bytes, /) -> int | None:
        try:
            written = self._line.write(data)
        except OSError as err:
            self._note({"write_failed": str(err), "wanted": data.hex()})
            raise
        self._sent += len(data)
        self._note({"sent": data.hex()})
        return written

    def reset_input_buffer(self) -> None:
        dropped = self._line.in_waiting
        if dropped:
            data = self._line.read(dropped)
            self._received += len(data)
            self._note({"dropped": data.hex()})
        self._line.reset_input_buffer()

    def close(self) -> None:
        self._note({"end": True, "bytes_sent": self._sent, "bytes_received": self._received})
        try:
            self._file.close()
        except OSError as err:
            self.trouble = self.trouble or str(err)
        self._line.close()

    def _note(self, what: dict[str, object]) -> None:
        if self.trouble or self._file.closed:
            return
        try:
            self._file.write(json.dumps({"t_s": round(self._clock.now_s(), 6), **what}) + "\n")
            self._file.flush()
        except OSError as err:
            self.trouble = str(err)
