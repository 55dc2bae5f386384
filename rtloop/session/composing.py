"""Owns how running sums become named estimates: values, standard errors, reasons; owns no sum and no trial.

``ScoreErrors`` carries the last exact standard errors on where new ones would cost too much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from rtloop.dsp.analytic import BandKernels
from rtloop.measures.connectivity import RunningConnectivity
from rtloop.measures.evoked import RunningEvoked
from rtloop.measures.uncertainty import estimate, jackknife_se
from rtloop.model.estimate import MEASURES, POOLED, Estimate
from rtloop.model.samples import F32, F64, Bool
from rtloop.model.trial import CleanTrial

SCOPES = ("global", "local")
#: beside LOCAL, for dwPLI² alone (docs/decisions/0017)
WIDER_SCOPES = ("local_8", "seed")
EARLY_S = (0.008, 0.050)  # Casarotto 2022; the gap is left out
#: evoked numbers near the coil, one for each band and pooled -> unit
LOCAL_BY_BAND = {"itc_local": "", "ersp_local_db": "dB"}


def with_mean(by_band: F64) -> F64:
    """Append the pooled value: the mean of the bands along the last axis."""
    return np.concatenate([by_band, by_band.mean(axis=-1, keepdims=True)], axis=-1)


class ScoreErrors:
    """Standard errors: exact where each trial was left out, else the last exact one times sqrt(n then / n now)."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, ...], tuple[float, int]] = {}

    @property
    def none_yet(self) -> bool:
        return not self._last

    def estimate(
        self,
        key: tuple[str, ...],
        value: float,
        each: F64 | None,
        n: int,
        unit: str = "",
        sqrt_scope: str | None = None,
    ) -> Estimate:
        """``each`` float64[n_trials] of the value without each trial, or None: nothing new."""
        if each is not None:
            se = float(jackknife_se(each))
            self._last[key] = (se, n)
        else:
            then_se, then_n = self._last.get(key, (math.nan, n))
            se = then_se * math.sqrt(then_n / n)
        return estimate(float(value), se, n=n, unit=unit, sqrt_scope=sqrt_scope)


class BandPowers:
    """Mean |A|² of a trial per channel and band: after the pulse, before it, in each of ``windows_s`` (parts of the
    score window, seconds)."""

    def __init__(self, kernels: BandKernels, windows_s: tuple[tuple[float, float], ...]) -> None:
        spans = ((-math.inf, math.inf), *windows_s)
        self._after = np.concatenate(
            [_averaging(kernels.points_s, kernels.slices, span) for span in spans], axis=1
        )
        self._before = _averaging(kernels.ongoing_s, kernels.ongoing_slices, spans[0])

    def of(self, trial: CleanTrial) -> F64:
        """float64[2 + n_windows, n_channels, n_bands], µV²; 0 where a band has no instant."""
        after = (trial.analytic_re**2 + trial.analytic_im**2) @ self._after
        before = (trial.ongoing_re**2 + trial.ongoing_im**2) @ self._before
        n_bands = before.shape[1]
        by_window = after.reshape(after.shape[0], -1, n_bands).transpose(1, 0, 2)
        return np.concatenate([by_window[:1], before[None], by_window[1:]]).astype(np.float64)


def _averaging(points_s: F64, slices: Mapping[str, slice], span_s: tuple[float, float]) -> F32:
    out = np.zeros((points_s.size, len(slices)), dtype=np.float32)
    for j, s in enumerate(slices.values()):
        inside = (points_s[s] >= span_s[0] - 1e-9) & (points_s[s] <= span_s[1] + 1e-9)
        out[s, j] = inside / max(1, inside.sum())
    return out


def scopes_of(measure: str) -> tuple[str, ...]:
    """The scopes that a pair measure is given for."""
    return SCOPES + (WIDER_SCOPES if measure == "dwpli2" else ())


