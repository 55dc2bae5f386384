"""``rtloop gui`` as a process that is killed, frozen, interrupted or doubled while it maps: the engine lives and holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtloop.board import Board
from rtloop.errors import RtloopError
from rtloop.model.event import Event
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.verify import verify

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="processes are ended by POSIX signals"),
    pytest.mark.timeout(300),  # about 40 s on a quiet machine
]
WALK = Path(__file__).resolve().parents[1] / "gui_walk.py"


class Ground:
    """Windows of one data folder, each a process, and what the session of that folder shows from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.windows: list[subprocess.Popen[bytes]] = []
        self._files: list[Any] = []
        (folder / "data").mkdir()

    def open(self, do: str, *arguments: str) -> subprocess.Popen[bytes]:
        """``rtloop gui`` with a person (gui_walk) in front of it."""
        said = (self.folder / f"said-{len(self.windows)}").open("wb")
        self._files.append(said)
        environ = {
            **os.environ,
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "QT_QPA_PLATFORM": "offscreen",
        }
        command = [
            sys.executable,
            str(WALK),
            str(self.folder),
            do,
            "--data-dir",
            str(self.folder / "data"),
            *arguments,
        ]
        self.windows.append(
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, env=environ
            )
        )
        return self.windows[-1]

    def start(self) -> subprocess.Popen[bytes]:
        """A window that maps: armed, its first pulse out."""
        from gui_walk import small_plan

        plan = small_plan(self.folder, wanted=5, preview=20, steps=(45,))
        window = self.open(
            "run",
            "--simulate",
            "--plan",
            str(plan),
            "--channels",
            "16",
            "--rate-hz",
            "1000",
            "--participant",
            "P1",
        )
        self.until(lambda: self.kinds("pulse_closed"), "the first pulse", 120.0)
        return window

    @property
    def session(self) -> SessionFolder:
        return SessionFolder.all_in(self.folder / "data")[-1]

    def kinds(self, kind: str) -> list[Event]:
        try:
            return [e for e in read_journal(self.session.journal).events if e.kind == kind]
        except (RtloopError, OSError, IndexError):  # there is no session yet
            return []

    def board(self, slot: str) -> int:
        with Board(self.session.board) as board:
            return board[slot]

    def seen(self, window: subprocess.Popen[bytes]) -> str:
        """Everything that stood on a window's screen, a line each."""
        path = self.folder / f"seen-{window.pid}"
        return path.read_text() if path.exists() else ""

    def gone(self) -> list[str]:
        """Why the operator was missed, after the session's start."""
        words = [e.data["words"] for e in self.kinds("fault_raised") if e.data["fault"] == "operator_gone"]
        return [w for w in words if "no window has taken" not in w]

    def until(self, true: Callable[[], Any], what: str, within_s: float = 15.0) -> Any:
        end_s = time.monotonic() + within_s
        while not (found := true()):
            if time.monotonic() > end_s:
                told = [
                    f"--- {p.name}\n{p.read_text()[-2500:]}"
                    for p in sorted(self.folder.glob("se*-*")) + sorted(self.folder.glob("said-*"))
                ]
                raise AssertionError("\n".join([f"not within {within_s:g} s: {what}", *told]))
            time.sleep(0.02)
        return found

    def disarmed(self) -> bool:
        return self.board("unit_instr") & 0b110 == 0

    def no_more_pulses(self, for_s: float = 2.6) -> None:
        n = len(self.kinds("pulse_intended"))
        time.sleep(for_s)
        assert len(self.kinds("pulse_intended")) == n, "a pulse without two steps of arming"

    def goes_on(self, within_s: float = 30.0) -> None:
        """Pulses again, after both steps of arming."""
        n = len(self.kinds("pulse_intended"))
        self.until(lambda: len(self.kinds("pulse_intended")) > n, "pulses go on", within_s)
        order = [
            e.kind
            for e in read_journal(self.session.journal).events
            if e.kind in ("fault_raised", "arm_requested", "arm_confirmed", "pulse_intended")
        ]
        last = len(order) - 1 - order[::-1].index("arm_confirmed")
        assert "arm_requested" in order[:last]

    def end(self) -> None:
        """The engine is asked for its clean end; the record is whole."""
        engine = self.board("pid_engine")
        os.kill(engine, signal.SIGTERM)
        self.until(lambda: self.kinds("session_ended"), "the end", 30.0)
        from gui_walk import lives

        self.until(lambda: not lives(engine), "the engine left", 30.0)
        found = verify(self.session.path)
        assert found.ok, found.lines

    def close(self) -> None:
        from gui_walk import end_all, left_behind

        for window in self.windows:
            if window.poll() is None:
                window.send_signal(signal.SIGCONT)
                window.kill()
            window.wait(10.0)
        end_all(self.folder / "data")
        for file in self._files:
            file.close()
        left = left_behind(self.folder / "data")
        assert not left, f"left behind: {left}"


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = Ground(tmp_path)
    yield ground
    ground.close()


