"""The size of an MEP and what keeps a pulse from being judged, each in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hardware_sim.emg import Mep as TrueMep
from hardware_sim.emg import Muscle
from hardware_sim.scene import load_scene
from rtloop.errors import ValidationProblem
from rtloop.model.samples import F32
from rtloop.threshold.mep import MepSpec, measured

RATE_HZ, PULSE = 5000.0, 600
SPEC = MepSpec()


def stretch(pp_uv: float = 0.0, noise_uv: float = 2.0, latency_s: float = 0.022, seed: int = 1) -> F32:
    """0.12 s before and 0.08 s after a pulse, with its artifact and an MEP of the simulated muscle."""
    chance = np.random.default_rng(seed)
    out = (noise_uv * chance.standard_normal(1000)).astype(np.float32)
    muscle = Muscle(load_scene("twitch"), RATE_HZ)
    t_s = np.arange(1000 - PULSE) / RATE_HZ
    mep = TrueMep(latency_s=latency_s, pp_uv=pp_uv)
    out[PULSE:] += muscle.response(mep, t_s, 40.0, chance)
    return out


@pytest.mark.parametrize("pp_uv", [60.0, 200.0, 2000.0])
def test_an_mep_is_measured_and_the_artifact_is_not(pp_uv: float) -> None:
    mep = measured(stretch(pp_uv, noise_uv=0.5), RATE_HZ, PULSE, SPEC)
    assert mep.response is True
    assert mep.pp_uv == pytest.approx(pp_uv, rel=0.06)
    assert mep.rest_rms_uv == pytest.approx(0.5, rel=0.2)
    none = measured(stretch(0.0), RATE_HZ, PULSE, SPEC)
    assert none.response is False
    assert none.words() == f"no response, {none.pp_uv:.0f} µV (at rest {none.rest_rms_uv:.1f} µV RMS)"


def test_exactly_the_criterion_is_a_response_and_a_constant_offset_changes_nothing() -> None:
    emg = stretch(0.0, noise_uv=0.0)
    emg[:] = np.linspace(-0.4, 0.4, 1000, dtype=np.float32)
    emg[PULSE + 110], emg[PULSE + 120] = 25.0, -25.0
    assert measured(emg, RATE_HZ, PULSE, SPEC).response is True
    shifted = measured(emg + np.float32(256.0), RATE_HZ, PULSE, SPEC)
    assert shifted.response is True
    emg[PULSE + 110] = 24.9
    assert measured(emg, RATE_HZ, PULSE, SPEC).response is False


def damaged(where: slice, value: float) -> F32:
    emg = stretch(100.0)
    emg[where] = value
    return emg


REST, WINDOW = slice(PULSE - 300, PULSE - 200), slice(PULSE + 100, PULSE + 130)


@pytest.mark.parametrize(
    ("emg", "spec", "words"),
    [
        (damaged(REST, np.nan), SPEC, "100 of 500 samples before the pulse are no numbers"),
        (damaged(WINDOW, np.inf), SPEC, "30 of 175 samples in the window are no numbers"),
        (damaged(WINDOW, 3000.0), SPEC, "the signal in the window is cut off: expected fewer than 10 equal samples"),
        (damaged(slice(PULSE + 110, PULSE + 112), -3300.0), MepSpec(rail_uv=3276.0),
         "the amplifier is at its rail in the window: expected less than 3276 µV, found 3300"),
        (np.zeros(1000, np.float32), SPEC, "the channel stands still before the pulse"),
        (stretch(100.0, noise_uv=14.0), SPEC, "the muscle was not at rest: expected at most 10 µV RMS, found 1"),
        (stretch(0.0, noise_uv=9.0), SPEC, "the channel reaches the criterion without a pulse"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_gives_no_answer(emg: F32, spec: MepSpec, words: str) -> None:
    mep = measured(emg, RATE_HZ, PULSE, spec)
    assert mep.response is None
    assert words in mep.words()
    assert mep.words().startswith("not judged: ")


def test_every_reason_is_told_at_once() -> None:
    emg = damaged(REST, np.nan)
    emg[WINDOW] = np.nan
    assert len(measured(emg, RATE_HZ, PULSE, SPEC).reasons) == 2
    assert len(measured(stretch(0.0, noise_uv=14.0), RATE_HZ, PULSE, SPEC).reasons) == 2


@pytest.mark.parametrize(("first", "last"), [(200, 1000), (0, 700)])
def test_a_stretch_that_is_too_short_is_refused(first: int, last: int) -> None:
    with pytest.raises(ValidationProblem, match="too short"):
        measured(stretch()[first:last], RATE_HZ, PULSE - first, SPEC)


@pytest.mark.parametrize(
    "wrong",
    [
        {"window_ms": (50.0, 15.0)}, {"window_ms": (15.0, float("nan"))}, {"rest_ms": (-20.0, -5.0)}, {"rest_ms": (-105.0, 5.0)},
        {"criterion_uv": 0.0}, {"rest_rms_uv": float("nan")}, {"rail_uv": 40.0}, {"flat_ms": float("nan")},
    ],
)  # fmt: skip
def test_a_measurement_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationProblem, match="an MEP cannot be measured so"):
        MepSpec(**wrong)
    with pytest.raises(ValidationProblem, match="no stretch of one channel"):
        measured(np.zeros((2, 1000), np.float32), RATE_HZ, PULSE, SPEC)
