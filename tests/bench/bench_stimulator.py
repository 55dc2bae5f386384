"""Fire and STOP at the line beside MagPy 1.4, one run, the same simulated units. Usage:

    python tests/bench/bench_stimulator.py [--seconds 60] [--stops 1000] [--disarms 300] [--busy 6]

Four programs fire in turns, three simulated 200² each, all on loopback sockets paced at 9600 baud: rtloop, which announces its
pulses as sessions and scripts do, the same without a word before, rtloop with its port processes at ordinary priority, and
MagPy with its source unmodified, its own processes and queues, and a port class that opens a socket (it has no RTS).
Each time is from the fire call to the last byte of ``EH`` at the unit; 3.1 ms of it are the line.
Every fourth is due within 20 ms, the deadline of its permit: one that begins later is late (MagPy knows no deadline), one that we
miss is not sent; the others have 0.5 s, so that what is slow is not missing from p99. Then STOP asked by another process until
``EA`` is whole at the unit, and the engine's own disarm, which is what it does about a fault.
All of it without and with busy processes beside.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stop_tools import EH, POWER, Bed, busy

from hardware_sim.line import SocketLine
from hardware_sim.magstim import Unit200
from rtloop.board import Board
from rtloop.clock import WALL
from rtloop.priority import go_first

UNITS, SLOT_S = 3, 0.26
LATE_S = 0.02 + 0.0036  # deadline, and what the line itself and the reading of its bytes take
KINDS = ("rtloop", "rtloop, not announced", "rtloop, ordinary priority", "MagPy 1.4")

OURS = """
import json, os, sys, threading, time
from drivers.client import MagstimUnit
from rtloop.priority import go_first
from rtloop.board import Board
from rtloop.ports import Permit

KEY = b"k" * 32

def beat(boards):
    while True:
        for board in boards:
            board.beat("engine")
        time.sleep(0.02)

