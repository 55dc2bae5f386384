"""A unit that is set to give more than one pulse, found at its opening, before a pulse, or only after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from contract_tools import EA, EH, KEY, RUN, Bench, bench

from drivers.magstim.magpy_port import Held
from drivers.magstim.units import MOST_PULSES
from drivers.single import most_given
from drivers.stepped import SteppedUnit
from drivers.trouble import UnitProblem
from hardware_sim.faults import FaultKind
from hardware_sim.line import SteppedLine
from hardware_sim.magstim import unit_of
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.model.pulse import Delivery
from rtloop.model.status import Fault

# ---- a BiStim² taken for a 200²


@pytest.mark.req("R-PERMIT")
@pytest.mark.parametrize(
    ("power_b", "interval", "words"),
    [(60, 25, "power B 60 %"), (0, 10, "interval 10"), (1, 0, "power B 1 %")],
)
def test_a_bistim_is_no_200(tmp_path: Path, power_b: int, interval: int, words: str) -> None:
    """It would give two pulses on a permit for one, and MagPy's 200² does not read those digits."""
    sim = unit_of("bistim", power_b_pct_mso=power_b, interval=interval)
    clock = SteppedClock()
    line = SteppedLine(sim, clock)
    with (
        Board.create(tmp_path / "board", clock=clock) as board,
        pytest.raises(UnitProblem, match=words) as problem,
    ):
        SteppedUnit.open(line=line, clock=clock, board=board, run_id=RUN, key=KEY, model="200")
    assert "a BiStim²?" in str(problem.value)
    assert "correct the model" in problem.value.todo
    assert not [packet for _, packet in sim.packets if packet[:2] in (b"EB", b"EH")]


def test_a_second_pulse_that_appears_on_a_200_trips(tmp_path: Path) -> None:
    with bench("stepped", tmp_path, arming_s=0.1, power_pct_mso=40) as b:
        b.ready(40)
        b.sim.power_b_pct_mso, b.sim.interval = 30, 10  # type: ignore[attr-defined]
        b.sim.commands = {**b.sim.commands, ord("J"): unit_of("bistim").commands[ord("J")]}
        b.sleep(2.5)
        assert b.unit.trouble().fault is Fault.UNIT_UNEXPECTED
        assert "power B 30 %" in str(b.unit.trouble())
        assert b.unit.fire(b.permit(40)).delivery is Delivery.NOT_DELIVERED


def test_what_is_no_number_where_a_second_pulse_would_stand_is_refused(tmp_path: Path) -> None:
    sim = unit_of("200")
    known = sim.commands[ord("J")]
    odd = type(known)(data_bytes=1, reply_bytes=12, effect=lambda *_: b"040" + b"00x000")
    sim.commands = {**sim.commands, ord("J"): odd}
    clock = SteppedClock()
    line = SteppedLine(sim, clock)
    with (
        Board.create(tmp_path / "board", clock=clock) as board,
        pytest.raises(UnitProblem, match="no digits where power"),
    ):
        SteppedUnit.open(line=line, clock=clock, board=board, run_id=RUN, key=KEY, model="200")


# ---- a Rapid² that somebody sets to trains at its panel


