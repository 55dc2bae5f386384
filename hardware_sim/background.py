"""Owns real recordings as ongoing EEG: reading them, choosing channels, resampling, looping without a seam.

It owns no pulse and keeps nothing on disk. Readers of MNE are loaded only when a file is opened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from rtloop.errors import NotReady, ValidationProblem
from rtloop.model.montage import Montage, position_of
from rtloop.model.samples import F32, F64

KINDS = (".edf", ".bdf", ".vhdr", ".set", ".fif", ".xdf")
_CROSS_FADE_S = 1.0
_LOOP_BYTES = 128 * 2**20


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording in memory: data float64[n_channels, n_samples], µV; ``dropped`` says in words what was left
    out.
    """

    data: F64
    rate_hz: float
    names: tuple[str, ...]
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.data.ndim != 2 or self.data.shape[0] != len(self.names):
            raise ValueError(f"data {self.data.shape} does not fit {len(self.names)} names")
        if not (math.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise ValueError(f"rate {self.rate_hz}")

    @property
    def montage(self) -> Montage:
        """The recording's own channels with idealised positions."""
        return Montage.from_names(self.names)


def known_channels(data: F64, rate_hz: float, names: list[str], types: list[str] | None = None) -> Recording:
    """Keep EEG channels whose name has a position (trailing dots dropped); list the others in words.

    ValidationProblem when fewer than 8 remain, or when a kept channel is not finite.
    """
    kept: list[int] = []
    clean: list[str] = []
    dropped: list[str] = []
    for i, raw in enumerate(names):
        name = raw.strip().rstrip(".").removeprefix("EEG ").split("-REF")[0].strip()
        kind = types[i] if types else "eeg"
        if kind != "eeg":
            dropped.append(f"{name} (typed {kind}, not EEG)")
        elif position_of(name) is None:
            dropped.append(f"{name} (no 10-5 position known)")
        elif name.upper() in (c.upper() for c in clean):
            dropped.append(f"{name} (occurs twice)")
        elif not bool(np.all(np.isfinite(data[i]))):
            dropped.append(f"{name} (not finite)")
        elif float(np.ptp(data[i])) == 0.0:
            dropped.append(f"{name} (flat)")
        else:
            kept.append(i)
            clean.append(name)
    if len(kept) < 8:
        raise ValidationProblem(
            "the recording has too few EEG channels with known positions", expected="at least 8",
            found=f"{len(kept)}: {', '.join(clean) or 'none'}; left out: {', '.join(dropped) or 'none'}",
            todo="rename the channels to 10-20, 10-10 or 10-5 names",
        )  # fmt: skip
    return Recording(data=data[kept], rate_hz=rate_hz, names=tuple(clean), dropped=tuple(dropped))


def load_background(path: str | Path) -> Recording:
    """Read EDF, BDF, BrainVision (.vhdr), EEGLAB (.set), FIF or XDF.

    Raises ValidationProblem (unknown kind, unreadable, too few channels) or NotReady (a reader is not
    installed).
    """
    file = Path(path)
    if file.suffix.lower() not in KINDS:
        raise ValidationProblem(
            f"{file.name}: unknown kind of recording", expected=", ".join(KINDS), found=file.suffix
        )
    if not file.is_file():
        raise ValidationProblem(f"there is no recording {file}", todo="check the path")
    if file.suffix.lower() == ".xdf":
        return _from_xdf(file)
    try:
        import mne
    except ImportError as err:
        raise _missing("mne", err) from err
    readers: dict[str, Any] = {
        ".edf": mne.io.read_raw_edf, ".bdf": mne.io.read_raw_bdf, ".vhdr": mne.io.read_raw_brainvision,
        ".set": mne.io.read_raw_eeglab, ".fif": mne.io.read_raw_fif,
    }  # fmt: skip
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about units, names and dates of foreign files; what matters is checked
            raw = readers[file.suffix.lower()](file, preload=True, verbose="ERROR")
    except ImportError as err:
        raise _missing("a reader of MNE", err) from err
    except Exception as err:
        raise ValidationProblem(f"{file.name} cannot be read", found=f"{type(err).__name__}: {err}") from err
    data = 1e6 * np.asarray(raw.get_data(), dtype=np.float64)
    return known_channels(data, float(raw.info["sfreq"]), list(raw.ch_names), list(raw.get_channel_types()))


def _from_xdf(file: Path) -> Recording:
    try:
        import pyxdf
    except ImportError as err:
        raise NotReady("reading XDF needs pyxdf", found=str(err), todo="pip install pyxdf") from err
    streams, _ = pyxdf.load_xdf(str(file), synchronize_clocks=False, dejitter_timestamps=False, verbose=False)
    eeg = [s for s in streams if s["info"]["type"][0] == "EEG" and len(s["time_series"])]
    if len(eeg) != 1:
        raise ValidationProblem(f"{file.name}: not one EEG stream", expected="exactly 1", found=str(len(eeg)))
    info = eeg[0]["info"]
    try:
        channels = info["desc"][0]["channels"][0]["channel"]
        names = [c["label"][0] for c in channels]
        types = [(c.get("type") or ["eeg"])[0].lower() for c in channels]
        units = [(c.get("unit") or ["microvolts"])[0] or "microvolts" for c in channels]
    except (KeyError, IndexError, TypeError) as err:
        raise ValidationProblem(f"{file.name}: its EEG stream names no channels", found=repr(err)) from err
    scale = {"v": 1e6, "volts": 1e6, "mv": 1e3, "millivolts": 1e3}
    data = np.asarray(eeg[0]["time_series"], dtype=np.float64).T
    data *= np.array([scale.get(u.lower(), 1.0) for u in units])[:, None]
    return known_channels(data, float(info["nominal_srate"][0]), names, types)


def _missing(what: str, err: ImportError) -> NotReady:
    return NotReady(
        f"reading recordings needs {what}, which is not installed",
        found=str(err),
        todo="pip install 'rtloop[recordings]'",
    )


def _whole_lengths(most: int, from_hz: float, to_hz: float) -> tuple[int, int]:
    """Lengths of the loop at both rates: whole, and quick for the FFT where the rates allow it."""
    from scipy.fft import prev_fast_len

    ratio = Fraction(to_hz / from_hz).limit_denominator(2000)
    if abs(float(ratio) * from_hz / to_hz - 1.0) > 1e-9 or most < 2 * ratio.denominator:
        return most, round(most * to_hz / from_hz)
    times = prev_fast_len(most // ratio.denominator, real=True)
    return times * ratio.denominator, times * ratio.numerator


def background_loop(recording: Recording, rate_hz: float, montage: Montage | None = None) -> F32:
    """A seamless loop at the amplifier's rate: float32[n_samples, n_channels], µV, each channel without its
    mean.

    The two ends are cross-faded over 1 s with weights cos and sin (equal power), then the loop is resampled
    by its Fourier series, which is exact for a loop: nothing above the recording's own Nyquist frequency
    appears.

    Parameters
    ----------
    montage : take these channels, in this order; None takes the recording's own. ValidationProblem lists
    missing ones.
    """
    data = recording.data
    if montage is not None:
        have = {name.upper(): i for i, name in enumerate(recording.names)}
        missing = [n for n in montage.names if n.upper() not in have]
        if missing:
            raise ValidationProblem(
                "the recording lacks channels of the montage", expected=", ".join(montage.names),
                found=f"without {', '.join(missing)}", todo="use the recording's own montage",
            )  # fmt: skip
        data = data[[have[n.upper()] for n in montage.names]]
    fade = round(_CROSS_FADE_S * recording.rate_hz)
    longest_s = _LOOP_BYTES / (4 * len(data) * rate_hz)
    n = min(data.shape[1] - fade, int(longest_s * recording.rate_hz))
    if n < 4 * fade:
        raise ValidationProblem(
            "the recording is too short to loop", expected=f"at least {5 * _CROSS_FADE_S:g} s",
            found=f"{data.shape[1] / recording.rate_hz:.2f} s",
        )  # fmt: skip
    n, n_out = _whole_lengths(n, recording.rate_hz, rate_hz)
    piece = data[:, : n + fade] - data[:, : n + fade].mean(axis=1, keepdims=True)
    angle = (np.arange(fade) + 0.5) / fade * (np.pi / 2)
    loop = piece[:, :n].copy()
    loop[:, :fade] = np.sin(angle) * piece[:, :fade] + np.cos(angle) * piece[:, n:]
    out = np.empty((n_out, len(loop)), np.float32)
    for i, channel in enumerate(loop):
        spectrum = np.fft.rfft(channel)
        wanted = np.zeros(n_out // 2 + 1, np.complex128)
        keep = min(len(spectrum), len(wanted)) - 1
        wanted[:keep] = spectrum[:keep]
        out[:, i] = np.fft.irfft(wanted, n_out) * (n_out / n)
    return out
