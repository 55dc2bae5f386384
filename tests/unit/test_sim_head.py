"""The simulated head: streaming, pulses at their sample, sizes in microvolts, known truth in order."""

from __future__ import annotations

import time

import numpy as np
import pytest

from hardware_sim.brain import bessel_ratio, power_gain
from hardware_sim.head import Head, generate_trials
from hardware_sim.scene import Scene, Target, load_scene
from hardware_sim.truth import truth_of
from rtloop.errors import ValidationProblem
from rtloop.model.montage import NAMES_63, Montage, names_for

MONTAGE = Montage.from_names(NAMES_63)
SMALL = Montage.from_names(names_for(16))
SCENE = load_scene("default")


def test_small_blocks_give_the_same_stream_as_one_big_block() -> None:
    pieces = Head(SCENE, SMALL, 2000.0, seed=5)
    whole = Head(SCENE, SMALL, 2000.0, seed=5)
    for head in (pieces, whole):
        head.pulse(500, "M1", 60)
        head.pulse(700, "PSI", 70)
    sizes = np.random.default_rng(1).integers(1, 400, 60)
    got = np.concatenate([pieces.block(int(n)) for n in sizes])
    np.testing.assert_array_equal(got, whole.block(int(sizes.sum())))
    assert got.dtype == np.float32
    assert not np.array_equal(got[:400], Head(SCENE, SMALL, 2000.0, seed=6).block(400))


@pytest.mark.parametrize("at", [1000, 1049, 1050, 1099, 1100])
def test_a_pulse_appears_at_its_sample_and_not_before(at: int) -> None:
    with_pulse, without = (Head(SCENE, SMALL, 5000.0, seed=2) for _ in range(2))
    out, plain = [], []
    for block in range(60):
        if block == 20:
            assert with_pulse.pulse(at, "M1", 60) == at
        out.append(with_pulse.block(50))
        plain.append(without.block(50))
    difference = np.abs(np.concatenate(out) - np.concatenate(plain)).max(axis=1)
    assert np.flatnonzero(difference)[0] == at
    assert difference[at] == difference.max() > 10_000.0


def test_a_late_call_lands_on_the_next_sample_and_says_so() -> None:
    head = Head(SCENE, SMALL, 1000.0)
    head.block(300)
    assert head.pulse(10, "M1", 60) == 300


def test_the_amplifier_clips_at_its_rail() -> None:
    scene = SCENE.varied(artifact={"rail_uv": 5000.0})
    head = Head(scene, MONTAGE, 5000.0)
    head.pulse(10, "M1", 60)
    data = head.block(200)
    assert np.abs(data).max() == 5000.0
    assert np.abs(data[100:]).max() < 5000.0


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ValidationProblem, match="V1"):
        Head(SCENE, SMALL, 1000.0).pulse(0, "V1", 60)


def test_ongoing_eeg_has_the_size_of_a_real_one_and_an_alpha_peak_at_the_back() -> None:
    data = Head(SCENE, MONTAGE, 1000.0, seed=3).block(30_000)
    sd = data.std(axis=0)
    assert 4.5 < sd.mean() < 8.0
    spectrum = np.abs(np.fft.rfft(data - data.mean(0), axis=0)) ** 2
    hz = np.fft.rfftfreq(len(data), 1e-3)

    def power(low: float, high: float, name: str) -> float:
        return float(spectrum[(hz >= low) & (hz < high), MONTAGE.index(name)].mean())

    assert power(9, 11.5, "Oz") > 5 * power(13, 16, "Oz")
    assert power(9, 11.5, "Oz") > 3 * power(9, 11.5, "Fpz")
    assert power(2, 4, "Cz") > 4 * power(20, 22, "Cz") > 4 * power(60, 70, "Cz"), "not 1/f"
    assert power(49.99, 50.01, "Cz") > 10 * power(52, 54, "Cz"), "no line noise"


def test_the_loop_has_no_seam() -> None:
    scene = SCENE.varied(noise={"sensor_uv": 0.0, "line_uv": 0.0})
    head = Head(scene, SMALL, 1000.0)
    n = len(head._loop)
    data = head.block(n + 500)
    step = np.abs(np.diff(data, axis=0))
    assert step[n - 1].max() < 3 * np.percentile(step, 99.9)


def test_evoked_response_has_the_measured_size_and_grows_with_power() -> None:
    trials, pulse = generate_trials(SCENE, "DLPFC", 300, seed=4, noise=False, artifacts=False)
    gmfp = trials.mean(0).std(0)
    for ms, wanted in ((30, 1.8), (58, 3.0), (111, 3.4), (193, 3.1)):
        assert gmfp[pulse + ms] == pytest.approx(wanted, rel=0.35), f"at {ms} ms"
    assert gmfp[:pulse].max() == 0.0
    assert gmfp[pulse + 500] < 0.2
    gains = [power_gain(SCENE, p) for p in (0, 25, 38, 45, 60)]
    assert gains == sorted(gains)
    assert gains[0] == 0.0
    assert gains[3] == pytest.approx(1.0)


