"""From a map to a target: both questions answered from one map, how many more pulses would decide, and each rule of a course."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from decide_tools import FINE, candidate, facts
from study_tools import AS, MONDAY, OP, STAT, at, course, folder_in_memory, listed, made_in, screened

from rtloop.app.study_map import answers_of
from rtloop.decide.boundary import Z_BY_LOOKS
from rtloop.decide.comparability import compare
from rtloop.decide.course import CourseSpec, Visit
from rtloop.decide.look import Candidate, Look, LookSpec, decision_of, look, more_to_decide
from rtloop.decide.mapping import Question
from rtloop.decide.prescription import Prescription
from rtloop.decide.recorded import event_dict
from rtloop.errors import ValidationProblem
from rtloop.model.event import Event
from rtloop.model.view import fold_all
from rtloop.study.fields import RULES
from rtloop.study.records import Enrolled, Mapped
from rtloop.study.resolve import map_words, newest, resolve
from rtloop.study.shown import participant
from rtloop.study.study import Study

LOW = LookSpec(question=Question.LOW, n0=60)
HIGH = replace(LOW, question=Question.HIGH)


def parted(a: Candidate, b: Candidate, more: int, looks: int = 2) -> bool:
    """The formula by hand: both errors shrink with the root of the pulses, the scores stay."""
    spread = sum((c.raw.se * math.sqrt(c.raw.n / (c.raw.n + more))) ** 2 for c in (a, b))
    return abs(a.raw.value - b.raw.value) / math.sqrt(spread) >= Z_BY_LOOKS[looks]


@pytest.mark.parametrize("gap", [0.02, 0.025, 0.015])
def test_more_pulses_are_the_fewest_that_would_part_the_two(gap: float) -> None:
    a, b, far = candidate("M1", 0.10), candidate("ACC", 0.10 + gap), candidate("PSI", 0.5)
    found = more_to_decide([a, b, far], FINE, LOW)
    assert found is not None
    assert found % 20 == 0  # at the leader and at the one it does not beat
    assert parted(a, b, found // 2)
    assert not parted(a, b, found // 2 - 10)


def test_more_pulses_are_none_where_they_would_not_help_and_none_where_it_is_decided() -> None:
    a, far = candidate("M1", 0.10), candidate("ACC", 0.30)
    assert more_to_decide([a, far], FINE, LOW) == 0
    assert more_to_decide([a, candidate("ACC", 0.10)], FINE, LOW) is None  # no gap
    spread = replace(LOW, place_spread=0.5)  # no number of pulses lessens it
    assert more_to_decide([candidate("M1", 0.20), candidate("ACC", 0.25)], FINE, spread) is None
    short = compare([facts("M1", accepted=50), facts("ACC", accepted=45)])
    assert more_to_decide([a, far], short, LOW) == 10 + 15
    weak = compare([facts("M1", accepted=50), facts("ACC", snr=0.01)])
    assert more_to_decide([a, far], weak, LOW) is None


def journal(candidates: list[Candidate], spec: LookSpec = LOW, **changed: Any) -> list[Event]:
    """A mapping's journal as a session writes it: the visits, one look, the decision."""
    import numpy as np

    from rtloop.decide.matching import MatchedScore
    from rtloop.decide.recorded import score_dict
    from rtloop.model.estimate import Estimate

    fixed = Prescription(
        course=CourseSpec(targets=tuple(c.target for c in candidates), look=spec, question=spec.question), block_max=160
    )  # fmt: skip
    found = look(candidates, FINE, spec, 1)
    scores = [
        MatchedScore(target=c.target, raw=c.raw, matched=c.matched, snr=Estimate.normal(0.5, 0.01, n=100),
                     snr_by_band=np.ones(3), noise_by_band=np.ones(3), weakest_by_band=("", "", ""), shifts=(0, 0, 0))
        for c in candidates
    ]  # fmt: skip
    if found.outcome.value == "return to two":
        told: dict[str, Any] = {
            "kind": "undecided",
            "target": None,
            "words": "Undecided: the pulses end here.",
            "more_pulses": None,
        }
    else:
        answer = decision_of(found, candidates)
        told = {
            "kind": answer.kind.value,
            "target": answer.target,
            "words": answer.words,
            "more_pulses": answer.more_pulses,
        }
    rows = [("session_started", {"kind": "map", "decision": fixed.to_dict()})]
    rows += [("map_visited", event_dict(Visit(target=c.target, accepted=100))) for c in candidates]
    rows += [("map_looked_at", event_dict(found)), ("decision_made", {**told, "question": spec.question.value, "note": "",
             "scores": [score_dict(s) for s in scores], **changed})]  # fmt: skip
    return [
        Event(n=n, t_s=0.0, utc=f"{MONDAY}T09:10:00.000+00:00", kind=k, data=d)
        for n, (k, d) in enumerate(rows)
    ]


