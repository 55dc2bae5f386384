"""Rejection limits fitted to a recording: raised by large ongoing EEG, never lowered, and only what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtloop.clock import SteppedClock
from rtloop.dsp.spec import ChainSpec
from rtloop.eeg.source import EegSource
from rtloop.model.montage import Montage, names_for
from rtloop.session.level import FACTOR, LIMIT_OF, LOOK_S, fitted_limits, ongoing_numbers

RATE_HZ = 1000.0


def _numbers(
    folder: Path, size_uv: float, *, seconds: float = LOOK_S + 1.0, every_s: float = 0.0, told: bool = True
) -> dict[str, float]:
    rng = np.random.default_rng(7)
    montage = Montage.from_names(names_for(16))
    clock = SteppedClock(0.0)
    source = EegSource.pushed(montage, RATE_HZ, folder / "ring", clock)
    n = int(seconds * RATE_HZ)
    data = np.cumsum(rng.standard_normal((n, 16)), axis=0)
    data = (size_uv * (data - data.mean(0)) / data.std(0)).astype(np.float32)
    pulses = list(range(700, n, int(every_s * RATE_HZ))) if every_s else []
    for pulse in pulses:
        data[pulse : pulse + 20, :4] += 5000.0
    for first in range(0, n, 100):
        clock.advance(0.1)
        source.push(np.ascontiguousarray(data[first : first + 100]), clock.now_s())
    numbers = ongoing_numbers(source, ChainSpec(), pulses if told else ())
    source.close()
    return numbers


def test_quiet_eeg_leaves_every_limit_alone(tmp_path: Path) -> None:
    spec = ChainSpec()
    fitted, raised = fitted_limits(spec, _numbers(tmp_path, 5.0))
    assert raised == {}
    assert fitted == spec


def test_large_eeg_raises_the_limits_it_exceeds_to_what_it_reaches(tmp_path: Path) -> None:
    spec = ChainSpec()
    ongoing = _numbers(tmp_path, 400.0)
    fitted, raised = fitted_limits(spec, ongoing)
    assert "max_pre_pp_uv" in raised
    for name, limit in LIMIT_OF.items():
        assert getattr(fitted, limit) == pytest.approx(
            max(getattr(spec, limit), FACTOR * ongoing[name]), abs=0.06
        )


def test_too_short_a_stretch_measures_nothing_and_raises_nothing(tmp_path: Path) -> None:
    ongoing = _numbers(tmp_path, 400.0, seconds=1.0)
    assert ongoing == {}
    assert fitted_limits(ChainSpec(), ongoing) == (ChainSpec(), {})


def test_somebody_elses_pulses_are_no_ongoing_eeg(tmp_path: Path) -> None:
    for name in ("known", "unknown", "fast"):
        (tmp_path / name).mkdir()
    known = _numbers(tmp_path / "known", 5.0, every_s=2.05)
    assert known != {}
    assert fitted_limits(ChainSpec(), known)[1] == {}
    assert fitted_limits(ChainSpec(), _numbers(tmp_path / "unknown", 5.0, every_s=2.05, told=False))[1] != {}
    assert _numbers(tmp_path / "fast", 5.0, every_s=1.0) == {}  # no room between them: the fixed limits stay
