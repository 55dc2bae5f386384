"""How far equal coupling gives equal scores at different places, and what an allowance for it would cost: closed form.

    python tests/bench/place_spread.py --out FILE.jsonl [--heads 100]

GLOBAL of the heads of ``decision_scenes`` at infinitely many trials, without drawing any: per pair and instant

    E Im(X_i X_j*) = sum over sources s < t of (F_is F_jt - F_it F_js) E[g²] R_s R_t sin(mu_s - mu_t)

(F fields, R mean resultant of the phase offsets, mu phase lags, g gain), over E|Im| of signal and Gaussian noise. Coupling R
and lag mu enter as a product only. On these scores, with the standard error that simulated maps of 100 pulses have, the rule
"100 + 100" is drawn on the raw score alone, with the variance (spread x score)² added to each target's at every look: an
allowance that does not shrink with pulses. The rule as shipped asks the matched score too and names less. Places differ in
sources, lead fields and lags ("own"), or in nothing ("same"). Everything is invented, the lags above all (45 to 135 degrees,
either sign, each source and band of its own). Asserts nothing; every number follows from the arguments.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from decision_scenes import GAIN_CV, SCENES, SHARE, Person, drawn_far, drawn_home, drawn_phases
from kept_lines import each_kept, lines_of
from ranking_statistics import table

from rtloop.model.estimate import BANDS_HZ

FIRST_HEAD = 1001
DRAWN = 500  # phases behind each mean
#: (E|Im|)² is about half of E Im²; 1.85 is the slope of simulated scores on the closed form, 24 heads
SCALE = 1.9
#: SE of a raw score of 100 pulses = A sqrt(score) + B: fit to the simulated maps of SNR 0.6 (its residue: 0.0007 at 0.0047)
SE_A, SE_B = 0.0203, 0.00065
NEEDED = 1.90  # two looks
DRAWS = 60  # of each head
SPREADS = (0.0, 0.10, 0.15, 0.23, 0.30)
_S, _T = np.triu_indices(7, 1)
_SIGMA = np.sqrt(np.log1p(GAIN_CV**2))
_GAIN = np.exp(_SIGMA * np.random.default_rng(1).standard_normal(DRAWN) - 0.5 * _SIGMA**2)
Fields = tuple[np.ndarray, np.ndarray]


def score(person: Person, fields: Fields, kappa: float, snr: float = 0.6) -> float:
    """Pooled GLOBAL dwPLI² of one place: ``fields`` float64[n_channels, 7] and phase lags float64[7, n_bands]."""
    f, mu = fields
    a, b = np.triu_indices(f.shape[0], 1)
    offset = np.zeros((DRAWN, 7))
    offset[:, 1:] = np.random.default_rng(5).vonmises(0.0, kappa, (DRAWN, 6))
    crossed = f[a][:, _S] * f[b][:, _T] - f[a][:, _T] * f[b][:, _S]
    bands = []
    for k, band in enumerate(BANDS_HZ):
        t = person.times_s[band]
        rise = (1.0 - np.exp(-t / 0.02)) ** 2 * np.exp(-((t / 0.26) ** 2))
        ongoing = (person.mixing[k] ** 2).sum(axis=1).mean()
        wanted = snr * SHARE[k] ** 2 / np.mean(np.square(SHARE)) * ongoing
        power = (
            wanted / ((f**2).sum(axis=1).mean() * (1 + GAIN_CV**2) * np.mean(rise**2)) * rise[:, None] ** 2
        )
        phase = offset + mu[:, k]
        lagged = np.sin(phase[:, _S] - phase[:, _T]) * _GAIN[:, None] ** 2
        wave = np.exp(1j * phase) * _GAIN[:, None]
        mean = crossed @ lagged.mean(axis=0)
        square = np.einsum("ps,st,pt->p", crossed, lagged.T @ lagged / DRAWN, crossed, optimize=True)
        signal, noise = f @ (wave.T @ wave.conj() / DRAWN) @ f.T, person.mixing[k] @ person.mixing[k].T
        s, n = np.real(np.diag(signal)), np.diag(noise)
        both = 0.5 * (s[a] * n[b] + s[b] * n[a]) - np.real(signal[a, b]) * noise[a, b]
        alone = 0.5 * (n[a] * n[b] - noise[a, b] ** 2)
        found = (power * mean) ** 2 / (power**2 * square + power * both + alone)
        bands.append(float((found.mean(axis=0) * person.weights).sum()))
    return SCALE * float(np.mean(bands))


def head(seed: int) -> dict[str, Any]:
    """Scores of four places at equal coupling (kappa 2) and at drawn ones, of own and of the same fields."""
    person = Person(SCENES["equal, own lead fields"].drawn(seed), seed)
    rng = np.random.default_rng([seed, 99])
    out: dict[str, Any] = {"seed": seed, "equal own": [score(person, f, 2.0) for f in person.fields]}
    out["equal same"] = out["equal own"][:1] * 4
    for name, low in (("0.3-3", 0.3), ("1-3", 1.0)):
        kappa = rng.uniform(low, 3.0, 4)
        out[f"kappa {name}"] = kappa.tolist()
        out[f"{name} own"] = [score(person, f, float(k)) for f, k in zip(person.fields, kappa, strict=True)]
        out[f"{name} same"] = [score(person, person.fields[0], float(k)) for k in kappa]
    return out


def parts(
    seed: int = 1, homes: int = 10, others: int = 6, lags: int = 4
) -> tuple[float, float, float, float]:
    """Variance of the log score at kappa 2 in one head: whole, and what place, distant sources and lags add to it."""
    person, rng = Person(SCENES["equal, own lead fields"].drawn(seed), seed), np.random.default_rng(9)
    found = np.empty((homes, others, lags))
    for i in range(homes):
        home = drawn_home(rng)
        for j in range(others):
            f = person.fields_from(home, drawn_far(home, rng))
            for k in range(lags):
                mu = drawn_phases(len(BANDS_HZ), rng)
                found[i, j, k] = np.log(score(person, (f, mu), 2.0))
    lag = found.var(axis=2, ddof=1).mean()
    of_far = found.mean(axis=2).var(axis=1, ddof=1).mean()
    place = found.mean(axis=(1, 2)).var(ddof=1) - of_far / others
    return float(found.var()), float(place), float(of_far - lag / lags), float(lag)


def ruled(scores: np.ndarray, right: np.ndarray | None, spread: float, sign: int) -> tuple[float, float]:
    """Shares (named, wrongly named) of maps: ``scores`` float64[n, 4]; ``right`` int[n], None: no name is right."""
    rng = np.random.default_rng(3)
    true = np.repeat(scores, DRAWS, axis=0)
    rows, se = np.arange(len(true)), SE_A * np.sqrt(np.maximum(true, 1e-4)) + SE_B
    first = true + se * rng.standard_normal(true.shape)
    both = (first + true + se * rng.standard_normal(true.shape)) / 2

    def leads(x: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        asked = sign * x
        leader = asked.argmin(axis=1)
        variance = error**2 + (spread * np.maximum(x, 0.0)) ** 2
        z = (asked - asked[rows, leader][:, None]) / np.sqrt(variance + variance[rows, leader][:, None])
        z[rows, leader] = np.inf
        return leader, z.argmin(axis=1), z.min(axis=1)

    error = SE_A * np.sqrt(np.maximum(first, 1e-4)) + SE_B
    leader, challenger, z = leads(first, error)
    at_once, last = z >= NEEDED, first.copy()
    for i in (leader, challenger):
        last[rows, i] = both[rows, i]
        error[rows, i] /= np.sqrt(2.0)
    later, _, z = leads(last, error)
    named = at_once | (z >= NEEDED)
    name = np.where(at_once, leader, later)
    wrong = named if right is None else named & (name != np.repeat(right, DRAWS))
    return float(named.mean()), float(wrong.mean())


def tables(heads: list[dict[str, Any]]) -> str:
    """Markdown: how far scores spread, and what each allowance does."""
    log = np.log([h["equal own"] for h in heads])
    spread = float(np.sqrt(log.var(axis=1, ddof=1).mean()))
    whole, *of = parts()
    rows = []
    for sign, asked in ((1, "lowest"), (-1, "highest")):
        for scene in ("equal same", "equal own", "0.3-3 same", "0.3-3 own", "1-3 same", "1-3 own"):
            kappa = (
                np.array([h[f"kappa {scene.split()[0]}"] for h in heads]) if "equal" not in scene else None
            )
            right = None if kappa is None else (sign * kappa).argmin(axis=1)
            cells = [ruled(np.array([h[scene] for h in heads]), right, s, sign) for s in SPREADS]
            rows.append([asked, scene, *(f"{100 * n:.0f} / {100 * w:.1f}" for n, w in cells)])
    told = ", ".join(
        f"{n} {100 * v / whole:.0f} %" for n, v in zip(("place", "distant sources", "lags"), of, strict=True)
    )
    top = np.median(np.exp(log.max(axis=1) - log.min(axis=1)))
    return "\n\n".join([
        f"{len(heads)} heads; SD of the log score between places at equal coupling {spread:.3f}, most over least {top:.2f}; "
        f"of its variance: {told}",
        table(["asked", "kappa, places", *(f"spread {s:g}" for s in SPREADS)], rows) + "\n\nnamed % / wrongly named %, of all",
    ])  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument(
        "--out", type=Path, required=True, help="one head a line; a broken-off run goes on from here"
    )
    ask.add_argument("--heads", type=int, default=100)
    ask.add_argument("--jobs", type=int, default=1)
    a = ask.parse_args(argv)
    heads = lines_of(a.out)
    done = {h["seed"] for h in heads}
    seeds = [s for s in range(FIRST_HEAD, FIRST_HEAD + a.heads) if s not in done]
    print(tables(heads + each_kept(head, seeds, a.jobs, a.out)))


if __name__ == "__main__":
    main()
