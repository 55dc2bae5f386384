"""Owns ``rtloop threshold``: a session that gives the pulses a method asks for until it has a threshold, and writes it down.

It owns no method (``rtloop.threshold``), no rule and no way to a pulse: those are a script's (docs/decisions/0012). The pulses
count as single pulses of the day, never as treatment.

Over a person the gate wants a motor threshold before any pulse (``threshold_known``), also before those that would find the
first one. So in mode HUMAN an earlier threshold that still holds must be named; a first one cannot be taken with the unit in
rtloop's hands.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rtloop import __version__
from rtloop.app.script_setting import ScriptSetting, bedside_for, decide
from rtloop.app.script_words import Refused
from rtloop.app.scripting import held
from rtloop.app.threshold_asked import ThresholdRequest, Wanted, wanted
from rtloop.app.threshold_unit import Judged, ThresholdTms
from rtloop.clock import WALL
from rtloop.errors import NotReady, OperatorAbort, SafetyStop
from rtloop.model.status import Lamp
from rtloop.model.threshold import Answer, Threshold, whole
from rtloop.record.folder import SessionFolder
from rtloop.record.thresholds import ANSWERED, FILE_NAME, TAKEN, write_threshold
from rtloop.threshold.methods import name_of, next_step
from rtloop.threshold.steps import Do, Step

Say = Callable[[str], None]
Told = tuple[str, Any, int]
#: so often in a row a pulse may be refused, or not count, before a person must look
IN_A_ROW = 5
ARMING_WORDS = "the coil is on the hot spot"


@dataclass(frozen=True, kw_only=True)
class Course:
    """How the giving of pulses ended. ``given``: all pulses, with those that did not count."""

    step: Step
    answers: tuple[Answer, ...]
    given: int


def take_threshold(request: ThresholdRequest, say: Say) -> Told:
    """Hold the session; words, JSON and exit code: 0 a threshold was written, 4 none was found, 6 the operator ended it."""
    want = wanted(request)
    setting = setting_of(request, want, say)
    spec = bedside_for(setting)
    if spec is not None and setting.simulated:
        spec = replace(spec, scene=request.scene, seed=request.seed)
    folder: SessionFolder | None = None
    try:
        with held(setting, spec, ThresholdTms) as tms:
            folder = _folder(setting)
            course = find(tms, request, want, say)
            made = taken(course, want, setting, request, folder.path.name, WALL.utc())
            if made is not None:
                kept(tms, made, folder.path)
    except KeyboardInterrupt:
        raise OperatorAbort(
            "the threshold was interrupted; every unit that was connected is disarmed and released",
            todo="start again when ready",
        ) from None
    except OperatorAbort as err:
        return (
            str(err),
            {"found": False, "why": err.what, "folder": None if folder is None else str(folder.path)},
            6,
        )
    return told(course, made, folder.path)


def setting_of(request: ThresholdRequest, want: Wanted, say: Say) -> ScriptSetting:
    """The setting of the session, decided as any script's."""
    return decide(
        want.port, participant=want.participant, model=None if request.simulate else want.model, caps=want.caps,
        eeg=want.stream, mode=request.mode, **want.gate, purpose="probe", data_dir=request.data_dir, site=request.site,
        waivers=None, say=say,
    )  # fmt: skip


def find(tms: ThresholdTms, request: ThresholdRequest, want: Wanted, say: Say) -> Course:
    """Give what the method asks for until it says no more. NotReady where pulses cannot be judged, Refused where not given."""
    if want.emg:
        tms.column(want.emg)  # before any pulse
    answers: list[Answer] = []
    chance, given, uncounted = random.Random(tms.setting.run_id), 0, 0
    say(f"{name_of(want.spec)}; a response is: {want.criterion}; at most {want.spec.pulses_max} pulses")
    while (step := next_step(want.spec, answers)).do is Do.GIVE:
        given += 1
        judged = _one(tms, step, given, want)
        tms.tell(
            ANSWERED, number=given, power_pct_mso=step.pct_mso, response=judged.response, by=judged.by, words=judged.words,
            pp_uv=judged.pp_uv, rest_rms_uv=judged.rest_rms_uv, why=step.why,
        )  # fmt: skip
        say(f"   pulse {given} at {step.pct_mso} %: {judged.words} ({step.why})")
        if judged.response is None:
            uncounted += 1
            if uncounted >= IN_A_ROW:
                tms.disarm("pulses cannot be judged")
                raise NotReady(
                    f"{IN_A_ROW} pulses in a row did not count", expected="pulses whose answer can be told", found=judged.words,
                    todo="look at muscle, electrodes and stream; start again",
                )  # fmt: skip
        else:
            uncounted = 0
            answers.append(Answer(pct_mso=step.pct_mso, response=judged.response))
        tms.wait(request.interval_s * chance.uniform(0.8, 1.2))
    tms.disarm("the threshold's pulses are over")
    return Course(step=step, answers=tuple(answers), given=given)


