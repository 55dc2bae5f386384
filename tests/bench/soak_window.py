"""Maps at the simulated bedside for an hour in one real window and tells what grew: memory, threads, files, widgets, frames.

python tests/bench/soak_window.py [--minutes 60] [--pulses 180] [--every 10] [--csv FILE] [--trace]

The window is the product's own at 1920 x 1080 without a screen, its buttons are pressed; when a session (four targets of
``--pulses`` good pulses) ends, the next is started in the same window. Growth is a straight line fitted after the first five
minutes (of each session for the engine, which is a process of its own for each). Ends with 1 when the window, or the engine
beyond its history of trials, grew by more than 20 MB in an hour. ``--trace`` also tells the lines of Python whose memory grew.
"""

from __future__ import annotations

import argparse
import csv
import gc
import sys
import tempfile
import threading
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import psutil
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from window_tools import Operator, TimedWindow, close_window, frame_times_s, open_window, processes

from rtloop.dsp.spec import ChainSpec
from rtloop.model.montage import Montage, names_for
from rtloop.session.scorer import TargetScorer

MOST_MB_H, SETTLED_MIN = 20.0, 5.0
ROLES = ("window", "engine", "port", "recorder", "sim")


def history_mb(channels: int, rate_hz: float) -> tuple[float, float]:
    """MB that the engine keeps on purpose: of one trial (exact errors, reinstating), and of one block (its sums)."""
    scorer = TargetScorer("M1", ChainSpec(), rate_hz, Montage.from_names(names_for(channels)))
    trial = block = 0.0
    for part in (scorer._connectivity, scorer._evoked):
        for array in vars(part).values():
            if isinstance(array, np.ndarray) and array.shape[:1] == (part.slots.capacity,):
                trial += array.nbytes / len(array) / 1e6
            elif isinstance(array, np.ndarray):
                block += array.nbytes / 1e6
    return trial, block


def growth_per_h(minutes: np.ndarray, values: np.ndarray) -> float:
    """Slope of the straight line through (minutes, values), per hour; NaN where there is too little."""
    ok = np.isfinite(values)
    if ok.sum() < 6 or np.ptp(minutes[ok]) < 1.0:
        return float("nan")
    return float(np.polyfit(minutes[ok] / 60.0, values[ok], 1)[0])


class Samples:
    """One row each ``every_s``: sizes in MB, counts, and the frames since the last row."""

    def __init__(self, window: TimedWindow, operator: Operator, every_s: float) -> None:
        self.window, self.operator = window, operator
        self.rows: list[dict[str, float]] = []
        self._start_s = time.monotonic()
        self._timer = QTimer(window)
        self._timer.timeout.connect(self.take)
        self._timer.start(round(every_s * 1000))

    def take(self) -> None:
        frames = frame_times_s(self.window) * 1e3
        self.window.forget_times()
        row = {
            "minute": (time.monotonic() - self._start_s) / 60.0, "session": float(self.operator.sessions),
            "pulses": float(self.operator.pulses), "widgets": float(len(QApplication.allWidgets())),
            "frames": float(len(frames)), "blocks": float(self.operator.blocks),
        }  # fmt: skip
        for name, share in (("p50", 50), ("p99", 99), ("max", 100)):
            row[f"frame_{name}_ms"] = float(np.percentile(frames, share)) if len(frames) else float("nan")
        who = processes(self.window)
        self.rows.append(row)
        threading.Thread(
            target=self._sizes, args=(who, row), daemon=True
        ).start()  # /proc is slow: not in a frame

    @staticmethod
    def _sizes(who: dict[str, psutil.Process], row: dict[str, float]) -> None:
        for role, process in who.items():
            try:
                full = process.memory_full_info()
                row[f"{role}_rss"] = full.rss / 1e6
                row[f"{role}_pss"] = getattr(full, "pss", float("nan")) / 1e6
                # without mapped files, whose share of each process changes as the others come and go
                row[f"{role}_own"] = (full.rss - full.shared if hasattr(full, "shared") else full.uss) / 1e6
                row[f"{role}_threads"] = float(process.num_threads())
                if hasattr(process, "num_fds"):
                    row[f"{role}_files"] = float(process.num_fds())
            except psutil.Error:
                continue

    def column(self, name: str) -> np.ndarray:
        return np.array([row.get(name, np.nan) for row in self.rows])


