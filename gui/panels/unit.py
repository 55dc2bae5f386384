"""Owns the drawing of the unit's lamp, power and temperature; owns neither the STOP button nor what the lamp means."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from gui.panels.parts import Panel, ToneLabel
from gui.shown import Stop, Tone, Unit
from gui.theme import Theme, words


class UnitPanel(Panel):
    """Lamp from the unit's own status byte; % of maximum stimulator output; coil temperature. The big lamp is the frame's."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__("Stimulator", theme, parent, meaning="As the unit itself says in its status byte.")
        self.lamp = QLabel()
        self.lamp.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.lamp.setProperty("letters", "middle")
        self.power, self.temperature = ToneLabel("middle", wrap=False), ToneLabel("middle", wrap=False)
        self._names = QLabel(), QLabel()
        self.says, self.stop = ToneLabel("small"), ToneLabel("middle")
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self.lamp, 0, Qt.AlignmentFlag.AlignVCenter)
        for name, value in zip(self._names, (self.power, self.temperature), strict=True):
            name.setProperty("tone", str(Tone.OFF))
            name.setProperty("letters", "small")
            pair = QVBoxLayout()
            pair.setSpacing(0)
            pair.addWidget(name)
            pair.addWidget(value)
            row.addLayout(pair, 1)
        self.body.addLayout(row)
        for label in (self.says, self.stop):
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
            self.stop.setToolTip(stop.last_line)
