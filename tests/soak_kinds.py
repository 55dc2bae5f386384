"""Owns what a soak is done on and what goes wrong in it: units, ways to fire, faults, another program's bytes; no check."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from hardware_sim.faults import FaultKind
from hardware_sim.magstim import UNLOCK_CODE
from hardware_sim.packet import sealed
from rtloop.clock import SteppedClock
from rtloop.model.pulse import Pair, Train


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A unit and the way it is fired. ``sim``, ``driver``: how its simulated unit and its driver are made."""

    model: str
    sim: dict[str, Any] = field(default_factory=dict)
    driver: dict[str, Any] = field(default_factory=dict)
    by_trigger: bool = False

    @property
    def trains(self) -> bool:
        return "rapid" in self.model

    @property
    def pairs(self) -> bool:
        return self.model == "bistim"


_CODE = {"unlock_code": UNLOCK_CODE}
KINDS: dict[str, Kind] = {
    "200": Kind(model="200"), "bistim": Kind(model="bistim"),
    "super-rapid-plus": Kind(model="super-rapid-plus", driver=_CODE), "rapid": Kind(model="rapid", driver=_CODE),
    "rapid-7": Kind(model="rapid", sim={"version": (7, 1)}),
    "super-rapid-5": Kind(model="super-rapid", sim={"version": (5, 0, 0)}),
    "200-trigger": Kind(model="200", by_trigger=True),
    "rapid-trigger": Kind(model="rapid", driver=_CODE, by_trigger=True),
}  # fmt: skip

#: faults of the line and the unit; ``FIRE_WITHOUT_DISCHARGE`` is left out by serial: the unit lies, and only the EEG can tell
LINE_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": FaultKind.MUTE, "end_s": 0.3}, {"kind": FaultKind.MUTE, "end_s": 1.5},
    {"kind": FaultKind.MUTE, "only": "EH", "times": 1},
    {"kind": FaultKind.BAD_CRC, "times": 1}, {"kind": FaultKind.BAD_CRC, "only": "EH", "times": 1},
    {"kind": FaultKind.BAD_CRC, "end_s": 2.0},
    {"kind": FaultKind.SHORT_REPLY, "times": 1, "n_bytes": 2},
    {"kind": FaultKind.DELAYED_REPLY, "times": 1, "delay_s": 0.3},
    {"kind": FaultKind.DELAYED_REPLY, "times": 2, "delay_s": 0.6},
    {"kind": FaultKind.DELAYED_REPLY, "end_s": 10.0, "delay_s": 0.03},
    {"kind": FaultKind.DELAYED_REPLY, "end_s": 10.0, "delay_s": 0.1},
    {"kind": FaultKind.DELAYED_REPLY, "end_s": 10.0, "delay_s": 0.2},
    {"kind": FaultKind.STRAY_BYTES, "times": 1, "data": b"\x00\xff"},
    {"kind": FaultKind.STRAY_BYTES, "times": 1, "only": "EH", "data": b"?", "delay_s": 0.02},
    {"kind": FaultKind.UNSOLICITED_BYTES, "data": b"E\x8c?"},
    {"kind": FaultKind.ANSWER_UNKNOWN, "times": 1}, {"kind": FaultKind.ANSWER_CONFLICT, "times": 1},
    {"kind": FaultKind.ANSWER_UNKNOWN, "only": "EH", "times": 1},
    {"kind": FaultKind.ANSWER_CONFLICT, "only": "EH", "times": 1},
    {"kind": FaultKind.STUCK_BUSY, "end_s": 3.0}, {"kind": FaultKind.COIL_ABSENT, "end_s": 1.0},
    {"kind": FaultKind.REPLACE_COIL, "end_s": 1.0}, {"kind": FaultKind.HOT_COIL, "temp_c": 41.0, "end_s": 2.0},
    {"kind": FaultKind.ERROR_BIT, "end_s": 1.0}, {"kind": FaultKind.UNPLUG},
    {"kind": FaultKind.PORT_BACK, "end_s": 1.0},
    {"kind": FaultKind.CABLE_OUT, "end_s": 0.3}, {"kind": FaultKind.CABLE_OUT, "end_s": 1.5},
    {"kind": FaultKind.UNCERTAIN_FIRE, "times": 1, "how": "lost"},
    {"kind": FaultKind.UNCERTAIN_FIRE, "times": 1, "how": "bad_crc"},
    {"kind": FaultKind.STANDBY_UNEXPECTEDLY}, {"kind": FaultKind.TRIGGER_EDGE, "times": 1},
)  # fmt: skip
#: these end the line of a run: seldom
GONE = (FaultKind.UNPLUG, FaultKind.PORT_BACK)
#: another program, or somebody at the panel: what the unit does or holds is no longer what was asked of it
MEDDLES = (FaultKind.TWO_OWNERS, FaultKind.TRAIN_MODE, FaultKind.TRIGGER_EDGE)


def faults_of(kind: Kind) -> tuple[dict[str, Any], ...]:
    """All that may go wrong with this unit."""
    wide = kind.trains and kind.sim.get("version", (9,)) >= (9,)
    foreign = [b"R@", b"EA", b"EB", b"EH", b"@048", b"@051", b"@051"]
    if kind.pairs:
        foreign += [b"A050", b"C025"]
    if kind.trains:
        foreign += [b"B0200", b"D00050" if wide else b"D0050"]
    out = [*LINE_FAULTS, *({"kind": FaultKind.TWO_OWNERS, "data": sealed(body)} for body in foreign)]
    if kind.trains:
        out.append({"kind": FaultKind.TRAIN_MODE})
    if kind.by_trigger:
        out.append({"kind": FaultKind.FIRE_WITHOUT_DISCHARGE, "times": 1})
    return tuple(out)


class Edge:
    """A trigger line straight into the simulated unit, high for 5 ms."""

    def __init__(self, sim: Any, clock: SteppedClock) -> None:
        self.sim, self.clock = sim, clock
        self.missed = 0  # edges that met a unit that was armed and not ready: it says the same after a pulse

    def fire(self, *, not_after_s: float = math.inf) -> float:
        now_s = self.clock.now_s()
        assert now_s < not_after_s
        self.sim.tick(now_s)
        before = self.sim.state()
        if self.sim.trigger_edge(now_s) is None and before.armed and not before.ready:
            self.missed += 1
        self.clock.sleep_until(now_s + 0.005)
        return now_s

    def close(self) -> None: ...


NEAR = (48, 49, 50, 51)  # across a step of the unit's own gap; a large fall takes many seconds
FAR = (0, 30, 79, 80, 100, -1, 101, 55.0, math.nan, None, True, "50")
#: the last three break the unit's own rules or the table of longest trains, and must be refused
TRAINS = tuple(
    Train(frequency_hz=f_hz, n_pulses=n)
    for f_hz, n in (
        (10.0, 5), (10.0, 25), (20.0, 4), (5.0, 10), (1.0, 3), (10.0, 100), (50.0, 400), (99.0, 3),
    )
)  # fmt: skip
PAIRS = tuple(
    Pair(power_b_pct_mso=b, interval_ms=ms)
    for b, ms in ((49, 3.0), (30, 100.0), (50, 2.5), (20, 0.0), (100, 10.0))
)
