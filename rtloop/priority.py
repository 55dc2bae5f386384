"""Owns who goes first on a busy machine: the port process, and the threads that bring samples in; owns none of their work.

An ordinary process or thread that sleeps 2 ms may wait hundreds of ms for a core when others compute (measured, docs/drivers.md),
and with it ``EA`` or a sample. A real-time one does not. What these do is short and sleeps in between, so they starve nobody
for long; Linux leaves a share to the others in any case.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

REAL_TIME = 10  # of 1 to 99: before every ordinary program, behind what the system itself needs


def go_first(pid: int = 0) -> str:
    """Put a process (0: this one) before all ordinary ones, if the system lets us; "" if it did, else why not in words.

    On Linux it needs root, CAP_SYS_NICE, or ``rtprio`` in the limits of the user who runs the session. Threads that exist
    already keep their place; what the process starts from here on does not inherit it. Never raises.
    """
    if sys.platform == "win32" or not hasattr(os, "sched_setscheduler"):
        return "real-time scheduling is not offered by this system"
    try:
        os.sched_setscheduler(pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(REAL_TIME))
    except OSError as err:
        return f"no real-time scheduling: {err.strerror}; on a busy machine EA may come late (give the user rtprio {REAL_TIME})"
    return ""


def why_not_first() -> str:
    """Whether ``go_first`` would be granted, tried on this process and taken back at once; "" or why not."""
    why = go_first()
    if not why:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return why


@contextlib.contextmanager
def threads_first() -> Iterator[bool]:
    """Threads started inside go before all ordinary ones, if the system lets us (it says so); the caller goes back to its place.

    A thread takes the place of the one that starts it. Linux alone has a place for each thread.
    """
    given = False
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REAL_TIME))
            given = True
    try:
        yield given
    finally:
        if given:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
