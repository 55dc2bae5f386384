"""Owns the lights of one trial: each number of its verdict with limit, unit and reason; decides no rejection.

The chain rejects (``Verdict.reasons``); here every number gets its light, so that RED is exactly what rejected, YELLOW is
near a limit or a number that only warns, and nothing is rejected without number, unit and remedy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from rtloop.model.estimate import Verdict
from rtloop.quality.lights import ABOVE, BELOW, Finding, Judgement, Light, of, spoken
from rtloop.quality.limits import REJECTING, TRIAL, QualityLimits

#: rules of trials of which no epoch could be cut -> worse where, what to do
_NO_EPOCH = {
    "samples before the pulse": (BELOW, "nothing: the recording had only just begun"),
    "gap in the samples of the epoch": (
        ABOVE,
        "look at the stream: cable, radio link, load of the amplifier's computer",
    ),
    "marked BAD in the recording": (
        ABOVE,
        "nothing; or --keep-bad-annotated, where the marks of the file are not meant for this",
    ),
    "another pulse inside the epoch": (BELOW, "lengthen the interval between pulses, or shorten the epoch"),
}
#: the rule of rtloop.dsp.spatial for trials that a plan leaves out because they come before the first filter
_NO_EPOCH["no artifact filter yet, trials learnt"] = (
    BELOW,
    "nothing: later trials are cleaned by what these teach",
)
_ELSE = (ABOVE, "look at the trial")


def judge_trial(
    verdict: Verdict, reject: Mapping[str, float], limits: QualityLimits | None = None
) -> Judgement:
    """Lights of one trial.

    Parameters
    ----------
    verdict : of the cleaning chain, or of the line where no epoch could be cut
    reject : the chain's limits by name (``max_blink_uv`` ...), as they were used
    limits : the plan's; None: defaults

    The worst light is RED if and only if the trial was rejected.
    """
    limits = limits or QualityLimits()
    out: list[Finding] = []
    found = {rule: (value, limit, unit) for rule, value, limit, unit in verdict.reasons}
    for name, (rule, limit_name, row) in REJECTING.items():
        limit = float(reject[limit_name])
        near = limit * limits.yellow_share if row.worse == ABOVE else limit / limits.yellow_share
        if rule in found:
            value, limit, unit = found.pop(rule)
            out.append(_rejected(name, row.what, value, limit, unit, row.worse, row.todo))
        elif name in verdict.numbers:
            out.append(
                replace(row.judge(verdict.numbers[name], (near,)), red=limit)
            )  # not rejected: never RED
        elif not verdict.numbers:
            continue
        else:
            why = (
                "no good channel"
                if verdict.numbers.get("good_channels") == 0
                else "no electrode to see it with"
                if name != "residual_decay_uv"
                else "no decay is fitted in a trial that the spatial stage cleans, or that stage is off"
            )
            out.append(row.absent(why, (near, limit)))
    out += [
        _rejected(rule, rule, value, limit, unit, *_NO_EPOCH.get(rule, _ELSE))
        for rule, (value, limit, unit) in found.items()
    ]
    for name, row in TRIAL.items():
        at = limits.of_trial(name)[:1]  # a number that only warns
        if name in verdict.numbers:
            out.append(row.judge(verdict.numbers[name], at))
        elif verdict.numbers:
            out.append(row.absent("it was not measured in this trial", at))
    return of(out)


def _rejected(name: str, what: str, value: float, limit: float, unit: str, worse: str, todo: str) -> Finding:
    side = "at most" if worse == ABOVE else "at least"
    number = spoken(value, unit) if math.isfinite(value) else "is no number"
    return Finding(
        name=name, what=what, value=value if math.isfinite(value) else None, unit=unit, light=Light.RED, yellow=None,
        red=limit, worse=worse, words=f"rejected: {what} {number} ({side} {spoken(limit, unit)})", todo=todo,
    )  # fmt: skip
