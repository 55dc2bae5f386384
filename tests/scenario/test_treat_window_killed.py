"""A treatment whose window is killed while the unit is armed: a real engine, a window's process without a screen, SIGKILL."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtloop.board import Board
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are ended by POSIX signals")
#: what a window is to the engine: it joins, beats, answers as expected, arms; then it only beats
WINDOW = """
import sys, time
from pathlib import Path
from gui.live import LiveSession
from rtloop.record.folder import SessionFolder

session, told = LiveSession(SessionFolder(path=Path(sys.argv[1])), True), 0
while True:
    view, live = session.look()
    session.beat()
    if live.seat == "ours" and view.n_events > told:
        word = {"before": view.treatment.expected if view.treatment else "", "arm": "arm"}.get(view.phase, "")
        if view.phase == "before" and "sign NAME" in view.options:
            word = "sign"
        kinds = [h["kind"] for h in view.history if h["kind"] != "command_received"][-1:]
        if view.phase == "arm" and kinds == ["arm_requested"] and view.history[-1].get("accepted", True):
            word = "confirm"
        if word and view.lamp not in ("ARMED", "HELD"):
            session.say(word, *(["A. Nurse"] if word == "sign" else []))
            told = view.n_events + 1
            time.sleep(0.3)
    time.sleep(0.02)
"""


def until(true: Callable[[], Any], within_s: float, what: str) -> Any:
    end_s = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < end_s, what
        time.sleep(0.02)
    return found


def test_the_unit_is_disarmed_and_the_session_waits_for_the_next_window(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    command = [sys.executable, "-m", "rtloop.app.cli", "treat", "treat-quick", "--simulate", "--window", "--participant", "P017",
               "--by", "A. Nurse", "--data-dir", str(data)]  # fmt: skip
    words = (tmp_path / "engine.txt").open("w")
    engine = subprocess.Popen(command, stdout=words, stderr=words, start_new_session=True)
    window: subprocess.Popen[bytes] | None = None
    try:
        folder = until(
            lambda: next((f for f in SessionFolder.all_in(data) if (f.path / "link").exists()), None), 60.0, "the engine"
        )  # fmt: skip
        window = subprocess.Popen([sys.executable, "-c", WINDOW, str(folder.path)])

        def told(kind: str) -> list[dict[str, Any]]:
            return [dict(e.data) for e in read_journal(folder.journal).events if e.kind == kind]

        until(lambda: any(d["after"] == "ARMED" for d in told("lamp_changed")), 60.0, "armed")
        window.kill()
        killed_s = time.monotonic()
        until(lambda: any(d["fault"] == "operator_gone" and "window for" in d["words"] for d in told("fault_raised")),
              6.0, "the fault")  # fmt: skip
        assert time.monotonic() - killed_s < 5.0
        until(lambda: told("lamp_changed")[-1]["after"] in ("SAFE", "READY"), 3.0, "disarmed")
        assert engine.poll() is None  # it goes on recording, and waits
        with Board(folder.board) as board:
            assert board["seat_pid"] == 0
            n = board["durable_sample"]
            until(lambda: board["durable_sample"] > n, 5.0, "it goes on recording")
        engine.send_signal(signal.SIGTERM)
        assert engine.wait(30.0) == 6
        given = told("treatment_given")[-1]
        assert given["planned"] == given["delivered"] + given["refused"] + given["uncertain"]
        assert given["refused"] > 0
    finally:
        for process in filter(None, (window, engine)):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20.0)
        words.close()
