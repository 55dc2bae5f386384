"""Owns the study's side of a treatment session: the participant's lease, the day asked of the calendar, begun and given written
down; owns no pulse, no train and no clock of its own.

One computer holds a participant from ``open`` to ``close``. What an earlier run of today left is counted pessimistically: a run
without an end has given everything until its folder is read, and what its journal does not close was given.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from rtloop.clock import WALL, Clock
from rtloop.errors import RtloopError, ValidationProblem
from rtloop.model.course import TreatmentBegun, TreatmentGiven
from rtloop.model.status import Mode
from rtloop.study.calendar import Next, whats_next
from rtloop.study.lease import Lease
from rtloop.study.roles import may_write
from rtloop.study.rules import not_today
from rtloop.study.state import Participant
from rtloop.study.study import Study


class Visit:
    """One treatment visit of a participant of a study, from its lease to its end. ``open`` it; ``close`` gives the lease back.

    ``begin``, ``end`` and ``close`` belong to the thread that opened it; ``keep`` and ``held`` to any.

    number : the treatment's number in the course, from 1
    target : what is treated; never why
    plan : name of the treatment plan of the course; "" where the course of an older study does not say
    simulated : whether the study takes simulated sessions, and only these
    session_id : of today's session that goes on; "" where a new one begins
    trains_given : trains of today's session that count as given already; the run goes on after them
    left : pulses of today's session that may still be given; None where a new one begins
    told : what was taken in from an earlier run's folder, in words
    """

    def __init__(
        self,
        study: Study,
        lease: Lease,
        who: Participant,
        due: Next,
        by: str,
        told: tuple[str, ...],
        data_dir: Path | None,
    ) -> None:
        assert who.target is not None
        self._study, self._lease, self._by, self._turn = study, lease, by, threading.Lock()
        self.participant, self.number, self.target = who.code, due.visit, who.target
        self.plan, self.simulated = study.course.treatment, is_simulated(study)
        self.session_id, self.trains_given = due.session_id, due.trains_given
        self.left: int | None = due.left if due.kind == "resume" else None
        self.told, self._begun = told, ""
        self._data_dir = data_dir
        self._folder: Path | None = None  # of the run that was begun

    @classmethod
    def open(
        cls, study_folder: Path, participant: str, by: str, clock: Clock = WALL, *, mode: Mode | None = None,
        data_dir: Path | None = None, **lease: Any,
    ) -> Visit:  # fmt: skip
        """Take the participant's lease and ask the calendar whether a treatment may be given today.

        ``data_dir``: where runs of today that crashed on this computer lie; their journals are read first. ``lease``: see
        ``rtloop.study.lease.take``; after a crash of the holder this waits about 20 s. ValidationProblem with every reason why
        not, NotReady where another computer holds the participant or the study cannot be reached. Nothing is held after either.
        """
        study = Study.open(study_folder, clock=clock)
        try:
            return cls._opened(study, participant, by, mode, data_dir, lease)
        except BaseException:
            study.close()
            raise

    @classmethod
    def _opened(
        cls, study: Study, participant: str, by: str, mode: Mode | None, data_dir: Path | None, how: dict[str, Any]
    ) -> Visit:  # fmt: skip
        study.follow()
        who = study.state.participants.get(participant)
        if who is None or not _unclosed(
            who
        ):  # nothing that another run may still change: no wait for a lease
            _refuse(study, participant, by, mode)
        lease, told = study.lease(participant, **how), list[str]()
        try:
            study.follow()
            who = study.state.participants[participant]
            if data_dir is not None and _unclosed(who):
                told += _close_crashed(study, who, data_dir, by)
                lease.renew()
            _refuse(study, participant, by, mode, told)
            return cls(
                study,
                lease,
                who,
                whats_next(study.course, who.calendar, study.today),
                by,
                tuple(told),
                data_dir,
            )
        except BaseException:
            lease.release()
            raise

    def begin(self, begun: TreatmentBegun) -> None:
        """Write down what this run sets out to give: after it stands in the session's journal, before its first pulse.

        ValidationProblem with every reason why it may not (also a second session of a day, or more than is left);
        NotReady where the lease is lost. Then nothing may be given.
        """
        if not self.held:
            self.keep()  # says why
        if begun.participant != self.participant:
            raise ValidationProblem(
                "this run is of another participant", expected=self.participant, found=begun.participant,
                todo="open a visit of that one",
            )  # fmt: skip
        self._study.write(begun, by=self._by)
        self._begun = begun.run_id
        self._folder = None if self._data_dir is None else self._data_dir / begun.folder

    @property
    def held(self) -> bool:
        """Whether this computer still runs the participant, by its own clock: asked before each train. Reads memory only."""
        return self._lease.held

    def keep(self) -> None:
        """Show that we are still there; about once a second, from a thread that may wait for the folder.

        NotReady when the lease is lost: stop, disarm, give no more in this run.
        """
        with self._turn:
            self._lease.renew()

    def end(self, given: TreatmentGiven) -> None:
        """Write down what the run came to, also after the lease was lost: what was given is a fact.

        It stands in the session's journal before; where the study cannot be reached, ``rtloop study gather`` takes it from there.
        """
        if given.run_id != self._begun:
            raise ValidationProblem(
                "this run was never begun in the study", expected=self._begun or "a run that was begun", found=given.run_id,
                todo="keep its folder; rtloop study gather takes it in",
            )  # fmt: skip
        self._study.write(given, by=self._by)

    def close(self) -> None:
        """Take the adverse events that the session told into the study, where its folder is known; give the lease back; close.

        A second close does nothing. Raises IntegrityProblem, after all that, where they could not be taken in or the lease not be
        given back: then rtloop study gather.
        """
        folder, self._folder = self._folder, None
        try:
            if folder is not None:
                self._gathered(folder)
        finally:
            try:
                with self._turn:
                    self._lease.release()
            finally:
                self._study.close()

    def _gathered(self, folder: Path) -> None:
        from rtloop.app.study_sessions import gather_events

        self._study.follow()
        gather_events(self._study, folder, self.participant, by=self._by)

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_simulated(study: Study) -> bool:
    """Whether a study takes simulated sessions, and only these."""
    return study.state.study is not None and study.state.study.simulated


def _unclosed(who: Participant) -> list[TreatmentBegun]:
    return [run for session in who.calendar.sessions.values() for run in session.unclosed]


def _close_crashed(study: Study, who: Participant, data_dir: Path, by: str) -> list[str]:
    """Take in the folders of this participant's runs that have no end; what was taken in, or why it could not be."""
    from rtloop.app.study_sessions import gather_run

    told: list[str] = []
    for run in _unclosed(who):
        try:
            told += gather_run(study, data_dir, run, by=by)
        except RtloopError as err:
            told.append(f"the folder {run.folder} was not taken in: {err}")
    return told


def _refuse(
    study: Study, participant: str, by: str, mode: Mode | None, told: list[str] | None = None
) -> None:
    """ValidationProblem with every reason why nothing may be given to this participant today."""
    role, bad = study.role_of(by), list[str]()
    if not may_write(role, "treatment_begun", blinded=study.state.blinded):
        bad.append(f"{by} is {role}: an operator treats")
    wanted = Mode.SIMULATED if is_simulated(study) else Mode.HUMAN
    if mode is not None and mode is not wanted:
        bad.append(f"the session is in mode {mode}, this study takes {wanted} only")
    who = study.state.participants.get(participant)
    bad += (
        [f"{participant} is not enrolled"]
        if who is None
        else not_today(study.state, who, study.today, study.clock.utc())
    )
    if bad:
        raise ValidationProblem(
            f"no treatment of {participant} may begin now", expected="nothing in the study that speaks against it",
            found="; ".join([*bad, *(told or ())]), todo=f"rtloop study next {participant} says what is due and when",
        )  # fmt: skip
