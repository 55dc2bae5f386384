"""A script's session on the stepped clock: presence, words, lock, STOP, trains, treatment, threshold, waivers, and its record."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from stepped_script_tools import WORDS, Stepped, asked, stepped_script

from hardware_sim.magstim import UNLOCK_CODE
from rtloop.app.cli import main
from rtloop.app.dose import ledger_of
from rtloop.app.lookback import open_path
from rtloop.app.scripting import MotorThreshold, Refused, Rig
from rtloop.errors import NotReady, SafetyStop, UsageProblem, ValidationProblem
from rtloop.model.pulse import Purpose
from rtloop.model.status import Lamp
from rtloop.record.journal import read_journal
from rtloop.record.verify import verify
from rtloop.safety.locked import lock

TODAY = datetime.now(UTC).date().isoformat()
RIG = Rig(unit_model="200", coil="70 mm figure-of-eight", waveform="monophasic")
PORT = "/dev/ttyUSB0"
SITE = f'[unit]\nunlock_code = "{UNLOCK_CODE}"\n'
WAIVER = """
[[waiver]]
rule = "{rule}"
reason = "prescribed for this participant"
citation = "protocol 7, section 3"
person = "Ada Example"
signed_on = "{on}"
plan_sha256 = "{sha256}"
"""


def threshold(**changes: Any) -> MotorThreshold:
    fields: dict[str, Any] = {
        "participant": "P001", "pct_mso": 40.0, "date": TODAY, "method": "EMG", "coil": RIG.coil, "waveform": RIG.waveform,
        "unit_model": "200",
    }  # fmt: skip
    return MotorThreshold(**(fields | changes))


def reasons_of(no: pytest.ExceptionInfo[Refused]) -> str:
    return " | ".join(no.value.reasons)


# -- presence, words, lock, STOP ------------------------------------------------------------------------------------


def test_a_script_that_sleeps_is_disarmed_and_told_every_reason(tmp_path: Path) -> None:
    with stepped_script(asked(tmp_path, caps={"max_power_pct_mso": 60})) as s:
        tms = s.tms
        with pytest.raises(Refused, match=r"power_cap.*0 to 60 %"):
            tms.set_power(61)
        tms.set_power(45)
        tms.arm(WORDS)
        assert tms.pulse().outcome == tms.pulse().outcome == "fired"
        s.sleep(1.0)
        assert s.armed  # a script may compute for a moment
        s.sleep(1.3)
        assert not s.armed
        assert tms.lamp is Lamp.READY or tms.lamp is Lamp.SAFE
        with pytest.raises(Refused) as no:
            tms.pulse()
        assert all(word in reasons_of(no) for word in ("lamp_armed", "unit_ready"))
        assert any("operator_gone" in d["fault"] for d in s.told("fault_raised"))
        assert "tms.wait(seconds), not sleep" in " ".join(s.said)  # what to do instead of sleeping
        tms.arm(WORDS)
        assert s.armed
        assert tms.dose().session == 2
    assert len(s.bench.discharges) == 2
    assert len(s.told("pulse_seen")) == 2
    records = [(d["permitted"], d["sent"], d["delivered_max"]) for d in s.told("pulse_accounted")]
    assert records == [(True, True, 1), (True, True, 1), (False, False, 0)]  # the refused one has its own
    assert verify(s.folder.path).ok


@pytest.mark.parametrize("typed", ["", "yes", WORDS.upper()])
def test_other_words_than_those_asked_for_do_not_arm_a_real_unit(tmp_path: Path, typed: str) -> None:
    answers = [typed]
    setting = asked(tmp_path, PORT)
    with stepped_script(setting, real=True, answer=lambda said: answers.pop() if answers else WORDS) as s:
        s.tms.set_power(40)
        with pytest.raises(Refused) as no:
            s.tms.arm(WORDS)
        assert f"found {typed!r}" in reasons_of(no)
        assert not s.armed
        s.tms.arm(WORDS)
        assert s.armed
        assert s.tms.pulse().outcome == "fired"
        s.tms.stop()
        with pytest.raises(Refused, match="STOP"):
            s.tms.pulse()
        assert not s.armed
        assert s.tms.lamp is Lamp.TRIPPED
    assert s.told("command_received")[-1]["args"] == [WORDS, "by the person at the terminal"]
    unseen, record = s.told("pulse_not_seen")[0], s.told("pulse_accounted")[0]
    assert "no EEG is used" in unseen["words"]
    assert (unseen["seen"], unseen["expected"]) == (0, 1)
    assert (record["permitted"], record["sent"], record["seen"], record["delivered_min"]) == (
        True,
        True,
        0,
        1,
    )
    assert s.told("pulse_seen") == []
    assert "no EEG is used" in s.told("session_started")[0]["eeg"]
    assert s.told("session_started")[0]["scene"] is None  # its pulses count among the real ones


def test_a_pulse_that_was_refused_by_a_unit_without_eeg_is_not_told_as_missing(tmp_path: Path) -> None:
    with stepped_script(asked(tmp_path, PORT), real=True) as s:
        s.tms.set_power(40)
        with pytest.raises(Refused, match="lamp_armed"):
            s.tms.pulse()
    assert s.told("pulse_not_seen") == []


@pytest.mark.req("R-LOCK")
def test_a_lock_that_is_set_meanwhile_stops_the_script_and_every_later_one(tmp_path: Path) -> None:
    with stepped_script(asked(tmp_path)) as s:
        s.tms.set_power(40)
        s.tms.arm(WORDS)
        lock(tmp_path / "data", "P001", words="a seizure", session="another", clock=s.clock)
        s.tms.wait(0.5)
        assert not s.armed
        assert s.tms.lamp is Lamp.TRIPPED
        with pytest.raises(Refused, match="a seizure"):
            s.tms.arm(WORDS)
        with pytest.raises(Refused, match=r"not_locked.*a seizure"):
            s.tms.pulse()
    assert len(s.told("participant_locked")) == 1
    assert s.bench.discharges == []
    with pytest.raises(SafetyStop, match="locked"):
        asked(tmp_path)


# -- trains and treatment -------------------------------------------------------------------------------------------


def at_a_real_rapid(tmp_path: Path, **changes: Any) -> Any:
    site = tmp_path / "rtloop.toml"
    site.write_text(SITE)
    return asked(tmp_path, PORT, model="rapid", eeg="amp", site=site, **changes)


def test_a_train_on_a_real_port_is_said_armed_by_a_person_seen_and_counted(tmp_path: Path) -> None:
    with stepped_script(at_a_real_rapid(tmp_path), real=True) as s:
        s.tms.set_power(30)
        worst_s = s.tms.set_train(frequency_hz=10, n_pulses=20)
        assert worst_s >= 1.9
        assert any(f"{worst_s:.1f} s; use the unit's hardware stop" in line for line in s.said)
        s.tms.arm(WORDS)
        asked_for = s.said[-1]  # what the person answers names what cannot be stopped
        assert "type within" in asked_for
        assert "a train of 20 pulses" in asked_for
        assert f"software may not be able to stop it once fired: {worst_s:.1f} s" in asked_for
        given = s.tms.train()
        assert (given.outcome, given.delivered_min, given.delivered_max) == ("fired", 20, 20)
        assert s.tms.dose().session == 20
    (record,) = s.told("pulse_accounted")
    assert (record["seen"], record["ok"]) == (20, True)
    assert s.told("session_started")[0]["mode"] == "BENCH"
    assert ledger_of(tmp_path / "data", "P001", simulated=False).count() == 20


@pytest.mark.parametrize("next_power_b", [None, 0])
def test_a_power_b_that_falls_from_the_top_is_waited_for(tmp_path: Path, next_power_b: int | None) -> None:
    with stepped_script(asked(tmp_path, "sim:bistim")) as s:
        s.tms.set_power(40)
        s.tms.set_pair(power_b_pct_mso=100, interval_ms=10)
        before_s = s.clock.now_s()
        if next_power_b is None:
            s.tms.set_single()
        else:
            s.tms.set_pair(power_b_pct_mso=next_power_b, interval_ms=10)
        assert s.clock.now_s() - before_s > 10.0  # the unit's ramp
        s.tms.arm(WORDS)
        given = s.tms.pulse() if next_power_b is None else s.tms.pair()
        assert given.outcome == "fired"


def test_after_single_pulses_are_set_the_question_names_no_train(tmp_path: Path) -> None:
    with stepped_script(at_a_real_rapid(tmp_path), real=True) as s:
        s.tms.set_power(30)
        s.tms.set_train(frequency_hz=10, n_pulses=20)
        s.tms.set_single()
        s.tms.arm(WORDS)
        assert "type within" in s.said[-1]
        assert "train" not in s.said[-1]


def test_what_is_no_train_no_pair_and_no_wait_is_told_whole(tmp_path: Path) -> None:
    with stepped_script(asked(tmp_path)) as s:
        s.tms.set_power(30)
        with pytest.raises(UsageProblem, match=r"frequency.*'10'; .*pulses, not True"):
            s.tms.set_train(frequency_hz="10", n_pulses=True)  # type: ignore[arg-type]
        with pytest.raises(UsageProblem, match=r"power B.*101; an interval.*nan"):
            s.tms.set_pair(power_b_pct_mso=101, interval_ms=float("nan"))
        for bad in ("1", None, float("nan"), -1, True):
            with pytest.raises(UsageProblem, match="no such wait"):
                s.tms.wait(bad)  # type: ignore[arg-type]


def test_treatment_counts_into_the_caps_of_treatment_and_of_nothing_else(tmp_path: Path) -> None:
    caps = {"max_treatment_pulses_session": 15, "max_pulses_session": 5}  # the second is not for treatment
    asked_for = {"port": "sim:rapid", "purpose": "treatment", "caps": caps}
    with stepped_script(asked(tmp_path, **asked_for)) as s:
        s.tms.set_power(30)
        s.tms.set_train(frequency_hz=10, n_pulses=10)
        s.tms.arm(WORDS)
        assert s.tms.train().n_pulses == 10
        with pytest.raises(
            Refused, match=r"treatment_dose.*at most 15 pulses in this session, found 20"
        ) as no:
            s.tms.train()
        assert "dose:" not in " ".join(no.value.reasons).replace("treatment_dose:", "")
    (charge,) = s.told("pulse_intended")
    assert charge["purpose"] == Purpose.TREATMENT
    with stepped_script(asked(tmp_path, **asked_for)) as second:  # one session of treatment a day
        second.tms.set_power(30)
        second.tms.set_train(frequency_hz=10, n_pulses=5)
        second.tms.arm(WORDS)
        with pytest.raises(Refused, match="treatment_session"):
            second.tms.train()
    with stepped_script(asked(tmp_path)) as probe:  # what is no treatment has caps of its own
        probe.tms.set_power(30)
        probe.tms.arm(WORDS)
        assert probe.tms.pulse().outcome == "fired"
        given = probe.tms.dose()
        assert (given.session, given.day, given.total) == (1, 11, 11)
        assert given.course == 10  # what the cap of the course counts: treatment
        assert str(given) == "1 pulse(s) in this script, 11 today (UTC), 11 in all, of these 10 of treatment"


# -- threshold and rig ----------------------------------------------------------------------------------------------


def test_with_a_threshold_the_share_of_it_is_capped_too(tmp_path: Path) -> None:
    with stepped_script(asked(tmp_path, threshold=threshold(), rig=RIG)) as s:
        s.tms.set_power(56)  # 140 % of 40
        with pytest.raises(Refused, match=r"rmt_cap.*at most 140 % of threshold.*142.5 %"):
            s.tms.set_power(57)
    rapid = {
        "threshold": threshold(unit_model="rapid"),
        "rig": Rig(unit_model="rapid", coil=RIG.coil, waveform=RIG.waveform),
    }
    with stepped_script(asked(tmp_path, "sim:rapid", **rapid)) as s:
        s.tms.set_power(49)
        with pytest.raises(Refused, match=r"train_rmt_cap.*at most 120 %"):
            s.tms.set_train(frequency_hz=1, n_pulses=5)
        s.tms.set_power(48)
        s.tms.set_train(frequency_hz=1, n_pulses=5)


def test_a_threshold_that_does_not_fit_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    old = (datetime.now(UTC) - timedelta(days=4000)).date().isoformat()
    with pytest.raises(ValidationProblem) as no:
        asked(tmp_path, threshold=threshold(participant="P002", date=old, method="visual"), rig=RIG)
    found = str(no.value)
    assert all(rule in found for rule in ("threshold_by_emg", "threshold_fresh", "threshold_own"))
    with pytest.raises(ValidationProblem, match="threshold_own"):
        asked(tmp_path, threshold=threshold())  # nothing says with what it was measured
    with pytest.raises(ValidationProblem, match="expected this unit, 200, found 'rapid'"):
        asked(tmp_path, rig=Rig(unit_model="rapid", coil="c", waveform="w"))
    assert not (tmp_path / "data").exists()


# -- waivers --------------------------------------------------------------------------------------------------------


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the script that runs."""
    path = tmp_path / "script.py"
    path.write_text("# gives a train of eleven seconds\n")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(path), raising=False)
    return path


