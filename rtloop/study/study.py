"""Owns a study's folder: its two logs, its two stores, the leases; what is written passes its rules, what is read its roles.

log/ store.sqlite            what may be known at the bedside (store.sqlite is an index, made again from the log at any time)
sealed/log/ sealed/store.sqlite  arms, allocation list, scores; an administrator may keep this folder from the blinded
leases/                      who runs whom (rtloop.study.lease)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rtloop import __version__
from rtloop.clock import WALL, Clock
from rtloop.errors import IntegrityProblem, NotReady, RtloopError, ValidationProblem
from rtloop.model.course import Course
from rtloop.study.allocation import next_place
from rtloop.study.fields import Role
from rtloop.study.lease import Lease, take
from rtloop.study.log import Anything, Entry, Log, kind_of
from rtloop.study.records import (
    Allocated,
    Kept,
    Mapped,
    OutcomeTaken,
    PersonAdded,
    Probed,
    ReadUnblinded,
    Record,
    StudyMade,
    TargetChosen,
    TargetResolved,
)
from rtloop.study.resolve import NO_BENEFIT, faults, map_words, newest, resolve
from rtloop.study.roles import readable
from rtloop.study.rules import refusals
from rtloop.study.state import Hidden, State
from rtloop.study.store import BUSY_S, Store

Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]


class Study:
    """An open study. ``make`` or ``open`` one; close it. Not for several threads."""

    def __init__(self, folder: Path, *, clock: Clock, busy_s: float) -> None:
        self.folder, self.clock, self._busy_s = folder, clock, busy_s
        self._log = Log(folder / "log", sealed=False)
        self._store = Store.open(folder / "store.sqlite", self._log, busy_s=busy_s)
        self._hidden_store: Store | None = None
        self.state, self._hidden = State(), Hidden()
        self.no_seal = ""
        try:
            if (folder / "sealed" / "log").is_dir():
                self._hidden_log = Log(folder / "sealed" / "log", sealed=True)
                self._hidden_store = Store.open(
                    folder / "sealed" / "store.sqlite", self._hidden_log, busy_s=busy_s
                )
            else:
                self.no_seal = "the folder sealed is not there"
        except OSError as err:  # its rights keep this account from it
            self.no_seal = str(err)
        except BaseException:
            self._store.close()
            raise
        self._take_in()

    @classmethod
    def make(
        cls, folder: Path, *, name: str, course: Course, by: str, blinded: bool = True, simulated: bool = False,
        strata: Sequence[str] = (), people: Mapping[str, Role] | None = None, clock: Clock = WALL, busy_s: float = BUSY_S,
    ) -> Study:  # fmt: skip
        """Make a study in a new folder; ``by`` is its first unblinded person. ValidationProblem where one is already."""
        first = StudyMade(name=name, course=course.data(), blinded=blinded, simulated=simulated, strata=tuple(strata),
                          version=__version__)  # fmt: skip
        everybody = [
            PersonAdded(person=p, role=str(r)) for p, r in {by: Role.UNBLINDED, **(people or {})}.items()
        ]
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ValidationProblem(
                f"the study cannot be made in {folder}", expected="a folder that is new or empty", found="something is there",
                todo="name another folder; a study that is there is opened, never made again",
            )  # fmt: skip
        try:
            for part in ("", "log", "sealed", "sealed/log", "leases"):
                (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as err:
            raise IntegrityProblem(f"the study's folder {folder} cannot be made", found=str(err)) from err
        study = cls(folder, clock=clock, busy_s=busy_s)
        study._append(first, by=by, role=Role.UNBLINDED)
        for person in everybody:
            study._append(person, by=by, role=Role.UNBLINDED)
        return study

    @classmethod
    def open(cls, folder: Path, *, clock: Clock = WALL, busy_s: float = BUSY_S) -> Study:
        """Open a study that is there; NotReady where none is, IntegrityProblem where it is damaged."""
        if not (folder / "log" / "00000000.jsonl").is_file():
            raise NotReady(
                f"there is no study in {folder}", expected="a folder made by rtloop study init", found="no log there",
                todo="name the study's folder with --study, or make one",
            )  # fmt: skip
        return cls(folder, clock=clock, busy_s=busy_s)

    def close(self) -> None:
        """Close its stores."""
        self._store.close()
        if self._hidden_store is not None:
            self._hidden_store.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def course(self) -> Course:
        """The course of everybody in it."""
        if self.state.course is None:
            raise IntegrityProblem(f"the study in {self.folder} has no first record")
        return self.state.course

    @property
    def today(self) -> str:
        """The UTC day."""
        return self.clock.utc()[:10]

    def role_of(self, person: str) -> Role:
        """The role of a person; ValidationProblem for somebody who is not in the study."""
        if (role := self.state.people.get(person)) is None:
            raise ValidationProblem(
                f"{person!r} is not a person of this study", expected="a person who was added with a role",
                found=", ".join(sorted(self.state.people)) or "nobody",
                todo="an unblinded person adds them: rtloop study person NAME ROLE --by ...",
            )  # fmt: skip
        return role

    def follow(self) -> None:
        """Take in what others have written meanwhile."""
        self._store.follow()
        if self._hidden_store is not None:
            self._hidden_store.follow()
        self._take_in()

    def _take_in(self) -> None:
        for entry in self._store.entries(self.state.n, self.state.head):
            self.state.apply(entry)
        if self._hidden_store is not None:
            for entry in self._hidden_store.entries(self._hidden.n, self._hidden.head):
                self._hidden.apply(entry)

    def write(self, record: Anything, *, by: str, reason: str = "") -> Entry:
        """Write a record into the log it belongs to, if nothing speaks against it; durable at return.

        ValidationProblem tells every reason against it; NotReady when others keep writing. A sealed record is told of in the
        open log, without what it says.
        """
        self.follow()
        role = self.role_of(by)
        if not (isinstance(record, Record) and record.SEALED):
            return self._append(record, by=by, role=role, reason=reason)
        self._need_seal()
        entry = self._append(record, by=by, role=role, reason=reason)
        self._announce()
        return entry

    def allocate(self, participant: str, *, by: str) -> None:
        """Give a participant the next place of the list; nobody is told which. Where another computer takes it first, the one
        after it. ValidationProblem when it was done before: a crash between the two logs is mended by then."""
        self.follow()
        self._need_seal()
        self._announce()
        while True:
            place = self._next_place(participant)
            try:
                self.write(place, by=by)
                return
            except ValidationProblem:
                if self._next_place(participant) == place:
                    raise

    def _next_place(self, participant: str) -> Allocated:
        if participant in self._hidden.allocated:
            raise ValidationProblem(
                f"{participant} is allocated already", todo="nothing: one participant has one arm"
            )
        who, listed, place = self.state.participants.get(participant), self._hidden.listed, None
        if who is not None and listed is not None:
            taken = list(self._hidden.allocated.values())
            place = next_place(listed, taken, participant=participant, stratum=who.stratum)
        if place is None:
            raise ValidationProblem(
                f"{participant} cannot be allocated", expected="enrolled, and a free place of the list in the stratum",
                found="not enrolled" if who is None else "no list" if listed is None else "no free place",
                todo="enrol first; an unblinded person makes or imports the list",
            )  # fmt: skip
        return place

    def arm_of(self, participant: str) -> Allocated | None:
        """For the engine that resolves the target, and for it alone: a participant's place. Never show it to a blinded role."""
        self._need_seal()
        return self._hidden.allocated.get(participant)

    def resolve(self, participant: str, *, by: str) -> str:
        """Let the target follow from arm and newest accepted map, and write it down; returns what anybody may be told of it.

        The reason is sealed. Where the course waits for more pulses nothing is written. ValidationProblem with every reason why
        no target can follow, the same in every arm. Said twice it writes once: also after a crash between the two records.
        """
        self.follow()
        self._need_seal()
        who, place = self.state.participants.get(participant), self._hidden.allocated.get(participant)
        found = newest(self._hidden.maps.get(participant, []))
        had = self._hidden.resolved.get(participant)
        bad = [] if who is not None and place is not None else [f"{participant} is not allocated"]
        bad += faults(self.course, None if found is None else found[1]) if had is None else []
        if who is not None and who.target is not None:
            bad.append(f"the target is {who.target} already")
        if bad or place is None or (found is None and had is None):
            raise ValidationProblem(
                f"no target of {participant} follows from a map", expected="allocated, and an accepted map that was asked",
                found="; ".join(bad), todo="rtloop study allocate, and gather the folder of the map",
            )  # fmt: skip
        if had is None:
            assert found is not None
            made = resolve(self.course, place.arm, found[1], found[0])
            if not made.target:
                return made.words
            had = TargetResolved(participant=participant, day=self.today, session=found[1].session, target=made.target,
                                 rule=made.rule, words=f"{made.words.rstrip('.')}. {NO_BENEFIT}"[:1000])  # fmt: skip
            self.write(had, by=by)
        self.write(TargetChosen(participant=participant, target=had.target), by=by)
        words = "" if found is None else f"; {map_words(self.course, found[1])}"
        return f"{participant} is treated at {had.target}{words}"

    def map_told(self, participant: str) -> str:
        """What anybody may be told of a participant's newest accepted map, the same in every arm; "" where none is known here."""
        found = newest(self._hidden.maps.get(participant, []))
        if found is None:
            return ""
        return "; ".join(faults(self.course, found[1])) or map_words(self.course, found[1])

    def sealed_sessions(self) -> frozenset[str]:
        """Session folders whose map or probe the sealed log holds."""
        self._need_seal()
        return frozenset(
            e.record.session for e in self._hidden.entries if isinstance(e.record, Mapped | Probed)
        )

    def lease(self, participant: str, **how: Any) -> Lease:
        """The right to run this participant (rtloop.study.lease.take)."""
        if participant not in self.state.participants:
            raise ValidationProblem(f"{participant} is not enrolled", todo="enrol the participant first")
        return take(self.folder / "leases", participant, clock=self.clock, **how)

    def read(self, *, by: str, what: str) -> tuple[dict[str, Table], dict[str, Table]]:
        """(open, sealed): everything this person may read, as columns and rows by table.

        In a blinded study an unblinded person's look is written into the log, with ``what`` it was for.
        """
        self.follow()
        role = self.role_of(by)
        if role is Role.UNBLINDED and self.state.blinded:
            self._append(ReadUnblinded(what=what), by=by, role=role)
        open_, sealed = readable(role, blinded=self.state.blinded)
        out = {t: (c, self._store.rows(t, c)) for t, c in open_.items()}
        store = self._hidden_store
        return out, {} if store is None else {t: (c, store.rows(t, c)) for t, c in sealed.items()}

    def rebuild(self) -> None:
        """Make both stores again from the logs."""
        self._store.close()
        self._store = Store.rebuild(self._store.path, self._log, busy_s=self._busy_s)
        if self._hidden_store is not None:
            self._hidden_store.close()
            self._hidden_store = Store.rebuild(self._hidden_store.path, self._hidden_log, busy_s=self._busy_s)

    def problems(self) -> list[str]:
        """What is wrong with logs and stores: chains, lines against the store, the store's own file, records not told of."""
        out: list[str] = []
        for store in (self._store, self._hidden_store):
            if store is None:
                continue
            try:
                read = store.log.read()
                out += [*read.problems, *store.problems()]
                if [e.hash for e in read.entries] != [e.hash for e in store.entries()]:
                    out.append(
                        f"{store.path} does not hold what {store.log.folder} says: rtloop study rebuild"
                    )
            except RtloopError as err:
                out.append(str(err))
        lacking = [e.n for e in self._hidden.entries if e.n not in self.state.announced]
        return out + ([f"sealed lines not told of: {', '.join(map(str, lacking))}"] if lacking else [])

    def dumps(self) -> tuple[str, str]:
        """Everything in the two stores as SQL text."""
        return self._store.dump(), "" if self._hidden_store is None else self._hidden_store.dump()

    @property
    def heads(self) -> tuple[str, str]:
        """Hashes of the last lines of the open and of the sealed log: print them on what leaves the study."""
        return self.state.head, self._hidden.head

    def _need_seal(self) -> None:
        if self._hidden_store is None:
            raise NotReady(
                "the sealed part of this study cannot be used here", expected=f"{self.folder / 'sealed'}", found=self.no_seal,
                todo="an unblinded person does this, with an account that may read that folder",
            )  # fmt: skip

    def _announce(self) -> None:
        """Tell the open log of every sealed line that it does not tell of: also after a crash between the two."""
        for e in self._hidden.entries:
            if e.n not in self.state.announced:
                told = Kept(
                    participant=getattr(e.record, "participant", None),
                    kept=e.kind,
                    sealed_n=e.n,
                    sealed_hash=e.hash,
                )
                self._append(told, by=e.by, role=Role(e.role))

    def _append(self, record: Anything, *, by: str, role: Role, reason: str = "") -> Entry:
        sealed = isinstance(record, Record) and record.SEALED
        log, end_s = (self._hidden_log if sealed else self._log), self.clock.now_s() + self._busy_s
        while True:
            bad = refusals(self.state, self._hidden, record, role=role, today=self.today, reason=reason)
            if bad:
                raise ValidationProblem(
                    f"{kind_of(record).replace('_', ' ')} was not written", expected="nothing that speaks against it",
                    found="; ".join(bad), todo="put these right first; nothing was changed",
                )  # fmt: skip
            part: State | Hidden = self._hidden if sealed else self.state
            n = part.n
            if log.take(record, n=n, prev=part.head, by=by, role=str(role), utc=self.clock.utc(), reason=reason,
                        old=self._old(record)):  # fmt: skip
                break
            if self.clock.now_s() >= end_s:
                raise NotReady(
                    "the study's log is busy", expected="a free number in time", todo="say it again"
                )
            self.follow()
        store = self._hidden_store if sealed else self._store
        assert store is not None
        store.follow()
        made = store.entries(n, part.head)[0]
        self._take_in()
        return made

    def _old(self, record: Anything) -> dict[str, Any] | None:
        corrects = getattr(record, "corrects", None)
        who = self.state.participants.get(getattr(record, "participant", None) or "")
        if corrects is None or who is None:
            return None
        rows: list[tuple[int, Any]] = list(who.outcomes if isinstance(record, OutcomeTaken) else who.events)
        return next((r.data() for n, r in rows if n == corrects), None)


def rebuild_in(folder: Path) -> int:
    """Make both stores again, also where they can no longer be opened; returns the number of lines of the open log."""
    for part, sealed in ((folder, False), (folder / "sealed", True)):
        if (part / "log").is_dir():
            Store.rebuild(part / "store.sqlite", Log(part / "log", sealed=sealed)).close()
    with Study.open(folder) as study:
        return study.state.n
