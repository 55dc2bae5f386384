"""Owns what stands beside the scores of one target and is computed after them, in a pause; owns no score of a map.

After each pulse only rows are kept; ``catch_up`` sums those before the pulse, between pulses (about 0.3 ms). All else costs one
pass or more over all trials and belongs to the end of a block or a declared look. It gives ``Scores`` with further measures,
each of scope -> band:

dwpli2_shift, dwpli2_evoked_subtracted : global and local; what the lock to the pulse alone gives, and the rest
imcoh : global and local, absolute values (biased by N)
dwpli2_15-120 and so on for each of ``ChainSpec.sub_windows_s``, likewise wpli_, plv_, ppc_, imcoh_ : global and local, the
    measure over the instants of that part of the window, ms
dwpli2_ongoing, ppc_ongoing : local and local_8, from samples before the pulse alone

and further evoked numbers: "natural_frequency_hz", "ersp_local_db:<band>:<first>-<last ms>", the same of "itc_local",
"pcist" and "pcist_noise" (transitions; the latter of plus-minus averages: what noise alone gives at this N, and as its error
how that varies from draw to draw).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from rtloop.dsp.chain import Chain
from rtloop.errors import ValidationProblem
from rtloop.measures.complexity import pcist
from rtloop.measures.connectivity import RunningConnectivity
from rtloop.measures.evoked import RunningEvoked
from rtloop.measures.imaginary import ImaginaryCoherence
from rtloop.measures.lagged import Real, evoked_subtracted, lagged_scores, shifted, upper_pairs
from rtloop.measures.ongoing import OngoingKernels, RunningOngoing
from rtloop.measures.oscillation import RunningOscillation, natural_frequency
from rtloop.measures.sampling import SEED, half_sample_se, plus_minus
from rtloop.measures.scopes import usable
from rtloop.measures.uncertainty import estimate, jackknife_se
from rtloop.model.estimate import MEASURES, POOLED, Estimate
from rtloop.model.samples import F64, Bool, Epoch
from rtloop.model.trial import CleanTrial
from rtloop.session.composing import with_mean

#: halves drawn for a standard error
HALVES = 12
#: plus-minus averages
NOISES = 6
NO_INSTANT = "this window holds no instant of a band that is free enough of the gap"
Bands = dict[str, Estimate]


class Beside:
    """Keeps what the measures of a pause need of each trial.

    ``local`` channels near the coil (LOCAL), ``wider`` the 8 nearest; both may be empty.
    """

    def __init__(
        self, chain: Chain, local: tuple[int, ...], wider: tuple[int, ...], *, capacity: int = 400
    ) -> None:
        self._chain, self._local, self._windows_s = chain, local, chain.spec.sub_windows_s
        self.oscillation = RunningOscillation(
            len(local), chain.times_s, chain.spec.gap_s[0], capacity=capacity
        )
        self.rows = tuple(sorted({*local, *wider}))
        self._inside = [np.isin(self.rows, near) for near in (local, wider)]
        self.ongoing: RunningOngoing | None = None
        self.why_no_ongoing = "no coil position was given, so no electrodes are nearest to it"
        if len(self.rows) >= 2:
            try:
                kernels = OngoingKernels(chain.rate_hz, chain.before, chain.spec.gap_s[0])
                self.ongoing = RunningOngoing(kernels, self.rows, capacity=capacity)
            except ValidationProblem as e:
                self.why_no_ongoing = e.what

    def add(self, trial: CleanTrial, epoch: Epoch, *, counts: bool) -> None:
        """Keep the rows near the coil of a cleaned trial, and take the raw samples before its pulse."""
        good, near = trial.good, list(self._local)
        self.oscillation.add(trial.trial_id, trial.eeg_uv[near], good[near], counts=counts)
        if self.ongoing is not None:
            before = epoch.data[:, epoch.pulse_sample - self._chain.before : epoch.pulse_sample]
            self.ongoing.add(trial.trial_id, before, good, counts=counts)

    def catch_up(self) -> None:
        """Work out what the newest trial left to be done between pulses, and have the memory of the next one at hand. Changes
        no result."""
        self.oscillation.ready()
        if self.ongoing is not None:
            self.ongoing.catch_up()
            self.ongoing.sums.ready()

    def replace(self, trial: CleanTrial, *, counts: bool) -> None:
        """A trial was cleaned again; the samples before its pulse are what they were."""
        near = list(self._local)
        self.oscillation.replace(trial.trial_id, trial.eeg_uv[near], trial.good[near], counts=counts)
        if self.ongoing is not None:
            sums = self.ongoing.sums
            (sums.reinstate if counts else sums.remove)(trial.trial_id)

    def count(self, trial_id: int, counts: bool) -> None:
        """Take a trial out, or count it again."""
        sums = None if self.ongoing is None else self.ongoing.sums
        for kept in (self.oscillation, *(() if sums is None else (sums,))):
            (kept.reinstate if counts else kept.remove)(trial_id)

    def make_room(self, spare: int) -> None:
        self.oscillation.make_room(spare)
        if self.ongoing is not None:
            self.ongoing.sums.make_room(spare)

    def connectivity(
        self, sums: RunningConnectivity, weights: F64, why: tuple[str, str], meanwhile: Callable[[], None]
    ) -> dict[str, dict[str, Bands]]:
        """weights : float64[2, n_pairs] (global, local); why : the reason where either is all zero."""
        re, im, good = sums.kept()
        n_channels = re.shape[1]
        found = {
            "dwpli2_shift": lagged_scores(
                *shifted(re, im), upper_pairs(n_channels, apart=n_channels), weights, sums.slices, meanwhile=meanwhile
            ),
            "dwpli2_evoked_subtracted": lagged_scores(
                *evoked_subtracted(re, im, good), upper_pairs(n_channels), weights, sums.slices, meanwhile=meanwhile
            ),
        }  # fmt: skip
        out = {m: _by_scope(*v, ("global", "local"), weights, why, sums) for m, v in found.items()}
        return out | self._in_windows(re, im, good, sums, weights, why, meanwhile) | self._before(sums)

    def parts(self, slices: Mapping[str, slice]) -> dict[str, slice]:
        """ "<window>:<band>" -> the band's instants in that part of the score window; a band without one has no entry."""
        columns: dict[str, slice] = {}
        for window in self._windows_s:
            for band, s in slices.items():
                t = self._chain.kernels.points_s[s]
                a, b = np.searchsorted(t, [window[0] - 1e-9, window[1] + 1e-9])
                if b > a:
                    columns[f"{_ms(window)}{band}"] = slice(s.start + int(a), s.start + int(b))
        return columns

    def _in_windows(
        self, re: Real, im: Real, good: Bool, sums: RunningConnectivity, weights: F64, why: tuple[str, str],
        meanwhile: Callable[[], None],
    ) -> dict[str, dict[str, Bands]]:  # fmt: skip
        """Imaginary coherence of the whole window; it and every pair measure in each part of it, over the band's instants
        there; pooled where all bands have some."""
        parts = self.parts(sums.slices)
        values = sums.values_in(weights, parts)
        meanwhile()
        each = sums.without_each(weights, meanwhile=meanwhile, slices=parts)
        coherence = ImaginaryCoherence(re, im, good, meanwhile=meanwhile)
        value, left = coherence.scores(weights, sums.slices | parts, meanwhile=meanwhile)
        n = len(sums.bands)
        whole = (value[:, :n], left[..., :n])
        out = {"imcoh": _by_scope(*whole, ("global", "local"), weights, why, sums)}
        found = {m: (values[m], each[m]) for m in MEASURES} | {"imcoh": (value[:, n:], left[..., n:])}
        for measure, (by_part, without) in found.items():
            for window in map(_ms, self._windows_s):
                out[f"{measure}_{window.rstrip(':')}"] = {
                    scope: _in_part(
                        by_part[k], without[:, k], window, tuple(parts), sums.bands, sums.n,
                        why="" if weights[k].any() else why[k],
                    )
                    for k, scope in enumerate(("global", "local"))
                }  # fmt: skip
        return out

    def _before(self, sums: RunningConnectivity) -> dict[str, dict[str, Bands]]:
        """Synchrony before the pulse; ``sums`` only says which bands there are."""
        scopes, measures = ("local", "local_8"), {"dwpli2": "dwpli2_ongoing", "ppc": "ppc_ongoing"}
        own = None if self.ongoing is None else self.ongoing.sums
        if own is None or own.n < 3:
            e = Estimate.absent(self.why_no_ongoing if own is None else "fewer than 3 trials")
            none = dict.fromkeys((*sums.bands, POOLED), e)
            return {m: dict.fromkeys(scopes, none) for m in measures.values()}
        ok = usable(np.asarray(own.pair_counts, dtype=np.float64), own.n)
        w = np.array([(i[own.first] & i[own.second] & ok).astype(float) for i in self._inside])
        w /= np.maximum(w.sum(axis=1, keepdims=True), 1)
        values, each = own.pair_values(), own.without_each(w)
        why = ("too few good channels near the coil",) * 2
        return {name: _by_scope(w @ values[m], each[m], scopes, w, why, own) for m, name in measures.items()}

    def evoked(
        self, evoked: RunningEvoked, sums: RunningConnectivity, channels: Bool, roi: tuple[int, ...], why_local: str,
        meanwhile: Callable[[], None],
    ) -> dict[str, Estimate]:  # fmt: skip
        """channels : bool[n_channels] that are used; roi : those near the coil that are."""
        n, bands = evoked.n, sums.bands
        out = self._complexity(evoked, channels, meanwhile)
        names = [(w, _ms(w).rstrip(":")) for w in self._windows_s]
        if not roi:
            out["natural_frequency_hz"] = Estimate.absent(why_local, n=n, unit="Hz")
            none = {"ersp_local_db": "dB", "itc_local": ""}
            return out | {
                f"{k}:{b}:{name}": Estimate.absent(why_local, n=n, unit=unit)
                for k, unit in none.items()
                for b in (*bands, POOLED)
                for _, name in names
            }
        value, each = (with_mean(v) for v in evoked.ersp(roi))
        for i, (_, name) in enumerate(names, start=1):
            for j, band in enumerate((*bands, POOLED)):
                e = estimate(value[i, j], float(jackknife_se(each[:, i, j])), n=n, unit="dB")
                if not e.present:
                    e = Estimate.absent(NO_INSTANT, n=n, unit="dB")
                out[f"ersp_local_db:{band}:{name}"] = e
        parts = self.parts(sums.slices)
        itc, itc_each = sums.itc(roi, parts).mean(axis=0), sums.itc_without_each(roi, parts).mean(axis=1)
        for _, name in names:
            found = _in_part(itc, itc_each, f"{name}:", tuple(parts), bands, n)
            out |= {f"itc_local:{band}:{name}": e for band, e in found.items()}
        return out | {"natural_frequency_hz": self._natural(n, roi, meanwhile)}

    def _natural(self, n: int, roi: tuple[int, ...], meanwhile: Callable[[], None]) -> Estimate:
        rows, o = np.isin(self._local, roi), self.oscillation
        if o.why_absent:
            return Estimate.absent(o.why_absent, n=n, unit="Hz")
        hz, height = natural_frequency(o.ersp(rows), o.frequencies_hz)
        if not height > 0:
            return Estimate.absent("no frequency rises above its baseline", n=n, unit="Hz")

        def of_half(chosen: Bool) -> float:
            meanwhile()
            return natural_frequency(o.ersp(rows, chosen), o.frequencies_hz)[0]

        return estimate(hz, half_sample_se(of_half, n, draws=HALVES), n=n, unit="Hz")

    def _complexity(
        self, evoked: RunningEvoked, channels: Bool, meanwhile: Callable[[], None]
    ) -> dict[str, Estimate]:
        n, unit = evoked.n, "transitions"

        def of(weights: F64) -> float:
            meanwhile()
            average = evoked.average_of(weights)[channels]
            return pcist(average, evoked.times_s, valid=evoked.valid).value

        try:
            value = of(np.ones(n))
            noise = np.array([of(plus_minus(n, seed=SEED + d)) for d in range(NOISES)])
            se = half_sample_se(lambda chosen: of(chosen.astype(float)), n, draws=HALVES)
        except ValidationProblem as e:
            return dict.fromkeys(("pcist", "pcist_noise"), Estimate.absent(e.what, n=n, unit=unit))
        return {
            "pcist": estimate(value, se, n=n, unit=unit),
            "pcist_noise": estimate(float(noise.mean()), float(noise.std(ddof=1)), n=n, unit=unit),
        }


