"""Owns the only way to a discharge: mints permits, charges the dose, fires, disarms; decides not when.

It journals nothing but the intent to fire; the caller makes events of the values returned here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rtloop.clock import Clock
from rtloop.errors import NotReady
from rtloop.model.pulse import Delivery, FireReceipt, Outcome, Pair, Pulse, Purpose, Train
from rtloop.model.status import Fault, Lamp, UnitIdentity, UnitStatus
from rtloop.ports import Permit, Stimulator
from rtloop.safety.interlock import Interlock, Step
from rtloop.safety.ledger import Charge, Ledger
from rtloop.safety.limits import Limits
from rtloop.safety.rules import LAST_RULES, RULES, WISH_RULES, Refusal, Rule, Situation, refusals, refuse
from rtloop.safety.train_end import Running, bounded, cannot_stop_s, longest
from rtloop.safety.train_rules import train_under_way


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """What came of ``fire`` or ``train_over``; ``closing``: data of the ``pulse_closed`` event to be written, if any.

    A train that was fired has none yet: it comes from ``train_over``, which the caller polls.
    """

    outcome: Outcome
    receipt: FireReceipt | None = None
    refusals: tuple[Refusal, ...] = ()
    closing: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Armed:
    """What came of ``arm``: the interlock's step and the unit's status (None: the unit was not asked)."""

    ok: bool
    step: Step | None
    status: UnitStatus | None
    words: str


@dataclass(frozen=True, kw_only=True)
class Disarmed:
    """What came of ``disarm``. Not confirmed: the unit may still be armed, use its own switch."""

    confirmed: bool
    step: Step
    words: str


class Gate:
    """The only holder of the stimulator. ``permit``, ``fire``, ``set_*``, ``arm``, ``train_over``: the loop thread only.

    Parameters
    ----------
    key : of the run; seals the permits, known to the driver
    record_intent : makes the data of a ``pulse_intended`` event durable (fsync) before it returns, or raises
    situation : what the caller knows (stream, ages, threshold, rig); the gate fills in what it knows
    session_id : dose caps hold over all runs of a session; ``run_id`` when None
    """

    def __init__(
        self, *, stimulator: Stimulator, limits: Limits, interlock: Interlock, ledger: Ledger, clock: Clock,
        run_id: str, key: bytes, record_intent: Callable[[dict[str, Any]], None],
        situation: Callable[[Pulse, float], Situation], session_id: str | None = None,
    ) -> None:  # fmt: skip
        self._stimulator, self._limits, self._interlock, self._ledger = stimulator, limits, interlock, ledger
        self._clock, self._run_id, self._key = clock, run_id, key
        self._session_id = session_id or run_id
        self._record_intent, self._situation = record_intent, situation
        self._permits, self._newest, self._closed = 0, None, False  # type: int, Permit | None, bool
        # the driver opens in single pulses
        self._shape: tuple[Train | None, Pair | None] | None = (None, None)
        self._running: Running | None = None  # fired and acknowledged, its charge open
        # the instant of another run's last pulse is not known on this clock: count from now, or from when a train
        # that another run never closed must be over
        self._last_pulse_t_s = clock.now_s() + ledger.maybe_running_s if ledger.latest_day else None
        self._last_train_end_s = self._last_pulse_t_s
        # the gap after the last pulse, which may have been stronger than the next; at first the longest of its day
        gaps_s = [stimulator.min_interval_s(c.power_pct_mso, c.train) for c in ledger.latest]
        self._recharge_s = max(gaps_s, default=0.0)

    @property
    def identity(self) -> UnitIdentity:
        return self._stimulator.identity

    def status(self) -> UnitStatus:
        """The newest known status of the unit; never blocks."""
        return self._stimulator.status()

    def uncommanded(self, sample: int) -> dict[str, Any]:
        """A pulse nobody commanded was seen at ``sample``: it counts as dose; returns what its event must hold."""
        return self._ledger.uncommanded(self._run_id, self._session_id, sample, self._clock.utc()[:10])

    def announce(self, due_s: float) -> None:
        """Tell the driver when the next pulse is due; a hint that permits nothing."""
        self._stimulator.announce(due_s)

    def min_interval_s(self, power_pct_mso: int, train: Train | None = None) -> float:
        """Shortest interval from the end of a pulse (or ``train``) at this power: the larger of the unit's and ours."""
        own_s = self._limits.min_interval_s if train is None else self._limits.min_between_trains_s
        return longest(own_s, self._stimulator.min_interval_s(power_pct_mso, train))

    def uninterruptible_s(self, pulse: Pulse) -> float:
        """Worst-case seconds that software may be unable to stop ``pulse`` once fired; to be shown before arming."""
        return cannot_stop_s(pulse, self._stimulator.capabilities)

    def _check(self, pulse: Pulse, now_s: float, rules: tuple[Rule, ...] = RULES) -> tuple[Refusal, ...]:
        if self._closed:
            return (refuse("gate_open", "an open gate", "closed", "start a new run"),)
        today, unit, lock, train = self._clock.utc()[:10], self._stimulator, self._interlock, pulse.train
        seen = replace(
            self._situation(pulse, now_s), mode=lock.mode, now_s=now_s, pulse=pulse, today=today,
            lamp=lock.lamp, armed_since_s=lock.armed_since_s, last_pulse_t_s=self._last_pulse_t_s,
            unit=unit.status(), unit_simulated=unit.identity.simulated, latest_day=self._ledger.latest_day,
            capabilities=unit.capabilities, shape=self._shape, last_train_end_s=self._last_train_end_s,
            train_under_way=self._running is not None,
            unit_says=None if train is None else unit.train_refusals(pulse.power_pct_mso, train),
            min_interval_s=longest(self._gap_s(pulse.power_pct_mso), self._recharge_s),
            counts=self._ledger.counts(target=pulse.target, session_id=self._session_id, day=today),
        )  # fmt: skip
        return refusals(seen, self._limits, rules)

    def _gap_s(self, power_pct_mso: int) -> float:
        """The unit's own gap at a power; NaN, which refuses, for a power that it does not have."""
        try:
            return self._stimulator.min_interval_s(power_pct_mso)
        except ValueError:
            return math.nan

    def permit(self, pulse: Pulse, now_s: float) -> Permit | tuple[Refusal, ...]:
        """Leave to fire ``pulse`` once until its deadline, or every reason why not; mints nowhere else."""
        try:
            no = self._check(pulse, now_s)
        except BaseException as err:
            self._fail(err)
            raise
        self._newest = None
        if no:
            return no
        self._permits += 1
        what: dict[str, Any] = {
            "permit_id": self._permits, "run_id": self._run_id, "pulse_id": pulse.pulse_id, "train": pulse.train,
            "power_pct_mso": pulse.power_pct_mso, "expires_s": pulse.deadline_s, "pair": pulse.pair,
        }  # fmt: skip
        self._newest = Permit(**what, seal=Permit.seal_for(self._key, **what))
        return self._newest

    def fire(self, pulse: Pulse, permit: Permit) -> GateResult:
        """Fire now, once: check again, charge, make the intent durable, look again, send, close the charge.

        Never raises for the line or the journal. Any other exception disarms, trips, and goes on upward.
        """
        try:
            return self._fire(pulse, permit)
        except BaseException as err:
            self._fail(err)
            raise

    def _fire(self, pulse: Pulse, permit: Permit) -> GateResult:
        newest, self._newest = self._newest, None  # spent, whatever comes of it
        same = (permit.pulse_id, permit.power_pct_mso, permit.expires_s, permit.train, permit.pair) == (
            pulse.pulse_id, pulse.power_pct_mso, pulse.deadline_s, pulse.train, pulse.pair,
        )  # fmt: skip
        if permit is not newest or not same or not permit.genuine(self._key):
            words, found = "the newest permit of this run, unspent, for this pulse", f"{permit} for {pulse}"
            refusal = refuse("permit", words, found, "ask for a permit")
            return GateResult(outcome=Outcome.REFUSED, refusals=(refusal,))
        no = self._check(pulse, self._clock.now_s())
        if no:
            return GateResult(outcome=self._why_not_fired(pulse), refusals=no)
        charge = Charge(
            run_id=self._run_id, session_id=self._session_id, permit_id=permit.permit_id,
            pulse_id=pulse.pulse_id, target=pulse.target, purpose=str(pulse.purpose),
            power_pct_mso=pulse.power_pct_mso, power_pct_rmt=pulse.power_pct_rmt, day=self._clock.utc()[:10],
            n_pulses=pulse.n_pulses, train=pulse.train, pair=pulse.pair,
        )  # fmt: skip
        intent = self._ledger.charge(charge)
        try:
            self._record_intent(intent)
        except Exception as err:
            closing = self._ledger.close(charge, Delivery.NOT_DELIVERED)
            self.fault(Fault.JOURNAL_FAILED, str(err))
            refusal = refuse("intent_durable", "the intent on disk", err, "free the disk; start a new run")
            return GateResult(outcome=Outcome.REFUSED, refusals=(refusal,), closing=closing)
        no = self._check(pulse, self._clock.now_s(), LAST_RULES)  # writing took time: still armed, in time?
        if no:
            closing = self._ledger.close(charge, Delivery.NOT_DELIVERED)
            return GateResult(outcome=self._why_not_fired(pulse), refusals=no, closing=closing)
        self._recharge_s = self._stimulator.min_interval_s(pulse.power_pct_mso, pulse.train)
        self._given_until(pulse)
        try:
            receipt = self._stimulator.fire(permit)
            delivery = Delivery(receipt.delivery)
        except Exception as err:
            delivery, words = Delivery.UNCERTAIN, repr(err)
            receipt = FireReceipt(delivery=delivery, t_sent_s=None, t_reply_s=None, status=None, reason=words)
        end_s = self._given_until(pulse)
        if pulse.train is not None and delivery is Delivery.DELIVERED:
            self._running = Running(charge=charge, end_s=end_s)
            return GateResult(outcome=Outcome.FIRED, receipt=receipt)
        told = charge.n_pulses if receipt.pulses_max is None else receipt.pulses_max
        most = max(charge.n_pulses, told)  # more: somebody had set the unit to trains
        closing = self._ledger.close(charge, delivery, (0, most) if delivery is Delivery.UNCERTAIN else None)
        if delivery is Delivery.UNCERTAIN:
            self.fault(Fault.UNCERTAIN_PULSE, receipt.reason)
            return GateResult(outcome=Outcome.UNCERTAIN, receipt=receipt, closing=closing)
        if delivery is Delivery.DELIVERED:
            return GateResult(outcome=Outcome.FIRED, receipt=receipt, closing=closing)
        refusal = refuse("unit_fired", "a pulse", receipt.reason or "the unit refused", "look at the unit")
        outcome = self._why_not_fired(pulse)
        return GateResult(outcome=outcome, receipt=receipt, refusals=(refusal,), closing=closing)

    def _given_until(self, pulse: Pulse) -> float:
        """The last pulse came, or will come, no later than this; before and after sending, whatever comes of it."""
        train, pair = pulse.train, pulse.pair
        length_s = train.duration_s if train is not None else 0.0 if pair is None else pair.interval_ms / 1e3
        self._last_pulse_t_s = end_s = self._clock.now_s() + length_s
        if train is not None:
            self._last_train_end_s = end_s
        return end_s

    def train_over(self, n_seen: int = 0) -> GateResult | None:
        """Close the charge of the train under way, once it is over; None while it is under way, or where there is none.

        To be polled. Bounds count at their upper end, and never below the ``n_seen`` that the stream has shown of it; a count
        that is not known, or no word in time, disarms and trips.
        """
        run = self._running
        if run is None:
            return None
        said: object = None
        try:
            said = self._stimulator.train_end()
        except Exception as err:
            said = repr(err)
        if said is None and self._clock.now_s() <= run.end_s + self._limits.train_end_max_wait_s:
            return None
        receipt, (low, high) = bounded(said, run.charge.n_pulses, n_seen)
        self._running = None
        closing = self._ledger.close(run.charge, receipt.delivery, (low, high))
        if receipt.delivery is Delivery.UNCERTAIN:
            self.fault(Fault.UNCERTAIN_PULSE, receipt.reason)
            return GateResult(outcome=Outcome.UNCERTAIN, receipt=receipt, closing=closing)
        permitted = self._interlock.lamp in (Lamp.ARMED, Lamp.HELD)
        if permitted and low < run.charge.n_pulses:  # cut, and not by our doing
            self.fault(Fault.UNIT_UNEXPECTED, receipt.reason)
        return GateResult(outcome=Outcome.FIRED, receipt=receipt, closing=closing)

    def _why_not_fired(self, pulse: Pulse) -> Outcome:
        return Outcome.REFUSED if self._clock.now_s() <= pulse.deadline_s else Outcome.MISSED

    def set_power(self, power_pct_mso: int) -> UnitStatus | tuple[Refusal, ...]:
        """Set and read back; refused beyond the caps; NotReady (after a disarm) if it does not follow."""
        if type(power_pct_mso) is not int:
            return (refuse("power", "a whole number of % MSO", repr(power_pct_mso), "correct the plan"),)
        shape = self._shape or (None, None)
        return self._set(power_pct_mso, shape, lambda: self._stimulator.set_power(power_pct_mso))

    def set_train(self, train: Train | None) -> UnitStatus | tuple[Refusal, ...]:
        """Set a train (None: single pulses), read back; only in standby; refused beyond the rules at the power set.

        NotReady (after a disarm) if the unit does not follow: what it would give is then not known, and nothing fires.
        """
        return self._set(None, (train, None), lambda: self._stimulator.set_train(train))

    def set_pair(self, pair: Pair | None) -> UnitStatus | tuple[Refusal, ...]:
        """Set a pair (None: single pulses); as ``set_train``."""
        return self._set(None, (None, pair), lambda: self._stimulator.set_pair(pair))

    def _set(
        self,
        power_pct_mso: int | None,
        shape: tuple[Train | None, Pair | None],
        send: Callable[[], UnitStatus],
    ) -> UnitStatus | tuple[Refusal, ...]:
        """``power_pct_mso`` None: the shape is set, at the power the unit has."""
        try:
            before, now_s = self._stimulator.status(), self._clock.now_s()
            power = before.power_pct_mso if power_pct_mso is None else power_pct_mso
            plain = power_pct_mso is None and shape == (None, None)  # back to single pulses: at any power
            pulse = Pulse(pulse_id=0, target="", purpose=Purpose.PREVIEW, power_pct_mso=power or 0, power_pct_rmt=None,
                          due_s=now_s, deadline_s=now_s, train=shape[0], pair=shape[1])  # fmt: skip
            no = self._check(pulse, now_s, (train_under_way, *(() if plain else WISH_RULES)))
            if power is None and not plain:
                words, todo = "a power read back from the unit", "set the power first"
                no = (*no, refuse("unit_power", words, "none", todo))
            if power_pct_mso is None and (before.may_discharge or not before.standby):
                no = (*no, refuse("standby", "a unit in standby", before, "disarm first"))
            if no:
                return no
            self._newest = None
            if power_pct_mso is None:
                self._shape = None  # not known until it is read back
            status = send()
            if power_pct_mso is None:
                self._shape = shape
            elif status.power_pct_mso != power_pct_mso:
                found = f"{status.power_pct_mso} %"
                raise NotReady("the unit did not take the power", expected=f"{power_pct_mso} %", found=found)
            return status
        except BaseException as err:
            self._fail(err)
            raise

    def arm(self) -> Armed:
        """Arm, after both steps at the interlock; NotReady (after a disarm) if it does not get ready."""
        if self._closed or not self._interlock.confirmed:
            return Armed(ok=False, step=None, status=None, words="not armed: arm in two steps first")
        if self._running is not None:
            return Armed(ok=False, step=None, status=None, words="not armed: a train may still be under way")
        try:
            status = self._stimulator.arm()
            good = status.ready and status.remote and status.coil_present
            if not good or status.standby or status.replace_coil or status.error or status.error_fatal:
                words = "ready, under remote control, with a good coil, without error"
                raise NotReady("the unit did not get ready", expected=words, found=str(status))
            step = self._interlock.unit_ready(self._clock.now_s())
        except BaseException as err:
            self._fail(err)
            raise
        if not step.accepted or self._closed:
            return Armed(ok=False, step=self.disarm(step.words).step, status=status, words=step.words)
        return Armed(ok=True, step=step, status=status, words=step.words)

    def fault(self, fault: Fault, detail: str = "") -> Step:
        """Tell the interlock, and disarm the unit when the fault says so; from any thread."""
        step = self._interlock.fault(fault, self._clock.now_s(), detail)
        if step.disarm:
            self.disarm(step.words)
        return step

    def disarm(self, reason: str) -> Disarmed:
        """Disarm: never refused, never raises, from any thread; permission ends first, then the line."""
        step = self._interlock.disarmed(reason)
        confirmed, words = False, ""
        try:
            asked_s = self._clock.now_s()
            self._stimulator.disarm()
            status = self._stimulator.status()
            confirmed = status.standby and not status.may_discharge and status.t_s >= asked_s
        except Exception as err:
            words = f" ({err})"
        says = "the unit says standby" if confirmed else f"not confirmed{words}: use the unit's own switch"
        return Disarmed(confirmed=confirmed, step=step, words=f"{reason}; {says}")

    def close(self) -> Disarmed:
        """Disarm, release the unit, and refuse everything from now on; never raises."""
        self._closed = True
        done = self.disarm("closing")
        try:
            self._stimulator.close()
        except Exception as err:
            return replace(done, confirmed=False, words=f"{done.words}; closing failed: {err}")
        return done

    def _fail(self, err: BaseException) -> None:
        """What every unforeseen way out ends in: the fault the device names, else BUG; both disarm."""
        fault = Fault.UNIT_UNEXPECTED if isinstance(err, NotReady) else Fault.BUG
        named = getattr(err, "fault", None)
        self.disarm(f"after {type(err).__name__}")
        self.fault(named if isinstance(named, Fault) else fault, str(err))
