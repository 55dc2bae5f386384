"""Owns the look right after a fire command: whether the unit was set to give more than was permitted; owns no pulse.

A Rapid² that somebody sets to trains at its panel, after it was last looked at, gives a whole train on one EH; a
BiStim² with a power B gives two pulses. A question whose answer was damaged or cut short is asked again.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.magstim.magpy_port import Reply
from drivers.magstim.units import MOST_PULSES
from drivers.trouble import Cut, LineTrouble, Lost
from drivers.watch import UnitWatch
from rtloop.ports import Permit

SOON_S = 0.23  # for the answer to EA: with the deadline of a reply before it, silence is told within 0.5 s
TRIES = 3
TRIES_S = 0.5  # no further try begins later
UNREAD = "nothing that could be read"


def found_in_trains(watch: UnitWatch) -> str:
    """What the unit says it gives instead of single pulses, or ``UNREAD``; "" for single pulses."""
    reply = _heard(watch, lambda: _look(watch))
    if reply is None:
        return UNREAD
    return "a train runs" if reply.train_running else watch.unit.differs(reply, None)


def most_after_trouble(watch: UnitWatch, permit: Permit) -> int | None:
    """The most given by a fire command of unknown outcome, after its EA, where that is more than permitted.

    None where the unit says so much of what was permitted, or nothing: then all that was permitted bounds it.
    """
    can = watch.facts.capabilities
    if watch.lost or not (can.trains or can.pairs) or not _quiet(watch):
        return None
    wanted = permit.train or permit.pair
    reply = _heard(watch, lambda: _look(watch))
    if reply is None:
        return None
    wrong = bool(reply.train_running and wanted is None) or bool(watch.unit.differs(reply, wanted))
    if not wrong and reply.held is None:
        numbers = _heard(watch, watch.unit.parameters)
        wrong = numbers is not None and bool(watch.unit.differs(numbers, wanted))
    return max(permit.n_pulses, most_given(watch)) if wrong else None


def most_given(watch: UnitWatch) -> int:
    """The most pulses that one EH gives, as the unit is set; all that any train has where it does not say. After EA."""
    reply = _heard(watch, watch.unit.parameters) if _quiet(watch) else None
    return MOST_PULSES if reply is None or reply.held is None else reply.held.most_pulses


def _look(watch: UnitWatch) -> Reply:
    """The shortest that says it: a Rapid²'s second status byte, a BiStim²'s numbers; again where it may be of before."""

    def look() -> Reply:
        return watch.unit.look(mode=True, numbers=not watch.facts.capabilities.trains)

    reply = look()
    return look() if reply.late_s > 0 else reply


def _heard(watch: UnitWatch, ask: Callable[[], Reply]) -> Reply | None:
    """The answer, asked for again where it failed, after EA each time; None where the unit does not give one."""
    until_s = watch.clock.now_s() + TRIES_S
    for _ in range(TRIES):
        try:
            return ask()
        except Cut:
            watch.after_ea()
        except Lost as err:
            watch.line_lost(err)
        except LineTrouble as err:
            watch.trip_with(err.fault, str(err))
        if watch.lost or not watch.clock.now_s() < until_s or not _quiet(watch):
            break
    return None


def _quiet(watch: UnitWatch) -> bool:
    """The line is quiet after EA; false where nothing at all came."""
    try:
        return watch.unit.exchange.swallow(answer_s=SOON_S)
    except Lost as err:
        watch.line_lost(err)
        return False
