"""Owns what the safety tests share: a fake unit with faults, a good situation, a gate around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rtloop.clock import SteppedClock
from rtloop.errors import NotReady
from rtloop.model.pulse import Delivery, FireReceipt, Pair, Pulse, Purpose, Train
from rtloop.model.status import Capabilities, Fault, Lamp, Mode, StreamHealth, UnitIdentity, UnitStatus
from rtloop.ports import Permit
from rtloop.safety.gate import Gate
from rtloop.safety.interlock import Interlock
from rtloop.safety.ledger import Ledger
from rtloop.safety.limits import Limits, load_limits
from rtloop.safety.rules import MotorThreshold, Rig, Situation

LIMITS = load_limits()
KEY = b"key of the run"
START_S = 1_700_000_000.0  # 2023-11-14 on the stepped clock
TODAY = "2023-11-14"
STANDBY, READY = 0x89, 0x8C
RIG = Rig(unit_model="200", coil="D70", waveform="mono PA")


def threshold(**changes: Any) -> MotorThreshold:
    fields: dict[str, Any] = {
        "participant": "P01", "pct_mso": 50.0, "date": TODAY, "method": "EMG", "coil": "D70",
        "waveform": "mono PA", "unit_model": "200",
    }  # fmt: skip
    return MotorThreshold(**(fields | changes))


def health(t_s: float, **changes: Any) -> StreamHealth:
    fields: dict[str, Any] = {
        "t_s": t_s, "head": 1, "rate_hz": 4800.0, "nominal_rate_hz": 4800.0, "age_s": 0.01, "gaps": 0,
        "lost_samples": 0, "clock_residual_s": 0.0,
    }  # fmt: skip
    return StreamHealth(**(fields | changes))


def pulse(now_s: float = START_S, **changes: Any) -> Pulse:
    fields: dict[str, Any] = {
        "pulse_id": 1, "target": "M1", "purpose": Purpose.MAPPING, "power_pct_mso": 55,
        "power_pct_rmt": 110.0,
        "due_s": now_s, "deadline_s": now_s + 0.05,
    }  # fmt: skip
    return Pulse(**(fields | changes))


def good(now_s: float = START_S, **changes: Any) -> Situation:
    """A situation which no rule refuses."""
    fields: dict[str, Any] = {
        "mode": Mode.SIMULATED, "now_s": now_s, "pulse": pulse(now_s), "lamp": Lamp.ARMED,
        "unit": UnitStatus.from_instr(READY, t_s=now_s, power_pct_mso=55, coil_temp_c=25.0),
        "unit_simulated": True, "eeg_simulated": True, "stream": health(now_s), "recorder_age_s": 0.1,
        "durable_lag_s": 0.1, "port_age_s": 0.1, "operator_age_s": 0.1, "last_pulse_t_s": now_s - 4.0,
        "min_interval_s": 3.0, "armed_since_s": now_s - 10.0, "today": TODAY,
        "participant": "P01", "lock": "", "rig": RIG, "threshold": threshold(),
        "capabilities": Capabilities(trains=True, pairs=True), "shape": (None, None), "train_under_way": False,
        "unit_says": (),
    }  # fmt: skip
    return Situation(**(fields | changes))


class FakeUnit:
    """Counts its own discharges and obeys even what it should not, so that only the gate protects.

    tests/contract/test_safety_fake_unit.py holds it to what the driver does; random stories over the driver are the soaks.

    ``discharges`` has one entry for each command that started something; ``given()`` is every single pulse so far.
    """

    def __init__(self, clock: SteppedClock) -> None:
        self.clock = clock
        self.instr, self.power, self.temp_c = STANDBY, 0, 25.0
        self.discharges: list[tuple[float, int, int]] = []  # instant, permit_id, power
        # of each discharge: the instants of its pulses, in the future too
        self.bursts: list[list[float]] = []
        self.disarms = 0
        self.unready_discharges = 0  # sent to a unit that was not armed and ready
        self.next_fire = "deliver"  # deliver, refuse, lost, lost_undelivered, raise, interrupt, nonsense
        self.next_arm = "ready"  # ready, standby, silent
        self.next_power = "follow"  # follow, other, silent
        self.next_shape = "follow"  # follow, other, silent
        self.next_end = "exact"  # exact, bounds, unknown, never, raise, nonsense
        self.disarm_raises = False
        self.gap_s = 3.0
        self.gap_after_train_s = 0.5
        self.train: Train | None = None
        self.pair: Pair | None = None
        self.train_says: tuple[str, ...] = ()
        self.caps = Capabilities(trains=True, pairs=True)
        self.obeys_ea = False  # whether a disarm stops a train under way
        self.simulated = True
        self.closed = False
        self._running: tuple[Train, float] | None = None
        self._cut_s: float | None = None

    @property
    def identity(self) -> UnitIdentity:
        return UnitIdentity(model="200", port="fake", simulated=self.simulated)

    @property
    def capabilities(self) -> Capabilities:
        return self.caps

    def given(self) -> int:
        """Single pulses that left the coil until now."""
        return sum(t <= self.clock.now_s() for burst in self.bursts for t in burst)

    def min_interval_s(self, power_pct_mso: int, train: Train | None = None) -> float:
        if (
            not 0 <= power_pct_mso <= 100
        ):  # as a real driver: it knows no gap for a power the unit does not have
            raise ValueError(f"no such power: {power_pct_mso}")
        return self.gap_s if train is None else self.gap_after_train_s

    def train_refusals(self, power_pct_mso: int, train: Train) -> tuple[str, ...]:
        return self.train_says

    def announce(self, due_s: float) -> None:
        pass

    def status(self) -> UnitStatus:
        return UnitStatus.from_instr(
            self.instr, t_s=self.clock.now_s(), power_pct_mso=self.power, coil_temp_c=self.temp_c
        )

    def set_power(self, power_pct_mso: int) -> UnitStatus:
        how, self.next_power = self.next_power, "follow"
        if how == "silent":
            raise silent()
        self.power = power_pct_mso if how == "follow" else power_pct_mso + 1
        return self.status()

    def _shape(self, train: Train | None, pair: Pair | None) -> UnitStatus:
        how, self.next_shape = self.next_shape, "follow"
        if how == "silent":
            raise silent()
        self.train, self.pair = train, pair
        if how == "other":
            raise NotReady("the unit read back another train or pair")
        return self.status()

    def set_train(self, train: Train | None) -> UnitStatus:
        return self._shape(train, None)

    def set_pair(self, pair: Pair | None) -> UnitStatus:
        return self._shape(None, pair)

    def arm(self) -> UnitStatus:
        how, self.next_arm = self.next_arm, "ready"
        if how == "silent":
            raise silent()
        self.instr = READY if how == "ready" else STANDBY
        return self.status()

    def _discharge(self, permit: Permit, t_s: float) -> None:
        self.discharges.append((t_s, permit.permit_id, self.power))
        self.unready_discharges += self.instr != READY
        self._cut_s = None
        if self.train is not None:
            self.bursts.append([t_s + k / self.train.frequency_hz for k in range(self.train.n_pulses)])
            self._running = self.train, t_s
        else:
            self.bursts.append([t_s] if self.pair is None else [t_s, t_s + self.pair.interval_ms / 1e3])

    def fire(self, permit: Permit) -> FireReceipt:
        how, self.next_fire = self.next_fire, "deliver"
        t_s = self.clock.now_s()
        if how not in ("refuse", "lost_undelivered", "raise"):
            self._discharge(permit, t_s)
        self.clock.advance(0.008)
        if how in ("raise", "interrupt"):
            raise RuntimeError("broken driver") if how == "raise" else KeyboardInterrupt
        if how == "nonsense":
            return None  # type: ignore[return-value]
        delivery = {"deliver": Delivery.DELIVERED, "refuse": Delivery.NOT_DELIVERED}.get(
            how, Delivery.UNCERTAIN
        )
        return FireReceipt(
            delivery=delivery, t_sent_s=t_s, t_reply_s=self.clock.now_s(), status=self.status(), reason=how
        )

    def train_end(self) -> FireReceipt | None:
        if self._running is None or self.next_end == "never":
            return None
        if self.next_end == "raise":
            raise silent()
        if self.next_end == "nonsense":
            return "over"  # type: ignore[return-value]
        (train, start_s), now_s = self._running, self.clock.now_s()
        if now_s < start_s + train.duration_s and self._cut_s is None:
            return None
        n = len(self.bursts[-1])
        low, high = {"exact": (n, n), "bounds": (max(0, n - 1), min(train.n_pulses, n + 1))}.get(
            self.next_end, (None, None)
        )
        delivery = Delivery.UNCERTAIN if self.next_end == "unknown" else Delivery.DELIVERED
        return FireReceipt(
            delivery=delivery, t_sent_s=start_s, t_reply_s=now_s, status=self.status(), reason=self.next_end,
            pulses_min=low, pulses_max=high,
        )  # fmt: skip

    def disarm(self) -> None:
        self.disarms += 1
        if self.disarm_raises:
            raise silent()
        if self.obeys_ea and self._running is not None and self._cut_s is None:
            now_s = self.clock.now_s()
            if now_s < self._running[1] + self._running[0].duration_s:
                self._cut_s = now_s
                self.bursts[-1] = [t for t in self.bursts[-1] if t <= now_s]
        self.instr = STANDBY

    def close(self) -> None:
        self.disarm()
        self.closed = True


def silent() -> NotReady:
    err = NotReady("the unit does not answer")
    err.fault = Fault.UNIT_SILENT  # type: ignore[attr-defined]
    return err


class Bench:
    """A gate with everything around it, on a stepped clock."""

    def __init__(
        self,
        *,
        mode: Mode = Mode.SIMULATED,
        limits: Limits = LIMITS,
        ledger: Ledger | None = None,
        run_id: str = "run-1",
        **lock: Any,
    ) -> None:
        self.clock = SteppedClock(START_S)
        self.unit = FakeUnit(self.clock)
        self.lock = Interlock(mode, **lock)
        self.ledger = Ledger() if ledger is None else ledger
        self.journal: list[tuple[str, dict[str, Any]]] = []
        self.journal_fails: BaseException | None = None
        self.journal_takes_s = 0.0
        self.on_intent: Any = None
        self.changes: dict[str, Any] = {}
        self.pulse_id = 0
        self.gate = Gate(
            stimulator=self.unit, limits=limits, interlock=self.lock, ledger=self.ledger, clock=self.clock,
            run_id=run_id, key=KEY, record_intent=self._record, situation=self._situation,
        )  # fmt: skip

    def _record(self, data: dict[str, Any]) -> None:
        if self.on_intent is not None:
            self.on_intent()
        if self.journal_fails is not None:
            raise self.journal_fails
        self.clock.advance(self.journal_takes_s)
        self.journal.append(("pulse_intended", data))

    def _situation(self, pulse: Pulse, now_s: float) -> Situation:
        return replace(good(now_s), **self.changes)

    def pulse(self, **changes: Any) -> Pulse:
        self.pulse_id += 1
        return pulse(self.clock.now_s(), pulse_id=self.pulse_id, **changes)

    def arm(self) -> None:
        """All the way to ARMED at 55 %."""
        self.lock.preflight_ok()
        self.gate.set_power(55)
        self.lock.arm_requested(self.clock.now_s())
        self.lock.arm_confirmed(self.clock.now_s())
        assert self.gate.arm().ok

    def shoot(self, **changes: Any) -> Any:
        """Permit and fire; the result, or the refusals of the permit."""
        wanted = self.pulse(**changes)
        permit = self.gate.permit(wanted, self.clock.now_s())
        if not isinstance(permit, Permit):
            return permit
        result = self.gate.fire(wanted, permit)
        if result.closing is not None:
            self.journal.append(("pulse_closed", result.closing))
        return result
