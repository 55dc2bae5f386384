"""Owns the handles on the simulated bedside: one in a process of its own, one stepped by hand, one for the
terminal.

It owns no signal and no protocol. A bedside process that does not end when asked is killed after its
deadline.
"""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from hardware_sim.bedside import (
    BedsideSpec,
    ExternalStimulator,
    Served,
    sampler_for,
    serve,
    unit_at,
    unit_fault,
)
from hardware_sim.line import SteppedLine
from hardware_sim.sampler import FAULTS
from hardware_sim.scene import load_scene
from hardware_sim.truth import truth_of
from rtloop.clock import SteppedClock
from rtloop.errors import NotReady, RtloopError
from rtloop.model.samples import F32

__all__ = ["Bedside", "BedsideSpec", "SteppedBench", "interrupted_after", "run_forever", "start_bedside"]


class Bedside:
    """Handle on the simulated bedside's process; made by ``start_bedside``. Calls answer within 5 s or raise
    NotReady.
    """

    def __init__(self, spec: BedsideSpec, process: Any, pipe: Any, ready: dict[str, Any]) -> None:
        self.spec, self.stream_name, self.source_id = spec, spec.stream_name, spec.source_id
        self.port: str = ready["port"]
        self.pid: int = ready["pid"]
        self.names: tuple[str, ...] = tuple(ready["names"])
        self._process, self._pipe = process, pipe
        self._one_at_a_time = threading.Lock()

    def _ask(self, what: str, value: Any = None, timeout_s: float = 5.0) -> Any:
        with self._one_at_a_time:
            try:
                self._pipe.send((what, value))
                answered = self._pipe.poll(timeout_s)
                kind, out = self._pipe.recv() if answered else ("silent", None)
            except (EOFError, OSError) as err:
                raise NotReady(
                    "the simulated bedside is gone", found=repr(err), todo="start it again"
                ) from err
        if kind == "silent":
            raise NotReady(
                "the simulated bedside does not answer", expected=f"an answer within {timeout_s:g} s"
            )
        if isinstance(out, RtloopError):
            raise out
        return out

    def place(self, target: str) -> None:
        """Move the coil."""
        self._ask("place", target)

    def place_control(self, target: str) -> None:
        """Move the coil to the place of the target's control block."""
        self._ask("place_control", target)

    def inject(self, fault: dict[str, Any]) -> None:
        """A fault of the stream (hardware_sim.sampler.FAULTS) or of the unit (hardware_sim.faults), from now
        on.
        """
        self._ask("inject", fault)

    def fire(self) -> None:
        """One pulse of the external stimulator, now."""
        self._ask("fire")

    def trigger_edge(self) -> None:
        """An edge on the unit's trigger input, now."""
        self._ask("trigger_edge")

    def stop_input(self) -> None:
        """The unit's hardware STOP, now."""
        self._ask("stop_input")

    def discharges(self) -> list[dict[str, Any]]:
        """The simulator's own account of every pulse: t_s, power_pct_mso, target, sample, late_samples, by,
        seen.
        """
        return list(self._ask("discharges"))

    def truth(self) -> dict[str, dict[str, Any]]:
        """Per target, what is true (hardware_sim.truth); computed here, not in the process of the stream."""
        scene = load_scene(self.spec.scene)
        return {name: truth_of(scene, name) for name in scene.targets}

    def state(self) -> dict[str, Any]:
        """Coil target, samples made, seconds spent making them, and the unit's own state."""
        return dict(self._ask("state"))

    def close(self, timeout_s: float = 5.0) -> None:
        """Ask the process to end; kill it when the deadline is over. May be called twice."""
        try:
            with self._one_at_a_time:
                self._pipe.send(("close", None))
        except (OSError, ValueError):
            pass  # already gone
        self._process.join(timeout_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(2.0)
        self._pipe.close()

    def __enter__(self) -> Bedside:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_bedside(spec: BedsideSpec, timeout_s: float = 30.0) -> Bedside:
    """Start the bedside in its own spawned process; NotReady when it is not up in time, else its own
    error.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=serve, args=(spec, theirs), name=f"bedside {spec.stream_name}", daemon=True
    )
    process.start()
    theirs.close()
    try:
        kind, out = ours.recv() if ours.poll(timeout_s) else ("silent", None)
    except EOFError:
        kind, out = "silent", None
    if kind == "ready" and isinstance(out, dict):
        return Bedside(spec, process, ours, out)
    process.kill()
    process.join(2.0)
    ours.close()
    if isinstance(out, RtloopError):
        raise out
    raise NotReady(
        "the simulated bedside does not start", expected=f"ready within {timeout_s:g} s", found="no answer"
    )


class SteppedBench:
    """The same person and unit in this process, on a clock that is moved by hand; no thread, no network.

    ``line`` looks like an open serial port. ``frames_until`` gives each frame once, in order.
    """

    def __init__(self, clock: SteppedClock, spec: BedsideSpec) -> None:
        self.clock, self.spec = clock, spec
        self.sampler = sampler_for(spec, clock.now_s, 0.0)
        self.montage = self.sampler.head.montage
        self.emg_names = self.sampler.head.emg_names
        self.unit = unit_at(spec, self.sampler)
        self.line = SteppedLine(self.unit, clock)
        self._external = ExternalStimulator(spec, clock.now_s())

    @property
    def discharges(self) -> list[dict[str, Any]]:
        """As ``Bedside.discharges``; a pulse appears once its instant has been asked for with
        ``frames_until``.
        """
        return [asdict(d) for d in self.sampler.discharges]

    @property
    def outlet(self) -> int:
        """Which outlet the frames come from: another number each time it has vanished and returned."""
        return self.sampler.outlet

    def place(self, target: str) -> None:
        """Move the coil."""
        self.sampler.place(target)

    def place_control(self, target: str) -> None:
        """As ``Bedside.place_control``."""
        self.sampler.place_control(target)

    def inject(self, fault: dict[str, Any]) -> None:
        """A fault of the stream or of the unit, from now on."""
        if fault.get("kind") in FAULTS:
            self.sampler.inject(fault)
        else:
            self.unit.inject(unit_fault(fault), self.clock.now_s())

    def truth(self) -> dict[str, dict[str, Any]]:
        """As ``Bedside.truth``."""
        return {name: self.sampler.head.truth(name) for name in self.sampler.head.scene.targets}

    def frames_until(self, now_s: float) -> tuple[F32, float]:
        """New frames up to ``now_s``: float32[n, n_channels + 1] (TRIG last) and the instant of the last one
        (or NaN).
        """
        for t_s in self._external.due(now_s):
            self.sampler.discharge(t_s, self.spec.fire_power_pct_mso, "external")
        parts, last_s = [], math.nan
        while True:  # a long step comes in pieces
            frames, t_s = self.sampler.take(now_s)
            if math.isnan(t_s):
                break
            parts.append(frames)
            last_s = t_s
        return (
            np.concatenate(parts) if parts else np.empty((0, len(self.sampler.names)), np.float32)
        ), last_s


def run_forever(
    spec: BedsideSpec,
    say: Callable[[str], None] = print,
    lines: Iterable[str] | None = None,
    seconds: float | None = None,
) -> None:
    """Serve the bedside in this process and obey lines: place M1, fire, inject {"kind": ...}, state, pulses,
    quit. ``seconds`` count from the moment at which it serves; then it is interrupted as by Ctrl-C.
    """
    served = Served(spec)
    served.start()
    scene = served.sampler.head.scene
    say(f"SIMULATED bedside, scene {scene.name}: {scene.description}")
    say(
        f"EEG stream {spec.stream_name!r}, id {spec.source_id} "
        f"({len(served.sampler.names)} columns, {spec.rate_hz:g} Hz)"
    )
    say(
        f"stimulator: {f'{spec.unit} at {served.port}' if served.port else 'none'}; coil on {served.sampler.target}"
    )
    say(f"targets: {', '.join(scene.targets)}")
    say(
        'commands: place TARGET | fire | inject {"kind": ...} | trigger_edge | stop_input | state | pulses | truth | quit'
    )
    try:
        with interrupted_after(seconds):
            for line in sys.stdin if lines is None else lines:
                word, _, rest = line.strip().partition(" ")
                if word in ("quit", "exit"):
                    return
                if word:
                    _obey(served, word, rest.strip(), say)
            while served.amplifier.living:  # stdin has ended: serve until interrupted
                time.sleep(0.2)
    except KeyboardInterrupt:
        say("interrupted")
    finally:
        served.close()
        say("bedside closed")


@contextlib.contextmanager
def interrupted_after(seconds: float | None) -> Iterator[None]:
    """KeyboardInterrupt within the block once the time is over, and never after it: a signal also ends a read of stdin."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, lambda: signal.raise_signal(signal.SIGINT))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # one that was under way is over, its interrupt comes here
        time.sleep(0)


def _obey(served: Served, word: str, rest: str, say: Callable[[str], None]) -> None:
    try:
        if word == "inject":
            served.answer("inject", json.loads(rest))
            say(f"injected {rest}")
        elif word == "place":
            served.answer("place", rest)
            say(f"coil on {rest}")
        else:
            out = served.answer({"pulses": "discharges"}.get(word, word), None)
            say(json.dumps(out, default=str))
    except (RtloopError, json.JSONDecodeError) as err:
        say(f"not done: {err}")
