"""Owns how a label's words are drawn where they must be cut, and a panel's title, which ends in dots; owns no words."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QStyleOption

ONE_LINE = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


def elided(label: QLabel, font: QFont | None = None) -> str:
    """What of a label's words has room in one line, written in ``font`` (its own, where none is given)."""
    metrics = QFontMetrics(label.font() if font is None else font)
    return metrics.elidedText(label.text(), Qt.TextElideMode.ElideRight, label.width())


def write(
    label: QLabel, text: str, flags: Qt.AlignmentFlag | int = ONE_LINE, font: QFont | None = None
) -> None:
    """Draw these words on a label in its own colour, instead of its own words."""
    painter, option = QPainter(label), QStyleOption()
    option.initFrom(label)
    painter.setFont(label.font() if font is None else font)
    painter.setPen(option.palette.color(label.foregroundRole()))
    painter.drawText(label.rect(), int(flags), text)
    painter.end()


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
        return elided(self)

    def tell(self) -> None:
        """Let the tool tip follow."""
        cut = self.text() if self.written() != self.text() else ""
        self.setToolTip("\n".join(part for part in (cut, self._meaning) if part))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.tell()

    def paintEvent(self, _event: QPaintEvent) -> None:
        write(self, self.written())
