"""Trains and pairs through the gate: one permit, an open charge, an end that is known, bounded or not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from safety_tools import Bench, silent

from rtloop.errors import NotReady
from rtloop.model.event import Event
from rtloop.model.pulse import Delivery, FireReceipt, Outcome, Pair, Purpose, Train
from rtloop.model.status import Capabilities, Fault, Lamp, UnitStatus
from rtloop.ports import Permit
from rtloop.safety.gate import GateResult
from rtloop.safety.ledger import Ledger
from rtloop.safety.train_end import bounded

TRAIN = Train(frequency_hz=10.0, n_pulses=30)  # 3 s, the last pulse after 2.9 s
PAIR = Pair(power_b_pct_mso=40, interval_ms=3.0)


def ready(train: Train | None = TRAIN, pair: Pair | None = None, **bench: Any) -> Bench:
    """Armed at 55 %, the train or pair set."""
    b = Bench(**bench)
    b.gate.set_power(55)
    done = b.gate.set_train(train) if pair is None else b.gate.set_pair(pair)
    assert isinstance(done, UnitStatus), done
    b.arm()
    return b


def end(b: Bench) -> GateResult:
    """Wait for the train's end, write its closing record."""
    result = b.gate.train_over()
    for _ in range(200):
        if result is not None:
            break
        b.clock.advance(0.1)
        result = b.gate.train_over()
    assert result is not None
    assert result.closing is not None
    b.journal.append(("pulse_closed", result.closing))
    return result


def folded(b: Bench) -> int:
    return Ledger.from_events(Event(n=0, t_s=0.0, utc="", kind=k, data=d) for k, d in b.journal).count()


@pytest.mark.req("R-TRAIN-END")
def test_a_train_is_charged_whole_stays_open_and_is_closed_at_its_end() -> None:
    b = ready()
    fired = b.shoot(train=TRAIN)
    assert (fired.outcome, fired.closing) == (Outcome.FIRED, None)
    assert b.ledger.count() == folded(b) == 30
    assert [c.n_pulses for c in b.ledger.unclosed] == [30]
    b.clock.advance(2.9)
    assert b.gate.train_over() is None
    over = end(b)
    assert over.outcome is Outcome.FIRED
    assert over.closing == {
        "run_id": "run-1", "permit_id": 1, "pulse_id": 1, "delivery": "delivered", "delivered_min": 30,
        "delivered_max": 30,
    }  # fmt: skip
    assert b.ledger.count() == folded(b) == b.unit.given() == 30
    assert b.ledger.unclosed == ()
    assert b.gate.train_over() is None
    assert b.lock.lamp is Lamp.ARMED


@pytest.mark.req("R-TRAIN")
def test_everything_is_refused_while_a_train_is_under_way_but_a_disarm() -> None:
    b = ready()
    b.shoot(train=TRAIN)
    for dt_s in (0.0, 1.5, 1.4, 5.0, 20.0):  # over or not: until somebody has heard of its end
        b.clock.advance(dt_s)
        for wanted in (b.pulse(), b.pulse(train=TRAIN)):
            assert "train_under_way" in {r.rule for r in b.gate.permit(wanted, b.clock.now_s())}  # type: ignore[union-attr]
        for said in (b.gate.set_power(40), b.gate.set_train(None), b.gate.set_pair(PAIR)):
            assert isinstance(said, tuple)
            assert "train_under_way" in {r.rule for r in said}
    assert (b.unit.power, b.unit.train, len(b.unit.discharges)) == (55, TRAIN, 1)
    b.gate.disarm("wish")
    b.lock.arm_requested(b.clock.now_s())
    b.lock.arm_confirmed(b.clock.now_s())
    assert not b.gate.arm().ok
    assert b.unit.status().standby


