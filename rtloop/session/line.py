"""Owns the straight line from the stream to scores: pulse seen -> epoch cut -> cleaned, judged, summed; owns no stimulator.

The same object serves a mapping, a probe, listen-only and a replay; only who names the target of a pulse differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rtloop.clock import WALL
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Scores, Verdict
from rtloop.model.montage import Montage
from rtloop.model.pulse import PulseSeen
from rtloop.model.samples import F64, Epoch
from rtloop.model.trial import CleanTrial
from rtloop.model.view import key_of
from rtloop.plan.schema import Plan
from rtloop.ports import SampleSource
from rtloop.quality.lights import Judgement
from rtloop.quality.limits import QualityLimits
from rtloop.quality.recording import TrialFacts
from rtloop.session.filters import FilterLog
from rtloop.session.judging import EVERY, facts_of
from rtloop.session.ongoing import Ongoing
from rtloop.session.scorer import TargetScorer

#: exact standard errors after every trial up to so many, then at every so-manieth (in between: the last, scaled)
EXACT_UP_TO = 200
EXACT_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class Label:
    """Which block a seen pulse belongs to."""

    pulse_id: int
    target: str
    block: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A judged trial and what came of it. ``clean`` is None where no epoch could be cut."""

    trial_id: int
    label: Label
    seen: PulseSeen
    verdict: Verdict
    clean: CleanTrial | None
    scores: Scores | None  # None where the block is only looked at (preview) or nothing changed
    stage_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Again:
    """An earlier trial after the first filter cleaned it again. ``trial``: as it stands now; it carries scores where it was the
    last one. ``cleaned`` False: it stays as it was, ``why`` says so. ``changed``: by how much the trials that count changed."""

    trial: Trial
    before: Verdict
    counts: bool
    changed: int
    cleaned: bool
    why: str
    after_trial: int  # the newest trial then
    left: int  # how many of its block still wait


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where a target's LOCAL electrodes are: the coil's place on the head, metres, or None when it is not known; and
    the target's own gap around the pulse, where the plan gives it one."""

    coil_m: F64 | None
    local: tuple[str, ...] = ()
    gap_s: tuple[float, float] | None = None


def spots_of(plan: Plan) -> dict[str, Spot]:
    """What a plan says of its targets' places and gaps."""
    return {
        t.name: Spot(
            coil_m=t.point_m(), local=t.local_electrodes or (),
            gap_s=None if t.gap_ms is None else (t.gap_ms[0] * 1e-3, t.gap_ms[1] * 1e-3),
        )
        for t in plan.targets
    }  # fmt: skip


