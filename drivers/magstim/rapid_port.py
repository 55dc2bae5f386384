"""Owns what is different in the exchange with a Rapid²: version, unlock code, trains; owns no rule about them.

By MagPy: control, power, arming, firing, disarming, temperature, parameters. By packets of our own, where
MagPy is wrong (design notes, section 2): version (it drops a character unread), train settings
(``setNPulses`` sends seconds for tenths, ``rTMSMode`` trusts what it believes), keep-alive (``poke``),
error code. Reply lengths follow the version, which is read before anything else is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from drivers.magstim.line import Line
from drivers.magstim.magpy_port import MagpyPort, Reply, UnitRapid
from drivers.trouble import Garbled, Refused
from rtloop.clock import Clock
from rtloop.model.pulse import Pair, Train

NEWEST = 20  # a higher first number is none


class RapidPort(MagpyPort):
    """A Rapid² on a line. ``unlock_code``: from software 9 the unit gives control only to who knows its code."""

    def __init__(
        self, line: Line, clock: Clock, urgent: Callable[[], bool], *, unlock_code: str = ""
    ) -> None:
        self._unlock_code = unlock_code
        self.version: tuple[int, ...] = ()
        self._from_9 = False  # whether its software is that new
        super().__init__(line, clock, urgent)

    def _made(self) -> Any:
        return UnitRapid(self.exchange, unlockCode=self._unlock_code)

    def identify(self) -> tuple[int, ...]:
        """``ND``: the version; the text may follow a status byte. Raises LineTrouble."""
        raw = self.own(b"ND", None)
        found = re.search(rb"(\d+)(?:\.\d+)+", raw[:-1])  # not in the check byte
        if found is None or not 0 < (first := int(found[1])) <= NEWEST:  # a status byte may look like a digit
            raise Garbled(f"no version in {raw!r}", written=True)
        self.version, self._from_9 = tuple(map(int, found[0].split(b"."))), first >= 9
        self._unit._version = self.version
        self._unit._parameterReturnBytes = 24 if self._from_9 else 22 if first >= 7 else 21
        return self.version

    def look(self, *, mode: bool = False, numbers: bool = False) -> Reply:
        """From software 9 ``x@``, else ``Q@``; with ``mode`` always with the second status byte (below 9 ``\\@``, 33 ms in all).

        ``numbers``: with ``\\@`` in any case (from software 9 38 ms in all).
        """
        if self._from_9:
            try:
                said = self.own_rapid(b"x@", 6)
            except Refused:  # control was lost in a silence
                said = self.take_control()
            return self.parameters() if numbers else said
        control = self.take_control()
        return self.parameters() if mode or numbers else control

    def set_setting(self, setting: Train | Pair | None) -> None:
        """``[`` 0 for single pulses; for a train ``[`` into train mode, ``B`` frequency, ``[`` duration, ``D`` pulses.

        In tenths. In this order what a unit may recompute by itself from the setting before is never out of range.
        """
        if isinstance(setting, Pair):
            raise Refused("no pairs on a Rapid²", written=False)
        digits = 4 if self._from_9 else 3
        if setting is None:
            self.own_rapid(b"[%0*d" % (digits, 0), 4)
            return
        self.own_rapid(b"[%0*d" % (digits, 10), 4)
        self.own_rapid(b"B%04d" % round(setting.frequency_hz * 10), 4)
        self.own_rapid(b"[%0*d" % (digits, round(setting.duration_s * 10)), 4)
        self.own_rapid(b"D%0*d" % (5 if self._from_9 else 4, setting.n_pulses), 4)

    def differs(self, reply: Reply, setting: Train | Pair | None) -> str:
        """Mode, and in a reply to ``\\`` frequency, pulses and duration as well."""
        if reply.single_pulses is not None and reply.single_pulses != (setting is None):
            return f"{'single-pulse' if reply.single_pulses else 'train'} mode"
        held = reply.held
        if held is None or not isinstance(setting, Train):
            return ""
        same = (
            round(10 * held.frequency_hz) == round(10 * setting.frequency_hz)
            and held.n_pulses == setting.n_pulses
            and round(10 * held.duration_s) == round(10 * setting.duration_s)
        )
        return "" if same else f"{held.n_pulses} pulses at {held.frequency_hz:g} Hz in {held.duration_s:g} s"

    def error_code(self) -> str:
        """``I@``: what the unit says of its error."""
        return self.own(b"I@", 6)[2:-1].decode("latin-1")
