"""Prints frames, result -> pixels, start, and the acquisition beside a drawing window, during a simulated mapping.

python tests/bench/bench_window.py [--seconds 80] [--turns 6] [--starts 5] [--channels 63] [--rate 5000]

The window is the product's own at 1920 x 1080 without a screen, joined to a real engine whose amplifier and unit are
simulated in real time; its own buttons are pressed. About 8 minutes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
os.environ.setdefault("RTLOOP_LSL_SESSION", f"bench-{uuid.uuid4().hex[:12]}")

from bench_acquisition import ours, sender  # noqa: E402

from rtloop.priority import threads_first  # noqa: E402

#: the way of ``rtloop gui --simulate``, and the instant at which its first picture is whole
_FIRST_PICTURE = """
import sys, time
from PySide6.QtCore import QTimer
import gui.window
def paintEvent(self, event):
    if not hasattr(self, "painted"):
        self.painted = True
        QTimer.singleShot(0, said)
def said():
    print("first picture", time.monotonic(), flush=True)
    QTimer.singleShot(0, leave)
def leave():
    for window in gui.window.QApplication.topLevelWidgets():
        if isinstance(window, gui.window.Window):
            window.leave()
gui.window.Window.paintEvent = paintEvent
sys.argv = ["rtloop", "gui", "--simulate", "--data-dir", sys.argv[1]]
from rtloop.app.cli import main
main()
"""


def starts_s(folder: Path, times: int) -> list[float]:
    """Seconds from the start of the process to its first whole picture; the first, which warms the cache, is left out."""
    environ = {
        **os.environ, "QT_QPA_PLATFORM": "offscreen", "PYQTGRAPH_QT_LIB": "PySide6", "XDG_CONFIG_HOME": str(folder / "start")
    }  # fmt: skip
    found = []
    for _ in range(times + 1):
        start_s = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-c", _FIRST_PICTURE, str(folder / "data")], env=environ, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        assert child.stdout is not None
        seen_s = [float(line.split()[-1]) for line in child.stdout if line.startswith("first picture")]
        child.wait(30.0)
        found.append(seen_s[0] - start_s)
    return found[1:]


def amplifier(*arguments: Any) -> None:
    """Spawned: it stands for a computer of its own, so it goes before all that is measured, where the system lets it."""
    with threads_first():
        sender(*arguments)


class Beside:
    """An amplifier process and the product's acquisition, as in bench_acquisition.py; keeps (arrival, latency) in s."""

    def __init__(self, folder: Path, rate_hz: float, chunk: int = 10) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._sender = context.Process(target=amplifier, args=(self._stop, 64, rate_hz, chunk), daemon=True)
        self._sender.start()
        self._run, self._close = ours(str(folder))
        self._end = threading.Event()
        self.pieces: list[tuple[float, float, np.ndarray]] = []
        self._thread = threading.Thread(target=self._measure, daemon=True)
        self._thread.start()

    def _measure(self) -> None:
        while not self._end.is_set():
            start_s = time.monotonic()
            latency_s = self._run(start_s + 0.5)
            self.pieces.append((start_s, time.monotonic(), latency_s))

    def close(self) -> None:
        self._end.set()
        self._thread.join(3.0)
        self._close()
        self._stop.set()
        self._sender.join(3.0)
        self._sender.kill()

    def within(self, spans: list[tuple[float, float]]) -> np.ndarray:
        kept = [x for a, b, x in self.pieces if any(a >= s and b <= e for s, e in spans)]
        return np.concatenate(kept) if kept else np.empty(0)


