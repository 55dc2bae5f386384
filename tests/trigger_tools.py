"""Owns the desk on which trigger and STOP lines are tried: a port that records every edge, a unit that answers as told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drivers.magstim.line import PortLock
from drivers.stop_line import StopLine
from drivers.trigger import OutputSetting, TriggerLine
from rtloop.clock import SteppedClock
from rtloop.model.status import UnitStatus

STANDBY, ARMED, READY = 0x89, 0x8A, 0x8C
READ = "asked the unit"


class FakePort:
    """A serial port as an operating system treats it; ``story`` has every edge and byte in order.

    Opening raises RTS and DTR for an instant (unless ``rises_on_open`` is false), closing and a dead program let both fall,
    an unplugged adapter fails every call. A box told by bytes keeps its output.
    """

    def __init__(self, story: list[str], clock: SteppedClock) -> None:
        self.story, self.clock, self.rises_on_open = story, clock, True
        self.is_open = False
        self._wanted = {"rts": True, "dtr": True}  # pyserial's own defaults
        self.pin = {"rts": False, "dtr": False}
        self.box = 0
        self.fails_at = -1  # the n-th call from now that touches the pins
        self.slow_s = 0.0
        self.exclusive: bool | None = None
        self.baudrate, self.timeout, self.write_timeout = 9600, None, None
        self.refuses = False

    def _edge(self, pin: str, level: bool) -> None:
        if self.pin[pin] != level:
            self.pin[pin] = level
            self.story.append(f"{pin} {'up' if level else 'down'}")

    def _touch(self) -> None:
        self.clock.advance(self.slow_s)
        self.fails_at -= 1
        if self.fails_at == 0:
            self.story.append("error")
            raise OSError(5, "Input/output error")

    def _level(self, pin: str, level: bool) -> None:
        self._wanted[pin] = level
        if self.is_open:
            self._touch()
            self._edge(pin, level)

    rts = property(lambda self: self._wanted["rts"], lambda self, level: self._level("rts", level))
    dtr = property(lambda self: self._wanted["dtr"], lambda self, level: self._level("dtr", level))

    def open(self) -> None:
        if self.refuses:
            raise OSError(2, "No such file or directory")
        self.story.append("open")
        if self.rises_on_open:
            for pin in ("dtr", "rts"):
                self._edge(pin, True)
        self.is_open = True
        for pin in ("dtr", "rts"):
            self._edge(pin, self._wanted[pin])

    def write(self, data: bytes) -> int:
        self._touch()
        for byte in data:
            self.story.append(f"byte {byte}")
            self.box = byte
        return len(data)

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self.story.append("close")
            for pin in ("dtr", "rts"):
                self._edge(pin, False)

    crash = close  # what the operating system does for a program that is gone


class Desk:
    """A clock, one fake port, a unit that says what it is told to, and the story of all of them."""

    def __init__(self, name: str) -> None:
        self.clock = SteppedClock()
        self.story: list[str] = []
        self.port = FakePort(self.story, self.clock)
        self.made: list[TriggerLine | StopLine] = []
        self.name = name
        self.says = [STANDBY]
        self.age_s = 0.0

    def make_port(self, name: str) -> FakePort:
        assert name == self.name
        return self.port

    def standby(self) -> UnitStatus:
        self.story.append(READ)
        instr = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        return UnitStatus.from_instr(instr, t_s=self.clock.now_s() - self.age_s)

    def setting(self, by: str = "rts", **more: Any) -> OutputSetting:
        return OutputSetting(port=self.name, by=by, **more)  # type: ignore[arg-type]

    def trigger(self, by: str = "rts", **more: Any) -> TriggerLine:
        made = TriggerLine.open(
            self.setting(by), unit_port="the unit's", standby=self.standby, clock=self.clock,
            make_port=self.make_port, **more,
        )  # fmt: skip
        self.made.append(made)
        return made

    def stop(self, by: str = "rts", **more: Any) -> StopLine:
        made = StopLine(self.setting(by), clock=self.clock, make_port=self.make_port, **more)
        self.made.append(made)
        return made

    def close(self) -> None:
        self.port.fails_at, self.port.slow_s = -1, 0.0
        for made in self.made:
            made.close()

    def since(self, mark: int) -> list[str]:
        return self.story[mark:]

    def rises(self) -> int:
        return self.story.count("rts up")


@contextmanager
def output_desk(folder: Path) -> Iterator[Desk]:
    """A desk on a port of its own, whose lock does not stay."""
    made = Desk(str(folder / "ttyOUT"))
    yield made
    made.close()
    PortLock(made.name).path.unlink(missing_ok=True)
