"""How long from STOP, a disarm or a frozen engine until EA is whole on the line; and one fire, against MagPy's own way.

Usage: python tests/bench/bench_stop.py [--disarms 300] [--stops 10] [--load]
A simulated 200² at byte level on a loopback socket, paced at 9600 baud; a real port process. ``--load``: two busy processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from contract_tools import EA, EH, Bench, bench

from hardware_sim.faults import FaultKind
from hardware_sim.line import SocketLine
from hardware_sim.magstim import Unit200
from rtloop.clock import WALL


def row(name: str, seconds: list[float], goal: str) -> str:
    """One line of the table."""
    ms = sorted(1e3 * s for s in seconds)
    p99 = ms[min(len(ms) - 1, int(0.99 * len(ms)))]
    return f"{name:46s} n={len(ms):4d}  p50 {statistics.median(ms):6.1f}  p99 {p99:6.1f}  max {ms[-1]:6.1f} ms   goal {goal}"


def disarms(b: Bench, count: int) -> list[float]:
    """From the engine's disarm (what a seen fault does) to EA, the unit armed every time it can be."""
    out = []
    b.ready()
    for i in range(count):
        if i % 25 == 0:
            b.unit.arm()
        asked_s = WALL.now_s()
        b.unit.disarm()
        out.append(b.sent(EA, since_s=asked_s)[0] - asked_s)
    return out


def stop_once(mute: bool) -> float:
    """One STOP while armed; a run knows only one."""
    with tempfile.TemporaryDirectory() as folder, bench("socket", Path(folder)) as b:
        b.ready()
        if mute:
            b.inject(FaultKind.MUTE)
        asked_s = WALL.now_s()
        b.board.ask_stop()
        b.until(lambda: bool(b.sent(EA, since_s=asked_s)), within_s=2.0)
        return b.sent(EA, since_s=asked_s)[0] - asked_s


def freezes(b: Bench, count: int) -> list[float]:
    """From the last heartbeat of a frozen engine to EA."""
    out = []
    for _ in range(count):
        b.beating = True
        b.sleep(0.1)
        b.ready()
        b.beating = False
        frozen_s = b.board["beat_engine"] * 1e-9
        b.until(lambda frozen_s=frozen_s: bool(b.sent(EA, since_s=frozen_s)), within_s=1.0)
        out.append(b.sent(EA, since_s=frozen_s)[-1] - b.board["beat_engine"] * 1e-9)
    b.beating = True
    return out


def fires(b: Bench, count: int) -> list[float]:
    """From the fire call to the last byte of EH at the unit."""
    out = []
    b.ready()
    for _ in range(count):
        b.sleep(2.2)
        permit = b.permit(40)
        asked_s = WALL.now_s()
        b.unit.fire(permit)
        out.append(b.sent(EH, since_s=asked_s)[0] - asked_s)
    return out


def magpy_fires(count: int) -> list[float]:
    """The same with MagPy's own process and queues, its port class opening our socket."""
    import serial
    from magpy import magstim

    unit = Unit200()
    line = SocketLine(unit, WALL)
    line.start()
    out: list[float] = []
    real = serial.Serial
    serial.Serial = lambda port, **kw: serial.serial_for_url(port)  # type: ignore[misc, assignment]
    try:
        device = magstim.Magstim(line.port)
        controller = device._connection
        thread = threading.Thread(target=controller.run, daemon=True)
        controller.start = thread.start  # its loop in a thread: a pty refuses its RTS, a socket its spawn
        controller.is_alive = thread.is_alive
        controller.join = lambda timeout=None: thread.join(timeout or 1.0)
        device.connect()
        device.setPower(40, receipt=True)
        WALL.sleep_until(WALL.now_s() + 0.6)
        device.arm(receipt=True)
        WALL.sleep_until(WALL.now_s() + 1.2)
        for _ in range(count):
            asked_s = WALL.now_s()
            device.fire(receipt=True)
            with line.lock:
                sent = [t_s for t_s, packet in unit.packets if packet[:2] == EH and t_s >= asked_s]
            if sent:
                out.append(sent[0] - asked_s)
            WALL.sleep_until(WALL.now_s() + 2.2)
        device.disconnect()
    finally:
        serial.Serial = real  # type: ignore[misc]
        line.close()
    return out


def _busy() -> None:
    while True:
        sum(range(10000))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--disarms", type=int, default=300)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--fires", type=int, default=15)
    parser.add_argument("--load", action="store_true")
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    load = [context.Process(target=_busy, daemon=True) for _ in range(2 if args.load else 0)]
    for process in load:
        process.start()
    print(f"EA or EH whole on the line ({'two busy processes beside' if args.load else 'no load'})")
    with tempfile.TemporaryDirectory() as folder, bench("socket", Path(folder)) as b:
        print(row("fault seen -> disarm -> EA", disarms(b, args.disarms), "<= 50 (p99.9)"), flush=True)
        print(
            row("engine frozen, from its last heartbeat -> EA", freezes(b, args.stops), "<= 300"), flush=True
        )
        ours = fires(b, args.fires)
    print(
        row("STOP on the board -> EA", [stop_once(False) for _ in range(args.stops)], "<= 50 (p99.9)"),
        flush=True,
    )
    print(
        row(
            "STOP while the unit is mute -> EA", [stop_once(True) for _ in range(args.stops)], "<= 50 (p99.9)"
        )
    )
    print(row("fire call -> EH, rtloop", ours, "MagPy + 0.2 at the median"))
    try:
        theirs = magpy_fires(args.fires)
        print(row("fire call -> EH, MagPy (queues, thread)", theirs, "peer"))
        print(f"ratio of medians rtloop / MagPy: {statistics.median(ours) / statistics.median(theirs):.2f}")
    finally:
        for process in load:
            process.kill()
            process.join()


if __name__ == "__main__":
    main()
