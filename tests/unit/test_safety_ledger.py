"""The dose: charged before, released only by a plain "not delivered", the same live and folded."""

from __future__ import annotations

from typing import Any

import pytest

from rtloop.errors import IntegrityProblem
from rtloop.model.event import Event
from rtloop.model.pulse import Delivery
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
def test_contradictions_are_not_counted_over() -> None:
    with pytest.raises(IntegrityProblem, match="never intended"):
        Ledger.from_events(events(closed(7, "delivered")))
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
