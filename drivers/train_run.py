"""Owns what is known of a train under way and what was given of it in the end; owns no exchange with the unit.

One ``EH`` starts the whole train. Whether ``EA`` stops it is not documented, so a train that was cut short is
told by two bounds: what had surely been given when the unit last said that it runs, and all of it (less only
where commissioning saw that EA stops it on this unit). A train that is not the one permitted, or goes on past its
end, is charged up to what the unit's numbers say, else as the longest. Nothing here is better than the unit's own word.
"""

from __future__ import annotations

import math

from drivers.magstim.magpy_port import Reply
from drivers.magstim.units import MOST_PULSES
from rtloop.model.pulse import Delivery, FireReceipt, Train
from rtloop.model.status import UnitStatus

START_S = 0.05  # the first pulse comes at the latest this long after the command was handed to the line
NEAR_END_S = 0.12
LOOK_NEAR_END_S = 0.02
GIVE_UP_S = 0.2  # after its end: a unit that still says it runs, or says nothing
STOPS_LATE_S = 1.0  # one that still says it runs may go on so long


class TrainRun:
    """A train from the command that may have started it. Times in s.

    Parameters
    ----------
    t_sent_s : when EH was handed to the line; the first pulse is not before
    t_reply_s : when the unit confirmed the command; None when it did not
    stops : whether EA is known to stop a train on this unit
    """

    def __init__(self, train: Train, *, t_sent_s: float, t_reply_s: float | None, stops: bool) -> None:
        self.train = train
        self.t_sent_s, self._t_reply_s, self._stops = t_sent_s, t_reply_s, stops
        self.ends_s = t_sent_s + START_S + train.duration_s
        self._gives_up_s = self.ends_s + GIVE_UP_S
        self.ended_s = math.inf  # by the unit's word (``_off``) or, for want of it, by the clock
        self._off = self._standby = False
        self._off_s = -math.inf  # the instant of that word, or of the question that it may answer late
        self._last_on_s = -math.inf  # asked then, the unit said that it runs
        self._cut_s = math.inf
        self._took_s = 0.0  # the longest that the unit took to answer
        self._why = self._wrong = ""
        self.untold = True  # its own numbers: what it gives by them (``told``)
        self._most = train.n_pulses

    @property
    def was_cut(self) -> bool:
        """Whether EA was written while it may have run."""
        return self._cut_s < math.inf

    @property
    def natural_end_s(self) -> float:
        """The earliest instant at which its last pulse can have been given."""
        return self.t_sent_s + self.train.last_pulse_after_s

    def look_every_s(self, now_s: float, keep_s: float) -> float:
        """How soon the unit should be asked again: closely around the end, else as the keep-alive wants."""
        return max(LOOK_NEAR_END_S, min(keep_s, self.natural_end_s - NEAR_END_S - now_s))

    def cut(self, t_s: float) -> None:
        """EA was written."""
        if self.ended_s == math.inf:
            self._cut_s = min(self._cut_s, t_s)

    def fail(self, why: str) -> None:
        """The unit cannot be asked any more: the train is over when it should be."""
        self._why = self._why or why
        self._gives_up_s = self.ends_s

    def told(self, most: int, wrong: str) -> None:
        """The unit's own numbers, read after the command: it gives at most so many; ``wrong``: not what was permitted."""
        self.untold, self._most = False, max(self._most, most)
        self._wrong = self._wrong or wrong

    def seen(
        self, *, running: bool, t_asked_s: float, t_reply_s: float, standby: bool = False, late_s: float = 0.0
    ) -> None:
        """The unit said so between these instants, or so long before. A train that ran to its end leaves the unit armed."""
        if self.ended_s < math.inf:
            return
        self._took_s = max(self._took_s, t_reply_s - t_asked_s)
        if running:
            self._last_on_s = t_asked_s - late_s
        else:
            self._off, self.ended_s, self._standby = True, t_reply_s, standby
            self._off_s = t_reply_s - late_s

    def over(self, now_s: float) -> bool:
        """Whether nothing more will be learned of it."""
        if now_s >= self._gives_up_s:
            self.ended_s = min(self.ended_s, now_s)
        return self.ended_s < math.inf

    def _given_by(self, t_s: float) -> int:
        """Pulses surely given by then, if the train ran until then."""
        since_s = t_s - self.t_sent_s - START_S
        return 0 if since_s < 0 else min(self.train.n_pulses, int(since_s * self.train.frequency_hz) + 1)

    def _given_at_most(self, t_s: float) -> int:
        return min(self.train.n_pulses, math.ceil((t_s - self.t_sent_s) * self.train.frequency_hz) + 1)

    def _goes_on(self) -> int:
        """Pulses at most, if it runs ``STOPS_LATE_S`` longer than it was seen to run."""
        return math.ceil((self.ended_s + STOPS_LATE_S - self.t_sent_s) * self.train.frequency_hz) + 1

    @property
    def _ran_out(self) -> bool:
        """The unit's "train running" went off when it should: seen on shortly before, or too short to be seen."""
        in_time = self._off_s >= self.natural_end_s
        recent = self._last_on_s >= self.natural_end_s - 2 * NEAR_END_S - self._took_s
        if (
            self._standby or self._cut_s < self.ends_s
        ):  # EA may reach the unit late, its own protection unasked
            return self._off and self._last_on_s >= self.natural_end_s + START_S
        short = (
            self._t_reply_s is not None and self.natural_end_s < self._t_reply_s + NEAR_END_S + self._took_s
        )
        return in_time and (recent or short)

    def receipt(self, status: UnitStatus | None) -> FireReceipt:
        """What was given, once it is ``over``: all where it ran to its end, else uncertain, and what is certain.

        A unit that says "train running" long after the end is uncertain though all was given: what it does is unknown.
        """
        least = most = self.train.n_pulses
        permitted = not (self.untold or self._wrong)  # by the unit's own numbers, read after the command
        if not (ran_out := permitted and self._ran_out):
            if self._stops and self.was_cut:
                most = self._given_at_most(self.ended_s)  # all of them, where the end is the clock's only
            least = min(self._given_by(self._last_on_s), most)
            endless = self._last_on_s >= self.ends_s or (
                self.untold and not self._off and self._last_on_s > -math.inf
            )
            if self._wrong or endless:  # another train than was permitted, or one whose end was never seen
                most = max(self._most, self._goes_on()) if endless else self._most
                most = MOST_PULSES if self.untold else most
                least = 0 if self._wrong else least
        return FireReceipt(
            delivery=Delivery.DELIVERED if ran_out else Delivery.UNCERTAIN, t_sent_s=self.t_sent_s,
            t_reply_s=self._t_reply_s, status=status, reason="" if ran_out else self._words(),
            pulses_min=least, pulses_max=most,
        )  # fmt: skip

    def _words(self) -> str:
        after_s = self.ended_s - self.t_sent_s
        if self._wrong:
            return f"the unit gives another train: {self._wrong}"
        if self._why:
            return f"the train cannot be followed: {self._why}"
        if not self._off:
            return f"the unit still says that the train runs, {after_s:.2f} s after it began"
        if self.untold and not self.was_cut:
            return "the unit did not tell which train it gave"
        how = "EA was sent and " if self.was_cut else "it fell to standby and " if self._standby else ""
        return f"{how}the unit says that no train runs, {after_s:.2f} s after its start of {self.train.duration_s:g} s"


def hear(run: TrainRun, reply: Reply, *, wrong: str, standby: bool, t_asked_s: float) -> None:
    """What a reply says of a train under way; ``wrong``: in what it contradicts that train."""
    if reply.held is not None and reply.about_s >= run.t_sent_s:
        run.told(reply.held.most_pulses, wrong)
    if (on := reply.train_running) is not None:
        run.seen(
            running=on, standby=standby, t_asked_s=t_asked_s, t_reply_s=reply.t_s, late_s=reply.late_s
        )  # fmt: skip
