"""Owns work and engines that the window has done in processes of their own: started, looked at, told apart, ended.

Nothing here waits. What a process says goes into files, never into a pipe: a pipe would end an engine with its window.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rtloop.clock import WALL, Clock
from rtloop.errors import RtloopError

_LAST = 16_384  # bytes of a log that are looked at
_LSL = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ .*\|")  # a line of liblsl's own log
_SHARE = re.compile(r"^\s*(\d{1,3}) ?% *(.*)$")
CLI = (sys.executable, "-m", "rtloop.app.cli")


class Spawned:
    """A process with its words in two files of a private folder; it outlives its parent unless it is ended."""

    def __init__(self, command: Sequence[str], *, drop: Sequence[str] = ()) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rtloop-window-"))
        environ = {k: v for k, v in os.environ.items() if k not in drop}
        own: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            own = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        try:
            with open(self.folder / "out", "wb") as out, open(self.folder / "err", "wb") as err:
                self._process = subprocess.Popen(
                    list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environ, close_fds=True, **own
                )  # fmt: skip
        except OSError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Exit code; None while it runs. Looking also takes the ended process from the system's table."""
        return self._process.poll()

    def out(self) -> str:
        """All it wrote on stdout."""
        return (self.folder / "out").read_text(encoding="utf-8", errors="replace")

    def last_words(self) -> list[str]:
        """The newest lines it wrote on stderr, oldest first; liblsl's own log lines are left out."""
        try:
            with open(self.folder / "err", "rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _LAST))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return [line.rstrip() for line in text.splitlines() if line.strip() and not _LSL.match(line)]

    def problem(self) -> tuple[str, ...]:
        """Why it ended badly, in words: the problem it told in JSON, else its last lines; empty after a good end."""
        if not self.code:
            return ()
        told = _json_of(self.out())
        if isinstance(told, dict) and told.get("error"):
            lines = [str(told["error"]).strip()]
            lines += [f"{k}: {told[k]}" for k in ("expected", "found") if told.get(k)]
            return (*lines, *([f"what to do: {told['todo']}"] if told.get("todo") else []))
        return tuple(self.last_words()[-6:]) or (f"the process ended with code {self.code} and said nothing",)

    def end(self) -> None:
        """Kill it and take it from the system's table; its files go. Once ended, nothing."""
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2.0)
        self.forget()

    def forget(self) -> None:
        """Take its files away; a process that runs goes on."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _json_of(text: str) -> Any:
    lines = [line for line in text.splitlines() if line.startswith("{")]
    try:
        return json.loads(lines[-1]) if lines else None
    except ValueError:
        return None


class ProcessJob:
    """A job of the window (``gui.desk.Job``): a command of rtloop that answers in JSON on stdout, within a deadline.

    ``accept`` makes the result of what was told; a code in ``fine`` is no failure (the answer itself says what is wrong).
    """

    def __init__(
        self, command: Sequence[str], accept: Callable[[dict[str, Any]], Any], *, deadline_s: float, doing: str,
        fine: Sequence[int] = (0,), drop: Sequence[str] = (), clock: Clock = WALL,
    ) -> None:  # fmt: skip
        self._accept, self._fine, self._doing, self._clock = accept, tuple(fine), doing, clock
        self._result: Any = None
        self._error = ""
        self._progress = (float("nan"), doing)
        self._deadline_s, self._end_s = deadline_s, clock.now_s() + deadline_s
        self._spawned: Spawned | None = None
        try:
            self._spawned = Spawned(command, drop=drop)
        except OSError as err:
            self._error = f"{doing}: no process could be started ({err})"

    @property
    def done(self) -> bool:
        spawned = self._spawned
        if spawned is None:
            return True
        code = spawned.code
        if code is None:
            if self._clock.now_s() < self._end_s:
                return False
            self._error = f"{self._doing}: no answer within {self._deadline_s:g} s; try again"
        else:
            self._take(spawned, code)
        spawned.end()
        self._spawned = None
        return True

    def _take(self, spawned: Spawned, code: int) -> None:
        told = _json_of(spawned.out())
        if code in self._fine and isinstance(told, dict) and "error" not in told:
            try:
                self._result = self._accept(told)
                return
            except (KeyError, TypeError, ValueError) as err:
                self._error = f"{self._doing}: the answer cannot be understood ({err!r})"
                return
            except RtloopError as err:
                self._error = str(err)
                return
        self._error = "; ".join(spawned.problem()) or f"{self._doing}: it ended without an answer"

    @property
    def result(self) -> Any:
        return self._result

    @property
    def error(self) -> str:
        return self._error

    @property
    def progress(self) -> tuple[float, str]:
        if self._spawned is not None:
            for line in reversed(self._spawned.last_words()[-3:]):
                if found := _SHARE.match(line):
                    self._progress = (min(1.0, int(found[1]) / 100), found[2] or self._doing)
                    break
        return self._progress

    def cancel(self) -> None:
        if self._spawned is not None:
            self._spawned.end()
            self._spawned = None
            self._error = self._error or f"{self._doing}: cancelled"
