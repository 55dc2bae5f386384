"""Prints push -> readable latency over LSL beside pylsl and mne-lsl, idle and with the interpreter lock held.

python tests/bench/bench_acquisition.py [--seconds N] [--channels 64] [--rate 5000] [--chunk 10]
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import multiprocessing
import os
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("RTLOOP_LSL_SESSION", f"bench-{uuid.uuid4().hex[:12]}")
from eeg_tools import binding, describe

from rtloop import private_lsl
from rtloop.model.montage import names_for


def sender(stop: Any, n: int, rate_hz: float, chunk: int) -> None:
    """Spawned: chunks in real time; every stamp is local_clock at the push; channel 2 counts the pushes."""
    pylsl = binding()
    outlet = pylsl.StreamOutlet(
        describe("bench", names=names_for(n), rate_hz=rate_hz, source_id="bench", pylsl=pylsl)
    )
    frames = np.random.default_rng(0).standard_normal((chunk, n)).astype(np.float32)
    start_s, k = pylsl.local_clock(), 0
    while not stop.is_set():
        k += 1
        wait_s = start_s + k * chunk / rate_hz - pylsl.local_clock()
        if wait_s > 0:
            time.sleep(wait_s)
        frames[:, 2] = k
        outlet.push_chunk(frames, pylsl.local_clock())


def hold_the_lock(stop: threading.Event) -> None:
    """A C call that keeps the interpreter lock for about 50 ms, again and again."""
    spin = ctypes.PyDLL(None).usleep if sys.platform != "win32" else None
    rows = list(np.random.default_rng(1).random(150_000))
    while not stop.is_set():
        if spin is None:
            sorted(rows)
        else:
            spin(50_000)
        time.sleep(0)


def measured(run: Any, seconds: float, loaded: bool) -> tuple[np.ndarray, float]:
    """Latencies in s and the share of a core this process used; ``run(end_s)`` returns the latencies."""
    stop = threading.Event()
    load = threading.Thread(target=hold_the_lock, args=(stop,), daemon=True)
    if loaded:
        load.start()
    cpu0, t0 = time.process_time(), time.monotonic()
    try:
        latencies = run(time.monotonic() + seconds)
    finally:
        share = (time.process_time() - cpu0) / (time.monotonic() - t0)
        stop.set()
        if loaded:
            load.join(2.0)
    return np.asarray(latencies), share


def newest_of_each_push(push: Any, latency_s: Any) -> np.ndarray:
    """A push may arrive in parts, of which only the last carries the stamp of the push itself."""
    push, latency_s = np.asarray(push), np.asarray(latency_s)
    return latency_s[np.flatnonzero(np.append(np.diff(push) != 0, True))]


def ours(folder: str) -> Any:
    from rtloop.eeg import lsl
    from rtloop.eeg.ring import Ring

    found = lsl.find_stream(name="bench")
    ring = Ring.create(f"{folder}/ring", n_channels=found.listing.n_channels, rate_hz=found.listing.rate_hz)
    acquisition = lsl.Acquisition(found, ring)
    acquisition.start()
    print(f"    (time_correction {acquisition.clock_offset_s * 1e6:.0f} µs, ring {ring.capacity} frames)")
    time.sleep(0.5)

    def run(end_s: float) -> np.ndarray:
        cursor = ring.chunk_bounds()[1]
        kept = []
        while time.monotonic() < end_s:
            time.sleep(0.1)
            cursor, rows = ring.chunks(cursor)
            kept.append(rows)
        cursor, rows = ring.chunks(cursor)
        rows = np.concatenate([*kept, rows])
        assert (rows[1:, 0] == rows[:-1, 0] + rows[:-1, 1]).all(), "chunk rows are missing"
        pushed = ring.view(int(rows[0, 0]), int(rows[-1, 0] + rows[-1, 1] - rows[0, 0]))[:, 2]
        assert set(np.diff(pushed).tolist()) <= {0.0, 1.0}, "samples are missing"
        last = pushed[(rows[:, 0] + rows[:, 1] - 1 - rows[0, 0]).astype(int)]
        return newest_of_each_push(last, rows[:, 3] - rows[:, 2])

    return run, acquisition.stop


def plain_pylsl(_: str) -> Any:
    pylsl = binding()
    info = pylsl.resolve_byprop("name", "bench", timeout=3.0)[0]
    inlet = pylsl.StreamInlet(info, max_buflen=20, recover=False)
    inlet.time_correction(4.0)
    n = info.channel_count()
    dest = np.zeros((4096, n), np.float32)
    ring = np.zeros((262144, n), np.float32)

    def run(end_s: float) -> np.ndarray:
        out, pushes, at = [], [], 0
        while time.monotonic() < end_s:
            _, stamps = inlet.pull_chunk(timeout=0.2, max_samples=1, dest_obj=dest)
            if not stamps:
                continue
            ring[at] = dest[0]
            at = (at + 1) % 258000
            _, more = inlet.pull_chunk(timeout=0.0, max_samples=4096, dest_obj=dest)
            count = len(more or [])
            ring[at : at + count] = dest[:count]
            at = (at + count) % 258000
            out.append(pylsl.local_clock() - (more or stamps)[-1])
            pushes.append(ring[at - 1, 2])
        return newest_of_each_push(pushes, out)

    return run, lambda: None


def mne_stream(_: str) -> Any:
    import mne_lsl

    mne_lsl.set_log_level("ERROR")
    from mne_lsl.lsl import local_clock
    from mne_lsl.stream import StreamLSL

    stream = StreamLSL(bufsize=2.0, name="bench").connect(acquisition_delay=0.001, processing_flags=None)

    def run(end_s: float) -> np.ndarray:
        out, pushes, newest = [], [], 0.0
        while time.monotonic() < end_s:
            if stream.n_new_samples:
                data, stamps = stream.get_data(0.01)
                if stamps[-1] > newest:
                    newest = float(stamps[-1])
                    out.append(local_clock() - newest)
                    pushes.append(data[2, -1])
            time.sleep(0)
        return newest_of_each_push(pushes, out)

    return run, stream.disconnect


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0, help="per row")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--rate", type=float, default=5000.0)
    parser.add_argument("--chunk", type=int, default=10)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    child = context.Process(
        target=sender, args=(stop, options.channels, options.rate, options.chunk), daemon=True
    )
    child.start()
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    peers = [("rtloop", ours), ("pylsl pull_chunk(dest_obj)", plain_pylsl)]
    if importlib.util.find_spec("mne_lsl") is None:
        print("mne-lsl is not installed: its rows are skipped (pip install mne-lsl)")
    else:
        peers.append(("mne-lsl StreamLSL", mne_stream))
    rows = []
    try:
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            session = os.environ["RTLOOP_LSL_SESSION"]
            config = Path(folder) / "lsl_api.cfg"  # mne-lsl brings a liblsl of its own, which reads a file
            config.write_text(private_lsl.settings(session))
            os.environ["LSLAPICFG"] = str(config)
            for name, make in peers:
                try:
                    run, close = make(folder)
                except Exception as err:
                    print(f"{name}: skipped ({type(err).__name__}: {err})")
                    continue
                for loaded in (False, True):
                    latencies, share = measured(run, options.seconds, loaded)
                    if len(latencies):
                        p50, p99 = np.percentile(latencies, [50, 99]) * 1e6
                        rows.append((name, loaded, p50, p99, latencies.max() * 1e6, share, len(latencies)))
                    else:
                        print(f"{name}: nothing received")
                close()
    finally:
        stop.set()
        child.join(3.0)
        child.kill()
    print(f"{options.channels} ch x {options.rate:g} Hz, chunks of {options.chunk / options.rate * 1e3:g} ms")
    heads = [("p50 µs", 10), ("p99 µs", 10), ("max µs", 10), ("x p50", 8), ("x p99", 8), ("CPU", 7), ("n", 8)]
    print(f"{'':30s}{'lock':>6s}" + "".join(f"{text:>{width}s}" for text, width in heads))
    base = {loaded: (p50, p99) for name, loaded, p50, p99, *_ in rows if name == "rtloop"}
    for name, loaded, p50, p99, most, share, count in rows:
        b50, b99 = base.get(loaded, (np.nan, np.nan))
        print(
            f"{name:30s}{'held' if loaded else 'free':>6s}{p50:10.0f}{p99:10.0f}{most:10.0f}"
            f"{p50 / b50:8.1f}{p99 / b99:8.1f}{share:7.1%}{count:8d}"
        )


if __name__ == "__main__":
    main()
