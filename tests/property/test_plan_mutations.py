"""However a plan is spoiled, it loads or it is refused in words; nothing else comes out."""

from __future__ import annotations

import tomllib
from datetime import date, time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_tools import GOOD

from rtloop.errors import ValidationProblem
from rtloop.plan.expand import expand
from rtloop.plan.load import _build, parse_plan
from rtloop.plan.problems import FileProblem
from rtloop.plan.rehearse import rehearse

_SCALARS = st.one_of(
    st.integers(), st.just(10**400), st.integers(0, 200), st.floats(), st.booleans(), st.text(max_size=12),
    st.sampled_from(["C3", "M1", "map", "probe", "watch", "low", "random", "200", "", "\x00", "\ud800"]),
    st.dates(), st.datetimes(), st.just(time(1, 2)),
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=2)
    ),
    max_leaves=4,
)
_FEW = settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def _places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    out = [before] if before else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        out += _places(inner, (*before, key))
    return out


def _judge(raw: dict[str, Any]) -> None:
    told: FileProblem | None = None
    try:
        plan = _build(raw, b"", "mutant")
    except FileProblem as refused:
        told = refused
    if told is not None:
        assert told.problems
        assert all((p.where and p.what and p.expected and p.found and p.todo) for p in told.problems)
        return
    rehearsal = rehearse(plan, today=date(2026, 11, 22))  # what loads can be rehearsed
    assert rehearsal.pulses[0] <= rehearsal.pulses[1]
    assert rehearsal.duration_s[0] <= rehearsal.duration_s[1]
    if not any(b.rule == "threshold_known" for b in rehearsal.breaches):
        expand(plan)


@_FEW
@given(st.data())
def test_any_value_anywhere(data: st.DataObject) -> None:
    raw = tomllib.loads(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(_places(raw)))
        inner = raw
        for key in place[:-1]:
            inner = inner[key]
        what = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if what == "replace":
            inner[place[-1]] = data.draw(_VALUES)
        elif what == "remove":
            del inner[place[-1]]
        elif isinstance(inner, dict):
            inner[data.draw(st.text(min_size=1, max_size=8))] = data.draw(_VALUES)
        if not _places(raw):
            break
    _judge(raw)


@_FEW
@given(st.data())
def test_any_text(data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(GOOD)))
    last = data.draw(st.integers(first, min(first + 30, len(GOOD))))
    text = GOOD[:first] + data.draw(st.text(max_size=10)) + GOOD[last:]
    told: ValidationProblem | None = None
    try:
        parse_plan(text)
    except ValidationProblem as refused:
        told = refused
    assert told is None or (told.what and told.found)
