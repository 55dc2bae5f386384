"""Owns the journal: append-only, numbered without gaps, hash-chained JSON lines; owns no meaning of any
event.

Each line is canonical JSON of ``{data, hash, kind, n, prev, t_s, utc}``; ``hash`` is the SHA-256 of the
same object
without ``hash``, ``prev`` the hash of the line before. A chain does not notice a cut tail: the head hash is
printed on
the report and written into the first record of the next session.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtloop import __version__
from rtloop.clock import WALL, Clock
from rtloop.durable import canonical, create_append_only, digest, sync_data, write_all
from rtloop.errors import IntegrityProblem, NotReady, ValidationProblem
from rtloop.model.event import EVENT_SCHEMA, Event
from rtloop.record.folder import SessionFolder
from rtloop.record.kinds import JOURNAL_OPENED

#: form of the line itself; EVENT_SCHEMA is the form of ``data``
JOURNAL_SCHEMA = 1
NO_HASH = "0" * 64
_FIELDS = {"data", "hash", "kind", "n", "prev", "t_s", "utc"}


def _plain(value: Any, where: str) -> Any:
    """A copy of ``value`` made of what JSON gives back, or ValidationProblem naming the place."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValidationProblem(
                f"the event field {where} is {value}",
                expected="a finite number, or None where there is none",
                todo="the producer turns NaN into None (Estimate.to_dict does)",
            )  # fmt: skip
        return float(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValidationProblem(
                    f"the event field {where} has the key {key!r}", expected="keys are strings"
                )
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise ValidationProblem(
        f"the event field {where} cannot be kept",
        expected="str, int, float, bool, None, lists and mappings of these",
        found=type(value).__name__, todo="arrays go by reference (first sample, count)",
    )  # fmt: skip


def _sealed(record: Mapping[str, Any]) -> tuple[str, bytes]:
    """(hash, line) of a record without hash: as ``digest`` and ``canonical`` would make them, ``data`` encoded
    once."""
    data = b'{"data":' + canonical(record["data"])
    rest = b"," + canonical({k: v for k, v in record.items() if k != "data"})[1:]
    head = hashlib.sha256(data + rest).hexdigest()
    return head, data + b',"hash":"' + head.encode() + b'"' + rest + b"\n"


class Journal:
    """The journal of one run. ``append`` may be called from any thread; a journal that failed stays
    failed."""

    def __init__(
        self,
        path: str | Path,
        *,
        run_id: str,
        plan_sha: str = "",
        clock: Clock = WALL,
        lock_deadline_s: float = 1.0,
        header: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a new file (mode 0600, never an existing one) and write its first record, durable at return.

        ``header`` is added to the first record. Raises IntegrityProblem when the file cannot be made or
        written.
        """
        self.path = Path(path)
        self._clock, self._deadline_s = clock, lock_deadline_s
        self._lock = threading.Lock()
        self._n, self._head, self._size, self._failed = 0, NO_HASH, 0, ""
        try:
            self._fd = create_append_only(self.path)
        except OSError as err:
            raise IntegrityProblem(
                f"cannot make the journal {self.path}", expected="a new file in a writable folder",
                found=str(err),
                todo="check rights, free space and that no session with this name exists",
            ) from err  # fmt: skip
        previous = previous_head(self.path)
        data = {
            "journal_schema": JOURNAL_SCHEMA,
            "event_schema": EVENT_SCHEMA,
            "software_version": __version__,
            "run_id": run_id,
            "plan_sha256": plan_sha,
            "previous_session": previous[0] if previous else None,
            "previous_head": previous[1] if previous else None,
        }
        try:
            self.append(JOURNAL_OPENED, {**(header or {}), **data}, sync=True)
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def head_hash(self) -> str:
        """Hash of the last record."""
        return self._head

    @property
    def size_bytes(self) -> int:
        """Bytes of all complete records."""
        return self._size

    @property
    def count(self) -> int:
        """Records so far; the number of the next one."""
        return self._n

    def append(self, kind: str, data: Mapping[str, Any] | None = None, *, sync: bool = False) -> Event:
        """Write one record; at return it survives the death of this process, with ``sync`` also a power cut.

        Raises ValidationProblem for data JSON cannot keep (nothing is written), IntegrityProblem when the
        record
        could not be written or synced: then every later append is refused too.
        """
        kept = _plain(data or {}, "data")
        if not self._lock.acquire(timeout=self._deadline_s):
            raise NotReady(
                "the journal is busy", expected=f"its turn within {self._deadline_s:g} s",
                found="another thread still writes", todo="the disk does not keep up: stop and check it",
            )  # fmt: skip
        try:
            self._refuse_if_failed()
            record = {
                "n": self._n, "t_s": self._clock.now_s(), "utc": self._clock.utc(), "kind": kind,
                "data": kept,
                "prev": self._head,
            }  # fmt: skip
            try:
                head, line = _sealed(record)
            except UnicodeEncodeError as err:
                raise ValidationProblem(
                    "the event holds text that is not valid Unicode", found=str(err)
                ) from err
            try:
                write_all(self._fd, line)
            except OSError as err:
                raise self._fail("cannot be written", err) from err
            self._n, self._head, self._size = self._n + 1, head, self._size + len(line)
            event = Event(n=record["n"], t_s=record["t_s"], utc=record["utc"], kind=kind, data=kept)
        finally:
            self._lock.release()
        if sync:
            self.sync()
        return event

    def sync(self) -> None:
        """Make every record so far survive a power cut; IntegrityProblem when the disk refuses."""
        self._refuse_if_failed()
        try:
            sync_data(self._fd)
        except OSError as err:
            raise self._fail("cannot be made durable", err) from err

    def close(self) -> None:
        """Sync and close; a second close does nothing."""
        if self._fd < 0:
            return
        try:
            if not self._failed:
                self.sync()
        finally:
            os.close(self._fd)
            self._fd, self._failed = -1, self._failed or "it is closed"

    def _refuse_if_failed(self) -> None:
        if self._failed:
            raise IntegrityProblem(f"the journal {self.path} takes no more records", found=self._failed)

    def _fail(self, what: str, err: OSError) -> IntegrityProblem:
        self._failed = f"{what}: {err}"
        return IntegrityProblem(
            f"the journal {self.path} {what}", expected="a disk with space that accepts writes",
            found=str(err),
            todo="free space or choose another data directory; the session cannot go on without its journal",
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class JournalRead:
    """What a journal holds. ``problems`` empty means: every record whole, numbered, and linked to the one
    before."""

    events: tuple[Event, ...]
    head_hash: str
    torn_tail_bytes: int  # after the last line end: a record that was being written when the writer died
    problems: tuple[str, ...]
    hashes: tuple[str, ...] = ()
    size_bytes: int = 0  # of the complete lines

    @property
    def header(self) -> Mapping[str, Any]:
        """Data of the first record; empty when it is missing."""
        return self.events[0].data if self.events and self.events[0].kind == JOURNAL_OPENED else {}


def read_journal(path: str | Path) -> JournalRead:
    """Read and check a journal; only a torn last line is forgiven. IntegrityProblem when it cannot be read
    at all."""
    try:
        raw = Path(path).read_bytes()
    except OSError as err:
        raise IntegrityProblem(f"cannot read the journal {path}", found=str(err)) from err
    *lines, tail = raw.split(b"\n")
    events: list[Event] = []
    hashes: list[str] = []
    problems: list[str] = []
    expected_n, prev = 0, NO_HASH
    for number, line in enumerate(lines, start=1):
        try:
            record = _record(line)
        except (ValueError, RecursionError) as err:
            problems.append(f"line {number} is not a journal record: {err}")
            expected_n, prev = expected_n + 1, ""
            continue
        if record["n"] != expected_n:
            problems.append(f"line {number} has the number {record['n']}, expected {expected_n}")
        if record["prev"] != prev and prev:
            problems.append(
                f"line {number} (n {record['n']}) does not follow the record before it: chain broken"
            )
        if record["hash"] != digest(record, but="hash"):
            problems.append(f"line {number} (n {record['n']}) was altered: its hash does not fit its content")
        if canonical(record) != line:
            problems.append(f"line {number} (n {record['n']}) was altered: it is not in canonical form")
        expected_n, prev = record["n"] + 1, record["hash"]
        hashes.append(prev)
        events.append(Event(**{k: record[k] for k in ("n", "t_s", "utc", "kind", "data")}))
    if not events:
        problems.append("the journal holds no complete record")
    elif events[0].kind != JOURNAL_OPENED:
        problems.append(f"the first record is {events[0].kind!r}, expected {JOURNAL_OPENED!r}")
    return JournalRead(
        events=tuple(events), head_hash=hashes[-1] if hashes else NO_HASH, torn_tail_bytes=len(tail),
        problems=tuple(problems), hashes=tuple(hashes), size_bytes=len(raw) - len(tail),
    )  # fmt: skip


def _record(line: bytes) -> dict[str, Any]:
    record = json.loads(line.decode())
    if not isinstance(record, dict) or set(record) != _FIELDS:
        raise ValueError(f"expected the fields {', '.join(sorted(_FIELDS))}")
    types = {"n": int, "t_s": float, "utc": str, "kind": str, "data": dict, "prev": str, "hash": str}
    for name, kind in types.items():
        if type(record[name]) is not kind:
            raise ValueError(f"{name} is {type(record[name]).__name__}, expected {kind.__name__}")
    canonical(record)  # ValueError for NaN, inf and broken Unicode
    return record


def previous_head(path: Path) -> tuple[str, str] | None:
    """(folder name, hash of the last complete record) of the newest earlier session beside this one, or
    None."""
    own = SessionFolder(path=path.resolve().parent)
    if not own.looks_like_one:
        return None
    for folder in reversed(SessionFolder.all_in(own.path.parent)):
        if folder.path.name < own.path.name and folder.journal.is_file():
            lines = folder.journal.read_bytes().split(b"\n")[:-1]
            if lines:
                try:
                    return folder.path.name, str(_record(lines[-1])["hash"])
                except ValueError:
                    return folder.path.name, "unreadable"
    return None
