"""Owns the running of a recorded session through the same line again, in the order of its journal; owns no comparison in words.

The journal says which pulse belonged to which block, and when blocks were restarted or trials moved; the samples come from the
recording. Pulses are looked for anew, trials are cleaned anew, scores are computed anew, and each is held against the record.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtloop.clock import SteppedClock
from rtloop.dsp.spec import ChainSpec
from rtloop.eeg.acquire import SPLIT_S
from rtloop.eeg.layout import Channel, Kind, Layout
from rtloop.eeg.source import EegSource
from rtloop.errors import IntegrityProblem, ValidationProblem
from rtloop.model.event import Event
from rtloop.model.pulse import PulseSeen, Source
from rtloop.model.samples import F32, F64
from rtloop.model.view import View, fold_all
from rtloop.record import kinds
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import read_journal
from rtloop.record.recorder_loop import NOTES_STREAM
from rtloop.record.xdf_read import read_xdf
from rtloop.session.companions import beside_measured, control_compared, equal_n_compared
from rtloop.session.line import Again, Label, SignalLine, Spot, Trial
from rtloop.session.marked import bad_from, refusing
from rtloop.session.relooking import OF_A_COURSE, Relooking
from rtloop.session.results import Results

CHUNK = 250
#: scores of the same samples through the same code on the same machine are equal; another machine may round differently
RELATIVE = 1e-4


@dataclass(kw_only=True)
class Replay:
    """What came of a replay. ``differences`` empty: pulses, verdicts and scores are the record's own."""

    line: SignalLine
    view: View
    head_hash: str
    pulses_found: int = 0
    trials: int = 0
    scores: int = 0
    differences: list[str] = field(default_factory=list)
    pages_words: str = ""  # why the pages were not made (to the end); empty: they were, or were not wanted


def layout_dict(layout: Layout) -> list[dict[str, Any]]:
    """The columns of a stream as JSON values."""
    return [
        {"name": c.name, "kind": c.kind.value, "unit": c.unit, "factor": 1.0, "position_m": c.position_m}
        for c in layout.channels
    ]


def layout_from(columns: list[Mapping[str, Any]]) -> Layout:
    """Inverse of ``layout_dict``; samples in the record are already scaled."""
    return Layout(
        channels=tuple(
            Channel(
                name=c["name"], kind=Kind(c["kind"]), unit=c["unit"],
                position_m=None if c["position_m"] is None else tuple(c["position_m"]),
            )
            for c in columns
        )
    )  # fmt: skip


def spots_dict(spots: Mapping[str, Spot]) -> dict[str, Any]:
    """Coil places as JSON values."""
    return {name: None if s.coil_m is None else [float(x) for x in s.coil_m] for name, s in spots.items()}


def gaps_dict(spots: Mapping[str, Spot]) -> dict[str, list[float]]:
    """The gap of each target that has one of its own, as JSON values: seconds from the pulse."""
    return {name: list(s.gap_s) for name, s in spots.items() if s.gap_s is not None}


def replay(
    folder: SessionFolder, pages: Path | None = None, each: Callable[[float], None] | None = None
) -> Replay:
    """Run a session again. IntegrityProblem when journal or recording cannot be read or lack what is needed.

    pages : where to make the mapped pages that the session's window had (rtloop.link.pages); a failure to is told in
        ``Replay.pages_words``
    each : called after each event of the journal with the share of the work that is done, 0..1
    """
    journal = read_journal(folder.journal)
    if journal.problems:
        raise IntegrityProblem(
            f"the journal of {folder.path} is damaged", found="; ".join(journal.problems[:3]),
            todo="run rtloop verify for the whole list",
        )  # fmt: skip
    started = next((x.data for x in journal.events if x.kind == kinds.SESSION_STARTED), None)
    if started is None:
        raise IntegrityProblem(
            "the session never started", expected=kinds.SESSION_STARTED, found="no such record"
        )
    file = read_xdf(folder.recording)
    eeg = next((s for s in file.streams if not s.text), None)
    if eeg is None:
        raise IntegrityProblem("the recording holds no EEG", expected="a stream of samples", found="none")
    first = _first_sample(file.stream(NOTES_STREAM).texts)
    with tempfile.TemporaryDirectory(prefix="rtloop-replay-") as scratch:
        clock = SteppedClock(float(eeg.stamps_s[0]) if eeg.count else 0.0)
        source = EegSource.pushed(
            layout_from(started["layout"]), float(started["rate_hz"]), Path(scratch) / "ring", clock
        )
        try:
            gaps = {k: (float(a), float(b)) for k, (a, b) in started.get("gaps", {}).items()}
            spots = {
                k: Spot(
                    coil_m=None if v is None else np.array(v),
                    local=tuple(started["local"][k]),
                    gap_s=gaps.get(k),
                )
                for k, v in started["spots"].items()
            }
            line = SignalLine(source, ChainSpec.from_dict(started["chain"]), spots)
            line.ruled_out = refusing(bad_from(started), float(started["rate_hz"]))
            results = Results.open(pages, line, source)
            out = Replay(line=line, view=fold_all(journal.events), head_hash=journal.head_hash)
            try:
                feed = _Feed(source, clock, eeg.data, eeg.stamps_s, first)
                _walk(
                    out,
                    journal.events,
                    feed,
                    int(started["epoch_after"]),
                    results,
                    each or (lambda share: None),
                    Relooking(line, started["decision"], folder) if started.get("decision") else None,
                )
            finally:
                results.close()
                out.pages_words = results.words
        finally:
            source.close()
    return out


