"""The rehearsal of a treatment against its slow twin: the same dose, and a rule is told exactly when some train breaks it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_treatment import walk
from treat_tools import GOOD, RAPID, spoiled, threshold

from rtloop.plan.treat_load import parse_treatment
from rtloop.plan.treat_rehearse import rehearse_treatment
from rtloop.plan.treat_schema import TreatmentPlan
from rtloop.plan.treat_steps import begins_s, duration_s, prescribed, trains_of
from rtloop.safety.ledger import Counts
from rtloop.safety.limits import load_limits, tightest

LIMITS = load_limits()
TODAY = "2026-11-23"


@st.composite
def plans(draw: st.DrawFn) -> TreatmentPlan:
    """Plans of every sort, most of them breaking something."""
    count = draw(st.integers(1, 20))
    pulses = draw(st.sampled_from([2, 10, 40, 99, 110]))
    hz = draw(st.sampled_from([0.5, 1.0, 5.0, 10.0, 20.0, 25.0, 26.0, 50.0]))
    pause = f"pause_s = {draw(st.sampled_from([1.1, 3.1, 5.1, 6.3, 20.0, 61.7]))}" if count > 1 else ""
    share = draw(st.sampled_from([61.0, 80.0, 90.0, 110.0, 119.9, 120.0, 125.0, 140.0]))
    text = spoiled(
        GOOD, ("frequency_hz = 10.0", f"frequency_hz = {hz}"), ("pulses = 40", f"pulses = {pulses}"),
        ("count = 10", f"count = {count}"), ("pause_s = 26.0", pause),
        ("intensity_pct_rmt = 80.0", f"intensity_pct_rmt = {share}"),
        ("power_pct_mso_max = 80", f"power_pct_mso_max = {draw(st.sampled_from([40, 80, 100]))}"),
        ("pulses_session_max = 400", "pulses_session_max = 9000"),
    )  # fmt: skip
    each = draw(st.integers(1, 3))
    ramp = "" if count <= 2 * each else f"[ramp_up]\nsteps_pct_rmt = [50.0, 60.0]\ntrains_each = {each}\n"
    start, rest = text.split("[ramp_up]")
    return parse_treatment(start + ramp + "[threshold]" + rest.split("[threshold]")[1])


@given(
    plan=plans(), rmt=st.integers(20, 100), earlier=st.sampled_from([0, 100, 2900, 35000]), age=st.sampled_from([0, 5, 30]),
    site=st.sampled_from([{}, {"max_power_pct_mso": 60.0}, {"min_between_trains_s": 12.0}]),
)  # fmt: skip
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_rule_is_told_exactly_when_a_train_breaks_it(
    plan: TreatmentPlan, rmt: int, earlier: int, age: int, site: dict[str, float]
) -> None:
    limits = tightest(LIMITS, site=site)
    own = threshold(rmt, date=f"2026-11-{23 - age:02d}" if age < 23 else "2026-10-24")
    before = Counts(
        treatment_day=min(earlier, 2900), treatment_course=earlier, other_treatment_sessions=earlier // 3000
    )
    told = rehearse_treatment(
        plan, "M1", unit=RAPID, limits=limits, today=TODAY, threshold=own, before=before, waivers=()
    )
    twin = walk(plan, "M1", own, prescribed(plan, limits), RAPID, before)
    assert {b.rule for b in told.breaches} == set(twin.rules)
    assert told.may_arm is (not twin.rules)
    assert told.pulses == twin.pulses
    assert math.isclose(told.duration_s, twin.duration_s, rel_tol=1e-12)
    assert math.isclose(told.energy_j, twin.energy_j, rel_tol=1e-9)
    assert list(told.powers_pct_mso) == list(dict.fromkeys(twin.powers))
    for (
        b
    ) in told.breaches:  # each says which trains, what was expected, found, to do, and where the rule is from
        assert b.citation != "the gate's own rule"
        assert all((b.where, b.expected, b.found, b.todo, b.citation))
        if b.step is not None:
            assert b.where.startswith("train")


@given(plan=plans(), rmt=st.integers(1, 100))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_pause_counts_from_the_end_of_the_train_before(plan: TreatmentPlan, rmt: int) -> None:
    steps = trains_of(plan, "M1", rmt)
    starts = begins_s(steps)
    length_s = plan.trains.pulses / plan.trains.frequency_hz
    assert [s.index for s in steps] == list(range(plan.trains.count))
    assert steps[0].pause_s == starts[0] == 0.0
    for before, after, step in zip(starts, starts[1:], steps[1:], strict=False):
        assert math.isclose(after - (before + length_s), plan.trains.pause_s or 0, rel_tol=1e-9)
        assert step.pause_s == plan.trains.pause_s
    assert math.isclose(duration_s(plan), starts[-1] + length_s, rel_tol=1e-12)
    powers = [s.power_pct_mso for s in steps]
    assert powers == sorted(powers)  # a ramp never falls
    assert all(
        s.power_pct_mso <= s.power_pct_rmt * rmt / 100 < s.power_pct_mso + 1 for s in steps
    )  # rounded DOWN


@given(plan=plans(), site=st.sampled_from([{}, {"max_power_pct_mso": 30.0, "threshold_max_age_days": 1.0}]))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_plan_never_loosens_a_limit(plan: TreatmentPlan, site: dict[str, float]) -> None:
    limits = tightest(LIMITS, site=site)
    own = prescribed(plan, limits)
    for row in own.rows:
        assert not limits.row(row.name).loosened_by(row.value), row
    assert own.max_power_pct_mso == min(limits.max_power_pct_mso, plan.caps.power_pct_mso_max)
    assert own.threshold_max_age_days == min(limits.threshold_max_age_days, plan.threshold.max_age_days)


@pytest.mark.parametrize("given_before", [1, 4, 9])
def test_what_is_left_of_a_session_is_rehearsed_with_what_was_given(given_before: int) -> None:
    plan = parse_treatment(GOOD)
    before = Counts(treatment_session=40 * given_before, treatment_day=2999 - 40 * (10 - given_before))
    told = rehearse_treatment(
        plan,
        "M1",
        unit=RAPID,
        limits=LIMITS,
        today=TODAY,
        threshold=threshold(),
        before=before,
        given=given_before,
    )
    assert (told.trains, told.pulses, told.breaches) == (10 - given_before, 400 - 40 * given_before, ())
    more = Counts(treatment_session=40 * given_before + 1, treatment_day=2999)
    worse = rehearse_treatment(
        plan,
        "M1",
        unit=RAPID,
        limits=LIMITS,
        today=TODAY,
        threshold=threshold(),
        before=more,
        given=given_before,
    )
    assert {b.rule for b in worse.breaches} == {"treatment_dose"}
    with pytest.raises(ValueError, match="no train is left of 10 after 10"):
        rehearse_treatment(
            plan, "M1", unit=RAPID, limits=LIMITS, today=TODAY, threshold=threshold(), given=10
        )
