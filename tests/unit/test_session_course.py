"""The engine asks the map for the next visit when its steps are over, and obeys what it answers; nothing is added silently."""

from __future__ import annotations

from decision_plan_tools import asking

from rtloop.model.status import Lamp
from rtloop.plan.expand import Place, Preview, Review, Run, visit_again, visit_anew
from rtloop.plan.load import parse_plan
from rtloop.session import engine as e
from rtloop.session.engine import Engine

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
