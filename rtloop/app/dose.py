"""Owns the look for what stands in a participant's way before a session begins: earlier dose, a lock after an emergency.

It owns no count, no cap (that is the ledger) and no lock.
"""

from __future__ import annotations

from pathlib import Path

from rtloop.app.halt import folder_runs
from rtloop.app.resumed import Run, run_of
from rtloop.app.witness import locks_of
from rtloop.errors import NotReady, SafetyStop
from rtloop.safety.ledger import Ledger
from rtloop.session.earlier import earlier_events


def ledger_of(data_dir: Path, participant: str, *, simulated: bool) -> Ledger:
    """Every pulse this participant was given before in this data directory: the first part of ``earlier_of``."""
    return earlier_of(data_dir, participant, simulated=simulated)[0]


def earlier_of(data_dir: Path, participant: str, *, simulated: bool) -> tuple[Ledger, tuple[Run, ...]]:
    """Pulses and runs (oldest first) of this participant before, in this data directory; simulated and real kept apart.

    IntegrityProblem when an earlier journal is damaged, NotReady while another session of this participant runs: either
    way the dose is not known. SafetyStop when the participant is locked after an emergency.
    """
    refuse_locked(data_dir, participant)
    ledger, runs = Ledger(), []
    for folder, events in earlier_events(data_dir, participant, simulated=simulated):
        if folder_runs(folder.path):
            raise NotReady(
                "another session of this participant is running", expected="one session of a participant at a time",
                found=str(folder.path), todo="end it first: its pulses count here too",
            )  # fmt: skip
        for event in events:
            ledger.apply(event.kind, event.data)
        if (run := run_of(events, folder)) is not None:
            runs.append(run)
    return ledger, tuple(runs)


def refuse_locked(data_dir: Path, participant: str) -> None:
    """SafetyStop when nothing may be armed for this participant in this data directory until a named person unlocks."""
    locks = locks_of(data_dir)
    if why := locks.why(participant):
        raise SafetyStop(
            "the participant is locked", expected="no lock after an emergency", found=why, todo=locks.todo(participant)
        )  # fmt: skip
