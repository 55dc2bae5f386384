"""Owns short waits beside a trigger line in which EA must go out all the same; owns no keep-alive and no line."""

from __future__ import annotations

from drivers.watch import UnitWatch

POLL_S = 0.002


def pause_until(watch: UnitWatch, t_s: float) -> None:
    """Wait until then. Something urgent has EA written at the next poll, and the wait goes on: a line that is high must fall.

    What asked for EA is left to the next exchange with the unit, which is cut short by it. Raises Lost.
    """
    cut = False
    while (now_s := watch.clock.now_s()) < t_s:
        if watch.urgent() and not cut:
            cut = True
            watch.unit.exchange.cut()
        watch.clock.sleep_until(min(t_s, now_s + POLL_S))
