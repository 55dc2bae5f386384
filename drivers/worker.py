"""Owns the logic of the port process: who may fire, when to speak, when to disarm; owns no process and no transport.

One thread, one command in flight. EA goes out at once, also in the middle of waiting for a reply, when: STOP or
disarm is asked on the board, the engine's heartbeat is stale while the unit may discharge, the parent is gone, this
process is told to end, the unit is silent or says something unexpected. All but the plain disarm trip: nothing more
is armed or fired in this run. In standby a stale heartbeat only ends the keep-alives, as nothing can discharge.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.magstim.line import Line
from drivers.magstim.magpy_port import MagpyPort, Reply
from drivers.magstim.units import UnitFacts
from drivers.permits import PermitCheck
from drivers.requests import Answer, Ask, Opened, Request, Trip
from drivers.trouble import Cut, LineTrouble, Lost, Refused, UnitProblem
from rtloop.board import Board
from rtloop.clock import Clock
from rtloop.model.pulse import Delivery, FireReceipt
from rtloop.model.status import Fault, UnitStatus

HEARTBEAT_FRESH_S = 0.25
STATUS_FRESH_S = 1.0
QUIET_BEFORE_DUE_S = 0.06
QUIET_AFTER_DUE_S = 0.02
LOOK_WHILE_WAITING_S = 0.05
READ_OFTEN_S = 2.0  # temperature and power, in turn, each this often
POLL_S = 0.002
MISS_FRESH_S = 0.02
CONFIRM_TRIES = 5
STARTING, OPEN, FAILED, CLOSED = 0, 1, 2, 3


class PortWorker:
    """Drives one unit on one line. ``serve`` answers a request; ``step`` does all that is due in between.

    Parameters
    ----------
    parent_alive : false once the engine's process is gone
    while_waiting : called at every poll of a wait (the stepped unit shows the engine's life there)
    """

    def __init__(
        self, *, line: Line, facts: UnitFacts, board: Board, clock: Clock, run_id: str, key: bytes,
        parent_alive: Callable[[], bool] = lambda: True, while_waiting: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._facts, self._board, self._clock = facts, board, clock
        self._parent_alive, self._while_waiting = parent_alive, while_waiting
        self._permits = PermitCheck(run_id=run_id, key=key)
        self._unit = MagpyPort(line, clock, self._urgent)
        self.trip: Trip | None = None
        self.leaving = ""  # why the process is to end
        self._opening = True
        self._lost = self._shut = False
        self._armed = False  # we asked it to arm, and have not written EA since
        self._arming = False  # ... and it may still say standby
        self._status: UnitStatus | None = None
        self._power_pct_mso: int | None = None  # read back
        self._temp_c: float | None = None
        self._pulse: tuple[float, int] | None = None  # last own pulse, delivered or uncertain: when, % MSO
        self._disarm_served = board["disarm_done"]
        self._confirm_tries = 0
        self._misses = 0  # keep-alives or readings in a row without a proper reply
        self._miss: LineTrouble | None = None
        self._miss_s = float("-inf")
        self._due_s = float("-inf")
        self._look_at_s = self._read_at_s = clock.now_s()
        self._read_power_next = False

    # ---- opening and ending

    def open(self) -> Opened:
        """Take control, EA, read back power, temperature and standby; UnitProblem otherwise."""
        try:
            first = self._unit.take_control()
            found = UnitStatus.from_instr(first.instr, t_s=first.t_s)
            self._unit.disarm()
            self._look()
            power = self._read_power()
            self._read_temperature()
        except LineTrouble as err:
            self._board["port_state"] = FAILED
            raise UnitProblem(
                err.fault, "the unit does not answer as it should", expected=f"a Magstim {self._facts.model}",
                found=str(err), todo="check that the unit is on, the cable, and the model in the site file",
            ) from err  # fmt: skip
        if self._status is None or not self._status.standby or self._status.may_discharge:
            self._board["port_state"] = FAILED
            raise UnitProblem(
                Fault.UNIT_UNEXPECTED, "the unit does not go to standby", expected="standby after EA",
                found=str(self._status), todo="switch the unit off",
            )  # fmt: skip
        self._opening = False
        self._board["port_state"] = OPEN
        return Opened(status=self._status, found_armed=found.may_discharge, found_power_pct_mso=power)

    def leave(self, why: str) -> None:
        """Ask for the end: EA at the next poll (may be called from a signal handler)."""
        self.leaving = self.leaving or why

    def shut(self) -> None:
        """Disarm, release remote control, close the line. Bounded (about 1 s with a mute unit); never raises."""
        if self._shut:
            return
        self._shut = True
        try:
            if not self._lost:
                self._unit.exchange.cut()
                self._after_ea()
                self._confirm()
                if self._misses == 0:
                    self._unit.release()
        except Exception as err:
            self.leaving += f" (and the line failed: {err})"
        finally:
            self._unit.close()
            self._board["port_state"] = CLOSED

    # ---- urgency

    def _urgent(self) -> bool:
        """Polled in every wait: show life, and say whether EA must go out now."""
        self._board.beat("port")
        self._while_waiting()
        return self._reason() is not None

    def _reason(self) -> Trip | str | None:
        """What asks for EA now: a trip, or words for a plain disarm."""
        if self._opening or self._lost or self._shut:
            return None
        board = self._board
        if self.trip is None:
            trip: tuple[Fault, str] | None = None
            if board["stop_asked"]:
                trip = (Fault.STOP, "STOP was asked")
            elif self.leaving:
                trip = (Fault.PORT_DEAD, f"the port process was told to end: {self.leaving}")
            elif not self._parent_alive():
                trip = (Fault.ENGINE_LATE, "the engine's process is gone")
            elif self._may_discharge() and not board.age_s("engine") <= HEARTBEAT_FRESH_S:
                trip = (Fault.ENGINE_LATE, f"the engine's heartbeat is {board.age_s('engine'):.3f} s old")
            if trip is not None:
                return Trip(fault=trip[0], words=trip[1], t_s=self._clock.now_s())
        elif board["stop_asked"] and not board["stop_served"]:
            return "STOP was asked"
        return "disarm was asked" if board["disarm_asked"] != self._disarm_served else None

    def _may_discharge(self) -> bool:
        return self._armed or (self._status is not None and self._status.may_discharge)

    def _ea(self, trip: Trip | None = None) -> None:
        """EA at once, without waiting for its reply."""
        if self._lost:
            return
        try:
            self._unit.exchange.cut()
        except Lost as err:
            self._line_lost(err)
        else:
            self._after_ea(trip)

    def _after_ea(self, trip: Trip | None = None) -> None:
        """EA is on the line: say so on the board, remember the trip, have the status byte confirm it."""
        board, reason = self._board, self._reason()
        asked = board["disarm_asked"]
        if board["stop_asked"] and not board["stop_served"]:
            board["stop_served"] = max(1, board.now_ns())
        self._disarm_served = board["disarm_done"] = asked
        self._armed = False
        if self.trip is None:
            self.trip = trip or (reason if isinstance(reason, Trip) else None)
        self._confirm_tries = CONFIRM_TRIES

    def _trip(self, fault: Fault, words: str) -> None:
        self._ea(Trip(fault=fault, words=words, t_s=self._clock.now_s()))

    def _line_lost(self, err: Exception) -> None:
        self._lost, self._armed, self._confirm_tries = True, False, 0
        self._board["port_state"] = FAILED
        if self._board["stop_asked"]:
            self._board["stop_confirmed"] = -1
        words = f"{err}; the unit disarms itself after about {self._facts.lets_go_armed_s:g} s of silence"
        self.trip = self.trip or Trip(fault=Fault.UNIT_LOST, words=words, t_s=self._clock.now_s())

    def _confirm(self) -> None:
        """Read the status byte after an EA; EA again while it does not say standby."""
        self._confirm_tries -= 1
        try:
            self._unit.exchange.swallow(quiet_s=0.02, at_most_s=0.1)
            status = self._publish(self._unit.take_control())
            self._misses = 0
        except Cut:
            self._after_ea()
            return
        except Lost as err:
            self._line_lost(err)
            return
        except LineTrouble as err:
            self._misses += 1
            found = str(err)
        else:
            if status.standby and not status.may_discharge:
                self._confirm_tries = 0
                if self._board["stop_asked"]:
                    self._board["stop_confirmed"] = 1
                return
            found = str(status)
        if self._board["stop_asked"]:
            self._board["stop_confirmed"] = -1
        left = self._confirm_tries
        if left:
            self._ea()
        elif self.trip is None:
            self._trip(Fault.UNIT_UNEXPECTED, f"the unit does not confirm that it is disarmed: {found}")
            left = 0
        self._confirm_tries = left

    # ---- between requests

    def step(self) -> None:
        """Do what is due: EA, its confirmation, a keep-alive, a reading. At most one exchange."""
        if self._urgent():
            self._ea()
        if not self._parent_alive():
            self.leave("the engine's process is gone")
        if self._lost or self._shut:
            return
        if self._confirm_tries:
            self._confirm()
            return
        now_s = self._clock.now_s()
        if not self._board.age_s("engine") <= HEARTBEAT_FRESH_S:
            return
        if -QUIET_AFTER_DUE_S <= self._due_s - now_s <= QUIET_BEFORE_DUE_S:
            return
        try:
            if now_s >= self._look_at_s:
                self._look()
            elif now_s >= self._read_at_s:
                self._read_at_s = now_s + READ_OFTEN_S / 2
                self._read_power_next = not self._read_power_next
                if self._read_power_next:
                    self._read_power()
                else:
                    self._read_temperature()
            else:
                return
            self._misses = 0
        except Cut:
            self._after_ea()
        except Lost as err:
            self._line_lost(err)
        except LineTrouble as err:
            self._missed(err)

    def _missed(self, err: LineTrouble) -> None:
        """A keep-alive or reading failed: at once a trip while armed, in standby the second in a row."""
        self._misses += 1
        self._miss, self._miss_s = err, self._clock.now_s()
        if self._may_discharge() or self._misses >= 2:
            self._trip(err.fault, str(err))

    def _publish(self, reply: Reply) -> UnitStatus:
        """A status byte that says how the unit is now (replies to Q, J, F; not those to E and @)."""
        board = self._board
        self._status = UnitStatus.from_instr(
            reply.instr, t_s=reply.t_s, power_pct_mso=self._power_pct_mso, coil_temp_c=self._temp_c
        )
        board["unit_instr"], board["unit_t"] = reply.instr, int(reply.t_s * 1e9)
        board["unit_power"] = -1 if self._power_pct_mso is None else self._power_pct_mso
        board["unit_temp_mc"] = -1 if self._temp_c is None else round(1000 * self._temp_c)
        return self._status

    def _look(self) -> UnitStatus:
        """Q@: keep-alive and status byte, and what follows from it."""
        status = self._publish(self._unit.take_control())
        if not self._opening:
            self._judge(status)
        every_s = self._facts.keep_armed_s if self._may_discharge() else self._facts.keep_standby_s
        self._look_at_s = self._clock.now_s() + every_s
        return status

    def _judge(self, status: UnitStatus) -> None:
        if status.may_discharge and not self._armed:
            self._trip(Fault.UNIT_UNEXPECTED, "the unit is armed though nobody asked for it")
        elif self._armed:
            wrong = _wrong_with(status)
            if wrong:
                self._trip(Fault.UNIT_UNEXPECTED, f"armed, and {wrong}")
            elif status.standby and not self._arming:
                self._armed = False  # it disarmed itself; the status on the board shows it

    def _read_power(self) -> int:
        reply = self._unit.parameters()
        power, wanted = reply.power_pct_mso, self._power_pct_mso
        if power is None:
            raise Refused("no power in the reply to J", written=True)
        self._power_pct_mso = power
        self._publish(reply)
        if self._armed and wanted is not None and power != wanted:
            self._trip(Fault.UNIT_UNEXPECTED, f"armed at {wanted} %, and the unit says {power} %")
        return power

    def _read_temperature(self) -> None:
        reply = self._unit.temperature()
        self._temp_c = reply.coil_temp_c
        self._publish(reply)

    # ---- requests

    def serve(self, request: Request) -> Answer | None:
        """Answer one request; never raises. ANNOUNCE has no answer."""
        if request.ask is Ask.ANNOUNCE:
            self._due_s = request.due_s
            return None
        if request.ask is Ask.CLOSE:
            self.leave("closed by the engine")
            self.shut()
            return Answer(n=request.n, status=self._status)
        if self._urgent():
            self._ea()
        if self._misses and self._miss is not None and self._clock.now_s() - self._miss_s < MISS_FRESH_S:
            self._missed(self._miss)  # it waited through that silence: its caller has no time for another
        if request.ask is Ask.FIRE:
            return Answer(n=request.n, receipt=self._fire(request.permit))
        try:
            while self._confirm_tries and self.trip is None:
                self._confirm()
            if self.trip is not None and (self._lost or request.ask is not Ask.STATUS):
                raise self.trip.problem()
            if request.ask is Ask.SET_POWER:
                status = self._set_power(request.power_pct_mso)
            elif request.ask is Ask.ARM:
                try:
                    status = self._arm()
                finally:
                    self._arming = False
            else:
                status = self._look()
            return Answer(n=request.n, status=status)
        except UnitProblem as err:
            return Answer(n=request.n, problem=err)
        except Cut as err:
            self._after_ea()
            found = self.trip.words if self.trip else "disarm was asked"
            fault = self.trip.fault if self.trip else Fault.UNIT_UNEXPECTED
            return Answer(n=request.n, problem=UnitProblem(fault, str(err), found=found))
        except Lost as err:
            self._line_lost(err)
            return Answer(n=request.n, problem=UnitProblem(Fault.UNIT_LOST, str(err), todo="check the cable"))
        except LineTrouble as err:
            self._trip(err.fault, str(err))
            problem = UnitProblem(
                err.fault, f"{request.ask} failed", found=str(err), todo="see the unit's display"
            )
            return Answer(n=request.n, problem=problem)
        except Exception as err:
            self._trip(Fault.BUG, f"{type(err).__name__} in the port process: {err}")
            return Answer(n=request.n, problem=UnitProblem(Fault.BUG, f"{request.ask} failed: {err!r}"))

    def _wait_until(self, t_s: float) -> None:
        """Wait with the line kept alive; Cut when something urgent comes."""
        while (now_s := self._clock.now_s()) < t_s:
            if self._urgent():
                self._unit.exchange.cut()
                raise Cut("a wait was cut short", written=False)
            if now_s >= self._look_at_s:
                self._look()
                if self.trip is not None:
                    raise self.trip.problem()
            else:
                self._clock.sleep_until(min(t_s, now_s + POLL_S))

    def _set_power(self, power_pct_mso: int) -> UnitStatus:
        facts = self._facts
        if not (
            isinstance(power_pct_mso, int)
            and facts.power_low_pct_mso <= power_pct_mso <= facts.power_high_pct_mso
        ):
            raise UnitProblem(
                Fault.UNIT_UNEXPECTED, "no such power", expected=f"a whole number up to {facts.power_high_pct_mso} % MSO",
                found=repr(power_pct_mso),
            )  # fmt: skip
        before = self._read_power() if self._power_pct_mso is None else self._power_pct_mso
        if self.trip is not None:
            raise self.trip.problem()
        self._power_pct_mso, self._board["unit_power"] = (
            None,
            -1,
        )  # unknown until read back: nothing can be fired
        self._unit.set_power(power_pct_mso)
        ramped_s = self._clock.now_s() + facts.ramp_s(before, power_pct_mso)
        self._wait_until(ramped_s)
        while (found := self._read_power()) != power_pct_mso:
            if not self._clock.now_s() < ramped_s + 0.6:
                raise UnitProblem(
                    Fault.UNIT_UNEXPECTED, "the unit does not take the power", expected=f"{power_pct_mso} % MSO",
                    found=f"{found} % MSO read back", todo="check the unit's limits and its display",
                )  # fmt: skip
            self._power_pct_mso = None
            self._wait_until(self._clock.now_s() + LOOK_WHILE_WAITING_S)
        return self._look_unless_tripped()

    def _look_unless_tripped(self) -> UnitStatus:
        status = self._look()
        if self.trip is not None:
            raise self.trip.problem()
        return status

    def _arm(self) -> UnitStatus:
        if not self._board.age_s("engine") <= HEARTBEAT_FRESH_S:
            raise UnitProblem(
                Fault.ENGINE_LATE, "not armed: the engine's heartbeat is stale",
                expected=f"younger than {HEARTBEAT_FRESH_S} s", found=f"{self._board.age_s('engine'):.3f} s",
            )  # fmt: skip
        status = self._look_unless_tripped()
        wrong = _wrong_with(status)
        if wrong:
            raise UnitProblem(
                Fault.UNIT_UNEXPECTED, f"not armed: {wrong}", expected="coil connected, no error", found=str(status),
                todo="see the unit's display",
            )  # fmt: skip
        end_s = self._clock.now_s() + 2 * self._facts.arm_s
        if not status.may_discharge:
            self._armed = self._arming = (
                True  # from before the command: a heartbeat lost from here on means EA
            )
            self._unit.arm()
        self._armed = True
        while not status.ready:
            if not self._clock.now_s() < end_s:
                self._ea()
                raise UnitProblem(
                    Fault.UNIT_UNEXPECTED, "the unit does not become ready; disarmed again",
                    expected=f"ready within {2 * self._facts.arm_s:g} s", found=str(status),
                    todo="see the unit's display (coil, temperature, safety switch)",
                )  # fmt: skip
            self._wait_until(self._clock.now_s() + LOOK_WHILE_WAITING_S)
            status = self._look_unless_tripped()
        return status

    # ---- the pulse

    def _refusal(self, permit: object, now_s: float) -> str:
        why = self._permits.refusal(permit, now_s=now_s)
        if why:
            return why
        power = permit.power_pct_mso  # type: ignore[attr-defined]
        status = self._status
        if self.trip is not None:
            return f"refused: disarmed for the rest of this run: {self.trip.words}"
        if not self._armed or status is None:
            return "refused: not armed"
        if not self._board.age_s("engine") <= HEARTBEAT_FRESH_S:
            return "refused: the engine's heartbeat is stale"
        if self._power_pct_mso is None or power != self._power_pct_mso:
            return f"refused: the permit is for {power} % MSO, read back was {self._power_pct_mso}"
        if not status.age_s(now_s) < STATUS_FRESH_S:
            return f"refused: the last status byte is {status.age_s(now_s):.2f} s old"
        if not status.ready or _wrong_with(status):
            return f"refused: the unit is not ready: {_wrong_with(status) or status}"
        if self._pulse is not None:
            t_s, last = self._pulse
            gap_s = max(self._facts.interval_s(power), self._facts.interval_s(last))
            if not now_s - t_s >= gap_s:
                return f"refused: {now_s - t_s:.3f} s since the last pulse at {last} %, {gap_s:g} s needed at {power} %"
        return ""

    def _fire(self, permit: object) -> FireReceipt:
        now_s = self._clock.now_s()
        why = self._refusal(permit, now_s)
        if why:
            return _receipt(Delivery.NOT_DELIVERED, self._status, why)
        self._permits.spend(permit)  # type: ignore[arg-type]
        previous, self._pulse = self._pulse, (now_s, permit.power_pct_mso)  # type: ignore[attr-defined]
        exchange = self._unit.exchange
        try:
            reply = self._unit.fire()
        except LineTrouble as err:
            if isinstance(err, Refused) or not err.written:
                self._pulse = previous
                delivery = Delivery.NOT_DELIVERED
            else:
                delivery = Delivery.UNCERTAIN
            why = str(err)
            if isinstance(err, Lost):
                self._line_lost(err)
            elif isinstance(err, Cut):
                self._after_ea(self._uncertain(why) if err.written else None)
            elif delivery is Delivery.UNCERTAIN:
                self._ea(self._uncertain(why))
            else:
                self._look_at_s = now_s  # what does the unit say of itself?
            return _receipt(delivery, self._status, why, exchange.t_sent_s if err.written else None)
        except Exception as err:
            why = f"{type(err).__name__} while firing: {err}"
            self._ea(self._uncertain(why))
            return _receipt(Delivery.UNCERTAIN, self._status, why, exchange.t_sent_s)
        status = UnitStatus.from_instr(
            reply.instr, t_s=reply.t_s, power_pct_mso=self._power_pct_mso, coil_temp_c=self._temp_c
        )
        self._look_at_s = min(self._look_at_s, reply.t_s + LOOK_WHILE_WAITING_S)
        wrong = _wrong_with(status) or ("" if status.ready else "not ready")
        if wrong:
            why = f"acknowledged, and the status byte {reply.instr:#04x} of the reply says {wrong}"
            self._ea(self._uncertain(why))
        delivery = Delivery.UNCERTAIN if wrong else Delivery.DELIVERED
        return _receipt(delivery, status, why, reply.t_sent_s, reply.t_s)

    def _uncertain(self, why: str) -> Trip:
        return Trip(
            fault=Fault.UNCERTAIN_PULSE, words=f"a pulse of unknown outcome: {why}", t_s=self._clock.now_s()
        )


def _receipt(
    delivery: Delivery,
    status: UnitStatus | None,
    why: str,
    sent_s: float | None = None,
    reply_s: float | None = None,
) -> FireReceipt:
    return FireReceipt(delivery=delivery, t_sent_s=sent_s, t_reply_s=reply_s, status=status, reason=why)


def _wrong_with(status: UnitStatus) -> str:
    """What forbids a pulse, in words; "" when nothing does."""
    wrong = {
        "no coil": not status.coil_present, "the coil must be replaced": status.replace_coil,
        "an error": status.error or status.error_fatal, "remote control is lost": not status.remote,
    }  # fmt: skip
    return ", ".join(words for words, true in wrong.items() if true)
