"""The worker: what its waits see, arming, trains and pairs, the lines beside the serial one, its end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract_tools import EA, EB, Bench, bench
from watch_tools import StopLine
from worker_tools import ask_disarm, on_packet, problem, took_s

from drivers.requests import Ask, Request
from hardware_sim.faults import FaultKind
from rtloop.model.pulse import Delivery, Pair, Train
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


# ---- waits


def test_a_wait_is_polled_every_2_ms_and_keeps_the_line_alive(b: Bench) -> None:
    b.unit.set_power(100)
    polls: list[float] = []
    whole = b.unit._worker._watch.urgent

    def urgent() -> bool:
        polls.append(b.clock.now_s())
        return whole()

    b.unit._worker._watch.urgent = urgent
    mark_s = b.clock.now_s()
    b.unit.set_power(40)  # 6 s
    gaps = [after - before for before, after in itertools.pairwise(polls)]
    assert sum(gap > 0.0021 for gap in gaps) <= 4  # an exchange polls by itself
    assert sum(gap > 0.0019 for gap in gaps) > 2500
    looks = b.sent(b.keep, since_s=mark_s)
    assert [round(after - before) for before, after in itertools.pairwise(looks)] == [2, 2]


def test_opening_waits_until_a_power_b_that_was_found_is_down(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, model="bistim", power_b_pct_mso=60, interval=25, power_pct_mso=40) as b:
        assert 6.0 < b.clock.now_s() - b.sim.packets[0][0] < 6.3
        assert len(b.sent(b.keep)) >= 4


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize("stop", [False, True])
def test_disarm_and_stop_cut_a_wait_short(b: Bench, stop: bool) -> None:
    asked: list[float] = []
    on_packet(b, b"@000", lambda: asked.append(b.clock.now_s()), after_s=1.0)
    on_packet(b, b"@000", b.board.ask_stop if stop else lambda: ask_disarm(b), after_s=1.0)
    told = problem(lambda: b.unit.set_power(0))
    assert told.fault is (Fault.STOP if stop else Fault.UNIT_UNEXPECTED)
    assert told.found == ("STOP was asked" if stop else "disarm was asked")
    assert b.clock.now_s() - asked[0] < 0.005
    assert b.board["disarm_done"] == b.board["disarm_asked"]
    b.sleep(0.01)
    assert len(b.sent(EA, since_s=asked[0])) == 1
    assert (b.unit.trouble() is not None) == stop


def test_a_wait_ends_where_the_unit_is_found_armed_by_another(b: Bench) -> None:
    b.unit.set_power(100)
    on_packet(b, b"@000", lambda: b.inject(FaultKind.TWO_OWNERS, data=_packet(EB)), after_s=1.9)
    start_s = b.clock.now_s()
    told = problem(lambda: b.unit.set_power(0))
    assert told.fault is Fault.UNIT_UNEXPECTED
    assert "nobody asked for it" in str(told)
    assert b.clock.now_s() - start_s < 3.0  # of the 10 s that the ramp takes


def _packet(body: bytes) -> bytes:
    return body + bytes([~sum(body) & 0xFF])


# ---- arming


def test_nothing_is_armed_whose_setting_is_not_known(b: Bench) -> None:
    b.unit._worker._watch.setting_known = False
    told = problem(b.unit.arm)
    assert (told.fault, told.todo) == (Fault.UNIT_UNEXPECTED, "set it again")
    assert not b.sent(EB)


def test_nothing_is_armed_for_an_engine_that_shows_no_life(b: Bench) -> None:
    b.board["beat_engine"] = b.board.now_ns() - 250_000_001
    told = problem(b.unit.arm)
    assert (told.fault, told.expected) == (Fault.ENGINE_LATE, "younger than 0.25 s")
    assert not b.sent(EB)
    assert not b.unit._worker._watch.armed
    b.board["beat_engine"] = b.board.now_ns() - 250_000_000
    assert b.unit.arm().ready


def test_nothing_is_armed_that_must_not_discharge(b: Bench) -> None:
    b.inject(FaultKind.COIL_ABSENT)
    told = problem(b.unit.arm)
    assert (told.fault, told.expected) == (Fault.UNIT_UNEXPECTED, "coil connected, no error")
    assert "not armed: no coil" in str(told)
    assert not b.sent(EB)


def test_a_unit_that_is_never_ready_has_twice_its_time(b: Bench) -> None:
    b.inject(FaultKind.STUCK_BUSY)
    watch = b.unit._worker._watch
    watch.facts = replace(watch.facts, arm_s=0.7)
    start_s = b.clock.now_s()
    told = problem(b.unit.arm)
    assert 1.4 <= b.clock.now_s() - start_s < 1.5
    assert (told.fault, told.expected) == (Fault.UNIT_UNEXPECTED, "ready within 1.4 s")
    looks = b.sent(b.keep, since_s=b.sent(EB)[0])
    assert all(0.05 < after - before < 0.09 for before, after in itertools.pairwise(looks))
    b.sleep(0.05)
    assert not b.armed()


def test_a_unit_that_disarmed_itself_is_no_longer_held_for_armed(b: Bench) -> None:
    b.ready(40)
    b.inject(FaultKind.STANDBY_UNEXPECTEDLY)
    b.sleep(0.6)
    assert "not armed" in b.unit.fire(b.permit(40)).reason
    assert not b.unit._worker._watch.may_discharge()


# ---- trains and pairs


def test_while_a_train_runs_the_unit_can_be_asked_and_nothing_set(rapid: Bench) -> None:
    rapid.unit.set_train(LONG)
    rapid.unit.arm()
    assert rapid.unit.fire(rapid.permit(40, train=LONG)).delivery is Delivery.DELIVERED
    rapid.sleep(0.2)
    assert not rapid.unit.refresh().standby
    told = problem(lambda: rapid.unit.set_power(30))
    assert (told.fault, told.what) == (Fault.UNIT_UNEXPECTED, "set_power refused: a train is under way")
    assert not rapid.sent(b"@030")
    ask_disarm(rapid)
    assert took_s(rapid, rapid.unit.refresh) < 0.1  # with an EA to confirm, and the train going on


def test_the_end_of_each_train_is_told_once(rapid: Bench) -> None:
    worker = rapid.unit._worker
    rapid.unit.set_train(SHORT)
    rapid.unit.arm()
    told = []
    for _ in range(2):
        assert rapid.unit.fire(rapid.permit(40, train=SHORT)).delivery is Delivery.DELIVERED
        assert (worker.train_receipt, worker.train_news()) == (None, None)
        rapid.sleep(2.0)
        told.append(worker.train_news())
        assert told[-1].pulses_min == 6
        assert worker.train_news() is None
        assert rapid.unit.train_end() is told[-1]
    assert told[0] is not told[1]


def test_the_end_of_a_train_is_found_when_it_is_asked_for(rapid: Bench) -> None:
    """Where no step came in between."""
    rapid.unit.set_train(SHORT)
    rapid.unit.arm()
    rapid.unit.fire(rapid.permit(40, train=SHORT))
    with rapid.unit._at_work():
        rapid.clock.advance(SHORT.duration_s + 0.3)  # type: ignore[attr-defined]
    assert rapid.unit.train_end().delivery is Delivery.UNCERTAIN


@pytest.mark.req("R-UNCERTAIN")
def test_a_unit_that_never_says_that_its_train_is_over_trips(rapid: Bench) -> None:
    rapid.unit.set_train(SHORT)
    rapid.unit.arm()
    look = rapid.unit._worker._watch.unit.look
    rapid.unit._worker._watch.unit.look = lambda **how: replace(look(**how), rapid=look(**how).rapid | 2)
    assert rapid.unit.fire(rapid.permit(40, train=SHORT)).delivery is Delivery.DELIVERED
    end = rapid.train_end(within_s=SHORT.duration_s + 0.5)
    assert (end.delivery, end.pulses_min) == (Delivery.UNCERTAIN, 6)
    assert 6 + SHORT.frequency_hz <= end.pulses_max <= 8 + 1.5 * SHORT.frequency_hz
    assert rapid.unit.trouble().fault is Fault.UNCERTAIN_PULSE
    assert rapid.sent(EA, since_s=end.t_sent_s)


def test_after_a_train_that_was_cut_short_the_next_setting_does_not_wait_for_what_was_left_of_it(
    rapid: Bench,
) -> None:
    rapid.inject(FaultKind.TRAIN_OBEYS_EA)
    rapid.unit.set_train(LONG)
    rapid.unit.arm()
    rapid.unit.fire(rapid.permit(40, train=LONG))
    rapid.sleep(0.5)
    rapid.unit.disarm()
    rapid.train_end(within_s=0.2)
    assert (
        0.5 < took_s(rapid, lambda: rapid.unit.set_train(None)) < 1.0
    )  # 0.6 s of rest; 19 s were left of it


def test_a_train_is_set_as_asked_and_a_pair_too(tmp_path: Path, rapid: Bench) -> None:
    worker = rapid.unit._worker
    for train in (SHORT, None):
        with rapid.unit._at_work():
            assert worker.serve(Request(n=1, ask=Ask.SET_TRAIN, train=train)).status.standby
        assert worker._watch.setting == train
    pair = Pair(power_b_pct_mso=35, interval_ms=3)
    (tmp_path / "other").mkdir()
    with bench("stepped", tmp_path / "other", model="bistim", power_pct_mso=40) as b:
        for wanted in (pair, None):
            assert b.unit.set_pair(wanted).standby
            assert b.unit._worker._watch.setting == wanted


# ---- lines beside the serial one, the end


class Output(StopLine):
    """A trigger too."""

    def fire(self, *, not_after_s: float = 0.0) -> float:
        raise AssertionError("nobody fires here")


def test_the_lines_beside_the_serial_one_are_used_and_closed(tmp_path: Path) -> None:
    trigger, stop = Output(), Output()
    with bench("stepped", tmp_path, power_pct_mso=40, driver={"trigger": trigger, "stop_line": stop}) as b:
        assert b.unit._worker._firing.trigger is trigger
        b.unit.set_power(41)
        b.board.ask_stop()
        b.sleep(0.1)
        assert (trigger.asked, stop.asked[0], stop.asked[-1]) == ([], "release", "stop")
    assert (trigger.asked[-1], stop.asked[-1]) == ("close", "close")


def test_closing_ends_the_process_and_a_word_from_outside_does_too(tmp_path: Path) -> None:
    for end, words in ((lambda unit: unit.close(), "closed by the engine"), (_terminated, "SIGTERM")):
        with bench("stepped", tmp_path, power_pct_mso=40) as b:
            worker = b.unit._worker
            assert worker.leaving == ""
            end(b.unit)
            assert worker.leaving == words
            b.sleep(0.02)
            assert len(b.sent(EA)) == 2  # the first was at opening
        (tmp_path / "board").unlink()


def _terminated(unit: Any) -> None:
    unit._worker.leave("SIGTERM")


def test_an_announced_pulse_has_no_answer(b: Bench) -> None:
    worker = b.unit._worker
    assert worker.serve(Request(n=3, ask=Ask.ANNOUNCE, due_s=b.clock.now_s() + 1)) is None
    assert worker._watch.due_s == b.clock.now_s() + 1
    assert worker.serve(Request(n=4, ask=Ask.STATUS)).n == 4