def main(first, announced, slot_s, cycle_s, ports, paths):
    boards = [Board(path) for path in paths]
    for board in boards:
        board.start("engine")
    threading.Thread(target=beat, args=(boards,), daemon=True).start()
    units = []
    for port, path in zip(ports, paths):
        unit = MagstimUnit.open(port=port, board_path=path, run_id="r", key=KEY, simulated=True)
        if first:
            go_first(unit.pid)
        elif hasattr(os, "SCHED_OTHER"):
            os.sched_setscheduler(unit.pid, os.SCHED_OTHER, os.sched_param(0))
        unit.set_power(40)
        unit.arm()
        units.append(unit)
    print("ready", flush=True)
    start_s, end_s, offset = [float(word) for word in sys.stdin.readline().split()]
    asked, n, i = [], 0, 0
    while True:
        due_s = start_s + (i // len(units)) * cycle_s + (4 * (i % len(units)) + offset) * slot_s
        if due_s > end_s:
            break
        k, i = i % len(units), i + 1
        if due_s < time.monotonic() - 0.1:
            continue
        time.sleep(max(0.0, due_s - 0.15 - time.monotonic()))
        if announced:
            units[k].announce(due_s)
        time.sleep(max(0.0, due_s - time.monotonic()))
        n += 1
        try:
            if not units[k].status().ready:
                units[k].arm()
            lasts_s = 0.02 if n % 4 == 0 else 0.5
            expires_s = time.monotonic() + lasts_s
            fields = dict(permit_id=n, run_id="r", pulse_id=n, power_pct_mso=40, expires_s=expires_s)
            permit = Permit(**fields, seal=Permit.seal_for(KEY, **fields))  # the gate's work: 0.1 ms more
            now_s = time.monotonic()
            receipt = units[k].fire(permit)
            asked.append((k, now_s, receipt.delivery == "delivered", receipt.reason, n % 4 == 0))
        except Exception as err:
            asked.append((k, time.monotonic(), False, str(err), n % 4 == 0))
    print(json.dumps(asked), flush=True)
    for unit in units:
        unit.close()

if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    main(**told)
"""

MAGPY = """
import json, socket, sys, time
import serial
from magpy import magstim

def opened(port, **settings):
    line = serial.serial_for_url(port)
    line._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line

serial.Serial = opened  # the one substitution: a port that is a socket and has no RTS

def main(first, announced, slot_s, cycle_s, ports, paths):
    units = [magstim.Magstim(port) for port in ports]
    for unit in units:
        unit.connect()
        unit.setPower(40, receipt=True)
    time.sleep(0.6)
    for unit in units:
        unit.arm(receipt=True)
    time.sleep(1.2)
    print("ready", flush=True)
    start_s, end_s, offset = [float(word) for word in sys.stdin.readline().split()]
    asked, i = [], 0
    while True:
        due_s = start_s + (i // len(units)) * cycle_s + (4 * (i % len(units)) + offset) * slot_s
        if due_s > end_s:
            break
        k, i = i % len(units), i + 1
        if due_s < time.monotonic() - 0.1:
            continue
        time.sleep(max(0.0, due_s - time.monotonic()))
        now_s = time.monotonic()
        error, message = units[k].fire(receipt=True)
        asked.append((k, now_s, not error, str(message) if error else "", (len(asked) + 1) % 4 == 0))
        if error:
            units[k].arm(receipt=True)
    print(json.dumps(asked), flush=True)
    for unit in units:
        unit.disconnect()

if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    main(**told)
"""


class Fires:
    """What one program did: ms of the fires without a tight deadline; how many with one came in time, late, not at all."""

    def __init__(self, asked: list[tuple[int, float, bool, str, bool]], lines: list[SocketLine]) -> None:
        self.ms: list[float] = []
        self.missing = self.tight = self.late = self.missed = 0
        self.why: list[str] = []
        for number, (k, asked_s, delivered, why, tight) in enumerate(asked):
            later = [a[1] for a in asked[number + 1 :] if a[0] == k]
            until_s = later[0] if later else asked_s + 10.0
            with lines[k].lock:
                sent = [
                    t for t, packet in lines[k].unit.packets if packet[:2] == EH and asked_s <= t < until_s
                ]
            self.tight += tight
            if sent and not tight:
                self.ms.append(1e3 * (sent[0] - asked_s))
            elif sent:
                self.late += sent[0] - asked_s > LATE_S
            elif tight:
                self.missed += 1
            else:
                self.missing += 1
            if not delivered:
                self.why.append(why)


def at(values: list[float], share: float) -> float:
    """The value that this share does not exceed (the next larger one of the sample)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def fires(seconds: float, n_busy: int, folder: Path) -> list[Fires]:
    """All three programs at once, in turns."""
    lines = [[SocketLine(Unit200(power_pct_mso=POWER), WALL) for _ in range(UNITS)] for _ in KINDS]
    programs: list[subprocess.Popen[str]] = []
    out = []
    cycle_s = max(2.15, SLOT_S * UNITS * len(KINDS))
    try:
        for number, kind in enumerate(KINDS):
            paths = [str(folder / f"board-{n_busy}-{number}-{k}") for k in range(UNITS)]
            for line, path in zip(lines[number], paths, strict=True):
                line.start()
                go_first(line._thread.native_id or 0)  # the unit does not wait for a core of ours
                Board.create(path).close()
            script = folder / f"program-{number}.py"
            script.write_text(MAGPY if "MagPy" in kind else OURS)
            told = {
                "first": number < 2, "announced": number != 1, "slot_s": SLOT_S, "cycle_s": cycle_s, "paths": paths,
                "ports": [line.port for line in lines[number]],
            }  # fmt: skip
            programs.append(
                subprocess.Popen(
                    [sys.executable, str(script), json.dumps(told)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
            )  # fmt: skip
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
        with busy(n_busy):
            start_s = WALL.now_s() + 2.5
            for number, program in enumerate(programs):
                assert program.stdin is not None
                program.stdin.write(f"{start_s} {start_s + seconds} {number}\n")
                program.stdin.flush()
            for number, program in enumerate(programs):
                assert program.stdout is not None
                out.append(Fires([tuple(a) for a in json.loads(program.stdout.readline())], lines[number]))
        for program in programs:
            program.wait(10.0)
    finally:
        for program in programs:
            program.kill()
            program.wait()
        for line in [line for some in lines for line in some]:
            line.close()
    return out


def waits(count: int, n_busy: int, folder: Path, *, stop: bool, first: bool) -> list[float]:
    """ms to EA, from STOP asked by another process or from the engine's own disarm."""
    folder.mkdir()
    bed = Bed(folder, first=first)
    try:
        with busy(n_busy):
            return [1e3 * wait for wait in (bed.stops(count) if stop else bed.disarms(count))]
    finally:
        bed.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--stops", type=int, default=1000)
    parser.add_argument("--disarms", type=int, default=300)
    parser.add_argument("--busy", type=int, default=6)
    args = parser.parse_args()
    print(
        "| fire call -> last byte of EH | beside | n | p50 ms | p99 ms | max ms | p50, p99 / MagPy "
        "| due within 20 ms: late, not sent |"
    )
    print("|---|---|---|---|---|---|---|---|")
    goals = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n_busy in (0, args.busy):
            beside = f"{n_busy} busy" if n_busy else "quiet"
            done = fires(args.seconds, n_busy, folder)
            peer = done[-1]
            for kind, one in zip(KINDS, done, strict=True):
                p50, p99 = at(one.ms, 0.5), at(one.ms, 0.99)
                ratio = f"{p50 / at(peer.ms, 0.5):.2f}, {p99 / at(peer.ms, 0.99):.2f}"
                print(
                    f"| {kind} | {beside} | {len(one.ms)} of {len(one.ms) + one.missing} | {p50:.1f} | {p99:.1f} | "
                    f"{max(one.ms, default=float('nan')):.1f} | {ratio} | {one.late}, {one.missed} of {one.tight} |",
                    flush=True,
                )
                if one.why:
                    print(f"<!-- {kind}: {sorted(set(one.why))[:3]} -->")
            goals.append(
                (
                    f"median, {beside}: no slower than MagPy + 0.2 ms",
                    at(done[0].ms, 0.5) <= at(peer.ms, 0.5) + 0.2,
                )
            )
            if n_busy:
                goals.append((f"p99, {beside}: better than MagPy", at(done[0].ms, 0.99) < at(peer.ms, 0.99)))
            goals.append((f"no late fire, {beside}", done[0].late == 0))
        print(
            "\n| to EA, from | beside | n | p50 ms | p99 ms | p99.9 ms | max ms |\n|---|---|---|---|---|---|---|"
        )
        for cause, count in (("STOP", args.stops), ("disarm", args.disarms)):
            for n_busy, first in ((0, True), (args.busy, True), (args.busy, False)) if count else ():
                place = folder / f"{cause}-{n_busy}-{first}"
                ms = waits(count, n_busy, place, stop=cause == "STOP", first=first)
                kind, beside = KINDS[0] if first else KINDS[2], f"{n_busy} busy" if n_busy else "quiet"
                print(
                    f"| {cause}, {kind} | {beside} | {len(ms)} | {at(ms, 0.5):.1f} | {at(ms, 0.99):.1f} "
                    f"| {at(ms, 0.999):.1f} | {max(ms):.1f} |",
                    flush=True,
                )
                if first:
                    goals.append((f"{cause} -> EA p99.9 <= 50 ms, {beside}", at(ms, 0.999) <= 50.0))
    print()
    for words, met in goals:
        print(f"- {words}: {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
