"""Owns the way from a signed TOML file to waivers, and which rules a person may waive; lifts nothing itself.

Never shipped filled: the person who runs a plan writes and signs the file. A waiver lifts exactly one rule for exactly
one plan. Caps of intensity, of the device and of the day cannot be waived, nor anything the moment decides.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

from rtloop.errors import ValidationProblem
from rtloop.model.waiver import Waiver

#: rule -> what lifting it means, in words
WAIVABLE = {
    "train_longest_tested": "a train longer than the longest that was tested (rows marked '>' of the table)",
    "treatment_course": "a course of more pulses or sessions than the published one, as prescribed",
}
_KEYS = ("rule", "reason", "citation", "person", "signed_on", "plan_sha256")
_BLANKS = {"todo", "tbd", "name", "n/a", "none", "xxx", "?", "-", "...", "unknown", "your name"}


def parse_waivers(text: str, *, plan_sha256: str, today: str) -> tuple[Waiver, ...]:
    """Waivers of the plan with this SHA-256, signed not after ``today``; all faults at once (ValidationProblem).

    The text is TOML: one ``[[waiver]]`` table for each, with exactly the fields of ``Waiver``, all filled.
    """
    try:
        doc = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise ValidationProblem("the waivers cannot be read", expected="TOML", found=str(err)) from err
    rows = doc.get("waiver", [])
    faults = [f"unknown key {k!r}" for k in doc if k != "waiver"]
    if not isinstance(rows, list) or not rows:
        faults, rows = [*faults, "no [[waiver]]"], []
    made: list[Waiver] = []
    for i, row in enumerate(rows):
        wrong = _row_faults(row, plan_sha256, today)
        faults += [f"waiver {i + 1}: {w}" for w in wrong]
        if not wrong:
            made.append(Waiver(**(row | {"signed_on": str(row["signed_on"])})))  # TOML dates as written
    rules = [w.rule for w in made]
    faults += [f"{rule} is waived twice" for rule in sorted(set(rules)) if rules.count(rule) > 1]
    if faults:
        raise ValidationProblem(
            "the waivers are not valid", expected=f"every field filled ({', '.join(_KEYS)}), each rule once",
            found="; ".join(faults), todo="the person who takes the responsibility fills and signs the file",
        )  # fmt: skip
    return tuple(made)


def load_waivers(path: Path, *, plan_sha256: str, today: str) -> tuple[Waiver, ...]:
    """As ``parse_waivers``, of a file; ValidationProblem when it cannot be read."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ValidationProblem(f"the waivers in {path} cannot be read", found=str(err)) from err
    return parse_waivers(text, plan_sha256=plan_sha256, today=today)


def _row_faults(row: Any, plan_sha256: str, today: str) -> list[str]:
    if not isinstance(row, dict):
        return ["not a table"]
    faults = [f"unknown key {k!r}" for k in row if k not in _KEYS]
    faults += [f"{k} is missing or empty" for k in _KEYS if k != "signed_on" and not _filled(row.get(k))]
    if row.get("rule") not in list(WAIVABLE):  # a list: what stands there may have no hash
        faults.append(f"the rule {row.get('rule')!r} cannot be waived (can: {', '.join(WAIVABLE)})")
    sha = row.get("plan_sha256")
    if not (isinstance(sha, str) and re.fullmatch("[0-9a-f]{64}", sha) and sha == plan_sha256):
        faults.append(f"signed for the plan {sha!r}, this one is {plan_sha256!r}")
    try:
        if not date.fromisoformat(str(row.get("signed_on"))) <= date.fromisoformat(today):
            faults.append(f"signed on {row['signed_on']}, after today ({today})")
    except ValueError:
        faults.append(f"signed_on = {row.get('signed_on')!r} is no date (YYYY-MM-DD)")
    return faults


def _filled(value: object) -> bool:
    return isinstance(value, str) and any(c.isalpha() for c in value) and value.strip().lower() not in _BLANKS
