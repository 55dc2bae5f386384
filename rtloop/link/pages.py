"""Owns the mapped pages through which a window sees arrays: single trials, running averages, pair values; owns no computing.

One writer (the engine's loop, or a replay), any number of readers, none of which can block it: every slot carries a
sequence number that is odd while the slot is written, and a reader takes its copy again when the number moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rtloop.model.samples import F32, F64, Bool


@dataclass(frozen=True, kw_only=True)
class PagesSpec:
    """What the pages hold.

    ``names`` EEG channels in the montage's order; ``positions_m`` float64[n_channels, 3] metres; ``times_s`` float64[n_times]
    of cleaned trials and averages; ``raw_rate_hz``, ``raw_first_s`` (negative) and ``n_raw``: the raw window around a pulse;
    ``bands`` rows of the pair values, the last is "pooled"; ``gap_s`` what is bridged.
    """

    names: tuple[str, ...]
    positions_m: F64
    times_s: F64
    raw_rate_hz: float
    raw_first_s: float
    n_raw: int
    bands: tuple[str, ...]
    gap_s: tuple[float, float]
    n_trials: int = 400  # newest trials that can be looked at
    n_blocks: int = 40

    @property
    def raw_times_s(self) -> F64:
        """float64[n_raw], seconds after the pulse."""
        return self.raw_first_s + np.arange(self.n_raw) / self.raw_rate_hz


@dataclass(frozen=True, kw_only=True)
class TrialPage:
    """A single trial. ``clean_uv`` is None where no epoch could be cut or cleaned.

    ``raw_uv`` float32[n_channels, n_raw] µV; ``clean_uv`` float32[n_channels, n_times] µV; ``decay_uv`` float32[n_channels]
    µV (the removed map: decay at the end of the gap); ``good`` bool[n_channels].
    """

    trial_id: int
    pulse_id: int
    sample: int
    block: str
    raw_uv: F32
    clean_uv: F32 | None
    decay_uv: F32
    good: Bool


@dataclass(frozen=True, kw_only=True)
class BlockPage:
    """A block's running average and pair values.

    ``average_uv`` float32[n_channels, n_times] µV; ``pairs`` float32[n_bands, n_pairs] dwPLI², in the order of
    ``numpy.triu_indices(n_channels, 1)``, NaN where a pair is not usable or nothing is known yet.
    """

    block: str
    n: int
    average_uv: F32
    pairs: F32 = field(default_factory=lambda: np.empty((0, 0), np.float32))
