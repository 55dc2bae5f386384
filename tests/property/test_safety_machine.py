"""The gate under random sequences of wishes, faults and broken devices: what may never happen, does not."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from safety_tools import Bench, health, pulse

from rtloop.errors import NotReady
from rtloop.model.event import Event
from rtloop.model.pulse import Outcome, Pair, Pulse, Purpose, Train
from rtloop.model.status import Fault, Lamp, UnitStatus
from rtloop.ports import Permit
from rtloop.safety.gate import GateResult
from rtloop.safety.interlock import FAULTS, Action
from rtloop.safety.ledger import Ledger
from rtloop.safety.limits import load_limits

CAP, TREATMENT_CAP = 12, 8  # single pulses in a session; of treatment
TRAIN = Train(frequency_hz=1.0, n_pulses=3)  # 3 s: time enough for everything else
PAIR = Pair(power_b_pct_mso=40, interval_ms=3.0)
SHAPES: list[tuple[Train | None, Pair | None]] = [(None, None)] * 4 + [(TRAIN, None)] * 4 + [(None, PAIR)]
ENDS = ["exact"] * 6 + ["bounds", "unknown", "never", "raise", "nonsense"]
PURPOSES = [Purpose.MAPPING, Purpose.TREATMENT]
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

    @initialize(gap_s=st.sampled_from([0.5, 3.0]), obeys=st.booleans())
    def start(self, gap_s: float, obeys: bool) -> None:
        caps = {"max_pulses_session": CAP, "max_treatment_pulses_session": TREATMENT_CAP}
        self.b = Bench(limits=load_limits(caps))
        self.b.unit.obeys_ea = obeys
        self.of: dict[int, Pulse] = {}  # permit -> what it was minted for
        self.unsure: set[int] = set()  # permits whose outcome is not known
        self.open: int | None = None  # the permit of the train whose end was not yet heard
        self.held: list[tuple[Pulse, Permit]] = []
        self.minted: set[int] = set()
        self.tripped_at: int | None = None
        self.b.unit.gap_s = gap_s
        self.get_armed()

    def get_armed(self, shape: tuple[Train | None, Pair | None] = (None, None)) -> None:
        """What an operator does after a fault; nothing of it helps after TRIPPED."""
        self.faults_clear()
        if self.b.lock.lamp is Lamp.HELD:
            self.b.lock.resume()
        self.b.gate.set_power(55)
        if (self.b.unit.train, self.b.unit.pair) != shape:
            self.b.gate.disarm("another shape")
            self.hear_of_the_end(9.0)
            self.b.gate.set_power(55)
            self.b.gate.set_pair(shape[1]) if shape[1] is not None else self.b.gate.set_train(shape[0])
        self.arm_fully()

    @rule(wait_s=st.sampled_from([0.0, 0.35, 2.0, 4.0]))
    def hear_of_the_end(self, wait_s: float) -> None:
        end_s = self.b.clock.now_s() + wait_s
        while True:
            over = self.b.gate.train_over()
            if over is not None:
                self._train_over(over)
            if self.b.clock.now_s() >= end_s or self.open is None:
                return
            self.b.clock.advance(0.05)

    def _train_over(self, over: GateResult) -> None:
        assert over.closing is not None
        assert over.receipt is not None
        permit_id, self.open = over.closing["permit_id"], None
        assert permit_id == over.closing["permit_id"]
        self.b.journal.append(("pulse_closed", over.closing))
        burst = self.given(permit_id)
        assert over.closing["delivered_min"] <= burst <= over.closing["delivered_max"]
        if over.outcome is Outcome.UNCERTAIN:
            self.unsure.add(permit_id)
            assert self.b.lock.lamp is Lamp.TRIPPED
            assert self.b.unit.status().standby
        else:
            assert over.closing["delivered_max"] == burst

    def given(self, permit_id: int) -> int:
        """Pulses of this permit that have left the fake unit's coil."""
        now_s = self.b.clock.now_s()
        return sum(
            t <= now_s for (_, permit, _), burst in zip(self.b.unit.discharges, self.b.unit.bursts, strict=True)
            if permit == permit_id for t in burst
        )  # fmt: skip

    @rule(shape=st.sampled_from(SHAPES), how=st.sampled_from(["follow"] * 4 + ["other", "silent"]))
    def set_shape(self, shape: tuple[Train | None, Pair | None], how: str) -> None:
        unit, was = self.b.unit, (self.b.unit.train, self.b.unit.pair)
        armed, unit.next_shape = unit.status().may_discharge, how
        try:
            said = self.b.gate.set_pair(shape[1]) if shape[1] is not None else self.b.gate.set_train(shape[0])
        except NotReady:
            assert unit.status().standby
        else:
            if armed or self.open is not None:
                assert isinstance(said, tuple)
                assert (unit.train, unit.pair) == was
        unit.next_shape = "follow"

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
            assert isinstance(said, UnitStatus) == (power in (55, 40) and self.open is None)
        self.b.unit.next_power = "follow"

    @rule(
        how=st.sampled_from(FIRES),
        wait_s=st.sampled_from([0.3, 1.1, 2.0, 3.1, 3.1, 5.1]),
        late_s=st.sampled_from([0.0] * 6 + [0.06]),
        bad=st.sampled_from([{}] * 20 + BAD),
        meanwhile=st.sampled_from([""] * 8 + ["disarm", "slow"]),
        shape=st.sampled_from(SHAPES),
        other=st.sampled_from([False] * 6 + [True]),
        purpose=st.sampled_from(PURPOSES),
        end=st.sampled_from(ENDS),
    )
    def shoot(
        self, how: str, wait_s: float, late_s: float, bad: dict[str, Any], meanwhile: str,
        shape: tuple[Train | None, Pair | None], other: bool, purpose: Purpose, end: str,
    ) -> None:  # fmt: skip
        unit = self.b.unit
        if not other and (
            (unit.train, unit.pair) != shape or self.b.lock.lamp is not Lamp.ARMED or unit.power != 55
        ):
            self.get_armed(shape)
        self.b.clock.advance(wait_s)
        if self.open is None:
            unit.next_end = end
        self.b.changes = bad
        wanted = self.b.pulse(train=shape[0], pair=shape[1], purpose=purpose)
        permit = self.b.gate.permit(wanted, self.b.clock.now_s())
        self.b.changes = {}
        if isinstance(permit, Permit):
            assert not bad
            assert self.open is None
            self.of[permit.permit_id] = wanted
            self.minted.add(permit.permit_id)
            self.held.append((wanted, permit))
            self.b.clock.advance(late_s)
            self.b.on_intent = (lambda: self.b.gate.disarm("meanwhile")) if meanwhile == "disarm" else None
            self.b.journal_takes_s = 0.06 if meanwhile == "slow" else 0.0
            self._fire(wanted, permit, how)
            self.b.on_intent, self.b.journal_takes_s = None, 0.0

    @rule(
        steps=st.lists(
            st.tuples(
                st.sampled_from(SHAPES), st.booleans(), st.sampled_from([0.3, 3.1, 5.1, 8.2]),
                st.sampled_from([0.0, 4.0]), st.sampled_from(PURPOSES),
            ),
            min_size=2, max_size=4,
        )
    )  # fmt: skip
    def series(
        self, steps: list[tuple[tuple[Train | None, Pair | None], bool, float, float, Purpose]]
    ) -> None:
        """One after the other, with nothing wrong but, now and then, the shape or the moment."""
        for shape, other, wait_s, hear_s, purpose in steps:
            self.shoot("deliver", wait_s, 0.0, {}, "", shape, other, purpose, "exact")
            self.what_may_never_happen()
            self.hear_of_the_end(hear_s)

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
            assert self.open is None
            self.of[permit.permit_id] = wanted
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
            assert len(self.b.unit.bursts[-1]) == wanted.n_pulses
            assert self.open is None, "a discharge while a train was under way"
            assert result.outcome in (Outcome.FIRED, Outcome.UNCERTAIN)
            if result.closing is None:
                self.open = permit.permit_id
        if result.outcome is Outcome.UNCERTAIN:
            self.unsure.add(permit.permit_id)
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

    def _after(self, permit_id: int) -> int:
        ids = [p for _, p, _ in self.b.unit.discharges]
        return ids[ids.index(permit_id) + 1]

    @invariant()
    def what_may_never_happen(self) -> None:
        if not hasattr(self, "b"):
            return
        shots = self.b.unit.discharges
        ids = [permit_id for _, permit_id, _ in shots]
        assert len(ids) == len(set(ids)), "two discharges of one permit"
        assert set(ids) <= self.minted, "a discharge without a permit"
        unit, now_s = self.b.unit, self.b.clock.now_s()
        for (_, permit_id, _), burst, later in zip(shots, unit.bursts, unit.bursts[1:], strict=False):
            was_train, is_train = self.of[permit_id].train, self.of[self._after(permit_id)].train
            gap_s = max(1.0, unit.gap_s if was_train is None else unit.gap_after_train_s)
            gap_s = max(gap_s, 5.0 if was_train is not None and is_train is not None else 0.0)
            assert later[0] - burst[-1] >= gap_s, "too soon"
        for purpose, cap in ((Purpose.MAPPING, CAP), (Purpose.TREATMENT, TREATMENT_CAP)):
            assert sum(self.given(p) for p in ids if self.of[p].purpose is purpose) <= cap, "over the cap"
        assert self.b.unit.unready_discharges == 0, "a command to fire to a unit that was not ready"
        counted = {p: self.b.ledger.count(permit_id=p) for p in self.minted}  # type: ignore[arg-type]
        for p, n in counted.items():
            assert n >= self.given(p), "the ledger is below the dose"
            assert n == self.given(p) or p in self.unsure or p == self.open, "above it, and not uncertain"
            assert n <= self.of[p].n_pulses
        assert sum(counted.values()) == self.b.ledger.count() >= unit.given()
        assert all(t <= now_s for burst in unit.bursts[:-1] for t in burst), "a train was fired into"
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
    """The machine would be worth nothing if its gate never let a pulse, a train or a pair through."""
    machine = GateMachine()
    machine.start(3.0, False)
    for shape in ((None, None), (TRAIN, None), (None, PAIR), (TRAIN, None)):
        machine.shoot("deliver", 3.1, 0.0, {}, "", shape, False, Purpose.MAPPING, "exact")
        machine.what_may_never_happen()
        machine.hear_of_the_end(9.0)
        machine.b.clock.advance(6.0)
        machine.what_may_never_happen()
    assert [len(burst) for burst in machine.b.unit.bursts] == [1, 3, 2, 3]
    assert machine.b.ledger.count() == machine.b.unit.given() == 9
