"""Owns the compiled loops over an epoch kept as rows, one row per instant; owns no matrix and no limit.

Rows are the order in which the ring holds the samples: nothing is transposed before the rate is low, and every
loop runs over the channels of one row, so that it is a vector operation for any channel count (rows are padded
to whole vector registers, ``padded``) and a channel that is no number stays alone.
"""

from __future__ import annotations

import numpy as np

from rtloop.jit import kernel
from rtloop.model.samples import F32, I64, Bool

_ROWS = "float32[:,::1]"


def padded(n_channels: int) -> int:
    """Length of a row that holds so many channels."""
    return 16 * -(-n_channels // 16)


@kernel(
    f"void(Array(float32, 1, 'C', True), int64, int64, int64, int64[:,::1], int64, int64, {_ROWS}, float32[::1], {_ROWS})"
)
def load(
    flat: F32, step: int, n: int, origin: int, stretches: I64, first: int, stop: int, rows: F32, spread: F32, moments: F32
) -> None:  # fmt: skip
    """Copy rows of ``n`` channels that begin every ``step`` numbers of ``flat``, each channel less its own sample
    in row ``origin`` (a mV offset would cost digits); ``spread``: mean size outside the gaps, NaN or inf if any
    sample is; ``moments`` float32[2, n or more]: sums over the rows [first, stop), which lie in one stretch, of the values and
    of their squares."""
    total, square = moments[0], moments[1]
    total[:] = np.float32(0.0)
    square[:] = np.float32(0.0)
    at = flat[origin * step : origin * step + n]
    for c in range(n):
        spread[c] = np.float32(0.0)
    count, done = 0, 0
    for s in range(stretches.shape[0]):
        for i in range(done, stretches[s, 0]):
            source, target = flat[i * step : i * step + n], rows[i]
            for c in range(n):
                target[c] = source[c] - at[c]
        done = stretches[s, 1]
        count += done - stretches[s, 0]
        fours = done - (done - stretches[s, 0]) % 4
        for i in range(stretches[s, 0], fours, 4):  # loops of one line each: no more fit into the registers
            k = i * step
            s0, s1 = flat[k : k + n], flat[k + step : k + step + n]
            s2, s3 = flat[k + 2 * step : k + 2 * step + n], flat[k + 3 * step : k + 3 * step + n]
            t0, t1, t2, t3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
            for c in range(n):
                t0[c] = s0[c] - at[c]
            for c in range(n):
                t1[c] = s1[c] - at[c]
            for c in range(n):
                t2[c] = s2[c] - at[c]
            for c in range(n):
                t3[c] = s3[c] - at[c]
            for c in range(n):
                spread[c] += (abs(t0[c]) + abs(t1[c])) + (abs(t2[c]) + abs(t3[c]))
            if first <= i and i + 4 <= stop:
                for c in range(n):
                    total[c] += (t0[c] + t1[c]) + (t2[c] + t3[c])
                for c in range(n):
                    square[c] += (t0[c] * t0[c] + t1[c] * t1[c]) + (t2[c] * t2[c] + t3[c] * t3[c])
            else:
                for j in range(max(i, first), min(i + 4, stop)):
                    target = rows[j]
                    for c in range(n):
                        total[c] += target[c]
                        square[c] += target[c] * target[c]
        for i in range(fours, done):
            source, target = flat[i * step : i * step + n], rows[i]
            for c in range(n):
                target[c] = source[c] - at[c]
                spread[c] += abs(target[c])
            if first <= i < stop:
                for c in range(n):
                    total[c] += target[c]
                    square[c] += target[c] * target[c]
    for c in range(n):
        spread[c] /= np.float32(count)


@kernel(f"void({_ROWS}, int64[::1], {_ROWS}, {_ROWS})", sums=True)
def weighted(rows: F32, first: I64, taps: F32, out: F32) -> None:
    """out[j] = sum over k of taps[j, k] rows[first[j] + k]; the number of taps is a multiple of 8."""
    for j in range(out.shape[0]):
        target, w = out[j], taps[j]
        target[:] = np.float32(0.0)
        for k in range(0, w.size, 8):
            i = first[j] + k
            x0, x1, x2, x3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
            x4, x5, x6, x7 = rows[i + 4], rows[i + 5], rows[i + 6], rows[i + 7]
            w0, w1, w2, w3, w4, w5, w6, w7 = (
                w[k],
                w[k + 1],
                w[k + 2],
                w[k + 3],
                w[k + 4],
                w[k + 5],
                w[k + 6],
                w[k + 7],
            )
            for c in range(target.size):
                target[c] += (w0 * x0[c] + w1 * x1[c] + w2 * x2[c] + w3 * x3[c]) + (
                    w4 * x4[c] + w5 * x5[c] + w6 * x6[c] + w7 * x7[c]
                )


@kernel(f"void({_ROWS}, int64, int64, float32[::1])")
def energy_about_mean(rows: F32, first: int, stop: int, energy: F32) -> None:
    """Per channel, sum over [first, stop) of the squared deviation from the mean."""
    n, at = stop - first, rows[first]
    total = np.zeros(energy.size, dtype=np.float32)
    energy[:] = np.float32(0.0)
    for i in range(first, stop):
        row = rows[i]
        for c in range(energy.size):
            d = row[c] - at[c]
            total[c] += d
            energy[c] += d * d
    for c in range(energy.size):
        energy[c] -= total[c] * total[c] / np.float32(n)


@kernel(f"void({_ROWS}, int64[::1], float32[::1])")
def strongest(rows: F32, which: I64, value: F32) -> None:
    """Per column, the value that is farthest from 0 and the row it is in (the first of equal ones)."""
    which[:] = 0
    value[:] = rows[0]
    for i in range(1, rows.shape[0]):
        row = rows[i]
        for c in range(value.size):
            if abs(row[c]) > abs(value[c]):
                value[c] = row[c]
                which[c] = i


@kernel(f"void({_ROWS}, float32[::1], int64, int64, float32[::1])")
def spread_about(rows: F32, mean: F32, first: int, stop: int, sd: F32) -> None:
    """RMS over [first, stop) of each channel minus ``mean``."""
    sd[:] = np.float32(0.0)
    for i in range(first, stop):
        row, m = rows[i], mean[i]
        for c in range(sd.size):
            d = row[c] - m
            sd[c] += d * d
    for c in range(sd.size):
        sd[c] = np.sqrt(sd[c] / np.float32(stop - first))


@kernel(f"void({_ROWS}, float32[::1], float32[::1])")
def refer(rows: F32, mean: F32, keep: F32) -> None:
    """Subtract the mean of each instant; channels of ``keep`` 0 become 0."""
    for i in range(rows.shape[0]):
        row, m = rows[i], mean[i]
        for c in range(keep.size):
            row[c] = (row[c] - m) * keep[c]


@kernel(f"float32({_ROWS}, int64[:,::1])")
def swing(rows: F32, stretches: I64) -> float:
    """Largest distance of highest and lowest value of a channel over the given stretches [first, stop)."""
    high, low = rows[stretches[0, 0]].copy(), rows[stretches[0, 0]].copy()
    for s in range(stretches.shape[0]):
        for i in range(stretches[s, 0], stretches[s, 1]):
            row = rows[i]
            for c in range(row.size):
                v = row[c]
                high[c] = v if v > high[c] else high[c]
                low[c] = v if v < low[c] else low[c]
    return (high - low).max()  # type: ignore[no-any-return]


@kernel(f"float64({_ROWS}, int64[::1], int64, boolean[::1])")
def slow_peak(rows: F32, chosen: I64, width: int, known: Bool) -> float:
    """Largest size of the mean of the ``chosen`` channels over ``width`` rows from each on, where its middle is ``known``."""
    n = rows.shape[0]
    summed = np.zeros(n + 1)
    for i in range(n):
        total = np.float32(0.0)
        for k in range(chosen.size):
            total += rows[i, chosen[k]]
        summed[i + 1] = summed[i] + total / np.float32(chosen.size)
    peak = 0.0
    for i in range(1, n - width + 1):
        if known[width // 2 + i - 1]:
            peak = max(peak, abs(summed[i + width] - summed[i]) / width)
    return peak


@kernel("void(float32[:,:,::1], float32[::1], float32[::1])")
def mean_square(along: F32, size: F32, out: F32) -> None:
    """Per column, mean over the planes of the square of the value farthest from 0, over the ``size`` of its row."""
    out[:] = np.float32(0.0)
    for w in range(along.shape[0]):
        for c in range(out.size):
            best = 0
            for i in range(1, along.shape[1]):
                if abs(along[w, i, c]) > abs(along[w, best, c]):
                    best = i
            value = along[w, best, c] / size[best]
            out[c] += value * value
    for c in range(out.size):
        out[c] /= np.float32(along.shape[0])


@kernel(f"float32({_ROWS}, int64[:,::1])")
def fast(rows: F32, stretches: I64) -> float:
    """Largest RMS of the second difference of a channel, over differences wholly inside the stretches."""
    energy = np.zeros(rows.shape[1], dtype=np.float32)
    count = 0
    for s in range(stretches.shape[0]):
        for i in range(stretches[s, 0] + 1, stretches[s, 1] - 1):
            x, y, z = rows[i - 1], rows[i], rows[i + 1]
            count += 1
            for c in range(energy.size):
                d = x[c] - np.float32(2.0) * y[c] + z[c]
                energy[c] += d * d
    return np.sqrt(energy.max() / np.float32(max(1, count)))  # type: ignore[no-any-return]


@kernel(f"void({_ROWS}, {_ROWS})")
def upright(rows: F32, out: F32) -> None:
    """Transpose to [n_channels, n_instants], in pieces that stay in the cache; the padding is left out."""
    eights = rows.shape[0] - rows.shape[0] % 8
    for i in range(0, eights, 8):
        x0, x1, x2, x3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        x4, x5, x6, x7 = rows[i + 4], rows[i + 5], rows[i + 6], rows[i + 7]
        for c in range(out.shape[0]):
            target = out[c, i : i + 8]
            target[0], target[1], target[2], target[3] = x0[c], x1[c], x2[c], x3[c]
            target[4], target[5], target[6], target[7] = x4[c], x5[c], x6[c], x7[c]
    for i in range(eights, rows.shape[0]):
        for c in range(out.shape[0]):
            out[c, i] = rows[i, c]
