"""Owns the side sheets: what asks without covering anything; owns no decision."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget


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


class EmergencySheet(SideSheet):
    """Asks what happened, after STOP has gone out and the participant is locked.

    Nothing waits for the words: who helps a person types later, or never. ``lock`` locks in these words, and says what was done.
    """

    COIL = "TAKE THE COIL AWAY FROM THE HEAD. Switch the unit off at its own switch. Help the person; note the time."

    def __init__(self, lock: Callable[[str], str]) -> None:
        super().__init__("EMERGENCY", self.COIL, (("close", "Close this"),))
        self._lock = lock
        self.told = QLabel()
        self.told.setWordWrap(True)
        self.told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.field = QLineEdit()
        self.field.setPlaceholderText("What happened? Enter writes it")
        self.field.setAccessibleName("What happened")
        self.field.setMaxLength(400)
        self.field.returnPressed.connect(self._write)
        self.words.setProperty("letters", "big")
        self.box.insertWidget(2, self.field)
        self.box.insertWidget(3, self.told)
        self.chosen.connect(lambda _: self.hide())
        self.hide()

    def ask(self) -> None:
        """Lock, tell what was done, and give the keyboard to the field for the words."""
        self.told.setText(self._lock("no words were given yet"))
        self.show()
        self.field.setFocus(Qt.FocusReason.OtherFocusReason)

    def _write(self) -> None:
        words = self.field.text().strip()
        if words:
            self.field.clear()
            self.told.setText(self._lock(words))
