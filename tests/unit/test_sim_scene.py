"""Scenes: what is shipped says what it promises; what is wrong in a file is named."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from hardware_sim.scene import load_scene, scene_names
from rtloop.errors import ValidationProblem


def test_shipped_scenes_keep_their_promise() -> None:
    assert {"default", "equal_quality", "unequal_intensity", "unequal_muscle", "unequal_placement"} <= set(
        scene_names()
    )
    for name in scene_names():
        scene = load_scene(name)
        assert scene.ranked == ("M1", "DLPFC", "ACC", "PSI")
        assert scene.name == name
        assert pickle.loads(pickle.dumps(scene)) == scene
        truths = [(scene.targets[t].kappa_global, scene.targets[t].kappa_local) for t in scene.ranked]
        if name == "equal_quality":
            assert sorted(truths)[0] < sorted(truths)[1] == sorted(truths)[3]
        elif name == "near_tie":
            assert sorted(truths)[0] == sorted(truths)[1] < sorted(truths)[2] == sorted(truths)[3]
        elif name == "equal" or name.startswith("unequal"):
            assert len(set(truths)) == 1, f"{name} must have equal truth"
        else:
            assert len({g for g, _ in truths}) == len({x for _, x in truths}) == 4
    intensity = load_scene("unequal_intensity")
    assert sorted(t.amplitude for t in intensity.targets.values()) == [0.8, 1.0, 1.0, 1.0]


def test_everything_wrong_is_listed_at_once(tmp_path: Path) -> None:
    file = tmp_path / "odd.toml"
    file.write_text(
        'name = "odd"\ncolour = "red"\n[targets.M1]\ncoil = "Q9"\nkappa_globl = 1.0\ngain_cv = nan\n'
        '[targets.X]\ncoil = "C3"\namplitude = "big"\n'
    )
    with pytest.raises(ValidationProblem) as problem:
        load_scene(file)
    for word in ("colour", "Q9", "kappa_globl", "gain_cv", "targets.X.amplitude"):
        assert word in str(problem.value)


def test_a_missing_scene_and_a_missing_target_name_what_there_is() -> None:
    with pytest.raises(ValidationProblem, match="unequal_muscle"):
        load_scene("no-such-scene")
    with pytest.raises(ValidationProblem, match="DLPFC"):
        load_scene("default").target("V1")
    with pytest.raises(ValidationProblem, match="geometry"):
        load_scene("default").varied("M1", geometry="M1")


def test_a_variation_is_checked_and_leaves_the_rest() -> None:
    scene = load_scene("default")
    other = scene.varied("M1", kappa_global=0.1).varied(noise={"line_uv": 0.0})
    assert other.targets["M1"].kappa_global == 0.1
    assert other.noise.line_uv == 0.0
    assert other.noise.brain_uv == scene.noise.brain_uv
    assert other.targets["PSI"] == scene.targets["PSI"]
    with pytest.raises(ValidationProblem, match="kappa_global"):
        scene.varied("M1", kappa_global=-1.0)
