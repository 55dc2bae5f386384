"""Slow, obvious twins of the measures, in complex128, from their definitions."""

from __future__ import annotations

import numpy as np


def pair_values(a, bands):
    """a complex[n_trials, n_channels, n_points] -> measure -> [n_pairs, n_bands]; NaN is missing."""
    n_ch = a.shape[1]
    out = {m: [] for m in ("dwpli2", "wpli", "plv", "ppc")}
    for i in range(n_ch):
        for j in range(i + 1, n_ch):
            s = a[:, i] * np.conj(a[:, j])
            s = s[~np.isnan(s).any(axis=1)]
            n = len(s)
            im, u = s.imag, s / np.abs(s)
            square = (im**2).sum(0)
            at = {
                "dwpli2": (im.sum(0) ** 2 - square) / (np.abs(im).sum(0) ** 2 - square),
                "wpli": np.abs(im.mean(0)) / np.abs(im).mean(0),
                "plv": np.abs(u.mean(0)),
                "ppc": (np.abs(u.sum(0)) ** 2 - n) / (n * (n - 1)),
            }
            for m, v in at.items():
                out[m].append([v[b].mean() for b in bands.values()])
    return {m: np.array(v) for m, v in out.items()}


def scores(a, bands, weights):
    """measure -> [2, n_bands]."""
    return {m: weights @ v for m, v in pair_values(a, bands).items()}


def without_each(a, bands, weights):
    """measure -> [n_trials, 2, n_bands], every score computed again from the other trials."""
    each = [scores(np.delete(a, i, axis=0), bands, weights) for i in range(len(a))]
    return {m: np.array([e[m] for e in each]) for m in each[0]}


def itc(a, bands):
    """[n_channels, n_bands]"""
    u = a / np.abs(a)
    value = np.abs(np.nanmean(u, axis=0))
    return np.stack([value[:, b].mean(axis=1) for b in bands.values()], axis=1)


def fields(x, roi, columns):
    """(GMFP, LMFP) window means of x float[n_trials, n_channels, n_times]."""
    v = x.mean(axis=0)
    gmfp = np.sqrt(((v - v.mean(axis=0)) ** 2).mean(axis=0))
    lmfp = np.sqrt((v[list(roi)] ** 2).mean(axis=0))
    return np.array([gmfp[columns].mean(), lmfp[columns].mean()])
