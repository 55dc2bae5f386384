"""Owns what the port process does when asked: power, settings, arming; owns neither keep-alive nor pulse."""

from __future__ import annotations

from collections.abc import Callable

from drivers.firing import Firing
from drivers.magstim.exchange import ARMED_REPLY_S
from drivers.magstim.line import Line
from drivers.magstim.units import UnitFacts
from drivers.opening import MakeTrigger, open_trigger, open_unit
from drivers.outputs import Stop
from drivers.pause import POLL_S
from drivers.permits import PermitCheck
from drivers.reading import wrong_with
from drivers.refusals import refuse_power, refuse_train
from drivers.requests import Answer, Ask, Opened, Options, Request, Trip
from drivers.settings import set_setting
from drivers.trouble import Cut, LineTrouble, Lost, Refused, Silent, UnitProblem
from drivers.unasked import Unasked
from drivers.watch import HEARTBEAT_FRESH_S, UnitWatch
from rtloop.board import Board
from rtloop.clock import Clock
from rtloop.model.pulse import Delivery, FireReceipt, Train
from rtloop.model.status import Fault, UnitStatus

LOOK_WHILE_WAITING_S = 0.05
READ_BACK_S = 0.6
ON_THE_WAY = (Ask.SET_POWER, Ask.SET_TRAIN, Ask.SET_PAIR, Ask.ARM)


