"""What the cleaning is worth: simulated recordings with known truth through every method, ours and the offline peers.

    python tests/bench/validate_signal.py --out DIR [--scenes default/M1 ...] [--methods fast ...] [--seeds 3] [--pulses 100]
        [--channels 63] [--rate 5000] [--jobs 1] [--no-dipole] [--real FOLDER]
    python tests/bench/validate_signal.py --out DIR --join A/recordings.jsonl B/recordings.jsonl

Raw trials and their truth come from ``hardware_sim.trials.TrialSource``. Online methods are the product's own chain, one
trial after the other, past pulses only; offline peers get all blanked trials at once. The first 10 trials are cleaned but
not judged. Writes signal.json (every recording and the summary), signal.md (tables) and figures (SVG) to DIR and prints the
overview; recordings.jsonl in DIR lets a broken-off run go on; ``--join`` makes the tables of several runs of the same trials,
each with methods of its own. ``--real``: semi-synthetic, with background, pulse times and evoked courses from that folder
(``hardware_sim.real``). Asserts nothing. Every number follows from the arguments.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import contextlib
import datetime
import json
import multiprocessing
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from methods.listed import methods
from validate_signal_figures import figures
from validate_signal_recording import FROM_PULSE, Task, real_of, record
from validate_signal_tables import joined, overview, summarised, tables

from hardware_sim.scene import load_scene, scene_names
from rtloop.errors import ValidationProblem

#: the scenes of the report, where they exist; a scene without "/target" means the target it is about (focus), or its first
SCENES = (
    "lateral", "midline", "dlpfc", "extreme_muscle", "low_snr", "mismatched_head", "harsh/M1", "sensory/M1",
    "unequal_muscle/PSI",
)  # fmt: skip
PACKAGES = ("numpy", "scipy", "numba", "mne", "mne-denoise", "scikit-learn")


def case_of(text: str) -> tuple[str, str]:
    """Scene and target of "scene" or "scene/target"; ValidationProblem where there is none of that name."""
    name, _, target = text.partition("/")
    scene = load_scene(name)
    target = target or getattr(scene, "focus", "") or next(iter(scene.targets))
    scene.target(target)
    return name, target


def work(task: tuple[Task, tuple[str, ...], bool]) -> dict[str, Any]:
    """One recording through the named methods."""
    what, names, dipole = task
    known = methods()
    found = record(what, {n: known[n] for n in names}, dipole)
    return {"case": what.case, "seed": what.seed, **found}


def _key(task: tuple[Task, tuple[str, ...], bool]) -> str:
    return repr(task)


def _kept(keep: Path | None) -> dict[str, dict[str, Any]]:
    """Recordings of an earlier run; a last line that was cut off is left out."""
    out: dict[str, dict[str, Any]] = {}
    if keep is not None and keep.exists():
        for line in keep.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                one = json.loads(line)
                out[one["key"]] = one["recording"]
    return out


def run(
    cases: tuple[str, ...], names: tuple[str, ...], *, seeds: int, pulses: int, channels: int = 63,
    rate_hz: float = 5000.0, dipole: bool = True, jobs: int = 1, keep: Path | None = None, real: str = "",
) -> dict[str, Any]:  # fmt: skip
    """All recordings and their summary; ValidationProblem for an unknown method or too few pulses.

    ``keep``: a file to which each recording is added as it comes. What a broken-off run with the same arguments left there
    is not made again: give a new file after a change of the code.
    """
    known = methods()
    if unknown := [n for n in names if n not in known]:
        raise ValidationProblem("unknown method(s)", expected=", ".join(known), found=", ".join(unknown))
    if pulses < FROM_PULSE + 5:
        raise ValidationProblem("too few pulses", expected=f"at least {FROM_PULSE + 5}", found=str(pulses))
    start_s = time.monotonic()
    tasks = [
        (
            Task(scene=s, target=t, seed=seed, pulses=pulses, channels=channels, rate_hz=rate_hz, real=real),
            names,
            dipole,
        )
        for seed in range(1, seeds + 1)
        for s, t in map(case_of, cases)
    ]
    done = _kept(keep)
    todo = [task for task in tasks if _key(task) not in done]

    def take(one: dict[str, Any], key: str) -> None:
        done[key] = one
        print(f"{len(done)}: {one['case']}, seed {one['seed']}", file=sys.stderr, flush=True)
        if keep is not None:
            with keep.open("a", encoding="utf-8") as file:
                file.write(
                    "\n" + json.dumps({"key": key, "recording": one}) + "\n"
                )  # apart from a line cut off

    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(jobs)) if jobs > 1 else None
        for task, one in zip(todo, (pool.imap if pool else map)(work, todo), strict=True):
            take(one, _key(task))
    found = [done[_key(task)] for task in tasks]
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "absent"
    about = {
        "date": datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"), "python": platform.python_version(),
        "packages": packages, "seeds": f"1..{seeds}", "pulses": pulses, "judged_from_pulse": FROM_PULSE, "channels": channels,
        "rate_hz": rate_hz, "spans_ms": found[0]["spans_ms"], "settings": {n: known[n].settings for n in names},
        "wall_s": round(time.monotonic() - start_s, 1), "jobs": jobs,
    }  # fmt: skip
    return {"about": about, "summary": summarised(found), "recordings": found}


def written(found: dict[str, Any], folder: Path) -> str:
    """Write signal.json, signal.md and the figures; returns the overview."""
    folder.mkdir(parents=True, exist_ok=True)
    titles = {n: m.title for n, m in methods().items()}
    (folder / "signal.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    short = overview(found["summary"], titles)
    about = json.dumps(found["about"], indent=1)
    text = f"# What the cleaning is worth\n\n```\n{about}\n```\n\n{short}\n{tables(found['summary'], titles)}"
    (folder / "signal.md").write_text(text, encoding="utf-8")
    figures(found["summary"], titles, folder)
    return short


def together(files: Sequence[Path]) -> dict[str, Any]:
    """One result of the kept recordings of several runs; each run's commit and date are the caller's to state."""
    parts = [[*_kept(file).values()] for file in files]
    recordings = sorted(joined(parts), key=lambda r: r["seed"])
    about = {"joined": [str(f) for f in files], "recordings": [len(p) for p in parts]}
    return {"about": about, "summary": summarised(recordings), "recordings": recordings}


def main(argv: list[str] | None = None) -> None:
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    there = [s for s in SCENES if s.partition("/")[0] in scene_names()]
    ask.add_argument("--out", type=Path, required=True)
    ask.add_argument("--scenes", nargs="+", default=there, help="scene or scene/target")
    ask.add_argument("--methods", nargs="+", default=list(methods()))
    ask.add_argument("--seeds", type=int, default=3)
    ask.add_argument("--pulses", type=int, default=100)
    ask.add_argument("--channels", type=int, help="63; with --real those of its EEG")
    ask.add_argument("--rate", type=float, default=5000.0)
    ask.add_argument("--real", type=Path, help="folder of real recordings: see hardware_sim.real")
    ask.add_argument("--jobs", type=int, default=1)
    ask.add_argument("--no-dipole", action="store_true", help="leave the injected dipole out: half the time")
    ask.add_argument(
        "--join", type=Path, nargs="+", help="recordings.jsonl of earlier runs: nothing is made anew"
    )
    a = ask.parse_args(argv)
    a.out.mkdir(parents=True, exist_ok=True)
    if a.join:
        print(written(together(a.join), a.out))
        return
    real = "" if a.real is None else str(a.real)
    channels = a.channels or (len(real_of(real, a.rate).names) if real else 63)
    found = run(
        tuple(a.scenes), tuple(a.methods), seeds=a.seeds, pulses=a.pulses, channels=channels, rate_hz=a.rate,
        dipole=not a.no_dipole, jobs=a.jobs, keep=a.out / "recordings.jsonl", real=real,
    )  # fmt: skip
    print(written(found, a.out))


if __name__ == "__main__":
    main()
