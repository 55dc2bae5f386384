"""Owns what the tests of the record share: folders, a small recorder run, a limit on file sizes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtloop.board import Board
from rtloop.eeg.ring import Ring
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal
from rtloop.record.recorder import RecorderHandle, start_recorder

RATE_HZ = 2000.0
NAMES = ("Fp1", "Cz", "Pz", "TRIG")
TYPES = ("EEG", "EEG", "EEG", "TRIG")
UNITS = ("µV", "µV", "µV", "code")


def samples_from(first: int, count: int) -> np.ndarray:
    """float32[count, 4] that name themselves: column c of sample i is (i % 100000) * 4 + c."""
    index = np.arange(first, first + count) % 100_000
    return (index[:, None] * 4 + np.arange(4)).astype(np.float32)


@dataclass
class Bench:
    """A session folder with ring, board, journal and a running recorder."""

    folder: SessionFolder
    ring: Ring
    board: Board
    journal: Journal
    handle: RecorderHandle
    written: int = 0

    def feed(self, count: int) -> None:
        """Write the next ``count`` samples; sample i has the stamp 500 + i / RATE_HZ."""
        last_s = 500.0 + (self.written + count - 1) / RATE_HZ
        self.ring.write(samples_from(self.written, count), last_s, time.monotonic())
        self.written += count

    def wait_durable(self, sample: int, deadline_s: float = 5.0) -> None:
        end_s = time.monotonic() + deadline_s
        while self.board["durable_sample"] < sample:
            assert time.monotonic() < end_s, f"durable {self.board['durable_sample']}, wanted {sample}"
            time.sleep(0.005)


@contextlib.contextmanager
def recorder_bench(
    data_dir: Path, run_id: str = "run1", *, seconds: float = 8.0, recorder_limit_bytes: int = 0
) -> Iterator[Bench]:
    folder = SessionFolder.create(data_dir, run_id)
    ring = Ring.create(folder.ring, n_channels=4, rate_hz=RATE_HZ, seconds=seconds)
    board = Board.create(folder.board)
    board.start("engine")
    journal = Journal(folder.journal, run_id=run_id)
    limit = file_size_limit(recorder_limit_bytes) if recorder_limit_bytes else contextlib.nullcontext()
    with limit:
        handle = start_recorder(
            ring_path=folder.ring, journal_path=folder.journal, xdf_path=folder.recording,
            board_path=folder.board, names=NAMES, types=TYPES, units=UNITS, rate_hz=RATE_HZ,
        )  # fmt: skip
    bench = Bench(folder, ring, board, journal, handle)
    try:
        handle.wait_ready(30.0)
        yield bench
    finally:
        if handle.alive:
            handle.stop(10.0)
        with contextlib.suppress(Exception):
            journal.close()
        board.close()


@contextlib.contextmanager
def file_size_limit(size_bytes: int) -> Iterator[None]:
    """No file of this process, or one started meanwhile, may grow beyond ``size_bytes`` (POSIX)."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
