"""Owns the lock of a participant after an emergency: a durable file in the data folder, appended to, never rewritten.

It owns neither STOP nor a session. Each record carries the SHA-256 of every byte before it, so a change of what was written is
found; that the file was cut or deleted is found by its witnesses: a copy beside it, and the journals (whoever reads them hands
over what they tell). A file that is damaged or has lost a record locks everybody until a named person vouches for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtloop.clock import WALL, Clock
from rtloop.durable import appending, canonical, digest, sync_data, sync_directory, write_all
from rtloop.errors import IntegrityProblem, UsageProblem

FILE, COPY = "locks.jsonl", ".locks.jsonl"
LOCKED, UNLOCKED, VOUCHED = "locked", "unlocked", "vouched"
_FIELDS = {
    LOCKED: ("participant", "session", "words"),
    UNLOCKED: ("participant", "person", "reason"),
    VOUCHED: ("person", "reason", "lost"),
}
_MOST_CHARS = 500
_CITED = re.compile(r"\[lock ([0-9a-f]{12})\]")
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Locks:
    """What the file says. ``locked``: participant -> the record that locked; ``damage``: why everybody is locked, or "";
    ``lost``: records that a witness tells of and the file does not."""

    folder: Path
    locked: Mapping[str, Row]
    history: tuple[Row, ...] = ()
    damage: str = ""
    lost: tuple[Row, ...] = ()

    def why(self, participant: str) -> str:
        """Why nothing may be armed for this participant, and what to do; empty when nothing locks."""
        row = self.locked.get(participant)
        if self.damage:
            found = f"{self.damage}: nobody in this data folder may be stimulated until a person looked at it"
        elif row is None:
            return ""
        else:
            by = f" in session {row['session']}" if row["session"] else ""
            found = f"{participant} is locked since {row['utc']} after an emergency{by} ({row['words']}) [lock {_ref(row)}]"
        return f"{found}; {self.todo(participant)}"

    def todo(self, participant: str) -> str:
        """The command with which a named person lifts the lock, or vouches for a damaged file."""
        what = "--damaged" if self.damage else f"--participant {shlex.quote(participant)}"
        by = "a named person looks and vouches" if self.damage else "a named person unlocks"
        folder = shlex.quote(str(self.folder))
        return f"{by}: rtloop unlock --person NAME --reason WORDS {what} --data-dir {folder}"


def cited(words: str) -> str:
    """The record that words of ``Locks.why`` name, as a witness names it; "" where they name none."""
    found = _CITED.findall(words)
    return str(found[-1]) if found else ""


def read_locks(data_dir: str | Path, witnesses: Iterable[Row] = ()) -> Locks:
    """The locks of a data folder. Never raises: what cannot be read locks everybody.

    ``witnesses``: records that are known from elsewhere and must be in the file: ``kind``, ``sha256`` (its first 12 digits will
    do), ``participant``, ``words`` and ``where`` they are known from.
    """
    path = Path(data_dir) / FILE
    try:
        copied = _bytes(
            path.with_name(COPY)
        )  # before the file: what is written meanwhile is not missed there
        data = _bytes(path)
    except OSError as err:
        return Locks(
            folder=path.parent, locked={}, damage=f"{path} or its copy {COPY} cannot be read ({err})"
        )
    return _fold(data, path, [*map(_witness, copied.splitlines(keepends=True)), *witnesses])


class Watch:
    """The lock of one participant, looked at again and again: the file is read anew only when it changed.

    What was once seen in it is a witness: a file that is cut or deleted meanwhile is found.
    """

    def __init__(self, data_dir: str | Path, participant: str) -> None:
        self._path, self._participant = Path(data_dir) / FILE, participant
        self._known: tuple[int, ...] | None = ()  # not looked yet; None: there is no file
        self._seen: dict[str, Row] = {}

    def why(self) -> str:
        """As ``Locks.why``."""
        now: tuple[int, ...] | None = None
        with contextlib.suppress(OSError):
            stat = self._path.stat()
            now = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if now != self._known:
            locks = read_locks(self._path.parent, self._seen.values())
            self._seen |= {
                _ref(row): {"where": "this session", **row} for row in (*locks.history, *locks.lost)
            }
            self._why, self._known = locks.why(self._participant), now
        return self._why


def lock(
    data_dir: str | Path, participant: str, *, words: str, session: str = "", clock: Clock = WALL
) -> Row:
    """Lock a participant: on disk when this returns. A locked one is locked again: each emergency is a record.

    IntegrityProblem when it cannot be written; UsageProblem for an empty participant.
    """
    _worded(participant=participant)
    words = words[:_MOST_CHARS].encode(errors="replace").decode()
    return _append(data_dir, LOCKED, clock, participant=participant, session=session, words=words)


def unlock(data_dir: str | Path, participant: str, *, person: str, reason: str, clock: Clock = WALL) -> Row:
    """A named person lifts the lock, with a reason; the history stays. UsageProblem: nothing is locked, or a word is missing."""
    _worded(participant=participant, person=person, reason=reason)
    locks = read_locks(data_dir)
    if participant not in locks.locked:
        raise UsageProblem(
            f"{participant} is not locked in {data_dir}", expected=", ".join(sorted(locks.locked)) or "nobody is locked",
            found=locks.damage or participant,
            todo=locks.todo("") if locks.damage else "name the participant and the data folder that are locked",
        )  # fmt: skip
    return _append(data_dir, UNLOCKED, clock, participant=participant, person=person, reason=reason)


def vouch(
    data_dir: str | Path, *, person: str, reason: str, witnesses: Iterable[Row] = (), clock: Clock = WALL
) -> Row:
    """A named person has looked at a damaged file: it no longer locks everybody. Who is locked in what is whole stays so, and
    who is locked in what was lost is locked again."""
    _worded(person=person, reason=reason)
    locks = read_locks(data_dir, witnesses)
    if not locks.damage:
        raise UsageProblem(
            f"the locks of {data_dir} are not damaged", todo="unlock the participant that is locked"
        )
    again: dict[str, Row] = {}
    for row in locks.lost:
        _step(again, row)
    for participant, row in again.items():
        words = f"as {row['where']} tells: {row['words']}"
        lock(data_dir, participant, words=words, session=str(row.get("session", "")), clock=clock)
    lost = " ".join(_ref(row) for row in locks.lost)
    return _append(data_dir, VOUCHED, clock, person=person, reason=reason, lost=lost)


def _worded(**named: str) -> None:
    unfit = {name for name, text in named.items() if not text.strip() or not text.isprintable()}
    wrong = [name for name, text in named.items() if name in unfit or len(text) > _MOST_CHARS]
    if wrong:
        raise UsageProblem(
            f"{', '.join(wrong)} cannot be used", expected=f"one line of words, at most {_MOST_CHARS} characters",
            found=", ".join(ascii(named[name][:60]) for name in wrong), todo="say who and why",
        )  # fmt: skip


def _fold(data: bytes, path: Path, witnesses: Iterable[Row]) -> Locks:
    locked: dict[str, Row] = {}
    history: list[Row] = []
    known: set[str] = set()
    damage, at = "", 0
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        row = _record(line)
        if row is None or row.get("before") != hashlib.sha256(data[:at]).hexdigest():
            damage = f"line {number} of {path} is damaged"
        else:
            history.append(row)
            known.add(_ref(row))
            _step(locked, row)
            if row["kind"] == VOUCHED:
                damage = ""
                known.update(row["lost"].split())
        at += len(line)
    lost = tuple({_ref(row): row for row in witnesses if _ref(row) not in known}.values())
    if lost and not damage:
        told_by = ", ".join(dict.fromkeys(str(row["where"]) for row in lost))
        damage = f"{path} was cut or deleted: it lacks {len(lost)} of the records that {told_by} tells of"
    return Locks(folder=path.parent, locked=locked, history=tuple(history), damage=damage, lost=lost)


def _step(locked: dict[str, Row], row: Row) -> None:
    if row["kind"] == LOCKED:
        locked[row["participant"]] = row
    elif row["kind"] == UNLOCKED:
        locked.pop(row["participant"], None)


def _record(line: bytes) -> Row | None:
    """The record of a line; None where it is torn or not ours."""
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
        if not isinstance(row, dict) or row.get("kind") not in _FIELDS:
            return None
        whole = all(isinstance(row.get(name), str) for name in ("utc", *_FIELDS[row["kind"]]))
        return row if whole and row.get("sha256") == digest(row, but="sha256") else None
    except (ValueError, RecursionError, TypeError):
        return None


def _witness(line: bytes) -> Row:
    """What a line of the copy tells of; one that is not whole tells of something that nobody knows any more."""
    unknown = {"kind": "", "sha256": hashlib.sha256(line.strip()).hexdigest()}
    return {"where": f"its copy {COPY}", **(_record(line) or unknown)}


def _ref(row: Row) -> str:
    return str(row["sha256"])[:12]


def _bytes(path: Path) -> bytes:
    """All of a file; nothing where it is not, or its folder is not: that is told elsewhere."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return path.read_bytes()
    return b""


