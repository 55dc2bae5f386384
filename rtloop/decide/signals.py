"""Owns the accepted trials of one target as a decision sees them, and the facts read off them; owns no score.

Facts: power ratio after and before the pulse (SNR), phase-locked residue at the worst channel, change of
the ongoing rhythm where there is least response. All come from the analytic signal of the trials that count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Estimate
from rtloop.model.samples import F32, F64, Bool

#: a channel is used when it was good in this share of the trials (as the scores' pairs are)
GOOD_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class TargetSignal:
    """Analytic signal of the accepted trials of one target, in the order of arrival, over all its visits.

    ``re, im`` float32[n_trials, n_channels, n_points], µV, after the pulse; ``ongoing_re/im`` the same shape
    before it; ``good`` bool[n_trials, n_channels]; ``bands`` band -> columns,
    lowest band first; ``weights`` float64[n_pairs] of
    the score (GLOBAL), in the order of ``numpy.triu_indices(n_channels, 1)``, 0 for pairs that do not count.

    Raises ``ValidationProblem`` when shapes differ, a good channel holds no number, or a band has no instants
    before the pulse.
    """

    target: str
    re: F32
    im: F32
    ongoing_re: F32
    ongoing_im: F32
    good: Bool
    bands: Mapping[str, slice]
    weights: F64

    def __post_init__(self) -> None:
        shape = self.re.shape
        planes = (self.re, self.im, self.ongoing_re, self.ongoing_im)
        if len(shape) != 3 or any(p.shape != shape for p in planes) or self.good.shape != shape[:2]:
            raise ValidationProblem(
                f"{self.target}: the trials do not fit each other",
                expected="equal shapes [n_trials, n_channels, n_points] after and before the pulse",
                found=", ".join(str(p.shape) for p in planes),
                todo="begin the epoch early enough for a baseline in each band",
            )
        if self.weights.shape != (shape[1] * (shape[1] - 1) // 2,):
            raise ValidationProblem(f"{self.target}: {self.weights.shape} weights for {shape[1]} channels")
        if any(not np.isfinite(p[self.good]).all() for p in planes):
            raise ValidationProblem(f"{self.target}: a good channel holds values that are no numbers")

    @property
    def n(self) -> int:
        """Accepted trials."""
        return int(self.re.shape[0])

    @property
    def used(self) -> Bool:
        """bool[n_channels]: channels good in at least half of the trials."""
        return np.asarray(self.good.mean(axis=0) >= GOOD_SHARE)


def trial_powers(signal: TargetSignal) -> F64:
    """Mean |A|² over good used channels and the band's instants: float64[2, n_trials, n_bands], µV².

    First index: after, before the pulse.
    """
    mask = signal.good & signal.used
    count = np.maximum(mask.sum(axis=1), 1)
    out = np.empty((2, signal.n, len(signal.bands)))
    for k, (re, im) in enumerate(((signal.re, signal.im), (signal.ongoing_re, signal.ongoing_im))):
        for j, s in enumerate(signal.bands.values()):
            x, y = re[:, :, s], im[:, :, s]
            size = np.einsum("tcp,tcp->tc", x, x) + np.einsum("tcp,tcp->tc", y, y)
            out[k, :, j] = np.where(mask, size, 0.0).sum(axis=1, dtype=np.float64) / (
                count * (s.stop - s.start)
            )
    return out


def snr_of(signal: TargetSignal) -> tuple[F64, Estimate]:
    """Single-trial power ratio (Ppost - Ppre)/Ppre per band, float64[n_bands], and pooled with its jackknife SE.

    Pooled is the mean of the bands. Absent when nothing was recorded before the pulse, or with under 3 trials.
    """
    power = trial_powers(signal)
    total = power.sum(axis=1)
    n = signal.n
    if n < 3 or not bool((total[1] > 0).all()):
        why = f"only {n} trials" if n < 3 else "no power before the pulse"
        return np.full(len(signal.bands), np.nan), Estimate.absent(why, n=n)
    by_band = total[0] / total[1] - 1.0
    left = total[:, None] - power
    if not bool((left[1] > 0).all()):
        return by_band, Estimate.absent("one trial holds all the power before the pulse", n=n)
    each = (left[0] / left[1] - 1.0).mean(axis=1)
    se = float(np.sqrt((n - 1) / n * ((each - each.mean()) ** 2).sum()))
    return by_band, Estimate.normal(float(by_band.mean()), se, n=n)


def _after_and_before(signal: TargetSignal) -> tuple[F64, F64, F64]:
    """Per channel and band, float64[n_channels, n_bands], µV², means over the trials where the channel is good:
    |mean of A|² less what chance gives; mean |A|² after the pulse; mean |A|² before it."""
    count = np.maximum(signal.good.sum(axis=0), 1)[:, None].astype(np.float64)
    mask = signal.good[:, :, None]
    re = np.where(mask, signal.re, 0).sum(axis=0, dtype=np.float64) / count
    im = np.where(mask, signal.im, 0).sum(axis=0, dtype=np.float64) / count
    after = np.where(mask, signal.re**2 + signal.im**2, 0).sum(axis=0, dtype=np.float64) / count
    before = (
        np.where(mask, signal.ongoing_re**2 + signal.ongoing_im**2, 0).sum(axis=0, dtype=np.float64) / count
    )
    locked = re**2 + im**2
    locked = locked - np.maximum(after - locked, 0.0) / np.maximum(count - 1, 1)
    slices = signal.bands.values()
    by_band = [np.stack([x[:, s].mean(axis=1) for s in slices], axis=1) for x in (locked, after, before)]
    return np.maximum(by_band[0], 0.0), by_band[1], by_band[2]


def worst_residue(signal: TargetSignal) -> tuple[float, int]:
    """Largest ratio over channels of phase-locked to ongoing amplitude in the highest band, and its channel.

    In the highest band (21-30 Hz), because there the brain's answer is hardly locked and muscle is: in the simulated
    head clean targets show 0.7-1.5 and strong muscle 6, while 8-20 Hz reads 2-3 without any muscle. Amplitudes are
    root mean squares over the band's instants; what chance alone gives is taken off. (0, -1) without a used channel.
    """
    locked, _, before = _after_and_before(signal)
    used = signal.used & (before[:, -1] > 0)
    if not used.any():
        return 0.0, -1
    ratio = np.where(used, np.sqrt(locked[:, -1] / np.where(used, before[:, -1], 1.0)), 0.0)
    return float(ratio.max()), int(ratio.argmax())


def rhythm_change(signal: TargetSignal) -> float:
    """Power of the lowest band (alpha) after over before the pulse, the locked part taken off, where there is least
    response.

    That is the third of the used channels with the smallest excess power after the pulse in the higher bands, in units
    of the channel's ongoing alpha. Chosen by the locked response instead (as the design notes proposed), the number
    follows the coupling: uncoupled sources answer without being locked. NaN with fewer than 3 used channels.
    """
    locked, after, before = _after_and_before(signal)
    used = np.flatnonzero(signal.used & (before > 0).all(axis=1))
    if used.size < 3:
        return float("nan")
    excess = np.maximum(after - before, 0.0)[used, 1:].sum(axis=1) / before[used, 0]
    quiet = used[np.argsort(excess, kind="stable")[: used.size // 3]]
    return float((after - locked)[quiet, 0].sum() / before[quiet, 0].sum())
