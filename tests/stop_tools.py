"""Owns what the deadlines of STOP, faults and dead programs are measured with: an engine, a window and load in processes of
their own, a simulated 200² in this one that notes when each command is whole on its line (9600 baud: 3.1 ms of each number).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardware_sim.line import SocketLine
from hardware_sim.magstim import Unit200
from rtloop.board import Board
from rtloop.clock import WALL
from rtloop.priority import go_first

EA, EH = b"EA", b"EH"
EA_S = 0.0031  # three bytes at 9600 baud
POWER = 40
START_S = 30.0  # a process has started by then, whatever else runs

ENGINE = """
import ctypes, select, sys, threading, time
from drivers.client import MagstimUnit
from rtloop.board import Board
from rtloop.ports import Permit

KEY = b"k" * 32

def spin():
    while True:
        sum(range(1000))

def say(*words):
    print(*words, flush=True)

def run(port, board_path):
    board = Board(board_path)
    board.start("engine")
    unit = MagstimUnit.open(port=port, board_path=board_path, run_id="r", key=KEY, simulated=True)
    unit.set_power(40)
    unit.arm()
    say(unit.pid)
    n = 0
    while True:
        board.beat("engine")
        if not select.select([sys.stdin], [], [], 0.01)[0]:
            continue
        command, *rest = sys.stdin.readline().split() or ["end"]
        if command == "end":
            unit.close()
            return
        if command == "spin":
            threading.Thread(target=spin, daemon=True).start()
            say("spinning")
        elif command == "hold":  # a C call that keeps the GIL
            say(board["beat_engine"] * 1e-9)
            ctypes.PyDLL(None).usleep(ctypes.c_uint(int(1e6 * float(rest[0]))))
        elif command == "disarm":
            for i in range(int(rest[0])):
                if i % 25 == 0:
                    unit.arm()
                end_s = time.monotonic() + 0.01
                while time.monotonic() < end_s:
                    board.beat("engine")
                    time.sleep(0.002)
                asked_s = time.monotonic()
                unit.disarm()
                say(asked_s)
            say("done")
        elif command == "arm":
            unit.arm()
            say("armed")
        elif command == "refresh":
            asked_s = time.monotonic()
            try:
                unit.refresh()
                say("answered", 0.0)
            except Exception as err:
                say(getattr(err, "fault", type(err).__name__), time.monotonic() - asked_s)
        elif command == "trouble":
            problem = unit.trouble()
            say("none" if problem is None else problem.fault)
        elif command == "fire":  # seconds of the permit
            n += 1
            asked_s = time.monotonic()
            fields = dict(permit_id=n, run_id="r", pulse_id=n, power_pct_mso=40, expires_s=asked_s + float(rest[0]))
            say(asked_s)
            receipt = unit.fire(Permit(**fields, seal=Permit.seal_for(KEY, **fields)))
            say(receipt.delivery, asked_s, fields["expires_s"], receipt.t_sent_s, receipt.reason.replace(" ", "_"))

if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
"""

#: asks for STOP as any window or command does: on the board. A run knows only one STOP, so for the next one the slots are
#: cleared, which nothing in the product does; the way from the slot to EA is the same each time.
WINDOW = """
import os, random, signal, sys, time
from rtloop.priority import go_first
from rtloop.board import Board

