"""Owns what the tests of the study share: a folder in memory, a small course, a study with people, records of treatments."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from rtloop.clock import SteppedClock
from rtloop.model.course import Arm, Assessment, Course, Ended, TreatmentBegun, TreatmentGiven, Visit
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal
from rtloop.study.fields import Role
from rtloop.study.records import Enrolled, ListMade, OutcomeTaken, Screened, TargetChosen
from rtloop.study.study import Study

MEMORY = Path("/dev/shm")
STAT, OP, AS = "Ann Stat", "Ola Op", "Ada Asks"
#: a Monday
MONDAY = "2026-11-23"


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A new folder; in memory where there is such a place, since every write here is synced."""
    path = Path(tempfile.mkdtemp(prefix="rtloop-study-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def at(day: str, hour: int = 9) -> SteppedClock:
    """A clock that stands at an hour of a UTC day."""
    return SteppedClock(
        datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp() + 3600 * hour
    )


def go_to(clock: SteppedClock, day: str) -> None:
    """Move the clock to nine o'clock of a later day."""
    clock.sleep_until(at(day).now_s())


def course(**changed: Any) -> Course:
    """Three treatments on three days, then two weekly ones; closed on Sundays; baseline and week 3."""
    visits = [Visit(number=1, day=0), *(Visit(number=n, day=n - 1, late_days=2) for n in (2, 3))]
    visits += [Visit(number=n, day=7 * (n - 3), early_days=2, late_days=3, min_gap_days=3) for n in (4, 5)]
    rows = (
        Assessment(name="baseline", day=0, early_days=14),
        Assessment(name="week 3", day=21, early_days=2, late_days=4),
    )
    made = {
        "name": "small", "label": "assumed", "sha256": "a" * 64, "visits": tuple(visits), "assessments": rows,
        "baseline": "baseline", "primary": "week 3", "closed": ("sunday",), "last_day": 20, "made_up_max": 1,
        "start_within_days": 14,
    }  # fmt: skip
    return Course(**{**made, **changed})


def made_in(folder: Path, clock: SteppedClock, **changed: Any) -> Study:
    """A blinded, simulated study of the small course with one person of each role."""
    given = {
        "name": "trial",
        "course": course(),
        "by": STAT,
        "people": {OP: Role.OPERATOR, AS: Role.ASSESSOR},
        "simulated": True,
    }
    return Study.make(folder, clock=clock, **{**given, **changed})


def listed(*arms: str, stratum: str = "") -> ListMade:
    """A list of these arms."""
    rows = tuple((stratum, str(arm), "") for arm in arms or tuple(Arm) * 3)
    return ListMade(source="imported", seed="", blocks=(), entries=rows)


def enter(
    study: Study, code: str, *, target: str = "M1", pain: float | None = 6.0, stratum: str = ""
) -> None:
    """Enrol, screen, allocate, choose the target, take the baseline."""
    study.write(Enrolled(participant=code, day=study.today, stratum=stratum), by=OP)
    study.write(screened(code, study.today), by=OP)
    study.allocate(code, by=OP)
    study.write(TargetChosen(participant=code, target=target), by=STAT)
    if pain is not None:
        study.write(
            OutcomeTaken(participant=code, assessment="baseline", day=study.today, scales={"pain": pain}),
            by=AS,
        )


def screened(code: str, day: str, *, eligible: bool = True, findings: Sequence[str] = ()) -> Screened:
    return Screened(participant=code, day=day, form="before", form_version="1", eligible=eligible, findings=tuple(findings),
                    signed_by=OP)  # fmt: skip


def begun(code: str, visit: int, day: str, **changed: Any) -> TreatmentBegun:
    """A run of 30 trains of 100 pulses."""
    made = {
        "participant": code, "visit": visit, "session_id": f"{code}-{visit}", "run_id": f"{code}-{visit}-a", "day": day,
        "utc": f"{day}T09:00:00.000+00:00", "mode": "SIMULATED", "host": "bedside-1", "folder": f"{visit}", "plan": "treat",
        "plan_sha256": "b" * 64, "target": "M1", "unit": "super-rapid", "coil": "D70", "threshold_pct_mso": 50,
        "threshold_day": day, "intensity_pct_rmt": 90.0, "power_pct_mso": 45, "planned": 3000, "session_planned": 3000,
        "trains_planned": 30,
    }  # fmt: skip
    return TreatmentBegun(**{**made, **changed})


def given(
    run: TreatmentBegun, delivered: int | None = None, uncertain: int = 0, **changed: Any
) -> TreatmentGiven:
    """What became of a run; all of it delivered unless said."""
    pulses = run.planned - uncertain if delivered is None else delivered
    made = {
        "ended_utc": run.utc, "ended": Ended.COMPLETE if pulses == run.planned else Ended.STOPPED, "delivered": pulses,
        "refused": run.planned - pulses - uncertain, "uncertain": uncertain,
        "trains_given": min(run.trains_planned, -(-(pulses + uncertain) * run.trains_planned // run.planned)),
        "head_hash": "c" * 64,
    }  # fmt: skip
    return TreatmentGiven(**{**run.data(), **made, **changed})


def treat(study: Study, code: str, visit: int, **changed: Any) -> None:
    """A whole treatment today."""
    run = begun(code, visit, study.today, **changed)
    study.write(run, by=OP)
    study.write(given(run), by=OP)


def written(
    data_dir: Path, run_id: str, made: Sequence[tuple[str, dict[str, Any]]], hour: int
) -> SessionFolder:
    """A session folder of Monday with a journal of these events."""
    clock = at(MONDAY, hour)
    folder = SessionFolder.create(data_dir, run_id, clock=clock)
    journal = Journal(folder.journal, run_id=run_id, clock=clock)
    for kind, data in made:
        journal.append(kind, data)
    journal.close()
    return folder
