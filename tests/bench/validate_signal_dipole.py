"""How much of an injected early dipole each online method leaves, by its size, its latency and how many trials have it.

    python tests/bench/validate_signal_dipole.py --out FILE.jsonl [--scenes lateral ...] [--methods full ...] [--seeds 2]
        [--pulses 70] [--sizes 2 5 10] [--latencies 15 25 40] [--parts 1 0.5] [--places 1 2 ...] [--channels 63] [--rate 5000]

The place is that of ``validate_signal``: radial, 30 mm from the coil, by the seed, or by each number of ``--places``; sizes are
µV at the largest electrode, latencies ms. Each method runs again on all raw trials for every dipole, past pulses only; the first
10 trials do not count. ``left``: slope of the change of the average on the dipole, over the trials that have it; ``bled``: the
same over those that do not (0 is right); ``muscle_share``: how much of the dipole's map the scene's muscle fields could hold.
Each recording is a line of FILE; a run that was broken off goes on from there. Asserts nothing; every number follows from the
arguments.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import validate_signal_metrics as metrics
from kept_lines import each_kept, lines_of
from methods.kinds import Batch
from methods.listed import methods
from ranking_statistics import table
from validate_signal import case_of
from validate_signal_recording import FROM_PULSE, Recording, Task, cleaned

from rtloop.errors import ValidationProblem
from rtloop.model.samples import F32, Bool


def present_in(pulses: int, part: float, seed: int) -> Bool:
    """bool[pulses]: which trials have the dipole; of the judged ones exactly this part, by chance of the seed."""
    out = np.zeros(pulses, dtype=np.bool_)
    chance = np.random.default_rng([seed, 36])
    for a, b in ((0, FROM_PULSE), (FROM_PULSE, pulses)):
        out[a + chance.permutation(b - a)[: round(part * (b - a))]] = True
    return out


def left_of(recording: Recording, with_it: F32, without: F32, dipole: F32, present: Bool) -> dict[str, float]:
    """Shares ``left`` and ``bled`` in 12-50 ms, and ``r`` of what is left with the dipole.

    with_it, without : float32[n_trials, n_channels, n_times]; dipole : float32[n_channels, n_times] as it was injected
    """
    first, last = metrics.WINDOWS_S["12-50"]
    at = recording.valid & (recording.times_s >= first) & (recording.times_s <= last)
    judged = np.arange(len(present)) >= FROM_PULSE
    true = metrics.referred(dipole, recording.good)[:, at]
    out = {}
    for name, some in (("left", present & judged), ("bled", ~present & judged)):
        if not some.any():
            continue
        a, b = (metrics.referred(x[some], recording.good).mean(axis=0)[:, at] for x in (with_it, without))
        found = metrics.survival(a, b, true)
        out[name] = found["share"]
        if name == "left":
            out["r"] = found["r"]
    return out


@dataclass(frozen=True, kw_only=True)
class Dipoles:
    """Which dipoles: all combinations. ``places``: numbers that draw a place each; None is the seed's own."""

    sizes_uv: tuple[float, ...]
    latencies_ms: tuple[float, ...]
    parts: tuple[float, ...]
    places: tuple[int | None, ...] = (None,)


def work(task: tuple[Task, tuple[str, ...], Dipoles]) -> dict[str, Any]:
    """One recording: every dipole through every method."""
    what, names, which = task
    known, recording = methods(), Recording(what)
    batch = Batch(
        blanked_uv=np.empty((0, 0, 0), np.float32), times_s=recording.times_s, rate_hz=1000.0,
        montage=recording.montage, seed=what.seed,
    )  # fmt: skip
    without = {n: cleaned(known[n], recording.raw, batch)[0] for n in names}
    rows: list[dict[str, Any]] = []
    for size, latency, place in itertools.product(which.sizes_uv, which.latencies_ms, which.places):
        raw = recording.raw_dipole(size, 1e-3 * latency, place)
        dipole = recording.seen(raw)
        rms = float(np.sqrt(np.mean(raw.astype(np.float64) ** 2, axis=0).max()))
        share = recording.muscle_share(raw[:, int(np.abs(raw).max(axis=0).argmax())])
        for part in which.parts:
            present = present_in(what.pulses, part, what.seed)
            epochs = recording.with_dipole(raw, present)
            for n in names:
                found = left_of(recording, cleaned(known[n], epochs, batch)[0], without[n], dipole, present)
                rows.append({
                    "case": what.case, "seed": what.seed, "method": n, "size_uv": size, "rms_uv": rms,
                    "latency_ms": latency, "part": part, "place": place or what.seed, "muscle_share": share, **found,
                })  # fmt: skip
    print(f"{what.case}, seed {what.seed}", file=sys.stderr, flush=True)
    return {"key": repr(task), "rows": rows}


