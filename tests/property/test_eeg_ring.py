"""The ring equals a plain array, whatever is written and wherever it wraps; other processes read the same."""

from __future__ import annotations

import multiprocessing
import os
import stat
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_eeg import NaiveRing

from rtloop.eeg.pages import can_mirror
from rtloop.eeg.ring import MIN_ROWS, Ring
from rtloop.errors import IntegrityProblem, NotReady

BOTH = [
    pytest.param(True, marks=pytest.mark.skipif(not can_mirror(), reason="no double mapping here")),
    False,
]


@pytest.mark.parametrize("mirror", BOTH)
@given(
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=14),
    n_channels=st.integers(1, 7),
    data=st.data(),
)
@settings(max_examples=25, deadline=None)
def test_random_writes_and_reads_equal_a_plain_array(mirror, sizes, n_channels, data):
    with tempfile.TemporaryDirectory() as folder:
        ring = Ring.create(f"{folder}/ring", n_channels=n_channels, rate_hz=100.0, seconds=1.0, mirror=mirror)
        reader, plain = Ring.open(ring.path), NaiveRing(n_channels)
        rng = np.random.default_rng(len(sizes))
        for size in sizes:
            frames = rng.standard_normal((size, n_channels)).astype(np.float32)
            ring.write(frames, float(size), 1.0)
            plain.write(frames, float(size), 1.0)
            head = reader.head()
            assert head == len(plain.rows)
            low = max(0, head - ring.readable)
            first = data.draw(st.integers(low, head - 1))
            count = data.draw(st.integers(1, head - first))
            got = reader.view(first, count)
            assert got.flags.c_contiguous
            assert not got.flags.writeable
            np.testing.assert_array_equal(got, plain.rows[first : first + count])
        _, rows = reader.chunks(0)
        assert rows[:, 1].sum() == head
        assert np.array_equal(rows[:, 0], np.concatenate([[0], np.cumsum(rows[:-1, 1])]))


@pytest.mark.parametrize("mirror", BOTH)
def test_not_there_yet_overwritten_and_intact(tmp_path, mirror):
    ring = Ring.create(tmp_path / "ring", n_channels=2, rate_hz=100.0, seconds=1.0, mirror=mirror)
    with pytest.raises(NotReady, match="not there yet"):
        ring.view(0, 1)
    ring.write(np.ones((100, 2), np.float32), 1.0, 1.0)
    assert ring.intact(0)
    with pytest.raises(NotReady, match="not there yet"):
        ring.view(50, 51)
    with pytest.raises(NotReady):
        ring.view(-1, 2)
    for _ in range(9):
        ring.write(np.ones((MIN_ROWS // 8, 2), np.float32), 1.0, 1.0)
    assert not ring.intact(0)
    with pytest.raises(NotReady, match="overwritten"):
        ring.view(0, 100)


def test_at_least_the_seconds_asked_for_stay_readable(tmp_path):
    ring = Ring.create(tmp_path / "ring", n_channels=1, rate_hz=5000.0)
    assert ring.readable >= 30 * 5000
    assert ring.capacity & (ring.capacity - 1) == 0


def test_a_chunk_row_holds_what_was_told_and_a_cursor_continues(tmp_path):
    ring = Ring.create(tmp_path / "ring", n_channels=1, rate_hz=100.0, seconds=1.0)
    ring.write(np.zeros((10, 1), np.float32), 5.5, 6.5)
    cursor, rows = ring.chunks(0)
    assert rows.tolist() == [[0, 10, 5.5, 6.5]]
    assert len(ring.chunks(cursor)[1]) == 0
    ring.write(np.zeros((3, 1), np.float32), 7.5, 8.5)
    assert ring.chunks(cursor)[1].tolist() == [[10, 3, 7.5, 8.5]]


def test_a_long_write_keeps_the_time_of_its_last_sample(tmp_path):
    ring = Ring.create(tmp_path / "ring", n_channels=1, rate_hz=100.0, seconds=1.0)
    ring.write(np.zeros((5000, 1), np.float32), 50.0, 51.0)
    _, rows = ring.chunks(0)
    assert rows[-1, 2] == 50.0
    np.testing.assert_allclose(rows[:, 2], (rows[:, 0] + rows[:, 1]) / 100.0)


@pytest.mark.skipif(sys.platform == "win32", reason="no modes there")
def test_the_file_is_private_and_never_reused(tmp_path):
    Ring.create(tmp_path / "ring", n_channels=1, rate_hz=100.0)
    assert stat.S_IMODE(os.stat(tmp_path / "ring").st_mode) == 0o600
    with pytest.raises(FileExistsError):
        Ring.create(tmp_path / "ring", n_channels=1, rate_hz=100.0)


def test_no_ring_no_version_no_writing_by_readers(tmp_path):
    with pytest.raises(NotReady, match="cannot open"):
        Ring.open(tmp_path / "none")
    Ring.create(tmp_path / "ring", n_channels=1, rate_hz=100.0)
    reader = Ring.open(tmp_path / "ring")
    with pytest.raises(NotReady, match="reading only"):
        reader.write(np.zeros((1, 1), np.float32), 0.0, 0.0)
    with open(tmp_path / "ring", "r+b") as file:
        file.write(b"x" * 8)
    with pytest.raises(IntegrityProblem):
        Ring.open(tmp_path / "ring")


def test_wrong_frames_are_refused(tmp_path):
    ring = Ring.create(tmp_path / "ring", n_channels=2, rate_hz=100.0)
    for frames in (np.zeros((3, 1), np.float32), np.zeros((3, 2)), np.zeros(2, np.float32)):
        with pytest.raises(ValueError):
            ring.write(frames, 0.0, 0.0)
    assert ring.head() == 0


def _follow(path: str, total: int, out) -> None:
    ring = Ring.open(path)
    cursor = at = 0
    good = True
    while at < total:
        cursor, rows = ring.chunks(cursor)
        for first, count, _, _ in rows.tolist():
            view = ring.view(int(first), int(count))
            good &= int(first) == at and bool((view[:, 1] == np.arange(at, at + count)).all())
            good &= ring.intact(int(first))
            at += int(count)
    out.send(good)


def test_another_process_reads_every_sample_while_it_is_written(tmp_path):
    ring = Ring.create(tmp_path / "ring", n_channels=3, rate_hz=1000.0, seconds=60.0)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    total = 50_000
    child = context.Process(target=_follow, args=(str(Path(ring.path)), total, there))
    child.start()
    try:
        for a in range(0, total, 10):
            frames = np.repeat(np.arange(a, a + 10, dtype=np.float32)[:, None], 3, axis=1)
            ring.write(frames, 0.0, 0.0)
        assert here.poll(20.0)
        assert here.recv() is True
    finally:
        child.join(2.0)
        child.kill()
        child.join(1.0)
