"""Owns what is made of a train's end: how many pulses were given, how long software may be unable to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rtloop.model.pulse import Delivery, FireReceipt, Pulse
from rtloop.model.status import Capabilities
from rtloop.safety.ledger import Charge

#: a commissioning record that says EA stops a train has seen no pulse later than this after EA
STOPS_WITHIN_S = 0.2
#: a frozen engine is noticed, and EA goes out for it, within this
FROZEN_S = 0.3


@dataclass(frozen=True, kw_only=True)
class Running:
    """A train under way: its open charge, and the latest instant at which it ends if it is not cut."""

    charge: Charge
    end_s: float


def bounded(receipt: object, n_pulses: int, n_seen: int) -> tuple[FireReceipt, tuple[int, int]]:
    """The end of a train of ``n_pulses`` that the unit had acknowledged, as the unit says; the fewest and most that count.

    What is not said or contradicts itself bounds nothing: 0 to all of them. Without bounds only the plain word
    "delivered" means all; none at all contradicts the acknowledgement. All that were seen count, whatever the unit says.
    DELIVERED: the number is known, and not above what was permitted; UNCERTAIN else.
    """
    if not isinstance(receipt, FireReceipt):
        words = (
            "no word of the train's end" if receipt is None else f"no receipt of the train's end: {receipt!r}"
        )
        none = FireReceipt(
            delivery=Delivery.UNCERTAIN, t_sent_s=None, t_reply_s=None, status=None, reason=words,
            pulses_min=0, pulses_max=n_pulses,
        )  # fmt: skip
        return none, (0, n_pulses)
    low, high = receipt.pulses_min, receipt.pulses_max
    if low is None and high is None and receipt.delivery is Delivery.DELIVERED:
        low = high = n_pulses
    if not (type(low) is int and type(high) is int and 0 <= low <= high and high >= 1):
        low, high = 0, n_pulses
    known = low == high <= n_pulses and n_seen <= high
    words = f"{low}{'' if low == high else f' to {high}'} of {n_pulses} pulses given; {receipt.reason}"
    delivery = Delivery.DELIVERED if known else Delivery.UNCERTAIN
    said = replace(receipt, delivery=delivery, reason=words, pulses_min=low, pulses_max=high)
    return said, (low, max(high, n_seen))


def cannot_stop_s(pulse: Pulse, can: Capabilities) -> float:
    """Seconds from firing to the last pulse that no command may be able to stop: 0 for a single pulse.

    A train's; where the unit is known to stop one, at most what a frozen engine and the unit may take; a pair's interval.
    """
    if pulse.train is not None:
        whole_s = pulse.train.last_pulse_after_s
        return min(whole_s, FROZEN_S + STOPS_WITHIN_S) if can.stops_running_train is True else whole_s
    return 0.0 if pulse.pair is None else pulse.pair.interval_ms / 1000.0


def longest(*times_s: float) -> float:
    """The largest; NaN when any is not a number or below 0, so that whoever compares refuses."""
    return max(times_s) if all(t >= 0 for t in times_s) else math.nan
