"""What mutation testing found unproved in the gate, in the rules of trains and in their ends."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from safety_tools import KEY, LIMITS, READY, STANDBY, START_S, TODAY, Bench, FakeUnit, good, pulse, threshold

from rtloop.errors import NotReady
from rtloop.model.pulse import Delivery, FireReceipt, Outcome, Pair, Pulse, Purpose, Train
from rtloop.model.status import Capabilities, Fault, Lamp, Mode, UnitStatus
from rtloop.ports import Permit
from rtloop.safety.gate import Armed, Gate, GateResult
from rtloop.safety.ledger import Charge, Counts, Ledger
from rtloop.safety.limits import Limits
from rtloop.safety.rules import Situation, refusals
from rtloop.safety.train_end import bounded, cannot_stop_s, longest

TRAIN = Train(frequency_hz=10.0, n_pulses=30)  # 3 s
BRIEF = Train(frequency_hz=10.0, n_pulses=20)
PAIR = Pair(power_b_pct_mso=40, interval_ms=3.0)
TREAT = Purpose.TREATMENT


class Wishes(Bench):
    """Keeps what the situation was asked for."""

    def _situation(self, pulse: Pulse, now_s: float) -> Situation:
        self.asked_for = pulse
        return super()._situation(pulse, now_s)


def armed(shape: Train | Pair | None = None, **bench: Any) -> Bench:
    """Armed at 55 %, the train or pair set."""
    b = Bench(**bench)
    b.gate.set_power(55)
    done = b.gate.set_pair(shape) if isinstance(shape, Pair) else b.gate.set_train(shape)
    assert isinstance(done, UnitStatus), done
    b.arm()
    return b


def two_steps(b: Bench) -> None:
    b.lock.preflight_ok()
    assert b.lock.arm_requested(b.clock.now_s()).accepted
    assert b.lock.arm_confirmed(b.clock.now_s()).accepted


def status(b: Bench, instr: int, **changes: Any) -> UnitStatus:
    return replace(UnitStatus.from_instr(instr, t_s=b.clock.now_s(), power_pct_mso=55), **changes)


def rules(said: object) -> set[str]:
    assert isinstance(said, tuple), said
    return {r.rule for r in said}


def permit_for(b: Bench, **changes: Any) -> tuple[Pulse, Permit]:
    wanted = b.pulse(**changes)
    permit = b.gate.permit(wanted, b.clock.now_s())
    assert isinstance(permit, Permit), permit
    return wanted, permit


# ---- the gate: what it passes on


def test_the_gate_tells_the_unit_s_own_identity_and_status_and_passes_hints_on() -> None:
    b = Bench()
    heard: list[float] = []
    b.unit.announce = heard.append  # type: ignore[method-assign]
    assert b.gate.identity == b.unit.identity
    b.unit.power = 33
    assert b.gate.status() == b.unit.status()
    b.gate.announce(12.5)
    assert heard == [12.5]


@pytest.mark.req("R-DOSE")
def test_a_pulse_nobody_commanded_counts_today_in_the_session_that_the_gate_serves() -> None:
    b = Bench()
    own = Gate(
        stimulator=b.unit, limits=LIMITS, interlock=b.lock, ledger=b.ledger, clock=b.clock, run_id="run-2", key=KEY,
        record_intent=b._record, situation=b._situation, session_id="morning",
    )  # fmt: skip
    assert own.uncommanded(7) == {"run_id": "run-2", "session_id": "morning", "day": TODAY}
    assert b.gate.uncommanded(7) == {"run_id": "run-1", "session_id": "run-1", "day": TODAY}
    assert b.ledger.count(session_id="morning") == b.ledger.count(session_id="run-1") == 1
    assert b.ledger.count(day=TODAY) == 2


@pytest.mark.req("R-DOSE")
def test_the_intent_names_the_day_and_nothing_of_the_time() -> None:
    b = armed()
    b.shoot()
    assert b.journal[0][1]["day"] == TODAY
    assert b.ledger.latest_day == TODAY


# ---- the gate: permits


@pytest.mark.req("R-PERMIT")
def test_a_refusal_takes_the_last_permit_back() -> None:
    b = armed()
    wanted, permit = permit_for(b)
    assert rules(b.gate.permit(b.pulse(power_pct_mso=56), b.clock.now_s())) >= {"unit_power"}
    assert [r.rule for r in b.gate.fire(wanted, permit).refusals] == ["permit"]
    assert b.unit.discharges == []


@pytest.mark.req("R-PERMIT")
def test_a_new_power_takes_the_last_permit_back() -> None:
    b = armed()
    wanted, permit = permit_for(b)
    assert isinstance(b.gate.set_power(55), UnitStatus)
    assert [r.rule for r in b.gate.fire(wanted, permit).refusals] == ["permit"]
    assert b.unit.discharges == []


@pytest.mark.req("R-PERMIT")
@pytest.mark.parametrize(("name", "value"), [("seal", b"x"), ("run_id", "run-2"), ("permit_id", 9)])
def test_a_permit_that_was_changed_in_place_is_refused(name: str, value: Any) -> None:
    b = armed()
    wanted, permit = permit_for(b)
    object.__setattr__(permit, name, value)
    assert [r.rule for r in b.gate.fire(wanted, permit).refusals] == ["permit"]
    assert (b.unit.discharges, b.ledger.count()) == ([], 0)


@pytest.mark.req("R-STALE")
def test_on_its_deadline_a_pulse_is_refused_and_after_it_missed() -> None:
    for late_s, outcome in ((0.0, Outcome.REFUSED), (1e-6, Outcome.MISSED)):
        b = armed()
        wanted, permit = permit_for(b)
        b.lock.hold("a pause")
        b.clock.sleep_until(wanted.deadline_s + late_s)
        assert (b.clock.now_s() <= wanted.deadline_s) is (late_s == 0.0)
        assert b.gate.fire(wanted, permit).outcome is outcome


# ---- the gate: the charge, and what came of it


@pytest.mark.req("R-JOURNAL")
def test_what_never_reached_the_disk_is_not_counted_as_given() -> None:
    b = armed()
    b.journal_fails = OSError("disk full")
    result = b.shoot()
    assert result.closing["delivery"] == "not_delivered"
    assert (result.closing["delivered_max"], b.ledger.count()) == (0, 0)


@pytest.mark.req("R-UNCERTAIN")
def test_a_pulse_or_train_of_unknown_outcome_is_named_as_that() -> None:
    single, begun, over = armed(), armed(TRAIN), armed(TRAIN)
    single.unit.next_fire = begun.unit.next_fire = "lost"
    single.shoot()
    begun.shoot(train=TRAIN)
    over.unit.next_end = "unknown"
    over.shoot(train=TRAIN)
    over.clock.advance(3.0)
    result = over.gate.train_over()
    assert result is not None
    assert result.outcome is Outcome.UNCERTAIN
    for b in (single, begun, over):
        assert set(b.lock.active) == {Fault.UNCERTAIN_PULSE}


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("shape", [None, TRAIN])
def test_after_an_interrupt_in_the_command_the_wait_counts_from_what_may_have_begun(
    shape: Train | None,
) -> None:
    b = armed(shape)
    wanted, permit = permit_for(b, train=shape)
    b.unit.next_fire = "interrupt"
    with pytest.raises(KeyboardInterrupt):
        b.gate.fire(wanted, permit)
    said = rules(b.gate.permit(b.pulse(train=shape), b.clock.now_s()))
    assert said >= ({"interval"} if shape is None else {"interval", "between_trains"})


@pytest.mark.req("R-RATE")
@pytest.mark.parametrize("interval_ms", [0.0, 500.0, 999.0])
def test_after_a_pair_the_wait_counts_from_its_second_pulse(interval_ms: float) -> None:
    pair = Pair(power_b_pct_mso=10, interval_ms=interval_ms)
    b = armed(pair)
    b.unit.gap_s = 0.0
    assert b.shoot(pair=pair).outcome is Outcome.FIRED
    second_s = b.clock.now_s() + interval_ms / 1000  # counted from the reply: it came no later
    b.clock.sleep_until(second_s + 0.999)
    assert rules(b.shoot(pair=pair)) == {"interval"}
    b.clock.sleep_until(second_s + 1.001)
    assert b.shoot(pair=pair).outcome is Outcome.FIRED


@pytest.mark.req("R-RESUME")
def test_a_new_run_waits_no_longer_than_the_unit_and_the_limits_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    ledger.charge(Charge(
        run_id="run-0", session_id="run-0", permit_id=1, pulse_id=1, target="M1", purpose="mapping",
        power_pct_mso=55, power_pct_rmt=None, day=TODAY,
    ))  # fmt: skip
    monkeypatch.setattr(FakeUnit, "min_interval_s", lambda *_: 0.5)
    b = Bench(ledger=ledger, limits=replace(LIMITS, min_interval_s=0.25))
    start_s = b.clock.now_s()
    b.arm()
    b.clock.sleep_until(start_s + 0.49)
    assert rules(b.shoot()) == {"interval"}
    b.clock.sleep_until(start_s + 0.51)
    assert b.shoot().outcome is Outcome.FIRED


# ---- the gate: a train's end


@pytest.mark.req("R-TRAIN-END")
def test_a_train_s_end_is_taken_as_soon_as_it_is_told() -> None:
    b = armed(TRAIN)
    b.shoot(train=TRAIN)
    b.clock.advance(3.0)
    over = b.gate.train_over()
    assert over is not None
    assert over.closing is not None
    assert over.closing["delivered_min"] == over.closing["delivered_max"] == 30


@pytest.mark.req("R-TRAIN-END")
def test_the_last_instant_to_hear_of_an_end_still_belongs_to_the_wait() -> None:
    b = armed(TRAIN)
    b.unit.next_end = "never"
    b.shoot(train=TRAIN)
    end_s = b.clock.now_s() + TRAIN.duration_s
    b.clock.sleep_until(end_s + LIMITS.train_end_max_wait_s)
    assert b.gate.train_over() is None
    b.clock.advance(1e-6)
    over = b.gate.train_over()
    assert over is not None
    assert over.outcome is Outcome.UNCERTAIN
    assert "no word" in over.receipt.reason  # type: ignore[union-attr]


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize(("held", "disarmed"), [(True, False), (False, False), (False, True)])
def test_a_train_cut_by_nobody_disarms_armed_or_held(held: bool, disarmed: bool) -> None:
    b = armed(TRAIN)
    b.shoot(train=TRAIN)
    if held:
        assert b.lock.hold("a pause").accepted
    if disarmed:
        b.gate.disarm("wish")
    b.unit.bursts[-1] = b.unit.bursts[-1][:29]
    b.clock.advance(3.0)
    over = b.gate.train_over()
    assert isinstance(over, GateResult)
    assert over.outcome is Outcome.FIRED
    assert set(b.lock.active) == (set() if disarmed else {Fault.UNIT_UNEXPECTED})
    assert b.unit.status().standby


# ---- the gate: wishes


@pytest.mark.req("R-PLAN")
def test_a_wish_is_judged_as_no_pulse_of_the_plan() -> None:
    b = Wishes()
    now_s = b.clock.now_s()
    as_asked = Pulse(pulse_id=0, target="", purpose=Purpose.PREVIEW, power_pct_mso=55, power_pct_rmt=None, due_s=now_s,
                     deadline_s=now_s)  # fmt: skip
    b.gate.set_power(55)
    assert b.asked_for == as_asked
    b.gate.set_train(TRAIN)
    assert b.asked_for == replace(as_asked, train=TRAIN)
    b.unit.power = None  # type: ignore[assignment]
    assert isinstance(b.gate.set_train(None), UnitStatus)
    assert b.asked_for == replace(as_asked, power_pct_mso=0)


@pytest.mark.req("R-INTENSITY")
def test_a_train_or_pair_is_set_only_at_a_power_that_is_known() -> None:
    b = Bench()
    b.unit.power = None  # type: ignore[assignment]
    for said in (b.gate.set_train(TRAIN), b.gate.set_pair(PAIR)):
        assert isinstance(said, tuple)
        assert [(r.rule, r.found, r.todo) for r in said] == [("unit_power", "none", "set the power first")]
    assert (b.unit.train, b.unit.pair) == (None, None)
    assert isinstance(b.gate.set_pair(None), UnitStatus)
    assert isinstance(b.gate.set_power(55), UnitStatus)
    assert isinstance(b.gate.set_train(TRAIN), UnitStatus)


@pytest.mark.req("R-TRAIN")
@pytest.mark.parametrize(("instr", "allowed"), [(0x89, True), (0x8D, False), (0x8B, False), (0x88, False)])
def test_a_shape_is_set_only_where_the_unit_says_standby_and_nothing_else(instr: int, allowed: bool) -> None:
    b = Bench()
    b.gate.set_power(55)
    b.unit.instr = instr
    said = b.gate.set_train(TRAIN)
    assert isinstance(said, UnitStatus) is allowed
    if not allowed:
        assert rules(said) == {"standby"}
    assert b.unit.train == (TRAIN if allowed else None)


# ---- the gate: arming


@pytest.mark.req("R-TWO-STEPS")
@pytest.mark.parametrize("why", ["no steps", "closed", "train"])
def test_the_unit_is_not_even_asked_to_arm(why: str) -> None:
    b = armed(TRAIN) if why == "train" else Bench()
    if why == "train":
        b.shoot(train=TRAIN)
        b.gate.disarm("wish")
    elif why == "closed":
        b.gate.close()
    if why != "no steps":
        two_steps(b)
        assert b.lock.confirmed

    def asked() -> UnitStatus:
        raise AssertionError("the unit was asked to arm")

    b.unit.arm = asked  # type: ignore[method-assign]
    done = b.gate.arm()
    assert (done.ok, done.step, done.status) == (False, None, None)
    assert "not armed" in done.words
    assert b.lock.active == {}


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize(
    "wrong",
    [{"ready": False}, {"standby": True}, {"coil_present": False}, {"replace_coil": True}, {"error": True},
     {"error_fatal": True}, {"remote": False}],
)  # fmt: skip
def test_a_unit_that_says_ready_and_something_wrong_is_not_armed(wrong: dict[str, bool]) -> None:
    b = Bench()
    two_steps(b)
    b.unit.arm = lambda: status(b, READY, **wrong)  # type: ignore[method-assign]
    with pytest.raises(NotReady, match="did not get ready"):
        b.gate.arm()
    assert b.lock.lamp is Lamp.SAFE
    assert b.unit.disarms >= 1


@pytest.mark.req("R-DISARM")
def test_a_fault_while_the_unit_gets_ready_leaves_it_disarmed() -> None:
    b = Bench()
    two_steps(b)
    arm = b.unit.arm

    def arm_and_fail() -> UnitStatus:
        said = arm()
        b.lock.fault(Fault.OPERATOR_GONE, b.clock.now_s())  # found by another thread, which has yet to disarm
        return said

    b.unit.arm = arm_and_fail  # type: ignore[method-assign]
    done = b.gate.arm()
    assert isinstance(done, Armed)
    assert not done.ok
    assert done.status is not None
    assert done.status.ready
    assert "two steps" in done.words
    assert (b.unit.disarms, b.unit.status().standby, b.lock.lamp) == (1, True, Lamp.SAFE)


@pytest.mark.req("R-DISARM")
def test_a_gate_closed_as_the_unit_gets_ready_does_not_say_armed() -> None:
    b = Bench()
    two_steps(b)
    unit_ready = b.lock.unit_ready

    def ready_and_close(now_s: float) -> Any:
        step = unit_ready(now_s)
        b.gate.close()
        return step

    b.lock.unit_ready = ready_and_close  # type: ignore[method-assign]
    assert not b.gate.arm().ok
    assert b.unit.status().standby


# ---- the gate: disarming, closing, failing


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize(
    ("instr", "age_s", "confirmed"),
    [(STANDBY, 0.0, True), (STANDBY, -0.1, True), (STANDBY, 0.001, False), (0x8D, 0.0, False), (0x8B, 0.0, False),
     (0x88, 0.0, False), (READY, 0.0, False)],
)  # fmt: skip
def test_a_disarm_is_confirmed_only_by_a_status_of_standby_that_came_after_it(
    instr: int, age_s: float, confirmed: bool
) -> None:
    b = armed()
    b.unit.status = lambda: status(b, instr, t_s=b.clock.now_s() - age_s)  # type: ignore[method-assign]
    done = b.gate.disarm("wish")
    assert done.confirmed is confirmed
    assert ("own switch" in done.words) is not confirmed
    assert b.unit.disarms == 1


@pytest.mark.req("R-DISARM")
def test_a_unit_that_cannot_be_released_is_told_of_and_not_confirmed() -> None:
    b = armed()

    def broken() -> None:
        raise OSError("port gone")

    b.unit.close = broken  # type: ignore[method-assign]
    done = b.gate.close()
    assert not done.confirmed
    assert "closing failed: port gone" in done.words
    assert "the unit says standby" in done.words  # what was known before


@pytest.mark.req("R-FAULT-TABLE")
@pytest.mark.parametrize(
    ("raised", "named", "lamp"),
    [(RuntimeError("broken"), Fault.BUG, Lamp.TRIPPED), (NotReady("odd"), Fault.UNIT_UNEXPECTED, Lamp.SAFE),
     (NotReady("old"), Fault.UNIT_STALE, Lamp.SAFE)],
)  # fmt: skip
def test_every_unforeseen_way_out_names_its_fault_and_disarms(
    raised: Exception, named: Fault, lamp: Lamp
) -> None:
    b = armed()
    if named is Fault.UNIT_STALE:  # one that by itself only holds
        raised.fault = named  # type: ignore[attr-defined]

    def broken(power_pct_mso: int) -> UnitStatus:
        raise raised

    b.unit.set_power = broken  # type: ignore[method-assign]
    with pytest.raises(type(raised)):
        b.gate.set_power(50)
    assert set(b.lock.active) == {named}
    assert str(raised) in b.lock.active[named]
    assert (b.unit.status().standby, b.lock.lamp) == (True, lamp)


# ---- what is made of a train's end


def test_the_end_of_a_train_in_words() -> None:
    assert bounded(None, 30, 0)[0].reason == "no word of the train's end"
    assert bounded("over", 30, 0)[0].reason == "no receipt of the train's end: 'over'"
    receipt = FireReceipt(delivery=Delivery.DELIVERED, t_sent_s=0.0, t_reply_s=0.0, status=None, reason="cut")
    assert bounded(receipt, 30, 0)[0].reason == "30 of 30 pulses given; cut"
    assert (
        bounded(replace(receipt, pulses_min=3, pulses_max=9), 30, 0)[0].reason
        == "3 to 9 of 30 pulses given; cut"
    )


@pytest.mark.req("R-TRAIN-END")
@pytest.mark.parametrize("nothing", [None, "over", 30])
def test_an_end_that_is_no_receipt_bounds_nothing(nothing: object) -> None:
    made, given = bounded(nothing, 30, 0)
    assert given == (made.pulses_min, made.pulses_max) == (0, 30)
    assert made.delivery is Delivery.UNCERTAIN
    assert (made.t_sent_s, made.t_reply_s, made.status) == (None, None, None)


@pytest.mark.req("R-TRAIN-END")
@pytest.mark.parametrize(
    ("said", "n_seen", "counted", "known"),
    [
        ((5, 5), 4, (5, 5), True), ((5, 5), 5, (5, 5), True), ((5, 5), 6, (5, 6), False), ((3, 5), 6, (3, 6), False),
        ((30, 30), 31, (30, 31), False), ((None, None), 29, (30, 30), True),
    ],
)  # fmt: skip
def test_no_bound_of_a_train_lies_below_what_was_seen_of_it(
    said: tuple[int | None, int | None], n_seen: int, counted: tuple[int, int], known: bool
) -> None:
    receipt = FireReceipt(delivery=Delivery.DELIVERED, t_sent_s=0.0, t_reply_s=0.0, status=None,
                          pulses_min=said[0], pulses_max=said[1])  # fmt: skip
    made, given = bounded(receipt, 30, n_seen)
    assert given == counted
    assert made.pulses_max == (30 if said[1] is None else said[1])  # the unit's own word stays what it was
    assert (made.delivery is Delivery.DELIVERED) is known


@pytest.mark.req("R-TRAIN-END")
def test_a_train_of_which_more_was_seen_than_the_unit_tells_counts_that_and_trips() -> None:
    b = armed(TRAIN)
    b.unit.obeys_ea, b.unit.next_end = True, "bounds"  # 10 to 12
    b.shoot(train=TRAIN)
    b.clock.advance(1.0)
    b.gate.disarm("wish")
    b.clock.advance(3.0)
    over = b.gate.train_over(14)
    assert over is not None
    assert over.closing is not None
    assert (over.outcome, over.closing["delivered_max"], b.ledger.count()) == (Outcome.UNCERTAIN, 14, 14)
    assert b.lock.lamp is Lamp.TRIPPED


@pytest.mark.req("R-UNSTOPPABLE")
def test_a_pair_cannot_be_stopped_between_its_pulses() -> None:
    can = Capabilities(pairs=True, stops_running_train=True)
    for interval_ms, unstoppable_s in ((0.0, 0.0), (3.0, 0.003), (999.0, 0.999)):
        wanted = pulse(pair=Pair(power_b_pct_mso=40, interval_ms=interval_ms))
        assert cannot_stop_s(wanted, can) == pytest.approx(unstoppable_s, rel=1e-12)


@pytest.mark.req("R-NAN")
@pytest.mark.parametrize(
    ("times_s", "longest_s"),
    [((0.0, 0.0), 0.0), ((1.0, 0.5), 1.0), ((0.5, 1.0), 1.0), ((3.0, math.nan), math.nan), ((math.nan, 3.0), math.nan),
     ((3.0, -0.5), math.nan), ((-0.5, -0.25), math.nan), ((3.0, math.inf), math.inf)],
)  # fmt: skip
def test_the_longest_wait_of_some_is_no_number_where_one_is_none(
    times_s: tuple[float, ...], longest_s: float
) -> None:
    assert longest(*times_s) == pytest.approx(longest_s, nan_ok=True)


# ---- rules of trains, pairs and treatment


def at(what: Train | Pair | None = None, power: Any = 50, **changes: Any) -> Situation:
    """A situation that no rule refuses for this train or pair; the threshold lies at 50 % of maximum output."""
    mine = {k: changes.pop(k) for k in ("purpose", "power_pct_rmt") if k in changes}
    train, pair = (None, what) if isinstance(what, Pair) else (what, None)
    wanted = pulse(START_S, power_pct_mso=power, **({"power_pct_rmt": None} | mine), train=train, pair=pair)
    unit = UnitStatus.from_instr(READY, t_s=START_S, power_pct_mso=power, coil_temp_c=25.0)
    return replace(good(), **({"pulse": wanted, "unit": unit, "shape": (train, pair)} | changes))


def words(rule: str, s: Situation, limits: Limits = LIMITS) -> tuple[str, str]:
    """What the one refusal of ``rule`` expected and found."""
    (said,) = [r for r in refusals(s, limits) if r.rule == rule]
    assert said.todo
    return said.expected, said.found


@pytest.mark.req("R-TRAIN")
@pytest.mark.parametrize(
    "situation",
    [
        at(unit_says=None), at(unit_says=("too hot a train",)),  # of trains only
        at(PAIR, unit_says=None), at(capabilities=None),
        at(BRIEF, power=0), at(BRIEF, power=0, power_pct_rmt=0.5), at(Pair(power_b_pct_mso=0, interval_ms=0.0), power=0),
        at(PAIR, power=60, threshold=None), at(Pair(power_b_pct_mso=40, interval_ms=0.0), power=60, threshold=None),
        at(BRIEF, last_train_end_s=START_S - 5.0, last_pulse_t_s=START_S - 5.0, min_interval_s=0.0),
        at(last_train_end_s=START_S - 4.0),  # a single pulse waits for the gap of pulses only
        at(Pair(power_b_pct_mso=100, interval_ms=1.0), power=0, threshold=threshold(pct_mso=75.0)),
    ],
)  # fmt: skip
def test_what_is_allowed(situation: Situation) -> None:
    assert refusals(situation, LIMITS) == ()


@pytest.mark.req("R-TRAIN")
@pytest.mark.parametrize(
    ("rule", "situation"),
    [
        ("train_rmt_cap", at(BRIEF, power=-1, threshold=threshold(pct_mso=100.0))),  # -1 %
        ("train_rmt_cap", at(BRIEF, power_pct_rmt=-0.5)),
        ("train_length", at(BRIEF, power=math.nan, threshold=None)),
        ("pair_caps", at(Pair(power_b_pct_mso=0, interval_ms=0.0), power=-1)),
        ("pair_caps", at(Pair(power_b_pct_mso=41, interval_ms=0.0), power=60, threshold=None)),  # 101 %
        ("pair_caps", at(Pair(power_b_pct_mso=41, interval_ms=0.0), power=60, threshold=threshold(pct_mso=100.0))),
        ("pair_caps", at(Pair(power_b_pct_mso=71, interval_ms=3.0), power=50)),  # 142 %
        ("pair_caps", at(PAIR, power=70.5)),
        ("between_trains", at(BRIEF, last_train_end_s=START_S - 9.0, min_interval_s=-0.5)),
    ],
)  # fmt: skip
def test_what_is_refused(rule: str, situation: Situation) -> None:
    assert rule in {r.rule for r in refusals(situation, LIMITS)}


@pytest.mark.parametrize(
    ("rule", "situation", "expected", "found"),
    [
        ("unit_offers", at(BRIEF, capabilities=None), "a unit that gives trains", "unknown"),
        ("unit_offers", at(PAIR, capabilities=Capabilities(trains=True)), "a unit that gives pairs", "it does not"),
        ("unit_shape", at(BRIEF, shape=None), "a unit set to 20 pulses at 10 Hz", "not known"),
        ("unit_shape", at(BRIEF, shape=(None, None)), "a unit set to 20 pulses at 10 Hz", "single pulses"),
        ("unit_shape", at(shape=(None, PAIR)), "a unit set to single pulses", "pairs 3 ms apart, B at 40 %"),
        ("unit_shape", at(PAIR, shape=(TRAIN, None)), "a unit set to pairs 3 ms apart, B at 40 %", "30 pulses at 10 Hz"),
        ("train_unit", at(BRIEF, unit_says=None), "a train that the unit itself allows", "not asked"),
        ("train_unit", at(BRIEF, unit_says=("hot", "long")), "a train that the unit itself allows", "hot; long"),
        ("train_under_way", at(train_under_way=None), "no train under way", "not known"),
        ("train_under_way", at(train_under_way=True), "no train under way", "a train under way"),
        ("train_rmt_cap", at(BRIEF, power=61), "a train of at most 120 % of threshold", "122.0 % (asked: None %)"),
        ("train_rmt_cap", at(BRIEF, threshold=None, power_pct_rmt=130.0), "a train of at most 120 % of threshold",
         "no threshold (asked: 130.0 %)"),
        ("train_length", at(Train(frequency_hz=25.1, n_pulses=2)), "a train within the published table",
         "25.1 Hz at 50 % of maximum output"),
        ("train_length", at(Train(frequency_hz=20.0, n_pulses=42)),
         "at most 2.05 s at up to 20 Hz and 100 % of threshold (not checked against its source)", "2.1 s"),
        ("train_longest_tested", at(Train(frequency_hz=10.0, n_pulses=51)),
         "at most longest tested: 5 s at up to 10 Hz and 100 % of threshold (not checked against its source)", "5.1 s"),
        ("pair_caps", at(Pair(power_b_pct_mso=71, interval_ms=0.0)),
         "at most 100 % of maximum output, 140 % of threshold", "50 and 71 %, discharged at once"),
        ("between_trains", at(BRIEF, last_train_end_s=START_S - 2.0), "5 s since the end of the last train", "2.000 s"),
        ("treatment_dose", at(BRIEF, purpose=TREAT, counts=Counts(treatment_session=2981, treatment_day=2982)),
         "at most 3000 pulses in this session; at most 3000 pulses today", "3001 with this one; 3002 with this one"),
        ("treatment_session", at(BRIEF, purpose=TREAT, counts=Counts(other_treatment_sessions_day=1)),
         "at most 1 treatment sessions today", "2 with this one"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_was_expected_and_found(
    rule: str, situation: Situation, expected: str, found: str
) -> None:
    assert words(rule, situation) == (expected, found)


@pytest.mark.req("R-TRAIN")
def test_over_a_person_the_row_that_nobody_checked_is_named() -> None:
    human = at(BRIEF, mode=Mode.HUMAN, commissioned=True, unit_simulated=False, eeg_simulated=False)
    assert words("train_row_checked", human)[1] == "train 10 Hz 100 %"
    assert (
        refusals(replace(human, pulse=at().pulse, shape=(None, None)), LIMITS) == ()
    )  # a single pulse has no row
