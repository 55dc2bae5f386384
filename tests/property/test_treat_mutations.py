"""However a treatment plan or a course is spoiled, it loads or it is refused in words; what loads can be rehearsed."""

from __future__ import annotations

import tomllib
from datetime import date, time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from treat_tools import COURSE, GOOD, RAPID, threshold

from rtloop.plan import course_load, treat_load
from rtloop.plan.problems import FileProblem
from rtloop.plan.treat_rehearse import rehearse_treatment
from rtloop.safety.limits import load_limits

LIMITS = load_limits()
_VALUES = st.one_of(
    st.integers(), st.just(10**400), st.integers(0, 200), st.floats(), st.booleans(), st.text(max_size=12), st.dates(),
    st.sampled_from(["C3", "treat", "course", "rapid", "200", "EMG", "derived", "", "\x00", "\ud800", 1e-300, 0.1, 6000, 1000]),
    st.just(time(1, 2)), st.lists(st.floats(), max_size=2), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)  # fmt: skip
_FEW = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def _places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = [place for key, one in items for place in _places(one, (*before, key))]
    return [before, *inner] if before else inner


def _mutant(text: str, data: st.DataObject) -> dict[str, Any]:
    raw = tomllib.loads(text)
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(_places(raw)))
        inner: Any = raw
        for key in way:
            inner = inner[key]
        what = data.draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if what == "replace":
            inner[last] = data.draw(_VALUES)
        elif what == "remove" and len(_places(raw)) > 1:
            del inner[last]
        elif isinstance(inner, dict):
            inner[data.draw(st.text(min_size=1, max_size=8))] = data.draw(_VALUES)
    return raw


def _in_words(refused: FileProblem) -> None:
    assert refused.problems
    assert all((p.where and p.what and p.expected and p.found and p.todo) for p in refused.problems), (
        refused.problems
    )


@_FEW
@given(st.data())
def test_any_value_anywhere_in_a_treatment(data: st.DataObject) -> None:
    try:
        plan = treat_load._build(_mutant(GOOD, data), b"", "mutant")
    except FileProblem as refused:
        return _in_words(refused)
    for own in (None, threshold(100)):
        told = rehearse_treatment(
            plan, plan.targets[0].name, unit=RAPID, limits=LIMITS, today=date(2026, 11, 23), threshold=own
        )
        assert told.pulses == plan.pulses
        assert told.may_arm is (own is not None and not told.breaches)
    return None


@_FEW
@given(st.data())
def test_any_value_anywhere_in_a_course(data: st.DataObject) -> None:
    try:
        course = course_load._build(_mutant(COURSE, data), b"", "mutant")
    except FileProblem as refused:
        return _in_words(refused)
    value = course.value()
    days = [v.day for v in value.visits]
    assert days[0] == 0
    assert all(b - a >= v.min_gap_days for a, b, v in zip(days, days[1:], value.visits[1:], strict=False))
    return None
