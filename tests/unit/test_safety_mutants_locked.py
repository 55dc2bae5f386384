"""What mutants of the lock showed to be untested: its witnesses, its words, and each thing a line of its file may be."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from rtloop.clock import SteppedClock
from rtloop.durable import canonical, digest
from rtloop.errors import IntegrityProblem, UsageProblem
from rtloop.safety.locked import COPY, FILE, Locks, Watch, cited, lock, read_locks, unlock, vouch

CLOCK = SteppedClock(1_700_000_000.0)


def why(folder: Path, participant: str = "P1") -> str:
    return read_locks(folder).why(participant)


def locked_and_freed(folder: Path) -> Path:
    """P1 was locked and unlocked, P2 is locked; the file."""
    lock(folder, "P1", words="seizure", session="S1", clock=CLOCK)
    unlock(folder, "P1", person="Dr A", reason="examined", clock=CLOCK)
    lock(folder, "P2", words="syncope", clock=CLOCK)
    return folder / FILE


# -- the copy beside the file ------------------------------------------------------------------------------------------


@pytest.mark.req("R-LOCK")
@pytest.mark.parametrize("left", [None, 0, 1, 2])
def test_a_file_that_was_deleted_or_cut_at_a_line_locks_everybody_and_both_places_are_named(
    tmp_path: Path, left: int | None
) -> None:
    path = locked_and_freed(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    if left is None:
        path.unlink()
    else:
        path.write_bytes(b"".join(lines[:left]))
    for participant in ("P1", "P2", "P9"):
        said = why(tmp_path, participant)
        assert f"{path} was cut or deleted: it lacks {3 - (left or 0)} of the records" in said
        assert f"its copy {COPY}" in said
        assert f"rtloop unlock --person NAME --reason WORDS --damaged --data-dir {tmp_path}" in said
        assert "--participant" not in said


@pytest.mark.req("R-LOCK")
@pytest.mark.parametrize("left", [0, 1, 2])
def test_after_a_cut_a_person_vouches_and_whom_the_lost_records_lock_is_locked_again(
    tmp_path: Path, left: int
) -> None:
    path = locked_and_freed(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    with pytest.raises(UsageProblem) as no:
        unlock(tmp_path, "P2", person="Dr A", reason="b")
    assert "--damaged" in no.value.todo
    assert "cut or deleted" in no.value.found
    row = vouch(tmp_path, person="Dr B", reason="restored by hand", clock=CLOCK)
    assert len(row["lost"].split()) == 3 - left
    assert all(len(ref) == 12 for ref in row["lost"].split())
    locks = read_locks(tmp_path)
    assert locks.damage == ""
    assert locks.lost == ()
    assert sorted(locks.locked) == (["P1", "P2"] if left == 1 else ["P2"])  # its unlocking is what was lost
    assert f"(as its copy {COPY} tells: syncope)" in why(tmp_path, "P2")
    assert why(tmp_path, "P9") == ""
    unlock(tmp_path, "P2", person="Dr A", reason="examined")
    assert why(tmp_path, "P2") == ""


def test_the_session_of_a_lost_lock_is_kept_when_it_is_locked_again(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure", session="S1", clock=CLOCK)
    (tmp_path / FILE).unlink()
    vouch(tmp_path, person="Dr B", reason="file was deleted", clock=CLOCK)
    row = read_locks(tmp_path).locked["P1"]
    assert row["session"] == "S1"
    assert row["utc"] == CLOCK.utc()


@pytest.mark.req("R-LOCK")
def test_each_single_byte_changed_in_the_copy_locks_everybody_until_vouched(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure", clock=CLOCK)
    copy = tmp_path / COPY
    good = copy.read_bytes()
    assert good == (tmp_path / FILE).read_bytes()
    for at in range(len(good) - 1):
        copy.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        assert "cut or deleted" in why(tmp_path, "P9"), at
    vouch(tmp_path, person="Dr A", reason="seen: the copy was edited", clock=CLOCK)
    assert why(tmp_path, "P9") == ""
    assert "P1 is locked" in why(tmp_path)


def test_a_copy_cut_by_a_crash_is_vouched_for_once_and_written_on(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure", clock=CLOCK)
    copy = tmp_path / COPY
    copy.write_bytes(copy.read_bytes()[:40])
    assert "lacks 1 of the records" in why(tmp_path, "P9")
    vouch(tmp_path, person="Dr A", reason="power cut", clock=CLOCK)
    lock(tmp_path, "P3", words="x", clock=CLOCK)
    assert why(tmp_path, "P9") == ""
    copied = copy.read_bytes().splitlines(keepends=True)
    assert len(copied[0]) == 41  # what was cut stays, on a line of its own
    assert copied[1:] == (tmp_path / FILE).read_bytes().splitlines(keepends=True)


def test_a_copy_that_was_deleted_is_made_anew_by_the_next_record(tmp_path: Path) -> None:
    path = locked_and_freed(tmp_path)
    (tmp_path / COPY).unlink()
    assert why(tmp_path, "P9") == ""  # the file itself is whole, and says who is locked
    assert why(tmp_path, "P2")
    lock(tmp_path, "P3", words="x", clock=CLOCK)
    assert (tmp_path / COPY).read_bytes() == path.read_bytes()


def test_a_damaged_line_of_the_file_is_not_copied(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure", clock=CLOCK)
    with (tmp_path / FILE).open("ab") as f:
        f.write(b"torn")
    vouch(tmp_path, person="Dr A", reason="power cut", clock=CLOCK)
    assert b"torn" in (tmp_path / FILE).read_bytes()
    assert b"torn" not in (tmp_path / COPY).read_bytes()
    assert (tmp_path / COPY).read_bytes().count(b"\n") == 2
    assert why(tmp_path, "P9") == ""


def test_the_copy_is_read_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process writes between the two readings is then in the file, and lost nowhere."""
    lock(tmp_path, "P1", words="seizure", clock=CLOCK)
    read, order = Path.read_bytes, []

    def noted(path: Path) -> bytes:
        order.append(path.name)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    read_locks(tmp_path)
    assert order == [COPY, FILE]