go_first()  # the instant of asking is wanted, not how long the asking program waits for a core
board, count, dies = Board(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "dies"
chance = random.Random(7)
for i in range(count):
    if i:
        board["stop_asked"] = 0
        board["stop_served"] = 0
    time.sleep(chance.uniform(0.01, 0.05))
    asked_s = time.monotonic()
    if dies:
        print(asked_s, flush=True)
    board.ask_stop()
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    while not board["stop_served"]:
        if time.monotonic() - asked_s > 5.0:
            sys.exit("no STOP within 5 s")
        time.sleep(0.001)
    print(asked_s, flush=True)
"""


class Bed:
    """A unit on a line, an armed engine and its port process; ``close`` leaves nothing behind."""

    def __init__(self, folder: Path, *, first: bool = True) -> None:
        self.sim = Unit200(arming_s=0.2, power_pct_mso=POWER)
        self.line = SocketLine(self.sim, WALL)
        self.line.start()
        self.board_path = folder / "board"
        self.board = Board.create(self.board_path)
        (folder / "engine.py").write_text(ENGINE)
        (folder / "window.py").write_text(WINDOW)
        self.window_path = folder / "window.py"
        self.port_pid, self._heard = 0, b""
        self.process = subprocess.Popen(
            [sys.executable, str(folder / "engine.py"), self.line.port, str(self.board_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            self.port_pid = int(self.read())
            thread = self.line._thread.native_id
            assert thread is not None
            # the unit itself does not wait for a core of ours; and where a port process does not go first yet, it does here
            self.no_first = go_first(thread) or (go_first(self.port_pid) if first else "")
            if not first and hasattr(os, "SCHED_OTHER"):
                os.sched_setscheduler(self.port_pid, os.SCHED_OTHER, os.sched_param(0))
        except BaseException:
            self.close()
            raise

    def tell(self, command: str) -> None:
        """One command to the engine."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()

    def read(self) -> str:
        """The engine's next line."""
        assert self.process.stdout is not None
        fd, end_s = self.process.stdout.fileno(), time.monotonic() + START_S
        while b"\n" not in self._heard:
            left_s = end_s - time.monotonic()
            assert select.select([fd], [], [], max(0.0, left_s))[0], "the engine says nothing"
            more = os.read(fd, 65536)
            assert more, "the engine has ended"
            self._heard += more
        line, self._heard = self._heard.split(b"\n", 1)
        return line.decode().strip()

    def sent(self, command: bytes, *, since_s: float = 0.0) -> list[float]:
        """When this command was whole at the unit."""
        with self.line.lock:
            return [t_s for t_s, packet in self.sim.packets if packet.startswith(command) and t_s >= since_s]

    def armed(self) -> bool:
        """What the unit itself knows."""
        with self.line.lock:
            return bool(self.sim.state().armed)

    def ea_after(self, t_s: float, *, within_s: float) -> float:
        """Seconds from ``t_s`` until EA is whole at the unit; fails when there is none."""
        while not (found := self.sent(EA, since_s=t_s + EA_S)):
            assert time.monotonic() - t_s < within_s, f"no EA within {within_s} s"
            time.sleep(0.002)
        return found[0] - t_s

    def stops(self, count: int) -> list[float]:
        """From each STOP that a window asks for until its EA is whole at the unit, in order."""
        window = subprocess.run(
            [sys.executable, str(self.window_path), str(self.board_path), str(count), "lives"],
            capture_output=True, text=True, timeout=START_S + 0.3 * count, check=True,
        )  # fmt: skip
        asked = [float(line) for line in window.stdout.split()]
        assert len(asked) == count
        return self.waits(asked)

    def waits(self, asked: list[float]) -> list[float]:
        """From each instant until the first EA that began after it is whole at the unit (one on its way then does not count)."""
        time.sleep(0.1)
        found, out = self.sent(EA), []
        for asked_s in asked:
            later = [t_s for t_s in found if t_s >= asked_s + EA_S]
            assert later, f"no EA after the last of {len(asked)}"
            out.append(later[0] - asked_s)
        return out

    def stop_by_a_window_that_dies(self) -> float:
        """When a window asked for STOP and was killed in the same instant."""
        window = subprocess.run(
            [sys.executable, str(self.window_path), str(self.board_path), "1", "dies"],
            capture_output=True, text=True, timeout=START_S, check=False,
        )  # fmt: skip
        assert window.returncode == -signal.SIGKILL
        return float(window.stdout)

    def disarms(self, count: int) -> list[float]:
        """From the engine's disarm (what it does about every fault) until EA is whole, armed anew every 25."""
        self.tell(f"disarm {count}")
        asked = []
        while (line := self.read()) != "done":
            asked.append(float(line))
        return self.waits(asked)

    def last_beat_s(self) -> float:
        """The engine's newest heartbeat."""
        return self.board["beat_engine"] * 1e-9

    def close(self) -> None:
        """Kill what this bed started, by its id."""
        for pid in (self.process.pid, self.port_pid):
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        self.process.wait(5.0)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue
        self.board.close()
        self.line.close()


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that only compute."""
    load = [subprocess.Popen([sys.executable, "-c", "while True: sum(range(10000))"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in load:
            process.kill()
        for process in load:
            process.wait()
