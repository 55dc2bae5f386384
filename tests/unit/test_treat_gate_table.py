"""What the record tells of gated trains: rows, shares, waits with their interval, and a control's waits against gated ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from treat_tools import GATE, GOOD, spoiled

from rtloop.plan.treat_load import parse_treatment
from rtloop.plan.treat_schema import StateGate
from rtloop.treat.calibrating import Calibrated
from rtloop.treat.gate_table import GateTable, Waits, control_against_gated, gate_table

SERIES = (0.9, 0.9, 0.1, 0.9)
CALIBRATED = Calibrated(
    limit=0.5, low=0.4, high=0.6, windows=SERIES, values=SERIES, spoiled={"muscle": 3}, took_s=100.0
)


def gate(by: str = "state") -> StateGate:
    found = parse_treatment(GOOD + spoiled(GATE, ('begin_by = "state"', f'begin_by = "{by}"'))).gate
    assert found is not None
    return found


def opened(train: int, by: str, waited_s: float, give: bool = True) -> tuple[str, dict[str, Any]]:
    return "gate_opened", {
        "train": train, "by": by, "give": give, "value": 0.3, "judged": 0.3 if by != "time_out" else None, "limit": 0.5,
        "waited_s": waited_s, "looks": 4, "valid": 3,
    }  # fmt: skip


def given(train: int, most: int = 40) -> tuple[str, dict[str, Any]]:
    return "train_given", {"train": train, "delivered_max": most}


def table(waits_s: list[float], by: str = "state") -> GateTable:
    calibrated = json.loads(json.dumps(CALIBRATED.data(gate(by))))
    events = [("gate_calibrated", calibrated)]
    for train, waited_s in enumerate(waits_s, 1):
        events += [opened(train, by, waited_s), given(train)]
    found = gate_table(events)
    assert found is not None
    return found


def test_rows_shares_and_waits() -> None:
    calibrated = json.loads(json.dumps(CALIBRATED.data(gate())))
    found = gate_table([
        ("session_started", {}), ("gate_calibrated", calibrated), opened(1, "state", 2.0), given(1), opened(2, "state", 9.0),
        opened(2, "state", 4.0), given(2), opened(3, "time_out", 20.0), given(3), opened(4, "time_out", 20.0, give=False),
        opened(5, "no_stream", 20.0, give=False), opened(6, "state", 0.0), given(6, most=0),
    ])  # fmt: skip
    assert found is not None
    assert [(r.train, r.by, r.waited_s, r.given, r.tries) for r in found.rows] == [
        (1, "state", 2.0, True, 1), (2, "state", 4.0, True, 2), (3, "time_out", 20.0, True, 1), (4, "time_out", 20.0, False, 1),
        (5, "no_stream", 20.0, False, 1), (6, "state", 0.0, False, 1),
    ]  # fmt: skip
    assert found.share_by == {"state": pytest.approx(2 / 3), "time_out": pytest.approx(1 / 3)}
    assert found.waits == Waits(n=5, median_s=4.0, low_s=None, high_s=None)
    assert (found.expected_median_s, found.expected_time_out) == (0.75, 0.0)  # of 1.0, 0.5, 0.0, 1.5
    assert found.words() == (
        "3 gated trains: 67 % by state, 33 % by time-out; waits: median 4.0 s, 0.8 s by the rule on the calibration"
    )
    assert found.told() == (
        "5 trains waited: median 4.0 s, 0.8 s by the rule on the calibration; 2 until the time ran out "
        "(0 % by the rule on the calibration)"
    )
    assert json.loads(json.dumps(found.data()))["rows"][0]["limit"] == 0.5


def test_what_both_arms_are_told_is_the_same() -> None:
    waits = [1.0, 2.0, 3.5, 0.5, 7.0, 2.0, 1.5]
    assert table(waits).told() == table(waits, "control").told()
    assert table(waits).words() != table(waits, "control").words()
    assert "control" not in table(waits, "control").told()


def test_a_session_without_a_gate_has_no_table() -> None:
    assert gate_table([("session_started", {}), given(1)]) is None


def test_a_controls_waits_against_gated_ones() -> None:
    found = control_against_gated([table([1.0, 2.0, 3.0]), table([2.0], "control"), table([4.0], "control")])
    assert found is not None
    assert (found.gated.n, found.control.n, found.difference_s) == (3, 2, 1.0)
    assert found.control_longer == pytest.approx((1 + 0.5 + 0 + 1 + 1 + 1) / 6)
    assert control_against_gated([table([1.0])]) is None
    same = control_against_gated([table([1.0, 2.0, 3.0]), table([1.0, 2.0, 3.0], "control")])
    assert same is not None
    assert same.control_longer == 0.5
