"""Owns running the recording of any lab through the line of a live session, its samples in the order of time; owns no file.

First a look (which pulses are there, is the unit right), then the run: ring, finder, chain, scores, journal and recorder are
those of a session that listens, on a clock that the recording moves. What is left is a session folder like any other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from rtloop.clock import SteppedClock
from rtloop.dsp.spec import ChainSpec
from rtloop.eeg.acquire import SPLIT_S
from rtloop.eeg.layout import Kind, Layout
from rtloop.eeg.pulses import PulseLimits
from rtloop.eeg.source import EegSource
from rtloop.errors import ValidationProblem
from rtloop.model.pulse import PulseSeen, Source
from rtloop.model.samples import F32
from rtloop.record.read_layout import PULSES
from rtloop.record.read_open import COARSE_UV, Mark, OpenRecording, Sampled, sampled
from rtloop.session.level import LOOK_S, fitted_limits, ongoing_numbers
from rtloop.session.marked import bad_dict

#: samples pushed at once last this long: as an amplifier sends them
PIECE_S = 0.05
#: read at once, s
READ_S = 10.0
#: after the last sample the clock goes on, so that the last pulses are told
TAIL_S = 0.2


class RecordedClock(SteppedClock):
    """A clock that the recording moves; its date is the recording's own where that is known (``utc0_s``, since 1970)."""

    def __init__(self, start_s: float, utc0_s: float) -> None:
        super().__init__(start_s)
        self._utc0_s = utc0_s - start_s

    def utc(self) -> str:
        return datetime.fromtimestamp(self._utc0_s + self.now_s(), UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A recording and what is taken for a pulse in it. ``events`` empty: a trigger channel, else the artifact.

    ``keep_bad``: what the file marks as BAD is not heeded.
    """

    rec: OpenRecording
    layout: Layout
    events: tuple[str, ...] = ()
    keep_bad: bool = False

    @property
    def pulse_marks(self) -> tuple[Mark, ...]:
        """Events that are pulses, in order."""
        return tuple(m for m in self.rec.marks if self.events and m.is_one_of(self.events))

    @property
    def markers(self) -> tuple[Mark, ...]:
        """Those of them that came on a line of their own: paired by time, as live markers are."""
        return tuple(m for m in self.pulse_marks if not m.exact)

    def limits(self) -> PulseLimits:
        """Of the finder."""
        return PulseLimits(pulse_markers=frozenset(m.name for m in self.markers))

    def by_what(self) -> str:
        """How pulses are found, in words."""
        n, m = len(self.pulse_marks), len(self.markers)
        if self.events and m:
            return f"{m} marker(s) {' or '.join(self.events)}, each at the artifact within 40 ms where there is one"
        if self.events:
            return f"{n} event(s) {' or '.join(self.events)}, checked by the artifact"
        trigger = self.layout.trigger_column
        if trigger is not None:
            return f"the trigger channel {self.layout.names[trigger]} (every step up is a pulse), checked by the artifact"
        return "the pulse artifact alone (no --events were named and there is no trigger channel)"


@dataclass(kw_only=True)
class Looked:
    """What a first pass found. ``ongoing``: numbers of the ongoing EEG in the first ``LOOK_S`` s, µV."""

    pulses: list[PulseSeen] = field(default_factory=list)
    ongoing: dict[str, float] = field(default_factory=dict)
    unit: Sampled = field(default_factory=lambda: Sampled(moves_uv=0.0, step_uv=0.0))

    def words(self) -> list[str]:
        """What a person must know before believing anything that follows."""
        n = len(self.pulses)
        told = [p for p in self.pulses if p.source in (Source.TRIGGER, Source.MARKER)]
        bare = sum(Source.ARTIFACT in p.absent for p in told)
        alone = n - len(told)
        lines = []
        if self.unit.step_uv > COARSE_UV:
            lines.append(
                f"the samples come in steps of {self.unit.step_uv:.2g} µV: scores of few trials carry that noise"
            )
        if bare:
            lines.append(
                f"{bare} of {len(told)} pulses by trigger, event or marker show NO artifact: are these the pulses?"
            )
        if told and alone:
            lines.append(f"{alone} artifact(s) like a pulse have no trigger, event or marker")
        alarms = [p.alarm for p in self.pulses if "disagree" in p.alarm]
        if alarms:
            lines.append(f"{len(alarms)} pulse(s) whose sources disagree, the first: {alarms[0]}")
        return lines


class Feed:
    """Pushes a recording into a source, piece by piece, and moves its clock. A piece never spans a break or a gap."""

    def __init__(self, wanted: Wanted, source: EegSource, clock: SteppedClock) -> None:
        self._wanted, self._source, self._clock = wanted, source, clock
        rec = wanted.rec
        self._piece, self._read = max(1, round(PIECE_S * rec.rate_hz)), round(READ_S * rec.rate_hz)
        self._marks = list(wanted.markers)
        exact = [m.sample for m in wanted.pulse_marks if m.exact]
        self._level_at = np.array(sorted(exact), dtype=np.int64)
        self._added = wanted.layout.names[-1] == PULSES
        self.at = 0

    def __iter__(self) -> Feed:
        return self

    def __next__(self) -> float:
        """Push the next piece; the share of the recording that is done, 0..1."""
        rec = self._wanted.rec
        if self.at >= rec.n_samples:
            raise StopIteration
        if self.at % self._read == 0 or not hasattr(self, "_held") or self.at >= self._held_end:
            self._load()
        end = self._end()
        t_s = rec.time_of(end - 1)
        while self._marks and self._marks[0].t_s <= t_s:
            mark = self._marks.pop(0)
            self._source.push_marker(mark.t_s, mark.name)
        self._clock.sleep_until(t_s)
        self._source.push(self._held[self.at - self._first : end - self._first], t_s)
        self.at = end
        return end / rec.n_samples

    def _load(self) -> None:
        rec = self._wanted.rec
        self._first, count = self.at, min(self._read, rec.n_samples - self.at)
        self._held_end = self.at + count
        frames = rec.frames(self.at, count)
        if self._added:
            level = np.zeros((count, 1), np.float32)
            here = self._level_at[(self._level_at >= self.at) & (self._level_at < self._held_end)] - self.at
            level[here] = 1.0
            frames = np.hstack([frames, level])
        self._held: F32 = np.ascontiguousarray(frames)

    def _end(self) -> int:
        """One sample alone after a break, so that no more than that counts as touched by it."""
        rec = self._wanted.rec
        end = min(self.at + self._piece, self._held_end)
        i = int(np.searchsorted(rec.breaks, self.at, side="left"))
        if i < len(rec.breaks) and rec.breaks[i] == self.at:
            return min(self.at + 1, end)
        if i < len(rec.breaks):
            end = min(end, rec.breaks[i])
        if rec.stamps_s is not None:
            steps = np.diff(rec.stamps_s[self.at : end]) - 1.0 / rec.rate_hz
            off = np.flatnonzero(~(np.abs(steps) <= SPLIT_S))
            end = self.at + 1 + int(off[0]) if len(off) else end
        return end


def look(wanted: Wanted, spec: ChainSpec, each: Callable[[float], None] = lambda share: None) -> Looked:
    """Pass over the whole recording once: its pulses, its ongoing EEG, whether its unit can be right."""
    rec, out = wanted.rec, Looked()
    out.unit = sampled(rec, wanted.layout.eeg_columns)
    start_s = rec.time_of(0)
    clock = SteppedClock(start_s)
    with tempfile.TemporaryDirectory(prefix="rtloop-recorded-") as scratch:
        source = EegSource.pushed(
            wanted.layout, rec.rate_hz, Path(scratch) / "ring", clock, pulses=wanted.limits()
        )
        try:
            due = min(rec.n_samples, round((LOOK_S + 0.5) * rec.rate_hz))
            for share in Feed(wanted, source, clock):
                out.pulses += [p for p in source.pulses(clock.now_s()) if p.source is not Source.HOST]
                if due and source.head() >= due:
                    due = 0
                    out.ongoing = ongoing_numbers(source, spec, [p.sample for p in out.pulses])
                each(share)
        finally:
            source.close()
    return out


def settled_chain(spec: ChainSpec, looked: Looked, limits: str) -> tuple[ChainSpec, tuple[str, ...]]:
    """The chain with its limits as the plan asks for them, and what rose, in words."""
    if limits != "to_recording":
        return spec, ()
    if not looked.ongoing:
        return spec, (
            "no stretch without a pulse at the start of the recording: the fixed rejection limits hold",
        )
    chain, raised = fitted_limits(spec, looked.ongoing)
    return chain, tuple(
        f"the ongoing EEG is large: {name} raised from {getattr(spec, name):g} to {limit:g} µV"
        for name, limit in raised.items()
    )


def refuse_unit(wanted: Wanted, looked: Looked) -> None:
    """ValidationProblem where the samples cannot be microvolts."""
    if looked.unit.words:
        raise ValidationProblem(
            f"the unit of {wanted.rec.path.name} cannot be right: {looked.unit.words}",
            expected="EEG in µV (or V, mV as its header says)", found=f"read as {wanted.rec.form}",
            todo="correct the unit in the recording's header",
        )  # fmt: skip


def facts(wanted: Wanted) -> Mapping[str, Any]:
    """What the record says of the recording it was made from: JSON values. ``bad``: what was marked BAD and is heeded."""
    rec, kinds = wanted.rec, [c.kind for c in wanted.layout.channels if c.name != PULSES]
    return {
        "file": rec.path.name, "form": rec.form, "n_samples": rec.n_samples, "breaks": len(rec.breaks),
        "events": rec.counts(), "pulses_by": wanted.by_what(),
        "channels": {kind.value: kinds.count(kind) for kind in Kind if kind in kinds},
        "notes": list(rec.notes), "bad": [] if wanted.keep_bad else bad_dict(rec.bad), "bad_kept": wanted.keep_bad,
    }  # fmt: skip
