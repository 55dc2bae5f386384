"""Owns when a unit is asked next: the keep-alive's pace, the look before a due pulse, the quiet around it; owns no exchange.

A unit that is armed and falls silent is an error within 0.5 s of its last word: the keep-alive's pace, at most ``QUIET_S``
that it is put off around a due pulse, and the deadline of a reply (``drivers.magstim.exchange``).
"""

from __future__ import annotations

from rtloop.model.status import UnitStatus

QUIET_BEFORE_DUE_S = 0.06
QUIET_AFTER_DUE_S = 0.02
QUIET_S = QUIET_BEFORE_DUE_S + QUIET_AFTER_DUE_S
LOOK_BEFORE_DUE_S = 0.085
LOOK_UNREADY_S = 0.03  # a pulse is due and the unit still recharges


def quiet(status: UnitStatus | None, now_s: float, *, due_s: float, keep_s: float) -> bool:
    """Whether a due pulse of a ready unit keeps the line free: for ``QUIET_S`` at most, however often one is announced."""
    due = -QUIET_AFTER_DUE_S <= due_s - now_s <= QUIET_BEFORE_DUE_S
    return due and status is not None and status.ready and status.age_s(now_s) < keep_s + QUIET_S


def next_look_s(now_s: float, *, due_s: float, every_s: float, waits: bool) -> float:
    """The instant of the next look. ``waits``: the unit is armed and not ready, which a due pulse makes pressing."""
    if waits and abs(due_s - now_s) < LOOK_BEFORE_DUE_S:
        every_s = LOOK_UNREADY_S
    look_s = now_s + every_s
    if now_s < due_s - LOOK_BEFORE_DUE_S:  # whatever the keep-alive's own pace
        look_s = min(look_s, due_s - LOOK_BEFORE_DUE_S)
    return look_s
