"""Owns the amplifier's analogue-to-digital side: which sample falls when, the trigger column, faults of the
stream.

It owns no transport and reads no clock: ``take(now_s)`` gives every frame due by ``now_s``, so the same
sampler serves a real LSL outlet and a stepped clock. A block is made only after its last instant has passed:
a pulse reported within the amplifier's delay (``lag_s``) lands on its exact sample.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hardware_sim.head import Head
from rtloop.errors import ValidationProblem
from rtloop.model.samples import F32

TRIGGER_S = 0.010
TRIGGER_LEVEL = 1.0
#: kinds of fault and what they do; "for_s": how long (0 or absent: for good), "channels": names (absent: all)
FAULTS = {
    "freeze": "nothing is sent; what was due meanwhile is lost",
    "drop": "'samples' frames are lost, time stamps go on",
    "nan": "not-a-number in the channels",
    "flat": "the channels stand still at zero",
    "saturate": "the channels stand at the rail",
    "noise": "white noise of 'uv' µV (SD, 50 if absent) on top of the channels: an electrode that loosens",
    "rate": "frames come at 'factor' times the declared rate",
    "repeat": "the last block is sent again and again",
    "die": "the outlets vanish; what was due meanwhile is lost ('for_s': they return after it)",
    "return": "outlets that vanished are there again: same source_id, new uid",
    "miss_pulses": "the next 'count' pulses leave no trace in the stream",
    "miss_triggers": "the next 'count' pulses leave no mark in the trigger channel",
    "miss_artifacts": "the next 'count' pulses leave nothing in the EEG, only their mark in the trigger channel",
    "pulse": "a pulse nobody commanded, at 'power_pct_mso'",
}
_KEYS = {"kind", "for_s", "channels", "samples", "factor", "count", "power_pct_mso", "uv"}


@dataclass(frozen=True, kw_only=True)
class Discharge:
    """One pulse as the simulator knows it: the instant, the target, the power, the first affected sample."""

    t_s: float
    power_pct_mso: float
    target: str
    sample: int
    late_samples: int  # 0 when it landed on its exact sample
    by: str  # "unit", "external" or "fault"
    seen: bool  # False when a fault kept it out of the stream


def checked_fault(fault: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The fault, or a ValidationProblem that lists what is wrong with it."""
    wrong = [f"unknown key {k!r}" for k in fault if k not in _KEYS]
    if fault.get("kind") not in FAULTS:
        wrong.append(f"unknown kind {fault.get('kind')!r}")
    wrong += [f"unknown channel {c!r}" for c in fault.get("channels", ()) if c not in names]
    for key in ("for_s", "samples", "factor", "count", "power_pct_mso", "uv"):
        value = fault.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            wrong.append(f"{key} = {value!r}")
    if wrong:
        raise ValidationProblem(
            "this stream fault does not exist",
            expected=f"kind one of {', '.join(FAULTS)}",
            found="; ".join(wrong),
        )
    return dict(fault)