def mapped(folder: Path, options: argparse.Namespace) -> tuple[dict[str, Any], Beside | None]:
    """One mapping in a window of a process of its own; afterwards the acquisition beside it, the window drawing or not."""
    out = folder / "measured.json"
    command = [sys.executable, str(HERE / "window_tools.py"), "--folder", str(folder), "--out", str(out)]
    for name in ("seconds", "turns", "channels", "rate"):
        command += [f"--{name}", str(getattr(options, name))]
    environ = {k: v for k, v in os.environ.items() if k != "RTLOOP_LSL_SESSION"}
    child = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    beside: Beside | None = None
    assert child.stdout is not None
    try:
        for line in child.stdout:
            if line.strip() == "beside":
                beside = Beside(folder, options.rate)
        child.wait(60.0)
    finally:
        if beside is not None:
            beside.close()
        if child.poll() is None:
            child.kill()
            child.wait()
    told = json.loads(out.read_text(encoding="utf-8"))
    if "failed" in told:
        sys.exit(told["failed"])
    return told, beside


def percentiles(values: Any) -> str:
    p50, p95, p99, most = np.percentile(np.asarray(values) * 1e3, [50, 95, 99, 100])
    return f"p50 {p50:6.1f}   p95 {p95:6.1f}   p99 {p99:6.1f}   max {most:6.1f} ms   n {len(values)}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=80.0, help="of frames and results")
    parser.add_argument(
        "--turns", type=int, default=6, help="of 8 s drawing, 8 s not; 0: no acquisition beside it"
    )
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--channels", type=int, default=63)
    parser.add_argument("--rate", type=float, default=5000.0)
    options = parser.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        folder = Path(place)
        started = starts_s(folder, options.starts) if options.starts else []
        told, beside = mapped(folder, options)
    frames = np.array(told["frames_s"])
    ends = np.array([b for _, b in told["paints"]])
    results = [b - a for a, b in told["results"]]
    print(
        f"{options.channels} EEG channels x {options.rate:g} Hz, 1920 x 1080, {told['pulses']} pulses in {told['seconds']:.0f} s"
    )
    print(
        f"frames a second            {len(frames) / told['seconds']:.1f} (its work alone allows {1 / frames.mean():.0f})"
    )
    print(f"work of one frame          {percentiles(frames)}")
    print(f"  of it computing          {percentiles(told['cpu_s'])}")
    print(f"  look and show            {percentiles([b - a for a, b in told['looks']])}")
    print(f"  painting                 {percentiles([b - a for a, b in told['paints']])}")
    print(f"from picture to picture    {percentiles(np.diff(ends))}")
    if results:
        print(f"result -> pixels           {percentiles(results)}   goal 50")
    cpu = "   ".join(f"{role} {share:.0%}" for role, share in told["cpu"].items())
    print(f"CPU of a core              {cpu}   (window: {told['rss_mb']:.0f} MB)")
    if started:
        print(
            f"start -> first picture     median {np.median(started):.2f}   max {max(started):.2f} s   n {len(started)}   goal 3"
        )
    if beside is not None:
        rows, turns = {}, {}
        for name, drawing in (("the window draws", True), ("it stands still", False)):
            spans = [(a, b) for a, b, d in told["spans"] if d is drawing]
            latency = beside.within(spans)
            rows[drawing] = np.percentile(latency * 1e6, [50, 99, 100])
            turns[drawing] = np.array(
                [np.percentile(beside.within([span]) * 1e6, [50, 99]) for span in spans]
            )
            print(
                f"acquisition, {name:20s} p50 {rows[drawing][0]:5.0f}   p99 {rows[drawing][1]:6.0f}   "
                f"max {rows[drawing][2]:6.0f} µs   n {len(latency)}"
            )
        ratio = rows[True] / rows[False]
        print(f"acquisition, ratio               p50 {ratio[0]:.2f}   p99 {ratio[1]:.2f}")
        n = min(len(turns[True]), len(turns[False]))
        each = turns[True][:n] / turns[False][:n]  # neighbours in time: what else the machine did is alike
        low, middle, high = np.percentile(each, [25, 50, 75], axis=0)
        print(
            f"  of neighbouring turns, median  p50 {middle[0]:.2f} ({low[0]:.2f} to {high[0]:.2f})   "
            f"p99 {middle[1]:.2f} ({low[1]:.2f} to {high[1]:.2f}; quartiles of {n})"
        )


if __name__ == "__main__":
    main()
