"""The simulated hand muscle: recruitment about the threshold, latency, sizes, and its column in the stream."""

from __future__ import annotations

import numpy as np
import pytest

from hardware_sim.amplifier import Amplifier
from hardware_sim.bench import BedsideSpec, SteppedBench
from hardware_sim.emg import Muscle, median_pp_uv
from hardware_sim.head import Head
from hardware_sim.sampler import Sampler
from hardware_sim.scene import Emg, load_scene
from hardware_sim.trials import TrialSource
from rtloop.clock import SteppedClock
from rtloop.eeg.layout import Kind, Layout, layout_of
from rtloop.eeg.lsl import _described
from rtloop.errors import ValidationProblem
from rtloop.model.montage import Montage, names_for

SMALL = Montage.from_names(names_for(16))
SCENE = load_scene("twitch")
RMT = SCENE.person.rmt_pct_mso


def _sizes(power: float, target: str = "M1", count: int = 4000, **changes: object) -> np.ndarray:
    muscle, rng = Muscle(SCENE.varied(**changes), 5000.0), np.random.default_rng(1)
    return np.array([muscle.draw(target, power, rng).pp_uv for _ in range(count)])


def test_half_the_pulses_at_threshold_reach_fifty_microvolts() -> None:
    assert median_pp_uv(Emg(), RMT, RMT) == pytest.approx(50.0)
    assert np.mean(_sizes(RMT) >= 50.0) == pytest.approx(0.5, abs=0.03)
    assert np.mean(_sizes(0.9 * RMT) >= 50.0) < 0.15
    assert np.mean(_sizes(1.2 * RMT) >= 50.0) > 0.97
    assert median_pp_uv(Emg(), RMT, 0.0) == 0.0


def test_recruitment_rises_to_its_plateau_and_sizes_are_log_normal() -> None:
    powers = np.arange(20.0, 100.0, 2.0)
    curve = [median_pp_uv(SCENE.emg or Emg(), RMT, float(p)) for p in powers]
    assert curve == sorted(curve)
    assert curve[-1] == pytest.approx(3000.0, rel=0.01)
    assert median_pp_uv(Emg(), RMT, 1.2 * RMT) > 300.0
    log = np.log(_sizes(1.2 * RMT))
    assert log.std() == pytest.approx(np.sqrt(np.log1p(0.7**2)), rel=0.05)
    assert abs(np.mean((log - log.mean()) ** 3)) < 0.1 * log.std() ** 3


def test_only_a_coil_near_the_hotspot_moves_the_hand() -> None:
    near, off = (np.median(_sizes(1.2 * RMT, t, 400)) for t in ("M1", "DLPFC"))
    assert off < 5.0 < near
    missed = Muscle(SCENE.varied("M1", placement_mm=12.0), 5000.0)
    assert missed.effective_power("M1", 50.0) < 45.0
    sham = load_scene("sensory")
    assert Muscle(sham, 5000.0).effective_power("M1 sham", 60.0) == 0.0


def test_the_mep_in_the_trial_has_its_size_and_latency() -> None:
    source = TrialSource(SCENE.varied(emg={"noise_uv": 0.0}), "M1", seed=2, montage=SMALL, power_pct_mso=48.0)
    found = []
    for trial in source.trials(12):
        assert trial.emg_uv is not None
        assert trial.mep is not None
        after = trial.emg_uv[trial.pulse_sample :]
        window = after[round(0.015 * 5000) : round(0.050 * 5000)]
        assert np.ptp(window) == pytest.approx(trial.mep.pp_uv, rel=0.02)
        onset = (round(0.015 * 5000) + np.argmax(np.abs(window) > 0.05 * np.ptp(window))) / 5000.0
        assert onset == pytest.approx(trial.mep.latency_s, abs=0.0008)
        assert np.abs(after[:5]).max() > 1000.0, "no pulse artifact"
        found.append(trial.mep.latency_s)
    assert 0.020 < np.mean(found) < 0.0225
    assert 0.0001 < np.std(found) < 0.001


def test_the_stream_has_a_column_for_it_between_eeg_and_trigger() -> None:
    pieces, whole = (Sampler(Head(SCENE, SMALL, 2000.0, seed=5), start_s=0.0, target="M1") for _ in range(2))
    for sampler in (pieces, whole):
        sampler.discharge(0.2, 60.0)
    assert pieces.names == (*SMALL.names, "FDI", "TRIG")
    got = np.concatenate([pieces.take(t)[0] for t in np.arange(0.2, 0.61, 0.01)])
    every = whole.take(0.2)[0]
    every = np.concatenate([every, whole.take(0.6)[0]])
    np.testing.assert_array_equal(got, every)
    ((sample, mep),) = whole.head.meps
    assert sample == 400
    emg = every[:, 16]
    assert emg[:399].std() == pytest.approx(3.0, rel=0.2)
    assert np.ptp(emg[430:500]) == pytest.approx(mep.pp_uv, rel=0.1)
    assert mep.pp_uv > 500.0
    plain = Sampler(Head(load_scene("default"), SMALL, 2000.0, seed=5), start_s=0.0, target="M1")
    plain.discharge(0.2, 60.0)
    same = np.concatenate([plain.take(0.2)[0], plain.take(0.6)[0]])
    np.testing.assert_array_equal(same[:, :16], every[:, :16], "the muscle changed the EEG")


def test_a_muscle_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValidationProblem, match="EMG"):
        Muscle(load_scene("default"), 1000.0)
    with pytest.raises(ValidationProblem, match="threshold"):
        Muscle(SCENE.varied(emg={"most_uv": 40.0}), 1000.0)


def test_the_amplifier_types_it_emg_and_the_product_reads_it_so() -> None:
    head = Head(SCENE, SMALL, 1000.0)
    amplifier = Amplifier(
        Sampler(head, start_s=0.0, target="M1"), stream_name="sim-emg", source_id="sim-emg", markers=False
    )
    try:
        layout = layout_of(_described(amplifier._outlet.get_info(), ""))
    finally:
        amplifier.close()
    assert layout.names == (*SMALL.names, "FDI", "TRIG")
    assert [c.name for c in layout.channels if c.kind is Kind.EMG] == ["FDI"]
    assert layout.montage.names == SMALL.names
    assert layout.trigger_column == 17


def test_the_stepped_bench_has_the_layout_of_its_frames() -> None:
    clock = SteppedClock()
    bench = SteppedBench(clock, BedsideSpec(scene="twitch", n_channels=16, rate_hz=1000.0))
    layout = Layout.from_montage(bench.montage, emg=bench.emg_names, trigger="TRIG")
    clock.advance(0.05)
    assert bench.frames_until(clock.now_s())[0].shape[1] == len(layout.channels) == 18
    assert layout.names == bench.sampler.names
    assert layout.channels[16].kind is Kind.EMG
    assert layout.channels[16].unit == "µV"
    assert layout.eeg_columns == tuple(range(16))
