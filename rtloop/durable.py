"""Owns how a record gets onto a disk and stays whole: one JSON text, its digest, whole writes, syncs; owns no file's format.

Durable here means: at return it survives a power cut, as far as the system and the disk keep their word.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

if os.name == "posix":
    import fcntl


def canonical(value: Any) -> bytes:
    """The one JSON text of a plain value: sorted keys, no blanks, UTF-8; floats survive (shortest repr).

    ValueError for NaN, infinity and text that is not Unicode.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(record: Mapping[str, Any], *, but: str) -> str:
    """SHA-256 (hex) of the canonical text of a record without the field ``but``, which is to hold it."""
    return hashlib.sha256(canonical({k: v for k, v in record.items() if k != but})).hexdigest()


def write_all(fd: int, data: bytes) -> None:
    """One write, continued only when the system took less than all of it; OSError when it takes no more."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, memoryview(data)[done:])


def sync_data(fd: int) -> None:
    """Make the written bytes of a file durable against a power cut."""
    getattr(os, "fdatasync", os.fsync)(fd)


def sync_directory(path: Path) -> None:
    """Make the entries of a directory durable; a no-op where directories cannot be synced (Windows)."""
    if os.name != "posix":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_append_only(path: Path, *, new: bool = False) -> int:
    """Open a file for appending (mode 0600 when it is made; ``new``: it must not exist); returns the descriptor."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_EXCL if new else 0)
    return os.open(path, flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0), 0o600)


def create_append_only(path: Path) -> int:
    """Make a new file for appending and make its name durable; returns the descriptor."""
    fd = open_append_only(path, new=True)
    try:
        sync_directory(path.parent)
    except OSError:
        os.close(fd)
        raise
    return fd


@contextlib.contextmanager
def appending(path: Path) -> Iterator[int]:
    """A file, made with its folder where it is not, to append to; one process at a time where the system knows such locks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = open_append_only(path)
    try:
        if os.name == "posix":
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)
