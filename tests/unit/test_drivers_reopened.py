"""What nobody tells a driver or a gate that has just been opened: what the unit gave right before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from safety_tools import Bench, FakeUnit

from drivers.magstim.units import facts_of, train_wait_s
from drivers.pacing import Pace
from rtloop.model.pulse import Delivery, Train
from rtloop.ports import Permit
from rtloop.safety.ledger import Charge, Ledger

STRONG = Train(frequency_hz=40, n_pulses=200)  # at 100 %: 50.4 kJ in 5 s, and 43 s to wait after it
FACTS = replace(facts_of("super-rapid-plus"), software=(7, 1))


def test_a_train_that_needs_a_wait_after_it_waits_as_long_after_the_opening() -> None:
    pace = Pace(1000.0)
    wait_s = train_wait_s(100, STRONG)
    assert wait_s == pytest.approx(43.0)
    for since_s in (0.0, 7.0, wait_s - 0.01):
        assert "J in a minute" in pace.refusal(FACTS, 1000.0 + since_s, 100, STRONG)
    assert pace.refusal(FACTS, 1000.0 + wait_s + 0.01, 100, STRONG) == ""


def test_what_the_unit_can_give_for_ever_waits_for_nothing() -> None:
    pace = Pace(1000.0)
    assert pace.refusal(FACTS, 1000.0, 40, Train(frequency_hz=10, n_pulses=20)) == ""
    assert pace.refusal(FACTS, 1000.0, 50, Train(frequency_hz=16, n_pulses=400)) == ""
    assert pace.refusal(FACTS, 1000.0, 100, None) == ""


def test_the_minute_before_the_opening_is_forgotten_once_it_is_over() -> None:
    pace = Pace(1000.0)
    assert pace.joules_a_minute(1000.0, 100, STRONG) == pytest.approx(63000.0 - 5 * 1050 + 50400)
    assert pace.joules_a_minute(1060.0, 100, STRONG) == pytest.approx(50400.0)


@pytest.mark.req("R-RESUME")
@pytest.mark.parametrize(("yesterday", "gap_s"), [(False, 43.0), (True, 3.0)])
def test_a_new_run_waits_as_long_as_the_strongest_train_of_that_day_asks(
    monkeypatch: pytest.MonkeyPatch, yesterday: bool, gap_s: float
) -> None:
    """The ledger knows the day, not the second: the wait counts from the opening."""
    ledger = Ledger()
    day = "2023-11-14"
    for permit_id, (train, of) in enumerate(((STRONG, "2023-11-13" if yesterday else day), (None, day))):
        charge = Charge(
            run_id="before", session_id="s", permit_id=permit_id, pulse_id=permit_id, target="t", day=of,
            purpose="treatment" if train else "mapping", power_pct_mso=50, power_pct_rmt=None, train=train,
            n_pulses=200 if train else 1,
        )  # fmt: skip
        charge = Charge(
            run_id="before", session_id="s", permit_id=permit_id, pulse_id=permit_id, target="t", day=of,
            purpose="treatment" if train else "mapping", power_pct_mso=50, power_pct_rmt=None, train=train,
            n_pulses=200 if train else 1,
        )  # fmt: skip
        ledger.charge(charge)
        ledger.close(charge, Delivery.DELIVERED)
    monkeypatch.setattr(FakeUnit, "min_interval_s", lambda _, power, train=None: 43.0 if train else 3.0)
    bench = Bench(ledger=ledger)
    bench.clock.advance(gap_s - 0.1)
    bench.arm()
    refused = bench.gate.permit(bench.pulse(), bench.clock.now_s())
    assert isinstance(refused, tuple)
    assert [refusal.rule for refusal in refused] == ["interval"]
    bench.clock.advance(0.11)
    assert isinstance(bench.gate.permit(bench.pulse(), bench.clock.now_s()), Permit)
