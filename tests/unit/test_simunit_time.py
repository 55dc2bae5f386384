"""Owns the check of the simulated unit's rules of time and temperature."""

from __future__ import annotations

import pytest
from simunit_tools import Bench, packet, ready_bench

from hardware_sim.magstim import Unit200


def test_armed_control_is_lost_after_a_second_of_silence() -> None:
    bench = ready_bench()
    last_s = bench.unit.packets[-1][0]
    bench.unit.tick(last_s + 0.99)
    assert bench.unit.state().ready
    bench.unit.tick(last_s + 1.01)
    state = bench.unit.state()
    assert (state.remote, state.armed, state.instr) == (False, False, 0x09)
    assert bench.unit.history[-1][0] == pytest.approx(last_s + 1.0)
    bench.now_s = last_s + 1.02
    assert bench.ask(b"EH") == packet(b"ES")
    assert bench.unit.discharges == []


def test_standby_control_is_lost_after_ten_seconds() -> None:
    bench = Bench(Unit200())
    bench.ask(b"Q@")
    bench.wait(9.9)
    assert bench.unit.state().remote
    bench.wait(0.1)
    assert not bench.unit.state().remote


@pytest.mark.parametrize("body", [b"Q@", b"J@", b"F@", b"EH"])
def test_any_whole_packet_keeps_control_alive_but_noise_does_not(body: bytes) -> None:
    bench = ready_bench()
    for _ in range(4):
        bench.wait(0.8)
        bench.ask(body)
    assert bench.unit.state().remote
    for _ in range(3):
        bench.wait(0.4)
        bench.raw(b"\x00")
    assert not bench.unit.state().remote


def test_arming_takes_a_second() -> None:
    bench = Bench(Unit200())
    bench.ask(b"Q@")
    armed_s = bench.now_s + 3 * 10 / 9600
    bench.ask(b"EB")
    bench.wait(0.9, alive=True)
    assert bench.unit.state().instr == 0x8A
    bench.unit.tick(armed_s + 1.001)
    assert bench.unit.state().instr == 0x8C


def test_a_unit_armed_for_a_minute_without_a_pulse_disarms_itself_and_a_pulse_renews_it() -> None:
    bench = ready_bench()
    bench.wait(50, alive=True, step_s=0.2)
    bench.ask(b"EH")
    bench.wait(58, alive=True, step_s=0.2)
    assert bench.unit.state().ready
    bench.wait(2.5, alive=True, step_s=0.2)
    assert bench.unit.state().instr == 0x89
    assert bench.unit.history[-1] == (
        pytest.approx(bench.unit.discharges[0].t_s + 60),
        "disarmed: no pulse for 60 s",
    )


@pytest.mark.parametrize(("power", "gap_s"), [(0, 2), (49, 2), (50, 3), (79, 3), (80, 4), (100, 4)])
def test_a_fire_inside_the_minimum_gap_conflicts_and_does_not_discharge(power: int, gap_s: float) -> None:
    bench = ready_bench(power)
    sent_s = bench.now_s
    assert bench.ask(b"EH") == packet(b"E\x8c")
    bench.wait(sent_s + gap_s - 0.01 - bench.now_s, alive=True)
    assert bench.ask(b"EH") == packet(b"ES")
    assert len(bench.unit.discharges) == 1
    assert bench.ask(b"EH") == packet(b"E\x8c")
    assert len(bench.unit.discharges) == 2


def test_power_rises_fast_falls_slowly_and_is_not_ready_meanwhile() -> None:
    bench = ready_bench(20)
    start_s = bench.now_s + 5 * 10 / 9600
    bench.ask(b"@070")
    assert bench.ask(b"J@")[2:5] == b"070"
    bench.unit.tick(start_s + 0.25)
    assert bench.unit.state().actual_pct_mso == pytest.approx(45)
    assert bench.unit.state().instr == 0x8A
    assert bench.unit.receive(packet(b"EH"), start_s + 0.26)[0][1] == packet(b"ES")
    bench.unit.tick(start_s + 0.501)
    assert bench.unit.state().instr == 0x8C
    bench.now_s = start_s + 0.51
    down_s = bench.now_s + 5 * 10 / 9600
    bench.ask(b"@060")
    bench.wait(down_s + 0.99 - bench.now_s, alive=True)
    assert not bench.unit.state().ready
    bench.wait(0.02)
    assert bench.unit.state().ready


def test_a_discharge_uses_the_actual_power_when_a_fire_from_outside_meets_a_ramp() -> None:
    bench = ready_bench(20)
    start_s = bench.now_s + 5 * 10 / 9600
    bench.unit.receive(packet(b"@070"), bench.now_s)
    pulse = bench.unit.external_fire(start_s + 0.1)
    assert pulse is not None
    assert pulse.power_pct_mso == 30


def test_external_fire_needs_no_arming_unless_asked_and_obeys_the_gap() -> None:
    unit = Unit200(power_pct_mso=55)
    assert unit.external_fire(10.0, needs_arming=True) is None
    first = unit.external_fire(10.0)
    assert first is not None
    assert (first.t_s, first.power_pct_mso) == (10.0, 55)
    assert unit.external_fire(12.9) is None
    assert unit.external_fire(13.0, power_pct_mso=90) is None  # the coming pulse needs 4 s
    assert unit.external_fire(13.0) is not None


def test_the_coil_heats_with_the_square_of_power_and_cools() -> None:
    rises = []
    for power in (50, 100):
        bench = ready_bench(power)
        bench.ask(b"EH")
        rises.append(bench.unit.state().coil_temp_c - 22.0)
        bench.wait(600, step_s=1.0)
        assert bench.unit.state().coil_temp_c - 22.0 == pytest.approx(rises[-1] / 2.718281828, rel=0.01)
    assert rises[1] == pytest.approx(4 * rises[0], rel=1e-3)
    assert rises[1] == pytest.approx(0.15, rel=1e-3)


def test_above_forty_degrees_the_unit_disarms_and_cannot_be_armed() -> None:
    bench = ready_bench(100, coil_temp_c=39.95)
    bench.ask(b"EH")
    assert bench.unit.state().instr == 0x89
    assert len(bench.unit.discharges) == 1
    assert bench.ask(b"EB") == packet(b"ES")
    assert bench.ask(b"F@")[2:8] == b"401401"


def test_the_same_run_ticked_finely_or_coarsely_ends_alike() -> None:
    ends = []
    for step_s in (0.001, 3.0, 100.0):
        bench = ready_bench()
        bench.wait(100, step_s=step_s)
        ends.append((bench.unit.history, bench.unit.state().instr))
    assert ends[0] == ends[1] == ends[2]


def test_time_running_backwards_is_taken_as_standing_still() -> None:
    bench = ready_bench()
    before = bench.unit.state()
    bench.unit.tick(bench.now_s - 50)
    assert bench.unit.state() == before


def test_lowering_the_power_does_not_shorten_the_gap_after_a_strong_pulse() -> None:
    bench = ready_bench(80)
    bench.ask(b"EH")
    bench.ask(b"@079")
    fired_s = bench.unit.discharges[0].t_s
    bench.wait(fired_s + 3.5 - bench.now_s, alive=True)
    assert bench.ask(b"EH") == packet(b"ES")
    bench.wait(fired_s + 4.0 - bench.now_s, alive=True)
    assert bench.ask(b"EH") == packet(b"E\x8c")
