"""Owns the drawing of what the operator is asked, with its buttons and keys; owns no rule about what may be answered."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from gui.panels.parts import Flow, Panel, ToneLabel, WordButton
from gui.shown import Button, Question
from gui.theme import Theme


def typing() -> bool:
    """True while the keyboard goes into a text field."""
    widget = QApplication.focusWidget()
    if isinstance(widget, QComboBox):
        return widget.isEditable()
    if isinstance(widget, QLineEdit | QPlainTextEdit | QTextEdit):
        return not widget.isReadOnly()
    return isinstance(widget, QAbstractSpinBox)


class QuestionPanel(Panel):
    """Big words, and a big button for each answer; ``said`` carries the word and its arguments."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("What to do now", theme, parent)
        self.words = ToneLabel("big")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.answers: tuple[WordButton, ...] = ()
        self.always: tuple[WordButton, ...] = ()
        self.shortcuts: dict[str, QShortcut] = {}
        self._rows = Flow(), Flow()
        self.body.addWidget(self.words)
        for row in self._rows:
            holder = QWidget()
            holder.setLayout(row)
            self.body.addWidget(holder)
        self.body.addStretch(1)

    def show_it(self, question: Question, always: tuple[Button, ...]) -> None:
        """Ask this; ``always`` are the words that may be said at any time."""
        if self.changed("question", question):
            self.set_title(f"What to do now · {question.phase}" if question.phase else "What to do now")
            self.words.say(question.words)
            self.answers = self._fill(self._rows[0], self.answers, question.buttons)
        if self.changed("always", always):
            self.always = self._fill(self._rows[1], self.always, always)
        if self.changed("keys", tuple(b.key for b in (*question.buttons, *always))):
            self._make_shortcuts()

    def _fill(
        self, row: Flow, there: tuple[WordButton, ...], wanted: tuple[Button, ...]
    ) -> tuple[WordButton, ...]:
        same = tuple(b.value.word for b in there if b.value) == tuple(b.word for b in wanted)
        if same and len(there) == len(wanted):  # keep the focus where it is
            for widget, button in zip(there, wanted, strict=True):
                widget.show_it(button)
            return there
        if any(widget.push.hasFocus() for widget in there):
            self.setFocus()  # not the next answer, which a second press of the key would give, nor a text field
        for widget in there:
            row.removeWidget(widget)
            widget.setParent(None)
            widget.deleteLater()
        made = tuple(WordButton(button) for button in wanted)
        for widget in made:
            widget.said.connect(self.said)
            row.addWidget(widget)
        return made

    def _make_shortcuts(self) -> None:
        for old in self.shortcuts.values():
            old.setEnabled(False)
            old.deleteLater()
        self.shortcuts = {}
        for widget in (*self.answers, *self.always):
            key = widget.value.key if widget.value else ""
            sequence = QKeySequence(key)
            if sequence.isEmpty() or sequence[0].key() == Qt.Key.Key_Escape:  # Esc is STOP's alone
                continue
            if sequence.toString() not in self.shortcuts:
                shortcut = QShortcut(sequence, self)
                shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
                shortcut.activated.connect(self._pressed)
                self.shortcuts[sequence.toString()] = shortcut

    def _pressed(self) -> None:
        shortcut = self.sender()
        if not isinstance(shortcut, QShortcut) or typing():
            return
        for widget in (*self.answers, *self.always):
            if widget.value and widget.value.key and QKeySequence(widget.value.key) == shortcut.key():
                widget.press()
                return
