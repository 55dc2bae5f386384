"""What a script asks for is refused before anything is started, in words."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from typing import Any

import pytest

from rtloop.app.script_setting import bedside_for, children_leave_the_script_alone, decide, ends_for
from rtloop.app.scripting import Refused
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
