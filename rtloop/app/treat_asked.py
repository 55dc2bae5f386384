"""Owns the check of what ``rtloop treat`` is asked for, all reasons at once, and what of it a session needs; starts nothing."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drivers.magstim.units import device_limits
from rtloop import __version__
from rtloop.app.config import Site, load_site
from rtloop.app.paper_unit import paper_unit
from rtloop.app.script_asked import all_of, also
from rtloop.app.script_setting import Say, ScriptSetting, decide
from rtloop.app.setting import run_id_of
from rtloop.app.threshold_asked import motor_threshold
from rtloop.app.threshold_bound import for_treatment
from rtloop.app.treat_today import Today, refuse_too_soon, runs_of, today_of
from rtloop.clock import WALL
from rtloop.errors import RtloopError, UsageProblem, ValidationProblem
from rtloop.model.course import is_code
from rtloop.model.status import Mode
from rtloop.model.threshold import SIMULATED_PCT_MSO, Threshold, ToldBy
from rtloop.plan.treat_load import load_treatment
from rtloop.plan.treat_rehearse import rehearse_treatment
from rtloop.plan.treat_schema import TreatmentPlan
from rtloop.plan.treat_steps import TrainStep, prescribed, trains_of
from rtloop.safety.limits import NAMES, Limits, tightest
from rtloop.safety.rules import MotorThreshold, Rig
from rtloop.safety.waivers import load_waivers

QUICK = "treat-quick"
#: the simulated person of a plan that gates its trains: how synchrony near M1 comes and goes is known of it
GATED_SCENE = "state"


@dataclass(frozen=True, kw_only=True)
class TreatRequest:
    """What the command line, or a script, asks for."""

    plan: str | None = None
    simulate: bool = False
    participant: str | None = None
    target: str | None = None
    threshold: Path | None = None
    resume: bool = False
    by: str = ""
    ask: bool = False  # with simulate: you answer
    window: bool = False  # a window answers
    run_id: str | None = None  # as the window that started it wants to find it
    stream: str | None = None
    port: str | None = None
    mode: str | None = None
    waivers: Path | None = None
    data_dir: Path | None = None
    site: Path | None = None
    study: Path | None = None
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a treatment session is about. ``steps``: the trains that are left; ``given``: how many were given before."""

    plan: TreatmentPlan
    target: str
    steps: tuple[TrainStep, ...]
    given: int
    threshold: Threshold
    threshold_sha256: str  # "" where nobody measured it: a simulation
    today: Today
    by: str
    host: str
    rehearsed: dict[str, Any]


