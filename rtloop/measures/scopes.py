"""Owns which pairs make up GLOBAL and LOCAL and with what weight; owns no pair value.

GLOBAL = sum d_ij C_ij / sum d_ij over all usable pairs (d: 3-D electrode distance); LOCAL = mean over the
usable pairs among the 4 electrodes nearest the coil. Beside it stand LOCAL 8 (the same over the 8 nearest) and
the seed score: pairs of one of the 4 nearest with any electrode that is not one of them, weighted by distance;
a different, more reliable quantity (docs/decisions/0017). A pair is usable when both its channels were good
together in at least half of the accepted trials and in no fewer than 3; the nearest electrodes are not replaced
by farther ones.
"""

from __future__ import annotations

import numpy as np

from rtloop.model.samples import F64, Bool


def usable(counts: F64, n: int) -> Bool:
    """Whether a pair or channel with ``counts`` trials of ``n`` is scored."""
    return np.asarray(counts >= max(3.0, n / 2))


def weights(positions_m: F64, pair_usable: Bool, roi: tuple[int, ...]) -> F64:
    """float64[2, n_pairs] (global, local), each summing to one, or all zero when no pair is left.

    positions_m : float64[n_channels, 3]; pair_usable : bool[n_pairs] in the order of ``numpy.triu_indices``
    """
    a, b = np.triu_indices(positions_m.shape[0], 1)
    inside = np.zeros(positions_m.shape[0], dtype=np.bool_)
    inside[list(roi)] = True
    out = np.stack(
        [np.linalg.norm(positions_m[a] - positions_m[b], axis=1), (inside[a] & inside[b]).astype(float)]
    )
    out *= pair_usable
    total = out.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(out, total, out=np.zeros_like(out), where=total > 0))


def wider_weights(positions_m: F64, pair_usable: Bool, roi: tuple[int, ...], roi_8: tuple[int, ...]) -> F64:
    """float64[2, n_pairs] (LOCAL 8, seed score), each summing to one, or all zero when no pair is left.

    roi : the electrodes of LOCAL; roi_8 : those of LOCAL 8; shapes as in ``weights``
    """
    a, b = np.triu_indices(positions_m.shape[0], 1)
    inside = np.zeros((2, positions_m.shape[0]), dtype=np.bool_)
    inside[0, list(roi)] = inside[1, list(roi_8)] = True
    out = np.stack([
        (inside[1, a] & inside[1, b]).astype(float),
        np.linalg.norm(positions_m[a] - positions_m[b], axis=1) * (inside[0, a] != inside[0, b]),
    ])  # fmt: skip
    out *= pair_usable
    total = out.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(out, total, out=np.zeros_like(out), where=total > 0))
