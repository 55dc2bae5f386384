"""Owns the layout of a session folder on disk; owns nothing that is written into it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from rtloop.clock import WALL, Clock
from rtloop.durable import create_append_only, sync_directory, write_all
from rtloop.errors import IntegrityProblem, ValidationProblem

_NAME = re.compile(r"^\d{8}-\d{6}_[A-Za-z0-9][A-Za-z0-9-]*$")


@dataclass(frozen=True, kw_only=True)
class SessionFolder:
    """``<data_dir>/<YYYYmmdd-HHMMSS>_<run_id>/`` and the files in it (docs/protocol.md)."""

    path: Path

    @classmethod
    def create(cls, data_dir: str | Path, run_id: str, *, clock: Clock = WALL) -> SessionFolder:
        """Make a new folder (mode 0700), durable itself; refuses an existing one.

        Raises ValidationProblem for a run id that cannot be a folder name, IntegrityProblem when it cannot
        be made.
        """
        stamp = clock.utc()[:19].replace("-", "").replace(":", "").replace("T", "-")
        name = f"{stamp}_{run_id}"
        if not _NAME.match(name):
            raise ValidationProblem(
                "the run id cannot be part of a folder name",
                expected="letters, digits and dashes",
                found=repr(run_id),
            )
        path = Path(data_dir) / name
        try:
            Path(data_dir).mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
            sync_directory(path.parent)
        except OSError as err:
            raise IntegrityProblem(
                f"cannot make the session folder {path}",
                expected="a new folder in a writable data directory",
                found=str(err),
                todo="check rights and free space of the data directory, or choose another one",
            ) from err  # fmt: skip
        return cls(path=path)

    @classmethod
    def all_in(cls, data_dir: str | Path) -> list[SessionFolder]:
        """Every session folder of a data directory, oldest first."""
        root = Path(data_dir)
        if not root.is_dir():
            return []
        return [cls(path=p) for p in sorted(root.iterdir()) if _NAME.match(p.name) and p.is_dir()]

    @property
    def looks_like_one(self) -> bool:
        """Whether the folder's own name has the form of a session folder."""
        return bool(_NAME.match(self.path.name))

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def recording(self) -> Path:
        return self.path / "recording.xdf"

    @property
    def ring(self) -> Path:
        return self.path / "ring.f32"

    @property
    def board(self) -> Path:
        return self.path / "board"

    @property
    def pages(self) -> Path:
        """Arrays for windows (rtloop.link.pages), while the session runs."""
        return self.path / "pages"

    @property
    def link(self) -> Path:
        """The private socket for a window's words (rtloop.link.server), while the session runs."""
        return self.path / "link"

    def map_trials(self, number: int) -> Path:
        """Trials of a target of a mapping, for a run that resumes it (rtloop.session.keeping); ``number`` from 1."""
        return self.path / f"map-{number:02d}.npz"

    @property
    def plan(self) -> Path:
        return self.path / "plan.toml"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    def keep_plan(self, source: bytes) -> None:
        """Write the plan's own text into the folder, once; IntegrityProblem when it cannot be written."""
        try:
            fd = create_append_only(self.plan)
            try:
                write_all(fd, source)
            finally:
                os.close(fd)
        except OSError as err:
            raise IntegrityProblem(
                f"cannot write the plan into {self.path}", expected="a writable data directory", found=str(err),
                todo="check rights and free space of the data directory, or choose another one",
            ) from err  # fmt: skip

    def tidy(self) -> None:
        """Delete what only a running session needs (ring, board, pages, link): after a clean end, never after a crash."""
        for path in (self.ring, self.board, self.pages, self.link):
            path.unlink(missing_ok=True)
