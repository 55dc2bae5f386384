"""Repaint of 10 s of live traces: our raster beside pyqtgraph's own modes, offscreen: python tests/bench/bench_traces.py.

A repaint is: take the samples, make the picture, have Qt paint it into the window's buffer. Prints medians and ratios in
one run; asserts nothing about time. pyqtgraph gets its samples channel by channel, already contiguous (a favour).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")

import numpy as np
import pyqtgraph as pg
from PySide6.QtWidgets import QApplication

from gui.panels.traces import TracesPanel
from gui.raster import Raster
from gui.theme import DARK
from rtloop.eeg.ring import Ring

RATE_HZ, WINDOW_S, FRAMES_PER_S = 5000.0, 10.0, 30
SIZE = (1600, 1000)


def median_ms(action, repeats: int) -> float:
    action()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        spent.append(time.perf_counter() - start)
    return 1e3 * float(np.median(spent))


def eeg(n_channels: int, n_samples: int) -> np.ndarray:
    """float32[n_samples, n_channels] µV: noise, a slow wave, the electrode's own offset."""
    rng = np.random.default_rng(0)
    t_s = np.arange(n_samples) / RATE_HZ
    wave = 20.0 * np.sin(2 * np.pi * (8.0 + rng.random(n_channels) * 4.0) * t_s[:, None])
    noise = 8.0 * rng.standard_normal((n_samples, n_channels), dtype=np.float32)
    return (wave + noise + 1000.0 * rng.standard_normal(n_channels)).astype(np.float32)


def raster_rows(ring: Ring, n: int, repeats: int) -> list[tuple[str, float]]:
    raster = Raster(n_channels=n, samples=round(WINDOW_S * RATE_HZ), width=SIZE[0], height=SIZE[1])
    columns, new = np.arange(n), SIZE[0] // int(WINDOW_S * FRAMES_PER_S) + 1

    def full() -> None:
        raster.blank()
        raster.sweep(ring, columns)
        raster.find_levels()
        raster.draw()

    def incremental() -> None:
        raster.newest -= new
        raster.sweep(ring, columns)
        raster.draw(200, 200 + new + raster.ahead)

    return [
        ("raster alone, all 10 s anew", median_ms(full, repeats)),
        ("raster alone, one frame's new columns", median_ms(incremental, repeats)),
    ]


def panel_rows(app: QApplication, ring: Ring, x: np.ndarray, n: int, repeats: int) -> list[tuple[str, float]]:
    panel = TracesPanel(DARK)
    panel.resize(*SIZE)
    panel.show()
    panel.set_source(ring, [f"E{i + 1}" for i in range(n)], range(n), RATE_HZ)
    app.processEvents()
    picture, painted = panel._picture, [0]
    paint = picture.paint

    def counted(*args) -> None:
        painted[0] += 1
        paint(*args)

    picture.paint = counted
    step, at = round(RATE_HZ / FRAMES_PER_S), [0]

    def feed(count: int) -> None:
        a = at[0] % (len(x) - count)
        ring.write(x[a : a + count], 0.0, 0.0)
        at[0] += count

    def full() -> None:
        picture.raster.blank()
        panel.tick()
        app.processEvents()

    spent = []
    for _ in range(5 * repeats):
        feed(step)
        start = time.perf_counter()
        panel.tick()
        app.processEvents()
        spent.append(time.perf_counter() - start)
    incremental = 1e3 * float(np.median(spent)), 1e3 * float(np.percentile(spent, 95))
    before = painted[0]
    whole = median_ms(full, repeats)
    assert painted[0] - before == repeats + 1, "a repaint did not reach the buffer"
    painted[0], start, fed = 0, time.perf_counter(), 0
    while (now := time.perf_counter() - start) < 2.0:
        due = int(now * RATE_HZ) - fed
        if due > 0:
            feed(due)
            fed += due
        panel.tick()
        app.processEvents()
    frames = painted[0]
    panel.close()
    panel.deleteLater()
    app.processEvents()
    size = f"{picture.raster.width} x {picture.raster.height}"
    return [
        (f"panel ({size}), all 10 s anew, painted", whole),
        (f"panel, new columns of one frame at {FRAMES_PER_S}/s, painted: median", incremental[0]),
        (f"panel, new columns of one frame at {FRAMES_PER_S}/s, painted: p95", incremental[1]),
        (f"panel, live ring, {frames / 2.0:.0f} frames/s (one per new column)", 2000.0 / frames),
    ]


