"""Owns the driver's own second check of the time between pulses and of trains' on-time; owns no exchange.

Independent of the gate's: it knows only what went out on this line. Rules: ``drivers.magstim.units``.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from drivers.magstim.units import (
    AFTER_TRAIN_S,
    JOULES_A_MINUTE,
    JOULES_A_SECOND,
    UnitFacts,
    energy_j,
    train_refusals,
)
from rtloop.model.pulse import Train

MINUTE_S = 60.0
REST_MARGIN_S = 0.1


class _Given(NamedTuple):
    end_s: float  # of a train that was cut short: when it would have ended
    power_pct_mso: int
    train: Train | None
    ended_s: float  # by the unit's word, once it said so; of a pulse -inf


class _Worked(NamedTuple):
    """A train as it heats: from, to, W."""

    from_s: float
    to_s: float
    watts: float


_NOTHING = _Given(-math.inf, 0, None, -math.inf)


class Pace:
    """What was given last on this line, certainly or not, and what the unit's rules make of the next.

    ``opened_s``: nobody tells what was given before, so the minute until then counts as full: as much as the unit can
    give for ever. A train that needs a wait after it thus waits as long after the opening; any other does not.
    """

    def __init__(self, opened_s: float = -math.inf) -> None:
        self._last = self._before = _NOTHING
        self._trains = deque([_Worked(opened_s - MINUTE_S, opened_s, JOULES_A_SECOND)])

    def given(self, t_s: float, power_pct_mso: int, train: Train | None) -> None:
        """A pulse, pair or train goes out now; to be called before the first byte."""
        self._before = self._last
        if train is None:
            self._last = _Given(t_s, power_pct_mso, None, -math.inf)
            return
        end_s = t_s + train.duration_s
        self._last = _Given(end_s, power_pct_mso, train, end_s)
        self._trains.append(_Worked(t_s, end_s, energy_j(power_pct_mso) * train.frequency_hz))

    def taken_back(self) -> None:
        """Nothing of it was given: the unit said no, or no byte went out."""
        if self._last.train is not None:
            self._trains.pop()
        self._last = self._before

    def ended(self, t_s: float) -> None:
        """The train given last ended then: its wait and its energy never count it as shorter than it was to be."""
        if self._last.train is not None:
            self._last = self._last._replace(end_s=max(t_s, self._last.end_s), ended_s=t_s)

    @property
    def rests_until_s(self) -> float:
        """Until then the unit takes no setting, since a train has just ended; -inf when none has."""
        return self._last.ended_s + AFTER_TRAIN_S + REST_MARGIN_S

    def recharged_s(self, facts: UnitFacts, now_s: float) -> float:
        """Until then the unit may recharge after what it gave last; ``now_s`` when it does no more."""
        last = self._last
        return max(now_s, last.end_s + facts.min_interval_s(last.power_pct_mso))

    def refusal(self, facts: UnitFacts, now_s: float, power_pct_mso: int, train: Train | None) -> str:
        """Why the next may not go out now at this power; "" when it may. Written so that NaN is refused."""
        last, since_s = self._last, now_s - self._last.end_s
        gap_s = facts.min_interval_s(last.power_pct_mso, last.train)
        if last.train is None:
            gap_s = max(gap_s, facts.min_interval_s(power_pct_mso))
        if not since_s >= gap_s:
            what = "a pulse" if last.train is None else "the end of a train"
            return f"{since_s:.3f} s since {what} at {last.power_pct_mso} %, {gap_s:g} s needed at {power_pct_mso} %"
        if train is None:
            return ""
        if wrong := train_refusals(facts, power_pct_mso, train):
            return "; ".join(wrong)
        joules = self.joules_a_minute(now_s, power_pct_mso, train)
        if not joules <= JOULES_A_MINUTE:
            return f"{joules:.0f} J in a minute with the trains before it, at most {JOULES_A_MINUTE:.0f}"
        return ""

    def joules_a_minute(self, now_s: float, power_pct_mso: int, train: Train) -> float:
        """The most that any minute would hold if this train began now, J."""
        while self._trains and self._trains[0].to_s <= now_s - MINUTE_S:
            self._trains.popleft()
        watts, length_s = energy_j(power_pct_mso) * train.frequency_hz, min(train.duration_s, MINUTE_S)

        def held(after_s: float) -> float:
            """In the minute that ends so long after the start."""
            first_s = now_s + after_s - MINUTE_S
            past = sum(w * max(0.0, to_s - max(from_s, first_s)) for from_s, to_s, w in self._trains)
            return past + watts * after_s

        # linear in between, and least steep after the start of a past train has left the minute
        left_s = (past.from_s + MINUTE_S - now_s for past in self._trains)
        return max(held(after_s) for after_s in (0.0, length_s, *(s for s in left_s if 0 < s < length_s)))