def test_one_map_answers_both_questions() -> None:
    made = [candidate("M1", 0.10), candidate("ACC", 0.30), candidate("PSI", 0.50)]
    for spec in (LOW, HIGH):
        events = journal(made, spec)
        got = answers_of(fold_all(events), events)
        assert {q: (a.kind, a.target, a.more_pulses) for q, a in got.items()} == {
            "low": ("decided", "M1", None), "high": ("decided", "PSI", None),
        }  # fmt: skip
        other = "high" if spec is LOW else "low"
        assert got[other].words == look(made, FINE, HIGH if spec is LOW else LOW, 1).words


def test_a_map_that_ended_between_two_says_how_many_pulses_more() -> None:
    made = [candidate("M1", 0.10), candidate("ACC", 0.125), candidate("PSI", 0.50)]
    assert isinstance(look(made, FINE, LOW, 1), Look)
    events = journal(made)
    got = answers_of(fold_all(events), events)
    assert (got["low"].kind, got["low"].target) == ("undecided", "")
    assert got["low"].more_pulses == more_to_decide(made, FINE, LOW)
    assert got["high"].kind == "decided"
    events = journal(made, HIGH)  # the other way round: the low question is the one that was not asked
    got = answers_of(fold_all(events), events)
    assert got["low"].kind == "undecided"
    assert got["low"].words.endswith("The map ended before them.")


def test_a_map_that_was_asked_nothing_answers_nothing() -> None:
    events = journal([candidate("M1", 0.1), candidate("ACC", 0.3)], kind="switched_off", target=None)
    assert answers_of(fold_all(events), events) == {}
    assert answers_of(fold_all(events[:-1]), events[:-1]) == {}


NAMED = {
    "low": ("decided", "ACC", None, "ACC is the lowest."),
    "high": ("decided", "PSI", None, "PSI is the highest."),
}
OPEN = {"low": ("undecided", "", 240, "M1 or ACC."), "high": ("decided", "PSI", None, "PSI is the highest.")}
NOT = dict.fromkeys(("low", "high"), ("not_comparable", "", None, "No response at ACC."))


def mapped(answers: dict[str, Any], code: str = "P001", **changed: Any) -> Mapped:
    made = {
        "participant": code, "day": MONDAY, "session": f"map-{code}", "accepted": True, "decision": "",
        "scores": dict.fromkeys(("M1", "ACC", "PSI"), (0.1, None, None)), "n_accepted": {"M1": 100}, "answers": answers,
    }  # fmt: skip
    return Mapped(**{**made, **changed})


@pytest.fixture
def study() -> Iterator[Study]:
    with (
        folder_in_memory() as folder,
        made_in(folder / "s", at(MONDAY), course=course(if_undecided="classic")) as study,
    ):
        study.write(listed("low", "high", "classic"), by=STAT)
        for code in ("P001", "P002", "P003"):
            study.write(Enrolled(participant=code, day=MONDAY, stratum=""), by=OP)
            study.write(screened(code, MONDAY), by=OP)
            study.allocate(code, by=OP)
        yield study


