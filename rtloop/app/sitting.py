"""Owns one session from the command line's request to its result: what is wanted, started, run, ended, written.

It strings together what others own; the straight line itself is ``rtloop.session.loop``.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hardware_sim.bedside import BedsideSpec
from rtloop import __version__
from rtloop.app.config import Site, load_site
from rtloop.app.dose import ledger_of
from rtloop.app.preflight import preflight
from rtloop.app.progress import Progress
from rtloop.app.wiring import (
    Bench,
    StreamWanted,
    UnitWanted,
    connected,
    new_run_id,
    session_folder,
    simulated_bedside,
)
from rtloop.clock import WALL, Clock
from rtloop.decide.precision import TargetState, next_pulse_needed
from rtloop.dsp.spec import ChainSpec
from rtloop.errors import RtloopError, SafetyStop, UsageProblem, ValidationProblem
from rtloop.model.pulse import Pulse
from rtloop.model.status import Mode
from rtloop.plan.expand import expand
from rtloop.plan.load import load_plan
from rtloop.plan.rehearse import Rehearsal, rehearse
from rtloop.plan.schema import Kind, Plan
from rtloop.record import kinds
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal
from rtloop.record.verify import verify
from rtloop.safety.gate import Gate
from rtloop.safety.interlock import FAULTS, Action, Interlock
from rtloop.safety.ledger import Ledger
from rtloop.safety.limits import Limits, tightest
from rtloop.safety.rules import MotorThreshold, Rig, Situation
from rtloop.session.accounts import Accounts
from rtloop.session.display import decision_dict, number, table
from rtloop.session.earlier import Visit, earlier_probes
from rtloop.session.engine import Engine, Finish, Said
from rtloop.session.level import LOOK_S, fitted_limits, ongoing_numbers
from rtloop.session.line import SignalLine, Spot
from rtloop.session.loop import Ends, Loop
from rtloop.session.operator import WORDS, SimulatedOperator
from rtloop.session.outcome import result_dict, write_report
from rtloop.session.replay import layout_dict, spots_dict
from rtloop.session.run import TIME_IS_OVER, Interrupts, run_to_end
from rtloop.session.vigil import Vigil

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
    site: Path | None = None
    json_: bool = False
    target: str | None = None
    seconds: float | None = None
    coil: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sat:
    """How a session ended."""

    text: str
    data: dict[str, Any]
    exit_code: int


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
    spots: dict[str, Spot] = field(default_factory=dict)
    ongoing: dict[str, float] = field(default_factory=dict)  # what the EEG reached before the session, µV


def hold(request: Request, say: Say) -> Sat:
    """Hold one session; everything that can be refused is refused before a device is touched."""
    setting = prepare(request)
    folder = session_folder(Path(setting.site.data_dir), setting.run_id)
    folder.keep_plan(setting.plan.source)
    say(f"{setting.mode} session {folder.path.name}, plan {setting.plan.name}")
    with Interrupts(say) as interrupts, contextlib.ExitStack() as stack:
        bedside = stack.enter_context(simulated_bedside(bedside_spec(setting)))
        journal = Journal(folder.journal, run_id=setting.run_id, plan_sha=setting.plan.sha256)
        stack.callback(journal.close)
        stream, unit = _wanted(setting, bedside)
        sat = None
        try:
            with connected(folder, setting.run_id, stream, unit, bedside, say) as bench:
                setting = to_recording(setting, bench, WALL, say)
                sat = Sitting(setting, folder, journal, bench, say, ending=interrupts.patient)
                finish, interrupted = sat.run()
        except BaseException as err:
            if sat is None:  # it never came to a session that could write its own end
                last = {
                    "clean": False,
                    "words": f"{type(err).__name__}: {err}",
                    "durable_sample": 0,
                    "durable_journal": 0,
                }
                with contextlib.suppress(RtloopError):
                    journal.append(kinds.SESSION_ENDED, last, sync=True)
            raise
        code = sat.ended(finish, interrupted)
    return close(setting, folder, sat, finish, code, journal.head_hash, say)


# -- before anything is started ---------------------------------------------------------------------------------


def prepare(request: Request) -> Setting:
    """Check the request; ValidationProblem or UsageProblem tell everything that is wrong with it."""
    for option, path in (("--faults", request.faults), ("--background", request.background)):
        if path is not None and not path.is_file():
            raise UsageProblem(f"{option} names no file", expected="a readable file", found=str(path))
    site = load_site(request.site, overrides=_overrides(request))
    plan = load_plan(request.plan)
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
    run_id = new_run_id()
    participant = request.participant or (f"SIM-{run_id}" if request.simulate else "P000")
    limits = site.limits()
    if plan.caps is not None:  # the plan's own caps bind the gate too, redone blocks included
        own = {
            "max_power_pct_mso": plan.caps.power_pct_mso_max,
            "max_pulses_session": plan.caps.pulses_total_max,
        }
        limits = tightest(limits, prescription={k: float(v) for k, v in own.items()})
    rehearsal = rehearse(plan, limits=limits, today=WALL.utc()[:10], mode=mode, participant=participant)
    if rehearsal.breaches:
        raise ValidationProblem(
            f"the plan {plan.name} breaks {len(rehearsal.breaches)} rule(s)", expected="a plan that rehearses without breach",
            found=" | ".join(b.words() for b in rehearsal.breaches), todo=f"correct the plan; rtloop check {request.plan}",
        )  # fmt: skip
    spots = {t.name: Spot(coil_m=t.point_m(), local=t.local_electrodes or ()) for t in plan.targets}
    return Setting(
        request=request, site=site, plan=plan, mode=mode, limits=limits, rehearsal=rehearsal, run_id=run_id,
        participant=participant, chain=chain_of(plan), spots=spots,
        ledger=Ledger() if mode is Mode.LISTEN else ledger_of(Path(site.data_dir), participant, simulated=request.simulate),
    )  # fmt: skip


def _overrides(request: Request) -> dict[str, Any]:
    return {
        "data_dir": request.data_dir, "stream.name": request.stream, "stream.source_id": request.source_id,
        "markers.name": request.markers, "unit.model": request.unit, "unit.port": request.port,
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
    if mode is Mode.HUMAN:
        raise SafetyStop(
            "mode HUMAN refuses to arm", expected="a commissioning record of this unit, software and site",
            found="none; this version cannot make one", todo="use --mode bench with the coil on a phantom, or rtloop watch",
        )  # fmt: skip
    if not request.simulate and site.unit.port is None:
        raise UsageProblem(
            "no unit is named", expected="--port PORT (serial port or socket://host:port)", found="none",
            todo="name the unit's port, or try --simulate, or listen only with rtloop watch",
        )  # fmt: skip
    return mode


def chain_of(plan: Plan) -> ChainSpec:
    """The cleaning chain's settings that the plan asks for."""
    signal = plan.signal
    stages = {k: v for k, v in signal.stages.model_dump().items() if v is not None}
    renamed = {"reference": "average_reference"}
    wrong = [
        k for k, v in stages.items() if not isinstance(v, bool) and not (k == "reference" and v == "average")
    ]
    if wrong:
        raise ValidationProblem(
            "a stage of the chain has a setting that does not exist", expected='true or false (reference: also "average")',
            found=", ".join(f"{k} = {stages[k]!r}" for k in wrong), todo="correct [signal.stages]",
        )  # fmt: skip
    gap_s = (signal.gap_ms[0] * 1e-3, signal.gap_ms[1] * 1e-3)
    return ChainSpec.from_dict(
        {"gap_s": gap_s, "window_s": (signal.window_ms[0] * 1e-3, signal.window_ms[1] * 1e-3)}
        | {renamed.get(k, k): (v if isinstance(v, bool) else True) for k, v in stages.items()}
    )


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
        stream_name=f"rtloop-sim-{setting.run_id}", source_id=f"rtloop-sim-{setting.run_id}",
    )  # fmt: skip


