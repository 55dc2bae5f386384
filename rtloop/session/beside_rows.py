"""Owns how companions of a score and real against control are told: rows with definitions, one line, values for the result.

It owns no measure and no layout. Everything comes from the view, so live, report and replay tell the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rtloop.measures.contrast import subtracted_average
from rtloop.model.estimate import POOLED, Estimate, Scores
from rtloop.model.view import TargetView, View, key_of
from rtloop.record.report_input import BesideRow, ContrastRow, EqualRow, Evoked
from rtloop.session.companions import FROM_TRIALS, control_of
from rtloop.session.contrasting import late_name
from rtloop.session.display import blinded
from rtloop.session.line import SignalLine

_PART = "of this part of the window alone, ms after the pulse"
#: measure -> (name, definition)
DEFINITIONS = {
    "dwpli2_shift": ("shift predictor", "dwPLI² of one channel with another one's next accepted trial: what being locked to the "
                     "pulse gives by itself (Perkel 1967)"),
    "dwpli2_evoked_subtracted": ("evoked-subtracted dwPLI²", "dwPLI² after each channel's average over trials was taken from "
                                 "each trial: what is locked to the pulse is gone (Truccolo 2002)"),
    "imcoh": ("imaginary coherence", "mean size of Im E[S]/sqrt(E[Sxx] E[Syy]); grows as trials get fewer (Nolte 2004)"),
    "dwpli2_ongoing": ("ongoing dwPLI²", "before the pulse, from samples that end before the gap: the state that pulses met"),
    "ppc_ongoing": ("ongoing PPC", "as the ongoing dwPLI², sees volume conduction as well (Vinck 2010)"),
    "pcist": ("PCIst", "state transitions of the average over those of its baseline, 15-300 ms (Comolatti 2019)"),
    "pcist_noise": ("PCIst of noise", "PCIst of plus-minus averages: what noise alone gives at this N; its ± is how that varies "
                    "from draw to draw"),
    "natural_frequency_hz": ("natural frequency", "where the power near the coil rises most over 20-200 ms (Rosanova 2009)"),
    "ersp_local_db": ("ERSP local", "power of this part of the window over that before the pulse, mean over LOCAL"),
    "itc_local": ("ITC local", "inter-trial coherence of this part of the window, 0 to 1, mean over LOCAL; grows as trials get "
                  "fewer (Delorme & Makeig 2004)"),
}  # fmt: skip
SCOPES = {"global": "GLOBAL", "local": "LOCAL", "local_8": "8 nearest", "seed": "near with far"}
NO_CONTROL = "no control block was given: sensory responses, above all after 80 ms, cannot be separated from direct ones"


def beside_rows(t: TargetView) -> tuple[BesideRow, ...]:
    """A row for each measure and scope that stands beside a run's scores, each number with its error or reason."""
    found = _scores(t.beside, "scores")
    if found is None:
        return ()
    rows = [
        BesideRow(measure=name, where=SCOPES[scope], values=bands, definition=words)
        for measure, scopes in found.connectivity.items()
        for name, words in [_told(measure)]
        for scope, bands in scopes.items()
    ]
    by_window: dict[str, dict[str, Estimate]] = {}
    for key, e in found.evoked.items():
        parts = key.split(":")
        if len(parts) == 3:
            by_window.setdefault(f"{parts[0]}:{parts[2]}", {})[parts[1]] = e
        else:
            rows.append(BesideRow(measure=_told(key)[0], where="", values={"": e}, definition=_told(key)[1]))
    for key, bands in by_window.items():
        name, words = _told(key.split(":")[0])
        rows.append(
            BesideRow(
                measure=f"{name}, {key.split(':')[1]} ms", where="LOCAL", values=bands, definition=words
            )
        )
    return tuple(rows)


def _told(measure: str) -> tuple[str, str]:
    if measure in DEFINITIONS:
        return DEFINITIONS[measure]
    kind, _, window = measure.partition("_")
    name = _MEASURES.get(kind, "imaginary coherence" if kind == "imcoh" else "")
    grows = "" if kind in ("dwpli2", "ppc") else "; grows as trials get fewer"
    return (
        (f"{name}, {window} ms", f"{name} {_PART}{grows}") if name and window[:1].isdigit() else (measure, "")
    )


