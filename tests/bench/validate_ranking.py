"""What the raw ranking is worth: many simulated mappings with known truth, scored by the objects of the live line.

    python tests/bench/validate_ranking.py [--seeds 200] [--pulses 60] [--jobs 2] [--out FILE.json]

Trials come from ``hardware_sim.head.generate_trials`` at 1 kHz and go one by one through ``TargetScorer`` until exactly
``--pulses`` of them are accepted; the ranking is ``rtloop.decide.ranking.rank`` on the scores. A few seeds run through the
whole line on the stepped clock, to show that both agree. Prints Markdown; asserts nothing. Every number follows from the
arguments. Two targets that are equal in everything but their scene's name (same truth, name and seed) are scored once:
scenes therefore share draws.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import contextlib
import json
import multiprocessing
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ranking_summary import LINE_SCENE, SCOPES, summarise, tables

import hardware_sim.brain
import rtloop.session.scorer as scorer_module
from hardware_sim.head import generate_trials
from hardware_sim.scene import Scene, load_scene
from rtloop.app.setting import Request, chain_of
from rtloop.app.stepped import hold_stepped
from rtloop.dsp.spec import ChainSpec
from rtloop.model.estimate import Estimate, Scores
from rtloop.model.montage import HEAD_RADIUS_M, Montage, names_for, position_of
from rtloop.model.samples import Epoch
from rtloop.plan.load import load_plan
from rtloop.session.line import key_of
from rtloop.session.scorer import TargetScorer, score_trials

SCENES = ("equal_quality", "equal", "unequal_intensity", "unequal_placement", "unequal_muscle", "default")
RATE_HZ = 1000.0
BATCH = 64  # a multiple of the 16 trials that generate_trials makes at once
MORE_SEED, TRUTH_SEED = 1_000_000, 900_000_000
MOST_TRIALS = 20  # times the pulses wanted: then the scene is refused

PLAN = """
[plan]
name = "validation"
kind = "map"
schema = 1
[unit]
model = "200"
coil = "70 mm figure-of-eight"
waveform = "monophasic"
[timing]
isi_s = [2.05, 2.15]
lead_s = 0.3
[caps]
power_pct_mso_max = 49
pulses_total_max = 2000
[signal]
window_ms = [15.0, 300.0]
gap_ms = [-2.0, 10.0]
[arm]
question = "none"
[order]
kind = "as_listed"
"""
PLAN_TARGET = """
[[targets]]
name = "{name}"
coil_at = "{coil}"
intensity_pct_mso = 45
pulses_wanted = {wanted}
pulses_max = {most}
preview = {{ pulses = 1, steps_pct_mso = [45] }}
accept = {{ early_response_uv_min = 6.0, rejected_share_max = 0.5 }}
"""


def truth_key(scene: Scene, target: str) -> str:
    """Everything a target's trials depend on but its name and the seed, as text."""
    rest = scene.model_dump(exclude={"name", "description", "targets"})
    own = scene.target(target).model_dump(exclude={"geometry"})
    return json.dumps([rest, own, scene.geometry_of(target).coil], sort_keys=True)


@contextlib.contextmanager
def shared_parts() -> Iterator[None]:
    """Lead fields and the chain's matrices, which no seed changes, are computed once; the numbers stay the same."""
    chains: dict[str, Any] = {}
    fields: dict[Any, Any] = {}
    chain, field = scorer_module.Chain, hardware_sim.brain.leadfield

    def one_chain(spec: ChainSpec, **rest: Any) -> Any:
        if spec.sound or spec.muscle:  # it learns from its trials
            return chain(spec, **rest)
        key = repr((spec, rest))
        if key not in chains:
            chains[key] = chain(spec, **rest)
        return chains[key]

    def one_field(*arrays: np.ndarray) -> Any:
        key = tuple(a.tobytes() for a in arrays)
        if key not in fields:
            fields[key] = field(*arrays)
        return fields[key].copy()

    scorer_module.Chain, hardware_sim.brain.leadfield = one_chain, one_field
    try:
        yield
    finally:
        scorer_module.Chain, hardware_sim.brain.leadfield = chain, field


def live_spec() -> ChainSpec:
    """The chain of the library's full mapping plan, on the trials of ``generate_trials`` (which end before +600 ms)."""
    return chain_of(load_plan("map-200")).fitted_to(-0.8, 0.6 - 1 / RATE_HZ)


def coil_m(scene: Scene, target: str) -> np.ndarray:
    """Where the coil stands: float64[3], metres."""
    place = position_of(scene.target(target).coil)
    assert place is not None
    return np.asarray(place) * HEAD_RADIUS_M


