"""Owns the checklists that ship with the package: which one is asked when; owns no question and no answer."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

from rtloop.treat.checklist import Checklist, parse_checklist

BEFORE, AFTER = "before", "after"


@lru_cache(maxsize=2)
def checklist(when: str) -> Checklist:
    """The one of "before" or "after"; ValidationProblem where it is damaged."""
    file = resources.files("rtloop.plan") / "library" / "checklist" / f"{when}.toml"
    return parse_checklist(file.read_text("utf-8"))
