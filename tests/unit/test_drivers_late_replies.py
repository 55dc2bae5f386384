"""A reply that comes after its deadline and is read as the answer to the next question: as old as the first, never newer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract_tools import EA, bench
from test_drivers_given_otherwise import unseen
from test_drivers_mutants_line import exchange, put, sealed, trouble, unit
from watch_tools import ARMED, READY, STANDBY, desk

from drivers.magstim.exchange import LATE_S, REPLY_DEADLINE_S
from drivers.magstim.magpy_port import Reply
from drivers.magstim.rapid_port import RapidPort
from drivers.trouble import Cut, Garbled, Silent
from hardware_sim.faults import FaultKind
from rtloop.model.pulse import Delivery, Train
from rtloop.model.status import Fault

Q = sealed(b"Q\x89")
TRAIN = Train(frequency_hz=10, n_pulses=25)


def test_a_reply_after_an_unanswered_question_may_be_the_answer_to_that_one() -> None:
    ex, wire = exchange(b"", Q, Q, Q)
    trouble(lambda: put(ex, b"Q@"), Silent, written=True)
    wire.clock.advance(0.5 - REPLY_DEADLINE_S)
    put(ex, b"Q@")  # perhaps the first one's
    assert ex.late_s == pytest.approx(0.5, abs=0.01)
    wire.clock.advance(0.1)
    put(ex, b"Q@")  # then this is perhaps the second one's
    assert ex.late_s == pytest.approx(0.1, abs=0.01)
    wire.clock.advance(LATE_S)
    put(ex, b"Q@")
    assert ex.late_s == 0.0


def test_only_a_question_of_the_same_letter_can_be_meant_and_a_damaged_answer_is_one() -> None:
    ex, _ = exchange(b"", sealed(b"E\x8c"))
    trouble(lambda: put(ex, b"Q@"), Silent, written=True)
    put(ex, b"EB")
    assert ex.late_s == 0.0
    ex, wire = exchange(b"Q\x89\x00", Q)
    assert ex.late_s == 0.0
    trouble(lambda: put(ex, b"Q@"), Garbled, written=True)
    wire.clock.advance(0.1)
    put(ex, b"Q@")
    assert ex.late_s == 0.0


@pytest.mark.parametrize(("after_s", "late"), [(0.9, True), (1.1, False)])
def test_a_reply_that_has_not_come_within_a_second_comes_no_more(after_s: float, late: bool) -> None:
    ex, wire = exchange(b"", Q)
    trouble(lambda: put(ex, b"Q@"), Silent, written=True)
    wire.clock.sleep_until(1000.0 + after_s)
    put(ex, b"Q@")
    assert (ex.late_s > 0) is late


def test_a_long_reply_that_ea_interrupted_and_that_came_whole_was_the_answer() -> None:
    numbers = sealed(b"J\x89040000000")
    ex, wire = exchange(numbers[:4], numbers[4:] + sealed(b"E\x89"), numbers)
    wire.urgent_at_s = 1000.01
    trouble(lambda: put(ex, b"J@", 12), Cut, written=True)
    wire.urgent_at_s = float("inf")
    assert ex.swallow()
    wire.clock.advance(0.1)
    put(ex, b"J@", 12)
    assert ex.late_s == 0.0


def test_a_damaged_reply_of_ea_is_not_waited_on_and_the_next_may_be_it() -> None:
    ex, wire = exchange(b"", sealed(b"E\x8c"))
    ex.cut()
    wire.say(b"x" + b"E\x89\x00", 0.01)
    assert ex.swallow(quiet_s=0.02, at_most_s=0.1)
    assert wire.clock.now_s() == pytest.approx(1000.03, abs=0.003)  # quiet is enough: EA was heard of
    put(ex, b"EB")
    assert ex.late_s == pytest.approx(0.03, abs=0.003)


def test_a_line_that_is_never_quiet_is_listened_to_for_a_tenth_of_a_second() -> None:
    ex, wire = exchange()
    for i in range(60):
        wire.say(b"x", 0.005 * i)
    ex.swallow()
    assert wire.clock.now_s() == pytest.approx(1000.1, abs=0.0015)


def test_a_reply_of_ea_that_was_not_seen_may_come_as_that_of_the_next_command_of_its_letter() -> None:
    ex, wire = exchange(b"", sealed(b"E\x8c"), sealed(b"E\x8c"))
    ex.cut()
    ex.swallow(quiet_s=0.02, at_most_s=0.1)
    put(ex, b"EB")
    assert ex.late_s > 0.0
    wire.clock.advance(LATE_S)
    put(ex, b"EB")
    assert ex.late_s == 0.0


@pytest.mark.parametrize("before", [b"", Q])
def test_a_reply_of_ea_that_was_seen_is_owed_no_more(before: bytes) -> None:
    ex, _ = exchange(before + sealed(b"E\x8c"), sealed(b"E\x8c"))
    ex.cut()
    ex.swallow(quiet_s=0.02, at_most_s=0.1)
    put(ex, b"EB")
    assert ex.late_s == 0.0


def test_no_word_after_ea_is_said_so_and_counts_as_written() -> None:
    ex, _ = exchange(b"")
    ex.hear()  # nothing was asked
    ex.cut()
    with pytest.raises(Silent, match="no word from the unit after EA") as told:
        ex.hear()
    assert told.value.written
    ex, _ = exchange(sealed(b"E\x8c"))
    ex.cut()
    ex.hear()


def test_a_process_that_stood_still_in_the_middle_of_a_reply_goes_on() -> None:
    ex, wire = exchange(b"")
    wire.jumps[1] = 1000.0 + LATE_S + 0.5
    wire.say(sealed(b"E\x8c"), LATE_S + 0.4)
    wire.jumps[2] = 0.0
    with pytest.raises(Silent):
        put(ex)
    ex._answered(b"E")
    assert ex.late_s == 0.0


@pytest.mark.parametrize("made", ["200", "rapid"])
def test_every_kind_of_reply_tells_how_late_it_may_be(made: str) -> None:
    if made == "200":
        port, wire = unit(b"", Q)
        ask = port.take_control
    else:
        x = sealed(b"x\x89\x08\x00\x00")
        port, wire = unit(b"", x, made=RapidPort)
        ask = lambda: port.own_rapid(b"x@", 6)  # noqa: E731
    with pytest.raises(Silent):
        ask()
    wire.clock.advance(0.1)
    reply = ask()
    assert reply.late_s == pytest.approx(REPLY_DEADLINE_S + 0.1, abs=0.01)
    assert reply.about_s == pytest.approx(reply.t_sent_s - reply.late_s)
    assert reply.said_s == pytest.approx(reply.t_s - reply.late_s)


def late(port: Any, name: str, by_s: float, **fields: Any) -> None:
    """The next such answers are so late."""
    asked = getattr(port, name)

    def answer(**how: Any) -> Reply:
        return replace(asked(**how), late_s=by_s, **fields)

    setattr(port, name, answer)


@pytest.mark.req("R-BELIEF")
def test_a_late_status_is_as_old_as_its_question(tmp_path: Path) -> None:
    with desk(tmp_path) as d:
        late(d.unit, "look", 0.6)
        d.watch.look()
        assert d.clock.now_s() - d.watch.status.t_s == pytest.approx(0.6)


@pytest.mark.req("R-BELIEF")
def test_numbers_of_before_the_last_setting_say_nothing_of_it(tmp_path: Path) -> None:
    with desk(tmp_path) as d:
        d.armed(READY)
        d.watch.power_pct_mso, d.watch.set_s = 40, d.clock.now_s() - 0.3
        late(d.unit, "parameters", 0.5, power_pct_mso=30)
        told_s = d.watch.numbers_s
        d.watch._compare(d.unit.parameters())
        assert d.watch.trip is None
        assert d.watch.numbers_s == told_s
        d.watch.set_s = d.clock.now_s() - 0.7
        d.watch._compare(d.unit.parameters())
        assert d.watch.trip is not None
        assert d.clock.now_s() - d.watch.numbers_s == pytest.approx(0.5, abs=0.02)


@pytest.mark.req("R-DISARM")
def test_standby_said_before_ea_does_not_confirm_it(tmp_path: Path) -> None:
    with desk(tmp_path) as d:
        d.armed(READY)
        d.clock.advance(1.0)
        d.board.beat("engine")
        answer = d.unit.take_control
        late(d.unit, "take_control", 0.5)
        d.watch.ea()
        d.unit.instr = STANDBY
        d.watch.confirm()
        assert d.watch.confirm_tries > 0
        d.unit.take_control = answer
        d.watch.confirm()
        assert d.watch.confirm_tries == 0


@pytest.mark.req("R-UNCERTAIN")
def test_a_train_is_not_told_as_whole_by_a_word_of_before_its_end(tmp_path: Path) -> None:
    """The reply is 0.6 s late, EA cuts the train, and the reply says that it runs."""
    with bench("stepped", tmp_path, model="rapid", version=(9, 0, 0), obeys_ea_in_train=True) as b:
        b.unit.set_power(40)
        b.unit.set_train(TRAIN)
        b.ready(40)
        b.sleep(2.1)
        fired = b.unit.fire(b.permit(40, train=TRAIN))
        b.sleep(1.9)
        b.inject(FaultKind.DELAYED_REPLY, times=2, delay_s=0.6)
        end = b.train_end(within_s=3.0)
        b.sleep(0.2)
        assert b.sent(EA, since_s=fired.t_sent_s)
        assert end.delivery is Delivery.UNCERTAIN
        assert end.pulses_min <= b.discharges < TRAIN.n_pulses
        assert end.pulses_max == TRAIN.n_pulses


@pytest.mark.req("R-UNCERTAIN")
def test_a_train_seen_off_by_an_answer_to_a_question_of_before_its_end_is_uncertain(tmp_path: Path) -> None:
    from drivers.train_run import TrainRun

    run = TrainRun(TRAIN, t_sent_s=0.0, t_reply_s=0.02, stops=False)
    run.told(25, "")
    run.seen(running=True, t_asked_s=2.3, t_reply_s=2.31)
    run.seen(running=False, t_asked_s=2.5, t_reply_s=2.51, late_s=0.15)
    assert run.ended_s == 2.51
    assert run.receipt(None).delivery is Delivery.UNCERTAIN
    run = TrainRun(TRAIN, t_sent_s=0.0, t_reply_s=0.02, stops=False)
    run.told(25, "")
    run.seen(running=True, t_asked_s=2.3, t_reply_s=2.31)
    run.seen(running=False, t_asked_s=2.5, t_reply_s=2.51, late_s=0.1)
    assert run.receipt(None).delivery is Delivery.DELIVERED


@pytest.mark.req("R-UNCERTAIN")
def test_an_answer_that_may_be_to_an_earlier_command_acknowledges_no_pulse(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1) as b:
        b.ready(40)
        b.sleep(1.2)
        b.unit._worker._watch.unit.exchange._owed.append((b"E", b.clock.now_s() - 0.2))
        fired = b.unit.fire(b.permit(40))
        assert fired.delivery is Delivery.UNCERTAIN
        assert "of a command before" in fired.reason
        assert b.unit.trouble().fault is Fault.UNCERTAIN_PULSE


@pytest.mark.req("R-BELIEF")
def test_another_power_is_told_though_a_disarm_and_another_setting_follow_the_pulse_at_once(
    tmp_path: Path,
) -> None:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        b.sleep(2.1)
        unseen(b, b"@041")
        assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
        b.unit.disarm()
        b.sleep(0.1)
        assert "may have been given so" in str(b.unit.trouble())
        b.unit.set_power(40)
        assert [one.power_pct_mso for one in b.sim.discharges] == [41]


@pytest.mark.req("R-STOP")
@pytest.mark.parametrize("read", [0, 1, 2])
@pytest.mark.parametrize("command", [b"Q@", b"EB"])
def test_the_reply_of_an_interrupted_command_that_was_dropped_is_owed_no_more(
    read: int, command: bytes
) -> None:
    reply = sealed(command[:1] + b"\x8c")
    ex, wire = exchange([(0.0, reply[:read]), (0.05, reply[read:])], [(0.06, sealed(b"E\x8c"))], reply)
    wire.urgent_at_s = 1000.02
    with pytest.raises(Cut):
        put(ex, command)
    wire.urgent_at_s = 2000.0
    assert ex.swallow()
    put(ex, command)
    assert ex.late_s == 0.0


@pytest.mark.req("R-STOP")
@pytest.mark.parametrize("after_s", [0.001 * ms for ms in range(0, 24, 2)])
def test_a_stop_in_the_middle_of_a_keep_alive_is_confirmed_by_the_first_word_after_it(
    tmp_path: Path, after_s: float
) -> None:
    with bench("stepped", tmp_path, arming_s=0.1) as b:
        b.ready(40)
        b.sleep(1.0)
        asked_s = b.stop_while_a_reply_is_awaited() if after_s == 0.0 else b.clock.now_s()
        if after_s:
            with b.meanwhile(b.keep, b.board.ask_stop, after_s=after_s):
                b.sleep(0.4)
        confirmed = []
        b.clock.listen(lambda _: confirmed.append(b.board["stop_confirmed"]))
        b.sleep(0.3)
        assert b.board["stop_confirmed"] == 1
        assert -1 not in confirmed
        assert len(b.sent(EA, since_s=asked_s)) == 1


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("instr", "words"), [(STANDBY, "standby: whether"), (READY, "still ready"), (ARMED, "")]
)
def test_what_a_status_after_a_trigger_edge_says(tmp_path: Path, instr: int, words: str) -> None:
    with bench("stepped", tmp_path, arming_s=0.1) as b:
        firing = b.unit._worker._firing
        firing.trigger = object()
        said = firing._wrong_with(Reply(instr=instr, t_sent_s=1.0, t_s=1.0))
        assert said.startswith(words)
        assert bool(said) == bool(words)
        firing.trigger = None
