"""Semi-synthetic trials: real courses, pulse times and background on simulated sources, with their truth."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hardware_sim.brain import Answer
from hardware_sim.head import Head
from hardware_sim.real import evoked_courses, pulse_times_s, real_parts
from hardware_sim.scene import load_scene
from hardware_sim.trials import TrialSource
from rtloop.errors import ValidationProblem
from rtloop.model.montage import NAMES_63, Montage, names_for

MONTAGE = Montage.from_names(NAMES_63)
SCENE = load_scene("default").varied(artifact={"blink_probability": 0.0})


def _average() -> np.ndarray:
    """Invented: two maps, two bumps; something that is no brain before 12 ms."""
    rng = np.random.default_rng(1)
    t = (np.arange(1500) - 500) / 1000.0
    bumps = [np.exp(-0.5 * ((t - a) / b) ** 2) for a, b in ((0.06, 0.012), (0.18, 0.03))]
    out = 3.0 * rng.standard_normal((20, 2)) @ np.array(bumps)
    out[:, 480:505] += 50.0
    out[:, 505:510] += rng.standard_normal((20, 5))
    return np.asarray(out)


def test_the_courses_keep_the_gmfp_and_take_nothing_from_before_it_is_true() -> None:
    average = _average()
    courses = evoked_courses(average, 1000.0, 500)
    assert len(courses.courses_uv) == 2
    gmfp = (average - average.mean(0)).std(0)[500:]
    again = np.sqrt(np.sum(courses.courses_uv**2, axis=0))
    np.testing.assert_allclose(again[15:440], gmfp[15:440], atol=0.03)
    assert again[:7].max() < 1e-9
    assert again[590:].max() < 1e-9
    assert courses.at(np.array([-0.1, 5.0])).any() == np.False_


def test_the_answer_has_the_real_gmfp_and_its_own_coupling() -> None:
    courses = evoked_courses(_average(), 1000.0, 500)
    answer, plain = (Answer(SCENE, "M1", MONTAGE, e) for e in (courses, None))
    assert answer.fields.shape == (63, 12)
    np.testing.assert_array_equal(answer.fields[:, :10], plain.fields[:, :10])
    t_s = np.arange(0, 0.5, 0.001)
    draws = answer.draw(300, np.random.default_rng(2))
    mean = answer.fields @ answer.courses(draws, t_s).mean(0)
    wanted = np.sqrt(np.sum(courses.at(t_s) ** 2, axis=0))
    found = mean.std(axis=0)
    assert np.corrcoef(found[15:300], wanted[15:300])[0, 1] > 0.7
    assert np.mean(found[[30, 58, 111, 193]]) == pytest.approx(np.mean(wanted[[30, 58, 111, 193]]), rel=0.35)
    turned = answer.fields[:, 10:] - answer.fields[:, 10:].mean(0)
    assert abs(np.corrcoef(turned.T)[0, 1]) < 1e-3, "the maps are not orthogonal"


def test_the_stream_answers_with_them_too() -> None:
    courses = evoked_courses(_average(), 1000.0, 500)
    small = Montage.from_names(names_for(16))
    scene = SCENE.varied(evoked={"induced_uv": 0.0}).varied("M1", gain_cv=0.0, muscle_uv=0.0, decay_uv=0.0)
    with_it, without = (Head(scene, small, 500.0, seed=1, evoked=e) for e in (courses, None))
    for head in (with_it, without):
        head.pulse(50, "M1", 45.0)
    got = with_it.block(400) - without.block(400)
    answers = [Answer(scene, "M1", small, e) for e in (courses, None)]
    t_s = np.arange(0, 0.5, 0.002)
    parts = []
    for answer in answers:
        draws = answer.draw(1, np.random.default_rng([1, 1]))
        parts.append(answer.fields @ answer.courses(draws, t_s)[0])
    np.testing.assert_allclose(got[50:300], (parts[0] - parts[1]).T, atol=0.02)
    assert np.abs(got).max() > 1.0


def test_pulse_times_come_from_a_bids_table(tmp_path: Path) -> None:
    file = tmp_path / "events.tsv"
    file.write_text("onset\tduration\tvalue\n0\t0\tn/a\n6.5\t0\tR128\n11.0\t0\tR128\n")
    np.testing.assert_allclose(pulse_times_s(file), [0.0, 4.5])
    with pytest.raises(ValidationProblem, match="R999"):
        pulse_times_s(file, "R999")
    with pytest.raises(ValidationProblem, match="pulse times"):
        pulse_times_s(tmp_path / "none.tsv")


def test_what_is_no_average_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    for wrong in (np.zeros(10), np.full((20, 1500), np.nan), _average()[:, :600]):
        with pytest.raises(ValidationProblem):
            evoked_courses(wrong, 1000.0, 500)
    with pytest.raises(ValidationProblem, match="rest64"):
        real_parts(tmp_path)


@pytest.mark.skipif(
    importlib.util.find_spec("mne") is None, reason="mne is not installed: EDF cannot be read"
)
def test_real_parts_make_trials_with_truth(shared_data: Path) -> None:
    parts = real_parts(shared_data, rate_hz=1000.0)
    assert len(parts.times_s) == 600
    gaps = np.diff(parts.times_s)
    assert 4.0 < np.median(gaps) < 6.0
    source = parts.source(SCENE, "M1", seed=3)
    assert isinstance(source, TrialSource)
    trials = list(source.trials(30))
    brain = np.array([t.ongoing_uv for t in trials])
    assert 5.0 < brain.std() < 100.0
    between = np.corrcoef(trials[0].ongoing_uv[:, :800].ravel(), trials[1].ongoing_uv[:, :800].ravel())[0, 1]
    assert abs(between) < 0.5
    at = source.pulse_sample + np.array([30, 58, 111, 193])
    gmfp = np.mean([t.answer_uv for t in trials], axis=0).std(axis=0)
    assert np.mean(gmfp[at]) == pytest.approx(np.mean([1.8, 2.9, 3.4, 3.1]), rel=0.3)
    assert not gmfp[: source.pulse_sample].any()
    np.testing.assert_array_equal(parts.source(SCENE, "M1", seed=3).trial(7).raw_uv, trials[7].raw_uv)
