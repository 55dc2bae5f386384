"""Owns the drawing of what happened, line by line; owns no event."""

from __future__ import annotations

from PySide6.QtWidgets import QListView, QWidget

from gui.panels.parts import LineList, Panel
from gui.shown import Line
from gui.theme import Theme


class LogPanel(Panel):
    """Lamps, faults, words said and notes; given oldest first and shown with the newest on top, unless told otherwise."""

    def __init__(
        self, theme: Theme, parent: QWidget | None = None, *, title: str = "Log", newest_first: bool = True
    ) -> None:
        super().__init__(title, theme, parent)
        self.list = LineList(theme)
        self.list.setAccessibleName(title)
        self.body.addWidget(self.list, 1)
        self._newest_first = newest_first

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.list.lines.set_theme(theme)

    def show_it(self, lines: tuple[Line, ...]) -> None:
        """Show these lines."""
        if self.changed("lines", lines):
            self.list.show_it(lines[::-1] if self._newest_first else lines)


class QualityPanel(LogPanel):
    """The lights of a block and the held channels, in the order given; few lines whose end matters: shown whole."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent, title="Quality of the recording", newest_first=False)
        self.list.setWordWrap(True)
        self.list.setUniformItemSizes(False)
        self.list.setResizeMode(QListView.ResizeMode.Adjust)
