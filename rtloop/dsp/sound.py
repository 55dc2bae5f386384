"""Owns the estimate of each electrode's own noise and the filter that removes it (SOUND); owns no running sum.

Mutanen et al. 2018, 10.1016/j.neuroimage.2017.10.021: y = L x + n, n ~ N(0, diag sigma²). Closed form from the
covariance C alone: with G = (L L' + lambda' Sigma)^-1 the channel's residual when predicted from all others has
variance (G C G)_ii / G_ii² (the leave-one-out residual of a Gaussian field, Rasmussen & Williams 2006, eq. 5.12);
that is taken as its noise and the round repeated. Clean = L L' G y. lambda' = lambda0 tr(W L L' W) / m, W = Sigma^-1/2.
Without sampling noise this is the fixed point of the original iteration, all channels updated at once.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.montage import Montage
from rtloop.model.samples import F64, Bool
from rtloop.sphere import leadfield

#: depth and number of the radial dipoles over the whole inner sphere, of which those above are used (design notes)
SOURCE_RADIUS_M, SOURCES, LOWEST_Z = 0.076, 5000, -0.5
#: noise below so small a share of the median channel's power is taken as that: bridged or copied channels
_FLOOR_SHARE = 1e-4


def prior_of(montage: Montage) -> F64:
    """L L' of radial dipoles all over the upper head: float64[n_channels, n_channels], reference at infinity,
    trace n_channels (the scale cancels in lambda')."""
    return _prior(montage.positions_m.tobytes(), montage.n_channels).copy()


@lru_cache(maxsize=8)
def _prior(positions: bytes, n: int) -> F64:
    i = np.arange(SOURCES) + 0.5  # Fibonacci sphere: even cover without chance
    z, turn = 1.0 - 2.0 * i / SOURCES, np.pi * (1.0 + np.sqrt(5.0)) * i
    ring = np.sqrt(1.0 - z * z)
    where = SOURCE_RADIUS_M * np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)[z > LOWEST_Z]
    field = leadfield(np.frombuffer(positions).reshape(n, 3), where)
    out = field @ field.T
    return np.asarray(out * (n / np.trace(out)))


def sound_noise(covariance: F64, prior: F64, *, lambda0: float = 0.1, rounds: int = 8) -> tuple[F64, float]:
    """Noise variance of each channel and lambda'.

    Parameters
    ----------
    covariance : float64[m, m], µV², of signals in the same reference as ``prior``
    prior : float64[m, m], L L'
    lambda0 : regularisation, no unit; rounds : updates of all channels

    Returns
    -------
    variance_uv2 : float64[m]; lambda_prime : float

    Raises
    ------
    ValidationProblem : shapes do not fit, or the covariance holds no signal or no numbers
    """
    m = covariance.shape[0]
    power = np.diagonal(covariance)
    middle = float(np.median(power)) if m else 0.0
    if not (covariance.shape == prior.shape == (m, m) and np.isfinite(covariance).all() and middle > 0.0):
        raise ValidationProblem(
            "no noise can be estimated",
            expected="a finite covariance with power in most channels, and a prior of the same shape",
            found=f"covariance {covariance.shape}, prior {prior.shape}, median power {middle:g} µV²",
        )
    floor = _FLOOR_SHARE * middle
    noise: F64 = np.maximum(power, floor)
    for _ in range(rounds):
        g = np.linalg.inv(prior + np.diag(_scale(noise, prior, lambda0) * noise))
        own = np.diagonal(g)
        noise = np.maximum(np.sum((g @ covariance) * g, axis=1) / (own * own), floor)
    return noise, _scale(noise, prior, lambda0)


def _scale(noise: F64, prior: F64, lambda0: float) -> float:
    """lambda' of the noise found."""
    return lambda0 * float(np.mean(np.diagonal(prior) / noise))


def sound_filter(covariance: F64, prior: F64, *, lambda0: float = 0.1, rounds: int = 8) -> F64:
    """float64[m, m]: clean = filter @ y. Arguments and errors as ``sound_noise``."""
    noise, scale = sound_noise(covariance, prior, lambda0=lambda0, rounds=rounds)
    return np.asarray(np.linalg.solve(prior + np.diag(scale * noise), prior).T)


def of_channels(prior: F64, channels: Bool) -> F64:
    """The prior of some channels, average-referenced over them."""
    some = np.flatnonzero(channels)
    out = prior[np.ix_(some, some)]
    out = out - out.mean(axis=0, keepdims=True)
    return np.asarray(out - out.mean(axis=1, keepdims=True))
