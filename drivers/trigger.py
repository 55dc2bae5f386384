"""Owns the trigger line, another way to fire: one edge on RTS, or by a TTL byte on a second port; owns no permit.

An edge cannot be taken back and nobody acknowledges it, so whoever fires by this line must see in the unit's own
status byte that the pulse came. A rising edge fires; the line rests low. What may raise it unasked:

- opening a port: operating systems raise RTS and DTR before pyserial can lower them. So the port is opened only
  while the unit itself says standby, and the unit is asked again afterwards;
- closing, a crash, unplugging: all of them let the line fall, and a falling edge fires nothing. An output box that
  keeps its last byte when its program dies stays as it was: high only if the program died within a pulse;
- the unit's own port: opened before anybody could ask the unit, so a trigger on its RTS is refused.

A unit set to fire on falling edges must not be connected. None of this was tried on a real cable.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import serial

from drivers.magstim.line import PortLock
from drivers.trouble import LineTrouble, Lost, UnitProblem
from rtloop.clock import Clock
from rtloop.errors import NotReady, ValidationProblem
from rtloop.model.status import Fault, UnitStatus

WRITE_TIMEOUT_S = 0.02
EDGE_DEADLINE_S = 0.02  # longest time for the operating system to set the level
LONGEST_HIGH_S = 0.1  # a line that stays high longer is in trouble
STANDBY_FRESH_S = 1.0
SETTLE_S = 0.05  # after opening: a unit that took the edge would show it by then

MakePort = Callable[[str], Any]
WaitUntil = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class OutputSetting:
    """Where an output line is: ``by`` RTS of ``port``, or by a byte to a box that sets its output to it.

    Raises ValidationProblem with everything that is wrong.
    """

    port: str
    by: Literal["rts", "byte"] = "rts"
    high_byte: int = 0x01
    low_byte: int = 0x00
    baudrate: int = 115200

    def __post_init__(self) -> None:
        wrong = []
        if not isinstance(self.port, str) or not self.port:
            wrong.append(f"port must be the name of a serial port, not {self.port!r}")
        elif self.by == "rts" and "://" in self.port:
            wrong.append(f"{self.port} has no RTS pin")
        if self.by not in ("rts", "byte"):
            wrong.append(f'by must be "rts" or "byte", not {self.by!r}')
        for name, value in (("high_byte", self.high_byte), ("low_byte", self.low_byte)):
            if not (type(value) is int and 0 <= value <= 255):
                wrong.append(f"{name} must be a whole number of 0 to 255, not {value!r}")
        if self.high_byte == self.low_byte:
            wrong.append("high_byte and low_byte must differ")
        if not (type(self.baudrate) is int and 9600 <= self.baudrate <= 4_000_000):
            wrong.append(f"baudrate must be a whole number of 9600 to 4000000, not {self.baudrate!r}")
        if wrong:
            raise ValidationProblem("the setting of an output line is wrong", found="; ".join(wrong))


def closed_port(name: str) -> Any:
    """A pyserial port that is not open yet, so that its lines can be set low before it is."""
    return serial.serial_for_url(name, do_not_open=True)


class OutputLine:
    """One output on a port of its own, owned by name and exclusively. Low from opening to closing unless ``set``.

    DTR is held low as well. Raises NotReady when the port cannot be opened; nothing is left open then.
    """

    def __init__(self, setting: OutputSetting, *, make_port: MakePort = closed_port) -> None:
        self.setting = setting
        self._lock = PortLock(setting.port)
        self._lock.take()
        try:
            self._port = make_port(setting.port)
            self._port.baudrate = setting.baudrate
            self._port.timeout, self._port.write_timeout = 0, WRITE_TIMEOUT_S
            if sys.platform != "win32" and "://" not in setting.port:
                self._port.exclusive = True
            self._port.dtr = self._port.rts = False
            self._port.open()
            self.set(False)
        except (OSError, ValueError, LineTrouble) as err:
            self.close()
            raise NotReady(
                f"cannot open the output line {setting.port}", found=str(err),
                expected="a serial port with RTS" if setting.by == "rts" else "the port of an output box",
                todo="check the cable, the port's name in the site file, and your right to use it",
            ) from err  # fmt: skip
        except BaseException:
            self.close()
            raise

    def set(self, high: bool) -> None:
        """Set the level at once; raises Lost (written: it may have changed) when the port fails."""
        try:
            if self.setting.by == "rts":
                self._port.rts = high
            else:
                byte = bytes([self.setting.high_byte if high else self.setting.low_byte])
                n_written = self._port.write(byte)
                if n_written is not None and n_written != 1:
                    raise OSError(f"{n_written} bytes written")
        except (OSError, TypeError) as err:  # pyserial: TypeError when the descriptor vanished under it
            raise Lost(f"the output line {self.setting.port} failed: {err}", written=True) from err

    @property
    def wire_s(self) -> float:
        """From handing the level over to the level on the pin, as far as the port's own speed tells."""
        return 0.0 if self.setting.by == "rts" else 10.0 / self.setting.baudrate

    def close(self) -> None:
        """Close the port as it is; never raises, may be called twice. Closing lets RTS fall."""
        try:
            if hasattr(self, "_port"):
                with contextlib.suppress(OSError, TypeError):
                    self._port.close()
        finally:
            self._lock.release()


