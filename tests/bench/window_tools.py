"""Owns a real window at work for the benches: no screen, a simulated bedside, its own buttons pressed, every frame timed.

Run as a program it is the child of bench_window.py: it holds one mapping and writes what it measured as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")

import numpy as np
import psutil
from PySide6.QtCore import QEvent, QTimer
from PySide6.QtWidgets import QApplication, QPushButton

import gui.live
from gui.app import application, real_parts
from gui.desk import Form
from gui.window import Window
from rtloop.app.window import AppDesk
from rtloop.board import Board
from rtloop.errors import RtloopError

PRESS_EVERY_MS, PRESS_AGAIN_S = 200, 1.0
TARGETS = (("M1", "C3"), ("DLPFC", "F3"), ("ACC", "FCz"), ("PSI", "C5"))
_PLAN = """[plan]
name = "bench"
kind = "map"
schema = 1
[unit]
model = "200"
coil = "70 mm figure-of-eight"
waveform = "monophasic"
[timing]
isi_s = [2.1, 2.3]
lead_s = 0.5
[caps]
power_pct_mso_max = 49
pulses_total_max = 1400
[signal]
window_ms = [15.0, 300.0]
gap_ms = [-2.0, 10.0]
limits = "to_recording"
[arm]
question = "none"
[order]
kind = "as_listed"
"""
_TARGET = """[[targets]]
name = "{name}"
coil_at = "{at}"
intensity_pct_mso = 45
pulses_wanted = {wanted}
pulses_max = {most}
preview = {{ pulses = 2, steps_pct_mso = [45] }}
accept = {{ early_response_uv_min = 6.0, rejected_share_max = 0.3 }}
"""


def plan_file(folder: Path, wanted: tuple[int, ...]) -> Path:
    """A plan of so many good pulses for each target, one every 2.1 to 2.3 s, the fastest a 200² does at this power."""
    rows = [
        _TARGET.format(name=name, at=at, wanted=n, most=n + n // 5 + 4)
        for (name, at), n in zip(TARGETS, wanted, strict=False)
    ]
    path = folder / "bench.toml"
    path.write_text(_PLAN + "".join(rows), encoding="utf-8")
    return path


class TimedWindow(Window):
    """The product's window; each look and each painting of the whole window is timed with the journal's clock.

    ``looks`` and ``paints`` are (start, end) in s; ``results`` are (instant of ``scores_updated`` in the journal, instant
    at which the next painting was done).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.looks: list[tuple[float, float]] = []
        self.paints: list[tuple[float, float]] = []
        self.results: list[tuple[float, float]] = []
        self.cpu_s: list[float] = []  # of each frame: what it computed, waiting for a core not counted
        self._unseen_s: list[float] = []
        fold = gui.live.fold

        def noting(view: Any, event: Any) -> Any:
            if event.kind == "scores_updated":
                self._unseen_s.append(event.t_s)
            return fold(view, event)

        gui.live.fold = noting
        super().__init__(*args, **kwargs)

    def tick(self) -> None:
        start_s, cpu_s = time.monotonic(), time.thread_time()
        super().tick()
        self.looks.append((start_s, time.monotonic()))
        self.cpu_s.append(time.thread_time() - cpu_s)

    def event(self, event: QEvent) -> bool:
        if event.type() is not QEvent.Type.UpdateRequest:
            return super().event(event)
        start_s, cpu_s, taken = time.monotonic(), time.thread_time(), len(self._unseen_s)
        done = super().event(event)  # everything that changed is painted into the window's buffer here
        end_s = time.monotonic()
        if self.cpu_s:
            self.cpu_s[-1] += time.thread_time() - cpu_s
        self.paints.append((start_s, end_s))
        self.results += [(t_s, end_s) for t_s in self._unseen_s[:taken]]
        del self._unseen_s[:taken]
        return done

    def draws(self, wanted: bool) -> None:
        """Whether it looks and draws; presence is shown all the same, so that the session goes on."""
        if wanted:
            self.tempo.start()
        else:
            self.tempo.stop()

    def forget_times(self) -> None:
        for kept in (self.looks, self.paints, self.results, self.cpu_s):
            kept.clear()


