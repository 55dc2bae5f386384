"""Owns the reading of a board's slots as numbers with units, and whether a process lives; owns no board."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any

from rtloop.board import ENDED, Board


def pid_lives(pid: int) -> bool:
    """Whether a process of this number exists and still works (a dead child that nobody buried does not)."""
    if pid <= 0:
        return False
    if os.name != "posix":  # there a signal of number 0 is not harmless: silence on the board has to do
        return True
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def read(b: Board, now_s: float) -> dict[str, Any]:
    """The fields of ``gui.live.Live`` that stand on the board."""
    instr, asked, served, pid = (
        slot(b, name) for name in ("unit_instr", "stop_asked", "stop_served", "pid_engine")
    )
    ended, rate_mhz, stream_age_s = (
        slot(b, "beat_engine") == ENDED,
        slot(b, "stream_rate_mhz"),
        _age_s(slot(b, "stream_t"), now_s),
    )
    return {
        "engine_age_s": b.age_s("engine"), "engine_lives": not ended and (pid == 0 or pid_lives(pid)), "engine_ended": ended,
        "port_age_s": b.age_s("port"), "recorder_age_s": b.age_s("recorder"), "port_state": slot(b, "port_state"),
        "unit_instr": None if instr < 0 else instr, "unit_age_s": _age_s(slot(b, "unit_t"), now_s),
        "unit_power_pct_mso": _known(slot(b, "unit_power", -1)), "unit_temp_c": _celsius(slot(b, "unit_temp_mc", -1)),
        "stop_asked_s": asked * 1e-9 if asked else None, "stop_served_s": served * 1e-9 if served else None,
        "stop_confirmed": slot(b, "stop_confirmed"), "stream_rate_hz": rate_mhz * 1e-3 if rate_mhz else None,
        "stream_gaps": slot(b, "stream_gaps"), "stream_lost": slot(b, "stream_lost"),
        "stream_age_s": math.inf if stream_age_s is None else stream_age_s,
        "clock_residual_s": slot(b, "clock_residual_ns") * 1e-9, "stream_ok": slot(b, "stream_ok") == 1,
        "next_due_s": slot(b, "next_due") * 1e-9 or None,
    }  # fmt: skip


def slot(board: Board, name: str, missing: int = 0) -> int:
    try:
        return board[name]
    except (KeyError, IndexError):  # a board of another version
        return missing


def _age_s(t_ns: int, now_s: float) -> float | None:
    return None if t_ns <= 0 else now_s - t_ns * 1e-9


def _known(x: int) -> int | None:
    return None if x < 0 else x


def _celsius(milli: int) -> float | None:
    return None if milli == -1 else milli * 1e-3
