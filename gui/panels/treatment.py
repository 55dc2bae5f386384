"""Owns the drawing of where a treatment stands: its train, its countdown, its counts; owns no count and no pause."""

from __future__ import annotations

from PySide6.QtWidgets import QProgressBar, QWidget

from gui.frame import FitText
from gui.panels.parts import FactGrid, LineList, Panel
from gui.shown import Line, Treatment
from gui.theme import BIG_PT, HUGE_PT, MIDDLE_PT, SMALL_PT, Theme, words


class TreatmentPanel(Panel):
    """Train k of n and what is waited for, big enough for two metres; the counts; each train that was begun, newest on top."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Treatment", theme, parent)
        self.headline = FitText(HUGE_PT, MIDDLE_PT, 1.2, bold=True)
        self.clock = FitText(BIG_PT, SMALL_PT, 1.4)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("How much of the pause, or of the train, is over")
        self.facts = FactGrid(columns=2)
        self.trains = LineList(theme)
        self.trains.setAccessibleName("Trains that were begun")
        for part in (self.headline, self.clock, self.bar, self.facts):
            self.body.addWidget(part)
        self.body.addWidget(self.trains, 1)
        self._shown: Treatment | None = None

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.trains.lines.set_theme(theme)
        if self._shown is not None:
            self._say(self._shown)

    def set_scale(self, scale: float) -> None:
        """Size of the letters."""
        self.headline.set_scale(scale)
        self.clock.set_scale(scale)

    def show_it(self, treatment: Treatment) -> None:
        """Show where it stands."""
        self._shown = treatment
        if self.changed("words", (treatment.headline, treatment.clock)):
            self._say(treatment)
        share = 0 if treatment.share is None else round(1000 * min(max(treatment.share, 0.0), 1.0))
        if self.changed("share", (share, treatment.share is None)):
            self.bar.setValue(share)
            self.bar.setEnabled(treatment.share is not None)
        self.facts.show_it(treatment.facts)
        if self.changed("trains", treatment.trains):
            self.trains.show_it(treatment.trains[::-1])

    def _say(self, treatment: Treatment) -> None:
        for label, line in ((self.headline, treatment.headline), (self.clock, treatment.clock)):
            label.say(_with_symbol(line), self.theme.tone(line.tone))


class SettingPanel(Panel):
    """What is given, where, and from which threshold."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("What is given", theme, parent)
        self.facts = FactGrid(size="small")
        self.body.addWidget(self.facts)
        self.body.addStretch(1)

    def show_it(self, treatment: Treatment) -> None:
        """Show it."""
        self.facts.show_it(treatment.setting)


def _with_symbol(line: Line) -> str:
    return words(line.tone, line.text) if line.text else ""
