"""The engine's end of the port process without a process: each outcome, each deadline, what a silent or dead one leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from client_tools import READY, STANDBY, Conn, Made, Process, Watched, receipt, status

from drivers import client as module
from drivers.client import MagstimUnit
from drivers.magstim.units import facts_of
from drivers.requests import Answer, Ask, Opened, Request
from drivers.trouble import UnitProblem
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.errors import NotReady
from rtloop.model.pulse import Delivery, FireReceipt, Pair, Train
from rtloop.model.status import Fault
from rtloop.ports import Stimulator

NOT, SURE, MAYBE = Delivery.NOT_DELIVERED, Delivery.DELIVERED, Delivery.UNCERTAIN
TRAIN, PAIR = Train(frequency_hz=10, n_pulses=20), Pair(power_b_pct_mso=35, interval_ms=3)
ENDED = UnitProblem(Fault.ENGINE_LATE, "the run has tripped")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    m = Made(tmp_path)
    yield m
    m.end()


def took_s(m: Made, call: Callable[[], object], fault: Fault | None = None) -> float:
    """How long a call took; ``fault``: that it must end in."""
    start_s = m.clock.now_s()
    if fault is None:
        call()
    else:
        with pytest.raises(UnitProblem) as problem:
            call()
        assert problem.value.fault is fault
    return m.clock.now_s() - start_s


# ---- one request


REQUESTS: list[tuple[Ask, Callable[[MagstimUnit], object], dict[str, Any], float]] = [
    (Ask.SET_POWER, lambda u: u.set_power(50), {"power_pct_mso": 50}, 2.1),
    (Ask.SET_POWER, lambda u: u.set_power(10), {"power_pct_mso": 10}, 5.0),
    (Ask.ARM, lambda u: u.arm(), {}, 2.5),
    (Ask.SET_TRAIN, lambda u: u.set_train(TRAIN), {"train": TRAIN}, 14.0),
    (Ask.SET_TRAIN, lambda u: u.set_train(None), {"train": None}, 14.0),
    (Ask.SET_PAIR, lambda u: u.set_pair(None), {"pair": None}, 14.0),
    (Ask.STATUS, lambda u: u.refresh(), {}, 0.6),
]


@pytest.mark.parametrize(("ask", "call", "fields", "within_s"), REQUESTS)
def test_each_request_is_sent_once_and_its_own_answer_is_handed_over(
    made: Made, ask: Ask, call: Callable[[MagstimUnit], object], fields: dict[str, Any], within_s: float
) -> None:
    said = status(READY, t_s=3.0)
    made.answers(status=said)
    assert call(made.unit) is said
    assert call(made.unit) is said
    assert made.conn.sent == [Request(n=1, ask=ask, **fields), Request(n=2, ask=ask, **fields)]
    assert made.lock.free


@pytest.mark.parametrize(("ask", "call", "fields", "within_s"), REQUESTS)
def test_each_request_has_its_deadline(
    made: Made, ask: Ask, call: Callable[[MagstimUnit], object], fields: dict[str, Any], within_s: float
) -> None:
    with pytest.raises(UnitProblem, match=f"did not answer {ask}"):
        call(made.unit)
    assert took_s(made, lambda: call(made.unit), Fault.PORT_DEAD) == pytest.approx(within_s, abs=0.011)
    assert made.lock.free


def lives(m: Made, until_s: float) -> None:
    """The port process shows life, and polls of the client see it, until then."""

    def beat(now_s: float) -> None:
        if now_s <= until_s:
            m.board.beat("port")

    m.clock.listen(beat)


@pytest.mark.parametrize(
    ("call", "short_s", "long_s"),
    [
        (lambda u: u.set_power(50), 2.1, 2.1), (lambda u: u.arm(), 2.5, 6.0), (lambda u: u.set_train(TRAIN), 14.0, 14.0),
        (lambda u: u.refresh(), 0.6, 1.5),
    ],
)  # fmt: skip
def test_a_port_process_that_lives_has_longer_for_what_may_take_longer(
    made: Made, call: Callable[[MagstimUnit], object], short_s: float, long_s: float
) -> None:
    lives(made, made.clock.now_s() + 60.0)
    assert took_s(made, lambda: call(made.unit), Fault.PORT_DEAD) == pytest.approx(long_s, abs=0.011)
    made.clock.advance(60.0)  # it shows no life any more
    assert took_s(made, lambda: call(made.unit), Fault.PORT_DEAD) == pytest.approx(short_s, abs=0.011)


@pytest.mark.parametrize("silent_s", [0.3, 0.45])
def test_a_port_process_that_showed_life_half_a_second_ago_is_in_a_write_to_the_line(
    made: Made, silent_s: float
) -> None:
    """Its last sign of life comes before the short deadline; beyond half a second of silence nothing more is waited for."""
    start_s = made.clock.now_s()
    lives(made, start_s + silent_s)
    assert took_s(made, made.unit.refresh, Fault.PORT_DEAD) == pytest.approx(silent_s + 0.5, abs=0.021)


def test_an_answer_behind_one_that_nobody_waits_for_is_taken_at_the_last_moment(made: Made) -> None:
    mine = status(READY)
    made.conn.say(Answer(n=7, status=status()), 0.65)
    made.conn.say(Answer(n=1, status=mine), 0.65)
    made.conn.jumps[1] = made.clock.now_s() + 0.7
    assert made.unit.refresh() is mine


def test_who_waits_for_standby_shows_life(made: Made) -> None:
    made.clock.advance(1.0)
    made.serves_disarm(0.0, instr=None)
    made.unit.disarm()
    assert made.board.age_s("engine") < 0.01


@pytest.mark.parametrize("due_s", [float("nan"), float("inf"), "soon"])
def test_what_is_no_instant_is_not_announced(made: Made, due_s: Any) -> None:
    assert took_s(made, lambda: made.unit.announce(due_s), Fault.UNIT_UNEXPECTED) == 0
    assert made.conn.sent == []
    assert made.lock.free


def test_a_power_whose_start_is_not_known_is_waited_for_as_long_as_the_longest_ramp(made: Made) -> None:
    made.board["unit_power"] = -1
    assert took_s(made, lambda: made.unit.set_power(50), Fault.PORT_DEAD) == pytest.approx(12.0, abs=0.011)


def test_the_deadline_itself_is_too_late(made: Made) -> None:
    made.conn.jumps[1] = made.clock.now_s() + 0.6
    with pytest.raises(UnitProblem, match="did not answer"):
        made.unit.refresh()
    assert len(made.conn.polls) == 1


def test_who_waits_looks_and_shows_life_every_10_ms_and_not_more_often(made: Made) -> None:
    made.clock.advance(1.0)
    with pytest.raises(UnitProblem):
        made.unit.refresh()
    assert {wait_s for _, wait_s in made.conn.polls} == {0.01}
    assert made.board.age_s("engine") == pytest.approx(0.01, abs=1e-6)


@pytest.mark.parametrize("beat", [0, -1])
def test_an_engine_that_has_not_begun_or_has_ended_is_not_shown_alive(made: Made, beat: int) -> None:
    made.board["beat_engine"] = beat
    made.answers(status=status())
    made.unit.refresh()
    assert made.board["beat_engine"] == beat


def test_an_engine_of_the_first_nanosecond_lives(made: Made) -> None:
    made.board["beat_engine"] = 1
    made.answers(status=status())
    made.unit.refresh()
    assert made.board.age_s("engine") < 0.1


def test_an_answer_to_another_request_is_none_to_this(made: Made) -> None:
    mine = status(READY)
    made.conn.say(Answer(n=7, status=status()))
    made.conn.say("no answer at all")
    made.conn.say(Answer(n=2, status=status()))
    made.answers(status=mine)
    assert made.unit.refresh() is mine
    assert not made.conn.inbox


def test_a_refused_request_raises_what_the_port_process_found(made: Made) -> None:
    made.answers(problem=ENDED)
    with pytest.raises(UnitProblem) as problem:
        made.unit.refresh()
    assert problem.value is ENDED


@pytest.mark.parametrize(
    "end", [EOFError(), ConnectionResetError(), OSError("got end of file during message")]
)
def test_a_port_process_that_ends_during_a_request_is_dead(made: Made, end: Exception) -> None:
    made.conn.say(end, 0.1)
    with pytest.raises(UnitProblem, match="dead") as problem:
        made.unit.refresh()
    assert problem.value.fault is Fault.PORT_DEAD
    assert "ended during status" in problem.value.found
    assert made.lock.free


def test_a_request_that_cannot_be_sent_says_so(made: Made) -> None:
    made.conn.deaf = BrokenPipeError()
    with pytest.raises(UnitProblem, match="not sent") as problem:
        made.unit.arm()
    assert problem.value.fault is Fault.PORT_DEAD
    assert made.lock.free


def test_one_request_is_in_flight_and_a_fire_waits_least_for_another(made: Made) -> None:
    made.lock.free = False
    with pytest.raises(UnitProblem, match="in flight") as problem:
        made.unit.refresh()
    assert problem.value.fault is Fault.UNIT_UNEXPECTED
    assert made.unit.fire(made.permit()).delivery is NOT
    assert made.lock.waits == [0.6, 0.05]
    assert made.conn.sent == []
    made.lock.free = True


def test_what_the_model_cannot_do_is_not_sent(tmp_path: Path) -> None:
    made = Made(tmp_path, model="200")
    for call in (
        lambda: made.unit.set_power(101),
        lambda: made.unit.set_train(TRAIN),
        lambda: made.unit.set_pair(PAIR),
    ):
        assert took_s(made, call, Fault.UNIT_UNEXPECTED) == 0
    assert made.conn.sent == []
    made.end()


def test_what_the_unit_is_and_can_do_is_told_without_asking(made: Made) -> None:
    assert made.unit.identity.port == "P"
    assert made.unit.capabilities.trains
    assert made.unit.min_interval_s(40) == 1.0
    assert made.unit.train_refusals(100, Train(frequency_hz=100, n_pulses=100))
    assert made.unit.pid == 4711
    assert made.conn.sent == []


# ---- what a fire came to


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("delivery", [SURE, NOT, MAYBE])
def test_the_receipt_of_the_port_process_is_the_outcome(made: Made, delivery: Delivery) -> None:
    given, permit = receipt(delivery), made.permit()
    made.answers(receipt=given)
    assert made.unit.fire(permit) is given
    assert made.conn.sent == [Request(n=1, ask=Ask.FIRE, permit=permit)]


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("setting", "bounds"), [({}, (None, None)), ({"pair": PAIR}, (0, 2)), ({"train": TRAIN}, (0, 20))]
)
@pytest.mark.parametrize(
    "how", [None, EOFError(), ConnectionResetError(), OSError("got end of file during message"), ENDED]
)
def test_a_fire_without_an_answer_is_uncertain_and_disarmed(
    made: Made, setting: dict[str, Any], bounds: tuple[int | None, int | None], how: Exception | None
) -> None:
    if how is ENDED:
        made.answers(problem=ENDED)
    elif how is not None:
        made.conn.say(how, 0.1)
    made.serves_disarm(0.01)
    made.instr(READY)
    start_s = made.clock.now_s()
    got = made.unit.fire(made.permit(**setting))
    assert (got.delivery, got.pulses_min, got.pulses_max) == (MAYBE, *bounds)
    assert (got.t_sent_s, got.t_reply_s) == (None, None)
    assert got.reason
    assert got.status is not None
    assert got.status.standby
    assert made.board["disarm_done"] == 1
    if how is None:
        assert made.clock.now_s() - start_s == pytest.approx(0.612, abs=0.015)


@pytest.mark.req("R-UNCERTAIN")
def test_a_fire_without_an_answer_that_cannot_be_disarmed_is_uncertain_all_the_same(made: Made) -> None:
    made.board["port_state"] = 2
    made.instr(READY)
    got = made.unit.fire(made.permit())
    assert got.delivery is MAYBE
    assert got.status is not None
    assert got.status.ready  # the newest that is known


def test_the_deadlines_that_a_stimulator_promises_are_those_of_the_client() -> None:
    words = " ".join((Stimulator.__doc__ or "").split())
    facts = facts_of("bistim")
    ramp_s = facts.ramp_s(facts.power_high_pct_mso, facts.power_low_pct_mso)
    assert module.DISARM_S + module.CONFIRM_S <= 1.0
    assert "``disarm`` 1;" in words
    assert module.ANSWER_S + 0.05 + module.DISARM_S + module.CONFIRM_S <= 1.7
    assert "``fire`` 1.7 (" in words
    assert f"``arm`` {module.ARM_S:g};" in words
    assert f"its ramp, at most {ramp_s:g}, and 2;" in words
    assert f"``set_pair`` {module.SETTING_S:g}," in words
    assert module.CLOSE_S + 3 * 1.0 <= 5.0
    assert "``close`` 5." in words


@pytest.mark.req("R-PERMIT")
@pytest.mark.parametrize("permit", [None, "permit", 1, TRAIN])
@pytest.mark.parametrize("alive", [True, False])
def test_what_is_no_permit_is_not_even_sent(made: Made, permit: Any, alive: bool) -> None:
    made.process.alive = alive
    if not alive:  # it dies of the request
        made.conn.say(EOFError())
    got = made.unit.fire(permit)
    assert got.delivery is Delivery.NOT_DELIVERED
    assert got.reason == f"refused: no permit, but {type(permit).__name__}"
    assert made.conn.sent == []


def test_the_status_of_an_uncertain_fire_is_of_now(made: Made) -> None:
    made.process.alive = False  # nobody disarms, so nobody looks at the status again
    made.conn.reply = lambda _: (made.instr(READY), ())[1]
    got = made.unit.fire(made.permit())
    assert got.status is not None
    assert got.status.ready


def _deaf(m: Made) -> None:
    m.conn.deaf = BrokenPipeError()


def _busy(m: Made) -> None:
    m.lock.free = False


def _closed(m: Made) -> None:
    m.process.alive = False
    m.unit.close()


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("how", [_deaf, _busy, _closed])
@pytest.mark.parametrize("train", [None, TRAIN])
def test_what_never_left_this_process_was_not_delivered(
    made: Made, how: Callable[[Made], None], train: Train | None
) -> None:
    how(made)
    permit = made.permit(train=train)
    got = made.unit.fire(permit)
    assert (got.delivery, got.t_sent_s, got.pulses_max) == (NOT, None, None)
    assert got.reason
    assert got.status is not None
    assert made.conn.sent == []
    made.lock.free = True
    made.clock.advance(60.0)
    assert made.unit.train_end() is None  # no train was begun


# ---- what was given of a train


def fired(m: Made, delivery: Delivery = SURE) -> FireReceipt:
    m.answers(receipt=receipt(delivery))
    return m.unit.fire(m.permit(train=TRAIN))


def end_of(n: int) -> FireReceipt:
    return receipt(pulses_min=n, pulses_max=n)


def test_the_end_of_a_train_is_none_until_it_is_told(made: Made) -> None:
    assert made.unit.train_end() is None
    fired(made)
    assert made.unit.train_end() is None
    end = end_of(20)
    made.conn.say(Answer(n=0, receipt=end))
    assert made.unit.train_end() is end
    made.clock.advance(10.0)
    assert made.unit.train_end() is end


def test_an_end_that_comes_with_the_answer_is_kept(made: Made) -> None:
    end = end_of(20)
    made.conn.reply = lambda request: [
        (0.001, Answer(n=0, receipt=end)),
        (0.001, Answer(n=request.n, receipt=receipt())),
    ]
    made.unit.fire(made.permit(train=TRAIN))
    made.clock.advance(10.0)
    assert made.unit.train_end() is end


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("delivery", [SURE, MAYBE])
def test_an_end_that_nobody_tells_is_nothing_to_all_of_it(made: Made, delivery: Delivery) -> None:
    given = fired(made, delivery)
    over_s = made.clock.now_s() + TRAIN.duration_s + 0.9
    made.clock.sleep_until(over_s - 0.001)
    assert made.unit.train_end() is None
    made.clock.sleep_until(over_s)
    told = made.unit.train_end()
    assert told is not None
    assert told == replace(given, delivery=MAYBE, pulses_min=0, pulses_max=20, reason=told.reason)
    assert "20 pulses" in told.reason
    assert made.unit.train_end() is told


def test_a_train_that_was_not_delivered_has_no_end(made: Made) -> None:
    fired(made, NOT)
    made.clock.advance(10.0)
    assert made.unit.train_end() is None


@pytest.mark.parametrize("how", [_deaf, _busy, lambda m: m.answers(receipt=receipt(NOT))])
def test_a_second_train_that_never_began_leaves_the_end_of_the_first(
    made: Made, how: Callable[[Made], None]
) -> None:
    fired(made)
    end = end_of(20)
    made.conn.say(Answer(n=0, receipt=end))
    made.unit.train_end()
    how(made)
    assert made.unit.fire(made.permit(train=TRAIN)).delivery is NOT
    made.lock.free = True
    assert made.unit.train_end() is end


@pytest.mark.parametrize("delivery", [SURE, MAYBE])
def test_a_second_train_forgets_the_end_of_the_first(made: Made, delivery: Delivery) -> None:
    fired(made)
    made.conn.say(Answer(n=0, receipt=end_of(20)))
    made.unit.train_end()
    fired(made, delivery)
    assert made.unit.train_end() is None


@pytest.mark.parametrize("wrong", [None, "a permit"])
def test_single_pulses_and_what_is_no_permit_leave_the_end_of_a_train(made: Made, wrong: object) -> None:
    fired(made)
    end = end_of(20)
    made.conn.say(Answer(n=0, receipt=end))
    made.unit.train_end()
    made.answers(receipt=receipt(SURE if wrong is None else NOT))
    made.unit.fire(made.permit() if wrong is None else wrong)  # type: ignore[arg-type]
    assert made.unit.train_end() is end


# ---- what is told unasked


def test_a_trip_is_told_once_it_came_until_armed_anew(made: Made) -> None:
    assert made.unit.told() is None
    assert made.unit.trouble() is None
    made.conn.say(Answer(n=0, problem=ENDED))
    assert made.unit.told() is ENDED
    assert made.unit.told() is ENDED
    assert made.unit.trouble() is ENDED
    made.answers(status=status(READY))
    made.unit.refresh()
    assert made.unit.told() is ENDED
    made.unit.arm()
    assert made.unit.told() is None


def test_a_trip_that_comes_before_an_answer_is_kept(made: Made) -> None:
    made.conn.say(Answer(n=0, problem=ENDED))
    made.answers(status=status())
    made.unit.refresh()
    assert made.unit.told() is ENDED
    assert made.unit.train_end() is None


def test_asking_what_is_told_never_waits(made: Made) -> None:
    made.conn.say(Answer(n=0, problem=ENDED))
    made.conn.say(Answer(n=0, receipt=end_of(3)))
    assert took_s(made, made.unit.trouble) == 0
    assert not made.conn.inbox
    assert took_s(made, made.unit.train_end) == 0
    made.lock.free = False
    assert made.unit.told() is ENDED  # what is known while a request is in flight
    made.lock.free = True
    assert made.unit.told() is ENDED
    assert set(made.lock.waits) == {0.0}


@pytest.mark.parametrize("end", [EOFError(), OSError()])
def test_a_port_process_that_ended_is_told_as_dead(made: Made, end: Exception) -> None:
    made.conn.say(end)
    for ask in (made.unit.told, made.unit.trouble):
        problem = ask()
        assert problem is not None
        assert (problem.fault, problem.found) == (Fault.PORT_DEAD, "it ended")
    assert made.lock.free


@pytest.mark.req("R-ORPHAN")
def test_a_port_process_without_a_heartbeat_is_in_trouble_and_has_told_nothing(made: Made) -> None:
    made.clock.advance(0.29)
    assert made.unit.trouble() is None
    made.clock.advance(0.02)
    problem = made.unit.trouble()
    assert problem is not None
    assert (problem.fault, problem.found) == (Fault.PORT_DEAD, "its heartbeat is 0.31 s old")
    assert made.unit.told() is None
    made.conn.say(Answer(n=0, problem=ENDED))
    assert made.unit.trouble() is ENDED  # what was told comes first
    made.board.beat("port")
    made.unit._trouble = None
    assert made.unit.trouble() is None


def test_a_closed_unit_tells_of_nothing_and_does_not_look(made: Made) -> None:
    made.conn.say(Answer(n=0, problem=ENDED))
    made.instr(READY)
    _closed(made)
    assert made.unit.told() is None
    assert made.unit.trouble() is None
    assert made.unit.pid is None
    assert made.unit.status().ready  # the last that it said
    made.unit.announce(5.0)
    made.unit.disarm()
    made.unit.close()
    assert took_s(made, made.unit.refresh, Fault.PORT_DEAD) == 0
    assert made.lock.free


def test_the_status_is_what_the_board_has_now(made: Made) -> None:
    assert made.unit.status().standby
    made.instr(READY, 55)
    assert made.unit.status().ready
    assert made.unit.status().power_pct_mso == 55


def test_a_pulse_to_come_is_announced_without_waiting_for_anything(made: Made) -> None:
    made.unit.announce(1234.5)
    assert made.conn.sent == [Request(n=0, ask=Ask.ANNOUNCE, due_s=1234.5)]
    assert made.lock.free
    made.lock.free = False
    made.unit.announce(1235.0)
    assert len(made.conn.sent) == 1
    made.lock.free = True
    made.conn.deaf = BrokenPipeError()
    made.unit.announce(1236.0)
    assert made.lock.free
    assert set(made.lock.waits) == {0.0}


# ---- disarming


@pytest.mark.req("R-STOP")
def test_disarming_returns_once_the_unit_itself_says_standby(made: Made) -> None:
    made.instr(READY)
    made.serves_disarm(0.1, then_s=0.05)
    assert took_s(made, made.unit.disarm) == pytest.approx(0.151, abs=0.0021)
    assert made.unit.status().standby
    assert made.board["disarm_asked"] == made.board["disarm_done"] == 1
    made.unit.disarm()
    assert made.board["disarm_asked"] == 2
    assert made.conn.sent == []  # it never queues behind a request


@pytest.mark.req("R-STOP")
def test_a_status_from_before_ea_proves_nothing(made: Made) -> None:
    made.serves_disarm(0.1, instr=None)
    assert took_s(made, made.unit.disarm) == pytest.approx(0.6, abs=0.0025)  # it was in standby all along


@pytest.mark.req("R-STOP")
def test_a_status_of_the_instant_of_ea_proves_standby(made: Made) -> None:
    def serve(_: float) -> None:
        made.clock.sleep_until(1024.0)
        made.board["disarm_done"] = made.board["disarm_asked"]
        made.instr(STANDBY)

    made.clock.listen(serve)
    made.unit.disarm()
    assert made.unit.status().t_s == made.clock.now_s() == 1024.0


@pytest.mark.req("R-STOP")
def test_standby_is_waited_for_until_its_time_is_over_and_no_longer(made: Made) -> None:
    steps = [1024.0 + 0.5, 1024.0]

    def serve(now_s: float) -> None:
        if steps and now_s not in (1024.0, 1024.0 + 0.5):
            made.clock.sleep_until(steps.pop())
            made.board["disarm_done"] = made.board["disarm_asked"]

    made.clock.listen(serve)
    made.unit.disarm()
    assert made.clock.now_s() == 1024.0 + 0.5


@pytest.mark.req("R-STOP")
def test_a_unit_that_stays_armed_after_ea_is_read_from_the_status(made: Made) -> None:
    made.serves_disarm(0.01, instr=READY)
    assert took_s(made, made.unit.disarm) == pytest.approx(0.51, abs=0.0025)
    assert made.unit.status().ready


@pytest.mark.req("R-STOP")
def test_who_disarms_looks_every_millisecond(made: Made) -> None:
    seen: list[float] = []
    made.clock.listen(seen.append)
    made.serves_disarm(0.01, instr=None)
    made.unit.disarm()
    steps = [after - before for before, after in pairwise(seen)]
    assert steps == pytest.approx([0.001] * len(steps), rel=1e-6)


@pytest.mark.req("R-STOP")
def test_a_disarming_that_is_not_served_kills_the_port_process_after_half_a_second(made: Made) -> None:
    made.process.dies_of = "kill"
    assert took_s(made, made.unit.disarm, Fault.PORT_DEAD) == pytest.approx(0.5, abs=0.0015)
    assert made.story == ["kill"]


@pytest.mark.req("R-STOP")
def test_half_a_second_is_too_late(made: Made) -> None:
    made.clock.listen(lambda _: made.clock.sleep_until(1000.5))
    with pytest.raises(UnitProblem, match="dead"):
        made.unit.disarm()
    assert made.clock.now_s() == 1000.5


@pytest.mark.req("R-STOP")
def test_disarming_a_dead_process_or_a_lost_line_does_not_wait(made: Made) -> None:
    made.board["port_state"] = 2
    with pytest.raises(UnitProblem, match="lost") as problem:
        made.unit.disarm()
    assert problem.value.fault is Fault.UNIT_LOST
    for state in (0, 1, 3):
        made.board["port_state"] = state
        made.process.alive = True
        assert took_s(made, made.unit.disarm, Fault.PORT_DEAD) >= 0.499
        made.process.alive = False
        with pytest.raises(UnitProblem, match="dead") as problem:
            made.unit.disarm()
        assert problem.value.fault is Fault.PORT_DEAD
        assert "it ended" in problem.value.found
    assert made.clock.now_s() < 1002


def test_a_disarming_during_closing_is_over_with_it(made: Made) -> None:
    made.clock.listen(lambda _: setattr(made.unit, "_closed", True))
    assert took_s(made, made.unit.disarm) == pytest.approx(0.001)
    made.unit._closed = False


# ---- closing


def test_closing_asks_first_and_leaves_nothing_open(made: Made) -> None:
    made.answers(status=status())
    assert took_s(made, made.unit.close) == pytest.approx(0.003)
    assert [request.ask for request in made.conn.sent] == [Ask.CLOSE]
    assert made.story == ["join", "closed"]
    assert made.conn.closed
    with pytest.raises(ValueError):
        made.unit._board["port_state"]
    made.unit.close()
    assert made.story == ["join", "closed"]


@pytest.mark.parametrize(
    ("dies_of", "story", "within_s"),
    [
        ("terminate", ["join", "terminate", "join", "closed"], 3.0),
        ("kill", ["join", "terminate", "join", "kill", "join", "closed"], 4.0),
    ],
)
def test_a_port_process_that_does_not_end_is_ended(
    made: Made, dies_of: str, story: list[str], within_s: float
) -> None:
    made.process.dies_of = dies_of
    assert took_s(made, made.unit.close) == pytest.approx(within_s, abs=0.011)
    assert made.story == story


def test_a_kill_is_waited_for(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.process.dies_of = "nothing"
    joined: list[float] = []

    def join(timeout_s: float) -> None:
        joined.append(timeout_s)
        made.process.alive = len(joined) < 3

    monkeypatch.setattr(made.process, "join", join)
    made.unit.close()
    assert joined == [1.0, 1.0, 1.0]
    assert made.story == ["terminate", "kill", "closed"]


def test_a_dead_port_process_is_not_asked(made: Made) -> None:
    made.process.alive = False
    assert took_s(made, made.unit.close) == 0
    assert made.conn.sent == []
    assert made.story == ["closed"]


def test_a_unit_is_closed_at_the_end_of_its_block(made: Made) -> None:
    made.answers(status=status())
    with made.unit as unit:
        assert unit is made.unit
    assert made.conn.closed


# ---- opening


class Context:
    """What ``multiprocessing`` gives, without a process."""

    def __init__(self, clock: SteppedClock, says: object, after_s: float) -> None:
        self.ours, self.theirs = Conn(clock), Conn(clock)
        if says is not None:
            self.ours.say(says, after_s)
        self.story: list[str] = []
        self.process = Process(clock, self.story)
        self.process.dies_of = "terminate"
        self.duplex: bool | None = None
        self.asked: dict[str, Any] = {}

    def Pipe(self, *, duplex: bool) -> tuple[Conn, Conn]:  # as in multiprocessing
        self.duplex = duplex
        return self.ours, self.theirs

    def Process(self, **asked: Any) -> Process:
        self.asked = asked
        return self.process


Open = Callable[..., tuple[MagstimUnit, Context]]
FOUND = Opened(status=status(), found_armed=False, found_power_pct_mso=40, software=(9, 1))


@pytest.fixture
def opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Open a unit whose port process says this after so long; (context, clock, board, the call)."""
    clock = Watched()
    board = Board.create(tmp_path / "board", clock=clock)
    board.start("engine")
    units: list[MagstimUnit] = []

    def prepared(
        says: object, after_s: float = 0.1
    ) -> tuple[Context, SteppedClock, Board, Callable[..., Any]]:
        context = Context(clock, says, after_s)
        monkeypatch.setattr(module.multiprocessing, "get_context", lambda _: context)

        def call(**more: Any) -> MagstimUnit:
            unit = MagstimUnit.open(**{
                "port": "P", "model": "rapid", "board_path": tmp_path / "board", "run_id": "r", "key": b"k",
                "simulated": True, "clock": clock,
            } | more)  # fmt: skip
            units.append(unit)
            return unit

        return context, clock, board, call

    yield prepared
    for unit in units:
        unit.close()
    board.close()


