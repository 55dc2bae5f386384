"""A script in mode HUMAN: each missing condition is refused by itself, all together at once; the whole path arms by a person.

A stepped unit that the wiring takes for a real one stands in for the unit; no rule, no check and no step is replaced.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from commission_tools import PORT, good, site_file
from stepped_script_tools import STREAM, WORDS, asked, last_line, stepped_script

from rtloop.app import script_person
from rtloop.app.commissioned import records_folder
from rtloop.app.config import load_site
from rtloop.app.script_person import typed_by_a_person
from rtloop.app.script_setting import ScriptSetting
from rtloop.app.scripting import MotorThreshold, Refused, Rig
from rtloop.clock import WALL
from rtloop.errors import SafetyStop
from rtloop.model.status import Lamp, Mode
from rtloop.record.commissioning import Record, write_record
from rtloop.safety.locked import lock

RIG = Rig(unit_model="200", coil="70 mm figure-of-eight", waveform="monophasic")
THRESHOLD = MotorThreshold(
    participant="P001", pct_mso=50.0, date=datetime.now(UTC).date().isoformat(), method="EMG", coil=RIG.coil,
    waveform=RIG.waveform, unit_model="200",
)  # fmt: skip
GIVEN: dict[str, Any] = {"mode": "human", "eeg": "amp", "threshold": THRESHOLD, "rig": RIG}

pytestmark = pytest.mark.req("R-MODE")


class _Terminal:
    """Stands for the process's own input."""

    def __init__(self, is_one: bool = True) -> None:
        self._is_one = is_one

    def isatty(self) -> bool:
        return self._is_one


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """A person can type, as far as can be told; or what a test says."""

    def is_there(what: Any) -> None:
        monkeypatch.setattr(sys, "__stdin__", what)

    is_there(_Terminal())
    return is_there


def for_a_person(
    tmp_path: Path, port: str = PORT, *, record: Callable[[Record], Record] | None = lambda r: r, verified: bool = True,
    **changes: Any,
) -> ScriptSetting:  # fmt: skip
    """Ask for HUMAN where all is in order, but ``changes``."""
    path = site_file(tmp_path, verified=verified)
    if record is not None:
        site = load_site(path, environ={})
        if not (records_folder(site) / "a.json").exists():
            write_record(records_folder(site) / "a.json", record(good(site)))
    return asked(tmp_path, port, **(GIVEN | {"site": path} | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"record": None}, "no commissioning record"),
        ({"record": lambda r: replace(r, mode="SIMULATED").sealed()}, "made SIMULATED"),
        ({"verified": False}, "max_power_pct_mso"),
        ({"eeg": None}, "no EEG"),
        ({"port": "sim:200", "eeg": None}, "the unit is simulated"),
        ({"port": "socket://127.0.0.1:8"}, "port"),
        ({"model": "bistim", "rig": None, "threshold": None}, "no commissioning record"),
        ({"threshold": None}, "threshold_known"),
        ({"rig": None}, "threshold_own"),
        ({"threshold": replace(THRESHOLD, method="visual")}, "threshold_by_emg"),
        ({"threshold": replace(THRESHOLD, date="2020-01-01")}, "threshold_fresh"),
        ({"participant": "P002"}, "threshold_own"),
        ({"rig": replace(RIG, coil="another")}, "threshold_own"),
    ],
)
def test_each_missing_condition_refuses_human_before_anything_is_touched(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SafetyStop, match="mode HUMAN refuses this script") as no:
        for_a_person(tmp_path, **changes)
    assert words in (no.value.found or "")
    assert not (tmp_path / "data").exists()


def test_without_a_site_file_there_are_no_limits_that_a_site_has_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("RTLOOP_SITE", raising=False)
    with pytest.raises(SafetyStop, match="no site file"):
        asked(tmp_path, PORT, **GIVEN)


@pytest.mark.parametrize("what", [_Terminal(False), None])
def test_where_nobody_can_type_human_is_refused(
    tmp_path: Path, terminal: Callable[[Any], None], what: Any
) -> None:
    terminal(what)
    with pytest.raises(SafetyStop, match="nobody can confirm: the script's input is no terminal"):
        for_a_person(tmp_path)


def test_a_locked_participant_is_refused(tmp_path: Path) -> None:
    lock(tmp_path / "data", "P001", words="a seizure", session="s", clock=WALL)
    with pytest.raises(SafetyStop, match="a seizure"):
        for_a_person(tmp_path)


def test_what_lacks_is_told_all_at_once(tmp_path: Path, terminal: Callable[[Any], None]) -> None:
    terminal(None)
    with pytest.raises(SafetyStop) as no:
        for_a_person(tmp_path, "sim:200", record=None, eeg=None, threshold=None)
    found = no.value.found or ""
    words = ("simulated", "no EEG", "no terminal", "no commissioning record", "threshold_known")
    assert all(w in found for w in words), found


def test_human_is_only_ever_asked_for_by_name(tmp_path: Path) -> None:
    """The site file says HUMAN, all is in order, and the script said nothing: the coil is on a phantom."""
    assert for_a_person(tmp_path, mode=None).mode is Mode.BENCH
    assert for_a_person(tmp_path).mode is Mode.HUMAN