def pair_scores(
    sums: RunningConnectivity, errors: ScoreErrors, w: F64, *, exact: bool, why: Callable[[str], str],
    meanwhile: Callable[[], None],
) -> dict[str, dict[str, dict[str, Estimate]]]:  # fmt: skip
    """Measure -> scope -> band: every pair measure of one block.

    w : float64[4, n_pairs], ``SCOPES`` then ``WIDER_SCOPES``, all zero where there is none: ``why(scope)`` says so
    """
    n, values = sums.n, sums.pair_values()
    each: dict[str, F64] = {}
    if exact:
        each = sums.without_each(w[:2], meanwhile=meanwhile)
        wider = sums.without_each(w[2:], lagged_only=True, meanwhile=meanwhile)
        each["dwpli2"] = np.concatenate([each["dwpli2"], wider["dwpli2"]], axis=1)
    names = (*sums.bands, POOLED)
    places = [(m, s, scope) for m in MEASURES for s, scope in enumerate(scopes_of(m))]
    # all at once: a call costs more than its sums
    found = with_mean(np.stack([w[s] @ values[m] for m, s, _ in places]))
    out: dict[str, dict[str, dict[str, Estimate]]] = {m: {} for m in MEASURES}
    for (measure, s, scope), by_band in zip(places, found.tolist(), strict=True):
        if not w[s].any():
            out[measure][scope] = dict.fromkeys(names, Estimate.absent(why(scope), n=n))
            continue
        left_out = with_mean(each[measure][:, s]) if exact else None
        out[measure][scope] = {
            band: errors.estimate(
                (measure, scope, band), by_band[j], None if left_out is None else left_out[:, j], n,
                sqrt_scope=scope if measure == "dwpli2" else None,
            )
            for j, band in enumerate(names)
        }  # fmt: skip
    return out


def pairs_absent(bands: tuple[str, ...], why: str, n: int) -> dict[str, dict[str, dict[str, Estimate]]]:
    """The same names with one reason."""
    none = dict.fromkeys((*bands, POOLED), Estimate.absent(why, n=n))
    return {m: dict.fromkeys(scopes_of(m), none) for m in MEASURES}


def evoked_scores(
    evoked: RunningEvoked,
    connectivity: RunningConnectivity,
    errors: ScoreErrors,
    *,
    window_s: tuple[float, float],
    channels: Bool,
    roi: tuple[int, ...],
    exact: bool,
    why_global: str,
    why_local: str,
) -> dict[str, Estimate]:
    """Everything of one block that is no pair measure; ``roi`` the usable channels near the coil, maybe none."""
    out: dict[str, Estimate] = {}
    n = connectivity.n
    value, each = evoked.fields(channels, roi, window_s, each=exact)
    names = (*connectivity.bands, POOLED)
    if channels.sum() >= 2:
        out["gmfp_uv"] = errors.estimate(("gmfp_uv",), value[0], each[:, 0] if exact else None, n, "µV")
    else:
        out["gmfp_uv"] = Estimate.absent(why_global, n=n, unit="µV")
    snr, snr_each = evoked.snr(channels, each=exact)
    snr, snr_each = with_mean(snr), with_mean(snr_each)
    for j, band in enumerate(names):
        key = "snr" if band == POOLED else f"snr:{band}"
        out[key] = errors.estimate((key,), snr[j], snr_each[:, j] if exact else None, n)
    if not roi:
        out["lmfp_uv"] = out["early_local_pp_uv"] = Estimate.absent(why_local, n=n, unit="µV")
        return out | {
            f"{name}:{band}": Estimate.absent(why_local, n=n, unit=unit)
            for name, unit in LOCAL_BY_BAND.items()
            for band in names
        }
    out["lmfp_uv"] = errors.estimate(("lmfp_uv",), value[1], each[:, 1] if exact else None, n, "µV")
    early, early_each = evoked.early_response(roi, EARLY_S, each=exact)
    out["early_local_pp_uv"] = errors.estimate(("early",), early, early_each if exact else None, n, "µV")
    itc = connectivity.itc(roi).mean(axis=0)
    ersp, ersp_each = evoked.ersp(roi, each=exact)
    by_name: dict[str, tuple[F64, F64 | None]] = {
        "itc_local": (itc, connectivity.itc_without_each(roi).mean(axis=1) if exact else None),
        "ersp_local_db": (ersp[0], ersp_each[:, 0] if exact else None),
    }
    for name, (values, left_out) in by_name.items():
        values, left_out = with_mean(values), None if left_out is None else with_mean(left_out)
        for j, band in enumerate(names):
            key = f"{name}:{band}"
            one = None if left_out is None else left_out[:, j]
            out[key] = errors.estimate((key,), values[j], one, n, LOCAL_BY_BAND[name])
    return out


def evoked_absent(bands: tuple[str, ...], why: str, n: int) -> dict[str, Estimate]:
    """The same names with one reason."""
    none, micro = Estimate.absent(why, n=n), Estimate.absent(why, n=n, unit="µV")
    out = dict.fromkeys(("gmfp_uv", "lmfp_uv", "early_local_pp_uv"), micro)
    for name, unit in LOCAL_BY_BAND.items():
        out |= {f"{name}:{b}": Estimate.absent(why, n=n, unit=unit) for b in (*bands, POOLED)}
    return out | dict.fromkeys((*(f"snr:{b}" for b in bands), "snr"), none)
