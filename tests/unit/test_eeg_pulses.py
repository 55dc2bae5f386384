"""Each pulse is found once, by its best source, checked by the next; eyes, muscle and steps are no pulses."""

from __future__ import annotations

import numpy as np
import pytest
from eeg_tools import NAMES
from naive_eeg import naive_onsets

from rtloop.clock import SteppedClock
from rtloop.eeg.layout import Layout
from rtloop.eeg.onset import OnsetLimits, Onsets
from rtloop.eeg.pulses import PulseLimits
from rtloop.eeg.source import EegSource
from rtloop.model.montage import Montage, names_for
from rtloop.model.pulse import Source

RATE_HZ, CHUNK = 5000.0, 10
N = 32


class Scene:
    """Noise of 10 µV on 32 channels (+ trigger); ``play`` pushes it and collects the pulses."""

    def __init__(self, path, *, trigger=True, seconds=3.0, **limits):
        self.clock = SteppedClock(100.0)
        montage = Montage.from_names(names_for(N))
        layout = Layout.from_montage(montage, trigger="TRIG" if trigger else None)
        self.source = EegSource.pushed(layout, RATE_HZ, path, self.clock, pulses=PulseLimits(**limits))
        self.n = round(seconds * RATE_HZ)
        self.x = np.zeros((self.n, len(layout.channels)), np.float32)
        self.x[:, :N] = np.random.default_rng(4).standard_normal((self.n, N)) * 10
        self.told = []

    def time(self, sample):
        return 100.0 + (sample + 1 - CHUNK) / RATE_HZ + (CHUNK - 1) / RATE_HZ

    def artifact(self, sample, size_uv=20_000.0, channels=N):
        t = np.arange(400)
        shape = np.where(t < 5, 1.0, 0.02 / (1 + t / 60) ** 2)
        signs = np.where(np.arange(channels) % 2, 1, -1) * np.linspace(0.2, 1, channels)
        self.x[sample : sample + 400, :channels] += (size_uv * shape[:, None] * signs).astype(np.float32)

    def trigger(self, sample, samples=25):
        self.x[sample : sample + samples, N] = 1.0

    def play(self, chunk=CHUNK):
        found = []
        for at in range(0, self.n, chunk):
            frames = np.ascontiguousarray(self.x[at : at + chunk])
            t_s = self.time(at + len(frames) - 1)
            self.clock.sleep_until(t_s)
            for sample, tell in [row for row in self.told if at <= row[0] < at + chunk]:
                tell(self.time(sample))
            self.source.push(frames, t_s)
            found += self.source.pulses(self.clock.now_s())
        self.source.close()
        return found


def test_the_trigger_edge_is_the_instant_and_the_artifact_checks_it(tmp_path):
    scene = Scene(tmp_path / "ring")
    for sample in (3000, 7003, 11008):
        scene.trigger(sample)
        scene.artifact(sample + 1)
        scene.told.append((sample - 20, scene.source.expect_pulse))
    found = scene.play()
    assert [p.sample for p in found] == [3000, 7003, 11008]
    assert {p.source for p in found} == {Source.TRIGGER}
    assert {p.checked_by for p in found} == {Source.ARTIFACT}
    assert {p.disagreement_samples for p in found} == {1.0}
    assert {p.alarm for p in found} == {""}
    assert all(abs(p.t_s - scene.time(p.sample)) < 1e-6 for p in found)


def test_a_pulse_is_told_within_the_waiting_time(tmp_path):
    scene = Scene(tmp_path / "ring", seconds=1.0)
    scene.trigger(3000)
    scene.artifact(3000)
    scene.x = scene.x[: 3000 + round(0.065 * RATE_HZ)]
    scene.n = len(scene.x)
    assert [p.sample for p in scene.play()] == [3000]


