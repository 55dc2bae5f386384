"""Owns opening recordings of other programs (and our own) as one plain value; owns no file format but
through XDF.

EDF, BDF, BrainVision, EEGLAB and FIF go through mne, which is imported only when such a file is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtloop.errors import NotReady, ValidationProblem
from rtloop.model.samples import F32
from rtloop.record.folder import SessionFolder
from rtloop.record.xdf_read import XdfFile, XdfStream, read_xdf

#: unit as written in a stream header -> factor to µV
_TO_UV = {
    "": 1.0, "microvolts": 1.0, "microvolt": 1.0, "uv": 1.0, "µv": 1.0, "μv": 1.0,
    "millivolts": 1e3, "mv": 1e3, "volts": 1e6, "volt": 1e6, "v": 1e6, "nanovolts": 1e-3, "nv": 1e-3,
}  # fmt: skip
_VOLTAGES = ("EEG", "EOG", "EMG", "ECG", "REF")
_MNE_READERS = {
    ".edf": "read_raw_edf", ".bdf": "read_raw_bdf", ".vhdr": "read_raw_brainvision",
    ".set": "read_raw_eeglab", ".fif": "read_raw_fif",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording in memory: ``data`` float32[n_channels, n_samples], µV for voltages, as stored for the
    rest.

    ``types`` are "EEG", "EOG", "EMG", "ECG", "TRIG" or "misc"; ``events`` are (seconds after the first
    sample, label).
    """

    data: F32
    rate_hz: float
    names: tuple[str, ...]
    types: tuple[str, ...]
    events: tuple[tuple[float, str], ...]
    origin: str = ""

    def __post_init__(self) -> None:
        if self.data.ndim != 2 or self.data.dtype != np.float32:
            raise ValueError("Recording.data must be float32[n_channels, n_samples]")
        if not len(self.names) == len(self.types) == self.data.shape[0]:
            raise ValueError("Recording.names and types must fit the data")

    @property
    def duration_s(self) -> float:
        return float(self.data.shape[1] / self.rate_hz)


def read_recording(path: str | Path) -> Recording:
    """Open a recording by its suffix; a session folder means its recording.xdf.

    Raises ValidationProblem for a file that cannot be understood, NotReady when mne is needed and absent.
    """
    path = Path(path)
    if path.is_dir():
        path = SessionFolder(path=path).recording
    if path.suffix.lower() in (".eeg", ".vmrk"):
        path = path.with_suffix(".vhdr")
    if not path.is_file():
        raise ValidationProblem(
            f"there is no recording {path}", expected="a file, or the folder of a session"
        )
    suffix = path.suffix.lower()
    if suffix == ".xdf":
        return _from_xdf(path)
    if suffix not in _MNE_READERS:
        raise ValidationProblem(
            f"{path.name} is of no known kind", expected=", ".join([".xdf", *_MNE_READERS]),
            found=suffix or "no suffix", todo="convert it, for example to BrainVision",
        )  # fmt: skip
    return _through_mne(path, _MNE_READERS[suffix])


def _clean(name: str) -> str:
    return name.strip().rstrip(".")


def eeg_stream(path: Path, file: XdfFile) -> XdfStream:
    """The one stream of type EEG, else the one numeric stream; ValidationProblem when there is not exactly one."""
    numeric = [s for s in file.streams if not s.text and s.rate_hz > 0 and s.count]
    eeg = [s for s in numeric if s.kind.upper() == "EEG"] or numeric
    if len(eeg) != 1:
        raise ValidationProblem(
            f"{path.name} holds {len(eeg)} EEG streams with samples", expected="exactly one",
            found=", ".join(f"{s.name} ({s.kind}, {s.count} samples)" for s in file.streams) or "no stream",
            todo="keep the amplifier's stream only",
        )  # fmt: skip
    return eeg[0]


