"""Owns the value that leaves the cleaning chain and enters the measures; owns no way of making or scoring
it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rtloop.model.estimate import Verdict
from rtloop.model.samples import F32, Bool


@dataclass(frozen=True, kw_only=True)
class CleanTrial:
    """One cleaned and judged trial. Never holds NaN: a bad channel is listed in ``bad_channels``, counts nowhere, and is
    all zeros, or with ``ChainSpec.rebuild`` made from its neighbours for people to look at.

    ``eeg_uv`` float32[n_channels, n_times] µV; ``valid`` bool[n_times], False inside the gap (bridged, never
    counted). ``analytic_re/im`` float32[n_channels, n_points] µV, points of all bands side by side, after the
    pulse; ``ongoing_re/im`` the same before the pulse (n_points may be 0), for the signal-to-noise ratio.
    ``bad_channels`` channel index -> reason in words. ``decay_uv`` float32[n_channels]: decay removed, at the
    end of the gap (0 where the gate stayed shut). ``stage_s`` stage name -> seconds it took.
    """

    target: str
    trial_id: int
    verdict: Verdict
    eeg_uv: F32
    valid: Bool
    analytic_re: F32
    analytic_im: F32
    ongoing_re: F32
    ongoing_im: F32
    decay_uv: F32
    bad_channels: Mapping[int, str] = field(default_factory=dict)
    stage_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def good(self) -> Bool:
        """bool[n_channels]: channels that count in this trial."""
        good = np.ones(self.eeg_uv.shape[0], dtype=np.bool_)
        good[list(self.bad_channels)] = False
        return good