def _append(data_dir: str | Path, kind: str, clock: Clock, **fields: str) -> Row:
    """Into the file, then into its copy, with all that the copy lacks: each durable before the next begins."""
    path = Path(data_dir) / FILE
    copy = path.with_name(COPY)
    try:
        with appending(path) as fd:
            cut = _torn(_bytes(path))
            data = _bytes(path) + cut
            row = {"kind": kind, "utc": clock.utc(), **fields, "before": hashlib.sha256(data).hexdigest()}
            row["sha256"] = digest(row, but="sha256")
            line = canonical(row) + b"\n"
            write_all(fd, cut + line)
            sync_data(fd)
            with appending(copy) as fd_copy:
                copied = _bytes(copy)
                there = copied.splitlines(keepends=True)
                lacks = [x for x in (data + line).splitlines(keepends=True) if _record(x) and x not in there]
                write_all(fd_copy, _torn(copied) + b"".join(lacks))
                sync_data(fd_copy)
        sync_directory(path.parent)
    except OSError as err:
        raise IntegrityProblem(
            f"the lock cannot be written into {path}", expected="a writable data folder", found=str(err),
            todo="do not stimulate this participant; free the disk or check its rights, then lock again",
        ) from err  # fmt: skip
    return row


def _torn(data: bytes) -> bytes:
    """What a crash cut off stays, on a line of its own."""
    return b"\n" if data and not data.endswith(b"\n") else b""
