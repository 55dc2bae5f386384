"""Owns the table of targets; owns no number in it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QSizePolicy,
    QStyleOption,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from gui.panels.parts import Panel, ToneLabel
from gui.shown import Scores, TargetRow, Tone
from gui.theme import Theme, words

COLUMNS = (
    ("Target", "▶ the target under way"),
    ("Pulses", "accepted of wanted"),
    ("Rejected", "trials that do not count"),
    ("GLOBAL", "dwPLI² over all good pairs × 1000, with 95 % interval"),
    ("LOCAL", "dwPLI² of the pairs among the electrodes nearest the coil × 1000, with 95 % interval"),
    ("SNR", "power after the pulse over power before it, less one"),
    ("P(lowest)", "probability that this target's GLOBAL score is the lowest of those compared"),
    ("P(highest)", "probability that this target's GLOBAL score is the highest of those compared"),
    (
        "Comparable",
        "whether it was measured alike enough to be compared, as the last look at the map found it",
    ),
    ("State", "where this target stands in the plan"),
)
_MASKED = (3, 4, 6, 7)  # not SNR: it tells of the recording
#: letters of the table against the window's font: the largest with which all rows and columns are seen
LETTERS = (1.3, 1.15, 1.0, 0.9, 0.82, 0.75)
NOTES = 0.9
_WRAP = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
_BESIDE_PX, _ABOVE_PX = 11, 6  # room in a cell, at the window's own size of letters


class Note(ToneLabel):
    """Words under the table: in small letters, in at most two lines, else the whole is in the tool tip."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)

    def letters(self) -> QFont:
        """The font it is written in."""
        font = QFont(self.font())
        font.setPointSizeF(NOTES * self.font().pointSizeF())
        return font

    def hasHeightForWidth(self) -> bool:
        return True

    def _height(self, width: int) -> int:
        metrics = QFontMetrics(self.letters())
        box = metrics.boundingRect(QRect(0, 0, max(width, 50), 1000), int(_WRAP), self.text())
        return min(box.height(), 2 * metrics.lineSpacing()) + 1

    def heightForWidth(self, width: int) -> int:
        return self._height(width)

    def minimumSizeHint(self) -> QSize:
        return QSize(50, self._height(self.width()))

    def sizeHint(self) -> QSize:
        return self.minimumSizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.updateGeometry()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter, option = QPainter(self), QStyleOption()
        option.initFrom(self)
        painter.setFont(self.letters())
        painter.setPen(option.palette.color(self.foregroundRole()))
        metrics, text = painter.fontMetrics(), self.text()
        while (
            metrics.boundingRect(QRect(0, 0, self.width(), 1000), int(_WRAP), text).height()
            > self.height() + 1
        ):
            shorter = text.rstrip("…").rsplit(" ", 1)[0] + "…"
            if shorter == text or " " not in text:
                break
            text = shorter
        self.setToolTip(self.text() if text != self.text() else "")
        painter.drawText(self.rect(), int(_WRAP), text)
        painter.end()


