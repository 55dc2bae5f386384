"""The interlock, exhaustively: every state, every event, every fault against an explicit table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
from naive_safety import HOLDS, TRIPS, PlainInterlock

from rtloop.model.status import Fault, Lamp, Mode
from rtloop.safety.interlock import FAULTS, Action, Interlock, Step

S, R, A, H, T = Lamp.SAFE, Lamp.READY, Lamp.ARMED, Lamp.HELD, Lamp.TRIPPED
DISARMS = set(Fault) - HOLDS - TRIPS


def make(state: str) -> Interlock:
    """An interlock in a named state; READY has three: nothing asked, asked, confirmed."""
    lock = Interlock(Mode.SIMULATED)
    if state == "safe":
        return lock
    lock.preflight_ok()
    if state == "tripped":
        lock.fault(Fault.BUG, 0.0)
    if state in ("ready", "tripped"):
        return lock
    lock.arm_requested(0.0)
    if state == "asked":
        return lock
    lock.arm_confirmed(0.0)
    if state == "confirmed":
        return lock
    lock.unit_ready(0.0)
    if state == "paused":
        lock.hold("pause")
    if state == "held":
        lock.fault(Fault.STREAM_STALE, 0.0)
    return lock


STATES = {"safe": S, "ready": R, "asked": R, "confirmed": R, "armed": A, "paused": H, "held": H, "tripped": T}
EVENTS: dict[str, Callable[[Interlock], Step]] = {
    "preflight_ok": lambda k: k.preflight_ok(),
    "arm_requested": lambda k: k.arm_requested(1.0),
    "arm_confirmed": lambda k: k.arm_confirmed(1.0),
    "unit_ready": lambda k: k.unit_ready(1.0),
    "hold": lambda k: k.hold("x"),
    "resume": lambda k: k.resume(),
    "disarmed": lambda k: k.disarmed("x"),
    "cleared": lambda k: k.cleared(Fault.STREAM_STALE, 1.0),
}
#: lamp after each event, from each state, in the order of STATES; a star: accepted
TABLE = {
    #                safe ready asked confirmed armed paused held tripped
    "preflight_ok": "R*   R*    R*    R*        A*    H*     H*   T",
    "arm_requested": "S   R*    R*    R*        A     H      H    T",
    "arm_confirmed": "S   R     R*    R         A     H      H    T",
    "unit_ready": "S      R     R     A*        A     H      H    T",
    "hold": "S            R     R     R         H*    H*     H*   T",
    "resume": "S          R     R     R         A     A*     H    T",
    "disarmed": "S*       R*    R*    R*        R*    R*     S*   T*",
    "cleared": "S         R     R     R         A     H      A*   T",
}  # fmt: skip
LETTER = {"S": S, "R": R, "A": A, "H": H, "T": T}


@pytest.mark.req("R-INTERLOCK")
@pytest.mark.parametrize(("event", "state"), list(itertools.product(EVENTS, STATES)))
def test_every_state_and_event(event: str, state: str) -> None:
    wanted = TABLE[event].split()[list(STATES).index(state)]
    lock = make(state)
    assert lock.lamp is STATES[state]
    step = EVENTS[event](lock)
    assert (step.lamp_before, step.lamp_after) == (STATES[state], LETTER[wanted[0]])
    assert step.accepted is wanted.endswith("*")
    assert step.lamp_after is lock.lamp
    assert step.words


def test_the_fault_table_is_the_agreed_one() -> None:
    assert set(FAULTS) == set(Fault)
    assert {f for f, row in FAULTS.items() if row.action is Action.HOLD} == HOLDS
    assert {f for f, row in FAULTS.items() if row.action is Action.TRIP} == TRIPS
    assert {f for f, row in FAULTS.items() if row.action is Action.DISARM} == DISARMS
    for row in FAULTS.values():
        assert row.clears == {"hold": "itself", "disarm": "re-arm", "trip": "new run"}[row.action]
        assert row.words
        assert row.todo


@pytest.mark.req("R-FAULT-TABLE")
@pytest.mark.parametrize(("fault", "state"), list(itertools.product(Fault, STATES)))
def test_every_state_and_fault(fault: Fault, state: str) -> None:
    lock = make(state)
    step = lock.fault(fault, 1.0, "detail")
    assert "detail" in step.words
    if STATES[state] is T or fault in TRIPS:
        wanted = T
    elif fault in HOLDS and STATES[state] in (A, H):
        wanted = H
    else:
        wanted = S
    assert lock.lamp is step.lamp_after is wanted
    assert step.disarm is (fault not in HOLDS)
    lock.cleared(fault, 2.0)
    if wanted is T:
        assert lock.lamp is T
    elif fault in DISARMS:
        lock.cleared(Fault.STREAM_STALE, 2.0)
        assert lock.lamp is (S if state == "safe" else R)
        lock.unit_ready(2.0)  # no step of before is worth anything now
        assert lock.arm_confirmed(2.0).accepted is False
        assert lock.lamp not in (A, H)


@pytest.mark.req("R-TRIPPED")
@pytest.mark.parametrize("length", [2, 3])
def test_tripped_absorbs_every_sequence(length: int) -> None:
    for events in itertools.product(EVENTS.values(), repeat=length):
        lock = make("tripped")
        for event in events:
            event(lock)
            assert lock.lamp is T


@pytest.mark.req("R-TWO-STEPS")
def test_no_sequence_reaches_armed_but_the_two_steps_in_order() -> None:
    names = list(EVENTS)
    for events in itertools.product(names, repeat=4):
        lock = make("ready")
        progress = 0  # 1 asked, 2 confirmed, 3 unit ready, by hand
        for event in events:
            EVENTS[event](lock)
            if progress < 3:
                if event == "arm_requested":
                    progress = 1
                elif event == "arm_confirmed":
                    progress = 2 if progress == 1 else progress
                elif event == "unit_ready":
                    progress = 3 if progress == 2 else progress
                elif event == "disarmed":
                    progress = 0
            elif event == "disarmed":
                progress = 0
            if lock.lamp in (A, H):
                assert progress == 3, events


@pytest.mark.req("R-TWO-STEPS")
@pytest.mark.parametrize(("asked", "confirmed", "ok"), [
    (5.0, 5.0, True), (5.0, 15.0, True), (5.0, 15.001, False), (5.0, 4.9, False), (5.0, math.nan, False),
    (math.nan, 5.0, False), (5.0, math.inf, False),
])  # fmt: skip
def test_the_window_of_the_second_step(asked: float, confirmed: float, ok: bool) -> None:
    lock = make("ready")
    lock.arm_requested(asked)
    assert lock.arm_confirmed(confirmed).accepted is ok
    assert lock.confirmed is ok


@pytest.mark.req("R-TWO-STEPS")
@pytest.mark.parametrize("ready_s", [10.1, -0.1, math.nan])
def test_a_unit_ready_too_late_is_disarmed(ready_s: float) -> None:
    lock = make("confirmed")
    step = lock.unit_ready(ready_s)
    assert step.disarm
    assert lock.lamp is R


@pytest.mark.req("R-BELIEF")
@pytest.mark.parametrize("state", [s for s in STATES if s != "confirmed"])
def test_a_unit_that_says_ready_unasked_must_be_disarmed(state: str) -> None:
    assert make(state).unit_ready(0.5).disarm is True


@pytest.mark.req("R-MODE")
def test_human_needs_commissioning_and_listen_never_arms() -> None:
    for mode, commissioned, ok in (
        (Mode.HUMAN, False, False),
        (Mode.HUMAN, True, True),
        (Mode.LISTEN, True, False),
    ):
        lock = Interlock(mode, commissioned=commissioned)
        lock.preflight_ok()
        step = lock.arm_requested(0.0)
        assert step.accepted is ok
        assert ok or "commission" in step.words or "LISTEN" in step.words


def test_refusals_to_arm_name_the_fault() -> None:
    lock = make("ready")
    lock.fault(Fault.UNIT_HOT, 0.0, "39.5 °C")
    assert "39.5 °C" in lock.arm_requested(1.0).words


def test_two_holds_need_both_to_clear() -> None:
    lock = make("held")
    lock.hold("pause")
    lock.cleared(Fault.STREAM_STALE, 1.0)
    assert lock.lamp is H
    lock.resume()
    assert lock.lamp is A


#: everything that can be said to an interlock: 7 events, and each fault coming and going
WHATS: list[str | tuple[str, Fault]] = [
    *[e for e in EVENTS if e != "cleared"],
    *[(kind, fault) for fault in Fault for kind in ("fault", "cleared")],
]
WAY: dict[str, list[str | tuple[str, Fault]]] = {  # how each state is reached
    "safe": [], "ready": ["preflight_ok"], "tripped": ["preflight_ok", ("fault", Fault.BUG)],
    "asked": ["preflight_ok", "arm_requested"], "confirmed": ["preflight_ok", "arm_requested", "arm_confirmed"],
    "armed": ["preflight_ok", "arm_requested", "arm_confirmed", "unit_ready"],
    "paused": ["preflight_ok", "arm_requested", "arm_confirmed", "unit_ready", "hold"],
    "held": ["preflight_ok", "arm_requested", "arm_confirmed", "unit_ready", ("fault", Fault.STREAM_STALE)],
}  # fmt: skip


def say(lock: Interlock, what: str | tuple[str, Fault], t_s: float) -> Step:
    if isinstance(what, tuple):
        return lock.fault(what[1], t_s) if what[0] == "fault" else lock.cleared(what[1], t_s)
    if what in ("hold", "disarmed"):
        return lock.hold("x") if what == "hold" else lock.disarmed("x")
    if what in ("preflight_ok", "resume"):
        return lock.preflight_ok() if what == "preflight_ok" else lock.resume()
    timed = {
        "arm_requested": lock.arm_requested,
        "arm_confirmed": lock.arm_confirmed,
        "unit_ready": lock.unit_ready,
    }
    return timed[what](t_s)


def compare(said: list[tuple[str | tuple[str, Fault], float]]) -> None:
    """The shipped interlock and the plain one, step by step."""
    lock, plain = Interlock(Mode.SIMULATED), PlainInterlock()
    for what, t_s in said:
        step = say(lock, what, t_s)
        wanted = plain.step(what, t_s)
        assert (step.lamp_after, step.accepted, step.disarm) == wanted, (said, what)
        assert step.lamp_after is lock.lamp
        assert lock.confirmed is (plain.lamp is Lamp.READY and plain.confirmed_s is not None), (said, what)
        assert set(lock.active) == plain.active


@pytest.mark.req("R-INTERLOCK")
@pytest.mark.parametrize("state", list(STATES))
def test_every_state_then_every_two_things_said(state: str) -> None:
    """State x event x fault in either order, with every fault: nothing is left out of the table."""
    assert {w[1] for w in WHATS if isinstance(w, tuple)} == set(Fault)
    for pair in itertools.product(WHATS, repeat=2):
        compare([(w, 0.0) for w in WAY[state]] + [(w, 1.0) for w in pair])


@pytest.mark.req("R-INTERLOCK")
@pytest.mark.parametrize("state", list(STATES))
def test_every_state_then_every_three_things_with_one_fault_of_each_kind(state: str) -> None:
    few = [w for w in WHATS if isinstance(w, str) or w[1] in (Fault.STREAM_BAD, Fault.UNIT_HOT, Fault.STOP)]
    for three in itertools.product(few, repeat=3):
        compare([(w, 0.0) for w in WAY[state]] + [(w, 1.0) for w in three])


@pytest.mark.req("R-TWO-STEPS")
@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_in_either_window_of_arming(fault: Fault) -> None:
    """Nothing, the fault, the fault and its end, or a disarm between the steps; each step in time, at its limit, late."""
    came: list[str | tuple[str, Fault]] = [("fault", fault)]
    over = [*came, ("cleared", fault)]
    armed = 0
    for first, second in itertools.product([[], came, over, ["disarmed"]], repeat=2):
        for dt1_s, dt2_s in itertools.product([0.0, 10.0, 10.001], repeat=2):
            steps = [("preflight_ok", 0.0), ("arm_requested", 0.0), *[(w, dt1_s) for w in first]]
            steps += [
                ("arm_confirmed", dt1_s),
                *[(w, dt1_s + dt2_s) for w in second],
                ("unit_ready", dt1_s + dt2_s),
            ]
            compare(steps)
            lock = Interlock(Mode.SIMULATED)
            for what, t_s in steps:
                say(lock, what, t_s)
            harmless = [[], over] if fault in HOLDS else [[]]
            in_time = dt1_s <= 10.0 and dt2_s <= 10.0
            assert (lock.lamp is A) is (first in harmless and second in harmless and in_time)
            armed += lock.lamp is A
    assert armed == (16 if fault in HOLDS else 4)
