"""Owns the offline peers that begin with an independent component analysis of MNE, and the rules by which components go.

No human looks: components are chosen by the published rules of TESA (Rogasch 2017, 10.1016/j.neuroimage.2016.10.031;
``tesa_compselect``) with its default thresholds. Its rules for persistent muscle and lateral eye movement are left out: the
scenes have neither.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from methods.kinds import Batch, Cleaned
from methods.published import epochs_of, sound_of

MUSCLE_S, MUSCLE_RATIO = (0.011, 0.030), 8.0  # mean size in the window over mean size in the epoch
BLINK_NAMES, BLINK_Z = ("Fp1", "Fp2"), 2.5
NOISE_Z = 4.0  # one electrode's weight
ICA_SETTINGS = (
    "mne.preprocessing.ICA, FastICA (parallel, logcosh), full rank, every 2nd sample, epochs with offset and line taken out in "
    "place of a 1 Hz high-pass; components by TESA's rules: TMS-evoked muscle 11-30 ms ratio > 8, blink |z| > 2.5 at Fp1 and "
    "Fp2, electrode noise |z| > 4; nobody looks at them"
)


def chosen(
    average: np.ndarray, maps: np.ndarray, times_s: np.ndarray, names: tuple[str, ...]
) -> dict[str, list[int]]:
    """Components to take out, by rule.

    ``average`` float[n_components, n_times] of the sources over trials; ``maps`` float[n_channels, n_components].
    """
    at = (times_s >= MUSCLE_S[0] - 1e-9) & (times_s <= MUSCLE_S[1] + 1e-9)
    size = np.abs(average)
    muscle = np.flatnonzero(size[:, at].mean(axis=1) > MUSCLE_RATIO * size.mean(axis=1))
    z = (maps - maps.mean(axis=0)) / maps.std(axis=0)
    eyes = [names.index(n) for n in BLINK_NAMES if n in names]
    blink = np.flatnonzero(np.abs(z[eyes].mean(axis=0)) > BLINK_Z) if eyes else np.array([], dtype=int)
    noise = np.flatnonzero(np.abs(z).max(axis=0) > NOISE_Z)
    return {"muscle": muscle.tolist(), "blink": blink.tolist(), "electrode": noise.tolist()}


def _decomposed(batch: Batch) -> Cleaned:
    import mne

    epochs = epochs_of(batch)
    rank = int(
        np.linalg.matrix_rank(
            np.cov(batch.blanked_uv.transpose(1, 0, 2).reshape(len(batch.montage.names), -1)), tol=1e-4
        )
    )
    rank = min(rank, batch.montage.n_channels - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that FastICA did not settle is told in the note
        model = mne.preprocessing.ICA(
            n_components=rank, method="fastica", fit_params={"fun": "logcosh"}, max_iter=300, random_state=batch.seed,
            verbose="ERROR",
        )  # fmt: skip
        model.fit(epochs, decim=2, verbose="ERROR")
        average = model.get_sources(epochs).average(picks="all").get_data()
        out = chosen(average, model.get_components(), batch.times_s, batch.montage.names)
        clean = model.apply(
            epochs.copy(), exclude=sorted({c for some in out.values() for c in some}), verbose="ERROR"
        )
    eeg = (1e6 * clean.get_data(copy=False)).astype(np.float32)
    note = {"rank": rank, "iterations": int(model.n_iter_), **{k: len(v) for k, v in out.items()}}
    return Cleaned(eeg_uv=eeg, note=note)


#: the last two batches (with the dipole and without) and what ICA made of them: two methods begin with the same decomposition
_last: list[tuple[Batch, Cleaned]] = []


def ica(batch: Batch) -> Cleaned:
    """ICA on all trials, components out by the rules above; kept for the next method that begins so."""
    start_s = time.process_time()
    done = _decomposed(batch)
    shared = {"shared_cpu_s": time.process_time() - start_s}
    _last[:] = [*_last[-1:], (batch, Cleaned(eeg_uv=done.eeg_uv, note=done.note | shared))]
    return done


def ica_sound(batch: Batch) -> Cleaned:
    """ICA as above, then SOUND. ``shared_cpu_s`` in the note: what the decomposition took where it was there already."""
    first = next((done for known, done in _last if known is batch), None) or ica(batch)
    eeg, note = sound_of(batch, first.eeg_uv)
    return Cleaned(eeg_uv=eeg, note=first.note | note)
