"""What the two methods of ``rtloop threshold`` are worth: many simulated responders, bias, scatter, coverage, pulses.

    python tests/bench/validate_threshold.py [--responders 1000] [--spreads 0.03 0.05 0.07 0.10] [--lapses 0 0.02] [--seed 1]

Thresholds are spread evenly over 30 to 70 % of maximum output. A responder answers by a cumulative Gaussian of the named spread
(a share of the threshold; the methods assume 0.07), and by chance in a share ``lapse`` of the pulses; ``--emg``: by the size
of the simulated muscle's MEP instead (hardware_sim.emg: a Boltzmann curve, log-normal scatter), which no method assumes.
Asserts nothing; every number follows from the arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scipy.special import ndtr

from hardware_sim.emg import median_pp_uv
from hardware_sim.scene import Emg
from rtloop.model.threshold import Answer
from rtloop.threshold.methods import METHODS, Spec, next_step
from rtloop.threshold.steps import Do

Answers = Callable[[int], bool]


def gaussian(threshold: float, spread: float, lapse: float, chance: np.random.Generator) -> Answers:
    """Answers by a cumulative Gaussian."""

    def answer(pct_mso: int) -> bool:
        if chance.random() < lapse:
            return bool(chance.random() < 0.5)
        return bool(chance.random() < ndtr((pct_mso - threshold) / (spread * threshold)))

    return answer


def muscle(threshold: float, emg: Emg, chance: np.random.Generator) -> Answers:
    """Answers by the size of an MEP, whose median is 50 µV at the threshold."""
    sigma = float(np.sqrt(np.log1p(emg.size_cv**2)))

    def answer(pct_mso: int) -> bool:
        size_uv = median_pp_uv(emg, threshold, float(pct_mso)) * np.exp(sigma * chance.standard_normal())
        return bool(size_uv >= 50.0)

    return answer


def row(spec: Spec, n: int, seed: int, responder: Callable[[float, np.random.Generator], Answers]) -> str:
    """One line of the table."""
    off, covered, widths, pulses, failed = [], 0, [], [], 0
    for i in range(n):
        threshold = 30.0 + 40.0 * (i + 0.5) / n
        answer, answers = responder(threshold, np.random.default_rng([seed, i])), []
        while (step := next_step(spec, answers)).do is Do.GIVE:
            answers.append(Answer(pct_mso=step.pct_mso, response=answer(step.pct_mso)))
        pulses.append(len(answers))
        if step.do is not Do.FOUND:
            failed += 1
            continue
        low = -np.inf if step.low_pct_mso is None else step.low_pct_mso
        high = np.inf if step.high_pct_mso is None else step.high_pct_mso
        off.append(100 * (step.estimate_pct_mso / threshold - 1))
        covered += low <= threshold <= high
        widths.append(100 * (high - low) / threshold)
    if not off:
        return f"none was found ({failed} of {n})"
    return (
        f"bias {np.mean(off):+5.2f} %  SD {np.std(off):4.2f} %  interval {np.median(widths):4.1f} %, "
        f"holds {covered / len(off):5.1%}  "
        f"pulses {np.mean(pulses):5.1f} (most {max(pulses)})  not found {failed}"
    )


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--responders", type=int, default=1000)
    parse.add_argument("--spreads", type=float, nargs="*", default=[0.03, 0.05, 0.07, 0.10])
    parse.add_argument("--lapses", type=float, nargs="*", default=[0.0, 0.02])
    parse.add_argument("--emg", action="store_true")
    parse.add_argument("--seed", type=int, default=1)
    asked = parse.parse_args()
    for method, of in METHODS.items():
        for spread in asked.spreads:
            for lapse in asked.lapses:

                def by_curve(
                    t: float, c: np.random.Generator, s: float = spread, p: float = lapse
                ) -> Answers:
                    return gaussian(t, s, p, c)

                told = row(of(), asked.responders, asked.seed, by_curve)
                print(f"{method:9s} spread {spread:.2f} lapse {lapse:.2f}  {told}", flush=True)
        if asked.emg:
            told = row(of(), asked.responders, asked.seed, lambda t, c: muscle(t, Emg(), c))
            print(f"{method:9s} simulated muscle         {told}", flush=True)


if __name__ == "__main__":
    main()