def _wanted(setting: Setting, bedside: Any) -> tuple[StreamWanted, UnitWanted | None]:
    site = setting.site
    if bedside is not None:
        stream = StreamWanted(
            name=bedside.stream_name, source_id=bedside.source_id, markers=f"{bedside.stream_name}-markers",
            rate_hz=setting.request.rate_hz,
        )  # fmt: skip
        unit = None if not bedside.port else UnitWanted(model="200", port=bedside.port, simulated=True)
        return stream, unit
    channels = None if site.stream.channels is None else len(site.stream.channels)
    stream = StreamWanted(
        name=site.stream.name, source_id=site.stream.source_id, rate_hz=site.stream.rate_hz, channels=channels,
        markers=site.markers.name,
    )  # fmt: skip
    if setting.plan.kind is Kind.WATCH:
        return stream, None
    return stream, UnitWanted(model=site.unit.model, port=site.unit.port or "", simulated=False)


def to_recording(setting: Setting, bench: Bench, clock: Clock, say: Say) -> Setting:
    """Where the plan asks for it: rejection limits raised to what the ongoing EEG itself reaches, said aloud."""
    if setting.plan.signal.limits != "to_recording":
        return setting
    source = bench.source
    wanted, end_s = int((LOOK_S + 0.5) * source.rate_hz), clock.now_s() + LOOK_S + 5.0
    while source.head() < wanted and clock.now_s() < end_s:
        for role in ("engine", "operator"):
            bench.board.beat(role)
        clock.sleep_until(clock.now_s() + 0.05)
    ongoing = ongoing_numbers(source, setting.chain)
    chain, raised = fitted_limits(setting.chain, ongoing)
    for name, limit in raised.items():
        say(
            f"   the ongoing EEG is large: {name} raised from {getattr(setting.chain, name):g} to {limit:g} µV; "
            "the set-up is questionable: check electrodes, blinks, movement"
        )
    return replace(setting, chain=chain, ongoing=ongoing)


