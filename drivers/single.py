"""Owns the look right after a single pulse: whether the unit was set to give more than one; owns no pulse and no EA.

A Rapid² that somebody sets to trains at its panel, after it was last looked at, gives a whole train on one EH.
"""

from __future__ import annotations

import math

from drivers.magstim.units import MOST_PULSES
from drivers.trouble import Cut, LineTrouble, Lost
from drivers.watch import UnitWatch


def found_in_trains(watch: UnitWatch) -> str:
    """What the unit says it gives instead of single pulses; "" when it says nothing of it.

    A look that fails leaves the pulse as it was acknowledged, and trips: the unit is armed.
    """
    try:
        reply = watch.unit.look(mode=True)
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
            return max(1, held.n_pulses, math.ceil(held.frequency_hz * held.duration_s))
    return MOST_PULSES
