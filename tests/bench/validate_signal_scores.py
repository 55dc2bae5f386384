"""What the scores are worth: a population of invented persons, each recorded twice, scored by the objects of the live line.

    python tests/bench/validate_signal_scores.py --out FILE.jsonl [--scene default] [--persons 40] [--pulses 50 100 150]
        [--chain fast|fast_muscle|full|clean] [--amplitude 0.3] [--jobs 1]

Each person has a head, couplings (kappa, log-uniform 0.3-6) and amplitudes (uniform from 1 - amplitude to 1) of their own at
the scene's targets; the truth of a score is that of the noise-free brain (``hardware_sim.truth``). Reported by number of
accepted pulses: reliability between the two recordings, agreement of their difference with its standard error, width of the
interval, rank correlation with the truth, and what P(lowest) promises against what happens. Asserts nothing; every number
follows from the arguments. ``clean`` scores trials without artifact, uncleaned: what no cleaning can better.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from kept_lines import each_kept, lines_of
from methods.listed import methods
from ranking_statistics import reliability, share, table, told

from hardware_sim.head import generate_trials
from hardware_sim.scene import Scene, load_scene
from hardware_sim.truth import truth_of
from rtloop.decide.ranking import rank
from rtloop.dsp.spec import ChainSpec
from rtloop.model.estimate import Estimate
from rtloop.model.montage import HEAD_RADIUS_M, NAMES_63, Montage, position_of
from rtloop.model.samples import Epoch
from rtloop.session.scorer import TargetScorer

SCOPES = ("global", "local")
RATE_HZ, BATCH, MOST_BATCHES = 1000.0, 64, 12
KAPPA = (0.3, 6.0)
SECOND = 500_000  # added to the person's number: the seed of the second recording
MORE = 1_000_000


def spec_of(chain: str) -> ChainSpec:
    """The settings of an online method, fitted to the trials of ``generate_trials``; "clean" takes the fast chain's."""
    spec = methods()["fast" if chain == "clean" else chain].spec
    if spec is None:
        raise ValueError(f"{chain} is no online method")
    fitted = spec.fitted_to(-0.8, 0.6 - 1 / RATE_HZ)
    return (
        replace(fitted, quality=False, bridge=False, decay=False, flat_uv=0.0) if chain == "clean" else fitted
    )


def person(base: Scene, number: int, amplitude: float) -> Scene:
    """A person of the population: a checked variation of the scene, fixed by the number."""
    rng = np.random.default_rng([number, 77])
    scene = base.varied(person={"head_seed": 1000 + number})
    low, high = np.log(KAPPA)
    for name in base.targets:
        both = np.exp(rng.uniform(low, high, 2))
        size = float(1.0 - amplitude * rng.random())
        scene = scene.varied(name, kappa_global=float(both[0]), kappa_local=float(both[1]), amplitude=size)
    return scene


def recorded(scene: Scene, target: str, seed: int, pulses: Sequence[int], chain: str) -> dict[str, Any]:
    """Scores after each of these numbers of accepted pulses, and the share rejected; fewer where too few are accepted."""
    montage = Montage.from_names(NAMES_63)
    place = position_of(scene.target(target).coil)
    assert place is not None
    scorer = TargetScorer(
        target, spec_of(chain), RATE_HZ, montage, place * HEAD_RADIUS_M, capacity=max(pulses) + BATCH
    )
    at: dict[str, Any] = {}
    real = chain != "clean"
    for k in range(MOST_BATCHES):
        data, pulse = generate_trials(
            scene, target, BATCH, RATE_HZ, seed + k * MORE, montage, artifacts=real, noise=True
        )
        for trial in data:
            before = scorer.n_accepted
            scorer.process(Epoch(data=trial, rate_hz=RATE_HZ, pulse_sample=pulse), scorer.seen)
            if scorer.n_accepted != before and scorer.n_accepted in pulses:
                scores = scorer.scores()
                at[str(scorer.n_accepted)] = {s: scores.score(s).to_dict() for s in SCOPES}
            if scorer.n_accepted == max(pulses):
                return {"at": at, "rejected": 1.0 - scorer.n_accepted / scorer.seen}
    return {"at": at, "rejected": 1.0 - scorer.n_accepted / max(1, scorer.seen)}


