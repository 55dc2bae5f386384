"""Owns the form in which a sensation, an adverse event or the reason of an abort is told; owns neither their axes nor their
record (rtloop.treat.told)."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from gui.panels.parts import LineList, ToneLabel
from gui.shown import Tone, Treatment
from gui.theme import Theme
from rtloop.treat.told import AXES, WORDS_MAX

UNSAID = "say which"
NAMES = {
    "severity": "Severity", "related": "Related to the treatment", "serious": "Serious", "anticipated": "Anticipated",
    "device": "By a fault of the device", "state": "Now",
}  # fmt: skip


class TellingPanel(QScrollArea):
    """``said`` carries ``sensation``, ``adverse`` or ``abort`` with its words. Nothing is cleared until the engine took it."""

    said = Signal(str, tuple)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.felt, self.happened, self.because = (_line(x) for x in (
            "What is felt, in the participant's words", "What happened", "Why no more trains are to be given",
        ))  # fmt: skip
        self.grade = _box(("not said", *AXES["severity"]))
        self.grade.setAccessibleName("Severity of the sensation")
        self.axes = {axis: _box((UNSAID, *values)) for axis, values in AXES.items()}
        self.buttons = {
            word: QPushButton(text)
            for word, text in (
                ("sensation", "Write it down"), ("adverse", "Write the event down"), ("abort", "Abort the treatment"),
            )
        }  # fmt: skip
        self.why = ToneLabel("small")
        self.list = LineList(theme)
        self.list.setAccessibleName("Sensations and adverse events so far")
        self._why_not = ""
        self._lay()
        for word in ("sensation", "adverse", "abort"):
            self.buttons[word].clicked.connect(lambda _=False, word=word: self.tell(word))
            self.field(word).returnPressed.connect(lambda word=word: self.tell(word))

    def _lay(self) -> None:
        inner = QWidget()
        box = QVBoxLayout(inner)
        box.setContentsMargins(4, 2, 4, 2)
        box.setSpacing(3)
        first = QHBoxLayout()
        first.addWidget(self.felt, 1)
        first.addWidget(self.grade)
        first.addWidget(self.buttons["sensation"])
        axes = QFormLayout()
        axes.setSpacing(2)
        for axis, field in self.axes.items():
            axes.addRow(NAMES[axis], field)
            field.setAccessibleName(NAMES[axis])
        second, last = QHBoxLayout(), QHBoxLayout()
        second.addWidget(self.happened, 1)
        second.addWidget(self.buttons["adverse"])
        last.addWidget(self.because, 1)
        last.addWidget(self.buttons["abort"])
        for title, rows in (("Sensation", (first,)), ("Adverse event", (second, axes)), ("Abort", (last,))):
            heading = ToneLabel("small")
            heading.say(title, Tone.OFF)
            box.addWidget(heading)
            for row in rows:
                box.addLayout(row)
        box.addWidget(self.why)
        box.addWidget(self.list, 1)
        self.setWidget(inner)

    def field(self, word: str) -> QLineEdit:
        """Where the words of this one are typed."""
        return {"sensation": self.felt, "adverse": self.happened, "abort": self.because}[word]

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self.list.lines.set_theme(theme)

    def show_it(self, treatment: Treatment) -> None:
        """What was told so far, and why nothing can be told now."""
        self.list.show_it(treatment.told[::-1])
        if treatment.why_not_tell != self._why_not:
            self._why_not = treatment.why_not_tell
            for button in self.buttons.values():
                button.setEnabled(not self._why_not)
                button.setToolTip(self._why_not)
            self.why.say(self._why_not, Tone.OFF)

    def ask(self, word: str) -> None:
        """Give the keyboard to the words of this one."""
        self.field(word).setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.ensureWidgetVisible(self.field(word))

    def tell(self, word: str) -> None:
        """Say it, or what is lacking."""
        text = self.field(word).text().strip().replace(";", ",")
        lacking = [] if text else ["the words"]
        if word == "adverse":
            lacking += [NAMES[a].lower() for a, box in self.axes.items() if box.currentText() == UNSAID]
        if self._why_not or lacking:
            self.why.say(self._why_not or f"say {', '.join(lacking)}", Tone.ATTENTION)
            return
        if word == "sensation" and self.grade.currentIndex():
            text = f"{self.grade.currentText()} {text}"
        elif word == "sensation" and text.split()[0].lower() in AXES["severity"]:
            text = f"felt: {text}"  # its first word is no grade that somebody chose
        elif word == "adverse":
            text = "; ".join((text, *(f"{a}={box.currentText()}" for a, box in self.axes.items())))
        self.why.say("")
        self.said.emit(word, (text,))

    def taken(self, word: str) -> None:
        """The engine took it: room for the next."""
        self.field(word).clear()
        for box in (self.grade,) if word == "sensation" else self.axes.values() if word == "adverse" else ():
            box.setCurrentIndex(0)


def _line(placeholder: str) -> QLineEdit:
    line = QLineEdit()
    line.setPlaceholderText(placeholder)
    line.setAccessibleName(placeholder)
    line.setMaxLength(WORDS_MAX - 20)
    return line


def _box(values: Sequence[str]) -> QComboBox:
    box = QComboBox()
    box.addItems(list(values))
    return box