class Sampler:
    """Frames of a head, due by the time asked. ``discharge`` and ``inject`` may be called from any thread.

    While it is ``dead`` time goes on: frames are made and lost, pulses happen unseen.
    """

    def __init__(
        self, head: Head, *, start_s: float, target: str, trigger: bool = True, lag_s: float = 0.0,
        on_pulse: Callable[[Discharge], None] | None = None,
    ) -> None:  # fmt: skip
        head.prepare(target)
        self.head, self.target, self.trigger, self.lag_s = head, target, trigger, lag_s
        self.discharges: list[Discharge] = []
        self.dead = False
        self.outlet = 0  # which outlet it is: counts up at each return
        self._returns_s = math.inf
        self.on_pulse = on_pulse
        self._start_s, self._start_n, self._factor = start_s, 0, 1.0
        self._inbox: deque[tuple[str, Any]] = deque()
        self._running: list[tuple[float, dict[str, Any]]] = []
        self._triggers: list[tuple[int, int]] = []  # sample ranges in which the trigger column is high
        self._misses = {"miss_pulses": 0, "miss_triggers": 0, "miss_artifacts": 0}
        self._skip = 0
        self._fault_chance = np.random.default_rng([head.seed, 6])
        self._last: F32 | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Column names of a frame."""
        return (*self.head.montage.names, *self.head.emg_names, *(("TRIG",) if self.trigger else ()))

    @property
    def true_rate_hz(self) -> float:
        """The rate at which frames really come."""
        return self.head.rate_hz * self._factor

    def time_of(self, sample: int) -> float:
        """Instant of a sample, seconds."""
        return self._start_s + (sample - self._start_n) / self.true_rate_hz

    def discharge(self, t_s: float, power_pct_mso: float, by: str = "unit") -> None:
        """The coil discharges at ``t_s``, which may lie a little ahead."""
        self._inbox.append(("pulse", (t_s, power_pct_mso, by)))

    def place(self, target: str) -> None:
        """Move the coil: later pulses hit ``target``. ValidationProblem when the scene has none of that
        name.
        """
        self.head.prepare(target)
        self.target = target

    def place_control(self, target: str) -> None:
        """Move the coil to the place of the target's control block (a sham coil, or the shoulder)."""
        self.place(self.head.control_of(target))

    def inject(self, fault: dict[str, Any]) -> None:
        """A fault from now on; see FAULTS."""
        self._inbox.append(("fault", checked_fault(fault, self.names)))

    def take(self, now_s: float) -> tuple[F32, float]:
        """Frames due: float32[n, n_columns] and the instant of the last one (NaN when there is none)."""
        self._read_inbox(now_s)
        if self.dead and now_s >= self._returns_s:
            self._return()
        last = math.floor((now_s - self.lag_s - self._start_s) * self.true_rate_hz + 1e-6) + self._start_n
        n = last + 1 - self.head.position
        # a process that slept for long (or a frozen machine) catches up in pieces, never in one huge block
        n = min(n, max(int(0.5 * self.head.rate_hz), 1))
        if n <= 0:
            return np.empty((0, len(self.names)), np.float32), math.nan
        first = self.head.position
        out = np.zeros((n, len(self.names)), np.float32)
        n_eeg = self.head.montage.n_channels
        out[:, :n_eeg] = self.head.block(n)
        if self.head.emg_names:
            out[:, n_eeg : n_eeg + len(self.head.emg_names)] = self.head.emg_block(n)
        if self.trigger:
            for start, end in self._triggers:
                out[max(start - first, 0) : max(end - first, 0), -1] = TRIGGER_LEVEL
            self._triggers = [(start, end) for start, end in self._triggers if end > first + n]
        return self._spoilt(out, now_s), self.time_of(first + n - 1)

    def _read_inbox(self, now_s: float) -> None:
        for _ in range(len(self._inbox)):
            what, value = self._inbox.popleft()
            if what == "fault":
                self._begin(value, now_s)
            elif value[0] <= now_s:
                self._pulse(*value)
            else:  # announced, not there yet
                self._inbox.append((what, value))

    def _pulse(self, t_s: float, power_pct_mso: float, by: str) -> None:
        due = math.ceil((t_s - self._start_s) * self.true_rate_hz - 1e-6) + self._start_n
        sample = max(due, self.head.position)
        seen = self._misses["miss_pulses"] <= 0
        if seen:
            if self._misses["miss_artifacts"] > 0:
                self._misses["miss_artifacts"] -= 1
            else:
                self.head.pulse(sample, self.target, power_pct_mso)
            if self._misses["miss_triggers"] > 0:
                self._misses["miss_triggers"] -= 1
            else:
                end = sample + max(1, round(TRIGGER_S * self.head.rate_hz))
                self._triggers.append((sample, end))
        else:
            self._misses["miss_pulses"] -= 1
        event = Discharge(
            t_s=t_s, power_pct_mso=power_pct_mso, target=self.target, sample=sample,
            late_samples=sample - due,
            by=by, seen=seen,
        )  # fmt: skip
        self.discharges.append(event)
        if self.on_pulse is not None and seen:
            self.on_pulse(event)

    def _begin(self, fault: dict[str, Any], now_s: float) -> None:
        kind = fault["kind"]
        if kind in self._misses:
            self._misses[kind] += int(fault.get("count", 1))
        elif kind == "drop":
            self._skip += int(fault.get("samples", 1))
        elif kind == "pulse":
            self._pulse(
                now_s, float(fault.get("power_pct_mso", self.head.scene.person.reference_pct_mso)), "fault"
            )
        elif kind == "die":
            self.dead = True
            self._returns_s = now_s + fault["for_s"] if fault.get("for_s") else math.inf
        elif kind == "return":
            self._return()
        elif kind == "rate":
            factor = float(fault.get("factor", 0.5))
            self._start_s, self._start_n = self.time_of(self.head.position), self.head.position
            self._factor = max(factor, 1e-3)
        else:
            ends_s = now_s + fault["for_s"] if fault.get("for_s") else math.inf
            self._running.append((ends_s, fault))

    def _return(self) -> None:
        if self.dead:
            self.dead, self._returns_s = False, math.inf
            self.outlet += 1

    def _spoilt(self, out: F32, now_s: float) -> F32:
        clean = out
        if self.dead:
            return out[:0]
        self._running = [(ends_s, f) for ends_s, f in self._running if now_s < ends_s]
        for _, fault in self._running:
            kind = fault["kind"]
            columns = [self.names.index(c) for c in fault.get("channels", self.head.montage.names)]
            if kind == "freeze":
                out = out[:0]
            elif kind == "repeat" and self._last is not None:
                out = np.resize(self._last, out.shape)
            elif kind == "nan":
                out[:, columns] = np.nan
            elif kind == "flat":
                out[:, columns] = 0.0
            elif kind == "noise":
                more = self._fault_chance.standard_normal((len(out), len(columns)), dtype=np.float32)
                out[:, columns] += np.float32(fault.get("uv", 50.0)) * more
            elif kind == "saturate":
                out[:, columns] = self.head.scene.artifact.rail_uv
        if self._skip:
            lost = min(self._skip, len(out))
            self._skip -= lost
            out = out[lost:]
        if not any(f["kind"] == "repeat" for _, f in self._running):
            self._last = clean
        return out
