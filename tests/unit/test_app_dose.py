"""What a participant was given before: counted over sessions, and refused where it cannot be known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rtloop.app.dose import ledger_of
from rtloop.app.halt import stop_sessions
from rtloop.board import Board
from rtloop.errors import IntegrityProblem, NotReady
from rtloop.record import kinds
from rtloop.record.journal import Journal

CHARGE: dict[str, Any] = {
    "session_id": "s", "pulse_id": 1, "target": "M1", "purpose": "run", "power_pct_mso": 40, "power_pct_rmt": None,
    "day": "2026-11-22",
}  # fmt: skip


def session(
    data_dir: Path, run_id: str, participant: str, pulses: int, *, stamp: str = "20261122-100000"
) -> Path:
    """A session that crashed after ``pulses`` intents without an outcome."""
    folder = data_dir / f"{stamp}_{run_id}"
    folder.mkdir(parents=True)
    journal = Journal(folder / "journal.jsonl", run_id=run_id)
    journal.append(kinds.SESSION_STARTED, {"participant": participant, "mode": "BENCH"})
    for n in range(pulses):
        journal.append(kinds.PULSE_INTENDED, {**CHARGE, "run_id": run_id, "permit_id": n})
    journal.close()
    return folder


def damage(folder: Path, word: str) -> None:
    """Spoil the first line that holds ``word``."""
    path = folder / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(word.encode(), word.upper().encode(), 1))


def test_pulses_of_crashed_sessions_count_and_those_of_others_do_not(tmp_path: Path) -> None:
    session(tmp_path, "a", "P1", 3)
    session(tmp_path, "b", "P2", 5, stamp="20261122-110000")
    (tmp_path / "20261122-120000_c").mkdir()
    (tmp_path / "20261122-120000_c" / "journal.jsonl").touch()  # died while it was made
    assert ledger_of(tmp_path, "P1", simulated=False).count() == 3
    assert ledger_of(tmp_path, "P1", simulated=True).count() == 0


@pytest.mark.parametrize("word", ["pulse_intended", "session_started"])
def test_a_damaged_journal_refuses_instead_of_counting_less(tmp_path: Path, word: str) -> None:
    damage(session(tmp_path, "a", "P1", 3), word)
    with pytest.raises(IntegrityProblem, match="20261122-100000_a is damaged"):
        ledger_of(tmp_path, "P1", simulated=False)


def test_damage_in_the_journal_of_somebody_else_is_no_obstacle(tmp_path: Path) -> None:
    damage(session(tmp_path, "a", "P1", 3), "pulse_intended")
    session(tmp_path, "b", "P2", 2, stamp="20261122-110000")
    assert ledger_of(tmp_path, "P2", simulated=False).count() == 2


def test_a_running_session_of_the_same_participant_refuses_and_a_dead_one_does_not(tmp_path: Path) -> None:
    folder = session(tmp_path, "a", "P1", 3)
    with Board.create(folder / "board") as board:
        board.start("engine")
        with pytest.raises(NotReady, match="another session of this participant"):
            ledger_of(tmp_path, "P1", simulated=False)
        board["beat_engine"] -= 60_000_000_000
        assert ledger_of(tmp_path, "P1", simulated=False).count() == 3


def test_stop_never_kills_a_process_that_only_inherited_the_number(tmp_path: Path) -> None:
    folder = session(tmp_path, "a", "P1", 0)
    with Board.create(folder / "board") as board:
        board.start("port")  # this very process: alive, and long silent
        board["beat_port"] -= 60_000_000_000
        words, data, code = stop_sessions(None, None, tmp_path)
        assert code == 5
        assert "the port process is silent for 6" in words
        assert board["stop_asked"]
        assert not data["sessions"][0]["confirmed"]


def test_stop_while_the_session_ends_says_that_the_unit_is_released(tmp_path: Path) -> None:
    folder = session(tmp_path, "a", "P1", 0)
    with Board.create(folder / "board") as board:
        board.start("engine")
        board.start("port")
        board.end("port")
        words, _, code = stop_sessions(folder, None, None)
        assert code == 0
        assert "already disarmed and released" in words
