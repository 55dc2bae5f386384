"""Whatever the world says to the engine: a pulse only when armed, at the right power, one at a time, never too soon."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rtloop.model.pulse import Outcome, Purpose
from rtloop.model.status import Lamp
from rtloop.plan.expand import GoNoGo, Place, Preview, Review, Run
from rtloop.session import engine as e

POWER = 45
STEPS = (
    Place(index=0, target="M1"),
    Preview(index=1, target="M1", power_pct_mso=40, power_pct_rmt=None, pulses=1),
    GoNoGo(index=2, target="M1", early_response_uv_min=6.0, rejected_share_max=0.3),
    Run(
        index=3, target="M1", power_pct_mso=POWER, power_pct_rmt=None, pulses_wanted=3, pulses_max=4,
        purpose=Purpose.MAPPING,
    ),
    Review(index=4, target="M1", rejected_share_max=0.3),
)  # fmt: skip

WORDS = ("placed", "go", "redo", "accept", "pause", "resume", "skip", "stop", "what")
MOVES = st.tuples(
    st.sampled_from([0.005, 0.05, 0.5, 2.5]),
    st.sampled_from([Lamp.ARMED, Lamp.ARMED, Lamp.READY, Lamp.HELD, Lamp.SAFE]),
    st.one_of(st.none(), st.sampled_from(WORDS), st.sampled_from(["placed", "go", "resume"])),
    st.sampled_from([40, POWER, POWER, None]),
    st.sampled_from(list(Outcome)),
    st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(moves=st.lists(MOVES, min_size=5, max_size=120), seed=st.integers(0, 10))
def test_orders_are_safe_whatever_happens(moves: list, seed: int) -> None:
    twins = [
        e.Engine(
            STEPS, places={}, isi_s=(2.05, 2.15), seed=seed, enough=lambda a, n, wanted, most: a >= wanted or n >= most
        )
        for _ in range(2)
    ]  # fmt: skip
    now_s, sent_s, inbox = 50.0, -1e9, []
    finished = False
    ids: list[int] = []
    for wait_s, lamp, word, power, outcome, accepted in moves:
        now_s += wait_s
        if word:
            inbox.append(e.Said(word=word))
        standing = e.Standing(lamp=lamp, power_pct_mso=power, outstanding=0)
        orders, again = (twin.advance(now_s, list(inbox), standing) for twin in twins)
        assert orders == again  # the same inputs, the same orders
        inbox = []
        assert not (finished and orders)
        for order in orders:
            if isinstance(order, e.Give):
                assert lamp is Lamp.ARMED
                assert power == order.pulse.power_pct_mso
                assert now_s - sent_s >= 2.05 - 1e-9
                assert order.pulse.due_s <= now_s <= order.pulse.deadline_s
                ids.append(order.pulse.pulse_id)
                if outcome in (Outcome.FIRED, Outcome.UNCERTAIN):
                    sent_s = now_s
                inbox.append(e.Closed(pulse=order.pulse, outcome=outcome))
                inbox.append(e.Judged(target="M1", block=order.block, accepted=accepted))
            elif isinstance(order, e.Finish):
                finished = True
        assert sum(isinstance(o, e.Give) for o in orders) <= 1
    assert ids == sorted(set(ids))


PREVIEWS = (
    Place(index=0, target="M1"),
    *(
        Preview(index=i, target="M1", power_pct_mso=p, power_pct_rmt=None, pulses=2)
        for i, p in ((1, 35), (2, 40), (3, 45))
    ),
    *STEPS[2:],
)
SAYING = st.tuples(
    st.sampled_from([0.05, 0.5, 2.5]),
    st.one_of(
        st.none(), st.none(), st.sampled_from(["placed", "go", "resume", "redo"]),
        st.sampled_from([35, 40, 45, 50]).map(lambda p: f"preview {p}"),
    ),
    st.integers(0, 1),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(moves=st.lists(SAYING, min_size=10, max_size=150), cap=st.integers(1, 12))
def test_previews_asked_for_stay_within_the_cap_and_the_planned_powers(moves: list, cap: int) -> None:
    """The gate refuses past its cap, whatever is asked for; each block is begun anew at each power; trials never mix."""
    engine = e.Engine(
        PREVIEWS,
        places={},
        isi_s=(2.05, 2.15),
        seed=1,
        enough=lambda a, n, wanted, most: a >= wanted or n >= most,
    )
    now_s, power, fired, inbox, waiting = 50.0, None, 0, [], 0
    in_block: set[int] = set()
    refused_in_a_row = 0
    for wait_s, word, outstanding in moves:
        now_s += wait_s
        if word:
            said, *args = word.split()
            inbox.append(e.Said(word=said, args=tuple(args)))
        waiting = outstanding and waiting
        standing = e.Standing(lamp=Lamp.ARMED, power_pct_mso=power, outstanding=waiting)
        taken, inbox = inbox, []
        for order in engine.advance(now_s, taken, standing):
            if isinstance(order, e.Power):
                assert order.power_pct_mso in (35, 40, 45)
                power = order.power_pct_mso
            elif isinstance(order, e.Restart):
                assert not (order.block == "preview" and waiting), (
                    "a trial on its way would fall into another average"
                )
                in_block.clear()
            elif isinstance(order, e.Give):
                assert refused_in_a_row < 3, "it goes on in vain without asking"
                in_block.add(order.pulse.power_pct_mso)
                assert len(in_block) == 1, "two powers in one average"
                outcome = Outcome.FIRED if fired < cap else Outcome.REFUSED
                fired += outcome is Outcome.FIRED
                refused_in_a_row = 0 if outcome is Outcome.FIRED else refused_in_a_row + 1
                waiting = 1 if outcome is Outcome.FIRED else waiting
                inbox.append(e.Closed(pulse=order.pulse, outcome=outcome))
                if outcome is Outcome.FIRED:
                    inbox.append(e.Judged(target="M1", block=order.block, accepted=True))
            elif isinstance(order, e.Ask) and order.phase == "paused":
                refused_in_a_row = 0
    assert fired <= cap
