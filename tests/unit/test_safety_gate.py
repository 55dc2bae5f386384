"""The gate by example: one permit, one pulse; everything else is refused, missed or ends disarmed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from safety_tools import KEY, Bench, pulse

from rtloop.errors import NotReady
from rtloop.model.pulse import Delivery, FireReceipt, Outcome
from rtloop.model.status import Fault, Lamp, Mode
from rtloop.ports import Permit
from rtloop.safety.ledger import Charge, Ledger
from rtloop.safety.limits import load_limits


@pytest.fixture
def bench() -> Bench:
    b = Bench()
    b.arm()
    return b


def permit_for(b: Bench, **changes: Any) -> tuple[Any, Permit]:
    wanted = b.pulse(**changes)
    permit = b.gate.permit(wanted, b.clock.now_s())
    assert isinstance(permit, Permit), permit
    return wanted, permit


@pytest.mark.req("R-PERMIT")
def test_a_pulse_is_charged_written_then_fired(bench: Bench) -> None:
    seen_at_intent = []
    bench.on_intent = lambda: seen_at_intent.append((len(bench.unit.discharges), bench.ledger.count()))
    result = bench.shoot()
    assert result.outcome is Outcome.FIRED
    assert seen_at_intent == [(0, 1)]  # nothing sent yet, already counted
    assert [kind for kind, _ in bench.journal] == ["pulse_intended", "pulse_closed"]
    assert result.closing["delivery"] == "delivered"


@pytest.mark.req("R-PERMIT")
def test_a_permit_is_genuine_expires_and_serves_once(bench: Bench) -> None:
    wanted, permit = permit_for(bench)
    assert permit.genuine(KEY)
    assert permit.expires_s == wanted.deadline_s
    assert bench.gate.fire(wanted, permit).outcome is Outcome.FIRED
    bench.clock.advance(4.0)
    again = replace(wanted, deadline_s=bench.clock.now_s() + 0.05)
    assert bench.gate.fire(wanted, permit).refusals[0].rule == "permit"
    assert bench.gate.fire(again, permit).refusals[0].rule == "permit"
    assert len(bench.unit.discharges) == 1


@pytest.mark.req("R-PERMIT")
def test_made_up_old_and_foreign_permits_are_refused(bench: Bench) -> None:
    wanted, old = permit_for(bench)
    _, new = permit_for(bench)
    forged = replace(new, seal=b"x")
    for which, of in ((old, wanted), (forged, wanted), (new, wanted), (replace(new, permit_id=99), wanted)):
        result = bench.gate.fire(of, which)
        assert result.outcome is Outcome.REFUSED
        assert result.refusals[0].rule == "permit"
    assert bench.unit.discharges == []
    assert bench.ledger.count() == 0


@pytest.mark.req("R-STALE")
def test_a_late_pulse_is_missed_never_late(bench: Bench) -> None:
    wanted, permit = permit_for(bench)
    bench.clock.advance(0.06)
    assert bench.gate.fire(wanted, permit).outcome is Outcome.MISSED
    assert bench.unit.discharges == []
    assert bench.ledger.count() == 0


@pytest.mark.req("R-STALE")
def test_a_slow_journal_makes_it_missed_and_releases_the_charge(bench: Bench) -> None:
    bench.journal_takes_s = 0.06
    result = bench.shoot()
    assert result.outcome is Outcome.MISSED
    assert result.closing["delivery"] == "not_delivered"
    assert (bench.unit.discharges, bench.ledger.count()) == ([], 0)


@pytest.mark.req("R-JOURNAL")
def test_no_intent_on_disk_no_pulse_and_trip(bench: Bench) -> None:
    bench.journal_fails = OSError("disk full")
    result = bench.shoot()
    assert result.outcome is Outcome.REFUSED
    assert "disk full" in result.refusals[0].found
    assert bench.unit.discharges == []
    assert bench.lock.lamp is Lamp.TRIPPED
    assert Fault.JOURNAL_FAILED in bench.lock.active
    assert bench.unit.disarms == 1


@pytest.mark.req("R-DISARM")
def test_a_disarm_while_the_intent_is_written_stops_the_pulse(bench: Bench) -> None:
    bench.on_intent = lambda: bench.gate.disarm("STOP from another thread")
    result = bench.shoot()
    assert result.outcome is Outcome.REFUSED
    assert bench.unit.discharges == []
    assert bench.ledger.count() == 0


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("how", ["lost", "lost_undelivered", "raise", "nonsense"])
def test_uncertain_counts_trips_and_disarms(bench: Bench, how: str) -> None:
    bench.unit.next_fire = how
    result = bench.shoot()
    assert result.outcome is Outcome.UNCERTAIN
    assert result.closing["delivery"] == "uncertain"
    assert bench.ledger.count() == 1
    assert bench.lock.lamp is Lamp.TRIPPED
    assert bench.unit.disarms == 1
    bench.clock.advance(10.0)
    assert not isinstance(bench.shoot(), Permit)


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(("most", "counted"), [(20, 20), (1, 1), (0, 1), (None, 1)])
def test_more_pulses_than_were_permitted_are_counted_all(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, most: int | None, counted: int
) -> None:
    """A unit that somebody had set to trains; never fewer than were permitted."""
    receipt = FireReceipt(
        delivery=Delivery.UNCERTAIN, t_sent_s=bench.clock.now_s(), t_reply_s=None, status=None,
        reason="train mode", pulses_min=0, pulses_max=most,
    )  # fmt: skip
    monkeypatch.setattr(bench.unit, "fire", lambda _: receipt)
    result = bench.shoot()
    assert result.outcome is Outcome.UNCERTAIN
    assert (result.closing["delivered_min"], result.closing["delivered_max"]) == (0, counted)
    assert bench.ledger.count() == counted
    assert Fault.UNCERTAIN_PULSE in bench.lock.active


@pytest.mark.req("R-UNCERTAIN")
def test_an_interrupt_during_fire_disarms_and_stays_counted(bench: Bench) -> None:
    bench.unit.next_fire = "interrupt"
    with pytest.raises(KeyboardInterrupt):
        bench.shoot()
    assert bench.unit.disarms >= 1
    assert bench.lock.lamp is Lamp.TRIPPED
    assert bench.ledger.count() == 1


@pytest.mark.req("R-DOSE")
def test_a_refusing_unit_releases_the_charge(bench: Bench) -> None:
    bench.unit.next_fire = "refuse"
    result = bench.shoot()
    assert (result.outcome, bench.ledger.count()) == (Outcome.REFUSED, 0)


@pytest.mark.req("R-RATE")
def test_interval_holds_for_the_stronger_of_two_pulses(bench: Bench) -> None:
    assert bench.shoot().outcome is Outcome.FIRED
    bench.unit.gap_s = 0.5  # the next one would be weak: the unit still recharges from the last
    bench.clock.advance(2.9)
    assert [r.rule for r in bench.shoot()] == ["interval"]
    bench.clock.advance(0.2)
    assert bench.shoot().outcome is Outcome.FIRED


@pytest.mark.req("R-RATE")
def test_interval_counts_from_the_latest_instant_the_pulse_may_have_come(bench: Bench) -> None:
    sent_s = bench.clock.now_s()
    assert bench.shoot().receipt.t_reply_s - sent_s == pytest.approx(0.008, abs=1e-5)
    bench.clock.sleep_until(sent_s + 3.004)
    assert [r.rule for r in bench.shoot()] == ["interval"]
    bench.clock.sleep_until(sent_s + 3.009)
    assert bench.shoot().outcome is Outcome.FIRED


@pytest.mark.req("R-RATE")
def test_our_own_rate_limit_holds_when_the_unit_allows_more(bench: Bench) -> None:
    bench.unit.gap_s = 0.0
    bench.shoot()
    bench.clock.advance(0.9)
    assert [r.rule for r in bench.shoot()] == ["interval"]


@pytest.mark.req("R-RESUME")
def test_a_resumed_session_goes_on_counting_and_waits(bench: Bench) -> None:
    ledger = Ledger()
    for n in range(400):
        ledger.charge(Charge(
            run_id="run-0", session_id="run-1", permit_id=n, pulse_id=n, target="M1", purpose="mapping",
            power_pct_mso=55, power_pct_rmt=None, day="2023-11-14",
        ))  # fmt: skip
    resumed = Bench(ledger=ledger)
    resumed.arm()
    assert {r.rule for r in resumed.shoot()} == {"dose", "interval"}
    assert {r.rule for r in resumed.shoot(target="PSI")} == {"interval"}


@pytest.mark.req("R-DOSE")
def test_the_last_allowed_pulse_and_not_one_more() -> None:
    b = Bench(limits=load_limits({"max_pulses_session": 2}))
    b.arm()
    for wanted in (Outcome.FIRED, Outcome.FIRED):
        assert b.shoot().outcome is wanted
        b.clock.advance(4.0)
    assert [r.rule for r in b.shoot()] == ["dose"]


@pytest.mark.req("R-INTENSITY")
@pytest.mark.parametrize("power", [101, 71, -1, float("nan"), 55.5, 55.0, True, None, "55"])
def test_power_beyond_the_caps_never_reaches_the_unit(bench: Bench, power: Any) -> None:
    assert isinstance(bench.gate.set_power(power), tuple)
    assert bench.unit.power == 55


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize("how", ["other", "silent"])
def test_a_power_not_read_back_disarms(bench: Bench, how: str) -> None:
    bench.unit.next_power = how
    with pytest.raises(NotReady):
        bench.gate.set_power(50)
    assert bench.unit.disarms >= 1
    assert bench.lock.lamp is Lamp.SAFE
    assert {"other": Fault.UNIT_UNEXPECTED, "silent": Fault.UNIT_SILENT}[how] in bench.lock.active


@pytest.mark.req("R-TWO-STEPS")
def test_arming_without_two_steps_never_reaches_the_unit() -> None:
    b = Bench()
    b.lock.preflight_ok()
    assert not b.gate.arm().ok
    b.lock.arm_requested(b.clock.now_s())
    assert not b.gate.arm().ok
    assert b.unit.status().standby


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize("how", ["standby", "silent"])
def test_a_unit_that_does_not_get_ready_is_disarmed(how: str) -> None:
    b = Bench()
    b.lock.preflight_ok()
    b.lock.arm_requested(b.clock.now_s())
    b.lock.arm_confirmed(b.clock.now_s())
    b.unit.next_arm = how
    with pytest.raises(NotReady):
        b.gate.arm()
    assert b.unit.disarms >= 1
    assert b.lock.lamp is Lamp.SAFE


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize("raises", [False, True])
def test_disarm_reaches_the_unit_from_every_state_and_never_raises(raises: bool) -> None:
    for fault in (None, *Fault):
        b = Bench()
        b.arm()
        if fault is not None:
            b.lock.fault(fault, b.clock.now_s())
        b.unit.disarm_raises = raises
        before = b.unit.disarms
        done = b.gate.disarm("test")
        assert b.unit.disarms == before + 1
        assert done.confirmed is not raises
        assert b.lock.lamp not in (Lamp.ARMED, Lamp.HELD)
        assert raises == ("own switch" in done.words)


@pytest.mark.req("R-FAULT-TABLE")
@pytest.mark.parametrize("fault", list(Fault))
def test_the_gate_disarms_as_the_fault_table_says(fault: Fault) -> None:
    b = Bench()
    b.arm()
    step = b.gate.fault(fault, "detail")
    assert b.unit.disarms == step.disarm
    assert not isinstance(b.gate.permit(b.pulse(), b.clock.now_s()), Permit)


@pytest.mark.req("R-DISARM")
def test_a_bug_in_the_callers_situation_disarms_and_trips(bench: Bench) -> None:
    bench.changes = {"no_such_field": 1}
    with pytest.raises(TypeError):
        bench.gate.permit(pulse(), bench.clock.now_s())
    assert bench.lock.lamp is Lamp.TRIPPED
    assert bench.unit.status().standby


@pytest.mark.req("R-MODE")
@pytest.mark.parametrize(
    ("mode", "simulated"), [(Mode.SIMULATED, False), (Mode.BENCH, True), (Mode.HUMAN, True)]
)
def test_the_gate_asks_the_unit_itself_whether_it_is_real(mode: Mode, simulated: bool) -> None:
    b = Bench(mode=mode, commissioned=True)
    b.changes = {
        "unit_simulated": not simulated,
        "mode": Mode.SIMULATED,
        "eeg_simulated": False,
    }  # the caller lies
    b.unit.simulated = simulated
    b.arm()
    assert "mode_allows" in {r.rule for r in b.shoot()}


@pytest.mark.req("R-DISARM")
def test_a_closed_gate_refuses_and_has_disarmed(bench: Bench) -> None:
    assert bench.gate.close().confirmed
    assert bench.unit.closed
    assert [r.rule for r in bench.shoot()] == ["gate_open"]
    assert not bench.gate.arm().ok
