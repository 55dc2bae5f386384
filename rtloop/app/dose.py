"""Owns the look for what a participant was given before a session begins; owns no count and no cap (that is the ledger)."""

from __future__ import annotations

from pathlib import Path

from rtloop.app.halt import folder_runs
from rtloop.errors import NotReady
from rtloop.safety.ledger import Ledger
from rtloop.session.earlier import earlier_events


def ledger_of(data_dir: Path, participant: str, *, simulated: bool) -> Ledger:
    """Every pulse this participant was given before in this data directory; simulated and real are kept apart.

    IntegrityProblem when an earlier journal is damaged, NotReady while another session of this participant runs: either
    way the dose is not known.
    """
    ledger = Ledger()
    for folder, events in earlier_events(data_dir, participant, simulated=simulated):
        if folder_runs(folder.path):
            raise NotReady(
                "another session of this participant is running", expected="one session of a participant at a time",
                found=str(folder.path), todo="end it first: its pulses count here too",
            )  # fmt: skip
        for event in events:
            ledger.apply(event.kind, event.data)
    return ledger
