"""Owns the key that must work from everywhere: Esc reaches STOP before any widget, popup or menu sees it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication

_KINDS = (QEvent.Type.KeyPress, QEvent.Type.ShortcutOverride)


class EscapeFirst(QObject):
    """An event filter of the application: Esc calls ``stop`` at once, then closes what popped up; nobody else gets it.

    The first of the two events of one key press counts, so that nothing in between can swallow it; ``stop`` may be called twice.
    """

    def __init__(self, stop: Callable[[], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._stop = stop

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() not in _KINDS or not isinstance(event, QKeyEvent) or event.key() != Qt.Key.Key_Escape:
            return False
        self._stop()
        event.accept()
        if event.type() == QEvent.Type.KeyPress:
            popup = QApplication.activePopupWidget()
            if popup is not None:
                popup.close()
        return True

    def install(self) -> None:
        app = QApplication.instance()
        if app is not None:
            app.installEventFilter(self)

    def remove(self) -> None:
        app = QApplication.instance()
        if app is not None:
            app.removeEventFilter(self)
