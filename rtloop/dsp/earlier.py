"""Owns the trials that came before the first artifact filter, as they were right before the spatial stage; owns no stage.

They wait here for that filter, so that they can be cleaned again by it (``ChainSpec.reclean_earlier``). Memory is bounded:
at most ``MOST`` times ``spatial_first`` trials of n_times x padded channels x 4 bytes (64 channels, 1.4 s at 1 kHz: 0.36 MB
each, 7.2 MB for 20), given back one by one as they are taken. A trial beyond that is kept as it was scored, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtloop.model.samples import F32, Bool

#: times ``spatial_first``: trials that teach nothing wait, too
MOST = 2


@dataclass(frozen=True, kw_only=True)
class Uncleaned:
    """``rows`` float32[n_times, padded channels] µV, referenced, blinks out, bad channels zero; ``good`` bool[n_channels];
    ``removed`` and ``decay_uv`` what the decay fit took before the stage (None: it was not fitted there)."""

    target: str
    rows: F32
    good: Bool
    bad: Mapping[int, str]
    removed: F32
    decay_uv: tuple[F32, F32] | None
    back_ms: float
    blink_uv: float | None


class EarlierTrials:
    """Keeps the first trials of a stream until there is a filter; ``most`` 0 keeps none. ``lost``: how many came too many."""

    def __init__(self, most: int) -> None:
        self._most, self._waiting, self._over = most, dict[int, Uncleaned](), most == 0
        self.lost = 0

    def keep(self, trial_id: int, trial: Uncleaned) -> None:
        """Keep a trial that no filter cleaned."""
        if self._over:
            return
        if len(self._waiting) >= self._most:
            self.lost += 1
            return
        self._waiting[trial_id] = trial

    def end(self) -> None:
        """A filter has cleaned a trial: those that still come without one are no earlier ones."""
        self._over = True

    def ids(self) -> tuple[int, ...]:
        """Trials that wait, in order of arrival."""
        return tuple(self._waiting)

    def take(self, trial_id: int) -> Uncleaned | None:
        """Give a trial away and forget it; None where it is not kept."""
        return self._waiting.pop(trial_id, None)

    @property
    def size_bytes(self) -> int:
        """Memory of the samples that are kept."""
        return sum(trial.rows.nbytes for trial in self._waiting.values())