def signed_for(script: Path, rule: str = "train_longest_tested", on: str = TODAY) -> Path:
    path = script.with_name("waivers.toml")
    sha256 = hashlib.sha256(script.read_bytes()).hexdigest()
    path.write_text(WAIVER.format(rule=rule, on=on, sha256=sha256))
    return path


def _long_train(s: Stepped) -> None:
    s.tms.set_power(20)
    s.tms.set_train(frequency_hz=5, n_pulses=55)


@pytest.mark.req("R-WAIVER")
def test_a_signed_waiver_lifts_its_one_rule_for_this_script(tmp_path: Path, script: Path) -> None:
    with (
        stepped_script(asked(tmp_path, "sim:rapid")) as s,
        pytest.raises(Refused, match="train_longest_tested"),
    ):
        _long_train(s)
    with stepped_script(asked(tmp_path, "sim:rapid", waivers=signed_for(script))) as s:
        _long_train(s)
        s.tms.arm(WORDS)
        assert s.tms.train().delivered_max == 55
    (started,) = s.told("session_started")
    (waiver,) = started["waivers"]
    assert waiver["plan_sha256"] == started["plan_sha256"] == hashlib.sha256(script.read_bytes()).hexdigest()
    assert (started["plan"], waiver["person"]) == ("script.py", "Ada Example")


