"""Owns turning a ``ReportInput`` into one HTML file without external resources; owns none of its numbers."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rtloop.errors import IntegrityProblem
from rtloop.model.estimate import BANDS_HZ, MEASURES, POOLED, Estimate, Scores
from rtloop.record.report_input import BesideRow, ReportInput

ABSENT = "–"
#: letters of an answer that are still set large
LEAD = 160
RANK_LABEL = "sampling error only, not a decision"
SENSORY = (
    "Sensory responses cannot be separated from direct ones without a control condition. That holds above all for "
    "components after 80 ms (N100-P180), which click and tap alone evoke."
)
MEASURE_NAMES = {"dwpli2": "dwPLI²", "wpli": "wPLI", "plv": "PLV", "ppc": "PPC"}
BAND_NAMES = {
    **{b: f"{b.replace('_', ' ')} {lo:g}–{hi:g} Hz" for b, (lo, hi) in BANDS_HZ.items()},
    POOLED: "pooled 8–30 Hz",
}
_ABBREVIATIONS = {w: w.upper() for w in ("gmfp", "lmfp", "itc", "ersp", "snr", "plf")} | {
    "pcist": "PCIst", "pp": "peak to peak",
}  # fmt: skip
#: a light as a sign and a word: never a colour alone
LIGHTS = {"red": "✖ RED", "yellow": "▲ YELLOW", "absent": "○ ABSENT", "green": "✓ GREEN"}
MODE_WORDS = {
    "SIMULATED": "Simulated unit and simulated amplifier. No person, no coil.",
    "BENCH": "Real unit, coil on a phantom. No person.",
    "HUMAN": "A person under the coil.",
    "LISTEN": "No unit connected: pulses were found in the stream, none was commanded.",
}


def number(value: float | int | None, digits: int = 4) -> str:
    """A number for reading; a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ABSENT
    if isinstance(value, int):
        return str(value)
    return f"{value:.{digits}g}"


def probability(p: float | None) -> str:
    """A probability; the ends without figures that sampling error alone cannot give."""
    if p is None or not math.isfinite(p):
        return ABSENT
    return "< 0.001" if p < 0.001 else "> 0.999" if p > 0.999 else number(p, 3)


def limit(worse: str, at: float | None) -> str:
    """Where a light begins; a dash where it never does."""
    return ABSENT if at is None else f"{'>' if worse == 'above' else '<'} {number(at)}"


def lead_of(words: str) -> tuple[str, str]:
    """The answer in its first sentence, and the rest; whole where it is short."""
    if len(words) <= LEAD:
        return words, ""
    first, end, rest = words.partition(". ")
    return first + end.strip(), rest


def estimate(e: Estimate | None) -> str:
    """Value with its 95 % interval and unit, or the reason why there is none."""
    if e is None:
        return ABSENT
    if not e.present or not math.isfinite(e.value):
        return f"{ABSENT} ({e.why_absent or 'no number'})"
    unit = f" {e.unit}" if e.unit else ""
    if not (math.isfinite(e.low) and math.isfinite(e.high)):
        return f"{number(e.value)}{unit} (no interval)"
    return f"{number(e.value)}{unit} [{number(e.low)}, {number(e.high)}]"


def with_error(e: Estimate | None) -> str:
    """Value ± SE and unit, or the reason why there is none."""
    if e is None:
        return ABSENT
    if not e.present or not math.isfinite(e.value):
        return f"{ABSENT} ({e.why_absent or 'no number'})"
    if not math.isfinite(e.se):
        told = f"{number(e.value)} (no interval: the trials give no standard error)"
    elif e.se > 1e-4:  # two figures of the error, and no figure of the value beyond them
        digits = max(0, 1 - math.floor(math.log10(e.se)))
        value = round(e.value, digits) + 0.0  # no minus before zero
        told = f"{value:.{digits}f} ± {e.se:.{digits}f}"
    else:
        told = f"{number(e.value)} ± {number(e.se, 2)}"
    return told + (f" {e.unit}" if e.unit else "")


def evoked_name(name: str) -> str:
    """A key of ``Scores.evoked`` for reading: "itc_local:alpha" -> "ITC local, alpha"."""
    what, _, band = name.partition(":")
    words = [_ABBREVIATIONS.get(w, w) for w in what.split("_") if w not in ("uv", "db", "hz")]
    unit = " ms" if band[:1].isdigit() else ""
    return " ".join(words) + (f", {band.replace('_', ' ')}{unit}" if band else "")


def _bands(scores: Scores) -> list[str]:
    found = {b for scopes in scores.connectivity.values() for bands in scopes.values() for b in bands}
    known = [b for b in (POOLED, *BANDS_HZ) if b in found]
    return known + sorted(found - set(known))


def _defined(rows: Sequence[BesideRow]) -> list[tuple[BesideRow, int]]:
    """Each row with how many rows, itself and those after it, its name and definition hold for; 0: told above already."""
    out: list[tuple[BesideRow, int]] = []
    for _, alike in groupby(rows, key=lambda row: (row.measure, row.definition)):
        first, *others = alike
        out += [(first, 1 + len(others)), *((row, 0) for row in others)]
    return out


def _measures(scores: Scores) -> list[str]:
    known = [m for m in MEASURES if m in scores.connectivity]
    return known + sorted(set(scores.connectivity) - set(known))


def _pulse_counts(given: ReportInput) -> dict[str, int]:
    counts: dict[str, int] = {}
    for pulse in given.pulses:
        counts[pulse.outcome] = counts.get(pulse.outcome, 0) + 1
    unseen = sum(p.outcome in ("fired", "uncertain") and not p.seen_source for p in given.pulses)
    return {"pulses": len(given.pulses), **counts, "delivered but not seen": unseen}


def render_report(given: ReportInput) -> str:
    """The whole report as HTML text. Figures are left out where a target has no average."""
    import jinja2

    from rtloop.record.figures import evoked_figure, ranking_figure

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rtloop.record", "."), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    shown_ranking = () if given.masked else given.ranking
    targets: list[dict[str, Any]] = [
        {
            "given": t,
            "scores": t.scores,
            "bands": _bands(t.scores),
            "measures": _measures(t.scores),
            "beside": _defined(t.beside),
            "figure": None if t.evoked is None else evoked_figure(t.evoked),
            "less": None
            if t.subtracted_evoked is None or given.masked
            else evoked_figure(t.subtracted_evoked),
            "n": t.scores.n_accepted + t.scores.n_rejected,
        }
        for t in given.targets
    ]
    return environment.get_template("report.html.j2").render(
        r=given,
        targets=targets,
        ranking=shown_ranking,
        ranking_figure=ranking_figure(shown_ranking) if shown_ranking else None,
        pulse_counts=_pulse_counts(given),
        estimate=estimate,
        with_error=with_error,
        number=number,
        probability=probability,
        limit=limit,
        lead_of=lead_of,
        lights=LIGHTS,
        evoked_name=evoked_name,
        measure_names=MEASURE_NAMES,
        band_names=BAND_NAMES,
        rank_label=RANK_LABEL,
        sensory="" if given.targets and all(t.contrast for t in given.targets if t.asks_control) else SENSORY,
        mode_words=MODE_WORDS[given.mode.value],
    )


def write_report(path: str | Path, given: ReportInput) -> None:
    """Render and put in place at once (a reader never sees half a report); IntegrityProblem on a full
    disk."""
    path = Path(path)
    text = render_report(given)
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as err:
        raise IntegrityProblem(
            f"cannot write the report {path}", found=str(err),
            todo="free space, then make it anew from the session folder with `rtloop report`",
        ) from err  # fmt: skip