def peer_rows(app: QApplication, x: np.ndarray, n: int, repeats: int) -> list[tuple[str, float]]:
    data = np.ascontiguousarray(x[: round(WINDOW_S * RATE_HZ), :n].T)
    data -= data.mean(axis=1, keepdims=True)
    data = data / 100.0 + np.arange(n, dtype=np.float32)[:, None]
    t_s = (np.arange(data.shape[1]) / RATE_HZ).astype(np.float32)
    kinds = {
        "pyqtgraph, curve per channel, plain": {},
        "pyqtgraph, curve per channel, auto subsample": {"auto": True, "method": "subsample"},
        "pyqtgraph, curve per channel, auto peak": {"auto": True, "method": "peak"},
        "pyqtgraph, curve per channel, peak, 2 points per pixel": {
            "ds": data.shape[1] // SIZE[0],
            "method": "peak",
        },
    }
    rows = []
    for name, options in kinds.items():
        rows.append((name, peer(app, n, t_s, list(data), options, repeats)))
    connect = np.ones(data.size, bool)
    connect[data.shape[1] - 1 :: data.shape[1]] = False
    one = [data.reshape(-1)]
    rows.append(
        (
            "pyqtgraph, one curve, connect array",
            peer(app, n, np.tile(t_s, n), one, {"connect": connect}, repeats),
        )
    )
    return rows


def peer(app, n: int, t_s: np.ndarray, curves: list[np.ndarray], options: dict, repeats: int) -> float:
    plot = pg.PlotWidget()
    plot.resize(*SIZE)
    plot.setRange(xRange=(0.0, WINDOW_S), yRange=(-1.0, float(n)), padding=0.0)
    plot.show()
    pen, connect = pg.mkPen("w"), options.pop("connect", None)
    more = {} if connect is None else {"connect": connect}
    items = [plot.plot(pen=pen, skipFiniteCheck=True) for _ in curves]
    for item in items:
        if options:
            item.setDownsampling(**options)
        item.setClipToView(bool(options))

    def repaint() -> None:
        for item, y in zip(items, curves, strict=True):
            item.setData(t_s, y, **more)
        app.processEvents()

    spent = median_ms(repaint, repeats)
    plot.close()
    plot.deleteLater()
    app.processEvents()
    return spent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--channels", type=int, nargs="*", default=[64, 128, 256])
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--peer-repeats", type=int, default=3)
    options = parser.parse_args()
    app = QApplication([])
    memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    print(f"{WINDOW_S:g} s at {RATE_HZ:g} Hz, window {SIZE[0]} x {SIZE[1]}, Qt platform {app.platformName()}")
    for n in options.channels:
        x = eeg(n + 1, round(11 * RATE_HZ))
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            ring = Ring.create(f"{folder}/ring", n_channels=n + 1, rate_hz=RATE_HZ)
            ring.write(x, 0.0, 0.0)
            rows = panel_rows(app, ring, x, n, options.repeats)
            whole = rows[0][1]
            rows += raster_rows(ring, n, options.repeats)
        rows += peer_rows(app, x, n, options.peer_repeats)
        print(f"\n{n} channels{'':53s}{'ms':>10s}{'x panel, all anew':>20s}")
        for name, ms in rows:
            print(f"{name:62s}{ms:10.2f}{ms / whole:20.2f}")


if __name__ == "__main__":
    main()
