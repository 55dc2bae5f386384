"""Owns what must be told because it changed or lasts: interlock, channels, a long hold, fast numbers; decides nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rtloop.board import Board
from rtloop.model.status import Fault, Lamp, StreamHealth
from rtloop.record import kinds
from rtloop.safety.interlock import FAULTS, Interlock

#: a hold that lasts so long is told to the operator, once each time
HOLD_LASTS_S = 2.0
#: the board's numbers are written so often at most
NUMBERS_EVERY_S = 0.01
#: a change of the channels judged bad is told so often at most
CHANNELS_EVERY_S = 0.5

News = list[tuple[str, dict[str, Any]]]


class Bulletin:
    """Compares what stands with what was told last; returns events (kind, data) and writes the board."""

    def __init__(self, interlock: Interlock, board: Board) -> None:
        self._interlock, self._board = interlock, board
        self._lamp = interlock.lamp
        self._active: dict[Fault, str] = {}
        self._held_since_s: float | None = None
        self._hold_told = False
        self._due_s: float | None = None
        self._bad: tuple[str, ...] = ()
        self._bad_told_s = self._numbers_s = -math.inf

    def interlock(self, words: str = "") -> News:
        """Faults raised, changed and cleared, and the lamp, since the last time."""
        active, before = dict(self._interlock.active), self._active
        self._active = active
        news: News = []
        for fault in [f for f in active if active[f] != before.get(f)]:
            row = FAULTS[fault]
            data = {"fault": fault.value, "action": row.action.value, "clears": row.clears}
            news.append((kinds.FAULT_RAISED, data | {"words": active[fault], "todo": row.todo}))
        news += [(kinds.FAULT_CLEARED, {"fault": fault.value}) for fault in before if fault not in active]
        lamp = self._interlock.lamp
        if lamp is not self._lamp:
            old, self._lamp = self._lamp, lamp
            self._board["engine_lamp"] = list(Lamp).index(lamp)
            news.append((kinds.LAMP_CHANGED, {"before": old.value, "after": lamp.value, "words": words}))
        return news

    def standing(self, now_s: float, health: StreamHealth | None, faults: Mapping[Fault, str]) -> News:
        """A hold that lasts, once each time; the channels that the stream's watch calls bad, when they change."""
        self._show_due()
        if health is not None and now_s - self._numbers_s >= NUMBERS_EVERY_S:
            self._numbers_s = now_s
            self._numbers(health)
        return self._hold(now_s, faults) + self._channels(now_s, health)

    def announced(self, due_s: float) -> None:
        """When the next pulse is due; on the board while nothing holds it, forgotten when the unit is disarmed."""
        self._due_s = due_s
        self._show_due()

    def _show_due(self) -> None:
        lamp = self._interlock.lamp
        if lamp not in (Lamp.ARMED, Lamp.HELD):
            self._due_s = None
        shown = lamp is Lamp.ARMED and self._due_s is not None
        self._board["next_due"] = int((self._due_s or 0.0) * 1e9) if shown else 0

    def _hold(self, now_s: float, faults: Mapping[Fault, str]) -> News:
        if self._interlock.lamp is not Lamp.HELD:
            self._held_since_s, self._hold_told = None, False
            return []
        if self._held_since_s is None:
            self._held_since_s = now_s
        if self._hold_told or now_s - self._held_since_s < HOLD_LASTS_S:
            return []
        self._hold_told = True
        why = {f: faults.get(f, w) for f, w in self._interlock.active.items()}
        words = f"no pulse for {HOLD_LASTS_S:g} s, the unit stays armed: {'; '.join(why.values()) or 'the unit is held'}"
        todo = "; ".join(dict.fromkeys(FAULTS[f].todo for f in why))
        return [("hold_lasts", {"faults": [f.value for f in why], "words": words, "todo": todo})]

    def _channels(self, now_s: float, health: StreamHealth | None) -> News:
        bad = self._bad if health is None else health.bad_channels
        if bad == self._bad or now_s - self._bad_told_s < CHANNELS_EVERY_S:
            return []
        gone = [c for c in self._bad if c not in bad]
        self._bad, self._bad_told_s = bad, now_s
        words = f"flat or saturated: {', '.join(bad) or 'no channel'}" + (
            f"; good again: {', '.join(gone)}" if gone else ""
        )
        return [("channels_judged", {"bad": list(bad), "words": words})]

    def _numbers(self, health: StreamHealth) -> None:
        board = self._board
        board["stream_rate_mhz"] = _whole(health.rate_hz * 1e3)
        board["stream_gaps"], board["stream_lost"] = health.gaps, health.lost_samples
        board["stream_t"] = _whole((health.t_s - health.age_s) * 1e9)
        board["stream_ok"] = int(health.ok)
        board["clock_residual_ns"] = _whole(health.clock_residual_s * 1e9)
        board["head"] = health.head


def _whole(value: float) -> int:
    """A slot holds no NaN: what is not known is 0."""
    return int(value) if math.isfinite(value) else 0
