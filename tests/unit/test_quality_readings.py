"""Readings behind the lights: line noise, end of the artifact, halves, vertex, bridged electrodes, added phase locking."""

from __future__ import annotations

import math

import numpy as np
import pytest
from quality_tools import MONTAGE, PULSE, RATE, TIMES_S, epoch, scorer, trials

from rtloop.dsp.chain import Chain
from rtloop.dsp.inflation import AddedLocking
from rtloop.dsp.settle import LineNoise, Settling
from rtloop.dsp.spec import ChainSpec
from rtloop.quality.arrays import equal_channels, pre_plv_inflation, split_half_r, vertex_late_uv

ALL = np.ones(16, dtype=np.bool_)


@pytest.mark.parametrize("hz", [50.0, 60.0])
@pytest.mark.parametrize("phase", [0.0, 1.1])
def test_line_noise_is_read_in_microvolts_at_the_worst_good_channel(hz, phase):
    line = LineNoise(TIMES_S, 200, 791)
    x = trials(1)[0].T.copy()
    quiet = line.worst_uv(x, ALL)
    assert quiet < 3.0
    x[:, 4] += (25 * np.sin(2 * np.pi * hz * TIMES_S + phase)).astype(np.float32)
    assert line.worst_uv(x, ALL) == pytest.approx(25, abs=2.5)
    without = ALL.copy()
    without[4] = False
    assert line.worst_uv(x, without) == pytest.approx(quiet)
    assert line.worst_uv(x + 1e4, without) == pytest.approx(quiet, rel=0.05)  # blind to an offset
    assert math.isnan(line.worst_uv(x, ~ALL))
    assert math.isnan(LineNoise(TIMES_S, 700, 780).worst_uv(x, ALL))  # no five cycles


def settling():
    return Settling(rate_hz=RATE, pulse=PULSE, n_rows=1401, before=(200, 790), width=16)


def test_the_end_of_the_artifact_is_when_nine_tenths_of_the_channels_are_back():
    x = np.ascontiguousarray(0.2 * trials(1)[0].T)  # small EEG: the limit of 50 µV counts
    usable = ALL.copy()
    t = np.maximum(TIMES_S, 0)
    decay = np.where(TIMES_S >= 0, 1000 * np.exp(-t / 0.01), 0).astype(np.float32)  # below 50 µV after 30 ms
    x[:, :14] += decay[:, None]
    assert settling().back_ms(x, usable) == pytest.approx(30, abs=2)
    late = x.copy()
    late[PULSE + 100, 0] += 500.0  # one electrode of sixteen does not count
    assert settling().back_ms(late, usable) == pytest.approx(30, abs=2)
    late[PULSE + 100, :3] += 500.0
    assert settling().back_ms(late, usable) == pytest.approx(101)
    usable[:3] = False
    assert settling().back_ms(late, usable) == pytest.approx(30, abs=2)
    assert settling().back_ms(np.ascontiguousarray(0.2 * trials(1)[0].T), ALL) == 0.0
    assert math.isnan(settling().back_ms(x, ~ALL))
    own = np.ascontiguousarray(10 * trials(1)[0].T)  # an electrode's own EEG of 60 µV is no artifact
    assert settling().back_ms(own, ALL) == 0.0


def test_both_readings_stand_in_the_numbers_of_a_trial_and_change_no_verdict():
    x = trials(1)[0]
    x[:, PULSE : PULSE + 5] += 3000.0
    trial = scorer().process(epoch(x), 0)
    assert trial.verdict.accepted
    assert trial.verdict.numbers["decay_back_ms"] == pytest.approx(5.0)
    assert 0 < trial.verdict.numbers["line_noise_uv"] < 3.0


def test_reliability_of_halves_is_spearman_browns():
    rng = np.random.default_rng(5)
    signal = rng.standard_normal((16, 300))
    a, b = (signal + 0.8 * rng.standard_normal(signal.shape) for _ in range(2))
    r = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    assert split_half_r(a, b) == pytest.approx(2 * r / (1 + r))
    assert split_half_r(a, b) == pytest.approx(
        1 / (1 + 0.32), abs=0.02
    )  # of the mean of both: 0.64 / 2 of noise
    assert split_half_r(a, a) == pytest.approx(1.0)
    assert split_half_r(a, -a) == 0.0
    assert math.isnan(split_half_r(a, np.zeros_like(b)))
    assert math.isnan(split_half_r(np.empty((0, 0)), np.empty((0, 0))))
    assert math.isnan(split_half_r(a, np.full_like(b, np.nan)))


def test_the_halves_of_a_running_average_are_every_other_counting_trial():
    x = trials(9)
    x[3, 5] = np.nan
    s = scorer()
    cleaned = [s.process(epoch(d), k).eeg_uv[:, s.kept] for k, d in enumerate(x)]
    s.take_out(0)
    at = (s.times_s >= 0.015 - 1e-9) & (s.times_s <= 0.3 + 1e-9)
    first, second = s.evoked.halves(ALL, (0.015, 0.3))
    wanted = np.mean([cleaned[k][:, at] for k in (1, 3, 5, 7)], axis=0)
    wanted[5] = np.mean([cleaned[k][5, at] for k in (1, 5, 7)], axis=0)
    assert first == pytest.approx(wanted, abs=1e-4)
    assert second == pytest.approx(np.mean([cleaned[k][:, at] for k in (2, 4, 6, 8)], axis=0), abs=1e-4)
    newest = s.evoked.newest()
    assert newest is not None
    assert np.array_equal(newest[0], cleaned[8])
    assert scorer().evoked.newest() is None
    assert scorer().evoked.halves(ALL, (0.015, 0.3))[0].size == 0


