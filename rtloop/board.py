"""Owns the board: one small shared page on which processes show that they live, ask for STOP and report the unit.

It owns no policy. Each slot is one aligned 64-bit integer with one writer (``stop_*`` excepted: any process may set
them, none clears them within a run), so a frozen or dead process can neither block a reader nor hide its silence.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from types import TracebackType

from rtloop.clock import WALL, Clock
from rtloop.errors import IntegrityProblem, NotReady

_MAGIC = 0x52544C4F4F503031
SLOTS = (
    "magic",
    # heartbeats, nanoseconds on the monotonic clock; 0 = not started, -1 = ended on purpose
    "beat_engine", "beat_port", "beat_recorder", "beat_operator", "beat_sim",
    "pid_engine", "pid_port", "pid_recorder", "pid_operator", "pid_sim",
    # requests: nanoseconds when asked, 0 = not asked
    "stop_asked",       # STOP from anywhere: the port process disarms at once and stays disarmed for the run
    "disarm_asked",     # the engine's own disarm: counts up; the port process answers in disarm_done
    # written by the port process
    "disarm_done",      # value of disarm_asked last served (EA written to the line)
    "stop_served",      # nanoseconds when EA was written after stop_asked
    "stop_confirmed",   # 1 once the unit's own status byte said disarmed after a stop; -1 could not be confirmed
    "unit_instr",       # last status byte, -1 unknown
    "unit_t",           # nanoseconds of that byte
    "unit_power",       # % MSO read back, -1 unknown
    "unit_temp_mc",     # coil temperature, milli-degrees C, -1 unknown
    "port_state",       # 0 starting, 1 open, 2 failed, 3 closed
    # written by the recorder
    "durable_sample",   # every sample below this index is on disk
    "durable_journal",  # bytes of the journal copied into the recording
    "recorder_state",   # 0 starting, 1 recording, 2 failed, 3 closed
    # written by the engine
    "engine_lamp",      # index into Lamp
    "head",             # head of the ring as the engine last saw it
    "stream_rate_mhz",  # measured sampling rate, milli-Hz, 0 unknown
    "stream_gaps",      # gaps since the start
    "stream_lost",      # samples lost since the start
    "stream_t",         # nanoseconds at which the newest sample arrived, 0 none yet
    "stream_ok",        # 1 no breach stands, 0 one does
    "clock_residual_ns",  # of the newest chunk's stamp against the robust line
    "next_due",         # nanoseconds at which the next pulse is due, 0 none
    "seat_pid",         # process whose window has the operator's seat, 0 none
)  # fmt: skip
_INDEX = {name: i for i, name in enumerate(SLOTS)}
ENDED = -1


class Board:
    """The shared page. Make it with ``create`` (one process), open it with ``Board(path)`` (all others)."""

    def __init__(self, path: str | Path, *, clock: Clock = WALL) -> None:
        self.path = Path(path)
        self._clock = clock
        try:
            fd = os.open(self.path, os.O_RDWR)
        except OSError as err:
            raise NotReady(
                f"cannot open the board {self.path}", expected="a running session", found=str(err),
                todo="check the session folder; a session that ended leaves no board",
            ) from err  # fmt: skip
        try:
            if os.fstat(fd).st_size < 8 * len(SLOTS):
                raise IntegrityProblem(
                    f"the board {self.path} is too short", expected=f"{8 * len(SLOTS)} bytes"
                )
            self._map = mmap.mmap(fd, 8 * len(SLOTS))
        finally:
            os.close(fd)
        self._view = memoryview(self._map).cast("q")
        if self._view[0] != _MAGIC:
            self.close()
            raise IntegrityProblem(
                f"{path} is not a board of this version",
                expected=hex(_MAGIC),
                todo="use the same rtloop everywhere",
            )

    @classmethod
    def create(cls, path: str | Path, *, clock: Clock = WALL) -> Board:
        """Make a new page (mode 0600; refuses to reuse one)."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, _MAGIC.to_bytes(8, "little", signed=True) + bytes(8 * (len(SLOTS) - 1)))
        finally:
            os.close(fd)
        board = cls(path, clock=clock)
        for unknown in ("unit_instr", "unit_power", "unit_temp_mc"):
            board[unknown] = -1
        return board

    def __getitem__(self, slot: str) -> int:
        return self._view[_INDEX[slot]]

    def __setitem__(self, slot: str, value: int) -> None:
        self._view[_INDEX[slot]] = value

    def now_ns(self) -> int:
        """The board's clock, nanoseconds."""
        return int(self._clock.now_s() * 1e9)

    def beat(self, role: str) -> None:
        """Show that ``role`` (engine, port, recorder, operator, sim) lives."""
        self[f"beat_{role}"] = self.now_ns()

    def start(self, role: str) -> None:
        """Enter this process as ``role``."""
        self[f"pid_{role}"] = os.getpid()
        self.beat(role)

    def end(self, role: str) -> None:
        """Leave on purpose: a silence that is no fault."""
        self[f"beat_{role}"] = ENDED

    def age_s(self, role: str) -> float:
        """Seconds since the last heartbeat; inf when never started or ended on purpose."""
        beat = self[f"beat_{role}"]
        return float("inf") if beat <= 0 else (self.now_ns() - beat) * 1e-9

    def ask_stop(self) -> None:
        """STOP: the first ask wins; never cleared within a run."""
        if not self["stop_asked"]:
            self["stop_asked"] = max(1, self.now_ns())

    def close(self) -> None:
        """Unmap; the file stays."""
        self._view.release()
        self._map.close()

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
