"""The review screen: the list of ended sessions, opening a session or a recording, progress, failure, the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from desk_tools import FakeDesk, of, recording_files
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication, QLineEdit

from gui.desk import Ended, Opened
from gui.screens.review import ReviewScreen
from gui.shown import Line, Tone
from gui.theme import DARK, LIGHT


def _session(place: Path, name: str, words: str, tone: Tone) -> Ended:
    (place / name).mkdir()
    return Ended(
        path=place / name, title=f"2026-11-22 18:18 · map · {name}", line=Line(text=words, tone=tone)
    )


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    new = _session(tmp_path, "new", "ended: the plan is complete", Tone.GOOD)
    old = _session(tmp_path, "old", "NOT whole: its journal has no end", Tone.BAD)
    (new.path / "report.html").write_text("<html></html>")
    return FakeDesk(data_dir=tmp_path, now_sessions=(new, old))


@pytest.fixture
def screen(qtbot: Any, desk: FakeDesk) -> Iterator[ReviewScreen]:
    screen = ReviewScreen(desk, LIGHT)
    qtbot.addWidget(screen)
    screen.resize(1200, 700)
    screen.show()
    qtbot.waitExposed(screen, timeout=20_000)
    yield screen
    screen.close_down()


def test_sessions_are_listed_with_how_they_ended(screen: ReviewScreen) -> None:
    rows = [screen.list.item(i).text() for i in range(screen.list.count())]
    assert len(rows) == 2
    assert rows[0].startswith("2026-11-22 18:18 · map · new")
    assert "✓ ended: the plan is complete" in rows[0]
    assert "✖ NOT whole" in rows[1]
    assert not screen.open_button.isEnabled()


def test_a_session_is_opened_by_the_keyboard_with_its_progress(
    qtbot: Any, desk: FakeDesk, screen: ReviewScreen
) -> None:
    got: list[Any] = []
    screen.opened.connect(got.append)
    desk.slow = True
    screen.list.setFocus()
    qtbot.keyClick(screen.list, Qt.Key.Key_Down)
    qtbot.keyClick(screen.list, Qt.Key.Key_Home)
    qtbot.keyClick(screen.list, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    assert of(desk, "review") == [desk.data_dir / "new"]
    assert screen.progress.isVisible()
    assert not screen.open_button.isEnabled()
    desk.jobs[0].progress = (0.4, "cleaning and scoring again")
    screen.tick()
    assert screen.bar.value() == 40
    assert "cleaning" in screen.doing.text()
    opened = Opened(folder=desk.data_dir / "new", pages=desk.data_dir / "pages")
    desk.jobs[0].finish(opened)
    screen.tick()
    assert got == [opened]
    assert not screen.progress.isVisible()


def test_a_failure_is_told_and_another_one_can_be_opened(
    qtbot: Any, desk: FakeDesk, screen: ReviewScreen
) -> None:
    told: list[Any] = []
    screen.told.connect(told.append)
    qtbot.keyClicks(screen.path, "/nowhere/a.edf")
    qtbot.keyClick(screen.path, Qt.Key.Key_Return)
    assert "there is no /nowhere/a.edf" in screen.problem.text()
    assert told[-1].tone is Tone.BAD
    assert screen.open_button.isEnabled()


def test_opening_can_be_cancelled(qtbot: Any, desk: FakeDesk, screen: ReviewScreen) -> None:
    desk.slow = True
    screen.opened.connect(lambda _: pytest.fail("a cancelled session was opened"))
    screen.open_path(desk.data_dir / "old")
    qtbot.mouseClick(screen.cancel, Qt.MouseButton.LeftButton)
    screen.tick()
    assert desk.jobs[0].cancelled
    assert not screen.progress.isVisible()
    assert screen.open_button.isEnabled()


def test_a_recording_is_shown_here_and_given_back(qtbot: Any, desk: FakeDesk, screen: ReviewScreen) -> None:
    data = np.random.default_rng(1).standard_normal((3, 4000)).astype(np.float32)
    made = recording_files(desk.data_dir, data, 1000.0, ["C3", "Cz", "C4"], [(1.0, "255")])
    desk.now_opened["/r/a.edf"] = Opened(
        folder=desk.data_dir, recording=made, title="a.edf · 3 channels, 4 s"
    )
    screen.opened.connect(lambda _: pytest.fail("a recording has no session"))
    screen.open_path(Path("/r/a.edf"))
    assert screen.traces.isVisible()
    assert screen.about.text() == "a.edf · 3 channels, 4 s"
    assert screen.traces.hasFocus()
    qtbot.mouseClick(screen.back, Qt.MouseButton.LeftButton)
    assert screen.list.isVisible()


def test_a_recording_that_does_not_fit_is_told(desk: FakeDesk, screen: ReviewScreen) -> None:
    made = recording_files(desk.data_dir, np.zeros((2, 10), np.float32), 1000.0, ["C3"], [])
    desk.now_opened["/r/a.edf"] = Opened(folder=desk.data_dir, recording=made, title="a.edf")
    screen.open_path(Path("/r/a.edf"))
    assert "cannot be read" in screen.problem.text()


def test_report_is_opened_and_its_path_can_be_copied(
    qtbot: Any, desk: FakeDesk, screen: ReviewScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: asked.append(url.toLocalFile()) or False)
    screen.list.setCurrentRow(1)
    assert not screen.report_button.isEnabled()
    screen.list.setCurrentRow(0)
    assert screen.report.text() == str(desk.data_dir / "new" / "report.html")
    qtbot.mouseClick(screen.report_button, Qt.MouseButton.LeftButton)
    assert asked == [str(desk.data_dir / "new" / "report.html")]
    assert "copy its path" in screen.problem.text()


def test_the_list_is_made_anew_and_the_choice_stays(qtbot: Any, desk: FakeDesk, screen: ReviewScreen) -> None:
    screen.list.setCurrentRow(1)
    desk.now_sessions = (_session(desk.data_dir, "newest", "ended", Tone.GOOD), *desk.now_sessions)
    qtbot.keyClick(screen.list, Qt.Key.Key_F5)
    assert screen.list.count() == 3
    assert screen.list.currentRow() == 2
    assert screen.path.text().endswith("old")
    screen.set_theme(DARK)


def test_a_file_is_chosen_on_a_page_of_the_window_itself(
    qtbot: Any, desk: FakeDesk, screen: ReviewScreen
) -> None:
    screen._choose(folders=False)
    assert screen.choosing.dialog is not None
    assert screen.choosing.dialog.window() is screen.window()
    assert QApplication.activeModalWidget() is None
    screen.choosing.dialog.fileSelected.emit("/r/b.edf")
    assert of(desk, "review") == [Path("/r/b.edf")]


def test_a_name_that_is_not_there_opens_no_message_box(
    qtbot: Any, desk: FakeDesk, screen: ReviewScreen
) -> None:
    """Qt's own chooser would ask in a modal box, which lies over the STOP."""
    screen._choose(folders=False)
    dialog = screen.choosing.dialog
    assert dialog is not None
    (name,) = dialog.findChildren(QLineEdit, "fileNameEdit")
    name.setText("nowhere.edf")
    boxes: list[Any] = []

    def look() -> None:
        if (box := QApplication.activeModalWidget()) is not None:
            boxes.append(box)
            box.close()

    QTimer.singleShot(200, look)
    dialog.accept()
    qtbot.wait(300)
    assert boxes == []
    assert "There is no" in screen.choosing.words.text()
    assert of(desk, "review") == []
    (desk.data_dir / "there.edf").touch()
    name.setText(str(desk.data_dir / "there.edf"))
    dialog.accept()
    assert of(desk, "review") == [desk.data_dir / "there.edf"]
