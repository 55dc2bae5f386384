"""What mutation testing found unproved in the driver's watch over a unit: keep-alives, readings, what they show."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from watch_tools import ARMED, NO_COIL, NOTHING, READY, REPLY_S, STANDBY, Desk, Run, desk

from drivers.keeping import QUIET_S
from drivers.magstim.bistim_port import BistimPort
from drivers.magstim.exchange import ARMED_REPLY_S, REPLY_DEADLINE_S
from drivers.magstim.magpy_port import Held, MagpyPort
from drivers.magstim.rapid_port import RapidPort
from drivers.requests import Trip
from drivers.trouble import Cut, Garbled, Lost, Refused, Silent
from drivers.watch import CLOSED, FAILED
from rtloop.model.pulse import Delivery, Train
from rtloop.model.status import Fault, UnitStatus

OTHER = Trip(fault=Fault.BUG, words="another", t_s=3.0)
TRAIN = Train(frequency_hz=10, n_pulses=20)
RUNS, ENDED = 0x02, 0x00


@pytest.fixture
def d(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


@pytest.fixture
def at_0(tmp_path: Path) -> Iterator[Desk]:
    """Its first reply comes at 0 s, so that instants can be compared to the last bit."""
    with desk(tmp_path, start_s=-REPLY_S) as made:
        made.board["beat_engine"] = 1
        yield made


def fault_of(d: Desk) -> Fault | None:
    return None if d.watch.trip is None else d.watch.trip.fault


@pytest.mark.parametrize(
    ("model", "port"), [("200", MagpyPort), ("bistim", BistimPort), ("rapid", RapidPort)]
)
def test_it_speaks_to_the_unit_through_the_port_of_its_model(tmp_path: Path, model: str, port: type) -> None:
    with desk(tmp_path, model=model) as d:
        assert type(d.port) is port


# ---- the pace


@pytest.mark.parametrize(("instr", "every_s"), [(STANDBY, 2.0), (READY, 0.15), (ARMED, 0.15)])
def test_how_often_a_unit_is_kept_alive(d: Desk, instr: int, every_s: float) -> None:
    if instr != STANDBY:
        d.armed(instr)
    d.says(instr)
    looks: list[float] = []
    for _ in range(500):
        if "look" in d.stepped():
            looks.append(d.now_s)
        d.on(0.01)
    gaps = [b - a for a, b in pairwise(looks)]
    assert looks[0] == pytest.approx(1000.0 + REPLY_S)  # at once
    assert len(gaps) >= 2
    assert all(every_s <= gap <= every_s + 0.05 for gap in gaps), gaps
    assert d.watch.trip is None


def test_power_and_temperature_are_each_read_every_two_seconds_in_turn(d: Desk) -> None:
    read = []
    for _ in range(1000):
        read += [(name, d.now_s) for name in d.stepped() if name in ("power", "temperature")]
        d.on(0.01)
    names = [name for name, _ in read]
    assert names == (["power", "temperature"] * 20)[: len(names)]
    for name in ("power", "temperature"):
        at_s = [t_s for n, t_s in read if n == name]
        assert len(at_s) >= 4
        assert all(2.0 <= b - a <= 2.1 for a, b in pairwise(at_s))


def test_at_most_one_exchange_a_step(d: Desk) -> None:
    assert d.stepped() == ["look"]
    assert d.stepped() == ["power"]
    assert d.stepped() == []
    d.on(1.0)
    assert d.stepped() == ["temperature"]


def test_no_reading_while_a_train_runs(d: Desk) -> None:
    d.armed()
    d.watch.run = Run()
    d.unit.running = RUNS
    d.watch.look_at_s = d.now_s + 0.5
    assert d.stepped() == []
    d.watch.look_at_s = d.now_s
    assert d.stepped() == ["look"]
    assert d.unit.modes == [True]
    assert d.watch.look_at_s == d.now_s + 0.07  # as the train wants


@pytest.mark.req("R-ORPHAN")
@pytest.mark.parametrize(("age_ns", "kept"), [(250_000_000, True), (250_000_001, False)])
def test_a_unit_whose_engine_is_gone_is_not_kept_alive(d: Desk, age_ns: int, kept: bool) -> None:
    d.beat(age_ns)
    assert d.stepped() == (["look"] if kept else [])
    assert d.watch.trip is None  # in standby nothing can discharge


@pytest.mark.parametrize(
    ("due_in_s", "instr", "quiet"),
    [
        (0.06, READY, True), (math.nextafter(0.06, 1), READY, False), (0.0, READY, True), (-0.02, READY, True),
        (math.nextafter(-0.02, -1), READY, False), (0.03, ARMED, False), (0.03, None, False),
    ],
)  # fmt: skip
def test_the_line_is_free_around_a_pulse_of_a_unit_that_is_ready(
    at_0: Desk, due_in_s: float, instr: int | None, quiet: bool
) -> None:
    d = at_0
    d.clock.advance(REPLY_S)
    assert d.now_s == 0.0
    if instr is None:
        d.watch.armed = True
        d.unit.instr = READY
    else:
        d.armed(instr)
    d.watch.due_s = due_in_s
    assert d.stepped() == ([] if quiet else ["look"])


def test_a_pulse_that_is_due_is_told_by_its_distance_not_by_the_hour(d: Desk) -> None:
    d.armed(ARMED)
    d.watch.due_s = d.now_s + 0.05
    assert d.stepped() == ["look"]
    assert d.watch.look_at_s == d.now_s + 0.03
    d.says(READY)
    d.watch.look_at_s = d.watch._read_at_s = d.now_s
    assert d.stepped() == []


def test_an_announced_pulse_brings_a_look_shortly_before_it_never_puts_one_off(d: Desk) -> None:
    d.watch.look_at_s = 1001.0
    d.watch.announced(1002.0)
    assert (d.watch.due_s, d.watch.look_at_s) == (1002.0, 1001.0)
    d.watch.announced(1000.5)
    assert (d.watch.due_s, d.watch.look_at_s) == (1000.5, 1000.5 - 0.085)


@pytest.mark.parametrize(
    ("instr", "due_s", "next_s"),
    [
        (READY, -math.inf, 0.15),
        (READY, 0.2, 0.2 - 0.085),  # before the keep-alive's own pace
        (READY, 0.6, 0.15),
        (READY, 0.05, 0.15),
        (READY, 0.085, 0.15),
        (ARMED, 0.05, 0.03),  # due, and not ready: asked closely
        (ARMED, -0.05, 0.03),
        (ARMED, 0.085, 0.15),
        (ARMED, -0.085, 0.15),
        (ARMED, 0.2, 0.2 - 0.085),
        (STANDBY, 0.05, 2.0),
        (STANDBY, 1.0, 1.0 - 0.085),
    ],
)
def test_when_the_next_look_is_due(at_0: Desk, instr: int, due_s: float, next_s: float) -> None:
    d = at_0
    if instr != STANDBY:
        d.armed(instr)
    d.watch.due_s = due_s
    d.watch.look()
    assert d.now_s == 0.0
    assert d.watch.look_at_s == next_s


# ---- what a status byte shows


@pytest.mark.parametrize("known", [True, False])
def test_what_is_on_the_board_is_what_the_unit_said(d: Desk, known: bool) -> None:
    if known:
        d.watch.read_power()
        d.watch.read_temperature()
        d.on(0.5)
    d.unit.instr = NO_COIL
    status = d.watch.look()
    assert status is d.watch.status
    assert (status.power_pct_mso, status.coil_temp_c) == ((40, 22.5) if known else (None, None))
    assert status.t_s == d.now_s
    board = d.board
    assert board["unit_instr"] == NO_COIL
    assert board["unit_t"] == int(d.now_s * 1e9)
    assert (board["unit_power"], board["unit_temp_mc"]) == ((40, 22500) if known else (-1, -1))


def test_a_reading_is_on_the_board_at_once(d: Desk) -> None:
    d.unit.held = Held(power_b_pct_mso=30)
    assert d.watch.read_all().held == d.unit.held  # with what else the unit holds
    assert d.board["unit_power"] == 40
    assert d.board["unit_temp_mc"] == -1
    d.watch.read_temperature()
    assert d.board["unit_temp_mc"] == 22500


def test_a_power_being_changed_is_unknown_until_it_is_read_back(d: Desk) -> None:
    assert d.watch.read_power() == 40
    assert (d.watch.power_pct_mso, d.board["unit_power"]) == (40, 40)
    d.watch.forget_power()
    assert (d.watch.power_pct_mso, d.board["unit_power"]) == (None, -1)
    assert d.watch.look().power_pct_mso is None


def test_a_unit_that_tells_no_power_is_no_reading(d: Desk) -> None:
    d.watch.read_power()
    d.unit.power_pct_mso = None
    with pytest.raises(Refused) as refused:
        d.watch.read_all()
    assert refused.value.written
    assert d.board["unit_power"] == 40


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize(
    ("instr", "armed", "arming", "run", "fault", "words", "armed_after"),
    [
        (STANDBY, False, False, None, None, "", False),
        (READY, True, False, None, None, "", True),
        (ARMED, False, False, None, Fault.UNIT_UNEXPECTED, "nobody asked for it", False),
        (READY, False, True, None, Fault.UNIT_UNEXPECTED, "nobody asked for it", False),
        (READY, False, False, Run(), Fault.UNIT_UNEXPECTED, "nobody asked for it", False),
        (READY, False, False, Run(was_cut=True), None, "", False),
        (READY | 0x10, True, False, None, Fault.UNIT_UNEXPECTED, "armed, and the coil must be replaced", False),
        (STANDBY | 0x20, True, True, None, Fault.UNIT_UNEXPECTED, "armed, and an error", False),
        (STANDBY | 0x20, False, False, None, None, "", False),
        (NO_COIL, True, False, None, Fault.UNIT_UNEXPECTED, "armed, and no coil", False),
        (STANDBY, True, True, None, None, "", True),  # it has not followed yet
        (STANDBY, True, False, None, None, "", False),  # it disarmed itself
        (NOTHING, True, False, None, None, "", True),
    ],
)  # fmt: skip
def test_what_a_status_byte_makes_of_an_arming(
    d: Desk, instr: int, armed: bool, arming: bool, run: Run | None, fault: Fault | None, words: str,
    armed_after: bool,
) -> None:  # fmt: skip
    d.unit.instr, d.unit.running = instr, None
    d.watch.armed, d.watch.arming, d.watch.run = armed, arming, run
    d.watch.look()
    assert fault_of(d) is fault
    assert d.unit.names == (["look", "EA"] if fault else ["look"])
    if d.watch.trip is not None:
        assert words in d.watch.trip.words
    assert d.watch.armed is armed_after


def test_nothing_is_judged_before_the_watch_is_open(tmp_path: Path) -> None:
    with desk(tmp_path, opened=False) as d:
        assert not d.watch.setting_known
        assert not d.watch.arming
        d.unit.instr = READY
        d.watch.setting_known, d.unit.wrong = True, "a train"
        d.watch.look()
        d.watch.read_all()
        assert d.unit.names == ["look", "power"]
        assert d.watch.setting_known
        assert d.watch.trip is None


@pytest.mark.parametrize("ask", ["look", "read_all"])
@pytest.mark.parametrize("instr", [STANDBY, READY])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("wrong", ["", "train mode"])
def test_a_setting_that_nobody_asked_for_is_unknown_from_then_on_and_disarms(
    d: Desk, ask: str, instr: int, known: bool, wrong: str
) -> None:
    if instr == READY:
        d.armed()
    d.watch.setting_known, d.unit.wrong = known, wrong
    getattr(d.watch, ask)()
    assert d.watch.setting_known is (known and not wrong)
    assert fault_of(d) is (Fault.UNIT_UNEXPECTED if known and wrong and instr == READY else None)
    if d.watch.trip is not None:
        assert d.watch.trip.words == "nobody set the unit so: train mode"


@pytest.mark.parametrize(
    ("armed", "before", "now", "trips"),
    [(True, 40, 41, True), (True, 40, 40, False), (True, None, 41, False), (False, 40, 41, False)],
)
def test_another_power_than_it_was_armed_with_trips(
    d: Desk, armed: bool, before: int | None, now: int, trips: bool
) -> None:
    d.says(STANDBY)
    d.watch.armed, d.watch.power_pct_mso, d.unit.power_pct_mso = armed, before, now
    assert d.watch.read_power() == now
    assert fault_of(d) is (Fault.UNIT_UNEXPECTED if trips else None)
    if d.watch.trip is not None:
        assert d.watch.trip.words == "armed at 40 %, and the unit says 41 %"
    assert d.board["unit_power"] == now


# ---- a keep-alive or reading that fails


@pytest.mark.parametrize("command", ["look", "power", "temperature"])
@pytest.mark.parametrize(
    ("trouble", "fault"),
    [(Silent, Fault.UNIT_SILENT), (Garbled, Fault.UNIT_UNEXPECTED), (Refused, Fault.UNIT_UNEXPECTED)],
)
@pytest.mark.parametrize("armed", [True, False])
def test_a_failed_exchange_trips_at_once_while_armed_and_the_second_in_a_row_in_standby(
    d: Desk, command: str, trouble: type, fault: Fault, armed: bool
) -> None:
    if armed:
        d.armed()
    if command != "look":
        d.watch.look_at_s = math.inf
    d.watch._read_power_next = command == "temperature"
    d.unit.fails[command] = [trouble("no good word", written=True)]
    assert d.stepped() == ([command, "EA"] if armed else [command])
    assert fault_of(d) is (fault if armed else None)
    if d.watch.trip is not None:
        assert d.watch.trip.words == "no good word"
        return
    assert d.watch.misses == 1
    d.unit.fails["look"] = [trouble("again", written=True)]
    d.watch.look_at_s = d.now_s
    assert d.stepped() == ["look", "EA"]
    assert fault_of(d) is fault


def test_a_proper_reply_in_between_ends_a_row_of_misses(d: Desk) -> None:
    for _ in range(3):
        d.unit.fails["look"] = [Silent("no word", written=True)]
        d.watch.look_at_s = d.now_s
        assert d.stepped() == ["look"]
        assert d.watch.misses == 1
        d.unit.fails.clear()
        assert d.stepped() == ["look"]
        assert d.watch.misses == 0
        d.on(0.1)
    assert d.watch.trip is None


def test_nothing_done_is_no_proper_reply(d: Desk) -> None:
    d.watch.misses = 1
    d.watch.look_at_s = d.watch._read_at_s = d.now_s + 1
    assert d.stepped() == []
    assert d.watch.misses == 1


def test_a_keep_alive_cut_short_by_stop(d: Desk) -> None:
    d.armed()
    d.unit.fails["look"] = [Cut("cut", written=True)]
    d.unit.doing["look"] = d.board.ask_stop
    assert d.stepped() == ["look"]  # EA went out with the cut
    assert fault_of(d) is Fault.STOP
    assert d.board["stop_served"] == d.board.now_ns()
    assert d.watch.confirm_tries == 5
    assert d.watch.misses == 0


def test_a_keep_alive_on_a_line_that_fails(d: Desk) -> None:
    d.armed()
    d.unit.fails["look"] = [Lost("no device", written=True)]
    assert d.stepped() == ["look"]
    assert d.watch.lost
    assert fault_of(d) is Fault.UNIT_LOST


@pytest.mark.parametrize(
    ("trouble", "later_s", "misses", "trips"),
    [
        (Silent, 0.0, 1, True), (Silent, 0.019, 1, True), (Silent, 0.021, 1, False), (Silent, 0.0, 0, False),
        (Garbled, 0.0, 1, False),
    ],
)  # fmt: skip
def test_a_silence_that_a_request_has_waited_through_is_the_second_miss(
    d: Desk, trouble: type, later_s: float, misses: int, trips: bool
) -> None:
    d.unit.fails["look"] = [trouble("no word", written=True)]
    d.watch.before_request()
    assert d.stepped() == ["look"]
    d.on(later_s)
    d.watch.misses = misses
    d.watch.before_request()
    assert fault_of(d) is (Fault.UNIT_SILENT if trips else None)
    assert d.watch.misses == misses + trips
    assert ("EA" in d.unit.names) is trips


def test_an_ea_that_was_not_confirmed_is_no_silence_of_a_request(d: Desk) -> None:
    d.watch.misses = 1
    d.watch.before_request()
    assert d.watch.misses == 1
    assert d.watch.trip is None


def test_the_instant_from_which_a_silence_is_an_old_one(at_0: Desk) -> None:
    d = at_0
    d.unit.fails["look"] = [Silent("no word", written=True)]
    assert d.stepped() == ["look"]
    assert d.now_s == 0.0
    d.clock.sleep_until(0.02)
    d.watch.before_request()
    assert d.watch.trip is None


@pytest.mark.req("R-DISARM")
def test_ea_that_is_due_goes_out_before_a_request(d: Desk) -> None:
    d.watch.before_request()
    assert d.unit.names == []
    d.board["disarm_asked"] += 1
    d.watch.before_request()
    assert d.unit.names == ["EA"]
    assert d.board["disarm_done"] == 1


# ---- the engine's process


@pytest.mark.req("R-ORPHAN")
def test_the_process_ends_with_its_parent(d: Desk) -> None:
    d.stepped()
    assert d.watch.leaving == ""
    d.parent_lives = False
    assert d.stepped()[0] == "EA"
    assert d.watch.leaving == "the engine's process is gone"
    d.watch.leave("SIGTERM")
    assert d.watch.leaving == "the engine's process is gone"  # the first is told


# ---- a train


@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize("was_cut", [True, False])
@pytest.mark.parametrize("standing", [None, OTHER])
@pytest.mark.parametrize("instr", [STANDBY, READY, None])
def test_what_the_end_of_a_train_brings(
    d: Desk, delivery: Delivery, was_cut: bool, standing: Trip | None, instr: int | None
) -> None:
    d.watch.armed = not was_cut
    if instr is not None:
        d.says(instr)
    d.watch.trip = standing
    d.watch.run = run = Run(was_cut=was_cut, delivery=delivery)
    d.watch.look_at_s = math.inf
    d.watch.follow_train()
    assert d.watch.run is run  # not over
    assert d.watch.train_receipt is None
    run.ended = True
    d.watch.follow_train()
    assert d.watch.run is None
    assert d.watch.train_receipt == run.receipt(d.watch.status)
    assert d.watch.look_at_s == d.now_s
    trips = delivery is Delivery.UNCERTAIN and not was_cut and standing is None
    again = was_cut and instr == READY  # now it can be obeyed
    assert d.unit.names == (["EA"] if trips or again else [])
    if trips:
        assert fault_of(d) is Fault.UNCERTAIN_PULSE
        assert d.watch.trip is not None
        assert d.watch.trip.words == "a train of unknown outcome: why it is"
    else:
        assert d.watch.trip is standing


@pytest.mark.parametrize("running", [RUNS, ENDED, None])
def test_what_the_unit_says_of_a_train_is_heard_with_when_it_was_asked(d: Desk, running: int | None) -> None:
    d.armed()
    d.watch.run = run = Run()
    d.unit.running = running
    asked_s = d.now_s
    d.watch.look()
    told = [] if running is None else [(running == RUNS, asked_s, asked_s + REPLY_S)]
    assert run.words == told
    assert run.standbys == [False] * len(told)
    assert (d.watch.run is None) is (running == ENDED)
    assert (d.watch.train_receipt is None) is (running != ENDED)


@pytest.mark.parametrize(("armed", "in_train"), [(False, False), (True, False), (False, True), (True, True)])
def test_the_mode_is_asked_while_armed_and_while_a_train_may_run(
    d: Desk, armed: bool, in_train: bool
) -> None:
    if armed:
        d.armed()
    d.watch.run = Run() if in_train else None
    d.unit.modes.clear()
    d.watch.look()
    assert d.unit.modes == [armed or in_train]


def test_when_the_numbers_were_last_told_is_remembered(d: Desk) -> None:
    assert d.watch.numbers_s == -math.inf
    d.watch.look()  # in standby: not asked
    assert d.watch.numbers_s == -math.inf
    assert d.unit.numbers == [False]
    d.armed()
    d.watch.look()
    assert d.watch.numbers_s == (told_s := d.now_s)
    d.on(0.3)
    d.unit.power_pct_mso = None  # this answer does not tell them
    d.watch.look()
    assert d.watch.numbers_s == told_s
    d.on(0.1)
    d.unit.power_pct_mso = 40
    d.watch.read_all()
    assert d.watch.numbers_s == d.now_s


@pytest.mark.parametrize(
    ("armed", "untold", "asked"),
    [(True, None, True), (False, None, False), (False, True, True), (True, False, False)],
)
def test_the_numbers_are_asked_while_armed_and_once_in_a_train(
    d: Desk, armed: bool, untold: bool | None, asked: bool
) -> None:
    if armed:
        d.armed()
    d.watch.run = None if untold is None else Run(untold=untold)
    d.unit.numbers.clear()
    d.watch.look()
    assert d.unit.numbers == [asked]


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("wrong", ["", "40 pulses"])
def test_a_train_hears_its_numbers_before_it_is_followed(d: Desk, wrong: str) -> None:
    d.armed()
    d.watch.run = run = Run(untold=True)
    d.unit.held, d.unit.wrong, d.unit.running = Held(n_pulses=40), wrong, ENDED
    d.watch.look()
    assert run.numbers == [(40, wrong)]
    assert run.words


@pytest.mark.req("R-UNCERTAIN")
def test_after_ea_a_train_is_looked_at_first_and_asked_for_its_numbers_then(d: Desk) -> None:
    d.armed()
    d.watch.run = run = Run(untold=True)
    d.unit.running, d.unit.obeys = RUNS, False
    d.watch.ea()
    d.unit.fails["power"] = [Silent("no word", written=True)]
    d.watch.confirm()
    assert d.unit.names[-3:] == ["look", "power", "EA"]
    assert [on for on, *_ in run.words] == [True]  # heard, though the numbers were not
    d.unit.held = Held(n_pulses=40)
    d.watch.confirm()
    assert run.numbers[-1] == (40, "")
    d.watch.confirm()
    assert d.unit.names[-2:] == ["look", "EA"]  # told once


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize("armed", [True, False])
@pytest.mark.parametrize(("ago_s", "given"), [(0.0, True), (0.1, True), (0.31, False), (math.nan, False)])
@pytest.mark.parametrize("what", ["power", "setting"])
def test_what_was_given_otherwise_is_told(d: Desk, armed: bool, ago_s: float, given: bool, what: str) -> None:
    d.says(STANDBY)
    d.watch.setting_known = True
    d.watch.read_all()
    told_s = d.now_s
    d.on(0.3)
    d.watch.fired_s = told_s if ago_s == 0.0 else d.now_s - ago_s
    d.watch.armed = armed
    if what == "power":
        d.unit.power_pct_mso = 90
    else:
        d.unit.wrong = "train mode"
    d.watch.read_all()
    words = {
        "power": "armed at 40 %, and the unit says 90 %",
        "setting": "nobody set the unit so: train mode",
    }[what]
    if not (armed or given):
        assert d.watch.trip is None
        return
    assert fault_of(d) is Fault.UNIT_UNEXPECTED
    assert d.watch.trip is not None
    assert d.watch.trip.words == words + "; the last pulse or train may have been given so" * given
    assert d.board["unit_power"] == (90 if what == "power" else 40)


def test_a_look_finds_both_at_once_and_publishes_the_power_found(d: Desk) -> None:
    d.armed()
    d.watch.power_pct_mso, d.watch.setting_known = 40, True
    d.unit.power_pct_mso, d.unit.wrong = 90, "train mode"
    d.watch.look()
    assert d.watch.trip is not None
    assert d.watch.trip.words == "armed at 40 %, and the unit says 90 %; nobody set the unit so: train mode"
    assert (d.watch.power_pct_mso, d.board["unit_power"], d.watch.setting_known) == (90, 90, False)


def test_a_power_that_is_being_changed_is_not_known_by_a_look(d: Desk) -> None:
    d.armed()
    d.watch.forget_power()
    d.watch.look()
    assert d.watch.power_pct_mso is None
    assert d.watch.trip is None


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize(("heard_s", "quiet"), [(0.229, True), (0.15 + QUIET_S, False), (math.inf, False)])
def test_a_pulse_that_is_announced_again_and_again_puts_no_look_off_for_long(
    at_0: Desk, heard_s: float, quiet: bool
) -> None:
    d = at_0
    d.clock.advance(REPLY_S)
    d.armed()
    d.watch.status = UnitStatus.from_instr(READY, t_s=-heard_s)
    d.watch.due_s = 0.03
    assert d.stepped() == ([] if quiet else ["look"])


def test_that_the_unit_fell_to_standby_in_a_train_is_heard(d: Desk) -> None:
    d.armed()
    d.watch.run = run = Run()
    d.unit.running, d.unit.instr = ENDED, STANDBY
    d.watch.look()
    assert run.standbys == [True]


def test_a_train_that_is_over_by_the_clock_is_told_without_an_answer(d: Desk) -> None:
    d.armed()
    d.watch.run = Run(ended=True)
    d.watch.look_at_s = d.watch._read_at_s = math.inf
    d.stepped()
    assert d.watch.train_receipt is not None
    d.watch.run = Run(ended=True)
    d.watch.train_receipt, d.watch.lost = None, True
    d.stepped()
    assert d.watch.train_receipt is not None  # also where nothing more can be asked


def test_a_train_that_nobody_told_of_is_no_concern(d: Desk) -> None:
    d.armed()
    d.unit.running = RUNS
    d.watch.look()
    assert d.watch.train_receipt is None


# ---- the end


@pytest.mark.req("R-DISARM")
def test_shutting_disarms_confirms_releases_and_closes_once(d: Desk) -> None:
    d.armed()
    d.watch.run = run = Run()
    d.watch.run.was_cut = True
    d.unit.running = ENDED
    d.watch.shut()
    d.watch.shut()
    assert d.unit.names == ["EA", "look", "release", "close"]
    assert not d.watch.armed
    assert d.board["port_state"] == CLOSED == 3
    assert run.words
    assert d.watch.train_receipt is not None
    assert d.watch.leaving == ""


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize("command", ["EA", "control", "release"])
def test_a_line_that_fails_while_it_is_shut_is_closed_all_the_same(d: Desk, command: str) -> None:
    d.armed()
    d.watch.leave("closed by the engine")
    d.unit.fails[command] = [Lost("no device", written=True)]
    d.watch.shut()
    assert d.unit.names[-1] == "close"
    assert d.board["port_state"] == FAILED
    failed = command != "control"
    assert d.watch.leaving == "closed by the engine" + " (and the line failed: no device)" * failed
    d.watch.ea()
    assert d.stepped() == []


def test_a_unit_that_gave_no_control_is_told_ea_and_nothing_else(d: Desk) -> None:
    d.watch.shut()
    assert d.unit.names == ["EA", "close"]
    assert d.board["port_state"] == FAILED


def test_a_unit_that_does_not_answer_is_not_released(d: Desk) -> None:
    d.armed()
    d.unit.fails["control"] = [Silent("no word", written=True)]
    d.watch.shut()
    assert d.unit.names == ["EA", "control", "EA", "close"]
    assert d.board["port_state"] == FAILED


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize(("instr", "run"), [(READY, None), (NOTHING, None), (READY, Run())])
def test_a_unit_that_does_not_obey_is_released_and_not_told_as_closed(
    d: Desk, instr: int, run: Run | None
) -> None:
    d.armed(instr)
    d.unit.obeys, d.unit.running, d.watch.run = False, RUNS, run
    d.watch.shut()
    asked = "control" if run is None else "look"
    assert d.unit.names == ["EA", asked, "EA", asked, "EA", "release", "close"]
    assert d.board["port_state"] == FAILED


def test_a_line_that_is_lost_is_closed_and_nothing_is_written(d: Desk) -> None:
    d.armed()
    d.watch.line_lost(Lost("no device", written=True))
    d.watch.run = run = Run()
    d.watch.shut()
    assert d.unit.names == ["close"]
    assert d.board["port_state"] == FAILED
    assert run.failed == "the line was closed"


def test_a_train_that_ends_after_the_line_was_closed_writes_nothing(d: Desk) -> None:
    d.watch.run = Run(delivery=Delivery.UNCERTAIN)
    d.watch.shut()
    before = list(d.unit.names)
    d.watch.run.ended = True
    d.watch.follow_train()
    assert d.watch.train_receipt is not None
    d.watch.run = Run(ended=True, was_cut=True)
    d.says(READY)
    d.watch.follow_train()
    assert d.unit.names == before
    assert d.watch.trip is None


@pytest.mark.req("R-DISARM")
def test_an_armed_unit_has_less_time_for_an_answer(d: Desk) -> None:
    d.watch.look()
    assert d.unit.reply_s == REPLY_DEADLINE_S
    d.armed()
    d.watch.look()
    assert d.unit.reply_s == ARMED_REPLY_S
    d.watch.ea()
    assert d.unit.reply_s == REPLY_DEADLINE_S
