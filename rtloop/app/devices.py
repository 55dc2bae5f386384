"""Owns ``rtloop devices``: found against expected, line by line, before a session; opens no port and changes nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rtloop.app.config import Site, load_site
from rtloop.errors import RtloopError
from rtloop.model.status import Mode

#: below this no session starts (rtloop.app.preflight); an hour of 64 channels at 5 kHz takes 4.6 GB
FREE_GB = 1.0
CLOCK_WITHIN_S = 1e-3
LOCKS = Path("/proc/locks")
NOT_TRIED = "it is tried by the session's own pre-flight"


@dataclass(frozen=True, kw_only=True)
class Found:
    """One line: what is expected, what is there, and what to do when that differs."""

    name: str
    ok: bool
    expected: str
    found: str
    todo: str = ""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a session would ask for. ``kind`` is map, probe, watch or treat; None: what the site file says."""

    kind: str = "map"
    simulate: bool = False
    stream: str | None = None
    source_id: str | None = None
    markers: str | None = None
    unit: str | None = None
    port: str | None = None
    data_dir: Path | None = None
    site: Path | None = None


def list_devices(wanted: Wanted) -> tuple[str, dict[str, Any], int]:
    """Words, JSON and exit code: 4 when anything that a session needs is not as expected."""
    site = load_site(
        wanted.site,
        overrides={
            "data_dir": wanted.data_dir, "stream.name": wanted.stream, "stream.source_id": wanted.source_id,
            "markers.name": wanted.markers, "unit.model": wanted.unit, "unit.port": wanted.port,
        },
    )  # fmt: skip
    listings = [] if wanted.simulate else _listings()
    rows = [
        *_streams(site, wanted, listings),
        *_unit(site, wanted),
        *_commissioning(site, wanted),
        _disk(Path(site.data_dir)),
        _clock(),
    ]
    code = 0 if all(r.ok for r in rows) else 4
    data = {
        "devices": [asdict(r) for r in rows],
        "streams": [s.name for s in listings if s.kind.lower() == "eeg"],
        "markers": [s.name for s in listings if s.kind.lower() == "markers"],
        "ports": [p for p, _ in serial_ports()], "ok": code == 0,
    }  # fmt: skip
    return table(rows), data, code


def table(rows: Iterable[Found]) -> str:
    """Text for a terminal."""
    lines = []
    for r in rows:
        lines.append(f"[{'ok' if r.ok else '!!'}] {r.name}: {r.found}")
        if not r.ok:
            lines += [f"     expected: {r.expected}", f"     what to do: {r.todo}"]
    return "\n".join(lines)


# -- the amplifier ------------------------------------------------------------------------------------------------


def _listings() -> list[Any]:
    from rtloop.eeg.lsl import list_streams

    return list_streams()


def _streams(site: Site, wanted: Wanted, listings: list[Any]) -> list[Found]:
    if wanted.simulate:
        own = "comes with the simulated bedside"
        return [Found(name="EEG stream", ok=True, expected="the simulated amplifier", found=own)]
    s = site.stream
    expected = f"one EEG stream '{s.name}'" if s.name else "exactly one EEG stream"
    expected += f", source_id '{s.source_id}'" if s.source_id else ""
    expected += f", {s.rate_hz:g} Hz" if s.rate_hz else ""
    expected += f", {len(s.channels)} channels" if s.channels else ""
    rows = [_stream("EEG stream", "EEG", expected, s.name, s.source_id, s.rate_hz, s.channels)]
    if site.markers.name:
        rows.append(
            _stream("marker stream", "Markers", f"one marker stream '{site.markers.name}'", site.markers.name)
        )
    others = [x for x in listings if x.kind.lower() == "markers"]
    if others and not site.markers.name:
        names = ", ".join(f"'{x.name}'" for x in others)
        rows.append(
            Found(name="marker stream", ok=True, expected="none is named", found=f"not used, though there: {names}")
        )  # fmt: skip
    return rows


def _stream(
    title: str, kind: str, expected: str, name: str | None, source_id: str | None = None,
    rate_hz: float | None = None, channels: tuple[str, ...] | None = None,
) -> Found:  # fmt: skip
    from rtloop.eeg.lsl import find_stream

    try:
        found = find_stream(
            name=name, source_id=source_id, kind=kind, expected_rate_hz=rate_hz,
            expected_channels=None if channels is None else len(channels), wait_s=0.0,
        )  # fmt: skip
    except RtloopError as err:
        words = err.found if err.what == "the stream was not found" else f"{err.what}: {err.found}"
        return Found(name=title, ok=False, expected=err.expected or expected, found=words, todo=err.todo)
    words = f"'{found.listing.name}' on {found.listing.hostname}"
    if found.layout is not None:
        trigger = found.layout.trigger_column
        words += (
            f", {found.listing.rate_hz:g} Hz, {len(found.layout.eeg_columns)} EEG channels with positions, "
            + (
                "no trigger channel: pulses are found by markers or by their artifact"
                if trigger is None
                else f"trigger channel {found.layout.names[trigger]}"
            )
        )
    return Found(name=title, ok=True, expected=expected, found=words)