def _from_xdf(path: Path) -> Recording:
    file = read_xdf(path)
    stream = eeg_stream(path, file)
    types = tuple(_type(t) for t in (stream.types if any(stream.types) else ("EEG",) * len(stream.labels)))
    data = np.ascontiguousarray(stream.data.T, dtype=np.float32)
    for row, (kind, unit) in enumerate(zip(types, stream.units, strict=True)):
        if kind in _VOLTAGES:
            data[row] *= np.float32(microvolts_per(unit, stream.labels[row], path))
    start_s = float(stream.stamps_s[0]) + _offset_s(stream)
    events = sorted(
        (float(t) + _offset_s(s) - start_s, text)
        for s in file.streams
        if s.text and s.name != "rtloop-recorder"
        for t, text in zip(s.stamps_s, s.texts, strict=True)
    )
    return Recording(
        data=data, rate_hz=stream.rate_hz, names=tuple(_clean(n) for n in stream.labels), types=types,
        events=tuple(events), origin=str(path),
    )  # fmt: skip


def microvolts_per(unit: str, label: str, path: Path) -> float:
    """Factor from a unit as written in a stream header to µV; ValidationProblem names the channel of an unknown one."""
    found = _TO_UV.get(unit.strip().lower())
    if found is None:
        raise ValidationProblem(
            f"the channel {label} of {path.name} has an unknown unit",
            expected="volts, mV, µV or nV",
            found=repr(unit),
        )
    return found


def _offset_s(stream: XdfStream) -> float:
    """Median clock offset of a stream, seconds: robust, and enough to line up streams of one recording."""
    values = [v for _, v in stream.clock_offsets if np.isfinite(v)]
    return float(np.median(values)) if values else 0.0


def _type(kind: str) -> str:
    up = kind.strip().upper()
    if up in ("EEG", "EOG", "EMG", "ECG"):
        return up
    return "TRIG" if up in ("TRIG", "TRIGGER", "STIM", "STI", "TTL", "MARKER", "MARKERS") else "misc"


def _through_mne(path: Path, reader: str) -> Recording:
    try:
        import mne
    except ImportError as err:
        raise NotReady(
            f"{path.name} needs mne to be read", expected="mne", found=str(err),
            todo="pip install 'rtloop[recordings]'",
        ) from err  # fmt: skip
    try:
        raw: Any = getattr(mne.io, reader)(path, preload=False, verbose="error")
        volts = raw.get_data(verbose="error")
    except Exception as err:  # mne raises whatever the format's own parser raises
        raise ValidationProblem(
            f"{path.name} cannot be read as continuous EEG", expected=f"a file for mne's {reader}",
            found=str(err), todo="check that all of its files are there, and that it is not cut into epochs",
        ) from err  # fmt: skip
    types = tuple(_type(t) for t in raw.get_channel_types())
    factors = np.array([1e6 if t in _VOLTAGES else 1.0 for t in types])
    rate_hz = float(raw.info["sfreq"])
    shift_s = float(raw.first_time) if raw.annotations.orig_time is not None else 0.0
    events = [
        (float(onset) - shift_s, str(label))
        for onset, label in zip(raw.annotations.onset, raw.annotations.description, strict=True)
    ]
    for row, kind in enumerate(types):
        if kind == "TRIG":
            events += _edges(volts[row], rate_hz)
    return Recording(
        data=np.ascontiguousarray(volts * factors[:, None], dtype=np.float32), rate_hz=rate_hz,
        names=tuple(_clean(n) for n in raw.ch_names), types=types,
        events=tuple(sorted(events)), origin=str(path),
    )  # fmt: skip


def _edges(codes: Any, rate_hz: float) -> list[tuple[float, str]]:
    """Steps of a trigger channel to a new value other than its lowest."""
    at = np.flatnonzero((np.diff(codes) != 0) & (codes[1:] > codes.min())) + 1
    return [(float(i) / rate_hz, f"{codes[i]:g}") for i in at]