def mapped(scene: Scene, target: str, wanted: int, seed: int, n_channels: int) -> tuple[Scores, float]:
    """Scores after exactly ``wanted`` accepted trials, and the share rejected on the way."""
    montage = Montage.from_names(names_for(n_channels))
    scorer = TargetScorer(target, live_spec(), RATE_HZ, montage, coil_m(scene, target), capacity=wanted + 8)
    for k in range(MOST_TRIALS * wanted // BATCH + 2):
        missing = wanted - scorer.n_accepted
        want = min(BATCH, -(-missing // 16) * 16) if k == 0 else BATCH if missing > 16 else 32
        data, pulse = generate_trials(scene, target, want, RATE_HZ, seed + k * MORE_SEED, montage)
        for trial in data:
            scorer.process(Epoch(data=trial, rate_hz=RATE_HZ, pulse_sample=pulse), scorer.seen)
            if scorer.n_accepted == wanted:
                return scorer.scores(), 1.0 - wanted / scorer.seen
    raise RuntimeError(f"{scene.name}, {target}, seed {seed}: {scorer.n_accepted} of {scorer.seen} accepted")


def brief(scores: Scores) -> dict[str, Any]:
    """What is kept of a target's scores."""
    out: dict[str, Any] = {s: scores.score(s).to_dict() for s in SCOPES}
    return out | {"snr": scores.evoked["snr"].value, "n": scores.n_accepted}


# -- work for one process ---------------------------------------------------------------------------------------


def work(task: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any, float]:
    """One piece of work; returns (task, result, CPU seconds)."""
    start = time.process_time()
    kind, *rest = task
    result = {"draws": _draws, "truth": _truth, "line": _line}[kind](*rest)
    return task, result, time.process_time() - start


def _draws(
    scene: str, target: str, seeds: tuple[int, ...], pulses: int, channels: int
) -> list[dict[str, Any]]:
    out = []
    with shared_parts():
        for seed in seeds:
            scores, rejected = mapped(load_scene(scene), target, pulses, seed, channels)
            out.append({"seed": seed, "rejected": rejected, **brief(scores)})
    return out


def _truth(scene: str, target: str, trials: int, channels: int) -> dict[str, Any]:
    with shared_parts():
        scores, rejected = mapped(load_scene(scene), target, trials, TRUTH_SEED, channels)
    return {"rejected": rejected, **brief(scores)}


def _line(seed: int, pulses: int, channels: int, targets: tuple[str, ...] = ()) -> dict[str, Any]:
    """A whole session (of all targets, or these); its epochs, cut from the ring, go through ``score_trials`` once more."""
    scene = load_scene(LINE_SCENE)
    targets = targets or tuple(scene.targets)
    epochs: dict[str, list[np.ndarray]] = {name: [] for name in targets}
    done: set[int] = set()
    seen: dict[str, Any] = {}

    def cut(sitting: Any, bench: Any, now_s: float) -> None:
        line = sitting.line
        seen["line"] = line
        before, after = round(0.8 * RATE_HZ), round(0.6 * RATE_HZ)
        for trial_id in line.trial_block.keys() - done:
            done.add(trial_id)
            label, trial = line.trial_block[trial_id]
            if label.block == "run" and trial.verdict.accepted:
                window = sitting.bench.source.window(trial.seen.sample - before, before + after + 1)
                epochs[label.target].append(np.array(window.data.T, dtype=np.float32))

    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.toml"
        parts = [
            PLAN_TARGET.format(name=n, coil=scene.target(n).coil, wanted=pulses, most=2 * pulses)
            for n in targets
        ]
        plan.write_text(PLAN + "".join(parts), encoding="utf-8")
        request = Request(
            kind="map", plan=str(plan), simulate=True, data_dir=Path(folder) / "data", seed=seed, rate_hz=RATE_HZ,
            scene=LINE_SCENE, channels=channels,
        )  # fmt: skip
        sat = hold_stepped(request, lambda text: None, each=cut)
    line, found, worst = seen["line"], {}, 0.0
    for name, data in epochs.items():
        block = line.scorer(name, "run")
        scores = block.scores()
        again = score_trials(
            np.stack(data), rate_hz=RATE_HZ, montage=line.montage, pulse_sample=800, target=name,
            coil=coil_m(scene, name), spec=line.spec,
        ).scores  # fmt: skip
        shown = sat.data["targets"][key_of(name, "run")]["scores"]["connectivity"]["dwpli2"]
        for scope in SCOPES:
            e = again.score(scope)
            for other in (scores.score(scope), Estimate.from_dict(shown[scope]["pooled"])):
                worst = max(worst, abs(e.value - other.value), abs(e.se - other.se))
        found[name] = {"rejected": 1 - block.n_accepted / block.seen, **brief(scores)}
    return {"seed": seed, "exit_code": sat.exit_code, "targets": found, "worst_difference": worst}


# -- everything -------------------------------------------------------------------------------------------------


def run(
    seeds: int, pulses: int, channels: int, truth: int, line_seeds: int, jobs: int, scenes: tuple[str, ...]
) -> dict[str, Any]:
    """All numbers: per scene and target the draws, the truth, and the whole-line sessions."""
    start_s = time.monotonic()
    wanted: dict[tuple[str, str], tuple[str, str]] = {}  # (truth, name) -> where it is made
    truths: dict[str, tuple[str, str]] = {}
    for scene_name in scenes:
        scene = load_scene(scene_name)
        for name in scene.targets:
            wanted.setdefault((truth_key(scene, name), name), (scene_name, name))
            truths.setdefault(truth_key(scene, name), (scene_name, name))
    every = tuple(range(1, seeds + 1))
    tasks: list[tuple[Any, ...]] = [("line", s, pulses, channels) for s in range(1, line_seeds + 1)]
    tasks += [("truth", *where, truth, channels) for where in truths.values()]
    tasks += [
        ("draws", *where, every[i : i + 10], pulses, channels)
        for where in wanted.values()
        for i in range(0, seeds, 10)
    ]
    results: dict[tuple[Any, ...], Any] = {}
    cpu_s = {"draws": 0.0, "truth": 0.0, "line": 0.0}
    with contextlib.ExitStack() as stack:
        pool = None
        if jobs > 1:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(jobs))
        for task, result, spent_s in (pool.imap_unordered if pool else map)(work, tasks):
            results[task], cpu_s[task[0]] = result, cpu_s[task[0]] + spent_s
            if len(results) % 20 == 0:
                print(f"{len(results)} of {len(tasks)} pieces", file=sys.stderr, flush=True)
    out: dict[str, Any] = {"scenes": {}, "truth": {}, "alike": {}, "line": []}
    for scene_name in scenes:
        scene = load_scene(scene_name)
        of: dict[str, Any] = {}
        for name in scene.targets:
            key = truth_key(scene, name)
            made = wanted[key, name]
            out["alike"][f"{scene_name}/{name}"] = "/".join(truths[key])
            of[name] = [
                d
                for i in range(0, seeds, 10)
                for d in results["draws", *made, every[i : i + 10], pulses, channels]
            ]
            out["truth"].setdefault(scene_name, {})[name] = results["truth", *truths[key], truth, channels]
        out["scenes"][scene_name] = of
    out["line"] = [results[t] for t in tasks if t[0] == "line"]
    out["about"] = {
        "seeds": f"1..{seeds}", "more_trials_seed": f"seed + k * {MORE_SEED}", "truth_seed": TRUTH_SEED,
        "line_seeds": f"1..{line_seeds}", "pulses": pulses, "channels": channels, "truth_trials": truth, "jobs": jobs,
        "distinct_targets": len(wanted), "wall_s": round(time.monotonic() - start_s, 1),
        "cpu_s": {k: round(v, 1) for k, v in cpu_s.items()}, "python": platform.python_version(), "numpy": np.__version__,
    }  # fmt: skip
    return out


def main(argv: list[str] | None = None) -> None:
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--seeds", type=int, default=200)
    ask.add_argument("--pulses", type=int, default=60, help="accepted pulses a target")
    ask.add_argument("--channels", type=int, default=63)
    ask.add_argument("--truth", type=int, default=3000, help="accepted trials behind each true score")
    ask.add_argument("--line-seeds", type=int, default=4, help="sessions through the whole line")
    ask.add_argument("--jobs", type=int, default=2)
    ask.add_argument("--scenes", nargs="+", default=list(SCENES), choices=SCENES)
    ask.add_argument("--out", type=Path, help="every draw and every summary as JSON")
    a = ask.parse_args(argv)
    found = run(a.seeds, a.pulses, a.channels, a.truth, a.line_seeds, a.jobs, tuple(a.scenes))
    summary = summarise(found)
    print(json.dumps(found["about"], indent=1))
    print(tables(summary))
    if a.out:
        a.out.write_text(json.dumps({"summary": summary, **found}), encoding="utf-8")


if __name__ == "__main__":
    main()
