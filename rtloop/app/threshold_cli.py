"""Owns the command ``rtloop threshold`` as typed: its options and their words; owns no work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rtloop.errors import UsageProblem

ThresholdFile = Annotated[
    Path | None,
    typer.Option(
        "--threshold",
        help="Motor threshold of this participant, the file that rtloop threshold wrote.",
    ),
]


def threshold(
    method: Annotated[str, typer.Option("--method", help="adaptive (about 20 pulses), or relative: 5 of 10.")] = "adaptive",
    simulate: Annotated[bool, typer.Option("--simulate", help="Start the simulated bedside and work on it.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="With --simulate: you answer, not the EMG channel.")] = False,
    participant: Annotated[str | None, typer.Option("--participant", help="Pseudonymous code; never a name.")] = None,
    emg: Annotated[str, typer.Option("--emg", help="EMG channel of the stream that tells a response; else a person types.")] = "",
    visual: Annotated[bool, typer.Option("--visual", help="A person sees a twitch; such a threshold sets no intensity.")] = False,
    muscle: Annotated[str, typer.Option("--muscle", help="Which muscle; else the channel's name.")] = "",
    coil: Annotated[str, typer.Option("--coil", help='The coil, as plans call it: "70 mm figure-of-eight".')] = "",
    waveform: Annotated[str, typer.Option("--waveform", help="monophasic or biphasic.")] = "",
    current_direction: Annotated[str, typer.Option("--current-direction", help="In the brain: posterior-anterior, ...")] = "",
    unit_serial: Annotated[str, typer.Option("--unit-serial", help="The unit's serial number, where known.")] = "",
    no_cap: Annotated[bool, typer.Option("--no-cap", help="The EEG cap is off (treatment is given with it on).")] = False,
    start: Annotated[int | None, typer.Option("--start", help="Power of the first pulse, % MSO.")] = None,
    most: Annotated[int | None, typer.Option("--most", help="No pulse above this, % MSO; else the site's cap.")] = None,
    interval_s: Annotated[float, typer.Option("--interval-s", help="Between two pulses, +- 20 %.")] = 5.0,
    earlier: Annotated[Path | None, typer.Option("--earlier", help="A threshold that still holds; HUMAN needs one.")] = None,
    scene: Annotated[str, typer.Option("--scene", help="With --simulate: a scene with a muscle.")] = "twitch",
    seed: Annotated[int, typer.Option("--seed", help="With --simulate: seed of the head.")] = 1,
    stream: Annotated[str | None, typer.Option("--stream", help="Name of the LSL stream of the amplifier.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="Stimulator model: 200, bistim, rapid, ...")] = None,
    port: Annotated[str | None, typer.Option("--port", help="Serial port of the unit, or socket://host:port.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="simulated, bench (coil on a phantom) or human.")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where session folders are made.")] = None,
    site: Annotated[Path | None, typer.Option("--site", help="Site file; else RTLOOP_SITE, ./rtloop.toml, the user's.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout; progress on stderr.")] = False,
) -> None:  # fmt: skip
    """Find a motor threshold: pulses whose answer a person types or an EMG channel tells. Exit 4 if none was found."""
    if simulate and (given := [name for name, value in (("--port", port), ("--stream", stream)) if value]):
        raise UsageProblem(
            f"{given[0]} does not go with --simulate", expected="the simulated bedside's own", found=", ".join(given)
        )  # fmt: skip
    from rtloop.app.threshold import take_threshold
    from rtloop.app.threshold_asked import ThresholdRequest
    from rtloop.app.voice import say, tell

    request = ThresholdRequest(
        simulate=simulate, participant=participant, method=method, emg=emg, visual=visual, muscle=muscle, coil=coil,
        waveform=waveform, current_direction=current_direction, unit_serial=unit_serial, cap_on=not no_cap,
        start_pct_mso=start, most_pct_mso=most, interval_s=interval_s, scene=scene, seed=seed, mode=mode, earlier=earlier,
        stream=stream, unit=unit, port=port, data_dir=data_dir, site=site, ask=ask,
    )  # fmt: skip
    text, data, exit_code = take_threshold(request, say)
    tell(json.dumps(data, allow_nan=False) if json_ else text)
    raise typer.Exit(exit_code)
