"""The reports of a course and of a study: whole pages, what they say of dose, weeks, map and M1, for each role."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from study_tools import (
    AS,
    MONDAY,
    OP,
    STAT,
    at,
    begun,
    course,
    enter,
    folder_in_memory,
    given,
    go_to,
    listed,
    made_in,
    treat,
)

from rtloop.errors import ValidationProblem
from rtloop.plan.treat_load import load_treatment
from rtloop.record.course_report import course_report
from rtloop.record.document import Document, Section, render, write
from rtloop.record.study_report import study_report
from rtloop.study.records import AdverseEvent, Deviation, Mapped, Missed, OutcomeTaken, Probed, ThresholdTaken
from rtloop.study.reported import Seen, baseline_rows, instant_of, retests
from rtloop.study.study import Study

WEEK_3 = "2026-12-14"


@pytest.fixture
def study() -> Iterator[Study]:
    """P001 to P012, four in each arm; P001 with everything that can happen."""
    with folder_in_memory() as folder:
        clock = at(MONDAY)
        made = made_in(folder / "s", clock, course=course(if_undecided="classic"))
        with made as study:
            study.write(listed(*("classic", "low", "high") * 4), by=STAT)
            for k in range(12):
                code, local = f"P{k + 1:03}", 0.1 + 0.02 * k
                enter(study, code, pain=8.0)
                probe = Probed(participant=code, day=MONDAY, session=f"20261123-0810{k:02}_{code.lower()}", target="M1",
                               values={"local": (local, local - 0.03, local + 0.03)}, n_accepted={"M1": 98})  # fmt: skip
                study.write(probe, by=OP)
            answers = {
                "low": ("undecided", "", 240, "M1 or ACC."),
                "high": ("decided", "PSI", None, "PSI is it."),
            }
            study.write(Mapped(participant="P001", day=MONDAY, session="20261123-070000_aa", accepted=True, decision="",
                               scores={"M1": (0.11, 0.08, 0.14), "ACC": (0.1, None, None)}, n_accepted={"M1": 97, "ACC": 96},
                               answers=answers), by=OP)  # fmt: skip
            study.write(ThresholdTaken(participant="P001", day=MONDAY, pct_mso=50, low_pct_mso=48.0, high_pct_mso=53.0,
                                       method="EMG", unit="super-rapid", coil="D70", waveform="biphasic"), by=OP)  # fmt: skip
            run = begun("P001", 1, MONDAY)
            study.write(run, by=OP)
            study.write(given(run, 1400, 100), by=OP)
            go_to(clock, "2026-11-24")
            treat(study, "P001", 2)
            study.write(Missed(participant="P001", visit=3), by=OP, reason="was on a journey")
            study.write(
                Deviation(participant="P001", visit=0, what="slept three hours"), by=OP, reason="told so"
            )
            study.write(AdverseEvent(participant="P001", day="2026-11-24", what="headache", severity="mild", serious=(),
                                     related="probable", anticipated=True, device_deficiency=False,
                                     state="resolved"), by=OP)  # fmt: skip
            go_to(clock, WEEK_3)
            for k in range(12):
                code, pain = f"P{k + 1:03}", 5.0 + (0.3 * k if k % 3 == 0 else 0.2 * (k % 2))
                study.write(
                    OutcomeTaken(participant=code, assessment="week 3", day=WEEK_3, scales={"pain": pain}),
                    by=AS,
                )
            later = Probed(participant="P001", day=WEEK_3, session="20261214-080000_bb", target="M1",
                           values={"local": (0.2, 0.17, 0.23)}, n_accepted={"M1": 98})  # fmt: skip
            study.write(later, by=OP)
            yield study


def section(made: Document, title: str) -> Section | None:
    return next((s for s in made.sections if s.title.startswith(title)), None)


def rows(part: Section | None, table: int = 0) -> list[tuple[str, ...]]:
    assert part is not None
    return list(part.tables[table].rows)


def test_a_course_for_the_unblinded(study: Study) -> None:
    made = course_report(study, "P001", by=STAT)
    assert (made.facts["Arm"], made.facts["Target"]) == ("classic", "M1")
    assert made.facts["Head of the log"] == study.heads[0]
    assert made.facts["Head of the sealed log"] == study.heads[1]
    dose = section(made, "Planned and given")
    assert rows(dose)[0][2:9] == ("2026-11-23", "3000", "1400", "100", "1500", "15", "90")
    assert rows(dose)[2][2] == "missed"
    assert dose is not None
    assert "4400 of 6000 pulses certainly delivered, 100 uncertain" in dose.words[0]
    weeks = section(made, "Over the weeks")
    assert weeks is not None
    assert weeks.words[0].startswith(
        "Pain 8 at baseline and 5 at week 3: a fall of 38 % of the baseline, a responder"
    )
    m1 = rows(section(made, "M1 over time"))
    assert m1[0][3] == "baseline"
    assert m1[1][3].startswith(
        "+0.1, more than the minimal detectable change of 0.042 (by the intervals of the two"
    )
    target = section(made, "Map and target")
    assert ("2026-11-23", "low", "undecided", "–", "240", "M1 or ACC.") in rows(target, 1)
    assert target is not None
    assert target.words == ("The target M1 was chosen by a person, not from a map.",)
    told = rows(section(made, "Deviations"))
    assert ("2026-11-24", "treatment 3 missed", "was on a journey") in told
    assert rows(section(made, "Adverse events"))[0][2:6] == ("headache", "mild", "no", "probable")
    known = dict(rows(section(made, "Items of a report")))
    assert known["Intensity"] == "90 % RMT"
    assert known["Who provided"] == OP
    assert "not held by this study's store" in known["Why"]
    page = render(made)
    assert page.count("data:image/svg+xml;base64,") == 2
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_what_each_blinded_role_gets(study: Study) -> None:
    operator, assessor = (course_report(study, "P001", by=by) for by in (OP, AS))
    for made in (operator, assessor):
        assert "Arm" not in made.facts
        assert "Head of the sealed log" not in made.facts
        assert section(made, "M1 over time") is None
        assert section(made, "Map and target") is None
        assert made.warnings[0].startswith("Blinded study")
    assert operator.facts["Target"] == "M1"
    assert section(operator, "Planned and given") is not None
    assert "Pain" not in str(section(operator, "Over the weeks"))
    assert rows(section(operator, "Deviations"))[0][2] == "–"
    assert "Target" not in assessor.facts
    assert rows(section(assessor, "Treatments"))[:3] == [
        ("1", "2026-11-23"),
        ("2", "2026-11-24"),
        ("3", "missed"),
    ]
    assert "a responder" in str(section(assessor, "Over the weeks"))
    assert section(assessor, "Deviations") is None  # there is one: not told is not none
    assert rows(section(assessor, "Missed and moved")) == [("2026-11-24", "treatment 3 missed", "–")]
    assert (
        dict(rows(section(assessor, "Items of a report")))["Motor threshold: how"] == "not shown to your role"
    )
    for by, lacking in ((OP, "Pain"), (OP, "Baseline M1"), (AS, "Baseline M1"), (AS, "Deviations")):
        assert section(study_report(study, by=by), lacking) is None
    columns, entries = study.read(by=STAT, what="x")[0]["entry"]
    looks = [r for r in entries if r[columns.index("kind")] == "read_unblinded"]
    assert len(looks) == 1  # blinded readers leave none


def test_the_study_by_arm(study: Study) -> None:
    made = study_report(study, by=STAT)
    assert rows(section(made, "Participants"))[0] == ("enrolled", "12", "4", "4", "4")
    pain = rows(section(made, "Pain"))
    assert [r[:2] for r in pain] == [("low", "4"), ("high", "4"), ("classic", "4")]
    m1 = section(made, "Baseline M1")
    assert m1 is not None
    assert [r[:2] for r in rows(m1)] == [("low", "4"), ("high", "4"), ("classic", "4"), ("all", "12")]
    assert rows(m1)[2][2] == "– (4 participant(s), fewer than 5)"  # no slope of four
    assert "exploratory" in m1.title
    assert m1.notes[0].startswith("Exploratory")
    assert section(made, "Planned and given") is not None
    assert "4400 of 6000 planned pulses" in str(section(made, "Planned and given"))
    assert render(made).count("data:image/svg+xml;base64,") == 2


def test_values_that_follow_from_the_rows(study: Study) -> None:
    seen = Seen(study, by=STAT, what="x")
    found = {r.participant: r for r in baseline_rows(seen)}
    assert len(found) == 12
    assert (found["P001"].arm, found["P001"].x) == (
        "classic",
        0.1,
    )  # before the first treatment, not the later one
    assert found["P001"].y == pytest.approx(37.5)
    assert found["P001"].x_se == pytest.approx(0.03 / 1.96)
    assert retests(seen) is None
    assert baseline_rows(Seen(study, by=AS, what="x")) == []
    assert instant_of("20261123-081005_ab") == "2026-11-23T08:10:05"
    assert instant_of("map-P001") == ""


def test_a_report_is_written_once(study: Study, tmp_path: Path) -> None:
    made = study_report(study, by=OP)
    write(tmp_path / "a.html", made)
    assert (tmp_path / "a.html").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ValidationProblem, match="a file is there"):
        write(tmp_path / "a.html", made)
    assert "<script" not in (tmp_path / "a.html").read_text()


def test_a_plan_of_the_library_is_told_with_its_trains_and_a_changed_one_is_not(study: Study) -> None:
    plan = load_treatment("treat-10hz-4s")
    for number, sha256, words in (
        (1, plan.sha256, "10 Hz, 75 trains of 40 pulses, 26 s from the end of each to the next; assumed: "),
        (2, "d" * 64, "(its text lies in the session folders)"),
    ):
        code = f"P00{number + 1}"
        run = begun(code, 1, WEEK_3, plan="treat-10hz-4s", plan_sha256=sha256)
        study.write(given(run), by=OP)
        known = dict(rows(section(course_report(study, code, by=OP), "Items of a report")))
        assert f"treat-10hz-4s, SHA-256 {sha256}" in known["Procedure: plan of treatment"]
        assert words in known["Procedure: plan of treatment"]


def test_what_was_given_outside_of_the_course_or_twice_is_not_left_out(study: Study) -> None:
    study.write(given(begun("P002", 0, WEEK_3, session_id="extra", run_id="x")), by=OP)
    for run_id in ("y", "z"):
        study.write(given(begun("P003", 1, WEEK_3, session_id=f"s-{run_id}", run_id=run_id)), by=OP)
    extra = section(course_report(study, "P002", by=OP), "Planned and given")
    assert extra is not None
    assert "Outside of the course: extra on 2026-12-14 at M1, 3000 pulses count as given." in extra.words
    twice = section(course_report(study, "P003", by=OP), "Planned and given")
    assert rows(twice)[0][3:5] == ("6000", "6000")
    assert twice is not None
    assert any("more than one session" in w for w in twice.words)


def test_without_the_sealed_folder_a_report_says_what_lacks(study: Study) -> None:
    shutil.rmtree(study.folder / "sealed")
    with Study.open(study.folder, clock=at(WEEK_3)) as here:
        made = course_report(here, "P001", by=STAT)
    assert made.warnings == (
        "The sealed part of this study cannot be read here (the folder sealed is not there): arms and scores are left out.",
    )
    assert "Arm" not in made.facts
    assert section(made, "M1 over time") is None