class SignalLine:
    """Turns pulses seen in a source into trials and scores.

    Parameters
    ----------
    source : where samples and pulses come from
    spec : the chain's settings
    spots : target -> where its coil is
    limits : where the lights of quality change, None: by default
    """

    def __init__(
        self,
        source: SampleSource,
        spec: ChainSpec,
        spots: dict[str, Spot],
        limits: QualityLimits | None = None,
    ) -> None:
        if (spec.sound or spec.muscle) and source.montage.n_channels < spec.spatial_channels:
            raise ValidationProblem(
                "too few channels for the spatial stage that the plan asks for",
                expected=f"at least {spec.spatial_channels} EEG channels", found=str(source.montage.n_channels),
                todo="write muscle = false (and sound = false) in [signal.stages], or connect more electrodes",
            )  # fmt: skip
        self._source, self.spec, self._spots = source, spec, spots
        self._specs = {
            t: replace(spec, gap_s=spot.gap_s) for t, spot in spots.items() if spot.gap_s is not None
        }
        self.filters = FilterLog(source.montage)
        self.ongoing: Ongoing | None = None  # kept where a question is asked of the map
        self.limits = limits or QualityLimits()
        self.channels = spec.memory(source.montage.n_channels)
        self.facts: dict[
            str, dict[int, TrialFacts]
        ] = {}  # key of a block -> its trials, for the block's quality
        self._pending: list[tuple[PulseSeen, Label]] = []
        self._all_seen: list[int] = []
        self._next_trial = 0
        self._overruled: set[int] = set()  # trials that the operator moved
        self.meanwhile: Callable[[], None] = lambda: None  # called during long computations
        #: (first sample, samples) of an epoch -> why what it was recorded from rules it out, as (rule, found, limit, unit)
        self.ruled_out: Callable[[int, int], tuple[str, float, float, str] | None] = lambda first, count: None
        self.scorers: dict[str, TargetScorer] = {}
        self.trial_block: dict[int, tuple[Label, Trial]] = {}
        rate = source.rate_hz
        self._before = round(-spec.epoch_s[0] * rate)
        self._count = self._before + round(spec.epoch_s[1] * rate) + 1

    @property
    def epoch_after(self) -> int:
        """Samples from the pulse to the end of an epoch."""
        return self._count - self._before

    @property
    def waiting(self) -> set[int]:
        """Ids of pulses whose trial still waits for its last sample."""
        return {label.pulse_id for _, label in self._pending}

    @property
    def montage(self) -> Montage:
        return self._source.montage

    def scorer(self, target: str, block: str) -> TargetScorer:
        """The running sums of a block, made when first asked for (ask before arming: making it allocates)."""
        key = key_of(target, block)
        if key not in self.scorers:
            spot = self._spots.get(target, Spot(coil_m=None))
            self.scorers[key] = TargetScorer(
                target, self._specs.get(target, self.spec), self._source.rate_hz, self._source.montage, spot.coil_m,
                local=spot.local, memory=self.channels,
            )  # fmt: skip
        return self.scorers[key]

    def prepare(self, target: str, block: str) -> None:
        """Do what the block's next trial would have to do first: between pulses. Changes no result."""
        scorer = self.scorers.get(key_of(target, block))
        if scorer is not None:
            scorer.prepare()

    def renew(self, target: str, block: str) -> bool:
        """Let a block that goes on learn its artifacts anew, for the coil was moved; False where nothing was learnt yet."""
        key = key_of(target, block)
        scorer = self.scorers.get(key)
        if scorer is None or not scorer.seen or scorer.chain.spatial is None:
            return False
        scorer.renew()
        self.filters.renew(key)
        return True

    def restart(self, target: str, block: str) -> None:
        """Forget a block: site, angle or intensity changed. Slow (memory is made) unless nothing was in it yet."""
        key = key_of(target, block)
        self.filters.forget(key)
        self.facts[key] = {}
        if self.ongoing is not None:
            self.ongoing.forget(key)
        if key in self.scorers and self.scorers[key].seen:
            del self.scorers[key]
        self.scorer(target, block)

    def look(self, now_s: float) -> list[PulseSeen]:
        """Pulses newly found in the stream; give those that matter to ``take``."""
        found = self._source.pulses(now_s)
        self._all_seen += [seen.sample for seen in found]
        return found

    def note(self, sample: int) -> None:
        """A pulse is known to be at this sample (replay): it spoils the epochs of its neighbours."""
        if sample not in self._all_seen:
            self._all_seen.append(sample)

    def take(self, seen: PulseSeen, label: Label) -> None:
        """Judge the trial around this pulse as soon as its last sample is there."""
        self._pending.append((seen, label))

    def trials(self) -> list[Trial]:
        """Trials whose last sample has arrived, judged and summed."""
        head = self._source.head()
        ready = [p for p in self._pending if p[0].sample - self._before + self._count <= head]
        self._pending = [p for p in self._pending if p not in ready]
        return [self._judge(seen, label) for seen, label in ready]

    def _judge(self, seen: PulseSeen, label: Label) -> Trial:
        t0 = WALL.now_s()
        trial_id, self._next_trial = self._next_trial, self._next_trial + 1
        first = seen.sample - self._before
        refused = self._unfit(seen.sample, first)
        clean: CleanTrial | None = None
        verdict = Verdict(accepted=False, reasons=(refused,)) if refused else None
        if verdict is None:
            window = self._source.window(first, self._count)
            t1 = WALL.now_s()
            # a view: the chain reads the ring's rows where they lie, once, into its own memory
            epoch = Epoch(
                data=window.data.T, rate_hz=self._source.rate_hz, pulse_sample=self._before, first=first
            )
            clean = self.scorer(label.target, label.block).process(epoch, trial_id)
            verdict = clean.verdict
            stages = {"cut": t1 - t0, **clean.stage_s}
        else:
            stages = {}
        t2 = WALL.now_s()
        scores = None
        if label.block != "preview" and verdict.accepted:
            scores = self._scores(self.scorer(label.target, label.block))
        t3 = WALL.now_s()
        stages |= {"clean_and_sum": t2 - t0, "scores": t3 - t2, "sample_to_scores": t3 - t0}
        trial = Trial(
            trial_id=trial_id,
            label=label,
            seen=seen,
            verdict=verdict,
            clean=clean,
            scores=scores,
            stage_s=stages,
        )
        self.facts.setdefault(key_of(label.target, label.block), {})[trial_id] = facts_of(
            trial, self.montage, self._source.rate_hz
        )
        if clean is not None and self.ongoing is not None and label.block == "run":
            self.ongoing.add(key_of(label.target, label.block), trial_id, clean)
        if clean is not None:
            self.filters.note(
                key_of(label.target, label.block), trial_id, self.scorer(label.target, label.block).chain,
                accepted=verdict.accepted,
            )  # fmt: skip
        self.trial_block[trial_id] = (
            label,
            replace(trial, clean=None, scores=None),
        )  # the epoch itself is in the recording
        return trial

    def earlier(self) -> tuple[int, ...]:
        """Trials that wait to be cleaned again by the first filter of their block, which is there now."""
        if not self.spec.reclean_earlier:
            return ()
        return tuple(i for scorer in self.scorers.values() for i in scorer.earlier())

    def again(self, trial_id: int) -> Again:
        """Clean one of the ``earlier`` trials again: between pulses, some ms of work. What a trial shows depends on which were
        judged and cleaned again before it, and on nothing else. KeyError for an unknown trial, ValidationProblem where it does
        not wait.
        """
        label, old = self.trial_block[trial_id]
        key, scorer = key_of(label.target, label.block), self.scorer(label.target, label.block)
        slots = scorer.connectivity.slots
        counted = slots.counts(trial_id)
        clean = scorer.again(trial_id, overruled=trial_id in self._overruled)
        stage = scorer.chain.spatial
        left = len(scorer.earlier())
        scores = None if left or label.block == "preview" else self._scores(scorer)
        trial = replace(old, clean=clean, scores=scores)
        if clean is not None:
            trial = replace(trial, verdict=clean.verdict, stage_s=dict(clean.stage_s))
            facts = facts_of(trial, self.montage, self._source.rate_hz)
            self.facts[key][trial_id] = replace(facts, accepted=slots.counts(trial_id))
            if self.ongoing is not None and label.block == "run":
                self.ongoing.add(key, trial_id, clean)
            self.trial_block[trial_id] = (label, replace(trial, clean=None, scores=None))
        self.filters.again(key, trial_id, scorer.chain, cleaned=clean is not None)
        return Again(
            trial=trial, before=old.verdict, counts=slots.counts(trial_id), changed=slots.counts(trial_id) - counted,
            cleaned=clean is not None, why="" if clean is not None or stage is None else stage.why,
            after_trial=self._next_trial - 1, left=left,
        )  # fmt: skip

    def _scores(self, scorer: TargetScorer) -> Scores:
        n = scorer.n_accepted
        return scorer.scores(se=n <= EXACT_UP_TO or n % EXACT_EVERY == 0, meanwhile=self.meanwhile)

    def _unfit(self, sample: int, first: int) -> tuple[str, float, float, str] | None:
        """Why no epoch can be cut, as (rule, found, limit, unit)."""
        rate = self._source.rate_hz
        if first < 0:
            return ("samples before the pulse", sample / rate, self._before / rate, "s")
        if not self._source.valid(first, self._count):
            return ("gap in the samples of the epoch", 1.0, 0.0, "gaps")
        others = [s for s in self._all_seen[-6:] if s != sample and first <= s < first + self._count]
        if others:
            near = min(others, key=lambda s: abs(s - sample))
            room_s = self.spec.epoch_s[1] if near > sample else -self.spec.epoch_s[0]
            return ("another pulse inside the epoch", abs(near - sample) / rate, room_s, "s")
        return self.ruled_out(first, self._count)

    def held_names(self) -> list[str]:
        """Channels that are left out over trials, by name."""
        return [self.montage.names[c] for c in self.channels.held]

    def due_for_quality(self, label: Label) -> bool:
        """Whether the block has a round number of trials, at which its quality is judged while it runs."""
        return len(self.facts.get(key_of(label.target, label.block), {})) % EVERY == 0

    def take_out(self, trial_id: int) -> Scores:
        """An accepted trial is taken out of the sums again; raises KeyError for an unknown trial."""
        label, _ = self.trial_block[trial_id]
        scorer = self.scorer(label.target, label.block)
        scorer.take_out(trial_id)
        self._moved(trial_id, label, accepted=False)
        return self._scores(scorer)

    def reinstate(self, trial_id: int) -> Scores:
        """A rejected or taken-out trial is counted after all; raises KeyError for an unknown trial."""
        label, _ = self.trial_block[trial_id]
        scorer = self.scorer(label.target, label.block)
        scorer.reinstate(trial_id)
        self._moved(trial_id, label, accepted=True)
        return self._scores(scorer)

    def _moved(self, trial_id: int, label: Label, *, accepted: bool) -> None:
        self._overruled.add(trial_id)
        rows = self.facts.get(key_of(label.target, label.block), {})
        if trial_id in rows:
            rows[trial_id] = replace(rows[trial_id], accepted=accepted)


