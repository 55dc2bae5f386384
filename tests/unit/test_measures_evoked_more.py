"""ERSP, natural frequency, PCIst and the numbers of one average, against slow twins and what must not change them."""

from __future__ import annotations

import naive_measures
import numpy as np
import pytest

from rtloop.errors import ValidationProblem
from rtloop.measures import oscillation
from rtloop.measures.average import early_peak_to_peak, field_powers
from rtloop.measures.complexity import pcist
from rtloop.measures.evoked import RunningEvoked
from rtloop.measures.oscillation import RunningOscillation, ersp_db, natural_frequency

T = np.arange(-300, 501) / 1000
BASE, RESPONSE = (-0.3, -0.05), (0.015, 0.3)


def average(seed=0, channels=6, noise=0.3):
    rng = np.random.default_rng(seed)
    bumps = np.stack([np.exp(-(((T - t) / w) ** 2)) for t, w in ((0.04, 0.01), (0.1, 0.03), (0.18, 0.05))])
    smooth = np.exp(-0.5 * (np.arange(-30, 31) / 8) ** 2)
    x = rng.standard_normal((channels, T.size + 60))
    x = np.array([np.convolve(row, smooth / np.sqrt((smooth**2).sum()), "valid") for row in x])
    return 5 * rng.standard_normal((channels, 3)) @ bumps * (T > 0) + noise * x


def test_pcist_equals_the_twin_that_builds_every_matrix():
    x = average()
    got = pcist(x, T)
    assert got.value == pytest.approx(naive_measures.pcist(x, T, BASE, RESPONSE), rel=1e-9)
    assert got.value > 2
    assert got.by_component.sum() == pytest.approx(got.value)
    assert (got.by_component >= 0).all()


def test_pcist_of_a_ramp_is_two_transitions_as_the_definition_gives_by_hand():
    """From reference i a ramp from 0 to 1 crosses a distance d once to each side that lies within: mean 2 (1 - d).
    Thresholds go from (almost) 0 to 1 in 100 steps; the first lies inside the baseline's noise."""
    rng = np.random.default_rng(1)
    x = np.where(T > 0, T - 0.015, 0)[None] / 0.285 + 1e-6 * rng.standard_normal((1, T.size))
    assert pcist(x, T).value == pytest.approx(2 * (1 - 1 / 99), rel=0.01)


def test_pcist_does_not_care_for_units_rotations_order_or_finer_sampling():
    x = average(seed=2)
    value = pcist(x, T).value
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((6, 6)))[0]
    for y in (1e-6 * x, turn @ x, x[::-1], -x, np.concatenate([x, 0 * x])):
        assert pcist(y, T).value == pytest.approx(value, rel=1e-6)
    coarse = pcist(x[:, ::2], T[::2]).value
    assert coarse == pytest.approx(value, rel=0.05)


def test_pcist_is_zero_not_nan_without_a_response():
    rng = np.random.default_rng(4)
    assert pcist(np.zeros((4, T.size)), T).value == 0.0
    quiet = rng.standard_normal((4, T.size)) * np.where(T < 0, 5.0, 1.0)
    assert pcist(quiet, T).value == 0.0
    still = average() * (T > 0)
    assert np.isfinite(pcist(still, T).value)


def test_pcist_leaves_bridged_instants_out():
    x = average(seed=5)
    valid = ~((T >= 0.05) & (T <= 0.06))
    wild = x.copy()
    wild[:, ~valid] = 1e4
    assert pcist(wild, T, valid=valid).value == pytest.approx(pcist(x, T, valid=valid).value)
    assert pcist(x, T, valid=valid).value > 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"average_uv": np.zeros((3, 7))}, "wrong shape"),
        ({"average_uv": np.full((3, T.size), np.nan)}, "no numbers"),
        ({"response_s": (0.6, 0.7)}, "holds too little"),
        ({"valid": T > 0}, "holds too little"),
    ],
)
def test_pcist_refuses_in_words(change, words):
    with pytest.raises(ValidationProblem, match=words):
        pcist(**({"average_uv": average(), "times_s": T} | change))


def test_running_ersp_equals_the_twin_with_each_left_out_and_missing_channels():
    rng = np.random.default_rng(6)
    n = 7
    power = rng.uniform(1, 3, (n, 4, 6, 3))
    power[:, 3, :, 0] = 0  # no instant of the first band in the second window
    good = np.ones((n, 6), dtype=bool)
    good[2, 1] = False
    r = RunningEvoked(6, T, np.ones(T.size, bool), 3, n_windows=2, capacity=2)
    for i in range(n):
        r.add(i, np.zeros((6, T.size), dtype=np.float32), good[i], power[i])

    def twin(trials):
        out = np.empty((3, 3))
        for row, w in enumerate((0, 2, 3)):
            per = []
            for c in (1, 4):
                some = [i for i in trials if good[i, c]]
                with np.errstate(divide="ignore"):
                    per.append(10 * np.log10(power[some, w, c].mean(0) / power[some, 1, c].mean(0)))
            out[row] = np.mean(per, axis=0)
        out[2, 0] = np.nan
        return out

    value, each = r.ersp((1, 4))
    assert np.allclose(value, twin(range(n)), equal_nan=True)
    for i in range(n):
        assert np.allclose(each[i], twin([k for k in range(n) if k != i]), equal_nan=True)
    assert np.allclose(r.snr(np.ones(6, bool))[0], r.snr(np.ones(6, bool), each=False)[0])


