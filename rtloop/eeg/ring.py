"""Owns the ring: the newest half minute or more of samples, in a file that any process may map and read.

It owns no clock, no units and no judgement of the samples. One writer; readers never block it and check
afterwards that what they used was not overwritten.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtloop.eeg.atomic import copy_bytes, load_acquire, store_release
from rtloop.eeg.pages import GRANULE, can_mirror, map_mirrored, map_plain
from rtloop.errors import IntegrityProblem, NotReady
from rtloop.jit import kernel
from rtloop.model.samples import F32, F64

_MAGIC = 0x52544C52494E4731
_CHANNELS, _CAPACITY, _LOG_ROWS, _DOUBLED, _RATE = 1, 2, 3, 4, 5  # int64 slots of the header
HEAD, LOG_HEAD = 16, 24  # each on a cache line of its own
LOG_ROWS = 65536  # >= 13 s of chunks at one frame per chunk and 5 kHz
_LOG_MARGIN = 256
MIN_ROWS = GRANULE // 4  # then any row size makes a whole number of granules


@kernel("int64(int64)")
def _load(address: int) -> int:
    return load_acquire(address)


@kernel("void(int64[::1], float64[::1], int64, int64, float64, float64)")
def publish(header: Any, log: F64, first: int, count: int, t_last_s: float, t_received_s: float) -> None:
    """Make ``count`` frames from ``first`` on readable: chunk row, then head, then head of the log."""
    base = header.ctypes.data
    n = header[LOG_HEAD]
    row = (n & (LOG_ROWS - 1)) * 4
    log[row], log[row + 1], log[row + 2], log[row + 3] = first, count, t_last_s, t_received_s
    store_release(base + 8 * HEAD, first + count)
    store_release(base + 8 * LOG_HEAD, n + 1)


@kernel("void(float32[::1], int64, int64, int64, int64)")
def copy_to_twin(data: F32, pos: int, count: int, n_channels: int, capacity: int) -> None:
    """Without mirrored pages: repeat frames ``pos .. pos + count`` in the other half, one ring apart."""
    base, row = data.ctypes.data, 4 * n_channels
    low = min(count, capacity - pos)  # frames below the middle; the rest went above it
    if low > 0:
        copy_bytes(base + (pos + capacity) * row, base + pos * row, low * row)
    if count > low:
        copy_bytes(base, base + capacity * row, (count - low) * row)


@kernel("void(float32[::1], float64[::1], int64[::1], float32[::1], int64, float64, float64)")
def write_frames(
    data: F32, log: F64, header: Any, frames: F32, count: int, t_last_s: float, t_received_s: float
) -> None:
    """Copy ``count`` frames in and publish them (at most an eighth of the ring at once)."""
    n_channels, capacity = header[_CHANNELS], header[_CAPACITY]
    head = header[HEAD]
    pos = head & (capacity - 1)
    row = 4 * n_channels
    copy_bytes(data.ctypes.data + pos * row, frames.ctypes.data, count * row)
    if header[_DOUBLED]:
        copy_to_twin(data, pos, count, n_channels, capacity)
    publish(header, log, head, count, t_last_s, t_received_s)


class Ring:
    """Sample-major float32 ring of ``capacity`` (a power of two) frames; sample i is row i modulo that.

    Every stretch is one contiguous view, because the pages are mapped twice back to back, or (where the
    system cannot) every frame is written twice. The newest ``readable`` frames may be read; the rest of the
    capacity is room for the write in flight. Put the file on a memory file system where there is one: on a
    disk the system keeps writing the pages back.
    """

    def __init__(self, path: Path, fd: int, *, writable: bool) -> None:
        self.path = path
        self._writable = writable
        raw = map_plain(fd, 0, GRANULE, writable=writable)
        self._header: npt.NDArray[np.int64] = raw[:4096].view(np.int64)
        if self._header[0] != _MAGIC or self._header[_LOG_ROWS] != LOG_ROWS:
            raise IntegrityProblem(
                f"{path} is not a ring of this version",
                expected=hex(_MAGIC),
                found=hex(int(self._header[0])),
                todo="use the same rtloop everywhere",
            )
        self.n_channels = int(self._header[_CHANNELS])
        self.capacity = int(self._header[_CAPACITY])
        self.rate_hz = float(self._header[_RATE : _RATE + 1].view(np.float64)[0])
        self.mirrored = not self._header[_DOUBLED]
        self.max_write = self.capacity // 16
        self.readable = self.capacity - 2 * self.max_write
        self._log: F64 = map_plain(fd, GRANULE, LOG_ROWS * 32, writable=writable).view(np.float64)
        size, offset = self.capacity * self.n_channels * 4, GRANULE + LOG_ROWS * 32
        if self.mirrored:
            data = map_mirrored(fd, offset, size, writable=writable)
        else:
            data = map_plain(fd, offset, 2 * size, writable=writable)
            if writable:
                data[::4096] = 0  # touch every page now, not in the acquisition path
        self._data: F32 = data.view(np.float32)
        self._rows: F32 = self._data.reshape(2 * self.capacity, self.n_channels)
        self._rows.flags.writeable = False
        self._head_at = int(self._header.ctypes.data) + 8 * HEAD
        self._log_head_at = int(self._header.ctypes.data) + 8 * LOG_HEAD

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        n_channels: int,
        rate_hz: float,
        seconds: float = 32.0,
        mirror: bool | None = None,
    ) -> Ring:
        """Make a new ring file (mode 0600; refuses to reuse one) that keeps at least ``seconds`` readable.

        ``mirror`` None maps the pages twice where the system can; False writes each frame twice.
        Raises NotReady when the space is not there: pages are allocated now, never in the acquisition path.
        """
        if not (n_channels >= 1 and rate_hz > 0 and seconds > 0):
            raise ValueError(f"ring of {n_channels} channels, {rate_hz} Hz, {seconds} s")
        capacity = MIN_ROWS
        while capacity - 2 * (capacity // 16) < seconds * rate_hz:
            capacity *= 2
        doubled = not (can_mirror() if mirror is None else mirror)
        size = GRANULE + LOG_ROWS * 32 + capacity * n_channels * 4 * (2 if doubled else 1)
        path = Path(path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        try:
            header = np.zeros(8, np.int64)
            header[[0, _CHANNELS, _CAPACITY, _LOG_ROWS, _DOUBLED]] = (
                _MAGIC,
                n_channels,
                capacity,
                LOG_ROWS,
                doubled,
            )
            header[_RATE : _RATE + 1].view(np.float64)[0] = rate_hz
            os.write(fd, header.tobytes())
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, size)
            else:
                os.ftruncate(fd, size)
            return cls(path, fd, writable=True)
        except OSError as err:
            path.unlink(missing_ok=True)
            raise NotReady(
                f"no room for the ring {path}",
                expected=f"{size / 1e6:.0f} MB",
                found=str(err),
                todo="free some space or put the ring elsewhere",
            ) from err
        finally:
            os.close(fd)

    @classmethod
    def open(cls, path: str | Path) -> Ring:
        """Open an existing ring for reading, in any process. Raises NotReady when it is not there."""
        try:
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as err:
            raise NotReady(
                f"cannot open the ring {path}",
                expected="a running session",
                found=str(err),
                todo="start the session first",
            ) from err
        try:
            return cls(Path(path), fd, writable=False)
        finally:
            os.close(fd)

    def head(self) -> int:
        """Index of the next sample: all below it (the newest ``readable`` of them) can be read."""
        return int(_load(self._head_at))

    def write(self, frames: F32, t_last_s: float, t_received_s: float) -> None:
        """Append frames, float32[n, n_channels], C order; single writer.

        ``t_last_s`` is the LSL time stamp of the last frame, ``t_received_s`` when it arrived here.
        """
        if not self._writable:
            raise NotReady(f"the ring {self.path} was opened for reading only")
        if frames.ndim != 2 or frames.shape[1] != self.n_channels or frames.dtype != np.float32:
            raise ValueError(f"frames {frames.dtype}{frames.shape} do not fit float32[n, {self.n_channels}]")
        n = frames.shape[0]
        flat = np.ascontiguousarray(frames).reshape(-1)
        for a in range(0, n, self.max_write):
            b = min(n, a + self.max_write)
            piece = flat[a * self.n_channels : b * self.n_channels]
            t_s = t_last_s - (n - b) / self.rate_hz
            write_frames(self._data, self._log, self._header, piece, b - a, t_s, t_received_s)

    def view(self, first: int, count: int) -> F32:
        """float32[count, n_channels]: samples ``first .. first + count``, read-only, contiguous, no copy.

        Raises NotReady when they are not all there yet, or already overwritten.
        """
        head = self.head()
        if not 0 <= first <= first + count <= head:
            raise NotReady(
                "samples are not there yet",
                expected=f"an end at or below {head}",
                found=f"{first} + {count}",
                todo="wait for them",
            )
        if first < head - self.readable:
            raise NotReady(
                "samples are already overwritten",
                expected=f"a start at or above {head - self.readable}",
                found=str(first),
                todo="read sooner or use a longer ring",
            )
        pos = first & (self.capacity - 1)
        return self._rows[pos : pos + count]

    def intact(self, first: int) -> bool:
        """After using a view that began at ``first``: whether nothing of it was overwritten meanwhile."""
        return first >= self.head() - self.readable

    def chunks(self, cursor: int) -> tuple[int, F64]:
        """Chunk rows from ``cursor`` (0 = the oldest kept) on, and the cursor to continue from.

        Rows are float64[m, 4]: first sample, count, LSL seconds of the last sample, local seconds of arrival.
        Rows that fell out of the log are skipped: the first sample of the first row then jumps.
        """
        end = int(_load(self._log_head_at))
        start = max(cursor, end - LOG_ROWS + _LOG_MARGIN, 0)
        rows = self._log.reshape(LOG_ROWS, 4)[np.arange(start, end) & (LOG_ROWS - 1)]
        torn = int(_load(self._log_head_at)) - LOG_ROWS + _LOG_MARGIN - start
        return end, rows[torn:] if torn > 0 else rows

    def chunk_bounds(self) -> tuple[int, int]:
        """Places in the log of the oldest chunk kept and of the one after the newest."""
        end = int(_load(self._log_head_at))
        return max(0, end - LOG_ROWS + _LOG_MARGIN), end

    def chunk(self, index: int) -> tuple[int, int, float, float]:
        """One chunk row by its place in the log (negative: from the newest); NotReady when there is none."""
        start, end = self.chunk_bounds()
        at = end + index if index < 0 else index
        if not start <= at < end:
            raise NotReady("no such chunk in the log", expected=f"below {end}", found=str(at))
        first, count, t_last_s, t_received_s = self._log[(at & (LOG_ROWS - 1)) * 4 :][:4].tolist()
        return int(first), int(count), t_last_s, t_received_s

    @property
    def arrays(self) -> tuple[F32, F64, npt.NDArray[np.int64]]:
        """Data float32[2 * capacity * n_channels], chunk log float64, header int64: for the one writer."""
        if not self._writable:
            raise NotReady(f"the ring {self.path} was opened for reading only")
        return self._data, self._log, self._header