@pytest.mark.parametrize(
    ("answers", "targets", "rules"),
    [
        (NAMED, ("ACC", "PSI", "M1"), ("map", "map", "classic arm")),
        (OPEN, ("M1", "PSI", "M1"), ("classic", "map", "classic arm")),
        (NOT, ("M1", "M1", "M1"), ("classic", "classic", "classic arm")),
    ],
)
def test_each_arm_gets_its_target_and_the_operator_hears_the_same_in_all(
    study: Study, answers: dict[str, Any], targets: tuple[str, ...], rules: tuple[str, ...]
) -> None:
    told = []
    for code, target in zip(("P001", "P002", "P003"), targets, strict=True):
        assert "map" not in participant(study, code, by=OP)
        study.write(mapped(answers, code), by=OP)
        before = participant(study, code, by=OP)["map"]  # so that the operator may give more pulses first
        said = study.resolve(code, by=OP)
        assert said.endswith(before)
        assert "map" not in participant(study, code, by=OP)
        assert study.state.participants[code].target == target
        told.append(said.replace(code, "").replace(f"treated at {target}", ""))
    assert len(set(told)) == 1
    assert ("240 more accepted pulses" in told[0]) == (answers is OPEN)
    assert ("no number of pulses alone" in told[0]) == (answers is NOT)
    assert "resolution" not in study.read(by=OP, what="x")[0]
    assert study.read(by=OP, what="x")[1] == {}
    columns, rows = study.read(by=STAT, what="x")[1]["resolution"]
    assert tuple(r[columns.index("rule")] for r in rows) == rules
    assert all("brought no benefit over classic M1" in r[columns.index("words")] for r in rows)
    assert set(rules) <= set(RULES)
    with pytest.raises(ValidationProblem, match="the target is M1 already"):
        study.resolve("P003", by=OP)
    with pytest.raises(ValidationProblem, match="the target is"):
        study.resolve("P001", by=AS)


def test_what_keeps_a_target_from_following_is_the_same_in_every_arm(study: Study) -> None:
    said = set()
    for code in ("P001", "P002", "P003"):
        with pytest.raises(ValidationProblem, match="no accepted map was gathered") as no:
            study.resolve(code, by=OP)
        said.add(str(no.value).replace(code, ""))
        study.write(mapped({}, code), by=OP)
        with pytest.raises(ValidationProblem, match=r"was asked nothing: its plan has no table \[decision\]"):
            study.resolve(code, by=OP)
    assert len(said) == 1
    with pytest.raises(ValidationProblem, match="P009 is not allocated"):
        study.resolve("P009", by=OP)


def test_a_crash_between_reason_and_target_changes_neither(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.write(mapped(OPEN), by=OP)
    with pytest.raises(ValidationProblem, match="the role assessor does not write target resolved"):
        study.resolve("P001", by=AS)
    with monkeypatch.context() as broken:
        broken.setattr("rtloop.study.study.TargetChosen", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            study.resolve("P001", by=OP)
    study.write(mapped(NAMED, day=MONDAY, session="map-zz"), by=OP)  # a later map changes it no more
    assert study.resolve("P001", by=OP).startswith("P001 is treated at M1")
    assert study.problems() == []


def test_the_course_waits_for_more_pulses_in_every_arm() -> None:
    waits = course(if_undecided="more")
    for arm in ("low", "high", "classic"):
        got = resolve(waits, arm, mapped(OPEN), "x")
        assert (got.target, got.rule) == ("", "more")
        assert got.words.startswith(f"the course waits: {map_words(waits, mapped(OPEN))}; go on with the map")
    assert [resolve(waits, a, mapped(NAMED), "x").target for a in ("low", "high", "classic")] == [
        "ACC",
        "PSI",
        "M1",
    ]


def test_chance_is_drawn_from_what_nobody_knew_and_can_be_drawn_again() -> None:
    lots = course(if_undecided="chance")
    got = [resolve(lots, "low", mapped(OPEN), f"{k}").target for k in range(300)]
    assert got == [resolve(lots, "low", mapped(OPEN), f"{k}").target for k in range(300)]
    assert all(70 < got.count(t) < 130 for t in ("M1", "ACC", "PSI"))
    assert resolve(lots, "high", mapped(OPEN), "x").rule == "map"


def test_the_newest_accepted_map_counts() -> None:
    maps = [("a", mapped(NAMED)), ("b", mapped(OPEN, day="2026-11-30", session="map-2")),
            ("c", mapped(NOT, day="2026-12-01", accepted=False))]  # fmt: skip
    found = newest(maps)
    assert found is not None
    assert found[0] == "b"
    assert newest(maps[2:]) is None


@pytest.mark.parametrize("wrong", [
    {"low": ("decided", "", None, "")}, {"mid": NAMED["low"]}, {"low": ("undecided", "M1", None, "")},
    {"low": ("undecided", "", 0, "")},
])  # fmt: skip
def test_answers_that_contradict_themselves_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationProblem, match="answers = "):
        mapped(wrong)
