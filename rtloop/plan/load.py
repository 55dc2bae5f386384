"""Owns the way from the text of a plan to a checked ``Plan``, and the library; owns no rule of content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rtloop.plan.checks import contradictions
from rtloop.plan.problems import FileProblem, from_pydantic, parse_toml, refuse
from rtloop.plan.schema import REQUIRED, SECTIONS, Plan, Target
from rtloop.plan.sections import read_tables, shelf, text_of

#: keys whose wrong value deserves more than the general words: what, expected, what to do
_SPECIAL = {
    "plan.schema": ("the plan is written for another version", "schema = 1", "bring the plan up to date"),
    "threshold.method": (
        "the motor threshold is not from EMG", 'method = "EMG"',
        "take the threshold by EMG; a visible twitch reads about 11 % too high",
    ),
    "unit.model": ("the unit is not supported", 'model = "200" (Magstim 200²)', "use a supported unit"),
}  # fmt: skip
#: kinds of files that no session of single pulses runs: what each is, and where it is read
_OTHER_KINDS = {"treat": "a treatment plan", "course": "the calendar of a course"}
__all__ = ["library", "load_plan", "parse_plan"]


def library() -> tuple[str, ...]:
    """Names of the plans of sessions (map, probe, watch) that ship, sorted."""
    return shelf()


def load_plan(path_or_library_name: str | Path) -> Plan:
    """A plan from a file, or from the library: a bare name without .toml is of the library.

    ``FileProblem`` (a ``ValidationProblem``) tells all problems at once.
    """
    return _build(*text_of(path_or_library_name, "plan"))


def parse_plan(text: str, source: str = "text") -> Plan:
    """A plan from its text; raises as ``load_plan``."""
    data = text.encode("utf-8", errors="surrogatepass")
    return _build(parse_toml("plan", source, data), data, source)


def _build(raw: dict[str, Any], text: bytes, source: str) -> Plan:
    head = raw.get("plan")
    kind = str(head.get("kind")) if isinstance(head, dict) else ""
    if kind in _OTHER_KINDS:
        raise FileProblem(
            f"the plan {source} is {_OTHER_KINDS[kind]}", expected='kind = "map", "probe" or "watch"',
            found=f'kind = "{kind}"', todo=f"give a plan of single pulses here; rtloop check {source} reads this one",
        )  # fmt: skip
    tables, problems = read_tables(
        raw, SECTIONS, required=REQUIRED, lists={"targets": (Target, 32)}, special=_SPECIAL
    )
    problems += contradictions(tables)
    if problems:
        raise refuse("plan", source, problems)
    try:
        plan = Plan.model_validate(tables)
    except ValidationError as wrong:
        raise refuse("plan", source, from_pydantic(wrong)) from wrong
    plan._sha256, plan._source = hashlib.sha256(text).hexdigest(), text
    return plan
