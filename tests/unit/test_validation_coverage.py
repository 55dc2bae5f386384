"""The bench of the intervals: what it counts, and a tiny run of all of it that goes on where it was broken off."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import validate_coverage as bench
import validate_local


def drawn(se: float, shift: float = 0.0, n: int = 400) -> list[dict[str, object]]:
    """Recordings of one measure with true value 5 and SD 1 at "60" trials."""
    rng = np.random.default_rng(4)
    value = 5.0 + shift + rng.standard_normal(n)
    return [
        {"target": ("A", "B")[i % 2], "seed": i, "at": {"60": {"m global pooled": [v, se, v - 1.96 * se, v + 1.96 * se]}}}
        for i, v in enumerate(value.tolist())
    ]  # fmt: skip


def test_right_wide_and_biased_intervals_are_told_apart() -> None:
    truths = {t: {"m global pooled": [5.0, 0.0, 5.0, 5.0]} for t in "AB"}
    right, wide, biased = (
        bench.judged(d, truths, "60")["m global pooled"] for d in (drawn(1.0), drawn(2.0), drawn(1.0, 2.0))
    )
    assert right["covered"]["hits"] / 400 == pytest.approx(0.95, abs=0.03)
    assert right["se_sd"] == pytest.approx(1.0, abs=0.1)
    assert wide["covered"]["hits"] > 395
    assert wide["width"] == pytest.approx(2 * right["width"])
    assert biased["covered"]["hits"] < 240
    assert biased["of_mean"]["hits"] == right["of_mean"]["hits"]  # the standard error alone is right
    assert biased["above"]["hits"] + biased["covered"]["hits"] == 400
    assert biased["bias_sd"] == pytest.approx(2.0, abs=0.2)


def test_a_measure_without_truth_is_left_out() -> None:
    assert bench.judged(drawn(1.0), {"A": {}, "B": {}}, "60") == {}


def test_a_broken_off_run_goes_on_and_gives_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "BATCH", 32)
    out = tmp_path / "draws.jsonl"
    bench.run("lateral", 1, (12, 16), 24, 0, 1, 1, out, ["M1"])
    lines = out.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2  # one truth, one recording
    out.write_text(lines[0] + "\n", encoding="utf-8")
    bench.run("lateral", 1, (12, 16), 24, 0, 1, 1, out, ["M1"])
    assert out.read_text(encoding="utf-8").splitlines() == lines
    draw = bench.lines_of(out)[1]
    found = bench.summarised([*bench.lines_of(out), draw, draw], (12, 16), 24)
    assert found["16"]["dwpli2 global pooled"]["covered"]["n"] == 3
    assert found["16"]["dwpli2 global pooled"]["width"] < found["12"]["dwpli2 global pooled"]["width"]
    assert "dwpli2 local pooled" in bench.tables(found)


def test_persons_recorded_twice_are_compared_and_ranked_against_what_they_differ_in() -> None:
    rng = np.random.default_rng(2)
    people = []
    for kappa in rng.uniform(0.3, 6.0, 60):
        both = [
            {"at": {"50": {"dwpli2 local pooled": [k, 0.5, k - 0.98, k + 0.98]}}}
            for k in kappa + 0.5 * rng.standard_normal(2)
        ]
        people.append({"kappa": float(kappa), "amplitude": float(rng.random()), "recordings": both})  # fmt: skip
    found = validate_local.summarised(people, (50,))["50"]["dwpli2 local pooled"]
    assert found["persons"] == 60
    assert found["icc"] > 0.85
    assert found["sem"] == pytest.approx(0.5, rel=0.3)
    assert found["z_sd"] == pytest.approx(1.0, abs=0.3)
    assert found["width"] == pytest.approx(1.96)
    assert found["rank_kappa"] > 0.9 > abs(found["rank_amplitude"])
    assert "dwpli2 local pooled" in validate_local.tables({"50": {"dwpli2 local pooled": found}})
