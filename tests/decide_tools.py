"""Small made-up targets for the tests of ``rtloop.decide``: signals with known coupling, facts and candidates."""

from __future__ import annotations

import numpy as np

from rtloop.decide.comparability import Comparability, Facts
from rtloop.decide.look import Candidate
from rtloop.decide.signals import TargetSignal
from rtloop.model.estimate import Estimate

BANDS = {"alpha": slice(0, 3), "low_beta": slice(3, 5), "high_beta": slice(5, 9)}
FINE = Comparability(findings=(), label="comparable")


def signal(target, n=60, *, snr=0.6, kappa=2.0, amplitude=1.0, channels=8, seed=0, bad=(), alpha=1.0, head=0):
    """One target: three sources seen by all channels, coupled by von Mises ``kappa``, in white noise of power 2."""
    rng, fixed = np.random.default_rng([seed, 1]), np.random.default_rng([head, 2])
    points = BANDS["high_beta"].stop
    fields = fixed.standard_normal((channels, 3))
    mu = np.array([0.0, 1.2, -1.9])
    phase = rng.vonmises(0.0, 2.0, (n, 1)) + np.zeros((n, 3))
    phase[:, 1:] += rng.vonmises(0.0, kappa, (n, 2))
    size = np.sqrt(2 * snr / (fields**2).sum(axis=1).mean()) * amplitude
    answer = np.einsum("cs,ns->nc", fields, np.exp(1j * (phase + mu)))[:, :, None] * size
    shape = (n, channels, points)
    after, before = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape) for _ in range(2))
    after[:, :, BANDS["alpha"]] *= alpha
    a = after + answer
    good = np.ones((n, channels), np.bool_)
    for trial, channel in bad:
        good[trial, channel] = False
    pairs = channels * (channels - 1) // 2
    weights = fixed.uniform(0.5, 1.5, pairs)
    return TargetSignal(
        target=target, re=a.real.astype(np.float32), im=a.imag.astype(np.float32),
        ongoing_re=before.real.astype(np.float32), ongoing_im=before.imag.astype(np.float32), good=good,
        bands=BANDS, weights=weights / weights.sum(),
    )  # fmt: skip


def score(value, se, n=100):
    return Estimate.normal(float(value), float(se), n=n)


def candidate(target, raw, matched=None, *, se=0.01, n=100, visits=1, matched_se=None):
    """A target as a look sees it; ``matched`` None: the same as raw."""
    m = raw if matched is None else matched
    return Candidate(
        target=target, visits=visits, raw=score(raw, se, n), matched=score(m, se if matched_se is None else matched_se, n)
    )  # fmt: skip


def facts(target, accepted=100, snr=0.6, snr_se=0.05, residue=1.0, rhythm=1.0, setup=None):
    return Facts(
        target=target, accepted=accepted, snr=Estimate.normal(snr, snr_se, n=accepted), residue=residue,
        residue_at="FT7", rhythm_change=rhythm, setup=setup or {},
    )  # fmt: skip
