"""Owns which test modules may run while another test runs: those that start nothing and in which no real time matters.

All others run one after the other, in one worker of pytest-xdist (``-n 2``). What cannot be told from the source counts as one
of these.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent
#: the group of those that run alone
ALONE = "alone"
#: folders of tests on values and on stepped clocks; of these modules too the source is looked through
_FOLDERS = ("architecture", "golden", "property", "unit")
#: modules that are known to hold what is stepped only, or to ask nobody for anything in time (tests that run tests among them)
_STEPPED = (
    "architecture/test_safety_file.py", "contract/test_safety_fake_unit.py", "property/test_soak_stimulator_trains.py",
    "scenario/test_control_session.py", "scenario/test_decision_session.py", "scenario/test_quality_session.py",
    "scenario/test_recordings_replay.py", "scenario/test_session_delay.py", "scenario/test_session_emergency.py",
    "scenario/test_session_latency.py", "scenario/test_session_mismatch.py", "scenario/test_session_more_given.py",
    "scenario/test_session_stepped.py", "scenario/test_session_waivers.py", "scenario/test_session_words.py",
    "scenario/test_spatial_session.py", "unit/test_app_devices.py", "unit/test_drivers_given_otherwise.py",
    "unit/test_record_verify.py", "unit/test_scripting_stepped.py", "unit/test_session_keeping.py", "unit/test_sim_head.py",
)  # fmt: skip
#: the window on a desk of the test's own making: Qt's timers run, nothing in it must be quick
_WINDOW = tuple(
    f"gui/test_gui_{name}.py"
    for name in (
        "ground",
        "head",
        "panels",
        "review",
        "session_screen",
        "settings",
        "start",
        "traces",
        "window",
    )
)
#: what starts something, listens to something or waits
_REAL = re.compile(
    r"\b(qtbot|Thread|Process|Popen|SocketLine|PtyLine|start_bedside|perf_counter|process_time|monotonic|time\.sleep)\b"
    r"|^\s*(import|from) (subprocess|multiprocessing|threading|socket|serial|pylsl|pty|asyncio|signal|time|tracemalloc)\b"
    r"|\"(socket|pty)\"",  # kinds of a bench whose unit runs in a thread
    re.MULTILINE,
)
#: tools for tests of both kinds: what of them is real, beside the kinds of a bench
_REAL_OF = {
    "session_tools": re.compile(r"\b(Running|gone|wait_gone|as_at_a_terminal)\b"),
    "contract_tools": re.compile(r"\b(beating|open_unit)\b"),
    "eeg_tools": re.compile(r"\b(amplifier|running|until)\b"),
}
_IMPORT = re.compile(r"^\s*(?:from|import) (\w+)", re.MULTILINE)


@functools.cache
def beside(path: Path) -> bool:
    """Whether the tests of this module may run beside others."""
    name = path.relative_to(TESTS).as_posix()
    return name in (*_STEPPED, *_WINDOW) or (name.partition("/")[0] in _FOLDERS and not _real(path))


@functools.cache
def _real(path: Path) -> bool:
    """Whether something real happens in a module, or in a module of the tests that it imports."""
    text = path.read_text(encoding="utf-8")
    tools = [TESTS / f"{name}.py" for name in _IMPORT.findall(text)]
    return bool(_REAL.search(text)) or any(
        bool(_REAL_OF[tool.stem].search(text)) if tool.stem in _REAL_OF else _real(tool)
        for tool in tools
        if tool != path and tool.is_file()
    )


def group_of(path: Path) -> str:
    """The group of a module's tests: its own, or that of all which run alone."""
    return path.relative_to(TESTS).with_suffix("").as_posix() if beside(path) else ALONE


@contextlib.contextmanager
def behind() -> Iterator[None]:
    """Give way to everything else that runs (Linux: SCHED_IDLE), so that no test with a deadline waits for this one."""
    if not hasattr(os, "SCHED_IDLE"):
        yield
        return
    was, how = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, was, how)
