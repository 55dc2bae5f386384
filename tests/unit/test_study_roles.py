"""Blinding: two studies that differ only in what is hidden look the same to every blinded role, in everything they can get."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from study_tools import AS, MONDAY, OP, STAT, at, enter, folder_in_memory, go_to, listed, made_in, treat

from rtloop.app.study_words import audit_words, next_words, status_words
from rtloop.errors import ValidationProblem
from rtloop.record.course_report import course_report
from rtloop.record.document import render
from rtloop.record.study_report import study_report
from rtloop.study.export import MEANING, export
from rtloop.study.fields import Role
from rtloop.study.ics import ics
from rtloop.study.log import OPEN_KINDS, SEALED_KINDS, TREATMENTS
from rtloop.study.records import ListMade, Mapped, OutcomeTaken, Probed
from rtloop.study.roles import ALL, HIDDEN, may_write, readable, tables
from rtloop.study.schema import OPEN
from rtloop.study.shown import participant, status
from rtloop.study.study import Study

CODES = ("P001", "P002", "P003")


def lived(
    folder: Path, arms: tuple[str, ...], scores: tuple[float, ...], targets: tuple[str, ...], **more: bool
) -> Study:
    clock = at(MONDAY)
    study = made_in(folder, clock, **more)
    study.write(listed(*arms), by=STAT)
    for code, score, target in zip(CODES, scores, targets, strict=True):
        enter(study, code, target=target)
        both = {"M1": (score, score - 0.1, score + 0.1), "ACC": (1 - score, None, None)}
        study.write(Mapped(participant=code, day=MONDAY, session=f"map-{code}", accepted=True, decision=f"low: {target}",
                           scores=both, n_accepted={"M1": 100, "ACC": 99}), by=OP)  # fmt: skip
        probe = Probed(participant=code, day=MONDAY, session=f"probe-{code}", target="M1", values={"local": (score, None, None)},
                       n_accepted={"M1": 90})  # fmt: skip
        study.write(probe, by=OP)
        treat(study, code, 1, target=target, coil=f"coil-{target}", plan=f"treat-{target}")
    go_to(clock, "2026-11-24")
    study.write(
        OutcomeTaken(participant="P001", assessment="week 3", day="2026-11-24", scales={"pain": 2.0}), by=AS
    )
    return study


def everything(study: Study, by: str, out: Path) -> str:
    """All that a person can get of a study: tables, status, next, audit, export; as data and in words. Hashes left out."""
    told = status(study, by=by)
    parts: list[str] = [json.dumps(told), status_words(told)]
    for code in CODES:
        one = participant(study, code, by=by)
        parts += [json.dumps(one), next_words(one)]
    open_, sealed = study.read(by=by, what="all")
    parts += [repr(open_), repr(sealed)]
    parts.append(audit_words(study.problems(), study.heads, *open_["entry"]))
    parts += [f"{f.name}\n{f.read_text()}" for f in export(study, out, by=by)]
    days = [(c, study.state.participants[c].calendar) for c in CODES]
    parts.append(ics("trial", days, study.course, today=study.today, utc=study.clock.utc(), outcomes=True))
    if study.role_of(by) is not Role.UNBLINDED:
        parts += [render(made) for made in (course_report(study, "P001", by=by), study_report(study, by=by))]
    for code in CODES:
        for verb in (lambda c=code: study.allocate(c, by=by), lambda: study.write(listed(), by=by)):
            try:
                verb()
            except ValidationProblem as refused:
                parts.append(str(refused))
    return re.sub("[0-9a-f]{16,64}", "HASH", "\n".join(parts))


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In reports what a figure would show stands in its place."""
    for figure in (
        "course_report.dose",
        "course_report.weeks",
        "study_report.courses",
        "study_report.association",
    ):
        monkeypatch.setattr(f"rtloop.record.{figure}_figure", lambda *given: repr(given))
    with folder_in_memory() as folder:
        yield folder


ONE = (("low", "high", "classic"), (0.2, 0.4, 0.9), ("M1", "M1", "M1"))
OTHER = (("classic", "low", "high"), (0.7, 0.3, 0.1), ("M1", "M1", "M1"))
ELSEWHERE = (("high", "classic", "low"), (0.7, 0.3, 0.1), ("ACC", "M1", "PSI"))


def test_no_blinded_role_gets_anything_that_the_arm_or_a_score_changes(folders: Path) -> None:
    seen: dict[tuple[str, str], str] = {}
    for name, how in (("one", ONE), ("other", OTHER), ("elsewhere", ELSEWHERE)):
        with lived(folders / name, *how) as study:
            for by in (OP, AS, STAT):
                seen[name, by] = everything(study, by, folders / f"{name}-{by}")
    assert seen["one", OP] == seen["other", OP]
    assert seen["one", AS] == seen["other", AS] == seen["elsewhere", AS]  # nor which target is treated
    assert "treat-PSI" in seen["elsewhere", OP]  # the operator must know the target
    for by in (OP, AS):  # and directly: none of the values, none of the words
        text = re.sub(r"low_pct_mso|high_pct_mso|lower end|upper end|low=|high=", "", seen["elsewhere", by])
        assert not re.search(r"classic|\b(low|high)\b|0\.7\b|local", text), by
    for word in ("classic", "0.7", "low: ACC", "allocation_list"):
        assert word in seen["elsewhere", STAT]


