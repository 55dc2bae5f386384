"""Owns the command ``rtloop treat`` as typed: its options and their words; owns no work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def treat(
    plan: Annotated[str | None, typer.Argument(help="A treatment plan: a TOML file, or a name of the library.")] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Start the simulated bedside and work on it.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="With --simulate: you answer, as at a real bedside.")] = False,
    participant: Annotated[str | None, typer.Option("--participant", help="Code such as P017; never a name.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Which target of the plan.")] = None,
    threshold: Annotated[
        Path | None,
        typer.Option("--threshold", help="The file of rtloop threshold; left out with --simulate: an assumed 50 %."),
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Your name: who treats, and signs the checklists.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Give what is left of today's interrupted treatment.")] = False,
    study: Annotated[
        Path | None,
        typer.Option("--study", envvar="RTLOOP_STUDY", help="The study's folder: whose turn it is, what is due, what was given."),
    ] = None,
    waivers: Annotated[Path | None, typer.Option("--waivers", help="Signed waivers of exactly this plan, a TOML file.")] = None,
    stream: Annotated[str | None, typer.Option("--stream", help="Name of the LSL stream of the amplifier.")] = None,
    port: Annotated[str | None, typer.Option("--port", help="Serial port of the unit, or socket://host:port.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="bench (coil on a phantom), or human.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="With --simulate: seed of the head.")] = 1,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where session folders are made.")] = None,
    site: Annotated[Path | None, typer.Option("--site", help="Site file; else RTLOOP_SITE, ./rtloop.toml, the user's.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout; progress on stderr.")] = False,
    window: Annotated[bool, typer.Option("--window", help="A window answers (rtloop gui), as long as it lives.")] = False,
    run_id: Annotated[str | None, typer.Option("--run-id", hidden=True, help="8 hexadecimal digits.")] = None,
) -> None:  # fmt: skip
    """Give one treatment session: checklists, arming in two steps, trains with their pauses, report. Exit 6 if you end it early.

    Words while it runs: yes, no, sign NAME; arm, confirm; pause, resume, stop, abort WHY, halt; sensation WORDS; adverse WORDS;
    note WORDS; emergency WORDS.
    """
    from rtloop.app.treat import TreatRequest
    from rtloop.app.treat import treat as hold
    from rtloop.app.voice import say, tell

    request = TreatRequest(
        plan=plan, simulate=simulate, ask=ask, participant=participant, target=target, threshold=threshold, by=by, resume=resume,
        study=study, waivers=waivers, stream=stream, port=port, mode=mode, seed=seed, data_dir=data_dir, site=site,
        window=window, run_id=run_id,
    )  # fmt: skip
    text, data, exit_code = hold(request, say)
    tell(json.dumps(data, allow_nan=False) if json_ else text)
    raise typer.Exit(exit_code)
