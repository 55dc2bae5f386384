"""Prints what writing a frame costs, beside np.roll and a copy: python tests/bench/bench_ring.py."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from rtloop.eeg import ring as ring_module
from rtloop.eeg.pages import can_mirror
from rtloop.eeg.ring import Ring


def per_frame_ns(step, frames: int, seconds: float) -> float:
    """Median over repeats of the time one frame takes, ns."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        t0 = time.perf_counter_ns()
        step()
        times.append((time.perf_counter_ns() - t0) / frames)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1.0, help="per row")
    parser.add_argument("--channels", type=int, default=64)
    options = parser.parse_args()
    n, rate_hz, seconds = options.channels, 5000.0, options.seconds
    memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    rows = []
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        for mirror in (True, False) if can_mirror() else (False,):
            ring = Ring.create(f"{folder}/{mirror}", n_channels=n, rate_hz=rate_hz, mirror=mirror)
            words = "pages mapped twice" if mirror else "each frame twice"
            for count in (1000, 10):
                frames = np.random.default_rng(0).standard_normal((count, n)).astype(np.float32)
                flat = frames.reshape(-1)
                arrays = ring.arrays
                rows.append(
                    (
                        f"ring, kernel, {count} frames, {words}",
                        per_frame_ns(
                            lambda a=arrays, f=flat, c=count: ring_module.write_frames(*a, f, c, 0.0, 0.0),
                            count,
                            seconds,
                        ),
                    )
                )
                rows.append(
                    (
                        f"ring, Ring.write, {count} frames, {words}",
                        per_frame_ns(lambda r=ring, f=frames: r.write(f, 0.0, 0.0), count, seconds),
                    )
                )
        for length_s in (1, 30):
            buffer = np.zeros((round(length_s * rate_hz), n), np.float32)
            frames = np.ones((10, n), np.float32)

            def roll(buffer=buffer, frames=frames):
                rolled = np.roll(buffer, -len(frames), axis=0)
                rolled[-len(frames) :] = frames

            rows.append((f"np.roll of {length_s} s, 10 frames", per_frame_ns(roll, 10, seconds)))
        target = np.zeros((262144, n), np.float32)
        source = np.ones((1000, n), np.float32)
        at = 0

        def copy() -> None:
            nonlocal at
            target[at : at + 1000] = source
            at = (at + 1000) % 261000

        rows.append(("floor: numpy copy of 1000 frames into 67 MB", per_frame_ns(copy, 1000, seconds)))
    floor = rows[-1][1]
    print(f"{n} channels, {rate_hz:g} Hz\n{'':62s}{'ns/frame':>12s}{'x floor':>12s}")
    for name, ns in rows:
        print(f"{name:62s}{ns:12.1f}{ns / floor:12.1f}")


if __name__ == "__main__":
    main()
