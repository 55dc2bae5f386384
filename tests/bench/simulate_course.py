"""A whole simulated trial: 12 treatments of each participant in three arms, with crashes, freezes, missed visits and faults.

    python tests/bench/simulate_course.py [--participants 90] [--seed 1] [--jobs 2] [--coverage 2000] [--untreated]

Study, allocation, visits, treatment sessions, gate, ledger and journals are the product's own, on stepped clocks over the
simulated unit at byte level (tests/course_sessions.py, course_world.py, course_twin.py). ``--jobs`` treat at once on one study
folder, as so many computers. Prints a table; exits 1 when anything that must hold does not, and names it.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import contextlib
import json
import queue
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from course_sessions import Held, Place, visit_of
from course_twin import blinding_faults
from course_world import EFFECT, SLOPE, Trial, coverage, outcomes_only
from study_tools import folder_in_memory

from rtloop.model.course import Arm
from rtloop.study.association import share_interval


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--participants", type=int, default=90)
    asked.add_argument("--seed", default="1")
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument(
        "--coverage", type=int, default=2000, help="trials without sessions, for the coverage of the interval"
    )
    asked.add_argument("--untreated", action="store_true", help="outcomes only, without sessions")
    asked.add_argument("--computer", action="store_true", help=argparse.SUPPRESS)
    options = asked.parse_args()
    if options.computer:
        return computer()
    begun_s, trouble = time.monotonic(), list[str]()
    with folder_in_memory() as folder:
        trial = (outcomes_only if options.untreated else Trial)(folder, options.participants, options.seed)
        with computers(0 if options.untreated else options.jobs) as hold:
            while not trial.over:
                trial.close_day(
                    hold([(trial.place, code, trial.today, options.seed) for code in trial.open_day()])
                )
                took_s = time.monotonic() - begun_s
                print(f"{trial.today}: {len(trial.held)} runs, {took_s:.0f} s", file=sys.stderr, flush=True)
        trouble += trial.problems()
        found = trial.associations()
        trouble += blinding_faults(trial, folder)
        print(summary(trial))
        trial.study.close()
    for arm in Arm:
        a, true = found[str(arm)], SLOPE if arm is Arm.CLASSIC else 0.0
        if a.why_absent:
            print(f"\nslope in the arm {arm}: {a.why_absent}")
        else:
            print(f"\nslope in the arm {arm}, n = {a.n}, percentage points for 0.1 more LOCAL: {a.slope / 10:+.1f} "
                  f"({a.low / 10:+.1f} to {a.high / 10:+.1f}); true {true / 10:+.1f}"
                  f"{'' if a.low <= true <= a.high else ', NOT covered'}")  # fmt: skip
    n = options.coverage
    if n:
        covered, of_true = coverage(n, options.seed)
        low, high = share_interval(covered, n)
        print(f"\ncoverage of the 95 % interval, {n} trials of 30: {covered / n:.3f} ({low:.3f} to {high:.3f}) of the slope of "
              f"the measured LOCAL, {SLOPE / 10:.1f}; {of_true / n:.3f} of the true LOCAL, {EFFECT / 10:.1f}")  # fmt: skip
        trouble += [] if low <= 0.95 <= high or covered / n > 0.95 else ["the interval covers too seldom"]
    print(f"\n{len(trouble)} problem(s), {time.monotonic() - begun_s:.0f} s")
    for line in trouble:
        print(f"!! {line}")
    return 1 if trouble else 0


def computer() -> int:
    """One bedside computer in a process of its own (rtloop refuses to treat in a copy that multiprocessing made)."""
    for line in sys.stdin:
        place, *rest = json.loads(line)
        with contextlib.redirect_stdout(sys.stderr):
            held = visit_of(Place(**{k: Path(v) for k, v in place.items()}), *rest)
        print(json.dumps([asdict(h) for h in held]), flush=True)
    return 0


@contextlib.contextmanager
def computers(jobs: int) -> Iterator[Any]:
    """So many computers; what is yielded holds visits on them, each where one is free."""
    line = [sys.executable, __file__, "--computer"]
    free: queue.Queue[subprocess.Popen[str]] = queue.Queue()
    all_ = [
        subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(jobs)
    ]
    for each in all_:
        free.put(each)

    def visit(task: tuple[Place, str, str, str]) -> list[Held]:
        one = free.get()
        try:
            assert one.stdin is not None
            assert one.stdout is not None
            place, *rest = task
            one.stdin.write(json.dumps([{k: str(v) for k, v in asdict(place).items()}, *rest]) + "\n")
            one.stdin.flush()
            answer = one.stdout.readline()
            if not answer:
                raise RuntimeError(f"the computer that treated {rest} is gone: see above")
            return [Held(**h) for h in json.loads(answer)]
        finally:
            free.put(one)

    try:
        with ThreadPoolExecutor(max(1, jobs)) as pool:
            yield lambda tasks: [h for held in pool.map(visit, tasks) for h in held]
    finally:
        for each in all_:
            each.terminate()
            each.communicate()


def summary(trial: Trial) -> str:
    """Markdown: what befell runs and what came of them, in pulses."""
    rows: dict[str, list[Held]] = {}
    for h in trial.held:
        rows.setdefault(h.befell, []).append(h)
    lines = [
        "| what befell the run | runs | planned | delivered | refused | uncertain | unit's own count | ended |",
        "|---|" * 1 + "---:|" * 6 + "---|",
    ]
    for name, held in [*sorted(rows.items()), ("all", trial.held)]:
        sums = [
            sum(getattr(h, f) for h in held)
            for f in ("planned", "delivered", "refused", "uncertain", "discharges")
        ]
        ends = ", ".join(
            f"{e or 'before it began'} {n}" for e, n in Counter(h.ended for h in held).most_common()
        )
        lines.append(f"| {name} | {len(held)} | {' | '.join(map(str, sums))} | {ends} |")
    visits = len({(h.code, h.visit) for h in trial.held if h.delivered + h.uncertain})
    of = len(trial.people) * len(trial.course.visits)
    lines.append(f"\n{len(trial.people)} participants, {visits} of {of} treatments given, {trial.missed} missed, "
                 f"{trial.moved} moved, {trial.refused} wishes refused by the calendar, "
                 f"{trial.study.state.n} lines of the open log")  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
