"""The window around the screens: STOP from everywhere, presence, joining, leaving, looks, what it says of failures."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gui_tools import FakeDesk, FakeLive, FakeSource, a_session
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from gui import memory as remembered
from gui.desk import Exit, Opened, Started
from gui.memory import Memory
from gui.shown import Status, Stop, Tone
from rtloop.errors import IntegrityProblem

ESC = Qt.Key.Key_Escape


def joined(make_window: Any, tmp_path: Path, source: FakeSource) -> Any:
    window = make_window(source)
    window.join(tmp_path / "20261122-120000_abcd1234")
    assert window.here == "session"
    return window


def press_escape(target: QWidget) -> None:
    """As a person does: the key goes to the native window first where there is one."""
    QTest.keyClick(target, ESC)
    QApplication.processEvents()


# ---- STOP ----


def test_stop_button_acts_when_it_goes_down(make_window: Any, tmp_path: Path, qtbot: Any) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    qtbot.mousePress(window.stop_place.button, Qt.MouseButton.LeftButton)
    assert source.stops == 1


@pytest.mark.parametrize("name", ["session", "review", "settings"])
@pytest.mark.req("R-STOP")
def test_escape_stops_from_every_screen(make_window: Any, tmp_path: Path, name: str) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    window.go(name)
    assert window.here == name
    press_escape(window)
    assert source.stops >= 1
    assert window.stop_place.button.isVisible()
    assert window.stop_place.button.isEnabled()


def test_escape_stops_from_a_text_field(make_window: Any, tmp_path: Path, qtbot: Any) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    field = window.screen("session").field
    field.setFocus()
    qtbot.keyClicks(field, "a note")
    press_escape(field)
    assert source.stops >= 1
    assert field.text() == "a note"


@pytest.mark.req("R-STOP")
def test_escape_stops_from_an_open_combobox(make_window: Any, tmp_path: Path, qtbot: Any) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    box = window.screen("session").box
    box.showPopup()
    qtbot.waitUntil(lambda: QApplication.activePopupWidget() is not None, timeout=20_000)
    press_escape(box.view())
    assert source.stops >= 1
    qtbot.waitUntil(lambda: QApplication.activePopupWidget() is None, timeout=20_000)


def test_escape_stops_from_an_open_menu(make_window: Any, tmp_path: Path, qtbot: Any) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    menu = QMenu(window)
    menu.addAction("something")
    menu.popup(window.mapToGlobal(window.rect().center()))
    qtbot.waitUntil(menu.isVisible, timeout=20_000)
    press_escape(menu)
    assert source.stops >= 1


def test_escape_stops_from_the_close_sheet_and_leaves_it_open(make_window: Any, tmp_path: Path) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    window.close()
    assert window.sheet.isVisible()
    press_escape(window.sheet.first())
    assert source.stops >= 1
    assert window.isVisible()


@pytest.mark.req("R-STOP")
def test_stop_that_reaches_nothing_says_so(make_window: Any, tmp_path: Path) -> None:
    source = FakeSource()
    source.reaches = False
    window = joined(make_window, tmp_path, source)
    window.stop()
    assert window.status.status.tone is Tone.BAD
    assert "unit's own stop switch" in window.status.status.todo


@pytest.mark.req("R-STOP")
def test_stop_is_still_asked_when_the_engine_is_gone(make_window: Any, tmp_path: Path) -> None:
    """The port process may outlive the engine: its board is still there."""
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    source.numbers = FakeLive(engine_lives=False)
    window.tick()
    press_escape(window)
    assert source.stops >= 1


def test_stop_is_disabled_with_its_reason_where_nothing_runs(make_window: Any) -> None:
    window = make_window()
    window.begin()
    assert window.here == "start"
    assert not window.stop_place.button.isEnabled()
    assert "no unit is connected" in window.stop_place.words


def test_stop_reaches_sessions_that_run_elsewhere(make_window: Any, desk: FakeDesk, tmp_path: Path) -> None:
    desk.folders = (tmp_path / "20261122-120000_aa", tmp_path / "20261122-120001_bb")
    window = make_window()
    window.begin()
    window.tick()
    assert window.stop_place.button.isEnabled()
    press_escape(window)
    assert desk.stopped >= 1
    assert "STOP asked" in window.stop_place.words


def test_what_became_of_stop_is_shown_beside_it(make_window: Any, tmp_path: Path) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    assert "own stop switch" in window.stop_place.words
    source.view = a_session(stop=Stop(words="NOT confirmed by the unit"))
    window.tick()
    assert "NOT confirmed by the unit" in window.stop_place.words


# ---- presence ----


def test_beats_come_from_a_timer_of_the_thread_that_draws(
    make_window: Any, tmp_path: Path, qtbot: Any
) -> None:
    source = FakeSource()
    threads: set[int] = set()
    beat = source.beat
    source.beat = lambda: (threads.add(threading.get_ident()), beat())[1]  # type: ignore[method-assign]
    joined(make_window, tmp_path, source)
    qtbot.waitUntil(lambda: source.beats >= 3, timeout=20_000)
    assert threads == {threading.get_ident()}


@pytest.mark.req("R-PRESENCE")
def test_a_stuck_thread_beats_no_more(make_window: Any, tmp_path: Path, qtbot: Any) -> None:
    source = FakeSource()
    joined(make_window, tmp_path, source)
    qtbot.waitUntil(lambda: source.beats >= 1, timeout=20_000)
    before = source.beats
    threading.Event().wait(0.35)  # nothing runs Qt's events meanwhile
    assert source.beats == before


# ---- sessions ----


def test_the_only_running_session_is_joined_at_once(make_window: Any, desk: FakeDesk, tmp_path: Path) -> None:
    desk.folders = (tmp_path / "20261122-120000_aa",)
    window = make_window()
    window.begin()
    assert window.here == "session"


def test_a_session_of_another_window_is_not_taken(make_window: Any, desk: FakeDesk, tmp_path: Path) -> None:
    desk.folders = desk.taken = (tmp_path / "20261122-120000_aa",)
    window = make_window()
    window.begin()
    assert window.here == "start"


def test_a_started_engine_is_joined_when_its_folder_is_there(
    make_window: Any, desk: FakeDesk, tmp_path: Path
) -> None:
    window = make_window()
    window.begin()
    window.await_start(Started(run_id="abcd1234", data_dir=tmp_path))
    window.tick()
    assert "being started" in window.status.status.what
    desk.there["abcd1234"] = tmp_path / "20261122-120000_abcd1234"
    window.tick()
    assert window.here == "session"


def test_an_engine_that_does_not_start_says_why(make_window: Any, desk: FakeDesk, tmp_path: Path) -> None:
    window = make_window()
    window.begin()
    window.await_start(Started(run_id="abcd1234", data_dir=tmp_path))
    desk.exits["abcd1234"] = Exit(code=4, words=("looking for the stream", "no stream named Cap"))
    window.tick()
    assert window.status.status.tone is Tone.BAD
    assert "no stream named Cap" in window.status.status.what


def test_no_second_session_while_one_runs(make_window: Any, tmp_path: Path) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    assert not window.nav.buttons["start"].isEnabled()
    window.go("start")
    assert window.here == "session"
    assert "end it first" in window.status.status.what + " ".join(window.status.status.more)
    source.view = a_session(ended=True)
    window.tick()
    window.go("start")
    assert window.here == "start"


def test_a_dead_engine_frees_the_window_but_keeps_the_picture(make_window: Any, tmp_path: Path) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    source.numbers = FakeLive(engine_lives=False)
    window.tick()
    assert window.live is not None
    assert window.live.shown == source.view
    assert window.nav.buttons["start"].isEnabled()


def test_a_review_beside_a_running_session_leaves_its_stop_and_status(
    make_window: Any, tmp_path: Path
) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    window.review(Opened(folder=tmp_path))
    assert window.here == "reviewed"
    assert window.status.status.what == source.view.status.what
    assert window.stop_place.button.isEnabled()


def test_words_and_choices_reach_the_session(make_window: Any, tmp_path: Path) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    window.say("note", ("coil moved",))
    window.choose(band="alpha")
    assert source.said == [("note", "coil moved")]
    assert window.live is not None
    assert window.live.choice.band == "alpha"


# ---- failures are told ----


def test_a_session_that_cannot_be_read_keeps_its_last_picture(
    make_window: Any, tmp_path: Path, capsys: Any
) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    source.failure = IntegrityProblem("event 12 is missing", todo="verify the folder")
    window.tick()
    window.tick()
    assert window.status.status.what == "event 12 is missing"
    assert window.live is not None
    assert window.live.shown == source.view
    assert capsys.readouterr().err.count("Traceback") == 1  # not thirty times a second
    source.failure = None
    window.tick()
    assert window.status.status.what == source.view.status.what


def test_an_error_in_a_slot_is_told_and_survived(make_window: Any, qtbot: Any, capsys: Any) -> None:
    window = make_window()
    window.begin()
    before, sys.excepthook = sys.excepthook, window.told_exception
    try:

        def breaks() -> None:
            raise ZeroDivisionError("in a slot")

        QTimer.singleShot(0, breaks)
        qtbot.waitUntil(lambda: "in a slot" in window.status.status.what, timeout=20_000)
    finally:
        sys.excepthook = before
    assert window.status.status.tone is Tone.BAD
    assert "ZeroDivisionError: in a slot" in capsys.readouterr().err
    assert window.isVisible()


def test_a_screen_tells_on_the_status_line(make_window: Any) -> None:
    window = make_window()
    window.begin()
    window.screen("start").told.emit(Status(tone=Tone.BAD, what="no plan", todo="choose one"))
    window.tick()
    assert window.status.status.what == "no plan"


def test_lesser_things_open_on_demand(make_window: Any, tmp_path: Path, qtbot: Any) -> None:
    status = Status(tone=Tone.BAD, what="the stream froze", more=("coil is warm", "disk is filling"))
    window = joined(make_window, tmp_path, FakeSource(a_session(status=status)))
    assert window.status.more.text() == "2 more"
    assert not window.status.rest.isVisible()
    qtbot.mouseClick(window.status.more, Qt.MouseButton.LeftButton)
    assert window.status.rest.isVisible()
    assert "disk is filling" in window.status.rest.text()


# ---- leaving ----


def test_closing_asks_beside_the_screen_while_a_session_runs(
    make_window: Any, tmp_path: Path, qtbot: Any
) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    window.close()
    assert window.isVisible()
    assert window.stop_place.button.isVisible()
    qtbot.mouseClick(window.sheet.buttons["stay"], Qt.MouseButton.LeftButton)
    assert not window.sheet.isVisible()
    window.close()
    qtbot.mouseClick(window.sheet.buttons["leave"], Qt.MouseButton.LeftButton)
    assert not window.isVisible()
    assert source.said == []
    assert source.closed


def test_ending_the_session_waits_for_its_end(make_window: Any, tmp_path: Path, qtbot: Any) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    window.close()
    qtbot.mouseClick(window.sheet.buttons["end"], Qt.MouseButton.LeftButton)
    assert source.said == [("stop",)]
    window.tick()
    assert window.isVisible()
    source.view = a_session(ended=True)
    window.tick()
    assert not window.isVisible()


def test_a_session_that_does_not_end_is_told(make_window: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("gui.window.END_WITHIN_S", -1.0)
    window = joined(make_window, tmp_path, FakeSource())
    window.close()
    window.sheet.buttons["end"].click()
    window.tick()
    assert "has not ended" in window.sheet.words.text()
    assert window.isVisible()


def test_leaving_leaves_nothing_behind(make_window: Any, desk: FakeDesk, tmp_path: Path, qtbot: Any) -> None:
    source = FakeSource()
    window = joined(make_window, tmp_path, source)
    screens = [window.screen(n) for n in ("session", "review", "settings")]
    window.leave()
    assert source.closed
    assert desk.closed
    assert [s.down for s in screens] == [1, 1, 1]
    assert not [t for t in window.findChildren(QTimer) if t.isActive()]
    beats, ticks = source.beats, screens[0].drawn.copy()
    qtbot.wait(250)
    assert source.beats == beats
    assert screens[0].drawn == ticks
    press_escape(window)
    assert source.stops == 0


# ---- looks and memory ----


def test_theme_and_scale_by_key_and_remembered(make_window: Any, desk: FakeDesk, qtbot: Any) -> None:
    window = make_window()
    window.begin()
    bright = window.grab().toImage().pixelColor(3, window.height() // 2).lightness()
    qtbot.keyClick(window, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    assert window.screen("start").themes[-1] == "dark"
    assert window.grab().toImage().pixelColor(3, window.height() // 2).lightness() < bright - 100
    before = window.status.height()
    qtbot.keyClick(window, Qt.Key.Key_Plus, Qt.KeyboardModifier.ControlModifier)
    QApplication.processEvents()
    assert window.status.height() > before
    window.leave()
    memory, why = remembered.load(desk.config_dir)
    assert (memory.theme, memory.scale, why) == ("dark", 1.15, "")


def test_memory_comes_back_whole(tmp_path: Path) -> None:
    memory = Memory(theme="dark", scale=1.3, size=(1920, 1080), maximized=True, latencies_ms=(20.0, 47.5))
    memory = memory.with_splitter("columns", [300, 500]).with_tab("side", "Log")
    assert remembered.save(tmp_path / "new", memory) == ""
    assert remembered.load(tmp_path / "new") == (memory, "")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [remembered.FILE_NAME]


GOOD = {"form": 1, "theme": "dark", "scale": 1.0, "size": [0, 0], "maximized": False, "splitters": {}, "tabs": {},
        "latencies_ms": []}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "\x00", "[" * 5000, json.dumps({**GOOD, "form": 2}), json.dumps({**GOOD, "theme": "pink"}),
        json.dumps({**GOOD, "scale": float("nan")}), json.dumps({**GOOD, "scale": 40}), json.dumps({**GOOD, "size": [1]}),
        json.dumps({**GOOD, "splitters": {"a": [1, -2]}}), json.dumps({**GOOD, "splitters": 3}),
        json.dumps({**GOOD, "latencies_ms": ["x"]}), json.dumps({k: v for k, v in GOOD.items() if k != "tabs"}),
    ],
)  # fmt: skip
def test_a_broken_layout_is_ignored_aloud(tmp_path: Path, text: str) -> None:
    (tmp_path / remembered.FILE_NAME).write_text(text)
    memory, why = remembered.load(tmp_path)
    assert memory == Memory()
    assert "ignored" in why


def test_the_window_says_that_it_ignored_a_broken_layout(make_window: Any, desk: FakeDesk) -> None:
    desk.config_dir.mkdir(parents=True)
    (desk.config_dir / remembered.FILE_NAME).write_text("{")
    window = make_window()
    window.begin()
    assert "ignored" in window.status.status.what


def test_a_layout_that_cannot_be_written_is_told(make_window: Any, desk: FakeDesk, capsys: Any) -> None:
    desk.config_dir.write_text("a file where the folder should be")
    window = make_window()
    window.leave()
    assert "cannot be remembered" in capsys.readouterr().err


def test_status_words_are_never_cut_off_in_silence(make_window: Any, tmp_path: Path) -> None:
    long = "the stream stopped and " * 30
    window = joined(
        make_window, tmp_path, FakeSource(replace(a_session(), status=Status(tone=Tone.BAD, what=long)))
    )
    assert long in window.status._what.toolTip()
    window.grab()
