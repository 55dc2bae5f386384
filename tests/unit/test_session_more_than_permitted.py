"""Accounts of commands that may have given more than permitted: bounds, their own pulses, one word in both records."""

from __future__ import annotations

from itertools import pairwise

import pytest
from test_session_accounts import TEN, pulse, receipt, seen
from test_session_stations import said_no

from rtloop.model.event import Event
from rtloop.model.pulse import Delivery, FireReceipt, Outcome
from rtloop.model.status import Fault
from rtloop.record.verify import Findings
from rtloop.record.verify_pulses import check_pulses
from rtloop.safety.gate import GateResult
from rtloop.session.accounts import LATEST_S, NEXT_WITHIN_S, NOT_SEEN_AFTER_S, Accounts, accounted_dict
from rtloop.session.tally import Tally

UNCERTAIN = FireReceipt(
    delivery=Delivery.UNCERTAIN, t_sent_s=2.0, t_reply_s=2.01, status=None, pulses_min=0, pulses_max=20
)


def closing(low: int, high: int, n: int = 1) -> dict[str, object]:
    return {"pulse_id": n, "delivery": "uncertain", "delivered_min": low, "delivered_max": high}


def panel_train(most: int = 20) -> Accounts:
    """A single pulse sent at 2.0 s by a unit that was set to a train."""
    a = Accounts()
    a.closed(pulse(), Outcome.UNCERTAIN, 2.0, UNCERTAIN, 1, closing=closing(0, most))
    return a


def faults_of(a: Accounts, times_s: list[float]) -> list[Fault]:
    return [fault for t_s in times_s if (fault := a.saw(seen(t_s))[1]) is not None]


def test_all_pulses_of_a_panel_train_are_its_commands_and_the_next_is_nobodys() -> None:
    a = panel_train()
    train = [2.005 + 0.1 * k for k in range(20)]
    assert faults_of(a, train) == []
    assert faults_of(a, [train[-1] + 0.1]) == [Fault.PULSE_UNCOMMANDED]
    (row,) = a.settled(train[-1])
    d = accounted_dict(row, "run")
    assert (d["delivered_min"], d["delivered_max"], d["seen"], d["commanded"], d["ok"]) == (
        20,
        20,
        20,
        1,
        False,
    )
    assert d["words"] == "delivered: 20, since it was seen; more than the 1 permitted may have been given"


def test_they_are_its_own_only_while_they_follow_one_another() -> None:
    a = panel_train()
    last_s = 2.005
    for step_s in (0.1, NEXT_WITHIN_S + LATEST_S, 1.0):
        assert faults_of(a, [last_s, last_s + step_s]) == []
        last_s += step_s
    assert faults_of(a, [last_s + NEXT_WITHIN_S + LATEST_S + 0.01]) == [Fault.PULSE_UNCOMMANDED]


def test_a_pulse_that_gave_no_more_than_permitted_owns_no_later_one() -> None:
    a = Accounts()
    a.closed(pulse(), Outcome.UNCERTAIN, 2.0, UNCERTAIN, 1, closing=closing(0, 1))
    assert faults_of(a, [2.005, 2.105]) == [Fault.PULSE_UNCOMMANDED]


def test_its_record_is_closed_once_after_its_last_pulse_and_a_missing_one_as_soon_as_any() -> None:
    a = panel_train()
    assert not a.overdue(2.0 + NOT_SEEN_AFTER_S)
    assert len(a.overdue(2.001 + NOT_SEEN_AFTER_S)) == 1
    a, told = panel_train(), 0
    times_s = [2.005 + 0.5 * k for k in range(8)]  # EA cut it
    for t_s, next_s in pairwise([*times_s, 9.0]):
        assert faults_of(a, [t_s]) == []
        told += len(a.settled(t_s + 0.4 if next_s < 9.0 else next_s))
    assert told == 1


