"""Owns the drawing of the stream's health; owns no judgement of it."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from gui.panels.parts import FactGrid, Panel
from gui.shown import Fact
from gui.theme import Theme


class StreamPanel(Panel):
    """Rate, gaps, age of the newest sample, clock residual, as the engine measures them."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(
            "EEG stream", theme, parent, meaning="As measured while it arrives, not as announced."
        )
        self.facts = FactGrid()
        self.body.addWidget(self.facts)
        self.body.addStretch(1)

    def show_it(self, facts: tuple[Fact, ...]) -> None:
        """Show these facts."""
        self.facts.show_it(facts)
