"""Owns the check that any model stands at the simulated bedside, stepped and wired, and its pulses reach the EEG."""

from __future__ import annotations

import contextlib
import time
from itertools import pairwise

import pytest
import serial
from simunit_tools import packet

from hardware_sim.bench import BedsideSpec, SteppedBench, start_bedside
from hardware_sim.magstim import UNLOCK_CODE, UnitRapid
from rtloop.clock import SteppedClock
from rtloop.errors import ValidationProblem

TAKE = b"Q" + UNLOCK_CODE.encode()


def stepped(unit: str, **options: object) -> SteppedBench:
    spec = BedsideSpec(n_channels=8, rate_hz=1000.0, unit=unit, unit_options={"arming_s": 0.05, **options})
    return SteppedBench(SteppedClock(), spec)


def ask(bench: SteppedBench, *bodies: bytes) -> None:
    for body in bodies:
        bench.line.write(packet(body))
        bench.clock.advance(0.05)
        reply = bench.line.read(bench.line.in_waiting)
        assert reply[:1] == body[:1], body
        assert reply[1:2] not in (b"?", b"S"), (body, reply)


def test_every_pulse_of_a_train_is_in_the_stepped_eeg_at_its_sample() -> None:
    bench = stepped("super-rapid", version=(9, 0, 0))
    ask(bench, TAKE, b"@040", b"[0010", b"B0200", b"D00010", b"EB")
    bench.clock.advance(0.5)
    assert isinstance(bench.unit, UnitRapid)
    assert bench.unit.state().ready
    bench.frames_until(bench.clock.now_s())
    bench.line.write(packet(b"EH"))
    trigger: list[float] = []
    for _ in range(70):  # an amplifier's chunks: no pulse may come too late to be shown
        bench.clock.advance(0.01)
        frames, _ = bench.frames_until(bench.clock.now_s())
        trigger += list(frames[:, -1])
    edges = [i for i, (a, b) in enumerate(pairwise(trigger)) if b > a]
    assert len(edges) == 10
    assert {b - a for a, b in pairwise(edges)} == {50}
    assert [d["late_samples"] for d in bench.discharges] == [0] * 10


def test_both_pulses_of_a_pair_are_in_the_stepped_eeg() -> None:
    bench = stepped("bistim")
    ask(bench, b"Q@", b"@040", b"A030", b"C100", b"EB")
    bench.clock.advance(0.5)
    bench.line.write(packet(b"EH"))
    for _ in range(30):
        bench.clock.advance(0.01)
        bench.frames_until(bench.clock.now_s())
    assert [(d["power_pct_mso"], d["late_samples"]) for d in bench.discharges] == [(40, 0), (30, 0)]


def test_a_wrong_model_or_option_or_fault_is_told() -> None:
    with pytest.raises(ValidationProblem, match="super-rapid"):
        BedsideSpec(unit="201")
    with pytest.raises(ValidationProblem, match="colour"):
        stepped("200", colour=1)
    with pytest.raises(ValidationProblem, match="no trains"):
        stepped("200").inject({"kind": "train_ignores_ea"})
    stepped("rapid").inject({"kind": "train_ignores_ea"})


def test_a_wired_rapid_gives_a_train_and_has_a_trigger_and_a_stop_input() -> None:
    spec = BedsideSpec(
        n_channels=8, rate_hz=1000.0, unit="rapid", unit_options={"version": (7, 0, 0), "arming_s": 0.05}
    )
    bedside = start_bedside(spec)
    try:
        with contextlib.closing(serial.serial_for_url(bedside.port, timeout=5.0)) as port:
            for body, n in ((b"Q@", 3), (b"@030", 3), (b"[010", 4), (b"B0400", 4), (b"D0080", 4), (b"EB", 3)):
                port.write(packet(body))
                assert port.read(n)[1:2] == b"\x89", body
            time.sleep(0.4)
            bedside.trigger_edge()
            time.sleep(0.3)
            bedside.stop_input()
            port.write(packet(b"Q@"))
            assert port.read(3) == packet(b"Q\x89")
            time.sleep(0.3)
            given = bedside.discharges()
            assert 5 <= len(given) <= 40
            assert all(b["t_s"] - a["t_s"] == pytest.approx(0.025) for a, b in pairwise(given))
            assert {d["by"] for d in given} == {"unit"}
    finally:
        bedside.close()
