"""Log and store: the store is the log's index, whatever happens to it; a touched log is told; old stores are brought up."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from study_tools import (
    AS,
    MONDAY,
    OP,
    STAT,
    at,
    enter,
    folder_in_memory,
    go_to,
    listed,
    made_in,
    screened,
    treat,
)

from rtloop.durable import canonical, digest
from rtloop.errors import IntegrityProblem, NotReady, RtloopError
from rtloop.study import log as log_module
from rtloop.study.log import Log
from rtloop.study.records import AdverseEvent, Enrolled, Mapped, Moved, OutcomeTaken, Probed, ThresholdTaken
from rtloop.study.schema import OPEN, SEALED
from rtloop.study.store import Store
from rtloop.study.study import Study, rebuild_in


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A study in which something of every kind has happened."""
    with folder_in_memory() as folder:
        clock = at(MONDAY)
        with made_in(folder / "study", clock) as study:
            study.write(listed(), by=STAT)
            for code in ("P001", "P002"):
                enter(study, code)
            scores = {"M1": (0.1, 0.0, 0.2), "ACC": (0.3, None, None)}
            study.write(
                Mapped(participant="P001", day=MONDAY, session="20261123-090000_ab", accepted=True, decision="M1", scores=scores,
                       n_accepted={"M1": 100}, answers={"low": ("decided", "M1", None, "M1 is lowest")}),
                by=OP,
            )  # fmt: skip
            study.write(
                Probed(participant="P002", day=MONDAY, session="20261123-100000_cd", target="M1",
                       values={"local": (0.1, 0.05, 0.15)}, n_accepted={"M1": 90}),
                by=OP,
            )  # fmt: skip
            study.write(
                ThresholdTaken(participant="P001", day=MONDAY, pct_mso=50, low_pct_mso=48, high_pct_mso=52.5, method="EMG",
                               unit="super-rapid", coil="D70", waveform="biphasic"),
                by=OP,
            )  # fmt: skip
            treat(study, "P001", 1)
            go_to(clock, "2026-11-24")
            treat(study, "P001", 2)
            study.write(Moved(participant="P001", visit=3, to_day="2026-11-26"), by=OP, reason="a cold")
            study.write(
                AdverseEvent(participant="P001", day="2026-11-24", what="headache", severity="mild", serious=(),
                             related="possible", anticipated=True, device_deficiency=False, state="ongoing"),
                by=OP,
            )  # fmt: skip
            first = OutcomeTaken(
                participant="P001", assessment="week 3", day="2026-11-24", scales={"pain": 3, "pgic": 2}
            )
            n = study.write(first, by=AS).n
            study.write(replace(first, scales={"pain": 4, "pgic": 2}, corrects=n), by=AS, reason="misread")
        yield folder / "study"


@pytest.fixture
def copy(lived: Path) -> Iterator[Path]:
    with folder_in_memory() as folder:
        shutil.copytree(lived, folder / "study")
        yield folder / "study"


def opened(folder: Path) -> Study:
    return Study.open(folder, clock=at("2026-11-24"), busy_s=0.2)


def test_the_store_made_again_from_the_log_equals_the_live_one(copy: Path) -> None:
    with opened(copy) as study:
        live = study.dumps()
        study.rebuild()
        assert study.dumps() == live
        assert study.problems() == []
    for path in (copy / "store.sqlite", copy / "sealed" / "store.sqlite"):
        path.write_bytes(b"not a database at all" * 400)
    with pytest.raises(IntegrityProblem, match="rtloop study rebuild makes it again from the log"):
        opened(copy)
    rebuild_in(copy)
    with opened(copy) as study:
        assert study.dumps() == live
    for path in copy.rglob("store.sqlite"):
        path.unlink()  # lost: made again when it is opened
    with opened(copy) as study:
        assert study.dumps() == live


