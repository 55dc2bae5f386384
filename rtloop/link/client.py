"""Owns the window's side of the words: they leave in order, each is answered; whoever says one never waits."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections import deque
from pathlib import Path

from rtloop.clock import WALL
from rtloop.link.server import MOST_CHARS, PROTOCOL, SEAT, STALE_S
from rtloop.link.wire import Frames, dial

_LOOK_S = 0.1
_MOST_WAITING, _MOST_ANSWERS = 64, 256
Answer = tuple[str, tuple[str, ...], str]


class LinkClient:
    """A connection to a running engine, made in a thread of its own: the constructor neither waits nor raises.

    ``alive`` is True while it connects (at most ``deadline_s``) and as long as it is connected; once False it stays so, and
    ``why`` tells why: make a new one to come back. ``seat`` is True while this window has the operator's seat.
    """

    def __init__(self, path: str | Path, deadline_s: float = 1.0) -> None:
        self.path, self._deadline_s = Path(path), deadline_s
        self.alive, self.connected, self.seat, self.why = True, False, False, ""
        self._said: queue.Queue[tuple[str, tuple[str, ...], float]] = queue.Queue(_MOST_WAITING)
        self._answers: deque[Answer] = deque(maxlen=_MOST_ANSWERS)
        self._stop = threading.Event()
        self._settled = threading.Event()
        self._next = 0
        self._thread = threading.Thread(target=self._run, name="link-client", daemon=True)
        self._thread.start()

    def say(self, word: str, *args: str) -> None:
        """Say a word to the engine; its answer comes with ``answers``. Never waits, never raises."""
        if sum(map(len, (word, *args))) > MOST_CHARS:
            self._answers.append((word, args, f"it is longer than {MOST_CHARS} characters"))
            return
        try:
            self._said.put_nowait((word, args, WALL.now_s()))
        except queue.Full:
            self._answers.append((word, args, "too many words wait for the engine's answer"))
        if not self.alive:
            self._unsaid()

    def ask_seat(self) -> None:
        """Ask for the operator's seat; the answer comes as that of the word ``__seat__``."""
        self.say(SEAT)

    def answers(self) -> list[Answer]:
        """(word, args, why it was not taken or "") of everything answered since the last call, in order."""
        out: list[Answer] = []
        while self._answers:
            out.append(self._answers.popleft())
        return out

    def wait(self, timeout_s: float) -> bool:
        """Wait until connected, or known not to be; whether connected."""
        self._settled.wait(timeout_s)
        return self.connected

    def close(self) -> None:
        """Hang up; the seat becomes free. Bounded; a second close does nothing."""
        self._stop.set()
        self._thread.join(self._deadline_s + 2.0)

    def _run(self) -> None:
        frames: Frames | None = None
        try:
            frames = dial(self.path, self._deadline_s)
            self._hello(frames)
            while not self._stop.is_set():
                try:
                    word, args, said_s = self._said.get(timeout=_LOOK_S)
                except queue.Empty:
                    if frames.ready(0.0):
                        self.seat = bool(frames.take().get("seat"))  # a late answer, or the end
                    continue
                if WALL.now_s() - said_s > STALE_S:
                    self._answers.append(
                        (word, args, "the engine answered nothing for too long: say it again")
                    )
                else:
                    self._say(frames, word, args, said_s)
            self.why = "this window hung up"
        except (OSError, EOFError) as err:
            self.why = str(err) or "it hung up"
        finally:
            self.alive = self.connected = self.seat = False
            self._settled.set()
            if frames is not None:
                frames.close()
            self._unsaid()

    def _unsaid(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                word, args, _ = self._said.get_nowait()
                self._answers.append((word, args, f"the engine is not connected: {self.why}"))

    def _hello(self, frames: Frames) -> None:
        with contextlib.suppress(
            BrokenPipeError
        ):  # sent away at the door: the words why are there to be read
            frames.give({"hello": PROTOCOL, "pid": os.getpid()})
        if not frames.ready(self._deadline_s):
            raise OSError(f"no answer within {self._deadline_s:g} s")
        hello = frames.take()
        if hello.get("hello") != PROTOCOL or hello.get("why"):
            raise OSError(str(hello.get("why") or "it is of another version of rtloop"))
        self.seat, self.connected = bool(hello.get("seat")), True
        self._settled.set()

    def _say(self, frames: Frames, word: str, args: tuple[str, ...], said_s: float) -> None:
        number, self._next = self._next, self._next + 1
        try:
            frames.give({"id": number, "word": word, "args": list(args), "t_s": said_s})
            until_s = WALL.now_s() + self._deadline_s
            while frames.ready(max(0.0, until_s - WALL.now_s())):
                answer = frames.take()
                self.seat = bool(answer.get("seat"))
                if answer.get("id") == number:  # else the late answer of an earlier word
                    self._answers.append((word, args, str(answer.get("why", ""))))
                    return
        except (OSError, EOFError):
            self._answers.append((word, args, "the engine hung up: it is not known whether it heard"))
            raise
        self._answers.append(
            (word, args, f"no answer within {self._deadline_s:g} s: it is not known whether it was taken")
        )
