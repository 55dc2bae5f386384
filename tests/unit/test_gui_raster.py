"""The raster of the traces: columns, sweep and picture against slow twins; the picture of a scalp map."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from naive_gui import columns as naive_columns
from naive_gui import picture as naive_picture

from gui.raster import Raster
from gui.theme import DARK, LIGHT
from gui.topo import MapGrid, limit_of, scale_of
from rtloop.eeg.ring import Ring
from rtloop.model.montage import NAMES_63, Montage

N = 7
COLUMNS = np.array([0, 1, 2, 4, 5, 6, 8])  # EEG columns among nine of the ring


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    ring = Ring.create(tmp_path / "ring", n_channels=9, rate_hz=500.0, seconds=4.0)
    yield ring
    ring.path.unlink()


def samples(n: int, channels: int = 9, seed: int = 0) -> np.ndarray:
    """Whole numbers, so that the picture follows exactly; with lost stretches."""
    x = np.random.default_rng(seed).integers(-40, 41, (n, channels)).astype(np.float32)
    x[n // 3 : n // 3 + 60] = np.nan
    x[n // 2, 1] = np.nan  # one sample of one channel
    return x


@pytest.mark.parametrize(("window", "width"), [(5000, 200), (1777, 400), (150, 400)])
def test_columns_equal_their_twin(ring: Ring, window: int, width: int) -> None:
    x = samples(6000)
    ring.write(x, 0.0, 0.0)
    raster = Raster(n_channels=N, samples=window, width=width, height=112)
    k0, k1 = raster.sweep(ring, COLUMNS)
    assert (k0, k1) == (max(0, 6000 * width // window - width + raster.ahead), 6000 * width // window)
    x = np.vstack([x, x[-1:]])
    lo, hi = naive_columns(x[:, COLUMNS].T, 0, window, width, k1)
    at = np.arange(k0, k1)
    np.testing.assert_array_equal(raster.lo[:, at % width], lo[:, k0:k1])
    np.testing.assert_array_equal(raster.hi[:, at % width], hi[:, k0:k1])
    ahead = np.arange(k1, k1 + raster.ahead) % width
    assert (raster.lo[:, ahead] > raster.hi[:, ahead]).all(), "ahead of the newest nothing may be shown"


def test_sweep_in_pieces_gives_the_picture_of_a_sweep_at_once(ring: Ring) -> None:
    x = samples(7000)
    pieces = Raster(n_channels=N, samples=2000, width=160, height=112)
    rng, at = np.random.default_rng(1), 0
    while at < len(x):
        count = int(rng.integers(1, 90))
        ring.write(x[at : at + count], 0.0, 0.0)
        at += count
        k0, k1 = pieces.sweep(ring, COLUMNS)
        for k in range(k0, k1 + pieces.ahead if k1 > k0 else k0):
            pieces.draw(k % 160, k % 160 + 1)
    once = Raster(n_channels=N, samples=2000, width=160, height=112)
    once.sweep(ring, COLUMNS)
    once.draw()
    assert pieces.newest == once.newest == 7000 * 160 // 2000
    np.testing.assert_array_equal(pieces.image, once.image)
    assert (once.image == 0xFFFFFFFF).sum() > 1000


def test_after_a_stall_nothing_stale_is_left(ring: Ring) -> None:
    raster = Raster(n_channels=N, samples=500, width=100, height=112)
    ring.write(np.full((600, 9), 1000.0, np.float32), 0.0, 0.0)
    raster.sweep(ring, COLUMNS)
    for _ in range(3):  # far more than the window, and more than the ring keeps
        ring.write(np.zeros((ring.capacity // 2, 9), np.float32), 0.0, 0.0)
    raster.sweep(ring, COLUMNS)
    shown = raster.lo[raster.lo <= raster.hi]
    assert shown.size
    assert (shown == 0.0).all()


@pytest.mark.parametrize("height", [112, 113, 5])  # whole lanes, unequal lanes, more lanes than rows
@pytest.mark.parametrize("thick", [1, 2])
def test_picture_equals_its_twin(height: int, thick: int) -> None:
    rng = np.random.default_rng(3)
    raster = Raster(n_channels=N, samples=3000, width=90, height=height, thick=thick)
    raster.page(np.ascontiguousarray(samples(2900, N).T), 0)  # the last columns lie beyond the recording
    raster.level[:] = rng.integers(-10, 10, N)
    raster.colours[:] = 0xFF000100 + np.arange(N)
    raster.ground[:] = 0xFF000000 + np.arange(90)
    raster.span_uv = 64.0
    raster.draw()
    wanted = naive_picture(
        raster.lo,
        raster.hi,
        raster.level,
        64.0,
        raster.colours,
        raster.ground,
        raster.gap_colour,
        height,
        thick,
    )
    differ = (raster.image != wanted).mean()
    assert differ == 0.0 if height != 113 else differ < 0.01  # 113 / 7 is not exact in float32
    assert (raster.image == raster.gap_colour).any()
    whole = raster.image.copy()
    raster.image[:] = 0
    for x0, x1 in ((60, 90), (0, 17), (17, 18), (18, 60)):
        raster.draw(x0, x1)
    np.testing.assert_array_equal(raster.image, whole)


def test_page_of_a_recording_equals_the_twin_whatever_its_memory_order() -> None:
    x = samples(4000, N)
    lo, hi = naive_columns(x.T, 700, 1234, 150, 150)
    for data in (np.ascontiguousarray(x.T), x.T):
        raster = Raster(n_channels=N, samples=1234, width=150, height=112)
        raster.page(data, 700)
        np.testing.assert_array_equal(raster.lo, lo)
        np.testing.assert_array_equal(raster.hi, hi)


def test_lanes_stand_at_the_channels_own_level_whatever_the_pulse_does() -> None:
    t = np.arange(5000)
    x = (10.0 * np.sin(t / 20.0)[None] + 1e5 * np.arange(1, N + 1)[:, None]).astype(np.float32)
    x[:, 2000:2060] += 1e5  # a pulse's artifact
    x[3] = np.nan
    raster = Raster(n_channels=N, samples=5000, width=500, height=112)
    raster.page(x, 0)
    raster.find_levels()
    expected = 1e5 * np.arange(1, N + 1)
    expected[3] = 0.0
    np.testing.assert_allclose(raster.level, expected, atol=2.0)


def test_infinite_samples_stay_in_their_lane() -> None:
    x = np.zeros((3, 400), np.float32)
    x[1, 100:200], x[1, 300] = np.inf, -np.inf
    raster = Raster(n_channels=3, samples=400, width=100, height=30)
    raster.colours[:] = [1, 2, 3]
    raster.page(x, 0)
    raster.find_levels()
    raster.draw()
    rows = [set(np.flatnonzero((raster.image == c).any(axis=1))) for c in (1, 2, 3)]
    assert rows[0] == {15 - 10}
    assert rows[1] <= set(range(10, 20))
    assert rows[2] == {25}


def test_map_shows_where_and_which_sign() -> None:
    montage = Montage.from_names(NAMES_63)
    grid = MapGrid(montage.positions_m, size=41)
    values = np.zeros((63, 2), np.float32)
    values[montage.names.index("C3"), 0] = 10.0
    values[montage.names.index("Oz"), 1] = -10.0
    field = grid.fields(values)
    y, x = np.unravel_index(np.nanargmax(field[0]), field[0].shape)
    assert 8 < x < 16  # left
    assert 17 < y < 23  # at half height
    assert np.unravel_index(np.nanargmin(field[1]), field[1].shape)[0] > 36  # at the back: row 0 is the nose
    pictures = grid.pictures(values, 10.0, scale_of(LIGHT))
    red, blue = (pictures[0, y, x] >> 16) & 255, pictures[0, y, x] & 255
    assert red > blue + 80
    assert pictures[0, 0, 0] == 0  # transparent beside the head


def test_map_leaves_out_channels_without_a_number() -> None:
    montage = Montage.from_names(NAMES_63)
    grid = MapGrid(montage.positions_m, size=31)
    values = np.ones((63, 1), np.float32)
    values[[4, 40]] = np.nan
    np.testing.assert_allclose(grid.fields(values)[0][grid.inside], 1.0, atol=1e-4)
    assert np.isnan(grid.fields(np.full((63, 1), np.nan, np.float32))).all()
    assert not grid.pictures(np.full((63, 1), np.nan, np.float32), 1.0, scale_of(DARK)).any()
    with pytest.raises(ValueError, match="limit"):
        grid.pictures(values, float("nan"), scale_of(DARK))


def test_scale_is_neutral_at_zero_and_told_apart_at_its_ends() -> None:
    for theme in (LIGHT, DARK):
        scale = scale_of(theme)
        parts = np.stack([(scale >> shift) & 255 for shift in (16, 8, 0)], axis=1).astype(int)
        assert np.ptp(parts[127]) < 25  # grey
        assert parts[0, 2] > parts[0, 0] + 60  # blue
        assert parts[255, 0] > parts[255, 2] + 60  # orange


@pytest.mark.parametrize(
    ("values", "limit"), [([0.0, 0.0], 1.0), ([np.nan], 1.0), ([-7.3, 7.3], 8.0), ([0.031] * 9, 0.04)]
)
def test_limit_is_a_round_number_above_the_values(values: list[float], limit: float) -> None:
    assert limit_of(np.array(values, np.float32)) == pytest.approx(limit)