def test_a_train_that_gave_more_keeps_the_bound_and_the_pulses_after_its_end() -> None:
    a = Accounts()
    a.closed(pulse(train=TEN), Outcome.FIRED, 2.0, receipt())
    assert faults_of(a, [2.01 + 0.1 * k for k in range(10)]) == []
    assert a.train_ended(receipt(10, 50), closing(10, 50)) is None
    assert faults_of(a, [3.01 + 0.1 * k for k in range(40)]) == []
    assert faults_of(a, [7.05]) == [Fault.PULSE_UNCOMMANDED]
    (row,) = a.settled(7.1)
    assert (row.delivered, row.beyond) == ((50, 50), True)


def test_a_train_of_which_more_was_seen_than_the_unit_tells_is_a_fault_and_keeps_what_was_seen() -> None:
    t = Tally(accounts=Accounts(), blocks={1: "run"})
    t.closed(pulse(train=TEN), GateResult(outcome=Outcome.FIRED, receipt=receipt()), 2.0, 7)
    assert faults_of(t.accounts, [2.01 + 0.1 * k for k in range(6)]) == []
    over = GateResult(outcome=Outcome.UNCERTAIN, receipt=receipt(3, 5), closing=closing(3, 6))
    (closed,) = t.train_over(over)
    assert closed.fault == (Fault.PULSE_UNCOMMANDED, "pulse 1: 6 seen, more than the unit says that it gave")
    assert (closed.data["delivered_min"], closed.data["delivered_max"]) == (3, 6)
    (account,) = [news.data for news in t.look(99.0)]
    assert (account["delivered_min"], account["delivered_max"], account["ok"]) == (6, 6, False)
    assert "6 seen, more than the unit says that it gave" in account["words"]


def test_what_a_train_gives_beyond_its_end_is_a_fault_at_once_and_its_own_until_its_bounds_are_known() -> (
    None
):
    """The bounds never lie below what was seen of it (``Gate.train_over``): counted there, and not one by one besides."""
    a = Accounts()
    a.closed(pulse(train=TEN), Outcome.FIRED, 2.0, receipt())
    train = [2.01 + 0.1 * k for k in range(30)]
    assert faults_of(a, train[:10]) == []
    assert [a.saw(seen(t_s)) for t_s in train[10:16]] == [(a.rows[0], Fault.PULSE_UNCOMMANDED)] * 6
    assert a.train_ended(receipt(10, 30), closing(10, 30)) is None  # that was told
    assert faults_of(a, train[16:]) == []
    assert faults_of(a, [train[-1] + 0.1]) == [Fault.PULSE_UNCOMMANDED]
    assert [len(row.sightings) for row in a.rows] == [30, 1]


@pytest.mark.parametrize("seen_s", [1.4, 1.7, 2.0, 2.39])
def test_a_pulse_whose_sending_is_not_known_may_be_seen_from_when_it_was_asked_for(seen_s: float) -> None:
    """No answer came: the last instant at which it can have been sent is not the first."""
    a = Accounts()
    a.closed(pulse(), Outcome.UNCERTAIN, 2.0, said_no(None, Delivery.UNCERTAIN), 1, from_s=1.4)
    assert faults_of(a, [1.38]) == [Fault.PULSE_UNCOMMANDED]
    assert faults_of(a, [seen_s]) == []


def test_a_sent_pulse_is_seen_only_from_when_it_was_sent() -> None:
    a = Accounts()
    a.closed(pulse(), Outcome.UNCERTAIN, 2.0, UNCERTAIN, 1, from_s=1.4)
    assert faults_of(a, [1.7]) == [Fault.PULSE_UNCOMMANDED]


