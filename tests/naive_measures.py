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


def dwpli2(s):
    """s complex[n_trials, ...] cross-spectrum -> dwPLI² along the first axis, summed over pairs of trials."""
    im = s.imag
    above, below = 0.0, 0.0
    for j in range(len(im)):
        for k in range(len(im)):
            if j != k:
                above = above + im[j] * im[k]
                below = below + np.abs(im[j] * im[k])
    return above / below


def shift_predictor(a):
    """[n_pairs, n_points]: x of a trial, y of the next."""
    x, y = np.triu_indices(a.shape[1], 1)
    return np.array([dwpli2(a[:-1, i] * np.conj(a[1:, j])) for i, j in zip(x, y, strict=True)])


def evoked_subtracted(a):
    """[n_pairs, n_points]; NaN is missing."""
    rest = np.where(np.isnan(a), 0, a - np.nanmean(a, axis=0))
    x, y = np.triu_indices(a.shape[1], 1)
    return np.array([dwpli2(rest[:, i] * np.conj(rest[:, j])) for i, j in zip(x, y, strict=True)])


def imaginary_coherence(a):
    """[n_pairs, n_points], signed; NaN is missing."""
    out = []
    for i, j in zip(*np.triu_indices(a.shape[1], 1), strict=True):
        both = ~np.isnan(a[:, [i, j]]).any(axis=(1, 2))
        x, y = a[both, i], a[both, j]
        out.append(
            np.imag(np.mean(x * np.conj(y), axis=0))
            / np.sqrt(np.mean(abs(x) ** 2, axis=0) * np.mean(abs(y) ** 2, axis=0))
        )
    return np.array(out)


def ersp_db(after, before):
    """|A|² [n_trials, n_channels, ...] -> dB per channel, mean over channels."""
    return (10 * np.log10(after.mean(axis=0) / before.mean(axis=0))).mean(axis=0)


def pcist(x, times, baseline, response, k=1.2, min_snr=1.1, max_var=99.0, steps=100):
    """One matrix per component and threshold, as the definition is read."""

    def cut(v, span):
        return v[..., (times >= span[0] - 1e-9) & (times <= span[1] + 1e-9)]

    values, vectors = np.linalg.eigh(cut(x, response) @ cut(x, response).T)
    values, vectors = values[::-1], vectors[:, ::-1]
    total, chosen = 0.0, 0.0
    for value, direction in zip(values, vectors.T, strict=True):
        if 100 * chosen / values.sum() >= max_var:
            break
        chosen += value
        c = direction @ x
        base, resp = cut(c, baseline), cut(c, response)
        if np.sqrt(np.mean(resp**2)) <= min_snr * np.sqrt(np.mean(base**2)):
            continue
        db, dr = abs(base[:, None] - base), abs(resp[:, None] - resp)
        best = 0.0
        for limit in np.linspace(np.median(db), dr.max(), steps):
            nst = [np.sum((d <= limit)[:, 1:] != (d <= limit)[:, :-1]) / len(d) ** 2 for d in (dr, db)]
            best = max(best, nst[0] - k * nst[1])
        total += best * resp.size
    return total


def wavelet_power(x, times, at, hz, cycles, sigmas):
    """|A|² [..., n_instants] of x [..., n_times], one instant and one sample at a time."""
    sigma = cycles / (2 * np.pi * hz)
    out = []
    for t0 in at:
        lag = times - t0
        use = np.abs(lag) <= sigmas * sigma + 1e-9
        g = np.exp(-0.5 * (lag[use] / sigma) ** 2)
        h = g * np.exp(-2j * np.pi * hz * lag[use])
        h = h - g * h.sum() / g.sum()
        h = h * 2 / abs(np.sum(h * np.exp(2j * np.pi * hz * lag[use])))
        out.append(abs(x[..., use] @ h) ** 2)
    return np.stack(out, axis=-1)
