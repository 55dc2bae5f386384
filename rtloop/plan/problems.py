"""Owns how everything wrong with a written file is gathered and put into words; owns no rule of content."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rtloop.errors import ValidationProblem

_SHOWN = 60  # characters of a found value that are repeated in a message


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong: the key (dotted, list places from 0 in brackets) and what/expected/found/todo in
    words."""

    where: str
    what: str
    expected: str = ""
    found: str = ""
    todo: str = ""

    def words(self) -> str:
        """One line."""
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        parts += [f"{k}: {v}" for k, v in (("expected", self.expected), ("found", self.found)) if v]
        if self.todo:
            parts.append(f"what to do: {self.todo}")
        return "; ".join(parts)


class FileProblem(ValidationProblem):
    """A file that cannot be used, with all its ``problems`` at once."""

    def __init__(
        self,
        what: str,
        *,
        expected: str = "",
        found: str = "",
        todo: str = "",
        problems: tuple[Problem, ...] = (),
    ) -> None:
        self.problems = problems
        super().__init__(what, expected=expected, found=found, todo=todo)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.what, self.expected, self.found, self.todo, self.problems))


def _rebuild(what: str, expected: str, found: str, todo: str, problems: tuple[Problem, ...]) -> FileProblem:
    return FileProblem(what, expected=expected, found=found, todo=todo, problems=problems)


def refuse(kind: str, source: str, problems: Iterable[Problem]) -> FileProblem:
    """The exception that lists every problem of one file, a line each."""
    listed = tuple(problems)
    count = "1 problem" if len(listed) == 1 else f"{len(listed)} problems"
    return FileProblem(
        f"the {kind} {source} has {count}:\n  - " + "\n  - ".join(p.words() for p in listed) + "\n",
        expected=f"a {kind} without problems",
        found=count,
        todo=f"correct {'it' if len(listed) == 1 else 'them'} in the file and load it again",
        problems=listed,
    )