# -- both records ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blind", ["", "no EEG here"])
@pytest.mark.parametrize("n_seen", [0, 1, 5, 20])
@pytest.mark.parametrize("told", [(0, 1), (0, 20), (3, 20), (1, 1)])
def test_the_account_says_what_the_dose_is_counted_by(told: tuple[int, int], n_seen: int, blind: str) -> None:
    t = Tally(accounts=Accounts(), blocks={1: "run"}, blind=blind)
    result = GateResult(outcome=Outcome.UNCERTAIN, receipt=UNCERTAIN, closing=closing(*told))
    news = list(t.closed(pulse(), result, 2.0, 7))
    n_seen = 0 if blind else min(n_seen, told[1])
    for k in range(n_seen):
        t.accounts.saw(seen(2.01 + 0.1 * k))
    news += t.look(99.0)
    close, account = (next(n.data for n in news if n.kind == f"pulse_{k}") for k in ("closed", "accounted"))
    assert (close["delivered_min"], close["delivered_max"]) == told
    assert (account["delivered_min"], account["delivered_max"]) == (max(told[0], n_seen), told[1])
    assert problems(close, account) == []


def test_a_trial_that_may_have_been_a_train_is_settled_by_its_account() -> None:
    t = Tally(accounts=Accounts(), blocks={1: "run"})
    t.closed(
        pulse(), GateResult(outcome=Outcome.UNCERTAIN, receipt=UNCERTAIN, closing=closing(0, 20)), 2.0, 7
    )
    t.accounts.saw(seen(2.01))
    assert [news.settles for news in t.look(99.0)] == [pulse()]
    t.closed(pulse(), GateResult(outcome=Outcome.FIRED, receipt=receipt(), closing=closing(1, 1)), 102.0, 8)
    t.accounts.saw(seen(102.01))
    assert [news.settles for news in t.look(199.0)] == [None]


def problems(close: dict[str, object], account: dict[str, object]) -> list[str]:
    """What ``rtloop verify`` finds wrong with the records of one pulse."""
    intent = {"pulse_id": 1, "permit_id": account["permit_id"], "target": "M1", "power_pct_mso": 45}
    told = [("pulse_intended", intent), ("pulse_closed", close)]
    told += [
        ("pulse_seen", {"pulse_id": 1, "sample": k, "source": "trigger"})
        for k in range(int(str(account["seen"])))
    ]
    told += [("pulse_not_seen", {"pulse_id": 1})] * (not account["seen"])
    told.append(("pulse_accounted", account))
    out = Findings()
    check_pulses(
        [Event(n=n, t_s=0.0, utc="", kind=kind, data=data) for n, (kind, data) in enumerate(told)], None, out
    )
    return [line for line in out.lines if line.startswith("PROBLEM")]


@pytest.mark.parametrize(
    ("close", "account", "wrong"),
    [
        ((0, 20), (0, 20, 0), ""),
        ((0, 20), (7, 20, 7), ""),
        ((3, 20), (3, 20, 1), ""),
        ((None, None), (1, 1, 1), ""),  # an older journal: a word alone
        ((0, 20), (0, 1, 0), "closed as 0 to 20 delivered, its account says 0 to 1 with 0 seen"),
        ((0, 1), (0, 20, 0), "closed as 0 to 1 delivered, its account says 0 to 20 with 0 seen"),
        ((3, 20), (0, 20, 0), "its account says 0 to 20"),
        ((0, 20), (0, 20, 7), "its account says 0 to 20 with 7 seen"),
        ((1, None), (1, 1, 1), "closed as 1 to None delivered"),
        (("0", 1), (0, 1, 0), "closed as 0 to 1 delivered"),
    ],
)
def test_verify_holds_the_closing_and_the_account_against_each_other(
    close: tuple[object, object], account: tuple[int, int, int], wrong: str
) -> None:
    bounds = {} if close == (None, None) else {"delivered_min": close[0], "delivered_max": close[1]}
    low, high, n_seen = account
    found = problems(
        {"pulse_id": 1, "outcome": "uncertain", **bounds},
        {"pulse_id": 1, "permit_id": 7, "commanded": 1, "permitted": True, "sent": True, "delivered_min": low,
         "delivered_max": high, "seen": n_seen},
    )  # fmt: skip
    assert bool(found) is bool(wrong)
    assert all(wrong in line for line in found)
