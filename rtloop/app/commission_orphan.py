"""Owns the two steps in which the process that drives the unit is frozen or killed while armed; judges by the line's own bytes.

It owns no line and no arming: the engine that is killed has a gate and a port process of its own (commission_child).
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
from pathlib import Path

from rtloop.app.commission_bench import TRIES
from rtloop.app.commission_child import ChildEngine, ChildSpec
from rtloop.app.commission_person import ended
from rtloop.app.commission_steps import STANDBY_ASKED, Walk, standby_words
from rtloop.board import Board
from rtloop.clock import WALL
from rtloop.errors import NotReady, OperatorAbort

#: a killed or frozen engine: EA on the line, and the status byte read back
ORPHAN_EA_MS, ORPHAN_MS = 300.0, 500.0


def orphan(walk: Walk, spec: ChildSpec, *, freeze: bool) -> None:
    """An engine of its own arms the unit; it is killed, or frozen; its port process must disarm the unit."""
    step, how = ("engine_frozen", "frozen") if freeze else ("engine_killed", "killed")
    done = f"the engine is {how} while armed"
    number = getattr(signal, "SIGSTOP" if freeze else "SIGKILL", None)
    if number is None:
        walk.found(
            step, done, "a system that can do this", "this system cannot: commission under Linux", False
        )
        return
    board = Board.create(spec.board)
    child = ChildEngine(spec)
    began_s = WALL.now_s()
    try:
        child.open()
        _armed(walk, child, spec.limits.confirm_window_s, done)
        was_armed = not board["unit_instr"] & 1
        t0_s = child.signal(int(number))
        end_s = t0_s + 3.0
        while not (standby := _standby_since(board, t0_s)) and WALL.now_s() < end_s:
            WALL.sleep_until(WALL.now_s() + 0.002)
        after_ms = 1e3 * (board["unit_t"] * 1e-9 - t0_s) if standby else math.nan
        ea_ms = 1e3 * (_first_ea_s(spec, t0_s) - t0_s)
        saw = walk.person.confirms("standby", STANDBY_ASKED, _nothing)
        ok = was_armed and standby and ea_ms <= ORPHAN_EA_MS and after_ms <= ORPHAN_MS and saw
        words = f"EA on the line after {ea_ms:.0f} ms, " if math.isfinite(ea_ms) else "EA NOT on the line, "
        words += f"standby read back after {after_ms:.0f} ms" if standby else "standby NOT read back"
        walk.found(step, done, f"EA within {ORPHAN_EA_MS:g} ms, standby read back within {ORPHAN_MS:g} ms and displayed",
                   f"{words}; display {standby_words(saw)}", ok,
                   by=walk.person.name, numbers={"until_ea_ms": ea_ms, "until_standby_ms": after_ms})  # fmt: skip
    except (KeyboardInterrupt, OperatorAbort) as err:
        child.close()
        _await_port(board)
        known = _standby_since(
            board, began_s
        )  # the newest byte there is, now that its port process has ended
        raise ended(
            err, "the unit says standby" if known else "standby NOT confirmed: use the unit's own switch"
        ) from None
    finally:
        child.close()
        _await_port(board)
        board.close()


def _armed(walk: Walk, child: ChildEngine, window_s: float, done: str) -> None:
    """Two steps by the person; asked anew where the second came too late."""
    why = first = f"the unit will be ARMED, nothing will be fired ({done})"
    for left in reversed(range(TRIES)):
        walk.person.says("arm", why, _nothing)
        child.tell("arm")
        asked_s = WALL.now_s()
        walk.person.says("confirm", f"once more, within {window_s:g} s", _nothing)
        try:
            child.tell("confirm")
            return
        except NotReady:
            if not left or WALL.now_s() - asked_s <= window_s:
                raise
        why = f"that was too late, nothing is armed. {first}"


def _first_ea_s(spec: ChildSpec, t0_s: float) -> float:
    """When EA was handed to the line after ``t0_s``, by the byte transcript; NaN when it was not."""
    path = Path(spec.unit.options["transcript"])
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError, KeyError):  # a last line that is still being written
            entry = json.loads(line)
            if entry["t_s"] >= t0_s and bytes.fromhex(entry["sent"]).startswith(b"EA"):
                return float(entry["t_s"])
    return math.nan


def _standby_since(board: Board, t_s: float) -> bool:
    instr = board["unit_instr"]
    return instr >= 0 and instr & 0b111 == 0b001 and board["unit_t"] * 1e-9 > t_s


def _await_port(board: Board, within_s: float = 5.0) -> None:
    """Until the orphaned port process has let the line go: the next run needs it."""
    end_s = WALL.now_s() + within_s
    while board["pid_port"] and board["beat_port"] > 0 and WALL.now_s() < end_s:
        WALL.sleep_until(WALL.now_s() + 0.01)


def _nothing() -> None:
    WALL.sleep_until(WALL.now_s() + 0.001)
