"""Owns the way from the text of a treatment plan to a checked ``TreatmentPlan``, and the ones that ship; owns no rule."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rtloop.plan.problems import from_pydantic, parse_toml, refuse
from rtloop.plan.sections import read_tables, shelf, text_of
from rtloop.plan.treat_checks import bursts_in, treatment_wrong
from rtloop.plan.treat_schema import REQUIRED, SECTIONS, TreatmentPlan, TreatTarget

FOLDER = "treatment"
_TRAINS = "rapid, super-rapid or super-rapid-plus (Magstim Rapid²)"
_SPECIAL = {
    "plan.schema": ("the plan is written for another version", "schema = 1", "bring the plan up to date"),
    "plan.kind": ("the file is no treatment plan", 'kind = "treat"', "name a treatment plan here"),
    "unit.model": ("the unit gives no trains, or is not supported", _TRAINS, "treat with a unit that gives trains"),
    "threshold.method": (
        "a motor threshold that is not from EMG is not accepted", 'method = "EMG"',
        "accept thresholds by EMG only; a visible twitch reads about 11 % too high",
    ),
}  # fmt: skip


def treatments() -> tuple[str, ...]:
    """Names of the treatment plans that ship, sorted."""
    return shelf(FOLDER)


def load_treatment(path_or_library_name: str | Path) -> TreatmentPlan:
    """A treatment plan from a file, or from the library: a bare name without .toml is of the library.

    ``FileProblem`` (a ``ValidationProblem``) tells all problems at once.
    """
    return _build(*text_of(path_or_library_name, "treatment plan", FOLDER))


def parse_treatment(text: str, source: str = "text") -> TreatmentPlan:
    """A treatment plan from its text; raises as ``load_treatment``."""
    data = text.encode("utf-8", errors="surrogatepass")
    return _build(parse_toml("treatment plan", source, data), data, source)


def _build(raw: dict[str, Any], text: bytes, source: str) -> TreatmentPlan:
    bursts = bursts_in(raw)
    told = {p.where for p in bursts}
    tables, problems = read_tables(
        raw, SECTIONS, required=REQUIRED, lists={"targets": (TreatTarget, 32)}, special=_SPECIAL
    )
    problems = [*bursts, *(p for p in problems if p.where not in told), *treatment_wrong(tables)]
    if problems:
        raise refuse("treatment plan", source, problems)
    try:
        plan = TreatmentPlan.model_validate(tables)
    except ValidationError as wrong:
        raise refuse("treatment plan", source, from_pydantic(wrong)) from wrong
    plan._sha256, plan._source = hashlib.sha256(text).hexdigest(), text
    return plan