@pytest.mark.req("R-WAIVER")
def test_a_waiver_ends_with_one_changed_byte_of_the_script(tmp_path: Path, script: Path) -> None:
    waivers = signed_for(script)
    script.write_text(script.read_text() + "\n")
    with pytest.raises(ValidationProblem, match=hashlib.sha256(script.read_bytes()).hexdigest()):
        asked(tmp_path, "sim:rapid", waivers=waivers)
    script.unlink()  # typed at a prompt: there is nothing that could be signed
    with pytest.raises(ValidationProblem, match="signed for the plan"):
        asked(tmp_path, "sim:rapid", waivers=waivers)


@pytest.mark.req("R-WAIVER")
def test_what_may_not_be_waived_and_what_is_not_there_is_refused(tmp_path: Path, script: Path) -> None:
    with pytest.raises(ValidationProblem, match="'power_cap' cannot be waived"):
        asked(tmp_path, waivers=signed_for(script, rule="power_cap"))
    with pytest.raises(ValidationProblem, match="after today"):
        asked(tmp_path, waivers=signed_for(script, on="2999-01-01"))
    with pytest.raises(ValidationProblem, match="cannot be read"):
        asked(tmp_path, waivers=tmp_path / "none.toml")


# -- its record -----------------------------------------------------------------------------------------------------


