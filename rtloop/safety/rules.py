"""Owns the rules a pulse must pass, each a small pure function; owns no state, no device and no time.

All rules run and all refusals are reported. A rule refuses, it never clamps; comparisons refuse NaN.
What is not known (None, NaN, an infinite age) is refused. The same functions serve rehearsal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from rtloop.model.pulse import Pair, Pulse, Purpose, Train
from rtloop.model.status import Capabilities, Lamp, Mode, StreamHealth
from rtloop.model.waiver import Waiver
from rtloop.safety.ledger import NO_PULSES, Counts
from rtloop.safety.limits import Limits
from rtloop.safety.situation import MotorThreshold, Refusal, Rig, Rule, Said, Situation, refuse, within
from rtloop.safety.train_rules import SHAPE_RULES, TRAIN_RULES, TREATMENT_RULES, train_under_way, unit_shape

__all__ = [
    "INTENSITY_RULES", "LAST_RULES", "PLAN_RULES", "RULES", "WISH_RULES", "MotorThreshold", "PlanStep", "Refusal", "Rig",
    "Rule", "Situation", "plan_refusals", "refusals", "refuse",
]  # fmt: skip

_CLOCK_SLACK_S = 0.1  # a reading may be stamped this much after the instant it is judged at


# ---- what a plan can be held to before anything is connected


def power_cap(s: Situation, limits: Limits) -> Said:
    power, cap = s.pulse.power_pct_mso, limits.row("max_power_pct_mso")
    ok = type(power) is int and within(0, power, limits.max_power_pct_mso)
    words = f"a whole number, 0 to {limits.max_power_pct_mso:g} % of maximum output (cap: {cap.set_by})"
    return None if ok else refuse("power_cap", words, power, "lower the intensity")


def threshold_known(s: Situation, limits: Limits) -> Said:
    ok = s.threshold is not None or (s.mode is not Mode.HUMAN and s.pulse.power_pct_rmt is None)
    todo = "measure the resting motor threshold by EMG and enter it"
    return None if ok else refuse("threshold_known", "a dated motor threshold", "none", todo)


def threshold_by_emg(s: Situation, limits: Limits) -> Said:
    method = "EMG" if s.threshold is None else s.threshold.method
    todo = "measure by EMG: a visible twitch gives a threshold that is too high"
    return None if method == "EMG" else refuse("threshold_by_emg", "a motor threshold from EMG", method, todo)


def threshold_fresh(s: Situation, limits: Limits) -> Said:
    if s.threshold is None:
        return None
    try:
        age_days: float = (date.fromisoformat(s.today) - date.fromisoformat(s.threshold.date)).days
    except ValueError:
        age_days = math.nan
    ok = within(-1, age_days, limits.threshold_max_age_days)  # -1: the local date may be one ahead of UTC
    found = f"measured {s.threshold.date}, today {s.today or 'unknown'}"
    words = f"a threshold at most {limits.threshold_max_age_days:g} days old"
    return None if ok else refuse("threshold_fresh", words, found, "measure the motor threshold again")


def threshold_own(s: Situation, limits: Limits) -> Said:
    t, rig = s.threshold, s.rig
    if t is None:
        return None
    want = (s.participant, rig.unit_model, rig.coil, rig.waveform) if rig is not None else ()
    have = (t.participant, t.unit_model, t.coil, t.waveform)
    words = f"a threshold of this participant, unit, coil and waveform {want}"
    ok = want == have and all(have)
    return None if ok else refuse("threshold_own", words, have, "measure it with what is used today")


def rmt_cap(s: Situation, limits: Limits) -> Said:
    power, claimed, cap = s.pulse.power_pct_mso, s.pulse.power_pct_rmt, limits.max_single_pct_rmt
    actual = s.pct_rmt(power) if type(power) is int else math.nan
    ok = (actual is None or within(0, float(actual), cap)) and (claimed is None or 0 < claimed <= cap)
    found = f"{'no threshold' if actual is None else f'{float(actual):.1f} %'} (asked: {claimed} %)"
    return None if ok else refuse("rmt_cap", f"at most {cap:g} % of threshold", found, "lower the intensity")


def intensity_agrees(s: Situation, limits: Limits) -> Said:
    t, claimed, power = s.threshold, s.pulse.power_pct_rmt, s.pulse.power_pct_mso
    if t is None or claimed is None:
        return None
    wanted = t.to_mso(claimed) if 0 < claimed < math.inf else None
    words = f"{wanted} % of maximum output for {claimed} % of a threshold of {t.pct_mso:g} %"
    todo = "bind the plan to the threshold again"
    return None if wanted == power else refuse("intensity_agrees", words, f"{power} %", todo)


def interval(s: Situation, limits: Limits) -> Said:
    gap_s = max(limits.min_interval_s, s.min_interval_s) if s.min_interval_s >= 0 else math.nan
    since_s = math.inf if s.last_pulse_t_s is None else s.now_s - s.last_pulse_t_s
    words = f"{gap_s:g} s since the last pulse at {s.pulse.power_pct_mso} %"
    todo = "wait, or plan longer intervals for this unit and intensity"
    return None if since_s >= gap_s else refuse("interval", words, f"{since_s:.3f} s", todo)


def dose(s: Situation, limits: Limits) -> Said:
    if s.pulse.purpose is Purpose.TREATMENT:
        return None  # has caps of its own
    now = (
        (s.counts.target_session, limits.max_pulses_target_session, f"for {s.pulse.target} in this session"),
        (s.counts.session, limits.max_pulses_session, "in this session"),
        (s.counts.day, limits.max_pulses_day, "today"),
    )
    more = s.pulse.n_pulses
    full = [(n, cap, words) for n, cap, words in now if not (n >= 0 and n + more <= cap)]
    expected = "; ".join(f"at most {cap:g} pulses {words}" for _, cap, words in full)
    todo = "end here; an uncertain pulse counts as given"
    return (
        refuse("dose", expected, "; ".join(f"pulse {n + more}" for n, _, _ in full), todo) if full else None
    )


# ---- what only the moment can tell


def mode_allows(s: Situation, limits: Limits) -> Said:
    sim, eeg = s.unit_simulated, s.eeg_simulated
    ok = {Mode.SIMULATED: sim is True, Mode.BENCH: sim is False, Mode.HUMAN: sim is False and eeg is False}
    kind = {True: "simulated", False: "real", None: "unknown"}
    found, todo = f"unit {kind[sim]}, EEG {kind[eeg]}", "start again in the mode that is true"
    return None if ok.get(s.mode, False) else refuse("mode_allows", f"what {s.mode} means", found, todo)


def commissioned(s: Situation, limits: Limits) -> Said:
    ok, todo = s.mode is not Mode.HUMAN or s.commissioned is True, "commission the unit on a phantom first"
    return None if ok else refuse("commissioned", "a commissioning record of unit and site", "none", todo)


def not_locked(s: Situation, limits: Limits) -> Said:
    """Nobody who was locked after an emergency is given a pulse; that nobody looked refuses too."""
    found = "nobody looked for a lock" if s.lock is None else s.lock
    todo = "a named person unlocks: rtloop unlock --person NAME --reason WORDS --participant CODE"
    return refuse("not_locked", "no lock after an emergency", found, todo) if found else None


def lamp_armed(s: Situation, limits: Limits) -> Said:
    todo = "clear the faults, arm in two steps"
    return None if s.lamp is Lamp.ARMED else refuse("lamp_armed", "ARMED", s.lamp, todo)


def armed_recently(s: Situation, limits: Limits) -> Said:
    armed_s = s.armed_since_s if s.armed_since_s is not None and math.isfinite(s.armed_since_s) else math.nan
    since_s = s.now_s - max(armed_s, armed_s if s.last_pulse_t_s is None else s.last_pulse_t_s)
    ok, words = within(0, since_s, limits.arm_timeout_s), f"armed or pulsed in {limits.arm_timeout_s:g} s"
    return None if ok else refuse("armed_recently", words, f"{since_s:.1f} s ago", "disarm and arm again")


def deadline(s: Situation, limits: Limits) -> Said:
    left_s, life_s = s.pulse.deadline_s - s.now_s, limits.permit_max_life_s
    words, todo = f"a deadline 0 to {life_s:g} s ahead", "nothing: a late pulse is missed, never late"
    return None if within(0, left_s, life_s) else refuse("deadline", words, f"{left_s:.3f} s", todo)


def calendar(s: Situation, limits: Limits) -> Said:
    words = f"a date not before {s.latest_day or '(none)'}, the last day in the dose ledger"
    ok = s.today and s.today >= s.latest_day
    return None if ok else refuse("calendar", words, s.today or "unknown", "set the computer's date right")


def unit_ready(s: Situation, limits: Limits) -> Said:
    u = s.unit
    bits = {"no status": True} if u is None else {
        "in standby": u.standby, "not ready": not u.ready, "no remote control": not u.remote,
        "no coil": not u.coil_present, "coil to be replaced": u.replace_coil,
        "error": u.error, "fatal error": u.error_fatal,
    }  # fmt: skip
    wrong = ", ".join(words for words, is_so in bits.items() if is_so)
    todo = "look at the unit's display, then arm again"
    return refuse("unit_ready", "the unit's own word: ready, coil, no error", wrong, todo) if wrong else None


def unit_power(s: Situation, limits: Limits) -> Said:
    found, want = None if s.unit is None else s.unit.power_pct_mso, s.pulse.power_pct_mso
    words, todo = f"{want} % read back from the unit", "set the power again and wait for the read-back"
    return None if found is not None and found == want else refuse("unit_power", words, f"{found} %", todo)


def coil_cool(s: Situation, limits: Limits) -> Said:
    temp_c = None if s.unit is None else s.unit.coil_temp_c
    words = f"a coil known to be at most {limits.coil_stop_c:g} °C"
    ok = temp_c is not None and within(0, temp_c, limits.coil_stop_c)
    return None if ok else refuse("coil_cool", words, f"{temp_c} °C", "let the coil cool or change it")


def stream_good(s: Situation, limits: Limits) -> Said:
    breaches = () if s.stream is None else s.stream.breaches
    words = "; ".join(b.expected for b in breaches) or "a stream without breach"
    found = "; ".join(f"{b.what}: {b.found}" for b in breaches) or "no reading of the stream"
    ok = s.stream is not None and s.stream.ok
    return None if ok else refuse("stream_good", words, found, "check the amplifier")


def _recent(name: str, who: str, limit_name: str, todo: str, age_of: Callable[[Situation], float]) -> Rule:
    """A rule that holds an age in s to a limit; it may be stamped a little after that instant."""

    def rule(s: Situation, limits: Limits) -> Said:
        age_s, limit_s = age_of(s), getattr(limits, limit_name)
        ok = within(-_CLOCK_SLACK_S, age_s, limit_s)
        return None if ok else refuse(name, f"{who} at most {limit_s:g} s old", f"{age_s:.3f} s", todo)

    rule.__name__ = name
    return rule


def _stream_age_s(stream: StreamHealth | None, now_s: float) -> float:
    if stream is None:
        return math.inf
    since_s = now_s - stream.t_s
    return stream.age_s + max(0.0, since_s) if since_s >= -_CLOCK_SLACK_S else math.inf


unit_fresh = _recent("unit_fresh", "a status of the unit", "status_max_age_s", "check cable and display",
                     lambda s: math.inf if s.unit is None else s.unit.age_s(s.now_s))  # fmt: skip
stream_alive = _recent("stream_alive", "an EEG sample", "eeg_hold_s", "check the amplifier",
                       lambda s: _stream_age_s(s.stream, s.now_s))  # fmt: skip
recorder_alive = _recent("recorder_alive", "a sign of the recorder", "recorder_max_age_s",
                         "no record, no pulse: start a new run", lambda s: s.recorder_age_s)  # fmt: skip
record_durable = _recent("record_durable", "the oldest sample not on disk", "durable_max_lag_s",
                         "no record, no pulse: check the disk", lambda s: s.durable_lag_s)  # fmt: skip
port_alive = _recent("port_alive", "a sign of the port process", "port_max_age_s",
                     "use the unit's own switch, then start a new run", lambda s: s.port_age_s)  # fmt: skip
operator_present = _recent("operator_present", "a sign of the operator's window", "operator_max_age_s",
                           "open the operator's window again", lambda s: s.operator_age_s)  # fmt: skip

INTENSITY_RULES: tuple[Rule, ...] = (
    power_cap, threshold_known, threshold_by_emg, threshold_fresh, threshold_own, rmt_cap, intensity_agrees,
)  # fmt: skip
WISH_RULES: tuple[Rule, ...] = (*INTENSITY_RULES, *SHAPE_RULES)
PLAN_RULES: tuple[Rule, ...] = (*WISH_RULES, interval, dose, *TRAIN_RULES, *TREATMENT_RULES)
LAST_RULES: tuple[Rule, ...] = (lamp_armed, deadline, train_under_way)
RULES: tuple[Rule, ...] = (
    mode_allows, commissioned, not_locked, *LAST_RULES, armed_recently, calendar, *PLAN_RULES,
    unit_fresh, unit_ready, unit_power, unit_shape, coil_cool, stream_alive, stream_good,
    recorder_alive, record_durable, port_alive, operator_present,
)  # fmt: skip


def refusals(situation: Situation, limits: Limits, rules: tuple[Rule, ...] = RULES) -> tuple[Refusal, ...]:
    """Every refusal of every rule; empty means yes."""
    return tuple(r for r in (rule(situation, limits) for rule in rules) if r is not None)


@dataclass(frozen=True, kw_only=True)
class PlanStep:
    """A stretch of a plan as rehearsal sees it: ``n_pulses`` fire commands, at least ``interval_s`` from end to start.

    Each command gives one pulse, or the ``train`` or ``pair``; ``unit_says``: the unit's own refusals of the train.
    """

    mode: Mode
    target: str
    purpose: Purpose
    power_pct_mso: int
    power_pct_rmt: float | None
    n_pulses: int
    interval_s: float  # the shortest that jitter allows
    min_interval_s: float  # of the unit at this power
    today: str
    before: Counts = NO_PULSES
    participant: str = ""
    rig: Rig | None = None
    threshold: MotorThreshold | None = None
    train: Train | None = None
    pair: Pair | None = None
    capabilities: Capabilities | None = None
    unit_says: tuple[str, ...] | None = None
    plan_sha256: str = ""
    waivers: tuple[Waiver, ...] = ()


def plan_refusals(step: PlanStep, limits: Limits) -> tuple[Refusal, ...]:
    """What the gate's own rules would say of the last command of ``step``, as far as a plan can tell."""
    pulse = Pulse(
        pulse_id=0, target=step.target, purpose=step.purpose, power_pct_mso=step.power_pct_mso,
        power_pct_rmt=step.power_pct_rmt, due_s=0.0, deadline_s=0.0, train=step.train, pair=step.pair,
    )  # fmt: skip
    more = (max(step.n_pulses, 1) - 1) * pulse.n_pulses
    situation = Situation(
        mode=step.mode, now_s=step.interval_s, last_pulse_t_s=limits.interval_margin_s,
        last_train_end_s=limits.interval_margin_s if more else None,
        min_interval_s=step.min_interval_s, pulse=pulse, counts=step.before.plus(more, step.purpose),
        today=step.today, participant=step.participant, rig=step.rig, threshold=step.threshold,
        capabilities=step.capabilities, unit_says=step.unit_says, plan_sha256=step.plan_sha256, waivers=step.waivers,
    )  # fmt: skip
    return refusals(situation, limits, PLAN_RULES)
