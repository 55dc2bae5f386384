"""Owns the log of a study: append-only, numbered without gaps, hash-chained JSON lines; owns no meaning of a record.

One file for each line, put there whole under a number that only one writer can take: two computers may write at the same time,
a writer may be stopped or killed at any instant, and no line is ever torn. ``cat log/*.jsonl`` is the whole log.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtloop.durable import canonical, digest
from rtloop.errors import IntegrityProblem, ValidationProblem
from rtloop.model.course import TreatmentBegun, TreatmentGiven
from rtloop.study.records import OPEN_KINDS, SEALED_KINDS, Record
from rtloop.study.whole import publish

#: form of a line; raised whenever a field changes its meaning, then ``entry_of`` brings older lines up to date
LOG_SCHEMA = 1
NO_HASH = "0" * 64
_NAME = re.compile(r"(\d{8})\.jsonl")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "by": str, "data": dict, "hash": str, "kind": str, "n": int, "nonce": str, "old": (dict, type(None)), "prev": str,
    "reason": str, "role": str, "schema": int, "utc": str,
}  # fmt: skip

Anything = Record | TreatmentBegun
TREATMENTS: dict[str, type[TreatmentBegun]] = {
    "treatment_begun": TreatmentBegun,
    "treatment_given": TreatmentGiven,
}


def kind_of(record: Anything) -> str:
    """The kind under which a record is kept."""
    if isinstance(record, Record):
        return record.KIND
    return "treatment_given" if isinstance(record, TreatmentGiven) else "treatment_begun"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line: who, as what, when (UTC), what, the old values where it changes some, and why."""

    n: int
    utc: str
    by: str
    role: str
    kind: str
    record: Anything
    reason: str
    old: dict[str, Any] | None
    hash: str


@dataclass(frozen=True, kw_only=True)
class LogRead:
    """Lines from a number on, as far as they are whole and linked; ``problems`` says what is wrong with the next one."""

    lines: tuple[bytes, ...]
    entries: tuple[Entry, ...]
    problems: tuple[str, ...]


class Log:
    """The log in one folder; ``sealed`` says which kinds belong there."""

    def __init__(self, folder: Path, *, sealed: bool) -> None:
        self.folder, self.sealed = folder, sealed

    def take(
        self, record: Anything, *, n: int, prev: str, by: str, role: str, utc: str, reason: str = "",
        old: dict[str, Any] | None = None,
    ) -> bool:  # fmt: skip
        """Write one line as number ``n`` after the line with the hash ``prev``, durable; False when ``n`` is taken.

        ``nonce`` keeps anybody who sees only the hash of a sealed line from guessing what it says.
        """
        line = {
            "n": n, "schema": LOG_SCHEMA, "utc": utc, "by": by, "role": role, "kind": kind_of(record), "data": record.data(),
            "reason": reason, "old": old, "prev": prev, "nonce": secrets.token_hex(16) if self.sealed else "",
        }  # fmt: skip
        line["hash"] = digest(line, but="hash")
        return publish(self.folder, f"{n:08d}.jsonl", canonical(line) + b"\n")

    def numbers(self) -> list[int]:
        """Numbers of all lines that are there, sorted."""
        try:
            names = os.listdir(self.folder)
        except OSError as err:
            raise IntegrityProblem(f"the log {self.folder} cannot be read", found=str(err)) from err
        return sorted(int(m.group(1)) for m in map(_NAME.fullmatch, names) if m)

    def line(self, n: int) -> bytes | None:
        """One line as it is kept; None when it is not there."""
        try:
            return (self.folder / f"{n:08d}.jsonl").read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise IntegrityProblem(
                f"line {n} of the log {self.folder} cannot be read", found=str(err)
            ) from err

    def read(self, first: int = 0, prev: str = NO_HASH) -> LogRead:
        """Lines from number ``first`` on, which follows the line with the hash ``prev``; stops at the first that is wrong."""
        lines, entries, problems = [], [], []
        n = first
        while (raw := self.line(n)) is not None:
            try:
                entry = entry_of(raw, n=n, prev=prev, sealed=self.sealed)
            except IntegrityProblem as err:
                problems.append(str(err))
                break
            lines.append(raw)
            entries.append(entry)
            n, prev = n + 1, entry.hash
        # the whole folder is listed for a whole read only: a follower looks one line further
        there = self.numbers() if first == 0 else [n + 1] if self.line(n + 1) is not None else []
        if not problems and (later := [k for k in there if k > n]):
            # the list may be newer than the look for line n: it is missing only if it is missing now
            if self.line(n) is None:
                problems.append(f"line {n} is missing in {self.folder}, but there are {len(later)} after it")
            else:
                more = self.read(n, prev)
                return LogRead(
                    lines=(*lines, *more.lines), entries=(*entries, *more.entries), problems=more.problems
                )
        return LogRead(lines=tuple(lines), entries=tuple(entries), problems=tuple(problems))


def entry_of(raw: bytes, *, n: int, prev: str, sealed: bool) -> Entry:
    """The entry of a line that must be number ``n`` after ``prev``; IntegrityProblem for anything altered or torn."""
    try:
        fields = json.loads(raw.decode())
        if not isinstance(fields, dict) or set(fields) != set(_TYPES):
            raise ValueError(f"expected the fields {', '.join(sorted(_TYPES))}")
        wrong = [
            k for k, kind in _TYPES.items() if not isinstance(fields[k], kind) or isinstance(fields[k], bool)
        ]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} of another type")
        whole = canonical(fields) + b"\n" == raw
    except (ValueError, RecursionError) as err:
        raise IntegrityProblem(f"line {n} is no line of a study's log: {err}") from err
    if fields["schema"] != LOG_SCHEMA:
        raise IntegrityProblem(
            f"line {n} is of the form {fields['schema']}", expected=f"form {LOG_SCHEMA}", found=str(fields["schema"]),
            todo="it was written by another version of rtloop: use that one, or a newer one",
        )  # fmt: skip
    if not whole or fields["hash"] != digest(fields, but="hash"):
        raise IntegrityProblem(f"line {n} was altered: its hash does not fit its content")
    if fields["n"] != n or fields["prev"] != prev:
        raise IntegrityProblem(f"line {n} does not follow the line before it: chain broken")
    kinds: dict[str, Any] = dict(SEALED_KINDS) if sealed else {**OPEN_KINDS, **TREATMENTS}
    if fields["kind"] not in kinds:
        raise IntegrityProblem(f"line {n} holds the kind {fields['kind']!r}, which does not belong here")
    try:
        record = kinds[fields["kind"]].of(fields["data"])
    except ValidationProblem as err:
        raise IntegrityProblem(f"line {n} holds a record that is not valid: {err.found}") from err
    return Entry(
        record=record,
        **{k: fields[k] for k in ("n", "utc", "by", "role", "kind", "reason", "old", "hash")},
    )
