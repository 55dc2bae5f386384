"""``rtloop study``: a study from its making to its export by commands; words and exit codes of what is refused."""

from __future__ import annotations

import csv
import json
import os
import threading
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import typer.main
from study_tools import begun, folder_in_memory

from rtloop.app.cli import main
from rtloop.study.lease import take
from rtloop.study.study import Study


class Told:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Told]
#: building all commands takes a fifth of a second: once is enough for all tests here
ONCE = cache(typer.main.get_command)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    with folder_in_memory() as folder:
        monkeypatch.setattr("typer.main.get_command", ONCE)
        monkeypatch.setenv("RTLOOP_STUDY", str(folder / "study"))

        def command(*arguments: str, by: str = "Ann", code: int = 0) -> Told:
            given = ["study", *arguments, *(["--by", by] if by else [])]
            ended = 0
            try:
                main(given)
            except SystemExit as end:
                ended = int(end.code or 0)
            out, err = capsys.readouterr()
            assert "Traceback" not in err
            assert ended == code, err
            return Told(ended, out, err)

        yield command


def begin(run: Run) -> None:
    run("init", "--name", "trial", "--operator", "Ola", "--assessor", "Ada", "--simulated")
    run("allocate", "--blocks", "9", "--seed", "abc")
    run("enrol", "P001", by="Ola")
    run("screen", "P001", "--form", "before", "--form-version", "1", "--eligible", by="Ola")
    run("allocate", "P001", by="Ola")
    run("allocate", "P001", "--target", "M1", "--reason", "no map in this test")


def test_from_making_to_export(run: Run, tmp_path: Path) -> None:
    def lines(name: str) -> list[str]:
        return (tmp_path / "out" / name).read_text("utf-8").splitlines()

    begin(run)
    told = run("next", "P001", by="Ola", code=3)
    assert (
        "  not today:\n    - the assessment baseline was not taken: after the first treatment there is no baseline"
        in told.out
    )
    kept = run("outcome", "P001", "baseline", "--pain", "7", "--scale", "sleep=3.5", "--json", by="Ada").data
    assert kept["outcomes"] == {"baseline": {"pain": 7.0, "sleep": 3.5}}
    early = run("outcome", "P001", "week 8", "--pain", "4", "--day", "2020-01-01", "--json", by="Ada").data[
        "n"
    ]
    fixed = run(
        "outcome", "P001", "week 8", "--pain", "3", "--corrects", str(early), "--reason", "misread", by="Ada"
    )
    assert "assessment week 8: taken on 2020-01-01" in run("next", "P001", by="Ada").out, (
        fixed.out
    )  # the day stays
    assert run("next", "P001", by="Ola").out.endswith("  target: M1\n  today: it may be given\n")
    run("move", "P001", "1", "2999-01-01", "--reason", "ill", by="Ola", code=3)
    run("event", "P001", "headache", "--severity", "mild", "--related", "possible", "--anticipated", by="Ola")
    run(
        "threshold",
        "P001",
        "55",
        "--unit",
        "super-rapid",
        "--coil",
        "D70",
        "--waveform",
        "biphasic",
        by="Ola",
    )
    run("deviation", "P001", "came late", "--reason", "traffic", by="Ola")
    status = run("status", "--json").data
    assert status["participants"][0]["arm"] in ("low", "high", "classic")
    assert "arm" not in run("status", "--json", by="Ola").data["participants"][0]
    text = run("status", by="Ada").out
    assert "P001 · treatment 1 is next, due on " in text
    assert "0 treatments given · pain 7 to 3 (-57 %), responder · 0 serious of 1 adverse events" in text
    audit = run("audit")
    assert "Ola (operator): deviation P001; reason: traffic" in audit.out
    assert "Ann (unblinded): target chosen P001; reason: no map in this test" in audit.out
    assert audit.out.endswith("the study's record is whole\n")
    assert run("audit", "--json", by="Ola").data["problems"] == []
    told = run("export", str(tmp_path / "out"), "--json")
    rows = list(csv.DictReader(lines("outcome.csv")))
    stands = [r for r in rows if r["n"] not in {other["corrects"] for other in rows}]
    assert [(r["assessment"], r["day"], r["scale"], r["value"]) for r in stands] == [
        ("baseline", kept["assessments"][0]["taken"], "pain", "7.0"),
        ("baseline", kept["assessments"][0]["taken"], "sleep", "3.5"),
        ("week 8", "2020-01-01", "pain", "3.0"),
    ]
    assert "no longer counts" in " ".join(lines("README.txt"))
    described = {(r["table"], r["column"]) for r in csv.DictReader(lines("dictionary.csv"))}
    for name in told.data["files"]:
        if name.endswith(".csv") and name != "dictionary.csv":
            columns = next(csv.reader(lines(name)))
            assert {(name[:-4], c) for c in columns} <= described, name
    run("export", str(tmp_path / "out"), code=3)
    assert run("rebuild", "--json", by="").data["entries"] > 10
    run("stop-course", "P001", "--reason", "wish", by="Ola")
    assert "the course was stopped on" in run("next", "P001", by="Ola", code=3).out


