"""The tables of a decision in the report: what failed stands first with its remedy, what passed in one row for each check."""

from __future__ import annotations

from typing import Any

from rtloop.decide.comparability import Check
from rtloop.model.view import View
from rtloop.session.deciding import decision_tables, matched_words


def _finding(check: Check, target: str, passed: bool, **more: Any) -> dict[str, Any]:
    told = {
        "found": 16.0,
        "limit": 12.0,
        "words": f"{target}: words.",
        "remedy": "record more",
        "more_pulses": None,
    }
    return {"check": check.value, "target": target, "passed": passed} | told | more


FINDINGS = [
    _finding(Check.ACCEPTED, "M1", True),
    _finding(Check.ACCEPTED, "PSI", True, found=14.0),
    _finding(Check.RESIDUE, "M1", True, found=1.5, limit=2.0),
    _finding(Check.RESIDUE, "PSI", False, found=None, limit=2.0),
    *(
        _finding(Check.SETUP, t, True, found=0.0, limit=0.0, words=f"{what} differs: x at M1, x at PSI.")
        for what in ("coil", "filter")
        for t in ("M1", "PSI")
    ),
]


def test_what_failed_stands_first_and_what_passed_is_told_once_for_each_check() -> None:
    ((caption, rows),) = decision_tables(View(decision={"findings": FINDINGS}))
    assert caption.startswith("Whether the targets may be compared")
    assert rows[1:] == (
        (Check.RESIDUE, "PSI", "✖ NO", "not known", "at most 2", "PSI: words. What to do: record more."),
        (Check.ACCEPTED, "M1, PSI", "✓ yes", "16, 14", "at least 12", ""),
        (Check.RESIDUE, "M1", "✓ yes", "1.5", "at most 2", ""),
        ("same set-up: coil, filter", "M1, PSI", "✓ yes", "equal", "equal", ""),
    )


def test_the_matched_score_says_why_it_has_no_interval() -> None:
    e = {"value": 0.0389, "se": 0.01, "low": 0.018, "high": 0.06, "n": 16, "unit": "", "why_absent": ""}
    scores = [{"target": "M1", "raw": e, "matched": e, "snr": e, "words": "M1: matched to PSI"}]
    ((_, (head, row)),) = decision_tables(View(decision={"scores": scores}))
    assert "too narrow" in head[2]
    assert row[:3] == ("M1", "38.9 [18.0, 60.0]", "38.9")
    assert matched_words({"scores": scores}, View()) == [
        "raw 38.9 [18.0, 60.0] | matched 38.9 | SNR 0.04 [0.02, 0.06] | M1: matched to PSI"
    ]
