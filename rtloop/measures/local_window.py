"""Owns synchrony near the coil over one window of samples, without a pulse, and whether the window may be used; owns no limit of
its own and no stream.

The signal is averaged in blocks to about 1 kHz (what lies within 12 Hz of a whole kHz comes down into the alpha band as 1.2 % at
most), referred to the mean of the good channels, and made analytic at instants two widths of the kernel apart
(``OngoingKernels``): nothing but the window is read. Over the instants: "plv" |mean S/|S|| (Lachaux 2000,
10.1142/S0218127400001560) and "dwpli2", the debiased squared weighted phase lag index (Vinck 2011,
10.1016/j.neuroimage.2011.01.055), each the mean over the pairs. Neighbours share their signal by conduction: their PLV rises with
the power of any rhythm that reaches both; that of dwPLI² does not. The instants are not wholly independent (neighbours share
e^-1 of their signal), so neither is 0 on average without coupling: compare with the same measure at other times only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.measures.ongoing import REACH_SIGMAS, OngoingKernels, locking_within, sigma_of
from rtloop.model.estimate import BANDS_HZ
from rtloop.model.montage import Montage
from rtloop.model.samples import F32, F64, Bool

MEASURES = ("plv", "dwpli2")
N_LOCAL = 4  # docs/decisions/0017
#: the farthest of them may lie so far from the place; an assumption: on a 10-10 montage the fourth is about 40 mm away
REACH_M = 0.060
WORK_HZ = 1000.0
#: fast activity is read as if it were at this frequency, as for trials (rtloop.dsp.quality)
FAST_HZ = 150.0
#: a channel that varies more than this, and more than so many times the median channel, is bad (as for trials)
SD_MIN_UV, SD_RATIO = 30.0, 5.0
#: one that is nearer to the mean of all has no signal of its own (as for trials)
OWN_UV = 0.05


@dataclass(frozen=True, kw_only=True)
class Found:
    """Of one window. ``value`` None: no value, by ``reason``. ``numbers``: what was judged, µV, as far as it came."""

    value: float | None
    reason: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


class LocalWindow:
    """Measures windows of one length.

    Parameters
    ----------
    point_m : float64[3], the place whose 4 nearest electrodes are meant; none is replaced by a farther one
    band : of BANDS_HZ; measure : of MEASURES
    swing_uv_max : peak to peak of one of these electrodes, without its straight line; fast_uv_max : RMS of its second difference
        over the gain of that at 150 Hz
    """

    def __init__(
        self, montage: Montage, point_m: F64, rate_hz: float, *, band: str, measure: str, window_s: float,
        swing_uv_max: float, fast_uv_max: float,
    ) -> None:  # fmt: skip
        self.rows = montage.nearest(point_m, N_LOCAL)
        self.names = tuple(montage.names[r] for r in self.rows)
        away_m = np.linalg.norm(montage.positions_m[list(self.rows)] - point_m, axis=1)
        if len(self.rows) < N_LOCAL or not away_m.max() <= REACH_M:
            found = ", ".join(f"{n} {1e3 * d:.0f} mm" for n, d in zip(self.names, away_m, strict=True))
            raise ValidationProblem(
                "the stream has too few electrodes near the place that gates the trains",
                expected=f"{N_LOCAL} electrodes within {1e3 * REACH_M:.0f} mm", found=found or "none",
                todo="use a montage with more electrodes there, or name another place in [gate] near",
            )  # fmt: skip
        self._all = montage.names
        self._block = max(1, round(rate_hz / WORK_HZ))
        self.rate_hz = rate_hz / self._block
        n = round(window_s * self.rate_hz)
        #: raw samples of a window
        self.samples = n * self._block
        self.measure, self._swing, self._fast = measure, swing_uv_max, fast_uv_max
        self._gain = float(4 * np.sin(np.pi * FAST_HZ / self.rate_hz) ** 2)
        sigma_s = sigma_of(*BANDS_HZ[band])
        self.instants = int((n / self.rate_hz - 2 * REACH_SIGMAS * sigma_s) / (2 * sigma_s)) + 1
        self.kernels = OngoingKernels(
            self.rate_hz, n, -0.5 / self.rate_hz, span_s=n / self.rate_hz, instants=self.instants,
            bands_hz={band: BANDS_HZ[band]},
        )  # fmt: skip
        t = np.arange(n) - (n - 1) / 2
        self._line = (t / np.linalg.norm(t)).astype(np.float32)

    def of(self, uv: F32) -> Found:
        """One window, float32[samples, n_channels] µV, sample-major, any reference. What it holds is not changed."""
        if uv.shape != (self.samples, len(self._all)):
            raise ValueError(f"a window of {uv.shape}, not {(self.samples, len(self._all))}")
        finite: Bool = np.asarray(np.isfinite(uv).all(axis=0))
        near = list(self.rows)
        if not finite[near].all():
            return self._none(self._which(~finite), "no number in")
        x = np.where(finite, uv, np.float32(0)) if not finite.all() else uv
        x = x.reshape(-1, self._block, x.shape[1]).mean(axis=1, dtype=np.float32)
        x -= x.mean(axis=0)
        good, sd = _good(x, finite)
        if not good[near].all():
            return self._none(self._which(~good), "bad:", {"sd_uv": float(sd[near].max())})
        chosen = self.kernels.referenced(np.ascontiguousarray(x.T), self.rows, good)
        chosen -= chosen.mean(axis=1, keepdims=True)
        flat = chosen - (chosen @ self._line)[:, None] * self._line
        swing = flat.max(axis=1) - flat.min(axis=1)
        fast = np.sqrt(np.mean(np.diff(flat, 2, axis=1) ** 2, axis=1)) / self._gain
        numbers = {"swing_uv": float(swing.max()), "fast_uv": float(fast.max())}
        for found, limit, what in (
            (swing, self._swing, "a swing at"),
            (fast, self._fast, "fast activity (muscle) at"),
        ):
            if not found.max() <= limit:
                return self._none((self.names[int(np.argmax(found))],), what, numbers)
        re, im = self.kernels.analytic(chosen)
        value = locking(re, im, self.kernels.slices) if self.measure == "plv" else dwpli2_within(re, im)
        return Found(value=value, numbers=numbers)

    def _which(self, wrong: Bool) -> tuple[str, ...]:
        return tuple(self._all[r] for r in self.rows if wrong[r])

    @staticmethod
    def _none(names: tuple[str, ...], why: str, numbers: Mapping[str, float] | None = None) -> Found:
        return Found(value=None, reason=f"{why} {', '.join(names)}", numbers=numbers or {})


def locking(re: F32, im: F32, slices: dict[str, slice]) -> float:
    """PLV over the instants of the one band there is, mean over pairs."""
    (value,) = locking_within(re, im, slices).values()
    return value


def dwpli2_within(re: F32, im: F32) -> float:
    """Debiased squared weighted phase lag index over the instants, mean over pairs, -1 to 1: float[n_rows, n_points] each.

    A pair without any imaginary part counts as 0: it shows no lag.
    """
    a = re.astype(np.float64) + 1j * im
    x, y = np.triu_indices(a.shape[0], 1)
    part = (a[x] * a[y].conj()).imag
    square = np.sum(part**2, axis=1)
    above, below = part.sum(axis=1) ** 2 - square, np.abs(part).sum(axis=1) ** 2 - square
    return float(np.mean(np.divide(above, below, out=np.zeros_like(above), where=below > 0)))


def _good(x: F32, finite: Bool) -> tuple[Bool, F64]:
    """Channels with a signal of their own that is not wild, and the SD about the mean of the good ones, µV.

    x : float32[n, n_channels] without its means; the rule of trials (rtloop.dsp.quality.Judge.channels)
    """
    good, sd = finite & (np.ptp(x, axis=0) > 0), np.zeros(x.shape[1])
    for _ in range(4):
        if not good.any():
            break
        about = x - x[:, good].mean(axis=1, keepdims=True)
        sd = about.std(axis=0, dtype=np.float64)
        limit = max(SD_MIN_UV, SD_RATIO * float(np.median(sd[good])))
        fine = good & (sd >= OWN_UV) & (sd <= limit)
        if (fine == good).all():
            break
        good = fine
    return good, sd
