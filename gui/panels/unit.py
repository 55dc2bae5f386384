"""Owns the drawing of the unit's lamp, power and temperature; owns neither the STOP button nor what the lamp means."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from gui.panels.parts import Panel, ToneLabel
from gui.shown import Stop, Unit
from gui.theme import Theme, words


class UnitPanel(Panel):
    """Lamp from the unit's own status byte; % of maximum stimulator output; coil temperature."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Stimulator", theme, parent, meaning="As the unit itself says in its status byte.")
        self.lamp = QLabel()
        self.lamp.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.lamp.setProperty("letters", "huge")
        self.power, self.temperature = ToneLabel("big"), ToneLabel("big")
        self._names = QLabel(), QLabel()
        for name in self._names:
            name.setProperty("role", "title")
        self.says = ToneLabel()
        self.stop = ToneLabel("middle")
        self.last_line = ToneLabel("small")
        numbers = QHBoxLayout()
        numbers.setSpacing(12)
        for name, value in zip(self._names, (self.power, self.temperature), strict=True):
            pair = QVBoxLayout()
            pair.setSpacing(0)
            pair.addWidget(name)
            pair.addWidget(value)
            numbers.addLayout(pair, 1)
        self.body.addWidget(self.lamp)
        self.body.addLayout(numbers)
        for label in (self.says, self.stop, self.last_line):
            self.body.addWidget(label)
        self.body.addStretch(1)
        self._lamp: Unit | None = None

    def set_theme(self, theme: Theme) -> None:
        super().set_theme(theme)
        if self._lamp is not None:
            self._paint_lamp(self._lamp)

    def _paint_lamp(self, unit: Unit) -> None:
        back, ink = self.theme.tone(unit.tone), self.theme.panel
        self.lamp.setStyleSheet(
            f"background: {back}; color: {ink}; border-radius: 6px; padding: 2px 8px; font-weight: bold;"
        )

    def show_it(self, unit: Unit, stop: Stop) -> None:
        """Show the unit and what became of a STOP."""
        if self.changed("unit", unit):
            before, self._lamp = self._lamp, unit
            self.lamp.setText(words(unit.tone, unit.lamp))
            if before is None or before.tone != unit.tone:
                self._paint_lamp(unit)
            self.says.say(unit.says)
            for name, label, fact in zip(
                self._names, (self.power, self.temperature), (unit.power, unit.temperature), strict=True
            ):
                name.setText(fact.name)
                label.say(fact.value, fact.tone)
                label.setToolTip(fact.meaning)
        if self.changed("stop", stop):
            self.stop.say(stop.words, stop.tone)
            self.stop.setHidden(not stop.words)
            self.last_line.say(stop.last_line)
