"""Owns the statistics and the tables of ``validate_ranking``; owns no trial, score or scene."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

#: edges of the reliability table; the last bin is "P >= .95"
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927, 10.1080/01621459.1927.10502953); (0, 1) when there is nothing."""
    if n == 0:
        return 0.0, 1.0
    p, z2n = hits / n, z * z / n
    middle = (p + z2n / 2) / (1 + z2n)
    half = z * math.sqrt(p * (1 - p) / n + z2n / (4 * n)) / (1 + z2n)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(flags: Iterable[bool]) -> dict[str, float | int]:
    """How often, of how many, with its 95 % interval."""
    values = [bool(f) for f in flags]
    low, high = wilson(sum(values), len(values))
    return {"hits": sum(values), "n": len(values), "low": low, "high": high}


def reliability(stated: np.ndarray, happened: np.ndarray) -> list[dict[str, float]]:
    """Bins of the stated probability against how often it came true. Both [n]; empty bins are left out."""
    out = []
    for a, b in pairwise(BINS):
        inside = (stated >= a) & ((stated < b) | (b == BINS[-1]))
        if inside.any():
            found = share(happened[inside])
            out.append({"from": a, "to": b, "stated": float(stated[inside].mean()), **found})
    return out


def coverage(low: np.ndarray, high: np.ndarray, truth: float) -> dict[str, dict[str, float | int]]:
    """Of intervals [n]: how many hold the truth, lie wholly below it, lie wholly above it."""
    return {
        "covered": share((low <= truth) & (truth <= high)),
        "too_low": share(high < truth),
        "too_high": share(low > truth),
    }


def se_ratio(value: np.ndarray, se: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Mean stated SE over the SD of the scores, both [n], with a 95 % percentile bootstrap over seeds (2000 draws)."""
    rng = np.random.default_rng(seed)
    pick = rng.integers(0, value.size, (2000, value.size))
    spread = value[pick].std(axis=1, ddof=1)
    some = spread > 0  # a draw of one value again and again has none
    low, high = np.percentile(se[pick].mean(axis=1)[some] / spread[some], [2.5, 97.5])
    return {"ratio": float(se.mean() / value.std(ddof=1)), "low": float(low), "high": float(high)}


def told(s: dict[str, float | int]) -> str:
    """A share in words: "81.5 % (75.6-86.3), 163/200"."""
    if not s["n"]:
        return "-"
    return (
        f"{100 * s['hits'] / s['n']:.1f} % ({100 * s['low']:.1f}-{100 * s['high']:.1f}), {s['hits']}/{s['n']}"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