@pytest.mark.req("R-PERMIT")
def test_a_permit_names_its_train_and_serves_no_other() -> None:
    b = ready()
    wanted = b.pulse(train=TRAIN)
    permit = b.gate.permit(wanted, b.clock.now_s())
    assert isinstance(permit, Permit)
    assert permit.train == TRAIN
    assert permit.genuine(b"key of the run")
    assert not replace(permit, train=None).genuine(b"key of the run")
    longer = replace(wanted, train=replace(TRAIN, n_pulses=31))
    for other in (longer, replace(wanted, train=None), replace(wanted, train=None, pair=PAIR)):
        permit = b.gate.permit(wanted, b.clock.now_s())
        assert isinstance(permit, Permit)
        assert [r.rule for r in b.gate.fire(other, permit).refusals] == ["permit"]
    assert b.unit.discharges == []


@pytest.mark.req("R-RATE")
@pytest.mark.parametrize("energy_wait_s", [0.5, 12.0])
def test_the_next_train_waits_from_the_end_of_the_last(energy_wait_s: float) -> None:
    b = ready()
    b.unit.gap_after_train_s = energy_wait_s
    b.shoot(train=TRAIN)
    end_s = b.clock.now_s() + 3.0  # counted from the acknowledgement: it began no later
    end(b)
    gap_s = max(5.0, energy_wait_s)
    b.clock.sleep_until(end_s + gap_s - 0.01)
    assert "between_trains" in {r.rule for r in b.shoot(train=TRAIN)}
    b.clock.sleep_until(end_s + gap_s + 0.001)
    result = b.shoot(train=TRAIN)
    assert not isinstance(result, tuple), result
    assert result.outcome is Outcome.FIRED


@pytest.mark.req("R-RATE")
def test_a_train_that_was_cut_keeps_the_wait_of_its_whole_length() -> None:
    b = ready()
    b.unit.obeys_ea = True
    b.shoot(train=TRAIN)
    end_s = b.clock.now_s() + 3.0
    b.clock.advance(1.0)
    b.gate.disarm("wish")
    assert end(b).closing["delivered_max"] == b.unit.given() == 11  # type: ignore[index]
    b.arm()
    b.clock.sleep_until(end_s + 4.9)
    assert "between_trains" in {r.rule for r in b.shoot(train=TRAIN)}
    b.clock.sleep_until(end_s + 5.01)
    result = b.shoot(train=TRAIN)
    assert not isinstance(result, tuple), result
    assert result.outcome is Outcome.FIRED


@pytest.mark.req("R-TRAIN-END")
@pytest.mark.parametrize(("how", "low", "high"), [("bounds", 10, 12), ("unknown", 0, 30)])
def test_a_train_cut_to_an_unknown_number_counts_the_most_and_trips(how: str, low: int, high: int) -> None:
    b = ready()
    b.unit.obeys_ea, b.unit.next_end = True, how
    b.shoot(train=TRAIN)
    b.clock.advance(1.0)
    b.gate.disarm("wish")
    over = end(b)
    assert over.outcome is Outcome.UNCERTAIN
    assert (over.receipt.pulses_min, over.receipt.pulses_max) == (low, high)  # type: ignore[union-attr]
    assert (over.closing["delivered_min"], over.closing["delivered_max"]) == (low, high)  # type: ignore[index]
    assert b.ledger.count() == folded(b) == high >= b.unit.given()
    assert b.lock.lamp is Lamp.TRIPPED


@pytest.mark.req("R-TRAIN-END")
@pytest.mark.parametrize("how", ["never", "raise", "nonsense"])
def test_no_word_of_the_end_in_time_counts_all_trips_and_disarms(how: str) -> None:
    b = ready()
    b.unit.next_end = how
    b.shoot(train=TRAIN)
    start_s = b.clock.now_s()
    over = end(b)
    if how == "never":
        assert 4.5 <= b.clock.now_s() - start_s <= 4.7  # 3 s, then at most 1.5 s more
    assert over.outcome is Outcome.UNCERTAIN
    assert (over.receipt.pulses_min, over.receipt.pulses_max) == (0, 30)  # type: ignore[union-attr]
    assert b.ledger.count() == folded(b) == 30
    assert (b.lock.lamp, b.unit.status().standby) == (Lamp.TRIPPED, True)


