"""Owns the check of the trials that a mapping keeps beside its journal: there, and those recorded, byte for byte; no repair."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from rtloop.model.event import Event
from rtloop.record.folder import SessionFolder
from rtloop.record.kinds import MAP_RESUMED, VISIT_KEPT


class Findings(Protocol):
    """Where findings go (rtloop.record.verify)."""

    counts: dict[str, int]

    def fact(self, words: str) -> None: ...
    def note(self, words: str) -> None: ...
    def problem(self, words: str) -> None: ...


def check_map(folder: SessionFolder, events: Iterable[Event], out: Findings) -> None:
    """Hold every file that the journal names against its SHA-256; say nothing where it names none."""
    whole, size, named = 0, 0, set()
    for n, row in _rows(events):
        named.add(str(row["file"]))
        try:
            data = (folder.path / str(row["file"])).read_bytes()
        except OSError as err:
            out.problem(
                f"the trials of {row['target']} ({row['file']}, record {n}) cannot be read: {err.strerror or err}"
            )
            continue
        if hashlib.sha256(data).hexdigest() == row["sha256"]:
            whole, size = whole + 1, size + len(data)
        else:
            out.problem(f"the trials of {row['target']} ({row['file']}) are not those that record {n} names")
    for path in sorted(folder.path.glob("map-*.npz*")):
        if path.name not in named:
            out.note(f"{path.name} belongs to no record: it was never taken for whole")
    if named:
        out.counts["kept_files"] = whole
        out.fact(f"trials of the map: {whole} of {len(named)} file(s) whole, {size / 1e6:.1f} MB")


def _rows(events: Iterable[Event]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for event in events:
        if event.kind == MAP_RESUMED:
            yield from ((event.n, row) for row in event.data["files"])
        elif event.kind == VISIT_KEPT and event.data["file"]:
            yield event.n, event.data
