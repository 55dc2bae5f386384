"""Mapped pages: what a reader gets is what was written, whole or not at all, and a bad file is named in words."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import numpy as np
import pytest

from rtloop.clock import WALL
from rtloop.errors import IntegrityProblem, NotReady, ValidationProblem
from rtloop.link import pages as pages_module
from rtloop.link.pages import BlockPage, PagesReader, PagesSpec, PagesWriter, TrialPage

NAMES = ("Fz", "C3", "Cz", "Größe")


def spec(n_trials: int = 5, n_blocks: int = 3, n_raw: int = 20, n_times: int = 11) -> PagesSpec:
    return PagesSpec(
        names=NAMES, positions_m=np.arange(12.0).reshape(4, 3) / 100, times_s=np.linspace(-0.1, 0.4, n_times),
        raw_rate_hz=1000.0, raw_first_s=-0.005, n_raw=n_raw, bands=("theta", "alpha", "pooled"), gap_s=(-0.002, 0.01),
        n_trials=n_trials, n_blocks=n_blocks,
    )  # fmt: skip


def trial(s: PagesSpec, trial_id: int, block: str = "M1", value: float | None = None) -> TrialPage:
    n, n_raw, n_times, _ = s.shape
    v = np.float32(trial_id if value is None else value)
    return TrialPage(
        trial_id=trial_id, pulse_id=100 + trial_id, sample=5000 * trial_id, block=block,
        raw_uv=np.arange(n * n_raw, dtype=np.float32).reshape(n, n_raw) + v,
        clean_uv=np.arange(n * n_times, dtype=np.float32).reshape(n, n_times) * 2 + v,
        decay_uv=np.full(n, v, np.float32), good=np.array([True, False, True, trial_id % 2 == 0]),
    )  # fmt: skip


def same(a: TrialPage, b: TrialPage) -> None:
    assert (a.trial_id, a.pulse_id, a.sample, a.block) == (b.trial_id, b.pulse_id, b.sample, b.block)
    for name in ("raw_uv", "clean_uv", "decay_uv", "good"):
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype, name
        assert x.flags.c_contiguous, name
        np.testing.assert_array_equal(x, y)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    s = spec()
    writer = PagesWriter.create(tmp_path / "pages", s)
    assert stat.S_IMODE((tmp_path / "pages").stat().st_mode) == 0o600
    reader = PagesReader(tmp_path / "pages")
    assert reader.spec.names == NAMES
    assert reader.spec.bands == s.bands
    assert reader.spec.gap_s == s.gap_s
    np.testing.assert_array_equal(reader.spec.positions_m, s.positions_m)
    np.testing.assert_array_equal(reader.spec.times_s, s.times_s)
    np.testing.assert_allclose(reader.spec.raw_times_s[[0, 5]], [-0.005, 0.0], atol=1e-12)
    assert reader.count == 0
    assert reader.latest() is None
    assert reader.trial(0) is None
    assert reader.block("M1") is None
    writer.write_trial(trial(s, 0, "M1/preview"))
    writer.write_trial(trial(s, 1))
    got = reader.trial(0)
    assert got is not None
    same(got, trial(s, 0, "M1/preview"))
    newest = reader.latest()
    assert newest is not None
    assert newest.trial_id == 1
    assert reader.count == 2
    got.raw_uv[...] = 0  # a copy: nothing of the pages is changed by its owner
    again = reader.trial(0)
    assert again is not None
    same(again, trial(s, 0, "M1/preview"))
    reader.close()
    writer.close()
    assert reader.trial(0) is None
    with pytest.raises(NotReady, match="closed"):
        _ = reader.count
    with pytest.raises(NotReady, match="closed"):
        writer.write_trial(trial(s, 2))


def test_a_trial_without_an_epoch_has_no_cleaned_curve(tmp_path: Path) -> None:
    s = spec()
    writer, reader = PagesWriter.create(tmp_path / "p", s), PagesReader(tmp_path / "p")
    writer.write_trial(trial(s, 3))
    page = trial(s, 3)
    raw = page.raw_uv.copy()
    raw[:, :4] = np.nan
    writer.write_trial(TrialPage(**{**vars(page), "clean_uv": None, "raw_uv": raw}))
    got = reader.trial(3)
    assert got is not None
    assert got.clean_uv is None
    np.testing.assert_array_equal(got.raw_uv, raw)


def test_the_newest_trials_stay_and_the_oldest_go(tmp_path: Path) -> None:
    s = spec(n_trials=5)
    writer, reader = PagesWriter.create(tmp_path / "p", s), PagesReader(tmp_path / "p")
    for i in range(13):
        writer.write_trial(trial(s, i))
    assert [i for i in range(15) if reader.trial(i) is not None] == [8, 9, 10, 11, 12]
    for i in range(8, 13):
        got = reader.trial(i)
        assert got is not None
        same(got, trial(s, i))
    newest = reader.latest()
    assert newest is not None
    assert newest.trial_id == 12


def test_a_block_is_written_over_and_a_restart_shows_nothing_of_before(tmp_path: Path) -> None:
    s = spec(n_blocks=3)
    writer, reader = PagesWriter.create(tmp_path / "p", s), PagesReader(tmp_path / "p")
    average, pairs = np.ones((4, 11), np.float32), np.arange(18, dtype=np.float32).reshape(3, 6)
    writer.write_block(BlockPage(block="M1", n=7, average_uv=average, pairs=pairs))
    got = reader.block("M1")
    assert got is not None
    assert got.n == 7
    np.testing.assert_array_equal(got.pairs, pairs)
    writer.write_block(BlockPage(block="M1", n=0, average_uv=average * 0))
    got = reader.block("M1")
    assert got is not None
    assert got.n == 0
    assert not got.average_uv.any()
    assert np.isnan(got.pairs).all()
    for name in ("DLPFC", "ACC", "M1", "PSI"):  # DLPFC was written longest ago
        writer.write_block(BlockPage(block=name, n=1, average_uv=average))
    assert [n for n in ("M1", "DLPFC", "ACC", "PSI") if reader.block(n)] == ["M1", "ACC", "PSI"]


def test_what_does_not_fit_is_refused_and_the_slot_keeps_what_it_had(tmp_path: Path) -> None:
    s = spec()
    writer, reader = PagesWriter.create(tmp_path / "p", s), PagesReader(tmp_path / "p")
    writer.write_trial(trial(s, 0))
    page = trial(s, 0, value=9.0)
    for bad in (
        {"raw_uv": page.raw_uv[:, 1:]},
        {"decay_uv": page.decay_uv[:3]},
        {"block": "x" * 300},
        {"trial_id": -1},
    ):
        with pytest.raises(ValidationProblem):
            writer.write_trial(TrialPage(**{**vars(page), **bad}))
    got = reader.trial(0)
    assert got is not None
    same(got, trial(s, 0))


def test_a_file_that_is_no_pages_file_is_named(tmp_path: Path) -> None:
    s = spec()
    with pytest.raises(NotReady, match="cannot open"):
        PagesReader(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(NotReady, match="not made yet"):
        PagesReader(tmp_path / "empty")
    (tmp_path / "other").write_bytes(b"\x07" * 5000)
    with pytest.raises(IntegrityProblem, match="this version"):
        PagesReader(tmp_path / "other")
    PagesWriter.create(tmp_path / "p", s).close()
    whole = (tmp_path / "p").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-4096])
    with pytest.raises(IntegrityProblem, match="cut or spoilt"):
        PagesReader(tmp_path / "cut")
    (tmp_path / "json").write_bytes(whole.replace(b'"names"', b'"nemas"'))
    with pytest.raises(IntegrityProblem, match="spoilt"):
        PagesReader(tmp_path / "json")
    (tmp_path / "sizes").write_bytes(whole.replace(b'"n_trials": 5', b'"n_trials": 9'))
    with pytest.raises(IntegrityProblem, match="cut or spoilt"):
        PagesReader(tmp_path / "sizes")
    with pytest.raises(NotReady, match="no room"):
        PagesWriter.create(tmp_path / "p", s)


def test_a_full_memory_is_an_error_in_words_and_no_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = spec()
    writer, reader = PagesWriter.create(tmp_path / "p", s), PagesReader(tmp_path / "p")
    writer.write_trial(trial(s, 0))

    def full(fd: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pages_module, "_reserve", full)
    with pytest.raises(NotReady, match=r"no room.*No space left"):
        writer.write_trial(trial(s, 1))
    writer.write_trial(trial(s, 5))  # its slot was used before
    newest = reader.latest()
    assert newest is not None
    assert newest.trial_id == 5


def test_the_file_is_fitted_to_128_mb_and_holds_at_least_8_trials(tmp_path: Path) -> None:
    def big(n_channels: int, rate_hz: float) -> PagesSpec:
        return PagesSpec(
            names=tuple(f"E{i}" for i in range(n_channels)), positions_m=np.zeros((n_channels, 3)),
            times_s=np.arange(500) / 1000, raw_rate_hz=rate_hz, raw_first_s=-0.05, n_raw=round(0.2 * rate_hz) + 1,
            bands=("theta", "alpha", "beta", "pooled"), gap_s=(-0.002, 0.01),
        ).fit()  # fmt: skip

    for n_channels, rate_hz, least in (
        (32, 5000.0, 400),
        (64, 5000.0, 300),
        (256, 5000.0, 50),
        (256, 25000.0, 8),
    ):
        fitted = big(n_channels, rate_hz)
        assert fitted.n_trials >= least, (n_channels, rate_hz, fitted.n_trials)
        writer = PagesWriter.create(tmp_path / "p", fitted)
        info = (tmp_path / "p").stat()
        assert info.st_size <= 128_000_000 or fitted.n_trials == 8
        assert info.st_blocks * 512 < 1_000_000, "unused pages take no space"
        writer.close()
        (tmp_path / "p").unlink()


def test_a_reader_never_sees_a_mix_of_two_writes(tmp_path: Path) -> None:
    """Every array of a page is filled with one number; the writer hammers one slot with ever new numbers."""
    s = spec(n_trials=1, n_blocks=1, n_raw=4000, n_times=3000)
    writer, reader = PagesWriter.create(tmp_path / "p", s), PagesReader(tmp_path / "p")
    n, n_raw, n_times, _ = s.shape
    stop = threading.Event()

    def hammer() -> None:
        raw, clean = np.empty((n, n_raw), np.float32), np.empty((n, n_times), np.float32)
        decay, good, pairs = np.empty(n, np.float32), np.empty(n, np.bool_), np.empty((3, 6), np.float32)
        i = 0
        while not stop.is_set():
            i += 1
            raw[...] = clean[...] = decay[...] = pairs[...] = i
            good[...] = i % 2
            writer.write_trial(
                TrialPage(
                    trial_id=0, pulse_id=i, sample=i, block=f"b{i}", raw_uv=raw, clean_uv=clean, decay_uv=decay, good=good
                )
            )  # fmt: skip
            writer.write_block(BlockPage(block="b", n=i, average_uv=clean, pairs=pairs))
            if i % 3 == 0:
                stop.wait(0.0003)

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        seen, blocks = set(), set()
        until_s = WALL.now_s() + 10.0
        while min(len(seen), len(blocks)) < 100 and WALL.now_s() < until_s:
            t, b = reader.trial(0), reader.block("b")
            if t is not None and t.clean_uv is not None:
                v = t.pulse_id
                assert t.sample == v
                assert t.block == f"b{v}"
                assert (t.raw_uv == v).all()
                assert (t.clean_uv == v).all()
                assert (t.decay_uv == v).all()
                assert (t.good == bool(v % 2)).all()
                seen.add(v)
            if b is not None:
                assert (b.average_uv == b.n).all()
                assert (b.pairs == b.n).all()
                blocks.add(b.n)
    finally:
        stop.set()
        thread.join(5.0)
    assert min(len(seen), len(blocks)) >= 100, (len(seen), len(blocks))
