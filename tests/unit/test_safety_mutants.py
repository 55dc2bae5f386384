"""What mutation testing found unproved in the interlock and the ledger; the list of what is left is docs/safety/mutation.toml."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import pytest

from rtloop.errors import IntegrityProblem
from rtloop.model.pulse import Delivery, Purpose, Train
from rtloop.model.status import Fault, Lamp, Mode
from rtloop.safety.interlock import Interlock
from rtloop.safety.ledger import PULSE_CLOSED, PULSE_INTENDED, PULSE_UNCOMMANDED, Charge, Counts, Ledger


def ready() -> Interlock:
    lock = Interlock(Mode.SIMULATED)
    lock.preflight_ok()
    return lock


def confirmed(at_s: float = 5.0) -> Interlock:
    lock = ready()
    assert lock.arm_requested(at_s).accepted
    assert lock.arm_confirmed(at_s).accepted
    assert lock.confirmed
    return lock


# ---- interlock


def test_a_hold_between_confirmation_and_the_units_word_takes_the_leave_to_arm_away() -> None:
    lock = confirmed()
    lock.fault(Fault.STREAM_STALE, 5.0)
    assert not lock.confirmed
    step = lock.unit_ready(5.1)
    assert not step.accepted
    assert step.disarm
    assert lock.lamp is Lamp.SAFE


def test_a_fault_that_came_and_went_leaves_no_confirmation_behind() -> None:
    lock = confirmed()
    lock.fault(Fault.UNIT_SILENT, 5.0)
    lock.cleared(Fault.UNIT_SILENT, 5.1)
    assert lock.lamp is Lamp.READY
    assert not lock.confirmed
    step = lock.unit_ready(5.2)
    assert not step.accepted
    assert step.disarm
    assert lock.lamp is Lamp.READY


def test_a_word_of_the_unit_that_came_too_late_uses_the_confirmation_up() -> None:
    lock = confirmed(5.0)
    late = lock.unit_ready(15.5)
    assert late.disarm
    assert not late.accepted
    assert not lock.unit_ready(6.0).accepted
    assert lock.lamp is Lamp.READY


@pytest.mark.parametrize("after_s", [0.0, 10.0])
def test_both_ends_of_the_window_belong_to_it(after_s: float) -> None:
    lock = ready()
    assert lock.arm_requested(5.0).accepted
    assert lock.arm_confirmed(5.0 + after_s).accepted
    assert lock.unit_ready(5.0 + after_s + after_s).accepted
    assert lock.lamp is Lamp.ARMED


@pytest.mark.parametrize(("now_s", "accepted"), [(0.0, True), (-0.5, False), (math.nan, False), (0.25, True)])
def test_arming_is_asked_for_at_an_instant(now_s: float, accepted: bool) -> None:
    step = ready().arm_requested(now_s)
    assert step.accepted is accepted
    assert step.words


def test_the_reason_is_the_first_one() -> None:
    lock = Interlock(Mode.SIMULATED)
    assert "preflight" in lock.arm_confirmed(1.0).words
    lock = ready()
    lock.arm_requested(1.0)
    lock.fault(Fault.UNIT_HOT, 1.0)
    assert "hot" in lock.arm_confirmed(99.0).words  # not: outside the window
    armed = confirmed()
    armed.unit_ready(5.0)
    assert "preflight" not in armed.arm_requested(6.0).words


def test_a_trip_is_not_cleared_and_says_so() -> None:
    lock = ready()
    lock.fault(Fault.UNIT_LOST, 1.0)
    step = lock.cleared(Fault.UNIT_LOST, 2.0)
    assert step is not None
    assert not step.accepted
    assert lock.lamp is Lamp.TRIPPED


def test_a_pause_that_a_fault_overtook_is_not_resumed() -> None:
    lock = confirmed()
    lock.unit_ready(5.0)
    lock.hold("a pause")
    lock.fault(Fault.UNIT_SILENT, 6.0)
    step = lock.resume()
    assert not step.accepted
    assert "not paused" in step.words


def test_human_needs_a_commissioning_record_unless_told() -> None:
    lock = Interlock(Mode.HUMAN)
    lock.preflight_ok()
    step = lock.arm_requested(1.0)
    assert not step.accepted
    assert "commission" in step.words


# ---- ledger


def charge(n: int = 1, **changes: Any) -> Charge:
    fields: dict[str, Any] = {
        "run_id": "r", "session_id": "s", "permit_id": n, "pulse_id": n, "target": "M1", "purpose": "mapping",
        "power_pct_mso": 50, "power_pct_rmt": None, "day": "2023-11-14",
    }  # fmt: skip
    return Charge(**(fields | changes))


def test_no_pulses_are_none() -> None:
    assert set(asdict(Counts()).values()) == {0}
    assert Ledger().counts(target="M1", session_id="s", day="2023-11-14") == Counts()
    assert Ledger().maybe_running_s == 0


def test_more_pulses_are_added_on_their_own_side() -> None:
    some = Counts(
        target_session=1, session=2, day=3, treatment_session=4, treatment_day=5, treatment_course=6
    )
    assert some.plus(10, Purpose.MAPPING) == replace(some, target_session=11, session=12, day=13)
    treated = replace(some, treatment_session=14, treatment_day=15, treatment_course=16)
    assert some.plus(10, Purpose.TREATMENT) == treated


def test_a_pulse_that_nobody_commanded_counts_everywhere_live_and_folded() -> None:
    live, folded = Ledger(), Ledger()
    for sample in (0, 7, 7):
        data = live.uncommanded("r", "s", sample, "2023-11-14")
        assert data == {"run_id": "r", "session_id": "s", "day": "2023-11-14"}
        folded.apply(PULSE_UNCOMMANDED, data | {"sample": sample})
    folded.apply(PULSE_UNCOMMANDED, {"sample": 9})  # heard while only listening: of no run
    folded.apply("something else", {"run_id": "r"})
    for ledger in (live, folded):
        assert ledger.count() == 2
        counts = ledger.counts(target="", session_id="s", day="2023-11-14")
        assert (counts.session, counts.day, counts.treatment_session, counts.treatment_course) == (2, 2, 2, 2)
        # never the id of a permit, which counts up from 1
        assert [(c.permit_id, c.pulse_id, c.power_pct_mso) for c in ledger.unclosed] == [
            (-1, -1, 0),
            (-8, -8, 0),
        ]


@pytest.mark.parametrize("n", [0, 2, -1, "1", 1.0, True, None])
def test_a_record_whose_number_of_pulses_is_not_its_trains_is_refused(n: object) -> None:
    with pytest.raises(IntegrityProblem):
        Ledger().apply(PULSE_INTENDED, charge().data() | {"n_pulses": n})


@pytest.mark.parametrize(
    ("delivery", "said", "counted"),
    [
        ("delivered", (3, 5), 5), ("delivered", (0, 0), 10), ("delivered", (None, None), 10),
        ("delivered", (5, 3), 10), ("delivered", (-1, 3), 10), ("delivered", (0, 1), 1), ("delivered", (1, 1), 1),
        ("uncertain", (0, 4), 4), ("uncertain", (None, 4), 10), ("uncertain", (0, None), 10),
        ("uncertain", (True, 4), 10), ("uncertain", (0.0, 4), 10), ("uncertain", (0, 4.0), 10),
        ("not_delivered", (0, 0), 0), ("not_delivered", (None, None), 0), ("not_delivered", (0, 2), 2),
    ],
)  # fmt: skip
def test_bounds_count_at_their_upper_end_unless_they_contradict_themselves(
    delivery: str, said: tuple[object, object], counted: int
) -> None:
    train = charge(n_pulses=10, train=Train(frequency_hz=10.0, n_pulses=10))
    ledger = Ledger()
    ledger.apply(PULSE_INTENDED, train.data())
    assert ledger.count() == 10
    ledger.apply(PULSE_CLOSED, {"run_id": "r", "permit_id": 1, "delivery": delivery,
                                "delivered_min": said[0], "delivered_max": said[1]})  # fmt: skip
    assert ledger.count() == counted
    assert ledger.counts(target="M1", session_id="s", day="2023-11-14").session == counted


@pytest.mark.parametrize(
    ("delivery", "low", "high"),
    [(Delivery.DELIVERED, 1, 1), (Delivery.UNCERTAIN, 0, 1), (Delivery.NOT_DELIVERED, 0, 0)],
)
def test_the_closing_record_bounds_what_was_given(delivery: Delivery, low: int, high: int) -> None:
    ledger = Ledger()
    ledger.charge(charge())
    data = ledger.close(charge(), delivery)
    assert (data["delivered_min"], data["delivered_max"]) == (low, high)
    assert (data["run_id"], data["permit_id"], data["pulse_id"]) == ("r", 1, 1)
    assert ledger.count() == high


def test_bounds_that_contradict_themselves_bound_nothing() -> None:
    train = charge(n_pulses=10, train=Train(frequency_hz=10.0, n_pulses=10))
    ledger = Ledger()
    ledger.charge(train)
    data = ledger.close(train, Delivery.DELIVERED, (5, 3))
    assert (data["delivered_min"], data["delivered_max"]) == (0, 10)


def test_a_train_that_nobody_closed_may_still_go_on_today() -> None:
    ledger = Ledger()
    ledger.charge(charge(1, day="2023-11-13", n_pulses=100, train=Train(frequency_hz=10.0, n_pulses=100)))
    ledger.charge(charge(2, n_pulses=20, train=Train(frequency_hz=10.0, n_pulses=20)))
    ledger.charge(charge(3, n_pulses=50, train=Train(frequency_hz=10.0, n_pulses=50)))
    ledger.charge(charge(4))
    assert ledger.maybe_running_s == pytest.approx(5.0, abs=0.2)
    ledger.close(charge(3, n_pulses=50, train=Train(frequency_hz=10.0, n_pulses=50)), Delivery.DELIVERED)
    assert ledger.maybe_running_s == pytest.approx(2.0, abs=0.2)


def test_sessions_of_treatment_are_those_in_which_something_may_have_been_given() -> None:
    ledger = Ledger()
    for n, (session, day, purpose) in enumerate(
        [("a", "2023-11-13", "treatment"), ("b", "2023-11-14", "treatment"), ("c", "2023-11-14", "treatment"),
         ("d", "2023-11-14", "mapping"), ("s", "2023-11-14", "treatment")]
    ):  # fmt: skip
        ledger.charge(charge(n, session_id=session, day=day, purpose=purpose))
    ledger.close(charge(2, session_id="c", purpose="treatment"), Delivery.NOT_DELIVERED)
    counts = ledger.counts(target="M1", session_id="s", day="2023-11-14")
    assert counts.other_treatment_sessions == 2  # a, b
    assert counts.other_treatment_sessions_day == 1  # b
    assert (counts.treatment_session, counts.treatment_day, counts.treatment_course) == (1, 2, 3)
    assert (counts.session, counts.day, counts.target_session) == (0, 1, 0)
