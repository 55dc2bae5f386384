"""Owns where the shared pages of a running session lie: in memory where the system has such a place, else in its folder.

A page of a file on a disk blocks its writer while the kernel writes it back; a ring or a heartbeat must not wait for a disk.
The session folder holds links, so that other commands find them there.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from rtloop.record.folder import SessionFolder

MEMORY = Path("/dev/shm")
_NAME = re.compile(r"^rtloop-(\d+)-[0-9a-f]+$")


class Runtime:
    """The place of one session's ring and board; ``link`` after both exist, ``remove`` after a clean end."""

    def __init__(self, folder: SessionFolder, run_id: str) -> None:
        self._folder = folder
        in_memory = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
        self.path = MEMORY / f"rtloop-{os.getpid()}-{run_id}" if in_memory else folder.path
        if in_memory:
            sweep()
            self.path.mkdir(mode=0o700)

    @property
    def ring(self) -> Path:
        return self.path / self._folder.ring.name

    @property
    def board(self) -> Path:
        return self.path / self._folder.board.name

    def link(self) -> None:
        """Let the session folder show where ring and board are."""
        if self.path != self._folder.path:
            (self.path / "session").symlink_to(self._folder.path.resolve())
            for name in (self._folder.ring, self._folder.board):
                name.symlink_to(self.path / name.name)

    def remove(self, *, keep_board: bool) -> None:
        """Free the memory; ``keep_board``: its last state stays in the session folder for ``verify``."""
        if self.path == self._folder.path:
            return
        if keep_board and self.board.is_file():
            _bring_home(self.path, self._folder)
        for link in (self._folder.ring, self._folder.board):
            if link.is_symlink():
                link.unlink()
        shutil.rmtree(self.path, ignore_errors=True)


def sweep() -> None:
    """Free what sessions left whose engine died; their boards are kept in their own folders for ``verify``."""
    for place in MEMORY.glob("rtloop-*-*"):
        match = _NAME.match(place.name)
        if match is None or _lives(int(match[1])):
            continue
        home = place / "session"
        if home.exists():
            _bring_home(place, SessionFolder(path=home.resolve()))
        shutil.rmtree(place, ignore_errors=True)


def _bring_home(place: Path, folder: SessionFolder) -> None:
    board = place / folder.board.name
    if board.is_file():
        folder.board.unlink(missing_ok=True)
        shutil.copyfile(board, folder.board)
    if folder.ring.is_symlink():
        folder.ring.unlink()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