@pytest.mark.parametrize(
    ("sealed", "version", "new_table"),
    [(False, 1, "adverse_event"), (True, 1, "mapping"), (True, 2, "map_answer")],
)
def test_a_store_of_an_older_version_becomes_what_a_new_one_is(
    copy: Path, sealed: bool, version: int, new_table: str
) -> None:
    part = copy / "sealed" if sealed else copy
    steps = SEALED if sealed else OPEN
    assert len(steps) == (3 if sealed else 2)  # a new migration: a new row above
    log = Log(part / "log", sealed=sealed)
    old = Store.open(part / "old.sqlite", log, migrations=steps[:version])
    with contextlib.closing(sqlite3.connect(part / "old.sqlite")) as db:
        tables = {r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    old.close()
    assert new_table not in tables
    brought_up = Store.open(part / "old.sqlite", log)
    new = Store.open(part / "store.sqlite", log)
    try:
        assert brought_up.dump() == new.dump()
        assert brought_up.rows(new_table, ["n"])
    finally:
        brought_up.close()
        new.close()


def test_a_store_of_a_newer_version_or_of_another_program_is_refused(copy: Path) -> None:
    db = sqlite3.connect(copy / "store.sqlite")
    db.execute("PRAGMA user_version=9")
    db.close()
    with pytest.raises(
        IntegrityProblem, match="newer rtloop; expected: version 2 or older; found: version 9"
    ):
        opened(copy)
    db = sqlite3.connect(copy / "store.sqlite")
    db.execute("PRAGMA application_id=7")
    db.close()
    with pytest.raises(IntegrityProblem, match="another program's database"):
        opened(copy)


def test_every_table_only_grows_and_is_strict(copy: Path) -> None:
    for path in (copy / "store.sqlite", copy / "sealed" / "store.sqlite"):
        db = sqlite3.connect(path)
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall():
            if db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]:
                for verb in (f"UPDATE {name} SET n = n + 1", f"DELETE FROM {name}"):
                    with pytest.raises(sqlite3.IntegrityError, match="the store only grows"):
                        db.execute(verb)
            (sql,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
            assert sql.endswith("STRICT"), name
        db.close()


def test_nobody_else_may_read_the_files(copy: Path) -> None:
    with folder_in_memory() as folder, made_in(folder / "study", at(MONDAY)):
        for path in (folder / "study").rglob("*"):
            want = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == want, path


def test_a_store_that_another_program_keeps_busy_is_told_in_time(copy: Path) -> None:
    with opened(copy) as study:
        db = sqlite3.connect(copy / "store.sqlite", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotReady, match="is busy"):
            study.follow()
        db.execute("ROLLBACK")
        db.close()
        study.follow()


def line(folder: Path, n: int) -> Path:
    return folder / "log" / f"{n:08d}.jsonl"


def altered(folder: Path, n: int, **changed: object) -> None:
    """A line that was altered by somebody who knows how its own hash is made."""
    fields = json.loads(line(folder, n).read_bytes()) | changed
    fields["hash"] = digest(fields, but="hash")
    line(folder, n).write_bytes(canonical(fields) + b"\n")


def test_a_line_that_was_altered_is_told(copy: Path) -> None:
    altered(copy, 3, by="Somebody")
    with opened(copy) as study:
        (chain, other) = study.problems()
        assert chain.startswith("line 4 does not follow the line before it: chain broken")
        assert other.endswith("rtloop study rebuild")
    with pytest.raises(IntegrityProblem, match="chain broken"):
        rebuild_in(copy)


def test_a_line_whose_content_was_altered_or_torn_is_told(copy: Path) -> None:
    whole = line(copy, 3).read_bytes()
    line(copy, 3).write_bytes(whole.replace(b"assessor", b"operator"))
    assert (
        Log(copy / "log", sealed=False)
        .read()
        .problems[0]
        .startswith("line 3 was altered: its hash does not fit")
    )
    line(copy, 3).write_bytes(whole[:40])
    assert Log(copy / "log", sealed=False).read().problems[0].startswith("line 3 is no line of a study's log")


def test_a_missing_line_and_a_cut_tail_are_told(copy: Path) -> None:
    last = max(Log(copy / "log", sealed=False).numbers())
    line(copy, last).unlink()
    with pytest.raises(IntegrityProblem, match=f"no longer holds line {last} as it was"):
        opened(copy)
    line(copy, 2).unlink()
    assert (
        f"line 2 is missing in {copy / 'log'}, but there are"
        in Log(copy / "log", sealed=False).read().problems[0]
    )


def test_a_sealed_line_in_the_open_log_and_another_form_are_refused(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(IntegrityProblem, match="which does not belong here"):
        Store.open(copy / "x.sqlite", Log(copy / "sealed" / "log", sealed=False))
    monkeypatch.setattr(log_module, "LOG_SCHEMA", 2)
    assert "is of the form 1; expected: form 2" in Log(copy / "log", sealed=False).read().problems[0]


def test_two_who_write_at_once_lose_nothing_and_repeat_nothing(copy: Path) -> None:
    with opened(copy) as one, opened(copy) as two:
        for k, (study, scale) in enumerate([(one, "a"), (two, "b"), (two, "c"), (one, "d"), (two, "e")]):
            entry = study.write(
                OutcomeTaken(participant="P002", assessment="week 3", day=MONDAY, scales={scale: k}), by=AS
            )
            assert entry.record.scales == {scale: k}  # type: ignore[union-attr]
        one.follow()
        two.follow()
        assert one.state.head == two.state.head
        assert one.state.participants["P002"].values["week 3"] == dict(zip("abcde", range(5), strict=True))
        with pytest.raises(RtloopError, match="was taken at week 3 already"):
            one.write(
                OutcomeTaken(participant="P002", assessment="week 3", day=MONDAY, scales={"e": 9}), by=AS
            )
        assert one.problems() == []


def test_a_writer_that_was_overtaken_takes_the_next_number(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the state and the write another computer writes: the rules are asked again."""
    with opened(copy) as one, opened(copy) as two:
        take = one._log.take
        fast = [OutcomeTaken(participant="P002", assessment="week 3", day=MONDAY, scales={"pain": 5})]

        def overtaken(*args: object, **named: object) -> bool:
            if fast:
                two.write(fast.pop(), by=AS)
            return take(*args, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(one._log, "take", overtaken)
        with pytest.raises(RtloopError, match="pain was taken at week 3 already"):
            one.write(
                OutcomeTaken(participant="P002", assessment="week 3", day=MONDAY, scales={"pain": 1}), by=AS
            )
        fast.append(OutcomeTaken(participant="P002", assessment="week 3", day=MONDAY, scales={"sleep": 5}))
        n = one.write(
            OutcomeTaken(participant="P002", assessment="week 3", day=MONDAY, scales={"mood": 1}), by=AS
        ).n
        assert n == two.state.n
        assert one.problems() == []


def test_two_computers_that_allocate_at_once_take_two_places(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(copy) as one, opened(copy) as two:
        for code in ("P003", "P004"):
            one.write(Enrolled(participant=code, day=MONDAY, stratum=""), by=OP)
            one.write(screened(code, MONDAY), by=OP)
        take, slower = one._hidden_log.take, ["P004"]

        def overtaken(*args: object, **named: object) -> bool:
            while slower:
                two.allocate(slower.pop(), by=OP)
            return take(*args, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(one._hidden_log, "take", overtaken)
        one.allocate("P003", by=OP)
        first, second = one.arm_of("P004"), one.arm_of("P003")
        assert first is not None
        assert second is not None
        assert second.position == first.position + 1
        assert one.problems() == []
        with pytest.raises(RtloopError, match="P003 is allocated already"):
            one.allocate("P003", by=OP)


def test_a_sealed_record_that_the_open_log_does_not_know_is_told_of_later(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crash between the two writes."""
    record = Probed(
        participant="P001", day=MONDAY, session="20261123-110000_ef", target="M1", values={}, n_accepted={}
    )
    with opened(copy) as study:
        monkeypatch.setattr(study, "_announce", lambda: None)
        study.write(record, by=OP)
    with opened(copy) as study:
        assert study.problems() == ["sealed lines not told of: 5"]
        study._announce()
        assert study.problems() == []
        assert "probed" in study.state.participants["P001"].kept


def test_without_rights_on_the_sealed_folder_the_rest_works(copy: Path) -> None:
    shutil.move(
        copy / "sealed", copy.parent / "elsewhere"
    )  # what an account without the right finds (root has every right)
    os.mkdir(copy / "sealed", 0o700)
    with opened(copy) as study:
        study.write(
            OutcomeTaken(participant="P002", assessment="week 3", day=MONDAY, scales={"pain": 2}), by=AS
        )
        with pytest.raises(NotReady, match="sealed part of this study cannot be used here"):
            study.allocate("P002", by=OP)
        assert study.read(by=STAT, what="look")[1] == {}
        assert study.dumps()[1] == ""


def test_no_study_and_no_second_study(copy: Path) -> None:
    with pytest.raises(NotReady, match="there is no study in"):
        opened(copy / "log")
    with pytest.raises(RtloopError, match="a study that is there is opened, never made again"):
        made_in(copy, at(MONDAY))
