"""Owns the order of the cleaning stages, raw epoch in, clean trial out; owns no stage and no sum over trials.

Order: load -> decay -> bridge -> decimate -> detrend -> judge channels -> average reference -> blinks and spatial stage (if
switched on; with ``decay_first`` the decay of trials that it cannot clean) -> judge trial -> analytic signal. The decay
is fitted on samples outside the gap only, so that the bridge can rest on what is left; no filter ever sees the raw
pulse. Up to the reference all of it is linear once the decay is known, so the epoch is bridged and decimated as it is
and the decay, bridged and decimated beforehand, is subtracted at the low rate with the line.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from rtloop.clock import WALL, Clock
from rtloop.dsp.analytic import BandKernels
from rtloop.dsp.blink import Blinks
from rtloop.dsp.bridge import Bridge, gap_columns
from rtloop.dsp.channels import ChannelMemory
from rtloop.dsp.decay import DecayFit
from rtloop.dsp.decimate import Decimator
from rtloop.dsp.earlier import MOST, EarlierTrials, Uncleaned
from rtloop.dsp.inflation import AddedLocking
from rtloop.dsp.quality import Judge
from rtloop.dsp.rebuild import Rebuilder
from rtloop.dsp.rows import load, padded, refer, upright
from rtloop.dsp.settle import Settling
from rtloop.dsp.spatial import SpatialStage
from rtloop.dsp.spec import ChainSpec
from rtloop.dsp.unanswered import learning_of
from rtloop.errors import ValidationProblem
from rtloop.model.estimate import Verdict
from rtloop.model.montage import Montage
from rtloop.model.samples import F32, F64, Bool, Epoch
from rtloop.model.trial import CleanTrial


class Chain:
    """The fast chain for one stream; all matrices are made here, once.

    ``times_s`` float64[n_times] seconds from the pulse; ``valid`` bool[n_times] False in the gaps;
    ``kernels`` the instants, bands and leakage of the analytic signal.
    """

    def __init__(self, spec: ChainSpec, *, rate_hz: float, montage: Montage, clock: Clock = WALL) -> None:
        if montage.n_channels < 2:
            raise ValidationProblem(
                "too few channels", expected="at least 2 EEG channels", found=str(montage.n_channels),
                todo="connect more electrodes or correct the channel list",
            )  # fmt: skip
        self.spec, self.rate_hz, self.montage, self._clock = spec, rate_hz, montage, clock
        self.before = int(np.floor(-spec.epoch_s[0] * rate_hz + 1e-6))
        self.after = int(np.floor(spec.epoch_s[1] * rate_hz + 1e-6))
        n_in = self.before + self.after + 1
        times_in_s: F64 = (np.arange(n_in) - self.before) / rate_hz
        gaps = [gap_columns(g, rate_hz=rate_hz, pulse_sample=self.before) for g in spec.gaps_s]
        edges = np.array([0, *(c for a, b in gaps for c in (a, b + 1)), n_in], dtype=np.int64)
        self._outside = np.ascontiguousarray(edges.reshape(-1, 2))
        self._origin = int(np.searchsorted(times_in_s, spec.baseline_s[0] - 1e-9))
        flank = max(2, round(spec.flank_s * rate_hz))
        self._bridges = [Bridge(first=a, last=b, flank=flank, n_samples=n_in) for a, b in gaps]
        self._decay = DecayFit(
            times_in_s, start_s=spec.gap_s[1] + 1e-9, end_s=spec.decay_end_s, baseline_s=spec.baseline_s,
            tau_s=spec.decay_tau_s, taus=spec.decay_taus, min_uv=spec.decay_min_uv,
            noise_ratio=spec.decay_noise_ratio, min_share=spec.decay_min_share,
        )  # fmt: skip
        self._decimator = Decimator(
            n_in=n_in, pulse_sample=self.before, rate_hz=rate_hz, rate_out_hz=spec.rate_out_hz,
            pass_hz=spec.pass_hz, stop_hz=spec.stop_hz, stop_db=spec.stop_db,
        )  # fmt: skip
        self.times_s = t = self._decimator.times_s
        self.valid: Bool = np.ones(t.size, dtype=np.bool_)
        for a_s, b_s in spec.gaps_s:
            self.valid[(t >= a_s - 1e-9) & (t <= b_s + 1e-9)] = False
        self._functional, self._taken = self._corrections(t)
        self._overlap = self._functional @ self._taken[:, 2:]
        self._judge = Judge(spec, montage, t, self.valid)
        self.blinks = (
            Blinks(
                t, self._judge.late, tuple(map(int, self._judge.frontal)), montage.n_channels, gate_uv=spec.blink_gate_uv,
                first=spec.blink_first, most=spec.blink_most,
            )
            if spec.blink else None
        )  # fmt: skip
        early = None
        if spec.muscle and spec.muscle_early:
            early = learning_of(
                spec, times_in_s, t, rate_hz=rate_hz, width=padded(montage.n_channels), seen=self._seen,
                line=(self._functional, self._taken[:, :2]), valid=self.valid,
            )  # fmt: skip
        self.spatial = SpatialStage(spec, montage, t, early) if spec.sound or spec.muscle else None
        self._earlier = EarlierTrials(MOST * spec.spatial_first if spec.reclean_earlier else 0)
        self._added = AddedLocking(t, spec.baseline_s, montage.n_channels if self.spatial else 0)
        self._rebuilder = Rebuilder(montage)
        self._settling = Settling(
            rate_hz=rate_hz, pulse=self.before, n_rows=n_in, width=padded(montage.n_channels),
            before=(self._origin, int(np.searchsorted(times_in_s, spec.baseline_s[1] + 1e-9))),
        )  # fmt: skip
        self.kernels = BandKernels(
            t, gaps_s=spec.gaps_s, window_s=spec.window_s, points=spec.points,
            max_gap_share=spec.max_gap_share, kernel_sigmas=spec.kernel_sigmas,
        )  # fmt: skip
        width = padded(montage.n_channels)
        self._usable: Bool = np.zeros(width, dtype=np.bool_)
        self._raw: F32 = np.zeros((n_in, width), dtype=np.float32)
        self._moments: F32 = np.zeros((2, width), dtype=np.float32)
        self._turned: F32 = np.zeros((n_in, montage.n_channels), dtype=np.float32)
        self._low: F32 = np.zeros((t.size, width), dtype=np.float32)
        self._correction: F32 = np.zeros((t.size, width), dtype=np.float32)
        self._amounts: F32 = np.zeros((2 + spec.decay_taus, width), dtype=np.float32)

    def process(
        self,
        epoch: Epoch,
        *,
        trial_id: int,
        target: str = "target",
        known_bad: tuple[int, ...] = (),
        memory: ChannelMemory | None = None,
    ) -> CleanTrial:
        """Clean and judge one epoch; ``known_bad`` channels never count, those that ``memory`` holds not in this trial.

        ``memory`` is told what this trial says of its channels.

        Raises
        ------
        ValidationProblem : the epoch's rate, channels or length do not fit this chain
        """
        marks = [("", self._clock.now_s())]

        def mark(stage: str) -> None:
            marks.append((stage, self._clock.now_s()))

        spec, n = self.spec, self.montage.n_channels
        x, y, spread = self._raw, self._low, np.empty(n, dtype=np.float32)
        flat, step = self._flat(epoch)
        load(flat, step, n, self._origin, self._outside, *self._settling.before, x, spread, self._moments)
        held = {} if memory is None else {c: w for c, w in memory.held.items() if c not in known_bad}
        bad = dict.fromkeys(known_bad, "declared bad") | held
        for c in np.flatnonzero(~((spread >= spec.flat_uv) & (spread <= spec.wild_uv))):
            found = float(spread[c])
            if not np.isfinite(found):
                bad[int(c)] = "not a number or infinite"
            else:
                bad[int(c)] = f"{'flat' if found < spec.flat_uv else 'wild'} (mean deviation {found:.2g} µV)"
            x[:, c] = 0.0
            held.pop(int(c), None)
        if spec.max_still_s > 0:
            still_s = self._settling.still_s(x, self._outside)
            for k in map(int, np.flatnonzero(still_s[:n] > spec.max_still_s)):
                if k not in bad or k in held:
                    bad[k] = (
                        f"stands still for {still_s[k] * 1e3:.0f} ms (limit {spec.max_still_s * 1e3:g} ms)"
                    )
                    x[:, k] = 0.0
                    held.pop(k, None)
        self._usable[:n] = True
        self._usable[list(bad)] = False
        back_ms = self._settling.back_ms(x, self._usable, self._moments)
        mark("load")
        removed = np.zeros(n, dtype=np.float32)
        decay_uv: tuple[F32, F32] | None = None
        amounts = self._amounts[:2]
        if spec.decay:
            removed, residual, which = self._decay.fit(x, self._usable)
            opened = np.flatnonzero(removed)
            if opened.size:
                amounts = self._amounts
                amounts[2:] = 0.0
                amounts[2 + which[opened], opened] = removed[opened]
            removed = removed[:n].copy()
            decay_uv = removed, residual[:n].copy()
        mark("decay")
        if self.spatial is not None:
            self.spatial.see(x)
        if spec.bridge:
            for bridge in self._bridges:
                bridge.rows(x)
        mark("bridge")
        self._decimator.rows(x, y)
        mark("decimate")
        if not spec.bridge:  # NaN and clipping inside the gap would reach the sums
            np.nan_to_num(y, copy=False, posinf=0.0, neginf=0.0)
        taken = self._taken[:, : len(amounts)]
        np.matmul(self._functional, y, out=amounts[:2])
        if len(amounts) > 2:
            amounts[:2] -= self._overlap @ amounts[2:]
        y -= np.matmul(taken, amounts, out=self._correction)
        mark("detrend")
        bad, mean, passed = self._judge.channels(y, bad, held)
        good = np.ones(n, dtype=np.bool_)
        good[list(bad)] = False
        keep = np.zeros(y.shape[1], dtype=np.float32)
        keep[:n] = good
        refer(y, mean if spec.average_reference else np.zeros_like(mean), keep)
        own = {c: w for c, w in bad.items() if c not in held and c not in known_bad}
        if self.blinks is not None:
            mark("reference")
            self.blinks.apply(y, good)
            mark("blink")
        if self.spatial is not None:
            if self.blinks is None:
                mark("reference")
            self.spatial.hold(y, good, self._amounts[:2])
            if self._clean_in_space(self.spatial, y, good, bad):
                self._earlier.end()
            else:
                if spec.reclean_earlier and self.spatial.waits:
                    self._earlier.keep(
                        trial_id,
                        Uncleaned(
                            target=target, rows=y.copy(), good=good.copy(), bad=dict(bad), removed=removed, decay_uv=decay_uv,
                            back_ms=back_ms, blink_uv=self.blinks.removed_uv if self.blinks else None,
                        ),
                    )  # fmt: skip
                if spec.decay_first:
                    removed, residual = self._without_filter(x, y, good)
                    decay_uv = removed, residual
            mark("spatial")
        verdict = self._judge.trial(y, good, decay_uv=decay_uv, back_ms=back_ms)
        if self.blinks is not None:
            verdict = replace(
                verdict, numbers={**verdict.numbers, "removed_blink_uv": self.blinks.removed_uv}
            )
            self.blinks.learn(verdict)
        if self.spatial is not None:
            verdict = self.spatial.told(verdict)
            self.spatial.learn(verdict)
            verdict = replace(verdict, numbers={**verdict.numbers, **self._added.count(verdict.accepted)})
        if memory is not None and verdict.numbers["bad_channels_pct"] <= spec.max_bad_channels_pct:
            memory.note(own, passed)
        mark("quality")
        trial = self._analytic(y, bad, target=target, trial_id=trial_id, verdict=verdict, removed=removed)
        mark("analytic")
        return replace(trial, stage_s={b[0]: b[1] - a[1] for a, b in pairwise(marks)})

    def earlier(self) -> tuple[int, ...]:
        """Trials that no filter cleaned and that can be cleaned now, in order of arrival (``ChainSpec.reclean_earlier``)."""
        stage = self.spatial
        return self._earlier.ids() if stage is not None and stage.trials >= self.spec.spatial_first else ()

    @property
    def earlier_lost(self) -> int:
        """Earlier trials that were too many to be kept: they stay as they were scored."""
        return self._earlier.lost

    @property
    def earlier_bytes(self) -> int:
        """Memory of those that wait."""
        return self._earlier.size_bytes

    def again(self, trial_id: int) -> CleanTrial | None:
        """Clean and judge one of the ``earlier`` trials by the filter that there is now; it is forgotten here.

        That filter has learnt from this very trial. Nothing is learnt anew and no channel is held or taken back. None: the
        stage cannot clean it (``spatial.why``), so it stays what it was. Off the way from a pulse to its scores.

        Raises
        ------
        ValidationProblem : the trial is not kept
        """
        kept, stage = self._earlier.take(trial_id), self.spatial
        if kept is None or stage is None:
            raise ValidationProblem(
                f"trial {trial_id} cannot be cleaned again", expected="one of the trials before the first filter",
                found=f"those that are kept: {self._earlier.ids()}",
            )  # fmt: skip
        start_s = self._clock.now_s()
        y, good, bad = kept.rows, kept.good.copy(), dict(kept.bad)
        if not self._clean_in_space(stage, y, good, bad):
            return None
        verdict = stage.told(self._judge.trial(y, good, decay_uv=kept.decay_uv, back_ms=kept.back_ms))
        numbers = {**verdict.numbers, **self._added.count(verdict.accepted)}
        if kept.blink_uv is not None:
            numbers["removed_blink_uv"] = kept.blink_uv
        verdict = replace(verdict, numbers=numbers)
        trial = self._analytic(
            y, bad, target=kept.target, trial_id=trial_id, verdict=verdict, removed=kept.removed
        )
        return replace(trial, stage_s={"again": self._clock.now_s() - start_s})

    def _analytic(
        self, y: F32, bad: dict[int, str], *, target: str, trial_id: int, verdict: Verdict, removed: F32
    ) -> CleanTrial:
        """What leaves the chain, from the cleaned rows."""
        eeg = np.empty((self.montage.n_channels, y.shape[0]), dtype=np.float32)
        upright(y, eeg)
        if self.spec.rebuild:
            self._rebuilder.apply(eeg, bad)
        re, im, ongoing_re, ongoing_im = self.kernels.apply(eeg)
        return CleanTrial(
            target=target, trial_id=trial_id, verdict=verdict, eeg_uv=eeg, valid=self.valid, analytic_re=re,
            analytic_im=im, ongoing_re=ongoing_re, ongoing_im=ongoing_im, decay_uv=removed, bad_channels=bad,
        )  # fmt: skip

    def _clean_in_space(self, stage: SpatialStage, y: F32, good: Bool, bad: dict[int, str]) -> bool:
        """The spatial stage; channels that it cannot clean join ``bad``. False: there is no filter."""
        for c in np.flatnonzero(stage.strangers(good)):
            bad[int(c)] = f"good in fewer than {self.spec.spatial_first} trials before: cannot be cleaned yet"
            good[c] = False
            y[:, c] = 0.0
        before = self._added.phasors(y)
        if not stage.apply(y, good):
            return False
        self._added.note(before, self._added.phasors(y), good)
        return True

    def _without_filter(self, x: F32, y: F32, good: Bool) -> tuple[F32, F32]:
        """The decay of a trial that no filter cleans, taken out of its referenced rows after the stage has noted them;
        amounts removed and left, float32[n_channels] µV. The same as with ``decay`` up to rounding."""
        n, keep = self.montage.n_channels, np.zeros(y.shape[1], dtype=np.float32)
        keep[:n] = good
        removed, residual, which = self._decay.fit(x, self._usable)
        opened = np.flatnonzero(removed * keep)
        if opened.size:
            amounts = self._amounts
            amounts[2:] = 0.0
            amounts[2 + which[opened], opened] = removed[opened]
            amounts[:2] = -(self._overlap @ amounts[2:])
            np.matmul(self._taken, amounts, out=self._correction)
            refer(self._correction, self._correction @ (keep / keep.sum()), keep)
            y -= self._correction
        return removed[:n].copy(), residual[:n].copy()

    def _flat(self, epoch: Epoch) -> tuple[F32, int]:
        """The samples of an epoch one after the other, and how far it is from one instant to the next."""
        data, first = epoch.data, epoch.pulse_sample - self.before
        stop = epoch.pulse_sample + self.after + 1
        fits = data.shape[0] == self.montage.n_channels and first >= 0 and stop <= data.shape[1]
        if not (fits and abs(epoch.rate_hz - self.rate_hz) <= 1e-6 * self.rate_hz):
            raise ValidationProblem(
                "the epoch does not fit the cleaning chain",
                expected=f"{self.montage.n_channels} channels, {self.before} samples before and {self.after} "
                f"after the pulse at {self.rate_hz:g} Hz",
                found=f"{data.shape[0]} channels, {epoch.pulse_sample} before and "
                f"{data.shape[1] - 1 - epoch.pulse_sample} after at {epoch.rate_hz:g} Hz",
                todo="cut a longer epoch, or make the chain with ChainSpec.fitted_to",
            )
        size, (across, along) = data.itemsize, data.strides
        if across == size and along == size * data.shape[0]:  # rows of the ring, read where they lie
            flat = data[:, first:stop].T.reshape(-1)  # a view
            flat.flags.writeable = False
            return flat, data.shape[0]
        if across == size and along > 0 and along % size == 0:  # the same with other channels between
            count = (stop - first - 1) * (along // size) + data.shape[0]
            return np.lib.stride_tricks.as_strided(
                data[:, first:stop], (count,), (size,), writeable=False
            ), along // size
        for a in range(0, stop - first, 128):  # in pieces that stay in the cache
            b = min(a + 128, stop - first)
            self._turned[a:b] = data[:, first + a : first + b].T
        return self._turned.reshape(-1), data.shape[0]

    def _corrections(self, t: F64) -> tuple[F32, F32]:
        """Functionals [2, n] that give offset and slope, and columns [n, 2 + taus]: what one unit of offset, of
        slope and of each decay looks like at the low rate."""
        functional, line = _line(t, self.spec)
        columns = np.concatenate([line, self._seen(self._decay.shapes.copy())])
        return np.ascontiguousarray(functional.T), np.ascontiguousarray(columns.T)

    def _seen(self, raw: F32) -> F32:
        """Courses float32[k, n_in], which are overwritten, bridged and at the low rate: float32[k, n_times]."""
        if self.spec.bridge:
            for bridge in self._bridges:
                bridge.apply(raw)
        return self._decimator.apply(raw)


def _line(t: F64, spec: ChainSpec) -> tuple[F32, F32]:
    """Linear functionals [n, 2] giving (baseline value, slope), and the rows [2, n] they multiply."""
    base = (t >= spec.baseline_s[0] - 1e-9) & (t <= spec.baseline_s[1] + 1e-9)
    centre = t[base].mean()
    functional = np.zeros((t.size, 2))
    functional[base, 0] = 1 / base.sum()
    if spec.detrend:
        used = base | (t >= max(t[-1] - 0.15, spec.gap_s[1]))
        lag = t[used] - t[used].mean()
        functional[used, 1] = lag / (lag @ lag)
    rows = np.stack([np.ones_like(t), t - centre])
    return np.ascontiguousarray(functional, dtype=np.float32), rows.astype(np.float32)
