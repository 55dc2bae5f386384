"""Owns the optional output to the unit's hardware STOP input; owns no decision to stop and no byte to the unit.

The line goes through an opto-coupler to the STOP input (pin 16 of the 26-way connector; operator's manuals). It adds
to ``EA`` and to the person's own switch, and replaces neither. Which level stops is wired, so it is a setting:

- ``low`` (the choice to make): the opto-coupler must be lit for the unit to work. A program that dies, a cable or an
  adapter that is pulled out let RTS fall, and that stops. Opening the port may light it for an instant, with the
  unit as it was.
- ``high``: stops only while a living program says so; a dead one does not stop. Only where the wiring leaves no choice.

An output box that is told by a byte keeps its last level when its program dies: it never fails to the safe side, and
``fails_safe`` says so. Never tried on a real unit; `rtloop commission` is the place to see that it stops.
"""

from __future__ import annotations

from typing import Literal

from drivers.trigger import MakePort, OutputLine, OutputSetting, closed_port
from drivers.trouble import LineTrouble
from rtloop.clock import Clock
from rtloop.errors import NotReady, ValidationProblem

ANSWER_S = 0.05  # longest time for the operating system to set the level


class StopLine:
    """The STOP output. Stops from the moment it is opened until ``release``; one thread uses it.

    Parameters
    ----------
    setting : the port; must be another one than the unit's and the trigger's
    stop_level : the level at which the unit is stopped

    Raises NotReady when the port cannot be opened, ValidationProblem for another level.
    """

    stopping: bool  # as last set without an error

    def __init__(
        self, setting: OutputSetting, *, clock: Clock, stop_level: Literal["low", "high"] = "low",
        make_port: MakePort = closed_port,
    ) -> None:  # fmt: skip
        if stop_level not in ("low", "high"):
            raise ValidationProblem(
                "no such stop level",
                expected='"low" (a dead program stops) or "high"',
                found=repr(stop_level),
            )
        self._stop_is_high, self._clock = stop_level == "high", clock
        self._output = OutputLine(setting, make_port=make_port)
        self._closed = False
        self.trouble = ""
        if not self.assert_stop():
            self._output.close()
            raise NotReady(
                "the STOP line does not work", found=self.trouble, todo="check the port of the STOP line"
            )

    @property
    def fails_safe(self) -> bool:
        """Whether a dead program, a pulled cable or adapter stops the unit."""
        return not self._stop_is_high and self._output.setting.by == "rts"

    def assert_stop(self) -> bool:
        """Stop now; False when the line failed (``trouble`` says how). Never raises: it stands beside ``EA``.

        May be called again and again, from every state: the level is written each time.
        """
        before_s = self._clock.now_s()
        try:
            self._output.set(self._stop_is_high)
        except LineTrouble as err:
            self.trouble, self.stopping = str(err), False
            return False
        self.stopping = True
        if not (took_s := self._clock.now_s() - before_s) <= ANSWER_S:
            self.trouble = f"the STOP line took {1e3 * took_s:.0f} ms"
            return False
        return True

    def release(self) -> None:
        """Let the unit work: on the way to arming, in standby, without a trip. LineTrouble when the line is in trouble."""
        if self._closed or self.trouble:
            raise LineTrouble(
                f"the STOP line is not released: {self.trouble or 'it is closed'}", written=False
            )
        self.stopping = False
        try:
            self._output.set(not self._stop_is_high)
        except LineTrouble as err:
            self.trouble = str(err)
            raise

    def close(self) -> None:
        """Stop, then close; never raises. Where high stops, closing takes the stop away again."""
        if not self._closed:
            self._closed = True
            self.assert_stop()
            self._output.close()
