"""Owns the spatial stage of one stream: what is learnt from past pulses, and when its filter is made; owns no formula.

Past pulses only: the filter for a trial is made from trials before it. It is made for the channels that are good;
when they change it is made anew. Until ``spatial_first`` trials have been learnt, trials pass as they are. The
pre-pulse covariance gives SOUND's noise, for the whole epoch; the patterns are taken out from the gap on only. The
gap belongs to it: the bridge rests on samples with the artifact and would carry it into every kernel that reaches
there. ``prepare`` may be called between pulses: it does what the next trial would have to do first (what the last one
teaches, the next filter), and changes no result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rtloop.dsp.covariance import RunningCovariance
from rtloop.dsp.muscle import allowed, artifact_fields, rank_of, rebuilt, ssp_sir
from rtloop.dsp.rows import padded
from rtloop.dsp.sound import of_channels, prior_of, sound_filter
from rtloop.dsp.spec import ChainSpec
from rtloop.dsp.unanswered import EarlyLearning
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Verdict
from rtloop.model.montage import Montage
from rtloop.model.samples import F32, F64, Bool

#: reasons after which a trial still teaches: what they name is what this stage is there for
NO_FILTER = "no artifact filter yet, trials learnt"
TEACHES_DESPITE = ("peak to peak post pulse", "fast activity after the pulse", "residual decay", NO_FILTER)
#: cosine flanks of the stretch in which patterns are taken out: the first ends where the gap begins
FLANK_S = 0.008


@dataclass(frozen=True, kw_only=True)
class SpatialFilter:
    """Filters of one set of channels: float64[m, m] each, m good channels.

    ``outside`` for the whole epoch; ``inside`` in the muscle window, the same object where no pattern was found.
    ``fields`` float64[m, k] what is taken out, columns of length 1; ``ratios`` float64[k] power after over before;
    ``trials`` learnt from; ``rank`` of the data before the pulse; ``early`` trials whose samples before any answer gave the
    fields (0: they are from behind the gap); ``constant`` float64[k, m] sizes of decay and step that are subtracted, µV.
    """

    good: Bool
    outside: F64
    inside: F64
    fields: F64
    ratios: F64
    trials: int
    rank: int
    early: int = 0
    constant: F64 | None = None


class SpatialStage:
    """SOUND and the removal of artifact patterns at the low rate (``ChainSpec.sound``, ``ChainSpec.muscle``).

    ``used`` the filter of the last trial, or None with ``why`` in words; ``waits``: for it came before there could be one.
    """

    def __init__(
        self, spec: ChainSpec, montage: Montage, times_s: F64, early: EarlyLearning | None = None
    ) -> None:
        self._spec, self._n, self._early = spec, montage.n_channels, early
        if montage.n_channels < spec.spatial_channels:
            raise ValidationProblem(
                "too few channels for the spatial stage", expected=f"at least {spec.spatial_channels}",
                found=str(montage.n_channels), todo="switch sound and muscle off, or connect more electrodes",
            )  # fmt: skip
        self._prior = prior_of(montage)
        a, b = np.searchsorted(times_s, [spec.baseline_s[0] - 1e-9, spec.baseline_s[1] + 1e-9])
        first = max(spec.muscle_fit_s[0], spec.gap_s[1] + 1e-9)
        c, d = np.searchsorted(times_s, [first, spec.muscle_fit_s[1] + 1e-9])
        if not (b - a >= 100 and d - c >= 8):
            raise ValidationProblem(
                "the windows of the spatial stage hold too few samples",
                expected="at least 100 before the pulse, and 8 after the gap",
                found=f"{b - a} and {d - c}", todo="a longer baseline, or a longer muscle_fit_s",
            )  # fmt: skip
        self._before, self._after = slice(int(a), int(b)), slice(int(c), int(d))
        width = padded(self._n)
        memory = spec.spatial_memory
        self._moments = [
            RunningCovariance(
                width, memory=memory, capped=k % 2 == 1
            )  # before, after; the same of the differences
            for k in range(4)
        ]
        self._latest: F32 = np.zeros((width, width), dtype=np.float32)
        self._second: F32 = np.zeros((max(b - a, d - c), width), dtype=np.float32)
        self._rows: F32 = np.zeros((times_s.size, width), dtype=np.float32)
        self._amounts: F32 = np.zeros((2, width), dtype=np.float32)
        self._held: Bool = np.zeros(width, dtype=np.bool_)
        self._teaches = False  # the held trial counts and is not in the moments yet
        flank = np.clip((times_s - spec.gap_s[0]) / FLANK_S + 1.0, 0.0, 1.0)
        flank *= np.clip((spec.muscle_until_s - times_s) / FLANK_S + 0.5, 0.0, 1.0)
        weight = (0.5 - 0.5 * np.cos(np.pi * flank)).astype(np.float32)
        e, f = np.flatnonzero(weight)[[0, -1]]
        self._window, self._weight = slice(int(e), int(f) + 1), weight[e : f + 1, None]
        self._matrix: F32 = np.zeros((2, width, width), dtype=np.float32)
        self._out: F32 = np.zeros((times_s.size, width), dtype=np.float32)
        self._inside: F32 = np.zeros((f + 1 - e, width), dtype=np.float32)
        self._constant: F32 = np.zeros((early.courses.low.shape[1] if early else 0, width), dtype=np.float32)
        self._filter: SpatialFilter | None = None
        self._made_at = -1
        self.used: SpatialFilter | None = None
        self.why, self.waits = "no trial yet", True

    @property
    def trials(self) -> int:
        """Trials learnt from."""
        return self._moments[0].n + self._teaches

    def numbers(self) -> dict[str, float]:
        """For the verdict of the last trial: trials its filter rests on (0: not cleaned), patterns taken out, and where
        patterns are learnt before any answer, from how many trials (0: they are from behind the gap)."""
        used = self.used
        out = {
            "spatial_trials": float(used.trials) if used else 0.0,
            "spatial_patterns": float(used.ratios.size) if used else 0.0,
        }
        return out if self._early is None else out | {"spatial_early": float(used.early) if used else 0.0}

    def told(self, verdict: Verdict) -> Verdict:
        """The verdict of the last trial with the stage's numbers, and with the reason where it does not count because
        no filter was there yet (``ChainSpec.leave_out_first``)."""
        verdict = replace(verdict, numbers={**verdict.numbers, **self.numbers()})
        if self._spec.leave_out_first and self.used is None and self.trials < self._spec.spatial_first:
            first = (NO_FILTER, float(self.trials), float(self._spec.spatial_first), "")
            verdict = replace(verdict, accepted=False, reasons=(*verdict.reasons, first))
        return verdict

    def strangers(self, good: Bool) -> Bool:
        """bool[n_channels]: channels good now that were good too rarely before to be cleaned; none before the stage
        begins."""
        if self.trials < self._spec.spatial_first:
            return np.zeros(self._n, dtype=np.bool_)
        self._catch_up()
        return good & ~self._moments[0].known(self._spec.spatial_first)[: self._n]

    def see(self, raw: F32) -> None:
        """A trial's raw rows float32[n_in, padded channels], before the bridge."""
        self._catch_up()
        if self._early is not None:
            self._early.see(raw)

    def hold(self, rows: F32, good: Bool, amounts: F32) -> None:
        """Note a trial before it is cleaned; ``learn`` says whether it counts.

        rows : float32[n_times, padded channels] µV, average-referenced, bad channels zero; good : bool[n_channels];
        amounts : float32[2, padded channels] offset and slope that were taken out
        """
        self._catch_up()
        self._held[: self._n] = good
        self._rows[:], self._amounts[:] = rows, amounts

    def learn(self, verdict: Verdict) -> bool:
        """The held trial counts, unless it was rejected for more than what this stage cleans; True if it does. What it
        teaches is worked out by ``prepare`` or with the next trial: no score waits for it."""
        self._teaches = all(reason[0] in TEACHES_DESPITE for reason in verdict.reasons)
        return self._teaches

    def _catch_up(self) -> None:
        """Add the moments of the held trial, if it counts and has not been added."""
        if not self._teaches:
            return
        self._teaches = False
        for k, span in enumerate((self._before, self._after)):
            x = self._rows[span]
            self._add(k, x)
            if self._spec.muscle_fast:
                d = self._second[: len(x) - 2]
                np.add(x[2:], x[:-2], out=d)
                d -= x[1:-1]
                d -= x[1:-1]
                self._add(2 + k, d)
        if self._early is not None:
            self._early.hold(self._rows, self._held, self._amounts)
            self._early.learn(self._held)

    def _add(self, k: int, x: F32) -> None:
        np.matmul(x.T, x, out=self._latest)
        self._latest /= np.float32(len(x))
        self._moments[k].add(self._latest, self._held)

    def prepare(self, good: Bool | None = None) -> None:
        """Make the filter for the next trial if it is due; ``good`` None: the channels of the last trial."""
        self._catch_up()
        spec, trials = self._spec, self.trials
        due = self._made_at < 0 or trials >= self._made_at + spec.spatial_every
        if good is None:
            if not due or trials < spec.spatial_first:
                return  # which channels are good is known with the next trial only: it makes its own if they differ
            good = self._held[: self._n].copy()
        if trials < spec.spatial_first:
            self._filter, self.why, self.waits = None, f"{trials} of {spec.spatial_first} trials learnt", True
            return
        self.waits = False
        if self._filter is not None and not due and np.array_equal(good, self._filter.good):
            return
        self._filter = self._made(good)
        if due:
            self._made_at = trials

    def _made(self, good: Bool) -> SpatialFilter | None:
        spec, m = self._spec, int(good.sum())
        if m < spec.spatial_channels:
            self.why = f"{m} good channels, at least {spec.spatial_channels} are needed"
            return None
        wide = np.zeros(self._held.size, dtype=np.bool_)
        wide[: self._n] = good
        before = self._moments[0].of(wide)
        rank = rank_of(before)
        if rank < spec.spatial_channels - 1:
            self.why = f"the data have {rank} dimensions, at least {spec.spatial_channels - 1} are needed"
            return None
        prior = of_channels(self._prior, good)
        outside = inside = (
            sound_filter(before, prior, lambda0=spec.sound_lambda0, rounds=spec.sound_rounds)
            if spec.sound
            else np.eye(m) - 1.0 / m
        )
        fields, ratios, constant, early = np.zeros((m, 0)), np.zeros(0), None, 0
        if spec.muscle:
            usual, most = allowed(before, prior, spec.muscle_allowance), min(spec.muscle_most, rank // 3)
            fast_usual = allowed(self._moments[2].of(wide), prior, spec.muscle_allowance)
            if self._early is not None and self._early.trials >= spec.spatial_first:
                early = self._early.trials
                fields, ratios, constant = self._early.found(wide, fast_usual, usual, most)
            else:
                fast = (self._moments[3].of(wide), fast_usual) if spec.muscle_fast else None
                fields, ratios = artifact_fields(
                    fast, self._moments[1].of(wide), usual, ratio=spec.muscle_ratio, most=most
                )
            if ratios.size and spec.muscle_sources:
                inside = ssp_sir(outside @ fields, prior, rank) @ outside
            elif ratios.size:
                inside = outside @ rebuilt(fields, usual)
        if not (np.isfinite(outside).all() and np.isfinite(inside).all()):
            self.why = "the filter came out without finite numbers"
            return None
        self.why = ""
        self._fill(0, outside, good)
        self._fill(1, inside, good)
        if constant is not None:
            self._constant[:] = 0.0
            self._constant[:, np.flatnonzero(good)] = constant
        return SpatialFilter(
            good=good.copy(), outside=outside, inside=inside, fields=fields, ratios=ratios, trials=self.trials,
            rank=rank, early=early, constant=constant,
        )  # fmt: skip

    def _fill(self, k: int, matrix: F64, good: Bool) -> None:
        some = np.flatnonzero(good)
        self._matrix[k] = 0.0
        self._matrix[k][np.ix_(some, some)] = matrix.T

    def apply(self, rows: F32, good: Bool) -> bool:
        """Clean float32[n_times, padded channels] in place; False if it was left as it is (``why`` says why)."""
        self.prepare(good)
        self.used = self._filter
        if self._filter is None:
            return False
        if self._early is not None and self._filter.early:
            rows -= np.matmul(self._early.courses.low, self._constant, out=self._out)
        np.matmul(rows, self._matrix[0], out=self._out)
        if self._filter.ratios.size:
            np.matmul(rows[self._window], self._matrix[1], out=self._inside)
            self._inside -= self._out[self._window]
            self._inside *= self._weight
            self._out[self._window] += self._inside
        rows[:] = self._out
        return True
