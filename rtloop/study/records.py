"""Owns the kinds of record of a study's log and what each must hold; owns no file, no order and no right to write or read.

A sealed record holds what a blinded role may not read: arms, the allocation list, scores of maps and probes. It is kept in a
log of its own; the open log only says that it is there (``Kept``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

from rtloop.errors import IntegrityProblem
from rtloop.model.course import refuse
from rtloop.study.fields import CHECKS, frozen, plain


@dataclass(frozen=True, kw_only=True)
class Record:
    """One thing that happened in a study. ``ValidationProblem`` tells every wrong field at once."""

    KIND: ClassVar[str] = ""
    SEALED: ClassVar[bool] = False

    def __post_init__(self) -> None:
        bad = []
        for f in fields(self):
            fits, words = CHECKS[f.name]
            if not fits(getattr(self, f.name)):
                bad.append(f"{f.name} = {getattr(self, f.name)!r}, expected {words}")
        refuse(
            f"the record {self.KIND}", bad + ([] if bad else self._more()), "correct these and say it again"
        )

    def _more(self) -> list[str]:
        return []

    def data(self) -> dict[str, Any]:
        """JSON values."""
        return {k: plain(v) for k, v in asdict(self).items()}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From ``data()``; IntegrityProblem when it cannot be."""
        known = {f.name for f in fields(cls)}
        needed = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}
        if set(data) - known or needed - set(data):
            raise IntegrityProblem(
                f"a record {cls.KIND} has other fields", expected=", ".join(sorted(known)), found=", ".join(sorted(data)),
                todo="it was altered, or written by another version of rtloop",
            )  # fmt: skip
        return cls(**{k: frozen(v) for k, v in data.items()})


@dataclass(frozen=True, kw_only=True)
class StudyMade(Record):
    """The first record: what is fixed before the first participant."""

    KIND = "study_made"
    name: str
    course: Mapping[str, Any]
    blinded: bool
    simulated: bool
    strata: tuple[str, ...]
    version: str


@dataclass(frozen=True, kw_only=True)
class PersonAdded(Record):
    """Who works in the study, and as what. One name has one role for ever."""

    KIND = "person_added"
    person: str
    role: str


@dataclass(frozen=True, kw_only=True)
class Enrolled(Record):
    KIND = "enrolled"
    participant: str
    day: str
    stratum: str


@dataclass(frozen=True, kw_only=True)
class Screened(Record):
    """A checklist was filled and signed: by which form, with which findings; the newest one holds."""

    KIND = "screened"
    participant: str
    day: str
    form: str
    form_version: str
    eligible: bool
    findings: tuple[str, ...]
    signed_by: str


@dataclass(frozen=True, kw_only=True)
class ThresholdTaken(Record):
    """A resting motor threshold, with its interval where there is one."""

    KIND = "threshold_taken"
    participant: str
    day: str
    pct_mso: int
    low_pct_mso: float | None
    high_pct_mso: float | None
    method: str
    unit: str
    coil: str
    waveform: str

    def _more(self) -> list[str]:
        low, high = self.low_pct_mso, self.high_pct_mso
        if (low is None) != (high is None) or (
            low is not None and high is not None and not low <= self.pct_mso <= high
        ):
            return [f"the interval {low!r} to {high!r} does not hold {self.pct_mso}"]
        return []


@dataclass(frozen=True, kw_only=True)
class TargetChosen(Record):
    """What is treated. Everybody at the bedside sees it; why it was chosen is sealed."""

    KIND = "target_chosen"
    participant: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Missed(Record):
    """A treatment that will not be given; the reason stands in the entry."""

    KIND = "missed"
    participant: str
    visit: int


@dataclass(frozen=True, kw_only=True)
class Moved(Record):
    """A treatment that is due on this day instead; the reason stands in the entry."""

    KIND = "moved"
    participant: str
    visit: int
    to_day: str


@dataclass(frozen=True, kw_only=True)
class Deviation(Record):
    """Anything else that was not as planned; the reason stands in the entry. ``visit`` 0: of none."""

    KIND = "deviation"
    participant: str
    visit: int
    what: str


@dataclass(frozen=True, kw_only=True)
class CourseStopped(Record):
    """No more treatment for this participant; the reason stands in the entry. Outcomes may still be taken."""

    KIND = "course_stopped"
    participant: str
    day: str


