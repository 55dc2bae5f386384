"""Owns the drawing of what stands beside the scores: words, then tables; owns no number and no word."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import Qt
from PySide6.QtGui import QTextOption
from PySide6.QtWidgets import QTextBrowser, QWidget

from gui.panels.parts import Panel
from gui.shown import Beside, Table
from gui.theme import Theme, words


class BesidePanel(Panel):
    """Words and tables that can be scrolled, searched by eye and copied."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Beside the scores", theme, parent)
        self.text = QTextBrowser()
        self.text.setAccessibleName("Beside the scores")
        self.text.setWordWrapMode(QTextOption.WrapMode.WordWrap)
        self.text.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.body.addWidget(self.text, 1)
        self._beside = Beside()

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self._seen.clear()
        self.show_it(self._beside)

    def show_it(self, beside: Beside) -> None:
        """Show these; the eye keeps its place where only numbers changed."""
        self._beside = beside
        if not self.changed("beside", beside):
            return
        self.set_title(beside.title or "Beside the scores")
        at = self.text.verticalScrollBar().value()
        said = "".join(f"<p>{escape(words(line.tone, line.text))}</p>" for line in beside.words)
        self.text.setHtml(said + "".join(self._table(t) for t in beside.tables))
        self.text.verticalScrollBar().setValue(at)

    def _table(self, table: Table) -> str:
        ink, line = self.theme.muted, self.theme.line
        head = "".join(f'<th align="left" style="color: {ink}">{escape(cell)}</th>' for cell in table.head)
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{escape(cell).replace(' ± ', '<br>±&nbsp;')}</td>" for cell in row)
            + "</tr>"
            for row in table.rows
        )
        return (
            f"<p><b>{escape(table.caption)}</b></p>"
            f'<table width="100%" cellpadding="2" cellspacing="0" border="1" style="font-size: small; border-collapse: collapse; '
            f'border-color: {line}"><tr>{head}</tr>{rows}</table>'
        )
