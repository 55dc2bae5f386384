"""What the intervals are worth: many simulated recordings of the same targets, and how often an interval holds the truth.

    python tests/bench/validate_coverage.py --out FILE.jsonl [--scene default] [--targets M1 ...] [--recordings 500]
        [--pulses 60 100] [--truth 3000] [--beside 0] [--jobs 1] [--first 1]

Recordings are spread evenly over the scene's targets; trials come from ``hardware_sim.head.generate_trials`` at 1 kHz and go
one by one through ``TargetScorer`` with the shipped mapping plan's settings, until so many are accepted. An interval is
held against two things: the same number from ``--truth`` accepted trials of the same target (so a measure that is biased by
the number of trials misses it), and the mean of all recordings at the same number of trials (the standard error alone).
``--beside`` recordings of each target also get what is computed in a pause. Nothing here varies the head: a draw is a
recording, not a person. Asserts nothing; every number follows from the arguments. A run that was broken off goes on from
``--out``; ``--recordings 0`` makes the tables of what is there.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from kept_lines import each_kept, lines_of
from ranking_statistics import share, table, told
from validate_ranking import (
    BATCH,
    MORE_SEED,
    MOST_TRIALS,
    RATE_HZ,
    TRUTH_SEED,
    coil_m,
    live_spec,
    shared_parts,
)

from hardware_sim.head import generate_trials
from hardware_sim.scene import Scene, load_scene
from rtloop.model.estimate import BANDS_HZ, Scores
from rtloop.model.montage import Montage, names_for
from rtloop.model.samples import Epoch
from rtloop.session.scorer import TargetScorer

CHANNELS = 63
LEAST, MOST = 0.92, 0.98  # shares covered that are worth a look: nominal less and plus 3 points


def flat(*parts: Scores) -> dict[str, list[float]]:
    """ "measure scope band" or the name of an evoked number -> value, SE, low, high; what is absent is left out."""
    found = {}
    for scores in parts:
        for measure, scopes in scores.connectivity.items():
            for scope, bands in scopes.items():
                found.update({f"{measure} {scope} {b}": e for b, e in bands.items()})
        found.update({k.replace(":", " "): e for k, e in scores.evoked.items()})
    return {k: [e.value, e.se, e.low, e.high] for k, e in found.items() if e.present}


def recorded(
    scene: Scene, target: str, seed: int, pulses: Sequence[int], beside: bool = False
) -> dict[str, Any]:
    """All numbers after each of these counts of accepted trials."""
    montage, most = Montage.from_names(names_for(CHANNELS)), max(pulses)
    out: dict[str, Any] = {"target": target, "seed": seed, "at": {}}
    scorer = TargetScorer(target, live_spec(), RATE_HZ, montage, coil_m(scene, target), capacity=most + BATCH)
    for k in range(MOST_TRIALS * most // BATCH + 2):
        data, pulse = generate_trials(scene, target, BATCH, RATE_HZ, seed + k * MORE_SEED, montage)
        for trial in data:
            before = scorer.n_accepted
            scorer.process(Epoch(data=trial, rate_hz=RATE_HZ, pulse_sample=pulse), scorer.seen)
            n = scorer.n_accepted
            if n != before and n in pulses:
                parts = [scorer.scores(), scorer.beside()] if beside else [scorer.scores()]
                out["at"][str(n)] = flat(*parts)
            if n == most:
                return out | {"rejected": 1.0 - n / scorer.seen}
    raise RuntimeError(f"{scene.name}, {target}, seed {seed}: {scorer.n_accepted} of {scorer.seen} accepted")


def work(task: tuple[str, str, int, tuple[int, ...], bool]) -> dict[str, Any]:
    """One recording, or one truth."""
    scene, *rest = task
    with shared_parts():
        return recorded(load_scene(scene), *rest)


# -- summary ----------------------------------------------------------------------------------------------------


def judged(
    draws: Sequence[dict[str, Any]], truths: dict[str, dict[str, list[float]]], n: str
) -> dict[str, Any]:
    """name -> how the intervals at ``n`` trials did, over all targets."""
    by: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    for d in draws:
        for name, e in d["at"].get(n, {}).items():
            by[name][d["target"]].append(e)
    out = {}
    for name, targets in by.items():
        held, own, low, high, width, bias, ratio, worst = [], [], [], [], [], [], [], []
        for target, rows in targets.items():
            true = truths.get(target, {}).get(name)
            e = np.array(rows)
            if true is None or len(rows) < 3:
                continue
            value, se = e[:, 0], e[:, 1]
            inside = (e[:, 2] <= true[0]) & (true[0] <= e[:, 3])
            held += inside.tolist()
            worst.append(float(inside.mean()))
            own += ((e[:, 2] <= value.mean()) & (value.mean() <= e[:, 3])).tolist()
            low += (e[:, 3] < true[0]).tolist()
            high += (e[:, 2] > true[0]).tolist()
            sd = float(value.std(ddof=1))
            width.append(float(np.mean(e[:, 3] - e[:, 2])))
            if sd > 0:
                bias.append((float(value.mean()) - true[0]) / sd)
                ratio.append(float(se.mean()) / sd)
        if held:
            out[name] = {
                "covered": share(held), "worst_target": min(worst), "best_target": max(worst), "of_mean": share(own),
                "below": share(low), "above": share(high), "width": float(np.mean(width)),
                "bias_sd": float(np.mean(bias)) if bias else math.nan, "se_sd": float(np.mean(ratio)) if ratio else math.nan,
            }  # fmt: skip
    return out


def tables(summary: dict[str, dict[str, Any]]) -> str:
    """Markdown: pooled and band-free measures, a row each, for each number of trials; then bands that stand out."""
    head = [
        "pulses",
        "measure",
        "covered",
        "worst-best target, %",
        "below / above, %",
        "mean at N covered",
        "SE / SD",
        "bias, SD",
        "width",
    ]
    rows, odd = [], []
    for n, names in summary.items():
        for name, s in sorted(names.items()):
            of = [100 * s[k]["hits"] / s[k]["n"] for k in ("below", "above", "of_mean")]
            row = [
                n, name, told(s["covered"]), f"{100 * s['worst_target']:.0f}-{100 * s['best_target']:.0f}",
                f"{of[0]:.1f} / {of[1]:.1f}", f"{of[2]:.1f}", f"{s['se_sd']:.2f}", f"{s['bias_sd']:+.2f}", f"{s['width']:.4g}",
            ]  # fmt: skip
            banded = bool(set(name.split()) & set(BANDS_HZ))
            if not banded:
                rows.append(row)
            elif not LEAST <= s["covered"]["hits"] / s["covered"]["n"] <= MOST:
                odd.append(row)
    return "\n\n".join([table(head, rows), table(head, odd)])


def run(
    scene: str,
    recordings: int,
    pulses: tuple[int, ...],
    truth: int,
    beside: int,
    jobs: int,
    first: int,
    out: Path,
    targets: Sequence[str] = (),
) -> dict[str, Any]:
    """Truths and recordings, each kept as a line as soon as it is there; of all targets, or of these."""
    targets = tuple(targets) or tuple(load_scene(scene).targets)
    found = lines_of(out)
    done = {(d["target"], d["seed"]) for d in found}
    tasks = [(scene, t, TRUTH_SEED, (truth,), beside > 0) for t in targets if recordings]
    tasks += [
        (scene, targets[k % len(targets)], first + k // len(targets), pulses, k // len(targets) < beside)
        for k in range(recordings)
    ]
    tasks = [t for t in tasks if (t[1], t[2]) not in done]
    return summarised(found + each_kept(work, tasks, jobs, out), pulses, truth)


def summarised(found: Sequence[dict[str, Any]], pulses: Sequence[int], truth: int) -> dict[str, Any]:
    """Number of accepted trials -> measure -> how its intervals did."""
    truths = {d["target"]: d["at"][str(truth)] for d in found if d["seed"] == TRUTH_SEED}
    draws = [d for d in found if d["seed"] != TRUTH_SEED]
    return {str(n): judged(draws, truths, str(n)) for n in pulses}


def main(argv: list[str] | None = None) -> None:
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--out", type=Path, required=True, help="one recording a line")
    ask.add_argument("--scene", default="default")
    ask.add_argument("--targets", nargs="+", default=[], help="default: all of the scene")
    ask.add_argument("--recordings", type=int, default=500)
    ask.add_argument("--pulses", type=int, nargs="+", default=[60, 100])
    ask.add_argument("--truth", type=int, default=3000)
    ask.add_argument(
        "--beside", type=int, default=0, help="of each target so many also with what a pause computes"
    )
    ask.add_argument("--jobs", type=int, default=1)
    ask.add_argument("--first", type=int, default=1, help="first seed")
    a = ask.parse_args(argv)
    start_s = time.monotonic()
    found = run(
        a.scene, a.recordings, tuple(sorted(a.pulses)), a.truth, a.beside, a.jobs, a.first, a.out, a.targets
    )
    print(json.dumps({**vars(a), "out": a.out.name, "wall_s": round(time.monotonic() - start_s, 1)}))
    print(tables(found))


if __name__ == "__main__":
    main()