# -- the session itself -----------------------------------------------------------------------------------------


class Sitting:
    """The objects of one session, strung together."""

    def __init__(
        self,
        setting: Setting,
        folder: SessionFolder,
        journal: Journal,
        bench: Bench,
        say: Say,
        clock: Clock = WALL,
        ending: Callable[[], None] = lambda: None,
    ) -> None:
        self._ending = ending
        self.setting, self.folder, self.journal, self.bench, self.clock = (
            setting,
            folder,
            journal,
            bench,
            clock,
        )
        plan, limits = setting.plan, setting.limits
        self.interlock = Interlock(setting.mode, confirm_window_s=limits.confirm_window_s)
        self.line = SignalLine(bench.source, setting.chain, setting.spots)
        listening = plan.kind is Kind.WATCH
        self.gate = None if bench.unit is None else self._gate(bench)
        status = None if self.gate is None else self.gate.status
        self.vigil = Vigil(source=bench.source, board=bench.board, limits=limits, status=status)
        self.progress = Progress(say, listening=listening)
        self.operator = self._operator()
        steps = expand(plan)
        timing = plan.timing
        self.loop = Loop(
            clock=clock,
            ends=Ends(source=bench.source, board=bench.board, gate=self.gate),
            append=journal.append,
            interlock=self.interlock,
            engine=Engine(
                steps,
                places={
                    t.name: t.coil_at if isinstance(t.coil_at, str) else "the given point"
                    for t in plan.targets
                },
                isi_s=(1.0, 1.0) if timing is None else timing.isi_s,
                seed=setting.request.seed if timing is None or timing.isi_seed is None else timing.isi_seed,
                first_delay_s=0.0 if timing is None else timing.lead_s,
                enough=_enough,
                listening=listening,
            ),
            line=self.line,
            vigil=self.vigil,
            accounts=Accounts(listening=listening),
            show=self.progress.take,
            criteria={t.name: t.accept.model_dump() for t in plan.targets if t.accept is not None},
        )

    def _gate(self, bench: Bench) -> Gate:
        assert bench.unit is not None
        return Gate(
            stimulator=bench.unit, limits=self.setting.limits, interlock=self.interlock, ledger=self.setting.ledger,
            clock=self.clock, run_id=self.setting.run_id, key=bench.key, record_intent=self._intent,
            situation=self._situation,
        )  # fmt: skip

    def _intent(self, charge: dict[str, Any]) -> None:
        self.loop.intended(charge)

    def _situation(self, pulse: Pulse, now_s: float) -> Situation:
        board, source, plan = self.bench.board, self.bench.source, self.setting.plan
        unit, t = plan.unit, plan.threshold
        return Situation(
            mode=self.setting.mode, now_s=now_s, pulse=pulse,
            eeg_simulated=self.bench.bedside is not None,
            stream=self.vigil.health,
            recorder_age_s=board.age_s("recorder"),
            durable_lag_s=(source.head() - board["durable_sample"]) / source.rate_hz,
            port_age_s=board.age_s("port"),
            operator_age_s=board.age_s("operator"),
            participant=self.setting.participant,
            rig=None if unit is None else Rig(unit_model=unit.model, coil=unit.coil, waveform=unit.waveform),
            threshold=None if t is None or unit is None else MotorThreshold(
                participant=t.participant or "", pct_mso=t.pct_mso, date=t.date.isoformat(), method=t.method,
                coil=t.coil, waveform=t.waveform, unit_model=unit.model,
            ),
        )  # fmt: skip

    def _operator(self) -> SimulatedOperator | None:
        if self.bench.bedside is None or self.setting.request.ask:
            return None
        return SimulatedOperator(self.bench.bedside.place)

    def run(self) -> tuple[Finish, bool]:
        """From pre-flight to the last pulse; the unit is disarmed on every way out."""
        try:
            self.start()
            limit_s = self.setting.request.seconds or 3600.0 + 4.0 * self.setting.rehearsal.duration_s[1]
            if self.operator is None:
                self.progress.listen_to_terminal(self.hear)
            finish, interrupted = run_to_end(
                self.loop, WALL, stop=self.bench.board.ask_stop, limit_s=limit_s, meanwhile=self.meanwhile
            )
        except BaseException as err:
            with contextlib.suppress(
                RtloopError
            ):  # it disarms first; a failed journal cannot take the last words
                self.end(f"{type(err).__name__}: {err}", clean=False)
            raise
        else:
            if finish.reason == TIME_IS_OVER and self.setting.request.seconds is not None:
                finish = Finish(reason=f"listened for {limit_s:.0f} s, as asked", complete=True)
            self.end(finish.reason, clean=finish.complete)
            return finish, interrupted
        finally:
            self.progress.show()

    def hear(self, said: Said) -> None:
        """A typed word, in the terminal's thread. ``halt`` asks for STOP at once: the loop may be waiting for the unit."""
        if said.word == "halt":
            self.bench.board.ask_stop()
        if said.word in WORDS:
            self.loop.inbox.put(said)
        else:
            self.progress.say(f"   {said.word}: not understood; the words are {', '.join(WORDS)}")

    def end(self, words: str, *, clean: bool) -> None:
        """Disarm, then say so: the last records of the session."""
        self._ending()
        self.loop.disarm("the session ends")
        plan = self.setting.plan
        if plan.kind is Kind.MAP:
            wanted = {t.name: (t.pulses_wanted, t.pulses_max or t.pulses_wanted) for t in plan.targets}
            try:
                decision = decision_dict(self.loop.view, plan.arm.question.value, wanted)
            except Exception as err:  # the last record comes in any case
                clean, words = False, f"{words}; no decision could be made: {type(err).__name__}: {err}"
            else:
                self.loop.emit(kinds.DECISION_MADE, **decision)
        board = self.bench.board
        self.loop.emit(
            kinds.SESSION_ENDED, sync=True, clean=clean, words=words, durable_sample=board["durable_sample"],
            durable_journal=board["durable_journal"],
        )  # fmt: skip

    def start(self) -> None:
        """Journal the start, warm up, pass the pre-flight: SAFE -> READY, or NotReady in words."""
        setting, bench = self.setting, self.bench
        self.loop.emit(
            kinds.SESSION_STARTED, sync=True, mode=setting.mode.value, kind=setting.plan.kind.value,
            participant=setting.participant, plan=setting.plan.name, plan_sha256=setting.plan.sha256,
            software_version=__version__, run_id=setting.run_id, rate_hz=bench.source.rate_hz,
            targets=[t.name for t in setting.plan.targets], question=setting.plan.arm.question.value,
            chain=json.loads(json.dumps(setting.chain.to_dict())), spots=spots_dict(setting.spots),
            local={k: list(s.local) for k, s in setting.spots.items()},
            ongoing_eeg_uv=setting.ongoing,
            layout=layout_dict(bench.source.layout), epoch_after=self.line.epoch_after,
            seed=setting.request.seed, scene=setting.request.scene if setting.request.simulate else None,
            limits={r.name: r.value for r in setting.limits.rows},
        )  # fmt: skip
        for target in setting.plan.targets:  # warm-up: makes the sums, compiles or loads every kernel
            for block in ("preview", "run"):
                self.line.scorer(target.name, block)
        preflight(self.loop, bench, self.vigil, self.setting, self.progress, self.clock)

    def meanwhile(self, now_s: float) -> None:
        """What the supervising thread does many times a second: presence, screen, the simulated operator."""
        self.bench.board.beat("operator")
        for event in self.progress.show():
            if self.operator is not None:
                self.operator.tell(event)
        if self.operator is not None:
            for said in self.operator.due(now_s):
                self.loop.inbox.put(said)

    def ended(self, finish: Finish, interrupted: bool) -> int:
        """The exit code: complete 0, stopped for safety 5, ended by the operator 6."""
        asked = interrupted or finish.reason.startswith(
            "the operator"
        )  # then a hold that happened to stand is no safety stop
        stopped = any(not asked or FAULTS[f].action is not Action.HOLD for f in self.interlock.active)
        if finish.complete or (self.setting.plan.kind is Kind.WATCH and not stopped):
            return 0
        if stopped:
            return 5
        return 6


