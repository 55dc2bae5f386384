"""Owns changing keys of a site file in place: comments, order and unknown lines stay; it owns no rule of content.

The new text is checked as a whole (``rtloop.app.config``) before it replaces the old one in a single step, so that a bad
value can never leave a site without its settings.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rtloop.app.config import TEXT_KEYS, load_site
from rtloop.errors import RtloopError, ValidationProblem

#: keys whose value is one line of text; the others are edited in the file itself
ONE_LINE = TEXT_KEYS
_TABLE = re.compile(r"^\s*\[([^\[\]]+)\]\s*(#.*)?$")
_KEY = re.compile(r"""^\s*("?)([A-Za-z0-9_-]+)\1\s*=""")
#: a value in one line, and the comment after it
_VALUE = re.compile(r"""^\s*(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^#"'\[{]*?)\s*(#.*)?$""")


def save(path: Path, changes: Mapping[str, str]) -> None:
    """Write the changed keys (dotted; empty text: the key is taken out) into the site file, which is made where absent.

    ValidationProblem tells everything that is wrong with the result; the file stays as it was then.
    """
    unknown = [k for k in changes if k not in ONE_LINE]
    if unknown:
        raise ValidationProblem(
            f"{unknown[0]} cannot be changed here", expected=", ".join(ONE_LINE), found=unknown[0],
            todo=f"edit {path}",
        )  # fmt: skip
    try:
        old = path.read_text(encoding="utf-8") if path.is_file() else ""
        text = edited(old, changes)
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as err:
        raise ValidationProblem(
            f"the site file {path} cannot be written", expected="a file that may be written", found=str(err),
            todo="correct the rights of its folder, or name another file with --site",
        ) from err  # fmt: skip


def edited(text: str, changes: Mapping[str, str]) -> str:
    """The text of the file with these keys changed; ValidationProblem where a value spans several lines."""
    lines = text.splitlines()
    for key, value in changes.items():
        table, _, name = key.rpartition(".")
        begin, end = _span(lines, table)
        at = next((i for i in range(begin, end) if (m := _KEY.match(lines[i])) and m[2] == name), None)
        if at is not None:
            rest = lines[at].split("=", 1)[1]
            found = _VALUE.match(rest)
            if found is None or '"""' in rest or "'''" in rest:
                raise ValidationProblem(
                    f"{key} is written in a way that cannot be changed here", expected="a text on one line",
                    found=lines[at].strip(), todo="edit the site file itself",
                )  # fmt: skip
            comment = f"  {found[1]}" if found[1] else ""
            lines[at : at + 1] = (
                [f"{name} = {json.dumps(value, ensure_ascii=False)}{comment}"] if value else []
            )
        elif value:
            written = f"{name} = {json.dumps(value, ensure_ascii=False)}"
            if begin < 0:
                lines += ["", f"[{table}]", written] if lines else [f"[{table}]", written]
            else:
                last = next((i + 1 for i in range(end - 1, begin - 1, -1) if lines[i].strip()), begin)
                lines.insert(last, written)
    return "\n".join(lines) + "\n" if lines else ""


def _span(lines: list[str], table: str) -> tuple[int, int]:
    """First and last line of a table's keys; (-1, -1) when there is none. The nameless table stands first."""
    heads = [(i, _table(line)) for i, line in enumerate(lines) if line.lstrip().startswith("[")]
    starts = [-1] if not table else [i for i, name in heads if name == table]
    if not starts:
        return -1, -1
    following = [i for i, _ in heads if i > starts[0]]
    return starts[0] + 1, following[0] if following else len(lines)


def _table(line: str) -> str:
    found = _TABLE.match(line)
    return found[1].strip() if found else ""  # an array of tables, or a line of a long list: never ours


def _replace(path: Path, text: str) -> None:
    fd, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        load_site(new, environ=_homeless())  # nothing of the environment may hide what is wrong in the file
        if path.is_file():
            os.chmod(new, path.stat().st_mode & 0o777)
        os.replace(new, path)
    except RtloopError as err:
        raise type(err)(
            err.what.replace(str(new), str(path)), expected=err.expected, found=err.found.replace(str(new), str(path)),
            todo=err.todo,
        ) from None  # fmt: skip
    finally:
        with contextlib.suppress(OSError):
            new.unlink()


def _homeless() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.upper().startswith("RTLOOP_SITE")}
