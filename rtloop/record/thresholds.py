"""Owns the file of a motor threshold: ``threshold.json`` in the folder of the session that took it, with its digest; owns no
method and no judgement of whether it may be used.

The digest shows that a file was altered or cut, by accident or in an editor. It is no proof against somebody who computes it
anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rtloop.durable import canonical, create_append_only, digest, sync_data, write_all
from rtloop.errors import IntegrityProblem, RtloopError
from rtloop.model.threshold import Threshold

FILE_NAME = "threshold.json"
#: kinds of event: a pulse was judged; a threshold was taken
ANSWERED, TAKEN = "threshold_answered", "threshold_taken"
_SEAL = "sha256"


def write_threshold(path: Path, threshold: Threshold) -> str:
    """Write a new file (mode 0600, never over another), durable; returns its digest. IntegrityProblem when it cannot be."""
    data: dict[str, Any] = json.loads(canonical(threshold.data()))
    sealed = {**data, _SEAL: digest(data, but=_SEAL)}
    try:
        fd = create_append_only(path)
        try:
            write_all(fd, canonical(sealed) + b"\n")
            sync_data(fd)
        finally:
            os.close(fd)
    except OSError as err:
        raise IntegrityProblem(
            f"cannot write the motor threshold {path}", expected="a new file in a writable folder", found=str(err),
            todo="check rights and free space; the journal of the session holds it (threshold_taken)",
        ) from err  # fmt: skip
    return str(sealed[_SEAL])


def read_threshold(path: Path) -> tuple[Threshold, str]:
    """The threshold of a file (or of a session's folder) and its digest; IntegrityProblem unless it is whole and unaltered."""
    file = path / FILE_NAME if path.is_dir() else path
    try:
        raw = file.read_bytes()
        tree = json.loads(raw)
        if canonical(tree) + b"\n" != raw:
            raise ValueError("it is not in canonical form")
        if tree.pop(_SEAL, None) != digest(tree, but=_SEAL):
            raise ValueError("its digest does not fit its content")
        return Threshold.of(tree), digest(tree, but=_SEAL)
    except (OSError, ValueError, AttributeError, TypeError, RecursionError, RtloopError) as err:
        raise IntegrityProblem(
            f"the motor threshold {file} cannot be trusted", expected="the file as rtloop threshold wrote it",
            found=f"{type(err).__name__}: {err}", todo="restore the file, or take the threshold again",
        ) from err  # fmt: skip
