"""Owns the look right after a fire command: whether the unit was set to give more than was permitted; owns no pulse and no EA.

A Rapid² that somebody sets to trains at its panel, after it was last looked at, gives a whole train on one EH; a
BiStim² with a power B gives two pulses.
"""

from __future__ import annotations

from drivers.magstim.magpy_port import REPLY_DEADLINE_S, Reply
from drivers.magstim.units import MOST_PULSES
from drivers.trouble import Cut, LineTrouble, Lost
from drivers.watch import UnitWatch
from rtloop.ports import Permit

SOON_S = 0.2  # with the deadline of a fire command before it: silence is told within 0.5 s


def found_in_trains(watch: UnitWatch) -> str:
    """What the unit says it gives instead of single pulses; "" when it says nothing of it.

    One that something urgent cuts short is taken again after EA. A look that fails leaves the pulse as it was
    acknowledged, and trips: the unit is armed.
    """
    try:
        try:
            reply = _look(watch)
        except Cut:
            watch.after_ea()
            watch.unit.exchange.swallow(quiet_s=0.02, at_most_s=0.1)
            reply = _look(watch)
    except Cut:
        watch.after_ea()
    except Lost as err:
        watch.line_lost(err)
    except LineTrouble as err:
        watch.trip_with(err.fault, str(err))
    else:
        if reply.train_running:
            return "a train runs"
        return watch.unit.differs(reply, None)
    return ""


def _look(watch: UnitWatch) -> Reply:
    """The shortest that says it: a Rapid²'s second status byte, a BiStim²'s numbers; again where it may be of before."""

    def look() -> Reply:
        return watch.unit.look(mode=True, numbers=not watch.facts.capabilities.trains)

    reply = look()
    return look() if reply.late_s > 0 else reply


def most_after_trouble(watch: UnitWatch, permit: Permit) -> int | None:
    """The most given by a fire command of unknown outcome, after its EA, where that is more than permitted.

    None where the unit says so much of what was permitted, or nothing: then all that was permitted bounds it.
    """
    can = watch.facts.capabilities
    if watch.lost or not (can.trains or can.pairs):
        return None
    wanted, exchange = permit.train or permit.pair, watch.unit.exchange
    exchange.reply_s = SOON_S
    try:
        exchange.swallow(quiet_s=0.02, at_most_s=0.1)
        reply = _look(watch)
        wrong = (reply.train_running and wanted is None) or watch.unit.differs(reply, wanted)
        if not wrong and reply.held is None:
            wrong = watch.unit.differs(watch.unit.parameters(), wanted)
    except Cut:
        watch.after_ea()
    except Lost as err:
        watch.line_lost(err)
    except LineTrouble:
        pass
    else:
        return max(permit.n_pulses, most_given(watch)) if wrong else None
    finally:
        exchange.reply_s = REPLY_DEADLINE_S
    return None


def most_given(watch: UnitWatch) -> int:
    """The most pulses that one EH gives, as the unit is set; all that any train has where it does not say. After EA."""
    try:
        watch.unit.exchange.swallow(quiet_s=0.02, at_most_s=0.1)
        held = watch.unit.parameters().held
    except Cut:
        watch.after_ea()
    except Lost as err:
        watch.line_lost(err)
    except LineTrouble:
        pass
    else:
        if held is not None:
            return held.most_pulses
    return MOST_PULSES
