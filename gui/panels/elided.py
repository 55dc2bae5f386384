"""Owns small words in one line that end in dots where there is no room, with the whole in the tool tip; owns no words."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize
from PySide6.QtGui import QFont, QFontMetrics, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.panels.parts import ToneLabel, facts_grid
from gui.panels.title import elided, write
from gui.shown import Fact, Tone

SMALLER = 0.9  # of the window's font
#: letters of a list of facts against that: the largest with which every value is read whole; longer ones end in dots
LETTERS = (1.0, 0.95, 0.9, 0.85, 0.8)
LONG = 18


class Elided(ToneLabel):
    """One line; what does not fit is in the tool tip, after ``meaning``."""

    def __init__(self, parent: QWidget | None = None, *, whole: bool = False) -> None:
        """``whole``: it asks for the room its words need, else it takes what is left."""
        super().__init__(wrap=False, parent=parent)
        self._meaning, self._bold, self._factor = "", False, 1.0
        wide = QSizePolicy.Policy.Preferred if whole else QSizePolicy.Policy.Ignored
        self.setSizePolicy(wide, QSizePolicy.Policy.Fixed)

    def say(self, text: str, tone: Tone = Tone.PLAIN, meaning: str = "") -> None:
        """Show ``text``; ``meaning`` goes to the tool tip."""
        if (text, tone) == self._shown and meaning == self._meaning:
            return
        self._meaning = meaning
        super().say(text, tone)
        self.setToolTip("\n".join(part for part in (self.text(), meaning) if part))

    def set_bold(self, bold: bool) -> None:
        """Bold, or not."""
        if bold != self._bold:
            self._bold = bold
            self.updateGeometry()
            self.update()

    def set_factor(self, factor: float) -> None:
        """Letters against those it has by itself."""
        if factor != self._factor:
            self._factor = factor
            self.updateGeometry()
            self.update()

    def letters(self) -> QFont:
        """The font it is written in."""
        font = QFont(self.font())
        font.setPointSizeF(SMALLER * self._factor * self.font().pointSizeF())
        font.setBold(self._bold)
        return font

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self.letters())
        return QSize(metrics.horizontalAdvance(self.text()) + 2, metrics.height() + 1)

    def minimumSizeHint(self) -> QSize:
        return QSize(20, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        font = self.letters()
        write(self, elided(self, font), font=font)


class FactLines(QWidget):
    """Facts in two columns, one small line each: name, value, its tone by colour and symbol."""

    def __init__(self, columns: int = 2, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns = columns
        self._facts: tuple[Fact, ...] = ()
        self._factor = 1.0
        self._cells: list[tuple[Elided, Elided]] = []
        self._grid = facts_grid(self, columns, 0)

    def show_it(self, facts: Sequence[Fact]) -> None:
        """Show these facts in their order, down the first column and then down the next."""
        facts = tuple(facts)
        if facts == self._facts:
            return
        if len(facts) != len(self._facts):
            self._place(len(facts))
        for i, (fact, (name, value)) in enumerate(zip(facts, self._cells, strict=False)):
            if i >= len(self._facts) or fact != self._facts[i]:
                name.say(fact.name, meaning=fact.meaning)
                value.say(fact.value, fact.tone, fact.meaning)
        self._facts = facts
        self._fit(self._factor)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit(1.0)

    def _fit(self, most: float) -> None:
        """Letters that fit, not larger than ``most``: with each new trial they would change else."""
        cells = self._cells[: len(self._facts)]
        rows = -(-len(cells) // self._columns) or 1
        for self._factor in (f for f in LETTERS if f <= most):
            for name, value in self._cells:
                name.set_factor(self._factor)
                value.set_factor(self._factor)
            names = sum(
                max(name.sizeHint().width() for name, _ in cells[i : i + rows])
                for i in range(0, len(cells), rows)
            )
            values = max(
                (value.sizeHint().width() for _, value in cells if len(value.text()) <= LONG), default=0
            )
            gaps = self._grid.horizontalSpacing() * (2 * self._columns - 1)
            if names + self._columns * values + gaps <= self.width():
                break

    def _place(self, n: int) -> None:
        while len(self._cells) < n:
            name, value = Elided(self, whole=True), Elided(self)
            name.setProperty("tone", str(Tone.OFF))  # its colour; no symbol
            self._cells.append((name, value))
        rows = -(-n // self._columns)
        for i, cells in enumerate(self._cells):
            for j, cell in enumerate(cells):
                cell.setHidden(i >= n)
                if i < n:
                    self._grid.addWidget(cell, i % rows, 2 * (i // rows) + j)
