"""Owns how a mapping's looks, both scores and the comparability test become words and rows for people, masked where a study
is blinded; owns no score and no rule.

The noise-matched score of one target is shown without an interval: its own would be too narrow (docs/decisions/0018).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtloop.decide.comparability import Check
from rtloop.decide.look import Outcome
from rtloop.model.estimate import Estimate
from rtloop.model.view import View
from rtloop.session.display import MASKED, blinded, number

#: rows of a table, its head first
Table = tuple[tuple[str, ...], ...]
#: checks whose number must not be less than its limit (the others: not more), and the one that has no number
AT_LEAST = (Check.ACCEPTED, Check.SNR_PRESENT, Check.SNR_RATIO)
SAME = Check.SETUP
_NAMING = (Outcome.NAMED, Outcome.UNDECIDED)


def look_words(d: Mapping[str, Any], view: View) -> str:
    """What a look said; in a blinded study without names. A return and a missing comparability name no leader."""
    if blinded(view) and d["outcome"] in _NAMING:
        return f"look {d['number']} of {d['of']} at the map: {MASKED}"
    return f"look {d['number']} of {d['of']} at the map: {d['words']}"


def matched_words(d: Mapping[str, Any], view: View) -> list[str]:
    """Both scores of every target and what the matching did, one line each."""
    rows = _scores(d["scores"], blinded(view))[1:]
    return [f"raw {raw} | matched {matched} | SNR {snr} | {words}" for _, raw, matched, snr, words in rows]


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
    table = [
        ("Target", "Raw [95 % interval]", "Matched (no interval: it would be too narrow)",
         "SNR (power ratio) [95 % interval]", "What was added (alpha, low beta, high beta)")
    ]  # fmt: skip
    for row in rows:
        raw, matched, snr = (Estimate.from_dict(row[k]) for k in ("raw", "matched", "snr"))
        value = f"{1e3 * matched.value:.1f}" if matched.present else matched.why_absent
        shown = ("masked", "masked") if hidden else (number(raw, 1e3), value)
        table.append(
            (
                row["target"],
                shown[0],
                shown[1],
                number(snr, 1, 2),
                row["words"],
            )
        )
    return tuple(table)


def _findings(rows: list[Mapping[str, Any]]) -> Table:
    """What failed first, each with its words and remedy; what passed after it, one row for each check."""
    table = [("Check", "Targets", "Passed", "Found", "Wanted", "What to do")]
    for f in rows:
        if not f["passed"]:
            remedy = f"{f['words']} What to do: {f['remedy']}."
            table.append((f["check"], f["target"], "✖ NO", _found(f), _wanted(f), remedy))
    passed = [f for f in rows if f["passed"]]
    for check in dict.fromkeys(f["check"] for f in passed):
        of = [f for f in passed if f["check"] == check]
        name, found, wanted = check, ", ".join(_found(f) for f in of), _wanted(of[0])
        if check == SAME:  # what of it each row is about stands before "differs"
            name = f"{check}: {', '.join(dict.fromkeys(f['words'].partition(' differs')[0] for f in of))}"
            found, wanted = "equal", "equal"
        table.append((name, ", ".join(dict.fromkeys(f["target"] for f in of)), "✓ yes", found, wanted, ""))
    return tuple(table)


def _found(f: Mapping[str, Any]) -> str:
    return "not known" if f["found"] is None else f"{f['found']:.3g}"


def _wanted(f: Mapping[str, Any]) -> str:
    if f["check"] == SAME:
        return "equal"
    return f"{'at least' if f['check'] in AT_LEAST else 'at most'} {f['limit']:.3g}"
