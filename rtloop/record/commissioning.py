"""Owns the commissioning record: its file, its hash, and whether it covers what is connected now; makes no record by itself.

The hash shows that a file was altered or cut, by accident or in an editor. It is no proof against somebody who computes
it anew: the record is as true as the person who signed it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rtloop.durable import (
    canonical,
    create_append_only,
    digest,
    sync_data,
    sync_directory,
    write_all,
)
from rtloop.errors import IntegrityProblem
from rtloop.model.status import Mode

RECORD_SCHEMA = 2
#: a record is good for so long; a site may only shorten it
VALID_DAYS = 365.0
PULSES_LEAST = 10
#: in place of an output line that a site does not have
NO_LINE = "none"
#: steps without which no record covers a unit, and those of units that can do more
STEPS = (
    "identity", "power", "pulses", "stop", "engine_frozen", "engine_killed", "hardware_stop", "unplug",
)  # fmt: skip
STEPS_TRAINS = ("train_setting", "train_and_disarm")
STEPS_PAIRS = ("pair_setting",)


@dataclass(frozen=True, kw_only=True)
class StepFound:
    """One step of the walk. ``numbers``: what was measured, units in the names. ``observed_by``: "program" or a name."""

    step: str
    done: str
    expected: str
    found: str
    passed: bool
    observed_by: str
    utc: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class UnitBound:
    """The unit a record holds for. ``port_identity`` is the adapter's own serial number where it has one.

    ``supply_v`` is what the site file says; the unit's ceilings of trains go by it. ``trigger``, ``stop_line``: the output
    lines in words, each with its port's identity; "none" where the site has none.
    """

    model: str
    port_identity: str
    firmware: str
    supply_v: int = 240
    trigger: str = NO_LINE
    stop_line: str = NO_LINE
    trains: bool = False
    pairs: bool = False


@dataclass(frozen=True, kw_only=True)
class StreamBound:
    """The amplifier's stream a record holds for."""

    name: str
    source_id: str
    rate_hz: float
    channels: int


@dataclass(frozen=True, kw_only=True)
class SoftwareBound:
    """The software a record holds for: its version, and the SHA-256 of all its sources."""

    version: str
    source_sha256: str


@dataclass(frozen=True, kw_only=True)
class LimitsBound:
    """The site's limits a record holds for; ``unverified`` names the rows that nobody has checked against their source."""

    sha256: str
    unverified: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What ``rtloop commission`` writes. ``stops_running_train``: None where the unit has no trains or it was not tried."""

    schema: int
    mode: str
    run_id: str
    made_utc: str
    software: SoftwareBound
    unit: UnitBound
    stream: StreamBound
    limits: LimitsBound
    steps: tuple[StepFound, ...]
    stops_running_train: bool | None
    transcripts: Mapping[str, str]  # file beside the record -> SHA-256
    signatory: str
    signature: str  # as typed
    signed_utc: str
    sha256: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Steps that are needed for such a unit and are not there, or did not pass, in words."""
        needed = STEPS + (STEPS_TRAINS if self.unit.trains else ()) + (STEPS_PAIRS if self.unit.pairs else ())
        found: dict[str, bool] = {}
        for step in self.steps:  # a step that failed once is not made good by another line
            found[step.step] = found.get(step.step, True) and step.passed
        return tuple(f"{n}: {'not passed' if n in found else 'not done'}" for n in needed if not found.get(n))

    def sealed(self) -> Record:
        """The same with its hash."""
        return replace(self, sha256=_hash(self))


@dataclass(frozen=True, kw_only=True)
class Connected:
    """What is there now. None: not known yet, because nothing is connected; it is held against the record later."""

    software: SoftwareBound
    limits: LimitsBound
    model: str
    port_identity: str
    supply_v: int = 240
    trigger: str = NO_LINE
    stop_line: str = NO_LINE
    firmware: str | None = None
    stream: StreamBound | None = None


