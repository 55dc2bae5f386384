"""Owns the check of the simulated unit's lines: pacing, one host, unplugging, a clean end."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import serial
from simunit_tools import packet

from hardware_sim.faults import Fault, FaultKind
from hardware_sim.line import Line, PtyLine, SocketLine, SteppedLine
from hardware_sim.magstim import Unit200
from hardware_sim.packet import UnitState
from hardware_sim.rapid import UNLOCK_CODE, UnitRapid
from rtloop.clock import WALL, SteppedClock
from rtloop.errors import NotReady

BYTE_S = 10 / 9600
KINDS = [SocketLine] + ([] if sys.platform == "win32" else [PtyLine])


@pytest.fixture(params=KINDS)
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    made: Line = request.param(Unit200(arming_s=0.05), WALL)
    made.start()
    yield made
    made.close()


@contextmanager
def host(line: Line) -> Iterator[serial.SerialBase]:
    port = serial.serial_for_url(line.port, baudrate=9600, timeout=5.0)
    inner = getattr(port, "_socket", None)
    try:
        yield port
    finally:
        port.close()
        if inner is not None:
            inner.close()  # pyserial forgets to when the other side was first


def connect(line: Line) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(line.port.rsplit(":", 1)[1])), timeout=10.0)


def exactly(host: socket.socket, n_bytes: int) -> bytes:
    got = b""
    while len(got) < n_bytes:
        got += host.recv(n_bytes - len(got))
    return got


def state(line: Line) -> UnitState:
    with line.lock:  # between two steps of the unit
        return line.unit.state()


def test_a_host_takes_control_and_reads_back(line: Line) -> None:
    with host(line) as port:
        port.write(packet(b"Q@"))
        assert port.read(3) == packet(b"Q\x89")
        port.write(packet(b"J@"))
        assert port.read(12) == packet(b"J\x89000000000")


def test_a_reply_never_comes_before_its_line_time(line: Line) -> None:
    with host(line) as port:
        for _ in range(5):
            start_s = WALL.now_s()
            port.write(packet(b"F@"))
            for n in range(1, 10):
                assert len(port.read(1)) == 1
                assert WALL.now_s() - start_s >= (3 + n) * BYTE_S + 0.001, n


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulator_that_stands_still_never_tears_what_came_in_one_piece(kind: type[Line]) -> None:
    line = kind(UnitRapid(version=(9, 0, 0)), WALL)  # type: ignore[call-arg]
    line.start()
    try:
        with host(line) as port:
            port.write(packet(b"Q" + UNLOCK_CODE.encode()))
            time.sleep(0.01)  # the unit has begun to listen
            with line.lock:
                time.sleep(0.1)
            assert port.read(3)[:1] == b"Q"
    finally:
        line.close()


def test_without_a_host_a_keep_alive_is_missed_on_time(line: Line) -> None:
    with host(line) as port:
        port.write(packet(b"Q@") + packet(b"EB"))
        assert port.read(6) == packet(b"Q\x89") + packet(b"E\x89")
        limit_s = WALL.now_s() + 20.0
        while line.unit.state().remote and WALL.now_s() < limit_s:
            time.sleep(0.005)
        seen_s = WALL.now_s()
    (lost_s, words) = line.unit.history[-1]
    assert words == "control lost: keep-alive missed"
    assert lost_s == pytest.approx(line.unit.packets[-1][0] + 1.0)
    assert seen_s - lost_s < 2.0


def test_the_trace_tells_when_a_packet_had_arrived(line: Line) -> None:
    with host(line) as port:
        start_s = WALL.now_s()
        port.write(packet(b"EA"))
        port.read(3)
        end_s = WALL.now_s()
    ((arrived_s, body),) = line.unit.packets
    assert body == packet(b"EA")
    assert start_s + 3 * BYTE_S <= arrived_s <= end_s
    heard = [entry for entry in line.trace if entry[1] == "in"]
    assert b"".join(data for _, _, data in heard) == body
    assert heard[-1][0] == arrived_s
    assert b"".join(data for _, way, data in line.trace if way == "out") == packet(b"E\x09")


def test_unplugging_takes_the_port_away_but_not_the_unit(line: Line) -> None:
    with host(line) as port:
        port.write(packet(b"Q@") + packet(b"EB"))
        port.read(6)
        with line.lock:
            line.unit.inject(Fault(kind=FaultKind.UNPLUG))
        limit_s = WALL.now_s() + 2.0
        with pytest.raises(OSError):  # noqa: PT012 - a reader may see a few empty reads first
            while WALL.now_s() < limit_s:
                port.write(packet(b"Q@"))
                port.read(3)
    if isinstance(line, SocketLine):
        with pytest.raises(OSError):
            connect(line)
    limit_s = WALL.now_s() + 2.0
    while state(line).remote and WALL.now_s() < limit_s:
        time.sleep(0.01)
    assert not state(line).armed


def test_closing_is_quick_and_may_be_repeated(line: Line) -> None:
    with host(line):
        start_s = WALL.now_s()
        line.close()
        line.close()
        assert WALL.now_s() - start_s < 1.0
    assert not [t for t in threading.enumerate() if t.name.startswith("unit on")]


def test_a_line_that_was_never_started_can_be_closed() -> None:
    SocketLine(Unit200(), WALL).close()


def test_a_socket_serves_one_host_and_then_the_next() -> None:
    line = SocketLine(Unit200(), WALL)
    line.start()
    try:
        with connect(line) as first:
            first.sendall(packet(b"Q@"))
            assert exactly(first, 3)[:1] == b"Q"
            with connect(line) as second:
                assert second.recv(1) == b""  # turned away at once
            first.sendall(packet(b"J@"))
            assert (
                exactly(first, 12)[:1] == b"J"
            )  # all of it: leaving with words unread would tear the socket
            first.sendall(packet(b"EA") + packet(b"R@"))  # last words of a host that leaves
        with connect(line) as third:
            third.sendall(packet(b"Q@"))
            assert exactly(third, 3) == packet(b"Q\x89")
        assert [body[:2] for _, body in line.unit.packets] == [b"Q@", b"J@", b"EA", b"R@", b"Q@"]
    finally:
        line.close()


def stepped(**options: object) -> tuple[SteppedClock, SteppedLine]:
    clock = SteppedClock()
    return clock, SteppedLine(Unit200(**options), clock)  # type: ignore[arg-type]


def test_a_fire_is_told_before_it_happens_so_that_an_amplifier_can_show_it() -> None:
    clock, told = SteppedClock(), []
    unit = Unit200(arming_s=0.02, on_discharge=lambda t_s, power: told.append((clock.now_s(), t_s)))
    port = SteppedLine(unit, clock)
    port.write(packet(b"Q@") + packet(b"EB"))
    port.read(6)
    clock.advance(0.1)
    port.write(packet(b"EH"))
    port.read(3)
    ((when_s, t_s),) = told
    assert when_s < t_s
    assert t_s == pytest.approx(unit.packets[-1][0] + 0.0084)


def test_a_stepped_read_moves_the_clock_just_as_far_as_the_reply_needs() -> None:
    clock, port = stepped()
    start_s = clock.now_s()
    assert port.write(packet(b"Q@")) == 3
    assert clock.now_s() == start_s
    assert port.in_waiting == 0
    assert port.read(3) == packet(b"Q\x89")
    due_s = 6 * BYTE_S + 0.001
    assert due_s <= clock.now_s() - start_s < due_s + 0.0011


def test_a_stepped_read_gives_what_is_there_when_time_is_over() -> None:
    clock, port = stepped(faults=(Fault(kind=FaultKind.SHORT_REPLY),))
    port.write(packet(b"J@"))
    start_s = clock.now_s()
    assert port.read(12) == b"J"
    assert clock.now_s() - start_s == pytest.approx(0.4)
    port.timeout = 0
    assert port.read(1) == b""
    port.timeout = None
    with pytest.raises(NotReady):
        port.read(1)


def test_a_stepped_port_flushes_resets_and_closes_like_a_serial_port() -> None:
    clock, port = stepped()
    start_s = clock.now_s()
    port.write(packet(b"J@"))
    port.flush()
    assert clock.now_s() - start_s == pytest.approx(3 * BYTE_S)
    clock.advance(0.1)
    assert port.in_waiting == 12
    port.reset_input_buffer()
    assert port.in_waiting == 0
    port.close()
    assert not port.is_open
    for call in (lambda: port.write(b"x"), lambda: port.read(1), lambda: port.in_waiting):
        with pytest.raises(serial.SerialException):
            call()


def test_a_stepped_unit_lives_on_its_clock_and_an_unplug_raises_in_the_middle_of_a_read() -> None:
    clock, port = stepped()
    port.write(packet(b"Q@"))
    assert port.read(3)
    clock.advance(10.1)
    assert not port.unit.state().remote
    port.unit.inject(Fault(kind=FaultKind.UNPLUG, start_s=0.005))
    port.write(packet(b"J@"))
    with pytest.raises(serial.SerialException):
        port.read(12)
    with pytest.raises(OSError):
        port.write(packet(b"EA"))