def test_what_is_refused_is_told_with_its_code(run: Run, tmp_path: Path) -> None:
    assert "there is no study in" in run("status", code=4).err
    assert "somebody has two roles" in run("init", "--name", "x", "--operator", "Ann", code=2).err
    begin(run)
    assert "a study that is there is opened, never made again" in run("init", "--name", "x", code=3).err
    assert "what to allocate is not clear" in run("allocate", code=2).err
    assert "P009 is not enrolled" in run("next", "P009", code=2).err
    assert "'Eve' is not a person of this study" in run("next", by="Eve", code=3).err
    assert (
        "--scale is not clear" in run("outcome", "P001", "baseline", "--scale", "sleep", by="Ada", code=2).err
    )
    assert (
        "the role operator does not write outcome taken"
        in run("outcome", "P001", "baseline", "--pain", "3", by="Ola", code=3).err
    )
    told = run("missed", "P001", "1", "--reason", "ill", "--json", by="Ola", code=3)
    assert told.data["found"] == "treatment 1 fixes the days of the course: move it, or stop the course"
    (tmp_path / "list.csv").write_text("arm\nbest\n")
    assert "line 2: arm 'best'" in run("allocate", "--list", str(tmp_path / "list.csv"), code=3).err
    assert "cannot be read" in run("allocate", "--list", str(tmp_path / "none.csv"), code=2).err
    run("person", "Bo", "operator")
    assert "is in the study already, as operator" in run("person", "Bo", "assessor", code=3).err
    assert run("gather", "--data-dir", str(tmp_path), by="Ola").out == "nothing new\n"


def test_a_damaged_log_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    begin(run)
    line = Path(os.environ["RTLOOP_STUDY"]) / "log" / "00000002.jsonl"
    line.write_bytes(line.read_bytes().replace(b"Ola", b"Olb"))
    told = run("audit", code=7)
    assert "PROBLEM: line 2 was altered" in told.out
    assert told.out.endswith("the study's record is NOT whole\n")
    assert "was altered" in run("rebuild", by="", code=7).err


def test_reports_and_a_target_from_a_map(run: Run, tmp_path: Path) -> None:
    begin(run)
    no = run("allocate", "P001", "--from-map", by="Ola", code=3)
    assert "no accepted map was gathered" in no.err
    assert "the target is M1 already" in no.err
    run("allocate", "P001", "--from-map", "--target", "M1", "--reason", "x", code=2)
    assert (
        "--target with --reason" in run("allocate", "P001", "--target", "M1", code=2).err
    )  # by hand, so say why
    run("allocate", "--from-map", code=2)
    page = tmp_path / "study.html"
    assert run("report", "--out", str(page), by="Ada").out == f"{page}\n"
    assert "Blinded study: what the role assessor may not read" in page.read_text("utf-8")
    assert "a file is there" in run("report", "--out", str(page), code=3).err
    days = tmp_path / "days.ics"
    run("calendar", str(days), by="Ola")
    assert "SUMMARY:P001: treatment 1\r\n" in days.read_bytes().decode()
    assert "a file is there" in run("calendar", str(days), code=3).err
    told = run("report", "P001", "--out", str(tmp_path / "P001.html"), "--json", by="Ola").data
    assert told == {
        "file": str(tmp_path / "P001.html"),
        "head": run("audit", "--json", by="Ola").data["head"],
    }
    assert "P009 is not enrolled" in run("report", "P009", code=2).err


def test_a_run_whose_folder_is_lost_counts_as_given_for_ever(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(run)
    run("outcome", "P001", "baseline", "--pain", "7", by="Ada")
    assert "no run of P001 without an end" in run("lost", "P001", "aa", "--reason", "x", by="Ola", code=2).err
    with Study.open(Path(os.environ["RTLOOP_STUDY"])) as study:
        plan = study.course.treatment
        study.write(begun("P001", 1, study.today, run_id="aa", utc=study.clock.utc(), plan=plan), by="Ola")
        monkeypatch.setattr("rtloop.study.study.take", partial(take, holds_s=0.4, expires_s=0.8))
        with study.lease("P001") as lease:  # the computer that runs it is alive
            over = threading.Event()
            alive = threading.Thread(
                target=lambda: [lease.renew() for _ in iter(lambda: over.wait(0.05), True)]
            )
            alive.start()
            try:
                told = run("lost", "P001", "aa", "--reason", "x", by="Ola", code=4)
            finally:
                over.set()
                alive.join()
            assert "is run by another computer" in told.err
    assert "the run aa of" in run("next", "P001", by="Ola", code=3).out
    out = run("lost", "P001", "aa", "--reason", "the disk of that computer broke", by="Ola").out
    assert out.startswith("all 3000 pulses of aa count as given\nP001: treatment 2 is next")
    assert "the run aa" not in run("next", "P001", by="Ola", code=3).out
    assert run("status", "--json").data["participants"][0]["adherence"]["uncertain"] == 3000
    assert "a run whose end is known" in run("lost", "P001", "aa", "--reason", "x", by="Ola", code=2).err
