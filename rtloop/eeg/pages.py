"""Owns mapping a stretch of a file twice, back to back, where the system can; owns no meaning of the bytes.

POSIX: an address range is reserved and the same file pages are mapped into both halves with ``MAP_FIXED``.
The memory lives as long as any array made from it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

GRANULE = 65536  # bytes; a multiple of the page (4 KiB, 16 KiB) and of Windows' allocation granularity
_MAP_FIXED = 0x10
_MAP_POPULATE = 0x8000 if sys.platform == "linux" else 0


def can_mirror() -> bool:
    """Whether this system can map the same pages twice back to back."""
    return sys.platform in ("linux", "darwin") and ctypes.sizeof(ctypes.c_void_p) == 8


class Region:
    """``size`` bytes of memory at ``address``, unmapped when the last array over it is gone."""

    def __init__(self, address: int, size: int, *, writable: bool) -> None:
        self.address, self.size = address, size
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (size,),
            "data": (address, not writable),
        }

    def __del__(self) -> None:
        if _libc is not None:
            _libc.munmap(self.address, self.size)


def _load_libc() -> Any:
    if not can_mirror():
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int64,
    ]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc


_libc = _load_libc()


def _mmap(address: int | None, size: int, prot: int, flags: int, fd: int, offset: int) -> int:
    got = _libc.mmap(address, size, prot, flags, fd, offset)
    if got is None or got == ctypes.c_void_p(-1).value:
        code = ctypes.get_errno()
        raise OSError(code, f"mmap of {size} bytes: {os.strerror(code)}")
    return int(got)


def map_mirrored(fd: int, offset: int, size: int, *, writable: bool) -> npt.NDArray[np.uint8]:
    """uint8[2 * size]: bytes ``offset .. offset + size`` of the file, twice. Raises OSError."""
    if size % GRANULE or offset % GRANULE:
        raise ValueError(f"size {size} and offset {offset} must be multiples of {GRANULE}")
    base = _mmap(None, 2 * size, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    prot = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    flags = mmap.MAP_SHARED | _MAP_FIXED | (_MAP_POPULATE if writable else 0)
    try:
        for half in (0, size):
            _mmap(base + half, size, prot, flags, fd, offset)
    except OSError:
        _libc.munmap(base, 2 * size)
        raise
    return np.asarray(Region(base, 2 * size, writable=writable))


def map_plain(fd: int, offset: int, size: int, *, writable: bool) -> npt.NDArray[np.uint8]:
    """uint8[size]: bytes ``offset .. offset + size`` of the file, once."""
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    return np.frombuffer(mmap.mmap(fd, size, access=access, offset=offset), dtype=np.uint8)
