"""Owns what is decided before a session starts anything: request, site, plan, mode, limits, chain; starts nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from drivers.magstim.units import device_limits
from hardware_sim.bedside import BedsideSpec
from rtloop.app.commissioned import Covered, covered
from rtloop.app.config import Site, load_site, simulated_at
from rtloop.app.dose import earlier_of
from rtloop.app.resumed import Run
from rtloop.app.site_unit import driver_options, simulated_options
from rtloop.app.stages import stages_of
from rtloop.app.threshold_bound import bound
from rtloop.app.wiring import Bench, StreamWanted, UnitWanted, new_run_id
from rtloop.clock import WALL, Clock
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import SafetyStop, UsageProblem, ValidationProblem
from rtloop.model.status import Mode
from rtloop.model.waiver import Waiver
from rtloop.plan.load import load_plan
from rtloop.plan.rehearse import Rehearsal, rehearse
from rtloop.plan.schema import Kind, Plan, Quality
from rtloop.quality.limits import QualityLimits
from rtloop.record.folder import SessionFolder
from rtloop.safety.ledger import Ledger
from rtloop.safety.limits import Limits, tightest
from rtloop.safety.waivers import load_waivers
from rtloop.session.level import LOOK_S, fitted_limits, ongoing_numbers
from rtloop.session.line import Spot, spots_of

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for."""

    kind: str
    plan: str
    simulate: bool = False
    ask: bool = False
    stream: str | None = None
    source_id: str | None = None
    markers: str | None = None
    unit: str | None = None
    port: str | None = None
    mode: str | None = None
    participant: str | None = None
    data_dir: Path | None = None
    background: Path | None = None
    scene: str = "default"
    seed: int = 1
    channels: int = 63
    rate_hz: float = 5000.0
    transport: str = "socket"
    faults: Path | None = None
    waivers: Path | None = None
    site: Path | None = None
    json_: bool = False
    target: str | None = None
    seconds: float | None = None
    coil: str | None = None
    window: bool = False  # a window answers and shows that somebody is there
    run_id: str | None = None  # given by the window, so that it finds the session
    threshold: Path | None = None  # file of the participant's motor threshold, for a plan that holds none


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Everything that is decided before anything is started."""

    request: Request
    site: Site
    plan: Plan
    mode: Mode
    limits: Limits
    rehearsal: Rehearsal
    run_id: str
    participant: str
    chain: ChainSpec
    ledger: Ledger  # of all earlier sessions of this participant
    runs: tuple[Run, ...] = ()  # those earlier ones, oldest first
    spots: dict[str, Spot] = field(default_factory=dict)
    ongoing: dict[str, float] = field(default_factory=dict)  # what the EEG reached before the session, µV
    waivers: tuple[Waiver, ...] = ()  # signed for exactly this plan
    unlike: str = ""  # in what the simulated unit is not the site's, in words
    covering: Covered | None = None  # in HUMAN: the commissioning record that lets a person under the coil
    threshold: dict[str, Any] | None = None  # the motor threshold of a file, as journalled


def prepare(request: Request) -> Setting:
    """Check the request; ValidationProblem or UsageProblem tell everything that is wrong with it."""
    files = (
        ("--faults", request.faults),
        ("--background", request.background),
        ("--waivers", request.waivers),
    )
    for option, path in files:
        if path is not None and not path.is_file():
            raise UsageProblem(f"{option} names no file", expected="a readable file", found=str(path))
    site = load_site(request.site, overrides=_overrides(request))
    plan = load_plan(request.plan)
    unlike = ""
    if request.simulate:
        planned = site.unit.model if plan.unit is None else plan.unit.model
        site, unlike = simulated_at(site, request.unit or planned)
    if plan.kind.value != request.kind:
        raise UsageProblem(
            f"rtloop {request.kind} cannot run this plan", expected=f'kind = "{request.kind}"',
            found=f'{plan.name} is of kind "{plan.kind.value}"', todo=f"rtloop {plan.kind.value} --plan {request.plan}",
        )  # fmt: skip
    if request.kind == "probe":
        plan = _only(plan, request.target or "M1")
    if request.coil is not None:
        plan = plan.model_copy(
            update={"targets": tuple(t.model_copy(update={"coil_at": request.coil}) for t in plan.targets)}
        )
    mode = _mode(request, plan, site)
    if plan.unit is not None and plan.unit.model != site.unit.model:
        whose = "the simulated unit" if request.simulate else "the site's unit"
        raise ValidationProblem(
            "the plan is for another unit", expected=f"{whose}, {site.unit.model}", found=plan.unit.model,
            todo=f"choose a plan for this unit, or correct {'--unit' if request.simulate else '[unit] in the site file'}",
        )  # fmt: skip
    covering = covered(site) if mode is Mode.HUMAN else None
    if covering is not None:
        refuse_uncovered(covering)
    run_id = run_id_of(request.run_id, Path(site.data_dir))
    participant = request.participant or (f"SIM-{run_id}" if request.simulate else "P000")
    limits = tightest(site.limits(), device=device_limits(site.unit.model))
    if plan.caps is not None:  # the plan's own caps bind the gate too, redone blocks included
        own = {
            "max_power_pct_mso": plan.caps.power_pct_mso_max,
            "max_pulses_session": plan.caps.pulses_total_max,
        }
        limits = tightest(limits, prescription={k: float(v) for k, v in own.items()})
    today = WALL.utc()[:10]
    plan, threshold = bound(
        plan, request.threshold, participant=participant, mode=mode, today=today, max_age_days=limits.threshold_max_age_days
    )  # fmt: skip
    waivers = (
        load_waivers(request.waivers, plan_sha256=plan.sha256, today=today)
        if request.waivers is not None
        else ()
    )
    rehearsal = rehearse(
        plan, limits=limits, today=today, mode=mode, participant=participant, waivers=waivers
    )
    if rehearsal.breaches:
        raise ValidationProblem(
            f"the plan {plan.name} breaks {len(rehearsal.breaches)} rule(s)", expected="a plan that rehearses without breach",
            found=" | ".join(b.words() for b in rehearsal.breaches), todo=f"correct the plan; rtloop check {request.plan}",
        )  # fmt: skip
    ledger, runs = (
        (Ledger(), ())
        if mode is Mode.LISTEN
        else earlier_of(Path(site.data_dir), participant, simulated=request.simulate)
    )
    spots = spots_of(plan)
    return Setting(
        request=request, site=site, plan=plan, mode=mode, limits=limits, rehearsal=rehearsal, run_id=run_id,
        participant=participant, chain=chain_of(plan), spots=spots, covering=covering, waivers=waivers,
        unlike=unlike, ledger=ledger, runs=runs, threshold=threshold,
    )  # fmt: skip


def run_id_of(wanted: str | None, data_dir: Path) -> str:
    """The run's id: a new one, or the one that was asked for; the dose is kept by it, so it is used once."""
    if wanted is None:
        return new_run_id()
    if not re.fullmatch(r"[0-9a-f]{8}", wanted):
        raise UsageProblem(
            "--run-id cannot be used",
            expected="8 hexadecimal digits in lower case",
            found=repr(wanted),
        )
    taken = [f.path.name for f in SessionFolder.all_in(data_dir) if f.path.name.endswith(f"_{wanted}")]
    if taken:
        raise UsageProblem(
            "--run-id was used before", expected="an id of its own for each run", found=taken[0]
        )
    return wanted


