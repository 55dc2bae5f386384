"""Owns how numbers, ages and intervals are written for people; owns no number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rtloop.model.estimate import Estimate

MASKED = "masked"
#: blocks as they are called on the screen
BLOCKS = {"run": "run", "preview": "preview", "control": "control"}


def number(estimate: Estimate, scale: float = 1.0, digits: int = 1, unit: str = "") -> str:
    """Value and 95 % interval, or why there is none."""
    if not estimate.present:
        return f"none ({estimate.why_absent})"
    v, low, high = (scale * x for x in (estimate.value, estimate.low, estimate.high))
    return f"{v:.{digits}f}{unit} [{low:.{digits}f}, {high:.{digits}f}]"


def estimate_of(d: Any, unit: str = "") -> Estimate:
    """An estimate from an event's field; absent in words where the field is not one."""
    try:
        return Estimate.from_dict(d)
    except (TypeError, ValueError, AttributeError):
        return Estimate.absent("not in the record", unit=unit)


def age(seconds: float | None) -> str:
    """An age in words: 0.2 s, 45 s, 3 min, or never."""
    if seconds is None or not math.isfinite(seconds):
        return "never"
    s = max(0.0, seconds)
    if s < 9.95:
        return f"{s:.1f} s"
    return f"{s:.0f} s" if s < 120 else f"{s / 60:.0f} min"


def share(part: int, whole: int) -> str:
    """A part of a whole in per cent; nothing of nothing is a dash."""
    return "-" if whole <= 0 else f"{100.0 * part / whole:.0f} %"


def block_words(target: str, block: str) -> str:
    """M1 run, M1 preview."""
    return f"{target} {BLOCKS.get(block, block)}".strip()


def split_key(key: str) -> tuple[str, str]:
    """(target, block) of a view's key: ("M1", "run") of "M1", ("M1", "preview") of "M1/preview"."""
    target, _, block = key.partition("/")
    return target, block or "run"


def newest_pulse(
    pulses: Mapping[int, Mapping[str, Any]], target: str | None = None
) -> Mapping[str, Any] | None:
    """The newest commanded (or heard) pulse, of one target or of all."""
    for i in reversed(list(pulses)):
        if i > 0 and (target is None or pulses[i].get("target") == target):
            return pulses[i]
    return None


def power_words(row: Mapping[str, Any]) -> str:
    """45 % MSO (110 % RMT), or nothing where no power is known."""
    mso, rmt = row.get("power_pct_mso"), row.get("power_pct_rmt")
    if mso is None:
        return ""
    return f"{mso} % MSO" + ("" if rmt is None else f" ({rmt:g} % RMT)")
