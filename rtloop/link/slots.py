"""Owns the layout of one slot of the mapped pages and its sequence number; owns neither the file nor which slot is whose."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rtloop.errors import ValidationProblem
from rtloop.link.ordered import load, store
from rtloop.model.samples import F32, Bool

ALIGN = 4096
LEAST_TRIALS = 8
KEY_BYTES = 256
_HEAD = 64 + KEY_BYTES  # eight int64 words, then the name of the block
_SEQ, _ID, _PULSE, _SAMPLE, _CLEAN, _KEY_LENGTH = range(6)
Shape = tuple[int, int, int, int]


def _round(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def trial_bytes(n_channels: int, n_raw: int, n_times: int, n_bands: int) -> int:
    """Bytes of one trial's slot."""
    return _round(_HEAD + n_channels * (4 * n_raw + 4 * n_times + 4 + 1))


def block_bytes(n_channels: int, n_raw: int, n_times: int, n_bands: int) -> int:
    """Bytes of one block's slot."""
    return _round(_HEAD + 4 * n_channels * n_times + 4 * n_bands * (n_channels * (n_channels - 1) // 2))


class _Slot:
    """Header words and name; ``offset`` and ``size`` in bytes of the file."""

    def __init__(self, raw: npt.NDArray[np.uint8], offset: int, size: int) -> None:
        self.offset, self.size = offset, size
        self._words: npt.NDArray[np.int64] = raw[offset : offset + 64].view(np.int64)
        self._name = raw[offset + 64 : offset + _HEAD]
        self._seq_at = int(raw.ctypes.data) + offset

    def _begin(self, name: str) -> bytes:
        """The sequence becomes odd; a name that does not fit is refused before."""
        key = name.encode()
        if not 0 < len(key) <= KEY_BYTES:
            raise ValidationProblem(
                "the name of a block is too long", expected=f"1 to {KEY_BYTES} bytes", found=name
            )
        store(self._seq_at, load(self._seq_at) | 1)
        self._name[: len(key)] = np.frombuffer(key, np.uint8)
        self._words[_KEY_LENGTH] = len(key)
        return key

    def _end(self) -> None:
        store(self._seq_at, load(self._seq_at) + 1)

    def _key(self) -> bytes:
        return self._name[: max(0, min(int(self._words[_KEY_LENGTH]), KEY_BYTES))].tobytes()


class TrialSlot(_Slot):
    """One trial. The raw window lies sample-major, as in the ring, so that writing it is one straight copy."""

    def __init__(self, raw: npt.NDArray[np.uint8], offset: int, shape: Shape) -> None:
        super().__init__(raw, offset, trial_bytes(*shape))
        n_channels, n_raw, n_times, _ = shape
        at = offset + _HEAD
        self._raw, at = _floats(raw, at, (n_raw, n_channels))
        self._clean, at = _floats(raw, at, (n_channels, n_times))
        self._decay, at = _floats(raw, at, (n_channels,))
        self._good = raw[at : at + n_channels]

    def put(
        self, trial_id: int, pulse_id: int, sample: int, block: str, raw_uv: F32, clean_uv: F32 | None, decay_uv: F32,
        good: Bool,
    ) -> None:  # fmt: skip
        """Write everything; ValidationProblem before the first byte when a shape does not fit."""
        _fits("raw window", raw_uv, self._raw.T.shape)
        _fits("decay", decay_uv, self._decay.shape)
        _fits("good channels", good, self._good.shape)
        if clean_uv is not None:
            _fits("cleaned trial", clean_uv, self._clean.shape)
        self._begin(block)
        self._words[_ID], self._words[_PULSE], self._words[_SAMPLE] = trial_id, pulse_id, sample
        self._words[_CLEAN] = clean_uv is not None
        self._raw[...] = raw_uv.T
        if clean_uv is not None:
            self._clean[...] = clean_uv
        self._decay[...], self._good[...] = decay_uv, good
        self._end()

    def take(self, trial_id: int) -> tuple[dict[str, Any] | None] | None:
        """(fields,), (None,) when the slot holds another trial, None when it was written meanwhile: try again."""
        before = load(self._seq_at)
        if before & 1:
            return None
        w, got, key = self._words, None, b""
        if before and w[_ID] == trial_id:
            key = self._key()
            got = {
                "trial_id": trial_id, "pulse_id": int(w[_PULSE]), "sample": int(w[_SAMPLE]),
                "raw_uv": np.ascontiguousarray(self._raw.T), "clean_uv": self._clean.copy() if w[_CLEAN] else None,
                "decay_uv": self._decay.copy(), "good": self._good.astype(np.bool_),
            }  # fmt: skip
        if load(self._seq_at) != before:
            return None
        return (None if got is None else {**got, "block": key.decode()},)


class BlockSlot(_Slot):
    """One block's sums."""

    def __init__(self, raw: npt.NDArray[np.uint8], offset: int, shape: Shape) -> None:
        super().__init__(raw, offset, block_bytes(*shape))
        n_channels, _, n_times, n_bands = shape
        self._average, at = _floats(raw, offset + _HEAD, (n_channels, n_times))
        self._pairs, _ = _floats(raw, at, (n_bands, n_channels * (n_channels - 1) // 2))

    def put(self, block: str, n: int, average_uv: F32, pairs: F32) -> None:
        """Write everything; ValidationProblem before the first byte when a shape does not fit."""
        _fits("average", average_uv, self._average.shape)
        if pairs.size:
            _fits("pair values", pairs, self._pairs.shape)
        self._begin(block)
        self._words[_ID] = n
        self._average[...] = average_uv
        self._pairs[...] = pairs if pairs.size else np.nan
        self._end()

    def take(self, key: bytes) -> tuple[dict[str, Any] | None] | None:
        """(fields,), (None,) when the slot holds another block, None when it was written meanwhile: try again."""
        before = load(self._seq_at)
        if before & 1:
            return None
        got = None
        if before and self._key() == key:
            got = {
                "block": key.decode(), "n": int(self._words[_ID]), "average_uv": self._average.copy(),
                "pairs": self._pairs.copy(),
            }  # fmt: skip
        return None if load(self._seq_at) != before else (got,)


def _floats(raw: npt.NDArray[np.uint8], at: int, shape: tuple[int, ...]) -> tuple[F32, int]:
    end = at + 4 * int(np.prod(shape))
    return raw[at:end].view(np.float32).reshape(shape), end


def _fits(what: str, found: npt.NDArray[Any], expected: tuple[int, ...]) -> None:
    if found.shape != expected:
        raise ValidationProblem(f"wrong shape of the {what}", expected=str(expected), found=str(found.shape))
