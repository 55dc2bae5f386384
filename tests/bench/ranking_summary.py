"""Owns what is made of the draws of ``validate_ranking``: how often right, calibration, coverage, and the tables of both."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ranking_statistics import coverage, reliability, se_ratio, share, table, told

from rtloop.decide.ranking import rank
from rtloop.model.estimate import Estimate

#: the target that has less of something in a scene of equal truth
DISADVANTAGED = {"unequal_intensity": "DLPFC", "unequal_placement": "DLPFC", "unequal_muscle": "PSI"}
#: truly lowest, by kappa
LOWEST = {"equal_quality": {"global": "ACC", "local": "ACC"}, "default": {"global": "PSI", "local": "M1"}}
LINE_SCENE = "equal_quality"
SCOPES = ("global", "local")
SURE = 0.95
Draw = dict[str, Any]


def column(rows: list[Draw], scope: str, what: str) -> np.ndarray:
    """One number of every draw."""
    return np.array([r[scope][what] for r in rows], dtype=np.float64)


def rankings(of: dict[str, list[Draw]], scope: str) -> list[dict[str, Any]]:
    """Per seed: lowest, highest and the displayed probabilities, as the product ranks."""
    out = []
    for rows in zip(*of.values(), strict=True):
        given = [(name, Estimate.from_dict(row[scope])) for name, row in zip(of, rows, strict=True)]
        ranking = rank(given)
        low = {p.target: p.p_lowest or 0.0 for p in ranking.places}
        high = {p.target: p.p_highest or 0.0 for p in ranking.places}
        first = ranking.lowest_first
        out.append({"lowest": first[0], "highest": first[-1], "p_lowest": low, "p_highest": high})
    return out


def summarise(found: dict[str, Any]) -> dict[str, Any]:
    """Everything the document quotes. ``found``: what ``validate_ranking.run`` returns."""
    out: dict[str, Any] = {"ranking": {}, "calibration": {}, "misled": {}, "intervals": _intervals(found)}
    for scene, of in found["scenes"].items():
        for scope in SCOPES:
            key, ranked = f"{scene}/{scope}", rankings(of, scope)
            truth = {n: found["truth"][scene][n][scope]["value"] for n in of}
            out["ranking"][key] = {
                "lowest": {n: share(r["lowest"] == n for r in ranked) for n in of},
                "highest": {n: share(r["highest"] == n for r in ranked) for n in of},
                "sure_lowest": {n: share(r["p_lowest"][n] >= SURE for r in ranked) for n in of},
                "sure_highest": {n: share(r["p_highest"][n] >= SURE for r in ranked) for n in of},
                "any_sure_lowest": share(max(r["p_lowest"].values()) >= SURE for r in ranked),
                "any_sure_highest": share(max(r["p_highest"].values()) >= SURE for r in ranked),
                "truth": truth,
            }
            if scene in LOWEST:
                out["calibration"][key] = _calibration(ranked, LOWEST[scene][scope])
                out["calibration"][key]["lowest_at_large_n"] = min(truth, key=lambda n: truth[n])
            if scene in DISADVANTAGED:
                out["misled"][key] = _misled(found, scene, scope)
    out["line"] = _line_against_bulk(found)
    return out


def _calibration(ranked: list[dict[str, Any]], right: str) -> dict[str, Any]:
    stated = np.array([p for r in ranked for p in r["p_lowest"].values()])
    true = np.array([n == right for r in ranked for n in r["p_lowest"]])
    sure = [r for r in ranked if max(r["p_lowest"].values()) >= SURE]
    return {
        "right": right,
        "table": reliability(stated, true),
        "lowest_is_right": share(r["lowest"] == right for r in ranked),
        "sure": share(max(r["p_lowest"].values()) >= SURE for r in ranked),
        "sure_is_right": share(r["p_lowest"][right] >= SURE for r in sure),
    }


def _misled(found: dict[str, Any], scene: str, scope: str) -> dict[str, Any]:
    """How the target with less of something compares with its equals."""
    of, weak = found["scenes"][scene], DISADVANTAGED[scene]
    value = {n: column(rows, scope, "value") for n, rows in of.items()}
    se = {n: column(rows, scope, "se") for n, rows in of.items()}
    snr = {n: np.mean([r["snr"] for r in rows]) for n, rows in of.items()}
    others = [n for n in of if n != weak]
    z = np.concatenate([(value[n] - value[weak]) / np.hypot(se[n], se[weak]) for n in others])
    truth = {n: found["truth"][scene][n][scope]["value"] for n in of}
    return {
        "target": weak,
        "ratio": float(value[weak].mean() / np.mean([value[n].mean() for n in others])),
        "ratio_large_n": truth[weak] / float(np.mean([truth[n] for n in others])),
        "snr_ratio": float(snr[weak] / np.mean([snr[n] for n in others])),
        "pair_called_lower": share(z > 1.645),
        "pair_called_higher": share(z < -1.645),
    }


def _intervals(found: dict[str, Any]) -> dict[str, Any]:
    """Coverage, spread and bias; targets that differ in name only are one row, with all their draws."""
    groups: dict[str, dict[str, list[Draw]]] = {}
    for place, alike in found["alike"].items():
        scene, name = place.split("/")
        groups.setdefault(alike, {}).setdefault(name, found["scenes"][scene][name])
    out = {}
    for alike, by_name in groups.items():
        scene, name = alike.split("/")
        rows = [r for rs in by_name.values() for r in rs]
        for scope in SCOPES:
            t = found["truth"][scene][name][scope]
            value, se = column(rows, scope, "value"), column(rows, scope, "se")
            out[f"{alike}/{scope}"] = {
                "names": sorted(by_name), "truth": t["value"], "truth_se": t["se"], "mean": float(value.mean()),
                "sd": float(value.std(ddof=1)), "se_ratio": se_ratio(value, se),
                **coverage(column(rows, scope, "low"), column(rows, scope, "high"), t["value"]),
                "plain": coverage(value - 1.96 * se, value + 1.96 * se, t["value"]),
                "rejected": float(np.mean([r["rejected"] for r in rows])), "snr": float(np.mean([r["snr"] for r in rows])),
            }  # fmt: skip
    return out


def _line_against_bulk(found: dict[str, Any]) -> dict[str, Any]:
    """Scores of the whole line as z against the bulk draws of the same target."""
    if not found["line"] or LINE_SCENE not in found["scenes"]:
        return {}
    line = [t for s in found["line"] for t in s["targets"].values()]
    bulk = [r for rows in found["scenes"][LINE_SCENE].values() for r in rows]
    out: dict[str, Any] = {"worst_difference": max(s["worst_difference"] for s in found["line"])}
    out["exit_codes"] = [s["exit_code"] for s in found["line"]]
    for scope in SCOPES:
        z = []
        for name, rows in found["scenes"][LINE_SCENE].items():
            value = column(rows, scope, "value")
            z += [
                (s["targets"][name][scope]["value"] - value.mean()) / value.std(ddof=1) for s in found["line"]
            ]
        out[scope] = {
            "z_mean": float(np.mean(z)), "z_sd": float(np.std(z, ddof=1)), "z_worst": float(np.abs(z).max()), "n": len(z),
            "mean_se": {"line": float(column(line, scope, "se").mean()), "bulk": float(column(bulk, scope, "se").mean())},
            "lowest": [min(s["targets"], key=lambda n, s=s: s["targets"][n][scope]["value"]) for s in found["line"]],
        }  # fmt: skip
    for what in ("rejected", "snr"):
        out[what] = {
            "line": float(np.mean([r[what] for r in line])),
            "bulk": float(np.mean([r[what] for r in bulk])),
        }
    return out


def tables(s: dict[str, Any]) -> str:
    """The summary as Markdown."""
    parts = []
    for scope in ("global", "local"):
        rows = [
            [key.split("/")[0], n, f"{r['truth'][n]:.4f}", *(told(r[what][n]) for what in WHAT)]
            for key, r in s["ranking"].items()
            if key.endswith(scope)
            for n in r["lowest"]
        ]
        parts += [
            f"### Who comes out lowest, {scope.upper()} (chance 25 %)",
            table(["scene", "target", "score at large N", *WHAT.values()], rows),
        ]
    rows = [[k, told(r["any_sure_lowest"]), told(r["any_sure_highest"])] for k, r in s["ranking"].items()]
    parts += ["### Some target stated with P >= .95", table(["scene/score", "lowest", "highest"], rows)]
    for key, c in s["calibration"].items():
        parts += [
            f"### P(lowest), {key}",
            f"Truly lowest by kappa: {c['right']} (lowest score at large N: {c['lowest_at_large_n']}). The lowest is right "
            f"in {told(c['lowest_is_right'])}; some P(lowest) >= .95 in {told(c['sure'])}; "
            f"of these right {told(c['sure_is_right'])}.",
            table(
                ["stated P(lowest)", "mean stated", "came true"],
                [[f"{b['from']:.2f}-{b['to']:.2f}", f"{b['stated']:.3f}", told(b)] for b in c["table"]],
            ),
        ]
    rows = [
        [k, m["target"], f"{m['ratio']:.2f}", f"{m['ratio_large_n']:.2f}", f"{m['snr_ratio']:.2f}", told(m["pair_called_lower"]),
         told(m["pair_called_higher"])]
        for k, m in s["misled"].items()
    ]  # fmt: skip
    head = [
        "scene/score",
        "target",
        "score ratio to its equals",
        "the same at large N",
        "SNR ratio",
        "pair called lower, one-sided 5 %",
        "called higher",
    ]
    parts += ["### Equal truth, one target worse off", table(head, rows)]
    rows = []
    for key, i in s["intervals"].items():
        r = i["se_ratio"]
        rows.append([
            key, f"{i['truth']:.4f} ± {i['truth_se']:.4f}", f"{i['mean']:.4f}", f"{i['sd']:.4f}", told(i["covered"]),
            f"{_percent(i['too_low'])} / {_percent(i['too_high'])}", _percent(i["plain"]["covered"]),
            f"{r['ratio']:.2f} ({r['low']:.2f}-{r['high']:.2f})", f"{i['snr']:.2f}", f"{100 * i['rejected']:.1f}",
        ])  # fmt: skip
    head = [
        "scene/target/score",
        "truth ± SE",
        "mean",
        "SD",
        "covered",
        "interval below / above the truth, %",
        "plain interval covers, %",
        "mean SE / SD",
        "SNR",
        "rejected, %",
    ]
    parts += ["### Displayed 95 % intervals", table(head, rows)]
    if s["line"]:
        parts += [
            "### Whole line on the stepped clock against bulk trials",
            "```",
            json.dumps(s["line"], indent=1),
            "```",
        ]
    return "\n\n".join(parts)


WHAT = {
    "lowest": "lowest",
    "highest": "highest",
    "sure_lowest": "P(lowest) >= .95",
    "sure_highest": "P(highest) >= .95",
}


def _percent(found: dict[str, float | int]) -> str:
    return f"{100 * found['hits'] / found['n']:.1f}"
