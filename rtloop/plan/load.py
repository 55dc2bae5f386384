"""Owns the way from the text of a plan to a checked ``Plan``, and the library; owns no rule of content."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rtloop.plan.checks import contradictions
from rtloop.plan.problems import (
    FileProblem,
    Problem,
    as_tuples,
    from_pydantic,
    parse_toml,
    read_toml,
    refuse,
    shown,
)
from rtloop.plan.schema import REQUIRED, SECTIONS, Plan, Target

#: keys whose wrong value deserves more than the general words: what, expected, what to do
_SPECIAL = {
    "plan.schema": ("the plan is written for another version", "schema = 1", "bring the plan up to date"),
    "threshold.method": (
        "the motor threshold is not from EMG", 'method = "EMG"',
        "take the threshold by EMG; a visible twitch reads about 11 % too high",
    ),
    "unit.model": ("the unit is not supported", 'model = "200" (Magstim 200²)', "use a supported unit"),
}  # fmt: skip
__all__ = ["library", "load_plan", "parse_plan"]


def library() -> tuple[str, ...]:
    """Names of the plans that ship, sorted."""
    folder = resources.files("rtloop.plan") / "library"
    return tuple(sorted(f.name[: -len(".toml")] for f in folder.iterdir() if f.name.endswith(".toml")))


def load_plan(path_or_library_name: str | Path) -> Plan:
    """A plan from a file, or from the library: a bare name without .toml is of the library.

    ``FileProblem`` (a ``ValidationProblem``) tells all problems at once.
    """
    name = str(path_or_library_name)
    path = Path(path_or_library_name)
    if not isinstance(path_or_library_name, Path) and path.suffix != ".toml" and path.name == name:
        if name not in library():
            raise FileProblem(
                f"no plan is called {name}",
                expected=f"one of {', '.join(library())}, or the path of a .toml file",
                found=name, todo="give a name of the library or a path",
            )  # fmt: skip
        text = (resources.files("rtloop.plan") / "library" / f"{name}.toml").read_bytes()
        return _build(parse_toml("plan", name, text), text, name)
    raw, text = read_toml("plan", path)
    return _build(raw, text, str(path))


def parse_plan(text: str, source: str = "text") -> Plan:
    """A plan from its text; raises as ``load_plan``."""
    data = text.encode("utf-8", errors="surrogatepass")
    return _build(parse_toml("plan", source, data), data, source)


def _build(raw: dict[str, Any], text: bytes, source: str) -> Plan:
    problems: list[Problem] = []
    tables: dict[str, Any] = {}
    for key in raw:
        if key not in (*SECTIONS, "targets"):
            problems.append(
                Problem(
                    where=key,
                    what="the table is not known",
                    expected=f"{', '.join(SECTIONS)} or targets",
                    found=shown(raw[key]),
                    todo="remove the table or correct its name",
                )
            )
    for key, shape in SECTIONS.items():
        if key not in raw:
            if key in REQUIRED:
                problems.append(_missing(key))
            else:
                tables[key] = None
            continue
        try:
            tables[key] = shape.model_validate(as_tuples(raw[key]))
        except ValidationError as wrong:
            problems += from_pydantic(wrong, (key,), _SPECIAL)
            rest = _known_rest(shape, raw[key], wrong)
            if rest is not None:
                tables[key] = rest
    problems += _targets(raw, tables)
    problems += contradictions(tables)
    if problems:
        raise refuse("plan", source, problems)
    try:
        plan = Plan.model_validate(tables)
    except ValidationError as wrong:
        raise refuse("plan", source, from_pydantic(wrong)) from wrong
    plan._sha256, plan._source = hashlib.sha256(text).hexdigest(), text
    return plan


def _targets(raw: dict[str, Any], tables: dict[str, Any]) -> list[Problem]:
    """Each target on its own, so that one bad one does not hide the others; a bad one leaves None in its
    place."""
    listed = raw.get("targets")
    if listed is None:
        return [_missing("targets")]
    if not isinstance(listed, list) or not listed or len(listed) > 32:
        return [
            Problem(
                where="targets",
                what="not a list of targets",
                expected="1 to 32 tables written as [[targets]]",
                found=shown(listed),
                todo="write each target under [[targets]]",
            )
        ]
    out: list[Problem] = []
    good: list[Target | None] = []
    for i, one in enumerate(listed):
        try:
            good.append(Target.model_validate(as_tuples(one)))
        except ValidationError as wrong:
            out += from_pydantic(wrong, ("targets", i))
            good.append(_known_rest(Target, one, wrong))
    tables["targets"] = tuple(good)
    return out


_Shape = TypeVar("_Shape", bound=BaseModel)


def _known_rest(shape: type[_Shape], raw: Any, wrong: ValidationError) -> _Shape | None:
    """What is left without the unknown keys, so that they hide no other fault; None if that is malformed."""
    if not isinstance(raw, dict) or any(e["type"] != "extra_forbidden" for e in wrong.errors()):
        return None
    unknown = {e["loc"][0] for e in wrong.errors() if len(e["loc"]) == 1}
    try:
        return shape.model_validate(as_tuples({k: v for k, v in raw.items() if k not in unknown}))
    except ValidationError:
        return None


def _missing(key: str) -> Problem:
    return Problem(
        where=key, what="the table is missing", expected=f"a table [{key}]", found="nothing",
        todo="add the table; it has no default",
    )  # fmt: skip
