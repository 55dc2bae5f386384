"""The lock after an emergency: durable, chained, never rewritten, and damage locks everybody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtloop.clock import SteppedClock
from rtloop.errors import IntegrityProblem, UsageProblem
from rtloop.safety.locked import FILE, lock, read_locks, unlock, vouch

CLOCK = SteppedClock(1_700_000_000.0)


def why(folder: Path, participant: str = "P1") -> str:
    return read_locks(folder).why(participant)


def test_nobody_is_locked_without_a_file(tmp_path: Path) -> None:
    assert why(tmp_path) == ""
    assert why(tmp_path / "nowhere") == ""


def test_a_lock_holds_for_its_participant_only_until_a_named_person_lifts_it(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure", session="s1", clock=CLOCK)
    assert "P1 is locked" in why(tmp_path)
    assert "seizure" in why(tmp_path)
    assert "rtloop unlock --person" in why(tmp_path)
    assert why(tmp_path, "P2") == ""
    before = (tmp_path / FILE).read_bytes()
    unlock(tmp_path, "P1", person="Dr A", reason="seen by a neurologist", clock=CLOCK)
    assert why(tmp_path) == ""
    after = (tmp_path / FILE).read_bytes()
    assert after.startswith(before)  # nothing of the history is rewritten
    row = read_locks(tmp_path).history[-1]
    assert (row["person"], row["reason"], row["kind"]) == ("Dr A", "seen by a neurologist", "unlocked")
    lock(tmp_path, "P1", words="again", clock=CLOCK)
    assert "again" in why(tmp_path)


@pytest.mark.parametrize(
    ("person", "reason"), [("", "x"), ("A", ""), ("  ", "x"), ("A", "a\nb"), ("A", "x" * 501)]
)
def test_unlocking_needs_a_name_and_a_reason(tmp_path: Path, person: str, reason: str) -> None:
    lock(tmp_path, "P1", words="syncope")
    with pytest.raises(UsageProblem):
        unlock(tmp_path, "P1", person=person, reason=reason)
    assert why(tmp_path)


def test_who_is_not_locked_is_not_unlocked(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="syncope")
    with pytest.raises(UsageProblem, match="P2 is not locked"):
        unlock(tmp_path, "P2", person="A", reason="b")
    with pytest.raises(UsageProblem):
        lock(tmp_path, " ", words="whom?")


def test_each_single_byte_changed_locks_everybody(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure", clock=CLOCK)
    unlock(tmp_path, "P1", person="A", reason="b", clock=CLOCK)
    path = tmp_path / FILE
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        assert "is damaged" in why(tmp_path, "P9"), at
    path.write_bytes(good)
    assert why(tmp_path, "P9") == ""


def test_a_line_taken_out_or_moved_locks_everybody(tmp_path: Path) -> None:
    for n in ("P1", "P2", "P3"):
        lock(tmp_path, n, words="x", clock=CLOCK)
    path = tmp_path / FILE
    a, b, c = path.read_bytes().splitlines(keepends=True)
    for lines in ([b, c], [a, c], [b, a, c], [a, b, b, c]):
        path.write_bytes(b"".join(lines))
        assert "is damaged" in why(tmp_path, "P9")


def test_a_write_that_was_cut_anywhere_never_unlocks(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure", clock=CLOCK)
    path = tmp_path / FILE
    locked_bytes = path.read_bytes()
    unlock(tmp_path, "P1", person="A", reason="b", clock=CLOCK)
    whole = path.read_bytes()
    for end in range(len(locked_bytes), len(whole)):
        path.write_bytes(whole[:end])
        assert why(tmp_path), end
    for end in range(1, len(locked_bytes)):  # a cut lock is a lock
        path.write_bytes(whole[:end])
        assert why(tmp_path), end


def test_a_person_vouches_for_a_cut_file_and_what_was_whole_stays_locked(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure", clock=CLOCK)
    path = tmp_path / FILE
    with path.open("ab") as f:
        f.write(b'{"kind": "locked", "par')
    assert why(tmp_path, "P9")
    before = path.read_bytes()
    lock(tmp_path, "P2", words="another emergency meanwhile", clock=CLOCK)  # goes on behind the cut line
    vouch(tmp_path, person="Dr A", reason="power cut; P1 and P2 only", clock=CLOCK)
    assert path.read_bytes().startswith(before)
    assert why(tmp_path, "P9") == ""
    assert why(tmp_path, "P1")
    assert why(tmp_path, "P2")
    with pytest.raises(UsageProblem, match="not damaged"):
        vouch(tmp_path, person="Dr A", reason="x")


def test_what_cannot_be_read_locks_and_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert "cannot be read" in why(tmp_path)
    with pytest.raises(IntegrityProblem, match="cannot be written"):
        lock(tmp_path, "P1", words="x")


def test_a_full_disk_is_told_and_leaves_everybody_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    calls: list[int] = []

    def short(fd: int, data: bytes) -> int:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(28, "no space left")
        return write(fd, bytes(data)[:10])

    monkeypatch.setattr("rtloop.durable.os.write", short)
    with pytest.raises(IntegrityProblem, match="no space left"):
        lock(tmp_path, "P1", words="x")
    monkeypatch.undo()
    assert why(tmp_path)


def test_a_process_killed_while_locking_leaves_a_lock_or_nothing_was_promised(tmp_path: Path) -> None:
    """The child says each lock that returned; whatever kills it, those hold."""
    child = (
        "import sys; from rtloop.safety.locked import lock\n"
        "for n in range(100000):\n lock(sys.argv[1], f'P{n}', words='x'); print(n, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", child, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    process.kill()
    promised = 5 + len(process.stdout.read().splitlines())
    process.wait(10)
    process.stdout.close()
    assert all(why(tmp_path, f"P{n}") for n in range(promised))
    lock(tmp_path, "after", words="x")
    assert why(tmp_path, "after")


def test_the_file_is_json_lines_for_people(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure", session="20260101-000000_aa", clock=CLOCK)
    row = json.loads((tmp_path / FILE).read_text())
    assert row["participant"] == "P1"
    assert row["session"] == "20260101-000000_aa"
    assert row["utc"] == CLOCK.utc()
