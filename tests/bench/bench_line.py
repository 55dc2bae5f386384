"""From the last needed sample in the ring to every result, on a live LSL stream: what a session feels after each pulse.

Usage: python tests/bench/bench_line.py [--pulses 30] [--channels 63] [--rate-hz 5000]
The simulated amplifier runs in its own process; the loop is a session's own (stream watch and pulse finder included); no unit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import uuid
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("RTLOOP_LSL_SESSION", f"bench-{uuid.uuid4().hex[:8]}")

import numpy as np

from hardware_sim.bench import BedsideSpec, start_bedside
from rtloop.clock import WALL
from rtloop.dsp.spec import ChainSpec
from rtloop.eeg.lsl import find_stream
from rtloop.eeg.source import EegSource
from rtloop.model.montage import HEAD_RADIUS_M, position_of
from rtloop.session.line import Label, SignalLine, Spot


def received_s(source: EegSource, sample: int) -> float:
    """When the chunk that holds ``sample`` came out of LSL."""
    _, log = source.ring.chunks(0)
    row = int(np.searchsorted(log[:, 0], sample, side="right")) - 1
    return float(log[row, 3])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pulses", type=int, default=30)
    parser.add_argument("--channels", type=int, default=63)
    parser.add_argument("--rate-hz", type=float, default=5000.0)
    args = parser.parse_args()
    spec = BedsideSpec(
        n_channels=args.channels,
        rate_hz=args.rate_hz,
        transport="none",
        auto_fire_s=(1.5, 1.6),
        stream_name="bench",
    )
    coil = position_of("C3")
    assert coil is not None
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder,
        start_bedside(spec),
    ):
        source = EegSource.from_lsl(find_stream(name="bench"), Path(folder) / "ring")
        line = SignalLine(source, ChainSpec(), {"M1": Spot(coil_m=coil * HEAD_RADIUS_M)})
        line.scorer("M1", "run")
        late: list[float] = []
        work: list[float] = []
        deadline_s = WALL.now_s() + 3.0 * args.pulses + 20.0
        try:
            while len(late) < args.pulses and WALL.now_s() < deadline_s:
                now_s = WALL.now_s()
                source.health(now_s)
                for seen in line.look(now_s):
                    line.take(seen, Label(pulse_id=seen.sample, target="M1", block="run"))
                for trial in line.trials():
                    if trial.clean is not None:
                        last = trial.seen.sample + line.epoch_after - 1
                        late.append(WALL.now_s() - received_s(source, last))
                        work.append(trial.stage_s["clean_and_sum"])
                WALL.sleep_until(now_s + 0.001)
        finally:
            source.close()
    print(
        f"{args.channels} channels, {args.rate_hz:g} Hz, {len(late)} pulses, exact standard errors after each"
    )
    for name, values in (
        ("last sample in the ring -> every result", late),
        ("of this: cut, clean, judge, sum", work),
    ):
        ms = sorted(1e3 * v for v in values)
        print(
            f"{name:42s} p50 {statistics.median(ms):6.2f}  p95 {ms[int(0.95 * (len(ms) - 1))]:6.2f}  max {ms[-1]:6.2f} ms"
        )


if __name__ == "__main__":
    main()
