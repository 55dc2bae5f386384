"""Owns putting what processes told (JSON) and what files say into the window's values; runs nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from gui.desk import Devices, Ended, Opened, Rehearsed, Settings
from gui.shown import Line, Tick, Tone
from rtloop.app.config import KEYS, Site
from rtloop.app.past import Past

_TONES = {"clean": Tone.GOOD, "early": Tone.ATTENTION, "torn": Tone.BAD, "empty": Tone.OFF}


def devices_of(told: dict[str, Any]) -> Devices:
    """The answer of ``rtloop devices --json``."""
    ticks = tuple(
        Tick(
            name=d["name"],
            expected=d["expected"],
            found=d["found"],
            tone=Tone.GOOD if d["ok"] else Tone.BAD,
            todo=d["todo"],
        )
        for d in told["devices"]
    )
    return Devices(ticks=ticks, streams=tuple(told["streams"]), ports=tuple(told["ports"]))


def rehearsed_of(told: dict[str, Any]) -> Rehearsed:
    """The answer of ``rtloop check --json``: a breach is a problem with its step and its citation."""
    if told["kind"] == "treat":
        return _treatment_of(told)
    lines = []
    if told["kind"] == "watch":
        lines.append(Line(text=f"{told['plan']}: listens only; nothing can be fired", tone=Tone.GOOD))
    else:
        lines.append(
            Line(
                text=f"{told['plan']} ({told['kind']}): {_span(told['pulses'])} pulses, about {_minutes(told['duration_s'])}"
            )
        )
    for row in told["targets"]:
        power = row["power_pct_mso"]
        steps = [str(p) for p in row.get("preview_pct_mso") or ()]
        words = f"{row['target']}: " + (
            "% of a motor threshold that is not given" if power is None else f"{power} % MSO"
        )
        words += f", {_span(row['pulses'])} pulses"
        lines.append(Line(text=words + (f", preview at {', '.join(steps)} %" if len(steps) > 1 else "")))
    for w in told["waivers"]:
        needed = f"needed by {', '.join(w['needed_by'])}" if w["needed_by"] else "no step needs it"
        lines.append(Line(text=f"{w['words']} ({needed})", tone=Tone.ATTENTION))
    return Rehearsed(words=tuple(lines), problems=tuple(map(_breach, told["breaches"])), kind=told["kind"])


def _breach(b: dict[str, Any]) -> str:
    cited = f" ({b['citation']})" if b["citation"] else ""
    return f"{b['where']}: {b['rule']}: expected {b['expected']}, found {b['found']}; {b['todo']}{cited}"


def _treatment_of(told: dict[str, Any]) -> Rehearsed:
    lines = [
        Line(text=f"{told['plan']}: a treatment, {told['label'].upper()}: {told['citation']}"),
        Line(text=told["unit"]),
    ]
    for row in told["targets"]:
        train, powers = row["train"], " then ".join(f"{p}" for p in row["powers_pct_mso"])
        pause = "" if row["pause_s"] is None else f", pause {row['pause_s'][0]:g} s"
        span = _minutes([row["duration_s"] + w for w in row["waits_s"] or (0.0, 0.0)])
        lines.append(Line(
            text=f"{row['target']}: {row['trains']} trains of {train['n_pulses']} pulses at {train['frequency_hz']:g} Hz{pause}: "
            f"{row['pulses']} pulses, about {span}; {powers} % MSO from a threshold of {row['threshold_pct_mso']} %"
        ))  # fmt: skip
        lines.append(
            Line(
                text=f"software may not be able to stop a train for {row['cannot_stop_s']:.1f} s",
                tone=Tone.ATTENTION,
            )
        )
    lines += [Line(text=w["told"], tone=Tone.ATTENTION) for w in told["waivers"]]
    broken = dict.fromkeys(
        f"{row['target']}: {_breach(b)}" for row in told["targets"] for b in row["breaches"]
    )
    return Rehearsed(words=tuple(lines), problems=tuple(broken), kind="treat")


def _span(pair: list[float]) -> str:
    low, high = (round(x) for x in pair)
    return str(low) if low == high else f"{low} to {high}"


def _minutes(pair: list[float]) -> str:
    low, high = (max(1, math.ceil(x / 60)) for x in pair)
    return f"{low} min" if low == high else f"{low} to {high} min"


def opened_of(told: dict[str, Any]) -> Opened:
    """The answer of ``rtloop.app.lookback``."""
    return Opened(
        folder=Path(told["folder"]),
        pages=Path(told["pages"]) if told.get("pages") else None,
        title=told["title"],
    )


def ended_of(past: Past) -> Ended:
    """One row of the list of ended sessions."""
    said = {"clean": "ended", "early": "ended early", "torn": "NOT whole", "empty": "no session"}[past.end]
    line = Line(text=f"{said}: {past.words}" if past.words else said, tone=_TONES[past.end])
    return Ended(path=past.path, title=past.title or past.path.name, line=line)


def settings_of(site: Site) -> Settings:
    """What the settings screen shows of a site, with the origin of every key."""
    return Settings(
        file=site.file, mode=site.mode.value, data_dir=site.data_dir, stream=site.stream.name or "",
        source_id=site.stream.source_id or "", markers=site.markers.name or "", port=site.unit.port or "",
        origin=tuple((k, site.origin.get(k, "built-in default")) for k in KEYS),
    )  # fmt: skip


def values_of(s: Settings) -> dict[str, str]:
    """Dotted key of the site file -> text; the keys that the window changes."""
    return {
        "mode": s.mode, "data_dir": s.data_dir, "stream.name": s.stream, "stream.source_id": s.source_id,
        "markers.name": s.markers, "unit.port": s.port,
    }  # fmt: skip
