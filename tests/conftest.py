"""Shared test ground: one LSL session per test process, warnings as errors, no thread or process left behind.

The tests of the window (tests/gui) need Qt's system libraries: where they lack these are skipped with one reason that names
them, or, with RTLOOP_REQUIRE_QT=1, the run fails at once. All other tests need none.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
import time
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from rtloop.app import qt

sys.path.insert(0, str(Path(__file__).parent))
#: whether this is one of the workers of pytest-xdist
WORKER = "PYTEST_XDIST_WORKER" in os.environ
if WORKER:
    os.environ.pop("RTLOOP_LSL_SESSION", None)  # of the process that started the workers
os.environ.setdefault("RTLOOP_LSL_SESSION", f"test-{uuid.uuid4().hex[:12]}")
os.environ.setdefault("MPLBACKEND", "Agg")
import turns  # noqa: E402  it lies beside this file

for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def _without_qt() -> str:
    """Why the tests of the window cannot run here; empty: they can."""
    if lacking := qt.not_installed():
        return f"the tests of the window need {', '.join(lacking)}: {qt.PIP_LINE}"
    if lacking := qt.missing():
        return f"the tests of the window need libraries of the system: {qt.apt_line(lacking)}"
    return ""


os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # set before anything imports Qt
os.environ["PYQTGRAPH_QT_LIB"] = "PySide6"
os.environ["PYTEST_QT_API"] = "pyside6"
WITHOUT_QT = _without_qt()
WINDOW_TESTS = Path(__file__).resolve().parent / "gui"
if WITHOUT_QT and os.environ.get("RTLOOP_REQUIRE_QT"):
    raise pytest.UsageError(f"RTLOOP_REQUIRE_QT is set, but {WITHOUT_QT}")
# pyproject keeps pytest-qt from loading by itself, since it imports Qt; this file is the first conftest of every run
pytest_plugins = [] if WITHOUT_QT else ["pytestqt.plugin"]

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


class _Unopened(pytest.Dir):
    """A folder of tests that is skipped as a whole, without importing any of its files."""

    def collect(self) -> NoReturn:
        pytest.skip(WITHOUT_QT, allow_module_level=True)


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    return _Unopened.from_parent(parent, path=path) if WITHOUT_QT and path == WINDOW_TESTS else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n 2`` all tests in real time run one after the other in one worker, the others beside them (tests/turns.py).

    ``--dist loadgroup`` would do, but pytest-xdist 3.8 loses its groups under pytest 9.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Turns(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return turns.group_of(config.rootpath / nodeid.partition("::")[0])

    return Turns(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items if WORKER else ():
        if turns.beside(item.path):
            item.add_marker(pytest.mark.timeout(600))  # it gives way: a busy computer may leave it little


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    """A test that may run beside others gives way to them."""
    with turns.behind() if WORKER and turns.beside(item.path) else contextlib.nullcontext():
        return (yield)


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
