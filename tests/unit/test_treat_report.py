"""The report of a treatment session: its numbers are the journal's, whatever ended it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from treat_session_tools import Person, Treating, request_of, stepped_treatment

from rtloop.app.look import report_folder
from rtloop.errors import ValidationProblem
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.treat_facts import facts_of
from rtloop.record.treat_report import document_of, write_treatment_report


def text_of(folder: Path) -> str:
    """The report without its marks and pictures, spaces joined."""
    raw = (folder / "report.html").read_text("utf-8")
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", raw, flags=re.DOTALL))
    )


def held(tmp_path: Path, *words: tuple[str, object, str]) -> Treating:
    with stepped_treatment(request_of(tmp_path), Person(*words)) as t:  # type: ignore[arg-type]
        t.runner.run()
    return t


def in_pause(number: int) -> tuple[str, object]:
    return "phase_entered", lambda d: d["phase"] == "pause" and d["train"] == number


AE = "adverse headache <b>; severity=mild; related=possible; serious=none; anticipated=yes; device=no; state=ongoing"


def test_a_report_tells_dose_intensity_checklists_and_what_was_felt(tmp_path: Path) -> None:
    t = held(tmp_path, (*in_pause(2), "sensation mild tingling"), (*in_pause(3), AE), (*in_pause(3), "pause"))
    folder = t.script.folder.path
    words, data, code = report_folder(folder)
    assert (code, data["report"]) == (0, str(folder / "report.html"))
    assert str(folder) in words
    text = text_of(folder)
    head = read_journal(t.script.folder.journal).head_hash
    for expected in (
        "Treatment session", "P017", "treat-quick", t.want.plan.sha256, head,
        "Planned 30 pulses = delivered 30 + not given 0 + uncertain 0, in 3 of 3 trains of this run",
        "The motor threshold was assumed for this simulation: nobody measured it.",
        "50 % MSO (no interval)", "30 % then 40 % MSO", "70 mm figure-of-eight, cooled at C3",
        "Armed 2 time(s), each in two steps. End: every train of the plan was given. Coil: 22.",
        "the operator asked for a pause", "before-treatment, version 1, signed by simulated operator", "tingling",
        "headache &lt;b&gt;", "possible", "Items of a report", "the record is whole", "repetitive TMS",
    ):  # fmt: skip
        assert expected in text, expected
    assert "http" not in (folder / "report.html").read_text("utf-8").replace("http://www.w3.org", "")
    assert not list(folder.glob("*.part"))


def test_what_was_not_given_is_told_and_a_train_that_nobody_closed_counts(tmp_path: Path) -> None:
    t = held(tmp_path, (*in_pause(2), "stop it is enough"))
    write_treatment_report(t.script.folder)
    text = text_of(t.script.folder.path)
    assert (
        "Planned 30 pulses = delivered 10 + not given 20 + uncertain 0, in 1 of 3 trains of this run" in text
    )
    assert "the operator ended it: it is enough" in text
    events = read_journal(t.script.folder.journal).events
    sent = next(e for e in events if e.kind == "pulse_intended")
    torn = [e for e in events if e.n <= sent.n]
    facts = facts_of(torn)
    assert facts is not None
    (row,) = facts.trains
    assert (row.least, row.most, row.outcome) == (0, 10, "not closed: counted as given")
    page = document_of(facts, "0" * 64, ["not whole"])
    assert "nobody wrote an end" in page.sub
    dose = page.sections[0]
    assert dose.words[0].startswith(
        "Planned 30 pulses = delivered 0 + not given 20 + uncertain 10, in 1 of 3"
    )


def test_a_session_that_never_began_has_a_report_too(tmp_path: Path) -> None:
    said = ("phase_entered", lambda d: d["phase"] == "before", "stop")
    t = held(tmp_path, said)
    write_treatment_report(t.script.folder)
    text = text_of(t.script.folder.path)
    assert "No pulse was set out to be given." in text
    assert "Not signed: before, after." in text


def test_another_session_has_no_such_report(tmp_path: Path) -> None:
    t = held(tmp_path, ("phase_entered", lambda d: d["phase"] == "before", "stop"))
    raw = t.script.folder.journal.read_bytes().splitlines(keepends=True)
    other = SessionFolder.create(tmp_path / "other", "abc")
    other.journal.write_bytes(raw[0])
    with pytest.raises(ValidationProblem, match="no treatment session"):
        write_treatment_report(other)
