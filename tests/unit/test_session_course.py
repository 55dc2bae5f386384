"""The engine asks the map for the next visit when its steps are over, and obeys what it answers; nothing is added silently."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from decision_plan_tools import DECISION, asking

from rtloop.decide.comparability import Check, Comparability, Finding
from rtloop.decide.look import Look, Outcome
from rtloop.decide.mapping import Question
from rtloop.decide.signals import TargetSignal
from rtloop.errors import ValidationProblem
from rtloop.model.status import Lamp
from rtloop.plan.decision import prescription_of
from rtloop.plan.expand import Place, Preview, Review, Run, visit_again, visit_anew
from rtloop.plan.load import parse_plan
from rtloop.session import engine as e
from rtloop.session.course import Course, course_of, look_at
from rtloop.session.engine import Engine
from rtloop.session.ongoing import Ongoing, with_common_pairs

READY = e.Standing(lamp=Lamp.READY, power_pct_mso=0, outstanding=0)
ARMED = e.Standing(lamp=Lamp.ARMED, power_pct_mso=45, outstanding=0)
PLAN = parse_plan(asking())


def _engine(*, course: bool = True) -> Engine:
    steps = [Place(index=0, target="M1"), Review(index=1, target="M1", rejected_share_max=0.3)]
    return Engine(
        steps, places={"M1": "C3", "PSI": "C5"}, isi_s=(2.0, 2.0), seed=1, enough=lambda a, g, w, m: a >= w or g >= m,
        course=course,
    )  # fmt: skip


def _say(engine: Engine, *words: str, standing: e.Standing = READY) -> list[e.Order]:
    out: list[e.Order] = []
    for word in words:
        out += engine.advance(1.0, [e.Said(word=word)], standing)
    return out


def _through(engine: Engine) -> list[e.Order]:
    engine.advance(0.0, [], READY)
    return _say(engine, "placed", "accept")


def test_without_a_question_the_plan_ends_and_with_one_the_map_is_asked_once() -> None:
    assert [type(o) for o in _through(_engine(course=False))][-1] is e.Finish
    engine = _engine()
    assert _through(engine)[-1] == e.Propose(left_out="")
    assert engine.advance(2.0, [], READY) == []  # the answer is under way
    assert engine.why_not(e.Said(word="go")) == "the map is looked at; a moment"
    assert [type(o) for o in engine.advance(3.0, [e.Proposed(steps=())], READY)] == [e.Disarm, e.Finish]


def test_before_the_map_is_looked_at_the_unit_is_disarmed() -> None:
    engine = _engine()
    engine.advance(0.0, [], READY)
    _say(engine, "placed")
    orders = _say(engine, "accept", standing=ARMED)
    assert [type(o) for o in orders[-2:]] == [e.Disarm, e.Propose]


def test_a_trip_while_the_map_is_asked_ends_the_session() -> None:
    engine = _engine()
    _through(engine)
    tripped = e.Standing(lamp=Lamp.TRIPPED, power_pct_mso=0, outstanding=0)
    finish = engine.advance(2.0, [], tripped)[-1]
    assert finish == e.Finish(reason="the interlock tripped", complete=False)


def test_a_return_visit_gives_its_reason_and_forgets_no_trial() -> None:
    engine = _engine()
    _through(engine)
    steps = visit_again(PLAN, "M1", 2, 4, "return visit before the next look")
    (ask,) = engine.advance(2.0, [e.Proposed(steps=steps)], READY)
    assert isinstance(ask, e.Ask)
    assert ask.words == "place the coil at M1 (C3): return visit before the next look"
    orders = _say(engine, "placed")
    assert not [o for o in orders if isinstance(o, e.Restart)]
    assert isinstance(engine.step, Run)
    for _ in range(2):
        orders += engine.advance(3.0, [e.Judged(target="M1", block="run", accepted=True)], READY)
    orders += engine.advance(4.0, [], ARMED)
    (review,) = [o for o in orders if isinstance(o, e.Ask) and o.phase == "review"]
    assert "earlier trials do not count" in review.words
    redone = _say(engine, "redo")
    assert [o.block for o in redone if isinstance(o, e.Restart)] == ["preview", "run", "control"]
    assert redone[-1] == e.Propose(
        left_out=""
    )  # the course knows that the target is to be recorded from the beginning


def test_a_visit_from_the_beginning_previews_within_itself_and_a_skipped_one_is_told() -> None:
    engine = _engine()
    _through(engine)
    engine.advance(2.0, [e.Proposed(steps=visit_anew(PLAN, "PSI", "first visit"))], READY)
    _say(engine, "placed")
    assert isinstance(engine.step, Preview)
    assert _say(engine, "skip")[-1] == e.Propose(left_out="PSI")


class _Line:
    """Counts of trials and nothing else."""

    def __init__(self) -> None:
        self.n = {"M1": 0, "PSI": 0}
        self.ongoing: object = None
        self.spec = SimpleNamespace(sound=True, muscle=True)

    def renew(self, target: str, block: str) -> bool:
        self.renewed = [*getattr(self, "renewed", []), target]
        return True

    def scorer(self, target: str, block: str) -> SimpleNamespace:
        return SimpleNamespace(n_accepted=self.n[target], seen=self.n[target])


def _course(
    monkeypatch: pytest.MonkeyPatch, *looks: Look
) -> tuple[Course, _Line, list[tuple[str, dict[str, Any]]]]:
    line, told, due = _Line(), [], list(looks)
    monkeypatch.setattr("rtloop.session.course.look_at", lambda *_: (due.pop(0), ()))
    course = course_of(PLAN, line)  # type: ignore[arg-type]
    assert course is not None
    course.emit = lambda kind, /, *, sync=False, **data: told.append((kind, data))
    return course, line, told


def _look(outcome: Outcome, number: int = 1, *failed: Finding) -> Look:
    return Look(
        number=number, of=2, outcome=outcome, question=Question.LOW, words=f"it is {outcome.value}", leader="PSI",
        challenger="M1", comparability=Comparability(findings=failed, label="comparable"),
    )  # fmt: skip


def _failed(target: str, more_pulses: int | None = None) -> Finding:
    return Finding(
        check=Check.RESIDUE, target=target, found=3.0, limit=2.0, passed=False, words="too much", remedy="turn the coil",
        more_pulses=more_pulses,
    )  # fmt: skip


def _visit(course: Course, line: _Line, target: str, n: int) -> None:
    line.n[target] += n
    course.accepted(target)


def test_a_return_visit_counts_only_what_it_brought_and_the_answer_comes_after_the_second_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    course, line, told = _course(monkeypatch, _look(Outcome.RETURN), _look(Outcome.NAMED, 2))
    _visit(course, line, "M1", 12)
    assert course.next()[0].target == "PSI"  # not visited yet: a first visit, with its preview
    _visit(course, line, "PSI", 13)
    place, run, _ = course.next()
    assert (place.target, isinstance(run, Run) and (run.pulses_wanted, run.pulses_max, run.adds)) == (
        "PSI",
        (8, 10, True),
    )
    _visit(course, line, "PSI", 8)
    assert course.next()[0].target == "M1"
    assert course.decision()["kind"] == "undecided"  # the second look was not made yet
    assert "before look 2 of 2" in course.decision()["words"]
    _visit(course, line, "M1", 8)
    assert course.next() == ()
    assert (course.decision()["kind"], course.decision()["target"]) == ("decided", "PSI")
    assert [d["accepted"] for k, d in told if k == "map_visited"] == [12, 13, 8, 8]
    assert [d["outcome"] for d in course.decision()["looks"]] == ["return to two", "named"]


@pytest.mark.parametrize(("asked", "renewed"), [("fresh", ["M1"]), ("kept", [])])
def test_a_return_visit_learns_its_own_filter_where_the_coil_was_moved(
    monkeypatch: pytest.MonkeyPatch, asked: str, renewed: list[str]
) -> None:
    plan = parse_plan(asking(DECISION.replace("repairs = 1", f'repairs = 1\nreturn_filter = "{asked}"')))
    monkeypatch.setattr("rtloop.session.course.look_at", lambda *_: (_look(Outcome.RETURN), ()))
    line, told = _Line(), []
    course = course_of(plan, line)  # type: ignore[arg-type]
    assert course is not None
    course.emit = lambda kind, /, *, sync=False, **data: told.append((kind, data))
    for target in ("M1", "PSI"):
        _visit(course, line, target, 12)
    for target in ("PSI", "M1"):  # first where the coil is still
        place = course.next()[0]
        assert place.target == target
        assert isinstance(place, Place)
        assert "its 12 accepted trials so far count on" in place.why
        _visit(course, line, target, 8)
    assert getattr(line, "renewed", []) == renewed
    assert [d["target"] for k, d in told if k == "filter_renewed"] == renewed
    goes_on = [d["words"] for k, d in told if k == "note_written"]
    assert [words[:3] for words in goes_on] == (
        [] if renewed else ["M1:"]
    )  # what the plan says is told either way
    assert all("goes on with the artifact filter of the visit before" in words for words in goes_on)
    assert course.fixed()["return_filter"] == asked


def test_where_no_artifact_filter_is_learnt_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    course, line, told = _course(monkeypatch, _look(Outcome.RETURN))
    line.spec = SimpleNamespace(sound=False, muscle=False)
    for target in ("M1", "PSI"):
        _visit(course, line, target, 12)
    for target in ("PSI", "M1"):
        assert course.next()[0].target == target
        _visit(course, line, target, 8)
    assert not [k for k, _ in told if k in ("filter_renewed", "note_written")]


def test_where_targets_are_not_comparable_the_worst_may_be_recorded_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = _look(Outcome.NOT_COMPARABLE, 1, _failed("M1", 5), _failed("PSI"))
    course, line, told = _course(monkeypatch, refused, _look(Outcome.UNDECIDED))
    for target in ("M1", "PSI"):
        _visit(course, line, target, 12)
    (ask,) = course.next()
    assert isinstance(ask, Review)
    assert ask.target == "PSI"  # pulses alone do not mend it
    assert "Redo: PSI from the beginning" in ask.question
    line.n["PSI"] = 0
    course.restarted("PSI")
    assert ("map_restarted", {"event": "restart", "target": "PSI"}) in told
    assert "before look 1 of 2" in course.decision()["words"]  # what was refused is gone
    steps = course.next()
    assert [type(s) for s in steps[:2]] == [Place, Preview]
    course.restarted("PSI")  # its block begins: nothing was counted yet
    _visit(course, line, "PSI", 12)
    assert course.next() == ()
    assert course.decision()["kind"] == "undecided"
    assert [k for k, _ in told].count("map_restarted") == 1


def test_accepting_what_is_not_comparable_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    course, line, told = _course(monkeypatch, _look(Outcome.NOT_COMPARABLE, 1, _failed("PSI")))
    for target in ("M1", "PSI"):
        _visit(course, line, target, 12)
    assert len(course.next()) == 1
    course.accepted("PSI")
    assert course.next() == ()
    decision = course.decision()
    assert (decision["kind"], decision["target"]) == ("not_comparable", None)
    assert [f["remedy"] for f in decision["findings"]] == ["turn the coil"]
    assert [k for k, _ in told].count("map_visited") == 2


def test_a_proposed_visit_that_is_left_out_ends_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    course, line, _ = _course(monkeypatch, _look(Outcome.RETURN))
    for target in ("M1", "PSI"):
        _visit(course, line, target, 12)
    assert course.next()
    assert course.next("PSI") == ()
    decision = course.decision()
    assert decision["kind"] == "undecided"
    assert "the proposed visit of PSI was left out, before look 2 of 2" in decision["words"]


def test_a_target_without_trials_is_not_comparable_in_words() -> None:
    line = SimpleNamespace(
        scorer=lambda t, b: SimpleNamespace(
            target=t, connectivity=SimpleNamespace(slots=SimpleNamespace(ids=list))
        ),
        meanwhile=lambda: None,
    )
    fixed = prescription_of(PLAN)
    assert fixed is not None
    found, scores = look_at(line, Ongoing(), fixed, [], 1, {})  # type: ignore[arg-type]
    assert (found.outcome, scores) == (Outcome.NOT_COMPARABLE, ())
    assert found.words == (
        "The targets are not comparable: M1 has no trials that could be compared; 0. What to do: record M1."
    )


def _signal(target: str, bad: int) -> TargetSignal:
    rng = np.random.default_rng(bad)
    planes = rng.standard_normal((4, 12, 6, 5)).astype(np.float32)
    good = np.ones((12, 6), dtype=np.bool_)
    good[:, bad] = False
    a, b = np.triu_indices(6, 1)
    w = np.where((a == bad) | (b == bad), 0.0, 1.0)
    return TargetSignal(
        target=target, re=planes[0], im=planes[1], ongoing_re=planes[2], ongoing_im=planes[3], good=good,
        bands={"alpha": slice(0, 5)}, weights=w / w.sum(),
    )  # fmt: skip


def test_a_channel_that_is_bad_at_one_target_is_left_out_at_all() -> None:
    positions = np.arange(18, dtype=np.float64).reshape(6, 3) ** 1.5
    both, lost = with_common_pairs([_signal("M1", 1), _signal("PSI", 4)], positions)
    assert lost == (1, 4)
    a, b = np.triu_indices(6, 1)
    for signal in both:
        assert signal.used.tolist() == [True, False, True, True, False, True]
        assert np.all((signal.weights > 0) == (~np.isin(a, lost) & ~np.isin(b, lost)))
        assert signal.weights.sum() == pytest.approx(1.0)
    short = [replace(_signal("M1", 1), weights=np.zeros(15)), _signal("PSI", 4)]
    with pytest.raises(ValidationProblem, match="no pair of electrodes"):
        with_common_pairs(short, positions)
