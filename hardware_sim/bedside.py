"""Owns what stands at the simulated bedside and serves it: person, amplifier, stimulator, in a process of
their own.

It owns no signal and no protocol. The process ends when asked and when its parent ends; its handle is
``hardware_sim.bench.Bedside``.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hardware_sim.background import background_loop, load_background
from hardware_sim.faults import Fault, FaultKind, load_faults, parse_faults
from hardware_sim.head import Head
from hardware_sim.line import PtyLine, SocketLine
from hardware_sim.magstim import MODELS, unit_of
from hardware_sim.sampler import FAULTS, Sampler
from hardware_sim.scene import load_scene
from hardware_sim.unit import Unit
from rtloop.clock import WALL
from rtloop.errors import NotReady, RtloopError, ValidationProblem
from rtloop.model.montage import Montage, names_for

_LAG_S = 0.002
_PARENT_CHECK_S = 0.1


@dataclass(frozen=True, kw_only=True)
class BedsideSpec:
    """What stands at the simulated bedside. ``background`` brings its own montage (``n_channels`` is then
    unused).
    """

    scene: str = "default"  # name or path
    seed: int = 1
    n_channels: int = 63
    rate_hz: float = 5000.0
    chunk_s: float = 0.01
    trigger: bool = True
    markers: bool = True
    transport: str = "socket"  # "socket", "pty" or "none" (listen-only: no unit is there)
    background: str | None = None
    unit: str = "200"  # its model, see hardware_sim.magstim.MODELS
    unit_options: dict[str, Any] = field(default_factory=dict)  # of that model, see magstim.unit_of
    unit_faults: str = ""  # TOML, see hardware_sim.faults
    stream_faults: tuple[dict[str, Any], ...] = ()  # from the start, see hardware_sim.sampler.FAULTS
    auto_fire_s: tuple[float, float] | None = None  # an external stimulator fires with such intervals
    fire_power_pct_mso: float = 45.0  # of the external stimulator
    target: str = ""  # under the coil at the start; "" = the first of the scene
    stream_name: str = "rtloop-sim"
    source_id: str = field(default_factory=lambda: f"rtloop-sim-{uuid.uuid4().hex[:12]}")
    session: str = field(default_factory=lambda: os.environ.get("RTLOOP_LSL_SESSION", ""))

    def __post_init__(self) -> None:
        wrong = []
        if self.transport not in ("socket", "pty", "none"):
            wrong.append(f"transport {self.transport!r} (socket, pty or none)")
        if self.unit not in MODELS:
            wrong.append(f"unit {self.unit!r} ({', '.join(MODELS)})")
        if not 8 <= self.n_channels <= 256:
            wrong.append(f"n_channels {self.n_channels} (8 to 256)")
        if not 1000.0 <= self.rate_hz <= 25_000.0:
            wrong.append(f"rate_hz {self.rate_hz} (1000 to 25000)")
        if not 0.0005 <= self.chunk_s <= 0.1:
            wrong.append(f"chunk_s {self.chunk_s} (0.0005 to 0.1)")
        if self.auto_fire_s is not None and not 0.05 <= self.auto_fire_s[0] <= self.auto_fire_s[1] < math.inf:
            wrong.append(f"auto_fire_s {self.auto_fire_s} (shortest and longest interval, from 0.05 s)")
        if not 0.0 <= self.fire_power_pct_mso <= 100.0:
            wrong.append(f"fire_power_pct_mso {self.fire_power_pct_mso} (0 to 100)")
        if wrong:
            raise ValidationProblem("the simulated bedside cannot be set up so", found="; ".join(wrong))


def sampler_for(spec: BedsideSpec, start_s: Callable[[], float], lag_s: float) -> Sampler:
    """Person and digitiser; ``start_s`` is asked for the first sample's instant once everything is made."""
    scene = load_scene(spec.scene)
    if spec.background is not None:
        recording = load_background(spec.background)
        montage = recording.montage
        head = Head(
            scene,
            montage,
            spec.rate_hz,
            spec.seed,
            background=background_loop(recording, spec.rate_hz, montage),
        )
    else:
        head = Head(scene, Montage.from_names(names_for(spec.n_channels)), spec.rate_hz, spec.seed)
    target = spec.target or next(iter(scene.targets))
    head.prepare(target)
    sampler = Sampler(head, start_s=start_s(), target=target, trigger=spec.trigger, lag_s=lag_s)
    for fault in spec.stream_faults:
        sampler.inject(fault)
    return sampler


class ExternalStimulator:
    """Fires by itself at jittered intervals: the stimulator of a listen-only session."""

    def __init__(self, spec: BedsideSpec, start_s: float) -> None:
        self._spec, self._chance = spec, np.random.default_rng([spec.seed, 77])
        self._next_s = start_s + self._interval_s() if spec.auto_fire_s else math.inf

    def _interval_s(self) -> float:
        low, high = self._spec.auto_fire_s or (math.inf, math.inf)
        return float(self._chance.uniform(low, high))

    def due(self, until_s: float) -> Iterable[float]:
        """Instants of pulses up to ``until_s``, each once."""
        while self._next_s <= until_s:
            yield self._next_s
            self._next_s += self._interval_s()


