"""Owns the arrangement of the panels on a treatment's screen, and their wiring; draws nothing and owns no word's meaning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QSplitter, QTabWidget, QVBoxLayout, QWidget

from gui.panels.log import LogPanel
from gui.panels.progress import ProgressPanel
from gui.panels.pulses import PulsesPanel
from gui.panels.question import OneLine, QuestionPanel, typing
from gui.panels.stream import StreamPanel
from gui.panels.telling import TellingPanel
from gui.panels.traces import TracesPanel
from gui.panels.treatment import SettingPanel, TreatmentPanel
from gui.panels.unit import UnitPanel
from gui.screens.column import Column
from gui.screens.session import BAND_PX
from gui.screens.simulated import SimulatedSheet
from gui.screens.told import answered, checked
from gui.shown import Line, Session, Tone, Treatment
from gui.theme import Theme
from gui.treating import ANSWERS

#: share of the width: what is given and by what; where it stands; what is told and looked up
COLUMNS = (27, 40, 33)
TOLD = ("sensation", "adverse", "abort")
_FIELDS = {
    "words": "Words to this answer, where it needs some: first these, then the answer",
    "name": "Your name; Enter signs",
}


class TreatmentScreen(QWidget):
    """All panels of one treatment. ``said``: words for the engine; ``chosen``: nothing here; ``wanted``: another screen."""

    said = Signal(str, tuple)
    chosen = Signal(dict)
    wanted = Signal(str)
    told = Signal(object)

    def __init__(self, theme: Theme, window: Any, *, review: bool = False) -> None:
        super().__init__()
        self._window, self._review = window, review
        self._broken: dict[str, str] = {}
        self._ring: Any = None
        self._report, self._field = "", ""
        self._answers: tuple[Any, ...] = ()
        self.unit, self.stream = UnitPanel(theme), StreamPanel(theme)
        self.setting, self.treatment = SettingPanel(theme), TreatmentPanel(theme)
        self.progress, self.pulses, self.question = (
            ProgressPanel(theme),
            PulsesPanel(theme),
            QuestionPanel(theme),
        )
        self.telling, self.traces, self.log = TellingPanel(theme), TracesPanel(theme), LogPanel(theme)
        self.checks, self.sheet = LogPanel(theme, title="Pre-flight"), SimulatedSheet()
        self._themed = (
            self.unit, self.stream, self.setting, self.treatment, self.progress, self.pulses, self.question, self.telling,
            self.traces, self.log, self.checks,
        )  # fmt: skip
        self._arrange()
        self._wire()

    # ---- arrangement ----

    def _arrange(self) -> None:
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for name, page in (
            ("Tell", self.telling), ("Log", self.log), ("Live traces", self.traces), ("Pulses", self.pulses.rows),
            ("Pre-flight", self.checks), ("Simulated", self.sheet),
        ):  # fmt: skip
            self.tabs.addTab(page, name)
        if self._review:
            self.unit.hide()
            self.tabs.setTabVisible(self.tabs.indexOf(self.traces), False)
        self.tabs.setTabVisible(self.tabs.indexOf(self.sheet), False)
        left = QWidget()
        box = QVBoxLayout(left)
        box.setContentsMargins(0, 0, 0, 0)
        words = (self.unit, self.setting, self.stream, self.pulses)
        for panel in (self.unit, self.setting, self.progress, self.stream, self.pulses):
            box.addWidget(panel, int(panel is self.progress))
        self.progress.steps.hide()  # the trains stand beside it
        self.columns = QSplitter(Qt.Orientation.Horizontal)
        self.columns.setChildrenCollapsible(False)
        for place, (widget, share) in enumerate(
            zip((Column(left, words), self.treatment, self.tabs), COLUMNS, strict=True)
        ):
            self.columns.addWidget(widget)
            self.columns.setStretchFactor(place, share)
        self.columns.setSizes([19 * share for share in COLUMNS])
        self.below = QWidget()
        ask = QVBoxLayout(self.below)
        ask.setContentsMargins(0, 0, 0, 0)
        ask.setSpacing(4)
        ask.addWidget(self.question, 1)
        ask.addLayout(self._row())
        main = QVBoxLayout(self)
        main.setContentsMargins(0, 0, 0, 0)
        main.setSpacing(6)
        main.addWidget(self.columns, 1)
        main.addWidget(self.below)

    def _row(self) -> QHBoxLayout:
        self.field, self.note = QLineEdit(), QLineEdit()
        self.note.setPlaceholderText("Note for the record, Enter writes it (Ctrl+N)")
        self.note.setAccessibleName("Note for the record")
        for field in (self.field, self.note):
            field.setMaxLength(400)
            field.setMinimumWidth(160)
        self.field.hide()
        self.answer = OneLine()
        self.bedside = QPushButton("Simulated bedside  Ctrl+B")
        self.bedside.setProperty("thin", "true")
        self.bedside.setCheckable(True)
        texts = ("New session", "Review it", "Open the report")
        self.again, self.look_back, self.report = (QPushButton(text) for text in texts)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.field, 4)
        row.addWidget(self.note, 4)
        row.addWidget(self.answer, 5)
        for button in (self.again, self.look_back, self.report, self.bedside):
            button.hide()
            row.addWidget(button)
        return row

    # ---- wiring ----

    def _wire(self) -> None:
        for panel in (self.question, self.telling, self.sheet):
            panel.said.connect(self._say)
        self.note.returnPressed.connect(self._write_note)
        self.field.returnPressed.connect(self._field_done)
        self.bedside.toggled.connect(
            lambda there: self.tabs.setCurrentWidget(self.sheet if there else self.telling)
        )
        self.again.clicked.connect(lambda: self.wanted.emit("start"))
        self.look_back.clicked.connect(lambda: self.wanted.emit("look_back"))
        self.report.clicked.connect(self._open_report)
        QShortcut(QKeySequence("Ctrl+B"), self).activated.connect(
            lambda: self.bedside.toggle() if self.bedside.isVisible() else None
        )

    def _say(self, word: str, args: tuple[str, ...]) -> None:
        """A word of a button: some open what they are told in, an answer takes the words of the field with it."""
        if word == "note" and not args:
            self.note.setFocus(Qt.FocusReason.ShortcutFocusReason)
        elif word in TOLD and not args:
            self.tabs.setCurrentWidget(self.telling)
            self.telling.ask(word)
        elif word == "sign":
            self._sign()
        else:
            text = self.field.text().strip() if word in ANSWERS else ""
            self.said.emit(word, (text,) if text else args)

    def _sign(self) -> None:
        name = self.field.text().strip()
        if name:
            self.said.emit("sign", (name,))
        else:
            self.field.setFocus(Qt.FocusReason.OtherFocusReason)
            self.answer.say("Sign: type your name first", Tone.ATTENTION)

    def _field_done(self) -> None:
        if self._field == "name":
            self._sign()
        else:
            self.question.setFocus(Qt.FocusReason.OtherFocusReason)  # the keys of the answers work again

    def _write_note(self) -> None:
        text = self.note.text().strip()
        if text:
            self.said.emit("note", (text,))
            self.note.clear()
        self.question.setFocus(Qt.FocusReason.OtherFocusReason)

    def _open_report(self) -> None:
        if self._report and not QDesktopServices.openUrl(QUrl.fromLocalFile(self._report)):
            self.answer.say(f"no browser could be opened; the report is {self._report}", Tone.ATTENTION)

    # ---- drawing ----

    def restart(self) -> None:
        """Another session: forget the pictures of the last one."""
        self._broken.clear()
        self._ring = None
        self._answers = ()
        self.bedside.setChecked(False)

    def set_theme(self, theme: Theme) -> None:
        for panel in self._themed:
            panel.set_theme(theme)
        scale = self._window.scale
        self.question.set_scale(scale)
        self.treatment.set_scale(scale)
        self.below.setFixedHeight(round(BAND_PX[0] + BAND_PX[1] * scale))

    def tick(self) -> None:
        """Nothing: ``show_it`` draws."""

    def show_it(self, shown: Session, source: Any, numbers: Any) -> None:
        """Draw what is new. A panel that fails says so in its place; the others go on."""
        t, draw = shown.treatment, self._draw
        if t is None:
            return
        draw("question", lambda: self._show_question(shown))
        draw("treatment", lambda: self.treatment.show_it(t))
        draw("unit", lambda: self.unit.show_it(shown.unit, shown.stop))
        draw("setting", lambda: self.setting.show_it(t))
        draw("stream", lambda: self.stream.show_it(shown.stream))
        draw("progress", lambda: self.progress.show_it(shown.progress))
        draw("pulses", lambda: self.pulses.show_it(shown.pulses))
        draw("telling", lambda: self.telling.show_it(t))
        draw("log", lambda: self.log.show_it(shown.log))
        draw("checks", lambda: self.checks.show_it(tuple(checked(c) for c in shown.preflight)))
        if self.traces.isVisible():
            draw("traces", lambda: self._show_traces(shown, source))
        self._show_answers(tuple(getattr(numbers, "answers", ())))
        self._show_field(t)
        self._show_edges(shown, numbers)

    def _show_question(self, shown: Session) -> None:
        if self._review or shown.ended:
            self.question.show_end((Line(text=shown.question.words),))
        else:
            self.question.show_it(shown.question, shown.always)

    def _draw(self, name: str, do: Callable[[], Any]) -> None:
        try:
            do()
        except Exception as err:
            key = f"{type(err).__name__}: {err}"
            if self._broken.get(name) != key:  # once for each panel and kind: it is tried again at each look
                self._broken[name] = key
                self._window.failed_panel(name, err)
        else:
            self._broken.pop(name, None)

    def _show_traces(self, shown: Session, source: Any) -> None:
        ring, view = source.ring, source.view
        if ring is not None and ring is not self._ring:
            layout = view.started.get("layout") or ()
            columns = [i for i, c in enumerate(layout) if c.get("kind") == "EEG"]
            if not columns:
                return
            self._ring = ring
            self.traces.set_source(ring, [layout[i]["name"] for i in columns], columns, ring.rate_hz)
        if self._ring is not None:
            self.traces.set_bad(dict(shown.head.bad))
            self.traces.tick()

    def _show_field(self, t: Treatment) -> None:
        """The field beside a checklist's question: empty at each new question, with the name where it is to be signed."""
        if t.field != self._field:
            self._field = t.field
            self.field.setText(t.name if t.field == "name" else "")
            self.field.setPlaceholderText(_FIELDS.get(t.field, ""))
            self.field.setAccessibleName(_FIELDS.get(t.field, ""))
            if self.field.hasFocus() and t.field != "name":
                self.question.setFocus(Qt.FocusReason.OtherFocusReason)
            self.field.setVisible(bool(t.field) and not self._review)
            if t.field == "name" and not typing():
                self.field.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_answers(self, answers: tuple[Any, ...]) -> None:
        """What follows from the engine's answers: words that were taken leave their fields; where some are lacking, type them."""
        for answer in [a for a in answers if a not in self._answers]:
            if answer.word in TOLD and not answer.why_not:
                self.telling.taken(answer.word)
            elif answer.word in ANSWERS and not answer.why_not and self._field == "words":
                self.field.clear()
            elif answer.word in ANSWERS and "needs words" in answer.why_not:
                self.field.setFocus(Qt.FocusReason.OtherFocusReason)
        self._answers = answers

    def _show_edges(self, shown: Session, numbers: Any) -> None:
        """Answers, what is offered when nothing runs, the simulated bedside."""
        simulated = "SIMULATED" in shown.banner.text.upper() and not self._review
        gone = getattr(numbers, "board_seen", False) and not getattr(numbers, "engine_lives", True)
        over = shown.ended or gone
        if self.bedside.isHidden() == (simulated and not over):
            self.bedside.setVisible(simulated and not over)
            self.tabs.setTabVisible(self.tabs.indexOf(self.sheet), simulated and not over)
        self.sheet.show_it(shown.unit.connected, "")
        self.note.setVisible(not self._review and not over)
        self.again.setVisible(over and not self._review)
        self.look_back.setVisible(over and not self._review)
        self._report = shown.report
        self.report.setVisible(bool(shown.report) and Path(shown.report).is_file())
        now_s = getattr(numbers, "now_s", 0.0)
        line = answered(self._answers[-1], now_s) if self._answers else Line()
        if line.text or not over:
            self.answer.show_it(line if line.text else shown.seat)
        if shown.question.phase == "started" and any(t.tone is Tone.BAD for t in shown.preflight):
            self.tabs.setCurrentWidget(self.checks)

    def close_down(self) -> None:
        """The window goes."""
        self._ring = None
