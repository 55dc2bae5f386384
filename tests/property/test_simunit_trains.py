"""Owns the promises of simulated Rapid² and BiStim² units for every order of commands, edges, stops and faults."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from simunit_tools import packet

from hardware_sim.faults import Fault, FaultKind
from hardware_sim.magstim import UNLOCK_CODE, UnitBistim, UnitRapid

TAKE = b"Q" + UNLOCK_CODE.encode()
BODIES = [
    TAKE, b"R@", b"EA", b"EB", b"EB", b"EH", b"EH", b"EH", b"\\@", b"x@", b"F@", b"@030", b"@060", b"@105", b"ND",
    b"[0010", b"[0010", b"[0020", b"[0000", b"B0010", b"B0100", b"B0300", b"D00003", b"D00020", b"^@", b"_@",
    b"I@", b"o@", b"n0500", b"D6000", b"B9999",
]  # fmt: skip
LENGTHS = {
    b"\\": 24,
    b"x": 6,
    b"F": 9,
    b"N": 9,
    b"I": 6,
    b"o": 7,
    b"B": 4,
    b"D": 4,
    b"[": 4,
    b"^": 4,
    b"_": 4,
    b"n": 4,
}
FAULTS = [
    Fault(kind=FaultKind.TRAIN_OBEYS_EA, end_s=2.0), Fault(kind=FaultKind.TRAIN_IGNORES_EA, end_s=2.0),
    Fault(kind=FaultKind.STANDBY_UNEXPECTEDLY), Fault(kind=FaultKind.COIL_ABSENT, end_s=0.5),
    Fault(kind=FaultKind.FIRE_WITHOUT_DISCHARGE, times=1), Fault(kind=FaultKind.TRAIN_MODE),
    Fault(kind=FaultKind.TRIGGER_EDGE), Fault(kind=FaultKind.TWO_OWNERS, data=packet(b"EH")),
    Fault(kind=FaultKind.TWO_OWNERS), Fault(kind=FaultKind.PORT_BACK, end_s=0.4),
]  # fmt: skip
DEEDS = st.one_of(st.sampled_from(BODIES), st.sampled_from(["edge", "stop"]), st.sampled_from(FAULTS))
STEPS = st.lists(st.tuples(DEEDS, st.sampled_from([0.0, 0.01, 0.1, 0.4, 0.9, 1.3])), max_size=50)
SHOTS = st.lists(
    st.tuples(
        st.sampled_from([b"EH", b"EH", b"EH", b"EB", b"EA", "edge", b"[0010", b"D00003"]),
        st.sampled_from([0.1, 0.7, 1.6, 2.5]),
    ),
    max_size=30,
)


def led_in(unit: Any, bodies: list[bytes]) -> float:
    """Say some packets and wait until the unit has armed; the instant after."""
    now_s = 70.0
    unit.tick(now_s)
    for body in bodies:
        unit.receive(packet(body), now_s)
        now_s += 0.05
    return now_s + 0.3


def play(
    unit: Any, now_s: float, steps: list[tuple[Any, float]], lengths: dict[bytes, int], alive: bytes = b""
) -> None:
    """Do the steps, saying ``alive`` every 0.4 s between them; check every reply's shape."""
    for deed, wait_s in steps:
        if deed == "edge":
            unit.trigger_edge(now_s)
        elif deed == "stop":
            unit.stop_input(now_s)
        elif isinstance(deed, Fault):
            unit.inject(deed, now_s)
        else:
            unit.tick(now_s)
            gone = unit.unplugged(now_s) or unit.unplugged(now_s + 0.03)
            for _, reply in [] if gone else unit.receive(packet(deed), now_s)[-1:]:
                if reply != b"?":
                    assert reply == packet(reply[:-1]), (deed, reply)
                    known = 3 if reply[1:2] in (b"S", b"?") else lengths.get(reply[:1], 3)
                    assert len(reply) == known, (deed, reply)
        now_s += 0.03
        for _ in range(int(wait_s / 0.4) if alive else 0):
            unit.receive(packet(alive), now_s)
            now_s, wait_s = now_s + 0.4, wait_s - 0.4
        now_s += wait_s
    unit.tick(now_s + 90.0)


