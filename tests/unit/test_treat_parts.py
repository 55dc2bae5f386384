"""Checklists, what is said of sensations and adverse events, what was given today, and what a study may say against a train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from treat_session_tools import Person, Treating, request_of, stepped_treatment

from rtloop.app.treat import told
from rtloop.app.treat_checklist import AFTER, BEFORE, checklist
from rtloop.app.treat_today import Today, today_of
from rtloop.errors import NotReady, ValidationProblem
from rtloop.model import course
from rtloop.model.course import Ended, TreatmentBegun, TreatmentGiven
from rtloop.treat.checklist import parse_checklist
from rtloop.treat.told import EXAMPLE, adverse_event, sensation

# -- checklists -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_the_checklists_that_ship_are_answered_in_order_and_signed_by_a_name(when: str) -> None:
    made = checklist(when)
    assert (made.version, made.signed_by, made.answers) == ("1", "", ())
    while (item := made.open) is not None:
        made, why = made.answered(item.expected)
        assert why == ""
    assert made.signed("X")[1].startswith("sign with your name")
    made, why = made.signed("  Ola   Berg ")
    assert (why, made.signed_by, made.findings, made.against) == ("", "Ola Berg", (), ())
    assert made.signed("Ada")[1] == "it was signed by Ola Berg"
    assert made.answered("yes")[1] != ""
    assert made.data()["eligible"] is True
    assert len(made.data()["answers"]) == len(made.items)


LIST = """
name = "a-list"
version = "3"
title = "A list"
items = [
    { id = "a", question = "Well?", expected = "yes", otherwise = "end" },
    { id = "b", question = "Tablets?", expected = "no", otherwise = "words" },
    { id = "c", question = "Headache?", grades = true },
]
"""


def test_another_answer_than_expected_needs_words_or_ends_it() -> None:
    made = parse_checklist(LIST)
    assert made.signed("Ola")[1] == "not every question is answered: Well?"
    assert made.answered("perhaps")[1] == "expected yes, no"
    assert made.back()[1] == "nothing can be taken back"
    made, _ = made.answered("NO")
    assert [a.item.id for a in made.against] == ["a"]
    made, _ = made.back()
    made, _ = made.answered("yes")
    assert made.answered("yes")[1] == "yes needs words: yes WHY"
    assert made.answered("yes", "x" * 501)[1] == "at most 500 characters"
    made, _ = made.answered("yes", "new ones since Monday")
    made, _ = made.answered("moderate")
    assert made.findings == ("Tablets? yes: new ones since Monday", "Headache? moderate")
    assert made.against == ()
    assert made.question() == ("A list: sign it with your name", ("sign NAME", "back"))


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        (LIST.replace('version = "3"', ""), "version is missing"),
        (LIST.replace('id = "b"', 'id = "a"'), "the id 'a' occurs twice"),
        (LIST.replace('expected = "yes"', 'expected = "maybe"'), "expected = 'maybe'"),
        (LIST.replace('otherwise = "end"', 'otherwise = "go on"'), "otherwise = 'go on'"),
        (LIST.replace("grades = true", 'grades = true, expected = "no"'), "expected does not go with grades"),
        (
            LIST.replace('question = "Well?"', 'colour = "red"'),
            "unknown key 'colour'; item 1: question is missing",
        ),
        ("name = 3", "version is missing"),
        ("=", "cannot be read"),
    ],
)
def test_a_spoilt_checklist_is_refused_with_every_fault(spoilt: str, words: str) -> None:
    with pytest.raises(ValidationProblem) as no:
        parse_checklist(spoilt)
    assert words in str(no.value)


# -- what is felt ---------------------------------------------------------------------------------------------------


def test_a_sensation_is_words_with_or_without_a_severity() -> None:
    assert sensation("Mild tingling of the hand") == (
        {"what": "tingling of the hand", "severity": "mild"},
        "",
    )
    assert sensation("warm") == ({"what": "warm", "severity": None}, "")
    assert sensation(" ")[1].startswith("say what is felt")
    assert sensation("severe")[1].startswith("say what is felt")


def test_an_adverse_event_wants_every_axis() -> None:
    data, why = adverse_event(EXAMPLE.removeprefix("adverse "))
    assert why == ""
    assert data == {
        "what": "headache", "severity": "mild", "related": "possible", "serious": [], "anticipated": True,
        "device_deficiency": False, "state": "ongoing",
    }  # fmt: skip
    data, why = adverse_event(
        "fell; severity=severe; related=not related; serious=hospital, lasting harm; anticipated=no; device=yes; state=resolved"
    )
    assert (why, data["serious"], data["device_deficiency"]) == ("", ["hospital", "lasting harm"], True)
    data, why = adverse_event("headache; severity=huge; serious=none, hospital; colour=red; severity=mild")
    assert data == {}
    for words in (
        "severity: expected mild",
        "no axis 'colour'",
        "severity is said twice",
        "related is not said",
        EXAMPLE,
    ):
        assert words in why
    assert "say what happened first" in adverse_event("severity=mild")[1]


# -- what was given today -------------------------------------------------------------------------------------------

SHA = "a" * 64


def run_of(
    run_id: str, *, session: str = "s1", least: int = 10, most: int = 10, trains: int = 1, **more: Any
) -> TreatmentGiven:
    fields: dict[str, Any] = {
        "participant": "P017", "visit": 0, "session_id": session, "run_id": run_id, "day": "2026-11-23",
        "utc": "2026-11-23T09:00:00.000+00:00", "mode": "SIMULATED", "host": "h", "folder": "f", "plan": "p", "plan_sha256": SHA,
        "target": "M1", "unit": "rapid", "coil": "c", "threshold_pct_mso": 50, "threshold_day": "2026-11-23",
        "intensity_pct_rmt": 80.0, "power_pct_mso": 40, "planned": 30, "session_planned": 30, "trains_planned": 3,
        "ended_utc": "2026-11-23T09:10:00.000+00:00", "ended": Ended.CRASHED, "delivered": least, "refused": 30 - most,
        "uncertain": most - least, "trains_given": trains,
    }  # fmt: skip
    return TreatmentGiven(**(fields | more))


ASKED: dict[str, Any] = {"plan_sha256": SHA, "target": "M1", "threshold_pct_mso": 50, "trains": 3}


def test_an_uncertain_train_counts_as_given() -> None:
    runs = (run_of("r1", least=0, most=10), run_of("r2", least=0, most=3))
    assert today_of(runs, resume=True, **ASKED) == Today(session_id="s1", trains=2, pulses=13, runs=runs)


def test_a_run_that_gave_nothing_is_no_treatment() -> None:
    nothing = run_of("r1", least=0, most=0, trains=0)
    assert today_of((nothing,), resume=False, **ASKED) == Today()
    with pytest.raises(ValidationProblem, match="one that gave no pulse"):
        today_of((nothing,), resume=True, **ASKED)


@pytest.mark.parametrize(
    ("runs", "changes", "words"),
    [
        ((run_of("r1"),), {"resume": False}, "what is left is given with --resume"),
        ((run_of("r1", trains=3, least=30, most=30),), {}, "one treatment a day"),
        ((run_of("r1", session="s0"), run_of("r2")), {}, "another session of today, s0, gave pulses too"),
        ((run_of("r1"),), {"plan_sha256": "b" * 64}, f"plan (SHA-256): begun with {SHA}"),
        ((run_of("r1"),), {"target": "PSI"}, "target: begun with M1, now PSI"),
        ((run_of("r1"),), {"threshold_pct_mso": 51}, "threshold, % MSO: begun with 50, now 51"),
        (
            (run_of("r1"),),
            {"known": Today(session_id="s9", trains=2)},
            "the study knows of another session today, s9",
        ),
        (
            (run_of("r1", session="s0", trains=3),),
            {"plan_sha256": "b" * 64, "resume": False},
            "was not finished",
        ),
    ],
)
def test_nothing_is_given_twice_on_a_day(
    runs: tuple[TreatmentGiven, ...], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationProblem) as no:
        today_of(runs, **({"resume": True} | ASKED | changes))
    assert words in str(no.value)


def test_what_a_study_knows_of_another_computer_counts() -> None:
    known = Today(session_id="s1", trains=2)
    assert today_of((), resume=True, known=known, **ASKED) is known
    assert today_of((run_of("r1"),), resume=True, known=known, **ASKED).trains == 2


# -- a study --------------------------------------------------------------------------------------------------------


class Study:
    """A study that says what the test wants."""

    def __init__(self, *, held_for: int = 99, refuse: str = "", deaf: bool = False) -> None:
        self.number, self._left, self._refuse, self._deaf = 7, held_for, refuse, deaf
        self.begun: list[TreatmentBegun] = []
        self.ended: list[TreatmentGiven] = []

    @property
    def held(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def begin(self, begun: TreatmentBegun) -> None:
        if self._refuse:
            raise ValidationProblem(self._refuse)
        self.begun.append(begun)

    def end(self, given: TreatmentGiven) -> None:
        if self._deaf:
            raise NotReady("the folder is gone")
        self.ended.append(given)


def held(tmp_path: Path, study: Study) -> tuple[Treating, Exception | None]:
    failed: Exception | None = None
    with stepped_treatment(request_of(tmp_path), Person(), study=study) as t:
        try:
            t.runner.run()
        except (ValidationProblem, NotReady) as err:
            failed = err
    return t, failed


def test_a_study_is_told_before_the_first_pulse_and_after_the_last(tmp_path: Path) -> None:
    study = Study()
    t, failed = held(tmp_path, study)
    assert failed is None
    (begun,), (given,) = study.begun, study.ended
    assert (begun.visit, begun.planned) == (7, 30)
    assert given.begun == begun
    assert replace(given, words="") == replace(TreatmentGiven.of(t.told("treatment_given")[0]), words="")


def test_no_train_is_given_once_the_lease_is_lost(tmp_path: Path) -> None:
    study = Study(held_for=1)
    t, failed = held(tmp_path, study)
    assert failed is None
    (given,) = study.ended
    assert "another computer may run this participant now" in given.words
    assert (given.ended, given.delivered, given.refused, given.trains_given) == (Ended.ABORTED, 10, 20, 1)
    assert len(t.script.bench.discharges) == 10
    assert not t.script.armed
    assert told(t.runner)[2] == 4


def test_nothing_is_given_where_the_study_refuses(tmp_path: Path) -> None:
    t, failed = held(tmp_path, Study(refuse="it is not due"))
    assert "it is not due" in str(failed)
    assert t.script.bench.discharges == []
    assert t.told("arm_requested") == []


def test_a_study_that_cannot_be_told_of_the_end_is_said_so(tmp_path: Path) -> None:
    t, failed = held(tmp_path, Study(deaf=True))
    assert failed is None
    assert t.told("treatment_given")[0]["delivered"] == 30
    assert "rtloop study gather tells it" in told(t.runner)[0]


def test_every_kind_of_event_of_a_treatment_is_in_the_document() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "events.md").read_text("utf-8")
    named = [v for k, v in vars(course).items() if k.isupper() and isinstance(v, str) and v.islower()]
    assert len(named) >= 12
    assert [kind for kind in named if f"`{kind}`" not in text] == []
