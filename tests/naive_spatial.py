"""Slow, obvious twins of the spatial stage, in float64, straight from the papers' definitions."""

from __future__ import annotations

import numpy as np


def sound_noise(data, field, lambda0, rounds):
    """Mutanen 2018 with all channels updated at once: each channel predicted from the others by the Wiener filter of
    the model; the mean square of what it misses is the channel's noise. data [m, samples], field [m, sources]."""
    m = len(data)
    noise = np.mean(data**2, axis=1)
    for _ in range(rounds):
        new = np.empty(m)
        white = field / np.sqrt(noise)[:, None]
        scale = lambda0 * np.trace(white @ white.T) / m
        for i in range(m):
            others = [j for j in range(m) if j != i]
            seen = field[others]
            across = field[i] @ seen.T
            within = seen @ seen.T + scale * np.diag(noise[others])
            new[i] = np.mean((data[i] - across @ np.linalg.solve(within, data[others])) ** 2)
        noise = new
    white = field / np.sqrt(noise)[:, None]
    return noise, lambda0 * np.trace(white @ white.T) / m


def sound(data, field, lambda0, rounds):
    noise, scale = sound_noise(data, field, lambda0, rounds)
    sources = field.T @ np.linalg.solve(field @ field.T + scale * np.diag(noise), data)
    return field @ sources


def ssp_sir(data, patterns, field, rank):
    """Mutanen 2016: project out, invert the projected lead field (cut at rank - k), forward again."""
    u = np.linalg.svd(patterns, full_matrices=False)[0]
    p = np.eye(len(data)) - u @ u.T
    left, size, right = np.linalg.svd(p @ field, full_matrices=False)
    k = rank - patterns.shape[1]
    sources = right[:k].T @ ((left[:, :k].T @ (p @ data)) / size[:k, None])
    return field @ sources


def conditional_mean(data, patterns, usual):
    """What is expected of the signal, knowing it up to any amount of the patterns: the limit of a Wiener filter whose
    noise is the patterns, ever larger."""
    noise = 1e7 * np.trace(usual) * patterns @ patterns.T
    return usual @ np.linalg.solve(usual + noise, data)


def covariance(trials, good):
    """Pair by pair, over the trials in which both were good; trials: list of [m, samples], good: [trials, m]."""
    m = good.shape[1]
    out = np.zeros((m, m))
    for i in range(m):
        for j in range(m):
            both = [x[i] @ x[j] / x.shape[1] for x, g in zip(trials, good, strict=True) if g[i] and g[j]]
            out[i, j] = np.mean(both) if both else 0.0
    return out


def course_of_fields(slow, fields, metric):
    """Minimum variance course of each field, one instant after the other: argmin over s of the whitened rest."""
    values, vectors = np.linalg.eigh(metric)
    white = (vectors / np.sqrt(values)) @ vectors.T
    return np.stack([np.linalg.lstsq(white @ fields, white @ x, rcond=None)[0] for x in slow])


def running_mean(x, known, width):
    """Mean of the known samples of each window, one by one; NaN where there is none."""
    out = np.full(x.shape, np.nan)
    for i in range(len(x)):
        a = max(0, i - width // 2)
        inside = np.arange(a, min(len(x), i - width // 2 + width))
        inside = inside[known[inside]]
        if inside.size:
            out[i] = x[inside].mean(axis=0)
    return out
