"""Owns the compiled loops over pairs and instants; owns no memory and no meaning of bands or scopes.

Planar arrays [n_pairs, n_points], float32 or float64; pairs in the order of ``numpy.triu_indices(n, 1)``.
S = A_x conj(A_y); U = S/|S|. A channel that is bad in a trial adds nothing to its pairs, and the pair's own
count of trials is kept, so every pair is exact over the trials it has.
Each loop writes few planes: more of them in one loop keep the compiler from vectorising it. ``unit``, ``update``
and the leave-one-out loops are asked for by dtype, ``update(np.float32)(...)``: float32 is compiled at import,
its exact float64 twin when first asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rtloop.jit import kernel

#: a denominator below this share of its own scale is rounding, not coupling: the value is 0
NOTHING = 1e-6
#: pairs whose sums stay in the cache while the trials pass by
TILE_PAIRS = 64

Loop = Callable[..., Any]


def _twins(signature: str, *, sums: bool = False) -> Callable[[Loop], Callable[[npt.DTypeLike], Loop]]:
    """Compile for ``T`` = float32 now and for float64 when first asked for."""

    def made(loop: Loop) -> Callable[[npt.DTypeLike], Loop]:
        ready = {"float32": kernel(signature.replace("T", "float32"), sums=sums)(loop)}

        def of(dtype: npt.DTypeLike) -> Loop:
            name = np.dtype(dtype).name
            if name not in ready:
                ready[name] = kernel(signature.replace("T", name), sums=sums)(loop)
            return ready[name]

        return of

    return made


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of unset numbers that begins at a cache line: no vector of a row of 16 straddles two."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


@_twins("boolean(T[:,::1], T[:,::1], T[:,::1], T[:,::1], boolean[::1])", sums=True)
def unit(re: Any, im: Any, unit_re: Any, unit_im: Any, good: Any) -> Any:
    """A/|A| per channel and instant; 0 where A is 0 or the channel is bad (then A becomes 0 too).

    Returns whether every value of the good channels is finite.
    """
    real = re.dtype.type
    one, zero = real(1), real(0)
    nothing = zero
    for c in range(re.shape[0]):
        if not good[c]:
            re[c, :] = zero
            im[c, :] = zero
        x, y, u, v = re[c], im[c], unit_re[c], unit_im[c]
        for k in range(x.size):
            nothing += zero * x[k] + zero * y[k]  # NaN as soon as one value is none or infinite
            size = np.sqrt(x[k] * x[k] + y[k] * y[k])
            share = np.divide(one, size if size > zero else one)
            u[k] = x[k] * share
            v[k] = y[k] * share
    return nothing == zero


@kernel(sums=True)
def _band_values(
    s_im: Any, s_sq: Any, s_abs: Any, s_ure: Any, s_uim: Any, count: Any, bands: Any, start: Any, end: Any, out: Any
) -> None:  # fmt: skip
    """Band means of dwPLI², wPLI, PLV, PPC of pairs ``start .. end`` (Vinck 2011, 2010; Lachaux 1999)."""
    real = s_im.dtype.type
    one, zero, tiny = real(1), real(0), real(NOTHING)
    for p in range(start, end):
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


@_twins(
    "void("
    + "T[:,::1], " * 4
    + "T, boolean[::1], "
    + "T[:,::1], " * 5
    + "T[::1], int64[:,::1], float64[:,:,::1])",
)
def update(
    re: Any, im: Any, unit_re: Any, unit_im: Any, sign: Any, good: Any,
    s_im: Any, s_sq: Any, s_abs: Any, s_ure: Any, s_uim: Any, count: Any, bands: Any, out: Any,
) -> None:  # fmt: skip
    """Add (sign 1) or subtract (sign -1) one trial, and set the values of its pairs while their sums are at hand.

    Sums of Im S, (Im S)², |Im S|, Re U, Im U. ``out`` float64[4, n_pairs, n_bands]: band means of dwPLI², wPLI,
    PLV, PPC; a pair with a bad channel keeps its sums. Nothing is contracted here: Im S of two equal
    channels is exactly 0.
    """
    p = -1
    for a in range(re.shape[0]):
        for b in range(a + 1, re.shape[0]):
            p += 1
            if not (good[a] and good[b]):
                continue
            count[p] += sign
            xr, xi, yr, yi = re[a], im[a], re[b], im[b]
            p1, p2, p3 = s_im[p], s_sq[p], s_abs[p]
            for k in range(p1.size):
                v = xi[k] * yr[k] - xr[k] * yi[k]
                p1[k] += sign * v
                p2[k] += sign * (v * v)
                p3[k] += sign * abs(v)
            ur, ui, wr, wi = unit_re[a], unit_im[a], unit_re[b], unit_im[b]
            p4, p5 = s_ure[p], s_uim[p]
            for k in range(p4.size):
                p4[k] += sign * (ur[k] * wr[k] + ui[k] * wi[k])
                p5[k] += sign * (ui[k] * wr[k] - ur[k] * wi[k])
        start, end = p + a + 2 - re.shape[0], p + 1  # the row's pairs are still in the cache
        _band_values(s_im, s_sq, s_abs, s_ure, s_uim, count, bands, start, end, out)


@_twins("void(T[:,:,::1], T[:,:,::1], int64[:,::1], T[:,::1], T[:,::1], T[:,::1])")
def lagged_sums(re: Any, im: Any, pairs: Any, s_im: Any, s_sq: Any, s_abs: Any) -> None:
    """Add the sums of Im S, (Im S)², |Im S| of all trials [n_trials, n_rows, n_points] for chosen pairs of rows.

    pairs : int64[n_chosen, 3] as below: place in the sums and the two rows
    """
    for start in range(0, pairs.shape[0], TILE_PAIRS):
        for i in range(re.shape[0]):
            for c in range(start, min(start + TILE_PAIRS, pairs.shape[0])):
                p, a, b = pairs[c, 0], pairs[c, 1], pairs[c, 2]
                xr, xi, yr, yi = re[i, a], im[i, a], re[i, b], im[i, b]
                p1, p2, p3 = s_im[p], s_sq[p], s_abs[p]
                for k in range(p1.size):
                    v = xi[k] * yr[k] - xr[k] * yi[k]
                    p1[k] += v
                    p2[k] += v * v
                    p3[k] += abs(v)


@_twins(
    "void(T[:,:,::1], T[:,:,::1], int64[::1], int64[:,::1], T[::1], T[:,::1], T[:,::1], T[:,::1], T[:,:,::1])"
)
def without_each_lagged(
    re: Any, im: Any, slots: Any, pairs: Any, weights: Any, s_im: Any, s_sq: Any, s_abs: Any, out: Any
) -> None:  # fmt: skip
    """Weighted sums over the chosen pairs of dwPLI² and wPLI with each trial left out, exactly.

    slots : trials; pairs : int64[n_chosen, 3] place in the sums and the two channels, in an order in which
    neighbours share channels; weights : T[n_chosen]
    out : T[2, n_trials, n_points], added to
    """
    real = s_im.dtype.type
    one, zero, tiny = real(1), real(0), real(NOTHING)
    for start in range(0, pairs.shape[0], TILE_PAIRS):
        for i in range(slots.size):
            slot, to_debiased, to_plain = slots[i], out[0, i], out[1, i]
            for c in range(start, min(start + TILE_PAIRS, pairs.shape[0])):
                p, a, b, w = pairs[c, 0], pairs[c, 1], pairs[c, 2], weights[c]
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
                    some = d > scale
                    to_debiased[k] += np.divide(w * (s * s - q) if fine else zero, den if fine else one)
                    to_plain[k] += np.divide(w * abs(s) if some else zero, d if some else one)


@_twins(
    "void(T[:,:,::1], T[:,:,::1], boolean[:,::1], int64[::1], int64[:,::1], T[::1], T[:,::1], T[:,::1], T[::1],"
    "T[:,:,::1])"
)
def without_each_locked(
    unit_re: Any, unit_im: Any, good: Any, slots: Any, pairs: Any, weights: Any, s_ure: Any, s_uim: Any, count: Any,
    out: Any,
) -> None:  # fmt: skip
    """Weighted sums over the chosen pairs of PLV and PPC with each trial left out, exactly; shapes as above."""
    real = s_ure.dtype.type
    one, zero = real(1), real(0)
    for start in range(0, pairs.shape[0], TILE_PAIRS):
        for i in range(slots.size):
            slot, to_locked, to_pairwise = slots[i], out[0, i], out[1, i]
            for c in range(start, min(start + TILE_PAIRS, pairs.shape[0])):
                p, a, b = pairs[c, 0], pairs[c, 1], pairs[c, 2]
                left = count[p] - (one if good[slot, a] and good[slot, b] else zero)
                if left < 2:
                    continue
                w_locked = real(weights[c] / left)
                w_pairwise = real(weights[c] / (left * (left - one)))
                xr, xi, yr, yi = unit_re[slot, a], unit_im[slot, a], unit_re[slot, b], unit_im[slot, b]
                p4, p5 = s_ure[p], s_uim[p]
                for k in range(p4.size):
                    r = p4[k] - (xr[k] * yr[k] + xi[k] * yi[k])
                    s = p5[k] - (xi[k] * yr[k] - xr[k] * yi[k])
                    r2 = r * r + s * s
                    to_locked[k] += w_locked * np.sqrt(r2)
                    to_pairwise[k] += w_pairwise * (r2 - left)


@_twins(
    "void(T[:,:,::1], T[:,:,::1], boolean[:,::1], int64[:,::1], " + "float64[:,::1], " * 2 + "float64[:,::1])"
)
def coherence_sums(re: Any, im: Any, good: Any, pairs: Any, cross: Any, xx: Any, yy: Any) -> None:
    """Add, for pairs int64[n_pairs, 3] as above, the sums over trials of Im S and of the power of both channels, each over the
    trials in which both are good; float64[n_pairs, n_points] from trials of either dtype."""
    for start in range(0, pairs.shape[0], TILE_PAIRS):
        for i in range(re.shape[0]):
            for c in range(start, min(start + TILE_PAIRS, pairs.shape[0])):
                p, a, b = pairs[c, 0], pairs[c, 1], pairs[c, 2]
                if not (good[i, a] and good[i, b]):
                    continue
                xr, xi, yr, yi = re[i, a], im[i, a], re[i, b], im[i, b]
                p1, p2, p3 = cross[p], xx[p], yy[p]
                for k in range(p1.size):
                    u, v = np.float64(xr[k]), np.float64(xi[k])
                    s, t = np.float64(yr[k]), np.float64(yi[k])
                    p1[k] += v * s - u * t
                    p2[k] += u * u + v * v
                    p3[k] += s * s + t * t


@_twins(
    "void(T[:,:,::1], T[:,:,::1], boolean[:,::1], int64[::1], int64[:,::1], float64[::1], "
    + "float64[:,::1], " * 3
    + "float64[:,::1])"
)
def without_each_imaginary(
    re: Any, im: Any, good: Any, slots: Any, pairs: Any, weights: Any, cross: Any, xx: Any, yy: Any, out: Any
) -> None:  # fmt: skip
    """Weighted sums over the chosen pairs of |Im S| / sqrt(power of one x power of the other) with each trial left out.

    Sums as of ``coherence_sums``; power that is rounding beside that of all trials counts as none: the pair gives 0.
    out : float64[n_trials, n_points], added to
    """
    for start in range(0, pairs.shape[0], TILE_PAIRS):
        for i in range(slots.size):
            slot, to = slots[i], out[i]
            for c in range(start, min(start + TILE_PAIRS, pairs.shape[0])):
                p, a, b, w = pairs[c, 0], pairs[c, 1], pairs[c, 2], weights[c]
                share = 1.0 if good[slot, a] and good[slot, b] else 0.0
                xr, xi, yr, yi = re[slot, a], im[slot, a], re[slot, b], im[slot, b]
                p1, p2, p3 = cross[p], xx[p], yy[p]
                for k in range(p1.size):
                    u, v = np.float64(xr[k]), np.float64(xi[k])
                    s, t = np.float64(yr[k]), np.float64(yi[k])
                    x = p2[k] - share * (u * u + v * v)
                    y = p3[k] - share * (s * s + t * t)
                    fine = x > 1e-9 * p2[k] and y > 1e-9 * p3[k]
                    size = abs(p1[k] - share * (v * s - u * t))
                    to[k] += np.divide(w * size if fine else 0.0, np.sqrt(x * y if fine else 1.0))


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
