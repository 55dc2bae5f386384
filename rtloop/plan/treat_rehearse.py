"""Owns the rehearsal of a treatment: what a session would give, take and heat, and every rule it breaks; owns no rule itself.

The rules are the gate's own (``rtloop.safety.rules``), asked for the last train at each power; the unit's are its driver's,
asked through ``UnitOnPaper``. A treatment that does not rehearse cannot be armed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from fractions import Fraction
from itertools import groupby
from typing import Any, Protocol

from rtloop.model.pulse import Pulse, Purpose, Train
from rtloop.model.status import Capabilities, Mode
from rtloop.model.waiver import Waiver
from rtloop.plan.breach import Breach, citation_of
from rtloop.plan.gate_checks import waits_s
from rtloop.plan.treat_schema import TreatmentPlan
from rtloop.plan.treat_steps import TrainStep, begins_s, duration_s, prescribed, trains_of
from rtloop.safety.ledger import NO_PULSES, Counts
from rtloop.safety.limits import Limits
from rtloop.safety.rules import MotorThreshold, PlanStep, Rig, plan_refusals
from rtloop.safety.train_end import cannot_stop_s

#: who a treatment is checked for where nobody is named: threshold and participant are then the same person
AS_CHECKED = "as checked"
_OF_THE_PLAN = (
    "threshold_known",
    "threshold_by_emg",
    "threshold_fresh",
    "threshold_own",
    "treatment_session",
)

#: seconds from the first pulse, % MSO, train
Command = tuple[float, int, Train]


class UnitOnPaper(Protocol):
    """What a unit's own rules and a model of its coil say, without a unit; the app makes it of the driver's facts."""

    @property
    def words(self) -> str:
        """Which unit, and what was taken for granted of it."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    def min_interval_s(self, power_pct_mso: int, train: Train) -> float:
        """Shortest time from the end of this train to the next pulse; ValueError for no power of the unit's."""
        ...

    def train_refusals(self, power_pct_mso: int, train: Train) -> tuple[str, ...]:
        """Everything that the unit's rules say against this train by itself."""
        ...

    def in_sequence(self, commands: Sequence[Command]) -> tuple[str, ...]:
        """What they say against each train after the ones before it ("": nothing)."""
        ...

    def energy_j(self, power_pct_mso: int) -> float:
        """Of one pulse."""
        ...

    def coil_c(self, commands: Sequence[Command]) -> tuple[float, ...]:
        """Estimated temperature of the coil at the start, then at the end of each train, °C."""
        ...

    @property
    def coil_words(self) -> str:
        """By which assumption."""
        ...


@dataclass(frozen=True, kw_only=True)
class TreatmentRehearsal:
    """What one session at one target would be.

    ``threshold_pct_mso``: the threshold it was rehearsed with; ``at_worst``: nobody gave one, so it is the highest that the
    plan's cap allows. ``powers_pct_mso``: of the ramp's steps and then of the treatment. ``energy_j``: of all pulses;
    ``pause_s``: the plan's, the unit's own least one, and the rules' (None where there is one train). ``coil_c``: start,
    highest, end. ``hot_train``: the first train (from 1) that the estimate does not allow. ``over_a_person``: breaches that
    only mode HUMAN adds. ``waits_s``: what a gate adds to ``duration_s``, fewest and most (None: trains wait for nothing).
    """

    plan_name: str
    plan_sha256: str
    target: str
    coil: str
    mode: Mode
    threshold_pct_mso: int
    at_worst: bool
    intensity_pct_rmt: float
    powers_pct_mso: tuple[int, ...]
    trains: int
    train: Train
    pulses: int
    duration_s: float
    energy_j: float
    pause_s: tuple[float, float, float] | None
    cannot_stop_s: float
    coil_c: tuple[float, float, float]
    hot_train: int | None
    breaches: tuple[Breach, ...]
    over_a_person: tuple[Breach, ...]
    waits_s: tuple[float, float] | None = None

    @property
    def may_arm(self) -> bool:
        """Whether it breaks no rule in this mode."""
        return not self.breaches

    def data(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self) | {"mode": str(self.mode), "may_arm": self.may_arm}


