"""Expansion and rehearsal: powers round down, durations are bounds, the gate's own rules are asked."""

from __future__ import annotations

from datetime import date

import pytest
from plan_tools import GOOD, spoiled

from drivers.magstim.units import interval_200_s
from rtloop.errors import ValidationProblem
from rtloop.model.pulse import Purpose
from rtloop.model.status import Mode
from rtloop.plan.dose import pct_mso_from_rmt, unit_gap_s
from rtloop.plan.expand import Control, GoNoGo, Listen, Place, Preview, Review, Run, expand
from rtloop.plan.load import load_plan, parse_plan
from rtloop.plan.rehearse import rehearse
from rtloop.safety.ledger import Counts
from rtloop.safety.limits import load_limits
from rtloop.safety.rules import MotorThreshold

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("rmt", "threshold", "mso"),
    [
        (110.0, 50, 55),
        (110.0, 49, 53),
        (99.9, 50, 49),
        (100.0, 67, 67),
        (120.0, 45, 54),
        (0.7, 100, 0),
        (115.0, 60, 69),
    ],
)
def test_percent_of_threshold_rounds_down_exactly(rmt: float, threshold: int, mso: int) -> None:
    assert pct_mso_from_rmt(rmt, threshold) == mso


@pytest.mark.parametrize("threshold", [33, 49, 50, 67, 100])
def test_the_gate_rounds_the_same_way(threshold: int) -> None:
    bound = MotorThreshold(
        participant="P01",
        pct_mso=threshold,
        date="2026-11-20",
        method="EMG",
        coil="c",
        waveform="w",
        unit_model="200",
    )
    for rmt in (0.1, 90.0, 99.9, 100.0, 110.0, 110.1, 120.0, 140.0):
        assert pct_mso_from_rmt(rmt, threshold) == bound.to_mso(rmt)


def test_gap_of_the_unit() -> None:
    assert [unit_gap_s(p) for p in (0, 49, 50, 79, 80, 100)] == [2.0, 2.0, 3.0, 3.0, 4.0, 4.0]
    with pytest.raises(ValueError, match="outside 0-100"):
        unit_gap_s(101)
    assert [unit_gap_s(p) for p in range(101)] == [
        interval_200_s(p) for p in range(101)
    ]  # as the driver has it


def test_the_steps_in_order() -> None:
    steps = expand(parse_plan(spoiled(("pct_mso = 50", "pct_mso = 49"))))
    assert [s.index for s in steps] == list(range(len(steps)))
    assert [(type(s), s.target) for s in steps] == [
        (Place, "M1"), (Preview, "M1"), (Preview, "M1"), (GoNoGo, "M1"), (Run, "M1"), (Review, "M1"),
        (Place, "ACC"), (Preview, "ACC"), (GoNoGo, "ACC"), (Run, "ACC"), (Control, "ACC"), (Review, "ACC"),
    ]  # fmt: skip
    run = steps[4]
    assert isinstance(run, Run)
    assert (run.power_pct_mso, run.power_pct_rmt, run.pulses_wanted, run.pulses_max) == (53, 110.0, 100, 160)
    assert run.purpose is Purpose.MAPPING
    second = steps[9]
    assert isinstance(second, Run)
    assert second.power_pct_rmt == pytest.approx(100 * 55 / 49)
    probe = [s for s in expand(load_plan("probe-m1-quick")) if isinstance(s, Run)]
    assert [(s.purpose, s.power_pct_rmt) for s in probe] == [(Purpose.PROBE, None)]
    assert [type(s) for s in expand(load_plan("watch"))] == [Place, Listen]


def test_percent_of_threshold_without_threshold_has_no_steps() -> None:
    with pytest.raises(ValidationProblem, match=r"no threshold; expected: a \[threshold\] table"):
        expand(load_plan("map-200"))


def test_a_random_order_repeats_with_its_seed() -> None:
    orders = set()
    for seed in range(8):
        text = spoiled(('kind = "as_listed"', f'kind = "random"\nseed = {seed}'))
        order = tuple(s.target for s in expand(parse_plan(text)) if isinstance(s, Place))
        assert order == tuple(s.target for s in expand(parse_plan(text)) if isinstance(s, Place))
        orders.add(order)
    assert orders == {("M1", "ACC"), ("ACC", "M1")}


def test_the_quick_plan_fits_in_160_s() -> None:
    r = rehearse(load_plan("quick"), today=TODAY)
    assert r.may_arm
    assert r.pulses == (48, 56)
    # by hand, longest: ramp 0.45 + arming 1 + lead 0.5, 1 interval, then a gap of 2 s (arming 1 + lead 0.5
    # fit in it) and 11 intervals; four times
    assert r.duration_s[1] == pytest.approx(4 * (0.45 + 1 + 0.5 + 2.3 + 2.0 + 11 * 2.3))
    assert r.duration_s[0] == pytest.approx(4 * (0.45 + 0.2 + 0.5 + 2.1 + 2.0 + 9 * 2.1))
    assert r.duration_s[1] < 160
    assert "may be armed" in r.words()


