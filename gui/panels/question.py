"""Owns the drawing of what the operator is asked, with its buttons and keys; owns no rule about what may be answered.

Its height never changes: the words shrink to at most two lines, the buttons stand in two rows and shrink (and at last drop
the names of their keys, which their tool tips hold) until they fit, and one line under them says why one is disabled.
"""

from __future__ import annotations

from bisect import bisect_left

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QKeySequence, QPaintEvent, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from gui.looks import FAMILY
from gui.panels.parts import Panel, ToneLabel, WordButton, style_again
from gui.panels.title import elided, write
from gui.shown import Button, Line, Question, Tone
from gui.theme import BIG_PT, MIDDLE_PT, SMALL_PT, Theme, words

#: letters of the first row, biggest first: (the expected answer, the others)
_LETTERS = (("big", "middle"), ("middle", "middle"), ("middle", "small"), ("small", "small"))
_POINTS = {"big": BIG_PT, "middle": MIDDLE_PT, "small": SMALL_PT}
_WRAPPED = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap)
_BESIDE_PX = 30  # padding and border of a button, both sides


def typing() -> bool:
    """True while the keyboard goes into a text field."""
    widget = QApplication.focusWidget()
    if isinstance(widget, QComboBox):
        return widget.isEditable()
    if isinstance(widget, QLineEdit | QPlainTextEdit | QTextEdit):
        return not widget.isReadOnly()
    return isinstance(widget, QAbstractSpinBox)


def _metrics(size_pt: float, bold: bool = False) -> QFontMetrics:
    font = QFont(FAMILY)
    font.setPointSizeF(size_pt)
    font.setBold(bold)
    return QFontMetrics(font)


class Asked(ToneLabel):
    """Words in the room of two lines: big if they fit so, else smaller; the tool tip holds them whole."""

    GOES_ON = "… (it goes on in the report)"

    def __init__(self) -> None:
        super().__init__("big")
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self._scale, self._free = 1.0, False
        self._short: str | None = None

    def set_scale(self, scale: float) -> None:
        """Its height follows from the scale alone."""
        self._scale = scale
        two, three = (
            2 * _metrics(MIDDLE_PT * scale).lineSpacing(),
            3 * _metrics(SMALL_PT * scale).lineSpacing(),
        )
        self.setFixedHeight(max(two, three) + 4)
        self._fit()

    def say(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        super().say(text, tone)
        self.setToolTip(text)
        self._fit()

    def set_free(self, free: bool) -> None:
        """Take all the room there is, or two lines."""
        self._free = free
        place = Qt.AlignmentFlag.AlignTop if free else Qt.AlignmentFlag.AlignVCenter
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | place)
        if free:
            self.setMinimumHeight(0)
            self.setMaximumHeight(16_777_215)
        else:
            self.set_scale(self._scale)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        return QSize(60, self.minimumHeight())

    def written(self) -> str:
        """What of it can be read: whole, or cut after a word where even small letters have no room."""
        return self.text() if self._short is None else self._short

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._short is None:
            super().paintEvent(event)
            return
        write(self, self._short, _WRAPPED)

    def _fit(self) -> None:
        room = QRect(0, 0, max(40, self.width() - 2), 10_000)

        def fits(metrics: QFontMetrics, text: str) -> bool:
            return metrics.boundingRect(room, _WRAPPED, text).height() <= self.height()

        self._short = None
        for letters in ("big", "middle", "small"):
            metrics = _metrics(_POINTS[letters] * self._scale)
            if fits(metrics, self.text()):
                break
        else:
            end = self.GOES_ON if self._free else "…"
            cuts = [i for i, c in enumerate(self.text()) if c in " \n"]
            n = bisect_left(cuts, True, key=lambda i: not fits(metrics, self.text()[:i] + end))
            self._short = self.text()[: cuts[n - 1] if n else 0] + end
            self.update()
        if self.property("letters") != letters:
            self.setProperty("letters", letters)
            style_again(self)


