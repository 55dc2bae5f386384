"""Owns the line raw epoch -> clean trial -> scores of one target, live and offline alike; owns no algorithm of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rtloop.clock import WALL, Clock
from rtloop.dsp.analytic import Leakage
from rtloop.dsp.chain import Chain
from rtloop.dsp.channels import ChannelMemory
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.measures.connectivity import RunningConnectivity
from rtloop.measures.evoked import RunningEvoked
from rtloop.measures.sampling import DRAWS
from rtloop.measures.scopes import usable, weights, wider_weights
from rtloop.measures.uncertainty import estimate, jackknife_se
from rtloop.model.estimate import Estimate, Scores, Verdict
from rtloop.model.montage import Montage
from rtloop.model.samples import F32, F64, Epoch
from rtloop.model.trial import CleanTrial
from rtloop.session.beside import Beside
from rtloop.session.composing import (
    EARLY_S,
    BandPowers,
    ScoreErrors,
    evoked_absent,
    evoked_scores,
    pair_scores,
    pairs_absent,
)
from rtloop.session.equal import EqualScores, equal_scores

LOCAL_COUNT = 4  # electrodes nearest the coil
WIDER_COUNT = 8
FEWEST = 3  # trials below which nothing is reported


class TargetScorer:
    """Cleans, judges and sums the trials of one target.

    Parameters
    ----------
    coil_m : float64[3], metres in the frame of the montage; None: every local number is absent, with that
    reason
    bad_channels : names that never count at this target
    local : names of the LOCAL electrodes, in place of those nearest the coil
    capacity : trials kept before the history has to grow (``make_room`` grows it between pulses)
    memory : which channels are held, shared by all scorers of a stream; None: one of its own, where the spec holds any
    """

    def __init__(
        self,
        target: str,
        spec: ChainSpec,
        rate_hz: float,
        montage: Montage,
        coil_m: F64 | None = None,
        capacity: int = 400,
        *,
        bad_channels: Sequence[str] = (),
        local: Sequence[str] = (),
        clock: Clock = WALL,
        exact: bool = False,
        memory: ChannelMemory | None = None,
    ) -> None:
        self.target, self.spec, self.montage, self._clock = target, spec, montage, clock
        self.chain = Chain(spec, rate_hz=rate_hz, montage=montage, clock=clock)
        self.memory = spec.memory(montage.n_channels) if memory is None else memory
        self._known_bad = tuple(montage.index(name) for name in bad_channels)
        self.coil_m = None if coil_m is None else np.asarray(coil_m)
        self.local_channels = () if coil_m is None else montage.nearest(np.asarray(coil_m), LOCAL_COUNT)
        if local:
            self.local_channels = tuple(montage.index(name) for name in local)
        self.wider_channels = self._wider(coil_m)
        t = self.chain.times_s
        a, b = np.searchsorted(t, [spec.average_s[0] - 1e-9, spec.average_s[1] + 1e-9])
        self._kept = slice(int(a), int(b))
        self.times_s: F64 = t[self._kept]
        k = self.chain.kernels
        self._bands = k.bands
        self.connectivity = self._connectivity = RunningConnectivity(
            montage.n_channels, k.slices, capacity=capacity, dtype=np.float64 if exact else np.float32
        )
        self._evoked = RunningEvoked(
            montage.n_channels, self.times_s, self.chain.valid[self._kept], len(k.bands),
            n_windows=len(spec.sub_windows_s), capacity=capacity,
        )  # fmt: skip
        self._powers = BandPowers(k, spec.sub_windows_s)
        self._beside = Beside(self.chain, self.local_channels, self.wider_channels, capacity=capacity)
        self._weights: tuple[npt.NDArray[np.bool_], tuple[int, ...], F64] | None = None
        self._errors = ScoreErrors()
        self.prepare()

    @property
    def leakage(self) -> Mapping[str, Leakage]:
        """Band -> instants scored, and what of the gap and of the time before the pulse leaks into them."""
        return self.chain.kernels.leakage

    @property
    def evoked(self) -> RunningEvoked:
        """The running average and the trials behind it."""
        return self._evoked

    @property
    def seen(self) -> int:
        """Trials that came, counted or not."""
        return len(self._connectivity.slots)

    @property
    def n_accepted(self) -> int:
        """Trials that count."""
        return self._connectivity.n

    def process(self, epoch: Epoch, trial_id: int) -> CleanTrial:
        """Clean and judge one epoch; it counts if accepted. A rejected one is kept and may be reinstated.

        Raises
        ------
        ValidationProblem : the epoch does not fit the chain, or the id was seen before
        """
        if trial_id in self._connectivity.slots:
            raise ValidationProblem(f"trial {trial_id} is already there", todo="give every trial its own id")
        trial = self.chain.process(
            epoch, trial_id=trial_id, target=self.target, known_bad=self._known_bad, memory=self.memory
        )
        start_s = self._clock.now_s()
        good, counts = trial.good, trial.verdict.accepted
        self._connectivity.add(trial_id, trial.analytic_re, trial.analytic_im, good, counts=counts)
        self._evoked.add(trial_id, trial.eeg_uv[:, self._kept], good, self._powers.of(trial), counts=counts)
        self._beside.add(trial, epoch, counts=counts)
        return replace(trial, stage_s={**trial.stage_s, "add": self._clock.now_s() - start_s})

    def prepare(self) -> None:
        """Do what the next trial or look would have to do first, its memory included: between pulses. Changes no result."""
        self._connectivity.ready()
        self._evoked.ready()
        self._beside.catch_up()
        if self.chain.spatial is not None:
            self.chain.spatial.prepare()

    def renew(self) -> None:
        """Clean from now on as at a first visit: what was learnt of artifacts holds no more (the coil was moved). The trials
        that were summed stay as they are. Makes memory: while nothing is armed."""
        chain = self.chain
        self.chain = Chain(self.spec, rate_hz=chain.rate_hz, montage=self.montage, clock=self._clock)

    def earlier(self) -> tuple[int, ...]:
        """Trials before the first filter that can be cleaned by it now (``ChainSpec.reclean_earlier``)."""
        return self.chain.earlier()

    def again(self, trial_id: int, *, overruled: bool = False) -> CleanTrial | None:
        """Clean one of the ``earlier`` trials again and put it in the place of what was summed; between pulses.

        It counts if it is accepted now, or where a person ``overruled`` the chain as it did before. None: it could not be
        cleaned, and nothing has changed.
        """
        trial = self.chain.again(trial_id)
        if trial is None:
            return None
        counts = self._connectivity.slots.counts(trial_id) if overruled else trial.verdict.accepted
        good = trial.good
        self._connectivity.replace(trial_id, trial.analytic_re, trial.analytic_im, good, counts=counts)
        self._evoked.replace(
            trial_id, trial.eeg_uv[:, self._kept], good, self._powers.of(trial), counts=counts
        )
        self._beside.replace(trial, counts=counts)
        return trial

    def take_out(self, trial_id: int) -> bool:
        """Stop counting a trial; False if it did not count."""
        self._evoked.remove(trial_id)
        self._beside.count(trial_id, False)
        return self._connectivity.remove(trial_id)

    def reinstate(self, trial_id: int) -> bool:
        """Count a trial again, or a rejected one after all; False if it counts already."""
        self._evoked.reinstate(trial_id)
        self._beside.count(trial_id, True)
        return self._connectivity.reinstate(trial_id)

    def make_room(self, spare: int = 1) -> None:
        """Grow the history if fewer than ``spare`` slots are free; slow, so call it between pulses."""
        self._connectivity.make_room(spare)
        self._evoked.make_room(spare)
        self._beside.make_room(spare)
        self.prepare()

    def average(self) -> F32:
        """float32[n_channels, n_times] µV, running average of the trials that count, at ``times_s``."""
        return self._evoked.average()

    @property
    def kept(self) -> slice:
        """Columns of a cleaned trial that lie at ``times_s``."""
        return self._kept

    def lagged_pairs(self) -> F32:
        """float32[n_bands + 1, n_pairs]: dwPLI² per band and pooled, NaN where a pair is not usable (or nothing is known)."""
        values = self._connectivity.pair_values()["dwpli2"]
        out = np.empty((values.shape[1] + 1, values.shape[0]), dtype=np.float32)
        out[:-1], out[-1] = values.T, values.mean(axis=1)
        n = self._connectivity.n
        counts = np.asarray(self._connectivity.pair_counts, dtype=np.float64)
        out[:, ~usable(counts, n) if n >= FEWEST else slice(None)] = np.nan
        return out

    def early(self) -> Estimate:
        """Early response near the coil (peak to peak of the region's average, EARLY_S) with its jackknife interval, µV.

        The same number as in ``scores``, without the cost of the pair measures.
        """
        n = self._connectivity.n
        if n < FEWEST:
            return Estimate.absent(
                f"only {n} accepted trial(s); at least {FEWEST} are needed", n=n, unit="µV"
            )
        channels = usable(self._evoked.channel_counts, n)
        roi = tuple(c for c in self.local_channels if channels[c])
        if not roi:
            return Estimate.absent(self._why_no("local"), n=n, unit="µV")
        value, each = self._evoked.early_response(roi, EARLY_S)
        return estimate(value, float(jackknife_se(each)), n=n, unit="µV")

    def scores(self, se: bool = True, meanwhile: Callable[[], None] = lambda: None) -> Scores:
        """Everything known now.

        ``se`` True: exact jackknife standard errors (grows with the number of trials; off the critical path).
        False: constant cost; each standard error is the last exact one times sqrt(n then / n now). Until
        there has been an exact one it is computed.
        """
        n = self._connectivity.n
        seen = len(self._connectivity.slots)
        if n < FEWEST:
            return self._all_absent(
                f"only {n} accepted trial(s) of {seen}; at least {FEWEST} are needed", n, seen
            )
        channels, roi, w = self.used()
        exact = se or self._errors.none_yet
        return Scores(
            target=self.target, n_accepted=n, n_rejected=seen - n,
            connectivity=pair_scores(self._connectivity, self._errors, w, exact=exact, why=self._why_no, meanwhile=meanwhile),
            evoked=evoked_scores(
                self._evoked, self._connectivity, self._errors, window_s=self.spec.window_s, channels=channels, roi=roi,
                exact=exact, why_global=self._why_no("global"), why_local=self._why_no("local"),
            ),
        )  # fmt: skip

    def beside(self, meanwhile: Callable[[], None] = lambda: None) -> Scores:
        """What stands beside the scores (``rtloop.session.beside`` names it), with its standard errors.

        Costs passes over all trials, a second or so at 100: for the end of a block or a declared look, never
        between a pulse and its scores. Below 3 trials there is nothing in it.
        """
        n, seen = self._connectivity.n, len(self._connectivity.slots)
        if n < FEWEST:
            return Scores(target=self.target, n_accepted=n, n_rejected=seen - n, connectivity={})
        (channels, roi, w), why = self.used(), self.why_none()
        return Scores(
            target=self.target, n_accepted=n, n_rejected=seen - n,
            connectivity=self._beside.connectivity(self._connectivity, w[:2], why, meanwhile),
            evoked=self._beside.evoked(self._evoked, self._connectivity, channels, roi, why[1], meanwhile),
        )  # fmt: skip

    def at_equal_n(
        self, n: int, meanwhile: Callable[[], None] = lambda: None, *, draws: int = DRAWS, complexity: bool = True
    ) -> EqualScores:  # fmt: skip
        """What is biased by N (``rtloop.session.equal``) at ``n`` trials, to compare with a target that has fewer.

        Off the critical path. ``ValidationProblem`` for fewer than 3 or more than there are.
        """
        channels, roi, w = self.used()
        return equal_scores(
            self.target, self._connectivity, self._evoked, n, weights=w[:2], channels=channels, roi=roi,
            why=self.why_none(), window_s=self.spec.window_s, draws=draws, meanwhile=meanwhile, complexity=complexity,
        )  # fmt: skip

    def used(self) -> tuple[npt.NDArray[np.bool_], tuple[int, ...], F64]:
        """Channels that are scored, those of them that are LOCAL, and the weights of all scopes."""
        n, counts = self._connectivity.n, np.asarray(self._connectivity.pair_counts, dtype=np.float64)
        pairs = usable(counts, n)
        channels = usable(self._evoked.channel_counts, n)
        roi = tuple(c for c in self.local_channels if channels[c])
        return channels, roi, self._weights_for(pairs, roi)

    def _wider(self, coil_m: F64 | None) -> tuple[int, ...]:
        """The channels nearest the coil, or nearest the middle of the LOCAL electrodes where only those are known."""
        if coil_m is None and not self.local_channels:
            return ()
        near = self.montage.positions_m[list(self.local_channels)].mean(axis=0) if coil_m is None else coil_m
        return self.montage.nearest(np.asarray(near), WIDER_COUNT)

    def _weights_for(self, pairs: npt.NDArray[np.bool_], roi: tuple[int, ...]) -> F64:
        """float64[4, n_pairs]: ``SCOPES``, then ``WIDER_SCOPES``."""
        if self._weights is None or roi != self._weights[1] or not np.array_equal(pairs, self._weights[0]):
            where = self.montage.positions_m
            both = [weights(where, pairs, roi), wider_weights(where, pairs, roi, self.wider_channels)]
            self._weights = (pairs, roi, np.concatenate(both))
        return self._weights[2]

    def why_none(self) -> tuple[str, str]:
        """Why there is no GLOBAL and no LOCAL number, where there is none."""
        return self._why_no("global"), self._why_no("local")

    def _why_no(self, scope: str) -> str:
        if scope != "global" and not self.local_channels:
            return "no coil position was given, so no electrodes are nearest to it"
        if scope == "global" and not np.ptp(self.montage.positions_m, axis=0).any():
            return "all electrodes lie at one place, so no pair has a distance to weigh it by"
        where = "at all" if scope == "global" else "near the coil"
        return f"too few good channels {where}: a pair needs both good in half of the accepted trials"

    def _all_absent(self, why: str, n: int, seen: int) -> Scores:
        return Scores(
            target=self.target, n_accepted=n, n_rejected=seen - n, connectivity=pairs_absent(self._bands, why, n),
            evoked=evoked_absent(self._bands, why, n),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ScoredTrials:
    """What ``score_trials`` found: scores, a verdict per trial, the average float32[n_channels, n_times] µV."""

    scores: Scores
    verdicts: tuple[Verdict, ...]
    average_uv: F32
    times_s: F64
    leakage: Mapping[str, Leakage]
    spec: ChainSpec


def score_trials(
    trials: npt.NDArray[np.floating],
    *,
    rate_hz: float,
    montage: Montage | Sequence[str],
    pulse_sample: int,
    target: str = "target",
    coil: str | F64 | None = None,
    spec: ChainSpec | None = None,
    bad_channels: Sequence[str] = (),
    exact: bool = False,
) -> ScoredTrials:
    """Score an array of raw (or already decimated) trials with the very objects of the live loop.

    Parameters
    ----------
    trials : float[n_trials, n_channels, n_samples], µV, the pulse at column ``pulse_sample`` of each
    rate_hz : 1000-25000; at 1000 nothing is decimated
    montage : a Montage, or channel names of the 10-5 system
    coil : name of the channel under the coil, or float64[3] in metres; None: local numbers are absent
    spec : settings; its times are narrowed to what the trials offer (``ScoredTrials.spec`` says to what)
    exact : float64 sums

    Raises
    ------
    ValidationProblem : shapes, names or times that do not fit
    """
    montage = montage if isinstance(montage, Montage) else Montage.from_names(list(montage))
    trials = np.asarray(trials)
    if trials.ndim != 3 or trials.shape[1] != montage.n_channels or trials.shape[0] < 1:
        raise ValidationProblem(
            "wrong shape of the trials", expected=f"[n_trials >= 1, {montage.n_channels} channels, n_samples]",
            found=str(trials.shape), todo="put trials first, then channels, then samples",
        )  # fmt: skip
    if not (0 < pulse_sample < trials.shape[2] and rate_hz > 0):
        raise ValidationProblem(
            "the pulse lies outside the trials", expected=f"0 < pulse_sample < {trials.shape[2]}, rate_hz > 0",
            found=f"{pulse_sample} at {rate_hz} Hz",
        )  # fmt: skip
    coil_m: F64 | None = None
    if isinstance(coil, str):
        if coil not in montage.names:
            raise ValidationProblem(
                "no such channel for the coil", expected=", ".join(montage.names), found=coil
            )
        coil_m = montage.positions_m[montage.index(coil)]
    elif coil is not None:
        coil_m = np.asarray(coil, dtype=np.float64)
    fitted = (spec or ChainSpec()).fitted_to(
        -pulse_sample / rate_hz, (trials.shape[2] - 1 - pulse_sample) / rate_hz
    )
    scorer = TargetScorer(
        target, fitted, rate_hz, montage, coil_m, trials.shape[0], bad_channels=bad_channels, exact=exact
    )
    verdicts: list[Verdict] = []
    for i, data in enumerate(trials):
        epoch = Epoch(data=np.asarray(data, dtype=np.float32), rate_hz=rate_hz, pulse_sample=pulse_sample)
        verdicts.append(scorer.process(epoch, i).verdict)
        for k in scorer.earlier():
            again = scorer.again(k)
            verdicts[k] = verdicts[k] if again is None else again.verdict
    return ScoredTrials(
        scores=scorer.scores(), verdicts=tuple(verdicts), average_uv=scorer.average(), times_s=scorer.times_s,
        leakage=scorer.leakage, spec=fitted,
    )  # fmt: skip
