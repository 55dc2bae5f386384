"""The gate of a treatment's trains, as rules over any sequence of readings: opens only as it should, once, and in time."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from treat_tools import GATE, GOOD, spoiled

from rtloop.errors import ValidationProblem
from rtloop.plan.treat_load import parse_treatment
from rtloop.plan.treat_schema import StateGate
from rtloop.treat.calibrating import FRESH_S, Calibrated, Calibration, Reading, quantile
from rtloop.treat.gating import By, Opening, TrainGate, holds, waits_expected_s

_FEW = settings(max_examples=150, deadline=None, derandomize=True)
VALUES = st.floats(0.0, 1.0)
#: a look: a value, an artifact, or no stream
LOOKS = st.lists(st.one_of(VALUES, VALUES, VALUES, st.just("muscle"), st.just("gone")), max_size=60)


def gate(*changes: tuple[str, str]) -> StateGate:
    found = parse_treatment(GOOD + spoiled(GATE, *changes)).gate
    assert found is not None
    return found


STATE, SKIP = gate(), gate(('"give"', '"skip"'))
ABOVE = gate(('"below"', '"above"'))
CONTROL = gate(('begin_by = "state"', 'begin_by = "control"'))
CHANCE = random.Random(3)
SERIES = tuple(CHANCE.random() for _ in range(240))
CALIBRATED = Calibrated(
    limit=0.5, low=0.4, high=0.6, windows=SERIES[::12], values=SERIES, spoiled={}, took_s=120.0
)


def reading(value: float | str, now_s: float, window_s: float = 4.0) -> Reading:
    if value == "gone":
        return Reading.nothing(now_s, "no samples came")
    number = value if isinstance(value, float) else None
    return Reading(
        first_s=now_s - window_s, last_s=now_s, value=number, reason="" if number is not None else str(value)
    )


def run(
    trains: TrainGate, looks: list[float | str], index: int = 0, begun_s: float = 100.0
) -> tuple[Opening | None, list[tuple[float, float | str]]]:
    """One wait on a clock of 10 ms: the opening, and (s, look) of each that was asked for."""
    trains.begin(index, begun_s)
    asked: list[tuple[float, float | str]] = []
    left = list(looks)
    for k in range(round((trains.gate.time_out_s + 5) / 0.01)):
        now_s = begun_s + 0.01 * k
        if trains.wants(now_s) and left:
            asked.append((now_s - begun_s, left.pop(0)))
            trains.take(reading(asked[-1][1], now_s), now_s)
        if (opening := trains.look(now_s)) is not None:
            assert trains.look(now_s) is None, "it opens once"
            assert not trains.waiting
            return opening, asked
    return None, asked


@_FEW
@given(LOOKS, st.sampled_from([STATE, SKIP, ABOVE]))
def test_the_state_opens_at_the_first_value_that_holds_and_never_else(
    looks: list[float | str], spec: StateGate
) -> None:
    opening, asked = run(TrainGate(spec, CALIBRATED, seed="a"), looks)
    assert opening is not None, "every wait has an end"
    first = next((k for k, v in enumerate(looks) if isinstance(v, float) and holds(spec, v, 0.5)), None)
    in_time = first is not None and first * spec.every_s < spec.time_out_s
    assert (opening.by is By.STATE) is in_time
    if in_time:
        assert first is not None
        assert opening.give
        assert opening.value == opening.judged == looks[first]
        assert opening.waited_s == pytest.approx(first * spec.every_s, abs=0.1)
        assert opening.looks == first + 1
    else:
        assert opening.waited_s == pytest.approx(spec.time_out_s, abs=0.011)
        assert opening.judged is None
        assert opening.give is (opening.by is By.TIME_OUT and spec.then == "give")
        last = asked[-1] if asked else (-math.inf, "gone")
        stood = last[1] == "gone" or opening.waited_s - last[0] > spec.every_s + FRESH_S
        assert (opening.by is By.NO_STREAM) is stood
    assert opening.spoiled == dict(
        Counter("no samples came" if v == "gone" else v for _, v in asked if isinstance(v, str))
    )
    assert [v for _, v, _ in opening.values] == [v if isinstance(v, float) else None for _, v in asked]


@_FEW
@given(LOOKS, st.integers(0, 80))
def test_the_control_is_not_told_the_state(looks: list[float | str], index: int) -> None:
    one, _ = run(TrainGate(CONTROL, CALIBRATED, seed="run"), looks, index)
    turned = [1.0 - v if isinstance(v, float) else v for v in looks]
    other, _ = run(TrainGate(CONTROL, CALIBRATED, seed="run"), turned, index)
    assert one is not None
    assert other is not None
    assert (one.by, one.give, one.waited_s, one.judged, one.words) == (
        other.by, other.give, other.waited_s, other.judged, other.words
    )  # fmt: skip
    assert one.by in (By.CONTROL, By.TIME_OUT, By.NO_STREAM)
    if one.by is By.CONTROL:
        assert one.value is not None, "it too begins at a moment without artifact"
        assert one.replayed_from is not None
        assert one.judged == SERIES[(one.replayed_from + one.valid - 1) % len(SERIES)]
        assert holds(CONTROL, one.judged, 0.5)


def test_the_control_waits_as_the_states_rule_would_on_the_calibration() -> None:
    expected = waits_expected_s(CONTROL, CALIBRATED)
    found = []
    for index in range(1500):
        opening, _ = run(TrainGate(CONTROL, CALIBRATED, seed=f"s{index}"), [0.9] * 60, index)
        assert opening is not None
        found.append(opening.waited_s)
    mean, sd = (
        sum(expected) / len(expected),
        math.sqrt(sum((w - sum(expected) / len(expected)) ** 2 for w in expected) / len(expected)),
    )
    assert abs(sum(found) / len(found) - mean) < 4 * sd / math.sqrt(len(found))
    assert {round(w, 1) for w in found} == {round(w, 1) for w in expected}


def test_the_words_do_not_tell_what_begins_the_trains() -> None:
    by_state, _ = run(TrainGate(STATE, CALIBRATED, seed="a"), [0.9, 0.9, 0.1])
    assert by_state is not None
    for index in range(60):
        control, _ = run(TrainGate(CONTROL, CALIBRATED, seed="a"), [0.9] * 60, index)
        assert control is not None
        if control.looks == 3 and control.by is By.CONTROL:
            assert control.words.replace(f"train {index + 1} ", "train 1 ") == by_state.words
            break
    else:
        pytest.fail("no wait of the same length was drawn")


@_FEW
@given(st.floats(0.0, 12.0), st.floats(1.5, 10.0))
def test_a_value_counts_only_so_long_after_a_train(since_s: float, window_s: float) -> None:
    trains = TrainGate(STATE, CALIBRATED, seed="a")
    trains.train_over(100.0)
    now_s = 100.0 + since_s
    trains.begin(1, now_s)
    trains.take(reading(0.1, now_s, window_s), now_s)
    opening = trains.look(now_s)
    assert (opening is not None) is (now_s - window_s >= 100.0 + STATE.recovery_s)


@pytest.mark.parametrize(
    ("last_s", "counts"),
    [(0.0, True), (-0.49, True), (-0.51, False), (0.09, True), (0.2, False), (-30.0, False)],
)
def test_old_samples_and_samples_of_the_future_do_not_count(last_s: float, counts: bool) -> None:
    trains = TrainGate(STATE, CALIBRATED, seed="a")
    trains.begin(0, 50.0)
    trains.take(Reading(first_s=46.0 + last_s, last_s=50.0 + last_s, value=0.1), 50.0)
    assert (trains.look(50.0) is not None) is counts


def test_a_value_of_a_moment_ago_opens_nothing_later() -> None:
    trains = TrainGate(STATE, CALIBRATED, seed="a")
    trains.begin(0, 50.0)
    trains.take(reading(0.1, 50.0), 50.0)
    assert trains.look(50.0 + FRESH_S + 0.01) is None


def test_an_interruption_begins_the_wait_anew_and_opens_nothing_meanwhile() -> None:
    trains = TrainGate(STATE, CALIBRATED, seed="a")
    trains.begin(0, 50.0)
    trains.take(reading(0.9, 50.0), 50.0)
    trains.cancel()
    assert not trains.wants(51.0)
    trains.take(reading(0.1, 51.0), 51.0)
    assert trains.look(51.0) is None
    assert trains.look(500.0) is None
    trains.begin(0, 500.0)
    assert trains.look(500.0) is None
    trains.take(reading(0.1, 500.1), 500.1)
    opening = trains.look(500.1)
    assert opening is not None
    assert (opening.by, opening.looks) == (By.STATE, 1)
    assert opening.waited_s == pytest.approx(0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": math.nan}, {"value": math.inf}, {"value": None}, {"value": 0.1, "reason": "muscle"},
        {"value": 0.1, "first_s": math.nan}, {"value": 0.1, "last_s": -math.inf},
    ],
)  # fmt: skip
def test_a_reading_is_a_number_or_absent_with_its_reason(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationProblem):
        Reading(**({"first_s": 0.0, "last_s": 4.0} | wrong))  # type: ignore[arg-type]


# -- the calibration -------------------------------------------------------------------------------------------------


def calibrate(
    looks: list[float | str], spec: StateGate = STATE
) -> tuple[Calibration, float, list[tuple[float, float | str]]]:
    """Looks as they are asked for, until they are over or it is done."""
    made, asked, now_s = Calibration(spec, 10.0, 12.0), [], 10.0
    for value in looks:
        while not made.wants(now_s):
            now_s += 0.01
        made.take(reading(value, now_s), now_s)
        asked.append((now_s, value))
        if made.done() is not None:
            break
    return made, now_s, asked


@_FEW
@given(st.lists(st.one_of(VALUES, VALUES, st.just("muscle")), min_size=150, max_size=400))
def test_the_limit_is_of_windows_side_by_side_without_artifact(looks: list[float | str]) -> None:
    made, now_s, asked = calibrate(looks)
    chosen: list[tuple[float, float]] = []
    for t_s, value in asked:  # naive: of those that count, each that begins after the one before
        if isinstance(value, float) and t_s - 4.0 >= 12.0 and (not chosen or t_s - 4.0 >= chosen[-1][0]):
            chosen.append((t_s, value))
    assert all(b[0] - 4.0 >= a[0] for a, b in pairwise(chosen))
    found = made.done()
    assert (found is not None) is (len(chosen) >= 20)
    if found is None:
        assert not made.failed(10.0 + 199.9)
        assert made.failed(10.0 + 200.0).startswith(
            f"{len(chosen)} of 20 windows without artifact after 200 s"
        )
        return
    ordered = sorted(v for _, v in chosen)
    assert found.windows == tuple(v for _, v in chosen)
    assert found.limit == pytest.approx((ordered[9] + ordered[10]) / 2)
    assert (found.low, found.high) == (ordered[5], ordered[14])  # ranks 6 and 15 of 20: 95.9 %
    assert found.values == tuple(v for t, v in asked if isinstance(v, float) and t - 4.0 >= 12.0)
    assert sum(found.spoiled.values()) + len(found.values) == len(asked)
    assert not made.failed(now_s + 1000)


@pytest.mark.parametrize(
    ("n", "share", "low", "high"),
    [(30, 0.5, 10, 21), (20, 0.5, 6, 15), (25, 0.5, 8, 18), (5, 0.5, None, None)],
)
def test_the_interval_of_a_quantile_by_the_books_ranks(
    n: int, share: float, low: int | None, high: int | None
) -> None:
    _, found_low, found_high = quantile([float(k) for k in range(1, n + 1)], share)
    assert (found_low, found_high) == (low, high)


def test_the_interval_of_a_quantile_covers_it() -> None:
    chance, hits = random.Random(5), 0
    for _ in range(2000):
        _, low, high = quantile([chance.random() for _ in range(30)], 0.3)
        assert low is not None
        assert high is not None
        hits += low <= 0.3 <= high
    assert hits / 2000 >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 2000)
