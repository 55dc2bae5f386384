"""What a site file says of its unit: what cannot be is refused at once; what can be reaches the driver, by every way to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from session_tools import tiny, write_plan

from drivers.trigger import OutputSetting
from rtloop.app import scripting
from rtloop.app.commission import CommissionRequest, _bedside_spec, _place
from rtloop.app.commissioned import Covered, covered
from rtloop.app.config import load_site, show, simulated_at
from rtloop.app.script_setting import decide
from rtloop.app.setting import Request, Setting, bedside_spec, prepare, unit_options, wanted
from rtloop.app.unit_line import UnitWanted
from rtloop.errors import NotReady, ValidationProblem
from rtloop.plan.problems import FileProblem

LINES = """
[unit.trigger]
port = "COM8"
[unit.stop_line]
port = "COM9"
by = "byte"
high_byte = 255
low_byte = 16
level = "high"
"""
TRIGGER = OutputSetting(port="COM8")
STOP = OutputSetting(port="COM9", by="byte", high_byte=255, low_byte=16)


def site_at(folder: Path, unit: str) -> Path:
    path = folder / "rtloop.toml"
    path.write_text(f'data_dir = "data"\n[unit]\n{unit}')
    return path


def both_lines(folder: Path) -> Path:
    return site_at(folder, f'port = "COM3"\n{LINES}')


class There:
    """A simulated bedside that is started already."""

    stream_name = source_id = "sim"
    port = "socket://127.0.0.1:9"


# -- the lines reach the driver -----------------------------------------------------------------------------------


@pytest.mark.req("R-TRIGGER")
@pytest.mark.req("R-DISARM")
def test_the_lines_of_the_site_file_reach_the_driver_of_a_session_a_script_and_a_walk(tmp_path: Path) -> None:
    path = both_lines(tmp_path)
    expected = {"trigger": TRIGGER, "stop_line": STOP, "stop_level": "high"}
    site = load_site(path, environ={})
    assert unit_options(site) == expected
    request = Request(kind="map", plan=str(write_plan(tmp_path, tiny())), site=path, mode="bench")
    _, unit = wanted(prepare(request), None)
    assert unit is not None
    assert dict(unit.options) == expected
    script = decide(
        "COM3", participant="P", model=None, caps=None, eeg="amp", mode=None, threshold=None, rig=None, purpose="probe",
        data_dir=None, site=path, waivers=None, say=lambda words: None,
    )  # fmt: skip
    assert dict(script.unit_options) == expected
    place = _place(CommissionRequest(by="Ada"), site, "0123abcd", None, lambda words: None)
    assert dict(place.unit.options) == expected


def test_who_starts_a_session_reads_by_which_lines_the_unit_is_fired_and_stopped(tmp_path: Path) -> None:
    site = load_site(both_lines(tmp_path), environ={})
    words = UnitWanted(model="200", port="COM3", simulated=False, options=unit_options(site)).words
    assert words == "200 on COM3, fired by RTS on COM8, STOP line on COM9 (high stops)"
    assert UnitWanted(model="200", port="COM3", simulated=False).words == "200 on COM3"
    shown = show(site)
    assert "unit.trigger.port" in shown
    assert "unit.stop_line.level" in shown


@pytest.mark.parametrize(
    ("port", "begins"), [("COM3", "trigger line: "), ("sim:200", "not used with a simulated unit: ")]
)
def test_who_starts_a_script_reads_it_too(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    port: str,
    begins: str,
) -> None:
    def nothing_stands(spec: object) -> Any:
        raise NotReady("nothing is started here")

    monkeypatch.setattr(scripting, "simulated_bedside", nothing_stands)
    with pytest.raises(NotReady), scripting.stimulator(port, participant="P", site=both_lines(tmp_path)):
        pass
    said = capsys.readouterr()
    lines = "trigger line: RTS on COM8; STOP line: byte 255 high, 16 low, on COM9, high stops"
    assert f"\n{begins.removesuffix('trigger line: ')}{lines}\n" in said.err + said.out


def test_an_unlock_code_is_shown_nowhere(tmp_path: Path) -> None:
    code = "1234-12345678-ab"
    shown = show(load_site(site_at(tmp_path, f'model = "rapid"\nunlock_code = "{code}"\n'), environ={}))
    assert code not in shown
    assert "unit.unlock_code" in shown


@pytest.mark.req("R-UNIT")
@pytest.mark.parametrize(
    ("unit", "parts"),
    [
        ('[unit.trigger]\nport = "socket://127.0.0.1:5"', ("unit.trigger", "no RTS pin")),
        ('[unit.trigger]\nport = "A"\nby = "byte"\nhigh_byte = 3\nlow_byte = 3', ("unit.trigger", "must differ")),
        ('[unit.trigger]\nport = "A"\nhigh_byte = 3', ("unit.trigger", "high_byte")),
        ('[unit.trigger]\nport = "A"\nlevel = "low"', ("unit.trigger.level", "not known")),
        ('[unit.trigger]\nport = "A"\nby = "byte"\nhigh_byte = 256', ("unit.trigger.high_byte", "255")),
        ('[unit.trigger]\nby = "rts"', ("unit.trigger.port",)),
        ('[unit.stop_line]\nport = "A"\nlevel = "off"', ("unit.stop_line.level", "low", "high")),
        ('port = "A"\n[unit.trigger]\nport = "A"', ("the trigger line A is the port of the unit",)),
        ('[unit.trigger]\nport = "A"\n[unit.stop_line]\nport = "A"', ("the STOP line A is the port of the trigger line",)),
        # all at once
        ('[unit.trigger]\nport = "A"\nhigh_byte = 3\n[unit.stop_line]\nport = "tcp://x"', ("high_byte", "unit.stop_line")),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_is_refused_in_words(tmp_path: Path, unit: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(FileProblem) as told:
        load_site(site_at(tmp_path, unit), environ={})
    assert all(part in str(told.value) for part in parts), str(told.value)


# -- the unit of the site, and a simulated one ---------------------------------------------------------------------


@pytest.mark.req("R-UNIT")
@pytest.mark.parametrize("model", ["200", "bistim"])
def test_what_only_a_rapid_has_is_refused_for_another_model_all_at_once_and_without_the_code(
    tmp_path: Path, model: str
) -> None:
    own = 'unlock_code = "1234-12345678-ab"\nsupply_v = 115\nsoftware_at_least = [9]\n'
    with pytest.raises(FileProblem) as told:
        load_site(site_at(tmp_path, f'model = "{model}"\n{own}'), environ={})
    assert {p.where for p in told.value.problems} == {
        "unit.unlock_code",
        "unit.supply_v",
        "unit.software_at_least",
    }
    assert "1234-12345678-ab" not in str(told.value)
    site = load_site(site_at(tmp_path, f'model = "rapid"\n{own}'), environ={})
    assert unit_options(site) == {
        "supply_v": 115, "unlock_code": "1234-12345678-ab", "software_at_least": (9,)
    }  # fmt: skip
    with pytest.raises(FileProblem, match="only a Rapid"):  # nor by another model on the command line
        load_site(site_at(tmp_path, f'model = "rapid"\n{own}'), environ={}, overrides={"unit.model": model})


def test_a_code_of_a_rapid_that_cannot_go_over_the_line_is_refused_when_the_file_is_read(
    tmp_path: Path,
) -> None:
    with pytest.raises(FileProblem, match="text of single bytes"):
        load_site(site_at(tmp_path, 'model = "rapid"\nunlock_code = "☃"\n'), environ={})


def simulated(folder: Path, file: str, **request: Any) -> Setting:
    return prepare(
        Request(
            kind="map",
            plan=str(write_plan(folder, tiny())),
            simulate=True,
            site=site_at(folder, file),
            **request,
        )
    )


@pytest.mark.req("R-UNIT")
@pytest.mark.parametrize("unit", ["", 'model = "rapid"\nunlock_code = "1234-12345678-ab"\n'])
def test_a_plan_for_another_unit_than_the_simulated_one_is_refused_as_at_a_real_one(
    tmp_path: Path, unit: str
) -> None:
    with pytest.raises(ValidationProblem, match=r"another unit.*simulated unit, rapid.*200"):
        simulated(tmp_path, unit, unit="rapid")
    with pytest.raises(ValidationProblem, match="not supported"):
        simulated(tmp_path, unit, unit="201")


@pytest.mark.req("R-UNIT")
def test_the_unit_that_is_simulated_is_the_one_that_is_spoken_to_and_what_differs_is_said(
    tmp_path: Path,
) -> None:
    setting = simulated(tmp_path, f'model = "rapid"\nport = "COM3"\n{LINES}')
    spec = bedside_spec(setting)
    _, unit = wanted(setting, There())
    assert spec is not None
    assert unit is not None
    assert spec.unit == unit.model == setting.site.unit.model == "200"
    assert dict(unit.options) == {}  # a line of the real unit never belongs to a simulated one
    assert "a 200 is simulated, not the site's rapid" in setting.unlike
    assert "not used with a simulated unit: trigger line: RTS on COM8" in setting.unlike
    assert simulated(tmp_path, 'model = "200"\nport = "COM3"\n').unlike == ""


def test_a_walk_through_a_simulated_unit_takes_the_model_that_was_asked_for(tmp_path: Path) -> None:
    path = site_at(tmp_path, f'model = "rapid"\nunlock_code = "1234-12345678-ab"\nsupply_v = 115\n{LINES}')
    site, unlike = simulated_at(load_site(path, environ={}), "bistim")
    request = CommissionRequest(simulate=True, unit="bistim", site=path)
    spec = _bedside_spec(request, site, "0123abcd")
    place = _place(request, site, "0123abcd", There(), lambda words: None)
    assert spec is not None
    assert spec.unit == place.unit.model == "bistim"
    assert dict(place.unit.options) == {}
    assert unlike.startswith("a bistim is simulated, not the site's rapid; not used with a simulated unit")


@pytest.mark.req("R-UNIT")
def test_other_mains_or_lines_than_at_commissioning_are_what_is_looked_for(tmp_path: Path) -> None:
    def found(unit: str) -> Covered:
        return covered(load_site(site_at(tmp_path, unit), environ={}))

    plain = found('port = "COM3"\n').connected
    assert (plain.supply_v, plain.trigger, plain.stop_line) == (240, "none", "none")
    lines = found(f'port = "COM3"\n{LINES}').connected
    assert lines.trigger == "RTS on COM8"
    assert lines.stop_line == "byte 255 high, 16 low, on COM9, high stops"
    assert found('model = "rapid"\nsupply_v = 115\n').connected.supply_v == 115
