"""Owns synchrony near the coil before the pulse, from samples before the pulse alone; owns no evoked measure.

Input is the raw epoch up to the gap, at its own rate, never the cleaned trial: the chain's line, bridge and
decimating filter reach across the pulse. Each instant is a Gaussian-windowed exponential (Tallon-Baudry 1996; half power
at the band's edges), blind to offset and slope, that ends before the gap begins: the latest one looks back from
there. Across trials the measures are those of ``RunningConnectivity``; within one trial the locking over its instants
(Lachaux 2000, 10.1142/S0218127400001560) is a display: with some 400 ms of a 4 Hz band it is far above 0 by chance.
Neighbours share their signal by conduction: PLV and PPC are high without interaction, dwPLI² is not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rtloop.errors import ValidationProblem
from rtloop.measures.connectivity import RunningConnectivity
from rtloop.model.estimate import BANDS_HZ
from rtloop.model.samples import F32, F64, Bool

#: assumptions of this project
SPAN_S = 0.8
INSTANTS = 16
REACH_SIGMAS = 3.0


class OngoingKernels:
    """Matrices that turn samples before the gap into the analytic signal at instants of each band.

    Parameters
    ----------
    rate_hz : of the raw samples
    n_before : samples of the epoch before the pulse
    gap_start_s : where missing data begin, negative; nothing at or after it is read
    span_s : how far back from there it is read; instants : in each of ``bands_hz``, spread evenly
    """

    def __init__(
        self, rate_hz: float, n_before: int, gap_start_s: float, *, span_s: float = SPAN_S, instants: int = INSTANTS,
        bands_hz: Mapping[str, tuple[float, float]] = BANDS_HZ,
    ) -> None:  # fmt: skip
        if not (gap_start_s < 0 and rate_hz > 0):
            raise ValidationProblem(
                "the ongoing signal must end before the pulse", expected="a gap that begins below 0 s, a rate above 0 Hz",
                found=f"{gap_start_s} s, {rate_hz} Hz",
            )  # fmt: skip
        times_s = (np.arange(n_before) - n_before) / rate_hz
        use = (times_s < gap_start_s - 1e-9) & (times_s >= gap_start_s - span_s - 1e-9)
        self.columns = slice(int(np.argmax(use)), int(np.argmax(use)) + int(use.sum()))
        t = times_s[self.columns]
        self.slices: dict[str, slice] = {}
        self.points_s: dict[str, F64] = {}
        blocks: list[npt.NDArray[np.complex128]] = []
        place = 0
        for band, (low_hz, high_hz) in bands_hz.items():
            sigma_s = sigma_of(low_hz, high_hz)
            reach_s = REACH_SIGMAS * sigma_s
            if t.size < 8 or t[-1] - t[0] < 2 * reach_s + 0.05:
                raise ValidationProblem(
                    f"too little before the pulse for the {band} band",
                    expected=f"at least {2 * reach_s + 0.05:.2f} s before the gap", found=f"{t.size / rate_hz:.2f} s",
                    todo="record a longer epoch before the pulse",
                )  # fmt: skip
            at_s = np.linspace(t[0] + reach_s, t[-1] - reach_s, instants)
            blocks.append(_kernels(t, at_s, (low_hz + high_hz) / 2, sigma_s, reach_s))
            self.slices[band], self.points_s[band] = slice(place, place + instants), at_s
            place += instants
        h = np.concatenate(blocks, axis=1)
        self._matrix: F32 = np.concatenate([h.real, h.imag], axis=1).astype(np.float32)

    @property
    def n_points(self) -> int:
        return int(self._matrix.shape[1] // 2)

    def referenced(self, raw_uv: F32, rows: tuple[int, ...], good: Bool) -> F32:
        """What is read of some rows, float32[n_rows, n_used] µV, less the mean of the good channels; bad rows are zero.

        raw_uv : float32[n_channels, n_samples] from the start of the epoch; good : bool[n_channels]
        """
        before = raw_uv[:, self.columns]
        near = good[list(rows)]
        chosen = before[list(rows)]
        chosen[~near] = 0.0  # whatever a bad channel holds
        if near.any():
            if good.all():  # one product, some 25 times faster where nothing needs to be left out
                mean = np.full(good.size, 1 / good.size, dtype=np.float32) @ before
            else:
                mean = before[good].mean(axis=0, dtype=np.float32)
            chosen[near] -= mean
        return chosen

    def analytic(self, chosen: F32) -> tuple[F32, F32]:
        """Real and imaginary parts float32[n_rows, n_points] of ``referenced`` rows, which lose their offset here."""
        chosen -= chosen.mean(axis=1, keepdims=True)  # amplifiers hold offsets of many mV
        both = chosen @ self._matrix
        n = self.n_points
        return np.ascontiguousarray(both[:, :n]), np.ascontiguousarray(both[:, n:])


def sigma_of(low_hz: float, high_hz: float) -> float:
    """SD of the Gaussian envelope in seconds whose half power lies at the edges of the band."""
    return float(np.sqrt(np.log(2.0)) / (np.pi * (high_hz - low_hz)))


class RunningOngoing:
    """Synchrony of the electrodes near the coil before the pulse, over the trials that count.

    ``sums`` (a ``RunningConnectivity`` of the rows given, over the ongoing instants) gives the measures and their
    leave-one-out; ``latest`` is the locking within the newest trial. A trial is summed by ``catch_up``, between pulses, or when
    it is first asked for: no score of its own pulse waits for it.
    """

    def __init__(self, kernels: OngoingKernels, rows: tuple[int, ...], *, capacity: int = 400) -> None:
        self.kernels, self.rows = kernels, rows
        self._sums = RunningConnectivity(len(rows), kernels.slices, capacity=capacity)
        self._latest: dict[str, float] = {}
        self._waiting: tuple[int, F32, Bool, bool] | None = None

    @property
    def sums(self) -> RunningConnectivity:
        """Of all trials that came."""
        self.catch_up()
        return self._sums

    @property
    def latest(self) -> dict[str, float]:
        """``locking_within`` the newest trial."""
        self.catch_up()
        return self._latest

    def add(self, trial_id: int, raw_uv: F32, good: Bool, *, counts: bool = True) -> None:
        """Take one raw epoch float32[n_channels, n_samples] µV; bool[n_channels] good. ``catch_up`` sums it; its errors are
        those of ``RunningConnectivity.add``."""
        self.catch_up()
        chosen = self.kernels.referenced(raw_uv, self.rows, good)
        self._waiting = trial_id, chosen, good[list(self.rows)], counts

    def catch_up(self) -> None:
        """Sum the trial that waits for it, if one does."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        trial_id, chosen, near, counts = waiting
        re, im = self.kernels.analytic(chosen)
        self._sums.add(trial_id, re, im, near, counts=counts)
        self._latest = locking_within(re[near], im[near], self.kernels.slices)


