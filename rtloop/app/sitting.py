"""Owns one session from the command line's request to its result: what is wanted, started, run, ended, written.

It strings together what others own; the straight line itself is ``rtloop.session.loop``.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rtloop import __version__
from rtloop.app.commissioned import covered
from rtloop.app.hearing import Hearing
from rtloop.app.leaving import Sat, close
from rtloop.app.log import LOGGER, close_log, log_event, open_log
from rtloop.app.opening import band_of, controls_of, criteria_of, dose_before, places_of, steps_dict
from rtloop.app.preflight import preflight
from rtloop.app.progress import Progress
from rtloop.app.resumed import map_before, session_of
from rtloop.app.setting import (
    Request,
    Setting,
    bedside_spec,
    prepare,
    quality_of,
    refuse_uncovered,
    to_recording,
    wanted,
)
from rtloop.app.wiring import (
    Bench,
    connected,
    session_folder,
    simulated_bedside,
)
from rtloop.clock import WALL, Clock
from rtloop.decide.precision import run_is_over
from rtloop.errors import RtloopError
from rtloop.link.server import LinkServer
from rtloop.model.pulse import Pulse
from rtloop.model.status import Fault, Mode
from rtloop.plan.expand import expand
from rtloop.plan.schema import Kind
from rtloop.record import kinds
from rtloop.record.commissioning import Record
from rtloop.record.folder import SessionFolder
from rtloop.record.journal import Journal
from rtloop.safety.gate import Gate
from rtloop.safety.interlock import FAULTS, Action, Interlock
from rtloop.safety.locked import Watch, lock
from rtloop.safety.rules import MotorThreshold, Rig, Situation
from rtloop.session.accounts import Accounts
from rtloop.session.course import course_of
from rtloop.session.display import decision_dict
from rtloop.session.ends import Ends
from rtloop.session.engine import Engine, Finish
from rtloop.session.line import SignalLine
from rtloop.session.loop import Loop
from rtloop.session.loopback import Loopback
from rtloop.session.operator import SimulatedOperator
from rtloop.session.replay import gaps_dict, layout_dict, spots_dict
from rtloop.session.results import Results
from rtloop.session.run import TIME_IS_OVER, Interrupts, hangup_ignored, run_to_end
from rtloop.session.vigil import Vigil

Say = Callable[[str], None]
#: a window with the operator's seat that showed no sign of life for so long may lose it to another
FROZEN_AFTER_S = 2.0


def hold(request: Request, say: Say) -> Sat:
    """Hold one session; everything that can be refused is refused before a device is touched."""
    setting = prepare(request)
    log = open_log(Path(setting.site.data_dir))
    try:
        LOGGER.info("run %s: %s, plan sha256 %s", setting.run_id, setting.mode, setting.plan.sha256)
        result = _hold(setting, say)
        LOGGER.info("run %s: exit code %d", setting.run_id, result.exit_code)
        return result
    except BaseException:
        LOGGER.exception("run %s failed", setting.run_id)
        raise
    finally:
        close_log(log)


def _hold(setting: Setting, say: Say) -> Sat:
    folder = session_folder(Path(setting.site.data_dir), setting.run_id)
    folder.keep_plan(setting.plan.source)
    say(f"{setting.mode} session {folder.path.name}, plan {setting.plan.name}")
    if setting.unlike:
        say(setting.unlike)
    window = setting.request.window
    with hangup_ignored(window), Interrupts(say) as interrupts, contextlib.ExitStack() as stack:
        bedside = stack.enter_context(simulated_bedside(bedside_spec(setting)))
        journal = Journal(folder.journal, run_id=setting.run_id, plan_sha=setting.plan.sha256)
        stack.callback(journal.close)
        stream, unit = wanted(setting, bedside)
        sat = None
        try:
            with connected(folder, setting.run_id, stream, unit, bedside, say, window=window) as bench:
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
    return close(setting, folder, sat.loop.view, sat.line, finish, code, journal.head_hash, say)


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
        self._server: LinkServer | None = None
        self._seated_ns = 0
        self.setting, self.folder, self.journal = setting, folder, journal
        self.bench, self.clock = bench, clock
        plan, limits = setting.plan, setting.limits
        self.lock = Watch(setting.site.data_dir, setting.participant)
        self.record = self._record()
        self.commissioned = setting.mode is Mode.HUMAN and self.record is not None
        self.band = band_of(setting.site, self.record)
        self.interlock = Interlock(
            setting.mode, confirm_window_s=limits.confirm_window_s, commissioned=self.commissioned
        )
        self.line = SignalLine(bench.source, setting.chain, setting.spots, quality_of(setting.plan))
        listening = plan.kind is Kind.WATCH
        self.session_id = session_of(
            setting.runs, run_id=setting.run_id, plan_sha256=plan.sha256, day=clock.utc()[:10]
        )
        self.gate = None if bench.unit is None else self._gate(bench)
        status = None if self.gate is None else self.gate.status
        self.vigil = Vigil(
            source=bench.source, board=bench.board, limits=limits, status=status, utc=clock.utc,
            window=setting.request.window, told=None if bench.unit is None else bench.unit.told,
        )  # fmt: skip
        self.progress = Progress(say, listening=listening)
        self.operator = self._operator()
        self.results = Results.open(bench.pages, self.line, bench.source)
        self.steps = expand(plan)
        self.course, self.earlier, left = course_of(plan, self.line), None, self.steps
        if self.course is not None:
            self.course.keep_in(folder)
            self.earlier = map_before(setting.runs, session_id=self.session_id, run_id=setting.run_id)
            left = self.course.left_of(self.steps, self.earlier)
        timing = plan.timing
        self.loop = Loop(
            clock=clock,
            ends=Ends(source=bench.source, board=bench.board, gate=self.gate),
            append=journal.append,
            interlock=self.interlock,
            engine=Engine(
                left,
                places=places_of(plan),
                isi_s=(1.0, 1.0) if timing is None else timing.isi_s,
                seed=setting.request.seed if timing is None or timing.isi_seed is None else timing.isi_seed,
                first_delay_s=0.0 if timing is None else timing.lead_s,
                enough=run_is_over,
                listening=listening,
                course=self.course is not None,
            ),
            line=self.line,
            vigil=self.vigil,
            accounts=Accounts(listening=listening),
            show=self.progress.take,
            criteria=criteria_of(plan),
            results=self.results,
            locked=self.lock.why,
            loopback=Loopback(self.band),
            course=self.course,
        )
        self.hearing = Hearing(
            self.loop, self.interlock, self.vigil, bench, self.progress.say, person=self.operator is None,
            lock=self._lock_now,
        )  # fmt: skip

    def _record(self) -> Record | None:
        """The record that covers exactly the unit and amplifier that answer; in HUMAN SafetyStop where there is none."""
        setting, bench = self.setting, self.bench
        if bench.unit is None or setting.mode not in (Mode.HUMAN, Mode.BENCH):
            return None
        now = (setting.covering or covered(setting.site)).with_devices(
            bench.unit.identity, bench.stream, simulated_eeg=bench.bedside is not None
        )
        if setting.mode is Mode.HUMAN:
            refuse_uncovered(now)
        return now.record if now.ok else None

    def _gate(self, bench: Bench) -> Gate:
        assert bench.unit is not None
        return Gate(
            stimulator=bench.unit, limits=self.setting.limits, interlock=self.interlock, ledger=self.setting.ledger,
            clock=self.clock, run_id=self.setting.run_id, key=bench.key, record_intent=self._intent,
            situation=self._situation, session_id=self.session_id,
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
            participant=self.setting.participant, lock=self.lock.why(), commissioned=self.commissioned,
            rig=None if unit is None else Rig(unit_model=unit.model, coil=unit.coil, waveform=unit.waveform),
            threshold=None if t is None or unit is None else MotorThreshold(
                participant=t.participant or "", pct_mso=t.pct_mso, date=t.date.isoformat(), method=t.method,
                coil=t.coil, waveform=t.waveform, unit_model=unit.model,
            ),
            plan_sha256=plan.sha256, waivers=self.setting.waivers,
        )  # fmt: skip

    def _lock_now(self, words: str) -> str:
        """An emergency at this bedside: lock the participant, durably; returns why not, or ""."""
        try:
            data_dir, session = self.setting.site.data_dir, self.folder.path.name
            lock(data_dir, self.setting.participant, words=words, session=session, clock=self.clock)
        except RtloopError as err:
            return str(err)
        return ""

    def _operator(self) -> SimulatedOperator | None:
        request = self.setting.request
        if self.bench.bedside is None or request.ask or request.window:
            return None
        bedside = self.bench.bedside
        return SimulatedOperator(bedside.place, place_control=bedside.place_control)

    def run(self) -> tuple[Finish, bool]:
        """From pre-flight to the last pulse; the unit is disarmed on every way out."""
        try:
            self._open_to_a_window()
            self.start()
            limit_s = self.setting.request.seconds or 3600.0 + 4.0 * self.setting.rehearsal.duration_s[1]
            if self.operator is None and not self.setting.request.window:
                self.progress.listen_to_terminal(self.hearing.hear)
            finish, interrupted = run_to_end(
                self.loop, WALL, stop=self.bench.board.ask_stop, limit_s=limit_s, meanwhile=self.meanwhile
            )
        except BaseException as err:
            with contextlib.suppress(
                RtloopError
            ):  # it disarms first; a failed journal cannot take the last words
                self.end(f"{type(err).__name__}: {err}", clean=False, measured=False)
            raise
        else:
            if finish.reason == TIME_IS_OVER and self.setting.request.seconds is not None:
                finish = Finish(reason=f"listened for {limit_s:.0f} s, as asked", complete=True)
            self.end(finish.reason, clean=finish.complete)
            return finish, interrupted
        finally:
            self.close()
            self.progress.show()

    def _open_to_a_window(self) -> None:
        """Hear a window's words from the pre-flight on; its seat is the operator's presence."""
        if self.setting.request.window and self.bench.link is not None:
            self._server = LinkServer(self.bench.link, self.hearing.take, self._seated, gone=self._frozen)
            self._server.start()

    def _seated(self, pid: int) -> None:
        self._seated_ns = self.bench.board.now_ns()
        self.bench.board["seat_pid"] = self.bench.board["pid_operator"] = pid

    def _frozen(self) -> bool:
        """Whether the window with the seat shows no sign of life: then another may take the seat."""
        board = self.bench.board
        return board.now_ns() - max(board["beat_operator"], self._seated_ns) > FROZEN_AFTER_S * 1e9

    def close(self) -> None:
        """End what hears and shows; every wait has a deadline."""
        if self._server is not None:
            self._server.close()
        self.hearing.close()
        self.results.close()

    def end(self, words: str, *, clean: bool, measured: bool = True) -> None:
        """Disarm, then say so: the last records of the session. ``measured``: with what was not measured in a review."""
        self._ending()
        self.loop.disarm("the session ends")
        self.loop.end_of_pulses()
        plan = self.setting.plan
        if plan.kind is Kind.MAP:
            wanted = {t.name: (t.pulses_wanted, t.pulses_max or t.pulses_wanted) for t in plan.targets}
            try:
                plain = decision_dict(self.loop.view, plan.arm.question.value, wanted)
                decision = plain if self.course is None else self.course.decision()
            except Exception as err:  # the last record comes in any case
                clean, words = False, f"{words}; no decision could be made: {type(err).__name__}: {err}"
            else:
                self.loop.emit(kinds.DECISION_MADE, sync=True, **decision)
        if measured:  # takes seconds: after what must not be lost
            self.loop.measure(last=True)
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
            gaps=gaps_dict(setting.spots),
            local={k: list(s.local) for k, s in setting.spots.items()},
            ongoing_eeg_uv=setting.ongoing, quality=self.line.limits.to_dict(),
            layout=layout_dict(bench.source.layout), epoch_after=self.line.epoch_after,
            seed=setting.request.seed, scene=setting.request.scene if setting.request.simulate else None,
            limits={r.name: r.value for r in setting.limits.rows}, waivers=[w.data() for w in setting.waivers],
            blinded=setting.plan.arm.blinded, answered_by=self._answered_by(), steps=steps_dict(self.steps),
            decision=None if self.course is None else self.course.fixed(), threshold=setting.threshold,
            criteria=criteria_of(setting.plan), places=places_of(setting.plan), controls=controls_of(setting.plan),
            session_id=self.session_id, loopback=self.band.data(),
            dose_before=dose_before(setting.ledger, self.clock.utc()[:10], self.session_id, setting.spots),
        )  # fmt: skip
        if self.results.words:
            self.loop.emit(kinds.NOTE_WRITTEN, words=self.results.words, by="engine")
        if self.commissioned and setting.covering is not None and setting.covering.record is not None:
            words = f"covered by {setting.covering.words}, sha256 {setting.covering.record.sha256}"
            self.loop.emit(kinds.NOTE_WRITTEN, words=words, by="engine")
        self.loop.emit(kinds.STREAM_OPENED, **bench.stream)
        if bench.unit is not None:
            self.loop.emit(kinds.UNIT_OPENED, **asdict(bench.unit.identity))
        for target in setting.plan.targets:  # warm-up: makes the sums, compiles or loads every kernel
            for block in ("preview", "run"):
                self.line.scorer(target.name, block)
        preflight(self.loop, bench, self.vigil, self.setting, self.progress, self.clock)
        if self.course is not None and self.earlier is not None:
            self.course.resume(self.earlier, self.loop.view.started)

    def meanwhile(self, now_s: float) -> None:
        """What the supervising thread does many times a second: presence, screen, errands, the simulated operator."""
        if not self.setting.request.window:
            self.bench.board.beat("operator")
        for event in self.progress.show():
            log_event(event)
            self.hearing.tell(event)
            if self.operator is not None:
                self.operator.tell(event)
        if self.operator is not None:
            for said in self.operator.due(now_s):
                self.loop.inbox.put(said)
        self.hearing.work()

    def _answered_by(self) -> str:
        return "simulated" if self.operator else "window" if self.setting.request.window else "terminal"

    def ended(self, finish: Finish, interrupted: bool) -> int:
        """The exit code: complete 0, stopped for safety 5, ended by the operator 6."""
        asked = interrupted or finish.reason.startswith(
            "the operator"
        )  # then a hold that happened to stand is no safety stop
        # nor is it one that nobody sat at the window when the end was asked for: nothing was armed then
        by_the_way = {f for f in FAULTS if FAULTS[f].action is Action.HOLD} | {Fault.OPERATOR_GONE}
        stopped = any(not asked or f not in by_the_way for f in self.interlock.active)
        if finish.complete or (self.setting.plan.kind is Kind.WATCH and not stopped):
            return 0
        if stopped:
            return 5
        return 6
