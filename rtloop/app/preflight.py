"""Owns the pre-flight: expected against found, line by line, before anything may be armed; owns no rule of its own."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rtloop.app.progress import Progress
from rtloop.app.wiring import Bench
from rtloop.clock import Clock
from rtloop.eeg.lsl import clock_difference_s
from rtloop.errors import NotReady, SafetyStop, ValidationProblem
from rtloop.model.status import Lamp
from rtloop.session.loop import Loop
from rtloop.session.vigil import Vigil

if TYPE_CHECKING:
    from rtloop.app.setting import Setting

#: how long stream, unit and recorder may take to be in order
SETTLE_S = 10.0
STEADY_S = 1.0
#: free disk below which no session starts
FREE_GB = 1.0


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of the pre-flight."""

    name: str
    ok: bool
    expected: str
    found: str
    todo: str = ""


def preflight(
    loop: Loop, bench: Bench, vigil: Vigil, setting: Setting, progress: Progress, clock: Clock
) -> None:
    """SAFE -> READY when every line is in order for a second; NotReady with every line that is not after 10 s."""
    _local_electrodes(setting, bench)

    def one_pass(now_s: float) -> None:
        bench.board.beat("engine")
        if not setting.request.window:  # a window shows by itself that somebody is there
            bench.board.beat("operator")
        vigil.look(now_s, Lamp.SAFE)
        bench.source.pulses(now_s)

    items = settled(bench, vigil, Path(setting.site.data_dir), clock, one_pass)
    found = [
        {"name": i.name, "ok": i.ok, "expected": i.expected, "found": i.found, "todo": i.todo} for i in items
    ]
    loop.emit("preflight_checked", items=found)
    for i in items:
        progress.say(
            f"   [{'ok' if i.ok else '!!'}] {i.name}: {i.found}"
            + ("" if i.ok else f" (expected {i.expected}; {i.todo})")
        )
    refuse_wrong(items)
    vigil.standing = {}  # whatever stands now is told to the interlock at the loop's first look
    loop.preflight_passed()


def settled(
    bench: Bench, vigil: Vigil, data_dir: Path, clock: Clock, one_pass: Callable[[float], None]
) -> list[Item]:
    """Every line, once all have been in order for a second, or what is wrong after 10 s; SafetyStop where STOP was asked for.

    ``one_pass``: shows life and has ``vigil`` look; called with the instant about every 10 ms.
    """
    end_s, good_since_s = clock.now_s() + SETTLE_S, math.inf
    while True:
        now_s = clock.now_s()
        one_pass(now_s)
        items = checked(bench, vigil, data_dir)
        if bench.board["stop_asked"]:
            raise SafetyStop("STOP was asked for during the pre-flight", todo="start a new run with a note")
        good_since_s = min(good_since_s, now_s) if all(i.ok for i in items) else math.inf
        if now_s - good_since_s >= STEADY_S:
            return items
        if now_s > end_s:
            flickers = "all in order now, not throughout the last second"
            steady = Item(
                name="steady",
                ok=False,
                expected=f"all in order for {STEADY_S:g} s",
                found=flickers,
                todo="look what comes and goes",
            )
            return [*items, steady] if all(i.ok for i in items) else items
        clock.sleep_until(now_s + 0.01)


def refuse_wrong(items: list[Item]) -> None:
    """NotReady with every line that is not in order."""
    wrong = [i for i in items if not i.ok]
    if wrong:
        raise NotReady(
            "the pre-flight did not pass", expected="; ".join(f"{i.name}: {i.expected}" for i in wrong),
            found="; ".join(f"{i.name}: {i.found}" for i in wrong),
            todo="; ".join(f"{i.name}: {i.todo}" for i in wrong) + "; then start again",
        )  # fmt: skip


def _local_electrodes(setting: Setting, bench: Bench) -> None:
    names = {n.upper() for n in bench.source.montage.names}
    lacking = {t: [n for n in s.local if n.upper() not in names] for t, s in setting.spots.items()}
    wrong = [f"{t}: {', '.join(n)}" for t, n in lacking.items() if n]
    if wrong:
        raise ValidationProblem(
            "the stream lacks local electrodes of the plan", expected="every electrode the plan names",
            found="; ".join(wrong), todo="correct local_electrodes in the plan, or leave it out",
        )  # fmt: skip


def checked(bench: Bench, vigil: Vigil, data_dir: Path) -> list[Item]:
    """Every line, as things stand at the vigil's newest look."""
    health, board = vigil.health, bench.board
    assert health is not None
    free_gb = shutil.disk_usage(data_dir).free / 1e9
    difference_us = abs(clock_difference_s()) * 1e6
    n = bench.source.montage.n_channels
    items = [
        Item(
            name="stream", ok=health.ok, expected="no breach",
            found="; ".join(f"{b.what}: expected {b.expected}, found {b.found}" for b in health.breaches)
            or f"{n} EEG channels, {health.rate_hz:.0f} Hz, {health.gaps} gaps, newest sample {health.age_s * 1e3:.0f} ms old"
            + (f", bad: {', '.join(health.bad_channels)}" if health.bad_channels else ""),
            todo="check amplifier, electrodes and the network between the two computers",
        ),
        Item(
            name="recorder", ok=board["recorder_state"] == 1 and board["durable_sample"] > 0, expected="recording",
            found=f"{board['durable_sample']} samples on disk", todo="check that the data directory can be written",
        ),
        Item(name="disk", ok=free_gb >= FREE_GB, expected=f">= {FREE_GB:g} GB free", found=f"{free_gb:.0f} GB free",
            todo="free space, or choose another --data-dir",
        ),
        Item(
            name="clock", ok=difference_us < 1000, expected="LSL's clock within 1000 µs of ours",
            found=f"{difference_us:.0f} µs", todo="update liblsl; rtloop doctor tells more",
        ),
    ]  # fmt: skip
    if bench.unit is not None:
        s = bench.unit.status()
        words = "; ".join(
            w for w, bad in (("not in standby", not s.standby), ("no coil", not s.coil_present), ("error", s.error),
                             ("no remote control", not s.remote)) if bad
        )  # fmt: skip
        items.append(
            Item(
                name="unit", ok=not words, expected="standby, coil, remote control, no error",
                found=words or f"standby, coil present at {s.coil_temp_c} °C, {s.power_pct_mso} % MSO",
                todo="look at the unit's display: coil plugged in, remote control allowed, no error",
            )
        )  # fmt: skip
    return items