def test_verify_report_and_review_take_a_scripts_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with stepped_script(asked(tmp_path)) as s:
        s.tms.set_power(45)
        s.tms.arm(WORDS)
        for _ in range(2):
            s.tms.pulse()
    path = s.folder.path
    for command in ("verify", "report", "replay"):
        with pytest.raises(SystemExit) as end:
            main([command, str(path)])
        told = capsys.readouterr()
        assert end.value.code == 0, told.out + told.err
        if command == "replay":
            assert "2 pulses found again: the same as recorded" in told.out
    report = (path / "report.html").read_text("utf-8")
    assert "P001" in report
    assert "script" in report
    said: list[str] = []
    found = open_path(path, tmp_path / "place", lambda share, words: said.append(words))
    assert "the record is whole" in found["title"]
    assert found["folder"] == str(path.resolve())


def test_a_damaged_record_keeps_the_next_script_from_starting(tmp_path: Path) -> None:
    with stepped_script(asked(tmp_path)) as s:
        s.tms.set_power(45)
        s.tms.arm(WORDS)
        s.tms.pulse()
    lines = s.folder.journal.read_bytes().splitlines(keepends=True)
    del lines[len(lines) // 2]
    s.folder.journal.write_bytes(b"".join(lines))
    with pytest.raises(Exception, match="damaged"):
        asked(tmp_path)
    assert not verify(s.folder.path).ok


def test_a_unit_that_was_silent_for_a_while_is_armed_again(tmp_path: Path) -> None:
    with stepped_script(asked(tmp_path)) as s:
        s.tms.set_power(40)
        s.tms.arm(WORDS)
        s.bench.inject({"kind": "mute", "end_s": 3.0})
        s.tms.wait(1.0)
        with pytest.raises(NotReady, match="unit"):
            s.tms.arm(WORDS)  # it is silent still
        s.tms.wait(4.0)
        s.tms.arm(WORDS)
        assert s.tms.pulse().outcome == "fired"
    assert len(s.bench.discharges) == 1


def test_a_silent_unit_is_not_ready_and_given_nothing_more(tmp_path: Path) -> None:
    with stepped_script(asked(tmp_path)) as s:
        s.tms.set_power(40)
        s.tms.arm(WORDS)
        assert s.tms.pulse().outcome == "fired"
        s.bench.inject({"kind": "mute"})
        muted_s = s.clock.now_s()
        with pytest.raises(NotReady, match="unit"):
            s.tms.pulse()
        assert s.clock.now_s() - muted_s < 3.0
        raised = [e for e in read_journal(s.folder.journal).events if e.kind == "fault_raised"]
        assert raised[0].data["fault"] == "unit_silent"
        assert (
            "0 of 3 bytes" in raised[0].data["words"]
        )  # the driver's own word, not only the age of its status
        assert raised[0].t_s - muted_s < 0.5 + 0.1
        s.tms.wait(2.0)
        assert not s.armed
    assert len(s.bench.discharges) == 1
