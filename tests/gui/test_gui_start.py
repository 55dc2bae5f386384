"""The start screen, by the keyboard and the mouse: reasons, rehearsal, start, failed and passed pre-flight, rejoining."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from desk_tools import FakeDesk, of
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QPushButton

from gui.desk import Devices, Exit, Form, Rehearsed
from gui.screens.start import StartScreen
from gui.shown import Line, Tick, Tone
from gui.theme import DARK, LIGHT
from rtloop.record.folder import SessionFolder

SIM = Form(kind="map", simulate=True, seed=1)


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    return FakeDesk(data_dir=tmp_path)


@pytest.fixture
def screen(qtbot: Any, desk: FakeDesk) -> Iterator[StartScreen]:
    screen = _screen(qtbot, desk, SIM)
    yield screen
    screen.close_down()


def _screen(qtbot: Any, desk: FakeDesk, form: Form) -> StartScreen:
    screen = StartScreen(desk, LIGHT, form)
    qtbot.addWidget(screen)
    screen.resize(1200, 700)
    screen.show()
    qtbot.waitExposed(screen, timeout=20_000)
    screen.tick()
    return screen


def _settle(qtbot: Any, screen: StartScreen) -> None:
    screen._changed_s = 0.0  # nobody types any more
    screen.tick()
    screen.tick()


def test_a_treatment_takes_the_participants_newest_threshold(
    qtbot: Any, desk: FakeDesk, tmp_path: Path
) -> None:
    newest, older = tmp_path / "new.json", tmp_path / "old.json"
    for file in (newest, older):
        file.write_text("")
    desk.now_thresholds = ((str(newest), "47 % of maximum output (95 %: 45.1 to 48.8)"), (str(older), "46 %"))
    screen = _screen(qtbot, desk, Form(kind="treat", mode="BENCH", port="COM3", participant="P017"))
    treatment = screen.form.treatment
    assert treatment.isVisible()
    assert treatment.threshold.text == str(newest)
    assert treatment.words.text().startswith("47 % of maximum output (95 %: 45.1 to 48.8); 1 more")
    _settle(qtbot, screen)
    assert not screen.start.isEnabled()  # nobody treats yet
    treatment.by.setText("A. Nurse")
    _settle(qtbot, screen)
    assert screen.start.isEnabled(), screen.shown
    checked = of(desk, "check_treatment")[-1]
    assert (checked.plan, checked.threshold) == ("treat-10hz-4s", str(newest))
    treatment.threshold.edit.setText(
        str(older)
    )  # chosen by hand: it stays when the participant's are looked at again
    desk.now_thresholds = ()
    screen.form.participant.setText("P018")
    _settle(qtbot, screen)
    assert treatment.threshold.text == str(older)
    screen.begin()
    (form,) = of(desk, "start")
    assert (form.kind, form.by, form.participant, form.threshold) == ("treat", "A. Nurse", "P018", str(older))
    screen.close_down()


def test_another_kind_of_session_shows_and_says_nothing_of_a_treatment(qtbot: Any, desk: FakeDesk) -> None:
    screen = _screen(qtbot, desk, Form(kind="treat", simulate=True, by="A. Nurse", target="M1"))
    assert screen.form.treatment.isVisible()
    screen.form.kind.buttons["map"].click()
    assert not screen.form.treatment.isVisible()
    assert (screen.form.value().by, screen.form.value().target) == ("", "")
    screen.close_down()


def test_the_whole_simulated_bedside_is_one_key_away(qtbot: Any, desk: FakeDesk, screen: StartScreen) -> None:
    assert screen.start.isEnabled()
    assert screen.banner() == Line(text="SIMULATED", tone=Tone.ATTENTION)
    screen.form.kind.buttons["map"].setFocus()
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    (form,) = of(desk, "start")
    assert (form.kind, form.plan, form.simulate, form.mode) == ("map", "bedside", True, "SIMULATED")
    assert (form.seed, form.channels, form.rate_hz, form.scene) == (1, 63, 5000.0, "default")
    assert form.port == ""
    assert not screen.start.isEnabled()
    assert not screen.form.isEnabled()


def test_a_start_is_handed_over_only_when_the_preflight_passed_and_it_can_be_joined(
    qtbot: Any, desk: FakeDesk, screen: StartScreen
) -> None:
    got: list[Any] = []
    screen.started.connect(got.append)
    screen.begin()
    begun = screen._begun
    assert begun is not None
    desk.words = ("   [ok] disk: 77 GB free",)
    screen.tick()
    assert screen.shown is not None
    assert "disk: 77 GB" in screen.shown.status.todo
    desk.engine(begun, disk=True, unit=True)
    screen.tick()
    assert "the pre-flight is made" in screen.steps.words
    assert "unit: fine" in screen.preflight.words
    assert got == []
    desk.joinable = True
    screen.tick()
    assert got == [begun]
    screen.tick()
    assert got == [begun]
    assert screen.form.isEnabled()


def test_a_failed_preflight_keeps_the_screen_says_what_to_do_and_can_be_tried_again(
    qtbot: Any, desk: FakeDesk, screen: StartScreen
) -> None:
    told: list[Any] = []
    screen.told.connect(told.append)
    screen.started.connect(lambda _: pytest.fail("a failed pre-flight was handed over"))
    desk.joinable = True
    screen.begin()
    begun = screen._begun
    assert begun is not None
    desk.engine(begun, disk=True, coil=False)
    desk.exits[begun.run_id] = Exit(code=4, words=("the pre-flight did not pass",))
    screen.tick()
    assert "what to do: mend the coil" in screen.preflight.words
    assert told[-1].tone is Tone.BAD
    assert "mend the coil" in told[-1].todo
    assert screen.form.isEnabled()
    assert screen.start.isEnabled()
    qtbot.mouseClick(screen.start, Qt.MouseButton.LeftButton)
    assert len(of(desk, "start")) == 2
    assert screen.preflight.words == ""


def test_an_engine_that_dies_before_it_has_a_folder_is_told_in_its_words(
    desk: FakeDesk, screen: StartScreen
) -> None:
    screen.begin()
    assert screen._begun is not None
    desk.exits[screen._begun.run_id] = Exit(code=2, words=("no unit is named", "what to do: name the port"))
    screen.tick()
    assert screen.shown is not None
    assert "no unit is named" in screen.shown.status.what
    assert screen.shown.status.todo == "name the port"


def test_a_process_that_cannot_be_started_is_told(desk: FakeDesk, screen: StartScreen) -> None:
    desk.start_problem = "the engine could not be started"
    screen.begin()
    assert not screen.start.isEnabled()
    assert "could not be started" in screen.reasons.words
    desk.start_problem = ""
    screen.look_again()
    screen.tick()
    assert screen.start.isEnabled()


def test_a_plan_that_breaks_limits_shows_every_breach_and_cannot_be_started(
    qtbot: Any, desk: FakeDesk, screen: StartScreen
) -> None:
    breaches = tuple(
        f"M{k}, pulse 30: interval: expected >= 2 s, found 1 s; lengthen it (note {k})" for k in range(5)
    )
    desk.now_rehearsed["bad.toml"] = Rehearsed(words=(Line(text="bad"),), problems=breaches, kind="map")
    screen.form.plan.setEditText("bad.toml")
    screen.tick()
    assert not screen.start.isEnabled()  # while nothing is known about it, it cannot be started
    _settle(qtbot, screen)
    for breach in breaches:
        assert breach in screen.plan.words
    assert "breaks 5 rules" in screen.reasons.words
    screen.begin()
    assert of(desk, "start") == []


def test_a_real_bedside_needs_a_code_and_devices(qtbot: Any, desk: FakeDesk, screen: StartScreen) -> None:
    bad = Tick(
        name="unit 200",
        expected="/dev/ttyUSB0",
        found="no serial port",
        tone=Tone.BAD,
        todo="plug the cable in",
    )
    desk.now_devices = Devices(ticks=(bad,), streams=("amp",))
    qtbot.mouseClick(screen.form.mode.buttons["BENCH"], Qt.MouseButton.LeftButton)
    _settle(qtbot, screen)
    assert screen.form.plan.currentText() == "map-200"
    assert screen.form.real.isVisible()
    assert not screen.form.simulated.isVisible()
    assert "pseudonymous code" in screen.reasons.words
    assert "plug the cable in" in screen.devices.words
    assert [screen.form.stream.itemText(i) for i in range(screen.form.stream.count())] == ["amp"]
    assert screen.form.stream.currentText() == ""  # offered, not chosen
    qtbot.keyClicks(screen.form.participant, "P017")
    desk.now_devices = Devices(ticks=(replace(bad, tone=Tone.GOOD),))
    qtbot.keyClick(screen.form.participant, Qt.Key.Key_F5)
    _settle(qtbot, screen)
    assert screen.start.isEnabled()
    screen.begin()
    (form,) = of(desk, "start")
    assert (form.mode, form.participant, form.simulate, form.seed) == ("BENCH", "P017", False, None)
    assert screen.banner().text == "BENCH"


def test_human_is_disabled_and_says_why(screen: StartScreen) -> None:
    button = screen.form.mode.buttons["HUMAN"]
    assert not button.isEnabled()
    assert "commissioning record" in button.toolTip()
    for command in ("rtloop map --mode human --plan PLAN --participant CODE", "rtloop commission --by"):
        assert command in button.toolTip()  # also before anything is filled in


def test_listening_shows_no_unit_and_no_mode_of_one(qtbot: Any, desk: FakeDesk) -> None:
    screen = _screen(qtbot, desk, Form(kind="watch", mode="BENCH", participant="P1"))
    assert screen.banner().text == "LISTEN"
    assert not screen.form.port.isVisible()
    assert not screen.form.mode.buttons["HUMAN"].isVisible()
    assert screen.form.mode.buttons["BENCH"].text() == "REAL STREAM"
    screen.begin()
    (form,) = of(desk, "start")
    assert (form.kind, form.plan, form.mode, form.simulate) == ("watch", "watch", "", False)
    screen.close_down()


def test_another_kind_brings_its_own_plans(qtbot: Any, desk: FakeDesk, screen: StartScreen) -> None:
    qtbot.mouseClick(screen.form.kind.buttons["probe"], Qt.MouseButton.LeftButton)
    _settle(qtbot, screen)
    assert screen.form.plan.currentText() == "probe-m1-quick"
    assert of(desk, "check")[-1] == "probe-m1-quick"
    assert screen.start.text().startswith("Start probe m1")


def test_waivers_are_rehearsed_and_handed_to_the_engine_but_not_when_listening(
    qtbot: Any, desk: FakeDesk, screen: StartScreen
) -> None:
    file = desk.data_dir / "signed.toml"
    file.write_text("")
    screen.form.put("waivers", str(file))
    _settle(qtbot, screen)
    assert of(desk, "check")[-1] == f"bedside {file}"
    assert screen.form.waivers.isVisible()
    qtbot.mouseClick(screen.form.kind.buttons["watch"], Qt.MouseButton.LeftButton)
    assert not screen.form.waivers.isVisible()
    assert screen.form.value().waivers == ""
    qtbot.mouseClick(screen.form.kind.buttons["map"], Qt.MouseButton.LeftButton)
    _settle(qtbot, screen)
    screen.begin()
    assert of(desk, "start")[-1].waivers == str(file)


def test_running_sessions_can_be_rejoined(qtbot: Any, desk: FakeDesk) -> None:
    folder = SessionFolder.create(desk.data_dir, "abcd1234")
    desk.now_running = (folder,)
    screen = _screen(qtbot, desk, SIM)
    got: list[Any] = []
    screen.rejoin.connect(got.append)
    (button,) = screen.panels["running"].findChildren(QPushButton)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert got == [folder.path]
    desk.now_running = ()
    screen._running_s = -10.0
    screen.tick()
    assert not screen.panels["running"].isVisible()
    screen.close_down()


def test_a_path_is_chosen_on_a_page_of_the_window_itself(
    qtbot: Any, desk: FakeDesk, screen: StartScreen
) -> None:
    """No dialog: nothing may lie over the STOP."""
    (desk.data_dir / "my.toml").write_text("[plan]\n")
    qtbot.mouseClick(screen.form.plan_browse, Qt.MouseButton.LeftButton)
    dialog = screen.choosing.dialog
    assert dialog is not None
    assert dialog.window() is screen.window()
    assert QApplication.activeModalWidget() is None
    qtbot.mouseClick(screen.choosing.back, Qt.MouseButton.LeftButton)
    assert screen.pages.currentIndex() == 0
    screen._browse("plan")
    screen.choosing.dialog.fileSelected.emit(str(desk.data_dir / "my.toml"))
    assert screen.form.value().plan == str(desk.data_dir / "my.toml")
    assert screen.pages.currentIndex() == 0


def test_every_field_is_reached_by_the_keyboard(qtbot: Any, screen: StartScreen) -> None:
    screen.form.kind.buttons["map"].setFocus()
    seen = []
    for _ in range(40):
        seen.append(QApplication.focusWidget())
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    for field in (
        screen.form.plan,
        screen.form.participant,
        screen.form.seed,
        screen.form.background.edit,
        screen.start,
    ):
        assert any(w is field or (w is not None and w.parent() is field) for w in seen), field


def test_leaving_cancels_what_is_under_way(qtbot: Any, desk: FakeDesk) -> None:
    desk.slow = True
    screen = _screen(qtbot, desk, SIM)
    assert not screen.start.isEnabled()
    assert "still being" in screen.reasons.words
    screen.close_down()
    assert all(job.cancelled for job in desk.jobs)
    screen.set_theme(DARK)
