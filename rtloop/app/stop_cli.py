"""Owns the commands of an emergency as typed: stop, emergency, unlock; owns no work. None of them needs what can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

Json = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout; progress on stderr.")]
Site = Annotated[
    Path | None, typer.Option("--site", help="Site file; else RTLOOP_SITE, ./rtloop.toml, the user's.")
]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where session folders are made.")]
Code = Annotated[str | None, typer.Option("--participant", help="Pseudonymous code; never a name.")]


def stop(
    folder: Annotated[Path | None, typer.Argument(help="A running session's folder; else all that run.")] = None,
    site: Site = None, data_dir: DataDir = None, json_: Json = False,
) -> None:  # fmt: skip
    """STOP: disarm at once, straight to the process that owns the unit's line. The unit's own stop is the last line."""
    from rtloop.app.halt import stop_sessions

    _tell(stop_sessions(folder, site, data_dir), json_)


def emergency(
    folder: Annotated[Path | None, typer.Argument(help="A running session's folder; else all that run.")] = None,
    words: Annotated[str, typer.Option("--words", help="What happened.")] = "no words were given",
    participant: Code = None, site: Site = None, data_dir: DataDir = None, json_: Json = False,
) -> None:  # fmt: skip
    """Seizure or syncope: STOP, lock the participant until a named person unlocks, tell the time and the last pulses."""
    from rtloop.app.lock import emergency as procedure

    _tell(procedure(folder, site, data_dir, participant, words), json_)


def unlock(
    person: Annotated[str, typer.Option("--person", help="Your name: who unlocks.")],
    reason: Annotated[str, typer.Option("--reason", help="Why this participant may be stimulated again.")],
    participant: Code = None, site: Site = None, data_dir: DataDir = None, json_: Json = False,
    damaged: Annotated[bool, typer.Option("--damaged", help="Vouch for a damaged file of locks; lifts no lock.")] = False,
) -> None:  # fmt: skip
    """Lift the lock of a participant after an emergency; who, when and why are kept for ever."""
    from rtloop.app.lock import unlock_participant

    _tell(unlock_participant(site, data_dir, participant, person, reason, damaged=damaged), json_)


def _tell(told: tuple[str, Any, int], as_json: bool) -> NoReturn:
    text, data, exit_code = told
    typer.echo(json.dumps(data, allow_nan=False) if as_json else text)
    raise typer.Exit(exit_code)
