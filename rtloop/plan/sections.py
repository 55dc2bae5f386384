"""Owns how the tables of a written file are read: each on its own, so that no problem hides another; and where files of the
library lie. Owns no table and no rule of content.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rtloop.plan.problems import FileProblem, Problem, as_tuples, from_pydantic, parse_toml, read_toml, shown

#: key -> (what, expected, todo) for a wrong value that deserves more than the general words
Special = Mapping[str, tuple[str, str, str]]
#: of the library: plans of sessions, treatments, courses
FOLDERS = ("", "treatment", "course")
_Shape = TypeVar("_Shape", bound=BaseModel)


def shelf(folder: str = "") -> tuple[str, ...]:
    """Names of the files that ship in this folder of the library ("": the plans of sessions), sorted."""
    files = (resources.files("rtloop.plan") / "library" / folder).iterdir()
    return tuple(sorted(f.name[: -len(".toml")] for f in files if f.name.endswith(".toml")))


def kind_of(path_or_name: str) -> str:
    """What ``[plan] kind`` of any file says, "" where it says nothing; a bare name is of any folder of the library."""
    found = next((f for f in FOLDERS if path_or_name in shelf(f)), None)
    if found is None and Path(path_or_name).suffix != ".toml" and Path(path_or_name).name == path_or_name:
        names = [n for f in FOLDERS for n in shelf(f)]
        raise FileProblem(
            f"no plan is called {path_or_name}", expected=f"one of {', '.join(names)}, or the path of a .toml file",
            found=path_or_name, todo="give a name of the library or a path",
        )  # fmt: skip
    head = text_of(path_or_name, "plan", found or "")[0].get("plan")
    return str(head.get("kind", "")) if isinstance(head, dict) else ""


def text_of(path_or_name: str | Path, kind: str, folder: str = "") -> tuple[dict[str, Any], bytes, str]:
    """The parsed file, its bytes, and what to call it; a bare name without .toml is of the library's folder.

    ``kind``: what messages call such a file. ``FileProblem`` when there is none, or it cannot be read or parsed.
    """
    name, path = str(path_or_name), Path(path_or_name)
    if isinstance(path_or_name, Path) or path.suffix == ".toml" or path.name != name:
        return *read_toml(kind, path), str(path)
    names = shelf(folder)
    if name not in names:
        raise FileProblem(
            f"no {kind} is called {name}",
            expected=f"one of {', '.join(names)}, or the path of a .toml file",
            found=name, todo="give a name of the library or a path",
        )  # fmt: skip
    text = (resources.files("rtloop.plan") / "library" / folder / f"{name}.toml").read_bytes()
    return parse_toml(kind, name, text), text, name


def read_tables(
    raw: Mapping[str, Any],
    shapes: Mapping[str, type[BaseModel]],
    *,
    required: tuple[str, ...],
    lists: Mapping[str, tuple[type[BaseModel], int]],
    special: Special,
) -> tuple[dict[str, Any], list[Problem]]:
    """The well-formed tables by name (None: not there; a malformed one is left out), and everything wrong with the others.

    ``lists``: name -> (shape, most) of what is written as ``[[name]]``; a malformed row of it is None in its place.
    """
    problems: list[Problem] = []
    tables: dict[str, Any] = {}
    known = f"{', '.join(shapes)} or {' or '.join(lists)}"
    for key in raw:
        if key not in (*shapes, *lists):
            problems.append(
                Problem(
                    where=key, what="the table is not known", expected=known, found=shown(raw[key]),
                    todo="remove the table or correct its name",
                )
            )  # fmt: skip
    for key, shape in shapes.items():
        if key not in raw:
            if key in required:
                problems.append(_missing(key))
            else:
                tables[key] = None
            continue
        made, wrong = _one(shape, raw[key], (key,), special)
        problems += wrong
        if made is not None:
            tables[key] = made
    for key, (shape, most) in lists.items():
        problems += _listed(raw.get(key), key, shape, most, tables)
    return tables, problems


def _listed(
    listed: Any, key: str, shape: type[BaseModel], most: int, tables: dict[str, Any]
) -> list[Problem]:
    if listed is None:
        return [_missing(key)]
    if not isinstance(listed, list) or not listed or len(listed) > most:
        return [
            Problem(
                where=key, what=f"not a list of {key}", expected=f"1 to {most} tables written as [[{key}]]",
                found=shown(listed), todo=f"write each of the {key} under [[{key}]]",
            )
        ]  # fmt: skip
    made = [_one(shape, one, (key, i), {}) for i, one in enumerate(listed)]
    tables[key] = tuple(row for row, _ in made)
    return [problem for _, wrong in made for problem in wrong]


def _one(
    shape: type[_Shape], raw: Any, where: tuple[str | int, ...], special: Special
) -> tuple[_Shape | None, list[Problem]]:
    try:
        return shape.model_validate(as_tuples(raw)), []
    except ValidationError as wrong:
        return _known_rest(shape, raw, wrong), from_pydantic(wrong, where, special)


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
