"""Owns the compiled loops over pairs and instants; owns no memory and no meaning of bands or scopes.

Planar arrays [n_pairs, n_points], float32 or float64; pairs in the order of ``numpy.triu_indices(n, 1)``.
S = A_x conj(A_y); U = S/|S|. A channel that is bad in a trial adds nothing to its pairs, and the pair's own
count of trials is kept, so every pair is exact over the trials it has.
Each loop writes few planes: more of them in one loop keep the compiler from vectorising it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtloop.jit import kernel

#: a denominator below this share of its own scale is rounding, not coupling: the value is 0
NOTHING = 1e-6
TILE = 8


def _both(signature: str) -> list[str]:
    """The same signature for float32 and float64 (``T``)."""
    return [signature.replace("T", t) for t in ("float32", "float64")]


@kernel(_both("void(T[:,::1], T[:,::1], T[:,::1], T[:,::1], boolean[::1])"))
def unit(re: Any, im: Any, unit_re: Any, unit_im: Any, good: Any) -> None:
    """A/|A| per channel and instant; 0 where A is 0 or the channel is bad (then A becomes 0 too)."""
    real = re.dtype.type
    one, zero = real(1), real(0)
    for c in range(re.shape[0]):
        if not good[c]:
            re[c, :] = zero
            im[c, :] = zero
        x, y, u, v = re[c], im[c], unit_re[c], unit_im[c]
        for k in range(x.size):
            size = np.sqrt(x[k] * x[k] + y[k] * y[k])
            share = np.divide(one, size if size > zero else one)
            u[k] = x[k] * share
            v[k] = y[k] * share


@kernel(_both("void(" + "T[:,::1], " * 4 + "T, boolean[::1], " + "T[:,::1], " * 5 + "T[::1])"))
def add(
    re: Any, im: Any, unit_re: Any, unit_im: Any, sign: Any, good: Any,
    s_im: Any, s_sq: Any, s_abs: Any, s_ure: Any, s_uim: Any, count: Any,
) -> None:  # fmt: skip
    """Add (sign 1) or subtract (sign -1) one trial: sums of Im S, (Im S)², |Im S|, Re U, Im U."""
    n, m = re.shape
    p = -1
    for a in range(n):
        for b in range(a + 1, n):
            p += 1
            if not (good[a] and good[b]):
                continue
            count[p] += sign
            xr, xi, yr, yi = re[a], im[a], re[b], im[b]
            p1, p2, p3 = s_im[p], s_sq[p], s_abs[p]
            for k in range(m):
                v = xi[k] * yr[k] - xr[k] * yi[k]
                p1[k] += sign * v
                p2[k] += sign * (v * v)
                p3[k] += sign * abs(v)
            ur, ui, wr, wi = unit_re[a], unit_im[a], unit_re[b], unit_im[b]
            p4, p5 = s_ure[p], s_uim[p]
            for k in range(m):
                p4[k] += sign * (ur[k] * wr[k] + ui[k] * wi[k])
                p5[k] += sign * (ui[k] * wr[k] - ur[k] * wi[k])


@kernel(
    _both("void(T[:,::1], T[:,::1], T[:,::1], T[:,::1], T[:,::1], T[::1], int64[:,::1], float64[:,:,::1])"),
    sums=True,
)
def values(
    s_im: Any, s_sq: Any, s_abs: Any, s_ure: Any, s_uim: Any, count: Any, bands: Any, out: Any
) -> None:  # fmt: skip
    """Band means of dwPLI², wPLI, PLV, PPC into float64[4, n_pairs, n_bands] (Vinck 2011, 2010; Lachaux
    1999)."""
    real = s_im.dtype.type
    one, zero, tiny = real(1), real(0), real(NOTHING)
    for p in range(s_im.shape[0]):
        n = count[p]
        for j in range(bands.shape[0]):
            first, stop = bands[j, 0], bands[j, 1]
            p1, p2, p3 = s_im[p, first:stop], s_sq[p, first:stop], s_abs[p, first:stop]
            debiased, plain = zero, zero
            for k in range(p1.size):
                d2 = p3[k] * p3[k]
                den = d2 - p2[k]
                fine = den > tiny * d2
                debiased += np.divide(p1[k] * p1[k] - p2[k], den if fine else one) * (one if fine else zero)
                some = p3[k] > zero
                plain += np.divide(abs(p1[k]), p3[k] if some else one) * (one if some else zero)
            p4, p5 = s_ure[p, first:stop], s_uim[p, first:stop]
            locked, squared = zero, zero
            for k in range(p4.size):
                r2 = p4[k] * p4[k] + p5[k] * p5[k]
                locked += np.sqrt(r2)
                squared += r2
            m = stop - first
            out[0, p, j] = debiased / m
            out[1, p, j] = plain / m
            out[2, p, j] = locked / (m * n) if n >= 1 else 0.0
            out[3, p, j] = (squared / m - n) / (n * (n - one)) if n >= 2 else 0.0


@kernel(
    _both(
        "void(T[:,:,::1], T[:,:,::1], int64[::1], T[:,::1], T[:,::1], T[:,::1], T[::1], T[:,::1], T[:,::1])"
    )
)
def without_each_lagged(
    re: Any, im: Any, slots: Any, s_im: Any, s_sq: Any, s_abs: Any, weights: Any, debiased: Any, plain: Any
) -> None:  # fmt: skip
    """Weighted sums over pairs of dwPLI² and wPLI with each trial left out, exactly.

    debiased, plain : T[n_trials, n_points], added to; pairs of weight 0 cost nothing. Pairs are walked in
    tiles so that a tile's history and sums stay in the cache.
    """
    n = re.shape[1]
    real = s_im.dtype.type
    one, zero, tiny = real(1), real(0), real(NOTHING)
    for a0 in range(0, n, TILE):
        for b0 in range(a0, n, TILE):
            for i in range(slots.size):
                slot, to_debiased, to_plain = slots[i], debiased[i], plain[i]
                for a in range(a0, min(a0 + TILE, n)):
                    for b in range(max(b0, a + 1), min(b0 + TILE, n)):
                        p = a * (2 * n - a - 1) // 2 + b - a - 1
                        w = weights[p]
                        if w == zero:
                            continue
                        xr, xi, yr, yi = re[slot, a], im[slot, a], re[slot, b], im[slot, b]
                        p1, p2, p3 = s_im[p], s_sq[p], s_abs[p]
                        for k in range(p1.size):
                            v = xi[k] * yr[k] - xr[k] * yi[k]
                            q = p2[k] - v * v
                            s = p1[k] - v
                            d = p3[k] - abs(v)
                            scale = tiny * p3[k]
                            den = d * d - q
                            fine = den > scale * p3[k]
                            to_debiased[k] += (
                                np.divide(w * (s * s - q), den if fine else one) if fine else zero
                            )
                            to_plain[k] += (
                                np.divide(w * abs(s), d if d > scale else one) if d > scale else zero
                            )


@kernel(
    _both(
        "void(T[:,:,::1], T[:,:,::1], boolean[:,::1], int64[::1],"
        "T[:,::1], T[:,::1], T[::1], T[::1], T[:,::1], T[:,::1])"
    )
)
def without_each_locked(
    unit_re: Any, unit_im: Any, good: Any, slots: Any, s_ure: Any, s_uim: Any, count: Any, weights: Any,
    locked: Any, pairwise: Any,
) -> None:  # fmt: skip
    """Weighted sums over pairs of PLV and PPC with each trial left out, exactly; shapes as above."""
    n = unit_re.shape[1]
    real = s_ure.dtype.type
    one, zero = real(1), real(0)
    for a0 in range(0, n, TILE):
        for b0 in range(a0, n, TILE):
            for i in range(slots.size):
                slot, to_locked, to_pairwise = slots[i], locked[i], pairwise[i]
                for a in range(a0, min(a0 + TILE, n)):
                    for b in range(max(b0, a + 1), min(b0 + TILE, n)):
                        p = a * (2 * n - a - 1) // 2 + b - a - 1
                        left = count[p] - (one if good[slot, a] and good[slot, b] else zero)
                        if weights[p] == zero or left < 2:
                            continue
                        w_locked = real(weights[p] / left)
                        w_pairwise = real(weights[p] / (left * (left - one)))
                        xr, xi, yr, yi = (
                            unit_re[slot, a],
                            unit_im[slot, a],
                            unit_re[slot, b],
                            unit_im[slot, b],
                        )
                        p4, p5 = s_ure[p], s_uim[p]
                        for k in range(p4.size):
                            r = p4[k] - (xr[k] * yr[k] + xi[k] * yi[k])
                            s = p5[k] - (xi[k] * yr[k] - xr[k] * yi[k])
                            r2 = r * r + s * s
                            to_locked[k] += w_locked * np.sqrt(r2)
                            to_pairwise[k] += w_pairwise * (r2 - left)


@kernel(
    "void(float32[:,:,::1], boolean[:,::1], int64[::1], float64[:,::1], float64[::1], int64,"
    "boolean[::1], boolean[::1], float64[:,:,::1])",
    sums=True,
)
def field_power(
    x: Any, good: Any, slots: Any, total: Any, count: Any, first: Any, used: Any, roi: Any, out: Any
) -> None:  # fmt: skip
    """GMFP and LMFP time courses of the average without each trial, and last of the whole average.

    out : float64[n_trials + 1, 2, n_times], µV; ``total`` float64[n_channels, n_times] starts at column
    ``first``
    """
    n_times = total.shape[1]
    s1, s2, s3 = np.zeros(n_times), np.zeros(n_times), np.zeros(n_times)
    for i in range(slots.size + 1):
        s1[:] = 0.0
        s2[:] = 0.0
        s3[:] = 0.0
        n_used, n_roi = 0, 0
        for c in range(total.shape[0]):
            if not used[c]:
                continue
            left = count[c]
            n_used += 1
            row = total[c]
            if i < slots.size and good[slots[i], c]:
                left -= 1.0
                share = 1.0 / left
                piece = x[slots[i], c, first : first + n_times]
                for t in range(n_times):
                    v = (row[t] - piece[t]) * share
                    s1[t] += v
                    s2[t] += v * v
                if roi[c]:
                    for t in range(n_times):
                        v = (row[t] - piece[t]) * share
                        s3[t] += v * v
            else:
                share = 1.0 / left
                for t in range(n_times):
                    v = row[t] * share
                    s1[t] += v
                    s2[t] += v * v
                if roi[c]:
                    for t in range(n_times):
                        v = row[t] * share
                        s3[t] += v * v
            if roi[c]:
                n_roi += 1
        for t in range(n_times):
            mean = s1[t] / n_used
            out[i, 0, t] = np.sqrt(max(0.0, s2[t] / n_used - mean * mean))
            out[i, 1, t] = np.sqrt(s3[t] / max(1, n_roi))
