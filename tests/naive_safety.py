"""Owns a second, slow and plain writing of the interlock, to compare the shipped one with; owns no test."""

from __future__ import annotations

from rtloop.model.status import Fault, Lamp

#: written by hand a second time: a change of the shipped table must be made twice
HOLDS = {Fault.STREAM_STALE, Fault.STREAM_BAD, Fault.UNIT_STALE}
TRIPS = {
    Fault.STOP, Fault.UNIT_LOST, Fault.PORT_DEAD, Fault.JOURNAL_FAILED, Fault.UNCERTAIN_PULSE,
    Fault.PULSE_UNCOMMANDED, Fault.BUG,
}  # fmt: skip
WINDOW_S = 10.0


class PlainInterlock:
    """Each step returns (lamp after, accepted, the unit must be disarmed)."""

    def __init__(self) -> None:
        self.found_in_order = self.armed = self.paused = self.tripped = False
        self.active: set[Fault] = set()
        self.asked_s: float | None = None
        self.confirmed_s: float | None = None

    @property
    def lamp(self) -> Lamp:
        if self.tripped:
            return Lamp.TRIPPED
        if self.armed:
            return Lamp.HELD if self.paused or self.active else Lamp.ARMED
        return Lamp.READY if self.found_in_order and not self.active else Lamp.SAFE

    def step(self, what: str | tuple[str, Fault], t_s: float) -> tuple[Lamp, bool, bool]:
        before, accepted, disarm = self.lamp, True, False
        if what == "preflight_ok":
            self.found_in_order, accepted = True, not self.tripped
        elif what == "arm_requested":
            accepted = before is Lamp.READY
            if accepted:
                self.asked_s, self.confirmed_s = t_s, None
        elif what == "arm_confirmed":
            asked_s, self.asked_s = self.asked_s, None
            accepted = before is Lamp.READY and asked_s is not None and 0 <= t_s - asked_s <= WINDOW_S
            if accepted:
                self.confirmed_s = t_s
        elif what == "unit_ready":
            said_s, self.confirmed_s = self.confirmed_s, None
            accepted = before is Lamp.READY and said_s is not None and 0 <= t_s - said_s <= WINDOW_S
            disarm = not accepted
            if accepted:
                self.armed, self.paused = True, False
        elif what == "hold":
            accepted = before in (Lamp.ARMED, Lamp.HELD)
            self.paused = self.paused or accepted
        elif what == "resume":
            accepted, self.paused = self.paused and before is Lamp.HELD, False
        elif what == "disarmed":
            self._forget()
        else:
            kind, fault = what
            if kind == "fault":
                self.active.add(fault)
                disarm = fault not in HOLDS
                self.tripped = self.tripped or fault in TRIPS
                if disarm:
                    self._forget()
            else:
                accepted = fault in self.active and fault not in TRIPS
                if fault not in TRIPS:
                    self.active.discard(fault)
        return self.lamp, accepted, disarm

    def _forget(self) -> None:
        self.armed = self.paused = False
        self.asked_s = self.confirmed_s = None
