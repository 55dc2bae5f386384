"""The settings screen: values with their origin, saving what changed, problems in words, theme and size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from desk_tools import FakeDesk
from PySide6.QtCore import Qt

from gui.desk import Settings
from gui.screens.settings import SettingsScreen
from gui.shown import Tone
from gui.theme import DARK, LIGHT
from rtloop.errors import ValidationProblem

SITE = Settings(
    file="/etc/rtloop.toml", mode="BENCH", data_dir="/data", stream="BrainAmp", port="/dev/ttyUSB0",
    origin=(("stream.name", "/etc/rtloop.toml (--site)"), ("caps.max_power_pct_mso", "/etc/rtloop.toml (--site)"),
            ("markers.name", "built-in default")),
)  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    return FakeDesk(data_dir=tmp_path, now_settings=SITE)


@pytest.fixture
def screen(qtbot: Any, desk: FakeDesk) -> Iterator[SettingsScreen]:
    screen = SettingsScreen(desk, LIGHT)
    qtbot.addWidget(screen)
    screen.resize(1200, 700)
    screen.show()
    qtbot.waitExposed(screen, timeout=20_000)
    yield screen
    screen.close_down()


def test_values_come_with_their_origin(screen: SettingsScreen) -> None:
    assert screen.stream.text() == "BrainAmp"
    assert screen.mode.currentText() == "BENCH"
    assert "/etc/rtloop.toml (--site)" in screen.origins["stream"].text()
    assert "built-in default" in screen.origins["markers"].text()
    assert "caps.max_power_pct_mso" in screen.others.text()
    assert "/etc/rtloop.toml" in screen.file.text()
    assert not screen.save_button.isEnabled()


def test_what_is_typed_is_saved_by_a_key(qtbot: Any, desk: FakeDesk, screen: SettingsScreen) -> None:
    told: list[Any] = []
    screen.told.connect(told.append)
    qtbot.keyClicks(screen.markers, "triggers")
    assert screen.save_button.isEnabled()
    qtbot.keyClick(screen.markers, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert desk.saved == [replace(SITE, markers="triggers")]
    assert told[-1].tone is Tone.GOOD
    assert not screen.save_button.isEnabled()


def test_a_problem_is_told_and_what_was_typed_stays(
    qtbot: Any, desk: FakeDesk, screen: SettingsScreen
) -> None:
    desk.save_problem = "the site file has 1 problem:\n  - data_dir: the text is too long"
    qtbot.keyClicks(screen.port, "X")
    qtbot.mouseClick(screen.save_button, Qt.MouseButton.LeftButton)
    assert "data_dir: the text is too long" in screen.words.text()
    assert screen.port.text() == "/dev/ttyUSB0X"
    qtbot.mouseClick(screen.revert, Qt.MouseButton.LeftButton)
    assert screen.port.text() == "/dev/ttyUSB0"


def test_a_broken_file_is_told_and_never_written_over(
    qtbot: Any, desk: FakeDesk, screen: SettingsScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Settings:
        raise ValidationProblem("the site file is not TOML", found="line 3")

    monkeypatch.setattr(desk, "settings", broken)
    screen.read()
    assert "not TOML" in screen.words.text()
    qtbot.keyClicks(screen.stream, "x")
    assert not screen.save_button.isEnabled()
    screen.save()
    assert desk.saved == []


def test_theme_and_size_are_told_to_the_window(qtbot: Any, screen: SettingsScreen) -> None:
    themes: list[str] = []
    scales: list[float] = []
    screen.theme_chosen.connect(themes.append)
    screen.scale_chosen.connect(scales.append)
    qtbot.mouseClick(screen.theme.buttons["dark"], Qt.MouseButton.LeftButton)
    screen.show_choice("dark", 1.3)
    assert scales == []  # showing is not choosing
    assert screen.scale.currentText() == "130 %"
    screen.scale.setFocus()
    qtbot.keyClick(screen.scale, Qt.Key.Key_Down)
    assert themes == ["dark"]
    assert scales == [1.5]
    screen.set_theme(DARK)


def test_a_folder_is_chosen_without_a_dialog(qtbot: Any, desk: FakeDesk, screen: SettingsScreen) -> None:
    qtbot.mouseClick(screen.data_dir.button, Qt.MouseButton.LeftButton)
    assert screen.choosing.dialog is not None
    assert screen.choosing.dialog.window() is screen.window()
    screen.choosing.dialog.fileSelected.emit(str(desk.data_dir))
    assert screen.value().data_dir == str(desk.data_dir)
