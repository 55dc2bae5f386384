"""Owns the check of the simulated BiStim²: its commands and its two discharges."""

from __future__ import annotations

from typing import Any

import pytest
from simunit_tools import Bench, packet

from hardware_sim.magstim import UnitBistim


def ready(
    power: int = 50, power_b: int = 40, interval: bytes = b"C010", high: bool = False, **options: Any
) -> Bench:
    """Armed and ready for a pair."""
    bench = Bench(UnitBistim(**options))
    bench.ask(b"Q@")
    if high:
        bench.ask(b"Y@")
    for body in (b"@%03d" % power, b"A%03d" % power_b, interval, b"EB"):
        assert bench.ask(body)[1:2] == b"\x89", body
    bench.wait(1.2, alive=True)
    assert bench.unit.state().ready
    return bench


def test_golden_bytes() -> None:
    bench = Bench(UnitBistim())
    said = [
        (b"J@", b"J\x09000000010"),
        (b"A040", b"AS"), (b"C010", b"CS"), (b"Y@", b"YS"), (b"Z@", b"ZS"),
        (b"Q@", b"Q\x89"), (b"@050", b"@\x89"), (b"A040", b"A\x89"), (b"C999", b"C\x89"),
        (b"J@", b"J\x89050040999"),
        (b"Y@", b"Y\x89"), (b"J@", b"J\x89050040010"), (b"C025", b"C\x89"), (b"J@", b"J\x89050040025"),
        (b"Z@", b"Z\x89"), (b"J@", b"J\x89050040010"),
        (b"A101", b"A?"), (b"A 10", b"A?"), (b"Cx00", b"C?"), (b"Yx", b"Y?"), (b"C000", b"C\x89"),
        (b"EB", b"E\x89"), (b"C010", b"CS"), (b"Y@", b"YS"), (b"A030", b"A\x8a"), (b"EA", b"E\x8a"),
        (b"R@", b"R\x09"),
    ]  # fmt: skip
    for sent, expected in said:
        assert bench.ask(sent) == packet(expected), sent


@pytest.mark.parametrize(("high", "interval", "apart_s"), [
    (False, b"C010", 0.010), (False, b"C999", 0.999), (True, b"C025", 0.0025), (False, b"C000", 0.0),
])  # fmt: skip
def test_one_fire_gives_two_pulses_the_interval_apart(high: bool, interval: bytes, apart_s: float) -> None:
    told: list[tuple[float, int]] = []
    bench = ready(interval=interval, high=high, on_discharge=lambda t_s, power: told.append((t_s, power)))
    sent_s = bench.now_s
    assert bench.ask(b"EH") == packet(b"E\x8c")
    bench.wait(1.1, alive=True)
    first_s = sent_s + 3 * 10 / 9600 + 0.0084
    assert told == [(pytest.approx(first_s), 50), (pytest.approx(first_s + apart_s), 40)]
    assert [d.part for d in bench.unit.discharges] == ["A", "B"]


def test_without_power_b_there_is_one_pulse() -> None:
    bench = ready(power_b=0)
    bench.ask(b"EH")
    bench.wait(0.5)
    assert [(d.power_pct_mso, d.part) for d in bench.unit.discharges] == [(50, "A")]


@pytest.mark.parametrize(
    ("interval", "power_b", "gap_s"), [(b"C010", 40, 4.0), (b"C000", 40, 3.0), (b"C000", 80, 4.0)]
)
def test_pairs_come_at_most_every_four_seconds_and_simultaneous_ones_as_the_power_asks(
    interval: bytes, power_b: int, gap_s: float
) -> None:
    bench = ready(interval=interval, power_b=power_b)
    sent_s = bench.now_s
    bench.ask(b"EH")
    bench.wait(sent_s + gap_s - 0.02 - bench.now_s, alive=True)
    assert bench.ask(b"EH") == packet(b"ES")
    bench.wait(0.02)
    assert bench.ask(b"EH") == packet(b"E\x8c")
    bench.wait(0.1)
    assert len(bench.unit.discharges) == 4


def test_a_ramp_of_power_b_is_waited_for() -> None:
    bench = ready()
    bench.ask(b"A080")
    assert bench.ask(b"EH") == packet(b"ES")
    bench.wait(0.5, alive=True)
    assert bench.ask(b"EH") == packet(b"E\x8c")
    bench.wait(0.1)
    assert [d.power_pct_mso for d in bench.unit.discharges] == [50, 80]


def test_an_edge_on_the_trigger_input_gives_a_pair() -> None:
    bench = ready()
    bench.unit.trigger_edge(bench.now_s)
    bench.wait(0.1)
    assert [d.t_s - bench.now_s + 0.1 for d in bench.unit.discharges] == pytest.approx([0.0011, 0.0111])
