"""Owns a recording of any program (and our own) as one plain value in memory, to look at; owns no file format.

What opens the file is what replays it (rtloop.record.read_open.opened); rates and lengths that no chain takes are shown too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtloop.model.samples import F32
from rtloop.record.read_open import OpenChannel, OpenRecording, opened

_PIECE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording in memory: ``data`` float32[n_channels, n_samples], µV for voltages, as stored for the
    rest.

    ``types`` are "EEG", "EOG", "EMG", "ECG", "TRIG" or "misc"; ``events`` are (seconds after the first
    sample, label); ``notes``: what one who looks at it must know.
    """

    data: F32
    rate_hz: float
    names: tuple[str, ...]
    types: tuple[str, ...]
    events: tuple[tuple[float, str], ...]
    origin: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.data.ndim != 2 or self.data.dtype != np.float32:
            raise ValueError("Recording.data must be float32[n_channels, n_samples]")
        if not len(self.names) == len(self.types) == self.data.shape[0]:
            raise ValueError("Recording.names and types must fit the data")

    @property
    def duration_s(self) -> float:
        return float(self.data.shape[1] / self.rate_hz)


def read_recording(path: str | Path, *, stream: str | None = None) -> Recording:
    """Open a recording by its suffix; a session folder means its recording.xdf.

    Raises ValidationProblem for a file that cannot be understood, NotReady when mne is needed and absent.
    """
    rec = opened(path, stream=stream)
    data = np.empty((len(rec.channels), rec.n_samples), np.float32)
    piece = max(1, round(_PIECE_S * rec.rate_hz))
    for first in range(0, rec.n_samples, piece):
        count = min(piece, rec.n_samples - first)
        data[:, first : first + count] = rec.frames(first, count).T
    return Recording(
        data=data, rate_hz=rec.rate_hz, names=tuple(c.name for c in rec.channels),
        types=tuple(_type(c) for c in rec.channels), events=_events(rec), origin=str(rec.path),
        notes=tuple(f"DAMAGED: {words}" for words in rec.damage[:3]) + rec.notes,
    )  # fmt: skip


def _type(channel: OpenChannel) -> str:
    return "ECG" if channel.written.upper() == "ECG" else channel.kind.value


def _events(rec: OpenRecording) -> tuple[tuple[float, str], ...]:
    """Everything that the file says of a moment: events, what is marked BAD, what does not join, our own journal."""
    found = [(m.sample, m.name) for m in (*rec.marks, *rec.journal)] + [
        (s.first, s.name) for s in rec.stretches
    ]
    return tuple((sample / rec.rate_hz, name) for sample, name in sorted(found))
