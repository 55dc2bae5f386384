"""What mutation testing found unproved in the rules, the limits, the situation and the waivers: the edges, from both sides."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import date
from fractions import Fraction
from importlib import resources
from typing import Any

import pytest
from safety_tools import LIMITS, READY, RIG, TODAY, good, health, pulse, threshold

from rtloop.errors import ValidationProblem
from rtloop.model.pulse import Purpose, Train
from rtloop.model.status import Capabilities, Lamp, Mode, UnitStatus
from rtloop.safety import rules
from rtloop.safety.ledger import Counts
from rtloop.safety.limits import Limits, TrainRow, confirmed, load_limits, parse_limits, tightest, train_name
from rtloop.safety.rules import PlanStep, Refusal, Rig, Situation, plan_refusals, refusals
from rtloop.safety.waivers import parse_waivers

NOW_S = 100.0
TEXT = resources.files("rtloop.safety").joinpath("limits.toml").read_text("utf-8")
SHA = "0a" * 32


def said(rule: str, limits: Limits = LIMITS, **changes: Any) -> Refusal | None:
    """What one rule says of a good situation with these changes, at a small instant: edges are exact there."""
    return getattr(rules, rule)(replace(good(NOW_S), **changes), limits)  # type: ignore[no-any-return]


def wants(power: Any, rmt: Any = None, pct_mso: float | None = 50.0) -> dict[str, Any]:
    """A pulse at ``power`` % of maximum output, asked for as ``rmt`` % of a threshold of ``pct_mso`` %."""
    return {
        "pulse": pulse(NOW_S, power_pct_mso=power, power_pct_rmt=rmt),
        "threshold": None if pct_mso is None else threshold(pct_mso=pct_mso),
    }


def unit(**changes: Any) -> dict[str, UnitStatus]:
    told: dict[str, Any] = {"t_s": NOW_S, "power_pct_mso": 55, "coil_temp_c": 25.0} | changes
    return {"unit": UnitStatus.from_instr(READY, **told)}


# ---- rules

REAL = {"unit_simulated": False}
NO_PULSE = {"last_pulse_t_s": None}
EDGES: list[tuple[str, bool, dict[str, Any]]] = [
    *[("power_cap", power in (0, 1, 100), wants(power)) for power in (-1, 0, 1, 100, 101)],
    *[("power_cap", False, wants(power)) for power in (55.0, 55.5, True, "55", None)],
    ("threshold_fresh", True, {"threshold": threshold(date="2023-11-15")}),  # east of Greenwich it is tomorrow
    ("threshold_fresh", False, {"threshold": threshold(date="2023-11-16")}),
    ("threshold_fresh", True, {"threshold": threshold(date="2023-11-07")}),
    ("threshold_fresh", False, {"threshold": threshold(date="2023-11-06")}),
    ("threshold_fresh", False, {"today": ""}),
    ("threshold_fresh", False, {"today": "14.11.2023"}),
    # two blanks agree with each other and say nothing
    ("threshold_own", False, {"participant": "", "threshold": threshold(participant="")}),
    ("threshold_own", False, {"rig": replace(RIG, coil=""), "threshold": threshold(coil="")}),
    ("threshold_own", False, {"rig": Rig(unit_model="", coil="", waveform=""), "participant": "",
                              "threshold": threshold(participant="", unit_model="", coil="", waveform="")}),
    *[("rmt_cap", power in (0, 1, 70), wants(power)) for power in (-1, 0, 1, 70, 71)],
    ("rmt_cap", False, wants(-1, None, 100.0)),  # -1 %, exactly
    ("rmt_cap", True, wants(1, None, 100.0)),
    *[("rmt_cap", 0 < rmt <= 140, wants(20, rmt)) for rmt in (-1.0, -0.5, 0.0, 0.5, 1.0, 140.0, 140.1, math.nan, math.inf)],
    *[("rmt_cap", 0 < rmt <= 140, wants(20, rmt, None)) for rmt in (-0.5, 0.0, 0.5, 140.0, 140.1, math.nan)],
    ("rmt_cap", True, wants(100, None, None)),
    *[("rmt_cap", False, wants(power)) for power in (math.nan, math.inf, 20.0, True)],
    *[("rmt_cap", False, wants(power, None, None)) for power in (math.nan, 20.0)],
    ("intensity_agrees", True, wants(0, 0.5)),  # 0.25 %, rounded down
    ("intensity_agrees", False, wants(1, 0.5)),
    *[("intensity_agrees", False, wants(0, rmt)) for rmt in (0.0, -0.5, -1.0, math.inf, -math.inf, math.nan)],
    ("intensity_agrees", True, wants(0, 0.0, None)),
    ("interval", True, {"last_pulse_t_s": NOW_S - 3.0}),
    ("interval", False, {"last_pulse_t_s": NOW_S - 2.999}),
    ("interval", True, {"last_pulse_t_s": NOW_S - 1.0, "min_interval_s": 0.0}),
    ("interval", False, {"last_pulse_t_s": NOW_S - 0.999, "min_interval_s": 0.0}),
    ("interval", False, {"last_pulse_t_s": NOW_S - 9.0, "min_interval_s": -0.5}),
    ("interval", True, NO_PULSE),
    ("dose", True, {"counts": Counts(target_session=399, session=1499, day=1499)}),
    *[("dose", False, {"counts": Counts(**{name: n})}) for name, n in
      (("target_session", 400), ("session", 1500), ("day", 1500), ("target_session", -1), ("session", -1), ("day", -1))],
    *[("mode_allows", True, {"mode": Mode.BENCH, "eeg_simulated": eeg} | REAL) for eeg in (True, False, None)],
    ("mode_allows", True, {"mode": Mode.HUMAN, "eeg_simulated": False} | REAL),
    ("mode_allows", False, {"mode": Mode.HUMAN, "eeg_simulated": True} | REAL),
    ("mode_allows", False, {"mode": Mode.LISTEN} | REAL),
    # the unit disarms itself 60 s after the last of arming and pulse
    ("armed_recently", True, {"armed_since_s": NOW_S - 90.0, "last_pulse_t_s": NOW_S - 4.0}),
    ("armed_recently", True, {"armed_since_s": NOW_S - 90.0, "last_pulse_t_s": NOW_S - 55.0}),
    ("armed_recently", False, {"armed_since_s": NOW_S - 90.0, "last_pulse_t_s": NOW_S - 55.1}),
    ("armed_recently", True, {"armed_since_s": NOW_S - 55.0} | NO_PULSE),
    ("armed_recently", False, {"armed_since_s": NOW_S - 55.1} | NO_PULSE),
    ("armed_recently", True, {"armed_since_s": NOW_S} | NO_PULSE),
    ("armed_recently", False, {"armed_since_s": NOW_S + 0.1} | NO_PULSE),
    ("armed_recently", False, {"armed_since_s": None}),
    ("armed_recently", False, {"armed_since_s": -math.inf}),
    ("armed_recently", False, {"armed_since_s": math.nan}),
    ("calendar", True, {"latest_day": TODAY}),
    ("calendar", True, {"latest_day": ""}),
    ("calendar", False, {"latest_day": "2023-11-15"}),
    ("calendar", False, {"today": ""}),
    ("unit_power", True, unit()),
    ("unit_power", False, unit(power_pct_mso=None) | wants(None)),  # nobody knows: that is no agreement
    ("unit_power", False, {"unit": None} | wants(None)),
    *[("coil_cool", 0 <= temp_c <= 39, unit(coil_temp_c=temp_c)) for temp_c in (-1.0, -0.5, 0.0, 0.5, 39.0, 39.1)],
    ("recorder_alive", True, {"recorder_age_s": -0.1}),
    ("recorder_alive", False, {"recorder_age_s": -0.11}),
    ("recorder_alive", True, {"recorder_age_s": 1.0}),
    ("recorder_alive", False, {"recorder_age_s": 1.01}),
    ("stream_alive", False, {"stream": None}),
    ("stream_alive", True, {"stream": health(NOW_S, age_s=0.05)}),
    ("stream_alive", False, {"stream": health(NOW_S, age_s=0.051)}),
    ("stream_alive", False, {"stream": health(NOW_S - 0.03, age_s=0.03)}),  # it has aged since it was looked at
    ("stream_alive", True, {"stream": health(NOW_S - 0.02, age_s=0.02)}),
    ("stream_alive", False, {"stream": health(NOW_S + 0.05, age_s=0.06)}),  # nor is it younger for a later stamp
    ("stream_alive", True, {"stream": health(0.1, age_s=0.01), "now_s": 0.0}),
    ("stream_alive", False, {"stream": health(0.11, age_s=0.01), "now_s": 0.0}),
]  # fmt: skip


@pytest.mark.req("R-ALL-RULES")
@pytest.mark.parametrize(("rule", "allowed", "changes"), EDGES)
def test_each_limit_from_both_sides(rule: str, allowed: bool, changes: dict[str, Any]) -> None:
    refusal = said(rule, **changes)
    assert (refusal is None) is allowed, refusal
    assert refusal is None or refusal.rule == rule


@pytest.mark.req("R-INTENSITY")
def test_what_rounds_down_to_the_cap_is_not_above_it() -> None:
    """With binary fractions 46 % is 125.00000000000001 % of a threshold of 36.8 %: refused for nothing."""
    limits = load_limits({"max_single_pct_rmt": 125})
    for tenths in range(200, 801):
        power = threshold(pct_mso=tenths / 10).to_mso(125.0)
        assert power == tenths * 125 // 1000
        assert said("rmt_cap", limits, **wants(power, 125.0, tenths / 10)) is None
        assert (said("rmt_cap", limits, **wants(power + 1, None, tenths / 10)) is None) is False
    assert threshold(pct_mso=36.8).to_rmt(46) == 125


def test_a_refusal_says_what_it_found_without_a_threshold() -> None:
    refusal = said("rmt_cap", **wants(55, 150.0, None))
    assert refusal is not None
    assert refusal.words() == (
        "rmt_cap: expected at most 140 % of threshold, found no threshold (asked: 150.0 %); lower the intensity"
    )
    known = said("rmt_cap", **wants(75, 150.0))
    assert known is not None
    assert known.found == "150.0 % (asked: 150.0 %)"


@pytest.mark.req("R-ALL-RULES")
def test_a_situation_that_nobody_filled_is_safe_and_not_armed() -> None:
    assert Situation(mode=Mode.SIMULATED, now_s=NOW_S, pulse=pulse(NOW_S)).lamp is Lamp.SAFE


# ---- a plan


def step(**changes: Any) -> PlanStep:
    fields: dict[str, Any] = {
        "mode": Mode.SIMULATED, "target": "M1", "purpose": Purpose.MAPPING, "power_pct_mso": 45, "power_pct_rmt": 90.0,
        "n_pulses": 40, "interval_s": 5.1, "min_interval_s": 3.0, "today": TODAY, "participant": "P01", "rig": RIG,
        "threshold": threshold(), "capabilities": Capabilities(trains=True, pairs=True), "unit_says": (),
    }  # fmt: skip
    return PlanStep(**(fields | changes))


TEN = {"train": Train(frequency_hz=10.0, n_pulses=10)}


@pytest.mark.req("R-PLAN")
@pytest.mark.parametrize(
    ("n", "before", "changes", "refused"),
    [
        (400, 0, {}, set()), (401, 0, {}, {"dose"}), (40, 0, TEN, set()), (41, 0, TEN, {"dose"}),
        (1, 399, {}, set()), (2, 399, {}, {"dose"}), (0, 399, {}, set()), (0, 0, {}, set()), (-1, 0, {}, set()),
        (1, 390, TEN, set()), (1, 391, TEN, {"dose"}), (0, 391, TEN, {"dose"}),
        # one train follows none; of two the second waits, and a fire command takes its time
        (1, 0, {**TEN, "interval_s": 4.0}, set()), (2, 0, {**TEN, "interval_s": 4.0}, {"between_trains"}),
        (2, 0, {**TEN, "interval_s": 5.0}, {"between_trains"}), (2, 0, {**TEN, "interval_s": 5.03}, set()),
        (9, 0, {"interval_s": 3.03}, set()), (9, 0, {"interval_s": 3.0}, {"interval"}),
    ],
)  # fmt: skip
def test_the_last_command_of_a_step_is_judged(
    n: int, before: int, changes: dict[str, Any], refused: set[str]
) -> None:
    told = plan_refusals(step(n_pulses=n, before=Counts(target_session=before), **changes), LIMITS)
    assert {r.rule for r in told} == refused


# ---- situation


@pytest.mark.parametrize("pct_mso", [-1.0, -0.5, 0.0, 0.5, 1.0, 100.0, 100.5, 101.0, math.nan, math.inf])
def test_a_threshold_lies_above_0_and_up_to_100(pct_mso: float) -> None:
    if 0 < pct_mso <= 100:
        assert threshold(pct_mso=pct_mso).pct_mso == pct_mso
    else:
        with pytest.raises(ValueError, match=r"0\.\.100 % of maximum output"):
            threshold(pct_mso=pct_mso)


OF_A_THRESHOLD: list[tuple[str, Any, str]] = [
    ("pct_mso", "45", "at '45'"),
    ("pct_mso", None, "at None"),
    ("pct_mso", True, "at True"),
    ("participant", None, "participant is text, not None"),
    ("coil", 70, "coil is text, not 70"),
    ("waveform", 2, "waveform is text, not 2"),
    ("unit_model", 200, "unit_model is text, not 200"),
    ("method", None, "EMG or visual, not None"),
    ("date", date(2026, 1, 2), "date is text, not datetime.date(2026, 1, 2)"),
    ("date", "2026-02-30", "date: "),
]


@pytest.mark.parametrize(("name", "value", "words"), OF_A_THRESHOLD)
def test_each_field_of_a_threshold_has_its_type(name: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as wrong:
        threshold(**{name: value})
    assert ";" not in str(wrong.value)  # nothing else is blamed


def test_everything_wrong_with_a_threshold_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="participant is text") as wrong:
        threshold(**{name: value for name, value, _ in OF_A_THRESHOLD})
    assert str(wrong.value).count(";") == 6
    for name in (
        "participant",
        "coil",
        "waveform",
        "unit_model",
        "maximum output",
        "EMG or visual",
        "date: ",
    ):
        assert name in str(wrong.value)


@pytest.mark.parametrize("method", ["EMG", "visual", "emg", "guess", ""])
def test_a_threshold_says_how_it_was_measured(method: str) -> None:
    if method in ("EMG", "visual"):
        assert threshold(method=method).method == method
    else:
        with pytest.raises(ValueError, match="EMG or visual"):
            threshold(method=method)


@pytest.mark.parametrize("day", ["soon", "", "2023-02-30"])
def test_a_threshold_is_dated(day: str) -> None:
    with pytest.raises(ValueError):
        threshold(date=day)


@pytest.mark.req("R-NAN")
@pytest.mark.parametrize("pct_rmt", [-1.0, -0.5, 0.0, math.nan, math.inf, -math.inf])
def test_no_power_is_made_of_a_share_that_is_none(pct_rmt: float) -> None:
    with pytest.raises(ValueError, match="finite and positive"):
        threshold().to_mso(pct_rmt)


def test_a_small_share_is_a_power_too() -> None:
    assert threshold().to_mso(0.5) == 0
    assert threshold().to_mso(2.0) == 1


# ---- limits


def looked_up(trains: tuple[TrainRow, ...], hz: float, pct_mt: float | None) -> TrainRow | None:
    """The naive twin: the first row at which both are reached, from slow and weak to fast and intense."""
    top = max(t.pct_mt for t in trains)
    for row in sorted(trains, key=lambda t: (t.hz, t.pct_mt)):
        if row.hz >= hz and (row.pct_mt == top if pct_mt is None else row.pct_mt >= pct_mt):
            return row
    return None


@pytest.mark.req("R-TRAIN")
def test_the_table_of_trains_is_read_upward_in_any_order() -> None:
    for trains in (LIMITS.trains, LIMITS.trains[::-1], LIMITS.trains[13:] + LIMITS.trains[:13]):
        limits = replace(LIMITS, trains=trains)
        for hz in (0.1, 1, 1.1, 4.9, 5, 9.9, 10, 10.1, 20, 24.9, 25, 25.1, math.inf, math.nan):
            for pct in (
                None,
                50,
                90,
                Fraction(901, 10),
                100,
                119.9,
                120,
                120.1,
                130,
                Fraction(1301, 10),
                math.inf,
                math.nan,
            ):
                assert limits.train_row(hz, pct) == looked_up(trains, hz, pct), (hz, pct)


@pytest.mark.req("R-LIMIT-TIGHTEN")
def test_a_site_may_name_the_published_value_itself() -> None:
    for name, value in (("min_interval_s", 1.0), ("max_power_pct_mso", 100), ("min_between_trains_s", 5)):
        assert getattr(load_limits({name: value}), name) == value
        assert tightest(load_limits(), site={name: value}).row(name).set_by == "site"


@pytest.mark.req("R-LIMIT-TIGHTEN")
def test_a_site_may_confirm_every_row_and_takes_back_none() -> None:
    every = [r.name for r in LIMITS.rows] + [train_name(t) for t in LIMITS.trains]
    whole = confirmed(LIMITS, every)
    assert whole.unverified == ()
    assert confirmed(whole, []).unverified == ()
    assert confirmed(whole, every[:1]) == whole
    assert not any(t.verified for t in confirmed(LIMITS, []).trains)


def problem(text: str) -> str:
    """The words with which a text of limits is refused."""
    with pytest.raises(ValidationProblem) as caught:
        parse_limits(text)
    return str(caught.value)


ROW = next(line for line in TEXT.splitlines() if '"coil_stop_c"' in line)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("limits = [", "limits = [[", "the limits cannot be read"),
        (ROW, ROW + "\n" + ROW, "coil_stop_c is unknown or occurs twice"),
        (ROW, ROW + "\n" + ROW.replace("coil_stop_c", "coil_stop_f"), "coil_stop_f is unknown or occurs twice"),
        (ROW, ROW.replace("verified = true", "verified = 1"), "verified = 1"),
        (ROW, ROW.replace('"°C"', "3"), "unit = 3"),
        (ROW, ROW.replace('"°C"', '" "'), "unit = ' '"),
        ("rows = [", "more = 1\nrows = [", "trains: unknown key 'more'"),
        ("limits = [", "more = 1\nlimits = [", "unknown key 'more'"),
        # among trains of one intensity, then of one frequency
        ("hz = 20, pct_mt = 90, longest_s = 2.05", "hz = 20, pct_mt = 90, longest_s = 5.5",
         "train 20 Hz 90 % is longer than at 10 Hz 90 %"),
        ("hz = 1, pct_mt = 100, longest_s = 1800", "hz = 1, pct_mt = 100, longest_s = 1900",
         "train 1 Hz 100 % is longer than at 1 Hz 90 %"),
    ],
)  # fmt: skip
def test_each_fault_of_the_limits_is_named(old: str, new: str, words: str) -> None:
    assert old in TEXT
    assert words in problem(TEXT.replace(old, new))


ODD = ("3", "nan", "true", '"x"', "[]", "[3]", "[[3]]", '["x"]', "{}", "{ x = 1 }", "2023-11-14", "10:00:00")


@pytest.mark.parametrize("odd", ODD)
def test_whatever_stands_in_the_limits_is_refused_in_words(odd: str) -> None:
    table = TEXT[TEXT.index("[trains]") :]
    assert problem(f"limits = {odd}\n{table}")
    assert problem(TEXT[: TEXT.index("[trains]")] + f"trains = {odd}\n")
    assert problem(TEXT[: TEXT.index("rows = [")] + f"rows = {odd}\n")
    assert problem(TEXT.replace('stricter = "higher"', f"stricter = {odd}"))
    assert problem(TEXT.replace('name = "coil_stop_c"', f"name = {odd}"))
    if odd != "3":
        assert problem(TEXT.replace("hz = 25,", f"hz = {odd},"))


# ---- waivers

SIGNED = {
    "rule": '"train_longest_tested"', "reason": '"longer trains"', "citation": '"George 2010"',
    "person": '"Dr. A. Example"', "signed_on": "2023-11-10", "plan_sha256": f'"{SHA}"',
}  # fmt: skip


def signed(plan: str = SHA, **changes: str) -> str:
    rows = "\n".join(f"{k} = {v}" for k, v in (SIGNED | changes).items())
    made = parse_waivers("[[waiver]]\n" + rows, plan_sha256=plan, today="2023-11-14")
    assert len(made) == 1
    return made[0].signed_on


@pytest.mark.req("R-WAIVER")
@pytest.mark.parametrize("day", ["2023-11-10", '"2023-11-10"', "2023-11-14"])
def test_a_date_may_be_written_either_way(day: str) -> None:
    assert signed(signed_on=day) == day.strip('"')


@pytest.mark.req("R-WAIVER")
@pytest.mark.parametrize("sha", ["", "0a0a", SHA.upper(), SHA + "0a", "g" * 64])
def test_what_is_no_sha256_is_no_plan_even_where_both_say_it(sha: str) -> None:
    with pytest.raises(ValidationProblem, match="signed for the plan"):
        signed(sha, plan_sha256=f'"{sha}"')


@pytest.mark.req("R-WAIVER")
@pytest.mark.parametrize("key", list(SIGNED))
@pytest.mark.parametrize("odd", [o for o in ODD if o != "2023-11-14"])
def test_whatever_stands_in_a_waiver_is_refused_in_words(key: str, odd: str) -> None:
    if odd == '"x"' and key in ("reason", "citation", "person"):
        odd = '"xxx"'  # a single letter may be a name
    with pytest.raises(ValidationProblem) as caught:
        signed(**{key: odd})
    assert {"plan_sha256": "signed for the plan", "rule": "cannot be waived"}.get(
        key, key
    ) in caught.value.found


def test_the_rules_that_are_refused_are_all_told() -> None:
    told = refusals(good(NOW_S, lamp=Lamp.SAFE, today="", participant="P02"), LIMITS)
    assert {r.rule for r in told} == {"lamp_armed", "calendar", "threshold_fresh", "threshold_own"}
