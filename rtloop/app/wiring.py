"""Owns the only place that knows which hardware stands at the ends: starts it, hands it over, ends it in the right order."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hardware_sim.bedside import BedsideSpec
from hardware_sim.bench import Bedside, start_bedside
from rtloop.app.runtime import Runtime
from rtloop.app.unit_line import UnitWanted as UnitWanted
from rtloop.app.unit_line import open_unit
from rtloop.board import Board
from rtloop.clock import WALL
from rtloop.eeg.lsl import find_stream
from rtloop.eeg.source import EegSource
from rtloop.errors import RtloopError
from rtloop.ports import Stimulator
from rtloop.record.folder import SessionFolder
from rtloop.record.recorder import RecorderHandle, start_recorder


@dataclass(frozen=True, kw_only=True)
class StreamWanted:
    """Which amplifier stream, and what it must look like; None: whatever the one stream is."""

    name: str | None
    source_id: str | None = None
    rate_hz: float | None = None
    channels: int | None = None
    markers: str | None = None


class SimulatedBedside(Protocol):
    """What a session asks of a simulated bedside, in a process of its own or stepped."""

    def place(self, target: str) -> None:
        """Move the coil."""
        ...

    def place_control(self, target: str) -> None:
        """Move the coil to the place of the target's control block."""
        ...

    def inject(self, fault: dict[str, Any]) -> None:
        """A fault of the stream or of the unit, from now on."""
        ...


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Everything that was started. ``unit`` is None when only listening, ``bedside`` unless it is simulated."""

    board: Board
    source: EegSource
    stream: dict[str, Any]  # who sends it, for the record
    unit: Stimulator | None
    bedside: SimulatedBedside | None
    key: bytes
    pages: Path | None = None  # where a window sees arrays
    link: Path | None = None  # where a window's words come in


@contextlib.contextmanager
def simulated_bedside(spec: BedsideSpec | None) -> Iterator[Bedside | None]:
    """The simulated bedside in a process of its own, or nothing."""
    if spec is None:
        yield None
        return
    bedside = start_bedside(spec)
    try:
        yield bedside
    finally:
        bedside.close()


@contextlib.contextmanager
def connected(
    folder: SessionFolder, run_id: str, stream: StreamWanted, unit: UnitWanted | None, bedside: Bedside | None,
    say: Callable[[str], None], *, window: bool = False,
) -> Iterator[Bench]:  # fmt: skip
    """Board, acquisition, recorder, port process: started in this order, ended in the reverse, the unit disarmed first.

    ``window``: a window shows the operator's presence; else this process does.

    NotReady or ValidationProblem in words when any of them is not as wanted; what was started is ended.
    """
    with contextlib.ExitStack() as stack:
        runtime = Runtime(folder, run_id)
        stack.callback(runtime.remove)
        board = stack.enter_context(Board.create(runtime.board))
        stack.callback(board.end, "engine")
        board.start("engine")
        if not window:
            board.start("operator")
        found = find_stream(
            name=stream.name, source_id=stream.source_id, expected_rate_hz=stream.rate_hz,
            expected_channels=stream.channels,
        )  # fmt: skip
        say(f"stream: {found.listing.words()}")
        markers = (
            [find_stream(name=stream.markers, kind="Markers", seen=found.seen)] if stream.markers else []
        )
        if short := runtime.make_room(found.listing.n_channels, found.listing.rate_hz):
            say(short)
        source = EegSource.from_lsl(found, runtime.ring, markers=markers)
        stack.callback(source.close)
        runtime.link()
        recorder = start_recorder(
            ring_path=runtime.ring, journal_path=folder.journal, xdf_path=folder.recording, board_path=runtime.board,
            names=source.layout.names, types=tuple(c.kind.value for c in source.layout.channels),
            units=tuple("microvolts" if c.unit == "µV" else c.unit for c in source.layout.channels),
            rate_hz=source.rate_hz, stream_name=found.listing.name, source_id=found.listing.source_id,
        )  # fmt: skip
        stack.callback(_end_recorder, recorder, say)
        recorder.wait_ready()
        key = secrets.token_bytes(32)
        driver = None
        if unit is not None:
            driver = open_unit(unit, board=runtime.board, run_id=run_id, key=key)
            stack.callback(driver.close)
            say(f"unit: {unit.words}, standby read back, coil {driver.status().coil_temp_c} °C")
        listing = found.listing
        sender = {
            "name": listing.name, "source_id": listing.source_id, "uid": listing.uid, "host": listing.hostname,
            "rate_hz": listing.rate_hz, "channels": listing.n_channels,
        }  # fmt: skip
        yield Bench(
            board=board, source=source, stream=sender, unit=driver, bedside=bedside, key=key,
            pages=runtime.pages, link=runtime.socket,
        )  # fmt: skip


def _end_recorder(recorder: RecorderHandle, say: Callable[[str], None]) -> None:
    try:
        if recorder.stop():
            say(f"recorder: {recorder.words() or 'it failed'}")
    except RtloopError as err:
        say(f"recorder: {err}")


def new_run_id() -> str:
    """Eight random hexadecimal digits; the folder's name carries the time."""
    return secrets.token_hex(4)


def session_folder(data_dir: Path, run_id: str) -> SessionFolder:
    """A new session folder."""
    return SessionFolder.create(data_dir, run_id, clock=WALL)
