"""The window's emergency button: STOP first, then the lock, and only then the question what happened; nothing waits for words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gui_tools import FakeDesk, FakeLive, FakeSource, a_session, joined
from PySide6.QtCore import Qt

from gui.shown import Button
from gui.window import Window
from rtloop.record.verify import verify
from rtloop.safety.locked import cited, read_locks

if TYPE_CHECKING:
    from gui_walk import Walker

CTRL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


@dataclass
class LockingDesk(FakeDesk):
    order: list[str] = field(default_factory=list)

    def lock(self, folder: Path, words: str) -> str:
        self.order.append(f"lock {folder.name} {words}")
        return f"locked: participant P1 ({words})"


class Ordered(FakeSource):
    """A session that notes what the window did, in order with what its desk did."""

    def __init__(self, order: list[str]) -> None:
        super().__init__(a_session(always=(Button(word="emergency", text="Emergency", key="Ctrl+Shift+E"),)))
        self.order = order

    def stop(self) -> bool:
        self.order.append("STOP")
        return super().stop()

    def say(self, word: str, *args: str) -> None:
        self.order.append(" ".join((word, *args)))


@pytest.fixture
def desk(tmp_path: Path) -> LockingDesk:
    return LockingDesk(config_dir=tmp_path)


@pytest.fixture
def source(desk: LockingDesk) -> Ordered:
    return Ordered(desk.order)


@pytest.fixture
def window(qtbot: Any, desk: LockingDesk, source: Ordered, tmp_path: Path) -> Iterator[Window]:
    made = joined(desk, source, tmp_path)
    qtbot.addWidget(made, before_close_func=lambda w: w.leave())
    yield made
    made.leave()


NONE, WHERE = "no words were given yet", "20261122-120000_abcd1234"


def test_stop_goes_out_first_then_the_lock_and_the_words_are_asked_for_after_it(
    window: Window, desk: LockingDesk, qtbot: Any
) -> None:
    sheet = window.emergency_sheet
    assert sheet.isHidden()
    (button,) = window.screen("session").question.always
    qtbot.mouseClick(button.push, Qt.MouseButton.LeftButton)
    assert desk.order == ["STOP", f"lock {WHERE} {NONE}", f"note EMERGENCY: {NONE}"]
    assert sheet.isVisible()
    assert sheet.field.hasFocus()
    assert "TAKE THE COIL AWAY" in sheet.words.text()
    assert sheet.told.text() == f"locked: participant P1 ({NONE})"
    assert window.stop_place.isVisible()  # nothing ever covers it
    assert not window.stop_place.visibleRegion().isEmpty()
    desk.order.clear()
    qtbot.keyClick(sheet.field, Qt.Key.Key_Return)  # no words: nothing more is written
    assert desk.order == []
    qtbot.keyClicks(sheet.field, "seizure after pulse 3")
    qtbot.keyClick(sheet.field, Qt.Key.Key_Return)
    assert desk.order == [f"lock {WHERE} seizure after pulse 3", "note EMERGENCY: seizure after pulse 3"]
    assert sheet.told.text() == "locked: participant P1 (seizure after pulse 3)"
    assert sheet.field.text() == ""
    qtbot.mouseClick(sheet.buttons["close"], Qt.MouseButton.LeftButton)
    assert sheet.isHidden()


def test_its_key_works_while_somebody_types_a_note_and_escape_still_stops(
    window: Window, desk: LockingDesk, qtbot: Any
) -> None:
    note = window.screen("session").note
    note.setFocus()
    qtbot.keyClicks(note, "half a")
    qtbot.keyClick(note, Qt.Key.Key_E, CTRL_SHIFT)
    assert desk.order[:2] == ["STOP", f"lock {WHERE} {NONE}"]
    assert note.text() == "half a"
    desk.order.clear()
    qtbot.keyClick(window.emergency_sheet.field, Qt.Key.Key_Escape)
    assert desk.order
    assert set(desk.order) == {"STOP"}


def test_without_the_seat_it_stops_and_locks_and_says_nothing_to_the_engine(
    window: Window, source: Ordered, desk: LockingDesk, qtbot: Any
) -> None:
    source.numbers = FakeLive(seat="another", engine_lives=False)
    window.tick()
    qtbot.keyClick(window, Qt.Key.Key_E, CTRL_SHIFT)
    assert desk.order == ["STOP", f"lock {WHERE} {NONE}"]


@pytest.mark.req("R-LOCK")
def test_in_a_real_session_it_disarms_locks_and_what_is_typed_afterwards_is_kept(
    tmp_path: Path, walk: Callable[..., Walker]
) -> None:
    from gui_walk import small_form, small_plan

    w = walk(small_form(tmp_path, small_plan(tmp_path, wanted=5, preview=20, steps=(45,))))
    w.start()
    w.place_and_arm()
    w.until(lambda: w.events("pulse_closed"), "the first pulse", 10.0)
    folder = w.folder
    w.say("emergency")
    sheet = w.window.emergency_sheet
    assert sheet.isVisible()
    w.until(lambda: w.events("participant_locked"), "the lock in the journal", 5.0)
    w.type_into(sheet.field, "seizure, left arm first")
    w.key("Return", sheet.field)
    w.until(lambda: "seizure, left arm first" in sheet.told.text(), "what was typed is locked", 5.0)
    w.until_report()

    (row, again) = read_locks(folder.path.parent).history
    assert (row["participant"], row["session"], row["words"]) == ("P017", folder.path.name, NONE)
    assert again["words"] == "seizure, left arm first"
    (locked,) = w.events("participant_locked", folder)
    assert row["sha256"].startswith(cited(locked.data["words"]))
    stopped = next(e for e in w.events("fault_raised", folder) if e.data["fault"] == "stop")
    assert stopped.n < locked.n  # STOP first
    after = [e for e in w.events("pulse_intended", folder) if e.n > stopped.n]
    assert after == []
    noted = [e.data["words"] for e in w.events("note_written", folder)]
    assert f"EMERGENCY: {NONE}" in noted or "EMERGENCY: seizure, left arm first" in noted
    assert verify(folder.path).ok
