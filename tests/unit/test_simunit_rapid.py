"""Owns the check of the simulated Rapid²: replies by version, modes, trains in time, the rules between them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from simunit_tools import Bench, packet

from hardware_sim.faults import Fault, FaultKind
from hardware_sim.magstim import MODELS, UNLOCK_CODE, UnitRapid, unit_of
from hardware_sim.rapid import ceiling_hz, energy_wait_s
from rtloop.errors import ValidationProblem

TAKE = b"Q" + UNLOCK_CODE.encode()
SINGLE, RUNNING, WAIT = 1 << 3, 1 << 1, 1 << 2


class RapidBench(Bench):
    """A Rapid² under control; ``alive`` waits with the keep-alive of its software."""

    unit: UnitRapid

    def __init__(self, model: str = "rapid", **options: Any) -> None:
        super().__init__(unit_of(model, **options))  # type: ignore[arg-type]
        self.take = TAKE if self.unit.version >= (9,) else b"Q@"

    def alive(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s - 1e-9:
            self.ask(self.take)
            self.wait(min(0.3, max(0.0, end_s - self.now_s)))

    def train(self, tenths_hz: int, pulses: int, power: int = 50) -> None:
        """Armed and ready for a train."""
        new = self.unit.version >= (9,)
        assert self.ask(self.take)[1:2] == b"\x89"
        for body in (b"@%03d" % power, b"[0010" if new else b"[010", b"B%04d" % tenths_hz,
                     (b"D%05d" if new else b"D%04d") % pulses, b"EB"):  # fmt: skip
            assert self.ask(body)[1:2] == b"\x89", body
        self.alive(1.2)
        assert self.unit.state().ready


def test_golden_bytes_of_software_9() -> None:
    bench = RapidBench()
    said = [
        (b"\\@", b"\\\x09\x38" + b"00000000000100000010"),
        (TAKE, b"Q\x89"),
        (b"ND", b"N\x899.0.0\x00"),
        (b"@050", b"@\x89"),
        (b"[0010", b"[\x89\x38"),
        (b"\\@", b"\\\x89\x30" + b"05000000000100100010"),
        (b"B0100", b"B\x89\x30"),
        (b"D00020", b"D\x89\x30"),
        (b"\\@", b"\\\x89\x30" + b"05001000002000200005"),
        (b"x@", b"x\x89\x30\x00\x00"),
        (b"n0100", b"n\x89\x30"),
        (b"o@", b"o\x890100"),
        (b"x@", b"x\x89\x30\x00\x04"),
        (b"I@", b"I\x89000"),
        (b"F@", b"F\x89220220"),
        (b"[0000", b"[\x89\x30"),
        (b"^@", b"^\x89\x38"),
        (b"@110", b"@\x89"),
        (b"_@", b"_\x89\x39"),
        (b"\\@", b"\\\x89\x38" + b"10001000000100000010"),
        (b"R@", b"R\x09"),
    ]
    for sent, expected in said:
        assert bench.ask(sent) == packet(expected), sent


@pytest.mark.parametrize(
    ("version", "length", "train", "unknown"),
    [
        ((5, 0, 0), 21, b"\\\x89\x3000001000020020005", b"xno"),
        ((7, 1, 0), 22, b"\\\x89\x30000010000200200005", b"xno"),
        ((8, 0, 0), 22, b"\\\x89\x30000010000200200005", b"xno"),
        ((9, 0, 0), 24, b"\\\x89\x3000001000002000200005", b""),
        ((11, 0, 0), 24, b"\\\x89\x3000001000002000200005", b""),
    ],
)
def test_lengths_by_version(version: tuple[int, ...], length: int, train: bytes, unknown: bytes) -> None:
    bench = RapidBench(version=version)
    bench.ask(bench.take)
    new = version >= (9,)
    for body in (b"[0010" if new else b"[010", b"B0100", b"D00020" if new else b"D0020"):
        assert len(bench.ask(body)) == 4
    reply = bench.ask(b"\\@")
    assert (len(reply), reply) == (length, packet(train))
    for command in unknown:
        assert bench.raw(bytes([command])) == b"?"
    if version >= (10,):
        assert bench.ask(b"n10000") == packet(b"n\x89\x30\x00\x00")
        assert bench.ask(b"o@") == packet(b"o\x8910000")


def test_a_wrong_unlock_code_is_met_by_silence() -> None:
    bench = RapidBench()
    assert bench.ask(b"Q@") == b""
    assert bench.ask(b"Q" + UNLOCK_CODE.replace("a", "z").encode()) == b""
    assert not bench.unit.state().remote
    assert bench.ask(TAKE) == packet(b"Q\x89")
    assert RapidBench(unlock_code="").ask(b"Q@") == packet(b"Q\x89")
    assert RapidBench(version=(7, 0, 0)).ask(b"Q@") == packet(b"Q\x89")


def test_a_train_comes_pulse_by_pulse_at_its_frequency_and_ends_one_period_after_the_last() -> None:
    told: list[tuple[float, float, int]] = []
    bench = RapidBench(on_discharge=lambda t_s, power: told.append((bench.now_s, t_s, power)))
    bench.train(100, 15, power=60)
    sent_s = bench.now_s
    bench.ask(b"EH")
    first_s = sent_s + 3 * 10 / 9600 + 0.0051
    assert [t_s for _, t_s, _ in told] == [pytest.approx(first_s)]
    bench.wait(first_s + 0.7 - bench.now_s + 0.005)
    assert len(told) == 8
    assert bench.unit.rapid_byte(bench.now_s) == 0x30 | RUNNING
    assert bench.ask(b"x@")[1:3] == bytes([0x8A, 0x30 | RUNNING])
    assert bench.ask(b"EH") == packet(b"ES")
    bench.alive(first_s + 1.5 - bench.now_s + 0.02)
    assert bench.ask(b"x@")[1:3] == bytes([0x8A, 0x30 | WAIT])
    bench.wait(first_s + 2.0 - bench.now_s + 0.02)
    assert bench.ask(b"x@")[1:3] == bytes([0x8C, 0x30])
    times = [t_s for _, t_s, _ in told]
    assert len(times) == 15
    assert all(b - a == pytest.approx(0.1) for a, b in pairwise(times))
    assert all(when_s < t_s + 0.011 for when_s, t_s, _ in told[1:])
    assert {power for *_, power in told} == {60}
    (given,) = bench.unit.trains
    assert (given.asked, given.given, given.why, given.frequency_hz) == (15, 15, "", 10.0)
    assert given.end_s == pytest.approx(first_s + 1.5)


def running(**options: Any) -> RapidBench:
    """In the middle of a train of 50 pulses at 20 Hz."""
    bench = RapidBench(**options)
    bench.train(200, 50)
    bench.ask(b"EH")
    bench.wait(0.5)
    assert 9 <= len(bench.unit.discharges) <= 12
    return bench


def test_a_train_that_does_not_obey_a_disarm_runs_on_and_stands_down_after() -> None:
    bench = running()
    assert bench.ask(b"EA") == packet(b"E\x8a")
    assert bench.ask(b"x@")[1:3] == bytes([0x8A, 0x30 | RUNNING])
    bench.alive(2.5)
    assert len(bench.unit.discharges) == 50
    assert bench.unit.state().instr == 0x89
    assert bench.unit.trains[0].given == 50
    assert bench.ask(b"EB") == packet(b"E\x89")


def test_a_train_that_obeys_a_disarm_stops_within_a_pulse() -> None:
    bench = running(obeys_ea_in_train=True)
    before, sent_s = len(bench.unit.discharges), bench.now_s
    assert bench.ask(b"EA") == packet(b"E\x8a")
    assert bench.unit.state().instr == 0x89
    bench.alive(2.5)
    assert len(bench.unit.discharges) <= before + 1
    assert bench.unit.discharges[-1].t_s <= sent_s + 0.003 + 0.011
    assert (bench.unit.trains[0].given, bench.unit.trains[0].asked) == (len(bench.unit.discharges), 50)


@pytest.mark.parametrize(("built", "kind", "pulses"), [
    (False, FaultKind.TRAIN_OBEYS_EA, 13), (True, FaultKind.TRAIN_IGNORES_EA, 50),
])  # fmt: skip
def test_a_fault_turns_what_a_train_obeys(built: bool, kind: FaultKind, pulses: int) -> None:
    bench = running(obeys_ea_in_train=built)
    bench.unit.inject(Fault(kind=kind))
    bench.ask(b"EA")
    bench.alive(2.5)
    assert 50 >= len(bench.unit.discharges) >= pulses - 3
    assert (len(bench.unit.discharges) == 50) is (pulses == 50)


@pytest.mark.parametrize("obeys", [True, False])
def test_lost_control_is_a_disarm_and_the_hardware_stop_stops_every_train(obeys: bool) -> None:
    bench = RapidBench(obeys_ea_in_train=obeys)
    bench.train(200, 50)
    bench.ask(b"EH")
    bench.wait(4.0)
    assert (len(bench.unit.discharges) == 50) is not obeys
    assert not bench.unit.state().remote
    assert not bench.unit.state().armed
    bench = running(obeys_ea_in_train=obeys)
    n = len(bench.unit.discharges)
    bench.unit.stop_input(bench.now_s)
    bench.wait(3.0)
    assert len(bench.unit.discharges) <= n + 1
    assert bench.unit.trains[0].why == "disarmed: hardware STOP"


@pytest.mark.parametrize("fault", [
    Fault(kind=FaultKind.COIL_ABSENT), Fault(kind=FaultKind.HOT_COIL, temp_c=41.0),
    Fault(kind=FaultKind.ERROR_BIT, fatal=True), Fault(kind=FaultKind.STANDBY_UNEXPECTEDLY),
])  # fmt: skip
def test_the_units_own_protection_stops_a_train(fault: Fault) -> None:
    bench = running()
    n = len(bench.unit.discharges)
    bench.unit.inject(fault)
    bench.alive(2.5)
    assert len(bench.unit.discharges) <= n + 1
    assert not bench.unit.state().armed


def test_a_train_heats_the_coil_pulse_by_pulse_and_a_hot_one_is_cut_short() -> None:
    bench = RapidBench(coil_temp_c=39.9, heating_c=0.1, ambient_c=39.9)
    bench.train(100, 50, power=50)  # 0.025 degrees C a pulse: above 40 with the fifth
    bench.ask(b"EH")
    bench.alive(2.0)
    assert len(bench.unit.discharges) == 5
    assert bench.unit.trains[0].why == "disarmed: coil above 40 degrees C"


def test_unplugged_in_mid_train_the_train_goes_on() -> None:
    bench = running(obeys_ea_in_train=True)
    bench.unit.inject(Fault(kind=FaultKind.UNPLUG))
    n = len(bench.unit.discharges)
    assert bench.ask(b"EA") == b""
    bench.wait(0.4)
    assert len(bench.unit.discharges) >= n + 7


def test_settings_stay_consistent() -> None:
    bench = RapidBench()
    bench.ask(TAKE)

    def parameters() -> bytes:
        return bench.ask(b"\\@")[6:19]  # frequency, pulses, duration

    assert bench.ask(b"D00020") == bench.ask(b"D00020") == packet(b"DS")  # single-pulse mode
    assert bench.ask(b"B0100") == packet(b"BS")
    bench.ask(b"[0010")
    bench.ask(b"B0100")
    assert parameters() == b"0100000100010"
    bench.ask(b"D00025")
    assert parameters() == b"0100000250025"
    bench.ask(b"[0040")
    assert parameters() == b"0100000400040"
    bench.ask(b"B0035")
    assert parameters() == b"0035000140040"
    for bad in (b"B0000", b"B0501", b"D00000", b"D06001", b"B1 00", b"[99x9"):
        assert bench.ask(bad) == packet(bad[:1] + b"?"), bad
    bench.ask(b"EB")
    assert bench.ask(b"[0000") == packet(b"[S")  # armed
    assert bench.ask(b"B0050")[1:2] == b"\x8a"
    bench.ask(b"EA")
    assert bench.ask(b"^@") == packet(b"^S")  # train mode
    bench.ask(b"[0000")
    bench.ask(b"^@")
    assert bench.ask(b"[0010") == packet(b"[S")  # enhanced
    assert bench.ask(b"@111") == packet(b"@?")


def test_a_power_above_the_ceiling_of_the_frequency_lowers_the_frequency() -> None:
    bench = RapidBench()
    bench.ask(TAKE)
    bench.ask(b"[0010")
    assert bench.ask(b"B0500")[1:2] == b"\x89"
    bench.ask(b"@100")
    assert bench.ask(b"\\@")[6:19] == b"0150000150010"
    assert bench.ask(b"B0151") == packet(b"B?")


def test_nothing_of_a_train_changes_while_it_runs_nor_in_the_half_second_after() -> None:
    bench = running()
    for body in (b"B0100", b"D00030", b"[0020", b"[0000", b"n0100", b"@040", b"EB"):
        assert bench.ask(body) == packet(body[:1] + b"S"), body
    end_s = bench.unit.discharges[0].t_s + 2.5
    bench.alive(end_s + 0.4 - bench.now_s)
    assert bench.ask(b"B0100") == packet(b"BS")
    bench.wait(end_s + 0.51 - bench.now_s)
    assert bench.ask(b"B0100")[1:2] == b"\x8c"


def test_single_pulses_come_at_most_once_a_second_or_half_with_enhanced_power() -> None:
    for power, gap_s in ((40, 1.0), (105, 2.0)):
        bench = RapidBench()
        bench.ask(TAKE)
        if power > 100:
            bench.ask(b"^@")
        bench.ask(b"@%03d" % power)
        bench.ask(b"EB")
        bench.alive(2.5)
        sent_s = bench.now_s
        assert bench.ask(b"EH") == packet(b"E\x8c")
        bench.alive(sent_s + gap_s - 0.02 - bench.now_s)
        assert bench.ask(b"EH") == packet(b"ES")
        bench.wait(0.02)
        assert bench.ask(b"EH") == packet(b"E\x8c")
        assert len(bench.unit.discharges) == 2
        assert bench.unit.trains == []


def test_a_unit_found_in_train_mode_shows_it_and_is_led_out_of_it() -> None:
    for bench in (
        RapidBench(found_in_train_mode=True),
        RapidBench(faults=(Fault(kind=FaultKind.TRAIN_MODE),)),
    ):
        assert bench.ask(b"\\@")[:14] == b"\\\x09\x30" + b"00001000002"
        bench.ask(TAKE)
        assert bench.ask(b"[0000") == packet(b"[\x89\x30")
        assert bench.ask(b"\\@")[2] & SINGLE


def test_an_edge_on_the_trigger_input_starts_a_whole_train() -> None:
    bench = RapidBench()
    assert bench.unit.trigger_edge(bench.now_s) is None
    bench.train(100, 5)
    edge_s = bench.now_s
    first = bench.unit.trigger_edge(edge_s)
    assert first is not None
    assert first.t_s == pytest.approx(edge_s + 0.0011)
    assert bench.unit.trigger_edge(edge_s + 0.2) is None
    bench.now_s = edge_s + 0.2
    bench.alive(1.0)
    assert len(bench.unit.discharges) == 5
    assert bench.unit.history[-1][1] == "trigger edge: not ready, no pulse"


def test_energy_wait_and_ceilings_are_the_published_ones() -> None:
    assert energy_wait_s(50, 100, 10) == 0.5
    assert energy_wait_s(100, 100, 20) == pytest.approx(100 * (20 * 252 - 1050) / (1050 * 20))
    yaml = pytest.importorskip("yaml")
    magpy = pytest.importorskip("magpy")
    from pathlib import Path

    text = (Path(magpy.__file__).parent / "rapid_system_info.yaml").read_text(encoding="utf-8")
    for supply_v, families in yaml.safe_load(text)["maxFrequency"].items():
        for number, family in enumerate(("rapid", "super-rapid", "super-rapid-plus")):
            for power, highest in families[number].items():
                ours = ceiling_hz(supply_v, family, power)
                assert highest <= ours <= highest + max(2.0, 0.05 * highest), (supply_v, family, power)


def test_families_and_wrong_options() -> None:
    assert set(MODELS) == {"200", "bistim", "rapid", "super-rapid", "super-rapid-plus"}
    plus = RapidBench("super-rapid-plus", version=(9,))
    plus.ask(TAKE)
    assert plus.ask(b"x@") == packet(b"x\x89\x78\x00\x01")
    for wrong in (
        {"supply_v": 230},
        {"version": ()},
        {"version": (7,), "unlock_code": "x"},
        {"colour": 1},
        {"unlock_code": "€"},
    ):
        with pytest.raises(ValidationProblem):
            unit_of("rapid", **wrong)
    with pytest.raises(ValidationProblem):
        unit_of("rapid-3")
    with pytest.raises(ValidationProblem):
        unit_of("200", faults=(Fault(kind=FaultKind.TRAIN_MODE),))
