"""Owns a command at a terminal of its own (a pseudo-terminal): typed lines, what is said, Ctrl-C as a person gives it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """``rtloop ...`` at a pseudo-terminal; every wait has a deadline, and what was said is in every failure."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RTLOOP_")}
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rtloop.app.cli", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
            env=kept | environ, start_new_session=True, preexec_fn=_own_terminal,
        )  # fmt: skip
        os.close(theirs)
        self.text, self._read_to = "", 0

    def _read(self, within_s: float) -> bool:
        """What has come; False once the terminal is closed."""
        if select.select([self._ours], [], [], within_s)[0]:
            try:
                found = os.read(self._ours, 65536)
            except OSError:  # Linux: nobody has the other end open any more
                return False
            self.text += found.decode(errors="replace").replace("\r", "")
            return bool(found)
        return True

    def until(self, pattern: str, within_s: float = 60.0) -> str:
        """Until ``pattern`` (a regular expression) is said, after what was waited for before; what matched."""
        end_s = time.monotonic() + within_s
        while (match := re.compile(pattern).search(self.text, self._read_to)) is None:
            assert time.monotonic() < end_s, f"{pattern!r} was not said:\n{self.text}"
            assert self._read(0.1), f"it ended without {pattern!r}:\n{self.text}"
        self._read_to = match.end()
        return match[0]

    def types(self, line: str) -> None:
        """A line, as typed."""
        os.write(self._ours, f"{line}\n".encode())

    def answers(self, pattern: str, line: str) -> None:
        """Wait for a question, answer it."""
        self.until(pattern)
        self.types(line)

    def ctrl_c(self) -> None:
        """The key: the terminal itself sends the signal to everything in its foreground."""
        os.write(self._ours, b"\x03")

    def ends(self, within_s: float = 30.0) -> int:
        """Wait for its end; its exit code."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s and self._read(0.1) and self.process.poll() is None:
            pass
        return self.process.wait(max(0.1, end_s - time.monotonic()))

    def close(self) -> None:
        """Nothing is left behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5.0)
        os.close(self._ours)
