"""Owns the look back: a participant's earlier sessions in the same data directory; owns no comparison between visits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rtloop.errors import IntegrityProblem, RtloopError
from rtloop.model.estimate import Estimate
from rtloop.model.event import Event
from rtloop.model.status import Mode
from rtloop.model.view import fold_all
from rtloop.record import kinds
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.session.display import scores_of


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One earlier probe of a target."""

    utc: str
    session: str
    n_accepted: int
    local: Estimate
    lmfp_uv: Estimate
    itc_local: Estimate


def earlier_events(
    data_dir: Path, participant: str, *, simulated: bool
) -> Iterator[tuple[SessionFolder, tuple[Event, ...]]]:
    """Journals of this participant's earlier sessions, oldest first; simulated and real ones are kept apart.

    IntegrityProblem when a journal cannot be read or is damaged, unless it is certainly not of this participant: the dose
    would not be known. A crash is no damage: a torn last line was never acknowledged, no pulse followed it.
    """
    for folder in SessionFolder.all_in(data_dir):
        if folder.journal.is_file() and folder.journal.stat().st_size:
            events = _events_of(folder, participant, simulated=simulated)
            if events:
                yield folder, events


def _events_of(folder: SessionFolder, participant: str, *, simulated: bool) -> tuple[Event, ...]:
    """The events of a session of this participant; empty for one of another."""
    journal = read_journal(folder.journal)
    start = next((e.data for e in journal.events if e.kind == kinds.SESSION_STARTED), None)
    if start is not None:
        same = (start.get("mode") == Mode.SIMULATED or start.get("scene") is not None) is simulated
        if start.get("participant") != participant or not same:
            return ()
    if journal.problems:
        raise IntegrityProblem(
            f"the journal of the earlier session {folder.path.name} is damaged", expected="every pulse of earlier sessions",
            found="; ".join(journal.problems[:3]),
            todo=f"rtloop verify {folder.path}; do not stimulate until the dose is known. A session that is not of this "
            "participant may be moved to another folder",
        )  # fmt: skip
    return () if start is None else journal.events


def earlier_probes(
    data_dir: Path, participant: str, target: str, *, simulated: bool, but: Path
) -> tuple[Visit, ...]:
    """Probes of a target with scores before the session ``but``, oldest first. Damaged sessions are left out."""
    visits = []
    for folder in SessionFolder.all_in(data_dir):
        if not folder.path.name < but.name or not folder.journal.is_file():
            continue
        try:
            events = _events_of(folder, participant, simulated=simulated)
        except RtloopError:
            continue
        view = fold_all(events)
        run = view.targets.get(target)
        scores = None if run is None or view.started.get("kind") != "probe" else scores_of(run)
        if scores is not None:
            absent = Estimate.absent("not computed in that session")
            visits.append(
                Visit(
                    utc=events[0].utc, session=folder.path.name, n_accepted=scores.n_accepted,
                    local=scores.score("local"), lmfp_uv=scores.evoked.get("lmfp_uv", absent),
                    itc_local=scores.evoked.get("itc_local:pooled", absent),
                )
            )  # fmt: skip
    return tuple(visits)
