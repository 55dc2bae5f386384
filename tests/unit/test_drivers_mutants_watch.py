"""What mutation testing found unproved in the driver's watch over a unit: when EA goes out, and what follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from watch_tools import (
    ARMED,
    NOTHING,
    READY,
    REPLY_S,
    STANDBY,
    Desk,
    Run,
    desk,
)  # fmt: skip

from drivers.magstim.magpy_port import Held
from drivers.requests import RE_ARM, Trip
from drivers.trouble import Cut, Garbled, LineTrouble, Lost, Refused, Silent
from drivers.watch import CONFIRM_TRIES, FAILED, OPEN
from rtloop.model.pulse import Train
from rtloop.model.status import Fault

FRESH_NS = 250_000_000
TRAIN = Train(frequency_hz=10, n_pulses=20)


@pytest.fixture
def d(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        made.watch.stop_line = made.stop_line
        yield made


def stop(d: Desk) -> None:
    d.board.ask_stop()


def told_to_end(d: Desk) -> None:
    d.watch.leave("SIGTERM")


def orphaned(d: Desk) -> None:
    d.parent_lives = False


def frozen(d: Desk) -> None:
    d.watch.armed = True
    d.beat(FRESH_NS + 1)


def disarm(d: Desk) -> None:
    d.board["disarm_asked"] += 1


def nothing(d: Desk) -> None:
    pass


Cause = Callable[[Desk], None]
TRIPS: list[tuple[Cause, Fault, str]] = [  # what comes first is told first
    (stop, Fault.STOP, "STOP was asked"),
    (told_to_end, Fault.PORT_DEAD, "the port process was told to end: SIGTERM"),
    (orphaned, Fault.ENGINE_LATE, "the engine's process is gone"),
    (frozen, Fault.ENGINE_LATE, "the engine's heartbeat is 0.250 s old"),
]
OTHER = Trip(fault=Fault.BUG, words="another", t_s=3.0)


# ---- what asks for EA


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize(("i", "j"), [(i, j) for i in range(4) for j in range(i, 4)])
def test_each_cause_of_a_trip_sends_ea_and_the_first_of_several_is_told(d: Desk, i: int, j: int) -> None:
    assert not d.watch.urgent()
    for cause, _, _ in {TRIPS[i], TRIPS[j]}:
        cause(d)
    _, fault, words = TRIPS[i]
    assert d.watch.urgent()
    assert d.watch.trip is None  # asking changes nothing
    d.watch.ea()
    assert d.unit.names == ["EA"]
    assert d.watch.trip == Trip(fault=fault, words=words, t_s=d.now_s)
    assert d.stop_line.asked == ["stop"]
    assert not d.watch.urgent()


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize("cause", [stop, told_to_end, orphaned, frozen, disarm])
@pytest.mark.parametrize("state", ["lost", "_shut"])
def test_nothing_asks_for_ea_once_it_is_lost_or_shut(d: Desk, cause: Cause, state: str) -> None:
    setattr(d.watch, state, True)
    cause(d)
    assert not d.watch.urgent()


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize(("cause", "fault", "words"), TRIPS[:3])
def test_stop_the_end_and_a_dead_engine_are_heard_while_it_opens(
    tmp_path: Path, cause: Cause, fault: Fault, words: str
) -> None:
    with desk(tmp_path, opened=False) as d:
        assert not d.watch.urgent()
        cause(d)
        assert d.watch.urgent()
        d.watch.after_ea()
        assert d.watch.trip == Trip(fault=fault, words=words, t_s=d.now_s)
        assert not d.watch.urgent()


@pytest.mark.parametrize("cause", [frozen, disarm])
def test_a_heartbeat_and_a_plain_disarm_count_once_it_is_open(tmp_path: Path, cause: Cause) -> None:
    """Until then the opening itself disarms, and whoever opens may not have begun to beat."""
    with desk(tmp_path, opened=False, asked=3) as d:
        d.armed()
        cause(d)
        assert not d.watch.urgent()
        d.watch.opened()
        assert d.board["port_state"] == OPEN == 1
        assert d.watch.urgent()


@pytest.mark.req("R-DISARM")
def test_a_disarm_asked_before_the_watch_began_is_served(tmp_path: Path) -> None:
    with desk(tmp_path, asked=3) as d:
        assert d.watch.urgent()
        assert d.stepped()[0] == "EA"
        assert d.board["disarm_done"] == 3
        assert d.watch.trip is None


def test_no_disarm_is_asked_where_none_was(d: Desk) -> None:
    assert "EA" not in d.stepped()
    assert d.board["disarm_done"] == 0


def test_every_poll_shows_life(d: Desk) -> None:
    d.clock.advance(3.0)
    assert d.board.age_s("port") > 1
    d.watch.urgent()
    assert d.board.age_s("port") == 0
    assert d.waited == 1


@pytest.mark.req("R-ORPHAN")
@pytest.mark.parametrize(
    ("instr", "armed", "discharges"),
    [
        (None, False, False), (None, True, True), (STANDBY, False, False), (STANDBY, True, True),
        (ARMED, False, True), (READY, False, True), (READY, True, True), (NOTHING, False, False),
    ],
)  # fmt: skip
def test_a_stale_heartbeat_sends_ea_where_the_unit_may_discharge_and_nowhere_else(
    d: Desk, instr: int | None, armed: bool, discharges: bool
) -> None:
    if instr is not None:
        d.says(instr)
    d.watch.armed = armed
    assert d.watch.may_discharge() is discharges
    for age_ns, stale in ((0, False), (FRESH_NS, False), (FRESH_NS + 1, True)):
        d.beat(age_ns)
        assert d.watch.urgent() is (stale and discharges), age_ns
    for never in (0, -1):
        d.board["beat_engine"] = never
        assert d.watch.urgent() is discharges


@pytest.mark.req("R-DISARM")
def test_after_a_trip_a_first_stop_and_each_disarm_still_send_ea_and_nothing_else(d: Desk) -> None:
    d.watch.trip = OTHER
    told_to_end(d)
    orphaned(d)
    frozen(d)
    assert not d.watch.urgent()
    stop(d)
    assert d.watch.urgent()
    d.watch.ea()
    assert d.board["stop_served"] == d.board.now_ns()
    assert not d.watch.urgent()
    for n in (1, 2):
        disarm(d)
        assert d.watch.urgent()
        d.watch.ea()
        assert d.board["disarm_done"] == n
        assert not d.watch.urgent()
    assert d.watch.trip is OTHER
    assert d.unit.names == ["EA"] * 3


# ---- EA


@pytest.mark.req("R-DISARM")
def test_a_plain_disarm_trips_nothing_and_leaves_the_stop_line_alone(d: Desk) -> None:
    d.armed()
    d.watch.run = run = Run()
    disarm(d)
    d.watch.ea()
    assert d.watch.trip is None
    assert not d.watch.armed
    assert d.stop_line.asked == []
    assert d.watch.confirm_tries == CONFIRM_TRIES == 5
    assert run.cut_s == d.now_s
    assert d.board["stop_served"] == 0


def test_ea_that_nobody_asked_for_trips_nothing(d: Desk) -> None:
    d.armed()
    d.watch.ea()
    assert d.watch.trip is None
    assert not d.watch.armed


@pytest.mark.req("R-DISARM")
def test_the_first_ea_after_a_stop_is_the_one_that_is_told(d: Desk) -> None:
    stop(d)
    d.watch.ea()
    first = d.board["stop_served"]
    assert first == d.board.now_ns()
    d.on(0.1)
    d.watch.ea()
    assert d.board["stop_served"] == first


def test_a_stop_served_at_the_very_start_of_time_is_still_told(tmp_path: Path) -> None:
    with desk(tmp_path, start_s=0.0) as d:
        stop(d)
        d.watch.ea()
        assert d.board["stop_served"] == 1


@pytest.mark.parametrize("standing", [None, OTHER])
def test_the_first_trip_is_the_one_that_is_told(d: Desk, standing: Trip | None) -> None:
    d.watch.trip = standing
    stop(d)
    d.watch.trip_with(Fault.UNIT_SILENT, "mute")
    assert d.watch.trip == (standing or Trip(fault=Fault.UNIT_SILENT, words="mute", t_s=d.now_s))
    assert d.unit.names == ["EA"]
    assert d.stop_line.asked == ["stop"]


def test_a_trip_without_a_stop_line(d: Desk) -> None:
    d.watch.stop_line = None
    d.watch.trip_with(Fault.UNIT_SILENT, "mute")
    assert d.watch.trip is not None
    d.watch.trip = None
    d.watch.forgive()
    d.watch.line_lost(Lost("gone", written=False))
    assert d.watch.trip is not None


# ---- the line is gone


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize("asked", [False, True])
def test_a_line_that_fails_under_ea_is_told_with_what_the_unit_does_by_itself(d: Desk, asked: bool) -> None:
    d.armed()
    d.watch.run = run = Run()
    d.watch.confirm_tries = 3
    if asked:
        stop(d)
    d.unit.fails["EA"] = [Lost("no device", written=True)]
    d.watch.ea()
    assert d.watch.lost
    assert (d.watch.armed, d.watch.confirm_tries) == (False, 0)
    assert d.board["port_state"] == FAILED == 2
    assert d.board["stop_confirmed"] == (-1 if asked else 0)
    words = "no device; the unit disarms itself after about 1 s of silence"
    assert d.watch.trip == Trip(fault=Fault.UNIT_LOST, words=words, t_s=d.now_s)
    assert d.stop_line.asked == ["stop"]
    assert run.failed == "no device"
    d.watch.ea()
    d.watch.trip_with(Fault.BUG, "later")
    assert d.unit.names == ["EA"]  # nothing more is written
    assert d.watch.trip.fault is Fault.UNIT_LOST
    assert d.stepped() == []


def test_a_line_lost_after_a_trip_keeps_the_first_trip(d: Desk) -> None:
    d.watch.trip = OTHER
    d.watch.line_lost(Lost("no device", written=True))
    assert d.watch.trip is OTHER


# ---- a trip that arming anew clears


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("final", [nothing, stop, told_to_end, None])
def test_arming_anew_clears_what_it_may_and_nothing_final(d: Desk, fault: Fault, final: Cause | None) -> None:
    d.watch.trip = trip = Trip(fault=fault, words="w", t_s=0.0)
    if final is None:
        d.watch.lost = True
    else:
        final(d)
    d.watch.forgive()
    cleared = final is nothing and fault in RE_ARM
    assert d.watch.trip is (None if cleared else trip)
    assert d.stop_line.asked == (["release"] if cleared else [])


@pytest.mark.parametrize("final", [nothing, stop, told_to_end, None])
def test_the_stop_line_lets_go_on_the_way_to_arming_unless_it_is_final(d: Desk, final: Cause | None) -> None:
    if final is None:
        d.watch.lost = True
    else:
        final(d)
    d.watch.forgive()
    assert d.stop_line.asked == (["release"] if final is nothing else [])


# ---- is it disarmed?


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize("asked", [False, True])
def test_ea_is_confirmed_by_the_units_own_word(d: Desk, asked: bool) -> None:
    d.armed()
    d.watch.misses = 1
    (stop if asked else disarm)(d)
    assert d.stepped() == ["EA", "control"]
    assert d.unit.quiet == 1
    assert d.watch.confirm_tries == 0
    assert d.watch.misses == 0
    assert d.watch.status is not None
    assert d.watch.status.standby
    assert d.board["unit_instr"] == STANDBY
    assert d.board["stop_confirmed"] == (1 if asked else 0)
    assert d.unit.names.count("EA") == 1


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("instr", [READY, ARMED, STANDBY | ARMED, NOTHING])
def test_a_unit_that_does_not_obey_gets_ea_five_times_and_is_told(d: Desk, asked: bool, instr: int) -> None:
    d.armed(instr)
    d.unit.obeys = False
    (stop if asked else disarm)(d)
    sent = []
    for left in (4, 3, 2, 1):
        sent += d.stepped()
        assert d.watch.confirm_tries == left
        assert d.board["stop_confirmed"] == (-1 if asked else 0)
        assert (d.watch.trip is None) is not asked
        d.beat()
    sent += d.stepped()
    assert d.watch.confirm_tries == 0
    assert sent.count("control") == 5
    assert sent.count("EA") == (5 if asked else 6)
    assert d.watch.trip is not None
    if not asked:
        assert d.watch.trip.fault is Fault.UNIT_UNEXPECTED
        assert "does not confirm that it is disarmed" in d.watch.trip.words
        assert str(d.watch.status) in d.watch.trip.words
    assert "control" not in d.stepped()


def test_a_unit_that_obeys_late_is_confirmed_late(d: Desk) -> None:
    d.armed()
    d.unit.obeys = False
    stop(d)
    d.stepped()
    assert d.board["stop_confirmed"] == -1
    d.unit.obeys = True
    d.stepped()
    d.stepped()
    assert d.board["stop_confirmed"] == 1
    assert d.watch.confirm_tries == 0


@pytest.mark.parametrize("trouble", [Silent, Garbled, Refused])
def test_a_unit_that_does_not_answer_after_ea_is_asked_again(d: Desk, trouble: type[LineTrouble]) -> None:
    d.armed()
    d.unit.fails["control"] = [trouble("no word", written=True) for _ in range(5)]
    disarm(d)
    for n in range(1, 5):
        assert d.stepped()[-1] == "EA"
        assert d.watch.misses == n
        assert d.watch.trip is None
        d.beat()
    d.stepped()
    assert d.watch.trip is not None
    assert "no word" in d.watch.trip.words
    assert d.watch.misses == 5


def test_a_confirmation_cut_short_by_something_urgent_begins_anew(d: Desk) -> None:
    d.armed()
    d.unit.fails["control"] = [Cut("cut", written=True)]
    disarm(d)
    d.unit.doing["control"] = lambda: stop(d)
    assert d.stepped() == ["EA", "control"]
    assert d.watch.confirm_tries == 5
    assert d.watch.misses == 0
    assert d.watch.trip is not None
    assert d.watch.trip.fault is Fault.STOP
    assert d.board["stop_served"] > 0
    assert d.board["stop_confirmed"] == 0  # not yet
    d.unit.doing.clear()
    d.stepped()
    assert d.board["stop_confirmed"] == 1


def test_a_line_that_fails_under_the_confirmation(d: Desk) -> None:
    d.armed()
    d.unit.fails["control"] = [Lost("no device", written=True)]
    disarm(d)
    assert d.stepped() == ["EA", "control"]
    assert d.watch.lost
    assert d.watch.trip is not None
    assert d.watch.trip.fault is Fault.UNIT_LOST
    assert d.watch.misses == 0


def test_a_train_that_runs_on_after_ea_is_asked_about_until_it_ends(d: Desk) -> None:
    d.armed()
    d.unit.obeys = False
    d.watch.run = run = Run(was_cut=True)
    d.unit.running = 0x02
    disarm(d)
    for _ in range(8):
        assert d.stepped()[-2:] == ["look", "EA"]
        assert d.watch.confirm_tries == 5
        assert d.watch.trip is None
        d.beat()
    assert all(d.unit.modes)
    assert run.words[0] == (True, 1000.0, 1000.0 + REPLY_S)
    assert not d.unit.names.count("control")


@pytest.mark.req("R-ORPHAN")
def test_a_train_that_runs_on_is_not_kept_alive_for_an_engine_that_is_gone(d: Desk) -> None:
    d.armed()
    d.unit.obeys = False
    d.watch.run = Run(was_cut=True)
    d.unit.running = 0x02
    d.clock.advance(0.3)
    left = []
    for _ in range(7):
        d.stepped()
        left.append(d.watch.confirm_tries)
    assert left == [4, 3, 2, 1, 0, 0, 0]
    assert d.watch.trip is not None
    assert d.watch.trip.fault is Fault.ENGINE_LATE


@pytest.mark.req("R-BELIEF")
def test_after_ea_the_numbers_are_read_that_were_not_since_the_last_pulse(d: Desk) -> None:
    """Also where pulse and numbers are of one instant; not where the numbers are newer, or there was no pulse."""
    for fired_s, read in ((999.0, True), (998.9, False), (math.nan, False)):
        d.armed()
        d.watch.numbers_s, d.watch.fired_s = 999.0, fired_s
        disarm(d)
        before = len(d.unit.names)
        d.stepped()
        assert ("power" in d.unit.names[before:]) is read
        d.beat()


@pytest.mark.req("R-BELIEF")
def test_after_ea_a_train_hears_what_the_unit_was_set_to(d: Desk) -> None:
    d.armed()
    d.watch.run = run = Run(was_cut=True, untold=True)
    d.unit.running = 0x02  # it runs on for a moment
    held = Held(frequency_hz=10.0, n_pulses=700, duration_s=70.0)
    d.unit.doing["power"] = lambda: setattr(
        d.unit, "held", held
    )  # its parameters say it, its status byte did not
    disarm(d)
    d.stepped()
    assert run.numbers == [(700, d.unit.wrong)]


def test_a_status_of_the_very_instant_of_ea_confirms_it(d: Desk) -> None:
    d.armed()
    disarm(d)
    d.watch.before_request()
    asked = d.unit.take_control
    d.unit.take_control = lambda: replace(asked(), late_s=d.now_s - d.watch._ea_s)  # type: ignore[method-assign]
    d.watch.confirm()
    assert d.watch.status is not None
    assert d.watch.status.t_s == d.watch._ea_s
    assert d.watch.confirm_tries == 0


def test_numbers_of_the_instant_of_a_setting_are_of_it(d: Desk) -> None:
    d.armed()
    d.watch.power_pct_mso, d.watch.set_s = 40, d.now_s
    d.unit.power_pct_mso = 41
    d.watch._compare(d.unit.parameters())
    assert d.watch.trip is not None
    assert "armed at 40 %, and the unit says 41 %" in d.watch.trip.words


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize("fault", [None, *RE_ARM, Fault.STOP])
@pytest.mark.parametrize("given", [True, False])
def test_a_pulse_given_otherwise_is_told_over_what_two_steps_clear(
    d: Desk, fault: Fault | None, given: bool
) -> None:
    """A trip that arming anew clears must not hide it; one that stands for the whole run is not replaced."""
    d.armed()
    d.watch.power_pct_mso, d.unit.power_pct_mso = 40, 41
    was = None if fault is None else Trip(fault=fault, words="before", t_s=d.now_s)
    d.watch.trip = was
    d.watch.numbers_s, d.watch.fired_s = d.now_s, d.now_s + (0.0 if given else -1.0)
    d.watch._compare(d.unit.parameters())
    assert d.watch.trip is not None
    told = "41 %" in d.watch.trip.words
    assert told is (fault is None or (given and fault in RE_ARM))
    assert d.watch.trip is was or told
    assert ("may have been given so" in d.watch.trip.words) is (told and given)
