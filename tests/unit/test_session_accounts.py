"""One record a pulse: stations, bounds of trains, pairs, uncertain pulses, and the loopback delay as a condition."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rtloop.app.config import Site
from rtloop.app.opening import band_of, expected_delay_s
from rtloop.model.event import Event
from rtloop.model.pulse import Delivery, FireReceipt, Outcome, Pair, Pulse, PulseSeen, Purpose, Source, Train
from rtloop.model.status import Fault
from rtloop.model.view import View, fold
from rtloop.record.commissioning import StepFound
from rtloop.safety.gate import GateResult
from rtloop.session.accounts import BOUNDS_WITHIN_S, NOT_SEEN_AFTER_S, Accounts, accounted_dict, seen_dict
from rtloop.session.loopback import COMMISSIONED, LEARNT, NEWEST, OFF_S, SITE, Band, Loopback, band_words
from rtloop.session.tally import Tally

TEN = Train(frequency_hz=10.0, n_pulses=10)


def pulse(n: int = 1, **more: Any) -> Pulse:
    return Pulse(pulse_id=n, target="M1", purpose=Purpose.MAPPING, power_pct_mso=45, power_pct_rmt=None, due_s=0.0,
                 deadline_s=1.0, **more)  # fmt: skip


def seen(t_s: float, *sources: Source) -> PulseSeen:
    told = sources or (Source.TRIGGER, Source.ARTIFACT)
    return PulseSeen(sample=round(1000 * t_s), source=told[0], t_s=t_s, sources=told)


def receipt(low: int | None = None, high: int | None = None) -> FireReceipt:
    return FireReceipt(
        delivery=Delivery.DELIVERED,
        t_sent_s=2.0,
        t_reply_s=2.01,
        status=None,
        pulses_min=low,
        pulses_max=high,
    )


def train_given(n_seen: int, low: int = 10, high: int = 10) -> tuple[Accounts, list[Fault]]:
    """A train sent at 2.0 s, ended with these bounds, of which ``n_seen`` pulses were seen."""
    a, faults = Accounts(), []
    a.closed(pulse(train=TEN), Outcome.FIRED, 2.0, receipt())
    for k in range(n_seen):
        faults += [f for f in (a.saw(seen(2.01 + 0.1 * k))[1],) if f]
    faults += [f for f in (a.train_ended(receipt(low, high)),) if f]
    return a, faults


def test_a_whole_train_is_accounted_for_exactly() -> None:
    a, faults = train_given(10)
    assert faults == []
    (row,) = a.settled(3.0)
    d = accounted_dict(row, "run")
    assert (d["delivered_min"], d["delivered_max"], d["seen"], d["commanded"], d["ok"]) == (
        10,
        10,
        10,
        10,
        True,
    )
    assert (d["seen_trigger"], d["seen_artifact"], d["seen_marker"]) == (10, 10, 0)
    assert d["acknowledged"]
    assert not a.settled(99.0)  # told once


def test_one_pulse_more_than_the_train_can_have_given_is_uncommanded() -> None:
    a, faults = train_given(10)
    assert a.saw(seen(3.05))[1] is Fault.PULSE_UNCOMMANDED
    a, faults = train_given(11)
    assert faults == [Fault.PULSE_UNCOMMANDED]
    a, faults = train_given(6, low=3, high=5)  # cut short, and one more was seen than its bounds allow
    assert faults == [Fault.PULSE_UNCOMMANDED]


def test_a_train_that_was_cut_short_lies_within_its_bounds() -> None:
    a, faults = train_given(4, low=3, high=5)
    assert faults == []
    end_s = 2.0 + TEN.last_pulse_after_s
    assert not a.overdue(end_s + NOT_SEEN_AFTER_S + 0.1)
    (row,) = a.settled(end_s + NOT_SEEN_AFTER_S + 0.1)
    d = accounted_dict(row, "run")
    assert (d["delivered_min"], d["delivered_max"], d["seen"], d["ok"]) == (4, 5, 4, True)
    assert "4 to 5, counted as 5" in d["words"]


def test_too_few_pulses_of_a_train_are_missing_once_and_not_before_its_end() -> None:
    a, _ = train_given(7)
    due_s = 2.0 + TEN.last_pulse_after_s + NOT_SEEN_AFTER_S
    assert not a.overdue(due_s - 0.01)
    (row,) = a.overdue(due_s + 0.01)
    assert row.expected_seen == 10
    assert not a.overdue(due_s + 1.0)
    assert not accounted_dict(row, "run")["ok"]


def test_a_train_without_bounds_is_closed_in_time_all_the_same() -> None:
    a = Accounts()
    a.closed(pulse(train=TEN), Outcome.FIRED, 2.0, receipt())
    late_s = 2.0 + TEN.last_pulse_after_s + BOUNDS_WITHIN_S
    assert not a.settled(late_s - 0.01)
    assert len(a.settled(late_s + 0.01)) == 1


def test_an_uncertain_pulse_that_is_seen_is_delivered_and_one_that_is_not_stays_counted() -> None:
    a = Accounts()
    a.closed(pulse(), Outcome.UNCERTAIN, 2.0)
    a.saw(seen(2.01))
    (row,) = a.settled(2.1)
    d = accounted_dict(row, "run")
    assert (d["delivery"], d["delivered_min"], d["delivered_max"]) == ("delivered", 1, 1)
    b = Accounts()
    b.closed(pulse(), Outcome.UNCERTAIN, 2.0)
    assert b.overdue(9.0)
    (row,) = b.settled(9.0)
    d = accounted_dict(row, "run")
    assert (d["delivery"], d["delivered_min"], d["delivered_max"]) == ("uncertain", 0, 1)
    assert "counted as 1" in d["words"]


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.MISSED])
def test_a_pulse_seen_after_a_command_that_gave_nothing_is_uncommanded(outcome: Outcome) -> None:
    """Sent, and the unit said no: the dose was released, so the pulse must be counted anew."""
    a = Accounts()
    a.closed(pulse(), outcome, 2.0)
    row, fault = a.saw(seen(2.01))
    assert (row.pulse, fault) == (None, Fault.PULSE_UNCOMMANDED)


@pytest.mark.parametrize(
    ("interval_ms", "n_seen", "ok"), [(5.0, 1, True), (200.0, 1, False), (200.0, 2, True)]
)
def test_a_pair_is_two_pulses_and_may_show_as_one_where_they_are_close(
    interval_ms: float, n_seen: int, ok: bool
) -> None:
    a = Accounts()
    a.closed(pulse(pair=Pair(power_b_pct_mso=40, interval_ms=interval_ms)), Outcome.FIRED, 2.0)
    for k in range(n_seen):
        assert a.saw(seen(2.01 + k * interval_ms / 1e3))[1] is None
    assert bool(a.overdue(5.0)) is not ok
    (row,) = a.settled(5.0)
    assert accounted_dict(row, "run")["delivered_max"] == 2


def test_a_pulse_found_late_closes_its_record_again() -> None:
    a = Accounts()
    a.closed(pulse(), Outcome.FIRED, 2.0)
    assert a.overdue(4.0)
    assert not accounted_dict(a.settled(4.0)[0], "run")["ok"]
    a.saw(seen(2.01))
    (row,) = a.settled(4.1)
    assert accounted_dict(row, "run")["ok"]


def test_trigger_and_artifact_are_separate_facts_and_old_journals_still_read() -> None:
    alone = PulseSeen(
        sample=5, source=Source.TRIGGER, t_s=2.01, sources=(Source.TRIGGER,), alarm="no artifact in the EEG"
    )
    a = Accounts()
    a.closed(pulse(), Outcome.FIRED, 2.0)
    row, _ = a.saw(alone)
    d = accounted_dict(row, "run")
    assert (d["seen_trigger"], d["seen_artifact"], d["ok"]) == (1, 0, True)
    assert "no artifact" in d["words"]
    new = seen_dict(seen(2.0)) | {"pulse_id": 1}
    old = {k: v for k, v in new.items() if k != "sources"} | {"checked_by": "artifact"}
    for data in (new, old):
        event = Event(n=0, t_s=0.0, utc="2026-01-01T00:00:00+00:00", kind="pulse_seen", data=data)
        p = fold(View(), event).pulses[1]
        assert (p["n_seen"], p["seen_trigger"], p["seen_artifact"], p["seen_marker"]) == (1, 1, 1, 0)
        twice = fold(fold(View(), event), event).pulses[1]
        assert (twice["n_seen"], twice["sample"]) == (2, 2000)


# -- the loopback delay ---------------------------------------------------------------------------------------------


def follow(loop: Loopback, delays_s: list[float]) -> list[str]:
    said = []
    for delay_s in delays_s:
        if loop.took(seen(5.0 + delay_s), 5.0):
            said.append(loop.words)
    return said


def test_the_first_pulses_are_what_is_expected_where_nothing_was_commissioned() -> None:
    loop = Loopback()
    assert follow(loop, [0.0115] * NEWEST) == [""]
    assert loop.numbers()["learnt"]
    assert loop.expected_s == pytest.approx(0.0115)
    assert follow(loop, [0.0115 + 0.9 * OFF_S] * 10) == []


@pytest.mark.parametrize("moved_s", [OFF_S + 0.001, -OFF_S - 0.001])
def test_a_delay_that_moved_is_told_and_comes_back(moved_s: float) -> None:
    loop = Loopback(Band(expected_s=0.012))
    assert follow(loop, [0.012] * NEWEST) == []
    said = follow(loop, [0.012 + moved_s] * NEWEST)
    assert len(said) == 1
    assert "expected 12.0 ± 5.0 ms" in said[0]
    assert follow(loop, [0.012] * NEWEST) == [""]


def test_a_few_late_pulses_are_no_moved_delay() -> None:
    loop = Loopback(Band(expected_s=0.012))
    assert follow(loop, [0.012, 0.030, 0.012, 0.029, 0.012] * 4) == []


def test_markers_and_host_times_say_nothing_of_the_delay() -> None:
    loop = Loopback(Band(expected_s=0.012))
    for _ in range(10):
        assert not loop.took(seen(5.2, Source.MARKER), 5.0)
        assert not loop.took(seen(5.2), None)
    assert loop.numbers()["n"] == 0


@pytest.mark.parametrize(
    "bad", [{"off_s": 0.0}, {"off_s": math.nan}, {"expected_s": math.nan}, {"newest": 0}]
)
def test_a_band_that_could_never_refuse_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"band|delay"):
        Band(**bad)


def test_the_tally_makes_a_fault_of_a_moved_delay_and_of_a_missing_pulse() -> None:
    tally = Tally(accounts=Accounts(), loopback=Loopback(Band(expected_s=0.012)))
    faults = []
    for n in range(1, NEWEST + 1):
        tally.blocks[n] = "run"
        tally.closed(
            pulse(n), GateResult(outcome=Outcome.FIRED, receipt=receipt(), closing={"pulse_id": n}), 2.0 * n
        )
        sight = seen(2.0 * n + 0.020)
        row, _ = tally.accounts.saw(sight)
        faults += [news.fault[0] for news in tally.saw(row, sight) if news.fault]
    assert faults == [Fault.LATENCY_OFF]
    assert [news.kind for news in tally.look(20.0)] == ["pulse_accounted"] * NEWEST
    tally.blocks[9] = "run"
    tally.closed(
        pulse(9), GateResult(outcome=Outcome.FIRED, receipt=receipt(), closing={"pulse_id": 9}), 30.0
    )
    kinds = [(news.kind, news.fault and news.fault[0]) for news in tally.look(31.0)]
    assert kinds == [("pulse_not_seen", Fault.PULSE_NOT_SEEN), ("pulse_accounted", None)]


def test_a_train_is_started_then_closed_with_its_bounds() -> None:
    tally = Tally(accounts=Accounts(), blocks={1: "run"})
    (started,) = tally.closed(pulse(train=TEN), GateResult(outcome=Outcome.FIRED, receipt=receipt()), 2.0)
    assert started.kind == "train_started"
    assert started.data["n_pulses"] == 10
    over = GateResult(
        outcome=Outcome.FIRED, receipt=receipt(10, 10), closing={"pulse_id": 1, "delivery": "delivered"}
    )
    (closed,) = tally.train_over(over)
    assert (closed.kind, closed.data["delivered_min"], closed.data["t_sent_s"]) == ("pulse_closed", 10, 2.0)
    assert tally.train_over(over) == ()


@pytest.mark.req("R-DELAY")
def test_what_was_commissioned_is_what_is_expected() -> None:
    def step(name: str, passed: bool = True, **numbers: float) -> StepFound:
        return StepFound(step=name, done="", expected="", found="", passed=passed, observed_by="program",
                         utc="2026-01-01T00:00:00+00:00", numbers=numbers)  # fmt: skip

    walk = [step("identity"), step("pulses", pulse_delay_ms_median=7.5), step("stop")]
    assert expected_delay_s(walk) == pytest.approx(0.0075)
    assert expected_delay_s([step("pulses", passed=False, pulse_delay_ms_median=7.5)]) is None
    assert expected_delay_s([step("pulses")]) is None

    def record(*steps: StepFound) -> Any:
        return type("Record", (), {"steps": steps})()

    says = Site(data_dir="d", loopback={"expected_ms": 12.0, "off_ms": 3.0, "newest": 7})  # type: ignore[arg-type]
    for site, of, expected_s, whose in (
        (says, record(*walk), 0.0075, COMMISSIONED), (says, record(step("pulses")), 0.012, SITE), (says, None, 0.012, SITE),
        (Site(data_dir="d"), record(*walk), 0.0075, COMMISSIONED), (Site(data_dir="d"), None, None, LEARNT),
    ):  # fmt: skip
        band = band_of(site, of)
        assert band.expected_s == (None if expected_s is None else pytest.approx(expected_s))
        assert band.whose == whose
        assert (band.off_s, band.newest) == ((0.003, 7) if site is says else (OFF_S, NEWEST))
        assert (whose in band_words(band.data())) is (whose != LEARNT)
    assert "to be learnt" in band_words(Band().data())
