"""Owns what the EEG tests share: outlets, in this process and in spawned ones, and plain simulated EEG."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

NAMES = ("Fz", "C3", "Cz", "C4", "Pz", "O1", "Oz", "O2")


def noise(n: int, channels: int = len(NAMES), *, seed: int = 1, scale_uv: float = 10.0) -> np.ndarray:
    """float32[n, channels], µV: white, so that no two rows are alike."""
    return (np.random.default_rng(seed).standard_normal((n, channels)) * scale_uv).astype(np.float32)


def binding() -> Any:
    """pylsl with the session of this test run; does not load rtloop in a spawned child."""
    if "rtloop.eeg.lsl" in sys.modules:
        return sys.modules["rtloop.eeg.lsl"]._pylsl()
    import pylsl

    from rtloop import private_lsl

    pylsl.set_config_content(private_lsl.settings(os.environ["RTLOOP_LSL_SESSION"]))
    return pylsl


def describe(
    name: str = "amp",
    *,
    names: tuple[str, ...] = NAMES,
    rate_hz: float = 1000.0,
    unit: str = "microvolts",
    source_id: str = "serial-1",
    trigger: bool = False,
    kinds: tuple[str, ...] | None = None,
    pylsl: Any = None,
) -> Any:
    """A StreamInfo with channel meta-data."""
    pylsl = pylsl or binding()
    all_names = (*names, "TRIG") if trigger else names
    info = pylsl.StreamInfo(name, "EEG", len(all_names), rate_hz, "float32", source_id)
    channels = info.desc().append_child("channels")
    for i, label in enumerate(all_names):
        kind = "TRIG" if label == "TRIG" else (kinds[i] if kinds else "EEG")
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("type", kind)
        channel.append_child_value("unit", unit)
    return info


def amplifier(stop: Any, spec: dict[str, Any]) -> None:
    """Spawned: push white noise, chunk by chunk, in real time; ``spec['faults']`` are (begin s, fault)."""
    pylsl = binding()
    rate_hz, names = spec.get("rate_hz", 1000.0), spec.get("names", NAMES)
    chunk, schedule = spec.get("chunk", 10), list(spec.get("faults", ()))
    fault = ""
    true_rate_hz = spec.get("true_rate_hz", rate_hz)
    outlet = pylsl.StreamOutlet(
        describe(names=names, rate_hz=rate_hz, source_id=spec.get("source_id", "serial-1"), pylsl=pylsl)
    )
    rng = np.random.default_rng(0)
    deadline_s = time.monotonic() + 20.0
    while not outlet.have_consumers() and not stop.is_set() and time.monotonic() < deadline_s:
        time.sleep(0.005)
    start_s, k, block = pylsl.local_clock(), 0, None
    lost_s = 0.0
    while not stop.is_set() and time.monotonic() < deadline_s:
        t_s = start_s + (k + 1) * chunk / true_rate_hz + lost_s
        wait_s = t_s - pylsl.local_clock()
        if wait_s > 0:
            time.sleep(wait_s)
        frames = (rng.standard_normal((chunk, len(names))) * 10).astype(np.float32)
        if spec.get("ramp"):
            frames[:, 0] = np.arange(k * chunk, (k + 1) * chunk)
        if schedule and (k + 1) * chunk / true_rate_hz > schedule[0][0]:
            fault = schedule.pop(0)[1]
        if spec.get("bad"):
            frames[:, 2] = 0.0
            frames[:, 3] = 4e5
        if fault == "drop":
            lost_s, fault = 0.05, ""
            continue
        if fault == "silent":
            stop.wait(20.0)
            break
        if fault == "frozen":
            block = frames if block is None else block
            frames = block
        elif fault == "nan":
            frames[:, 1], fault = np.nan, ""
        outlet.push_chunk(frames, t_s)
        k += 1


@contextlib.contextmanager
def running(**spec: Any) -> Iterator[Any]:
    """A spawned amplifier; yields its process, which is gone afterwards."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    child = context.Process(target=amplifier, args=(stop, spec))
    child.start()
    try:
        yield child
    finally:
        stop.set()
        child.join(3.0)
        if child.is_alive():
            child.kill()
            child.join(2.0)


def until(check: Callable[[], bool], limit_s: float = 5.0) -> bool:
    """Poll until true; False when the limit passed."""
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        if check():
            return True
        time.sleep(0.005)
    return False
