"""Owns the pulse at the line: the driver's own checks, the fire command or trigger, the outcome; owns no keep-alive.

Before a pulse the driver checks everything again by itself: permit, trip, heartbeat, power and train or pair as
read back a moment ago, a young ready status byte, and the time since its own last pulse or train. The permit is spent
before the first byte is written. After it the watch reads power and train or pair at once: a pulse given otherwise
than permitted trips.
"""

from __future__ import annotations

import math

from drivers.magstim.magpy_port import Reply
from drivers.outputs import Trigger
from drivers.pacing import Pace
from drivers.pause import pause_until
from drivers.permits import PermitCheck
from drivers.reading import wrong_with
from drivers.requests import Trip
from drivers.single import UNREAD, found_in_trains, most_after_trouble, most_given
from drivers.train_run import TrainRun
from drivers.trouble import Cut, LineTrouble, Lost, Refused
from drivers.watch import HEARTBEAT_FRESH_S, UnitWatch
from rtloop.model.pulse import Delivery, FireReceipt
from rtloop.model.status import Fault
from rtloop.ports import Permit

STATUS_FRESH_S = 1.0
#: of power, train and pair as the unit holds them; an announced pulse has them of 0.1 s before
NUMBERS_FRESH_S = 1.0
LOOK_AFTER_S = 0.05
TRIGGER_TAKES_S = 0.005  # from the edge to a status byte that shows it