def rehearse_treatment(
    plan: TreatmentPlan,
    target: str,
    *,
    unit: UnitOnPaper,
    limits: Limits,
    today: date | str,
    threshold: MotorThreshold | None,
    mode: Mode = Mode.SIMULATED,
    participant: str = AS_CHECKED,
    before: Counts = NO_PULSES,
    waivers: tuple[Waiver, ...] = (),
    given: int = 0,
) -> TreatmentRehearsal:
    """Walk through a session without a unit.

    ``limits``: of site and device; the plan's own tighten them (``prescribed``). ``threshold`` None: it is rehearsed at the
    highest that the plan's cap allows, and that there is none is a breach. ``before``: what the participant got so far;
    ``given``: trains of this session that were given (they are in ``before``), so that only the rest is rehearsed.
    ``KeyError`` for a target that the plan does not have; ``ValueError`` when ``today`` is not a date or no train is left.
    """
    day = date.fromisoformat(str(today)).isoformat()
    own, rig = prescribed(plan, limits), plan.rig(target)
    asked = _Asked(
        plan=plan, unit=unit, limits=own, day=day, participant=participant, before=before, waivers=waivers,
        rig=Rig(unit_model=rig.unit_model, coil=rig.coil, waveform=rig.waveform_words),
        threshold=threshold if threshold is not None else _highest(plan, target, participant, day),
        unknown=threshold is None,
    )  # fmt: skip
    steps = trains_of(plan, target, whole_threshold(asked.threshold.pct_mso))[given:]
    if not steps:
        raise ValueError(f"no train is left of {plan.trains.count} after {given}")
    commands = tuple((t, s.power_pct_mso, s.train) for t, s in zip(begins_s(steps), steps, strict=True))
    full = steps[-1]
    coil = unit.coil_c(commands)
    breaches = _breaches(asked, steps, commands, mode)
    had = {(b.step, b.rule) for b in breaches}
    human = () if mode is Mode.HUMAN else _breaches(asked, steps, commands, Mode.HUMAN)
    return TreatmentRehearsal(
        plan_name=plan.name, plan_sha256=plan.sha256, target=target, coil=rig.coil, mode=mode,
        threshold_pct_mso=whole_threshold(asked.threshold.pct_mso), at_worst=asked.unknown,
        intensity_pct_rmt=full.power_pct_rmt,
        powers_pct_mso=tuple(dict.fromkeys(s.power_pct_mso for s in steps)), trains=len(steps), train=plan.train,
        pulses=sum(s.train.n_pulses for s in steps),
        duration_s=duration_s(plan) if not given else commands[-1][0] + full.train.duration_s,
        energy_j=sum(s.train.n_pulses * unit.energy_j(s.power_pct_mso) for s in steps),
        pause_s=None if plan.trains.pause_s is None else (
            plan.trains.pause_s, _wait_s(unit, full), limits.min_between_trains_s
        ),
        cannot_stop_s=cannot_stop_s(_pulse(full), unit.capabilities),
        coil_c=(coil[0], max(coil), coil[-1]),
        hot_train=next((s.index + 1 for s, c in zip(steps, coil[1:], strict=True) if not c <= own.coil_stop_c), None),
        breaches=breaches, over_a_person=tuple(b for b in human if (b.step, b.rule) not in had),
        waits_s=waits_s(plan.gate, len(steps), plan.trains.pause_s),
    )  # fmt: skip