@pytest.fixture(params=[(9, 0, 0), (7, 1), (5, 0, 0)], ids=["9", "7", "5"])
def rapid(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Armed at 40 %, a first look behind it."""
    with bench(
        "stepped", tmp_path, model="rapid", version=request.param, arming_s=0.1, power_pct_mso=40
    ) as b:
        b.ready(40)
        b.sleep(2.1)
        yield b


@pytest.mark.req("R-PERMIT")
def test_trains_set_before_the_look_at_a_due_pulse_are_refused(rapid: Bench) -> None:
    rapid.unit.announce(rapid.clock.now_s() + 0.3)
    rapid.inject(FaultKind.TRAIN_MODE)
    rapid.sleep(0.3)
    assert rapid.unit.fire(rapid.permit(40)).delivery is Delivery.NOT_DELIVERED
    assert not rapid.sent(EH)
    assert "train mode" in str(rapid.unit.trouble())


@pytest.mark.req("R-PERMIT")
def test_trains_set_longer_ago_than_a_keep_alive_are_refused(rapid: Bench) -> None:
    rapid.inject(FaultKind.TRAIN_MODE)
    rapid.sleep(0.45)
    assert rapid.unit.fire(rapid.permit(40)).delivery is Delivery.NOT_DELIVERED
    assert not rapid.sent(EH)


def test_the_look_at_a_due_pulse_is_over_well_before_it(rapid: Bench) -> None:
    for _ in range(5):
        due_s = rapid.clock.now_s() + 1.5
        rapid.unit.announce(due_s)
        rapid.sleep(due_s - rapid.clock.now_s())
        watch = rapid.unit._worker._watch
        assert 0.02 < due_s - watch.status.t_s < 0.09
        assert 0.02 < due_s - watch.numbers_s < 0.09


@pytest.mark.req("R-PERMIT")
@pytest.mark.parametrize(("age_s", "fires"), [(0.99, True), (1.0, False), (float("nan"), False)])
def test_the_mode_must_be_as_young_as_the_status(rapid: Bench, age_s: float, fires: bool) -> None:
    watch, firing = rapid.unit._worker._watch, rapid.unit._worker._firing
    with rapid.unit._at_work():
        rapid.clock.advance(1000.0 - rapid.clock.now_s() % 1000.0)  # whole seconds: 1.0 s is 1.0 s
        rapid.board.beat("engine")
        now_s = rapid.clock.now_s()
        watch.status, watch.numbers_s = replace(watch.status, t_s=now_s), now_s - age_s
        why = firing._refusal(rapid.permit(40), now_s)
    assert why == (
        "" if fires else f"refused: the power and what it gives by one command were read {age_s:.2f} s ago"
    )


@pytest.mark.req("R-UNCERTAIN")
def test_trains_set_right_before_the_pulse_trip_and_all_their_pulses_count(rapid: Bench) -> None:
    rapid.inject(FaultKind.TRAIN_MODE)
    receipt = rapid.unit.fire(rapid.permit(40))
    assert (receipt.delivery, receipt.pulses_min, receipt.pulses_max) == (Delivery.UNCERTAIN, 0, 20)
    assert "train" in receipt.reason
    assert receipt.t_reply_s is not None
    assert rapid.sent(EA, since_s=receipt.t_sent_s)[0] - receipt.t_sent_s < 0.08
    assert rapid.unit.trouble().fault is Fault.UNCERTAIN_PULSE
    rapid.sleep(3.0)
    assert rapid.discharges == 20
    with pytest.raises(UnitProblem, match="unknown outcome"):
        rapid.unit.arm()  # no new arming clears it


@pytest.mark.parametrize("rapid", [(9, 0, 0)], indirect=True)  # below, the mode comes with the number
def test_a_train_whose_pulses_the_unit_does_not_tell_counts_as_the_longest(rapid: Bench) -> None:
    rapid.inject(FaultKind.TRAIN_MODE)
    rapid.inject(FaultKind.MUTE, only="\\")
    receipt = rapid.unit.fire(rapid.permit(40))
    assert (receipt.delivery, receipt.pulses_max) == (Delivery.UNCERTAIN, MOST_PULSES)


@pytest.mark.parametrize(
    ("n_pulses", "frequency_hz", "duration_s", "most"),
    [(20, 10.0, 2.0, 20), (20, 10.0, 2.1, 21), (30, 10.0, 2.0, 30), (0, 0.0, 0.0, 1), (2, 1.0, 2.05, 3)],
)
def test_the_most_that_a_train_can_be(
    rapid: Bench, n_pulses: int, frequency_hz: float, duration_s: float, most: int
) -> None:
    watch = rapid.unit._worker._watch
    held = Held(n_pulses=n_pulses, frequency_hz=frequency_hz, duration_s=duration_s)
    with rapid.unit._at_work():
        reply = watch.unit.parameters()
        watch.unit.parameters = lambda: replace(reply, held=held)
        assert most_given(watch) == most


@pytest.mark.parametrize(
    ("kind", "fault"), [(FaultKind.MUTE, Fault.UNIT_SILENT), (FaultKind.BAD_CRC, Fault.UNIT_UNEXPECTED)]
)
def test_a_failed_look_after_a_pulse_trips_and_the_pulse_is_uncertain(
    rapid: Bench, kind: FaultKind, fault: Fault
) -> None:
    rapid.inject(kind, only="x" if rapid.keep == b"x@" else "Q")
    receipt = rapid.unit.fire(rapid.permit(40))
    assert (receipt.delivery, receipt.pulses_max) == (Delivery.UNCERTAIN, None)  # one pulse, or nobody knows
    assert "nothing that could be read" in receipt.reason
    assert rapid.unit.trouble().fault is fault
    assert rapid.sent(EA, since_s=receipt.t_sent_s)
    rapid.sleep(0.5)
    assert rapid.discharges == 1


def test_a_unit_gone_right_after_its_pulse_is_lost_and_the_pulse_is_uncertain(rapid: Bench) -> None:
    watch = rapid.unit._worker._watch
    fire = watch.unit.fire

    def fire_and_go(**how: float) -> object:
        reply = fire(**how)
        rapid.inject(FaultKind.UNPLUG)
        return reply

    watch.unit.fire = fire_and_go
    assert rapid.unit.fire(rapid.permit(40)).delivery is Delivery.UNCERTAIN
    assert rapid.unit.trouble().fault is Fault.UNIT_LOST


def test_stop_in_the_look_after_a_pulse_puts_ea_on_the_line(rapid: Bench) -> None:
    watch = rapid.unit._worker._watch
    fire = watch.unit.fire

    def fire_and_stop(**how: float) -> object:
        reply = fire(**how)
        rapid.board.ask_stop()
        return reply

    watch.unit.fire = fire_and_stop
    receipt = rapid.unit.fire(rapid.permit(40))
    assert receipt.delivery is Delivery.DELIVERED
    assert rapid.unit.trouble().fault is Fault.STOP
    assert rapid.sent(EA, since_s=receipt.t_sent_s)