def _overrides(request: Request) -> dict[str, Any]:
    return {
        "data_dir": request.data_dir, "stream.name": request.stream, "stream.source_id": request.source_id,
        "markers.name": request.markers, "unit.model": None if request.simulate else request.unit,
        "unit.port": request.port,
    }  # fmt: skip


def _only(plan: Plan, target: str) -> Plan:
    names = [t.name for t in plan.targets]
    if target not in names:
        raise UsageProblem(
            f"the plan {plan.name} has no target {target}", expected=", ".join(names), found=target
        )
    return plan.model_copy(update={"targets": tuple(t for t in plan.targets if t.name == target)})


def _mode(request: Request, plan: Plan, site: Site) -> Mode:
    if plan.kind is Kind.WATCH:
        return Mode.LISTEN
    asked = Mode(request.mode.upper()) if request.mode and request.mode.upper() in list(Mode) else None
    if request.mode and asked in (None, Mode.LISTEN):
        raise UsageProblem(
            f"no mode {request.mode}", expected="simulated, bench or human", found=request.mode
        )
    mode = asked or (
        Mode.SIMULATED if request.simulate else Mode.BENCH if site.mode is Mode.SIMULATED else site.mode
    )
    if (mode is Mode.SIMULATED) is not request.simulate:
        raise UsageProblem(
            "mode and bedside do not agree", expected="SIMULATED with --simulate, BENCH or HUMAN without",
            found=f"{mode}, {'with' if request.simulate else 'without'} --simulate",
        )  # fmt: skip
    if not request.simulate and site.unit.port is None:
        raise UsageProblem(
            "no unit is named", expected="--port PORT (serial port or socket://host:port)", found="none",
            todo="name the unit's port, or try --simulate, or listen only with rtloop watch",
        )  # fmt: skip
    return mode


def refuse_uncovered(covering: Covered) -> None:
    """SafetyStop with every reason why the commissioning record does not let a person under the coil."""
    if not covering.ok:
        raise SafetyStop(
            "mode HUMAN refuses to arm", expected="a commissioning record of this unit, software and site",
            found="; ".join(covering.reasons),
            todo="use --mode bench with the coil on a phantom, or rtloop watch; rtloop commission makes a record "
            "(docs/commissioning.md)",
        )  # fmt: skip


def _seconds(span_ms: tuple[float, float]) -> tuple[float, float]:
    return span_ms[0] * 1e-3, span_ms[1] * 1e-3


