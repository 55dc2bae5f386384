"""Owns how a discharge that we did not ask for is known: an armed unit goes from ready to busy. Owns no exchange and no trip.

Another program on the line, an edge on the trigger input, somebody at the panel: none of them tells us. The unit recharges.
"""

from __future__ import annotations

import math

from rtloop.model.status import UnitStatus

#: our own discharge shows as busy within this; it explains one such change, not two
SHOWS_WITHIN_S = 1.0
WORDS = "it was armed and ready and is busy: it discharged, or somebody set it, and nobody asked for it here"


class Unasked:
    """Follows the status bytes of one unit."""

    def __init__(self) -> None:
        self._was_ready = False
        self._fired_s = -math.inf  # our own discharge that has not shown yet

    def look(self, status: UnitStatus, *, ours: bool) -> str:
        """What the newest status byte says of a discharge that was not ours; "" when nothing.

        ``ours``: it may be busy by our own doing: a train is under way.
        """
        was_ready, self._was_ready = self._was_ready, status.ready and not ours
        if ours or status.ready or status.standby or not was_ready:
            return ""
        fired_s, self._fired_s = self._fired_s, -math.inf
        return "" if status.t_s - fired_s < SHOWS_WITHIN_S else WORDS

    def fired(self, now_s: float) -> None:
        """We fired, certainly or not."""
        self._fired_s = now_s

    def forget(self) -> None:
        """Something is set, or it is armed anew: what it said before says nothing."""
        self._was_ready = False