class TargetTable(Panel):
    """One row per target in the plan's order, read from two metres; below it what the columns mean and the decision."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Targets", theme, parent)
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setAccessibleName("Targets")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setWordWrap(False)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setShowGrid(False)
        self.table.setMinimumHeight(60)
        side = self.table.verticalHeader()
        side.setVisible(False)
        side.setMinimumSectionSize(8)
        header = self.table.horizontalHeader()
        header.setMinimumSectionSize(12)
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for i, (name, meaning) in enumerate(COLUMNS):
            item = QTableWidgetItem(name)
            item.setToolTip(meaning)
            self.table.setHorizontalHeaderItem(i, item)
        self.lines: list[Note] = []
        self.body.setSpacing(2)
        self.body.addWidget(self.table, 1)
        self._rows: tuple[TargetRow, ...] = ()
        self._masked = ""
        self.n_set = 0
        self.table.viewport().installEventFilter(self)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        for i, row in enumerate(self._rows):
            self._colour(i, row)

    def show_it(self, scores: Scores) -> None:
        """Show the table; where scores are masked no score stands in it."""
        if self.changed("table", (scores.table, scores.masked)):
            self._show_rows(scores.table, scores.masked)
        if self.changed("words", scores.words):
            while len(self.lines) < len(scores.words):
                self.lines.append(Note())
                self.body.addWidget(self.lines[-1])
            for i, label in enumerate(self.lines):
                there = i < len(scores.words)
                label.setHidden(not there)
                if there:
                    label.show_it(scores.words[i])

    def _show_rows(self, rows: tuple[TargetRow, ...], masked: str) -> None:
        self.table.setRowCount(len(rows))
        for i, row in enumerate(rows):
            before = self._rows[i] if i < len(self._rows) else None
            if row == before and masked == self._masked:
                continue
            tips = dict(row.tips)
            for j, text in enumerate(_texts(row)):
                text = "masked" if masked and j in _MASKED else text
                item = self.table.item(i, j)
                if item is None:
                    item = QTableWidgetItem()
                    self.table.setItem(i, j, item)
                item.setToolTip(tips.get(COLUMNS[j][0], ""))
                if item.text() != text:
                    item.setText(text)
                    self.n_set += 1
            self._colour(i, row)
        self._rows, self._masked = rows, masked
        lengths = [[len(text) for text in texts] for texts in self._cells()]
        if self.changed(
            "lengths", (lengths, [row.current for row in rows])
        ):  # measuring every cell takes milliseconds
            self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange) and hasattr(self, "_masked"):
            self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def _fit(self) -> None:
        """The largest letters with which nothing has to be scrolled, and the columns as wide as their words."""
        if not self._rows:
            return
        viewport, header = self.table.viewport(), self.table.horizontalHeader()
        high = viewport.height() + (header.height() if header.isVisible() else 0)
        for factor in LETTERS:
            font = QFont(self.font())
            font.setPointSizeF(factor * self.font().pointSizeF())
            plain, bold = QFontMetrics(font), QFontMetrics(_bold(font))
            beside, above = round(_BESIDE_PX * factor), round(_ABOVE_PX * factor * factor)
            widths = [
                max([plain.horizontalAdvance(COLUMNS[j][0])] + [bold.horizontalAdvance(t[j]) for t in self._cells()])
                + beside for j in range(len(COLUMNS))
            ]  # fmt: skip
            row_px = plain.height() + above
            if sum(widths) <= viewport.width() and (len(self._rows) + 1) * row_px + 4 <= high:
                break
        spare = max(0, viewport.width() - sum(widths)) // len(widths)
        if not self.changed("fit", (factor, widths, spare, row_px, self.font().pointSizeF())):
            return
        self.table.setFont(font)
        for j in range(len(COLUMNS)):
            self.table.horizontalHeaderItem(j).setFont(font)
        header.setFixedHeight(row_px)
        for j, width in enumerate(widths):
            self.table.setColumnWidth(j, width + min(spare, 24))
        for i in range(len(self._rows)):
            self.table.setRowHeight(i, row_px)

    def _cells(self) -> list[list[str]]:
        return [[self.table.item(i, j).text() for j in range(len(COLUMNS))] for i in range(len(self._rows))]

    def _colour(self, i: int, row: TargetRow) -> None:
        for j in range(len(COLUMNS)):
            item = self.table.item(i, j)
            font = item.font()
            font.setBold(row.current)
            item.setFont(font)
            colour = self.theme.curve(i) if j == 0 else self.theme.ink
            if j == 8:
                colour = self.theme.tone(row.comparable.tone)
            if item.text() == "masked":
                colour = self.theme.tone(Tone.OFF)
            item.setForeground(QColor(colour))


def _bold(font: QFont) -> QFont:
    made = QFont(font)
    made.setBold(True)
    return made


def _texts(row: TargetRow) -> tuple[str, ...]:
    return (
        f"▶ {row.target}" if row.current else row.target, row.n, row.rejected, row.global_, row.local, row.snr,
        row.p_lowest, row.p_highest, words(row.comparable.tone, row.comparable.text), row.state,
    )  # fmt: skip
