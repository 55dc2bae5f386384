"""Owns ``rtloop stop``: the request for STOP, the wait for its confirmation, and what to do when none comes.

STOP needs nothing that can be wrong: no valid site file, no data directory, no session that answers. Sessions are found by
their boards, in memory as well as in the data directory; one that cannot be asked never keeps the others from being asked.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from rtloop.app.runtime import boards_in_memory, pid_lives
from rtloop.board import ENDED, Board
from rtloop.clock import WALL
from rtloop.errors import NotReady, RtloopError

SERVED_WITHIN_S = 0.5
CONFIRMED_WITHIN_S = 1.5
#: a port process silent for longer is not killed: its unit let go long ago, and its number may be another's by now
KILL_WITHIN_S = 10.0
PORT_FAILED = 2
HARDWARE = "The unit's own stop is the only guaranteed way: use it if in doubt."


def stop_sessions(
    folder: Path | None, site: Path | None, data_dir: Path | None
) -> tuple[str, dict[str, Any], int]:
    """STOP one session, all of a data directory, or (neither named) all that run on this computer.

    Exit 0 when every unit was disarmed, else 5; NotReady when nothing runs.
    """
    asked = ask_sessions(folder, site, data_dir)
    if not asked:
        raise NotReady(
            "no session is running", expected=f"a running session in {folder or data_dir or 'any data directory'}",
            found="none", todo=f"name its folder, or its --data-dir. {HARDWARE}",
        )  # fmt: skip
    return confirmed_by(asked)


def ask_sessions(folder: Path | None, site: Path | None, data_dir: Path | None) -> list[tuple[str, Board]]:
    """Ask every session that is meant for STOP, at once; (name, board) of those that run. For ``confirmed_by``."""
    asked: list[tuple[str, Board]] = []
    for name, path in _boards(folder, site, data_dir):
        with contextlib.suppress(RtloopError, OSError):  # it ended under our hands, or is no board
            board = Board(path)
            if _lives(board):
                board.ask_stop()
                asked.append((name, board))
            else:
                board.close()
    return asked


def confirmed_by(asked: list[tuple[str, Board]]) -> tuple[str, dict[str, Any], int]:
    """Wait, with deadlines, for what became of the STOP at each of them; as ``stop_sessions``."""
    lines, data, code = [], [], 0
    for name, board in asked:
        words, served, confirmed = _await(board)
        lines.append(f"{name}: {words}")
        data.append({"session": name, "served": served, "confirmed": confirmed, "words": words})
        code = code if confirmed else 5
    return "\n".join([*lines, HARDWARE]), {"sessions": data}, code


def _boards(folder: Path | None, site: Path | None, data_dir: Path | None) -> list[tuple[str, Path]]:
    """(session, board) wherever a session may be running; a board that is linked from two places occurs once."""
    found: dict[Path, tuple[str, Path]] = {}
    for name, path in [] if folder or data_dir else boards_in_memory():
        found[path.resolve()] = (name, path)
    where = [folder] if folder is not None else _session_folders(site, data_dir)
    for session in where:
        path = session / "board"
        found[path.resolve()] = (session.name, path)
    return list(found.values())


def _session_folders(site: Path | None, data_dir: Path | None) -> list[Path]:
    if data_dir is None:
        from rtloop.app.config import load_site

        try:
            data_dir = Path(load_site(site).data_dir)
        except RtloopError:
            if site is not None:
                raise
            return []
    return sorted(
        path.parent for runs in ("*/board", "commissioning/*/board") for path in data_dir.glob(runs)
    )


def _lives(board: Board) -> bool:
    pids = [board[f"pid_{role}"] for role in ("engine", "port") if board[f"beat_{role}"] != ENDED]
    return any(pid and pid_lives(pid) for pid in pids)


def folder_runs(folder: Path) -> bool:
    """Whether the session of a folder runs: its engine or port process is there and showed life within the last ten seconds."""
    try:
        with Board(folder / "board") as board:
            return any(
                0 <= board.age_s(role) <= KILL_WITHIN_S and pid_lives(board[f"pid_{role}"])
                for role in ("engine", "port")
            )
    except (RtloopError, OSError):
        return False


def _await(board: Board) -> tuple[str, bool, bool]:
    with board:
        t0_s = WALL.now_s()
        if not board["pid_port"]:
            return "STOP asked for; no unit is connected", True, True
        while not _answered(board) and WALL.now_s() - t0_s < SERVED_WITHIN_S:
            WALL.sleep_until(WALL.now_s() + 0.002)
        if not board["stop_served"]:
            return _not_served(board)
        served_ms = (board["stop_served"] - board["stop_asked"]) * 1e-6
        while board["stop_confirmed"] != 1 and WALL.now_s() - t0_s < CONFIRMED_WITHIN_S:
            WALL.sleep_until(WALL.now_s() + 0.005)
        if board["stop_confirmed"] != 1:
            return (
                f"disarm sent after {served_ms:.0f} ms, NOT confirmed by the unit: use its own switch",
                True,
                False,
            )
        return f"disarmed {served_ms:.0f} ms after STOP; the unit says standby", True, True


def _answered(board: Board) -> bool:
    return bool(board["stop_served"]) or board["beat_port"] == ENDED or board["port_state"] == PORT_FAILED


def _not_served(board: Board) -> tuple[str, bool, bool]:
    watchdog = "the unit lets go by itself after about 1 s of silence"
    if board["port_state"] == PORT_FAILED:
        return f"the line to the unit is lost; {watchdog}: use its own switch", False, False
    if board["beat_port"] == ENDED:
        return "STOP asked for; the session had already disarmed and released its unit", True, True
    age_s = board.age_s("port")
    if not age_s <= KILL_WITHIN_S:
        return f"the port process is silent for {age_s:.0f} s; {watchdog}: use its own switch", False, False
    with contextlib.suppress(OSError):
        os.kill(board["pid_port"], signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    return (
        f"the port process did not answer within {SERVED_WITHIN_S} s and was killed; {watchdog}",
        False,
        False,
    )
