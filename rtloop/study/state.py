"""Owns what a study has come to: a fold over its two logs, entry by entry; owns no file and refuses nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rtloop.model.course import Course, TreatmentBegun
from rtloop.study.calendar import Calendar, step
from rtloop.study.fields import Role
from rtloop.study.log import NO_HASH, Entry
from rtloop.study.outcomes import Response, current, response
from rtloop.study.records import (
    AdverseEvent,
    Allocated,
    Enrolled,
    Kept,
    ListMade,
    Mapped,
    OutcomeTaken,
    PersonAdded,
    Screened,
    StudyMade,
    TargetChosen,
    TargetResolved,
    ThresholdTaken,
)


@dataclass(kw_only=True)
class Participant:
    """Everything open about one participant."""

    code: str
    stratum: str
    calendar: Calendar = field(default_factory=Calendar)
    screening: Screened | None = None
    thresholds: list[ThresholdTaken] = field(default_factory=list)
    target: str | None = None
    outcomes: list[tuple[int, OutcomeTaken]] = field(default_factory=list)
    events: list[tuple[int, AdverseEvent]] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)

    @property
    def threshold(self) -> ThresholdTaken | None:
        """The newest one by its day; of one day the one written last."""
        return max(reversed(self.thresholds), key=lambda t: t.day, default=None)

    @property
    def eligible(self) -> bool:
        """Whether the newest screening says so."""
        return self.screening is not None and self.screening.eligible

    @property
    def values(self) -> dict[str, dict[str, float]]:
        """assessment -> scale -> value, as they stand."""
        return current(self.outcomes)

    def response(self, course: Course) -> Response:
        """Pain from baseline to the primary assessment."""
        return response(course, self.values)


@dataclass(kw_only=True)
class State:
    """Everything open. ``n`` and ``head``: number of the next line of the log, and the hash of the last one."""

    study: StudyMade | None = None
    course: Course | None = None
    people: dict[str, Role] = field(default_factory=dict)
    participants: dict[str, Participant] = field(default_factory=dict)
    announced: set[int] = field(default_factory=set)  # sealed lines that the open log tells of
    n: int = 0
    head: str = NO_HASH

    @property
    def blinded(self) -> bool:
        return self.study is None or self.study.blinded

    def apply(self, entry: Entry) -> None:
        """One step of the fold."""
        record = entry.record
        self.n, self.head = entry.n + 1, entry.hash
        if isinstance(record, StudyMade):
            self.study, self.course = record, Course.of(record.course)
        elif isinstance(record, PersonAdded):
            self.people.setdefault(record.person, Role(record.role))
        elif isinstance(record, Enrolled):
            made = Participant(code=record.participant, stratum=record.stratum)
            self.participants.setdefault(record.participant, made)
        if isinstance(record, Kept):
            self.announced.add(record.sealed_n)
        who = self.participants.get(getattr(record, "participant", None) or "")
        if who is not None:
            _take(who, entry)


def _take(who: Participant, entry: Entry) -> None:
    record = entry.record
    who.calendar = step(who.calendar, record)
    if isinstance(record, Screened):
        who.screening = record
    elif isinstance(record, ThresholdTaken):
        who.thresholds.append(record)
    elif isinstance(record, TargetChosen):
        who.target = record.target
    elif isinstance(record, OutcomeTaken):
        who.outcomes.append((entry.n, record))
    elif isinstance(record, AdverseEvent):
        who.events.append((entry.n, record))
    elif isinstance(record, Kept):
        who.kept.add(record.kept)


@dataclass(kw_only=True)
class Hidden:
    """Everything sealed that decides something: the list, and who got which place of it."""

    listed: ListMade | None = None
    allocated: dict[str, Allocated] = field(default_factory=dict)
    resolved: dict[str, TargetResolved] = field(default_factory=dict)
    maps: dict[str, list[tuple[str, Mapped]]] = field(default_factory=dict)  # with the hash of the line
    entries: list[Entry] = field(default_factory=list)
    n: int = 0
    head: str = NO_HASH

    def apply(self, entry: Entry) -> None:
        """One step of the fold."""
        self.n, self.head = entry.n + 1, entry.hash
        self.entries.append(entry)
        if isinstance(entry.record, ListMade):
            self.listed = self.listed or entry.record
        elif isinstance(entry.record, TargetResolved):
            self.resolved.setdefault(entry.record.participant, entry.record)
        elif isinstance(entry.record, Mapped):
            self.maps.setdefault(entry.record.participant, []).append((entry.hash, entry.record))
        elif isinstance(entry.record, Allocated):
            self.allocated.setdefault(entry.record.participant, entry.record)


def fold(entries: Iterable[Entry]) -> State:
    """The open state after these entries."""
    state = State()
    for entry in entries:
        state.apply(entry)
    return state


def runs_of(who: Participant) -> dict[str, TreatmentBegun]:
    """Every run of a treatment of this participant, by its run_id, with its end where it is known."""
    return {r.run_id: r for s in who.calendar.sessions.values() for r in s.runs}
