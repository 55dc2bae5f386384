"""``rtloop devices``: found against expected before a session, opening no port and taking no lock."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from eeg_tools import binding, describe

from drivers.magstim.line import PortLock
from rtloop.app import devices
from rtloop.app.cli import main
from rtloop.app.devices import Wanted, list_devices


@pytest.fixture(autouse=True)
def _no_site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [k for k in os.environ if k.startswith("RTLOOP_SITE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "serial_ports", lambda: [("/dev/ttyUSB0", "FTDI")])


def _row(data: dict[str, Any], name: str) -> dict[str, Any]:
    return next(r for r in data["devices"] if r["name"] == name)


def _listen(name: str) -> dict[str, Any]:
    return list_devices(Wanted(kind="watch", stream=name))[1]


def _unit(port: str | None) -> dict[str, Any]:
    (row,) = devices._unit(devices.load_site(overrides={"unit.port": port}), Wanted(port=port))
    return asdict(row)


def test_simulated_bedside_brings_its_own_devices() -> None:
    text, data, code = list_devices(Wanted(simulate=True))
    assert code == 0
    assert data["ok"]
    assert text.count("[ok]") == 4
    assert "simulated" in _row(data, "EEG stream")["found"]


def test_a_stream_is_told_with_rate_channels_and_trigger() -> None:
    outlet = binding().StreamOutlet(describe("h8-amp", trigger=True))
    try:
        data = _listen("h8-amp")
    finally:
        del outlet
    row = _row(data, "EEG stream")
    assert row["ok"], row
    assert "'h8-amp'" in row["found"]
    assert "1000 Hz, 8 EEG channels" in row["found"]
    assert "trigger channel TRIG" in row["found"]
    assert "h8-amp" in data["streams"]


def test_a_stream_that_is_not_there_tells_what_is_and_what_to_do() -> None:
    text, data, code = list_devices(Wanted(kind="watch", stream="h8-nobody"))
    row = _row(data, "EEG stream")
    assert code == 4
    assert not row["ok"]
    assert "h8-nobody" in row["expected"]
    assert "firewall" in row["todo"]
    assert "what to do: start the amplifier" in text


def test_listening_needs_no_unit_and_a_session_does() -> None:
    (listens,) = devices._unit(devices.load_site(), Wanted(kind="watch"))
    assert listens.ok
    assert "nothing can be fired" in listens.found
    row = _unit(None)
    assert not row["ok"]
    assert "/dev/ttyUSB0 (FTDI)" in row["found"]
    assert "rtloop watch" in row["todo"]


def test_a_port_that_is_not_there_is_told_beside_those_that_are(tmp_path: Path) -> None:
    row = _unit(str(tmp_path / "ttyUSB9"))
    assert not row["ok"]
    assert "/dev/ttyUSB0" in row["found"]
    assert "cable" in row["todo"]


def test_a_port_behind_a_socket_is_not_tried() -> None:
    row = _unit("socket://127.0.0.1:1")
    assert row["ok"]
    assert "not opened here" in row["found"]


@pytest.mark.skipif(not devices.LOCKS.exists(), reason="this system keeps no table of locks")
def test_a_port_owned_by_another_session_is_told_without_touching_its_lock(tmp_path: Path) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    assert _unit(str(port))["ok"]
    lock = PortLock(str(port))
    lock.take()
    try:
        row = _unit(str(port))
        assert not row["ok"]
        assert f"process {os.getpid()}" in row["found"] or "another session" in row["found"]
        assert "one owner" in row["todo"]
    finally:
        lock.release()
        lock.path.unlink()
    assert _unit(str(port))["ok"]


def test_a_data_folder_on_nothing_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    row = devices._disk(file / "data")
    assert not row.ok
    assert "cannot be written" in row.found


def test_command_says_it_in_json_and_by_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["devices", "--simulate", "--json"])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    with pytest.raises(SystemExit) as end:
        main(["devices", "--kind", "cure"])
    assert end.value.code == 2
