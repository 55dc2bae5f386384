"""Owns PCIst, the state-transition perturbational complexity of an average; owns no average and no trial.

Comolatti 2019 (10.1016/j.brs.2019.05.013). The response window of the average is decomposed (singular values,
not centred); kept are the first components that together hold ``max_var_pct`` of its variance and whose root
mean square after the pulse is more than ``min_snr`` times that before it. For each, the matrix of distances
|x_i - x_t| is cut at a threshold, and a transition is a change from one instant to the next, at a given
reference instant i: NST = transitions / n². With n_r the instants of the response,

    PCIst = sum over components of max over thresholds of n_r (NST_response - k NST_baseline), never below 0

on ``steps`` thresholds from the median distance of the baseline to the largest of the response. One unit is one
change of state, averaged over reference instants; it does not depend on the unit of the signal or, once that
is finely enough sampled, on the sampling rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.samples import F32, F64, I64, Bool

#: the authors' settings for TMS-EEG, but for the windows
NOISE_FACTOR = 1.2
MIN_SNR = 1.1
MAX_VAR_PCT = 99.0
STEPS = 100
#: SCIENCE section 3 (norms); the authors' example begins at 0, inside the gap
RESPONSE_S = (0.015, 0.300)
#: an assumption: the authors' example begins at -400 ms, before what is kept of a trial
BASELINE_S = (-0.300, -0.050)


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """PCIst in state transitions, and float64[n_components] of it that each component gives."""

    value: float
    by_component: F64


def pcist(
    average_uv: F32 | F64,
    times_s: F64,
    *,
    valid: Bool | None = None,
    baseline_s: tuple[float, float] = BASELINE_S,
    response_s: tuple[float, float] = RESPONSE_S,
    k: float = NOISE_FACTOR,
    min_snr: float = MIN_SNR,
    max_var_pct: float = MAX_VAR_PCT,
    steps: int = STEPS,
) -> Complexity:
    """PCIst of an average, 0 where no component stands out of the baseline.

    It depends on the number of trials behind the average (compare at equal N), and noise alone does not give 0:
    look at the value of a plus-minus average (``plus_minus``), too.

    Parameters
    ----------
    average_uv : float[n_channels, n_times], baseline removed, average reference, any unit
    times_s : float64[n_times] seconds from the pulse
    valid : bool[n_times]; False (bridged) instants are left out, and with them the step across them
    baseline_s, response_s : first and last instant, seconds

    Raises
    ------
    ValidationProblem : wrong shape, values that are no numbers, a window with fewer than 3 valid instants
    """
    x = np.asarray(average_uv, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != times_s.size or x.shape[0] < 1:
        raise ValidationProblem(
            "wrong shape of an average", expected=f"[n_channels, {times_s.size}]", found=str(x.shape)
        )
    usable = np.ones(times_s.size, dtype=np.bool_) if valid is None else valid
    base, response = (_inside(times_s, usable, span) for span in (baseline_s, response_s))
    if not np.isfinite(x[:, np.concatenate([base, response])]).all():
        raise ValidationProblem(
            "the average holds values that are no numbers", expected="finite values", found="NaN or infinity",
            todo="leave bad channels out",
        )  # fmt: skip
    size, directions = _decomposed(x[:, response], max_var_pct)
    if not size:
        return Complexity(value=0.0, by_component=np.zeros(0))
    components = directions @ x
    after = np.sqrt((components[:, response] ** 2).mean(axis=1))
    before = np.sqrt((components[:, base] ** 2).mean(axis=1))
    kept = components[after > min_snr * before]
    by = np.array([_gain(c, base, response, k=k, steps=steps) for c in kept])
    return Complexity(value=float(by.sum()), by_component=by)


def _inside(times_s: F64, usable: Bool, span_s: tuple[float, float]) -> I64:
    at = np.flatnonzero(usable & (times_s >= span_s[0] - 1e-9) & (times_s <= span_s[1] + 1e-9))
    if at.size < 3:
        raise ValidationProblem(
            "a window of the complexity holds too little", expected="at least 3 valid instants",
            found=f"{at.size} in {span_s} s", todo="record a longer epoch, or choose other windows",
        )  # fmt: skip
    return at


def _decomposed(response: F64, max_var_pct: float) -> tuple[int, F64]:
    """How many components hold the share of variance, and their directions float64[n_kept, n_channels]."""
    u, s, _ = np.linalg.svd(response, full_matrices=False)
    variance = s**2
    if not variance.sum() > 0:
        return 0, u.T[:0]
    share = 100 * np.cumsum(variance) / variance.sum()
    count = int(np.searchsorted(share, min(max_var_pct, share[-1]) - 1e-9)) + 1
    return count, u.T[:count]


def _gain(x: F64, base: I64, response: I64, *, k: float, steps: int) -> float:
    low = float(np.median(np.abs(x[base][:, None] - x[base])))
    high = float(np.ptp(x[response]))
    low, high = min(low, high), max(low, high)
    gain = transitions(x, response, low, high, steps) - k * transitions(x, base, low, high, steps)
    return max(0.0, float(gain.max()) * response.size)


def transitions(x: F64, at: I64, low: float, high: float, steps: int) -> F64:
    """NST at ``steps`` >= 2 thresholds from ``low`` to ``high``, float64[steps]: changes of |x_i - x_t| <= threshold, over n².

    x : float64[n_times]; at : the instants that count, ascending. A step between two instants that are not
    neighbours in time is left out. Each distance is given the first threshold that reaches it; a step crosses
    those from the one of its nearer end up to that of its farther end, and all are counted at once.
    """
    v = x[at]
    distance, spacing = np.abs(v[:, None] - v), (high - low) / (steps - 1)
    scaled = (distance - low) / spacing if spacing > 0 else np.where(distance > low, float(steps), 0.0)
    place = np.ceil(scaled - 1e-9)  # a distance that is a threshold, but for rounding, is reached by it
    first = place.clip(0, steps).astype(np.int16)
    step = np.diff(at) == 1
    before, after = first[:, :-1][:, step], first[:, 1:][:, step]
    counts = [np.bincount(f(before, after).ravel(), minlength=steps + 1) for f in (np.minimum, np.maximum)]
    return np.asarray(np.cumsum(counts[0] - counts[1])[:-1] / v.size**2)