def dotted(path: Iterable[str | int]) -> str:
    """``("targets", 2, "name")`` -> ``targets[2].name``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else (f".{part}" if out else part)
    return out


def shown(value: object) -> str:
    """A found value, short."""
    if isinstance(value, dict):
        return f"a table with the keys {', '.join(map(str, value)) or '(none)'}"[:_SHOWN]
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def read_toml(kind: str, path: Path) -> tuple[dict[str, Any], bytes]:
    """The parsed file and its bytes; ``FileProblem`` when it cannot be read, is not UTF-8 or not TOML."""
    try:
        text = path.read_bytes()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise FileProblem(
            f"the {kind} {path} cannot be read", expected="a readable TOML file", found=reason,
            todo="check the path and the rights of the file",
        ) from problem  # fmt: skip
    return parse_toml(kind, str(path), text), text


def parse_toml(kind: str, source: str, text: bytes) -> dict[str, Any]:
    """The parsed text; ``FileProblem`` when it is not UTF-8 or not TOML."""
    try:
        return tomllib.loads(text.decode("utf-8"))
    except UnicodeDecodeError as problem:
        found = f"byte {problem.start} is not UTF-8"
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as problem:
        found = str(problem) or type(problem).__name__
    raise FileProblem(
        f"the {kind} {source} is not TOML", expected="text in the TOML format, UTF-8", found=found,
        todo="correct the text at that place",
    )  # fmt: skip


def as_tuples(value: Any) -> Any:
    """Lists to tuples, all the way down, so that strict validation takes them."""
    if isinstance(value, list):
        return tuple(as_tuples(v) for v in value)
    if isinstance(value, dict):
        return {k: as_tuples(v) for k, v in value.items()}
    return value


#: pydantic's error type -> (what, expected, todo) for the ones a writer of files meets
_WORDS: dict[str, Callable[[dict[str, Any]], tuple[str, str, str]]] = {
    "missing": lambda c: ("the key is missing", "a value", "add the key; it has no default"),
    "extra_forbidden": lambda c: (
        "the key is not known",
        "only known keys",
        "remove the key or correct its name",
    ),
    "int_type": lambda c: (
        "not a whole number",
        "a whole number without quotes or point",
        "write a whole number",
    ),
    "float_type": lambda c: ("not a number", "a number without quotes", "write a number"),
    "finite_number": lambda c: ("not a finite number", "a finite number", "write a finite number"),
    "string_type": lambda c: ("not a text", "a text in quotes", "write a text in quotes"),
    "bool_type": lambda c: ("not true or false", "true or false", "write true or false without quotes"),
    "date_type": lambda c: ("not a date", "a date such as 2026-01-31, without quotes", "write a date"),
    "string_too_short": lambda c: (
        "the text is too short",
        f"at least {c['min_length']} character(s)",
        "fill it in",
    ),
    "string_too_long": lambda c: (
        "the text is too long",
        f"at most {c['max_length']} characters",
        "shorten it",
    ),
    "string_pattern_mismatch": lambda c: (
        "not a usable name",
        "letters, digits, space, _ . -",
        "change the name",
    ),
    "literal_error": lambda c: (
        "not one of the choices",
        f"one of {c['expected']}",
        "write one of the choices",
    ),
    "enum": lambda c: ("not one of the choices", f"one of {c['expected']}", "write one of the choices"),
    "greater_than": lambda c: ("the number is too small", f"more than {c['gt']:g}", "change the number"),
    "greater_than_equal": lambda c: ("the number is too small", f"at least {c['ge']:g}", "change the number"),
    "less_than": lambda c: ("the number is too large", f"less than {c['lt']:g}", "change the number"),
    "less_than_equal": lambda c: ("the number is too large", f"at most {c['le']:g}", "change the number"),
    "tuple_type": lambda c: ("not a list", "a list in square brackets", "write a list"),
    "dict_type": lambda c: ("not a table", "a table of keys and values", "write a table"),
    "model_type": lambda c: ("not a table", "a table of keys and values", "write a table in square brackets"),
    "too_short": lambda c: ("the list is too short", f"at least {c['min_length']}", "add to the list"),
    "too_long": lambda c: ("the list is too long", f"at most {c['max_length']}", "shorten the list"),
}


def _one(error: ErrorDetails, prefix: tuple[str | int, ...]) -> Problem:
    kind, context = error["type"], dict(error.get("ctx") or {})
    what, expected, todo = (
        _WORDS[kind](context)
        if kind in _WORDS
        else (error["msg"], "a value of the right kind", "correct the value")
    )
    tagged = {"Point", "str", "bool", "float", "int"}  # names that pydantic adds for the arms of a union
    path = [
        p for p in (*prefix, *error["loc"]) if p not in tagged and not str(p).startswith(("tuple[", "dict["))
    ]
    found = "nothing" if kind == "missing" else shown(error.get("input"))
    if kind == "missing" and isinstance(path[-1], int):
        what, expected, todo = "the list is too short", "one more value here", "add the value"
    return Problem(where=dotted(path), what=what, expected=expected, found=found, todo=todo)


def from_pydantic(
    problem: ValidationError,
    prefix: tuple[str | int, ...] = (),
    special: Mapping[str, tuple[str, str, str]] | None = None,
) -> list[Problem]:
    """Every error of pydantic in our words; several tries at one key (a union) are one problem.

    ``special`` maps a key to its own (what, expected, todo), for a value that is there but wrong.
    """
    out: dict[str, Problem] = {}
    for error in problem.errors(include_url=False):
        found = _one(error, prefix)
        if special and found.where in special and error["type"] != "missing":
            what, expected, todo = special[found.where]
            found = replace(found, what=what, expected=expected, todo=todo)
        if found.where in out:
            first = out[found.where]
            if found.expected not in first.expected:
                first = replace(first, expected=f"{first.expected}, or {found.expected}")
            found = replace(first, what="not a usable value", todo="write one of these")
        out[found.where] = found
    return list(out.values())
