"""Lights of a trial and of a recording: each number with its unit, its limits, its reason in words, and what to do."""

from __future__ import annotations

import json
import math

import pytest

from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Verdict
from rtloop.quality.lights import ABOVE, BELOW, Judgement, Light, Row, of
from rtloop.quality.limits import RECORDING, REJECTING, TRIAL, QualityLimits, limits_wrong
from rtloop.quality.recording import BlockFacts, TrialFacts, judge_recording, rejected_for
from rtloop.quality.trial import judge_trial

REJECT = {limit: float(getattr(ChainSpec(), limit)) for _, limit, _ in REJECTING.values()}
GOOD = {
    "bad_channels_pct": 0.0, "good_channels": 63.0, "pre_pp_uv": 60.0, "post_pp_uv": 90.0, "blink_uv": 20.0,
    "residual_decay_uv": 10.0, "muscle_pre_uv": 3.0, "muscle_post_uv": 10.0, "line_noise_uv": 1.0, "decay_back_ms": 3.0,
}  # fmt: skip
FINE = BlockFacts(
    n_channels=63, early_local_pp_uv=12.0, vertex_late_uv=9.0, control_trials=40, intensities=(61.0,), split_half_r=0.93,
    pre_plv_inflation=0.01, equal_channels=(), navigation_mm=1.0, navigation_deg=2.0,
)  # fmt: skip


def block(n=100, bad=0, **more):
    rows = [TrialFacts(accepted=True, numbers=GOOD, disagreement_ms=0.1 * (k % 2)) for k in range(n - bad)]
    return rows + [TrialFacts(accepted=False, numbers=GOOD, **more) for _ in range(bad)]


def test_a_row_has_three_lights_and_a_fourth_state_for_no_number():
    up = Row(
        name="x_uv", what="noise", unit="µV", worse=ABOVE, limits=(5.0, 20.0), source="s", todo="do this"
    )
    down = Row(name="n", what="trials", unit="", worse=BELOW, limits=(100.0, 60.0), source="s", todo="go on")
    assert [up.judge(v).light.value for v in (5.0, 5.1, 20.0, 20.1)] == ["green", "yellow", "yellow", "red"]
    assert [down.judge(v).light.value for v in (100, 99, 60, 59)] == ["green", "yellow", "yellow", "red"]
    found = up.judge(31.4)
    assert found.words == "noise 31.4 µV (red light; at most 20 µV wanted)"
    assert found.todo == "do this"
    assert up.judge(2.0).todo == ""
    assert down.judge(12).words == "trials 12 (red light; at least 60 wanted)"
    for value in (math.nan, math.inf):
        none = up.judge(value)
        assert (none.light, none.value) == (Light.ABSENT, None)
        assert "none (the number could not be computed)" in none.words
    assert up.judge(1e9, (5.0,)).light is Light.YELLOW  # one limit: never RED


def test_the_light_of_a_judgement_is_its_worst_with_that_reason_and_absent_is_never_green():
    up = Row(name="x", what="x", unit="µV", worse=ABOVE, limits=(5.0, 20.0), source="s", todo="t")
    assert of([]).light is Light.ABSENT
    assert of([up.absent("no electrode")]).light is Light.ABSENT
    assert of([up.absent("no electrode")]).words == "nothing could be judged"
    mixed = of([up.judge(1.0), up.absent("no electrode"), up.judge(9.0), up.judge(30.0)])
    assert mixed.light is Light.RED
    assert mixed.words == up.judge(30.0).words
    assert "1 number(s) are absent" in of([up.judge(1.0), up.absent("why")]).words
    again = Judgement.from_dict(json.loads(json.dumps(mixed.to_dict(), allow_nan=False)))
    assert again == mixed


@pytest.mark.parametrize("name", REJECTING)
def test_each_number_that_rejects_is_red_exactly_then_and_yellow_near_it(name):
    rule, limit_name, row = REJECTING[name]
    limit, more = REJECT[limit_name], row.worse == ABOVE
    bad, near = (1.5 * limit, 0.8 * limit) if more else (0.5 * limit, 1.2 * limit)
    verdict = Verdict(accepted=False, reasons=((rule, bad, limit, row.unit),), numbers={**GOOD, name: bad})
    found = judge_trial(verdict, REJECT)
    assert found.light is Light.RED
    assert [f.name for f in found.findings if f.light is Light.RED] == [name]
    assert found.words.startswith(f"rejected: {row.what} {bad:.3g}")
    assert f"{limit:g}" in found.words
    assert row.unit in found.words
    assert found[name].value == bad
    assert found[name].todo
    warned = judge_trial(Verdict(accepted=True, numbers={**GOOD, name: near}), REJECT)
    assert warned.light is Light.YELLOW
    assert warned[name].value == near
    assert judge_trial(Verdict(accepted=True, numbers=GOOD), REJECT).light is Light.GREEN


@pytest.mark.parametrize("name", TRIAL)
def test_a_number_that_only_warns_is_never_red(name):
    found = judge_trial(Verdict(accepted=True, numbers={**GOOD, name: 1e6}), REJECT)
    assert found.light is Light.YELLOW
    assert found.words.startswith(TRIAL[name].what)
    without = {k: v for k, v in GOOD.items() if k != name}
    assert judge_trial(Verdict(accepted=True, numbers=without), REJECT)[name].light is Light.ABSENT


