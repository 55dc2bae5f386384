"""Owns the comparison of a real block with a control block of the same target; owns no score of either.

A TMS-evoked potential holds what was heard and felt. Only a control (sham, shoulder) that was heard and felt
alike tells how much (Conde 2019, 10.1016/j.neuroimage.2018.10.052). The blocks are independent trials, so the
variances add. What is subtracted from what is in the words of the result's user; nothing is subtracted unasked.
"""

from __future__ import annotations

import math

import numpy as np

from rtloop.errors import ValidationProblem
from rtloop.measures.sampling import BIASED_BY_N
from rtloop.model.estimate import Estimate, Scores
from rtloop.model.samples import F32


def difference(real: Estimate, control: Estimate, *, measure: str) -> Estimate:
    """Real minus control with SE sqrt(SE² + SE²) and its 95 % interval; absent, in words, where there is none.

    ``n`` is the smaller number of trials. A ``measure`` of ``BIASED_BY_N`` at unequal N is refused in words:
    equalise first (``rtloop.measures.sampling``). The name may carry scope and band after a colon.
    """
    n = min(real.n, control.n)
    for name, e in (("real", real), ("control", control)):
        if not e.present:
            return Estimate.absent(f"{name} block: {e.why_absent}", n=n, unit=real.unit)
    if real.unit != control.unit:
        return Estimate.absent(f"the units differ: {real.unit!r} and {control.unit!r}", n=n)
    if measure.split(":")[0].removesuffix("_local") in BIASED_BY_N and real.n != control.n:
        return Estimate.absent(
            f"{measure} grows as trials get fewer, and there are {real.n} real and {control.n} control trials: "
            f"compare at {n} each",
            n=n, unit=real.unit,
        )  # fmt: skip
    return Estimate.normal(real.value - control.value, math.hypot(real.se, control.se), n=n, unit=real.unit)


def contrasted(real: Scores, control: Scores) -> Scores:
    """Real minus control for every number that both have, each as ``difference``; SEs on the plain scale.

    ``n_accepted`` is the smaller, ``n_rejected`` the sum. A dwPLI² difference is not a dwPLI² of a difference.
    """
    pairs = {
        m: {
            s: {
                b: difference(e, control.connectivity[m][s][b], measure=m)
                for b, e in bands.items()
                if b in control.connectivity[m][s]
            }
            for s, bands in scopes.items()
            if s in control.connectivity[m]
        }
        for m, scopes in real.connectivity.items()
        if m in control.connectivity
    }
    evoked = {
        k: difference(e, control.evoked[k], measure=k) for k, e in real.evoked.items() if k in control.evoked
    }
    return Scores(
        target=real.target, n_accepted=min(real.n_accepted, control.n_accepted),
        n_rejected=real.n_rejected + control.n_rejected, connectivity=pairs, evoked=evoked,
    )  # fmt: skip


def subtracted_average(real_uv: F32, control_uv: F32) -> F32:
    """Average of the real block minus that of the control block, float32[n_channels, n_times], µV.

    Both must be of one chain and montage; ``ValidationProblem`` where the shapes differ. Subtraction assumes
    that what was heard and felt adds to the response of the cortex, which is itself an assumption.
    """
    if real_uv.shape != control_uv.shape:
        raise ValidationProblem(
            "the two averages do not fit each other", expected=str(real_uv.shape), found=str(control_uv.shape),
            todo="record both blocks with the same channels and settings",
        )  # fmt: skip
    return np.asarray(real_uv - control_uv, dtype=np.float32)
