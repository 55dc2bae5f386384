"""Owns drawing found-versus-expected lines and lists of words; owns neither what they say nor when they are looked at."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from gui.panels.parts import ToneLabel
from gui.shown import Line, Tick, Tone


class Lines(QWidget):
    """Lines of words below each other, wrapped; touched only where something changed."""

    def __init__(self, size: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._size = size
        self._shown: tuple[Line, ...] = ()
        self.labels: list[ToneLabel] = []
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(2)

    def show_it(self, lines: Sequence[Line]) -> None:
        """Show these lines in their order."""
        lines = tuple(lines)
        if lines == self._shown:
            return
        self._shown = lines
        while len(self.labels) < len(lines):
            label = ToneLabel(self._size)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._box.addWidget(label)
            self.labels.append(label)
        for i, label in enumerate(self.labels):
            label.setVisible(i < len(lines))
            if i < len(lines):
                label.show_it(lines[i])

    @property
    def words(self) -> str:
        """All that is shown."""
        return "\n".join(line.text for line in self._shown)


class Ticks(QWidget):
    """One line for each tick: symbol, name, what was found; below, where it differs, what was expected and what to do."""

    def __init__(self, empty: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[Tick, ...] | None = None
        self._empty = QLabel(empty)
        self._empty.setProperty("tone", str(Tone.OFF))
        self._empty.setWordWrap(True)
        self._lines = Lines("middle")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._empty)
        box.addWidget(self._lines)
        self.show_it(())

    def show_it(self, ticks: Sequence[Tick]) -> None:
        """Show these ticks in their order."""
        ticks = tuple(ticks)
        if ticks == self._shown:
            return
        self._shown = ticks
        self._empty.setVisible(not ticks and bool(self._empty.text()))
        self._lines.setVisible(bool(ticks))
        lines = []
        for t in ticks:
            differs = t.tone in (Tone.BAD, Tone.ATTENTION)
            more = [f"expected: {t.expected}"] if differs and t.expected else []
            more += [f"what to do: {t.todo}"] if differs and t.todo else []
            lines.append(Line(text="\n      ".join([f"{t.name}: {t.found}", *more]), tone=t.tone))
        self._lines.show_it(lines)

    @property
    def words(self) -> str:
        """All that is shown."""
        return self._lines.words
