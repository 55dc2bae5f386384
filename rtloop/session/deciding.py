"""Owns how a mapping's looks, both scores and the comparability test become words and rows for people, masked where a study
is blinded; owns no score and no rule.

The noise-matched score of one target is shown without an interval: its own would be too narrow (docs/decisions/0018).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtloop.decide.look import Outcome
from rtloop.model.estimate import Estimate
from rtloop.model.view import View
from rtloop.session.display import MASKED, blinded, number

#: rows of a table, its head first
Table = tuple[tuple[str, ...], ...]
_NAMING = (Outcome.NAMED, Outcome.UNDECIDED)


def look_words(d: Mapping[str, Any], view: View) -> str:
    """What a look said; in a blinded study without names. A return and a missing comparability name no leader."""
    if blinded(view) and d["outcome"] in _NAMING:
        return f"look {d['number']} of {d['of']} at the map: {MASKED}"
    return f"look {d['number']} of {d['of']} at the map: {d['words']}"


def matched_words(d: Mapping[str, Any], view: View) -> list[str]:
    """Both scores of every target and what the matching did, one line each."""
    return [f"{' | '.join(row[1:4])} | {row[4]}" for row in _scores(d["scores"], blinded(view))[1:]]


def decision_tables(view: View) -> tuple[tuple[str, Table], ...]:
    """(caption, rows) of the last look: both scores, and the test of comparability; () where there was none."""
    decision = view.decision or {}
    out: list[tuple[str, Table]] = []
    if decision.get("scores"):
        out.append(
            (
                "Raw and noise-matched GLOBAL score (dwPLI² x1000), last look",
                _scores(decision["scores"], blinded(view)),
            )
        )
    if decision.get("findings"):
        out.append(("Whether the targets may be compared, last look", _findings(decision["findings"])))
    return tuple(out)


def decision_lines(view: View) -> list[str]:
    """The same for a terminal: both scores, and the rows of the test that failed."""
    decision = view.decision or {}
    lines = [f"   {line}" for line in matched_words(decision, view)] if decision.get("scores") else []
    findings = decision.get("findings", [])
    failed = [f for f in findings if not f["passed"]]
    if findings:
        lines.append(f"   comparability: {len(findings) - len(failed)} of {len(findings)} rows passed")
    return lines + [f"      {f['words']} What to do: {f['remedy']}." for f in failed]


def _scores(rows: list[Mapping[str, Any]], hidden: bool) -> Table:
    table = [("Target", "Raw [95 %]", "Matched", "SNR (power)", "What was added")]
    for row in rows:
        raw, matched, snr = (Estimate.from_dict(row[k]) for k in ("raw", "matched", "snr"))
        value = f"{1e3 * matched.value:.1f}" if matched.present else matched.why_absent
        shown = ("masked", "masked") if hidden else (number(raw, 1e3), value)
        table.append(
            (
                row["target"],
                f"raw {shown[0]}",
                f"matched {shown[1]}",
                f"SNR {number(snr, 1, 2)}",
                row["words"],
            )
        )
    return tuple(table)


def _findings(rows: list[Mapping[str, Any]]) -> Table:
    table = [("Check", "Target", "Passed", "Found", "Limit", "What to do")]
    for f in rows:
        found = "not known" if f["found"] is None else f"{f['found']:.3g}"
        remedy = "" if f["passed"] else f"{f['words']} {f['remedy']}"
        table.append(
            (f["check"], f["target"], "yes" if f["passed"] else "NO", found, f"{f['limit']:.3g}", remedy)
        )
    return tuple(table)
