"""Owns what the journals of a data directory tell of locks after an emergency; owns neither a journal nor the file of locks.

A running session journals the lock that ends it. That record must be found in the file of locks, whatever became of it since:
a file that was cut, deleted or left behind when folders were moved is found by this.
"""

from __future__ import annotations

import json
from pathlib import Path

from rtloop.record.folder import SessionFolder
from rtloop.record.kinds import PARTICIPANT_LOCKED
from rtloop.safety.locked import LOCKED, Locks, Row, cited, read_locks


def journaled_locks(data_dir: Path) -> list[Row]:
    """One witness (as ``read_locks`` takes it) for each lock that a journal tells of, oldest session first.

    Whether a journal is whole is asked where the dose is counted; one that is not there or cannot be read tells nothing here.
    """
    found: list[Row] = []
    kind = PARTICIPANT_LOCKED.encode()
    for folder in SessionFolder.all_in(data_dir):
        try:
            raw = folder.journal.read_bytes()
        except OSError:
            continue
        for line in raw.splitlines() if kind in raw else ():
            row = _lock(line) if kind in line else None
            if row is not None:
                found.append({**row, "session": folder.path.name, "where": str(folder.journal)})
    return found


def _lock(line: bytes) -> Row | None:
    try:
        event = json.loads(line)
        if event["kind"] != PARTICIPANT_LOCKED:
            return None
        participant, words = str(event["data"]["participant"]), str(event["data"]["words"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    record = cited(words)  # none where the whole file was damaged: that locked everybody, and nobody by name
    return {"kind": LOCKED, "sha256": record, "participant": participant, "words": words} if record else None


def locks_of(data_dir: Path) -> Locks:
    """The locks of a data directory, with the journals as witnesses."""
    return read_locks(data_dir, journaled_locks(data_dir))
