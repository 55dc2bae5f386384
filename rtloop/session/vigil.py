"""Owns the looking-out: which faults stand now in the stream, the unit and the other processes; decides nothing about them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from rtloop.board import ENDED, Board
from rtloop.errors import NotReady
from rtloop.model.status import Fault, Lamp, StreamHealth, UnitStatus
from rtloop.ports import SampleSource
from rtloop.safety.limits import Limits

#: a pass of the loop later than this after the one before could not have acted in time
LOOP_LATE_S = 0.25
#: a unit whose newest status is older than this, armed or not, no longer answers (in standby it is asked every 2 s)
SILENT_AFTER_S = 5.0
SILENT_ARMED_S = 2.0
#: how the port process says on the board that the line itself failed
LINE_FAILED = 2
#: the wall clock is compared so often, and may not move by more between two comparisons
CLOCK_EVERY_S = 1.0
CLOCK_JUMP_S = 2.0
#: how often stream and unit are looked at
LOOK_EVERY_S = 0.01


class Vigil:
    """Compares what stands now with what stood at the last look.

    Parameters
    ----------
    status : the unit's newest known status, or None when no unit is connected
    told : what the driver told unasked (it has disarmed the unit already), or None
    recording : whether a recorder must live
    window : whether a window answers; until one has taken the operator's seat, nobody is there
    utc : the wall clock (ISO 8601); a jump of it against the monotonic clock is a fault, since the dose is counted by day
    """

    def __init__(
        self, *, source: SampleSource, board: Board, limits: Limits, status: Callable[[], UnitStatus] | None,
        recording: bool = True, utc: Callable[[], str] | None = None, window: bool = False,
        told: Callable[[], NotReady | None] | None = None,
    ) -> None:  # fmt: skip
        self._source, self._board, self._limits = source, board, limits
        self._status, self._recording = status, recording
        self._told, self._heard = told, ""
        self.standing: dict[Fault, str] = {}
        self.health: StreamHealth | None = None
        self._last_s: float | None = None
        self._looked_s = float("-inf")
        self._utc, self._compared_s = utc, float("-inf")
        self._whose = "window" if window else "terminal"
        self.operator_max_age_s = limits.operator_max_age_s
        self._wall_minus_s: float | None = None
        self._jumped = ""

    def look(self, now_s: float, lamp: Lamp) -> tuple[list[tuple[Fault, str]], list[Fault]]:
        """Faults that newly stand, with details; faults that stood and no longer do."""
        late_s = 0.0 if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        if self._board["stop_asked"] == 0 and late_s <= LOOP_LATE_S and now_s - self._looked_s < LOOK_EVERY_S:
            return [], []
        self._looked_s = now_s
        found = self._stream(now_s) | self._processes() | self._unit(now_s, lamp)
        if self._jump(now_s):
            found[Fault.CLOCK_JUMP] = self._jumped
        if late_s > LOOP_LATE_S:
            found[Fault.ENGINE_LATE] = f"a pass of the loop came {late_s * 1e3:.0f} ms after the last"
        news = self._news(lamp)
        if news is not None and news[0] in found:  # seen here too: one fault, both words
            found[news[0]], news = f"{found[news[0]]}; {news[1]}", None
        raised = [(f, words) for f, words in found.items() if f not in self.standing]
        raised += [] if news is None else [news]
        cleared = [f for f in self.standing if f not in found]
        self.standing = found
        return raised, cleared

    def _jump(self, now_s: float) -> bool:
        """Whether the wall clock was moved; stands for one comparison, then the new time is taken as it is."""
        if self._utc is None or now_s - self._compared_s < CLOCK_EVERY_S:
            return bool(self._jumped)
        self._compared_s = now_s
        offset_s = datetime.fromisoformat(self._utc()).timestamp() - now_s
        moved_s = 0.0 if self._wall_minus_s is None else offset_s - self._wall_minus_s
        self._wall_minus_s = offset_s
        self._jumped = (
            f"the computer's time moved by {moved_s:+.1f} s" if not abs(moved_s) <= CLOCK_JUMP_S else ""
        )
        return bool(self._jumped)

    def _news(self, lamp: Lamp) -> tuple[Fault, str] | None:
        """What the driver told, once for each new word of it, and whenever it is believed armed; it never stands.

        The driver disarmed when it said so; the way on is to arm anew, which it forgets its words for.
        """
        told = None if self._told is None else self._told()
        words = "" if told is None else ": ".join(w for w in (told.what, told.found) if w)
        new = words and (words != self._heard or lamp in (Lamp.ARMED, Lamp.HELD))
        self._heard = words
        return (getattr(told, "fault", Fault.UNIT_UNEXPECTED), words) if new else None

    def waited(self, now_s: float) -> None:
        """The loop waited for the unit (arming, a power ramp; bounded, its heartbeat kept): that is no lateness."""
        self._last_s = now_s

    def _stream(self, now_s: float) -> dict[Fault, str]:
        health = self.health = self._source.health(now_s)
        return {b.fault: f"{b.what}: expected {b.expected}, found {b.found}" for b in health.breaches}

    def _processes(self) -> dict[Fault, str]:
        found: dict[Fault, str] = {}
        board, limits = self._board, self._limits
        if board["stop_asked"]:
            found[Fault.STOP] = "STOP was asked for"
        if self._status is not None and not board.age_s("port") <= limits.port_max_age_s:
            found[Fault.PORT_DEAD] = f"the port process is silent for {board.age_s('port'):.2f} s"
        if self._status is not None and not board.age_s("operator") <= limits.operator_max_age_s:
            found[Fault.OPERATOR_GONE] = (
                f"no sign of the operator's {self._whose} for {board.age_s('operator'):.1f} s"
                if board["beat_operator"] > 0
                else f"no {self._whose} has taken the operator's seat"
            )
        if self._recording:
            state, age_s = board["recorder_state"], board.age_s("recorder")
            lag_s = (self._source.head() - board["durable_sample"]) / self._source.rate_hz
            if state == 2:
                found[Fault.RECORDER_DEAD] = "the recorder cannot write (disk full, read-only or lost)"
            elif board["beat_recorder"] == ENDED or not age_s <= limits.recorder_max_age_s:
                found[Fault.RECORDER_DEAD] = f"the recorder is silent for {age_s:.2f} s"
            elif not lag_s <= limits.durable_max_lag_s:
                found[Fault.RECORDER_DEAD] = f"the recording lags {lag_s:.1f} s behind the stream"
        return found

    def _unit(self, now_s: float, lamp: Lamp) -> dict[Fault, str]:
        if self._status is None:
            return {}
        found: dict[Fault, str] = {}
        status, limits = self._status(), self._limits
        armed = lamp in (Lamp.ARMED, Lamp.HELD)
        if self._board["port_state"] == LINE_FAILED:
            return {
                Fault.UNIT_LOST: "the line to the unit is lost; the unit lets go by itself after about 1 s of silence"
            }
        silent_s = SILENT_ARMED_S if armed else SILENT_AFTER_S
        if not status.age_s(now_s) <= silent_s:
            found[Fault.UNIT_SILENT] = f"the unit's last status is {status.age_s(now_s):.1f} s old"
        if armed and not status.age_s(now_s) <= limits.status_max_age_s:
            found[Fault.UNIT_STALE] = f"the unit's last status is {status.age_s(now_s):.2f} s old"
        if status.error or status.error_fatal:
            found[Fault.UNIT_UNEXPECTED] = "the unit reports an error"
        elif not status.coil_present:
            found[Fault.UNIT_UNEXPECTED] = "the unit reports no coil"
        elif status.replace_coil:
            found[Fault.UNIT_UNEXPECTED] = "the unit asks for another coil"
        elif armed and not status.may_discharge:
            found[Fault.UNIT_UNEXPECTED] = "believed armed, and the unit says standby"
        if status.coil_temp_c is not None and not status.coil_temp_c < limits.coil_stop_c:
            found[Fault.UNIT_HOT] = (
                f"the coil is at {status.coil_temp_c:.1f} °C (stop at {limits.coil_stop_c:g})"
            )
        return found