@pytest.mark.parametrize("chunk", [1, 7, 10, 500, 15000])
def test_the_artifact_onset_is_exact_in_any_chunks(tmp_path, chunk):
    scene = Scene(tmp_path / "ring", trigger=False, seconds=3.0 if chunk > 1 else 1.0)
    scene.artifact(3001)
    found = scene.play(chunk)
    assert [(p.sample, p.source, p.checked_by) for p in found] == [(3001, Source.ARTIFACT, None)]


def test_a_train_of_10_hz_is_resolved_and_20_ms_too(tmp_path):
    scene = Scene(tmp_path / "ring", trigger=False)
    samples = [3000 + 500 * k for k in range(10)] + [10_000, 10_100, 10_200]
    for sample in samples:
        scene.artifact(sample)
    assert [p.sample for p in scene.play()] == samples


def blink(x):
    t = np.arange(1500) / 1500
    x[5000:6500, :8] += (200 * np.sin(np.pi * t) ** 2)[:, None]


def muscle(x):
    rng = np.random.default_rng(0)
    burst = np.fft.irfft(np.fft.rfft(rng.standard_normal((8000, 10)), axis=0) * _band(8000)[:, None], axis=0)
    x[4000:12000, 10:20] += 150 * burst / burst.std()


def _band(n):
    f = np.fft.rfftfreq(n, 1 / RATE_HZ)
    return (f > 20) & (f < 300)


def step(x):
    x[6000:, :N] += 100


def one_loose_electrode(x):
    x[6000:6020, 4] += 30_000
    x[7000:7020, 5] -= 30_000


def line_noise(x):
    x[:, :6] += 3000 * np.sin(2 * np.pi * 50 * np.arange(len(x)) / RATE_HZ)[:, None]


def not_numbers(x):
    x[6000:6100, :N] = np.nan


@pytest.mark.parametrize("thing", [blink, muscle, step, one_loose_electrode, line_noise, not_numbers])
def test_what_is_no_pulse(tmp_path, thing):
    scene = Scene(tmp_path / "ring", trigger=False)
    thing(scene.x)
    assert scene.play() == []


@pytest.mark.parametrize("thing", [blink, muscle, line_noise])
def test_a_pulse_amid_it_is_still_found(tmp_path, thing):
    scene = Scene(tmp_path / "ring", trigger=False)
    thing(scene.x)
    scene.artifact(5500)
    assert [p.sample for p in scene.play()] == [5500]


def test_a_trigger_without_an_artifact_is_seen_and_alarmed(tmp_path):
    scene = Scene(tmp_path / "ring")
    scene.trigger(3000)
    (pulse,) = scene.play()
    assert (pulse.source, pulse.checked_by) == (Source.TRIGGER, None)
    assert "no artifact" in pulse.alarm
    assert pulse.absent == (Source.ARTIFACT,)


def test_no_artifact_is_wanted_while_the_channels_settle(tmp_path):
    scene = Scene(tmp_path / "ring")
    settle_s = PulseLimits().onset.settle_s
    early, late = round((settle_s - 0.1) * RATE_HZ), round((settle_s + 0.5) * RATE_HZ)
    scene.trigger(early)
    scene.trigger(late)
    assert [(p.sample, p.absent) for p in scene.play()] == [(early, ()), (late, (Source.ARTIFACT,))]


def test_an_artifact_without_its_trigger_is_seen_and_alarmed(tmp_path):
    scene = Scene(tmp_path / "ring")
    scene.artifact(3000)
    (pulse,) = scene.play()
    assert pulse.source is Source.ARTIFACT
    assert "no edge in the trigger" in pulse.alarm
    assert pulse.absent == (Source.TRIGGER,)


def test_3_ms_between_trigger_and_artifact_is_alarmed(tmp_path):
    scene = Scene(tmp_path / "ring")
    scene.trigger(3000)
    scene.artifact(3015)
    (pulse,) = scene.play()
    assert pulse.disagreement_samples == 15
    assert "disagree by +3.0 ms" in pulse.alarm