def _first_sample(notes: list[str]) -> int:
    for text in notes:
        note = json.loads(text)
        if note.get("note") == "started":
            return int(note["first_sample"])
    return 0


class _Feed:
    """Pushes the recording up to a sample and looks for pulses in what was pushed, as the live finder does."""

    def __init__(self, source: EegSource, clock: SteppedClock, data: F32, stamps_s: F64, first: int) -> None:
        self._source, self._clock, self._data, self._stamps_s, self._first = (
            source,
            clock,
            data,
            stamps_s,
            first,
        )
        self._at = 0
        self.found: list[int] = []

    def push(self, frames: F32, t_s: float) -> None:
        self._clock.sleep_until(t_s)
        self._source.push(frames, t_s)
        self.found += [seen.sample for seen in self._source.pulses(t_s) if seen.source is not Source.HOST]

    def until(self, sample: int) -> None:
        if self._first and not self._at:
            self._lead_in()
        while self._source.head() < sample and self._at < len(self._stamps_s):
            end = self._piece_end(min(self._at + CHUNK, len(self._stamps_s)))
            frames = np.ascontiguousarray(self._data[self._at : end], dtype=np.float32)
            self._at = end
            self.push(frames, float(self._stamps_s[end - 1]))

    def _piece_end(self, end: int) -> int:
        """A piece never goes across a step of the stamps: a gap lies where it lay when it was acquired."""
        steps = np.diff(self._stamps_s[self._at : end]) - 1.0 / self._source.rate_hz
        off = np.flatnonzero(~(np.abs(steps) <= SPLIT_S))
        return self._at + 1 + int(off[0]) if len(off) else end

    def _lead_in(self) -> None:
        """The recorder began ``first`` samples after the ring: zeros keep the indices."""
        rate = self._source.rate_hz
        t0_s = float(self._stamps_s[0]) - self._first / rate
        for start in range(0, self._first, CHUNK):
            n = min(CHUNK, self._first - start)
            self.push(np.zeros((n, self._data.shape[1]), np.float32), t0_s + (start + n - 1) / rate)

    def rest(self) -> None:
        self.until(self._first + len(self._stamps_s))


