"""Owns the command line: options, words on the terminal, exit codes; owns no work. Commands import what they need when run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from rtloop import __version__
from rtloop.app.stop_cli import emergency, stop, unlock
from rtloop.app.study_cli import app as study_app
from rtloop.app.threshold_cli import ThresholdFile, threshold
from rtloop.app.treat_cli import treat
from rtloop.errors import OperatorAbort, RtloopError, UsageProblem

app = typer.Typer(
    name="rtloop", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="TMS-EEG in real time: map, probe, or only listen. Research software; not a medical device.",
)  # fmt: skip
config_app = typer.Typer(help="The settings of this site.", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(study_app, name="study")

# one BLAS thread in every process of a session: fork-join stalls would reach the loop (design note PERFORMANCE)
for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_name, "1")

Simulate = Annotated[bool, typer.Option("--simulate", help="Start the simulated bedside and work on it.")]
Json = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout; progress on stderr.")]
Site = Annotated[
    Path | None, typer.Option("--site", help="Site file; else RTLOOP_SITE, ./rtloop.toml, the user's.")
]
Stream = Annotated[str | None, typer.Option("--stream", help="Name of the LSL stream of the amplifier.")]
Source = Annotated[
    str | None, typer.Option("--source-id", help="source_id of that stream, where names repeat.")
]
Markers = Annotated[
    str | None, typer.Option("--markers", help="Name of an LSL marker stream with pulse markers.")
]
Unit = Annotated[
    str | None,
    typer.Option("--unit", help="Stimulator model: 200, bistim, rapid, super-rapid, super-rapid-plus."),
]
Port = Annotated[str | None, typer.Option("--port", help="Serial port of the unit, or socket://host:port.")]
ModeName = Annotated[
    str | None, typer.Option("--mode", help="simulated, bench (coil on a phantom) or human.")
]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where session folders are made.")]
Code = Annotated[str | None, typer.Option("--participant", help="Pseudonymous code; never a name.")]
Yes = Annotated[
    bool,
    typer.Option("--yes", help="Only with --simulate: a simulated operator answers (the default there)."),
]
AskMe = Annotated[bool, typer.Option("--ask", help="With --simulate: you answer, as at a real bedside.")]
Background = Annotated[
    Path | None, typer.Option("--background", help="With --simulate: a recording as ongoing EEG.")
]
Scene = Annotated[
    str, typer.Option("--scene", help="With --simulate: which scene (known truth) the head follows.")
]
SeedOption = Annotated[
    int, typer.Option("--seed", help="With --simulate: seed of the head. Also jitters the intervals.")
]
Channels = Annotated[int, typer.Option("--channels", min=8, max=256, help="With --simulate: EEG channels.")]
Rate = Annotated[
    float, typer.Option("--rate-hz", min=1000, max=25000, help="With --simulate: samples per second.")
]
Transport = Annotated[str, typer.Option("--transport", help="With --simulate: socket or pty.")]
Faults = Annotated[
    Path | None, typer.Option("--faults", help="With --simulate: a scenario file of the unit's faults.")
]
Waivers = Annotated[
    Path | None, typer.Option("--waivers", help="Signed waivers of exactly this plan, a TOML file.")
]
Window = Annotated[
    bool, typer.Option("--window", help="A window answers (rtloop gui); it shows that somebody is there.")
]
RunId = Annotated[str | None, typer.Option("--run-id", hidden=True, help="8 hexadecimal digits.")]
Names = Annotated[
    list[str] | None, typer.Option("--events", help="Name (a regular expression) of the pulses' events.")
]
NotEeg = Annotated[
    list[str] | None, typer.Option("--not-eeg", help="Name (a regular expression) of channels, no EEG.")
]
Plan = Annotated[str | None, typer.Option("--plan", help="A TOML plan, or the name of one in the library.")]


@app.command("map")
def map_(
    plan: Plan = None, simulate: Simulate = False, yes: Yes = False, ask: AskMe = False, stream: Stream = None,
    source_id: Source = None, markers: Markers = None, unit: Unit = None, port: Port = None, mode: ModeName = None,
    participant: Code = None, data_dir: DataDir = None, background: Background = None, scene: Scene = "default",
    seed: SeedOption = 1, channels: Channels = 63, rate_hz: Rate = 5000.0, transport: Transport = "socket",
    faults: Faults = None, waivers: Waivers = None, site: Site = None, json_: Json = False, window: Window = False,
    run_id: RunId = None, threshold: ThresholdFile = None,
) -> None:  # fmt: skip
    """Map four targets: place, preview, run, accept; scores with intervals after every pulse."""
    _session("map", plan or ("quick" if simulate else "map-200"), locals())


@app.command()
def probe(
    target: Annotated[str, typer.Argument(help="Target to probe; must be in the plan.")] = "M1", plan: Plan = None,
    simulate: Simulate = False, yes: Yes = False, ask: AskMe = False, stream: Stream = None, source_id: Source = None,
    markers: Markers = None, unit: Unit = None, port: Port = None, mode: ModeName = None, participant: Code = None,
    data_dir: DataDir = None, background: Background = None, scene: Scene = "default", seed: SeedOption = 1,
    channels: Channels = 63, rate_hz: Rate = 5000.0, transport: Transport = "socket", faults: Faults = None,
    waivers: Waivers = None, site: Site = None, json_: Json = False, window: Window = False, run_id: RunId = None,
    threshold: ThresholdFile = None,
) -> None:  # fmt: skip
    """Probe local M1 connectivity, LMFP and ITC, beside the person's earlier probes. Information, no verdict."""
    _session("probe", plan or ("probe-m1-quick" if simulate else "probe-m1"), locals())