@pytest.mark.req("R-PRESENCE")
def test_a_killed_window_holds_and_the_next_one_goes_on(ground: Ground) -> None:
    window = ground.start()
    engine = ground.board("pid_engine")
    window.kill()
    window.wait(5.0)
    killed_s = time.monotonic()
    ground.until(ground.gone, "the engine misses its operator", 3.0)
    ground.until(ground.disarmed, "the unit is disarmed", 3.0)
    assert time.monotonic() - killed_s < 3.5
    ground.no_more_pulses()
    assert ground.board("pid_engine") == engine
    assert not ground.kinds("session_ended")

    again = ground.open("run")  # not told which: the only one that runs
    ground.until(lambda: "| ours |" in ground.seen(again), "the seat is taken by the new window", 60.0)
    ground.goes_on()
    assert ground.board("pid_engine") == engine

    again.send_signal(signal.SIGINT)  # Ctrl-C in its terminal
    assert again.wait(10.0) == 0
    n = len(ground.gone())
    ground.until(lambda: ground.disarmed() and len(ground.gone()) >= min(2, n + 1), "held again", 4.0)
    assert "the session goes on without it" in (ground.folder / "said-1").read_text()
    ground.no_more_pulses()
    ground.end()


@pytest.mark.req("R-PRESENCE")
def test_a_frozen_window_is_as_absent_as_a_dead_one_and_another_only_watches(ground: Ground) -> None:
    window = ground.start()
    watching = ground.open("look", "--attach", str(ground.session.path))
    ground.until(lambda: "| another |" in ground.seen(watching), "the second window watches", 60.0)
    assert "this one watches" in ground.seen(watching)
    n = len(ground.kinds("pulse_intended"))
    ground.until(lambda: len(ground.kinds("pulse_intended")) > n, "it takes nothing from the first", 60.0)

    window.send_signal(signal.SIGSTOP)
    try:
        ground.until(ground.gone, "the engine misses its operator", 3.0)
        ground.until(ground.disarmed, "the unit is disarmed", 3.0)
        ground.no_more_pulses()
    finally:
        window.send_signal(signal.SIGCONT)
    ground.goes_on()

    stopping = ground.open("stop", "--attach", str(ground.session.path))  # has no seat, and its STOP works
    ground.until(lambda: ground.board("stop_served"), "STOP was served", 60.0)
    assert (ground.board("stop_served") - ground.board("stop_asked")) * 1e-9 < 0.25
    ground.until(lambda: ground.board("stop_confirmed") == 1, "the unit's own word", 3.0)
    assert ground.disarmed()
    ground.until(lambda: "STOP" in ground.seen(watching), "every window says it", 20.0)
    ground.until(lambda: ground.kinds("session_ended"), "the session ends", 60.0)
    assert "| ours |" not in ground.seen(stopping)

    engine = ground.kinds("session_ended") and ground.session
    ground.until(lambda: (engine.path / "report.html").exists(), "the report", 60.0)
    assert verify(ground.session.path).ok