@pytest.mark.parametrize("name", [FILE, COPY])
def test_what_cannot_be_read_locks_everybody_and_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    locks = read_locks(tmp_path)
    assert locks.damage.startswith(f"{tmp_path / FILE} or its copy {COPY} cannot be read (")
    assert "nobody in this data folder may be stimulated until a person looked at it" in locks.why("P9")
    assert locks.folder == tmp_path
    assert locks.locked == {}


# -- witnesses from elsewhere ------------------------------------------------------------------------------------------


def told(where: str, participant: str, record: str, words: str = "seizure", **more: str) -> dict[str, Any]:
    return {"kind": "locked", "sha256": record, "participant": participant, "words": words, "where": where, **more}  # fmt: skip


@pytest.mark.req("R-LOCK")
def test_a_lock_that_only_a_journal_tells_of_locks_everybody_and_is_locked_again(tmp_path: Path) -> None:
    here = [told("S1/journal.jsonl", "P1", "a" * 12, session="S1"), told("S2/journal.jsonl", "P1", "b" * 12)]
    locks = read_locks(tmp_path, here)
    assert "lacks 2 of the records that S1/journal.jsonl, S2/journal.jsonl tells of" in locks.why("P9")
    assert [row["sha256"] for row in locks.lost] == ["a" * 12, "b" * 12]
    with pytest.raises(UsageProblem):  # without the witness nothing is damaged
        vouch(tmp_path, person="A", reason="b")
    vouch(tmp_path, person="Dr A", reason="the file was deleted", witnesses=here, clock=CLOCK)
    locks = read_locks(tmp_path, here)
    assert locks.damage == ""
    assert "as S2/journal.jsonl tells: seizure" in locks.why("P1")
    unlock(tmp_path, "P1", person="Dr A", reason="examined")
    assert read_locks(tmp_path, here).why("P1") == ""
    more = [*here, told("S3/journal.jsonl", "P1", "c" * 12)]
    assert "lacks 1 of the records that S3/journal.jsonl tells of" in read_locks(tmp_path, more).why("P1")


