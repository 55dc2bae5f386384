"""The gate under random sequences of wishes, faults and broken devices: what may never happen, does not."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from safety_tools import Bench, health, pulse

from rtloop.errors import NotReady
from rtloop.model.event import Event
from rtloop.model.pulse import Outcome, Pulse
from rtloop.model.status import Fault, Lamp, UnitStatus
from rtloop.ports import Permit
from rtloop.safety.interlock import FAULTS, Action
from rtloop.safety.ledger import Ledger
from rtloop.safety.limits import load_limits

CAP = 6
FIRES = ["deliver"] * 25 + ["refuse", "lost", "lost_undelivered", "raise", "nonsense"]
POWERS = [55, 55, 55, 40, 71, 101, math.nan]
FOLLOW = ["follow"] * 5 + ["other"]
BAD: list[dict[str, Any]] = [
    {"recorder_age_s": math.nan}, {"durable_lag_s": math.inf}, {"port_age_s": -math.inf},
    {"operator_age_s": 9.0},
    {"stream": None}, {"stream": health(0.0)}, {"threshold": None}, {"rig": None},
]  # fmt: skip


class GateMachine(RuleBasedStateMachine):
    """Every discharge of the fake unit is checked against what was permitted and true at that instant."""

    @initialize(gap_s=st.sampled_from([0.5, 3.0]))
    def start(self, gap_s: float) -> None:
        self.b = Bench(limits=load_limits({"max_pulses_session": CAP}))
        self.held: list[tuple[Pulse, Permit]] = []
        self.minted: set[int] = set()
        self.tripped_at: int | None = None
        self.allowed = 0
        self.b.unit.gap_s = gap_s
        self.get_armed()

    def get_armed(self) -> None:
        """What an operator does after a fault; nothing of it helps after TRIPPED."""
        self.faults_clear()
        if self.b.lock.lamp is Lamp.HELD:
            self.b.lock.resume()
        self.b.gate.set_power(55)
        self.arm_fully()

    @rule(dt_s=st.sampled_from([0.001, 0.06, 0.5, 2.0, 3.1, 12.0, 60.0]))
    def wait(self, dt_s: float) -> None:
        self.b.clock.advance(dt_s)

    @rule()
    def arm_fully(self) -> None:
        now_s = self.b.clock.now_s()
        self.b.lock.preflight_ok()
        self.b.lock.arm_requested(now_s)
        self.b.lock.arm_confirmed(now_s)
        self.b.gate.arm()

    @rule(step=st.sampled_from(["request", "confirm", "arm", "resume", "hold", "preflight"]))
    def arm_in_any_order(self, step: str) -> None:
        lock, now_s = self.b.lock, self.b.clock.now_s()
        if step == "arm":
            self.b.gate.arm()
            return
        calls = {
            "request": lambda: lock.arm_requested(now_s), "confirm": lambda: lock.arm_confirmed(now_s),
            "resume": lock.resume, "hold": lambda: lock.hold("x"), "preflight": lock.preflight_ok,
        }  # fmt: skip
        calls[step]()

    @rule(power=st.sampled_from(POWERS), how=st.sampled_from(FOLLOW))
    def set_power(self, power: Any, how: str) -> None:
        self.b.unit.next_power = how
        try:
            said = self.b.gate.set_power(power)
        except NotReady:
            assert self.b.unit.status().standby
        else:
            assert isinstance(said, UnitStatus) == (power in (55, 40))
        self.b.unit.next_power = "follow"

    @rule(
        how=st.sampled_from(FIRES),
        wait_s=st.sampled_from([0.3, 1.1, 3.1, 3.1]),
        late_s=st.sampled_from([0.0] * 6 + [0.06]),
        bad=st.sampled_from([{}] * 20 + BAD),
        meanwhile=st.sampled_from([""] * 8 + ["disarm", "slow"]),
    )
    def shoot(self, how: str, wait_s: float, late_s: float, bad: dict[str, Any], meanwhile: str) -> None:
        if self.b.lock.lamp is not Lamp.ARMED or self.b.unit.power != 55:
            self.get_armed()
        self.b.clock.advance(wait_s)
        self.b.changes = bad
        wanted = self.b.pulse()
        permit = self.b.gate.permit(wanted, self.b.clock.now_s())
        self.b.changes = {}
        if isinstance(permit, Permit):
            assert not bad
            self.minted.add(permit.permit_id)
            self.held.append((wanted, permit))
            self.b.clock.advance(late_s)
            self.b.on_intent = (lambda: self.b.gate.disarm("meanwhile")) if meanwhile == "disarm" else None
            self.b.journal_takes_s = 0.06 if meanwhile == "slow" else 0.0
            self._fire(wanted, permit, how)
            self.b.on_intent, self.b.journal_takes_s = None, 0.0

    @rule(power=st.sampled_from([55, 40]), life_s=st.sampled_from([0.05, 4.0]))
    def only_permit(self, power: int, life_s: float) -> None:
        rmt = {55: 110.0, 40: 80.0}[power]
        self.b.clock.advance(1.1)
        self.b.pulse_id += 1
        now_s = self.b.clock.now_s()
        wanted = pulse(
            now_s, pulse_id=self.b.pulse_id, power_pct_mso=power, power_pct_rmt=rmt, deadline_s=now_s + life_s
        )
        permit = self.b.gate.permit(wanted, now_s)
        if isinstance(permit, Permit):
            self.minted.add(permit.permit_id)
            self.held.append((wanted, permit))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), how=st.sampled_from(FIRES))
    def fire_any_permit_ever_held(self, data: st.DataObject, how: str) -> None:
        if self.b.lock.lamp is not Lamp.ARMED:
            self.get_armed()
        self.b.clock.advance(1.1)
        wanted, permit = data.draw(st.sampled_from(self.held[-3:]))
        self._fire(wanted, permit, how)

    def _fire(self, wanted: Pulse, permit: Permit, how: str) -> None:
        before, lamp = len(self.b.unit.discharges), self.b.lock.lamp
        self.b.unit.next_fire = how
        result = self.b.gate.fire(wanted, permit)
        if result.closing is not None:
            self.b.journal.append(("pulse_closed", result.closing))
        gone = len(self.b.unit.discharges) - before
        assert gone <= 1
        if gone:
            assert lamp is Lamp.ARMED
            assert self.b.unit.discharges[-1][0] <= wanted.deadline_s
            assert self.b.unit.power == wanted.power_pct_mso
            assert result.outcome in (Outcome.FIRED, Outcome.UNCERTAIN)
        if result.outcome is Outcome.UNCERTAIN:
            self.allowed += not gone
            assert self.b.lock.lamp is Lamp.TRIPPED
            assert self.b.unit.status().standby

    @rule(fault=st.sampled_from([f for f in Fault if FAULTS[f].action is not Action.TRIP]))
    def fault_comes(self, fault: Fault) -> None:
        self.b.gate.fault(fault)
        if FAULTS[fault].action is Action.DISARM:
            assert self.b.unit.status().standby

    @rule()
    def faults_clear(self) -> None:
        for fault in list(self.b.lock.active):
            self.b.lock.cleared(fault, self.b.clock.now_s())

    @precondition(lambda self: len(self.b.unit.discharges) > 4)
    @rule(fault=st.sampled_from([f for f in Fault if FAULTS[f].action is Action.TRIP]))
    def trip(self, fault: Fault) -> None:
        self.b.gate.fault(fault)

    @precondition(lambda self: len(self.b.unit.discharges) > 4)
    @rule()
    def journal_breaks(self) -> None:
        self.b.journal_fails = OSError("full")

    @rule(broken=st.booleans())
    def disarm(self, broken: bool) -> None:
        self.b.unit.disarm_raises = broken
        before = self.b.unit.disarms
        self.b.gate.disarm("wish")
        assert self.b.unit.disarms == before + 1
        self.b.unit.disarm_raises = False
        assert self.b.lock.lamp not in (Lamp.ARMED, Lamp.HELD)

    @rule()
    def arm_breaks(self) -> None:
        self.b.unit.next_arm = "silent"
        try:
            self.b.gate.arm()
        except NotReady:
            assert self.b.unit.status().standby
        self.b.unit.next_arm = "ready"

    @invariant()
    def what_may_never_happen(self) -> None:
        if not hasattr(self, "b"):
            return
        shots = self.b.unit.discharges
        ids = [permit_id for _, permit_id, _ in shots]
        assert len(ids) == len(set(ids)), "two discharges of one permit"
        assert set(ids) <= self.minted, "a discharge without a permit"
        assert all(b[0] - a[0] >= max(1.0, self.b.unit.gap_s) for a, b in pairwise(shots)), "too soon"
        assert len(shots) <= CAP, "over the cap"
        assert self.b.unit.unready_discharges == 0, "a command to fire to a unit that was not ready"
        assert self.b.ledger.count() == len(shots) + self.allowed, "the ledger is not the dose"
        if self.b.lock.lamp is Lamp.TRIPPED:
            if self.tripped_at is None:
                self.tripped_at = len(shots)
            assert len(shots) == self.tripped_at, "a discharge after TRIPPED"
        assert self.tripped_at is None or self.b.lock.lamp is Lamp.TRIPPED
        folded = Ledger.from_events(Event(n=0, t_s=0.0, utc="", kind=k, data=d) for k, d in self.b.journal)
        assert folded.count() == self.b.ledger.count(), "the journal does not tell the dose"


GateMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
TestGate = GateMachine.TestCase


def test_the_machine_can_shoot() -> None:
    """The machine would be worth nothing if its gate never let a pulse through."""
    machine = GateMachine()
    machine.start(3.0)
    for _ in range(3):
        machine.shoot("deliver", 3.1, 0.0, {}, "")
        machine.what_may_never_happen()
    assert len(machine.b.unit.discharges) == 3
