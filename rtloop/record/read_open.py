"""Owns what an opened recording of any lab is: channels, marks, stretches, samples piece by piece; owns no file format.

Every format is opened by one function, ``opened`` finds it: to look at a file (rtloop.record.readers) as to replay it
(``open_recording``, which refuses what the chain cannot take).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtloop.eeg.layout import Kind
from rtloop.errors import ValidationProblem
from rtloop.model.samples import F32, F64
from rtloop.record.folder import SessionFolder

#: rates that the cleaning chain takes; below the first the pulse's edges and the gap of 14 ms cannot be told apart
RATES_HZ = (1000.0, 25000.0)
#: what stands between two pieces of a recording that do not join, where the file does not say how long it was: long enough
#: to be a seam for the clock map (0.25 s), too short for the amplifier to have been restarted (1 s)
BREAK_S = 0.3
#: a voltage channel's usual |difference| over 1 ms, µV: outside of this the unit in the file cannot be right
PLAUSIBLE_UV = (0.01, 1000.0)
#: samples in larger steps than this are told: 16 bits over a pulse of tens of mV are that coarse
COARSE_UV = 0.5


@dataclass(frozen=True, kw_only=True)
class OpenChannel:
    """One channel as the file describes it.

    Parameters
    ----------
    position_m : as in the file, metres, x right, y nose, z up, any origin
    written : the type as the file writes it ("eeg", "ECG" ...)
    volts : its samples are voltages, and leave as µV
    own_rate_hz : the rate it was sampled at, where that is less than the recording's; None: the recording's
    """

    name: str
    kind: Kind
    position_m: tuple[float, float, float] | None = None
    written: str = ""
    volts: bool = False
    own_rate_hz: float | None = None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One event. ``exact``: written by the amplifier with its samples; else a marker that came on another line."""

    sample: int
    t_s: float
    name: str
    exact: bool = True

    @property
    def names(self) -> tuple[str, str]:
        """As written, and without what stands before its first slash ("Stimulus/S  1" is also "S 1"); blanks count once."""
        full = " ".join(self.name.split())
        return full, full.partition("/")[2].strip() or full

    def is_one_of(self, patterns: tuple[str, ...]) -> bool:
        """Whether one of the regular expressions is the whole of one of its names."""
        wanted = [" ".join(p.split()) for p in patterns]
        return any(re.fullmatch(p, name) for p in wanted for name in self.names)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Samples ``first`` to before ``end`` (at least one) of which the file says something that is no event.

    ``bad``: marked BAD; else what stands before ``first`` does not join. ``channels``: it holds for these alone; empty: for all.
    """

    first: int
    end: int
    name: str
    bad: bool = True
    channels: tuple[str, ...] = ()

    def meets(self, first: int, count: int) -> bool:
        """Whether one of ``count`` samples from ``first`` on lies in it."""
        return self.first < first + count and first < self.end


@dataclass(frozen=True, kw_only=True)
class OpenRecording:
    """A recording that is read piece by piece.

    Parameters
    ----------
    frames : (first, count) -> float32[count, n_channels], C order; µV for EEG, EOG, EMG, as stored for the rest
    stamps_s : float64[n_samples], seconds on the recorder's clock; None: the sample count is the only time
    breaks : samples before which something is missing (a pause, a boundary, a cut), ascending
    start_utc_s : seconds since 1970 of the first sample, where the file says so
    notes : what a reader of the result must know, in words
    stretches : what the file marks as BAD, or says not to join, as it writes it
    journal : events of our own journal, in a recording of ours: to look at, never pulses
    damage : what of the file cannot be read, beyond a torn tail, in words
    """

    path: Path
    form: str
    rate_hz: float
    n_samples: int
    channels: tuple[OpenChannel, ...]
    frames: Callable[[int, int], F32]
    marks: tuple[Mark, ...] = ()
    breaks: tuple[int, ...] = ()
    stamps_s: F64 | None = None
    start_utc_s: float | None = None
    notes: tuple[str, ...] = ()
    stretches: tuple[Stretch, ...] = ()
    journal: tuple[Mark, ...] = ()
    damage: tuple[str, ...] = ()

    @property
    def bad(self) -> tuple[Stretch, ...]:
        """What is marked BAD for all channels; of single channels the chain judges for itself."""
        return tuple(s for s in self.stretches if s.bad and not s.channels)

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.rate_hz

    def time_of(self, sample: int) -> float:
        """Seconds of a sample: its own stamp, else by the count, with ``BREAK_S`` at every break before or at it."""
        if self.stamps_s is not None:
            return float(self.stamps_s[sample])
        return sample / self.rate_hz + BREAK_S * int(np.searchsorted(self.breaks, sample, side="right"))

    def counts(self) -> dict[str, int]:
        """Name of an event -> how often it comes, the most frequent first."""
        out: dict[str, int] = {}
        for mark in self.marks:
            out[mark.names[0]] = out.get(mark.names[0], 0) + 1
        return dict(sorted(out.items(), key=lambda row: -row[1]))


def opened(path: str | Path, *, stream: str | None = None) -> OpenRecording:
    """Open BrainVision, EEGLAB, EDF, BDF, FIF or XDF, by its suffix; a session folder means its recording.xdf.

    ``stream``: the name of the EEG stream, where an XDF file holds several.

    Raises
    ------
    ValidationProblem : no such file, no known kind, cannot be read, no such stream or several
    NotReady : mne is needed and not installed
    """
    from rtloop.record.read_mne import SUFFIXES, open_through_mne
    from rtloop.record.read_streams import open_xdf

    path = Path(path)
    if path.is_dir():
        path = SessionFolder(path=path).recording
    if path.suffix.lower() in (".eeg", ".vmrk", ".fdt"):
        path = path.with_suffix(".set" if path.suffix.lower() == ".fdt" else ".vhdr")
    if not path.is_file():
        raise ValidationProblem(
            f"there is no recording {path}", expected="a file of samples (of BrainVision the .vhdr, of EEGLAB the .set)",
            todo="name the file; its companions lie beside it",
        )  # fmt: skip
    suffix = path.suffix.lower()
    if suffix not in (".xdf", *SUFFIXES):
        raise ValidationProblem(
            f"{path.name} is of no known kind", expected=", ".join([".xdf", *SUFFIXES]),
            found=suffix or "no suffix", todo="export it to BrainVision or EEGLAB",
        )  # fmt: skip
    if suffix == ".xdf":
        return open_xdf(path, stream)
    if stream is not None:
        raise ValidationProblem(
            f"{path.name} holds no streams", expected="an .xdf file, or no --stream", found=f"--stream {stream}",
            todo="leave --stream away",
        )  # fmt: skip
    return open_through_mne(path)


def open_recording(path: str | Path, *, stream: str | None = None) -> OpenRecording:
    """``opened``, of what the chain can take.

    Raises ValidationProblem also where the file is damaged, is sampled too slowly or too fast, or holds less than a second.
    """
    rec = opened(path, stream=stream)
    path = rec.path
    if rec.damage:
        raise ValidationProblem(
            f"{path.name} is damaged", expected="whole chunks", found="; ".join(rec.damage[:3]),
            todo="take another copy of it; of a session of ours, rtloop verify tells more",
        )  # fmt: skip
    low, high = RATES_HZ
    if not low <= rec.rate_hz <= high:
        raise ValidationProblem(
            f"{path.name} is sampled at {rec.rate_hz:g} Hz", expected=f"{low:g} to {high:g} Hz",
            found="below 1 kHz the pulse smears over tens of ms and cannot be cut out"
            if rec.rate_hz < low else "more than was ever tested",
            todo="replay the recording as the amplifier wrote it, not a downsampled copy" if rec.rate_hz < low
            else "downsample it with a filter made for it",
        )  # fmt: skip
    if rec.n_samples < rec.rate_hz:
        raise ValidationProblem(
            f"{path.name} holds less than one second", expected="a continuous recording",
            found=f"{rec.n_samples} samples at {rec.rate_hz:g} Hz", todo="is it cut into epochs, or torn?",
        )  # fmt: skip
    return rec


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """What ten seconds from the middle of a recording show of its unit. ``words``: why it cannot be right; empty: it can.

    ``moves_uv``: median over channels of the median |difference| over 1 ms; ``step_uv``: median over channels of the
    smallest difference between two samples, which is the resolution of integers (a float's is far smaller).
    """

    moves_uv: float
    step_uv: float
    words: str = ""


def sampled(rec: OpenRecording, columns: tuple[int, ...], seconds: float = 10.0) -> Sampled:
    """Look at the EEG ``columns``; channels that never move do not count."""
    count = min(rec.n_samples, round(seconds * rec.rate_hz))
    x = rec.frames((rec.n_samples - count) // 2, count)[:, list(columns)]
    moving = x[:, np.isfinite(x).all(axis=0) & (np.ptp(x, axis=0) > 0)].astype(np.float64)
    if not moving.size:
        return Sampled(moves_uv=0.0, step_uv=0.0, words="every EEG channel is flat or not a number")
    lag = max(1, round(1e-3 * rec.rate_hz))
    found = float(np.median(np.median(np.abs(moving[lag:] - moving[:-lag]), axis=0)))
    steps = np.abs(np.diff(moving, axis=0))
    step = float(np.median(np.where(steps > 0, steps, np.inf).min(axis=0)))
    right = PLAUSIBLE_UV[0] <= found <= PLAUSIBLE_UV[1]
    words = "" if right else f"a channel usually moves by {found:.3g} µV within 1 ms"
    return Sampled(moves_uv=found, step_uv=step, words=words)
