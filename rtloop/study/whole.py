"""Owns how a small file comes to be whole under a name that only one can take, also on a network folder; owns no content.

Two ways only, both atomic on the server: a hard link to a name that must be new, and a rename onto one's own name.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from rtloop.durable import sync_directory, write_all
from rtloop.errors import IntegrityProblem

NEW = ".new-"


def publish(folder: Path, name: str, data: bytes) -> bool:
    """Put a file there under a new name, whole and durable; False when the name is taken.

    IntegrityProblem when the folder cannot be written, or its file system knows no hard links.
    """
    try:
        made = _written(folder, data)
        try:
            new = _linked(made, folder / name)
        finally:
            with contextlib.suppress(FileNotFoundError):
                made.unlink()
        sync_directory(folder)
    except OSError as err:
        raise _cannot(folder, err) from err
    return new


def put(folder: Path, name: str, data: bytes) -> None:
    """Put a file there in place of one's own earlier one; readers see the one or the other, whole. Not synced."""
    try:
        os.replace(_written(folder, data, durable=False), folder / name)
    except OSError as err:
        raise _cannot(folder, err) from err


def _written(folder: Path, data: bytes, *, durable: bool = True) -> Path:
    path = folder / f"{NEW}{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    fd = os.open(path, flags, 0o600)
    try:
        write_all(fd, data)
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)
    return path


def _linked(made: Path, path: Path) -> bool:
    try:
        if os.name == "nt":
            os.rename(made, path)  # there it refuses an existing name
        else:
            os.link(made, path)
    except FileExistsError:
        # a server's answer may have been lost and the link made by the first try: then the file has two names
        return os.name != "nt" and made.stat().st_nlink == 2
    return True


def _cannot(folder: Path, err: OSError) -> IntegrityProblem:
    return IntegrityProblem(
        f"nothing can be written into {folder}", expected="a writable folder with space, on a file system with hard links",
        found=str(err), todo="check rights and free space; keep the study on such a file system (not FAT)",
    )  # fmt: skip
