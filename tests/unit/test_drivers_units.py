"""The facts of the units: against MagPy's own tables and formulas, and everything refused at once."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from magpy.magstim import Rapid

from drivers.magstim.units import (
    UNITS,
    device_limits,
    energy_j,
    facts_of,
    max_frequency_hz,
    on_time_s,
    train_refusals,
    train_wait_s,
)
from rtloop.errors import NotReady
from rtloop.model.pulse import Pair, Train

FAMILIES = {"rapid": 0, "super-rapid": 1, "super-rapid-plus": 2}


@pytest.mark.req("R-RATE")
@pytest.mark.parametrize("supply_v", [115, 240])
@pytest.mark.parametrize("model", FAMILIES)
def test_no_ceiling_is_above_magpys_table_and_none_rises_with_power(model: str, supply_v: int) -> None:
    facts, table = facts_of(model, supply_v=supply_v), Rapid.MAX_FREQUENCY[supply_v][FAMILIES[model]]
    ours = [max_frequency_hz(facts, power) for power in range(101)]
    assert all(hz <= table[power] for power, hz in enumerate(ours))
    assert ours == sorted(ours, reverse=True)
    changed = [power for power, hz in enumerate(ours) if hz != table[power]]
    assert changed == (list(range(80, 90)) if (model, supply_v) == ("super-rapid", 240) else [])


@pytest.mark.parametrize("model", ["200", "bistim", *FAMILIES])
def test_what_holds_for_every_unit(model: str) -> None:
    """Ramps as MagPy allows for them; the unit lets go after 1 s (standby 10 s) of silence, and is spoken to well before."""
    facts = UNITS[model]
    assert (facts.power_low_pct_mso, facts.power_high_pct_mso, facts.supply_v) == (0, 100, 240)
    assert (facts.ramp_s(40, 41), facts.ramp_s(0, 100)) == pytest.approx((0.01, 1.0))
    assert (facts.ramp_s(41, 40), facts.ramp_s(100, 0)) == pytest.approx((0.1, 10.0))
    assert facts.ramp_s(40, 40) == 0
    assert (facts.arm_s, facts.lets_go_armed_s) == (1.0, 1.0)
    assert (
        facts.keep_armed_s + 0.25 < 0.5 < facts.lets_go_armed_s
    )  # silence is told within 0.5 s: a reply has 0.25 s
    assert facts.keep_armed_s > 0.1  # the longest exchange has 38 ms
    assert facts.keep_standby_s == 2.0
    assert facts_of(model).capabilities.power_high_pct_mso == 100
    assert device_limits(model) == {"max_power_pct_mso": 100.0}


def test_a_unit_that_is_not_known_sets_no_limits() -> None:
    assert device_limits("rapid-3") == {}


def test_the_lower_of_the_published_ceilings_of_a_super_rapid_at_80() -> None:
    assert max_frequency_hz(facts_of("super-rapid", supply_v=240), 80) == 30
    assert max_frequency_hz(facts_of("super-rapid", supply_v=240), 79) == 36


def test_energy_is_never_below_magpys_rounded_table() -> None:
    for power in range(101):
        assert -0.0501 <= energy_j(power) - Rapid.JOULES[power] <= 0.21, power


def test_wait_and_on_time_are_magpys_formulas() -> None:
    for power in range(10, 101, 10):
        for f_hz in (1.0, 5.0, 10.0, 20.5, 50.0):
            for n in (2, 50, 1000):
                train = Train(frequency_hz=f_hz, n_pulses=n)
                joules = 252 * (power / 100) ** 2
                assert train_wait_s(power, train) == pytest.approx(
                    max(0.5, n * (f_hz * joules - 1050.0) / (1050.0 * f_hz))
                )
                assert train_wait_s(power, train) == pytest.approx(
                    Rapid.getRapidMinWaitTime(power, n, f_hz), rel=0.03, abs=0.01
                )
                assert on_time_s(power, f_hz) == pytest.approx(63000 / (joules * f_hz))
    assert on_time_s(5, 10) == pytest.approx(10000)
    assert on_time_s(0, 10) == math.inf


@pytest.mark.parametrize(
    ("power", "train", "words"),
    [
        (100, Train(frequency_hz=15.1, n_pulses=151), "at most 15 Hz"),
        (60, Train(frequency_hz=10, n_pulses=6001), "at most 6000"),
        (60, Train(frequency_hz=20, n_pulses=5), "no whole number of 0.1 s"),
        (20, Train(frequency_hz=30.5, n_pulses=61), "only whole numbers above 30 Hz"),
        (20, Train(frequency_hz=5, n_pulses=500), "at most 99.9 s"),
        (100, Train(frequency_hz=15, n_pulses=255), "at most 16.7 s a minute"),
        (50, Train(frequency_hz=20, n_pulses=1002), "at most 50.0 s a minute"),
        (20, Train(frequency_hz=30.1, n_pulses=301), "only whole numbers above 30 Hz"),
        (60, Train(frequency_hz=10.1, n_pulses=10), "no whole number of 0.1 s"),
        (101, Train(frequency_hz=5, n_pulses=5), "1 to 100 % MSO"),
        (0, Train(frequency_hz=5, n_pulses=5), "1 to 100 % MSO"),
        (math.nan, Train(frequency_hz=5, n_pulses=5), "no power"),
        (50.0, Train(frequency_hz=5, n_pulses=5), "no power"),
        (True, Train(frequency_hz=5, n_pulses=5), "no power"),
        (50, None, "no train"),
        (50, "10 Hz", "no train"),
    ],
)
def test_each_rule_refuses(power: object, train: object, words: str) -> None:
    facts = facts_of("rapid")
    if words == "at most 6000":
        facts = replace(facts, software=(9, 0, 0))  # an older one does not take its duration either
    reasons = train_refusals(facts, power, train)  # type: ignore[arg-type]
    assert len(reasons) == 1
    assert words in reasons[0]


def test_what_just_keeps_every_rule_is_not_refused() -> None:
    facts = facts_of("rapid")
    for power, f_hz, n in ((100, 15, 249), (50, 10, 999), (30, 50, 250), (60, 0.5, 2), (1, 10, 990), (50, 20, 1000),
        (20, 30, 60), (20, 29.9, 299), (20, 31, 31), (60, 10.1, 101)):  # fmt: skip
        assert train_refusals(facts, power, Train(frequency_hz=f_hz, n_pulses=n)) == ()


@pytest.mark.parametrize(
    ("software", "longest_s"), [((), 99.9), ((8, 9), 99.9), ((9,), 999.8), ((9, 0, 0), 999.8), ((10, 1), 999.8)]
)  # fmt: skip
def test_the_longest_train_by_the_digits_of_the_software(software: tuple[int, ...], longest_s: float) -> None:
    facts = replace(facts_of("rapid"), software=software)
    for f_hz, n in ((10, 999), (5, 4999)):
        reasons = train_refusals(facts, 20, Train(frequency_hz=f_hz, n_pulses=n))
        assert (reasons == ()) == (n / f_hz <= longest_s)
    reasons = train_refusals(facts, 20, Train(frequency_hz=2, n_pulses=2000))
    assert [f"at most {round(longest_s + 0.05, 0) - 0.1:g} s" in reason for reason in reasons] == [True]


@pytest.mark.parametrize(("n", "kept"), [(6000, True), (6001, False)])
def test_the_most_pulses_of_a_train(n: int, kept: bool) -> None:
    facts = replace(facts_of("rapid"), software=(9,))
    assert (train_refusals(facts, 20, Train(frequency_hz=10, n_pulses=n)) == ()) == kept


def test_all_reasons_come_at_once() -> None:
    reasons = train_refusals(facts_of("rapid"), 100, Train(frequency_hz=50.5, n_pulses=7000))
    assert len(reasons) == 6


def test_units_without_trains_or_pairs_say_so() -> None:
    train = Train(frequency_hz=5, n_pulses=5)
    for model in ("200", "bistim"):
        assert train_refusals(facts_of(model), 50, train) == (f"the model {model} gives no trains",)
    pair = Pair(power_b_pct_mso=40, interval_ms=3)
    assert facts_of("bistim").pair_refusals(pair) == ()
    for model in ("200", "rapid"):
        assert facts_of(model).pair_refusals(pair) == (f"the model {model} gives no pairs",)
    assert "no pair, but str" in facts_of("bistim").pair_refusals("3 ms")[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "power", "gap_s"),
    [
        ("200", 0, 2), ("200", 49, 2), ("200", 50, 3), ("200", 79, 3), ("200", 80, 4), ("200", 100, 4),
        ("bistim", 0, 4), ("bistim", 100, 4), ("rapid", 0, 1), ("rapid", 100, 1),
    ],
)  # fmt: skip
def test_the_gap_between_single_pulses(model: str, power: int, gap_s: float) -> None:
    facts = facts_of(model)
    assert facts.min_interval_s(power) == gap_s
    for none in (-1, 101, math.nan):
        with pytest.raises(ValueError, match="no such power"):
            facts.min_interval_s(none)  # type: ignore[arg-type]


def test_the_gap_after_a_train_is_at_least_half_a_second() -> None:
    facts = facts_of("rapid")
    assert facts.min_interval_s(20, Train(frequency_hz=5, n_pulses=5)) == 0.5
    assert facts.min_interval_s(100, Train(frequency_hz=15, n_pulses=150)) == pytest.approx(26.0)


def test_what_commissioning_saw_is_told_and_only_of_units_with_trains() -> None:
    assert facts_of("rapid", stops_running_train=True).capabilities.stops_running_train
    assert not facts_of("rapid").capabilities.stops_running_train
    assert not facts_of("200", stops_running_train=True).capabilities.stops_running_train


@pytest.mark.parametrize("supply_v", [0, 230, 240.0, True, "240", math.nan])
def test_an_unknown_supply_or_model_is_not_ready(supply_v: object) -> None:
    with pytest.raises(NotReady, match="supply"):
        facts_of("rapid", supply_v=supply_v)  # type: ignore[arg-type]
    for model in ("rapid-3", ["200"], None):
        with pytest.raises(NotReady, match="no driver"):
            facts_of(model)  # type: ignore[arg-type]


@pytest.mark.parametrize("seen", [1, None, "yes"])
def test_what_commissioning_saw_is_a_yes_or_a_no(seen: object) -> None:
    with pytest.raises(NotReady, match="True or False"):
        facts_of("rapid", stops_running_train=seen)  # type: ignore[arg-type]
