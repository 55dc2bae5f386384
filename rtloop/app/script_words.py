"""Owns what a script is told: refusals with every reason, receipts, the dose; owns no way to any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtloop.errors import SafetyStop
from rtloop.model.pulse import Pulse


class Refused(SafetyStop):
    """A rule said no, nothing was sent; ``reasons``: every one, in words."""

    def __init__(self, what: str, reasons: tuple[str, ...]) -> None:
        self.reasons = reasons
        super().__init__(what, found=" | ".join(reasons))

    def __reduce__(self) -> tuple[object, ...]:
        return (Refused, (self.what, self.reasons))


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What came of one fire command (a pulse, a train or a pair).

    ``outcome``: "fired"; "uncertain" (counted as given, the run is over); "missed". Between ``delivered_min`` and
    ``delivered_max`` of ``n_pulses`` were given, as the unit says.
    """

    pulse_id: int
    outcome: str
    power_pct_mso: int
    n_pulses: int
    delivered_min: int
    delivered_max: int
    t_sent_s: float | None
    acknowledged_after_s: float | None
    words: str = ""

    @classmethod
    def of(cls, pulse: Pulse, closing: Mapping[str, Any]) -> Receipt:
        """From the pulse and its closing record."""
        sent_s, reply_s = closing.get("t_sent_s"), closing.get("t_reply_s")
        whole = closing["outcome"] == "fired" and closing.get("delivered_min") == pulse.n_pulses
        said = [] if whole else [*closing.get("refusals", ()), str(closing.get("reason", "")).strip("; ")]
        return cls(
            pulse_id=pulse.pulse_id, outcome=str(closing["outcome"]), power_pct_mso=pulse.power_pct_mso,
            n_pulses=pulse.n_pulses, delivered_min=int(closing.get("delivered_min", 0)),
            delivered_max=int(closing.get("delivered_max", 0)), t_sent_s=sent_s,
            acknowledged_after_s=None if sent_s is None or reply_s is None else reply_s - sent_s,
            words="; ".join(filter(None, said)),
        )  # fmt: skip

    def __str__(self) -> str:
        after, low, high = self.acknowledged_after_s, self.delivered_min, self.delivered_max
        given = ""
        if self.n_pulses > 1 or low != high:
            given = f", {low if low == high else f'{low} to {high}'} of {self.n_pulses} pulses given"
        told = "" if after is None else f", acknowledged after {after * 1e3:.1f} ms"
        said = f" ({self.words})" if self.words else ""
        return f"pulse {self.pulse_id} at {self.power_pct_mso} % MSO: {self.outcome}{given}{told}{said}"


@dataclass(frozen=True, kw_only=True)
class Dose:
    """Pulses of this participant that count as given (uncertain ones do): in this script, on this UTC day, in all.

    ``course`` is the treatment among all of them, with what nobody commanded: what the cap of the course counts.
    """

    session: int
    day: int
    total: int
    course: int

    def __str__(self) -> str:
        now = f"{self.session} pulse(s) in this script, {self.day} today (UTC)"
        return f"{now}, {self.total} in all, of these {self.course} of treatment"