def commissioned(
    record: Record | None, now_utc: str, found: Connected, *, valid_days: float = VALID_DAYS
) -> tuple[str, ...]:
    """Every reason why a person may not be under the coil with this record; () when there is none."""
    if record is None:
        return ("there is no commissioning record of this unit at this site: run rtloop commission",)
    no: list[str] = []

    def held(what: str, recorded: object, now: object) -> None:
        if recorded != now:
            no.append(f"{what}: the record holds for {recorded}, found {now}")

    if record.sha256 != _hash(record):
        no.append("the record was altered: its hash does not fit its content")
    held("the form of the record", record.schema, RECORD_SCHEMA)
    if record.mode != Mode.BENCH:
        no.append(f"the record was made {record.mode}; only one made on the real unit ({Mode.BENCH}) counts")
    no += [f"step {words}" for words in record.missing]
    seen = [s.numbers.get("pulses_seen", 0.0) for s in record.steps if s.step == "pulses"]
    if not (seen and min(seen) >= PULSES_LEAST):
        no.append(f"fewer than {PULSES_LEAST} pulses of the record were seen in the EEG")
    no += _signed(record)
    no += _aged(record, now_utc, valid_days)
    held("software version", record.software.version, found.software.version)
    held(
        "source of rtloop and its drivers (sha256)",
        record.software.source_sha256,
        found.software.source_sha256,
    )
    held("unit model", record.unit.model, found.model)
    held("port", record.unit.port_identity, found.port_identity)
    held("mains supply in the site file (V)", record.unit.supply_v, found.supply_v)
    held("trigger line", record.unit.trigger, found.trigger)
    held("STOP line", record.unit.stop_line, found.stop_line)
    if found.firmware is not None:
        held("the unit's firmware", record.unit.firmware, found.firmware)
    if found.stream is not None:
        held("amplifier stream", record.stream, found.stream)
    held("the site's limits (sha256)", record.limits.sha256, found.limits.sha256)
    for whose, rows in (("record's", record.limits.unverified), ("site's", found.limits.unverified)):
        if rows:
            few = ", ".join(rows[:4]) + (", ..." if len(rows) > 4 else "")
            no.append(f"{len(rows)} of the {whose} limits were verified by nobody: {few}")
    return tuple(no)


def _signed(record: Record) -> list[str]:
    name = record.signatory.strip()
    if not name or record.signature.strip() != name or not record.signed_utc:
        return ["the record is not signed: the signatory's own name, typed, and the date"]
    return []


def _aged(record: Record, now_utc: str, valid_days: float) -> list[str]:
    try:
        span = datetime.fromisoformat(now_utc) - datetime.fromisoformat(record.signed_utc)
        age_days = span.total_seconds() / 86400.0
    except (ValueError, TypeError):
        age_days = math.nan
    if not -1.0 <= age_days <= min(valid_days, VALID_DAYS):
        limit = f"signed at most {min(valid_days, VALID_DAYS):g} days ago"
        return [f"the record's date: expected {limit}, found {record.signed_utc}, now {now_utc}"]
    return []


# -- the file -----------------------------------------------------------------------------------------------------


def _hash(record: Record) -> str:
    return digest(asdict(record), but="sha256")


def write_record(path: Path, record: Record) -> Record:
    """Write a new file (mode 0600, never over another), durable; returns the record with its hash."""
    made = record.sealed()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = create_append_only(path)
        try:
            write_all(fd, canonical(asdict(made)) + b"\n")
            sync_data(fd)
        finally:
            os.close(fd)
        sync_directory(path.parent)
    except OSError as err:
        raise IntegrityProblem(
            f"cannot write the commissioning record {path}", expected="a new file in a writable folder", found=str(err),
            todo="check rights and free space; the walk has to be done again",
        ) from err  # fmt: skip
    return made


def read_record(path: Path) -> Record:
    """The record of a file, whole and unaltered; IntegrityProblem otherwise."""
    try:
        raw = path.read_bytes()
        tree = json.loads(raw.decode())
        record = _record(tree)
        if canonical(asdict(record)) + b"\n" != raw:
            raise ValueError("it is not in canonical form")
        if record.sha256 != _hash(record):
            raise ValueError("its hash does not fit its content")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as err:
        raise IntegrityProblem(
            f"the commissioning record {path.name} cannot be trusted", expected="the file as rtloop commission wrote it",
            found=f"{type(err).__name__}: {err}", todo="restore the file, or commission the unit again",
        ) from err  # fmt: skip
    return record


def _record(tree: Any) -> Record:
    if tree["schema"] != RECORD_SCHEMA:
        raise ValueError(
            f"it is a record of form {tree['schema']}, this version of rtloop reads {RECORD_SCHEMA}"
        )
    kept = dict(tree)
    kept["software"] = SoftwareBound(**tree["software"])
    kept["unit"] = UnitBound(**tree["unit"])
    kept["stream"] = StreamBound(**tree["stream"])
    kept["limits"] = LimitsBound(
        sha256=tree["limits"]["sha256"], unverified=tuple(tree["limits"]["unverified"])
    )
    kept["steps"] = tuple(StepFound(**step) for step in tree["steps"])
    made = Record(**kept)
    wrong = [f.name for f in fields(made) if f.type == "str" and type(getattr(made, f.name)) is not str]
    wrong += [s.step for s in made.steps if type(s.passed) is not bool]
    if wrong or type(made.schema) is not int or made.stops_running_train not in (None, True, False):
        raise ValueError(f"a field has the wrong kind: {', '.join(wrong) or 'schema or stops_running_train'}")
    return made


def newest_records(folder: Path, model: str) -> tuple[list[tuple[Path, Record]], list[str]]:
    """Records of a unit model in a folder, newest first, and what is wrong with files that are none."""
    found: list[tuple[Path, Record]] = []
    wrong: list[str] = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            record = read_record(path)
        except IntegrityProblem as err:
            wrong.append(f"{err.what}: {err.found}")
        else:
            if record.unit.model == model:
                found.append((path, record))
    found.sort(key=lambda pair: pair[1].made_utc, reverse=True)
    return found, wrong
