"""Connectivity after N pulses: our running sums against mne-connectivity on the same analytic signal.

Run as a script; prints a table of medians and ratios, asserts nothing about time.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import time

import numpy as np

from rtloop.measures.connectivity import RunningConnectivity
from rtloop.measures.scopes import weights
from rtloop.model.estimate import MEASURES
from rtloop.model.montage import Montage, names_for

BANDS = {"alpha": slice(0, 32), "low_beta": slice(32, 64), "high_beta": slice(64, 128)}
CHANNELS, POINTS = 64, 128


def median_ms(action, repeats: int) -> float:
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        spent.append(time.perf_counter() - start)
    return 1e3 * float(np.median(spent))


def peer_ms(a) -> tuple[float, np.ndarray]:
    import mne
    from mne_connectivity import spectral_connectivity_epochs

    info = mne.create_info(CHANNELS, 1000.0, "eeg")
    spectrum = mne.time_frequency.EpochsSpectrumArray(a, info, freqs=np.arange(1.0, POINTS + 1))
    pairs = np.triu_indices(CHANNELS, 1)
    start = time.perf_counter()
    con = spectral_connectivity_epochs(
        spectrum, method=["wpli2_debiased", "wpli", "plv", "ppc"], indices=pairs, verbose="error"
    )
    spent = 1e3 * (time.perf_counter() - start)
    return spent, np.stack([c.get_data() for c in con])


def main() -> None:
    rng = np.random.default_rng(0)
    montage = Montage.from_names(names_for(CHANNELS))
    w = weights(montage.positions_m, np.ones(CHANNELS * (CHANNELS - 1) // 2, dtype=bool), (0, 1, 2, 3))
    print(f"{CHANNELS} channels, {w.shape[1]} pairs, {POINTS} points in 3 bands; ms, medians")
    print("   N   add+val     read    both   mne-conn     ratio   LOO dwPLI2+wPLI   LOO all   max |diff|")
    for n in (10, 60, 200):
        a = rng.standard_normal((n, CHANNELS, POINTS)) + 1j * rng.standard_normal((n, CHANNELS, POINTS))
        a = a.astype(np.complex64)
        r = RunningConnectivity(CHANNELS, BANDS, capacity=n)
        for i in range(n):
            r.add(i, a[i].real, a[i].imag)

        def again(r=r) -> None:
            r.reinstate(0)

        spent = []
        for _ in range(15):
            r.remove(0)
            start = time.perf_counter()
            again()
            spent.append(time.perf_counter() - start)
        add = 1e3 * float(np.median(spent))
        values = median_ms(r.pair_values, 15)
        lagged = median_ms(lambda r=r: r.without_each(w, lagged_only=True), 3)
        everything = median_ms(lambda r=r: r.without_each(w), 3)
        theirs, points = peer_ms(a.astype(np.complex128))
        ours = r.pair_values()
        wanted = np.stack([points[..., b].mean(axis=-1) for b in BANDS.values()], axis=-1)
        diff = max(np.abs(ours[m] - wanted[k]).max() for k, m in enumerate(MEASURES))
        both = add + values
        print(
            f"{n:4d} {add:8.3f} {values:8.3f} {both:7.3f} {theirs:10.0f} {theirs / both:8.0f}x"
            f" {lagged:18.1f} {everything:9.1f} {diff:12.1e}"
        )


if __name__ == "__main__":
    main()
