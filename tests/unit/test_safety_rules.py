"""Each rule alone: one thing wrong in a good situation gives exactly the refusal that names it."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
from safety_tools import LIMITS, READY, RIG, STANDBY, START_S, TODAY, good, health, pulse, threshold

from rtloop.model.pulse import Purpose
from rtloop.model.status import Breach, Fault, Lamp, Mode, UnitStatus
from rtloop.safety.ledger import Counts
from rtloop.safety.rules import RULES, PlanStep, Rig, Situation, plan_refusals, refusals


def names(situation: Situation) -> set[str]:
    return {r.rule for r in refusals(situation, LIMITS)}


def unit(
    instr: int = READY, t_s: float = START_S, power: int | None = 55, temp_c: float | None = 25.0
) -> UnitStatus:
    return UnitStatus.from_instr(instr, t_s=t_s, power_pct_mso=power, coil_temp_c=temp_c)


HUMAN = {"mode": Mode.HUMAN, "commissioned": True}
OVER = threshold(pct_mso=91.9)
BREACH = Breach(fault=Fault.STREAM_BAD, what="rate", expected="4800 Hz", found="4700 Hz")
ONE_WRONG: list[tuple[str, dict[str, Any]]] = [
    ("mode_allows", {"mode": Mode.LISTEN}),
    ("mode_allows", {"unit_simulated": False}),
    ("mode_allows", {"unit_simulated": None}),
    ("mode_allows", {"mode": Mode.BENCH}),
    ("mode_allows", {**HUMAN, "unit_simulated": True, "eeg_simulated": False}),
    ("mode_allows", {**HUMAN, "unit_simulated": False, "eeg_simulated": True}),
    ("mode_allows", {**HUMAN, "unit_simulated": False, "eeg_simulated": None}),
    ("commissioned", {"mode": Mode.HUMAN, "unit_simulated": False, "eeg_simulated": False}),
    ("not_locked", {"lock": "P01 is locked since yesterday"}),
    ("not_locked", {"lock": None}),
    *[("lamp_armed", {"lamp": lamp}) for lamp in Lamp if lamp is not Lamp.ARMED],
    ("armed_recently", {"armed_since_s": START_S - 56.0, "last_pulse_t_s": None}),
    ("armed_recently", {"armed_since_s": None}),
    ("armed_recently", {"armed_since_s": START_S + 1.0}),
    ("deadline", {"pulse": pulse(START_S - 1.0)}),
    ("deadline", {"pulse": pulse(START_S, deadline_s=START_S + 5.1)}),
    ("calendar", {"latest_day": "2023-11-15"}),
    ("power_cap", {"pulse": pulse(power_pct_mso=101), "unit": unit(power=101), "threshold": OVER}),
    ("threshold_known", {"threshold": None}),
    ("threshold_by_emg", {"threshold": threshold(method="visual")}),
    ("threshold_fresh", {"threshold": threshold(date="2023-11-06")}),
    ("threshold_fresh", {"threshold": threshold(date="2023-11-16")}),
    ("threshold_own", {"threshold": threshold(participant="P02")}),
    ("threshold_own", {"threshold": threshold(coil="D70 other")}),
    ("threshold_own", {"threshold": threshold(waveform="biphasic")}),
    ("threshold_own", {"threshold": threshold(unit_model="Rapid2")}),
    ("threshold_own", {"rig": None}),
    ("rmt_cap", {"pulse": pulse(power_pct_mso=71, power_pct_rmt=None), "unit": unit(power=71)}),
    ("rmt_cap", {"pulse": pulse(power_pct_mso=71, power_pct_rmt=142.0), "unit": unit(power=71)}),
    ("intensity_agrees", {"pulse": pulse(power_pct_mso=56), "unit": unit(power=56)}),
    ("interval", {"last_pulse_t_s": START_S - 2.9}),
    ("interval", {"last_pulse_t_s": START_S - 0.9, "min_interval_s": 0.1}),
    ("interval", {"last_pulse_t_s": START_S - 40.0, "min_interval_s": -1.0}),
    ("dose", {"counts": Counts(target_session=400)}),
    ("dose", {"counts": Counts(session=1500)}),
    ("dose", {"counts": Counts(day=1500)}),
    ("unit_fresh", {"unit": unit(t_s=START_S - 1.1)}),
    ("unit_fresh", {"unit": unit(t_s=START_S + 5.0)}),
    ("unit_ready", {"unit": unit(STANDBY)}),
    ("unit_ready", {"unit": unit(0x8A)}),  # armed, charging, not ready
    ("unit_ready", {"unit": unit(READY & ~0x08)}),  # no coil
    ("unit_ready", {"unit": unit(READY | 0x10)}),
    ("unit_ready", {"unit": unit(READY | 0x20)}),
    ("unit_ready", {"unit": unit(READY | 0x40)}),
    ("unit_ready", {"unit": unit(READY & ~0x80)}),  # no remote control
    ("unit_power", {"unit": unit(power=54)}),
    ("unit_power", {"unit": unit(power=None)}),
    ("coil_cool", {"unit": unit(temp_c=39.1)}),
    ("coil_cool", {"unit": unit(temp_c=None)}),
    ("stream_alive", {"stream": health(START_S, age_s=0.051)}),
    ("stream_alive", {"stream": health(START_S - 0.1, age_s=0.001)}),
    ("stream_good", {"stream": health(START_S, breaches=(BREACH,))}),
    ("recorder_alive", {"recorder_age_s": 1.1}),
    ("record_durable", {"durable_lag_s": 2.1}),
    ("port_alive", {"port_age_s": math.inf}),
    ("operator_present", {"operator_age_s": 2.1}),
]  # fmt: skip


def test_a_good_situation_is_not_refused() -> None:
    assert refusals(good(), LIMITS) == ()
    human = good(mode=Mode.HUMAN, unit_simulated=False, eeg_simulated=False, commissioned=True)
    assert refusals(human, LIMITS) == ()
    assert refusals(good(threshold=None, pulse=pulse(power_pct_rmt=None)), LIMITS) == ()


@pytest.mark.req("R-ALL-RULES")
@pytest.mark.parametrize(("rule", "change"), ONE_WRONG)
def test_one_thing_wrong_gives_its_own_refusal_with_words(rule: str, change: dict[str, Any]) -> None:
    said = refusals(replace(good(), **change), LIMITS)
    assert {r.rule for r in said} == {rule}
    assert all(r.expected and r.found and r.todo for r in said)


@pytest.mark.req("R-ALL-RULES")
def test_every_rule_has_a_case_and_runs() -> None:
    mine = {
        r.__name__ for r in RULES if not r.__module__.endswith("train_rules")
    }  # those have their own file
    assert mine == {rule for rule, _ in ONE_WRONG}


@pytest.mark.req("R-ALL-RULES")
def test_what_is_left_unsaid_refuses() -> None:
    said = {r.rule for r in refusals(Situation(mode=Mode.HUMAN, now_s=START_S, pulse=pulse()), LIMITS)}
    assert said >= {
        "mode_allows", "commissioned", "not_locked", "lamp_armed", "armed_recently", "calendar", "threshold_known",
        "unit_fresh", "unit_ready", "unit_power", "coil_cool", "stream_alive", "stream_good",
        "recorder_alive", "record_durable", "port_alive", "operator_present",
    }  # fmt: skip


@pytest.mark.req("R-NAN")
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_refuse_wherever_a_number_stands(bad: float) -> None:
    base = good()
    numbers = [f.name for f in fields(base) if isinstance(getattr(base, f.name), float)]
    assert len(numbers) >= 7
    for name in numbers:
        if name == "last_pulse_t_s" and bad == -math.inf:
            continue  # a pulse infinitely long ago: as good as none
        assert names(replace(base, **{name: bad})), name
    for name in ("age_s", "t_s"):
        assert names(replace(base, stream=health(**({"t_s": START_S} | {name: bad})))), name
    assert names(replace(base, unit=unit(t_s=bad)))
    assert names(replace(base, unit=unit(temp_c=bad)))
    assert names(replace(base, unit=unit(power=bad), pulse=pulse(power_pct_mso=bad)))  # type: ignore[arg-type]
    assert names(replace(base, pulse=pulse(power_pct_rmt=bad)))
    assert names(replace(base, pulse=pulse(power_pct_rmt=bad), threshold=None))
    for name in ("target_session", "session", "day"):
        assert names(
            replace(base, counts=Counts(**{name: bad})) if bad > 0 else replace(base, counts=Counts(day=-1))
        )
    with pytest.raises(ValueError):
        threshold(pct_mso=bad)
    with pytest.raises(ValueError):
        threshold().to_mso(bad)


@pytest.mark.req("R-INTENSITY")
def test_percent_of_threshold_rounds_down_exactly() -> None:
    assert threshold(pct_mso=47.0).to_mso(120.0) == 56  # 56.4
    assert threshold(pct_mso=50.0).to_mso(110.0) == 55  # not 54 by binary fractions
    assert threshold(pct_mso=57.0).to_mso(99.9) == 56
    for pct_mso in range(20, 91):
        for pct_rmt in range(80, 141):
            assert threshold(pct_mso=float(pct_mso)).to_mso(float(pct_rmt)) == pct_mso * pct_rmt // 100


def step(**changes: Any) -> PlanStep:
    base: dict[str, Any] = {
        "mode": Mode.SIMULATED, "target": "M1", "purpose": Purpose.MAPPING, "power_pct_mso": 55,
        "power_pct_rmt": 110.0, "n_pulses": 160, "interval_s": 3.2, "min_interval_s": 3.0, "today": TODAY,
        "participant": "P01", "rig": RIG, "threshold": threshold(),
    }  # fmt: skip
    return PlanStep(**(base | changes))


@pytest.mark.req("R-PLAN")
@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("power_cap", {"power_pct_mso": 101, "threshold": threshold(pct_mso=92.0)}),
        ("rmt_cap", {"power_pct_mso": 72, "power_pct_rmt": 144.0}),
        ("interval", {"interval_s": 3.0}),
        ("interval", {"interval_s": math.nan}),
        ("dose", {"n_pulses": 401}),
        ("dose", {"n_pulses": 101, "before": Counts(day=1400)}),
        ("threshold_known", {"threshold": None}),
        ("threshold_known", {"mode": Mode.HUMAN, "threshold": None, "power_pct_rmt": None}),
        ("threshold_fresh", {"threshold": threshold(date="2023-10-01")}),
        ("threshold_own", {"rig": Rig(unit_model="200", coil="other", waveform="mono PA")}),
        ("threshold_by_emg", {"threshold": threshold(method="visual")}),
        ("intensity_agrees", {"power_pct_mso": 54}),
    ],
)
def test_rehearsal_uses_the_gates_own_rules(rule: str, change: dict[str, Any]) -> None:
    assert plan_refusals(step(), LIMITS) == ()
    assert rule in {r.rule for r in plan_refusals(step(**change), LIMITS)}
