"""Owns the delay from the fire command to the pulse in the EEG: its numbers, whether it is still what it was; does nothing."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from rtloop.model.pulse import PulseSeen, Source

#: the median of so many newest pulses is compared
NEWEST = 5
#: and may lie this far from what is expected. Measured on the simulated bedside under load: it moves by less than 1 ms
OFF_S = 0.005
#: sources whose instant is good enough to be compared
EXACT = (Source.TRIGGER, Source.ARTIFACT)
#: where the expected delay comes from, in words
COMMISSIONED, SITE, LEARNT = (
    "as commissioned",
    "as the site file says",
    "as this session's own first pulses took",
)


@dataclass(frozen=True, kw_only=True)
class Band:
    """What the loopback delay may be, and ``whose`` word that is.

    ``expected_s`` None: what the session's own first ``newest`` pulses took.
    """

    expected_s: float | None = None
    off_s: float = OFF_S
    newest: int = NEWEST
    whose: str = LEARNT

    def __post_init__(self) -> None:
        if not (self.off_s > 0 and math.isfinite(self.off_s) and self.newest >= 1):
            raise ValueError(f"a band of ±{self.off_s} s over {self.newest} pulses")
        if self.expected_s is not None and not math.isfinite(self.expected_s):
            raise ValueError(f"an expected delay of {self.expected_s} s")

    def data(self) -> dict[str, Any]:
        """For ``session_started`` (JSON values)."""
        return {
            "expected_s": self.expected_s,
            "off_s": self.off_s,
            "newest": self.newest,
            "whose": self.whose,
        }


def band_words(band: Mapping[str, Any]) -> str:
    """What is expected of the delay, and by whose word, from ``Band.data`` or the numbers of ``latency_measured``."""
    whose = band.get("whose") or (LEARNT if band.get("learnt", True) else COMMISSIONED)  # older journals
    off, newest = f"± {band['off_s'] * 1e3:g} ms", f"median of the newest {band['newest']}"
    if band["expected_s"] is None:
        return f"to be learnt from this session's own first pulses (neither commissioned nor in the site file); {off}, {newest}"
    return f"expected {band['expected_s'] * 1e3:.1f} {off} {whose}, {newest}"


class Loopback:
    """Follows the delay of one session. ``took`` each pulse; ``words`` says what is wrong, empty while nothing is."""

    def __init__(self, band: Band | None = None) -> None:
        self.band = band or Band()
        self.expected_s = self.band.expected_s
        self.words = ""
        self._all_s: list[float] = []
        self._newest: deque[float] = deque(maxlen=self.band.newest)

    def took(self, seen: PulseSeen, t_sent_s: float | None) -> bool:
        """A commanded pulse was seen; whether ``words`` or ``expected_s`` changed (then ``numbers`` are worth a record)."""
        delay_s = math.nan if t_sent_s is None else seen.t_s - t_sent_s
        if not math.isfinite(delay_s) or seen.source not in EXACT:
            return False
        self._all_s.append(delay_s)
        self._newest.append(delay_s)
        if len(self._newest) < self.band.newest:
            return False
        now_s, before = median(self._newest), (self.words, self.expected_s)
        if self.expected_s is None:
            self.expected_s = now_s
        off_s = now_s - self.expected_s
        self.words = "" if abs(off_s) <= self.band.off_s else (
            f"the last {self.band.newest} pulses came {now_s * 1e3:.1f} ms after their command (median), "
            f"expected {self.expected_s * 1e3:.1f} ± {self.band.off_s * 1e3:.1f} ms"
        )  # fmt: skip
        return (self.words, self.expected_s) != before

    def again(self) -> None:
        """Whoever looked at it arms again: the next ``newest`` pulses are judged afresh, against the same expectation."""
        self._newest.clear()
        self.words = ""

    def numbers(self) -> dict[str, Any]:
        """The delay of this session as JSON values, for ``latency_measured``."""
        ordered = sorted(self._all_s)
        return {
            "name": "loopback", "n": len(ordered), "last_s": self._all_s[-1] if ordered else None,
            "median_s": median(ordered) if ordered else None,
            "p95_s": ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else None,
            **self.band.data(), "expected_s": self.expected_s, "learnt": self.band.expected_s is None,
            "ok": not self.words, "words": self.words,
        }  # fmt: skip