class TriggerLine:
    """Fires the unit by one rising edge. Made by ``open``; one thread uses it; nothing is ever tried again.

    After any trouble every further ``fire`` is refused with ``written=False``: open the line anew.
    """

    def __init__(
        self, output: OutputLine, clock: Clock, *, width_s: float, wait_until: WaitUntil | None = None
    ) -> None:
        if not 0.0005 <= width_s <= 0.05:
            raise ValidationProblem(
                "no such width of a trigger pulse", expected="0.5 to 50 ms", found=f"{width_s} s"
            )
        self._output, self._clock, self._width_s = output, clock, width_s
        self._wait_until = wait_until or clock.sleep_until
        self.trouble = ""  # why nothing more is fired by this line
        self._closed = False

    @classmethod
    def open(
        cls, setting: OutputSetting, *, unit_port: str, standby: Callable[[], UnitStatus], clock: Clock,
        width_s: float = 0.005, make_port: MakePort = closed_port, wait_until: WaitUntil | None = None,
    ) -> TriggerLine:  # fmt: skip
        """Open the line while the unit rests.

        Parameters
        ----------
        unit_port : the port on which the unit itself is spoken to; must be another one
        standby : asks the unit itself now, before and after opening; what it says must be standby, not armed
        width_s : how long the line stays high, 0.5 to 50 ms
        wait_until : lets time pass until then, also while the line is high (None: the clock's own sleep)

        Raises UnitProblem (UNIT_UNEXPECTED) when the unit is not in standby, NotReady when the port cannot be opened.
        """
        if PortLock(setting.port).path == PortLock(unit_port).path:  # by whatever names
            raise NotReady(
                f"the trigger line {setting.port} is the unit's own port", expected="a second port",
                todo="its RTS would rise before anybody could ask the unit whether it is armed",
            )  # fmt: skip
        _must_rest(standby(), clock, "the trigger line is not opened")
        output = OutputLine(setting, make_port=make_port)
        try:
            made = cls(output, clock, width_s=width_s, wait_until=wait_until)
            made._wait_until(clock.now_s() + SETTLE_S)
            _must_rest(standby(), clock, "the trigger line is closed again")
        except BaseException:
            output.close()
            raise
        return made

    def fire(self, *, not_after_s: float = math.inf) -> float:
        """One edge now; its instant, s: the latest at which it can have gone out. Returns with the line low again.

        ``not_after_s``: later than this nothing goes out. Raises LineTrouble: ``written`` is false when no edge can
        have gone out; when true the pulse may have been given (uncertain) and must be counted.
        """
        if self._closed or self.trouble:
            raise LineTrouble(f"no trigger: {self.trouble or 'the line is closed'}", written=False)
        before_s = self._clock.now_s()
        if not before_s < not_after_s:
            raise LineTrouble(
                f"no trigger: {1e3 * (before_s - not_after_s):.1f} ms after its deadline", written=False
            )
        try:
            self._output.set(True)
            edge_s = self._clock.now_s()
            self._wait_until(edge_s + self._width_s)
            self._output.set(False)
        except BaseException as err:
            self.trouble = str(err) or repr(err)
            with contextlib.suppress(LineTrouble):
                self._output.set(False)  # down is no second try: a falling edge fires nothing
            raise
        low_s = self._clock.now_s()
        if not edge_s - before_s <= EDGE_DEADLINE_S:
            self._fail(f"the edge took {1e3 * (edge_s - before_s):.1f} ms")
        if not edge_s <= not_after_s:
            self._fail(f"the edge came up to {1e3 * (edge_s - not_after_s):.1f} ms after its deadline")
        if not low_s - edge_s <= LONGEST_HIGH_S:
            self._fail(f"the line was high for {1e3 * (low_s - edge_s):.0f} ms")
        return edge_s + self._output.wire_s

    def _fail(self, words: str) -> None:
        self.trouble = words
        raise LineTrouble(f"trigger of unknown outcome: {words}", written=True)

    def close(self) -> None:
        """Low, then close; never raises. To be called after the unit has confirmed that it is disarmed."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(LineTrouble):
                self._output.set(False)
            self._output.close()


def _must_rest(status: UnitStatus, clock: Clock, what: str) -> None:
    age_s = status.age_s(clock.now_s())
    if not status.standby or status.may_discharge or not age_s <= STANDBY_FRESH_S:
        raise UnitProblem(
            Fault.UNIT_UNEXPECTED, f"{what}: the unit does not say that it rests", expected="standby, just now",
            found=f"{status} {age_s:.2f} s ago", todo="disarm first; opening may raise the line for an instant",
        )  # fmt: skip
