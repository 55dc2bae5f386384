"""Owns the band-limited analytic signal at chosen instants; owns no measure made from it.

One complex kernel per instant, a Gaussian-windowed exponential (Morlet: Tallon-Baudry 1996; width such that
the band's edges are at half power) made blind to offset and slope. Applied as a matrix, sampled only where it
is needed. The kernels have a finite reach (``reach_s``) and are placed only where they lie wholly inside the
epoch: no sample is affected by the epoch's edges. What reaches in is stated per instant: ``gap_share`` and
``pre_share`` are the shares of the kernel's energy that lie in the bridged gap and before the pulse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.estimate import BANDS_HZ
from rtloop.model.samples import F32, F64

#: instants of one product: with more of them most of the matrix is zeros, with fewer the products are too small
TOGETHER = 16


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """What an analytic signal of one band contains that is not the response: float64[n_points] shares,
    0..1."""

    band: str
    points_s: F64
    gap_share: F64
    pre_share: F64
    reach_s: float


def band_width_s(low_hz: float, high_hz: float) -> float:
    """SD in time of the Gaussian whose power spectrum falls to one half at both band edges."""
    sigma_hz = (high_hz - low_hz) / 2 / np.sqrt(np.log(2.0))
    return float(1 / (2 * np.pi * sigma_hz))


def kernel_at(
    times_s: F64, at_s: float, *, low_hz: float, high_hz: float, reach_s: float
) -> tuple[slice, F64, F64]:
    """Columns, real and imaginary weights of one instant: unit gain (2: analytic) at the centre of the
    band."""
    a = int(np.searchsorted(times_s, at_s - reach_s - 1e-9))
    b = int(np.searchsorted(times_s, at_s + reach_s + 1e-9))
    lag = times_s[a:b] - at_s
    centre_hz, sigma_s = (low_hz + high_hz) / 2, band_width_s(low_hz, high_hz)
    envelope = np.exp(-0.5 * (lag / sigma_s) ** 2)
    h = envelope * np.exp(-2j * np.pi * centre_hz * lag)
    blind = np.stack([np.ones_like(lag), lag / reach_s])  # offset and slope
    h = h - (envelope * blind).T @ np.linalg.solve((envelope * blind) @ blind.T, blind @ h)
    h *= 2 / abs(np.sum(h * np.exp(2j * np.pi * centre_hz * lag)))
    return slice(a, b), h.real, h.imag


class BandKernels:
    """All bands of ``BANDS_HZ`` at their instants after the pulse and at as many before it.

    ``bands`` names; ``slices`` band -> columns of the output; ``points_s`` float64[n_points];
    ``leakage`` band -> Leakage. ``ongoing_slices`` and ``ongoing_s`` the same before the pulse; where the
    epoch starts too late for a band, its ongoing slice is empty.
    """

    def __init__(
        self,
        times_s: F64,
        *,
        gaps_s: tuple[tuple[float, float], ...],
        window_s: tuple[float, float],
        points: tuple[int, ...],
        max_gap_share: float,
        kernel_sigmas: float = 3.5,
        bands_hz: dict[str, tuple[float, float]] | None = None,
    ) -> None:
        bands_hz = BANDS_HZ if bands_hz is None else bands_hz
        self.bands = tuple(bands_hz)
        self.slices: dict[str, slice] = {}
        self.ongoing_slices: dict[str, slice] = {}
        self.leakage: dict[str, Leakage] = {}
        self._blocks: list[tuple[slice, F32, slice, int]] = []
        post: list[F64] = []
        pre: list[F64] = []
        for (band, (low, high)), wanted in zip(bands_hz.items(), points, strict=True):
            reach = kernel_sigmas * band_width_s(low, high)
            end = min(window_s[1], float(times_s[-1]) - reach)
            candidates = times_s[
                (times_s >= max(window_s[0], times_s[0] + reach) - 1e-9) & (times_s <= end + 1e-9)
            ]
            shares = [_shares(times_s, float(t), low, high, reach, gaps_s) for t in candidates]
            fine = [i for i, (gap, _) in enumerate(shares) if gap <= max_gap_share]
            if not fine:
                raise ValidationProblem(
                    f"no instant of the {band} band can be scored",
                    todo="record a longer epoch around the pulse",
                    expected=f"kernels of ±{1e3 * reach:.0f} ms inside the epoch, window {window_s} s",
                    found=f"epoch {times_s[0]:.3f}..{times_s[-1]:.3f} s",
                )  # fmt: skip
            chosen = np.array(fine)[np.unique(np.round(np.linspace(0, len(fine) - 1, wanted)).astype(int))]
            at = candidates[chosen]
            first_ok, last_ok = float(times_s[0]) + reach, gaps_s[0][0] - reach
            span = float(at[-1] - at[0])
            start = max(first_ok, last_ok - span)
            before = start + (at - at[0]) * (min(1.0, (last_ok - start) / span) if span > 0 else 0.0)
            if last_ok - start < 0.05:  # under 50 ms of undisturbed ongoing signal is no baseline
                before = before[:0]
            rows = times_s[np.searchsorted(times_s, before - 1e-9).clip(0, times_s.size - 1)]
            self.slices[band] = _next(post, at)
            self.ongoing_slices[band] = _next(pre, rows)
            self.leakage[band] = Leakage(
                band=band, points_s=at, reach_s=reach,
                gap_share=np.array([shares[i][0] for i in chosen]),
                pre_share=np.array([shares[i][1] for i in chosen]),
            )  # fmt: skip
            for kind, instants, where in ((0, at, self.slices[band]), (1, rows, self.ongoing_slices[band])):
                for a in range(0, instants.size, TOGETHER):
                    some = instants[a : a + TOGETHER]
                    columns, matrix = _matrix(times_s, some, low, high, reach)
                    at_columns = slice(where.start + a, where.start + a + some.size)
                    self._blocks.append((columns, matrix, at_columns, kind))
        self.points_s: F64 = np.concatenate(post)
        self.ongoing_s: F64 = np.concatenate(pre)

    def apply(self, data_uv: F32) -> tuple[F32, F32, F32, F32]:
        """Real and imaginary planes float32[n_channels, n_points] after, then before the pulse."""
        n = data_uv.shape[0]
        post = np.empty((2, n, self.points_s.size), dtype=np.float32)
        pre = np.empty((2, n, self.ongoing_s.size), dtype=np.float32)
        for columns, matrix, where, kind in self._blocks:
            both = (data_uv[:, columns] @ matrix).reshape(n, 2, -1)
            (post, pre)[kind][:, :, where] = both.transpose(1, 0, 2)
        return post[0], post[1], pre[0], pre[1]


def _next(blocks: list[F64], new: F64) -> slice:
    start = sum(b.size for b in blocks)
    blocks.append(new)
    return slice(start, start + new.size)


def _shares(
    times_s: F64,
    at_s: float,
    low: float,
    high: float,
    reach_s: float,
    gaps_s: tuple[tuple[float, float], ...],
) -> tuple[float, float]:
    columns, re, im = kernel_at(times_s, at_s, low_hz=low, high_hz=high, reach_s=reach_s)
    energy, t = re**2 + im**2, times_s[columns]
    in_gap = np.zeros(t.size, dtype=np.bool_)
    for first_s, last_s in gaps_s:
        in_gap |= (t >= first_s - 1e-9) & (t <= last_s + 1e-9)
    total = energy.sum()
    return float(energy[in_gap].sum() / total), float(energy[t < gaps_s[0][0] - 1e-9].sum() / total)


def _matrix(times_s: F64, instants: F64, low: float, high: float, reach_s: float) -> tuple[slice, F32]:
    a = int(np.searchsorted(times_s, instants[0] - reach_s - 1e-9))
    b = int(np.searchsorted(times_s, instants[-1] + reach_s + 1e-9))
    matrix = np.zeros((b - a, 2 * instants.size))
    for k, at_s in enumerate(instants):
        columns, re, im = kernel_at(times_s, float(at_s), low_hz=low, high_hz=high, reach_s=reach_s)
        rows = slice(columns.start - a, columns.stop - a)
        matrix[rows, k], matrix[rows, instants.size + k] = re, im
    return slice(a, b), np.ascontiguousarray(matrix, dtype=np.float32)