def test_opening_starts_one_process_and_takes_what_it_found(opening: Callable[..., Any]) -> None:
    context, clock, board, call = opening(FOUND, after_s=1.2)
    clock.advance(1.0)
    unit = call(unlock_code="abc")
    assert context.duplex is True
    assert context.asked["daemon"] is True
    assert context.asked["args"] == (context.theirs,)
    assert context.asked["kwargs"]["options"].unlock_code == "abc"
    assert context.story == ["start"]
    assert context.theirs.closed
    assert not context.ours.closed
    assert unit.opened is FOUND
    assert unit._facts.software == (9, 1)
    assert unit.identity.firmware == "9.1"
    assert unit.pid == 4711
    assert board.age_s("engine") < 0.02  # who opens lives


@pytest.mark.parametrize(
    ("says", "error", "words"),
    [
        (NotReady("the port is taken"), NotReady, "the port is taken"),
        (EOFError(), UnitProblem, "did not start"),
        (OSError(), UnitProblem, "did not start"),
        ("words", UnitProblem, "did not start"),
    ],
)
def test_an_opening_that_fails_says_why_and_leaves_no_process(
    opening: Callable[..., Any], says: object, error: type[NotReady], words: str
) -> None:
    context, clock, _, call = opening(says)
    with pytest.raises(error, match=words) as problem:
        call()
    assert clock.now_s() < 1000.2 + 2.0 + 1.0  # one request to close, one join
    assert context.story[-1] == "closed"
    assert context.ours.closed
    if error is NotReady:
        assert problem.value is says
    else:
        assert problem.value.fault is Fault.PORT_DEAD  # type: ignore[attr-defined]
        assert ("words" if says == "words" else type(says).__name__) in problem.value.found


