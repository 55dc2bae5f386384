"""Owns the form of a report of a course or a study: sections of words, tables and figures in one HTML file without external
resources; owns none of its content."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rtloop.durable import create_append_only, sync_data, write_all
from rtloop.errors import IntegrityProblem, ValidationProblem

ABSENT = "–"
Cells = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table; ``numbers``: columns set to the right."""

    head: Cells
    rows: tuple[Cells, ...]
    caption: str = ""
    numbers: frozenset[int] = frozenset()
    small: bool = False


@dataclass(frozen=True, kw_only=True)
class Section:
    """``figures``: (data URI, caption); ``notes`` come last, set smaller."""

    title: str
    words: tuple[str, ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
    tables: tuple[Grid, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Document:
    """``mode`` is one of the house's banners (SIMULATED, HUMAN); facts stand at the head."""

    title: str
    sub: str
    mode: str
    mode_words: str
    facts: Mapping[str, str]
    sections: tuple[Section, ...]
    footer: str
    warnings: tuple[str, ...] = field(default_factory=tuple)


def render(document: Document) -> str:
    """The whole page."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rtloop.record", "."), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("document.html.j2").render(d=document)


def write(path: Path, document: Document) -> None:
    """Render it into a new file; as ``write_new``."""
    write_new(path, render(document))


def write_new(path: Path, text: str) -> None:
    """Write a new file (mode 0600), durable. ValidationProblem where one is, IntegrityProblem where it cannot be written."""
    try:
        fd = create_append_only(path)
    except FileExistsError:
        raise ValidationProblem(
            f"nothing can be written into {path}", expected="a name that is new", found="a file is there",
            todo="name another file: nothing is written over",
        ) from None  # fmt: skip
    except OSError as err:
        raise _cannot(path, err) from err
    try:
        write_all(fd, text.encode("utf-8"))
        sync_data(fd)
    except OSError as err:
        raise _cannot(path, err) from err
    finally:
        os.close(fd)


def _cannot(path: Path, err: OSError) -> IntegrityProblem:
    return IntegrityProblem(
        f"{path} cannot be written", expected="a writable folder with space", found=str(err),
        todo="check rights and free space, then make it again",
    )  # fmt: skip
