"""Owns what is known of a treatment session so far, as a fold over its events; owns no drawing and no words of its own.

Instants are seconds of the session's monotonic clock, as its events have them. A train of which nobody told the end may have
been given whole: it counts as uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rtloop.model import course
from rtloop.model.event import Event

#: ``kind`` of ``session_started``
TREAT = "treat"


@dataclass(frozen=True, kw_only=True)
class TrainView:
    """One train for which a fire command got its permit: between ``least`` and ``most`` of ``planned`` pulses were given.

    ``number``: from 1 in the whole session. ``over_s``: the latest instant at which it is, or was, over; None: not begun.
    ``seen``, ``ok``, ``words``: of its account, once that is told.
    """

    pulse_id: int
    number: int
    power_pct_mso: int
    planned: int
    length_s: float = (
        0.0  # from its first pulse to its end: pulses over frequency, as the plan's pauses count
    )
    begun_s: float | None = None
    over_s: float | None = None
    closed: bool = False
    least: int = 0
    most: int = 0
    seen: int | None = None
    ok: bool | None = None
    words: str = ""
    ramping: bool = False


@dataclass(frozen=True, kw_only=True)
class TreatView:
    """A treatment session as it stands. ``train``: whose turn it is, from 1 in the whole session; None: none is left."""

    count: int = 0  # trains of the plan
    before: int = 0  # of these, given before this run
    pulses_before: int = 0
    phase: str = ""
    phase_since_s: float | None = None
    until_s: float | None = None  # the phase lasts no longer
    train: int | None = None
    power_pct_mso: int | None = None  # of that train
    expected: str = ""  # answer of the checklist's question that raises none
    trains: Mapping[int, TrainView] = field(default_factory=dict)  # by pulse_id, in order
    planned: int | None = None  # pulses that this run set out to give
    due_s: float | None = None  # of the next train, at the earliest
    pause_s: float | None = None  # before it
    refused: tuple[str, ...] = ()  # why the newest train was not given, until another is
    paused: str = ""
    paused_by: str = ""
    signed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # "before", "after"
    sensations: tuple[Mapping[str, Any], ...] = ()
    adverse_events: tuple[Mapping[str, Any], ...] = ()
    coil_c: float | None = None  # as read last between two trains
    calibrated: Mapping[str, Any] | None = None
    opening: Mapping[str, Any] | None = None  # the newest end of a wait for a state
    given: Mapping[str, Any] | None = None  # treatment_given: what it came to

    @property
    def under_way(self) -> TrainView | None:
        """The train that was begun and whose end nobody told yet."""
        newest = self.trains[max(self.trains)] if self.trains else None
        return newest if newest is not None and newest.begun_s is not None and not newest.closed else None

    @property
    def last_over_s(self) -> float | None:
        """When the newest train of which a pulse may have been given is over at the latest; None: none was."""
        return max((t.over_s for t in self.trains.values() if t.over_s is not None), default=None)

    @property
    def begun(self) -> int:
        """Trains of the whole session of which a pulse may have been given."""
        return self.before + sum(t.most > 0 for t in self.trains.values())

    def pulses(self) -> tuple[int, int]:
        """Pulses of this run that were certainly given, and those that may have been (these included)."""
        rows = self.trains.values()
        return sum(t.least for t in rows), sum(t.most for t in rows)


def begin(started: Mapping[str, Any]) -> TreatView | None:
    """Of the data of ``session_started``; None where it is no treatment."""
    if started.get("kind") != TREAT:
        return None
    t = started.get("treatment") or {}
    return TreatView(
        count=int(t.get("trains") or 0), before=int(t.get("trains_before") or 0), pulses_before=int(t.get("pulses_before") or 0)
    )  # fmt: skip


def fold(view: TreatView, event: Event) -> TreatView:
    """The view after one more event; kinds that say nothing of a treatment change nothing."""
    d = event.data
    match event.kind:
        case "phase_entered":
            same = d["phase"] == view.phase
            return replace(
                view, phase=str(d["phase"]), phase_since_s=view.phase_since_s if same else event.t_s,
                until_s=d.get("until_s"), train=d.get("train"), power_pct_mso=d.get("power_pct_mso"),
                expected=str(d.get("expected") or ""),
            )  # fmt: skip
        case "pulse_intended":
            n = int(d.get("n_pulses") or 1)
            # the intent is on disk before the command: from here on it may have been given
            row = TrainView(
                pulse_id=int(d["pulse_id"]), number=view.train or 0, power_pct_mso=int(d["power_pct_mso"]), planned=n, most=n,
                length_s=n / float((d.get("train") or {}).get("frequency_hz") or math.inf),
            )  # fmt: skip
            return _put(view, row)
        case "train_started" | "pulse_closed" if d.get("pulse_id") in view.trains:
            return _moved(view, event)
        case course.TRAIN_DUE:
            return replace(view, due_s=d.get("due_s"), pause_s=d.get("pause_s"))
        case course.TRAIN_GIVEN if d.get("pulse_id") in view.trains:
            row = replace(
                view.trains[d["pulse_id"]], number=int(d["train"]), least=int(d["delivered_min"]), most=int(d["delivered_max"]),
                seen=d.get("seen"), ok=bool(d["ok"]), words=str(d.get("words") or ""), ramping=bool(d.get("ramping")),
                closed=True,
            )  # fmt: skip
            return _put(view, row)
        case course.TRAIN_REFUSED:
            return replace(view, refused=tuple(str(w) for w in d["words"]))
        case course.TREATMENT_BEGUN:
            return replace(view, planned=int(d["planned"]))
        case course.TREATMENT_PAUSED:
            return replace(view, paused=str(d.get("words") or "paused"), paused_by=str(d.get("by") or ""))
        case course.TREATMENT_RESUMED:
            return replace(view, paused="", paused_by="")
        case course.CHECKLIST_SIGNED:
            return replace(view, signed={**view.signed, str(d["when"]): dict(d)})
        case course.SENSATION_TOLD:
            return replace(view, sensations=(*view.sensations, {"utc": event.utc, **d}))
        case course.ADVERSE_EVENT_TOLD:
            return replace(view, adverse_events=(*view.adverse_events, {"utc": event.utc, **d}))
        case course.COIL_TEMPERATURE_READ:
            return replace(view, coil_c=d.get("coil_c"))
        case "gate_calibrated":
            return replace(view, calibrated=dict(d))
        case course.GATE_OPENED:
            return replace(view, opening=dict(d))
        case course.TREATMENT_GIVEN:
            return replace(view, given=dict(d))
    return view


def _put(view: TreatView, row: TrainView) -> TreatView:
    return replace(view, trains={**view.trains, row.pulse_id: row})


def _moved(view: TreatView, event: Event) -> TreatView:
    """A train was begun, or came to its end; one that was certainly not given leaves no pulse behind."""
    d, row = event.data, view.trains[event.data["pulse_id"]]
    if event.kind == "train_started":
        begun_s = float(d.get("t_sent_s") or event.t_s)
        return _put(replace(view, refused=()), replace(row, begun_s=begun_s, over_s=begun_s + row.length_s))
    n, whole = row.planned, d.get("delivery") == "delivered"
    none = d.get("delivery") == "not_delivered"
    least, most = d.get("delivered_min"), d.get("delivered_max")
    row = replace(
        row, closed=True, least=0 if none else n if whole and least is None else int(least or 0),
        most=0 if none else n if most is None else int(most),
    )  # fmt: skip
    return _put(view, replace(row, over_s=row.over_s or event.t_s) if row.most else row)
