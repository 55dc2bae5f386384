"""Owns ``rtloop treat``: one treatment session from its request to its report; owns no pulse, no pause and no rule.

A script holds the same session::

    with treatment(TreatRequest(simulate=True, participant="P017"), print) as session:
        session.run()
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from rtloop.app.script_setting import ScriptSetting, bedside_for
from rtloop.app.scripting import held
from rtloop.app.treat_asked import GATED_SCENE, TreatRequest, Wanted, data_dir_of, wanted
from rtloop.app.treat_given import Books
from rtloop.app.treat_run import Runner
from rtloop.app.treat_study import StudyThread
from rtloop.app.treat_today import Today
from rtloop.app.treat_unit import TreatTms
from rtloop.app.treat_window import WindowOperator, WindowTms
from rtloop.app.treat_words import Operator, Simulated, Terminal
from rtloop.clock import WALL
from rtloop.errors import IntegrityProblem, OperatorAbort, RtloopError, UsageProblem, ValidationProblem
from rtloop.model.status import Mode
from rtloop.plan.treat_load import load_treatment
from rtloop.record.folder import SessionFolder
from rtloop.session.run import hangup_ignored

__all__ = ["Runner", "TreatRequest", "treat", "treatment"]

Say = Callable[[str], None]
Told = tuple[str, Any, int]


def treat(request: TreatRequest, say: Say) -> Told:
    """Hold the session; words, JSON, exit code: 0 complete, 3 refused, 4 not ready, 5 stopped for safety, 6 by the operator."""
    session: Runner | None = None
    try:
        with hangup_ignored(request.window), treatment(request, say) as session:
            session.run()
    except KeyboardInterrupt:
        if session is None or session.machine.end is None:
            raise OperatorAbort(
                "interrupted while it was starting; every unit that was connected is disarmed and released",
                todo="start again when ready",
            ) from None
    except RtloopError as err:
        if session is None or session.machine.end is None or not session.tms.folder.is_dir():
            raise
        say(f"!! {err}")
    return told(session)


@contextlib.contextmanager
def treatment(request: TreatRequest, say: Say) -> Iterator[Runner]:
    """The session, to be run; disarmed, counted and reported on every way out.

    Raises UsageProblem or ValidationProblem with all reasons before anything is touched, NotReady when a device is not as wanted.
    """
    with contextlib.ExitStack() as stack:
        study = _study(request, stack)
        want, setting = _wanted(request, study, say)
        _say_what_for(want, setting, say)
        operator = operator_of(request, setting)
        runner: Runner | None = None
        spec = bedside_for(setting)
        if spec is not None and setting.simulated:
            spec = replace(spec, seed=request.seed)
            if want.plan.gate is not None:  # a person whose state is known, with electrodes enough
                spec = replace(spec, scene=GATED_SCENE, n_channels=63)
        try:
            with held(setting, spec, WindowTms if request.window else TreatTms) as tms:
                if isinstance(operator, WindowOperator) and isinstance(tms, WindowTms):
                    operator.attend(tms)
                SessionFolder(path=tms.folder).keep_plan(want.plan.source)
                books = Books(want, WALL, study)
                if study is not None:
                    study.present = tms.present
                runner = Runner(tms, want, operator, books, WALL, study=study)
                try:
                    yield runner
                finally:
                    if study is not None:
                        study.present = lambda: None
        finally:
            if runner is not None:
                _report(runner, say)


def _say_what_for(want: Wanted, setting: ScriptSetting, say: Say) -> None:
    """The session in a few lines, before anything is started."""
    t, rig, planned = want.threshold, want.threshold.rig, sum(s.train.n_pulses for s in want.steps)
    plan = want.plan
    went = f", after {want.given} that were given today" if want.given else ""
    say(
        f"{plan.name} [{plan.plan.label}] at {want.target}: {len(want.steps)} trains of {plan.trains.pulses} pulses at "
        f"{plan.trains.frequency_hz:g} Hz{went}, {planned} pulses, {want.steps[-1].power_pct_mso} % MSO"
    )
    if want.threshold_sha256:
        say(f"motor threshold: {t.words()}")
        return
    taken = f'--unit {rig.unit_model} --coil "{rig.coil}" --waveform {rig.waveform} --current-direction {rig.current_direction}'
    say(
        f"!! no --threshold: {t.pct_mso} % MSO is ASSUMED, nobody measured it; to take one: rtloop threshold --simulate "
        f"--participant {setting.participant} {taken}"
    )


def operator_of(request: TreatRequest, setting: ScriptSetting) -> Operator:
    """Who answers: with a real unit always a person."""
    if request.window:
        return WindowOperator(request.by)
    return Simulated() if setting.simulated and not request.ask else Terminal(request.by)


def _study(request: TreatRequest, stack: contextlib.ExitStack) -> StudyThread | None:
    if request.study is None:
        return None
    if request.participant is None or not request.by:
        raise UsageProblem(
            "a study wants to know whose visit it is, and who treats", expected="--participant CODE --by NAME",
            found=f"{request.participant}, {request.by!r}",
        )  # fmt: skip
    mode = Mode.SIMULATED if request.simulate else Mode.HUMAN
    return stack.enter_context(
        StudyThread(request.study, request.participant, request.by, mode=mode, data_dir=data_dir_of(request))
    )


def _wanted(request: TreatRequest, study: StudyThread | None, say: Say) -> tuple[Wanted, ScriptSetting]:
    if study is None:
        return wanted(request, say)
    visit = study.visit
    for words in visit.told:
        say(f"   {words}")
    if visit.session_id and not request.resume:
        raise ValidationProblem(
            "a treatment of today was interrupted", expected="--resume, which gives what is left",
            found=f"session {visit.session_id}: {visit.trains_given} trains count as given", todo="add --resume",
        )  # fmt: skip
    if request.plan and visit.plan and load_treatment(request.plan).name != visit.plan:
        raise ValidationProblem(
            "the study's course treats by another plan", expected=visit.plan, found=request.plan,
            todo="leave PLAN away",
        )  # fmt: skip
    if request.target and request.target != visit.target:
        raise ValidationProblem(
            "the study treats this participant elsewhere", expected=visit.target, found=request.target,
            todo="leave --target away",
        )  # fmt: skip
    known = Today(session_id=visit.session_id, trains=visit.trains_given) if visit.session_id else None
    return wanted(replace(request, plan=request.plan or visit.plan), say, target=visit.target, known=known)


def _report(runner: Runner, say: Say) -> None:
    """Written anew by ``rtloop report`` where it cannot be written now."""
    from rtloop.record.treat_report import write_treatment_report

    folder = SessionFolder(path=runner.tms.folder)
    try:
        write_treatment_report(folder)
    except (IntegrityProblem, OSError) as err:
        say(f"!! the report could not be written: {err}")


def told(session: Runner) -> Told:
    """The result in words and as JSON, with its exit code."""
    end, given, folder = session.machine.end, session.books.result, session.tms.folder
    assert end is not None
    data: dict[str, Any] = {
        "ended": str(end.ended), "words": end.words, "folder": str(folder), "exit_code": end.code,
        "report": str(SessionFolder(path=folder).report), "treatment": None if given is None else given.data(),
    }  # fmt: skip
    lines = [f"treatment {end.ended}: {end.words}"]
    if given is None:
        lines.append("no pulse was set out to be given")
    else:
        lines.append(
            f"planned {given.planned} pulses = delivered {given.delivered} + not given {given.refused} "
            f"+ uncertain {given.uncertain} (counted as given); {given.trains_given} of {given.trains_planned} trains"
        )
        left = given.trains_planned - given.trains_given
        if given.given_most and left:
            lines.append(
                f"{left} train(s) are left: today (UTC) --resume gives them, to the same participant and nobody else"
            )
    if session.books.trouble:
        lines.append(f"!! {session.books.trouble}")
    return "\n".join([*lines, f"report: {data['report']}"]), data, end.code