def trial_dict(trial: Trial, montage: Montage, quality: Judgement | None = None) -> dict[str, Any]:
    """A judged trial as JSON values."""
    clean = trial.clean
    return {
        "trial_id": trial.trial_id,
        "pulse_id": trial.label.pulse_id,
        "target": trial.label.target,
        "block": trial.label.block,
        "sample": trial.seen.sample,
        "accepted": trial.verdict.accepted,
        "reasons": [r[0] for r in trial.verdict.reasons],
        "words": trial.verdict.words(),
        "numbers": {k: float(v) for k, v in trial.verdict.numbers.items() if np.isfinite(v)},
        "bad_channels": [] if clean is None else [montage.names[i] for i in clean.bad_channels],
        "stage_s": {k: round(v, 6) for k, v in trial.stage_s.items()},
    } | ({} if quality is None else {"quality": quality.to_dict()})


def again_dict(again: Again, montage: Montage, quality: Judgement) -> dict[str, Any]:
    """An earlier trial after it was cleaned again, as JSON values."""
    trial, numbers = again.trial, again.trial.verdict.numbers
    told = trial_dict(trial, montage, quality)
    counts = f"{'' if again.changed else 'still '}{'counts' if again.counts else 'does not count'}"
    n = int(numbers.get("spatial_trials", 0))
    words = f"trial {trial.trial_id} was cleaned again by the filter of {n} trials and {counts}"
    if not again.cleaned:
        words = f"trial {trial.trial_id} could not be cleaned again and stays as it was: {again.why}"
    return {
        **told, "verdict": told["words"], "words": words, "cleaned": again.cleaned, "counts": again.counts,
        "changed": again.changed, "reasons_before": [r[0] for r in again.before.reasons], "trials_learnt": n,
        "patterns": int(numbers.get("spatial_patterns", 0)), "after_trial": again.after_trial, "left": again.left,
    }  # fmt: skip
