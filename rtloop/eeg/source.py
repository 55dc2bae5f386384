"""Owns the stream as the loop sees it: ring, clock map, watch and finder behind one face; owns no rule.

The samples come from an LSL acquisition or are pushed (stepped clock, replay); nothing else differs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rtloop.clock import WALL, Clock
from rtloop.eeg.clockmap import ClockMap
from rtloop.eeg.connection import Connection, Reopened
from rtloop.eeg.layout import Layout
from rtloop.eeg.lsl import FoundStream
from rtloop.eeg.pulses import PulseFinder, PulseLimits
from rtloop.eeg.ring import Ring
from rtloop.eeg.watch import LOST_TODO, StreamWatch, WatchLimits
from rtloop.errors import NotReady, ValidationProblem
from rtloop.model.montage import Montage
from rtloop.model.pulse import PulseSeen
from rtloop.model.samples import F32, Window
from rtloop.model.status import Breach, Fault, StreamHealth

IMPOSTOR_LOOK_S = 0.5
MARKER_LOOK_S = 0.02
POLL_S = 0.005
CLOSE_S = 15.0


class EegSource:
    """Implements ``rtloop.ports.SampleSource``; made by ``from_lsl`` or ``pushed``.

    One thread (the loop's) uses it. ``reopen`` alone may be called by another thread meanwhile: the new samples come
    through the ring, whose stamps tell of the seam, and the new connection is one reference that ``health`` and
    ``pulses`` read once a call; nothing in the loop's path waits for a lock.
    """

    def __init__(
        self,
        *,
        ring: Ring,
        layout: Layout,
        clock: Clock,
        watch: WatchLimits | None,
        pulses: PulseLimits | None,
    ) -> None:
        self.ring, self.layout = ring, layout
        self._clock = clock
        self._montage = layout.montage
        columns = layout.eeg_columns
        step = set(np.diff(columns).tolist())
        self._slice = slice(columns[0], columns[-1] + 1) if step <= {1} else None
        self._columns = np.array(columns)
        self.clock_map = ClockMap(ring)
        self._watch = StreamWatch(
            ring,
            self.clock_map,
            names=self._montage.names,
            columns=columns,
            opened_s=clock.now_s(),
            limits=watch,
        )
        self._finder = PulseFinder(
            ring, self.clock_map, columns=columns, trigger=layout.trigger_column, limits=pulses
        )
        self._connection: Connection | None = None
        self._opened = self._watched = 0  # how often it was opened again, and what ``health`` knows of it
        self._reopening = threading.Lock()  # held by ``reopen`` alone, never waited for
        self._closed = False
        self._outlet: int | None = (
            None  # a pushed source: the outlet it is pinned to, and another that pushes
        )
        self._offered: tuple[int, float] | None = None
        self._next_impostor_s = self._next_marker_s = -np.inf
        self._impostors: tuple[Breach, ...] = ()
        self.markers_seen: list[tuple[float, str]] = []  # for the record; taken by ``take_markers``

    @classmethod
    def from_lsl(
        cls,
        found: FoundStream,
        ring_path: str | Path,
        *,
        markers: Sequence[FoundStream] = (),
        seconds: float = 32.0,
        watch: WatchLimits | None = None,
        pulses: PulseLimits | None = None,
        clock: Clock = WALL,
    ) -> EegSource:
        """Make the ring, connect, start to acquire. Raises NotReady when a stream does not answer in time."""
        if found.layout is None:
            raise ValidationProblem("a marker stream is no EEG stream", found=found.listing.words())
        ring = Ring.create(
            ring_path, n_channels=found.listing.n_channels, rate_hz=found.listing.rate_hz, seconds=seconds
        )
        source = cls(ring=ring, layout=found.layout, clock=clock, watch=watch, pulses=pulses)
        try:
            source._connection = Connection.open(found, markers, ring)
        except BaseException:
            source.close()
            Path(ring_path).unlink(missing_ok=True)
            raise
        return source

    @classmethod
    def pushed(
        cls,
        layout: Layout | Montage,
        rate_hz: float,
        ring_path: str | Path,
        clock: Clock,
        *,
        seconds: float = 32.0,
        watch: WatchLimits | None = None,
        pulses: PulseLimits | None = None,
    ) -> EegSource:
        """A source that is fed by ``push``; a Montage stands for EEG columns only."""
        layout = layout if isinstance(layout, Layout) else Layout.from_montage(layout)
        ring = Ring.create(ring_path, n_channels=len(layout.channels), rate_hz=rate_hz, seconds=seconds)
        return cls(ring=ring, layout=layout, clock=clock, watch=watch, pulses=pulses)

    def push(self, frames: F32, t_last_s: float, outlet: int = 0) -> None:
        """Append float32[n, all columns], µV, C order; ``t_last_s`` is the LSL stamp of the last frame.

        ``outlet`` says which simulated outlet they come from: as with a real one, only the first is listened to, and
        another only after ``reopen``.
        """
        if self._outlet is None:
            self._outlet = outlet
        if outlet != self._outlet:
            self._offered = outlet, t_last_s
            return
        self.ring.write(frames, t_last_s, self._clock.now_s())

    def push_marker(self, t_s: float, value: str) -> None:
        """A marker from elsewhere (replay, simulation)."""
        self._note_marker(t_s, value)

    @property
    def rate_hz(self) -> float:
        return self.ring.rate_hz

    @property
    def montage(self) -> Montage:
        return self._montage

    def head(self) -> int:
        return self.ring.head()

    def window(self, first: int, count: int) -> Window:
        """EEG columns, float32[count, n_eeg], µV; a view (of strided rows) when they are adjacent."""
        rows = self.ring.view(first, count)
        data = rows[:, self._slice] if self._slice is not None else rows[:, self._columns]
        return Window(data=data, first=first)

    def intact(self, first: int) -> bool:
        """After using a window that began at ``first``: whether it was not overwritten meanwhile."""
        return self.ring.intact(first)

    def valid(self, first: int, count: int) -> bool:
        self.clock_map.update()
        return self.clock_map.valid(first, count)

    def health(self, now_s: float) -> StreamHealth:
        self.clock_map.update()
        connection = self._connection
        lost = self._offered_other() if connection is None else connection.acquisition.lost
        if self._opened != self._watched:
            self._watched = self._opened
            self._watch.restart()
            self._next_impostor_s, self._impostors = -np.inf, ()
        if connection is not None and now_s >= self._next_impostor_s:
            self._next_impostor_s = now_s + IMPOSTOR_LOOK_S
            self._impostors = tuple(
                Breach(
                    fault=Fault.STREAM_IMPOSTOR,
                    what="another outlet claims to be our amplifier",
                    expected="one outlet of this name and source_id",
                    found=other.words() + (f"; {LOST_TODO} and is the only one" if lost else ""),
                )
                for other in connection.outlets.others()
            )
        return self._watch.look(now_s, lost=lost, more=self._impostors)

    def pulses(self, now_s: float) -> list[PulseSeen]:
        self.clock_map.update()
        connection = self._connection
        if connection is not None and connection.markers and now_s >= self._next_marker_s:
            self._next_marker_s = now_s + MARKER_LOOK_S
            for inlet in connection.markers:
                for t_s, value in inlet.poll():
                    self._note_marker(t_s, value)
        found = self._finder.take()
        if found:
            self._watch.note_pulse()
        return found

    def take_markers(self) -> list[tuple[float, str]]:
        """Every marker since the last call, (LSL seconds, value): for the journal and the recorder."""
        out, self.markers_seen = self.markers_seen, []
        return out

    def expect_pulse(self, t_s: float) -> None:
        self._finder.expect(t_s)

    def time_of(self, sample: int) -> float:
        self.clock_map.update()
        return self.clock_map.time_of(sample)

    def reopen(self, deadline_s: float) -> Reopened:
        """Find the lost stream again and go on into the same ring, within ``deadline_s`` seconds; only when asked.

        Blocks (at least about 1 s), so it is called by a thread beside the loop's, which may go on stepping; the
        loop's own may call it where nothing waits for it (a pushed source answers at once). One call at a time.
        Raises NotReady (not lost, not there, several, silent) or ValidationProblem (not the same stream, every
        difference listed); then the stream is as lost as before, and it may be called again.
        """
        if not self._reopening.acquire(blocking=False):
            raise NotReady("the stream is being opened again already", todo="wait for the answer")
        try:
            if self._closed:
                raise NotReady("the stream was closed", todo="start a new session")
            if self._connection is None:
                return self._reopen_pushed()
            return self._reopen_lsl(self._connection, WALL.now_s() + deadline_s)
        finally:
            self._reopening.release()

    def _reopen_lsl(self, old: Connection, deadline_s: float) -> Reopened:
        age_s = self._clock.now_s() - self._last_received_s()
        if not old.acquisition.lost and age_s <= self._watch.limits.lost_s:
            raise NotReady("the stream is not lost", found=f"a sample {age_s * 1e3:.0f} ms ago", todo="go on")
        before = self.ring.chunk_bounds()[1]
        new = old.again(deadline_s)
        self._connection = new
        self._opened += 1
        old.close(but=new)
        while self.ring.chunk_bounds()[1] == before:
            if self._closed or not WALL.now_s() < deadline_s:
                raise NotReady(
                    "the stream is connected again and sends nothing",
                    expected="samples",
                    found=new.found.listing.words(),
                    todo="start the measurement in the amplifier software",
                )
            time.sleep(POLL_S)
        return self._reopened(before, new.found.listing.words())

    def _reopened(self, chunk: int, whose: str) -> Reopened:
        first, count, t_last_s, _ = self.ring.chunk(chunk)
        gap_s = t_last_s - (count - 1) / self.rate_hz
        gap_s -= self.ring.chunk(chunk - 1)[2] if chunk > 0 else gap_s
        return Reopened(gap_s=gap_s, words=_words(gap_s, first, self.rate_hz, whose))

    def _reopen_pushed(self) -> Reopened:
        offered, head = self._offered, self.ring.head()
        if offered is None or not self._offered_other():
            raise NotReady("the stream has not come back", expected="the simulated outlet", found="none")
        gap_s = offered[1] - (self.ring.chunk(-1)[2] if head else offered[1])
        self._outlet = offered[0]
        self._opened += 1
        return Reopened(
            gap_s=gap_s, words=_words(gap_s, head, self.rate_hz, f"simulated outlet {offered[0]}")
        )

    def _offered_other(self) -> bool:
        return self._offered is not None and self._offered[0] != self._outlet

    def _last_received_s(self) -> float:
        return self.ring.chunk(-1)[3] if self.ring.head() else -np.inf

    def close(self) -> None:
        """End acquisition and connections; the ring file stays (views of it remain usable).

        A ``reopen`` under way is waited for; NotReady when it does not end within CLOSE_S.
        """
        self._closed = True
        if not self._reopening.acquire(timeout=CLOSE_S):
            raise NotReady("the stream is still being opened again", expected=f"an end within {CLOSE_S:g} s")
        try:
            if self._connection is not None:
                self._connection.close()
        finally:
            self._reopening.release()

    def _note_marker(self, t_s: float, value: str) -> None:
        self.markers_seen.append((t_s, value))
        self._finder.marker(t_s, value)


def _words(gap_s: float, sample: int, rate_hz: float, whose: str) -> str:
    return (
        f"the stream is back: {whose}; {gap_s:.1f} s (about {round(gap_s * rate_hz)} samples) are missing "
        f"before sample {sample}; arm again in two steps"
    )