EPOCH = np.arange(-800, 601) / 1000


def ringing(hz, n=12, seed=0, gain=4.0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3, EPOCH.size))
    x = np.cumsum(x, axis=2) * 0.2
    x -= np.linspace(0, 1, EPOCH.size) * x[..., -1:]
    burst = np.where(EPOCH > 0.012, np.exp(-np.maximum(EPOCH, 0) / 0.12), 0)
    phase = rng.uniform(0, 2 * np.pi, (n, 3, 1))
    return (x + gain * burst * np.cos(2 * np.pi * hz * EPOCH + phase)).astype(np.float32)


def running(x, good=None):
    r = RunningOscillation(3, EPOCH, -0.002, capacity=2)
    for i, rows in enumerate(x):
        r.add(i, rows, np.ones(3, bool) if good is None else good[i])
    return r


@pytest.mark.parametrize("hz", [11, 19, 30])
def test_natural_frequency_is_found_though_its_phase_is_random(hz):
    r = running(ringing(hz))
    found, height = natural_frequency(r.ersp(np.ones(3, bool)), r.frequencies_hz)
    assert abs(found - hz) <= 2
    assert height > 3


def test_power_by_frequency_equals_the_twin_and_is_the_amplitude_squared():
    x = ringing(14, n=4)
    good = np.ones((4, 3), dtype=bool)
    good[1, 2] = False
    r = running(x, good)
    power, _ = r.power()
    j = 6
    wanted = naive_measures.wavelet_power(
        x.astype(float),
        EPOCH,
        r.instants_s,
        r.frequencies_hz[j],
        oscillation.CYCLES,
        oscillation.REACH_SIGMAS,
    )
    for c in range(3):
        assert np.allclose(power[c, j], wanted[good[:, c], c].mean(axis=0), rtol=1e-3)
    steady = np.broadcast_to(3 * np.cos(2 * np.pi * 14 * EPOCH), (3, 3, EPOCH.size)).astype(np.float32)
    after, before = running(steady).power()
    assert np.allclose(after[:, j], 9, rtol=0.02)
    assert np.allclose(before[:, j], 9, rtol=0.02)
    assert np.abs(running(steady).ersp(np.ones(3, bool))[j]).max() < 0.1


def test_its_baseline_sees_nothing_from_the_gap_on():
    x = ringing(14, n=3)
    wild = x.copy()
    wild[..., EPOCH >= -0.002] = 1e4
    assert np.array_equal(running(x).power()[1], running(wild).power()[1])


def test_oscillation_removed_is_as_if_never_added():
    x = ringing(20)
    r, ok = running(x), np.ones(3, bool)
    r.ersp(ok)
    assert r.remove(4)
    assert not r.remove(4)
    assert np.allclose(r.ersp(ok), running(np.delete(x, 4, 0)).ersp(ok), atol=1e-4)
    some = np.arange(11) % 2 == 0
    assert np.allclose(r.ersp(ok, some), running(np.delete(x, 4, 0)[some]).ersp(ok), atol=1e-4)
    assert r.reinstate(4)
    assert np.allclose(r.ersp(ok), running(x).ersp(ok), atol=1e-4)


def test_too_short_an_epoch_says_why_there_is_no_natural_frequency():
    r = RunningOscillation(2, EPOCH[600:1000], -0.002)
    assert "too short" in r.why_absent
    assert not RunningOscillation(2, EPOCH, -0.002).why_absent
    assert np.isnan(natural_frequency(ersp_db(np.zeros((3, 2)), np.ones((3, 2))), np.arange(3.0))).all()


def test_numbers_of_an_average_equal_the_running_ones():
    rng = np.random.default_rng(9)
    x = rng.standard_normal((5, 6, T.size)).astype(np.float32)
    valid = ~((T >= -0.002) & (T <= 0.012))
    r = RunningEvoked(6, T, valid, 3)
    for i in range(5):
        r.add(i, x[i], np.ones(6, bool), np.ones((2, 6, 3)))
    used, mean = np.ones(6, bool), x.mean(axis=0)
    columns = (T >= 0.015) & (T <= 0.08)
    gmfp, lmfp = field_powers(mean, used, (1, 4))
    assert np.allclose(
        [gmfp[columns].mean(), lmfp[columns].mean()], r.fields(used, (1, 4), (0.015, 0.08))[0], rtol=1e-5
    )
    assert early_peak_to_peak(mean, T, valid, (1, 4)) == pytest.approx(
        r.early_response((1, 4), (0.008, 0.05))[0], rel=1e-5
    )
    mean[:, ~valid] = 1e4
    assert early_peak_to_peak(mean, T, valid, (1, 4)) < 10
    with pytest.raises(ValidationProblem, match="no early response"):
        early_peak_to_peak(mean, T, valid & (T < 0), (1,))
    with pytest.raises(ValidationProblem, match="no used channel"):
        field_powers(mean, ~used, (1,))