# -- the unit -----------------------------------------------------------------------------------------------------


def serial_ports() -> list[tuple[str, str]]:
    """(device, description) of the serial ports of this computer; none is opened."""
    from serial.tools import list_ports

    return sorted((p.device, p.description if p.description != "n/a" else "") for p in list_ports.comports())


def _unit(site: Site, wanted: Wanted) -> list[Found]:
    name = "unit of the plan" if wanted.kind == "treat" and wanted.simulate else f"unit {site.unit.model}"
    if wanted.kind == "watch":
        return [Found(name="unit", ok=True, expected="none", found="none is connected: nothing can be fired")]
    if wanted.simulate:
        return [
            Found(name=name, ok=True, expected="the simulated unit", found="comes with the simulated bedside")
        ]
    port = site.unit.port
    ports = serial_ports()
    there = ", ".join(f"{p} ({d})" if d else p for p, d in ports) or "no serial port"
    if port is None:
        return [
            Found(
                name=name, ok=False, expected="the port of the unit", found=f"none is named; there is {there}",
                todo="name it, or only listen (rtloop watch), or try the simulated bedside",
            )
        ]  # fmt: skip
    owner = _owner(port)
    if owner is not None:
        return [
            Found(
                name=name, ok=False, expected=f"{port}, free", found=f"owned by {owner}",
                todo="end that session, or rejoin it; a unit has one owner",
            )
        ]  # fmt: skip
    if "://" in port:
        return [Found(name=name, ok=True, expected=port, found=f"not opened here: {NOT_TRIED}")]
    if not _is_there(port, [p for p, _ in ports]):
        return [
            Found(
                name=name, ok=False, expected=port, found=there,
                todo="plug in the unit's serial cable, switch the adapter on, or name another port",
            )
        ]  # fmt: skip
    if os.name == "posix" and not os.access(port, os.R_OK | os.W_OK):
        return [
            Found(
                name=name, ok=False, expected=f"{port}, readable and writable", found="no right to use it",
                todo="sudo usermod -aG dialout $USER, then log in again",
            )
        ]  # fmt: skip
    said = next((d for p, d in ports if p == port), "")
    return [
        Found(name=name, ok=True, expected=port, found=f"there{f' ({said})' if said else ''}; not opened: {NOT_TRIED}")
    ]  # fmt: skip


def _is_there(port: str, known: list[str]) -> bool:
    if os.name == "posix":
        return Path(port).exists()
    return port.upper() in (p.upper() for p in known)


def _owner(port: str) -> str | None:
    """Who owns the name of a port, from the system's table of locks: the lock itself is not touched. None: nobody, or unknown."""
    from drivers.magstim.line import PortLock

    path = PortLock(port).path
    try:
        inode, held = path.stat().st_ino, LOCKS.read_text(encoding="ascii")
    except OSError:
        return None
    for pid, lock_inode in re.findall(r"FLOCK\s+ADVISORY\s+WRITE\s+(-?\d+)\s+\w+:\w+:(\d+)\s", held):
        if int(lock_inode) == inode:
            return f"process {pid}" if int(pid) > 0 else "another session"
    return None


def _commissioning(site: Site, wanted: Wanted) -> list[Found]:
    """Only where the site works in mode HUMAN: the record that this needs."""
    if wanted.kind == "watch" or wanted.simulate or site.mode is not Mode.HUMAN or site.unit.port is None:
        return []
    from rtloop.app.commissioned import covered

    found = covered(site)
    return [
        Found(
            name="commissioning", ok=found.ok, expected="a record that covers this unit, software and site", found=found.words,
            todo="" if found.ok else "rtloop commission (docs/commissioning.md), or work in mode BENCH on a phantom",
        )
    ]  # fmt: skip


# -- this computer ------------------------------------------------------------------------------------------------


def _disk(data_dir: Path) -> Found:
    expected = f"a writable folder with >= {FREE_GB:g} GB free"
    place = data_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Found(
            name="data folder", ok=False, expected=expected, found=f"{data_dir} cannot be written",
            todo="choose another data folder",
        )  # fmt: skip
    free_gb = shutil.disk_usage(place).free / 1e9
    todo = "" if free_gb >= FREE_GB else "make room, or choose another data folder"
    return Found(
        name="data folder", ok=free_gb >= FREE_GB, expected=expected, todo=todo,
        found=f"{data_dir}, {free_gb:.0f} GB free ({free_gb / 4.6:.0f} h of 64 channels at 5 kHz)",
    )  # fmt: skip


def _clock() -> Found:
    from rtloop.eeg.lsl import clock_difference_s

    expected = f"LSL's clock within {CLOCK_WITHIN_S * 1e6:.0f} µs of ours"
    difference_s = abs(clock_difference_s())
    return Found(
        name="clock", ok=difference_s < CLOCK_WITHIN_S, expected=expected, found=f"{difference_s * 1e6:.0f} µs apart",
        todo="" if difference_s < CLOCK_WITHIN_S else "look again; if it stays, run rtloop doctor",
    )  # fmt: skip