@app.command()
def watch(
    plan: Plan = None, simulate: Simulate = False, yes: Yes = False, ask: AskMe = False, stream: Stream = None,
    source_id: Source = None, markers: Markers = None, participant: Code = None, data_dir: DataDir = None,
    background: Background = None, scene: Scene = "default", seed: SeedOption = 1, channels: Channels = 63,
    rate_hz: Rate = 5000.0, site: Site = None, json_: Json = False, window: Window = False, run_id: RunId = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="End after so many seconds.")] = None,
    coil: Annotated[str | None, typer.Option("--coil", help="Electrode the coil lies over; else the plan's.")] = None,
) -> None:  # fmt: skip
    """Listen only: any stimulator fires; pulses are found, cleaned, scored, recorded. No unit is connected."""
    _session("watch", plan or "watch", locals())


def _session(kind: str, plan: str, options: dict[str, Any]) -> NoReturn:
    if options["yes"] and not options["simulate"]:
        raise UsageProblem(
            "--yes works only with --simulate", expected="an operator at a real bedside", found="--yes",
            todo="leave --yes away; arming takes two steps by a person",
        )  # fmt: skip
    if not options["simulate"]:
        given = [k for k in ("ask", "background", "faults") if options.get(k)]
        if given:
            raise UsageProblem(
                f"--{given[0]} works only with --simulate", expected="--simulate", found="a session on real devices",
                todo=f"add --simulate, or leave --{given[0]} away",
            )  # fmt: skip
    from rtloop.app.setting import Request
    from rtloop.app.sitting import hold
    from rtloop.app.voice import say, tell

    options = {k: v for k, v in options.items() if k not in ("plan", "yes")}
    request = Request(kind=kind, plan=plan, **options)
    try:
        result = hold(request, say)
    except KeyboardInterrupt:
        raise OperatorAbort(
            "interrupted outside the running session; every unit that was connected is disarmed and released",
            todo="start again when ready",
        ) from None
    tell(json.dumps(result.data, allow_nan=False) if options["json_"] else result.text)
    raise typer.Exit(result.exit_code)


@app.command()
def gui(
    attach: Annotated[Path | None, typer.Option("--attach", help="Join this running session's folder.")] = None,
    review: Annotated[Path | None, typer.Option("--review", help="Open an ended session's folder, or a recording.")] = None,
    theme: Annotated[str, typer.Option("--theme", help="light or dark; else as remembered.")] = "",
    role: Annotated[str, typer.Option("--role", help="operator, or unblinded: shows what a blinded study hides.")] = "operator",
    kind: Annotated[str, typer.Option("--kind", help="What the start screen offers first: map, probe, watch or treat.")] = "map",
    plan: Plan = None, simulate: Simulate = False, stream: Stream = None, source_id: Source = None,
    markers: Markers = None, unit: Unit = None, port: Port = None, mode: ModeName = None, participant: Code = None,
    data_dir: DataDir = None, background: Background = None, scene: Scene = "default", seed: SeedOption = 1,
    channels: Channels = 63, rate_hz: Rate = 5000.0, faults: Faults = None, waivers: Waivers = None, site: Site = None,
) -> None:  # fmt: skip
    """The bedside window: map, probe, listen, treat, review. The engine is a process of its own and outlives it."""
    options = dict(locals())
    from rtloop.app.bedside import GuiRequest, open_window

    raise typer.Exit(open_window(GuiRequest(**options)))