@pytest.mark.req("R-BELIEF")
def test_a_train_that_ended_early_by_itself_disarms() -> None:
    b = ready()
    b.shoot(train=TRAIN)
    b.clock.advance(1.0)
    b.unit.bursts[-1] = b.unit.bursts[-1][:11]
    assert end(b).outcome is Outcome.FIRED
    assert b.ledger.count() == folded(b) == 11
    assert Fault.UNIT_UNEXPECTED in b.lock.active
    assert b.unit.status().standby


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("how", ["lost", "lost_undelivered", "raise", "nonsense"])
def test_a_train_of_unknown_start_counts_whole_and_trips(how: str) -> None:
    b = ready()
    b.unit.next_fire = how
    result = b.shoot(train=TRAIN)
    assert result.outcome is Outcome.UNCERTAIN
    assert (result.closing["delivered_min"], result.closing["delivered_max"]) == (0, 30)
    assert b.ledger.count() == folded(b) == 30
    assert b.lock.lamp is Lamp.TRIPPED
    assert b.gate.train_over() is None


@pytest.mark.req("R-UNCERTAIN")
def test_an_interrupt_while_a_train_is_sent_leaves_all_of_it_counted() -> None:
    b = ready()
    b.unit.next_fire = "interrupt"
    with pytest.raises(KeyboardInterrupt):
        b.shoot(train=TRAIN)
    assert b.ledger.count() == folded(b) == 30
    assert (b.lock.lamp, b.unit.status().standby) == (Lamp.TRIPPED, True)


@pytest.mark.req("R-DOSE")
def test_a_train_the_unit_refused_releases_all_of_it() -> None:
    b = ready()
    b.unit.next_fire = "refuse"
    result = b.shoot(train=TRAIN)
    assert result.outcome is Outcome.REFUSED
    assert b.ledger.count() == folded(b) == 0
    assert b.gate.train_over() is None


@pytest.mark.req("R-DOSE")
def test_a_pair_counts_two_and_is_closed_at_once() -> None:
    b = ready(None, PAIR)
    result = b.shoot(pair=PAIR)
    assert (result.outcome, result.closing["delivered_max"]) == (Outcome.FIRED, 2)
    assert b.ledger.count() == folded(b) == b.unit.given() == 2
    b.clock.advance(0.9)
    assert "interval" in {r.rule for r in b.shoot(pair=PAIR)}


@pytest.mark.req("R-TRAIN")
def test_a_single_pulse_is_refused_where_a_train_is_set_and_the_reverse() -> None:
    assert [r.rule for r in ready().shoot()] == ["unit_shape"]
    assert [r.rule for r in ready(None).shoot(train=TRAIN)] == ["unit_shape"]
    assert [r.rule for r in ready(None, PAIR).shoot()] == ["unit_shape"]


@pytest.mark.req("R-TRAIN")
@pytest.mark.parametrize(
    ("rule", "train", "caps", "says"),
    [
        ("train_length", Train(frequency_hz=30.0, n_pulses=2), Capabilities(trains=True), ()),
        ("train_longest_tested", Train(frequency_hz=5.0, n_pulses=51), Capabilities(trains=True), ()),
        ("unit_offers", TRAIN, Capabilities(), ()),
        ("train_unit", TRAIN, Capabilities(trains=True), ("too much energy",)),
    ],
)
def test_a_train_beyond_the_rules_never_reaches_the_unit(
    rule: str, train: Train, caps: Capabilities, says: tuple[str, ...]
) -> None:
    b = Bench()
    b.gate.set_power(55)
    b.unit.caps, b.unit.train_says = caps, says
    said = b.gate.set_train(train)
    assert isinstance(said, tuple)
    assert [r.rule for r in said] == [rule]
    assert b.unit.train is None
    assert isinstance(b.gate.set_train(None), UnitStatus)


