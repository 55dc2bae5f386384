"""Owns the lights of a block (one target's recording) while it is made and at its end; owns no sum and no event.

A pure function of the trials' verdicts, as they are journalled, and of a few numbers of the average: the live session, the
report and a replay call the same function with the same values.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rtloop.quality.lights import Finding, Judgement, Light, of
from rtloop.quality.limits import RECORDING, QualityLimits

#: trials between which a blink or a bad channel can be told from chance
_FEWEST = 3


@dataclass(frozen=True, kw_only=True)
class TrialFacts:
    """What one trial says of the recording. ``reasons``: rule names of its rejection, empty if accepted by the chain.
    ``accepted``: as it counts now, the operator's word included. ``disagreement_ms``: second source of the pulse's
    instant less the first, NaN where there was one source only."""

    accepted: bool
    numbers: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    bad_channels: tuple[str, ...] = ()
    disagreement_ms: float = math.nan


@dataclass(frozen=True, kw_only=True)
class BlockFacts:
    """What is known of a block beside its trials. NaN with a reason in ``why`` (by the name of the row) where it is not
    known.

    n_channels : of the stream
    running : more pulses are to come, so that too few trials are no fault yet
    early_aim_uv : the plan's own aim, in place of the default's
    vertex_late_uv : peak to peak of the average at the vertex, 80-250 ms
    control_trials : accepted trials of this target's control block
    intensities : % of output that the accepted trials were given at, each once
    equal_channels : pairs of channels with the same signal, by name
    """

    n_channels: int
    running: bool = False
    early_local_pp_uv: float = math.nan
    early_aim_uv: float | None = None
    vertex_late_uv: float = math.nan
    control_trials: int | None = None
    intensities: tuple[float, ...] = ()
    split_half_r: float = math.nan
    pre_plv_inflation: float = math.nan
    equal_channels: tuple[tuple[str, str], ...] | None = None
    navigation_mm: float = math.nan
    navigation_deg: float = math.nan
    why: Mapping[str, str] = field(default_factory=dict)


#: why a number is not there, where nobody said it better
_WHY = {
    "decay_left_uv": "no decay is fitted in trials that the spatial stage cleans, or that stage is off",
    "early_local_pp_uv": "no average near the coil yet",
    "sensory_ratio": "it needs an early response near the coil and an electrode at the vertex",
    "split_half_r": "too few accepted trials for two halves",
    "pre_plv_inflation": "the spatial stage is off, or has cleaned fewer than 10 trials",
    "equal_channels": "not looked for yet",
    "control_trials": "not asked for in this kind of block",
    "navigation_mm": "no navigation system is connected",
    "navigation_deg": "no navigation system is connected",
    "pulse_jitter_ms": "fewer than 3 pulses with two sources of their instant",
    "intensities": "the intensity of the pulses is not known",
}


#: measured in simulation, nine scenes: 37 to 51 % of a dipole at 25 ms is left in the average (docs/signal.md)
EARLY_CLEANED = (
    "artifact patterns were taken out: of what is the same in every trial before about 35 ms a half or more goes with "
    "them (simulated), differences between trials stay"
)
#: the same where they were learnt from samples before the brain can have answered
EARLY_KEPT = (
    "artifact patterns were taken out, learnt before the brain can have answered: of what is the same in every trial about "
    "a tenth goes with them at 25 ms (a quarter where its map is like the muscle's), a quarter at 15 ms (simulated)"
)


def judge_recording(
    trials: Sequence[TrialFacts], facts: BlockFacts, limits: QualityLimits | None = None
) -> Judgement:
    """Lights of a block, every row of ``RECORDING`` once: a number or ABSENT with its reason. Never NaN."""
    limits = limits or QualityLimits()
    n, good = len(trials), [t for t in trials if t.accepted]

    def row(name: str, value: float, more: str = "", at: tuple[float, ...] | None = None) -> Finding:
        used = limits.of_recording(name) if at is None else at
        if math.isfinite(value):
            return RECORDING[name].judge(value, used, more=more)
        why = facts.why.get(name) or _WHY.get(name) or f"no accepted trial among {n} has it"
        return RECORDING[name].absent(why, used)

    def still(name: str) -> Finding:
        have, of_ = len(good), limits.of_recording(name)
        return RECORDING[name].absent(f"{have} so far, the block still runs", of_)

    wanted = limits.of_recording("accepted_trials")[0]
    early_at = None if facts.early_aim_uv is None else (facts.early_aim_uv,)
    fewer = facts.running and len(good) < wanted
    dark = _often_bad(trials)
    by = [t.numbers for t in good if t.numbers.get("spatial_patterns", 0) > 0]
    late = any(not numbers.get("spatial_early", 0) > 0 for numbers in by)
    cleaned = EARLY_CLEANED if late else EARLY_KEPT if by else ""
    out = [
        still("accepted_trials") if fewer else row("accepted_trials", len(good)),
        row("average_trials", len(good)),
        row("rejected_pct", 100 * (n - len(good)) / n if n else math.nan, _shares(trials)),
        row("bad_channels_pct", 100 * len(dark) / facts.n_channels if n else math.nan, ", ".join(dark)),
        row("line_noise_uv", _median(good, "line_noise_uv")),
        row("decay_left_uv", _median(good, "residual_decay_uv")),
        row("decay_back_ms", _median(good, "decay_back_ms")),
        row("muscle_uv", _median(good, "muscle_post_uv")),
        row("blink_pct", _blinks(trials)),
        row("pulse_jitter_ms", _jitter(trials)),
        row("early_local_pp_uv", facts.early_local_pp_uv, cleaned, early_at),
        _sensory(facts, limits),
        row("control_trials", math.nan if facts.control_trials is None else facts.control_trials),
        row("split_half_r", facts.split_half_r),
        row("pre_plv_inflation", facts.pre_plv_inflation),
        row(
            "equal_channels", math.nan if facts.equal_channels is None else len(facts.equal_channels),
            ", ".join(f"{a}={b}" for a, b in facts.equal_channels or ()),
        ),
        row("intensities", len(facts.intensities) or math.nan, ", ".join(f"{p:g} %" for p in facts.intensities)),
        row("navigation_mm", facts.navigation_mm),
        row("navigation_deg", facts.navigation_deg),
    ]  # fmt: skip
    if not n:
        out = [RECORDING[f.name].absent("no pulse yet", limits.of_recording(f.name)) for f in out]
    return of(out)


def rejected_for(trials: Sequence[TrialFacts]) -> dict[str, int]:
    """Rule -> rejected trials that broke it, the commonest first; a trial may break several. Trials that only the
    operator took out are told as such."""
    counts: Counter[str] = Counter()
    for t in trials:
        if not t.accepted:
            counts.update(dict.fromkeys(t.reasons or ("taken out by the operator",), 1))
    return dict(counts.most_common())


def _shares(trials: Sequence[TrialFacts]) -> str:
    counts = rejected_for(trials)
    return ", ".join(f"{100 * k / len(trials):.0f} % for {rule}" for rule, k in counts.items())


def _often_bad(trials: Sequence[TrialFacts]) -> list[str]:
    """Channels bad in at least half of the trials of which an epoch could be cut: no pair of theirs is scored."""
    cut = [t for t in trials if t.numbers]
    counts = Counter(name for t in cut for name in t.bad_channels)
    return sorted(name for name, k in counts.items() if 2 * k >= max(len(cut), _FEWEST))


def _median(trials: Sequence[TrialFacts], name: str) -> float:
    values = sorted(t.numbers[name] for t in trials if math.isfinite(t.numbers.get(name, math.nan)))
    if not values:
        return math.nan
    middle = len(values) // 2
    return float(values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2)


def _blinks(trials: Sequence[TrialFacts]) -> float:
    seen = [t for t in trials if "blink_uv" in t.numbers]
    blinked = sum("blink-like frontal amplitude" in t.reasons for t in seen)
    return 100 * blinked / len(seen) if seen else math.nan


def _jitter(trials: Sequence[TrialFacts]) -> float:
    """Standard deviation of the disagreement, ms: a constant one is a delay, not a jitter."""
    found = [t.disagreement_ms for t in trials if math.isfinite(t.disagreement_ms)]
    if len(found) < _FEWEST:
        return math.nan
    mean = sum(found) / len(found)
    return math.sqrt(sum((x - mean) ** 2 for x in found) / (len(found) - 1))


def _sensory(facts: BlockFacts, limits: QualityLimits) -> Finding:
    """Late vertex over early local response: it points to sensation only where the early one is below its aim."""
    row, at = RECORDING["sensory_ratio"], limits.of_recording("sensory_ratio")
    early, late = facts.early_local_pp_uv, facts.vertex_late_uv
    if not (early > 0 and math.isfinite(late)):
        return row.absent(facts.why.get(row.name) or _WHY[row.name], at)
    found = row.judge(late / early, at, more=f"{late:.3g} µV against {early:.3g} µV")
    aim = facts.early_aim_uv or limits.of_recording("early_local_pp_uv")[0]
    if not early >= aim or found.light is Light.GREEN:
        return found
    words = f"{row.what} {late / early:.3g} times, no sign of sensation alone: the early response reaches {aim:g} µV"
    return replace(found, light=Light.GREEN, words=words, todo="")
