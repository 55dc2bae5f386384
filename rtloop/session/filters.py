"""Owns which artifact filters were in force in a block, and from which trial on; owns no filter and no formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rtloop.dsp.chain import Chain
from rtloop.dsp.spatial import SpatialFilter
from rtloop.dsp.spec import ChainSpec
from rtloop.model.montage import Montage


@dataclass(frozen=True, kw_only=True)
class InForce:
    """A filter and the first trial that it cleaned; ``before`` trials of the block passed without any filter."""

    filter: SpatialFilter
    from_trial: int
    before: int


class FilterLog:
    """The newest filter of each block, and news of it."""

    def __init__(self, montage: Montage) -> None:
        self._montage = montage
        self._newest: dict[str, InForce] = {}
        self._firsts: dict[str, int] = {}  # block -> the first trial that a filter cleaned
        self._without: dict[str, int] = {}
        self._news: dict[int, str] = {}  # trial that met a new filter -> its block
        self._renewed: dict[str, int] = {}  # block -> how often it began to learn anew
        self._again: dict[str, int] = {}  # block -> earlier trials that its first filter cleaned again

    def note(self, key: str, trial_id: int, chain: Chain) -> None:
        """A trial of block ``key`` came out of its chain."""
        stage = chain.spatial
        if stage is None:
            return
        if stage.used is None:
            self._without[key] = self._without.get(key, 0) + 1
            return
        newest = self._newest.get(key)
        if newest is None or newest.filter is not stage.used:
            self._firsts.setdefault(key, trial_id)
            self._newest[key] = InForce(
                filter=stage.used, from_trial=trial_id, before=self._without.get(key, 0)
            )
            self._news[trial_id] = key

    def forget(self, key: str) -> None:
        """The block begins anew."""
        for kept in (self._newest, self._firsts, self._without, self._renewed, self._again):
            kept.pop(key, None)

    def renew(self, key: str) -> None:
        """The trials of block ``key`` that follow learn a filter of their own."""
        self._renewed[key] = self._renewed.get(key, 0) + 1

    def again(self, key: str, *, cleaned: bool) -> None:
        """An earlier trial of block ``key`` was cleaned again, or could not be."""
        self._again[key] = self._again.get(key, 0) + cleaned

    def take_news(self, trial_id: int, target: str, block: str) -> dict[str, Any] | None:
        """Data of ``filter_changed`` where this trial was the first of a new filter; told once.

        ``fields`` [pattern][channel]: what is taken out after the pulse, unit length, three decimals, null where the
        channel was bad; ``ratios`` power after the pulse over power before; ``early`` trials whose samples before any answer
        gave the patterns (0: they were learnt behind the gap).
        """
        key = self._news.pop(trial_id, None)
        if key is None:
            return None
        now = self._newest[key]
        some, wide = np.flatnonzero(now.filter.good), [None] * self._montage.n_channels
        fields: list[list[float | None]] = []
        for field in now.filter.fields.T:
            row: list[float | None] = list(wide)
            for c, v in zip(some, field, strict=True):
                row[c] = round(float(v), 3)
            fields.append(row)
        return {
            "target": target, "block": block, "from_trial": trial_id, "trials_learnt": now.filter.trials,
            "patterns": int(now.filter.ratios.size), "ratios": [round(float(r), 2) for r in now.filter.ratios],
            "fields": fields, "rank": now.filter.rank, "uncleaned_before": now.before, "early": now.filter.early,
        }  # fmt: skip

    def words(self, key: str, spec: ChainSpec) -> str:
        """What the stage did in a block, for the report; empty where it is off."""
        if not (spec.sound or spec.muscle):
            return ""
        newest, without = self._newest.get(key), self._without.get(key, 0)
        fate = "did not count" if spec.leave_out_first else "counted as the fast chain left them"
        if (n := self._again.get(key, 0)) > 0:
            rest = "" if n >= without else f" ({without - n} could not be)"
            fate = f"were cleaned again by the first filter, which had learnt from them{rest}"
        if newest is None:
            return f"no filter came to be ({without} trials; {spec.spatial_first} are needed): they {fate}"
        k, ratios = newest.filter.ratios.size, newest.filter.ratios
        most = f", the strongest {ratios.max():.0f} times as strong after the pulse as before" if k else ""
        what = f"{k} artifact pattern{'' if k == 1 else 's'} removed at the end (learnt from {newest.filter.trials} trials{most})"
        first = f"from trial {self._firsts[key]} on; {without} before that {fate}"
        goes = "; of averages before about 35 ms a part goes with them (docs/signal.md)" if k else ""
        if newest.filter.early:
            goes = "; learnt before the brain can have answered: of later averages about a tenth goes with them (docs/signal.md)"
        if n := self._renewed.get(key, 0):
            goes += f"; {n} return visit{'' if n == 1 else 's'} learnt a filter of {'its' if n == 1 else 'their'} own"
        return f"{what}, {first}{goes}" if spec.muscle else f"noise of each electrode removed {first}"
