"""Owns the check of the trigger and STOP inputs, foreign programs, and ports that vanish and come back."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest
import serial
from simunit_tools import Bench, packet, ready_bench

from hardware_sim.faults import Fault, FaultKind, load_faults
from hardware_sim.line import Line, PtyLine, SocketLine, SteppedLine
from hardware_sim.magstim import Unit200, UnitRapid
from hardware_sim.unit import TTL_LATENCY_S
from rtloop.clock import WALL, SteppedClock
from rtloop.errors import ValidationProblem


@pytest.mark.parametrize(
    ("latency", "expected_s"), [({}, 0.0011), ({"trigger_latency_s": TTL_LATENCY_S}, 0.00025)]
)
def test_an_edge_fires_a_ready_unit_a_millisecond_later_and_obeys_the_gap(
    latency: dict[str, float], expected_s: float
) -> None:
    told: list[float] = []
    bench = ready_bench(40, on_discharge=lambda t_s, power: told.append(t_s), **latency)
    edge_s = bench.now_s
    pulse = bench.unit.trigger_edge(edge_s)
    assert pulse is not None
    assert told == [pulse.t_s] == [pytest.approx(edge_s + expected_s)]
    bench.now_s = edge_s
    bench.wait(1.9, alive=True)
    assert bench.unit.trigger_edge(edge_s + 1.95) is None
    bench.wait(0.2, alive=True)
    assert bench.unit.trigger_edge(bench.now_s) is not None


@pytest.mark.parametrize("spoil", ["standby", "arming", "coil", "busy", "silent"])
def test_an_edge_does_nothing_where_the_unit_is_not_ready(spoil: str) -> None:
    bench = ready_bench()
    if spoil == "standby":
        bench.ask(b"EA")
    elif spoil == "arming":
        bench.ask(b"EA")
        bench.ask(b"EB")
    elif spoil == "coil":
        bench.unit.inject(Fault(kind=FaultKind.COIL_ABSENT))
    elif spoil == "busy":
        bench.unit.inject(Fault(kind=FaultKind.STUCK_BUSY))
    else:
        bench.wait(1.1)
    assert bench.unit.trigger_edge(bench.now_s) is None
    assert bench.unit.discharges == []
    assert bench.unit.history[-1][1] == "trigger edge: not ready, no pulse"


@pytest.mark.parametrize("what", ["open", "close", "crash", "unplug"])
def test_a_line_that_is_opened_closed_or_torn_fires_only_where_the_fault_says_so(what: str) -> None:
    bench = ready_bench()
    assert bench.unit.host_event(what, bench.now_s) is None
    other = "close" if what != "close" else "open"
    bench.unit.inject(Fault(kind=FaultKind.TRIGGER_EDGE, how=what, times=1))
    assert bench.unit.host_event(other, bench.now_s) is None
    assert bench.unit.host_event(what, bench.now_s) is not None
    assert bench.unit.history[-1][1] == f"trigger edge at {what} of a line"
    bench.wait(2.5, alive=True)
    assert bench.unit.host_event(what, bench.now_s) is None
    assert len(bench.unit.discharges) == 1


def test_an_edge_from_nowhere_comes_once_at_its_time() -> None:
    bench = ready_bench()
    bench.unit.inject(Fault(kind=FaultKind.TRIGGER_EDGE, start_s=0.3))
    bench.wait(3.0, alive=True)
    (pulse,) = bench.unit.discharges
    assert bench.unit.history[-1] == (pytest.approx(pulse.t_s - 0.0011), "trigger edge from nowhere")


def test_the_hardware_stop_disarms_without_control_of_the_line() -> None:
    bench = ready_bench()
    bench.unit.inject(Fault(kind=FaultKind.UNPLUG))
    bench.unit.stop_input(bench.now_s)
    assert bench.unit.state().instr == 0x89
    assert bench.unit.history[-1][1] == "disarmed: hardware STOP"


def test_another_program_takes_control_away_or_does_what_its_bytes_say() -> None:
    bench = ready_bench()
    bench.unit.inject(Fault(kind=FaultKind.TWO_OWNERS, start_s=0.1))
    bench.wait(0.15)
    assert not bench.unit.state().remote
    assert not bench.unit.state().armed
    bench = ready_bench(40)
    bench.unit.inject(Fault(kind=FaultKind.TWO_OWNERS, data=packet(b"@090") + packet(b"EH")))
    heard = b"".join(reply for _, reply in bench.unit.tick(bench.now_s + 0.01))
    assert heard == packet(b"@\x8c") + packet(b"ES")  # its answers meet our host too
    assert bench.unit.state().setpoint_pct_mso == 90
    torn = ready_bench()
    torn.unit.receive(packet(b"@050")[:3], torn.now_s)
    torn.unit.inject(Fault(kind=FaultKind.TWO_OWNERS, data=packet(b"EA")))
    torn.wait(0.001)
    assert torn.unit.state().armed  # it fell into our packet and spoilt both


def test_what_the_host_did_not_command_is_told_apart() -> None:
    bench = ready_bench(40)
    bench.ask(b"EH")
    bench.wait(3.0, alive=True)
    bench.unit.inject(Fault(kind=FaultKind.TWO_OWNERS, data=packet(b"EH")))
    bench.wait(3.0, alive=True)
    bench.unit.trigger_edge(bench.now_s)
    bench.wait(3.0, alive=True)
    bench.unit.inject(Fault(kind=FaultKind.TRIGGER_EDGE, times=1), bench.now_s)
    bench.wait(3.0, alive=True)
    bench.unit.external_fire(bench.now_s)
    bench.wait(3.0, alive=True)
    bench.ask(b"EH")
    assert [d.commanded for d in bench.unit.discharges] == [True, False, True, False, False, True]


def test_all_pulses_of_a_train_that_another_program_fires_are_told_apart() -> None:
    bench = Bench(UnitRapid(version=(7, 1), found_in_train_mode=True, power_pct_mso=40))
    for body in (b"Q@", b"EB"):
        bench.ask(body)
    bench.wait(1.2, alive=True)
    bench.unit.inject(Fault(kind=FaultKind.TWO_OWNERS, data=packet(b"EH")))
    bench.wait(2.5, alive=True)
    assert [d.commanded for d in bench.unit.discharges] == [False] * 20


def test_a_fault_file_with_ports_trains_and_edges() -> None:
    text = """
    [[fault]]
    kind = "port_back"
    start_s = 1.0
    end_s = 3.5
    [[fault]]
    kind = "trigger_edge"
    start_s = 0
    how = "close"
    [[fault]]
    kind = "two_owners"
    start_s = 2
    data = "526d"
    """
    assert [f.kind for f in load_faults(text)] == ["port_back", "trigger_edge", "two_owners"]
    with pytest.raises(ValidationProblem, match="lost"):
        Fault(kind=FaultKind.TRIGGER_EDGE, how="lost")
    with pytest.raises(ValidationProblem, match="end_s"):
        Fault(kind=FaultKind.PORT_BACK)


def test_a_stepped_port_is_back_only_when_it_is_opened_again() -> None:
    clock = SteppedClock()
    port = SteppedLine(Unit200(), clock)
    port.write(packet(b"Q@"))
    assert port.read(3) == packet(b"Q\x89")
    port.unit.inject(Fault(kind=FaultKind.PORT_BACK, start_s=0.1, end_s=0.5), clock.now_s())
    clock.advance(0.2)
    with pytest.raises(serial.SerialException):
        port.write(packet(b"Q@"))
    port.close()
    with pytest.raises(serial.SerialException):
        port.open()
    clock.advance(0.4)
    with pytest.raises(serial.SerialException):
        port.write(packet(b"Q@"))
    port.open()
    port.write(packet(b"J@"))
    assert port.read(12)[:2] == b"J\x89"
    with pytest.raises(serial.SerialException):
        port.open()


def test_a_stepped_port_tells_the_unit_that_it_was_closed() -> None:
    clock = SteppedClock()
    port = SteppedLine(Unit200(arming_s=0.1), clock)
    port.write(packet(b"Q@") + packet(b"EB"))
    assert len(port.read(6)) == 6
    clock.advance(0.2)
    port.unit.inject(Fault(kind=FaultKind.TRIGGER_EDGE, how="close"), clock.now_s())
    port.close()
    port.close()
    assert len(port.unit.discharges) == 1


@pytest.mark.parametrize("kind", [SocketLine] + ([] if sys.platform == "win32" else [PtyLine]))
def test_a_port_vanishes_and_is_back(kind: Any) -> None:
    line: Line = kind(Unit200(), WALL)
    line.start()
    port = serial.serial_for_url(line.port, timeout=0.3)
    inner = getattr(port, "_socket", None)
    try:
        port.write(packet(b"Q@"))
        assert port.read(3) == packet(b"Q\x89")
        with line.lock:
            line.unit.inject(Fault(kind=FaultKind.PORT_BACK, end_s=0.3), WALL.now_s())
        limit_s = WALL.now_s() + 20.0
        with pytest.raises(OSError):  # noqa: PT012 - a reader may see a few empty reads first
            while WALL.now_s() < limit_s:
                port.write(packet(b"J@"))
                port.read(3)
        port.close()
        answer = b""
        while answer != packet(b"J\x89000000000") and WALL.now_s() < limit_s:
            try:
                with serial.serial_for_url(line.port, timeout=0.3) as again:
                    again.write(packet(b"J@"))
                    answer = again.read(12)
            except OSError:
                time.sleep(0.02)
        assert answer == packet(b"J\x89000000000")  # control was kept: the unit lived on
    finally:
        port.close()
        if inner is not None:
            inner.close()
        line.close()


def test_a_socket_tells_the_unit_when_its_host_comes_and_goes() -> None:
    bench = Bench(Unit200(arming_s=0.05), now_s=WALL.now_s())
    line = SocketLine(bench.unit, WALL)
    bench.unit.inject(Fault(kind=FaultKind.TRIGGER_EDGE, how="close"), WALL.now_s())
    line.start()
    try:
        port = serial.serial_for_url(line.port, timeout=5.0)
        port.write(packet(b"Q@") + packet(b"EB"))
        assert len(port.read(6)) == 6
        time.sleep(0.1)
        port.close()
        limit_s = WALL.now_s() + 20.0
        while not bench.unit.discharges and WALL.now_s() < limit_s:
            time.sleep(0.005)
        assert len(bench.unit.discharges) == 1
    finally:
        line.close()