@pytest.mark.req("R-TRAIN")
def test_the_power_is_not_raised_beyond_what_the_set_train_allows() -> None:
    b = ready()
    b.gate.disarm("wish")
    assert {r.rule for r in b.gate.set_power(61)} == {"train_rmt_cap", "train_length"}  # type: ignore[union-attr]
    assert isinstance(b.gate.set_train(None), UnitStatus)
    assert isinstance(b.gate.set_power(61), UnitStatus)  # a single pulse may
    assert {r.rule for r in b.gate.set_train(TRAIN)} == {"train_rmt_cap", "train_length"}  # type: ignore[union-attr]


@pytest.mark.req("R-INTENSITY")
def test_a_pair_beyond_the_caps_never_reaches_the_unit() -> None:
    b = Bench()
    b.gate.set_power(55)
    for wrong in (Pair(power_b_pct_mso=71, interval_ms=3.0), Pair(power_b_pct_mso=16, interval_ms=0.0)):
        assert {r.rule for r in b.gate.set_pair(wrong)} == {"pair_caps"}  # type: ignore[union-attr]
    assert b.unit.pair is None


@pytest.mark.req("R-TRAIN")
def test_a_shape_is_set_only_in_standby() -> None:
    b = ready()
    for said in (b.gate.set_train(None), b.gate.set_train(TRAIN), b.gate.set_pair(None)):
        assert isinstance(said, tuple)
        assert "standby" in {r.rule for r in said}
    assert b.unit.train == TRAIN


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize("how", ["other", "silent"])
def test_a_shape_not_read_back_disarms_and_fires_nothing_until_it_is_known(how: str) -> None:
    b = Bench()
    b.gate.set_power(55)
    b.unit.next_shape = how
    with pytest.raises(NotReady):
        b.gate.set_train(TRAIN)
    assert b.unit.disarms >= 1
    for fault in list(b.lock.active):
        b.lock.cleared(fault, b.clock.now_s())
    b.arm()
    for wanted in ({}, {"train": TRAIN}):
        assert [r.rule for r in b.shoot(**wanted)] == ["unit_shape"]
    b.gate.disarm("wish")
    assert isinstance(b.gate.set_train(None), UnitStatus)
    b.arm()
    assert b.shoot().outcome is Outcome.FIRED


@pytest.mark.req("R-TRAIN-END")
def test_a_gate_closed_during_a_train_still_hears_its_end() -> None:
    b = ready()
    b.shoot(train=TRAIN)
    b.gate.close()
    assert end(b).closing["delivered_max"] == 30  # type: ignore[index]
    assert [r.rule for r in b.gate.set_train(None)] == ["gate_open"]  # type: ignore[union-attr]


@pytest.mark.req("R-RESUME")
def test_a_run_after_a_crash_in_a_train_waits_until_it_must_be_over() -> None:
    first = ready()
    first.shoot(train=TRAIN, purpose=Purpose.TREATMENT)  # and then the power failed
    after = Ledger.from_events(Event(n=0, t_s=0.0, utc="", kind=k, data=d) for k, d in first.journal)
    b = Bench(ledger=after, run_id="run-2")
    start_s = b.clock.now_s()
    b.gate.set_power(55)
    b.gate.set_train(TRAIN)
    b.arm()
    b.clock.sleep_until(start_s + 7.9)
    assert "between_trains" in {r.rule for r in b.shoot(train=TRAIN)}
    b.clock.sleep_until(start_s + 8.1)
    assert b.ledger.counts(target="M1", session_id="x", day="").treatment_course == 30
    result = b.shoot(train=TRAIN)
    assert not isinstance(result, tuple), result
    assert result.outcome is Outcome.FIRED


@pytest.mark.req("R-DOSE")
def test_the_last_treatment_train_of_the_day_and_the_session_after_it() -> None:
    b = ready()
    for n in range(100):
        result = b.shoot(train=TRAIN, purpose=Purpose.TREATMENT)
        assert not isinstance(result, tuple), (n, result)
        assert result.outcome is Outcome.FIRED, n
        end(b)
        b.clock.advance(5.01)
    assert {r.rule for r in b.shoot(train=TRAIN, purpose=Purpose.TREATMENT)} == {"treatment_dose"}
    assert b.ledger.count() == folded(b) == b.unit.given() == 3000
    assert b.shoot(train=TRAIN).outcome is Outcome.FIRED  # a probe may still come: it has caps of its own


