"""Owns the list of trials, newest first, and choosing one; owns no verdict."""

from __future__ import annotations

from PySide6.QtCore import QItemSelectionModel, QModelIndex, Signal
from PySide6.QtWidgets import QPushButton, QWidget

from gui.panels.parts import LineList, Panel
from gui.shown import Line, Tone, TrialRow
from gui.theme import Theme


class TrialList(Panel):
    """Each trial with its verdict in words; ``chosen`` carries the trial's number, or None to follow the last one."""

    chosen = Signal(object)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Trials, newest first", theme, parent)
        self.list = LineList(theme)
        self.list.setAccessibleName("Trials, newest first")
        self.follow = QPushButton("Follow the last")
        self.follow.setCheckable(True)
        self.follow.setChecked(True)
        self.follow.clicked.connect(self._follow)
        self.list.selectionModel().currentChanged.connect(self._picked)
        self.body.addWidget(self.list, 1)
        self.body.addWidget(self.follow)
        self.rows: tuple[TrialRow, ...] = ()
        self._given: tuple[TrialRow, ...] = ()
        self._showing = False

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.list.lines.set_theme(theme)

    def show_it(self, rows: tuple[TrialRow, ...], chosen_id: int | None) -> None:
        """Show these trials; ``chosen_id`` is the one looked at, None: the last one is followed."""
        new_rows, new_choice = self.changed("rows", rows), self.changed("chosen", chosen_id)
        if not (new_rows or new_choice):
            return
        self._showing = True
        if new_rows:
            before = len(self._given)
            if (
                before
                and rows[:before] == self._given
                and all(r.trial_id > self.rows[0].trial_id for r in rows[before:])
            ):
                new = _newest_first(rows[before:])
                self.rows = new + self.rows
                self.list.show_it(tuple(_line(row) for row in new) + self.list.lines.lines)
            else:
                self.rows = _newest_first(rows)
                self.list.show_it(tuple(_line(row) for row in self.rows))
            self._given = rows
            counted = sum(row.accepted for row in rows)
            self.set_title(f"Trials, newest first · {counted} of {len(rows)} accepted")
        self.follow.setChecked(chosen_id is None)
        at = next((i for i, row in enumerate(self.rows) if row.trial_id == chosen_id), None)
        model = self.list.selectionModel()
        if at is None:
            model.clear()
            if self.rows and new_choice:
                self.list.scrollToTop()
        elif model.currentIndex().row() != at or not model.hasSelection():
            index = self.list.lines.index(at, 0)
            model.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self._showing = False

    def _picked(self, current: QModelIndex, _before: QModelIndex) -> None:
        if not self._showing and 0 <= current.row() < len(self.rows):
            self.chosen.emit(self.rows[current.row()].trial_id)

    def _follow(self) -> None:
        self.follow.setChecked(True)
        self.chosen.emit(None)


def _newest_first(rows: tuple[TrialRow, ...]) -> tuple[TrialRow, ...]:
    return tuple(sorted(rows, key=lambda row: row.trial_id, reverse=True))


def _line(row: TrialRow) -> Line:
    tone = row.light if row.light is not Tone.PLAIN else Tone.GOOD if row.accepted else Tone.BAD
    verdict = row.words or ("accepted" if row.accepted else "rejected")
    return Line(text=f"{row.trial_id}  {row.block}  {verdict}", tone=tone)
