"""Owns the published test-retest norms at M1 and where a value stands among them; owns no value.

164 healthy adults, 57 of them retested (10.64898/2026.04.23.720403), under that group's own preprocessing. A
percentile is given for that preprocessing only, of the coil over M1, for the norm's own window, never after a spatial
filter such as SOUND, and says nothing about a person's health. MFP values are time integrals, µV·s: the mean over
the window times its length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betainc, ndtr

from rtloop.model.montage import HEAD_RADIUS_M, position_of

#: the only preset whose values may be compared: the offline reference preprocessing of the norm's authors
PRESET = "offline reference"
#: an assumption: hot spots of the hand lie within this of C3 or C4
M1_WITHIN_M = 0.025
SOURCE = "164 healthy adults, M1, 10.64898/2026.04.23.720403"


@dataclass(frozen=True, kw_only=True)
class Norm:
    """One row. ``shape`` is an assumption of this project: only mean and SD are published.

    ``sem`` standard error of measurement; ``mdc95`` the smallest change beyond it, 2.77 SEM; ``window_s`` seconds.
    """

    feature: str
    window_s: tuple[float, float]
    mean: float
    sd: float
    icc: float
    sem: float
    unit: str
    shape: str  # "log-normal" (above 0), "beta" (0 to 1), "normal"
    band_hz: tuple[float, float] | None = None

    @property
    def mdc95(self) -> float:
        return 2.77 * self.sem


_EARLY, _WHOLE = (0.015, 0.120), (0.015, 0.300)


def _row(
    feature: str, window_s: tuple[float, float], numbers: tuple[float, float, float, float], unit: str, shape: str,
    band_hz: tuple[float, float] | None = None,
) -> Norm:  # fmt: skip
    mean, sd, icc, sem = numbers
    return Norm(
        feature=feature, window_s=window_s, mean=mean, sd=sd, icc=icc, sem=sem, unit=unit, shape=shape, band_hz=band_hz
    )  # fmt: skip


#: the units of ERSP and SNR are those of the publication's table, which does not name them
NORMS: dict[str, Norm] = {
    "lmfp:15-120": _row("local MFP", _EARLY, (0.304, 0.204, 0.85, 0.076), "µV·s", "log-normal"),
    "gmfp:15-120": _row("GMFP", _EARLY, (0.197, 0.102, 0.85, 0.038), "µV·s", "log-normal"),
    "gmfp:15-300": _row("GMFP", _WHOLE, (0.430, 0.222, 0.83, 0.083), "µV·s", "log-normal"),
    "ersp_local:alpha:15-300": _row("local alpha ERSP", _WHOLE, (0.192, 0.163, 0.84, 0.064), "", "normal", (8, 12)),
    "itc_local:alpha:15-300": _row("local alpha ITC", _WHOLE, (0.375, 0.160, 0.78, 0.076), "", "beta", (8, 12)),
    "itc_local:12-25:15-120": _row("local 12-25 Hz ITC", _EARLY, (0.469, 0.159, 0.72, 0.080), "", "beta", (12, 25)),
    "itc_local:25-35:15-120": _row("local 25-35 Hz ITC", _EARLY, (0.391, 0.106, 0.58, 0.061), "", "beta", (25, 35)),
    "snr_local:15-120": _row("local SNR", _EARLY, (9.39, 5.39, 0.74, 2.6), "", "log-normal"),
    "snr_global:15-120": _row("global SNR", _EARLY, (5.64, 2.55, 0.81, 1.2), "", "log-normal"),
    "pcist:15-300": _row("PCIst", _WHOLE, (34.8, 10.0, 0.60, 5.6), "transitions", "log-normal"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Percentile 0-100 of a value in its norm, and of value ± 1.96 SEM; None with the reason where it does not apply."""

    norm: str
    percentile: float | None
    low: float | None = None
    high: float | None = None
    why_absent: str = ""


def standing(
    norm: str, value: float, *, preset: str, spatial_filter: bool, coil_m: Sequence[float] | None,
    window_s: tuple[float, float],
) -> Standing:  # fmt: skip
    """Where ``value`` (in the norm's unit) stands. ``KeyError`` for a norm that does not exist.

    Parameters
    ----------
    preset, spatial_filter : how the value was cleaned
    coil_m : [3], metres, where the coil lay on our head sphere; None: not known
    window_s : of the value, seconds

    The interval is that of a single measurement (SEM of the norm), not of this recording's trials.
    """
    row = NORMS[norm]
    why = ""
    if coil_m is None:
        why = "the norm holds for M1, and where the coil lay is not known"
    elif not (away := from_m1_m(coil_m)) <= M1_WITHIN_M:
        why = f"the norm holds for M1, and the coil lay {1e3 * away:.0f} mm from the nearer of C3 and C4"
    elif not all(math.isclose(a, b, abs_tol=1e-9) for a, b in zip(window_s, row.window_s, strict=True)):
        why = (
            f"the norm holds for {1e3 * row.window_s[0]:g}-{1e3 * row.window_s[1]:g} ms, and this is of "
            f"{1e3 * window_s[0]:g}-{1e3 * window_s[1]:g} ms"
        )
    elif preset != PRESET:
        why = f"the norm holds for the preprocessing {PRESET!r}, and this is {preset!r}"
    elif spatial_filter:
        why = "the norm does not hold after a spatial filter (SOUND, SSP-SIR)"
    elif not math.isfinite(value):
        why = "there is no value"
    if why:
        return Standing(norm=norm, percentile=None, why_absent=why)
    low, mid, high = (100 * share_below(row, value + s * 1.96 * row.sem) for s in (-1, 0, 1))
    return Standing(norm=norm, percentile=mid, low=low, high=high)


def from_m1_m(coil_m: Sequence[float]) -> float:
    """Distance of a place on our head sphere from the nearer of C3 and C4, which lie over the hand areas, metres."""
    hands = [p * HEAD_RADIUS_M for name in ("C3", "C4") if (p := position_of(name)) is not None]
    return min(math.dist(coil_m, hand) for hand in hands)


def share_below(row: Norm, value: float) -> float:
    """Share (0-1) of the norm's people below ``value``, from its mean and SD and the shape assumed."""
    if row.shape == "normal":
        return float(ndtr((value - row.mean) / row.sd))
    if value <= 0:
        return 0.0
    if row.shape == "beta":
        if value >= 1:
            return 1.0
        size = row.mean * (1 - row.mean) / row.sd**2 - 1
        return float(betainc(row.mean * size, (1 - row.mean) * size, value))
    variance = math.log1p((row.sd / row.mean) ** 2)
    return float(ndtr((math.log(value / row.mean) + variance / 2) / math.sqrt(variance)))
