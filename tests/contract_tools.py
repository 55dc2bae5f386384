"""Owns the benches on which drivers are tried: a simulated unit, a board, permits, an engine that beats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drivers.client import MagstimUnit
from drivers.stepped import SteppedUnit
from hardware_sim.faults import Fault, FaultKind
from hardware_sim.line import PtyLine, SocketLine, SteppedLine
from hardware_sim.magstim import UNLOCK_CODE, unit_of
from hardware_sim.unit import Unit
from rtloop.board import Board
from rtloop.clock import WALL, Clock, SteppedClock
from rtloop.model.pulse import FireReceipt, Pair, Train
from rtloop.ports import Permit

KEY = b"k" * 32
RUN = "run-7"
EA, EB, EH, Q = b"EA", b"EB", b"EH", b"Q@"


class Bench:
    """One unit under test: ``unit`` the driver, ``sim`` the simulated unit, ``line``, ``board``."""

    def __init__(self, *, sim: Unit, line: Any, board: Board, clock: Clock, stepped: bool) -> None:
        self.sim, self.line, self.board, self.clock, self.stepped = sim, line, board, clock, stepped
        self.unit: Any = None
        self.beating = True
        self._permit_id = 0
        #: how the driver keeps this unit alive: control by Q, from software 9 by its status
        self.keep = b"x@" if coded(sim) else Q

    # ---- time

    def sleep(self, dt_s: float) -> None:
        """Let time pass with the engine alive (unless ``beating`` was set false)."""
        end_s = self.clock.now_s() + dt_s
        while (now_s := self.clock.now_s()) < end_s:
            if self.stepped and self.beating:
                self.board.beat("engine")
            self.clock.sleep_until(min(end_s, now_s + 0.005))

    def until(self, condition: Callable[[], bool], *, within_s: float) -> float:
        """Seconds until the condition holds; fails when it does not."""
        start_s = self.clock.now_s()
        while not condition():
            assert self.clock.now_s() - start_s < within_s, f"not within {within_s} s"
            self.sleep(0.002)
        return self.clock.now_s() - start_s

    def train_end(self, *, within_s: float) -> FireReceipt:
        """What the driver tells of the train under way, once it tells it."""
        self.until(lambda: self.unit.train_end() is not None, within_s=within_s)
        found = self.unit.train_end()
        assert isinstance(found, FireReceipt)
        return found

    # ---- the unit

    def permit(
        self, power: int, *, permit_id: int | None = None, ttl_s: float = 0.5, run: str = RUN,
        key: bytes = KEY, expires_s: float | None = None, train: Train | None = None, pair: Pair | None = None,
    ) -> Permit:  # fmt: skip
        if permit_id is None:
            self._permit_id += 1
            permit_id = self._permit_id
        expires = self.clock.now_s() + ttl_s if expires_s is None else expires_s
        fields: dict[str, Any] = {
            "permit_id": permit_id, "run_id": run, "pulse_id": permit_id, "power_pct_mso": power,
            "expires_s": expires, "train": train, "pair": pair,
        }  # fmt: skip
        return Permit(**fields, seal=Permit.seal_for(key, **fields))

    def ready(self, power: int = 40) -> None:
        """Power set, armed, ready."""
        self.unit.set_power(power)
        assert self.unit.arm().ready

    def inject(self, kind: FaultKind, **fields: Any) -> None:
        """A fault that starts now."""
        with self.lock():
            self.sim.inject(Fault(kind=kind, **fields), self.clock.now_s())

    @contextmanager
    def lock(self) -> Iterator[None]:
        with self.line.wire.lock if self.stepped else self.line.lock:
            yield

    @property
    def discharges(self) -> int:
        with self.lock():
            return len(self.sim.discharges)

    def armed(self) -> bool:
        """What the simulated unit itself knows, brought up to now."""
        if self.stepped:
            self.line.wire.visible(self.clock.now_s())
        with self.lock():
            return self.sim.state().armed

    def stop_while_a_reply_is_awaited(self) -> float:
        """Ask for STOP just after a next keep-alive went out; returns when."""
        mark_s, asked = self.clock.now_s(), []

        def ask(now_s: float) -> None:
            if not asked and self.sent(self.keep, since_s=mark_s):
                asked.append(now_s)
                self.board.ask_stop()

        if self.stepped:
            self.clock.listen(ask)  # type: ignore[attr-defined]
        start_s = self.clock.now_s()
        while not asked:
            assert self.clock.now_s() - start_s < 0.6
            self.sleep(0.001)
            if not self.stepped:
                ask(self.clock.now_s())
        return asked[0]

    @contextmanager
    def meanwhile(self, command: bytes, do: Callable[[], object], *, after_s: float) -> Iterator[list[float]]:
        """``do`` once, so long after the unit has had this command, while the body waits; yields when, once done."""
        mark_s, done, ending = self.clock.now_s(), [], threading.Event()

        def look(now_s: float) -> None:
            sent = self.sent(command, since_s=mark_s)
            if sent and now_s >= sent[0] + after_s and not done and not ending.is_set():
                done.append(now_s)
                do()

        def watch() -> None:
            while not done and not ending.wait(0.002):
                look(self.clock.now_s())

        thread = threading.Thread(target=watch)
        if self.stepped:
            self.clock.listen(look)  # type: ignore[attr-defined]
        else:
            thread.start()
        try:
            yield done
        finally:
            ending.set()
            if not self.stepped:
                thread.join()

    def sent(self, command: bytes, *, since_s: float = 0.0) -> list[float]:
        """When this command was whole on the line."""
        with self.lock():
            return [t_s for t_s, packet in self.sim.packets if packet.startswith(command) and t_s >= since_s]


@contextmanager
def bench(
    kind: str, tmp_path: Path, *, model: str = "200", faults: tuple[Fault, ...] = (),
    driver: dict[str, Any] | None = None, **unit: Any,
) -> Iterator[Bench]:  # fmt: skip
    """A bench of kind "stepped", "socket" or "pty", opened; ends with nothing left behind.

    ``unit``: options of the simulated unit; ``driver``: of the driver's ``open``.
    """
    sim = unit_of(model, faults=faults, **unit)
    options = {"model": model, **({"unlock_code": UNLOCK_CODE} if coded(sim) else {}), **(driver or {})}
    with (_stepped if kind == "stepped" else _threaded)(sim, kind, tmp_path, options) as made:
        yield made


def coded(sim: Unit) -> bool:
    """Whether the simulated unit gives control only for its unlock code."""
    return bool(getattr(sim, "unlock_code", ""))


@contextmanager
def _stepped(sim: Unit, _: str, tmp_path: Path, options: dict[str, Any]) -> Iterator[Bench]:
    clock = SteppedClock()
    with Board.create(tmp_path / "board", clock=clock) as board:
        line = SteppedLine(sim, clock)
        made = Bench(sim=sim, line=line, board=board, clock=clock, stepped=True)
        board.start("engine")
        made.unit = SteppedUnit.open(line=line, clock=clock, board=board, run_id=RUN, key=KEY, **options)
        with made.unit:
            yield made


@contextmanager
def _threaded(sim: Unit, kind: str, tmp_path: Path, options: dict[str, Any]) -> Iterator[Bench]:
    line = (SocketLine if kind == "socket" else PtyLine)(sim, WALL)
    line.start()
    try:
        with Board.create(tmp_path / "board") as board:
            made = Bench(sim=sim, line=line, board=board, clock=WALL, stepped=False)
            board.start("engine")
            with beating(made):
                made.unit = open_unit(line.port, tmp_path, **options)
                with made.unit:
                    yield made
    finally:
        line.close()


def open_unit(port: str, tmp_path: Path, **options: Any) -> MagstimUnit:
    """The client with its real port process, on the board of this test."""
    return MagstimUnit.open(
        port=port, board_path=tmp_path / "board", run_id=RUN, key=KEY, simulated=True, **options
    )


@contextmanager
def beating(made: Any) -> Iterator[None]:
    """A thread that beats as the engine, every 20 ms, while ``made.beating``; on ``made.board``."""
    ending = threading.Event()

    def beat() -> None:
        while not ending.is_set():
            if made.beating:
                made.board.beat("engine")
            time.sleep(0.02)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
