"""What mutation testing found unproved in the driver's own check of a permit."""

from __future__ import annotations

import math
from typing import Any

import pytest

from drivers.permits import LONGEST_S, PermitCheck
from rtloop.ports import Permit

KEY, NOW_S = b"k" * 32, 100.0


def permit(key: bytes = KEY, **changes: Any) -> Permit:
    fields: dict[str, Any] = {
        "permit_id": 1, "run_id": "r", "pulse_id": 1, "power_pct_mso": 50, "expires_s": NOW_S + 0.5,
    }  # fmt: skip
    fields |= changes
    return Permit(**fields, seal=Permit.seal_for(key, **fields))


def check() -> PermitCheck:
    return PermitCheck(run_id="r", key=KEY)


@pytest.mark.req("R-PERMIT")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (permit(), ""),
        (permit(expires_s=math.nextafter(NOW_S, math.inf)), ""),
        (permit(expires_s=NOW_S + 60.0), ""),
        (permit(permit_id=0), ""),
        (None, "no permit"), ("permit", "no permit"), (1, "no permit"),
        (permit(run_id="other"), "of run"),
        (permit(b"x" * 32), "not genuine"),
        (permit(expires_s=NOW_S), "missed"),
        (permit(expires_s=NOW_S - 0.25), "missed: the permit expired 250.0 ms ago"),
        (permit(expires_s=NOW_S + 60.5), "within 60 s"),
        (permit(expires_s=math.inf), "within 60 s"),
        (permit(expires_s=-math.inf), "within 60 s"),
        (permit(expires_s=math.nan), "within 60 s"),
    ],
)  # fmt: skip
def test_why_a_permit_gives_no_leave(given: Any, said: str) -> None:
    words = check().refusal(given, now_s=NOW_S)
    assert isinstance(words, str)
    assert said in words
    assert bool(words) == bool(said)
    assert LONGEST_S == 60.0


def test_a_clock_that_is_no_number_gives_no_leave() -> None:
    assert check().refusal(permit(), now_s=math.nan)


@pytest.mark.req("R-PERMIT")
def test_a_spent_permit_and_all_before_it_give_no_leave() -> None:
    mine = check()
    mine.spend(permit(permit_id=5))
    for permit_id, leave in ((4, False), (5, False), (6, True), (-5, False)):
        assert (mine.refusal(permit(permit_id=permit_id), now_s=NOW_S) == "") is leave, permit_id
    zero = check()
    zero.spend(permit(permit_id=0))
    assert zero.refusal(permit(permit_id=0), now_s=NOW_S)
    assert not zero.refusal(permit(permit_id=1), now_s=NOW_S)
