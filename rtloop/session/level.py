"""Owns the fitting of rejection limits to a recording's own ongoing EEG, where a plan asks for it; owns no verdict.

Fixed limits reject every trial of a person who blinks all the time or an amplifier with large drifts. With
``limits = "to_recording"`` in the plan, each limit is the larger of the fixed one and FACTOR x the 90th percentile of
the same number over stretches without a pulse, in the seconds before the session. What was measured is in the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rtloop.dsp.chain import Chain
from rtloop.dsp.spec import ChainSpec
from rtloop.model.samples import Epoch
from rtloop.ports import SampleSource

#: of the ongoing EEG looked at
LOOK_S = 8.0
STRIDE_S = 0.25
#: so long after a pulse its artifact may still stand
AFTER_PULSE_S = 0.1
FACTOR = 1.25
PERCENTILE = 90.0
#: number of a verdict -> the limit it is held against
LIMIT_OF = {
    "pre_pp_uv": "max_pre_pp_uv",
    "post_pp_uv": "max_post_pp_uv",
    "blink_uv": "max_blink_uv",
    "residual_decay_uv": "max_residual_decay_uv",
    "muscle_pre_uv": "max_muscle_pre_uv",
    "muscle_post_uv": "max_muscle_post_uv",
}


def ongoing_numbers(source: SampleSource, spec: ChainSpec, pulses: Sequence[int] = ()) -> dict[str, float]:
    """90th percentile of each number of a verdict over the last ``LOOK_S`` s of the stream, µV, where no pulse is.

    ``pulses``: samples at which pulses were found. Empty without valid samples, or where pulses leave no room for an epoch.
    """
    after = int(AFTER_PULSE_S * source.rate_hz)
    head = (
        source.head() - after
    )  # a pulse at the very end may not be found yet; now, for what follows takes its time
    # what the spatial stage learns of a pulse is not to be found where no pulse is
    plain = replace(spec.without_learning(), decay=spec.decay or spec.decay_first)
    chain = Chain(plain, rate_hz=source.rate_hz, montage=source.montage)
    count = chain.before + chain.after + 1
    firsts = range(max(0, head - int(LOOK_S * source.rate_hz)), head - count, int(STRIDE_S * source.rate_hz))
    found: dict[str, list[float]] = {}
    for i, first in enumerate(firsts):
        if not source.valid(first, count) or any(first - after < pulse < first + count for pulse in pulses):
            continue
        data = np.ascontiguousarray(source.window(first, count).data.T)
        epoch = Epoch(data=data, rate_hz=source.rate_hz, pulse_sample=chain.before, first=first)
        numbers = chain.process(epoch, trial_id=i, target="ongoing", known_bad=()).verdict.numbers
        for name in LIMIT_OF:
            if name in numbers:
                found.setdefault(name, []).append(float(numbers[name]))
    return {name: float(np.percentile(values, PERCENTILE)) for name, values in found.items()}


def fitted_limits(spec: ChainSpec, ongoing: dict[str, float]) -> tuple[ChainSpec, dict[str, float]]:
    """The settings with limits fitted to the recording, and those that rose (name -> new limit, µV)."""
    raised = {}
    for name, value in ongoing.items():
        limit = LIMIT_OF[name]
        wanted = round(FACTOR * value, 1)
        if np.isfinite(wanted) and wanted > getattr(spec, limit):
            raised[limit] = wanted
    return replace(spec, **raised), raised  # type: ignore[arg-type]
