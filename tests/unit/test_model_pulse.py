"""A train and a pair that cannot be are refused as values, with everything that is wrong at once."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rtloop.model.pulse import Pair, Train

NO_NUMBER = [math.nan, math.inf, -math.inf, "10", None, True, [10], 10**400, 1j]


@pytest.mark.parametrize("frequency", [0.1, 1, 9.9, 30.5, 100.0])
@pytest.mark.parametrize("n_pulses", [2, 3000, 1_000_000])
def test_trains_that_can_be(frequency: float, n_pulses: int) -> None:
    train = Train(frequency_hz=frequency, n_pulses=n_pulses)
    assert train.duration_s == pytest.approx(n_pulses / frequency)
    assert train.last_pulse_after_s == pytest.approx((n_pulses - 1) / frequency)


@pytest.mark.parametrize("frequency", [*NO_NUMBER, 0, 0.0, -1.0, 0.05, 10.55])
@pytest.mark.parametrize("n_pulses", [*NO_NUMBER, 1, 0, -2, 10.0, 1_000_001])
def test_all_that_is_wrong_with_a_train_at_once(frequency: Any, n_pulses: Any) -> None:
    for f, n, words in (
        (frequency, 5, ["frequency"]),
        (10, n_pulses, ["pulses, not"]),
        (frequency, n_pulses, ["frequency", "pulses, not"]),
    ):
        with pytest.raises(ValueError, match="; ".join(f".*{w}.*" for w in words)) as wrong:
            Train(frequency_hz=f, n_pulses=n)
        assert str(wrong.value).count("; ") == len(words) - 1


@pytest.mark.parametrize("interval", [0, 0.1, 1, 2.5, 99.9, 100, 999.0])
@pytest.mark.parametrize("power_b", [0, 100])
def test_pairs_that_can_be(interval: float, power_b: int) -> None:
    pair = Pair(power_b_pct_mso=power_b, interval_ms=interval)
    assert pair.high_resolution == (interval in (0.1, 2.5, 99.9))


@pytest.mark.parametrize("interval", [*NO_NUMBER, -1, -0.1, 0.05, 100.5, 999.1, 1000])
@pytest.mark.parametrize("power_b", [*NO_NUMBER, -1, 101, 50.0])
def test_all_that_is_wrong_with_a_pair_at_once(interval: Any, power_b: Any) -> None:
    for b, ms, words in (
        (power_b, 10, ["power B"]),
        (50, interval, ["interval"]),
        (power_b, interval, ["power B", "interval"]),
    ):
        with pytest.raises(ValueError, match="; ".join(f".*{w}.*" for w in words)) as wrong:
            Pair(power_b_pct_mso=b, interval_ms=ms)
        assert str(wrong.value).count("; ") == len(words) - 1
