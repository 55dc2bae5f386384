"""Owns the recorder process: its start, its reasons to end, its words on failure; owns nothing of the
file's content.

The process ends after SIGTERM, a stop request, the engine's planned end, or the engine's death. It never
ends on
SIGINT: a Ctrl-C at the terminal stops the session, and the session stops the recorder last.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from rtloop.board import ENDED, Board
from rtloop.clock import WALL
from rtloop.errors import NotReady, RtloopError
from rtloop.record.recorder_loop import Recording, SampleRing, Syncer
from rtloop.record.xdf_write import StreamLayout, XdfWriter

TURN_S = 0.020
#: the engine is dead: keep draining until nothing new came for this long
QUIET_S = 1.0
#: how long the ring may be absent after the start
RING_DEADLINE_S = 10.0
FAILED = 4


@dataclass(frozen=True, kw_only=True)
class RecorderSpec:
    """Everything the process needs, picklable."""

    ring_path: str
    journal_path: str
    xdf_path: str
    board_path: str
    layout: StreamLayout


class RecorderHandle:
    """The engine's hold on the recorder process."""

    def __init__(self, process: BaseProcess, pipe: Connection, board_path: Path) -> None:
        self._process, self._pipe = process, pipe
        self._board_path = board_path
        self._words = ""

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; 0 after a clean end, 4 when it could not record everything, < 0 when killed."""
        return self._process.exitcode

    def words(self) -> str:
        """What the recorder said about its failure, or nothing."""
        try:
            while self._pipe.poll(0):
                self._words = str(self._pipe.recv())
        except (EOFError, OSError):
            pass
        return self._words

    def wait_ready(self, deadline_s: float = 10.0) -> None:
        """Return once it records (files made, headers durable); NotReady when it ended or stays silent."""
        end_s = WALL.now_s() + deadline_s
        with Board(self._board_path) as board:
            while board["recorder_state"] != 1:
                if not self.alive or board["recorder_state"] == 2:
                    self._process.join(1.0)
                    raise NotReady("the recorder did not start", expected="a recording",
                                   found=self.words() or f"exit code {self.exit_code}",
                                   todo="check the data directory: free space, rights")  # fmt: skip
                if WALL.now_s() > end_s:
                    raise NotReady("the recorder is not ready", expected=f"within {deadline_s:g} s",
                                   found="no sign of it", todo="try again; check the load")  # fmt: skip
                time.sleep(0.005)

    def stop(self, deadline_s: float = 5.0) -> int:
        """Ask it to drain, close and end; returns the exit code. Killed (NotReady) when it does not in
        time."""
        with contextlib.suppress(OSError):
            self._pipe.send("stop")
        self._process.join(deadline_s)
        if self.alive:
            self._process.kill()
            self._process.join(1.0)
            self._pipe.close()
            raise NotReady("the recorder did not end and was killed",
            expected=f"an end within {deadline_s:g} s",
                           todo="run `rtloop verify` on the session folder")  # fmt: skip
        self.words()
        self._pipe.close()
        return int(self._process.exitcode or 0)


def start_recorder(
    *,
    ring_path: str | Path,
    journal_path: str | Path,
    xdf_path: str | Path,
    board_path: str | Path,
    names: tuple[str, ...],
    types: tuple[str, ...],
    units: tuple[str, ...],
    rate_hz: float,
    stream_name: str = "EEG",
    source_id: str = "",
) -> RecorderHandle:
    """Start the process (spawn). The board must exist; the ring may come up to 10 s later.

    ``names``, ``types``, ``units`` are all columns of the ring in order, the trigger column included.
    """
    layout = StreamLayout(
        name=stream_name,
        kind="EEG",
        labels=names,
        types=types,
        units=units,
        rate_hz=rate_hz,
        source_id=source_id,
    )
    spec = RecorderSpec(
        ring_path=str(ring_path), journal_path=str(journal_path), xdf_path=str(xdf_path),
        board_path=str(board_path), layout=layout,
    )  # fmt: skip
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=True)
    # daemon: when the engine's interpreter ends without having stopped it, it gets SIGTERM (and drains),
    # instead of each waiting for the other for ever
    process = context.Process(target=recorder_main, args=(spec, theirs), name="rtloop-recorder", daemon=True)
    process.start()
    theirs.close()
    return RecorderHandle(process, ours, Path(board_path))


class _Reason:
    """Why the process should end: empty while it should not. ``dead``: the engine did not say goodbye."""

    def __init__(self, board: Board, pipe: Connection) -> None:
        self._board, self._pipe, self._parent = board, pipe, os.getppid()
        self._terminated = False
        self.dead = False
        signal.signal(signal.SIGTERM, self._on_term)
        for name in ("SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)

    def _on_term(self, number: int, frame: object) -> None:
        self._terminated = True

    def wait(self, seconds: float) -> str:
        """Sleep up to ``seconds`` and return the reason."""
        try:
            if self._pipe.poll(seconds):
                self._pipe.recv()
                return "stopped by the engine"
        except (EOFError, OSError):
            self.dead = True
        if self._terminated:
            return "terminated"
        if self._board["beat_engine"] == ENDED:
            return "the engine ended"
        if os.getppid() != self._parent:
            self.dead = True
        return "the engine died" if self.dead else ""


def recorder_main(spec: RecorderSpec, pipe: Connection) -> None:
    """The process. Exit code 0, or 4 with words on stderr and in the pipe."""
    board = Board(spec.board_path)
    reason = _Reason(board, pipe)
    board.start("recorder")
    try:
        why = _record(spec, board, reason)
        board["recorder_state"] = 3
        board.end("recorder")
    except (OSError, RtloopError) as err:
        board["recorder_state"] = 2
        why = f"the recording {spec.xdf_path} failed: {err}"
        print(f"rtloop recorder: {why}", file=sys.stderr, flush=True)
        with contextlib.suppress(OSError):
            pipe.send(why)
        sys.exit(FAILED)
    finally:
        board.close()


def _record(spec: RecorderSpec, board: Board, reason: _Reason) -> str:
    ring = _open_ring(spec, board, reason)
    writer = XdfWriter(spec.xdf_path)
    syncer = Syncer(writer)
    try:
        recording = Recording(
            ring=ring, journal_path=Path(spec.journal_path), writer=writer, board=board, layout=spec.layout
        )
        syncer.start()
        board["recorder_state"] = 1
        why = ""
        while not why:
            recording.turn()
            syncer.check()
            why = reason.wait(TURN_S)
        quiet_since_s = WALL.now_s()
        while reason.dead and WALL.now_s() - quiet_since_s < QUIET_S:
            if recording.turn():
                quiet_since_s = WALL.now_s()
            time.sleep(TURN_S)
        recording.turn()
        recording.finish(why)
        return why
    finally:
        if syncer.ident is not None:
            syncer.end()
        writer.close()


def _open_ring(spec: RecorderSpec, board: Board, reason: _Reason) -> SampleRing:
    from rtloop.eeg.ring import Ring

    end_s = WALL.now_s() + RING_DEADLINE_S
    while True:
        try:
            ring = Ring.open(spec.ring_path)
            break
        except (OSError, RtloopError) as err:
            board.beat("recorder")
            if WALL.now_s() > end_s or reason.wait(TURN_S):
                raise NotReady("the ring cannot be opened", expected=spec.ring_path, found=str(err),
                               todo="start the acquisition first") from err  # fmt: skip
    if ring.n_channels != len(spec.layout.labels):
        raise NotReady("the ring does not fit the layout", expected=f"{len(spec.layout.labels)} channels",
                       found=f"{ring.n_channels} channels")  # fmt: skip
    return ring
