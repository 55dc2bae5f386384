"""Owns opening BrainVision, EEGLAB, EDF, BDF and FIF through mne, piece by piece; owns no parser and no judgement.

mne is imported only when such a file is opened. It gives volts; here everything leaves as µV.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from rtloop.eeg.layout import Kind
from rtloop.errors import NotReady, ValidationProblem
from rtloop.model.samples import F32
from rtloop.record.read_open import BREAK_S, Mark, OpenChannel, OpenRecording

#: suffix -> (mne's reader, name of the format)
SUFFIXES = {
    ".vhdr": ("read_raw_brainvision", "BrainVision"),
    ".set": ("read_raw_eeglab", "EEGLAB"),
    ".edf": ("read_raw_edf", "EDF"),
    ".bdf": ("read_raw_bdf", "BDF"),
    ".fif": ("read_raw_fif", "FIF"),
}
INSTALL = "pip install 'rtloop[recordings]'"
#: mne's channel types that are voltages at electrodes
_KINDS = {"eeg": Kind.EEG, "eog": Kind.EOG, "emg": Kind.EMG, "stim": Kind.TRIG}
_VOLTS = ("eeg", "eog", "emg", "ecg", "bio", "seeg", "ecog", "dbs")
#: events that say: what follows does not join what was before
_BREAKS = ("new segment", "boundary", "bad boundary", "edge boundary", "bad_acq_skip")
_PIECE_S = 10.0


def open_through_mne(path: Path) -> OpenRecording:
    """Open one file; only its header is read now (an EEGLAB file with its samples inside is read whole).

    Raises ValidationProblem in words for what mne cannot read, NotReady when mne is not installed.
    """
    reader, form = SUFFIXES[path.suffix.lower()]
    try:
        import mne
    except ImportError as err:
        raise NotReady(
            f"{path.name} needs mne to be read",
            expected="the extra [recordings]",
            found=str(err),
            todo=INSTALL,
        ) from err
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            raw: Any = getattr(mne.io, reader)(path, preload=False, verbose="warning")
        except Exception as err:  # mne raises whatever the format's own parser raises
            raise _unreadable(path, err) from err
    rate_hz, n_samples = float(raw.info["sfreq"]), int(raw.n_times)
    types = raw.get_channel_types()
    factors = np.array([1e6 if t in _VOLTS else 1.0 for t in types])

    def frames(first: int, count: int) -> F32:
        """float32[count, n_channels], µV for voltages."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                volts = raw.get_data(start=first, stop=first + count, verbose="error")
        except Exception as err:
            raise _unreadable(path, err, first / rate_hz) from err
        if volts.shape[1] != count:
            raise _unreadable(path, ValueError(f"{volts.shape[1]} of {count} samples"), first / rate_hz)
        return np.ascontiguousarray((volts * factors[:, None]).T, dtype=np.float32)

    found, breaks, bad_s = _annotations(raw, rate_hz)
    for row, kind in enumerate(types):
        if kind == "stim":
            found += _edges(raw, row, rate_hz)
    marks = tuple(
        Mark(sample=s, t_s=s / rate_hz + BREAK_S * int(np.searchsorted(breaks, s, side="right")), name=name)
        for s, name in sorted(found)
        if 0 <= s < n_samples
    )
    notes = tuple(
        dict.fromkeys(
            f"mne says: {w.message}" for w in told if not issubclass(w.category, DeprecationWarning)
        )
    )
    if bad_s > 0:
        notes += (
            f"{bad_s:.0f} s are marked BAD in the file: that is not heeded, the chain judges for itself",
        )
    if form == "BrainVision":
        notes += _brainvision_torn(path, n_samples)
    date = raw.info["meas_date"]
    return OpenRecording(
        path=path, form=form, rate_hz=rate_hz, n_samples=n_samples, channels=_channels(raw, types), frames=frames,
        marks=marks, breaks=tuple(breaks), notes=notes,
        start_utc_s=None if date is None else date.timestamp() + float(raw.first_time),
    )  # fmt: skip


