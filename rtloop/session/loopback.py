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
#: each single pulse may lie this far off, as far as the pulses of a commissioning walk may lie apart. Measured in real time on
#: the simulated bedside, two busy cores: the worst of 1500 pulses lay 11 ms off the median of its session
SINGLE_OFF_S = 0.020
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

    ``expected_s`` None: what the session's own first ``newest`` pulses took. ``off_s`` holds for the median of the newest,
    ``single_off_s`` for each pulse as soon as something is expected.
    """

    expected_s: float | None = None
    off_s: float = OFF_S
    single_off_s: float = SINGLE_OFF_S
    newest: int = NEWEST
    whose: str = LEARNT

    def __post_init__(self) -> None:
        if not (self.off_s > 0 and math.isfinite(self.off_s) and self.newest >= 1):
            raise ValueError(f"a band of ±{self.off_s} s over {self.newest} pulses")
        if not (self.off_s <= self.single_off_s < math.inf):
            raise ValueError(
                f"a band of ±{self.single_off_s} s for one pulse, ±{self.off_s} s for the median"
            )
        if self.expected_s is not None and not math.isfinite(self.expected_s):
            raise ValueError(f"an expected delay of {self.expected_s} s")

    def data(self) -> dict[str, Any]:
        """For ``session_started`` (JSON values)."""
        return {
            "expected_s": self.expected_s,
            "off_s": self.off_s,
            "single_off_s": self.single_off_s,
            "newest": self.newest,
            "whose": self.whose,
        }


def band_words(band: Mapping[str, Any]) -> str:
    """What is expected of the delay, and by whose word, from ``Band.data`` or the numbers of ``latency_measured``."""
    whose = band.get("whose") or (LEARNT if band.get("learnt", True) else COMMISSIONED)  # older journals
    off, newest = f"± {band['off_s'] * 1e3:g} ms", f"median of the newest {band['newest']}"
    if band.get("single_off_s") is not None:  # older journals know the median only
        newest += f", each pulse ± {band['single_off_s'] * 1e3:g} ms"
    if band["expected_s"] is None:
        return f"to be learnt from this session's own first pulses (neither commissioned nor in the site file); {off}, {newest}"
    return f"expected {band['expected_s'] * 1e3:.1f} {off} {whose}, {newest}"


class Loopback:
    """Follows the delay of one session. ``took`` each pulse; ``words`` says what is wrong, empty while nothing is.

    ``single``: what is wrong with the newest pulse by itself.
    """

    def __init__(self, band: Band | None = None) -> None:
        self.band = band or Band()
        self.expected_s = self.band.expected_s
        self.words = self.single = ""
        self._all_s: list[float] = []
        self._newest: deque[float] = deque(maxlen=self.band.newest)

    def took(self, seen: PulseSeen, t_sent_s: float | None) -> bool:
        """A commanded pulse was seen; whether ``words`` or ``expected_s`` changed (then ``numbers`` are worth a record)."""
        self.single = ""
        delay_s = math.nan if t_sent_s is None else seen.t_s - t_sent_s
        if not math.isfinite(delay_s) or seen.source not in EXACT:
            return False
        self._all_s.append(delay_s)
        self._newest.append(delay_s)
        before, full = (self.words, self.expected_s), len(self._newest) == self.band.newest
        if self.expected_s is None and full:
            self.expected_s = median(self._newest)
        if self.expected_s is None:
            return False
        self.single = self._off(delay_s, self.band.single_off_s, "a pulse came")
        moved = f"the last {self.band.newest} pulses came (median)"
        self.words = (self._off(median(self._newest), self.band.off_s, moved) if full else "") or self.single
        return (self.words, self.expected_s) != before

    def _off(self, delay_s: float, off_s: float, what: str) -> str:
        """In words, where a delay lies further than ``off_s`` from what is expected; else empty."""
        assert self.expected_s is not None
        if abs(delay_s - self.expected_s) <= off_s:
            return ""
        return (
            f"{what} {delay_s * 1e3:.1f} ms after the command, "
            f"expected {self.expected_s * 1e3:.1f} ± {off_s * 1e3:.1f} ms"
        )

    def again(self) -> None:
        """Whoever looked at it arms again: the next ``newest`` pulses are judged afresh, against the same expectation."""
        self._newest.clear()
        self.words = self.single = ""

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