def told(samples: Samples) -> list[str]:
    """Prints the table; returns what grew too much."""
    minutes, session, pulses = (samples.column(n) for n in ("minute", "session", "pulses"))
    late = minutes >= min(SETTLED_MIN, minutes[-1] / 2)
    bad = []
    print(f"\n{minutes[-1]:.0f} min, {int(session[-1])} session(s); fitted after {minutes[late][0]:.1f} min")
    print(f"{'':26s}{'at first':>10s}{'at last':>10s}{'most':>10s}{'per hour':>12s}")

    def line(name: str, label: str) -> float:
        values = samples.column(name)
        there = late & np.isfinite(values)
        if not there.any():
            return float("nan")
        slope = growth_per_h(minutes[there], values[there])
        kept = values[there]
        print(f"{label:26s}{kept[0]:10.1f}{kept[-1]:10.1f}{kept.max():10.1f}{slope:+12.1f}")
        return slope

    line("window_rss", "window RSS MB")  # with the shared ring and pages, as far as it touched them
    line("window_pss", "window PSS MB")
    slope = line("window_own", "window own memory MB")
    if slope > MOST_MB_H:
        bad.append(f"the window grew by {slope:.0f} MB in an hour")
    for name in ("threads", "files"):
        line(f"window_{name}", f"window {name}")
    line("widgets", "widgets")
    for name in ("p50", "p99", "max"):
        line(f"frame_{name}_ms", f"frame {name} of 10 s, ms")
    for role in ROLES[2:]:
        line(f"{role}_own", f"{role} own memory MB")
    for n in np.unique(session[session > 0]):
        of = (session == n) & (pulses > 0) & np.isfinite(samples.column("engine_own"))
        if of.sum() < 12:
            continue
        settled = of & (minutes >= minutes[of][0] + min(SETTLED_MIN, np.ptp(minutes[of]) / 2))
        values = samples.column("engine_own")
        slope = growth_per_h(minutes[settled], values[settled])
        per_pulse = (
            np.polyfit(pulses[settled], values[settled], 1)[0] if np.ptp(pulses[settled]) > 10 else np.nan
        )
        of_trial, of_block = history_mb(63, 5000.0)
        minutes_of, blocks = np.ptp(minutes[settled]), samples.column("blocks")[settled]
        explained = of_trial * np.ptp(pulses[settled]) + of_block * np.ptp(blocks)
        rest = slope - explained / minutes_of * 60.0
        print(
            f"engine of session {int(n)}, own: {values[settled][0]:.0f} to {values[settled][-1]:.0f} MB in {minutes_of:.0f} min, "
            f"{slope:+.0f} MB an hour ({per_pulse:.2f} MB a pulse); kept on purpose: {of_trial:.2f} MB a trial, "
            f"{of_block:.1f} MB a block; {rest:+.0f} MB an hour beyond that"
        )
        if rest > MOST_MB_H:
            bad.append(f"the engine of session {int(n)} grew by {rest:.0f} MB in an hour beyond its history")
    return bad


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--pulses", type=int, default=180, help="good pulses of each of the four targets")
    parser.add_argument("--every", type=float, default=10.0, help="s between two rows")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--trace", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        window = open_window(Path(place), (options.pulses,) * 4, 63, 5000.0)
        start_s = time.monotonic()

        def say(words: str) -> None:
            print(f"{(time.monotonic() - start_s) / 60:6.1f} min  {words}", flush=True)

        operator = Operator(window, say, again=True)
        samples = Samples(window, operator, options.every)
        app: Any = QApplication.instance()
        before: list[Any] = []

        def settled() -> None:
            gc.collect()
            if options.trace:
                tracemalloc.start(12)
                before.append(tracemalloc.take_snapshot())
            before.append(Counter(type(o).__name__ for o in gc.get_objects()))

        QTimer.singleShot(round(min(SETTLED_MIN, options.minutes / 2) * 60_000), settled)
        QTimer.singleShot(round(options.minutes * 60_000), lambda: app.exit(0))
        app.exec()
        gc.collect()
        more = Counter(type(o).__name__ for o in gc.get_objects()) - before[-1]
        if options.trace:
            for entry in tracemalloc.take_snapshot().compare_to(before[0], "lineno")[:25]:
                print(entry)
            tracemalloc.stop()
        close_window(window)
    bad = told(samples)
    print(
        "objects of Python, more than when settled: " + ", ".join(f"{k} {n}" for k, n in more.most_common(12))
    )
    if options.csv is not None:
        names = sorted({name for row in samples.rows for name in row})
        with open(options.csv, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(samples.rows)
    for words in bad:
        print(f"TOO MUCH: {words}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
