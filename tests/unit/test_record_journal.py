"""The journal: what is appended comes back, and nothing can be changed unnoticed."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
from pathlib import Path

import pytest
from record_tools import file_size_limit

from rtloop.clock import SteppedClock
from rtloop.errors import IntegrityProblem, NotReady, ValidationProblem
from rtloop.model.pulse import Outcome
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import NO_HASH, Journal, read_journal

posix = pytest.mark.skipif(os.name != "posix", reason="rights and limits of POSIX")


def make(path: Path, records: int = 3) -> Journal:
    journal = Journal(path, run_id="r1", plan_sha="ab" * 32, clock=SteppedClock())
    for i in range(records):
        journal.append("note_written", {"i": i, "x": 0.1 + i, "words": "µV – ≥", "none": None})
    return journal


def test_what_is_appended_comes_back(tmp_path: Path) -> None:
    journal = make(tmp_path / "j")
    event = journal.append("pulse_closed", {"outcome": Outcome.FIRED, "t": (1.5, 1e-300), "tiny": 5e-324})
    journal.close()
    read = read_journal(tmp_path / "j")
    assert read.problems == ()
    assert read.torn_tail_bytes == 0
    assert [e.n for e in read.events] == [0, 1, 2, 3, 4]
    assert read.events[-1] == event
    assert read.events[-1].data == {"outcome": "fired", "t": [1.5, 1e-300], "tiny": 5e-324}
    assert read.head_hash == journal.head_hash != NO_HASH
    assert read.size_bytes == (tmp_path / "j").stat().st_size
    assert read.header["run_id"] == "r1"
    assert read.header["plan_sha256"] == "ab" * 32
    assert read.header["event_schema"] == read.header["journal_schema"] == 1
    assert read.header["software_version"]


def test_the_first_record_is_not_overruled_by_the_header_argument(tmp_path: Path) -> None:
    Journal(tmp_path / "j", run_id="true", header={"run_id": "false", "mode": "LISTEN"}).close()
    header = read_journal(tmp_path / "j").header
    assert header["run_id"] == "true"
    assert header["mode"] == "LISTEN"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_is_refused_with_its_place_and_nothing_is_written(tmp_path: Path, value: float) -> None:
    journal = make(tmp_path / "j")
    before = (tmp_path / "j").read_bytes()
    with pytest.raises(ValidationProblem, match=r"data\.scores\[1\]\.se"):
        journal.append("scores_updated", {"scores": [{"se": 1.0}, {"se": value}]})
    assert (tmp_path / "j").read_bytes() == before
    journal.append("note_written", {})
    journal.close()
    assert read_journal(tmp_path / "j").problems == ()


@pytest.mark.parametrize("data", [{1: 2}, {"a": {2, 3}}, {"a": b"x"}, {"a": "\ud800"}, {"a": object()}])
def test_what_json_cannot_keep_is_refused(tmp_path: Path, data: dict) -> None:
    journal = make(tmp_path / "j")
    with pytest.raises(ValidationProblem):
        journal.append("note_written", data)
    journal.close()
    assert len(read_journal(tmp_path / "j").events) == 4


def test_an_existing_journal_is_never_reopened(tmp_path: Path) -> None:
    make(tmp_path / "j").close()
    before = (tmp_path / "j").read_bytes()
    with pytest.raises(IntegrityProblem, match="cannot make"):
        Journal(tmp_path / "j", run_id="r2")
    assert (tmp_path / "j").read_bytes() == before


@posix
def test_only_the_owner_may_read(tmp_path: Path) -> None:
    make(tmp_path / "j").close()
    assert stat.S_IMODE((tmp_path / "j").stat().st_mode) == 0o600


def test_threads_get_numbers_without_gaps(tmp_path: Path) -> None:
    journal = make(tmp_path / "j", 0)
    threads = [
        threading.Thread(target=lambda k=k: [journal.append("note_written", {"k": k}) for _ in range(50)])
        for k in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    journal.close()
    read = read_journal(tmp_path / "j")
    assert read.problems == ()
    assert len(read.events) == 201


def test_a_busy_journal_is_told_within_the_deadline(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", run_id="r", lock_deadline_s=0.02)
    with journal._lock, pytest.raises(NotReady, match="busy"):
        journal.append("note_written")
    journal.append("note_written")
    journal.close()


def test_a_closed_journal_refuses(tmp_path: Path) -> None:
    journal = make(tmp_path / "j")
    journal.close()
    journal.close()
    with pytest.raises(IntegrityProblem, match="closed"):
        journal.append("note_written")


@posix
def test_a_full_disk_is_told_and_stays_a_failure(tmp_path: Path) -> None:
    journal = make(tmp_path / "j")
    with (
        file_size_limit(journal.size_bytes + 100),
        pytest.raises(IntegrityProblem, match="cannot be written"),
    ):
        journal.append("note_written", {"long": "x" * 400})
    with pytest.raises(IntegrityProblem, match="takes no more"):
        journal.append("note_written")
    with pytest.raises(IntegrityProblem):
        journal.sync()
    journal.close()
    read = read_journal(tmp_path / "j")
    assert len(read.events) == 4
    assert read.problems == ()
    assert read.torn_tail_bytes == 100


@posix
@pytest.mark.skipif(
    os.geteuid() == 0 if sys.platform != "win32" else False, reason="root may write everywhere"
)
def test_a_read_only_folder_is_told_in_words(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(IntegrityProblem, match="writable"):
            Journal(tmp_path / "j", run_id="r")
    finally:
        tmp_path.chmod(0o700)


def test_a_missing_folder_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(IntegrityProblem, match="cannot make the journal"):
        Journal(tmp_path / "absent" / "j", run_id="r")
    with pytest.raises(IntegrityProblem, match="cannot read the journal"):
        read_journal(tmp_path / "absent" / "j")


def rewritten(path: Path, number: int, **changes: object) -> None:
    lines = path.read_text().splitlines()
    record = json.loads(lines[number]) | changes
    lines[number] = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    path.write_text("\n".join(lines) + "\n")


def test_tampering_is_found(tmp_path: Path) -> None:
    path = tmp_path / "j"
    make(path).close()
    good = path.read_bytes()
    rewritten(path, 2, data={"i": 7})
    assert any("altered" in p for p in read_journal(path).problems)
    path.write_bytes(good)
    lines = good.splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *lines[2:]]))  # one record taken out
    assert any("number 2, expected 1" in p for p in read_journal(path).problems)
    assert any("chain broken" in p for p in read_journal(path).problems)
    path.write_bytes(b"".join([lines[0], lines[2], lines[1], lines[3]]))  # two exchanged
    assert read_journal(path).problems
    path.write_bytes(b"".join(lines[1:]))  # the head cut off
    assert read_journal(path).problems
    path.write_bytes(b"".join([lines[0], b"not json\n", *lines[1:]]))
    assert any("line 2 is not a journal record" in p for p in read_journal(path).problems)
    path.write_bytes(good.replace(b'"i":1', b'"i":NaN'))
    assert read_journal(path).problems
    path.write_bytes(b"")
    assert read_journal(path).problems
    path.write_bytes(good)
    assert read_journal(path).problems == ()


def test_the_next_session_names_the_head_of_the_one_before(tmp_path: Path) -> None:
    clock = SteppedClock(1_700_000_000.0)
    first = SessionFolder.create(tmp_path, "one", clock=clock)
    journal = Journal(first.journal, run_id="one", clock=clock)
    journal.append("note_written")
    journal.close()
    clock.advance(1.0)
    second = SessionFolder.create(tmp_path, "two", clock=clock)
    Journal(second.journal, run_id="two", clock=clock).close()
    header = read_journal(second.journal).header
    assert header["previous_session"] == first.path.name == "20231114-221320_one"
    assert header["previous_head"] == journal.head_hash
    assert read_journal(first.journal).header["previous_head"] is None


def test_a_session_folder_is_never_shared(tmp_path: Path) -> None:
    clock = SteppedClock(1_700_000_000.0)
    SessionFolder.create(tmp_path, "one", clock=clock)
    with pytest.raises(IntegrityProblem):
        SessionFolder.create(tmp_path, "one", clock=clock)
    with pytest.raises(ValidationProblem):
        SessionFolder.create(tmp_path, "../one", clock=clock)
