"""Owns the analytic signal before the pulse of every trial, kept where a plan asks a question of the map; owns no score.

The chain makes new planes for each trial, so that keeping them costs memory (two float32 planes of channels x instants), no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtloop.decide.signals import TargetSignal
from rtloop.errors import ValidationProblem
from rtloop.measures.scopes import usable, weights
from rtloop.model.samples import F32, F64, Bool
from rtloop.model.trial import CleanTrial
from rtloop.session.scorer import TargetScorer


@dataclass(frozen=True, kw_only=True)
class Carried:
    """Trials of a block that an earlier run recorded, all of which count: shapes as in ``TargetSignal``."""

    re: F32
    im: F32
    ongoing_re: F32
    ongoing_im: F32
    good: Bool

    @property
    def n(self) -> int:
        """How many."""
        return int(self.re.shape[0])


class Ongoing:
    """Planes before the pulse, by block and trial. Rejected trials too: they may be reinstated. ``carried``: whole trials of an
    earlier run, by block."""

    def __init__(self) -> None:
        self._planes: dict[str, dict[int, tuple[F32, F32]]] = {}
        self.carried: dict[str, Carried] = {}

    def add(self, key: str, trial_id: int, trial: CleanTrial) -> None:
        """Keep those of a trial of the block ``key``."""
        self._planes.setdefault(key, {})[trial_id] = (trial.ongoing_re, trial.ongoing_im)

    def forget(self, key: str) -> None:
        """The block begins anew."""
        self._planes.pop(key, None)
        self.carried.pop(key, None)

    def n_carried(self, key: str) -> int:
        """Trials of a block that an earlier run recorded."""
        found = self.carried.get(key)
        return 0 if found is None else found.n

    def signal(self, key: str, scorer: TargetScorer) -> TargetSignal:
        """The trials of a block that count, over all visits, as a decision sees them.

        ``ValidationProblem`` without a trial, and where the epoch begins too late for a baseline in each band.
        """
        sums, carried = scorer.connectivity, self.carried.get(key)
        kept, before = self._planes.get(key, {}), sums.slots.ids()
        if not (before or carried) or any(i not in kept for i in before):
            raise ValidationProblem(
                f"{scorer.target} has no trials that could be compared", expected="accepted trials", found=str(len(before)),
                todo=f"record {scorer.target}",
            )  # fmt: skip
        re, im, good = sums.kept()
        re, im = np.asarray(re, np.float32), np.asarray(im, np.float32)
        planes = [np.stack([kept[i][k] for i in before]) if before else re[:0] for k in (0, 1)]
        if carried is None:
            w = scorer.used()[2][0]
        else:
            parts = (carried.re, carried.im, carried.ongoing_re, carried.ongoing_im, carried.good)
            both = zip(parts, (re, im, *planes, good), strict=True)
            re, im, planes[0], planes[1], good = (np.concatenate(pair) for pair in both)
            w = _weights(scorer.montage.positions_m, good)
        return TargetSignal(
            target=scorer.target, re=re, im=im, ongoing_re=planes[0], ongoing_im=planes[1], good=good, bands=sums.slices,
            weights=w,
        )  # fmt: skip


def _weights(positions_m: F64, good: Bool) -> F64:
    """float64[n_pairs] of GLOBAL over these trials, by the rule of the running sums (``rtloop.measures.scopes``)."""
    both = good.T.astype(np.float64) @ good.astype(np.float64)
    pairs = usable(both[np.triu_indices(good.shape[1], 1)], len(good))
    return np.asarray(weights(positions_m, pairs, ())[0])


def with_common_pairs(
    signals: Sequence[TargetSignal], positions_m: F64
) -> tuple[tuple[TargetSignal, ...], tuple[int, ...]]:
    """The same trials with the pairs that count at every target, and the channels that are left out for it.

    A channel that is bad at one target would make that score one of other pairs: it is left out at all of them.
    ``ValidationProblem`` when no pair is left.
    """
    pairs = np.all([s.weights > 0 for s in signals], axis=0)
    used = np.all([s.used for s in signals], axis=0)
    a, b = np.triu_indices(used.size, 1)
    common = weights(positions_m, pairs & used[a] & used[b], ())[0]
    if not common.any():
        raise ValidationProblem(
            "no pair of electrodes is good at every target", expected="two good electrodes at all targets",
            found=f"{int(used.sum())} channels", todo="look at the electrodes and record the worst target again",
        )  # fmt: skip
    out = tuple(replace(s, good=s.good & used, weights=common) for s in signals)
    return out, tuple(int(c) for c in np.flatnonzero(~used))
