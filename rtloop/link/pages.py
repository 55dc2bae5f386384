"""Owns the mapped pages through which a window sees arrays: single trials, running averages, pair values; owns no computing.

One writer (the engine's loop, or a replay), any number of readers, none of which can block it: every slot carries a
sequence number that is odd while the slot is written, and a reader takes its copy again when the number moved.
"""

from __future__ import annotations

import json
import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rtloop.clock import WALL
from rtloop.errors import IntegrityProblem, NotReady, RtloopError, ValidationProblem
from rtloop.link.ordered import load, store
from rtloop.link.slots import ALIGN, LEAST_TRIALS, BlockSlot, TrialSlot, block_bytes, trial_bytes
from rtloop.model.samples import F32, F64, Bool

_MAGIC = 0x52544C5047533031
_MAGIC_AT, _JSON_AT_BYTES, _TOTAL, _COUNT, _LATEST = (
    0,
    1,
    2,
    8,
    16,
)  # int64 words; count and latest on lines of their own
_JSON_FROM = 256
_MOST_JSON = 8_000_000
TRIES = 40  # looks at one slot before a reader gives up for this time
_AGAIN_S = 50e-6
_S = TypeVar("_S", TrialSlot, BlockSlot)


@dataclass(frozen=True, kw_only=True)
class PagesSpec:
    """What the pages hold.

    ``names`` EEG channels in the montage's order; ``positions_m`` float64[n_channels, 3] metres; ``times_s`` float64[n_times]
    of cleaned trials and averages; ``raw_rate_hz``, ``raw_first_s`` (negative) and ``n_raw``: the raw window around a pulse;
    ``bands`` rows of the pair values, the last is "pooled"; ``gap_s`` what is bridged.
    """

    names: tuple[str, ...]
    positions_m: F64
    times_s: F64
    raw_rate_hz: float
    raw_first_s: float
    n_raw: int
    bands: tuple[str, ...]
    gap_s: tuple[float, float]
    n_trials: int = 400  # newest trials that can be looked at
    n_blocks: int = 40

    @property
    def raw_times_s(self) -> F64:
        """float64[n_raw], seconds after the pulse."""
        return self.raw_first_s + np.arange(self.n_raw) / self.raw_rate_hz

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Channels, samples of a raw window, instants of a cleaned trial, rows of pair values."""
        return len(self.names), self.n_raw, self.times_s.size, len(self.bands)

    def fit(self, max_bytes: int = 128_000_000) -> PagesSpec:
        """The same with as many trials, at most ``n_trials`` and at least 8, as let the file stay within ``max_bytes``."""
        left = max_bytes - self.n_blocks * block_bytes(*self.shape) - len(self.to_json()) - _JSON_FROM - ALIGN
        n = min(self.n_trials, max(LEAST_TRIALS, left // trial_bytes(*self.shape)))
        return PagesSpec(**{**vars(self), "n_trials": int(n)})

    def to_json(self) -> bytes:
        """The text in the header of the file."""
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}
        return json.dumps(plain).encode()

    @classmethod
    def from_json(cls, text: bytes) -> PagesSpec:
        """Inverse of ``to_json``; ValueError, TypeError or KeyError for what is none."""
        d: dict[str, Any] = json.loads(text.decode())
        spec = cls(
            names=tuple(str(x) for x in d["names"]), positions_m=np.array(d["positions_m"], np.float64).reshape(-1, 3),
            times_s=np.array(d["times_s"], np.float64), raw_rate_hz=float(d["raw_rate_hz"]),
            raw_first_s=float(d["raw_first_s"]), n_raw=int(d["n_raw"]), bands=tuple(str(x) for x in d["bands"]),
            gap_s=(float(d["gap_s"][0]), float(d["gap_s"][1])), n_trials=int(d["n_trials"]), n_blocks=int(d["n_blocks"]),
        )  # fmt: skip
        if min(*spec.shape, spec.n_trials, spec.n_blocks) < 1 or len(spec.positions_m) != len(spec.names):
            raise ValueError("sizes that cannot be")
        return spec


@dataclass(frozen=True, kw_only=True)
class TrialPage:
    """A single trial. ``clean_uv`` is None where no epoch could be cut or cleaned.

    ``raw_uv`` float32[n_channels, n_raw] µV, NaN where there are no valid samples; ``clean_uv`` float32[n_channels, n_times]
    µV; ``decay_uv`` float32[n_channels] µV (the removed map: decay at the end of the gap); ``good`` bool[n_channels].
    """

    trial_id: int
    pulse_id: int
    sample: int
    block: str
    raw_uv: F32
    clean_uv: F32 | None
    decay_uv: F32
    good: Bool


@dataclass(frozen=True, kw_only=True)
class BlockPage:
    """A block's running average and pair values.

    ``average_uv`` float32[n_channels, n_times] µV; ``pairs`` float32[n_bands, n_pairs] dwPLI², in the order of
    ``numpy.triu_indices(n_channels, 1)``, NaN where a pair is not usable or nothing is known yet (empty: all NaN).
    """

    block: str
    n: int
    average_uv: F32
    pairs: F32 = field(default_factory=lambda: np.empty((0, 0), np.float32))


class _Pages:
    """The mapped file: header, then trial slots, then block slots."""

    def __init__(self, path: Path, fd: int, spec: PagesSpec, *, writable: bool) -> None:
        self.path, self.spec = path, spec
        self._first = _from(len(spec.to_json()))
        self._total = self._first + _body(spec)
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self._map: mmap.mmap | None = mmap.mmap(fd, self._total, access=access)
        raw: npt.NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)
        self._words: npt.NDArray[np.int64] = raw[:_JSON_FROM].view(np.int64)
        self._address = int(raw.ctypes.data)
        size, at = trial_bytes(*spec.shape), self._first
        self._trials = [TrialSlot(raw, at + i * size, spec.shape) for i in range(spec.n_trials)]
        size, at = block_bytes(*spec.shape), self._first + spec.n_trials * size
        self._blocks = [BlockSlot(raw, at + i * size, spec.shape) for i in range(spec.n_blocks)]

    def _word(self, index: int) -> int:
        if self._map is None:
            raise NotReady(f"the pages {self.path} were closed", todo="open them again")
        return int(load(self._address + 8 * index))

    @property
    def count(self) -> int:
        """Grows with every write."""
        return self._word(_COUNT)

    def close(self) -> None:
        """Unmap; the file stays. A second close does nothing."""
        if self._map is not None:
            map_, self._map = self._map, None
            self._trials, self._blocks = [], []
            self._words = np.empty(0, np.int64)
            map_.close()


class PagesWriter(_Pages):
    """The one writer. Space for a slot is taken when it is first used; from then on writing it cannot fail."""

    def __init__(self, path: Path, fd: int, spec: PagesSpec) -> None:
        super().__init__(path, fd, spec, writable=True)
        self._fd = fd
        self._reserved: set[int] = set()
        self._keys: dict[str, int] = {}  # block -> slot, the one written longest ago first
        store(self._address + 8 * _LATEST, -1)
        store(self._address + 8 * _MAGIC_AT, _MAGIC)

    @classmethod
    def create(cls, path: str | Path, spec: PagesSpec) -> PagesWriter:
        """Make a new file (mode 0600; refuses to reuse one). NotReady when it cannot be made."""
        path, text = Path(path), spec.to_json()
        total = _from(len(text)) + _body(spec)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as err:
            raise _no_room(path, total, err) from err
        try:
            header = np.zeros(_JSON_FROM // 8, np.int64)
            header[_JSON_AT_BYTES], header[_TOTAL] = len(text), total
            os.ftruncate(fd, total)
            _reserve(fd, 0, _from(len(text)))
            os.lseek(fd, 0, os.SEEK_SET)
            os.write(fd, header.tobytes() + text)
            return cls(path, fd, spec)
        except (OSError, ValueError) as err:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise _no_room(path, total, err) from err

    def write_trial(self, page: TrialPage) -> None:
        """Write one trial over the oldest. ValidationProblem when it does not fit, NotReady when there is no space."""
        if page.trial_id < 0:
            raise ValidationProblem("a trial's number is negative", found=str(page.trial_id))
        slot = self._claim(self._trials, page.trial_id % self.spec.n_trials)
        slot.put(
            page.trial_id,
            page.pulse_id,
            page.sample,
            page.block,
            page.raw_uv,
            page.clean_uv,
            page.decay_uv,
            page.good,
        )
        if page.trial_id > self._word(_LATEST):
            store(self._address + 8 * _LATEST, page.trial_id)
        self._counted()

    def write_block(self, page: BlockPage) -> None:
        """Write a block's sums over its earlier ones (or over those of the block written longest ago when all are taken)."""
        index = self._keys.pop(page.block, None)
        if index is None:
            full = len(self._keys) >= self.spec.n_blocks
            index = self._keys.pop(next(iter(self._keys))) if full else len(self._keys)
        self._keys[page.block] = index
        self._claim(self._blocks, index).put(page.block, page.n, page.average_uv, page.pairs)
        self._counted()

    def close(self) -> None:
        """Unmap; the file stays."""
        if self._map is not None:
            os.close(self._fd)
        super().close()

    def _counted(self) -> None:
        store(self._address + 8 * _COUNT, self._word(_COUNT) + 1)

    def _claim(self, slots: list[_S], index: int) -> _S:
        if self._map is None:
            raise NotReady(f"the pages {self.path} were closed")
        slot = slots[index]
        if slot.offset not in self._reserved:
            try:  # a full memory must be an error here, not a signal in the middle of the copy
                _reserve(self._fd, slot.offset, slot.size)
            except OSError as err:
                raise _no_room(self.path, slot.size, err) from err
            self._reserved.add(slot.offset)
        return slot


