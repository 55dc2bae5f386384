"""Owns the engine's side of the words: who is connected, who has the operator's seat, what is answered; obeys no word itself.

Each window has a thread of its own, which waits with deadlines, so that one that is stuck, garbled or hostile holds up
neither the engine nor the other windows.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtloop.clock import WALL
from rtloop.errors import NotReady
from rtloop.link.wire import Door, Frames

PROTOCOL = 1
SEAT = "__seat__"
TAKEN = "another window has the operator's seat"
FREE = "no window has the operator's seat: take it first"
MOST_WINDOWS = 8
#: a word older than this is refused: what was said to an engine that stood still must not be done once it moves again
STALE_S = 2.0
_HELLO_S = 2.0
_LOOK_S = 0.25
_REST_S = 0.005  # between two words of one window: at most 200 a second
_CLOSE_S = 2.0
_MOST_ARGS, MOST_CHARS = 64, 8192


class LinkServer:
    """Lets windows in at ``path``.

    Parameters
    ----------
    take : called with (word, args) of the window with the seat, in that window's thread; "" when taken, else why not. It must
        return at once and be safe to call from any thread
    seat : called with the process id of the window that takes the seat, and with 0 when it becomes free
    gone : whether the holder of the seat is known to be gone though its connection is open (a frozen window): then the seat
        may be taken by another
    """

    def __init__(
        self, path: str | Path, take: Callable[[str, tuple[str, ...]], str], seat: Callable[[int], None], *,
        gone: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.path = Path(path)
        self._take, self._seat, self._gone = take, seat, gone
        self._lock = threading.Lock()
        self._holder: Frames | None = None
        self._windows: dict[Frames, threading.Thread] = {}
        self._stop = threading.Event()
        self._door: Door | None = None
        self._porter: threading.Thread | None = None

    def start(self) -> None:
        """Open the door; NotReady when it cannot be opened."""
        if self._door is not None or self._stop.is_set():
            raise NotReady("the link was started before")
        self._door = Door(self.path)
        self._porter = threading.Thread(target=self._let_in, args=(self._door,), name="link", daemon=True)
        self._porter.start()

    def close(self) -> None:
        """Send everybody away and end all threads, within 2 s; a second close does nothing."""
        self._stop.set()
        until_s = WALL.now_s() + _CLOSE_S
        if self._door is not None and self._porter is not None:
            if sys.platform == "win32":
                self._door.close()  # wakes the porter, who cannot look at ``_stop`` there
            self._porter.join(until_s - WALL.now_s())
            self._door.close()
        with self._lock:
            windows = dict(self._windows)
        for frames, thread in windows.items():
            frames.hang_up()
            thread.join(max(0.0, until_s - WALL.now_s()))

    def _let_in(self, door: Door) -> None:
        while not self._stop.is_set():
            try:
                frames = door.accept(_LOOK_S)
            except (OSError, EOFError):
                if self._stop.wait(_LOOK_S):  # closed; else out of descriptors, or one that left again: go on
                    return
                continue
            if frames is None:
                continue
            with self._lock:
                full = len(self._windows) >= MOST_WINDOWS or self._stop.is_set()
                if not full:
                    thread = threading.Thread(
                        target=self._serve, args=(frames,), name="link-window", daemon=True
                    )
                    self._windows[frames] = thread
                    thread.start()
            if full:
                with contextlib.suppress(OSError):
                    frames.give(
                        {"hello": PROTOCOL, "seat": False, "why": f"{MOST_WINDOWS} windows are connected"}
                    )
                frames.close()

    def _serve(self, frames: Frames) -> None:
        try:
            if not frames.ready(_HELLO_S):
                return
            hello = frames.take()
            if hello.get("hello") != PROTOCOL:
                frames.give(
                    {"hello": PROTOCOL, "seat": False, "why": "this window is of another version of rtloop"}
                )
                return
            claimed = hello.get("pid")
            pid = frames.peer_pid or (claimed if type(claimed) is int and claimed > 0 else 0)
            self._sit(frames, pid, only_if_free=True)
            frames.give({"hello": PROTOCOL, "seat": self._has_seat(frames), "why": ""})
            while not self._stop.is_set():
                if frames.ready(_LOOK_S):
                    frames.give(self._answer(frames, pid, frames.take()))
                    self._stop.wait(_REST_S)
        except (OSError, EOFError):
            pass  # it ended, or talks nonsense: its connection is over, nobody else's
        finally:
            with self._lock:
                if self._holder is frames:
                    self._holder = None
                    self._seat(0)
                del self._windows[frames]
            frames.close()

    def _sit(self, frames: Frames, pid: int, *, only_if_free: bool) -> None:
        with self._lock:
            if self._holder is None or (not only_if_free and self._holder is not frames and self._gone()):
                self._holder = frames
                self._seat(pid)

    def _has_seat(self, frames: Frames) -> bool:
        with self._lock:
            return self._holder is frames

    def _answer(self, frames: Frames, pid: int, said: dict[str, Any]) -> dict[str, Any]:
        word, args = said.get("word"), said.get("args", [])
        if not isinstance(word, str) or not word or not isinstance(args, list) or len(args) > _MOST_ARGS:
            raise OSError("a frame that says nothing")
        if not all(isinstance(a, str) for a in args) or sum(map(len, [word, *args])) > MOST_CHARS:
            raise OSError("a word that is too long, or not made of text")
        if word == SEAT:
            self._sit(frames, pid, only_if_free=False)
            why = "" if self._has_seat(frames) else TAKEN
        elif self._has_seat(frames):
            said_s = said.get("t_s")
            age_s = WALL.now_s() - said_s if isinstance(said_s, int | float) else 0.0
            if not age_s <= STALE_S:
                return {
                    "id": said.get("id"),
                    "why": f"it was said {age_s:.1f} s ago: say it again",
                    "seat": True,
                }
            try:
                why = self._take(word, tuple(args))
            except Exception as err:  # whatever it is, the window must hear of it
                why = f"the engine could not take it: {type(err).__name__}: {err}"
        else:
            with self._lock:
                why = FREE if self._holder is None else TAKEN
        return {"id": said.get("id"), "why": why, "seat": self._has_seat(frames)}
