"""Owns the watch over one unit: when EA goes out, keep-alives, readings, the trip; owns no pulse.

One thread, one command in flight. EA goes out at once, also in the middle of waiting for a reply, when: STOP or
disarm is asked on the board, the engine's heartbeat is stale while the unit may discharge, the parent is gone, this
process is told to end, the unit is silent or says something unexpected. All but the plain disarm trip: nothing more
is armed or fired in this run, unless arming anew clears the trip (RE_ARM). In standby a stale heartbeat ends keep-alives.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.keeping import LOOK_BEFORE_DUE_S, next_look_s, quiet
from drivers.magstim.exchange import ARMED_REPLY_S, REPLY_DEADLINE_S
from drivers.magstim.line import Line
from drivers.magstim.magpy_port import Reply
from drivers.magstim.ports import port_of
from drivers.magstim.units import UnitFacts
from drivers.outputs import Stop
from drivers.reading import publish, wrong_with
from drivers.requests import RE_ARM, Trip
from drivers.train_run import TrainRun, hear
from drivers.trouble import Cut, LineTrouble, Lost, Refused, Silent
from rtloop.board import Board
from rtloop.clock import Clock
from rtloop.model.pulse import Delivery, FireReceipt, Pair, Train
from rtloop.model.status import Fault, UnitStatus

HEARTBEAT_FRESH_S = 0.25
READ_OFTEN_S = 2.0  # temperature and power, in turn, each this often
CONFIRM_TRIES = 5
MISS_FRESH_S = 0.02
OPEN, FAILED, CLOSED = 1, 2, 3


class UnitWatch:
    """Keeps one unit on one line. ``step`` does all that is due; waits call ``urgent`` at every poll.

    Parameters
    ----------
    parent_alive : false once the engine's process is gone
    while_waiting : called at every poll of a wait (the stepped unit shows the engine's life there)
    """

    def __init__(
        self, *, line: Line, facts: UnitFacts, board: Board, clock: Clock,
        unlock_code: str, parent_alive: Callable[[], bool], while_waiting: Callable[[], None],
    ) -> None:  # fmt: skip
        self.facts, self.board, self.clock = facts, board, clock
        self._parent_alive, self._while_waiting = parent_alive, while_waiting
        self.unit = port_of(facts, line, clock, self.urgent, unlock_code=unlock_code)
        self.trip: Trip | None = None
        self.leaving, self._opening = "", True  # leaving: why the process is to end
        self.lost = self._shut = False
        self.armed = self.arming = False  # asked to arm, and no EA written since; it may still say standby
        self.status: UnitStatus | None = None
        self.power_pct_mso: int | None = None  # read back
        self.temp_c: float | None = None
        self.setting: Train | Pair | None = None  # None: single pulses
        self.setting_known = False  # read back
        self.stop_line: Stop | None = None  # stops the unit by its hardware input, beside EA
        self.run: TrainRun | None = None  # a train under way
        self.train_receipt: FireReceipt | None = None  # what was given of the last one
        self._disarm_served = board["disarm_done"]
        self.confirm_tries = self.misses = 0  # misses: keep-alives or readings in a row that failed
        self._miss: tuple[LineTrouble, float] | None = None  # the last one and when
        self.due_s = self.numbers_s = float("-inf")  # numbers_s: when power, train and pair were told last
        self.set_s = self._ea_s = float("-inf")  # when something was set, EA written
        self.fired_s = float("nan")  # never
        self.look_at_s = self._read_at_s = clock.now_s()
        self._read_power_next = False

    def opened(self) -> None:
        """The unit was found well (``drivers.opening``): from here on it is watched."""
        self._opening = False
        self.board["port_state"] = OPEN

    def leave(self, why: str) -> None:
        """Ask for the end: EA at the next poll (may be called from a signal handler)."""
        self.leaving = self.leaving or why

    def shut(self) -> None:
        """Disarm, release remote control, close the line, within about 1 s; never raises. Closed: the unit said standby."""
        if self._shut:
            return
        self._shut, state = True, FAILED
        try:
            if not self.lost:
                self.unit.exchange.cut()
                self.after_ea()
            if not self.lost and self.status is not None:  # else it gave no control: nothing but EA
                self.confirm()
                if self.confirm_tries and self.misses == 0:  # not obeyed, or a pulse was not as permitted
                    self.confirm()
                if self.misses == 0 and not self.lost:
                    self.unit.release()
                    state = FAILED if self.confirm_tries else CLOSED
        except Exception as err:
            self.leaving += f" (and the line failed: {err})"
        finally:
            self.unit.close()
            self.board["port_state"] = state
            if self.run is not None:
                self.run.fail("the line was closed")

    def before_request(self) -> None:
        """What comes before serving: EA if due; the second miss of a silence the request waited through."""
        if self.urgent():
            self.ea()
        if self._miss is not None and self.misses:
            err, t_s = self._miss
            if isinstance(err, Silent) and self.clock.now_s() - t_s < MISS_FRESH_S:
                self._missed(err)  # its caller has no time for another deadline

    def _engine_alive(self) -> bool:
        return self.board.age_s("engine") <= HEARTBEAT_FRESH_S

    def urgent(self) -> bool:
        """Polled in every wait: show life, and say whether EA must go out now."""
        self.board.beat("port")
        self._while_waiting()
        return self._reason() is not None

    def _reason(self) -> Trip | str | None:
        """What asks for EA now: a trip, or words for a plain disarm."""
        if self.lost or self._shut:
            return None
        board = self.board
        if self.trip is None:
            trip: tuple[Fault, str] | None = None
            if board["stop_asked"]:
                trip = (Fault.STOP, "STOP was asked")
            elif self.leaving:
                trip = (Fault.PORT_DEAD, f"the port process was told to end: {self.leaving}")
            elif not self._parent_alive():
                trip = (Fault.ENGINE_LATE, "the engine's process is gone")
            elif self.may_discharge() and not self._opening and not self._engine_alive():
                trip = (Fault.ENGINE_LATE, f"the engine's heartbeat is {board.age_s('engine'):.3f} s old")
            if trip is not None:
                return Trip(fault=trip[0], words=trip[1], t_s=self.clock.now_s())
        elif board["stop_asked"] and not board["stop_served"]:
            return "STOP was asked"
        return None if self._opening or board["disarm_asked"] == self._disarm_served else "disarm was asked"

    def may_discharge(self) -> bool:
        """As far as we know."""
        return self.armed or (self.status is not None and self.status.may_discharge)

    def ea(self, trip: Trip | None = None) -> None:
        """EA at once, without waiting for its reply."""
        if self.lost:
            return
        try:
            self.unit.exchange.cut()
        except Lost as err:
            self.line_lost(err)
        else:
            self.after_ea(trip)

    def after_ea(self, trip: Trip | None = None) -> None:
        """EA is on the line: say so on the board, remember the trip, have the status byte confirm it."""
        board, reason = self.board, self._reason()
        asked = board["disarm_asked"]
        if board["stop_asked"] and not board["stop_served"]:
            board["stop_served"] = max(1, board.now_ns())
        if self.run is not None:
            self.run.cut(self.clock.now_s())
        self._disarm_served = board["disarm_done"] = asked
        self.armed, self._ea_s = False, self._ea_s if self.confirm_tries else self.clock.now_s()
        self.unit.exchange.reply_s = REPLY_DEADLINE_S
        if self.trip is None:
            self.trip = trip or (reason if isinstance(reason, Trip) else None)
        if self.trip is not None and self.stop_line is not None:
            self.stop_line.assert_stop()
        self.confirm_tries = CONFIRM_TRIES

    def announced(self, due_s: float) -> None:
        """A pulse is due then: a fresh status byte shortly before, and no exchange right before it."""
        self.due_s = due_s
        self.look_at_s = min(self.look_at_s, due_s - LOOK_BEFORE_DUE_S)

    def forgive(self) -> None:
        """Arming, or a power before it, is asked for anew: a trip that two steps clear is over; what still stands trips again."""
        if self.lost or self.leaving or self.board["stop_asked"]:
            return
        if self.trip is not None and self.trip.fault in RE_ARM:
            self.trip = None
        if self.trip is None and self.stop_line is not None:
            self.stop_line.release()

    def trip_with(self, fault: Fault, words: str) -> None:
        """EA at once, and nothing more in this run."""
        self.ea(Trip(fault=fault, words=words, t_s=self.clock.now_s()))

    def line_lost(self, err: Exception) -> None:
        """The port itself failed: nothing more can be written."""
        self.lost, self.armed, self.confirm_tries = True, False, 0
        self.board["port_state"] = FAILED
        if self.board["stop_asked"]:
            self.board["stop_confirmed"] = -1
        words = f"{err}; the unit disarms itself after about {self.facts.lets_go_armed_s:g} s of silence"
        self.trip = self.trip or Trip(fault=Fault.UNIT_LOST, words=words, t_s=self.clock.now_s())
        if self.stop_line is not None:
            self.stop_line.assert_stop()
        if self.run is not None:
            self.run.fail(str(err))

    def confirm(self) -> None:
        """Read the status byte after an EA; EA again while it does not say standby."""
        self.confirm_tries -= 1
        try:
            self.unit.exchange.hear()
            asked_s, run = self.clock.now_s(), self.run
            reply = self.unit.take_control() if run is None else self.unit.look(mode=True)
            status = self._publish(reply)
            self._observe(status, reply, asked_s)
            unread = self.fired_s >= self.numbers_s or (self.run is not None and self.run.untold)
            numbers = self.unit.parameters() if unread else None  # what it gave, before anything is set anew
            if numbers is not None:
                self._observe(status, numbers, asked_s)
            self.misses = 0
        except Cut:
            self.after_ea()
            return
        except Lost as err:
            self.line_lost(err)
            return
        except LineTrouble as err:
            self.misses += 1
            found = str(err)
        else:
            if status.standby and not status.may_discharge and status.t_s >= self._ea_s:
                self.confirm_tries = 0
                if self.board["stop_asked"]:
                    self.board["stop_confirmed"] = 1
                if numbers is not None:
                    self._compare(numbers)
                return
            found = str(status)
            if self.run is not None and self._engine_alive():
                self.confirm_tries = CONFIRM_TRIES  # it may obey only when the train is over
        if self.board["stop_asked"]:
            self.board["stop_confirmed"] = -1
        left = self.confirm_tries
        if left:
            self.ea()
        elif self.trip is None:
            self.trip_with(Fault.UNIT_UNEXPECTED, f"the unit does not confirm that it is disarmed: {found}")
        self.confirm_tries = left

    # ---- between requests

    def step(self) -> None:
        """Do what is due: EA, its confirmation, a keep-alive, a reading. At most one exchange."""
        if self.urgent():
            self.ea()
        if not self._parent_alive():
            self.leave("the engine's process is gone")
        self.follow_train()
        if self.lost or self._shut:
            return
        if self.confirm_tries:
            self.confirm()
            return
        now_s = self.clock.now_s()
        if not self._engine_alive():
            return
        if quiet(self.status, now_s, due_s=self.due_s, keep_s=self.facts.keep_armed_s):
            return
        try:
            if now_s >= self.look_at_s:
                self.look()
            elif now_s >= self._read_at_s and self.run is None:
                self._read_at_s = now_s + READ_OFTEN_S / 2
                self._read_power_next = not self._read_power_next
                (self.read_power if self._read_power_next else self.read_temperature)()
            else:
                return
            self.misses = 0
        except Cut:
            self.after_ea()
        except Lost as err:
            self.line_lost(err)
        except LineTrouble as err:
            self._missed(err)

    def _missed(self, err: LineTrouble) -> None:
        """A keep-alive or reading failed: at once a trip while armed, in standby the second in a row."""
        self.misses += 1
        self._miss = (err, self.clock.now_s())
        if self.may_discharge() or self.misses >= 2:
            self.trip_with(err.fault, str(err))

    def as_status(self, reply: Reply) -> UnitStatus:
        """A reply's status byte with the power and temperature last read."""
        return UnitStatus.from_instr(
            reply.instr, t_s=reply.said_s, power_pct_mso=self.power_pct_mso, coil_temp_c=self.temp_c
        )

    def forget_power(self) -> None:
        """The power is being changed: unknown until read back."""
        self.power_pct_mso, self.board["unit_power"], self.set_s = None, -1, self.clock.now_s()

    def _publish(self, reply: Reply) -> UnitStatus:
        """A status byte that says how the unit is now (replies to Q, J, F; not those to E and @)."""
        self.status = status = self.as_status(reply)
        publish(self.board, reply.instr, status)
        return status

    def look(self) -> UnitStatus:
        """Q@: keep-alive and status byte, and what follows from it; while armed also what it would give, as held now."""
        asked_s, run = self.clock.now_s(), self.run
        self.unit.exchange.reply_s = ARMED_REPLY_S if self.armed else REPLY_DEADLINE_S
        reply = self.unit.look(mode=self.armed or bool(run), numbers=run.untold if run else self.armed)
        status = self._publish(reply)
        self._observe(status, reply, asked_s)
        if not self._opening:
            self._judge(status)
            self._compare(reply)
        every_s = self.facts.keep_armed_s if self.may_discharge() else self.facts.keep_standby_s
        if self.run is not None:
            every_s = self.run.look_every_s(self.clock.now_s(), self.facts.keep_armed_s)
        now_s, waits = self.clock.now_s(), self.armed and not status.ready
        self.look_at_s = next_look_s(now_s, due_s=self.due_s, every_s=every_s, waits=waits)
        return status

    def _judge(self, status: UnitStatus) -> None:
        if status.may_discharge and not self.armed:
            if self.run is None or not self.run.was_cut:  # a train may go on after EA
                self.trip_with(Fault.UNIT_UNEXPECTED, "the unit is armed though nobody asked for it")
        elif self.armed:
            if wrong := wrong_with(status):
                self.trip_with(Fault.UNIT_UNEXPECTED, f"armed, and {wrong}")
            elif status.standby and not self.arming:
                self.armed = False  # it disarmed itself; the status on the board shows it

    def _compare(self, reply: Reply) -> None:
        """Found set to what nobody asked for: a trip while armed or right after a pulse; a setting is unknown from here on."""
        if reply.about_s < self.set_s:
            return
        found: list[str] = []
        wanted, power = self.power_pct_mso, reply.power_pct_mso  # wanted: None while it is being changed
        if power is not None and wanted is not None and power != wanted:
            self.power_pct_mso = power
            self._publish(reply)
            found.append(f"armed at {wanted} %, and the unit says {power} %")
        if self.setting_known and (wrong := self.unit.differs(reply, self.setting)):
            self.setting_known = False
            found.append(f"nobody set the unit so: {wrong}")
        given = self.fired_s >= self.numbers_s  # and not looked at since
        self.numbers_s = self.numbers_s if power is None else reply.said_s
        if found and (given or self.may_discharge()):
            words = "; the last pulse or train may have been given so" if given else ""
            if given and self.trip is not None and self.trip.fault in RE_ARM:
                self.trip = None  # that is told over it
            self.trip_with(Fault.UNIT_UNEXPECTED, "; ".join(found) + words)

    def _observe(self, status: UnitStatus, reply: Reply, asked_s: float) -> None:
        if (run := self.run) is not None:
            wrong = self.unit.differs(reply, run.train)
            hear(run, reply, wrong=wrong, standby=status.standby, t_asked_s=asked_s)
            self.follow_train()

    def follow_train(self) -> None:
        """Whether the train under way has ended; a train shorter than it was to be trips, unless EA cut it."""
        run = self.run
        if run is None or not run.over(self.clock.now_s()):
            return
        self.run, self.train_receipt = None, run.receipt(self.status)
        if self._shut:
            return
        self.look_at_s = self.clock.now_s()
        if self.train_receipt.delivery is Delivery.UNCERTAIN and self.trip is None and not run.was_cut:
            self.trip_with(Fault.UNCERTAIN_PULSE, f"a train of unknown outcome: {self.train_receipt.reason}")
        elif run.was_cut and self.status is not None and not self.status.standby:
            self.ea()  # now it can be obeyed

    def read_power(self) -> int:
        """The power, read back with what else the unit holds; LineTrouble where it says none."""
        self.read_all()
        assert self.power_pct_mso is not None
        return self.power_pct_mso

    def read_all(self) -> Reply:
        """J or \\: power, and train or pair."""
        reply = self.unit.parameters()
        if reply.power_pct_mso is None:
            raise Refused("no power in the unit's parameters", written=True)
        if not self._opening:
            self._compare(reply)
        self.power_pct_mso = reply.power_pct_mso
        self._publish(reply)
        return reply

    def read_temperature(self) -> None:
        """F: the warmer winding."""
        reply = self.unit.temperature()
        self.temp_c = reply.coil_temp_c
        self._publish(reply)
