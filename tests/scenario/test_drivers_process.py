"""When processes die, freeze or are told to end: EA on the line, or the unit's own watchdog."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract_tools import EA, RUN, Bench, bench, open_unit

from drivers.client import MagstimUnit
from drivers.stepped import SteppedUnit
from drivers.trouble import UnitProblem
from hardware_sim.line import SocketLine, SteppedLine
from hardware_sim.magstim import Unit200
from rtloop.board import Board
from rtloop.clock import WALL, SteppedClock
from rtloop.errors import NotReady
from rtloop.model.pulse import Delivery, Train
from rtloop.model.status import Fault

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

ENGINE = """
import sys, threading, time
from drivers.client import MagstimUnit
from rtloop.board import Board

def run(port, board_path):
    board = Board(board_path)
    board.start("engine")
    unit = MagstimUnit.open(port=port, board_path=board_path, run_id="r", key=b"k", simulated=True)
    unit.arm()
    print(unit.pid, flush=True)
    while True:
        board.beat("engine")
        time.sleep(0.01)

if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
"""


@pytest.fixture
def b(tmp_path: Path) -> Iterator[Bench]:
    with bench("socket", tmp_path, arming_s=0.1, power_pct_mso=40) as made:
        made.ready()
        yield made


class Engine:
    """An engine in its own process, armed, with its port process; the simulated unit stays with the test."""

    def __init__(self, tmp_path: Path) -> None:
        self.sim = Unit200(arming_s=0.2)
        self.line = SocketLine(self.sim, WALL)
        self.line.start()
        Board.create(tmp_path / "board").close()
        script = tmp_path / "engine.py"
        script.write_text(ENGINE)
        self.process = subprocess.Popen(
            [sys.executable, str(script), self.line.port, str(tmp_path / "board")],
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port_pid = int(self.process.stdout.readline())

    def ea_after(self, t_s: float, *, within_s: float) -> float:
        """Seconds from ``t_s`` to the first EA on the line."""
        while True:
            with self.line.lock:
                found = [t for t, packet in self.sim.packets if packet.startswith(EA) and t >= t_s]
            if found:
                return found[0] - t_s
            assert time.monotonic() - t_s < within_s, "no EA"
            time.sleep(0.005)

    def close(self) -> None:
        for pid in (self.process.pid, self.port_pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(2.0)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.line.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path)
    try:
        yield made
    finally:
        made.close()


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")  # a zombie nobody waits for (no init in a container) has ended too
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"


@pytest.mark.req("R-ORPHAN")
def test_a_killed_engine_leaves_a_disarmed_unit_and_no_port_process(engine: Engine) -> None:
    killed_s = time.monotonic()
    os.kill(engine.process.pid, signal.SIGKILL)
    assert engine.ea_after(killed_s, within_s=1.0) <= 0.3
    deadline_s = time.monotonic() + 3.0
    while not _gone(engine.port_pid):
        assert time.monotonic() < deadline_s, "the port process lives on"
        time.sleep(0.02)
    assert not engine.sim.state().armed


@pytest.mark.req("R-ORPHAN")
def test_a_stopped_engine_loses_the_unit(engine: Engine) -> None:
    stopped_s = time.monotonic()
    os.kill(engine.process.pid, signal.SIGSTOP)
    assert engine.ea_after(stopped_s, within_s=1.0) <= 0.3


@pytest.mark.req("R-ORPHAN")
def test_ctrl_c_ends_the_engine_and_the_port_process_writes_ea_before_it_ends(engine: Engine) -> None:
    pressed_s = time.monotonic()
    os.killpg(engine.process.pid, signal.SIGINT)  # as a terminal does: to both processes
    assert engine.ea_after(pressed_s, within_s=2.0) <= 0.5
    engine.process.wait(5.0)


@pytest.mark.req("R-OWNER")
def test_ctrl_c_alone_and_a_second_owner_change_nothing_then_sigterm_disarms(
    b: Bench, tmp_path: Path
) -> None:
    os.kill(b.unit.pid, signal.SIGINT)
    b.sleep(0.1)
    with pytest.raises(NotReady, match=f"already owned by process {b.unit.pid}"):
        open_unit(b.line.port, tmp_path)
    assert b.armed()
    assert b.unit.fire(b.permit(40)).delivery is Delivery.DELIVERED
    asked_s = time.monotonic()
    os.kill(b.unit.pid, signal.SIGTERM)
    b.until(lambda: bool(b.sent(EA, since_s=asked_s)), within_s=0.2)
    b.until(lambda: b.unit.trouble() is not None, within_s=20.0)
    assert b.unit.trouble().fault is Fault.PORT_DEAD


@pytest.mark.req("R-ORPHAN")
def test_a_killed_port_process_is_told_and_the_units_watchdog_disarms(b: Bench) -> None:
    os.kill(b.unit.pid, signal.SIGKILL)
    receipt = b.unit.fire(b.permit(40))
    assert receipt.delivery is not Delivery.DELIVERED
    with pytest.raises(UnitProblem) as problem:
        b.unit.set_power(30)
    assert problem.value.fault is Fault.PORT_DEAD
    with pytest.raises(UnitProblem) as problem:
        b.unit.disarm()
    assert problem.value.fault is Fault.PORT_DEAD
    assert b.until(lambda: not b.armed(), within_s=1.5) < 1.2
    assert "keep-alive" in b.sim.history[-1][1]


@pytest.mark.req("R-DISARM")
def test_a_frozen_port_process_is_killed_by_disarm_in_time(b: Bench) -> None:
    os.kill(b.unit.pid, signal.SIGSTOP)
    start_s = time.monotonic()
    with pytest.raises(UnitProblem, match="killed") as problem:
        b.unit.disarm()
    assert time.monotonic() - start_s < 0.65
    assert problem.value.fault is Fault.PORT_DEAD
    b.until(lambda: not b.armed(), within_s=1.5)


@pytest.mark.req("R-STALE")
def test_a_fire_that_a_frozen_port_process_finds_later_is_missed(b: Bench) -> None:
    pid = b.unit.pid
    os.kill(pid, signal.SIGSTOP)
    b.sleep(0.02)
    permit = b.permit(40, ttl_s=0.1)
    answer: list[object] = []
    thread = threading.Thread(target=lambda: answer.append(b.unit.fire(permit)))
    thread.start()
    b.sleep(0.2)
    os.kill(pid, signal.SIGCONT)
    thread.join(20.0)
    assert answer[0].delivery is Delivery.NOT_DELIVERED  # type: ignore[attr-defined]
    assert answer[0].reason.startswith("missed")  # type: ignore[attr-defined]
    assert b.discharges == 0


def test_disarm_goes_past_a_request_in_flight(tmp_path: Path) -> None:
    with bench("socket", tmp_path, power_pct_mso=60, arming_s=0.1) as b:
        b.unit.arm()
        caught: list[UnitProblem] = []

        def ramp() -> None:
            try:
                b.unit.set_power(10)  # takes 5 s
            except UnitProblem as err:
                caught.append(err)

        thread = threading.Thread(target=ramp)
        thread.start()
        b.sleep(0.3)
        start_s = time.monotonic()
        b.unit.disarm()
        assert time.monotonic() - start_s < 0.1
        b.until(lambda: not b.armed(), within_s=0.1)
        thread.join(20.0)
        assert "cut short" in str(caught[0])


def test_a_long_ramp_keeps_the_arming_and_reads_back(tmp_path: Path) -> None:
    with bench("socket", tmp_path, power_pct_mso=40, arming_s=0.1) as b:
        b.unit.arm()
        b.beating = False  # the engine's thread is the one that waits: it must not count as hung
        status = b.unit.set_power(30)
        assert status.power_pct_mso == 30
        assert status.ready
        assert b.unit.trouble() is None


def test_a_missing_port_is_not_ready(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        free = nobody.getsockname()[1]
    Board.create(tmp_path / "board").close()
    for port in (str(tmp_path / "ttyNONE"), f"socket://127.0.0.1:{free}"):
        with pytest.raises(NotReady, match="cannot open port"):
            open_unit(port, tmp_path)


def test_a_unit_found_armed_is_disarmed_and_reported(tmp_path: Path) -> None:
    clock = SteppedClock()
    sim = Unit200(power_pct_mso=55, arming_s=0.1)
    line = SteppedLine(sim, clock)
    for body in (b"Q@", b"EB"):  # by another program
        line.write(body + bytes([~sum(body) & 0xFF]))
        clock.advance(0.3)
    with Board.create(tmp_path / "board", clock=clock) as board:
        assert sim.state().ready
        with SteppedUnit.open(line=line, clock=clock, board=board, run_id=RUN, key=b"k") as unit:
            assert unit.opened is not None
            assert unit.opened.found_armed
            assert unit.opened.found_power_pct_mso == 55
            assert unit.status().standby
            assert not sim.state().armed


def test_a_mute_unit_does_not_open_and_leaves_nothing(tmp_path: Path) -> None:
    from hardware_sim.faults import Fault as SimFault
    from hardware_sim.faults import FaultKind

    line = SocketLine(Unit200(faults=(SimFault(kind=FaultKind.MUTE),)), WALL)
    line.start()
    Board.create(tmp_path / "board").close()
    try:
        with pytest.raises(UnitProblem) as problem:
            MagstimUnit.open(
                port=line.port, board_path=tmp_path / "board", run_id=RUN, key=b"k", simulated=True
            )
        assert problem.value.fault is Fault.UNIT_SILENT
    finally:
        line.close()


def test_a_port_process_that_dies_in_mid_train_leaves_bounds_and_a_unit_that_lets_go(tmp_path: Path) -> None:
    train = Train(frequency_hz=10, n_pulses=10)
    transcript = tmp_path / "bytes.jsonl"
    with bench(
        "socket", tmp_path, model="rapid", arming_s=0.1, power_pct_mso=40, driver={"transcript": transcript}
    ) as b:
        b.unit.set_train(train)
        assert b.unit.arm().ready
        assert b.unit.fire(b.permit(40, train=train)).delivery is Delivery.DELIVERED
        fired_s = time.monotonic()
        b.sleep(0.2)
        os.kill(b.unit.pid, signal.SIGKILL)
        assert b.unit.train_end() is None  # nobody knows yet
        end = b.train_end(within_s=2.0)
        assert time.monotonic() - fired_s <= train.duration_s + 1.0
        assert (end.delivery, end.pulses_min, end.pulses_max) == (Delivery.UNCERTAIN, 0, 10)
        assert b.unit.train_end() == end
        b.until(lambda: not b.armed(), within_s=1.5)
    lines = transcript.read_text().splitlines()
    assert '"end"' not in lines[-1]  # cut off, and to be seen as such
    assert any('"sent": "4548' in line for line in lines)


def test_closing_in_mid_train_sends_ea_and_leaves_bounds(tmp_path: Path) -> None:
    train = Train(frequency_hz=10, n_pulses=10)
    with bench("socket", tmp_path, model="rapid", version=(7, 1), arming_s=0.1, power_pct_mso=40) as b:
        b.unit.set_train(train)
        b.unit.arm()
        b.unit.fire(b.permit(40, train=train))
        b.sleep(0.3)
        mark_s = time.monotonic()
        b.unit.close()
        assert b.sent(EA, since_s=mark_s)
        end = b.train_end(within_s=2.0)
        assert end.pulses_min <= b.discharges <= end.pulses_max
        b.until(lambda: not b.armed(), within_s=2.0)
