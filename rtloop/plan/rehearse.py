"""Owns the rehearsal: what a plan would give and take, and every rule it would break; owns no rule itself.

The rules are the gate's own (``rtloop.safety.rules``), asked for the last pulse of each step at its shortest
interval. A plan that does not rehearse cannot be armed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from rtloop.model.pulse import Purpose
from rtloop.model.status import Mode
from rtloop.model.waiver import Waiver
from rtloop.plan.breach import CITED, Breach, citation_of
from rtloop.plan.dose import unit_gap_s
from rtloop.plan.expand import Control, Preview, Run, Step, expand, returns_at_most, targets_in_order
from rtloop.plan.schema import Kind, Plan, Threshold, Unit
from rtloop.safety.ledger import Counts
from rtloop.safety.limits import Limits, load_limits
from rtloop.safety.rules import MotorThreshold, PlanStep, Refusal, Rig, plan_refusals

#: time to arm, s: the unit takes up to 1 s (design note STIMULATOR section 1)
ARMING_S = (0.2, 1.0)
#: the power rises 10 ms and falls 100 ms per % (same place)
RISE_S, FALL_S = 0.01, 0.1
_OF_THE_PLAN = ("threshold_known", "threshold_by_emg", "threshold_fresh", "threshold_own")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One target: powers in % MSO (None: the threshold is missing), pulses and seconds as (least, most)."""

    target: str
    power_pct_mso: int | None
    preview_pct_mso: tuple[int, ...] | None
    pulses: tuple[int, int]
    duration_s: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What the plan would be.

    ``duration_s`` and ``pulses`` are (least, most): every pulse accepted at the shortest interval, and every
    allowed pulse at the longest, with the return visits before every declared look and those for missing pulses. Coil
    placement, the operator's looks and redone targets are not in them. A watch plan gives no pulse and has no duration of its
    own: zeros.
    """

    plan_name: str
    plan_sha256: str
    kind: Kind
    mode: Mode
    duration_s: tuple[float, float]
    pulses: tuple[int, int]
    table: tuple[Row, ...]
    breaches: tuple[Breach, ...]

    @property
    def may_arm(self) -> bool:
        """Whether the plan gives pulses and breaks no rule."""
        return self.kind is not Kind.WATCH and not self.breaches

    def words(self) -> str:
        """The whole rehearsal as lines of text."""
        if self.kind is Kind.WATCH:
            return f"{self.plan_name}: listens only; nothing can be fired"
        took = f"{_span(self.pulses)} pulses, {_span(self.duration_s)} s without placing the coil"
        lines = [f"{self.plan_name}: {took}"]
        for row in self.table:
            power = "% RMT, no threshold" if row.power_pct_mso is None else f"{row.power_pct_mso} % MSO"
            lines.append(f"  {row.target}: {power}, {_span(row.pulses)} pulses, {_span(row.duration_s)} s")
        lines += [f"  refused: {b.words()}" for b in self.breaches]
        lines.append("may be armed" if self.may_arm else "may NOT be armed")
        return "\n".join(lines)


def rehearse(
    plan: Plan,
    *,
    limits: Limits | None = None,
    today: date | str,
    mode: Mode = Mode.SIMULATED,
    participant: str | None = None,
    before: Counts | None = None,
    waivers: tuple[Waiver, ...] = (),
) -> Rehearsal:
    """Walk through the plan without a unit.

    ``today`` is a UTC date (or YYYY-MM-DD); ``participant`` is who will sit there (None: whom the threshold
    names, which is not enough for HUMAN); ``before`` counts the pulses of this session and day so far; ``waivers`` lift
    their rules where they are of this plan.
    ``ValueError`` when ``today`` is not a date.
    """
    day = date.fromisoformat(str(today)).isoformat()
    if plan.kind is Kind.WATCH:
        rows = tuple(
            Row(target=t.name, power_pct_mso=None, preview_pct_mso=None, pulses=(0, 0), duration_s=(0.0, 0.0))
            for t in plan.targets
        )
        return Rehearsal(
            plan_name=plan.name, plan_sha256=plan.sha256, kind=plan.kind, mode=mode, duration_s=(0.0, 0.0),
            pulses=(0, 0), table=rows, breaches=(),
        )  # fmt: skip
    bound = not (plan.in_pct_rmt and plan.threshold is None)
    expanded = plan if bound else _with_stand_in(plan)
    steps, returns = expand(expanded), returns_at_most(expanded)
    rows = tuple(_row(plan, t.name, steps, bound) for t in targets_in_order(plan))
    more = [s.pulses_max for s in returns]
    longest_s = 0.0 if plan.timing is None else plan.timing.isi_s[1]
    return Rehearsal(
        plan_name=plan.name,
        plan_sha256=plan.sha256,
        kind=plan.kind,
        mode=mode,
        duration_s=(
            sum(r.duration_s[0] for r in rows),
            sum(r.duration_s[1] for r in rows) + sum(more) * longest_s,
        ),
        pulses=(sum(r.pulses[0] for r in rows), sum(r.pulses[1] for r in rows) + sum(more)),
        table=rows,
        breaches=_breaches(
            plan,
            (*steps, *returns),
            limits or load_limits(),
            day,
            mode,
            participant,
            before or Counts(),
            bound,
            waivers,
        ),
    )


def _with_stand_in(plan: Plan) -> Plan:
    """The same steps can be counted without a threshold; their powers are not used."""
    assert plan.unit is not None
    stand_in = Threshold(
        pct_mso=50, date=date(2000, 1, 1), method="EMG", coil=plan.unit.coil, waveform=plan.unit.waveform
    )
    return plan.model_copy(update={"threshold": stand_in})


def _blocks(steps: tuple[Step, ...], target: str) -> list[tuple[int, int, int]]:
    """(power % MSO, least pulses, most pulses) of each stretch of pulses at a target."""
    out: list[tuple[int, int, int]] = []
    for s in steps:
        if s.target == target and isinstance(s, Preview | Control):
            out.append((s.power_pct_mso, s.pulses, s.pulses))
        elif s.target == target and isinstance(s, Run):
            out.append((s.power_pct_mso, s.pulses_wanted, s.pulses_max))
    return out


def _row(plan: Plan, target: str, steps: tuple[Step, ...], bound: bool) -> Row:
    assert plan.timing is not None
    blocks, least_s, most_s, power = _blocks(steps, target), 0.0, 0.0, 0
    for i, (wanted_power, least, most) in enumerate(blocks):
        step_pct = wanted_power - power
        ramp_s = step_pct * RISE_S if step_pct > 0 else -step_pct * FALL_S
        power = wanted_power
        gap_s = unit_gap_s(power) if i else 0.0  # the first block comes after a placement
        least_s += max(ramp_s + ARMING_S[0] + plan.timing.lead_s, gap_s) + (least - 1) * plan.timing.isi_s[0]
        most_s += max(ramp_s + ARMING_S[1] + plan.timing.lead_s, gap_s) + (most - 1) * plan.timing.isi_s[1]
    run = next(s for s in steps if isinstance(s, Run) and s.target == target)
    previews = tuple(s.power_pct_mso for s in steps if isinstance(s, Preview) and s.target == target)
    return Row(
        target=target,
        power_pct_mso=run.power_pct_mso if bound else None,
        preview_pct_mso=previews if bound else None,
        pulses=(sum(b[1] for b in blocks), sum(b[2] for b in blocks)),
        duration_s=(round(least_s, 3), round(most_s, 3)),
    )


def _motor_threshold(plan: Plan, unit: Unit) -> MotorThreshold | None:
    t = plan.threshold
    if t is None:
        return None
    return MotorThreshold(
        participant=t.participant or "", pct_mso=t.pct_mso, date=t.date.isoformat(), method=t.method,
        coil=t.coil, waveform=t.waveform, unit_model=unit.model,
    )  # fmt: skip


def _breaches(
    plan: Plan,
    steps: tuple[Step, ...],
    limits: Limits,
    day: str,
    mode: Mode,
    participant: str | None,
    before: Counts,
    bound: bool,
    waivers: tuple[Waiver, ...],
) -> tuple[Breach, ...]:
    assert plan.unit is not None
    assert plan.timing is not None
    assert plan.caps is not None
    unit = plan.unit
    out: dict[tuple[int | None, str], Breach] = {}
    threshold = _motor_threshold(plan, unit)
    person = participant if participant is not None else (threshold.participant if threshold else "")
    if mode is Mode.HUMAN and not participant:
        out[None, "participant_known"] = Breach(
            step=None, where="the plan", rule="participant_known", expected="a named participant",
            found="nobody", todo="say who sits there", citation=CITED["threshold_own"],
        )  # fmt: skip
    given: dict[str, int] = {}
    session, today = before.session, before.day
    for s in steps:
        if not isinstance(s, Preview | Run | Control):
            continue
        n = s.pulses_max if isinstance(s, Run) else s.pulses
        power = s.power_pct_mso if bound else plan.caps.power_pct_mso_max  # at worst
        asked = PlanStep(
            mode=mode,
            target=s.target,
            purpose=Purpose(s.purpose),
            power_pct_mso=power,
            power_pct_rmt=s.power_pct_rmt,
            n_pulses=n,
            interval_s=plan.timing.isi_s[0],
            min_interval_s=unit_gap_s(power),
            today=day,
            before=Counts(
                target_session=before.target_session + given.get(s.target, 0), session=session, day=today
            ),
            participant=person,
            rig=Rig(unit_model=unit.model, coil=unit.coil, waveform=unit.waveform),
            threshold=threshold,
            plan_sha256=plan.sha256,
            waivers=waivers,
        )
        for refusal in plan_refusals(asked, limits):
            whole = refusal.rule in _OF_THE_PLAN
            key = (None if whole else s.index, refusal.rule)
            out.setdefault(key, _breach(s, refusal, limits, whole=whole, power=power if bound else None))
        given[s.target] = given.get(s.target, 0) + n
        session, today = session + n, today + n
    return tuple(out.values())


def _breach(
    step: Preview | Run | Control, refusal: Refusal, limits: Limits, *, whole: bool, power: int | None
) -> Breach:
    at = "the plan's cap" if power is None else f"{power} % MSO"
    where = (
        "the plan" if whole else f"step {step.index} ({type(step).__name__.lower()} {step.target} at {at})"
    )
    return Breach(
        step=None if whole else step.index,
        where=where,
        rule=refusal.rule,
        expected=refusal.expected,
        found=refusal.found,
        todo=refusal.todo,
        citation=citation_of(refusal, limits),
    )


def _span(pair: tuple[float, float]) -> str:
    low, high = f"{pair[0]:.0f}", f"{pair[1]:.0f}"
    return low if low == high else f"{low} to {high}"
