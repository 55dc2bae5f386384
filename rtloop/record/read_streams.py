"""Owns opening an XDF file (ours, LabRecorder's) as one recording: which stream is the EEG, what the others mark.

It owns no chunk of the format (rtloop.record.xdf_read) and no judgement of the samples.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rtloop.eeg.layout import Kind
from rtloop.errors import IntegrityProblem, ValidationProblem
from rtloop.model.samples import F32, F64
from rtloop.record.read_open import Mark, OpenChannel, OpenRecording
from rtloop.record.recorder_loop import JOURNAL_STREAM, NOTES_STREAM
from rtloop.record.xdf_read import XdfFile, XdfStream, read_xdf

_KINDS = {
    "eeg": Kind.EEG, "eog": Kind.EOG, "emg": Kind.EMG,
    **dict.fromkeys(("trig", "trigger", "stim", "sti", "ttl", "marker", "markers"), Kind.TRIG),
}  # fmt: skip
#: unit as written in a stream header -> factor to µV
_TO_UV = {
    "": 1.0, "microvolts": 1.0, "microvolt": 1.0, "uv": 1.0, "µv": 1.0, "μv": 1.0,
    "millivolts": 1e3, "mv": 1e3, "volts": 1e6, "volt": 1e6, "v": 1e6, "nanovolts": 1e-3, "nv": 1e-3,
}  # fmt: skip
#: a step of the stamps this far off the sample period is a break (jitter of a network is less)
_BREAK_S = 0.25


def open_xdf(path: Path, name: str | None = None) -> OpenRecording:
    """Open the EEG stream of a file; its samples are in memory (float32), converted to µV piece by piece.

    Text streams become marks (not exact: they came on a line of their own); our own journal is kept apart.
    Raises ValidationProblem: no XDF, none or several EEG streams and no ``name`` of one, an unknown unit.
    """
    try:
        file = read_xdf(path)
    except IntegrityProblem as err:
        raise ValidationProblem(
            f"{path.name} cannot be read", expected="an XDF file", found=str(err), todo="choose another file"
        ) from err
    stream = eeg_stream(path, file, name)
    kinds = tuple(_KINDS.get(t.strip().lower(), Kind.MISC if t.strip() else Kind.EEG) for t in stream.types)
    volts = tuple(
        kind in (Kind.EEG, Kind.EOG, Kind.EMG)
        or (t.strip().lower() == "ecg" and unit.strip().lower() in _TO_UV)
        for kind, t, unit in zip(kinds, stream.types, stream.units, strict=True)
    )
    factors = np.array(
        [
            microvolts_per(unit, label, path) if is_volts else 1.0
            for is_volts, unit, label in zip(volts, stream.units, stream.labels, strict=True)
        ],
        dtype=np.float32,
    )

    def frames(first: int, count: int) -> F32:
        """float32[count, n_channels], µV for voltages."""
        return np.ascontiguousarray(stream.data[first : first + count].astype(np.float32) * factors)

    stamps: F64 = stream.stamps_s + _offset_s(stream)
    places = stream.places_mm or (None,) * len(stream.labels)
    steps = np.diff(stamps) - 1.0 / stream.rate_hz
    breaks = tuple(int(i) + 1 for i in np.flatnonzero(~(np.abs(steps) <= _BREAK_S)))
    notes = []
    if file.torn_tail_bytes:
        notes.append(
            f"the file is torn: its last {file.torn_tail_bytes} bytes are no whole chunk and were left out"
        )
    if not any(t.strip() for t in stream.types):
        notes.append(
            "the stream does not say what its channels are: all count as EEG unless their names say otherwise"
        )
    return OpenRecording(
        path=path, form="XDF", rate_hz=stream.rate_hz, n_samples=stream.count, frames=frames,
        channels=tuple(
            OpenChannel(
                name=label.strip().rstrip("."), kind=kind, position_m=_metres(place), written=written.strip(), volts=is_volts
            )
            for label, kind, place, written, is_volts in zip(stream.labels, kinds, places, stream.types, volts, strict=True)
        ),
        marks=_marks(file, stamps, lambda s: s.name not in (JOURNAL_STREAM, NOTES_STREAM)), breaks=breaks, stamps_s=stamps,
        notes=tuple(notes), journal=_marks(file, stamps, lambda s: s.name == JOURNAL_STREAM), damage=file.problems,
    )  # fmt: skip


def eeg_stream(path: Path, file: XdfFile, name: str | None = None) -> XdfStream:
    """The numeric stream called ``name``, else the one of type EEG, else the one numeric stream.

    ValidationProblem names all streams when there is not exactly one.
    """
    numeric = [s for s in file.streams if not s.text and s.rate_hz > 0 and s.count]
    eeg = [s for s in numeric if s.kind.upper() == "EEG"] or numeric
    if name is not None:
        eeg = [s for s in numeric if s.name == name]
    if len(eeg) != 1:
        what = "EEG streams" if name is None else f"streams called {name!r}"
        raise ValidationProblem(
            f"{path.name} holds {len(eeg)} {what} with samples", expected="exactly one",
            found=", ".join(f"{s.name} ({s.kind}, {s.count} samples)" for s in file.streams) or "no stream",
            todo="name the amplifier's stream with --stream NAME, or keep that stream only",
        )  # fmt: skip
    return eeg[0]


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


def _metres(place_mm: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
    return None if place_mm is None else (place_mm[0] * 1e-3, place_mm[1] * 1e-3, place_mm[2] * 1e-3)


def _offset_s(stream: XdfStream) -> float:
    """Median clock offset of a stream, s: robust, and enough to line up streams of one recording."""
    values = [v for _, v in stream.clock_offsets if np.isfinite(v)]
    return float(np.median(values)) if values else 0.0


def _marks(file: XdfFile, stamps: F64, wanted: Callable[[XdfStream], bool]) -> tuple[Mark, ...]:
    found = sorted(
        (float(t) + _offset_s(s), text)
        for s in file.streams
        if s.text and wanted(s)
        for t, text in zip(s.stamps_s, s.texts, strict=True)
        if np.isfinite(t)
    )
    last = len(stamps) - 1
    return tuple(
        Mark(sample=min(int(np.searchsorted(stamps, t)), last), t_s=t, name=text, exact=False)
        for t, text in found
    )
