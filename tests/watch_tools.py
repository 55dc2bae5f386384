"""Owns a desk for the driver's watch alone: a unit that says what a test wants said, on a stepped clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.magstim.magpy_port import Held, Reply
from drivers.magstim.units import UnitFacts, facts_of
from drivers.trouble import Lost, Silent
from drivers.watch import UnitWatch
from rtloop.board import Board
from rtloop.clock import SteppedClock
from rtloop.model.pulse import Delivery, FireReceipt
from rtloop.model.status import UnitStatus

STANDBY, ARMED, READY, NO_COIL, NOTHING = 0x89, 0x8A, 0x8C, 0x84, 0x88
REPLY_S = 0.01


class Said:
    """Stands where the port to a unit stands: answers what ``instr`` and the fields say, or fails.

    ``fails``: what a command raises, each once, oldest first. ``doing``: called while the command is answered.
    """

    def __init__(self, clock: SteppedClock) -> None:
        self.exchange = self
        self.clock = clock
        self.log: list[tuple[str, float]] = []
        self.instr = STANDBY
        self.obeys = True
        self.fails: dict[str, list[Exception]] = {}
        self.doing: dict[str, Callable[[], object]] = {}
        self.power_pct_mso: int | None = 40
        self.temp_c = 22.5
        self.held: Held | None = None
        self.running: int | None = None
        self.wrong = ""
        self.modes: list[bool] = []  # what ``look`` was told
        self.numbers: list[bool] = []
        self.quiet, self.answers_ea, self.reply_s = 0, True, 0.0

    def _note(self, name: str) -> None:
        self.log.append((name, self.clock.now_s()))
        if self.fails.get(name):
            raise self.fails[name].pop(0)

    def _say(self, name: str, **fields: Any) -> Reply:
        sent_s = self.clock.now_s()
        try:
            self._note(name)
        finally:
            self.clock.advance(REPLY_S)
            self.doing.get(name, lambda: None)()
        return Reply(
            instr=self.instr, t_sent_s=sent_s, t_s=self.clock.now_s(), rapid=self.running, held=self.held,
            **fields,
        )  # fmt: skip

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.log]

    def cut(self) -> None:
        self._note("EA")
        if self.obeys:
            self.instr = STANDBY

    def hear(self) -> None:
        self.quiet += 1
        if not self.answers_ea:
            raise Silent("no word from the unit after EA", written=True)

    def look(self, *, mode: bool = False, numbers: bool = False) -> Reply:
        self.modes.append(mode)
        self.numbers.append(numbers)
        return self._say("look", **({"power_pct_mso": self.power_pct_mso} if numbers else {}))

    def take_control(self) -> Reply:
        return self._say("control")

    def parameters(self) -> Reply:
        return self._say("power", power_pct_mso=self.power_pct_mso)

    def temperature(self) -> Reply:
        return self._say("temperature", coil_temp_c=self.temp_c)

    def release(self) -> None:
        self._note("release")

    def close(self) -> None:
        self._note("close")

    def set_setting(self, setting: object) -> None:
        self._note(f"set {setting}")

    def differs(self, reply: Reply, setting: object) -> str:
        return self.wrong


class StopLine:
    """A STOP line that remembers what was asked of it, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def assert_stop(self) -> bool:
        self.asked.append("stop")
        return True

    def release(self) -> None:
        self.asked.append("release")

    def close(self) -> None:
        self.asked.append("close")


@dataclass
class Run:
    """Stands where a train under way stands."""

    was_cut: bool = False
    ended: bool = False
    delivery: Delivery = Delivery.DELIVERED
    every_s: float = 0.07
    failed: str = ""
    cut_s: float = math.nan
    untold: bool = False
    train: object = "the train"
    t_sent_s: float = -math.inf

    def __post_init__(self) -> None:
        self.words: list[tuple[bool, float, float]] = []
        self.standbys: list[bool] = []
        self.numbers: list[tuple[int, str]] = []

    def cut(self, t_s: float) -> None:
        self.cut_s = t_s

    def fail(self, why: str) -> None:
        self.failed = why

    def told(self, most: int, wrong: str) -> None:
        self.untold = False
        self.numbers.append((most, wrong))

    def seen(
        self, *, running: bool, t_asked_s: float, t_reply_s: float, standby: bool, late_s: float
    ) -> None:
        self.words.append((running, t_asked_s, t_reply_s))
        self.standbys.append(standby)
        self.ended = self.ended or not running

    def over(self, now_s: float) -> bool:
        return self.ended

    def look_every_s(self, now_s: float, keep_s: float) -> float:
        return self.every_s * keep_s / 0.15

    def receipt(self, status: UnitStatus | None) -> FireReceipt:
        return FireReceipt(
            delivery=self.delivery, t_sent_s=1.0, t_reply_s=None, status=status, reason="why it is"
        )


class Nothing:
    """A line on which nothing goes: the unit of the desk has none."""

    in_waiting = 0

    def read(self, size: int = 1, /) -> bytes:
        return b""

    def write(self, data: bytes, /) -> int:
        raise Lost("no line", written=False)


class Desk:
    """A watch, its unit, its board; the engine lives unless a test says otherwise."""

    def __init__(self, board: Board, clock: SteppedClock, facts: UnitFacts) -> None:
        self.board, self.clock = board, clock
        self.parent_lives = True
        self.waited = 0
        self.watch = UnitWatch(
            line=Nothing(), facts=facts, board=board, clock=clock, unlock_code="1-2",
            parent_alive=lambda: self.parent_lives, while_waiting=self._waited,
        )  # type: ignore[arg-type]  # fmt: skip
        self.port = self.watch.unit  # its own, which has no line
        self.unit = Said(clock)
        self.watch.unit = self.unit  # type: ignore[assignment]
        self.stop_line = StopLine()

    def _waited(self) -> None:
        self.waited += 1

    @property
    def now_s(self) -> float:
        return self.clock.now_s()

    def beat(self, age_ns: int = 0) -> None:
        """The engine's last sign of life is so old."""
        self.board["beat_engine"] = self.board.now_ns() - age_ns

    def on(self, dt_s: float) -> None:
        """Time passes and the engine lives."""
        self.clock.advance(dt_s)
        self.beat()

    def says(self, instr: int) -> UnitStatus:
        """The unit is so, and the watch knows it."""
        self.unit.instr = instr
        self.watch.status = UnitStatus.from_instr(instr, t_s=self.now_s)
        return self.watch.status

    def armed(self, instr: int = READY) -> None:
        """Armed by the watch, and known to be so."""
        self.says(instr)
        self.watch.armed = True

    def stepped(self) -> list[str]:
        """The commands of one step."""
        before = len(self.unit.log)
        self.watch.step()
        return self.unit.names[before:]


@contextmanager
def desk(
    tmp_path: Path, *, model: str = "200", opened: bool = True, start_s: float = 1000.0, asked: int = 0
) -> Iterator[Desk]:
    """``asked``: disarms asked before the watch was made."""
    clock = SteppedClock(start_s)
    with Board.create(tmp_path / "board", clock=clock) as board:
        board["disarm_asked"] = asked
        made = Desk(board, clock, facts_of(model))
        made.beat()
        if opened:
            made.watch.opened()
        yield made
