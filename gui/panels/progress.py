"""Owns the drawing of where the plan stands, the dose and the countdown; owns no count."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QWidget

from gui.panels.parts import FactGrid, LineList, Panel, ToneLabel
from gui.shown import Line, Progress, Tone
from gui.theme import Theme

_STATES = {
    "done": ("✓", Tone.GOOD),
    "now": ("▶", Tone.PLAIN),
    "next": ("○", Tone.OFF),
    "skipped": ("–", Tone.OFF),
}


class ProgressPanel(Panel):
    """Steps of the plan, share of its pulses, dose of the day and the course, seconds until what comes next."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Plan", theme, parent)
        self.where, self.countdown = ToneLabel("middle"), ToneLabel("middle", wrap=False)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setAccessibleName("Share of the plan's pulses")
        self.steps = LineList(theme)
        self.steps.setAccessibleName("Steps of the plan")
        self.dose = FactGrid(columns=2, size="small")
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.countdown)
        self.body.addWidget(self.where)
        self.body.addLayout(row)
        self.body.addWidget(self.dose)
        self.body.addWidget(self.steps, 1)

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        self.steps.lines.set_theme(theme)

    def show_it(self, progress: Progress) -> None:
        """Show how far the plan is."""
        self.where.say(progress.where)
        if self.changed("share", round(1000 * progress.share)):
            self.bar.setValue(round(1000 * min(max(progress.share, 0.0), 1.0)))
            self.bar.setFormat(f"{100 * progress.share:.0f} % of the pulses")
        if self.changed("steps", progress.steps):
            lines = []
            for step in progress.steps:
                sign, tone = _STATES.get(step.state, ("", Tone.PLAIN))
                lines.append(
                    Line(text=f"{sign} {step.text}", tone=tone if tone is Tone.PLAIN else Tone.PLAIN)
                )
            self.steps.show_it(tuple(lines))
            now = next((i for i, step in enumerate(progress.steps) if step.state == "now"), None)
            if now is not None:
                self.steps.scrollTo(self.steps.lines.index(now, 0), LineList.ScrollHint.PositionAtCenter)
                self.steps.setCurrentIndex(self.steps.lines.index(now, 0))
        self.dose.show_it(progress.dose)
        self.countdown.say(progress.countdown)
        self.countdown.setHidden(not progress.countdown)