@pytest.mark.parametrize("change", [{"source_id": "amp-2"}, {"rate_hz": 5000.0}, {"name": "another"}])
def test_another_amplifier_than_at_commissioning_is_refused_before_arming(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    setting = for_a_person(tmp_path)
    with (
        pytest.raises(SafetyStop, match="amplifier stream"),
        stepped_script(setting, real=True, stream=STREAM | change),
    ):
        pass


def test_a_unit_that_says_it_is_simulated_is_refused_before_arming(tmp_path: Path) -> None:
    setting = for_a_person(tmp_path)
    with pytest.raises(SafetyStop, match="simulated"), stepped_script(setting, real=False):
        pass


def test_with_everything_in_order_a_person_arms_and_a_pulse_is_given_seen_and_counted(tmp_path: Path) -> None:
    setting = for_a_person(tmp_path)
    with stepped_script(setting, real=True) as s:
        assert s.tms.lamp is Lamp.READY
        with pytest.raises(Refused, match="rmt_cap"):
            s.tms.set_power(71)  # 142 % of threshold
        s.tms.set_power(45)
        s.tms.arm(WORDS)
        assert s.armed
        given = s.tms.pulse()
        assert given.outcome == "fired"
        s.sleep(2.5)  # presence is the script's own calls, over a person too
        assert not s.armed
        asked_before = sum("type within" in line for line in s.said)
        s.tms.arm(WORDS)
        assert sum("type within" in line for line in s.said) == asked_before + 1  # the person is asked again
        assert s.tms.pulse().outcome == "fired"
    assert s.told("session_started")[0]["mode"] == "HUMAN"
    assert any("Ada Example" in n["words"] and "sha256" in n["words"] for n in s.told("note_written"))
    assert [d["by"] for d in s.told("pulse_seen") if "by" in d] == []
    assert len(s.told("pulse_seen")) == 2
    typed = [c["args"] for c in s.told("command_received")]
    assert len(typed) == 2
    assert all(by == "by the person at the terminal" and words.startswith(WORDS) for words, by in typed)


@pytest.mark.parametrize(
    "answer",
    [
        lambda said: "",  # nobody
        lambda said: WORDS,  # a script knows its own words, a pipe too; not the digits
        lambda said: f"{WORDS} {(int(said[-1][-3:]) + 1) % 1000:03d}",
    ],
)
def test_over_a_person_the_words_alone_do_not_arm(tmp_path: Path, answer: Callable[[list[str]], str]) -> None:
    with stepped_script(for_a_person(tmp_path), real=True, answer=answer) as s:
        s.tms.set_power(45)
        with pytest.raises(Refused, match="nobody typed the words"):
            s.tms.arm(WORDS)
        assert not s.armed
        assert s.tms.lamp is Lamp.READY
    assert s.told("arm_confirmed") == []


def test_an_answer_after_the_window_does_not_arm(tmp_path: Path) -> None:
    setting = for_a_person(tmp_path)
    window_s = setting.limits.confirm_window_s

    def late(said: list[str]) -> str:
        s.sleep(window_s + 0.5)
        return last_line(said)

    with stepped_script(setting, real=True, answer=late) as s:
        s.tms.set_power(45)
        with pytest.raises(Refused):
            s.tms.arm(WORDS)
        assert not s.armed


@pytest.mark.parametrize("mode", ["human", None])
def test_the_delay_that_was_commissioned_is_what_a_covered_script_is_held_to(
    tmp_path: Path, mode: str | None
) -> None:
    def measured(record: Record) -> Record:
        steps = tuple(
            replace(s, numbers={**s.numbers, "pulse_delay_ms_median": 200.0}) if s.step == "pulses" else s
            for s in record.steps
        )
        return replace(record, steps=steps).sealed()

    with stepped_script(for_a_person(tmp_path, record=measured, mode=mode), real=True) as s:
        s.tms.set_power(40)
        s.tms.arm(WORDS)
        for _ in range(5):
            if s.armed:
                s.tms.pulse()
                s.tms.wait(0.2)
        assert not s.armed  # the pulses came 12 ms after their command, not 200
        with pytest.raises(Refused):
            s.tms.pulse()
    assert s.told("session_started")[0]["loopback"]["expected_s"] == pytest.approx(0.2)
    assert any(f["fault"] == "latency_off" for f in s.told("fault_raised"))


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals of POSIX")
def test_only_what_is_typed_at_the_terminal_after_the_question_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, terminal: Callable[[Any], None]
) -> None:
    master, slave = os.openpty()
    with open(slave, encoding="utf-8") as typed, open(master, "wb", buffering=0) as keys:
        terminal(typed)
        monkeypatch.setattr(script_person, "_terminal", [])
        monkeypatch.setattr(sys, "stdin", ["what a script would put there\n"])
        assert script_person.at_a_terminal()
        assert typed_by_a_person(0.1, lambda: None, WALL) == ""
        keys.write(b"typed before\n")
        queued = script_person._terminal[0].lines
        while queued.empty():
            WALL.sleep_until(WALL.now_s() + 0.005)
        shown: list[int] = []

        def present() -> None:
            shown.append(1)
            if len(shown) == 3:
                keys.write(f"{WORDS} 123\n".encode())

        assert typed_by_a_person(5.0, present, WALL) == f"{WORDS} 123"
        assert len(shown) >= 3  # the script shows presence while the person thinks
        keys.write(b"\x04")  # the line ends: so does its reader
        for thread in threading.enumerate():
            if thread.name == "rtloop-script-terminal":
                thread.join(5.0)
        assert not [t for t in threading.enumerate() if t.name == "rtloop-script-terminal" and t.is_alive()]
