"""Each way a stream can go bad is named; a good one is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from eeg_tools import NAMES, noise
from naive_eeg import naive_runs

from rtloop.eeg import watch as watch_module
from rtloop.eeg.clockmap import ClockMap
from rtloop.eeg.ring import Ring
from rtloop.eeg.watch import StreamWatch, WatchLimits
from rtloop.model.status import Fault

RATE_HZ, CHUNK = 1000.0, 10


class Stream:
    """White noise into a ring, looked at after each chunk of 10 ms."""

    def __init__(self, path, **limits):
        self.ring = Ring.create(path, n_channels=len(NAMES), rate_hz=RATE_HZ)
        self.map = ClockMap(self.ring)
        self.watch = StreamWatch(
            self.ring, self.map, names=NAMES, columns=tuple(range(len(NAMES))), opened_s=0.0,
            limits=WatchLimits(**limits),
        )  # fmt: skip
        self.t_s, self.rng = 10.0, np.random.default_rng(5)

    def run(self, seconds, change=lambda x: x, *, speed=1.0):
        for _ in range(round(seconds * RATE_HZ / CHUNK)):
            self.t_s += CHUNK / RATE_HZ / speed
            frames = (self.rng.standard_normal((CHUNK, len(NAMES))) * 10).astype(np.float32)
            self.ring.write(change(frames), self.t_s, self.t_s)
            health = self.look()
        return health

    def look(self, later_s=0.0, **more):
        self.map.update()
        return self.watch.look(self.t_s + later_s, **more)


@pytest.fixture
def stream(tmp_path):
    return Stream(tmp_path / "ring")


def faults(health):
    return [b.fault for b in health.breaches]


def test_a_good_stream_has_no_breach(stream):
    health = stream.run(4.0)
    assert health.ok, health.breaches
    assert abs(health.rate_hz - RATE_HZ) < 1
    assert health.bad_channels == ()
    assert health.head == 4000


@pytest.mark.parametrize(
    ("later_s", "expected"),
    [(0.049, []), (0.051, [Fault.STREAM_STALE]), (0.249, [Fault.STREAM_STALE]), (0.251, [Fault.STREAM_LOST]),
     (math.nan, [Fault.STREAM_LOST])],
)  # fmt: skip
def test_silence_is_stale_then_lost(stream, later_s, expected):
    stream.run(3.0)
    assert faults(stream.look(later_s)) == expected


def test_the_connection_s_own_word_counts(stream):
    stream.run(3.0)
    assert faults(stream.look(lost=True)) == [Fault.STREAM_LOST]


def test_nothing_ever_is_lost_and_rate_unknown(stream):
    assert faults(stream.look()) == [Fault.STREAM_LOST, Fault.STREAM_BAD]


@pytest.mark.parametrize("speed", [0.5, 0.97, 1.03, 2.0])
def test_a_wrong_rate_is_a_breach(stream, speed):
    health = stream.run(4.0, speed=speed)
    words = [b for b in health.breaches if "rate" in b.what]
    assert words
    assert words[0].expected.startswith("1000 Hz")
    assert abs(health.rate_hz - 1000 * speed) < 5


def test_one_percent_off_is_allowed(stream):
    assert stream.run(5.0, speed=1.01).ok


def test_the_rate_is_unknown_at_first_and_that_is_a_breach(stream):
    assert "rate" in stream.run(0.3).breaches[0].what
    assert stream.run(0.5).ok


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_sample_that_is_no_number_is_named_for_a_second(stream, value):
    stream.run(3.0)

    def spoil(x):
        x[4, 2] = value
        return x

    health = stream.run(0.01, spoil)
    assert faults(health) == [Fault.STREAM_BAD]
    assert health.breaches[0].found == "Cz"
    assert not stream.run(0.9).ok
    assert stream.run(0.2).ok


def constant(*columns, value=0.0):
    def change(x):
        x[:, list(columns)] = value
        return x

    return change


def test_few_flat_channels_are_listed_many_are_a_breach(stream):
    stream.run(2.0)
    assert stream.run(0.9, constant(1, 6)).bad_channels == ()
    health = stream.run(0.3, constant(1, 6))
    assert health.ok
    assert health.bad_channels == ("C3", "Oz")
    health = stream.run(1.2, constant(1, 6, 7))
    assert faults(health) == [Fault.STREAM_BAD]
    assert "C3, Oz, O2" in health.breaches[0].found
    assert stream.run(0.1).bad_channels == ()


def test_saturation_counts_after_half_a_second_but_not_through_a_pulse(stream):
    stream.run(2.0)
    rng = np.random.default_rng(2)

    def rail(x):
        x[:, 3] = 5e5 + rng.random(len(x))
        return x

    stream.run(0.4, rail)
    stream.watch.note_pulse()
    assert stream.run(0.4, rail).bad_channels == ()
    assert stream.run(0.2, rail).bad_channels == ("C4",)


def test_a_frozen_amplifier_repeats_its_chunk(stream):
    stream.run(3.0)
    block = noise(CHUNK, seed=9)
    health = stream.run(0.3, lambda x: block)
    assert [b.what for b in health.breaches] == ["the amplifier repeats itself"]
    assert stream.run(0.1).ok


def test_lost_samples_are_a_breach_for_a_while(stream):
    stream.run(3.0)
    stream.t_s += 0.050
    health = stream.run(0.01)
    assert "samples are missing" in [b.what for b in health.breaches]
    assert health.lost_samples == 50
    assert "50 samples (50 ms)" in health.breaches[-1].found
    assert stream.run(3.0).ok


def test_an_impostor_is_passed_on(stream):
    stream.run(3.0)
    breach = watch_module.Breach(fault=Fault.STREAM_IMPOSTOR, what="x", expected="y", found="z")
    assert stream.look(more=(breach,)).breaches == (breach,)


def test_the_kernel_equals_its_slow_twin(tmp_path):
    rng = np.random.default_rng(11)
    for trial in range(12):
        stream = Stream(tmp_path / f"ring{trial}", rail_uv=25.0)
        eeg = (rng.standard_normal((400, len(NAMES))) * 10).astype(np.float32)
        eeg[rng.integers(200, 380) :, 1] = 3.0
        eeg[rng.integers(300, 399) :, 2] = -30.0
        eeg[rng.integers(0, 400), 3] = np.nan
        if trial % 2:
            eeg[-60:] = np.tile(eeg[-120:-100], (3, 1))
        at = 0
        while at < 400:
            n = int(rng.integers(1, 60))
            stream.ring.write(eeg[at : at + n], 1.0, 1.0)
            stream.watch._take(stream.ring.head())
            at += n
        flat, rail, bad, repeated = naive_runs(eeg, 25.0, 2000)
        state = stream.watch._per_channel
        assert state[:, 0].tolist() == flat
        assert state[:, 1].tolist() == rail
        assert state[:, 2].tolist() == bad
        assert stream.watch._shared[0] == repeated
