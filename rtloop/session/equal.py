"""Owns the scores of one target at a smaller number of trials, for comparison with a target that has fewer; owns no
choice of that number.

For what grows as trials get fewer: PLV, wPLI, ITC, PCIst, GMFP, LMFP, early response. Subsets without replacement,
fixed seeds, both in the result and so in the record. Off the critical path: 20 subsets cost 20 passes over ``n``
trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.measures.average import early_peak_to_peak, field_powers
from rtloop.measures.complexity import pcist
from rtloop.measures.connectivity import RunningConnectivity
from rtloop.measures.evoked import RunningEvoked
from rtloop.measures.sampling import DRAWS, SEED, equalised, half_sample_se
from rtloop.measures.uncertainty import estimate, jackknife_se
from rtloop.model.estimate import POOLED, Estimate
from rtloop.model.samples import F64, Bool
from rtloop.session.composing import EARLY_S, with_mean

MEASURES = ("plv", "wpli")
SCOPES = ("global", "local")


@dataclass(frozen=True, kw_only=True)
class EqualScores:
    """Means over ``draws`` subsets of ``n`` of ``n_of`` trials (one draw, all of them, where n is n_of)."""

    target: str
    n: int
    n_of: int
    draws: int
    seed: int
    connectivity: Mapping[str, Mapping[str, Mapping[str, Estimate]]] = field(default_factory=dict)
    evoked: Mapping[str, Estimate] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "target": self.target, "n": self.n, "n_of": self.n_of, "draws": self.draws, "seed": self.seed,
            "connectivity": {
                m: {s: {b: e.to_dict() for b, e in bands.items()} for s, bands in scopes.items()}
                for m, scopes in self.connectivity.items()
            },
            "evoked": {k: e.to_dict() for k, e in self.evoked.items()},
        }  # fmt: skip


def equal_scores(
    target: str,
    sums: RunningConnectivity,
    evoked: RunningEvoked,
    n: int,
    *,
    weights: F64,
    channels: Bool,
    roi: tuple[int, ...],
    why: tuple[str, str],
    window_s: tuple[float, float],
    draws: int = DRAWS,
    seed: int = SEED,
    meanwhile: Callable[[], None] = lambda: None,
    complexity: bool = True,
) -> EqualScores:
    """Scores at ``n`` trials, with standard errors that hold the sampling of trials and of subsets.

    Parameters
    ----------
    weights : float64[2, n_pairs], global and local; all zero where there is none: ``why`` says so
    channels : bool[n_channels] used; roi : those near the coil; window_s : that of GMFP and LMFP
    complexity : whether PCIst is among them, which costs most

    Raises
    ------
    ValidationProblem : more trials asked for than there are, or fewer than 3
    """
    n_of = sums.n
    if not 3 <= n <= n_of:
        raise ValidationProblem(
            f"{target} cannot be compared at {n} trials", expected=f"3 to {n_of}", found=str(n),
            todo="use the smallest number of accepted trials among the targets",
        )  # fmt: skip
    names = (*sums.bands, POOLED)

    def pairs_and_itc(chosen: Bool) -> F64:
        values = sums.values_of(chosen)
        meanwhile()
        rows = [*(weights @ values[m] for m in MEASURES)]
        if roi:
            rows.append(sums.itc_of(roi, chosen).mean(axis=0, keepdims=True))
        return with_mean(np.concatenate(rows))

    each = sums.without_each(weights, meanwhile=meanwhile)
    left = [*(each[m] for m in MEASURES)]
    if roi:
        left.append(sums.itc_without_each(roi).mean(axis=1, keepdims=True))
    found = equalised(pairs_and_itc, n_of, n, draws=draws, seed=seed)
    errors = found.se(jackknife_se(with_mean(np.concatenate(left, axis=1))))

    def row(i: int, present: bool, why_absent: str) -> dict[str, Estimate]:
        if not present:
            return dict.fromkeys(names, Estimate.absent(why_absent, n=n))
        return {b: estimate(float(found.value[i, j]), float(errors[i, j]), n=n) for j, b in enumerate(names)}

    some = [bool(row.any()) for row in weights]
    connectivity = {
        m: {s: row(2 * i + k, some[k], why[k]) for k, s in enumerate(SCOPES)} for i, m in enumerate(MEASURES)
    }
    itc = row(2 * len(MEASURES), bool(roi), why[1])
    out = {f"itc_local:{b}": e for b, e in itc.items()}
    out |= fields_at(evoked, channels, roi, window_s, n, draws=draws, seed=seed, why=why)
    if complexity:
        out["pcist"] = _complexity(evoked, channels, n, draws, seed, meanwhile)
    return EqualScores(
        target=target, n=n, n_of=n_of, draws=found.draws, seed=seed, connectivity=connectivity, evoked=out
    )


def fields_at(
    evoked: RunningEvoked, channels: Bool, roi: tuple[int, ...], window_s: tuple[float, float], n: int, *,
    draws: int = DRAWS, seed: int = SEED, why: tuple[str, str],
) -> dict[str, Estimate]:  # fmt: skip
    """GMFP, LMFP (means over ``window_s``) and early response at ``n`` trials, µV; arguments as of ``equal_scores``."""
    names = ("gmfp_uv", "lmfp_uv", "early_local_pp_uv")
    if not roi:
        return dict.fromkeys(names, Estimate.absent(why[1], n=n, unit="µV"))
    t, valid, inside = evoked.times_s, evoked.valid, evoked.inside(window_s)

    def of(chosen: Bool) -> F64:
        average = evoked.average_of(chosen.astype(float))
        gmfp, lmfp = field_powers(average, channels, roi)
        early = early_peak_to_peak(average, t, valid, roi, EARLY_S)
        return np.array([gmfp[inside].mean(), lmfp[inside].mean(), early])

    each = evoked.fields(channels, roi, window_s)[1]
    early_each = evoked.early_response(roi, EARLY_S)[1]
    found = equalised(of, evoked.n, n, draws=draws, seed=seed)
    errors = found.se(jackknife_se(np.concatenate([each, early_each[:, None]], axis=1)))
    return {
        k: estimate(float(v), float(e), n=n, unit="µV")
        for k, v, e in zip(names, found.value, errors, strict=True)
    }


def _complexity(
    evoked: RunningEvoked, channels: Bool, n: int, draws: int, seed: int, meanwhile: Callable[[], None]
) -> Estimate:
    def of(chosen: Bool) -> float:
        meanwhile()
        average = evoked.average_of(chosen.astype(float))[channels]
        return pcist(average, evoked.times_s, valid=evoked.valid).value

    try:
        found = equalised(lambda chosen: np.array([of(chosen)]), evoked.n, n, draws=draws, seed=seed)
        se = found.se(np.array([half_sample_se(of, evoked.n, draws=draws, seed=seed)]))
    except ValidationProblem as e:
        return Estimate.absent(e.what, n=n, unit="transitions")
    return estimate(float(found.value[0]), float(se[0]), n=n, unit="transitions")
