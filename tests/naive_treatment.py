"""The slow twin of the rehearsal of a treatment: every train one by one, each judged by the gate's rules at its own instant."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from drivers.pacing import Pace
from rtloop.app.paper_unit import PaperUnit
from rtloop.model.pulse import Pulse, Purpose
from rtloop.model.status import Mode
from rtloop.plan.treat_schema import TreatmentPlan
from rtloop.safety.ledger import Counts
from rtloop.safety.limits import Limits
from rtloop.safety.rules import PLAN_RULES, MotorThreshold, Rig, Situation, refusals


@dataclass
class Walked:
    """What a session came to, and which rule refused which train (number from 1) first."""

    duration_s: float
    pulses: int
    energy_j: float
    powers: list[int]
    rules: dict[str, int]


def walk(
    plan: TreatmentPlan,
    target: str,
    threshold: MotorThreshold,
    limits: Limits,
    unit: PaperUnit,
    before: Counts,
) -> Walked:
    aim, rig = plan.target(target), plan.rig(target)
    ramp = [] if plan.ramp_up is None else list(plan.ramp_up.steps_pct_rmt)
    each = 1 if plan.ramp_up is None else plan.ramp_up.trains_each
    out = Walked(0.0, 0, 0.0, [], {})
    pace, counts, end_s, wait_s = Pace(), before, None, 0.0
    for i in range(plan.trains.count):
        pct = ramp[i // each] if i // each < len(ramp) else aim.intensity_pct_rmt
        power = int(Fraction(str(pct)) * int(threshold.pct_mso) / 100)
        now_s = 0.0 if end_s is None else end_s + float(plan.trains.pause_s or 0)
        train = plan.train
        says = unit.train_refusals(power, train)
        if not says:
            said = pace.refusal(unit.facts, now_s, power, train)
            says = (said,) if said else ()
            pace.given(now_s, power, train)
        situation = Situation(
            mode=Mode.SIMULATED, now_s=now_s, min_interval_s=wait_s, counts=counts, today="2026-11-23", last_pulse_t_s=end_s,
            last_train_end_s=end_s, participant=threshold.participant, threshold=threshold, capabilities=unit.capabilities,
            unit_says=says, rig=Rig(unit_model=plan.unit.model, coil=rig.coil, waveform=rig.waveform_words),
            pulse=Pulse(pulse_id=i, target=target, purpose=Purpose.TREATMENT, power_pct_mso=power, power_pct_rmt=pct,
                        due_s=now_s, deadline_s=now_s, train=train),
        )  # fmt: skip
        for refusal in refusals(situation, limits, PLAN_RULES):
            out.rules.setdefault(refusal.rule, i + 1)
        counts = counts.plus(train.n_pulses, Purpose.TREATMENT)
        end_s = now_s + train.duration_s
        wait_s = unit.min_interval_s(power, train) if 0 <= power <= 100 else 0.0
        out.powers.append(power)
        out.pulses += train.n_pulses
        out.energy_j += sum(252 * (power / 100) ** 2 for _ in range(train.n_pulses))
        out.duration_s = end_s
    return out
