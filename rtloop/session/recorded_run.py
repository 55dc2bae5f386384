"""Owns the second pass over a foreign recording: it becomes a session folder with journal, recording and scores; owns no choice.

What is written is what a listening session writes, by the same code: verify, replay, report and the window read it as any other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rtloop.board import Board
from rtloop.clock import Clock
from rtloop.dsp.spec import ChainSpec
from rtloop.eeg.layout import Layout
from rtloop.eeg.source import EegSource
from rtloop.model.event import Event
from rtloop.model.pulse import PulseSeen, Source
from rtloop.model.view import View, fold
from rtloop.plan.schema import Kind, Plan
from rtloop.quality.limits import QualityLimits
from rtloop.record import kinds
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal
from rtloop.record.recorder_loop import Recording
from rtloop.record.xdf_write import StreamLayout, XdfWriter
from rtloop.session.accounts import seen_dict
from rtloop.session.companions import pending
from rtloop.session.course import course_of
from rtloop.session.dealing import Block, return_visits
from rtloop.session.display import decision_dict
from rtloop.session.line import Label, SignalLine, spots_of
from rtloop.session.marked import bad_from, refusing
from rtloop.session.recorded import Feed, RecordedClock, Wanted
from rtloop.session.replay import gaps_dict, layout_dict, spots_dict
from rtloop.session.telling import Teller


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What the second pass left: the last view, the sums of every block, the head of the journal."""

    view: View
    line: SignalLine
    head_hash: str


def run_recorded(
    wanted: Wanted, plan: Plan, chain: ChainSpec, limits: QualityLimits, dealt: Mapping[int, Block | None], folder: SessionFolder,
    journal: Journal, clock: RecordedClock, started: Mapping[str, Any], *, notes: tuple[str, ...] = (),
    each: Callable[[float], None] = lambda share: None,
) -> Ran:  # fmt: skip
    """Run every dealt pulse through the line and write the whole session into ``folder``.

    Parameters
    ----------
    limits : where the lights of quality change
    dealt : sample of a pulse -> its block (rtloop.session.dealing); None: nobody's
    started : fields of ``session_started`` that the caller knows (participant, run id, steps ...); in "recorded" what is BAD
    each : called with the share that is done, 0..1

    Raises
    ------
    ValidationProblem : the recording cannot be read to its end
    OSError, IntegrityProblem : the folder takes no more
    """
    rec = wanted.rec
    spots = spots_of(plan)
    with contextlib.ExitStack() as stack:
        board = stack.enter_context(Board.create(folder.board, clock=clock))
        for role in ("engine", "recorder"):
            board.start(role)
        source = EegSource.pushed(wanted.layout, rec.rate_hz, folder.ring, clock, pulses=wanted.limits())
        stack.callback(source.close)
        recording = _recording(folder, board, source, wanted.layout, clock, rec.path.name)
        stack.callback(recording.close)
        line = SignalLine(source, chain, spots, limits)
        line.ruled_out = refusing(bad_from(started), rec.rate_hz)
        course = course_of(plan, line)
        fresh = plan.decision is not None and plan.decision.return_filter == "fresh"
        returns = return_visits(dealt, chain.spatial_first) if fresh else frozenset[int]()
        teller = _Listening(journal.append, line, dealt, started["criteria"], returns)
        teller.emit(
            kinds.SESSION_STARTED, rate_hz=rec.rate_hz, chain=_plain(chain.to_dict()), spots=spots_dict(spots),
            gaps=gaps_dict(spots), local={k: list(s.local) for k, s in spots.items()}, layout=layout_dict(wanted.layout),
            epoch_after=line.epoch_after, quality=limits.to_dict(),
            decision=None if course is None else course.fixed(), **started,
        )  # fmt: skip
        teller.emit(
            kinds.STREAM_OPENED,
            name=rec.path.name,
            source_id="",
            rate_hz=rec.rate_hz,
            channels=len(rec.channels),
        )
        for words in notes:
            teller.emit(kinds.NOTE_WRITTEN, words=words, by="engine")
        try:
            for share in Feed(wanted, source, clock):
                teller.step(clock, source.take_markers())
                recording.turn()
                each(share)
            teller.over()
            if plan.kind is Kind.MAP:
                most = {t.name: (t.pulses_wanted, t.pulses_max or t.pulses_wanted) for t in plan.targets}
                plain = decision_dict(teller.view, plan.arm.question.value, most)
                decision = plain if course is None else course.of_a_recording(teller.emit)
                teller.emit(kinds.DECISION_MADE, **decision)
        except BaseException as err:
            _end(teller, recording, board, f"{type(err).__name__}: {err}", clean=False)
            raise
        _end(teller, recording, board, "the recording was run to its end", clean=True)
    return Ran(view=teller.view, line=line, head_hash=journal.head_hash)