def test_who_looks_unblinded_is_kept_and_a_blinded_look_is_not(folders: Path) -> None:
    with lived(folders / "x", *ONE) as study:
        n = study.state.n
        study.read(by=OP, what="look")
        assert study.state.n == n
        study.read(by=STAT, what="interim look")
        columns, rows = study.read(by=STAT, what="again")[0]["entry"]
        looks = [
            dict(zip(columns, r, strict=True)) for r in rows if r[columns.index("kind")] == "read_unblinded"
        ]
        assert [(e["by"], json.loads(e["new"])["what"]) for e in looks] == [
            (STAT, "interim look"),
            (STAT, "again"),
        ]


def test_the_next_place_cannot_be_read_before_it_is_given(folders: Path) -> None:
    """Neither by a blinded role, nor in any file outside of the sealed folder."""
    with made_in(folders / "s", at(MONDAY)) as study:
        study.write(listed("low", "high", "classic"), by=STAT)
        enter(study, "P001")
        for by in (OP, AS):
            assert study.read(by=by, what="x")[1] == {}
            assert "arm" not in participant(study, "P001", by=by, arm=True)
    for path in (folders / "s").rglob("*"):
        if path.is_file() and "sealed" not in path.relative_to(folders / "s").parts:
            assert not re.search(rb'"(low|high|classic)"|classic', path.read_bytes()), path


def test_sealed_hashes_cannot_be_tried_out(folders: Path) -> None:
    """The same arm twice has two hashes: each sealed line holds a number that nobody can guess."""
    lines = []
    for name in "ab":
        with made_in(folders / name, at(MONDAY)) as study:
            study.write(listed("low"), by=STAT)
        lines.append(json.loads((folders / name / "sealed" / "log" / "00000000.jsonl").read_text()))
    assert lines[0]["hash"] != lines[1]["hash"]
    for fields in lines:
        assert re.fullmatch("[0-9a-f]{32}", fields["nonce"])
    assert {k: v for k, v in lines[0].items() if k not in ("nonce", "hash")} == {
        k: v for k, v in lines[1].items() if k not in ("nonce", "hash")
    }


def test_in_an_open_study_everybody_reads_everything(folders: Path) -> None:
    with lived(folders / "x", *ONE, blinded=False) as study:
        assert everything(study, OP, folders / "a").replace(OP, "").count("classic") > 0
        assert study.state.people[OP] is Role.OPERATOR


def test_every_table_every_column_and_every_kind_was_thought_of() -> None:
    open_, sealed = tables()
    assert set(ALL) == open_
    assert set(HIDDEN) == sealed
    used = {c for t in (*ALL.values(), *HIDDEN.values()) for c in t}
    assert used <= set(MEANING)
    kinds = {*OPEN_KINDS, *SEALED_KINDS, *TREATMENTS} - {"study_made"}
    for kind in kinds:
        assert any(may_write(role, kind, blinded=True) for role in Role), kind
    for role in (Role.OPERATOR, Role.ASSESSOR):
        mine, hidden = readable(role, blinded=True)
        assert hidden == {}
        for table, columns in mine.items():
            assert set(columns) <= set(ALL[table])
        assert not may_write(role, "list_made", blinded=True)
    assert "target" not in readable(Role.ASSESSOR, blinded=True)[0]
    assert not {"plan", "coil", "unit", "target", "words"} & set(
        readable(Role.ASSESSOR, blinded=True)[0]["treatment_given"]
    )
    assert "outcome" not in readable(Role.OPERATOR, blinded=True)[0]
    assert OPEN[0].tables["entry"]


def test_a_role_writes_only_what_is_its_own(folders: Path) -> None:
    with made_in(folders / "s", at(MONDAY)) as study:
        with pytest.raises(ValidationProblem, match="the role operator does not write list made"):
            study.write(ListMade(source="imported", seed="", blocks=(), entries=(("", "low", ""),)), by=OP)
        study.write(listed("low"), by=STAT)
        enter(study, "P001", pain=None)
        for by, role in ((OP, "operator"), (STAT, "unblinded")):
            with pytest.raises(ValidationProblem, match=f"the role {role} does not write outcome taken"):
                study.write(
                    OutcomeTaken(participant="P001", assessment="baseline", day=MONDAY, scales={"pain": 3}),
                    by=by,
                )
        with pytest.raises(ValidationProblem, match="'Eve' is not a person of this study"):
            study.read(by="Eve", what="x")
