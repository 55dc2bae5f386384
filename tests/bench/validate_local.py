"""What LOCAL at one place is worth: invented persons recorded twice, for LOCAL and for what stands beside it.

    python tests/bench/validate_local.py --out FILE.jsonl [--persons 40] [--pulses 50 100 150] [--scene default]
        [--target M1] [--amplitude 0.3] [--jobs 1]

The persons are those of ``validate_signal_scores`` (head, couplings and amplitudes of their own); the cleaning is that of the
shipped mapping plan. The two recordings of a person differ in chance alone: they are the two halves of one recording twice
as long, and their agreement at N pulses each is the split-half reliability at N pulses. Ranks are held against the person's
local coupling (kappa) and amplitude: a score that is steady because it measures amplitude shows here. Asserts nothing;
every number follows from the arguments. A run that was broken off goes on from ``--out``.
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
from pathlib import Path
from typing import Any

import numpy as np
from kept_lines import each_kept, lines_of
from ranking_statistics import table, told
from validate_coverage import recorded
from validate_signal_scores import SECOND, agreement, person, spearman

from hardware_sim.scene import load_scene

#: LOCAL as defined, its companions, and other numbers of the same electrodes
SHOWN = (
    "dwpli2 local pooled", "dwpli2 local_8 pooled", "dwpli2 seed pooled", "dwpli2 global pooled", "wpli local pooled",
    "ppc local pooled", "itc_local pooled", "ersp_local_db pooled", "lmfp_uv", "early_local_pp_uv",
)  # fmt: skip


def work(task: tuple[str, int, str, float, tuple[int, ...]]) -> dict[str, Any]:
    """One person, recorded twice."""
    scene_name, number, target, amplitude, pulses = task
    scene = person(load_scene(scene_name), number, amplitude)
    own = scene.target(target)
    return {
        "person": number, "kappa": own.kappa_local, "amplitude": own.amplitude,
        "recordings": [recorded(scene, target, number + add, pulses) for add in (0, SECOND)],
    }  # fmt: skip


def summarised(people: Sequence[Mapping[str, Any]], pulses: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Number of pulses -> measure -> agreement of the recordings, interval width, ranks; a person without it is left out."""
    out: dict[str, dict[str, Any]] = {}
    for n in map(str, pulses):
        out[n] = {}
        for name in SHOWN:
            whole = [p for p in people if all(name in r["at"].get(n, {}) for r in p["recordings"])]
            if len(whole) < 3:
                continue
            e = np.array([[r["at"][n][name] for r in p["recordings"]] for p in whole])
            kappa, amplitude = (np.array([p[k] for p in whole]) for k in ("kappa", "amplitude"))
            mean = e[:, :, 0].mean(axis=1)
            out[n][name] = agreement(e[:, 0, 0], e[:, 1, 0], e[:, 0, 1], e[:, 1, 1]) | {
                "persons": len(whole), "width": float(np.mean(e[:, :, 3] - e[:, :, 2])), "mean": float(mean.mean()),
                "rank_kappa": spearman(mean, kappa), "rank_amplitude": spearman(mean, amplitude),
            }  # fmt: skip
    return out


def tables(summary: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown, a row for each measure and number of pulses."""
    head = [
        "pulses", "measure", "persons", "mean", "width of the interval", "SEM", "SD between persons", "ICC", "r", "|z| < 1.96",
        "SD of z", "rank r kappa", "amplitude",
    ]  # fmt: skip
    rows = [
        [
            n, name, str(s["persons"]), f"{s['mean']:.4g}", f"{s['width']:.4g}", f"{s['sem']:.4g}", f"{s['between_sd']:.4g}",
            f"{s['icc']:.2f}", f"{s['r']:.2f}", told(s["z_inside"]), f"{s['z_sd']:.2f}", f"{s['rank_kappa']:.2f}",
            f"{s['rank_amplitude']:.2f}",
        ]
        for n, names in summary.items()
        for name, s in names.items()
    ]  # fmt: skip
    return table(head, rows)


def main(argv: list[str] | None = None) -> None:
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--out", type=Path, required=True, help="one person a line")
    ask.add_argument("--persons", type=int, default=40)
    ask.add_argument("--pulses", type=int, nargs="+", default=[50, 100, 150])
    ask.add_argument("--scene", default="default")
    ask.add_argument("--target", default="M1")
    ask.add_argument("--amplitude", type=float, default=0.3, help="amplitudes are uniform from 1 - this to 1")
    ask.add_argument("--jobs", type=int, default=1)
    a = ask.parse_args(argv)
    start_s = time.monotonic()
    people = lines_of(a.out)
    done = {p["person"] for p in people}
    tasks = [
        (a.scene, n, a.target, a.amplitude, tuple(sorted(a.pulses)))
        for n in range(1, a.persons + 1)
        if n not in done
    ]
    people += each_kept(work, tasks, a.jobs, a.out)
    print(json.dumps({**vars(a), "out": a.out.name, "wall_s": round(time.monotonic() - start_s, 1)}))
    print(tables(summarised(people, sorted(a.pulses))))


if __name__ == "__main__":
    main()
