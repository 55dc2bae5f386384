"""Owns the stream as the loop sees it: ring, clock map, watch and finder behind one face; owns no rule.

The samples come from an LSL acquisition or are pushed (stepped clock, replay); nothing else differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rtloop.clock import WALL, Clock
from rtloop.eeg.clockmap import ClockMap
from rtloop.eeg.layout import Layout
from rtloop.eeg.lsl import Acquisition, FoundStream, MarkerInlet, OutletWatch
from rtloop.eeg.pulses import PulseFinder, PulseLimits
from rtloop.eeg.ring import Ring
from rtloop.eeg.watch import StreamWatch, WatchLimits
from rtloop.errors import ValidationProblem
from rtloop.model.montage import Montage
from rtloop.model.pulse import PulseSeen
from rtloop.model.samples import F32, Window
from rtloop.model.status import Breach, Fault, StreamHealth

IMPOSTOR_LOOK_S = 0.5
MARKER_LOOK_S = 0.02


class EegSource:
    """Implements ``rtloop.ports.SampleSource``; made by ``from_lsl`` or ``pushed``. One thread uses it."""

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
        self._acquisition: Acquisition | None = None
        self._outlets: OutletWatch | None = None
        self._markers: list[MarkerInlet] = []
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
            source._acquisition = Acquisition(found, ring)
            source._outlets = OutletWatch(found)
            for marker in markers:
                source._markers.append(MarkerInlet(marker))
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

    def push(self, frames: F32, t_last_s: float) -> None:
        """Append float32[n, all columns], µV, C order; ``t_last_s`` is the LSL stamp of the last frame."""
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
        if self._outlets is not None and now_s >= self._next_impostor_s:
            self._next_impostor_s = now_s + IMPOSTOR_LOOK_S
            self._impostors = tuple(
                Breach(
                    fault=Fault.STREAM_IMPOSTOR,
                    what="another outlet claims to be our amplifier",
                    expected="one outlet of this name and source_id",
                    found=other.words(),
                )
                for other in self._outlets.others()
            )
        lost = self._acquisition is not None and self._acquisition.lost
        return self._watch.look(now_s, lost=lost, more=self._impostors)

    def pulses(self, now_s: float) -> list[PulseSeen]:
        self.clock_map.update()
        if self._markers and now_s >= self._next_marker_s:
            self._next_marker_s = now_s + MARKER_LOOK_S
            for inlet in self._markers:
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

    def close(self) -> None:
        """End acquisition and connections; the ring file stays (views of it remain usable)."""
        for marker in self._markers:
            marker.close()
        if self._outlets is not None:
            self._outlets.close()
            self._outlets = None
        if self._acquisition is not None:
            self._acquisition.stop()

    def _note_marker(self, t_s: float, value: str) -> None:
        self.markers_seen.append((t_s, value))
        self._finder.marker(t_s, value)
