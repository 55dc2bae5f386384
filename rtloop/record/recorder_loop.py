"""Owns one recording: what moves from ring and journal into the file, turn by turn; owns no process and no
signal.

A sample or journal line is acknowledged on the board only after its write returned: from then on it
survives the
death of this process. A thread of its own syncs once a second: that much a power cut may take.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Protocol

import numpy as np

from rtloop import __version__
from rtloop.board import Board
from rtloop.clock import WALL, Clock
from rtloop.errors import IntegrityProblem, NotReady
from rtloop.model.samples import F32, F64
from rtloop.record.xdf_write import StreamLayout, XdfWriter

JOURNAL_STREAM = "rtloop-journal"
NOTES_STREAM = "rtloop-recorder"
#: seconds between syncs, clock offsets, boundaries with checkpoint; a sync older than STUCK_S is a failure
SYNC_S, OFFSET_S, BOUNDARY_S, STUCK_S = 1.0, 5.0, 10.0, 10.0
#: samples of one chunk last at most this long, seconds
BLOCK_S = 0.25
_NO_LOG = np.empty((0, 4))


class SampleRing(Protocol):
    """What the recorder needs of ``rtloop.eeg.ring.Ring``."""

    def head(self) -> int: ...
    def view(self, first: int, count: int, /) -> F32: ...
    def intact(self, first: int, /) -> bool: ...
    def chunks(self, cursor: int, /) -> tuple[int, F64]: ...


class Syncer(threading.Thread):
    """Syncs the file once a second, so that a slow disk delays neither the samples nor the heartbeat."""

    def __init__(self, writer: XdfWriter, *, clock: Clock = WALL) -> None:
        super().__init__(name="recorder-sync", daemon=True)
        self._writer, self._clock = writer, clock
        self._ending = threading.Event()
        self.done_s = clock.now_s()
        self.error: OSError | None = None

    def run(self) -> None:
        while not self._ending.wait(SYNC_S):
            try:
                self._writer.sync()
            except OSError as err:
                self.error = err
                return
            self.done_s = self._clock.now_s()

    def check(self) -> None:
        """Raise what went wrong, or TimeoutError (an OSError) when a sync does not come back."""
        if self.error is not None:
            raise self.error
        if not self._clock.now_s() - self.done_s <= STUCK_S:
            raise TimeoutError(f"the disk has not completed a sync for {STUCK_S:g} s")

    def end(self) -> None:
        self._ending.set()
        self.join(STUCK_S)


class Recording:
    """Ring and journal -> XDF. Call ``turn`` every ~20 ms, ``finish`` once. OSError means: the disk takes
    no more."""

    def __init__(
        self, *, ring: SampleRing, journal_path: Path, writer: XdfWriter, board: Board, layout: StreamLayout,
        clock: Clock = WALL,
    ) -> None:  # fmt: skip
        self._ring, self._journal_path, self._writer = ring, journal_path, writer
        self._board, self._clock, self._rate_hz = board, clock, layout.rate_hz
        self._block = max(1, int(BLOCK_S * layout.rate_hz))
        now_s = clock.now_s()
        self._eeg = writer.add_stream(layout, created_s=now_s)
        self._lines, self._notes = (
            writer.add_stream(StreamLayout(name=name, kind="Markers", text=True), created_s=now_s)
            for name in (JOURNAL_STREAM, NOTES_STREAM)
        )
        self._cursor, self._log, self._tail, self._file = 0, _NO_LOG, b"", -1
        self._journal_bytes = 0
        self.next_sample = self._oldest(0)
        self.overruns = 0
        self._offset_due_s = self._boundary_due_s = now_s
        self._note(
            "started", first_sample=self.next_sample, rate_hz=layout.rate_hz, software_version=__version__
        )
        writer.sync()
        self._acknowledge()

    def turn(self) -> int:
        """Everything new since the last turn; returns how many samples were written."""
        end = self._ring.head()
        self._cursor, log = self._ring.chunks(self._cursor)
        if len(log):
            self._log = np.concatenate([self._log, log]) if len(self._log) else np.array(log)
        logged = int(self._log[-1, 0] + self._log[-1, 1]) if len(self._log) else self.next_sample
        end = min(end, logged)
        written = 0
        while self.next_sample < end:
            self._board.beat("recorder")
            written += self._copy(min(self._block, end - self.next_sample))
        self._copy_journal()
        self._landmarks()
        self._board.beat("recorder")
        return written

    def _copy(self, count: int) -> int:
        first = self.next_sample
        try:
            data = np.array(self._ring.view(first, count), np.float32)
        except NotReady:
            data = None
        if data is None or not self._ring.intact(first):  # overwritten before or while it was copied
            resume = self._oldest(first)
            self.overruns += 1
            self._note("gap", first_sample=first, count=resume - first)
            self._board["recorder_state"] = 2
            self.next_sample = resume
            return 0
        ends = self._log[:, 0] + self._log[:, 1]
        index = np.arange(first, first + count)
        row = np.searchsorted(ends, index, side="right")
        self._writer.samples(self._eeg, self._log[row, 2] - (ends[row] - 1 - index) / self._rate_hz, data)
        self.next_sample = first + count
        self._log = self._log[int(row[-1]) :]
        self._acknowledge()
        return count

    def _oldest(self, first: int) -> int:
        """The first sample at or after ``first`` still in the ring; 1/8 of the ring further on after an
        overrun."""
        head = self._ring.head()
        if first >= head or self._ring.intact(first):
            return first
        low, high = first, head
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._ring.intact(middle) else (middle, high)
        return min(head, high + (head - high) // 8)

    def _copy_journal(self) -> None:
        if self._file < 0:
            self._file = self._open_journal()
            if self._file < 0:
                return
        while raw := os.read(self._file, 1 << 20):
            *lines, self._tail = (self._tail + raw).split(b"\n")
            if not lines:
                continue
            now_s = self._clock.now_s()
            stamps = [_stamp_of(line, now_s) for line in lines]
            self._writer.strings(self._lines, stamps, [line.decode(errors="replace") for line in lines])
            self._journal_bytes += sum(len(line) + 1 for line in lines)
            self._acknowledge()

    def _open_journal(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            return os.open(self._journal_path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        return -1

    def _landmarks(self) -> None:
        now_s = self._clock.now_s()
        if now_s >= self._offset_due_s:
            self._offset_due_s = now_s + OFFSET_S
            for stream in (self._eeg, self._lines, self._notes):
                self._writer.clock_offset(stream, now_s, 0.0)  # stamps are on this host's clock by contract
        if now_s >= self._boundary_due_s:
            self._boundary_due_s = now_s + BOUNDARY_S
            self._writer.boundary()
            self.checkpoint()

    def checkpoint(self) -> None:
        """Note the SHA-256 of all bytes so far: a later change of any of them is found by ``verify``."""
        self._note(
            "checkpoint", sample=self.next_sample, bytes=self._writer.size_bytes, sha256=self._writer.digest()
        )

    def _note(self, note: str, **fields: object) -> None:
        text = json.dumps({"note": note, **fields}, sort_keys=True)
        self._writer.strings(self._notes, [self._clock.now_s()], [text])

    def _acknowledge(self) -> None:
        self._board["durable_sample"] = self.next_sample
        self._board["durable_journal"] = self._journal_bytes

    def finish(self, why: str) -> None:
        """Note the end, write footers, sync."""
        self._note("ended", sample=self.next_sample, why=why, overruns=self.overruns)
        self.checkpoint()
        self._writer.footers()
        self._writer.sync()
        self.close()
        if self.overruns:
            raise IntegrityProblem(
                f"the recording has {self.overruns} gap(s)",
                expected="a recorder that keeps up with the ring",
                found="samples were overwritten before they were written to disk",
                todo="use a faster disk or a longer ring",
            )  # fmt: skip

    def close(self) -> None:
        """Leave the journal file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _stamp_of(line: bytes, otherwise_s: float) -> float:
    try:
        return float(json.loads(line)["t_s"])
    except (ValueError, KeyError, TypeError):
        return otherwise_s
