"""Owns the lights of a trial as the record tells them: judged again from its numbers and limits, and their reason in a line.

It owns no limit and no rule. The view keeps of a trial its numbers and its light, not each finding: ten thousand trials would
hold 150 MB of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rtloop.dsp.spec import ChainSpec
from rtloop.model.estimate import Verdict
from rtloop.quality.lights import ABOVE, spoken
from rtloop.quality.limits import REJECTING, QualityLimits
from rtloop.quality.trial import judge_trial

#: number of a verdict -> its short name
SHORT = {
    "bad_channels_pct": "bad channels", "good_channels": "good channels", "pre_pp_uv": "peak to peak before",
    "post_pp_uv": "peak to peak after", "blink_uv": "blink-like", "residual_decay_uv": "residual decay",
    "muscle_pre_uv": "muscle before", "muscle_post_uv": "muscle after", "line_noise_uv": "line noise",
    "decay_back_ms": "artifact over after",
}  # fmt: skip


def findings_of(p: Mapping[str, Any], started: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Every judged number of a trial as ``trial_judged`` holds it; () where no epoch could be cut.

    Parameters
    ----------
    p : the trial's pulse in the view
    started : data of ``session_started``; an older record without limits is judged by the defaults
    """
    numbers = {k: float(v) for k, v in (p.get("numbers") or {}).items() if v is not None}
    if not numbers:
        return ()
    chain, plans = started.get("chain") or {}, started.get("quality") or {}
    reject = {name: float(chain.get(name, getattr(ChainSpec, name))) for _, name, _ in REJECTING.values()}
    limits = QualityLimits(
        trial={k: tuple(v) for k, v in (plans.get("trial") or {}).items()},
        yellow_share=float(plans.get("yellow_share", QualityLimits.yellow_share)),
    )
    broken = []
    for name, (rule, limit_name, row) in REJECTING.items():
        value, limit = numbers.get(name), reject[limit_name]
        sign = 1.0 if row.worse == ABOVE else -1.0
        if value is not None and not sign * value <= sign * limit:
            broken.append((rule, value, limit, row.unit))
    judged = judge_trial(Verdict(accepted=not broken, reasons=tuple(broken), numbers=numbers), reject, limits)
    return tuple(f.to_dict() for f in judged.findings)


def lit_words(p: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> str:
    """Light and reason of an accepted trial where it is not GREEN: "yellow: line noise 12 µV (limit 10) and 1 more"."""
    light = str(p.get("light") or "")
    if not p.get("accepted") or light not in ("yellow", "red"):
        return ""
    worst = [f for f in findings if f["light"] == light and f["value"] is not None]
    if not worst:
        return f"{light} light"
    f, more = worst[0], f" and {len(worst) - 1} more" if len(worst) > 1 else ""
    at = f["red"] if light == "red" else f["yellow"]
    return (
        f"{light}: {SHORT.get(f['name'], f['what'])} {spoken(f['value'], f['unit'])} (limit {at:.3g}){more}"
    )
