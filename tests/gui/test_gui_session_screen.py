"""The session's screen: panels wired to the session, notes, answers, the simulated bedside, what is offered at the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from gui_tools import FakeDesk, FakeLive, FakePages, FakeSource, a_session, joined
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QScrollArea

from gui import memory as remembered
from gui import window as gui_window
from gui.shown import Button, Line, Question, Tick, Tone
from gui.theme import LIGHT
from gui.window import Window


@dataclass(frozen=True, kw_only=True)
class Answer:
    t_s: float
    word: str
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class Numbers(FakeLive):
    now_s: float = 100.0
    answers: tuple[Answer, ...] = ()


@pytest.fixture
def source() -> FakeSource:
    made = FakeSource()
    made.pages = FakePages.of_63()
    return made


@pytest.fixture
def window(qtbot: Any, desk: FakeDesk, source: FakeSource, tmp_path: Path) -> Iterator[Window]:
    made = joined(desk, source, tmp_path)
    qtbot.addWidget(made, before_close_func=lambda w: w.leave())
    yield made
    made.leave()


def test_answers_to_the_question_reach_the_engine(window: Window, source: FakeSource, qtbot: Any) -> None:
    buttons = (Button(word="placed", text="Coil is placed", key="F2", primary=True),)
    source.view = a_session(question=Question(phase="place", words="Place the coil on M1", buttons=buttons))
    window.tick()
    qtbot.mouseClick(window.screen("session").question.answers[0].push, Qt.MouseButton.LeftButton)
    qtbot.keyClick(window, Qt.Key.Key_F2)
    assert source.said == [("placed",), ("placed",)]


def test_a_note_is_sent_with_enter_and_its_key_leads_there(
    window: Window, source: FakeSource, qtbot: Any
) -> None:
    screen = window.screen("session")
    screen._say("note", ())  # the button of the question panel
    assert screen.note.hasFocus()
    qtbot.keyClicks(screen.note, "coil moved a little")
    qtbot.keyClick(screen.note, Qt.Key.Key_Return)
    qtbot.keyClick(screen.note, Qt.Key.Key_Return)  # nothing more to be sent
    assert source.said == [("note", "coil moved a little")]
    assert screen.note.text() == ""


def test_escape_in_the_note_stops_and_keeps_the_text(window: Window, source: FakeSource, qtbot: Any) -> None:
    note = window.screen("session").note
    note.setFocus()
    qtbot.keyClicks(note, "half a")
    qtbot.keyClick(note, Qt.Key.Key_Escape)
    assert source.stops >= 1
    assert note.text() == "half a"


def test_a_trial_is_taken_out_by_key_and_chosen_from_the_list(
    window: Window, source: FakeSource, qtbot: Any
) -> None:
    move = Button(word="take_out", text="Take it out", args=("34",), key="Ctrl+T")
    source.view = a_session(trial=replace(source.view.trial, move=move))
    window.tick()
    qtbot.keyClick(window, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert source.said == [("take_out", "34")]
    window.screen("session").trials.chosen.emit(12)
    window.screen("session").scores.band.emit("alpha")
    assert window.live is not None
    assert (window.live.choice.trial_id, window.live.choice.band) == (12, "alpha")


def test_a_disabled_key_says_why(window: Window, source: FakeSource, qtbot: Any) -> None:
    move = Button(
        word="take_out",
        text="Take it out",
        args=("34",),
        key="Ctrl+T",
        enabled=False,
        why_not="the session ended",
    )
    source.view = a_session(trial=replace(source.view.trial, move=move))
    window.tick()
    qtbot.keyClick(window, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert source.said == []
    assert "the session ended" in window.screen("session").answer.text()


def test_a_refusal_is_shown_with_its_reasons_and_goes(window: Window, source: FakeSource) -> None:
    why = "the pre-flight has not passed; the coil is hot"
    source.numbers = Numbers(answers=(Answer(t_s=99.0, word="arm", why_not=why),))
    window.tick()
    assert why in window.screen("session").answer.text()
    source.numbers = replace(source.numbers, now_s=200.0)
    window.tick()
    assert why not in window.screen("session").answer.text()


def test_the_simulated_bedside_injects_faults_that_the_simulator_knows(
    window: Window, source: FakeSource, qtbot: Any
) -> None:
    from hardware_sim.faults import FaultKind
    from hardware_sim.sampler import FAULTS

    screen = window.screen("session")
    assert screen.bedside.isVisible()
    assert not screen.sheet.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert screen.sheet.isVisible()
    for button in screen.sheet.buttons.values():
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    words = [json.loads(args[1]) for args in source.said if args[0] == "inject"]
    assert len(words) == len(screen.sheet.buttons) >= 6
    assert {"freeze", "die", "return", "pulse", "unplug", "hot_coil"} <= {w["kind"] for w in words}
    assert all(w["kind"] in FAULTS or w["kind"] in list(FaultKind) for w in words)
    assert window.stop_place.button.isVisible()


def test_no_fault_can_be_injected_into_a_real_session(window: Window, source: FakeSource, qtbot: Any) -> None:
    window.screen("session").bedside.setChecked(True)
    source.view = a_session(banner=Line(text="HUMAN", tone=Tone.BAD))
    window.tick()
    assert not window.screen("session").bedside.isVisible()
    assert not window.screen("session").sheet.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert not window.screen("session").sheet.isVisible()


def test_what_comes_after_the_end_is_offered(
    window: Window, source: FakeSource, tmp_path: Path, qtbot: Any
) -> None:
    screen = window.screen("session")
    assert not screen.again.isVisible()
    report = tmp_path / "report.html"
    report.write_text("<p>")
    assert screen.targets.lines[0].text() == "▲ undecided: about 20 more pulses for each target"
    source.view = a_session(ended=True, report=str(report))
    window.tick()
    assert "undecided: about 20 more pulses" in screen.question.words.text()  # whole, and not twice
    assert all(line.isHidden() for line in screen.targets.lines)
    assert screen.again.isVisible()
    assert screen.look_back.isVisible()
    assert screen.report.isVisible()
    assert not screen.note.isVisible()


def test_a_dead_engine_offers_a_new_session_and_a_review(window: Window, source: FakeSource) -> None:
    source.numbers = Numbers(engine_lives=False)
    window.tick()
    assert window.screen("session").again.isVisible()
    assert window.screen("session").look_back.isVisible()


def test_a_panel_that_fails_does_not_take_the_others_with_it(
    window: Window, source: FakeSource, capsys: Any
) -> None:
    screen = window.screen("session")

    def breaks(_: Any) -> None:
        raise ValueError("no such axis")

    screen.pulses.show_it = breaks
    source.view = a_session(progress=replace(source.view.progress, where="DLPFC, 3 of 50"))
    window.tick()
    window.tick()
    assert screen.progress.where.text().endswith("DLPFC, 3 of 50")
    assert "no such axis" in window.status.status.what
    assert "pulses" in window.status.status.todo
    assert capsys.readouterr().err.count("Traceback") == 1


def test_a_result_is_drawn_first_and_the_rest_of_the_pulse_within_five_looks(
    window: Window, source: FakeSource
) -> None:
    """All panels of a pulse at once took up to 100 ms: the operator saw the scores after the pictures were painted."""
    screen = window.screen("session")
    window.tempo.stop()
    screen.restart()
    for panel in (screen.scores, screen.trial, screen.evoked, screen.head):
        panel.drawn = 0
        show = panel.show_it

        def counting(*args: Any, panel: Any = panel, show: Any = show) -> bool:
            new = show(*args)
            panel.drawn += bool(new)
            return new

        panel.show_it = counting
    source.view = replace(
        source.view,
        scores=replace(source.view.scores, wanted=source.view.scores.wanted + 1),
        evoked=replace(source.view.evoked, gap_ms=(-3.0, 11.0)),
        trial=replace(source.view.trial, gap_ms=(-3.0, 11.0)),
        head=replace(source.view.head, strongest=3),
    )
    drawn = []
    for _ in range(5):
        window.tick()
        drawn.append([p.drawn for p in (screen.scores, screen.trial, screen.evoked, screen.head)])
    assert drawn[0] == [1, 0, 0, 0]
    assert drawn[4] == [1, 1, 1, 1]


def test_news_of_the_engine_are_looked_at_before_the_next_regular_look(
    window: Window, source: FakeSource, qtbot: Any
) -> None:
    window.tempo._steady.setInterval(60_000)
    looks = []
    look = source.look

    def counting() -> Any:
        looks.append(1)
        source.waits = False
        return look()

    source.look = counting  # type: ignore[method-assign]
    qtbot.wait(60)
    assert not looks
    source.waits = True
    qtbot.waitUntil(lambda: bool(looks), timeout=20_000)


def test_a_failed_preflight_comes_to_the_front(window: Window, source: FakeSource) -> None:
    item = Tick(
        name="clock", expected="below 1 ms", found="7 ms", tone=Tone.BAD, todo="restart the amplifier's PC"
    )
    source.view = a_session(question=Question(phase="started", words="", buttons=()), preflight=(item,))
    window.tick()
    screen = window.screen("session")
    assert screen.tabs.currentWidget() is screen.checks
    assert "restart the amplifier's PC" in screen.checks.list.lines.lines[0].text


def test_a_low_window_shows_one_of_two_panels_and_scrolls_no_picture(
    window: Window, source: FakeSource
) -> None:
    from gui.panels.early import EarlyPanel
    from gui.panels.evoked import EvokedPanel

    screen = window.screen("session")
    right = screen.eithers["c"]
    seen = {}
    for size, phase in (((1366, 768), "run"), ((1366, 768), "go"), ((1920, 1080), "go")):
        window.resize(*size)
        source.view = a_session(question=Question(phase=phase, words="", buttons=()))
        for _ in range(4):
            QApplication.processEvents()
            window.tick()
        seen[size, phase] = [p for p in (EvokedPanel, EarlyPanel) if screen.findChild(p).isVisibleTo(window)]
        for place in (1, 2, 3):
            column = screen.columns.widget(place)
            assert column.verticalScrollBar().maximum() == 0, (size, place)
        assert right.low == (size[1] < 800)
        assert screen.scores.isVisibleTo(window)
    assert list(seen.values()) == [[EvokedPanel], [EarlyPanel], [EvokedPanel, EarlyPanel]]
    for narrow in (0, 1, 2, 3):  # never narrower than its words and pictures
        column = screen.columns.widget(narrow)
        assert column.width() >= column.minimumSizeHint().width()


def test_listening_has_no_early_response(window: Window, source: FakeSource) -> None:
    screen = window.screen("session")
    assert screen.eithers["c"].bar.isTabVisible(1)
    source.view = a_session(kind="watch")
    window.tick()
    assert not screen.early.isVisibleTo(window)
    assert not screen.eithers["c"].bar.isTabVisible(1)


@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080)])
@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_what_matters_is_never_scrolled_away(window: Window, size: tuple[int, int], scale: float) -> None:
    window.choose_scale(scale)
    window.resize(*size)
    for _ in range(4):
        QApplication.processEvents()
        window.tick()
    assert (window.width(), window.height()) == size
    screen = window.screen("session")
    for widget in (
        window.stripe,
        window.status,
        window.lamp,
        window.stop_place.button,
        screen.question,
        screen.note,
    ):
        assert widget.isVisible()
        corner = widget.mapTo(window, widget.rect().bottomRight())
        assert 0 < corner.x() <= size[0], widget
        assert 0 < corner.y() <= size[1], widget
        parent = widget.parentWidget()
        while parent is not None:
            assert not isinstance(parent, QScrollArea), f"{widget} can be scrolled away"
            parent = parent.parentWidget()


def test_the_arrangement_is_remembered(window: Window, desk: FakeDesk) -> None:
    screen = window.screen("session")
    screen.tabs.setCurrentWidget(screen.log)
    screen.columns.moveSplitter(400, 1)
    screen.evoked.latencies.emit((15.0, 30.0, 45.0, 100.0, 200.0))
    window.leave()
    memory, why = remembered.load(desk.config_dir)
    assert why == ""
    assert memory.tabs == {"session.side": "Log"}
    assert len(memory.splitters["session.columns"]) == 4
    assert memory.latencies_ms == (15.0, 30.0, 45.0, 100.0, 200.0)


def test_every_tab_has_room_and_a_review_shows_none_that_is_not_offered(window: Window) -> None:
    from gui.screens.session import SessionScreen

    screen = window.screen("session")
    bar = screen.tabs.tabBar()
    for size in ((1366, 768), (1920, 1080)):
        window.resize(*size)
        QApplication.processEvents()
        there = [i for i in range(bar.count()) if bar.isTabVisible(i)]
        assert len(there) == 8  # that of the simulated bedside too
        assert sum(bar.tabRect(i).width() for i in there) <= screen.tabs.width()
    for plot in (screen.evoked.butterfly, screen.scores.local):  # the lowest number is not cut in half
        assert plot.getPlotItem().getAxis("bottom").height() >= 8
    window.memory = window.memory.with_tab("session.side", "Traces")
    review = SessionScreen(LIGHT, window, review=True)
    assert review.tabs.isTabVisible(review.tabs.currentIndex())
    review.close()


def test_letters_are_set_by_a_property_qt_does_not_own() -> None:
    """``size`` is a property of every QWidget: setting it to a word does nothing, in silence."""
    sources = sorted(Path(gui_window.__file__).parent.rglob("*.py"))
    assert len(sources) > 20
    wrong = [p.name for p in sources if re.search(r"""setProperty\(["']size["']""", p.read_text())]
    assert wrong == [], "use the property 'letters'"


def real_questions() -> dict[str, Any]:
    """The screen of every phase of a real journal, and of what may come in between."""
    from gui_state_tools import at, shown, told

    made: dict[str, Any] = {}
    for phase in ("place", "arm", "preview", "go", "run", "review"):
        view, look = at("phase_entered", phase=phase)
        made[phase] = shown(view, look)
    view, look = at("phase_entered", phase="arm")
    made["another's seat"] = shown(view, replace(look, seat="another"))
    words = "the EEG stream is lost (the connection ended); check the amplifier, reconnect, arm again"
    lost = told(
        view,
        "fault_raised",
        look.now_s,
        fault="stream_lost",
        action="disarm",
        clears=False,
        words=words,
        todo="",
    )
    made["stream lost"] = shown(lost, look)
    why = "the preview at 45 % MSO was refused by a rule of the gate and by the unit itself; the unit is disarmed"
    paused = told(
        view,
        "phase_entered",
        look.now_s,
        phase="paused",
        target="M1",
        words=why,
        options=["resume", "skip", "stop"],
    )
    made["paused"] = shown(paused, look)
    return made


@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080)])
@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_no_question_and_no_button_is_ever_cut_off_or_makes_the_screen_jump(
    window: Window, source: FakeSource, size: tuple[int, int], scale: float
) -> None:
    from PySide6.QtCore import QRect
    from PySide6.QtGui import QFontMetrics

    window.choose_scale(scale)
    window.resize(*size)
    panel = window.screen("session").question
    heights = set()
    for phase, shown in real_questions().items():
        source.view = shown
        for _ in range(3):
            QApplication.processEvents()
            window.tick()
        heights.add(window.screen("session").below.height())
        words, flags = panel.words, int(Qt.TextFlag.TextWordWrap)
        needs = QFontMetrics(words.font()).boundingRect(
            QRect(0, 0, words.width(), 10_000), flags, words.text()
        )
        assert needs.height() <= words.height(), phase
        below_px = 0
        for row in (
            (words,),
            tuple(b.push for b in panel.answers),
            (panel.why,),
            tuple(b.push for b in panel.always),
        ):
            places = [QRect(w.mapTo(panel, w.rect().topLeft()), w.size()) for w in row]
            for widget, place in zip(row, places, strict=True):
                assert panel.rect().contains(place), (phase, widget)
                assert place.top() >= below_px, (phase, widget)
                if widget not in (words, panel.why):
                    assert (
                        place.width() >= QFontMetrics(widget.font()).horizontalAdvance(widget.text()) + 20
                    ), (phase, widget.text())
            assert not any(a.intersects(b) for i, a in enumerate(places) for b in places[:i]), phase
            below_px = max([below_px, *(p.bottom() for p in places)])
    assert len(heights) == 1