def _enough(accepted: int, given: int, wanted: int, most: int) -> bool:
    return not next_pulse_needed(
        TargetState(target="", wanted=wanted, most=most, given=given, accepted=accepted)
    )


# -- after it ---------------------------------------------------------------------------------------------------


def close(
    setting: Setting, folder: SessionFolder, sat: Sitting, finish: Finish, code: int, head_hash: str, say: Say
) -> Sat:
    """Verify, report, result: what is left when everything has ended."""
    view = sat.loop.view
    visits = _visits(setting, folder)
    result = result_dict(view, finish.reason, head_hash)
    checked = verify(folder.path)
    result |= {
        "exit_code": code,
        "folder": str(folder.path),
        "record_whole": checked.ok,
        "report": str(folder.report),
    }
    _keep_result(folder, result, say)  # first: figures may fail
    try:
        write_report(folder, view, sat.line, head_hash, visits)
    except Exception as err:
        say(f"the report could not be written: {err}; rtloop report {folder.path} tries again")
        result["report"] = None
    _keep_result(folder, result, say)
    if checked.ok and code in (0, 6):
        folder.tidy()
    words = [f"{setting.mode}: {finish.reason}", table(view)]
    if view.decision:
        words += [view.decision["words"], view.decision["note"]]
    words += [_visit_words(v) for v in visits]
    words += [f"record: {'whole' if checked.ok else 'NOT whole, see rtloop verify'} in {folder.path}"]
    words += [f"report: {result['report'] or 'none'}"]
    return Sat(text="\n".join(words), data=result, exit_code=code if checked.ok or code else 7)


def _keep_result(folder: SessionFolder, result: dict[str, Any], say: Say) -> None:
    try:
        folder.result.write_text(json.dumps(result, indent=1, allow_nan=False))
    except OSError as err:
        say(f"the result could not be written: {err}; the journal holds all of it")


def _visits(setting: Setting, folder: SessionFolder) -> tuple[Visit, ...]:
    if setting.plan.kind is not Kind.PROBE:
        return ()
    return earlier_probes(
        folder.path.parent, setting.participant, setting.plan.targets[0].name, simulated=setting.request.simulate,
        but=folder.path,
    )  # fmt: skip


def _visit_words(v: Visit) -> str:
    return (
        f"earlier probe {v.utc[:16]}: LOCAL dwPLI² x1000 {number(v.local, 1e3)}, LMFP {number(v.lmfp_uv, 1, 2)} µV, "
        f"ITC {number(v.itc_local, 1, 2)}, n = {v.n_accepted}"
    )
