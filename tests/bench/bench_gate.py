"""What one look at the ongoing EEG costs between trains: reading the window from the ring and measuring it.

Run as a script; prints medians and the worst of many, asserts nothing about time.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import tempfile
import time
from pathlib import Path

import numpy as np

from rtloop.app.treat_state import LiveWindows
from rtloop.clock import SteppedClock
from rtloop.eeg.source import EegSource
from rtloop.measures.local_window import LocalWindow
from rtloop.model.montage import HEAD_RADIUS_M, Montage, names_for, position_of

REPEATS = 200
CASES = ((63, 1000.0, 4.0), (63, 5000.0, 4.0), (128, 5000.0, 4.0), (63, 25000.0, 4.0), (63, 5000.0, 10.0))


def look_ms(n_channels: int, rate_hz: float, window_s: float, folder: Path) -> np.ndarray:
    montage, clock = Montage.from_names(names_for(n_channels)), SteppedClock(1_700_000_000.0)
    source = EegSource.pushed(montage, rate_hz, folder / f"ring-{n_channels}-{rate_hz:g}-{window_s:g}", clock)
    place = position_of("C3")
    assert place is not None
    window = LocalWindow(
        montage, place * HEAD_RADIUS_M, rate_hz, band="alpha", measure="plv", window_s=window_s, swing_uv_max=1000.0,
        fast_uv_max=200.0,
    )  # fmt: skip
    live, chance = LiveWindows(source, window, lambda work: work(), recovery_s=4.0), np.random.default_rng(1)
    chunk = int(0.02 * rate_hz)
    frames = (10 * chance.standard_normal((chunk, n_channels))).astype(np.float32)
    for _ in range(int((window_s + 1) / 0.02)):
        clock.advance(0.02)
        source.push(frames + chance.standard_normal(frames.shape).astype(np.float32), clock.now_s())
    spent = []
    for _ in range(REPEATS):
        start = time.thread_time()
        reading = live.read(clock.now_s())
        spent.append(time.thread_time() - start)
        assert reading.value is not None, reading.reason
    source.close()
    return 1e3 * np.array(spent)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        print("channels  rate_hz  window_s  median_ms  worst_ms  (of this thread on a processor)")
        for n_channels, rate_hz, window_s in CASES:
            ms = look_ms(n_channels, rate_hz, window_s, Path(folder))
            print(f"{n_channels:8d} {rate_hz:8g} {window_s:9g} {np.median(ms):10.1f} {ms.max():9.1f}")


if __name__ == "__main__":
    main()
