"""Owns what a treatment session's journal says, sorted for its report: trains, checklists, what was felt; owns no layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtloop.model import course
from rtloop.model.event import Event
from rtloop.record import kinds
from rtloop.treat.gate_table import gate_table


@dataclass(kw_only=True)
class TrainRow:
    """One fire command of a train: ``begun_s``, ``end_s`` since the session's first event; ``pause_s`` from the END of the train
    before it (None: the first)."""

    train: int
    power_pct_mso: int
    power_pct_rmt: float | None
    begun_s: float
    end_s: float
    pause_s: float | None
    planned: int
    least: int = 0
    most: int = 0
    seen: int | None = None
    outcome: str = ""
    words: str = ""
    ok: bool = True


@dataclass(kw_only=True)
class TreatFacts:
    """A session's journal, by what it tells. ``given`` None: nobody wrote the end (see ``rtloop study gather``)."""

    started: Mapping[str, Any]
    begun: Mapping[str, Any] | None = None
    given: Mapping[str, Any] | None = None
    ended: Mapping[str, Any] | None = None
    utc: tuple[str, str] = ("", "")
    trains: list[TrainRow] = field(default_factory=list)
    checklists: list[Mapping[str, Any]] = field(default_factory=list)
    sensations: list[tuple[float, Mapping[str, Any]]] = field(default_factory=list)
    adverse: list[tuple[float, Mapping[str, Any]]] = field(default_factory=list)
    coil: list[tuple[float, float]] = field(default_factory=list)
    gates: list[Mapping[str, Any]] = field(default_factory=list)
    calibrated: Mapping[str, Any] | None = None
    gate_words: tuple[str, ...] = ()  # of the gate, the same whatever began the trains
    deviations: list[tuple[float, str, str]] = field(default_factory=list)  # since the start, what, words
    notes: list[tuple[float, str]] = field(default_factory=list)
    armed: int = 0


def facts_of(events: Iterable[Event]) -> TreatFacts | None:
    """The facts of a treatment's journal; None where it is of no treatment session."""
    events = list(events)
    start = next((e for e in events if e.kind == kinds.SESSION_STARTED), None)
    if start is None or start.data.get("kind") != "treat":
        return None
    made = TreatFacts(started=start.data, utc=(events[0].utc, events[-1].utc))
    rows: dict[int, TrainRow] = {}
    numbers: dict[int, int] = {}
    zero_s = start.t_s
    for e in events:
        _take(made, rows, numbers, e, e.t_s - zero_s, zero_s)
    made.trains = list(rows.values())
    made.gate_words = _gate_words(events)
    return made


def _gate_words(events: list[Event]) -> tuple[str, ...]:
    table = gate_table((e.kind, e.data) for e in events)
    if table is None:
        return ()
    limits = [
        f"Calibrated on {', '.join(c['electrodes'])}: {c['condition']}; limit {c['limit']:.3f}"
        + (
            ""
            if c["low"] is None or c["high"] is None
            else f" (95 % interval {c['low']:.3f} to {c['high']:.3f})"
        )
        for c in table.calibrations
    ]
    return (*limits, f"{table.told()}.")


def _take(
    f: TreatFacts, rows: dict[int, TrainRow], numbers: dict[int, int], e: Event, at_s: float, zero_s: float
) -> None:  # fmt: skip
    d = e.data
    match e.kind:
        case course.TREATMENT_BEGUN:
            f.begun = d
        case course.TREATMENT_GIVEN:
            f.given = d
        case kinds.SESSION_ENDED:
            f.ended = d
        case course.CHECKLIST_SIGNED:
            f.checklists.append(d)
        case course.SENSATION_TOLD:
            f.sensations.append((at_s, d))
        case course.ADVERSE_EVENT_TOLD:
            f.adverse.append((at_s, d))
        case course.COIL_TEMPERATURE_READ if d["coil_c"] is not None:
            f.coil.append((at_s, float(d["coil_c"])))
        case "gate_opened":
            f.gates.append(d)
        case "gate_calibrated":
            f.calibrated = d
        case "arm_confirmed" if d["accepted"]:
            f.armed += 1
        case kinds.NOTE_WRITTEN if d.get("by") == "operator":
            f.notes.append((at_s, str(d["words"])))
        case course.TREATMENT_PAUSED:
            f.deviations.append((at_s, "paused", f"{d['words']} (by: {d['by']})"))
        case course.TREATMENT_RESUMED:
            f.deviations.append((at_s, "resumed", f"by: {d['by']}"))
        case course.TRAIN_REFUSED:
            f.deviations.append((at_s, f"train {d['train']} refused", "; ".join(d["words"])))
        case kinds.FAULT_RAISED if d["action"] != "hold":
            f.deviations.append((at_s, f"fault: {d['fault']}", str(d["words"])))
        case kinds.PULSE_INTENDED if d.get("train"):
            _intended(f, rows, d, at_s)
        case kinds.PULSE_CLOSED if d["pulse_id"] in rows:
            _closed(rows[d["pulse_id"]], d, zero_s)
        case kinds.PULSE_ACCOUNTED if d["pulse_id"] in rows:
            row = rows[d["pulse_id"]]
            row.seen, row.ok = int(d["seen"]), bool(d["ok"])
            row.least, row.most = int(d["delivered_min"]), int(d["delivered_max"])
            row.words = "" if row.ok else str(d["words"])
        case course.TRAIN_GIVEN if d["pulse_id"] in rows:
            rows[d["pulse_id"]].train = int(d["train"])


def _intended(f: TreatFacts, rows: dict[int, TrainRow], d: Mapping[str, Any], at_s: float) -> None:
    last = list(rows.values())[-1] if rows else None
    before = int(f.started["treatment"]["trains_before"])
    train = d["train"]
    rows[d["pulse_id"]] = TrainRow(
        train=before + 1 + sum(r.most > 0 for r in rows.values()), power_pct_mso=int(d["power_pct_mso"]),
        power_pct_rmt=d["power_pct_rmt"], begun_s=at_s, end_s=at_s + train["n_pulses"] / train["frequency_hz"],
        pause_s=None if last is None else at_s - last.end_s, planned=int(d["n_pulses"]), most=int(d["n_pulses"]),
        outcome="not closed: counted as given",
    )  # fmt: skip


def _closed(row: TrainRow, d: Mapping[str, Any], zero_s: float) -> None:
    whole = row.planned if d["delivery"] == "delivered" else 0
    row.least = whole if d.get("delivered_min") is None else int(d["delivered_min"])
    most = row.planned if d["delivery"] != "not_delivered" else 0
    row.most = most if d.get("delivered_max") is None else int(d["delivered_max"])
    row.outcome = str(d["outcome"])
    if (sent_s := d.get("t_sent_s")) is not None:
        length_s, late_s = row.end_s - row.begun_s, sent_s - zero_s - row.begun_s
        row.begun_s, row.end_s = sent_s - zero_s, sent_s - zero_s + length_s
        row.pause_s = None if row.pause_s is None else row.pause_s + late_s
