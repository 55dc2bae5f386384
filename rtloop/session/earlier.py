"""Owns the look back: a participant's earlier sessions in the same data directory; owns no comparison between visits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rtloop.errors import RtloopError
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
    data_dir: Path, participant: str, *, simulated: bool, but: Path
) -> Iterator[tuple[SessionFolder, tuple[Event, ...]]]:
    """Journals of this participant's earlier sessions, oldest first; simulated and real ones are kept apart.

    IntegrityProblem when a journal cannot be read: the dose would not be known.
    """
    for folder in SessionFolder.all_in(data_dir):
        if folder.path == but or not folder.journal.is_file():
            continue
        events = read_journal(folder.journal).events
        start = next((e.data for e in events if e.kind == kinds.SESSION_STARTED), {})
        same = (start.get("mode") == Mode.SIMULATED or start.get("scene") is not None) is simulated
        if start.get("participant") == participant and same:
            yield folder, events


def earlier_probes(
    data_dir: Path, participant: str, target: str, *, simulated: bool, but: Path
) -> tuple[Visit, ...]:
    """Earlier probes of a target with scores, oldest first. Unreadable sessions are left out."""
    visits = []
    try:
        for folder, events in earlier_events(data_dir, participant, simulated=simulated, but=but):
            view = fold_all(events)
            run = view.targets.get(target)
            scores = None if run is None or view.started.get("kind") != "probe" else scores_of(run)
            if scores is not None:
                visits.append(
                    Visit(
                        utc=events[0].utc, session=folder.path.name, n_accepted=scores.n_accepted,
                        local=scores.score("local"), lmfp_uv=scores.evoked["lmfp_uv"],
                        itc_local=scores.evoked["itc_local:pooled"],
                    )
                )  # fmt: skip
    except RtloopError:
        return tuple(visits)
    return tuple(visits)
