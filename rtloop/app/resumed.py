"""Owns which session a run belongs to: a new one, or an earlier one that it resumes, and where the map of that one stands; owns
no count, no cap and no trial.

Dose caps hold over all runs of a session. A run resumes the newest earlier run of the same participant, by the same plan
(its SHA-256), begun on the same UTC day, if that one did not come to its plan's end: a trip, a stop, a crash. After a run
that came to its end the next one is another session; so it is by a changed plan, and after midnight UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rtloop.model.event import Event
from rtloop.record import kinds
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.session.keeping import Earlier


@dataclass(frozen=True, kw_only=True)
class Run:
    """One earlier run of the participant: when it began, by which plan, of which session, whether it came to its plan's end."""

    run_id: str
    session_id: str
    plan_sha256: str
    day: str
    complete: bool
    folder: SessionFolder | None = None


def run_of(events: Iterable[Event], folder: SessionFolder | None = None) -> Run | None:
    """What a journal tells of its run; None when it never began. Older journals: each run was a session of its own."""
    found, complete = None, False
    for event in events:
        if event.kind == kinds.SESSION_STARTED and found is None:
            found = event
        elif event.kind == kinds.SESSION_ENDED:
            complete = event.data.get("clean") is True
    if found is None:
        return None
    run_id = str(found.data.get("run_id", ""))
    return Run(
        run_id=run_id, session_id=str(found.data.get("session_id") or run_id), day=found.utc[:10],
        plan_sha256=str(found.data.get("plan_sha256", "")), complete=complete, folder=folder,
    )  # fmt: skip


def session_of(runs: Sequence[Run], *, run_id: str, plan_sha256: str, day: str) -> str:
    """The session of the run that begins now; ``runs``: the participant's earlier ones, oldest first."""
    same = [r for r in runs if r.plan_sha256 == plan_sha256 != "" and r.day == day and r.run_id]
    return run_id if not same or same[-1].complete else same[-1].session_id


def map_before(runs: Sequence[Run], *, session_id: str, run_id: str) -> Earlier | None:
    """The map that a run goes on with: of the newest earlier run of its session that had one; None in a new session."""
    for run in reversed(runs):
        if session_id == run_id or run.session_id != session_id or run.folder is None:
            continue
        if (found := Earlier.of(run.folder, read_journal(run.folder.journal).events)) is not None:
            return found
    return None