class Firing:
    """Fires one unit. ``fire`` never raises; ``trigger``: the line to fire by, None for ``EH``."""

    def __init__(self, watch: UnitWatch, *, permits: PermitCheck) -> None:
        self._watch, self._permits = watch, permits
        self._board, self._clock = watch.board, watch.clock
        self.pace = Pace(self._clock.now_s())
        self.trigger: Trigger | None = None
        self._running: TrainRun | None = None

    def note_end(self) -> None:
        """The wait after a train counts from its end, once that is known."""
        if self._running is not None and self._running.ended_s < math.inf:
            self.pace.ended(self._running.ended_s)

    def _refusal(self, permit: Permit | None, now_s: float) -> str:
        """Why no pulse may go out on this permit now; "" when one may."""
        if why := self._permits.refusal(permit, now_s=now_s):
            return why
        assert permit is not None  # else refused above
        power, watch, facts = permit.power_pct_mso, self._watch, self._watch.facts
        status = watch.status
        if watch.trip is not None:
            return f"refused: {watch.trip.problem().what}"
        if status is None or not watch.armed:
            return "refused: not armed"
        if not self._board.age_s("engine") <= HEARTBEAT_FRESH_S:
            return "refused: the engine's heartbeat is stale"
        if not facts.power_low_pct_mso <= power <= facts.power_high_pct_mso:
            return f"refused: {power} % MSO is no power of this unit"
        if power != watch.power_pct_mso:
            return f"refused: the permit is for {power} % MSO, read back was {watch.power_pct_mso}"
        wanted = permit.train or permit.pair
        if not watch.setting_known or wanted != watch.setting:
            held = (watch.setting or "single pulses") if watch.setting_known else "nothing known"
            return f"refused: the permit is for {wanted or 'single pulses'}, read back was {held}"
        if watch.run is not None:
            return "refused: a train is under way"
        if not status.age_s(now_s) < STATUS_FRESH_S:
            return f"refused: the last status byte is {status.age_s(now_s):.2f} s old"
        if not (age_s := now_s - watch.numbers_s) < NUMBERS_FRESH_S:
            return f"refused: the power and what it gives by one command were read {age_s:.2f} s ago"
        if not status.ready or wrong_with(status):
            return f"refused: the unit is not ready: {wrong_with(status) or status}"
        why = self.pace.refusal(facts, now_s, power, permit.train)
        return why and f"refused: {why}"

    def fire(self, permit: Permit | None) -> FireReceipt:
        """Fire once; the receipt of a train tells its start, its end comes later (``UnitWatch.train_receipt``)."""
        watch, now_s = self._watch, self._clock.now_s()
        if why := self._refusal(permit, now_s):
            return FireReceipt(
                delivery=Delivery.NOT_DELIVERED,
                t_sent_s=None,
                t_reply_s=None,
                status=watch.status,
                reason=why,
            )
        assert permit is not None  # else refused above
        self._permits.spend(permit)
        self.pace.given(now_s, permit.power_pct_mso, permit.train)
        try:
            if self.trigger is None:
                reply = watch.unit.fire(not_after_s=permit.expires_s)
                sent_s = reply.t_sent_s
            else:
                sent_s = self.trigger.fire(not_after_s=permit.expires_s)
                reply = self._after_trigger()
        except LineTrouble as err:
            return self._failed(permit, err, now_s)
        except Exception as err:  # whatever it was, it may have gone out
            return self._failed(permit, LineTrouble(repr(err), written=True), now_s)
        watch.fired_s, watch.look_at_s = sent_s, min(watch.look_at_s, reply.t_s + LOOK_AFTER_S)
        wrong = self._wrong_with(reply)
        self._train_may_run(permit, sent_s, None if wrong else reply.t_s)
        if wrong:
            how = "acknowledged, and" if self.trigger is None else "triggered, and"
            why = f"{how} the status byte {reply.instr:#04x} of the reply says {wrong}"
            watch.ea(self._uncertain(why))
            most = most_after_trouble(watch, permit)
            return self._receipt(permit, Delivery.UNCERTAIN, why, sent_s, reply, most)
        can = watch.facts.capabilities
        if permit.n_pulses == 1 and (can.trains or can.pairs) and (found := found_in_trains(watch)):
            why = f"one pulse was asked for, and right after it the unit says: {found}"
            watch.ea(self._uncertain(why))
            most = None if found == UNREAD else most_given(watch)
            return self._receipt(permit, Delivery.UNCERTAIN, why, sent_s, reply, most)
        if sent_s > permit.expires_s:
            why = f"given up to {1e3 * (sent_s - permit.expires_s):.1f} ms after its deadline"
            watch.trip_with(Fault.ENGINE_LATE, f"a pulse was {why}")
        return self._receipt(permit, Delivery.DELIVERED, why, sent_s, reply)

    def _failed(self, permit: Permit, err: LineTrouble, called_s: float) -> FireReceipt:
        """No proper reply: what the unit did with it, as far as that is certain."""
        watch, by_line = self._watch, self.trigger is None
        no = not err.written or (by_line and isinstance(err, Refused))
        sent_s = max(called_s, watch.unit.exchange.t_sent_s) if by_line else called_s
        if no:
            self.pace.taken_back()
            watch.look_at_s = called_s  # what does the unit say of itself?
        else:
            watch.fired_s = sent_s
            self._train_may_run(permit, sent_s, None)
        trip = None if no else self._uncertain(err)
        if isinstance(err, Lost) and by_line:
            watch.line_lost(err)
        elif isinstance(err, Cut):
            watch.after_ea(trip)
        elif trip is not None:
            watch.ea(trip)
        if no:
            return self._receipt(permit, Delivery.NOT_DELIVERED, str(err), sent_s if err.written else None)
        most = most_after_trouble(watch, permit)
        return self._receipt(permit, Delivery.UNCERTAIN, str(err), sent_s, most=most)

    def _wrong_with(self, reply: Reply) -> str:
        """The reply to ``EH`` shows the state before it, the status byte after an edge that after it."""
        status = self._watch.as_status(reply)
        if wrong := wrong_with(status):
            return wrong
        if self.trigger is None:
            if reply.late_s > 0:
                return "what may be of a command before"
            return "" if status.ready else "not ready"
        if status.standby:
            return "standby: whether it took the trigger is not known"
        return "still ready: it took no trigger" if status.ready else ""

    def _after_trigger(self) -> Reply:
        """The unit's own next word after an edge; LineTrouble is of unknown outcome."""
        pause_until(self._watch, self._clock.now_s() + TRIGGER_TAKES_S)
        try:
            return self._watch.unit.look(mode=self._watch.setting is not None)
        except LineTrouble as err:
            raise type(err)(f"after a trigger edge: {err}", written=True) from err

    def _train_may_run(self, permit: Permit, sent_s: float, reply_s: float | None) -> None:
        if permit.train is None:
            return
        watch = self._watch
        stops = watch.facts.capabilities.stops_running_train
        watch.run = self._running = TrainRun(permit.train, t_sent_s=sent_s, t_reply_s=reply_s, stops=stops)
        watch.train_receipt = None

    def _receipt(
        self, permit: Permit, delivery: Delivery, why: str, sent_s: float | None, reply: Reply | None = None,
        most: int | None = None,
    ) -> FireReceipt:  # fmt: skip
        """Bounds of trains and pairs: none when not sent, all when acknowledged, else between them.

        A train that was acknowledged has none yet: they come with its end. ``most``: where it may be more than permitted.
        """
        n = permit.n_pulses if most is None else most
        bounded = n > 1 and (permit.train is None or delivery is not Delivery.DELIVERED)
        return FireReceipt(
            delivery=delivery, t_sent_s=sent_s, t_reply_s=None if reply is None else reply.t_s, reason=why,
            status=self._watch.status if reply is None else self._watch.as_status(reply),
            pulses_min=(n if delivery is Delivery.DELIVERED else 0) if bounded else None,
            pulses_max=(0 if delivery is Delivery.NOT_DELIVERED else n) if bounded else None,
        )  # fmt: skip

    def _uncertain(self, why: object) -> Trip:
        words = f"a pulse of unknown outcome: {why}"
        return Trip(fault=Fault.UNCERTAIN_PULSE, words=words, t_s=self._clock.now_s())