class PagesReader(_Pages):
    """A reader, in any process. It copies, and never waits for the writer."""

    def __init__(self, path: str | Path) -> None:
        """Raises NotReady when the pages are not there (yet), IntegrityProblem when they are something else."""
        try:
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as err:
            raise NotReady(
                f"cannot open the pages {path}",
                expected="a running session",
                found=str(err),
                todo="try again shortly",
            ) from err
        try:
            super().__init__(Path(path), fd, _spec_of(Path(path), fd), writable=False)
        finally:
            os.close(fd)

    def trial(self, trial_id: int) -> TrialPage | None:
        """A copy of one trial; None when it is not there (any more)."""
        if self._map is None or trial_id < 0:
            return None
        slot = self._trials[trial_id % self.spec.n_trials]
        for _ in range(TRIES):
            got = slot.take(trial_id)
            if got is not None:
                return None if got[0] is None else TrialPage(**got[0])
            WALL.sleep_until(WALL.now_s() + _AGAIN_S)
        return None

    def latest(self) -> TrialPage | None:
        """A copy of the newest trial; None before the first."""
        return None if self._map is None else self.trial(self._word(_LATEST))

    def block(self, key: str) -> BlockPage | None:
        """A copy of a block's sums; None when there are none (yet)."""
        if self._map is None:
            return None
        wanted = key.encode()
        for slot in self._blocks:
            for _ in range(TRIES):
                got = slot.take(wanted)
                if got is not None:
                    if got[0] is not None:
                        return BlockPage(**got[0])
                    break
                WALL.sleep_until(WALL.now_s() + _AGAIN_S)
        return None


