"""Owns the books of a treatment session: what it sets out to give, live accounts of each train, what was given at the end.

Every number of dose comes from the journal's own intents and outcomes (rtloop.app.study_sessions.counted): what nobody closed was
given. It owns no lease and no calendar (the study's side), and no charge (the gate's ledger).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rtloop.app.study_sessions import counted
from rtloop.app.treat_asked import Wanted
from rtloop.app.treat_unit import TreatTms
from rtloop.clock import Clock
from rtloop.errors import RtloopError
from rtloop.model import course
from rtloop.model.course import Ended, TreatmentBegun, TreatmentGiven
from rtloop.plan.treat_steps import TrainStep
from rtloop.record import kinds
from rtloop.record.journal import read_journal
from rtloop.treat.machine import Machine


class StudyBooks(Protocol):
    """Where a study wants to be told (rtloop.app.treat_visit.Visit)."""

    @property
    def number(self) -> int: ...
    def begin(self, begun: TreatmentBegun) -> None: ...
    def end(self, given: TreatmentGiven) -> None: ...


class Books:
    """Of one run. ``begin`` before anything is armed; ``given`` once it is over, as often as one likes: it tells once."""

    def __init__(self, want: Wanted, clock: Clock, study: StudyBooks | None = None) -> None:
        self._want, self._clock, self._study = want, clock, study
        self.begun: TreatmentBegun | None = None
        self.result: TreatmentGiven | None = None
        self.trouble = ""  # why the study was not told
        self._trains: dict[int, TrainStep] = {}
        self._closed: dict[int, Mapping[str, Any]] = {}
        self._tell: Callable[..., None] = lambda kind, **data: None

    def begin(self, tms: TreatTms) -> None:
        """What this run sets out to give: durable in the journal, then in the study. Raises the study's reasons why not."""
        want, setting, utc = self._want, tms.setting, self._clock.utc()
        steps, threshold = want.steps, want.threshold
        per_train = steps[0].train.n_pulses
        self.begun = TreatmentBegun(
            participant=setting.participant, visit=0 if self._study is None else self._study.number,
            session_id=setting.session, run_id=setting.run_id, day=utc[:10], utc=utc, mode=str(setting.mode),
            host=want.host, folder=tms.folder.name, plan=want.plan.name, plan_sha256=want.plan.sha256,
            target=want.target, unit=setting.model, coil=want.plan.target(want.target).coil,
            threshold_pct_mso=threshold.pct_mso, threshold_day=threshold.day,
            intensity_pct_rmt=steps[-1].power_pct_rmt, power_pct_mso=steps[-1].power_pct_mso,
            planned=per_train * len(steps), session_planned=want.plan.pulses, trains_planned=len(steps),
        )  # fmt: skip
        tms.tell(course.TREATMENT_BEGUN, sync=True, **self.begun.data())
        if self._study is not None:
            self._study.begin(self.begun)

    def sent(self, number: int, step: TrainStep) -> None:
        """This fire command begins this train."""
        self._trains[number] = step

    def attend(self, tell: Callable[..., None]) -> None:
        """Where events of a train are told."""
        self._tell = tell

    def heard(self, kind: str, data: Mapping[str, Any]) -> str:
        """An event; words for the operator where there are any. A train's account is told once everything of it was seen."""
        number = data.get("pulse_id")
        if kind == kinds.PULSE_CLOSED and number in self._trains:
            self._closed[int(number)] = data
        if kind != kinds.PULSE_ACCOUNTED or number not in self._trains:
            return _words(kind, data)
        step = self._trains[int(number)]
        row = {
            "train": step.index + 1, "pulse_id": number, "power_pct_mso": step.power_pct_mso,
            "power_pct_rmt": step.power_pct_rmt, "planned": step.train.n_pulses, "commanded": data["commanded"],
            "sent": data["sent"], "delivered_min": data["delivered_min"], "delivered_max": data["delivered_max"],
            "seen": data["seen"], "ok": data["ok"], "words": data["words"], "ramping": step.ramping,
        }  # fmt: skip
        self._tell(course.TRAIN_GIVEN, **row)
        least, most = row["delivered_min"], row["delivered_max"]
        given = f"{most}" if least == most else f"{least} to {most}"
        seen = "" if data["words"] and not data["seen"] else f", {data['seen']} seen in the EEG"
        return (
            f"   train {row['train']} at {row['power_pct_mso']} % MSO: {given} of {row['planned']} pulses given{seen}"
            + ("" if data["ok"] else f" !! {data['words']}")
        )

    def given(self, tms: TreatTms, machine: Machine) -> None:
        """Count what was given, tell it once; nothing where nothing was begun."""
        if self.begun is None or self.result is not None:
            return
        end = machine.end
        delivered, most, trains = counted(read_journal(tms.folder / "journal.jsonl").events)
        self.result = TreatmentGiven(
            **self.begun.data(), ended_utc=self._clock.utc(), ended=Ended.CRASHED if end is None else end.ended,
            delivered=delivered, refused=self.begun.planned - most, uncertain=most - delivered, trains_given=trains,
            words="" if end is None else end.words, head_hash=tms.head_hash,
        )  # fmt: skip
        tms.tell(course.TREATMENT_GIVEN, sync=True, **self.result.data())
        if self._study is not None:
            try:
                self._study.end(self.result)
            except RtloopError as err:
                self.trouble = f"the study was not told what was given: {err}; rtloop study gather tells it"
                with contextlib.suppress(RtloopError):
                    tms.tell(kinds.NOTE_WRITTEN, words=self.trouble[:500], by="engine")


def _words(kind: str, d: Mapping[str, Any]) -> str:
    """What else a person at the terminal wants to see."""
    match kind:
        case "lamp_changed":
            return f"   unit {d['before']} -> {d['after']}" + (f" ({d['words']})" if d["words"] else "")
        case "pulse_not_seen":
            return f"!! {d.get('words') or 'a pulse was not seen in the stream'}"
        case "pulse_uncommanded":
            return f"!! a pulse at sample {d['sample']} that nobody commanded"
        case "hold_lasts":
            return f"!! {d['words']}: {d['todo']}"
        case "checklist_signed":
            return f"   signed by {d['signed_by']}: {d['form']} version {d['form_version']}"
        case "fault_cleared":
            return f"   over: {d['fault']}"
    return ""
