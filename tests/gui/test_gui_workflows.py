"""Whole sessions at the real window with a real engine on the simulated bedside, from the first click to the report."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rtloop.record.verify import verify

if TYPE_CHECKING:
    from gui_walk import Walker

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are ended by POSIX signals")
ARMED = ("ARMED", "HELD")


def test_a_mapping_from_the_first_click_to_the_report(tmp_path: Path, walk: Callable[..., Walker]) -> None:
    from gui_walk import lives, small_form, small_plan

    w = walk(small_form(tmp_path, small_plan(tmp_path, "M1", "DLPFC", wanted=3, question="low")))
    start = w.window.screen("start")
    assert w.window.here == "start"
    assert not start.start.isEnabled()  # devices and plan are still being looked at
    assert "SIMULATED" in w.window.stripe.line.text
    w.start()
    assert w.window.stripe.line.text.count("SIMULATED")
    assert [t.name for t in w.shown.preflight if t.tone != "good"] == []
    assert len(w.shown.preflight) >= 5
    assert w.window.screen("session").checks.list.lines.rowCount() == len(w.shown.preflight)
    assert not w.window.nav.buttons["start"].isEnabled()  # one session at a time
    w.until_says("M1", within_s=20.0)  # a computer that stood still for a moment says so first

    # -- place, two steps of arming; each only in its turn
    assert not w.enabled("arm")
    assert not w.enabled("confirm")
    w.say("placed")
    w.until_phase("arm")
    w.until(lambda: w.enabled("arm"), "arm is offered", 5.0)
    assert not w.enabled("confirm")
    w.arm()
    w.until(lambda: w.shown.pulses.rows, "the first pulse", 10.0)

    # -- intensity: both steps of the plan, the first one once more, then go at it
    w.through("go")
    steps = {s.power_pct_mso: s for s in w.shown.early.steps}
    assert set(steps) == {40, 45}
    assert all(s.n_accepted + s.n_rejected == 1 for s in steps.values())
    w.say("preview", "40")
    w.through("arm", "preview")
    w.through("go")
    w.say("go", "40")
    w.until_phase("arm")
    assert "40 % MSO" in w.shown.question.words
    w.through("review")

    # -- an accepted trial taken out and reinstated: the count follows, the record shows it
    row = next(r for r in w.shown.trials if r.accepted and r.block == "M1")
    n = _accepted(w, "M1")
    w.window.screen("session").trials.chosen.emit(row.trial_id)
    w.until(lambda: w.shown.trial.trial_id == row.trial_id, "the chosen trial is shown", 5.0)
    w.say("take_out", str(row.trial_id))
    w.until(lambda: _accepted(w, "M1") == n - 1, "one trial less", 5.0)
    w.say("reinstate", str(row.trial_id))
    w.until(lambda: _accepted(w, "M1") == n, "the trial is back", 5.0)
    moved = [e.kind for e in w.events() if e.kind in ("trial_taken_out", "trial_reinstated")]
    assert moved == ["trial_taken_out", "trial_reinstated"]
    w.write_note("coil at C3, second try")

    # -- the second target: its preview once more from the place on, then left out
    w.say("accept")
    w.until(lambda: w.phase == "place" and "DLPFC" in w.shown.question.words, "the second target", 10.0)
    w.place_and_arm()
    w.through("go")
    w.say("redo")
    w.until_phase("place")
    w.say("skip")
    running = w.pids()
    assert set(running) >= {"engine", "port", "recorder"}
    w.until_report()
    w.until(
        lambda: not [p for p in running.values() if lives(p)], "every process of the session has ended", 10.0
    )

    assert not w.window.stop_place.button.isEnabled()
    assert "report.html" in w.status
    assert Path(w.shown.report).is_file()
    assert w.shown.report.endswith("report.html")
    decision = w.events("decision_made")[-1].data
    assert any(str(decision["words"])[:40] in line.text for line in w.shown.scores.words), (
        w.shown.scores.words
    )
    assert "coil at C3, second try" in Path(w.shown.report).read_text()
    folder = w.folder
    assert verify(folder.path).ok
    ran = [
        e.data
        for e in w.events("pulse_intended")
        if e.data["power_pct_mso"] == 40 and e.data["purpose"] == "mapping"
    ]
    assert len(ran) >= 3  # at the intensity that was chosen, not at the plan's

    # -- looked back at
    w.click(w.window.screen("session").look_back)
    w.until(lambda: w.window.here == "reviewed", "the review", 60.0)
    again = w.window.reviewed
    assert again is not None
    assert again.shown is not None
    assert again.shown.banner.text.startswith("REVIEW")
    assert not w.window.stop_place.button.isEnabled()
    screen = w.window.screen("reviewed")
    w.until(
        lambda: screen.trials.list.lines.rowCount() == len(w.shown.trials), "every trial in the review", 5.0
    )
    assert again.source.pages is not None
    assert again.source.pages.block("M1") is not None
    assert screen.targets.table.item(0, 1).text().startswith(f"{n} ")
    assert [r.accepted for r in again.shown.trials] == [r.accepted for r in w.shown.trials]
    assert again.shown.scores.table[0].global_ == w.shown.scores.table[0].global_

    w.go("settings")
    w.go("start")
    assert w.window.here == "start"
    assert w.window.screen("start").start.isEnabled()


def _accepted(w: Walker, block: str) -> int:
    return sum(r.accepted for r in w.shown.trials if r.block == block)


def test_a_probe_by_the_keyboard_alone(tmp_path: Path, walk: Callable[..., Walker]) -> None:
    from gui_walk import small_form, small_plan

    plan = small_plan(tmp_path, kind="probe", wanted=2, steps=(45,))
    w = walk(small_form(tmp_path, plan, kind="probe"))
    w.by_keyboard = True
    w.start()
    assert w.shown.kind == "probe"
    assert w.shown.title.startswith("Probe")
    w.place_and_arm()
    w.through("go")
    w.say("go")
    w.until_phase("arm")
    w.arm()
    w.through("review")
    w.key("Ctrl+T", w.window)  # the trial that is looked at
    w.until(lambda: w.events("trial_taken_out") or w.events("trial_reinstated"), "the trial moved", 5.0)
    w.write_note("no mouse")
    w.key("Tab")  # out of the field
    w.say("accept")
    w.until_report()
    assert [e.data["words"] for e in w.events("note_written") if e.data.get("by") == "operator"] == [
        "no mouse"
    ]
    assert w.events("session_ended")[-1].data["clean"]
    assert [r.target for r in w.shown.scores.table] == ["M1"]
    assert verify(w.folder.path).ok
    w.go("review")
    w.key("Ctrl+D", w.window)
    assert w.window.memory.theme == "dark"


def test_listening_only(tmp_path: Path, walk: Callable[..., Walker]) -> None:
    from gui_walk import small_form

    w = walk(small_form(tmp_path, "watch", kind="watch", mode=""))
    w.start()
    assert w.shown.unit.lamp == "LISTEN"
    assert not w.window.stop_place.button.isEnabled()
    assert "no unit is connected" in w.window.stop_place.words
    for word in ("arm", "confirm", "go", "placed"):
        assert w.button(word) is None
    w.until(lambda: sum(r.accepted for r in w.shown.trials) >= 2, "trials of somebody else's pulses", 30.0)
    assert w.window.screen("session").trial.clean.lines is not None
    w.end()
    assert not w.events("pulse_intended")
    assert w.events("pulse_seen")
    assert Path(w.shown.report).is_file()


def test_a_blinded_mapping_shows_no_score_anywhere(tmp_path: Path, walk: Callable[..., Walker]) -> None:
    from gui_walk import numbers_of_scores, shown_texts, small_form, small_plan

    plan = small_plan(tmp_path, wanted=4, steps=(45,), blinded=True)
    w = walk(small_form(tmp_path, plan))
    w.start()
    w.place_and_arm()
    w.through("go")
    w.say("go")
    w.until_phase("arm")
    w.arm()
    w.through("review", within_s=80.0)
    screen = w.window.screen("session")
    scores = numbers_of_scores(w.events())
    assert scores  # there are some to be hidden
    assert screen.scores.plots.isHidden()
    assert "blinded" in screen.scores.masked.text()
    assert not screen.scores.global_.drawn
    assert not screen.scores.local.drawn
    assert [screen.targets.table.item(0, j).text() for j in (3, 4, 6, 7)] == ["masked"] * 4
    _none_of(scores, shown_texts(w.window))
    w.say("accept")
    w.until_report()
    _none_of(scores, shown_texts(w.window))
    _none_of(scores, [re.sub(r"<[^>]+>", " ", Path(w.shown.report).read_text())])
    w.click(screen.look_back)
    w.until(lambda: w.window.here == "reviewed", "the review", 60.0)
    w.rest(0.3)
    seen = w.window.screen("reviewed")
    assert seen.scores.plots.isHidden()
    assert not seen.scores.global_.drawn
    for place in range(seen.tabs.count()):
        seen.tabs.setCurrentIndex(place)
        w.rest(0.2)
        _none_of(scores, shown_texts(w.window))
    assert "masked" in seen.beside.text.toPlainText()
    folder = w.folder.path
    w.close()

    open_ = walk(small_form(tmp_path, plan), role="unblinded")
    open_.go("review")
    review = open_.window.screen("review")
    open_.until(lambda: review.list.count() == 1, "the session in the list", 5.0)
    review.list.setCurrentRow(0)
    assert review.path.text() == str(folder)
    open_.click(review.open_button)
    open_.until(lambda: open_.window.here == "reviewed", "the review", 60.0)
    seen = open_.window.screen("reviewed")
    open_.until(lambda: seen.scores.global_.drawn, "the scores", 5.0)
    assert not seen.scores.plots.isHidden()
    assert [c for c in seen.targets.table.item(0, 3).text() if c.isdigit()]


def _none_of(scores: set[str], texts: list[str]) -> None:
    found = [(s, t) for t in texts for s in scores if re.search(rf"(?<![\d.]){re.escape(s)}(?![\d.])", t)]
    assert not found, found[:5]


def test_a_plan_that_breaks_limits_starts_nothing(tmp_path: Path, walk: Callable[..., Walker]) -> None:
    from gui_walk import small_form, small_plan

    plan = small_plan(tmp_path, "M1", "DLPFC", wanted=900)
    too_many = plan.read_text().replace("pulses_total_max = 60", "pulses_total_max = 4000")
    plan.write_text(too_many.replace("isi_s = [2.02, 2.06]", "isi_s = [0.5, 0.6]").replace(
        "power_pct_mso_max = 49", "power_pct_mso_max = 42"))  # fmt: skip
    w = walk(small_form(tmp_path, plan))
    start = w.window.screen("start")
    w.until(lambda: start.known.check_error and start.known.devices is not None, "the plan was read", 30.0)
    w.rest(0.2)
    seen = "\n".join(line.text for line in start.shown.plan_words)
    for target in (0, 1):  # every one, not the first
        assert f"shorter than the unit's gap at targets[{target}]" in seen
        assert f"targets[{target}].intensity_pct_mso: the intensity is over the plan's own cap" in seen
    assert not start.start.isEnabled()
    assert start.start.toolTip()
    assert (
        any("plan" in line.text.lower() for line in start.plan.lines)
        if hasattr(start.plan, "lines")
        else True
    )

    plan.write_text(too_many)
    w.click(start.again)  # the file was mended here and spoiled there
    w.until(
        lambda: start.known.rehearsed is not None and start.known.devices is not None, "the rehearsal", 30.0
    )
    w.rest(0.2)
    problems = start.known.rehearsed.problems
    assert len(problems) >= 2, problems
    seen = "\n".join(line.text for line in start.shown.plan_words)
    for problem in problems:
        assert problem in seen
    assert not start.start.isEnabled()
    assert start.start.toolTip()
    w.key("Ctrl+Return", start)
    w.rest(0.5)
    assert w.window.here == "start"
    assert not w.desk._engines
    assert not list((tmp_path / "data").glob("*_*"))


@pytest.mark.req("R-STOP")
def test_stop_from_every_place(tmp_path: Path, walk: Callable[..., Walker]) -> None:
    """One session; STOP is asked for by Esc from each place (its request is counted), by the button at the end for real."""
    from gui_walk import small_form, small_plan
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    w = walk(small_form(tmp_path, small_plan(tmp_path, wanted=8)))
    w.start()
    w.place_and_arm()
    w.until(lambda: w.shown.pulses.rows, "a pulse", 10.0)
    live = w.window.live
    assert live is not None
    asked: list[str] = []
    real_stop, where = live.source.stop, ""
    live.source.stop = lambda: bool(asked.append(where)) or True

    def escape(name: str, key_into: Any = None) -> None:
        nonlocal where
        where = name
        n = asked.count(name)
        assert w.window.stop_place.isVisible(), name
        assert w.window.stop_place.button.isEnabled(), name
        assert not w.window.stop_place.button.visibleRegion().isEmpty(), name
        w.key("Esc", key_into)
        assert asked.count(name) > n, f"Esc did nothing in {name}"
        QTest.mousePress(w.window.stop_place.button, Qt.MouseButton.LeftButton)
        QTest.mouseRelease(w.window.stop_place.button, Qt.MouseButton.LeftButton)
        assert asked.count(name) > n + 1, f"the button did nothing in {name}"

    escape("session")
    screen = w.window.screen("session")
    screen.note.setFocus(Qt.FocusReason.OtherFocusReason)
    QTest.keyClicks(screen.note, "half a no")
    escape("note", screen.note)
    assert screen.note.text() == "half a no"
    screen.scores.bands.showPopup()
    w.until(screen.scores.bands.view().isVisible, "the popup", 20.0)
    escape("popup", screen.scores.bands.view())
    screen.scores.bands.hidePopup()
    if screen.bedside.isVisible():
        w.click(screen.bedside)
        escape("simulated bedside", screen.sheet.buttons["drop"])
    w.go("settings")
    escape("settings")
    w.go("review")
    escape("review")
    review = w.window.screen("review")
    w.click(w.pick_button("review", "Choose a file"))
    w.until(lambda: review.choosing.dialog is not None, "the choosing page", 20.0)
    escape("choosing", review.choosing.dialog)
    w.click(review.choosing.back)
    w.window.close()
    w.until(w.window.sheet.isVisible, "the close sheet", 20.0)
    escape("close sheet", w.window.sheet.first())
    w.click(w.window.sheet.buttons["stay"])
    assert not w.window.why_not("review")
    assert w.window.why_not("start")

    # -- and now for real, from the settings screen, while the unit is armed
    w.go("session")
    if w.shown.unit.lamp not in ARMED:
        w.through("run", "preview", "go")
    w.go("settings")
    live.source.stop = real_stop
    w.key("Esc")
    w.until(lambda: w.board("stop_served"), "the port process served it", 20.0)
    w.until(lambda: w.board("stop_confirmed") == 1, "the unit's own word", 3.0)
    assert (w.board("stop_served") - w.board("stop_asked")) * 1e-9 < 0.25
    assert w.board("unit_instr") & 0b110 == 0
    w.until(lambda: w.told("STOP", "disarmed"), "the status line", 20.0)
    last = w.events("pulse_intended")[-1].data["pulse_id"]
    w.until_report()
    assert w.events("pulse_intended")[-1].data["pulse_id"] == last
    assert (
        "STOP" in w.events("session_ended")[-1].data["words"]
        or w.events("fault_raised")[-1].data["fault"] == "stop"
    )


_ = signal