@dataclass(frozen=True, kw_only=True)
class OutcomeTaken(Record):
    """Values of named scales at an assessment. A correction takes the place of the record ``corrects``, with a reason."""

    KIND = "outcome_taken"
    participant: str
    assessment: str
    day: str
    scales: Mapping[str, float]
    corrects: int | None = None


@dataclass(frozen=True, kw_only=True)
class AdverseEvent(Record):
    """Something untoward, on the axes of ISO 14155: seriousness, severity, relation, expectedness, device deficiency."""

    KIND = "adverse_event"
    participant: str
    day: str
    what: str
    severity: str
    serious: tuple[str, ...]
    related: str
    anticipated: bool
    device_deficiency: bool
    state: str
    action: str = ""
    corrects: int | None = None


@dataclass(frozen=True, kw_only=True)
class Kept(Record):
    """A sealed record is there: its kind, number and hash, nothing of what it says."""

    KIND = "kept"
    participant: str | None
    kept: str
    sealed_n: int
    sealed_hash: str

    def __post_init__(self) -> None:
        if self.participant is not None:
            return super().__post_init__()
        bad = [f.name for f in fields(self)[1:] if not CHECKS[f.name][0](getattr(self, f.name))]
        return refuse("the record kept", bad, "keep the folder and look at its log")


@dataclass(frozen=True, kw_only=True)
class ReadUnblinded(Record):
    """A person of an unblinded role looked at what is hidden from others in a blinded study."""

    KIND = "read_unblinded"
    what: str


@dataclass(frozen=True, kw_only=True)
class ListMade(Record):
    """The allocation list: rows of stratum, arm, participant (only in an imported list that names them)."""

    KIND, SEALED = "list_made", True
    source: str
    seed: str
    blocks: tuple[int, ...]
    entries: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Allocated(Record):
    """A participant's arm: from which place of the list."""

    KIND, SEALED = "allocated", True
    participant: str
    arm: str
    stratum: str
    position: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a map answers to one question: ``kind`` decided, undecided or not_comparable; ``target`` where it is decided, else "".

    ``more_pulses``: accepted pulses after which it would be expected to be decided; None: none would, or it is decided.
    """

    kind: str
    target: str
    more_pulses: int | None
    words: str

    @property
    def decided(self) -> bool:
        return self.kind == "decided"


@dataclass(frozen=True, kw_only=True)
class Mapped(Record):
    """A mapping: GLOBAL score of each target with interval, and what was decided; ``answers`` by question (low, high): kind,
    target, more pulses, words, as in ``Answer``; {} where nothing was asked of the map."""

    KIND, SEALED = "mapped", True
    participant: str
    day: str
    session: str
    accepted: bool
    decision: str
    scores: Mapping[str, tuple[float, float | None, float | None]]
    n_accepted: Mapping[str, int]
    answers: Mapping[str, tuple[str, str, int | None, str]] = field(default_factory=dict)

    def answer(self, question: str) -> Answer | None:
        """What it answers to a question; None where it was asked nothing."""
        had = self.answers.get(question)
        return None if had is None else Answer(kind=had[0], target=had[1], more_pulses=had[2], words=had[3])


@dataclass(frozen=True, kw_only=True)
class TargetResolved(Record):
    """Why a participant's target is what it is: from which map, by which ``rule`` (``RULES``), in words."""

    KIND, SEALED = "target_resolved", True
    participant: str
    day: str
    session: str
    target: str
    rule: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Probed(Record):
    """A probe of one target: values such as local, lmfp_uv, itc_local, with intervals."""

    KIND, SEALED = "probed", True
    participant: str
    day: str
    session: str
    target: str
    values: Mapping[str, tuple[float, float | None, float | None]]
    n_accepted: Mapping[str, int]


OPEN_KINDS: dict[str, type[Record]] = {
    k.KIND: k
    for k in (
        StudyMade, PersonAdded, Enrolled, Screened, ThresholdTaken, TargetChosen, Missed, Moved, Deviation, CourseStopped,
        OutcomeTaken, AdverseEvent, Kept, ReadUnblinded,
    )
}  # fmt: skip
SEALED_KINDS: dict[str, type[Record]] = {
    k.KIND: k for k in (ListMade, Allocated, Mapped, TargetResolved, Probed)
}
