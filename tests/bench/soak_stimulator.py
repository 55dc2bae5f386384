"""Owns the long soaks of gate, driver and simulated unit; the checks are in tests/soak_tools.py and tests/hour_tools.py.

    python tests/bench/soak_stimulator.py --operations 1000000 --jobs 2    random operations with faults, stepped clock
    python tests/bench/soak_stimulator.py --real                           an hour of trains, 3000 pulses, by the wall clock

The first takes turns between the models and ways to fire, a seed each; about 1.5 ms an operation and job (15 to 25
minutes for a million on two cores). Exit 1 with the seed and the last operations when anything that may never happen happened.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from hour_tools import EVERY_S, HOUR_S, RealHour  # noqa: E402
from soak_tools import Broken, Soak  # noqa: E402

SLICE = 2000
MODELS = (
    "200",
    "super-rapid-plus",
    "bistim",
    "rapid-7",
    "200-trigger",
    "rapid",
    "super-rapid-5",
    "rapid-trigger",
)


def soak(seed: int, operations: int, end_s: float) -> tuple[int, str]:
    """One job: its operations and what became of them; stops between slices when the time is over."""
    made = [Soak(seed * len(MODELS) + i, model=model) for i, model in enumerate(MODELS)]
    done = turn = 0
    try:
        while done < operations and time.monotonic() < end_s:
            some = min(SLICE, operations - done)
            made[turn % len(made)].go(some)
            done, turn = done + some, turn + 1
    except Broken as err:
        return done, f"BROKEN: {made[turn % len(made)].model}: {err}"
    return done, "\n".join(f"seed {one.seed}, {one.model}: {one.tally.words()}" for one in made)


def real_hour(seed: int, for_s: float, every_s: float) -> int:
    """Trains by the wall clock over the real port process, on a line with noise."""
    with tempfile.TemporaryDirectory() as folder:
        hour = RealHour(Path(folder), seed, every_s)
        try:
            hour.go(for_s, noise=0.05)
            broken = ""
        except AssertionError as err:
            broken = f"BROKEN after {hour.clock.now_s() - hour.start_s:.0f} s: {err!r}"
        ledger, folded = hour.ledger.count(), hour.folded()
    exact = not broken and ledger == folded == hour.given + hour.spare
    print(
        f"seed {seed}: {for_s:.0f} s, {hour.given} pulses given in {hour.runs} runs; ledger {ledger}, journal {folded}, "
        f"{hour.spare} counted and not given; {dict(hour.outcomes)}; {broken or ('exact' if exact else 'NOT exact')}"
    )
    return 0 if exact else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument(
        "--within", type=float, default=3600.0, help="seconds after which no new slice is begun"
    )
    parser.add_argument("--real", action="store_true", help="the hour by the wall clock instead")
    parser.add_argument("--seconds", type=float, default=HOUR_S, help="with --real: a shorter hour")
    parser.add_argument(
        "--every", type=float, default=EVERY_S, help="with --real: seconds from train to train"
    )
    told = parser.parse_args()
    if told.real:
        return real_hour(told.seed, told.seconds, told.every)
    start_s = time.monotonic()
    work = [
        (
            told.seed + i,
            told.operations // told.jobs + (i < told.operations % told.jobs),
            start_s + told.within,
        )
        for i in range(told.jobs)
    ]
    print(f"{told.operations} operations, jobs {[seed for seed, _, _ in work]}", flush=True)
    with multiprocessing.get_context("spawn").Pool(told.jobs) as pool:
        done = pool.starmap(soak, work)
    for _, words in done:
        print(words)
    total = sum(n for n, _ in done)
    broken = any(words.startswith("BROKEN") for _, words in done)
    print(
        f"{total} operations in {time.monotonic() - start_s:.0f} s: {'BROKEN' if broken else 'nothing broken'}"
    )
    if total < told.operations and not broken:
        print(f"stopped by --within: {told.operations - total} were not tried")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
