"""Owns numbers of one average given as an array: field powers and early response; owns no sum over trials.

The running counterparts, with each trial left out, are in ``rtloop.measures.evoked``.
"""

from __future__ import annotations

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.samples import F32, F64, Bool

#: Casarotto 2022 (10.1016/j.jneumeth.2022.109486); a practical aim is 8-10 µV, not a threshold
EARLY_S = (0.008, 0.050)


def field_powers(average_uv: F32 | F64, used: Bool, roi: tuple[int, ...]) -> tuple[F64, F64]:
    """GMFP and LMFP over time, float64[n_times] each, µV.

    GMFP: SD over the used channels (Lehmann & Skrandies 1980, 10.1016/0013-4694(80)90419-8). LMFP: root mean
    square over those of ``roi`` that are used, of the average as referenced.

    Parameters
    ----------
    average_uv : float[n_channels, n_times], referenced to the mean of all good channels
    used : bool[n_channels]; roi : indices

    Raises
    ------
    ValidationProblem : no used channel at all, or none in ``roi``
    """
    near = [c for c in roi if used[c]]
    if not near:
        raise ValidationProblem("no used channel near the coil", todo="choose another region")
    v = np.asarray(average_uv, dtype=np.float64)
    return v[used].std(axis=0), np.sqrt((v[near] ** 2).mean(axis=0))


def early_peak_to_peak(
    average_uv: F32 | F64,
    times_s: F64,
    valid: Bool,
    roi: tuple[int, ...],
    span_s: tuple[float, float] = EARLY_S,
) -> float:
    """Peak to peak (µV) of the region's mean over the valid instants of ``span_s``; the gap is left out.

    average_uv : float[n_channels, n_times]; valid : bool[n_times]. Noise alone gives more than 0: look at an
    equally long stretch before the pulse, too. ``ValidationProblem`` without a valid instant or a channel.
    """
    inside = valid & (times_s >= span_s[0] - 1e-9) & (times_s <= span_s[1] + 1e-9)
    if not (inside.any() and roi):
        raise ValidationProblem(
            "no early response can be measured", expected=f"a valid instant in {span_s} s and an electrode",
            found=f"{int(inside.sum())} instants, {len(roi)} electrodes", todo="shorten the gap, or name electrodes",
        )  # fmt: skip
    mean = np.asarray(average_uv, dtype=np.float64)[list(roi)].mean(axis=0)
    return float(np.ptp(mean[inside]))
