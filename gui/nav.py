"""Owns the bar under every screen: where one can go, the last line of defence in words, light or dark, bigger or smaller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from gui.shown import Stop

#: screen -> (text, key); the function keys belong to the words of a session
NAMES = {
    "start": ("Start", "Alt+1"), "session": ("Session", "Alt+2"), "review": ("Review", "Alt+3"),
    "settings": ("Settings", "Alt+4"),
}  # fmt: skip
THEME_KEY = "Ctrl+D"


class NavBar(QWidget):
    """Buttons and their keys, which work wherever the keyboard is in ``window``."""

    went = Signal(str)
    themed = Signal()
    rescaled = Signal(int)

    def __init__(self, window: QWidget) -> None:
        super().__init__()
        self._window = window
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        self.buttons: dict[str, QPushButton] = {}
        for name, (text, key) in NAMES.items():
            self.buttons[name] = self._button(
                row, f"{text}  {key}", key, lambda name=name: self.went.emit(name)
            )
            self.buttons[name].setCheckable(True)
        caption = QLabel(Stop().last_line)
        caption.setProperty("tone", "off")
        row.addStretch(1)
        row.addWidget(caption)
        row.addStretch(1)
        self._button(row, f"Light / dark  {THEME_KEY}", THEME_KEY, self.themed.emit)
        self._button(row, "A−  Ctrl+-", "Ctrl+-", lambda: self.rescaled.emit(-1))
        self._button(row, "A+  Ctrl++", "Ctrl++", lambda: self.rescaled.emit(+1))
        self._shortcut("Ctrl+=", lambda: self.rescaled.emit(+1))
        self._shortcut("Ctrl+0", lambda: self.rescaled.emit(0))

    def show_it(self, here: str, why_not: Callable[[str], str]) -> None:
        """Where one is, and why one cannot go elsewhere."""
        for name, button in self.buttons.items():
            why = why_not(name)
            button.setEnabled(not why)
            button.setToolTip(why)
            button.setChecked(name == here)

    def _button(self, row: QHBoxLayout, text: str, key: str, do: Callable[[], Any]) -> QPushButton:
        button = QPushButton(text)
        button.setProperty("thin", "true")
        button.clicked.connect(lambda _=False: do())
        row.addWidget(button)
        self._shortcut(key, do)
        return button

    def _shortcut(self, key: str, do: Callable[[], Any]) -> None:
        QShortcut(QKeySequence(key), self._window).activated.connect(do)
