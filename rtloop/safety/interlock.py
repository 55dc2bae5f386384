"""Owns the state of permission (SAFE, READY, ARMED, HELD, TRIPPED) and the fault table; touches no device.

ARMED is reached by two steps of the operator, in order and in time, and the unit's own word. TRIPPED is
absorbing within a run. Disarming is safe from any thread: it replaces ``_epoch``, and a permission to arm
belongs to one epoch (an object compared by identity, so no two threads can agree by chance).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rtloop.model.status import Fault, Lamp, Mode


class Action(StrEnum):
    """HOLD: armed, but the gate refuses. DISARM: two steps again. TRIP: the run can only be ended."""

    HOLD = "hold"
    DISARM = "disarm"
    TRIP = "trip"


ITSELF, RE_ARM, NEW_RUN = "itself", "re-arm", "new run"
_CLEARS = {Action.HOLD: ITSELF, Action.DISARM: RE_ARM, Action.TRIP: NEW_RUN}


@dataclass(frozen=True, kw_only=True)
class FaultRow:
    """What a fault does, how it clears (itself, re-arm, new run), what is wrong, what to do."""

    action: Action
    clears: str
    words: str
    todo: str


def _row(action: Action, words: str, todo: str) -> FaultRow:
    return FaultRow(action=action, clears=_CLEARS[action], words=words, todo=todo)


_H, _D, _T = Action.HOLD, Action.DISARM, Action.TRIP
# fmt: off
FAULTS: dict[Fault, FaultRow] = {
    Fault.STOP: _row(_T, "STOP was pressed", "take the coil away; start a new run with a note"),
    Fault.STREAM_STALE: _row(_H, "no EEG sample for a moment", "wait; it resumes with the samples"),
    Fault.STREAM_LOST: _row(_D, "the EEG stream is lost", "check the amplifier, reconnect, arm again"),
    Fault.STREAM_BAD: _row(_H, "the EEG stream is not as it should be", "check electrodes and amplifier"),
    Fault.STREAM_IMPOSTOR: _row(_D, "another stream claims to be ours", "end the other, then arm again"),
    Fault.UNIT_SILENT: _row(_D, "the unit does not answer", "check cable and display, then arm again"),
    Fault.UNIT_LOST: _row(_T, "the unit's port vanished", "standby by hand; start a new run"),
    Fault.UNIT_UNEXPECTED: _row(_D, "the unit is in an unexpected state", "look at its display, arm again"),
    Fault.UNIT_STALE: _row(_H, "the unit's status is too old", "wait for the next status"),
    Fault.UNIT_HOT: _row(_D, "the coil is too hot", "let it cool or change it, then arm again"),
    Fault.PORT_DEAD: _row(_T, "the process that owns the unit's line is gone", "standby by hand; new run"),
    Fault.RECORDER_DEAD: _row(_D, "the recorder is gone", "no record, no pulse: check the disk"),
    Fault.JOURNAL_FAILED: _row(_T, "the journal cannot be written", "free the disk; start a new run"),
    Fault.ENGINE_LATE: _row(_D, "the engine was late", "end other programs, then arm again"),
    Fault.OPERATOR_GONE: _row(_D, "the operator's window is gone", "open it again, then arm again"),
    Fault.UNCERTAIN_PULSE: _row(_T, "a pulse may have been given", "it is counted; start a new run"),
    Fault.PULSE_NOT_SEEN: _row(_D, "a pulse is not in the EEG as it must be", "check coil and trigger"),
    Fault.PULSE_UNCOMMANDED: _row(_T, "a pulse nobody commanded", "coil away, unit off, find the cause"),
    Fault.LATENCY_OFF: _row(_D, "the delay from fire command to EEG has moved", "check amplifier, trigger and load; arm again"),
    Fault.CLOCK_JUMP: _row(_D, "the clock jumped", "check the computer's time service, then arm again"),
    Fault.BUG: _row(_T, "the software failed", "start a new run; report the journal"),
}
# fmt: on


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one call did. ``disarm`` True: the unit must be disarmed now, whatever the lamp says."""

    lamp_before: Lamp
    lamp_after: Lamp
    disarm: bool
    words: str
    accepted: bool = True