def test_a_journal_that_cites_a_record_of_the_file_changes_nothing(tmp_path: Path) -> None:
    row = lock(tmp_path, "P1", words="seizure [lock 0123456789ab]", session="S1", clock=CLOCK)
    record = cited(why(tmp_path))
    assert record == row["sha256"][:12]  # the record's, not what somebody wrote
    assert read_locks(tmp_path, [told("S1/journal.jsonl", "P1", record)]).damage == ""
    unlock(tmp_path, "P1", person="A", reason="b")
    assert read_locks(tmp_path, [told("S1/journal.jsonl", "P1", record)]).why("P1") == ""
    assert cited("line 3 of locks.jsonl is damaged") == ""


def test_a_witness_told_twice_counts_once(tmp_path: Path) -> None:
    lock(tmp_path, "P1", words="seizure", clock=CLOCK)
    record = cited(why(tmp_path))
    (tmp_path / FILE).unlink()
    locks = read_locks(tmp_path, [told("S1/journal.jsonl", "P1", record)])
    assert len(locks.lost) == 1
    assert "S1/journal.jsonl" in locks.damage


# -- the watch of a running session ------------------------------------------------------------------------------------


@pytest.mark.req("R-LOCK")
@pytest.mark.parametrize("deed", ["cut", "deleted", "replaced"])
def test_a_running_session_remembers_what_it_saw_in_the_file(tmp_path: Path, deed: str) -> None:
    path = locked_and_freed(tmp_path)
    watch = Watch(tmp_path, "P1")
    assert watch.why() == ""
    (tmp_path / COPY).unlink()
    if deed == "cut":
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    else:
        path.unlink()
    if deed == "replaced":
        lock(tmp_path, "P7", words="another file", clock=CLOCK)
    for _ in range(3):
        assert "cut or deleted" in watch.why()
        assert "that this session tells of" in watch.why()
    assert "(as" not in watch.why()


def test_the_watch_sees_each_change_and_reads_an_unchanged_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = Path.read_bytes

    def counted(path: Path) -> bytes:
        reads.append(path.name)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    watch = Watch(tmp_path, "P1")
    assert watch.why() == ""
    lock(tmp_path, "P1", words="seizure", clock=CLOCK)
    assert "P1 is locked" in watch.why()
    before = len(reads)
    assert "P1 is locked" in watch.why()
    assert len(reads) == before
    unlock(tmp_path, "P1", person="A", reason="b", clock=CLOCK)
    assert watch.why() == ""
    other = (tmp_path / FILE).read_bytes()
    at = (tmp_path / FILE).stat()
    (tmp_path / "new").write_bytes(other[:-2] + b"x\n")  # of the same size and time, but another file
    os.utime(tmp_path / "new", ns=(at.st_atime_ns, at.st_mtime_ns))
    (tmp_path / "new").replace(tmp_path / FILE)
    assert "is damaged" in watch.why()
    (tmp_path / FILE).write_bytes(other)
    assert watch.why() == ""
    now = (tmp_path / FILE).stat().st_mtime_ns
    with (tmp_path / FILE).open("ab") as f:
        f.write(b"x")
    os.utime(tmp_path / FILE, ns=(now, now))  # the same time, another size
    assert "is damaged" in watch.why()


# -- what a line may be ------------------------------------------------------------------------------------------------


def record(on: bytes = b"", **fields: Any) -> bytes:
    """A line that stands on the bytes ``on``, its hash right whatever else is wrong with it; ``...`` leaves a field out."""
    row = {"kind": "locked", "utc": "2026-01-01T00:00:00", "participant": "P1", "session": "", "words": "x",
           "before": hashlib.sha256(on).hexdigest()}  # fmt: skip
    row = {k: v for k, v in (row | fields).items() if v is not ...}
    return canonical(row | {"sha256": digest(row, but="sha256")}) + b"\n"