def wanted(
    request: TreatRequest, say: Say, *, target: str | None = None, known: Today | None = None
) -> tuple[Wanted, ScriptSetting]:  # fmt: skip
    """Everything decided; the problem with all that is wrong, before anything is touched.

    ``target``: as a study allocated it; else the request's, or the plan's only one. ``known``: what a study knows of today's
    session, perhaps of another computer's.
    """
    named, utc = request.plan or (QUICK if request.simulate else ""), WALL.utc()
    day = utc[:10]
    if not named:
        raise UsageProblem(
            "no treatment plan is named",
            expected="rtloop treat PLAN",
            found="none",
            todo="name one, or --simulate",
        )
    plan = load_treatment(named)
    problems: list[RtloopError] = _unsaid(request, plan)
    where = (
        target
        or request.target
        or (plan.targets[0].name if len(plan.targets) == 1 or request.simulate else "")
    )
    if where not in [t.name for t in plan.targets]:
        problems.append(UsageProblem(
            f"the plan {plan.name} does not treat {where or 'an unnamed target'}", found=where or "no --target",
            expected=", ".join(t.name for t in plan.targets), todo="name one of them: --target NAME",
        ))  # fmt: skip
    site = also(problems, lambda: _site(request, plan))
    if problems or site is None:
        raise all_of(problems)
    participant = request.participant or f"SIM{secrets.randbelow(100_000):05d}"
    mode = Mode.SIMULATED if request.simulate else _mode(request)
    limits = tightest(site.limits(), device=device_limits(plan.unit.model))
    found = also(problems, lambda: _threshold(request, plan, where, participant, mode, day, limits))
    waivers = () if request.waivers is None else also(
        problems, lambda: load_waivers(Path(request.waivers or ""), plan_sha256=plan.sha256, today=day)
    )  # fmt: skip
    if problems or found is None or waivers is None:
        raise all_of(problems)
    motor, threshold, sha256 = found
    rig = plan.rig(where)
    own = prescribed(plan, limits)
    setting = decide(
        f"sim:{plan.unit.model}" if request.simulate else str(site.unit.port), participant=participant,
        model=None if request.simulate else plan.unit.model,
        caps={n: getattr(own, n) for n in NAMES if getattr(own, n) != getattr(limits, n)},
        eeg=None if request.simulate else site.stream.name, mode=request.mode, threshold=motor,
        rig=Rig(unit_model=rig.unit_model, coil=rig.coil, waveform=rig.waveform_words), purpose="treatment",
        data_dir=request.data_dir, site=request.site, waivers=None, say=say,
    )  # fmt: skip
    setting = replace(
        setting, run_id=run_id_of(request.run_id, Path(setting.data_dir)), window=request.window
    )
    runs = runs_of(Path(setting.data_dir), participant, simulated=request.simulate)
    before = today_of(
        tuple(r for r in runs if r.day == day), resume=request.resume, plan_sha256=plan.sha256, target=where,
        threshold_pct_mso=threshold.pct_mso, trains=plan.trains.count, known=known,
    )  # fmt: skip
    if not before.session_id:
        refuse_too_soon(runs, utc)
    session = before.session_id or setting.run_id
    rehearsed = rehearse_treatment(
        plan, where, unit=_paper(plan, site), limits=limits, today=day, threshold=motor, mode=mode,
        participant=participant, before=setting.ledger.counts(target=where, session_id=session, day=day),
        waivers=waivers, given=before.trains,
    )  # fmt: skip
    if not rehearsed.may_arm:
        raise ValidationProblem(
            f"the treatment {plan.name} breaks {len(rehearsed.breaches)} rule(s) and cannot be armed",
            expected="a treatment that rehearses", found=" | ".join(b.words() for b in rehearsed.breaches),
            todo=f"rtloop check {named} says more; a missing waiver: rtloop check prints its blank",
        )  # fmt: skip
    steps = trains_of(plan, where, threshold.pct_mso)[before.trains :]
    made = Wanted(
        plan=plan, target=where, steps=steps, given=before.trains, threshold=threshold, threshold_sha256=sha256,
        today=before, by=request.by, host=socket.gethostname() or "unknown", rehearsed=rehearsed.data(),
    )  # fmt: skip
    return made, replace(
        setting, kind="treat", target=where, session_id=before.session_id, script=plan.name, script_sha256=plan.sha256,
        waivers=waivers, more=_started(made, setting, request),
    )  # fmt: skip


def answered_by(request: TreatRequest) -> str:
    """Who answers: window, simulated or terminal; with a real unit always a person."""
    return "window" if request.window else "simulated" if request.simulate and not request.ask else "terminal"


def _unsaid(request: TreatRequest, plan: TreatmentPlan) -> list[RtloopError]:
    out: list[RtloopError] = []
    r = request
    lacking = [
        n
        for n, v in (("--participant", r.participant), ("--threshold", r.threshold), ("--by", r.by))
        if not v
    ]
    if lacking and not r.simulate:
        out.append(UsageProblem(
            "a treatment is bound to what nobody said", expected="whose it is, from which threshold, and who treats",
            found=f"nothing for {', '.join(lacking)}",
            todo="add them; rtloop threshold writes the file; or try --simulate",
        ))  # fmt: skip
    if r.participant is not None and not is_code(r.participant):
        out.append(UsageProblem(
            "this is no participant's code", expected="letters and digits such as P017 or S01-P017; never a name",
            found=r.participant,
        ))  # fmt: skip
    if r.ask and not r.simulate:
        out.append(
            UsageProblem("--ask works only with --simulate", expected="--simulate", found="a real unit")
        )
    if r.window and (r.ask or (r.mode or "").upper() == Mode.HUMAN):
        out.append(UsageProblem(
            "--window does not go with this", expected="one who answers; over a person arming is typed at the terminal",
            found="--ask" if r.ask else "--mode human", todo="leave --window away: rtloop treat asks at the terminal",
        ))  # fmt: skip
    given = [n for n, v in (("--port", r.port), ("--stream", r.stream), ("--mode", r.mode)) if v]
    if r.simulate and given:
        out.append(UsageProblem(
            f"{given[0]} does not go with --simulate", expected="the simulated bedside's own", found=", ".join(given)
        ))  # fmt: skip
    if not plan.sha256:
        out.append(UsageProblem("the plan has no text", expected="a plan of a file or of the library"))
    return out


