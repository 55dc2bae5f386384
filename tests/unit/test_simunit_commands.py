"""Owns the check of the simulated 200²'s commands, byte by byte; the bytes are written out."""

from __future__ import annotations

import pytest
from simunit_tools import T0_S, Bench, packet, ready_bench

from hardware_sim.magstim import Unit200


def test_golden_bytes_of_a_whole_session() -> None:
    bench = Bench(Unit200(coil_temp_c=22.0))
    said = [
        (b"J@\x75", b"J\x09000000000\xfc"),  # 0x4A + 0x09 + 9 * 0x30 = 0x203 -> 0xFC
        (b"Q@\x6e", b"Q\x89\x25"),
        (b"@040\x2b", b"@\x89\x36"),
        (b"J@\x75", b"J\x89040000000\x78"),
        (b"F@\x79", b"F\x89220220\x08"),
        (b"EB\x78", b"E\x89\x31"),
        (b"Q@\x6e", b"Q\x8a\x24"),
        (b"EA\x79", b"E\x8a\x30"),
        (b"Q@\x6e", b"Q\x89\x25"),
        (b"R@\x6d", b"R\x09\xa4"),
    ]
    for sent, expected in said:
        assert bench.raw(sent) == expected, sent


def test_ready_fire_and_recharge_show_in_the_status_byte() -> None:
    bench = ready_bench()
    assert bench.raw(b"Q@\x6e") == b"Q\x8c\x22"
    assert bench.raw(b"EH\x72") == b"E\x8c\x2e"  # the state before the command took effect
    assert bench.raw(b"Q@\x6e") == b"Q\x8a\x24"  # recharging
    bench.wait(2.0, alive=True)
    assert bench.raw(b"Q@\x6e") == b"Q\x8c\x22"


@pytest.mark.parametrize("body", [b"EB", b"EH", b"@050"])
def test_without_remote_control_arming_firing_and_power_conflict(body: bytes) -> None:
    bench = Bench(Unit200())
    assert bench.ask(body) == packet(body[:1] + b"S")
    assert bench.unit.state().setpoint_pct_mso == 0


def test_disarm_is_obeyed_without_control() -> None:
    assert Bench(Unit200()).ask(b"EA") == packet(b"E\x09")


@pytest.mark.parametrize("body", [b"@101", b"@999", b"@0a0", b"@ 50", b"EZ", b"Qx", b"Rx", b"J0", b"F1"])
def test_bad_data_is_said(body: bytes) -> None:
    bench = Bench(Unit200())
    bench.ask(b"Q@")
    assert bench.ask(body) == packet(body[:1] + b"?")
    assert bench.unit.state().remote


def test_wrong_crc_is_bad_data_unless_switched_off() -> None:
    bench = Bench(Unit200())
    assert bench.raw(b"Q@\x6f") == packet(b"Q?")
    assert not bench.unit.state().remote
    lax = Bench(Unit200(check_crc=False))
    assert lax.raw(b"Q@\x6f") == packet(b"Q\x89")


@pytest.mark.parametrize("stray", [b"\x00", b"?", b"S", b"\xff", b"B", b"\\"])
def test_a_stray_byte_is_answered_by_a_question_mark_and_harms_nothing(stray: bytes) -> None:
    bench = Bench(Unit200())
    assert bench.raw(stray + packet(b"Q@")) == b"?" + packet(b"Q\x89")


def test_a_torn_packet_is_forgotten_after_a_pause() -> None:
    bench = Bench(Unit200())
    assert bench.raw(b"@0") == b""
    bench.wait(0.06)
    assert bench.ask(b"Q@") == packet(b"Q\x89")


def test_packets_may_come_one_byte_at_a_time_or_glued_together() -> None:
    bench = Bench(Unit200())
    assert [bench.raw(bytes([b])) for b in packet(b"Q@")] == [b"", b"", packet(b"Q\x89")]
    assert bench.raw(packet(b"@030") + packet(b"J@")) == packet(b"@\x89") + packet(b"J\x89030000000")


def test_replies_leave_at_9600_baud_after_the_command_has_arrived() -> None:
    unit = Unit200()
    unit.tick(T0_S)
    ((first_s, _), (second_s, _)) = unit.receive(packet(b"Q@") + packet(b"J@"), T0_S)
    byte_s = 10 / 9600
    assert first_s == pytest.approx(T0_S + 3 * byte_s + 0.001 + 3 * byte_s)
    assert second_s == pytest.approx(T0_S + 6 * byte_s + 0.001 + 12 * byte_s)
    assert unit.rx_free_s == pytest.approx(T0_S + 6 * byte_s)


def test_every_command_resets_status_before_effect_rule_only_for_q_and_r() -> None:
    bench = ready_bench()
    assert bench.ask(b"EA")[1] == 0x8C
    assert bench.ask(b"EB")[1] == 0x89
    assert bench.ask(b"R@")[1] == 0x09  # after: no control, standby
    assert not bench.unit.state().armed


def test_arming_twice_and_firing_before_ready_conflict() -> None:
    bench = Bench(Unit200())
    bench.ask(b"Q@")
    bench.ask(b"EB")
    assert bench.ask(b"EB") == packet(b"ES")
    assert bench.ask(b"EH") == packet(b"ES")
    assert bench.unit.discharges == []
    assert bench.unit.state().armed


def test_the_discharge_comes_a_named_latency_after_the_last_byte_and_is_told_ahead() -> None:
    told: list[tuple[float, int]] = []
    bench = ready_bench(37, on_discharge=lambda t_s, power: told.append((t_s, power)))
    sent_s = bench.now_s
    bench.unit.receive(packet(b"EH"), sent_s)
    assert told == [(pytest.approx(sent_s + 3 * 10 / 9600 + 0.0084), 37)]
    assert [(d.t_s, d.power_pct_mso) for d in bench.unit.discharges] == told
