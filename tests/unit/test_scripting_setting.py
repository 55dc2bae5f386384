"""What a script asks for is refused before anything is started, in words."""

from __future__ import annotations

import multiprocessing
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from session_tools import tiny, write_plan

from drivers.magstim.units import UNITS
from rtloop.app.script_setting import bedside_for, children_leave_the_script_alone, decide, ends_for
from rtloop.app.scripting import Refused
from rtloop.app.setting import Request, prepare
from rtloop.errors import RtloopError, UsageProblem, ValidationProblem
from rtloop.model.status import Mode


def decided(tmp_path: Path, port: str = "sim:200", **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "participant": "P001", "model": None, "caps": None, "eeg": None, "mode": None, "threshold": None, "rig": None,
        "purpose": "probe", "data_dir": tmp_path, "site": None, "waivers": None, "say": print,
    }  # fmt: skip
    return decide(port, **(fields | changes))


def test_one_argument_tells_a_simulated_unit_from_a_real_one(tmp_path: Path) -> None:
    simulated, real = decided(tmp_path), decided(tmp_path, "/dev/ttyUSB0")
    recorded = decided(tmp_path, "/dev/ttyUSB0", eeg="Amp")
    assert [s.mode for s in (simulated, real, recorded)] == [Mode.SIMULATED, Mode.BENCH, Mode.BENCH]
    assert [s.sees for s in (simulated, real, recorded)] == [True, False, True]
    assert [s.eeg_simulated for s in (simulated, real, recorded)] == [True, True, False]
    transports = [None if (b := bedside_for(s)) is None else b.transport for s in (simulated, real, recorded)]
    assert transports == ["socket", "none", None]
    assert ends_for(recorded, None)[1].port == "/dev/ttyUSB0"


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"caps": {"max_power_pct_mso": 101}}, ValidationProblem, "loosen"),
        ({"caps": {"min_interval_s": 0.5}}, ValidationProblem, "loosen"),
        ({"caps": {"max_power": 50}}, ValidationProblem, "max_power"),
        ({"caps": {"max_power_pct_mso": float("nan")}}, ValidationProblem, "nan"),
        ({"caps": {"max_power_pct_mso": "60"}}, ValidationProblem, "60"),
        ({"participant": ""}, UsageProblem, "somebody"),
        ({"participant": "  "}, UsageProblem, "somebody"),
        ({"model": "rapid"}, UsageProblem, "twice"),
        ({"eeg": "Amp"}, UsageProblem, "its own EEG"),
        ({"mode": "bench"}, UsageProblem, "SIMULATED"),
        ({"port": "sim:400"}, RtloopError, "400"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, changes: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        decided(tmp_path, **changes)


WRONG_TYPES: dict[str, Any] = {
    "port": 5, "participant": None, "model": 200, "caps": 60, "eeg": 1, "mode": 3, "threshold": 45, "rig": "rapid",
    "purpose": None, "data_dir": 7, "site": 8, "waivers": [], "say": "loud",
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_a_value_of_a_wrong_type_is_told_by_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        UsageProblem, match=f"^{name}= is of the wrong type; .*{re.escape(repr(WRONG_TYPES[name]))}$"
    ):
        decided(tmp_path, **{name: WRONG_TYPES[name]})


def test_all_that_is_wrong_with_what_a_script_asks_for_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="13 things") as wrong:
        decided(tmp_path, **WRONG_TYPES)
    assert all(f"{name}= is" in str(wrong.value) for name in WRONG_TYPES)
    values: dict[str, Any] = {
        "port": "sim:400", "model": "rapid", "participant": " ", "purpose": "play", "mode": "bench", "eeg": "Amp",
        "caps": {"max_power_pct_mso": 101, "max_power_mso": 1}, "waivers": tmp_path / "none.toml",
    }  # fmt: skip
    told = (
        "no driver for the unit model '400'", "twice", "somebody", "no such purpose", "SIMULATED", "its own EEG",
        "max_power_mso", "loosen", "none.toml",
    )  # fmt: skip
    with pytest.raises(UsageProblem) as wrong:
        decided(tmp_path, **values)
    assert [words for words in told if words not in str(wrong.value)] == []
    with pytest.raises(UsageProblem) as wrong:  # a wrong type and wrong values
        decided(tmp_path, **(values | {"threshold": 45}))
    assert [words for words in (*told, "threshold= is") if words not in str(wrong.value)] == []
    assert not (tmp_path / "sessions").exists()


def test_a_unit_that_gives_less_than_the_published_cap_is_the_cap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = replace(UNITS["200"], power_high_pct_mso=47)
    monkeypatch.setattr("drivers.magstim.units.UNITS", UNITS | {"200": weak})
    limits = decided(tmp_path).limits
    assert (limits.max_power_pct_mso, limits.row("max_power_pct_mso").set_by) == (47, "device")
    assert decided(tmp_path, caps={"max_power_pct_mso": 46}).limits.max_power_pct_mso == 46
    with pytest.raises(ValidationProblem, match="loosen"):
        decided(tmp_path, caps={"max_power_pct_mso": 101})
    assert decided(tmp_path, caps={"max_power_pct_mso": 80}).limits.max_power_pct_mso == 47
    (tmp_path / "rtloop.toml").write_text('[unit]\nmodel = "200"\nport = "COM3"\n')
    plan = str(write_plan(tmp_path, tiny()))
    of_session = Request(kind="map", plan=plan, site=tmp_path / "rtloop.toml", mode="bench")
    assert prepare(of_session).limits.max_power_pct_mso == 47  # the plan itself allows 49


def test_caps_tighten(tmp_path: Path) -> None:
    assert decided(tmp_path, caps={"max_power_pct_mso": 60}).limits.max_power_pct_mso == 60


def _main_file() -> str:
    return str(getattr(sys.modules["__main__"], "__file__", "none"))


def test_children_do_not_import_the_script() -> None:
    """The preparation that a spawned child gets names no script, and the script is put back."""
    from multiprocessing.spawn import get_preparation_data

    before = sys.modules["__main__"]
    with children_leave_the_script_alone():
        data = get_preparation_data("child")
    assert not {"init_main_from_path", "init_main_from_name"} & set(data)
    assert sys.modules["__main__"] is before
    assert multiprocessing.parent_process() is None


def test_a_refusal_travels_with_its_reasons() -> None:
    import pickle

    no = Refused("pulse 1 was refused", ("power_cap: ...", "lamp_armed: ..."))
    assert "power_cap" in str(no)
    assert pickle.loads(pickle.dumps(no)).reasons == no.reasons
