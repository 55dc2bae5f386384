"""The validation of the ranking: its statistics, that sharing parts changes no number, and a tiny run of all of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import ranking_statistics as statistics
import ranking_summary as summary
import validate_ranking as validation

from hardware_sim.head import generate_trials
from hardware_sim.scene import load_scene
from rtloop.model.montage import Montage, names_for
from rtloop.session.scorer import score_trials


def test_wilson_against_known_values_and_at_the_edges():
    assert statistics.wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    low, high = statistics.wilson(0, 200)
    assert low == 0.0
    assert high == pytest.approx(0.01885, abs=1e-4)
    assert statistics.wilson(200, 200)[1] == pytest.approx(1.0)
    assert statistics.wilson(0, 0) == (0.0, 1.0)


def test_reliability_puts_every_probability_in_one_bin():
    stated = np.array([0.0, 0.049, 0.05, 0.5, 0.94, 0.95, 1.0])
    happened = np.array([False, True, False, True, True, True, False])
    found = statistics.reliability(stated, happened)
    assert sum(b["n"] for b in found) == 7
    last = found[-1]
    assert (last["from"], last["n"], last["hits"]) == (0.95, 2, 1)
    assert (found[0]["n"], found[0]["hits"]) == (2, 1)


def test_coverage_tells_the_sides_apart():
    low, high = np.array([0.0, 2.0, 3.0, 0.0]), np.array([1.5, 3.0, 4.0, 0.5])
    found = statistics.coverage(low, high, 1.0)
    assert [found[k]["hits"] for k in ("covered", "too_low", "too_high")] == [1, 1, 2]


def test_se_ratio_sees_standard_errors_that_are_twice_too_large():
    value = np.random.default_rng(1).standard_normal(400)
    found = statistics.se_ratio(value, np.full(400, 2.0))
    assert found["ratio"] == pytest.approx(2.0, rel=0.1)
    assert found["low"] < found["ratio"] < found["high"]


def test_scenes_share_draws_exactly_where_the_truth_is_the_same():
    equal, quality = load_scene("equal"), load_scene("equal_quality")
    for name in ("M1", "DLPFC", "PSI"):
        assert validation.truth_key(equal, name) == validation.truth_key(quality, name)
    assert validation.truth_key(equal, "ACC") != validation.truth_key(quality, "ACC")
    montage = Montage.from_names(names_for(8))
    a, b = (generate_trials(s, "DLPFC", 3, 1000.0, 5, montage)[0] for s in (equal, quality))
    assert np.array_equal(a, b)


def test_exactly_the_wanted_trials_are_accepted_and_sharing_parts_changes_no_number():
    scene, montage = load_scene("equal_quality"), Montage.from_names(names_for(16))
    with validation.shared_parts():
        scores, rejected = validation.mapped(scene, "ACC", 14, 4, 16)
        again, _ = validation.mapped(scene, "ACC", 14, 4, 16)
    assert scores == again
    assert scores.n_accepted == 14
    assert rejected == scores.n_rejected / (14 + scores.n_rejected)
    data, pulse = generate_trials(scene, "ACC", 64, 1000.0, 4, montage)
    plain = score_trials(
        data[: 14 + scores.n_rejected], rate_hz=1000.0, montage=montage, pulse_sample=pulse, target="ACC",
        coil=validation.coil_m(scene, "ACC"), spec=validation.live_spec(),
    ).scores  # fmt: skip
    assert plain == scores


def test_a_target_whose_trials_are_never_accepted_is_refused_in_words():
    scene = load_scene("equal").varied("", artifact={"blink_probability": 1.0, "blink_uv": 900.0})
    with pytest.raises(RuntimeError, match="equal, M1, seed 1: 0 of"):
        validation.mapped(scene, "M1", 3, 1, 19)


def test_bulk_scoring_equals_the_whole_line_on_the_epochs_of_a_session():
    found = validation._line(1, 3, 16, ("ACC",))
    assert found["exit_code"] == 0
    assert found["targets"]["ACC"]["n"] == 3
    assert found["worst_difference"] < 1e-5


def test_a_tiny_run_prints_every_table_and_writes_every_draw(tmp_path, capsys):
    out = tmp_path / "draws.json"
    validation.main([
        "--seeds", "3", "--pulses", "6", "--channels", "16", "--truth", "8", "--line-seeds", "0", "--jobs", "1",
        "--scenes", "equal_quality", "unequal_intensity", "--out", str(out),
    ])  # fmt: skip
    text = capsys.readouterr().out
    for head in (
        "Who comes out lowest, GLOBAL",
        "P(lowest), equal_quality/local",
        "one target worse off",
        "95 % intervals",
    ):
        assert head in text
    found = json.loads(out.read_text())
    assert found["about"]["distinct_targets"] == 6  # of eight: two are the same in both scenes
    for of in found["scenes"].values():
        for rows in of.values():
            assert [r["seed"] for r in rows] == [1, 2, 3]
            assert all(r["n"] == 6 for r in rows)
    same = found["scenes"]["equal_quality"]["M1"] == found["scenes"]["unequal_intensity"]["M1"]
    assert same
    r = found["summary"]["ranking"]["equal_quality/global"]
    assert sum(s["hits"] for s in r["lowest"].values()) == 3
    full = found["summary"]["intervals"]["equal_quality/M1/global"]
    assert full["covered"]["n"] == 12  # M1, PSI, DLPFC of the first scene, ACC of the second
    assert summary.tables(found["summary"]) in text