def locking_within(re: F32, im: F32, slices: dict[str, slice]) -> dict[str, float]:
    """Band -> mean over pairs of |mean over instants of S/|S||, 0 to 1, of one trial; {} with fewer than 2 rows.

    re, im : float[n_rows, n_points]
    """
    if re.shape[0] < 2:
        return {}
    a = re.astype(np.float64) + 1j * im
    size = np.abs(a)
    unit = np.divide(a, size, out=np.zeros_like(a), where=size > 0)
    x, y = np.triu_indices(re.shape[0], 1)
    return {b: float(np.abs((unit[x, s] * unit[y, s].conj()).mean(axis=1)).mean()) for b, s in slices.items()}


def _kernels(
    t: F64, at_s: F64, centre_hz: float, sigma_s: float, reach_s: float
) -> npt.NDArray[np.complex128]:
    lag = t[:, None] - at_s
    envelope = np.exp(-0.5 * (lag / sigma_s) ** 2) * (np.abs(lag) <= reach_s + 1e-9)
    h = envelope * np.exp(-2j * np.pi * centre_hz * lag)
    for k in range(at_s.size):  # blind to offset and slope
        blind = np.stack([np.ones(t.size), lag[:, k] / reach_s], axis=1)
        weighted = envelope[:, k, None] * blind
        h[:, k] -= weighted @ np.linalg.solve(blind.T @ weighted, blind.T @ h[:, k])
    return np.asarray(h * (2 / np.abs((h * np.exp(2j * np.pi * centre_hz * lag)).sum(axis=0))))
