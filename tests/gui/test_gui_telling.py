"""What is told during a treatment, and how a checklist is signed: the widgets, without an engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import Qt

from gui.app import application
from gui.live import Answer, Live
from gui.panels.telling import TellingPanel
from gui.screens.treatment import TreatmentScreen
from gui.shown import Line, Session, Treatment
from gui.state import Choice, session_shown
from gui.theme import DARK, LIGHT
from rtloop.model.view import View
from rtloop.treat.told import adverse_event, sensation

TREATMENT = Treatment(headline=Line(), clock=Line(), share=None, facts=(), setting=(), trains=(), told=())


@dataclass
class FakeWindow:
    """What a screen asks of the window."""

    scale: float = 1.0
    live: Any = None
    reviewed: Any = None
    failed: list[str] = field(default_factory=list)

    def failed_panel(self, name: str, err: BaseException) -> None:
        self.failed.append(f"{name}: {err}")


@pytest.fixture
def panel(qtbot: Any) -> TellingPanel:
    application()
    made = TellingPanel(LIGHT)
    qtbot.addWidget(made)
    made.show_it(TREATMENT)
    return made


@pytest.fixture
def screen(qtbot: Any) -> Iterator[TreatmentScreen]:
    application()
    made = TreatmentScreen(LIGHT, FakeWindow())
    qtbot.addWidget(made)
    made.set_theme(DARK)
    made.show()
    qtbot.waitExposed(made)
    yield made
    assert made._window.failed == []


def said(thing: Any) -> list[tuple[str, tuple[str, ...]]]:
    out: list[tuple[str, tuple[str, ...]]] = []
    thing.said.connect(lambda word, args: out.append((word, args)))
    return out


def test_a_sensation_is_said_as_the_engine_reads_it(panel: TellingPanel) -> None:
    out = said(panel)
    panel.tell("sensation")
    assert out == []
    assert "say the words" in panel.why.text()
    panel.felt.setText("tingling; left thumb")
    panel.tell("sensation")
    panel.grade.setCurrentText("moderate")
    panel.tell("sensation")
    read = [sensation(" ".join(args)) for _, args in out]
    assert read == [
        ({"what": "tingling, left thumb", "severity": None}, ""),
        ({"what": "tingling, left thumb", "severity": "moderate"}, ""),
    ]
    panel.grade.setCurrentIndex(0)
    panel.felt.setText("mild tingling")  # no grade was chosen: the participant's own words are none
    panel.tell("sensation")
    assert sensation(" ".join(out[-1][1])) == ({"what": "felt: mild tingling", "severity": None}, "")


def test_an_adverse_event_wants_every_axis_and_is_read_whole(panel: TellingPanel) -> None:
    out = said(panel)
    panel.happened.setText("headache")
    panel.tell("adverse")
    assert out == []
    assert all(x in panel.why.text() for x in ("severity", "serious", "now"))
    for box in panel.axes.values():
        box.setCurrentIndex(1)
    panel.tell("adverse")
    data, why = adverse_event(" ".join(out[0][1]))
    assert why == ""
    assert (data["what"], data["severity"], data["serious"], data["anticipated"]) == (
        "headache",
        "mild",
        [],
        True,
    )


def test_words_stay_until_they_are_taken(panel: TellingPanel) -> None:
    panel.because.setText("the participant wants to stop")
    panel.tell("abort")
    assert panel.because.text()
    panel.taken("abort")
    assert not panel.because.text()


def test_what_cannot_be_told_says_why(panel: TellingPanel) -> None:
    out = said(panel)
    panel.show_it(replace(TREATMENT, why_not_tell="another window has the operator's seat"))
    panel.felt.setText("tingling")
    panel.tell("sensation")
    assert out == []
    assert not panel.buttons["sensation"].isEnabled()
    assert "another window" in panel.why.text()


def shown(**changes: Any) -> Session:
    return replace(session_shown(View(), Live(), Choice()), treatment=replace(TREATMENT, **changes))


def test_a_checklist_is_signed_by_a_name_that_was_typed(qtbot: Any, screen: TreatmentScreen) -> None:
    out, source = said(screen), SimpleNamespace(ring=None, view=View())
    screen.show_it(shown(field="words"), source, Live())
    screen.field.setText("since Monday")
    screen._say("yes", ())
    assert out == [("yes", ("since Monday",))]
    taken = Live(answers=(Answer(t_s=0.0, word="yes"),))
    screen.show_it(shown(field="words"), source, taken)
    assert not screen.field.text()  # the next answer has words of its own
    screen.show_it(shown(field="name", name=""), source, taken)
    screen._say("sign", ())
    assert len(out) == 1
    assert "type your name" in screen.answer.text()
    screen.field.setText("A. Nurse")
    qtbot.keyClick(screen.field, Qt.Key.Key_Return)
    assert out[-1] == ("sign", ("A. Nurse",))
    screen.show_it(shown(), source, taken)
    assert screen.field.isHidden()


def test_the_buttons_of_what_is_told_give_the_keyboard_to_its_words(screen: TreatmentScreen) -> None:
    out = said(screen)
    screen.tabs.setCurrentWidget(screen.log)
    screen._say("adverse", ())
    assert screen.tabs.currentWidget() is screen.telling
    assert screen.telling.happened.hasFocus()
    assert out == []
    screen._say("stop", ())
    assert out == [("stop", ())]