def frame_times_s(window: TimedWindow) -> np.ndarray:
    """Seconds of each frame's work: the look, and the paintings until the next look."""
    starts = np.array([a for a, _ in window.looks])
    took = np.array([b - a for a, b in window.looks])
    for a, b in window.paints:
        at = int(np.searchsorted(starts, a)) - 1
        if at >= 0:
            took[at] += b - a
    return took


class Operator:
    """Starts a mapping on the start screen and presses whatever button is the next step, as a person would."""

    def __init__(self, window: TimedWindow, say: Callable[[str], None], *, again: bool = False) -> None:
        """``again``: start the next session when one has ended."""
        self.window, self.say, self.again = window, say, again
        self.sessions = 0
        self.phase = ""
        self.runs = 0  # runs of targets seen so far
        self._pressed_s = self._ended_s = 0.0
        self._timer = QTimer(window)
        self._timer.setProperty("bench", True)
        self._timer.timeout.connect(self.act)
        self._timer.start(PRESS_EVERY_MS)

    @property
    def pulses(self) -> int:
        live = self.window.live
        return 0 if live is None else len(live.source.view.pulses)

    @property
    def blocks(self) -> int:
        """Blocks in which at least one pulse was given."""
        live = self.window.live
        given = () if live is None else live.source.view.pulses.values()
        return len({(p.get("target"), p.get("block")) for p in given})

    def act(self) -> None:
        window, now_s = self.window, time.monotonic()
        if window.left or now_s - self._pressed_s < PRESS_AGAIN_S:
            return
        if window.here == "start":
            self._start(now_s)
        elif window.live is not None and window.live.shown is not None:
            shown = window.live.shown
            if shown.question.phase != self.phase:
                self.phase = shown.question.phase
                self.runs += self.phase == "run"
                self.say(f"{self.phase}: {shown.question.words}")
            if not window.live.over:
                self._ended_s = 0.0
                self._press(window.screen("session").question, now_s)
            elif self.again:
                self._ended_s = self._ended_s or now_s
                if now_s - self._ended_s > 3.0:  # the operator looks at the end for a moment
                    self._ended_s = 0.0
                    window.screen("session").again.click()

    def _start(self, now_s: float) -> None:
        start = self.window.screen("start")
        if not start.start.isEnabled():
            return
        self._pressed_s = now_s
        self.sessions += 1
        start.form.participant.setText(f"S{self.sessions:03d}")  # a day's limit is one participant's
        start.start.click()
        self.say(f"session {self.sessions} is started")

    def _press(self, panel: Any, now_s: float) -> None:
        for button in panel.findChildren(QPushButton):
            if button.property("primary") == "true" and button.isVisible() and button.isEnabled():
                self._pressed_s = now_s
                button.click()
                return


def open_window(folder: Path, wanted: tuple[int, ...], channels: int, rate_hz: float) -> TimedWindow:
    """A window of 1920 x 1080 on its start screen, filled in for a simulated mapping; its settings are the folder's own."""
    os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
    form = Form(
        kind="map", plan=str(plan_file(folder, wanted)), participant="S000", mode="SIMULATED", simulate=True, seed=1,
        data_dir=str(folder / "data"), channels=channels, rate_hz=rate_hz,
    )  # fmt: skip
    application()
    desk = AppDesk()
    desk.look_in(folder / "data")
    window = TimedWindow(desk, real_parts(desk, form), theme="dark")
    window.resize(1920, 1080)
    window.go("start")  # never begin(): it would join a session that is not ours
    window.show()
    return window


