"""Listen to an EEG stream on LSL for five seconds: no unit, nothing is fired. With a name, that stream; else a simulated one."""

import sys

from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import start_bedside
from rtloop.clock import WALL
from rtloop.eeg.lsl import find_stream
from rtloop.eeg.source import EegSource


def listen(name, ring):
    source = EegSource.from_lsl(find_stream(name=name), ring)
    try:
        end_s = WALL.now_s() + 5.0
        while WALL.now_s() < end_s:
            WALL.sleep_until(WALL.now_s() + 0.05)
            for seen in source.pulses(WALL.now_s()):
                print(f"pulse at sample {seen.sample}, told by {seen.source}")
        health = source.health(WALL.now_s())
        print(f"{source.head()} samples at {health.rate_hz:.0f} Hz, {health.gaps} gaps, ok: {health.ok}")
    finally:
        source.close()


if __name__ == "__main__":
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        ring = Path(folder) / "ring.f32"
        if len(sys.argv) > 1:
            listen(sys.argv[1], ring)
        else:
            spec = BedsideSpec(transport="none", n_channels=8, rate_hz=1000.0, auto_fire_s=(1.0, 1.2))
            with start_bedside(spec) as bedside:
                listen(bedside.stream_name, ring)
