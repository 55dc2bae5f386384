"""The trigger line and the STOP line on a port that records every edge: opening, closing, crash, unplugging, firing."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from trigger_tools import ARMED, READ, READY, STANDBY, Desk

from drivers.magstim.line import PortLock
from drivers.trigger import SETTLE_S, OutputSetting, TriggerLine
from drivers.trouble import LineTrouble, UnitProblem
from rtloop.errors import NotReady, ValidationProblem
from rtloop.model.status import Fault, UnitStatus


@pytest.fixture
def name(tmp_path: Path) -> Iterator[str]:
    port = str(tmp_path / "ttyOUT")
    yield port
    PortLock(port).path.unlink(missing_ok=True)


@pytest.fixture
def desk(name: str) -> Iterator[Desk]:
    made = Desk(name)
    yield made
    made.close()


# ---- opening


@pytest.mark.req("R-TRIGGER")
def test_the_unit_is_asked_before_the_edge_of_opening_and_after_it(desk: Desk) -> None:
    desk.trigger()
    assert desk.story == [READ, "open", "dtr up", "rts up", "dtr down", "rts down", READ]
    assert desk.port.exclusive is True or os.name == "nt"


def test_where_the_system_allows_it_opening_makes_no_edge(desk: Desk) -> None:
    desk.port.rises_on_open = False
    desk.trigger()
    assert desk.story == [READ, "open", READ]


@pytest.mark.req("R-TRIGGER")
@pytest.mark.parametrize("says", [ARMED, READY, 0x88, 0x8D])
def test_a_unit_that_does_not_rest_keeps_the_line_closed(desk: Desk, says: int) -> None:
    desk.says = [says]
    with pytest.raises(UnitProblem, match="not opened") as problem:
        desk.trigger()
    assert problem.value.fault is Fault.UNIT_UNEXPECTED
    assert desk.story == [READ]


@pytest.mark.req("R-TRIGGER")
@pytest.mark.parametrize("age_s", [1.1, math.inf, math.nan])
def test_an_old_standby_is_none(desk: Desk, age_s: float) -> None:
    desk.age_s = age_s
    with pytest.raises(UnitProblem, match="not opened"):
        desk.trigger()
    assert desk.story == [READ]


def test_a_unit_that_is_armed_after_opening_closes_the_line_again(desk: Desk) -> None:
    desk.says = [STANDBY, READY]
    with pytest.raises(UnitProblem, match="closed again"):
        desk.trigger()
    assert desk.story[-2:] == [READ, "close"]
    desk.says = [STANDBY]
    desk.trigger().close()  # and the port's name is free again


def test_a_silent_unit_is_not_taken_for_one_that_rests(desk: Desk) -> None:
    def silent() -> UnitStatus:
        raise UnitProblem(Fault.UNIT_SILENT, "no reply")

    with pytest.raises(UnitProblem, match="no reply"):
        TriggerLine.open(
            desk.setting(),
            unit_port="x",
            standby=silent,
            clock=desk.clock,
            make_port=desk.make_port,
        )
    assert desk.story == []


@pytest.mark.req("R-TRIGGER")
def test_the_units_own_port_is_refused_by_any_of_its_names(desk: Desk, tmp_path: Path) -> None:
    other = tmp_path / "link"
    other.symlink_to(desk.name)
    for unit_port in (desk.name, str(other)):
        with pytest.raises(NotReady, match="own port"):
            TriggerLine.open(
                desk.setting(), unit_port=unit_port, standby=desk.standby, clock=desk.clock,
                make_port=desk.make_port,
            )  # fmt: skip
    assert desk.story == []


def test_a_port_that_does_not_open_or_is_owned_is_not_ready(desk: Desk) -> None:
    desk.port.refuses = True
    with pytest.raises(NotReady, match="cannot open the output line"):
        desk.trigger()
    desk.port.refuses = False
    first = desk.trigger()
    with pytest.raises(NotReady, match="already owned"):
        desk.trigger()
    first.close()


def test_every_wrong_setting_is_told_at_once() -> None:
    with pytest.raises(ValidationProblem) as problem:
        OutputSetting(port="socket://x:1", by="rts", high_byte=256, low_byte=-1, baudrate=1)
    for words in ("no RTS pin", "high_byte must", "low_byte must", "baudrate must"):
        assert words in problem.value.found
    with pytest.raises(ValidationProblem, match="must differ"):
        OutputSetting(port="x", by="byte", high_byte=1, low_byte=1)
    with pytest.raises(ValidationProblem, match="by must be"):
        OutputSetting(port="x", by="dtr")  # type: ignore[arg-type]
    with pytest.raises(ValidationProblem, match="port must be"):
        OutputSetting(port="")


@pytest.mark.parametrize("width_s", [0.0, -1.0, 0.06, math.nan, math.inf])
def test_no_width_out_of_range_and_the_port_is_left_closed(desk: Desk, width_s: float) -> None:
    with pytest.raises(ValidationProblem, match="width"):
        desk.trigger(width_s=width_s)
    assert not desk.port.is_open


# ---- firing


@pytest.mark.req("R-TRIGGER")
def test_one_fire_is_one_edge_of_the_asked_width(desk: Desk) -> None:
    trigger = desk.trigger(width_s=0.002)
    mark, start_s = len(desk.story), desk.clock.now_s()
    assert trigger.fire() == start_s
    assert desk.since(mark) == ["rts up", "rts down"]
    assert desk.clock.now_s() == pytest.approx(start_s + 0.002)


def test_who_has_something_to_do_meanwhile_is_asked_to_wait(desk: Desk) -> None:
    waited: list[float] = []

    def wait(t_s: float) -> None:
        waited.append(t_s - desk.clock.now_s())
        desk.clock.sleep_until(t_s)

    desk.trigger(wait_until=wait).fire()
    assert waited == pytest.approx([SETTLE_S, 0.005])


def test_a_byte_goes_out_once_and_its_instant_counts_the_byte_itself(desk: Desk) -> None:
    trigger = desk.trigger("byte")
    mark, start_s = len(desk.story), desk.clock.now_s()
    assert trigger.fire() == pytest.approx(start_s + 10 / 115200)
    assert desk.since(mark) == ["byte 1", "byte 0"]
    assert desk.rises() == 1  # that of opening, which the unit in standby ignores


@pytest.mark.req("R-STALE")
@pytest.mark.parametrize("late_s", [0.0, 0.001, math.nan])
def test_nothing_goes_out_after_the_deadline(desk: Desk, late_s: float) -> None:
    trigger = desk.trigger()
    mark = len(desk.story)
    with pytest.raises(LineTrouble, match="deadline") as trouble:
        trigger.fire(not_after_s=desk.clock.now_s() - late_s)
    assert not trouble.value.written
    assert desk.since(mark) == []
    trigger.fire(not_after_s=desk.clock.now_s() + 0.001)  # that was no trouble of the line's


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("by", ["rts", "byte"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_port_that_fails_leaves_a_pulse_uncertain_and_is_never_tried_again(
    desk: Desk, by: str, at: int
) -> None:
    trigger = desk.trigger(by)
    desk.port.fails_at = at
    mark = len(desk.story)
    with pytest.raises(LineTrouble) as trouble:
        trigger.fire()
    assert trouble.value.written
    ups = [what for what in desk.since(mark) if what in ("rts up", "byte 1")]
    assert len(ups) == (0 if at == 1 else 1)
    assert not desk.port.pin["rts"] or by == "byte"
    assert desk.port.box == 0  # the low level was still asked for
    mark = len(desk.story)
    with pytest.raises(LineTrouble) as again:
        trigger.fire()
    assert not again.value.written
    assert desk.since(mark) == []


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("slow_s", "words"), [(0.021, "the edge took"), (0.015, "after its deadline"), (0.2, "the edge took")]
)
def test_an_edge_that_comes_late_is_uncertain(desk: Desk, slow_s: float, words: str) -> None:
    trigger = desk.trigger()
    desk.port.slow_s = slow_s
    with pytest.raises(LineTrouble, match=words) as trouble:
        trigger.fire(not_after_s=desk.clock.now_s() + 0.01 if "deadline" in words else math.inf)
    assert trouble.value.written
    assert not desk.port.pin["rts"]
    with pytest.raises(LineTrouble):
        trigger.fire()


def test_a_line_that_stays_high_too_long_is_in_trouble(desk: Desk) -> None:
    trigger = desk.trigger(width_s=0.005)
    held = [0.12]
    desk.clock.listen(lambda now_s: desk.clock.advance(held.pop()) if held and desk.port.pin["rts"] else None)
    with pytest.raises(LineTrouble, match="was high for 125 ms") as trouble:
        trigger.fire()
    assert trouble.value.written
    assert not desk.port.pin["rts"]


def test_an_interrupt_between_the_edges_lets_the_line_fall(desk: Desk) -> None:
    trigger = desk.trigger()

    def interrupt(now_s: float) -> None:
        if desk.port.pin["rts"]:
            raise KeyboardInterrupt

    desk.clock.listen(interrupt)
    with pytest.raises(KeyboardInterrupt):
        trigger.fire()
    assert not desk.port.pin["rts"]
    with pytest.raises(LineTrouble):
        trigger.fire()


# ---- closing, crash, unplugging


@pytest.mark.req("R-TRIGGER")
@pytest.mark.parametrize("by", ["rts", "byte"])
@pytest.mark.parametrize("end", ["close", "crash", "unplug"])
def test_no_end_raises_the_line(desk: Desk, by: str, end: str) -> None:
    trigger = desk.trigger(by)
    trigger.fire()
    mark = len(desk.story)
    if end == "close":
        trigger.close()
        trigger.close()
    elif end == "crash":
        desk.port.crash()
    else:
        desk.port.fails_at = 1
        trigger.close()
    assert not [what for what in desk.since(mark) if what.endswith("up") or what == "byte 1"]
    assert not desk.port.is_open
    if end != "crash":
        with pytest.raises(LineTrouble, match="closed") as trouble:
            trigger.fire()
        assert not trouble.value.written


@pytest.mark.req("R-TRIGGER")
def test_a_crash_within_a_pulse_lets_rts_fall_and_raises_nothing(desk: Desk) -> None:
    trigger = desk.trigger()
    crashed: list[int] = []

    def crash(now_s: float) -> None:
        if desk.port.pin["rts"] and not crashed:
            crashed.append(len(desk.story))
            desk.port.crash()

    desk.clock.listen(crash)
    trigger.fire()
    assert desk.since(crashed[0]) == ["close", "rts down"]


def test_a_line_held_open_by_nobody_frees_its_name(desk: Desk) -> None:
    desk.trigger().close()
    lock = PortLock(desk.name)
    lock.take()
    lock.release()


# ---- the STOP line


def _stops(desk: Desk, level: str, by: str = "rts") -> bool:
    high = desk.port.pin["rts"] if by == "rts" else desk.port.box == 1
    return high == (level == "high")


@pytest.mark.req("R-STOP")
@pytest.mark.parametrize("by", ["rts", "byte"])
@pytest.mark.parametrize("level", ["low", "high"])
def test_the_stop_line_stops_until_released_and_again_when_asked_or_closed(
    desk: Desk, level: str, by: str
) -> None:
    stop = desk.stop(by, stop_level=level)
    assert stop.stopping
    assert _stops(desk, level, by)
    stop.release()
    assert not stop.stopping
    assert not _stops(desk, level, by)
    assert stop.assert_stop()
    assert _stops(desk, level, by)
    stop.release()
    mark = len(desk.story)
    stop.close()
    shown = desk.since(mark)
    assert (
        shown[0] == ("byte 0" if level == "low" else "byte 1") if by == "byte" else shown[0].startswith("rts")
    )
    with pytest.raises(LineTrouble, match="closed"):
        stop.release()


@pytest.mark.req("R-STOP")
def test_a_dead_program_stops_where_low_stops(desk: Desk) -> None:
    stop = desk.stop()
    stop.release()
    desk.port.crash()
    assert _stops(desk, "low")
    assert stop.fails_safe


@pytest.mark.parametrize(("by", "level"), [("rts", "high"), ("byte", "low"), ("byte", "high")])
def test_what_does_not_fail_safe_says_so(desk: Desk, by: str, level: str) -> None:
    stop = desk.stop(by, stop_level=level)
    stop.release()
    desk.port.crash()
    assert not _stops(desk, level, by)
    assert not stop.fails_safe


@pytest.mark.req("R-STOP")
def test_a_stop_line_that_fails_says_so_without_raising_and_is_not_released_any_more(desk: Desk) -> None:
    stop = desk.stop()
    stop.release()
    desk.port.fails_at = 1
    assert stop.assert_stop() is False
    assert "Input/output error" in stop.trouble
    assert not stop.stopping
    assert stop.assert_stop() is True  # asked again it is written again
    with pytest.raises(LineTrouble, match="not released") as trouble:
        stop.release()
    assert not trouble.value.written
    assert _stops(desk, "low")


def test_a_stop_line_that_answers_late_is_in_trouble(desk: Desk) -> None:
    stop = desk.stop()
    desk.port.slow_s = 0.051
    assert stop.assert_stop() is False
    assert "51 ms" in stop.trouble


def test_a_release_that_fails_is_told(desk: Desk) -> None:
    stop = desk.stop()
    desk.port.fails_at = 1
    with pytest.raises(LineTrouble, match="failed"):
        stop.release()
    with pytest.raises(LineTrouble, match="not released"):
        stop.release()


def test_a_stop_line_that_cannot_be_set_is_not_opened(desk: Desk) -> None:
    opened: Callable[[], None] = desk.port.open

    def open_then_fail() -> None:
        opened()
        desk.port.fails_at = 2  # the first call is the level of opening, the second the stop

    desk.port.open = open_then_fail  # type: ignore[method-assign]
    with pytest.raises(NotReady, match="STOP line does not work"):
        desk.stop()
    assert not desk.port.is_open
    with pytest.raises(ValidationProblem, match="stop level"):
        desk.stop(stop_level="middle")
