"""Owns which scalp patterns a muscle answer has, and the filter that takes them out (SSP-SIR); owns no running sum.

Patterns: generalised eigenvectors of the covariance just after the pulse against that before it (Fukunaga 1990),
as fields A = C_pre w. Looked for in the signal itself, or in its second difference, where muscle (above 100 Hz)
stands out and an evoked response of the cortex hardly appears: a large early response then is no pattern.
Filter: signal-space projection with source-informed reconstruction, Mutanen et al. 2016,
10.1016/j.neuroimage.2016.05.054: P = I - U U', clean = L (P L)' [(P L)(P L)']^+ P y.
"""

from __future__ import annotations

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.samples import F64

#: eigenvalues below this share of the largest one are taken as no dimension of the data
RANK_TOLERANCE = 1e-6


def rank_of(covariance: F64) -> int:
    """Dimensions with power above ``RANK_TOLERANCE`` of the largest."""
    values = np.linalg.eigvalsh(covariance)
    return int(np.count_nonzero(values > RANK_TOLERANCE * max(float(values[-1]), 1e-30)))


def patterns(after: F64, before: F64, *, ratio: float = 4.0, most: int = 6) -> tuple[F64, F64]:
    """Fields that are more than ``ratio`` times as strong after the pulse as before, the strongest first.

    Parameters
    ----------
    after, before : float64[m, m] covariances, µV² (of the signal or of its second difference)
    most : number of patterns at most

    Returns
    -------
    fields : float64[m, k], µV, columns of length 1; k may be 0
    ratios : float64[k] power after over power before
    """
    m = before.shape[0]
    if not (after.shape == before.shape == (m, m) and np.isfinite(after).all() and np.isfinite(before).all()):
        raise ValidationProblem(
            "no patterns can be looked for", expected="two finite covariances of one shape",
            found=f"{after.shape} and {before.shape}",
        )  # fmt: skip
    values, vectors = np.linalg.eigh(before)
    kept = values > RANK_TOLERANCE * max(float(values[-1]), 1e-30)
    if not kept.any():
        return np.zeros((m, 0)), np.zeros(0)
    white = vectors[:, kept] / np.sqrt(values[kept])
    ratios, turned = np.linalg.eigh(white.T @ after @ white)
    first = np.flatnonzero(ratios > ratio)[::-1][:most]
    fields = before @ (white @ turned[:, first])
    return fields / np.maximum(np.linalg.norm(fields, axis=0), 1e-30), ratios[first]


def ssp_sir(fields: F64, prior: F64, rank: int) -> F64:
    """float64[m, m]: project ``fields`` float64[m, k] out and reconstruct from sources with ``prior`` = L L'.

    rank : dimensions of the data; the pseudo-inverse is cut at rank - k. With k = 0 this is the projection on the
    ``rank`` strongest dimensions of the prior.

    Raises
    ------
    ValidationProblem : no dimension is left
    """
    m, k = fields.shape
    left = rank - k
    if not 0 < left <= m:
        raise ValidationProblem(
            "nothing is left after the projection", expected=f"fewer patterns than the rank {rank}",
            found=f"{k} patterns", todo="allow fewer patterns",
        )  # fmt: skip
    outer = np.linalg.qr(fields)[0]
    rest = np.eye(m) - outer @ outer.T
    values, vectors = np.linalg.eigh(rest @ prior @ rest)
    values, vectors = values[::-1][:left], vectors[:, ::-1][:, :left]
    real = values > 1e-12 * max(float(values[0]), 1e-30)
    inverse = (vectors[:, real] / values[real]) @ vectors[:, real].T
    return np.asarray(prior @ rest @ inverse @ rest)
