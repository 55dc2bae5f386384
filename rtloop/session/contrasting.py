"""Owns the comparison of a target's run with its control block from the sums of both; owns no sum and no words for people.

What grows as trials get fewer is compared at the smaller number (``rtloop.session.equal``); the rest at all trials.
Beside the score window the field powers after 80 ms are compared: there the answer to click and tap lies (N100-P180;
Conde 2019, 10.1016/j.neuroimage.2018.10.052; Biabani 2019, 10.1016/j.brs.2019.07.023).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rtloop.measures.average import early_peak_to_peak, field_powers
from rtloop.measures.contrast import contrasted
from rtloop.measures.evoked import RunningEvoked
from rtloop.measures.sampling import DRAWS, SEED
from rtloop.measures.uncertainty import estimate, jackknife_se
from rtloop.model.estimate import Estimate, Scores
from rtloop.model.samples import F64, Bool
from rtloop.session.composing import EARLY_S
from rtloop.session.equal import EqualScores, fields_at
from rtloop.session.scorer import TargetScorer

#: from where the sensory answer must be expected, s
LATE_FROM_S = 0.080
FIELDS = ("gmfp_uv", "lmfp_uv")


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """``real`` and ``control`` as they are compared; ``difference``: real minus control, SE sqrt(SE² + SE²).

    ``equal_n``: trials of each block for what is biased by N (``seed``, ``draws`` of the larger one); ``subtracted``:
    numbers of the average of the run minus that of the control block, empty where it was not asked for.
    """

    real: Scores
    control: Scores
    difference: Scores
    equal_n: int
    draws: int
    seed: int
    subtracted: dict[str, Estimate] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "real": self.real.to_dict(), "control": self.control.to_dict(), "difference": self.difference.to_dict(),
            "equal_n": self.equal_n, "draws": self.draws, "seed": self.seed,
            "subtracted": {k: e.to_dict() for k, e in self.subtracted.items()},
        }  # fmt: skip


def late_name(name: str, window_s: tuple[float, float]) -> str:
    """ "gmfp_uv:80-300" of a score window that ends at 300 ms."""
    return f"{name}:{1e3 * LATE_FROM_S:.0f}-{1e3 * window_s[1]:.0f}"


def contrast(
    real: TargetScorer,
    control: TargetScorer,
    *,
    subtract: bool = False,
    meanwhile: Callable[[], None] = lambda: None,
) -> Contrast:
    """Compare a run with a control block of the same chain and montage; needs 3 trials of each.

    Off the critical path: 20 subsets of the larger block, and with ``subtract`` one average per trial of both.
    ``ValidationProblem`` where there are fewer trials.
    """
    n = min(real.n_accepted, control.n_accepted)
    sides = [_side(s, n, meanwhile) for s in (real, control)]
    more = subtracted(real, control, meanwhile) if subtract else {}
    return Contrast(
        real=sides[0], control=sides[1], difference=contrasted(*sides), equal_n=n,
        draws=1 if real.n_accepted == control.n_accepted else DRAWS, seed=SEED, subtracted=more,
    )  # fmt: skip


def _side(scorer: TargetScorer, n: int, meanwhile: Callable[[], None]) -> Scores:
    """A block's scores with what is biased by N at ``n`` trials, and its field powers after 80 ms."""
    scores = scorer.scores(meanwhile=meanwhile)
    channels, roi, _ = scorer.used()
    late = _late(scorer)
    names = {k: late_name(k, scorer.spec.window_s) for k in FIELDS}
    why = "the score window ends before the sensory answer begins"
    if late is None:
        evoked = {name: Estimate.absent(why, n=n, unit="µV") for name in names.values()}
    else:
        at_n = fields_at(scorer.evoked, channels, roi, late, n, why=scorer.why_none())
        evoked = {name: at_n[k] for k, name in names.items()}
    if n < scorer.n_accepted:
        equal = scorer.at_equal_n(n, meanwhile, complexity=False)
        scores = _at(scores, equal)
    return replace(scores, evoked={**scores.evoked, **evoked})


def _at(scores: Scores, equal: EqualScores) -> Scores:
    pairs = {**scores.connectivity, **equal.connectivity}
    return replace(scores, connectivity=pairs, evoked={**scores.evoked, **equal.evoked})


def _late(scorer: TargetScorer) -> tuple[float, float] | None:
    late = (max(LATE_FROM_S, scorer.spec.window_s[0]), scorer.spec.window_s[1])
    return late if late[1] > late[0] and scorer.evoked.inside(late).any() else None


def subtracted(
    real: TargetScorer, control: TargetScorer, meanwhile: Callable[[], None] = lambda: None
) -> dict[str, Estimate]:
    """Field powers (score window, and after 80 ms) and early response of the average of the run minus the control's.

    The standard error leaves out each trial of one block, then each of the other, and adds the variances. The values
    hold the noise of both averages, and assume that the sensory answer adds to the direct one.
    """
    n = min(real.n_accepted, control.n_accepted)
    a, b = real.used(), control.used()
    channels, roi = a[0] & b[0], tuple(c for c in a[1] if c in b[1])
    late = _late(real)
    spans = [real.spec.window_s, *([] if late is None else [late])]
    names = [
        *FIELDS,
        *([] if late is None else [late_name(k, real.spec.window_s) for k in FIELDS]),
        "early_local_pp_uv",
    ]
    if not roi:
        return dict.fromkeys(names, Estimate.absent(real.why_none()[1], n=n, unit="µV"))

    def of(average_uv: F64) -> F64:
        return _numbers(average_uv, real.evoked, channels, roi, spans)

    whole = [s.evoked.average_of(np.ones(s.n_accepted)) for s in (real, control)]
    left = []
    for block, sign in ((real, 1.0), (control, -1.0)):
        rows = []
        for average_uv in block.evoked.averages_without_each():
            other = whole[1] if block is real else whole[0]
            rows.append(of(sign * (average_uv - other)))
            meanwhile()
        left.append(jackknife_se(np.array(rows)))
    values, errors = of(whole[0] - whole[1]), np.hypot(*left)
    return {
        k: estimate(float(v), float(e), n=n, unit="µV") for k, v, e in zip(names, values, errors, strict=True)
    }


def _numbers(
    average_uv: F64,
    evoked: RunningEvoked,
    channels: Bool,
    roi: tuple[int, ...],
    spans: list[tuple[float, float]],
) -> F64:
    gmfp, lmfp = field_powers(average_uv, channels, roi)
    means = [v[evoked.inside(span)].mean() for span in spans for v in (gmfp, lmfp)]
    return np.array([*means, early_peak_to_peak(average_uv, evoked.times_s, evoked.valid, roi, EARLY_S)])
