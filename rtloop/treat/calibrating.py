"""Owns the participant's own limit: which windows before the first train count, and their quantile; owns no wait of a train.

Pure: instants are the caller's, in seconds on one clock. A value is a finite number or it is absent with a reason, never NaN.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtloop.errors import ValidationProblem
from rtloop.plan.treat_schema import StateGate

#: samples that are older than this when they are judged say nothing of now; an assumption (amplifiers deliver within 0.1 s)
FRESH_S = 0.5
#: clocks of amplifier and computer are mapped on each other to within this
AHEAD_S = 0.1
#: of the interval of a quantile
COVERAGE = 0.95


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One window of the stream as measured: instants of its first and last sample; ``value`` None: no value, by ``reason``.

    ``streams``: samples came at all. ValidationProblem for a value that is no number, and for neither value nor reason.
    """

    first_s: float
    last_s: float
    value: float | None
    reason: str = ""
    streams: bool = True

    def __post_init__(self) -> None:
        wrong = [
            f"{n} = {getattr(self, n)!r}"
            for n in ("first_s", "last_s")
            if not math.isfinite(getattr(self, n))
        ]
        if self.value is not None and not math.isfinite(self.value):
            wrong.append(f"value = {self.value!r}")
        if (self.value is None) is not bool(self.reason):
            wrong.append(f"value = {self.value!r} with reason {self.reason!r}")
        if wrong:
            raise ValidationProblem(
                "this is no reading of the ongoing EEG", expected="a finite value, or None with its reason",
                found="; ".join(wrong),
            )  # fmt: skip

    @classmethod
    def nothing(cls, now_s: float, reason: str) -> Reading:
        """No samples came."""
        return cls(first_s=now_s, last_s=now_s, value=None, reason=reason, streams=False)


def counted(reading: Reading, now_s: float, from_s: float) -> tuple[float | None, str]:
    """The value that counts at ``now_s``, or None with the reason; samples count from ``from_s`` on."""
    if reading.value is None:
        return None, reading.reason
    if reading.first_s < from_s:
        return None, "too soon after a train"
    if not now_s - FRESH_S <= reading.last_s:
        return None, "the samples are old"
    if not reading.last_s <= now_s + AHEAD_S:
        return None, "the samples are ahead of the clock"
    return reading.value, ""


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What came of the calibration.

    ``limit``: the quantile of ``windows``, values of windows side by side; ``low``, ``high``: its interval by order statistics,
    at least 95 % if they are independent, None where so few windows give none. ``values``: of every look that counted, in order;
    windows of neighbouring looks overlap. ``spoiled``: reason -> looks that did not count.
    """

    limit: float
    low: float | None
    high: float | None
    windows: tuple[float, ...]
    values: tuple[float, ...]
    spoiled: dict[str, int]
    took_s: float

    def data(self, gate: StateGate) -> dict[str, Any]:
        """Of the event ``gate_calibrated``."""
        return {
            "condition": gate.condition, "limit": self.limit, "low": self.low, "high": self.high, "coverage": COVERAGE,
            "windows": list(self.windows), "values": list(self.values), "spoiled": dict(self.spoiled), "took_s": self.took_s,
            "gate": gate.model_dump(mode="json"),
        }  # fmt: skip

    def words(self) -> str:
        """For whoever stands there; nothing in it tells what begins the trains."""
        low, high = ("-" if v is None else f"{v:.3f}" for v in (self.low, self.high))
        spoiled = "; ".join(f"{n} looks: {why}" for why, n in self.spoiled.items())
        return (
            f"calibrated in {self.took_s:.0f} s: limit {self.limit:.3f} (95 % {low} to {high}, {len(self.windows)} windows)"
            + (f"; not counted: {spoiled}" if spoiled else "")
        )


class Calibration:
    """Looks before the first train, until the plan's number of windows side by side is there.

    ``from_s``: samples count from here (after an earlier train); ``begun_s``: when the time of the calibration begins.
    """

    def __init__(self, gate: StateGate, begun_s: float, from_s: float = -math.inf) -> None:
        self._gate, self._begun_s, self._from_s = gate, begun_s, from_s
        self._next_s = begun_s
        self._side_by_side_s = -math.inf
        self._windows: list[float] = []
        self._values: list[float] = []
        self._spoiled: Counter[str] = Counter()
        self._newest_s = begun_s

    def wants(self, now_s: float) -> bool:
        """Whether it is time for a look."""
        return now_s >= self._next_s - 1e-9

    def take(self, reading: Reading, now_s: float) -> None:
        """One look."""
        self._next_s, self._newest_s = now_s + self._gate.every_s, now_s
        value, reason = counted(reading, now_s, self._from_s)
        if value is None:
            self._spoiled[reason] += 1
            return
        self._values.append(value)
        if reading.first_s >= self._side_by_side_s:
            self._windows.append(value)
            self._side_by_side_s = reading.last_s

    @property
    def progress(self) -> str:
        """In words."""
        return f"{len(self._windows)} of {self._gate.calibration_windows} windows without artifact"

    def done(self) -> Calibrated | None:
        """The limit once there are windows enough."""
        if len(self._windows) < self._gate.calibration_windows:
            return None
        limit, low, high = quantile(self._windows, self._gate.quantile)
        return Calibrated(
            limit=limit, low=low, high=high, windows=tuple(self._windows), values=tuple(self._values),
            spoiled=dict(self._spoiled), took_s=self._newest_s - self._begun_s,
        )  # fmt: skip

    def failed(self, now_s: float) -> str:
        """Why there is no limit and will be none; "" while there may be one."""
        if self.done() is not None or now_s - self._begun_s < self._gate.calibration_max_s:
            return ""
        why = "; ".join(f"{n} looks: {r}" for r, n in self._spoiled.most_common()) or "no look"
        return f"{self.progress} after {self._gate.calibration_max_s:g} s ({why})"


def quantile(values: Sequence[float], share: float) -> tuple[float, float | None, float | None]:
    """The quantile of a sample and its interval.

    Linear between order statistics (type 7 of Hyndman & Fan 1996, 10.1080/00031305.1996.10473566). The interval: the order
    statistics between which it lies with 95 % or more, half of the rest on each side, by the binomial distribution (Conover 1999,
    Practical Nonparametric Statistics); None where no order statistic is far enough out. ValueError without a value.
    """
    if not values:
        raise ValueError("no quantile of nothing")
    ordered = sorted(values)
    n = len(ordered)
    place = share * (n - 1)
    k = min(int(place), n - 2) if n > 1 else 0
    between = ordered[k] if n == 1 else ordered[k] + (place - k) * (ordered[k + 1] - ordered[k])
    chances = [math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(n + 1)]
    tail = (1 - COVERAGE) / 2
    # P(at most r - 1 below the quantile) <= tail for the lower rank r (from 1); the same from above for the upper one
    low = next((r for r in range(n, 0, -1) if math.fsum(chances[:r]) <= tail), None)
    high = next((r for r in range(1, n + 1) if math.fsum(chances[r:]) <= tail), None)
    return between, None if low is None else ordered[low - 1], None if high is None else ordered[high - 1]
