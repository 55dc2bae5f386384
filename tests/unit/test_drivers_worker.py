"""The worker: what each request does in which state, after EA, and what its failures are called."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract_tools import EA, EB, EH, Bench, bench
from worker_tools import ask_disarm, on_packet, problem, took_s

from drivers.requests import Ask, Request
from drivers.watch import FAILED
from hardware_sim.faults import FaultKind
from rtloop.model.pulse import Delivery, Train
from rtloop.model.status import Fault

SHORT, LONG = Train(frequency_hz=20, n_pulses=6), Train(frequency_hz=10, n_pulses=200)


@pytest.fixture
def b(tmp_path: Path) -> Iterator[Bench]:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as made:
        yield made


@pytest.fixture
def rapid(tmp_path: Path) -> Iterator[Bench]:
    with bench("stepped", tmp_path, model="rapid", arming_s=0.1, power_pct_mso=40) as made:
        yield made


# ---- what a request may do


def test_a_status_byte_older_than_a_second_gives_no_pulse(b: Bench) -> None:
    b.ready(40)
    watch = b.unit._worker._watch
    young = watch.status
    for age_s, fired in ((1.01, False), (float("nan"), False), (0.9, True)):
        watch.status = replace(young, t_s=b.clock.now_s() - age_s)
        receipt = b.unit.fire(b.permit(40))
        assert (receipt.delivery is Delivery.DELIVERED) == fired, age_s
        assert len(b.sent(EH)) == fired


def test_a_bug_in_the_worker_disarms_and_trips(b: Bench) -> None:
    b.ready(40)

    def broken(_: object) -> None:
        raise ZeroDivisionError("a bug")

    b.unit._worker._watch.unit.set_power = broken
    told = problem(lambda: b.unit.set_power(30))
    assert "ZeroDivisionError" in str(told)
    assert told.fault is Fault.BUG
    assert not b.armed()
    assert b.unit.trouble().fault is Fault.BUG


@pytest.mark.parametrize(
    "ask",
    [
        lambda unit: unit.set_power(41), lambda unit: unit.set_train(None), lambda unit: unit.set_pair(None),
        lambda unit: unit.arm(),
    ],
)  # fmt: skip
def test_each_step_towards_arming_clears_a_trip_that_may_be_cleared(
    b: Bench, ask: Callable[[Any], Any]
) -> None:
    b.unit._worker._watch.trip_with(Fault.ENGINE_LATE, "the engine was late")
    b.sleep(0.2)
    b.unit.refresh()
    assert b.unit.fire(b.permit(40)).delivery is not Delivery.DELIVERED
    assert b.unit.trouble().fault is Fault.ENGINE_LATE  # neither a question nor a pulse clears it
    ask(b.unit)
    assert b.unit.trouble() is None


def test_after_a_stop_the_unit_can_be_asked_and_nothing_else(b: Bench) -> None:
    b.board.ask_stop()
    b.sleep(0.2)
    assert b.unit.refresh().standby
    for ask in (lambda: b.unit.set_power(30), lambda: b.unit.set_train(None), b.unit.arm):
        assert problem(ask).fault is Fault.STOP
    assert not b.sent(b"@")
    assert not b.sent(EB)


def test_a_stop_that_nobody_served_yet_comes_before_the_request(b: Bench) -> None:
    b.ready(40)
    b.board.ask_stop()
    receipt = b.unit.fire(b.permit(40))
    assert (receipt.delivery, receipt.t_sent_s) == (Delivery.NOT_DELIVERED, None)
    assert receipt.reason == "refused: the unit is disarmed for the rest of this run: STOP was asked"
    assert b.board["stop_served"] > 0
    b.sleep(0.01)
    assert b.sent(EA)


def test_a_unit_that_is_gone_cannot_even_be_asked(b: Bench) -> None:
    b.inject(FaultKind.UNPLUG)
    assert problem(lambda: b.unit.set_power(41)).fault is Fault.UNIT_LOST
    assert b.board["port_state"] == FAILED
    assert b.unit.trouble().fault is Fault.UNIT_LOST
    start_s = b.clock.now_s()
    told = problem(b.unit.refresh)
    assert (told.fault, b.clock.now_s()) == (Fault.UNIT_LOST, start_s)
    assert "rest of this run" in str(told)


@pytest.mark.parametrize("armed", [False, True])
def test_a_unit_that_refuses_a_power_is_disarmed_if_it_was_armed(b: Bench, armed: bool) -> None:
    if armed:
        b.ready(40)
    b.inject(FaultKind.ANSWER_CONFLICT, only="@", times=1)
    told = problem(lambda: b.unit.set_power(41))
    assert "set_power failed" in str(told)
    assert told.fault is Fault.UNIT_UNEXPECTED
    assert b.unit.trouble() is None
    b.sleep(0.05)
    assert len(b.sent(EA, since_s=b.sent(b"@")[-1])) == armed
    assert not b.armed()


def test_a_unit_that_is_silent_when_a_power_is_set_trips(b: Bench) -> None:
    b.inject(FaultKind.MUTE, only="@", times=1)
    assert problem(lambda: b.unit.set_power(41)).fault is Fault.UNIT_SILENT
    assert b.unit.trouble().fault is Fault.UNIT_SILENT
    b.sleep(0.05)
    assert b.sent(EA, since_s=b.sent(b"@")[-1])


# ---- after EA


def test_a_setting_after_ea_waits_for_the_units_own_standby(b: Bench) -> None:
    b.ready(40)
    mark_s = b.clock.now_s()
    ask_disarm(b)
    b.unit.set_power(41)
    ea_s, looked_s, set_s = (b.sent(head, since_s=mark_s)[0] for head in (EA, b.keep, b"@041"))
    assert ea_s + 0.02 < looked_s < ea_s + 0.04  # its reply swallowed, then quiet for 20 ms
    assert looked_s < set_s
    assert b.unit._worker._watch.confirm_tries == 0


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": FaultKind.BAD_CRC, "times": 2},  # of EA, and of the look after it
        {"kind": FaultKind.DELAYED_REPLY, "delay_s": 0.2},  # slow, and nothing missing
    ],
)
def test_a_setting_after_ea_is_not_given_up_for_one_damaged_or_slow_word(
    b: Bench, trouble: dict[str, Any]
) -> None:
    b.ready(40)
    b.inject(**trouble)
    ask_disarm(b)
    assert b.unit.set_power(41).power_pct_mso == 41
    assert b.unit.trouble() is None


@pytest.mark.req("R-DISARM")
def test_a_setting_after_ea_of_a_silent_unit_is_told_within_half_a_second(b: Bench) -> None:
    b.ready(40)
    b.inject(FaultKind.MUTE)
    ask_disarm(b)
    start_s = b.clock.now_s()
    told = problem(lambda: b.unit.set_power(41))
    assert told.fault is Fault.UNIT_SILENT
    assert "after EA" in str(told)
    assert b.clock.now_s() - start_s <= 0.5


@pytest.mark.req("R-BELIEF")
def test_what_trips_while_a_request_waits_is_told_by_it_and_not_forgiven(b: Bench) -> None:
    watch = b.unit._worker._watch
    watch.before_request = lambda: watch.trip_with(Fault.UNIT_UNEXPECTED, "just now")
    assert "just now" in str(problem(lambda: b.unit.set_power(41)))
    del watch.before_request
    assert b.unit.set_power(41).power_pct_mso == 41


@pytest.mark.req("R-DISARM")
def test_a_unit_that_falls_silent_while_ea_is_confirmed_is_told_within_half_a_second(b: Bench) -> None:
    for after_s in (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3):
        b.ready(40)
        b.sleep(0.3)
        ask_disarm(b)
        b.sleep(after_s)
        b.inject(FaultKind.MUTE)
        start_s = b.clock.now_s()
        assert problem(lambda: b.unit.set_power(41)).fault is Fault.UNIT_SILENT
        assert b.clock.now_s() - start_s <= 0.5
        b.sim.clear()
        b.sleep(1.5)


def test_after_a_trip_the_reply_to_ea_is_not_taken_for_another(b: Bench) -> None:
    b.ready(40)
    b.board.ask_stop()
    ea_s = b.clock.now_s()
    assert b.unit.refresh().standby
    assert ea_s + 0.025 < b.sent(b.keep, since_s=ea_s)[0] < ea_s + 0.04
    assert b.unit._worker._watch.confirm_tries > 0  # confirming is left to the steps between requests


def test_a_line_that_is_never_quiet_is_asked_all_the_same(b: Bench) -> None:
    b.ready(40)
    for k in range(40):
        b.inject(FaultKind.UNSOLICITED_BYTES, start_s=0.01 * k, data=b"x")
    b.board.ask_stop()
    ea_s = b.clock.now_s()
    problem(b.unit.refresh)
    assert ea_s + 0.1 < b.sent(b.keep, since_s=ea_s)[0] < ea_s + 0.36


def test_a_mute_unit_after_a_stop_is_told_of_within_half_a_second(b: Bench) -> None:
    b.ready(40)
    b.inject(FaultKind.MUTE)
    b.board.ask_stop()
    start_s = b.clock.now_s()
    assert problem(b.unit.refresh).fault is Fault.UNIT_SILENT
    assert b.clock.now_s() - start_s <= 0.5


# ---- power


def test_a_power_that_the_unit_has_not_is_never_sent(b: Bench) -> None:
    for power in (-1, 101, float("nan"), 55.0, True, None, "50"):
        told = problem(lambda power=power: b.unit.set_power(power))
        assert told.fault is Fault.UNIT_UNEXPECTED
        assert (told.what, told.found, told.expected) == (
            "no such power", repr(power), "a whole number of 0 to 100 % MSO",
        )  # fmt: skip
    assert not b.sent(b"@")
    assert b.unit.trouble() is None
    assert b.unit.set_power(0).power_pct_mso == 0
    assert b.unit.set_power(100).power_pct_mso == 100


def test_a_power_takes_its_ramp_and_is_only_then_known(b: Bench) -> None:
    seen: list[int | None] = []
    on_packet(b, b"@090", lambda: seen.append(b.unit.status().power_pct_mso), after_s=0.3)
    assert 0.5 <= took_s(b, lambda: b.unit.set_power(90)) < 0.7  # 50 % at 10 ms each
    assert seen == [None]
    assert 2.0 <= took_s(b, lambda: b.unit.set_power(70)) < 2.2  # down: 100 ms each
    assert len(b.sent(b"J", since_s=b.sent(b"@070")[0])) == 1


def test_a_power_that_is_not_known_is_read_before_it_is_changed(b: Bench) -> None:
    on_packet(b, b"@100", lambda: ask_disarm(b))
    told = problem(lambda: b.unit.set_power(100))
    assert (told.fault, told.found) == (Fault.UNIT_UNEXPECTED, "disarm was asked")
    assert "cut short" in str(told)
    assert b.unit.status().power_pct_mso is None
    b.sleep(0.6)
    b.unit._worker._watch.forget_power()
    mark_s = b.clock.now_s()
    assert b.unit.set_power(90).power_pct_mso == 90  # from 100, as the unit says: down, 100 ms each
    assert b.sent(b"J", since_s=mark_s)[0] < b.sent(b"@090")[0]
    assert 1.0 <= b.clock.now_s() - mark_s < 1.2


def test_a_power_that_the_unit_does_not_take_is_told_after_0_6_s(b: Bench) -> None:
    b.unit._worker._watch.unit.set_power = lambda _: None
    start_s = b.clock.now_s()
    told = problem(lambda: b.unit.set_power(50))
    assert 0.7 <= b.clock.now_s() - start_s < 0.8  # the ramp of 10 %, and 0.6 s
    assert told.fault is Fault.UNIT_UNEXPECTED
    assert (told.expected, told.found) == ("50 % MSO", "40 % MSO read back")
    asked_s = b.sent(b"J", since_s=start_s)
    assert all(0.05 < after - before < 0.08 for before, after in itertools.pairwise(asked_s))
    assert len(asked_s) > 5


def test_while_a_power_is_awaited_none_is_known(b: Bench) -> None:
    """Cut short between two readings: the last one read is not the one that will hold."""
    b.unit._worker._watch.unit.set_power = lambda _: None
    start_s, done = b.clock.now_s(), []

    def cut(now_s: float) -> None:
        if now_s > start_s + 0.35 and not done and b.unit.status().power_pct_mso is None:
            done.append(now_s)
            ask_disarm(b)

    b.clock.listen(cut)  # type: ignore[attr-defined]
    assert "cut short" in str(problem(lambda: b.unit.set_power(50)))
    assert done
    assert b.unit.status().power_pct_mso is None


def test_a_power_too_high_for_the_train_that_is_set_is_not_sent(rapid: Bench) -> None:
    fast = Train(frequency_hz=30, n_pulses=30)
    rapid.unit.set_train(fast)
    worker = rapid.unit._worker
    with rapid.unit._at_work():
        answer = worker.serve(Request(n=1, ask=Ask.SET_POWER, power_pct_mso=100))
    assert "no such train" in str(answer.problem)
    assert not rapid.sent(b"@100")
    rapid.unit.set_train(None)
    assert rapid.unit.set_power(100).power_pct_mso == 100


# ---- a unit that is silent when it is asked


@pytest.mark.parametrize("first", ["reading", "disarm", "nothing"])
def test_a_silent_unit_is_told_within_half_a_second_of_being_asked_whatever_was_missed_before(
    b: Bench, first: str
) -> None:
    """A request forgives a trip, but not the one of the very silence that it waited through."""
    b.inject(FaultKind.MUTE)
    if first == "reading":
        b.until(lambda: b.unit._worker._watch.misses == 1, within_s=3.0)
    elif first == "disarm":
        b.unit.disarm()
    start_s = b.clock.now_s()
    told = problem(lambda: b.unit.set_power(41))
    assert b.clock.now_s() - start_s <= 0.5
    assert told.fault is Fault.UNIT_SILENT
    b.sim.clear()
    b.sleep(1.0)
    assert b.unit.set_power(41).power_pct_mso == 41  # asked for anew it is forgiven