@app.command()
def check(
    plan: Annotated[str, typer.Argument(help="A TOML plan, or the name of one in the library.")], site: Site = None,
    waivers: Waivers = None,
    target: Annotated[str | None, typer.Option("--target", help="Of a treatment: this target only.")] = None,
    rmt: Annotated[int | None, typer.Option("--rmt", help="Of a treatment: with this motor threshold, % MSO.")] = None,
    rmt_date: Annotated[str, typer.Option("--rmt-date", help="The day it was taken, YYYY-MM-DD; else today.")] = "",
    threshold: ThresholdFile = None,
    mode: Annotated[str, typer.Option("--mode", help="Of a treatment: simulated, bench or human.")] = "simulated",
    json_: Json = False,
) -> None:  # fmt: skip
    """Rehearse a plan, treatment or course: duration, dose, every rule it breaks with its step. Exit 3 if it breaks any."""
    from rtloop.app.look import check_plan

    told = check_plan(
        plan, site, waivers, target=target, rmt_pct_mso=rmt, rmt_date=rmt_date, mode=mode, threshold=threshold
    )
    _tell(told, json_)


@app.command()
def sim(
    scene: Scene = "default", seed: SeedOption = 1, channels: Channels = 63, rate_hz: Rate = 5000.0,
    transport: Transport = "socket", background: Background = None, faults: Faults = None,
    target: Annotated[str, typer.Option("--target", help="Where the coil lies at the start.")] = "M1",
    fire_every_s: Annotated[float | None, typer.Option("--fire-every-s", help="An external stimulator fires so often.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="End after so many seconds.")] = None,
) -> None:  # fmt: skip
    """The simulated amplifier and stimulator alone, for other programs (LSL outlet, serial protocol)."""
    from rtloop.app.look import serve_bedside

    raise typer.Exit(
        serve_bedside(
            scene=scene, seed=seed, channels=channels, rate_hz=rate_hz, transport=transport, background=background,
            faults=faults, target=target, fire_every_s=fire_every_s, seconds=seconds, say=_say,
        )
    )  # fmt: skip


@app.command()
def streams(wait_s: Annotated[float, typer.Option("--wait-s")] = 2.0, json_: Json = False) -> None:
    """List the LSL streams that can be seen, and what rtloop makes of each."""
    from rtloop.app.look import list_found

    _tell(list_found(wait_s), json_)


@app.command()
def devices(
    kind: Annotated[str, typer.Option("--kind", help="For which session: map, probe, watch or treat.")] = "map",
    simulate: Simulate = False, stream: Stream = None, source_id: Source = None, markers: Markers = None,
    unit: Unit = None, port: Port = None, data_dir: DataDir = None, site: Site = None, json_: Json = False,
) -> None:  # fmt: skip
    """Found against expected: stream, markers, the unit's port, disk, clock. Opens no port. Exit 4 if not as expected."""
    from rtloop.app.devices import Wanted, list_devices

    if kind not in ("map", "probe", "watch", "treat"):
        raise UsageProblem(f"no session {kind}", expected="map, probe, watch or treat", found=kind)
    wanted = Wanted(
        kind=kind, simulate=simulate, stream=stream, source_id=source_id, markers=markers, unit=unit, port=port,
        data_dir=data_dir, site=site,
    )  # fmt: skip
    _tell(list_devices(wanted), json_)


@app.command()
def doctor(site: Site = None, json_: Json = False) -> None:
    """Whether this machine is fit: clock, LSL, compiler cache, disk, ports, limits nobody has verified."""
    from rtloop.app.doctor import examine

    _tell(examine(site), json_)


@app.command()
def commission(
    simulate: Simulate = False,
    by: Annotated[str, typer.Option("--by", help="Your name: who commissions, and signs.")] = "",
    unit: Unit = None, port: Port = None, stream: Stream = None, source_id: Source = None, markers: Markers = None,
    power: Annotated[int, typer.Option("--power", help="Power of the pulses on the phantom, % MSO.")] = 40,
    pulses: Annotated[int, typer.Option("--pulses", help="How many single pulses; at least 10.")] = 10,
    data_dir: DataDir = None, site: Site = None, json_: Json = False,
) -> None:  # fmt: skip
    """Walk through the real unit on a PHANTOM and sign a record; HUMAN needs one. Exit 5 if a step did not pass."""
    from rtloop.app.commission import CommissionRequest, commission
    from rtloop.app.voice import say

    request = CommissionRequest(
        simulate=simulate, by=by, unit=unit, port=port, stream=stream, source_id=source_id, markers=markers,
        power_pct_mso=power, pulses=pulses, data_dir=data_dir, site=site,
    )  # fmt: skip
    _tell(commission(request, say), json_)


@app.command()
def verify(folder: Annotated[Path, typer.Argument(help="A session folder.")], json_: Json = False) -> None:
    """Whether a session's record is whole: chain, counts, gaps, every pulse accounted for. Exit 7 if not."""
    from rtloop.app.look import verify_folder

    _tell(verify_folder(folder), json_)


@app.command()
def replay(
    paths: Annotated[list[Path], typer.Argument(help="A session folder, or recordings: .vhdr, .set, .edf, .bdf, .fif, .xdf.")],
    plan: Plan = None,
    events: Names = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="TARGET or TARGET/control: of all, or one a file.")] = None,
    blocks: Annotated[Path | None, typer.Option("--blocks", help="A TOML file: events -> targets, control blocks.")] = None,
    not_eeg: NotEeg = None,
    stream: Annotated[str | None, typer.Option("--stream", help="Name of the EEG stream (.xdf with several).")] = None,
    keep_bad: Annotated[bool, typer.Option("--keep-bad-annotated", help="Count trials too that the file marks as BAD.")] = False,
    participant: Code = None, data_dir: DataDir = None, site: Site = None, json_: Json = False,
) -> None:  # fmt: skip
    """A session folder: run it again and compare; exit 7 if it differs. A recording of any lab: describe it, or with --plan
    run it through the line of a live session, which leaves a session folder with its report."""
    from rtloop.app.look import replay_folder

    options = {"--events": events, "--target": target, "--blocks": blocks, "--not-eeg": not_eeg}
    if plan is None and len(paths) == 1 and paths[0].is_dir():
        _tell(replay_folder(paths[0]), json_)
    if plan is None and (given := [name for name in ("--target", "--blocks") if options[name]]):
        raise UsageProblem(
            f"{given[0]} needs --plan", expected="--plan PLAN", found="none", todo="name the plan"
        )
    from rtloop.app.recorded import ReplayRequest, replay_recording
    from rtloop.app.voice import say

    request = ReplayRequest(
        files=tuple(paths), plan=plan, events=tuple(events or ()), targets=tuple(target or ()), blocks=blocks,
        not_eeg=tuple(not_eeg or ()), stream=stream, keep_bad=keep_bad, participant=participant, data_dir=data_dir, site=site,
    )  # fmt: skip
    _tell(replay_recording(request, say), json_)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="A session folder.")], json_: Json = False) -> None:
    """Write the report of a session again, from its recording and journal."""
    from rtloop.app.look import report_folder

    _tell(report_folder(folder), json_)


