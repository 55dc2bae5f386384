"""Owns what ``validate_signal`` prints: means over recordings, tables, and the goals missed; measures nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: what the product must reach (issue and design notes): bias after the pulse, inflation before it, survival of a dipole
BIAS_MOST, BEFORE_MOST, SURVIVAL_LEAST = 0.03, 0.02, 0.90
BEST_OFFLINE = "ica_sound"
OURS = ("fast", "fast_sound", "fast_muscle", "full", "full_sound")
BIASED = ("itc", "plv", "wpli")
_NAMES = {"itc": "ITC", "plv": "PLV", "wpli": "wPLI"}
WINDOWS = ("12-50", "50-300")
_SINGLE = (("r", ".3f", "r"), ("r_low", ".3f", "5 % of r"), ("rmse_uv", ".2f", "RMSE µV"))


def mean_and_sd(values: Iterable[float]) -> dict[str, float]:
    """Mean, SD over recordings (0 for one), and how many; a recording without the number is left out."""
    kept = [v for v in values if not math.isnan(v)]
    if not kept:
        return {"mean": math.nan, "sd": math.nan, "n": 0}
    mean = sum(kept) / len(kept)
    sd = math.sqrt(sum((v - mean) ** 2 for v in kept) / (len(kept) - 1)) if len(kept) > 1 else 0.0
    return {"mean": mean, "sd": sd, "n": len(kept)}


def merged(parts: Sequence[Any]) -> Any:
    """The same nest of dicts as each of ``parts``, every number replaced by ``mean_and_sd`` of them; text and lists are
    left out."""
    first = parts[0]
    if isinstance(first, Mapping):
        return {
            k: merged([p[k] for p in parts])
            for k in first
            if all(k in p for p in parts) and isinstance(first[k], Mapping | int | float)
        }
    return mean_and_sd(float(p) for p in parts)


def summarised(recordings: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """case -> method -> numbers over the seeds that have the method. ``recordings``: {"case", "seed", "methods": {name:
    numbers}} each."""
    out: dict[str, dict[str, Any]] = {}
    for case in dict.fromkeys(r["case"] for r in recordings):
        own = [r["methods"] for r in recordings if r["case"] == case]
        out[case] = {}
        for name in dict.fromkeys(n for m in own for n in m):
            found = [m[name] for m in own if name in m]
            absent = [m["absent"] for m in found if "absent" in m]
            out[case][name] = {"absent": absent[0]} if absent else merged(found)
            for w in WINDOWS if "single" in out[case][name] else ():
                out[case][name]["single"][w]["less_best"] = mean_and_sd(_less(own, name, w))
    return out


def _less(own: Sequence[Mapping[str, Any]], name: str, window: str) -> Iterable[float]:
    """r of a method less that of the best offline one, of each recording that went through both."""
    for m in own:
        both = [m.get(n, {}).get("single", {}).get(window) for n in (name, BEST_OFFLINE)]
        if None not in both:
            yield both[0]["r"] - both[1]["r"]


def joined(parts: Iterable[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Recordings of several runs, those of one case and seed as one; of a method that two runs have, the later."""
    out: dict[tuple[str, int], dict[str, Any]] = {}
    for recording in (r for part in parts for r in part):
        known = out.setdefault((recording["case"], recording["seed"]), {**recording, "methods": {}})
        known["methods"] = {**known["methods"], **recording["methods"]}
    return list(out.values())


