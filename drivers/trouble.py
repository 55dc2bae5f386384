"""Owns the failures of a unit and its line, told with the fault they are; owns no reaction to them."""

from __future__ import annotations

from rtloop.errors import NotReady
from rtloop.model.status import Fault


class UnitProblem(NotReady):
    """The unit is silent, lost or in an unexpected state; ``fault`` says which, for the interlock."""

    def __init__(
        self, fault: Fault, what: str, *, expected: str = "", found: str = "", todo: str = ""
    ) -> None:
        self.fault = fault
        super().__init__(what, expected=expected, found=found, todo=todo)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.fault, self.what, self.expected, self.found, self.todo))


def _rebuild(fault: Fault, what: str, expected: str, found: str, todo: str) -> UnitProblem:
    return UnitProblem(fault, what, expected=expected, found=found, todo=todo)


class LineTrouble(Exception):
    """One exchange with the unit went wrong. ``written`` tells whether any byte may have reached the unit."""

    fault = Fault.UNIT_UNEXPECTED

    def __init__(self, words: str, *, written: bool) -> None:
        self.written = written
        super().__init__(words)


class Silent(LineTrouble):
    """No reply, or only a part of one, within the deadline."""

    fault = Fault.UNIT_SILENT


class Lost(LineTrouble):
    """The port itself failed."""

    fault = Fault.UNIT_LOST


class Garbled(LineTrouble):
    """A reply with a wrong check byte, of another command, or that cannot be read."""


class Refused(LineTrouble):
    """The unit answered that it will not: ``S`` (conflict with its state) or ``?`` (not understood; see ``MagpyPort.fire``)."""


class Cut(LineTrouble):
    """The wait for a reply was cut short by something urgent; EA is on the line."""
