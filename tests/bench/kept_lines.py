"""Owns long runs that can be broken off: each result is a line of a file as soon as it is there; owns no task."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def each_kept(
    do: Callable[[Any], dict[str, Any]], tasks: Sequence[Any], jobs: int, out: Path | None
) -> list[dict[str, Any]]:
    """The results of all tasks, in order; each is a line of ``out`` as soon as it is there."""
    found = []
    pool = multiprocessing.get_context("spawn").Pool(jobs) if jobs > 1 and tasks else None
    try:
        for result in (pool.imap if pool else map)(do, tasks):
            found.append(result)
            if out is not None:
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
    finally:
        if pool:
            pool.terminate()
            pool.join()
    return found


def lines_of(out: Path | None) -> list[dict[str, Any]]:
    """What a broken-off run left."""
    if out is None or not out.exists():
        return []
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
