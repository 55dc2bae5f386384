"""Owns what is made of a train's end: how many pulses a receipt bounds, how long software may be unable to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtloop.model.pulse import Delivery, FireReceipt, Pulse
from rtloop.model.status import Capabilities
from rtloop.safety.ledger import Charge


@dataclass(frozen=True, kw_only=True)
class Running:
    """A train under way: its open charge, and the latest instant at which it ends if it is not cut."""

    charge: Charge
    end_s: float


def bounds_of(receipt: FireReceipt | None, n_pulses: int) -> tuple[int, int, str]:
    """Fewest and most pulses given of a train of ``n_pulses`` that the unit had acknowledged, and words.

    What is not said or contradicts itself bounds nothing: 0 to all of them. Without bounds only the plain word
    "delivered" means all; none at all contradicts the acknowledgement.
    """
    if receipt is None:
        return 0, n_pulses, "no word of the train's end"
    low, high, words = receipt.pulses_min, receipt.pulses_max, receipt.reason
    if low is None and high is None and receipt.delivery is Delivery.DELIVERED:
        return n_pulses, n_pulses, words
    if type(low) is int and type(high) is int and 0 <= low <= high and high >= 1:
        return low, high, f"{low} to {high} of {n_pulses} pulses given; {words}"
    return 0, n_pulses, f"how many of {n_pulses} pulses were given is not known; {words}"


def cannot_stop_s(pulse: Pulse, can: Capabilities) -> float:
    """Seconds from firing to the last pulse that no command may be able to stop: 0 for a single pulse.

    A train's, unless the unit is known to stop one; a pair's interval.
    """
    if pulse.train is not None:
        return 0.0 if can.stops_running_train is True else pulse.train.last_pulse_after_s
    return 0.0 if pulse.pair is None else pulse.pair.interval_ms / 1000.0


def longest(*times_s: float) -> float:
    """The largest; NaN when any is not a number or below 0, so that whoever compares refuses."""
    return max(times_s) if all(t >= 0 for t in times_s) else math.nan