def beside_words(t: TargetView) -> tuple[str, ...]:
    """Why nothing stands beside a run's scores, and where its values stand among norms."""
    if t.block != "run":
        return ()
    if t.beside is None:
        few = t.n_accepted < FROM_TRIALS
        why = (
            f"{t.n_accepted} accepted trial(s), at least {FROM_TRIALS} are needed"
            if few
            else "the session broke off before"
        )
        return (f"Beside the scores nothing was measured: {why}.",)
    if t.beside["why_absent"]:
        return (f"Beside the scores nothing is shown: {t.beside['why_absent']}.",)
    return tuple(_norm(row) for row in t.beside["norms"])


def _norm(row: Mapping[str, Any]) -> str:
    head = f"{row['feature']} among norms ({row['source']})"
    if row["percentile"] is None:
        return f"{head}: not compared, {row['why_absent']}."
    return f"{head}: percentile {row['percentile']:.0f} [{row['low']:.0f}, {row['high']:.0f}]."


def contrast_rows(t: TargetView) -> tuple[ContrastRow, ...]:
    """Real, control and their difference, row by row; empty where they were not compared."""
    parts = [_scores(t.control, k) for k in ("real", "control", "difference")]
    real, control, less = parts
    if real is None or control is None or less is None:
        return ()
    rows = []
    for measure, scope, band, e in _pairs(less):
        triple = (real.connectivity[measure][scope][band], control.connectivity[measure][scope][band], e)
        rows.append(
            _contrast(f"{_MEASURES.get(measure, measure)} {SCOPES[scope]}, {band.replace('_', ' ')}", *triple)
        )
    rows += [_contrast(k, real.evoked[k], control.evoked[k], e) for k, e in less.evoked.items()]
    return tuple(rows)


_MEASURES = {"dwpli2": "dwPLI²", "wpli": "wPLI", "plv": "PLV", "ppc": "PPC"}


def _pairs(scores: Scores) -> Iterator[tuple[str, str, str, Estimate]]:
    """Every measure pooled; GLOBAL dwPLI² by band, too."""
    for measure, scopes in scores.connectivity.items():
        for scope, bands in scopes.items():
            for band, e in reversed(list(bands.items())):
                if band == POOLED or (measure, scope) == ("dwpli2", "global"):
                    yield measure, scope, band, e


def _contrast(what: str, real: Estimate, control: Estimate, difference: Estimate) -> ContrastRow:
    return ContrastRow(what=what, real=real, control=control, difference=difference)


def equal_rows(view: View) -> tuple[EqualRow, ...]:
    """What is biased by N, of all targets at the number of trials of the one that has fewest."""
    found = {} if view.equal_n is None else view.equal_n["targets"]
    columns: dict[str, dict[str, Estimate]] = {}
    for target, scores in found.items():
        for measure, scopes in scores["connectivity"].items():
            for scope, bands in scopes.items():
                row = columns.setdefault(f"{_MEASURES[measure]} {SCOPES[scope]}, {POOLED}", {})
                row[target] = Estimate.from_dict(bands[POOLED])
        for name, e in scores["evoked"].items():
            if ":" not in name or name.endswith(POOLED):
                columns.setdefault(name, {})[target] = Estimate.from_dict(e)
    return tuple(EqualRow(what=what, values=row) for what, row in columns.items())


def equal_words(view: View) -> str:
    """How the targets were made equal, or why they were not; empty where all have as many trials."""
    d = view.equal_n
    if d is None:
        return ""
    if d["why_absent"]:
        return f"Not compared at equal numbers of trials: {d['why_absent']}."
    return (
        f"What grows as trials get fewer, at {d['n']} trials of each target: mean over {d['draws']} subsets without "
        f"replacement, seed {d['seed']}."
    )


def subtracted_rows(t: TargetView) -> dict[str, Estimate]:
    """Numbers of the subtracted average, where the plan asks for them."""
    return {} if t.control is None else {
        k: Estimate.from_dict(e) for k, e in (t.control.get("subtracted") or {}).items()
    }  # fmt: skip


