"""``rtloop treat`` on the stepped clock: the session over the simulated unit at byte level, its words, faults, count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from treat_session_tools import Person, Treating, request_of, stepped_treatment

from rtloop.app.dose import ledger_of
from rtloop.app.study_sessions import counted, treatment_of
from rtloop.app.treat import told
from rtloop.app.treat_asked import TreatRequest, wanted
from rtloop.errors import RtloopError, SafetyStop, UsageProblem, ValidationProblem
from rtloop.model.course import Ended, TreatmentGiven
from rtloop.model.pulse import Purpose
from rtloop.model.status import Lamp
from rtloop.record.journal import read_journal
from rtloop.record.verify import verify
from rtloop.session.orders import Said

PAUSE_S = 6.0


def held(tmp_path: Path, *words: Any, faults: Any = None, **changes: Any) -> Treating:
    """A whole session with what the operator says besides; ``faults``: called in each turn."""
    with stepped_treatment(request_of(tmp_path, **changes), Person(*words)) as t:
        if faults is not None:
            turn = t.runner.turn

            def turned() -> None:
                faults(t)
                turn()

            t.runner.turn = turned  # type: ignore[method-assign]
        t.runner.run()
    return t


def result_of(t: Treating) -> TreatmentGiven:
    """What the journal says that was given; the same as the session said, as is counted from its pulses."""
    read = read_journal(t.script.folder.journal)
    said = t.told("treatment_given")
    found = treatment_of(read.events, head_hash=read.head_hash)
    assert found is not None
    assert said == [found.data()]
    delivered, most, trains = counted(read.events)
    assert (found.delivered, found.delivered + found.uncertain, found.trains_given) == (
        delivered,
        most,
        trains,
    )
    assert found.planned == found.delivered + found.refused + found.uncertain
    assert len(t.script.bench.discharges) <= most
    c = t.runner.machine.count()
    assert (c.delivered, c.refused, c.uncertain, c.trains) == (
        found.delivered, found.refused, found.uncertain, found.trains_given,
    )  # fmt: skip
    assert verify(t.script.folder.path).ok
    return found


def starts_of(t: Treating) -> list[float]:
    return [d["t_sent_s"] for d in t.told("pulse_closed")]


def test_a_whole_session_with_its_record(tmp_path: Path) -> None:
    t = held(tmp_path)
    given = result_of(t)
    assert (given.ended, given.planned, given.delivered, given.trains_given) == (Ended.COMPLETE, 30, 30, 3)
    assert len(t.script.bench.discharges) == 30
    assert [d["power_pct_mso"] for d in t.script.bench.discharges] == [30] * 10 + [40] * 20
    a, b, c = starts_of(t)
    assert 0 <= b - (a + 1.0) - PAUSE_S <= 0.3
    assert 0 <= c - (b + 1.0) - PAUSE_S <= 0.3
    assert {d["purpose"] for d in t.told("pulse_intended")} == {Purpose.TREATMENT.value}
    assert {(d["target"], d["session_id"]) for d in t.told("pulse_intended")} == {
        ("M1", t.script.setting.run_id)
    }
    assert [(d["train"], d["planned"], d["delivered_min"], d["delivered_max"], d["seen"]) for d in t.told("train_given")] == [
        (1, 10, 10, 10, 10), (2, 10, 10, 10, 10), (3, 10, 10, 10, 10),
    ]  # fmt: skip
    kinds = [e.kind for e in read_journal(t.script.folder.journal).events]
    assert kinds.index("treatment_begun") < kinds.index("pulse_intended")
    assert kinds.index("checklist_signed") < kinds.index("treatment_begun")
    assert kinds[-1] == "session_ended"
    assert t.told("session_ended")[0]["clean"] is True
    started = t.told("session_started")[0]
    assert (started["kind"], started["plan"], started["session_id"]) == (
        "treat",
        "treat-quick",
        t.script.setting.run_id,
    )
    assert started["plan_sha256"] == t.want.plan.sha256
    assert started["threshold"]["method"].startswith("SIMULATED")
    assert [d["train"] for d in t.told("train_due")] == [1, 2, 3]
    assert [d["after_train"] for d in t.told("coil_temperature_read")] == [0, 1, 2]
    assert len(t.told("arm_confirmed")) == 1
    text, data, code = told(t.runner)
    assert code == 0
    assert data["treatment"]["delivered"] == 30
    assert "planned 30 pulses = delivered 30 + not given 0 + uncertain 0" in text
    assert ledger_of(tmp_path / "data", "P017", simulated=True).count(purpose="treatment") == 30
    before, after = t.told("checklist_signed")
    assert (before["when"], before["eligible"], before["findings"], before["signed_by"]) == (
        "before", True, [], "simulated operator",
    )  # fmt: skip
    assert (after["when"], len(after["answers"])) == ("after", 10)


def test_a_second_treatment_of_the_day_is_refused(tmp_path: Path) -> None:
    held(tmp_path)
    with pytest.raises(ValidationProblem, match="gave 30 of 30 pulses in 3 trains: one treatment a day"):
        wanted(request_of(tmp_path), print)
    with pytest.raises(ValidationProblem, match="one treatment a day"):
        wanted(request_of(tmp_path, resume=True), print)
    wanted(request_of(tmp_path, participant="P018"), print)


def in_train(number: int) -> tuple[str, Any]:
    return "phase_entered", lambda d: d["phase"] == "train" and d["train"] == number


def in_pause(number: int) -> tuple[str, Any]:
    return "phase_entered", lambda d: d["phase"] == "pause" and d["train"] == number


def test_a_pause_disarms_and_what_is_left_is_armed_anew(tmp_path: Path) -> None:
    t = held(
        tmp_path,
        (*in_pause(2), "pause"),
        (*in_train(1), "sensation mild tingling"),
        (*in_pause(3), "note a cough"),
    )
    given = result_of(t)
    assert (given.ended, given.delivered) == (Ended.COMPLETE, 30)
    assert len(t.told("arm_confirmed")) == 2
    assert [d["words"] for d in t.told("treatment_paused")] == ["the operator asked for a pause"]
    assert len(t.told("treatment_resumed")) == 1
    assert t.told("sensation_told") == [
        {"what": "tingling", "severity": "mild", "train": 1, "by": "simulated operator"}
    ]
    a, b, c = starts_of(t)
    assert b - (a + 1.0) >= PAUSE_S
    assert 0 <= c - (b + 1.0) - PAUSE_S <= 0.3  # what is told does not stop a pause


def test_a_pause_during_a_train_comes_after_it(tmp_path: Path) -> None:
    t = held(tmp_path, (*in_train(2), "pause"))
    assert result_of(t).delivered == 30
    assert [d["delivered_max"] for d in t.told("train_given")] == [10, 10, 10]


@pytest.mark.parametrize(
    ("word", "ended"), [("stop", Ended.STOPPED), ("abort the participant coughs", Ended.ABORTED)]
)
def test_stop_and_abort_in_a_pause_end_it_disarmed(tmp_path: Path, word: str, ended: Ended) -> None:
    t = held(tmp_path, (*in_pause(2), word))
    given = result_of(t)
    assert (given.ended, given.planned, given.delivered, given.refused, given.trains_given) == (
        ended,
        30,
        10,
        20,
        1,
    )
    assert told(t.runner)[2] == 6
    assert not t.script.armed
    assert len(t.told("checklist_signed")) == 2  # side effects are asked for all the same
    assert "2 train(s) are left" in told(t.runner)[0]


def test_stop_in_a_train_cuts_it_and_it_counts_as_what_it_may_have_been(tmp_path: Path) -> None:
    t = held(tmp_path, (*in_train(2), "stop"))
    given = result_of(t)
    assert given.ended in (Ended.STOPPED, Ended.TRIPPED)
    assert 10 < given.given_most <= 20
    assert (given.trains_given, given.delivered >= 10) == (2, True)
    assert not t.script.armed


@pytest.mark.parametrize("word", ["halt", "emergency it seized"])
def test_halt_trips_and_emergency_locks_too(tmp_path: Path, word: str) -> None:
    t = held(tmp_path, (*in_pause(3), word))
    given = result_of(t)
    assert (given.ended, given.trains_given) == (Ended.TRIPPED, 2)
    assert told(t.runner)[2] == 5
    assert t.runner.tms.lamp is Lamp.TRIPPED
    assert t.told("session_ended")[0]["clean"] is False
    if word.startswith("emergency"):
        with pytest.raises(SafetyStop, match="locked"):
            wanted(request_of(tmp_path, resume=True), print)


def test_what_is_left_is_resumed_with_the_next_train_in_the_same_session(tmp_path: Path) -> None:
    first = held(tmp_path, (*in_pause(2), "stop"))
    with pytest.raises(ValidationProblem, match="gave 10 of 30 pulses in 1 trains, and was not finished"):
        wanted(request_of(tmp_path), print)
    with pytest.raises(ValidationProblem, match="plan \\(SHA-256\\): begun with"):
        wanted(request_of(tmp_path, resume=True, plan="treat-1hz", target="M1"), print)
    second = held(tmp_path, resume=True)
    given = result_of(second)
    assert given.session_id == first.script.setting.run_id != given.run_id
    assert (given.planned, given.session_planned, given.trains_planned, given.delivered) == (20, 30, 2, 20)
    assert [d["train"] for d in second.told("train_given")] == [2, 3]
    assert [d["power_pct_mso"] for d in second.told("train_given")] == [40, 40]  # the ramp is not given twice
    assert ledger_of(tmp_path / "data", "P017", simulated=True).count() == 30
    with pytest.raises(ValidationProblem, match="gave 30 of 30 pulses in 3 trains: one treatment a day"):
        wanted(request_of(tmp_path, resume=True), print)


def test_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ValidationProblem, match="nothing to resume"):
        wanted(request_of(tmp_path, resume=True), print)


def test_a_refused_train_is_told_with_all_reasons_and_given_after_the_operator_was_asked(
    tmp_path: Path,
) -> None:
    done: list[int] = []

    def other_power(t: Treating) -> None:
        m = t.runner.machine
        if len(m.given) == 1 and m.armed and m.running is None and not done:
            done.append(1)
            t.runner.tms._power = 33  # what the unit was set to is not what is asked for
        elif done == [1] and m.paused:
            done.append(2)
            m.unset()

    t = held(tmp_path, faults=other_power)
    given = result_of(t)
    assert (given.ended, given.delivered) == (Ended.COMPLETE, 30)
    (refused,) = t.told("train_refused")
    assert refused["train"] == 2
    assert len(refused["words"]) >= 2
    assert any("unit_power" in w for w in refused["words"])
    assert t.told("treatment_paused")[0]["words"].startswith("train 2 was refused: ")
    assert [d["train"] for d in t.told("train_given")] == [1, 2, 3]


def test_the_checklist_ends_a_session_before_its_first_pulse(tmp_path: Path) -> None:
    class Says(Person):
        def tell(self, kind: str, data: Any, now_s: float) -> None:
            said = dict(data)
            if kind == "phase_entered" and "seizure" in data["words"] and data["phase"] == "before":
                said["expected"] = "yes"
            super().tell(kind, said, now_s)

    with stepped_treatment(request_of(tmp_path), Says()) as t:
        t.runner.run()
    assert t.told("treatment_begun") == []
    assert t.told("pulse_intended") == []
    (signed,) = t.told("checklist_signed")
    assert signed["eligible"] is False
    text, _, code = told(t.runner)
    assert code == 3
    assert "the checklist speaks against a treatment today" in text
    assert "no pulse was set out to be given" in text
    wanted(request_of(tmp_path), print)  # nothing was given: another session may begin


def test_only_the_words_that_are_shown_arm(tmp_path: Path) -> None:
    wrong = ["confirm 123", "confirm please"]

    class Mumbles(Person):
        def heard(self, now_s: float) -> list[Said]:
            out = super().heard(now_s)
            for i, said in enumerate(out):
                if said.word == "confirm" and wrong:
                    out[i] = Said(word="confirm", args=tuple(wrong.pop().split()[1:]))
            return out

        def tell(self, kind: str, data: Any, now_s: float) -> None:
            super().tell(kind, data, now_s)
            if kind == "disarmed" and "not confirmed" in data["reason"]:
                self._say(now_s, "arm")

    with stepped_treatment(request_of(tmp_path), Mumbles()) as t:
        t.runner.run()
    assert result_of(t).delivered == 30
    assert any("expected 'confirm', found 'confirm please'" in line for line in t.script.said)
    assert len([d for d in t.told("arm_requested") if d["accepted"]]) == 3
    assert len([d for d in t.told("arm_confirmed") if d["accepted"]]) == 1


def test_a_fault_that_disarms_is_armed_anew(tmp_path: Path) -> None:
    done: list[int] = []

    def fault(t: Treating) -> None:
        if len(t.runner.machine.given) == 1 and not done and t.runner.machine.armed:
            done.append(1)
            t.script.bench.inject({"kind": "freeze", "for_s": 0.4})

    t = held(tmp_path, faults=fault)
    assert result_of(t).ended is Ended.COMPLETE
    assert len(t.told("arm_confirmed")) >= 2
    assert any(d["action"] == "disarm" for d in t.told("fault_raised"))


def test_a_unit_that_was_silent_for_a_while_is_armed_again(tmp_path: Path) -> None:
    done: list[float] = []

    def mute(t: Treating) -> None:
        if len(t.runner.machine.given) == 1 and not done and t.runner.machine.running is None:
            done.append(t.script.clock.now_s())
            t.script.bench.inject({"kind": "mute", "end_s": 3.0})

    t = held(tmp_path, faults=mute)
    assert result_of(t).ended is Ended.COMPLETE
    assert [d["action"] for d in t.told("fault_raised") if d["fault"] == "unit_silent"][:1] == ["disarm"]
    assert starts_of(t)[1] - done[0] < 30.0
    words = [d["word"] for d in t.told("command_received") if d["args"][-1:] == ["by the simulated operator"]]
    assert words.count("arm") == len(t.told("arm_requested"))  # whatever comes of a word is journalled


def test_a_trip_ends_the_run_and_what_was_given_is_counted(tmp_path: Path) -> None:
    def fault(t: Treating) -> None:
        if len(t.runner.machine.given) == 2:
            t.script.tms.stop()

    t = held(tmp_path, faults=fault)
    given = result_of(t)
    assert (given.ended, given.delivered, given.refused) == (Ended.TRIPPED, 20, 10)
    assert given.words.startswith("STOP was pressed")
    assert told(t.runner)[2] == 5


def test_ctrl_c_is_counted_too(tmp_path: Path) -> None:
    with stepped_treatment(request_of(tmp_path), Person()) as t:
        turn = t.runner.turn

        def turned() -> None:
            if len(t.runner.machine.given) == 1:
                raise KeyboardInterrupt
            turn()

        t.runner.turn = turned  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            t.runner.run()
    (given,) = t.told("treatment_given")
    assert (given["ended"], given["delivered"], given["refused"]) == ("stopped", 10, 20)
    assert t.told("session_ended")[0]["words"].startswith("interrupted")
    assert not t.script.armed


def test_what_cannot_be_written_down_at_the_end_is_said_and_the_last_record_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no count")

    monkeypatch.setattr("rtloop.app.treat_given.counted", fails)
    with (
        stepped_treatment(request_of(tmp_path), Person((*in_pause(2), "stop"))) as t,
        pytest.raises(ValueError, match="no count"),
    ):
        t.runner.run()
    assert t.told("treatment_given") == []
    assert t.told("session_ended")
    assert any("could not be written down: ValueError: no count" in line for line in t.script.said)
    monkeypatch.undo()
    read = read_journal(t.script.folder.journal)
    found = treatment_of(read.events, head_hash=read.head_hash)
    assert found is not None
    assert (found.ended, found.delivered, found.refused) == (Ended.CRASHED, 10, 20)


def test_a_hot_coil_is_waited_for_and_no_train_begins_meanwhile(tmp_path: Path) -> None:
    done: list[float] = []

    def heat(t: Treating) -> None:
        m, now_s = t.runner.machine, t.script.clock.now_s()
        if len(m.given) == 1 and m.running is None and not done:
            t.script.bench.inject({"kind": "hot_coil", "temp_c": 39.5, "end_s": 60.0})
            done.append(now_s)

    t = held(tmp_path, faults=heat)
    assert result_of(t).ended is Ended.COMPLETE
    _, b, _ = starts_of(t)
    assert b - done[0] >= 60.0
    cooling = [d for d in t.told("phase_entered") if d["phase"] == "cooling"]
    assert "39.5 °C" in cooling[0]["words"]
    assert "waits at most 30 minutes" in cooling[0]["words"]
    assert cooling[0]["until_s"] is not None
    assert len(t.told("arm_confirmed")) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"participant": "Anna"}, "no participant's code"),
        ({"target": "V5"}, "does not treat V5"),
        ({"plan": "no-such-plan"}, "no-such-plan"),
        ({"port": "/dev/ttyUSB0"}, "does not go with --simulate"),
        ({"simulate": False}, "--threshold"),
        ({"simulate": False, "participant": None, "by": ""}, "--participant, --threshold, --by"),
        ({"simulate": False, "ask": True}, "--ask works only with --simulate"),
        ({"plan": "treat-10hz-trial", "target": "M1"}, "train_longest_tested"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(RtloopError) as no:
        wanted(request_of(tmp_path, **changes), print)
    assert words in str(no.value)
    assert isinstance(no.value, UsageProblem | ValidationProblem)
    assert not (tmp_path / "data").exists()


def test_a_request_without_a_plan_is_the_quick_one_only_in_a_simulation(tmp_path: Path) -> None:
    want, setting = wanted(TreatRequest(simulate=True, data_dir=tmp_path / "data"), print)
    assert want.plan.name == "treat-quick"
    assert setting.participant.startswith("SIM")
    with pytest.raises(UsageProblem, match="no treatment plan is named"):
        wanted(TreatRequest(data_dir=tmp_path / "data"), print)
