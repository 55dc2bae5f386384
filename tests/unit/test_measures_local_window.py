"""Synchrony over a window between trains: against its definition, against known truth, and what is no value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from naive_window import naive_value

from hardware_sim.head import Head
from hardware_sim.scene import load_scene
from rtloop.errors import ValidationProblem
from rtloop.measures.local_window import LocalWindow
from rtloop.model.estimate import BANDS_HZ
from rtloop.model.montage import HEAD_RADIUS_M, NAMES_63, Montage, names_for, position_of
from rtloop.model.samples import F32

MONTAGE = Montage.from_names(NAMES_63)


def window(
    rate_hz: float = 1000.0, at: str = "C3", montage: Montage = MONTAGE, **changes: Any
) -> LocalWindow:
    place = position_of(at)
    assert place is not None
    fields: dict[str, Any] = {
        "band": "alpha", "measure": "plv", "window_s": 4.0, "swing_uv_max": 200.0, "fast_uv_max": 20.0
    } | changes  # fmt: skip
    return LocalWindow(montage, place * HEAD_RADIUS_M, rate_hz, **fields)


def eeg(n: int, rate_hz: float = 1000.0, seed: int = 1, scene: str = "default") -> F32:
    return Head(load_scene(scene), MONTAGE, rate_hz, seed).block(n)


@pytest.mark.parametrize("rate_hz", [1000.0, 5000.0])
@pytest.mark.parametrize("measure", ["plv", "dwpli2"])
@pytest.mark.parametrize("band", ["alpha", "low_beta", "high_beta"])
def test_against_the_definition(rate_hz: float, measure: str, band: str) -> None:
    made = window(rate_hz, band=band, measure=measure, window_s=2.5)
    uv = eeg(made.samples, rate_hz)
    found = made.of(uv)
    assert found.value == pytest.approx(
        naive_value(uv, rate_hz, made.rows, BANDS_HZ[band], measure), abs=2e-3
    )
    assert set(found.numbers) == {"swing_uv", "fast_uv"}


@pytest.mark.parametrize("measure", ["plv", "dwpli2"])
def test_values_follow_a_synchrony_that_is_known(measure: str) -> None:
    made = window(measure=measure)
    head = Head(load_scene("state"), MONTAGE, 1000.0, 7)
    assert head.rhythm is not None
    values, truth = [], []
    for _ in range(60):  # five rounds of 24 s, windows every 2 s
        uv = head.block(4000)
        values.append(made.of(uv).value)
        truth.append(head.rhythm.locking((head.position - 4000) / 1000, head.position / 1000))
        head.block(1000)
    v, t = np.array(values, float), np.array(truth)
    locked, apart = v[t > 0.8], v[t < 0.35]
    assert min(locked.size, apart.size) >= 10
    assert np.mean(locked[:, None] > apart[None]) > 0.95  # the share of pairs in the right order
    assert np.mean(locked > np.median(v)) == 1.0
    assert np.corrcoef(v, t)[0, 1] > 0.7


def test_it_reads_the_window_and_changes_nothing() -> None:
    made = window()
    uv = eeg(made.samples)
    before = uv.copy()
    uv.flags.writeable = False
    one = made.of(uv)
    assert (uv == before).all()
    assert made.of(uv) == one


def test_the_other_hemisphere_is_another_value() -> None:
    uv = eeg(4000)
    assert window(at="C3").of(uv).value != window(at="C4").of(uv).value
    assert window(at="C4").names == ("C4", "CP4", "FC4", "C2")


SPOILED = [
    ("nan", "no number in C3"), ("flat", "bad: C3"), ("noise", "bad: C3"), ("jump", "a swing at C3"),
    ("muscle", "fast activity (muscle) at C3"), ("mean", "bad: C3"),
]  # fmt: skip


@pytest.mark.parametrize(("how", "reason"), SPOILED)
def test_a_spoiled_electrode_near_the_coil_gives_no_value(how: str, reason: str) -> None:
    made, chance = window(), np.random.default_rng(3)
    uv = eeg(made.samples)
    c3 = MONTAGE.index("C3")
    match how:
        case "nan":
            uv[1234, c3] = np.nan
        case "flat":
            uv[:, c3] = 3.0
        case "noise":
            uv[:, c3] += 200.0 * chance.standard_normal(made.samples).astype(np.float32)
        case "jump":
            uv[2000:2030, c3] += 250.0
        case "muscle":
            uv[:, c3] += 25.0 * chance.standard_normal(made.samples).astype(np.float32)
        case "mean":
            uv[:, c3] = np.delete(uv, c3, axis=1).mean(axis=1)
    found = made.of(uv)
    assert found.value is None
    assert found.reason == reason


def test_a_bad_channel_elsewhere_is_left_out_of_the_reference() -> None:
    made, uv = window(), eeg(4000)
    good = made.of(uv).value
    spoiled = uv.copy()
    spoiled[:, MONTAGE.index("O2")] = np.nan
    spoiled[:, MONTAGE.index("Fp1")] += 3000.0 * np.random.default_rng(1).standard_normal(4000).astype(
        np.float32
    )
    found = made.of(spoiled).value
    assert found is not None
    assert good is not None
    assert found == pytest.approx(good, abs=0.05)


def test_a_line_and_an_offset_are_no_swing() -> None:
    made, uv = window(), eeg(4000)
    uv = uv + np.float32(40_000.0)
    uv[:, MONTAGE.index("C3")] += np.linspace(0, 300, 4000, dtype=np.float32)
    found = made.of(uv)
    assert found.value is not None or found.reason.startswith("bad")
    slow = eeg(4000)
    slow += np.float32(40_000.0)
    again, plain = made.of(slow).value, made.of(eeg(4000)).value
    assert again == pytest.approx(plain, abs=5e-3)


def test_too_few_electrodes_near_are_refused_with_their_distances() -> None:
    few = Montage.from_names(names_for(8))
    with pytest.raises(ValidationProblem, match="too few electrodes near") as caught:
        window(montage=few)
    assert caught.value.expected == "4 electrodes within 60 mm"
    assert " mm, " in caught.value.found


def test_a_window_of_another_length_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="a window of"):
        window().of(np.zeros((100, 63), np.float32))