def test_opening_waits_20_s_and_no_longer(opening: Callable[..., Any]) -> None:
    context, clock, _, call = opening(None)
    context.process.dies_of = "close"
    context.process.alive = False
    with pytest.raises(UnitProblem, match="did not start") as problem:
        call()
    assert problem.value.found == "no answer in time"
    assert clock.now_s() - 1000.0 == pytest.approx(20.0, abs=0.011)
    assert {wait_s for _, wait_s in context.ours.polls} == {0.01, 0.0}
    assert context.ours.closed


def test_an_opening_is_over_at_its_deadline(opening: Callable[..., Any]) -> None:
    context, clock, _, call = opening(None)
    context.process.alive = False
    context.ours.jumps[1] = clock.now_s() + 0.25
    with pytest.raises(UnitProblem):
        call(open_timeout_s=0.25)
    assert len(context.ours.polls) == 2
    assert clock.now_s() == 1000.25


def test_options_that_no_such_unit_has_start_nothing(opening: Callable[..., Any]) -> None:
    context, _, _, call = opening(FOUND)
    with pytest.raises(UnitProblem, match="options"):
        call(model="200", unlock_code="abc")
    assert context.asked == {}


def test_a_unit_waits_for_nobody_before_its_first_request(tmp_path: Path) -> None:
    """A new one is open, numbers from 1 and knows the status on the board."""
    made = Made(tmp_path)
    assert made.unit._last.standby
    assert made.unit.opened is None
    assert type(made.unit._disarm_lock).__name__ == "lock"
    made.end()
