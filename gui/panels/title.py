"""Owns a panel's title, in one line that ends in dots where there is no room; owns no words."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QStyleOption


class Title(QLabel):
    """One line that ends in dots where there is no room; then the tool tip holds it whole, before what it means."""

    def __init__(self, text: str, meaning: str = "") -> None:
        super().__init__(text)
        self._meaning = meaning
        self.setProperty("role", "title")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setToolTip(meaning)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def written(self) -> str:
        """What of it can be read."""
        return self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())

    def tell(self) -> None:
        """Let the tool tip follow."""
        cut = self.text() if self.written() != self.text() else ""
        self.setToolTip("\n".join(part for part in (cut, self._meaning) if part))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.tell()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter, option = QPainter(self), QStyleOption()
        option.initFrom(self)
        painter.setPen(option.palette.color(self.foregroundRole()))
        painter.drawText(
            self.rect(), int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), self.written()
        )
        painter.end()