class Interlock:
    """The interlock of one run. Pure: instants (seconds) come in; nothing here waits or looks."""

    def __init__(self, mode: Mode, *, confirm_window_s: float = 10.0, commissioned: bool = False) -> None:
        self.mode = mode
        self.active: dict[Fault, str] = {}  # fault -> words with detail
        self.armed_since_s: float | None = None
        self._window_s = confirm_window_s
        self._commissioned = commissioned
        self._preflight = self._paused = self._tripped = False
        self._epoch: object = object()
        self._asked: tuple[float, object] | None = None
        self._confirmed: tuple[float, object] | None = None
        self._armed_in: object | None = None

    @property
    def lamp(self) -> Lamp:
        if self._tripped:
            return Lamp.TRIPPED
        if self._armed_in is self._epoch:
            return Lamp.HELD if self._paused or self.active else Lamp.ARMED
        return Lamp.READY if self._preflight and not self.active else Lamp.SAFE

    @property
    def confirmed(self) -> bool:
        """Both steps are done and nothing disarmed since: the unit may be armed."""
        return self.lamp is Lamp.READY and self._confirmed is not None and self._confirmed[1] is self._epoch

    def preflight_ok(self) -> Step:
        """Everything needed was found in order: SAFE -> READY."""
        before = self.lamp
        self._preflight = True
        return self._step(before, "preflight passed", accepted=not self._tripped)

    def arm_requested(self, now_s: float) -> Step:
        """Step one."""
        before, no = self.lamp, self._why_not_arm()
        if no or not now_s >= 0:
            return self._step(before, no or "the instant is not a number", accepted=False)
        self._asked, self._confirmed = (now_s, self._epoch), None
        return self._step(before, f"arming asked for; confirm within {self._window_s:g} s")

    def arm_confirmed(self, now_s: float) -> Step:
        """Step two, within the window after step one."""
        before, no, asked = self.lamp, self._why_not_arm(), self._asked
        self._asked = None
        if not no and (asked is None or asked[1] is not self._epoch):
            no = "arming was not asked for: two steps, in order"
        elif not no and asked is not None and not 0 <= now_s - asked[0] <= self._window_s:
            no = f"confirmed outside the window of {self._window_s:g} s: ask again"
        if no or asked is None:
            return self._step(before, no, accepted=False)
        self._confirmed = (now_s, asked[1])
        return self._step(before, "arming confirmed; waiting for the unit")

    def unit_ready(self, now_s: float) -> Step:
        """The unit itself said ready, after both steps: READY -> ARMED."""
        before, confirmed = self.lamp, self._confirmed
        self._confirmed = None
        if not (before is Lamp.READY and confirmed is not None and confirmed[1] is self._epoch):
            return self._step(before, "ready without the two steps of arming", disarm=True, accepted=False)
        if not 0 <= now_s - confirmed[0] <= self._window_s:
            return self._step(before, "ready too late: arm again", disarm=True, accepted=False)
        self.armed_since_s, self._paused = now_s, False
        self._armed_in = confirmed[1]  # stays without effect if a disarm came in between
        return self._step(before, "armed")

    def fault(self, fault: Fault, now_s: float, detail: str = "") -> Step:
        """A fault was found; ``disarm`` of the step says whether the unit must be disarmed."""
        before, row = self.lamp, FAULTS[fault]
        words = f"{row.words}{f' ({detail})' if detail else ''}; {row.todo}"
        self.active[fault] = words
        if row.action is not Action.HOLD:
            self._epoch = object()
        if row.action is Action.TRIP:
            self._tripped = True
        return self._step(before, words, disarm=row.action is not Action.HOLD)

    def cleared(self, fault: Fault, now_s: float) -> Step:
        """The cause is gone. Only a hold resumes by itself; TRIP faults stay."""
        before = self.lamp
        if FAULTS[fault].action is Action.TRIP:
            return self._step(before, "only a new run clears this", accepted=False)
        known = self.active.pop(fault, None) is not None
        return self._step(before, f"over: {FAULTS[fault].words}", accepted=known)

    def hold(self, reason: str) -> Step:
        """The operator pauses: ARMED -> HELD."""
        before = self.lamp
        if before not in (Lamp.ARMED, Lamp.HELD):
            return self._step(before, "nothing to hold: not armed", accepted=False)
        self._paused = True
        return self._step(before, f"held: {reason}")

    def resume(self) -> Step:
        """The operator ends the pause; active faults keep holding."""
        before, was = self.lamp, self._paused
        self._paused = False
        ok = was and before is Lamp.HELD
        return self._step(before, "resumed" if ok else "was not paused", accepted=ok)

    def disarmed(self, reason: str) -> Step:
        """The unit was told to disarm: permission ends, whatever the state; never refused."""
        before = self.lamp
        self._epoch = object()
        self._asked = self._confirmed = None
        self._paused = False
        return self._step(before, f"disarmed: {reason}")

    def _why_not_arm(self) -> str:
        lamp = self.lamp
        if self.mode is Mode.LISTEN:
            return "no unit in LISTEN: nothing can be armed"
        if self.mode is Mode.HUMAN and not self._commissioned:
            return "HUMAN needs a commissioning record of unit and site: commission on a phantom first"
        if lamp is Lamp.READY:
            return ""
        why = "; ".join(self.active.values()) or ("preflight has not passed" if lamp is Lamp.SAFE else "")
        return f"cannot arm from {lamp}{f': {why}' if why else ''}"

    def _step(self, before: Lamp, words: str, *, disarm: bool = False, accepted: bool = True) -> Step:
        return Step(lamp_before=before, lamp_after=self.lamp, disarm=disarm, words=words, accepted=accepted)
