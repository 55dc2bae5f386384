"""Owns what the commands of ``rtloop study`` share: options, the open study, the words at the end; owns no command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from rtloop.errors import UsageProblem

if TYPE_CHECKING:
    from rtloop.study.study import Study

Folder = Annotated[
    Path, typer.Option("--study", envvar="RTLOOP_STUDY", help="The study's folder; else RTLOOP_STUDY.")
]
By = Annotated[
    str, typer.Option("--by", help="Your name, as the study knows it: it decides what you may do and see.")
]
Code = Annotated[str, typer.Argument(metavar="CODE", help="The participant's code, such as P017.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept for ever.")]
Day = Annotated[str | None, typer.Option("--day", help="UTC day, YYYY-MM-DD; else today.")]
Json = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")]


@contextmanager
def opened(folder: Path) -> Iterator[Study]:
    from rtloop.study.study import Study

    with Study.open(folder) as study:
        yield study


def tell_and_exit(text: str, data: Any, as_json: bool, code: int = 0) -> NoReturn:
    from rtloop.app.voice import tell

    tell(json.dumps(data, allow_nan=False) if as_json else text)
    raise typer.Exit(code)


def next_of(study: Study, code: str, by: str) -> tuple[str, dict[str, Any]]:
    from rtloop.app.study_words import next_words
    from rtloop.study.shown import participant

    if code not in study.state.participants:
        raise UsageProblem(
            f"{code} is not enrolled", expected="the code of a participant of this study", todo="enrol first"
        )
    told = participant(study, code, by=by)
    return next_words(told), told


def write_and_exit(folder: Path, record: Any, by: str, reason: str, as_json: bool, words: str) -> NoReturn:
    with opened(folder) as study:
        entry = study.write(record, by=by, reason=reason)
    tell_and_exit(words, {"n": entry.n, "kind": entry.kind, **entry.record.data()}, as_json)