@settings(max_examples=150, deadline=None)
@given(st.one_of(STEPS, SHOTS), st.booleans(), st.booleans(), st.sampled_from([b"", b"x@"]))
def test_rapid(steps: list[tuple[Any, float]], obeys: bool, train_first: bool, alive: bytes) -> None:
    told: list[tuple[float, int]] = []
    unit = UnitRapid(
        obeys_ea_in_train=obeys, arming_s=0.05, on_discharge=lambda t_s, p: told.append((t_s, p))
    )
    train = [b"[0010", b"B0100"] if train_first else []
    play(unit, led_in(unit, [TAKE, b"@030", *train, b"EB"]), steps, LENGTHS, alive)
    assert told == [(d.t_s, d.power_pct_mso) for d in unit.discharges]
    assert not unit.train_running
    assert not unit.state().armed
    in_trains: set[float] = set()
    for one in unit.trains:
        of_it = [d for d in unit.discharges if one.first_s - 1e-9 <= d.t_s <= one.end_s + 1e-9]
        assert 1 <= len(of_it) == one.given <= one.asked
        assert all(abs(b.t_s - a.t_s - 1 / one.frequency_hz) < 1e-6 for a, b in pairwise(of_it))
        assert (one.given == one.asked) or one.why
        assert one.end_s >= of_it[-1].t_s
        in_trains |= {d.t_s for d in of_it}
    for one, following in pairwise(unit.trains):
        assert following.first_s >= one.end_s + 0.5 - 1e-5
    for a, b in pairwise(unit.discharges):
        if a.t_s in in_trains and b.t_s in in_trains:
            continue
        gap_s = 0.5 if b.t_s in in_trains or a.t_s in in_trains else 1.0
        assert b.t_s - a.t_s >= gap_s - 1e-5
    cut = [one for one in unit.trains if one.why == "disarmed"]
    assert obeys or not cut or any(getattr(d, "kind", "") == FaultKind.TRAIN_OBEYS_EA for d, _ in steps)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(BODIES[15:30]), max_size=25))
def test_the_settings_of_a_train_always_fit_together(bodies: list[bytes]) -> None:
    unit = UnitRapid()
    now_s = led_in(unit, [TAKE])
    for body in bodies:
        unit.receive(packet(body), now_s)
        now_s += 0.08  # a packet of another version's length is forgotten by then
        reply = unit.receive(packet(b"\\@"), now_s)[-1][1]
        now_s += 0.05
        tenths_hz, pulses, tenths_s = int(reply[6:10]), int(reply[10:15]), int(reply[15:19])
        single = bool(reply[2] & 8)
        assert single == (tenths_s == 0)
        if single:
            assert pulses == 1
        elif tenths_hz:
            assert pulses >= 1
            # to the nearest: half a pulse from duration x frequency, or half a tenth from pulses / frequency
            off = abs(pulses - tenths_s * tenths_hz / 100)
            assert off <= 0.5 or off <= 0.05 * tenths_hz / 10 + 1e-9 or pulses == 1 or tenths_s == 1
            assert tenths_hz <= 10 * unit.ceiling_hz(unit.setpoint_pct_mso)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0.0037, 0.0137, 0.2]), st.booleans(), st.sampled_from([0.3, 0.77, 1.5, 3.3]))
def test_a_train_is_the_same_however_often_the_unit_is_looked_at(
    step_s: float, obeys: bool, at_s: float
) -> None:
    ends = []
    for every_s in (step_s, 50.0):
        unit = UnitRapid(obeys_ea_in_train=obeys, arming_s=0.05)
        now_s = led_in(unit, [TAKE, b"@010", b"[0030", b"B0100", b"EB"])
        unit.receive(packet(b"EH"), now_s)
        for until_s in (now_s + at_s, now_s + 6.0):
            t_s = unit.state().t_s
            while t_s < until_s:
                t_s = min(until_s, t_s + every_s)
                unit.tick(t_s)
            unit.receive(packet(b"EA"), until_s)
        ends.append((unit.discharges, unit.trains, unit.history))
    assert ends[0] == ends[1]
    assert 1 <= len(ends[0][0]) <= 30


PAIR_BODIES = [b"Q@", b"R@", b"EA", b"EB", b"EH", b"EH", b"EH", b"J@", b"@040", b"A030", b"A000", b"C000", b"C005", b"C400",
               b"Y@", b"Z@", b"F@", b"A999"]  # fmt: skip
PAIR_STEPS = st.lists(
    st.tuples(st.one_of(st.sampled_from(PAIR_BODIES), st.sampled_from(["edge", "stop"])), st.sampled_from([0.0, 0.2, 0.9, 2.5])),
    max_size=50,
)  # fmt: skip
PAIR_SHOTS = st.lists(
    st.tuples(st.sampled_from([b"EH", b"EH", b"EB", "edge", b"A000", b"A030", b"C400"]), st.sampled_from([0.2, 2.5, 4.1])),
    max_size=25,
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.one_of(PAIR_STEPS, PAIR_SHOTS), st.sampled_from([b"", b"Q@"]))
def test_bistim(steps: list[tuple[Any, float]], alive: bytes) -> None:
    unit = UnitBistim(arming_s=0.05, power_pct_mso=50, power_b_pct_mso=30)
    play(unit, led_in(unit, [b"Q@", b"@050", b"A030", b"EB"]), steps, {b"J": 12, b"F": 9}, alive)
    firsts = [d for d in unit.discharges if d.part == "A"]
    seconds = [d for d in unit.discharges if d.part == "B"]
    assert len(seconds) <= len(firsts)
    for b in seconds:
        a = max((d for d in firsts if d.t_s <= b.t_s), key=lambda d: d.t_s)
        assert 0.0 <= b.t_s - a.t_s <= 0.9991
    assert all(b.t_s - a.t_s >= 2.0 - 1e-5 for a, b in pairwise(firsts))
