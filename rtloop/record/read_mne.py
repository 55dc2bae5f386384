"""Owns opening BrainVision, EEGLAB, EDF, BDF and FIF through mne, piece by piece; owns no parser and no judgement.

mne is imported only when such a file is opened. It gives volts; here everything leaves as µV.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from rtloop.eeg.layout import Kind
from rtloop.errors import NotReady, ValidationProblem
from rtloop.model.samples import F32
from rtloop.record.read_headers import brainvision_bad_of_channels, brainvision_torn, edf_rates
from rtloop.record.read_open import BREAK_S, Mark, OpenChannel, OpenRecording, Stretch

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

    alone = brainvision_bad_of_channels(path) if form == "BrainVision" else {}
    found, breaks, stretches = _annotations(raw, rate_hz, alone)
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
    notes += _of_channels(stretches, rate_hz)
    if form == "BrainVision":
        notes += brainvision_torn(path, n_samples)
    slower = _slower(path, rate_hz) if form in ("EDF", "BDF") else {}
    if slower:
        rows = ", ".join(f"{name} {own:g} Hz" for name, own in slower.items())
        notes += (f"sampled more slowly than the rest and drawn out to {rate_hz:g} Hz: {rows}",)
    date = raw.info["meas_date"]
    return OpenRecording(
        path=path, form=form, rate_hz=rate_hz, n_samples=n_samples, channels=_channels(raw, types, slower), frames=frames,
        marks=marks, breaks=tuple(breaks), notes=notes, stretches=tuple(stretches),
        start_utc_s=None if date is None else date.timestamp() + float(raw.first_time),
    )  # fmt: skip


def _of_channels(stretches: list[Stretch], rate_hz: float) -> tuple[str, ...]:
    """That BAD for single channels is not heeded, where there is such, in words."""
    alone = [s for s in stretches if s.bad and s.channels]
    if not alone:
        return ()
    names = ", ".join(dict.fromkeys(name for s in alone for name in s.channels))
    seconds = sum(s.end - s.first for s in alone) / rate_hz
    return (
        f"{seconds:.1f} s are marked BAD for single channels ({names}): the chain judges each channel for itself",
    )


def _slower(path: Path, rate_hz: float) -> dict[str, float]:
    """Name of a channel -> its own rate, Hz, where that is less than the recording's."""
    return {
        label: own for label, own in edf_rates(path) if own < 0.999 * rate_hz
    }  # a record may last no round time


def _unreadable(path: Path, err: Exception, at_s: float | None = None) -> ValidationProblem:
    where = "" if at_s is None else f" at {at_s:.1f} s"
    return ValidationProblem(
        f"{path.name} cannot be read as continuous EEG{where}", expected="a whole recording with all of its files",
        found=f"{type(err).__name__}: {err}"[:400],
        todo="check that its companions lie beside it, that it was copied to its end, and that it is not cut into epochs",
    )  # fmt: skip


def _channels(raw: Any, types: list[str], slower: dict[str, float]) -> tuple[OpenChannel, ...]:
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
                written=kind,
                volts=kind in _VOLTS,
                own_rate_hz=slower.get(name.strip()),
            )
        )
    return tuple(out)


def _annotations(
    raw: Any, rate_hz: float, alone: dict[tuple[int, int], set[int]]
) -> tuple[list[tuple[int, str]], list[int], list[Stretch]]:
    """(sample, name) of every event, the samples before which something is missing, and what is no event, as written.

    ``alone``: (first, samples) of what is BAD for the channels of these rows alone, where mne does not say it.
    """
    shift_s = float(
        raw.first_time
    )  # onsets count from the first sample's own time, measured on a date or not
    events: list[tuple[int, str]] = []
    breaks: set[int] = set()
    stretches: list[Stretch] = []
    rows = raw.annotations
    for onset, duration, label, names in zip(
        rows.onset, rows.duration, rows.description, rows.ch_names, strict=True
    ):
        first, name = round((float(onset) - shift_s) * rate_hz), str(label)
        count = round(float(duration) * rate_hz)
        joins = name.strip().rstrip("/").lower() not in _BREAKS
        if not joins:
            breaks.add(first)
            if name.lower() == "bad_acq_skip":  # mne fills what was not acquired with zeros
                breaks.add(first + count)
        elif not name.lower().startswith("bad"):
            events.append((first, name))
            continue
        end = first + max(1, count)
        if first < raw.n_times and end > 0:
            told = tuple(str(n) for n in names) or tuple(
                raw.ch_names[i] for i in sorted(alone.get((first, count), ())) if i < len(raw.ch_names)
            )
            stretches.append(
                Stretch(first=max(0, first), end=min(end, raw.n_times), name=name, bad=joins, channels=told)
            )
    return events, sorted(b for b in breaks if 0 < b < raw.n_times), stretches


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