class OneLine(ToneLabel):
    """One line of words, with dots where the room ends; the tool tip holds them whole."""

    def __init__(self) -> None:
        super().__init__("small", wrap=False)

    def say(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        super().say(text, tone)
        self.setToolTip(text)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, super().minimumSizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        write(self, elided(self))


class ButtonRow(QWidget):
    """Buttons side by side, as big as all of them fit."""

    def __init__(self, *, thin: bool) -> None:
        super().__init__()
        self._thin = thin
        self.buttons: tuple[WordButton, ...] = ()
        self._scale = 1.0
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(8)
        self._row.addStretch(1)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, super().minimumSizeHint().height())

    def set_scale(self, scale: float) -> None:
        """Its height follows from the scale alone."""
        self._scale = scale
        size_pt = SMALL_PT if self._thin else BIG_PT
        self.setFixedHeight(_metrics(size_pt * scale).height() + (10 if self._thin else 18))
        self.fit()

    def take(self, buttons: tuple[WordButton, ...]) -> None:
        """Hold these, which may be those that are there."""
        for old in self.buttons:
            if old not in buttons:
                self._row.removeWidget(old)
                old.setParent(None)
                old.deleteLater()
        for place, button in enumerate(buttons):
            if button not in self.buttons:
                self._row.insertWidget(place, button)
                if self._thin:
                    button.push.setProperty("thin", "true")
        self.buttons = buttons
        self.fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """Choose the letters, and whether the keys are named."""
        if not self.buttons:
            return
        sizes = (("small", "small"),) if self._thin else _LETTERS
        choices = [(*pair, named) for named in (True, False) for pair in sizes]
        chosen = next((c for c in choices if self._needs(*c) <= self.width()), choices[-1])
        for button in self.buttons:
            value = button.value
            if value is None:
                continue
            letters = chosen[0] if value.primary else chosen[1]
            text = button.written(named=chosen[2])
            if button.push.text() != text:
                button.push.setText(text)
            if button.push.property("letters") != letters:
                button.push.setProperty("letters", letters)
                style_again(button.push)

    def _needs(self, first: str, others: str, named: bool) -> int:
        wide = self._row.spacing() * len(self.buttons)
        for button in self.buttons:
            primary = button.value is not None and button.value.primary
            metrics = _metrics(_POINTS[first if primary else others] * self._scale, bold=primary)
            wide += metrics.horizontalAdvance(button.written(named=named)) + _BESIDE_PX
        return wide


class QuestionPanel(Panel):
    """Big words, and a big button for each answer; ``said`` carries the word and its arguments."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("What to do now", theme, parent)
        self.words, self.why = Asked(), OneLine()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._rows = ButtonRow(thin=False), ButtonRow(thin=True)
        self.shortcuts: dict[str, QShortcut] = {}
        self._over = False
        for part in (self.words, self._rows[0], self.why, self._rows[1]):
            self.body.addWidget(part)
        self.body.addStretch(1)
        self.set_scale(1.0)

    @property
    def answers(self) -> tuple[WordButton, ...]:
        return self._rows[0].buttons

    @property
    def always(self) -> tuple[WordButton, ...]:
        return self._rows[1].buttons

    def set_scale(self, scale: float) -> None:
        """Lay it out for this size of letters."""
        for part in (self.words, *self._rows):
            part.set_scale(scale)
        if self._over:
            self.words.set_free(True)

    def show_it(self, question: Question, always: tuple[Button, ...]) -> None:
        """Ask this; ``always`` are the words that may be said at any time."""
        if self._over:
            self._over, self._seen = False, {}
            self.words.set_free(False)
            self.body.setStretchFactor(self.words, 0)
            for part in (*self._rows, self.why):
                part.show()
        if self.changed("question", question):
            self.set_title(f"What to do now · {question.phase}" if question.phase else "What to do now")
            self.words.say(question.words)
            self._fill(self._rows[0], question.buttons)
        if self.changed("always", always):
            self._fill(self._rows[1], always)
        if self.changed("keys", tuple(b.key for b in (*question.buttons, *always))):
            self._make_shortcuts()
        if self.changed("why", (question.buttons, always)):
            self.why.show_it(_why(question.buttons, always))

    def show_end(self, lines: tuple[Line, ...]) -> None:
        """How a session ended, where nothing is asked: no buttons."""
        if self.changed("end", lines):
            self.set_title("How it ended")
            self.words.say("\n".join(words(line.tone, line.text) for line in lines))
        if not self._over:
            self._over = True
            self.words.set_free(True)
            self.body.setStretchFactor(self.words, 100)
            for part in (*self._rows, self.why):
                part.hide()

    def _fill(self, row: ButtonRow, wanted: tuple[Button, ...]) -> None:
        there = row.buttons
        if tuple(b.value.word for b in there if b.value) == tuple(b.word for b in wanted):
            for widget, button in zip(there, wanted, strict=True):  # keep the focus where it is
                widget.show_it(button)
            row.fit()
            return
        if any(widget.push.hasFocus() for widget in there):
            self.setFocus()  # not the next answer, which a second press of the key would give, nor a text field
        made = tuple(WordButton(button, reason=False) for button in wanted)
        for widget in made:
            widget.said.connect(self.said)
        row.take(made)

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
        if not isinstance(shortcut, QShortcut):
            return
        for widget in (*self.answers, *self.always):
            if widget.value and widget.value.key and QKeySequence(widget.value.key) == shortcut.key():
                if typing() and widget.value.word != "emergency":
                    return
                if widget.value.enabled:
                    widget.press()
                else:
                    self.why.show_it(_reason(widget.value, Tone.ATTENTION))
                return


def _why(answers: tuple[Button, ...], always: tuple[Button, ...]) -> Line:
    """Why the first disabled answer is disabled; of the words that are always there only where none can be said."""
    looked_at = answers if any(b.enabled for b in always) else (*answers, *always)
    return next((_reason(b, Tone.OFF) for b in looked_at if not b.enabled and b.why_not), Line())


def _reason(button: Button, tone: Tone) -> Line:
    return Line(text=f"{button.text}: {button.why_not}", tone=tone)