FIRST = record(participant="P8")
WRONG: list[dict[str, Any]] = [
    {"kind": "freed"}, {"kind": ...}, {"kind": ["locked"]}, {"kind": None}, {"utc": 3}, {"utc": ...}, {"participant": ...},
    {"participant": None}, {"words": ...}, {"words": 1}, {"session": ...}, {"kind": "unlocked"}, {"before": "0" * 64},
    {"kind": "unlocked", "person": "A"}, {"kind": "unlocked", "reason": "b"}, {"before": ...}, {"before": None},
    {"kind": "unlocked", "person": "A", "reason": "b", "participant": ...}, {"kind": "vouched", "person": "A", "reason": "b"},
    {"kind": "vouched", "person": "A", "lost": ""}, {"kind": "vouched", "reason": "b", "lost": ""},
    {"kind": "vouched", "person": "A", "reason": "b", "lost": ["a"]},
]  # fmt: skip
LINES = [*(record(FIRST, **fields) for fields in WRONG), record(), record(FIRST)[:-1], record(FIRST).replace(b'"x"', b'"y"'),
         b"[]\n", b"3\n", b'"locked"\n', b"null\n", b"\n", b"\xff\n", b"[" * 100_000 + b"\n",
         record(FIRST).replace(b'"x"', b"NaN"), b'{"kind":"locked"}\n']  # fmt: skip


