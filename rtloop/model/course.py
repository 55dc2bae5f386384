"""Owns the values of a course: its visits with their windows, and what one run of a treatment hands to the study; owns no
calendar, no file and no dose.

A day is a UTC date as ISO text (YYYY-MM-DD), as in the dose ledger. Day 0 of a course is the day of its first treatment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from rtloop.errors import ValidationProblem
from rtloop.model.status import Mode

#: event kinds in a session's journal: what a treatment set out to give (before its first pulse), and what became of it
TREATMENT_BEGUN = "treatment_begun"
TREATMENT_GIVEN = "treatment_given"
#: and what happens in between; docs/events.md has their fields
TRAIN_DUE = "train_due"
TRAIN_GIVEN = "train_given"
TRAIN_REFUSED = "train_refused"
TREATMENT_PAUSED = "treatment_paused"
TREATMENT_RESUMED = "treatment_resumed"
CHECKLIST_SIGNED = "checklist_signed"
SENSATION_TOLD = "sensation_told"
ADVERSE_EVENT_TOLD = "adverse_event_told"
GATE_CALIBRATED = "gate_calibrated"
GATE_OPENED = "gate_opened"
COIL_TEMPERATURE_READ = "coil_temperature_read"

#: fewest hours from the end of a treatment to the beginning of the next one [A]: where a UTC day ends in the middle of a
#: clinic's day, two UTC days are no night apart
LEAST_HOURS = 12
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CODE = re.compile(r"(?:[A-Z]{1,4}[0-9]{1,3}-)?[A-Z]{1,4}[0-9]{2,5}")
_SHA = re.compile(r"[0-9a-f]{64}")


class Arm(StrEnum):
    """What an arm treats: the lowest or the highest GLOBAL score of the map, or left M1 whatever the map says."""

    LOW = "low"
    HIGH = "high"
    CLASSIC = "classic"


#: what a course may say of a low or high arm whose target the map does not name: left M1 as in the classic arm; one of the map's
#: targets drawn by lot; nothing until more pulses decide
IF_UNDECIDED = ("classic", "chance", "more")
#: what the classic arm treats: left M1 (design note SCIENCE section 1)
CLASSIC_TARGET = "M1"


class Ended(StrEnum):
    """How one run of a treatment came to its end. ``CRASHED``: nobody wrote an end; counted from the journal."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    ABORTED = "aborted"
    TRIPPED = "tripped"
    CRASHED = "crashed"


def is_code(text: object) -> bool:
    """Whether this can be a participant's code, such as P017 or S01-P017: no name, no word, no birth date."""
    return isinstance(text, str) and _CODE.fullmatch(text) is not None


def is_day(text: object) -> bool:
    """Whether this is a date as ISO text, YYYY-MM-DD."""
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def is_utc(text: object) -> bool:
    """Whether this is an instant as the clock writes it: ISO 8601 with the offset of UTC."""
    try:
        offset = datetime.fromisoformat(text).utcoffset() if isinstance(text, str) else None
    except ValueError:
        return False
    return offset is not None and not offset


def whole(value: object, low: int, high: int) -> bool:
    """Whether this is a whole number (no bool) from ``low`` to ``high``, both included."""
    return type(value) is int and low <= value <= high