def test_a_marker_checks_the_artifact_and_its_delay_is_taken_off(tmp_path):
    scene = Scene(tmp_path / "ring", trigger=False, marker_delay_s=0.004, pulse_markers=frozenset({"7"}))
    scene.artifact(3000)
    scene.told.append((2980, lambda t_s: scene.source.push_marker(t_s, "7")))
    scene.told.append((2500, lambda t_s: scene.source.push_marker(t_s, "start")))
    (pulse,) = scene.play()
    assert (pulse.source, pulse.checked_by, pulse.alarm) == (Source.ARTIFACT, Source.MARKER, "")
    assert abs(pulse.disagreement_samples) < 0.1
    assert [value for _, value in scene.source.take_markers()] == ["start", "7"]


def test_a_marker_that_comes_after_the_pulse_was_told_is_no_second_pulse(tmp_path):
    scene = Scene(tmp_path / "ring", trigger=False)
    scene.artifact(3000)
    marked = scene.time(3010)
    scene.told.append((4500, lambda _: scene.source.push_marker(marked, "7")))
    assert [p.sample for p in scene.play()] == [3000]


def test_a_marker_alone_is_alarmed(tmp_path):
    scene = Scene(tmp_path / "ring", trigger=False)
    scene.told.append((3000, lambda t_s: scene.source.push_marker(t_s, "7")))
    (pulse,) = scene.play()
    assert pulse.source is Source.MARKER
    assert abs(pulse.sample - 3000) <= 1
    assert "no artifact" in pulse.alarm


def test_the_host_checks_the_artifact_and_20_ms_is_alarmed(tmp_path):
    scene = Scene(tmp_path / "ring", trigger=False)
    for sample, early in ((3000, 25), (8000, 100)):
        scene.artifact(sample)
        scene.told.append((sample - early, scene.source.expect_pulse))
    good, bad = scene.play()
    assert (good.checked_by, good.alarm) == (Source.HOST, "")
    assert abs(good.disagreement_samples + 25) < 0.1
    assert "host and artifact disagree by -20.0 ms" in bad.alarm


def test_what_only_the_host_knows_was_not_seen(tmp_path):
    scene = Scene(tmp_path / "ring", trigger=False)
    scene.told.append((3000, scene.source.expect_pulse))
    (pulse,) = scene.play()
    assert pulse.source is Source.HOST
    assert "no pulse seen" in pulse.alarm
    with pytest.raises(ValueError):
        scene.source.expect_pulse(float("nan"))


def test_the_recharge_spike_is_no_pulse_where_its_latency_is_known(tmp_path):
    for recharge_s, expected in ((None, [3000, 3200]), (0.040, [3000])):
        scene = Scene(tmp_path / f"ring{recharge_s}", trigger=False, recharge_s=recharge_s)
        scene.artifact(3000)
        scene.artifact(3200, size_uv=8000)
        assert [p.sample for p in scene.play()] == expected


def test_the_kernel_equals_its_slow_twin():
    rng = np.random.default_rng(8)
    for trial in range(6):
        x = (rng.standard_normal((3000, len(NAMES))) * 30).astype(np.float32)
        for at in rng.integers(50, 2900, 12):
            x[at : at + 8] += (rng.standard_normal(len(NAMES)) * 1500).astype(np.float32)
        onsets = Onsets(
            rate_hz=RATE_HZ, columns=tuple(range(len(NAMES))), trigger=None, limits=OnsetLimits(settle_s=0.0)
        )
        got, at = [], onsets.span
        while at < len(x):
            n = min(int(rng.integers(1, 200)), len(x) - at)
            got += onsets.search(np.ascontiguousarray(x[at - onsets.span : at + n]), at)[0].tolist()
            at += n
        limits = onsets.limits
        twin = naive_onsets(
            x,
            onsets.span,
            limits.floor_uv,
            limits.noise_factor,
            3,
            round(limits.refractory_s * RATE_HZ),
            2.0,
            0,
        )
        assert got == twin, trial
        assert len(got) > 3
