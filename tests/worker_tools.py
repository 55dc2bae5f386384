"""Owns what the tests of the worker share: an event in the middle of a request, a refusal, how long a request took."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from contract_tools import Bench

from drivers.trouble import UnitProblem


def problem(ask: Callable[[], object]) -> UnitProblem:
    """What it is refused with."""
    with pytest.raises(UnitProblem) as told:
        ask()
    return told.value


def on_packet(b: Bench, command: bytes, do: Callable[[], object], *, after_s: float = 0.0) -> None:
    """Once, as soon as the unit has had this command and ``after_s`` have passed, also while a request waits."""
    start_s, done = b.clock.now_s(), []

    def look(now_s: float) -> None:
        sent = b.sent(command, since_s=start_s)
        if sent and now_s >= sent[0] + after_s and not done:
            done.append(now_s)
            do()

    b.clock.listen(look)  # type: ignore[attr-defined]


def took_s(b: Bench, ask: Callable[[], object]) -> float:
    """Seconds that it took."""
    start_s = b.clock.now_s()
    ask()
    return b.clock.now_s() - start_s


def ask_disarm(b: Bench) -> None:
    """As another process asks it: nothing has served it yet."""
    b.board["disarm_asked"] += 1
