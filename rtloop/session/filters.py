"""Owns which artifact filters were in force in a block, and from which trial on; owns no filter and no formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rtloop.dsp.chain import Chain
from rtloop.dsp.spatial import SpatialFilter, SpatialStage
from rtloop.dsp.spec import ChainSpec
from rtloop.model.montage import Montage


@dataclass(frozen=True, kw_only=True)
class InForce:
    """A filter and the first trial that it cleaned; ``before`` trials of the block passed without any filter. ``stage``: whose it
    is, for a return visit may have one of its own."""

    filter: SpatialFilter
    from_trial: int
    before: int
    stage: SpatialStage

    def is_of(self, stage: SpatialStage) -> bool:
        """Whether the stage's last trial was cleaned by this very filter, or by one made anew of the same trials and channels."""
        old, new = self.filter, stage.used
        if self.stage is not stage or new is None:
            return False
        return old is new or (old.trials == new.trials and np.array_equal(old.good, new.good))


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
        self._hindered: dict[
            str, dict[int, str]
        ] = {}  # block -> accepted trial that none could clean though enough was learnt -> why

    def note(self, key: str, trial_id: int, chain: Chain, *, accepted: bool = True) -> None:
        """A trial of block ``key`` came out of its chain."""
        stage = chain.spatial
        if stage is None:
            return
        if stage.used is None:
            self._without[key] = self._without.get(key, 0) + 1
            if accepted and not stage.waits:
                self._hindered.setdefault(key, {})[trial_id] = stage.why
            return
        self._firsts.setdefault(key, trial_id)
        newest = self._newest.get(key)
        if newest is None or not newest.is_of(stage):
            self._changed(key, trial_id, stage, stage.used)

    def _changed(self, key: str, trial_id: int, stage: SpatialStage, used: SpatialFilter) -> None:
        before = self._without.get(key, 0)
        self._newest[key] = InForce(filter=used, from_trial=trial_id, before=before, stage=stage)
        self._news[trial_id] = key

    def forget(self, key: str) -> None:
        """The block begins anew."""
        for kept in (self._newest, self._firsts, self._without, self._renewed, self._again, self._hindered):
            kept.pop(key, None)

    def renew(self, key: str) -> None:
        """The trials of block ``key`` that follow learn a filter of their own."""
        self._renewed[key] = self._renewed.get(key, 0) + 1

    def again(self, key: str, trial_id: int, chain: Chain, *, cleaned: bool) -> None:
        """An earlier trial of block ``key`` was cleaned again, or could not be. A block may end with those: then no other trial
        has met that filter."""
        self._again[key] = self._again.get(key, 0) + cleaned
        stage, newest = chain.spatial, self._newest.get(key)
        if not cleaned or stage is None or stage.used is None:
            return
        if newest is None or newest.stage is not stage:
            self._changed(key, trial_id, stage, stage.used)

    def hindered(self, key: str, trial_id: int) -> str:
        """Why a trial passed without the filter that it should have had, in words; empty where a trial of the block was told so
        for the same reason."""
        told = self._hindered.get(key, {})
        why = told.get(trial_id, "")
        if trial_id != next((first for first, reason in told.items() if reason == why), None):
            return ""
        return f"{key}: trial {trial_id} counts as it came, not cleaned of artifact patterns: {why}"

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
            left = without - n - len(self._hindered.get(key, {}))
            rest = f" ({left} were not)" if left > 0 else ""
            whose = " of their visit" if self._renewed.get(key) else ""
            fate = f"were cleaned again by the first filter{whose}, which had learnt from them{rest}"
        hindered = self._hindered.get(key, {})
        if newest is None:
            why = next(reversed(hindered.values()), f"{spec.spatial_first} are needed")
            return f"no filter came to be ({without} trials; {why}): they {fate}"
        k, ratios = newest.filter.ratios.size, newest.filter.ratios
        most = f", the strongest {ratios.max():.0f} times as strong after the pulse as before" if k else ""
        what = f"{k} artifact pattern{'' if k == 1 else 's'} removed at the end (learnt from {newest.filter.trials} trials{most})"
        since = f"from trial {self._firsts[key]} on; " if key in self._firsts else ""
        first = f"{since}{without - len(hindered)} before that {fate}"
        if hindered:
            first += f"; {len(hindered)} more could not be cleaned ({next(reversed(hindered.values()))}) and counted as they came"
        goes = "; of averages before about 35 ms a part goes with them (docs/signal.md)" if k else ""
        if newest.filter.early:
            goes = (
                "; learnt before the brain can have answered: of later averages about a tenth goes with them, a quarter "
                "where the map is like the muscle's (docs/signal.md)"
            )
        if n := self._renewed.get(key, 0):
            goes += f"; {n} return visit{'' if n == 1 else 's'} learnt a filter of {'its' if n == 1 else 'their'} own"
        return f"{what}, {first}{goes}" if spec.muscle else f"noise of each electrode removed {first}"
