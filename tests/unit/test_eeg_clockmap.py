"""Gaps are found at once and measured; jitter, late chunks and crystal errors are none."""

from __future__ import annotations

import numpy as np
import pytest

from rtloop.eeg.clockmap import ClockMap
from rtloop.eeg.ring import Ring
from rtloop.errors import NotReady

RATE_HZ, CHUNK = 5000.0, 10


class Feed:
    """Chunks with exponential lateness into a ring of one channel; ``t_s``: true time of the last sample."""

    def __init__(self, path, *, jitter_s=0.0, ppm=0.0, seed=3):
        self.ring = Ring.create(path, n_channels=1, rate_hz=RATE_HZ)
        self.map = ClockMap(self.ring)
        self.t_s, self.jitter_s, self.step_s = 100.0, jitter_s, CHUNK / RATE_HZ * (1 + ppm * 1e-6)
        self.rng = np.random.default_rng(seed)

    def chunk(self, *, lost_s=0.0, late_s=None):
        self.t_s += self.step_s + lost_s
        late_s = self.rng.exponential(self.jitter_s) if late_s is None else late_s
        self.ring.write(np.zeros((CHUNK, 1), np.float32), self.t_s + late_s, self.t_s + late_s)
        self.map.update()

    def run(self, seconds):
        for _ in range(round(seconds * RATE_HZ / CHUNK)):
            self.chunk()


@pytest.mark.parametrize("jitter_s", [0.0, 0.0005, 0.002])
def test_50_ms_lost_is_found_in_one_chunk_and_measured(tmp_path, jitter_s):
    feed = Feed(tmp_path / "ring", jitter_s=jitter_s, ppm=50)
    feed.run(8.0)
    before = feed.ring.head()
    feed.chunk(lost_s=0.050)
    assert feed.map.gaps == 1
    assert abs(feed.map.lost_samples - 250) <= 6 * jitter_s * RATE_HZ + 1
    assert not feed.map.valid(before - 1, 2)
    assert feed.map.valid(before - 500, 400)
    feed.run(1.0)
    assert feed.map.gaps == 1
    assert abs(feed.map.lost_samples - 250) <= 2
    assert feed.map.valid(before + 200, 1000)


@pytest.mark.parametrize("jitter_s", [0.0, 0.0003, 0.001, 0.003])
@pytest.mark.parametrize("ppm", [-100, 0, 300])
def test_jitter_and_crystal_error_are_no_gap(tmp_path, jitter_s, ppm):
    feed = Feed(tmp_path / "ring", jitter_s=jitter_s, ppm=ppm)
    feed.run(20.0)
    assert feed.map.gaps == 0
    assert feed.map.valid(0, feed.ring.head())
    assert abs(feed.map.time_of(feed.ring.head() - 1) - feed.t_s) < 0.0005 + jitter_s


def test_a_late_chunk_is_withdrawn(tmp_path):
    feed = Feed(tmp_path / "ring", jitter_s=0.0003)
    feed.run(5.0)
    first = feed.ring.head()
    for late_s in (0.060, 0.058, 0.056):
        feed.chunk(late_s=late_s)
    assert not feed.map.valid(first, CHUNK)
    feed.run(1.0)
    assert (feed.map.gaps, feed.map.lost_samples) == (0, 0)
    assert feed.map.late_chunks >= 1
    assert feed.map.valid(first - 10, 1000)
    assert abs(feed.map.time_of(feed.ring.head() - 1) - feed.t_s) < 0.001


def test_a_small_loss_is_found_late_but_found(tmp_path):
    feed = Feed(tmp_path / "ring", jitter_s=0.0003)
    feed.run(5.0)
    at = feed.ring.head()
    feed.chunk(lost_s=0.006)
    feed.run(0.4)
    assert feed.map.gaps == 1
    assert abs(feed.map.lost_samples - 30) <= 3
    assert not feed.map.valid(at - 1, 3)


def test_two_losses_both_count_and_each_side_keeps_its_own_time(tmp_path):
    feed = Feed(tmp_path / "ring", jitter_s=0.0002)
    feed.run(4.0)
    early_sample, early_s = feed.ring.head() - 1, feed.t_s
    feed.chunk(lost_s=0.050)
    feed.run(0.1)  # the first is still on probation
    feed.chunk(lost_s=0.080)
    feed.run(2.0)
    assert feed.map.gaps == 2
    assert abs(feed.map.lost_samples - 650) <= 4
    assert abs(feed.map.time_of(early_sample) - early_s) < 0.001
    assert abs(feed.map.time_of(feed.ring.head() - 1) - feed.t_s) < 0.001


def test_there_and_back(tmp_path):
    feed = Feed(tmp_path / "ring", jitter_s=0.0002)
    feed.run(3.0)
    feed.chunk(lost_s=0.100)
    gap_s = feed.t_s - 0.050
    after = feed.ring.head() - CHUNK
    feed.run(2.0)
    for sample in (0, 1234, feed.ring.head() - 1):
        assert abs(feed.map.sample_of(feed.map.time_of(sample)) - sample) < 0.01
    assert abs(feed.map.sample_of(gap_s) - after) <= CHUNK


def test_stamps_that_step_back_and_stamps_that_are_no_number_touch_the_stretch(tmp_path):
    feed = Feed(tmp_path / "ring")
    feed.run(2.0)
    at = feed.ring.head()
    feed.chunk(late_s=float("nan"))
    assert feed.map.gaps == 1
    assert not feed.map.valid(at, CHUNK)
    feed.t_s -= 1.0
    feed.chunk()
    assert feed.map.gaps == 2
    assert feed.map.lost_samples == 0


def test_before_the_first_chunk_there_is_no_time(tmp_path):
    empty = ClockMap(Ring.create(tmp_path / "ring", n_channels=1, rate_hz=RATE_HZ))
    with pytest.raises(NotReady):
        empty.time_of(0)
    with pytest.raises(NotReady):
        empty.sample_of(0.0)
