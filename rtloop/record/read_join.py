"""Owns joining recordings of one sitting, a file for each block, into one with breaks between them; owns no file format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.model.samples import F32, F64
from rtloop.record.read_open import BREAK_S, Mark, OpenRecording, Stretch

Span = tuple[int, int]


def joined(recs: Sequence[OpenRecording]) -> tuple[OpenRecording, tuple[Span, ...]]:
    """One recording after the other, in the order given, and each one's samples as (first, end).

    ValidationProblem where rate or channels differ: scores of different montages cannot be held against each other.
    """
    first = recs[0]
    if len(recs) == 1:
        return first, ((0, first.n_samples),)
    for other in recs[1:]:
        _refuse_unlike(first, other)
    ends = np.cumsum([r.n_samples for r in recs])
    starts = ends - [r.n_samples for r in recs]
    stamps, begins_s = _stamps(recs)

    def frames(at: int, count: int) -> F32:
        """float32[count, n_channels], of as many files as the piece touches."""
        parts = []
        for rec, start, end in zip(recs, starts, ends, strict=True):
            a, b = max(at, int(start)), min(at + count, int(end))
            if a < b:
                parts.append(rec.frames(a - int(start), b - a))
        return parts[0] if len(parts) == 1 else np.ascontiguousarray(np.vstack(parts))

    marks: list[Mark] = []
    breaks: list[int] = []
    stretches: list[Stretch] = []
    for rec, start, begin_s in zip(recs, starts.tolist(), begins_s, strict=True):
        breaks += [start] if start else []
        breaks += [start + b for b in rec.breaks]
        shift_s = begin_s - rec.time_of(0)
        marks += [replace(m, sample=m.sample + start, t_s=m.t_s + shift_s) for m in rec.marks]
        stretches += [replace(s, first=s.first + start, end=s.end + start) for s in rec.stretches]
    return (
        OpenRecording(
            path=first.path.with_name(" + ".join(r.path.name for r in recs)),
            form=", ".join(dict.fromkeys(r.form for r in recs)), rate_hz=first.rate_hz, n_samples=int(ends[-1]),
            channels=first.channels, frames=frames, marks=tuple(marks), breaks=tuple(breaks), stamps_s=stamps,
            start_utc_s=first.start_utc_s, notes=tuple(f"{r.path.name}: {words}" for r in recs for words in r.notes),
            stretches=tuple(stretches),
        ),
        tuple((int(a), int(b)) for a, b in zip(starts, ends, strict=True)),
    )  # fmt: skip


def _stamps(recs: Sequence[OpenRecording]) -> tuple[F64 | None, list[float]]:
    """Stamps of all samples (None: no file has any), and when each file begins, s: ``BREAK_S`` after the one before."""
    begins_s, at_s = [], recs[0].time_of(0)
    pieces: list[F64] = []
    for rec in recs:
        begins_s.append(at_s)
        if rec.stamps_s is not None:
            own: F64 = rec.stamps_s
        else:
            index = np.arange(rec.n_samples)
            own = index / rec.rate_hz + BREAK_S * np.searchsorted(rec.breaks, index, side="right")
        pieces.append(own - own[0] + at_s)
        at_s = float(pieces[-1][-1]) + 1.0 / rec.rate_hz + BREAK_S
    if all(rec.stamps_s is None for rec in recs):
        return None, begins_s
    return np.concatenate(pieces), begins_s


def _refuse_unlike(first: OpenRecording, other: OpenRecording) -> None:
    here, there = [c.name for c in first.channels], [c.name for c in other.channels]
    if first.rate_hz != other.rate_hz:
        raise ValidationProblem(
            f"{first.path.name} and {other.path.name} are sampled differently", expected=f"{first.rate_hz:g} Hz",
            found=f"{other.rate_hz:g} Hz", todo="replay them one by one",
        )  # fmt: skip
    if here != there:
        apart = [f"{a or 'none'} / {b or 'none'}" for a, b in _pairs(here, there) if a != b]
        raise ValidationProblem(
            f"{first.path.name} and {other.path.name} have different channels", expected="the same names in the same order",
            found=", ".join(apart[:8]), todo="replay them one by one",
        )  # fmt: skip


def _pairs(here: list[str], there: list[str]) -> list[tuple[str, str]]:
    n = max(len(here), len(there))
    return list(zip(here + [""] * (n - len(here)), there + [""] * (n - len(there)), strict=True))