def test_the_late_vertex_response_is_read_around_cz_from_good_electrodes():
    average = np.zeros((16, 1401), dtype=np.float32)
    top = MONTAGE.nearest(np.array([0.0, 0.0, 0.088]), 1)[0]
    average[top] = 10 * np.sin(2 * np.pi * 5 * TIMES_S)
    inside = (TIMES_S >= 0.08) & (TIMES_S <= 0.25)
    near = [c for c in range(16) if MONTAGE.positions_m[c, 2] / 0.088 >= math.cos(math.radians(26))]
    assert top in near
    wanted = np.ptp(average[top, inside]) / len(near)
    assert vertex_late_uv(average, TIMES_S, MONTAGE, ALL) == pytest.approx(wanted, rel=1e-5)
    bad = ALL.copy()
    bad[near] = False
    assert math.isnan(vertex_late_uv(average, TIMES_S, MONTAGE, bad))
    assert math.isnan(vertex_late_uv(average[:, :800], TIMES_S[:800], MONTAGE, ALL))


def test_bridged_electrodes_are_found_in_pairs_and_flat_or_bad_ones_are_not():
    x = trials(1)[0].copy()
    x[7] = x[2] + 0.05 * np.random.default_rng(1).standard_normal(1401).astype(np.float32)
    x[9] = x[10] = 0.0
    assert equal_channels(x, ALL) == ((2, 7),)
    bad = ALL.copy()
    bad[7] = False
    assert equal_channels(x, bad) == ()
    assert equal_channels(x + 500.0, ALL) == ((2, 7),)
    assert equal_channels(x, ~ALL) == ()


def test_added_phase_locking_is_told_where_cleaning_mixes_channels_and_zero_where_it_does_not():
    rng = np.random.default_rng(2)
    before = (rng.standard_normal((60, 8, 4)) + 1j * rng.standard_normal((60, 8, 4))).astype(np.complex64)
    assert pre_plv_inflation(before, 3 * before) == pytest.approx(0.0, abs=1e-6)
    smooth = (np.eye(8) + 0.15).astype(np.complex64)
    mixed = np.einsum("ij,kjt->kit", smooth, before)
    assert pre_plv_inflation(before, mixed) > 0.1
    assert pre_plv_inflation(mixed, before) < -0.1
    a = before[:, 0] / np.abs(before[:, 0])
    b = before[:, 1] / np.abs(before[:, 1])
    two = pre_plv_inflation(before[:, :2], np.stack([before[:, 0], before[:, 0]], axis=1))
    assert two == pytest.approx(1 - np.abs((a * b.conj()).mean(axis=0)).mean(), abs=1e-5)
    assert math.isnan(pre_plv_inflation(before[:2], before[:2]))
    assert math.isnan(pre_plv_inflation(before, before[:, :4]))
    assert pre_plv_inflation(np.zeros_like(before), np.zeros_like(before)) == 0.0


def test_the_spatial_stage_tells_what_phase_locking_it_adds_before_the_pulse():
    rng = np.random.default_rng(4)
    spec = ChainSpec(sound=True, spatial_first=4, spatial_channels=8)
    x = trials(16)
    chain = Chain(spec, rate_hz=RATE, montage=MONTAGE)
    without = Chain(ChainSpec(), rate_hz=RATE, montage=MONTAGE)
    added = AddedLocking(chain.times_s, spec.baseline_s, 16)
    phasors = []
    for k, data in enumerate(x):
        data[7] += (
            rng.standard_normal(1401).astype(np.float32) * 10
        )  # one noisy electrode, which SOUND smooths over
        trial, plain = (c.process(epoch(data), trial_id=k) for c in (chain, without))
        assert ("pre_plv_inflation" in trial.verdict.numbers) == (
            k >= 13
        )  # from the 5th on cleaned, ten of them
        assert "pre_plv_inflation" not in plain.verdict.numbers
        assert trial.verdict.accepted
        if k >= 4:
            rows = (np.ascontiguousarray(t.eeg_uv.T) for t in (plain, trial))
            phasors.append([added.phasors(r) for r in rows])
    batch = np.swapaxes(np.array(phasors), 2, 3)  # [n_trials, 2, n_channels, n_instants]
    wanted = pre_plv_inflation(batch[:, 0], batch[:, 1])
    assert trial.verdict.numbers["pre_plv_inflation"] == pytest.approx(wanted, abs=1e-4)
    assert wanted > 0.002  # little in so few trials, whose PLV is mostly bias


def test_added_locking_is_nothing_where_the_stage_changes_nothing_and_rejected_trials_do_not_count():
    added = AddedLocking(TIMES_S, (-0.6, -0.01), 16)
    for k, data in enumerate(trials(12)):
        u = added.phasors(np.ascontiguousarray(data.T))
        added.note(u, u, ALL)
        assert ("pre_plv_inflation" in added.count(k % 6 != 0)) == (k == 11)
        assert added.count(True) == ({} if k < 11 else {"pre_plv_inflation": 0.0})  # nothing was noted
    assert added.n == 10
    assert added.value() == pytest.approx(0.0, abs=1e-6)
    tone = np.cos(2 * np.pi * 10 * TIMES_S)[:, None] * np.ones((1, 16), dtype=np.float32)
    assert np.abs(added.phasors(tone.astype(np.float32))) == pytest.approx(1.0, abs=1e-5)
    assert not added.phasors(np.zeros((1401, 16), dtype=np.float32)).any()
