"""What mutation testing found unproved at the output lines: each bound from both sides, how the port is set, what is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from trigger_tools import Desk, FakePort, output_desk

from drivers import trigger as module
from drivers.magstim.line import PortLock
from drivers.trigger import OutputLine, OutputSetting, TriggerLine, closed_port
from drivers.trouble import LineTrouble, Lost, UnitProblem
from rtloop.clock import SteppedClock
from rtloop.errors import NotReady, ValidationProblem


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with output_desk(tmp_path) as made:
        yield made


# ---- settings


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"port": 5}, "port must be the name"),
        ({"high_byte": True}, "high_byte must"),
        ({"high_byte": 256}, "high_byte must"),
        ({"low_byte": -1}, "low_byte must"),
        ({"low_byte": 1.0, "high_byte": 2}, "low_byte must"),
        ({"baudrate": 9599}, "baudrate must"),
        ({"baudrate": 4_000_001}, "baudrate must"),
        ({"baudrate": 9600.0}, "baudrate must"),
    ],
)
def test_a_setting_is_refused_with_the_one_thing_that_is_wrong(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationProblem) as problem:
        OutputSetting(**{"port": "x", "by": "byte"} | fields)
    assert words in problem.value.found
    assert ";" not in problem.value.found


@pytest.mark.parametrize(
    "fields",
    [
        {"high_byte": 255},
        {"high_byte": 0, "low_byte": 255},
        {"baudrate": 9600},
        {"baudrate": 4_000_000},
        {"port": "socket://box:1"},
    ],
)
def test_the_ends_of_each_range_are_settings(fields: dict[str, Any]) -> None:
    made = OutputSetting(**{"port": "x", "by": "byte"} | fields)
    assert {name: getattr(made, name) for name in fields} == fields


def test_a_box_is_spoken_to_at_115200_baud_unless_told_otherwise() -> None:
    assert OutputSetting(port="x").baudrate == 115200


# ---- the port


def test_a_port_is_made_closed_so_that_its_lines_can_be_set_low_first() -> None:
    port = closed_port("loop://")
    assert port.is_open is False
    port.dtr = port.rts = False


def _opened(desk: Desk, **fields: Any) -> OutputLine:
    setting = OutputSetting(**{"port": desk.name} | fields)
    made = OutputLine(setting, make_port=lambda _: desk.port)
    desk.made.append(made)  # type: ignore[arg-type]
    return made


def test_the_port_is_set_as_asked_and_never_makes_anyone_wait(desk: Desk) -> None:
    made = _opened(desk, by="byte", baudrate=19200)
    assert (desk.port.baudrate, desk.port.timeout, desk.port.write_timeout) == (19200, 0, 0.02)
    assert made.wire_s == pytest.approx(10 / 19200)


@pytest.mark.parametrize(
    ("platform", "name", "exclusive"),
    [("linux", "/dev/none-a", True), ("linux", "socket://none:1", None), ("win32", "COM77", None)],
)
def test_a_port_is_opened_exclusively_where_that_is_known(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, platform: str, name: str, exclusive: bool | None
) -> None:
    monkeypatch.setattr(module, "sys", SimpleNamespace(platform=platform))
    try:
        _opened(desk, port=name, by="byte").close()
        assert desk.port.exclusive is exclusive
    finally:
        PortLock(name).path.unlink(missing_ok=True)


@pytest.mark.parametrize(("by", "expected"), [("rts", "with RTS"), ("byte", "output box")])
def test_what_was_expected_of_the_port_is_told(desk: Desk, by: str, expected: str) -> None:
    desk.port.refuses = True
    with pytest.raises(NotReady) as problem:
        _opened(desk, by=by)
    assert expected in problem.value.expected


def test_an_interrupt_while_opening_leaves_nothing_open_and_the_name_free(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Callable[[], None] = desk.port.open

    def interrupted() -> None:
        opened()
        raise KeyboardInterrupt

    monkeypatch.setattr(desk.port, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _opened(desk)
    assert not desk.port.is_open
    lock = PortLock(desk.name)
    lock.take()
    lock.release()


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize("n_written", [0, 2])
def test_a_byte_that_was_not_written_once_is_no_level(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, n_written: int
) -> None:
    line = _opened(desk, by="byte")
    monkeypatch.setattr(desk.port, "write", lambda _: n_written)
    with pytest.raises(Lost, match=f"{n_written} bytes written") as trouble:
        line.set(True)
    assert trouble.value.written


@pytest.mark.parametrize("n_written", [1, None])
def test_a_port_that_does_not_count_what_it_writes_is_believed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, n_written: int | None
) -> None:
    line = _opened(desk, by="byte")
    monkeypatch.setattr(desk.port, "write", lambda _: n_written)
    line.set(True)  # raises nothing


# ---- the trigger


@pytest.mark.parametrize(
    ("width_s", "fits"), [(0.0005, True), (0.00049, False), (0.05, True), (0.0501, False)]
)
def test_the_ends_of_the_range_of_widths(desk: Desk, width_s: float, fits: bool) -> None:
    if fits:
        desk.trigger(width_s=width_s)
    else:
        with pytest.raises(ValidationProblem, match="width"):
            desk.trigger(width_s=width_s)


def test_the_line_is_high_for_5_ms_unless_told_otherwise(desk: Desk) -> None:
    trigger = desk.trigger()
    start_s = desk.clock.now_s()
    trigger.fire()
    assert desk.clock.now_s() - start_s == pytest.approx(0.005, rel=1e-6)


@pytest.mark.req("R-TRIGGER")
def test_the_unit_is_asked_again_50_ms_after_opening(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_s, status = [], desk.standby

    def asked() -> Any:
        asked_s.append(desk.clock.now_s())
        return status()

    monkeypatch.setattr(desk, "standby", asked)
    desk.trigger()
    assert asked_s[1] - asked_s[0] == pytest.approx(0.05)


@pytest.mark.req("R-TRIGGER")
@pytest.mark.parametrize(("age_s", "opens"), [(1.0, True), (1.001, False)])
def test_standby_may_be_a_second_old(desk: Desk, age_s: float, opens: bool) -> None:
    desk.age_s = age_s
    if opens:
        desk.trigger()
    else:
        with pytest.raises(UnitProblem):
            desk.trigger()


class Slow(FakePort):
    """Takes ``up_s`` to rise and ``down_s`` to fall."""

    up_s = down_s = 0.0

    def _touch(self) -> None:
        self.clock.advance(self.up_s if self._wanted["rts"] else self.down_s)


@pytest.fixture
def slow(desk: Desk) -> Iterator[tuple[TriggerLine, Slow]]:
    """At instant 0, so that what the bounds compare are the very numbers."""
    clock = SteppedClock(0.0)
    port = Slow([], clock)
    line = TriggerLine(
        OutputLine(OutputSetting(port=desk.name), make_port=lambda _: port), clock, width_s=0.05
    )
    yield line, port
    port.down_s = 0.0
    line.close()


@pytest.mark.req("R-UNCERTAIN")
@pytest.mark.parametrize(
    ("up_s", "down_s", "not_after_s", "words"),
    [
        (0.02, 0.0, 1.0, ""),
        (0.0201, 0.0, 1.0, "the edge took 20.1 ms"),
        (0.01, 0.0, 0.01, ""),
        (0.0101, 0.0, 0.01, "up to 0.1 ms after its deadline"),
        (0.0, 0.05, 1.0, ""),
        (0.0, 0.0501, 1.0, "was high for 100 ms"),
    ],
)
def test_each_bound_of_an_edge_from_both_sides(
    slow: tuple[TriggerLine, Slow], up_s: float, down_s: float, not_after_s: float, words: str
) -> None:
    line, port = slow
    port.up_s, port.down_s = up_s, down_s
    if not words:
        assert line.fire(not_after_s=not_after_s) == up_s
        assert line.trouble == ""
        return
    with pytest.raises(LineTrouble, match=words) as trouble:
        line.fire(not_after_s=not_after_s)
    assert trouble.value.written
    assert words in line.trouble


def test_the_instant_told_is_the_latest_at_which_a_byte_can_have_left(desk: Desk) -> None:
    trigger = TriggerLine(_opened(desk, by="byte", baudrate=9600), SteppedClock(0.0), width_s=0.005)
    assert trigger.fire() == 10 / 9600


def test_what_went_wrong_is_told_in_its_own_words_and_again_to_whoever_asks_on(desk: Desk) -> None:
    trigger = desk.trigger()
    desk.port.fails_at = 1
    with pytest.raises(LineTrouble) as trouble:
        trigger.fire()
    assert trigger.trouble == str(trouble.value)
    with pytest.raises(LineTrouble, match=r"no trigger: the output line .* failed"):
        trigger.fire()


def test_an_interrupt_has_no_words_and_still_is_trouble(desk: Desk) -> None:
    trigger = desk.trigger()

    def interrupt(now_s: float) -> None:
        if desk.port.pin["rts"]:
            raise KeyboardInterrupt

    desk.clock.listen(interrupt)
    with pytest.raises(KeyboardInterrupt):
        trigger.fire()
    assert "KeyboardInterrupt" in trigger.trouble


@pytest.mark.req("R-TRIGGER")
def test_a_box_left_high_is_told_to_go_low_before_its_port_is_closed(desk: Desk) -> None:
    trigger = desk.trigger("byte")
    desk.port.box = 1  # as after a low byte that was lost
    mark = len(desk.story)
    trigger.close()
    assert desk.port.box == 0
    assert desk.since(mark)[:2] == ["byte 0", "close"]
