"""What mutation testing found unproved in the taking of a unit: what is asked in which order, each refusal, what is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import watch_tools
from watch_tools import ARMED, NOTHING, READY, STANDBY, Desk, Said, desk

from drivers.magstim.magpy_port import Held, Reply
from drivers.opening import open_trigger, open_unit
from drivers.pause import pause_until
from drivers.requests import Opened, Options
from drivers.trouble import Cut, Garbled, Lost, Refused, Silent, UnitProblem
from drivers.watch import FAILED, OPEN
from rtloop.model.status import Fault, UnitStatus

WHOLE = ["identify", "control", "EA", "look", "power", "temperature"]


class Unit(Said):
    """One that can be opened: it tells a version, and is set to ``wrongs``, one a reading, then to single pulses."""

    def __init__(self, d: Desk) -> None:
        super().__init__(d.clock)
        self.version: tuple[int, ...] = ()
        self.wrongs: list[str] = []

    def identify(self) -> tuple[int, ...]:
        self._note("identify")
        return self.version

    def disarm(self) -> None:
        self.cut()

    def differs(self, reply: Reply, setting: object) -> str:
        return self.wrongs.pop(0) if self.wrongs else ""


class Bed:
    def __init__(self, made: Desk) -> None:
        self.desk, self.watch, self.clock, self.unit = made, made.watch, made.clock, Unit(made)
        made.watch.unit = self.unit  # type: ignore[assignment]
        self.waits: list[float] = []

    def wait(self, dt_s: float) -> None:
        self.waits.append(dt_s)
        self.clock.advance(dt_s)

    def open(self, **options: Any) -> Opened:
        return open_unit(self.watch, Options(**options), self.wait)

    def refused(self, **options: Any) -> UnitProblem:
        with pytest.raises(UnitProblem) as told:
            self.open(**options)
        assert self.watch.board["port_state"] == FAILED
        return told.value


@pytest.fixture
def b(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bed]:
    with desk(tmp_path, model=getattr(request, "param", "200"), opened=False) as made:
        yield Bed(made)


a_rapid = pytest.mark.parametrize("b", ["rapid"], indirect=True)
a_bistim = pytest.mark.parametrize("b", ["bistim"], indirect=True)


@pytest.mark.parametrize(("found", "armed"), [(STANDBY, False), (ARMED, True), (READY, True)])
def test_what_is_asked_in_which_order_and_what_was_found(b: Bed, found: int, armed: bool) -> None:
    b.unit.instr, b.unit.power_pct_mso = found, 37
    opened = b.open()
    assert b.unit.names == WHOLE
    assert (opened.found_armed, opened.found_power_pct_mso, opened.found_setting) == (armed, 37, "")
    assert opened.software == ()
    assert opened.status == b.watch.status
    assert (opened.status.standby, opened.status.power_pct_mso, opened.status.coil_temp_c) == (True, 37, 22.5)
    assert opened.status.t_s == b.clock.now_s()
    assert (b.watch.setting, b.watch.setting_known) == (None, True)
    assert b.watch.board["port_state"] == OPEN
    assert b.waits == []


def test_a_power_of_zero_is_found_as_zero(b: Bed) -> None:
    b.unit.power_pct_mso = 0
    assert b.open().found_power_pct_mso == 0


# ---- the right unit


def test_wrong_options_are_refused_before_a_byte(b: Bed) -> None:
    assert "neither unlock code nor a version" in str(b.refused(unlock_code="1"))
    assert b.unit.names == []


@a_rapid
@pytest.mark.parametrize(
    ("version", "code", "least", "words"),
    [
        ((9, 0), "1-2", (9, 0), ()), ((9, 0), "1-2", (9, 0, 1), ("at least 9.0.1",)), ((9, 0, 1), "1-2", (9, 0), ()),
        ((9,), "1-2", (), ()), ((9,), "", (), ("needs its unlock code",)), ((10, 1), "", (), ("needs its unlock code",)),
        ((8, 9), "", (), ()), ((8, 9), "1-2", (), ("below 9 does not take",)), ((9,), "1-2", (10,), ("at least 10",)),
        ((8, 9), "", (8, 9), ()), ((8, 8), "", (8, 9), ("at least 8.9",)),
        ((5, 0), "1-2", (7,), ("at least 7", "below 9 does not take")),
    ],
)  # fmt: skip
def test_the_version_must_be_the_one_of_the_site(
    b: Bed, version: tuple[int, ...], code: str, least: tuple[int, ...], words: tuple[str, ...]
) -> None:
    b.unit.version = version
    options = {"unlock_code": code, "software_at_least": least}
    if not words:
        assert b.open(**options).software == version
        assert b.watch.facts.software == version  # by which trains are refused
        return
    problem = b.refused(**options)
    assert problem.fault is Fault.UNIT_UNEXPECTED
    assert problem.expected.count(";") == len(words) - 1
    for word in words:
        assert word in problem.expected
    assert ".".join(map(str, version)) in problem.found
    assert b.unit.names == ["identify"]


# ---- what does not answer as it should


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("identify", "does not tell its software version"), ("control", "does not give control"),
        ("EA", "does not answer as it should"), ("look", "does not answer as it should"),
        ("power", "does not answer as it should"), ("temperature", "does not answer as it should"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [Silent, Lost, Garbled, Refused])
def test_trouble_on_the_line_is_told_with_its_fault_and_where(
    b: Bed, at: str, words: str, kind: type[Silent]
) -> None:
    b.unit.fails[at] = [kind("what happened", written=True)]
    problem = b.refused()
    assert (problem.fault, problem.found) == (kind.fault, "what happened")
    assert words in problem.what
    assert problem.expected == "a Magstim 200"
    assert "the cable, and the model" in problem.todo
    assert b.unit.names == WHOLE[: WHOLE.index(at) + 1]
    assert (b.watch.status is None) == (at in ("identify", "control"))  # whether closing asks and releases


@a_rapid
@pytest.mark.parametrize(("code", "todo"), [("1-2", "check the unlock code"), ("", "the cable")])
def test_no_control_may_be_a_wrong_code_where_there_is_one(b: Bed, code: str, todo: str) -> None:
    b.unit.version = (9,) if code else (7, 1)
    b.unit.fails["control"] = [Silent("nothing", written=True)]
    assert todo in b.refused(unlock_code=code).todo


@pytest.mark.req("R-DISARM")
@pytest.mark.parametrize("at", WHOLE)
@pytest.mark.parametrize("stop", [False, True])
def test_an_opening_that_is_cut_short_says_why(b: Bed, at: str, stop: bool) -> None:
    b.unit.fails[at] = [Cut("cut", written=True)]
    if stop:
        b.unit.doing["control"] = b.unit.doing["look"] = b.watch.board.ask_stop
        b.watch.board.ask_stop()
    problem = b.refused()
    words = "STOP was asked" if stop else "the opening was cut short"
    assert (problem.fault, words in str(problem)) == (Fault.STOP if stop else Fault.UNIT_UNEXPECTED, True)
    assert problem.found == ("" if stop else "disarm was asked")
    assert b.watch.confirm_tries > 0
    assert b.unit.names == WHOLE[: WHOLE.index(at) + 1]


# ---- standby and single pulses


@pytest.mark.parametrize(
    ("instr", "rests"), [(STANDBY, True), (0x8B, False), (ARMED, False), (READY, False), (NOTHING, False)]
)
def test_a_unit_that_does_not_rest_after_ea_is_not_opened(b: Bed, instr: int, rests: bool) -> None:
    b.unit.instr, b.unit.obeys = instr, False
    if rests:
        b.open()
        return
    problem = b.refused()
    assert (problem.fault, problem.what) == (Fault.UNIT_UNEXPECTED, "the unit does not go to standby")
    assert problem.found == str(b.watch.status)
    assert b.unit.names == WHOLE
    assert b.watch.board["port_state"] != OPEN


@a_bistim
@pytest.mark.parametrize(
    ("power_b", "waits"), [(None, []), (0, []), (1, [0.1]), (20, [2.0]), (25, [2.0, 0.5]), (60, [2.0, 2.0, 2.0])]
)  # fmt: skip
def test_power_b_falls_while_the_unit_is_kept_alive_before_it_is_read_back(
    b: Bed, monkeypatch: pytest.MonkeyPatch, power_b: int | None, waits: list[float]
) -> None:
    monkeypatch.setattr(watch_tools, "REPLY_S", 0.0)
    b.unit.held = None if power_b is None else Held(power_b_pct_mso=power_b, interval_ms=2.5)
    b.unit.wrongs = ["a pair"]
    opened = b.open()
    assert opened.found_setting == "a pair"
    assert b.waits == pytest.approx(waits, abs=1e-6)
    assert b.unit.names == [*WHOLE[:5], "set None", *["look"] * len(waits), "power", "temperature"]
    assert b.watch.setting_known


@a_bistim
def test_the_wait_for_power_b_counts_from_its_setting(b: Bed) -> None:
    b.unit.held, b.unit.wrongs = Held(power_b_pct_mso=60), ["a pair"]
    b.open()
    assert b.waits == pytest.approx([2.0, 2.0, 2.0 - 2 * watch_tools.REPLY_S])


@a_bistim
def test_a_unit_that_another_arms_while_power_b_falls_is_not_opened(b: Bed) -> None:
    b.unit.held, b.unit.wrongs = Held(power_b_pct_mso=60), ["a pair"]
    whole = b.wait

    def wait(dt_s: float) -> None:
        whole(dt_s)
        if len(b.waits) == 2:
            b.unit.instr = ARMED

    b.wait = wait  # type: ignore[method-assign]
    assert "does not go to standby" in str(b.refused())
    assert len(b.waits) == 2


def test_a_unit_that_cannot_be_set_to_single_pulses_is_not_opened(b: Bed) -> None:
    b.unit.wrongs = ["train mode", "still train mode"]
    problem = b.refused()
    assert (problem.fault, problem.found) == (Fault.UNIT_UNEXPECTED, "still train mode")
    assert problem.what == "the unit cannot be set to single pulses"
    assert "front panel" in problem.todo
    assert not b.watch.setting_known


# ---- beside the trigger line


def test_the_trigger_line_asks_the_unit_and_lets_time_pass(b: Bed) -> None:
    b.open()
    mark, line = len(b.unit.names), object()

    def make(standby: Any, until: Any) -> Any:
        status = standby()
        assert isinstance(status, UnitStatus)
        until(b.clock.now_s() + 0.05)
        return line

    before_s = b.clock.now_s()
    assert open_trigger(b.watch, make) is line
    assert b.unit.names[mark:] == ["look"]
    assert b.clock.now_s() - before_s == pytest.approx(watch_tools.REPLY_S + 0.05)


@pytest.mark.parametrize("kind", [Silent, Lost, Garbled, Refused])
def test_a_unit_in_trouble_beside_its_trigger_line_is_told(b: Bed, kind: type[Silent]) -> None:
    b.open()
    b.unit.fails["look"] = [kind("what happened", written=True)]
    with pytest.raises(UnitProblem, match="does not say that it rests") as told:
        open_trigger(b.watch, lambda standby, _: standby())  # type: ignore[arg-type, return-value]
    assert (told.value.fault, told.value.found) == (kind.fault, "what happened")
    assert told.value.expected == "a Magstim 200"


@pytest.mark.req("R-DISARM")
def test_a_disarm_beside_the_trigger_line_ends_the_opening_in_words(b: Bed) -> None:
    b.open()
    b.unit.fails["look"] = [Cut("cut", written=True)]
    with pytest.raises(UnitProblem, match="the opening was cut short") as told:
        open_trigger(b.watch, lambda standby, _: standby())  # type: ignore[arg-type, return-value]
    assert told.value.fault is Fault.UNIT_UNEXPECTED
    assert b.watch.confirm_tries > 0


# ---- the pause


@pytest.mark.req("R-DISARM")
def test_a_pause_is_polled_each_2_ms_sends_one_ea_and_lasts_its_time(b: Bed) -> None:
    b.open()
    start_s, polls, asked = b.clock.now_s(), [], []
    b.watch.urgent = lambda: polls.append(b.clock.now_s() - start_s) or bool(asked)  # type: ignore[func-returns-value, method-assign]
    mark = len(b.unit.names)
    pause_until(b.watch, start_s)
    pause_until(b.watch, start_s - 1.0)
    assert polls == []
    pause_until(b.watch, start_s + 0.009)
    assert polls == pytest.approx([0.0, 0.002, 0.004, 0.006, 0.008])
    assert b.clock.now_s() == start_s + 0.009
    assert b.unit.names[mark:] == []
    asked.append(True)
    pause_until(b.watch, start_s + 0.019)
    assert b.unit.names[mark:] == ["EA"]
    assert b.unit.log[-1][1] == start_s + 0.009
    assert b.clock.now_s() == start_s + 0.019
    assert b.watch.trip is None  # left to the next exchange


def test_a_line_that_fails_under_a_pause_is_lost(b: Bed) -> None:
    b.open()
    b.watch.urgent = lambda: True  # type: ignore[method-assign]
    b.unit.fails["EA"] = [Lost("gone", written=True)]
    with pytest.raises(Lost):
        pause_until(b.watch, b.clock.now_s() + 0.02)
