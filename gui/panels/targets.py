"""Owns the table of targets; owns no number in it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
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
    ("LOCAL", "dwPLI² from the electrodes near the coil to all others × 1000, with 95 % interval"),
    ("SNR", "power after the pulse over power before it, less one"),
    ("P(lowest)", "probability that this target's GLOBAL score is the lowest of those compared"),
    ("P(highest)", "probability that this target's GLOBAL score is the highest of those compared"),
    ("Comparable", "whether it was measured alike enough to be compared"),
    ("State", "where this target stands in the plan"),
)
_MASKED = range(3, 8)


class Roomy(QStyledItemDelegate):
    """Cells with room beside and above their words."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return super().sizeHint(option, index) + QSize(14, 8)


class TargetTable(Panel):
    """One row per target in the plan's order, read from two metres; below it what the columns mean and the decision."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Targets", theme, parent)
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setProperty("letters", "middle")
        self.table.setAccessibleName("Targets")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setWordWrap(False)
        self.table.setShowGrid(False)
        self.table.setItemDelegate(Roomy(self.table))
        self.table.verticalHeader().setVisible(False)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for i, (name, meaning) in enumerate(COLUMNS):
            item = QTableWidgetItem(name)
            item.setToolTip(meaning)
            self.table.setHorizontalHeaderItem(i, item)
        self.lines: list[ToneLabel] = []
        self.body.addWidget(self.table, 1)
        self._rows: tuple[TargetRow, ...] = ()
        self._masked = ""
        self.n_set = 0

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
                self.lines.append(ToneLabel())
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
            for j, text in enumerate(_texts(row)):
                text = "masked" if masked and j in _MASKED else text
                item = self.table.item(i, j)
                if item is None:
                    item = QTableWidgetItem()
                    self.table.setItem(i, j, item)
                if item.text() != text:
                    item.setText(text)
                    self.n_set += 1
            self._colour(i, row)
        self._rows, self._masked = rows, masked
        lengths = [
            max(len(self.table.item(i, j).text()) for i in range(len(rows)))
            for j in range(len(COLUMNS) if rows else 0)
        ]
        if self.changed(
            "lengths", (lengths, [row.current for row in rows])
        ):  # measuring every cell takes milliseconds
            self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange) and hasattr(self, "_masked"):
            self._fit()

    def _fit(self) -> None:
        self.table.resizeColumnsToContents()
        self.table.resizeRowsToContents()

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


def _texts(row: TargetRow) -> tuple[str, ...]:
    return (
        f"▶ {row.target}" if row.current else row.target, row.n, row.rejected, row.global_, row.local, row.snr,
        row.p_lowest, row.p_highest, words(row.comparable.tone, row.comparable.text), row.state,
    )  # fmt: skip