def refuse(what: str, faults: list[str], todo: str) -> None:
    """ValidationProblem with every fault at once; nothing when there is none."""
    if faults:
        raise ValidationProblem(
            f"{what} is not valid", expected="every field as described", found="; ".join(faults), todo=todo
        )


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One treatment of a course: ``day`` after the first one, how many days before and after it will do, and the fewest days
    since the treatment before it (1: the next day). Visit 1 is day 0."""

    number: int
    day: int
    early_days: int = 0
    late_days: int = 0
    min_gap_days: int = 1

    def faults(self) -> list[str]:
        """What is wrong with it by itself."""
        rows = (("day", 0, 3650), ("early_days", 0, 365), ("late_days", 0, 365), ("min_gap_days", 1, 365))
        return [
            f"visit {self.number}: {name} = {getattr(self, name)!r}, not a whole number from {low} to {high}"
            for name, low, high in rows
            if not whole(getattr(self, name), low, high)
        ]


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """A visit at which outcomes are taken: ``day`` after the first treatment, negative before it; with its window."""

    name: str
    day: int
    early_days: int = 0
    late_days: int = 0

    def faults(self) -> list[str]:
        """What is wrong with it by itself."""
        rows = (("day", -365, 3650), ("early_days", 0, 365), ("late_days", 0, 3650))
        bad = [] if re.fullmatch(r"[a-z0-9][a-z0-9 _-]{0,39}", self.name or "") else [f"name = {self.name!r}"]
        bad += [
            f"{n} = {getattr(self, n)!r}" for n, low, high in rows if not whole(getattr(self, n), low, high)
        ]
        return [f"assessment {self.name!r}: {fault}" for fault in bad]


@dataclass(frozen=True, kw_only=True)
class Course:
    """Treatments and assessments of everybody in a study. ``label`` says where it is from ("derived", ...); ``sha256`` names
    the file it was read from; ``start_within_days`` of the enrolment the first treatment is due (None: no limit).

    ``closed``: weekdays on which nobody is treated. ``last_day``: of any treatment, None: no limit. ``made_up_max``: how many
    treatments may be moved out of their window. ``baseline`` and ``primary`` name the assessments that the responder flag
    compares. ``treatment``: name of the plan of every treatment. ``if_undecided``: what is treated where the map does not name
    the arm's target (``IF_UNDECIDED``). Both are "" in a study made before they were asked for: nothing follows from "".
    ``ValidationProblem`` tells all faults.
    """

    name: str
    label: str
    sha256: str
    visits: tuple[Visit, ...]
    assessments: tuple[Assessment, ...]
    baseline: str
    primary: str
    closed: tuple[str, ...] = ()
    last_day: int | None = None
    made_up_max: int = 0
    start_within_days: int | None = None
    treatment: str = ""
    if_undecided: str = ""

    def __post_init__(self) -> None:
        bad = [] if self.visits else ["no visit"]
        bad += [f for v in self.visits for f in v.faults()] + [
            f for a in self.assessments for f in a.faults()
        ]
        if [v.number for v in self.visits] != list(range(1, len(self.visits) + 1)):
            bad.append("the visits are not numbered 1, 2, 3, ...")
        if not bad and (self.visits[0].day != 0 or self.visits[0].early_days or self.visits[0].late_days):
            bad.append("visit 1 is day 0 of the course: its day and window are 0")
        for a, b in zip(self.visits, self.visits[1:], strict=False):
            if not bad and not b.day - a.day >= b.min_gap_days:
                bad.append(
                    f"visit {b.number} is {b.day - a.day} days after visit {a.number}, less than its min_gap_days"
                )
        names = [a.name for a in self.assessments]
        bad += [f"the assessment {n!r} occurs twice" for n in sorted(set(names)) if names.count(n) > 1]
        for role in ("baseline", "primary"):
            if getattr(self, role) not in names:
                bad.append(
                    f"{role} = {getattr(self, role)!r} is no assessment of the course ({', '.join(names)})"
                )
        if not (self.start_within_days is None or whole(self.start_within_days, 0, 3650)):
            bad.append(f"start_within_days = {self.start_within_days!r}")
        if not (self.last_day is None or whole(self.last_day, 0, 3650)):
            bad.append(f"last_day = {self.last_day!r}")
        elif not bad and self.last_day is not None and self.visits[-1].day > self.last_day:
            bad.append(f"visit {self.visits[-1].number} is planned after last_day = {self.last_day}")
        bad += [f"closed: {d!r} is no weekday" for d in self.closed if d not in WEEKDAYS]
        bad += ["every weekday is closed"] if set(self.closed) == set(WEEKDAYS) else []
        bad += [] if whole(self.made_up_max, 0, 1000) else [f"made_up_max = {self.made_up_max!r}"]
        if not _SHA.fullmatch(self.sha256 or ""):
            bad.append(f"sha256 = {self.sha256!r} is not 64 hexadecimal digits")
        bad += [f"{k} is empty" for k in ("name", "label") if not getattr(self, k)]
        if self.if_undecided not in ("", *IF_UNDECIDED):
            bad.append(f"if_undecided = {self.if_undecided!r}, not one of {', '.join(IF_UNDECIDED)}")
        refuse("the course", bad, "correct the course's file")

    def visit(self, number: int) -> Visit | None:
        """The treatment with this number, or None."""
        return self.visits[number - 1] if whole(number, 1, len(self.visits)) else None

    def open_on(self, day: str) -> bool:
        """Whether anybody is treated on this weekday."""
        return WEEKDAYS[date.fromisoformat(day).weekday()] not in self.closed

    def data(self) -> dict[str, Any]:
        """JSON values; inverse of ``of``."""
        made = asdict(self)
        return made | {k: list(made[k]) for k in ("visits", "assessments", "closed")}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Course:
        """From ``data()``; ValidationProblem when it cannot be."""
        try:
            visits = tuple(Visit(**v) for v in data["visits"])
            rows = tuple(Assessment(**a) for a in data["assessments"])
            return cls(**{**data, "visits": visits, "assessments": rows, "closed": tuple(data["closed"])})
        except (KeyError, TypeError) as err:
            raise ValidationProblem("a kept course cannot be read", found=str(err)) from err


@dataclass(frozen=True, kw_only=True)
class TreatmentBegun:
    """What one run of a treatment sets out to give: journaled and handed to the study before its first pulse.

    ``visit``: its number in the course (0: outside of a course). A session may have several runs of one ``session_id``, on one
    day; ``planned`` counts what this run sets out to give, ``session_planned`` what the whole session was planned with.
    """

    participant: str
    visit: int
    session_id: str
    run_id: str
    day: str
    utc: str
    mode: str
    host: str
    folder: str
    plan: str
    plan_sha256: str
    target: str
    unit: str
    coil: str
    threshold_pct_mso: int
    threshold_day: str
    intensity_pct_rmt: float
    power_pct_mso: int
    planned: int
    session_planned: int
    trains_planned: int

    def __post_init__(self) -> None:
        refuse(
            "the record of a treatment",
            self._faults(),
            "the session that made it has a defect; keep its folder",
        )

    def _faults(self) -> list[str]:
        texts = ("session_id", "run_id", "host", "folder", "plan", "target", "unit", "coil")
        bad = [
            f"{n} = {getattr(self, n)!r}"
            for n in texts
            if not (isinstance(getattr(self, n), str) and getattr(self, n))
        ]
        bad += [] if is_code(self.participant) else [f"participant = {self.participant!r} is no code"]
        bad += [
            f"{n} = {getattr(self, n)!r} is no date"
            for n in ("day", "threshold_day")
            if not is_day(getattr(self, n))
        ]
        bad += [] if is_utc(self.utc) else [f"utc = {self.utc!r}"]
        bad += [] if self.mode in list(Mode) else [f"mode = {self.mode!r}, not one of {', '.join(Mode)}"]
        bad += [] if _SHA.fullmatch(str(self.plan_sha256)) else [f"plan_sha256 = {self.plan_sha256!r}"]
        rows = (
            ("visit", 0, 1000),
            ("threshold_pct_mso", 1, 100),
            ("power_pct_mso", 1, 110),
            ("planned", 1, 100_000),
            ("session_planned", 1, 100_000),
            ("trains_planned", 1, 100_000),
        )
        bad += [
            f"{n} = {getattr(self, n)!r}" for n, low, high in rows if not whole(getattr(self, n), low, high)
        ]
        pct = self.intensity_pct_rmt
        if not (type(pct) in (int, float) and math.isfinite(pct) and 0 < pct <= 200):
            bad.append(f"intensity_pct_rmt = {pct!r}")
        if not bad and not self.planned <= self.session_planned:
            bad.append(f"planned = {self.planned}, more than the session's {self.session_planned}")
        return bad

    def data(self) -> dict[str, Any]:
        """JSON values; inverse of ``of``."""
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> TreatmentBegun:
        """From ``data()``; ValidationProblem when it cannot be."""
        return cls(**_exactly(cls, data))


@dataclass(frozen=True, kw_only=True)
class TreatmentGiven(TreatmentBegun):
    """What one run of a treatment came to: planned = delivered + refused + uncertain, in pulses.

    ``refused``: certainly not given, for whatever reason (a rule, a missed instant, an early end). ``uncertain`` counts as given.
    ``trains_given``: trains, in the plan's order, of which a pulse may have been given; the next run goes on after them.
    ``ended`` by itself says nothing of pulses. ``head_hash``: of the journal's last record before this one; empty at most after
    a crash.
    """

    ended_utc: str
    ended: Ended
    delivered: int
    refused: int
    uncertain: int
    trains_given: int
    words: str = ""
    head_hash: str = ""

    def _faults(self) -> list[str]:
        bad = super()._faults()
        counts = ("delivered", "refused", "uncertain")
        wrong = [f"{n} = {getattr(self, n)!r}" for n in counts if not whole(getattr(self, n), 0, 100_000)]
        if not wrong and not bad and self.delivered + self.refused + self.uncertain != self.planned:
            wrong.append(
                f"planned {self.planned} is not delivered {self.delivered} + refused {self.refused} + uncertain {self.uncertain}"
            )
        if not whole(self.trains_given, 0, self.trains_planned if not bad else 0):
            wrong.append(f"trains_given = {self.trains_given!r}")
        wrong += [] if isinstance(self.ended, Ended) else [f"ended = {self.ended!r}"]
        wrong += [] if is_utc(self.ended_utc) else [f"ended_utc = {self.ended_utc!r}"]
        wrong += [] if isinstance(self.words, str) else [f"words = {self.words!r}"]
        if not (
            _SHA.fullmatch(str(self.head_hash)) or (self.head_hash == "" and self.ended == Ended.CRASHED)
        ):
            wrong.append(f"head_hash = {self.head_hash!r}")
        return bad + wrong

    @property
    def given_most(self) -> int:
        """Pulses that count as given."""
        return self.delivered + self.uncertain

    @property
    def begun(self) -> TreatmentBegun:
        """What it set out to give."""
        return TreatmentBegun(**{f.name: getattr(self, f.name) for f in fields(TreatmentBegun)})

    def data(self) -> dict[str, Any]:
        """JSON values; inverse of ``of``."""
        return asdict(self) | {"ended": str(self.ended)}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> TreatmentGiven:
        """From ``data()``; ValidationProblem when it cannot be."""
        had = _exactly(cls, data)
        known = had["ended"] in list(Ended)
        return cls(**{**had, "ended": Ended(had["ended"]) if known else had["ended"]})


def rest_faults(runs: Iterable[TreatmentBegun], utc: str) -> list[str]:
    """Why a new treatment may not begin at this instant (ISO 8601): one of these runs ended less than ``LEAST_HOURS`` before it.

    A run without an end counts from its beginning.
    """
    ends = [r.ended_utc if isinstance(r, TreatmentGiven) else r.utc for r in runs]
    last = max(map(datetime.fromisoformat, ends), default=None)
    if last is None or datetime.fromisoformat(utc) - last >= timedelta(hours=LEAST_HOURS):
        return []
    return [
        f"the last treatment ended at {last.isoformat(timespec='minutes')}: at least {LEAST_HOURS} hours between two, also where "
        "a UTC day ends between them"
    ]


def _exactly(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    known = {f.name for f in fields(kind)}
    lacking = {"words", "head_hash"} | set(data)
    if set(data) - known or known - lacking:
        raise ValidationProblem(
            "the record of a treatment has other fields", expected=", ".join(sorted(known)),
            found=", ".join(sorted(data)), todo="it was written by another version of rtloop",
        )  # fmt: skip
    return dict(data)
