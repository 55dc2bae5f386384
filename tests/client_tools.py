"""Owns a client without a process: a connection, a process and a board that do what a test says, on a stepped clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from drivers.client import MagstimUnit
from drivers.magstim.units import facts_of
from drivers.requests import Answer, Ask, Request
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.model.pulse import Delivery, FireReceipt, Pair, Train
from rtloop.model.status import UnitIdentity, UnitStatus
from rtloop.ports import Permit

STANDBY, READY = 0x89, 0x8C
Reply = Callable[[Request], Iterable[tuple[float, object]]]  # after how long, what; an exception is raised


class Watched(SteppedClock):
    """A stepped clock on which no wait is without end: time must pass, and nobody waits for minutes."""

    def __init__(self, start_s: float = 1000.0) -> None:
        super().__init__(start_s)
        self._asked, self._end_s = 0, start_s + 200.0

    def now_s(self) -> float:
        self._asked += 1
        now_s = super().now_s()
        assert self._asked < 5000, "a loop in which no time passes"
        assert now_s < self._end_s, "a wait without end"
        return now_s

    def sleep_until(self, t_s: float) -> None:
        if t_s > super().now_s():
            self._asked = 0
        super().sleep_until(t_s)


class Conn:
    """The engine's end of the pipe. Each reply comes so long after its request; an empty pipe lets time pass."""

    def __init__(self, clock: SteppedClock) -> None:
        self.clock, self.inbox = clock, []  # type: SteppedClock, list[tuple[float, object]]
        self.sent: list[Request] = []
        self.reply: Reply = lambda _: ()
        self.deaf: OSError | None = None  # raised by sending
        self.polls: list[tuple[float, float]] = []  # when, for how long at most
        self.jumps: dict[int, float] = {}  # the n-th poll that finds nothing ends at this instant
        self.closed = False

    def say(self, what: object, after_s: float = 0.0) -> None:
        self.inbox.append((self.clock.now_s() + after_s, what))
        self.inbox.sort(key=lambda item: item[0])

    def send(self, request: Request) -> None:
        assert not self.closed
        if self.deaf is not None:
            raise self.deaf
        self.sent.append(request)
        for after_s, what in self.reply(request):
            self.say(what, after_s)

    def poll(self, timeout_s: float = 0.0) -> bool:
        assert not self.closed
        assert timeout_s >= 0
        now_s = self.clock.now_s()
        self.polls.append((now_s, timeout_s))
        end_s = self.jumps.get(len(self.polls), now_s + timeout_s)
        if self.inbox and self.inbox[0][0] <= end_s:
            self.clock.sleep_until(self.inbox[0][0])
            return True
        self.clock.sleep_until(end_s)
        return False

    def recv(self) -> object:
        assert self.inbox, "recv would wait for ever"
        assert self.inbox[0][0] <= self.clock.now_s(), "recv would wait"
        if isinstance(end := self.inbox[0][1], EOFError | OSError):
            raise end  # and again whoever asks
        return self.inbox.pop(0)[1]

    def close(self) -> None:
        self.closed = True


class Process:
    """The port process; ``dies_of``: which call ends it, ``close`` being the request. ``story``: what was done to it."""

    def __init__(self, clock: SteppedClock, story: list[str]) -> None:
        self.clock, self.story, self.alive, self.dies_of, self.pid = clock, story, True, "close", 4711

    def _try(self, how: str) -> None:
        self.story.append(how)
        self.alive = self.alive and self.dies_of != how

    def start(self) -> None:
        self.story.append("start")

    def is_alive(self) -> bool:
        return self.alive

    def join(self, timeout_s: float) -> None:
        self.story.append("join")
        if self.alive:
            self.clock.advance(timeout_s)

    def terminate(self) -> None:
        self._try("terminate")

    def kill(self) -> None:
        self._try("kill")

    def close(self) -> None:
        assert not self.alive, "a process that lives cannot be closed"
        self.story.append("closed")


class Lock:
    """A lock that never waits: whether it is free says the test; ``waits``: how long one would have waited."""

    def __init__(self) -> None:
        self.free, self.waits = True, []  # type: bool, list[float]

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        self.waits.append(timeout if blocking else 0.0)
        was_free, self.free = self.free, False
        return was_free

    def release(self) -> None:
        assert not self.free
        self.free = True


class Made:
    """A client of a unit and everything round it."""

    def __init__(self, folder: Path, *, model: str = "rapid") -> None:
        self.clock = Watched()
        self.board = Board.create(folder / "board", clock=self.clock)
        self.conn, self.story = Conn(self.clock), []  # type: Conn, list[str]
        self.process = Process(self.clock, self.story)
        self.lock = Lock()
        self.instr(STANDBY, 40)
        self.board.start("port")
        self.board.start("engine")
        self.unit = MagstimUnit(
            conn=self.conn, process=self.process, board=Board(folder / "board", clock=self.clock),
            facts=facts_of(model), identity=UnitIdentity(model=model, port="P", simulated=True), clock=self.clock,
        )  # type: ignore[arg-type]  # fmt: skip
        self.unit._lock = self.lock  # type: ignore[assignment]

    def instr(self, instr: int, power: int | None = None) -> None:
        """The port process publishes a status byte of now."""
        self.board["unit_instr"], self.board["unit_t"] = instr, self.board.now_ns()
        if power is not None:
            self.board["unit_power"] = power

    def answers(self, *, after_s: float = 0.003, **fields: Any) -> None:
        """Every request is answered with these fields; closing ends the process."""

        def reply(request: Request) -> list[tuple[float, object]]:
            if request.ask is Ask.ANNOUNCE:
                return []
            if request.ask is Ask.CLOSE:
                self.process.alive = self.process.alive and self.process.dies_of != "close"
            return [(after_s, Answer(n=request.n, **fields))]

        self.conn.reply = reply

    def serves_disarm(self, after_s: float, instr: int | None = STANDBY, then_s: float = 0.0) -> None:
        """EA so long after it was asked for; ``then_s`` later the unit's status says ``instr``."""
        at: list[float] = []

        def live(now_s: float) -> None:
            if self.board["disarm_done"] < self.board["disarm_asked"]:
                at[:] = at or [now_s]
                if now_s - at[0] >= after_s - 1e-9:
                    self.board["disarm_done"] = self.board["disarm_asked"]
                    at[:] = [now_s]
            elif at and instr is not None and now_s - at[0] >= then_s - 1e-9:
                self.instr(instr)
                at.clear()

        self.clock.listen(live)

    def permit(self, *, train: Train | None = None, pair: Pair | None = None) -> Permit:
        return Permit(
            permit_id=1, run_id="r", pulse_id=1, power_pct_mso=40, expires_s=self.clock.now_s() + 1, seal=b"",
            train=train, pair=pair,
        )  # fmt: skip

    def end(self) -> None:
        self.process.alive = False
        self.unit.close()
        self.board.close()


def status(instr: int = STANDBY, t_s: float = 1.0) -> UnitStatus:
    return UnitStatus.from_instr(instr, t_s=t_s)


def receipt(delivery: Delivery = Delivery.DELIVERED, **fields: Any) -> FireReceipt:
    return FireReceipt(
        **{"delivery": delivery, "t_sent_s": 1.0, "t_reply_s": 1.1, "status": status()} | fields
    )
