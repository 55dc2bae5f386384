"""Owns a commissioning record that covers everything, to be spoiled one thing at a time; no check is made weaker here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rtloop.app.commissioned import limits_bound, software_bound
from rtloop.app.config import Site, load_site
from rtloop.clock import WALL
from rtloop.record.commissioning import (
    RECORD_SCHEMA,
    STEPS,
    Connected,
    Record,
    StepFound,
    StreamBound,
    UnitBound,
)
from rtloop.safety.limits import load_limits

PORT = "socket://127.0.0.1:7"
STREAM = StreamBound(name="amp", source_id="amp-1", rate_hz=1000.0, channels=9)
FIRMWARE = "not reported by this model"


def site_file(folder: Path, *, verified: bool = True, more: str = "") -> Path:
    """A site with a unit at ``PORT``; ``verified``: somebody there has checked every limit."""
    text = f'mode = "HUMAN"\ndata_dir = "data"\n{more}\n[unit]\nmodel = "200"\nport = "{PORT}"\n[stream]\nname = "amp"\n'
    if verified:
        names = json.dumps(list(load_limits().unverified), ensure_ascii=False)
        text += f'[verified]\nby = "Ada Example"\non = "2026-11-01"\nlimits = {names}\n'
    path = folder / "rtloop.toml"
    path.write_text(text, encoding="utf-8")
    return path


def site_in(folder: Path, **options: Any) -> Site:
    """That site, read."""
    return load_site(site_file(folder, **options), environ={})


def good(site: Site, **changes: Any) -> Record:
    """A record made today on the real unit of ``site``, every step passed, signed; then ``changes``."""
    now = WALL.utc()
    steps = tuple(
        StepFound(
            step=name, done="d", expected="e", found="f", passed=True, observed_by="program", utc=now,
            numbers={"pulses_seen": 10.0} if name == "pulses" else {},
        )
        for name in STEPS
    )  # fmt: skip
    record = Record(
        schema=RECORD_SCHEMA, mode="BENCH", run_id="0123abcd", made_utc=now, software=software_bound(),
        unit=UnitBound(model="200", port_identity=PORT, firmware=FIRMWARE), stream=STREAM, limits=limits_bound(site.limits()),
        steps=steps, stops_running_train=None, transcripts={}, signatory="Ada Example", signature="Ada Example",
        signed_utc=now,
    )  # fmt: skip
    return replace(record, **changes).sealed()


def here(site: Site, **changes: Any) -> Connected:
    """What is connected when all is as at commissioning."""
    found = Connected(
        software=software_bound(), limits=limits_bound(site.limits()), model="200", port_identity=PORT, firmware=FIRMWARE,
        stream=STREAM,
    )  # fmt: skip
    return replace(found, **changes)
