"""Owns ``rtloop stop``: the request for STOP, the wait for its confirmation, and what to do when none comes."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from rtloop.board import ENDED, Board
from rtloop.clock import WALL
from rtloop.errors import NotReady, RtloopError

SERVED_WITHIN_S = 0.5
CONFIRMED_WITHIN_S = 1.5
HARDWARE = "The unit's own stop is the only guaranteed way: use it if in doubt."


def stop_sessions(
    folder: Path | None, site: Path | None, data_dir: Path | None
) -> tuple[str, dict[str, Any], int]:
    """STOP one session or all that run in the data directory. Exit 0 when every unit was disarmed, else 5."""
    from rtloop.app.config import load_site

    where = Path(data_dir or load_site(site).data_dir)
    boards = [folder / "board"] if folder is not None else sorted(where.glob("*/board"))
    running = [b for b in boards if b.is_file() and _lives(b)]
    if not running:
        raise NotReady(
            "no session is running", expected=f"a running session in {folder or where}", found="none",
            todo=f"name its folder, or its --data-dir. {HARDWARE}",
        )  # fmt: skip
    asked = [_ask(path) for path in running]
    lines, data, code = [], [], 0
    for path, board in zip(running, asked, strict=True):
        words, served, confirmed = _await(board)
        lines.append(f"{path.parent.name}: {words}")
        data.append({"session": path.parent.name, "served": served, "confirmed": confirmed, "words": words})
        code = code if confirmed else 5
    return "\n".join([*lines, HARDWARE]), {"sessions": data}, code


def _lives(path: Path) -> bool:
    try:
        with Board(path) as board:
            pids = [board[f"pid_{role}"] for role in ("engine", "port") if board[f"beat_{role}"] != ENDED]
    except RtloopError:
        return False
    return any(pid and _pid_lives(pid) for pid in pids)


def _pid_lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _ask(path: Path) -> Board:
    board = Board(path)
    board.ask_stop()
    return board


def _await(board: Board) -> tuple[str, bool, bool]:
    with board:
        t0_s = WALL.now_s()
        if not board["pid_port"]:
            return "STOP asked for; no unit is connected", True, True
        while not board["stop_served"] and WALL.now_s() - t0_s < SERVED_WITHIN_S:
            WALL.sleep_until(WALL.now_s() + 0.002)
        if not board["stop_served"]:
            with contextlib.suppress(OSError):
                os.kill(board["pid_port"], signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            return (
                f"the port process did not answer within {SERVED_WITHIN_S} s and was killed; the unit lets go by itself "
                "after about 1 s of silence", False, False,
            )  # fmt: skip
        served_ms = (board["stop_served"] - board["stop_asked"]) * 1e-6
        while not board["stop_confirmed"] and WALL.now_s() - t0_s < CONFIRMED_WITHIN_S:
            WALL.sleep_until(WALL.now_s() + 0.005)
        if board["stop_confirmed"] != 1:
            return (
                f"disarm sent after {served_ms:.0f} ms, NOT confirmed by the unit: use its own switch",
                True,
                False,
            )
        return f"disarmed {served_ms:.0f} ms after STOP; the unit says standby", True, True