def _from(json_bytes: int) -> int:
    return -(-(_JSON_FROM + json_bytes) // ALIGN) * ALIGN


def _body(spec: PagesSpec) -> int:
    return spec.n_trials * trial_bytes(*spec.shape) + spec.n_blocks * block_bytes(*spec.shape)


def _reserve(fd: int, offset: int, size: int) -> None:
    """Make the bytes exist, so that no write into the mapping can fail; they must never have been written."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, offset, size)
        return
    os.lseek(fd, offset, os.SEEK_SET)
    if os.write(fd, bytes(size)) < size:
        raise OSError("no space left")


def _no_room(path: Path, size: int, err: Exception) -> RtloopError:
    return NotReady(
        f"no room for the pages {path}", expected=f"{size / 1e6:.1f} MB", found=str(err),
        todo="free some memory; without them a window shows no waveforms",
    )  # fmt: skip


def _spec_of(path: Path, fd: int) -> PagesSpec:
    size = os.fstat(fd).st_size
    header = np.frombuffer(os.read(fd, _JSON_FROM), np.uint8)
    words = header.view(np.int64) if header.size == _JSON_FROM else np.zeros(_JSON_FROM // 8, np.int64)
    if not words[_MAGIC_AT]:
        raise NotReady(
            f"the pages {path} are not made yet", expected="a running session", todo="try again shortly"
        )
    length, total = int(words[_JSON_AT_BYTES]), int(words[_TOTAL])
    if words[_MAGIC_AT] != _MAGIC:
        raise IntegrityProblem(
            f"{path} does not hold pages of this version", expected=hex(_MAGIC), found=hex(int(words[_MAGIC_AT])),
            todo="use the same rtloop everywhere",
        )  # fmt: skip
    try:
        if not 0 < length < _MOST_JSON:
            raise ValueError(f"a header of {length} bytes")
        spec = PagesSpec.from_json(os.read(fd, length))
    except (ValueError, TypeError, KeyError, IndexError, UnicodeDecodeError) as err:
        raise IntegrityProblem(f"the header of the pages {path} is spoilt", found=str(err)) from err
    if not size >= total == _from(length) + _body(spec) or len(spec.to_json()) != length:
        raise IntegrityProblem(
            f"the pages {path} are cut or spoilt",
            expected=f"{_from(length) + _body(spec)} bytes",
            found=f"{size} bytes",
        )
    return spec
