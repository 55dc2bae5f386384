"""Owns the lock of a participant after an emergency: a durable file in the data folder, appended to, never rewritten.

It owns neither STOP nor a session. Each record carries the SHA-256 of every byte before it, so a change of what was written is
found. A file that is damaged locks everybody until a named person vouches for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtloop.clock import WALL, Clock
from rtloop.errors import IntegrityProblem, UsageProblem

if os.name == "posix":
    import fcntl

FILE = "locks.jsonl"
LOCKED, UNLOCKED, VOUCHED = "locked", "unlocked", "vouched"
UNLOCK = "a named person unlocks: rtloop unlock --person NAME --reason WORDS --participant CODE"
_FIELDS = {
    LOCKED: ("participant", "words"),
    UNLOCKED: ("participant", "person", "reason"),
    VOUCHED: ("person", "reason"),
}
_MOST_CHARS = 500


@dataclass(frozen=True, kw_only=True)
class Locks:
    """What the file says. ``locked``: participant -> the record that locked; ``damage``: why everybody is locked, or ""."""

    locked: Mapping[str, Mapping[str, Any]]
    history: tuple[Mapping[str, Any], ...] = ()
    damage: str = ""

    def why(self, participant: str) -> str:
        """Why nothing may be armed for this participant; empty when nothing locks."""
        if self.damage:
            return f"{self.damage}: nobody in this data folder may be stimulated until a person looked at it"
        row = self.locked.get(participant)
        if row is None:
            return ""
        by = f" in session {row['session']}" if row.get("session") else ""
        return f"{participant} is locked since {row['utc']} after an emergency{by} ({row['words']}); {UNLOCK}"


def read_locks(data_dir: str | Path) -> Locks:
    """The locks of a data folder. Never raises: what cannot be read locks everybody."""
    path = Path(data_dir) / FILE
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):  # no data folder yet, or none at all: told elsewhere
        return Locks(locked={})
    except OSError as err:
        return Locks(locked={}, damage=f"{path} cannot be read ({err})")
    return _fold(data, path)


class Watch:
    """The lock of one participant, looked at again and again: the file is read anew only when it changed."""

    def __init__(self, data_dir: str | Path, participant: str) -> None:
        self._path, self._participant = Path(data_dir) / FILE, participant
        self._known: tuple[int, int, int] | None = None
        self._why = ""

    def why(self) -> str:
        """As ``Locks.why``."""
        try:
            stat = self._path.stat()
            now = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            now = (0, 0, 0)
        if now != self._known or now == (0, 0, 0):
            self._why = read_locks(self._path.parent).why(self._participant)
            self._known = now
        return self._why


def lock(
    data_dir: str | Path, participant: str, *, words: str, session: str = "", clock: Clock = WALL
) -> Mapping[str, Any]:
    """Lock a participant: on disk when this returns. A locked one is locked again: each emergency is a record.

    IntegrityProblem when it cannot be written; UsageProblem for an empty participant.
    """
    _worded(participant=participant)
    return _append(
        data_dir, LOCKED, clock, participant=participant, session=session, words=words[:_MOST_CHARS]
    )


def unlock(
    data_dir: str | Path, participant: str, *, person: str, reason: str, clock: Clock = WALL
) -> Mapping[str, Any]:
    """A named person lifts the lock, with a reason; the history stays. UsageProblem: nothing is locked, or a word is missing."""
    _worded(participant=participant, person=person, reason=reason)
    locks = read_locks(data_dir)
    if participant not in locks.locked:
        raise UsageProblem(
            f"{participant} is not locked in {data_dir}", expected=", ".join(sorted(locks.locked)) or "nobody is locked",
            found=locks.damage or participant, todo="name the participant and the data folder that are locked",
        )  # fmt: skip
    return _append(data_dir, UNLOCKED, clock, participant=participant, person=person, reason=reason)


def vouch(data_dir: str | Path, *, person: str, reason: str, clock: Clock = WALL) -> Mapping[str, Any]:
    """A named person has looked at a damaged file: it no longer locks everybody; who is locked in what is whole stays so."""
    _worded(person=person, reason=reason)
    if not read_locks(data_dir).damage:
        raise UsageProblem(
            f"the locks of {data_dir} are not damaged", todo="unlock the participant that is locked"
        )
    return _append(data_dir, VOUCHED, clock, person=person, reason=reason)


def _worded(**named: str) -> None:
    wrong = [
        name for name, text in named.items() if not text.strip() or len(text) > _MOST_CHARS or "\n" in text
    ]
    if wrong:
        raise UsageProblem(
            f"{', '.join(wrong)} cannot be used", expected=f"one line of words, at most {_MOST_CHARS} characters",
            found=", ".join(repr(named[name][:60]) for name in wrong), todo="say who and why",
        )  # fmt: skip


def _fold(data: bytes, path: Path) -> Locks:
    locked: dict[str, Mapping[str, Any]] = {}
    history: list[Mapping[str, Any]] = []
    damage, at = "", 0
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        row = _record(line, hashlib.sha256(data[:at]).hexdigest())
        at += len(line)
        if row is None:
            damage = f"line {number} of {path} is damaged"
            continue
        history.append(row)
        match row["kind"]:
            case "locked":
                locked[row["participant"]] = row
            case "unlocked":
                locked.pop(row["participant"], None)
            case "vouched":
                damage = ""
    return Locks(locked=locked, history=tuple(history), damage=damage)


def _record(line: bytes, before: str) -> Mapping[str, Any] | None:
    """The record of a line; None where it is torn, not ours, or does not stand on the bytes before it."""
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    if not isinstance(row, dict) or row.get("before") != before or row.get("kind") not in _FIELDS:
        return None
    whole = all(isinstance(row.get(name), str) for name in ("utc", *_FIELDS[row["kind"]]))
    return row if whole and row.get("sha256") == _sha(row) else None


def _sha(row: Mapping[str, Any]) -> str:
    """Of the record itself: the last line, which nothing stands on yet, is protected too."""
    rest = {name: value for name, value in row.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _append(data_dir: str | Path, kind: str, clock: Clock, **fields: str) -> Mapping[str, Any]:
    path = Path(data_dir) / FILE
    try:
        with _open(path) as fd:
            data = path.read_bytes()
            torn = (
                b"\n" if data and not data.endswith(b"\n") else b""
            )  # what a crash cut off stays, on a line of its own
            row = {
                "kind": kind,
                "utc": clock.utc(),
                **fields,
                "before": hashlib.sha256(data + torn).hexdigest(),
            }
            row["sha256"] = _sha(row)
            line = torn + json.dumps(row).encode() + b"\n"
            done = os.write(fd, line)
            while done < len(line):
                done += os.write(fd, memoryview(line)[done:])
            os.fsync(fd)
        _sync_folder(path.parent)
    except OSError as err:
        raise IntegrityProblem(
            f"the lock cannot be written into {path}", expected="a writable data folder", found=str(err),
            todo="do not stimulate this participant; free the disk or check its rights, then lock again",
        ) from err  # fmt: skip
    return row


@contextlib.contextmanager
def _open(path: Path) -> Iterator[int]:
    """The file for appending, by one process at a time (where the system knows such locks)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    fd = os.open(path, flags, 0o600)
    try:
        if os.name == "posix":
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def _sync_folder(folder: Path) -> None:
    """Make the file's name durable; a no-op where folders cannot be synced."""
    if os.name == "posix":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
