"""A screen of the tests' own making, with what the window expects of every screen."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QLineEdit, QVBoxLayout, QWidget

from gui.shown import Line


class PlainScreen(QWidget):
    """A screen with a text field and a combobox, and what the window expects of every screen."""

    told = Signal(object)
    said = Signal(str, tuple)

    def __init__(self) -> None:
        super().__init__()
        self.field, self.box = QLineEdit(), QComboBox()
        self.box.addItems(["one", "two", "three"])
        layout = QVBoxLayout(self)
        layout.addWidget(self.field)
        layout.addWidget(self.box)
        self.drawn: list[Any] = []
        self.themes: list[str] = []
        self.ticks = self.down = 0

    def set_theme(self, theme: Any) -> None:
        self.themes.append(theme.name)

    def tick(self) -> None:
        self.ticks += 1

    def banner(self) -> Line:
        return Line(text="SIMULATED")

    def restart(self) -> None:
        self.drawn.clear()

    def show_it(self, shown: Any, source: Any, numbers: Any) -> None:
        self.drawn.append(shown)

    def show_choice(self, theme: str, scale: float) -> None:
        self.themes.append(f"{theme} {scale}")

    def close_down(self) -> None:
        self.down += 1