@pytest.mark.req("R-UNSTOPPABLE")
def test_what_cannot_be_stopped_is_told_before_arming() -> None:
    b = Bench()
    assert b.gate.uninterruptible_s(b.pulse()) == 0.0
    assert b.gate.uninterruptible_s(b.pulse(train=TRAIN)) == pytest.approx(2.9)
    b.unit.caps = Capabilities(trains=True, stops_running_train=True)
    assert b.gate.uninterruptible_s(b.pulse(train=TRAIN)) == pytest.approx(
        0.5
    )  # a frozen engine, then EA's own time


@pytest.mark.req("R-TRAIN-END")
@pytest.mark.parametrize(
    ("delivery", "low", "high", "wanted"),
    [
        (Delivery.DELIVERED, None, None, (30, 30, True)), (Delivery.DELIVERED, 30, 30, (30, 30, True)),
        (Delivery.DELIVERED, 7, 7, (7, 7, True)), (Delivery.UNCERTAIN, 7, 7, (7, 7, True)),
        (Delivery.UNCERTAIN, 3, 9, (3, 9, False)), (Delivery.UNCERTAIN, None, None, (0, 30, False)),
        (Delivery.NOT_DELIVERED, None, None, (0, 30, False)), (Delivery.DELIVERED, 0, 0, (0, 30, False)),
        (Delivery.DELIVERED, 9, 3, (0, 30, False)), (Delivery.DELIVERED, -1, 3, (0, 30, False)),
        (Delivery.DELIVERED, None, 3, (0, 30, False)), (Delivery.DELIVERED, 2.0, 3.0, (0, 30, False)),
        (Delivery.DELIVERED, 3, None, (0, 30, False)), (Delivery.DELIVERED, 2, 3.0, (0, 30, False)),
        (Delivery.UNCERTAIN, 0, 9, (0, 9, False)), (Delivery.UNCERTAIN, 0, 1, (0, 1, False)),
        (Delivery.DELIVERED, 1, 1, (1, 1, True)), (Delivery.DELIVERED, 3, 3.0, (0, 30, False)),
        (Delivery.DELIVERED, float("nan"), float("nan"), (0, 30, False)), (Delivery.DELIVERED, 31, 31, (31, 31, False)),
    ],
)  # fmt: skip
def test_what_an_end_says_and_what_it_bounds(delivery: Delivery, low: Any, high: Any, wanted: Any) -> None:
    receipt = FireReceipt(
        delivery=delivery, t_sent_s=0.0, t_reply_s=0.0, status=None, pulses_min=low, pulses_max=high
    )
    made, given = bounded(receipt, 30, 0)
    assert (made.pulses_min, made.pulses_max, made.delivery is Delivery.DELIVERED) == wanted
    assert given == wanted[:2]
    assert made.reason


def test_the_intervals_the_gate_tells_are_the_larger_of_both() -> None:
    b = Bench()
    assert (b.gate.min_interval_s(55), b.gate.min_interval_s(55, TRAIN)) == (3.0, 5.0)
    b.unit.gap_s, b.unit.gap_after_train_s = 0.1, 9.0
    assert (b.gate.min_interval_s(55), b.gate.min_interval_s(55, TRAIN)) == (1.0, 9.0)
    assert silent().fault is Fault.UNIT_SILENT  # type: ignore[attr-defined]


@pytest.mark.req("R-NAN")
@pytest.mark.parametrize("after", [False, True])
def test_a_gap_that_is_no_number_refuses(after: bool) -> None:
    b = ready(None)
    if after:
        b.unit.gap_s = float("nan")
        assert "interval" in {r.rule for r in b.shoot()}
        return
    assert b.shoot().outcome is Outcome.FIRED
    b.clock.advance(9.0)
    b.unit.gap_s = float("nan")
    assert "interval" in {r.rule for r in b.shoot()}