def _end(teller: _Listening, recording: Recording, board: Board, words: str, *, clean: bool) -> None:
    recording.turn()
    durable = {name: board[name] for name in ("durable_sample", "durable_journal")}
    teller.emit(kinds.SESSION_ENDED, sync=True, clean=clean, words=words, **durable)
    recording.turn()
    recording.finish(words)


def _recording(
    folder: SessionFolder, board: Board, source: EegSource, layout: Layout, clock: Clock, name: str
) -> Recording:
    stream = StreamLayout(
        name=name, kind="EEG", labels=layout.names, types=tuple(c.kind.value for c in layout.channels),
        units=tuple("microvolts" if c.unit == "µV" else c.unit for c in layout.channels), rate_hz=source.rate_hz,
    )  # fmt: skip
    return Recording(
        ring=source.ring, journal_path=folder.journal, writer=XdfWriter(folder.recording), board=board, layout=stream,
        clock=clock,
    )  # fmt: skip


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Tuples become lists, as JSON has them."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


class _Listening:
    """Makes events of what the line finds, as the loop of a listening session does."""

    def __init__(
        self, append: Callable[..., Event], line: SignalLine, dealt: Mapping[int, Block | None],
        criteria: Mapping[str, Mapping[str, Any]], returns: frozenset[int],
    ) -> None:  # fmt: skip
        self._append, self._line, self._dealt, self._returns = append, line, dealt, returns
        self._tell = Teller(line, self.emit, lambda: self.view, criteria)
        self._heard = 0
        self._block: Block | None = None
        self._blocks: list[Block] = []
        self.view = View()

    def emit(self, kind: str, /, *, sync: bool = False, **data: Any) -> None:
        self.view = fold(self.view, self._append(kind, data, sync=sync))

    def step(self, clock: Clock, markers: list[tuple[float, str]]) -> None:
        for seen in self._line.look(clock.now_s()):
            if seen.source is not Source.HOST:
                self._saw(seen)
        for t_s, value in markers:
            self.emit("marker_received", t_marker_s=t_s, value=value)
        for trial in self._line.trials():
            self._tell.trial(trial)
            for trial_id in self._line.earlier():
                self._tell.again(self._line.again(trial_id))

    def _saw(self, seen: PulseSeen) -> None:
        block = self._dealt.get(seen.sample)
        if block is None:
            self.emit(kinds.PULSE_UNCOMMANDED, pulse_id=-1 - seen.sample, **seen_dict(seen))
            return
        if block != self._block:
            self._block = block
            self._blocks += [block] if block not in self._blocks else []
            self.emit("phase_entered", phase="listen", target=block[0], words="", options=[], block=block[1])
        if seen.sample in self._returns and self._line.renew(*block):
            words = (
                f"{block[0]}: the coil was elsewhere in between, so this visit learns its own artifact filter"
            )
            self.emit(kinds.FILTER_RENEWED, target=block[0], block=block[1], words=words)
        self._heard += 1
        self._line.take(seen, Label(pulse_id=self._heard, target=block[0], block=block[1]))
        self.emit(kinds.PULSE_SEEN, pulse_id=self._heard, after_command_s=None, **seen_dict(seen))

    def over(self) -> None:
        """The recording is over: the lights of every block; pulses whose trial it does not hold to its end are named."""
        for block in self._blocks:
            self._tell.quality(*block, running=False)
        for kind, data in pending(self.view, self._line, last=True):
            self.emit(kind, **data)
        if cut := sorted(self._line.waiting):
            self.emit(
                kinds.NOTE_WRITTEN, by="engine",
                words=f"not judged, for the recording ends before their last sample: pulse(s) {', '.join(map(str, cut))}",
            )  # fmt: skip
