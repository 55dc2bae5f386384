"""Owns the long soak of gate, driver and simulated unit; the checks are in tests/soak_tools.py.

    python tests/bench/soak_stimulator.py --operations 1000000 --jobs 2

On the stepped clock, one seed a job; about 1.2 ms an operation and job (10 to 20 minutes for a million on two cores).
Exit 1 with the seed and the last operations when anything that may never happen happened.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from soak_tools import Broken, Soak  # noqa: E402

SLICE = 2000


def soak(seed: int, operations: int, end_s: float) -> tuple[int, str]:
    """One job: its operations and what became of them; stops between slices when the time is over."""
    made = Soak(seed)
    try:
        while made.tally.operations < operations and time.monotonic() < end_s:
            made.go(min(SLICE, operations - made.tally.operations))
    except Broken as err:
        return made.tally.operations, f"BROKEN: {err}"
    return made.tally.operations, f"seed {seed}: {made.tally.words()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument(
        "--within", type=float, default=3600.0, help="seconds after which no new slice is begun"
    )
    told = parser.parse_args()
    start_s = time.monotonic()
    work = [
        (
            told.seed + i,
            told.operations // told.jobs + (i < told.operations % told.jobs),
            start_s + told.within,
        )
        for i in range(told.jobs)
    ]
    print(f"{told.operations} operations, seeds {[seed for seed, _, _ in work]}", flush=True)
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
