"""Slow, obvious twins of the noise matching, in complex128, from the text of the design note."""

from __future__ import annotations

import naive_measures
import numpy as np


def _complex(s):
    a, b = s.re + 1j * s.im.astype(float), s.ongoing_re + 1j * s.ongoing_im.astype(float)
    a[~s.good], b[~s.good] = np.nan, np.nan
    return a, b


def snr(s):
    a, b = _complex(s)
    out = []
    for band in s.bands.values():
        after = np.nanmean(np.nanmean(np.abs(a[:, :, band]) ** 2, axis=(1, 2)))
        before = np.nanmean(np.nanmean(np.abs(b[:, :, band]) ** 2, axis=(1, 2)))
        out.append((after - before) / before)
    return np.array(out)


def dwpli(a, s):
    return (s.weights @ naive_measures.pair_values(a, s.bands)["dwpli2"]).mean()


def score(a, s):
    value = dwpli(a, s)
    each = np.array([dwpli(np.delete(a, k, axis=0), s) for k in range(len(a))])
    return value, each


def se(each):
    n = len(each)
    return np.sqrt((n - 1) / n * ((each - each.mean()) ** 2).sum())


def matched(signals, shifts, floor=0.02):
    """(value, se) of every target: A + c A_before of the trial ``shift`` on, averaged over ``shifts[target]``."""
    ratio = np.maximum([snr(s) for s in signals], floor)
    out = []
    for k, s in enumerate(signals):
        a, b = _complex(s)
        c = np.sqrt(ratio[k] / ratio.min(axis=0) - 1)
        values, eaches = [], []
        for shift in shifts[k]:
            noisy = a.copy()
            for j, band in enumerate(s.bands.values()):
                for i in range(len(a)):
                    noisy[i, :, band] += c[j] * b[(i + shift) % len(a)][:, band]
            value, each = score(noisy, s)
            values.append(value)
            eaches.append(each)
        out.append((np.mean(values), se(np.mean(eaches, axis=0))))
    return out
