"""Owns the drawing of each stage's latency against its budget; owns no timing."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from gui.panels.parts import Panel
from gui.shown import LatencyRow
from gui.theme import Theme, words

LEAST, MOST = 1.5, 2.3  # height of a stage, in lines of words
_BUDGET_AT = 0.72  # of the bar's width: beyond it there is room to see by how much a budget is broken


class Bars(QWidget):
    """Per stage: bar to the median, whisker to the 95th percentile, mark at the last one, line at the budget."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self.rows: tuple[LatencyRow, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def _row_px(self) -> float:
        """Height of a stage: what there is, within what looks well."""
        line = QFontMetricsF(self.font()).height()
        return min(max(self.height() / max(1, len(self.rows)), LEAST * line), MOST * line)

    def sizeHint(self) -> QSize:
        return QSize(320, math.ceil(MOST * QFontMetricsF(self.font()).height() * max(1, len(self.rows))))

    def minimumSizeHint(self) -> QSize:
        return QSize(220, math.ceil(LEAST * QFontMetricsF(self.font()).height() * max(1, len(self.rows))))

    def texts(self) -> tuple[str, ...]:
        """What stands above each bar."""
        return tuple(f"{_name(row)}  {_numbers(row)}" for row in self.rows)

    def event(self, event: object) -> bool:
        if getattr(event, "type", lambda: None)() == event.Type.ToolTip:  # type: ignore[attr-defined]
            at = int(event.pos().y() / self._row_px())  # type: ignore[attr-defined]
            QToolTip.showText(event.globalPos(), self.rows[at].meaning if 0 <= at < len(self.rows) else "")  # type: ignore[attr-defined]
            return True
        return bool(super().event(event))  # type: ignore[arg-type]

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        height = QFontMetricsF(self.font()).height()
        for i, row in enumerate(self.rows):
            top = i * self._row_px()
            words_at = QRectF(0, top, self.width(), height)
            room = self.width() - painter.fontMetrics().horizontalAdvance(_numbers(row)) - 8
            name = painter.fontMetrics().elidedText(_name(row), Qt.TextElideMode.ElideRight, room)
            painter.setPen(QColor(self.theme.tone(row.tone)))
            painter.drawText(words_at, Qt.AlignmentFlag.AlignLeft, name)
            painter.setPen(QColor(self.theme.ink))
            painter.drawText(words_at, Qt.AlignmentFlag.AlignRight, _numbers(row))
            self._bar(
                painter,
                row,
                QRectF(0, top + height, self.width(), min(self._row_px() - height - 3, height * 0.75)),
            )
        painter.end()

    def _bar(self, painter: QPainter, row: LatencyRow, place: QRectF) -> None:
        theme = self.theme
        painter.fillRect(place, QColor(theme.ground))
        whole = row.budget_ms / _BUDGET_AT if row.budget_ms else max(row.worst_ms, row.last_ms, 1e-9) * 1.05
        if row.n == 0:
            return

        def x(value_ms: float) -> float:
            share = value_ms / whole if math.isfinite(value_ms) else 0.0
            return place.left() + place.width() * min(max(share, 0.0), 1.0)

        colour = QColor(theme.tone(row.tone) if row.budget_ms else theme.muted)
        painter.fillRect(
            QRectF(place.left(), place.top(), x(row.median_ms) - place.left(), place.height()), colour
        )
        middle = place.center().y()
        painter.setPen(QPen(QColor(theme.ink), 2))
        painter.drawLine(QPointF(x(row.median_ms), middle), QPointF(x(row.p95_ms), middle))
        last = x(row.last_ms)
        painter.drawLine(QPointF(last, place.top()), QPointF(last, place.bottom()))
        if row.budget_ms:
            painter.setPen(QPen(QColor(theme.ink), 2, Qt.PenStyle.DotLine))
            painter.drawLine(
                QPointF(x(row.budget_ms), place.top() - 2), QPointF(x(row.budget_ms), place.bottom() + 2)
            )


def _name(row: LatencyRow) -> str:
    return words(row.tone, row.name)


def _numbers(row: LatencyRow) -> str:
    if row.n == 0:
        return "none yet"
    budget = f" / {row.budget_ms:g} ms" if row.budget_ms else " ms"
    return f"{row.last_ms:.1f} · median {row.median_ms:.1f} · 95 % {row.p95_ms:.1f}{budget}"


class LatencyPanel(Panel):
    """Last, median and 95th percentile of each stage against its budget (dotted line)."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        meaning = "Bar: median; line through it: to the 95th percentile; upright mark: the last pulse; dotted: the budget."
        super().__init__("Latency: last · median · 95 % / budget", theme, parent, meaning=meaning)
        self.bars = Bars(theme)
        self.body.addWidget(self.bars, 1)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.bars.theme = theme
        self.bars.update()

    def show_it(self, rows: tuple[LatencyRow, ...]) -> None:
        """Show these stages."""
        if not self.changed("rows", rows):
            return
        grown = len(rows) != len(self.bars.rows)
        self.bars.rows = rows
        self.bars.setAccessibleDescription("; ".join(self.bars.texts()))
        if grown:
            self.bars.updateGeometry()
        self.bars.update()