def work(task: tuple[str, int, float, tuple[int, ...], str]) -> dict[str, Any]:
    """One person: truth and two recordings of every target."""
    scene_name, number, amplitude, pulses, chain = task
    scene = person(load_scene(scene_name), number, amplitude)
    out: dict[str, Any] = {"key": repr(task), "person": number, "targets": {}}
    for name in scene.targets:
        truth = truth_of(scene, name)
        out["targets"][name] = {
            "truth": {"global": truth["sensor_global"], "local": truth["sensor_local"]},
            "recordings": [recorded(scene, name, number + add, pulses, chain) for add in (0, SECOND)],
        }
    return out


# -- summary ----------------------------------------------------------------------------------------------------


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation of two short rows without ties; NaN for fewer than two."""
    if a.size < 2:
        return float("nan")
    x, y = (np.argsort(np.argsort(v)).astype(float) for v in (a, b))
    return float(np.corrcoef(x, y)[0, 1])


def agreement(
    first: np.ndarray, second: np.ndarray, se_first: np.ndarray, se_second: np.ndarray
) -> dict[str, Any]:
    """Two recordings of the same persons, [n] each: correlation, SEM, ICC(1,1), and z of their differences.

    SEM = SD(difference)/sqrt(2); ICC = 1 - SEM²/variance (one-way, Shrout & Fleiss 1979). With right standard errors z has
    SD 1 and lies within ±1.96 in 95 %.
    """
    difference = first - second
    sem2 = float(np.mean(difference**2)) / 2
    between = float(np.var(np.concatenate([first, second]), ddof=1))
    z = difference / np.sqrt(se_first**2 + se_second**2)
    return {
        "r": float(np.corrcoef(first, second)[0, 1]) if first.size > 2 else float("nan"), "sem": sem2**0.5,
        "icc": 1 - sem2 / between if first.size > 2 else float("nan"),
        "between_sd": between**0.5, "z_sd": float(np.sqrt(np.mean(z**2))),
        "z_inside": share(np.abs(z) < 1.96),
    }  # fmt: skip


def summarised(people: Sequence[Mapping[str, Any]], pulses: Sequence[int]) -> dict[str, Any]:
    """pulses -> scope -> numbers; a person whose target lacks that many accepted pulses is left out and counted."""
    names = list(people[0]["targets"])
    out: dict[str, Any] = {}
    for n in map(str, pulses):
        out[n] = {}
        for scope in SCOPES:
            whole = [
                p for p in people if all(n in r["at"] for t in p["targets"].values() for r in t["recordings"])
            ]
            if not whole:
                out[n][scope] = {"persons": 0, "left_out": len(people)}
                continue

            def grid(what: str, scope: str = scope, n: str = n, whole: list[Any] = whole) -> np.ndarray:
                return np.array([
                    [[r["at"][n][scope][what] for r in p["targets"][t]["recordings"]] for t in names] for p in whole
                ])  # fmt: skip

            value, se, low, high = (grid(w) for w in ("value", "se", "low", "high"))
            truth = np.array([[p["targets"][t]["truth"][scope] for t in names] for p in whole])
            each = {
                t: agreement(value[:, j, 0], value[:, j, 1], se[:, j, 0], se[:, j, 1])
                for j, t in enumerate(names)
            }
            flat = [x.reshape(-1, 2) for x in (value, se)]
            out[n][scope] = {
                "persons": len(whole), "left_out": len(people) - len(whole), "targets": each,
                "all": agreement(flat[0][:, 0], flat[0][:, 1], flat[1][:, 0], flat[1][:, 1]),
                "width": float(np.mean(high - low)), "true_sd": float(truth.std(ddof=1)),
                "rank_r": float(np.nanmean([spearman(v[:, 0], t) for v, t in zip(value, truth, strict=True)])),
                **_promises(value[:, :, 0], se[:, :, 0], truth, names),
            }  # fmt: skip
    return out


def _promises(value: np.ndarray, se: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """P(lowest) of the raw ranking against the target that is truly lowest."""
    stated, came, right, decided, wrong = [], [], [], [], []
    for v, s, t in zip(value, se, truth, strict=True):
        places = rank(
            (name, Estimate.normal(float(a), float(b), n=1)) for name, a, b in zip(names, v, s, strict=True)
        ).places
        p = np.array([q.p_lowest for q in places], dtype=float)
        stated += p.tolist()
        came += [j == int(np.argmin(t)) for j in range(len(names))]
        right.append(int(np.argmin(v)) == int(np.argmin(t)))
        decided.append(bool(p.max() >= 0.95))
        if decided[-1]:
            wrong.append(int(np.argmax(p)) != int(np.argmin(t)))
    return {
        "lowest_right": share(right), "stated_95": share(decided), "wrong_of_stated": share(wrong),
        "calibration": reliability(np.array(stated), np.array(came)),
    }  # fmt: skip


def tables(summary: Mapping[str, Any]) -> str:
    """The summary as Markdown."""
    head = [
        "pulses",
        "score",
        "persons",
        "ICC",
        "SEM",
        "|z| < 1.96",
        "SD of z",
        "width",
        "true SD",
        "rank r",
        "lowest right",
        "P >= .95",
        "of these wrong",
    ]
    rows, more, bins = [], [], []
    for n, scopes in summary.items():
        for scope, s in scopes.items():
            if not s["persons"]:
                rows.append([n, scope, f"0 ({s['left_out']} left out)", *["-"] * 10])
                continue
            a = s["all"]
            rows.append([
                n, scope, str(s["persons"]), f"{a['icc']:.2f}", f"{a['sem']:.4f}", told(a["z_inside"]), f"{a['z_sd']:.2f}",
                f"{s['width']:.4f}", f"{s['true_sd']:.4f}", f"{s['rank_r']:.2f}", told(s["lowest_right"]), told(s["stated_95"]),
                told(s["wrong_of_stated"]),
            ])  # fmt: skip
            more += [
                [n, scope, t, f"{x['icc']:.2f}", f"{x['r']:.2f}", f"{x['sem']:.4f}", f"{x['z_sd']:.2f}"]
                for t, x in s["targets"].items()
            ]
            bins += [
                [n, scope, f"{b['from']:.2f}-{b['to']:.2f}", f"{b['stated']:.3f}", told(b)]
                for b in s["calibration"]
            ]
    return "\n\n".join([
        table(head, rows), table(["pulses", "score", "target", "ICC", "r", "SEM", "SD of z"], more),
        table(["pulses", "score", "stated P(lowest)", "mean", "came true"], bins),
    ])  # fmt: skip


def run(
    scene: str, persons: int, pulses: tuple[int, ...], chain: str, amplitude: float, jobs: int = 1,
    keep: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """All persons and their summary; what ``keep`` has of the same persons is not made again."""
    start_s = time.monotonic()
    spec_of(chain)
    tasks = [(scene, k, amplitude, tuple(sorted(pulses)), chain) for k in range(1, persons + 1)]
    done = {p["key"]: p for p in lines_of(keep)}
    done |= {p["key"]: p for p in each_kept(work, [t for t in tasks if repr(t) not in done], jobs, keep)}
    found = [done[repr(task)] for task in tasks]
    about = {
        "scene": scene, "persons": persons, "pulses": list(pulses), "chain": chain, "amplitude": amplitude,
        "wall_s": round(time.monotonic() - start_s, 1),
    }  # fmt: skip
    return {"about": about, "summary": summarised(found, sorted(pulses)), "people": found}


def main(argv: list[str] | None = None) -> None:
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    online = [n for n, m in methods().items() if m.spec is not None]
    ask.add_argument("--out", type=Path, required=True)
    ask.add_argument("--scene", default="default")
    ask.add_argument("--persons", type=int, default=40)
    ask.add_argument("--pulses", type=int, nargs="+", default=[50, 100, 150])
    ask.add_argument("--chain", default="fast", choices=[*online, "clean"])
    ask.add_argument("--amplitude", type=float, default=0.3, help="amplitudes are uniform from 1 - this to 1")
    ask.add_argument("--jobs", type=int, default=1)
    a = ask.parse_args(argv)
    found = run(a.scene, a.persons, tuple(a.pulses), a.chain, a.amplitude, a.jobs, a.out)
    print(json.dumps(found["about"]))
    print(tables(found["summary"]))


if __name__ == "__main__":
    main()