def test_every_rejection_has_its_number_and_unit_also_of_rules_that_nobody_listed():
    for rule, value, limit, unit in (
        ("gap in the samples of the epoch", 41.0, 0.0, "ms"),
        ("another pulse inside the epoch", 0.45, 0.8, "s"),
        ("a rule of tomorrow", 3.0, 2.0, "µV"),
        ("a rule of tomorrow", math.nan, 2.0, "µV"),
    ):
        found = judge_trial(Verdict(accepted=False, reasons=((rule, value, limit, unit),)), REJECT)
        assert found.light is Light.RED
        assert rule in found.words
        assert unit in found.words
        assert found.findings[0].todo
        json.dumps(found.to_dict(), allow_nan=False)


def test_a_good_recording_is_green_in_every_row_and_every_row_is_there_once():
    found = judge_recording(block(), FINE)
    assert [f.name for f in found.findings] == list(RECORDING)
    assert {f.name: f.light for f in found.findings} == dict.fromkeys(RECORDING, Light.GREEN)
    assert found.words == "all that could be judged is good"


@pytest.mark.parametrize(
    ("name", "trials", "facts", "light", "words"),
    [
        ("accepted_trials", block(80), {}, "yellow", "accepted trials 80 (yellow light; at least 100 wanted)"),
        ("accepted_trials", block(40), {}, "red", "at least 60 wanted"),
        ("average_trials", block(9), {}, "yellow", "trials behind the average 9"),
        ("rejected_pct", block(100, 25, reasons=("residual decay",)), {}, "yellow", "25 % for residual decay"),
        ("rejected_pct", block(100, 40), {}, "red", "40 % for taken out by the operator"),
        ("bad_channels_pct", [TrialFacts(accepted=True, numbers=GOOD, bad_channels=tuple("ABCDEFG"))] * 100, {},
         "yellow", "A, B, C, D, E, F, G"),
        ("bad_channels_pct", [TrialFacts(accepted=True, numbers=GOOD, bad_channels=("A", "B"))] * 100, {"n_channels": 6},
         "red", "33.3 %"),
        ("line_noise_uv", [TrialFacts(accepted=True, numbers={**GOOD, "line_noise_uv": 8.0})] * 100, {}, "yellow", "8 µV"),
        ("line_noise_uv", [TrialFacts(accepted=True, numbers={**GOOD, "line_noise_uv": 30.0})] * 100, {}, "red", "30 µV"),
        ("decay_left_uv", [TrialFacts(accepted=True, numbers={**GOOD, "residual_decay_uv": 80.0})] * 100, {}, "yellow",
         "80 µV"),
        ("decay_back_ms", [TrialFacts(accepted=True, numbers={**GOOD, "decay_back_ms": 60.0})] * 100, {}, "red", "60 ms"),
        ("muscle_uv", [TrialFacts(accepted=True, numbers={**GOOD, "muscle_post_uv": 90.0})] * 100, {}, "yellow", "90 µV"),
        ("blink_pct", block(100, 18, reasons=("blink-like frontal amplitude",)), {}, "yellow", "18 %"),
        ("blink_pct", block(100, 35, reasons=("blink-like frontal amplitude",)), {}, "red", "35 %"),
        ("pulse_jitter_ms", [TrialFacts(accepted=True, numbers=GOOD, disagreement_ms=float(k % 2)) for k in range(100)],
         {}, "yellow", "0.503 ms"),
        ("early_local_pp_uv", block(), {"early_local_pp_uv": 5.0, "vertex_late_uv": 5.0}, "yellow", "5 µV"),
        ("sensory_ratio", block(), {"early_local_pp_uv": 5.0, "vertex_late_uv": 25.0}, "red", "25 µV against 5 µV"),
        ("control_trials", block(), {"control_trials": 0}, "yellow", "control block 0"),
        ("split_half_r", block(), {"split_half_r": 0.7}, "yellow", "0.7"),
        ("split_half_r", block(), {"split_half_r": 0.2}, "red", "0.2"),
        ("pre_plv_inflation", block(), {"pre_plv_inflation": 0.067}, "red", "0.067"),
        ("equal_channels", block(), {"equal_channels": (("C3", "C1"),)}, "yellow", "C3=C1"),
        ("intensities", block(), {"intensities": (55.0, 61.0)}, "red", "55 %, 61 %"),
        ("navigation_mm", block(), {"navigation_mm": 4.0}, "yellow", "4 mm"),
        ("navigation_deg", block(), {"navigation_deg": 7.0}, "yellow", "7 deg"),
    ],
)  # fmt: skip
def test_each_row_of_a_recording_tells_its_light_with_number_reason_and_remedy(
    name, trials, facts, light, words
):
    found = judge_recording(trials, BlockFacts(**{**FINE.__dict__, **facts}))[name]
    assert (found.light.value, words in found.words) == (light, True), found.words
    assert found.todo == RECORDING[name].todo


