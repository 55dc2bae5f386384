"""Owns the reading of a journal that is still being written: new whole records, each once, in order; owns no meaning of them."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from rtloop.errors import IntegrityProblem
from rtloop.model.event import Event
from rtloop.record.journal import NO_HASH

_PIECE = 1 << 20
_HASH = b',"hash":"'  # unescaped only as the key itself: the last one is the record's own
_HASH_BYTES = len(_HASH) + 64 + 1


class JournalTail:
    """Follows one journal from its first record; it never reads anything twice.

    Numbers, the link to the record before and each record's hash are checked (the hash over the bytes as they are, which is
    much cheaper than making the canonical text again).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._fd = -1
        self._rest = b""
        self._read, self._n, self._prev = 0, 0, NO_HASH
        self._problem: IntegrityProblem | None = None

    def take(self) -> list[Event]:
        """All new whole records; [] when there are none, or no journal yet. A torn last line waits for its end.

        Raises IntegrityProblem for a record that is missing, altered or unreadable, once everything before it was given,
        and from then on always.
        """
        if self._problem is not None:
            raise self._problem
        events: list[Event] = []
        try:
            for line in self._lines():
                events.append(self._event(line))
        except IntegrityProblem as err:
            self._problem = err
            if not events:
                raise
        return events

    @property
    def waits(self) -> bool:
        """Whether more was written than was read; cheap, and never raises."""
        try:
            return self._fd >= 0 and os.fstat(self._fd).st_size > self._read
        except OSError:
            return False

    def close(self) -> None:
        """Close the file; a second close does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._problem = self._problem or IntegrityProblem(f"the journal {self.path} is no longer followed")

    def _lines(self) -> list[bytes]:
        try:
            if self._fd < 0:
                self._fd = os.open(
                    self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
                )
            if os.fstat(self._fd).st_size < self._read:
                raise self._bad("was cut while it was followed", f"at least {self._read} bytes", "fewer")
            pieces = [self._rest]
            while piece := os.read(self._fd, _PIECE):
                self._read += len(piece)
                pieces.append(piece)
        except FileNotFoundError:
            return []
        except OSError as err:
            raise self._bad("cannot be read", "a readable file", str(err)) from err
        if len(pieces) == 1:
            return []
        *lines, self._rest = b"".join(pieces).split(b"\n")
        return lines

    def _event(self, line: bytes) -> Event:
        try:
            record: dict[str, Any] = json.loads(line)
            event = Event(**{k: record[k] for k in ("n", "t_s", "utc", "kind", "data")})
            n, prev, found = int(record["n"]), record["prev"], record["hash"]
        except (ValueError, KeyError, TypeError, RecursionError) as err:
            raise self._bad("holds a line that is no record", f"record {self._n}", str(err)) from err
        if n != self._n or prev != self._prev:
            raise self._bad("has a gap: a record is missing or altered", f"record {self._n}", f"record {n}")
        at = line.rfind(_HASH)
        if hashlib.sha256(line[:at] + line[at + _HASH_BYTES :]).hexdigest() != found:
            raise self._bad("was altered", f"record {n} as it was written", "a hash that does not fit")
        self._n, self._prev = n + 1, found
        return event

    def _bad(self, what: str, expected: str, found: str) -> IntegrityProblem:
        return IntegrityProblem(
            f"the journal {self.path} {what}", expected=expected, found=found,
            todo="what is shown ends before it; run rtloop verify on the session",
        )  # fmt: skip
