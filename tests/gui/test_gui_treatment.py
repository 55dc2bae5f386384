"""A treatment at the real window with a real engine on the simulated Rapid², in real time: from the first click to the report."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rtloop.record.verify import verify

if TYPE_CHECKING:
    from gui_walk import Walker

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are ended by POSIX signals")
PLAN = """
[plan]
name = "short"
kind = "treat"
schema = 1
label = "assumed"
citation = "none: a test"

[unit]
model = "super-rapid"
waveform = "biphasic"

[trains]
frequency_hz = 10.0
pulses = 5
count = 2
pause_s = 5.1

[ramp_up]
steps_pct_rmt = [60.0]
trains_each = 1

[threshold]
method = "EMG"
max_age_days = 7

[caps]
power_pct_mso_max = 60
pulses_session_max = 10

[[targets]]
name = "M1"
coil_at = "C3"
coil = "figure of eight"
current_direction = "PA"
intensity_pct_rmt = 80.0
"""
BEFORE = ("yes", "yes", "no", "no", "no", "no", "no", "no", "yes", "yes", "yes")
AFTER = (*["none"] * 7, "no", "no", "yes")


def treat_form(tmp_path: Path) -> Any:
    from gui_walk import small_form

    plan = tmp_path / "short.toml"
    plan.write_text(PLAN)
    return small_form(tmp_path, plan, kind="treat", by="A. Nurse")


def answer_and_sign(w: Walker, answers: tuple[str, ...]) -> None:
    """Each question as the list expects it, then the name that stands there."""
    for place, answer in enumerate(answers, start=1):
        w.until(
            lambda place=place: f" {place}/{len(answers)}:" in w.shown.question.words,
            f"question {place}",
            5.0,
        )
        w.say(answer)
    w.until(lambda: w.shown.treatment.field == "name", "it is to be signed", 5.0)
    if w.by_keyboard:
        field = w.window.screen("session").field
        w.until(field.hasFocus, "the name has the keyboard", 3.0)
        w.key("Return", field)
    else:
        w.say("sign")


def test_a_treatment_from_the_first_click_to_the_report(tmp_path: Path, walk: Callable[..., Walker]) -> None:
    from gui.screens.treatment import TreatmentScreen

    w = walk(treat_form(tmp_path))
    w.start()
    screen = w.window.screen("session")
    assert isinstance(screen, TreatmentScreen)
    assert w.window.stack.currentWidget() is screen
    assert w.shown.title == "Treatment · P017 · short"

    # -- an answer that needs words is not taken without them
    w.say("yes")
    w.say("yes")
    for answer in ("no", "no", "no"):
        w.say(answer)
    w.until(lambda: " 6/11:" in w.shown.question.words, "the sixth question", 5.0)
    w.say("yes")
    w.until(lambda: "needs words" in screen.answer.text(), "why it is not taken", 5.0)
    w.until(screen.field.hasFocus, "the words have the keyboard", 3.0)
    w.type_into(screen.field, "aspirin yesterday")
    w.say("yes")
    for answer in BEFORE[6:]:
        w.say(answer)
        w.rest(0.1)
    w.until(lambda: w.shown.treatment.field == "name", "it is to be signed", 5.0)
    w.say("sign")
    w.until_phase("arm")
    assert [b.word for b in w.shown.question.buttons] == ["arm", "confirm"]
    w.arm()
    w.until(lambda: w.shown.treatment.trains, "the first train", 15.0)

    # -- in the pause: a sensation, a pause, and on again
    w.until(lambda: w.phase == "pause" and w.shown.treatment.share is not None, "the pause", 10.0)
    w.say("sensation")
    w.until(screen.telling.felt.hasFocus, "the sensation has the keyboard", 3.0)
    w.type_into(screen.telling.felt, "tingling")
    w.key("Return", screen.telling.felt)
    w.until(lambda: w.shown.treatment.told, "it is told", 5.0)
    w.until(lambda: not screen.telling.felt.text(), "it left its field", 3.0)
    screen.question.setFocus()
    w.say("pause")
    w.until_phase("paused")
    w.until_lamp("READY", within_s=3.0)
    w.say("resume")
    w.through("after", within_s=40.0)
    answer_and_sign(w, AFTER)
    w.until_report()

    assert w.shown.question.words.startswith(
        "complete: 10 pulses planned = 10 delivered + 0 not given + 0 uncertain"
    )
    assert Path(w.shown.report).is_file()
    assert screen.report.isVisible()
    assert verify(w.folder.path).ok
    signed = [(e.data["when"], e.data["signed_by"]) for e in w.events("checklist_signed")]
    assert signed == [("before", "A. Nurse"), ("after", "A. Nurse")]
    assert "aspirin yesterday" in w.events("checklist_signed")[0].data["findings"][0]
    assert {e.data["by"] for e in w.events("arm_confirmed") if "by" in e.data} <= {"person at the window"}

    # -- looked back at: a screen of its own, which says nothing to anybody
    w.click(screen.look_back)
    w.until(lambda: w.window.here == "reviewed", "the review", 60.0)
    again = w.window.stack.currentWidget()
    assert isinstance(again, TreatmentScreen)
    assert again is not screen
    place = w.window.reviewed
    assert place is not None
    assert place.shown is not None
    assert place.shown.question.words == w.shown.question.words
    assert place.shown.always == ()
    assert not again.telling.buttons["sensation"].isEnabled()


def test_a_window_that_leaves_without_a_word_disarms_the_treatment_and_the_next_one_goes_on(
    tmp_path: Path, walk: Callable[..., Walker]
) -> None:
    (tmp_path / "data").mkdir()
    plan = tmp_path / "short.toml"
    plan.write_text(PLAN)
    command = [sys.executable, "-m", "rtloop.app.cli", "treat", str(plan), "--simulate", "--window", "--participant", "P017",
               "--by", "A. Nurse", "--data-dir", str(tmp_path / "data")]  # fmt: skip
    log = (tmp_path / "engine.txt").open("w")
    engine = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        w = walk(treat_form(tmp_path))
        found = w.until(
            lambda: [f for f in w.desk.running() if (f.path / "link").exists()], "the engine", 60.0
        )
        w.window.join(found[0].path)
        w.until(lambda: w.numbers.seat == "ours", "the seat", 10.0)
        w.by_keyboard = True
        answer_and_sign(w, BEFORE)
        w.until_phase("arm")
        w.arm()
        w.window._beat_timer.stop()  # no more sign of life; killed for good: tests/scenario/test_treat_window_killed.py
        w.window.live.source.close()
        lamps = w.folder
        w.until(lambda: any(e.data["fault"] == "operator_gone" and e.data["action"] == "disarm"
                            for e in w.events("fault_raised", lamps)), "disarmed", 6.0)  # fmt: skip
        w.until(
            lambda: w.events("lamp_changed", lamps)[-1].data["after"] in ("SAFE", "READY"), "the lamp", 5.0
        )
        again = walk(treat_form(tmp_path), attach=found[0].path)
        again.until(lambda: again.numbers.seat == "ours", "the seat, once more", 10.0)
        again.say("stop")
        again.until_phase("after", within_s=20.0)
        again.say("stop")
        again.until_report()
        assert engine.wait(20.0) == 6
    finally:
        if engine.poll() is None:
            engine.send_signal(signal.SIGTERM)
            engine.wait(20.0)
        log.close()