def data_dir_of(request: TreatRequest) -> Path:
    """Where session folders are made."""
    return Path(load_site(request.site, overrides={
        "data_dir": None if request.data_dir is None else str(request.data_dir)
    }).data_dir)  # fmt: skip


def _site(request: TreatRequest, plan: TreatmentPlan) -> Site:
    simulated = request.simulate
    site = load_site(request.site, overrides={
        "data_dir": None if request.data_dir is None else str(request.data_dir),
        "unit.port": None if simulated else request.port, "stream.name": None if simulated else request.stream,
        "unit.model": None if simulated else plan.unit.model,
    })  # fmt: skip
    if not simulated and site.unit.port is None:
        raise UsageProblem(
            "no unit is named", expected="--port PORT (serial port or socket://host:port)", found="none",
            todo="name the unit's port, or try --simulate",
        )  # fmt: skip
    return site


def _mode(request: TreatRequest) -> Mode:
    return Mode.HUMAN if (request.mode or "").upper() == Mode.HUMAN else Mode.BENCH


def _paper(plan: TreatmentPlan, site: Site) -> Any:
    own = site.unit.model == plan.unit.model
    return paper_unit(plan.unit.model, site.unit.supply_v, site.unit.software_at_least if own else ())


def _threshold(
    request: TreatRequest, plan: TreatmentPlan, target: str, participant: str, mode: Mode, day: str, limits: Limits
) -> tuple[MotorThreshold, Threshold, str]:  # fmt: skip
    if request.threshold is not None:
        return for_treatment(
            plan, target, request.threshold, participant=participant, mode=mode, today=day, limits=limits
        )
    made = Threshold(
        participant=participant, pct_mso=SIMULATED_PCT_MSO, estimate_pct_mso=float(SIMULATED_PCT_MSO), low_pct_mso=None,
        high_pct_mso=None, method="SIMULATED: assumed, nobody measured it", told_by=ToldBy.EMG,
        criterion="none: a simulation without --threshold", muscle="none", made_utc=WALL.utc(), mode=Mode.SIMULATED,
        rig=plan.rig(target), cap_on=True, answers=(), pulses_given=0, ended="assumed", software=__version__, session="",
    )  # fmt: skip
    return motor_threshold(made), made, ""


def _started(want: Wanted, setting: ScriptSetting, request: TreatRequest) -> dict[str, Any]:
    """What ``session_started`` holds besides what any script's does."""
    plan, target = want.plan, want.plan.target(want.target)
    return {
        "targets": [want.target], "session_id": want.today.session_id or setting.run_id,
        "answered_by": answered_by(request),
        **({"scene": GATED_SCENE} if request.simulate and plan.gate is not None else {}),
        "seed": request.seed, "threshold": {"sha256": want.threshold_sha256, **want.threshold.data()},
        "treatment": {
            "label": str(plan.plan.label), "citation": plan.plan.citation, "coil": target.coil,
            "coil_at": target.coil_at if isinstance(target.coil_at, str) else "the given point",
            "current_direction": target.current_direction, "waveform": plan.unit.waveform,
            "intensity_pct_rmt": target.intensity_pct_rmt, "frequency_hz": plan.trains.frequency_hz,
            "train_pulses": plan.trains.pulses, "trains": plan.trains.count, "pause_s": plan.trains.pause_s,
            "trains_before": want.given, "pulses_before": want.today.pulses, "host": want.host, "by": want.by,
            "rehearsal": want.rehearsed,
        },
    }  # fmt: skip
