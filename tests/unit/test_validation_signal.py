"""The validation of the cleaning: its numbers on methods whose worth is known, and a tiny run of all of it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import validate_signal as validation
import validate_signal_dipole as dipoles
import validate_signal_metrics as metrics
import validate_signal_recording as recordings
import validate_signal_scores as scores
import validate_signal_tables as tables
from methods import components
from methods.listed import FAST, methods

from rtloop.app.stages import stages_of
from rtloop.errors import ValidationProblem
from rtloop.measures.connectivity import RunningConnectivity
from rtloop.plan.schema import Stages

N, CHANNELS, TIMES = 200, 6, 5


def _phases(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.exp(2j * np.pi * rng.random(shape))


@pytest.fixture(scope="module")
def small() -> recordings.Recording:
    task = recordings.Task(
        scene="unequal_muscle", target="PSI", seed=3, pulses=30, channels=16, rate_hz=1000.0
    )
    return recordings.Recording(task)


def test_a_perfect_method_scores_one_and_a_null_method_nothing():
    rng = np.random.default_rng(1)
    truth = rng.standard_normal((40, CHANNELS, 300))
    t, valid = np.arange(300) / 1000.0, np.ones(300, dtype=bool)
    perfect = metrics.singles(truth, truth, t, valid)
    null = metrics.singles(np.zeros_like(truth), truth, t, valid)
    other = metrics.singles(rng.standard_normal(truth.shape), truth, t, valid)
    for w in metrics.WINDOWS_S:
        assert perfect[w]["r"] == pytest.approx(1.0)
        assert perfect[w]["rmse_uv"] == 0.0
        assert null[w]["r"] == 0.0
        assert null[w]["rmse_uv"] == pytest.approx(1.0, abs=0.03)  # the size of the truth itself
        assert abs(other[w]["r"]) < 0.05
        assert other[w]["rmse_uv"] == pytest.approx(np.sqrt(2.0), abs=0.05)


def test_samples_of_a_gap_and_of_another_window_do_not_count():
    rng = np.random.default_rng(2)
    t = np.arange(-50, 400) / 1000.0
    truth = rng.standard_normal((5, CHANNELS, t.size))
    wrong = truth.copy()
    wrong[:, :, (t < 0.020) | (t > 0.3005)] += 1e3
    assert metrics.singles(wrong, truth, t, t > 0.0195)["12-50"]["r"] == pytest.approx(1.0)
    assert metrics.singles(wrong, truth, t, t > 0.0195)["50-300"]["rmse_uv"] == 0.0
    assert metrics.singles(wrong, truth, t, np.ones(t.size, dtype=bool))["12-50"]["rmse_uv"] > 100


def test_half_the_size_is_seen_in_the_gain_and_the_survival_only():
    rng = np.random.default_rng(3)
    t, valid = np.arange(301) / 1000.0, np.ones(301, dtype=bool)
    answer, average = rng.standard_normal((2, CHANNELS, 301))
    found = metrics.tep(0.5 * answer, answer, t, valid)
    assert found["12-50"]["r"] == pytest.approx(1.0)
    assert found["12-50"]["gain"] == pytest.approx(0.5)
    assert metrics.survival(average + answer, average, answer) == pytest.approx({"share": 1.0, "r": 1.0})
    assert metrics.survival(average + 0.3 * answer, average, answer) == pytest.approx(
        {"share": 0.3, "r": 1.0}
    )
    assert metrics.survival(average, average, answer) == {"share": 0.0, "r": 0.0}
    assert metrics.survival(average - answer, average, answer)["share"] == pytest.approx(-1.0)


def test_indices_of_locked_independent_and_instantaneous_signals():
    rng = np.random.default_rng(4)
    size = rng.lognormal(0, 0.4, (N, CHANNELS, TIMES))
    lag = np.exp(1j * np.linspace(0.5, 2.5, CHANNELS))[:, None]
    locked = metrics.phase_measures(size * lag * np.ones((N, 1, TIMES)))
    for name in metrics.MEASURES:
        assert locked[name] == pytest.approx(1.0), name
    normal = rng.standard_normal((2, N, CHANNELS, 60))
    free = metrics.phase_measures(normal[0] + 1j * normal[1])
    assert free["itc"].mean() == pytest.approx(0.886 / np.sqrt(N), rel=0.1)
    assert free["plv"].mean() == pytest.approx(0.886 / np.sqrt(N), rel=0.1)
    assert free["wpli"].mean() == pytest.approx(1.12 / np.sqrt(N), rel=0.1)
    assert abs(free["dwpli2"].mean()) < 3 * 2.7 / N / np.sqrt(free["dwpli2"].size * 60)
    quarters = np.array([1, 1j, -1, -1j])[rng.integers(0, 4, (N, 1, TIMES))]  # exact: nothing is rounded
    one = metrics.phase_measures(quarters * np.arange(1, CHANNELS + 1)[:, None])
    assert one["plv"] == pytest.approx(1.0)
    assert not one["wpli"].any()
    assert not one["dwpli2"].any()
    flat = metrics.phase_measures(np.ones((N, 2, TIMES), dtype=complex))
    assert (flat["plv"][0], flat["wpli"][0], flat["dwpli2"][0]) == (1.0, 0.0, 0.0)


def test_indices_are_those_of_the_product():
    """Written twice, plainly here: the same numbers for every pair."""
    rng = np.random.default_rng(9)
    common = rng.standard_normal((2, 30, 1, TIMES))
    re, im = common + rng.standard_normal((2, 30, CHANNELS, TIMES))
    running = RunningConnectivity(CHANNELS, {"one": slice(0, TIMES)}, dtype=np.float64)
    for k in range(30):
        running.add(k, re[k], im[k])
    found, theirs = metrics.phase_measures(re + 1j * im), running.pair_values()
    for name in ("plv", "wpli", "dwpli2"):
        assert found[name] == pytest.approx(theirs[name][:, 0], abs=1e-9), name
    assert found["itc"] == pytest.approx(running.itc(range(CHANNELS))[:, 0], abs=1e-9)


def test_a_mixed_signal_has_bias_and_the_truth_itself_none():
    rng = np.random.default_rng(5)
    truth = _phases(rng, (N, CHANNELS, TIMES))
    own = metrics.phase_measures(truth)
    none = metrics.off(own, metrics.phase_measures(truth))
    assert all(v["bias"] == 0.0 and v["rmse"] == 0.0 for v in none.values())
    smooth = metrics.off(metrics.phase_measures(truth + 0.7 * truth.mean(axis=1, keepdims=True)), own)
    assert smooth["plv"]["bias"] > 0.05  # smoothing in space looks like locking
    assert smooth["plv"]["rmse"] >= smooth["plv"]["bias"]


def test_the_truth_is_seen_as_the_cleaned_trial_is(small):
    """Brain alone through the linear view; blanking a raw trial errs near the pulse and hardly far from it."""
    assert small.brain.shape == (30, 16, small.times_s.size)
    assert np.abs(small.brain.mean(axis=1)).max() < 1e-3  # average reference
    base = (small.times_s >= -0.6) & (small.times_s <= -0.01)
    assert np.abs(small.brain[:, :, base].mean(axis=2)).max() < 1e-2
    blank, _, _ = recordings.cleaned(methods()["blank"], small.raw, _no_batch(small))
    off = blank - small.brain
    assert (
        np.abs(off[:, :, base]).mean()
        < 1.0
        < np.abs(off[:, :, (small.times_s > 0.012) & (small.times_s < 0.03)]).mean()
    )


def _no_batch(small: recordings.Recording) -> recordings.Batch:
    return recordings.Batch(
        blanked_uv=np.empty((0, 0, 0), np.float32),
        times_s=small.times_s,
        rate_hz=1000.0,
        montage=small.montage,
        seed=1,
    )


@pytest.mark.parametrize("name", [n for n, m in methods().items() if m.spec is not None])
def test_an_online_method_knows_past_pulses_only(small, name):
    """What comes later changes nothing of what was cleaned before: bit for bit."""
    method, batch = methods()[name], _no_batch(small)
    whole, _, _ = recordings.cleaned(method, small.raw[:16], batch)
    other, _, _ = recordings.cleaned(method, small.raw[:12] + small.with_dipole()[12:16], batch)
    assert np.array_equal(whole[:12], other[:12])
    assert not np.array_equal(whole[12:], other[12:])


def test_the_full_chain_is_what_a_plan_with_muscle_gives():
    assert replace(FAST, **stages_of(Stages(muscle=True))) == methods()["full"].spec


def test_the_dipole_is_as_large_as_said_and_blanking_keeps_all_of_it(small):
    phases = recordings.Phases(small.times_s)
    assert small.dipole.max() == pytest.approx(
        recordings.DIPOLE_UV, rel=0.25
    ) or small.dipole.min() == pytest.approx(-recordings.DIPOLE_UV, rel=0.25)
    truth = phases.of(metrics.referred(small.brain[10:], small.good))
    takes = [
        recordings.cleaned(methods()["blank"], raw, _no_batch(small))[0]
        for raw in (small.raw, small.with_dipole())
    ]
    found = recordings.measured(small, takes[0], takes[1], phases, truth)
    assert found["survival"] == pytest.approx({"share": 1.0, "r": 1.0}, abs=1e-3)
    again = recordings.measured(small, small.brain, None, phases, truth)
    assert again["single"]["12-50"]["r"] == pytest.approx(1.0)
    assert max(abs(v["bias"]) for band in again["phase"].values() for v in band.values()) == 0.0
    assert phases.spans_ms["35 Hz"][1] == 80


def test_components_go_by_rule():
    t = np.arange(-800, 600) / 1000.0
    names = ("Fp1", "Fp2", *(f"E{i}" for i in range(30)))
    rng = np.random.default_rng(6)
    average, maps = 0.1 * rng.standard_normal((4, t.size)), rng.standard_normal((32, 4))
    average[1, (t >= 0.011) & (t <= 0.03)] += 5.0
    maps[:2, 2], maps[9, 3] = 8.0, 30.0
    maps[:, 0] = np.linspace(-1, 1, 32)
    out = components.chosen(average, maps, t, names)
    assert (out["muscle"], out["blink"], out["electrode"]) == ([1], [2], [3])


def test_goals_missed_are_said_in_words_and_met_ones_are_not():
    def numbers(r: float, left: float, bias: float, before: float) -> dict:
        index = {m: {"bias": bias, "rmse": 0.1, "truth": 0.2} for m in metrics.MEASURES}
        zero = {m: {"bias": before, "rmse": 0.1, "truth": 0.2} for m in metrics.MEASURES}
        window = {
            "r": r,
            "r_low": r,
            "rmse_uv": 1.0,
            "above_half": 1.0,
            "gain": 1.0,
            "gmfp_uv": 1.0,
            "true_gmfp_uv": 1.0,
        }
        both = dict.fromkeys(metrics.WINDOWS_S, window)
        return {
            "single": both, "tep": both, "survival": {"share": left, "r": 1.0}, "phase": {"35 Hz": index},
            "before": {"35 Hz": zero}, "note": {"words": ["a"]}, "cpu_s": 1.0,
        }  # fmt: skip

    good, bad, peer = (
        numbers(0.9, 0.95, 0.02, 0.01),
        numbers(0.7, 0.5, -0.05, 0.03),
        numbers(0.85, 0.9, 0.0, 0.0),
    )
    summary = tables.summarised([
        {"case": "a/M1", "seed": s, "methods": {"fast": good, "ica_sound": peer}} for s in (1, 2)
    ] + [{"case": "b/M1", "seed": 1, "methods": {"fast": bad, "ica_sound": peer, "sound": {"absent": "not there"}}}])  # fmt: skip
    assert summary["a/M1"]["fast"]["single"]["12-50"]["r"] == {
        "mean": pytest.approx(0.9),
        "sd": pytest.approx(0),
        "n": 2,
    }
    lines = tables.missed(summary)
    assert all(line.startswith("b/M1, fast") for line in lines)
    assert len(lines) == 2 + 1 + 3 + 1
    text = tables.tables(summary, {})
    assert "50 % of the injected dipole survives" in text
    assert "Absent: not there." in text

    line = tables.goals(summary, "fast").splitlines()[2:]
    assert line[0].startswith("| a/M1 | 0.900 (+0.050) | 0.900 (+0.050) | 95 % |")
    assert "**" not in line[0]
    assert line[1].count("**") == 2 * (2 + 1 + 3 + 1)


def test_runs_of_the_same_trials_are_joined_and_compared_where_both_went():
    def one(r: float) -> dict:
        return {"single": {w: {"r": r} for w in tables.WINDOWS}}

    ours = [{"case": "a/M1", "seed": s, "methods": {"full": one(r)}} for s, r in ((1, 0.5), (2, 0.9))]
    theirs = [{"case": "a/M1", "seed": 2, "methods": {"ica_sound": one(0.8)}}]
    both = tables.joined([ours, theirs])
    assert [list(r["methods"]) for r in both] == [["full"], ["full", "ica_sound"]]
    found = tables.summarised(both)["a/M1"]["full"]["single"]["12-50"]
    assert found["r"]["mean"] == pytest.approx(0.7)
    assert found["less_best"] == {"mean": pytest.approx(0.1), "sd": 0.0, "n": 1}  # not .7 - .8


def test_a_dipole_in_some_trials_is_followed_into_the_others(small):
    """Blanking leaves it where it was; a method that moves it shows how much, in which trials."""
    assert dipoles.present_in(30, 1.0, 1).all()
    present = dipoles.present_in(30, 0.5, 1)
    assert (present[:10].sum(), present[10:].sum()) == (5, 10)
    raw = small.raw_dipole(3.0, 0.020)
    dipole = small.seen(raw)
    assert np.abs(raw).max() == pytest.approx(3.0, rel=1e-3)
    takes = [
        recordings.cleaned(methods()["blank"], epochs, _no_batch(small))[0]
        for epochs in (small.with_dipole(raw, present), small.raw)
    ]
    found = dipoles.left_of(small, *takes, dipole, present)
    assert found == pytest.approx({"left": 1.0, "bled": 0.0, "r": 1.0}, abs=1e-3)
    moved = takes[1] + dipole * np.where(present, 0.6, -0.3)[:, None, None]
    assert dipoles.left_of(small, moved, takes[1], dipole, present) == pytest.approx(
        {"left": 0.6, "bled": -0.3, "r": 1.0}, abs=1e-3
    )
    row = {
        "case": "a/M1",
        "method": "full",
        "part": 0.5,
        "size_uv": 3.0,
        "latency_ms": 20.0,
        "left": 0.6,
        "bled": -0.3,
    }
    assert "| 60 (60-60) -30 |" in dipoles.tables([row])
    places = [
        row | {"part": 1.0, "place": p, "muscle_share": 0.1 * p, "left": 1 - 0.1 * p, "seed": seed}
        for p in (1, 4)
        for seed in (1, 2)
    ]
    assert dipoles.by_place([row, *places]).splitlines()[2] == "| a/M1 | full | 20 ms | 0.10: 90 | 0.40: 60 |"


def test_a_field_of_the_muscle_is_held_by_it_and_another_is_not(small):
    muscle = small._muscle @ np.array([0.3, -2.0])
    assert small.muscle_share(muscle) == pytest.approx(1.0)
    assert small.muscle_share(np.random.default_rng(1).standard_normal(16)) < 0.6
    here, there = (small.raw_dipole(place=p)[:, small._pulse_sample + 25] for p in (None, 4))
    assert np.array_equal(here, small.raw_dipole(place=3)[:, small._pulse_sample + 25])  # the seed's
    assert not np.allclose(here, there)
    assert 0.0 <= small.muscle_share(here) < 1.0


def test_everything_once_with_every_method_there_is(tmp_path):
    names = tuple(methods())
    found = validation.run(
        ("unequal_muscle/PSI",), names, seeds=1, pulses=24, channels=16, rate_hz=1000.0, dipole=False
    )
    one = found["recordings"][0]["methods"]
    assert list(one) == list(names)
    assert not [n for n, m in one.items() if "absent" in m]
    for name, m in one.items():
        assert 0.0 <= m["single"]["50-300"]["r"] <= 1.0, name
        assert set(m["phase"]) == {"alpha", "low_beta", "high_beta", "35 Hz"}, name
    assert (
        one["sspsir"]["single"]["12-50"]["r"] > one["blank"]["single"]["12-50"]["r"] + 0.1
    )  # 600 µV of muscle
    assert one["sound"]["before"]["alpha"]["plv"]["bias"] > 0.0
    short = validation.written(found, tmp_path)
    assert "unequal_muscle/PSI" in short
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".md", ".svg"}
    assert json.loads((tmp_path / "signal.json").read_text())["about"]["pulses"] == 24


def test_a_run_that_was_broken_off_goes_on(tmp_path, monkeypatch):
    made: list[int] = []

    def fake(task, known, dipole):
        made.append(task.seed)
        if task.seed == 2 and len(made) == 2:
            raise KeyboardInterrupt
        return {"spans_ms": {}, "made_s": 0.5, "methods": {"fast": {"cpu_s": 1.0 + task.seed}}}

    monkeypatch.setattr(validation, "record", fake)
    keep = tmp_path / "recordings.jsonl"
    with pytest.raises(KeyboardInterrupt):
        validation.run(("default/M1",), ("fast",), seeds=3, pulses=20, keep=keep)
    keep.write_text(keep.read_text() + '{"key": "cut o', encoding="utf-8")
    found = validation.run(("default/M1",), ("fast",), seeds=3, pulses=20, keep=keep)
    assert made == [1, 2, 2, 3]
    assert found["summary"]["default/M1"]["fast"]["cpu_s"]["mean"] == pytest.approx(3.0)
    assert [r["seed"] for r in found["recordings"]] == [1, 2, 3]
    validation.run(("default/M1",), ("fast",), seeds=3, pulses=30, keep=keep)  # another question: made anew
    assert made[4:] == [1, 2, 3]


def test_dipoles_and_persons_of_a_run_that_was_broken_off_are_kept(tmp_path, monkeypatch):
    made: list[str] = []

    def dipole(task):
        made.append(f"{task[0].case} {task[0].seed}")
        return {"key": repr(task), "rows": [{"case": task[0].case, "seed": task[0].seed}]}

    monkeypatch.setattr(dipoles, "work", dipole)
    which = dipoles.Dipoles(sizes_uv=(5.0,), latencies_ms=(25.0,), parts=(1.0,))
    dipoles.run(["default/M1"], ["fast"], which, seeds=1, pulses=30, keep=tmp_path / "a")
    rows = dipoles.run(["default/M1"], ["fast"], which, seeds=2, pulses=30, keep=tmp_path / "a")
    assert made == ["default/M1 1", "default/M1 2"]
    assert [r["seed"] for r in rows] == [1, 2]

    def person(task):
        made.append(f"{task[4]} {task[1]}")
        at = {"20": {s: _estimate(0.1 * task[1], 0.1) for s in scores.SCOPES}}
        one = {"truth": dict.fromkeys(scores.SCOPES, 0.1), "recordings": [{"at": at, "rejected": 0.0}] * 2}
        return {"key": repr(task), "person": task[1], "targets": {"A": one, "B": one}}

    monkeypatch.setattr(scores, "work", person)
    for chain, persons in (("fast", 1), ("fast", 3), ("full", 2)):
        found = scores.run("default", persons, (20,), chain, 0.3, keep=tmp_path / "b")
        assert [p["person"] for p in found["people"]] == [*range(1, persons + 1)]
    assert made[2:] == ["fast 1", "fast 2", "fast 3", "full 1", "full 2"]


def test_semi_synthetic_trials_have_the_real_channels_and_their_own_name(shared_data):
    task = recordings.Task(
        scene="default", target="M1", seed=1, pulses=3, channels=64, rate_hz=1000.0, real=str(shared_data)
    )
    real = recordings.Recording(task)
    assert task.case == "default/M1, real EEG"
    assert (real.brain.shape[:2], real.montage.n_channels) == ((3, 64), 64)
    assert not np.allclose(real.brain[0], real.brain[1])  # the loop goes on from trial to trial
    assert 1.0 < real.brain.std() < 100.0  # µV
    with pytest.raises(ValidationProblem, match="channels"):
        recordings.Recording(replace(task, channels=63))


def test_eyes_go_and_what_is_not_of_the_eyes_stays():
    rng = np.random.default_rng(2)
    names = ("Fp1", "Fpz", "Fp2", "Af7", "Af8", "Cz")
    brain = rng.standard_normal((5000, 6)).astype(np.float32)
    blink, side = 200 * np.abs(rng.standard_normal((5000, 1))), 100 * rng.standard_normal((5000, 1))
    eyes = blink * [1, 1, 1, 0.6, 0.6, 0.1] + side * [0.1, 0, -0.1, 1, -1, 0]
    found = recordings.without_eyes((brain + eyes).astype(np.float32), names)
    assert np.corrcoef(found[:, 5], brain[:, 5])[0, 1] > 0.99
    assert np.abs(found).max() < 10.0


def test_what_cannot_be_run_is_refused():
    with pytest.raises(ValidationProblem, match="magic"):
        validation.run(("default/M1",), ("magic",), seeds=1, pulses=30)
    with pytest.raises(ValidationProblem, match="few pulses"):
        validation.run(("default/M1",), ("fast",), seeds=1, pulses=12)
    with pytest.raises(ValidationProblem, match="no target"):
        validation.case_of("default/nowhere")
    assert validation.case_of("default") == ("default", "M1")
    assert methods()["fast"].spec == FAST


# -- the scores -------------------------------------------------------------------------------------------------


def test_two_recordings_that_differ_by_their_standard_error_agree_as_stated():
    rng = np.random.default_rng(7)
    truth, se = rng.normal(0, 2.0, 4000), np.full(4000, 0.5)
    first, second = truth + rng.normal(0, 0.5, (2, 4000))
    found = scores.agreement(first, second, se, se)
    assert found["icc"] == pytest.approx(4 / 4.25, abs=0.01)
    assert found["sem"] == pytest.approx(0.5, rel=0.05)
    assert found["z_sd"] == pytest.approx(1.0, abs=0.04)
    assert found["z_inside"]["hits"] / found["z_inside"]["n"] == pytest.approx(0.95, abs=0.012)
    assert scores.agreement(first, second, se / 2, se / 2)["z_sd"] == pytest.approx(2.0, abs=0.08)
    assert scores.agreement(first, rng.permutation(second), se, se)["icc"] == pytest.approx(0.0, abs=0.05)


def test_scores_that_are_the_truth_rank_rightly_and_promise_what_comes_true():
    rng = np.random.default_rng(8)

    def people(noise: float, n: int = 200) -> list[dict]:
        out = []
        for number in range(n):
            targets = {}
            for name in "ABCD":
                truth = float(rng.normal())
                at = [
                    {
                        "20": {
                            s: _estimate(truth + noise * rng.normal(), max(noise, 1e-3))
                            for s in scores.SCOPES
                        }
                    }
                    for _ in "12"
                ]
                targets[name] = {
                    "truth": dict.fromkeys(scores.SCOPES, truth),
                    "recordings": [{"at": a, "rejected": 0.0} for a in at],
                }
            out.append({"person": number, "targets": targets})
        return out

    exact = scores.summarised(people(0.0), [20, 40])["20"]["global"]
    assert exact["rank_r"] == pytest.approx(1.0)
    assert exact["lowest_right"]["hits"] == exact["persons"] == 200
    assert exact["wrong_of_stated"]["hits"] == 0
    noisy = scores.summarised(people(1.0), [20])["20"]["local"]
    assert 0.4 < noisy["rank_r"] < 0.85
    assert 0.4 < noisy["lowest_right"]["hits"] / 200 < 0.75
    none = scores.summarised(people(0.0), [20, 40])["40"]["global"]
    assert (none["persons"], none["left_out"]) == (0, 200)
    assert "0 (200 left out)" in scores.tables({"40": {"global": none}})


def _estimate(value: float, se: float) -> dict:
    return {"value": value, "se": se, "low": value - 1.96 * se, "high": value + 1.96 * se}


def test_one_person_is_recorded_twice_and_the_scores_come_at_the_pulses_asked():
    base = validation.load_scene("default")
    one, other = (scores.person(base, k, 0.3) for k in (1, 2))
    assert one == scores.person(base, 1, 0.3)
    assert one.target("M1").kappa_global != other.target("M1").kappa_global
    assert 0.7 <= one.target("PSI").amplitude <= 1.0
    found = [scores.recorded(one, "M1", seed, (5, 8), "fast") for seed in (1, 1, scores.SECOND + 1)]
    assert set(found[0]["at"]) == {"5", "8"}
    assert found[0] == found[1]
    assert found[0]["at"]["8"]["global"]["value"] != found[2]["at"]["8"]["global"]["value"]
    with pytest.raises(ValueError, match="no online method"):
        scores.spec_of("ica")
