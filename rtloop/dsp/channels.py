"""Owns which channels are left out from trial to trial, and when they are taken back; owns no judgement of a trial.

One trial's verdict leaves a channel out of that trial. A channel that was bad in several of the last trials is held: left
out of every pair, reference and sum until it would have passed a number of trials in a row. Between the two numbers lies
the hysteresis: an electrode that comes and goes stays out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from rtloop.model.samples import I64, Bool


@dataclass(frozen=True, kw_only=True)
class HoldRule:
    """``bad_trials`` of the last ``of_last`` hold a channel (0: none is ever held); ``good_trials`` in a row free it.

    The defaults are assumptions of this project.
    """

    bad_trials: int = 3
    of_last: int = 10
    good_trials: int = 5


@dataclass(frozen=True, kw_only=True)
class Changed:
    """Channels newly held (index -> why) and taken back (index -> after how many good trials)."""

    held: Mapping[int, str]
    freed: Mapping[int, int]

    def __bool__(self) -> bool:
        return bool(self.held or self.freed)


class ChannelMemory:
    """The channels of one stream, over all its targets: an electrode does not heal because the coil moved."""

    def __init__(self, n_channels: int, rule: HoldRule | None = None) -> None:
        self.rule = rule or HoldRule()
        self._recent: Bool = np.zeros((max(1, self.rule.of_last), n_channels), dtype=np.bool_)
        self._good_run: I64 = np.zeros(n_channels, dtype=np.int64)
        self._held: dict[int, str] = {}
        self._at = 0
        self._news = Changed(held={}, freed={})

    @property
    def held(self) -> Mapping[int, str]:
        """Channel index -> why it is left out, with what is still wanted of it."""
        wanted = self.rule.good_trials
        return {
            c: f"held: {why}; good in the last {int(self._good_run[c])} of {wanted} trials wanted to take it back"
            for c, why in self._held.items()
        }

    def note(self, bad: Mapping[int, str], passed: Collection[int]) -> Changed:
        """One more trial: ``bad`` index -> reason by the trial itself; ``passed``: held channels that would have counted.

        Do not call it with a trial whose channels are bad nearly all: that is a fault of the trial, not of electrodes.
        """
        rule, row = self.rule, self._at % len(self._recent)
        self._at += 1
        self._recent[row] = False
        self._recent[row, list(bad)] = True
        held: dict[int, str] = {}
        freed: dict[int, int] = {}
        for c in list(self._held):
            self._good_run[c] = self._good_run[c] + 1 if c in passed and c not in bad else 0
            if self._good_run[c] >= rule.good_trials:
                freed[c] = int(self._good_run[c])
                del self._held[c]
                self._recent[:, c] = False
                self._good_run[c] = 0
        if rule.bad_trials > 0:
            counts = self._recent.sum(axis=0)
            for c in bad:
                if c not in self._held and counts[c] >= rule.bad_trials:
                    seen = min(self._at, len(self._recent))
                    held[c] = self._held[c] = f"bad in {int(counts[c])} of the last {seen} trials ({bad[c]})"
                    self._good_run[c] = 0
        self._news = Changed(held={**self._news.held, **held}, freed={**self._news.freed, **freed})
        return Changed(held=held, freed=freed)

    def take_news(self) -> Changed:
        """What changed since the last call."""
        out, self._news = self._news, Changed(held={}, freed={})
        return out


def held_words(changed: Changed, names: Collection[str]) -> str:
    """A change in words, for the record and the operator."""
    name = list(names)
    parts = [f"{name[c]} is left out from now on: {why}" for c, why in changed.held.items()]
    parts += [f"{name[c]} is taken back after {n} good trials in a row" for c, n in changed.freed.items()]
    return "; ".join(parts)