@config_app.command("show")
def config_show(site: Site = None) -> None:
    """Every setting, its value and where it comes from."""
    from rtloop.app.config import load_site, show

    typer.echo(show(load_site(site)))


for _command in (treat, threshold, stop, emergency, unlock):
    app.command()(_command)


def _say(words: str) -> None:
    """Progress, for people."""
    typer.echo(words, err=True)


def _tell(told: tuple[str, Any, int], as_json: bool) -> NoReturn:
    text, data, exit_code = told
    typer.echo(json.dumps(data, allow_nan=False) if as_json else text)
    raise typer.Exit(exit_code)


def main(arguments: Sequence[str] | None = None) -> None:
    """The ``rtloop`` script."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        typer.echo(f"rtloop {__version__}")
        return
    try:
        app(args=given)
    except RtloopError as err:
        typer.echo(f"rtloop: {err.what}", err=True)
        for name in ("expected", "found"):
            if getattr(err, name):
                typer.echo(f"  {name}: {getattr(err, name)}", err=True)
        if err.todo:
            typer.echo(f"  what to do: {err.todo}", err=True)
        if "--json" in given:
            problem = {"error": err.what, "expected": err.expected, "found": err.found, "todo": err.todo}
            typer.echo(json.dumps({**problem, "exit_code": err.exit_code}))
        raise SystemExit(err.exit_code) from None


if __name__ == "__main__":
    main()