def contrast_words(view: View, t: TargetView) -> tuple[str, ...]:
    """What a run was compared with and how, or that its sensory responses cannot be separated, and why."""
    if t.block != "run":
        return ()
    kind = control_of(view, t.name)["kind"]
    if t.control is None:
        other = view.targets.get(key_of(t.name, "control"))
        if other is None:
            return (f"{NO_CONTROL[0].upper()}{NO_CONTROL[1:]}.",)
        n = f"{other.n_accepted} accepted control ({kind}) and {t.n_accepted} real trial(s)"
        return (f"Not compared with the control block: {n}, at least {FROM_TRIALS} of each are needed. Sensory responses, "
                "above all after 80 ms, cannot be separated from direct ones.",)  # fmt: skip
    if t.control["why_absent"]:
        return (f"Not compared with the control block ({kind}): {t.control['why_absent']}.",)
    d = t.control
    equal = (
        "" if d["draws"] == 1 else f" What grows as trials get fewer is compared at {d['equal_n']} each (mean of {d['draws']} "
        f"subsets, seed {d['seed']})."
    )  # fmt: skip
    return (
        f"Real against {kind}: {d['n_real']} and {d['n_control']} accepted trials{_powers(view, t.name)}.{equal} SE of a "
        "difference: sqrt(SE² + SE²). A difference of dwPLI² is not the dwPLI² of a difference. What is left is the direct "
        "response only if both blocks were heard and felt alike.",
    )  # fmt: skip


def _powers(view: View, target: str) -> str:
    """ " at 45 and 45 % MSO" of the run and its control block; empty where a power is not known."""
    told = []
    for block in ("run", "control"):
        rows = [p for p in view.pulses.values() if (p.get("target"), p.get("block")) == (target, block)]
        powers = {str(p.get("power_pct_mso")) for p in rows if p.get("accepted")}
        if not powers or "None" in powers:
            return ""
        told.append(" / ".join(sorted(powers)))
    return f" at {told[0]} and {told[1]} % MSO"


def subtracted_evoked(t: TargetView, line: SignalLine, evoked: Evoked | None) -> Evoked | None:
    """The average of a run minus that of its control block, where the plan asks for it and both are there."""
    key = key_of(t.name, "control")
    if (
        evoked is None
        or t.block != "run"
        or t.control is None
        or not t.control["subtract"]
        or key not in line.scorers
    ):
        return None
    if t.control["why_absent"]:
        return None
    both = [line.scorers[k].average() for k in (t.name, key)]
    return Evoked(
        data_uv=np.asarray(subtracted_average(*both)), times_ms=evoked.times_ms, montage=evoked.montage, gap_ms=evoked.gap_ms,
        local_names=evoked.local_names,
    )  # fmt: skip


def contrast_line(view: View) -> list[str]:
    """One line for the terminal: GLOBAL and the field power after 80 ms, real minus control; none in a blinded study."""
    told = []
    for t in view.targets.values():
        real, control, less = (_scores(t.control, k) for k in ("real", "control", "difference"))
        if t.block != "run" or blinded(view) or real is None or control is None or less is None:
            continue
        late = next((k for k in less.evoked if k == late_name("gmfp_uv", (0.0, _end_s(k)))), "")
        words = (
            f"GLOBAL x1000 {_three(real.score('global'), control.score('global'), less.score('global'), 1e3)}"
        )
        if late:
            words += (
                f", GMFP after 80 ms {_three(real.evoked[late], control.evoked[late], less.evoked[late])} µV"
            )
        told.append(f"{t.name} {words}")
    return [f"real minus control (± SE): {'; '.join(told)}"] if told else []


def _end_s(key: str) -> float:
    end = key.rpartition("-")[2]
    return float(end) / 1e3 if end.isdigit() else 0.0


def _three(real: Estimate, control: Estimate, less: Estimate, scale: float = 1.0) -> str:
    return " ".join((_pm(real, scale), "-", f"({_pm(control, scale)})", "=", _pm(less, scale)))


def _pm(e: Estimate, scale: float) -> str:
    return f"{scale * e.value:.1f} ± {scale * e.se:.1f}" if e.present else f"none ({e.why_absent})"


def beside_result(view: View, t: TargetView) -> dict[str, Any]:
    """What the result holds of a block beside its scores; empty for a block that is no run."""
    if t.block != "run":
        return {}
    rows = [
        {"measure": r.measure, "where": r.where, "band": band, "definition": r.definition, **e.to_dict()}
        for r in beside_rows(t)
        for band, e in r.values.items()
    ]
    norms = [] if t.beside is None else t.beside["norms"]
    return {
        "beside": {"rows": rows, "norms": norms, "words": list(beside_words(t))},
        "control": t.control, "control_words": list(contrast_words(view, t)),
    }  # fmt: skip


def _scores(data: Mapping[str, Any] | None, part: str) -> Scores | None:
    return None if data is None or not data.get(part) else Scores.from_dict(data[part])
