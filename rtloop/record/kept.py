"""Owns files of arrays beside the journal: written whole and durable, read only where the SHA-256 is the recorded one; owns no
meaning of an array."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from rtloop.durable import open_append_only, sync_data, sync_directory, write_all
from rtloop.errors import IntegrityProblem

Arrays = Mapping[str, npt.NDArray[Any]]


def write_kept(path: Path, arrays: Arrays) -> tuple[str, int]:
    """Write arrays (NumPy's npz, not compressed) under their own name first: ``path`` is whole or not there at all.

    Returns SHA-256 (hex) and bytes of the file; at return it is durable. IntegrityProblem when the disk does not take it.
    """
    memory = io.BytesIO()
    np.savez(memory, **cast(dict[str, Any], dict(arrays)))
    data, part = memory.getbuffer(), path.with_name(path.name + ".part")
    try:
        fd = open_append_only(part, new=True)
        try:
            for start in range(0, len(data), 1 << 20):  # in pieces: other threads go on
                write_all(fd, bytes(data[start : start + (1 << 20)]))
            sync_data(fd)
        finally:
            os.close(fd)
        os.replace(part, path)
        sync_directory(path.parent)
    except OSError as err:
        with contextlib.suppress(OSError):
            part.unlink()
        raise IntegrityProblem(
            f"{path.name} could not be written", expected=f"{len(data) / 1e6:.1f} MB of room in {path.parent}", found=str(err),
            todo="free space on the disk of the data directory",
        ) from err  # fmt: skip
    return hashlib.sha256(data).hexdigest(), len(data)


def read_kept(path: Path, sha256: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a file. IntegrityProblem where it is not there or not the one that was recorded."""
    try:
        data = path.read_bytes()
    except OSError as err:
        raise IntegrityProblem(
            f"{path.name} cannot be read", expected="the file beside its journal", found=str(err.strerror or err)
        ) from err  # fmt: skip
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise IntegrityProblem(
            f"{path.name} is not the file that was recorded", expected=f"SHA-256 {sha256}", found=f"{found}, {len(data)} bytes"
        )  # fmt: skip
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)
