"""Owns the port process's place before other programs on a busy machine; owns no work that it does there.

An ordinary process that sleeps 2 ms may wait hundreds of ms for a core when others compute (measured, docs/drivers.md),
and so may ``EA``. A real-time one does not. What the port process does is short and sleeps in between, so it can starve nobody
for long; Linux leaves a share to the others in any case.
"""

from __future__ import annotations

import os
import sys

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
