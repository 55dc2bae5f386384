"""Owns the list of ended sessions: what each was and how it ended, read from the two ends of its journal; owns no verdict.

Whether a record is whole is ``rtloop verify``'s to say; here only what its journal says of itself.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtloop.record.folder import SessionFolder

_HEAD, _TAIL = 262_144, 65_536  # bytes: session_started holds the layout of up to 512 channels


@dataclass(frozen=True, kw_only=True)
class Past:
    """One session folder. ``end`` is "clean", "early", "torn" or "empty"; ``words`` say it."""

    path: Path
    utc: str
    kind: str
    participant: str
    plan: str
    mode: str
    end: str
    words: str

    @property
    def title(self) -> str:
        """One line: when (UTC), what, who, plan, mode."""
        when = self.utc[:16].replace("T", " ")
        return " · ".join(x for x in (when, self.kind, self.participant, self.plan, self.mode) if x)


_known: dict[Path, tuple[tuple[int, int], Past]] = {}


def past_of(folder: SessionFolder) -> Past:
    """What a folder's journal says of its session; read again only when the file changed."""
    try:
        state = os.stat(folder.journal)
        stamp = (state.st_mtime_ns, state.st_size)
    except OSError:
        return _empty(folder.path, "there is no journal")
    if folder.path in _known and _known[folder.path][0] == stamp:
        return _known[folder.path][1]
    past = _read(folder)
    _known[folder.path] = (stamp, past)
    return past


def _empty(path: Path, words: str) -> Past:
    digits = path.name.split("_")[0]
    utc = (
        f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[9:11]}:{digits[11:13]}"
        if len(digits) == 15
        else ""
    )
    return Past(path=path, utc=utc, kind="", participant="", plan="", mode="", end="empty", words=words)


def _read(folder: SessionFolder) -> Past:
    try:
        with open(folder.journal, "rb") as file:
            head = file.read(_HEAD).split(b"\n")
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL))
            tail = file.read().split(b"\n")
    except OSError as err:
        return _empty(folder.path, f"its journal cannot be read: {err.strerror}")
    started = next((e for e in map(_event, head[:6]) if e.get("kind") == "session_started"), None)
    ended = next((e for e in map(_event, reversed(tail[-4:])) if e.get("kind") == "session_ended"), None)
    if started is None:
        words = str(ended["data"].get("words", "")) if ended else ""
        return _empty(folder.path, f"it never started: {words}" if words else "it never started")
    d = started["data"]
    if ended is None:
        end, words = "torn", "its journal has no end: the engine died, or still runs elsewhere"
    else:
        end = "clean" if ended["data"].get("clean") else "early"
        words = str(ended["data"].get("words", ""))
    if end == "clean" and not folder.recording.is_file():
        end, words = "torn", f"{words}; its recording is not there"
    return Past(
        path=folder.path, utc=str(started.get("utc", "")), kind=str(d.get("kind", "")), mode=str(d.get("mode", "")),
        participant=str(d.get("participant", "")), plan=str(d.get("plan", "")), end=end, words=words,
    )  # fmt: skip


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and isinstance(event.get("data"), dict) else {}
