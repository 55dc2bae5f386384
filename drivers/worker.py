"""Owns what the port process does when asked: power, arming, the pulse and its outcome; owns no keep-alive.

Before a pulse the driver checks everything again by itself: permit, trip, heartbeat, power read back, a
young ready status byte, and the shortest time since its own last pulse. The permit is spent before the
first byte is written.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.magstim.line import Line
from drivers.magstim.units import UnitFacts
from drivers.permits import PermitCheck
from drivers.requests import Answer, Ask, Opened, Request, Trip
from drivers.settings import refuse_pair, refuse_train
from drivers.trouble import Cut, LineTrouble, Lost, Refused, UnitProblem
from drivers.watch import HEARTBEAT_FRESH_S, UnitWatch, wrong_with
from rtloop.board import Board
from rtloop.clock import Clock
from rtloop.model.pulse import Delivery, FireReceipt
from rtloop.model.status import Fault, UnitStatus
from rtloop.ports import Permit

STATUS_FRESH_S = 1.0
LOOK_WHILE_WAITING_S = 0.05
POLL_S = 0.002
READ_BACK_S = 0.6


class PortWorker:
    """Drives one unit on one line. ``serve`` answers a request; ``step`` does all that is due in between.

    Parameters as ``UnitWatch``; ``run_id`` and ``key`` are those of the permits.
    """

    def __init__(
        self, *, line: Line, facts: UnitFacts, board: Board, clock: Clock, run_id: str, key: bytes,
        parent_alive: Callable[[], bool] = lambda: True, while_waiting: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._watch = UnitWatch(
            line=line, facts=facts, board=board, clock=clock, parent_alive=parent_alive,
            while_waiting=while_waiting,
        )  # fmt: skip
        self._facts, self._board, self._clock = facts, board, clock
        self._permits = PermitCheck(run_id=run_id, key=key)
        self._pulse: tuple[float, int] | None = None  # last own, delivered or uncertain: when, % MSO

    @property
    def trip(self) -> Trip | None:
        """Why nothing more is armed or fired in this run."""
        return self._watch.trip

    @property
    def leaving(self) -> str:
        """Why the process is to end; "" while it is not."""
        return self._watch.leaving

    def open(self) -> Opened:
        """See ``UnitWatch.open``."""
        return self._watch.open()

    def step(self) -> None:
        """See ``UnitWatch.step``."""
        self._watch.step()

    def leave(self, why: str) -> None:
        """See ``UnitWatch.leave``."""
        self._watch.leave(why)

    def shut(self) -> None:
        """See ``UnitWatch.shut``."""
        self._watch.shut()

    def serve(self, request: Request) -> Answer | None:
        """Answer one request; never raises. ANNOUNCE has no answer."""
        watch, n = self._watch, request.n
        if request.ask is Ask.ANNOUNCE:
            watch.announced(request.due_s)
            return None
        if request.ask is Ask.CLOSE:
            watch.leave("closed by the engine")
            watch.shut()
            return Answer(n=n, status=watch.status)
        watch.before_request()
        if request.ask is Ask.FIRE:
            return Answer(n=n, receipt=self._fire(request.permit))
        try:
            return Answer(n=n, status=self._do(request))
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

    def _do(self, request: Request) -> UnitStatus:
        watch = self._watch
        while watch.confirm_tries and watch.trip is None:
            watch.confirm()
        if request.ask in (
            Ask.SET_POWER,
            Ask.ARM,
        ):  # only asked of a disarmed unit, on the way to arming anew
            watch.forgive()
        if watch.trip is not None and (watch.lost or request.ask is not Ask.STATUS):
            raise watch.trip.problem()
        if request.ask is Ask.SET_POWER:
            return self._set_power(request.power_pct_mso)
        if request.ask is Ask.ARM:
            try:
                return self._arm()
            finally:
                watch.arming = False
        if request.ask is Ask.SET_TRAIN:
            refuse_train(self._facts, watch.power_pct_mso, request.train)
        if request.ask is Ask.SET_PAIR:
            refuse_pair(self._facts, request.pair)
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
        if not facts.power_low_pct_mso <= power_pct_mso <= facts.power_high_pct_mso:
            raise UnitProblem(
                Fault.UNIT_UNEXPECTED, "no such power", found=repr(power_pct_mso),
                expected=f"up to {facts.power_high_pct_mso} % MSO",
            )  # fmt: skip
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
        end_s = self._clock.now_s() + 2 * self._facts.arm_s
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

    # ---- the pulse

    def _refusal(self, permit: Permit | None, now_s: float) -> str:
        """Why no pulse may go out on this permit now; "" when one may."""
        why = self._permits.refusal(permit, now_s=now_s)
        if why or permit is None:
            return why
        power, watch = permit.power_pct_mso, self._watch
        if permit.train is not None or permit.pair is not None:
            return "refused: the permit is for a train or a pair, the unit is set to single pulses"
        status = watch.status
        if watch.trip is not None:
            return f"refused: {watch.trip.problem().what}"
        if not watch.armed or status is None:
            return "refused: not armed"
        if not self._board.age_s("engine") <= HEARTBEAT_FRESH_S:
            return "refused: the engine's heartbeat is stale"
        if watch.power_pct_mso is None or power != watch.power_pct_mso:
            return f"refused: the permit is for {power} % MSO, read back was {watch.power_pct_mso}"
        if not status.age_s(now_s) < STATUS_FRESH_S:
            return f"refused: the last status byte is {status.age_s(now_s):.2f} s old"
        if not status.ready or wrong_with(status):
            return f"refused: the unit is not ready: {wrong_with(status) or status}"
        if self._pulse is not None:
            since_s, last = now_s - self._pulse[0], self._pulse[1]
            gap_s = max(self._facts.interval_s(power), self._facts.interval_s(last))
            if not since_s >= gap_s:
                return f"refused: {since_s:.3f} s since a pulse at {last} %, {gap_s:g} s needed at {power} %"
        return ""

    def _fire(self, permit: Permit | None) -> FireReceipt:
        watch, now_s = self._watch, self._clock.now_s()
        why = self._refusal(permit, now_s)
        if why or permit is None:
            return _receipt(Delivery.NOT_DELIVERED, watch.status, why)
        self._permits.spend(permit)
        previous, self._pulse = self._pulse, (now_s, permit.power_pct_mso)
        exchange = watch.unit.exchange
        try:
            reply = watch.unit.fire()
        except LineTrouble as err:
            delivery = Delivery.UNCERTAIN
            if isinstance(err, Refused) or not err.written:
                self._pulse, delivery = previous, Delivery.NOT_DELIVERED
                watch.look_at_s = now_s  # what does the unit say of itself?
            if isinstance(err, Lost):
                watch.line_lost(err)
            elif isinstance(err, Cut):
                watch.after_ea(self._uncertain(err) if err.written else None)
            elif delivery is Delivery.UNCERTAIN:
                watch.ea(self._uncertain(err))
            return _receipt(delivery, watch.status, str(err), exchange.t_sent_s if err.written else None)
        except Exception as err:
            watch.ea(self._uncertain(err))
            return _receipt(Delivery.UNCERTAIN, watch.status, repr(err), exchange.t_sent_s)
        watch.look_at_s = min(watch.look_at_s, reply.t_s + LOOK_WHILE_WAITING_S)
        status = watch.as_status(reply)
        wrong = wrong_with(status) or ("" if status.ready else "not ready")
        if wrong:
            why = f"acknowledged, and the status byte {reply.instr:#04x} of the reply says {wrong}"
            watch.ea(self._uncertain(why))
        delivery = Delivery.UNCERTAIN if wrong else Delivery.DELIVERED
        return _receipt(delivery, status, why, reply.t_sent_s, reply.t_s)

    def _uncertain(self, why: object) -> Trip:
        words = f"a pulse of unknown outcome: {why}"
        return Trip(fault=Fault.UNCERTAIN_PULSE, words=words, t_s=self._clock.now_s())


def _receipt(
    delivery: Delivery, status: UnitStatus | None, why: str, sent_s: float | None = None,
    reply_s: float | None = None,
) -> FireReceipt:  # fmt: skip
    return FireReceipt(delivery=delivery, t_sent_s=sent_s, t_reply_s=reply_s, status=status, reason=why)


def _failed(fault: Fault, ask: Ask, found: str) -> UnitProblem:
    return UnitProblem(fault, f"{ask} failed", found=found, todo="see the unit's display")