def _walk(
    out: Replay, events: tuple[Event, ...], feed: _Feed, epoch_after: int, results: Results, each: Callable[[float], None],
    course: Relooking | None,
) -> None:  # fmt: skip
    recorded: list[int] = []
    seen: dict[int, PulseSeen] = {}
    scored: dict[str, Any] | None = None
    for done, event in enumerate(events):
        each(done / len(events))
        d = event.data
        match event.kind:
            case "block_restarted":
                out.line.restart(d["target"], d["block"])
                results.block(d["target"], d["block"])
            case kinds.FILTER_RENEWED:
                out.line.renew(d["target"], d["block"])
            case kinds.PULSE_SEEN | kinds.PULSE_UNCOMMANDED:
                recorded.append(int(d["sample"]))
                out.line.note(int(d["sample"]))
                seen[d["pulse_id"]] = PulseSeen(
                    sample=int(d["sample"]), source=Source(d["source"]), t_s=float(d["t_seen_s"])
                )
            case kinds.TRIAL_JUDGED:
                if d["pulse_id"] not in seen:
                    out.differences.append(f"trial {d['trial_id']}: its pulse is nowhere in the journal")
                    continue
                trial = _judge(out, feed, d, seen[d["pulse_id"]], epoch_after)
                scored = None if trial is None or trial.scores is None else trial.scores.to_dict()
                if trial is not None:
                    results.trial(trial)
                    results.block(d["target"], d["block"])
            case "trial_recleaned":
                again = _again(out, d)
                if again is not None and again.trial.scores is not None:
                    scored = again.trial.scores.to_dict()
                if again is not None and again.cleaned:
                    results.trial(again.trial)
                results.block(d["target"], d["block"])
            case "trial_taken_out":
                scored = out.line.take_out(d["trial_id"]).to_dict()
                results.block(d["target"], d["block"])
            case "trial_reinstated":
                scored = out.line.reinstate(d["trial_id"]).to_dict()
                results.block(d["target"], d["block"])
            case "beside_measured" | "control_compared" | "equal_n_compared":
                out.differences += [f"record {event.n}: {w}" for w in _measured(out, event.kind, d)][:5]
            case kind if kind in OF_A_COURSE and course is not None:
                was, now = course.again(kind, d)
                out.differences += [f"record {event.n}: {w}" for w in _compare(kind, was, now)][:5]
            case kinds.SCORES_UPDATED:
                out.scores += 1
                out.differences += [
                    f"record {event.n}: {w}" for w in _compare("scores", d["scores"], scored)
                ][:5]
    feed.rest()
    each(1.0)
    out.pulses_found = len(feed.found)
    missing = sorted(set(recorded) - set(feed.found))
    extra = sorted(set(feed.found) - set(recorded))
    last = max(recorded, default=-1)
    out.differences += [f"the pulse recorded at sample {s} was not found again" for s in missing]
    out.differences += [
        f"a pulse was found at sample {s} that the record does not have" for s in extra if s <= last
    ]


def _measured(out: Replay, kind: str, d: Mapping[str, Any]) -> Iterator[str]:
    """What was measured beside the scores, or against a control block, measured anew and compared."""
    if kind == "beside_measured":
        yield from _compare("beside", d["scores"], beside_measured(out.line, d["target"])["scores"])
        return
    if kind == "equal_n_compared":
        if d["why_absent"]:
            return  # it failed then: there is nothing to hold against
        yield from _compare(
            "equal n", d["targets"], equal_n_compared(out.line, tuple(d["targets"]))["targets"]
        )
        return
    now = control_compared(out.line, d["target"], d)
    for part in ("real", "control", "difference", "subtracted"):
        yield from _compare(f"control.{part}", d.get(part), now.get(part))


def _judge(out: Replay, feed: _Feed, d: Mapping[str, Any], seen: PulseSeen, after: int) -> Trial | None:
    feed.until(seen.sample + after)
    label = Label(pulse_id=d["pulse_id"], target=d["target"], block=d["block"])
    out.line.take(seen, label)
    trials = out.line.trials()
    out.trials += 1
    if len(trials) != 1:
        out.differences.append(f"trial {d['trial_id']}: the recording ends before its last sample")
        return None
    trial = trials[0]
    if trial.verdict.accepted != d["accepted"]:
        words = trial.verdict.words() or "accepted"
        out.differences.append(
            f"trial {d['trial_id']}: recorded {d['words'] or 'accepted'}, replayed {words}"
        )
    was, now = (n.get("spatial_trials") for n in (d.get("numbers", {}), trial.verdict.numbers))
    if was != now:
        out.differences.append(
            f"trial {d['trial_id']}: cleaned by a filter of {was} trials, replayed with one of {now}"
        )
    return trial


def _again(out: Replay, d: Mapping[str, Any]) -> Again | None:
    """An earlier trial cleaned again where the record has it, and held against it."""
    where = f"trial {d['trial_id']} cleaned again"
    try:
        again = out.line.again(d["trial_id"])
    except (KeyError, ValidationProblem) as err:
        out.differences.append(f"{where}: it does not wait for that here ({err})")
        return None
    now = {
        "cleaned": again.cleaned,
        "counts": again.counts,
        "changed": again.changed,
        "left": again.left,
        "numbers": {k: float(v) for k, v in again.trial.verdict.numbers.items() if np.isfinite(v)},
    }
    out.differences += list(_compare(where, {k: d[k] for k in now}, now))[:5]
    return again


def _compare(where: str, was: Any, now: Any) -> Iterator[str]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in was:
            yield from _compare(f"{where}.{key}", was[key], now.get(key))
    elif isinstance(was, float) and isinstance(now, int | float):
        if not math.isclose(was, now, rel_tol=RELATIVE, abs_tol=1e-9):
            yield f"{where}: recorded {was!r}, replayed {now!r}"
    elif was != now:
        yield f"{where}: recorded {was!r}, replayed {now!r}"
