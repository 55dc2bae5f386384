"""Owns the taking of a unit: who it is, standby, single pulses, all read back; owns nothing that comes after.

STOP, the end of this process and a dead engine are heard in all of it: ``EA`` at the next poll, and the opening is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from drivers.magstim.units import UnitFacts
from drivers.outputs import Trigger
from drivers.pause import pause_until
from drivers.reading import firmware_of
from drivers.refusals import wrong_options
from drivers.requests import Opened, Options
from drivers.trouble import Cut, LineTrouble, UnitProblem
from drivers.watch import FAILED, UnitWatch
from rtloop.model.status import Fault, UnitStatus

#: opens a trigger line: what asks the unit itself, and what lets time pass until an instant
MakeTrigger = Callable[[Callable[[], UnitStatus], Callable[[float], None]], Trigger]


def open_unit(watch: UnitWatch, options: Options, wait: Callable[[float], None]) -> Opened:
    """Version and its consistency, control, EA, standby, power, temperature, single pulses; UnitProblem otherwise.

    A unit that is not the one of the site file is sent the question for its version, or for control where it has
    none to tell, and by ``UnitWatch.shut`` one EA, for it may be armed: nothing else, and no unlock code a second
    time. ``wait`` lets seconds pass.
    """
    try:
        return _open(watch, options, wait)
    except Cut as err:
        watch.board["port_state"] = FAILED
        raise _cut_short(watch) from err
    except BaseException:
        watch.board["port_state"] = FAILED
        raise


def _open(watch: UnitWatch, options: Options, wait: Callable[[float], None]) -> Opened:
    facts, unit = watch.facts, watch.unit
    wrong_options(facts.model, options)
    try:
        software = unit.identify()
    except Cut:
        raise
    except LineTrouble as err:
        raise _unanswered(err, facts, "the unit does not tell its software version") from err
    _right_software(options, software)
    watch.facts = replace(facts, software=software)
    try:
        first = unit.take_control()
    except Cut:
        raise
    except LineTrouble as err:
        todo = "check the unlock code in the site file" if options.unlock_code else ""
        raise _unanswered(err, facts, "the unit does not give control", todo) from err
    try:
        # it gave control: from here on closing confirms and releases
        watch.status = found = watch.as_status(first)
        unit.disarm()
        watch.look()
        power, setting = _single_pulses(watch, wait)
        watch.read_temperature()
    except Cut:
        raise
    except LineTrouble as err:
        raise _unanswered(err, facts, "the unit does not answer as it should") from err
    _must_rest(watch.status)
    watch.opened()
    return Opened(
        status=watch.status, found_armed=found.may_discharge, found_power_pct_mso=power, software=software,
        found_setting=setting,
    )  # fmt: skip


def _right_software(options: Options, software: tuple[int, ...]) -> None:
    """UnitProblem with everything in which the version contradicts the site file, which says nothing of a unit without one."""
    wrong = []
    if not software >= options.software_at_least:
        wrong.append(f"the site file says at least {firmware_of(options.software_at_least)}")
    from_9 = software >= (9,)
    if from_9 and not options.unlock_code:
        wrong.append("from software 9 the unit needs its unlock code")
    if not from_9 and options.unlock_code:
        wrong.append("an unlock code is given, which software below 9 does not take")
    if wrong:
        raise UnitProblem(
            Fault.UNIT_UNEXPECTED, "the unit is not the one of the site file", expected="; ".join(wrong),
            found=f"software {firmware_of(software)}", todo="correct the unit in the site file",
        )  # fmt: skip


def _single_pulses(watch: UnitWatch, wait: Callable[[float], None]) -> tuple[int, str]:
    """Power as found, and the setting as found in words ("" for single pulses); set to single pulses, read back."""
    before = watch.read_all()
    found = watch.unit.differs(before, None)
    if found:
        watch.unit.set_setting(None)
        power_b = before.held.power_b_pct_mso if before.held is not None else 0
        _ramp(watch, watch.facts.ramp_s(power_b, 0), wait)
        if still := watch.unit.differs(watch.read_all(), None):
            raise UnitProblem(
                Fault.UNIT_UNEXPECTED, "the unit cannot be set to single pulses", found=still,
                expected="single pulses, read back",
                todo="set it at its front panel, or correct the model in the site file",
            )  # fmt: skip
    watch.setting, watch.setting_known = None, True
    assert before.power_pct_mso is not None  # read_all refuses it
    return before.power_pct_mso, found


def _ramp(watch: UnitWatch, ramp_s: float, wait: Callable[[float], None]) -> None:
    """Let the power fall; a unit that somebody arms meanwhile is found as soon as in any standby."""
    end_s = watch.clock.now_s() + ramp_s
    while (left_s := end_s - watch.clock.now_s()) > 0:
        wait(min(watch.facts.keep_standby_s, left_s))
        _must_rest(watch.look())


def _must_rest(status: UnitStatus) -> None:
    if not status.standby or status.may_discharge:
        raise UnitProblem(
            Fault.UNIT_UNEXPECTED, "the unit does not go to standby", expected="standby after EA",
            found=str(status), todo="switch the unit off",
        )  # fmt: skip


def open_trigger(watch: UnitWatch, make: MakeTrigger) -> Trigger:
    """The trigger line, opened beside the unit that rests; NotReady where unit or port do not let it."""
    try:
        return make(watch.look, lambda t_s: pause_until(watch, t_s))
    except Cut as err:
        raise _cut_short(watch) from err
    except LineTrouble as err:
        raise _unanswered(err, watch.facts, "the unit does not say that it rests") from err


def _cut_short(watch: UnitWatch) -> UnitProblem:
    """EA is on the line: why, for whoever opens."""
    watch.after_ea()
    if watch.trip is not None:
        return watch.trip.problem()
    return UnitProblem(Fault.UNIT_UNEXPECTED, "the opening was cut short", found="disarm was asked")


def _unanswered(err: LineTrouble, facts: UnitFacts, what: str, todo: str = "") -> UnitProblem:
    return UnitProblem(
        err.fault, what, expected=f"a Magstim {facts.model}", found=str(err),
        todo=todo or "check that the unit is on, the cable, and the model in the site file",
    )  # fmt: skip