def close_window(window: TimedWindow, within_s: float = 20.0) -> None:
    """End the session by the operator's word, wait until its processes are gone, close."""
    app, end_s = QApplication.instance(), time.monotonic() + within_s
    window.draws(True)
    for timer in window.findChildren(QTimer):  # whoever presses buttons or measures
        if timer.property("bench"):
            timer.stop()
    if window.runs:
        window.say("stop")
    while window.runs and time.monotonic() < end_s:
        app.processEvents()
        time.sleep(0.02)
    for child in psutil.Process().children(recursive=True):
        try:
            child.wait(max(0.1, end_s - time.monotonic()))
        except psutil.TimeoutExpired:
            child.kill()
    window.leave()
    app.processEvents()


def processes(window: TimedWindow) -> dict[str, psutil.Process]:
    """The living processes of the session: window, engine, port, recorder, sim."""
    found = {"window": psutil.Process()}
    if window.live is None or window.live.over:
        return found
    try:
        with Board(window.live.source.folder.board) as board:
            pids = {board[f"pid_{role}"]: role for role in ("engine", "port", "recorder")}
        engine = psutil.Process(next(pid for pid, role in pids.items() if role == "engine"))
        for process in (engine, *engine.children()):
            role = pids.get(process.pid, "sim" if "spawn_main" in " ".join(process.cmdline()) else "")
            if role:
                found[role] = process
    except (RtloopError, OSError, psutil.Error):
        return found
    return found


def _measure(options: argparse.Namespace) -> None:
    folder = Path(options.folder)
    window = open_window(folder, (6, 300), options.channels, options.rate)
    operator = Operator(window, lambda words: print(f"  {words}", file=sys.stderr, flush=True))
    app, me = QApplication.instance(), psutil.Process()
    told: dict[str, Any] = {}
    state: dict[str, Any] = {"phase": "wait", "until_s": time.monotonic() + 180.0, "spans": []}

    def cpu_s(process: psutil.Process) -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    def step() -> None:
        now_s = time.monotonic()
        if state["phase"] == "wait":
            if now_s > state["until_s"]:
                told["failed"] = "the mapping did not come to its second target"
                app.exit(0)  # quit() would ask the window, which would ask the operator
            elif operator.runs >= 2 and operator.phase == "run":
                window.forget_times()
                who = processes(window)
                state.update(
                    phase="draw", since_s=now_s, until_s=now_s + options.seconds, who=who,
                    cpu={r: cpu_s(p) for r, p in who.items()}, pulses=operator.pulses,
                )  # fmt: skip
        elif now_s < state["until_s"]:
            return
        elif state["phase"] == "draw":
            took_s = now_s - state["since_s"]
            told.update(
                frames_s=frame_times_s(window).tolist(), cpu_s=list(window.cpu_s), looks=list(window.looks),
                paints=list(window.paints),
                results=list(window.results), seconds=took_s, pulses=operator.pulses - state["pulses"],
                cpu={r: (cpu_s(p) - state["cpu"][r]) / took_s for r, p in state["who"].items()},
                rss_mb=me.memory_info().rss / 1e6,
            )  # fmt: skip
            if not options.turns:
                app.exit(0)
                return
            print("beside", flush=True)  # the acquisition beside it may begin
            state.update(phase="turns", until_s=now_s + 4.0)
        else:
            spans = state["spans"]
            if spans:
                spans[-1][1] = now_s
            if len(spans) >= 2 * options.turns:
                told["spans"] = spans
                app.exit(0)
                return
            drawing = len(spans) % 2 == 0
            window.draws(drawing)
            spans.append([now_s + 0.5, 0.0, drawing])
            state["until_s"] = now_s + options.turn_s

    timer = QTimer(window)
    timer.timeout.connect(step)
    timer.start(100)
    app.exec()
    timer.stop()
    close_window(window)
    Path(options.out).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--turns", type=int, default=0)
    parser.add_argument("--turn-s", type=float, default=8.0)
    parser.add_argument("--channels", type=int, default=63)
    parser.add_argument("--rate", type=float, default=5000.0)
    _measure(parser.parse_args())
