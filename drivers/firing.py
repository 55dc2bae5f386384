"""Owns the pulse at the line: the driver's own checks, the fire command or trigger, the outcome; owns no keep-alive.

Before a pulse the driver checks everything again by itself: permit, trip, heartbeat, power and train or pair as
read back, a young ready status byte, and the time since its own last pulse or train. The permit is spent before
the first byte is written.
"""

from __future__ import annotations

from drivers.magstim.magpy_port import Reply
from drivers.outputs import Trigger
from drivers.pacing import Pace
from drivers.permits import PermitCheck
from drivers.reading import wrong_with
from drivers.requests import Trip
from drivers.train_run import TrainRun
from drivers.trouble import Cut, LineTrouble, Lost, Refused
from drivers.watch import HEARTBEAT_FRESH_S, UnitWatch
from rtloop.model.pulse import Delivery, FireReceipt
from rtloop.model.status import Fault, UnitStatus
from rtloop.ports import Permit

STATUS_FRESH_S = 1.0
LOOK_AFTER_S = 0.05
TRIGGER_TAKES_S = 0.005  # from the edge to a status byte that shows it


class Firing:
    """Fires one unit. ``fire`` never raises; ``trigger``: the line to fire by, None for ``EH``."""

    def __init__(self, watch: UnitWatch, *, permits: PermitCheck) -> None:
        self._watch, self._permits = watch, permits
        self._board, self._clock = watch.board, watch.clock
        self.pace = Pace()
        self.trigger: Trigger | None = None
        self._running: TrainRun | None = None

    def note_end(self) -> None:
        """The wait after a train counts from its end, once that is known."""
        if self._watch.run is None and self._running is not None:
            self.pace.ended(self._running.ended_s or self._clock.now_s())
            self._running = None

    def _refusal(self, permit: Permit | None, now_s: float) -> str:
        """Why no pulse may go out on this permit now; "" when one may."""
        why = self._permits.refusal(permit, now_s=now_s)
        if why or permit is None:
            return why
        power, watch = permit.power_pct_mso, self._watch
        status = watch.status
        if watch.trip is not None:
            return f"refused: {watch.trip.problem().what}"
        if not watch.armed or status is None:
            return "refused: not armed"
        if not self._board.age_s("engine") <= HEARTBEAT_FRESH_S:
            return "refused: the engine's heartbeat is stale"
        if watch.power_pct_mso is None or power != watch.power_pct_mso:
            return f"refused: the permit is for {power} % MSO, read back was {watch.power_pct_mso}"
        wanted = permit.train or permit.pair
        if not watch.setting_known or wanted != watch.setting:
            held = (watch.setting or "single pulses") if watch.setting_known else "nothing known"
            return f"refused: the permit is for {wanted or 'single pulses'}, read back was {held}"
        if watch.run is not None:
            return "refused: a train is under way"
        if not status.age_s(now_s) < STATUS_FRESH_S:
            return f"refused: the last status byte is {status.age_s(now_s):.2f} s old"
        if not status.ready or wrong_with(status):
            return f"refused: the unit is not ready: {wrong_with(status) or status}"
        if why := self.pace.refusal(self._watch.facts, now_s, power, permit.train):
            return f"refused: {why}"
        return ""

    def fire(self, permit: Permit | None) -> FireReceipt:
        """Fire once; the receipt of a train tells its start, its end comes later (``UnitWatch.train_receipt``)."""
        watch, now_s = self._watch, self._clock.now_s()
        why = self._refusal(permit, now_s)
        if why or permit is None:
            return self._receipt(None, Delivery.NOT_DELIVERED, why)
        self._permits.spend(permit)
        self.pace.given(now_s, permit.power_pct_mso, permit.train)
        exchange, sent_s = watch.unit.exchange, now_s
        try:
            if self.trigger is None:
                reply = watch.unit.fire()
                sent_s = reply.t_sent_s
            else:
                sent_s = self.trigger.fire(not_after_s=permit.expires_s)
                reply = self._after_trigger()
        except LineTrouble as err:
            by_line = self.trigger is None
            no = not err.written or (by_line and isinstance(err, Refused))
            if no:
                self.pace.taken_back()
                watch.look_at_s = now_s  # what does the unit say of itself?
            else:
                self._train_may_run(permit, exchange.t_sent_s if by_line else now_s, None)
            if isinstance(err, Lost) and by_line:
                watch.line_lost(err)
            elif isinstance(err, Cut):
                watch.after_ea(None if no else self._uncertain(err))
            elif not no:
                watch.ea(self._uncertain(err))
            sent = (exchange.t_sent_s if by_line else now_s) if err.written else None
            return self._receipt(permit, Delivery.NOT_DELIVERED if no else Delivery.UNCERTAIN, str(err), sent)
        except Exception as err:
            self._train_may_run(permit, now_s, None)
            watch.ea(self._uncertain(err))
            return self._receipt(permit, Delivery.UNCERTAIN, repr(err), exchange.t_sent_s)
        watch.look_at_s = min(watch.look_at_s, reply.t_s + LOOK_AFTER_S)
        status = watch.as_status(reply)
        wrong = wrong_with(status)
        if self.trigger is None and not status.ready:  # the state before EH
            wrong = wrong or "not ready"
        if self.trigger is not None and status.ready:  # the state after the edge
            wrong = wrong or "still ready: it took no trigger"
        self._train_may_run(permit, sent_s, reply.t_s if not wrong else None)
        if wrong:
            how = "acknowledged, and" if self.trigger is None else "triggered, and"
            why = f"{how} the status byte {reply.instr:#04x} of the reply says {wrong}"
            watch.ea(self._uncertain(why))
            return self._receipt(permit, Delivery.UNCERTAIN, why, sent_s, reply.t_s, status)
        return self._receipt(permit, Delivery.DELIVERED, "", sent_s, reply.t_s, status)

    def _after_trigger(self) -> Reply:
        """The unit's own next word after an edge; LineTrouble is of unknown outcome."""
        self._clock.sleep_until(self._clock.now_s() + TRIGGER_TAKES_S)
        try:
            return self._watch.unit.look(train_under_way=self._watch.setting is not None)
        except LineTrouble as err:
            raise type(err)(f"after a trigger edge: {err}", written=True) from err

    def _train_may_run(self, permit: Permit, sent_s: float, reply_s: float | None) -> None:
        if permit.train is None:
            return
        watch = self._watch
        watch.run = self._running = TrainRun(
            permit.train, power_pct_mso=permit.power_pct_mso, t_sent_s=sent_s, t_reply_s=reply_s,
            stops=self._watch.facts.capabilities.stops_running_train,
        )  # fmt: skip
        watch.train_receipt = None
        watch.look_at_s = self._clock.now_s()

    def _receipt(
        self, permit: Permit | None, delivery: Delivery, why: str, sent_s: float | None = None,
        reply_s: float | None = None, status: UnitStatus | None = None,
    ) -> FireReceipt:  # fmt: skip
        """Bounds of trains and pairs: none when not sent, all when acknowledged, else between them.

        A train that was acknowledged has none yet: they come with its end.
        """
        several = None if permit is None else permit.train or permit.pair
        if permit is not None and permit.train is not None and delivery is Delivery.DELIVERED:
            several = None
        n = 1 if permit is None else permit.n_pulses
        return FireReceipt(
            delivery=delivery, t_sent_s=sent_s, t_reply_s=reply_s, status=status or self._watch.status,
            reason=why,
            pulses_min=None if several is None else n if delivery is Delivery.DELIVERED else 0,
            pulses_max=None if several is None else 0 if delivery is Delivery.NOT_DELIVERED else n,
        )  # fmt: skip

    def _uncertain(self, why: object) -> Trip:
        words = f"a pulse of unknown outcome: {why}"
        return Trip(fault=Fault.UNCERTAIN_PULSE, words=words, t_s=self._clock.now_s())