def whole_threshold(pct_mso: float) -> int:
    """The whole % of a threshold; ``ValueError`` for one that is none: intensities follow from a whole %."""
    if pct_mso != int(pct_mso):
        raise ValueError(f"a threshold is a whole % of maximum output, not {pct_mso:g}")
    return int(pct_mso)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What every question to the rules has in common."""

    plan: TreatmentPlan
    unit: UnitOnPaper
    limits: Limits
    day: str
    participant: str
    before: Counts
    waivers: tuple[Waiver, ...]
    rig: Rig
    threshold: MotorThreshold
    unknown: bool


def _highest(plan: TreatmentPlan, target: str, participant: str, day: str) -> MotorThreshold:
    """The highest threshold at which the plan's intensity is within its own cap, as if measured today with the right rig."""
    share, cap, rig = plan.target(target).intensity_pct_rmt, plan.caps.power_pct_mso_max, plan.rig(target)
    highest = (
        math.ceil(Fraction(100 * (cap + 1)) / Fraction(repr(share))) - 1
    )  # the next one rounds down to cap + 1
    return MotorThreshold(
        participant=participant, pct_mso=max(1, min(100, highest)), date=day, method="EMG",
        coil=rig.coil, waveform=rig.waveform_words, unit_model=rig.unit_model,
    )  # fmt: skip


def _pulse(step: TrainStep) -> Pulse:
    return Pulse(
        pulse_id=0, target=step.target, purpose=Purpose.TREATMENT, power_pct_mso=step.power_pct_mso,
        power_pct_rmt=step.power_pct_rmt, due_s=0.0, deadline_s=0.0, train=step.train,
    )  # fmt: skip


def _wait_s(unit: UnitOnPaper, step: TrainStep) -> float:
    """The unit's own least pause after this train; 0 for a power that it does not have, which the rules refuse by name."""
    try:
        return unit.min_interval_s(step.power_pct_mso, step.train)
    except ValueError:
        return 0.0


def _breaches(
    asked: _Asked, steps: tuple[TrainStep, ...], commands: tuple[Command, ...], mode: Mode
) -> tuple[Breach, ...]:
    out: dict[tuple[int | None, str], Breach] = {}
    in_sequence = asked.unit.in_sequence(commands)
    done = 0
    for power, run in groupby(steps, key=lambda s: s.power_pct_mso):
        group = list(run)
        first, last = group[0], group[-1]
        done += len(group)
        wait_s = _wait_s(asked.unit, steps[done - 2]) if done > 1 else 0.0  # after the train before the last
        said = asked.unit.train_refusals(power, last.train)
        if not said:
            found = next(((s.index, w) for s in group if (w := in_sequence[s.index - steps[0].index])), None)
            said = () if found is None else (f"train {found[0] + 1}: {found[1]}",)
        step = PlanStep(
            mode=mode, target=last.target, purpose=Purpose.TREATMENT, power_pct_mso=power,
            power_pct_rmt=last.power_pct_rmt, n_pulses=done,
            interval_s=math.inf if asked.plan.trains.pause_s is None else asked.plan.trains.pause_s,
            min_interval_s=wait_s, today=asked.day, before=asked.before, participant=asked.participant, rig=asked.rig,
            threshold=asked.threshold, train=last.train, capabilities=asked.unit.capabilities, unit_says=said,
            plan_sha256=asked.plan.sha256, waivers=asked.waivers,
        )  # fmt: skip
        refusals = list(plan_refusals(step, asked.limits))
        if asked.unknown:
            nobody = plan_refusals(replace(step, threshold=None), asked.limits)
            refusals = [r for r in nobody if r.rule == "threshold_known"] + refusals
        for refusal in refusals:
            whole = refusal.rule in _OF_THE_PLAN
            row = asked.limits.train_row(last.train.frequency_hz, asked.threshold.to_rmt(power))
            out.setdefault(
                (None if whole else first.index, refusal.rule),
                Breach(
                    step=None if whole else first.index, where="the plan" if whole else _where(first, last),
                    rule=refusal.rule, expected=refusal.expected, found=refusal.found, todo=refusal.todo,
                    citation=citation_of(refusal, asked.limits, trains=True, row=row),
                ),
            )  # fmt: skip
    return tuple(out.values())


def _where(first: TrainStep, last: TrainStep) -> str:
    which = f"train {first.index + 1}" if first is last else f"trains {first.index + 1} to {last.index + 1}"
    what = f"{last.train.n_pulses} pulses at {last.train.frequency_hz:g} Hz, {last.power_pct_mso} % MSO"
    return f"{which} ({what}{', ramping up' if last.ramping else ''})"
