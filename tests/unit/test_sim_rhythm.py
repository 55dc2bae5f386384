"""The rhythm whose locking comes and goes: the same in any pieces, as large as the scene says, locked as its truth says."""

from __future__ import annotations

import numpy as np
import pytest

from hardware_sim.head import Head
from hardware_sim.rhythm import LocalRhythm
from hardware_sim.scene import Rhythm, load_scene
from hardware_sim.trials import TrialSource
from rtloop.errors import ValidationProblem
from rtloop.model.montage import NAMES_63, Montage

MONTAGE = Montage.from_names(NAMES_63)


def made(**changes: float) -> LocalRhythm:
    rhythm = Rhythm.model_validate({"target": "M1"} | changes)
    head = Head(load_scene("default"), MONTAGE, 1000.0, 1)
    return LocalRhythm(rhythm, head.prepare("M1")[0].fields, 1000.0)


def test_the_stream_is_the_same_in_pieces_of_any_size() -> None:
    one, other = (Head(load_scene("state"), MONTAGE, 1000.0, 1) for _ in range(2))
    whole = one.block(3000)
    parts = np.concatenate([other.block(n) for n in (1, 7, 992, 1500, 500)])
    np.testing.assert_allclose(parts, whole, atol=1e-3)


def test_it_is_added_to_the_default_and_nothing_else_is_changed() -> None:
    plain, state = (
        Head(load_scene("default"), MONTAGE, 1000.0, 1),
        Head(load_scene("state"), MONTAGE, 1000.0, 1),
    )
    assert plain.rhythm is None
    assert state.rhythm is not None
    np.testing.assert_allclose(state.block(2000) - plain.block(2000), state.rhythm.block(0, 2000), atol=1e-3)
    trial = [TrialSource(load_scene(s), "M1", seed=1).trial(3).epoch.data for s in ("default", "state")]
    np.testing.assert_array_equal(*trial)  # trials in bulk have none


def test_how_large_it_is() -> None:
    """In phase, at the electrode where the places are largest together, against the average reference."""
    rhythm = made(uv=16.0, apart_hz=0.0)
    x = rhythm.block(0, 1000)
    x = x - x.mean(axis=1, keepdims=True)
    assert 0.2 * 16.0 < x.std(axis=0).max() <= 16.0
    assert np.argmax(x.std(axis=0)) in [
        MONTAGE.index(n) for n in ("C3", "CP3", "FC3", "C1", "C5", "CP1", "FC1", "CP5", "FC5")
    ]


@pytest.mark.parametrize("at_s", [0.0, 3.0, 11.0, 20.0])
def test_the_truth_of_the_locking_is_that_of_the_phases(at_s: float) -> None:
    rhythm = made(period_s=24.0, apart_hz=0.5)
    waves = np.exp(1j * rhythm.phases(at_s + np.arange(4000) / 1000.0))
    pairs = [abs(np.mean(waves[i] * waves[j].conj())) for i in range(4) for j in range(i)]
    assert rhythm.locking(at_s, at_s + 4.0) == pytest.approx(np.mean(pairs), abs=5e-3)


def test_it_is_locked_and_apart_when_the_scene_says() -> None:
    rhythm = made(period_s=24.0, apart_hz=0.5)
    assert rhythm.locking(-2.0, 2.0) > 0.99  # around each whole period
    assert rhythm.locking(22.0, 26.0) > 0.99
    assert rhythm.locking(10.0, 14.0) < 0.35
    assert made(apart_hz=0.0).locking(10.0, 14.0) == pytest.approx(1.0)


def test_a_rhythm_at_no_target_is_refused() -> None:
    with pytest.raises(ValidationProblem, match=r"rhythm\.target = 'V1' names no target"):
        load_scene("state").varied(rhythm={"target": "V1"})
