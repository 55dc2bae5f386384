"""Owns the noise-matched score: every target scored as if its in-band SNR were that of the weakest; owns no verdict.

The noise that is added is the person's own baseline of other trials of the same target, so its topography and
spectrum are kept (design note DECISION section 1). What it cannot do: it takes ongoing rhythms for unchanged by
the pulse, and it cannot tell weaker coupling from a smaller response where the one causes the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rtloop.decide.lagged import channel_major, lagged_scores
from rtloop.decide.signals import TargetSignal, snr_of
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Estimate
from rtloop.model.samples import F32, F64, I64


@dataclass(frozen=True, kw_only=True)
class MatchSpec:
    """What the study fixed beforehand. All are assumptions of the design notes."""

    shifts: int = 4  # noise draws averaged
    least_shift: int = 5  # trials between a trial and the one that lends its baseline
    seed: int = 20260  # which shifts: the same for every target of one length
    snr_floor: float = 0.02
    ratio_bands: tuple[str, ...] = ()  # () each band by its own ratio; else all by the mean ratio of these

    def __post_init__(self) -> None:
        if self.shifts < 1 or self.least_shift < 1 or not self.snr_floor > 0:
            raise ValidationProblem(
                "the settings of the noise matching make no sense",
                expected="shifts >= 1, least_shift >= 1, snr_floor > 0",
                found=f"{self.shifts}, {self.least_shift}, {self.snr_floor}",
            )


@dataclass(frozen=True, kw_only=True)
class MatchedScore:
    """One target: both scores (dwPLI², pooled), plain intervals, and what was added.

    ``snr`` pooled with its SE; ``snr_by_band``, ``noise_by_band`` (c, in units of the baseline's amplitude)
    float64[n_bands]; ``shifts`` the cyclic shifts of trials used, () where nothing was added.
    """

    target: str
    raw: Estimate
    matched: Estimate
    snr: Estimate
    snr_by_band: F64
    noise_by_band: F64
    weakest_by_band: tuple[str, ...]
    shifts: tuple[int, ...]

    @property
    def words(self) -> str:
        """What was done, for the record and the screen."""
        if not self.shifts:
            return f"{self.target}: lowest SNR in every band, not altered"
        added = ", ".join(f"{c:.2f}" for c in self.noise_by_band)
        to = " / ".join(dict.fromkeys(self.weakest_by_band))
        return f"{self.target}: matched to target {to}, own baseline x {added} added (per band)"


def noise_factors(snr: F64, spec: MatchSpec, bands: Sequence[str]) -> F64:
    """c per target and band: c² = snr / lowest snr - 1, every snr at least the floor. float64[n_targets, n_bands].

    With ``ratio_bands`` one ratio, the mean over those bands, is used in all.
    """
    held = np.maximum(snr, spec.snr_floor)
    if spec.ratio_bands:
        chosen = [tuple(bands).index(b) for b in spec.ratio_bands]
        pooled = held[:, chosen].mean(axis=1, keepdims=True)
        held = np.broadcast_to(pooled, held.shape)
    return np.asarray(np.sqrt(np.maximum(held / held.min(axis=0, keepdims=True) - 1.0, 0.0)))


def shifts_for(n: int, spec: MatchSpec) -> tuple[int, ...]:
    """Cyclic shifts for ``n`` trials, sorted, distinct, each at least ``least_shift`` either way round.

    Raises ``ValidationProblem`` when there is none.
    """
    free = np.arange(spec.least_shift, n - spec.least_shift + 1)
    if free.size == 0:
        raise ValidationProblem(
            "too few trials to lend each other noise", expected=f"at least {2 * spec.least_shift}",
            found=str(n), todo="record more pulses at this target",
        )  # fmt: skip
    drawn = np.random.default_rng([spec.seed, n]).permutation(free)[: spec.shifts]
    return tuple(int(s) for s in np.sort(drawn))


def with_noise(signal: TargetSignal, factors: F64, shift: int) -> tuple[F32, F32]:
    """Planes float32[n_channels, n_trials, n_points] of A + c A_before of the trial ``shift`` places on.

    A channel that is bad in the trial or in the lending one is 0 there: that trial leaves its pairs.
    """
    lend: I64 = (np.arange(signal.n) + shift) % signal.n
    good = (signal.good & signal.good[lend])[:, :, None]
    c = np.zeros(signal.re.shape[2], dtype=np.float32)
    for factor, s in zip(factors, signal.bands.values(), strict=True):
        c[s] = factor
    re = np.where(good, signal.re + c * signal.ongoing_re[lend], np.float32(0))
    im = np.where(good, signal.im + c * signal.ongoing_im[lend], np.float32(0))
    return channel_major(re), channel_major(im)


def match(
    signals: Sequence[TargetSignal],
    spec: MatchSpec | None = None,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[MatchedScore, ...]:
    """Raw and noise-matched scores of targets that are compared with each other, in the order given.

    The standard error is the jackknife of the leave-one-out scores averaged over the shifts.

    meanwhile : called after each scoring (tens of milliseconds), so that a caller can show that it lives

    Raises
    ------
    ValidationProblem : a target twice, bands that differ, too few trials, or no power before the pulse
    """
    spec = spec or MatchSpec()
    names = [s.target for s in signals]
    if not signals or len(set(names)) != len(names):
        raise ValidationProblem("matching needs each target once", found=", ".join(names) or "none")
    if any(tuple(s.bands) != tuple(signals[0].bands) for s in signals):
        raise ValidationProblem("the targets were scored in different bands", found=", ".join(names))
    found = [snr_of(s) for s in signals]
    for name, (_, snr) in zip(names, found, strict=True):
        if not snr.present:
            raise ValidationProblem(f"{name} cannot be matched", found=snr.why_absent)
    by_band = np.stack([b for b, _ in found])
    factors = noise_factors(by_band, spec, tuple(signals[0].bands))
    weakest = tuple(names[int(i)] for i in factors.argmin(axis=0))
    out = []
    for k, signal in enumerate(signals):
        quiet = ~signal.good[:, :, None]
        raw = lagged_scores(
            channel_major(np.where(quiet, np.float32(0), signal.re)),
            channel_major(np.where(quiet, np.float32(0), signal.im)),
            signal.weights, signal.bands,
        )  # fmt: skip
        meanwhile()
        shifts = shifts_for(signal.n, spec) if factors[k].any() else ()
        parts = []
        for shift in shifts:
            parts.append(lagged_scores(*with_noise(signal, factors[k], shift), signal.weights, signal.bands))
            meanwhile()
        mean = (
            (np.mean([p[0] for p in parts], axis=0), np.mean([p[1] for p in parts], axis=0)) if parts else raw
        )
        out.append(
            MatchedScore(
                target=signal.target,
                raw=_pooled(*raw),
                matched=_pooled(*mean),
                snr=found[k][1],
                snr_by_band=by_band[k],
                noise_by_band=factors[k],
                weakest_by_band=weakest,
                shifts=shifts,
            )
        )
    return tuple(out)


def _pooled(by_band: F64, each: F64) -> Estimate:
    """Mean of the bands with the jackknife SE (Efron & Stein 1981) on the plain scale, on which decisions are
    calibrated."""
    n = each.shape[0]
    pooled = each.mean(axis=1)
    se = float(np.sqrt((n - 1) / n * ((pooled - pooled.mean()) ** 2).sum()))
    return Estimate.normal(float(by_band.mean()), se, n=n)
