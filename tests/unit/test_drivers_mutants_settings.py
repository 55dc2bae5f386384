"""What mutation testing found unproved in what the driver refuses, sets and reads beside its watch."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from watch_tools import ARMED, READY, STANDBY, Desk, desk

from drivers.magstim.magpy_port import Held
from drivers.magstim.units import UNITS, facts_of
from drivers.reading import firmware_of, publish, status_on, wrong_with
from drivers.refusals import refuse_due, refuse_pair, refuse_power, refuse_train, wrong_options
from drivers.requests import Options
from drivers.settings import set_setting
from drivers.trigger import OutputSetting
from drivers.trouble import Refused, UnitProblem
from rtloop.board import Board
from rtloop.model.pulse import Pair, Train
from rtloop.model.status import Fault, UnitStatus

TRAIN = Train(frequency_hz=10, n_pulses=20)
ODD = Train(frequency_hz=50.5, n_pulses=7000)
PAIR = Pair(power_b_pct_mso=35, interval_ms=3)


# ---- what is read from the board


@pytest.mark.parametrize(
    ("instr", "power", "temp_mc", "t_s", "power_pct_mso", "temp_c"),
    [
        (0x89, 40, 22500, 2.5, 40, 22.5), (0, 0, 0, 2.5, 0, 0.0), (1, 1, 1, 2.5, 1, 0.001),
        (-1, -1, -1, -math.inf, None, None), (0x89, -1, -1, 2.5, None, None),
    ],
)  # fmt: skip
def test_what_the_board_says_of_the_unit(
    tmp_path: Path, instr: int, power: int, temp_mc: int, t_s: float, power_pct_mso: int | None,
    temp_c: float | None,
) -> None:  # fmt: skip
    with Board.create(tmp_path / "board") as board:
        board["unit_instr"], board["unit_power"], board["unit_temp_mc"] = instr, power, temp_mc
        board["unit_t"] = 2_500_000_000
        found = status_on(board)
    assert found == UnitStatus.from_instr(
        0 if instr < 0 else instr, t_s=t_s, power_pct_mso=power_pct_mso, coil_temp_c=temp_c
    )
    if instr < 0:
        assert not any((found.standby, found.may_discharge, found.remote))  # nothing is known of it
        assert not found.age_s(1e9) < 1.0


@pytest.mark.parametrize(
    ("power", "temp_c", "slots"), [(40, 22.5, (40, 22500)), (None, None, (-1, -1)), (0, 0.0, (0, 0))]
)
def test_what_is_published_is_what_is_read(
    tmp_path: Path, power: int | None, temp_c: float | None, slots: tuple[int, int]
) -> None:
    said = UnitStatus.from_instr(0x89, t_s=2.5, power_pct_mso=power, coil_temp_c=temp_c)
    with Board.create(tmp_path / "board") as board:
        board["unit_power"] = board["unit_temp_mc"] = 77
        publish(board, 0x89, said)
        assert (board["unit_instr"], board["unit_t"]) == (0x89, 2_500_000_000)
        assert (board["unit_power"], board["unit_temp_mc"]) == slots
        assert status_on(board) == said


def test_a_version_in_words() -> None:
    assert firmware_of((9, 0, 1)) == "9.0.1"
    assert firmware_of((0,)) == "0"
    assert firmware_of(()) == "not reported by this model"


WELL = 0x88  # coil, remote control
WRONG = {
    0x08: "no coil",
    0x10: "the coil must be replaced",
    0x20: "an error",
    0x40: "an error",
    0x80: "remote control is lost",
}


@pytest.mark.parametrize("flipped", range(32))
def test_everything_that_forbids_a_pulse_is_said_and_nothing_else(flipped: int) -> None:
    bits = flipped << 3
    expected = dict.fromkeys(words for bit, words in WRONG.items() if bits & bit)
    for state in (0x01, 0x02, 0x04, 0x00):
        status = UnitStatus.from_instr((WELL ^ bits) | state, t_s=0.0)
        assert wrong_with(status) == ", ".join(expected)


# ---- what no unit of the model can give


def said(call: Any, *args: Any) -> str:
    """All reasons in words; "" when it is taken."""
    problem: UnitProblem | None = None
    try:
        assert call(*args) is None
    except UnitProblem as err:
        problem = err
    if problem is None:
        return ""
    assert problem.fault is Fault.UNIT_UNEXPECTED
    assert problem.todo
    return problem.found or "?"


@pytest.mark.parametrize(
    ("model", "power", "train", "words"),
    [
        ("rapid", 40, None, []), ("200", None, None, []), ("200", 40, None, []),
        ("rapid", 40, TRAIN, []), ("rapid", None, TRAIN, []), ("rapid", 1, TRAIN, []),
        ("rapid", 0, TRAIN, ["no power for a train: 0"]),
        ("rapid", 101, TRAIN, ["no power for a train: 101"]),
        ("rapid", 100, Train(frequency_hz=30, n_pulses=30), ["Hz on this unit"]),
        ("rapid", None, Train(frequency_hz=30, n_pulses=30), []),  # asked again once the power is known
        ("rapid", 100, ODD, ["whole numbers", "at most 6000", "Hz on this unit", "a minute", "0.1 s"]),
        ("rapid", None, ODD, ["whole numbers", "at most 6000", "0.1 s"]),
        ("rapid", None, "10 Hz", ["no train, but str"]),
        ("rapid", 40, False, ["no train, but bool"]),
        ("rapid", 40, 0, ["no train, but int"]),
        ("200", None, TRAIN, ["gives no trains"]), ("bistim", 40, TRAIN, ["gives no trains"]),
    ],
)  # fmt: skip
def test_all_reasons_against_a_train_at_once(
    model: str, power: int | None, train: Any, words: list[str]
) -> None:
    found = said(refuse_train, facts_of(model), power, train)
    assert bool(found) is bool(words)
    for each in words:
        assert each in found
    assert "no power for a train" not in found or power is not None


def test_a_train_refused_where_the_power_is_unknown_is_refused_at_every_power() -> None:
    facts = facts_of("rapid")
    for train in (ODD, TRAIN, Train(frequency_hz=100, n_pulses=6000), Train(frequency_hz=100, n_pulses=10)):
        if said(refuse_train, facts, None, train):
            assert all(said(refuse_train, facts, power, train) for power in range(101))


@pytest.mark.parametrize(
    ("model", "pair", "words"),
    [
        ("bistim", PAIR, ""), ("bistim", None, ""), ("200", None, ""), ("rapid", None, ""),
        ("bistim", "2 ms", "no pair, but str"), ("bistim", False, "no pair, but bool"),
        ("200", PAIR, "gives no pairs"), ("rapid", PAIR, "gives no pairs"),
    ],
)  # fmt: skip
def test_a_pair_that_the_model_does_not_give(model: str, pair: Any, words: str) -> None:
    found = said(refuse_pair, facts_of(model), pair)
    assert words in found
    assert bool(found) is bool(words)


CODE = "single bytes"
VERSION = "whole numbers"
NEITHER = "neither unlock code nor a version"


@pytest.mark.parametrize(
    ("code", "least", "on_rapid", "on_200"),
    [
        ("", (), [], []),
        ("1234-5678", (), [], [NEITHER]),
        (" \xff", (9, 0), [], [NEITHER]),
        ("\x1f", (), [CODE], [CODE, NEITHER]),
        ("a\u0100", (), [CODE], [CODE, NEITHER]),
        (None, (), [CODE], [CODE]),
        (b"1234", (), [CODE], [CODE, NEITHER]),
        (0, (), [CODE], [CODE]),
        ("", (0,), [], [NEITHER]),
        ("", (7, 1), [], [NEITHER]),
        ("", (-1,), [VERSION], [VERSION, NEITHER]),
        ("", (7, -1), [VERSION], [VERSION, NEITHER]),
        ("", (True,), [VERSION], [VERSION, NEITHER]),
        ("", (7.0,), [VERSION], [VERSION, NEITHER]),
        ("", (math.nan,), [VERSION], [VERSION, NEITHER]),
        ("", [7], [VERSION], [VERSION, NEITHER]),
        ("", "7", [VERSION], [VERSION, NEITHER]),
        ("", None, [VERSION], [VERSION]),
        ("\n", "7", [CODE, VERSION], [CODE, VERSION, NEITHER]),
    ],
)
def test_all_that_is_wrong_with_the_options_at_once(
    code: Any, least: Any, on_rapid: list[str], on_200: list[str]
) -> None:
    options = Options(unlock_code=code, software_at_least=least)
    for model in UNITS:
        expected = on_rapid if facts_of(model).kind == "rapid" else on_200
        found = said(wrong_options, model, options)
        assert [words for words in (CODE, VERSION, NEITHER) if words in found] == expected, model
        assert bool(found) is bool(expected)


LINE = OutputSetting(port="/dev/ttyUSB7", by="byte")
OF_EACH: list[tuple[dict[str, Any], str]] = [
    ({"model": "4000"}, "no driver for the unit model '4000'"),
    ({"model": None}, "no driver for the unit model None"),
    ({"model": ["rapid"]}, "no driver for the unit model ['rapid']"),
    ({"supply_v": 230}, "a supply of 230 V"),
    ({"supply_v": "240"}, "a supply of '240' V"),
    ({"supply_v": True}, "a supply of True V"),
    ({"supply_v": 240.0}, "a supply of 240.0 V"),
    ({"stops_running_train": "no"}, "True or False, not 'no'"),
    ({"stops_running_train": 1}, "True or False, not 1"),
    ({"unlock_code": 3}, CODE),
    ({"software_at_least": 7}, VERSION),
    ({"trigger": "/dev/ttyUSB1"}, "the trigger line is an OutputSetting, not '/dev/ttyUSB1'"),
    ({"stop_line": 1}, "the STOP line is an OutputSetting, not 1"),
    ({"stop_level": "off"}, 'is "low" or "high", not \'off\''),
    ({"stop_level": None}, 'is "low" or "high", not None'),
    ({"transcript": "bytes.jsonl"}, "the transcript is a path"),
    ({"port": 5}, "the unit's port is the name of a serial port, not 5"),
    ({"port": ""}, "the unit's port is the name of a serial port, not ''"),
    ({"port": LINE.port, "trigger": LINE}, "the trigger line /dev/ttyUSB7 is the port of the unit"),
    ({"port": LINE.port, "stop_line": LINE}, "the STOP line /dev/ttyUSB7 is the port of the unit"),
    ({"trigger": LINE, "stop_line": LINE}, "the STOP line /dev/ttyUSB7 is the port of the trigger line"),
    (
        {"port": "socket://localhost:9", "trigger": OutputSetting(port="socket://127.0.0.1:9", by="byte")},
        "the trigger line socket://127.0.0.1:9 is the port of the unit",
    ),
]


def of_options(*, model: Any = "rapid", port: Any = "/dev/ttyUSB0", **options: Any) -> str:
    return said(partial(wrong_options, port=port), model, Options(**options))


@pytest.mark.parametrize(("options", "words"), OF_EACH)
def test_each_option_of_a_wrong_type_or_value_is_refused(options: dict[str, Any], words: str) -> None:
    found = of_options(**options)
    assert words in found
    assert ";" not in found  # nothing else is blamed


def test_options_that_can_be_are_not_refused(tmp_path: Path) -> None:
    other = OutputSetting(port="/dev/ttyUSB8", by="byte")
    assert not of_options(
        supply_v=115,
        stops_running_train=True,
        trigger=LINE,
        stop_line=other,
        stop_level="high",
        transcript=tmp_path / "t",
    )
    assert not of_options(port=None, trigger=LINE)


def test_everything_wrong_with_the_options_is_told_at_once() -> None:
    each = [row for row in OF_EACH if len(row[0]) == 1]
    wrong = {name: value for options, _ in each for name, value in options.items()}
    found = of_options(**wrong)
    told = [words for options, words in each if options.items() <= wrong.items()]
    assert len(told) == len(wrong) == 10
    assert all(words in found for words in told), found


# ---- a power


@pytest.mark.parametrize("power", [-1, 0, 1, 69, 70, 71, 40.0, True, "40", None, math.nan])
def test_a_power_is_a_whole_number_that_the_unit_has(power: Any) -> None:
    facts = replace(facts_of("rapid"), power_low_pct_mso=1, power_high_pct_mso=70)
    if type(power) is int and power in (1, 69, 70):
        refuse_power(facts, power)
        return
    with pytest.raises(UnitProblem, match="a whole number of 1 to 70 % MSO") as problem:
        refuse_power(facts, power)
    assert problem.value.found == repr(power)
    assert problem.value.fault is Fault.UNIT_UNEXPECTED


# ---- a train or a pair is set


class Waits:
    """Lets the time pass until an instant, and keeps what it was asked."""

    def __init__(self, d: Desk) -> None:
        self.d, self.asked = d, []  # type: ignore[var-annotated]

    def __call__(self, t_s: float) -> None:
        self.asked.append((len(self.d.unit.log), t_s - self.d.now_s))
        self.d.clock.sleep_until(t_s)


def set_on(d: Desk, setting: Train | Pair | None, *, rest_s: float = 0.0) -> Waits:
    waits = Waits(d)
    set_setting(d.watch, setting, waits, not_before_s=d.now_s + rest_s)
    return waits


@pytest.mark.parametrize(
    ("model", "setting"), [("rapid", TRAIN), ("bistim", PAIR), ("rapid", None), ("200", None)]
)
def test_a_setting_is_set_once_read_back_and_known(
    tmp_path: Path, model: str, setting: Train | Pair | None
) -> None:
    with desk(tmp_path, model=model) as d:
        d.watch.power_pct_mso = 40
        d.watch.setting = ODD
        waits = set_on(d, setting, rest_s=3.0)
        assert d.unit.names == ["look", "power", f"set {setting}", "power"]
        assert d.watch.setting is setting
        assert d.watch.setting_known
        assert waits.asked == [(1, pytest.approx(2.99))]  # a unit just out of a train takes no setting
        assert d.watch.trip is None


def test_a_setting_is_not_known_while_it_is_set(tmp_path: Path) -> None:
    with desk(tmp_path, model="rapid") as d:
        d.watch.setting_known = True
        d.unit.fails[f"set {TRAIN}"] = [Refused("no", written=True)]
        with pytest.raises(Refused):
            set_on(d, TRAIN)
        assert not d.watch.setting_known


@pytest.mark.parametrize(
    ("from_b", "to", "ramp_s"),
    [(0, PAIR, 0.35), (50, PAIR, 1.5), (50, None, 5.0), (35, PAIR, 0.0), (0, None, 0.0), (None, PAIR, None)],
)
def test_the_second_power_of_a_pair_is_given_its_time(
    tmp_path: Path, from_b: int | None, to: Pair | None, ramp_s: float | None
) -> None:
    with desk(tmp_path, model="bistim") as d:
        d.unit.held = None if from_b is None else Held(power_b_pct_mso=from_b)
        waits = set_on(d, to)
        assert len(waits.asked) == (1 if ramp_s is None else 2)
        if ramp_s is not None:
            assert waits.asked[1] == (3, pytest.approx(ramp_s))
        assert d.unit.names[-1] == "power"


@pytest.mark.parametrize(
    ("armed", "instr", "refused"),
    [
        (False, STANDBY, False),
        (True, STANDBY, True),
        (False, 0x88, True),
        (True, ARMED, True),
        (True, READY, True),
    ],
)
def test_a_setting_is_taken_in_standby_only(tmp_path: Path, armed: bool, instr: int, refused: bool) -> None:
    with desk(tmp_path, model="rapid") as d:
        d.says(instr)
        d.watch.armed = d.watch.arming = armed
        d.watch.setting_known = True
        if not refused:
            set_on(d, TRAIN)
            return
        with pytest.raises(UnitProblem, match="standby only") as problem:
            set_on(d, TRAIN)
        assert problem.value.fault is Fault.UNIT_UNEXPECTED
        assert problem.value.todo == "disarm first"
        assert d.unit.names == ["look"]
        assert d.watch.setting_known  # nothing has changed


def test_what_the_unit_cannot_give_is_refused_before_a_byte_is_sent(tmp_path: Path) -> None:
    with desk(tmp_path, model="rapid") as d:
        d.watch.power_pct_mso = 100
        with pytest.raises(UnitProblem, match="Hz on this unit"):
            set_on(d, Train(frequency_hz=30, n_pulses=30))
        for no_pair in (PAIR, "2 ms", False):
            with pytest.raises(UnitProblem, match="no such pair"):
                set_on(d, no_pair)  # type: ignore[arg-type]
        assert d.unit.log == []


def test_a_setting_that_does_not_come_back_stays_unknown(tmp_path: Path) -> None:
    with desk(tmp_path, model="rapid") as d:
        d.watch.setting, d.watch.setting_known = None, False
        d.unit.wrong = "10 pulses"
        with pytest.raises(UnitProblem, match="does not take the setting") as problem:
            set_on(d, TRAIN)
        assert problem.value.found == "10 pulses read back"
        assert problem.value.expected == str(TRAIN)
        assert problem.value.fault is Fault.UNIT_UNEXPECTED
        assert not d.watch.setting_known
        assert d.watch.setting is None
        with pytest.raises(UnitProblem) as problem:
            set_on(d, None)
        assert problem.value.expected == "single pulses"


@pytest.mark.parametrize("due", ["soon", None, True, math.nan, math.inf])
def test_a_pulse_is_due_at_a_number_of_seconds(due: Any) -> None:
    with pytest.raises(UnitProblem, match=r"no such instant.*a pulse is due at a number of seconds, not"):
        refuse_due(due)
    refuse_due(5)
    refuse_due(-1.5)
