"""Owns the calls of the offline peers SOUND and SSP-SIR as mne-denoise has them; owns no algorithm.

SOUND: Mutanen 2018, 10.1016/j.neuroimage.2017.10.021; SSP-SIR: Mutanen 2016, 10.1016/j.neuroimage.2016.05.068. Settings are the
package's defaults and those of its own examples (mne-denoise 0.0.3).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from methods.kinds import Batch, Cleaned

#: of the package's example: components taken out, and when
COMPONENTS, WINDOW_S = 3, (0.005, 0.050)
SOUND_SETTINGS = (
    "mne-denoise SOUND, its defaults: best reference, lambda 0.1, 5 iterations, noise from the trial average"
)
SSPSIR_SETTINGS = "mne-denoise SSPSIR as in its example: 3 components above 100 Hz, 5-50 ms"


def epochs_of(batch: Batch, eeg_uv: np.ndarray | None = None) -> Any:
    """mne.EpochsArray, V, positions of the montage, average reference already taken."""
    import mne

    data = batch.blanked_uv if eeg_uv is None else eeg_uv
    info = mne.create_info(list(batch.montage.names), batch.rate_hz, "eeg")
    places = dict(zip(batch.montage.names, batch.montage.positions_m, strict=True))
    epochs = mne.EpochsArray(
        1e-6 * data.astype(np.float64), info, tmin=float(batch.times_s[0]), verbose="ERROR"
    )
    epochs.set_montage(mne.channels.make_dig_montage(ch_pos=places, coord_frame="head"), verbose="ERROR")
    return epochs


def _back(epochs: Any) -> np.ndarray:
    return (1e6 * epochs.get_data(copy=False)).astype(np.float32)


def _sounded(epochs: Any, seed: int) -> tuple[Any, dict[str, Any]]:
    from mne_denoise.sound import SOUND

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SOUND(random_state=seed, verbose="ERROR")
        clean = model.fit_transform(epochs)
    sigma = 1e6 * model.sigmas_
    return clean, {"sigma_uv": [float(sigma.min()), float(np.median(sigma)), float(sigma.max())]}


def _sirred(epochs: Any) -> tuple[Any, dict[str, Any]]:
    from mne_denoise.sspsir import SSPSIR

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SSPSIR(n_components=COMPONENTS, art_window=WINDOW_S, verbose="ERROR")
        clean = model.fit_transform(epochs)
    return clean, {"rank": int(model.M_), "components": int(model.n_components_)}


def sound(batch: Batch) -> Cleaned:
    """SOUND on all trials."""
    clean, note = _sounded(epochs_of(batch), batch.seed)
    return Cleaned(eeg_uv=_back(clean), note=note)


def sspsir(batch: Batch) -> Cleaned:
    """SSP-SIR on all trials."""
    clean, note = _sirred(epochs_of(batch))
    return Cleaned(eeg_uv=_back(clean), note=note)


def sound_sspsir(batch: Batch) -> Cleaned:
    """SOUND, then SSP-SIR on what it left: the order of Mutanen 2022 and of TESA's examples."""
    clean, first = _sounded(epochs_of(batch), batch.seed)
    clean, second = _sirred(clean)
    return Cleaned(eeg_uv=_back(clean), note=first | second)


def sound_of(batch: Batch, eeg_uv: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """SOUND on trials that another method has cleaned."""
    clean, note = _sounded(epochs_of(batch, eeg_uv), batch.seed)
    return _back(clean), note
