"""Owns the drawing of the pulse accounting; owns no account."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from gui.panels.parts import FactGrid, LineList, Panel, ToneLabel
from gui.shown import Line, Pulses
from gui.theme import Theme


class PulsesPanel(Panel):
    """How many pulses were commanded, permitted, sent, acknowledged and seen; a mismatch in words.

    ``rows`` is the list of the newest pulses: whoever arranges the panel gives it a place of its own.
    """

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Pulse accounting", theme, parent)
        self.mismatch = ToneLabel("middle")
        self.facts = FactGrid(columns=2, size="small")
        self.rows = LineList(theme)
        self.rows.setAccessibleName("Newest pulses")
        self.body.addWidget(self.mismatch)
        self.body.addWidget(self.facts)
        self.body.addStretch(1)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.rows.lines.set_theme(theme)

    def show_it(self, pulses: Pulses) -> None:
        """Show the account."""
        self.mismatch.show_it(pulses.mismatch)
        self.mismatch.setHidden(not pulses.mismatch.text)
        self.facts.show_it(pulses.facts)
        if self.changed("rows", pulses.rows):
            self.rows.show_it(tuple(Line(text=text) for text in pulses.rows))