def chain_of(plan: Plan) -> ChainSpec:
    """The cleaning chain's settings that the plan asks for."""
    signal, quality = plan.signal, plan.quality or Quality()
    hold = dict(zip(("hold_bad_trials", "hold_of_last", "hold_good_trials"), quality.hold, strict=True))
    whole = {"min_channels": int(quality.reject["min_channels"])} if "min_channels" in quality.reject else {}
    return ChainSpec.from_dict(
        {"gap_s": _seconds(signal.gap_ms), "window_s": _seconds(signal.window_ms)}
        | ({} if signal.recharge_gap_ms is None else {"recharge_gap_s": _seconds(signal.recharge_gap_ms)})
        | ({} if signal.sub_windows_ms is None else {"sub_windows_s": tuple(map(_seconds, signal.sub_windows_ms))})
        | stages_of(signal.stages)
        | {k: float(v) for k, v in quality.reject.items()} | whole | hold
        | {"rebuild": quality.rebuild, "max_still_s": quality.still_ms * 1e-3}
    )  # fmt: skip


def quality_of(plan: Plan) -> QualityLimits:
    """Where the lights of quality change, as the plan says."""
    asked = plan.quality or Quality()
    return QualityLimits(recording=asked.limits, trial=asked.trial, yellow_share=asked.yellow_share)


def bedside_spec(setting: Setting) -> BedsideSpec | None:
    """The simulated bedside that the request asks for, or None."""
    r = setting.request
    if not r.simulate:
        return None
    # an LSL session of its own: a simulated stream is never taken for a real one, nor the reverse
    os.environ.setdefault("RTLOOP_LSL_SESSION", f"rtloop-{setting.run_id}")
    watch = setting.plan.kind is Kind.WATCH
    return BedsideSpec(
        scene=r.scene, seed=r.seed, n_channels=r.channels, rate_hz=r.rate_hz, transport="none" if watch else r.transport,
        background=None if r.background is None else str(r.background),
        unit_faults=r.faults.read_text() if r.faults else "", auto_fire_s=(2.0, 2.4) if watch else None,
        stream_name=f"rtloop-sim-{setting.run_id}", source_id=f"rtloop-sim-{setting.run_id}", unit=setting.site.unit.model,
    )  # fmt: skip


def wanted(setting: Setting, bedside: Any) -> tuple[StreamWanted, UnitWanted | None]:
    site = setting.site
    if bedside is not None:
        stream = StreamWanted(
            name=bedside.stream_name, source_id=bedside.source_id, markers=f"{bedside.stream_name}-markers",
            rate_hz=setting.request.rate_hz,
        )  # fmt: skip
        model = site.unit.model
        if not bedside.port:
            return stream, None
        return stream, UnitWanted(
            model=model, port=bedside.port, simulated=True, options=simulated_options(model)
        )
    channels = None if site.stream.channels is None else len(site.stream.channels)
    stream = StreamWanted(
        name=site.stream.name, source_id=site.stream.source_id, rate_hz=site.stream.rate_hz, channels=channels,
        markers=site.markers.name,
    )  # fmt: skip
    if setting.plan.kind is Kind.WATCH:
        return stream, None
    seen = {} if setting.covering is None else setting.covering.unit_options
    return stream, UnitWanted(
        model=site.unit.model, port=site.unit.port or "", simulated=False,
        options=unit_options(site) | seen,
    )  # fmt: skip


def unit_options(site: Site) -> dict[str, Any]:
    """What the driver needs to know of the site's unit beside its model."""
    return driver_options(site.unit)


def to_recording(setting: Setting, bench: Bench, clock: Clock, say: Say) -> Setting:
    """Where the plan asks for it: rejection limits raised to what the ongoing EEG itself reaches, said aloud."""
    if setting.plan.signal.limits != "to_recording":
        return setting
    source = bench.source
    wanted, end_s = int((LOOK_S + 0.5) * source.rate_hz), clock.now_s() + LOOK_S + 5.0
    pulses: list[int] = []  # when listening, somebody's stimulator may be firing already
    while source.head() < wanted and clock.now_s() < end_s:
        pulses += [seen.sample for seen in source.pulses(clock.now_s())]
        for role in ("engine",) if setting.request.window else ("engine", "operator"):
            bench.board.beat(role)
        clock.sleep_until(clock.now_s() + 0.05)
    pulses += [seen.sample for seen in source.pulses(clock.now_s())]
    ongoing = ongoing_numbers(source, setting.chain, pulses)
    chain, raised = fitted_limits(setting.chain, ongoing)
    for name, limit in raised.items():
        say(
            f"   the ongoing EEG is large: {name} raised from {getattr(setting.chain, name):g} to {limit:g} µV; "
            "the set-up is questionable: check electrodes, blinks, movement"
        )
    return replace(setting, chain=chain, ongoing=ongoing)
