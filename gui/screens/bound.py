"""Owns the keys of buttons whose panels have none of their own (the trial's and the intensities'); owns no button."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from gui.panels.question import OneLine, typing
from gui.shown import Button, Tone


class BoundKeys:
    """Keys of the buttons of now. One that cannot be pressed says why in ``answer``; none works while words are typed."""

    def __init__(self, screen: QWidget, say: Callable[[str, tuple[str, ...]], None], answer: OneLine) -> None:
        self._screen, self._say, self._answer = screen, say, answer
        self._keys: dict[str, tuple[QShortcut, Button]] = {}

    def bind(self, buttons: Iterable[Button | None]) -> None:
        """Keep the shortcuts of these buttons, and no other."""
        wanted = {b.key: b for b in buttons if b is not None and b.key}
        for key in [k for k in self._keys if k not in wanted]:
            self._keys.pop(key)[0].deleteLater()
        for key, button in wanted.items():
            if key not in self._keys:
                shortcut = QShortcut(QKeySequence(key), self._screen)
                shortcut.activated.connect(lambda key=key: self._pressed(key))
                self._keys[key] = (shortcut, button)
            self._keys[key] = (self._keys[key][0], button)

    def _pressed(self, key: str) -> None:
        button = self._keys[key][1]
        if typing():
            return
        if button.enabled:
            self._say(button.word, button.args)
        else:
            self._answer.say(f"{button.text}: {button.why_not}", Tone.ATTENTION)