def run(
    cases: Sequence[str], names: Sequence[str], which: Dipoles, *, seeds: int, pulses: int, channels: int = 63,
    rate_hz: float = 5000.0, keep: Path | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Every dipole through every method, a row each; ValidationProblem for a method that is not online.

    ``keep``: a file of recordings, a line each: those of the same arguments are not made again.
    """
    known = {n: m for n, m in methods().items() if m.spec is not None}
    if unknown := [n for n in names if n not in known]:
        raise ValidationProblem("no online method", expected=", ".join(known), found=", ".join(unknown))
    tasks = [
        (
            Task(scene=s, target=t, seed=seed, pulses=pulses, channels=channels, rate_hz=rate_hz),
            tuple(names), which,
        )
        for seed in range(1, seeds + 1)
        for s, t in map(case_of, cases)
    ]  # fmt: skip
    done = {one["key"]: one for one in lines_of(keep)}
    done |= {o["key"]: o for o in each_kept(work, [t for t in tasks if repr(t) not in done], 1, keep)}
    return [row for task in tasks for row in done[repr(task)]["rows"]]


def tables(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: cases, methods and parts down, dipoles across; mean share left (range of the seeds), what bled after it."""
    dipoles = list(dict.fromkeys((r["size_uv"], r["latency_ms"]) for r in rows))
    lines = []
    for case, name, part in dict.fromkeys((r["case"], r["method"], r["part"]) for r in rows):
        cells = []
        for size, latency in dipoles:
            own = [
                r for r in rows
                if (r["case"], r["method"], r["part"], r["size_uv"], r["latency_ms"]) == (case, name, part, size, latency)
            ]  # fmt: skip
            left = [100 * r["left"] for r in own]
            text = f"{np.mean(left):.0f} ({min(left):.0f}-{max(left):.0f})"
            if "bled" in own[0]:
                text += f" {100 * np.mean([r['bled'] for r in own]):+.0f}"
            cells.append(text)
        lines.append([case, name, f"{100 * part:g} %", *cells])
    head = ["scene / target", "method", "trials with it", *(f"{s:g} µV, {at:g} ms" for s, at in dipoles)]
    return table(head, lines)


def by_place(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: cases and methods down, places across: the muscle's share of the map, and mean per cent left in all trials."""
    whole = [r for r in rows if r["part"] == 1.0]
    places = list(dict.fromkeys(r["place"] for r in whole))
    lines = []
    for case, name, latency in dict.fromkeys((r["case"], r["method"], r["latency_ms"]) for r in whole):
        cells = []
        for place in places:
            own = [
                r for r in whole
                if (r["case"], r["method"], r["latency_ms"], r["place"]) == (case, name, latency, place)
            ]  # fmt: skip
            left = np.mean([100 * r["left"] for r in own]) if own else np.nan
            cells.append(f"{own[0]['muscle_share']:.2f}: {left:.0f}" if own else "-")
        lines.append([case, name, f"{latency:g} ms", *cells])
    return table(["scene / target", "method", "at", *(f"place {p}" for p in places)], lines)


def main(argv: list[str] | None = None) -> None:
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--out", type=Path, required=True)
    ask.add_argument("--scenes", nargs="+", default=["lateral", "midline", "extreme_muscle"])
    ask.add_argument("--methods", nargs="+", default=["full"])
    ask.add_argument("--seeds", type=int, default=2)
    ask.add_argument("--pulses", type=int, default=70)
    ask.add_argument("--sizes", type=float, nargs="+", default=[2.0, 5.0, 10.0])
    ask.add_argument("--latencies", type=float, nargs="+", default=[15.0, 25.0, 40.0])
    ask.add_argument("--parts", type=float, nargs="+", default=[1.0, 0.5], help="of the trials have it")
    ask.add_argument(
        "--places", type=int, nargs="+", help="draw the place by these numbers; default: the seed"
    )
    ask.add_argument("--channels", type=int, default=63)
    ask.add_argument("--rate", type=float, default=5000.0)
    a = ask.parse_args(argv)
    which = Dipoles(
        sizes_uv=tuple(a.sizes), latencies_ms=tuple(a.latencies), parts=tuple(a.parts),
        places=tuple(a.places or (None,)),
    )  # fmt: skip
    rows = run(
        a.scenes,
        a.methods,
        which,
        seeds=a.seeds,
        pulses=a.pulses,
        channels=a.channels,
        rate_hz=a.rate,
        keep=a.out,
    )
    print(tables(rows), by_place(rows), sep="\n\n")


if __name__ == "__main__":
    main()
