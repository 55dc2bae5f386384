"""Owns where the shared pages of a running session lie: in memory where the system has such a place, else in its folder.

A page of a file on a disk blocks its writer while the kernel writes it back; a ring or a heartbeat must not wait for a disk.
The session folder holds links, so that other commands find them there.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from rtloop.record.folder import SessionFolder

MEMORY = Path("/dev/shm")
_NAME = re.compile(r"^rtloop-(\d+)-[0-9a-f]+$")


#: bytes of ring for each channel and each sample per second: 32 s, rounded up to a power of two, float32, with some reserve
RING_BYTES = 10 * 32


class Runtime:
    """The place of one session's ring, board, pages and socket; ``link`` after ring and board exist, ``remove`` at the end."""

    def __init__(self, folder: SessionFolder, run_id: str) -> None:
        self._folder = folder
        in_memory = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
        self._ring_in_memory = in_memory
        self.path = MEMORY / f"rtloop-{os.getpid()}-{run_id}" if in_memory else folder.path
        if in_memory:
            sweep()
            self.path.mkdir(mode=0o700)

    def make_room(self, n_channels: int, rate_hz: float) -> str:
        """Let the ring lie in the session folder where memory is short (containers); returns what it did, in words."""
        if self.path == self._folder.path:
            return ""
        needed, free = RING_BYTES * n_channels * rate_hz, shutil.disk_usage(MEMORY).free
        if needed <= free:
            return ""
        self._ring_in_memory = False
        return (
            f"{MEMORY} has {free / 1e6:.0f} MB free, the ring may need {needed / 1e6:.0f} MB: it lies in the session folder, "
            "where a slow disk can delay samples"
        )

    @property
    def ring(self) -> Path:
        return self.path / self._folder.ring.name if self._ring_in_memory else self._folder.ring

    @property
    def board(self) -> Path:
        return self.path / self._folder.board.name

    @property
    def pages(self) -> Path:
        return self.path / self._folder.pages.name

    @property
    def socket(self) -> Path:
        """Where a window's words come in (``SessionFolder.link``)."""
        return self.path / self._folder.link.name

    def link(self) -> None:
        """Let the session folder show where ring, board, pages and socket are (the latter two may come later, or never)."""
        if self.path != self._folder.path:
            (self.path / "session").symlink_to(self._folder.path.resolve())
            self._folder.board.symlink_to(self.board)
            self._folder.pages.symlink_to(self.pages)
            self._folder.link.symlink_to(self.socket)
            if self._ring_in_memory:
                self._folder.ring.symlink_to(self.ring)

    def remove(self) -> None:
        """Free the memory; the board's last state stays in the session folder for ``verify``."""
        if self.path == self._folder.path:
            for path in (self.pages, self.socket):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            return
        _bring_home(self.path, self._folder)
        for link in (self._folder.ring, self._folder.board):
            if link.is_symlink():
                link.unlink()
        shutil.rmtree(self.path, ignore_errors=True)


def sweep() -> None:
    """Free what sessions left whose engine died; their boards are kept in their own folders for ``verify``."""
    for place in MEMORY.glob("rtloop-*-*"):
        match = _NAME.match(place.name)
        if match is None or pid_lives(int(match[1])):
            continue
        with contextlib.suppress(OSError):  # another user's, or its session folder cannot be written any more
            home = place / "session"
            if home.exists():
                _bring_home(place, SessionFolder(path=home.resolve()))
            shutil.rmtree(place, ignore_errors=True)


def boards_in_memory() -> list[tuple[str, Path]]:
    """(name of the session, board) of everything that runs, whatever its data directory; [] where boards lie in folders."""
    found = []
    for board in sorted(MEMORY.glob("rtloop-*-*/board")):
        home = board.parent / "session"
        found.append((home.resolve().name if home.is_symlink() else board.parent.name, board))
    return found


def _bring_home(place: Path, folder: SessionFolder) -> None:
    board = place / folder.board.name
    if board.is_file():
        folder.board.unlink(missing_ok=True)
        shutil.copyfile(board, folder.board)
    for link in (folder.ring, folder.pages, folder.link):
        if link.is_symlink():
            link.unlink()


def pid_lives(pid: int) -> bool:
    """Whether a process of this number exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
