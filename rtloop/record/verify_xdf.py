"""Owns the check of one recording.xdf: chunks, counts, gaps, stamps, checkpoints; owns no view of the
journal."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rtloop.errors import IntegrityProblem
from rtloop.record.recorder_loop import JOURNAL_STREAM, NOTES_STREAM
from rtloop.record.xdf_read import XdfFile, XdfStream, read_xdf


class Out(Protocol):
    """Where findings go (``verify.Findings``)."""

    counts: dict[str, int]

    def fact(self, words: str) -> None: ...
    def note(self, words: str) -> None: ...
    def problem(self, words: str) -> None: ...
    def explained(self, words: str) -> None: ...
    def left_open(self, words: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class RecordedFile:
    """What the journal is compared with. ``end_sample``: index after the last recorded sample."""

    end_sample: int
    journal_hashes: tuple[str, ...]
    journal_bytes: int


def check_recording(path: Path, out: Out) -> RecordedFile | None:
    """Walk the file; None when it cannot be used at all."""
    try:
        file = read_xdf(path)
        eeg = _eeg(file)
        lines, notes_stream = file.stream(JOURNAL_STREAM), file.stream(NOTES_STREAM)
    except IntegrityProblem as err:
        out.problem(str(err))
        return None
    for words in file.problems:
        out.problem(f"recording: {words}")
    notes = _notes(notes_stream, out)
    end_sample = _check_rows(eeg, notes, out)
    if file.torn_tail_bytes:
        out.explained(f"recording: the last chunk is torn ({file.torn_tail_bytes} bytes); never acknowledged")
    for stream in file.streams:
        _check_stream(stream, out)
    _check_checkpoints(path, notes, out)
    return RecordedFile(
        end_sample=end_sample,
        journal_hashes=tuple(_hash_of(t) for t in lines.texts),
        journal_bytes=sum(len(t.encode()) + 1 for t in lines.texts),
    )


def _eeg(file: XdfFile) -> XdfStream:
    found = [s for s in file.streams if not s.text]
    if len(found) != 1:
        raise IntegrityProblem(f"the recording holds {len(found)} sample streams", expected="exactly one")
    return found[0]


def _notes(stream: XdfStream, out: Out) -> list[dict[str, Any]]:
    notes = []
    for text in stream.texts:
        try:
            notes.append(dict(json.loads(text)))
        except (ValueError, TypeError):
            out.problem(f"recording: a note of the recorder cannot be read: {text[:80]!r}")
    return notes


def _check_rows(eeg: XdfStream, notes: list[dict[str, Any]], out: Out) -> int:
    started = [n for n in notes if n.get("note") == "started"]
    gaps = [n for n in notes if n.get("note") == "gap"]
    first = int(started[0]["first_sample"]) if started else 0
    if not started:
        out.explained("recording: the recorder left no note of its start; samples are counted from 0")
    lost = sum(int(g["count"]) for g in gaps)
    end = first + eeg.count + lost
    out.counts |= {"samples": eeg.count, "gaps": len(gaps), "lost_samples": lost}
    length = f" = {eeg.count / eeg.rate_hz:.1f} s at {eeg.rate_hz:g} Hz" if eeg.rate_hz > 0 else ""
    what = f"{eeg.count} samples of {len(eeg.labels)} channels{length}"
    out.fact(f"recording: {what}, from index {first} to {end}")
    for gap in gaps:
        out.problem(
            f"recording: {gap['count']} samples from index {gap['first_sample']} on "
            "were overwritten before they were written"
        )
    for note in notes:
        if note.get("note") == "ended" and int(note["sample"]) != end:
            out.problem(f"recording: the recorder ended at sample {note['sample']}, the file holds {end}")
    return end


def _check_stream(stream: XdfStream, out: Out) -> None:
    bad = int(np.count_nonzero(~np.isfinite(stream.stamps_s)))
    if bad:
        out.problem(f"recording: {bad} time stamp(s) of {stream.name} are not numbers")
    elif stream.count > 1:
        back = int(np.count_nonzero(np.diff(stream.stamps_s) < 0))
        if back:
            out.note(f"recording: the stamps of {stream.name} go back {back} time(s): jitter or a step")
    if stream.footer is None:
        out.explained(f"recording: {stream.name} has no footer")
    elif int(stream.footer.get("sample_count", -1)) != stream.count:
        found = stream.footer.get("sample_count")
        out.problem(f"recording: the footer of {stream.name} counts {found}, the file holds {stream.count}")


def _check_checkpoints(path: Path, notes: list[dict[str, Any]], out: Out) -> None:
    points = [n for n in notes if n.get("note") == "checkpoint"]
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        for point in points:
            size = int(point["bytes"])
            while done < size and (part := file.read(min(1 << 20, size - done))):
                digest.update(part)
                done += len(part)
            if digest.hexdigest() != point["sha256"]:
                out.problem(f"recording: bytes before {size} were altered afterwards (SHA-256 differs)")
                break
    out.counts["checkpoints"] = len(points)


def _hash_of(line: str) -> str:
    try:
        return str(json.loads(line)["hash"])
    except (ValueError, KeyError, TypeError):
        return "unreadable"
