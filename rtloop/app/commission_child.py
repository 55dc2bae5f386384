"""Owns the engine that commissioning kills and freezes: a process that arms the unit through a gate of its own run and fires
nothing; owns no line (that is its port process) and no judgement of what follows.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from drivers.client import MagstimUnit
from rtloop.app.unit_line import UnitWanted, open_unit
from rtloop.board import Board
from rtloop.clock import WALL
from rtloop.errors import NotReady, RtloopError
from rtloop.model.pulse import Pulse
from rtloop.model.status import Mode
from rtloop.safety.gate import Gate
from rtloop.safety.interlock import Interlock
from rtloop.safety.ledger import Ledger
from rtloop.safety.limits import Limits
from rtloop.safety.rules import Situation

BEAT_S = 0.01
START_S = 40.0
ARMED_S = 6.0


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    """What the process needs. ``power_pct_mso``: set before arming, low."""

    mode: Mode
    limits: Limits
    unit: UnitWanted
    board: Path
    run_id: str
    key: bytes
    power_pct_mso: int


def _situation(spec: ChildSpec, pulse: Pulse, now_s: float) -> Situation:
    """No stream, no recorder: what is left unsaid refuses, so this engine can arm and never fire."""
    return Situation(mode=spec.mode, now_s=now_s, pulse=pulse)


def _intent(charge: dict[str, Any]) -> None:
    raise NotReady("this engine fires nothing", todo="it arms only, to be killed or frozen")


def engine(spec: ChildSpec, conn: Connection) -> None:
    """Target of the process: open, set the power, then obey "arm", "confirm" and "end"; beat until then."""
    parent = multiprocessing.parent_process()
    with Board(spec.board) as board:
        board.start("engine")
        unit: MagstimUnit | None = None
        try:
            unit = open_unit(spec.unit, board=spec.board, run_id=spec.run_id, key=spec.key)
            lock = Interlock(spec.mode, confirm_window_s=spec.limits.confirm_window_s)
            gate = Gate(
                stimulator=unit, limits=spec.limits, interlock=lock, ledger=Ledger(), clock=WALL, run_id=spec.run_id,
                key=spec.key, record_intent=_intent, situation=lambda p, t: _situation(spec, p, t),
            )  # fmt: skip
            no = gate.set_power(spec.power_pct_mso)
            if isinstance(no, tuple):
                raise NotReady("the power was refused", found="; ".join(str(r) for r in no))
            lock.preflight_ok()
            conn.send(("open", unit.pid))
            while parent is None or parent.is_alive():
                board.beat("engine")
                if not conn.poll(BEAT_S):
                    continue
                word = conn.recv()
                if word == "end":
                    break
                if word == "arm":
                    step = lock.arm_requested(WALL.now_s())
                    conn.send(("asked", step.words if not step.accepted else ""))
                else:
                    step = lock.arm_confirmed(WALL.now_s())
                    done = gate.arm()
                    conn.send(("armed", "" if step.accepted and done.ok else f"{step.words}; {done.words}"))
        except (RtloopError, EOFError, OSError) as err:
            with contextlib.suppress(OSError):  # nobody may be listening any more
                conn.send(("error", str(err)))
        finally:
            if unit is not None:
                unit.close()
            board.end("engine")


class ChildEngine:
    """Handle on that process. ``close`` leaves no process behind, whatever was done to it."""

    def __init__(self, spec: ChildSpec) -> None:
        context = multiprocessing.get_context("spawn")
        self._conn, theirs = context.Pipe()
        self._process = context.Process(
            target=engine, args=(spec, theirs), name="commissioned engine", daemon=False
        )
        self._process.start()
        theirs.close()
        self.port_pid = 0
        self._closed = False

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def answer(self, kind: str, within_s: float) -> Any:
        """What it says of ``kind``; NotReady when it says something else, or nothing in time."""
        found: tuple[str, Any] = ("nothing", "")
        try:
            if self._conn.poll(within_s):
                found = self._conn.recv()
        except (EOFError, OSError) as err:
            found = ("ended", repr(err))
        if found[0] != kind or (kind in ("asked", "armed") and found[1]):
            raise NotReady(
                "the engine to be killed or frozen did not get so far", expected=f"{kind} within {within_s:g} s",
                found=f"{found[0]}: {found[1]}", todo="look at the unit's display, then commission again",
            )  # fmt: skip
        return found[1]

    def open(self) -> None:
        """Wait until it holds the unit in standby."""
        self.port_pid = int(self.answer("open", START_S))

    def tell(self, word: str) -> None:
        """ "arm" or "confirm", and wait until it is done."""
        self._conn.send(word)
        self.answer("asked" if word == "arm" else "armed", ARMED_S)

    def signal(self, number: int) -> float:
        """Send it a signal; returns when."""
        now_s = WALL.now_s()
        os.kill(self.pid, number)
        return now_s

    def close(self) -> None:
        """End it; its port process ends by itself, disarming. May be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._process.is_alive():
            self._process.kill()  # also ends a frozen one
        self._process.join(3.0)
        self._process.close()
        self._conn.close()
