"""The dose: charged before, released only by a plain "not delivered", the same live and folded."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from rtloop.errors import IntegrityProblem
from rtloop.model.event import Event
from rtloop.model.pulse import Delivery, Pair, Purpose, Train
from rtloop.safety.ledger import PULSE_CLOSED, PULSE_INTENDED, Charge, Counts, Ledger


def charge(n: int, **changes: Any) -> Charge:
    fields: dict[str, Any] = {
        "run_id": "r1", "session_id": "s1", "permit_id": n, "pulse_id": n, "target": "M1",
        "purpose": "mapping",
        "power_pct_mso": 55, "power_pct_rmt": 110.0, "day": "2023-11-14",
    }  # fmt: skip
    return Charge(**(fields | changes))


def events(*pairs: tuple[str, dict[str, Any]]) -> list[Event]:
    return [Event(n=i, t_s=0.0, utc="", kind=k, data=d) for i, (k, d) in enumerate(pairs)]


def closed(n: int, delivery: str, run: str = "r1") -> tuple[str, dict[str, Any]]:
    return PULSE_CLOSED, {"run_id": run, "permit_id": n, "pulse_id": n, "delivery": delivery}


@pytest.mark.req("R-DOSE")
@pytest.mark.parametrize(
    ("closings", "counted"),
    [([], 1), (["delivered"], 1), (["uncertain"], 1), (["not_delivered"], 0), (["garbage"], 1), ([""], 1),
     (["not_delivered", "delivered"], 1), (["uncertain", "not_delivered"], 1), (["not_delivered"] * 2, 0)],
)  # fmt: skip
def test_what_counts(closings: list[str], counted: int) -> None:
    record = events((PULSE_INTENDED, charge(1).data()), *[closed(1, c) for c in closings])
    ledger = Ledger.from_events(record)
    assert ledger.count() == counted
    wanted = Counts(target_session=counted, session=counted, day=counted)
    assert ledger.counts(target="M1", session_id="s1", day="2023-11-14") == wanted


@pytest.mark.req("R-RESUME")
def test_counts_by_target_purpose_run_session_day_over_runs() -> None:
    ledger = Ledger()
    ledger.charge(charge(1))
    ledger.charge(charge(2, target="PSI"))
    ledger.charge(charge(1, run_id="r2"))
    ledger.charge(charge(2, run_id="r2", purpose="probe", day="2023-11-15"))
    ledger.charge(charge(1, run_id="r3", session_id="s2", day="2023-11-15"))
    assert ledger.counts(target="M1", session_id="s1", day="2023-11-14") == Counts(
        target_session=3, session=4, day=3
    )
    assert ledger.count(purpose="probe") == 1
    assert ledger.count(run_id="r2", target="M1") == 2
    assert ledger.latest_day == "2023-11-15"


@pytest.mark.req("R-RESUME")
def test_live_equals_fold_and_a_crash_counts() -> None:
    live, record = Ledger(), []
    for n, delivery in enumerate((Delivery.DELIVERED, Delivery.NOT_DELIVERED, Delivery.UNCERTAIN), 1):
        record.append((PULSE_INTENDED, live.charge(charge(n))))
        record.append((PULSE_CLOSED, live.close(charge(n), delivery)))
    record.append((PULSE_INTENDED, live.charge(charge(4))))  # and then the power failed
    folded = Ledger.from_events(events(*record))
    assert folded.count() == live.count() == 3
    assert [c.permit_id for c in folded.unclosed] == [4]
    assert Ledger.from_events(events(*record, *record)).count() == 3  # the same record twice counts once


@pytest.mark.req("R-DOSE")
def test_the_close_of_an_intent_that_never_reached_the_disk_is_no_dose_and_no_contradiction() -> None:
    """The journal failed at the intent, nothing was sent, and the journal could be written again."""
    lost = Ledger()
    lost.charge(charge(7))  # its record was not written
    after = (PULSE_CLOSED, lost.close(charge(7), Delivery.NOT_DELIVERED))
    folded = Ledger.from_events(events(after, (PULSE_INTENDED, charge(8).data())))
    assert folded.count() == 1
    assert [c.permit_id for c in folded.unclosed] == [8]


@pytest.mark.req("R-DOSE")
@pytest.mark.parametrize("delivery", ["delivered", "uncertain"])
def test_contradictions_are_not_counted_over(delivery: str) -> None:
    with pytest.raises(IntegrityProblem, match="never intended"):
        Ledger.from_events(events(closed(7, delivery)))
    with pytest.raises(IntegrityProblem, match="one permit"):
        Ledger.from_events(
            events((PULSE_INTENDED, charge(1).data()), (PULSE_INTENDED, charge(1, target="X").data()))
        )
    with pytest.raises(IntegrityProblem, match="cannot be counted"):
        Ledger.from_events(events((PULSE_INTENDED, {"run_id": "r1"})))
    ledger = Ledger()
    ledger.charge(charge(1))
    with pytest.raises(IntegrityProblem, match="twice"):
        ledger.charge(charge(1))


TRAIN = Train(frequency_hz=10.0, n_pulses=30)
TREAT = {"purpose": "treatment", "train": TRAIN, "n_pulses": 30}


def all_counts(ledger: Ledger, session_id: str = "s1", day: str = "2023-11-14") -> Counts:
    return ledger.counts(target="M1", session_id=session_id, day=day)


@pytest.mark.req("R-DOSE")
@pytest.mark.parametrize(
    ("closing", "counted"),
    [
        ({"delivery": "delivered"}, 30), ({"delivery": "uncertain"}, 30), ({"delivery": "not_delivered"}, 0),
        ({"delivery": "garbage"}, 30),
        ({"delivery": "delivered", "delivered_min": 7, "delivered_max": 7}, 7),
        ({"delivery": "uncertain", "delivered_min": 3, "delivered_max": 9}, 9),
        ({"delivery": "not_delivered", "delivered_min": 0, "delivered_max": 0}, 0),
        ({"delivery": "not_delivered", "delivered_min": 0, "delivered_max": 2}, 2),
        ({"delivery": "uncertain", "delivered_min": 0, "delivered_max": 0}, 0),
        ({"delivery": "delivered", "delivered_min": 0, "delivered_max": 0}, 30),
        ({"delivery": "delivered", "delivered_min": 31, "delivered_max": 31}, 31),
        ({"delivery": "delivered", "delivered_min": 9, "delivered_max": 3}, 30),
        ({"delivery": "delivered", "delivered_min": -1, "delivered_max": 3}, 30),
        ({"delivery": "delivered", "delivered_max": 3}, 30),
        ({"delivery": "delivered", "delivered_min": 1.0, "delivered_max": 3.0}, 30),
        ({"delivery": "delivered", "delivered_min": math.nan, "delivered_max": math.nan}, 30),
        ({"delivery": "delivered", "delivered_min": True, "delivered_max": True}, 30),
    ],
)  # fmt: skip
def test_a_train_counts_the_most_that_its_record_bounds(closing: dict[str, Any], counted: int) -> None:
    made = charge(1, **TREAT)
    record = [(PULSE_INTENDED, made.data()), (PULSE_CLOSED, {"run_id": "r1", "permit_id": 1} | closing)]
    ledger = Ledger.from_events(events(*record))
    assert ledger.count() == ledger.count(purpose="treatment") == counted
    assert all_counts(ledger) == Counts(
        treatment_session=counted, treatment_day=counted, treatment_course=counted
    )
    twice = Ledger.from_events(
        events(*record, *record, (PULSE_CLOSED, record[1][1] | {"delivery": "delivered"}))
    )
    assert twice.count() >= counted
    assert Ledger.from_events(events(*record, *record)).count() == counted


@pytest.mark.req("R-RESUME")
def test_a_charge_comes_back_from_its_own_json() -> None:
    pair = Pair(power_b_pct_mso=40, interval_ms=2.5)
    for made in (charge(1), charge(1, **TREAT), charge(1, pair=pair, n_pulses=2)):
        assert Charge.of(json.loads(json.dumps(made.data()))) == made
        live, record = Ledger(), []
        record.append((PULSE_INTENDED, json.loads(json.dumps(live.charge(made)))))
        assert Ledger.from_events(events(*record)).count() == live.count() == made.n_pulses
        closing = live.close(made, Delivery.UNCERTAIN, (1, 1))
        record.append((PULSE_CLOSED, json.loads(json.dumps(closing))))
        assert Ledger.from_events(events(*record)).count() == live.count() == 1


@pytest.mark.req("R-RESUME")
def test_a_record_from_before_trains_is_one_pulse() -> None:
    old = {k: v for k, v in charge(1).data().items() if k not in ("n_pulses", "train", "pair")}
    assert Ledger.from_events(events((PULSE_INTENDED, old))).count() == 1
    assert Ledger.from_events(events((PULSE_INTENDED, old), closed(1, "not_delivered"))).count() == 0
    assert Ledger.from_events(events((PULSE_INTENDED, old), (PULSE_INTENDED, charge(1).data()))).count() == 1


@pytest.mark.req("R-DOSE")
@pytest.mark.parametrize(
    "wrong",
    [{"n_pulses": 1}, {"n_pulses": 31}, {"n_pulses": math.nan}, {"n_pulses": True}, {"train": "x"},
     {"train": {"frequency_hz": 10.0}}, {"train": {"frequency_hz": math.nan, "n_pulses": 30}}, {"train": None}],
)  # fmt: skip
def test_a_record_that_does_not_agree_with_itself_is_not_counted_over(wrong: dict[str, Any]) -> None:
    with pytest.raises(IntegrityProblem, match="cannot be counted"):
        Ledger.from_events(events((PULSE_INTENDED, charge(1, **TREAT).data() | wrong)))


@pytest.mark.req("R-RESUME")
def test_session_day_course_and_sessions_of_treatment() -> None:
    ledger = Ledger()
    ledger.charge(charge(1))
    ledger.charge(charge(2, **TREAT))
    ledger.charge(charge(3, **TREAT | {"session_id": "s2"}))
    ledger.charge(charge(4, **TREAT | {"session_id": "s2", "day": "2023-11-15"}))  # on over midnight
    unsent = charge(5, **TREAT | {"session_id": "s3"})
    ledger.charge(unsent)
    ledger.close(unsent, Delivery.NOT_DELIVERED)
    ledger.uncommanded("r1", "s1", 7, "2023-11-14")
    assert all_counts(ledger) == Counts(
        target_session=1, session=2, day=2, treatment_session=31, treatment_day=61, treatment_course=91,
        other_treatment_sessions_day=1, other_treatment_sessions=1,
    )  # fmt: skip
    assert all_counts(ledger, "s9", "2023-11-15") == Counts(
        treatment_day=30, treatment_course=91, other_treatment_sessions_day=1, other_treatment_sessions=2
    )
    assert ledger.count() == 92


@pytest.mark.req("R-RESUME")
def test_only_an_unclosed_train_of_the_latest_day_may_still_run() -> None:
    ledger = Ledger()
    assert ledger.maybe_running_s == 0.0
    first = charge(1, **TREAT)
    ledger.charge(first)
    assert ledger.maybe_running_s == 3.0
    ledger.charge(charge(2, day="2023-11-15"))
    assert ledger.maybe_running_s == 0.0
    last = charge(3, **TREAT | {"day": "2023-11-15"})
    ledger.charge(last)
    assert ledger.maybe_running_s == 3.0
    ledger.close(last, Delivery.UNCERTAIN)
    assert ledger.maybe_running_s == 0.0


def test_counts_grow_by_the_side_of_the_purpose() -> None:
    assert Counts(session=1).plus(2, Purpose.PROBE) == Counts(target_session=2, session=3, day=2)
    assert Counts().plus(2, Purpose.TREATMENT) == Counts(
        treatment_session=2, treatment_day=2, treatment_course=2
    )