def test_a_line_made_by_hand_is_taken_where_all_of_it_is_right(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(FIRST + record(FIRST))
    assert read_locks(tmp_path).damage == ""
    assert sorted(read_locks(tmp_path).locked) == ["P1", "P8"]


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_line_that_is_wrong_in_one_thing_is_damage_with_its_number(tmp_path: Path, line: bytes) -> None:
    (tmp_path / FILE).write_bytes(FIRST + line)
    locks = read_locks(tmp_path)
    assert locks.damage == f"line 2 of {tmp_path / FILE} is damaged"
    assert sorted(locks.locked) == ["P8"]
    assert len(locks.history) == 1


def test_a_line_that_stands_there_twice_is_damage(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(FIRST * 2)
    assert read_locks(tmp_path).damage == f"line 2 of {tmp_path / FILE} is damaged"


# -- words -------------------------------------------------------------------------------------------------------------


def test_the_words_say_who_since_when_by_what_and_exactly_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "my data"
    row = lock(folder, "P 1", words="seizure", session="S1", clock=CLOCK)
    ref = row["sha256"][:12]
    assert why(folder, "P 1") == (
        f"P 1 is locked since {CLOCK.utc()} after an emergency in session S1 (seizure) [lock {ref}]; a named person unlocks: "
        f"rtloop unlock --person NAME --reason WORDS --participant 'P 1' --data-dir '{folder}'"
    )
    lock(folder, "P2", words="syncope", clock=CLOCK)
    assert "after an emergency (syncope) [lock " in why(folder, "P2")
    (folder / FILE).write_bytes(b"x")
    assert read_locks(folder).todo("P2") == (
        f"a named person looks and vouches: rtloop unlock --person NAME --reason WORDS --damaged --data-dir '{folder}'"
    )


def test_nobody_is_locked_says_so_and_who_is_locked_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem) as no:
        unlock(tmp_path, "P1", person="A", reason="b")
    assert (no.value.expected, no.value.found) == ("nobody is locked", "P1")
    assert no.value.what == f"P1 is not locked in {tmp_path}"
    assert no.value.todo == "name the participant and the data folder that are locked"
    lock(tmp_path, "P3", words="x")
    lock(tmp_path, "P2", words="x")
    with pytest.raises(UsageProblem) as no:
        unlock(tmp_path, "P1", person="A", reason="b")
    assert no.value.expected == "P2, P3"
    with pytest.raises(UsageProblem) as no:
        vouch(tmp_path, person="A", reason="b")
    assert no.value.what == f"the locks of {tmp_path} are not damaged"
    assert no.value.todo == "unlock the participant that is locked"


@pytest.mark.parametrize("text", ["", " ", "\t", "a\nb", "a\x00", "a\udcff", "x" * 501])
def test_what_is_no_line_of_words_is_refused_by_name(tmp_path: Path, text: str) -> None:
    lock(tmp_path, "P1", words="x", clock=CLOCK)
    size = (tmp_path / FILE).stat().st_size
    with pytest.raises(UsageProblem) as no:
        unlock(tmp_path, "P1", person=text, reason=text)
    assert no.value.what == "person, reason cannot be used"
    assert no.value.expected == "one line of words, at most 500 characters"
    assert no.value.found == f"{text[:60]!a}, {text[:60]!a}"
    assert no.value.todo == "say who and why"
    with pytest.raises(UsageProblem, match="participant cannot be used"):
        lock(tmp_path, text, words="x")
    with pytest.raises(UsageProblem, match="participant cannot be used"):
        unlock(tmp_path, text, person="A", reason="b")
    with pytest.raises(UsageProblem, match="person, reason cannot be used"):
        vouch(tmp_path, person=text, reason=text)
    assert (tmp_path / FILE).stat().st_size == size


def test_words_of_500_characters_and_of_any_alphabet_are_taken(tmp_path: Path) -> None:
    lock(tmp_path, "Ö" * 500, words="Ä" * 500, clock=CLOCK)
    assert read_locks(tmp_path).locked["Ö" * 500]["words"] == "Ä" * 500
    unlock(tmp_path, "Ö" * 500, person="Å" * 500, reason="é" * 500)
    assert read_locks(tmp_path).locked == {}


def test_no_words_of_an_emergency_keep_it_from_being_locked(tmp_path: Path) -> None:
    """Whatever came from a keyboard: too long, of several lines, no Unicode at all, or nothing."""
    for n, words in enumerate(["y" * 501, "two\nlines", "a\udcffb", ""]):
        row = lock(tmp_path, f"P{n}", words=words, clock=CLOCK)
        assert row["words"] == ("y" * 500 if n == 0 else words.replace("\udcff", "?"))
    assert sorted(read_locks(tmp_path).locked) == ["P0", "P1", "P2", "P3"]
    assert read_locks(tmp_path).damage == ""


# -- the disk ----------------------------------------------------------------------------------------------------------


def test_a_disk_that_refuses_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(IntegrityProblem) as no:
        lock(tmp_path, "P1", words="x")
    assert no.value.what == f"the lock cannot be written into {tmp_path / FILE}"
    assert no.value.expected == "a writable data folder"
    assert "Is a directory" in no.value.found
    assert no.value.todo.startswith("do not stimulate this participant")


def test_each_file_is_synced_before_the_next_is_begun_and_their_names_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noted(name: str) -> Any:
        real = getattr(os, name)

        def call(fd: int, *args: Any) -> Any:
            done.append(f"{name} {Path(os.readlink(f'/proc/self/fd/{fd}')).name}")
            return real(fd, *args)

        return call

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to tell which file was synced")
    for name in ("write", "fdatasync", "fsync"):
        monkeypatch.setattr(os, name, noted(name))
    lock(tmp_path, "P1", words="x")
    files = [f"{what} {name}" for name in (FILE, COPY) for what in ("write", "fdatasync")]
    assert done == [*files, f"fsync {tmp_path.name}"]


@pytest.mark.skipif(os.name != "posix", reason="rights of files are POSIX's")
def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    lock(tmp_path / "not" / "there yet", "P1", words="x")
    for name in (FILE, COPY):
        assert stat.S_IMODE((tmp_path / "not" / "there yet" / name).stat().st_mode) == 0o600


def test_locks_are_values(tmp_path: Path) -> None:
    assert read_locks(tmp_path) == Locks(folder=tmp_path, locked={})
    lock(tmp_path, "P1", words="x", clock=CLOCK)
    lock(tmp_path, "P1", words="again", clock=CLOCK)
    assert [row["words"] for row in read_locks(tmp_path).history] == ["x", "again"]
