"""Owns what is known of a train under way and what was given of it in the end; owns no exchange with the unit.

One ``EH`` starts the whole train. Whether ``EA`` stops it is not documented, so a train that was cut short is
told by two bounds: what had surely been given when the unit last said that it runs, and all of it (less only
where commissioning saw that EA stops it on this unit). Nothing here is better than the unit's own word.
"""

from __future__ import annotations

import math

from rtloop.model.pulse import Delivery, FireReceipt, Train
from rtloop.model.status import UnitStatus

START_S = 0.05  # the first pulse comes at the latest this long after the command was handed to the line
NEAR_END_S = 0.12
LOOK_NEAR_END_S = 0.02
EA_TAKES_S = 0.01
GIVE_UP_S = 0.2  # after its end: a unit that still says it runs, or says nothing


class TrainRun:
    """A train from the command that may have started it. Times in s.

    Parameters
    ----------
    t_sent_s : when EH was handed to the line; the first pulse is not before
    acknowledged : whether the unit confirmed the command
    stops : whether EA is known to stop a train on this unit
    """

    def __init__(
        self, train: Train, *, power_pct_mso: int, t_sent_s: float, t_reply_s: float | None, stops: bool
    ) -> None:
        self.train, self.power_pct_mso = train, power_pct_mso
        self.t_sent_s, self._t_reply_s, self._stops = t_sent_s, t_reply_s, stops
        self.acknowledged = t_reply_s is not None
        self.ends_s = t_sent_s + START_S + train.duration_s
        self.gives_up_s = self.ends_s + GIVE_UP_S
        self.ended_s: float | None = None  # by the unit's word or, for want of it, by the clock
        self._last_on_s: float | None = None
        self._off_s: float | None = None
        self._cut_s: float | None = None
        self._why = ""

    @property
    def was_cut(self) -> bool:
        """Whether EA was written while it may have run."""
        return self._cut_s is not None

    @property
    def natural_end_s(self) -> float:
        """The earliest instant at which its last pulse can have been given."""
        return self.t_sent_s + self.train.last_pulse_after_s

    def look_every_s(self, now_s: float, keep_s: float) -> float:
        """How soon the unit should be asked again: closely around the end, else as the keep-alive wants."""
        if now_s >= self.natural_end_s - NEAR_END_S:
            return LOOK_NEAR_END_S
        return max(LOOK_NEAR_END_S, min(keep_s, self.natural_end_s - NEAR_END_S - now_s))

    def cut(self, t_s: float) -> None:
        """EA was written."""
        if self._cut_s is None and self.ended_s is None:
            self._cut_s = t_s

    def fail(self, why: str) -> None:
        """The unit cannot be asked any more: the train is over when it should be."""
        self._why = self._why or why

    def seen(self, *, running: bool, t_asked_s: float, t_reply_s: float) -> None:
        """The unit said so between these instants."""
        if self.ended_s is not None:
            return
        if running:
            self._last_on_s = t_asked_s
        else:
            self._off_s = self.ended_s = t_reply_s

    def over(self, now_s: float) -> bool:
        """Whether nothing more will be learned of it."""
        if self.ended_s is None and (now_s >= self.gives_up_s or (self._why and now_s >= self.ends_s)):
            self.ended_s = now_s
        return self.ended_s is not None

    def _given_by(self, t_s: float) -> int:
        """Pulses surely given by then, if the train ran until then."""
        since_s = t_s - self.t_sent_s - START_S
        return 0 if since_s < 0 else min(self.train.n_pulses, int(since_s * self.train.frequency_hz) + 1)

    def _given_at_most(self, t_s: float) -> int:
        since_s = max(0.0, t_s - self.t_sent_s)
        return min(self.train.n_pulses, math.ceil(since_s * self.train.frequency_hz) + 1)

    @property
    def _ran_out(self) -> bool:
        """The unit's "train running" went off when it should: seen on shortly before, or too short to be seen."""
        if self._off_s is None or not self._off_s >= self.natural_end_s:
            return False
        if self._cut_s is not None and self._cut_s < self.ends_s:  # unless it was seen to run on after EA
            return self._last_on_s is not None and self._last_on_s > self._cut_s + EA_TAKES_S and self._recent
        if self._last_on_s is None:
            return self.acknowledged and self.train.last_pulse_after_s < NEAR_END_S
        return self._recent

    @property
    def _recent(self) -> bool:
        return self._last_on_s is not None and self._last_on_s >= self.natural_end_s - 2 * NEAR_END_S

    def receipt(self, status: UnitStatus | None) -> FireReceipt:
        """What was given: equal bounds where it ran to its end, else what is certain."""
        n = self.train.n_pulses
        if self._ran_out:
            least, most, why = n, n, ""
        else:
            least = 0 if self._last_on_s is None else self._given_by(self._last_on_s)
            stopped = self._stops and self._cut_s is not None and self._off_s is not None
            most = self._given_at_most(self._off_s) if stopped and self._off_s is not None else n
            least = min(least, most)
            why = self._words()
        return FireReceipt(
            delivery=Delivery.DELIVERED if least == most else Delivery.UNCERTAIN, t_sent_s=self.t_sent_s,
            t_reply_s=self._t_reply_s, status=status, reason=why, pulses_min=least, pulses_max=most,
        )  # fmt: skip

    def _words(self) -> str:
        after_s = (self.ended_s or self.ends_s) - self.t_sent_s
        if self._why:
            return f"the train cannot be followed: {self._why}"
        if self._off_s is None:
            return f"the unit still says that the train runs, {after_s:.2f} s after it began"
        how = "EA was sent and " if self._cut_s is not None else ""
        return f"{how}the unit says that no train runs, {after_s:.2f} s after its start of {self.train.duration_s:g} s"