def goals(summary: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """One line a case: the numbers of a method that have a goal, means over recordings, those that miss it bold; the
    comparison on the recordings that went through both methods. Markdown."""
    head = ["scene / target", *(f"r {w} ms (less ICA then SOUND)" for w in WINDOWS), "dipole left"]
    head += [*(f"{_NAMES[m]}, largest bias" for m in BIASED), "PLV before the pulse"]
    rows = []
    for case, methods in summary.items():
        own = methods.get(name)
        if own is None or "absent" in own:
            continue
        cells = []
        for w in WINDOWS:
            r, less = own["single"][w]["r"]["mean"], own["single"][w]["less_best"]
            text = f"{r:.3f}" + (f" ({less['mean']:+.3f})" if less["n"] else "")
            cells.append(_marked(text, not less["n"] or less["mean"] >= 0))
        left = own["survival"]["share"]["mean"] if "survival" in own else math.nan
        cells.append(_marked(f"{100 * left:.0f} %", left >= SURVIVAL_LEAST))
        for m in BIASED:
            band = max(own["phase"], key=lambda b, m=m: abs(own["phase"][b][m]["bias"]["mean"]))
            bias = own["phase"][band][m]["bias"]["mean"]
            cells.append(_marked(f"{bias:+.3f} ({band.replace('_', ' ')})", abs(bias) < BIAS_MOST))
        before = max(found["plv"]["bias"]["mean"] for found in own["before"].values())
        rows.append([case, *cells, _marked(f"{before:+.3f}", before < BEFORE_MOST)])
    return _table(head, rows)


def _marked(text: str, met: bool) -> str:
    return text if met else f"**{text}**"


def missed(summary: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every goal that a method of the product misses in a case, in words; the mean over recordings counts."""
    out = []
    for case, methods in summary.items():
        for name in OURS:
            own = methods.get(name)
            if own is None or "absent" in own:
                continue
            for w in WINDOWS:
                r, less = own["single"][w]["r"]["mean"], own["single"][w]["less_best"]
                if less["n"] and not less["mean"] >= 0:
                    out.append(
                        f"{case}, {name}: r {w} ms {r:.3f}, less than offline ICA then SOUND ({less['mean']:+.3f})"
                    )
            if "survival" in own and not (s := own["survival"]["share"]["mean"]) >= SURVIVAL_LEAST:
                out.append(f"{case}, {name}: {100 * s:.0f} % of the injected dipole survives (goal 90 %)")
            for band, found in own["phase"].items():
                for m in BIASED:
                    if not abs(b := found[m]["bias"]["mean"]) < BIAS_MOST:
                        out.append(f"{case}, {name}: bias of {m} at {band} {b:+.3f} (goal below .03)")
            for band, found in own["before"].items():
                if not (b := found["plv"]["bias"]["mean"]) < BEFORE_MOST:
                    out.append(f"{case}, {name}: PLV before the pulse at {band} {b:+.3f} (goal below +.02)")
    return out


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([_row(head), _row(["---"] * len(head)), *map(_row, rows)])


def _show(v: Mapping[str, float], form: str = ".3f") -> str:
    if not v["n"]:
        return "-"
    return f"{v['mean']:{form}}" + (f" ± {v['sd']:{form.lstrip('+')}}" if v["n"] > 1 else "")


def tables(summary: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    """All tables as Markdown: the goals missed, then per case single trials, average and dipole, and indices."""
    own = next((n for n in ("full", *OURS) if any(n in m for m in summary.values())), "")
    out = [f"## Goals: {titles.get(own, own)}, missed in bold", "", goals(summary, own), ""] if own else []
    out += ["## Goals of the product that were missed", ""]
    out += [f"- {line}" for line in missed(summary)] or ["- none"]
    for case, methods in summary.items():
        here = {titles.get(n, n): m for n, m in methods.items() if "absent" not in m}
        out += [
            "",
            f"## {case}",
            "",
            "Single trials against the brain alone, median over trials (mean ± SD of recordings):",
        ]
        out += [
            "",
            _singles(here),
            "",
            "Average against the answer alone, and what is left of the injected dipole:",
            "",
        ]
        out += [
            _averages(here),
            "",
            "Bias (RMSE) of the indices against the same trials' brain alone:",
            "",
            _indices(here),
        ]
        out += [f"\nAbsent: {m['absent']}." for m in methods.values() if "absent" in m]
    return "\n".join(out) + "\n"


def _singles(here: Mapping[str, Any]) -> str:
    columns = [(k, w, f, label) for k, f, label in _SINGLE for w in WINDOWS]
    head = ["method", *(f"{label} {w} ms" for _, w, _, label in columns), "CPU, s"]
    return _table(head, (
        [n, *(_show(m["single"][w][k], f) for k, w, f, _ in columns), f"{m['cpu_s']['mean']:.1f}"] for n, m in here.items()
    ))  # fmt: skip


def _averages(here: Mapping[str, Any]) -> str:
    columns = [(k, w) for k in ("r", "gain") for w in WINDOWS]
    head = ["method", *(f"{k} {w} ms" for k, w in columns), "dipole left", "r of its map and course"]
    rows = []
    for n, m in here.items():
        left = [_show(m["survival"][k], ".2f") for k in ("share", "r")] if "survival" in m else ["-", "-"]
        rows.append([n, *(_show(m["tep"][w][k], ".2f") for k, w in columns), *left])
    return _table(head, rows)


def _indices(here: Mapping[str, Any]) -> str:
    rows = []
    first = next(iter(here.values()), {"phase": {}})["phase"]
    for band in first:
        rows.append(["(true)", band, *(f"{v['truth']['mean']:.3f}" for v in first[band].values()), ""])
        for n, m in here.items():
            cells = [f"{v['bias']['mean']:+.3f} ({v['rmse']['mean']:.3f})" for v in m["phase"][band].values()]
            rows.append([n, band, *cells, f"{m['before'][band]['plv']['bias']['mean']:+.3f}"])
    return _table(["method", "band", "ITC", "PLV", "wPLI", "dwPLI²", "PLV before the pulse"], rows)


def overview(summary: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    """One table: cases down, methods across, r 12-50 / 50-300 ms and, below, the share of the dipole left."""
    names = list(dict.fromkeys(n for m in summary.values() for n in m))
    rows = []
    for case, methods in summary.items():
        cells, left = [], []
        for n in names:
            m = methods.get(n, {"absent": ""})
            absent = "absent" in m
            cells.append("-" if absent else " / ".join(f"{m['single'][w]['r']['mean']:.3f}" for w in WINDOWS))
            left.append(
                "-" if absent or "survival" not in m else f"{100 * m['survival']['share']['mean']:.0f} %"
            )
        rows += [[case, "r", *cells], ["", "dipole", *left]]
    return _table(["scene / target", "", *(titles.get(n, n) for n in names)], rows) + "\n"