class PortWorker:
    """Drives one unit on one line. ``serve`` answers a request; ``step`` does all that is due in between.

    Parameters as ``UnitWatch``; ``run_id`` and ``key`` are those of the permits.
    ``make_trigger`` opens the trigger line once the unit is in standby (``drivers.opening``). With it
    pulses go out by the trigger and the unit's next status byte must show that one did. ``stop_line``: an
    output to the unit's STOP input; it stops at every trip and lets go on the way to arming.
    """

    def __init__(
        self, *, line: Line, facts: UnitFacts, board: Board, clock: Clock, run_id: str, key: bytes,
        options: Options, parent_alive: Callable[[], bool] = lambda: True,
        while_waiting: Callable[[], None] = lambda: None,
        make_trigger: MakeTrigger | None = None,
        stop_line: Stop | None = None,
    ) -> None:  # fmt: skip
        self._options = options
        self._watch = UnitWatch(
            line=line, facts=facts, board=board, clock=clock, unlock_code=self._options.unlock_code,
            parent_alive=parent_alive, while_waiting=while_waiting,
        )  # fmt: skip
        self._board, self._clock = board, clock
        self._watch.stop_line = stop_line
        self._unasked = Unasked()
        self._firing = Firing(self._watch, permits=PermitCheck(run_id=run_id, key=key))
        self._make_trigger = make_trigger
        self._told: FireReceipt | None = None

    @property
    def _facts(self) -> UnitFacts:
        return self._watch.facts  # with the software version, once it is known

    @property
    def train_receipt(self) -> FireReceipt | None:
        """What was given of the last train; None while it is under way, or there was none."""
        self._watch.follow_train()
        return self._watch.train_receipt

    def train_news(self) -> FireReceipt | None:
        """The receipt of a train that has ended, once."""
        found = self.train_receipt
        if found is self._told:
            return None
        self._told = found
        return found

    @property
    def trip(self) -> Trip | None:
        """Why nothing more is armed or fired in this run."""
        return self._watch.trip

    @property
    def leaving(self) -> str:
        """Why the process is to end; "" while it is not."""
        return self._watch.leaving

    def open(self) -> Opened:
        """See ``drivers.opening``."""
        found = open_unit(
            self._watch, self._options, lambda wait_s: self._wait_until(self._clock.now_s() + wait_s)
        )
        if self._make_trigger is not None:
            self._firing.trigger = open_trigger(self._watch, self._make_trigger)
        return found

    def step(self) -> None:
        """See ``UnitWatch.step``; a discharge that nobody asked for here trips."""
        watch = self._watch
        watch.step()
        if watch.status is not None:
            self._discharged_unasked(watch.status)

    def _discharged_unasked(self, status: UnitStatus) -> None:
        if words := self._unasked.look(status, ours=self._watch.run is not None):
            self._watch.trip_with(Fault.PULSE_UNCOMMANDED, words)

    def leave(self, why: str) -> None:
        """See ``UnitWatch.leave``."""
        self._watch.leave(why)

    def shut(self) -> None:
        """See ``UnitWatch.shut``."""
        self._watch.shut()
        if self._firing.trigger is not None:
            self._firing.trigger.close()
        if self._watch.stop_line is not None:
            self._watch.stop_line.close()

    def serve(self, request: Request) -> Answer | None:
        """Answer one request; never raises. ANNOUNCE has no answer."""
        watch, n = self._watch, request.n
        if request.ask is Ask.ANNOUNCE:
            watch.announced(request.due_s)
            return None
        if request.ask is Ask.CLOSE:
            watch.leave("closed by the engine")
            self.shut()
            return Answer(n=n, status=watch.status)
        before = watch.trip
        watch.before_request()
        fresh = watch.trip is not before  # what trips while a request waits is told by it, not forgiven
        self._firing.note_end()
        if request.ask is Ask.FIRE:
            receipt = self._firing.fire(request.permit)
            if receipt.delivery is not Delivery.NOT_DELIVERED:
                self._unasked.fired(self._clock.now_s())
            return Answer(n=n, receipt=receipt)
        try:
            return Answer(n=n, status=self._do(request, forgive=not fresh))
        except UnitProblem as err:
            return Answer(n=n, problem=err)
        except Cut as err:
            watch.after_ea()
            found = watch.trip.words if watch.trip else "disarm was asked"
            fault = watch.trip.fault if watch.trip else Fault.UNIT_UNEXPECTED
            return Answer(n=n, problem=UnitProblem(fault, str(err), found=found))
        except Lost as err:
            watch.line_lost(err)
            return Answer(n=n, problem=UnitProblem(Fault.UNIT_LOST, str(err), todo="check the cable"))
        except LineTrouble as err:
            if not isinstance(err, Refused):
                watch.trip_with(err.fault, str(err))
            elif watch.may_discharge():
                watch.ea()
            return Answer(n=n, problem=_failed(err.fault, request.ask, str(err)))
        except Exception as err:
            watch.trip_with(Fault.BUG, f"{type(err).__name__} in the port process: {err}")
            return Answer(n=n, problem=_failed(Fault.BUG, request.ask, repr(err)))

    def _do(self, request: Request, *, forgive: bool) -> UnitStatus:
        watch = self._watch
        if request.ask in ON_THE_WAY:
            if watch.armed:  # what it did until now, before what is set explains it
                self._discharged_unasked(watch.look())
            self._unasked.forget()
        if forgive and request.ask in ON_THE_WAY:  # only asked of a disarmed unit, on the way to arming anew
            watch.forgive()
        while watch.confirm_tries and watch.trip is None and watch.run is None:
            asked_s = self._clock.now_s()
            watch.confirm()
            if watch.misses and self._clock.now_s() - asked_s >= ARMED_REPLY_S:  # no time for another
                raise Silent("no word from the unit after EA", written=True)
        if watch.trip is not None and (watch.lost or request.ask is not Ask.STATUS):
            raise watch.trip.problem()
        if watch.confirm_tries:
            watch.unit.exchange.hear()  # a reply to EA is still on its way
        if request.ask is not Ask.STATUS and watch.run is not None:
            raise UnitProblem(Fault.UNIT_UNEXPECTED, f"{request.ask} refused: a train is under way")
        if request.ask is Ask.SET_POWER:
            return self._set_power(request.power_pct_mso)
        if request.ask is Ask.ARM:
            try:
                return self._arm()
            finally:
                watch.arming = False
        if request.ask in (Ask.SET_TRAIN, Ask.SET_PAIR):
            rests_until_s = self._firing.pace.rests_until_s
            set_setting(watch, request.train or request.pair, self._wait_until, not_before_s=rests_until_s)
            return self._look()
        return watch.look()

    def _wait_until(self, t_s: float) -> None:
        """Wait with the line kept alive; Cut when something urgent comes."""
        watch = self._watch
        while (now_s := self._clock.now_s()) < t_s:
            if watch.urgent():
                watch.unit.exchange.cut()
                raise Cut("a wait was cut short", written=False)
            if now_s >= watch.look_at_s:
                self._look()
            else:
                self._clock.sleep_until(min(t_s, now_s + POLL_S))

    def _look(self) -> UnitStatus:
        status = self._watch.look()
        if self._watch.trip is not None:
            raise self._watch.trip.problem()
        return status

    def _set_power(self, power_pct_mso: int) -> UnitStatus:
        facts, watch = self._facts, self._watch
        refuse_power(facts, power_pct_mso)
        if isinstance(watch.setting, Train):
            refuse_train(facts, power_pct_mso, watch.setting)
        before = watch.read_power() if watch.power_pct_mso is None else watch.power_pct_mso
        watch.forget_power()  # until it is read back: nothing can be fired
        watch.unit.set_power(power_pct_mso)
        ramped_s = self._clock.now_s() + facts.ramp_s(before, power_pct_mso)
        self._wait_until(ramped_s)
        while (found := watch.read_power()) != power_pct_mso:
            if not self._clock.now_s() < ramped_s + READ_BACK_S:
                raise UnitProblem(
                    Fault.UNIT_UNEXPECTED, "the unit does not take the power",
                    expected=f"{power_pct_mso} % MSO", found=f"{found} % MSO read back",
                    todo="check the unit's limits and its display",
                )  # fmt: skip
            watch.forget_power()
            self._wait_until(self._clock.now_s() + LOOK_WHILE_WAITING_S)
        return self._look()

    def _arm(self) -> UnitStatus:
        watch = self._watch
        if not watch.setting_known:
            raise UnitProblem(
                Fault.UNIT_UNEXPECTED, "not armed: whether the unit gives single pulses is not known",
                expected="a train, a pair or single pulses, set and read back", todo="set it again",
            )  # fmt: skip
        if not (age_s := self._board.age_s("engine")) <= HEARTBEAT_FRESH_S:
            raise UnitProblem(
                Fault.ENGINE_LATE, "not armed: the engine's heartbeat is stale",
                expected=f"younger than {HEARTBEAT_FRESH_S} s", found=f"{age_s:.3f} s",
            )  # fmt: skip
        status = self._look()
        if wrong := wrong_with(status):
            raise UnitProblem(
                Fault.UNIT_UNEXPECTED, f"not armed: {wrong}", expected="coil connected, no error",
                found=str(status), todo="see the unit's display",
            )  # fmt: skip
        end_s = self._firing.pace.recharged_s(self._facts, self._clock.now_s()) + 2 * self._facts.arm_s
        watch.armed = watch.arming = True  # before the command: a heartbeat lost from here on means EA
        if not status.may_discharge:
            watch.unit.arm()
        while not status.ready:
            if not self._clock.now_s() < end_s:
                watch.ea()
                raise UnitProblem(
                    Fault.UNIT_UNEXPECTED, "the unit does not become ready; disarmed again",
                    expected=f"ready within {2 * self._facts.arm_s:g} s", found=str(status),
                    todo="see the unit's display (coil, temperature, safety switch)",
                )  # fmt: skip
            self._wait_until(self._clock.now_s() + LOOK_WHILE_WAITING_S)
            status = self._look()
        return status


def _failed(fault: Fault, ask: Ask, found: str) -> UnitProblem:
    return UnitProblem(fault, f"{ask} failed", found=found, todo="see the unit's display")
