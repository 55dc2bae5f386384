"""Scripts as processes of their own, with a person (the test) at their terminal: ground for the tests of scripting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

from hardware_sim.magstim import UNLOCK_CODE
from rtloop.app.runtime import sweep
from rtloop.model.event import Event
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal

WORDS = "I am at the unit"
HEAD = """
import sys, time
from rtloop.app.scripting import Refused, stimulator
port, data_dir, eeg = sys.argv[1], sys.argv[2], (sys.argv[3] if len(sys.argv) > 3 else None)
site = sys.argv[0].replace("script.py", "rtloop.toml")
say = lambda *words: print(*words, flush=True)

def again(tms, do, times=20):
    # a computer that stood still for a moment holds; a person would ask again
    for _ in range(times):
        try:
            return do()
        except Refused as no:
            say("not yet:", no.reasons)
            tms.wait(0.5)
    raise SystemExit("refused again and again")
"""


def _as_at_a_terminal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Script:
    """A script that runs; everything it says is kept."""

    def __init__(self, folder: Path, body: str, *arguments: str) -> None:
        self.path = folder / "script.py"
        self.path.write_text(HEAD + textwrap.dedent(body))
        (folder / "rtloop.toml").write_text(f'[unit]\nunlock_code = "{UNLOCK_CODE}"\n')
        self.data_dir = folder / "data"
        self.said: list[str] = []
        self._answered = 0  # questions for the words of arming
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith("RTLOOP_") or k == "RTLOOP_LSL_SESSION"
        }
        environ = {**kept, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(self.path), arguments[0], str(self.data_dir), *arguments[1:]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
            preexec_fn=_as_at_a_terminal, env=environ,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())

    @property
    def text(self) -> str:
        return "\n".join(self.said)

    def until(self, words: str, within_s: float = 40.0) -> None:
        """Until the script has said ``words``."""
        end_s = time.monotonic() + within_s
        while words not in self.text:
            assert time.monotonic() < end_s, f"{words!r} was not said:\n{self.text}"
            assert self.process.poll() is None or words in self.text, f"ended without {words!r}:\n{self.text}"
            time.sleep(0.01)

    def type(self, words: str) -> None:
        """What a person types at the script's terminal."""
        assert self.process.stdin is not None
        self._answered = self.text.count("type within")
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def arm(self, until: str, within_s: float = 60.0) -> None:
        """Answer each question for the words of arming, until the script says that it is armed."""
        end_s = time.monotonic() + within_s
        while until not in self.text:
            assert time.monotonic() < end_s, f"{until!r} was not said:\n{self.text}"
            assert self.process.poll() is None or until in self.text, self.text
            if self.text.count("type within") > self._answered:
                self._answered = self.text.count("type within")
                time.sleep(0.1)
                self.type(WORDS)
            time.sleep(0.01)

    def ended(self, within_s: float = 40.0) -> int:
        """Its exit code."""
        code = self.process.wait(within_s)
        self._reader.join(5.0)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5.0)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        sweep()  # what a killed script left in memory

    def folder(self) -> SessionFolder:
        return SessionFolder.all_in(self.data_dir)[-1]

    def events(self) -> tuple[Event, ...]:
        return tuple(read_journal(self.folder().journal).events)

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Data of all events of one kind."""
        return [dict(e.data) for e in self.events() if e.kind == kind]
