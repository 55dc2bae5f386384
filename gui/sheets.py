"""Owns the side sheets: what asks without covering anything; owns no decision."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget


class SideSheet(QFrame):
    """A sheet at the side of the window: title, words, big buttons. ``chosen`` carries the name of the button pressed."""

    chosen = Signal(str)

    def __init__(
        self, title: str, words: str, buttons: tuple[tuple[str, str], ...], width: int = 380
    ) -> None:
        super().__init__()
        self.setProperty("sheet", "true")
        self.setFixedWidth(width)
        self._words = words
        self.words = QLabel(words)
        self.words.setWordWrap(True)
        heading = QLabel(title)
        heading.setProperty("letters", "big")
        heading.setWordWrap(True)
        self.box = QVBoxLayout(self)
        self.box.addWidget(heading)
        self.box.addWidget(self.words)
        self.buttons: dict[str, QPushButton] = {}
        for name, text in buttons:
            button = QPushButton(text)
            button.clicked.connect(lambda _=False, name=name: self.chosen.emit(name))
            self.box.addWidget(button)
            self.buttons[name] = button
        self.box.addStretch(1)

    def first(self) -> QWidget:
        """The button that gets the keyboard."""
        return next(iter(self.buttons.values()))


class CloseSheet(SideSheet):
    """Asked when the window is to close while a session runs."""

    WORDS = (
        "The engine is a process of its own. Without a window it holds: disarmed, recording, until a window is back "
        "(rtloop gui joins it again)."
    )

    def __init__(self) -> None:
        super().__init__(
            "A session is running", self.WORDS,
            (("stay", "Stay here"), ("leave", "Leave it running:\ndisarmed until a\nwindow is back"),
             ("end", "End the session\nand close")),
        )  # fmt: skip

    def ask(self, more: str = "") -> None:
        self.words.setText(f"{more} {self.WORDS}".strip())
        for button in self.buttons.values():
            button.setEnabled(True)
        self.show()
        self.first().setFocus(Qt.FocusReason.OtherFocusReason)

    def wait(self, words: str) -> None:
        """The session is being ended."""
        self.words.setText(words)
        self.buttons["end"].setEnabled(False)
