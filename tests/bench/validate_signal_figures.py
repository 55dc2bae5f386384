"""Owns the figures of ``validate_signal``, drawn from its summary; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from validate_signal_tables import BIAS_MOST, BIASED, SURVIVAL_LEAST, WINDOWS


def figures(summary: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str], folder: Path) -> list[Path]:
    """SVG files in ``folder``: single-trial correlation, survival of the dipole, and bias of the indices at 35 Hz."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "validate_signal"  # the same numbers give the same file
    names = list(dict.fromkeys(n for m in summary.values() for n in m if "absent" not in m[n]))
    out = [
        _bars(
            summary,
            names,
            titles,
            folder / f"signal_r_{w.replace('-', '_')}.svg",
            f"single-trial r, {w} ms",
            _single(w),
        )
        for w in WINDOWS
    ]
    if all("survival" in m[n] for m in summary.values() for n in m if "absent" not in m[n]):
        path = folder / "signal_dipole.svg"
        out.append(
            _bars(
                summary, names, titles, path, "share of the injected dipole left", _left, line=SURVIVAL_LEAST
            )
        )
    for m in BIASED:
        path = folder / f"signal_bias_{m}.svg"
        out.append(
            _bars(summary, names, titles, path, f"bias of {m} at 35 Hz, 15-80 ms", _bias(m), line=BIAS_MOST)
        )
    return out


def _single(window: str) -> Any:
    return lambda m: m["single"][window]["r"]


def _left(m: Mapping[str, Any]) -> Any:
    return m["survival"]["share"]


def _bias(measure: str) -> Any:
    return lambda m: m["phase"]["35 Hz"][measure]["bias"]


def _bars(
    summary: Mapping[str, Mapping[str, Any]], names: list[str], titles: Mapping[str, str], path: Path, what: str,
    pick: Any, line: float | None = None,
) -> Path:  # fmt: skip
    from matplotlib.figure import Figure

    cases = list(summary)
    figure = Figure(figsize=(max(6.0, 0.28 * len(cases) * (len(names) + 1)), 3.4), layout="constrained")
    axes = figure.subplots()
    width = 0.85 / max(1, len(names))
    for k, n in enumerate(names):
        there = [i for i, c in enumerate(cases) if n in summary[c] and "absent" not in summary[c][n]]
        found = [pick(summary[cases[i]][n]) for i in there]
        at = np.array(there) + (k - (len(names) - 1) / 2) * width
        axes.bar(
            at,
            [f["mean"] for f in found],
            width,
            yerr=[f["sd"] for f in found],
            label=titles.get(n, n),
            error_kw={"lw": 0.8},
        )
    if line is not None:
        axes.axhline(line, color="black", lw=0.8, ls="--")
    axes.set_xticks(range(len(cases)), cases)
    axes.set_ylabel(what)
    axes.legend(fontsize="small", ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    figure.savefig(path, metadata={"Date": None})
    return path
