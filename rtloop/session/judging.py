"""Owns what is handed to the judges of quality: a trial's facts, a block's facts from its sums; owns no limit and no light."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rtloop.dsp.spec import ChainSpec
from rtloop.measures.scopes import usable
from rtloop.model.montage import Montage
from rtloop.model.view import View, key_of
from rtloop.quality.arrays import equal_channels, split_half_r, vertex_late_uv
from rtloop.quality.lights import Judgement
from rtloop.quality.limits import REJECTING, QualityLimits
from rtloop.quality.recording import BlockFacts, TrialFacts, judge_recording, rejected_for
from rtloop.quality.trial import judge_trial

if TYPE_CHECKING:
    from rtloop.session.line import SignalLine, Trial
    from rtloop.session.scorer import TargetScorer

#: while a block runs it is judged after so many trials
EVERY = 10
#: accepted trials below which two halves say nothing (an assumption)
HALVES_FROM = 10


def facts_of(trial: Trial, montage: Montage, rate_hz: float) -> TrialFacts:
    """What a judged trial says of its recording."""
    samples = trial.seen.disagreement_samples
    return TrialFacts(
        accepted=trial.verdict.accepted,
        numbers=trial.verdict.numbers,
        reasons=tuple(r[0] for r in trial.verdict.reasons),
        bad_channels=() if trial.clean is None else tuple(montage.names[c] for c in trial.clean.bad_channels),
        disagreement_ms=math.nan if samples is None else samples / rate_hz * 1e3,
    )


def trial_judged(trial: Trial, spec: ChainSpec, limits: QualityLimits) -> Judgement:
    """The lights of a trial by the limits that its chain used."""
    reject = {name: float(getattr(spec, name)) for _, name, _ in REJECTING.values()}
    return judge_trial(trial.verdict, reject, limits)


def block_judged(
    view: View, line: SignalLine, target: str, block: str, criteria: Mapping[str, Any], *, running: bool
) -> dict[str, Any]:
    """Data of ``quality_judged``: the lights of a block, and why trials were rejected.

    ``criteria``: of the target in the plan (``early_response_uv_min``). Cost grows with the number of trials: between
    pulses, not at each.
    """
    key = key_of(target, block)
    rows = line.facts.get(key, {})
    trials = list(rows.values())
    powers: set[float] = set()
    for trial_id, row in rows.items():
        power = view.pulses.get(line.trial_block[trial_id][0].pulse_id, {}).get("power_pct_mso")
        if row.accepted and power is not None:
            powers.add(float(power))
    control = view.targets.get(key_of(target, "control"))
    facts = _from_sums(
        line.scorer(target, block),
        running=running,
        aim_uv=criteria.get("early_response_uv_min"),
        control_trials=(0 if control is None else control.n_accepted) if block == "run" else None,
        powers=tuple(sorted(powers)),
        meanwhile=line.meanwhile,
    )
    added = [t.numbers["pre_plv_inflation"] for t in trials if "pre_plv_inflation" in t.numbers]
    if added:  # each trial carries what is known up to it
        facts = replace(facts, pre_plv_inflation=added[-1])
    judged = judge_recording(trials, facts, line.limits)
    return {
        "target": target, "block": block, "running": running, "n_accepted": sum(t.accepted for t in trials),
        "n_rejected": sum(not t.accepted for t in trials), "rejected_for": rejected_for(trials), **judged.to_dict(),
    }  # fmt: skip


def _from_sums(
    scorer: TargetScorer, *, running: bool, aim_uv: float | None, control_trials: int | None, powers: tuple[float, ...],
    meanwhile: Callable[[], None],
) -> BlockFacts:  # fmt: skip
    n, montage = scorer.n_accepted, scorer.montage
    early = scorer.early()
    why = {} if early.present else {"early_local_pp_uv": early.why_absent, "sensory_ratio": early.why_absent}
    good = usable(scorer.evoked.channel_counts, n) if n else np.zeros(montage.n_channels, dtype=np.bool_)
    newest, equal = scorer.evoked.newest(), None
    if newest is not None:
        before = scorer.times_s < scorer.spec.gap_s[0]
        pairs = equal_channels(newest[0][:, before], newest[1])
        equal = tuple((montage.names[a], montage.names[b]) for a, b in pairs)
    halves = math.nan
    if n >= HALVES_FROM and good.any():
        halves = split_half_r(*scorer.evoked.halves(good, scorer.spec.window_s, meanwhile))
    return BlockFacts(
        n_channels=montage.n_channels, running=running, early_local_pp_uv=early.value, early_aim_uv=aim_uv,
        vertex_late_uv=vertex_late_uv(scorer.average(), scorer.times_s, montage, good), control_trials=control_trials,
        intensities=powers, split_half_r=halves, equal_channels=equal,
        why=why | {"split_half_r": f"{n} accepted trial(s); two halves need {HALVES_FROM}"},
    )  # fmt: skip
