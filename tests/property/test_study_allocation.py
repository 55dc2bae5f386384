"""Allocation: blocks that are balanced, made again from their seed, by a twin; each place given once; lists of others checked."""

from __future__ import annotations

from collections import Counter

import naive_study
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtloop.errors import ValidationProblem
from rtloop.model.course import Arm
from rtloop.study.allocation import imported, next_place, permuted_blocks
from rtloop.study.records import Allocated

SEEDS = st.text("abcdef0123456789", min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SEEDS, st.integers(1, 60))
def test_every_block_holds_each_arm_equally_often(seed: str, per_stratum: int) -> None:
    strata = ("north", "south")
    made = permuted_blocks(per_stratum, seed=seed, strata=strata)
    assert made == permuted_blocks(per_stratum, seed=seed, strata=strata)
    for stratum in strata:
        arms = [arm for s, arm, _ in made.entries if s == stratum]
        assert per_stratum <= len(arms) < per_stratum + 9
        draws = iter(naive_study.numbers(seed, stratum, 500))
        while arms:  # no number is drawn again: 2^64 is hardly ever in the incomplete last round
            size = (6, 9)[next(draws) % 2]
            block, arms = arms[:size], arms[size:]
            assert set(Counter(block).values()) == {size // 3}
            twin = [str(a) for a in Arm] * (size // 3)
            for i in range(size - 1, 0, -1):
                j = next(draws) % (i + 1)
                twin[i], twin[j] = twin[j], twin[i]
            assert block == twin


def test_both_sizes_and_every_order_occur() -> None:
    entries = permuted_blocks(6000, seed="x").entries
    arms = "".join(a[0] for _, a, _ in entries)
    firsts = Counter(arms[i : i + 3] for i in range(0, 5997, 3))
    assert (
        len(firsts) == 27
    )  # any three in a row, three alike as well: nobody can tell the third from the two before


@settings(max_examples=30, deadline=None, derandomize=True)
@given(SEEDS, st.lists(st.sampled_from(["n", "s"]), max_size=12))
def test_each_place_is_given_once_in_order(seed: str, came: list[str]) -> None:
    made = permuted_blocks(12, seed=seed, strata=("n", "s"))
    taken: list[Allocated] = []
    for i, stratum in enumerate(came):
        place = next_place(made, taken, participant=f"P{i:03d}", stratum=stratum)
        assert place is not None
        taken.append(place)
    assert len({a.position for a in taken}) == len(taken)
    for stratum in ("n", "s"):
        want = [arm for s, arm, _ in made.entries if s == stratum]
        got = [str(a.arm) for a in taken if a.stratum == stratum]
        assert got == want[: len(got)]


def test_a_full_list_gives_no_place() -> None:
    made = imported("arm\nlow\n")
    first = next_place(made, [], participant="P001", stratum="")
    assert first is not None
    assert next_place(made, [first], participant="P002", stratum="") is None


def test_a_list_that_names_participants_gives_each_its_own() -> None:
    made = imported("participant,arm\nP002,low\nP001, High \n")
    place = next_place(made, [], participant="P001", stratum="")
    assert place is not None
    assert (place.arm, place.position) == ("high", 2)
    assert next_place(made, [], participant="P003", stratum="") is None


def test_all_that_is_wrong_with_a_list_is_told_with_its_line() -> None:
    with pytest.raises(ValidationProblem) as wrong:
        imported("arm,stratum,participant\nlow,n,P001\nbest,n,P001\nlow,x,\nhigh,n,Jane\n", strata=("n",))
    assert wrong.value.found == (
        "line 3: arm 'best', expected low, high, classic; line 4: stratum 'x', expected n; line 5: participant 'Jane' is no code "
        "such as P017; participant P001 occurs twice; some lines name a participant and others do not"
    )
    with pytest.raises(ValidationProblem, match="no column stratum; unknown column 'name'"):
        imported("arm,name\nlow,x\n", strata=("n",))
    with pytest.raises(ValidationProblem, match="no line"):
        imported("arm\n")


@pytest.mark.parametrize(
    ("n", "seed", "blocks"), [(0, "x", (6,)), (3, "", (6,)), (3, "a|b", (6,)), (3, "x", (4,)), (3, "x", ())]
)
def test_blocks_that_cannot_be_are_refused(n: int, seed: str, blocks: tuple[int, ...]) -> None:
    with pytest.raises(ValidationProblem, match="the allocation is not valid"):
        permuted_blocks(n, seed=seed, blocks=blocks)
