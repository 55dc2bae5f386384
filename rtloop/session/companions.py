"""Owns when and how what stands beside the scores is measured, as events: companions of a run, real against control.

It owns no measure. Both cost seconds and belong to a review or the end of a session, with the unit disarmed: never
between a pulse and its scores. Nothing here may end a session: a failure is told in the event, in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rtloop.dsp.spec import ChainSpec
from rtloop.measures.complexity import RESPONSE_S
from rtloop.measures.norms import NORMS, PRESET, SOURCE, standing
from rtloop.measures.sampling import DRAWS, SEED
from rtloop.model.estimate import Estimate, Scores
from rtloop.model.samples import F64
from rtloop.model.view import View, key_of
from rtloop.session.contrasting import contrast
from rtloop.session.line import SignalLine

#: accepted trials below which halves, leave-outs and differences say nothing (an assumption)
FROM_TRIALS = 10
#: the preprocessing that no preset of this version shares with the norms'
LIVE_PRESET = "rtloop's own chain"
BESIDE, CONTROL, EQUAL = "beside_measured", "control_compared", "equal_n_compared"


def pending(view: View, line: SignalLine, *, last: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Events, each made when asked for, of every run (and its control block) that is not measured as it stands now.

    ``last``: no further trial comes; targets with unequal numbers of trials are compared at the smallest, too.
    """
    for run in [t for t in view.targets.values() if t.block == "run"]:
        if run.beside is None and run.n_accepted >= FROM_TRIALS and run.name in line.scorers:
            yield BESIDE, beside_measured(line, run.name)
        control = view.targets.get(key_of(run.name, "control"))
        if run.control is None and control is not None and enough(run.n_accepted, control.n_accepted):
            yield CONTROL, control_compared(line, run.name, control_of(view, run.name))
    counts = {
        t.name: t.n_accepted
        for t in view.targets.values()
        if t.block == "run" and t.n_accepted >= FROM_TRIALS
    }
    if last and len(set(counts.values())) > 1:
        yield EQUAL, equal_n_compared(line, tuple(counts))


def enough(n_real: int, n_control: int) -> bool:
    """Whether a real and a control block have trials enough to be compared."""
    return min(n_real, n_control) >= FROM_TRIALS


def control_of(view: View, target: str) -> Mapping[str, Any]:
    """What the plan says of a target's control block: ``kind``, ``pulses``, ``subtract``; a journal may not say it."""
    found: Mapping[str, Any] = view.started.get("controls", {}).get(target, {})
    return {"kind": "control", "subtract": False, **found}


def beside_measured(line: SignalLine, target: str) -> dict[str, Any]:
    """Data of ``beside_measured``: what ``rtloop.session.beside`` gives for a run, and where it stands among norms."""
    scorer = line.scorer(target, "run")
    data: dict[str, Any] = {"target": target, "block": "run", "n_accepted": scorer.n_accepted}
    try:
        found = scorer.beside(line.meanwhile)
        norms = standings(found, line.spec, scorer.coil_m)
    except Exception as err:  # whatever it is, scores and record are not touched
        return data | {"scores": None, "norms": [], "why_absent": _failed(err)}
    return data | {"scores": found.to_dict(), "norms": norms, "why_absent": ""}


def control_compared(line: SignalLine, target: str, control: Mapping[str, Any]) -> dict[str, Any]:
    """Data of ``control_compared``: scores of both blocks, at equal numbers of trials where that matters, and real minus
    control; the response of the subtracted average where the plan asks (``subtract``)."""
    real, other = line.scorer(target, "run"), line.scorer(target, "control")
    data: dict[str, Any] = {
        "target": target, "kind": control["kind"], "subtract": bool(control["subtract"]), "n_real": real.n_accepted,
        "n_control": other.n_accepted,
    }  # fmt: skip
    try:
        found = contrast(real, other, subtract=bool(control["subtract"]), meanwhile=line.meanwhile)
    except Exception as err:
        return data | {"difference": None, "why_absent": _failed(err)}
    return data | found.to_dict() | {"why_absent": ""}


def equal_n_compared(line: SignalLine, targets: Sequence[str]) -> dict[str, Any]:
    """Data of ``equal_n_compared``: what is biased by N, of each target at the number of trials of the one with fewest."""
    scorers = {name: line.scorer(name, "run") for name in targets}
    n = min(s.n_accepted for s in scorers.values())
    data: dict[str, Any] = {"n": n, "draws": DRAWS, "seed": SEED}
    try:
        found = {name: s.at_equal_n(n, line.meanwhile).to_dict() for name, s in scorers.items()}
    except Exception as err:
        return data | {"targets": {}, "why_absent": _failed(err)}
    return data | {"targets": found, "why_absent": ""}


def standings(
    found: Scores, spec: ChainSpec, coil_m: F64 | None, preset: str = LIVE_PRESET
) -> list[dict[str, Any]]:
    """Where values that a norm exists for stand in it (``rtloop.measures.norms``), or why they are not compared.

    Only PCIst is the norm's own quantity in its unit; the others' units or windows are not known to be the same.
    """
    name, value = "pcist:15-300", found.evoked.get("pcist", Estimate.absent("not computed"))
    spatial = bool(getattr(spec, "sound", False) or getattr(spec, "muscle", False))
    s = standing(
        name, value.value, preset=preset, spatial_filter=spatial, coil_m=None if coil_m is None else coil_m.tolist(),
        window_s=RESPONSE_S,
    )  # fmt: skip
    row = {
        "norm": name,
        "feature": NORMS[name].feature,
        "percentile": s.percentile,
        "low": s.low,
        "high": s.high,
    }
    return [row | {"why_absent": s.why_absent, "source": SOURCE, "preset": PRESET}]


def _failed(err: Exception) -> str:
    return f"it could not be computed: {type(err).__name__}: {err}"