def _one(tms: ThresholdTms, step: Step, number: int, want: Wanted) -> Judged:
    """One pulse at the step's power, armed anew where it must be, and its answer."""
    for left in reversed(range(IN_A_ROW)):
        try:
            if tms.power_pct_mso != step.pct_mso:
                tms.set_power(step.pct_mso)
            if tms.lamp not in (Lamp.ARMED, Lamp.HELD):  # a hold ends by itself, armed as before
                tms.arm(ARMING_WORDS)
            receipt = tms.pulse()
        except Refused as no:
            if not left or tms.lamp is Lamp.TRIPPED or any(r.startswith(_FOR_GOOD) for r in no.reasons):
                raise
            tms.setting.say(f"   not yet: {'; '.join(no.reasons)}")
            tms.disarm("a pulse was refused: armed anew")
            tms.wait(1.0)
            continue
        if receipt.outcome == "fired":
            if want.emg:
                return tms.by_emg(receipt, want.emg, want.mep)
            return tms.by_a_person(f"pulse {number} at {step.pct_mso} %: did the muscle answer?")
        if receipt.outcome != "missed":
            raise SafetyStop(
                "a pulse may have been given, the run is over",
                found=str(receipt),
                todo="it counts; start a new run",
            )
    raise NotReady(
        f"{IN_A_ROW} pulses in a row were missed", expected="a pulse when it is due", found=str(receipt),
        todo="end other programs on this computer; start again",
    )  # fmt: skip


#: refusals that no waiting mends
_FOR_GOOD = (
    "dose:", "power_cap:", "rmt_cap:", "threshold_", "not_locked:", "mode_allows:", "commissioned:", "calendar:",
)  # fmt: skip


def taken(
    course: Course, want: Wanted, setting: ScriptSetting, request: ThresholdRequest, session: str, utc: str
) -> Threshold | None:
    """The value, where the method found one."""
    step = course.step
    if step.do is not Do.FOUND:
        return None
    pct_mso, low, high = whole(step.estimate_pct_mso), step.low_pct_mso, step.high_pct_mso
    return Threshold(
        participant=want.participant, pct_mso=pct_mso, estimate_pct_mso=step.estimate_pct_mso,
        low_pct_mso=None if low is None else min(low, pct_mso),  # the whole % lies in it too
        high_pct_mso=None if high is None else max(high, pct_mso), method=name_of(want.spec), told_by=want.told_by,
        criterion=want.criterion, muscle=want.muscle, made_utc=utc, mode=setting.mode, rig=want.rig, cap_on=request.cap_on,
        answers=course.answers, pulses_given=course.given, ended=step.why, software=__version__, session=session,
        settings=want.spec.settings(),
    )  # fmt: skip


def kept(tms: ThresholdTms, made: Threshold, folder: Path) -> None:
    """Into the journal, then into its file."""
    tms.tell(TAKEN, sync=True, threshold=made.data())
    write_threshold(folder / FILE_NAME, made)


def told(course: Course, made: Threshold | None, folder: Path) -> Told:
    """The result in words and as JSON, with its exit code."""
    pulses = f"{len(course.answers)} pulses counted of {course.given} given"
    data = {
        "found": made is not None,
        "why": course.step.why,
        "pulses_given": course.given,
        "folder": str(folder),
    }
    if made is None:
        return f"no threshold: {course.step.why}; {pulses}", data, 4
    file = folder / FILE_NAME
    lines = [f"threshold: {made.words()}", f"{course.step.why}; {pulses}", f"written: {file}"]
    return "\n".join(lines), data | {"file": str(file), "threshold": made.data()}, 0


def _folder(setting: ScriptSetting) -> SessionFolder:
    """The session's own folder."""
    return next(
        f for f in SessionFolder.all_in(Path(setting.data_dir)) if f.path.name.endswith(f"_{setting.run_id}")
    )