def test_a_large_vertex_response_beside_a_good_early_one_is_no_sign_of_sensation():
    facts = BlockFacts(**{**FINE.__dict__, "early_local_pp_uv": 9.0, "vertex_late_uv": 60.0})
    found = judge_recording(block(), facts)["sensory_ratio"]
    assert found.light is Light.GREEN
    assert found.value == pytest.approx(60 / 9)  # the number itself is not changed
    strict = judge_recording(block(), BlockFacts(**{**facts.__dict__, "early_aim_uv": 10.0}))
    assert strict["sensory_ratio"].light is Light.RED
    assert strict["early_local_pp_uv"].words.endswith("at least 10 µV wanted)")


@pytest.mark.parametrize(("patterns", "told"), [(0.0, False), (2.0, True)])
def test_an_early_response_behind_removed_patterns_says_what_went_with_them(patterns, told):
    trials = [*block(3), TrialFacts(accepted=True, numbers={**GOOD, "spatial_patterns": patterns})]
    words = judge_recording(trials, FINE)["early_local_pp_uv"].words
    assert ("artifact patterns were taken out" in words) == told
    assert ("a half or more goes" in words) == told
    before = {"spatial_patterns": patterns, "spatial_early": 12.0}
    words = judge_recording([TrialFacts(accepted=True, numbers={**GOOD, **before})], FINE)[
        "early_local_pp_uv"
    ].words
    assert ("learnt before the brain can have answered" in words) == told
    assert "a half or more goes" not in words


@pytest.mark.parametrize(
    "trials", [[], block(5, 5, reasons=("bad channels",)), [TrialFacts(accepted=False)] * 3]
)
def test_nothing_known_is_told_as_absent_with_its_reason_and_never_as_nan(trials):
    found = judge_recording(trials, BlockFacts(n_channels=63, why={"early_local_pp_uv": "no coil position"}))
    assert [f.name for f in found.findings] == list(RECORDING)
    for f in found.findings:
        assert (f.value is None) == (f.light is Light.ABSENT)
        assert f.light is not Light.ABSENT or "none (" in f.words
        assert "nan" not in f.words
    json.dumps(found.to_dict(), allow_nan=False)
    if trials:
        assert found["rejected_pct"].light is Light.RED
        assert found["early_local_pp_uv"].words.endswith("none (no coil position)")
        assert "no navigation system" in found["navigation_mm"].words
    else:
        assert found.words == "nothing could be judged"
        assert found["blink_pct"].words.endswith("none (no pulse yet)")


def test_while_the_block_runs_too_few_trials_are_no_fault_yet():
    running = BlockFacts(**{**FINE.__dict__, "running": True})
    assert judge_recording(block(20), running)["accepted_trials"].light is Light.ABSENT
    assert "20 so far" in judge_recording(block(20), running)["accepted_trials"].words
    assert judge_recording(block(100), running)["accepted_trials"].light is Light.GREEN


def test_reasons_are_counted_once_a_trial_and_the_commonest_comes_first():
    rows = [TrialFacts(accepted=False, reasons=("a", "b"))] * 2 + [TrialFacts(accepted=False, reasons=("b",))]
    rows += [TrialFacts(accepted=False), TrialFacts(accepted=True, reasons=("a",))]  # one reinstated
    assert rejected_for(rows) == {"b": 3, "a": 2, "taken out by the operator": 1}


def test_limits_of_a_plan_replace_the_defaults_and_wrong_ones_are_all_named():
    limits = QualityLimits(
        recording={"blink_pct": (1.0, 2.0)}, trial={"line_noise_uv": (0.5,)}, yellow_share=0.1
    )
    rows = block(100, 3, reasons=("blink-like frontal amplitude",))
    assert judge_recording(rows, FINE)["blink_pct"].light is Light.GREEN
    assert judge_recording(rows, FINE, limits)["blink_pct"].light is Light.RED
    judged = judge_trial(Verdict(accepted=True, numbers=GOOD), REJECT, limits)
    assert judged["line_noise_uv"].light is Light.YELLOW
    assert judged["pre_pp_uv"].light is Light.YELLOW  # 60 of 200 is over a tenth
    assert limits.to_dict()["limits"]["blink_pct"] == [1.0, 2.0]
    with pytest.raises(ValidationProblem) as told:
        QualityLimits(
            recording={"blinks": (1.0,), "split_half_r": (0.5, 0.8)}, trial={"line_noise_uv": (math.nan,)}
        )
    for word in ("blinks is not known", "split_half_r", "YELLOW not below RED", "line_noise_uv"):
        assert word in str(told.value)


def test_the_defaults_themselves_keep_the_rules_and_name_their_source():
    for rows in (RECORDING, TRIAL):
        assert not limits_wrong(rows, {name: row.limits for name, row in rows.items()})
    for row in (*RECORDING.values(), *TRIAL.values(), *(r for *_, r in REJECTING.values())):
        assert row.source
        assert row.todo
        assert row.unit or "trials" in row.name or "channels" in row.name or row.name in (
            "split_half_r", "pre_plv_inflation", "intensities"
        )  # fmt: skip