def _ms(window_s: tuple[float, float]) -> str:
    return f"{1e3 * window_s[0]:.0f}-{1e3 * window_s[1]:.0f}:"


def _in_part(
    value: F64,
    each: F64,
    window: str,
    parts: tuple[str, ...],
    bands: tuple[str, ...],
    n: int,
    *,
    why: str = "",
) -> Bands:
    """Estimates of one part of the window from value [n_parts] and each [n_trials, n_parts]; ``why`` there are none."""
    at = {name: j for j, name in enumerate(parts)}
    out: Bands = {}
    for band in (*bands, POOLED):
        wanted = [f"{window}{b}" for b in (bands if band == POOLED else (band,))]
        chosen = [at[w] for w in wanted if w in at]
        if why or len(chosen) < len(wanted):
            out[band] = Estimate.absent(why or NO_INSTANT, n=n)
        else:
            se = float(jackknife_se(each[:, chosen].mean(axis=1)))
            out[band] = estimate(float(value[chosen].mean()), se, n=n)
    return out


def _by_scope(
    value: F64, each: F64, scopes: tuple[str, ...], w: F64, why: tuple[str, ...], sums: RunningConnectivity
) -> dict[str, Bands]:
    """value [n_scopes, n_bands], each [n_trials, n_scopes, n_bands] as estimates."""
    names, n = (*sums.bands, POOLED), sums.n
    out: dict[str, Bands] = {}
    for s, scope in enumerate(scopes):
        if not w[s].any():
            out[scope] = dict.fromkeys(names, Estimate.absent(why[s], n=n))
            continue
        v, se = with_mean(value[s]), jackknife_se(with_mean(each[:, s]))
        out[scope] = {b: estimate(float(v[j]), float(se[j]), n=n) for j, b in enumerate(names)}
    return out
