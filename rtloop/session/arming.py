"""Owns the two steps of arming as a session takes them, and the look at the participant's lock; owns no interlock and no lock."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rtloop.errors import RtloopError
from rtloop.model.event import Event
from rtloop.model.status import Fault
from rtloop.record import kinds
from rtloop.safety.gate import Gate
from rtloop.safety.interlock import FAULTS, Action, Interlock
from rtloop.session.loopback import Loopback
from rtloop.session.vigil import Vigil

#: how often the lock of the participant is looked at
LOCK_EVERY_S = 0.25


class Emit(Protocol):
    """Journals an event, folds it, shows it."""

    def __call__(self, kind: str, /, *, sync: bool = False, **data: object) -> Event | None: ...


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a step of arming; ``error``: the unit did not get ready."""

    ok: bool
    words: str
    error: RtloopError | None = None


class Arming:
    """What ``arm`` and ``confirm`` do; a participant who is locked is refused both.

    Parameters
    ----------
    emit, tell : journal an event; make events of what changed in the interlock, with words
    alive : called after each wait for the unit
    locked : why the participant is locked after an emergency; empty when not
    """

    def __init__(
        self, *, interlock: Interlock, gate: Gate | None, vigil: Vigil, loopback: Loopback, emit: Emit,
        tell: Callable[[str], None], alive: Callable[[], None], locked: Callable[[], str],
    ) -> None:  # fmt: skip
        self._interlock, self._gate, self._vigil, self._loopback = interlock, gate, vigil, loopback
        self._emit, self._tell, self._alive, self._locked = emit, tell, alive, locked
        self._look_at_s = -math.inf

    def ask(self, now_s: float) -> Answer:
        """Step one; it also acknowledges the faults whose cause no longer stands."""
        if locked := self._locked():
            self._emit("arm_requested", accepted=False, words=locked)
            return Answer(ok=False, words=locked)
        for fault in [f for f in self._interlock.active if f not in self._vigil.standing]:
            if FAULTS[fault].action is not Action.TRIP:
                self._interlock.cleared(fault, now_s)
                if fault is Fault.LATENCY_OFF:
                    self._loopback.again()
        self._tell("")
        step = self._interlock.arm_requested(now_s)
        self._emit("arm_requested", accepted=step.accepted, words=step.words)
        return Answer(ok=step.accepted, words=step.words)

    def confirm(self, now_s: float) -> Answer:
        """Step two; then the unit is armed."""
        if locked := self._locked():
            self._emit("arm_confirmed", accepted=False, words=locked)
            return Answer(ok=False, words=locked)
        step = self._interlock.arm_confirmed(now_s)
        self._emit("arm_confirmed", accepted=step.accepted, words=step.words)
        if not step.accepted or self._gate is None:
            return Answer(ok=step.accepted, words=step.words)
        try:
            armed = self._gate.arm()
        except RtloopError as err:  # the gate has disarmed and told the interlock
            self._tell(str(err))
            return Answer(ok=False, words=str(err), error=err)
        finally:
            self._alive()
        self._tell(armed.words)
        return Answer(ok=armed.ok, words=armed.words)

    def newly_locked(self, now_s: float, participant: str) -> str:
        """Why the participant is locked, told once; an event. Looked at a few times a second (inf: now)."""
        if now_s < self._look_at_s or self._look_at_s == math.inf:
            return ""
        self._look_at_s = now_s + LOCK_EVERY_S
        if words := self._locked():
            self._look_at_s = math.inf
            self._emit(kinds.PARTICIPANT_LOCKED, sync=True, participant=participant, words=words)
        return words
