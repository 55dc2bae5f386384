"""What the start screen says, without Qt: every reason that keeps Start disabled, and what became of a start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gui.desk import Devices, Exit, Form, Rehearsed
from gui.shown import Line, Tick, Tone
from gui.starting import Known, Under, mode_line, mode_words, plan_lines, problems_of, start_shown

SIM = Form(kind="map", plan="quick", simulate=True, mode="SIMULATED")
REAL = Form(kind="map", plan="map-200", participant="P017", mode="BENCH")
GOOD = Known(
    devices=Devices(ticks=(Tick(name="EEG stream", expected="one", found="'amp'", tone=Tone.GOOD),)),
    rehearsed=Rehearsed(words=(Line(text="quick (map): 48 pulses"),), kind="map"),
)
UNDER = Under(run_id="12345678", since_s=100.0)


def test_a_whole_form_may_be_started() -> None:
    for form in (SIM, REAL):
        shown = start_shown(form, GOOD, 0.0)
        assert shown.problems == ()
        assert shown.start.enabled
        assert shown.start.why_not == ""
        assert shown.status.tone is Tone.GOOD
    assert "simulated" in start_shown(SIM, GOOD, 0.0).start.text


@pytest.mark.parametrize(
    ("form", "part"),
    [
        (replace(REAL, participant=""), "pseudonymous code"),
        (replace(REAL, participant="Jane Doe"), "never a name"),
        (replace(REAL, mode="HUMAN"), "rtloop map --mode human --plan PLAN --participant CODE"),
        (replace(REAL, plan=""), "choose one"),
        (replace(SIM, background="/nowhere/at-all.xdf"), "/nowhere/at-all.xdf"),
        (replace(SIM, faults="/nowhere/faults.toml"), "Faults"),
        (replace(REAL, waivers="/nowhere/signed.toml"), "Waivers: there is no file /nowhere/signed.toml"),
    ],
)
def test_each_lack_of_the_form_keeps_start_disabled_and_is_listed(form: Form, part: str) -> None:
    shown = start_shown(form, GOOD, 0.0)
    assert not shown.start.enabled
    assert len(shown.problems) == 1
    assert part in shown.problems[0]
    assert shown.start.why_not == shown.problems[0]


TREAT = Form(
    kind="treat", plan="treat-10hz-4s", participant="P017", mode="BENCH", by="A. Nurse", threshold=__file__
)


def test_a_treatment_names_who_treats_whom_and_from_which_threshold(tmp_path: Path) -> None:
    treats = replace(GOOD, rehearsed=Rehearsed(kind="treat"))
    assert problems_of(TREAT, treats) == ()
    simulated = replace(TREAT, simulate=True, mode="SIMULATED", by="", threshold="", participant="")
    assert problems_of(simulated, treats) == ()
    for lacking, part in (
        (replace(TREAT, by=""), "Treated by"),
        (replace(TREAT, threshold=""), "choose the file that rtloop threshold wrote"),
        (replace(TREAT, threshold="/nowhere/threshold.json"), "Threshold: there is no file"),
        (replace(TREAT, participant="subject_1"), "such as P017"),
        (replace(TREAT, mode="HUMAN"), "a treatment: rtloop treat"),
        (replace(TREAT, study="/nowhere/at-all"), "Study: there is no folder"),
    ):
        assert [part in p for p in problems_of(lacking, treats)] == [True], lacking
    of_a_study = replace(TREAT, study=str(tmp_path), plan="")
    shown = start_shown(of_a_study, replace(GOOD, rehearsed=None), 0.0)
    assert shown.problems == ()  # the calendar names the plan
    assert "calendar" in shown.plan_words[0].text


def test_listening_needs_neither_a_commissioned_mode_nor_files_of_a_unit() -> None:
    listening = replace(GOOD, rehearsed=Rehearsed(kind="watch"))
    form = Form(kind="watch", plan="watch", participant="P1", mode="HUMAN", waivers="/nowhere/signed.toml")
    assert problems_of(form, listening) == ()
    assert mode_line(form).text == "LISTEN"
    assert "nothing can be fired" in mode_words(form)


def test_every_breach_of_a_plan_is_listed_and_shown() -> None:
    breaches = (
        "M1, pulse 30: rmt_cap: expected <= 140, found 150; lower it (Rossi 2021)",
        "M1: interval: ...",
    )
    known = replace(GOOD, rehearsed=Rehearsed(words=(Line(text="bad"),), problems=breaches, kind="map"))
    assert [p.removeprefix("Plan: ") for p in problems_of(SIM, known)] == list(breaches)
    assert [x.text for x in plan_lines(known) if x.tone is Tone.BAD] == list(breaches)
    assert not any("breaks no rule" in x.text for x in plan_lines(known))


def test_a_plan_of_another_kind_and_one_that_cannot_be_read_are_told() -> None:
    other = replace(GOOD, rehearsed=Rehearsed(kind="probe"))
    assert "Probe M1" in problems_of(SIM, other)[0]
    unread = replace(GOOD, rehearsed=None, check_error="the plan x has 1 problem")
    assert problems_of(SIM, unread) == ("Plan: the plan x has 1 problem",)


def test_what_is_not_known_yet_keeps_start_disabled() -> None:
    shown = start_shown(SIM, Known(), 0.0)
    assert not shown.start.enabled
    assert len(shown.problems) == 2
    assert shown.status.tone is Tone.PLAIN
    assert shown.devices[0].tone is Tone.OFF


def test_a_device_that_is_not_as_expected_comes_with_what_to_do() -> None:
    bad = Tick(
        name="EEG stream",
        expected="one",
        found="no LSL stream at all",
        tone=Tone.BAD,
        todo="start the outlet",
    )
    (problem,) = problems_of(REAL, replace(GOOD, devices=Devices(ticks=(bad,))))
    assert problem == "EEG stream: no LSL stream at all. Start the outlet."
    (problem,) = problems_of(REAL, replace(GOOD, devices=None, devices_error="no answer within 30 s"))
    assert "no answer" in problem


def _items(ok: bool) -> dict[str, object]:
    return {
        "items": [
            {"name": "disk", "ok": True, "expected": ">= 1 GB free", "found": "70 GB free"},
            {"name": "unit", "ok": ok, "expected": "coil", "found": "no coil", "todo": "plug the coil in"},
        ]
    }


def test_a_start_shows_its_steps_and_passes_only_when_every_tick_is_good() -> None:
    under = UNDER.heard("journal_opened", {}).heard("session_started", {})
    shown = start_shown(SIM, replace(GOOD, under=under), 103.0)
    assert not shown.start.enabled
    assert "the session is set (3 s)" in shown.status.what
    assert not under.heard("preflight_checked", {"items": []}).passed
    assert not under.heard("preflight_checked", _items(False)).passed
    assert under.heard("preflight_checked", _items(True)).passed


def test_a_failed_preflight_says_what_to_do_and_lets_one_try_again() -> None:
    under = replace(
        UNDER.heard("preflight_checked", _items(False)), exit=Exit(code=4, words=("it did not pass",))
    )
    shown = start_shown(SIM, replace(GOOD, under=under), 103.0)
    assert shown.start.enabled
    assert shown.status.tone is Tone.BAD
    assert "unit: no coil" in shown.status.what
    assert "plug the coil in" in shown.status.todo
    assert [t.tone for t in shown.preflight] == [Tone.GOOD, Tone.BAD]


def test_an_engine_that_never_came_to_its_preflight_is_told_in_its_own_words() -> None:
    words = ("no unit is named", "expected: --port PORT", "what to do: name the unit's port")
    shown = start_shown(SIM, replace(GOOD, under=replace(UNDER, exit=Exit(code=2, words=words))), 101.0)
    assert "no unit is named" in shown.status.what
    assert shown.status.todo == "name the unit's port"
    assert shown.status.more == ("expected: --port PORT",)
    silent = start_shown(SIM, replace(GOOD, under=replace(UNDER, exit=Exit(code=-9))), 101.0)
    assert "code -9" in silent.status.what


def test_nothing_of_qt_is_needed() -> None:
    source = Path(__file__).parents[2] / "gui" / "starting.py"
    assert "PySide6" not in source.read_text()