def unit_fault(fault: dict[str, Any]) -> Fault:
    """A fault of the unit from its table, starting now; ValidationProblem lists the kinds there are."""
    if fault.get("kind") not in [k.value for k in FaultKind]:
        raise ValidationProblem(
            "neither stream nor unit has this fault", found=repr(fault.get("kind")),
            expected=f"stream: {', '.join(FAULTS)}; unit: {', '.join(k.value for k in FaultKind)}",
        )  # fmt: skip
    (found,) = parse_faults([{"start_s": 0.0} | fault])
    return found


def unit_at(spec: BedsideSpec, sampler: Sampler) -> Unit:
    """The unit that the spec wants, its pulses seen by the amplifier."""
    faults = load_faults(spec.unit_faults)
    return unit_of(spec.unit, faults=faults, on_discharge=sampler.discharge, **spec.unit_options)


class Served:
    """Amplifier and unit in this process, on the wall clock."""

    def __init__(self, spec: BedsideSpec) -> None:
        from hardware_sim.amplifier import Amplifier, use_session

        use_session(spec.session)
        self.spec = spec
        self.sampler = sampler_for(spec, WALL.now_s, _LAG_S)
        self.amplifier = Amplifier(
            self.sampler, stream_name=spec.stream_name, source_id=spec.source_id, chunk_s=spec.chunk_s,
            markers=spec.markers,
        )  # fmt: skip
        self.line: SocketLine | PtyLine | None = None
        if spec.transport != "none":
            unit = unit_at(spec, self.sampler)
            self.line = SocketLine(unit, WALL) if spec.transport == "socket" else PtyLine(unit, WALL)
        self._external = ExternalStimulator(spec, WALL.now_s())
        self._ending = threading.Event()
        self._firing = threading.Thread(target=self._fire_by_itself, name="external stimulator", daemon=True)

    @property
    def port(self) -> str:
        """Address of the unit's line for pyserial; empty when there is none."""
        return self.line.port if self.line else ""

    def start(self) -> None:
        """Stream, answer, fire."""
        self.amplifier.start()
        if self.line:
            self.line.start()
        if self.spec.auto_fire_s:
            self._firing.start()

    def _fire_by_itself(self) -> None:
        while not self._ending.wait(0.005):
            for t_s in self._external.due(WALL.now_s() + 0.02):
                self.sampler.discharge(t_s, self.spec.fire_power_pct_mso, "external")

    def answer(self, what: str, value: Any) -> Any:
        """Serve one request of the handle."""
        if what == "place":
            self.sampler.place(value)
        elif what == "place_control":
            self.sampler.place_control(value)
        elif what == "inject":
            self._inject(value)
        elif what == "discharges":
            return [asdict(d) for d in self.sampler.discharges]
        elif what == "truth":
            return {name: self.sampler.head.truth(name) for name in self.sampler.head.scene.targets}
        elif what == "state":
            return self._state()
        elif what in ("trigger_edge", "stop_input"):
            self._input(what)
        elif what == "fire":
            self.sampler.discharge(WALL.now_s() + 0.001, self.spec.fire_power_pct_mso, "external")
        else:
            raise ValidationProblem(f"the simulated bedside does not know {what!r}")
        return None

    def _line(self) -> SocketLine | PtyLine:
        if self.line is None:
            raise ValidationProblem("there is no unit at this bedside", found="transport none")
        return self.line

    def _input(self, what: str) -> None:
        line = self._line()
        with line.lock:
            getattr(line.unit, what)(WALL.now_s())

    def _inject(self, fault: dict[str, Any]) -> None:
        if fault.get("kind") in FAULTS:
            self.sampler.inject(fault)
            return
        found, line = unit_fault(fault), self._line()
        with line.lock:
            line.unit.inject(found, WALL.now_s())

    def _state(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "target": self.sampler.target, "running": self.amplifier.running,
            "samples": self.sampler.head.position,
            "busy_s": self.amplifier.busy_s, "failure": repr(self.amplifier.failure or ""),
        }  # fmt: skip
        if self.line:
            with self.line.lock:
                out |= {
                    "unit": asdict(self.line.unit.state()),
                    "unit_discharges": len(self.line.unit.discharges),
                }
        return out

    def close(self) -> None:
        """End all of it."""
        self._ending.set()
        if self._firing.ident is not None:
            self._firing.join(1.0)
        if self.line:
            self.line.close()
        self.amplifier.close()


def serve(spec: BedsideSpec, pipe: Any) -> None:
    """The process: serve requests until asked to end or the parent is gone."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if spec.session:
        os.environ["RTLOOP_LSL_SESSION"] = spec.session
    parent = multiprocessing.parent_process()
    try:
        served = Served(spec)
    except BaseException as err:
        pipe.send(("error", err if isinstance(err, RtloopError) else NotReady("no bedside", found=repr(err))))
        return
    served.start()
    names = served.sampler.names
    pipe.send(("ready", {"port": served.port, "pid": os.getpid(), "names": names}))
    try:
        while parent is not None and parent.is_alive():
            if not pipe.poll(_PARENT_CHECK_S):
                continue
            what, value = pipe.recv()
            if what == "close":
                break
            try:
                pipe.send(("ok", served.answer(what, value)))
            except RtloopError as err:
                pipe.send(("error", err))
    except (EOFError, OSError):
        pass  # the parent is gone
    finally:
        served.close()
