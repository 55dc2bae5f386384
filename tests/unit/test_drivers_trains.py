"""What was given of a train, by what the unit said and when; and the driver's own pacing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from drivers.magstim.units import facts_of
from drivers.pacing import Pace
from drivers.train_run import GIVE_UP_S, START_S, TrainRun
from rtloop.model.pulse import Delivery, Train

TRAIN = Train(frequency_hz=10, n_pulses=20)
FACTS = facts_of("super-rapid")


@dataclass
class Case:
    """Words of the unit: (asked, replied, running); EA at ``cut_s``; what must come of it."""

    seen: list[tuple[float, float, bool]]
    least: int
    most: int
    cut_s: float | None = None
    stops: bool = False
    acknowledged: bool = True
    fail: str = ""
    end_s: float = 10.0
    name: str = field(default="")


CASES = [
    Case([(0.5, 0.51, True), (1.88, 1.89, True), (2.0, 2.01, False)], 20, 20, name="to its end"),
    Case([(0.5, 0.51, True), (1.7, 1.71, True), (1.89, 1.895, False)], 17, 20, name="off too early"),
    Case([(0.5, 0.51, True), (2.5, 2.51, False)], 5, 20, name="not looked at for too long"),
    Case([(0.01, 0.02, False)], 0, 20, name="never on"),
    Case([], 0, 20, name="nothing said"),
    Case([(0.02, 0.03, True)], 0, 20, fail="gone", name="lost before a pulse is certain"),
    Case([(1.0, 1.01, True)], 10, 20, fail="gone", name="lost in the middle"),
    Case([(1.0, 1.01, True), (1.9, 2.6, True)], 19, 20, name="never off"),
    Case([(1.0, 1.01, True), (1.2, 1.21, False)], 10, 20, cut_s=1.1, name="cut"),
    Case([(1.0, 1.01, True), (1.2, 1.21, False)], 10, 14, cut_s=1.1, stops=True, name="cut, stops"),
    Case([(1.0, 1.01, True)], 10, 20, cut_s=1.1, stops=True, name="cut, stops, never seen off"),
    Case(
        [(1.0, 1.01, True), (1.2, 1.21, True), (1.96, 1.97, True), (2.0, 2.01, False)], 20, 20, cut_s=1.1,
        name="cut, and seen to run on past its last pulse",
    ),
    Case(
        [(1.0, 1.01, True), (1.2, 1.21, True), (1.88, 1.89, True), (2.0, 2.01, False)], 19, 20, cut_s=1.1,
        name="cut, and seen to run on until its last pulse",
    ),
    Case([(1.85, 1.86, True), (2.0, 2.01, False)], 19, 20, cut_s=1.88, name="cut close to its end"),
    Case([(1.88, 1.89, True), (2.06, 2.07, False)], 20, 20, cut_s=2.06, name="cut after its end"),
    Case([(1.0, 1.01, True), (2.0, 2.01, False)], 10, 20, acknowledged=False, name="gap, not acknowledged"),
    Case(
        [(1.0, 1.01, True), (1.88, 1.89, True), (2.0, 2.01, False)], 20, 20, acknowledged=False,
        name="not acknowledged, seen to run to its end",
    ),
]  # fmt: skip


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bounds_by_what_the_unit_said(case: Case) -> None:
    run = TrainRun(TRAIN, t_sent_s=0.0, t_reply_s=0.005 if case.acknowledged else None, stops=case.stops)
    run.told(run.train.n_pulses, "")
    events = [(asked_s, replied_s, on) for asked_s, replied_s, on in case.seen]
    for asked_s, replied_s, on in events:
        if case.cut_s is not None and case.cut_s <= asked_s:
            run.cut(case.cut_s)
        run.seen(running=on, t_asked_s=asked_s, t_reply_s=replied_s)
    if case.cut_s is not None:
        run.cut(case.cut_s)
    if case.fail:
        run.fail(case.fail)
    assert run.over(case.end_s)
    receipt = run.receipt(None)
    assert (receipt.pulses_min, receipt.pulses_max) == (case.least, case.most)
    assert (receipt.delivery is Delivery.DELIVERED) == (case.least == case.most)
    assert bool(receipt.reason) == (receipt.delivery is Delivery.UNCERTAIN)


def test_a_train_too_short_to_be_seen_needs_its_acknowledgement() -> None:
    short = Train(frequency_hz=50, n_pulses=5)
    for t_reply_s, least in ((0.005, 5), (None, 0)):
        run = TrainRun(short, t_sent_s=0.0, t_reply_s=t_reply_s, stops=False)
        run.told(run.train.n_pulses, "")
        run.seen(running=False, t_asked_s=0.15, t_reply_s=0.16)
        assert run.receipt(None).pulses_min == least


def test_a_silent_train_is_over_in_time_and_not_before() -> None:
    run = TrainRun(TRAIN, t_sent_s=0.0, t_reply_s=0.005, stops=False)
    run.told(run.train.n_pulses, "")
    assert not run.over(TRAIN.duration_s)
    assert run.over(TRAIN.duration_s + START_S + GIVE_UP_S)
    assert START_S + GIVE_UP_S <= 0.5


def test_the_unit_is_asked_closely_around_the_end_only() -> None:
    run = TrainRun(TRAIN, t_sent_s=0.0, t_reply_s=0.005, stops=False)
    run.told(run.train.n_pulses, "")
    assert run.look_every_s(0.5, 0.4) == 0.4
    assert 0.5 < 1.6 + run.look_every_s(1.6, 0.4) <= 1.9 - 0.1
    assert run.look_every_s(1.85, 0.4) == pytest.approx(0.02)


# ---- pacing


@pytest.mark.req("R-RATE")
def test_after_a_train_the_wait_counts_from_its_end() -> None:
    pace, train = Pace(), Train(frequency_hz=20, n_pulses=40)
    pace.given(0.0, 60, train)
    wait_s = FACTS.min_interval_s(60, train)
    assert wait_s > 1
    assert "the end of a train" in pace.refusal(FACTS, 2.0 + wait_s - 0.001, 60, None)
    assert pace.refusal(FACTS, 2.0 + wait_s, 60, None) == ""
    pace.ended(2.3)
    assert pace.refusal(FACTS, 2.0 + wait_s, 60, None)
    pace.ended(1.0)  # cut short: never counted as shorter
    assert pace.refusal(FACTS, 2.2 + wait_s, 60, None)
    assert pace.refusal(FACTS, 2.3 + wait_s, 60, None) == ""


@pytest.mark.req("R-RATE")
def test_single_pulses_of_a_rapid_at_one_hertz() -> None:
    pace = Pace()
    assert pace.refusal(FACTS, 0.0, 40, None) == ""
    pace.given(0.0, 40, None)
    assert pace.refusal(FACTS, 0.999, 40, None)
    assert pace.refusal(FACTS, 0.999, 40, Train(frequency_hz=10, n_pulses=10))
    assert pace.refusal(FACTS, math.nan, 40, None)
    assert pace.refusal(FACTS, 1.0, 40, None) == ""
    assert pace.refusal(FACTS, 1.0, 40, Train(frequency_hz=10, n_pulses=10)) == ""


def test_what_was_not_sent_takes_nothing() -> None:
    pace, train = Pace(), Train(frequency_hz=10, n_pulses=100)
    pace.given(0.0, 40, None)
    pace.given(5.0, 80, train)
    pace.taken_back()
    assert pace.refusal(FACTS, 1.0, 40, None) == ""
    assert pace.joules_a_minute(6.0, 80, train) == pytest.approx(100 * 252 * 0.64)


def test_a_minute_of_trains_holds_its_energy_at_any_moment() -> None:
    """Against a slow twin that slides a minute over everything given."""
    train, power = Train(frequency_hz=15, n_pulses=150), 100  # 10 s, 37.8 kJ
    facts = facts_of("super-rapid")

    def twin(starts: list[float]) -> float:
        def held(first_s: float) -> float:
            return sum(252 * 15 * max(0.0, min(s + 10, first_s + 60) - max(s, first_s)) for s in starts)

        return max(held(k / 20 - 60) for k in range(20 * 200))

    for gap_s in (26.0, 30.0, 36.0, 49.9, 50.0, 60.0):
        pace = Pace()
        pace.given(0.0, power, train)
        start_s = 10.0 + gap_s
        assert pace.joules_a_minute(start_s, power, train) == pytest.approx(twin([0.0, start_s]), rel=0.01)
        refused = bool(pace.refusal(facts, start_s, power, train))
        assert refused == (twin([0.0, start_s]) > 63000), gap_s


def test_the_units_own_rules_are_looked_at_again() -> None:
    assert "Hz on this unit" in Pace().refusal(FACTS, 0.0, 100, Train(frequency_hz=30, n_pulses=30))
