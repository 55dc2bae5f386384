"""Owns the small widgets panels are made of: frame, tone label, fact grid, word button, list of lines; owns no panel.

Every ``show_it`` or ``say`` here compares with what it showed last and touches Qt only where something changed, so that a
window may call them thirty times a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QBrush, QColor, QResizeEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QLayout,
    QLayoutItem,
    QListView,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from gui.panels.title import Title
from gui.shown import Button, Fact, Line, Tone
from gui.theme import Theme, words

_LOOK = 10  # as many new lines in front are recognised as such; with more, the lines are written anew


def style_again(widget: QWidget) -> None:
    """Let the style sheet look at a widget's changed properties."""
    style = widget.style()
    style.unpolish(widget)
    style.polish(widget)


class ToneLabel(QLabel):
    """A label with a tone: its colour by the style sheet, its symbol in the text."""

    def __init__(self, size: str = "", *, wrap: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(wrap)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._shown: tuple[str, Tone] = ("", Tone.PLAIN)
        if size:
            self.setProperty("letters", size)
        self.setProperty("tone", str(Tone.PLAIN))

    def say(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Show ``text`` with the tone's symbol in front."""
        if (text, tone) == self._shown:
            return
        changed = tone != self._shown[1]
        self._shown = (text, tone)
        self.setText(words(tone, text))
        if changed:
            self.setProperty("tone", str(tone))
            style_again(self)

    def show_it(self, line: Line) -> None:
        """Show a line."""
        self.say(line.text, line.tone)


class Panel(QFrame):
    """A frame with a title and a body; ``body`` takes what the panel is made of."""

    said = Signal(str, tuple)  # a word for the engine and its arguments

    def __init__(self, title: str, theme: Theme, parent: QWidget | None = None, *, meaning: str = "") -> None:
        super().__init__(parent)
        self.theme = theme
        self.setProperty("panel", "true")
        self.setAccessibleName(title)
        self.title = Title(title, meaning)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(8, 5, 8, 6)
        self.body.setSpacing(4)
        self.body.addWidget(self.title)
        self._seen: dict[str, Any] = {}

    def changed(self, name: str, value: object) -> bool:
        """True when ``value`` is not what was seen under this name the last time; it is seen from now on."""
        if name in self._seen and self._seen[name] == value:
            return False
        self._seen[name] = value
        return True

    def set_title(self, text: str) -> None:
        """Change the title."""
        if self.title.text() != text:
            self.title.setText(text)
            self.title.tell()
            self.setAccessibleName(text)

    def set_theme(self, theme: Theme) -> None:
        """Take other colours; what the style sheet colours follows by itself."""
        self.theme = theme


def facts_grid(of: QWidget, columns: int, spacing_px: int) -> QGridLayout:
    """A grid for pairs of names and values on a widget: the values take the room that is left."""
    grid = QGridLayout(of)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(8)
    grid.setVerticalSpacing(spacing_px)
    for column in range(columns):
        grid.setColumnStretch(2 * column + 1, 1)
    return grid


class FactGrid(QWidget):
    """Names and values, in up to ``columns`` pairs of columns: as many as have room for every name and value in one line,
    else one pair, whose values wrap. A value's tone is colour and symbol, its meaning the tool tip."""

    def __init__(self, columns: int = 1, size: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns, self._size = columns, size
        self.columns = columns  # as they are laid now
        self._facts: tuple[Fact, ...] = ()
        self._cells: list[tuple[QLabel, ToneLabel]] = []
        self._grid = facts_grid(self, columns, 1)

    def show_it(self, facts: Sequence[Fact]) -> None:
        """Show these facts in their order."""
        facts = tuple(facts)
        if facts == self._facts:
            return
        while len(self._cells) < len(facts):
            self._add()
        for i, (name, value) in enumerate(self._cells):
            there = i < len(facts)
            name.setHidden(not there)
            value.setHidden(not there)
            if there and (i >= len(self._facts) or facts[i] != self._facts[i]):
                name.setText(facts[i].name)
                value.say(facts[i].value, facts[i].tone)
                name.setToolTip(facts[i].meaning)
                value.setToolTip(facts[i].meaning)
        self._facts = facts
        names = self._widest(self._columns)[::2]
        gaps = self._grid.horizontalSpacing() * (2 * self._columns - 1)
        self.setMinimumWidth(sum(names) + gaps)  # does not change with the columns that are laid
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _widest(self, columns: int) -> list[int]:
        """Width that each column needs where nothing wraps: names, values, names, values ..."""
        wide = [0] * (2 * columns)
        for i, (name, value) in enumerate(self._cells[: len(self._facts)]):
            at = 2 * (i % columns)
            wide[at] = max(wide[at], name.sizeHint().width())
            wide[at + 1] = max(wide[at + 1], value.fontMetrics().horizontalAdvance(value.text()) + 2)
        return wide

    def _fit(self) -> None:
        gap = self._grid.horizontalSpacing()
        fits = next(
            (
                c
                for c in range(self._columns, 1, -1)
                if sum(self._widest(c)) + gap * (2 * c - 1) <= self.width()
            ),
            1,
        )
        if fits == self.columns:
            return
        self.columns = fits
        for column in range(self._columns):
            self._grid.setColumnStretch(2 * column + 1, int(column < fits))
        for i in range(len(self._cells)):
            self._lay(i)

    def _lay(self, i: int) -> None:
        row, column = divmod(i, self.columns)
        for j, cell in enumerate(self._cells[i]):
            self._grid.addWidget(cell, row, 2 * column + j, Qt.AlignmentFlag.AlignTop)

    def _add(self) -> None:
        name, value = QLabel(self), ToneLabel(self._size, parent=self)
        name.setProperty("tone", str(Tone.OFF))
        name.setTextFormat(Qt.TextFormat.PlainText)
        if self._size:
            name.setProperty("letters", self._size)
        value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._cells.append((name, value))
        self._lay(len(self._cells) - 1)


class WordButton(QWidget):
    """A button that says a word to the engine; when disabled the reason stands under it and is its tool tip."""

    said = Signal(str, tuple)

    def __init__(self, button: Button, parent: QWidget | None = None, *, reason: bool = True) -> None:
        super().__init__(parent)
        self.value: Button | None = None
        self.push = QPushButton(self)
        self.push.setAutoDefault(False)
        self.push.clicked.connect(self.press)
        self.why = ToneLabel("small", parent=self)
        self._reason = reason
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addWidget(self.push)
        column.addWidget(self.why)
        self.show_it(button)

    def show_it(self, button: Button) -> None:
        """Show a button."""
        before, self.value = self.value, button
        if button == before:
            return
        self.push.setText(self.written())
        self.push.setEnabled(button.enabled)
        self.push.setToolTip(button.key if button.enabled else button.why_not)
        self.push.setAccessibleDescription(self.push.toolTip())
        self.why.say("" if button.enabled else button.why_not, Tone.OFF)
        self.why.setHidden(button.enabled or not button.why_not or not self._reason)
        if before is None or button.primary != before.primary:
            self.push.setProperty("primary", "true" if button.primary else "false")
            self.push.setProperty("letters", "big" if button.primary else "middle")
            style_again(self.push)

    def written(self, *, named: bool = True) -> str:
        """What stands on it, with the name of its key where there is room."""
        if self.value is None:
            return ""
        return f"{self.value.text}   {self.value.key}" if self.value.key and named else self.value.text

    def press(self) -> None:
        """Say the word, if it may be said."""
        if self.value is not None and self.value.enabled:
            self.said.emit(self.value.word, self.value.args)


class Flow(QLayout):
    """Lays widgets in rows like words in a text."""

    def __init__(self, spacing: int = 8) -> None:
        super().__init__()
        self._items: list[QLayoutItem] = []
        self.setContentsMargins(0, 0, 0, 0)
        self.setSpacing(spacing)

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:  # type: ignore[override]
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:  # type: ignore[override]
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._lay(QRect(0, 0, width, 0), place=False)

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        self._lay(rect, place=True)

    def sizeHint(self) -> QSize:
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        return size

    def _lay(self, rect: QRect, *, place: bool) -> int:
        x, y, row = rect.x(), rect.y(), 0
        for item in self._items:
            if item.isEmpty():
                continue
            width = min(item.sizeHint().width(), rect.width())
            height = item.heightForWidth(width) if item.hasHeightForWidth() else item.sizeHint().height()
            if x > rect.x() and x + width > rect.right() + 1:
                x, y, row = rect.x(), y + row + self.spacing(), 0
            if place:
                item.setGeometry(QRect(QPoint(x, y), QSize(width, height)))
            x += width + self.spacing()
            row = max(row, height)
        return y + row - rect.y()


class LineModel(QStandardItemModel):
    """Lines of words with tones. Qt asks it for every row at every insertion, so the rows are Qt's own items."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.lines: tuple[Line, ...] = ()
        self._brushes = {tone: QBrush(QColor(theme.tone(tone))) for tone in Tone}

    def take(self, lines: tuple[Line, ...]) -> int:
        """Show these lines, touching only what changed; returns how many came in front of those that were there."""
        old = self.lines
        new = next((k for k in range(_LOOK) if lines[k : k + len(old)] == old[: max(0, len(lines) - k)]), 0)
        for k in range(new if old else 0):
            self.insertRow(k, self._item(lines[k]))
        if self.rowCount() > len(lines):
            self.removeRows(len(lines), self.rowCount() - len(lines))
        there = (lines[:new] + old)[: len(lines)] if old else ()
        for i, line in enumerate(lines):
            if i >= len(there):
                self.appendRow(self._item(line))
            elif there[i] != line:
                self._fill(self.item(i), line)
        self.lines = lines
        return new if old else 0

    def _item(self, line: Line) -> QStandardItem:
        item = QStandardItem()
        self._fill(item, line)
        return item

    def _fill(self, item: QStandardItem, line: Line) -> None:
        item.setText(words(line.tone, line.text))
        item.setToolTip(line.text)
        item.setForeground(self._brushes[line.tone])

    def set_theme(self, theme: Theme) -> None:
        """Take other colours."""
        self._brushes = {tone: QBrush(QColor(theme.tone(tone))) for tone in Tone}
        for i, line in enumerate(self.lines):
            self.item(i).setForeground(self._brushes[line.tone])


class LineList(QListView):
    """A list of any length of which only the visible rows cost anything."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.lines = LineModel(theme, self)
        self.setModel(self.lines)
        self.setUniformItemSizes(True)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setMinimumHeight(60)

    def show_it(self, lines: tuple[Line, ...]) -> None:
        """Show these lines, newest first; the eye keeps its place when lines come in front."""
        if lines == self.lines.lines:
            return
        at = self.verticalScrollBar().value()
        new = self.lines.take(lines)
        self.verticalScrollBar().setValue(at + new if at else 0)