def test_bulk_trials_have_the_sizes_of_the_stream_and_no_pulse_spike() -> None:
    trials, pulse = generate_trials(SCENE, "M1", 60, seed=1)
    assert trials.shape == (60, 63, 1400)
    assert pulse == 800
    assert trials.dtype == np.float32
    stream = Head(SCENE.varied(noise={"line_uv": 0.0}), MONTAGE, 1000.0).block(40_000)
    assert trials[:, :, :790].std() == pytest.approx(stream.std(), rel=0.1)
    assert np.abs(trials).max() < 1000.0
    again, _ = generate_trials(SCENE, "M1", 60, seed=1)
    np.testing.assert_array_equal(trials, again)
    other, _ = generate_trials(SCENE, "M1", 60, seed=2)
    assert np.abs(np.corrcoef(trials[:, 0, :700].ravel(), other[:, 0, :700].ravel())[0, 1]) < 0.05


def test_decay_and_muscle_are_where_they_should_be() -> None:
    scene = SCENE.varied("M1", muscle_uv=500.0, decay_uv=100.0)
    calm = SCENE.varied("M1", muscle_uv=0.0, decay_uv=0.0)
    kwargs = {"rate_hz": 2000.0, "seed": 1, "noise": False}
    quiet = {"artifact": {"blink_probability": 0.0}}
    without, pulse = generate_trials(calm.varied(**quiet), "M1", 40, **kwargs)
    muscle = (
        generate_trials(scene.varied("M1", decay_uv=0.0).varied(**quiet), "M1", 40, **kwargs)[0] - without
    )
    peak = np.abs(muscle).max(axis=(0, 2))
    worst = NAMES_63[int(np.argmax(peak))]
    assert worst in {"F7", "FT7", "T7", "F5", "F9", "AF7", "FC5", "TP7"}, worst
    assert 300.0 < peak.max() < 1500.0
    assert peak[MONTAGE.index("Cz")] < 0.05 * peak.max()
    assert np.abs(muscle[:, :, pulse + 90 :]).max() < 1e-3, "muscle lasts beyond 45 ms"
    decay = (
        generate_trials(scene.varied("M1", muscle_uv=0.0).varied(**quiet), "M1", 40, **kwargs)[0] - without
    )
    mean = decay.mean(0)
    assert {-1.0, 1.0} == set(np.sign(mean[:, pulse + 10])), "one sign at all electrodes"
    near = np.abs(mean[MONTAGE.index("C3")])
    assert near[pulse + 4] > near[pulse + 40] > near[pulse + 200] > 0.0


def test_source_truth_is_the_bessel_ratio() -> None:
    rng = np.random.default_rng(8)
    for kappa in (0.3, 2.0, 6.0):
        drawn = abs(np.mean(np.exp(1j * rng.vonmises(0, kappa, 200_000))))
        assert bessel_ratio(kappa) == pytest.approx(drawn, abs=0.005)
    assert bessel_ratio(0.0) == pytest.approx(0.0, abs=1e-9)


def test_more_coupling_means_a_higher_score_and_nothing_else_does() -> None:
    one = Scene(name="one", targets={"M1": Target(coil="C3")})
    by_global = [
        truth_of(one.varied("M1", kappa_global=k), "M1")["sensor_global"] for k in (0.3, 1.0, 2.0, 5.0)
    ]
    assert by_global == sorted(by_global)
    assert by_global[-1] > 4 * by_global[0]
    by_local = [truth_of(one.varied("M1", kappa_local=k), "M1")["sensor_local"] for k in (0.3, 1.0, 2.0, 5.0)]
    assert by_local == sorted(by_local)
    weaker = truth_of(one.varied("M1", amplitude=0.8), "M1")
    assert weaker["sensor_global"] == pytest.approx(by_global[2], rel=1e-3), "amplitude changed the truth"
    assert weaker["plv_global"] == pytest.approx(bessel_ratio(2.0))


def test_the_default_scene_ranks_alike_at_sources_and_sensors() -> None:
    head = Head(SCENE, SMALL, 1000.0)
    truths = [head.truth(name) for name in SCENE.targets]
    assert [t["rank_global"] for t in truths] == [t["sensor_rank_global"] for t in truths] == [3, 4, 2, 1]
    assert [t["rank_local"] for t in truths] == [t["sensor_rank_local"] for t in truths] == [1, 3, 4, 2]


def test_real_time_factor_is_printed() -> None:
    head = Head(SCENE, MONTAGE, 5000.0)
    head.pulse(0, "M1", 60)
    start = time.perf_counter()
    for block in range(500):
        if block % 20 == 0:
            head.pulse(head.position + 10, "M1", 60)
        head.block(50)
    print(f"63 ch x 5 kHz with 5 pulses/s: {5.0 / (time.perf_counter() - start):.0f} x real time")
    assert head.position == 25_000
