"""Shared test ground: one LSL session per test process, warnings as errors, no thread or process left behind."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("RTLOOP_LSL_SESSION", f"test-{uuid.uuid4().hex[:12]}")
os.environ.setdefault("MPLBACKEND", "Agg")
for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings, or a skip that says so."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"real recordings are not here ({folder}); the project's own tests do not need them")
    return folder


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 3.0
    while time.monotonic() < deadline:
        threads = [t for t in threading.enumerate() if t not in before and t.is_alive() and not t.daemon]
        children = multiprocessing.active_children()
        if not threads and not children:
            return
        time.sleep(0.02)
    for child in children:
        child.kill()
        child.join(1.0)
    assert not threads, f"threads left behind: {threads}"
    assert not children, f"processes left behind: {children}"
