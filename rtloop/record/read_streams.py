"""Owns opening an XDF file (ours, LabRecorder's) as one recording: which stream is the EEG, what the others mark.

It owns no chunk of the format (rtloop.record.xdf_read) and no judgement of the samples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtloop.eeg.layout import Kind
from rtloop.errors import IntegrityProblem, ValidationProblem
from rtloop.model.samples import F32, F64
from rtloop.record.read_open import Mark, OpenChannel, OpenRecording
from rtloop.record.readers import eeg_stream, microvolts_per
from rtloop.record.recorder_loop import JOURNAL_STREAM, NOTES_STREAM
from rtloop.record.xdf_read import XdfFile, XdfStream, read_xdf

_KINDS = {
    "eeg": Kind.EEG, "eog": Kind.EOG, "emg": Kind.EMG,
    **dict.fromkeys(("trig", "trigger", "stim", "sti", "ttl", "marker", "markers"), Kind.TRIG),
}  # fmt: skip
#: a step of the stamps this far off the sample period is a break (jitter of a network is less)
_BREAK_S = 0.25


def open_xdf(path: Path) -> OpenRecording:
    """Open a file with exactly one EEG stream; its samples are in memory (float32), converted to µV piece by piece.

    Text streams become marks (not exact: they came on a line of their own), our own journal and notes do not.
    Raises ValidationProblem: no XDF, none or several EEG streams, an unknown unit, damage beyond a torn tail.
    """
    try:
        file = read_xdf(path)
    except IntegrityProblem as err:
        raise ValidationProblem(
            f"{path.name} cannot be read", expected="an XDF file", found=str(err), todo="choose another file"
        ) from err
    if file.problems:
        raise ValidationProblem(
            f"{path.name} is damaged", expected="whole chunks", found="; ".join(file.problems[:3]),
            todo="take another copy of it; of a session of ours, rtloop verify tells more",
        )  # fmt: skip
    stream = eeg_stream(path, file)
    kinds = tuple(_KINDS.get(t.strip().lower(), Kind.MISC if t.strip() else Kind.EEG) for t in stream.types)
    factors = np.array(
        [
            microvolts_per(unit, label, path) if kind in (Kind.EEG, Kind.EOG, Kind.EMG) else 1.0
            for kind, unit, label in zip(kinds, stream.units, stream.labels, strict=True)
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
            OpenChannel(name=label.strip().rstrip("."), kind=kind, position_m=_metres(place))
            for label, kind, place in zip(stream.labels, kinds, places, strict=True)
        ),
        marks=_marks(file, stamps), breaks=breaks, stamps_s=stamps, notes=tuple(notes),
    )  # fmt: skip


def _metres(place_mm: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
    return None if place_mm is None else (place_mm[0] * 1e-3, place_mm[1] * 1e-3, place_mm[2] * 1e-3)


def _offset_s(stream: XdfStream) -> float:
    """Median clock offset of a stream, s: robust, and enough to line up streams of one recording."""
    values = [v for _, v in stream.clock_offsets if np.isfinite(v)]
    return float(np.median(values)) if values else 0.0


def _marks(file: XdfFile, stamps: F64) -> tuple[Mark, ...]:
    found = sorted(
        (float(t) + _offset_s(s), text)
        for s in file.streams
        if s.text and s.name not in (JOURNAL_STREAM, NOTES_STREAM)
        for t, text in zip(s.stamps_s, s.texts, strict=True)
        if np.isfinite(t)
    )
    last = len(stamps) - 1
    return tuple(
        Mark(sample=min(int(np.searchsorted(stamps, t)), last), t_s=t, name=text, exact=False)
        for t, text in found
    )