def test_the_good_plan_rehearses() -> None:
    r = rehearse(parse_plan(GOOD), today="2026-11-22", mode=Mode.HUMAN, participant="P01")
    assert r.breaches == ()
    assert r.may_arm
    assert r.pulses == (5 * 2 + 100 + 5 + 100 + 20, 5 * 2 + 160 + 5 + 160 + 20)
    assert [(row.target, row.power_pct_mso, row.preview_pct_mso) for row in r.table] == [
        ("M1", 55, (50, 55)),
        ("ACC", 55, (55,)),
    ]
    assert sum(row.duration_s[1] for row in r.table) == pytest.approx(r.duration_s[1])


def test_the_library_says_what_is_missing() -> None:
    for name in ("map-200", "probe-m1"):
        r = rehearse(load_plan(name), today=TODAY)
        assert not r.may_arm
        assert [(b.step, b.rule, b.expected, b.found) for b in r.breaches] == [
            (None, "threshold_known", "a dated motor threshold", "none")
        ]
        assert r.breaches[0].todo.startswith("measure")
        assert all(row.power_pct_mso is None for row in r.table)
        assert r.pulses[0] > 100
        assert "may NOT be armed" in r.words()


def test_a_person_needs_a_threshold_and_a_name() -> None:
    r = rehearse(load_plan("quick"), today=TODAY, mode=Mode.HUMAN)
    assert {b.rule for b in r.breaches} == {"participant_known", "threshold_known"}


@pytest.mark.parametrize(
    ("changes", "today", "participant", "rules"),
    [
        ((), "2026-11-27", "P01", set()),
        ((), "2026-11-28", "P01", {"threshold_fresh"}),  # 8 days old
        ((), "2026-11-18", "P01", {"threshold_fresh"}),  # from the future, beyond any time zone
        ((), "2026-11-22", "P02", {"threshold_own"}),
        ((('participant = "P01"\n', ""),), "2026-11-22", "P01", {"threshold_own"}),
    ],
)
def test_the_threshold_must_be_fresh_and_the_persons_own(
    changes: tuple[tuple[str, str], ...], today: str, participant: str, rules: set[str]
) -> None:
    r = rehearse(parse_plan(spoiled(*changes)), today=today, mode=Mode.HUMAN, participant=participant)
    assert {b.rule for b in r.breaches} == rules
    assert all(b.step is None for b in r.breaches)
    assert r.may_arm is not bool(rules)


def test_the_gates_limits_are_asked_step_by_step() -> None:
    plan = parse_plan(
        spoiled(("power_pct_mso_max = 60", "power_pct_mso_max = 80"), ("[100.0, 110.0]", "[100.0, 141.0]"))
    )
    breaches = rehearse(plan, today=TODAY).breaches
    assert [(b.step, b.rule) for b in breaches] == [(2, "rmt_cap")]
    assert breaches[0].where == "step 2 (preview M1 at 70 % MSO)"
    assert "140" in breaches[0].expected
    assert "140 % RMT" in breaches[0].citation

    tight = load_limits({"max_power_pct_mso": 54})
    assert [(b.step, b.rule) for b in rehearse(parse_plan(GOOD), limits=tight, today=TODAY).breaches] == [
        (2, "power_cap"), (4, "power_cap"), (7, "power_cap"), (9, "power_cap"), (10, "power_cap"),
    ]  # fmt: skip

    slow = load_limits({"min_interval_s": 3.19})
    rules = {b.rule for b in rehearse(parse_plan(GOOD), limits=slow, today=TODAY).breaches}
    assert rules == {"interval"}  # 3.2 s less the margin of 0.02 s


def test_the_dose_of_earlier_pulses_counts() -> None:
    plan = parse_plan(GOOD)  # at most 355 pulses
    assert rehearse(plan, today=TODAY, before=Counts(day=1500 - 355)).may_arm
    r = rehearse(plan, today=TODAY, before=Counts(day=1500 - 354))
    assert [(b.step, b.rule) for b in r.breaches] == [(10, "dose")]
    few = load_limits({"max_pulses_target_session": 169})
    assert [(b.step, b.rule) for b in rehearse(plan, limits=few, today=TODAY).breaches] == [
        (4, "dose"),
        (10, "dose"),
    ]


def test_a_watch_plan_gives_nothing() -> None:
    r = rehearse(load_plan("watch"), today=TODAY)
    assert not r.may_arm
    assert (r.pulses, r.duration_s, r.breaches) == ((0, 0), (0.0, 0.0), ())
    assert "nothing can be fired" in r.words()


def test_today_must_be_a_date() -> None:
    with pytest.raises(ValueError, match="isoformat"):
        rehearse(parse_plan(GOOD), today="soon")
