"""Blinks: found where they are, taken out along their own fields only, past trials only; elsewhere nothing is touched."""

from __future__ import annotations

import naive_spatial
import numpy as np
import pytest

from rtloop.dsp.blink import blink_at, blink_fields, smoothed
from rtloop.dsp.chain import Chain
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import ValidationProblem
from rtloop.model.montage import Montage
from rtloop.model.samples import Epoch

RATE, PULSE = 1000.0, 800
NAMES = [
    *("Fp1", "Fpz", "Fp2", "AF3", "AF4", "F7", "F3", "Fz", "F4", "F8", "FC1", "FC2", "T7", "C3", "Cz", "C4", "T8"),
    *("CP1", "CP2", "P7", "P3", "Pz", "P4", "P8", "O1", "Oz", "O2", "POz"),
]  # fmt: skip
MONTAGE = Montage.from_names(NAMES)
TIMES = (np.arange(1401) - PULSE) / RATE
SPEC = ChainSpec(blink=True, decay=False)
EYES = np.exp(-(np.linalg.norm(MONTAGE.positions_m - MONTAGE.positions_m[1], axis=1) ** 2) / 0.004)


def background(n, seed=0):
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((len(NAMES), 40))
    f = np.fft.rfftfreq(1500, 1 / RATE)
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal((n, 40, 1500))) / np.maximum(f, 3.0))[:, :, :1401]
    x = np.einsum("cs,kst->kct", mix, x)
    return (8 * x / x.std() + rng.standard_normal(x.shape)).astype(np.float32)


def blink(at_s, size_uv=180.0, width_s=0.06):
    return np.outer(EYES, size_uv * np.exp(-0.5 * ((TIMES - at_s) / width_s) ** 2)).astype(np.float32)


def run(data, spec=SPEC):
    chain = Chain(spec, rate_hz=RATE, montage=MONTAGE)
    return [
        chain.process(Epoch(data=x, rate_hz=RATE, pulse_sample=PULSE), trial_id=i) for i, x in enumerate(data)
    ]


CLEAN = background(12)
DATA = CLEAN.copy()
AT = {2: -0.3, 5: 0.25, 8: 0.2, 10: 0.02}
for _k, _s in AT.items():
    DATA[_k] += blink(_s)


def test_the_blinks_after_the_first_two_are_gone_and_the_trials_count():
    ours, plain, truth = run(DATA), run(DATA, ChainSpec(decay=False)), run(CLEAN, ChainSpec(decay=False))
    assert [t.verdict.accepted for t in plain] == [k not in AT for k in range(12)]
    assert [t.verdict.accepted for t in ours] == [k not in (2, 5) for k in range(12)]
    for k in (8, 10):  # one of them at the pulse itself, where it has to be bridged
        assert ours[k].verdict.numbers["removed_blink_uv"] > 60
        there = np.abs(TIMES - AT[k]) < 0.15
        left = (ours[k].eeg_uv - truth[k].eeg_uv)[:, there]
        was = (plain[k].eeg_uv - truth[k].eeg_uv)[:, there]
        assert np.sqrt((left**2).mean()) < 0.15 * np.sqrt((was**2).mean())
    for k in set(range(12)) - {8, 10}:
        assert ours[k].verdict.numbers["removed_blink_uv"] == 0
        np.testing.assert_array_equal(ours[k].eeg_uv, plain[k].eeg_uv)
    far = TIMES < -0.25
    np.testing.assert_array_equal(ours[8].eeg_uv[:, far], plain[8].eeg_uv[:, far])


def test_most_of_a_frontal_answer_under_the_blink_survives_though_the_fields_overlap():
    source = np.exp(-(np.linalg.norm(MONTAGE.positions_m - MONTAGE.positions_m[7], axis=1) ** 2) / 0.003)
    source -= source.mean()
    answer = np.outer(source, 20 * np.sin(2 * np.pi * 6 * TIMES) * (np.abs(TIMES - 0.2) < 0.16))
    with_it = DATA.copy()
    with_it[8] += answer.astype(np.float32)
    gained = (run(with_it)[8].eeg_uv - run(DATA)[8].eeg_uv) * (np.abs(TIMES - 0.2) < 0.16)
    survives = np.sum(gained * answer) / np.sum(answer * answer)
    overlap = EYES - EYES.mean()
    assert (overlap @ source) / np.linalg.norm(overlap) / np.linalg.norm(source) > 0.3
    assert 0.8 < survives < 1.1


def test_the_parts_agree_with_their_definitions():
    rng = np.random.default_rng(4)
    x, known = rng.standard_normal((300, 5)).astype(np.float32), np.ones(300, dtype=np.bool_)
    known[120:190] = False
    for width in (7, 40):
        ours, slow = smoothed(x, known, width), naive_spatial.running_mean(x, known, width)
        some = np.isfinite(slow)
        np.testing.assert_allclose(ours[some], slow[some], atol=1e-6)
        assert np.isfinite(ours).all()
    field = rng.standard_normal(5)
    usual = np.cov(rng.standard_normal((5, 50)))
    fields, course_of = blink_fields(usual + 400 * np.outer(field, field), usual)
    assert fields.shape == (5, 1)
    assert abs(fields[:, 0] @ field) / np.linalg.norm(field) > 0.99
    metric = usual + np.eye(5) * 0.01 * np.trace(usual) / 5
    np.testing.assert_allclose(
        x[:20] @ course_of.T, naive_spatial.course_of_fields(x[:20].astype(float), fields, metric), atol=1e-5
    )
    assert blink_fields(usual, usual)[0].shape == (5, 0)


def test_nothing_opens_below_the_gate_or_for_what_is_no_number():
    course = np.zeros(500)
    course[200:260] = 59.0
    assert not blink_at(course, 60.0, 30).any()
    course[230] = 61.0
    weight = blink_at(course, 60.0, 30)
    assert weight[200:260].min() > 0.5
    assert weight[:140].max() == weight[320:].max() == 0
    assert not blink_at(np.full(500, np.nan), 60.0, 30).any()


def test_without_frontal_electrodes_and_with_wrong_settings():
    back = Montage.from_names([n for n in NAMES if n[0] in "CPO"])
    chain = Chain(SPEC, rate_hz=RATE, montage=back)
    trial = chain.process(
        Epoch(data=CLEAN[0][: back.n_channels], rate_hz=RATE, pulse_sample=PULSE), trial_id=0
    )
    assert trial.verdict.numbers["removed_blink_uv"] == 0
    for wrong in ({"blink_gate_uv": 0.0}, {"blink_first": 0}, {"average_reference": False}):
        with pytest.raises(ValidationProblem):
            ChainSpec(blink=True, **wrong)