def _unreadable(path: Path, err: Exception, at_s: float | None = None) -> ValidationProblem:
    where = "" if at_s is None else f" at {at_s:.1f} s"
    return ValidationProblem(
        f"{path.name} cannot be read as continuous EEG{where}", expected="a whole recording with all of its files",
        found=f"{type(err).__name__}: {err}"[:400],
        todo="check that its companions lie beside it, that it was copied to its end, and that it is not cut into epochs",
    )  # fmt: skip


def _brainvision_torn(path: Path, n_samples: int) -> tuple[str, ...]:
    """What the header promises of the samples' file and the file does not hold, in words (mne does not look)."""
    text = path.read_text(encoding="utf-8", errors="replace")
    said = {k.lower(): v.strip() for k, v in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)}
    width = {"int_16": 2, "int_32": 4, "ieee_float_32": 4}.get(said.get("binaryformat", "").lower(), 0)
    file = path.parent / said.get("datafile", "").replace("$b", path.stem)
    frame = width * int(said["numberofchannels"]) if said.get("numberofchannels", "").isdecimal() else 0
    words = []
    if frame and file.is_file() and (left := file.stat().st_size % frame):
        words.append(f"{file.name} is torn: its last {left} bytes are no whole sample of all channels")
    points = said.get("datapoints", "")
    if points.isdecimal() and int(points) > n_samples:
        words.append(f"{file.name} is torn: its header promises {points} samples, it holds {n_samples}")
    return tuple(words)


def _channels(raw: Any, types: list[str]) -> tuple[OpenChannel, ...]:
    places: dict[str, Any] = {}
    montage = raw.get_montage()
    if montage is not None:
        places = montage.get_positions()["ch_pos"] or {}
    out = []
    p: Any
    for name, kind in zip(raw.ch_names, types, strict=True):
        p = places.get(name)
        fits = p is not None and np.isfinite(p).all() and np.any(p)
        out.append(
            OpenChannel(
                name=name.strip().rstrip("."),
                kind=_KINDS.get(kind, Kind.MISC),
                position_m=(float(p[0]), float(p[1]), float(p[2])) if fits else None,
            )
        )
    return tuple(out)


def _annotations(raw: Any, rate_hz: float) -> tuple[list[tuple[int, str]], list[int], float]:
    """(sample, name) of every event, the samples before which something is missing, seconds marked BAD otherwise."""
    shift_s = float(
        raw.first_time
    )  # onsets count from the first sample's own time, measured on a date or not
    events: list[tuple[int, str]] = []
    breaks: set[int] = set()
    bad_s = 0.0
    for onset, duration, label in zip(
        raw.annotations.onset, raw.annotations.duration, raw.annotations.description, strict=True
    ):
        sample, name = round((float(onset) - shift_s) * rate_hz), str(label)
        if name.strip().rstrip("/").lower() in _BREAKS:
            breaks.add(sample)
            if name.lower() == "bad_acq_skip":  # mne fills what was not acquired with zeros
                breaks.add(sample + round(float(duration) * rate_hz))
        elif name.lower().startswith("bad"):
            bad_s += float(duration)
        else:
            events.append((sample, name))
    return events, sorted(b for b in breaks if 0 < b < raw.n_times), bad_s


def _edges(raw: Any, row: int, rate_hz: float) -> list[tuple[int, str]]:
    """Steps of a trigger channel to a value above its lowest, named "channel/value"."""
    piece = round(_PIECE_S * rate_hz)
    name, last, found = str(raw.ch_names[row]), np.nan, []
    low = np.inf
    for first in range(0, raw.n_times, piece):
        codes = raw.get_data(picks=[row], start=first, stop=min(first + piece, raw.n_times), verbose="error")[
            0
        ]
        steps = np.flatnonzero(np.diff(codes, prepend=last if first else codes[0]) != 0)
        found += [(first + int(i), float(codes[i])) for i in steps]
        low, last = min(low, float(codes.min())), codes[-1]
    return [(i, f"{name}/{value:g}") for i, value in found if value > low]
