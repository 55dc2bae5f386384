"""Following a journal that is being written: every record once, in order, and nothing that was not written so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtloop.clock import WALL, SteppedClock
from rtloop.errors import IntegrityProblem
from rtloop.link.tail import JournalTail
from rtloop.record.journal import Journal, read_journal


def journal(path: Path, n: int = 0) -> Journal:
    j = Journal(path, run_id="r1", clock=SteppedClock())
    for i in range(n):
        j.append("note_written", {"words": f'µ {i} ,"hash":"nasty"', "x": [1.5, None]})
    return j


def test_records_come_once_and_as_the_journal_has_them(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    tail = JournalTail(path)
    assert tail.take() == []  # not there yet
    j = journal(path, 3)
    first = tail.take()
    assert [e.n for e in first] == [0, 1, 2, 3]
    assert tail.take() == []
    j.append("power_set", {"power_pct_mso": 45})
    assert [e.kind for e in tail.take()] == ["power_set"]
    j.close()
    tail.close()
    whole = JournalTail(path)
    assert tuple(whole.take()) == read_journal(path).events
    whole.close()


def test_a_line_that_is_half_written_waits(tmp_path: Path) -> None:
    journal(tmp_path / "whole", 5).close()
    raw = (tmp_path / "whole").read_bytes()
    path, tail, got = tmp_path / "growing", JournalTail(tmp_path / "growing"), []
    with path.open("wb", buffering=0) as file:
        for i in range(0, len(raw), 97):
            file.write(raw[i : i + 97])
            new = tail.take()
            assert len(got) + len(new) == raw[: i + 97].count(b"\n")
            got += new
    tail.close()
    assert tuple(got) == read_journal(tmp_path / "whole").events


def spoil_hash(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[3].replace(b"1.5", b"9.5"), *lines[4:]]


def drop(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], *lines[4:]]


def garble(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], b"not a record", *lines[4:]]


def swap_chain(lines: list[bytes]) -> list[bytes]:
    record = json.loads(lines[3])
    return [*lines[:3], lines[3].replace(record["prev"].encode(), b"0" * 64), *lines[4:]]


@pytest.mark.parametrize(
    ("spoil", "words"), [(spoil_hash, "altered"), (drop, "gap"), (garble, "no record"), (swap_chain, "gap")]
)
def test_a_spoilt_record_is_told_after_what_is_sound(tmp_path: Path, spoil, words: str) -> None:  # type: ignore[no-untyped-def]
    journal(tmp_path / "whole", 5).close()
    lines = (tmp_path / "whole").read_bytes().split(b"\n")
    (tmp_path / "j").write_bytes(b"\n".join(spoil(lines)))
    tail = JournalTail(tmp_path / "j")
    assert [e.n for e in tail.take()] == [0, 1, 2]
    for _ in range(2):
        with pytest.raises(IntegrityProblem, match=words):
            tail.take()
    tail.close()


def test_a_journal_that_shrinks_is_told(tmp_path: Path) -> None:
    journal(tmp_path / "j", 5).close()
    tail = JournalTail(tmp_path / "j")
    assert len(tail.take()) == 6
    with (tmp_path / "j").open("r+b") as file:
        file.truncate(200)
    with pytest.raises(IntegrityProblem, match="cut"):
        tail.take()
    tail.close()


def test_six_thousand_records_are_read_at_once(tmp_path: Path) -> None:
    journal(tmp_path / "j", 6000).close()
    tail = JournalTail(tmp_path / "j")
    start_s = WALL.now_s()
    assert len(tail.take()) == 6001
    print(f"{WALL.now_s() - start_s:.3f} s")
    tail.close()
