"""Owns the promises of the simulated unit that hold for every stream of bytes and every order of commands."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from simunit_tools import packet

from hardware_sim.magstim import Unit200

BODIES = [b"Q@", b"R@", b"EA", b"EB", b"EH", b"EH", b"J@", b"F@", b"@000", b"@045", b"@060", b"@100", b"@777"]
STEPS = st.tuples(st.sampled_from(BODIES), st.sampled_from([0.0, 0.002, 0.02, 0.3, 0.7, 0.95, 1.5, 2.5]))
PIECES = st.one_of(
    st.binary(max_size=20), st.lists(st.sampled_from(BODIES).map(packet), max_size=6).map(b"".join)
)
REPLY_BYTES = {b"Q": 3, b"R": 3, b"E": 3, b"@": 3, b"J": 12, b"F": 9}


def min_gap_s(power: int) -> int:
    return 2 if power < 50 else 3 if power < 80 else 4


class Witness:
    """Follows a unit's bytes from outside, and knows only what they say."""

    def __init__(self) -> None:
        self.unit = Unit200()
        self.now_s = 50.0
        self.unit.tick(self.now_s)

    def say(self, body: bytes, wait_s: float) -> None:
        self.unit.tick(self.now_s)
        before, pulses = self.unit.state(), len(self.unit.discharges)
        replies = self.unit.receive(packet(body), self.now_s)
        assert len(replies) == 1
        reply = replies[0][1]
        assert reply == packet(reply[:-1])
        assert len(reply) == (3 if reply[1:2] in (b"S", b"?") else REPLY_BYTES[body[:1]])
        assert reply[:1] == body[:1]
        if len(self.unit.discharges) > pulses:
            assert body == b"EH"
            # the command takes 3 ms to arrive: what ripens or lapses within it is not held against the unit
            assert before.remote
            assert before.armed
            assert reply[1] == 0x8C
        self.now_s += wait_s + 0.02


@settings(max_examples=120, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_any_order_of_commands(steps: list[tuple[bytes, float]]) -> None:
    witness = Witness()
    for body, wait_s in steps:
        witness.say(body, wait_s)
    check_pulses(witness.unit)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.05, 0.5, 0.9, 1.9, 2.01])), max_size=40))
def test_a_host_that_keeps_the_unit_alive_and_fires_when_it_likes(steps: list[tuple[bool, float]]) -> None:
    witness = Witness()
    for body in (b"Q@", b"@060", b"EB"):
        witness.say(body, 0.0)
    for fire, wait_s in steps:
        witness.say(b"EH" if fire else b"EB", 0.0)
        for _ in range(int(wait_s / 0.45)):
            witness.say(b"Q@", 0.43)
        witness.now_s += wait_s % 0.45
    check_pulses(witness.unit)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(PIECES, st.floats(-0.1, 1.1)), max_size=30), st.booleans())
def test_any_stream_of_bytes(pieces: list[tuple[bytes, float]], armed: bool) -> None:
    unit = Unit200(arming_s=0.01)
    now_s = 10.0
    unit.tick(now_s)
    if armed:
        unit.receive(packet(b"Q@") + packet(b"EB"), now_s)
        now_s += 0.5
    for data, wait_s in pieces:
        replies = unit.receive(data, now_s)
        ends_s = [t_s for t_s, _ in replies]
        assert ends_s == sorted(ends_s)
        for (t_s, reply), next_s in zip(replies, [*ends_s, float("inf")][1:], strict=True):
            assert t_s >= now_s + (1 + len(reply)) * 10 / 9600
            assert next_s > t_s
        now_s += wait_s
    check_pulses(unit, arming_s=0.01)


def check_pulses(unit: Unit200, arming_s: float = 1.0) -> None:
    """Judge the pulses by the packets that arrived: a second account of control, arming and gaps."""
    for first, second in pairwise(unit.discharges):
        gap_s = max(min_gap_s(first.power_pct_mso), min_gap_s(second.power_pct_mso))
        assert second.t_s - first.t_s >= gap_s - 1e-5
    for pulse in unit.discharges:
        (fire_s,) = (t_s for t_s, body in unit.packets if abs(pulse.t_s - 0.0084 - t_s) < 1e-6)
        past = [(t_s, body[:-1]) for t_s, body in unit.packets if t_s <= fire_s]
        assert past[-1][1] == b"EH"
        names = [body for _, body in past]
        assert b"Q@" in names
        assert b"R@" not in names[len(names) - names[::-1].index(b"Q@") :]
        off = max((i for i, body in enumerate(names) if body in (b"EA", b"R@")), default=-1)
        armings = [i for i, body in enumerate(names) if i > off and body == b"EB"]
        unbroken = [i for i in armings if all(b[0] - a[0] < 1.0 for a, b in pairwise(past[i:]))]
        assert any(fire_s - past[i][0] >= arming_s - 1e-5 for i in unbroken), past
